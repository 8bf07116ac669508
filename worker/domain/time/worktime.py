"""Working time: the text format of working hours, wall-clock times, public holidays and working days.

`wall_to_utc` is the only place that turns a wall-clock time into an instant. It handles daylight saving time, zones
that shift by half an hour and zones that skip a whole day.

A spell is a stretch of working time without a break. A spell belongs to the day on which it starts: a night shift from
Friday to Saturday is part of Friday, even when Saturday is a holiday.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NoReturn, cast
from zoneinfo import ZoneInfo

from worker.domain.model import Person, Span, Spells, WorkingHours

SHORT_DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEKDAY_NAMES = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOURS_EXAMPLE = "`Mon-Fri 09:00-17:00` or `Mon,Wed 09:00-12:00,13:00-17:00; Thu 22:00-06:00`"
DAY = timedelta(days=1)
SATURDAY = 5  #: as `date.weekday` counts
WEEKDAYS_A_WEEK = 5  #: Monday to Friday
DAY_MINUTES = 24 * 60
#: A search for a working day gives up after this many days. Working hours and holidays never leave a gap this long.
MAX_SEARCH_DAYS = 400

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")


# --- text format of working hours -------------------------------------------------------------------------------------


def parse_hours(text: str) -> WorkingHours:
    """Parse working hours such as `Mon-Fri 09:00-17:00`.

    Rules are separated by `;`. Each rule names its days and then its spells, both separated by `,`. A spell whose end
    is not later than its start ends on the next day. Raises ValueError with the problem and an example.
    """
    week: list[list[tuple[int, int]]] = [[] for _ in SHORT_DAY_NAMES]
    for rule in filter(None, (part.strip() for part in text.replace("–", "-").split(";"))):
        match = re.fullmatch(r"([^\d]+?)\s+(\d.*)", rule)
        if not match:
            _refuse(f"`{rule}` is not days followed by times")
        spells = [_parse_spell(part.strip()) for part in match[2].split(",")]
        for index in _parse_days(match[1]):
            week[index] += spells
    if not any(week):
        _refuse("no working hours are given")
    _refuse_overlaps(week)
    return WorkingHours(cast(tuple[Spells, Spells, Spells, Spells, Spells, Spells, Spells], _sort_week(week)))


def format_hours(hours: WorkingHours) -> str:
    """Return the hours in the format of `parse_hours`. Days with the same spells share one rule."""
    rules: dict[Spells, list[int]] = {}
    for index, day in enumerate(hours.week):
        if day:
            rules.setdefault(day, []).append(index)
    return "; ".join(
        f"{_format_days(days)} {','.join(f'{format_clock(start)}-{_format_end(end)}' for start, end in spells)}"
        for spells, days in rules.items()
    )


def format_clock(minute: int) -> str:
    """Return minutes after midnight in the form `09:00`. Minutes from 1440 on are times of the next day."""
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def measure_clock_distance(minute: int, other_minute: int) -> int:
    """Return the shorter distance of two times of day on a 24-hour clock, in minutes: 720 at most."""
    half_day = DAY_MINUTES // 2
    return abs((minute - other_minute + half_day) % DAY_MINUTES - half_day)


def _format_end(minute: int) -> str:
    """Return the end of a spell as text: midnight is `24:00`, so that the end is visibly after the start."""
    return "24:00" if minute == DAY_MINUTES else format_clock(minute)


def _refuse(problem: str) -> NoReturn:
    """Raise ValueError with the problem and an example."""
    raise ValueError(f"Working hours: {problem}. Write for example {HOURS_EXAMPLE}.")


def _sort_week(week: Sequence[Sequence[tuple[int, int]]]) -> tuple[Spells, ...]:
    return tuple(tuple(sorted(day)) for day in week)


def _parse_days(text: str) -> Iterator[int]:
    """Yield the weekdays of a text such as `Mon-Wed,Fri`, where 0 is Monday."""
    for part in text.split(","):
        first, dash, last = (name.strip() for name in part.partition("-"))
        first_index = _parse_day(first)
        days_after = (_parse_day(last) - first_index) % 7 if dash else 0
        yield from ((first_index + step) % 7 for step in range(days_after + 1))


def _parse_day(name: str) -> int:
    """Return the weekday of a name such as `Mon` or `Monday`, where 0 is Monday."""
    short_name = name[:3].title()
    weekday = SHORT_DAY_NAMES.index(short_name) if short_name in SHORT_DAY_NAMES else None
    if weekday is None or not WEEKDAY_NAMES[weekday].lower().startswith(name.lower()):
        _refuse(f"`{name}` is not a day; days are {', '.join(SHORT_DAY_NAMES)}")
    return weekday


def _parse_spell(text: str) -> tuple[int, int]:
    """Return the start and the end of a text such as `09:00-17:00`, in minutes after midnight of the first day."""
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        _refuse(f"`{text}` is not a start and an end")
    start, end = _parse_minute(first), _parse_minute(last)
    if start == DAY_MINUTES:
        _refuse(f"`{text}` starts at 24:00; write 00:00 of the next day")
    return start, end if end > start else end + DAY_MINUTES


def _parse_minute(text: str) -> int:
    """Return the minutes after midnight of a text such as `09:00`. Raises ValueError for anything else."""
    match = _CLOCK.fullmatch(text)
    if not match or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > DAY_MINUTES:
        _refuse(f"`{text}` is not a time of day between 00:00 and 24:00")
    return int(match[1]) * 60 + int(match[2])


def _refuse_overlaps(week: Sequence[Sequence[tuple[int, int]]]) -> None:
    """Raise ValueError when spells overlap. A spell may run into the next day, and a spell of Sunday into Monday."""
    spells = sorted(
        (index * DAY_MINUTES + start, index * DAY_MINUTES + end) for index, day in enumerate(week) for start, end in day
    )
    # The first spell of the following week is added, so that the last spell of this week is compared with it.
    spells.append((spells[0][0] + 7 * DAY_MINUTES, spells[0][1] + 7 * DAY_MINUTES))
    for (start, end), (next_start, _) in pairwise(spells):
        if next_start < end:
            first, second = (
                f"{SHORT_DAY_NAMES[minute // DAY_MINUTES % 7]} {format_clock(minute)}" for minute in (start, next_start)
            )
            _refuse(f"the spells starting {first} and {second} overlap")


def _format_days(days: Sequence[int]) -> str:
    """Return weekdays in order as text: days in a row become a range, such as `Mon-Wed,Fri`."""
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    names = [(SHORT_DAY_NAMES[run[0]], SHORT_DAY_NAMES[run[-1]]) for run in runs]
    return ",".join(first if first == last else f"{first}-{last}" for first, last in names)


# --- wall clocks ----------------------------------------------------------------------------------------------------


def wall_to_utc(zone: str, day: date, minute: int) -> datetime:
    """Return the UTC instant at which clocks in `zone` show `minute` minutes after the midnight at which `day` begins.

    `minute` may be 1440 or more. A time that the clocks skip becomes the first instant after the gap, whatever its
    length (Pacific/Apia skipped the whole of 2011-12-30). Of a time that the clocks show twice, the first is returned.
    """
    tz = ZoneInfo(zone)
    wall_time = datetime.combine(day, time()) + timedelta(minutes=minute)
    instant = wall_time.replace(tzinfo=tz).astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == wall_time:
        return instant
    # The wall time lies in a gap. With fold=0, the UTC offset before the gap gave an instant after the gap. With
    # fold=1, the offset after the gap gives an instant before the gap.
    return _find_end_of_gap(tz, wall_time.replace(tzinfo=tz, fold=1).astimezone(UTC), instant)


def find_midnight(zone: str, day: date) -> datetime:
    """Return the UTC instant at which `day` begins in `zone`. It is later than 00:00 when the clocks skip that."""
    return wall_to_utc(zone, day, 0)


def _find_end_of_gap(tz: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the first second with the new UTC offset by bisection, between `before` (old offset) and `after` (new)."""
    offset = after.astimezone(tz).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(tz).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def get_local_date(zone: str, instant: datetime) -> date:
    """Return the date in `zone` at that instant."""
    return instant.astimezone(ZoneInfo(zone)).date()


