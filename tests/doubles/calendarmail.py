"""Calendar mail (iMIP, RFC 6047), by which services tell guests and organizers of other services what changed."""

from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from typing import Any

from icalendar import Calendar
from icalendar import Event as VEvent
from icalendar.prop import vCalAddress


@dataclass(frozen=True, slots=True)
class CalendarMail:
    """The content of a mail: a REQUEST or CANCEL from the organizer, or a REPLY of a guest (RFC 5546)."""

    method: str
    uid: str
    organizer: str
    guest: str
    start: datetime
    end: datetime
    sequence: int = 0
    answer: str = "NEEDS-ACTION"  #: the guest's PARTSTAT

    def compose(self) -> EmailMessage:
        """The mail itself, with a calendar part."""
        calendar, event = Calendar(), VEvent()
        for name, value in {"prodid": "-//test//EN", "version": "2.0", "method": self.method}.items():
            calendar.add(name, value)
        guest = vCalAddress(f"mailto:{self.guest}")
        guest.params["PARTSTAT"] = self.answer
        event.add("uid", self.uid)
        event.add("dtstamp", self.start)
        event.add("dtstart", self.start)
        event.add("dtend", self.end)
        event.add("sequence", self.sequence)
        event.add("organizer", vCalAddress(f"mailto:{self.organizer}"))
        event.add("attendee", guest)
        calendar.add_component(event)
        mail = EmailMessage()
        sender, recipient = (self.guest, self.organizer) if self.method == "REPLY" else (self.organizer, self.guest)
        mail["From"], mail["To"], mail["Subject"] = sender, recipient, self.method.title()
        mail.set_content("See the attachment.")  # for programs that read no calendar part
        text = calendar.to_ical().decode()
        mail.add_alternative(text, subtype="calendar", params={"method": self.method})
        return mail


def read_calendar_mail(mail: EmailMessage) -> CalendarMail:
    """Read the calendar part of a mail."""
    part = next(one for one in mail.walk() if one.get_content_type() == "text/calendar")
    calendar: Any = Calendar.from_ical(part.get_content())
    (event,) = calendar.walk("VEVENT")
    guest = event["ATTENDEE"]
    return CalendarMail(
        method=str(calendar["METHOD"]),
        uid=str(event["UID"]),
        organizer=str(event["ORGANIZER"]).removeprefix("mailto:"),
        guest=str(guest).removeprefix("mailto:"),
        start=event.start,
        end=event.end,
        sequence=int(event["SEQUENCE"]),
        answer=str(guest.params["PARTSTAT"]),
    )
