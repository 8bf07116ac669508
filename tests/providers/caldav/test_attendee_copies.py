"""Where the server delivers no invitations, every guest has a copy, and nobody has one of an event that is gone."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.providers.conftest import CalDavHands, RequestInterceptor, times
from tests.support.drafts import WINDOW, draft, span
from worker.domain.model import Address, Answer, EventDraft
from worker.embedded import EmbeddedServers
from worker.errors import ProviderError
from worker.providers import base
from worker.providers.caldav.calendar import CalDavCalendar
from worker.providers.caldav.copy_records import CopyRecords, InMemoryCopyRecords
from worker.providers.ical import events
from worker.providers.identities import InMemoryIdentities


@pytest.fixture
def hands(server: EmbeddedServers, interceptor: RequestInterceptor) -> Iterator[CalDavHands]:
    interceptor.clear()
    people = CalDavHands(server)
    yield people
    interceptor.clear()
    people.close()


def open_calendar(server: EmbeddedServers, records: CopyRecords | None = None, **changed: Any) -> CalDavCalendar:
    section = {
        "url": server.caldav_url,
        "attendee_copies": True,
        "timeout": 10,
        "copies": records or InMemoryCopyRecords(),
    }
    calendar: CalDavCalendar = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({**section, **changed})
    return calendar


def copies(hands: CalDavHands, server: EmbeddedServers, *people: Address) -> list[int]:
    """How many of our events each of them has, as the server lists them."""
    reader = open_calendar(server, attendee_copies=False)
    listed = [sum(1 for event in reader.changes(who, None, WINDOW).events if event.key) for who in people]
    reader.close()
    return listed


def break_copy(interceptor: RequestInterceptor, guest: Address, method: str = "PUT", *, after: bool = False) -> None:
    """The guest's calendar fails at that method, before or after it did what was asked."""

    def fail(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes] | None:
        is_meant = environ["REQUEST_METHOD"] == method and guest in environ["PATH_INFO"]
        return ("503 Service Unavailable", [], b"") if is_meant else None

    if after:
        interceptor.after = fail
    else:
        interceptor.before = fail


@pytest.fixture(params=["before", "after"])
def broken(request: pytest.FixtureRequest, interceptor: RequestInterceptor) -> Callable[[Address], None]:
    return lambda guest: break_copy(interceptor, guest, after=request.param == "after")


# --- a missing copy ---------------------------------------------------------------------------------------------------


def begin(
    server: EmbeddedServers, broken: Callable[[Address], None], interceptor: RequestInterceptor, wanted: EventDraft
) -> CalDavCalendar:
    """A calendar on which the event was put, while its guest's copy failed."""
    [guest] = wanted.guests
    calendar = open_calendar(server)
    broken(guest.email)
    with pytest.raises(ProviderError):
        calendar.create(wanted.organizer.email, wanted)
    interceptor.clear()
    return calendar


