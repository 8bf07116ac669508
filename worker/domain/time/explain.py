"""Why a time was chosen: a reason for each thing that was weighed, and never a word of what a calendar holds."""

from collections.abc import Iterator
from datetime import date, datetime
from zoneinfo import ZoneInfo

from worker.domain.model import Person, Reason, Span, Value
from worker.domain.time.availability import BUFFER, readable
from worker.domain.time.search import Search, careers, contract_margin, week_of
from worker.domain.time.worktime import today


def reasons(search: Search, span: Span, day: date) -> Iterator[Reason]:
    """One for each thing that was weighed; `day` is the manager's date of `span`."""
    yield _nearness(search, day)
    yield from _preference(search, span)
    yield _start(search, span.start)
    yield _contract(search.manager, day)
    yield _that_week(search, day)
    if search.buffer:
        yield Reason("buffer", {"minutes": BUFFER * 15})
    yield from unreadable(search)


def _nearness(search: Search, day: date) -> Reason:
    target = today(search.manager.zone, search.target)
    if day == target:
        return Reason("target_day", {"day": day})
    code = "after_target" if day > target else "before_target"
    return Reason(code, {"day": day, "target": target, "count": abs((day - target).days)})


def _preference(search: Search, span: Span) -> Iterator[Reason]:
    local = span.start.astimezone(ZoneInfo(search.report.zone))
    weekday, minute = search.prefer.weekday, search.prefer.minute
    if weekday is not None:
        yield Reason("preferred_weekday" if local.weekday() == weekday else "other_weekday", {"weekday": weekday})
    if minute is not None:
        off = abs((local.hour * 60 + local.minute - minute + 720) % 1440 - 720)
        yield Reason("other_hour" if off else "preferred_hour", {"clock": minute} | ({"count": off} if off else {}))


def _start(search: Search, at: datetime) -> Reason:
    here, there = search.people
    values: dict[str, Value] = {"at": at, "zone": here.zone, "other_zone": there.zone}
    if len({at.astimezone(ZoneInfo(one.zone)).time() for one in search.people}) == 1:
        return Reason("start", values)
    return Reason("start_apart", {**values, "name": here.name, "other": there.name})


def _contract(manager: Person, day: date) -> Reason:
    margin = contract_margin(manager)[day.weekday()]
    values: dict[str, Value] = {"weekday": (day.weekday() + 2) % 7, "name": manager.name}
    if margin == 2:
        return Reason("contract_day", values)
    return Reason("contract_margin", {**values, "count": margin}) if margin else Reason("contract_no_margin", values)


def _that_week(search: Search, day: date) -> Reason:
    values: dict[str, Value] = {"name": search.manager.name}
    count = sum(week_of(other) == week_of(day) for other in careers(search))
    return Reason("others_that_week", {**values, "count": count}) if count else Reason("only_that_week", values)


def unreadable(search: Search) -> Iterator[Reason]:
    """A warning for each of the two whose calendar nobody can read."""
    for person in search.people:
        if not readable(person):
            yield Reason("unreadable", {"name": person.name})
