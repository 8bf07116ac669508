"""Google Directory as a source: the contract of sources, details of the Directory API, and the findings of `check`."""

import json
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from tests.doubles.google import Google
from tests.support.roster_contract import NOW, RosterContract, add_many_people, describe_failures, find_record
from worker.errors import Forbidden, InvalidResponse, LongarcError, NotFound, Problems, RateLimited, Unavailable
from worker.providers.google.auth import DIRECTORY_READ_SCOPE
from worker.roster.base import ReferenceKind, RosterRecord, load_source_factory
from worker.roster.google import GoogleDirectory

ADMIN = "it@corp.example"


class GoogleAdministrator:
    """Does what administrators do in the admin console."""

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
        """Let each page after the first fail, or the only one."""
        has_pages = len(self._users.by_id) > self._users.max_page_size
        self._double.faults.add("directory.users.list", "backendError", passing=int(has_pages), times=99)

    def _find(self, address: str) -> dict[str, Any]:
        return next(user for user in self._users.by_id.values() if user["primaryEmail"] == address)


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as google:
        google.tokens.granted_scopes = {DIRECTORY_READ_SCOPE}
        google.users.add(ADMIN, isGuestUser=True)  # a guest, so that the source leaves the account out
        google.users.admins.add(ADMIN)
        google.users.max_page_size = 100
        yield google
    assert google.crashes == []


@pytest.fixture
def section(double: Google, tmp_path: Path) -> dict[str, Any]:
    file = tmp_path / "key.json"
    file.write_text(json.dumps(double.tokens.add_service_account()))
    return {**double.directory_section, "service_account": str(file), "admin": ADMIN, "timeout": 2.0}


@pytest.fixture
def directory(double: Google) -> GoogleAdministrator:
    return GoogleAdministrator(double)


def build_source(section: dict[str, Any], **settings: Any) -> GoogleDirectory:
    source = load_source_factory("google")({**section, **settings})
    assert isinstance(source, GoogleDirectory)
    return source


@pytest.fixture
def source(section: dict[str, Any]) -> GoogleDirectory:
    return build_source(section)


class TestGoogleDirectory(RosterContract):
    has_several_managers = True


def add_and_read(source: GoogleDirectory, double: Google, **fields: Any) -> RosterRecord:
    """Add the user Ann with these fields, and return the record that the source reads."""
    double.users.add("ann@x.example", "Ann Doe", **fields)
    return find_record(source.read(NOW), "ann@x.example")


# --- the fields of a record -----------------------------------------------------------------------------------------


def test_all_addresses_are_read_with_the_primary_address_first(source: GoogleDirectory, double: Google) -> None:
    record = add_and_read(source, double, aliases=["A.Doe@x.example"], nonEditableAliases=["ann@x.test-google-a.com"])
    assert record.addresses == ("ann@x.example", "A.Doe@x.example", "ann@x.test-google-a.com")
    assert record.directory_id.isdigit() and record.where == f"user {record.directory_id}"


