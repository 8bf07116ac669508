"""Google Directory as a source: what it promises, the traps of the Directory API, and what `check` finds."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google
from tests.support.roster_contract import NOW, RosterContract, find
from worker.errors import Forbidden, InvalidResponse, LongarcError, NotFound, Problems, RateLimited, Unavailable
from worker.providers.google.auth import DIRECTORY_READ_SCOPE
from worker.roster.base import ReferenceKind, RosterRecord, load_source_factory
from worker.roster.google import GoogleDirectory

ADMIN = "it@corp.example"


class GoogleAdministrator:
    """What administrators do in the admin console. The one whom Longarc acts as is in another domain than people."""

    def __init__(self, double: Google) -> None:
        self._double = double
        self._users = double.users

    def add(self, address: str, name: str, manager: str = "", group: str = "") -> None:
        organizations = [{"department": group, "primary": True}] if group else []
        self._users.add(address, name, manager, organizations=organizations)

    def add_manager(self, address: str, manager: str) -> None:
        user = self._find(address)
        relations = [*user.get("relations", ()), {"value": manager, "type": "manager"}]
        self._users.change(user["id"], relations=relations)

    def rename(self, address: str, new_address: str) -> None:
        user = self._find(address)
        self._users.change(user["id"], primaryEmail=new_address, aliases=[*user.get("aliases", ()), address])

    def disable(self, address: str) -> None:
        self._users.change(self._find(address)["id"], suspended=True, suspensionReason="ADMIN")

    def delete(self, address: str) -> None:
        self._users.delete(self._find(address)["id"])

    def break_off(self) -> None:
        has_pages = len(self._users.by_id) > self._users.max_page_size
        self._double.faults.add("directory.users.list", "backendError", passing=int(has_pages), times=99)

    def _find(self, address: str) -> dict[str, Any]:
        return next(user for user in self._users.by_id.values() if user["primaryEmail"] == address)


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as running:
        running.tokens.granted_scopes = {DIRECTORY_READ_SCOPE}
        running.users.add(ADMIN, isGuestUser=True)  # so that it is not among the people
        running.users.admins.add(ADMIN)
        running.users.max_page_size = 100
        yield running
    assert running.crashes == []


@pytest.fixture
def section(double: Google, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(double.tokens.service_account()))
    return {**double.directory_section, "service_account": str(file), "admin": ADMIN, "timeout": 2.0}


@pytest.fixture
def directory(double: Google) -> GoogleAdministrator:
    return GoogleAdministrator(double)


def build(section: dict[str, Any], **more: Any) -> GoogleDirectory:
    source = load_source_factory("google")({**section, **more})
    assert isinstance(source, GoogleDirectory)
    return source


@pytest.fixture
def source(section: dict[str, Any]) -> GoogleDirectory:
    return build(section)


class TestGoogleDirectory(RosterContract):
    has_several_managers = True


def read_one(source: GoogleDirectory, double: Google, **told: Any) -> RosterRecord:
    """Return what is read of a user of whom that is told."""
    double.users.add("ann@x.example", "Ann Doe", **told)
    return find(source.read(NOW), "ann@x.example")


# --- what people are made of ----------------------------------------------------------------------------------------


def test_all_addresses_are_read_and_the_primary_comes_first(source: GoogleDirectory, double: Google) -> None:
    record = read_one(source, double, aliases=["A.Doe@x.example"], nonEditableAliases=["ann@x.test-google-a.com"])
    assert record.addresses == ("ann@x.example", "A.Doe@x.example", "ann@x.test-google-a.com")
    assert record.directory_id.isdigit() and record.where == f"user {record.directory_id}"


@pytest.mark.parametrize(
    ("relations", "managers"),
    [
        ([{"type": "manager", "value": "BOSS@X.example"}], ["BOSS@X.example"]),
        ([{"type": "manager", "value": " old.alias@x.example "}], ["old.alias@x.example"]),
        ([{"type": "manager", "value": "gone@elsewhere.example"}], ["gone@elsewhere.example"]),
        ([{"type": "Manager", "value": "a@x.example"}, {"type": "manager", "value": "b@x.example"}], ["a@", "b@"]),
        ([{"type": "manager", "value": "a@x.example"}, {"type": "manager", "value": "A@x.example"}], ["A@"]),
        ([{"type": "assistant", "value": "a@x.example"}, {"type": "dotted_line_manager", "value": "b@x.example"}], []),
        ([{"type": "custom", "customType": "manager", "value": "a@x.example"}], []),
        ([{"type": "manager"}, {"type": "manager", "value": "  "}], []),
        ([{"type": "manager", "value": "Ann Doe"}], ["Ann Doe"]),
    ],
)
def test_managers_are_passed_on_as_they_were_typed(
    source: GoogleDirectory, double: Google, relations: list[Any], managers: list[str]
) -> None:
    """Which of them are people of the company is for the resolver to find out, by primary addresses and aliases."""
    found = read_one(source, double, relations=relations).managers
    assert len(found) == len(managers)
    assert all(one.text.startswith(expected) for one, expected in zip(found, managers, strict=True))
    assert {one.kind for one in found} <= {ReferenceKind.ADDRESS}


@pytest.mark.parametrize(
    ("told", "is_active"), [({}, True), ({"suspended": True}, False), ({"archived": True, "suspended": False}, False)]
)
def test_suspended_and_archived_people_are_not_active(
    source: GoogleDirectory, double: Google, told: dict[str, Any], is_active: bool
) -> None:
    assert read_one(source, double, **told).is_active is is_active


@pytest.mark.parametrize(
    ("addresses", "country"),
    [
        ([{"type": "work", "countryCode": "DE", "country": "Germany"}], "DE"),
        ([{"type": "work", "country": "Germany"}], "Germany"),
        ([{"type": "home", "countryCode": "FR", "primary": True}], ""),
        ([{"type": "home", "countryCode": "FR"}, {"type": "work", "countryCode": "DE"}], "DE"),
        ([{"type": "work", "countryCode": "FR"}, {"type": "work", "countryCode": "DE"}], ""),
        ([{"type": "work", "countryCode": "FR"}, {"type": "work", "countryCode": "DE", "primary": True}], "DE"),
        ("a text that somebody's script left here", ""),
    ],
)
def test_the_country_is_that_of_the_work_address(
    source: GoogleDirectory, double: Google, addresses: Any, country: str
) -> None:
    assert read_one(source, double, addresses=addresses).country == country


@pytest.mark.parametrize(
    ("languages", "locale"),
    [
        ([{"languageCode": "de"}], "de"),
        ([{"languageCode": "en"}, {"languageCode": "pt-BR", "preference": "preferred"}], "pt-BR"),
        ([{"languageCode": "en"}, {"languageCode": "de"}], ""),
        ([{"customLanguage": "Klingon"}], ""),
    ],
)
def test_the_locale_is_the_preferred_language(
    source: GoogleDirectory, double: Google, languages: list[Any], locale: str
) -> None:
    assert read_one(source, double, languages=languages).locale == locale


@pytest.mark.parametrize(
    ("organizations", "group"),
    [
        ([{"department": "Research"}], "Research"),
        ([{"department": "Old"}, {"department": "New", "primary": True}], "New"),
        ([{"department": "One"}, {"department": "Other"}], ""),
        ([{"title": "Engineer"}], ""),
    ],
)
def test_the_group_is_the_department(
    source: GoogleDirectory, double: Google, organizations: list[Any], group: str
) -> None:
    assert read_one(source, double, organizations=organizations).group == group


def test_neither_zone_nor_hours_nor_hire_date_is_made_up(source: GoogleDirectory, double: Google) -> None:
    work_address = [{"type": "work", "countryCode": "DE"}]
    record = read_one(source, double, addresses=work_address, creationTime="2020-01-01T00:00:00.000Z")
    assert (record.time_zone, record.working_hours, record.hire_date) == ("", "", "")


def test_guests_are_left_out(source: GoogleDirectory, double: Google, directory: GoogleAdministrator) -> None:
    directory.add("ann@x.example", "Ann Doe")
    double.users.add("visitor@partner.example", isGuestUser=True)
    assert [record.addresses[0] for record in source.read(NOW)] == ["ann@x.example"]


# --- which people ---------------------------------------------------------------------------------------------------


def test_people_are_those_of_the_domain_or_the_query(
    section: dict[str, Any], double: Google, directory: GoogleAdministrator
) -> None:
    for address, unit in (("a@x.example", "/Staff/Berlin"), ("b@x.example", "/Machines"), ("c@y.example", "/Staff")):
        double.users.add(address, orgUnitPath=unit)

    def read(**more: Any) -> list[str]:
        return [record.addresses[0][0] for record in build(section, **more).read(NOW)]

    assert read() == ["a", "b", "c"]
    assert read(domain="x.example") == ["a", "b"]
    assert read(query="orgUnitPath='/Staff'") == ["a", "c"]
    assert read(domain="x.example", query="orgUnitPath='/Staff'") == ["a"]


# --- a reading that comes to no end ---------------------------------------------------------------------------------


def add_many(directory: GoogleAdministrator) -> None:
    for number in range(250):
        directory.add(f"p{number:03}@x.example", "Person")


def test_an_answer_that_got_lost_is_asked_for_again(
    source: GoogleDirectory, double: Google, directory: GoogleAdministrator
) -> None:
    add_many(directory)
    for how in ("backendError", "reset"):
        double.faults.add("directory.users.list", how, passing=1)
    assert len(source.read(NOW)) == 250


@pytest.mark.parametrize(
    ("reason", "how", "error"),
    [
        ("rateLimitExceeded", {"status": 429, "headers": {"Retry-After": "7"}}, RateLimited),
        ("quotaExceeded", {}, RateLimited),
        ("backendError", {"times": 3}, Unavailable),
        ("cut", {"times": 3}, LongarcError),
        ("html", {}, InvalidResponse),
        ("forbidden", {"message": "Not Authorized to access this resource/api"}, Forbidden),
    ],
)
def test_a_page_that_fails_ends_the_reading(
    source: GoogleDirectory,
    double: Google,
    directory: GoogleAdministrator,
    reason: str,
    how: dict[str, Any],
    error: type[LongarcError],
) -> None:
    """Nothing of it is returned; the next reading begins anew."""
    add_many(directory)
    double.faults.add("directory.users.list", reason, passing=1, **how)
    with pytest.raises(error) as caught:
        source.read(NOW)
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after is not None
        assert caught.value.retry_after in (timedelta(seconds=7), timedelta(hours=6))
    assert ADMIN not in str(caught.value)
    double.faults.clear()
    assert len(source.read(NOW)) == 250


def test_somebody_in_two_pages_is_one_person(
    source: GoogleDirectory, double: Google, directory: GoogleAdministrator
) -> None:
    """Who is renamed between two pages moves from one to the other, as the list is in the order of addresses."""
    add_many(directory)
    first = next(iter(source.read(NOW)))
    double.users.after_page = lambda: double.users.change(first.directory_id, primaryEmail="zoe@x.example")
    ids = [record.directory_id for record in source.read(NOW)]
    assert ids.count(first.directory_id) == 1


# --- check ----------------------------------------------------------------------------------------------------------


def failures(source: GoogleDirectory) -> str:
    """What is wrong, and what to do about it."""
    findings = [finding for finding in source.check().findings if not finding.ok]
    assert findings and all(finding.remedy for finding in findings)
    return "\n".join(f"{finding.statement}: {finding.remedy}" for finding in findings)


def test_check_counts_what_it_read(source: GoogleDirectory, double: Google, directory: GoogleAdministrator) -> None:
    double.users.add("ann@x.example", "Ann Doe", addresses=[{"type": "work", "countryCode": "DE"}])
    directory.add("bo@x.example", "Bo Roe", "ann@x.example")
    directory.add("cy@x.example", "Cy Poe", "ann@x.example")
    directory.add_manager("cy@x.example", "bo@x.example")
    directory.add("di@x.example", "Di Loe")
    directory.disable("di@x.example")
    told = "\n".join(f"{finding.statement} {finding.remedy}" for finding in source.check().findings)
    assert f"Longarc may act as {ADMIN} to read users ({DIRECTORY_READ_SCOPE})" in told
    assert "lists 3 people: 2 with a manager, 1 without; 1 more can't sign in" in told
    assert "left out: guests (1)" in told and "several managers of 1 person:" in told
    assert "has a country of 1, a department of 0, a language of 0, a time zone of 0;" in told


def test_check_says_so_when_nobody_has_a_manager(source: GoogleDirectory, directory: GoogleAdministrator) -> None:
    directory.add("ann@x.example", "Ann Doe")
    assert "Manager's email" in "".join(finding.remedy for finding in source.check().findings)


def test_check_names_the_scope_that_is_not_delegated(source: GoogleDirectory, double: Google) -> None:
    double.tokens.granted_scopes.clear()
    told = failures(source)
    assert "Manage domain wide delegation" in told and DIRECTORY_READ_SCOPE in told and "Client ID" in told


def test_check_names_the_role_that_the_admin_lacks(source: GoogleDirectory, double: Google) -> None:
    double.users.admins.clear()
    assert "Admin roles" in failures(source) and "Users > Read" in failures(source)


def test_check_names_the_api_that_is_switched_off(source: GoogleDirectory, double: Google) -> None:
    double.faults.add("directory.users.list", "accessNotConfigured", message="Admin SDK API has not been used")
    assert "apis/library/admin.googleapis.com" in failures(source)


def test_check_names_the_admin_who_is_gone(source: GoogleDirectory, double: Google) -> None:
    [admin] = [user for user in double.users.by_id.values() if user["primaryEmail"] == ADMIN]
    double.users.change(admin["id"], suspended=True)
    assert "suspended, deleted, or not in the domain" in failures(source)


@pytest.mark.parametrize(
    ("more", "named"),
    [({"query": "shoeSize=3"}, "query"), ({"domain": "nowhere.example"}, "domain"), ({"query": "name=Nobody"}, "read")],
)
def test_check_names_the_setting_that_selects_nobody(section: dict[str, Any], more: dict[str, str], named: str) -> None:
    assert named in failures(build(section, **more))


def test_settings_that_are_missing_are_named(section: dict[str, Any]) -> None:
    with pytest.raises(Problems) as caught:
        build({**section, "admin": "", "service_account": ""})
    assert [problem.where for problem in caught.value.problems] == [
        "settings: roster.google.service_account",
        "settings: roster.google.admin",
    ]


def test_a_domain_that_is_not_ours_is_told_with_a_remedy(section: dict[str, Any]) -> None:
    with pytest.raises(NotFound, match=r"\[roster.google\]"):
        build(section, domain="nowhere.example").read(NOW)
