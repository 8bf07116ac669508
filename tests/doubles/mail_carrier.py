"""Delivers calendar mail between the doubles of Google and Microsoft 365, in both directions."""

from base64 import b32hexencode
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from tests.doubles.calendarmail import CalendarMail, read_calendar_mail
from tests.doubles.google import Google
from tests.doubles.google.entries import Entry
from tests.doubles.graph import Double
from tests.doubles.graph.state import Item

_UID_SUFFIX = "@google.com"  #: Google's UID of an event is its id with this suffix


class MailCarrier:
    """Carries calendar mail between the two services. `carried` holds every mail delivered so far.

    Each service keeps what it wants to send in a list: Google in `notices`, Microsoft in `outgoing`.
    """

    def __init__(self, google: Google, graph: Double) -> None:
        self._google, self._graph = google.calendars, graph.world
        self._read_count = 0  #: how many of Google's notices were read
        self.carried: list[EmailMessage] = []

    def carry(self) -> None:
        """Deliver every mail that either service has sent since the last call."""
        notices = self._google.notices[self._read_count :]
        self._read_count += len(notices)
        for notice in notices:
            if notice.to in self._graph.mailboxes:
                method = "CANCEL" if notice.kind == "cancellation" else "REQUEST"
                self._send(self._make_google_mail(method, notice.event_id, notice.to), self._deliver_to_graph)
        outgoing, self._graph.outgoing = self._graph.outgoing, []
        for mail in outgoing:
            if mail.guest in self._google.person_calendars:
                self._send(mail, self._deliver_to_google)

    def _send(self, content: CalendarMail, receive: Callable[[CalendarMail], None]) -> None:
        """Turn the content into a mail, and give what can be read from it to the receiving service."""
        mail = content.compose()
        self.carried.append(mail)
        arrived = message_from_bytes(mail.as_bytes(), policy=default)
        assert isinstance(arrived, EmailMessage)
        receive(read_calendar_mail(arrived))

    # --- from Google to Microsoft ---

    def _find_entry(self, event_id: str) -> Entry:
        """The event, which is the same object in all calendars that hold it."""
        return next(
            person_calendar.entries[event_id]
            for person_calendar in self._google.person_calendars.values()
            if event_id in person_calendar.entries
        )

    def _make_google_mail(self, method: str, event_id: str, guest: str) -> CalendarMail:
        entry = self._find_entry(event_id)
        start, end = entry.span(self._google.person_calendars[entry.organizer].zone)
        return CalendarMail(method, f"{event_id}{_UID_SUFFIX}", entry.organizer, guest, start, end, entry.change_number)

    def _deliver_to_graph(self, mail: CalendarMail) -> None:
        box = self._graph.mailboxes[mail.guest]
        copy = box.find_by_uid(mail.uid)
        if mail.method == "CANCEL":
            if copy:
                box.delete_item(copy)
            return
        if copy is None:
            copy = Item(box, mail.uid, mail.organizer, mail.start, mail.end)
            box.add(copy)
        copy.put_at(mail.start, mail.end, days=None)
        copy.response = "notResponded"
        copy.properties |= {"subject": "Invitation", "showAs": "tentative"}
        box.record_change(copy)

    # --- from Microsoft to Google ---

    def _deliver_to_google(self, mail: CalendarMail) -> None:
        person_calendar, event_id = self._google.person_calendars[mail.guest], _make_event_id(mail.uid)
        if mail.method == "CANCEL":
            if event_id in person_calendar.entries:
                person_calendar.entries[event_id].cancelled = True
                self._google.record_change(person_calendar.entries[event_id])
            return
        entry = person_calendar.entries.setdefault(event_id, Entry(event_id, mail.organizer, {}, uid=mail.uid))
        times = {
            side: {"dateTime": at.isoformat(), "timeZone": "UTC"}
            for side, at in (("start", mail.start), ("end", mail.end))
        }
        entry.fields, entry.cancelled = {"summary": "Invitation", **times}, False
        entry.guests = {mail.guest: {"email": mail.guest, "responseStatus": "needsAction"}}
        self._google.record_change(entry)

    # --- answers ---

    def answer(self, guest: str, answer: str) -> None:
        """Answer the guest's newest invitation from the other service, with `ACCEPTED` or `DECLINED`."""
        all_read = map(read_calendar_mail, self.carried)
        request = [one for one in all_read if one.guest == guest and one.method == "REQUEST"][-1]
        reply = CalendarMail(
            "REPLY", request.uid, request.organizer, guest, request.start, request.end, request.sequence, answer
        )
        if guest in self._graph.mailboxes:
            copy = self._graph.mailboxes[guest].find_by_uid(request.uid)
            assert copy is not None
            self._graph.respond(copy, answer.lower())
            self._send(reply, self._deliver_reply_to_google)
        else:
            entry = self._google.person_calendars[guest].entries[_make_event_id(request.uid)]
            entry.guests[guest]["responseStatus"] = answer.lower()
            self._google.record_change(entry)
            self._send(reply, self._deliver_reply_to_graph)

    def _deliver_reply_to_google(self, mail: CalendarMail) -> None:
        entry = self._find_entry(mail.uid.removesuffix(_UID_SUFFIX))
        entry.guests[mail.guest]["responseStatus"] = mail.answer.lower()
        self._google.record_change(entry)

    def _deliver_reply_to_graph(self, mail: CalendarMail) -> None:
        box = self._graph.mailboxes[mail.organizer]
        item = box.find_by_uid(mail.uid)
        assert item is not None
        for one in item.attendees:
            if one["address"] == mail.guest:
                one["response"] = mail.answer.lower()
        box.record_change(item)


def _make_event_id(uid: str) -> str:
    """The id that Google's double gives to an event that came by mail."""
    return "in" + b32hexencode(uid.encode()).decode().rstrip("=").lower()
