"""Imports the roster into the database, completely or not at all.

The roster is the list of who works here and for whom. It is read from the people file, or from a directory such as
Google Workspace; then the people file adds to it. An import that would end many pairs, remove many people or cancel
many events needs the operator's consent (T-17).
"""

import logging
from collections.abc import Callable, Collection, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from worker.clock import Clock
from worker.domain.counts import format_count
from worker.domain.model import Address, Person
from worker.engine.habits import CalendarHabits
from worker.engine.identities import StoredIdentities
from worker.engine.participation import ParticipationUpdate
from worker.engine.roster_reader import RosterReader, RosterReading
from worker.errors import IncompleteReading, LongarcError, PeopleImportRefused, Transient
from worker.logs import Action
from worker.providers.base import CalendarProvider
from worker.roster.model import Roster
from worker.settings.load import Settings
from worker.store.import_preview import ImportPreview
from worker.store.store import Store

log = logging.getLogger(__name__)

#: Name of the stored value that changes with each import. It holds the digest of the imported roster, and the time.
IMPORT_VERSION_NAME = "people"
#: Name of the stored value that holds the result of `RosterReader.get_version` at the last reading, and its time.
_READING_VALUE_NAME = "roster_reading"
#: After how long a directory is read again when it could not be read, or when its roster was refused.
RETRY_AFTER = timedelta(minutes=15)
#: How long the next reading may be overdue before the operator is alerted that a directory can't be read.
ALERT_DELAY = timedelta(days=1)
#: The most faults of a directory that an alert lists.
MAX_LISTED_FAULTS = 10


