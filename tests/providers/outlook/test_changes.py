"""Reading the changes of a calendar in Microsoft 365, in rounds of delta queries. A round begins with a
reading of all events (`is_full`), and later queries of it read what has changed."""

import json

import pytest

from tests.doubles.graph import Double, Fault, Hands

# Times are in March 2027, in UTC: `at(5, 9)` is 9:00 on the 5th, and `span(5, 9)` the hour from then on.
from tests.support.drafts import DAY, UNUSED_KEY, WINDOW, at, draft, span
from worker.domain.model import Answer, Span
from worker.errors import InvalidResponse, Transient
from worker.providers.outlook import event_reader
from worker.providers.outlook.calendar import OutlookCalendar


@pytest.mark.parametrize("status", [400, 410])
def test_expired_token_begins_a_new_round_whichever_status_refuses_it(
    provider: OutlookCalendar, double: Double, hands: Hands, status: int
) -> None:
    double.calendars.expired_token_status = status
    dana = hands.person()
    hands.add(dana, span(5, 14))
    cursor = provider.changes(dana, None, WINDOW).cursor
    changes = provider.changes(dana, hands.expire_cursor(dana, cursor), WINDOW)
    assert changes.is_full and [event.span for event in changes.events] == [span(5, 14)]


def test_expired_token_in_a_new_round_ends_in_an_error_without_a_loop(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana = hands.person()
    double.faults.append(Fault("GET", "delta", 410, code="resyncRequired", times=99))
    with pytest.raises(Transient):
        provider.changes(dana, None, WINDOW)
    assert double.counts["GET calendarView/delta"] == 1


def test_new_round_begins_when_the_window_exceeds_that_of_the_round(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """The window of a round ends nine days (`WINDOW_MARGIN`) after that of its first sync."""
    dana = hands.person()
    cursor = provider.changes(dana, None, WINDOW).cursor

    def move_window(days: int) -> Span:
        return Span(WINDOW.start + days * DAY, WINDOW.end + days * DAY)

    assert not provider.changes(dana, cursor, move_window(8)).is_full
    assert provider.changes(dana, cursor, move_window(10)).is_full


def test_all_events_are_read_from_any_number_of_pages(
    provider: OutlookCalendar, double: Double, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_reader, "_PAGE_SIZE", 3)
    monkeypatch.setattr("worker.providers.outlook.delta._PREFER", "odata.maxpagesize=2")  # pages of two events
    dana = hands.person()
    event_ids = [hands.add(dana, Span(at(5, hour), at(5, hour + 1))) for hour in range(10)]
    changes = provider.changes(dana, None, WINDOW)
    assert len(changes.events) == 10
    for event_id in event_ids[:5]:
        hands.remove(dana, event_id)
    assert len(provider.changes(dana, changes.cursor, WINDOW).deleted_ids) == 5


def test_next_page_on_another_host_is_not_requested(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """The access token may go to the service only."""
    dana = hands.person()
    page = json.dumps({"value": [], "@odata.nextLink": "http://127.0.0.1:9/steal"}).encode()
    double.faults.append(Fault("GET", "events", 200, body=page))
    with pytest.raises(InvalidResponse, match="another host"):
        provider.find(dana, UNUSED_KEY)


def test_calendar_without_changes_is_read_with_one_request(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana = hands.person()
    cursor = provider.changes(dana, None, WINDOW).cursor
    double.counts.clear()
    provider.changes(dana, cursor, WINDOW)
    assert sum(double.counts.values()) == 1


def test_our_events_are_found_in_a_mailbox_too_large_to_search(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """In a large mailbox, a search by our extended property gets no answer. So polls and later searches avoid it."""
    double.calendars.unindexed = True
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    event = provider.create(dana, event_draft)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.move(dana, event_draft.key, Span(at(9, 10) + 90 * DAY, at(9, 11) + 90 * DAY))
    [moved_event] = provider.changes(dana, cursor, WINDOW).events
    assert (moved_event.key, moved_event.ref.id) == (event_draft.key, event.ref.id)
    [moved_event] = provider.changes(dana, None, WINDOW).events
    assert moved_event.key == event_draft.key
    double.counts.clear()
    for _ in range(2):
        event_now = provider.find(dana, event_draft.key)
        assert event_now is not None and event_now.ref.id == event.ref.id
    assert double.counts["GET events"] == 3  # the first search tries the property once in vain


def test_changed_event_of_ours_is_recognized_by_its_transaction_id(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """One request reads all changes, and one reads our event among them. Events of other programs need no request."""
    double.calendars.unindexed = True
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    cursor = provider.changes(dana, None, WINDOW).cursor
    hands.answer(dana, sam, event_draft.key, Answer.ACCEPTED)
    for number in range(10):
        event_id = hands.add(dana, span(12, 8 + number))
        double.world.mailboxes[dana].items[event_id].transaction_id = f"localevent:{number}"
    double.counts.clear()
    changes = provider.changes(dana, cursor, WINDOW)
    assert sorted(event.key or "" for event in changes.events) == [""] * 10 + [event_draft.key]
    assert double.counts == {"GET calendarView/delta": 1, "GET events/{id}": 1}


def test_all_events_are_read_when_very_many_changed(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """Reading each changed event by its id would take more requests."""
    double.calendars.unindexed = True
    dana = hands.person()
    event_draft = draft(dana)
    provider.create(dana, event_draft)
    cursor = provider.changes(dana, None, WINDOW).cursor
    for number in range(30):
        hands.add(dana, Span(at(12, 8) + number * DAY / 24, at(12, 9) + number * DAY / 24))
    double.counts.clear()
    changes = provider.changes(dana, cursor, WINDOW)
    assert changes.is_full and len(changes.events) == 31
    assert sum(double.counts.values()) <= 5  # of the 31 that one request for each event would take
