"""A preview of an import of the roster: who joins, leaves or gets another manager, and which events are cancelled."""

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
from worker.domain.planning.turns import Turn, list_turns, make_turn_window
from worker.domain.time.worktime import SHORT_DAY_NAMES, format_clock, format_hours
from worker.roster.model import Roster
from worker.store.import_preview import ImportPreview, SettingChange
from worker.store.store import Store


@dataclass(frozen=True, slots=True)
class NewPair:
    """The new pair of a report: its manager, and when the first session will be."""

    manager: Address
    first_session: date | None  #: the approximate day of the first session; None when the pair does not take part
    #: Whether the pair is paused. A pair that is not, and has no first session, is excluded by the rollout.
    is_paused: bool = False


@dataclass(frozen=True, slots=True)
class Joiner:
    """A person who is new in the roster, or returns to it."""

    email: Address
    name: str
    is_returning: bool
    new_pair: NewPair | None  #: the pair with the person's manager; None without a manager


@dataclass(frozen=True, slots=True)
class Leaver:
    """A person whom the roster no longer names."""

    email: Address
    name: str
    report_count: int  #: the number of pairs that end in which the person is the manager
    event_count: int  #: the number of events that are cancelled


@dataclass(frozen=True, slots=True)
class ManagerChange:
    """A person who stays, and who gets another manager, a first manager, or no manager any more."""

    email: Address
    name: str
    former: Address | None  #: the manager before; None without one
    event_count: int  #: the number of events with the former manager that are cancelled
    new_pair: NewPair | None  #: the pair with the new manager; None without one

    @property
    def has_handover(self) -> bool:
        """Whether there is a handover, in which the report chooses what the new manager will read (R-36)."""
        return self.former is not None and self.new_pair is not None


@dataclass(frozen=True, slots=True)
class RosterChanges:
    """What an import of the roster would change."""

    joiners: Sequence[Joiner]
    leavers: Sequence[Leaver]
    manager_changes: Sequence[ManagerChange]
    renames: Mapping[Address, Address]  #: the new address by the old address
    setting_changes: Sequence[SettingChange]
    event_count: int  #: the number of all events that are cancelled

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
    """Return what an import of the roster would change. `preview`: the rows that it would add, change or remove."""
    new_pairs = _find_new_pairs(preview, roster, store, find_participation, policy, now)
    stored_people = store.people.load_all_people()
    former_pairs = {preview.renames.get(pair_id.report, pair_id.report): pair_id for pair_id in preview.ended_pairs}
    reports_with_changes = (new_pairs.keys() | former_pairs.keys()) & roster.persons.keys()
    staying_reports = sorted(reports_with_changes - set(preview.added_people))
    return RosterChanges(
        joiners=[
            Joiner(email, roster.persons[email].name, email in preview.returning_people, new_pairs.get(email))
            for email in preview.added_people
        ],
        leavers=_list_leavers(preview, stored_people),
        manager_changes=[
            _make_manager_change(roster.persons[email], former_pairs.get(email), new_pairs.get(email), preview)
            for email in staying_reports
        ],
        renames=preview.renames,
        setting_changes=preview.setting_changes,
        event_count=preview.cancel_count,
    )


def _make_manager_change(
    report: Person, former_pair: PairId | None, new_pair: NewPair | None, preview: ImportPreview
) -> ManagerChange:
    former_manager = former_pair.manager if former_pair else None
    event_count = preview.booked_counts.get(former_pair, 0) if former_pair else 0
    return ManagerChange(report.email, report.name, former_manager, event_count, new_pair)


def _list_leavers(preview: ImportPreview, stored_people: Mapping[Address, Person]) -> list[Leaver]:
    report_counts, event_counts = Counter[Address](), Counter[Address]()
    for pair_id in preview.ended_pairs:
        report_counts[pair_id.manager] += 1
        for email in pair_id.people:
            event_counts[email] += preview.booked_counts.get(pair_id, 0)
    return [
        Leaver(email, stored_people[email].name, report_counts[email], event_counts[email])
        for email in preview.removed_people
    ]


def _find_new_pairs(
    preview: ImportPreview,
    roster: Roster,
    store: Store,
    find_participation: Callable[[Pair], Participation],
    policy: Policy,
    now: datetime,
) -> dict[Address, NewPair]:
    """Return the new pairs by report, each with the approximate day of its first session.

    The day depends on the pair's turn, since the pairs of a manager that have never met begin one after the other.
    """
    pairs_by_manager: dict[Address, list[Pair]] = defaultdict(list)
    for pair_id in preview.added_pairs:
        pairs_by_manager[pair_id.manager].append(roster.pairs[pair_id])
    waiting_pairs = store.people.load_waiting_pairs(pairs_by_manager)
    new_pairs: dict[Address, NewPair] = {}
    for manager, pairs in pairs_by_manager.items():
        starting_pairs = {
            pair.id: pair for pair in pairs if pair.is_active and find_participation(pair) is Participation.YES
        }
        still_waiting = [
            waiting
            for waiting in waiting_pairs.get(manager, ())
            if waiting.pair.is_active and waiting.pair.id in roster.pairs
        ]
        turns = list_turns([*still_waiting, *map(WaitingPair, starting_pairs.values())], now, policy)
        for pair in pairs:
            first_session = None
            if pair.id in starting_pairs:
                turn = turns.get(pair.id, Turn())  # without a turn: the pair's start decides when it begins
                first_session = make_turn_window(pair, turn, roster.persons[manager].zone, now, policy).target.date()
            new_pairs[pair.report] = NewPair(manager, first_session, pair.paused)
    return new_pairs


def describe_value(value: object) -> str:
    """Return the value of a pair's or person's setting as the people file writes it; `-` for an empty value."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, WorkingHours):
        return format_hours(value)
    if isinstance(value, Preference):
        weekday = "" if value.weekday is None else SHORT_DAY_NAMES[value.weekday]
        time_of_day = "" if value.minute is None else format_clock(value.minute)
        return f"{weekday} {time_of_day}".strip() or "-"
    return str(value) if value not in (None, "") else "-"
