"""The directory of Google's double works with google-api-python-client, unmodified, and refuses what Google refuses."""

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.service_account import Credentials
from googleapiclient.discovery import build
from googleapiclient.errors import HttpError

from tests.doubles.google import Google
from worker.clock import SteppedClock, utcnow

READ = "https://www.googleapis.com/auth/admin.directory.user.readonly"
ADMIN = "admin@corp.example"
OURS = {"customer": "my_customer"}


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as running:
        running.tokens.granted_scopes = {READ}
        running.users.add(ADMIN, "Ada Admin")
        running.users.admins.add(ADMIN)
        yield running
    assert running.crashes == []


def users(double: Google, who: str = ADMIN, scope: str = READ) -> Any:
    """The resource `users` of google-api-python-client, for a service account that acts for `who`, or for itself."""
    make: Any = Credentials
    signed = make.from_service_account_info(double.tokens.service_account(), scopes=[scope], subject=who or None)
    options = {"api_endpoint": f"{double.url}/"}
    return build("admin", "directory_v1", credentials=signed, client_options=options, static_discovery=True).users()


def refusal(request: Any) -> tuple[int, str]:
    """The status and the reason with which a request is refused."""
    with pytest.raises(HttpError) as caught:
        request.execute()
    return caught.value.resp.status, str(json.loads(caught.value.content)["error"]["errors"][0]["reason"])


def listed(resource: Any, **parameters: Any) -> list[str]:
    """The addresses of the users on all pages of a list."""
    found: list[str] = []
    request = resource.list(**{**OURS, **parameters})
    while request is not None:
        page = request.execute()
        found += [user["primaryEmail"] for user in page.get("users", ())]
        request = resource.list_next(request, page)
    return found


def test_google_client_reads_all_pages(double: Google) -> None:
    for number in range(5):
        double.users.add(f"p{number}@corp.example")
    resource = users(double)
    assert len(listed(resource, maxResults=2)) == len(set(listed(resource))) == 6
    page = resource.list(**OURS, maxResults=2).execute()
    assert page["kind"] == "admin#directory#users" and len(page["users"]) == 2 and page["nextPageToken"]
    double.users.max_page_size = 1
    assert len(resource.list(**OURS).execute()["users"]) == 1


def test_suspended_and_archived_users_are_listed_and_deleted_ones_apart(double: Google) -> None:
    suspended = double.users.add("s@corp.example", suspended=True, suspensionReason="ADMIN")
    double.users.add("a@corp.example", archived=True)
    deleted = double.users.add("g@corp.example")
    double.users.delete(deleted)
    resource = users(double)
    assert listed(resource) == [ADMIN, "s@corp.example", "a@corp.example"]
    assert listed(resource, showDeleted="true") == ["g@corp.example"]
    assert resource.get(userKey=suspended).execute()["suspensionReason"] == "ADMIN"


def test_an_empty_list_has_no_field_users(double: Google) -> None:
    assert "users" not in users(double).list(**OURS, query="isSuspended=true").execute()


def test_a_list_needs_a_customer_or_a_domain_and_the_domain_prevails(double: Google) -> None:
    double.users.add("x@other.example")
    resource = users(double)
    assert refusal(resource.list()) == (400, "badRequest")
    assert listed(resource, domain="other.example") == ["x@other.example"]
    assert refusal(resource.list(domain="nowhere.example")) == (404, "notFound")
    assert refusal(resource.list(customer="C0somebody")) == (403, "forbidden")


@pytest.mark.parametrize("size", [0, 501])
def test_a_page_size_is_from_one_to_five_hundred(double: Google, size: int) -> None:
    assert refusal(users(double).list(**OURS, maxResults=size))[0] == 400


def test_a_page_token_lasts_three_days_and_belongs_to_its_list(double: Google) -> None:
    clock = double.users.clock = SteppedClock(utcnow())
    double.users.add("x@corp.example")
    resource = users(double)
    token = resource.list(**OURS, maxResults=1).execute()["nextPageToken"]
    assert resource.list(**OURS, maxResults=1, pageToken=token).execute()["users"]
    assert refusal(resource.list(**OURS, maxResults=1, pageToken=token, orderBy="email")) == (400, "invalid")
    assert refusal(resource.list(**OURS, pageToken="made-up")) == (400, "invalid")
    clock.advance(timedelta(days=3))
    assert refusal(resource.list(**OURS, maxResults=1, pageToken=token)) == (400, "invalid")


