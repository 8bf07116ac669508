"""Time zones and working hours from people's calendars, where neither a directory nor the people file tells them.

The code calls these two settings a person's habits. A new person's habits are queried at once, everybody's once a week.
"""

import logging
from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import replace
from datetime import datetime
from zlib import crc32

from worker.clock import Clock
from worker.domain.model import Address, EndReason, Pair, Participation, Person
from worker.engine.identities import StoredIdentities
from worker.engine.participation import ParticipationUpdate
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
        participation: ParticipationUpdate,
    ) -> None:
        """`get_calendar` returns the calendar service of a name, which finds people by `identities`."""
        self._settings = settings
        self._store = store
        self._get_calendar = get_calendar
        self._clock = clock
        self._identities = identities
        self._participation = participation

    def choose_people(self, now: datetime, is_roster_unchanged: bool) -> set[Address]:
        """Return the people whose calendars are queried for habits now: those who take part and never were, and once a
        day a seventh of everybody else. Each person has a fixed day of the week.
        """
        today, people = f"{now:%Y-%m-%d}", self._store.people
        never_asked = self._list_never_asked()
        if people.get_stored_value(_HABITS_DAY_NAME) == today:
            return never_asked
        chosen = {
            address
            for address in people.list_people_with_habits(base.CALENDARS_WITH_HABITS)
            if crc32(address.encode()) % HABITS_INTERVAL_DAYS == now.weekday()
        }
        if chosen or is_roster_unchanged:  # stored before the queries: one that fails isn't repeated each minute
            people.set_stored_value(_HABITS_DAY_NAME, today)
        return chosen | never_asked

    def _list_never_asked(self) -> set[Address]:
        """Return who takes part and was never asked. Each minute asks: the database answers."""
        people = self._store.people
        if not self._participation.is_rollout_waiting():
            return people.list_participants_without_habits(base.CALENDARS_WITH_HABITS)
        # the pairs that it widens to are not marked yet, and are asked before they are planned
        participants = self._find_participants(people.load_current_people(), people.load_all_pairs().values())
        return people.list_people_without_habits(base.CALENDARS_WITH_HABITS) & participants

    def _find_participants(self, persons: Mapping[Address, Person], pairs: Iterable[Pair]) -> Set[Address]:
        """Return who is in a pair that the rollout is for; everybody when it leaves out no pair."""
        takes_part = self._participation.make_rule(persons)
        chosen, is_for_everybody = set[Address](), True
        for pair in pairs:
            if pair.ended is not EndReason.NO:
                continue
            if takes_part(pair) is Participation.NOT_CHOSEN:
                is_for_everybody = False
            else:
                chosen.update(pair.id.people)
        return persons.keys() if is_for_everybody else chosen

    def fill(self, roster: Roster, people_to_query: Set[Address]) -> tuple[Roster, Set[Address]]:
        """Return the roster with the unset time zones and working hours filled from calendars, and whose calendars have
        been asked now or need not be.

        Queries new people who take part, and `people_to_query`: a pilot in a large company does not ask thousands of
        calendars. Everybody else, and whoever's calendar can't be read, keeps the stored values. A new person without
        them gets the usual hours, and UTC, of which the operator is told when that person takes part.
        """
        participants = self._find_participants(roster.persons, roster.pairs.values())
        if not roster.unset_columns:
            return roster, participants
        self._identities.expect(roster.aliases)
        stored_people, persons = self._store.people.load_current_people(), dict(roster.persons)
        people_without_zone = []
        for address, columns in roster.unset_columns.items():
            stored = stored_people.get(address)
            is_queried = (stored is None and address in participants) or address in people_to_query
            habits = self._read_habits(persons[address]) if is_queried else base.Habits()
            persons[address] = _fill_person(persons[address], columns, habits, stored)
            if (
                "time_zone" in columns
                and stored is None
                and is_queried
                and not (habits.zone or self._settings.roster.time_zone)
            ):
                people_without_zone.append(address)
        if people_without_zone:
            self._alert_missing_zones(people_without_zone)
        return replace(roster, persons=persons), participants

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
