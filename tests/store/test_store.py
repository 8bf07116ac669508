"""The store: leases, wakes, the outbox, the history, and the import of people.

Every test runs on SQLite and on PostgreSQL.
"""

import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import SQLAlchemyError

from tests.support.companies import (
    DANA,
    DAY,
    HOUR,
    KIM,
    MINUTE,
    SAM,
    START,
    Office,
    company,
    new_store,
    pair,
    pairs,
    people,
    person,
)
from worker.domain.model import (
    Decision,
    Deferral,
    DeferralCause,
    Effect,
    EffectKind,
    EffectProgress,
    EndReason,
    EventRef,
    PairId,
    PlacedEvent,
    Plan,
    Reason,
    Settlement,
    Span,
)
from worker.domain.planning.plan_builder import floor_to_shared_grid
from worker.errors import LeaseLost
from worker.store import rows, tables
from worker.store.database import DatabaseUnreachable
from worker.store.outbox import Doubt, EffectResult
from worker.store.store import Store
from worker.store.types import format_reasons, parse_reasons

LEASE_END = START + 10 * MINUTE

PAIR = PairId(DANA, SAM)

OTHER_PAIR = PairId(DANA, KIM)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """A store with Dana and her reports Sam and Kim, imported at `START`."""
    store = new_store(database_url)
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), START)
    yield store
    store.close()


@pytest.fixture
def second_store(database_url: str, store: Store) -> Iterator[Store]:
    """The store of another process on the same database."""
    second_store = new_store(database_url)
    yield second_store
    second_store.close()


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


# --- each person is in at most one sweep at a time ---


def test_two_sweeps_never_claim_the_same_person(store: Store, second_store: Store) -> None:
    assert set(store.plans.claim(START, "one", LEASE_END, 10)) == {PAIR, OTHER_PAIR}
    assert second_store.plans.claim(START, "two", LEASE_END, 10) == []
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
    wakes = store.plans.load([PAIR], START).wake_counts
    assert second_store.plans.claim_pairs([PAIR], LEASE_END - timedelta(seconds=1), "two", LEASE_END + HOUR) == []
    assert second_store.plans.claim_pairs([PAIR], LEASE_END, "two", LEASE_END + HOUR) == [PAIR]
    decision = Decision(at=START, what="session", pair=PAIR, reason="Too late.")
    late_plan = Plan(pair=PAIR, effects=(make_effect("late"),), decisions=(decision,), due_at=LEASE_END + DAY)
    with pytest.raises(LeaseLost):
        store.plans.commit([late_plan], wakes, "one", LEASE_END)
    assert store.outbox.count_by_progress() == {}
    assert store.queries.list_history() == []
    assert store.load_next_due().pair == START


