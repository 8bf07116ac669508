"""Load the people file: who works here, who manages whom, and the preferences of each pair.

The file is a CSV export of an HR system: columns may be in any order, unknown columns are ignored, and the separator is
a comma, a semicolon or a tab. All problems are reported at once, with line and column.
"""

from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path

from worker.domain.model import (
    NO_CALENDAR,
    Address,
    AliasSource,
    Format,
    Interval,
    Pair,
    PairId,
    Person,
    PersonAlias,
    ReviewMode,
)
from worker.domain.time.worktime import parse_hours
from worker.settings.csv_file import CsvFormat, CsvRow, ProblemReport, read_rows, read_text
from worker.settings.parsers import (
    find_nearest,
    make_choice_parser,
    parse_address,
    parse_addresses,
    parse_boolean,
    parse_country,
    parse_date,
    parse_directory_id,
    parse_group,
    parse_interval,
    parse_locale,
    parse_minutes,
    parse_name,
    parse_preference,
    parse_working_hours,
    parse_zone,
)

REQUIRED_COLUMNS = ("email", "name", "manager", "time_zone", "country")
OPTIONAL_COLUMNS = (
    *("working_hours", "locale", "calendar", "mail", "start", "every", "minutes", "format", "review"),
    *("transition_until", "prefer", "trust", "paused", "paused_until", "aliases", "directory_id", "group"),
)
COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)
FILE_FORMAT = CsvFormat("people file", "A people file", REQUIRED_COLUMNS, OPTIONAL_COLUMNS)

OFFICE_HOURS = parse_hours("Mon-Fri 09:00-17:00")


@dataclass(frozen=True, slots=True)
class PeopleFile:
    """The content of a people file: persons by address, pairs by id."""

    persons: Mapping[Address, Person]
    pairs: Mapping[PairId, Pair]
    #: by person: the empty columns (time zone, working hours) that the calendar can supply
    unset_columns: Mapping[Address, frozenset[str]] = field(default_factory=dict)
    #: aliases and directory ids, each of one person
    aliases: Sequence[PersonAlias] = ()


def load_people_file(
    path: Path,
    *,
    today: date,
    calendars: Collection[str],
    mailers: Collection[str],
    default_every: Interval = Interval(weeks=13),  # noqa: B008 -- a frozen value
    default_minutes: int = 75,
    default_locale: str = "en",
    default_calendar: str = "caldav",
    default_mail: str = "smtp",
    calendars_with_hours: Collection[str] = (),
) -> PeopleFile:
    """Read the people file. Raises Problems with everything that is wrong in it.

    `calendars` and `mailers` are the allowed providers. The defaults fill empty cells. The services in
    `calendars_with_hours` supply time zone and working hours, so both cells may be empty for their users. Every pair
    gets `today` as `first_seen`; the caller keeps an earlier date.
    """
    problem_report = ProblemReport(path.name)
    rows = list(read_rows(read_text(path, FILE_FORMAT, problem_report), FILE_FORMAT, problem_report))
    calendar_parser = make_choice_parser(list(dict.fromkeys([*calendars, NO_CALENDAR])))
    parsers = _ServiceParsers(calendar_parser, make_choice_parser(list(mailers)), frozenset(calendars_with_hours))
    defaults = _Defaults(
        person=Person(
            email="",
            name="",
            zone="UTC",
            country="",
            hours=OFFICE_HOURS,
            locale=default_locale,
            calendar=default_calendar,
            mail=default_mail,
        ),
        pair=Pair(manager="", report="", first_seen=today, every=default_every, minutes=default_minutes),
    )
    people = _build_people(rows, parsers, defaults, problem_report)
    if not rows and not problem_report.problems:
        problem_report.add_problem(
            1, "", "There is nobody in this file.", "Write one line for each person under the header."
        )
    problem_report.raise_problems()
    return people


# --- from rows to people ---------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class _ServiceParsers:
    """Parsers of the columns `calendar` and `mail`."""

    calendar: Callable[[str], str]
    mail: Callable[[str], str]
    calendars_with_hours: frozenset[str] = frozenset()  #: services that supply time zone and working hours


