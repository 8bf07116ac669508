"""The store: the history, the import of people, stored values and errors of the database.

Every test runs on SQLite and on PostgreSQL.
"""

from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest
from sqlalchemy import event, select, text
from sqlalchemy.exc import SQLAlchemyError

from tests.support.companies import DANA, DAY, KIM, MINUTE, SAM, START, Office, new_store, pair, pairs, people, person
from tests.support.store_effects import (
    LAST_GRID_TIME,
    LEASE_END,
    OTHER_PAIR,
    PAIR,
    commit_effects,
    load_effect,
    make_effect,
)
from worker.domain.model import Decision, Deferral, DeferralCause, EndReason, PairId, Plan, Reason
from worker.store import tables
from worker.store.database import DatabaseUnreachable
from worker.store.store import Store
from worker.store.types import format_reasons, parse_reasons

# --- the history ---


def test_history_lines_are_only_appended(store: Store) -> None:
    def decide(*reasons: str) -> None:
        decisions = tuple(
            Decision(at=START, what="session", pair=PAIR, reason=reason, session="s1") for reason in reasons
        )
        store.plans.claim_pairs([PAIR], START, "one", LEASE_END)
        wake_counts = store.plans.load([PAIR], START).wake_counts
        store.plans.commit([Plan(pair=PAIR, decisions=decisions)], wake_counts, "one", START)

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
        wake_counts = office.store.plans.load([session.pair], START).wake_counts
        deferred_session = replace(session, count=1)
        office.store.plans.commit(
            [Plan(pair=session.pair, sessions=(deferred_session,), deferrals=(deferral,))], wake_counts, "one", START
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
    assert PAIR in store.plans.claim(START + 40 * DAY, "one", START + 41 * DAY, limit=10)


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
    assert store.calendars.claim(START + DAY, "one", START + 2 * DAY, limit=10)[-1].address == KIM


def test_import_wakes_only_pairs_that_changed(store: Store) -> None:
    store.plans.claim(START, "one", LEASE_END, limit=10)
    wake_counts = store.plans.load([PAIR, OTHER_PAIR], START).wake_counts
    store.plans.commit([Plan(pair=PAIR), Plan(pair=OTHER_PAIR)], wake_counts, "one", START)
    store.plans.release("one")
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)), START + MINUTE)
    assert store.load_next_due().pair == LAST_GRID_TIME
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(minutes=90), pair(DANA, KIM)), START + MINUTE)
    assert store.plans.claim(START + MINUTE, "one", LEASE_END, limit=10) == [PAIR]


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
    store.plans.claim(START, "one", LEASE_END, limit=10)
    wake_counts = store.plans.load([PAIR, OTHER_PAIR], START).wake_counts
    store.plans.commit([Plan(pair=PAIR), Plan(pair=OTHER_PAIR)], wake_counts, "one", START)
    store.people.apply_import(
        {**people(DANA, SAM, KIM), changed_email: person(changed_email, zone="Asia/Tokyo")},
        pairs(pair(), pair(DANA, KIM)),
        START + MINUTE,
    )
    assert sorted(store.plans.claim(START + MINUTE, "one", LEASE_END, limit=10)) == sorted(due_pairs)


def test_import_does_not_end_a_pause(store: Store) -> None:
    store.people.set_paused(PAIR, is_paused=True, now=START)
    store.people.apply_import(people(DANA, SAM, KIM), pairs(pair(minutes=90), pair(DANA, KIM)), START + DAY)
    assert store.people.load_all_pairs()[PAIR].paused
    store.people.set_paused(PAIR, is_paused=False, now=START)
    assert store.people.load_all_pairs()[PAIR].is_active


# --- errors of the database, and stored values ---


def test_error_of_an_unreachable_database_names_it_without_the_password(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "no.db").write_text("this is not a database" * 200)
    for url in (
        f"sqlite:///{tmp_path / 'folder'}",
        f"sqlite:///{tmp_path / 'no.db'}",
        "postgresql://longarc:Hyacinth@127.0.0.1:1/longarc",  # at port 1 nobody listens
        "postgresql://127.0.0.1:1/longarc?password=Hyacinth",
        "postgresql://127.0.0.1:1/longarc?nonsense=Hyacinth",
    ):
        store = new_store(url)
        with pytest.raises(
            DatabaseUnreachable, match=r"^The database \S+ can't be reached: [^\n]+[^.]\.$"
        ) as error_info:
            store.load_next_due()
        assert "Hyacinth" not in str(error_info.value)
        store.close()


def test_r23_database_errors_contain_no_values(store: Store) -> None:
    """Errors are logged, and values can be content of conversations (R-23)."""
    with pytest.raises(SQLAlchemyError) as error_info, store.database.write() as connection:
        connection.execute(select(tables.person.c.email).where(text("nonsense = :it")), {"it": "sentinel"})
    assert "nonsense" in str(error_info.value) and "sentinel" not in str(error_info.value)


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
