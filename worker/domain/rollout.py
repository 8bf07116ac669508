"""Decides which pairs take part. No other module decides this.

Two things decide: the rollout that the settings describe, and the pauses of the operator. The rollout includes a pair
when its list `managers` names the manager, when `addresses` names the manager or the report, or when `groups` names the
report's group. A rollout without any of these lists includes every pair.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from worker.domain.model import Address, Pair, Participation, Person
from worker.domain.time.worktime import find_midnight

#: The values for a pair that the rollout excludes: its lists do not include the pair, or it has not begun.
EXCLUDED_BY_ROLLOUT = frozenset({Participation.NOT_CHOSEN, Participation.NOT_BEGUN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """Which pairs take part, and from which day. A list is None when the settings leave it out; an empty list names
    nobody."""

    groups: tuple[str, ...] | None = None  #: groups of reports
    managers: tuple[Address, ...] | None = None
    addresses: tuple[Address, ...] | None = None  #: managers and reports
    start: date | None = None  #: before this day, nothing is booked and no mail is sent

    @property
    def is_for_everybody(self) -> bool:
        """Whether the rollout has no list, so that it includes every pair. It may still begin on a later day."""
        return self.groups is None and self.managers is None and self.addresses is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseScope:
    """Whom the operator pauses or resumes: a group, all pairs of a person, or everybody if both fields are empty."""

    group: str = ""  #: a group of reports
    person: Address = ""

    @property
    def is_everybody(self) -> bool:
        return not (self.group or self.person)


@dataclass(frozen=True, slots=True, kw_only=True)
class OperatorPauses:
    """The operator's pauses of everybody, of groups and of people. They also apply to pairs that are added later.

    The pause of a single pair is a field of `Pair`.
    """

    everybody: bool = False
    is_quiet: bool = False  #: whether guests get no notice of the events that are cancelled while everybody is paused
    groups: frozenset[str] = frozenset()  #: groups of reports
    people: frozenset[Address] = frozenset()  #: the people whose pairs are all paused

    @property
    def is_undo_over(self) -> bool:
        """Whether these pauses end an undo that is under way. An undo lasts only while everybody is paused."""
        return not self.everybody

    def pause(self, scope: PauseScope) -> "OperatorPauses":
        """Return the pauses with the pause of `scope` added; unchanged when `scope` is paused already."""
        if scope.is_everybody:
            return replace(self, everybody=True)
        if scope.person:
            return replace(self, people=self.people | {scope.person})
        return self if is_in_groups(scope.group, self.groups) else replace(self, groups=self.groups | {scope.group})

    def resume(self, scope: PauseScope) -> "OperatorPauses":
        """Return the pauses without the pause of exactly this scope; unchanged when there is no such pause."""
        if scope.is_everybody:
            return replace(self, everybody=False, is_quiet=False)
        if scope.person:
            return replace(self, people=self.people - {scope.person})
        return replace(self, groups=frozenset(name for name in self.groups if not is_in_groups(name, [scope.group])))

    def begin_undo(self, *, is_quiet: bool) -> "OperatorPauses":
        """Return the pauses with everybody paused, as during an undo. With `is_quiet`, guests get no notice."""
        return replace(self, everybody=True, is_quiet=is_quiet)


def decide_participation(
    pair: Pair, manager: Person, report: Person, rollout: Rollout, pauses: OperatorPauses, now: datetime
) -> Participation:
    """Return whether the pair takes part, or the reason why not. `rollout` and `pauses` must hold primary addresses.

    A pair that has ended is paused only when everybody is paused. Its remaining events are then cancelled.
    """
    if not pair.ended and not is_chosen(pair, report.group, rollout):
        return Participation.NOT_CHOSEN
    if pauses.everybody:
        return Participation.WITHDRAWN_QUIETLY if pauses.is_quiet else Participation.EVERYBODY_PAUSED
    if pair.ended:
        return Participation.YES
    if is_in_groups(report.group, pauses.groups):
        return Participation.GROUP_PAUSED
    if pauses.people.intersection(pair.id.people):
        return Participation.PERSON_PAUSED
    beginning = find_beginning(rollout, manager, report)
    if beginning is not None and now < beginning:
        return Participation.NOT_BEGUN
    return Participation.YES


def resolve_aliases(rollout: Rollout, owners: Mapping[str, Address]) -> Rollout:
    """Return the rollout with primary addresses in place of aliases. `owners` maps each alias to a primary address."""
    managers, addresses = (
        None if listed is None else tuple(owners.get(address, address) for address in listed)
        for listed in (rollout.managers, rollout.addresses)
    )
    return replace(rollout, managers=managers, addresses=addresses)


def is_chosen(pair: Pair, group: str, rollout: Rollout) -> bool:
    """Return whether the rollout includes the pair, now or once it begins. `group` is the report's group."""
    return (
        rollout.is_for_everybody
        or pair.manager in (rollout.managers or ())
        or not {pair.manager, pair.report}.isdisjoint(rollout.addresses or ())
        or is_in_groups(group, rollout.groups or ())
    )


def is_paused(pair: Pair) -> bool:
    """Return whether the pair is paused, alone or with others. A pair outside the rollout does not count as paused."""
    return pair.participation not in EXCLUDED_BY_ROLLOUT and (
        pair.paused or pair.participation is not Participation.YES
    )


def is_in_groups(group: str, groups: Collection[str]) -> bool:
    """Return whether the group is in `groups`, ignoring case. An empty name means no group, and is in none."""
    return bool(group) and group.casefold() in {name.casefold() for name in groups}


def find_beginning(rollout: Rollout, manager: Person, report: Person) -> datetime | None:
    """Return when the first day of the rollout has begun in both people's zones; None without a first day."""
    if rollout.start is None:
        return None
    return max(find_midnight(person.zone, rollout.start) for person in (manager, report))
