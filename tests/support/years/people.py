"""Calm people: they sometimes decline or move events, also onto busy time, go on holiday, and keep commitments."""

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from worker.domain.model import Address, ShowAs, Span
from worker.domain.time.worktime import get_local_date, wall_to_utc
from worker.simulation.people import CALM, Behaviour, BookedEvent, SimulatedHumans
from worker.simulation.world import LedgerLine, SimulatedWorld

#: Like most people; each act happens often enough to be seen in a small company's year.
CALM_YEAR = replace(CALM, decline=0.03, move=0.06, no_show=0.02)
#: Each holiday of a person: the first and last week, from the start, in which it may begin, and its length in weeks.
HOLIDAYS = (((6, 16), 1), ((24, 34), 2), ((38, 46), 1))
DAY = timedelta(days=1)


class CalmHumans(SimulatedHumans):
    """People who also enter holidays some weeks ahead, and who move events onto their own meetings."""

    def __init__(self, world: SimulatedWorld, behaviour: Behaviour, seed: int) -> None:
        super().__init__(world, behaviour, seed)
        start = world.clock()
        for person in world.persons.values():
            rng = self._make_random(person.email, "holidays")
            for (first, last), weeks in HOLIDAYS:
                begins = start + timedelta(weeks=rng.randint(first, last))
                entered = max(begins - timedelta(weeks=rng.uniform(2, 10)), start + timedelta(hours=rng.uniform(2, 9)))
                holiday = partial(self._go_on_holiday, who=person.email, begins=begins, weeks=weeks)
                self._schedule(entered, holiday)

    def _go_on_holiday(self, now: datetime, who: Address, begins: datetime, weeks: int) -> Iterable[LedgerLine]:
        """Enter whole weeks, from Monday to Sunday, as out of office on the person's calendar."""
        zone = self._world.persons[who].zone
        day = get_local_date(zone, begins)
        monday = day - DAY * day.weekday()
        span = Span(wall_to_utc(zone, monday, 0), wall_to_utc(zone, monday + timedelta(weeks=weeks), 0))
        self._world.calendar.add(who, span, show=ShowAs.AWAY, all_day=True)
        line: LedgerLine = {"at": f"{now:%Y-%m-%dT%H:%M:%SZ}", "what": "human", "act": "out_of_office", "calendar": who}
        return (line | {name: f"{at:%Y-%m-%dT%H:%M:%SZ}" for name, at in (("start", span.start), ("end", span.end))},)

    def _move(self, now: datetime, event: BookedEvent) -> Iterable[LedgerLine]:
        """Move the event as people do; about every third time, the manager has a meeting at the new time."""
        lines = list(super()._move(now, event))
        rng = self._make_random(event.key, event.start, "onto")
        manager = event.pair.manager
        if lines and rng.random() < 1 / 3:
            moved = self._world.calendar.find(manager, event.key)
            if moved is not None:
                self._world.calendar.add(manager, Span(moved.span.start, moved.span.start + timedelta(minutes=30)))
        return lines


def list_away(world: SimulatedWorld, window: Span) -> dict[Address, tuple[Span, ...]]:
    """Return when each person is out of office, as their calendars say."""
    away: dict[Address, tuple[Span, ...]] = {}
    for person in world.persons:
        events = world.calendar.changes(person, None, window).events
        away[person] = tuple(event.span for event in events if event.show_as is ShowAs.AWAY)
    return away
