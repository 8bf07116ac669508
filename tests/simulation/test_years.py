"""Companies that live for a long time, watched by `tests.support.audit`, which reads only the ledger."""

import io
import json
import random
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from bench.company import build_company
from tests.support.audit.auditor import audit
from tests.support.proof import FULL
from worker.domain.model import Address, Interval, Pair, PairId, Person
from worker.simulation import run

START = datetime(2026, 1, 5, 6, tzinfo=UTC)


Company = tuple[Mapping[Address, Person], Mapping[PairId, Pair]]


def begin_at_random(size: int, seed: int) -> Company:
    """A company whose pairs started at any time, in which some are in transition or have a rhythm of their own."""
    draw = random.Random(seed)
    persons, pairs = build_company(size, START.date())
    today = START.date()
    for pair in list(pairs.values()):
        start = draw.choice([None, draw.randint(-2000, -36), draw.randint(-36, 0), draw.randint(1, 70)])
        until = draw.choice([None, None, None, today + timedelta(days=draw.randint(1, 200))])
        pairs[pair.id] = replace(
            pair,
            start=None if start is None else today + timedelta(days=start),
            transition_until=until,
            every=draw.choice([Interval(weeks=13), Interval(months=3), Interval(weeks=8), Interval(months=6)]),
        )
    return persons, pairs


def live(size: int, days: int, behave: str, seed: int, company: Company | None = None) -> str:
    """The ledger of a company's life."""
    persons, pairs = company or build_company(size, START.date())
    out = io.StringIO()
    run.simulate_to_ledger(persons, pairs, START, timedelta(days=days), seed=seed, behaviour=behave, out=out)
    return out.getvalue()


def violations(ledger: str, size: int, days: int, company: Company | None = None) -> list[str]:
    """What was broken; where all services work, the operator is not needed either."""
    persons, pairs = company or build_company(size, START.date())
    lines = [json.loads(line) for line in ledger.splitlines()]
    found = audit(iter(lines), persons, pairs, start=START, end=START + timedelta(days=days))
    needed = [f"{line['at']} the operator was needed" for line in lines if line.get("message") == "operator_alert"]
    return [f"{v.rule} {v.at:%Y-%m-%d %H:%M} {v.pair}: {v.what}" for v in found] + needed


@pytest.mark.parametrize(("behave", "seed"), [("calm", 1), ("busy", 2), ("hostile", 3)])
def test_simulated_people_cause_no_violation_of_the_rules(behave: str, seed: int) -> None:
    """R-3, R-8, T-1 … T-12 over a quarter and more of a small company."""
    size, days = 7, 75
    assert violations(live(size, days, behave, seed), size, days) == []


@pytest.mark.proof
@pytest.mark.parametrize(("behave", "seed"), [("calm", 1), ("hostile", 3)])
def test_no_promise_is_broken_whenever_pairs_began(behave: str, seed: int) -> None:
    """T-3a: nobody hears of us too early, each pair meets in its turn, and no week of a manager holds too many."""
    size, days = 9, 100
    company = begin_at_random(size, seed)
    assert violations(live(size, days, behave, seed, company), size, days, company) == []


def test_the_same_seed_gives_the_same_ledger_byte_for_byte_and_another_another() -> None:
    first = live(3, 30, "hostile", 7)
    assert first.count("\n") > 50
    assert first == live(3, 30, "hostile", 7)
    assert first != live(3, 30, "hostile", 8)


@pytest.mark.proof
@pytest.mark.skipif(not FULL, reason="two years of two hundred pairs take a while: run `make proof`")
@pytest.mark.timeout(3600)
def test_two_hostile_years_of_two_hundred_pairs() -> None:
    """The long proof: zero violations."""
    size, days = 200, 730
    assert violations(live(size, days, "hostile", 1), size, days) == []


@pytest.mark.proof
@pytest.mark.skipif(not FULL, reason="a year of seventy pairs takes a while: run `make proof`")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(4))
def test_a_hostile_year_of_pairs_that_began_at_any_time(seed: int) -> None:
    """T-3a over a year: zero violations."""
    size, days = 70, 365
    company = begin_at_random(size, seed)
    assert violations(live(size, days, "hostile", seed, company), size, days, company) == []
