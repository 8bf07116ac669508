"""The CalDAV provider keeps the promises of a calendar, needs few requests, and completes work that was interrupted."""

from collections.abc import Iterator
from dataclasses import replace
from io import BytesIO
from typing import Any

import pytest

from tests.providers.conftest import CalDavHands, RequestInterceptor
from tests.support.caldav import break_connection, hide_properties, open_calendar, refuse_sync_tokens
from tests.support.drafts import WINDOW, draft, span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
from tests.support.provider_contract import CalendarContract, GuestDeletionContract, GuestMoveContract, TextContract
from worker.domain.model import Answer
from worker.embedded import EmbeddedServers
from worker.errors import Forbidden, Unavailable
from worker.providers.caldav.calendar import CalDavCalendar

pytestmark = pytest.mark.usefixtures("untouched_server")


class TestWithCopies(CalendarContract, TextContract, GuestDeletionContract, GuestMoveContract):
    """Radicale delivers no invitations, so the provider places copies."""

    remembers_cancelled = False  # a CalDAV server deletes an event without a trace


class SchedulingHands(CalDavHands):
    """Writes answers to the organizer's event, as a server does that schedules by itself (RFC 6638)."""

    def answer(self, organizer: str, guest: str, key: str, answer: Answer) -> None:
        super().answer(organizer, organizer, key, answer)


class TestServerThatSchedules:
    """Without `attendee_copies`, answers are read from the organizer's event, and guests' calendars are not written."""

    @pytest.fixture
    def provider(self, server: EmbeddedServers) -> Iterator[CalDavCalendar]:
        calendar = open_calendar(server, attendee_copies=False)
        yield calendar
        calendar.close()

    @pytest.fixture
    def hands(self, server: EmbeddedServers) -> Iterator[SchedulingHands]:
        scheduling_hands = SchedulingHands(server)
        yield scheduling_hands
        scheduling_hands.close()

    def test_answers_are_read_from_the_organizers_event(self, provider: CalDavCalendar, hands: SchedulingHands) -> None:
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        provider.create(dana, event_draft)
        cursor = provider.changes(dana, None, WINDOW).cursor
        hands.answer(dana, sam, event_draft.key, Answer.DECLINED)
        [event] = provider.changes(dana, cursor, WINDOW).events
        assert event.answers == {sam: Answer.DECLINED}
        moved_event = provider.update(event.ref, replace(event_draft, span=span(11, 13)))
        assert moved_event.answers == {sam: Answer.NEEDS_ACTION}

    def test_the_invitation_is_left_to_the_calendar_server(
        self, provider: CalDavCalendar, hands: SchedulingHands
    ) -> None:
        """R-2, the manager invites: the server does so for the event, and the provider writes no copy for the guest."""
        dana, sam = hands.person(), hands.person()
        event_draft = draft(dana, sam)
        event = provider.create(dana, event_draft)
        assert "SCHEDULE-AGENT" not in hands.text(dana, event.ref.id)
        assert provider.find(sam, event_draft.key) is None
        provider.cancel(event.ref)
        assert provider.find(dana, event_draft.key) is None


@pytest.mark.parametrize("hidden_properties", [["sync-token"], ["sync-token", "getctag"]])
def test_changes_are_found_without_sync_tokens(
    server: EmbeddedServers, hands: CalDavHands, interceptor: RequestInterceptor, hidden_properties: list[str]
) -> None:
    """The calendar's ctag (`getctag`), which any change of its events changes, is compared; else the etags of all
    events. After any change, all events are read."""
    interceptor.before, interceptor.rewrite = refuse_sync_tokens, hide_properties(*hidden_properties)
    provider = open_calendar(server)
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    first_changes = provider.changes(dana, None, WINDOW)
    no_changes = provider.changes(dana, first_changes.cursor, WINDOW)
    assert (no_changes.events, no_changes.deleted_ids, no_changes.is_full) == ((), (), False)
    hands.answer(dana, sam, event_draft.key, Answer.ACCEPTED)
    [event] = provider.changes(dana, no_changes.cursor, WINDOW).events
    assert event.answers == {sam: Answer.ACCEPTED}
    hands.add(dana, span(5, 9))
    full_changes = provider.changes(dana, no_changes.cursor, WINDOW)
    assert full_changes.is_full and len(full_changes.events) == 2


# --- requests ---------------------------------------------------------------------------------------------------------


