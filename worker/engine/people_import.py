"""Imports the people file. Time zones and working hours that it leaves empty come from people's calendars.

The code calls these two settings a person's habits. A new person's habits are queried at once, everybody's once a week.
"""

import logging
from collections.abc import Callable, Set
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from zlib import crc32

from worker.clock import Clock
from worker.domain.model import NO_CALENDAR, Address, Person
from worker.engine.participation import ParticipationUpdate
from worker.errors import LongarcError, PeopleImportRefused, ProviderError
from worker.logs import Action
from worker.providers import base
from worker.providers.base import CalendarProvider
from worker.roster.model import Roster, RosterRules
from worker.roster.people_file import load_people_file
from worker.settings.load import Settings
from worker.store.people import ImportPreview
from worker.store.store import Store

log = logging.getLogger(__name__)

#: Name of the stored value that changes with each import: the digest of the people file, and when it was imported.
PEOPLE_VERSION_NAME = "people"
#: Name of the stored value that holds the day on which calendars were last queried for habits.
_HABITS_DAY_NAME = "habits"
HABITS_INTERVAL_DAYS = 7


class PeopleImport:
    """Imports the people file into the database when the file, or what calendars say about people, has changed."""

    def __init__(
        self,
        settings: Settings,
        store: Store,
        get_calendar: Callable[[str], CalendarProvider],
        clock: Clock,
        participation: ParticipationUpdate,
    ) -> None:
        """`get_calendar` returns the calendar service of a name."""
        self._settings = settings
        self._participation = participation
        self._store = store
        self._get_calendar = get_calendar
        self._clock = clock
        self._last_refusal: PeopleImportRefused | None = None

    def run(self, *, force: bool = False) -> bool:
        """Import the people file if it changed, or if a calendar reports other habits. True when anything changed.

        Raises Problems; PeopleImportRefused when it would end many pairs or cancel many events, unless `force` (T-17);
        LongarcError when the file can't be opened. A file that changes while it is read is left for the next time.
        """
        people, now = self._store.people, self._clock()
        people.end_pauses(now)
        digest = self._compute_digest()
        imported_digest = (people.get_stored_value(PEOPLE_VERSION_NAME) or "").partition(" ")[0]
        is_file_unchanged = imported_digest == digest
        people_to_query = self._choose_people_to_query(now, is_file_unchanged)
        if is_file_unchanged and not people_to_query:
            return False
        refusal = self._last_refusal
        if refusal is not None and refusal.digest == digest and not (is_file_unchanged or force):
            raise refusal
        imported_file = self._fill_from_calendars(read_people(self._settings, now), people_to_query)
        if self._compute_digest() != digest:
            log.info("the people file is being written", extra={"action": Action.PEOPLE_CHANGING})
            return False
        if is_file_unchanged and imported_file.persons == people.load_current_people():
            return False
        if not force:
            self._refuse_mass_change(imported_file, digest)
        takes_part = self._participation.make_rule(imported_file.persons)
        people.apply_import(imported_file.persons, imported_file.pairs, now, imported_file.aliases, takes_part)
        people.set_stored_value(PEOPLE_VERSION_NAME, f"{digest} {now.isoformat()}")
        self._last_refusal = None
        counts = len(imported_file.persons), len(imported_file.pairs)
        log.info("%s people, %s pairs", *counts, extra={"action": Action.PEOPLE_IMPORTED})
        return True

    def _compute_digest(self) -> str:
        path = Path(self._settings.people)
        try:
            return sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise LongarcError(f"The people file {path} can't be read: {error.strerror}.") from error

    def _refuse_mass_change(self, imported_file: Roster, digest: str) -> None:
        """Raise PeopleImportRefused when the import needs the operator's consent."""
        preview = self._store.people.preview_import(imported_file.persons, imported_file.pairs, imported_file.aliases)
        objection = find_objection(preview, self._settings.policy.max_cancels)
        if objection:
            name = Path(self._settings.people).name
            remedy = "Nothing was changed. If the file is right, run `longarc people --accept`; if not, mend it."
            self._last_refusal = PeopleImportRefused(
                f"{name} no longer names {len(preview.removed_people):,} people. {objection} {remedy}", digest
            )
            raise self._last_refusal

    # --- habits, from calendars ---

    def _choose_people_to_query(self, now: datetime, is_file_unchanged: bool) -> set[Address]:
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
        people_to_query = {
            address for address in people_with_habits if crc32(address.encode()) % HABITS_INTERVAL_DAYS == now.weekday()
        }
        if people_to_query or is_file_unchanged:  # stored before the queries: one that fails isn't repeated each minute
            people.set_stored_value(_HABITS_DAY_NAME, today)
        return people_to_query

    def _fill_from_calendars(self, imported_file: Roster, people_to_query: Set[Address]) -> Roster:
        """Return the file with the empty time zones and working hours filled from calendars.

        Queries new people and `people_to_query`. Everybody else, and whoever's calendar can't be read, keeps the stored
        values. A new person without them gets the usual hours, and UTC with an alert to the operator.
        """
        if not imported_file.unset_columns:
            return imported_file
        stored_people, persons = self._store.people.load_current_people(), dict(imported_file.persons)
        people_without_zone = []
        for address, columns in imported_file.unset_columns.items():
            stored = stored_people.get(address)
            is_queried = stored is None or address in people_to_query
            habits = self._read_habits(persons[address]) if is_queried else base.Habits()
            persons[address] = _fill_person(persons[address], columns, habits, stored)
            if "time_zone" in columns and stored is None and not habits.zone:
                people_without_zone.append(address)
        if people_without_zone:
            self._alert_missing_zones(people_without_zone)
        return replace(imported_file, persons=persons)

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


def find_objection(preview: ImportPreview, max_cancels: int) -> str:
    """Return why the operator has to confirm this import; empty when it needs no confirmation (T-17)."""
    if preview.ends_many_pairs:
        return f"{len(preview.ended_pairs):,} of {preview.current_pair_count:,} pairs would end, more than a tenth."
    if preview.cancel_count > max_cancels:
        return f"{preview.cancel_count:,} events would be cancelled, more than the {max_cancels:,} allowed at once."
    return ""


def _fill_person(person: Person, columns: Set[str], habits: base.Habits, stored: Person | None) -> Person:
    """Return the person with the empty columns filled from the calendar, or else with the stored or default values."""
    fallback = stored or person
    return replace(
        person,
        zone=(habits.zone or fallback.zone) if "time_zone" in columns else person.zone,
        hours=(habits.hours or fallback.hours) if "working_hours" in columns else person.hours,
    )


def read_people(settings: Settings, now: datetime) -> Roster:
    """Return the content of the people file. Raises Problems; LongarcError when the file can't be opened."""
    return load_people_file(settings.people, build_rules(settings, now), settings.roster.columns)


def build_rules(settings: Settings, now: datetime) -> RosterRules:
    """Return how records are read: what the services allow, and the defaults of the settings."""
    roster = settings.roster
    return RosterRules(
        today=now.date(),
        calendars=(*base.CALENDAR_FACTORIES, NO_CALENDAR),
        mailers=tuple(base.MAILER_FACTORIES),
        calendars_with_hours=base.CALENDARS_WITH_HABITS,
        default_every=settings.rules.default_every,
        default_minutes=settings.rules.default_minutes,
        default_locale=settings.locale,
        default_calendar=roster.calendar,
        default_mail=roster.mail,
        default_zone=roster.time_zone,
        default_country=roster.country,
        starts_with_hire=roster.hire_date_is_start,
    )
