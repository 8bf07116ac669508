"""Coverage of a quarter by groups of pairs (R-22): conversations held, deferrals, contracts and commitments kept.

No counts of a single person are shown. A group has at least five pairs and three managers. Smaller groups, and groups
that the counts of another grouping would reveal by subtraction, are merged into "others" or left out.
"""

from collections import defaultdict
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from statistics import median

from worker.domain.disclosure import choose_groups
from worker.domain.model import Commitment, CommitmentStanding, Owner, PairId, Person, Session
from worker.domain.planning.contract_mails import CONTRACT_PERIOD
from worker.errors import Refused
from worker.store.statistics import Statistics
from worker.store.store import Store

#: The name of the group of pairs whose report has no group in the people file.
NO_GROUP = "no group"
#: The name of the total of all groups shown.
ALL = "all of these"
#: By name of a grouping: the function that returns a report's group. When two groupings together would reveal a small
#: group by subtraction, the groups of the earlier grouping are shown.
GROUPINGS: Mapping[str, Callable[[Person], str]] = {
    "group": lambda person: person.group or NO_GROUP,
    "country": lambda person: person.country.partition("-")[0],
    "zone": lambda person: person.zone,
}


@dataclass(frozen=True, slots=True)
class Quarter:
    """A quarter of a year, in UTC; `number` is from 1 to 4."""

    year: int
    number: int

    def __str__(self) -> str:
        return f"{self.year}-Q{self.number}"

    @property
    def first_day(self) -> date:
        return date(self.year, self.number * 3 - 2, 1)

    @property
    def last_day(self) -> date:
        a_day_of_next_quarter = self.first_day + timedelta(days=100)  # a quarter has 90 to 92 days
        return find_quarter(a_day_of_next_quarter).first_day - timedelta(days=1)

    @property
    def start(self) -> datetime:
        return datetime.combine(self.first_day, time(), UTC)

    @property
    def end(self) -> datetime:
        return datetime.combine(self.last_day + timedelta(days=1), time(), UTC)