def test_holder_of_an_expired_lease_writes_nothing(store: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", LEASE_END)
    wakes = store.plans.load([PAIR], START).wake_counts
    with pytest.raises(LeaseLost):
        store.plans.commit([Plan(pair=PAIR, effects=(make_effect("late"),))], wakes, "one", LEASE_END)
    assert store.outbox.count_by_progress() == {}


def test_one_lost_lease_rolls_back_the_whole_sweep(store: Store, second_store: Store) -> None:
    """Neither the other pair of the same sweep nor the additional write is stored."""
    disjoint_pair = pair(KIM, "eve@corp.example")
    store.people.apply_import(people(DANA, SAM, KIM, "eve@corp.example"), pairs(pair(), disjoint_pair), START)
    assert set(store.plans.claim(START, "one", LEASE_END, 10)) >= {PAIR, disjoint_pair.id}
    wakes = store.plans.load([PAIR, disjoint_pair.id], START).wake_counts
    store.plans.release("one")
    store.plans.claim_pairs([disjoint_pair.id], START, "one", LEASE_END)
    second_store.plans.claim_pairs([PAIR], START, "two", LEASE_END)
    additional_writes: list[str] = []
    plans = [Plan(pair=disjoint_pair.id, effects=(make_effect("m", pair=disjoint_pair.id),)), Plan(pair=PAIR)]
    with pytest.raises(LeaseLost):
        store.plans.commit(plans, wakes, "one", START, lambda _: additional_writes.append("written"))
    assert store.outbox.count_by_progress() == {} and additional_writes == []


def test_plan_is_not_stored_when_the_additional_write_fails(store: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", LEASE_END)
    wakes = store.plans.load([PAIR], START).wake_counts

    def fail(_: object) -> None:
        raise RuntimeError("the other half failed")

    with pytest.raises(RuntimeError):
        store.plans.commit([Plan(pair=PAIR, effects=(make_effect("m"),))], wakes, "one", START, fail)
    assert store.outbox.count_by_progress() == {}


@pytest.mark.parametrize("holders", [2, 6])
def test_concurrent_claims_never_share_a_person(database_url: str, holders: int) -> None:
    """No person is claimed by two holders, at least one holder gets pairs, and in the end each pair was claimed once.

    In each round all holders claim at the same moment, and then plan what they have claimed.
    """
    persons, company_pairs = company(40, reports=4)
    stores = [new_store(database_url) for _ in range(holders)]
    stores[0].people.apply_import(persons, company_pairs, START)
    barrier = threading.Barrier(holders)

    def claim(holder_number: int) -> list[PairId]:
        barrier.wait()
        return stores[holder_number].plans.claim(START, f"holder{holder_number}", LEASE_END, 15)

    pairs_by_round: list[list[PairId]] = []
    with ThreadPoolExecutor(holders) as pool:
        for _ in range(20):  # a few rounds are usual
            claimed_pairs = list(pool.map(claim, range(holders)))
            claimed_people = [{email for pair_id in pair_ids for email in pair_id.people} for pair_ids in claimed_pairs]
            assert sum(map(len, claimed_people)) == len(set().union(*claimed_people))
            for holder_number, pair_ids in enumerate(claimed_pairs):
                plans = stores[holder_number].plans
                wakes = plans.load(pair_ids, START).wake_counts
                plans.commit([Plan(pair=pair_id) for pair_id in pair_ids], wakes, f"holder{holder_number}", START)
            pairs_by_round.append([pair_id for pair_ids in claimed_pairs for pair_id in pair_ids])
            if sum(map(len, pairs_by_round)) >= len(company_pairs):
                break
    assert pairs_by_round[0]
    assert sorted(pair_id for round_pairs in pairs_by_round for pair_id in round_pairs) == sorted(company_pairs)
    for holder_store in stores:
        assert holder_store.plans.claim(START, "another", LEASE_END, 15) == []
        holder_store.close()


# --- wakes ---


def test_wake_during_a_sweep_survives_its_commit(store: Store, second_store: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", LEASE_END)
    wakes = store.plans.load([PAIR], START).wake_counts
    second_store.plans.wake([PAIR], START + MINUTE, reread_free_busy=True)
    plan = Plan(pair=PAIR, due_at=START + 30 * DAY, used_free_busy=True)
    store.plans.commit([plan], wakes, "one", START + MINUTE)
    store.plans.release("one")
    assert PAIR in store.plans.claim(START + MINUTE, "two", LEASE_END, 10)
    assert store.plans.load([PAIR], START).states[0].free_busy_used_at is None


def test_pair_without_a_wake_is_claimed_when_it_is_due(store: Store) -> None:
    store.plans.claim(START, "one", LEASE_END, 10)
    wakes = store.plans.load([PAIR, OTHER_PAIR], START).wake_counts
    plans = [Plan(pair=PAIR, due_at=START + 2 * DAY, used_free_busy=True), Plan(pair=OTHER_PAIR)]
    store.plans.commit(plans, wakes, "one", START)
    store.plans.release("one")
    assert store.load_next_due().pair == START + 2 * DAY
    assert store.plans.claim(START + 2 * DAY, "two", START + 3 * DAY, 10) == [PAIR]
    assert store.plans.load([PAIR], START).states[0].free_busy_used_at == START


#: The last daily time of the shared grid that is at most 14 days after START.
LAST_GRID_TIME = floor_to_shared_grid(START + 14 * DAY, DAY)


def test_every_pair_is_due_again_within_14_days(store: Store) -> None:
    store.plans.claim(START, "one", LEASE_END, 10)
    wakes = store.plans.load([PAIR, OTHER_PAIR], START).wake_counts
    store.plans.commit([Plan(pair=PAIR), Plan(pair=OTHER_PAIR, due_at=START + 90 * DAY)], wakes, "one", START)
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
    first_claimed_keys = [claimed.effect.key for claimed in store.outbox.claim(START, "one", LEASE_END, 10)]
    assert sorted(first_claimed_keys) == ["create", "create-2", "mail"]
    assert second_store.outbox.claim(START, "two", LEASE_END, 10) == []
    store.outbox.begin("create", "one", LEASE_END)
    store.outbox.settle(
        EffectResult(effect=make_effect("create"), began_at=START, settlement=Settlement(EffectProgress.DONE)),
        "one",
        START,
    )
    assert [claimed.effect.key for claimed in second_store.outbox.claim(START, "two", LEASE_END, 10)] == ["update"]


def test_effect_that_is_tried_again_blocks_later_effects_of_its_event(store: Store) -> None:
    commit_effects(store, make_effect("create", EffectKind.CREATE), make_effect("update", EffectKind.UPDATE))
    store.outbox.claim(START, "one", LEASE_END, 10)
    store.outbox.begin("create", "one", LEASE_END)
    retry = Settlement(EffectProgress.WAITING, due_at=START + HOUR)
    store.outbox.settle(EffectResult(effect=make_effect("create"), began_at=START, settlement=retry), "one", START)
    assert store.outbox.claim(START + MINUTE, "one", LEASE_END, 10) == []
    assert [claimed.effect.key for claimed in store.outbox.claim(START + HOUR, "one", START + 2 * HOUR, 10)] == [
        "create"
    ]


def test_holder_of_a_lost_lease_neither_begins_nor_settles_the_effect(store: Store, second_store: Store) -> None:
    commit_effects(store, make_effect("mail"))
    store.outbox.claim(START, "one", LEASE_END, 10)
    assert second_store.outbox.claim(LEASE_END - timedelta(seconds=1), "two", LEASE_END + HOUR, 10) == []
    (claimed,) = second_store.outbox.claim(LEASE_END, "two", LEASE_END + HOUR, 10)
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
    store.outbox.claim(START, "one", LEASE_END, 10)
    assert store.outbox.begin("mail", "one", LEASE_END)
    (claimed,) = second_store.outbox.claim(LEASE_END, "two", LEASE_END + HOUR, 10)
    assert claimed.doubt is Doubt.UNKNOWN and claimed.effect.attempts == 1


def test_begin_extends_the_lease_of_an_effect(store: Store, second_store: Store) -> None:
    """The last effect of a long batch begins late, and no other process may claim it while its call runs."""
    commit_effects(store, make_effect("mail"))
    store.outbox.claim(START, "one", LEASE_END, 10)
    store.outbox.begin("mail", "one", LEASE_END + 4 * MINUTE)
    assert second_store.outbox.claim(LEASE_END, "two", LEASE_END + HOUR, 10) == []
    assert len(second_store.outbox.claim(LEASE_END + 4 * MINUTE, "two", LEASE_END + HOUR, 10)) == 1


def test_outbox_keeps_the_first_effect_of_each_key(store: Store) -> None:
    commit_effects(store, make_effect("mail", name="brief"))
    commit_effects(store, make_effect("mail", name="brief", to="somebody@else.example"))
    assert store.outbox.count_by_progress() == {"waiting": 1}
    assert load_effect(store, "mail").to == ""


def test_outbox_keeps_the_first_alert_of_each_key(store: Store) -> None:
    store.outbox.alert("same", "first words", START, "ops@corp.example")
    store.outbox.alert("same", "other words", START, "ops@corp.example")
    (claimed,) = store.outbox.claim(START, "one", LEASE_END, 10)
    assert claimed.alert_text == "first words"


# --- the history ---


def test_history_lines_are_only_appended(store: Store) -> None:
    def decide(*reasons: str) -> None:
        decisions = tuple(
            Decision(at=START, what="session", pair=PAIR, reason=reason, session="s1") for reason in reasons
        )
        store.plans.claim_pairs([PAIR], START, "one", LEASE_END)
        wakes = store.plans.load([PAIR], START).wake_counts
        store.plans.commit([Plan(pair=PAIR, decisions=decisions)], wakes, "one", START)

    decide("first", "second")
    earlier_lines = store.queries.list_history()
    decide("third")
    all_lines = store.queries.list_history(session_id="s1")
    assert all_lines[:2] == earlier_lines
    assert [line["reason"] for line in all_lines] == ["first", "second", "third"]
    assert [line["reason"] for line in store.queries.list_history_after(all_lines[1]["id"])] == ["third"]


def test_stored_deferral_is_never_overwritten(store: Store, office: Office) -> None:
    """A deferral that is written twice is stored once, with its first cause."""
    office.tick()
    session = office.session()

    def defer(cause: DeferralCause) -> None:
        deferral = Deferral(session=session.id, number=1, at=START, cause=cause)
        office.store.plans.claim_pairs([session.pair], START, "one", LEASE_END)
        wakes = office.store.plans.load([session.pair], START).wake_counts
        deferred_session = replace(session, count=1)
        office.store.plans.commit(
            [Plan(pair=session.pair, sessions=(deferred_session,), deferrals=(deferral,))], wakes, "one", START
        )

    defer(DeferralCause.DECLINED)
    defer(DeferralCause.ASKED)
    (state,) = office.store.plans.load([session.pair], START).states
    assert [deferral.cause for deferral in state.deferrals] == [DeferralCause.DECLINED]


# --- people ---


def test_person_missing_from_the_roster_leaves_and_can_return(store: Store) -> None:
    all_persons, all_pairs = people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM))
    remaining_persons = {email: person_here for email, person_here in all_persons.items() if email != SAM}
    store.people.apply_import(remaining_persons, pairs(pair(DANA, KIM)), START + DAY)
    assert set(store.people.load_current_people()) == {DANA, KIM}
    assert store.people.load_all_pairs()[PAIR].ended is EndReason.REPORT_LEFT
    returning_pairs = {item.id: replace(item, first_seen=(START + 40 * DAY).date()) for item in all_pairs.values()}
    store.people.apply_import(all_persons, returning_pairs, START + 40 * DAY)
    returned_pair = store.people.load_all_pairs()[PAIR]
    assert (returned_pair.ended, returned_pair.first_seen) == (EndReason.NO, START.date())
    assert set(store.people.load_current_people()) == {DANA, SAM, KIM}
    assert PAIR in store.plans.claim(START + 40 * DAY, "one", START + 41 * DAY, 10)


@pytest.mark.parametrize(
    ("missing_emails", "reason"),
    [
        ((SAM,), EndReason.REPORT_LEFT),
        ((DANA,), EndReason.MANAGER_LEFT),
        ((DANA, SAM), EndReason.BOTH_LEFT),
        ((), EndReason.CHANGED),
    ],
)
def test_ended_pair_keeps_the_reason_of_its_end(
    store: Store, missing_emails: tuple[str, ...], reason: EndReason
) -> None:
    remaining_persons = {
        email: person_here for email, person_here in people(DANA, SAM, KIM).items() if email not in missing_emails
    }
    store.people.apply_import(remaining_persons, {}, START + DAY)
    assert store.people.load_all_pairs()[PAIR].ended is reason


def test_current_people_and_pairs_are_read_in_one_snapshot(store: Store, second_store: Store) -> None:
    """Another process imports a new report between the two statements that read the roster."""

    def import_report(*_: object) -> None:
        second_store.people.apply_import(
            people(DANA, SAM, KIM, "new@corp.example"), pairs(pair(DANA, "new@corp.example")), START
        )

    event.listen(store.database.engine, "after_cursor_execute", import_report, once=True)
    persons, current_pairs = store.people.load_current_roster()
    assert (set(persons), {current_pair.id for current_pair in current_pairs}) == ({DANA, SAM, KIM}, {PAIR, OTHER_PAIR})
    persons, current_pairs = store.people.load_current_roster()
    assert [current_pair.report in persons for current_pair in current_pairs] == [True]


def test_new_manager_ends_the_old_pair_and_begins_a_new_pair(store: Store) -> None:
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(KIM, SAM), pair(DANA, KIM)), START + DAY)
    all_pairs = store.people.load_all_pairs()
    assert all_pairs[PAIR].ended is EndReason.CHANGED
    assert all_pairs[PairId(KIM, SAM)].is_active
    assert store.calendars.claim(START + DAY, "one", START + 2 * DAY, 10)[-1].address == KIM


