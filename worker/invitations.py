"""The calendar object that a mail of invitation carries (RFC 6047), for whom no server invites."""

from datetime import datetime
from email.message import EmailMessage

from worker.domain.invitations import INVITATION, WITHDRAWAL
from worker.domain.model import EventDraft
from worker.providers import icalendars

#: The mails that carry one, and what each asks of the reader's program (RFC 5546).
METHODS = {INVITATION: "REQUEST", WITHDRAWAL: "CANCEL"}


def attach(email: EmailMessage, name: str, draft: EventDraft, now: datetime) -> None:
    """Put the event beside the text of the mail of that name, where calendar programs look for it."""
    method = METHODS[name]
    part = EmailMessage()
    part.set_content(icalendars.invitation(draft, now, method), subtype="calendar", params={"method": method})
    del part["MIME-Version"]  # the mail says it
    email.attach(part)