@pytest.mark.parametrize(
    ("relations", "text_beginnings"),
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
def test_managers_are_returned_as_they_were_typed(
    source: GoogleDirectory, double: Google, relations: list[Any], text_beginnings: list[str]
) -> None:
    """The source does not look up who they are: the resolver does, by primary addresses and aliases."""
    references = add_and_read(source, double, relations=relations).managers
    assert len(references) == len(text_beginnings)
    assert all(
        reference.text.startswith(beginning) for reference, beginning in zip(references, text_beginnings, strict=True)
    )
    assert {reference.kind for reference in references} <= {ReferenceKind.ADDRESS}


@pytest.mark.parametrize(
    ("fields", "is_active"), [({}, True), ({"suspended": True}, False), ({"archived": True, "suspended": False}, False)]
)
def test_suspended_and_archived_users_are_not_active(
    source: GoogleDirectory, double: Google, fields: dict[str, Any], is_active: bool
) -> None:
    assert add_and_read(source, double, **fields).is_active is is_active


@pytest.mark.parametrize(
    ("addresses", "country"),
    [
        ([{"type": "work", "countryCode": "DE", "country": "Germany"}], "DE"),
        ([{"type": "work", "country": "Germany"}], "Germany"),
        ([{"type": "home", "countryCode": "FR", "primary": True}], ""),
        ([{"type": "home", "countryCode": "FR"}, {"type": "work", "countryCode": "DE"}], "DE"),
        ([{"type": "work", "countryCode": "FR"}, {"type": "work", "countryCode": "DE"}], ""),
        ([{"type": "work", "countryCode": "FR"}, {"type": "work", "countryCode": "DE", "primary": True}], "DE"),
        ("text where the API documents a list", ""),
    ],
)
def test_the_country_is_read_from_the_primary_or_only_work_address(
    source: GoogleDirectory, double: Google, addresses: Any, country: str
) -> None:
    assert add_and_read(source, double, addresses=addresses).country == country


@pytest.mark.parametrize(
    ("languages", "locale"),
    [
        ([{"languageCode": "de"}], "de"),
        ([{"languageCode": "en"}, {"languageCode": "pt-BR", "preference": "preferred"}], "pt-BR"),
        ([{"languageCode": "en"}, {"languageCode": "de"}], ""),
        ([{"customLanguage": "Klingon"}], ""),
    ],
)
def test_the_locale_is_the_preferred_or_only_language(
    source: GoogleDirectory, double: Google, languages: list[Any], locale: str
) -> None:
    assert add_and_read(source, double, languages=languages).locale == locale


@pytest.mark.parametrize(
    ("organizations", "group"),
    [
        ([{"department": "Research"}], "Research"),
        ([{"department": "Old"}, {"department": "New", "primary": True}], "New"),
        ([{"department": "One"}, {"department": "Other"}], ""),
        ([{"title": "Engineer"}], ""),
    ],
)
def test_the_group_is_the_primary_or_only_department(
    source: GoogleDirectory, double: Google, organizations: list[Any], group: str
) -> None:
    assert add_and_read(source, double, organizations=organizations).group == group


def test_time_zone_working_hours_and_hire_date_stay_empty(source: GoogleDirectory, double: Google) -> None:
    work_address = [{"type": "work", "countryCode": "DE"}]
    record = add_and_read(source, double, addresses=work_address, creationTime="2020-01-01T00:00:00.000Z")
    assert (record.time_zone, record.working_hours, record.hire_date) == ("", "", "")


def test_guests_are_left_out(source: GoogleDirectory, double: Google, directory: GoogleAdministrator) -> None:
    directory.add("ann@x.example", "Ann Doe")
    double.users.add("visitor@partner.example", isGuestUser=True)
    assert [record.addresses[0] for record in source.read(NOW)] == ["ann@x.example"]


# --- selection of people --------------------------------------------------------------------------------------------


def test_the_settings_domain_and_query_select_people(
    section: dict[str, Any], double: Google, directory: GoogleAdministrator
) -> None:
    for address, unit in (("a@x.example", "/Staff/Berlin"), ("b@x.example", "/Machines"), ("c@y.example", "/Staff")):
        double.users.add(address, orgUnitPath=unit)

    def read_initials(**settings: Any) -> list[str]:
        return [record.addresses[0][0] for record in build_source(section, **settings).read(NOW)]

    assert read_initials() == ["a", "b", "c"]
    assert read_initials(domain="x.example") == ["a", "b"]
    assert read_initials(query="orgUnitPath='/Staff'") == ["a", "c"]
    assert read_initials(domain="x.example", query="orgUnitPath='/Staff'") == ["a"]


# --- a reading that fails -------------------------------------------------------------------------------------------


def test_a_lost_page_is_requested_again(
    source: GoogleDirectory, double: Google, directory: GoogleAdministrator
) -> None:
    add_many_people(directory)
    for fault in ("backendError", "reset"):
        double.faults.add("directory.users.list", fault, passing=1)
    assert len(source.read(NOW)) == 250


@pytest.mark.parametrize(
    ("reason", "options", "error"),
    [
        ("rateLimitExceeded", {"status": 429, "headers": {"Retry-After": "7"}}, RateLimited),
        ("quotaExceeded", {}, RateLimited),
        ("backendError", {"times": 3}, Unavailable),
        ("cut", {"times": 3}, LongarcError),
        ("html", {}, InvalidResponse),
        ("forbidden", {"message": "Not Authorized to access this resource/api"}, Forbidden),
    ],
)
def test_a_failed_page_ends_the_reading_without_a_result(
    source: GoogleDirectory,
    double: Google,
    directory: GoogleAdministrator,
    reason: str,
    options: dict[str, Any],
    error: type[LongarcError],
) -> None:
    """No part of the list is returned, and the next reading begins with the first page."""
    add_many_people(directory)
    double.faults.add("directory.users.list", reason, passing=1, **options)
    with pytest.raises(error) as error_info:
        source.read(NOW)
    if isinstance(error_info.value, RateLimited):
        assert error_info.value.retry_after is not None
        # as the header says, or until a quota of the day may be new
        assert error_info.value.retry_after in (timedelta(seconds=7), timedelta(hours=6))
    assert ADMIN not in str(error_info.value)
    double.faults.clear()
    assert len(source.read(NOW)) == 250


def test_a_person_listed_on_two_pages_is_returned_once(
    source: GoogleDirectory, double: Google, directory: GoogleAdministrator
) -> None:
    """The list is in order of addresses: a person with a new address may move from a page that was read to the next."""
    add_many_people(directory)
    person = next(iter(source.read(NOW)))
    double.users.after_page = lambda: double.users.change(person.directory_id, primaryEmail="zoe@x.example")
    ids = [record.directory_id for record in source.read(NOW)]
    assert ids.count(person.directory_id) == 1


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_counts_people_managers_and_filled_fields(
    source: GoogleDirectory, double: Google, directory: GoogleAdministrator
) -> None:
    double.users.add("ann@x.example", "Ann Doe", addresses=[{"type": "work", "countryCode": "DE"}])
    directory.add("bo@x.example", "Bo Roe", "ann@x.example")
    directory.add("cy@x.example", "Cy Poe", "ann@x.example")
    directory.add_manager("cy@x.example", "bo@x.example")
    directory.add("di@x.example", "Di Loe")
    directory.disable("di@x.example")
    findings = "\n".join(f"{finding.statement} {finding.remedy}" for finding in source.check().findings)
    assert f"Longarc may act as {ADMIN} to read users ({DIRECTORY_READ_SCOPE})" in findings
    assert "lists 3 people: 2 with a manager, 1 without; 1 more can't sign in" in findings
    assert "left out: guests (1)" in findings and "several managers of 1 person:" in findings
    assert (
        "has a country for 1 person, a department for nobody, a language for nobody, a time zone for nobody;"
        in findings
    )


def test_check_explains_how_to_set_managers_when_nobody_has_one(
    source: GoogleDirectory, directory: GoogleAdministrator
) -> None:
    directory.add("ann@x.example", "Ann Doe")
    assert "Manager's email" in "".join(finding.remedy for finding in source.check().findings)


def test_check_names_the_scope_that_is_not_delegated(source: GoogleDirectory, double: Google) -> None:
    double.tokens.granted_scopes.clear()
    failures = describe_failures(source)
    assert "Manage domain wide delegation" in failures and DIRECTORY_READ_SCOPE in failures and "Client ID" in failures


def test_check_names_the_role_that_the_admin_lacks(source: GoogleDirectory, double: Google) -> None:
    double.users.admins.clear()
    failures = describe_failures(source)
    assert "Admin roles" in failures and "Users > Read" in failures


def test_check_names_the_api_that_is_switched_off(source: GoogleDirectory, double: Google) -> None:
    double.faults.add("directory.users.list", "accessNotConfigured", message="Admin SDK API has not been used")
    assert "apis/library/admin.googleapis.com" in describe_failures(source)


def test_check_reports_a_suspended_admin(source: GoogleDirectory, double: Google) -> None:
    [admin] = [user for user in double.users.by_id.values() if user["primaryEmail"] == ADMIN]
    double.users.change(admin["id"], suspended=True)
    assert "suspended, deleted, or not in the domain" in describe_failures(source)


@pytest.mark.parametrize(
    ("settings", "words"),
    [({"query": "shoeSize=3"}, "query"), ({"domain": "nowhere.example"}, "domain"), ({"query": "name=Nobody"}, "read")],
)
def test_check_names_the_setting_that_selects_nobody(
    section: dict[str, Any], settings: dict[str, str], words: str
) -> None:
    assert words in describe_failures(build_source(section, **settings))


def test_missing_settings_are_named(section: dict[str, Any]) -> None:
    with pytest.raises(Problems) as error_info:
        build_source({**section, "admin": "", "service_account": ""})
    assert [problem.where for problem in error_info.value.problems] == [
        "settings: roster.google.service_account",
        "settings: roster.google.admin",
    ]


def test_a_foreign_domain_is_refused_with_the_section_of_the_settings(section: dict[str, Any]) -> None:
    with pytest.raises(NotFound, match=r"\[roster.google\]"):
        build_source(section, domain="nowhere.example").read(NOW)