def test_import_wakes_only_pairs_that_changed(store: Store) -> None:
    store.plans.claim(START, "one", LEASE_END, 10)
    wakes = store.plans.load([PAIR, OTHER_PAIR], START).wake_counts
    store.plans.commit([Plan(pair=PAIR), Plan(pair=OTHER_PAIR)], wakes, "one", START)
    store.plans.release("one")
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), START + MINUTE)
    assert store.load_next_due().pair == LAST_GRID_TIME
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(minutes=90), pair(DANA, KIM)), START + MINUTE)
    assert store.plans.claim(START + MINUTE, "one", LEASE_END, 10) == [PAIR]


def test_preview_of_an_import_lists_its_changes(office: Office) -> None:
    office.tick()
    changes = office.store.people.preview_import(people(DANA, KIM), pairs(pair(DANA, KIM)))
    assert (changes.added_people, changes.removed_people) == ((KIM,), (SAM,))
    assert (changes.added_pairs, changes.ended_pairs, changes.cancel_count) == ((OTHER_PAIR,), (PAIR,), 1)


def test_planner_reads_the_new_time_zone_of_a_person(store: Store) -> None:
    persons = {**people(DANA, KIM), SAM: person(SAM, zone="America/New_York", country="US")}
    store.people.apply_import(persons, pairs(pair(), pair(DANA, KIM)), START + DAY)
    assert store.plans.load([PAIR], START).states[0].report.zone == "America/New_York"


