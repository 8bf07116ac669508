"""Working hours, wall clocks, holidays and working days, in unusual time zones too."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.pairs import utc
from worker.domain.model import Person, Span, WorkingHours
from worker.domain.time.worktime import (
    add_weekdays,
    add_working_days,
    find_holiday,
    format_hours,
    get_local_date,
    is_known_country,
    is_working_day,
    is_working_time,
    list_spells,
    list_working_spans,
    parse_hours,
    wall_to_utc,
)

#: Zones with offsets of quarters and half hours, or with unusual clock changes, and Apia, which
#: left out a whole day in 2011.
ZONES = (
    "UTC",
    "Europe/Berlin",
    "America/New_York",
    "America/Santiago",
    "America/St_Johns",
    "Asia/Kolkata",
    "Asia/Kathmandu",
    "Australia/Lord_Howe",
    "Pacific/Chatham",
    "Pacific/Apia",
    "Pacific/Kiritimati",
    "Antarctica/Troll",
    "Africa/Casablanca",
)
OFFICE_HOURS = "Mon-Fri 09:00-17:00"
DAY_MINUTES = 24 * 60


def person(hours: str = OFFICE_HOURS, zone: str = "Europe/Berlin", country: str = "DE", name: str = "Dana") -> Person:
    return Person(email=f"{name.lower()}@x.example", name=name, zone=zone, country=country, hours=parse_hours(hours))


# --- hours ---


def test_parsed_hours_list_the_spells_of_each_weekday() -> None:
    """Spells are in minutes from midnight; the week begins on Monday."""
    monday, tuesday, wednesday, thursday, friday, saturday, sunday = parse_hours(
        "Mon,Wed-Thu 09:00-12:00,13:00-17:00; Sat 8:30-10:00"
    ).week
    assert monday == wednesday == thursday == ((9 * 60, 12 * 60), (13 * 60, 17 * 60))
    assert saturday == ((8 * 60 + 30, 10 * 60),)
    assert tuesday == friday == sunday == ()


def test_night_shift_ends_after_minute_1440_of_its_day() -> None:
    """24:00 and 00:00 at the end of a spell are both minute 1440."""
    friday = 4
    assert parse_hours("Fri 22:00-06:00").week[friday] == ((22 * 60, (24 + 6) * 60),)
    ends_at_24, ends_at_0 = (parse_hours(text).week[friday] for text in ("Fri 20:00-24:00", "Fri 20:00-00:00"))
    assert ends_at_24 == ends_at_0 == ((20 * 60, 24 * 60),)


def test_range_of_days_may_cross_the_weekend_and_use_full_names() -> None:
    week = parse_hours("Saturday-tue 09:00–12:00").week
    assert [bool(day) for day in week] == [True, True, False, False, False, True, True]


@pytest.mark.parametrize(
    ("text", "fault"),
    [
        ("", "no working hours"),
        ("Mon-Fri", "`Mon-Fri`"),
        ("Mon-Fry 09:00-17:00", "`Fry`"),
        ("Mox 09:00-17:00", "`Mox`"),
        ("Mon 09:00", "`09:00` is not a start and an end"),
        ("Mon 09:00-25:00", "`25:00`"),
        ("Mon 09:75-10:00", "`09:75`"),
        ("Mon 24:00-02:00", "`24:00-02:00`"),
        ("Mon 09:00-12:00,11:00-13:00", "Mon 09:00 and Mon 11:00 overlap"),
        ("Mon-Tue 09:00-12:00; Tue 11:45-13:00", "Tue 09:00 and Tue 11:45 overlap"),
        ("Mon 22:00-06:00; Tue 05:00-09:00", "Mon 22:00 and Tue 05:00 overlap"),
        ("Sun 22:00-06:00; Mon 05:00-09:00", "Sun 22:00 and Mon 05:00 overlap"),
    ],
)
def test_error_of_wrong_hours_names_the_fault_and_shows_an_example(text: str, fault: str) -> None:
    with pytest.raises(ValueError, match="Write for example `Mon-Fri 09:00-17:00`") as error_info:
        parse_hours(text)
    assert fault in str(error_info.value)


@st.composite
def hours_texts(draw: st.DrawFn) -> str:
    """Hours in which the spells of a day do not touch; some are night shifts.

    Edges are quarter-hours from midnight: day spells lie between 06:00 and 23:00, night shifts begin at 23:15.
    """
    rules = []
    for day in draw(
        st.lists(st.sampled_from(("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")), min_size=1, unique=True)
    ):
        edges = sorted(draw(st.sets(st.integers(24, 92), min_size=2, max_size=4)))
        pairs = list(zip(edges[::2], edges[1::2], strict=False))
        if draw(st.booleans()):
            pairs.append((93, draw(st.integers(97, 118))))
        times = (f"{a // 4 % 24:02}:{a % 4 * 15:02}-{b // 4 % 24:02}:{b % 4 * 15:02}" for a, b in pairs)
        rules.append(f"{day} {','.join(times)}")
    return "; ".join(rules)


@given(hours_texts())
@settings(max_examples=60, deadline=None)
def test_formatted_hours_are_parsed_to_the_same_hours(text: str) -> None:
    hours = parse_hours(text)
    assert parse_hours(format_hours(hours)) == hours


def test_formatted_hours_group_days_with_the_same_spells() -> None:
    text = "Mon-Fri 09:00-12:00,13:00-17:00; Sun 22:00-06:00"
    assert format_hours(parse_hours(text)) == text
    assert format_hours(parse_hours("Mon 09:00-17:00; Wed 09:00-17:00; Thu 09:00-17:00")) == "Mon,Wed-Thu 09:00-17:00"
    assert format_hours(parse_hours("Sun 00:00-24:00")) == "Sun 00:00-24:00"


# --- wall clocks ---


@pytest.mark.parametrize(
    ("zone", "day", "minute", "instant"),
    [
        (
            "Europe/Berlin",
            date(2027, 3, 28),
            2 * 60 + 30,
            utc(2027, 3, 28, 1),
        ),  # a skipped time is the first instant after the gap
        (
            "Europe/Berlin",
            date(2027, 10, 31),
            2 * 60 + 30,
            utc(2027, 10, 31, 0, 30),
        ),  # a time that occurs twice is the first of the two
        ("Australia/Lord_Howe", date(2026, 10, 4), 2 * 60 + 15, utc(2026, 10, 3, 15, 30)),  # half an hour is skipped
        ("Pacific/Apia", date(2011, 12, 30), 0, utc(2011, 12, 30, 10)),  # a whole day is skipped
        ("Pacific/Apia", date(2011, 12, 30), 17 * 60, utc(2011, 12, 30, 10)),
        ("Pacific/Apia", date(2011, 12, 29), DAY_MINUTES + 10 * 60, utc(2011, 12, 30, 10)),  # 10:00 on the next day
        ("Pacific/Apia", date(2011, 12, 31), 9 * 60, utc(2011, 12, 30, 19)),
        ("America/Santiago", date(2026, 9, 6), 0, utc(2026, 9, 6, 4)),  # a day without a midnight
        ("Antarctica/Troll", date(2026, 3, 29), 60 + 30, utc(2026, 3, 29, 1)),  # two hours are skipped
        ("Asia/Kathmandu", date(2027, 1, 1), 9 * 60, utc(2027, 1, 1, 3, 15)),
        ("Asia/Kolkata", date(2028, 2, 29), 9 * 60, utc(2028, 2, 29, 3, 30)),  # a leap day
        ("Pacific/Chatham", date(2027, 1, 1), 9 * 60, utc(2026, 12, 31, 19, 15)),
        ("America/St_Johns", date(2026, 12, 31), DAY_MINUTES + 9 * 60, utc(2027, 1, 1, 12, 30)),
    ],
)
def test_wall_clock_time_becomes_an_instant(zone: str, day: date, minute: int, instant: datetime) -> None:
    assert wall_to_utc(zone, day, minute) == instant


dates = st.dates(date(2011, 12, 20), date(2032, 3, 1))


@given(st.sampled_from(ZONES), dates, st.integers(0, 2 * DAY_MINUTES))
@example("Europe/Berlin", date(2026, 3, 29), 150)  # times in gaps, which few random ones are
@example("Pacific/Apia", date(2011, 12, 30), 540)
@settings(max_examples=300, deadline=None)
def test_instant_shows_the_given_wall_clock_time_or_the_first_after_a_gap(zone: str, day: date, minute: int) -> None:
    wall_time = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    instant = wall_to_utc(zone, day, minute)
    local_time = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert instant.tzinfo is UTC
    assert local_time >= wall_time
    if local_time > wall_time:
        just_before = (instant - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert just_before < wall_time
    else:
        assert not instant.astimezone(ZoneInfo(zone)).fold


@given(st.sampled_from(ZONES), dates, st.integers(0, DAY_MINUTES + 60))
@settings(max_examples=200, deadline=None)
def test_later_wall_clock_time_is_never_an_earlier_instant(zone: str, day: date, minute: int) -> None:
    assert wall_to_utc(zone, day, minute) <= wall_to_utc(zone, day, minute + 15)


def test_local_date_depends_on_the_time_zone() -> None:
    now = utc(2026, 12, 31, 12)
    assert get_local_date("Pacific/Kiritimati", now) == date(2027, 1, 1)
    assert get_local_date("America/New_York", now) == date(2026, 12, 31)


# --- holidays ---


def test_holidays_are_those_of_a_country_or_its_region() -> None:
    epiphany = date(2027, 1, 6)
    assert find_holiday("DE", epiphany) is None
    assert find_holiday("DE-BY", epiphany) == "Epiphany"
    assert find_holiday("US", date(2026, 7, 3)) is not None  # 4 July is a Saturday, observed the day before
    assert find_holiday("US", date(2027, 12, 31)) is not None  # New Year's Day of 2028, observed in 2027
    assert find_holiday("IN", date(2027, 1, 26)) == "Republic Day"
    assert find_holiday("JP", date(2027, 7, 4)) is None


def test_known_country_codes_have_their_exact_spelling() -> None:
    assert all(is_known_country(code) for code in ("DE", "DE-BY", "US", "NP", "WS", "AU-NSW"))
    assert not any(is_known_country(code) for code in ("", "XX", "de", "DE-", "DE-XX", "Germany"))


def test_holiday_search_in_an_unknown_country_is_an_error() -> None:
    with pytest.raises(ValueError, match="`XX`"):
        find_holiday("XX", date(2027, 1, 1))


# --- spells ---


def test_spells_follow_summer_time_weekends_and_holidays() -> None:
    dana = person()
    assert list_spells(dana, date(2027, 3, 25)) == (Span(utc(2027, 3, 25, 8), utc(2027, 3, 25, 16)),)
    assert list_spells(dana, date(2027, 3, 30)) == (Span(utc(2027, 3, 30, 7), utc(2027, 3, 30, 15)),)
    assert list_spells(dana, date(2027, 3, 26)) == ()  # Good Friday
    assert list_spells(dana, date(2027, 3, 27)) == ()  # Saturday


def test_night_shift_is_shorter_or_longer_when_the_clocks_change() -> None:
    (night_shift,) = list_spells(person("Sat 22:00-06:00"), date(2027, 3, 27))
    assert night_shift.minutes == 7 * 60
    (night_shift,) = list_spells(person("Sat 22:00-06:00"), date(2027, 10, 30))
    assert night_shift.minutes == 9 * 60


def test_day_that_a_time_zone_skipped_is_no_working_day() -> None:
    samoan = person(zone="Pacific/Apia", country="WS")
    assert f"{date(2011, 12, 30):%a}" == "Fri"  # the day was skipped, and is not just a weekend
    assert not is_working_day(samoan, date(2011, 12, 30))
    assert is_working_day(samoan, date(2011, 12, 29))


@given(st.sampled_from(ZONES), dates, st.integers(0, 23), st.integers(1, 72))
@settings(max_examples=60, deadline=None)
def test_working_spans_are_the_spells_inside_the_window(zone: str, day: date, start_hour: int, length: int) -> None:
    """The window lasts `length` hours."""
    dana = person("Mon-Sun 08:00-12:00,22:00-06:00", zone)
    start = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=start_hour)
    window = Span(start, start + timedelta(hours=length))
    working_spans = list_working_spans(dana, window)
    assert all(window.start <= span.start < span.end <= window.end for span in working_spans)
    spells = [span for step in range(-3, 7) for span in list_spells(dana, day + timedelta(days=step))]
    for instant in (start + timedelta(minutes=15 * step) for step in range(4 * length)):
        assert any(span.start <= instant < span.end for span in working_spans) == any(
            s.start <= instant < s.end for s in spells
        )


@pytest.mark.parametrize(
    ("start", "minutes", "expected"),
    [
        ("2027-03-02T08:00", 60, True),
        ("2027-03-02T11:30", 60, True),  # across two spells that touch
        ("2027-03-02T07:30", 60, False),
        ("2027-03-02T03:00", 60, False),
        ("2027-03-02T16:30", 60, False),
        ("2027-03-06T10:00", 60, False),  # a Saturday
        ("2027-03-26T10:00", 60, False),  # Good Friday
    ],
)
def test_span_is_working_time_only_if_all_of_it_is(start: str, minutes: int, expected: bool) -> None:
    dana = person("Mon-Fri 08:00-12:00,12:00-17:00")
    start_instant = datetime.fromisoformat(f"{start}+01:00").astimezone(UTC)
    assert is_working_time(dana, Span(start_instant, start_instant + timedelta(minutes=minutes))) is expected


# --- working days ---


def test_weekends_and_holidays_are_skipped_when_working_days_are_added() -> None:
    dana = person()
    thursday = date(2027, 3, 25)
    assert add_working_days(dana, thursday, 1) == date(2027, 3, 30)  # Good Friday, weekend, Easter Monday
    assert add_working_days(dana, date(2027, 3, 30), -1) == thursday
    assert add_working_days(dana, date(2026, 12, 31), 1) == date(2027, 1, 4)
    assert add_working_days(dana, date(2028, 2, 28), 1) == date(2028, 2, 29)
    assert add_working_days(dana, thursday, 0) == thursday


@given(
    st.sampled_from(("Mon-Fri 09:00-17:00", "Tue,Thu 09:00-12:00", "Sun-Thu 22:00-06:00")), dates, st.integers(1, 20)
)
@settings(max_examples=80, deadline=None)
def test_added_working_days_are_as_many_as_a_count_day_by_day_finds(hours: str, day: date, count: int) -> None:
    dana = person(hours, "Asia/Kathmandu", "NP")
    last_day = add_working_days(dana, day, count)
    days_passed = [day + timedelta(days=step) for step in range(1, (last_day - day).days + 1)]
    assert sum(is_working_day(dana, passed_day) for passed_day in days_passed) == count
    assert is_working_day(dana, last_day)
    assert add_working_days(dana, last_day + timedelta(days=1), -1) == last_day


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, date(2026, 11, 30)), (5, date(2026, 12, 4)), (-1, date(2026, 11, 27)), (0, date(2026, 11, 28))],
)
def test_weekdays_are_counted_from_monday_to_friday(count: int, expected: date) -> None:
    """The count begins on a Saturday, and nobody's working days matter."""
    assert add_weekdays(date(2026, 11, 28), count) == expected


def test_search_for_a_working_day_ends_after_400_days() -> None:
    """The person has no working hours at all."""
    with pytest.raises(ValueError, match="no working day in the 400 days"):
        add_working_days(replace(person("Mon 09:00-17:00"), hours=WorkingHours(((),) * 7)), date(2027, 6, 7), 1)
