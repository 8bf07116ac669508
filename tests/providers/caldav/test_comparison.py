"""Which of many calendars have changed is known after one request, and never told wrongly (R-9: nothing is missed)."""

import json
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Any
from xml.sax.saxutils import escape

import pytest
import requests

from tests.providers.conftest import CalDavHands, RequestInterceptor
from tests.support.caldav import hide_properties, refuse_sync_tokens
from tests.support.drafts import WINDOW, draft, span
from tests.support.loopback import Loopback, Request, serve
from worker.clock import SteppedClock
from worker.domain.model import Address, Answer, Cursor
from worker.embedded import EmbeddedServers
from worker.providers import base
from worker.providers.caldav.calendar import CalDavCalendar
from worker.providers.caldav.client import DavClient
from worker.providers.caldav.comparison import ENTRIES_PER_CALENDAR, split_url
from worker.providers.caldav.copy_records import InMemoryCopyRecords

pytestmark = pytest.mark.usefixtures("undisturbed")

START = datetime(2027, 3, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)
_FOLDERS = count(1)


class FolderHands(CalDavHands):
    """People whose calendars lie side by side in one folder of their own company."""

    def __init__(self, server: EmbeddedServers) -> None:
        super().__init__(server)
        self.folder = server.caldav_url.replace("{email}/calendar/", f"company{next(_FOLDERS)}/")
        self._ask("MKCOL", self.folder)

    def person(self, zone: str = "UTC") -> Address:
        address = f"a person {next(_FOLDERS)}@example.org"
        self._ask("MKCALENDAR", self.url(address))
        return address

    def url(self, address: Address, name: str = "") -> str:
        return f"{self.folder}{address.partition('@')[0]}/{name}"

    def _ask(self, method: str, url: str) -> None:
        requests.request(method, url, timeout=10).raise_for_status()


@pytest.fixture
def folder(server: EmbeddedServers) -> Iterator[FolderHands]:
    made = FolderHands(server)
    yield made
    made.close()


@pytest.fixture
def records() -> InMemoryCopyRecords:
    return InMemoryCopyRecords()


@pytest.fixture
def provider(folder: FolderHands) -> Iterator[CalDavCalendar]:
    made = CalDavCalendar(DavClient(None, None, 10), f"{folder.folder}{{user}}/")
    yield made
    made.close()


@pytest.fixture
def copying(folder: FolderHands, records: InMemoryCopyRecords) -> Iterator[CalDavCalendar]:
    """A provider that places copies."""
    made = CalDavCalendar(DavClient(None, None, 10), f"{folder.folder}{{user}}/", attendee_copies=True, records=records)
    yield made
    made.close()


def read_all(provider: CalDavCalendar, people: list[Address]) -> dict[Address, Cursor]:
    """A cursor of each person's calendar as it is now."""
    return {person: provider.changes(person, None, WINDOW).cursor for person in people}


# --- on a real server -------------------------------------------------------------------------------------------------


def test_one_change_on_fifty_calendars_costs_two_requests(
    provider: CalDavCalendar, folder: FolderHands, interceptor: RequestInterceptor
) -> None:
    people = [folder.person() for _ in range(50)]
    folder.add(people[0], span(4, 9))
    cursors = read_all(provider, people)
    folder.add(people[7], span(5, 9))
    interceptor.methods.clear()
    unchanged = provider.find_unchanged(cursors)
    for person in people:
        if person not in unchanged:
            provider.changes(person, cursors[person], WINDOW)
    assert set(people) - unchanged == {people[7]}
    assert interceptor.methods == ["PROPFIND", "REPORT"]


def test_after_the_change_is_read_nothing_has_changed(provider: CalDavCalendar, folder: FolderHands) -> None:
    """Tokens that come with changes are those that the folder lists."""
    dana, sam = folder.person(), folder.person()
    cursors = read_all(provider, [dana, sam])
    first, second = folder.add(dana, span(5, 9)), folder.add(dana, span(6, 9))
    for event in (first, second):
        folder.remove(dana, event)
        assert provider.find_unchanged(cursors) == {sam}
        cursors[dana] = provider.changes(dana, cursors[dana], WINDOW).cursor
        assert provider.find_unchanged(cursors) == {dana, sam}