@pytest.mark.parametrize(("changed_email", "due_pairs"), [(SAM, [PAIR]), (DANA, [PAIR, OTHER_PAIR])])
def test_change_of_a_person_makes_all_their_pairs_due(
    store: Store, changed_email: str, due_pairs: list[PairId]
) -> None:
    store.plans.claim(START, "one", LEASE_END, 10)
    wakes = store.plans.load([PAIR, OTHER_PAIR], START).wake_counts
    store.plans.commit([Plan(pair=PAIR), Plan(pair=OTHER_PAIR)], wakes, "one", START)
    store.people.apply_import(
        {**people(DANA, SAM, KIM), changed_email: person(changed_email, zone="Asia/Tokyo")},
        pairs(pair(), pair(DANA, KIM)),
        START + MINUTE,
    )
    assert sorted(store.plans.claim(START + MINUTE, "one", LEASE_END, 10)) == sorted(due_pairs)


def test_import_does_not_end_a_pause(store: Store) -> None:
    store.people.set_paused(PAIR, is_paused=True, now=START)
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(minutes=90), pair(DANA, KIM)), START + DAY)
    assert store.people.load_all_pairs()[PAIR].paused
    store.people.set_paused(PAIR, is_paused=False, now=START)
    assert store.people.load_all_pairs()[PAIR].is_active


