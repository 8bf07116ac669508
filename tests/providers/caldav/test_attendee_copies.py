"""On a server that delivers no invitations, guests get copies of an event, and the copies go when the event goes."""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import Any

import pytest

from tests.providers.conftest import CalDavHands, RequestInterceptor, make_times
from tests.support.drafts import WINDOW, draft, span  # `span(5, 9)`: on 5 March 2027 from 9:00 UTC, for an hour
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
    caldav_hands = CalDavHands(server)
    yield caldav_hands
    interceptor.clear()
    caldav_hands.close()


def open_calendar(server: EmbeddedServers, records: CopyRecords | None = None, **changed: Any) -> CalDavCalendar:
    """Return the provider that places copies; `changed` replaces settings.

    `local_people`: who has a calendar on the server; copies are placed for nobody else. `guests`: a function that
    returns whom an organizer may have invited. `identities`: the aliases of people.
    """
    section = {
        "url": server.caldav_url,
        "attendee_copies": True,
        "timeout": 10,
        "copies": records or InMemoryCopyRecords(),
    }
    calendar: CalDavCalendar = base.load_factory(base.CALENDAR_FACTORIES, "caldav")({**section, **changed})
    return calendar


def count_events(hands: CalDavHands, server: EmbeddedServers, *people: Address) -> list[int]:
    """Return how many of our events the server lists on the calendar of each of these people."""
    reader = open_calendar(server, attendee_copies=False)  # so that the reading itself places and removes no copy
    counts = [sum(1 for event in reader.changes(person, None, WINDOW).events if event.key) for person in people]
    reader.close()
    return counts


def break_guest_calendar(
    interceptor: RequestInterceptor, guest: Address, method: str = "PUT", *, after: bool = False
) -> None:
    """Let requests with that method to the guest's calendar fail, before or after the server carries them out."""

    def fail(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes] | None:
        is_broken = environ["REQUEST_METHOD"] == method and guest in environ["PATH_INFO"]
        return ("503 Service Unavailable", [], b"") if is_broken else None

    if after:
        interceptor.after = fail
    else:
        interceptor.before = fail


@pytest.fixture(params=["before", "after"])
def break_guest(request: pytest.FixtureRequest, interceptor: RequestInterceptor) -> Callable[[Address], None]:
    """A function that lets the writes to a guest's calendar fail."""
    return lambda guest: break_guest_calendar(interceptor, guest, after=request.param == "after")


# --- missing copies ---------------------------------------------------------------------------------------------------


def create_without_copy(
    server: EmbeddedServers,
    break_guest: Callable[[Address], None],
    interceptor: RequestInterceptor,
    event_draft: EventDraft,
) -> CalDavCalendar:
    """Create the event while the guest's copy fails; return the calendar."""
    [guest] = event_draft.guests
    calendar = open_calendar(server)
    break_guest(guest.email)
    with pytest.raises(ProviderError):
        calendar.create(event_draft.organizer.email, event_draft)
    interceptor.clear()
    return calendar


def test_event_is_not_delivered_until_its_copy_is_placed(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor, break_guest: Callable[[Address], None]
) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    calendar = create_without_copy(server, break_guest, interceptor, event_draft)
    undelivered = calendar.find(dana, event_draft.key)
    assert (
        undelivered is not None and not undelivered.is_delivered and undelivered.answers == {sam: Answer.NEEDS_ACTION}
    )
    calendar.create(dana, event_draft)
    delivered = calendar.find(dana, event_draft.key)
    assert delivered is not None and delivered.is_delivered
    assert count_events(hands, server, dana, sam) == [1, 1]


@pytest.mark.parametrize("is_full", [True, False], ids=["all events", "changes"])
def test_reading_changes_places_a_missing_copy(
    server: EmbeddedServers,
    hands: CalDavHands,
    interceptor: RequestInterceptor,
    break_guest: Callable[[Address], None],
    is_full: bool,
) -> None:
    dana, sam = hands.person(), hands.person()
    cursor = None if is_full else open_calendar(server).changes(dana, None, WINDOW).cursor
    calendar = create_without_copy(server, break_guest, interceptor, draft(dana, sam))
    calendar.changes(dana, cursor, WINDOW)
    assert count_events(hands, server, dana, sam) == [1, 1]


