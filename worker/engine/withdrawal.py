"""Previews the withdrawal of pairs from the rollout: counts the events that would be cancelled, and the mails.

Withdrawn pairs no longer take part, so that their coming events are taken off calendars.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from worker.domain.model import Address, EffectKind, EndReason, PairId, Participation, Plan, Policy
from worker.domain.planning.planner import plan
from worker.store.store import Store

#: How many pairs are loaded at once.
BATCH = 200


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The effects of withdrawing some pairs."""

    pair_count: int  #: the number of pairs that have not ended
    event_count: int  #: the number of events that would be cancelled
    calendars: frozenset[Address]  #: the owners of the calendars that hold these events
    mail_count: int  #: the number of mails that withdraw invitations which were sent by mail


def preview_withdrawal(
    store: Store,
    policy: Policy,
    participation: Mapping[PairId, Participation],
    now: datetime,
    report_progress: Callable[[int], None] = lambda done: None,
) -> Withdrawal:
    """Return the effects of withdrawing these pairs. Writes nothing.

    `participation` holds for each pair why it would no longer take part. `report_progress` is called with the number of
    pairs that have been processed.
    """
    pairs = sorted(participation)
    plans: list[Plan] = []
    pair_count = 0
    for first in range(0, len(pairs), BATCH):
        for state in store.plans.load(pairs[first : first + BATCH], now).states:
            withdrawn_pair = replace(state.pair, participation=participation[state.pair.id])
            # without free/busy, since nothing is booked for a withdrawn pair
            plans.append(plan(now, replace(state, pair=withdrawn_pair), None, policy))
            pair_count += state.pair.ended is EndReason.NO
        report_progress(min(first + BATCH, len(pairs)))
    return _count_effects(plans, pair_count)


def _count_effects(plans: Sequence[Plan], pair_count: int) -> Withdrawal:
    effects = [effect for pair_plan in plans for effect in pair_plan.effects]
    cancels = [effect for effect in effects if effect.kind is EffectKind.CANCEL]
    return Withdrawal(
        pair_count=pair_count,
        event_count=len(cancels),
        calendars=frozenset(effect.calendar for effect in cancels),
        # the plan of a withdrawn pair has no mails except those that withdraw an invitation
        mail_count=sum(effect.kind is EffectKind.MAIL for effect in effects),
    )
