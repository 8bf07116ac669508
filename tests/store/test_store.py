"""The database as the program's only truth: leases, wakes, fences, unique keys, the history, and people.

Everything here holds on SQLite and on PostgreSQL.
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

UNTIL = START + 10 * MINUTE

PAIR = PairId(DANA, SAM)

OTHER = PairId(DANA, KIM)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Dana, with Sam and Kim, known since `START`."""
    made = new_store(database_url)
    made.people.apply_import(people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), START)
    yield made
    made.close()


@pytest.fixture
def second(database_url: str, store: Store) -> Iterator[Store]:
    """Another process on the same database."""
    made = new_store(database_url)
    yield made
    made.close()


def message(key: str, what: EffectKind = EffectKind.MAIL, subject: str = "s1", **fields: object) -> Effect:
    made = Effect(key=key, kind=what, pair=PAIR, subject=subject, due_at=START, snapshot_at=START, event="s1.1")
    return replace(made, **fields)  # type: ignore[arg-type]


def commit(store: Store, *messages: Effect, pair_id: PairId = PAIR, due: timedelta = DAY) -> None:
    """Have these messages decided, as a sweep does."""
    assert store.plans.claim_pairs([pair_id], START, "sweep", UNTIL) == [pair_id]
    wakes = store.plans.load([pair_id], START).wake_counts
    store.plans.commit([Plan(pair=pair_id, effects=messages, due_at=START + due)], wakes, "sweep", START)
    store.plans.release("sweep")


def row(store: Store, key: str) -> Effect:
    with store.database.read() as connection:
        found = connection.execute(select(tables.outbox).where(tables.outbox.c.key == key)).mappings().one()
        return rows.read_effect(found)


# --- a person is in one sweep at a time ---


def test_two_sweeps_never_have_the_same_person(store: Store, second: Store) -> None:
    assert set(store.plans.claim(START, "one", UNTIL, 10)) == {PAIR, OTHER}
    assert second.plans.claim(START, "two", UNTIL, 10) == []
    assert second.plans.claim_pairs([PAIR], START, "two", UNTIL) == []


def test_pairs_that_share_somebody_overlap(store: Store, second: Store) -> None:
    """Dana is manager in one pair and in the other: whoever plans the one has her time in hand for both."""
    assert store.plans.claim_pairs([PAIR], START, "one", UNTIL) == [PAIR]
    assert second.plans.claim_pairs([OTHER], START, "two", UNTIL) == []
    store.plans.release("one")
    assert second.plans.claim_pairs([OTHER], START, "two", UNTIL) == [OTHER]


def test_a_report_who_manages_others_is_one_person(store: Store, second: Store) -> None:
    lower = pair(SAM, "eve@corp.example")
    store.people.apply_import(people(DANA, SAM, KIM, "eve@corp.example"), pairs(pair(), pair(DANA, KIM), lower), START)
    assert store.plans.claim_pairs([PAIR], START, "one", UNTIL) == [PAIR]
    assert second.plans.claim_pairs([lower.id, OTHER], START, "two", UNTIL) == []


