"""The people file as a source: columns, encodings, statuses and managers that it reads; the contract of sources."""

import csv
from collections.abc import Mapping
from datetime import date
from pathlib import Path

import pytest

from tests.support.roster_contract import NOW, RosterContract
from worker.domain.model import PairId
from worker.errors import Problems
from worker.roster.csv_source import CsvSource, PeopleFileFormat
from worker.roster.model import Roster, RosterRules
from worker.roster.people_file import load_people_file

RULES = RosterRules(today=date(2027, 1, 15), calendars=["caldav"], mailers=["smtp"])


class EditedFile:
    """A people file, and the edits of its administrator."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._rows: dict[str, dict[str, str]] = {}
        self._write()

    def _write(self) -> None:
        columns = (
            "ID",
            "Work Email",
            "Name",
            "Reporting to",
            "Department",
            "Status",
            "Aliases",
            "Time Zone",
            "Country",
        )
        with self.path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, columns)
            writer.writeheader()
            writer.writerows(self._rows.values())

    def add(self, address: str, name: str, manager: str = "", group: str = "") -> None:
        number = str(len(self._rows) + 1)
        row = {"ID": number, "Work Email": address, "Name": name, "Reporting to": manager, "Department": group}
        self._rows[address] = row
        self._write()

    def add_manager(self, address: str, manager: str) -> None:
        self._rows[address]["Reporting to"] += f"; {manager}"
        self._write()

    def rename(self, address: str, new_address: str) -> None:
        row = self._rows.pop(address)
        self._rows[new_address] = {**row, "Work Email": new_address, "Aliases": address}
        self._write()

    def disable(self, address: str) -> None:
        self._rows[address]["Status"] = "Terminated"
        self._write()

    def delete(self, address: str) -> None:
        del self._rows[address]
        self._write()

    def break_off(self) -> None:
        """Cut the file off within a row, as when its export was stopped."""
        text = self.path.read_text(encoding="utf-8").rstrip()
        self.path.write_text(f'{text}\n"Cy', encoding="utf-8")


class TestPeopleFile(RosterContract):
    has_several_managers = True
    people_count = 30  # a file has no pages

    @pytest.fixture
    def directory(self, tmp_path: Path) -> EditedFile:
        return EditedFile(tmp_path / "people.csv")

    @pytest.fixture
    def source(self, directory: EditedFile) -> CsvSource:
        return CsvSource(directory.path, PeopleFileFormat(mapping={}))


def load_roster(
    folder: Path, text: str, mapping: Mapping[str, str] | None = None, rules: RosterRules = RULES
) -> Roster:
    (folder / "people.csv").write_text(text, encoding="utf-8")
    return load_people_file(folder / "people.csv", rules, mapping)


@pytest.mark.parametrize(
    ("header", "ann", "bo"),
    [
        (  # Workday
            "Employee ID,Worker,Email - Primary Work,Manager ID,Work Time Zone,Country,Supervisory Organization",
            "21001,Ann Doe,ann@x.org,,W. Europe Standard Time,Germany,Design",
            "21002,Bo Roe [C],bo@x.org,21001,W. Europe Standard Time,DEU,Design",
        ),
        (  # BambooHR
            "Employee #,First Name,Last Name,Work Email,Reporting to,Time Zone,Country,Department,Status,Hire Date",
            "1,Ann,Doe,ann@x.org,,Europe/Berlin,Germany,Design,Active,01/09/2020",
            "2,Bo,Roe,bo@x.org,Ann Doe,Europe/Berlin,Germany,Design,Active,02/09/2020",
        ),
        (  # Personio, in German
            "Personalnummer;Vorname;Nachname;E-Mail;Vorgesetzte(r);Zeitzone;Land;Abteilung;Status",
            "1;Ann;Doe;ann@x.org;;Europe/Berlin;Deutschland;Design;aktiv",
            "2;Bo;Roe;bo@x.org;Doe, Ann;Europe/Berlin;Deutschland;Design;Elternzeit",
        ),
        (  # HiBob
            "Display name\tEmail\tReports to email\tTimezone\tSite\tDepartment",
            'Ann Doe\tann@x.org\t\tEurope/Berlin\t"Berlin, Germany"\tDesign',
            'Bo Roe\tbo@x.org\tANN@x.org\tEurope/Berlin\t"Berlin, Germany"\tDesign',
        ),
        (  # SuccessFactors
            "STATUS,User ID,First Name,Last Name,EMAIL,Manager User Sys ID,Timezone,Country/Region,DIVISION",
            "active,ADOE,Ann,Doe,ann@x.org,,Europe/Berlin,DEU,Design",
            "active,BROE,Bo,Roe,bo@x.org,adoe,Europe/Berlin,DEU,Design",
        ),
        (  # by hand
            "Full name,Mail,Supervisor,Zeitzone,Land,Team",
            "Ann Doe,ann@x.org,,Berlin,DE,Design",
            "Bo Roe,bo@x.org,Ann Doe <ann@x.org>,(UTC+01:00) Berlin,DE,Design",
        ),
    ],
    ids=["workday", "bamboohr", "personio", "hibob", "successfactors", "by hand"],
)
def test_the_columns_of_usual_exports_are_recognized(tmp_path: Path, header: str, ann: str, bo: str) -> None:
    roster = load_roster(tmp_path, f"{header}\n{ann}\n{bo}\n")
    assert list(roster.pairs) == [PairId("ann@x.org", "bo@x.org")]
    assert {(person.name, person.zone, person.country, person.group) for person in roster.persons.values()} == {
        ("Ann Doe", "Europe/Berlin", "DE", "Design"),
        ("Bo Roe", "Europe/Berlin", "DE", "Design"),
    }


OUR_HEADER = "email,name,manager,time_zone,country"
ANN_ROW = "ann@x.org,Ann,,Europe/Berlin,DE"


def test_a_file_with_our_column_names_is_read_by_these_names_alone(tmp_path: Path) -> None:
    """A column that the file has had for another purpose, such as `Status`, does not get a meaning."""
    header = f"{OUR_HEADER},Department,Status,Start Date,Employee ID,Language"
    roster = load_roster(tmp_path, f"{header}\n{ANN_ROW},Design,sabbatical,1/2/2020,7,Klingon\n")
    assert (roster.persons["ann@x.org"].group, roster.persons["ann@x.org"].locale, roster.aliases) == ("", "en", ())


def test_the_settings_assign_a_column_that_is_not_recognized(tmp_path: Path) -> None:
    text = f"{OUR_HEADER},Cost Center\n{ANN_ROW},Design\n"
    assert load_roster(tmp_path, text, {"group": "cost center"}).persons["ann@x.org"].group == "Design"


def test_a_missing_column_named_in_the_settings_is_reported(tmp_path: Path) -> None:
    with pytest.raises(Problems, match=r"line 1, group: There is no column `Cost Center`, which `roster\.columns`"):
        load_roster(tmp_path, f"{OUR_HEADER}\n{ANN_ROW}\n", {"group": "Cost Center"})


def test_problems_name_a_column_as_the_file_does(tmp_path: Path) -> None:
    with pytest.raises(Problems, match="line 2, Time Zone: `Nowhere` is not a time zone"):
        load_roster(tmp_path, "Work Email,Name,Manager,Time Zone,Country\nann@x.org,Ann,,Nowhere,DE\n")


def test_former_workers_are_left_out(tmp_path: Path) -> None:
    """A person who came back has two rows, of which the active one counts."""
    header = "Work Email,Name,Manager,Time Zone,Country,Status"
    text = f"{header}\nann@x.org,Ann,,,,Terminated\nann@x.org,Ann,,Europe/Berlin,DE,Active\nbo@x.org,Bo,,,,Former\n"
    assert list(load_roster(tmp_path, text).persons) == ["ann@x.org"]


def test_a_former_manager_is_reported_as_not_active(tmp_path: Path) -> None:
    text = "Work Email,Name,Manager,Time Zone,Country,Status\nann@x.org,Ann,,,,Terminated\n"
    with pytest.raises(Problems, match=r"line 3, Manager: `ann@x\.org` is not active any more\."):
        load_roster(tmp_path, f"{text}bo@x.org,Bo,ann@x.org,Europe/Berlin,DE,Active\n")


def test_an_unknown_status_is_reported(tmp_path: Path) -> None:
    text = "Work Email,Name,Manager,Time Zone,Country,Status\nann@x.org,Ann,,Europe/Berlin,DE,Sabbatical?\n"
    with pytest.raises(Problems, match="line 2, Status: `Sabbatical\\?` says neither that somebody works here nor"):
        load_roster(tmp_path, text)


def test_a_name_of_several_people_does_not_identify_a_manager(tmp_path: Path) -> None:
    rows = "a@x.org,Ann,,Europe/Berlin,DE\nb@x.org,ANN,,Europe/Berlin,DE\nc@x.org,Cy,Ann,Europe/Berlin,DE\n"
    with pytest.raises(Problems, match="line 4, manager: `Ann` is the name of 2 people: line 2 and line 3"):
        load_roster(tmp_path, f"{OUR_HEADER}\n{rows}")


def test_two_managers_are_reported_unless_they_are_one_person(tmp_path: Path) -> None:
    header = f"{OUR_HEADER},aliases"
    rows = "a@x.org,Ann,,Europe/Berlin,DE,ann@x.org\nb@x.org,Bo,a@x.org ann@x.org,Europe/Berlin,DE,\n"
    assert list(load_roster(tmp_path, f"{header}\n{rows}").pairs) == [PairId("a@x.org", "b@x.org")]
    rows += "c@x.org,Cy,b@x.org; a@x.org,Europe/Berlin,DE,\n"
    with pytest.raises(Problems, match=r"line 4, manager: This person has 2 managers: `b@x\.org` and `a@x\.org`\."):
        load_roster(tmp_path, f"{header}\n{rows}")


def test_a_dash_or_n_a_counts_as_an_empty_cell(tmp_path: Path) -> None:
    """But `NA` in the column of the country is the code of Namibia."""
    text = "Work Email,Name,Manager,Time Zone,Country,Department,Status\n"
    roster = load_roster(
        tmp_path, f"{text}ann@x.org,Ann,-,Europe/Berlin,DE,N/A,–\nbo@x.org,Bo,ann@x.org,Africa/Windhoek,NA,,\n"
    )
    assert (roster.persons["ann@x.org"].group, roster.persons["bo@x.org"].country) == ("", "NA")
    assert list(roster.pairs) == [PairId("ann@x.org", "bo@x.org")]


def test_the_hire_date_is_a_start_only_with_starts_with_hire(tmp_path: Path) -> None:
    text = "Work Email,Name,Manager,Time Zone,Country,Hire Date\nann@x.org,Ann,,Europe/Berlin,DE,\n"
    text += "bo@x.org,Bo,ann@x.org,Europe/Berlin,DE,2027-02-01\n"
    pair = PairId("ann@x.org", "bo@x.org")
    assert load_roster(tmp_path, text).pairs[pair].start is None
    rules = RosterRules(today=RULES.today, calendars=["caldav"], mailers=["smtp"], starts_with_hire=True)
    assert load_roster(tmp_path, text, rules=rules).pairs[pair].start == date(2027, 2, 1)


def test_defaults_of_the_settings_replace_missing_columns(tmp_path: Path) -> None:
    rules = RosterRules(
        today=RULES.today,
        calendars=["caldav"],
        mailers=["smtp"],
        default_zone="Europe/Berlin",
        default_country="DE",
    )
    person = load_roster(tmp_path, "email,name,manager\nann@x.org,Ann,\n", rules=rules).persons["ann@x.org"]
    assert (person.zone, person.country) == ("Europe/Berlin", "DE")


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "cp1252"])
@pytest.mark.parametrize("line_end", ["\n", "\r\n", "\r"])
def test_usual_encodings_and_line_ends_are_read(tmp_path: Path, encoding: str, line_end: str) -> None:
    text = f"{OUR_HEADER}\n{ANN_ROW.replace('Ann', 'Änne – Groß')}\n".replace("\n", line_end)
    (tmp_path / "people.csv").write_bytes(text.encode(encoding))
    roster = load_people_file(tmp_path / "people.csv", RULES)
    assert roster.persons["ann@x.org"].name == "Änne – Groß"


def test_code_page_1250_is_not_read_as_windows_1252(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(f"{OUR_HEADER}\n{ANN_ROW.replace('Ann', 'Paweł')}\n".encode("cp1250"))
    with pytest.raises(Problems, match="line 2: The byte 0xB3 is not UTF-8"):
        load_people_file(tmp_path / "people.csv", RULES)


def test_check_warns_of_a_guessed_encoding(tmp_path: Path) -> None:
    (tmp_path / "people.csv").write_bytes(f"{OUR_HEADER}\n{ANN_ROW.replace('Ann', 'Groß')}\n".encode("cp1252"))
    (finding,) = CsvSource(tmp_path / "people.csv", PeopleFileFormat(mapping={})).check().findings
    assert finding.ok and "Groß" in finding.statement and "UTF-8" in finding.remedy


def test_a_number_written_as_a_formula_keeps_its_leading_zeros(tmp_path: Path) -> None:
    text = f'Employee ID,Work Email,Name,Manager ID,Time Zone,Country\n"=""007""",{ANN_ROW}\n'
    assert [alias.alias for alias in load_roster(tmp_path, text).aliases] == ["007"]


def test_records_hold_the_text_of_the_file_unchanged(tmp_path: Path) -> None:
    path = tmp_path / "people.csv"
    path.write_text("Work Email,Name,Manager ID,Time Zone,Country,every\nAnn@x.org,Ann,7,Mars,Y,often\n")
    (record,) = CsvSource(path, PeopleFileFormat(mapping={})).read(NOW)
    assert (record.where, record.addresses, record.time_zone, record.country) == ("line 2", ("Ann@x.org",), "Mars", "Y")
    assert (record.managers[0].text, dict(record.wishes)) == ("7", {"every": "often"})
