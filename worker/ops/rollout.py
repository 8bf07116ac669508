"""Checks that all names in the rollout exist, and sentences that describe the rollout, pauses and an undo.

The rollout says which pairs take part, and from which day. An undo takes every event of ours off every calendar.
"""

from collections.abc import Collection, Iterator, Sequence

from worker.domain.model import Address
from worker.domain.rollout import OperatorPauses, Rollout, is_chosen, is_in_groups, resolve_aliases
from worker.providers.base import Finding
from worker.roster.model import Roster
from worker.settings.parsers import find_nearest
from worker.store.undo import UndoState

#: The most names of one kind in a sentence; further names are counted.
_MAX_NAMES = 5


def select_chosen_pairs(rollout: Rollout, roster: Roster) -> Roster:
    """Return the roster with only those pairs that the rollout includes, whenever it begins."""
    rollout = _use_primary_addresses(rollout, roster)
    chosen = {
        pair_id: pair
        for pair_id, pair in roster.pairs.items()
        if is_chosen(pair, roster.persons[pair.report].group, rollout)
    }
    return Roster(roster.persons, chosen, roster.unset_columns, roster.aliases)


def _use_primary_addresses(rollout: Rollout, roster: Roster) -> Rollout:
    return resolve_aliases(rollout, {alias.alias: alias.person for alias in roster.aliases})


def check_rollout(rollout: Rollout, roster: Roster) -> Iterator[Finding]:
    """Yield a finding on each name that does not exist, with the most similar name, and on how many pairs take part."""
    from_day = f", from {rollout.start} on" if rollout.start else ""
    if rollout.is_for_everybody:
        yield Finding(f"Everybody takes part{from_day}", ok=True)
        return
    rollout = _use_primary_addresses(rollout, roster)
    yield from _check_groups(rollout.groups or (), roster)
    managers = {pair.manager for pair in roster.pairs.values()}
    yield from _check_addresses("managers", rollout.managers or (), managers, condition="is the manager of a pair")
    everybody = managers | {pair.report for pair in roster.pairs.values()}
    yield from _check_addresses("addresses", rollout.addresses or (), everybody, condition="is in a pair")
    count, total = len(select_chosen_pairs(rollout, roster).pairs), len(roster.pairs)
    remedy = "" if count else "Name a group, a manager or an address, or remove the section `[rollout]`."
    yield Finding(f"{count:,} of {total:,} pairs take part (rollout){from_day}", ok=bool(count), remedy=remedy)


def _check_groups(groups: Collection[str], roster: Roster) -> Iterator[Finding]:
    existing = {group for pair in roster.pairs.values() if (group := roster.persons[pair.report].group)}
    for group in groups:
        if not is_in_groups(group, existing):
            statement = f"settings: rollout.groups: no report is in the group `{group}`"
            yield Finding(statement, ok=False, remedy=_suggest_name(group, existing))


def _check_addresses(
    key: str, addresses: Collection[Address], existing: Collection[Address], *, condition: str
) -> Iterator[Finding]:
    for address in addresses:
        if address not in existing:
            statement = f"settings: rollout.{key}: nobody with the address {address} {condition}"
            yield Finding(statement, ok=False, remedy=_suggest_name(address, existing))


def _suggest_name(name: str, existing: Collection[str]) -> str:
    """Return the advice for a name that does not exist: the most similar name, if there is one."""
    nearest = find_nearest(name, existing)
    return f"Did you mean `{nearest}`?" if nearest else "Remove it, or write it as the people file does."


def describe_rollout(rollout: Rollout | None) -> str:
    """Return a sentence on the rollout in force. It names at most `_MAX_NAMES` of each kind."""
    if rollout is None or (rollout.is_for_everybody and rollout.start is None):
        return "The rollout is for everybody."
    parts = [
        f"{kind} {_join_names(names)}"
        for kind in ("groups", "managers", "addresses")
        if (names := getattr(rollout, kind))
    ]
    whom = "everybody" if rollout.is_for_everybody else "; ".join(parts) or "nobody"
    from_day = f", from {rollout.start} on" if rollout.start else ""
    return f"The rollout is for {whom}{from_day}."


def _join_names(names: Sequence[str]) -> str:
    """Return the first names, separated by commas, and how many more there are."""
    hidden_count = len(names) - _MAX_NAMES
    more = f" and {hidden_count:,} more" if hidden_count > 0 else ""
    return ", ".join(names[:_MAX_NAMES]) + more


def describe_undo(state: UndoState | None, remaining_count: int) -> str:
    """Return a sentence on the progress of the undo; empty without an undo. `remaining_count` events are left."""
    if state is None:
        return ""
    if state.finished_at is not None:
        return f"The undo ended at {state.finished_at:%Y-%m-%d %H:%M} UTC: no coming event of ours is on a calendar."
    remaining = "1 event is" if remaining_count == 1 else f"{remaining_count:,} events are"
    begun_at = f"{state.begun_at:%Y-%m-%d %H:%M}"
    return f"An undo began at {begun_at} UTC: {remaining} still on calendars. `longarc undo` continues it."


def describe_pauses(pauses: OperatorPauses) -> str:
    """Return a sentence on the pauses in force, with the command that ends them; empty when there are none."""
    if pauses.everybody:
        return "Everybody is paused. `longarc resume --everybody` ends that."
    names = [f"the group {group}" for group in sorted(pauses.groups)] + sorted(pauses.people)
    return f"Paused: {', '.join(names)}. `longarc resume` ends each." if names else ""