@dataclass(frozen=True, slots=True)
class _Defaults:
    person: Person
    pair: Pair


@dataclass(slots=True)
class _PeopleIndex:
    """The rows by address, the managers by report and the aliases by name, filled while the file is parsed."""

    rows: dict[Address, CsvRow] = field(default_factory=dict)
    managers: dict[Address, Address] = field(default_factory=dict)
    aliases: dict[str, PersonAlias] = field(default_factory=dict)

    def find_primary(self, address: Address) -> Address:
        """Return the primary address of the person with this alias; the address itself when it is no alias."""
        alias = self.aliases.get(address)
        return alias.person if alias and address not in self.rows else address


def _build_people(
    rows: Sequence[CsvRow], parsers: _ServiceParsers, defaults: _Defaults, problem_report: ProblemReport
) -> PeopleFile:
    persons: dict[Address, Person] = {}
    listed_pairs: list[Pair] = []
    unset_columns: dict[Address, frozenset[str]] = {}
    index = _PeopleIndex()
    for row in rows:
        person = _parse_person(row, parsers, defaults.person)
        pair = _parse_pair(row, person.email, defaults.pair)
        if not person.email:
            continue
        if person.email in index.rows:
            row.add_problem(
                "email", f"`{person.email}` is in line {index.rows[person.email].line} already.", _ONE_ROW_REMEDY
            )
            continue
        index.rows[person.email] = row
        persons[person.email] = person
        listed_pairs.append(pair)
        if columns := _find_unset_columns(row, parsers):
            unset_columns[person.email] = columns
    for email, row in index.rows.items():
        _collect_aliases(email, row, index)
    pairs = {pair.id: pair for pair in _resolve_managers(listed_pairs, index)}
    _check_managers(index, persons)
    return PeopleFile(persons, pairs, unset_columns, tuple(index.aliases.values()))


def _collect_aliases(email: Address, row: CsvRow, index: _PeopleIndex) -> None:
    """Add the aliases and the directory id of a person, and report those that another person has already."""
    no_names: tuple[str, ...] = ()
    for column, source, names in (
        ("aliases", AliasSource.PEOPLE_FILE, row.parse_cell("aliases", parse_addresses, no_names)),
        ("directory_id", AliasSource.DIRECTORY, row.parse_cell("directory_id", parse_directory_id, no_names)),
    ):
        for name in names:
            owner = name if name in index.rows else index.aliases[name].person if name in index.aliases else email
            if owner != email:
                what = f"`{name}` belongs to `{owner}` in line {index.rows[owner].line} already."
                row.add_problem(column, what, "Keep it in the row of one person.")
            elif name != email:
                index.aliases[name] = PersonAlias(name, email, source)


def _resolve_managers(listed_pairs: Sequence[Pair], index: _PeopleIndex) -> Iterator[Pair]:
    """Yield the pairs of the persons with a manager. A manager may be named by an alias."""
    for pair in listed_pairs:
        if pair.manager:
            manager = index.find_primary(pair.manager)
            index.managers[pair.report] = manager
            yield replace(pair, manager=manager)


def _find_unset_columns(row: CsvRow, parsers: _ServiceParsers) -> frozenset[str]:
    """Return the empty columns that the calendar of this person can supply."""
    can_supply = row.cells.get("calendar", "").casefold() in parsers.calendars_with_hours
    return frozenset(column for column in ("time_zone", "working_hours") if can_supply and not row.cells.get(column))


_ONE_ROW_REMEDY = "Keep one row for each person."
_FORMAT_PARSER = make_choice_parser(list(Format))
_REVIEW_PARSER = make_choice_parser(list(ReviewMode))


