"""A company cut into parts that share nobody: where it is cut, and that nothing else depends on it."""

import io
import json
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
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
PEOPLE = st.sampled_from([f"p{n}@x.example" for n in range(160)])


def people(pairs: Mapping[PairId, Pair]) -> set[str]:
    return {who for pair in pairs.values() for who in (pair.manager, pair.report)}


@given(st.lists(st.tuples(PEOPLE, PEOPLE), min_size=1, max_size=120))
def test_the_parts_share_nobody_and_leave_nothing_out(drawn: list[tuple[str, str]]) -> None:
    pairs = {p.id: p for a, b in drawn if a != b for p in (Pair(manager=a, report=b, first_seen=START.date()),)}
    cut = partition.split_pairs(pairs)
    assert {name for part in cut for name in part} == pairs.keys()
    assert sum(len(part) for part in cut) == len(pairs)
    assert all(not people(one) & people(other) for n, one in enumerate(cut) for other in cut[:n])


def test_teams_without_a_bond_are_cut_into_two_of_a_size() -> None:
    _, pairs = build_company(70, START.date())
    assert [len(part) for part in partition.split_pairs(pairs)] == [35, 35]


def test_a_company_with_one_at_the_top_stays_whole() -> None:
    _, pairs = build_company(70, START.date())
    heads = {pair.manager for pair in pairs.values()}
    tops = [Pair(manager="top@bench.example", report=head, first_seen=START.date()) for head in sorted(heads)]
    assert len(partition.split_pairs(pairs | {pair.id: pair for pair in tops})) == 1


def test_a_part_lives_as_it_would_alone_and_all_is_told_in_order() -> None:
    persons, pairs = build_company(70, START.date())
    out = io.StringIO()
    length = timedelta(days=3)
    count = run.simulate_to_ledger(persons, pairs, START, length, seed=2, behaviour="busy", out=out)
    lines = [json.loads(line) for line in out.getvalue().splitlines()]
    assert len(lines) == count > 200
    assert [line["at"] for line in lines] == sorted(line["at"] for line in lines)
    part = partition.split_pairs(pairs)[0]
    alone = io.StringIO()
    some = {who: persons[who] for who in sorted(people(part))}
    run.simulate_to_ledger(some, part, START, length, seed=2, behaviour="busy", out=alone)
    managers = {pair.manager for pair in part}  # mails about several pairs name none
    ours = [
        line for line in lines if (PairId.parse(line["pair"]) in part if "pair" in line else line["to"] in managers)
    ]
    assert ours == [json.loads(x) for x in alone.getvalue().splitlines()]


def test_what_goes_wrong_in_a_part_is_told_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "report3@bench.example.ics").write_text("no calendar")
    persons, pairs = build_company(70, START.date())
    wanted = run.SimulationOptions(start=START, days=2, seed=1, behaviour="calm", calendars=tmp_path)
    with pytest.raises(Problems, match=r"report3@bench\.example\.ics: It can't be read"):
        run.run_simulation(wanted, Settings(), persons, pairs, tmp_path / "out")
    assert not (tmp_path / "out").exists()
