"""What changed in Microsoft 365 is read round by round."""

import json

import pytest

from tests.doubles.graph import Double, Fault, Hands
from tests.support.drafts import DAY, WINDOW, at, draft, span
from worker.domain.model import Answer, Span
from worker.errors import InvalidResponse, Transient
from worker.providers.outlook import event_reader
from worker.providers.outlook.calendar import OutlookCalendar


@pytest.mark.parametrize("status", [400, 410])
def test_both_forms_of_a_dead_token_begin_a_new_round(
    provider: OutlookCalendar, double: Double, hands: Hands, status: int
) -> None:
    double.calendars.expired_token_status = status
    dana = hands.person()
    hands.add(dana, span(5, 14))
    cursor = provider.changes(dana, None, WINDOW).cursor
    changes = provider.changes(dana, hands.expire_cursor(dana, cursor), WINDOW)
    assert changes.is_full and [one.span for one in changes.events] == [span(5, 14)]


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

    assert not provider.changes(dana, cursor, later(8)).is_full
    assert provider.changes(dana, cursor, later(10)).is_full


def test_everything_comes_however_many_pages_it_takes(
    provider: OutlookCalendar, double: Double, hands: Hands, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(event_reader, "_PAGE_SIZE", 3)
    monkeypatch.setattr("worker.providers.outlook.delta._PREFER", "odata.maxpagesize=2")
    dana = hands.person()
    names = [hands.add(dana, Span(at(5, hour), at(5, hour + 1))) for hour in range(10)]
    changes = provider.changes(dana, None, WINDOW)
    assert len(changes.events) == 10
    for name in names[:5]:
        hands.remove(dana, name)
    assert len(provider.changes(dana, changes.cursor, WINDOW).deleted_ids) == 5


def test_a_link_to_elsewhere_is_not_followed(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    """A token goes to the service and to nobody else."""
    dana = hands.person()
    page = json.dumps({"value": [], "@odata.nextLink": "http://127.0.0.1:9/steal"}).encode()
    double.faults.append(Fault("GET", "events", 200, body=page))
    with pytest.raises(InvalidResponse, match="another host"):
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
        double.world.mailboxes[dana].items[name].transaction_id = f"localevent:{n}"
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
    assert changes.is_full and len(changes.events) == 31
    assert sum(double.counts.values()) <= 5