def test_reading_all_events_places_a_missing_copy_without_a_record(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor, break_guest: Callable[[Address], None]
) -> None:
    """A database that was restored to an earlier state has no record of the copy."""
    dana, sam = hands.person(), hands.person()
    create_without_copy(server, break_guest, interceptor, draft(dana, sam))
    open_calendar(server).changes(dana, None, WINDOW)
    assert count_events(hands, server, dana, sam) == [1, 1]


def test_reading_changes_places_a_copy_that_has_only_a_record(server: EmbeddedServers, hands: CalDavHands) -> None:
    """A process died after it had written the record. The event has not changed since changes were last read."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    open_calendar(server, attendee_copies=False).create(dana, event_draft)
    records = InMemoryCopyRecords()
    calendar = open_calendar(server, records, local_people=[])  # so that this reading places no copy
    cursor = calendar.changes(dana, None, WINDOW).cursor
    records.intend_copy(dana, events.make_resource_name(event_draft.key), sam)
    open_calendar(server, records).changes(dana, cursor, WINDOW)
    assert count_events(hands, server, dana, sam) == [1, 1]


def test_copy_that_the_guest_deleted_is_not_placed_again(server: EmbeddedServers, hands: CalDavHands) -> None:
    """The deletion counts as declined."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    calendar = open_calendar(server)
    calendar.create(dana, event_draft)
    hands.delete(sam, event_draft.key)
    [event] = calendar.changes(dana, None, WINDOW).events
    assert event.answers == {sam: Answer.DECLINED} and event.is_delivered
    assert count_events(hands, server, sam) == [0]


