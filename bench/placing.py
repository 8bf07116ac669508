"""Benchmark of where sessions are placed in companies with full calendars, against the best assignment possible.

`load` is the share of working time that is busy in the first week. The share falls by 9 % of itself a week, down to a
half of `load`. Managers have 2 to 15 reports. What the first sweep books is compared with the best assignment of each
manager's pairs to days, over the same slots and with the same limits (a career session a day, two first ones a week).
It is a flow of least cost, which places as many pairs as possible, as near to their targets as possible.
"""

import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from statistics import mean, median, quantiles
from typing import Any

import networkx

from bench.company import HOURS, ZONES
from worker.domain.model import Address, FreeBusy, Pair, PairId, Person, Session, SessionKind, SessionState, Span
from worker.domain.time.availability import find_day_bits
from worker.domain.time.search import MAX_IN_TURN_A_WEEK, Search, find_possible_starts, get_week_number, list_days
from worker.domain.time.worktime import get_local_date, list_spells
from worker.settings.load import Settings
from worker.simulation.mails import BlankMailRenderer, DiscardingMailer
from worker.simulation.people import CALM, SimulatedHumans
from worker.simulation.world import Ledger, SimulatedWorld, make_simulation_settings

#: The library has no types.
graphs: Any = networkx

START = datetime(2027, 1, 11, 6, tzinfo=UTC)
LOADS = (0.5, 0.6, 0.7, 0.8, 0.9)
TEAMS = range(2, 16)
SEEDS = (1, 2, 3)
#: The sizes of the teams whose whole year is simulated, at each load.
YEAR_TEAMS = (2, 5, 8, 12)
#: The factor by which the busy share falls each week, and the part of `load` below which it does not fall.
WEEKLY_FALL, LEAST_LOAD = 0.91, 0.5
#: How far ahead calendars are filled: farther than any search looks.
AHEAD = timedelta(weeks=30)
#: The fewest days ahead at which a session may be placed, and the most by which its window is extended (T-4).
LEAD_DAYS, MAX_EXTENSION = 2, timedelta(weeks=13)
#: The window around a target (T-3), and the lengths in the order in which they are tried (T-1).
BEFORE, AFTER, LENGTHS = timedelta(weeks=2), timedelta(weeks=3), (75, 60)
#: Added to the cost of a day that only a wider window or a shorter session allows: more than any distance in days.
LAST_RESORT_COST = 1000
#: What is promised: the least share of the pairs that the best assignment places, and the greatest mean distance from
#: the target, as a ratio to that of the best assignment or in working days above it.
LEAST_SHARE, MOST_RATIO, MOST_DAYS = 0.97, 1.25, 1.0


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table. Raises AssertionError when a promise isn't kept."""
    rows: list[tuple[str, str]] = []
    for load in LOADS:
        results = [place_company(load, seed) for seed in SEEDS]
        rows += format_sweep(load, [first for first, _ in results], [best for _, best in results])
    rows += [row for load in LOADS for row in measure_year(load)]
    return rows


# --- a company with full calendars ---


def build_teams(sizes: Sequence[int]) -> tuple[dict[Address, Person], dict[PairId, Pair]]:
    """Return a team for each size: a manager with that number of reports, all in one zone."""
    persons: dict[Address, Person] = {}
    pairs: dict[PairId, Pair] = {}
    for team, size in enumerate(sizes):
        # of team 3: `manager3`, and the reports `r0t3`, `r1t3`, …
        manager, *reports = (f"{name}{team}@bench.example" for name in ("manager", *(f"r{n}t" for n in range(size))))
        zone, country = ZONES[team % len(ZONES)]
        for email in (manager, *reports):
            name = email.partition("@")[0].title()
            persons[email] = Person(email=email, name=name, zone=zone, country=country, hours=HOURS)
        for report in reports:
            pair = Pair(manager=manager, report=report, first_seen=START.date())
            pairs[pair.id] = pair
    return persons, pairs


