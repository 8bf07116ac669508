"""The pairs in the stores of tests, and the effects that tests put into an outbox and read from it."""

from dataclasses import replace
from datetime import timedelta

from sqlalchemy import select

from tests.support.companies import DANA, DAY, KIM, MINUTE, SAM, START
from worker.domain.model import Effect, EffectKind, PairId, Plan
from worker.domain.planning.plan_builder import floor_to_shared_grid
from worker.store import rows, tables
from worker.store.store import Store

LEASE_END = START + 10 * MINUTE
PAIR = PairId(DANA, SAM)
OTHER_PAIR = PairId(DANA, KIM)
#: The last daily time of the shared grid that is at most 14 days after START.
LAST_GRID_TIME = floor_to_shared_grid(START + 14 * DAY, DAY)


def make_effect(key: str, kind: EffectKind = EffectKind.MAIL, subject: str = "s1", **fields: object) -> Effect:
    effect = Effect(key=key, kind=kind, pair=PAIR, subject=subject, due_at=START, decided_at=START, event="s1.1")
    return replace(effect, **fields)  # type: ignore[arg-type]


def commit_effects(store: Store, *effects: Effect, pair_id: PairId = PAIR, due: timedelta = DAY) -> None:
    """Put these effects into the outbox, as a sweep does."""
    assert store.plans.claim_pairs([pair_id], START, "sweep", LEASE_END) == [pair_id]
    wakes = store.plans.load([pair_id], START).wake_counts
    store.plans.commit([Plan(pair=pair_id, effects=effects, due_at=START + due)], wakes, "sweep", START)
    store.plans.release("sweep")


def load_effect(store: Store, key: str) -> Effect:
    with store.database.read() as connection:
        effect_row = connection.execute(select(tables.outbox).where(tables.outbox.c.key == key)).mappings().one()
        return rows.read_effect(effect_row)
