"""The people file: who works here, who manages whom, and how each pair wants it.

It is a CSV as an HR system exports it, so extra columns are ignored, the order is free, and commas, semicolons or tabs
will do. What can't be used is reported all at once, each with the line and the column it stands in.
"""

import csv
import io
import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date
from functools import partial
from pathlib import Path
from typing import TypeVar

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
from worker.errors import Problem, Problems
from worker.settings.parsers import (
    InvalidValue,
    find_nearest,
    make_choice_parser,
    parse_address,
    parse_addresses,
    parse_boolean,
    parse_country,
    parse_date,
    parse_directory_id,
    parse_every,
    parse_locale,
    parse_minutes,
    parse_name,
    parse_preference,
    parse_working_hours,
    parse_zone,
    shorten_value,
)

REQUIRED_COLUMNS = ("email", "name", "manager", "time_zone", "country")
OPTIONAL_COLUMNS = (
    *("working_hours", "locale", "calendar", "mail", "start", "every", "minutes", "format", "review"),
    *("transition_until", "prefer", "trust", "paused", "aliases", "directory_id"),
)
COLUMNS = (*REQUIRED_COLUMNS, *OPTIONAL_COLUMNS)

OFFICE_HOURS = parse_hours("Mon-Fri 09:00-17:00")
#: More problems than this are only counted.
MAX_PROBLEMS = 200

#: Control characters, line separators, and the signs that make text run backwards.
_CONTROL_CHARACTER = re.compile(r"[\x00-\x1f\x7f-\x9f\u2028\u2029\u202a-\u202e\u2066-\u2069]")

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class PeopleFile:
    """Everybody by address, and every pair by its id."""

    persons: Mapping[Address, Person]
    pairs: Mapping[PairId, Pair]
    #: who lacks a time zone or working hours here, and has a calendar that may tell them: which of the two columns
    unset_columns: Mapping[Address, frozenset[str]] = field(default_factory=dict)
    #: the other forms that name these people, each naming one person
    forms: Sequence[PersonAlias] = ()


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
    telling: Collection[str] = (),
) -> PeopleFile:
    """Read the people file. Raises Problems with everything that is wrong in it.

    `calendars` and `mailers` are the providers that may be named; the defaults fill empty cells. Of those in `telling`
    the calendar itself tells a person's time zone and working hours, so that both cells may stay empty. A pair is
    first seen `today`; whoever has seen it before knows better.
    """
    report = _ProblemReport(path.name)
    rows = list(_read_rows(_read_text(path, report), report))
    named = make_choice_parser(list(dict.fromkeys([*calendars, NO_CALENDAR])))
    accepted = _ServiceParsers(named, make_choice_parser(list(mailers)), frozenset(telling))
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
    people = _build_people(rows, accepted, defaults, report)
    if not rows and not report.problems:
        report.add_problem(1, "", "There is nobody in this file.", "Write one line for each person under the header.")
    report.raise_problems()
    return people


# --- from rows to people --------------------------------------------------------------------------------------------


class _ProblemReport:
    """The problems of one file. Only the first are kept in words."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.problems: list[Problem] = []
        self._more = 0

    def add_problem(self, line: int, column: str, what: str, remedy: str | Callable[[], str]) -> None:
        if len(self.problems) >= MAX_PROBLEMS:
            self._more += 1
            return
        where = f"{self.file}:line {line}" + (f", {column}" if column else "")
        self.problems.append(Problem(where, what, remedy if isinstance(remedy, str) else remedy()))

    def raise_problems(self) -> None:
        """Raises Problems when there are any."""
        if self._more:
            rest = Problem(self.file, f"There are {self._more:,} more problems.", "Mend these first.")
            self.problems.append(rest)
        if self.problems:
            raise Problems(self.problems)


@dataclass(slots=True)
class _PeopleRow:
    """One line of the file, its cells by known column. `usable` turns false with the first problem in it."""

    line: int
    cells: Mapping[str, str]
    report: _ProblemReport
    is_usable: bool = True

    def add_problem(self, column: str, what: str, remedy: str | Callable[[], str]) -> None:
        self.is_usable = False
        self.report.add_problem(self.line, column, what, remedy)

    def parse_cell(self, column: str, reader: Callable[[str], T], default: T) -> T:
        """What stands in the cell; the default when it is empty or can't be used."""
        text = self.cells.get(column, "")
        if not text:
            return default
        if _CONTROL_CHARACTER.search(text):
            self.add_problem(
                column, "There is a line break or a control character in this cell.", "Keep it on one line."
            )
            return default
        try:
            return reader(text)
        except InvalidValue as unfit:
            self.add_problem(column, unfit.what, unfit.build_remedy)
            return default


