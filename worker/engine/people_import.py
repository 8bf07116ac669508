"""Imports the roster into the database: whole or not at all, and not without consent when it changes much (T-17).

The roster is who works here and reports to whom. It is read from the people file, or from a directory, which is another
system that knows the staff; with a directory, the people file only adds to it.
"""

import logging
from collections.abc import Callable, Set
from dataclasses import dataclass
from datetime import datetime, timedelta
from hashlib import sha256

from worker.clock import Clock
from worker.domain.model import Address
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

#: Name of the stored value that changes with each import: the digest of the imported reading, and when it was imported.
PEOPLE_VERSION_NAME = "people"
#: Name of the stored value that holds what `RosterReader.get_version` returned for the last reading, and when that was.
_READING_NAME = "roster_reading"
#: After a directory could not be read, or its roster was refused: how long until it is read again.
RETRY_AFTER = timedelta(minutes=15)
#: While a directory is out of order: how long its next reading may be overdue before the operator is told.
PATIENCE = timedelta(days=1)
#: How many faults of a directory a mail to the operator lists.
MAX_LISTED_FAULTS = 10


class PeopleImport:
    """Imports the roster when it has changed, or a person's habits: time zone and working hours by the calendar."""

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
        """`get_calendar` returns the calendar service with that name; the services look people up in `identities`.
        `reader` replaces the one that the settings describe."""
        self._settings = settings
        self._participation = participation
        self._store = store
        self._clock = clock
        self._reader = reader or RosterReader(settings, store)
        self._habits = CalendarHabits(settings, store, get_calendar, clock, identities, participation)
        self._failure: _Failure | None = None

    def run(self, *, force: bool = False, anew: bool = False) -> bool:
        """Import the roster if it changed, or if a calendar reports other habits. True when anything changed.

        `force`: read now, and import whatever it changes, which the operator has accepted. `anew`: read a directory
        now, but refuse an import that changes much. Otherwise a directory that can't tell whether it changed is read
        each `roster.every`, and one that pushes its changes when they pause.

        Raises Problems; PeopleImportRefused when it would end many pairs or cancel many events, unless `force` (T-17);
        IncompleteReading or ProviderError when a directory can't be read; LongarcError when the people file can't be
        opened. A people file that changes while it is read is left for the next time.
        """
        people, now = self._store.people, self._clock()
        people.end_pauses(now)  # here, since this runs each minute: a pause ends by itself (T-18)
        version = self._reader.get_version()
        must_read = force or (anew and self._settings.roster.has_directory)
        _, last_read_at = self._load_last_reading()
        if not must_read and self._reader.is_unsettled(now, last_read_at):
            return False
        is_current = self._is_current(version, now) and not must_read
        people_to_query = self._habits.choose_people(now, is_roster_unchanged=is_current)
        if is_current and not people_to_query:  # habits can change without the roster
            return False
        # the last try failed, and would fail again now; a reading for habits alone is tried all the same
        if self._failure and self._failure.would_recur(version, now) and not (is_current or must_read):
            return self._failure.repeat()
        try:
            # the operator's consent covers a former address that comes back with another directory id
            reading = self._reader.read(now, accepts_new_ids=force)
            if self._reader.get_version() != version:
                log.info("the people file is being written", extra={"action": Action.PEOPLE_CHANGING})
                return False
            has_changed = self._import(reading, people_to_query, now, force)
        except LongarcError as error:
            self._failure = self._make_failure(error, version, now)
            if self._can_wait(error, now) and not must_read:
                log.warning("%s", error, extra={"action": Action.ROSTER_UNREAD})
                return False
            raise
        self._failure = None
        people.set_stored_value(_READING_NAME, f"{version} {now.isoformat()}")
        self._report_faults(reading, now)
        return has_changed

    def _is_current(self, version: str, now: datetime) -> bool:
        """Whether the last reading was of this version and, of a directory that can't tell whether it changed, within
        `roster.every`."""
        read_version, read_at = self._load_last_reading()
        if read_version != version or read_at is None:
            return False
        return self._reader.is_version_known() or now - read_at < self._settings.roster.every

    def _load_last_reading(self) -> tuple[str, datetime | None]:
        version, _, read_at = (self._store.people.get_stored_value(_READING_NAME) or "").partition(" ")
        return version, datetime.fromisoformat(read_at) if read_at else None

    def _import(self, reading: RosterReading, people_to_query: Set[Address], now: datetime, force: bool) -> bool:
        """Write what was read, unless it is what was imported last. Raises PeopleImportRefused."""
        people = self._store.people
        imported_digest = (people.get_stored_value(PEOPLE_VERSION_NAME) or "").partition(" ")[0]
        # `settled_people`: their calendars have been asked for habits now, or need not be
        roster, settled_people = self._habits.fill(reading.roster, people_to_query)
        if reading.digest == imported_digest and roster.persons == people.load_current_people():
            people.mark_habits_asked(settled_people, now)
            return False
        if not force:
            self._refuse_mass_change(roster, reading.digest)
        find_participation = self._participation.make_rule(roster.persons)
        people.apply_import(roster.persons, roster.pairs, now, roster.aliases, find_participation)
        people.mark_habits_asked(settled_people, now)
        people.set_stored_value(PEOPLE_VERSION_NAME, f"{reading.digest} {now.isoformat()}")
        counts = len(roster.persons), len(roster.pairs)
        log.info("%s people, %s pairs", *counts, extra={"action": Action.PEOPLE_IMPORTED})
        return True

    def _refuse_mass_change(self, roster: Roster, digest: str) -> None:
        """Raise PeopleImportRefused when the import needs the operator's consent."""
        preview = self._store.people.preview_import(roster.persons, roster.pairs, roster.aliases)
        objection = find_objection(preview, self._settings.policy.max_cancels)
        if objection:
            remedy = "Nothing was changed. If that is right, run `longarc people --accept`; if not, fix it."
            raise PeopleImportRefused(
                f"{self._reader.name} no longer names {len(preview.removed_people):,} people. {objection} {remedy}",
                digest,
            )

    # --- what is wrong ---

    def _make_failure(self, error: LongarcError, version: str, now: datetime) -> "_Failure | None":
        """Return what keeps this version from being read again, None when nothing does.

        A directory waits RETRY_AFTER whatever the error. A people file waits for its next change when it was refused.
        """
        if self._settings.roster.has_directory:
            return _Failure(error, version, now + RETRY_AFTER)
        return _Failure(error, version, None) if isinstance(error, PeopleImportRefused) else None

    def _can_wait(self, error: LongarcError, now: datetime) -> bool:
        """Whether a directory that is out of order need not bother the operator yet."""
        _, read_at = self._load_last_reading()
        is_overdue = read_at is None or now - read_at > self._settings.roster.every + PATIENCE
        return isinstance(error, Transient | IncompleteReading) and not is_overdue

    def _report_faults(self, reading: RosterReading, now: datetime) -> None:
        """Tell the operator what is wrong in a directory, once for each set of faults."""
        if not reading.faults:
            return
        lines = [str(problem) for problem in reading.faults]
        hidden = len(lines) - MAX_LISTED_FAULTS
        shown = [*lines[:MAX_LISTED_FAULTS], *([f"and {hidden:,} more"] if hidden > 0 else [])]
        intro = "Some people in the directory can't be used as they are; their pairs stay as they were."
        text = "\n".join([intro, *shown, "`longarc people` lists all of it."])
        digest = sha256("\n".join(lines).encode()).hexdigest()[:32]
        self._store.outbox.alert(f"roster:{digest}", text, now, self._settings.operator)


@dataclass(frozen=True, slots=True)
class _Failure:
    """Why the roster could not be imported."""

    error: LongarcError
    version: str
    until: datetime | None  #: None: until the version changes

    def would_recur(self, version: str, now: datetime) -> bool:
        """Whether reading this version now would fail in the same way."""
        return self.version == version and (self.until is None or now < self.until)

    def repeat(self) -> bool:
        """Raises the refusal once more. Returns False for any other error, which was raised when it happened."""
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
