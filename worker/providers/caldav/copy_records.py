"""Stores which of our events were copied into which guests' calendars: one record for each copy.

A record is written before its copy is placed, and confirmed afterwards. So a process that dies in between leaves an
unconfirmed record without a copy, but never a copy without a record. `worker.providers.caldav.attendee_copies` places
the copies. `name` is the resource name of the event and of its copies.
"""

from collections.abc import Collection, Sequence
from threading import Lock
from typing import Protocol

from worker.domain.model import Address, CopyRecord


class CopyRecords(Protocol):
    """Stores the records. Raises only ProviderErrors. Several threads and processes may use it at once."""

    def list_copies(self, organizer: Address) -> Sequence[CopyRecord]:
        """Return the records of all copies of this organizer's events."""

    def intend_copy(self, organizer: Address, name: str, guest: Address) -> None:
        """Record that a copy is about to be placed. A confirmed record is not changed."""

    def confirm_copy(self, organizer: Address, name: str, guest: Address) -> None:
        """Record that the copy was placed."""

    def forget_copies(self, organizer: Address, name: str, guests: Collection[Address]) -> None:
        """Delete the records of these guests' copies."""


class InMemoryCopyRecords:
    """Keeps the records in memory, for a provider without a database."""

    def __init__(self) -> None:
        self._lock = Lock()
        #: by organizer, resource name and guest: whether the record is confirmed
        self._confirmations: dict[tuple[Address, str, Address], bool] = {}

    def list_copies(self, organizer: Address) -> Sequence[CopyRecord]:
        with self._lock:
            return [
                CopyRecord(name, guest, is_confirmed)
                for (owner, name, guest), is_confirmed in self._confirmations.items()
                if owner == organizer
            ]

    def intend_copy(self, organizer: Address, name: str, guest: Address) -> None:
        with self._lock:
            self._confirmations.setdefault((organizer, name, guest), False)

    def confirm_copy(self, organizer: Address, name: str, guest: Address) -> None:
        with self._lock:
            self._confirmations[organizer, name, guest] = True

    def forget_copies(self, organizer: Address, name: str, guests: Collection[Address]) -> None:
        with self._lock:
            for guest in guests:
                self._confirmations.pop((organizer, name, guest), None)
