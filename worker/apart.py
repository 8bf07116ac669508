"""A company in parts that share nobody, each lived in a process of its own, and told in one order.

What one part does means nothing to the other, so the same company gives the same ledger on any machine: how it is cut
follows from the company alone, and never from how many cores there are.
"""

import heapq
import json
import multiprocessing
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ProcessPoolExecutor, wait
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any, Protocol

from worker.domain.model import Address, Pair

PARTS = 2
#: Fewer pairs than this are done before another process has begun.
WORTH_IT = 30
#: How often a process says how far it is. Seconds.
_LOOK = 0.5

Pairs = Mapping[str, Pair]


class Life(Protocol):
    """Lives one part and writes what happened to a file, a JSON object a line, `at` first."""

    def __call__(self, pairs: Pairs, ledger: Path, progress: Callable[[datetime], None]) -> None: ...


def parts(pairs: Pairs) -> list[dict[str, Pair]]:
    """The pairs, cut where nobody is on both sides, into at most `PARTS` of about the same size."""
    if len(pairs) < PARTS * WORTH_IT:
        return [dict(pairs)]
    teams = sorted(_teams(pairs), key=lambda team: (-len(team), min(team)))
    made: list[list[str]] = [[] for _ in range(PARTS)]
    for team in teams:
        min(made, key=len).extend(team)
    return [{name: pairs[name] for name in sorted(part)} for part in made if part]


def _teams(pairs: Pairs) -> list[list[str]]:
    """The pairs that hang together by somebody who is in several."""
    leader: dict[Address, Address] = {}

    def find(person: Address) -> Address:
        while leader.setdefault(person, person) != person:
            leader[person] = person = leader[leader[person]]
        return person

    for pair in pairs.values():
        leader[find(pair.manager)] = find(pair.report)
    found: dict[Address, list[str]] = defaultdict(list)
    for name, pair in pairs.items():
        found[find(pair.manager)].append(name)
    return list(found.values())


def lived(cut: Sequence[Pairs], life: Life, progress: Callable[[datetime], None]) -> Iterator[dict[str, Any]]:
    """What happened in all of them, in order of time; what happened at one instant, part after part."""
    context = multiprocessing.get_context("spawn")
    reached = context.Array("d", len(cut))
    with TemporaryDirectory(prefix="longarc-") as folder, ExitStack() as files:
        ledgers = [Path(folder) / f"{number}.jsonl" for number in range(len(cut))]
        with ProcessPoolExecutor(len(cut), context, _share, (reached,)) as pool:
            jobs = [pool.submit(_live, life, part, ledgers[n], n) for n, part in enumerate(cut)]
            _watch(jobs, reached, progress)
        told = [files.enter_context(ledger.open(encoding="utf-8")) for ledger in ledgers]
        for line in heapq.merge(*told, key=_instant):
            yield json.loads(line)


def _watch(jobs: Sequence[Future[None]], reached: Any, progress: Callable[[datetime], None]) -> None:
    """Wait for all, or for the first that fails: then the others are not waited for. Raises what it raised."""
    left = set(jobs)
    while left:
        done, left = wait(left, timeout=_LOOK)
        if least := min(reached):
            progress(datetime.fromtimestamp(least, UTC))
        for job in done:
            job.result()


_reached: Any = None


def _share(reached: Any) -> None:
    global _reached  # noqa: PLW0603  # it can be handed to a process only when that begins
    _reached = reached


def _live(life: Life, pairs: Pairs, ledger: Path, number: int) -> None:
    def progress(now: datetime) -> None:
        _reached[number] = now.timestamp()

    life(pairs, ledger, progress)


def _instant(line: str) -> str:
    return line[: line.index(",")]
