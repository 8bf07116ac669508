"""Faults of a CalDAV server become errors with a message of one line, and free no time."""

import json
import logging
import socket
from contextlib import suppress
from datetime import timedelta
from io import BytesIO
from itertools import count
from pathlib import Path
from threading import Thread
from typing import Any

import pytest

from tests.providers.conftest import CalDavHands, RequestInterceptor
from tests.support.caldav import HTML_PAGE, answer_always, hide_properties, open_calendar
from tests.support.drafts import WINDOW, draft, span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
from worker.embedded import EmbeddedServers
from worker.errors import (
    AuthRevoked,
    Conflict,
    Forbidden,
    InvalidResponse,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)
from worker.logs import set_up_logging
from worker.providers import base
from worker.providers.caldav.calendar import CalDavCalendar
from worker.providers.caldav.client import read_xml

pytestmark = pytest.mark.usefixtures("untouched_server")


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (answer_always("401 Unauthorized"), AuthRevoked),
        (answer_always("403 Forbidden"), Forbidden),
        (answer_always("404 Not Found"), NotFound),
        (answer_always("412 Precondition Failed"), Conflict),
        (answer_always("429 Too Many Requests", b"", ("Retry-After", "7")), RateLimited),
        (answer_always("503 Service Unavailable", b"", ("Retry-After", "7")), RateLimited),
        (answer_always("503 Service Unavailable"), Unavailable),
        (answer_always("500 Internal Server Error"), Unavailable),
        (answer_always("507 Insufficient Storage"), Forbidden),
        (answer_always("405 Method Not Allowed"), InvalidResponse),
        (answer_always("200 OK", HTML_PAGE, ("Content-Type", "text/html")), InvalidResponse),
        (answer_always("207 Multi-Status", b"<broken", ("Content-Type", "text/xml")), InvalidResponse),
        (answer_always("207 Multi-Status", b"", ("Content-Type", "text/xml")), InvalidResponse),
    ],
)
def test_each_refusal_is_an_error_of_one_line(
    provider: CalDavCalendar,
    hands: CalDavHands,
    interceptor: RequestInterceptor,
    answer: Any,
    error: type[ProviderError],
) -> None:
    dana = hands.person()
    interceptor.before = answer
    with pytest.raises(error) as error_info:
        provider.changes(dana, None, WINDOW)
    assert str(error_info.value) and "\n" not in str(error_info.value)
    if isinstance(error_info.value, RateLimited):
        assert error_info.value.retry_after == timedelta(seconds=7)
    failed_findings = [finding for finding in provider.check(dana) if not finding.ok]
    assert failed_findings and "\n" not in failed_findings[0].remedy


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found"])
def test_unreadable_calendar_does_not_hide_the_others(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, status: str
) -> None:
    dana, sam = hands.person(), hands.person()
    interceptor.before = lambda environ: (status, [], b"") if dana in environ["PATH_INFO"] else None
    free_busy = provider.free_busy([dana, sam], WINDOW)
    assert not free_busy[dana].is_known and free_busy[dana].reason
    assert free_busy[sam].is_known