@pytest.mark.parametrize(("unknown", "told"), [(["sync-token"], True), (["sync-token", "getctag"], False)])
def test_a_server_without_tokens_is_compared_by_its_ctags_or_not_at_all(
    provider: CalDavCalendar, folder: FolderHands, interceptor: RequestInterceptor, unknown: list[str], told: bool
) -> None:
    people = [folder.person() for _ in range(3)]
    interceptor.before, interceptor.rewrite = refuse_sync_tokens, hide_properties(*unknown)
    cursors = read_all(provider, people)
    folder.add(people[0], span(5, 9))
    interceptor.methods.clear()
    assert provider.find_unchanged(cursors) == (set(people[1:]) if told else set())
    assert interceptor.methods == (["PROPFIND"] if told else [])  # a hash of all etags is in no list


def test_no_more_than_the_marks_is_asked_for(
    provider: CalDavCalendar, folder: FolderHands, interceptor: RequestInterceptor
) -> None:
    cursors = read_all(provider, [folder.person(), folder.person()])
    asked: list[bytes] = []
    interceptor.before = lambda environ: asked.append(environ["wsgi.input"].read())
    provider.find_unchanged(cursors)
    assert asked[0].count(b"<D:sync-token/><CS:getctag/>") == 1 and asked[0].count(b"/>") == 2


@pytest.mark.parametrize("cursor", ["", "{}", "not json", '{"mark":"","copies":{}}', '{"mark":"etags:1","copies":{}}'])
def test_a_cursor_that_can_t_be_compared_is_told_changed(
    provider: CalDavCalendar, folder: FolderHands, cursor: Cursor
) -> None:
    people = [folder.person() for _ in range(3)]
    cursors = read_all(provider, people) | {people[0]: cursor}
    assert provider.find_unchanged(cursors) == set(people[1:])


def test_a_dead_cursor_is_told_changed(provider: CalDavCalendar, folder: FolderHands) -> None:
    people = [folder.person() for _ in range(3)]
    cursors = read_all(provider, people)
    cursors[people[0]] = folder.expire_cursor(people[0], cursors[people[0]])
    assert provider.find_unchanged(cursors) == set(people[1:])


def test_a_calendar_that_is_gone_is_told_changed(provider: CalDavCalendar, folder: FolderHands) -> None:
    people = [folder.person() for _ in range(3)]
    cursors = read_all(provider, people)
    folder.remove(people[0], "")
    assert provider.find_unchanged(cursors) == set(people[1:])


