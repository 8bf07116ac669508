"""One event in Microsoft 365, whatever happens: retries, ids, Teams links, proposals of another time."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.doubles.graph import Double, Fault, Hands, section
from tests.support.drafts import WINDOW, draft, span
from tests.support.outlook import events_of
from worker.domain.model import Answer
from worker.errors import Conflict, Permanent, Unavailable
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook import events as graphevents
from worker.providers.outlook.calendar import OutlookCalendar


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
    heard = section(double, organizers=hands.organizers, alert_operator=lambda *told: notices.append(told))
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
    assert hands.find_event(dana, wanted.key).join_link
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
    plain = replace(event.ref, etag=graphevents.extract_service_etag(event.ref.etag))
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
    double.before_next["PATCH"] = lambda: hands.move(dana, wanted.key, span(10, 9, 75))
    with pytest.raises(Conflict):
        provider.update(event.ref, replace(wanted, span=span(11, 13)))
    found = provider.find(dana, wanted.key)
    assert found is not None and found.span == span(10, 9, 75)


def test_rooms_that_people_added_stay(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    item = hands.find_event(dana, wanted.key)
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
