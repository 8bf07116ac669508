"""Microsoft Entra as a source: what it promises, the traps of Graph's users, and what `check` finds."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest

from tests.doubles.graph import Double, Fault, section, set_rights
from tests.support.roster_contract import NOW, RosterContract, find
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
    """What administrators do in Entra."""

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
        has_pages = len(self._directory.users) > 100
        self._double.faults.append(Fault("GET", "/users", 503, "UnknownError", passing=int(has_pages), times=99))

    def _find(self, address: str) -> str:
        return next(user_id for user_id, user in self._directory.users.items() if user["mail"] == address)


@pytest.fixture(scope="module")
def service() -> Iterator[Double]:
    with Double() as running:
        yield running


@pytest.fixture
def double(service: Double) -> Iterator[Double]:
    service.reset()
    set_rights(service, "User.Read.All")
    yield service
    service.reset()


@pytest.fixture
def directory(double: Double) -> EntraAdministrator:
    return EntraAdministrator(double)


def build(double: Double, **more: Any) -> EntraDirectory:
    source = load_source_factory("outlook")({**section(double), **more})
    assert isinstance(source, EntraDirectory)
    return source


@pytest.fixture
def source(double: Double) -> EntraDirectory:
    return build(double)


class TestEntraDirectory(RosterContract):
    """Entra holds one manager for each user."""


def read_one(source: EntraDirectory, double: Double, **told: Any) -> RosterRecord:
    """Return what is read of a user of whom that is told."""
    double.directory.add("a.doe@x.example", "Ann Doe", **{"mail": ANN, **told})
    return find(source.read(NOW), ANN)


# --- what people are made of ----------------------------------------------------------------------------------------


def test_all_names_are_read_and_the_mail_address_comes_first(source: EntraDirectory, double: Double) -> None:
    proxies = ["smtp:Old.Ann@x.example", f"SMTP:{ANN.upper()}", "SIP:ann@x.example", "X500:/o=Ex/cn=ann", "SPO:x@y"]
    record = read_one(source, double, mail=ANN.upper(), proxyAddresses=proxies)
    assert record.addresses == (ANN.upper(), "Old.Ann@x.example", "a.doe@x.example", "/o=Ex/cn=ann")
    assert record.where == f"user {record.directory_id}"


def test_without_a_mail_address_the_primary_proxy_address_counts(source: EntraDirectory, double: Double) -> None:
    assert read_one(source, double, mail=None, proxyAddresses=["smtp:b@x.example", f"SMTP:{ANN}"]).addresses[0] == ANN


def test_a_sign_in_name_is_taken_for_no_mail_address(source: EntraDirectory, double: Double) -> None:
    """Somebody without a mailbox who has a manager is told of, so that it can be reported."""
    ann = double.directory.add(ANN)
    double.directory.add("kiosk7@x.example", manager=ann, mail=None, proxyAddresses=[])
    [_, record] = source.read(NOW)
    assert record.addresses == () and record.managers


def test_a_manager_is_named_by_the_id(source: EntraDirectory, double: Double) -> None:
    boss = double.directory.add("boss@x.example")
    record = read_one(source, double, manager=boss)
    assert record.managers == (ManagerReference(boss, ReferenceKind.DIRECTORY_ID, "boss@x.example"),)
    assert find(source.read(NOW), "boss@x.example").managers == ()


def test_a_manager_may_be_a_contact(source: EntraDirectory, double: Double) -> None:
    boss = double.directory.add_contact("boss@parent.example", "Boss")
    expected = ManagerReference(boss, ReferenceKind.DIRECTORY_ID, "boss@parent.example")
    assert read_one(source, double, manager=boss).managers == (expected,)
    nameless = double.directory.add_contact("", "Nobody")
    double.directory.add(BO, manager=nameless)
    assert find(source.read(NOW), BO).managers == (ManagerReference(nameless, ReferenceKind.DIRECTORY_ID),)


@pytest.mark.parametrize(
    ("told", "country"),
    [
        ({"country": "AT", "usageLocation": "DE"}, "AT"),
        ({"country": "Österreich", "usageLocation": "AT"}, "AT"),
        ({"country": "Österreich"}, "Österreich"),
        ({"usageLocation": "DE"}, "DE"),
        ({}, ""),
    ],
)
def test_the_country_is_a_code_where_there_is_one(
    source: EntraDirectory, double: Double, told: dict[str, str], country: str
) -> None:
    assert read_one(source, double, **told).country == country


def test_everything_else_comes_as_it_stands(source: EntraDirectory, double: Double) -> None:
    told = {"preferredLanguage": "de-DE", "department": "Research", "employeeHireDate": "2020-03-01T00:00:00Z"}
    record = read_one(source, double, **told)
    assert (record.name, record.locale, record.group) == ("Ann Doe", "de-DE", "Research")
    assert record.hire_date == "2020-03-01T00:00:00Z" and (record.time_zone, record.working_hours) == ("", "")


# --- who is a person of the company ---------------------------------------------------------------------------------


def test_guests_are_left_out(source: EntraDirectory, double: Double) -> None:
    double.directory.add("v_partner.example#EXT#@x.example", mail="v@partner.example", userType="Guest")
    double.directory.add(ANN, userType=None)
    assert [record.addresses[0] for record in source.read(NOW)] == [ANN]


def test_accounts_that_are_no_person_s_are_left_out(source: EntraDirectory, double: Double) -> None:
    """Rooms, shared mailboxes and service accounts have no licence, no manager and no reports."""
    top = double.directory.add("top@x.example", assignedLicenses=[])
    double.directory.add(ANN, manager=top, assignedLicenses=[])
    double.directory.add(BO)
    double.directory.add("room4@x.example", accountEnabled=False, assignedLicenses=[])
    double.directory.add("info@x.example", assignedLicenses=[])
    double.directory.add("backup@x.example", mail=None, proxyAddresses=[])
    assert [record.addresses[0] for record in source.read(NOW)] == ["top@x.example", ANN, BO]


def test_a_disabled_account_is_not_active(source: EntraDirectory, double: Double) -> None:
    assert not read_one(source, double, accountEnabled=False).is_active


def test_people_are_those_of_the_filter(double: Double) -> None:
    double.directory.add(ANN, country="DE")
    double.directory.add(BO, country="AT")
    assert [record.addresses[0] for record in build(double, filter="country eq 'AT'").read(NOW)] == [BO]


# --- a reading that comes to no end ---------------------------------------------------------------------------------


def add_many(directory: EntraAdministrator) -> None:
    for number in range(250):
        directory.add(f"p{number:03}@x.example", "Person")


def test_pages_are_followed_to_the_end(source: EntraDirectory, double: Double, directory: EntraAdministrator) -> None:
    add_many(directory)
    assert len(source.read(NOW)) == 250
    assert double.counts["GET users"] == 3 and double.directory.units == 6


def test_an_answer_that_got_lost_is_asked_for_again(
    source: EntraDirectory, double: Double, directory: EntraAdministrator
) -> None:
    add_many(directory)
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
def test_a_page_that_fails_ends_the_reading(
    double: Double, directory: EntraAdministrator, fault: Fault, error: type[LongarcError]
) -> None:
    """Nothing of it is returned; the next reading begins anew."""
    add_many(directory)
    fault.passing = 1
    double.faults.append(fault)
    with pytest.raises(error) as caught:
        build(double, limiter=Limiter()).read(NOW)
    if isinstance(caught.value, RateLimited):
        assert caught.value.retry_after == timedelta(seconds=7)
    double.faults.clear()
    assert len(build(double, limiter=Limiter()).read(NOW)) == 250


def test_a_list_that_comes_to_no_end_is_given_up(double: Double, directory: EntraAdministrator) -> None:
    directory.add(ANN, "Ann Doe")
    again = f'{{"value": [], "@odata.nextLink": "{double.endpoint}/users?$skiptoken=x"}}'.encode()
    double.faults.append(Fault("GET", "/users", 200, body=again, times=99))
    with pytest.raises(InvalidResponse, match="does not end"):
        build(double).read(NOW)


def test_a_link_to_another_host_is_not_followed(double: Double) -> None:
    double.faults.append(Fault("GET", "/users", 200, body=b'{"value": [], "@odata.nextLink": "https://evil.example/"}'))
    with pytest.raises(InvalidResponse, match="another host"):
        build(double).read(NOW)


# --- check ----------------------------------------------------------------------------------------------------------


def failures(source: EntraDirectory) -> str:
    """What is wrong, and what to do about it."""
    findings = [finding for finding in source.check().findings if not finding.ok]
    assert findings and all(finding.remedy for finding in findings)
    return "\n".join(f"{finding.statement}: {finding.remedy}" for finding in findings)


def test_check_counts_what_it_read(source: EntraDirectory, double: Double) -> None:
    ann = double.directory.add(ANN, usageLocation="DE")
    double.directory.add(BO, manager=ann)
    double.directory.add("gone@x.example", accountEnabled=False)
    double.directory.add("v@partner.example", userType="Guest")
    double.directory.add("info@x.example", assignedLicenses=[])
    told = "\n".join(f"{finding.statement} {finding.remedy}" for finding in source.check().findings)
    assert "lists 2 people: 1 with a manager, 1 without; 1 more can't sign in" in told
    assert "left out: accounts without licence, manager and reports (1), guests (1)" in told
    assert "has a country of 1, a department of 0, a language of 0, a time zone of 0;" in told


def test_check_says_so_when_nobody_has_a_manager(source: EntraDirectory, double: Double) -> None:
    double.directory.add(ANN)
    assert "fill Manager" in "".join(finding.remedy for finding in source.check().findings)


@pytest.mark.parametrize("rights", [("Calendars.ReadWrite",), ("User.ReadBasic.All",)])
def test_check_names_the_permission_that_is_missing(
    source: EntraDirectory, double: Double, rights: tuple[str, ...]
) -> None:
    """Basic profiles don't tell who is disabled: everybody who left would be a person of the company again."""
    double.directory.add(ANN)
    set_rights(double, *rights)
    told = failures(source)
    assert "API permissions" in told and "`User.Read.All`" in told and "Grant admin consent" in told
    with pytest.raises(Forbidden, match=r"User\.Read\.All"):
        source.read(NOW)


def test_check_names_a_permission_that_is_too_wide(source: EntraDirectory, double: Double) -> None:
    double.directory.add(ANN)
    set_rights(double, "User.Read.All", "Directory.ReadWrite.All")
    [finding] = [finding for finding in source.check().findings if "more than" in finding.statement]
    assert finding.ok and "Directory.ReadWrite.All" in finding.statement and finding.remedy


@pytest.mark.parametrize("user_filter", ["companyName eq 'Corp'", "shoeSize eq 3", "country eq"])
def test_check_names_the_filter_that_entra_refuses(double: Double, user_filter: str) -> None:
    double.directory.add(ANN)
    assert "`filter` in [roster.outlook]" in failures(build(double, filter=user_filter))


def test_check_says_so_when_nobody_is_listed(double: Double) -> None:
    double.directory.add(ANN)
    assert "Nobody was read" in failures(build(double, filter="country eq 'XX'"))


def test_check_says_how_the_log_in_failed(double: Double) -> None:
    assert "secret is wrong" in failures(build(double, password="wrong"))


def test_one_person_s_account_can_t_read_the_directory(double: Double) -> None:
    with pytest.raises(AuthRevoked, match="by an app"):
        build(double, account=ANN)