def test_fault_of_the_server_is_an_error_and_no_unknown_free_busy(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    dana = hands.person()
    interceptor.before = answer_always("503 Service Unavailable")
    with pytest.raises(Unavailable):
        provider.free_busy([dana], WINDOW)
    with pytest.raises(Unavailable):
        provider.free_busy([dana, hands.person(), hands.person()], WINDOW)


def test_calendar_with_a_temporary_fault_does_not_hide_the_others(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    """T-2, unknown time is never free: that person's time is unknown for now."""
    sam, dana, kim = hands.person(), hands.person(), hands.person()
    interceptor.before = lambda environ: ("500 Oh", [], b"") if dana in environ["PATH_INFO"] else None
    free_busy = provider.free_busy([sam, dana, kim], WINDOW)
    assert [(free_busy[person].is_known, free_busy[person].is_temporary) for person in (sam, dana, kim)] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    assert free_busy[dana].reason


def test_write_to_a_closed_port_is_not_uncertain() -> None:
    with socket.socket() as closed_port:
        closed_port.bind(("127.0.0.1", 0))
        provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")(
            {"url": f"http://127.0.0.1:{closed_port.getsockname()[1]}/{{email}}/"}
        )
        with pytest.raises(Unavailable, match="Nothing answers") as error_info:
            provider.create("dana@example.org", draft("dana@example.org"))
    assert not error_info.value.uncertain and "\n" not in str(error_info.value)


@pytest.mark.parametrize("keeps_connection", [True, False])
def test_write_without_an_answer_is_uncertain(keeps_connection: bool) -> None:
    """The server may have carried it out before it closed the connection, or before the time-out."""
    with socket.socket() as server_socket:
        server_socket.bind(("127.0.0.1", 0))
        server_socket.listen()
        connections: list[socket.socket] = []

        def accept() -> None:
            connection, _ = server_socket.accept()
            connection.recv(65536)
            connections.append(connection)
            if not keeps_connection:
                connection.close()

        server_thread = Thread(target=accept)
        server_thread.start()
        url = f"http://127.0.0.1:{server_socket.getsockname()[1]}/{{email}}/"
        provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": url, "timeout": 0.2})
        with pytest.raises(Unavailable) as error_info:
            provider.create("dana@example.org", draft("dana@example.org"))
        assert error_info.value.uncertain and "\n" not in str(error_info.value)
        server_thread.join()
        connections[0].close()


#: Entities that expand to 10 ** 31 characters.
ENTITY_BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">%s]>
<D:multistatus xmlns:D="DAV:"><D:sync-token>&a30;</D:sync-token></D:multistatus>""" % b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 31)
)

#: An entity that stands for a file of the computer.
FILE_ENTITY = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>
<D:multistatus xmlns:D="DAV:"><D:sync-token>&f;</D:sync-token></D:multistatus>"""


@pytest.mark.timeout(20)
@pytest.mark.parametrize("content", [ENTITY_BOMB, FILE_ENTITY, b"<a>" * 1_000_000, HTML_PAGE])
def test_malicious_xml_is_not_read(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, content: bytes
) -> None:
    dana, sam = hands.person(), hands.person()
    answer = ("207 Multi-Status", [("Content-Type", "text/xml")], content)
    interceptor.before = lambda environ: answer if dana in environ["PATH_INFO"] else None
    free_busy = provider.free_busy([dana, sam], WINDOW)
    assert free_busy[sam].is_known and not free_busy[dana].is_known
    assert "root:" not in free_busy[dana].reason


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "answer",
    [
        answer_always("429 Too Many Requests", b"", ("Retry-After", "9" * 30)),
        answer_always("200 OK", b"\xff\xfe\xfd", ("Content-Type", "text/calendar")),
        answer_always("404 Not Found", b"\xff\xfe\xfd", ("Content-Type", "text/plain")),
    ],
)
def test_unusual_answers_raise_only_errors_of_the_provider(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, answer: Any
) -> None:
    interceptor.before = answer
    with pytest.raises(ProviderError):
        provider.changes(hands.person(), None, WINDOW)
    with suppress(ProviderError):
        provider.find(hands.person(), "a-key")