def test_repeated_update_completes_a_copy_that_failed(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    calendar = open_calendar(server)
    event = calendar.create(dana, event_draft)
    moved_draft = replace(event_draft, span=span(11, 13))
    break_guest_calendar(interceptor, sam)
    with pytest.raises(ProviderError):
        calendar.update(event.ref, moved_draft)
    interceptor.clear()
    undelivered = calendar.find(dana, event_draft.key)
    assert undelivered is not None and undelivered.span == moved_draft.span and not undelivered.is_delivered
    assert calendar.update(event.ref, moved_draft).is_delivered
    assert [busy.span for busy in calendar.free_busy([sam], WINDOW)[sam].busy] == [moved_draft.span]


@pytest.mark.parametrize(
    ("text", "broken_text"),
    [
        ("X-LONGARC-COPY:", "END:NOTHING\r\nX:"),
        ("DTSTART", "DTSTART;X-WHEN=soon:sometime\r\nX-START"),
        ("VEVENT", "NONE"),
    ],
    ids=["broken structure", "broken start", "no event"],
)
def test_unreadable_copy_does_not_count_as_declined(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor, text: str, broken_text: str
) -> None:
    """What a program wrote in place of the copy is neither yes nor no."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    calendar = open_calendar(server)
    calendar.create(dana, event_draft)

    def rewrite(content: bytes) -> bytes:
        return content.replace(text.encode(), broken_text.encode())

    def break_copy(environ: dict[str, Any]) -> None:
        """Rewrite the server's responses to requests for the guest's calendar, and no others."""
        is_guest = sam in environ["PATH_INFO"]
        interceptor.rewrite = rewrite if is_guest else None

    interceptor.before = break_copy
    event = calendar.find(dana, event_draft.key)
    assert event is not None and event.answers == {sam: Answer.NEEDS_ACTION}
    [changed_event] = calendar.changes(dana, None, WINDOW).events
    assert changed_event.answers == {sam: Answer.NEEDS_ACTION}


@pytest.mark.parametrize("has_our_uid", [False, True], ids=["our name", "our UID"])
def test_event_of_the_guest_in_place_of_the_copy_is_not_replaced(
    server: EmbeddedServers, hands: CalDavHands, has_our_uid: bool
) -> None:
    """The guest's calendar has another event with the resource name of the copy, or with its UID under another name."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    name = events.make_resource_name(event_draft.key)
    if has_our_uid:
        name = hands.put_event(sam, [f"UID:{events.make_uid(event_draft.key)}", *make_times(span(5, 9))])
    else:
        hands.put_event(sam, make_times(span(5, 9)), name)
    guest_text = hands.text(sam, name)
    records = InMemoryCopyRecords()
    calendar = open_calendar(server, records)
    event = calendar.create(dana, event_draft)
    assert calendar.create(dana, event_draft).ref == event.ref
    moved_event = calendar.update(event.ref, replace(event_draft, span=span(11, 13)))
    calendar.changes(dana, None, WINDOW)
    event_without_copy = calendar.find(dana, event_draft.key)
    assert event_without_copy is not None and not event_without_copy.is_delivered
    assert event_without_copy.answers == {sam: Answer.NEEDS_ACTION}
    assert hands.text(sam, name) == guest_text and records.list_copies(dana) == []
    calendar.cancel(moved_event.ref)
    assert count_events(hands, server, dana) == [0] and hands.text(sam, name) == guest_text


def test_no_answer_is_read_from_another_event_in_place_of_the_copy(server: EmbeddedServers, hands: CalDavHands) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    calendar = open_calendar(server)
    calendar.create(dana, event_draft)
    hands.delete(sam, event_draft.key)
    lines = [*make_times(event_draft.span), f"ATTENDEE;PARTSTAT=ACCEPTED:mailto:{sam}"]
    hands.put_event(sam, lines, events.make_resource_name(event_draft.key))
    event = calendar.find(dana, event_draft.key)
    assert event is not None and event.answers == {sam: Answer.NEEDS_ACTION} and not event.is_delivered


def test_copy_that_lost_our_properties_is_updated(server: EmbeddedServers, hands: CalDavHands) -> None:
    """A calendar program left them out. The UID still shows that it is our copy."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    calendar = open_calendar(server)
    event = calendar.create(dana, event_draft)
    hands.edit(sam, event_draft.key, lambda text: re.sub(r"X-LONGARC-.*\r?\n", "", text))
    calendar.update(event.ref, replace(event_draft, span=span(11, 13)))
    assert [busy.span for busy in calendar.free_busy([sam], WINDOW)[sam].busy] == [span(11, 13)]


# --- superfluous copies -----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("loss", ["nothing", "cursor", "cursor and record"])
def test_event_deleted_before_changes_are_read_leaves_no_copy(
    server: EmbeddedServers, hands: CalDavHands, loss: str
) -> None:
    """The cursor may be lost too, and the record of the copy."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    records = InMemoryCopyRecords()
    calendar = open_calendar(server, records)
    cursor = calendar.changes(dana, None, WINDOW).cursor
    calendar.create(dana, event_draft)
    hands.delete(dana, event_draft.key)
    if loss == "cursor and record":
        records = InMemoryCopyRecords()
        calendar = open_calendar(server, records, guests={dana: [sam]}.__getitem__)
    calendar.changes(dana, cursor if loss == "nothing" else None, WINDOW)
    assert count_events(hands, server, dana, sam) == [0, 0]
    assert records.list_copies(dana) == []


def test_record_without_an_event_is_deleted(server: EmbeddedServers, hands: CalDavHands) -> None:
    """A process died right after it had written the record."""
    dana, sam = hands.person(), hands.person()
    records = InMemoryCopyRecords()
    records.intend_copy(dana, events.make_resource_name("gone"), sam)
    open_calendar(server, records).changes(dana, None, WINDOW)
    assert records.list_copies(dana) == []


def test_reading_all_events_leaves_other_events_alone(server: EmbeddedServers, hands: CalDavHands) -> None:
    """The guest's calendar has an own event, an event of ours that the guest organizes, and another manager's copy."""
    dana, sam, kim, lee = (hands.person() for _ in range(4))
    guests = {dana: [sam], sam: [lee], kim: [sam]}
    calendar = open_calendar(server, guests=guests.__getitem__)
    hands.add(sam, span(5, 9))
    calendar.create(sam, draft(sam, lee))
    calendar.create(kim, draft(kim, sam))
    calendar.changes(dana, None, WINDOW)
    assert count_events(hands, server, sam, lee, kim) == [2, 1, 1]
    assert len(calendar.free_busy([sam], WINDOW)[sam].busy) == 3


@pytest.mark.parametrize("is_full", [True, False], ids=["all events", "changes"])
def test_guest_removed_by_hand_loses_the_copy(server: EmbeddedServers, hands: CalDavHands, is_full: bool) -> None:
    dana, sam, kim = (hands.person() for _ in range(3))
    event_draft = draft(dana, sam, kim)
    calendar = open_calendar(server)
    calendar.create(dana, event_draft)
    cursor = calendar.changes(dana, None, WINDOW).cursor
    hands.edit(
        dana,
        event_draft.key,
        lambda text: "".join(
            line for line in text.splitlines(keepends=True) if not (line.startswith("ATTENDEE") and kim in line)
        ),
    )
    calendar.changes(dana, None if is_full else cursor, WINDOW)
    assert count_events(hands, server, dana, sam, kim) == [1, 1, 0]


def test_cancelling_an_event_deleted_by_hand_removes_its_copies(server: EmbeddedServers, hands: CalDavHands) -> None:
    """This holds also for a calendar whose changes are no longer read, because its owner has no reports any more."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    calendar = open_calendar(server)
    event = calendar.create(dana, event_draft)
    hands.delete(dana, event_draft.key)
    calendar.cancel(event.ref)
    assert count_events(hands, server, dana, sam) == [0, 0]


def test_copies_are_kept_when_the_whole_calendar_is_empty(server: EmbeddedServers, hands: CalDavHands) -> None:
    """Somebody may have replaced the calendar by an empty one, or the server has a fault."""
    dana, sam = hands.person(), hands.person()
    calendar = open_calendar(server)
    event_count = 5  # the smallest number of missing events that is suspicious
    drafts = [draft(dana, sam, span=span(9 + number, 10)) for number in range(event_count)]
    for event_draft in drafts:
        calendar.create(dana, event_draft)
    for event_draft in drafts:
        hands.delete(dana, event_draft.key)
    calendar.changes(dana, None, WINDOW)
    assert count_events(hands, server, dana, sam) == [0, event_count]


# --- copies of older versions -----------------------------------------------------------------------------------------


def test_copy_that_an_older_version_marked_on_the_event_is_recognized(
    server: EmbeddedServers, hands: CalDavHands
) -> None:
    """A guest who deleted such a copy has declined, and cancelling removes those of other guests.

    Older versions kept no records of copies: they marked on the event which guests had one.
    """
    dana, sam, kim = (hands.person() for _ in range(3))
    event_draft = draft(dana, sam, kim)
    first_calendar = open_calendar(server)
    event = first_calendar.create(dana, event_draft)
    hands.edit(dana, event_draft.key, lambda text: text.replace("ATTENDEE;", "ATTENDEE;X-LONGARC-COPY=TRUE;"))
    hands.delete(sam, event_draft.key)
    calendar = open_calendar(server)
    marked_event = calendar.find(dana, event_draft.key)
    assert marked_event is not None and marked_event.answers == {sam: Answer.DECLINED, kim: Answer.NEEDS_ACTION}
    calendar.cancel(replace(event.ref, etag=""))  # an empty etag matches any version, also the edited one
    assert count_events(hands, server, dana, sam, kim) == [0, 0, 0]


# --- aliases ----------------------------------------------------------------------------------------------------------


def test_guest_is_recognized_by_an_alias(server: EmbeddedServers, hands: CalDavHands) -> None:
    """A calendar program writes aliases in place of the primary addresses that we wrote."""
    dana, sam = hands.person(), hands.person()
    alias = f"alias.of.{sam}"
    calendar = open_calendar(server, identities=InMemoryIdentities({sam: [alias], dana: [f"boss.{dana}"]}))
    event_draft = draft(dana, sam)
    calendar.create(dana, event_draft)

    def answer(text: str) -> str:
        return text.replace("NEEDS-ACTION", "ACCEPTED").replace(sam, alias.upper()).replace(f":{dana}", f":boss.{dana}")

    for person in (dana, sam):
        hands.edit(person, event_draft.key, answer)
    [event] = calendar.changes(dana, None, WINDOW).events
    assert event.answers == {sam: Answer.ACCEPTED} and event.organizer == dana
    assert count_events(hands, server, dana, sam) == [1, 1]


def test_declined_invitation_to_an_alias_leaves_the_time_free(server: EmbeddedServers, hands: CalDavHands) -> None:
    """When the alias is unknown, the declined answer is taken for somebody else's, and the time counts as busy."""
    sam, kim = hands.person(), hands.person()
    alias = f"alias.of.{sam}"
    lines = [
        "DTSTART:20270305T090000Z",
        "DTEND:20270305T100000Z",
        f"ORGANIZER:mailto:{kim}",
        f"ATTENDEE;PARTSTAT=DECLINED:mailto:{alias}",
    ]
    hands.put_event(sam, lines)
    for identities, busy_count in ((InMemoryIdentities({sam: [alias]}), 0), (InMemoryIdentities(), 1)):
        calendar = open_calendar(server, identities=identities)
        assert len(calendar.free_busy([sam], WINDOW)[sam].busy) == busy_count