def test_a_calendar_alone_in_its_folder_costs_no_request(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    """Also where each person's folder holds a calendar of theirs alone."""
    provider = CalDavCalendar(DavClient(None, None, 10), server.caldav_url)
    cursors = read_all(provider, [hands.person() for _ in range(3)])
    interceptor.methods.clear()
    assert provider.find_unchanged(cursors) == set()
    assert provider.find_unchanged({}) == set()
    assert interceptor.methods == []


def test_a_calendar_of_two_people_is_alone_in_its_folder(
    provider: CalDavCalendar, folder: FolderHands, interceptor: RequestInterceptor
) -> None:
    dana = folder.person()
    cursors = read_all(provider, [dana, dana.replace("example.org", "example.com")])
    interceptor.methods.clear()
    assert provider.find_unchanged(cursors) == set() and interceptor.methods == []


# --- with copies ------------------------------------------------------------------------------------------------------


def test_a_calendar_with_copies_is_unchanged_when_its_guests_calendars_are(
    copying: CalDavCalendar, folder: FolderHands, interceptor: RequestInterceptor
) -> None:
    """An answer is a change of the organizer's calendar, though it stands on the guest's."""
    dana, kim, *sams = [folder.person() for _ in range(5)]
    drafts = [draft(dana, sam) for sam in sams]
    for one in drafts:
        copying.create(dana, one)
    cursors = read_all(copying, [dana, kim])
    interceptor.methods.clear()
    assert copying.find_unchanged(cursors) == {dana, kim}
    assert interceptor.methods == ["PROPFIND"]
    folder.answer(dana, sams[1], drafts[1].key, Answer.DECLINED)
    assert copying.find_unchanged(cursors) == {kim}
    changes = copying.changes(dana, cursors[dana], WINDOW)
    assert [event.answers for event in changes.events] == [{sams[1]: Answer.DECLINED}]
    cursors[dana] = changes.cursor
    assert copying.find_unchanged(cursors) == {dana, kim}
    folder.delete(sams[0], drafts[0].key)
    assert copying.find_unchanged(cursors) == {kim}


def test_a_copy_that_still_has_to_be_placed_or_removed_is_a_change(
    copying: CalDavCalendar, folder: FolderHands, records: InMemoryCopyRecords
) -> None:
    """The ordinary read completes what broke off, so it has to take place."""
    dana, sam, kim = folder.person(), folder.person(), folder.person()
    wanted = draft(dana, sam)
    event = copying.create(dana, wanted)
    cursors = read_all(copying, [dana, kim])
    assert copying.find_unchanged(cursors) == {dana, kim}
    records.forget_copies(dana, event.ref.id, [sam])
    records.intend_copy(dana, event.ref.id, sam)
    assert copying.find_unchanged(cursors) == {kim}
    cursors[dana] = copying.changes(dana, cursors[dana], WINDOW).cursor
    assert copying.find_unchanged(cursors) == {dana, kim}
    records.confirm_copy(dana, "longarc-another.ics", sam)
    assert copying.find_unchanged(cursors) == {kim}


def test_guests_in_folders_of_their_own_leave_the_calendar_to_be_read(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    provider = CalDavCalendar(DavClient(None, None, 10), server.caldav_url, attendee_copies=True)
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    cursors = read_all(provider, [dana])
    interceptor.methods.clear()
    assert provider.find_unchanged(cursors) == set() and interceptor.methods == []


# --- odd answers ------------------------------------------------------------------------------------------------------


def entry(href: str, *, token: str = "", ctag: str = "", status: str = "") -> str:
    """One response of a list, as a server writes it."""
    properties = "".join(
        f"<{name}>{escape(text)}</{name}>" for name, text in (("D:sync-token", token), ("CS:getctag", ctag)) if text
    )
    found = f"<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
    if status:
        found = f"<D:status>HTTP/1.1 {status}</D:status>"
    return f"<D:response><D:href>{href}</D:href>{found}</D:response>"


def listing(*entries: str) -> bytes:
    spaces = 'xmlns:D="DAV:" xmlns:CS="http://calendarserver.org/ns/"'
    return f"<D:multistatus {spaces}>{''.join(entries)}</D:multistatus>".encode()


def expect(**marks: str) -> dict[Address, Cursor]:
    """Cursors that hold these marks, by the part of the address before the @."""
    return {
        f"{user}@example.org": json.dumps({"mark": mark.replace("_", ":", 1), "copies": {}})
        for user, mark in marks.items()
    }


def users(found: Any) -> str:
    return " ".join(sorted(address.partition("@")[0] for address in found))


EXPECTED = expect(dana="sync_t1", sam="sync_t2", kim="ctag_c3")


def list_with(prefix: str) -> bytes:
    """A list of all three calendars, unchanged."""
    return listing(
        entry(prefix),
        entry(f"{prefix}dana/", token="t1", ctag="c1"),
        entry(f"{prefix}sam/", token="t2"),
        entry(f"{prefix}kim/", token="t9", ctag="c3"),
    )


def ask(
    content: bytes, cursors: Mapping[Address, Cursor] = EXPECTED, path: str = "team/{user}/", status: int = 207
) -> tuple[str, Loopback]:
    """Who is unchanged by such a list, and the server that was asked."""
    with serve(lambda request: request.reply(status, content)) as server:
        provider = CalDavCalendar(DavClient(None, None, 5), f"{server.url}{path}")
        found = users(provider.find_unchanged(cursors))
        provider.close()
    return found, server


@pytest.mark.parametrize(
    ("path", "prefix"),
    [
        ("team/{user}/", "/team/"),
        ("team/{user}", "/team/"),
        ("team/{user}/", "http://dav.example.org/team/"),
        ("team/{user}/", ""),
        ("a%20team/{user}/", "/a%20team/"),
        ("a%20team/{user}/", "/%61%20team/"),
        ("proxied/team/{user}/", "/team/"),
        ("team/{user}/", "/proxied/team/"),
        ("{user}/", "/"),
    ],
)
def test_calendars_are_known_however_the_list_writes_their_addresses(path: str, prefix: str) -> None:
    found, server = ask(list_with(prefix), path=path)
    assert found == "dana kim sam"
    [request] = server.requests
    assert request.path == f"/{path.partition('{')[0]}" and request.headers["Depth"] == "1"


def test_names_are_compared_unquoted() -> None:
    cursors = {"däna o@example.org": expect(x="sync_t1")["x@example.org"], **expect(sam="sync_t2")}
    content = listing(entry("/team/d%C3%A4na%20o%40example.org/", token="t1"), entry("/team/sam%40example%2Eorg/"))
    assert ask(content, cursors, "team/{email}/")[0] == "däna o"


@pytest.mark.parametrize(
    ("content", "unchanged"),
    [
        # a token is compared as it is
        (listing(entry("/team/dana/", token="http://x/ns/sync/t1"), entry("/team/sam/", token="t2")), "sam"),
        # a ctag is no sync token
        (listing(entry("/team/dana/", ctag="t1"), entry("/team/sam/", token="t2")), "sam"),
        # a list that goes deeper than it was asked to
        (listing(entry("/team/old/dana/", token="t1"), entry("/team/sam/", token="t2")), "sam"),
        # two of one name
        (listing(entry("/team/dana/", token="t1"), entry("dana/", token="t5"), entry("/team/sam/", token="t2")), "sam"),
        # one is out of reach
        (listing(entry("/team/dana/", status="403 Forbidden"), entry("/team/sam/", token="t2")), "sam"),
        # the list was cut off
        (listing(entry("/team/sam/", token="t2"), entry("/team/", status="507 Insufficient Storage")), "sam"),
    ],
)
def test_what_is_not_certain_is_told_changed(content: bytes, unchanged: str) -> None:
    assert ask(content)[0] == unchanged


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (403, b""),
        (401, b""),
        (404, b""),
        (405, b""),
        (501, b""),
        (207, listing()),
        (207, listing(entry("/team/"), entry("/team/dana/"), entry("/team/sam/"))),  # no tokens
        (207, listing(entry("/team/dana/", ctag="c1"), entry("/team/sam/", ctag="c2"))),  # of another kind
        (207, listing(entry("/team/eve/", token="t1"), entry("/team/joe/", token="t2"))),  # of others
        (200, b"<html>Welcome</html>"),
        (207, b"<broken"),
    ],
)
def test_a_folder_that_tells_nothing_is_asked_once_a_day(status: int, content: bytes) -> None:
    replies = [(status, content), (207, list_with("/team/"))]
    cursors = expect(dana="sync_t1", sam="sync_t2")

    def answer(request: Request) -> None:
        request.reply(*replies[0])

    with serve(answer) as server:
        clock = SteppedClock(START)
        provider = CalDavCalendar(DavClient(None, None, 5), f"{server.url}team/{{user}}/", clock=clock)
        assert provider.find_unchanged(cursors) == set()
        replies.pop(0)
        asked = len(server.requests)  # a refused log-in is tried once more
        clock.advance(DAY - timedelta(minutes=1))
        assert provider.find_unchanged(cursors) == set() and len(server.requests) == asked
        clock.advance(timedelta(minutes=1))
        assert users(provider.find_unchanged(cursors)) == "dana sam"
        provider.close()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_a_server_out_of_order_is_asked_again_soon(status: int) -> None:
    replies: list[tuple[int, bytes]] = [(status, b""), (207, list_with("/team/"))]
    with serve(lambda request: request.reply(*replies.pop(0))) as server:
        clock = SteppedClock(START)
        provider = CalDavCalendar(DavClient(None, None, 5), f"{server.url}team/{{user}}/", clock=clock)
        assert provider.find_unchanged(EXPECTED) == set()
        clock.advance(timedelta(minutes=9))
        assert provider.find_unchanged(EXPECTED) == set() and len(server.requests) == 1
        clock.advance(timedelta(minutes=1))
        assert users(provider.find_unchanged(EXPECTED)) == "dana kim sam"
        provider.close()


