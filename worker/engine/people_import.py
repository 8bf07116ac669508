"""Taking over the people file: what it says, and what it leaves to people's own calendars to say."""

import logging
from collections.abc import Callable, Set
from dataclasses import replace
from datetime import datetime
from hashlib import sha256
from pathlib import Path
from zlib import crc32

from worker.clock import Clock
from worker.domain.model import NO_CALENDAR, Address, Person
from worker.errors import LongarcError, PeopleImportRefused, ProviderError
from worker.providers import base
from worker.providers.base import CalendarProvider
from worker.settings import people_file
from worker.settings.load import Settings
from worker.store.people import ImportPreview
from worker.store.store import Store

log = logging.getLogger(__name__)

#: The fact that changes whenever people do.
PEOPLE_FACT = "people"
#: The day on which calendars were asked for their owners' habits the last time.
_HABITS_FACT = "habits"
HABITS_INTERVAL_DAYS = 7


class PeopleImport:
    """The people, as the people file and their calendars have them."""

    def __init__(self, settings: Settings, store: Store, calendar: Callable[[str], CalendarProvider], clock: Clock):
        self._settings = settings
        self._store = store
        self._calendar = calendar
        self._clock = clock
        self._held: PeopleImportRefused | None = None  #: why the file as it is now was not taken over

    def run(self, *, force: bool = False) -> bool:
        """Take over the people file if it changed, and what calendars say otherwise now. True when anything changed.

        Raises Problems; RosterHeld when it would end many pairs or cancel many events and nobody said `force` (T-17);
        LongarcError when it can't be opened. A file that is being written is left for the next time.
        """
        people, now = self._store.people, self._clock()
        digest = self._compute_digest()
        same = (people.get_fact(PEOPLE_FACT) or "").partition(" ")[0] == digest
        turn = self._choose_people_to_ask(now, same)
        if same and not turn:
            return False
        if not (same or force) and self._held is not None and self._held.digest == digest:
            raise self._held
        read = self._fill_from_calendars(read_people(self._settings, now), turn)
        if self._compute_digest() != digest:
            log.info("the people file is being written", extra={"action": "people_unread"})
            return False
        if same and read.persons == people.load_current_people():
            return False
        if not force:
            self._refuse_mass_change(read, digest)
        people.apply_import(read.persons, read.pairs, now, read.aliases)
        people.set_fact(PEOPLE_FACT, f"{digest} {now.isoformat()}")
        self._held = None
        log.info("%s people, %s pairs", len(read.persons), len(read.pairs), extra={"action": "people_imported"})
        return True

    def _compute_digest(self) -> str:
        path = Path(self._settings.people)
        try:
            return sha256(path.read_bytes()).hexdigest()
        except OSError as error:
            raise LongarcError(f"The people file {path} can't be read: {error.strerror}.") from error

    def _refuse_mass_change(self, read: people_file.PeopleFile, digest: str) -> None:
        difference = self._store.people.preview_import(read.persons, read.pairs, read.aliases)
        why = find_objection(difference, self._settings.policy.max_cancels)
        if why:
            name = Path(self._settings.people).name
            remedy = "Nothing was changed. If the file is right, run `longarc people --accept`; if not, mend it."
            self._held = PeopleImportRefused(
                f"{name} no longer names {len(difference.left):,} people. {why} {remedy}", digest
            )
            raise self._held

    # --- what calendars say ---

    def _choose_people_to_ask(self, now: datetime, same: bool) -> set[Address]:
        """Whose calendar is asked again now: everybody's once a week, a few each day."""
        today, people = f"{now:%Y-%m-%d}", self._store.people
        if people.get_fact(_HABITS_FACT) == today:
            return set()
        telling = (
            who for who, person in people.load_current_people().items() if person.calendar in base.CALENDARS_WITH_HABITS
        )
        turn = {who for who in telling if crc32(who.encode()) % HABITS_INTERVAL_DAYS == now.weekday()}
        if turn or same:  # noted before they are asked: whatever comes of it, they are not asked again each minute
            people.set_fact(_HABITS_FACT, today)
        return turn

    def _fill_from_calendars(self, read: people_file.PeopleFile, turn: Set[Address]) -> people_file.PeopleFile:
        """What the file leaves to people's calendars to say. Asked is who is new, and whose turn it is; whoever can't
        be asked goes on as before. Somebody new works at the usual hours then, in UTC when no zone is known, and the
        operator is told."""
        if not read.unset_columns:
            return read
        known, persons, missing = self._store.people.load_current_people(), dict(read.persons), []
        for address, columns in read.unset_columns.items():
            old, asks = known.get(address), address in turn or address not in known
            habits = self._read_habits(persons[address]) if asks else base.Habits()
            persons[address] = _fill_person(persons[address], columns, habits, old)
            missing += [address] if "time_zone" in columns and not (old or habits.zone) else []
        if missing:
            self._alert_missing_zones(missing)
        return replace(read, persons=persons)

    def _alert_missing_zones(self, missing: list[Address]) -> None:
        words = f"No time zone is known of {', '.join(missing[:20])}: UTC holds. Write theirs into the people file."
        now = self._clock()
        self._store.outbox.alert(f"zones:{now:%Y-%m-%d}", words, now, self._settings.operator)

    def _read_habits(self, person: Person) -> base.Habits:
        try:
            tell = getattr(self._calendar(person.calendar), "habits", None)
            found: base.Habits = tell(person.email) if tell else base.Habits()
        except ProviderError as error:
            log.warning("%s", error, extra={"action": "habits_unread", "calendar": person.email})
            return base.Habits()
        return found


def find_objection(difference: ImportPreview, most: int) -> str:
    """Why a person has to say that this is right before it is taken over; empty when it needs none (T-17)."""
    if difference.has_mass_ending:
        return f"{len(difference.ended):,} of {difference.pairs:,} pairs would end, more than a tenth."
    if difference.cancels > most:
        return f"{difference.cancels:,} events would be cancelled, more than the {most:,} allowed at once."
    return ""


def _fill_person(person: Person, columns: Set[str], habits: base.Habits, old: Person | None) -> Person:
    """The person with the zone and hours that the file leaves out: as the calendar says, or as before."""
    before = old or person
    return replace(
        person,
        zone=(habits.zone or before.zone) if "time_zone" in columns else person.zone,
        hours=(habits.hours or before.hours) if "working_hours" in columns else person.hours,
    )


def read_people(settings: Settings, now: datetime) -> people_file.PeopleFile:
    """The people file of these settings. Raises Problems, or LongarcError when it can't be opened."""
    try:
        return people_file.load_people_file(
            settings.people,
            today=now.date(),
            calendars=(*base.CALENDAR_FACTORIES, NO_CALENDAR),
            mailers=tuple(base.MAILER_FACTORIES),
            default_every=settings.rules.default_every,
            default_minutes=settings.rules.default_minutes,
            default_locale=settings.locale,
            calendars_with_hours=base.CALENDARS_WITH_HABITS,
        )
    except OSError as error:
        raise LongarcError(f"The people file {settings.people} can't be read: {error.strerror}.") from error
