"""Absences: what calendars told of them, and the first days after a long one, on which nobody has a session (T-16)."""

from collections.abc import Iterator, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta

from worker.domain.model import (
    Address,
    FreeBusy,
    FreeBusySnapshot,
    PairState,
    Person,
    Span,
    merge_spans,
)
from worker.domain.time.worktime import DAY, SATURDAY, add_working_days, get_local_date, list_spells

#: An absence of at least this many days, Monday to Friday, is a long one…
LONG_ABSENCE = 10
#: … and this many working days of the person after it stay free of sessions.
DAYS_AFTER_ABSENCE = 2
#: How far back calendars are read: an absence that is just long enough, and the days after it of somebody who works one
#: day a week, take this long.
_READ_BACK = timedelta(weeks=4)
#: How long an absence is remembered after its end.
AWAY_MEMORY = timedelta(days=60)


def update_away(
    state: PairState, snapshot: FreeBusySnapshot, now: datetime
) -> tuple[PairState, dict[Address, tuple[Span, ...]]]:
    """Return the state with the out of office that calendars just told of the two, and of whom it changed (T-16).

    Inside the window that was read the calendar is right; outside it, what was known stays until AWAY_MEMORY after its
    end: mails that follow a conversation count working days from it on (T-7).
    """
    changes: dict[Address, tuple[Span, ...]] = {}
    for person in (state.manager, state.report):
        window, free_busy = snapshot.windows.get(person.email), snapshot.free_busy.get(person.email)
        if window is None or free_busy is None or not free_busy.known:
            continue
        spans = [span.clip(window) for span in free_busy.away]
        for span in person.away:
            spans += [Span(span.start, min(span.end, window.start))] if span.start < window.start else []
            spans += [Span(max(span.start, window.end), span.end)] if window.end < span.end else []
        away = merge_spans(span for span in spans if span.end > now - AWAY_MEMORY and span.start < span.end)
        if away != person.away:
            changes[person.email] = away
    if not changes:
        return state, changes
    manager, report = (
        replace(person, away=changes.get(person.email, person.away)) for person in (state.manager, state.report)
    )
    return replace(state, manager=manager, report=report), changes


def find_reading_start(now: datetime, earliest: datetime) -> datetime:
    """Return from when on calendars are read to place a session that begins at `earliest` or later.

    That is now or, where an absence that began before may matter, some weeks ago (T-16).
    """
    return now - _READ_BACK if earliest < now + _READ_BACK else now


def list_days_after_absence(person: Person, known: FreeBusy) -> Iterator[date]:
    """Yield the person's first two working days after each absence of ten days and more, Monday to Friday, as far as
    the free/busy shows it. A day off between two absences belongs to them."""
    for last in _list_last_days(person, known.away):
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
