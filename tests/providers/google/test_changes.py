"""Reading the changes of a calendar at Google, with a sync token or in a full read (of all events)."""

import pytest

from tests.doubles.google import Google, GoogleHands

# Times are in March 2027, in UTC: `at(5, 9)` is 9:00 on the 5th, and `span(5, 9)` the hour from then on.
from tests.support.drafts import WINDOW, at, span
from tests.support.google import EVENTS_LIST, calls_of, google_times, requested_methods
from worker.errors import InvalidResponse
from worker.providers.google import events as google_events
from worker.providers.google.calendar import GoogleCalendar


def test_request_with_a_sync_token_has_no_forbidden_parameters(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """Only the full read may bound the time. All other parameters have to stay the same, or the double refuses."""
    dana = hands.person()
    cursor = provider.changes(dana, None, WINDOW).cursor
    provider.changes(dana, cursor, WINDOW)
    full_request, token_request = calls_of(double, EVENTS_LIST)
    assert "timeMin" in full_request.query and not {"timeMin", "timeMax", "orderBy"} & token_request.query.keys()
    assert full_request.query["singleEvents"] is token_request.query["singleEvents"] is False


@pytest.mark.parametrize("reason", ["fullSyncRequired", "updatedMinTooLongAgo"])
def test_expired_sync_token_leads_to_a_full_read_at_once(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    """Google gives one of two reasons with status 410."""
    dana = hands.person()
    hands.add(dana, span(5, 14))
    cursor = provider.changes(dana, None, WINDOW).cursor
    double.faults.add(EVENTS_LIST, reason, status=410)
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.is_full and [event.span for event in changes.events] == [span(5, 14)]


def test_full_read_that_google_refuses_with_410_is_not_repeated(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    double.faults.add(EVENTS_LIST, "fullSyncRequired", times=99)
    with pytest.raises(InvalidResponse):
        provider.changes(dana, None, WINDOW)
    assert requested_methods(double) == [EVENTS_LIST]


@pytest.mark.parametrize("first_page_is_empty", [False, True])
def test_all_events_are_read_from_short_and_empty_pages(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, first_page_is_empty: bool
) -> None:
    """Only the last page has the sync token."""
    dana = hands.person()
    for day in range(1, 8):
        hands.add(dana, span(day, 14))
    double.calendars.page_size, double.calendars.first_page_is_empty = 3, first_page_is_empty
    changes = provider.changes(dana, None, WINDOW)
    assert len(changes.events) == 7
    assert len(provider.free_busy([dana], WINDOW)[dana].busy) == 7
    hands.add(dana, span(9, 14))
    assert [event.span for event in provider.changes(dana, changes.cursor, WINDOW).events] == [span(9, 14)]


def test_deleted_event_and_cancelled_occurrence_are_read_as_changes(
    provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """A deleted event has only its id. A cancelled occurrence belongs to a series that continues."""
    dana = hands.person()
    single_id, series_id = hands.add(dana, span(5, 14)), hands.add_daily(dana, span(8, 9, 30), times=3)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.remove(dana, single_id)
    hands.cancel_occurrence(dana, series_id, 1)
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.deleted_ids == (single_id,)
    assert [event.span for event in changes.events] == [span(8, 9, 30), span(10, 9, 30)]


def test_full_read_leaves_out_deleted_events(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    kept_id, deleted_id = hands.add(dana, span(5, 14)), hands.add(dana, span(6, 14))
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.remove(dana, deleted_id)
    double.calendars.expire_sync_tokens(dana)
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.is_full and changes.deleted_ids == () and [event.ref.id for event in changes.events] == [kept_id]


def test_moved_occurrence_is_only_at_its_new_time(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """The series has no end, and its rule alone would still place the occurrence at the old time."""
    dana = hands.person("Europe/Berlin")
    rule = {"recurrence": ["RRULE:FREQ=WEEKLY;BYDAY=TU"]}
    times = {
        name: {"dateTime": f"2027-03-02T{hour}:00:00", "timeZone": "Europe/Berlin"}
        for name, hour in (("start", "10"), ("end", "11"))
    }
    series_id = hands.insert(dana, **times, **rule)
    # Google's id of an occurrence ends in its start by the rule
    hands.patch(dana, f"{series_id}_20270309T090000Z", **google_times(span(10, 15)))
    cursor = provider.changes(dana, None, WINDOW).cursor
    starts = [busy.span.start for busy in provider.free_busy([dana], WINDOW)[dana].busy]
    assert starts == [at(2, 9), at(10, 15), at(16, 9), at(23, 9), at(30, 8)]  # the clocks go forward on the 28th
    hands.patch(dana, f"{series_id}_20270316T090000Z", status="cancelled")
    changes = provider.changes(dana, cursor, WINDOW)
    assert [event.span.start for event in changes.events] == [at(2, 9), at(10, 15), at(23, 9), at(30, 8)]
    assert {event.series for event in changes.events} == {series_id}


def test_all_occurrences_of_a_changed_series_are_read_from_several_pages(
    provider: GoogleCalendar, hands: GoogleHands, monkeypatch: pytest.MonkeyPatch
) -> None:
    dana = hands.person()
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.add_daily(dana, span(8, 9, 30), times=8)
    monkeypatch.setattr(google_events, "PAGE_SIZE", 3)
    changes = provider.changes(dana, cursor, WINDOW)
    assert [event.span.start for event in changes.events] == [at(day, 9) for day in range(8, 16)]


def test_calendar_without_changes_is_read_with_one_request(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    hands.add_daily(dana, span(8, 9, 30), times=3)
    cursor = provider.changes(dana, None, WINDOW).cursor
    double.requests.clear()
    for _ in range(3):
        cursor = provider.changes(dana, cursor, WINDOW).cursor
    assert requested_methods(double) == [EVENTS_LIST] * 3
