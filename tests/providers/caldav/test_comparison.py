"""With one request, the provider finds which of many calendars are unchanged; a changed one is never missed, so that
what people change by hand is respected (R-9)."""

import json
from collections.abc import Iterable, Iterator, Mapping
from datetime import UTC, datetime, timedelta
from itertools import count
from xml.sax.saxutils import escape

import pytest
import requests

from tests.providers.conftest import CalDavHands, RequestInterceptor
from tests.support.caldav import hide_properties, refuse_sync_tokens
from tests.support.drafts import WINDOW, draft, span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
from tests.support.loopback import Loopback, Request, serve
from worker.clock import SteppedClock
from worker.domain.model import Address, Answer, Cursor
from worker.embedded import EmbeddedServers
from worker.providers import base
from worker.providers.caldav.calendar import CalDavCalendar
from worker.providers.caldav.client import DavClient
from worker.providers.caldav.comparison import ENTRIES_PER_CALENDAR, split_folder_and_name
from worker.providers.caldav.copy_records import InMemoryCopyRecords

pytestmark = pytest.mark.usefixtures("untouched_server")

START = datetime(2027, 3, 1, 9, tzinfo=UTC)
DAY = timedelta(days=1)
_NUMBERS = count(1)


class FolderHands(CalDavHands):
    """Hands for people whose calendars are side by side in one folder; each instance has its own folder."""

    def __init__(self, server: EmbeddedServers) -> None:
        super().__init__(server)
        self.folder = server.caldav_url.replace("{email}/calendar/", f"company{next(_NUMBERS)}/")
        self._send_request("MKCOL", self.folder)

    def person(self, zone: str = "UTC") -> Address:
        address = f"a person {next(_NUMBERS)}@example.org"  # with blanks, which are quoted in the URL of the calendar
        self._send_request("MKCALENDAR", self.url(address))
        return address

    def url(self, address: Address, name: str = "") -> str:
        return f"{self.folder}{address.partition('@')[0]}/{name}"

    def _send_request(self, method: str, url: str) -> None:
        requests.request(method, url, timeout=10).raise_for_status()


@pytest.fixture
def folder_hands(server: EmbeddedServers) -> Iterator[FolderHands]:
    hands = FolderHands(server)
    yield hands
    hands.close()


@pytest.fixture
def records() -> InMemoryCopyRecords:
    return InMemoryCopyRecords()


@pytest.fixture
def provider(folder_hands: FolderHands) -> Iterator[CalDavCalendar]:
    calendar = CalDavCalendar(DavClient(None, None, 10), f"{folder_hands.folder}{{user}}/")
    yield calendar
    calendar.close()


@pytest.fixture
def copying_provider(folder_hands: FolderHands, records: InMemoryCopyRecords) -> Iterator[CalDavCalendar]:
    """The provider that places copies in the calendars of guests."""
    calendar = CalDavCalendar(
        DavClient(None, None, 10), f"{folder_hands.folder}{{user}}/", attendee_copies=True, records=records
    )
    yield calendar
    calendar.close()


def read_cursors(provider: CalDavCalendar, people: list[Address]) -> dict[Address, Cursor]:
    """Return a cursor for the present state of each person's calendar."""
    return {person: provider.changes(person, None, WINDOW).cursor for person in people}


# --- on a real server -------------------------------------------------------------------------------------------------


def test_one_change_on_fifty_calendars_costs_two_requests(
    provider: CalDavCalendar, folder_hands: FolderHands, interceptor: RequestInterceptor
) -> None:
    people = [folder_hands.person() for _ in range(50)]
    folder_hands.add(people[0], span(4, 9))
    cursors = read_cursors(provider, people)
    folder_hands.add(people[7], span(5, 9))
    interceptor.methods.clear()
    unchanged = provider.find_unchanged(cursors)
    for person in people:
        if person not in unchanged:
            provider.changes(person, cursors[person], WINDOW)
    assert set(people) - unchanged == {people[7]}
    assert interceptor.methods == ["PROPFIND", "REPORT"]


