"""What happens to effects on their way: services that refuse, calls of unknown outcome, a process that dies."""

from datetime import timedelta

import pytest

from tests.support.companies import Office
from worker.domain.model import Effect, Session
from worker.errors import Forbidden, Unavailable

LEASE = timedelta(minutes=5)


def refused() -> Forbidden:
    return Forbidden("not on this calendar")


def uncertain() -> Unavailable:
    return Unavailable("timed out", uncertain=True)


def only(office: Office, name: str) -> Effect:
    (found,) = office.messages(name)
    return found


def booked(office: Office) -> Session:
    """Have the first session booked, and its event made."""
    office.tick()
    return office.session()


def dies_after(office: Office, operation: str) -> None:
    """The process is gone right after this operation took effect, before it could write that down."""

    def die(seen: str) -> None:
        if seen == f"{operation}.done":
            raise SystemExit

    service = office.mailer if operation == "send" else office.calendar
    service.fail = die
    with pytest.raises(SystemExit):
        office.tick()
    service.fail = None