class FullCalendars:
    """Meetings on everybody's calendar, which grow denser as their week comes near."""

    def __init__(self, world: SimulatedWorld, load: float, seed: int) -> None:
        self._world, self._load, self._seed = world, load, seed
        #: By person and working day: all meetings, in the order in which they are added, and the number added so far.
        self._days: dict[tuple[Address, date], list[Span]] = {}
        self._counts: dict[tuple[Address, date], int] = {}

    def fill(self) -> None:
        """Add meetings until every day has the busy share for its distance from now. No meeting lies over a session."""
        now = self._world.clock()
        for week in range(AHEAD // timedelta(weeks=1)):
            share = self._load * max(WEEKLY_FALL**week, LEAST_LOAD)
            for person in self._world.persons.values():
                day = get_local_date(person.zone, now + timedelta(weeks=week))
                for number in range(7):
                    self._fill_day(person, day + timedelta(days=number), share)

    def _fill_day(self, person: Person, day: date, share: float) -> None:
        key = (person.email, day)
        if key not in self._days:
            self._days[key] = list(self._list_meetings(person, day))
        meetings = self._days[key]
        spells = list_spells(person, day)
        working = sum(spell.minutes for spell in spells)
        busy, count = sum(m.minutes for m in meetings[: self._counts.get(key, 0)]), self._counts.get(key, 0)
        if count == len(meetings) or busy >= share * working:
            return
        free_busy = self._world.calendar.free_busy([person.email], Span(spells[0].start, spells[-1].end))
        # only our events have a key
        session_spans = [b.span for b in free_busy[person.email].busy if b.key is not None]
        while count < len(meetings) and busy < share * working:
            busy += meetings[count].minutes
            if not any(meetings[count].overlaps(span) for span in session_spans):
                self._world.calendar.add(person.email, meetings[count])
            count += 1
        self._counts[key] = count

    def _list_meetings(self, person: Person, day: date) -> Iterator[Span]:
        """Yield meetings of half an hour or an hour that fill the day, in random order."""
        rng = random.Random(f"{self._seed}|{person.email}|{day}")
        for spell in list_spells(person, day):
            cells = [spell.start + timedelta(minutes=30 * n) for n in range(spell.minutes // 30)]
            free = set(cells)
            rng.shuffle(cells)
            for start in cells:
                if start in free:
                    later = start + timedelta(minutes=30)
                    length = 60 if later in free and rng.random() < 0.6 else 30
                    free -= {start, later} if length == 60 else {start}
                    yield Span(start, start + timedelta(minutes=length))


def build_world(sizes: Sequence[int], ledger: Ledger) -> SimulatedWorld:
    """Return a company with a team of each of these sizes, and with nothing on any calendar."""
    settings = make_simulation_settings(Settings())
    persons, pairs = build_teams(sizes)
    renderer = BlankMailRenderer(sender=settings.mail.sender, domain=settings.mail.domain)
    world = SimulatedWorld(settings, persons, pairs, START, mailer=DiscardingMailer(), mail_renderer=renderer)
    world.ledger = ledger
    return world


# --- the first sweep, and the best assignment ---


@dataclass(frozen=True, slots=True)
class Placing:
    """How a company's pairs were placed."""

    pairs: int
    distances: Sequence[int]  #: of the pairs that were placed: days between the session and its target
    busiest_week: int  #: the most first sessions of one manager in a week

    @property
    def share(self) -> float:
        return len(self.distances) / self.pairs


def place_company(load: float, seed: int) -> tuple[Placing, Placing]:
    """Return what the first sweep placed, and the best assignment of the same pairs to days."""
    world = build_world(TEAMS, Ledger(keeps_lines=False))
    FullCalendars(world, load, seed).fill()
    free_busy = world.calendar.free_busy(list(world.persons), Span(START, START + AHEAD))
    world.run_until(START + timedelta(hours=2))
    sessions = [s for s in world.worker.store.queries.list_sessions() if s.kind is SessionKind.CAREER]
    world.worker.close()
    days = {s.pair: get_local_date(world.persons[s.pair.manager].zone, s.span.start) for s in sessions if s.booked}
    first = _summarize(sessions, days, world.persons)
    targets = {s.pair: s.target for s in sessions}
    best: dict[PairId, date] = {}
    for manager in sorted({pair.manager for pair in targets}):
        pairs = [pair for pair in targets if pair.manager == manager]
        best.update(assign_days({p: _list_costs(world.persons, p, targets[p], free_busy) for p in pairs}))
    return first, _summarize(sessions, best, world.persons)


def _get_day(persons: Mapping[Address, Person], pair: PairId, instant: datetime) -> date:
    return get_local_date(persons[pair.manager].zone, instant)


def _list_costs(
    persons: Mapping[Address, Person], pair: PairId, target: datetime, free_busy: Mapping[Address, FreeBusy]
) -> dict[date, int]:
    """Return the days on which the two could meet, with the cost of each: the distance from the target in days.

    As in planning, the first window and length with any slot come first. A day that only a wider window or a shorter
    session allows costs more than any distance, so that it is used only for a pair without any other day.
    """
    costs: dict[date, int] = {}
    earliest = max(START + timedelta(days=LEAD_DAYS), target - BEFORE)
    ends = [
        target + AFTER,
        *(target + AFTER + timedelta(weeks=3 * n) for n in range(1, 5)),
        target + AFTER + MAX_EXTENSION,
    ]
    for end in ends:
        for minutes in LENGTHS:
            search = Search(
                manager=persons[pair.manager],
                report=persons[pair.report],
                window=Span(earliest, end),
                minutes=minutes,
                target=target,
                free_busy=free_busy,
            )
            grid, starts = find_possible_starts(search)
            penalty = LAST_RESORT_COST if costs else 0
            for day in list_days(search, grid):
                if day not in costs and starts & find_day_bits(grid, search.manager.zone, day):
                    costs[day] = abs((day - _get_day(persons, pair, target)).days) + penalty
    return costs


def assign_days(options: Mapping[PairId, Mapping[date, int]]) -> dict[PairId, date]:
    """Return a day for each pair of a manager that can be placed: as many pairs as possible, at the least total cost.

    A day holds one session and a week two. This is a maximum flow of least cost, from a source over pairs, days and
    weeks to a sink.
    """
    graph = graphs.DiGraph()
    for pair, costs in options.items():
        graph.add_edge("source", pair, capacity=1, weight=0)
        for day, cost in costs.items():
            graph.add_edge(pair, day, capacity=1, weight=cost)
            graph.add_edge(day, get_week_number(day), capacity=1, weight=0)
            graph.add_edge(get_week_number(day), "sink", capacity=MAX_IN_TURN_A_WEEK, weight=0)
    if "sink" not in graph:
        return {}
    flow = graphs.max_flow_min_cost(graph, "source", "sink")
    return {pair: day for pair in options for day, units in flow.get(pair, {}).items() if units}


def _summarize(sessions: Sequence[Session], days: Mapping[PairId, date], persons: Mapping[Address, Person]) -> Placing:
    distances = [abs((days[s.pair] - _get_day(persons, s.pair, s.target)).days) for s in sessions if s.pair in days]
    weeks = [(pair.manager, get_week_number(day)) for pair, day in days.items()]
    return Placing(len(sessions), distances, max(map(weeks.count, set(weeks)), default=0))


def format_sweep(load: float, first: Sequence[Placing], best: Sequence[Placing]) -> Iterator[tuple[str, str]]:
    """Yield the rows of one load. Raises AssertionError when the promises aren't kept."""
    name = f"{load:.0%} full, {sum(p.pairs for p in first)} pairs, teams of {TEAMS[0]} to {TEAMS[-1]}"
    shares = [mean(p.share for p in placings) for placings in (first, best)]
    distances = [[d for p in placings for d in p.distances] for placings in (first, best)]
    ours, theirs = (_format_distances(days) for days in distances)
    yield f"{name}: placed at the first sweep, and by the best assignment", f"{shares[0]:.1%}, {shares[1]:.1%}"
    yield f"{name}: days from the target (mean, median, p90), and of the best", f"{ours}; {theirs}"
    yield f"{name}: most first sessions of a manager in a week", str(max(p.busiest_week for p in first))
    assert shares[0] >= LEAST_SHARE * shares[1], f"{name}: {shares[0]:.3f} placed, {shares[1]:.3f} possible"
    means = [mean(days) if days else 0.0 for days in distances]
    most_days = MOST_DAYS * 7 / 5  # working days in days
    assert means[0] <= max(MOST_RATIO * means[1], means[1] + most_days), f"{name}: {means[0]:.1f} days away"
    assert max(p.busiest_week for p in first) <= MAX_IN_TURN_A_WEEK


def _format_distances(distances: Sequence[int]) -> str:
    if len(distances) < 2:
        return "none"
    return f"{mean(distances):.1f}, {median(distances):.0f}, {quantiles(distances, n=10)[-1]:.0f}"


# --- a year ---


def measure_year(load: float, days: int = 364) -> Iterator[tuple[str, str]]:
    """Simulate a year at that load. Yield the rows about the delays of rebooked sessions and the sessions held."""
    world = build_world(YEAR_TEAMS, Ledger())
    calendars, end = FullCalendars(world, load, seed=1), START + timedelta(days=days)
    world.humans = SimulatedHumans(world, CALM, seed=1)
    while world.clock() < end:
        calendars.fill()
        world.calendar.pop_changed_calendars()
        world.run_until(min(world.clock() + timedelta(weeks=1), end))
    sessions = [s for s in world.worker.store.queries.list_sessions() if s.kind is SessionKind.CAREER and not s.adhoc]
    world.worker.close()
    held = [s for s in sessions if s.held_at and s.state is not SessionState.CANCELLED]
    promised = len(world.pairs) * days / 91
    delays = list(_list_delays(world.ledger.lines))
    name = f"{load:.0%} full, a year of {len(world.pairs)} pairs"
    delay_text = (
        f"{median(delays):.0f}, {quantiles(delays, n=10)[-1]:.0f} of {len(delays)}" if len(delays) > 1 else "none"
    )
    yield f"{name}: days from a lost time to the new one (median, p90)", delay_text
    yield f"{name}: sessions held, of those promised", f"{len(held)} of {promised:.0f}"


def _list_delays(lines: Sequence[Mapping[str, Any]]) -> Iterator[float]:
    """Yield, for each deferred session of the rhythm, the days from the start it lost to the one it got."""
    lost_starts: dict[str, datetime] = {}
    booked_starts: dict[str, datetime] = {}
    for line in lines:
        if line["what"] != "session" or line.get("kind") != "career":
            continue
        session_id = line["session"]
        if line["state"] == "deferred" and session_id in booked_starts:
            lost_starts.setdefault(session_id, booked_starts[session_id])
        elif line["state"] == "booked":
            booked_starts[session_id] = (
                datetime.fromisoformat(line["start"]) if isinstance(line["start"], str) else line["start"]
            )
            if session_id in lost_starts:
                yield (booked_starts[session_id] - lost_starts.pop(session_id)) / timedelta(days=1)