@dataclass(frozen=True, slots=True)
class _ServiceParsers:
    """Readers of the names of providers."""

    calendar: Callable[[str], str]
    mail: Callable[[str], str]
    telling: frozenset[str] = frozenset()  #: calendars that tell the zone and the hours of their owner


@dataclass(frozen=True, slots=True)
class _Defaults:
    person: Person
    pair: Pair


@dataclass(slots=True)
class _PeopleIndex:
    """Who was found so far: the row of each address, and each person's manager."""

    rows: dict[Address, _PeopleRow] = field(default_factory=dict)
    managers: dict[Address, Address] = field(default_factory=dict)
    forms: dict[str, PersonAlias] = field(default_factory=dict)

    def find_primary(self, address: Address) -> Address:
        """The primary address of the person whom one of these rows lists under `address`."""
        listed = self.forms.get(address)
        return listed.person if listed and address not in self.rows else address


def _build_people(
    rows: Sequence[_PeopleRow], accepted: _ServiceParsers, defaults: _Defaults, report: _ProblemReport
) -> PeopleFile:
    persons: dict[Address, Person] = {}
    listed: list[Pair] = []
    unsaid: dict[Address, frozenset[str]] = {}
    known = _PeopleIndex()
    for row in rows:
        person = _parse_person(row, accepted, defaults.person)
        pair = _parse_pair(row, person.email, defaults.pair)
        if not person.email:
            continue
        if person.email in known.rows:
            row.add_problem(
                "email", f"`{person.email}` stands in line {known.rows[person.email].line} already.", _ONE_ROW_REMEDY
            )
            continue
        known.rows[person.email] = row
        persons[person.email] = person
        listed.append(pair)
        if empty := _find_unset_columns(row, accepted):
            unsaid[person.email] = empty
    for email, row in known.rows.items():
        _collect_forms(email, row, known)
    pairs = {pair.id: pair for pair in _resolve_managers(listed, known)}
    _check_managers(known, persons)
    return PeopleFile(persons, pairs, unsaid, tuple(known.forms.values()))


def _collect_forms(email: Address, row: _PeopleRow, known: _PeopleIndex) -> None:
    """Note what else this person is called. A form names one person: a second one is a problem of the later row."""
    no_names: tuple[str, ...] = ()
    for column, source, names in (
        ("aliases", AliasSource.PEOPLE_FILE, row.parse_cell("aliases", parse_addresses, no_names)),
        ("directory_id", AliasSource.DIRECTORY, row.parse_cell("directory_id", parse_directory_id, no_names)),
    ):
        for form in names:
            owner = form if form in known.rows else known.forms[form].person if form in known.forms else email
            if owner != email:
                what = f"`{form}` belongs to `{owner}` in line {known.rows[owner].line} already."
                row.add_problem(column, what, "Keep it in the row of one person.")
            elif form != email:
                known.forms[form] = PersonAlias(form, email, source)


def _resolve_managers(listed: Sequence[Pair], known: _PeopleIndex) -> Iterator[Pair]:
    """The pairs of those who have a manager, who may be named by an alias."""
    for pair in listed:
        if pair.manager:
            manager = known.find_primary(pair.manager)
            known.managers[pair.report] = manager
            yield replace(pair, manager=manager)


def _find_unset_columns(row: _PeopleRow, accepted: _ServiceParsers) -> frozenset[str]:
    """The cells that are empty, and that this person's calendar may fill."""
    tells = row.cells.get("calendar", "").casefold() in accepted.telling
    return frozenset(column for column in ("time_zone", "working_hours") if tells and not row.cells.get(column))


_ONE_ROW_REMEDY = "Keep one row for each person."
_FORMAT_PARSER = make_choice_parser(list(Format))
_REVIEW_PARSER = make_choice_parser(list(ReviewMode))


def _parse_person(row: _PeopleRow, accepted: _ServiceParsers, default: Person) -> Person:
    untold = _find_unset_columns(row, accepted)
    for column in ("email", "name", "time_zone", "country"):
        if not row.cells.get(column) and column in row.cells and column not in untold:
            row.add_problem(column, f"The {column.replace('_', ' ')} is missing.", "Fill this cell.")
    return replace(
        default,
        email=row.parse_cell("email", parse_address, ""),
        name=row.parse_cell("name", parse_name, ""),
        zone=row.parse_cell("time_zone", parse_zone, default.zone),
        country=row.parse_cell("country", parse_country, default.country),
        hours=row.parse_cell("working_hours", parse_working_hours, default.hours),
        locale=row.parse_cell("locale", parse_locale, default.locale),
        calendar=row.parse_cell("calendar", accepted.calendar, default.calendar),
        mail=row.parse_cell("mail", accepted.mail, default.mail),
    )


