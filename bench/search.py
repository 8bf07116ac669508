"""Benchmark of the slot search: one whole search for a pair, and its bit sets against the interval library `portion`.

Two people have 250 events each within three months. `portion` gets all events of a person in one call, since adding
them one by one is about a hundred times slower. In both comparisons the two sides must find the same starts:

- the bare search, with the working and busy time of both people already converted;
- the search from lists of spans, which includes the conversion of datetimes.
"""

import random
import time
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import portion

from worker.domain.model import QUARTER_HOUR, BusyTime, FreeBusy, Person, Preference, Span
from worker.domain.time.availability import QuarterGrid, find_starts, iterate_set_bits
from worker.domain.time.search import Search
from worker.domain.time.slots import rank_slots
from worker.domain.time.worktime import list_working_spans, parse_hours

#: The library has no types.
library: Any = portion

MONDAY = datetime(2027, 3, 1, tzinfo=UTC)
WINDOW = Span(MONDAY, MONDAY + timedelta(days=91))
NO_TIME = timedelta()
GRID = QuarterGrid(WINDOW)
MINUTES = 75  #: the length of the session
EVENTS = 250  #: of each of the two people
#: What is promised: the most CPU time of one search, and the least ratio of the library's time to ours.
MAX_MICROSECONDS = 1000.0
MIN_RATIO = 50.0

MANAGER = Person(
    email="dana@x.example", name="Dana", zone="Europe/Berlin", country="DE-BY", hours=parse_hours("Mon-Fri 09:00-17:00")
)
REPORT = Person(
    email="sam@x.example", name="Sam", zone="Europe/London", country="GB", hours=parse_hours("Mon-Fri 08:30-17:30")
)


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table. Raises AssertionError when a promise isn't kept."""
    search = make_search()
    whole = measure_best(lambda: rank_slots(search, limit=3), rounds=30, times=10)
    assert whole < MAX_MICROSECONDS, f"a search takes {whole:.0f} µs"
    calendars = PairTimes(
        list_working_spans(MANAGER, WINDOW), list_working_spans(REPORT, WINDOW), make_spans(1), make_spans(2)
    )
    bits, intervals = as_bits(calendars), as_intervals(calendars)
    count = len(list_bit_starts(search_bits(bits)))
    assert list_bit_starts(search_bits(bits)) == list_interval_starts(search_intervals(intervals)), (
        "the two searches disagree"
    )
    # the times of the bare search, and below of the search from spans: ours, and the library's
    bare = (
        measure_best(lambda: search_bits(bits), rounds=20, times=20),
        measure_best(lambda: search_intervals(intervals), rounds=5, times=1),
    )
    ratio = bare[1] / bare[0]
    assert ratio >= MIN_RATIO, f"only {ratio:.0f} times as fast"
    from_spans = (
        measure_best(lambda: search_bits(as_bits(calendars)), rounds=20, times=5),
        measure_best(lambda: search_intervals(as_intervals(calendars)), rounds=5, times=1),
    )
    return [
        (f"three ranked times with reasons, 91 days, {EVENTS} events each", f"{whole:.0f} µs CPU"),
        (f"bare search, bit sets ({count} starts)", f"{bare[0]:.1f} µs CPU"),
        ("bare search, portion (the same starts)", f"{bare[1]:.0f} µs CPU"),
        ("bare search, ratio", f"{ratio:.0f} times"),
        ("search from lists of spans, bit sets", f"{from_spans[0]:.0f} µs CPU"),
        ("search from lists of spans, portion", f"{from_spans[1]:.0f} µs CPU"),
        ("search from lists of spans, ratio", f"{from_spans[1] / from_spans[0]:.0f} times"),
    ]


def measure_best(call: Callable[[], object], rounds: int, times: int) -> float:
    """Return the CPU time of one call in microseconds: the best of several rounds, since other programs interfere.

    A round is so many calls: `times`.
    """
    call()
    results = []
    for _ in range(rounds):
        started = time.process_time()
        for _ in range(times):
            call()
        results.append((time.process_time() - started) / times * 1e6)
    return min(results)


