"""Working time: the format of working hours, wall clocks, public holidays and working days.

`wall_to_utc` is the only place that turns a time on the wall clock into an instant, so that summer time, a zone that
moves by half an hour and a zone that skips a whole day are handled once. A spell is a stretch of working time without
a break. It belongs to the day on which it starts: a Friday night shift is Friday's, even when Saturday is a holiday.
"""

import re
from collections.abc import Iterator, Sequence
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from itertools import pairwise
from typing import NoReturn, cast
from zoneinfo import ZoneInfo

from worker.domain.model import Person, Span, Spells, WorkingHours

DAY_NAMES = ("Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun")
WEEKDAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
HOURS_EXAMPLE = "`Mon-Fri 09:00-17:00` or `Mon,Wed 09:00-12:00,13:00-17:00; Thu 22:00-06:00`"
DAY = timedelta(days=1)
SATURDAY = 5  #: as `date.weekday` counts
WEEKDAYS_A_WEEK = 5
DAY_MINUTES = 1440
#: Days after which a search for a working day gives up: working hours and holidays leave no such gap.
MAX_SEARCH_DAYS = 400

_CLOCK = re.compile(r"(\d{1,2}):(\d{2})")


# --- format of working hours -------------------------------------------------------------------------------------


def parse_hours(text: str) -> WorkingHours:
    """Parse `Mon-Fri 09:00-17:00`: rules separated by `;`, each with its days and its spells, separated by `,`.

    A spell that ends at or before its start ends the next morning. Raises ValueError with what is wrong and an
    example.
    """
    week: list[list[tuple[int, int]]] = [[] for _ in DAY_NAMES]
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
    """Return the hours in the format of `parse_hours`; days with the same spells share a rule."""
    rules: dict[Spells, list[int]] = {}
    for index, day in enumerate(hours.week):
        if day:
            rules.setdefault(day, []).append(index)
    return "; ".join(
        f"{_format_days(days)} {','.join(f'{format_clock(start)}-{_format_end(end)}' for start, end in spells)}"
        for spells, days in rules.items()
    )


def format_clock(minute: int) -> str:
    """Return minutes after midnight as `09:00`; 1440 and more are times of the next day."""
    return f"{minute // 60 % 24:02}:{minute % 60:02}"


def _format_end(minute: int) -> str:
    return "24:00" if minute == DAY_MINUTES else format_clock(minute)


def _refuse(problem: str) -> NoReturn:
    raise ValueError(f"Working hours: {problem}. Write for example {HOURS_EXAMPLE}.")


def _sort_week(week: Sequence[Sequence[tuple[int, int]]]) -> tuple[Spells, ...]:
    return tuple(tuple(sorted(day)) for day in week)


def _parse_days(text: str) -> Iterator[int]:
    for part in text.split(","):
        first, dash, last = (name.strip() for name in part.partition("-"))
        first_index = _parse_day(first)
        days_after = (_parse_day(last) - first_index) % 7 if dash else 0
        yield from ((first_index + step) % 7 for step in range(days_after + 1))


def _parse_day(name: str) -> int:
    short = name[:3].title()
    if short not in DAY_NAMES or not WEEKDAYS[DAY_NAMES.index(short)].lower().startswith(name.lower()):
        _refuse(f"`{name}` is not a day; days are {', '.join(DAY_NAMES)}")
    return DAY_NAMES.index(short)


def _parse_spell(text: str) -> tuple[int, int]:
    first, dash, last = (part.strip() for part in text.partition("-"))
    if not dash:
        _refuse(f"`{text}` is not a start and an end")
    start, end = _parse_minute(first), _parse_minute(last)
    if start == DAY_MINUTES:
        _refuse(f"`{text}` starts at 24:00; write 00:00 of the next day")
    return start, end if end > start else end + DAY_MINUTES


def _parse_minute(text: str) -> int:
    match = _CLOCK.fullmatch(text)
    if not match or int(match[2]) > 59 or int(match[1]) * 60 + int(match[2]) > DAY_MINUTES:
        _refuse(f"`{text}` is not a time of day between 00:00 and 24:00")
    return int(match[1]) * 60 + int(match[2])


def _refuse_overlaps(week: Sequence[Sequence[tuple[int, int]]]) -> None:
    """Raise ValueError when spells overlap. A spell may run on into the next day, and one of Sunday into Monday."""
    spells = sorted(
        (index * DAY_MINUTES + start, index * DAY_MINUTES + end) for index, day in enumerate(week) for start, end in day
    )
    spells.append((spells[0][0] + 7 * DAY_MINUTES, spells[0][1] + 7 * DAY_MINUTES))
    for (start, end), (next_start, _) in pairwise(spells):
        if next_start < end:
            first, second = (f"{DAY_NAMES[at // DAY_MINUTES % 7]} {format_clock(at)}" for at in (start, next_start))
            _refuse(f"the spells starting {first} and {second} overlap")


def _format_days(days: Sequence[int]) -> str:
    runs: list[list[int]] = []
    for day in days:
        if runs and runs[-1][-1] == day - 1:
            runs[-1].append(day)
        else:
            runs.append([day])
    return ",".join(DAY_NAMES[run[0]] if len(run) == 1 else f"{DAY_NAMES[run[0]]}-{DAY_NAMES[run[-1]]}" for run in runs)


# --- wall clocks ----------------------------------------------------------------------------------------------------


