"""Offers, as a ledger tells of them: times that are reserved for two people to choose from (T-11, T-12)."""

from collections.abc import Iterable, Iterator
from datetime import datetime, timedelta

from tests.support.audit.known import Line, Talk, parse_instant
from tests.support.audit.rules import DAY, Fault
from worker.domain.model import Person, Span
from worker.domain.time.worktime import get_local_date

#: An offer ends at least this long before the session's present time.
LEAST_NOTICE = timedelta(hours=4)


def read_offer(talk: Talk, line: Line, manager: Person, now: datetime) -> Iterator[Fault]:
    """Note the offer of a session, or that it has ended; yield what is wrong with the offer.

    It has at most three times, of which the first is the session's present one. It is open for three working days, or
    two when it asks a question, and ends at least four hours before the present time.
    """
    if line["state"] == "ended":
        talk.offered_times, talk.offered_until = (), None
        return
    times = tuple(Span(*(parse_instant(part) for part in time.split("/"))) for time in line["times"].split())
    if talk.kind != "career" or len(times) > 3 or (talk.is_booked and times[0] != talk.span):
        yield "T-12", f"{talk.id} was offered {line['times']}"
    talk.offered_times, talk.offered_until = times, parse_instant(line["until"])
    days = _count_weekdays(manager, now, talk.offered_until)
    latest_end = (times[0] if talk.is_booked else max(times)).start - LEAST_NOTICE
    is_cut_short = days < 2 and talk.offered_until == latest_end
    if (days not in (2, 3) and not is_cut_short) or talk.offered_until > latest_end:
        yield "T-12", f"the times of {talk.id} are held for {days} working days, until {talk.offered_until}"


def judge_against_offers(talk: Talk, span: Span, others: Iterable[Talk], now: datetime) -> Iterator[Fault]:
    """T-12: a session gets no time that is offered for another session of either person."""
    for other in others:
        if other is talk or other.offered_until is None or now >= other.offered_until:
            continue
        if any(time.overlaps(span) for time in other.offered_times):
            yield "T-12", f"{talk.id}, {span.start}, got a time that is held for {other.id}"


def _count_weekdays(manager: Person, begin: datetime, until: datetime) -> int:
    """Return how many days from Monday to Friday come after the day of `begin`, up to that of `until`."""
    day, last = (get_local_date(manager.zone, at) for at in (begin, until))
    return sum((day + n * DAY).weekday() < 5 for n in range(1, (last - day).days + 1))