# --- the rest ---


def test_error_of_an_unreachable_database_names_it_without_the_password(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "no.db").write_text("this is not a database" * 200)
    for url in (
        f"sqlite:///{tmp_path / 'folder'}",
        f"sqlite:///{tmp_path / 'no.db'}",
        "postgresql://longarc:Hyacinth@127.0.0.1:1/longarc",
        "postgresql://127.0.0.1:1/longarc?password=Hyacinth",
        "postgresql://127.0.0.1:1/longarc?nonsense=Hyacinth",
    ):
        store = new_store(url)
        with pytest.raises(DatabaseUnreachable, match=r"^The database \S+ can't be reached: [^\n]+[^.]\.$") as raised:
            store.load_next_due()
        assert "Hyacinth" not in str(raised.value)
        store.close()


def test_r23_database_errors_contain_no_values(store: Store) -> None:
    """Errors are logged, and values can be content of conversations (R-23)."""
    with pytest.raises(SQLAlchemyError) as raised, store.database.write() as connection:
        connection.execute(select(tables.person.c.email).where(text("nonsense = :it")), {"it": "sentinel"})
    assert "nonsense" in str(raised.value) and "sentinel" not in str(raised.value)


def test_times_are_stored_to_the_second_in_utc(store: Store) -> None:
    last_second = START.replace(hour=23, minute=59, second=59)
    commit_effects(store, make_effect("mail", start=last_second, due_at=last_second))
    assert load_effect(store, "mail").start == last_second
    assert store.load_next_due().effect == last_second


def test_reasons_for_no_time_are_stored_and_parsed_unchanged() -> None:
    """Text that an older version stored becomes the reason `verbatim`."""
    reasons = (
        Reason("moving", {"what": "busy", "name": "Zoë", "other": "", "start": START, "end": START, "count": 2}),
        Reason("after_target", {"day": date(2026, 10, 6), "target": date(2026, 10, 5), "count": 1}),
        Reason("no_change"),
    )
    assert parse_reasons(format_reasons(reasons)) == reasons
    assert parse_reasons("Dana is never there.") == (Reason("verbatim", {"words": "Dana is never there."}),)
