"""The calendar object that a mail of invitation carries (RFC 6047), for whom no server invites."""

from datetime import datetime
from email.message import EmailMessage

from worker.domain.model import EventDraft
from worker.mail.kinds import KINDS
from worker.providers.ical import events


def attach_event(email: EmailMessage, name: str, draft: EventDraft, now: datetime) -> None:
    """Put the event beside the text of the mail of that name, where calendar programs look for it.

    The calendar object says that the mail's sender acts for the organizer, when the two differ (RFC 6047, 2.2.1). It
    is encoded as base64: its lines stay as they are, and no server has to carry more than 7 bits.
    """
    method, sender = KINDS[name].calendar_method, email["From"].addresses[0].addr_spec
    part = EmailMessage()
    text = events.compose_invitation(draft, now, method, sender)
    part.set_content(text, subtype="calendar", cte="base64", params={"method": method})
    del part["MIME-Version"]  # the mail says it
    email.attach(part)