def test_other_users_than_administrators_see_public_fields_only(double: Google) -> None:
    double.users.add("sam@corp.example", manager=ADMIN)
    as_sam = users(double, "sam@corp.example")
    assert refusal(as_sam.list(**OURS)) == (403, "forbidden")
    [_, sam] = as_sam.list(**OURS, viewType="domain_public").execute()["users"]
    assert sam["name"]["fullName"] == "Sam" and "relations" not in sam
    assert refusal(users(double, who="").list(**OURS)) == (400, "invalid")


def test_the_token_endpoint_refuses_what_was_not_delegated(double: Google) -> None:
    for ungranted in (users(double, scope=READ.removesuffix(".readonly")), users(double, "nobody@corp.example")):
        with pytest.raises(RefreshError) as caught:
            ungranted.list(**OURS).execute()
        assert caught.value.args[1]["error"] in ("unauthorized_client", "invalid_grant")
    narrow = "https://www.googleapis.com/auth/calendar"
    double.tokens.granted_scopes.add(narrow)
    assert refusal(users(double, scope=narrow).list(**OURS)) == (403, "insufficientPermissions")


def test_one_user_is_found_by_id_address_or_alias(double: Google) -> None:
    sam = double.users.add(
        "sam@corp.example", aliases=["Samuel@corp.example"], nonEditableAliases=["sam@alias.example"]
    )
    resource = users(double)
    for key in (sam, "SAM@corp.example", "samuel@corp.example", "sam@alias.example"):
        assert resource.get(userKey=key).execute()["id"] == sam
    assert refusal(resource.get(userKey="nobody@corp.example")) == (404, "notFound")


def test_fields_and_projections_select_the_fields_of_users(double: Google) -> None:
    relations = [{"value": "BOSS@corp.example", "type": "manager"}, {"value": "x", "type": "assistant"}]
    sam = double.users.add("sam@corp.example", relations=relations, customSchemas={"hr": {"grade": 3}, "it": {}})
    resource = users(double)
    fields = "nextPageToken,users(id,name/fullName,relations)"
    page = resource.list(**OURS, query="email=sam@corp.example", fields=fields).execute()
    assert page == {"users": [{"id": sam, "name": {"fullName": "Sam"}, "relations": relations}]}
    assert refusal(resource.list(**OURS, fields="users(salary)"))[0] == 400
    assert "customSchemas" not in resource.get(userKey=sam).execute()
    assert resource.get(userKey=sam, projection="full").execute()["customSchemas"].keys() == {"hr", "it"}
    custom = resource.get(userKey=sam, projection="custom", customFieldMask="hr").execute()
    assert custom["customSchemas"] == {"hr": {"grade": 3}}
    assert refusal(resource.get(userKey=sam, customFieldMask="hr"))[0] == 400


@pytest.mark.parametrize(
    ("query", "expected"),
    [
        ("orgUnitPath='/Staff'", ["sam", "kim"]),
        ("orgUnitPath=/Staff/Berlin", ["kim"]),
        ("orgUnitPath='/'", ["admin", "sam", "kim"]),
        ("isSuspended=false email:sam*", ["sam"]),
        ("orgDepartment='Research & Co'", ["kim"]),
        ("directManager=sam@corp.example", ["kim"]),
        ("name:LEE", ["kim"]),
    ],
)
def test_a_query_selects_users(double: Google, query: str, expected: list[str]) -> None:
    double.users.add("sam@corp.example", orgUnitPath="/Staff")
    research = [{"department": "Research & Co"}]
    double.users.add(
        "kim@corp.example", "Kim Lee", "sam@corp.example", orgUnitPath="/Staff/Berlin", organizations=research
    )
    assert [one.partition("@")[0] for one in listed(users(double), query=query)] == expected


@pytest.mark.parametrize("query", ["shoeSize=3", "orgUnitPath:x", "isSuspended=maybe", "name=", "'"])
def test_an_invalid_query_is_refused(double: Google, query: str) -> None:
    assert refusal(users(double).list(**OURS, query=query)) == (400, "invalid")


def test_lists_are_ordered_either_way(double: Google) -> None:
    for name in ("Bo Zane", "Zoe abel"):
        double.users.add(f"{name[:2].casefold()}@corp.example", name)
    resource = users(double)
    assert listed(resource, orderBy="givenName") == [ADMIN, "bo@corp.example", "zo@corp.example"]
    by_name = listed(resource, orderBy="familyName", sortOrder="DESCENDING")
    assert by_name == ["bo@corp.example", ADMIN, "zo@corp.example"]


def test_other_methods_of_the_api_are_not_offered(double: Google) -> None:
    assert refusal(users(double).delete(userKey=ADMIN))[0] == 405
