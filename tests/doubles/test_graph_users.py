"""The directory of the double of Microsoft Graph refuses what Graph refuses, and works with python-o365 unmodified."""

from collections.abc import Iterator
from typing import Any

import pytest
import requests
from O365 import Account, MSGraphProtocol
from O365.utils.token import MemoryTokenBackend

from tests.doubles.graph import CLIENT, Double, Fault, make_section, set_rights
from tests.doubles.graph.login import SECRET, TENANT
from worker.providers.outlook import auth

DANA, SAM = "dana@example.org", "sam@example.org"
EVENTUAL = {"ConsistencyLevel": "eventual"}


@pytest.fixture
def double(shared_double: Double) -> Iterator[Double]:
    """The double without people, and with an app that may read users."""
    shared_double.reset()
    set_rights(shared_double, "User.Read.All")
    yield shared_double
    shared_double.reset()


def get_token(double: Double) -> str:
    return auth.build_tokens(make_section(double)).get_token()


@pytest.fixture
def account(double: Double) -> Account:
    """An account of python-o365 that acts as the app."""
    protocol = type("Local", (MSGraphProtocol,), {"_protocol_url": double.endpoint.removesuffix("v1.0")})
    tokens = MemoryTokenBackend()
    response = {"access_token": get_token(double), "expires_in": 3600, "token_type": "Bearer"}
    stored_token = {
        "client_id": CLIENT,
        "scope": ["https://graph.microsoft.com/.default"],
        "token_endpoint": f"{double.authority}/{TENANT}/oauth2/v2.0/token",
        "grant_type": "client_credentials",
        "response": response,
    }
    tokens.add(stored_token)
    return Account(
        (CLIENT, SECRET),
        auth_flow_type="credentials",
        tenant_id=TENANT,
        protocol=protocol(),
        token_backend=tokens,
        request_retries=0,
    )


class PlainClient:
    """Sends GET requests by plain HTTP, as the app."""

    def __init__(self, double: Double) -> None:
        self._double = double

    def __call__(self, path: str, **headers: str) -> requests.Response:
        url = path if path.startswith("http") else f"{self._double.endpoint}/{path}"
        return requests.get(url, headers={"Authorization": f"Bearer {get_token(self._double)}", **headers}, timeout=10)

    def list_users(self, query: str = "", **headers: str) -> list[Any]:
        """Return the users on all pages of a list."""
        answer = self(f"users{query}", **headers)
        assert answer.status_code == 200, answer.text
        users = list(answer.json()["value"])
        while link := answer.json().get("@odata.nextLink"):
            answer = self(link, **headers)
            users += answer.json()["value"]
        return users

    def get_refusal(self, path: str, **headers: str) -> tuple[int, str]:
        """Send a request that is refused, and return the status and the error code."""
        answer = self(path, **headers)
        return answer.status_code, answer.json()["error"]["code"]


@pytest.fixture
def client(double: Double) -> PlainClient:
    return PlainClient(double)


# --- python-o365 ----------------------------------------------------------------------------------------------------


def test_o365_lists_users_over_pages(account: Account, double: Double) -> None:
    for number in range(150):
        double.directory.add(f"p{number:03}@example.org", f"P {number:03}", preferredLanguage="de-DE")
    people = list(account.directory().get_users(limit=None, batch=40))
    assert [user.display_name for user in people] == [f"P {number:03}" for number in range(150)]
    assert {user.preferred_language for user in people} == {"de-DE"} and people[0].account_enabled is None


def test_o365_reads_a_user_with_manager_and_reports(account: Account, double: Double) -> None:
    dana = double.directory.add(DANA, "Dana")
    sam = double.directory.add(SAM, "Sam", manager=dana)
    directory = account.directory()
    assert directory.get_user(SAM).object_id == directory.get_user(sam).object_id == sam
    manager = directory.get_user_manager(SAM)
    assert (manager.object_id, manager.type, manager.mail) == (dana, "#microsoft.graph.user", DANA)
    assert [user.mail for user in directory.get_user_direct_reports(DANA)] == [SAM]
    with pytest.raises(requests.HTTPError) as error_info:
        directory.get_user_manager(DANA)
    assert error_info.value.response.status_code == 404


