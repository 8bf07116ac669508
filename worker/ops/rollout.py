"""The rollout: checks that everybody it names exists, and sentences that describe it and what is paused."""

from collections.abc import Collection, Iterator

from worker.domain.model import Address
from worker.domain.rollout import Rollout, StandingPauses, has_group, is_chosen, resolve_aliases
from worker.providers.base import Finding
from worker.roster.model import Roster
from worker.settings.parsers import find_nearest
from worker.store.undo import UndoState


def select_chosen_pairs(rollout: Rollout, people: Roster) -> Roster:
    """Return the people with the pairs alone that the rollout is for, whenever it begins."""
    rollout = _use_primary_addresses(rollout, people)
    chosen = {
        pair_id: pair
        for pair_id, pair in people.pairs.items()
        if is_chosen(pair, people.persons[pair.report].group, rollout)
    }
    return Roster(people.persons, chosen, people.unset_columns, people.aliases)


def _use_primary_addresses(rollout: Rollout, people: Roster) -> Rollout:
    return resolve_aliases(rollout, {alias.alias: alias.person for alias in people.aliases})


def check_rollout(rollout: Rollout, people: Roster) -> Iterator[Finding]:
    """Yield what is named and does not exist, with the nearest name, and how many pairs take part."""
    from_day = f", from {rollout.start} on" if rollout.start else ""
    if rollout.is_for_everybody:
        yield Finding(f"Everybody takes part{from_day}", True)
        return
    rollout = _use_primary_addresses(rollout, people)
    yield from _check_groups(rollout.groups or (), people)
    managers = {pair.manager for pair in people.pairs.values()}
    yield from _check_addresses("managers", rollout.managers or (), managers, "is the manager of a pair")
    paired = managers | {pair.report for pair in people.pairs.values()}
    yield from _check_addresses("addresses", rollout.addresses or (), paired, "is in a pair")
    count, total = len(select_chosen_pairs(rollout, people).pairs), len(people.pairs)
    remedy = "" if count else "Name a group, a manager or an address, or take the section `[rollout]` out."
    yield Finding(f"{count:,} of {total:,} pairs take part (rollout){from_day}", bool(count), remedy)


def _check_groups(groups: Collection[str], people: Roster) -> Iterator[Finding]:
    known = {group for pair in people.pairs.values() if (group := people.persons[pair.report].group)}
    for group in groups:
        if not has_group(group, known):
            yield Finding(
                f"settings: rollout.groups: no report is in the group `{group}`", False, _advise(group, known)
            )


def _check_addresses(
    key: str, addresses: Collection[Address], known: Collection[Address], what: str
) -> Iterator[Finding]:
    for address in addresses:
        if address not in known:
            finding = f"settings: rollout.{key}: nobody with the address {address} {what}"
            yield Finding(finding, False, _advise(address, known))


def _advise(name: str, known: Collection[str]) -> str:
    nearest = find_nearest(name, known)
    return f"Did you mean `{nearest}`?" if nearest else "Take it out, or write it as the people file has it."


def describe_rollout(rollout: Rollout | None) -> str:
    """Return a sentence on the rollout in force."""
    if rollout is None or (rollout.is_for_everybody and rollout.start is None):
        return "The rollout is for everybody."
    parts = [
        f"{name} {', '.join(listed[:5])}{f' and {len(listed) - 5:,} more' if len(listed) > 5 else ''}"
        for name in ("groups", "managers", "addresses")
        if (listed := getattr(rollout, name))
    ]
    whom = "for everybody" if rollout.is_for_everybody else f"for {'; '.join(parts) or 'nobody'}"
    return f"The rollout is {whom}{f', from {rollout.start} on' if rollout.start else ''}."


def describe_undo(state: UndoState | None, standing_count: int) -> str:
    """Return a sentence on how far undoing is; empty when it was not asked for. `standing_count`: events to come."""
    if state is None:
        return ""
    if state.finished_at is not None:
        return f"Undone at {state.finished_at:%Y-%m-%d %H:%M} UTC: nothing of ours is on a calendar to come."
    left = "1 event still stands" if standing_count == 1 else f"{standing_count:,} events still stand"
    return f"Undoing since {state.begun_at:%Y-%m-%d %H:%M} UTC: {left}. `longarc undo` goes on with it."


def describe_pauses(pauses: StandingPauses) -> str:
    """Return a sentence on the standing pauses, with the command that ends them; empty when there are none."""
    if pauses.everybody:
        return "Everybody is paused. `longarc resume --everybody` ends that."
    names = [f"the group {group}" for group in sorted(pauses.groups)] + sorted(pauses.people)
    return f"Paused: {', '.join(names)}. `longarc resume` ends each." if names else ""
