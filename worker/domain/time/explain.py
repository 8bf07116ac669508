"""Explanations of why a time slot was chosen, with one reason for each criterion of the ranking.

A reason holds times, names and counts, and never the content of a calendar.
"""

from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from worker.domain.model import Person, Reason, ReasonValue, Span
from worker.domain.time.availability import BUFFER_QUARTERS, MINUTES_PER_QUARTER
from worker.domain.time.search import (
    BEST_CONTRACT_MARGIN,
    Search,
    compute_contract_margins,
    get_week_number,
    list_career_days,
)
from worker.domain.time.worktime import get_local_date, measure_clock_distance


def explain_slot(search: Search, span: Span, day: date) -> Iterator[Reason]:
    """Yield a reason for each criterion. `day` is the date of `span` in the manager's zone."""
    yield _explain_nearness(search, day)
    yield from _explain_preference(search, span)
    yield _explain_start(search, span.start)
    yield _explain_contract(search.manager, day)
    yield _explain_week(search, day)
    if search.has_buffer:
        yield Reason("buffer", {"minutes": BUFFER_QUARTERS * MINUTES_PER_QUARTER})
    yield from explain_missing_calendars(search)


def _explain_nearness(search: Search, day: date) -> Reason:
    """Return the reason that names the distance of the day from the target, in days."""
    target = get_local_date(search.manager.zone, search.target)
    if day == target:
        return Reason("target_day", {"day": day})
    code = "after_target" if day > target else "before_target"
    return Reason(code, {"day": day, "target": target, "count": abs((day - target).days)})


def _explain_preference(search: Search, span: Span) -> Iterator[Reason]:
    """Yield the reasons which say whether the slot has the preferred weekday and time, in the report's zone."""
    local_start = span.start.astimezone(ZoneInfo(search.report.zone))
    weekday, minute_of_day = search.preference.weekday, search.preference.minute
    if weekday is not None:
        yield Reason("preferred_weekday" if local_start.weekday() == weekday else "other_weekday", {"weekday": weekday})
    if minute_of_day is not None:
        minutes_apart = measure_clock_distance(60 * local_start.hour + local_start.minute, minute_of_day)
        if minutes_apart:
            yield Reason("other_hour", {"clock": minute_of_day, "count": minutes_apart})
        else:
            yield Reason("preferred_hour", {"clock": minute_of_day})


def _explain_start(search: Search, start: datetime) -> Reason:
    """Return the reason that names the start on the clocks of both people, which may differ."""
    manager, report = search.people
    values: dict[str, ReasonValue] = {"at": start, "zone": manager.zone, "other_zone": report.zone}
    clock_times = {start.astimezone(ZoneInfo(person.zone)).time() for person in search.people}
    if len(clock_times) == 1:
        return Reason("start", values)
    return Reason("start_apart", {**values, "name": manager.name, "other": report.name})


def _explain_contract(manager: Person, day: date) -> Reason:
    """Return the reason for the contract margin: whether the manager works on the day on which the contract is due, two
    days after the session, or at least on the day before it.

    The reason `contract_margin` counts the working days before the deadline.
    """
    margin = compute_contract_margins(manager)[day.weekday()]
    values: dict[str, ReasonValue] = {"weekday": (day.weekday() + 2) % 7, "name": manager.name}
    if margin == BEST_CONTRACT_MARGIN:
        return Reason("contract_day", values)
    return Reason("contract_margin", {**values, "count": margin}) if margin else Reason("contract_no_margin", values)


def _explain_week(search: Search, day: date) -> Reason:
    """Return the reason that names the number of the manager's other career sessions in the same week."""
    values: dict[str, ReasonValue] = {"name": search.manager.name}
    count = sum(get_week_number(career_day) == get_week_number(day) for career_day in list_career_days(search))
    return Reason("others_that_week", {**values, "count": count}) if count else Reason("only_that_week", values)


def explain_missing_calendars(search: Search) -> Iterator[Reason]:
    """Yield a warning for each person without a calendar that Longarc can read: their working hours count as free."""
    for person in search.people:
        if not person.has_calendar:
            yield Reason("unreadable", {"name": person.name})
