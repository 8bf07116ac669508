"""What only Microsoft 365 does, rule by rule: retries, ids, rounds, free/busy, zones, mail, throttling, bad input."""

import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
import requests
from hypothesis import example, given
from hypothesis import strategies as st

from tests.doubles.graph import Double, Fault, Hands, section
from tests.doubles.graph.schema import Schema, Unknown
from tests.support.provider_contract import DAY, WINDOW, at, draft, letter, span
from worker.clock import SteppedClock
from worker.domain.model import Answer, BusyTime, Event, EventRef, FreeBusy, ShowAs, Span
from worker.errors import (
    AuthRevoked,
    Conflict,
    Forbidden,
    InvalidResponse,
    NotFound,
    Permanent,
    RateLimited,
    Transient,
    Unavailable,
)
from worker.providers import windows_zones
from worker.providers.limiter import Limiter
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook import events as graphevents
from worker.providers.outlook import mailbox_settings
from worker.providers.outlook import schedule as graphschedule
from worker.providers.outlook.calendar import OutlookCalendar


@pytest.fixture(scope="module")
def service() -> Iterator[Double]:
    with Double() as double:
        yield double


@pytest.fixture
def double(service: Double) -> Iterator[Double]:
    service.forget()
    yield service
    service.forget()


@pytest.fixture
def hands(double: Double) -> Hands:
    return Hands(double)


@pytest.fixture
def provider(double: Double, hands: Hands) -> Iterator[OutlookCalendar]:
    calendar = outlook.build_calendar(section(double, organizers=hands.organizers))
    yield calendar
    calendar.close()


def events_of(double: Double, address: str) -> list[Any]:
    return list(double.world.mailboxes[address].items.values())


# --- one event, whatever happens ------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 409])
def test_a_transaction_id_used_already_leads_to_the_event_that_has_it(
    provider: OutlookCalendar, double: Double, hands: Hands, status: int
) -> None:
    """The same key with other content: the service refuses, and the event that is there comes back as it stands."""
    double.calendars.duplicate_status = status
    dana = hands.person()
    wanted = draft(dana)
    made = provider.create(dana, wanted)
    again = provider.create(dana, replace(wanted, span=span(11, 9), subject="Other words"))
    assert again == made
    assert len(events_of(double, dana)) == 1


@pytest.mark.parametrize("status", [500, 503, 504])
def test_a_create_that_was_stored_although_it_failed_is_one_event(
    provider: OutlookCalendar, double: Double, hands: Hands, status: int
) -> None:
    dana = hands.person()
    wanted = draft(dana)
    double.faults.append(Fault("POST", "events$", status, after=True))
    made = provider.create(dana, wanted)
    assert made == provider.find(dana, wanted.key)
    assert len(events_of(double, dana)) == 1


