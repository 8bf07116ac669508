"""The people file: it is read as HR systems write it, and all its faults are listed.

For each pair it has the rhythm (R-1), length (T-1), format (R-4), transition (R-5) and preferred day and time (T-3).
"""

import csv
import io
from datetime import date
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import ROOT
from worker.domain.model import AliasSource, Format, Interval, Pair, PairId, Preference, ReviewMode
from worker.domain.time.worktime import parse_hours
from worker.errors import Problem, Problems
from worker.roster.model import Roster, RosterRules
from worker.roster.people_file import load_people_file
from worker.settings.people_columns import COLUMNS, REQUIRED_COLUMNS

TODAY = date(2027, 1, 15)
RULES = RosterRules(today=TODAY, calendars=["caldav", "memory"], mailers=["smtp", "maildir"])
EXAMPLE = ROOT / "config" / "people.example.csv"

#: Two people, as rows by column; Ana manages Bo.
ANA = {"email": "ana@x.org", "name": "Ana", "manager": "", "time_zone": "Europe/Lisbon", "country": "PT"}
BO = {"email": "bo@x.org", "name": "Bo", "manager": "ana@x.org", "time_zone": "Europe/Berlin", "country": "DE-BE"}


def make_csv(*rows: dict[str, str], delimiter: str = ",") -> str:
    columns = list(dict.fromkeys(name for row in rows for name in row))
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, restval="", delimiter=delimiter, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue()


def read_people(folder: Path, content: str | bytes) -> Roster:
    path = folder / "people.csv"
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return load_people_file(path, RULES)


def list_problems(folder: Path, content: str | bytes) -> tuple[Problem, ...]:
    with pytest.raises(Problems) as error_info:
        read_people(folder, content)
    return error_info.value.problems


def find_only_problem(folder: Path, content: str | bytes) -> str:
    problems = list_problems(folder, content)
    assert len(problems) == 1, [str(problem) for problem in problems]
    return str(problems[0])


def test_required_columns_alone_make_people_and_pairs(tmp_path: Path) -> None:
    roster = read_people(tmp_path, make_csv(ANA, BO))
    bo = roster.persons["bo@x.org"]
    assert (bo.name, bo.zone, bo.country, bo.calendar, bo.mail, bo.locale) == (
        *("Bo", "Europe/Berlin", "DE-BE", "caldav", "smtp"),
        "en",
    )
    assert bo.hours == parse_hours("Mon-Fri 09:00-17:00")
    assert roster.pairs == {
        PairId("ana@x.org", "bo@x.org"): Pair(manager="ana@x.org", report="bo@x.org", first_seen=TODAY),
    }


def test_r4_r5_t3_every_column_is_read(tmp_path: Path) -> None:
    """R-4: the format. R-5: the end of a transition. T-3: the preferred day and time."""
    bo = BO | {
        "working_hours": "Mon-Thu 08:00-16:00",
        "locale": "pt-BR",
        "calendar": "none",
        "mail": "MailDir",
        "start": "2026-10-01",
        "every": "6 months",
        "minutes": "90",
        "format": "series",
        "review": "in_1on1",
        "transition_until": "2027-06-30",
        "prefer": "tuesday 9:30",
        "trust": "YES",
        "paused": "1",
    }
    roster = read_people(tmp_path, make_csv(ANA, bo))
    assert roster.persons["bo@x.org"].hours == parse_hours("Mon-Thu 08:00-16:00")
    assert roster.persons["bo@x.org"].locale == "pt_BR"
    assert (roster.persons["bo@x.org"].calendar, roster.persons["bo@x.org"].mail) == ("none", "maildir")
    assert roster.pairs[PairId("ana@x.org", "bo@x.org")] == Pair(
        manager="ana@x.org",
        report="bo@x.org",
        first_seen=TODAY,
        start=date(2026, 10, 1),
        every=Interval(months=6),
        minutes=90,
        format=Format.SERIES,
        review=ReviewMode.IN_1ON1,
        transition_until=date(2027, 6, 30),
        preference=Preference(weekday=1, minute=9 * 60 + 30),
        trust=True,
        paused=True,
    )


