"""Splits a company into parts, simulates them in parallel processes, and merges their ledgers.

No person is in two parts, so the parts do not affect each other. The split depends only on the company, and not on the
number of cores, so that every machine writes the same ledger.
"""

import heapq
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import ExitStack, contextmanager
from datetime import datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Protocol

from worker.domain.model import Address, Pair, PairId

#: The most parts of a company, and so the most processes.
MAX_PARTS = 2
#: A company is split only if its parts have at least this many pairs on average. Simulating fewer pairs takes less time
#: than starting a process.
MIN_PART_PAIRS = 30

Pairs = Mapping[PairId, Pair]


class PartRunner(Protocol):
    """Simulates one part, and writes its ledger: one JSON object per line, whose first key is the time `at`."""

    def __call__(self, pairs: Pairs, ledger: Path, progress: Callable[[datetime], None]) -> None: ...


def split_pairs(pairs: Pairs) -> list[dict[PairId, Pair]]:
    """Split the pairs into at most MAX_PARTS parts of similar size, so that no person is in two parts."""
    if len(pairs) < MAX_PARTS * MIN_PART_PAIRS:
        return [dict(pairs)]
    teams = sorted(_group_by_team(pairs), key=lambda team: (-len(team), min(team)))
    parts: list[list[PairId]] = [[] for _ in range(MAX_PARTS)]
    for team in teams:
        min(parts, key=len).extend(team)
    return [{pair_id: pairs[pair_id] for pair_id in sorted(part)} for part in parts if part]


def _group_by_team(pairs: Pairs) -> list[list[PairId]]:
    """Return teams: groups of pairs that are connected by shared people. The algorithm is union-find."""
    parents: dict[Address, Address] = {}  # the parent of each person in trees, of which each one is a team

    def find_root(person: Address) -> Address:
        while parents.setdefault(person, person) != person:
            parents[person] = person = parents[parents[person]]  # shortens the path to the root
        return person

    for pair in pairs.values():
        parents[find_root(pair.manager)] = find_root(pair.report)
    teams: dict[Address, list[PairId]] = defaultdict(list)
    for pair_id, pair in pairs.items():
        teams[find_root(pair.manager)].append(pair_id)
    return list(teams.values())


def run_parts(parts: Sequence[Pairs], run_part: PartRunner, progress: Callable[[datetime], None]) -> Iterator[str]:
    """Simulate the parts, and yield the lines of their ledgers by time; at the same instant, in the order of the parts.

    The first part runs in this process, and each other part in a process of its own. An error in any part is raised.
    """
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory(prefix="longarc-") as folder, ExitStack() as files:
        ledgers = [Path(folder) / f"{number}.jsonl" for number in range(len(parts))]
        with ProcessPoolExecutor(len(parts) - 1, context) as pool, _terminate_on_failure():
            other_jobs = [
                pool.submit(_run_without_progress, run_part, pairs, ledger)
                for pairs, ledger in zip(parts[1:], ledgers[1:], strict=True)
            ]

            def check_other_jobs(now: datetime) -> None:
                _raise_failure(other_jobs)
                progress(now)

            run_part(parts[0], ledgers[0], check_other_jobs)
            for job in other_jobs:
                job.result()
        ledger_files = [files.enter_context(ledger.open(encoding="utf-8")) for ledger in ledgers]
        yield from heapq.merge(*ledger_files, key=_get_instant)


@contextmanager
def _terminate_on_failure() -> Iterator[None]:
    """Terminate the child processes when the block raises, because one part has failed."""
    try:
        yield
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise


def _run_without_progress(run_part: PartRunner, pairs: Pairs, ledger: Path) -> None:
    run_part(pairs, ledger, lambda _: None)


def _raise_failure(jobs: Sequence[Future[None]]) -> None:
    """Raise the error of the first of the finished jobs that failed, if there is one."""
    for job in jobs:
        if job.done():
            job.result()


def _get_instant(line: str) -> str:
    """Return the text of the first field of a ledger line, which is the time `at`. These texts sort by time."""
    return line[: line.index(",")]
