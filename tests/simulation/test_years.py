"""Companies that live for a long time, watched by `tests.support.audit`, which reads only the ledger."""

import io
import json
import os
from datetime import UTC, datetime, timedelta

import pytest

from bench.company import build_company
from tests.support.audit.auditor import audit
from worker.simulation import run

START = datetime(2026, 1, 5, 6, tzinfo=UTC)
FULL = os.environ.get("LONGARC_PROOF") == "full"


def live(size: int, days: int, behave: str, seed: int) -> str:
    """The ledger of a company's life."""
    persons, pairs = build_company(size, START.date())
    out = io.StringIO()
    run.simulate_to_ledger(persons, pairs, START, timedelta(days=days), seed=seed, behave=behave, out=out)
    return out.getvalue()


def violations(ledger: str, size: int, days: int) -> list[str]:
    """What was broken; where all services work, the operator is not needed either."""
    persons, pairs = build_company(size, START.date())
    lines = [json.loads(line) for line in ledger.splitlines()]
    found = audit(iter(lines), persons, pairs, start=START, end=START + timedelta(days=days))
    needed = [f"{line['at']} the operator was needed" for line in lines if line.get("message") == "operator_alert"]
    return [f"{v.rule} {v.at:%Y-%m-%d %H:%M} {v.pair}: {v.what}" for v in found] + needed


@pytest.mark.parametrize(("behave", "seed"), [("calm", 1), ("busy", 2), ("hostile", 3)])
def test_no_promise_is_broken_whatever_people_do(behave: str, seed: int) -> None:
    """R-3, R-8, T-1 … T-12 over a quarter and more of a small company."""
    size, days = 7, 75
    assert violations(live(size, days, behave, seed), size, days) == []


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
