"""Tests that the work is completed although processes are killed repeatedly, also during recovery and at random."""

import random
from datetime import timedelta
from pathlib import Path

import pytest

from tests.support.companies import DAY, HOUR, MINUTE, START
from tests.support.crash_stories import CrashCompany, OwnServers, ProcessStarter, Servers, check_end
from tests.support.proof import FULL

#: These tests run many processes one after the other, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(3600 if FULL else 600)

#: Longer than a lease holds: after this time another process takes over the work of one that was killed.
AFTER_LEASE = 11 * MINUTE

# A step such as `["run", "2026-10-01T00:00+00:00"]` is a step of `WorkerProcess` in `tests.support.crash_child`, with
# its arguments. A boundary is the moment before or after a call to the database, the calendar or the mail server, such
# as `create before`; `kill` is the number of boundaries that the process passes before it is killed.


def test_late_answer_is_not_attributed_to_the_next_process(
    starter: ProcessStarter, own_servers: OwnServers, sqlite_schema: Path, tmp_path: Path
) -> None:
    """This tests `ProcessStarter` itself: after a time-out, it must not read the result of the earlier process.

    One kind of servers is enough for this, so it uses `own_servers`; the other tests run with each kind.
    """
    late = CrashCompany(starter, own_servers, tmp_path / "late", sqlite_schema, "late")
    with pytest.raises(AssertionError, match="did not end"):
        starter.run(late.describe_work([["people"], ["tick"]], kill=0), patience=0)
    assert CrashCompany(starter, own_servers, tmp_path / "next", sqlite_schema, "next").run_process([["people"]]) == 0


def test_work_is_completed_although_each_recovery_is_killed(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path
) -> None:
    """The first process is killed at the first boundary, and each later process passes two boundaries more."""
    company = CrashCompany(starter, servers, tmp_path / "again", sqlite_schema, "again")
    assert company.run_process([["people"]]) == 0
    kill_count = 0
    for boundary in range(0, 60, 2):
        if company.run_process([["tick"]], kill=boundary) == 0:  # it came to its end
            break
        kill_count += 1
        company.at += AFTER_LEASE
    assert kill_count > 5
    company.at += HOUR
    assert company.run_process([["run", (company.at + HOUR).isoformat()]]) == 0
    check_end(company)


@pytest.mark.proof
@pytest.mark.parametrize("seed", range(30 if FULL else 1))
def test_work_of_a_quarter_is_completed_although_processes_are_killed_at_random(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path, seed: int
) -> None:
    """Each process is killed after a random number of boundaries. The bounded proof takes 25 days and one pair."""
    dice = random.Random(seed)
    company = CrashCompany(
        starter, servers, tmp_path / "quarter", sqlite_schema, f"quarter{seed}", count=3 if FULL else 1
    )
    assert company.run_process([["people"]]) == 0
    end = START + (100 if FULL else 25) * DAY
    kill_count = 0
    while company.at < end:
        until = min(company.at + timedelta(days=dice.choice((1, 7, 20))), end)
        if company.run_process([["run", until.isoformat()]], kill=dice.randrange(1, 40)) == 0:
            company.at = until
        else:
            kill_count += 1
            company.at += dice.choice((MINUTE, AFTER_LEASE, HOUR))
    assert company.run_process([["run", (end + DAY).isoformat()]]) == 0
    assert kill_count > (10 if FULL else 2)
    check_end(company)
