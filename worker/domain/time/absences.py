"""The first days after a long absence, on which nobody has a session (T-16)."""

from collections.abc import Iterator, Sequence
from datetime import date, timedelta

from worker.domain.model import FreeBusy, Person, ShowAs, Span
from worker.domain.time.worktime import SATURDAY, add_working_days, get_local_date, list_spells

#: An absence of so many days, Monday to Friday, is a long one…
LONG_ABSENCE = 10
#: … and the first days after it, so many working days of that person, stay free of sessions.
DAYS_AFTER_ABSENCE = 2
DAY = timedelta(days=1)


def list_days_after_absence(person: Person, known: FreeBusy) -> Iterator[date]:
    """Yield the person's first two working days after each absence of ten days and more, Monday to Friday, as far as
    the free/busy shows it. A day off between two absences belongs to them."""
    for last in _list_last_days(person, [busy.span for busy in known.busy if busy.show is ShowAs.AWAY]):
        yield from (add_working_days(person, last, n + 1) for n in range(DAYS_AFTER_ABSENCE))


def _list_last_days(person: Person, away: Sequence[Span]) -> Iterator[date]:
    """Yield the last day of each long absence."""
    if not away:
        return
    day = get_local_date(person.zone, min(span.start for span in away))
    end = get_local_date(person.zone, max(span.end for span in away))
    length = 0
    while day <= end or length:
        is_absent = day <= end and _is_absent(person, day, away)
        if is_absent:
            length += day.weekday() < SATURDAY
        elif length >= LONG_ABSENCE:
            yield day - DAY
        length = length if is_absent else 0
        day += DAY


def _is_absent(person: Person, day: date, away: Sequence[Span]) -> bool:
    """Whether the person is away in all working hours of that day; a day without any does not end an absence."""
    spells = list_spells(person, day)
    return all(any(span.start <= spell.start and spell.end <= span.end for span in away) for spell in spells)
