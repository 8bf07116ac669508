"""Services that fail on purpose, a process that is killed, and a mailer that looks at each mail whether it holds."""

from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage

from tests.support.companies import MINUTE
from worker.domain.model import Effect, Session, SessionState
from worker.errors import AuthRevoked, Forbidden, ProviderError, RateLimited, Unavailable
from worker.providers.memory import MemoryMailer

ERRORS: dict[str, Callable[[], ProviderError]] = {
    "busy": lambda: RateLimited(retry_after=10 * MINUTE),
    "down": Unavailable,
    "lost": lambda: Unavailable("timed out", uncertain=True),
    "refused": Forbidden,
    "revoked": lambda: AuthRevoked("token expired"),
}

OPERATIONS = ("free_busy", "changes", "create", "update", "cancel", "find", "send", "was_sent")


class Killed(BaseException):
    """The process is gone."""


class Post(MemoryMailer):
    """Takes mails, and looks at each whether it was true when it left."""

    def __init__(self, true: Callable[[str], str]) -> None:
        super().__init__()
        self._true = true
        self.untrue: list[str] = []

    def send(self, message: EmailMessage, key: str) -> None:
        if wrong := self._true(key):
            self.untrue.append(f"{key}: {wrong}")
        super().send(message, key)


def holds(message: Effect, session: Session, now: datetime) -> bool:
    """Whether what a mail of that kind says of a session is so."""
    if message.name in ("contract_request", "contract_reminder"):
        return session.state is SessionState.HELD and session.held_at == message.start
    if message.name == "unfinished":
        return session.state is SessionState.UNFINISHED
    if message.name == "unplaceable":
        return session.owed and bool(session.unplaceable)
    if message.name == "deferral_notice" and session.count != message.number:
        return False
    if message.name in ("booked_over_warning", "short_session") and session.start != message.start:
        return False
    if message.name == "booked_over_warning" and session.warned_at is None:
        return False
    return session.booked and session.span.start > now
