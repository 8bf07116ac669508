"""Mail hours: the times at which a mail may reach a person (T-16). They are working hours without absences.

In this module, a working day is a day of the person with at least some mail hours. Absences are those in
`Person.absences`, as the calendar reported them when it was last read. Whether a day is a working day can therefore
change later.
"""

from collections.abc import Iterator
from datetime import date, datetime, timedelta
from functools import lru_cache

from worker.domain.model import Person, Span
from worker.domain.time.worktime import DAY, MAX_SEARCH_DAYS, get_local_date, list_spells


@lru_cache(maxsize=1 << 15)
def list_mail_spans(person: Person, day: date) -> tuple[Span, ...]:
    """Return the mail hours that begin on that day in the person's zone, in order. Public holidays have none."""
    spans = list_spells(person, day)
    for absence in person.absences:
        spans = tuple(part for span in spans for part in _subtract_absence(span, absence))
    return spans


def _subtract_absence(span: Span, absence: Span) -> Iterator[Span]:
    """Yield the parts of the span that lie before and after the absence."""
    if not span.overlaps(absence):
        yield span
        return
    if span.start < absence.start:
        yield Span(span.start, absence.start)
    if absence.end < span.end:
        yield Span(absence.end, span.end)


def find_mail_hours_start(person: Person, day: date) -> datetime | None:
    """Return the instant at which mail hours begin on that day; None when the day is not a working day."""
    return next((span.start for span in list_mail_spans(person, day)), None)


def find_next_mail_time(person: Person, instant: datetime, limit: datetime | None = None) -> datetime | None:
    """Return the first instant, from `instant` (included) to `limit` (excluded), at which a mail may reach the person.

    Return None when there is no such instant, or none within 400 days.
    """
    # One day is added because the mail hours are listed from the day before `instant`, and two days because the
    # difference is rounded down and the clocks may change in between.
    days = MAX_SEARCH_DAYS if limit is None else (limit - instant).days + 3
    for span in _list_spans_from(person, instant, days):
        if span.end > instant:
            mail_time = max(span.start, instant)
            return mail_time if limit is None or mail_time < limit else None
    return None


def list_mail_times(person: Person, instant: datetime, limit: datetime) -> Iterator[datetime]:
    """Yield the instants before `limit` at which a mail may reach the person, one for each working day.

    The first is the next such instant from `instant` on. The others are the starts of later working days.
    """
    mail_time = find_next_mail_time(person, instant, limit)
    while mail_time is not None and mail_time < limit:
        yield mail_time
        mail_time = find_working_day_start_after(person, get_local_date(person.zone, mail_time))


def list_last_mail_times(
    person: Person, after: datetime, before: datetime, time_to_act: timedelta
) -> tuple[datetime, ...]:
    """Return, for each working day, the last instant between `after` and `before` at which a mail may reach the person.

    The last day comes first. Each instant leaves `time_to_act` before the day's mail hours end or, on a day whose last
    hours are shorter, lies at their start.
    """
    # The day before `after` is included, because its night shift may still go on at `after`.
    days = (get_local_date(person.zone, before) - get_local_date(person.zone, after)).days + 1
    mail_times: list[datetime] = []
    for step in range(days + 1):
        spans = list_mail_spans(person, get_local_date(person.zone, before) - timedelta(days=step))
        possible_spans = [span for span in spans if span.start <= before and span.end > after]
        if possible_spans:
            last_span = possible_spans[-1]
            mail_times.append(min(before, max(last_span.end - time_to_act, last_span.start, after)))
    return tuple(mail_times)


def list_day_starts_backwards(person: Person, day: date) -> Iterator[tuple[int, datetime]]:
    """Yield, for each working day from `day` backwards, its distance from `day` in days and the start of its hours."""
    for distance in range(MAX_SEARCH_DAYS):
        start = find_mail_hours_start(person, day - timedelta(days=distance))
        if start is not None:
            yield distance, start


def find_working_day_start_after(person: Person, day: date, count: int = 1) -> datetime | None:
    """Return the start of the `count`-th working day after `day`; None when the next 400 days have fewer.

    `count` is at least 1.
    """
    working_days_left = count
    for days in range(1, MAX_SEARCH_DAYS + 1):
        start = find_mail_hours_start(person, day + timedelta(days=days))
        if start is not None:
            working_days_left -= 1
        if working_days_left == 0:
            return start
    return None


def count_mail_days(person: Person, first: date, last: date) -> int:
    """Count the working days after the earlier of the two dates, up to the later date (included)."""
    first, last = sorted((first, last))
    days = (first + timedelta(days=distance) for distance in range(1, (last - first).days + 1))
    return sum(bool(list_mail_spans(person, day)) for day in days)


def _list_spans_from(person: Person, instant: datetime, days: int) -> Iterator[Span]:
    """Yield the mail hours of `days` + 1 days in order, from the day before `instant` on.

    The day before is included because its night shift may still go on at `instant`.
    """
    first = get_local_date(person.zone, instant) - DAY
    for step in range(days + 1):
        yield from list_mail_spans(person, first + timedelta(days=step))