def _parse_pair(row: _PeopleRow, report: Address, default: Pair) -> Pair:
    """The pair of this person and the manager; its manager is empty when there is none."""
    return replace(
        default,
        report=report,
        manager=row.parse_cell("manager", parse_address, ""),
        start=row.parse_cell("start", parse_date, None),
        every=row.parse_cell("every", parse_every, default.every),
        minutes=row.parse_cell("minutes", parse_minutes, default.minutes),
        format=Format(row.parse_cell("format", _FORMAT_PARSER, default.format.value)),
        review=ReviewMode(row.parse_cell("review", _REVIEW_PARSER, default.review.value)),
        transition_until=row.parse_cell("transition_until", parse_date, None),
        preference=row.parse_cell("prefer", parse_preference, default.preference),
        trust=row.parse_cell("trust", parse_boolean, False),
        paused=row.parse_cell("paused", parse_boolean, False),
    )


def _check_managers(known: _PeopleIndex, persons: Mapping[Address, Person]) -> None:
    reports = Counter(known.managers.values())
    for manager, count in reports.items():
        if manager in persons and not persons[manager].has_calendar:
            many = "somebody" if count == 1 else f"{count:,} people"
            what = f"`{manager}` manages {many}, and conversations need a calendar to stand on."
            known.rows[manager].add_problem("calendar", what, "Name this manager's calendar: `none` is for reports.")
    for email, manager in known.managers.items():
        row = known.rows[email]
        if manager == email:
            row.add_problem(
                "manager", "This person is their own manager.", "Name another, or leave the cell empty at the top."
            )
        elif manager not in known.rows:
            row.add_problem(
                "manager", f"`{manager}` has no row in this file.", partial(_build_manager_remedy, manager, known.rows)
            )
    for circle in _find_circles(known.managers):
        first = min(circle, key=lambda email: known.rows[email].line)
        turned = circle[circle.index(first) :] + circle[: circle.index(first)]
        named = [*turned[:6], *(["…"] if len(turned) > 6 else []), first]
        row = known.rows[first]
        row.add_problem(
            "manager", f"These manage each other in a circle: {' > '.join(named)}.", "Somebody has to be at the top."
        )


def _build_manager_remedy(address: Address, rows: Mapping[Address, _PeopleRow]) -> str:
    """Looks for a slip of the pen among those who begin alike; a file may name tens of thousands."""
    alike = [email for email in rows if email[:2] == address[:2]]
    near = find_nearest(address, alike[:2000], 0.85)
    return f"Did you mean `{near}`?" if near else "Add a row for this manager, or empty the cell."


def _find_circles(managers: Mapping[Address, Address]) -> Iterator[list[Address]]:
    """Each circle of two or more, once: from each person upwards until somebody seen before."""
    seen: set[Address] = set()
    for start in managers:
        path: list[Address] = []
        person = start
        while person in managers and person not in seen:
            seen.add(person)
            path.append(person)
            person = managers[person]
        if person in path and managers[person] != person:
            yield path[path.index(person) :]


# --- from bytes to rows ---------------------------------------------------------------------------------------------


def _read_text(path: Path, report: _ProblemReport) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        where, remedy = str(path), "Give the path of the people file in the settings, and let Longarc read it."
        raise Problems([Problem(where, f"The people file can't be read: {error.strerror}.", remedy)]) from None
    remedy = "Save it as UTF-8 (in Excel: `CSV UTF-8`)."
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        report.add_problem(1, "", "The file is written in UTF-16.", remedy)
    elif content.startswith(b"PK\3\4"):
        report.add_problem(1, "", "This is a workbook, not a CSV file.", remedy)
    elif b"\0" in content:
        line = content[: content.index(b"\0")].count(b"\n") + 1
        report.add_problem(line, "", "There is a zero byte: this is no CSV file, or one in UTF-16.", remedy)
    if not report.problems:
        try:
            return content.decode("utf-8-sig")
        except UnicodeDecodeError as error:
            at = len(content) - len(error.object) + error.start
            line = content[:at].count(b"\n") + 1
            report.add_problem(line, "", f"The byte 0x{content[at]:02X} is not UTF-8.", remedy)
    report.raise_problems()
    return ""