def test_a_lease_that_ran_out_is_taken_over_and_its_holder_writes_nothing(store: Store, second: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", UNTIL)
    wakes = store.plans.load([PAIR], START).wake_counts
    assert second.plans.claim_pairs([PAIR], UNTIL - timedelta(seconds=1), "two", UNTIL + HOUR) == []
    assert second.plans.claim_pairs([PAIR], UNTIL, "two", UNTIL + HOUR) == [PAIR]
    line = Decision(at=START, what="session", pair=PAIR, reason="Too late.")
    late = Plan(pair=PAIR, effects=(message("late"),), decisions=(line,), due_at=UNTIL + DAY)
    with pytest.raises(LeaseLost):
        store.plans.commit([late], wakes, "one", UNTIL)
    assert store.outbox.count_by_progress() == {}
    assert store.queries.list_history() == []
    assert store.load_next_due().pair == START


def test_a_lease_that_ran_out_is_lost_even_when_nobody_took_it(store: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", UNTIL)
    wakes = store.plans.load([PAIR], START).wake_counts
    with pytest.raises(LeaseLost):
        store.plans.commit([Plan(pair=PAIR, effects=(message("late"),))], wakes, "one", UNTIL)
    assert store.outbox.count_by_progress() == {}


def test_one_lost_lease_undoes_the_whole_sweep(store: Store, second: Store) -> None:
    """All or nothing: the other pair of the same sweep isn't written either, nor what goes along with it."""
    mine = pair(KIM, "eve@corp.example")
    store.people.apply_import(people(DANA, SAM, KIM, "eve@corp.example"), pairs(pair(), mine), START)
    assert set(store.plans.claim(START, "one", UNTIL, 10)) >= {PAIR, mine.id}
    wakes = store.plans.load([PAIR, mine.id], START).wake_counts
    store.plans.release("one")
    store.plans.claim_pairs([mine.id], START, "one", UNTIL)
    second.plans.claim_pairs([PAIR], START, "two", UNTIL)
    along: list[str] = []
    plans = [Plan(pair=mine.id, effects=(message("m", pair=mine.id),)), Plan(pair=PAIR)]
    with pytest.raises(LeaseLost):
        store.plans.commit(plans, wakes, "one", START, lambda _: along.append("written"))
    assert store.outbox.count_by_progress() == {} and along == []


def test_what_goes_along_is_written_with_the_plan_or_not_at_all(store: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", UNTIL)
    wakes = store.plans.load([PAIR], START).wake_counts

    def fails(_: object) -> None:
        raise RuntimeError("the other half failed")

    with pytest.raises(RuntimeError):
        store.plans.commit([Plan(pair=PAIR, effects=(message("m"),))], wakes, "one", START, fails)
    assert store.outbox.count_by_progress() == {}


@pytest.mark.parametrize("holders", [2, 6])
def test_claiming_at_once_gives_each_pair_to_one(database_url: str, holders: int) -> None:
    """However the claims fall, no person is ever in two hands, and every pair is claimed by somebody in the end."""
    persons, listed = company(40, reports=4)
    stores = [new_store(database_url) for _ in range(holders)]
    stores[0].people.apply_import(persons, listed, START)
    gate = threading.Barrier(holders)

    def claim(number: int) -> list[PairId]:
        gate.wait()
        return stores[number].plans.claim(START, f"holder{number}", UNTIL, 15)

    with ThreadPoolExecutor(holders) as pool:
        taken = list(pool.map(claim, range(holders)))
    hands = [{who for pair_id in mine for who in pair_id.people} for mine in taken]
    assert sum(map(len, hands)) == len(set().union(*hands))
    assert any(taken)
    for number, one in enumerate(stores):
        one.plans.release(f"holder{number}")
        one.close()


# --- wakes ---


def test_a_wake_during_a_sweep_is_not_lost_when_it_commits(store: Store, second: Store) -> None:
    store.plans.claim_pairs([PAIR], START, "one", UNTIL)
    wakes = store.plans.load([PAIR], START).wake_counts
    second.plans.wake([PAIR], START + MINUTE, reread_free_busy=True)
    plan = Plan(pair=PAIR, due_at=START + 30 * DAY, used_free_busy=True)
    store.plans.commit([plan], wakes, "one", START + MINUTE)
    store.plans.release("one")
    assert PAIR in store.plans.claim(START + MINUTE, "two", UNTIL, 10)
    assert store.plans.load([PAIR], START).states[0].free_busy_used_at is None


def test_without_a_wake_the_pair_rests_until_it_is_due(store: Store) -> None:
    store.plans.claim(START, "one", UNTIL, 10)
    wakes = store.plans.load([PAIR, OTHER], START).wake_counts
    plans = [Plan(pair=PAIR, due_at=START + 2 * DAY, used_free_busy=True), Plan(pair=OTHER)]
    store.plans.commit(plans, wakes, "one", START)
    store.plans.release("one")
    assert store.load_next_due().pair == START + 2 * DAY
    assert store.plans.claim(START + 2 * DAY, "two", START + 3 * DAY, 10) == [PAIR]
    assert store.plans.load([PAIR], START).states[0].free_busy_used_at == START


#: The daily look at calendars that is a fortnight later, or the last before it.
FORTNIGHTLY = floor_to_shared_grid(START + 14 * DAY, DAY)


def test_every_pair_is_looked_at_once_a_fortnight_however_little_there_is_to_wait_for(store: Store) -> None:
    store.plans.claim(START, "one", UNTIL, 10)
    wakes = store.plans.load([PAIR, OTHER], START).wake_counts
    store.plans.commit([Plan(pair=PAIR), Plan(pair=OTHER, due_at=START + 90 * DAY)], wakes, "one", START)
    assert store.load_next_due().pair == FORTNIGHTLY


def test_a_wake_never_puts_a_pair_off(store: Store) -> None:
    store.plans.wake([PAIR, OTHER], START + DAY)
    assert store.load_next_due().pair == START


# --- the outbox ---


def test_changes_of_one_event_are_claimed_one_at_a_time_and_in_order(store: Store, second: Store) -> None:
    """A create and the update after it are never in two hands; mails of the subject don't wait for them."""
    commit(
        store,
        message("create", EffectKind.CREATE),
        message("update", EffectKind.UPDATE),
        message("mail"),
        message("create-2", EffectKind.CREATE, subject="s2"),
    )
    first = [one.effect.key for one in store.outbox.claim(START, "one", UNTIL, 10)]
    assert sorted(first) == ["create", "create-2", "mail"]
    assert second.outbox.claim(START, "two", UNTIL, 10) == []
    store.outbox.begin("create", "one", UNTIL)
    store.outbox.settle(
        EffectResult(effect=message("create"), began_at=START, settlement=Settlement(EffectProgress.DONE)), "one", START
    )
    assert [one.effect.key for one in second.outbox.claim(START, "two", UNTIL, 10)] == ["update"]


def test_a_change_that_is_tried_again_keeps_those_after_it_waiting(store: Store) -> None:
    commit(store, message("create", EffectKind.CREATE), message("update", EffectKind.UPDATE))
    store.outbox.claim(START, "one", UNTIL, 10)
    store.outbox.begin("create", "one", UNTIL)
    again = Settlement(EffectProgress.WAITING, due_at=START + HOUR)
    store.outbox.settle(EffectResult(effect=message("create"), began_at=START, settlement=again), "one", START)
    assert store.outbox.claim(START + MINUTE, "one", UNTIL, 10) == []
    assert [c.effect.key for c in store.outbox.claim(START + HOUR, "one", START + 2 * HOUR, 10)] == ["create"]


def test_whoever_lost_a_message_neither_begins_nor_settles_it(store: Store, second: Store) -> None:
    commit(store, message("mail"))
    store.outbox.claim(START, "one", UNTIL, 10)
    assert second.outbox.claim(UNTIL - timedelta(seconds=1), "two", UNTIL + HOUR, 10) == []
    (taken,) = second.outbox.claim(UNTIL, "two", UNTIL + HOUR, 10)
    assert taken.doubt is Doubt.NONE
    assert not store.outbox.begin("mail", "one", UNTIL)
    assert second.outbox.begin("mail", "two", UNTIL + HOUR)
    span = Span(START, UNTIL)
    placed = PlacedEvent(key="s1.1", ref=EventRef(DANA, "e1", "1"), span=span, written_span=span)
    stale = EffectResult(
        effect=message("mail"),
        began_at=START,
        settlement=Settlement(EffectProgress.DONE, needs_replanning=True),
        placed=placed,
        history_fields={},
    )
    store.outbox.settle(stale, "one", START)
    assert row(store, "mail").progress is EffectProgress.SENDING
    assert store.queries.list_history() == []
    with store.database.read() as connection:
        assert connection.execute(select(tables.event)).all() == []


def test_what_was_begun_and_never_ended_is_found_as_lost(store: Store, second: Store) -> None:
    commit(store, message("mail"))
    store.outbox.claim(START, "one", UNTIL, 10)
    assert store.outbox.begin("mail", "one", UNTIL)
    (found,) = second.outbox.claim(UNTIL, "two", UNTIL + HOUR, 10)
    assert found.doubt is Doubt.UNKNOWN and found.effect.attempts == 1


def test_beginning_renews_the_lease(store: Store, second: Store) -> None:
    """The last of a long batch begins late; while its call is under way nobody else may take it for lost."""
    commit(store, message("mail"))
    store.outbox.claim(START, "one", UNTIL, 10)
    store.outbox.begin("mail", "one", UNTIL + 4 * MINUTE)
    assert second.outbox.claim(UNTIL, "two", UNTIL + HOUR, 10) == []
    assert len(second.outbox.claim(UNTIL + 4 * MINUTE, "two", UNTIL + HOUR, 10)) == 1


def test_a_key_stands_in_the_outbox_once(store: Store) -> None:
    commit(store, message("mail", name="brief"))
    commit(store, message("mail", name="brief", to="somebody@else.example"))
    assert store.outbox.count_by_progress() == {"waiting": 1}
    assert row(store, "mail").to == ""


def test_an_alert_of_one_key_is_told_once(store: Store) -> None:
    store.outbox.alert("same", "first words", START, "ops@corp.example")
    store.outbox.alert("same", "other words", START, "ops@corp.example")
    (claimed,) = store.outbox.claim(START, "one", UNTIL, 10)
    assert claimed.alert_text == "first words"


# --- the history ---


def test_history_only_grows(store: Store) -> None:
    def decide(*reasons: str) -> None:
        lines = tuple(Decision(at=START, what="session", pair=PAIR, reason=reason, session="s1") for reason in reasons)
        store.plans.claim_pairs([PAIR], START, "one", UNTIL)
        wakes = store.plans.load([PAIR], START).wake_counts
        store.plans.commit([Plan(pair=PAIR, decisions=lines)], wakes, "one", START)

    decide("first", "second")
    before = store.queries.list_history()
    decide("third")
    after = store.queries.list_history(session_id="s1")
    assert after[:2] == before
    assert [line["reason"] for line in after] == ["first", "second", "third"]
    assert [line["reason"] for line in store.queries.list_history_after(after[1]["id"])] == ["third"]


def test_a_deferral_once_written_stays_as_it_was(store: Store, office: Office) -> None:
    """Written twice, it is there once, with its first cause."""
    office.tick()
    session = office.session()

    def defer(cause: DeferralCause) -> None:
        one = Deferral(session=session.id, number=1, at=START, cause=cause)
        office.store.plans.claim_pairs([session.pair], START, "one", UNTIL)
        wakes = office.store.plans.load([session.pair], START).wake_counts
        counted = replace(session, count=1)
        office.store.plans.commit([Plan(pair=session.pair, sessions=(counted,), deferrals=(one,))], wakes, "one", START)

    defer(DeferralCause.DECLINED)
    defer(DeferralCause.ASKED)
    (state,) = office.store.plans.load([session.pair], START).states
    assert [d.cause for d in state.deferrals] == [DeferralCause.DECLINED]


# --- people ---


def test_who_leaves_the_file_has_left_and_may_come_back(store: Store) -> None:
    everybody, all_pairs = people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM))
    without = {email: one for email, one in everybody.items() if email != SAM}
    store.people.apply_import(without, pairs(pair(DANA, KIM)), START + DAY)
    assert set(store.people.load_current_people()) == {DANA, KIM}
    assert store.people.load_all_pairs()[PAIR].ended is EndReason.REPORT_LEFT
    later = {one.id: replace(one, first_seen=(START + 40 * DAY).date()) for one in all_pairs.values()}
    store.people.apply_import(everybody, later, START + 40 * DAY)
    back = store.people.load_all_pairs()[PAIR]
    assert (back.ended, back.first_seen) == (EndReason.NO, START.date())
    assert set(store.people.load_current_people()) == {DANA, SAM, KIM}
    assert PAIR in store.plans.claim(START + 40 * DAY, "one", START + 41 * DAY, 10)


@pytest.mark.parametrize(
    ("gone", "why"),
    [
        ((SAM,), EndReason.REPORT_LEFT),
        ((DANA,), EndReason.MANAGER_LEFT),
        ((DANA, SAM), EndReason.BOTH_LEFT),
        ((), EndReason.CHANGED),
    ],
)
def test_why_a_pair_ended_is_known(store: Store, gone: tuple[str, ...], why: EndReason) -> None:
    here = {email: one for email, one in people(DANA, SAM, KIM).items() if email not in gone}
    store.people.apply_import(here, {}, START + DAY)
    assert store.people.load_all_pairs()[PAIR].ended is why


def test_current_people_and_pairs_are_read_as_of_one_moment(store: Store, second: Store) -> None:
    """Another process imports a new report between the two statements."""

    def import_report(*_: object) -> None:
        second.people.apply_import(
            people(DANA, SAM, KIM, "new@corp.example"), pairs(pair(DANA, "new@corp.example")), START
        )

    event.listen(store.database.engine, "after_cursor_execute", import_report, once=True)
    known, current = store.people.load_current_roster()
    assert (set(known), {one.id for one in current}) == ({DANA, SAM, KIM}, {PAIR, OTHER})
    known, current = store.people.load_current_roster()
    assert [one.report in known for one in current] == [True]


def test_another_manager_ends_one_pair_and_begins_another(store: Store) -> None:
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(KIM, SAM), pair(DANA, KIM)), START + DAY)
    known = store.people.load_all_pairs()
    assert known[PAIR].ended is EndReason.CHANGED
    assert known[PairId(KIM, SAM)].is_active
    assert store.calendars.claim(START + DAY, "one", START + 2 * DAY, 10)[-1].address == KIM