def test_a_list_much_longer_than_what_is_compared_is_not_worth_it() -> None:
    """It is asked for again for more calendars, or after a day: it may be shorter then."""
    others = [entry(f"/team/other{number}/", token="t") for number in range(3 * ENTRIES_PER_CALENDAR - 2)]
    content = listing(entry("/team/dana/", token="t1"), entry("/team/sam/", token="t2"), *others)
    few, more = expect(dana="sync_t1", sam="sync_t2"), expect(dana="sync_t1", sam="sync_t2", other1="sync_t")
    asked: list[tuple[str, int]] = []
    with serve(lambda request: request.reply(content=content)) as server:
        clock = SteppedClock(START)
        provider = CalDavCalendar(DavClient(None, None, 5), f"{server.url}team/{{user}}/", clock=clock)
        for cursors, wait in ((few, DAY / 2), (few, timedelta()), (more, DAY / 2), (few, DAY / 2), (few, timedelta())):
            asked.append((users(provider.find_unchanged(cursors)), len(server.requests)))
            clock.advance(wait)
        provider.close()
    assert asked == [("dana sam", 1), ("", 1), ("dana other1 sam", 2), ("", 2), ("dana sam", 3)]


def test_a_redirect_of_the_folder_is_followed_within_the_host_alone() -> None:
    def answer(request: Request) -> None:
        if request.path == "/team/":
            request.reply(301, b"", Location=targets[0])
        else:
            request.reply(content=list_with("/new/team/"))

    targets = ["/new/team/"]
    with serve(answer) as server, serve(answer) as other:
        for target, told in (("/new/team/", "dana kim sam"), (f"{other.url}new/team/", "")):
            targets[:] = [target]
            provider = CalDavCalendar(DavClient("longarc", "secret", 5), f"{server.url}team/{{user}}/")
            assert users(provider.find_unchanged(EXPECTED)) == told
            provider.close()
        assert other.requests == []


@pytest.mark.parametrize(
    ("url", "parts"),
    [
        ("https://host/team/dana/", ("https://host/team/", "dana")),
        ("https://host/team/dana", ("https://host/team/", "dana")),
        ("https://host/team/d%40x/", ("https://host/team/", "d@x")),
        ("https://host/dana/", ("https://host/", "dana")),
        ("https://dana.host/", ("", "")),
        ("https://dana.host", ("", "")),
        ("https://host/cal.php?user=dana", ("", "")),
        ("https://[::1/dana/", ("", "")),
    ],
)
def test_the_folder_of_a_calendar_is_one_level_up(url: str, parts: tuple[str, str]) -> None:
    assert split_url(url) == parts


@pytest.mark.parametrize("url", ["not a url/{user}", "ftp://example.org/{user}/", "http://nowhere.invalid/{user}/"])
def test_an_address_that_leads_nowhere_tells_nothing(url: str) -> None:
    provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": url, "timeout": 2})
    assert provider.find_unchanged(EXPECTED) == set()