@pytest.mark.parametrize(
    ("paused", "until", "expected"),
    [
        ("yes", "2099-01-11", (True, date(2099, 1, 11))),
        ("", "2099-01-11", (True, date(2099, 1, 11))),
        ("yes", "2020-01-11", (False, None)),
        ("yes", f"{TODAY}", (False, None)),
        ("yes", "", (True, None)),
        ("", "", (False, None)),
    ],
)
def test_a_pause_ends_on_the_day_of_paused_until(
    tmp_path: Path, paused: str, until: str, expected: tuple[bool, date | None]
) -> None:
    """T-18: from that day on, the pair is not paused, even if the column `paused` says yes."""
    roster = read_people(tmp_path, make_csv(ANA, {**BO, "paused": paused, "paused_until": until}))
    pair = roster.pairs[PairId("ana@x.org", "bo@x.org")]
    assert (pair.paused, pair.paused_until) == expected


def test_defaults_of_the_settings_fill_empty_cells(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text(make_csv(ANA, BO), encoding="utf-8")
    rules = RosterRules(
        today=TODAY,
        calendars=["google"],
        mailers=["gmail"],
        default_every=Interval(months=4),
        default_minutes=60,
        default_locale="de",
        default_calendar="google",
        default_mail="gmail",
    )
    roster = load_people_file(path, rules)
    pair, bo = roster.pairs[PairId("ana@x.org", "bo@x.org")], roster.persons["bo@x.org"]
    assert (pair.every, pair.minutes, bo.locale, bo.calendar, bo.mail) == (
        Interval(months=4),
        60,
        "de",
        "google",
        "gmail",
    )


def test_the_example_file_has_every_column_and_loads() -> None:
    roster = load_people_file(EXAMPLE, RULES)
    managers = {pair.manager for pair in roster.pairs.values()}
    assert (len(roster.persons), len(roster.pairs), len(managers)) == (8, 7, 2)
    assert any(pair.report in managers for pair in roster.pairs.values()), "no manager is also a report"
    assert len({person.zone for person in roster.persons.values()}) == 4
    assert EXAMPLE.read_text(encoding="utf-8").splitlines()[0].split(",") == list(COLUMNS)


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("prefix", ["", "\ufeff", "\n\n", "\ufeffsep=?\n"])  # `?` stands for the delimiter
def test_delimiters_byte_order_marks_and_quotes_of_spreadsheets_are_read(
    tmp_path: Path, delimiter: str, prefix: str
) -> None:
    bo = BO | {"name": 'Bo "B", jr; the 2nd', "office": "Room 4;\nsecond floor"}
    text = prefix.replace("?", delimiter) + make_csv(bo, ANA, delimiter=delimiter)
    roster = read_people(tmp_path, text.replace("email", "Email").replace("\n", "\r\n"))
    assert roster.persons["bo@x.org"].name == bo["name"]


def test_addresses_are_compared_without_case_and_blanks(tmp_path: Path) -> None:
    roster = read_people(tmp_path, make_csv(ANA | {"email": " Ana@X.org"}, BO | {"manager": "ANA@x.org "}))
    assert list(roster.pairs) == [PairId("ana@x.org", "bo@x.org")]


@pytest.mark.parametrize(
    ("column", "value", "message"),
    [
        ("email", "bo", "`bo` is not an e-mail address."),
        ("email", "Bo <bo@x.org>", "is not an e-mail address"),
        ("email", "b>o@x.org", "is not an e-mail address"),
        ("email", "straße@x.org", "is not an e-mail address"),
        ("email", "", "The email is missing."),
        ("email", "ana@x.org", "`ana@x.org` is in line 2 already."),
        ("name", "", "The name is missing."),
        ("name", "B\x07o", "There is a control character in this cell. Type this cell again."),
        ("name", "B\u202eo", "There is a control character in this cell."),
        ("name", "=1+1", "`=1+1` begins with `=`, as a formula does, and is not computed. Write the words"),
        ("group", "@SUM(A1)", "begins with `@`, as a formula does"),
        ("name", "B" * 201, "longer than 200 characters"),
        ("manager", "bo@x.org", "This person is their own manager."),
        ("manager", "anna@x.org", "`anna@x.org` has no row in this file. Did you mean `ana@x.org`?"),
        ("manager", "zed@y.org", "`zed@y.org` has no row in this file. Add a row"),
        (
            "manager",
            "Anna",
            "`Anna` has no row in this file, neither as an address nor as an id or a name. Did you mean",
        ),
        ("manager", "a@x.org b@x.org", "`a@x.org` has no row in this file."),
        ("manager", "Ana <ana@>", "is not an e-mail address"),
        ("time_zone", "Europe/Berln", "`Europe/Berln` is not a time zone. Did you mean `Europe/Berlin`?"),
        ("time_zone", "europe/berlin", "Did you mean `Europe/Berlin`?"),
        ("time_zone", "new yrok", "Did you mean `America/New_York`?"),
        ("time_zone", "../../etc/passwd", "Write an IANA name such as `Europe/Berlin`."),
        ("time_zone", "", "The time zone is missing."),
        ("country", "XX", "`XX` is not a country whose holidays are known."),
        ("country", "DE-XX", "`DE-XX` is not a country"),
        ("country", "", "The country is missing."),
        ("working_hours", "nine to five", "Working hours: "),
        ("locale", "klingon", "`klingon` is not a known language."),
        ("locale", "en_US_x_!", "is not a known language"),
        ("calendar", "caldaw", "`caldaw` is not one of `caldav`, `memory`, `none`. Did you mean `caldav`?"),
        ("mail", "none", "`none` is not one of `smtp`, `maildir`. Write one of these."),
        ("start", "15.02.27", "`15.02.27` is not a date. Write it as year-month-day: `2027-02-15`."),
        ("start", "01/09/2026", "can be read as 1 September and as 9 January. Write year-month-day: `2026-09-01` or"),
        ("start", "20270215", "is not a date"),
        ("transition_until", "2027-02-30", "`2027-02-30` is not a date."),
        ("transition_until", "9999-12-31", "`9999-12-31` is too far away. Write a year from `2000` to `2099`."),
        ("start", "0001-01-01", "`0001-01-01` is too far away."),
        ("every", "often", "`often` is not a rhythm."),
        ("every", "3 weeks", "`3 weeks` is too short or too long."),
        ("every", "13 months", "is too short or too long"),
        ("every", "0 months", "is too short or too long"),
        ("minutes", "45", "`45` is not the length of a session. Write the minutes, from `60` to `90`."),
        ("minutes", "1e2", "is not the length"),
        ("format", "serie", "`serie` is not one of `combined`, `series`. Did you mean `series`?"),
        ("review", "1on1", "Did you mean `in_1on1`?"),
        ("prefer", "Tue 24:00", "`Tue 24:00` is not a day and a time."),
        ("prefer", "Tu", "is not a day and a time"),
        ("prefer", "someday", "is not a day and a time"),
        ("trust", "maybe", "`maybe` is neither yes nor no."),
        ("paused", "ja", "`ja` is neither yes nor no."),
        ("aliases", "b.o@x.org bo", "`bo` is not an e-mail address."),
        ("aliases", "b.o@x.org; ana@x.org", "`ana@x.org` belongs to `ana@x.org` in line 2 already. Keep it in the row"),
        ("directory_id", "bo jones", "`bo jones` is not a directory id."),
        ("directory_id", "bo@x.org", "`bo@x.org` is not a directory id."),
        ("group", "Design " * 12, "The group is longer than 80 characters. Write the short name of a department"),
    ],
)
def test_a_wrong_cell_is_reported_with_line_column_and_remedy(
    tmp_path: Path, column: str, value: str, message: str
) -> None:
    problem = find_only_problem(tmp_path, make_csv(ANA, BO | {column: value}))
    assert problem.startswith(f"people.csv:line 3, {column}: ")
    assert message in problem


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("4 weeks", Interval(weeks=4)),
        ("1 month", Interval(months=1)),
        ("12 Months", Interval(months=12)),
        ("quarter", Interval(weeks=13)),
    ],
)
def test_r1_a_rhythm_is_weeks_months_or_a_quarter(tmp_path: Path, text: str, expected: Interval) -> None:
    pairs = read_people(tmp_path, make_csv(ANA, BO | {"every": text})).pairs
    assert pairs[PairId("ana@x.org", "bo@x.org")].every == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Fri", Preference(weekday=4)),
        ("14:15", Preference(minute=14 * 60 + 15)),
        ("Wed 00:00", Preference(weekday=2, minute=0)),
    ],
)
def test_t3_a_preference_is_a_day_a_time_or_both(tmp_path: Path, text: str, expected: Preference) -> None:
    pairs = read_people(tmp_path, make_csv(ANA, BO | {"prefer": text})).pairs
    assert pairs[PairId("ana@x.org", "bo@x.org")].preference == expected


