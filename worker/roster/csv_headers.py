"""Recognizes the columns of a people file by the names in its header.

A file that has all required columns under their documented names is read by these names alone. Otherwise the names in
exports of Workday, BambooHR, Personio, HiBob and SuccessFactors are recognized too, in English and German. Such names
are compared without regard to case, blanks and punctuation.
"""

import unicodedata
from collections.abc import Mapping, Sequence

from worker.settings.people_columns import COLUMNS, HR_EXPORT_COLUMNS, REQUIRED_COLUMNS

#: Other names of each column. When a file has several of these names, the first in this order is used.
#: The groups `*(…)` have no meaning: without them the formatter would write each name on a line of its own.
_OTHER_NAMES: Mapping[str, Sequence[str]] = {
    "email": (
        *("Email", "Work Email", "Email Address", "Work Email Address", "Primary Email", "Primary Work Email"),
        *("Email - Primary Work", "Email - Work", "Work E-mail", "Business Email", "Business Email Address"),
        *("Business Email Information Email Address", "Company Email", "Corporate Email", "Professional Email"),
        *("Employee Email", "User Principal Name", "UPN", "Mail Address"),
        *("E-Mail-Adresse", "E-Mail (geschäftlich)", "Geschäftliche E-Mail", "Dienstliche E-Mail", "Firmen-E-Mail"),
    ),
    "name": (
        *("Display Name", "Preferred Full Name", "Full Name", "Employee Name", "Worker Name", "Employee", "Worker"),
        *("Last name, First name", "Last, First", "Preferred Name", "Legal Name", "Formatted Name", "Name, Vorname"),
        *("Nachname, Vorname", "Vollständiger Name", "Anzeigename", "Mitarbeiter", "Mitarbeitername"),
    ),
    "first_name": ("Preferred First Name", "First Name", "Given Name", "Legal First Name", "Vorname", "Rufname"),
    "last_name": (
        *("Preferred Last Name", "Last Name", "Family Name", "Surname", "Legal Last Name", "Nachname", "Familienname"),
    ),
    "manager_email": (
        *("Manager Email", "Manager's Email", "Manager Email Address", "Manager Work Email", "Reporting to Email"),
        *("Reports To Email", "Supervisor Email", "Supervisor Email Address", "Line Manager Email"),
        *("E-Mail Vorgesetzte", "E-Mail Vorgesetzter", "Vorgesetzte E-Mail", "E-Mail der Führungskraft"),
    ),
    "manager_id": (
        *("Manager ID", "Manager Employee ID", "Manager Employee Number", "Manager Number", "Manager User Sys ID"),
        *(
            "Manager User ID",
            "Reports To ID",
            "Supervisor ID",
            "Supervisor Employee ID",
            "Supervisor EID",
            "Line Manager ID",
        ),
        *("Vorgesetzter ID", "Vorgesetzte ID", "Personalnummer Vorgesetzter", "Personalnummer der Führungskraft"),
    ),
    "manager": (
        *("Reporting to", "Reports to", "Manager Name", "Manager's Name", "Direct Manager", "Line Manager"),
        *("Supervisor", "Supervisor Name", "Worker's Manager", "Manager - Level 01", "People Manager", "Boss"),
        *("Vorgesetzte", "Vorgesetzter", "Vorgesetzte(r)", "Vorgesetzte/r", "Direkter Vorgesetzter", "Führungskraft"),
        "Disziplinarische Führungskraft",
    ),
    "time_zone": ("Timezone", "Work Time Zone", "Location Time Zone", "IANA Time Zone", "TZ", "Zeitzone"),
    "country": (
        *("Country Code", "Work Country", "Country/Region", "Country of Employment", "Location Country"),
        *("Office Country", "Country Name", "Country - Work", "ISO Country Code", "Land", "Länderkennzeichen"),
    ),
    "location": (
        *("Location", "Work Location", "Office Location", "Location Name", "Office", "Site", "Standort", "Arbeitsort"),
        *("Niederlassung", "Büro"),
    ),
    "locale": ("Language", "Preferred Language", "Correspondence Language", "Sprache", "Korrespondenzsprache"),
    "group": (
        *("Department", "Department Name", "Team", "Supervisory Organization", "Organizational Unit", "Org Unit"),
        *("Business Unit", "Division", "Abteilung", "Abteilungsname", "Bereich"),
    ),
    "directory_id": (
        *("Object ID", "Employee ID", "Employee #", "Employee Number", "Employee No", "Employee No.", "EEID"),
        *("Worker ID", "Workday ID", "WID", "Person ID", "Personnel Number", "Personnel ID", "User Sys ID", "User ID"),
        *("HRIS ID", "ID", "Personalnummer", "Personal-Nr.", "Personalnr.", "Mitarbeiternummer", "Mitarbeiter-ID"),
    ),
    "status": (
        *("Employment Status", "Employee Status", "Worker Status", "Status", "Lifecycle Status", "Active Status"),
        *("Active", "Beschäftigungsstatus", "Mitarbeiterstatus", "Aktiv"),
    ),
    "hire_date": (
        *("Hire Date", "Original Hire Date", "Date of Hire", "Start Date", "Employment Start Date", "Date of Joining"),
        *("Joining Date", "Continuous Service Date", "Eintrittsdatum", "Eintritt", "Einstellungsdatum"),
    ),
    "aliases": ("Other Emails", "Other Email Addresses", "Email Aliases", "Proxy Addresses", "Weitere E-Mail-Adressen"),
}


