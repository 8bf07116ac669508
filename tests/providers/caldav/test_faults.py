"""What stands in the way of the CalDAV provider is told in one line."""

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
from tests.support.drafts import WINDOW, draft, span
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

pytestmark = pytest.mark.usefixtures("undisturbed")


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
def test_each_refusal_is_one_clear_line(
    provider: CalDavCalendar,
    hands: CalDavHands,
    interceptor: RequestInterceptor,
    answer: Any,
    error: type[ProviderError],
) -> None:
    dana = hands.person()
    interceptor.before = answer
    with pytest.raises(error) as caught:
        provider.changes(dana, None, WINDOW)
    assert str(caught.value) and "\n" not in str(caught.value)
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after == timedelta(seconds=7)
    failed = [finding for finding in provider.check(dana) if not finding.ok]
    assert failed and "\n" not in failed[0].remedy


@pytest.mark.parametrize("status", ["401 Unauthorized", "403 Forbidden", "404 Not Found"])
def test_one_person_out_of_reach_does_not_hide_the_others(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, status: str
) -> None:
    dana, sam = hands.person(), hands.person()
    interceptor.before = lambda environ: (status, [], b"") if dana in environ["PATH_INFO"] else None
    found = provider.free_busy([dana, sam], WINDOW)
    assert not found[dana].is_known and found[dana].reason
    assert found[sam].is_known