def test_unchanged_calendar_costs_one_request(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    """An organizer's calendar costs one more for each guest with a copy."""
    dana, guests = hands.person(), [hands.person() for _ in range(3)]
    for guest in guests:
        for day in (9, 10):
            provider.create(dana, draft(dana, guest, span=span(day, 10)))
    kim = hands.person()
    cursors = {person: provider.changes(person, None, WINDOW).cursor for person in (kim, dana)}
    interceptor.methods.clear()
    provider.changes(kim, cursors[kim], WINDOW)
    assert interceptor.methods == ["REPORT"]
    interceptor.methods.clear()
    provider.changes(dana, cursors[dana], WINDOW)
    assert interceptor.methods == ["REPORT"] * 4  # the organizer's calendar, and those of the three guests


def test_free_busy_costs_one_request_for_each_person(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    people = [hands.person() for _ in range(3)]
    for person in people:
        hands.add(person, span(5, 9))
    interceptor.methods.clear()
    provider.free_busy(people, WINDOW)
    assert interceptor.methods == ["REPORT"] * 3


def test_requests_for_events_ask_for_no_title(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor
) -> None:
    """R-23, content is confidential: the requests name the properties to send, and the title is none of them."""
    bodies: list[bytes] = []

    def keep_body(environ: dict[str, Any]) -> None:
        bodies.append(environ["wsgi.input"].read())
        environ["wsgi.input"] = BytesIO(bodies[-1])

    dana = hands.person()
    hands.add(dana, span(5, 9))
    interceptor.before = keep_body
    provider.free_busy([dana], WINDOW)
    provider.changes(dana, None, WINDOW)
    content_requests = [body for body in bodies if b"calendar-data" in body]
    assert content_requests and all(b'name="DTSTART"' in body for body in content_requests)
    assert not any(word in body for body in content_requests for word in (b"SUMMARY", b"DESCRIPTION", b"allprop"))


# --- interrupted work -------------------------------------------------------------------------------------------------
# The connection breaks at a write: the first or a later one of a method (`number`), before or after the server carries
# it out (`after`).


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_next_create_completes_an_interrupted_create(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, number: int, after: bool
) -> None:
    """There is one event and one copy, whichever of the two writes failed, and no answer that nobody gave."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    break_connection("PUT", number, after=after, interceptor=interceptor)
    with pytest.raises(Unavailable) as error_info:
        provider.create(dana, event_draft)
    assert error_info.value.uncertain
    interceptor.clear()
    for event in provider.changes(dana, None, WINDOW).events:
        assert event.answers == {sam: Answer.NEEDS_ACTION}
    assert provider.create(dana, event_draft).answers == {sam: Answer.NEEDS_ACTION}
    for person in (dana, sam):
        assert [busy.span for busy in provider.free_busy([person], WINDOW)[person].busy] == [event_draft.span]
    hands.delete(sam, event_draft.key)
    event_with_answer = provider.find(dana, event_draft.key)
    assert event_with_answer is not None and event_with_answer.answers == {sam: Answer.DECLINED}


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("number", [1, 2])
def test_next_update_completes_an_interrupted_update(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, number: int, after: bool
) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    moved_draft = replace(event_draft, span=span(11, 13))
    break_connection("PUT", number, after=after, interceptor=interceptor)
    with pytest.raises(Unavailable):
        provider.update(event.ref, moved_draft)
    interceptor.clear()
    assert provider.update(event.ref, moved_draft).answers == {sam: Answer.NEEDS_ACTION}
    for person in (dana, sam):
        assert [busy.span for busy in provider.free_busy([person], WINDOW)[person].busy] == [moved_draft.span]


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize(("method", "number"), [("PUT", 1), ("DELETE", 1), ("DELETE", 2)])
def test_next_cancel_completes_an_interrupted_cancel(
    provider: CalDavCalendar, hands: CalDavHands, interceptor: RequestInterceptor, method: str, number: int, after: bool
) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    break_connection(method, number, after=after, interceptor=interceptor)
    with pytest.raises(Unavailable):
        provider.cancel(event.ref)
    interceptor.clear()
    provider.cancel(event.ref)
    for person in (dana, sam):
        assert provider.find(person, event_draft.key) is None


def test_expired_cursor_still_names_the_copies_to_remove(provider: CalDavCalendar, hands: CalDavHands) -> None:
    """The organizer deletes the event while the cursor expires. The guest's copy is removed all the same."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.delete(dana, event_draft.key)
    assert provider.changes(dana, hands.expire_cursor(dana, cursor), WINDOW).events == ()
    assert provider.free_busy([sam], WINDOW)[sam].busy == ()


def test_only_local_people_get_a_copy(server: EmbeddedServers, hands: CalDavHands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    provider = open_calendar(server, local_people=[dana, sam])
    event_draft = draft(dana, sam, kim)
    assert provider.create(dana, event_draft).answers == {sam: Answer.NEEDS_ACTION, kim: Answer.NEEDS_ACTION}
    assert provider.find(sam, event_draft.key) is not None
    assert provider.find(kim, event_draft.key) is None


def test_guest_missing_from_the_draft_loses_the_copy(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    event_draft = draft(dana, sam, kim)
    event = provider.create(dana, event_draft)
    updated = provider.update(event.ref, replace(event_draft, guests=event_draft.guests[:1]))
    assert updated.answers == {sam: Answer.NEEDS_ACTION}
    assert provider.free_busy([kim], WINDOW)[kim].busy == ()


def test_copy_of_a_guest_cannot_be_cancelled(provider: CalDavCalendar, hands: CalDavHands) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    copy = provider.find(sam, event_draft.key)
    assert copy is not None
    with pytest.raises(Forbidden):
        provider.cancel(copy.ref)