# --- public holidays ------------------------------------------------------------------------------------------------


def find_holiday(country: str, day: date) -> str | None:
    """Return the name of the public holiday on that day; None on other days.

    The name is in English where the `holidays` package has a translation. Raises ValueError when the country is
    unknown (see `is_known_country`).
    """
    return _load_holidays(country, day.year).get(day)


def is_known_country(country: str) -> bool:
    """Return whether public holidays are known for a country such as `DE` or a subdivision such as `DE-BY`."""
    code, _, subdivision = country.partition("-")
    subdivisions = _list_countries().get(code)
    return subdivisions is not None and (subdivision in subdivisions if "-" in country else True)


@lru_cache(maxsize=1)
def _list_countries() -> dict[str, list[str]]:
    """Return the subdivisions of each country, by the country's code."""
    import holidays  # imported here because the package is slow to import

    return holidays.list_supported_countries(include_aliases=True)


@lru_cache(maxsize=1024)
def _load_holidays(country: str, year: int) -> dict[date, str]:
    """Return the names of the public holidays of that year by date. Raises ValueError for an unknown country."""
    if not is_known_country(country):
        raise ValueError(f"No public holidays are known for `{country}`. Write for example `DE` or `DE-BY`.")
    import holidays

    code, _, subdivision = country.partition("-")
    calendar = holidays.country_holidays(
        code, subdiv=subdivision or None, years=year, expand=False, language="en_US", categories=("public",)
    )
    return dict(calendar.items())