def _read_rows(text: str, report: _ProblemReport) -> Iterator[_PeopleRow]:
    """The rows under the header. Problems with the header, with quotes and with stray cells are noted here."""
    skipped = 0
    if re.match(r"sep=.\r?\n", text):  # a line that Excel writes for itself
        skipped, text = 1, text.partition("\n")[2]
    reader = csv.reader(io.StringIO(text, newline=""), delimiter=_detect_delimiter(text), strict=True)
    columns: dict[int, str] | None = None
    line, shortest = 1, 0
    try:
        for cells in reader:
            at, line = line + skipped, reader.line_num + 1
            if not any(cell.strip() for cell in cells):
                continue
            if columns is None:
                columns = _locate_columns(cells, at, report)
                width = len(cells)
                if report.problems:
                    return
            elif stray := _find_other_separator(cells, reader.dialect.delimiter):
                usual = _SEPARATOR_NAMES[reader.dialect.delimiter]
                what = f"This row is separated by {_SEPARATOR_NAMES[stray]}, the header by {usual}."
                report.add_problem(at, "", what, "Use one separator in the whole file.")
            elif any(cell.strip() for cell in cells[width:]):
                what = f"There are {len(cells)} cells under a header of {width}."
                report.add_problem(at, "", what, "Put quotes around a cell that holds the separator.")
            elif len(cells) < shortest and _is_cut_off(text, reader.line_num):
                report.add_problem(
                    at, "", "The file ends in the middle of this row.", "Have it exported again, to its end."
                )
            else:
                shortest = min(shortest or width, len(cells))
                yield _PeopleRow(
                    at, {name: cells[i].strip() if i < len(cells) else "" for i, name in columns.items()}, report
                )
    except csv.Error as error:
        report.add_problem(line + skipped, "", *_describe_csv_error(str(error)))
    if columns is None and not report.problems:
        report.add_problem(1, "", "The file is empty.", f"Begin with a header: {','.join(COLUMNS)}")


def _is_cut_off(text: str, line: int) -> bool:
    """Whether the text ends in that line without ending the line, as an export does that was cut off."""
    return not text.endswith("\n") and line > text.count("\n")


_SEPARATOR_NAMES = {",": "commas", ";": "semicolons", "\t": "tabs"}


def _find_other_separator(cells: Sequence[str], delimiter: str) -> str:
    """The separator of a row that hasn't that of the header; empty when it has."""
    if any(cell.strip() for cell in cells[1:]):
        return ""
    return next((sign for sign in _SEPARATOR_NAMES if sign != delimiter and cells[0].count(sign) > 2), "")


def _describe_csv_error(said: str) -> tuple[str, str]:
    """What the reader of CSV means, and what to write instead."""
    if "unexpected end" in said:
        return "A quote is opened in this row and never closed.", "Close it, and write a quote inside quotes twice."
    if "field larger" in said:
        what = f"A cell that begins in this row is longer than {csv.field_size_limit():,} characters."
        return what, "Close the quote before it, or shorten it."
    return "A quote in this row is closed before the cell ends.", "Write a quote inside quotes twice."


def _detect_delimiter(text: str) -> str:
    """The separator that finds most known columns in the first line that says something."""
    header = next((line for line in io.StringIO(text) if line.strip()), "").replace('"', "").casefold()
    return max(_SEPARATOR_NAMES, key=lambda sign: len({name.strip() for name in header.split(sign)} & set(COLUMNS)))


def _locate_columns(header: Sequence[str], line: int, report: _ProblemReport) -> dict[int, str]:
    """Where each known column stands. Other columns are ignored, unless they look like a slip of the pen."""
    names = [" ".join(cell.split()).casefold() for cell in header]
    columns: dict[int, str] = {}
    if len(names) == 1 and names[0] not in COLUMNS:
        what = f"`{shorten_value(names[0])}` is no header: nothing separates the columns."
        report.add_problem(line, "", what, f"Write {','.join(REQUIRED_COLUMNS)}, with commas, semicolons or tabs.")
        return columns
    for index, name in enumerate(names):
        if name in COLUMNS and name in columns.values():
            report.add_problem(line, name, "This column is there twice.", "Keep one of them.")
        elif name in COLUMNS:
            columns[index] = name
    missing = [name for name in COLUMNS if name not in columns.values()]
    strangers = [name for name in names if name and name not in COLUMNS]
    for name in missing:
        near = _find_misspelling(name, strangers)
        if near:
            report.add_problem(
                line, name, f"The column `{shorten_value(near)}` is not known.", f"Did you mean `{name}`?"
            )
        elif name in REQUIRED_COLUMNS:
            report.add_problem(
                line, name, "This column is missing.", f"A people file needs {', '.join(REQUIRED_COLUMNS)}."
            )
    return columns


def _find_misspelling(name: str, strangers: Sequence[str]) -> str:
    """The unknown column that is this one misspelt; an optional column has to be very near."""
    bare = {re.sub(r"[\W_]", "", stranger): stranger for stranger in strangers}
    plain = name.replace("_", "")
    return bare.get(plain) or bare.get(find_nearest(plain, bare, 0.75 if name in REQUIRED_COLUMNS else 0.88), "")
