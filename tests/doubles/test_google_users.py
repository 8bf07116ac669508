"""The directory of Google's double refuses what Google refuses, and works with google-api-python-client unmodified."""

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import pytest
from google.auth.exceptions import RefreshError
from google.oauth2.service_account import Credentials
from googleapiclient.discovery import build

from tests.doubles.google import Google
from tests.support.google import execute_refused
from worker.clock import SteppedClock, utcnow

USERS_READ_SCOPE = "https://www.googleapis.com/auth/admin.directory.user.readonly"
ADMIN = "admin@corp.example"
OWN_CUSTOMER = {"customer": "my_customer"}


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as running:
        running.tokens.granted_scopes = {USERS_READ_SCOPE}
        running.users.add(ADMIN, "Ada Admin")
        running.users.admins.add(ADMIN)
        yield running
    assert running.crashes == []


def build_resource(double: Google, who: str = ADMIN, scope: str = USERS_READ_SCOPE) -> Any:
    """Return the resource `users` of google-api-python-client, for a service account.

    The account acts for the user `who`, or for itself where that is empty.
    """
    untyped_class: Any = Credentials
    credentials = untyped_class.from_service_account_info(
        double.tokens.add_service_account(), scopes=[scope], subject=who or None
    )
    options = {"api_endpoint": f"{double.url}/"}
    return build(
        "admin", "directory_v1", credentials=credentials, client_options=options, static_discovery=True
    ).users()


def list_addresses(resource: Any, **parameters: Any) -> list[str]:
    """Return the addresses of the users on all pages of a list."""
    addresses: list[str] = []
    request = resource.list(**{**OWN_CUSTOMER, **parameters})
    while request is not None:
        page = request.execute()
        addresses += [user["primaryEmail"] for user in page.get("users", ())]
        request = resource.list_next(request, page)
    return addresses


def test_google_client_reads_all_pages_of_users(double: Google) -> None:
    for number in range(5):
        double.users.add(f"p{number}@corp.example")
    resource = build_resource(double)
    five_and_admin = 6
    assert len(list_addresses(resource, maxResults=2)) == len(set(list_addresses(resource))) == five_and_admin
    page = resource.list(**OWN_CUSTOMER, maxResults=2).execute()
    assert page["kind"] == "admin#directory#users" and len(page["users"]) == 2 and page["nextPageToken"]
    double.users.max_page_size = 1
    assert len(resource.list(**OWN_CUSTOMER).execute()["users"]) == 1


def test_deleted_users_are_listed_apart_from_suspended_and_archived_ones(double: Google) -> None:
    suspended = double.users.add("s@corp.example", suspended=True, suspensionReason="ADMIN")
    double.users.add("a@corp.example", archived=True)
    deleted = double.users.add("g@corp.example")
    double.users.delete(deleted)
    resource = build_resource(double)
    assert list_addresses(resource) == [ADMIN, "s@corp.example", "a@corp.example"]
    assert list_addresses(resource, showDeleted="true") == ["g@corp.example"]
    assert resource.get(userKey=suspended).execute()["suspensionReason"] == "ADMIN"


def test_an_empty_list_has_no_field_users(double: Google) -> None:
    assert "users" not in build_resource(double).list(**OWN_CUSTOMER, query="isSuspended=true").execute()


def test_a_list_needs_a_customer_or_a_domain_and_prefers_the_domain(double: Google) -> None:
    double.users.add("x@other.example")
    resource = build_resource(double)
    assert execute_refused(resource.list()) == (400, "badRequest")
    assert list_addresses(resource, domain="other.example") == ["x@other.example"]
    assert execute_refused(resource.list(domain="nowhere.example")) == (404, "notFound")
    assert execute_refused(resource.list(customer="C0somebody")) == (403, "forbidden")


@pytest.mark.parametrize("size", [0, 501])
def test_a_page_size_is_from_one_to_five_hundred(double: Google, size: int) -> None:
    assert execute_refused(build_resource(double).list(**OWN_CUSTOMER, maxResults=size))[0] == 400


def test_a_page_token_lasts_three_days_and_belongs_to_its_list(double: Google) -> None:
    clock = double.users.clock = SteppedClock(utcnow())
    double.users.add("x@corp.example")
    resource = build_resource(double)
    token = resource.list(**OWN_CUSTOMER, maxResults=1).execute()["nextPageToken"]
    assert resource.list(**OWN_CUSTOMER, maxResults=1, pageToken=token).execute()["users"]
    assert execute_refused(resource.list(**OWN_CUSTOMER, maxResults=1, pageToken=token, orderBy="email")) == (
        400,
        "invalid",
    )
    assert execute_refused(resource.list(**OWN_CUSTOMER, pageToken="made-up")) == (400, "invalid")
    clock.advance(timedelta(days=3))
    assert execute_refused(resource.list(**OWN_CUSTOMER, maxResults=1, pageToken=token)) == (400, "invalid")


