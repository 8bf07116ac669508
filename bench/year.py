"""Benchmark of a simulated year: its duration and memory, and how they grow with the company."""

import resource
import sys
import time
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from multiprocessing import get_context

from bench.company import build_company
from worker.simulation import partition, run

START = datetime(2027, 1, 4, 6, tzinfo=UTC)


def measure(days: int = 364, sizes: tuple[int, int] = (1000, 2000)) -> list[tuple[str, str]]:
    """Return a row for each size. Each runs in a process of its own, so that its memory is measured alone."""
    rows: list[tuple[str, str]] = []
    durations: list[float] = []
    for size in sizes:
        with ProcessPoolExecutor(1, get_context("spawn")) as pool:
            seconds, megabytes, lines = pool.submit(simulate_company, size, days).result()
        durations.append(seconds)
        what = f"{size:,} pairs, {days} days, ordinary people"
        rows.append((what, f"{seconds:.0f} s, {megabytes} MB, {lines:,} ledger lines"))
    rows.append(
        (f"{sizes[1]:,} pairs against {sizes[0]:,} (promised: at most 2.2)", f"{durations[1] / durations[0]:.2f}")
    )
    return rows


def simulate_company(size: int, days: int) -> tuple[float, int, int]:
    """Return seconds, the most megabytes (of all its processes together), and the number of ledger lines."""
    persons, pairs = build_company(size, START.date())
    start = time.perf_counter()
    lines = run.simulate_to_ledger(persons, pairs, START, timedelta(days=days), seed=1, behaviour="calm")
    seconds = time.perf_counter() - start
    # `ru_maxrss` is in kilobytes, on macOS in bytes
    units_per_megabyte = 1024 if sys.platform != "darwin" else 1024 * 1024
    own, largest = (resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    return seconds, (own + (len(partition.split_pairs(pairs)) - 1) * largest) // units_per_megabyte, lines
