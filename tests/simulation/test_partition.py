"""The division of a company into parts without common people, and the simulation of these parts."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from itertools import combinations, permutations
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from bench.company import build_company
from worker.domain.model import Pair, PairId
from worker.errors import Problems
from worker.settings.load import Settings
from worker.simulation import partition, run

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
#: All pairs of eight teams of five people.
PAIRS = [
    PairId(f"t{team}p{manager}@x.example", f"t{team}p{report}@x.example")
    for team in range(8)
    for manager, report in permutations(range(5), 2)
]


def list_people(pairs: Mapping[PairId, Pair]) -> set[str]:
    return {email for pair in pairs.values() for email in (pair.manager, pair.report)}


@given(st.lists(st.sampled_from(PAIRS), min_size=1, unique=True) | st.permutations(PAIRS))
def test_parts_share_no_person_and_contain_every_pair(pair_ids: list[PairId]) -> None:
    pairs = {
        pair_id: Pair(manager=pair_id.manager, report=pair_id.report, first_seen=START.date()) for pair_id in pair_ids
    }
    parts = partition.split_pairs(pairs)
    assert len(parts) == (1 if len(pairs) < partition.MAX_PARTS * partition.MIN_PART_PAIRS else partition.MAX_PARTS)
    assert {name for part in parts for name in part} == pairs.keys()
    assert sum(len(part) for part in parts) == len(pairs)
    assert all(list_people(first).isdisjoint(list_people(second)) for first, second in combinations(parts, 2))


def test_separate_teams_are_divided_into_two_equal_parts() -> None:
    _, pairs = build_company(70, START.date())
    assert [len(part) for part in partition.split_pairs(pairs)] == [35, 35]


def test_company_with_one_common_manager_is_not_divided() -> None:
    _, pairs = build_company(70, START.date())
    managers = {pair.manager for pair in pairs.values()}
    top_pairs = [
        Pair(manager="top@bench.example", report=manager, first_seen=START.date()) for manager in sorted(managers)
    ]
    assert len(partition.split_pairs(pairs | {pair.id: pair for pair in top_pairs})) == 1


def test_part_gives_the_same_lines_as_alone_and_all_lines_are_in_order() -> None:
    persons, pairs = build_company(70, START.date())
    ledger = io.StringIO()
    length = timedelta(days=3)
    count = run.simulate_to_ledger(persons, pairs, START, length, seed=2, behaviour="busy", out=ledger)
    lines = [json.loads(line) for line in ledger.getvalue().splitlines()]
    assert len(lines) == count > 200
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    part = partition.split_pairs(pairs)[0]
    ledger_of_part = io.StringIO()
    persons_of_part = {email: persons[email] for email in sorted(list_people(part))}
    run.simulate_to_ledger(persons_of_part, part, START, length, seed=2, behaviour="busy", out=ledger_of_part)
    managers = {pair.manager for pair in part}  # a mail about several pairs names no pair
    lines_of_part = [
        line for line in lines if (PairId.parse(line["pair"]) in part if "pair" in line else line["to"] in managers)
    ]
    assert lines_of_part == [json.loads(line) for line in ledger_of_part.getvalue().splitlines()]


def test_problem_in_one_part_is_raised_unchanged(tmp_path: Path) -> None:
    (tmp_path / "report3@bench.example.ics").write_text("no calendar")
    persons, pairs = build_company(70, START.date())
    options = run.SimulationOptions(start=START, days=2, seed=1, behaviour="calm", calendars=tmp_path)
    with pytest.raises(Problems, match=r"report3@bench\.example\.ics: It can't be read"):
        run.run_simulation(options, Settings(), persons, pairs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
