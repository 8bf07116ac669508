"""Free/busy of Microsoft 365, and the time zones in which the service names times."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.doubles.graph import Double, Fault, Hands, make_section

# Times are in March 2027, in UTC: `at(5, 9)` is 9:00 on the 5th, and `span(5, 9)` the hour from then on.
from tests.support.drafts import DAY, UNUSED_KEY, WINDOW, at, draft, span
from worker.domain.model import Answer, BusyTime, Event, EventRef, FreeBusy, ShowAs, Span
from worker.errors import InvalidResponse, RateLimited
from worker.providers import windows_zones
from worker.providers.outlook import calendar as outlook
from worker.providers.outlook import events as graphevents
from worker.providers.outlook import mailbox_settings
from worker.providers.outlook import schedule as graphschedule
from worker.providers.outlook.calendar import OutlookCalendar

# --- free and busy --------------------------------------------------------------------------------------------------


def test_one_request_is_for_at_most_twenty_people_and_less_than_62_days(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    people = [hands.person() for _ in range(45)]
    window = Span(at(1, 0), at(1, 0) + 150 * DAY)
    late_span = Span(window.end - 2 * DAY, window.end - DAY)
    hands.add(people[44], late_span)
    free_busy_by_person = provider.free_busy(people, window)
    assert double.counts["POST calendar/getSchedule"] == 3 * 3  # 20 + 20 + 5 people, 50 + 50 + 50 days
    assert [busy.span for busy in free_busy_by_person[people[44]].busy] == [late_span]
    assert all(free_busy.is_known for free_busy in free_busy_by_person.values())


def test_event_across_two_parts_of_the_window_counts_once(provider: OutlookCalendar, hands: Hands) -> None:
    person = hands.person()
    window = Span(at(1, 0), at(1, 0) + 100 * DAY)
    boundary = next(iter(graphschedule.split_window(window))).end
    hands.add(person, Span(boundary - timedelta(hours=5), boundary + timedelta(hours=5)))
    assert len(provider.free_busy([person], window)[person].busy) == 1


def test_two_events_at_the_same_time_count_as_two(provider: OutlookCalendar, hands: Hands) -> None:
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
def test_window_of_any_length_is_split_evenly_into_allowed_parts(start: datetime, length: timedelta) -> None:
    """T-2, unknown time is never free: twenty people would be unknown if the service refused a part.

    It allows parts from five minutes to less than 62 days, and intervals from 5 minutes to a day in them.
    """
    window = Span(start, start + length)
    parts = list(graphschedule.split_window(window))
    assert parts[0].start <= window.start and window.end <= parts[-1].end
    assert all(part.end == next_part.start for part, next_part in pairwise(parts))
    lengths = [part.end - part.start for part in parts]
    assert max(lengths) - min(lengths) <= timedelta(seconds=1)
    for part, part_length in zip(parts, lengths, strict=True):
        assert timedelta(minutes=5) <= part_length < timedelta(days=62)
        interval = graphschedule.choose_interval(part)
        assert 5 <= interval <= 1440 and timedelta(minutes=interval) <= part_length
        assert part.start.microsecond == part.end.microsecond == 0


@pytest.mark.parametrize("length", [timedelta(days=61, hours=5), timedelta(hours=3), timedelta(minutes=2), 122 * DAY])
def test_free_busy_is_known_for_a_window_of_any_length(
    provider: OutlookCalendar, hands: Hands, length: timedelta
) -> None:
    sam = hands.person()
    window = Span(at(9, 9), at(9, 9) + length)
    hands.add(sam, Span(window.end - timedelta(minutes=1), window.end + timedelta(hours=1)))
    [busy] = provider.free_busy([sam], window)[sam].busy
    assert busy.span == Span(window.end - timedelta(minutes=1), window.end)


def test_error_for_one_person_makes_only_that_person_unknown(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """T-2, unknown time is never free, although the answer with the error has HTTP status 200."""
    sam, kim = hands.person(), hands.person()
    double.without_free_busy.add(kim)
    free_busy = provider.free_busy([sam, kim], WINDOW)
    assert free_busy[sam].is_known and not free_busy[kim].is_known and "resolve" in free_busy[kim].reason


def test_free_busy_of_a_blocked_mailbox_is_read_through_another(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    """An app without access to a report's mailbox may still learn when the report is free."""
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    double.blocked.add(sam)
    free_busy = provider.free_busy([dana, sam], WINDOW)
    assert [busy.key for busy in free_busy[sam].busy] == [busy.key for busy in free_busy[dana].busy] != []


