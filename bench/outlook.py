"""Benchmark of Microsoft 365, on the double with answers that take 30 ms: the requests of thirteen weeks, and the time
to book many pairs of a new company."""

import time
from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, datetime, timedelta
from math import ceil
from pathlib import Path
from tempfile import TemporaryDirectory

from bench.company import build_company
from tests.doubles.graph import Double
from tests.doubles.graph.company import GraphCompany
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import (
    Address,
    CalendarChanges,
    Cursor,
    Event,
    EventDraft,
    EventRef,
    FreeBusy,
    Pair,
    PairId,
    Span,
)
from worker.engine.people_import import IMPORT_VERSION_NAME
from worker.engine.services import OrganizerLookup
from worker.providers.base import OrganizersFunction
from worker.providers.limiter import MAX_CONCURRENT, Limiter
from worker.providers.outlook import schedule
from worker.seal import Seal, generate_key
from worker.settings.load import Settings
from worker.simulation.people import CALM, SimulatedHumans
from worker.simulation.world import SimulatedWorld, make_simulation_settings
from worker.store.store import Store

START = datetime(2027, 3, 1, 6, tzinfo=UTC)
ANSWER_SECONDS = 0.030
#: The company whose requests are counted.
PAIRS = 28
DAYS = 91
#: The new company, whose pairs are all booked at once by this many threads.
NEW_PAIRS = 500
THREADS = 4


class CountingOutlook(GraphCompany):
    """Counts the fewest requests with which the operations are possible, and those of a simple script."""

    least = 0  #: the fewest requests possible
    script = 0  #: the requests of a simple script that does the same

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        organizers = {address for address in people if address.startswith("manager")}
        window_count = len(list(schedule.split_window(window)))  # a request is about a part of a long window
        others = len(people) - len(organizers)
        # the events of an organizer are listed; of all others, free/busy is read for several people at once
        self.least += len(organizers) + ceil(others / schedule.PEOPLE_PER_REQUEST) * window_count
        self.script += 2 * len(people)  # the default calendar, then its events
        return super().free_busy(people, window)

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        changes = super().changes(calendar, cursor, window)
        # To list all events: the first request of a delta round, the events in the window, and ours after it. To list
        # what changed: a request of the round, and one more that tells which of the changed events are ours.
        self.least += 3 if changes.is_full else 1 + bool(changes.events or changes.deleted_ids)
        self.script += 2  # without delta queries: the default calendar, then all of its events
        return changes

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        self.least += 1
        self.script += 2
        return super().create(calendar, draft)

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        self.least += 2  # a read, to see that the event is ours and unchanged, then the change
        self.script += 3
        return super().update(ref, draft)

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        self.least += 2
        self.script += 3
        super().cancel(ref, quiet=quiet)

    def find(self, calendar: Address, key: str) -> Event | None:
        """Find an event for the simulated people, without counting the requests."""
        previous_counts = Counter(self.double.counts)
        event = super().find(calendar, key)
        self.double.counts = previous_counts
        return event


def measure() -> list[tuple[str, str]]:
    """Return the rows of both measurements."""
    return [*_measure_quarter(), *_measure_new_company()]


def _measure_quarter() -> list[tuple[str, str]]:
    persons, pairs = build_company(PAIRS, START.date())
    with Double() as double:
        double.delay = ANSWER_SECONDS
        calendar = CountingOutlook(double, persons.values(), _build_organizers(pairs))
        world = SimulatedWorld(make_simulation_settings(Settings()), persons, pairs, START, calendar=calendar)
        world.humans = SimulatedHumans(world, CALM, seed=1)
        world.run_until(START + timedelta(days=DAYS))
        ours = sum(double.counts.values()) - double.counts["batch"]  # the requests in a batch count, the batch does not
        kinds = ", ".join(f"{count:,} {name}" for name, count in double.counts.most_common(5))
        throttled = double.counts["throttled"]
    return [
        (f"requests in a quarter, {PAIRS} pairs", f"{ours:,} ({kinds})"),
        ("requests per pair", f"{ours / PAIRS:.1f}"),
        ("the fewest requests possible, per pair", f"{calendar.least / PAIRS:.1f}"),
        ("ratio (promised: at most 1.2)", f"{ours / calendar.least:.2f}"),
        ("the same operations by a script with O365, per pair", f"{calendar.script / PAIRS:.1f}"),
        ("throttled", f"{throttled}"),
    ]


def _measure_new_company() -> list[tuple[str, str]]:
    persons, pairs = build_company(NEW_PAIRS, START.date())
    with TemporaryDirectory() as folder, Double() as double:
        clock = SteppedClock(START)
        store = Store(f"sqlite:///{Path(folder) / 'bench.db'}", Seal([generate_key()]))
        store.create_tables()
        worker = build(make_simulation_settings(Settings()), clock, store=store, holder="bench")
        calendar = GraphCompany(double, persons.values(), _build_organizers(pairs))
        calendar.provider._graph._limiter = Limiter(clock)
        worker.services.use(calendars={"memory": calendar})
        store.people.apply_import(persons, pairs, START)
        store.people.set_stored_value(IMPORT_VERSION_NAME, "bench")
        double.delay = ANSWER_SECONDS
        started = time.perf_counter()
        with ThreadPoolExecutor(THREADS) as pool:
            list(pool.map(lambda _: _run_until_idle(worker), range(THREADS)))
        seconds = time.perf_counter() - started
        booked = sum(
            bool(item.extended_properties)
            for mailbox in double.world.mailboxes.values()
            for item in mailbox.items.values()
        )
        requests = sum(double.counts.values()) - double.counts["batch"]
        # the most requests to one mailbox; a path begins with `/v1.0/users/<address>`
        busiest = max(Counter(path.split("/")[3] for _, path, _ in double.seen).values())
        worker.close()
    return [
        (
            f"{NEW_PAIRS} pairs booked from cold, {THREADS} at work",
            f"{seconds:.1f} s, {booked} events, {requests:,} requests",
        ),
        ("these requests one after the other would take", f"{requests * ANSWER_SECONDS:.1f} s"),
        ("the busiest mailbox at its limit would take", f"{busiest * ANSWER_SECONDS / MAX_CONCURRENT:.1f} s"),
        (
            "throttled",
            f"{double.counts['throttled']}, at most {max(double.most_at_once.values())} at once in a mailbox",
        ),
    ]


def _build_organizers(pairs: Mapping[PairId, Pair]) -> OrganizersFunction:
    """Return the lookup of possible organizers that the worker uses too."""
    return OrganizerLookup(pairs.values, {pair.manager for pair in pairs.values()})


def _run_until_idle(worker: Worker) -> None:
    """Run the worker until three rounds in a row find nothing to do."""
    idle = 0
    while idle < 3:
        busy = worker.sync.run(worker.holder)
        busy = worker.sweep.run(worker.holder) or busy
        busy = worker.outbox.run(worker.holder, 10) or busy
        idle = 0 if busy else idle + 1
