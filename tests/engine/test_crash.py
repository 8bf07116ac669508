"""Tests that a process killed at any boundary leaves a state from which another process completes the work.

A process is killed with SIGKILL while it works on a SQLite file. The calendar server and the mail server keep running.
When the leases of the killed process have ended, a new process has to complete everything: one event for each session,
and no mail lost. A boundary is a point before or after a write to the database or a request to a service.
"""

from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

from tests.support.companies import HOUR
from tests.support.crash_stories import (
    KILLED,
    GoogleServers,
    OutlookServers,
    PreparedCompanies,
    ProcessStarter,
    Servers,
    check_end,
)
from tests.support.proof import FULL

#: These tests run hundreds of processes one after the other, which takes long on a busy machine.
pytestmark = pytest.mark.timeout(3600 if FULL else 600)
#: For each kind of effect: the steps that prepare the company, and the steps in which the process is killed. A step is
#: one of `WorkerProcess` in `tests.support.crash_child`; `people` imports the people.
WORK: dict[str, tuple[list[list[str]], list[list[str]]]] = {
    "create": ([["people"]], [["tick"]]),
    "update": ([["people"], ["tick"]], [["defer"], ["tick"]]),
    "cancel": ([["people"], ["tick"]], [["pause"], ["tick"]]),
    "mail": ([["people"], ["tick"], ["move_past_end"], ["tick"]], [["record"], ["tick"]]),
}
#: Boundaries before every effect. The bounded proof kills there only while an event is created.
COMMON = ("sync", "sweep.claim", "outbox.claim")
#: Boundaries of requests to a service. With Google and Microsoft, the bounded proof kills only there, since the other
#: boundaries do not depend on the service.
CALLS = ("create", "update", "cancel", "send")


def choose_boundaries(work: str, boundaries: Sequence[str], servers: Servers) -> Iterator[int]:
    """Yield the numbers of the boundaries at which a process is killed: in the full proof all.

    In the bounded proof, these are the first boundary, and each that is passed for the first time. A boundary is left
    out when nothing is done between the one before and itself, since killing at either leaves the same state.
    """
    for number, name in enumerate(boundaries):
        if not FULL and isinstance(servers, GoogleServers | OutlookServers) and not name.startswith(CALLS):
            continue
        if not FULL and number and boundaries[number - 1] != f"{name.removesuffix(' after')} before":
            continue
        is_first = boundaries.index(name) == number and (work == "create" or not name.startswith(COMMON))
        # the steps that write the event of a commitment are those of "create", where all of them are tried
        if FULL or is_first or (name.startswith("step.") and work != "mail"):
            yield number


@pytest.mark.proof
@pytest.mark.parametrize("work", WORK)
def test_work_of_a_process_killed_at_any_boundary_is_completed(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path, work: str
) -> None:
    preparation, steps = WORK[work]
    companies = PreparedCompanies(starter, servers, tmp_path, sqlite_schema, work)
    undisturbed = companies.prepare(preparation)
    assert undisturbed.run_process(steps) == 0
    check_end(undisturbed)
    boundaries = undisturbed.boundaries
    assert {"sweep.claim before", "sweep.commit after", "outbox.begin after"} <= set(boundaries)
    assert "outbox.settle before" in boundaries
    assert {f"{'send' if work == 'mail' else work} {side}" for side in ("before", "after")} <= set(boundaries)
    for number in choose_boundaries(work, boundaries, servers):
        company = companies.prepare(preparation)
        assert company.run_process(steps, kill=number) == KILLED, boundaries[number]
        assert company.boundaries == boundaries[: number + 1]
        company.at += HOUR  # longer than all leases
        assert company.run_process([*steps, ["run", (company.at + HOUR).isoformat()]]) == 0
        try:
            check_end(company)
        except AssertionError as error:
            raise AssertionError(f"killed at boundary {number}, {boundaries[number]}: {error}") from error
