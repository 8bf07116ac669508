"""Adds the calendar part to an invitation mail (RFC 6047), for reports whom no calendar service invites."""

from datetime import datetime
from email.message import EmailMessage

from worker.domain.model import EventDraft
from worker.mail.kinds import KINDS


def attach_event(email: EmailMessage, mail_name: str, draft: EventDraft, now: datetime) -> None:
    """Add the event to the mail as an alternative to its text, where calendar programs expect it.

    `mail_name` is a `MailName`. When the mail's sender is not the organizer, the event names the sender as acting for
    the organizer (RFC 6047, 2.2.1). The part is encoded as base64, which is 7-bit and preserves line ends.
    """
    from worker.providers.ical import events  # imported here because the package `icalendar` is slow to import

    method, sender = KINDS[mail_name].calendar_method, email["From"].addresses[0].addr_spec
    part = EmailMessage()
    text = events.compose_invitation(draft, now, method, sender)
    part.set_content(text, subtype="calendar", cte="base64", params={"method": method})
    del part["MIME-Version"]  # the mail itself has this header
    email.attach(part)