def test_o365_filters_users_and_selects_their_properties(account: Account, double: Double) -> None:
    double.directory.add(DANA, department="Research & Co")
    double.directory.add(SAM, accountEnabled=False)
    directory = account.directory()
    assert [user.mail for user in directory.get_users(query="department eq 'Research & Co'")] == [DANA]
    empty_query = directory.new_query()
    query = empty_query.select("userPrincipalName", "accountEnabled") & empty_query.equals("accountEnabled", False)
    [user] = directory.get_users(query=query)
    assert (user.user_principal_name, user.account_enabled, user.display_name) == (SAM, False, None)


# --- answers --------------------------------------------------------------------------------------------------------


def test_managers_and_reports_are_expanded(client: PlainClient, double: Double) -> None:
    dana = double.directory.add(DANA, "Dana")
    double.directory.add(SAM, manager=dana)
    [boss, report] = client.list_users("?$select=id,mail&$expand=manager($select=id,mail)")
    assert "manager" not in boss
    assert report["manager"] == {"@odata.type": "#microsoft.graph.user", "id": dana, "mail": DANA}
    [boss, _] = client.list_users("?$select=id&$expand=directReports($select=mail)")
    assert boss["directReports"] == [{"@odata.type": "#microsoft.graph.user", "mail": SAM}]


def test_a_manager_may_be_a_contact(client: PlainClient, double: Double) -> None:
    boss = double.directory.add_contact("boss@parent.example", "Boss")
    double.directory.add(SAM, manager=boss)
    [sam] = client.list_users("?$expand=manager($select=id,mail,userPrincipalName)")
    kind = {"@odata.type": "#microsoft.graph.orgContact", "userPrincipalName": None}
    assert sam["manager"] == {**kind, "id": boss, "mail": "boss@parent.example"}


def test_guests_disabled_users_and_owners_of_mailboxes_are_listed(client: PlainClient, double: Double) -> None:
    guest = "x_partner.example#EXT#@corp.example"
    double.directory.add(guest, mail="x@partner.example", userType="Guest")
    double.directory.add("room4@example.org", accountEnabled=False, assignedLicenses=[])
    double.directory.add("svc@example.org", mail=None, proxyAddresses=[])
    double.world.add_person(DANA)  # the owner of a mailbox
    users = {user["userPrincipalName"]: user for user in client.list_users("?$select=userPrincipalName,mail,userType")}
    assert users.keys() == {DANA, guest, "room4@example.org", "svc@example.org"}
    assert users[guest]["userType"] == "Guest" and users["svc@example.org"]["mail"] is None


def test_a_user_has_eleven_properties_without_a_selection(client: PlainClient, double: Double) -> None:
    double.directory.add(SAM)
    [sam] = client.list_users()
    assert len(sam) == 11 and sam["businessPhones"] == [] and sam["jobTitle"] is None and "accountEnabled" not in sam
    assert client.list_users("?$select=displayName") == [{"displayName": "sam"}]


def test_a_page_with_an_expansion_has_at_most_100_users(client: PlainClient, double: Double) -> None:
    for number in range(201):
        double.directory.add(f"p{number}@example.org")
    assert len(client("users?$top=999").json()["value"]) == 201
    assert len(client("users").json()["value"]) == 100
    page = client("users?$top=999&$select=id&$expand=manager($select=id)").json()
    assert len(page["value"]) == 100
    assert len({user["id"] for user in client.list_users("?$top=999&$select=id&$expand=manager($select=id)")}) == 201
    double.directory.units = 0
    client("users?$select=id&$expand=manager($select=id)")
    assert double.directory.units == 2  # one less for `$select`, and one more for `$expand`


def test_a_chain_of_managers_is_expanded_for_a_single_user_only(client: PlainClient, double: Double) -> None:
    top = double.directory.add("top@example.org")
    dana = double.directory.add(DANA, manager=top)
    double.directory.add(SAM, manager=dana)
    sam = client(f"users/{SAM}?$expand=manager($levels=max;$select=id)&$select=id").json()
    assert (sam["manager"]["id"], sam["manager"]["manager"]["id"]) == (dana, top)
    expected = (400, "Request_UnsupportedQuery")
    assert client.get_refusal("users?$expand=manager($levels=max;$select=id)") == expected


# --- permissions and refusals ---------------------------------------------------------------------------------------


def test_an_app_without_the_permission_is_refused(client: PlainClient, double: Double) -> None:
    double.directory.add(SAM)
    set_rights(double, "Calendars.ReadWrite")
    for path in ("users", f"users/{SAM}", f"users/{SAM}/manager"):
        assert client.get_refusal(path) == (403, "Authorization_RequestDenied")