def wall_to_utc(zone: str, day: date, minute: int) -> datetime:
    """Return the UTC instant at which the clocks of `zone` show `minute` minutes after the midnight that begins `day`.

    `minute` may be 1440 or more. A time the clocks skip becomes the first instant after the gap, however long the
    gap (Pacific/Apia skipped the whole of 2011-12-30); a time they show twice is the first of the two.
    """
    tz = ZoneInfo(zone)
    naive = datetime.combine(day, time()) + timedelta(minutes=minute)
    instant = naive.replace(tzinfo=tz).astimezone(UTC)
    if instant.astimezone(tz).replace(tzinfo=None) == naive:
        return instant
    return _find_end_of_gap(tz, naive.replace(tzinfo=tz, fold=1).astimezone(UTC), instant)


def _find_end_of_gap(tz: ZoneInfo, before: datetime, after: datetime) -> datetime:
    """Return the first second with the new offset, given an instant with the old one and one with the new."""
    offset = after.astimezone(tz).utcoffset()
    while after - before > timedelta(seconds=1):
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if middle.astimezone(tz).utcoffset() == offset:
            after = middle
        else:
            before = middle
    return after


def get_local_date(zone: str, now: datetime) -> date:
    """Return the date in `zone` at that instant."""
    return now.astimezone(ZoneInfo(zone)).date()


# --- public holidays ------------------------------------------------------------------------------------------------


def find_holiday(country: str, day: date) -> str | None:
    """Return the name of the public holiday, in English where `holidays` has it; None on other days.

    Raises ValueError when `is_known_country` is false for the country.
    """
    return _load_holidays(country, day.year).get(day)


def is_known_country(country: str) -> bool:
    """True when public holidays are known for a country such as `DE` or a subdivision such as `DE-BY`."""
    code, _, subdivision = country.partition("-")
    subdivisions = _list_countries().get(code)
    return subdivisions is not None and (subdivision in subdivisions if "-" in country else True)


@lru_cache(maxsize=1)
def _list_countries() -> dict[str, list[str]]:
    """Return the subdivisions of each country, by the country's code."""
    import holidays

    return holidays.list_supported_countries(include_aliases=True)


@lru_cache(maxsize=1024)
def _load_holidays(country: str, year: int) -> dict[date, str]:
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
    """True when a spell starts on that day in the person's zone."""
    return bool(list_spells(person, day))


def list_spells(person: Person, day: date) -> tuple[Span, ...]:
    """Return the spells that start on that local day, in order; none on a public holiday."""
    return compute_spells(person.hours, person.zone, person.country, day)


@lru_cache(maxsize=32768)
def compute_spells(hours: WorkingHours, zone: str, country: str, day: date) -> tuple[Span, ...]:
    """Return what `list_spells` does, cached for all people with the same hours, zone and country."""
    spells = hours.week[day.weekday()]
    if not spells or find_holiday(country, day):
        return ()
    spans = (Span(wall_to_utc(zone, day, start), wall_to_utc(zone, day, end)) for start, end in spells)
    return tuple(span for span in spans if span.start < span.end)


def list_working_spans(person: Person, window: Span) -> tuple[Span, ...]:
    """Return the person's spells, clipped to `window`, in order."""
    clipped = (
        (max(span.start, window.start), min(span.end, window.end))
        for day in _iterate_days(_get_day_before(person, window.start), get_local_date(person.zone, window.end))
        for span in list_spells(person, day)
    )
    return tuple(Span(start, end) for start, end in clipped if start < end)


def is_working_time(person: Person, span: Span) -> bool:
    """True when all of the span lies in the person's working hours."""
    working_time = sum((spell.end - spell.start for spell in list_working_spans(person, span)), timedelta())
    return working_time == span.end - span.start


def find_last_working_moment(person: Person, after: datetime, before: datetime) -> datetime | None:
    """Return the last instant from `after` to `before`, both included, in a spell or at its end; None if none is."""
    day, first = get_local_date(person.zone, before), _get_day_before(person, after)
    while day >= first:
        for span in reversed(list_spells(person, day)):
            if span.start <= before and span.end >= after:
                return min(span.end, before)
        day -= DAY
    return None


def add_working_days(person: Person, day: date, count: int) -> date:
    """Return the `count`-th working day after `day` (before it when negative), `day` itself not counted; 0 is `day`.

    Raises ValueError when 400 days pass without a working day.
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
    """Return the `count`-th day from Monday to Friday after `day` (before it when negative); 0 is `day` itself.

    Distances between conversations are counted in these days, whatever the week of the two people (T-10, T-13).
    """
    weekday = day.weekday()
    if count and weekday >= SATURDAY:  # of a weekend, its Friday or the Monday after it
        nearest = SATURDAY - 1 if count > 0 else 7
        day, weekday = day + (nearest - weekday) * DAY, nearest % 7
    weeks, index = divmod(weekday + count, WEEKDAYS_A_WEEK)
    return day + timedelta(days=7 * weeks + index - weekday) if count else day


def _get_day_before(person: Person, instant: datetime) -> date:
    """Return the local date before that of `instant`: a night shift that covers `instant` may have started on it."""
    return get_local_date(person.zone, instant) - DAY


def _iterate_days(first: date, last: date) -> Iterator[date]:
    for step in range((last - first).days + 1):
        yield first + timedelta(days=step)
