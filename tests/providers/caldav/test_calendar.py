"""The CalDAV provider keeps every promise on a real server, at little cost, and completes work that broke off."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest

from tests.providers.conftest import CalDavHands, RequestInterceptor
from tests.support.caldav import break_connection, hide_properties, open_calendar, refuse_sync_tokens
from tests.support.drafts import WINDOW, draft, span
from tests.support.provider_contract import CalendarContract, GuestDeletionContract, GuestMoveContract
from worker.domain.model import Answer
from worker.embedded import EmbeddedServers
from worker.errors import Forbidden, Unavailable
from worker.providers.caldav.calendar import CalDavCalendar

pytestmark = pytest.mark.usefixtures("undisturbed")


class TestWithCopies(CalendarContract, GuestDeletionContract, GuestMoveContract):
    """Radicale delivers no invitations, so that we do."""

    remembers_cancelled = False


class SchedulingHands(CalDavHands):
    """What a server that schedules by itself (RFC 6638) would do to the organizer's event is done here by hand."""

    def answer(self, organizer: str, guest: str, key: str, answer: Answer) -> None:
        super().answer(organizer, organizer, key, answer)


class TestServerThatSchedules:
    """`attendee_copies` off: answers are read where such a server writes them, nothing is written elsewhere."""

    @pytest.fixture
    def provider(self, server: EmbeddedServers) -> Iterator[CalDavCalendar]:
        made = open_calendar(server, attendee_copies=False)
        yield made
        made.close()

    @pytest.fixture
    def hands(self, server: EmbeddedServers) -> Iterator[SchedulingHands]:
        made = SchedulingHands(server)
        yield made
        made.close()

    def test_answers_are_read_from_the_organizers_event(self, provider: CalDavCalendar, hands: SchedulingHands) -> None:
        dana, sam = hands.person(), hands.person()
        wanted = draft(dana, sam)
        provider.create(dana, wanted)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.answer(dana, sam, wanted.key, Answer.DECLINED)
        [event] = provider.changes(dana, cursor, WINDOW).events
        assert event.answers == {sam: Answer.DECLINED}
        moved = provider.update(event.ref, replace(wanted, span=span(11, 13)))
        assert moved.answers == {sam: Answer.NEEDS_ACTION}

    def test_the_server_is_left_to_invite(self, provider: CalDavCalendar, hands: SchedulingHands) -> None:
        dana, sam = hands.person(), hands.person()
        wanted = draft(dana, sam)
        event = provider.create(dana, wanted)
        assert "SCHEDULE-AGENT" not in hands.text(dana, event.ref.id)
        assert provider.find(sam, wanted.key) is None
        provider.cancel(event.ref)
        assert provider.find(dana, wanted.key) is None


@pytest.mark.parametrize("unknown", [["sync-token"], ["sync-token", "getctag"]])
def test_a_server_without_sync_tokens_is_compared(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor, unknown: list[str]
) -> None:
    """By its ctag, else by all etags: nothing changed is nothing told, any change is a full pass."""
    interceptor.before, interceptor.rewrite = refuse_sync_tokens, hide_properties(*unknown)
    provider = open_calendar(server)
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    first = provider.changes(dana, None, WINDOW)
    again = provider.changes(dana, first.cursor, WINDOW)
    assert (again.events, again.deleted_ids, again.is_full) == ((), (), False)
    hands.answer(dana, sam, wanted.key, Answer.ACCEPTED)
    [event] = provider.changes(dana, again.cursor, WINDOW).events
    assert event.answers == {sam: Answer.ACCEPTED}
    hands.add(dana, span(5, 9))
    after = provider.changes(dana, again.cursor, WINDOW)
    assert after.is_full and len(after.events) == 2


# --- what it costs ----------------------------------------------------------------------------------------------------


