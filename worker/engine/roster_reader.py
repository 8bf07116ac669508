"""Reads the roster, the list of who works here and for whom, from the source in the settings.

The source is the people file or a directory. With a directory, the people file is optional, and only adds to it.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from hashlib import sha256

from worker.domain.model import NO_CALENDAR, EndReason
from worker.errors import IncompleteReading, Problem
from worker.providers import base
from worker.roster.base import PushedSource, RosterRecord, RosterSource, SourceCheck, load_source_factory
from worker.roster.csv_source import CsvSource, PeopleFileFormat
from worker.roster.model import Roster, RosterRules, StoredRoster
from worker.roster.people_file import load_people_file
from worker.roster.resolve import resolve_roster
from worker.settings.load import Settings
from worker.settings.problem_report import ProblemReport
from worker.store.store import Store


@dataclass(frozen=True, slots=True)
class RosterReading:
    """The complete result of reading the roster once."""

    roster: Roster
    digest: str  #: identifies the content that was read
    faults: Sequence[Problem] = ()  #: roster faults of a directory; the pairs that they concern are left unchanged
    fault_count: int = 0  #: the number of all faults; `faults` may leave out some


class RosterReader:
    """Reads the roster from the source in the settings. A failed reading returns no part of the roster."""

    def __init__(self, settings: Settings, store: Store | None = None, directory: RosterSource | None = None) -> None:
        """`store` holds the roster of earlier readings; without it, a reading is treated as the first one.

        `directory` replaces the directory that the settings name.
        """
        self._settings = settings
        self._store = store
        self._directory_override = directory

    @property
    def name(self) -> str:
        """The name of the directory or of the people file, for messages."""
        return self._directory.name if self._settings.roster.has_directory else self._settings.people.name

    def get_version(self) -> str:
        """Return a text that changes when the people file, the settings, or the directory change.

        Some directories can't tell whether they have changed: see `is_version_known`. No request is sent. Raises
        LongarcError when the people file can't be opened.
        """
        directory_version = self._directory.get_version() if self._settings.roster.has_directory else None
        file_version = self._file.get_version() if self._has_file else ""
        return _compute_digest([repr(self._settings.roster), file_version, directory_version or ""])

    def is_version_known(self) -> bool:
        """Return whether `get_version` changes with every change of the roster.

        When it does not, the directory has to be read at regular intervals.
        """
        return not self._settings.roster.has_directory or self._directory.get_version() is not None

    def is_awaiting_pushes(self, now: datetime, read_at: datetime | None) -> bool:
        """Return whether a directory is expected to push more changes soon, so that it must not be read yet.

        `read_at` is when the roster was last read; None before the first reading.
        """
        return (
            self._settings.roster.has_directory
            and isinstance(self._directory, PushedSource)
            and self._directory.is_awaiting_pushes(now, read_at)
        )

    def read(
        self, now: datetime, *, accepts_new_ids: bool = False, records: Sequence[RosterRecord] | None = None
    ) -> RosterReading:
        """Read and return the roster.

        With `accepts_new_ids`, the address of somebody who left may return with another directory id. `records` are the
        records that `check` has just read from a directory, so that the directory is not read again. Raises Problems
        for the people file, and IncompleteReading, ProviderError or Problems for a directory.
        """
        rules = replace(build_rules(self._settings, now), accepts_new_ids=accepts_new_ids)
        stored = self._load_stored_roster()
        if not self._settings.roster.has_directory:
            roster = load_people_file(self._settings.people, rules, self._columns, stored)
            return RosterReading(roster, self.get_version())
        return self._read_directory(now, rules, stored, records)

    def check(self) -> SourceCheck:
        """Check the access to the directory, and return findings with the records that were read from it.

        The findings include the warnings about the people file, but not its errors, which `read` raises.
        """
        directory_check = self._directory.check() if self._settings.roster.has_directory else SourceCheck([])
        file_findings = self._file.check().findings if self._has_file and self._settings.people.exists() else []
        # a warning is a finding that is true and has a remedy all the same
        warnings = [finding for finding in file_findings if finding.ok and finding.remedy]
        return SourceCheck([*directory_check.findings, *warnings], directory_check.records)

    def _read_directory(
        self, now: datetime, rules: RosterRules, stored: StoredRoster, records: Sequence[RosterRecord] | None
    ) -> RosterReading:
        rules = replace(rules, directory_name=self._directory.name, id_namespace=self._settings.roster.source)
        report = ProblemReport(self._directory.name, "people")
        file_report = ProblemReport(self._file.name)
        records = self._directory.read(now) if records is None else records
        if not records:
            raise IncompleteReading(f"{self._directory.name} returned nobody, so nothing was changed.")
        file_records: Sequence[RosterRecord] = self._file.read_into(file_report) if self._has_file else ()
        roster = resolve_roster(
            records, rules, report, stored_roster=stored, file_records=file_records, file_report=file_report
        )
        file_report.raise_problems()
        digest = _compute_digest([repr(self._settings.roster), *map(repr, records), *map(repr, file_records)])
        return RosterReading(roster, digest, report.build_problems(), report.count)

    @cached_property
    def _directory(self) -> RosterSource:
        """The directory that the settings name."""
        if self._directory_override:
            return self._directory_override
        name = self._settings.roster.source
        section = self._settings.get_roster_section(name)
        if self._store is not None:
            section["pushed_people"] = self._store.pushed_people
        return load_source_factory(name)(section)

    @cached_property
    def _file(self) -> CsvSource:
        """The people file as an addition to a directory; its only required column is the address."""
        return CsvSource(self._settings.people, PeopleFileFormat(mapping=self._columns, required=("email",)))

    @property
    def _columns(self) -> Mapping[str, str]:
        return self._settings.roster.columns

    @property
    def _has_file(self) -> bool:
        """Whether the people file is read. It is required without a directory, and optional with one."""
        return not self._settings.roster.has_directory or self._settings.people.exists()

    def _load_stored_roster(self) -> StoredRoster:
        """Return the roster in the database, which earlier readings have stored; an empty roster without a store."""
        if self._store is None:
            return StoredRoster()
        everybody, current = self._store.people.load_all_people(), self._store.people.load_current_people()
        pairs, aliases = self._store.people.load_all_pairs().values(), self._store.aliases.load()
        return StoredRoster(
            persons=everybody,
            former_people=everybody.keys() - current.keys(),
            managers={pair.report: pair.manager for pair in pairs if pair.ended is EndReason.NO},
            owners=aliases.owners,
            directory_ids=aliases.directory_ids,
        )


def _compute_digest(parts: Iterable[str]) -> str:
    digest = sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def build_rules(settings: Settings, now: datetime) -> RosterRules:
    """Return the rules for turning records into people: the available services, and the defaults in the settings."""
    roster = settings.roster
    return RosterRules(
        today=now.date(),
        calendars=(*base.CALENDAR_FACTORIES, NO_CALENDAR),
        mailers=tuple(base.MAILER_FACTORIES),
        # the columns for which a person need not have a value, since that person's calendar service has it
        habit_columns={
            name: columns for name, columns in base.CALENDARS_WITH_HABITS.items() if settings.can_read_all_habits(name)
        },
        default_every=settings.rules.default_every,
        default_minutes=settings.rules.default_minutes,
        default_locale=settings.locale,
        default_calendar=roster.default_calendar,
        default_mail=roster.mail,
        default_zone=roster.time_zone,
        default_country=roster.country,
        starts_with_hire=roster.hire_date_is_start,
    )


def read_people(settings: Settings, now: datetime, store: Store | None = None) -> Roster:
    """Read and return the roster.

    Raises Problems, IncompleteReading or ProviderError, and LongarcError when the people file can't be opened.
    """
    return RosterReader(settings, store).read(now).roster
