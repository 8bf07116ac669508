"""The counts find each fault that is added to a good ledger, and no fault in the good ledger.

In the good quarter (`make_good_quarter`), the manager M and the report R have the career sessions c1, held on
17 September, c2, booked for 15 December and held on 16 December, and c3; and r1, the review of the contract of c1.
"""

import ast
from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from tests.support import ROOT
from tests.support.audit.ledgers import (
    END,
    FIRST_PAIR,
    PERSONS,
    START,
    Change,
    M,
    R,
    add,
    combine,
    drop,
    edit,
    first_booking,
    human,
    mail,
    make_good_quarter,
    session,
    stamp,
)
from tests.support.counts.counts import ROWS, Counts, Year, add_counts, count_ledger, format_table
from worker.domain.model import Pair, Span

YEAR = Year(persons=PERSONS, pairs={str(FIRST_PAIR.id): FIRST_PAIR}, away={}, start=START, end=END)


def count_quarter(change: Change = lambda lines: lines, pair: Pair = FIRST_PAIR, **fields: Any) -> Counts:
    """Return the counts of the good quarter after this change."""
    return count_ledger(change(make_good_quarter()), replace(YEAR, pairs={str(pair.id): pair}, **fields))


def count_faults(counts: Counts) -> dict[str, int]:
    """Return the number of faults in each list that is not empty."""
    lists = {name: getattr(counts, name) for name in Counts.__dataclass_fields__}
    return {name: len(faults) for name, faults in lists.items() if isinstance(faults, tuple) and faults}


def make_part(at: str, session_id: str, state: str, start: str, topic: str) -> dict[str, Any]:
    """Return the line of a part of a series."""
    return session(at, session_id, state, start, topic=topic)


#: c2, booked for 15 December so far, gets a time about two weeks earlier.
BOOKED_EARLY = session("10-02 08:00", "c2", "booked", "11-30 10:00", count=1)
MAILS_OF_ONE_DAY = [mail("10-20 10:00", "commitment_due", R, due=f"2026-10-{day}") for day in range(20, 25)]
#: By case: the change of the good quarter, and how many faults it adds, by the field of `Counts` that lists them.
CHANGED_QUARTERS: dict[str, tuple[Change, dict[str, int]]] = {
    "rebooked 16 days before the time it lost": (
        add(session("10-01 08:00", "c2", "deferred", count=1, cause="declined"), BOOKED_EARLY),
        {"rebooked_long_before": 1},
    ),
    "moved 16 days ahead by a person, which is no fault": (
        add({**BOOKED_EARLY, "cause": "moved"}),
        {},
    ),
    "held four weeks after the session before": (
        add(*first_booking("09-20 09:00", "c9", "10-15 09:00"), session("10-15 10:15", "c9", "held", "10-15 09:00")),
        {"too_close": 1, "reviews_without_reason": 1},  # r1 now follows c9, which has no contract
    ),
    "four weeks after a session that was not held, which is no fault": (
        add(
            *first_booking("09-20 09:00", "c9", "10-15 09:00"),
            session("10-15 10:15", "c9", "held", "10-15 09:00"),
            session("10-15 12:00", "c9", "deferred", count=1, cause="not_held"),
        ),
        {},
    ),
    "an ad hoc session four weeks later, which is no fault": (
        add(
            human("10-10 08:00", "talk", "c9"),
            *first_booking("10-10 08:00", "c9", "10-15 09:00"),
            session("10-15 10:15", "c9", "held", "10-15 09:00"),
        ),
        {},
    ),
    "the third part before the second": (
        add(
            make_part("10-01 08:00", "a1", "booked", "10-05 08:00", "now"),
            make_part("10-01 08:00", "a2", "booked", "10-20 08:00", "direction"),
            make_part("10-01 08:00", "a3", "booked", "10-14 08:00", "gap"),
        ),
        {"out_of_order": 1},
    ),
    "the second part held while the first has no time": (
        add(
            make_part("10-01 08:00", "a1", "booked", "10-05 08:00", "now"),
            make_part("10-01 08:00", "a2", "booked", "10-12 08:00", "direction"),
            make_part("10-02 08:00", "a1", "deferred", "10-05 08:00", "now"),
            make_part("10-12 09:15", "a2", "held", "10-12 08:00", "direction"),
        ),
        {"out_of_order": 1},
    ),
    "two parts in the wrong order for one hour, which is no fault": (
        add(
            make_part("10-01 08:00", "a1", "booked", "10-12 08:00", "now"),
            make_part("10-01 08:00", "a2", "booked", "10-05 08:00", "direction"),
            make_part("10-01 09:00", "a2", "booked", "10-20 08:00", "direction"),
        ),
        {},
    ),
    "a review before there is a contract": (
        combine(drop(state="contracted"), drop(state="held", session="c2")),
        {"reviews_without_reason": 1},
    ),
    "a review of a contract that was replaced": (
        add(session("10-10 08:00", "c8", "contracted", "10-09 09:00")),
        {"reviews_without_reason": 1},
    ),
    "a review after a session without a contract": (
        add(*first_booking("09-20 09:00", "c9", "10-18 09:00"), session("10-18 10:15", "c9", "held", "10-18 09:00")),
        {"reviews_without_reason": 1, "too_close": 1},
    ),
    "a deferral notice about a review": (
        add(mail("10-12 09:00", "deferral_notice", M, "r1", "10-19 09:00")),
        {"review_notices": 1},
    ),
    "a prompt at night": (
        edit({"message": "reflection_prompt", "session": "c2"}, at=stamp("12-11 22:00")),
        {"outside_hours": 1},
    ),
    "a prompt on a Saturday": (
        edit({"message": "reflection_prompt", "session": "c2"}, at=stamp("12-12 10:00")),
        {"outside_hours": 1},
    ),
    "a contract request at night, which is no fault": (
        edit({"message": "contract_request", "session": "c2"}, at=stamp("12-16 22:00")),
        {},
    ),
    "a notice at night about a time tomorrow, which is no fault": (
        combine(
            add(session("12-15 22:00", "c2", "booked", "12-22 10:00", count=1)),
            edit({"session": "c2", "state": "held"}, at=stamp("12-16 11:15")),
            add(mail("12-15 22:01", "deferral_notice", M, "c2", "12-22 10:00", number=1)),
        ),
        {},
    ),
    "a notice at night about a time next week": (
        add(mail("12-05 22:01", "deferral_notice", M, "c2", "12-16 10:00", number=1)),
        {"outside_hours": 1},
    ),
    "five mails on one day": (add(*MAILS_OF_ONE_DAY), {"crowded_days": 1}),
    "four mails on one day, which is no fault": (add(*MAILS_OF_ONE_DAY[:4]), {}),
}


