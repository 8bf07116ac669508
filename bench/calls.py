"""Benchmark of calendar requests: counted while a company is simulated for thirteen weeks."""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta

from bench.company import build_company
from worker.domain.model import Address, CalendarChanges, Cursor, Event, EventDraft, EventRef, FreeBusy, Span
from worker.providers.memory import MemoryCalendar
from worker.settings.load import Settings
from worker.simulation.people import CALM, SimulatedHumans
from worker.simulation.world import SimulatedWorld, make_simulation_settings

START = datetime(2027, 3, 1, 6, tzinfo=UTC)
PAIRS = 60
DAYS = 91


class CountingCalendar(MemoryCalendar):
    """The in-memory calendar, which counts the requests by kind."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.max_people = 0

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        self.calls["free/busy"] += 1
        self.calls["people asked for"] += len(people)
        self.max_people = max(self.max_people, len(people))
        return super().free_busy(people, window)

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        self.calls["changes"] += 1
        return super().changes(calendar, cursor, window)

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        self.calls["create"] += 1
        return super().create(calendar, draft)

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        self.calls["update"] += 1
        return super().update(ref, draft)

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        self.calls["cancel"] += 1
        return super().cancel(ref, quiet=quiet)


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table: requests in thirteen weeks, and the events that had to be written."""
    persons, pairs = build_company(PAIRS, START.date())
    world = SimulatedWorld(make_simulation_settings(Settings()), persons, pairs, START, calendar=CountingCalendar())
    world.humans = SimulatedHumans(world, CALM, seed=1)
    world.run_until(START + timedelta(days=DAYS))
    calendar = world.calendar
    assert isinstance(calendar, CountingCalendar)
    line_counts = Counter(line["what"] for line in world.ledger.lines)
    calls = calendar.calls
    assert calendar.max_people <= 20, "a request asked for more than 20 people"
    writes = calls["create"] + calls["update"] + calls["cancel"]
    effects = line_counts["event.create"] + line_counts["event.update"] + line_counts["event.cancel"]
    return [
        (f"writes in a quarter, {PAIRS} pairs", f"{writes}, for {effects} events written"),
        ("free/busy requests", f"{calls['free/busy']}, of {calls['people asked for'] / calls['free/busy']:.1f} people"),
        ("change requests, one per calendar and sync", f"{calls['changes']}"),
        ("requests per pair, polling aside", f"{(writes + calls['free/busy'] + calls['changes']) / PAIRS:.1f}"),
    ]
