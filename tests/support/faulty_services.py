"""Errors of services, the end of a process, and a mailer that checks whether each mail is true when it leaves."""

from collections.abc import Callable
from datetime import datetime
from email.message import EmailMessage

from tests.support.companies import MINUTE
from worker.domain.model import Effect, Session, SessionState
from worker.errors import AuthRevoked, Forbidden, ProviderError, RateLimited, Unavailable
from worker.providers.memory import MemoryMailer

#: Errors that a service may raise, by name.
ERRORS: dict[str, Callable[[], ProviderError]] = {
    "busy": lambda: RateLimited(retry_after=10 * MINUTE),
    "down": Unavailable,
    "lost": lambda: Unavailable("timed out", uncertain=True),
    "refused": Forbidden,
    "revoked": lambda: AuthRevoked("token expired"),
}

OPERATIONS = ("free_busy", "changes", "create", "update", "cancel", "find", "send", "was_sent")


class ProcessKilled(BaseException):
    """Stands for the end of a process that was killed."""


class CheckingMailer(MemoryMailer):
    """A mailer in memory that checks each mail when it leaves.

    `find_untruth` returns for a mail's key what is not true in the mail; empty when all is true. The untruths are
    collected in `untrue`.
    """

    def __init__(self, find_untruth: Callable[[str], str]) -> None:
        super().__init__()
        self._find_untruth = find_untruth
        self.untrue: list[str] = []

    def send(self, message: EmailMessage, key: str) -> None:
        if wrong := self._find_untruth(key):
            self.untrue.append(f"{key}: {wrong}")
        super().send(message, key)


def is_true_now(mail: Effect, session: Session, now: datetime) -> bool:
    """Whether what a mail says about a session is true now.

    `mail.start` is the end of the session in a mail about its contract, and its start in any other mail. `mail.number`
    is the number of the deferral that a deferral notice tells of.
    """
    if mail.name in ("contract_request", "contract_reminder"):
        return session.state is SessionState.HELD and session.held_at == mail.start
    if mail.name == "unfinished":
        return session.state is SessionState.UNFINISHED
    if mail.name == "unplaceable":
        return session.owed and bool(session.unplaceable)
    if mail.name == "deferral_notice" and session.count != mail.number:
        return False
    if mail.name in ("booked_over_warning", "short_session") and session.start != mail.start:
        return False
    if mail.name == "booked_over_warning" and session.warned_at is None:
        return False
    # all other mails are about a session to come
    return session.booked and session.span.start > now
