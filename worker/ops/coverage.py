"""What good looks like, counted for groups of people (R-22): who met, what was put off, what was kept.

Never about one person. A group of fewer than five pairs is folded into the others; when the others are fewer than
five too they are counted nowhere, so that nothing follows from subtracting one line from another.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from worker.domain.model import Commitment, CommitmentStanding, Owner, PairId, Person, Session
from worker.store.statistics import Statistics
from worker.store.store import Store

#: R-22: no group smaller than this is shown.
MIN_GROUP_SIZE = 5
DEADLINE = timedelta(hours=48)
OTHERS, ALL = "others", "all of these"
#: What a group can be: something of the report's that many share.
GROUPINGS: Mapping[str, Callable[[Person], str]] = {
    "country": lambda person: person.country.partition("-")[0],
    "zone": lambda person: person.zone,
}


@dataclass(frozen=True, slots=True)
class Quarter:
    """Three months of the calendar, in UTC."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}-Q{self.number}"

    @property
    def first_day(self) -> date:
        return date(self.year, self.number * 3 - 2, 1)

    @property
    def last_day(self) -> date:
        return find_quarter(self.first_day + timedelta(days=100)).first_day - timedelta(days=1)

    @property
    def start(self) -> datetime:
        return datetime.combine(self.first_day, time(), UTC)

    @property
    def end(self) -> datetime:
        return datetime.combine(self.last_day + timedelta(days=1), time(), UTC)


def find_quarter(day: date) -> Quarter:
    """The quarter a day lies in."""
    return Quarter(day.year, (day.month + 2) // 3)


@dataclass(slots=True)
class CoverageGroup:
    """The sums of some pairs. A pair is in exactly one of `held`, `ahead`, `later` and `missing`."""

    name: str
    pairs: int = 0
    held: int = 0  #: met in this quarter
    ahead: int = 0  #: not yet, and on the calendar for this quarter
    later: int = 0  #: not due before the next quarter
    missing: int = 0  #: due, and neither held nor on the calendar for this quarter
    deferrals: int = 0
    days_late: list[int] = field(default_factory=list)  #: of each session held, days after its target
    contracts: list[bool] = field(default_factory=list)  #: of each that was due: within 48 hours?
    promises: dict[Owner, list[bool]] = field(default_factory=lambda: {owner: [] for owner in Owner})  #: kept?

    def add(self, other: "CoverageGroup") -> None:
        """Count these pairs too."""
        for name in ("pairs", "held", "ahead", "later", "missing", "deferrals"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.days_late += other.days_late
        self.contracts += other.contracts
        for owner in Owner:
            self.promises[owner] += other.promises[owner]

    @property
    def median_days_late(self) -> float | None:
        """The median of the days late; None when nothing was held."""
        return float(median(self.days_late)) if self.days_late else None


@dataclass(frozen=True, slots=True)
class Coverage:
    """A quarter in groups of five and more, and how many pairs were too few to be counted."""

    quarter: Quarter
    groups: tuple[CoverageGroup, ...]
    total: CoverageGroup | None
    hidden: int


def count_coverage(store: Store, quarter: Quarter, now: datetime, by: str = "country") -> Coverage:
    """Count a quarter. `by` is one of `BY`."""
    figures = Statistics(store.database)
    people = figures.load_all_people()
    pairs = {
        p.id: p for p in store.people.load_all_pairs().values() if p.is_active and p.first_seen <= quarter.last_day
    }
    return fold_groups(
        _count_pairs(figures, quarter, now, pairs),
        {one: GROUPINGS[by](people[p.report]) for one, p in pairs.items()},
        quarter,
    )


def fold_groups(counted: Mapping[PairId, CoverageGroup], group_of: Mapping[PairId, str], quarter: Quarter) -> Coverage:
    """Pairs to groups, none of them smaller than five."""
    groups: dict[str, CoverageGroup] = {}
    for pair_id, one in counted.items():
        groups.setdefault(group_of[pair_id], CoverageGroup(group_of[pair_id])).add(one)
    others = CoverageGroup(OTHERS)
    for small in [group for group in groups.values() if group.pairs < MIN_GROUP_SIZE]:
        others.add(groups.pop(small.name))
    shown = [groups[name] for name in sorted(groups)] + ([others] if others.pairs >= MIN_GROUP_SIZE else [])
    total = CoverageGroup(ALL)
    for group in shown:
        total.add(group)
    return Coverage(quarter, tuple(shown), total if len(shown) > 1 else None, 0 if others in shown else others.pairs)


# --- pair by pair ---


def _count_pairs(
    figures: Statistics, quarter: Quarter, now: datetime, pairs: Collection[PairId]
) -> dict[PairId, CoverageGroup]:
    sessions: dict[PairId, list[Session]] = defaultdict(list)
    for session in figures.list_career_sessions(quarter.start, quarter.end):
        sessions[session.pair].append(session)
    promises: dict[PairId, list[Commitment]] = defaultdict(list)
    for commitment in figures.list_due_commitments(quarter.first_day, min(quarter.last_day, now.date())):
        promises[commitment.pair].append(commitment)
    deferrals, recorded = (
        figures.count_deferrals(quarter.start, quarter.end),
        figures.load_contract_times(quarter.start),
    )
    counted: dict[PairId, CoverageGroup] = {}
    for pair_id in pairs:
        one = counted[pair_id] = CoverageGroup(str(pair_id), pairs=1, deferrals=deferrals.get(pair_id, 0))
        _count_sessions(one, sessions[pair_id], quarter, now, recorded)
        for promise in promises[pair_id]:
            if promise.standing in (CommitmentStanding.OPEN, CommitmentStanding.DONE):
                one.promises[promise.owner].append(promise.standing is CommitmentStanding.DONE)
    return counted


def _count_sessions(
    one: CoverageGroup, sessions: Sequence[Session], quarter: Quarter, now: datetime, recorded: Mapping[str, datetime]
) -> None:
    held = [s for s in sessions if s.held_at and quarter.start <= s.held_at < quarter.end]
    for session in held:
        ended = session.held_at or now
        if not session.adhoc:
            one.days_late.append(max((ended.date() - session.target.date()).days, 0))
        if session.asks_contract and (session.id in recorded or now > ended + DEADLINE):
            one.contracts.append(session.id in recorded and recorded[session.id] <= ended + DEADLINE)
    setattr(one, _classify_pair(held, [s for s in sessions if s.booked or s.owed], quarter, now), 1)


def _classify_pair(held: Sequence[Session], open_: Sequence[Session], quarter: Quarter, now: datetime) -> str:
    """Where a pair stands in that quarter."""
    if held:
        return "held"
    if any(s.booked and quarter.start <= s.span.start < quarter.end for s in open_):
        return "ahead"
    due = [s for s in open_ if s.target < quarter.end]
    return "missing" if due or not open_ else "later"