def test_calendar_is_unchanged_once_its_changes_are_read(provider: CalDavCalendar, folder_hands: FolderHands) -> None:
    """The sync token that comes with the changes is the one that the folder lists."""
    dana, sam = folder_hands.person(), folder_hands.person()
    cursors = read_cursors(provider, [dana, sam])
    first, second = folder_hands.add(dana, span(5, 9)), folder_hands.add(dana, span(6, 9))
    for event in (first, second):
        folder_hands.remove(dana, event)
        assert provider.find_unchanged(cursors) == {sam}
        cursors[dana] = provider.changes(dana, cursors[dana], WINDOW).cursor
        assert provider.find_unchanged(cursors) == {dana, sam}


@pytest.mark.parametrize(
    ("hidden_properties", "is_compared"), [(["sync-token"], True), (["sync-token", "getctag"], False)]
)
def test_ctags_are_compared_when_there_are_no_sync_tokens(
    provider: CalDavCalendar,
    folder_hands: FolderHands,
    interceptor: RequestInterceptor,
    hidden_properties: list[str],
    is_compared: bool,
) -> None:
    """Without ctags too, the mark is a hash of all etags. No list contains it, so nothing is compared."""
    people = [folder_hands.person() for _ in range(3)]
    interceptor.before, interceptor.rewrite = refuse_sync_tokens, hide_properties(*hidden_properties)
    cursors = read_cursors(provider, people)
    folder_hands.add(people[0], span(5, 9))
    interceptor.methods.clear()
    assert provider.find_unchanged(cursors) == (set(people[1:]) if is_compared else set())
    assert interceptor.methods == (["PROPFIND"] if is_compared else [])


def test_comparison_requests_only_sync_tokens_and_ctags(
    provider: CalDavCalendar, folder_hands: FolderHands, interceptor: RequestInterceptor
) -> None:
    cursors = read_cursors(provider, [folder_hands.person(), folder_hands.person()])
    bodies: list[bytes] = []
    interceptor.before = lambda environ: bodies.append(environ["wsgi.input"].read())
    provider.find_unchanged(cursors)
    assert bodies[0].count(b"<D:sync-token/><CS:getctag/>") == 1 and bodies[0].count(b"/>") == 2


@pytest.mark.parametrize("cursor", ["", "{}", "not json", '{"mark":"","copies":{}}', '{"mark":"etags:1","copies":{}}'])
def test_calendar_whose_cursor_cannot_be_compared_counts_as_changed(
    provider: CalDavCalendar, folder_hands: FolderHands, cursor: Cursor
) -> None:
    people = [folder_hands.person() for _ in range(3)]
    cursors = read_cursors(provider, people) | {people[0]: cursor}
    assert provider.find_unchanged(cursors) == set(people[1:])


def test_calendar_with_an_expired_cursor_counts_as_changed(provider: CalDavCalendar, folder_hands: FolderHands) -> None:
    people = [folder_hands.person() for _ in range(3)]
    cursors = read_cursors(provider, people)
    cursors[people[0]] = folder_hands.expire_cursor(people[0], cursors[people[0]])
    assert provider.find_unchanged(cursors) == set(people[1:])


def test_deleted_calendar_counts_as_changed(provider: CalDavCalendar, folder_hands: FolderHands) -> None:
    people = [folder_hands.person() for _ in range(3)]
    cursors = read_cursors(provider, people)
    folder_hands.remove(people[0], "")
    assert provider.find_unchanged(cursors) == set(people[1:])


