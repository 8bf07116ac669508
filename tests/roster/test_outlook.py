"""Microsoft Entra as a source: the contract of sources, details of Graph's users, and the findings of `check`."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.doubles.graph import Double, Fault, make_section, set_rights
from tests.support.roster_contract import NOW, RosterContract, add_many_people, describe_failures, find_record
from worker.errors import (
    AuthRevoked,
    Forbidden,
    InvalidResponse,
    LongarcError,
    Permanent,
    RateLimited,
    Unavailable,
)
from worker.providers.limiter import Limiter
from worker.roster.base import ManagerReference, ReferenceKind, RosterRecord, load_source_factory
from worker.roster.outlook import EntraDirectory

ANN, BO = "ann@x.example", "bo@x.example"


class EntraAdministrator:
    """Does what administrators do in Entra."""

    def __init__(self, double: Double) -> None:
        self._double = double
        self._directory = double.directory

    def add(self, address: str, name: str, manager: str = "", group: str = "") -> None:
        manager_id = self._find(manager) if manager else ""
        self._directory.add(address, name, manager_id, **({"department": group} if group else {}))

    def add_manager(self, address: str, manager: str) -> None:
        raise AssertionError("Entra holds one manager for each user.")

    def rename(self, address: str, new_address: str) -> None:
        user = self._directory.users[self._find(address)]
        user |= {"userPrincipalName": new_address, "mail": new_address}
        user["proxyAddresses"] = [f"SMTP:{new_address}", f"smtp:{address}"]

    def disable(self, address: str) -> None:
        self._directory.users[self._find(address)]["accountEnabled"] = False

    def delete(self, address: str) -> None:
        self._directory.delete(self._find(address))

    def break_off(self) -> None:
        """Let each page after the first fail, or the only one."""
        has_pages = len(self._directory.users) > 100
        self._double.faults.append(Fault("GET", "/users", 503, "UnknownError", passing=int(has_pages), times=99))

    def _find(self, address: str) -> str:
        return next(user_id for user_id, user in self._directory.users.items() if user["mail"] == address)


@pytest.fixture(scope="module")
def shared_double() -> Iterator[Double]:
    with Double() as graph:
        yield graph


@pytest.fixture
def double(shared_double: Double) -> Iterator[Double]:
    shared_double.reset()
    set_rights(shared_double, "User.Read.All")
    yield shared_double
    shared_double.reset()


@pytest.fixture
def directory(double: Double) -> EntraAdministrator:
    return EntraAdministrator(double)


def build_source(double: Double, **settings: Any) -> EntraDirectory:
    source = load_source_factory("outlook")({**make_section(double), **settings})
    assert isinstance(source, EntraDirectory)
    return source


@pytest.fixture
def source(double: Double) -> EntraDirectory:
    return build_source(double)


class TestEntraDirectory(RosterContract):
    """Entra holds one manager for each user."""


def add_and_read(source: EntraDirectory, double: Double, **fields: Any) -> RosterRecord:
    """Add the user Ann with these fields, and return the record that the source reads."""
    double.directory.add("a.doe@x.example", "Ann Doe", **{"mail": ANN, **fields})
    return find_record(source.read(NOW), ANN)


# --- the fields of a record -----------------------------------------------------------------------------------------


def test_all_addresses_are_read_with_the_mail_address_first(source: EntraDirectory, double: Double) -> None:
    proxies = ["smtp:Old.Ann@x.example", f"SMTP:{ANN.upper()}", "SIP:ann@x.example", "X500:/o=Ex/cn=ann", "SPO:x@y"]
    record = add_and_read(source, double, mail=ANN.upper(), proxyAddresses=proxies)
    assert record.addresses == (ANN.upper(), "Old.Ann@x.example", "a.doe@x.example", "/o=Ex/cn=ann")
    assert record.where == f"user {record.directory_id}"


def test_the_primary_proxy_address_replaces_a_missing_mail_address(source: EntraDirectory, double: Double) -> None:
    assert (
        add_and_read(source, double, mail=None, proxyAddresses=["smtp:b@x.example", f"SMTP:{ANN}"]).addresses[0] == ANN
    )


def test_a_sign_in_name_alone_is_not_an_address(source: EntraDirectory, double: Double) -> None:
    """A user without a mailbox who has a manager is returned all the same, so that the missing address is reported."""
    ann = double.directory.add(ANN)
    double.directory.add("kiosk7@x.example", manager=ann, mail=None, proxyAddresses=[])
    [_, record] = source.read(NOW)
    assert record.addresses == () and record.managers


def test_a_manager_is_referenced_by_directory_id(source: EntraDirectory, double: Double) -> None:
    boss = double.directory.add("boss@x.example")
    record = add_and_read(source, double, manager=boss)
    assert record.managers == (ManagerReference(boss, ReferenceKind.DIRECTORY_ID, "boss@x.example"),)
    assert find_record(source.read(NOW), "boss@x.example").managers == ()


def test_a_contact_is_returned_as_a_manager(source: EntraDirectory, double: Double) -> None:
    boss = double.directory.add_contact("boss@parent.example", "Boss")
    expected = ManagerReference(boss, ReferenceKind.DIRECTORY_ID, "boss@parent.example")
    assert add_and_read(source, double, manager=boss).managers == (expected,)
    nameless = double.directory.add_contact("", "Nobody")
    double.directory.add(BO, manager=nameless)
    assert find_record(source.read(NOW), BO).managers == (ManagerReference(nameless, ReferenceKind.DIRECTORY_ID),)


@pytest.mark.parametrize(
    ("fields", "country"),
    [
        ({"country": "AT", "usageLocation": "DE"}, "AT"),
        ({"country": "Österreich", "usageLocation": "AT"}, "AT"),
        ({"country": "Österreich"}, "Österreich"),
        ({"usageLocation": "DE"}, "DE"),
        ({}, ""),
    ],
)
def test_the_country_is_a_code_when_the_user_has_one(
    source: EntraDirectory, double: Double, fields: dict[str, str], country: str
) -> None:
    assert add_and_read(source, double, **fields).country == country


def test_name_language_department_and_hire_date_are_not_changed(source: EntraDirectory, double: Double) -> None:
    fields = {"preferredLanguage": "de-DE", "department": "Research", "employeeHireDate": "2020-03-01T00:00:00Z"}
    record = add_and_read(source, double, **fields)
    assert (record.name, record.locale, record.group) == ("Ann Doe", "de-DE", "Research")
    assert record.hire_date == "2020-03-01T00:00:00Z" and (record.time_zone, record.working_hours) == ("", "")


# --- selection of people --------------------------------------------------------------------------------------------


def test_guests_are_left_out(source: EntraDirectory, double: Double) -> None:
    double.directory.add("v_partner.example#EXT#@x.example", mail="v@partner.example", userType="Guest")
    double.directory.add(ANN, userType=None)
    assert [record.addresses[0] for record in source.read(NOW)] == [ANN]


def test_rooms_shared_mailboxes_and_service_accounts_are_left_out(source: EntraDirectory, double: Double) -> None:
    """They have no licence, no manager and no reports. Anybody who has one of these is returned."""
    top = double.directory.add("top@x.example", assignedLicenses=[])
    double.directory.add(ANN, manager=top, assignedLicenses=[])
    double.directory.add(BO)
    double.directory.add("room4@x.example", accountEnabled=False, assignedLicenses=[])
    double.directory.add("info@x.example", assignedLicenses=[])
    double.directory.add("backup@x.example", mail=None, proxyAddresses=[])
    assert [record.addresses[0] for record in source.read(NOW)] == ["top@x.example", ANN, BO]


def test_a_disabled_account_is_not_active(source: EntraDirectory, double: Double) -> None:
    assert not add_and_read(source, double, accountEnabled=False).is_active


def test_the_setting_filter_selects_people(double: Double) -> None:
    double.directory.add(ANN, country="DE")
    double.directory.add(BO, country="AT")
    assert [record.addresses[0] for record in build_source(double, filter="country eq 'AT'").read(NOW)] == [BO]


# --- a reading that fails -------------------------------------------------------------------------------------------


def test_every_page_is_read(source: EntraDirectory, double: Double, directory: EntraAdministrator) -> None:
    add_many_people(directory)
    assert len(source.read(NOW)) == 250
    assert double.counts["GET users"] == 3  # 250 people are on three pages
    # each page costs two units of Graph's quota: one less for $select, one more for $expand
    assert double.directory.units == 6


def test_lost_pages_are_requested_again(source: EntraDirectory, double: Double, directory: EntraAdministrator) -> None:
    add_many_people(directory)
    double.faults += [Fault("GET", "/users", 503, passing=1), Fault("GET", "/users", 504, passing=2)]
    assert len(source.read(NOW)) == 250


@pytest.mark.parametrize(
    ("fault", "error"),
    [
        (Fault("GET", "/users", 429, "TooManyRequests", headers=(("Retry-After", "7"),)), RateLimited),
        (Fault("GET", "/users", 503, headers=(("Retry-After", "7"),)), Unavailable),
        (Fault("GET", "/users", 500, times=3), Unavailable),
        (Fault("GET", "/users", 400, "Directory_ExpiredPageToken", "The page token has expired."), Permanent),
        (Fault("GET", "/users", 403, "Authorization_RequestDenied", "Insufficient privileges"), Forbidden),
        (Fault("GET", "/users", 200, body=b"<html>"), InvalidResponse),
        (Fault("GET", "/users", 200, body=b'{"value": null}'), InvalidResponse),
        (Fault("GET", "/users", 200, body=b'{"value": [{"mail": "nobody"}]}'), InvalidResponse),
        (Fault("GET", "/users", 200, cut=True, times=3), LongarcError),
    ],
)
def test_a_failed_page_ends_the_reading_without_a_result(
    double: Double, directory: EntraAdministrator, fault: Fault, error: type[LongarcError]
) -> None:
    """No part of the list is returned, and the next reading begins with the first page."""
    add_many_people(directory)
    fault.passing = 1
    double.faults.append(fault)
    with pytest.raises(error) as error_info:
        build_source(double, limiter=Limiter()).read(NOW)
    if isinstance(error_info.value, RateLimited):
        assert error_info.value.retry_after == timedelta(seconds=7)
    double.faults.clear()
    assert len(build_source(double, limiter=Limiter()).read(NOW)) == 250


def test_an_endless_list_is_refused(double: Double, directory: EntraAdministrator) -> None:
    directory.add(ANN, "Ann Doe")
    endless_page = f'{{"value": [], "@odata.nextLink": "{double.endpoint}/users?$skiptoken=x"}}'.encode()
    double.faults.append(Fault("GET", "/users", 200, body=endless_page, times=99))
    with pytest.raises(InvalidResponse, match="does not end"):
        build_source(double).read(NOW)


def test_a_next_link_to_another_host_is_not_followed(double: Double) -> None:
    double.faults.append(Fault("GET", "/users", 200, body=b'{"value": [], "@odata.nextLink": "https://evil.example/"}'))
    with pytest.raises(InvalidResponse, match="another host"):
        build_source(double).read(NOW)


# --- check ----------------------------------------------------------------------------------------------------------


def test_check_counts_people_managers_and_filled_fields(source: EntraDirectory, double: Double) -> None:
    ann = double.directory.add(ANN, usageLocation="DE")
    double.directory.add(BO, manager=ann)
    double.directory.add("gone@x.example", accountEnabled=False)
    double.directory.add("v@partner.example", userType="Guest")
    double.directory.add("info@x.example", assignedLicenses=[])
    findings = "\n".join(f"{finding.statement} {finding.remedy}" for finding in source.check().findings)
    assert "lists 2 people: 1 with a manager, 1 without; 1 more can't sign in" in findings
    assert "left out: accounts without licence, manager and reports (1), guests (1)" in findings
    assert (
        "has a country for 1 person, a department for nobody, a language for nobody, a time zone for nobody;"
        in findings
    )


def test_check_explains_how_to_set_managers_when_nobody_has_one(source: EntraDirectory, double: Double) -> None:
    double.directory.add(ANN)
    assert "fill Manager" in "".join(finding.remedy for finding in source.check().findings)


@pytest.mark.parametrize("rights", [("Calendars.ReadWrite",), ("User.ReadBasic.All",)])
def test_check_names_the_missing_permission(source: EntraDirectory, double: Double, rights: tuple[str, ...]) -> None:
    """Basic profiles don't show which accounts are disabled: everybody who left would count as a person again."""
    double.directory.add(ANN)
    set_rights(double, *rights)
    failures = describe_failures(source)
    assert "API permissions" in failures and "`User.Read.All`" in failures and "Grant admin consent" in failures
    with pytest.raises(Forbidden, match=r"User\.Read\.All"):
        source.read(NOW)