def make_spans(seed: int) -> tuple[Span, ...]:
    """Return a full calendar: events of 25 to 90 minutes in the daytime, some of them overlapping."""
    rng = random.Random(seed)
    starts = [MONDAY + timedelta(days=rng.randrange(91), minutes=5 * rng.randrange(84, 216)) for _ in range(EVENTS)]
    return tuple(Span(at, at + timedelta(minutes=rng.choice((25, 30, 50, 60, 90)))) for at in sorted(starts))


def make_search() -> Search:
    """Return the search of one pair, as a sweep makes it."""
    calendars = {MANAGER.email: make_spans(1), REPORT.email: make_spans(2)}
    return Search(
        manager=MANAGER,
        report=REPORT,
        window=WINDOW,
        minutes=MINUTES,
        target=MONDAY + timedelta(days=45, hours=12),
        preference=Preference(weekday=1, minute=600),
        free_busy={email: FreeBusy(tuple(BusyTime(part) for part in parts)) for email, parts in calendars.items()},
    )


class PairTimes(NamedTuple):
    """Work and busy time of two people, as spans."""

    work: Sequence[Span]
    other_work: Sequence[Span]
    busy: Sequence[Span]
    other_busy: Sequence[Span]


def as_bits(calendars: PairTimes) -> tuple[int, int, int, int]:
    """Convert to bit sets, with a quarter-hour added on each side of busy spans."""
    work, other_work, busy, other_busy = calendars
    return (
        GRID.find_filled(work),
        GRID.find_filled(other_work),
        GRID.find_touched(busy, 1),
        GRID.find_touched(other_busy, 1),
    )


def search_bits(bits: tuple[int, int, int, int]) -> int:
    """Return every possible start, as a bit set."""
    work, other_work, busy, other_busy = bits
    return find_starts(work & other_work & ~busy & ~other_busy, MINUTES // 15)


def list_bit_starts(start_bits: int) -> list[datetime]:
    """Return the instants of the starts in a bit set."""
    return [GRID.get_instant(index) for index in iterate_set_bits(start_bits)]


def as_intervals(calendars: PairTimes) -> tuple[Any, Any, Any, Any]:
    """Convert to intervals of the library, with the same quarter-hour added."""
    work, other_work, busy, other_busy = calendars
    return (
        unite_spans(work),
        unite_spans(other_work),
        unite_spans(busy, QUARTER_HOUR),
        unite_spans(other_busy, QUARTER_HOUR),
    )


def search_intervals(intervals: tuple[Any, Any, Any, Any]) -> list[tuple[datetime, datetime]]:
    """Return the first and last possible start in each free interval that is long enough."""
    work, other_work, busy, other_busy = intervals
    free = (work & other_work) - (busy | other_busy)
    length = timedelta(minutes=MINUTES)
    return [(part.lower, part.upper - length) for part in free if part.upper - part.lower >= length]


def list_interval_starts(intervals: Iterable[tuple[datetime, datetime]]) -> list[datetime]:
    """Return the quarter-hours in the intervals, each of which has the first and last possible start."""
    starts: list[datetime] = []
    for first, last in intervals:
        start = MONDAY - (MONDAY - first) // QUARTER_HOUR * QUARTER_HOUR  # `first`, rounded up to a quarter-hour
        starts += [start + step * QUARTER_HOUR for step in range((last - start) // QUARTER_HOUR + 1)]
    return starts


def unite_spans(parts: Iterable[Span], margin: timedelta = NO_TIME) -> Any:
    pieces = (library.closedopen(part.start - margin, part.end + margin) for part in parts)
    return library.Interval(*pieces)


def main() -> None:
    for what, result in measure():
        print(f"{what:<62} {result}")


if __name__ == "__main__":
    main()