def test_a_server_out_of_order_is_not_a_person_out_of_reach(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    dana = hands.person()
    interceptor.before = answer_always("503 Service Unavailable")
    with pytest.raises(Unavailable):
        provider.free_busy([dana], WINDOW)
    with pytest.raises(Unavailable):
        provider.free_busy([dana, hands.person(), hands.person()], WINDOW)


def test_one_person_who_cannot_be_read_now_waits_alone(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    """T-2: unknown for now, and no reason to keep the others waiting."""
    sam, dana, kim = hands.person(), hands.person(), hands.person()
    interceptor.before = lambda environ: ("500 Oh", [], b"") if dana in environ["PATH_INFO"] else None
    times = provider.free_busy([sam, dana, kim], WINDOW)
    assert [(times[who].is_known, times[who].is_temporary) for who in (sam, dana, kim)] == [
        (True, False),
        (False, True),
        (True, False),
    ]
    assert times[dana].reason


def test_where_nothing_listens_nothing_is_uncertain() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")(
            {"url": f"http://127.0.0.1:{taken.getsockname()[1]}/{{email}}/"}
        )
        with pytest.raises(Unavailable, match="Nothing answers") as caught:
            provider.create("dana@example.org", draft("dana@example.org"))
    assert not caught.value.uncertain and "\n" not in str(caught.value)


@pytest.mark.parametrize("silent", [True, False])
def test_a_server_that_takes_and_never_answers_leaves_a_write_uncertain(silent: bool) -> None:
    """The time it may take is bounded, and nobody claims to know what became of the write."""
    with socket.socket() as listening:
        listening.bind(("127.0.0.1", 0))
        listening.listen()
        held: list[socket.socket] = []

        def take() -> None:
            taken, _ = listening.accept()
            taken.recv(65536)
            held.append(taken)
            if not silent:
                taken.close()

        waiting = Thread(target=take)
        waiting.start()
        url = f"http://127.0.0.1:{listening.getsockname()[1]}/{{email}}/"
        provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": url, "timeout": 0.2})
        with pytest.raises(Unavailable) as caught:
            provider.create("dana@example.org", draft("dana@example.org"))
        assert caught.value.uncertain and "\n" not in str(caught.value)
        waiting.join()
        held[0].close()


BOMB = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a0 "aaaaaaaaaa">%s]>
<D:multistatus xmlns:D="DAV:"><D:sync-token>&a30;</D:sync-token></D:multistatus>""" % b"".join(
    b'<!ENTITY a%d "%s">' % (n, b"&a%d;" % (n - 1) * 10) for n in range(1, 31)
)

FILE = b"""<?xml version="1.0"?><!DOCTYPE x [<!ENTITY f SYSTEM "file:///etc/passwd">]>
<D:multistatus xmlns:D="DAV:"><D:sync-token>&f;</D:sync-token></D:multistatus>"""


@pytest.mark.timeout(20)
@pytest.mark.parametrize("content", [BOMB, FILE, b"<a>" * 1_000_000, HTML_PAGE])
def test_xml_that_is_meant_to_harm_is_read_as_nothing(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, content: bytes
) -> None:
    dana, sam = hands.person(), hands.person()
    harm = ("207 Multi-Status", [("Content-Type", "text/xml")], content)
    interceptor.before = lambda environ: harm if dana in environ["PATH_INFO"] else None
    found = provider.free_busy([dana, sam], WINDOW)
    assert found[sam].is_known and not found[dana].busy
    assert "root:" not in found[dana].reason


@pytest.mark.timeout(20)
@pytest.mark.parametrize(
    "answer",
    [
        answer_always("429 Too Many Requests", b"", ("Retry-After", "9" * 30)),
        answer_always("200 OK", b"\xff\xfe\xfd", ("Content-Type", "text/calendar")),
        answer_always("404 Not Found", b"\xff\xfe\xfd", ("Content-Type", "text/plain")),
    ],
)
def test_whatever_a_server_says_only_errors_of_ours_are_raised(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, answer: Any
) -> None:
    interceptor.before = answer
    with pytest.raises(ProviderError):
        provider.changes(hands.person(), None, WINDOW)
    with suppress(ProviderError):
        provider.find(hands.person(), "a-key")


@pytest.mark.timeout(60)
def test_changes_that_never_come_to_an_end_are_a_full_pass(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    dana, number = hands.person(), count()
    hands.add(dana, span(5, 9))
    cursor = provider.changes(dana, None, WINDOW).cursor

    def more(environ: dict[str, Any]) -> Any:
        if environ["REQUEST_METHOD"] != "REPORT" or b"sync-collection" not in (body := environ["wsgi.input"].read()):
            environ["wsgi.input"] = BytesIO(body) if environ["REQUEST_METHOD"] == "REPORT" else environ["wsgi.input"]
            return None
        rest = "<D:response><D:href>/</D:href><D:status>HTTP/1.1 507 More</D:status></D:response>"
        token = f"<D:sync-token>t{next(number)}</D:sync-token>"
        content = f'<D:multistatus xmlns:D="DAV:">{rest}{token}</D:multistatus>'.encode()
        return "207 Multi-Status", [("Content-Type", "text/xml")], content

    interceptor.before = more
    found = provider.changes(dana, cursor, WINDOW)
    assert found.is_full and [event.span for event in found.events] == [span(5, 9)]


def test_a_sync_token_may_hold_any_characters(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    """A token is an address, which may well have several parameters."""
    dana, sent = hands.person(), []
    cursor = provider.changes(dana, None, WINDOW).cursor

    def look(environ: dict[str, Any]) -> Any:
        if environ["REQUEST_METHOD"] != "REPORT":
            return None
        sent.append(read_xml(environ["wsgi.input"].read(), "").findtext("{DAV:}sync-token"))
        token = "<D:sync-token>https://x.example/?a=1&amp;b=2</D:sync-token>"
        content = f'<D:multistatus xmlns:D="DAV:">{token}</D:multistatus>'.encode()
        return "207 Multi-Status", [("Content-Type", "text/xml")], content

    interceptor.before = look
    provider.changes(dana, provider.changes(dana, cursor, WINDOW).cursor, WINDOW)
    assert sent[-1] == "https://x.example/?a=1&b=2"


def test_no_answer_that_could_not_be_read_is_logged(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, capfd: pytest.CaptureFixture[str]
) -> None:
    root = logging.getLogger()
    before = root.handlers[:], root.level
    dana = hands.person()
    interceptor.before = answer_always("207 Multi-Status", b"<broken>Secret plans", ("Content-Type", "text/xml"))
    try:
        set_up_logging()
        with pytest.raises(InvalidResponse):
            provider.changes(dana, None, WINDOW)
    finally:
        root.handlers[:], level = before
        root.setLevel(level)
    assert "Secret" not in capfd.readouterr().err


@pytest.mark.parametrize("url", ["not a url/{email}", "ftp://example.org/{email}/", "http://nowhere.invalid/{email}/"])
def test_an_address_that_leads_nowhere_is_one_clear_line(url: str) -> None:
    provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": url, "timeout": 2})
    [finding] = provider.check("dana@example.org")
    assert not finding.ok and "caldav.url" in finding.remedy and "\n" not in finding.remedy


def test_an_unknown_place_in_the_address_is_named() -> None:
    with pytest.raises(NotFound, match=r"only \{email\} and \{user\}"):
        base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": "http://example.org/{mail}/"})


def test_a_collection_that_is_no_calendar_is_found_out(server: EmbeddedServers, hands: CalDavHands) -> None:
    dana = hands.person()
    provider = open_calendar(server, url=server.caldav_url.removesuffix("calendar/"))
    failed = [finding for finding in provider.check(dana) if not finding.ok]
    assert len(failed) == 1 and "path in caldav.url" in failed[0].remedy


def test_a_calendar_we_may_only_read_is_found_out(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    dana = hands.person()
    interceptor.rewrite = hide_properties("write", "write-content", "all")
    failed = [finding for finding in provider.check(dana) if not finding.ok]
    assert len(failed) == 1 and "right to write" in failed[0].remedy
    interceptor.rewrite = hide_properties("current-user-privilege-set")
    assert all(finding.ok for finding in provider.check(dana))


def test_the_log_in_is_used_and_a_wrong_one_is_one_clear_line(tmp_path: Path) -> None:
    with EmbeddedServers(tmp_path, ["dana@example.org"], username="longarc", password="right") as server:
        good = open_calendar(server, username="longarc", password="right")
        assert good.create("dana@example.org", draft("dana@example.org")).key
        assert all(finding.ok for finding in good.check("dana@example.org"))
        good.close()
        for password in ("wrong", None):
            bad = open_calendar(server, username="longarc", password=password)
            with pytest.raises(AuthRevoked, match=r"caldav\.username") as caught:
                bad.changes("dana@example.org", None, WINDOW)
            assert "\n" not in str(caught.value) and "wrong" not in str(caught.value)
            bad.close()


def test_a_cursor_is_small_and_holds_no_content(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana, sam = hands.person(), hands.person()
    for number in range(5):
        provider.create(dana, draft(dana, sam, span=span(9 + number, 10)))
    cursor = provider.changes(dana, None, WINDOW).cursor
    assert set(json.loads(cursor)) == {"mark", "copies"} and len(cursor) < 1000
    assert "Career" not in cursor