def test_organizer_with_a_blocked_mailbox_is_unknown_with_a_remedy(
    provider: OutlookCalendar, double: Double, hands: Hands
) -> None:
    dana, sam = hands.person(), hands.person()
    provider.create(dana, draft(dana, sam))
    double.blocked.add(dana)
    free_busy = provider.free_busy([dana, sam], WINDOW)
    assert not free_busy[dana].is_known and "group" in free_busy[dana].reason
    assert free_busy[sam].is_known


def test_working_elsewhere_counts_as_free(provider: OutlookCalendar, double: Double, hands: Hands) -> None:
    person = hands.person()
    event_id = hands.add(person, span(5, 14))
    double.world.mailboxes[person].items[event_id].properties["showAs"] = "workingElsewhere"
    assert provider.free_busy([person], WINDOW)[person].busy == ()


def test_time_that_cannot_be_parsed_makes_the_person_unknown() -> None:
    item = {"start": {"dateTime": "x"}, "end": {}, "status": "busy"}
    free_busy = graphschedule._join_parts([{"scheduleItems": [item]}], WINDOW)
    assert not free_busy.is_known


def test_only_one_of_two_busy_times_counts_as_our_event() -> None:
    """Another event at exactly the time of ours does not count as ours."""
    free_busy = FreeBusy(tuple(BusyTime(span(9, 10), ShowAs.BUSY) for _ in range(2)))
    event = Event(ref=EventRef("dana@x", "1", "1"), span=span(9, 10), key="k", answers={"sam@x": Answer.ACCEPTED})
    marked_free_busy = graphschedule.mark_our_events(free_busy, "sam@x", [event], WINDOW)
    assert sorted(busy_time.key or "" for busy_time in marked_free_busy.busy) == ["", "k"]
    assert graphschedule.mark_our_events(free_busy, "kim@x", [event], WINDOW) == free_busy


def add_organizers(double: Double, hands: Hands, count: int) -> tuple[OutlookCalendar, list[str]]:
    """Return a provider and so many organizers, each with one event on the calendar."""
    people = [hands.person() for _ in range(count)]
    for person in people:
        hands.add(person, span(5, 14))
    return outlook.build_calendar(make_section(double, organizers=lambda person: {person} & set(people))), people


def test_many_organizers_are_read_in_batches_each_with_its_own_result(double: Double, hands: Hands) -> None:
    provider, people = add_organizers(double, hands, 23)
    double.blocked.add(people[3])
    free_busy = provider.free_busy(people, WINDOW)
    # a batch has at most twenty requests
    assert double.counts["batch"] == 2 and double.counts["GET calendarView"] <= 23
    assert [person for person in people if not free_busy[person].is_known] == [people[3]]
    assert all(len(free_busy[person].busy) == 1 for person in people if person != people[3])
    assert max(double.most_at_once.values()) == 1  # no two requests to one mailbox at once


@pytest.mark.parametrize(("status", "code"), [(429, "ApplicationThrottled"), (503, "ServiceUnavailable")])
def test_temporary_error_in_a_batch_makes_only_one_person_unknown(
    double: Double, hands: Hands, status: int, code: str
) -> None:
    """The batch itself is answered with success."""
    provider, people = add_organizers(double, hands, 3)
    double.faults.append(Fault("GET", people[1], status, code, headers=(("Retry-After", "40"),)))
    free_busy = provider.free_busy(people, WINDOW)
    results = [free_busy[person] for person in people]
    assert [(result.is_known, result.is_temporary, len(result.busy)) for result in results] == [
        (True, False, 1),
        (False, True, 0),
        (True, False, 1),
    ]
    assert people[1] in free_busy[people[1]].reason


