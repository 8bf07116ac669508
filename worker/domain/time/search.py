"""What is looked for, and every quarter of an hour at which it fits (T-2)."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta

from worker.domain.model import Address, FreeBusy, Kind, Person, Preference, Span, Taken
from worker.domain.time.availability import BUFFER, Grid, day_bits, get_free_busy, quarters_in, starts
from worker.domain.time.worktime import today

NO_WISH = Preference()


@dataclass(frozen=True, slots=True, kw_only=True)
class Search:
    """What is looked for. A person missing from `free_busy` is unknown, and so never free."""

    manager: Person
    report: Person
    window: Span
    minutes: int
    target: datetime
    prefer: Preference = NO_WISH
    free_busy: Mapping[Address, FreeBusy]
    taken: Mapping[Address, Sequence[Taken]] = field(default_factory=dict)  #: counts as busy
    avoid: tuple[Span, ...] = ()  #: times just lost, not offered again
    buffer: bool = True  #: 15 minutes free on each side of what is busy
    career: bool = True  #: at most one career session on a day of the manager's
    exclude: str = ""  #: the session looked for: what it has taken itself doesn't count

    @property
    def people(self) -> tuple[Person, Person]:
        return self.manager, self.report


def possible(search: Search) -> tuple[Grid, int]:
    """The grid of the window, and every quarter at which the conversation may start (T-2)."""
    grid = Grid(search.window)
    work = shared_work(search, grid)
    if not work:
        return grid, 0
    busy = (
        busy_bits(search, grid, search.manager)
        | busy_bits(search, grid, search.report)
        | grid.find_touched(search.avoid)
    )
    return grid, starts(work & ~busy, quarters_in(search.minutes)) & ~full_days(search, grid)


def shared_work(search: Search, grid: Grid) -> int:
    """The quarters in which both work."""
    return grid.work(search.manager) & grid.work(search.report)


def pad(search: Search) -> int:
    """How many quarters stay free on each side of what is busy."""
    return BUFFER if search.buffer else 0


def others(search: Search, person: Person) -> list[Taken]:
    """What the person's time was given to, the session looked for aside."""
    return [item for item in search.taken.get(person.email, ()) if not search.exclude or item.session != search.exclude]


def busy_bits(search: Search, grid: Grid, person: Person) -> int:
    """The quarters taken from the person, with what must stay free around them."""
    return grid.busy(person, get_free_busy(search.free_busy, person), others(search, person), pad(search))


def careers(search: Search) -> list[date]:
    """The days, on the manager's calendar, of the manager's other career sessions."""
    taken = others(search, search.manager)
    return [today(search.manager.zone, item.span.start) for item in taken if item.kind is Kind.CAREER]


def full_days(search: Search, grid: Grid) -> int:
    """The quarters of days on which the manager already has a career session."""
    bits = 0
    if search.career:
        for day in careers(search):
            bits |= day_bits(grid, search.manager.zone, day)
    return bits


def days_of(search: Search, grid: Grid) -> list[date]:
    """The days of the manager's calendar that the window touches."""
    zone = search.manager.zone
    first, last = today(zone, grid.instant(0)), today(zone, grid.instant(grid.size))
    return [first + timedelta(days=step) for step in range((last - first).days + 1)]


def week_of(day: date) -> int:
    """A number for the week, Monday to Sunday, that `day` is in."""
    return (day.toordinal() - 1) // 7


def contract_margin(manager: Person) -> list[int]:
    """By weekday of a session: 2 when the manager works on the day the contract is due, two days later; else 1 when
    on the day between; else 0."""
    works = [bool(spells) for spells in manager.hours.week]
    return [2 if works[(day + 2) % 7] else int(works[(day + 1) % 7]) for day in range(7)]