def test_aliases_and_the_directory_id_are_read(tmp_path: Path) -> None:
    bo = BO | {"aliases": "B.Jones@x.org; bo@old.x.org,bo@x.org  b.jones@x.org", "directory_id": "0F1E-77"}
    aliases = read_people(tmp_path, make_csv(ANA, bo)).aliases
    assert [(alias.alias, alias.person, alias.source) for alias in aliases] == [
        ("b.jones@x.org", "bo@x.org", AliasSource.PEOPLE_FILE),
        ("bo@old.x.org", "bo@x.org", AliasSource.PEOPLE_FILE),
        ("0f1e-77", "bo@x.org", AliasSource.DIRECTORY),
    ]


def test_r22_a_group_is_read_with_single_blanks_and_may_be_empty(tmp_path: Path) -> None:
    persons = read_people(tmp_path, make_csv(ANA, BO | {"group": "Design  and   Research"})).persons
    assert (persons["ana@x.org"].group, persons["bo@x.org"].group) == ("", "Design and Research")


def test_each_alias_and_id_belongs_to_one_person_in_the_whole_file(tmp_path: Path) -> None:
    """The order of the rows makes no difference, and every duplicate is reported."""
    ana = ANA | {"aliases": "bo@x.org a@x.org", "directory_id": "7"}
    cy = BO | {"email": "cy@x.org", "aliases": "a@x.org", "directory_id": "7"}
    assert [str(problem) for problem in list_problems(tmp_path, make_csv(ana, BO, cy))] == [
        f"people.csv:line {line}, {column}: `{alias}` belongs to `{owner}` in line {owner_line} already. "
        "Keep it in the row of one person."
        for line, column, alias, owner, owner_line in (
            (2, "aliases", "bo@x.org", "bo@x.org", 3),
            (4, "aliases", "a@x.org", "ana@x.org", 2),
            (4, "directory_id", "7", "ana@x.org", 2),
        )
    ]