@pytest.mark.parametrize(("change", "expected"), CHANGED_QUARTERS.values(), ids=CHANGED_QUARTERS.keys())
def test_each_fault_is_counted_in_its_list(change: Change, expected: dict[str, int]) -> None:
    """T-9: reviews. T-10: new times of deferred sessions. T-13: order of parts. T-16: hours and number of mails."""
    faults, faults_before = count_faults(count_quarter(change)), count_faults(count_quarter())
    added_faults = {name: number - faults_before.get(name, 0) for name, number in faults.items()}
    assert {name: number for name, number in added_faults.items() if number} == expected


def test_good_quarter_has_no_faults() -> None:
    assert count_faults(count_quarter()) == {}


def test_times_before_the_start_of_the_pair_are_counted() -> None:
    """T-10: with this start, the first and the second time of session c1 are before it."""
    assert count_faults(count_quarter(pair=replace(FIRST_PAIR, start=date(2026, 9, 20))))["before_start"] == 2


def test_mail_on_a_day_out_of_office_is_outside_working_hours() -> None:
    """T-16: mails are not sent on a day out of office, here that of the prompt for c2."""
    away = {R: (Span(datetime(2026, 12, 14, tzinfo=UTC), datetime(2026, 12, 15, tzinfo=UTC)),)}
    assert len(count_quarter(away=away).outside_hours) == len(count_quarter().outside_hours) + 1


def test_series_and_session_held_twice_count_as_one_conversation_each() -> None:
    add_series = add(
        *(
            make_part("10-01 08:00", f"a{number}", "booked", f"10-{number}2 08:00", topic)
            for number, topic in enumerate(("now", "direction", "gap"))
        ),
        *(
            make_part(f"10-{number}2 09:15", f"a{number}", "held", f"10-{number}2 08:00", topic)
            for number, topic in enumerate(("now", "direction", "gap"))
        ),
        session("09-17 12:00", "c1", "deferred", count=2, cause="not_held"),
        session("09-17 13:00", "c1", "held", "09-17 09:00", count=2),
    )
    assert count_quarter().conversations == 2
    assert count_quarter(add_series).conversations == 3
    assert count_quarter(combine(add_series, drop(session="a2", state="held"))).conversations == 2


def test_sum_of_two_years_keeps_the_shares() -> None:
    counts = count_quarter()
    assert counts.promised == pytest.approx(115 / 91, abs=0.01)  # the days of the ledger and those of the rhythm
    assert counts.mails_per_conversation == counts.mails / 2  # of c1 and c2
    both_years = add_counts([counts, counts])
    assert (both_years.mails, both_years.conversations) == (2 * counts.mails, 4)
    assert both_years.held_share == counts.held_share


def test_table_has_a_row_for_each_count_and_a_column_for_each_company() -> None:
    table = format_table({"one": count_quarter(), "two": count_quarter()}).splitlines()
    assert table[0] == "| what | promised | one | two |"
    assert len(table) == 2 + len(ROWS)  # the header and the line below it, then the rows


def test_counts_import_nothing_of_the_planner() -> None:
    """The counts import only the model and the arithmetic of working time."""
    allowed_modules = {"worker.domain.model", "worker.domain.time.worktime"}
    for module in (ROOT / "tests/support/counts").glob("*.py"):
        tree = ast.parse(module.read_text(encoding="utf-8"))
        names = {node.module or "" for node in ast.walk(tree) if isinstance(node, ast.ImportFrom)}
        names |= {name.name for node in ast.walk(tree) if isinstance(node, ast.Import) for name in node.names}
        assert {name for name in names if name.startswith("worker")} <= allowed_modules
