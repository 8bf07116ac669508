"""Time zones and working hours from people's calendars, where neither a directory nor the people file tells them.

The code calls these two settings a person's habits. A new person's habits are queried at once, everybody's once a week.
"""

import logging
from collections.abc import Callable, Mapping, Set
from dataclasses import replace
from datetime import datetime
from zlib import crc32

from worker.clock import Clock
from worker.domain.model import Address, Person
from worker.engine.identities import StoredIdentities
from worker.errors import ProviderError
from worker.logs import Action
from worker.providers import base
from worker.providers.base import CalendarProvider
from worker.roster.model import Roster
from worker.settings.load import Settings
from worker.store.store import Store

log = logging.getLogger(__name__)

#: Name of the stored value that holds the day on which calendars were last queried for habits.
_HABITS_DAY_NAME = "habits"
HABITS_INTERVAL_DAYS = 7


class CalendarHabits:
    """Queries calendars for habits, and fills them into a roster."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        get_calendar: Callable[[str], CalendarProvider],
        clock: Clock,
        identities: StoredIdentities,
    ) -> None:
        """`get_calendar` returns the calendar service of a name, which finds people by `identities`."""
        self._settings = settings
        self._store = store
        self._get_calendar = get_calendar
        self._clock = clock
        self._identities = identities

    def choose_people(self, now: datetime, is_roster_unchanged: bool) -> set[Address]:
        """Return the people whose calendars are queried for habits today: a seventh of them, empty when that was done.

        Each person has a fixed day of the week.
        """
        today, people = f"{now:%Y-%m-%d}", self._store.people
        if people.get_stored_value(_HABITS_DAY_NAME) == today:
            return set()
        people_with_habits = (
            address
            for address, person in people.load_current_people().items()
            if person.calendar in base.CALENDARS_WITH_HABITS
        )
        chosen = {
            address for address in people_with_habits if crc32(address.encode()) % HABITS_INTERVAL_DAYS == now.weekday()
        }
        if chosen or is_roster_unchanged:  # stored before the queries: one that fails isn't repeated each minute
            people.set_stored_value(_HABITS_DAY_NAME, today)
        return chosen

    def fill(self, roster: Roster, people_to_query: Set[Address]) -> Roster:
        """Return the roster with the unset time zones and working hours filled from calendars.

        Queries new people and `people_to_query`. Everybody else, and whoever's calendar can't be read, keeps the stored
        values. A new person without them gets the usual hours, and UTC with an alert to the operator.
        """
        if not roster.unset_columns:
            return roster
        self._identities.expect(roster.aliases)
        stored_people, persons = self._store.people.load_current_people(), dict(roster.persons)
        people_without_zone = []
        for address, columns in roster.unset_columns.items():
            stored = stored_people.get(address)
            is_queried = stored is None or address in people_to_query
            habits = self._read_habits(persons[address]) if is_queried else base.Habits()
            persons[address] = _fill_person(persons[address], columns, habits, stored)
            if "time_zone" in columns and stored is None and not (habits.zone or self._settings.roster.time_zone):
                people_without_zone.append(address)
        if people_without_zone:
            self._alert_missing_zones(people_without_zone)
        return replace(roster, persons=persons)

    def _alert_missing_zones(self, people: list[Address]) -> None:
        text = f"No time zone is known of {', '.join(people[:20])}: UTC is used. Write theirs into the people file."
        now = self._clock()
        self._store.outbox.alert(f"zones:{now:%Y-%m-%d}", text, now, self._settings.operator)

    def _read_habits(self, person: Person) -> base.Habits:
        """Query a person's calendar. Returns empty habits when it has none or can't be read."""
        try:
            read_habits = getattr(self._get_calendar(person.calendar), "habits", None)
            habits: base.Habits = read_habits(person.email) if read_habits else base.Habits()
        except ProviderError as error:
            log.warning("%s", error, extra={"action": Action.HABITS_UNREAD, "calendar": person.email})
            return base.Habits()
        return habits


def fill_from_stored(roster: Roster, stored_people: Mapping[Address, Person]) -> Roster:
    """Return the roster with the unset time zones and working hours that were read before; asks no calendar."""
    persons = dict(roster.persons)
    for address, columns in roster.unset_columns.items():
        persons[address] = _fill_person(persons[address], columns, base.Habits(), stored_people.get(address))
    return replace(roster, persons=persons)


def _fill_person(person: Person, columns: Set[str], habits: base.Habits, stored: Person | None) -> Person:
    """Return the person with the empty columns filled from the calendar, or else with the stored or default values."""
    fallback = stored or person
    return replace(
        person,
        zone=(habits.zone or fallback.zone) if "time_zone" in columns else person.zone,
        hours=(habits.hours or fallback.hours) if "working_hours" in columns else person.hours,
    )