def test_taking_over_the_same_file_again_wakes_nobody(store: Store) -> None:
    store.plans.claim(START, "one", UNTIL, 10)
    wakes = store.plans.load([PAIR, OTHER], START).wake_counts
    store.plans.commit([Plan(pair=PAIR), Plan(pair=OTHER)], wakes, "one", START)
    store.plans.release("one")
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), START + MINUTE)
    assert store.load_next_due().pair == FORTNIGHTLY
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(minutes=90), pair(DANA, KIM)), START + MINUTE)
    assert store.plans.claim(START + MINUTE, "one", UNTIL, 10) == [PAIR]


def test_what_a_file_would_change_is_told_before(office: Office) -> None:
    office.tick()
    difference = office.store.people.preview_import(people(DANA, KIM), pairs(pair(DANA, KIM)))
    assert (difference.added_people, difference.removed_people) == ((KIM,), (SAM,))
    assert (difference.added_pairs, difference.ended_pairs, difference.cancel_count) == ((OTHER,), (PAIR,), 1)


def test_a_new_time_zone_reaches_the_planner(store: Store) -> None:
    moved = {**people(DANA, KIM), SAM: person(SAM, zone="America/New_York", country="US")}
    store.people.apply_import(moved, pairs(pair(), pair(DANA, KIM)), START + DAY)
    assert store.plans.load([PAIR], START).states[0].report.zone == "America/New_York"