@pytest.mark.timeout(60)
def test_endless_list_of_changes_is_replaced_by_a_full_read(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    dana, numbers = hands.person(), count()
    hands.add(dana, span(5, 9))
    cursor = provider.changes(dana, None, WINDOW).cursor

    def answer_with_another_page(environ: dict[str, Any]) -> Any:
        if environ["REQUEST_METHOD"] != "REPORT":
            return None
        body = environ["wsgi.input"].read()
        if b"sync-collection" not in body:
            environ["wsgi.input"] = BytesIO(body)  # for the server, which reads it again
            return None
        truncated = "<D:response><D:href>/</D:href><D:status>HTTP/1.1 507 More</D:status></D:response>"
        token = f"<D:sync-token>t{next(numbers)}</D:sync-token>"
        content = f'<D:multistatus xmlns:D="DAV:">{truncated}{token}</D:multistatus>'.encode()
        return "207 Multi-Status", [("Content-Type", "text/xml")], content

    interceptor.before = answer_with_another_page
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.is_full and [event.span for event in changes.events] == [span(5, 9)]


def test_sync_token_may_contain_any_characters(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    """A token is a URL, which may contain several parameters."""
    dana, sent_tokens = hands.person(), []
    cursor = provider.changes(dana, None, WINDOW).cursor

    def answer_with_a_token(environ: dict[str, Any]) -> Any:
        if environ["REQUEST_METHOD"] != "REPORT":
            return None
        sent_tokens.append(read_xml(environ["wsgi.input"].read(), "").findtext("{DAV:}sync-token"))
        token = "<D:sync-token>https://x.example/?a=1&amp;b=2</D:sync-token>"
        content = f'<D:multistatus xmlns:D="DAV:">{token}</D:multistatus>'.encode()
        return "207 Multi-Status", [("Content-Type", "text/xml")], content

    interceptor.before = answer_with_a_token
    provider.changes(dana, provider.changes(dana, cursor, WINDOW).cursor, WINDOW)
    assert sent_tokens[-1] == "https://x.example/?a=1&b=2"


def test_unreadable_answer_is_not_logged(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, capfd: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    handlers_and_level = root.handlers[:], root.level
    dana = hands.person()
    interceptor.before = answer_always("207 Multi-Status", b"<broken>Secret plans", ("Content-Type", "text/xml"))
    try:
        set_up_logging()
        with pytest.raises(InvalidResponse):
            provider.changes(dana, None, WINDOW)
    finally:
        root.handlers[:], level = handlers_and_level
        root.setLevel(level)
    assert "Secret" not in capfd.readouterr().err


@pytest.mark.parametrize("url", ["not a url/{email}", "ftp://example.org/{email}/", "http://nowhere.invalid/{email}/"])
def test_check_reports_an_unreachable_url(url: str) -> None:
    provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": url, "timeout": 2})
    [finding] = provider.check("dana@example.org")
    assert not finding.ok and "caldav.url" in finding.remedy and "\n" not in finding.remedy


def test_unknown_placeholder_in_the_url_is_an_error() -> None:
    with pytest.raises(NotFound, match=r"only \{email\} and \{user\}"):
        base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": "http://example.org/{mail}/"})


def test_check_reports_a_collection_that_is_no_calendar(server: EmbeddedServers, hands: CalDavHands) -> None:
    dana = hands.person()
    provider = open_calendar(server, url=server.caldav_url.removesuffix("calendar/"))
    failed_findings = [finding for finding in provider.check(dana) if not finding.ok]
    assert len(failed_findings) == 1 and "path in caldav.url" in failed_findings[0].remedy


def test_check_reports_a_calendar_without_the_right_to_write(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    dana = hands.person()
    interceptor.rewrite = hide_properties("write", "write-content", "all")
    failed_findings = [finding for finding in provider.check(dana) if not finding.ok]
    assert len(failed_findings) == 1 and "right to write" in failed_findings[0].remedy
    interceptor.rewrite = hide_properties("current-user-privilege-set")
    assert all(finding.ok for finding in provider.check(dana))


def test_configured_log_in_is_used_and_a_wrong_one_is_an_error(tmp_path: Path) -> None:
    with EmbeddedServers(tmp_path, ["dana@example.org"], username="longarc", password="right") as server:
        calendar = open_calendar(server, username="longarc", password="right")
        assert calendar.create("dana@example.org", draft("dana@example.org")).key
        assert all(finding.ok for finding in calendar.check("dana@example.org"))
        calendar.close()
        for password in ("wrong", None):
            refused_calendar = open_calendar(server, username="longarc", password=password)
            with pytest.raises(AuthRevoked, match=r"caldav\.username") as error_info:
                refused_calendar.changes("dana@example.org", None, WINDOW)
            assert "\n" not in str(error_info.value) and "wrong" not in str(error_info.value)
            refused_calendar.close()


def test_cursor_is_small_and_contains_no_content(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana, sam = hands.person(), hands.person()
    drafts = [draft(dana, sam, span=span(9 + number, 10)) for number in range(5)]
    for event_draft in drafts:
        provider.create(dana, event_draft)
    cursor = provider.changes(dana, None, WINDOW).cursor
    assert set(json.loads(cursor)) == {"mark", "copies"} and len(cursor) < 1000
    assert not any(event_draft.title in cursor for event_draft in drafts)
