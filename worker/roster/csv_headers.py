"""Recognizes the columns of a people file by the names that HR systems and people give them.

Names are compared without regard to case, blanks and punctuation. A file that has all required columns under the names
of the documentation is read by those names alone. Otherwise the names of the exports of Workday, BambooHR, Personio,
HiBob and SuccessFactors are recognized too, in English and German.
"""

import unicodedata
from collections.abc import Mapping, Sequence

from worker.settings.people_columns import COLUMNS, EXPORT_COLUMNS, REQUIRED_COLUMNS

#: Other names of each column, the most telling one first: a file that has several of them is read by the first.
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
    """Return the name of a column as it is compared: letters and digits, in small letters; `#` is a number."""
    folded = unicodedata.normalize("NFKC", text).replace("#", " number ").casefold()
    return "".join(char for char in folded if char.isalnum())


class PeopleHeaderReader:
    """Finds out what the columns of a people file mean."""

    def __init__(self, mapping: Mapping[str, str]) -> None:
        """`mapping`: our name of a column to its name in the file, from `[roster.columns]`. These go before all."""
        self._mapping = {column: fold_header(name) for column, name in mapping.items()}

    def __call__(self, header: Sequence[str]) -> Mapping[int, str]:
        """Return the name of each known column by its index, the most telling one first."""
        plain_names = [" ".join(cell.split()).casefold() for cell in header]
        folded_names = [fold_header(cell) for cell in header]
        columns = {
            index: column
            for column, wanted in self._mapping.items()
            for index, name in enumerate(folded_names)
            if name == wanted
        }
        own_names = [name for name in COLUMNS if name not in columns.values()]
        columns |= {i: name for i, name in enumerate(plain_names) if name in own_names and i not in columns}
        if set(REQUIRED_COLUMNS) <= set(columns.values()):
            return columns
        return columns | self._recognize(folded_names, columns)

    def _recognize(self, names: Sequence[str], known: Mapping[int, str]) -> dict[int, str]:
        """Return the columns under other names."""
        taken = set(known.values())
        recognized: dict[int, str] = {}
        for column in (*COLUMNS, *EXPORT_COLUMNS):
            if column in taken:
                continue
            wanted = [fold_header(column), *map(fold_header, _OTHER_NAMES.get(column, ()))]
            indexes = [names.index(name) for name in dict.fromkeys(wanted) if name in names]
            found = next((index for index in indexes if index not in known and index not in recognized), None)
            if found is not None:
                recognized[found] = column
        if "email" not in taken and "email" not in recognized.values() and "mail" in names:
            recognized[names.index("mail")] = "email"  # instead of the mail service: every file has an address
        return recognized
