"""Killed at any boundary, it goes on as if nothing had happened: one event a session, no message lost.

A process is killed with SIGKILL in the middle of its work on a SQLite file, while the calendar server and the mail
server live on outside of it. A new process, beyond the leases of the dead one, has to bring everything to its end.
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

#: Hundreds of processes live and die here, one after the other: a busy machine needs its time for them.
pytestmark = pytest.mark.timeout(3600 if FULL else 600)
#: What is done until the kill: before, to get there, and then the work in which it is killed.
WORK: dict[str, tuple[list[list[str]], list[list[str]]]] = {
    "create": ([["people"]], [["tick"]]),
    "update": ([["people"], ["tick"]], [["defer"], ["tick"]]),
    "cancel": ([["people"], ["tick"]], [["pause"], ["tick"]]),
    "mail": ([["people"], ["tick"], ["move_past_end"], ["tick"]], [["record"], ["tick"]]),
}


#: What comes before every effect alike: with the creation of an event it is gone through once.
COMMON = ("sync", "sweep.claim", "outbox.claim")


#: Where it is another service that is called; all the others are the same whatever service it is.
CALLS = ("create", "update", "cancel", "send")


def chosen(work: str, boundaries: Sequence[str], servers: Servers) -> Iterator[int]:
    """The first boundary, and each that is passed for the first time when something was done since the one before: in
    between two others nothing is, so that both deaths leave the same behind. In the long proof, all of them."""
    for number, name in enumerate(boundaries):
        if not FULL and isinstance(servers, GoogleServers | OutlookServers) and not name.startswith(CALLS):
            continue
        if not FULL and number and boundaries[number - 1] != f"{name.removesuffix(' after')} before":
            continue
        is_first = boundaries.index(name) == number and (work == "create" or not name.startswith(COMMON))
        # What a contract puts on calendars takes the same steps as the creation that is gone through whole.
        if FULL or is_first or (name.startswith("step.") and work != "mail"):
            yield number


@pytest.mark.proof
@pytest.mark.parametrize("work", WORK)
def test_killed_at_each_boundary_it_comes_to_the_same_end(
    starter: ProcessStarter, servers: Servers, sqlite_schema: Path, tmp_path: Path, work: str
) -> None:
    before, steps = WORK[work]
    companies = PreparedCompanies(starter, servers, tmp_path, sqlite_schema, work)
    whole = companies.prepare(before)
    assert whole.run_process(steps) == 0
    check_end(whole)
    passed = whole.boundaries
    assert {"sweep.claim before", "sweep.commit after", "outbox.begin after", "outbox.settle before"} <= set(passed)
    assert {f"{'send' if work == 'mail' else work} {side}" for side in ("before", "after")} <= set(passed)
    for number in chosen(work, passed, servers):
        company = companies.prepare(before)
        assert company.run_process(steps, kill=number) == KILLED, passed[number]
        assert company.boundaries == passed[: number + 1]
        company.at += HOUR
        assert company.run_process([*steps, ["run", (company.at + HOUR).isoformat()]]) == 0
        try:
            check_end(company)
        except AssertionError as error:
            raise AssertionError(f"killed at boundary {number}, {passed[number]}: {error}") from error
