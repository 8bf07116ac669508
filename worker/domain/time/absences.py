"""Absences: the out-of-office times that calendars report, and the working days right after a long absence.

No session is placed on those working days, so that people can catch up first (T-16).
"""

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

#: An absence of at least this many days, counted Monday to Friday, is a long absence.
LONG_ABSENCE_DAYS = 10
#: The number of working days after a long absence on which the person gets no session.
DAYS_AFTER_ABSENCE = 2
#: How far back free/busy is read. This covers the shortest long absence (two weeks) and the two working days after it,
#: even of a person who works one day a week.
_READ_BACK = timedelta(weeks=4)
#: How long an absence stays in `Person.absences` after its end.
_KEPT_AFTER_END = timedelta(days=60)


def update_absences(
    state: PairState, snapshot: FreeBusySnapshot, now: datetime
) -> tuple[PairState, dict[Address, tuple[Span, ...]]]:
    """Return the state with the absences of both people updated from the snapshot.

    Also return, by address, the new absences of each person whose absences changed.

    In the time that the snapshot covers, the calendar replaces the stored absences. Any other stored absence is kept
    until `_KEPT_AFTER_END` after its end: the mails after a conversation are due after a number of working days, and
    the days of an absence are not counted (T-7, T-16).
    """
    changes: dict[Address, tuple[Span, ...]] = {}
    for person in (state.manager, state.report):
        window, free_busy = snapshot.windows.get(person.email), snapshot.free_busy.get(person.email)
        if window is None or free_busy is None or not free_busy.is_known:
            continue
        spans = [span.clip(window) for span in free_busy.absences]
        for span in person.absences:
            spans += _list_parts_outside(span, window)
        absences = merge_spans(span for span in spans if span.end > now - _KEPT_AFTER_END and span.start < span.end)
        if absences != person.absences:
            changes[person.email] = absences
    if not changes:
        return state, changes
    manager, report = (
        replace(person, absences=changes.get(person.email, person.absences)) for person in (state.manager, state.report)
    )
    return replace(state, manager=manager, report=report), changes


def _list_parts_outside(span: Span, window: Span) -> Iterator[Span]:
    """Yield the parts of the span that lie before and after the window."""
    if span.start < window.start:
        yield Span(span.start, min(span.end, window.start))
    if window.end < span.end:
        yield Span(max(span.start, window.end), span.end)


def find_free_busy_start(now: datetime, earliest: datetime) -> datetime:
    """Return the start of the free/busy that is needed to place a session that begins at `earliest` or later.

    The start is usually `now`. For a session that may begin within four weeks, the start is four weeks before `now`: a
    long absence that has begun already may affect such a session (T-16).
    """
    return now - _READ_BACK if earliest < now + _READ_BACK else now


def list_days_after_absence(person: Person, free_busy: FreeBusy) -> Iterator[date]:
    """Yield the person's first two working days after each long absence in the free/busy.

    Two absences with only days without working hours between them count as one absence.
    """
    for last_day in _list_last_days(person, free_busy.absences):
        yield from (add_working_days(person, last_day, count) for count in range(1, DAYS_AFTER_ABSENCE + 1))


def _list_last_days(person: Person, away: Sequence[Span]) -> Iterator[date]:
    """Yield the last day of each long absence, in the person's zone."""
    if not away:
        return
    day = get_local_date(person.zone, min(span.start for span in away))
    last_day = get_local_date(person.zone, max(span.end for span in away))
    weekday_count = 0  # the weekdays so far of the absence that contains the day before `day`
    # The person is present on every day after `last_day`, so that one more round ends an absence that lasts until then.
    while day <= last_day or weekday_count:
        if day <= last_day and _is_absent(person, day, away):
            weekday_count += int(day.weekday() < SATURDAY)
        else:
            if weekday_count >= LONG_ABSENCE_DAYS:
                yield day - DAY
            weekday_count = 0
        day += DAY


def _is_absent(person: Person, day: date, away: Sequence[Span]) -> bool:
    """Return whether the person is out of office in all working hours of that day.

    A day without working hours counts as absent, so that a weekend does not end an absence.
    """
    spells = list_spells(person, day)
    return all(any(span.start <= spell.start and spell.end <= span.end for span in away) for spell in spells)
