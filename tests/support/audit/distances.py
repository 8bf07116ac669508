"""Judges how far the sessions of a pair are from each other: reviews, and the parts of a series (T-9, T-13)."""

from collections.abc import Iterable, Iterator

from tests.support.audit import rules
from tests.support.audit.known import Talk
from worker.domain.model import Interval, Span
from worker.domain.time.worktime import add_weekdays, get_local_date


def judge_review_time(talk: Talk, span: Span, careers: Iterable[Talk], zone: str) -> Iterator[rules.Fault]:
    """T-9: a review lies within ten working days of one to eleven whole months after the last contract.

    It is ten working days or more from every career session.
    """
    day, all_careers = get_local_date(zone, span.start), list(careers)
    contracts = [one.contracted_at for one in all_careers if one.contracted_at]
    last_day = max(contracts).date() if contracts else None
    due_days = [rules.add_interval(last_day, Interval(months=n)) for n in range(1, 12)] if last_day else []
    if not any(add_weekdays(due, -10) <= day <= add_weekdays(due, 10) for due in due_days):
        yield "T-9", f"{talk.id}, a review, got {day}; contracts were recorded at {contracts or 'no time'}"
    for one in all_careers:
        if (one.is_booked or one.held_end) and one.start:
            first, last = sorted((day, get_local_date(zone, one.start)))
            if add_weekdays(first, 10) > last:
                yield "T-9", f"{talk.id}, a review, got {day}, less than ten working days from {one.id}, {one.start}"


def judge_order(talk: Talk, careers: Iterable[Talk]) -> Iterator[rules.Fault]:
    """T-13: a part of a series is held after the earlier parts, except one that did not take place and is repeated."""
    parts = ["now", "direction", "gap"]
    earlier = parts[: parts.index(talk.topic)] if talk.topic in parts else []
    series: list[Talk] = []
    for one in careers:
        if one.topic == "now" and not one.adhoc:  # the first part of its own series, or of a later one
            if one.created_at > talk.created_at:
                break
            series = []
        series.append(one)
    for one in series:
        if (
            one.topic in earlier
            and not one.adhoc
            and (one.is_booked or one.state in rules.OWED_STATES)
            and not one.was_missed
        ):
            yield "T-13", f"{talk.id}, {talk.topic}, was held before {one.id}, {one.topic}, of {one.start}"
