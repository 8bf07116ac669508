"""How far an audit finds the sessions of a pair from each other: reviews, and the parts of a series (T-9, T-13)."""

from collections.abc import Iterable, Iterator

from tests.support.audit import rules
from tests.support.audit.known import Talk
from worker.domain.model import Interval, Span
from worker.domain.time.worktime import add_weekdays, get_local_date


def review(talk: Talk, span: Span, careers: Iterable[Talk], zone: str) -> Iterator[rules.Fault]:
    """T-9: within ten working days of a month after the last contract, and ten or more from every career session."""
    day, known = get_local_date(zone, span.start), list(careers)
    contracts = [one.contracted for one in known if one.contracted]
    months = [rules.plus(max(contracts).date(), Interval(months=n)) for n in range(1, 12)] if contracts else []
    if not any(add_weekdays(due, -10) <= day <= add_weekdays(due, 10) for due in months):
        yield "T-9", f"{talk.id}, a review, got {day}; contracts were recorded at {contracts or 'no time'}"
    for one in known:
        if (one.booked or one.held) and one.start:
            first, last = sorted((day, get_local_date(zone, one.start)))
            if add_weekdays(first, 10) > last:
                yield "T-9", f"{talk.id}, a review, got {day}, less than ten working days from {one.id}, {one.start}"


def in_order(talk: Talk, careers: Iterable[Talk]) -> Iterator[rules.Fault]:
    """T-13: a part of a series that is held comes after the parts before it, unless one of these is to be held anew."""
    parts = ["now", "direction", "gap"]
    earlier = parts[: parts.index(talk.topic)] if talk.topic in parts else []
    mine: list[Talk] = []
    for one in careers:
        if one.topic == "now" and not one.adhoc:  # a series begins: its own, or a later one
            if one.asked > talk.asked:
                break
            mine = []
        mine.append(one)
    for one in mine:
        if one.topic in earlier and not one.adhoc and (one.booked or one.state in rules.OWED) and not one.missed:
            yield "T-13", f"{talk.id}, {talk.topic}, was held before {one.id}, {one.topic}, of {one.start}"