def _parse_person(row: CsvRow, parsers: _ServiceParsers, default: Person) -> Person:
    unset_columns = _find_unset_columns(row, parsers)
    for column in ("email", "name", "time_zone", "country"):
        if not row.cells.get(column) and column in row.cells and column not in unset_columns:
            row.add_problem(column, f"The {column.replace('_', ' ')} is missing.", "Fill this cell.")
    return replace(
        default,
        email=row.parse_cell("email", parse_address, ""),
        name=row.parse_cell("name", parse_name, ""),
        zone=row.parse_cell("time_zone", parse_zone, default.zone),
        country=row.parse_cell("country", parse_country, default.country),
        hours=row.parse_cell("working_hours", parse_working_hours, default.hours),
        locale=row.parse_cell("locale", parse_locale, default.locale),
        calendar=row.parse_cell("calendar", parsers.calendar, default.calendar),
        mail=row.parse_cell("mail", parsers.mail, default.mail),
        group=row.parse_cell("group", parse_group, ""),
    )


def _parse_pair(row: CsvRow, report: Address, default: Pair) -> Pair:
    """Return the pair of this person and the manager; the manager is empty when the row names none."""
    paused_until = row.parse_cell("paused_until", parse_date, None)
    is_over = paused_until is not None and paused_until <= default.first_seen  # which is today
    return replace(
        default,
        report=report,
        manager=row.parse_cell("manager", parse_address, ""),
        start=row.parse_cell("start", parse_date, None),
        every=row.parse_cell("every", parse_interval, default.every),
        minutes=row.parse_cell("minutes", parse_minutes, default.minutes),
        format=Format(row.parse_cell("format", _FORMAT_PARSER, default.format.value)),
        review=ReviewMode(row.parse_cell("review", _REVIEW_PARSER, default.review.value)),
        transition_until=row.parse_cell("transition_until", parse_date, None),
        preference=row.parse_cell("prefer", parse_preference, default.preference),
        trust=row.parse_cell("trust", parse_boolean, False),
        paused=(row.parse_cell("paused", parse_boolean, False) or paused_until is not None) and not is_over,
        paused_until=None if is_over else paused_until,
    )


def _check_managers(index: _PeopleIndex, persons: Mapping[Address, Person]) -> None:
    """Report managers without a calendar or a row, people who manage themselves, and circles of managers."""
    report_counts = Counter(index.managers.values())
    for manager, count in report_counts.items():
        if manager in persons and not persons[manager].has_calendar:
            reports_text = "somebody" if count == 1 else f"{count:,} people"
            what = f"`{manager}` manages {reports_text}, so this person needs a calendar."
            index.rows[manager].add_problem("calendar", what, "Name this manager's calendar: `none` is for reports.")
    for email, manager in index.managers.items():
        row = index.rows[email]
        if manager == email:
            row.add_problem(
                "manager", "This person is their own manager.", "Name another, or leave the cell empty at the top."
            )
        elif manager not in index.rows:
            row.add_problem(
                "manager", f"`{manager}` has no row in this file.", partial(_build_manager_remedy, manager, index.rows)
            )
    for circle in _find_circles(index.managers):
        first = min(circle, key=lambda email: index.rows[email].line)
        rotated = circle[circle.index(first) :] + circle[: circle.index(first)]
        shown_addresses = [*rotated[:6], *(["…"] if len(rotated) > 6 else []), first]
        row = index.rows[first]
        row.add_problem(
            "manager",
            f"These manage each other in a circle: {' > '.join(shown_addresses)}.",
            "Somebody has to be at the top.",
        )


def _build_manager_remedy(address: Address, rows: Mapping[Address, CsvRow]) -> str:
    """Suggest a similar address. Compares only addresses with the same first two letters: a file may be long."""
    similar = [email for email in rows if email[:2] == address[:2]]
    suggestion = find_nearest(address, similar[:2000], 0.85)
    return f"Did you mean `{suggestion}`?" if suggestion else "Add a row for this manager, or empty the cell."


def _find_circles(managers: Mapping[Address, Address]) -> Iterator[list[Address]]:
    """Yield each circle of two or more managers once: walk up from each person until a person is met again."""
    seen: set[Address] = set()
    for start in managers:
        chain: list[Address] = []
        person = start
        while person in managers and person not in seen:
            seen.add(person)
            chain.append(person)
            person = managers[person]
        if person in chain and managers[person] != person:
            yield chain[chain.index(person) :]
