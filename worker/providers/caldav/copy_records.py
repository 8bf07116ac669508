"""What was copied into whose calendar, as it has to outlive a process: it is noted before a copy is put there, so that
a process that dies in between leaves a note and no meeting that nobody knows of."""

from collections.abc import Collection, Sequence
from threading import Lock
from typing import Protocol

from worker.domain.model import Address, CopyRecord


class CopyRecords(Protocol):
    """Remembers copies. Raises only ProviderErrors; safe to use from several threads and processes."""

    def list_copies(self, organizer: Address) -> Sequence[CopyRecord]:
        """The copies of this organizer's events."""

    def intend_copy(self, organizer: Address, name: str, guest: Address) -> None:
        """Note that a copy may lie there from now on. Changes nothing when one is known to."""

    def confirm_copy(self, organizer: Address, name: str, guest: Address) -> None:
        """Note that a copy lies there."""

    def forget_copies(self, organizer: Address, name: str, guests: Collection[Address]) -> None:
        """Note that no copy lies there, or that nobody needs to know."""


class InMemoryCopyRecords:
    """Records held in memory, for a provider that nobody gave a store."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._placed: dict[tuple[Address, str, Address], bool] = {}

    def list_copies(self, organizer: Address) -> Sequence[CopyRecord]:
        with self._lock:
            return [
                CopyRecord(name, who, placed)
                for (owner, name, who), placed in self._placed.items()
                if owner == organizer
            ]

    def intend_copy(self, organizer: Address, name: str, guest: Address) -> None:
        with self._lock:
            self._placed.setdefault((organizer, name, guest), False)

    def confirm_copy(self, organizer: Address, name: str, guest: Address) -> None:
        with self._lock:
            self._placed[organizer, name, guest] = True

    def forget_copies(self, organizer: Address, name: str, guests: Collection[Address]) -> None:
        with self._lock:
            for guest in guests:
                self._placed.pop((organizer, name, guest), None)