def fold_header(text: str) -> str:
    """Return the form of a column's name that is compared: only its letters and digits, case-folded. `#` is read as
    `number`."""
    folded = unicodedata.normalize("NFKC", text).replace("#", " number ").casefold()
    return "".join(char for char in folded if char.isalnum())


class PeopleHeaderReader:
    """Assigns the columns of a people file to the columns that Longarc knows, by the file's header."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        """`mapping`: the name in the file for each of our column names, from `[roster.columns]` in the settings. These
        names take precedence over all others."""
        self._mapping = {column: fold_header(name) for column, name in mapping.items()}

    def __call__(self, header: Sequence[str]) -> Mapping[int, str]:
        """Return our name of each recognized column by its index in the header. Columns named in the settings come
        first, then those with documented names, then those with other names."""
        plain_names = [" ".join(cell.split()).casefold() for cell in header]
        folded_names = [fold_header(cell) for cell in header]
        columns = {
            index: column
            for column, mapped_name in self._mapping.items()
            for index, name in enumerate(folded_names)
            if name == mapped_name
        }
        unassigned_columns = [column for column in COLUMNS if column not in columns.values()]
        columns |= {
            index: name for index, name in enumerate(plain_names) if name in unassigned_columns and index not in columns
        }
        if set(REQUIRED_COLUMNS) <= set(columns.values()):
            return columns
        return columns | self._recognize_other_names(folded_names, columns)

    def _recognize_other_names(self, names: Sequence[str], known_columns: Mapping[int, str]) -> dict[int, str]:
        """Return further columns, recognized by other names. `names`: the folded header. `known_columns`: the columns
        that are recognized already, by index."""
        known_names = set(known_columns.values())
        recognized_columns: dict[int, str] = {}
        for column in (*COLUMNS, *HR_EXPORT_COLUMNS):
            if column in known_names:
                continue
            possible_names = [fold_header(column), *map(fold_header, _OTHER_NAMES.get(column, ()))]
            indexes = [names.index(name) for name in dict.fromkeys(possible_names) if name in names]
            free_index = next(
                (index for index in indexes if index not in known_columns and index not in recognized_columns), None
            )
            if free_index is not None:
                recognized_columns[free_index] = column
        if "email" not in known_names and "email" not in recognized_columns.values() and "mail" in names:
            # `mail` is our name of the column with the mail service. But a file without any other column for addresses
            # has the addresses in the column with this name.
            recognized_columns[names.index("mail")] = "email"
        return recognized_columns