def test_an_alias_names_a_manager(tmp_path: Path) -> None:
    roster = read_people(tmp_path, make_csv(BO | {"manager": "a.silva@x.org"}, ANA | {"aliases": "a.silva@x.org"}))
    assert list(roster.pairs) == [PairId("ana@x.org", "bo@x.org")]


def test_a_circle_of_managers_is_reported_once(tmp_path: Path) -> None:
    dee = BO | {"email": "dee@x.org", "manager": "eli@x.org"}
    text = make_csv(ANA | {"manager": "cy@x.org"}, BO, BO | {"email": "cy@x.org", "manager": "bo@x.org"}, dee)
    _, eli_row = make_csv(BO | {"email": "eli@x.org", "manager": "ana@x.org"}).splitlines()
    text += eli_row  # Dee and Eli report to people of the circle, and are not in it
    assert find_only_problem(tmp_path, text) == (
        "people.csv:line 2, manager: These people manage each other in a circle: "
        "ana@x.org > cy@x.org > bo@x.org > ana@x.org. Somebody has to be at the top."
    )


def test_a_manager_without_a_calendar_is_reported_once_with_a_remedy(tmp_path: Path) -> None:
    text = make_csv(ANA | {"calendar": "none"}, BO, BO | {"email": "cy@x.org"})
    assert find_only_problem(tmp_path, text) == (
        "people.csv:line 2, calendar: `ana@x.org` manages 2 people, so this manager needs a calendar. "
        "Name a calendar: only reports may have `none`."
    )


