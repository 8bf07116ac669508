"""Why a time was chosen: a reason for each thing that was weighed, and never a word of what a calendar holds."""

from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from worker.domain.model import Person, Reason, ReasonValue, Span
from worker.domain.time.availability import BUFFER_QUARTERS, has_readable_calendar
from worker.domain.time.search import Search, compute_contract_margins, get_week_number, list_career_days
from worker.domain.time.worktime import get_local_date


def explain_slot(search: Search, span: Span, day: date) -> Iterator[Reason]:
    """One for each thing that was weighed; `day` is the manager's date of `span`."""
    yield _explain_nearness(search, day)
    yield from _explain_preference(search, span)
    yield _explain_start(search, span.start)
    yield _explain_contract(search.manager, day)
    yield _explain_week(search, day)
    if search.buffer:
        yield Reason("buffer", {"minutes": BUFFER_QUARTERS * 15})
    yield from warn_of_unreadable(search)


def _explain_nearness(search: Search, day: date) -> Reason:
    target = get_local_date(search.manager.zone, search.target)
    if day == target:
        return Reason("target_day", {"day": day})
    code = "after_target" if day > target else "before_target"
    return Reason(code, {"day": day, "target": target, "count": abs((day - target).days)})


def _explain_preference(search: Search, span: Span) -> Iterator[Reason]:
    local = span.start.astimezone(ZoneInfo(search.report.zone))
    weekday, minute = search.preference.weekday, search.preference.minute
    if weekday is not None:
        yield Reason("preferred_weekday" if local.weekday() == weekday else "other_weekday", {"weekday": weekday})
    if minute is not None:
        off = abs((local.hour * 60 + local.minute - minute + 720) % 1440 - 720)
        yield Reason("other_hour" if off else "preferred_hour", {"clock": minute} | ({"count": off} if off else {}))


def _explain_start(search: Search, at: datetime) -> Reason:
    here, there = search.people
    values: dict[str, ReasonValue] = {"at": at, "zone": here.zone, "other_zone": there.zone}
    if len({at.astimezone(ZoneInfo(one.zone)).time() for one in search.people}) == 1:
        return Reason("start", values)
    return Reason("start_apart", {**values, "name": here.name, "other": there.name})


def _explain_contract(manager: Person, day: date) -> Reason:
    margin = compute_contract_margins(manager)[day.weekday()]
    values: dict[str, ReasonValue] = {"weekday": (day.weekday() + 2) % 7, "name": manager.name}
    if margin == 2:
        return Reason("contract_day", values)
    return Reason("contract_margin", {**values, "count": margin}) if margin else Reason("contract_no_margin", values)


def _explain_week(search: Search, day: date) -> Reason:
    values: dict[str, ReasonValue] = {"name": search.manager.name}
    count = sum(get_week_number(other) == get_week_number(day) for other in list_career_days(search))
    return Reason("others_that_week", {**values, "count": count}) if count else Reason("only_that_week", values)


def warn_of_unreadable(search: Search) -> Iterator[Reason]:
    """A warning for each of the two whose calendar nobody can read."""
    for person in search.people:
        if not has_readable_calendar(person):
            yield Reason("unreadable", {"name": person.name})
