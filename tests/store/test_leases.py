"""The claims of sweeps and deliveries: leases, wakes and the outbox.

Every test runs on SQLite and on PostgreSQL.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import pytest
from sqlalchemy import select

from tests.support.companies import DANA, DAY, HOUR, KIM, MINUTE, SAM, START, company, new_store, pair, pairs, people
from tests.support.store_effects import (
    LAST_GRID_TIME,
    LEASE_END,
    OTHER_PAIR,
    PAIR,
    commit_effects,
    load_effect,
    make_effect,
)
from worker.domain.model import (
    Decision,
    EffectKind,
    EffectProgress,
    EventRef,
    PairId,
    PlacedEvent,
    Plan,
    Settlement,
    Span,
)
from worker.errors import LeaseLost
from worker.store import tables
from worker.store.outbox import Doubt, EffectResult
from worker.store.store import Store

# --- each person is in at most one sweep at a time ---


def test_two_sweeps_never_claim_the_same_person(store: Store, second_store: Store) -> None:
    assert set(store.plans.claim(START, "one", LEASE_END, limit=10)) == {PAIR, OTHER_PAIR}
    assert second_store.plans.claim(START, "two", LEASE_END, limit=10) == []
    assert second_store.plans.claim_pairs([PAIR], START, "two", LEASE_END) == []


def test_pairs_with_a_common_manager_are_not_claimed_by_two_sweeps(store: Store, second_store: Store) -> None:
    """Dana is the manager of both pairs, and a sweep leases all the people of its pairs."""
    assert store.plans.claim_pairs([PAIR], START, "one", LEASE_END) == [PAIR]
    assert second_store.plans.claim_pairs([OTHER_PAIR], START, "two", LEASE_END) == []
    store.plans.release("one")
    assert second_store.plans.claim_pairs([OTHER_PAIR], START, "two", LEASE_END) == [OTHER_PAIR]


def test_pair_of_a_report_who_is_also_a_manager_is_not_claimed_twice(store: Store, second_store: Store) -> None:
    pair_below = pair(SAM, "eve@corp.example")
    store.people.apply_import(
        people(DANA, SAM, KIM, "eve@corp.example"), pairs(pair(), pair(DANA, KIM), pair_below), START
    )
    assert store.plans.claim_pairs([PAIR], START, "one", LEASE_END) == [PAIR]
    assert second_store.plans.claim_pairs([pair_below.id, OTHER_PAIR], START, "two", LEASE_END) == []


def test_holder_of_a_lease_that_was_taken_over_writes_nothing(store: Store, second_store: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", LEASE_END)
    wake_counts = store.plans.load([PAIR], START).wake_counts
    assert second_store.plans.claim_pairs([PAIR], LEASE_END - timedelta(seconds=1), "two", LEASE_END + HOUR) == []
    assert second_store.plans.claim_pairs([PAIR], LEASE_END, "two", LEASE_END + HOUR) == [PAIR]
    decision = Decision(at=START, what="session", pair=PAIR, reason="Too late.")
    late_plan = Plan(pair=PAIR, effects=(make_effect("late"),), decisions=(decision,), due_at=LEASE_END + DAY)
    with pytest.raises(LeaseLost):
        store.plans.commit([late_plan], wake_counts, "one", LEASE_END)
    assert store.outbox.count_by_progress() == {}
    assert store.queries.list_history() == []
    assert store.load_next_due().pair == START


def test_holder_of_an_expired_lease_writes_nothing(store: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", LEASE_END)
    wake_counts = store.plans.load([PAIR], START).wake_counts
    with pytest.raises(LeaseLost):
        store.plans.commit([Plan(pair=PAIR, effects=(make_effect("late"),))], wake_counts, "one", LEASE_END)
    assert store.outbox.count_by_progress() == {}


def test_one_lost_lease_rolls_back_the_whole_sweep(store: Store, second_store: Store) -> None:
    """Neither the other pair of the same sweep nor the additional write is stored."""
    disjoint_pair = pair(KIM, "eve@corp.example")
    store.people.apply_import(people(DANA, SAM, KIM, "eve@corp.example"), pairs(pair(), disjoint_pair), START)
    assert set(store.plans.claim(START, "one", LEASE_END, limit=10)) >= {PAIR, disjoint_pair.id}
    wake_counts = store.plans.load([PAIR, disjoint_pair.id], START).wake_counts
    store.plans.release("one")
    store.plans.claim_pairs([disjoint_pair.id], START, "one", LEASE_END)
    second_store.plans.claim_pairs([PAIR], START, "two", LEASE_END)
    additional_writes: list[str] = []
    plans = [Plan(pair=disjoint_pair.id, effects=(make_effect("m", pair=disjoint_pair.id),)), Plan(pair=PAIR)]
    with pytest.raises(LeaseLost):
        store.plans.commit(plans, wake_counts, "one", START, lambda _: additional_writes.append("written"))
    assert store.outbox.count_by_progress() == {} and additional_writes == []


def test_plan_is_not_stored_when_the_additional_write_fails(store: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", LEASE_END)
    wake_counts = store.plans.load([PAIR], START).wake_counts

    def fail(_: object) -> None:
        raise RuntimeError("the other half failed")

    with pytest.raises(RuntimeError):
        store.plans.commit([Plan(pair=PAIR, effects=(make_effect("m"),))], wake_counts, "one", START, fail)
    assert store.outbox.count_by_progress() == {}


@pytest.mark.parametrize("holder_count", [2, 6])
def test_concurrent_claims_never_share_a_person(database_url: str, holder_count: int) -> None:
    """No person is claimed by two holders, at least one holder gets pairs, and in the end each pair was claimed once.

    In each round all holders claim at the same moment, and then plan what they have claimed.
    """
    persons, company_pairs = company(40, reports=4)
    stores = [new_store(database_url) for _ in range(holder_count)]
    stores[0].people.apply_import(persons, company_pairs, START)
    barrier = threading.Barrier(holder_count)

    def claim(holder_number: int) -> list[PairId]:
        barrier.wait()
        return stores[holder_number].plans.claim(START, f"holder{holder_number}", LEASE_END, limit=15)

    pairs_by_round: list[list[PairId]] = []
    with ThreadPoolExecutor(holder_count) as pool:
        for _ in range(20):  # a few rounds are usual
            claimed_pairs = list(pool.map(claim, range(holder_count)))
            claimed_people = [{email for pair_id in pair_ids for email in pair_id.people} for pair_ids in claimed_pairs]
            assert sum(map(len, claimed_people)) == len(set().union(*claimed_people))
            for holder_number, pair_ids in enumerate(claimed_pairs):
                plans = stores[holder_number].plans
                wake_counts = plans.load(pair_ids, START).wake_counts
                plans.commit([Plan(pair=pair_id) for pair_id in pair_ids], wake_counts, f"holder{holder_number}", START)
            pairs_by_round.append([pair_id for pair_ids in claimed_pairs for pair_id in pair_ids])
            if sum(map(len, pairs_by_round)) >= len(company_pairs):
                break
    assert pairs_by_round[0]
    assert sorted(pair_id for round_pairs in pairs_by_round for pair_id in round_pairs) == sorted(company_pairs)
    for holder_store in stores:
        assert holder_store.plans.claim(START, "another", LEASE_END, limit=15) == []
        holder_store.close()


# --- wakes ---


def test_wake_during_a_sweep_survives_its_commit(store: Store, second_store: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", LEASE_END)
    wake_counts = store.plans.load([PAIR], START).wake_counts
    second_store.plans.wake([PAIR], START + MINUTE, reread_free_busy=True)
    plan = Plan(pair=PAIR, due_at=START + 30 * DAY, used_free_busy=True)
    store.plans.commit([plan], wake_counts, "one", START + MINUTE)
    store.plans.release("one")
    assert PAIR in store.plans.claim(START + MINUTE, "two", LEASE_END, limit=10)
    assert store.plans.load([PAIR], START).states[0].free_busy_used_at is None


def test_pair_without_a_wake_is_claimed_when_it_is_due(store: Store) -> None:
    store.plans.claim(START, "one", LEASE_END, limit=10)
    wake_counts = store.plans.load([PAIR, OTHER_PAIR], START).wake_counts
    plans = [Plan(pair=PAIR, due_at=START + 2 * DAY, used_free_busy=True), Plan(pair=OTHER_PAIR)]
    store.plans.commit(plans, wake_counts, "one", START)
    store.plans.release("one")
    assert store.load_next_due().pair == START + 2 * DAY
    assert store.plans.claim(START + 2 * DAY, "two", START + 3 * DAY, limit=10) == [PAIR]
    assert store.plans.load([PAIR], START).states[0].free_busy_used_at == START


def test_every_pair_is_due_again_within_14_days(store: Store) -> None:
    store.plans.claim(START, "one", LEASE_END, limit=10)
    wake_counts = store.plans.load([PAIR, OTHER_PAIR], START).wake_counts
    store.plans.commit([Plan(pair=PAIR), Plan(pair=OTHER_PAIR, due_at=START + 90 * DAY)], wake_counts, "one", START)
    assert store.load_next_due().pair == LAST_GRID_TIME


def test_wake_never_delays_a_pair(store: Store) -> None:
    store.plans.wake([PAIR, OTHER_PAIR], START + DAY)
    assert store.load_next_due().pair == START


# --- the outbox ---


def test_effects_of_one_event_are_claimed_one_at_a_time_and_in_order(store: Store, second_store: Store) -> None:
    """The update of an event waits for its create, and mails about the same session wait for neither."""
    commit_effects(
        store,
        make_effect("create", EffectKind.CREATE),
        make_effect("update", EffectKind.UPDATE),
        make_effect("mail"),
        make_effect("create-2", EffectKind.CREATE, subject="s2"),
    )
    first_claimed_keys = [claimed.effect.key for claimed in store.outbox.claim(START, "one", LEASE_END, limit=10)]
    assert sorted(first_claimed_keys) == ["create", "create-2", "mail"]
    assert second_store.outbox.claim(START, "two", LEASE_END, limit=10) == []
    store.outbox.begin("create", "one", LEASE_END)
    store.outbox.settle(
        EffectResult(effect=make_effect("create"), began_at=START, settlement=Settlement(EffectProgress.DONE)),
        "one",
        START,
    )
    (claimed_after_create,) = second_store.outbox.claim(START, "two", LEASE_END, limit=10)
    assert claimed_after_create.effect.key == "update"


def test_effect_that_is_tried_again_blocks_later_effects_of_its_event(store: Store) -> None:
    commit_effects(store, make_effect("create", EffectKind.CREATE), make_effect("update", EffectKind.UPDATE))
    store.outbox.claim(START, "one", LEASE_END, limit=10)
    store.outbox.begin("create", "one", LEASE_END)
    retry = Settlement(EffectProgress.WAITING, due_at=START + HOUR)
    store.outbox.settle(EffectResult(effect=make_effect("create"), began_at=START, settlement=retry), "one", START)
    assert store.outbox.claim(START + MINUTE, "one", LEASE_END, limit=10) == []
    (claimed_when_due,) = store.outbox.claim(START + HOUR, "one", START + 2 * HOUR, limit=10)
    assert claimed_when_due.effect.key == "create"


def test_holder_of_a_lost_lease_neither_begins_nor_settles_the_effect(store: Store, second_store: Store) -> None:
    commit_effects(store, make_effect("mail"))
    store.outbox.claim(START, "one", LEASE_END, limit=10)
    assert second_store.outbox.claim(LEASE_END - timedelta(seconds=1), "two", LEASE_END + HOUR, limit=10) == []
    (claimed,) = second_store.outbox.claim(LEASE_END, "two", LEASE_END + HOUR, limit=10)
    assert claimed.doubt is Doubt.NONE
    assert not store.outbox.begin("mail", "one", LEASE_END)
    assert second_store.outbox.begin("mail", "two", LEASE_END + HOUR)
    span = Span(START, LEASE_END)
    placed = PlacedEvent(key="s1.1", ref=EventRef(DANA, "e1", "1"), span=span, written_span=span)
    stale_result = EffectResult(
        effect=make_effect("mail"),
        began_at=START,
        settlement=Settlement(EffectProgress.DONE, needs_replanning=True),
        placed=placed,
        history_fields={},
    )
    store.outbox.settle(stale_result, "one", START)
    assert load_effect(store, "mail").progress is EffectProgress.SENDING
    assert store.queries.list_history() == []
    with store.database.read() as connection:
        assert connection.execute(select(tables.event)).all() == []


def test_effect_that_was_begun_and_not_settled_is_claimed_with_doubt(store: Store, second_store: Store) -> None:
    commit_effects(store, make_effect("mail"))
    store.outbox.claim(START, "one", LEASE_END, limit=10)
    assert store.outbox.begin("mail", "one", LEASE_END)
    (claimed,) = second_store.outbox.claim(LEASE_END, "two", LEASE_END + HOUR, limit=10)
    assert claimed.doubt is Doubt.UNKNOWN and claimed.effect.attempts == 1


def test_begin_extends_the_lease_of_an_effect(store: Store, second_store: Store) -> None:
    """The last effect of a long batch begins late, and no other process may claim it while its call runs."""
    commit_effects(store, make_effect("mail"))
    store.outbox.claim(START, "one", LEASE_END, limit=10)
    store.outbox.begin("mail", "one", LEASE_END + 4 * MINUTE)
    assert second_store.outbox.claim(LEASE_END, "two", LEASE_END + HOUR, limit=10) == []
    assert len(second_store.outbox.claim(LEASE_END + 4 * MINUTE, "two", LEASE_END + HOUR, limit=10)) == 1


def test_outbox_keeps_the_first_effect_of_each_key(store: Store) -> None:
    commit_effects(store, make_effect("mail", name="brief"))
    commit_effects(store, make_effect("mail", name="brief", to="somebody@else.example"))
    assert store.outbox.count_by_progress() == {"waiting": 1}
    assert load_effect(store, "mail").to == ""  # as in the first


def test_outbox_keeps_the_first_alert_of_each_key(store: Store) -> None:
    store.outbox.alert("same", "first words", START, "ops@corp.example")
    store.outbox.alert("same", "other words", START, "ops@corp.example")
    (claimed,) = store.outbox.claim(START, "one", LEASE_END, limit=10)
    assert claimed.alert_text == "first words"
