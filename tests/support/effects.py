"""What may happen to effects: a service refuses, the outcome of a call stays unknown, the process ends."""

from datetime import timedelta

import pytest

from tests.support.companies import Office
from worker.domain.model import Effect, Session
from worker.errors import Forbidden, Unavailable

#: How long a claimed effect stays claimed.
LEASE = timedelta(minutes=5)


def make_refusal() -> Forbidden:
    return Forbidden("not on this calendar")


def make_uncertain_failure() -> Unavailable:
    return Unavailable("timed out", uncertain=True)


def get_only_effect(office: Office, name: str) -> Effect:
    """Return the only row of the outbox of that kind, or the only mail of that name."""
    (effect,) = office.effects(name)
    return effect


def book_first_session(office: Office) -> Session:
    """Let the program book the first session and write its event; return the session."""
    office.tick()
    return office.session()


def die_after(office: Office, operation: str) -> None:
    """Do a tick in which the process ends right after the operation took effect, before it could record that."""

    def fail(point: str) -> None:
        if point == f"{operation}.done":
            raise SystemExit

    service = office.mailer if operation == "send" else office.calendar
    service.fail = fail
    with pytest.raises(SystemExit):
        office.tick()
    service.fail = None