def test_check_names_a_permission_wider_than_needed(source: EntraDirectory, double: Double) -> None:
    double.directory.add(ANN)
    set_rights(double, "User.Read.All", "Directory.ReadWrite.All")
    [finding] = [finding for finding in source.check().findings if "more than" in finding.statement]
    assert finding.ok and "Directory.ReadWrite.All" in finding.statement and finding.remedy


@pytest.mark.parametrize("user_filter", ["companyName eq 'Corp'", "shoeSize eq 3", "country eq"])
def test_check_names_the_filter_that_entra_refuses(double: Double, user_filter: str) -> None:
    double.directory.add(ANN)
    assert "`filter` in [roster.outlook]" in describe_failures(build_source(double, filter=user_filter))


def test_check_fails_when_the_filter_selects_nobody(double: Double) -> None:
    double.directory.add(ANN)
    assert "Nobody was read" in describe_failures(build_source(double, filter="country eq 'XX'"))


def test_check_gives_the_reason_of_a_failed_log_in(double: Double) -> None:
    assert "secret is wrong" in describe_failures(build_source(double, password="wrong"))


def test_a_personal_account_cannot_read_the_directory(double: Double) -> None:
    with pytest.raises(AuthRevoked, match="by an app"):
        build_source(double, account=ANN)
