"""Previews the withdrawal of pairs: the events that would come off calendars, and the mails about them."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from worker.domain.model import Address, EffectKind, PairId, Participation, Plan, Policy
from worker.domain.planning.planner import plan
from worker.store.store import Store

BATCH = 200


@dataclass(frozen=True, slots=True)
class Withdrawal:
    """The effects of withdrawing some pairs."""

    pair_count: int  #: those that have not ended
    event_count: int
    calendars: frozenset[Address]  #: on which these events are
    mail_count: int  #: withdrawals of invitations that went out by mail


def preview_withdrawal(
    store: Store,
    policy: Policy,
    participation: Mapping[PairId, Participation],
    now: datetime,
    watch: Callable[[int], None] = lambda done: None,
) -> Withdrawal:
    """Return the effects of withdrawing these pairs, each for the reason given. Writes nothing.

    `watch` is told how many pairs are done.
    """
    pairs = sorted(participation)
    plans: list[Plan] = []
    count = 0
    for n in range(0, len(pairs), BATCH):
        for state in store.plans.load(pairs[n : n + BATCH], now).states:
            withdrawn = replace(state.pair, participation=participation[state.pair.id])
            plans.append(plan(now, replace(state, pair=withdrawn), None, policy))
            count += not state.pair.ended
        watch(min(n + BATCH, len(pairs)))
    return _count_effects(plans, count)


def _count_effects(plans: Sequence[Plan], pair_count: int) -> Withdrawal:
    effects = [effect for pair_plan in plans for effect in pair_plan.effects]
    cancels = [effect for effect in effects if effect.kind is EffectKind.CANCEL]
    mails = sum(effect.kind is EffectKind.MAIL for effect in effects)
    return Withdrawal(pair_count, len(cancels), frozenset(effect.calendar for effect in cancels), mails)
