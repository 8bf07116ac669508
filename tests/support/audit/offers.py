"""Times that are held for two people to choose from, as a ledger tells of them (T-11, T-12)."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from tests.support.audit.known import Line, Talk, instant
from tests.support.audit.rules import DAY, Fault
from worker.domain.model import Person, Span
from worker.domain.time.worktime import get_local_date

LEAST_NOTICE = timedelta(hours=4)


def read_offer(talk: Talk, line: Line, manager: Person, now: datetime) -> Iterator[Fault]:
    """Note what is held for a session, or that nothing is any more. Three times at most, the first of them the one it
    has, for three working days; two for a question; and no longer than until four hours before the time it has."""
    if line["state"] == "ended":
        talk.offered, talk.offered_until = (), None
        return
    times = tuple(Span(*(instant(end) for end in time.split("/"))) for time in line["times"].split())
    if talk.kind != "career" or len(times) > 3 or (talk.booked and times[0] != talk.span):
        yield "T-12", f"{talk.id} was offered {line['times']}"
    talk.offered, talk.offered_until = times, instant(line["until"])
    days = _count_weekdays(manager, now, talk.offered_until)
    near = (times[0] if talk.booked else max(times)).start - LEAST_NOTICE
    if (days not in (2, 3) and (days > 3 or talk.offered_until != near)) or talk.offered_until > near:
        yield "T-12", f"the times of {talk.id} are held for {days} working days, until {talk.offered_until}"


def held_times(talk: Talk, span: Span, others: Iterable[Talk], now: datetime) -> Iterator[Fault]:
    """T-12: a session gets no time that is held for another one of either person."""
    for other in others:
        if other is talk or other.offered_until is None or now >= other.offered_until:
            continue
        if any(time.overlaps(span) for time in other.offered):
            yield "T-12", f"{talk.id}, {span.start}, got a time that is held for {other.id}"


def _count_weekdays(manager: Person, made: datetime, until: datetime) -> int:
    """From the day after that one on, Monday to Friday."""
    day, last = (get_local_date(manager.zone, at) for at in (made, until))
    return sum((day + n * DAY).weekday() < 5 for n in range(1, (last - day).days + 1))