def test_paused_mailbox_makes_only_its_owner_unknown(double: Double, hands: Hands) -> None:
    """During the pause, the request for this mailbox is left out of the batch."""
    provider, people = add_organizers(double, hands, 3)
    double.faults.append(Fault("GET", people[1], 429, headers=(("Retry-After", "40"),)))
    for _ in range(2):
        free_busy = provider.free_busy(people, WINDOW)
        assert [free_busy[person].is_known for person in people] == [True, False, True]
        assert free_busy[people[1]].is_temporary
    assert double.counts["GET calendarView"] == 5  # of all three mailboxes, and then of two


def test_refused_batch_pauses_each_of_its_mailboxes(double: Double, hands: Hands) -> None:
    provider, people = add_organizers(double, hands, 3)
    double.faults.append(Fault("POST", r"\$batch$", 429, headers=(("Retry-After", "40"),)))
    with pytest.raises(RateLimited):
        provider.free_busy(people, WINDOW)
    for person in people:
        with pytest.raises(RateLimited, match="asked for a pause"):
            provider.find(person, UNUSED_KEY)
    results = provider.free_busy(people, WINDOW).values()
    assert all(result.is_temporary for result in results) and double.counts["batch"] == 1


def test_report_is_unknown_while_the_managers_calendar_cannot_be_read(double: Double, hands: Hands) -> None:
    """Without the organizer's calendar, our own event on the guest's calendar would count as another event."""
    dana, kim, sam, lee = (hands.person() for _ in range(4))
    organizers = {sam: [dana], lee: [kim], dana: [dana], kim: [kim]}
    provider = outlook.build_calendar(make_section(double, organizers=lambda person: organizers[person]))
    events = [provider.create(manager, draft(manager, guest)) for manager, guest in ((dana, sam), (kim, lee))]
    double.faults.append(Fault("GET", dana, 503, "ServiceUnavailable"))
    free_busy = provider.free_busy([sam, lee], WINDOW)
    assert (free_busy[sam].is_known, free_busy[sam].is_temporary) == (False, True)
    assert [busy.key for busy in free_busy[lee].busy] == [events[1].key]


@pytest.mark.parametrize("body", [b"{}", b'{"responses": []}', b'{"responses": [{"id": 1}]}'])
def test_batch_answer_without_an_answer_for_a_person_makes_that_person_unknown(
    double: Double, hands: Hands, body: bytes
) -> None:
    provider, people = add_organizers(double, hands, 2)
    double.broken_batch_answer = body
    free_busy = provider.free_busy(people, WINDOW)
    assert [free_busy[person].is_known for person in people] == [False, False]
    assert all(person in free_busy[person].reason for person in people)


@pytest.mark.parametrize("body", [b"<html>", b'{"responses": 1}', b'{"responses": [1]}'])
def test_batch_answer_that_is_none_raises_one_line(double: Double, hands: Hands, body: bytes) -> None:
    provider, people = add_organizers(double, hands, 2)
    double.broken_batch_answer = body
    with pytest.raises(InvalidResponse) as error_info:
        provider.free_busy(people, WINDOW)
    assert "\n" not in str(error_info.value)


def test_expired_token_is_renewed_for_a_batch(double: Double, hands: Hands) -> None:
    provider, people = add_organizers(double, hands, 2)
    provider.free_busy(people, WINDOW)
    double.login.grants.clear()
    assert all(free_busy.is_known for free_busy in provider.free_busy(people, WINDOW).values())


def test_absence_around_our_event_does_not_count_as_our_event(provider: OutlookCalendar, hands: Hands) -> None:
    """R-8, a session in an absence gets another time, so the absence has to be seen. The window is only the event's own
    time; clipped to it, the absence and our event have the same span."""
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    provider.create(dana, event_draft)
    hands.add(sam, Span(at(9, 0), at(10, 0)), show=ShowAs.AWAY)
    busy = provider.free_busy([dana, sam], event_draft.span)[sam].busy
    assert {(busy_time.show_as, busy_time.key) for busy_time in busy} == {
        (ShowAs.AWAY, None),
        (ShowAs.TENTATIVE, event_draft.key),
    }
    assert all(busy_time.span == event_draft.span for busy_time in busy)