class PeopleImport:
    """Imports the roster when it has changed, or when somebody has changed their habits in the calendar service.

    Habits are the time zone and the working hours that a person has set there.
    """

    def __init__(
        self,
        settings: Settings,
        store: Store,
        get_calendar: Callable[[str], CalendarProvider],
        clock: Clock,
        participation: ParticipationUpdate,
        identities: StoredIdentities,
        reader: RosterReader | None = None,
    ) -> None:
        """`get_calendar` returns the calendar service with a name; it looks people up in `identities`.

        `reader` replaces the reader that the settings describe.
        """
        self._settings = settings
        self._participation = participation
        self._store = store
        self._clock = clock
        self._reader = reader or RosterReader(settings, store)
        self._habits = CalendarHabits(settings, store, get_calendar, clock, identities, participation)
        self._failure: _Failure | None = None
        #: Called with the people of the roster before it is imported. The servers of a trial make their calendars here,
        #: so that no new person's calendar is missing when the pair is planned.
        self.prepare_people: Callable[[Collection[Person]], None] = lambda people: None

    def run(self, *, force: bool = False, must_read_directory: bool = False) -> bool:
        """Import the roster if it changed, or if a calendar returns other habits. Returns whether anything changed.

        With `force`, the roster is read now, and imported whatever it changes, since the operator has consented. With
        `must_read_directory`, a directory is read now, and the import still needs consent as usual. Otherwise, a
        directory that pushes its changes is read when its wave of pushes has ended, and a directory that can't tell
        whether it has changed is read at the interval `roster.every`. A people file that changes while it is read is
        read again at the next call.

        Raises Problems for a people file with faults; PeopleImportRefused when the import needs consent (T-17);
        IncompleteReading or ProviderError when a directory can't be read; LongarcError when the people file can't be
        opened.
        """
        people, now = self._store.people, self._clock()
        people.end_pauses(now)  # here, since this method runs each minute and pauses end at a set time (T-18)
        version = self._reader.get_version()
        must_read = force or (must_read_directory and self._settings.roster.has_directory)
        _, last_read_at = self._load_last_reading()
        if not must_read and self._reader.is_awaiting_pushes(now, last_read_at):
            return False
        is_current = self._is_current(version, now) and not must_read
        people_to_query = self._habits.choose_people(now)
        if is_current and not people_to_query:  # habits can change without the roster
            return False
        reads_for_habits_alone = is_current  # the roster is read all the same, since the habits are filled into it
        if self._failure and self._failure.would_recur(version, now) and not (reads_for_habits_alone or must_read):
            return self._failure.repeat()
        try:
            # the operator's consent also permits that an address belongs to another directory id than before
            reading = self._reader.read(now, accepts_new_ids=force)
            if self._reader.get_version() != version:
                log.info("the people file is being written", extra={"action": Action.PEOPLE_CHANGING})
                return False
            has_changed = self._import(reading, people_to_query, now, force=force)
        except LongarcError as error:
            self._failure = self._make_failure(error, version, now)
            if self._can_wait(error, now) and not must_read:
                log.warning("%s", error, extra={"action": Action.ROSTER_UNREAD})
                return False
            raise
        self._failure = None
        people.set_stored_value(_READING_VALUE_NAME, f"{version} {now.isoformat()}")
        self._report_faults(reading, now)
        return has_changed

    def _is_current(self, version: str, now: datetime) -> bool:
        """Return whether the last reading was of this version, so that the roster need not be read now.

        When a directory can't tell whether it has changed, the last reading must also be newer than `roster.every`.
        """
        read_version, read_at = self._load_last_reading()
        if read_version != version or read_at is None:
            return False
        return self._reader.is_version_known() or now - read_at < self._settings.roster.every

    def _load_last_reading(self) -> tuple[str, datetime | None]:
        """Return the version and the time of the last reading; an empty version and None before the first one."""
        version, _, read_at = (self._store.people.get_stored_value(_READING_VALUE_NAME) or "").partition(" ")
        return version, datetime.fromisoformat(read_at) if read_at else None

    def _import(self, reading: RosterReading, people_to_query: Set[Address], now: datetime, *, force: bool) -> bool:
        """Write the roster with people's habits, unless it equals the imported one. Raises PeopleImportRefused.

        Returns whether the roster was written.
        """
        people = self._store.people
        self.prepare_people(reading.roster.persons.values())
        imported_digest = (people.get_stored_value(IMPORT_VERSION_NAME) or "").partition(" ")[0]
        roster, people_done = self._habits.fill(reading.roster, people_to_query)
        if reading.digest == imported_digest and roster.persons == people.load_current_people():
            people.mark_habits_queried(people_done, now)
            return False
        if not force:
            self._refuse_mass_change(roster, reading.digest)
        decide_participation = self._participation.make_rule(roster.persons)
        people.apply_import(roster.persons, roster.pairs, now, roster.aliases, decide_participation)
        people.mark_habits_queried(people_done, now)
        people.set_stored_value(IMPORT_VERSION_NAME, f"{reading.digest} {now.isoformat()}")
        counts = (format_count(len(roster.persons), "person", "people"), format_count(len(roster.pairs), "pair"))
        log.info("%s, %s", *counts, extra={"action": Action.PEOPLE_IMPORTED})
        return True

    def _refuse_mass_change(self, roster: Roster, digest: str) -> None:
        """Raise PeopleImportRefused when the import needs the operator's consent."""
        preview = self._store.people.preview_import(roster.persons, roster.pairs, roster.aliases)
        objection = find_objection(preview, self._settings.policy.max_cancels)
        if objection:
            removed = format_count(len(preview.removed_people), "person", "people")
            remedy = "Nothing was changed. If that is right, run `longarc people --accept`; if not, correct the source."
            raise PeopleImportRefused(
                f"{self._reader.name} no longer names {removed}. {objection} {remedy}",
                digest,
            )

    # --- failures and faults ---

    def _make_failure(self, error: LongarcError, version: str, now: datetime) -> "_Failure | None":
        """Return a failure that delays the next reading of this version; None when it may be read at the next call.

        A directory is read again after RETRY_AFTER, whatever the error was. A people file that was refused is read
        again when it changes.
        """
        if self._settings.roster.has_directory:
            return _Failure(error, version, retry_at=now + RETRY_AFTER)
        return _Failure(error, version, retry_at=None) if isinstance(error, PeopleImportRefused) else None

    def _can_wait(self, error: LongarcError, now: datetime) -> bool:
        """Return whether the error is an outage of a directory that is still too short to alert the operator."""
        _, read_at = self._load_last_reading()
        is_overdue = read_at is None or now - read_at > self._settings.roster.every + ALERT_DELAY
        return isinstance(error, Transient | IncompleteReading) and not is_overdue

    def _report_faults(self, reading: RosterReading, now: datetime) -> None:
        """Alert the operator to the roster faults of a directory, once for each set of faults."""
        if not reading.faults:
            return
        lines = [str(problem) for problem in reading.faults]
        unlisted_count = len(lines) - MAX_LISTED_FAULTS
        last_lines = [f"and {unlisted_count:,} more"] if unlisted_count > 0 else []
        intro = "Some people in the directory can't be used as they are; their pairs stay as they were."
        text = "\n".join([intro, *lines[:MAX_LISTED_FAULTS], *last_lines, "`longarc people --json` lists all of them."])
        digest = sha256("\n".join(lines).encode()).hexdigest()[:32]
        self._store.outbox.alert(f"roster:{digest}", text, now, self._settings.operator)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why the roster could not be imported."""

    error: LongarcError
    version: str
    retry_at: datetime | None  #: when the same version is read again; None when only a new version is read

    def would_recur(self, version: str, now: datetime) -> bool:
        """Return whether reading this version now would presumably fail in the same way."""
        return self.version == version and (self.retry_at is None or now < self.retry_at)

    def repeat(self) -> bool:
        """Raise the error again if it is a refusal. Otherwise return False, as nothing was imported."""
        if isinstance(self.error, PeopleImportRefused):
            raise self.error
        return False


def find_objection(preview: ImportPreview, max_cancels: int) -> str:
    """Return why the operator has to confirm this import; empty when it needs no confirmation (T-17)."""
    if preview.ends_many_pairs:
        return f"{len(preview.ended_pairs):,} of {preview.current_pair_count:,} pairs would end, more than a tenth."
    if preview.removes_many_people:
        removed, current = len(preview.removed_people), preview.current_people_count
        return f"{removed:,} of {current:,} people would leave, more than a tenth."
    if preview.cancel_count > max_cancels:
        return f"{preview.cancel_count:,} events would be cancelled, more than the {max_cancels:,} allowed at once."
    return ""