# --- spells and working days ----------------------------------------------------------------------------------------


def is_working_day(person: Person, day: date) -> bool:
    """Return whether a spell of the person starts on that day in the person's zone."""
    return bool(list_spells(person, day))


def list_spells(person: Person, day: date) -> tuple[Span, ...]:
    """Return the spells that start on that day in the person's zone, in order. A public holiday has none."""
    return compute_spells(person.hours, person.zone, person.country, day)


@lru_cache(maxsize=32768)
def compute_spells(hours: WorkingHours, zone: str, country: str, day: date) -> tuple[Span, ...]:
    """Compute `list_spells`. The result is cached for all people with the same hours, zone and country."""
    spells = hours.week[day.weekday()]
    if not spells or find_holiday(country, day):
        return ()
    spans = (Span(wall_to_utc(zone, day, start), wall_to_utc(zone, day, end)) for start, end in spells)
    return tuple(span for span in spans if span.start < span.end)  # a spell in an hour that the clocks skip is empty


def list_working_spans(person: Person, window: Span) -> tuple[Span, ...]:
    """Return the person's spells, clipped to `window`, in order."""
    # The night shift of the day before the window may run into it.
    first, last = get_local_date(person.zone, window.start) - DAY, get_local_date(person.zone, window.end)
    clipped = (
        (max(span.start, window.start), min(span.end, window.end))
        for day in _iterate_days(first, last)
        for span in list_spells(person, day)
    )
    return tuple(Span(start, end) for start, end in clipped if start < end)


def is_working_time(person: Person, span: Span) -> bool:
    """Return whether the whole span lies in the person's working hours."""
    working_time = sum((spell.end - spell.start for spell in list_working_spans(person, span)), timedelta())
    return working_time == span.end - span.start


def add_working_days(person: Person, day: date, count: int) -> date:
    """Return the `count`-th working day of the person after `day`, or before it when `count` is negative.

    `day` itself is not counted; when `count` is 0, it is returned as it is. Raises ValueError when 400 days in a row
    are no working days.
    """
    step = DAY if count > 0 else -DAY
    for _ in range(abs(count)):
        for _ in range(MAX_SEARCH_DAYS):
            day += step
            if is_working_day(person, day):
                break
        else:
            raise ValueError(f"there is no working day in the {MAX_SEARCH_DAYS} days up to {day}")
    return day


def add_weekdays(day: date, count: int) -> date:
    """Return the `count`-th weekday (Monday to Friday) after `day`, or before it when `count` is negative.

    When `count` is 0, `day` is returned as it is. Distances between sessions are counted in weekdays, regardless of the
    working hours and holidays of the two people (T-10, T-13).
    """
    if count == 0:
        return day
    weekday = day.weekday()
    if weekday >= SATURDAY:
        # Count forward from the Friday before the weekend, and backward from the Monday after it.
        nearest = SATURDAY - 1 if count > 0 else 7
        day, weekday = day + (nearest - weekday) * DAY, nearest % 7
    weeks, index = divmod(weekday + count, WEEKDAYS_A_WEEK)
    return day + timedelta(days=7 * weeks + index - weekday)


def _iterate_days(first: date, last: date) -> Iterator[date]:
    """Yield the days from `first` to `last`, both included."""
    for step in range((last - first).days + 1):
        yield first + timedelta(days=step)
