"""Makes the roster (persons, pairs and aliases) from the records of a directory, in the same way for all sources.

A people file is written for Longarc, so a fault in it refuses the whole file. A directory is not written for Longarc,
and one fault in it must not stop changes for everybody. Therefore faults of a directory are only reported to the
operator, and the pair that a fault concerns stays as it was. A missing value never means that a person is on leave.
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import date

from worker.domain.model import Address, Format, Pair, Person, Preference, ReviewMode
from worker.domain.time.worktime import parse_hours
from worker.roster.base import RosterRecord
from worker.roster.columns import ParsedRecord, build_parsers, parse_record
from worker.roster.hierarchy import find_managers
from worker.roster.identify import IdentifiedPeople, IdentifiedRecord, identify_people
from worker.roster.merge import merge_people_file
from worker.roster.model import Roster, RosterRules, StoredRoster
from worker.roster.parsers import parse_day
from worker.settings.parsers import InvalidValue
from worker.settings.problem_report import ProblemReport

#: The working hours of people for whom none are known.
OFFICE_HOURS = parse_hours("Mon-Fri 09:00-17:00")
_EMPTY_ROSTER = StoredRoster()


def resolve_roster(
    records: Sequence[RosterRecord],
    rules: RosterRules,
    problem_report: ProblemReport,
    *,
    stored_roster: StoredRoster = _EMPTY_ROSTER,
    file_records: Sequence[RosterRecord] = (),
    file_report: ProblemReport | None = None,
) -> Roster:
    """Return the roster that is made from these records. Faults are added to `problem_report`; the caller decides
    whether they refuse the roster.

    `file_records`: with a directory as the source, the records of a people file that override it; their faults are
    added to `file_report`. Every pair gets `rules.today` as `first_seen`, which the caller replaces by an earlier
    stored date.
    """
    parsers = build_parsers(rules.calendars, rules.mailers)
    parsed = [parse_record(record, parsers, problem_report) for record in records]
    if file_records and file_report:
        file_rows = [parse_record(record, parsers, file_report) for record in file_records]
        parsed = merge_people_file(parsed, file_rows, rules.directory_name)
    people = identify_people(parsed, rules, stored_roster)
    return _Resolver(people, rules, stored_roster).build_roster()


@dataclass(slots=True)
class _Resolver:
    """Makes the roster from identified people."""

    people: IdentifiedPeople
    rules: RosterRules
    stored_roster: StoredRoster
    persons: dict[Address, Person] = field(default_factory=dict)
    unset_columns: dict[Address, frozenset[str]] = field(default_factory=dict)
    #: Why people can't be in the roster, by person: the predicate of a message.
    left_out: dict[Address, str] = field(default_factory=dict)

    def build_roster(self) -> Roster:
        """Return the roster. May be called only once."""
        for email, identified_record in self.people.active.items():
            self._add_person(email, identified_record)
        managers = find_managers(self.people, self.persons, self.left_out, self.rules, self.stored_roster)
        pairs = [self._build_pair(report, manager) for report, manager in managers.items()]
        aliases = tuple(alias for alias in self.people.aliases.values() if alias.person in self.persons)
        return Roster(self.persons, {pair.id: pair for pair in pairs}, self.unset_columns, aliases)

    # --- persons ---

    def _add_person(self, email: Address, identified_record: IdentifiedRecord) -> None:
        """Add a person to the roster. In a directory, a person without a time zone or country is left out instead."""
        parsed, values, rules = identified_record.parsed, identified_record.parsed.values, self.rules
        calendar = values.get("calendar", rules.default_calendar)
        habit_columns = frozenset(rules.habit_columns.get(calendar, ()))
        stored_person = identified_record.find_stored_person(self.stored_roster) if rules.is_directory else None
        zone = values.get("time_zone") or rules.default_zone or (stored_person.zone if stored_person else "")
        country = values.get("country") or rules.default_country or (stored_person.country if stored_person else "")
        has_value = {"time_zone": bool(zone) or "time_zone" in habit_columns, "country": bool(country)}
        missing = [column for column in has_value if not has_value[column]]
        if rules.is_directory and missing:
            self._leave_out(email, parsed, missing[0])
            return
        name = values.get("name") or (email.partition("@")[0] if rules.is_directory else "")
        self._report_missing(parsed, missing if name else ["name", *missing])
        if unset := habit_columns - values.keys() - parsed.unusable_columns:
            self.unset_columns[email] = unset
        self.persons[email] = Person(
            email=email,
            name=name,
            zone=zone or "UTC",
            country=country,
            hours=values.get("working_hours") or OFFICE_HOURS,
            locale=values.get("locale", rules.default_locale),
            calendar=calendar,
            mail=values.get("mail", rules.default_mail),
            group=values.get("group", ""),
        )

    def _report_missing(self, parsed: ParsedRecord, columns: Sequence[str]) -> None:
        """Report that these columns have no value, unless their unusable text has been reported already."""
        for column in columns:
            if column not in parsed.unusable_columns:
                parsed.add_fault(column, f"The {column.replace('_', ' ')} is missing.", "Fill this cell.")

    def _leave_out(self, email: Address, parsed: ParsedRecord, column: str) -> None:
        """Leave a person out of the roster because this column has no value, and report that."""
        label = column.replace("_", " ")
        self.left_out[email] = f"is left out, without a {label}"
        if column not in parsed.unusable_columns:
            remedy = f"Set `{column}` in [roster] for everybody without one, or write it into the people file."
            parsed.add_fault(column, f"The {label} is missing, so this person is left out.", remedy)

    # --- pairs ---

    def _build_pair(self, report: Address, manager: Address) -> Pair:
        """Return the pair, with the preferences from the report's record."""
        parsed, rules = self.people.active[report].parsed, self.rules
        values = parsed.values
        paused_until = values.get("paused_until")
        is_pause_over = paused_until is not None and paused_until <= rules.today
        return Pair(
            manager=manager,
            report=report,
            first_seen=rules.today,
            start=values.get("start") or self._find_hire_date(parsed),
            every=values.get("every", rules.default_every),
            minutes=values.get("minutes", rules.default_minutes),
            format=Format(values.get("format", Format.COMBINED)),
            review=ReviewMode(values.get("review", ReviewMode.ALONE)),
            transition_until=values.get("transition_until"),
            preference=values.get("prefer", Preference()),
            trust=values.get("trust", False),
            paused=(values.get("paused", False) or paused_until is not None) and not is_pause_over,
            paused_until=None if is_pause_over else paused_until,
        )

    def _find_hire_date(self, parsed: ParsedRecord) -> date | None:
        """Return the hire date, if pairs start with it; None when it is missing, or can't be read and was reported."""
        if not (self.rules.starts_with_hire and parsed.record.hire_date):
            return None
        try:
            return parse_day(parsed.record.hire_date)
        except InvalidValue as error:
            parsed.add_invalid_value("hire_date", error)
            return None