def test_calendar_alone_in_its_folder_is_not_compared(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    """A folder is listed only when at least two of its calendars are compared."""
    provider = CalDavCalendar(DavClient(None, None, 10), server.caldav_url)
    cursors = read_cursors(provider, [hands.person() for _ in range(3)])
    interceptor.methods.clear()
    assert provider.find_unchanged(cursors) == set()
    assert provider.find_unchanged({}) == set()
    assert interceptor.methods == []


def test_calendar_that_two_people_share_counts_as_one_calendar(
    provider: CalDavCalendar, folder_hands: FolderHands, interceptor: RequestInterceptor
) -> None:
    """The URL contains only the part of the address before the @, which the two have in common."""
    dana = folder_hands.person()
    cursors = read_cursors(provider, [dana, dana.replace("example.org", "example.com")])
    interceptor.methods.clear()
    assert provider.find_unchanged(cursors) == set() and interceptor.methods == []


# --- with copies ------------------------------------------------------------------------------------------------------


def test_calendar_with_copies_is_unchanged_only_if_its_guests_calendars_are(
    copying_provider: CalDavCalendar, folder_hands: FolderHands, interceptor: RequestInterceptor
) -> None:
    """An answer is a change of the organizer's calendar, although it is stored in the guest's."""
    dana, kim, *guests = [folder_hands.person() for _ in range(5)]
    drafts = [draft(dana, guest) for guest in guests]
    for event_draft in drafts:
        copying_provider.create(dana, event_draft)
    cursors = read_cursors(copying_provider, [dana, kim])
    interceptor.methods.clear()
    assert copying_provider.find_unchanged(cursors) == {dana, kim}
    assert interceptor.methods == ["PROPFIND"]
    folder_hands.answer(dana, guests[1], drafts[1].key, Answer.DECLINED)
    assert copying_provider.find_unchanged(cursors) == {kim}
    changes = copying_provider.changes(dana, cursors[dana], WINDOW)
    assert [event.answers for event in changes.events] == [{guests[1]: Answer.DECLINED}]
    cursors[dana] = changes.cursor
    assert copying_provider.find_unchanged(cursors) == {dana, kim}
    folder_hands.delete(guests[0], drafts[0].key)
    assert copying_provider.find_unchanged(cursors) == {kim}


def test_calendar_with_a_copy_to_place_or_to_remove_counts_as_changed(
    copying_provider: CalDavCalendar, folder_hands: FolderHands, records: InMemoryCopyRecords
) -> None:
    """The calendar has to be read, because `changes` completes what was interrupted."""
    dana, sam, kim = folder_hands.person(), folder_hands.person(), folder_hands.person()
    event_draft = draft(dana, sam)
    event = copying_provider.create(dana, event_draft)
    cursors = read_cursors(copying_provider, [dana, kim])
    assert copying_provider.find_unchanged(cursors) == {dana, kim}
    records.forget_copies(dana, event.ref.id, [sam])
    records.intend_copy(dana, event.ref.id, sam)
    assert copying_provider.find_unchanged(cursors) == {kim}
    cursors[dana] = copying_provider.changes(dana, cursors[dana], WINDOW).cursor
    assert copying_provider.find_unchanged(cursors) == {dana, kim}
    records.confirm_copy(dana, "longarc-another.ics", sam)  # no such original exists
    assert copying_provider.find_unchanged(cursors) == {kim}


def test_calendar_whose_guests_have_their_own_folders_is_not_compared(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    provider = CalDavCalendar(DavClient(None, None, 10), server.caldav_url, attendee_copies=True)
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    cursors = read_cursors(provider, [dana])
    interceptor.methods.clear()
    assert provider.find_unchanged(cursors) == set() and interceptor.methods == []


# --- unusual answers --------------------------------------------------------------------------------------------------


def make_entry(href: str, *, token: str = "", ctag: str = "", status: str = "") -> str:
    """Return one response of a folder's list, as a server writes it."""
    properties = "".join(
        f"<{name}>{escape(text)}</{name}>" for name, text in (("D:sync-token", token), ("CS:getctag", ctag)) if text
    )
    state = f"<D:propstat><D:prop>{properties}</D:prop><D:status>HTTP/1.1 200 OK</D:status></D:propstat>"
    if status:
        state = f"<D:status>HTTP/1.1 {status}</D:status>"
    return f"<D:response><D:href>{href}</D:href>{state}</D:response>"


def make_list(*entries: str) -> bytes:
    """Return a folder's list with these responses."""
    namespaces = 'xmlns:D="DAV:" xmlns:CS="http://calendarserver.org/ns/"'
    return f"<D:multistatus {namespaces}>{''.join(entries)}</D:multistatus>".encode()


def make_cursors(**marks: str) -> dict[Address, Cursor]:
    """Return cursors with these marks, by the part of the address before the @; `_` stands for the colon of a mark."""
    return {
        f"{user}@example.org": json.dumps({"mark": mark.replace("_", ":", 1), "copies": {}})
        for user, mark in marks.items()
    }


def join_users(addresses: Iterable[Address]) -> str:
    """Return the parts of these addresses before the @, in order."""
    return " ".join(sorted(address.partition("@")[0] for address in addresses))


CURSORS = make_cursors(dana="sync_t1", sam="sync_t2", kim="ctag_c3")


def list_calendars(prefix: str) -> bytes:
    """Return a list of three calendars whose states are those of `CURSORS`; `prefix` begins each of their URLs."""
    return make_list(
        make_entry(prefix),
        make_entry(f"{prefix}dana/", token="t1", ctag="c1"),
        make_entry(f"{prefix}sam/", token="t2"),
        make_entry(f"{prefix}kim/", token="t9", ctag="c3"),
    )


def compare(
    content: bytes, cursors: Mapping[Address, Cursor] = CURSORS, path: str = "team/{user}/", status: int = 207
) -> tuple[str, Loopback]:
    """Return the users whose calendars are unchanged according to this list, and the server that sent it."""
    with serve(lambda request: request.reply(status, content)) as server:
        provider = CalDavCalendar(DavClient(None, None, 5), f"{server.url}{path}")
        unchanged = join_users(provider.find_unchanged(cursors))
        provider.close()
    return unchanged, server


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
def test_calendars_are_recognized_by_every_form_of_their_urls(path: str, prefix: str) -> None:
    unchanged, server = compare(list_calendars(prefix), path=path)
    assert unchanged == "dana kim sam"
    [request] = server.requests
    assert request.path == f"/{path.partition('{')[0]}" and request.headers["Depth"] == "1"


def test_calendar_names_are_compared_unquoted() -> None:
    cursors = {"däna o@example.org": make_cursors(x="sync_t1")["x@example.org"], **make_cursors(sam="sync_t2")}
    content = make_list(
        make_entry("/team/d%C3%A4na%20o%40example.org/", token="t1"), make_entry("/team/sam%40example%2Eorg/")
    )
    assert compare(content, cursors, "team/{email}/")[0] == "däna o"


@pytest.mark.parametrize(
    ("content", "unchanged"),
    [
        # another token that contains the known one
        (
            make_list(make_entry("/team/dana/", token="http://x/ns/sync/t1"), make_entry("/team/sam/", token="t2")),
            "sam",
        ),
        # a ctag with the text of the known sync token
        (make_list(make_entry("/team/dana/", ctag="t1"), make_entry("/team/sam/", token="t2")), "sam"),
        # a list with entries from deeper levels, which were not requested
        (make_list(make_entry("/team/old/dana/", token="t1"), make_entry("/team/sam/", token="t2")), "sam"),
        # two entries with one name and different tokens
        (
            make_list(
                make_entry("/team/dana/", token="t1"),
                make_entry("dana/", token="t5"),
                make_entry("/team/sam/", token="t2"),
            ),
            "sam",
        ),
        # a calendar that may not be read
        (make_list(make_entry("/team/dana/", status="403 Forbidden"), make_entry("/team/sam/", token="t2")), "sam"),
        # a list that is cut off: the entry of dana is missing
        (
            make_list(make_entry("/team/sam/", token="t2"), make_entry("/team/", status="507 Insufficient Storage")),
            "sam",
        ),
    ],
)
def test_calendar_with_an_uncertain_state_counts_as_changed(content: bytes, unchanged: str) -> None:
    assert compare(content)[0] == unchanged


@pytest.mark.parametrize(
    ("status", "content"),
    [
        (403, b""),
        (401, b""),
        (404, b""),
        (405, b""),
        (501, b""),
        (207, make_list()),
        (207, make_list(make_entry("/team/"), make_entry("/team/dana/"), make_entry("/team/sam/"))),  # without tokens
        # with another kind of marks
        (207, make_list(make_entry("/team/dana/", ctag="c1"), make_entry("/team/sam/", ctag="c2"))),
        # with other calendars
        (207, make_list(make_entry("/team/eve/", token="t1"), make_entry("/team/joe/", token="t2"))),
        (200, b"<html>Welcome</html>"),
        (207, b"<broken"),
    ],
)
def test_folder_with_a_useless_list_is_listed_once_a_day(status: int, content: bytes) -> None:
    replies = [(status, content), (207, list_calendars("/team/"))]
    cursors = make_cursors(dana="sync_t1", sam="sync_t2")

    def answer(request: Request) -> None:
        request.reply(*replies[0])

    with serve(answer) as server:
        clock = SteppedClock(START)
        provider = CalDavCalendar(DavClient(None, None, 5), f"{server.url}team/{{user}}/", clock=clock)
        assert provider.find_unchanged(cursors) == set()
        replies.pop(0)
        request_count = len(server.requests)  # two after a 401, because a refused log-in is tried once more
        clock.advance(DAY - timedelta(minutes=1))
        assert provider.find_unchanged(cursors) == set() and len(server.requests) == request_count
        clock.advance(timedelta(minutes=1))
        assert join_users(provider.find_unchanged(cursors)) == "dana sam"
        provider.close()


@pytest.mark.parametrize("status", [429, 500, 503])
def test_folder_is_listed_again_ten_minutes_after_a_server_fault(status: int) -> None:
    replies: list[tuple[int, bytes]] = [(status, b""), (207, list_calendars("/team/"))]
    with serve(lambda request: request.reply(*replies.pop(0))) as server:
        clock = SteppedClock(START)
        provider = CalDavCalendar(DavClient(None, None, 5), f"{server.url}team/{{user}}/", clock=clock)
        assert provider.find_unchanged(CURSORS) == set()
        clock.advance(timedelta(minutes=9))
        assert provider.find_unchanged(CURSORS) == set() and len(server.requests) == 1
        clock.advance(timedelta(minutes=1))
        assert join_users(provider.find_unchanged(CURSORS)) == "dana kim sam"
        provider.close()


def test_long_list_is_not_requested_again_for_few_calendars() -> None:
    """A folder is listed when it has at most five entries (`ENTRIES_PER_CALENDAR`) for each calendar to compare. This
    one is short enough for three calendars, but not for two, for which it is listed again only after a day."""
    other_entries = [make_entry(f"/team/other{number}/", token="t") for number in range(3 * ENTRIES_PER_CALENDAR - 2)]
    content = make_list(make_entry("/team/dana/", token="t1"), make_entry("/team/sam/", token="t2"), *other_entries)
    two_cursors = make_cursors(dana="sync_t1", sam="sync_t2")
    three_cursors = make_cursors(dana="sync_t1", sam="sync_t2", other1="sync_t")
    results: list[tuple[str, int]] = []  # after each comparison: the unchanged users, and the requests so far
    with serve(lambda request: request.reply(content=content)) as server:
        clock = SteppedClock(START)
        provider = CalDavCalendar(DavClient(None, None, 5), f"{server.url}team/{{user}}/", clock=clock)
        for cursors, wait_afterwards in (
            (two_cursors, DAY / 2),
            (two_cursors, timedelta()),
            (three_cursors, DAY / 2),
            (two_cursors, DAY / 2),
            (two_cursors, timedelta()),
        ):
            results.append((join_users(provider.find_unchanged(cursors)), len(server.requests)))
            clock.advance(wait_afterwards)
        provider.close()
    assert results == [("dana sam", 1), ("", 1), ("dana other1 sam", 2), ("", 2), ("dana sam", 3)]


def test_redirect_of_the_folder_is_followed_only_within_the_host() -> None:
    def answer(request: Request) -> None:
        if request.path == "/team/":
            request.reply(301, b"", Location=targets[0])
        else:
            request.reply(content=list_calendars("/new/team/"))

    targets = ["/new/team/"]
    with serve(answer) as server, serve(answer) as other_host:
        for target, unchanged in (("/new/team/", "dana kim sam"), (f"{other_host.url}new/team/", "")):
            targets[:] = [target]
            provider = CalDavCalendar(DavClient("longarc", "secret", 5), f"{server.url}team/{{user}}/")
            assert join_users(provider.find_unchanged(CURSORS)) == unchanged
            provider.close()
        assert other_host.requests == []


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
def test_folder_of_a_calendar_is_one_level_up(url: str, parts: tuple[str, str]) -> None:
    assert split_folder_and_name(url) == parts


@pytest.mark.parametrize("url", ["not a url/{user}", "ftp://example.org/{user}/", "http://nowhere.invalid/{user}/"])
def test_no_calendar_counts_as_unchanged_at_an_unreachable_url(url: str) -> None:
    provider = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({"url": url, "timeout": 2})
    assert provider.find_unchanged(CURSORS) == set()
