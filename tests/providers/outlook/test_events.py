"""Our events in Microsoft 365: repeated attempts, ids, Teams links, conflicts, guests, and proposed times."""

from dataclasses import replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from tests.doubles.graph import Double, Fault, Hands, make_section
from tests.support.drafts import WINDOW, draft, span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
from tests.support.outlook import events_of
from worker.domain.model import Answer
from worker.errors import Conflict, Permanent, Unavailable
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook import events as graphevents
from worker.providers.outlook.calendar import OutlookCalendar


@pytest.mark.parametrize("status", [400, 409])
def test_create_with_a_used_transaction_id_returns_the_existing_event(
    provider: OutlookCalendar, double: Double, hands: Hands, status: int
) -> None:
    """The second draft has the same key and other content. The service refuses it, and the event stays as it is."""
    double.calendars.duplicate_status = status
    dana = hands.person()
    event_draft = draft(dana)
    event = provider.create(dana, event_draft)
    second_event = provider.create(dana, replace(event_draft, span=span(11, 9), title="Other words"))
    assert second_event == event
    assert len(events_of(double, dana)) == 1


@pytest.mark.parametrize("status", [500, 503, 504])
def test_failed_create_that_took_effect_results_in_one_event(
    provider: OutlookCalendar, double: Double, hands: Hands, status: int
) -> None:
    dana = hands.person()
    event_draft = draft(dana)
    double.faults.append(Fault("POST", "events$", status, after=True))
    event = provider.create(dana, event_draft)
    assert event == provider.find(dana, event_draft.key)
    assert len(events_of(double, dana)) == 1


