"""Benchmark of the requests to Google in thirteen weeks, counted on the double, which takes 30 ms for each answer.

They are compared with the fewest requests possible (one write for each change of an event, one list for each calendar
and poll, one free/busy query for 50 people), and with a script that uses gcsa as its manual shows: a request for each
calendar and poll, and one for each person whose free/busy is read.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from math import ceil

from bench.company import TEAM_SIZE, build_company
from tests.doubles.google.company import GoogleCompany
from worker.domain.model import Address, CalendarChanges, Cursor, Event, EventDraft, EventRef, FreeBusy, Span
from worker.providers.google import events
from worker.providers.identities import InMemoryIdentities
from worker.providers.memory import MemoryCalendar
from worker.settings.load import Settings
from worker.simulation.people import CALM, SimulatedHumans
from worker.simulation.world import SimulatedWorld, make_simulation_settings
from worker.store.tables import calendar as calendar_table

START = datetime(2027, 3, 1, 6, tzinfo=UTC)
PAIRS = TEAM_SIZE
DAYS = 91
POLL_INTERVAL = timedelta(hours=1)
ANSWER_SECONDS = 0.03


class CountingGoogle(GoogleCompany):
    """The double, which counts the operations of the worker. Simulated people read calendars without requests."""

    def __init__(self, world: SimulatedWorld) -> None:
        super().__init__(world.persons, world.clock)
        self.operations: Counter[str] = Counter()  #: by kind; `script` counts the requests of the script
        self.report_count = len(world.pairs)

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        self.operations["free/busy"] += ceil(len(people) / 50)
        self.operations["script"] += len(people)
        return super().free_busy(people, window)

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        self.operations["lists"] += cursor is not None  # the daily full read is not counted
        self.operations["script"] += 1 + self.report_count
        return super().changes(calendar, cursor, window)

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        self._count_write()
        return super().create(calendar, draft)

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        self._count_write()
        return super().update(ref, draft)

    def cancel(self, ref: EventRef, *, quiet: bool = False) -> None:
        self._count_write()
        super().cancel(ref, quiet=quiet)

    def _count_write(self) -> None:
        self.operations["writes"] += 1
        self.operations["script"] += 1

    def find(self, calendar: Address, key: str) -> Event | None:
        if not self.has_event(calendar, key):
            return None
        item = self._hands.get(calendar, events.make_event_id(key))
        return events.parse_event(
            item, calendar, self.google.calendars.person_calendars[calendar].zone, InMemoryIdentities()
        )

    @property
    def requests(self) -> int:
        """The number of HTTP requests; a batch counts as one."""
        return sum(not request.in_batch for request in self.google.requests) + self.google.batches


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table: a team in thirteen weeks, whose calendars are polled every hour."""
    world, calendar = _build_world()
    calendar.google.delay = ANSWER_SECONDS
    try:
        world.run_until(START + timedelta(days=DAYS))
        ours = calendar.requests
        operations = calendar.operations.copy()
        least = operations["free/busy"] + operations["lists"] + operations["writes"]
        token_request_count = len(calendar.google.tokens.token_requests)
        batched = sum(request.in_batch for request in calendar.google.requests)
        steady = _measure_steady(world, calendar)
    finally:
        calendar.stop()
        world.worker.close()
    # twelve polls an hour, the default, in place of one; our requests and the fewest possible grow by as many
    more_polls = 11 * operations["lists"]
    default_ratio = (ours + more_polls + token_request_count) / (least + more_polls)
    least_by_kind = ", ".join(f"{operations[kind]} {kind}" for kind in ("writes", "free/busy", "lists"))
    script = operations["script"]
    return [
        (
            f"requests per pair, {PAIRS} pairs, {DAYS} days, polled every hour",
            f"{ours / PAIRS:.0f} ({ours}, {ours * ANSWER_SECONDS:.0f} s of waiting)",
        ),
        (
            "the fewest requests possible",
            f"{least / PAIRS:.0f} ({least_by_kind})",
        ),
        ("ratio (promised: at most 1.2)", f"{ours / least:.3f}"),
        (
            "the same by a script with gcsa, a call per calendar and poll",
            f"{script / PAIRS:.0f} ({script}, {script * ANSWER_SECONDS:.0f} s of waiting)",
        ),
        ("ours against the script's", f"{script / ours:.1f} times fewer"),
        ("reads that travelled in batches", f"{batched} in {calendar.google.batches}"),
        ("tokens, each for an hour, one person and one scope", f"{token_request_count}"),
        ("ratio with the tokens, polled every five minutes", f"{default_ratio:.3f}"),
        *steady,
    ]


def _build_world() -> tuple[SimulatedWorld, CountingGoogle]:
    persons, pairs = build_company(PAIRS, START.date())
    settings = make_simulation_settings(Settings())
    hourly_sync = settings.sync.model_copy(update={"every": POLL_INTERVAL, "full_every": timedelta(days=1)})
    world = SimulatedWorld(settings.model_copy(update={"sync": hourly_sync}), persons, pairs, START)
    calendar = CountingGoogle(world)
    world.calendar = calendar
    providers: dict[str, MemoryCalendar] = {"memory": calendar}
    world.worker.services.use(calendars=dict(providers))
    world.humans = SimulatedHumans(world, CALM, seed=1)
    return world, calendar


def _measure_steady(world: SimulatedWorld, calendar: CountingGoogle) -> list[tuple[str, str]]:
    """Return the requests of a poll when nothing changes."""
    with world.worker.store.database.read() as connection:
        organizers = [row.address for row in connection.execute(calendar_table.select())]
    window = Span(world.clock(), world.clock() + timedelta(days=200))
    cursors = {who: calendar.changes(who, None, window).cursor for who in organizers}
    calendar.google.requests.clear()
    for _ in range(10):
        cursors = {who: calendar.changes(who, cursor, window).cursor for who, cursor in cursors.items()}
    counts = Counter(request.who in cursors for request in calendar.google.requests)  # by whether it is an organizer's
    per_poll = counts[True] / (10 * len(organizers))
    return [("nothing changed: requests per organizer and poll, and for reports", f"{per_poll:.1f}, {counts[False]}")]