def test_absence_at_the_time_of_our_event_does_not_count_as_our_event(provider: OutlookCalendar, hands: Hands) -> None:
    dana, sam = hands.person(), hands.person()
    event_draft = draft(dana, sam)
    hands.add(sam, event_draft.span, show=ShowAs.AWAY)
    provider.create(dana, event_draft)
    busy = provider.free_busy([dana, sam], WINDOW)[sam].busy
    assert {(busy_time.show_as, busy_time.key) for busy_time in busy} == {
        (ShowAs.AWAY, None),
        (ShowAs.TENTATIVE, event_draft.key),
    }


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
def test_iana_name_is_found_for_each_zone_name_of_outlook(name: str, expected: str | None) -> None:
    assert windows_zones.find_iana_name(name) == expected


@pytest.mark.parametrize(
    "zone", ["Europe/Vienna", "Asia/Kolkata", "America/Detroit", "Australia/Sydney", "Africa/Cairo"]
)
def test_windows_name_of_a_zone_stands_for_the_same_local_time(zone: str) -> None:
    for day in (datetime(2027, 1, 15, tzinfo=UTC), datetime(2027, 7, 15, tzinfo=UTC)):
        iana_name = windows_zones.find_iana_name(windows_zones.find_windows_name(zone, day))
        assert iana_name is not None
        local_time, translated_time = (day.astimezone(ZoneInfo(name)) for name in (zone, iana_name))
        assert local_time.replace(tzinfo=None) == translated_time.replace(tzinfo=None)


@pytest.mark.parametrize(
    ("zone_fields", "utc_offsets"),  # in hours, of January and July
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
def test_customized_zone_is_found_by_its_bias(zone_fields: dict[str, Any], utc_offsets: tuple[float, float]) -> None:
    settings = {"timeZone": "Customized Time Zone", "workingHours": {"timeZone": {"name": "x", **zone_fields}}}
    zone = mailbox_settings.parse_habits(settings).zone
    assert zone is not None
    for month, expected in zip((1, 7), utc_offsets, strict=True):
        assert datetime(2027, month, 15, tzinfo=ZoneInfo(zone)).utcoffset() == timedelta(hours=expected)


@pytest.mark.parametrize("zone_fields", [{}, {"bias": "x"}, {"bias": 481}, None])  # no zone is 481 minutes from UTC
def test_zone_with_an_invalid_bias_is_none(zone_fields: dict[str, Any] | None) -> None:
    assert mailbox_settings.parse_habits({"workingHours": {"timeZone": zone_fields}}).zone is None


def test_habits_are_those_of_the_mailbox(provider: OutlookCalendar, hands: Hands) -> None:
    habits = provider.habits(hands.person("Europe/Berlin"))
    assert habits.zone == "Europe/Berlin"
    assert habits.hours is not None
    monday, sunday = habits.hours.week[0], habits.hours.week[6]  # in minutes since midnight, as the double has them
    assert monday == ((8 * 60 + 30, 17 * 60),) and sunday == ()


def test_all_day_event_has_the_same_span_in_utc_and_in_floating_time() -> None:
    """The service may name the midnights of an all-day event in UTC."""
    berlin = ZoneInfo("Europe/Berlin")
    item = {
        "id": "1",
        "changeKey": "1",
        "isAllDay": True,
        "start": {"dateTime": "2027-03-08T23:00:00.0000000", "timeZone": "UTC"},
        "end": {"dateTime": "2027-03-09T23:00:00.0000000", "timeZone": "UTC"},
    }
    floating_item = {**item, "start": {"dateTime": "2027-03-09T00:00:00.0000000", "timeZone": "UTC"}}
    floating_item["end"] = {"dateTime": "2027-03-10T00:00:00.0000000", "timeZone": "UTC"}
    assert (
        graphevents.parse_event(item, "d@x", berlin).span == graphevents.parse_event(floating_item, "d@x", berlin).span
    )