def test_create_with_a_truncated_answer_results_in_one_event(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana = hands.person()
    double.faults.append(Fault("POST", "events$", 201, after=True, cut=True))
    provider.create(dana, draft(dana))
    assert len(events_of(double, dana)) == 1


def test_failed_create_is_uncertain_and_not_repeated(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """The provider posts once and looks once for the event. The outbox decides about another attempt."""
    dana = hands.person()
    double.faults.append(Fault("POST", "events$", 503, headers=(("Retry-After", "7"),)))
    with pytest.raises(Unavailable) as error_info:
        provider.create(dana, draft(dana))
    assert error_info.value.uncertain and error_info.value.retry_after == timedelta(seconds=7)
    assert double.counts["POST events"] == 1
    assert events_of(double, dana) == []


def test_second_event_with_the_same_key_is_removed(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """The service does not always refuse a transaction id that is in use. Of two events the first stays."""
    double.calendars.guards_replays = False
    dana = hands.person()
    event_draft = draft(dana)
    first = provider.create(dana, event_draft)
    double.faults.append(Fault("POST", "events$", 504, after=True))
    assert provider.create(dana, event_draft).ref.id == first.ref.id
    assert [item.id for item in events_of(double, dana)] == [first.ref.id]


def test_keys_that_differ_in_case_are_different_keys(provider: OutlookCalendar, hands: Hands) -> None:
    """The service ignores the case when it searches."""
    dana = hands.person()
    upper_case_event = provider.create(dana, draft(dana, key="S7.1"))
    assert provider.find(dana, "s7.1") is None
    lower_case_event = provider.create(dana, draft(dana, key="s7.1"))
    assert upper_case_event.ref.id != lower_case_event.ref.id


def test_every_request_asks_for_utc_and_immutable_ids(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana, sam = hands.person(), hands.person()
    event = provider.create(dana, draft(dana, sam))
    provider.free_busy([dana, sam], WINDOW)
    provider.changes(dana, provider.changes(dana, None, WINDOW).cursor, WINDOW)
    provider.cancel(event.ref)
    assert len(double.seen) > 6  # at least one request for each of the six calls
    for _, _, headers in double.seen:
        assert 'IdType="ImmutableId"' in headers["prefer"] and 'outlook.timezone="UTC"' in headers["prefer"]
        assert headers["client-request-id"]


def test_event_is_private_and_has_no_link_by_default(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """R-23, content is confidential: the guest's copy is private, too."""
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    [item] = events_of(double, dana)
    assert item.properties["sensitivity"] == "private"
    assert not item.join_link
    [sensitivity_of_copy] = [copy.properties["sensitivity"] for copy in events_of(double, sam)]
    assert sensitivity_of_copy == "private"


def test_teams_link_is_created_and_kept_when_the_text_changes(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam, video=True)
    event = provider.create(dana, event_draft)
    [item] = events_of(double, dana)
    assert item.join_link and item.join_link in item.properties["body"]["content"]
    provider.update(event.ref, replace(event_draft, body="Other words"))
    assert "Other words" in item.properties["body"]["content"]
    assert item.join_link in item.properties["body"]["content"]
    assert "Gespräch" in event_draft.body
    assert "Gespr" not in item.properties["body"]["content"], "the old text is still there"
    assert "joinBlockLost" not in item.properties  # the mark of the double for a text that was written without the link


def test_operator_is_alerted_when_teams_is_not_available(double: Double, hands: Hands) -> None:
    """The service creates the event without a link, and without an error."""
    double.calendars.teams = "missing"
    alerts: list[tuple[str, str]] = []
    settings = make_section(double, organizers=hands.organizers, alert_operator=lambda *alert: alerts.append(alert))
    provider = outlook.build_calendar(settings)
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    assert alerts == []
    provider.create(dana, draft(dana, sam, video=True, span=span(11, 9)))
    [(cause, text)] = alerts
    assert cause == f"teams:{dana}" and dana in text and "teams = false" in text
    provider_without_teams = outlook.build_calendar({**settings, "teams": False})
    provider_without_teams.create(dana, draft(dana, sam, video=True, span=span(12, 9)))
    assert len(alerts) == 1


def test_teams_link_that_is_added_later_causes_no_conflict(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """The service itself changes the version of the event then. A change by a person remains a conflict."""
    double.calendars.teams = "later"  # the service adds the link when `hands.add_teams_meeting` says so
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam, video=True)
    event = provider.create(dana, event_draft)
    hands.add_teams_meeting(dana, event_draft.key)
    moved_event = provider.update(event.ref, replace(event_draft, span=span(11, 9)))
    assert moved_event.span == span(11, 9)
    assert hands.find_event(dana, event_draft.key).join_link
    hands.add_teams_meeting(dana, event_draft.key)
    provider.update(moved_event.ref, replace(event_draft, span=span(11, 9), title="Other words"))
    hands.move(dana, event_draft.key, span(12, 9))
    with pytest.raises(Conflict):
        provider.update(moved_event.ref, replace(event_draft, span=span(15, 9)))
    with pytest.raises(Conflict):
        provider.cancel(moved_event.ref)


def test_etag_stored_by_an_earlier_version_of_longarc_is_compared(provider: OutlookCalendar, hands: Hands) -> None:
    """An earlier version stored only the etag of the service."""
    dana = hands.person()
    event_draft = draft(dana)
    event = provider.create(dana, event_draft)
    old_ref = replace(event.ref, etag=graphevents.extract_service_etag(event.ref.etag))
    moved_event = provider.update(old_ref, replace(event_draft, span=span(11, 9)))
    assert moved_event.span == span(11, 9)
    with pytest.raises(Conflict):
        provider.update(old_ref, replace(event_draft, span=span(12, 9)))


def test_text_stays_when_its_teams_part_cannot_be_recognized() -> None:
    """An old text is better than a meeting without the link to join it."""
    item = {"isOnlineMeeting": True, "body": {"content": "<p>Old</p><a href='x'>Join</a>"}, "subject": "s"}
    event_draft = draft("dana@example.org", body="New", title="s")
    event = graphevents.parse_event(
        {
            "id": "1",
            "changeKey": "1",
            "start": graphevents.format_utc(event_draft.span.start),
            "end": graphevents.format_utc(event_draft.span.end),
        },
        "dana@example.org",
        ZoneInfo("UTC"),
    )
    assert "body" not in graphevents.compose_patch(item, event_draft, event)


def test_event_with_guests_is_cancelled_and_event_without_guests_is_deleted(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana, sam = hands.person(), hands.person()
    provider.cancel(provider.create(dana, draft(dana, sam)).ref)
    assert double.counts["POST events/{id}/cancel"] == 1
    assert double.counts["DELETE events/{id}"] == 0
    provider.cancel(provider.create(dana, draft(dana)).ref)
    assert double.counts["DELETE events/{id}"] == 1


def test_update_that_took_effect_without_an_answer_is_not_repeated(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    moved_draft = replace(event_draft, span=span(11, 9))
    double.faults.append(Fault("PATCH", "events", 504, after=True))
    with pytest.raises(Unavailable) as error_info:
        provider.update(event.ref, moved_draft)
    assert error_info.value.uncertain
    assert provider.update(event.ref, moved_draft).span == span(11, 9)
    assert double.counts["PATCH events/{id}"] == 1


def test_change_between_our_read_and_our_write_is_a_conflict(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """The update sends `If-Match`, so the service refuses it."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    double.before_next["PATCH"] = lambda: hands.move(dana, event_draft.key, span(10, 9, 75))
    with pytest.raises(Conflict):
        provider.update(event.ref, replace(event_draft, span=span(11, 13)))
    event_now = provider.find(dana, event_draft.key)
    assert event_now is not None and event_now.span == span(10, 9, 75)


def test_rooms_that_people_added_stay(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    dana, sam, kim = hands.person(), hands.person(), hands.person()
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    item = hands.find_event(dana, event_draft.key)
    room = {"address": "room4@example.org", "shown": "room4@example.org", "name": "Room 4", "type": "resource"}
    item.attendees.append({**room, "response": "accepted"})
    event = provider.find(dana, event_draft.key)
    assert event is not None and set(event.answers) == {sam}
    changed_event = provider.update(
        event.ref, replace(event_draft, guests=(*event_draft.guests, replace(event_draft.guests[0], email=kim)))
    )
    assert set(changed_event.answers) == {sam, kim}
    assert [attendee["address"] for attendee in item.attendees if attendee["type"] == "resource"] == [
        "room4@example.org"
    ]


def test_event_with_more_than_500_guests_is_refused_without_a_request(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana = hands.person()
    with pytest.raises(Permanent, match="500"):
        provider.create(dana, draft(dana, *(f"g{number}@example.org" for number in range(501))))
    assert double.counts["POST events"] == 0


def test_time_proposed_by_a_guest_is_read_and_ends_when_the_event_moves(
    provider: OutlookCalendar, hands: Hands
) -> None:
    """A guest proposes a time with a decline or a tentative answer. R-8, a session that lost its time gets another: a
    move resets all answers."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.answer(dana, sam, event_draft.key, Answer.TENTATIVE, proposed=span(11, 13))
    [changed_event] = provider.changes(dana, cursor, WINDOW).events
    assert (changed_event.answers, changed_event.proposed) == ({sam: Answer.TENTATIVE}, {sam: span(11, 13)})
    assert event.proposed == {}
    moved_event = provider.update(changed_event.ref, replace(event_draft, span=span(11, 13)))
    assert (moved_event.span, moved_event.answers, moved_event.proposed) == (
        span(11, 13),
        {sam: Answer.NEEDS_ACTION},
        {},
    )


@pytest.mark.parametrize("proposed_time", [None, [], {"start": {}}, {"start": {"dateTime": "0001-01-01T00:00:00"}}])
def test_invalid_proposed_time_is_none(proposed_time: Any) -> None:
    assert graphevents._read_proposed_time({"proposedNewTime": proposed_time}) is None
