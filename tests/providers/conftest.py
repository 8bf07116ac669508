"""The CalDAV server that tests of providers share, and the hands that act on its calendars."""

import json
import re
from collections.abc import Callable, Iterator
from datetime import UTC, date, datetime, timedelta
from itertools import count
from pathlib import Path
from typing import Any

import pytest
import requests

from worker.domain.model import Address, Answer, ShowAs, Span
from worker.embedded import EmbeddedServers
from worker.providers.ical import events

_NUMBERS = count(1)


#: An answer to a request: the status line, the headers and the body.
HttpAnswer = tuple[str, list[tuple[str, str]], bytes]


class RequestInterceptor:
    """WSGI middleware around the calendar server: it lists the requests, and can answer in place of the server."""

    def __init__(self) -> None:
        self.methods: list[str] = []  #: the HTTP methods of the requests so far
        #: Called with the WSGI environment before the server handles a request. What it returns is the answer, and the
        #: server gets no request; None lets the server answer.
        self.before: Callable[[dict[str, Any]], HttpAnswer | None] | None = None
        #: As `before`, but called when the server has handled the request.
        self.after: Callable[[dict[str, Any]], HttpAnswer | None] | None = None
        self.rewrite: Callable[[bytes], bytes] | None = None  #: changes the body of the server's answer

    def wrap(self, app: Any) -> Any:
        """Return the WSGI app with this middleware around it."""

        def respond(environ: dict[str, Any], start_response: Any) -> Any:
            self.methods.append(environ["REQUEST_METHOD"])
            environ.pop("HTTP_ACCEPT_ENCODING", None)  # `rewrite` can't read a compressed body
            if self.before and (instead := self.before(environ)):
                return self._answer(start_response, *instead)
            status_and_headers: list[Any] = []
            content = b"".join(app(environ, lambda *arguments: status_and_headers.extend(arguments[:2])))
            if self.after and (instead := self.after(environ)):
                return self._answer(start_response, *instead)
            if self.rewrite:
                content = self.rewrite(content)
            status, headers = status_and_headers
            other_headers = [(name, value) for name, value in headers if name.lower() != "content-length"]
            return self._answer(start_response, status, other_headers, content)

        return respond

    @staticmethod
    def _answer(start_response: Any, status: str, headers: list[tuple[str, str]], content: bytes) -> list[bytes]:
        start_response(status, [*headers, ("Content-Length", str(len(content)))])
        return [content]

    def clear(self) -> None:
        """Forget the list of requests, and leave the next ones to the server."""
        self.methods, self.before, self.after, self.rewrite = [], None, None, None


