"""Delivers calendar mail between the doubles of Google and Microsoft 365, in both directions."""

from base64 import b32hexencode
from collections.abc import Callable
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default

from tests.doubles.calendarmail import CalendarMail, read
from tests.doubles.google import Google
from tests.doubles.google.entries import Entry
from tests.doubles.graph import Double
from tests.doubles.graph.state import Item

_SUFFIX = "@google.com"  #: Google's UID of an event is its id with this suffix


class MailCarrier:
    """Carries calendar mail between the two services. `carried` holds every mail delivered so far."""

    def __init__(self, google: Google, graph: Double) -> None:
        self._google, self._graph = google.calendars, graph.world
        self._notice_count = 0  #: the number of Google's notices that were read
        self.carried: list[EmailMessage] = []

    def carry(self) -> None:
        """Deliver every mail that either service has sent since the last call."""
        notices = self._google.notices[self._notice_count :]
        self._notice_count += len(notices)
        for notice in notices:
            if notice.to in self._graph.mailboxes:
                method = "CANCEL" if notice.kind == "cancellation" else "REQUEST"
                self._send(self._from_google(method, notice.event, notice.to), self._to_graph)
        outgoing, self._graph.outgoing = self._graph.outgoing, []
        for mail in outgoing:
            if mail.guest in self._google.person_calendars:
                self._send(mail, self._to_google)

    def _send(self, content: CalendarMail, receive: Callable[[CalendarMail], None]) -> None:
        """Turn the content into a mail, and give what can be read from it to the receiving service."""
        mail = content.mail()
        self.carried.append(mail)
        arrived = message_from_bytes(mail.as_bytes(), policy=default)
        assert isinstance(arrived, EmailMessage)
        receive(read(arrived))

    # --- from Google to Microsoft ---

    def _entry(self, name: str) -> Entry:
        found = [
            person_calendar.entries[name]
            for person_calendar in self._google.person_calendars.values()
            if name in person_calendar.entries
        ]
        return found[0]

    def _from_google(self, method: str, name: str, guest: str) -> CalendarMail:
        entry = self._entry(name)
        start, end = entry.span(self._google.person_calendars[entry.organizer].zone)
        return CalendarMail(method, f"{name}{_SUFFIX}", entry.organizer, guest, start, end, entry.change_number)

    def _to_graph(self, mail: CalendarMail) -> None:
        box = self._graph.mailboxes[mail.guest]
        copy = box.find_by_uid(mail.uid)
        if mail.method == "CANCEL":
            if copy:
                box.delete_item(copy)
            return
        if copy is None:
            copy = Item(box, mail.uid, mail.organizer, mail.start, mail.end)
            box.add(copy)
        copy.put_at(mail.start, mail.end, None)
        copy.response = "notResponded"
        copy.properties |= {"subject": "Invitation", "showAs": "tentative"}
        box.record_change(copy)

    # --- from Microsoft to Google ---

    def _to_google(self, mail: CalendarMail) -> None:
        person_calendar, name = self._google.person_calendars[mail.guest], _make_event_id(mail.uid)
        if mail.method == "CANCEL":
            if name in person_calendar.entries:
                person_calendar.entries[name].cancelled = True
                self._google.record_change(person_calendar.entries[name])
            return
        entry = person_calendar.entries.setdefault(name, Entry(name, mail.organizer, {}, uid=mail.uid))
        times = {"start": mail.start, "end": mail.end}
        stamps = {side: {"dateTime": at.isoformat(), "timeZone": "UTC"} for side, at in times.items()}
        entry.fields, entry.cancelled = {"summary": "Invitation", **stamps}, False
        entry.guests = {mail.guest: {"email": mail.guest, "responseStatus": "needsAction"}}
        self._google.record_change(entry)

    # --- answers ---

    def answer(self, guest: str, answer: str) -> None:
        """Answer the guest's newest invitation from the other service, with `ACCEPTED` or `DECLINED`."""
        request = [one for mail in self.carried if (one := read(mail)).guest == guest and one.method == "REQUEST"][-1]
        reply = CalendarMail(
            "REPLY", request.uid, request.organizer, guest, request.start, request.end, request.sequence, answer
        )
        if guest in self._graph.mailboxes:
            copy = self._graph.mailboxes[guest].find_by_uid(request.uid)
            assert copy is not None
            self._graph.respond(copy, answer.lower())
            self._send(reply, self._reply_to_google)
        else:
            entry = self._google.person_calendars[guest].entries[_make_event_id(request.uid)]
            entry.guests[guest]["responseStatus"] = answer.lower()
            self._google.record_change(entry)
            self._send(reply, self._reply_to_graph)

    def _reply_to_google(self, mail: CalendarMail) -> None:
        entry = self._entry(mail.uid.removesuffix(_SUFFIX))
        entry.guests[mail.guest]["responseStatus"] = mail.answer.lower()
        self._google.record_change(entry)

    def _reply_to_graph(self, mail: CalendarMail) -> None:
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
