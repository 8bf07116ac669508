"""A company in parts that share nobody, lived at the same time in several processes, and told in one order.

What one part does means nothing to the other, so the same company gives the same ledger on any machine: how it is cut
follows from the company alone, and never from how many cores there are.
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

MAX_PARTS = 2
#: Fewer pairs than this are done before another process has begun.
MIN_PART_PAIRS = 30

Pairs = Mapping[PairId, Pair]


class PartRunner(Protocol):
    """Lives one part and writes what happened to a file, a JSON object a line, `at` first."""

    def __call__(self, pairs: Pairs, ledger: Path, progress: Callable[[datetime], None]) -> None: ...


def split_pairs(pairs: Pairs) -> list[dict[PairId, Pair]]:
    """The pairs, cut where nobody is on both sides, into at most `MAX_PARTS` of about the same size."""
    if len(pairs) < MAX_PARTS * MIN_PART_PAIRS:
        return [dict(pairs)]
    teams = sorted(_group_by_team(pairs), key=lambda team: (-len(team), min(team)))
    made: list[list[PairId]] = [[] for _ in range(MAX_PARTS)]
    for team in teams:
        min(made, key=len).extend(team)
    return [{name: pairs[name] for name in sorted(part)} for part in made if part]


def _group_by_team(pairs: Pairs) -> list[list[PairId]]:
    """The pairs that hang together by somebody who is in several."""
    leader: dict[Address, Address] = {}

    def find(person: Address) -> Address:
        while leader.setdefault(person, person) != person:
            leader[person] = person = leader[leader[person]]
        return person

    for pair in pairs.values():
        leader[find(pair.manager)] = find(pair.report)
    found: dict[Address, list[PairId]] = defaultdict(list)
    for name, pair in pairs.items():
        found[find(pair.manager)].append(name)
    return list(found.values())


def run_parts(cut: Sequence[Pairs], life: PartRunner, progress: Callable[[datetime], None]) -> Iterator[str]:
    """The lines of what happened in all of them, in order of time; what happened at one instant, part after part.

    The first part is lived in this process, each other in one of its own. Raises what any of them raised.
    """
    context = multiprocessing.get_context("spawn")
    with TemporaryDirectory(prefix="longarc-") as folder, ExitStack() as files:
        ledgers = [Path(folder) / f"{number}.jsonl" for number in range(len(cut))]
        with ProcessPoolExecutor(len(cut) - 1, context) as pool, _terminate_on_failure():
            others = [pool.submit(_run_part, life, *one) for one in zip(cut[1:], ledgers[1:], strict=True)]

            def check_others(now: datetime) -> None:
                _raise_failure(others)
                progress(now)

            life(cut[0], ledgers[0], check_others)
            for other in others:
                other.result()
        lines = [files.enter_context(ledger.open(encoding="utf-8")) for ledger in ledgers]
        yield from heapq.merge(*lines, key=_get_instant)


@contextmanager
def _terminate_on_failure() -> Iterator[None]:
    """When one part fails, nobody wants to know any more what becomes of the others."""
    try:
        yield
    except BaseException:
        for child in multiprocessing.active_children():
            child.terminate()
        raise


def _run_part(life: PartRunner, pairs: Pairs, ledger: Path) -> None:
    life(pairs, ledger, lambda _: None)


def _raise_failure(jobs: Sequence[Future[None]]) -> None:
    """Raise what one of them raised, if any did."""
    for job in jobs:
        if job.done():
            job.result()


def _get_instant(line: str) -> str:
    return line[: line.index(",")]