def test_when_nothing_changed_a_calendar_costs_one_request(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    dana, sams = hands.person(), [hands.person() for _ in range(3)]
    for sam in sams:
        for day in (9, 10):
            provider.create(dana, draft(dana, sam, span=span(day, 10)))
    alone = hands.person()
    cursors = {person: provider.changes(person, None, WINDOW).cursor for person in (alone, dana)}
    interceptor.methods.clear()
    provider.changes(alone, cursors[alone], WINDOW)
    assert interceptor.methods == ["REPORT"]
    interceptor.methods.clear()
    provider.changes(dana, cursors[dana], WINDOW)
    assert interceptor.methods == ["REPORT"] * 4  # the manager's calendar, and that of each report


def test_free_busy_costs_one_request_for_each_person(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    people = [hands.person() for _ in range(3)]
    for person in people:
        hands.add(person, span(5, 9))
    interceptor.methods.clear()
    provider.free_busy(people, WINDOW)
    assert interceptor.methods == ["REPORT"] * 3


def test_no_title_is_asked_for(provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor) -> None:
    """R-23: a server that can leave titles out is told to."""
    bodies: list[bytes] = []

    def listen(environ: dict[str, Any]) -> None:
        bodies.append(environ["wsgi.input"].read())
        environ["wsgi.input"] = BytesIO(bodies[-1])

    dana = hands.person()
    hands.add(dana, span(5, 9))
    interceptor.before = listen
    provider.free_busy([dana], WINDOW)
    provider.changes(dana, None, WINDOW)
    asked = [body for body in bodies if b"calendar-data" in body]
    assert asked and all(b'name="DTSTART"' in body for body in asked)
    assert not any(word in body for body in asked for word in (b"SUMMARY", b"DESCRIPTION", b"allprop"))


# --- half-done work heals ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_a_create_that_broke_off_is_completed_by_the_next(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, number: int, after: bool
) -> None:
    """Between the organizer's event and the guest's copy: one event, one copy, no false answer."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    break_connection("PUT", number, after=after, interceptor=interceptor)
    with pytest.raises(Unavailable) as caught:
        provider.create(dana, wanted)
    assert caught.value.uncertain
    interceptor.clear()
    for event in provider.changes(dana, None, WINDOW).events:
        assert event.answers == {sam: Answer.NEEDS_ACTION}
    assert provider.create(dana, wanted).answers == {sam: Answer.NEEDS_ACTION}
    for person in (dana, sam):
        assert [busy.span for busy in provider.free_busy([person], WINDOW)[person].busy] == [wanted.span]
    hands.delete(sam, wanted.key)
    found = provider.find(dana, wanted.key)
    assert found is not None and found.answers == {sam: Answer.DECLINED}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_an_update_that_broke_off_is_completed_by_the_next(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, number: int, after: bool
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    moved = replace(wanted, span=span(11, 13))
    break_connection("PUT", number, after=after, interceptor=interceptor)
    with pytest.raises(Unavailable):
        provider.update(event.ref, moved)
    interceptor.clear()
    assert provider.update(event.ref, moved).answers == {sam: Answer.NEEDS_ACTION}
    for person in (dana, sam):
        assert [busy.span for busy in provider.free_busy([person], WINDOW)[person].busy] == [moved.span]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("method", "number"), [("PUT", 1), ("DELETE", 1), ("DELETE", 2)])
def test_a_cancel_that_broke_off_is_completed_by_the_next(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, method: str, number: int, after: bool
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    break_connection(method, number, after=after, interceptor=interceptor)
    with pytest.raises(Unavailable):
        provider.cancel(event.ref)
    interceptor.clear()
    provider.cancel(event.ref)
    for person in (dana, sam):
        assert provider.find(person, wanted.key) is None


def test_a_dead_cursor_still_knows_which_copies_to_take_away(provider: CalDavCalendar, hands: CalDavHands) -> None:
    """The organizer deletes the event while nobody could tell what changed: the guest does not keep an orphan."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.delete(dana, wanted.key)
    assert provider.changes(dana, hands.expire_cursor(dana, cursor), WINDOW).events == ()
    assert provider.free_busy([sam], WINDOW)[sam].busy == ()


def test_only_those_named_local_get_a_copy(server: EmbeddedServers, hands: CalDavHands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    provider = open_calendar(server, local_people=[dana, sam])
    wanted = draft(dana, sam, kim)
    assert provider.create(dana, wanted).answers == {sam: Answer.NEEDS_ACTION, kim: Answer.NEEDS_ACTION}
    assert provider.find(sam, wanted.key) is not None
    assert provider.find(kim, wanted.key) is None


def test_a_guest_left_out_of_the_draft_loses_the_copy(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    wanted = draft(dana, sam, kim)
    event = provider.create(dana, wanted)
    smaller = provider.update(event.ref, replace(wanted, guests=wanted.guests[:1]))
    assert smaller.answers == {sam: Answer.NEEDS_ACTION}
    assert provider.free_busy([kim], WINDOW)[kim].busy == ()


def test_a_guests_copy_is_not_ours_to_change(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    copy = provider.find(sam, wanted.key)
    assert copy is not None
    with pytest.raises(Forbidden):
        provider.cancel(copy.ref)
