"""What changed at Google is read with a token, or in a full pass (1.6)."""

import pytest

from tests.doubles.google import Google, GoogleHands
from tests.support.drafts import WINDOW, at, span
from tests.support.google import LIST, calls, google_times, methods
from worker.errors import InvalidResponse
from worker.providers.google import events as google_events
from worker.providers.google.calendar import GoogleCalendar


def test_1_6_with_a_token_nothing_forbidden_is_asked(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    """The first pass bounds time; what follows may not. The double refuses both mixed and changed parameters."""
    dana = hands.person()
    cursor = provider.changes(dana, None, WINDOW).cursor
    provider.changes(dana, cursor, WINDOW)
    first, second = calls(double, LIST)
    assert "timeMin" in first.query and not {"timeMin", "timeMax", "orderBy"} & second.query.keys()
    assert first.query["singleEvents"] is second.query["singleEvents"] is False


@pytest.mark.parametrize("reason", ["fullSyncRequired", "updatedMinTooLongAgo"])
def test_1_6_a_dead_token_is_a_full_pass_at_once(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, reason: str
) -> None:
    """Both reasons of a 410: it is neither success nor the end."""
    dana = hands.person()
    hands.add(dana, span(5, 14))
    cursor = provider.changes(dana, None, WINDOW).cursor
    double.faults.add(LIST, reason, status=410)
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.is_full and [event.span for event in changes.events] == [span(5, 14)]


def test_1_6_a_full_pass_that_is_called_gone_is_not_asked_for_ever(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    double.faults.add(LIST, "fullSyncRequired", times=99)
    with pytest.raises(InvalidResponse):
        provider.changes(dana, None, WINDOW)
    assert methods(double) == [LIST]


@pytest.mark.parametrize("empty", [False, True])
def test_1_6_pages_may_be_short_or_empty(
    double: Google, provider: GoogleCalendar, hands: GoogleHands, empty: bool
) -> None:
    """The token comes with the last page alone."""
    dana = hands.person()
    for day in range(1, 8):
        hands.add(dana, span(day, 14))
    double.calendars.page_size, double.calendars.empty_pages = 3, empty
    changes = provider.changes(dana, None, WINDOW)
    assert len(changes.events) == 7
    assert len(provider.free_busy([dana], WINDOW)[dana].busy) == 7
    hands.add(dana, span(9, 14))
    assert [event.span for event in provider.changes(dana, changes.cursor, WINDOW).events] == [span(9, 14)]


def test_1_6_both_kinds_of_cancelled_items(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """A deleted event has only its id; a cancelled occurrence belongs to a series that lives on."""
    dana = hands.person()
    single, series = hands.add(dana, span(5, 14)), hands.add_daily(dana, span(8, 9, 30), times=3)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.remove(dana, single)
    hands.cancel_occurrence(dana, series, 1)
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.deleted_ids == (single,)
    assert [event.span for event in changes.events] == [span(8, 9, 30), span(10, 9, 30)]


def test_1_6_what_vanished_is_known_by_its_absence_in_a_full_pass(
    double: Google, provider: GoogleCalendar, hands: GoogleHands
) -> None:
    dana = hands.person()
    kept, lost = hands.add(dana, span(5, 14)), hands.add(dana, span(6, 14))
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.remove(dana, lost)
    double.calendars.expire_sync_tokens(dana)
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.is_full and changes.deleted_ids == () and [event.ref.id for event in changes.events] == [kept]


def test_1_8_a_moved_occurrence_is_where_it_was_moved_to_only(provider: GoogleCalendar, hands: GoogleHands) -> None:
    """On a series that has no end, whose rule alone would still have it at its old time."""
    dana = hands.person("Europe/Berlin")
    weekly = {"recurrence": ["RRULE:FREQ=WEEKLY;BYDAY=TU"]}
    local = {
        name: {"dateTime": f"2027-03-02T{hour}:00:00", "timeZone": "Europe/Berlin"}
        for name, hour in (("start", "10"), ("end", "11"))
    }
    series = hands.insert(dana, **local, **weekly)
    hands.patch(dana, f"{series}_20270309T090000Z", **google_times(span(10, 15)))
    cursor = provider.changes(dana, None, WINDOW).cursor
    starts = [busy.span.start for busy in provider.free_busy([dana], WINDOW)[dana].busy]
    assert starts == [at(2, 9), at(10, 15), at(16, 9), at(23, 9), at(30, 8)]  # the clocks go forward on the 28th
    hands.patch(dana, f"{series}_20270316T090000Z", status="cancelled")
    changes = provider.changes(dana, cursor, WINDOW)
    assert [event.span.start for event in changes.events] == [at(2, 9), at(10, 15), at(23, 9), at(30, 8)]
    assert {event.series for event in changes.events} == {series}


def test_a_changed_series_with_more_occurrences_than_a_page_holds_is_read_whole(
    provider: GoogleCalendar, hands: GoogleHands, monkeypatch: pytest.MonkeyPatch
) -> None:
    dana = hands.person()
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.add_daily(dana, span(8, 9, 30), times=8)
    monkeypatch.setattr(google_events, "PAGE_SIZE", 3)
    changes = provider.changes(dana, cursor, WINDOW)
    assert [event.span.start for event in changes.events] == [at(day, 9) for day in range(8, 16)]


def test_steady_state_is_one_request(double: Google, provider: GoogleCalendar, hands: GoogleHands) -> None:
    dana = hands.person()
    hands.add_daily(dana, span(8, 9, 30), times=3)
    cursor = provider.changes(dana, None, WINDOW).cursor
    double.requests.clear()
    for _ in range(3):
        cursor = provider.changes(dana, cursor, WINDOW).cursor
    assert methods(double) == [LIST] * 3