@pytest.mark.parametrize(("who", "woken"), [(SAM, [PAIR]), (DANA, [PAIR, OTHER])])
def test_whose_file_says_something_else_has_their_pairs_planned_at_once(
    store: Store, who: str, woken: list[PairId]
) -> None:
    store.plans.claim(START, "one", UNTIL, 10)
    wakes = store.plans.load([PAIR, OTHER], START).wake_counts
    store.plans.commit([Plan(pair=PAIR), Plan(pair=OTHER)], wakes, "one", START)
    store.people.apply_import(
        {**people(DANA, SAM, KIM), who: person(who, zone="Asia/Tokyo")}, pairs(pair(), pair(DANA, KIM)), START + MINUTE
    )
    assert sorted(store.plans.claim(START + MINUTE, "one", UNTIL, 10)) == sorted(woken)


def test_people_pauses_outlast_the_people_file(store: Store) -> None:
    store.people.set_paused(PAIR, is_paused=True, now=START)
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(minutes=90), pair(DANA, KIM)), START + DAY)
    assert store.people.load_all_pairs()[PAIR].paused
    store.people.set_paused(PAIR, is_paused=False, now=START)
    assert store.people.load_all_pairs()[PAIR].is_active


# --- the rest ---


def test_a_database_out_of_reach_is_named_without_its_password(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "no.db").write_text("this is not a database, however long one looks at it" * 99)
    for url in (
        f"sqlite:///{tmp_path / 'folder'}",
        f"sqlite:///{tmp_path / 'no.db'}",
        "postgresql://longarc:Hyacinth@127.0.0.1:1/longarc",
        "postgresql://127.0.0.1:1/longarc?password=Hyacinth",
        "postgresql://127.0.0.1:1/longarc?nonsense=Hyacinth",
    ):
        store = new_store(url)
        with pytest.raises(DatabaseUnreachable, match=r"^The database \S+ can't be reached: [^\n]+[^.]\.$") as caught:
            store.load_next_due()
        assert "Hyacinth" not in str(caught.value)
        store.close()


