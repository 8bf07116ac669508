"""Who takes part: the rollout that the settings describe, and what the operator has paused. Decided here alone.

A pair takes part when its manager is named in `managers`, its manager or its report in `addresses`, or the group of
its report in `groups`. A rollout that names nobody in any of the three ways is for everybody.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime

from worker.domain.model import Address, Pair, Participation, Person
from worker.domain.time.worktime import wall_to_utc

#: The reasons for which the rollout itself leaves a pair out: it does not name the pair, or has not begun.
OUTSIDE = frozenset({Participation.NOT_CHOSEN, Participation.NOT_BEGUN})


@dataclass(frozen=True, slots=True, kw_only=True)
class Rollout:
    """The pairs that take part. None means that a list is not given; an empty list names nobody."""

    groups: tuple[str, ...] | None = None  #: of reports
    managers: tuple[Address, ...] | None = None
    addresses: tuple[Address, ...] | None = None  #: of managers and of reports
    start: date | None = None  #: nobody hears of Longarc before this day, and nothing is booked

    @property
    def is_for_everybody(self) -> bool:
        """Whether no list limits it; it may still begin later."""
        return self.groups is None and self.managers is None and self.addresses is None


@dataclass(frozen=True, slots=True, kw_only=True)
class PauseScope:
    """Whom the operator pauses or resumes: a group, or all pairs of a person; everybody, when neither is named."""

    group: str = ""  #: of reports
    person: Address = ""

    @property
    def is_everybody(self) -> bool:
        return not (self.group or self.person)


@dataclass(frozen=True, slots=True, kw_only=True)
class StandingPauses:
    """What the operator has paused as a whole. Who comes later is paused as well, unlike by the pause of a pair."""

    everybody: bool = False
    is_quiet: bool = False  #: of everybody: guests get no notice that events come off
    groups: frozenset[str] = frozenset()  #: of reports
    people: frozenset[Address] = frozenset()  #: all pairs of each of them

    @property
    def is_undo_over(self) -> bool:
        """Whether an undo is over: it lasts as long as everybody is paused."""
        return not self.everybody

    def pause(self, scope: PauseScope) -> "StandingPauses":
        """Return the pauses after these are paused; the same ones when they are already."""
        if scope.is_everybody:
            return replace(self, everybody=True)
        if scope.person:
            return replace(self, people=self.people | {scope.person})
        return self if has_group(scope.group, self.groups) else replace(self, groups=self.groups | {scope.group})

    def resume(self, scope: PauseScope) -> "StandingPauses":
        """Return the pauses after these are resumed; the same ones when they are not paused. Others stay."""
        if scope.is_everybody:
            return replace(self, everybody=False, is_quiet=False)
        if scope.person:
            return replace(self, people=self.people - {scope.person})
        return replace(self, groups=frozenset(name for name in self.groups if not has_group(name, [scope.group])))

    def begin_undo(self, *, is_quiet: bool) -> "StandingPauses":
        """Return the pauses while everything is undone: everybody is paused."""
        return replace(self, everybody=True, is_quiet=is_quiet)


def decide_participation(
    pair: Pair, manager: Person, report: Person, rollout: Rollout, pauses: StandingPauses, now: datetime
) -> Participation:
    """Return whether the pair takes part, or else why not. The addresses given are primary addresses.

    Of a pair that has ended, what still stands on a calendar goes when everybody is paused.
    """
    if not pair.ended and not is_chosen(pair, report.group, rollout):
        return Participation.NOT_CHOSEN
    if pauses.everybody:
        return Participation.WITHDRAWN_QUIETLY if pauses.is_quiet else Participation.EVERYBODY_PAUSED
    if pair.ended:
        return Participation.YES
    if has_group(report.group, pauses.groups):
        return Participation.GROUP_PAUSED
    if pauses.people.intersection(pair.id.people):
        return Participation.PERSON_PAUSED
    beginning = find_beginning(rollout, manager, report)
    if beginning is not None and now < beginning:
        return Participation.NOT_BEGUN
    return Participation.YES


def resolve_aliases(rollout: Rollout, owners: Mapping[str, Address]) -> Rollout:
    """Return the rollout with primary addresses in place of aliases. `owners`: the primary address by alias."""
    managers, addresses = (
        None if listed is None else tuple(owners.get(address, address) for address in listed)
        for listed in (rollout.managers, rollout.addresses)
    )
    return replace(rollout, managers=managers, addresses=addresses)


def is_chosen(pair: Pair, group: str, rollout: Rollout) -> bool:
    """Return whether the rollout is for this pair, whenever it begins. `group`: that of the report."""
    return (
        rollout.is_for_everybody
        or pair.manager in (rollout.managers or ())
        or not {pair.manager, pair.report}.isdisjoint(rollout.addresses or ())
        or has_group(group, rollout.groups or ())
    )


def is_paused(pair: Pair) -> bool:
    """Return whether somebody paused the pair, by itself or with others. A pair outside the rollout is not paused."""
    return pair.participation not in OUTSIDE and (pair.paused or pair.participation is not Participation.YES)


def has_group(group: str, groups: Collection[str]) -> bool:
    """Return whether a group is among these, in upper or lower case. No group is the group of nobody."""
    return bool(group) and group.casefold() in {one.casefold() for one in groups}


def find_beginning(rollout: Rollout, manager: Person, report: Person) -> datetime | None:
    """Return when the first day of the rollout has begun for both; None when it has no first day."""
    if rollout.start is None:
        return None
    return max(wall_to_utc(person.zone, rollout.start, 0) for person in (manager, report))
