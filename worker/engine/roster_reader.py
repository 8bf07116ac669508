"""Reads the roster from where the settings say: the people file, or a directory with the people file added to it."""

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
    """A roster as it was read, whole."""

    roster: Roster
    digest: str  #: changes with what was read
    faults: Sequence[Problem] = ()  #: of a directory; the pairs that they concern stay as they were
    fault_count: int = 0


class RosterReader:
    """Reads the roster. Nothing of a reading that fails is returned."""

    def __init__(self, settings: Settings, store: Store | None = None, source: RosterSource | None = None) -> None:
        """Without a store nothing is known of earlier readings. `source` stands in for the one of the settings."""
        self._settings = settings
        self._store = store
        self._given_source = source

    @property
    def name(self) -> str:
        """What messages call the place where people come from."""
        return self._source.name if self._settings.roster.has_directory else self._settings.people.name

    def get_version(self) -> str:
        """Return a text that changes with the people file, the settings, and the directory as far as it can tell.

        It costs no request. Raises LongarcError when the people file can't be opened.
        """
        directory = self._source.get_version() if self._settings.roster.has_directory else None
        file = self._file.get_version() if self._has_file else ""
        return _digest([repr(self._settings.roster), file, directory or ""])

    def is_version_known(self) -> bool:
        """Whether `get_version` changes with everything that is read; otherwise a directory is read from time to
        time."""
        return not self._settings.roster.has_directory or self._source.get_version() is not None

    def is_unsettled(self, now: datetime, read_at: datetime | None) -> bool:
        """Return whether a directory is still pushing changes that belong together: then it is not read yet.

        `read_at`: when it was last read; None before the first time.
        """
        return (
            self._settings.roster.has_directory
            and isinstance(self._source, PushedSource)
            and self._source.is_unsettled(now, read_at)
        )

    def read(
        self, now: datetime, *, accepts_new_ids: bool = False, records: Sequence[RosterRecord] | None = None
    ) -> RosterReading:
        """Return the roster. `records`: what `check` has just read of a directory, which is not read once more then.

        Raises Problems for the people file; IncompleteReading, ProviderError or Problems for a directory. With
        `accepts_new_ids`, a former address may come back with another directory id.
        """
        rules = replace(build_rules(self._settings, now), accepts_new_ids=accepts_new_ids)
        stored = self._load_stored_roster()
        if not self._settings.roster.has_directory:
            roster = load_people_file(self._settings.people, rules, self._columns, stored)
            return RosterReading(roster, self.get_version())
        return self._read_directory(now, rules, stored, records)

    def check(self) -> SourceCheck:
        """Return findings on the way to the directory, and warnings about the people file, with what the directory
        told; `read` tells the rest."""
        directory = self._source.check() if self._settings.roster.has_directory else SourceCheck([])
        file = self._file.check().findings if self._has_file and self._settings.people.exists() else []
        warnings = [finding for finding in file if finding.ok and finding.remedy]
        return SourceCheck([*directory.findings, *warnings], directory.records)

    def _read_directory(
        self, now: datetime, rules: RosterRules, stored: StoredRoster, records: Sequence[RosterRecord] | None
    ) -> RosterReading:
        rules = replace(rules, directory_name=self._source.name, id_namespace=self._settings.roster.source)
        report = ProblemReport(self._source.name, "people")
        file_report = ProblemReport(self._file.name)
        records = self._source.read(now) if records is None else records
        if not records:
            raise IncompleteReading(f"{self._source.name} returned nobody, so nothing was changed.")
        rows: Sequence[RosterRecord] = self._file.read_into(file_report) if self._has_file else ()
        roster = resolve_roster(records, rules, report, stored=stored, people_file=rows, file_report=file_report)
        file_report.raise_problems()
        digest = _digest([repr(self._settings.roster), *map(repr, records), *map(repr, rows)])
        return RosterReading(roster, digest, report.build_problems(), report.count)

    @cached_property
    def _source(self) -> RosterSource:
        if self._given_source:
            return self._given_source
        name = self._settings.roster.source
        section = self._settings.get_roster_section(name)
        if self._store is not None:
            section["pushed_people"] = self._store.pushed_people
        return load_source_factory(name)(section)

    @cached_property
    def _file(self) -> CsvSource:
        """The people file as an addition to a directory: each row needs an address, and nothing else."""
        return CsvSource(self._settings.people, PeopleFileFormat(mapping=self._columns, required=("email",)))

    @property
    def _columns(self) -> Mapping[str, str]:
        return self._settings.roster.columns

    @property
    def _has_file(self) -> bool:
        """Whether there has to be a people file, or is one: with a directory it need not exist."""
        return not self._settings.roster.has_directory or self._settings.people.exists()

    def _load_stored_roster(self) -> StoredRoster:
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


def _digest(parts: Iterable[str]) -> str:
    digest = sha256()
    for part in parts:
        digest.update(part.encode())
        digest.update(b"\0")
    return digest.hexdigest()


def build_rules(settings: Settings, now: datetime) -> RosterRules:
    """Return how records are read: what the services allow, and the defaults of the settings."""
    roster = settings.roster
    return RosterRules(
        today=now.date(),
        calendars=(*base.CALENDAR_FACTORIES, NO_CALENDAR),
        mailers=tuple(base.MAILER_FACTORIES),
        calendar_columns={
            name: columns for name, columns in base.CALENDARS_WITH_HABITS.items() if settings.can_read_everybody(name)
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
    """Return who works here. Raises Problems, IncompleteReading, ProviderError; LongarcError when the file can't be
    opened."""
    return RosterReader(settings, store).read(now).roster