def find_quarter(day: date) -> Quarter:
    """Return the quarter that contains the day."""
    return Quarter(day.year, (day.month + 2) // 3)


@dataclass(slots=True)
class CoverageGroup:
    """The counts of a group of pairs. Each pair is counted in one of `held`, `booked`, `due_later` and `missing`."""

    name: str
    pairs: int = 0
    held: int = 0  #: pairs that held a regular conversation in this quarter; of a series, its last part
    booked: int = 0  #: pairs that have held none yet, and have one booked in this quarter
    due_later: int = 0  #: pairs whose next conversation is due in a later quarter
    missing: int = 0  #: pairs whose conversation is due or has no session yet, and none held or booked in this quarter
    deferrals: int = 0
    days_late: list[int] = field(default_factory=list)  #: for each conversation held, the days after its target
    contract_outcomes: list[bool] = field(default_factory=list)  #: for each contract due, whether it came in time
    #: By owner: for each commitment due, whether it was kept.
    commitment_outcomes: dict[Owner, list[bool]] = field(default_factory=lambda: {owner: [] for owner in Owner})

    def add(self, other: "CoverageGroup") -> None:
        """Add the counts of another group."""
        for name in ("pairs", "held", "booked", "due_later", "missing", "deferrals"):
            setattr(self, name, getattr(self, name) + getattr(other, name))
        self.days_late += other.days_late
        self.contract_outcomes += other.contract_outcomes
        for owner in Owner:
            self.commitment_outcomes[owner] += other.commitment_outcomes[owner]

    @property
    def median_days_late(self) -> float | None:
        """The median of `days_late`; None when no conversation was held."""
        return float(median(self.days_late)) if self.days_late else None


@dataclass(frozen=True, slots=True)
class Coverage:
    """The coverage of a quarter by one grouping."""

    quarter: Quarter
    by: str  #: the grouping, a key of GROUPINGS
    groups: tuple[CoverageGroup, ...]
    total: CoverageGroup | None  #: None when there are not at least two groups
    hidden_count: int  #: the number of pairs in groups that are too small to show


def count_coverage(store: Store, quarter: Quarter, now: datetime, by: str = "") -> Coverage:
    """Return the coverage of a quarter. `by` is a key of GROUPINGS; by default `group`, or `country` without groups.

    Raises Refused when the people file names no groups and `by` is `group`.
    """
    statistics = Statistics(store.database)
    people, current_pairs = store.people.load_current_roster()
    pairs = {pair.id: pair for pair in current_pairs if pair.is_active and pair.first_seen <= quarter.last_day}
    group_names = {
        grouping: {pair_id: get_group(people[pair.report]) for pair_id, pair in pairs.items()}
        for grouping, get_group in GROUPINGS.items()
    }
    if pairs and set(group_names["group"].values()) == {NO_GROUP}:
        if by == "group":
            raise Refused("The people file names no groups. Fill in its column `group`, or count by country.")
        del group_names["group"]
    counts_by_pair = _count_pairs(statistics, quarter, now, pairs)
    return build_coverage(counts_by_pair, group_names, by or next(iter(group_names)), quarter)


def build_coverage(
    counts_by_pair: Mapping[PairId, CoverageGroup],
    group_names: Mapping[str, Mapping[PairId, str]],
    by: str,
    quarter: Quarter,
) -> Coverage:
    """Return the coverage of the groups of the grouping `by` that may be shown. Their counts are sums over their pairs.

    `group_names`: by grouping, the name of each pair's group. All groupings are needed, because the groups of one must
    not reveal a small group of another.
    """
    shown_groups = []
    for name, members in choose_groups(group_names)[by].items():
        group = CoverageGroup(name)
        for pair_id in sorted(members):
            group.add(counts_by_pair[pair_id])
        shown_groups.append(group)
    total = CoverageGroup(ALL)
    for group in shown_groups:
        total.add(group)
    hidden_count = len(counts_by_pair) - total.pairs
    return Coverage(quarter, by, tuple(shown_groups), total if len(shown_groups) > 1 else None, hidden_count)


# --- counts of single pairs ---


def _count_pairs(
    statistics: Statistics, quarter: Quarter, now: datetime, pairs: Collection[PairId]
) -> dict[PairId, CoverageGroup]:
    """Return the counts of each pair, as a group of one pair."""
    sessions: dict[PairId, list[Session]] = defaultdict(list)
    for session in statistics.list_open_or_held_career_sessions(quarter.start, quarter.end):
        sessions[session.pair].append(session)
    commitments: dict[PairId, list[Commitment]] = defaultdict(list)
    for commitment in statistics.list_due_commitments(quarter.first_day, min(quarter.last_day, now.date())):
        commitments[commitment.pair].append(commitment)
    deferrals = statistics.count_deferrals(quarter.start, quarter.end)
    recorded_at = statistics.load_contract_times(quarter.start)
    counts_by_pair: dict[PairId, CoverageGroup] = {}
    for pair_id in pairs:
        counts = counts_by_pair[pair_id] = CoverageGroup(str(pair_id), pairs=1, deferrals=deferrals.get(pair_id, 0))
        _count_sessions(counts, sessions[pair_id], quarter, now, recorded_at)
        for commitment in commitments[pair_id]:
            if commitment.standing in (CommitmentStanding.OPEN, CommitmentStanding.DONE):
                counts.commitment_outcomes[commitment.owner].append(commitment.standing is CommitmentStanding.DONE)
    return counts_by_pair


def _count_sessions(
    counts: CoverageGroup,
    sessions: Sequence[Session],
    quarter: Quarter,
    now: datetime,
    recorded_at: Mapping[str, datetime],
) -> None:
    """Add a pair's sessions to its counts. `recorded_at`: by session, when its contract was recorded."""
    # Only the last part of a series asks for a contract, and counts as a conversation (T-13).
    held_sessions = [
        (session, session.held_at)
        for session in sessions
        if session.asks_contract and session.held_at and quarter.start <= session.held_at < quarter.end
    ]
    for session, held_at in held_sessions:  # `held_at` is the end of the session
        if not session.adhoc:
            counts.days_late.append(max((held_at.date() - session.target.date()).days, 0))
        is_recorded, deadline = session.id in recorded_at, held_at + CONTRACT_PERIOD
        if is_recorded or now > deadline:
            counts.contract_outcomes.append(is_recorded and recorded_at[session.id] <= deadline)
    regular_held = [session for session, _ in held_sessions if not session.adhoc]
    open_sessions = [s for s in sessions if (s.booked or s.owed) and not s.adhoc]
    setattr(counts, _classify_pair(regular_held, open_sessions, quarter), 1)


def _classify_pair(held_sessions: Sequence[Session], open_sessions: Sequence[Session], quarter: Quarter) -> str:
    """Return the name of the field of CoverageGroup that counts the pair: held, booked, due_later or missing.

    Both lists contain regular sessions only, because an ad hoc session does not replace a regular one (T-14).
    """
    if held_sessions:
        return "held"
    if any(s.booked and quarter.start <= s.span.start < quarter.end for s in open_sessions):
        return "booked"
    # Planning gives each pair an open session, but a new pair not before its first notice is due (T-3a). A pair
    # without an open session counts as due.
    is_due = not open_sessions or any(s.target < quarter.end for s in open_sessions)
    return "missing" if is_due else "due_later"