def test_a_wrong_row_of_a_manager_causes_no_problem_in_rows_of_reports(tmp_path: Path) -> None:
    assert "line 2, time_zone" in find_only_problem(tmp_path, make_csv(ANA | {"time_zone": "Lisbonne"}, BO))


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("time_zone", "tmie_zone", "line 1, time_zone: The column `tmie_zone` is not known. Did you mean `time_zone`?"),
        ("time_zone", "office", "line 1, time_zone: This column is missing. A people file needs email, name"),
        ("country", "office,workin_hours", "Did you mean `working_hours`?"),
        ("country", "country,email", "line 1, email: This column appears twice."),
    ],
)
def test_unknown_missing_and_repeated_columns_are_reported(tmp_path: Path, old: str, new: str, message: str) -> None:
    problems = "\n".join(str(problem) for problem in list_problems(tmp_path, make_csv(ANA, BO).replace(old, new, 1)))
    assert message in problems


def test_columns_of_other_meanings_are_ignored(tmp_path: Path) -> None:
    other_columns = {
        "department": "R&D",
        "manager_name": "Ana",
        "start_date": "1.1.2020",
        "phone": "",
        "location": "\x07",
    }
    assert len(read_people(tmp_path, make_csv(ANA, BO | other_columns)).persons) == 2


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "people.csv:line 1: The file is empty."),
        (b"\n\n", "people.csv:line 1: The file is empty."),
        (",".join(REQUIRED_COLUMNS).encode(), "people.csv:line 1: There is nobody in this file."),
        (b"\xef\xbb\xbf" + make_csv(ANA, BO | {"name": "Zoë"}).encode("cp1252"), "line 3: The byte 0xEB is not UTF-8."),
        (make_csv(ANA, BO).replace("Bo,", '"Bo,'), "line 3: A quote is opened in this row and never closed. Close it"),
        (
            make_csv(ANA, BO).replace("Bo,", '"Bo"x,'),
            "line 3: A quote in this row is closed before the cell ends. Write",
        ),
        (
            make_csv(ANA, BO).replace("Bo,", f"{'B' * 140_000},"),
            "line 3: A cell that begins in this row is longer than",
        ),
        (
            make_csv(ANA, BO) + make_csv(BO, delimiter=";").splitlines()[1],
            "line 4: This row is separated by semicolons, the",
        ),
        (
            make_csv(ANA, BO, delimiter=";") + make_csv(BO).splitlines()[1],
            "by commas, the header by semicolons. Use one",
        ),
        (
            make_csv(ANA, BO) + make_csv(BO, delimiter="\t").splitlines()[1],
            "line 4: This row is separated by tabs, the header",
        ),
        (
            make_csv(ANA, BO).replace(",", "|"),
            "line 1: `email|name|manager|time_zone|country` is not a header: there is no separator",
        ),
        (b"PK\x03\x04\x14\x00\x06", "people.csv:line 1: This is a workbook, not a CSV file. Save it as UTF-8"),
        (make_csv(ANA, BO).replace("Bo", "B\0o"), "people.csv:line 3: There is a zero byte"),
        (
            make_csv(ANA, BO).replace("Bo,", "Bo, jr,"),
            "line 3: There are 6 cells under a header of 5. Put quotes around",
        ),
    ],
)
def test_an_unreadable_file_is_reported_with_the_reason(tmp_path: Path, content: bytes | str, message: str) -> None:
    assert message in find_only_problem(tmp_path, content)


