"""The criteria of the search for a session's time, and every quarter-hour at which the session may start.

A session may start where both people work and neither is busy, with a buffer of 15 minutes around busy time (T-2).
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from typing import NamedTuple

from worker.domain.model import Address, FreeBusy, Person, Preference, SessionKind, Span, TakenTime
from worker.domain.time.absences import list_days_after_absence
from worker.domain.time.availability import (
    BUFFER_QUARTERS,
    QuarterGrid,
    count_quarters,
    find_day_bits,
    find_starts,
    get_free_busy,
)
from worker.domain.time.worktime import get_local_date

NO_PREFERENCE = Preference()
#: The length of the shortest career session with any settings, in minutes (T-1).
MIN_MINUTES = 60
#: The most sessions with `in_turn` that a manager has in one week, Monday to Sunday (T-3a).
MAX_IN_TURN_A_WEEK = 2
#: The highest result of `compute_contract_margins`.
BEST_CONTRACT_MARGIN = 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """The criteria for a session's time. The time of a person who is missing from `free_busy` counts as not free."""

    manager: Person
    report: Person
    window: Span
    minutes: int
    #: The length below which the session is not shortened. A session that is shorter anyway keeps its length.
    shortest_minutes: int = MIN_MINUTES
    target: datetime  #: slots nearer to this instant rank higher
    preference: Preference = NO_PREFERENCE
    free_busy: Mapping[Address, FreeBusy]
    taken_times: Mapping[Address, Sequence[TakenTime]] = field(default_factory=dict)  #: these times count as busy
    avoid: tuple[Span, ...] = ()  #: times that the session has lost and does not get again
    has_buffer: bool = True  #: whether 15 minutes stay free on each side of busy time
    has_weekly_limit: bool = False  #: whether `MAX_IN_TURN_A_WEEK` applies: it does to sessions in turn (T-3a)
    may_follow_absence: bool = False  #: whether the session may lie on the first days after a long absence (T-14, T-16)
    is_career: bool = True  #: whether the session is a career session, of which the manager has at most one a day

    @property
    def people(self) -> tuple[Person, Person]:
        """The manager and the report."""
        return self.manager, self.report


class Conditions(NamedTuple):
    """What decides where a session may start: sets of quarter-hours of the search's window.

    To try what a change would make possible, replace the sets that it concerns.
    """

    minutes: int  #: the length of the session
    work: int  #: both people work
    busy: int  #: one of the two is busy, or these quarter-hours are padding, which stays free
    lost: int  #: times that the session has lost
    after_absence: int  #: the first working days of one of the two after a long absence
    full_days: int  #: the days of the manager's other career sessions
    full_weeks: int  #: the weeks with as many sessions in turn as a week may have

    def find_starts(self) -> int:
        """Return the quarter-hours at which the session may start."""
        free = self.work & ~(self.busy | self.lost | self.after_absence)
        return find_starts(free, count_quarters(self.minutes)) & ~(self.full_days | self.full_weeks)


def find_possible_starts(search: Search) -> tuple[QuarterGrid, int]:
    """Return the grid of the window, and the set of its quarter-hours at which the session may start (T-2)."""
    grid = QuarterGrid(search.window)
    if not find_shared_work(search, grid):
        return grid, 0
    return grid, find_conditions(search, grid).find_starts()


def find_conditions(search: Search, grid: QuarterGrid, busy: int | None = None) -> Conditions:
    """Return what decides in this search where a session may start.

    `busy` holds the busy quarter-hours of both people with the padding, if the caller knows them already.
    """
    if busy is None:
        busy = find_busy_bits(search, grid, search.manager) | find_busy_bits(search, grid, search.report)
    after_manager, after_report = (find_bits_after_absence(search, grid, person) for person in search.people)
    career_days = list_career_days(search) if search.is_career else ()
    days_of_full_weeks = _list_days_of_full_weeks(search) if search.has_weekly_limit else ()
    return Conditions(
        minutes=search.minutes,
        work=find_shared_work(search, grid),
        busy=busy,
        lost=grid.find_touched(search.avoid),
        after_absence=after_manager | after_report,
        full_days=_find_bits_of_days(search, grid, career_days),
        full_weeks=_find_bits_of_days(search, grid, days_of_full_weeks),
    )