def test_an_app_that_may_read_basic_profiles_gets_ids_of_managers(client: PlainClient, double: Double) -> None:
    dana = double.directory.add(DANA, department="Sales")
    double.directory.add(SAM, manager=dana)
    set_rights(double, "User.ReadBasic.All")
    [boss, sam] = client.list_users("?$select=id,mail,accountEnabled,department&$expand=manager($select=id,mail)")
    assert sam["manager"] == {"@odata.type": "#microsoft.graph.user", "id": dana}
    assert boss == {"id": dana, "mail": DANA, "accountEnabled": None, "department": None}


@pytest.mark.parametrize(
    ("query", "status", "code"),
    [
        ("$select=shoeSize", 400, "Request_BadRequest"),
        ("$select=id,aboutMe", 501, "NotImplemented"),
        ("$select=hireDate", 501, "NotImplemented"),
        ("$top=0", 400, "Request_BadRequest"),
        ("$top=1000", 400, "Request_BadRequest"),
        ("$skip=100", 400, "Request_BadRequest"),
        ("$expand=manager,directReports", 400, "Request_BadRequest"),
        ("$expand=boss", 400, "Request_BadRequest"),
        ("$expand=manager($select=shoeSize)", 400, "Request_BadRequest"),
        ("$filter=shoeSize eq 3", 400, "BadRequest"),
        ("$filter=companyName eq 'Corp'", 400, "Request_UnsupportedQuery"),
        ("$filter=accountEnabled ne false", 400, "Request_UnsupportedQuery"),
        ("$orderby=department", 400, "Request_UnsupportedQuery"),
        ('$search="displayName:sam"', 400, "Request_UnsupportedQuery"),
        ("$skiptoken=made-up", 400, "Directory_ExpiredPageToken"),
    ],
)
def test_an_invalid_or_unsupported_query_is_refused(client: PlainClient, query: str, status: int, code: str) -> None:
    assert client.get_refusal(f"users?{query}") == (status, code)


def test_a_filter_that_needs_eventual_consistency_excludes_an_expansion(client: PlainClient, double: Double) -> None:
    double.directory.add(SAM, companyName="Corp", accountEnabled=True)
    double.directory.add(DANA, companyName="Other")
    query = "?$filter=companyName eq 'Corp'&$select=mail&$count=true"
    assert client.list_users(query, **EVENTUAL) == [{"mail": SAM}]
    assert client(f"users{query}", **EVENTUAL).json()["@odata.count"] == 1
    assert client.get_refusal(f"users{query}&$expand=manager", **EVENTUAL) == (400, "Request_UnsupportedQuery")
    assert len(client.list_users("?$filter=accountEnabled eq true and userType eq 'Member'&$expand=manager")) == 2


def test_users_can_not_be_written_and_have_no_delta_query(client: PlainClient, double: Double) -> None:
    headers = {"Authorization": f"Bearer {get_token(double)}"}
    answer = requests.post(f"{double.endpoint}/users", json={"mail": SAM}, headers=headers, timeout=10)
    assert answer.status_code == 405
    assert client.get_refusal("users/delta?$select=id") == (501, "NotImplemented")
    assert client.get_refusal("users/$count") == (400, "Request_BadRequest")


def test_a_fault_can_refuse_the_second_page(client: PlainClient, double: Double) -> None:
    for number in range(3):
        double.directory.add(f"p{number}@example.org")
    retry_after = (("Retry-After", "7"),)
    double.faults.append(Fault("GET", "/users", 429, "TooManyRequests", passing=1, headers=retry_after))
    page = client("users?$top=1").json()
    refusal = client(page["@odata.nextLink"])
    assert (refusal.status_code, refusal.headers["Retry-After"]) == (429, "7")
    assert client(page["@odata.nextLink"]).status_code == 200


def test_a_person_who_signed_in_can_read_only_their_own_profile(double: Double) -> None:
    dana = double.directory.add(DANA)
    double.directory.add(SAM, manager=dana)
    access_token = double.login._make_token_response(SAM, ("User.Read",), {"client_id": CLIENT})["access_token"]
    headers = {"Authorization": f"Bearer {access_token}"}
    answer = requests.get(f"{double.endpoint}/me", headers=headers, timeout=10)
    assert answer.json()["mail"] == SAM
    assert requests.get(f"{double.endpoint}/users", headers=headers, timeout=10).status_code == 403