def test_an_event_whose_copy_failed_says_so_until_it_is_delivered(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor, broken: Callable[[Address], None]
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    calendar = begin(server, broken, interceptor, wanted)
    half = calendar.find(dana, wanted.key)
    assert half is not None and not half.is_delivered and half.answers == {sam: Answer.NEEDS_ACTION}
    calendar.create(dana, wanted)
    whole = calendar.find(dana, wanted.key)
    assert whole is not None and whole.is_delivered
    assert copies(hands, server, dana, sam) == [1, 1]


@pytest.mark.parametrize("is_full", [True, False])
def test_a_pass_finds_a_missing_copy_and_puts_it_there(
    server: EmbeddedServers,
    hands: CalDavHands,
    interceptor: RequestInterceptor,
    broken: Callable[[Address], None],
    is_full: bool,
) -> None:
    dana, sam = hands.person(), hands.person()
    cursor = None if is_full else open_calendar(server).changes(dana, None, WINDOW).cursor
    calendar = begin(server, broken, interceptor, draft(dana, sam))
    calendar.changes(dana, cursor, WINDOW)
    assert copies(hands, server, dana, sam) == [1, 1]


def test_a_full_pass_needs_no_record_to_find_a_missing_copy(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor, broken: Callable[[Address], None]
) -> None:
    """A database that was put back to an earlier day knows nothing of it."""
    dana, sam = hands.person(), hands.person()
    begin(server, broken, interceptor, draft(dana, sam))
    open_calendar(server).changes(dana, None, WINDOW)
    assert copies(hands, server, dana, sam) == [1, 1]


def test_a_pass_in_between_repairs_what_a_kill_left(server: EmbeddedServers, hands: CalDavHands) -> None:
    """The record is there, the copy is not, and the event has not changed since the last pass."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    open_calendar(server, attendee_copies=False).create(dana, wanted)
    records = InMemoryCopyRecords()
    calendar = open_calendar(server, records, local_people=[])
    cursor = calendar.changes(dana, None, WINDOW).cursor
    records.intend_copy(dana, events.make_resource_name(wanted.key), sam)
    open_calendar(server, records).changes(dana, cursor, WINDOW)
    assert copies(hands, server, dana, sam) == [1, 1]


def test_a_copy_that_the_guest_deleted_stays_deleted(server: EmbeddedServers, hands: CalDavHands) -> None:
    """That is an answer, and no copy that is missing."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    calendar = open_calendar(server)
    calendar.create(dana, wanted)
    hands.delete(sam, wanted.key)
    [event] = calendar.changes(dana, None, WINDOW).events
    assert event.answers == {sam: Answer.DECLINED} and event.is_delivered
    assert copies(hands, server, sam) == [0]


def test_an_update_whose_copy_failed_is_completed(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    calendar = open_calendar(server)
    event = calendar.create(dana, wanted)
    moved = replace(wanted, span=span(11, 13))
    break_copy(interceptor, sam)
    with pytest.raises(ProviderError):
        calendar.update(event.ref, moved)
    interceptor.clear()
    half = calendar.find(dana, wanted.key)
    assert half is not None and half.span == moved.span and not half.is_delivered
    assert calendar.update(event.ref, moved).is_delivered
    assert [busy.span for busy in calendar.free_busy([sam], WINDOW)[sam].busy] == [moved.span]


@pytest.mark.parametrize(
    ("was", "becomes"),
    [
        ("X-LONGARC-COPY:", "END:NOTHING\r\nX:"),
        ("DTSTART", "DTSTART;X-WHEN=soon:sometime\r\nX-START"),
        ("VEVENT", "NONE"),
    ],
)
def test_a_copy_that_can_not_be_read_is_no_refusal(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor, was: str, becomes: str
) -> None:
    """A program that wrote nonsense over it says neither yes nor no."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    calendar = open_calendar(server)
    calendar.create(dana, wanted)

    def spoil(environ: dict[str, Any]) -> None:
        """Only the guest's calendar answers so."""
        spoilt = (
            (lambda content: content.replace(was.encode(), becomes.encode())) if sam in environ["PATH_INFO"] else None
        )
        interceptor.rewrite = spoilt

    interceptor.before = spoil
    found = calendar.find(dana, wanted.key)
    assert found is not None and found.answers == {sam: Answer.NEEDS_ACTION}
    [told] = calendar.changes(dana, None, WINDOW).events
    assert told.answers == {sam: Answer.NEEDS_ACTION}


@pytest.mark.parametrize("is_under_another_name", [False, True], ids=["our name", "our UID"])
def test_an_event_that_is_not_our_copy_is_not_replaced(
    server: EmbeddedServers, hands: CalDavHands, is_under_another_name: bool
) -> None:
    """The guest's calendar has another event under the name of the copy, or its UID under another name."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    name = events.make_resource_name(wanted.key)
    if is_under_another_name:
        name = hands.put_event(sam, [f"UID:{events.make_uid(wanted.key)}", *times(span(5, 9))])
    else:
        hands.put_event(sam, times(span(5, 9)), name)
    before = hands.text(sam, name)
    records = InMemoryCopyRecords()
    calendar = open_calendar(server, records)
    event = calendar.create(dana, wanted)
    assert calendar.create(dana, wanted).ref == event.ref
    moved = calendar.update(event.ref, replace(wanted, span=span(11, 13)))
    calendar.changes(dana, None, WINDOW)
    found = calendar.find(dana, wanted.key)
    assert found is not None and found.answers == {sam: Answer.NEEDS_ACTION} and not found.is_delivered
    assert hands.text(sam, name) == before and records.list_copies(dana) == []
    calendar.cancel(moved.ref)
    assert copies(hands, server, dana) == [0] and hands.text(sam, name) == before


def test_no_answer_is_read_from_an_event_that_took_the_place_of_a_copy(
    server: EmbeddedServers, hands: CalDavHands
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    calendar = open_calendar(server)
    calendar.create(dana, wanted)
    hands.delete(sam, wanted.key)
    lines = [*times(wanted.span), f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{sam}"]
    hands.put_event(sam, lines, events.make_resource_name(wanted.key))
    found = calendar.find(dana, wanted.key)
    assert found is not None and found.answers == {sam: Answer.NEEDS_ACTION} and not found.is_delivered


def test_a_copy_that_lost_our_properties_is_renewed(server: EmbeddedServers, hands: CalDavHands) -> None:
    """A calendar program has left them out; the UID says that it is our copy."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    calendar = open_calendar(server)
    event = calendar.create(dana, wanted)
    hands.edit(sam, wanted.key, lambda text: re.sub(r"X-LONGARC-.*\r?\n", "", text))
    calendar.update(event.ref, replace(wanted, span=span(11, 13)))
    assert [busy.span for busy in calendar.free_busy([sam], WINDOW)[sam].busy] == [span(11, 13)]


# --- a copy too many --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["nothing", "cursor", "cursor and record"])
def test_an_event_deleted_before_the_first_look_leaves_no_copy(
    server: EmbeddedServers, hands: CalDavHands, lost: str
) -> None:
    """The manager deletes it before any pass saw it; the cursor, and the record, may be lost besides."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    records = InMemoryCopyRecords()
    calendar = open_calendar(server, records)
    cursor = calendar.changes(dana, None, WINDOW).cursor
    calendar.create(dana, wanted)
    hands.delete(dana, wanted.key)
    if lost == "cursor and record":
        calendar = open_calendar(server, guests={dana: [sam]}.__getitem__)
    calendar.changes(dana, cursor if lost == "nothing" else None, WINDOW)
    assert copies(hands, server, dana, sam) == [0, 0]
    assert records.list_copies(dana) == [] or lost == "cursor and record"


def test_a_record_without_a_copy_is_forgotten(server: EmbeddedServers, hands: CalDavHands) -> None:
    """A process that died right after it was written."""
    dana, sam = hands.person(), hands.person()
    records = InMemoryCopyRecords()
    records.intend_copy(dana, events.make_resource_name("gone"), sam)
    open_calendar(server, records).changes(dana, None, WINDOW)
    assert records.list_copies(dana) == []


def test_a_full_pass_leaves_other_meetings_alone(server: EmbeddedServers, hands: CalDavHands) -> None:
    """A guest's own events, the events that the guest organizes with us, and the copies of another manager's."""
    dana, sam, kim, lee = (hands.person() for _ in range(4))
    guests = {dana: [sam], sam: [lee], kim: [sam]}
    calendar = open_calendar(server, guests=guests.__getitem__)
    hands.add(sam, span(5, 9))
    calendar.create(sam, draft(sam, lee))
    calendar.create(kim, draft(kim, sam))
    calendar.changes(dana, None, WINDOW)
    assert copies(hands, server, sam, lee, kim) == [2, 1, 1]
    assert len(calendar.free_busy([sam], WINDOW)[sam].busy) == 3


@pytest.mark.parametrize("is_full", [True, False])
def test_whoever_is_uninvited_by_hand_loses_the_copy(
    server: EmbeddedServers, hands: CalDavHands, is_full: bool
) -> None:
    dana, sam, kim = (hands.person() for _ in range(3))
    wanted = draft(dana, sam, kim)
    calendar = open_calendar(server)
    calendar.create(dana, wanted)
    cursor = calendar.changes(dana, None, WINDOW).cursor
    hands.edit(
        dana,
        wanted.key,
        lambda text: "".join(
            line for line in text.splitlines(keepends=True) if not (line.startswith("ATTENDEE") and kim in line)
        ),
    )
    calendar.changes(dana, None if is_full else cursor, WINDOW)
    assert copies(hands, server, dana, sam, kim) == [1, 1, 0]


def test_cancelling_what_was_deleted_by_hand_takes_the_copies_away(server: EmbeddedServers, hands: CalDavHands) -> None:
    """Also where nobody reads that calendar any more, because its owner manages nobody now."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    calendar = open_calendar(server)
    event = calendar.create(dana, wanted)
    hands.delete(dana, wanted.key)
    calendar.cancel(event.ref)
    assert copies(hands, server, dana, sam) == [0, 0]


def test_a_calendar_that_reads_empty_is_not_believed(server: EmbeddedServers, hands: CalDavHands) -> None:
    """Somebody replaced it by an empty one: the guests' copies stay until a person has looked at it."""
    dana, sam = hands.person(), hands.person()
    calendar = open_calendar(server)
    drafts = [draft(dana, sam, span=span(9 + number, 10)) for number in range(5)]
    for one in drafts:
        calendar.create(dana, one)
    for one in drafts:
        hands.delete(dana, one.key)
    calendar.changes(dana, None, WINDOW)
    assert copies(hands, server, dana, sam) == [0, 5]


# --- what older versions left -----------------------------------------------------------------------------------------


def test_a_copy_that_an_older_version_noted_on_the_event_is_known(server: EmbeddedServers, hands: CalDavHands) -> None:
    """Its guest deleted it: that is a refusal still, and cancelling finds the others."""
    dana, sam, kim = (hands.person() for _ in range(3))
    wanted = draft(dana, sam, kim)
    first = open_calendar(server)
    event = first.create(dana, wanted)
    hands.edit(dana, wanted.key, lambda text: text.replace("ATTENDEE;", "ATTENDEE;X-LONGARC-COPY=TRUE;"))
    hands.delete(sam, wanted.key)
    calendar = open_calendar(server)
    found = calendar.find(dana, wanted.key)
    assert found is not None and found.answers == {sam: Answer.DECLINED, kim: Answer.NEEDS_ACTION}
    calendar.cancel(replace(event.ref, etag=""))
    assert copies(hands, server, dana, sam, kim) == [0, 0, 0]


# --- who somebody is --------------------------------------------------------------------------------------------------


def test_a_guest_is_known_by_every_address(server: EmbeddedServers, hands: CalDavHands) -> None:
    """A program writes an alias where we wrote the primary address: it is the same person all the same."""
    dana, sam = hands.person(), hands.person()
    alias = f"alias.of.{sam}"
    calendar = open_calendar(server, identities=InMemoryIdentities({sam: [alias], dana: [f"boss.{dana}"]}))
    wanted = draft(dana, sam)
    calendar.create(dana, wanted)

    def answer(text: str) -> str:
        return text.replace("NEEDS-ACTION", "ACCEPTED").replace(sam, alias.upper()).replace(f":{dana}", f":boss.{dana}")

    for person in (dana, sam):
        hands.edit(person, wanted.key, answer)
    [event] = calendar.changes(dana, None, WINDOW).events
    assert event.answers == {sam: Answer.ACCEPTED} and event.organizer == dana
    assert copies(hands, server, dana, sam) == [1, 1]


def test_an_invitation_to_an_alias_is_an_invitation(server: EmbeddedServers, hands: CalDavHands) -> None:
    """What was declined under another address leaves the time free."""
    sam, kim = hands.person(), hands.person()
    alias = f"alias.of.{sam}"
    lines = [
        "DTSTART:20270305T090000Z",
        "DTEND:20270305T100000Z",
        f"ORGANIZER:mailto:{kim}",
        f"ATTENDEE;PARTSTAT=DECLINED:mailto:{alias}",
    ]
    hands.put_event(sam, lines)
    for identities, busy in ((InMemoryIdentities({sam: [alias]}), 0), (InMemoryIdentities(), 1)):
        calendar = open_calendar(server, identities=identities)
        assert len(calendar.free_busy([sam], WINDOW)[sam].busy) == busy