class CalDavHands:
    """Does on the embedded server what people do with their own calendar programs.

    The methods are those of `Hands` in `tests/support/drafts.py`, and say there what they do.
    """

    def __init__(self, server: EmbeddedServers) -> None:
        self._server = server
        self._session = requests.Session()

    def close(self) -> None:
        self._session.close()

    def person(self, zone: str = "UTC") -> Address:
        address = f"p{next(_NUMBERS)}@example.org"
        self._server.add_person(address, zone)
        return address

    def unreadable_person(self) -> Address:
        return f"stranger{next(_NUMBERS)}@example.org"

    def add(self, address: Address, span: Span, *, show: ShowAs | None = ShowAs.BUSY) -> str:
        lines = {
            ShowAs.BUSY: [],
            None: ["TRANSP:TRANSPARENT"],
            ShowAs.TENTATIVE: ["STATUS:TENTATIVE"],
            ShowAs.AWAY: ["X-MICROSOFT-CDO-BUSYSTATUS:OOF"],
        }
        return self.put_event(address, [*make_times(span), *lines[show]])

    def add_all_day(self, address: Address, first: date, last: date, *, opaque: bool = True) -> str:
        end = last + timedelta(days=1)
        lines = [f"DTSTART;VALUE=DATE:{first:%Y%m%d}", f"DTEND;VALUE=DATE:{end:%Y%m%d}"]
        return self.put_event(address, [*lines, f"TRANSP:{'OPAQUE' if opaque else 'TRANSPARENT'}"])

    def invite(self, organizer: Address, guest: Address, span: Span, answer: Answer) -> str:
        partstat = answer.value.upper().replace("_", "-")
        lines = [
            *make_times(span),
            f"ORGANIZER:mailto:{organizer}",
            f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{organizer}",
            f"ATTENDEE;PARTSTAT={partstat}:MAILTO:{guest.upper()}",
            "ATTENDEE;CUTYPE=ROOM;PARTSTAT=ACCEPTED:mailto:room4@example.org",
        ]
        name = self.put_event(organizer, lines)
        return self.put_event(guest, lines, name)

    def add_daily(self, address: Address, span: Span, times: int) -> str:
        return self.put_event(address, [*make_times(span), f"RRULE:FREQ=DAILY;COUNT={times}"])

    def move_occurrence(self, address: Address, series: str, number: int, span: Span) -> None:
        original = self._start_of_occurrence(address, series, number)
        self._append(address, series, [*make_times(span), f"RECURRENCE-ID:{original:%Y%m%dT%H%M%SZ}"])

    def cancel_occurrence(self, address: Address, series: str, number: int) -> None:
        original = self._start_of_occurrence(address, series, number)
        text = self.text(address, series)
        self.put(address, series, text.replace("RRULE:", f"EXDATE:{original:%Y%m%dT%H%M%SZ}\r\nRRULE:", 1))

    def answer(self, organizer: Address, guest: Address, key: str, answer: Answer) -> None:
        partstat = answer.value.upper().replace("_", "-")
        self.edit(guest, key, lambda text: re.sub(r"PARTSTAT=[A-Z-]+", f"PARTSTAT={partstat}", text))

    def move(self, address: Address, key: str, span: Span) -> None:
        start, end = make_times(span)
        self.edit(address, key, lambda text: re.sub(r"DTEND:\w+", end, re.sub(r"DTSTART:\w+", start, text)))

    def delete(self, address: Address, key: str) -> None:
        self.remove(address, events.make_resource_name(key))

    def remove(self, address: Address, name: str) -> None:
        self._session.delete(self.url(address, name), timeout=10).raise_for_status()

    def expire_cursor(self, calendar: Address, cursor: str) -> str:
        """Return the cursor with sync tokens that the server does not know any more: the calendar's own, and that of
        each guest's calendar, which stands before the names of the copies there."""
        copies = json.loads(cursor)["copies"]
        expired_mark = "sync:http://radicale.org/ns/sync/" + "0" * 64
        return json.dumps(
            {"mark": expired_mark, "copies": {person: [expired_mark, names] for person, (_, names) in copies.items()}}
        )

    # --- requests and resources ------------------------------------------------------------------

    def url(self, address: Address, name: str = "") -> str:
        return self._server.caldav_url.format(email=address) + name

    def text(self, address: Address, name: str) -> str:
        """Return the iCalendar text of a resource."""
        answer = self._session.get(self.url(address, name), timeout=10)
        answer.raise_for_status()
        return answer.content.decode()

    def put(self, address: Address, name: str, text: str) -> None:
        """Write an iCalendar text, with the line ends of iCalendar."""
        content = text.replace("\r\n", "\n").replace("\n", "\r\n").encode()
        headers = {"Content-Type": "text/calendar; charset=utf-8"}
        self._session.put(self.url(address, name), content, headers=headers, timeout=10).raise_for_status()

    def put_event(self, address: Address, lines: list[str], name: str = "") -> str:
        """Write an event that is not ours, with these properties; return its resource name."""
        name = name or f"theirs-{next(_NUMBERS)}.ics"
        event = [
            "BEGIN:VEVENT",
            *(() if any(line.startswith("UID:") for line in lines) else (f"UID:{name}",)),
            "DTSTAMP:20270101T000000Z",
            "SUMMARY:Secret plans",
            *lines,
            "END:VEVENT",
        ]
        calendar = ["BEGIN:VCALENDAR", "VERSION:2.0", "PRODID:theirs", *event, "END:VCALENDAR", ""]
        self.put(address, name, "\n".join(calendar))
        return name

    def read_title_and_text(self, address: Address, key: str) -> str:
        """Return the iCalendar text of our event, which has its title and text, with unfolded lines."""
        return re.sub(r"\r?\n[ \t]", "", self.text(address, events.make_resource_name(key)))

    def edit(self, address: Address, key: str, change: Callable[[str], str]) -> None:
        """Change our event as a calendar program does: read it, change its text, write it back."""
        name = events.make_resource_name(key)
        unfolded = re.sub(r"\r?\n[ \t]", "", self.text(address, name))
        self.put(address, name, change(unfolded))

    def _append(self, address: Address, name: str, lines: list[str]) -> None:
        """Add a changed occurrence to the resource of a series."""
        event = ["BEGIN:VEVENT", f"UID:{name}", "DTSTAMP:20270101T000000Z", *lines, "END:VEVENT", "END:VCALENDAR"]
        self.put(address, name, self.text(address, name).replace("END:VCALENDAR", "\n".join(event)))

    def _start_of_occurrence(self, address: Address, name: str, number: int) -> datetime:
        """Return the start of an occurrence of a daily series. The first occurrence has the number 0."""
        match = re.search(r"DTSTART:(\w+)", self.text(address, name))
        assert match
        return datetime.strptime(match[1], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) + timedelta(days=number)


def make_times(span: Span) -> list[str]:
    """Return the start and the end of an event as properties of iCalendar."""
    return [f"DTSTART:{span.start:%Y%m%dT%H%M%SZ}", f"DTEND:{span.end:%Y%m%dT%H%M%SZ}"]


@pytest.fixture(scope="session")
def interceptor() -> RequestInterceptor:
    return RequestInterceptor()


@pytest.fixture(scope="session")
def server(tmp_path_factory: pytest.TempPathFactory, interceptor: RequestInterceptor) -> Iterator[EmbeddedServers]:
    folder: Path = tmp_path_factory.mktemp("embedded")
    with EmbeddedServers(folder, [], wrap_caldav=interceptor.wrap) as servers:
        yield servers
