"""Free/busy of Microsoft 365, and the time zones it is written in."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.doubles.graph import Double, Fault, Hands, section
from tests.support.drafts import DAY, WINDOW, at, draft, span
from worker.domain.model import Answer, BusyTime, Event, EventRef, FreeBusy, ShowAs, Span
from worker.errors import InvalidResponse
from worker.providers import windows_zones
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook import events as graphevents
from worker.providers.outlook import mailbox_settings
from worker.providers.outlook import schedule as graphschedule
from worker.providers.outlook.calendar import OutlookCalendar

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
    assert all(free_busy.is_known for free_busy in found.values())


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
    double.without_free_busy.add(kim)
    found = provider.free_busy([sam, kim], WINDOW)
    assert found[sam].is_known and not found[kim].is_known and "resolve" in found[kim].reason


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
    assert not found[dana].is_known and "group" in found[dana].reason
    assert found[sam].is_known


def test_working_elsewhere_is_free(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    person = hands.person()
    name = hands.add(person, span(5, 14))
    double.world.mailboxes[person].items[name].properties["showAs"] = "workingElsewhere"
    assert provider.free_busy([person], WINDOW)[person].busy == ()


def test_a_time_that_nobody_understands_is_unknown() -> None:
    item = {"start": {"dateTime": "x"}, "end": {}, "status": "busy"}
    found = graphschedule._join_parts([{"scheduleItems": [item]}], WINDOW)
    assert not found.is_known


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
    assert [who for who in people if not found[who].is_known] == [people[3]]
    assert all(len(found[who].busy) == 1 for who in people if who != people[3])
    assert max(double.peak.values()) == 1


@pytest.mark.parametrize(("status", "code"), [(429, "ApplicationThrottled"), (503, "ServiceUnavailable")])
def test_one_of_many_that_can_t_be_read_now_waits_alone(double: Double, hands: Hands, status: int, code: str) -> None:
    """It comes inside of an answer that is well."""
    provider, people = teams(double, hands, 3)
    double.faults.append(Fault("GET", people[1], status, code, headers=(("Retry-After", "40"),)))
    found = provider.free_busy(people, WINDOW)
    assert [(found[who].is_known, found[who].is_temporary, len(found[who].busy)) for who in people] == [
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
    assert (found[sam].is_known, found[sam].is_temporary) == (False, True)
    assert [busy.key for busy in found[lee].busy] == [events[1].key]


@pytest.mark.parametrize("body", [b"<html>", b"{}", b'{"responses": [{"id": 1}]}', b'{"responses": 1}'])
def test_an_answer_about_many_that_is_none_is_one_clear_line(double: Double, hands: Hands, body: bytes) -> None:
    provider, people = teams(double, hands, 2)
    double.broken_batch_answer = body
    try:
        found = provider.free_busy(people, WINDOW)
    except InvalidResponse as error:
        assert "\n" not in str(error)
    else:
        assert not any(free_busy.is_known for free_busy in found.values())


def test_an_old_token_is_renewed_for_many_too(double: Double, hands: Hands) -> None:
    provider, people = teams(double, hands, 2)
    provider.free_busy(people, WINDOW)
    double.login.grants.clear()
    assert all(one.is_known for one in provider.free_busy(people, WINDOW).values())


def test_an_absence_around_our_event_is_not_taken_for_it(provider: OutlookCalendar, hands: Hands) -> None:
    """R-8: also when no more than the event's own time is asked about, where both look the same."""
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    provider.create(dana, wanted)
    hands.add(sam, Span(at(9, 0), at(10, 0)), show=ShowAs.AWAY)
    busy = provider.free_busy([dana, sam], wanted.span)[sam].busy
    assert {(one.show_as, one.key) for one in busy} == {(ShowAs.AWAY, None), (ShowAs.TENTATIVE, wanted.key)}
    assert all(one.span == wanted.span for one in busy)


def test_an_absence_of_the_very_time_is_not_taken_for_it_either(provider: OutlookCalendar, hands: Hands) -> None:
    dana, sam = hands.person(), hands.person()
    wanted = draft(dana, sam)
    hands.add(sam, wanted.span, show=ShowAs.AWAY)
    provider.create(dana, wanted)
    busy = provider.free_busy([dana, sam], WINDOW)[sam].busy
    assert {(one.show_as, one.key) for one in busy} == {(ShowAs.AWAY, None), (ShowAs.TENTATIVE, wanted.key)}


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
