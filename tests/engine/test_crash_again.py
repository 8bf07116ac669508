"""Killed again and again, also in its recovery and at random, it still comes to the same end."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.companies import DAY, HOUR, MINUTE, START
from tests.support.crash_stories import CrashCompany, OwnServers, ProcessStarter, Servers, check_end
from tests.support.proof import FULL

#: Processes live and die here, one after the other: a busy machine needs its time for them.
pytestmark = pytest.mark.timeout(3600 if FULL else 600)


def test_answer_that_comes_late_is_not_taken_for_that_of_the_next_process(
    starter: ProcessStarter, own_servers: OwnServers, sqlite_schema: Path, tmp_path: Path
) -> None:
    late = CrashCompany(starter, own_servers, tmp_path / "late", sqlite_schema, "late")
    with pytest.raises(AssertionError, match="did not end"):
        starter.run(late.describe_work([["people"], ["tick"]], kill=0), patience=0)
    assert CrashCompany(starter, own_servers, tmp_path / "next", sqlite_schema, "next").run_process([["people"]]) == 0


def test_killed_again_and_again_in_its_recovery_it_still_comes_to_the_end(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path
) -> None:
    """Each process lives two boundaries longer than the one before, starting from the very first."""
    company = CrashCompany(starter, servers, tmp_path / "again", sqlite_schema, "again")
    assert company.run_process([["people"]]) == 0
    deaths = 0
    for kill in range(0, 60, 2):
        if company.run_process([["tick"]], kill=kill) == 0:
            break
        deaths += 1
        company.at += 11 * MINUTE
    assert deaths > 5
    company.at += HOUR
    assert company.run_process([["run", (company.at + HOUR).isoformat()]]) == 0
    check_end(company)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(30 if FULL else 1))
def test_a_quarter_with_kills_at_random(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path, seed: int
) -> None:
    """Some pairs live through a quarter in processes that die after a random number of boundaries."""
    dice = random.Random(seed)
    company = CrashCompany(
        starter, servers, tmp_path / "quarter", sqlite_schema, f"quarter{seed}", count=3 if FULL else 1
    )
    assert company.run_process([["people"]]) == 0
    end = START + (100 if FULL else 25) * DAY
    deaths = 0
    while company.at < end:
        until = min(company.at + timedelta(days=dice.choice((1, 7, 20))), end)
        if company.run_process([["run", until.isoformat()]], kill=dice.randrange(1, 40)) == 0:
            company.at = until
        else:
            deaths += 1
            company.at += dice.choice((MINUTE, 11 * MINUTE, HOUR))
    assert company.run_process([["run", (end + DAY).isoformat()]]) == 0
    assert deaths > (10 if FULL else 2)
    check_end(company)