def test_an_error_of_the_database_shows_no_value(store: Store) -> None:
    """R-23: errors are logged."""
    with pytest.raises(SQLAlchemyError) as raised, store.database.write() as connection:
        connection.execute(select(tables.person.c.email).where(text("nonsense = :it")), {"it": "sentinel"})
    assert "nonsense" in str(raised.value) and "sentinel" not in str(raised.value)


def test_instants_come_back_as_they_were_to_the_second_and_in_utc(store: Store) -> None:
    odd = START.replace(hour=23, minute=59, second=59)
    commit(store, message("mail", start=odd, due_at=odd))
    assert row(store, "mail").start == odd
    assert store.load_next_due().effect == odd


def test_why_there_is_no_time_is_kept_as_it_was_found() -> None:
    """Reasons go into a text column and come back as the same values; words of an older version stay words."""
    why = (
        Reason("moving", {"what": "busy", "name": "Zoë", "other": "", "start": START, "end": START, "count": 2}),
        Reason("after_target", {"day": date(2026, 10, 6), "target": date(2026, 10, 5), "count": 1}),
        Reason("no_change"),
    )
    assert parse_reasons(format_reasons(why)) == why
    assert parse_reasons("Dana is never there.") == (Reason("verbatim", {"words": "Dana is never there."}),)
