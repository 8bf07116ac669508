"""People from Google Directory and Microsoft Entra, from the settings to the database: pairs, time zones, alerts, and
the findings of `longarc check`."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.doubles.google import Google
from tests.doubles.graph import Double, make_section, set_rights
from tests.support.companies import KEY, START
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.ops.checks import run_checks
from worker.providers.google.auth import DIRECTORY_READ_SCOPE, EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.settings.load import load_settings

ADMIN = "it@corp.example"
DANA, SAM, KIM, LEE, ANA = (f"{name}@corp.example" for name in ("dana", "sam", "kim", "lee", "ana"))
COMMON = """
database = "sqlite:///{folder}/longarc.db"
operator = "ops@corp.example"
[roster]
source = "{source}"
country = "DE"
"""


class Company:
    """A worker with the settings of a file, and what tests read of its database."""

    def __init__(self, folder: Path, text: str, **env: str) -> None:
        self._file = folder / "longarc.toml"
        self._file.write_text(text, encoding="utf-8")
        self._env = {"LONGARC_KEY": KEY, **env}
        self._worker: Worker = build(load_settings(self._file, self._env), SteppedClock(START))
        self._worker.store.create_tables()

    def close(self) -> None:
        self._worker.close()

    def import_people(self) -> None:
        assert self._worker.import_people()

    def list_pairs(self) -> list[str]:
        return sorted(str(pair.id) for pair in self._worker.store.people.load_all_pairs().values())

    def list_zones(self) -> dict[str, str]:
        return {email: person.zone for email, person in self._worker.store.people.load_current_people().items()}

    def read_alerts(self) -> str:
        return "\n".join(text for _, text in self._worker.store.outbox.list_alerts(START))

    def read_findings(self) -> str:
        """Return a line for each finding of `longarc check`: whether it is true, the statement and the remedy."""
        findings = run_checks(self._file, self._env, START)
        return "\n".join(f"{finding.ok} {finding.statement} {finding.remedy}" for finding in findings)


# --- Google ---------------------------------------------------------------------------------------------------------


@pytest.fixture
def google() -> Iterator[Google]:
    with Google() as double:
        double.tokens.granted_scopes = {DIRECTORY_READ_SCOPE, EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE}
        double.users.add(ADMIN, "It Service", orgUnitPath="/Machines")
        double.users.admins.add(ADMIN)
        yield double
    assert double.crashes == []


@pytest.fixture
def on_google(google: Google, tmp_path: Path) -> Iterator[Company]:
    (tmp_path / "key.json").write_text(json.dumps(google.tokens.add_service_account()))
    text = COMMON.format(folder=tmp_path, source="google")
    text += f'[roster.google]\nadmin = "{ADMIN}"\nquery = "orgUnitPath=\'/Staff\'"\nendpoint = "{google.url}/"\n'
    text += f'[calendars.google]\nservice_account = "key.json"\nendpoint = "{google.url}/calendar/v3/"\n'
    text += f'token_endpoint = "{google.url}/token"\n'
    company = Company(tmp_path, text)
    yield company
    company.close()


def hire(google: Google, email: str, manager: str = "", zone: str = "Europe/Berlin", **fields: object) -> None:
    """Add a user in the unit whose people take part, with a calendar."""
    google.users.add(email, email[:3].title() + " Doe", manager, orgUnitPath="/Staff/Berlin", **fields)
    google.calendars.add_person(email, zone)


def test_google_managers_are_found_by_primary_address_or_alias_in_any_case(google: Google, on_google: Company) -> None:
    hire(google, DANA, aliases=["Dana.Doe@corp.example"], zone="Asia/Tokyo")
    hire(google, SAM, "DANA@Corp.Example")
    hire(google, KIM, " dana.doe@corp.example")
    on_google.import_people()
    assert on_google.list_pairs() == [f"{DANA}>{KIM}", f"{DANA}>{SAM}"]
    assert on_google.list_zones() == {DANA: "Asia/Tokyo", SAM: "Europe/Berlin", KIM: "Europe/Berlin"}


def test_unknown_or_several_google_managers_are_reported_and_make_no_pair(google: Google, on_google: Company) -> None:
    hire(google, DANA)
    hire(google, SAM, "dana@old.example")
    hire(google, KIM, "Dan Doe")
    two_managers = [{"type": "manager", "value": DANA}, {"type": "manager", "value": SAM}]
    hire(google, LEE, relations=two_managers)
    hire(google, ANA, ANA)
    on_google.import_people()
    assert on_google.list_pairs() == []
    alerts = on_google.read_alerts()
    assert f"({SAM})" in alerts and "`dana@old.example` is not in Google Directory" in alerts
    assert f"({KIM})" in alerts and "Dan Doe" in alerts
    assert "2 managers" in alerts and "their own manager" in alerts


def test_a_suspended_google_manager_is_reported_and_makes_no_pair(google: Google, on_google: Company) -> None:
    hire(google, DANA, suspended=True)
    hire(google, KIM)
    hire(google, SAM, DANA)
    on_google.import_people()
    assert on_google.list_pairs() == [] and f"`{DANA}`" in on_google.read_alerts()
    assert DANA not in on_google.list_zones()


def test_check_counts_google_s_people_and_lists_faults(google: Google, on_google: Company) -> None:
    hire(google, DANA)
    hire(google, SAM, DANA)
    hire(google, KIM, "nobody@corp.example")
    findings = on_google.read_findings()
    methods = [request.method for request in google.requests]
    assert methods.count("directory.users.list") == 1  # the check reads the directory once, since that may take long
    assert "True Google Directory lists 3 people: 2 with a manager, 1 without" in findings
    assert "True Google Directory names 3 people in 1 pair " in findings
    assert "`nobody@corp.example` is not in Google Directory" in findings
    google.users.admins.clear()
    assert "False Google Directory can be read" in on_google.read_findings()


# --- Entra ----------------------------------------------------------------------------------------------------------


@pytest.fixture
def entra() -> Iterator[Double]:
    with Double() as double:
        set_rights(double, "User.Read.All", "MailboxSettings.Read", "Calendars.ReadWrite")
        yield double


@pytest.fixture
def on_entra(entra: Double, tmp_path: Path) -> Iterator[Company]:
    outlook_section = make_section(entra)
    text = COMMON.format(folder=tmp_path, source="outlook") + "[calendars.outlook]\n"
    names = ("endpoint", "authority", "tenant", "client_id", "ca_file")
    text += "".join(f'{name} = "{outlook_section[name]}"\n' for name in names)
    company = Company(tmp_path, text, LONGARC_OUTLOOK_SECRET=outlook_section["password"])
    yield company
    company.close()


def employ(entra: Double, email: str, manager: str = "", zone: str = "Europe/Berlin", **fields: object) -> str:
    """Add a user whose sign-in name is another than the address, with a mailbox. Returns the id."""
    sign_in = f"u.{email}"
    user_id = entra.directory.add(sign_in, email[:3].title() + " Doe", manager, **{"mail": email.upper(), **fields})
    box = entra.world.add_person(email, zone)
    box.directory_id, box.sign_in = user_id, sign_in
    return user_id


def test_entra_managers_are_found_by_id(entra: Double, on_entra: Company) -> None:
    dana = employ(entra, DANA, zone="Asia/Tokyo")
    employ(entra, SAM, dana)
    entra.directory.add("v@partner.example", manager=dana, userType="Guest")
    on_entra.import_people()
    assert on_entra.list_pairs() == [f"{DANA}>{SAM}"]
    assert on_entra.list_zones() == {DANA: "Asia/Tokyo", SAM: "Europe/Berlin"}


def test_guests_and_contacts_as_entra_managers_are_reported(entra: Double, on_entra: Company) -> None:
    guest = entra.directory.add("v@partner.example", userType="Guest")
    employ(entra, DANA)
    employ(entra, SAM, guest)
    employ(entra, KIM, entra.directory.add_contact("boss@parent.example", "Boss"))
    employ(entra, LEE, mail=None, manager=guest, proxyAddresses=[])
    on_entra.import_people()
    assert on_entra.list_pairs() == []
    alerts = on_entra.read_alerts()
    for manager in ("v@partner.example", "boss@parent.example"):
        assert f"`{manager}` is not in Microsoft Entra" in alerts
    assert "The email is missing" in alerts


def test_check_counts_entra_s_people_and_names_a_missing_right(entra: Double, on_entra: Company) -> None:
    employ(entra, SAM, employ(entra, DANA))
    findings = on_entra.read_findings()
    assert entra.counts["GET users"] == 1  # the check reads the directory once, since that may take long
    assert "True Microsoft Entra lists 2 people: 1 with a manager, 1 without" in findings
    assert "True Microsoft Entra names 2 people in 1 pair " in findings
    set_rights(entra, "MailboxSettings.Read")
    assert "False Longarc may read users in Microsoft Entra" in on_entra.read_findings()
