"""What importing a roster would do: who joins, leaves or has another manager, and what follows from it."""

from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime

from worker.domain.model import (
    Address,
    Pair,
    PairId,
    Participation,
    Person,
    Policy,
    Preference,
    WaitingPair,
    WorkingHours,
)
from worker.domain.planning.turns import Turn, list_turns, make_first_window
from worker.domain.time.worktime import DAY_NAMES, format_clock, format_hours
from worker.roster.model import Roster
from worker.store.import_preview import ImportPreview, SettingChange
from worker.store.store import Store


@dataclass(frozen=True, slots=True)
class Beginning:
    """A pair that begins."""

    manager: Address
    first_session: date | None  #: about when the two would meet for the first time; None while they don't
    is_paused: bool = False  #: why they don't; otherwise the rollout is not for them


@dataclass(frozen=True, slots=True)
class Joiner:
    """A person who is new, or returns."""

    email: Address
    name: str
    is_returning: bool
    beginning: Beginning | None  #: with whom, when the person has a manager


@dataclass(frozen=True, slots=True)
class Leaver:
    """A person whom the roster no longer names."""

    email: Address
    name: str
    report_count: int  #: pairs as a manager that end
    event_count: int  #: events that are cancelled


@dataclass(frozen=True, slots=True)
class ManagerChange:
    """A report who stays, and whose manager is another, or nobody, or somebody for the first time."""

    email: Address
    name: str
    former: Address | None
    event_count: int  #: events with the former manager that are cancelled
    beginning: Beginning | None

    @property
    def has_handover(self) -> bool:
        """Whether the report chooses what goes on to the new manager (R-36)."""
        return self.former is not None and self.beginning is not None


@dataclass(frozen=True, slots=True)
class RosterChanges:
    """What importing a roster would do."""

    joiners: Sequence[Joiner]
    leavers: Sequence[Leaver]
    manager_changes: Sequence[ManagerChange]
    renames: Mapping[Address, Address]  #: the new address by the old one
    setting_changes: Sequence[SettingChange]
    event_count: int  #: events that are cancelled in all

    @property
    def is_empty(self) -> bool:
        """Whether nothing would change."""
        return not any((self.joiners, self.leavers, self.manager_changes, self.renames, self.setting_changes))


def find_changes(
    preview: ImportPreview,
    roster: Roster,
    store: Store,
    find_participation: Callable[[Pair], Participation],
    policy: Policy,
    now: datetime,
) -> RosterChanges:
    """Return what importing the roster would do. `preview` is what the store says of it."""
    beginnings = _find_beginnings(preview, roster, store, find_participation, policy, now)
    stored_people = store.people.load_all_people()
    former_pairs = {preview.renames.get(pair_id.report, pair_id.report): pair_id for pair_id in preview.ended_pairs}
    joined = set(preview.added_people)
    staying = sorted((beginnings.keys() | former_pairs.keys()) & roster.persons.keys() - joined)
    return RosterChanges(
        joiners=[
            Joiner(email, roster.persons[email].name, email in preview.returning_people, beginnings.get(email))
            for email in preview.added_people
        ],
        leavers=_list_leavers(preview, stored_people),
        manager_changes=[
            _make_manager_change(roster.persons[email], former_pairs.get(email), beginnings.get(email), preview)
            for email in staying
        ],
        renames=preview.renames,
        setting_changes=preview.setting_changes,
        event_count=preview.cancel_count,
    )


def _make_manager_change(
    report: Person, former: PairId | None, beginning: Beginning | None, preview: ImportPreview
) -> ManagerChange:
    event_count = preview.booked_counts.get(former, 0) if former else 0
    return ManagerChange(report.email, report.name, former.manager if former else None, event_count, beginning)


def _list_leavers(preview: ImportPreview, stored_people: Mapping[Address, Person]) -> list[Leaver]:
    reports, events = Counter[Address](), Counter[Address]()
    for pair_id in preview.ended_pairs:
        reports[pair_id.manager] += 1
        for email in pair_id.people:
            events[email] += preview.booked_counts.get(pair_id, 0)
    return [Leaver(email, stored_people[email].name, reports[email], events[email]) for email in preview.removed_people]


def _find_beginnings(
    preview: ImportPreview,
    roster: Roster,
    store: Store,
    find_participation: Callable[[Pair], Participation],
    policy: Policy,
    now: datetime,
) -> dict[Address, Beginning]:
    """Return the pairs that begin, by report, each with the day about which the two would first meet (T-3a)."""
    new_pairs: dict[Address, list[Pair]] = defaultdict(list)
    for pair_id in preview.added_pairs:
        new_pairs[pair_id.manager].append(roster.pairs[pair_id])
    waiting_pairs = store.people.load_waiting_pairs(new_pairs)
    beginnings: dict[Address, Beginning] = {}
    for manager, pairs in new_pairs.items():
        planned = {pair.id: pair for pair in pairs if pair.is_active and find_participation(pair) is Participation.YES}
        stored = [one for one in waiting_pairs.get(manager, ()) if one.pair.is_active and one.pair.id in roster.pairs]
        turns = list_turns([*stored, *map(WaitingPair, planned.values())], now, policy)
        for pair in pairs:
            day = None
            if pair.id in planned:
                turn = turns.get(pair.id, Turn())
                day = make_first_window(pair, turn, roster.persons[manager].zone, now, policy).target.date()
            beginnings[pair.report] = Beginning(manager, day, pair.paused)
    return beginnings


def describe_value(value: object) -> str:
    """Return a value of a setting as the people file would have it; `-` for none."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, WorkingHours):
        return format_hours(value)
    if isinstance(value, Preference):
        day = [] if value.weekday is None else [DAY_NAMES[value.weekday]]
        return " ".join([*day, *([] if value.minute is None else [format_clock(value.minute)])]) or "-"
    return str(value) if value not in (None, "") else "-"
