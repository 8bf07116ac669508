"""Records of which event was copied into which guest's calendar.

A record is written before its copy is placed. A process that dies in between leaves a record without a copy, never a
copy without a record.
"""

from collections.abc import Collection, Sequence
from threading import Lock
from typing import Protocol

from worker.domain.model import Address, CopyRecord


class CopyRecords(Protocol):
    """Stores the records. Raises only ProviderErrors; safe to use from several threads and processes."""

    def list_copies(self, organizer: Address) -> Sequence[CopyRecord]:
        """Return the copies of this organizer's events."""

    def intend_copy(self, organizer: Address, name: str, guest: Address) -> None:
        """Record that a copy is about to be placed. Does not change a confirmed record."""

    def confirm_copy(self, organizer: Address, name: str, guest: Address) -> None:
        """Record that the copy is placed."""

    def forget_copies(self, organizer: Address, name: str, guests: Collection[Address]) -> None:
        """Delete the records of these guests' copies: they are removed, or no longer needed."""


class InMemoryCopyRecords:
    """Records held in memory, for a provider without a database."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._placed: dict[tuple[Address, str, Address], bool] = {}

    def list_copies(self, organizer: Address) -> Sequence[CopyRecord]:
        with self._lock:
            return [
                CopyRecord(name, guest, is_placed)
                for (owner, name, guest), is_placed in self._placed.items()
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
