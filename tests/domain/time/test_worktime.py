"""Hours, wall clocks, holidays and working days, in zones of every awkward kind."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
OFFICE = "Mon-Fri 09:00-17:00"


def person(hours: str = OFFICE, zone: str = "Europe/Berlin", country: str = "DE", name: str = "Dana") -> Person:
    return Person(email=f"{name.lower()}@x.example", name=name, zone=zone, country=country, hours=parse_hours(hours))


def utc(year: int, month: int, day: int, hour: int = 0, minute: int = 0) -> datetime:
    return datetime(year, month, day, hour, minute, tzinfo=UTC)


# --- hours ---


def test_hours_list_days_and_spells() -> None:
    week = parse_hours("Mon,Wed-Thu 09:00-12:00,13:00-17:00; Sat 8:30-10:00").week
    assert week[0] == week[2] == week[3] == ((540, 720), (780, 1020))
    assert week[5] == ((510, 600),)
    assert week[1] == week[4] == week[6] == ()


def test_a_night_shift_ends_over_1440_and_midnight_is_24() -> None:
    assert parse_hours("Fri 22:00-06:00").week[4] == ((1320, 1800),)
    assert parse_hours("Fri 20:00-24:00").week[4] == parse_hours("Fri 20:00-00:00").week[4] == ((1200, 1440),)


def test_days_may_run_over_the_weekend_and_be_written_out() -> None:
    week = parse_hours("Saturday-tue 09:00–12:00").week
    assert [bool(day) for day in week] == [True, True, False, False, False, True, True]


@pytest.mark.parametrize(
    ("text", "named"),
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
def test_wrong_hours_are_named_with_an_example(text: str, named: str) -> None:
    with pytest.raises(ValueError, match="Write for example `Mon-Fri 09:00-17:00`") as caught:
        parse_hours(text)
    assert named in str(caught.value)


@st.composite
def hours_texts(draw: st.DrawFn) -> str:
    """Hours in which spells of a day lie apart; some of them night shifts."""
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
def test_hours_come_back_as_they_were_written(text: str) -> None:
    hours = parse_hours(text)
    assert parse_hours(format_hours(hours)) == hours


def test_hours_are_written_shortly() -> None:
    text = "Mon-Fri 09:00-12:00,13:00-17:00; Sun 22:00-06:00"
    assert format_hours(parse_hours(text)) == text
    assert format_hours(parse_hours("Mon 09:00-17:00; Wed 09:00-17:00; Thu 09:00-17:00")) == "Mon,Wed-Thu 09:00-17:00"
    assert format_hours(parse_hours("Sun 00:00-24:00")) == "Sun 00:00-24:00"


# --- wall clocks ---


@pytest.mark.parametrize(
    ("zone", "day", "minute", "instant"),
    [
        ("Europe/Berlin", date(2027, 3, 28), 150, utc(2027, 3, 28, 1)),  # skipped: the first instant after
        ("Europe/Berlin", date(2027, 10, 31), 150, utc(2027, 10, 31, 0, 30)),  # shown twice: the first
        ("Australia/Lord_Howe", date(2026, 10, 4), 135, utc(2026, 10, 3, 15, 30)),  # half an hour skipped
        ("Pacific/Apia", date(2011, 12, 30), 0, utc(2011, 12, 30, 10)),  # a day skipped
        ("Pacific/Apia", date(2011, 12, 30), 1020, utc(2011, 12, 30, 10)),
        ("Pacific/Apia", date(2011, 12, 29), 1440 + 600, utc(2011, 12, 30, 10)),
        ("Pacific/Apia", date(2011, 12, 31), 540, utc(2011, 12, 30, 19)),
        ("America/Santiago", date(2026, 9, 6), 0, utc(2026, 9, 6, 4)),  # a day without a midnight
        ("Antarctica/Troll", date(2026, 3, 29), 90, utc(2026, 3, 29, 1)),  # two hours skipped
        ("Asia/Kathmandu", date(2027, 1, 1), 540, utc(2027, 1, 1, 3, 15)),
        ("Asia/Kolkata", date(2028, 2, 29), 540, utc(2028, 2, 29, 3, 30)),  # a leap day
        ("Pacific/Chatham", date(2027, 1, 1), 540, utc(2026, 12, 31, 19, 15)),
        ("America/St_Johns", date(2026, 12, 31), 1440 + 540, utc(2027, 1, 1, 12, 30)),
    ],
)
def test_wall_clock_times_become_instants(zone: str, day: date, minute: int, instant: datetime) -> None:
    assert wall_to_utc(zone, day, minute) == instant


days = st.dates(date(2011, 12, 20), date(2032, 3, 1))


@given(st.sampled_from(ZONES), days, st.integers(0, 2880))
@settings(max_examples=300, deadline=None)
def test_the_clock_shows_what_was_asked_or_what_follows_a_gap(zone: str, day: date, minute: int) -> None:
    asked = datetime.combine(day, datetime.min.time()) + timedelta(minutes=minute)
    instant = wall_to_utc(zone, day, minute)
    shown = instant.astimezone(ZoneInfo(zone)).replace(tzinfo=None)
    assert instant.tzinfo is UTC
    assert shown >= asked
    if shown > asked:
        just_before = (instant - timedelta(seconds=1)).astimezone(ZoneInfo(zone)).replace(tzinfo=None)
        assert just_before < asked
    else:
        assert not instant.astimezone(ZoneInfo(zone)).fold


@given(st.sampled_from(ZONES), days, st.integers(0, 1500))
@settings(max_examples=200, deadline=None)
def test_later_on_the_wall_is_never_earlier_in_time(zone: str, day: date, minute: int) -> None:
    assert wall_to_utc(zone, day, minute) <= wall_to_utc(zone, day, minute + 15)


def test_today_is_the_local_date() -> None:
    now = utc(2026, 12, 31, 12)
    assert get_local_date("Pacific/Kiritimati", now) == date(2027, 1, 1)
    assert get_local_date("America/New_York", now) == date(2026, 12, 31)


# --- holidays ---


def test_public_holidays_of_countries_and_their_parts() -> None:
    epiphany = date(2027, 1, 6)
    assert find_holiday("DE", epiphany) is None
    assert find_holiday("DE-BY", epiphany) == "Epiphany"
    assert find_holiday("US", date(2026, 7, 3)) is not None  # the 4th is a Saturday: kept the day before
    assert find_holiday("US", date(2027, 12, 31)) is not None  # next year's New Year's Day, kept in this year
    assert find_holiday("IN", date(2027, 1, 26)) == "Republic Day"
    assert find_holiday("JP", date(2027, 7, 4)) is None


def test_known_countries() -> None:
    assert all(is_known_country(code) for code in ("DE", "DE-BY", "US", "NP", "WS", "AU-NSW"))
    assert not any(is_known_country(code) for code in ("", "XX", "de", "DE-", "DE-XX", "Germany"))


def test_an_unknown_country_is_an_error_not_a_year_without_holidays() -> None:
    with pytest.raises(ValueError, match="`XX`"):
        find_holiday("XX", date(2027, 1, 1))


# --- spells ---


def test_spells_follow_summer_time_and_holidays() -> None:
    dana = person()
    assert list_spells(dana, date(2027, 3, 25)) == (Span(utc(2027, 3, 25, 8), utc(2027, 3, 25, 16)),)
    assert list_spells(dana, date(2027, 3, 30)) == (Span(utc(2027, 3, 30, 7), utc(2027, 3, 30, 15)),)
    assert list_spells(dana, date(2027, 3, 26)) == ()  # Good Friday
    assert list_spells(dana, date(2027, 3, 27)) == ()  # Saturday


def test_a_night_shift_is_an_hour_shorter_when_the_clocks_go_forward() -> None:
    (night,) = list_spells(person("Sat 22:00-06:00"), date(2027, 3, 27))
    assert night.minutes == 7 * 60
    (night,) = list_spells(person("Sat 22:00-06:00"), date(2027, 10, 30))
    assert night.minutes == 9 * 60


def test_nobody_works_on_a_day_the_zone_skipped() -> None:
    tala = person(zone="Pacific/Apia", country="WS")
    assert date(2011, 12, 30).weekday() == 4
    assert not is_working_day(tala, date(2011, 12, 30))
    assert is_working_day(tala, date(2011, 12, 29))


@given(st.sampled_from(ZONES), days, st.integers(0, 23), st.integers(1, 72))
@settings(max_examples=60, deadline=None)
def test_working_spans_are_the_spells_inside_the_window(zone: str, day: date, hour: int, hours: int) -> None:
    dana = person("Mon-Sun 08:00-12:00,22:00-06:00", zone)
    start = datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=hour)
    window = Span(start, start + timedelta(hours=hours))
    found = list_working_spans(dana, window)
    assert all(window.start <= span.start < span.end <= window.end for span in found)
    every = [span for step in range(-3, 7) for span in list_spells(dana, day + timedelta(days=step))]
    for at in (start + timedelta(minutes=15 * step) for step in range(4 * hours)):
        assert any(span.start <= at < span.end for span in found) == any(s.start <= at < s.end for s in every)


@pytest.mark.parametrize(
    ("start", "minutes", "works"),
    [
        ("2027-03-02T08:00", 60, True),
        ("2027-03-02T11:30", 60, True),  # over the edge of two spells that touch
        ("2027-03-02T07:30", 60, False),
        ("2027-03-02T03:00", 60, False),
        ("2027-03-02T16:30", 60, False),
        ("2027-03-06T10:00", 60, False),  # a Saturday
        ("2027-03-26T10:00", 60, False),  # Good Friday
    ],
)
def test_a_span_is_working_time_when_all_of_it_is(start: str, minutes: int, works: bool) -> None:
    dana = person("Mon-Fri 08:00-12:00,12:00-17:00")
    begin = datetime.fromisoformat(f"{start}+01:00").astimezone(UTC)
    assert is_working_time(dana, Span(begin, begin + timedelta(minutes=minutes))) is works


# --- working days ---


def test_working_days_are_counted_over_weekends_and_holidays() -> None:
    dana = person()
    thursday = date(2027, 3, 25)
    assert add_working_days(dana, thursday, 1) == date(2027, 3, 30)  # Good Friday, weekend, Easter Monday
    assert add_working_days(dana, date(2027, 3, 30), -1) == thursday
    assert add_working_days(dana, date(2026, 12, 31), 1) == date(2027, 1, 4)
    assert add_working_days(dana, date(2028, 2, 28), 1) == date(2028, 2, 29)
    assert add_working_days(dana, thursday, 0) == thursday


@given(st.sampled_from(("Mon-Fri 09:00-17:00", "Tue,Thu 09:00-12:00", "Sun-Thu 22:00-06:00")), days, st.integers(1, 20))
@settings(max_examples=80, deadline=None)
def test_counting_forth_agrees_with_counting_one_by_one(hours: str, day: date, count: int) -> None:
    dana = person(hours, "Asia/Kathmandu", "NP")
    reached = add_working_days(dana, day, count)
    passed = [day + timedelta(days=step) for step in range(1, (reached - day).days + 1)]
    assert sum(is_working_day(dana, at) for at in passed) == count
    assert is_working_day(dana, reached)
    assert add_working_days(dana, reached + timedelta(days=1), -1) == reached


@pytest.mark.parametrize(
    ("count", "expected"),
    [(1, date(2026, 11, 30)), (5, date(2026, 12, 4)), (-1, date(2026, 11, 27)), (0, date(2026, 11, 28))],
)
def test_weekdays_are_counted_from_monday_to_friday(count: int, expected: date) -> None:
    """From a Saturday, whatever anybody's week is."""
    assert add_weekdays(date(2026, 11, 28), count) == expected


def test_looking_for_a_working_day_ends() -> None:
    with pytest.raises(ValueError, match="no working day in the 400 days"):
        add_working_days(replace(person("Mon 09:00-17:00"), hours=WorkingHours(((),) * 7)), date(2027, 6, 7), 1)