def test_a_create_whose_answer_is_cut_off_is_one_event(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana = hands.person()
    double.faults.append(Fault("POST", "events$", 201, after=True, cut=True))
    provider.create(dana, draft(dana))
    assert len(events_of(double, dana)) == 1


def test_a_create_that_did_not_come_through_says_that_nobody_knows(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """No blind repeat: one POST, one look, and the outbox decides."""
    dana = hands.person()
    double.faults.append(Fault("POST", "events$", 503, headers=(("Retry-After", "7"),)))
    with pytest.raises(Unavailable) as caught:
        provider.create(dana, draft(dana))
    assert caught.value.uncertain and caught.value.retry_after == timedelta(seconds=7)
    assert double.counts["POST events"] == 1
    assert events_of(double, dana) == []


def test_two_that_came_to_be_become_one(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """The service's guard is not tight: where two stand with one key, the first stays."""
    double.calendars.guards_replays = False
    dana = hands.person()
    wanted = draft(dana)
    first = provider.create(dana, wanted)
    double.faults.append(Fault("POST", "events$", 504, after=True))
    assert provider.create(dana, wanted).ref.id == first.ref.id
    assert [one.id for one in events_of(double, dana)] == [first.ref.id]


def test_a_key_is_told_by_its_case_where_the_service_does_not(provider: OutlookCalendar, hands: Hands) -> None:
    dana = hands.person()
    upper = provider.create(dana, draft(dana, key="S7.1"))
    assert provider.find(dana, "s7.1") is None
    lower = provider.create(dana, draft(dana, key="s7.1"))
    assert upper.ref.id != lower.ref.id


def test_every_request_asks_for_utc_and_for_ids_that_stay(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, draft(dana, sam))
    provider.free_busy([dana, sam], WINDOW)
    provider.changes(dana, provider.changes(dana, None, WINDOW).cursor, WINDOW)
    provider.cancel(event.ref)
    assert len(double.seen) > 6
    for _, _, headers in double.seen:
        assert 'IdType="ImmutableId"' in headers["prefer"] and 'outlook.timezone="UTC"' in headers["prefer"]
        assert headers["client-request-id"]


def test_an_event_is_private_and_says_no_more_than_it_should(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """R-23."""
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    [item] = events_of(double, dana)
    assert item.properties["sensitivity"] == "private"
    assert not item.join_link
    [told] = [one["sensitivity"] for one in (copy.properties for copy in events_of(double, sam))]
    assert told == "private"


def test_a_teams_link_is_asked_for_and_survives_a_change_of_words(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam, video=True)
    event = provider.create(dana, wanted)
    [item] = events_of(double, dana)
    assert item.join_link and item.join_link in item.properties["body"]["content"]
    provider.update(event.ref, replace(wanted, body="Other words"))
    assert "Other words" in item.properties["body"]["content"]
    assert item.join_link in item.properties["body"]["content"]
    assert "Gespr" not in item.properties["body"]["content"]
    assert "joinBlockLost" not in item.properties


def test_the_operator_hears_that_teams_is_not_available(double: Double, hands: Hands) -> None:
    """The service makes the event without a word."""
    double.calendars.teams = "missing"
    notices: list[tuple[str, str]] = []
    heard = section(double, organizers=hands.organizers, notices=lambda *told: notices.append(told))
    provider = outlook.build_calendar(heard)
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    assert notices == []
    provider.create(dana, draft(dana, sam, video=True, span=span(11, 9)))
    [(cause, words)] = notices
    assert cause == f"teams:{dana}" and dana in words and "teams = false" in words
    [quiet] = [outlook.build_calendar({**heard, "teams": False})]
    quiet.create(dana, draft(dana, sam, video=True, span=span(12, 9)))
    assert len(notices) == 1


def test_a_teams_meeting_that_is_ready_later_is_no_conflict(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """The service renews the version of the event by itself; a change by people is a conflict all the same."""
    double.calendars.teams = "later"
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam, video=True)
    event = provider.create(dana, wanted)
    hands.provision(dana, wanted.key)
    moved = provider.update(event.ref, replace(wanted, span=span(11, 9)))
    assert moved.span == span(11, 9)
    assert hands.own(dana, wanted.key).join_link
    hands.provision(dana, wanted.key)
    provider.update(moved.ref, replace(wanted, span=span(11, 9), subject="Other words"))
    hands.move(dana, wanted.key, span(12, 9))
    with pytest.raises(Conflict):
        provider.update(moved.ref, replace(wanted, span=span(15, 9)))
    with pytest.raises(Conflict):
        provider.cancel(moved.ref)


def test_an_etag_kept_by_an_earlier_version_is_compared_as_it_is(provider: OutlookCalendar, hands: Hands) -> None:
    dana = hands.person()
    wanted = draft(dana)
    event = provider.create(dana, wanted)
    plain = replace(event.ref, etag=graphevents.service_etag(event.ref.etag))
    moved = provider.update(plain, replace(wanted, span=span(11, 9)))
    assert moved.span == span(11, 9)
    with pytest.raises(Conflict):
        provider.update(plain, replace(wanted, span=span(12, 9)))


def test_where_the_way_in_can_not_be_told_the_old_words_stay() -> None:
    """A text that is old is better than a meeting that nobody finds."""
    item = {"isOnlineMeeting": True, "body": {"content": "<p>Old</p><a href='x'>Join</a>"}, "subject": "s"}
    wanted = draft("dana@example.org", body="New", subject="s")
    there = graphevents.parse_event(
        {
            "id": "1",
            "changeKey": "1",
            "start": graphevents.format_utc(wanted.span.start),
            "end": graphevents.format_utc(wanted.span.end),
        },
        "dana@example.org",
        ZoneInfo("UTC"),
    )
    assert "body" not in graphevents.compose_patch(item, wanted, there)


def test_a_cancellation_has_a_word_for_the_guests(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana, sam = hands.person(), hands.person()
    provider.cancel(provider.create(dana, draft(dana, sam)).ref)
    assert double.counts["POST events/{id}/cancel"] == 1
    assert double.counts["DELETE events/{id}"] == 0
    provider.cancel(provider.create(dana, draft(dana)).ref)  # without guests there is nobody to tell
    assert double.counts["DELETE events/{id}"] == 1


def test_an_update_that_got_through_unheard_is_not_done_twice(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    moved = replace(wanted, span=span(11, 9))
    double.faults.append(Fault("PATCH", "events", 504, after=True))
    with pytest.raises(Unavailable) as caught:
        provider.update(event.ref, moved)
    assert caught.value.uncertain
    assert provider.update(event.ref, moved).span == span(11, 9)
    assert double.counts["PATCH events/{id}"] == 1


def test_a_change_in_between_is_seen_by_the_service_too(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """`If-Match` goes along: somebody who is faster than our look and our write wins."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    double.meanwhile["PATCH"] = lambda: hands.move(dana, wanted.key, span(10, 9, 75))
    with pytest.raises(Conflict):
        provider.update(event.ref, replace(wanted, span=span(11, 13)))
    found = provider.find(dana, wanted.key)
    assert found is not None and found.span == span(10, 9, 75)


def test_rooms_that_people_added_stay(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    item = hands.own(dana, wanted.key)
    room = {"address": "room4@example.org", "shown": "room4@example.org", "name": "Room 4", "type": "resource"}
    item.attendees.append({**room, "response": "accepted"})
    event = provider.find(dana, wanted.key)
    assert event is not None and set(event.answers) == {sam}
    changed = provider.update(event.ref, replace(wanted, guests=(*wanted.guests, replace(wanted.guests[0], email=kim))))
    assert set(changed.answers) == {sam, kim}
    assert [one["address"] for one in item.attendees if one["type"] == "resource"] == ["room4@example.org"]


def test_more_guests_than_an_event_may_have_are_refused_before_anything_is_sent(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana = hands.person()
    with pytest.raises(Permanent, match="500"):
        provider.create(dana, draft(dana, *(f"g{n}@example.org" for n in range(501))))
    assert double.counts["POST events"] == 0


def test_another_time_that_a_guest_proposes_comes_back_and_goes_with_a_move(
    provider: OutlookCalendar, hands: Hands
) -> None:
    """R-8: with a decline or a maybe; when the event moves, everybody is asked anew."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.answer(dana, sam, wanted.key, Answer.TENTATIVE, wish=span(11, 13))
    [seen] = provider.changes(dana, cursor, WINDOW).events
    assert (seen.answers, seen.proposed) == ({sam: Answer.TENTATIVE}, {sam: span(11, 13)})
    assert event.proposed == {}
    moved = provider.update(seen.ref, replace(wanted, span=span(11, 13)))
    assert (moved.span, moved.answers, moved.proposed) == (span(11, 13), {sam: Answer.NEEDS_ACTION}, {})


@pytest.mark.parametrize("given", [None, [], {"start": {}}, {"start": {"dateTime": "0001-01-01T00:00:00"}}])
def test_a_proposal_that_is_none_is_none(given: Any) -> None:
    assert graphevents._read_proposed_time({"proposedNewTime": given}) is None


# --- rounds of changes ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 410])
def test_both_forms_of_a_dead_token_begin_a_new_round(
    provider: OutlookCalendar, double: Double, hands: Hands, status: int
) -> None:
    double.calendars.dead_status = status
    dana = hands.person()
    hands.add(dana, span(5, 14))
    cursor = provider.changes(dana, None, WINDOW).cursor
    changes = provider.changes(dana, hands.kill(dana, cursor), WINDOW)
    assert changes.full and [one.span for one in changes.events] == [span(5, 14)]


def test_a_service_that_forgets_at_once_is_no_loop(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana = hands.person()
    double.faults.append(Fault("GET", "delta", 410, code="resyncRequired", times=99))
    with pytest.raises(Transient):
        provider.changes(dana, None, WINDOW)
    assert double.counts["GET calendarView/delta"] == 1


def test_the_window_slides_within_a_round_and_then_a_new_one_begins(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana = hands.person()
    cursor = provider.changes(dana, None, WINDOW).cursor

    def later(days: int) -> Span:
        return Span(WINDOW.start + days * DAY, WINDOW.end + days * DAY)

    assert not provider.changes(dana, cursor, later(8)).full
    assert provider.changes(dana, cursor, later(10)).full


def test_everything_comes_however_many_pages_it_takes(
    provider: OutlookCalendar, double: Double, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(outlook, "_PAGE", 3)
    monkeypatch.setattr("worker.providers.outlook.delta._PREFER", "odata.maxpagesize=2")
    dana = hands.person()
    names = [hands.add(dana, Span(at(5, hour), at(5, hour + 1))) for hour in range(10)]
    changes = provider.changes(dana, None, WINDOW)
    assert len(changes.events) == 10
    for name in names[:5]:
        hands.remove(dana, name)
    assert len(provider.changes(dana, changes.cursor, WINDOW).gone) == 5


def test_a_link_to_elsewhere_is_not_followed(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """A token goes to the service and to nobody else."""
    dana = hands.person()
    page = json.dumps({"value": [], "@odata.nextLink": "http://127.0.0.1:9/steal"}).encode()
    double.faults.append(Fault("GET", "events", 200, body=page))
    with pytest.raises(InvalidResponse, match="elsewhere"):
        provider.find(dana, "s1.1")


def test_a_quiet_calendar_costs_one_request(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana = hands.person()
    cursor = provider.changes(dana, None, WINDOW).cursor
    double.counts.clear()
    provider.changes(dana, cursor, WINDOW)
    assert sum(double.counts.values()) == 1


def test_our_events_are_found_where_the_mailbox_is_too_large_to_be_searched(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """Nothing that is looked at again and again asks for our property: on a large mailbox that is never answered."""
    double.calendars.unindexed = True
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.move(dana, wanted.key, Span(at(9, 10) + 90 * DAY, at(9, 11) + 90 * DAY))
    [moved] = provider.changes(dana, cursor, WINDOW).events
    assert (moved.key, moved.ref.id) == (wanted.key, event.ref.id)
    [moved] = provider.changes(dana, None, WINDOW).events
    assert moved.key == wanted.key
    double.counts.clear()
    for _ in range(2):
        found = provider.find(dana, wanted.key)
        assert found is not None and found.ref.id == event.ref.id
    assert double.counts["GET events"] == 3  # one in vain, and from then on none


def test_a_change_of_ours_is_told_apart_by_its_transaction_id(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """One request for what changed, and one for the event of ours in it; none for what other programs made."""
    double.calendars.unindexed = True
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.answer(dana, sam, wanted.key, Answer.ACCEPTED)
    for n in range(10):
        name = hands.add(dana, span(12, 8 + n))
        double.world.mailboxes[dana].items[name].transaction = f"localevent:{n}"
    double.counts.clear()
    changes = provider.changes(dana, cursor, WINDOW)
    assert sorted(event.key or "" for event in changes.events) == [""] * 10 + [wanted.key]
    assert double.counts == {"GET calendarView/delta": 1, "GET events/{id}": 1}


def test_very_many_changes_are_read_as_a_whole(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    double.calendars.unindexed = True
    dana = hands.person()
    wanted = draft(dana)
    provider.create(dana, wanted)
    cursor = provider.changes(dana, None, WINDOW).cursor
    for n in range(30):
        hands.add(dana, Span(at(12, 8) + n * DAY / 24, at(12, 9) + n * DAY / 24))
    double.counts.clear()
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.full and len(changes.events) == 31
    assert sum(double.counts.values()) <= 5


# --- free and busy --------------------------------------------------------------------------------------------------


def test_free_busy_is_asked_for_twenty_people_and_less_than_62_days_at_a_time(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    people = [hands.person() for _ in range(45)]
    window = Span(at(1, 0), at(1, 0) + 150 * DAY)
    late = Span(window.end - 2 * DAY, window.end - DAY)
    hands.add(people[44], late)
    found = provider.free_busy(people, window)
    assert double.counts["POST calendar/getSchedule"] == 3 * 3
    assert [one.span for one in found[people[44]].busy] == [late]
    assert all(free_busy.known for free_busy in found.values())


def test_what_runs_over_the_edge_of_a_request_counts_once(provider: OutlookCalendar, hands: Hands) -> None:
    person = hands.person()
    window = Span(at(1, 0), at(1, 0) + 100 * DAY)
    edge = next(iter(graphschedule.split_window(window))).end
    hands.add(person, Span(edge - timedelta(hours=5), edge + timedelta(hours=5)))
    assert len(provider.free_busy([person], window)[person].busy) == 1


def test_two_of_the_same_time_are_two(provider: OutlookCalendar, hands: Hands) -> None:
    person = hands.person()
    for _ in range(2):
        hands.add(person, span(5, 14))
    assert len(provider.free_busy([person], WINDOW)[person].busy) == 2


@given(
    st.timedeltas(timedelta(0), timedelta(days=700)).map(lambda passed: at(1, 0) + passed),
    st.timedeltas(timedelta(0), timedelta(days=700)),
)
@example(at(1, 0), timedelta(days=61, hours=5))
@example(at(1, 0), timedelta(days=62))
@example(at(1, 0), timedelta(minutes=3))
@example(at(1, 0), timedelta(0))
@example(at(1, 0, 1).replace(microsecond=5), timedelta(days=61))
def test_a_window_of_any_length_is_cut_evenly_into_what_the_service_allows(start: datetime, length: timedelta) -> None:
    """T-2: a stretch that is refused would make twenty people unknown."""
    window = Span(start, start + length)
    parts = list(graphschedule.split_window(window))
    assert parts[0].start <= window.start and window.end <= parts[-1].end
    assert all(one.end == other.start for one, other in pairwise(parts))
    lengths = [part.end - part.start for part in parts]
    assert max(lengths) - min(lengths) <= timedelta(seconds=1)
    for part, taken in zip(parts, lengths, strict=True):
        assert timedelta(minutes=5) <= taken < timedelta(days=62)
        interval = graphschedule.choose_interval(part)
        assert 5 <= interval <= 1440 and timedelta(minutes=interval) <= taken
        assert part.start.microsecond == part.end.microsecond == 0


@pytest.mark.parametrize("length", [timedelta(days=61, hours=5), timedelta(hours=3), timedelta(minutes=2), 122 * DAY])
def test_free_busy_is_told_for_a_window_of_any_length(
    provider: OutlookCalendar, hands: Hands, length: timedelta
) -> None:
    sam = hands.person()
    window = Span(at(9, 9), at(9, 9) + length)
    hands.add(sam, Span(window.end - timedelta(minutes=1), window.end + timedelta(hours=1)))
    [busy] = provider.free_busy([sam], window)[sam].busy
    assert busy.span == Span(window.end - timedelta(minutes=1), window.end)


def test_an_error_for_one_person_is_unknown_for_that_one(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """T-2: it comes with HTTP 200."""
    sam, kim = hands.person(), hands.person()
    double.blind.add(kim)
    found = provider.free_busy([sam, kim], WINDOW)
    assert found[sam].known and not found[kim].known and "resolve" in found[kim].reason


def test_a_blocked_mailbox_is_asked_through_another(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """An app may be kept out of a report's mailbox and still learn when the report is free."""
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    double.blocked.add(sam)
    found = provider.free_busy([dana, sam], WINDOW)
    assert [busy.key for busy in found[sam].busy] == [busy.key for busy in found[dana].busy] != []


def test_an_organizer_out_of_reach_is_unknown_with_the_remedy(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    double.blocked.add(dana)
    found = provider.free_busy([dana, sam], WINDOW)
    assert not found[dana].known and "group" in found[dana].reason
    assert found[sam].known


def test_working_elsewhere_is_free(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    person = hands.person()
    name = hands.add(person, span(5, 14))
    double.world.mailboxes[person].items[name].properties["showAs"] = "workingElsewhere"
    assert provider.free_busy([person], WINDOW)[person].busy == ()


def test_a_time_that_nobody_understands_is_unknown() -> None:
    item = {"start": {"dateTime": "x"}, "end": {}, "status": "busy"}
    found = graphschedule._join_parts([{"scheduleItems": [item]}], WINDOW)
    assert not found.known


def test_only_one_of_two_stretches_is_ours() -> None:
    """What is booked over our event at its very time is not taken for it."""
    busy = FreeBusy(tuple(BusyTime(span(9, 10), ShowAs.BUSY) for _ in range(2)))
    event = Event(ref=EventRef("dana@x", "1", "1"), span=span(9, 10), key="k", answers={"sam@x": Answer.ACCEPTED})
    found = graphschedule.mark_our_events(busy, "sam@x", [event], WINDOW)
    assert sorted(one.key or "" for one in found.busy) == ["", "k"]
    assert graphschedule.mark_our_events(busy, "kim@x", [event], WINDOW) == busy


def teams(double: Double, hands: Hands, count: int) -> tuple[OutlookCalendar, list[str]]:
    """So many organizers, each with something on the calendar."""
    people = [hands.person() for _ in range(count)]
    for person in people:
        hands.add(person, span(5, 14))
    return outlook.build_calendar(section(double, organizers=lambda who: {who} & set(people))), people


def test_many_organizers_are_read_in_one_request_each_with_its_own_outcome(double: Double, hands: Hands) -> None:
    provider, people = teams(double, hands, 23)
    double.blocked.add(people[3])
    found = provider.free_busy(people, WINDOW)
    assert double.counts["batch"] == 2 and double.counts["GET calendarView"] <= 23
    assert [who for who in people if not found[who].known] == [people[3]]
    assert all(len(found[who].busy) == 1 for who in people if who != people[3])
    assert max(double.peak.values()) == 1


@pytest.mark.parametrize(("status", "code"), [(429, "ApplicationThrottled"), (503, "ServiceUnavailable")])
def test_one_of_many_that_can_t_be_read_now_waits_alone(double: Double, hands: Hands, status: int, code: str) -> None:
    """It comes inside of an answer that is well."""
    provider, people = teams(double, hands, 3)
    double.faults.append(Fault("GET", people[1], status, code, headers=(("Retry-After", "40"),)))
    found = provider.free_busy(people, WINDOW)
    assert [(found[who].known, found[who].temporary, len(found[who].busy)) for who in people] == [
        (True, False, 1), (False, True, 0), (True, False, 1),
    ]  # fmt: skip
    assert people[1] in found[people[1]].reason


def test_a_guest_of_whoever_can_t_be_read_now_waits_too(double: Double, hands: Hands) -> None:
    """Without the organizer's calendar our own event in the guest's time would be taken for somebody else's."""
    dana, kim, sam, lee = (hands.person() for _ in range(4))
    managed = {sam: [dana], lee: [kim], dana: [dana], kim: [kim]}
    provider = outlook.build_calendar(section(double, organizers=lambda who: managed[who]))
    events = [provider.create(one, draft(one, guest)) for one, guest in ((dana, sam), (kim, lee))]
    double.faults.append(Fault("GET", dana, 503, "ServiceUnavailable"))
    found = provider.free_busy([sam, lee], WINDOW)
    assert (found[sam].known, found[sam].temporary) == (False, True)
    assert [busy.key for busy in found[lee].busy] == [events[1].key]


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"responses": [{"id": 1}]}', b'{"responses": 1}'])
def test_an_answer_about_many_that_is_none_is_one_clear_line(double: Double, hands: Hands, body: bytes) -> None:
    provider, people = teams(double, hands, 2)
    double.batch_answer = body
    try:
        found = provider.free_busy(people, WINDOW)
    except InvalidResponse as error:
        assert "\n" not in str(error)
    else:
        assert not any(free_busy.known for free_busy in found.values())


def test_an_old_token_is_renewed_for_many_too(double: Double, hands: Hands) -> None:
    provider, people = teams(double, hands, 2)
    provider.free_busy(people, WINDOW)
    double.login.grants.clear()
    assert all(one.known for one in provider.free_busy(people, WINDOW).values())


def test_an_absence_around_our_event_is_not_taken_for_it(provider: OutlookCalendar, hands: Hands) -> None:
    """R-8: also when no more than the event's own time is asked about, where both look the same."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    hands.add(sam, Span(at(9, 0), at(10, 0)), show=ShowAs.AWAY)
    busy = provider.free_busy([dana, sam], wanted.span)[sam].busy
    assert {(one.show, one.key) for one in busy} == {(ShowAs.AWAY, None), (ShowAs.TENTATIVE, wanted.key)}
    assert all(one.span == wanted.span for one in busy)


def test_an_absence_of_the_very_time_is_not_taken_for_it_either(provider: OutlookCalendar, hands: Hands) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    hands.add(sam, wanted.span, show=ShowAs.AWAY)
    provider.create(dana, wanted)
    busy = provider.free_busy([dana, sam], WINDOW)[sam].busy
    assert {(one.show, one.key) for one in busy} == {(ShowAs.AWAY, None), (ShowAs.TENTATIVE, wanted.key)}


# --- zones ----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("W. Europe Standard Time", "Europe/Berlin"),
        ("Tokyo Standard Time", "Asia/Tokyo"),
        ("Pacific", "America/Los_Angeles"),
        ("Europe/Vienna", "Europe/Vienna"),
        ("UTC", "UTC"),
        ("", None),
        ("Customized Time Zone", None),
        ("tzone://Microsoft/Custom", None),
        ("GMT+6:30", None),
        ("../etc/passwd", None),
    ],
)
def test_zones_by_their_windows_names(name: str, expected: str | None) -> None:
    assert windows_zones.find_iana_name(name) == expected


@pytest.mark.parametrize(
    "zone", ["Europe/Vienna", "Asia/Kolkata", "America/Detroit", "Australia/Sydney", "Africa/Cairo"]
)
def test_a_zone_is_written_by_a_name_with_the_same_clock(zone: str) -> None:
    for day in (datetime(2027, 1, 15, tzinfo=UTC), datetime(2027, 7, 15, tzinfo=UTC)):
        known = windows_zones.find_iana_name(windows_zones.find_windows_name(zone, day))
        assert known is not None
        here, there = (day.astimezone(ZoneInfo(one)) for one in (zone, known))
        assert here.replace(tzinfo=None) == there.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("described", "hours"),
    [
        ({"bias": 480, "daylightOffset": {"daylightBias": -60, "month": 3}, "standardOffset": {"month": 11}}, (-8, -7)),
        (
            {"bias": -600, "daylightOffset": {"daylightBias": -60, "month": 10}, "standardOffset": {"month": 4}},
            (11, 10),
        ),
        ({"bias": -330}, (5.5, 5.5)),
        ({"bias": 0}, (0, 0)),
    ],
)
def test_a_zone_of_ones_own_is_found_by_its_bias(described: dict[str, Any], hours: tuple[float, float]) -> None:
    settings = {"timeZone": "Customized Time Zone", "workingHours": {"timeZone": {"name": "x", **described}}}
    zone = mailbox_settings.parse_habits(settings).zone
    assert zone is not None
    for month, expected in zip((1, 7), hours, strict=True):
        assert datetime(2027, month, 15, tzinfo=ZoneInfo(zone)).utcoffset() == timedelta(hours=expected)


@pytest.mark.parametrize("described", [{}, {"bias": "x"}, {"bias": 481}, None])
def test_a_zone_that_can_not_be_told_is_none(described: dict[str, Any] | None) -> None:
    assert mailbox_settings.parse_habits({"workingHours": {"timeZone": described}}).zone is None


def test_hours_as_the_mailbox_has_them(provider: OutlookCalendar, hands: Hands) -> None:
    found = provider.mailboxes.habits(hands.person("Europe/Berlin"))
    assert found.zone == "Europe/Berlin"
    assert found.hours is not None
    assert found.hours.week[0] == ((510, 1020),) and found.hours.week[6] == ()


def test_all_day_as_instants_of_another_zone_is_understood() -> None:
    """Where the service turns midnights into UTC the days are the same."""
    berlin = ZoneInfo("Europe/Berlin")
    item = {
        "id": "1",
        "changeKey": "1",
        "isAllDay": True,
        "start": {"dateTime": "2027-03-08T23:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2027-03-09T23:00:00.0000000", "timeZone": "UTC"},
    }
    floating = {**item, "start": {"dateTime": "2027-03-09T00:00:00.0000000", "timeZone": "UTC"}}
    floating["end"] = {"dateTime": "2027-03-10T00:00:00.0000000", "timeZone": "UTC"}
    assert graphevents.parse_event(item, "d@x", berlin).span == graphevents.parse_event(floating, "d@x", berlin).span


# --- mail -----------------------------------------------------------------------------------------------------------


@pytest.fixture
def plain(double: Double) -> Any:
    double.world.person("dana@example.org")
    return outlook.build_mailer(section(double, sender="dana@example.org"))


@pytest.fixture
def sure(double: Double) -> Any:
    double.world.person("dana@example.org")
    given = section(double, sender="dana@example.org", exactly_once=True)
    known = double.login.applications[given["client_id"]]
    known.rights = (*known.rights, "Mail.ReadWrite")
    return outlook.build_mailer(given)


def arrived(double: Double) -> list[EmailMessage]:
    return [message for to, message in double.mails.outbox if to == "sam@example.org"]


@pytest.mark.parametrize("exactly_once", [False, True])
def test_a_manager_s_mail_leaves_from_the_manager_s_mailbox(double: Double, exactly_once: bool) -> None:
    for address in ("dana@example.org", "longarc@example.org"):
        double.world.person(address)
    known = {"sender": "longarc@example.org", "as_author": True, "exactly_once": exactly_once}
    given = section(double, **known)
    application = double.login.applications[given["client_id"]]
    application.rights = (*application.rights, "Mail.ReadWrite")
    mailer = outlook.build_mailer(given)
    assert mailer.can_send_as("dana@example.org")
    mailer.send(letter("sam@example.org"), "m1")
    [got] = arrived(double)
    assert str(got["From"].addresses[0].addr_spec) == "dana@example.org"
    assert mailer.was_sent("m1") is (True if exactly_once else None)
    assert mailer.was_sent("m2") is None, "nobody knows from whose mailbox"
    boxes = {name for _, url, _ in double.seen for name in ("dana", "longarc") if f"/users/{name}" in url}
    assert boxes == {"dana"}


def test_headers_survive_since_it_goes_as_mime(plain: Any, double: Double) -> None:
    message = letter("sam@example.org")
    message["Auto-Submitted"] = "auto-generated"
    message["In-Reply-To"] = "<1@longarc.example>"
    plain.send(message, "m1")
    [got] = arrived(double)
    assert (got["Auto-Submitted"], got["In-Reply-To"]) == ("auto-generated", "<1@longarc.example>")


def test_with_the_right_to_send_alone_a_504_is_not_repeated(plain: Any, double: Double) -> None:
    double.faults.append(Fault("POST", "sendMail", 504, after=True))
    with pytest.raises(Unavailable) as caught:
        plain.send(letter("sam@example.org"), "m1")
    assert caught.value.uncertain and plain.was_sent("m1") is None
    assert len(arrived(double)) == 1


def test_accepted_with_retry_after_is_accepted(plain: Any, double: Double) -> None:
    double.faults.append(Fault("POST", "sendMail", 202, after=True, headers=(("Retry-After", "9"),), body=b""))
    plain.send(letter("sam@example.org"), "m1")
    assert len(arrived(double)) == 1


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("path", ["messages$", "messages/[^/]+$", "send$"])
def test_by_drafts_a_mail_goes_once_whatever_fails(sure: Any, double: Double, path: str, after: bool) -> None:
    message = letter("sam@example.org")
    double.faults.append(Fault("POST|PATCH", path, 504, after=after))
    with pytest.raises(Unavailable):
        sure.send(message, "m1")
    sent = sure.was_sent("m1")
    assert sent is (after and path == "send$")
    if not sent:
        sure.send(message, "m1")
    sure.send(message, "m1")
    assert sure.was_sent("m1") is True
    assert len(arrived(double)) == 1


def test_by_drafts_a_copy_that_comes_late_is_waited_for(sure: Any, double: Double) -> None:
    """Nobody says `not sent` of a message that left its folder and is not seen in another yet."""
    double.mails.slow = True
    double.faults.append(Fault("POST", "send$", 504, after=True))
    with pytest.raises(Unavailable):
        sure.send(letter("sam@example.org"), "m1")
    assert sure.was_sent("m1") is None
    double.mails.slow = False
    assert sure.was_sent("m1") is True


def test_bad_news_that_comes_later_is_no_failure_of_the_send(plain: Any, double: Double) -> None:
    double.mails.unknown.add("sam@example.org")
    plain.send(letter("sam@example.org"), "m1")
    assert double.world.mailboxes["dana@example.org"].inbox[0].startswith(b"Subject: Undeliverable")


def test_a_mail_without_a_recipient_or_too_large_is_refused_before_it_goes(plain: Any, double: Double) -> None:
    nobody = letter("sam@example.org")
    del nobody["To"]
    large = letter("sam@example.org")
    large.add_attachment(b"x" * 4_000_000, maintype="application", subtype="octet-stream")
    for message in (nobody, large):
        with pytest.raises(Permanent):
            plain.send(message, "m1")
    assert double.counts["POST sendMail"] == 0


def test_sending_as_somebody_else_is_refused_with_the_remedy(plain: Any, double: Double) -> None:
    message = letter("sam@example.org")
    message.replace_header("From", "Eve <eve@example.org>")
    with pytest.raises(Forbidden, match="Send As"):
        plain.send(message, "m1")


def test_a_check_says_which_of_the_two_it_is(plain: Any, sure: Any, double: Double) -> None:
    [first], [second] = plain.check(), sure.check()
    assert first.ok and "at most once" in first.what
    assert second.ok and "exactly once" in second.what
    double.login.applications[section(double)["client_id"]].rights = ("Mail.Send",)
    [third] = outlook.build_mailer(section(double, sender="dana@example.org", exactly_once=True)).check()
    assert not third.ok and "Mail.ReadWrite" in third.remedy


# --- throttling and faults ------------------------------------------------------------------------------------------


def test_four_requests_at_a_time_for_one_mailbox(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana = hands.person()
    double.delay = 0.02
    workers = [threading.Thread(target=provider.find, args=(dana, f"s{n}.1")) for n in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert double.peak[dana] == 4 and double.counts["throttled"] == 0


def test_the_double_does_throttle_whoever_asks_too_much(double: Double, hands: Hands) -> None:
    """So that the test above can fail."""
    dana = hands.person()
    double.delay = 0.05
    calendars = [outlook.build_calendar(section(double)) for _ in range(2)]
    problems: list[Exception] = []

    def ask(calendar: OutlookCalendar) -> None:
        try:
            calendar.find(dana, "s1.1")
        except RateLimited as error:
            problems.append(error)

    for calendar in calendars:
        calendar.find(dana, "s0.1")
    workers = [threading.Thread(target=ask, args=(calendars[n % 2],)) for n in range(12)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert problems


def test_a_pause_that_was_asked_for_is_kept(double: Double, hands: Hands) -> None:
    """And what is put off meanwhile costs no request."""
    clock = SteppedClock(datetime(2027, 3, 1, tzinfo=UTC))
    provider = outlook.build_calendar(section(double, limiter=Limiter(clock)))
    dana = hands.person()
    double.faults.append(Fault("GET", "events", 429, code="TooManyRequests", headers=(("Retry-After", "120"),)))
    for _ in range(2):
        with pytest.raises(RateLimited) as caught:
            provider.find(dana, "s1.1")
        assert caught.value.retry_after == timedelta(seconds=120)
    assert double.counts["GET events"] == 1
    clock.move_to(clock() + timedelta(seconds=121))
    assert provider.find(dana, "s1.1") is None


@pytest.mark.parametrize("given", ["soon", "-5", "", "1e400", "Wed, 21 Oct 2026 07:28:00 GMT"])
def test_a_pause_that_makes_no_sense_is_half_a_minute(
    provider: OutlookCalendar, double: Double, hands: Hands, given: str
) -> None:
    dana = hands.person()
    double.faults.append(Fault("GET", "events", 429, headers=(("Retry-After", given),)))
    with pytest.raises(RateLimited) as caught:
        provider.find(dana, "s1.1")
    assert caught.value.retry_after == timedelta(seconds=30)


@pytest.mark.parametrize("method", ["GET", "POST", "PATCH"])
@pytest.mark.parametrize("status", [500, 502, 503, 504])
def test_out_of_order_is_transient_and_never_repeated_by_itself(
    provider: OutlookCalendar, double: Double, hands: Hands, method: str, status: int
) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    event = provider.create(dana, wanted)
    double.counts.clear()
    double.faults.append(Fault(method, "events", status))
    attempts: dict[str, Callable[[], object]] = {
        "GET": lambda: provider.update(event.ref, replace(wanted, span=span(11, 9))),
        "POST": lambda: provider.cancel(event.ref),
        "PATCH": lambda: provider.update(event.ref, replace(wanted, span=span(11, 9))),
    }
    with pytest.raises(Unavailable) as caught:
        attempts[method]()
    assert caught.value.uncertain is (method != "GET")
    assert sum(count for name, count in double.counts.items() if name.startswith(method)) == 1


def test_an_old_token_is_renewed_once(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana = hands.person()
    provider.find(dana, "s1.1")
    double.login.grants.clear()
    assert provider.find(dana, "s1.1") is None
    double.faults.append(Fault("GET", "events", 401, code="InvalidAuthenticationToken", times=9))
    double.counts.clear()
    with pytest.raises(AuthRevoked):
        provider.find(dana, "s1.1")
    assert double.counts["GET events"] == 2


@pytest.mark.parametrize("where", ["cut", "html", "list", "empty", "entries"])
def test_an_answer_that_is_none_is_one_clear_line(
    provider: OutlookCalendar, double: Double, hands: Hands, where: str
) -> None:
    dana = hands.person()
    bodies = {"html": b"<html>", "list": b"[]", "empty": b"{}", "entries": b'{"value": [1]}'}
    double.faults.append(Fault("GET", "events", 200, cut=where == "cut", body=bodies.get(where)))
    with pytest.raises((Unavailable, InvalidResponse)) as caught:
        provider.find(dana, "s1.1")
    assert "\n" not in str(caught.value)
    assert provider.find(dana, "s1.1") is None


def test_nothing_listens(double: Double) -> None:
    provider = outlook.build_calendar({**section(double), "endpoint": "http://127.0.0.1:9/v1.0"})
    with pytest.raises(Unavailable) as caught:
        provider.create("dana@example.org", draft("dana@example.org"))
    assert not caught.value.uncertain and "endpoint" in str(caught.value)


# --- mailboxes out of reach -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("how", "kind", "words"),
    [
        ("on_premises", NotFound, "licence"),
        ("blocked", Forbidden, "group"),
        ("unknown", NotFound, "people file"),
        ("rights", Forbidden, "permissions"),
    ],
)
def test_a_mailbox_out_of_reach_is_refused_with_the_remedy(
    double: Double, hands: Hands, how: str, kind: type[Exception], words: str
) -> None:
    dana = hands.person()
    given = section(double)
    known = double.login.applications[given["client_id"]]
    rights, known.rights = known.rights, () if how == "rights" else known.rights
    {"on_premises": double.on_premises, "blocked": double.blocked}.get(how, set()).add(dana)
    provider = outlook.build_calendar(given)
    who = hands.stranger() if how == "unknown" else dana
    with pytest.raises(kind, match=words) as caught:
        provider.create(who, draft(who))
    known.rights = rights
    assert "\n" not in str(caught.value)
    failed = [finding for finding in provider.check(who) if not finding.ok]
    assert failed and all(finding.remedy for finding in failed)


# --- the double itself is strict ------------------------------------------------------------------------------------


def asked(double: Double, method: str, path: str, **given: Any) -> requests.Response:
    from worker.providers.outlook import auth

    headers = {"Authorization": f"Bearer {auth.build_tokens(section(double)).get_token()}", **given.pop("headers", {})}
    return requests.request(method, f"{double.endpoint}/{path}", headers=headers, timeout=10, **given)


EVENT = {
    "subject": "x",
    "start": {"dateTime": "2027-03-09T10:00:00", "timeZone": "UTC"},
    "end": {"dateTime": "2027-03-09T11:00:00", "timeZone": "UTC"},
}


@pytest.mark.parametrize(
    "change",
    [
        {"sendUpdates": "all"},
        {"subject": 5},
        {"showAs": "away"},
        {"attendees": {"emailAddress": {"address": "a@x"}}},
        {"attendees": [{"email": "a@x"}]},
        {"isOnlineMeeting": "yes"},
    ],
)
def test_what_the_metadata_does_not_know_is_refused(double: Double, hands: Hands, change: dict[str, Any]) -> None:
    answer = asked(double, "POST", f"users/{hands.person()}/events", json={**EVENT, **change})
    assert answer.status_code == 400, answer.text


def test_a_parameter_that_no_action_has_is_refused(double: Double, hands: Hands) -> None:
    dana = hands.person()
    made = asked(double, "POST", f"users/{dana}/events", json=EVENT).json()
    answer = asked(double, "POST", f"users/{dana}/events/{made['id']}/cancel", json={"message": "x"})
    assert answer.status_code == 400
    with pytest.raises(Unknown):
        Schema().action("cancel", "message", {})


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"start": {"dateTime": "2027-03-09T10:00:00+01:00", "timeZone": "UTC"}}, "ErrorInvalidRequest"),
        ({"start": {"dateTime": "2027-03-09T10:00:00", "timeZone": "Mars"}}, "TimeZoneNotSupportedException"),
        ({"isAllDay": True}, "ErrorInvalidRequest"),
        ({"id": "mine"}, "ErrorInvalidPropertySet"),
        ({"attendees": [{"emailAddress": {"address": "nobody"}}]}, "ErrorInvalidRecipients"),
        ({"singleValueExtendedProperties": [{"id": "Key", "value": "v"}]}, "ErrorInvalidProperty"),
    ],
)
def test_what_the_service_refuses_the_double_refuses(
    double: Double, hands: Hands, change: dict[str, Any], code: str
) -> None:
    answer = asked(double, "POST", f"users/{hands.person()}/events", json={**EVENT, **change})
    assert (answer.status_code, answer.json()["error"]["code"]) == (400, code)


def test_views_rounds_and_batches_have_their_bounds(double: Double, hands: Hands) -> None:
    dana = hands.person()
    bounds = "startDateTime=2027-03-01T00:00:00Z&endDateTime=2027-04-01T00:00:00Z"
    for path in (
        f"users/{dana}/calendarView",
        f"users/{dana}/calendarView/delta?{bounds}&$select=id",
        f"users/{dana}/events?$filter=transactionId eq 'x'",
        f"users/{dana}/events?$select=nothing",
        f"me/events?{bounds}",
    ):
        assert asked(double, "GET", path).status_code == 400, path
    many = [{"id": str(n), "method": "GET", "url": f"/users/{dana}/events"} for n in range(21)]
    assert asked(double, "POST", "$batch", json={"requests": many}).status_code == 400
    schedule = {"schedules": [dana] * 21, "startTime": EVENT["start"], "endTime": EVENT["end"]}
    assert asked(double, "POST", f"users/{dana}/calendar/getSchedule", json=schedule).status_code == 400
    schedule |= {"schedules": [dana], "endTime": {"dateTime": "2027-05-10T10:00:00", "timeZone": "UTC"}}
    assert asked(double, "POST", f"users/{dana}/calendar/getSchedule", json=schedule).status_code == 400


def test_a_batch_answers_each_by_itself(double: Double, hands: Hands) -> None:
    dana = hands.person()
    items = [
        {"id": "1", "method": "GET", "url": f"/users/{dana}/events/none"},
        {"id": "2", "method": "GET", "url": f"/users/{dana}/events"},
        {"id": "3", "method": "GET", "url": f"/users/{dana}/events", "dependsOn": ["1"]},
        {"id": "4", "method": "POST", "url": f"/users/{dana}/events", "body": EVENT},
    ]
    answers = asked(double, "POST", "$batch", json={"requests": items}).json()["responses"]
    assert {one["id"]: one["status"] for one in answers} == {"1": 404, "2": 200, "3": 424, "4": 400}


def test_mail_headers_without_an_x_and_base64_for_urls_are_refused(double: Double) -> None:
    dana = double.world.person("dana@example.org").address
    message = {
        "subject": "x",
        "toRecipients": [{"emailAddress": {"address": "sam@example.org"}}],
        "internetMessageHeaders": [{"name": "Auto-Submitted", "value": "x"}],
    }
    answer = asked(double, "POST", f"users/{dana}/sendMail", json={"message": message})
    assert answer.json()["error"]["code"] == "InvalidInternetMessageHeader"
    mime = {"headers": {"Content-Type": "text/plain"}, "data": b"RnJv_-=="}
    assert asked(double, "POST", f"users/{dana}/sendMail", **mime).status_code == 400


def test_a_day_off_is_a_day_off_where_the_owner_lives(double: Double, hands: Hands, provider: OutlookCalendar) -> None:
    """The zone of the people file goes before the mailbox's own."""
    dana = hands.person("Asia/Tokyo")
    given = outlook.build_calendar(section(double, zones={dana: "Asia/Tokyo"}, organizers=lambda _: {dana}))
    hands.add_all_day(dana, date(2027, 3, 9), date(2027, 3, 9))
    double.counts.clear()
    [busy] = given.free_busy([dana], WINDOW)[dana].busy
    assert busy.span == Span(at(8, 15), at(9, 15))
    assert double.counts["GET mailboxSettings"] == 0