def find_shared_work(search: Search, grid: QuarterGrid) -> int:
    """Return the quarter-hours in which both people work."""
    return grid.find_working(search.manager) & grid.find_working(search.report)


def get_padding(search: Search) -> int:
    """Return the number of quarter-hours that stay free on each side of busy time."""
    return BUFFER_QUARTERS if search.has_buffer else 0


def list_taken_times(search: Search, person: Person) -> Sequence[TakenTime]:
    """Return the times of the person that other sessions and commitments take."""
    return search.taken_times.get(person.email, ())


def find_busy_bits(search: Search, grid: QuarterGrid, person: Person) -> int:
    """Return the quarter-hours in which the person is busy, and the padding around them that must stay free."""
    return grid.find_busy(
        person, get_free_busy(search.free_busy, person), list_taken_times(search, person), get_padding(search)
    )


def list_career_days(search: Search) -> list[date]:
    """Return the days of the manager's other career sessions, in the manager's zone."""
    taken = list_taken_times(search, search.manager)
    return [get_local_date(search.manager.zone, item.span.start) for item in taken if item.kind is SessionKind.CAREER]


def _find_bits_of_days(search: Search, grid: QuarterGrid, days: Iterable[date]) -> int:
    """Return the quarter-hours of these days in the manager's zone."""
    bits = 0
    for day in set(days):
        bits |= find_day_bits(grid, search.manager.zone, day)
    return bits


def find_bits_after_absence(search: Search, grid: QuarterGrid, person: Person) -> int:
    """Return the quarter-hours of the person's first two working days after a long absence (T-16)."""
    bits = 0
    if not search.may_follow_absence:
        for day in list_days_after_absence(person, get_free_busy(search.free_busy, person)):
            bits |= find_day_bits(grid, person.zone, day)
    return bits


def _list_days_of_full_weeks(search: Search) -> Iterator[date]:
    """Yield the days of each week in which the manager has `MAX_IN_TURN_A_WEEK` sessions with `in_turn` (T-3a)."""
    sessions_in_turn = [item for item in list_taken_times(search, search.manager) if item.in_turn]
    days = [get_local_date(search.manager.zone, item.span.start) for item in sessions_in_turn]
    for week, count in Counter(get_week_number(day) for day in days).items():
        if count >= MAX_IN_TURN_A_WEEK:
            # The inverse of `get_week_number`: 7 * week + 1 is the ordinal of the week's Monday.
            yield from (date.fromordinal(7 * week + 1 + weekday) for weekday in range(7))


def list_days(search: Search, grid: QuarterGrid) -> list[date]:
    """Return the dates in the manager's zone that the window touches, in order."""
    zone = search.manager.zone
    first, last = get_local_date(zone, grid.get_instant(0)), get_local_date(zone, grid.get_instant(grid.size))
    return [first + timedelta(days=step) for step in range((last - first).days + 1)]


def get_week_number(day: date) -> int:
    """Return the number of the week (Monday to Sunday) that contains `day`, counted from 0001-01-01."""
    return (day.toordinal() - 1) // 7


def compute_contract_margins(manager: Person) -> list[int]:
    """Return the contract margin of each weekday from Monday on: how well a session on it suits its contract, 0 to 2.

    The contract is due two days after the session. The margin is 2 when the manager works on that second day, else 1
    when the manager works on the day after the session, else 0.
    """
    is_workday = [bool(spells) for spells in manager.hours.week]
    return [BEST_CONTRACT_MARGIN if is_workday[(day + 2) % 7] else int(is_workday[(day + 1) % 7]) for day in range(7)]
