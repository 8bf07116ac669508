"""Long simulations of companies, audited by `tests.support.audit`, which reads only the ledger."""

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


def build_random_company(size: int, seed: int) -> Company:
    """Return a company of `size` pairs with random starts, transitions and rhythms."""
    generator = random.Random(seed)
    persons, pairs = build_company(size, START.date())
    today = START.date()
    for pair in list(pairs.values()):
        # in days: long ago, within the five weeks in which a pair counts as new, or in the future
        start = generator.choice(
            [None, generator.randint(-2000, -36), generator.randint(-36, 0), generator.randint(1, 70)]
        )
        transition_until = generator.choice([None, None, None, today + timedelta(days=generator.randint(1, 200))])
        pairs[pair.id] = replace(
            pair,
            start=None if start is None else today + timedelta(days=start),
            transition_until=transition_until,
            every=generator.choice([Interval(weeks=13), Interval(months=3), Interval(weeks=8), Interval(months=6)]),
        )
    return persons, pairs


def simulate_ledger(size: int, days: int, behaviour: str, seed: int, company: Company | None = None) -> str:
    """Simulate so many days of a company, usually one of `size` pairs, and return the ledger."""
    persons, pairs = company or build_company(size, START.date())
    ledger = io.StringIO()
    run.simulate_to_ledger(persons, pairs, START, timedelta(days=days), seed=seed, behaviour=behaviour, out=ledger)
    return ledger.getvalue()


def list_violations_and_alerts(ledger: str, size: int, days: int, company: Company | None = None) -> list[str]:
    """Return the violations in a ledger, and the operator alerts: all services work, so there should be none."""
    persons, pairs = company or build_company(size, START.date())
    lines = [json.loads(line) for line in ledger.splitlines()]
    violations = audit(lines, persons, pairs, start=START, end=START + timedelta(days=days))
    alerts = [f"{line['at']} the operator was needed" for line in lines if line.get("message") == "operator_alert"]
    return [*map(str, violations), *alerts]


@pytest.mark.parametrize(("behaviour", "seed"), [("calm", 1), ("busy", 2), ("hostile", 3)])
def test_simulated_people_cause_no_violation_of_the_rules(behaviour: str, seed: int) -> None:
    """R-3, R-8, T-1 … T-12: the auditor finds no broken rule in 75 days of a small company."""
    size, days = 7, 75
    assert list_violations_and_alerts(simulate_ledger(size, days, behaviour, seed), size, days) == []


@pytest.mark.proof
@pytest.mark.parametrize(("behaviour", "seed"), [("calm", 1), ("hostile", 3)])
def test_rules_hold_for_pairs_with_random_starts(behaviour: str, seed: int) -> None:
    """T-3a: no mail is too early, pairs first meet in turn, and a manager has at most two first sessions a week."""
    size, days = 9, 100
    company = build_random_company(size, seed)
    assert list_violations_and_alerts(simulate_ledger(size, days, behaviour, seed, company), size, days, company) == []


def test_ledger_is_determined_by_the_seed() -> None:
    ledger = simulate_ledger(size=3, days=30, behaviour="hostile", seed=7)
    assert ledger.count("\n") > 50
    assert ledger == simulate_ledger(size=3, days=30, behaviour="hostile", seed=7)
    assert ledger != simulate_ledger(size=3, days=30, behaviour="hostile", seed=8)


@pytest.mark.proof
@pytest.mark.skipif(not FULL, reason="two years of two hundred pairs take a while: run `make proof`")
@pytest.mark.timeout(3600)
def test_rules_hold_for_200_pairs_of_hostile_people_over_two_years() -> None:
    """The auditor finds no broken rule in a large company (R-3, R-8, T-1 … T-12)."""
    size, days = 200, 730
    assert list_violations_and_alerts(simulate_ledger(size, days, "hostile", seed=1), size, days) == []


@pytest.mark.proof
@pytest.mark.skipif(not FULL, reason="a year of seventy pairs takes a while: run `make proof`")
@pytest.mark.timeout(3600)
@pytest.mark.parametrize("seed", range(4))
def test_rules_hold_for_pairs_of_hostile_people_with_random_starts_over_a_year(seed: int) -> None:
    """T-3a: no mail is too early, and pairs first meet in turn."""
    size, days = 70, 365
    company = build_random_company(size, seed)
    assert list_violations_and_alerts(simulate_ledger(size, days, "hostile", seed, company), size, days, company) == []
