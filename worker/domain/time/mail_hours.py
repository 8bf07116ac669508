"""The hours in which mails reach people (T-16): working hours, less what is known of out of office.

A working day for mails is a day on which a person works, with working time that out of office leaves free. Out of
office is what calendars told when they were last read (`Person.away`), so a day may turn out to be one only later.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache

from worker.domain.model import Person, Span
from worker.domain.time.worktime import DAY, MAX_SEARCH_DAYS, get_local_date, list_spells


@lru_cache(maxsize=1 << 15)
def list_mail_spans(person: Person, day: date) -> tuple[Span, ...]:
    """Return the working time that begins on that local day, in order; without holidays and out of office."""
    spans = list_spells(person, day)
    for away in person.away:
        spans = tuple(part for span in spans for part in _subtract(span, away))
    return spans


def _subtract(span: Span, away: Span) -> Iterator[Span]:
    """Yield what is left of a span."""
    if not span.overlaps(away):
        yield span
        return
    if span.start < away.start:
        yield Span(span.start, away.start)
    if away.end < span.end:
        yield Span(away.end, span.end)


def find_day_start(person: Person, day: date) -> datetime | None:
    """Return the start of that working day; None when it is no working day for mails."""
    return next((span.start for span in list_mail_spans(person, day)), None)


def is_mail_time(person: Person, instant: datetime) -> bool:
    """True when a mail may reach the person at that instant; the end of working hours is no such instant."""
    return any(span.start <= instant < span.end for span in _list_spans_from(person, instant, 2))


def find_next_mail_time(person: Person, instant: datetime, limit: datetime | None = None) -> datetime | None:
    """Return the first instant from `instant` up to, not including, `limit` at which a mail may reach the person.

    None when there is none, or none within 400 days.
    """
    days = MAX_SEARCH_DAYS if limit is None else (limit - instant).days + 3
    for span in _list_spans_from(person, instant, days):
        if span.end > instant:
            found = max(span.start, instant)
            return found if limit is None or found < limit else None
    return None


def list_mail_times(person: Person, instant: datetime, limit: datetime) -> Iterator[datetime]:
    """Yield the next instant at which a mail may reach the person, and the starts of the working days after its day, up
    to, not including, `limit`."""
    found = find_next_mail_time(person, instant, limit)
    while found is not None and found < limit:
        yield found
        found = find_following_day_start(person, get_local_date(person.zone, found))


def list_last_mail_times(person: Person, after: datetime, before: datetime, rest: timedelta) -> tuple[datetime, ...]:
    """Return, of each working day, the last instant from `after` to `before` at which a mail may reach the person, the
    last day first. It leaves `rest` of the working time of that day's last span, where there is so much of it."""
    days = (get_local_date(person.zone, before) - get_local_date(person.zone, after)).days + 1
    found: list[datetime] = []
    for step in range(days + 1):
        spans = list_mail_spans(person, get_local_date(person.zone, before) - timedelta(days=step))
        possible = [span for span in spans if span.start <= before and span.end > after]
        if possible:
            last = possible[-1]
            found.append(min(before, max(last.end - rest, last.start, after)))
    return tuple(found)


def list_day_starts_before(person: Person, day: date) -> Iterator[tuple[int, datetime]]:
    """Yield the starts of the working days up to and with `day`, the last first, each after its distance in days."""
    for days in range(MAX_SEARCH_DAYS):
        start = find_day_start(person, day - timedelta(days=days))
        if start is not None:
            yield days, start


def find_following_day_start(person: Person, day: date, count: int = 1) -> datetime | None:
    """Return the start of the `count`-th working day after that local day; None when 400 days don't have so many."""
    for days in range(1, MAX_SEARCH_DAYS):
        start = find_day_start(person, day + timedelta(days=days))
        count -= start is not None
        if count == 0:
            return start
    return None


def count_mail_days(person: Person, first: date, last: date) -> int:
    """Count the working days after the one date, up to and with the other, whichever comes first."""
    first, last = sorted((first, last))
    return sum(bool(list_mail_spans(person, first + timedelta(days=n))) for n in range(1, (last - first).days + 1))


def _list_spans_from(person: Person, instant: datetime, days: int) -> Iterator[Span]:
    """Yield the spans of so many days from the one before: a night shift of then may still go on."""
    first = get_local_date(person.zone, instant) - DAY
    for step in range(days + 1):
        yield from list_mail_spans(person, first + timedelta(days=step))
