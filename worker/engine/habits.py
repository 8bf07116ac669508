"""Reads habits, the time zone and working hours that a person has set in the calendar service.

Habits are used for people for whom neither the directory nor the people file has these values. The calendar of a new
person is queried at once, and those of all others once a week.
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
_HABITS_DAY_VALUE_NAME = "habits"
#: Each calendar is queried once in so many days, on a fixed weekday.
HABITS_INTERVAL_DAYS = 7
#: The most people whom an alert about missing time zones names.
MAX_NAMED_PEOPLE = 20


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
        """`get_calendar` returns the calendar service with a name; it looks people up in `identities`."""
        self._settings = settings
        self._store = store
        self._get_calendar = get_calendar
        self._clock = clock
        self._identities = identities
        self._participation = participation

    def choose_people(self, now: datetime) -> set[Address]:
        """Return the people whose calendars are to be queried for habits now.

        These are the people who take part and were never queried. Each of the other people has a fixed weekday, and is
        added at the first call on that weekday, unless the calendar was first queried on the same day.
        """
        today, people = f"{now:%Y-%m-%d}", self._store.people
        midnight = now.replace(hour=0, minute=0, second=0, microsecond=0)
        never_queried = self._list_never_queried()
        if people.get_stored_value(_HABITS_DAY_VALUE_NAME) == today:
            return never_queried
        people_of_weekday = {
            address
            for address in people.list_people_with_queried_habits(base.CALENDARS_WITH_HABITS, midnight)
            if crc32(address.encode()) % HABITS_INTERVAL_DAYS == now.weekday()  # spreads people over the weekdays
        }
        if people_of_weekday:
            # stored before the queries, so that failing queries are not repeated each minute
            people.set_stored_value(_HABITS_DAY_VALUE_NAME, today)
        return people_of_weekday | never_queried

    def _list_never_queried(self) -> set[Address]:
        """Return the people who take part and whose calendars were never queried.

        This method is called each minute. So it makes a single database query, unless a new rollout is about to come
        into force.
        """
        people = self._store.people
        if not self._participation.is_rollout_waiting():
            return people.list_participants_with_unqueried_habits(base.CALENDARS_WITH_HABITS)
        # the calendars of the people in the new rollout are queried before that rollout is in the database
        participants = self._find_participants(*people.load_current_roster())
        return people.list_people_with_unqueried_habits(base.CALENDARS_WITH_HABITS) & participants

    def _find_participants(self, persons: Mapping[Address, Person], pairs: Iterable[Pair]) -> Set[Address]:
        """Return the people of the pairs that the rollout includes; all people when it leaves out no pair."""
        decide_participation = self._participation.make_rule(persons)
        participants, includes_all_pairs = set[Address](), True
        for pair in pairs:
            if pair.ended is not EndReason.NO:
                continue
            if decide_participation(pair) is Participation.NOT_CHOSEN:
                includes_all_pairs = False
            else:
                participants.update(pair.id.people)
        return persons.keys() if includes_all_pairs else participants

    def fill(self, roster: Roster, people_to_query: Set[Address]) -> tuple[Roster, Set[Address]]:
        """Return the roster with missing time zones and working hours filled in, and the people who are done.

        A person is done when the calendar was queried now or need not be queried. Only the calendars of new people
        who take part and of `people_to_query` are queried, so that a pilot in a large company does not query thousands.
        All others, and people whose calendar can't be read, keep their stored values. A new person without stored
        values gets the default hours and UTC, and the operator is alerted when that person takes part.
        """
        participants = self._find_participants(roster.persons, roster.pairs.values())
        if not roster.unset_columns:
            return roster, participants
        self._identities.expect_aliases(roster.aliases)
        stored_people, persons = self._store.people.load_current_people(), dict(roster.persons)
        people_without_zone = []
        for address, columns in roster.unset_columns.items():
            stored = stored_people.get(address)
            is_new = stored is None
            is_queried = (is_new and address in participants) or address in people_to_query
            habits = self._read_habits(persons[address]) if is_queried else base.Habits()
            persons[address] = _fill_person(persons[address], columns, habits, stored)
            has_zone = "time_zone" not in columns or bool(habits.zone or self._settings.roster.time_zone)
            if is_new and is_queried and not has_zone:
                people_without_zone.append(address)
        if people_without_zone:
            self._alert_missing_zones(people_without_zone)
        return replace(roster, persons=persons), participants

    def _alert_missing_zones(self, people: list[Address]) -> None:
        """Alert the operator, once a day, that the time zones of these people are unknown."""
        names = ", ".join(people[:MAX_NAMED_PEOPLE])
        text = f"The time zone of {names} is not known, so UTC is used. Write their time zones into the people file."
        now = self._clock()
        self._store.outbox.alert(f"zones:{now:%Y-%m-%d}", text, now, self._settings.operator)

    def _read_habits(self, person: Person) -> base.Habits:
        """Return the habits of a person, which are empty when the service has none or the calendar can't be read."""
        try:
            read_habits = getattr(self._get_calendar(person.calendar), "habits", None)
            habits: base.Habits = read_habits(person.email) if read_habits else base.Habits()
        except ProviderError as error:
            log.warning("%s", error, extra={"action": Action.HABITS_UNREAD, "calendar": person.email})
            return base.Habits()
        return habits


def fill_from_stored(roster: Roster, stored_people: Mapping[Address, Person]) -> Roster:
    """Return the roster with missing time zones and working hours filled from stored people. Queries no calendar."""
    persons = dict(roster.persons)
    for address, columns in roster.unset_columns.items():
        persons[address] = _fill_person(persons[address], columns, base.Habits(), stored_people.get(address))
    return replace(roster, persons=persons)


def _fill_person(person: Person, columns: Set[str], habits: base.Habits, stored: Person | None) -> Person:
    """Return the person with these columns filled from the habits, or else from the stored person.

    A column stays as it is, with its default value, when neither has a value for it.
    """
    fallback = stored or person
    return replace(
        person,
        zone=(habits.zone or fallback.zone) if "time_zone" in columns else person.zone,
        hours=(habits.hours or fallback.hours) if "working_hours" in columns else person.hours,
    )