def test_lines_inside_quoted_cells_count_as_lines(tmp_path: Path) -> None:
    ana = ANA | {"note": "one\ntwo\nthree"}
    assert "people.csv:line 5, minutes" in find_only_problem(tmp_path, make_csv(ana, BO | {"minutes": "5"}))


def test_a_missing_file_and_a_folder_are_reported(tmp_path: Path) -> None:
    for path in (tmp_path / "none.csv", tmp_path):
        with pytest.raises(Problems, match="The people file can't be read"):
            load_people_file(path, RULES)


def test_the_same_fault_in_many_rows_is_reported_once_with_a_count(tmp_path: Path) -> None:
    rows = [BO | {"email": f"p{n}@x.org", "time_zone": f"Nowhere/{n}", "country": ""} for n in range(1000)]
    zones, countries = list_problems(tmp_path, make_csv(ANA, *rows))
    assert str(zones) == (
        "people.csv: 1,000 rows, first in line 3, time_zone: `Nowhere/0` is not a time zone. Also in lines "
        "4 (`Nowhere/1`), 5 (`Nowhere/2`), 6 (`Nowhere/3`), 7 (`Nowhere/4`), 8 (`Nowhere/5`) and 994 more. "
        "Write an IANA name such as `Europe/Berlin`."
    )
    assert str(countries) == (
        "people.csv: 1,000 rows, first in line 3, country: The country is missing. Also in lines 4, 5, 6, 7, 8 and 994 "
        "more. Fill this cell."
    )


def test_ten_faults_are_reported_one_by_one(tmp_path: Path) -> None:
    rows = [BO | {"email": f"p{n}@x.org", "minutes": str(n)} for n in range(10)]
    assert len(list_problems(tmp_path, make_csv(ANA, *rows))) == 10


def test_a_file_of_fifty_thousand_people_is_read(tmp_path: Path) -> None:
    rows = [BO | {"email": f"p{n}@x.org", "manager": f"p{n // 8}@x.org", "minutes": "60"} for n in range(1, 50_000)]
    roster = read_people(tmp_path, make_csv(ANA | {"email": "p0@x.org"}, *rows))
    assert (len(roster.persons), len(roster.pairs)) == (50_000, 49_999)


RANDOM_BYTES = st.binary(max_size=300) | st.text(max_size=200).map(str.encode)
USUAL_CELLS = st.sampled_from(
    ["", "ana@x.org", "bo@x.org", "Europe/Berlin", "DE", "Tue 10:00", "60", '"', "\n", "yes", "é"]
)
CELLS = USUAL_CELLS | st.text(max_size=12)
SHEETS = st.lists(st.lists(CELLS, min_size=3, max_size=21).map(",".join), max_size=6).map("\n".join)


@settings(max_examples=200, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(RANDOM_BYTES | SHEETS.map(lambda body: f"{','.join(COLUMNS)}\n{body}".encode("utf-8", "surrogatepass")))
def test_any_content_gives_a_whole_roster_or_problems(tmp_path: Path, content: bytes) -> None:
    try:
        roster = read_people(tmp_path, content)
    except Problems as error:
        assert all(str(problem).startswith("people.csv") for problem in error.problems)
    else:
        assert roster.persons
        assert all(pair.manager in roster.persons for pair in roster.pairs.values())
