"""How many requests Google gets in a quarter: counted on the stand-in, which takes 30 ms for each answer.

Beside it stand the least that could do (one insert for each event, one change or cancel for each that there is, one
list for each calendar and look, one free/busy for 50 people), and what a script would take that is written with gcsa
as its manual shows it: a call for each calendar and look, and one for each person whose time is asked for.
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
from worker.store.tables import calendar as looked_at

START = datetime(2027, 3, 1, 6, tzinfo=UTC)
PAIRS, DAYS, EVERY, DELAY = TEAM_SIZE, 91, timedelta(hours=1), 0.03


class CountingGoogle(GoogleCompany):
    """The stand-in, counting what the worker wants of it; people look at their calendars without asking the API."""

    def __init__(self, world: SimulatedWorld) -> None:
        super().__init__(world.persons, world.clock)
        self.wanted: Counter[str] = Counter()
        self.reports = len(world.pairs)

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        self.wanted["free/busy"] += ceil(len(people) / 50)
        self.wanted["script"] += len(people)
        return super().free_busy(people, window)

    def changes(self, calendar: Address, cursor: Cursor | None, window: Span) -> CalendarChanges:
        self.wanted["lists"] += cursor is not None  # once a day everything is read besides, to be sure
        self.wanted["script"] += 1 + self.reports
        return super().changes(calendar, cursor, window)

    def create(self, calendar: Address, draft: EventDraft) -> Event:
        self._count_write()
        return super().create(calendar, draft)

    def update(self, ref: EventRef, draft: EventDraft) -> Event:
        self._count_write()
        return super().update(ref, draft)

    def cancel(self, ref: EventRef) -> None:
        self._count_write()
        super().cancel(ref)

    def _count_write(self) -> None:
        self.wanted["writes"] += 1
        self.wanted["script"] += 1

    def find(self, calendar: Address, key: str) -> Event | None:
        if not self.stands(calendar, key):
            return None
        item = self._hands.get(calendar, events.make_event_id(key))
        return events.parse_event(
            item, calendar, self.google.calendars.person_calendars[calendar].zone, InMemoryIdentities()
        )

    @property
    def requests(self) -> int:
        """What went over the wire, a batch as one."""
        return sum(not one.inside for one in self.google.asked) + self.google.batches


def measure() -> list[tuple[str, str]]:
    """A team's quarter, looked at every hour."""
    world, calendar = _build_world()
    calendar.google.delay = DELAY
    try:
        world.run_until(START + timedelta(days=DAYS))
        ours, wanted = calendar.requests, calendar.wanted.copy()
        least = wanted["free/busy"] + wanted["lists"] + wanted["writes"]
        tokens = len(calendar.google.tokens.asked)
        inside = sum(one.inside for one in calendar.google.asked)
        steady = _measure_steady(world, calendar)
    finally:
        calendar.shut()
        world.worker.close()
    oftener = 11 * wanted["lists"]  # what a look every five minutes, as by default, adds to both
    usual = (ours + oftener + tokens) / (least + oftener)
    return [
        (
            f"requests per pair, {PAIRS} pairs, {DAYS} days, a look every hour",
            f"{ours / PAIRS:.0f} ({ours}, {ours * DELAY:.0f} s of waiting)",
        ),
        (
            "the least that could do",
            f"{least / PAIRS:.0f} ({', '.join(f'{wanted[one]} {one}' for one in ('writes', 'free/busy', 'lists'))})",
        ),
        ("ratio (promised: at most 1.2)", f"{ours / least:.3f}"),
        (
            "the same by a script with gcsa, a call per calendar and look",
            f"{wanted['script'] / PAIRS:.0f} ({wanted['script']}, {wanted['script'] * DELAY:.0f} s of waiting)",
        ),
        ("ours against the script's", f"{wanted['script'] / ours:.1f} times fewer"),
        ("reads that travelled in batches", f"{inside} in {calendar.google.batches}"),
        ("tokens, each for an hour, one person and one scope", f"{tokens}"),
        ("ratio with the tokens, at a look every five minutes", f"{usual:.3f}"),
        *steady,
    ]


def _build_world() -> tuple[SimulatedWorld, CountingGoogle]:
    persons, pairs = build_company(PAIRS, START.date())
    settings = make_simulation_settings(Settings())
    often = settings.sync.model_copy(update={"every": EVERY, "full_every": timedelta(days=1)})
    world = SimulatedWorld(settings.model_copy(update={"sync": often}), persons, pairs, START)
    calendar = CountingGoogle(world)
    world.calendar = calendar
    given: dict[str, MemoryCalendar] = {"memory": calendar}
    world.worker.services.use(calendars=dict(given))
    world.humans = SimulatedHumans(world, CALM, 1)
    return world, calendar


def _measure_steady(world: SimulatedWorld, calendar: CountingGoogle) -> list[tuple[str, str]]:
    """Nothing changes: what a look costs."""
    with world.worker.store.database.read() as connection:
        organizers = [row.address for row in connection.execute(looked_at.select())]
    window = Span(world.clock(), world.clock() + timedelta(days=200))
    cursors = {who: calendar.changes(who, None, window).cursor for who in organizers}
    calendar.google.asked.clear()
    for _ in range(10):
        cursors = {who: calendar.changes(who, cursor, window).cursor for who, cursor in cursors.items()}
    asked = Counter(one.who in cursors for one in calendar.google.asked)
    per_look = asked[True] / (10 * len(organizers))
    return [("nothing changed: requests per organizer and look, and for reports", f"{per_look:.1f}, {asked[False]}")]