def test_users_who_are_no_administrators_read_public_fields_only(double: Google) -> None:
    double.users.add("sam@corp.example", manager=ADMIN)
    as_sam = build_resource(double, "sam@corp.example")
    assert execute_refused(as_sam.list(**OWN_CUSTOMER)) == (403, "forbidden")
    [_, sam] = as_sam.list(**OWN_CUSTOMER, viewType="domain_public").execute()["users"]
    assert sam["name"]["fullName"] == "Sam" and "relations" not in sam
    assert execute_refused(build_resource(double, who="").list(**OWN_CUSTOMER)) == (400, "invalid")


def test_a_scope_or_user_without_delegation_gets_no_token(double: Google) -> None:
    for resource in (
        build_resource(double, scope=USERS_READ_SCOPE.removesuffix(".readonly")),
        build_resource(double, "nobody@corp.example"),
    ):
        with pytest.raises(RefreshError) as error_info:
            resource.list(**OWN_CUSTOMER).execute()
        assert error_info.value.args[1]["error"] in ("unauthorized_client", "invalid_grant")
    calendar_scope = "https://www.googleapis.com/auth/calendar"
    double.tokens.granted_scopes.add(calendar_scope)  # the token is issued, but does not allow to read users
    assert execute_refused(build_resource(double, scope=calendar_scope).list(**OWN_CUSTOMER)) == (
        403,
        "insufficientPermissions",
    )


def test_one_user_is_found_by_id_address_or_alias(double: Google) -> None:
    sam = double.users.add(
        "sam@corp.example", aliases=["Samuel@corp.example"], nonEditableAliases=["sam@alias.example"]
    )
    resource = build_resource(double)
    for key in (sam, "SAM@corp.example", "samuel@corp.example", "sam@alias.example"):
        assert resource.get(userKey=key).execute()["id"] == sam
    assert execute_refused(resource.get(userKey="nobody@corp.example")) == (404, "notFound")


def test_fields_and_projections_select_the_fields_of_users(double: Google) -> None:
    relations = [{"value": "BOSS@corp.example", "type": "manager"}, {"value": "x", "type": "assistant"}]
    sam = double.users.add("sam@corp.example", relations=relations, customSchemas={"hr": {"grade": 3}, "it": {}})
    resource = build_resource(double)
    fields = "nextPageToken,users(id,name/fullName,relations)"
    page = resource.list(**OWN_CUSTOMER, query="email=sam@corp.example", fields=fields).execute()
    assert page == {"users": [{"id": sam, "name": {"fullName": "Sam"}, "relations": relations}]}
    assert execute_refused(resource.list(**OWN_CUSTOMER, fields="users(salary)"))[0] == 400
    assert "customSchemas" not in resource.get(userKey=sam).execute()
    assert resource.get(userKey=sam, projection="full").execute()["customSchemas"].keys() == {"hr", "it"}
    custom = resource.get(userKey=sam, projection="custom", customFieldMask="hr").execute()
    assert custom["customSchemas"] == {"hr": {"grade": 3}}
    assert execute_refused(resource.get(userKey=sam, customFieldMask="hr"))[0] == 400


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
    assert [address.partition("@")[0] for address in list_addresses(build_resource(double), query=query)] == expected


@pytest.mark.parametrize("query", ["shoeSize=3", "orgUnitPath:x", "isSuspended=maybe", "name=", "'"])
def test_an_invalid_query_is_refused(double: Google, query: str) -> None:
    assert execute_refused(build_resource(double).list(**OWN_CUSTOMER, query=query)) == (400, "invalid")


def test_lists_are_ordered_either_way(double: Google) -> None:
    for name in ("Bo Zane", "Zoe abel"):
        double.users.add(f"{name[:2].casefold()}@corp.example", name)
    resource = build_resource(double)
    assert list_addresses(resource, orderBy="givenName") == [ADMIN, "bo@corp.example", "zo@corp.example"]
    by_name = list_addresses(resource, orderBy="familyName", sortOrder="DESCENDING")
    assert by_name == ["bo@corp.example", ADMIN, "zo@corp.example"]


def test_deleting_a_user_is_refused(double: Google) -> None:
    assert execute_refused(build_resource(double).delete(userKey=ADMIN))[0] == 405
