"""What Microsoft Entra and Okta send, also where it is not what the standard says; and what they expect back.

The requests are written after the vendors' pages and reports from the field.
"""

from typing import Any

import pytest

from tests.support.pushing import ENTERPRISE, MANAGER, USER, Directory, make_user

ANN, BO = "ann@x.example", "bo@x.example"


@pytest.fixture
def people(directory: Directory) -> Directory:
    """Ann, and Bo."""
    for address in (ANN, BO):
        assert directory.create(make_user(address)).status_code == 201
    return directory


def change(people: Directory, *operations: dict[str, Any]) -> dict[str, Any]:
    """Change Bo, and return him."""
    answer = people.patch(BO, *operations)
    assert answer.status_code == 200, answer.text
    assert people.body(answer) == people.get(BO)
    return people.get(BO)


# --- before and while people are pushed -----------------------------------------------------------------------------


def test_the_connection_test_of_entra_finds_nobody(directory: Directory) -> None:
    answer = directory.send("GET", "/Users", filter='userName eq "5f1f4f0c-6b5c-4f0e-8d3a-2b1b5d1d3c11"')
    body = directory.body(answer)
    assert (answer.status_code, body["totalResults"], body["Resources"]) == (200, 0, [])


def test_the_connection_test_of_okta_counts_and_lists(people: Directory) -> None:
    assert people.body(people.send("GET", "/Users", startIndex="1", count="0"))["totalResults"] == 2
    pages = [people.body(people.send("GET", "/Users", startIndex=first, count="1")) for first in ("1", "2", "3")]
    assert [(page["startIndex"], page["itemsPerPage"], page["totalResults"]) for page in pages] == [
        (1, 1, 2),
        (2, 1, 2),
        (3, 0, 2),
    ]
    assert {user["userName"] for page in pages for user in page["Resources"]} == {ANN, BO}


def test_groups_are_none_and_can_not_be_pushed(directory: Directory) -> None:
    listed = directory.send("GET", "/Groups", startIndex="1", count="100")
    assert (listed.status_code, directory.body(listed)["totalResults"]) == (200, 0)
    assert directory.send("GET", "/Groups/7").status_code == 404
    refused = directory.send("POST", "/Groups", {"displayName": "Staff"})
    assert refused.status_code == 501 and "Provision users only" in refused.text


@pytest.mark.parametrize(
    "text",
    [
        'userName eq "BO@x.example"',
        f'externalId eq "x-{BO}"',
        f'userName eq "{BO}" and active eq true',
        f'externalId eq "x-{BO}" and userName eq "{BO}"',
        f'emails[type eq "work"].value eq "{BO}"',
        f'emails.value eq "{BO}"',
        f'{USER}:userName eq "{BO}"',
        'userName sw "bo"',
    ],
)
def test_a_person_is_found_in_every_way_of_asking(people: Directory, text: str) -> None:
    assert people.find(text) == [BO]


def test_a_search_may_be_posted(people: Directory) -> None:
    body = {"filter": f'userName eq "{BO}"', "startIndex": 1, "count": 5, "attributes": ["userName"]}
    answer = people.send("POST", "/Users/.search", body)
    (bo,) = people.body(answer)["Resources"]
    assert (bo["userName"], "emails" in bo) == (BO, False)


def test_a_person_is_found_by_id_and_read_in_part(people: Directory) -> None:
    assert people.find(f'id eq "{people.ids[BO]}"') == [BO]
    assert people.find('id eq "nobody"') == []
    assert sorted(people.find(f'userName eq "{BO}" or userName eq "{ANN}"')) == [ANN, BO]
    part = people.body(people.send("GET", f"/Users/{people.ids[BO]}", attributes="userName"))
    assert part["userName"] == BO and "emails" not in part
    rest = people.body(people.send("GET", f"/Users/{people.ids[BO]}", excludedAttributes="emails"))
    assert "emails" not in rest and rest["displayName"] == "bo"


def test_a_user_name_is_given_once(people: Directory) -> None:
    again = people.send("POST", "/Users", make_user(BO.upper()))
    assert (again.status_code, people.body(again)["scimType"], people.body(again)["status"]) == (
        409,
        "uniqueness",
        "409",
    )
    taken = people.patch(BO, {"op": "Replace", "path": "userName", "value": ANN})
    assert (taken.status_code, people.get(BO)["userName"]) == (409, BO)


def test_what_the_roster_does_not_need_is_dropped(directory: Directory) -> None:
    extra: dict[str, Any] = {
        "title": "Chief",
        "phoneNumbers": [{"type": "mobile", "value": "1"}],
        "password": "secret",
        "roles": [],
    }
    assert directory.create({**make_user(ANN), **extra, "urn:okta:x:1.0:user:x": {"y": 1}}).status_code == 201
    operations = [
        {"op": "Replace", "path": "title", "value": "Boss"},
        {"op": "Add", "path": 'phoneNumbers[type eq "work"].value', "value": "2"},
        {"op": "Replace", "path": f"{ENTERPRISE}:costCenter", "value": "3"},
        {"op": "Replace", "path": "urn:okta:x:1.0:user:x:y", "value": "4"},
    ]
    assert directory.patch(ANN, *operations).status_code == 200
    ann = directory.get(ANN)
    assert set(ann) == {"schemas", "id", "externalId", "meta", "userName", "displayName", "active", "emails"}


# --- managers -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("op", ["Add", "add", "Replace", "replace"])
@pytest.mark.parametrize(
    "shape",
    [
        lambda person_id: person_id,
        lambda person_id: [{"value": person_id}],
        lambda person_id: {"value": person_id},
        lambda person_id: [{"$ref": f"../Users/{person_id}", "value": person_id}],
        lambda person_id: {"$ref": f"https://longarc.corp.example/scim/v2/Users/{person_id}"},
    ],
)
def test_a_manager_comes_in_many_shapes(people: Directory, op: str, shape: Any) -> None:
    bo = change(people, {"op": op, "path": MANAGER, "value": shape(people.ids[ANN])})
    assert bo[ENTERPRISE]["manager"] == {"value": people.ids[ANN]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Remove", "path": MANAGER},
        {"op": "Remove", "path": MANAGER, "value": "whoever"},
        {"op": "Remove", "path": MANAGER, "value": [{"value": "whoever"}]},
        {"op": "Replace", "path": MANAGER, "value": ""},
        {"op": "Replace", "path": MANAGER, "value": None},
        {"op": "Add", "path": MANAGER, "value": {"value": ""}},
    ],
)
def test_a_manager_is_taken_away(people: Directory, operation: dict[str, Any]) -> None:
    change(people, {"op": "Add", "path": MANAGER, "value": people.ids[ANN]})
    assert ENTERPRISE not in change(people, operation)
    assert ENTERPRISE not in change(people, operation), "a second time changes nothing"


def test_a_manager_may_come_later(people: Directory) -> None:
    assert change(people, {"op": "Add", "path": MANAGER, "value": "later"})[ENTERPRISE]["manager"] == {"value": "later"}


def test_two_managers_are_refused(people: Directory) -> None:
    answer = people.patch(BO, {"op": "Add", "path": MANAGER, "value": [{"value": "1"}, {"value": "2"}]})
    assert answer.status_code == 400 and "one manager" in answer.text


# --- everything else ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["False", "false", False, [{"value": "False"}]])
def test_somebody_leaves(people: Directory, value: Any) -> None:
    assert change(people, {"op": "Replace", "path": "active", "value": value})["active"] is False


def test_okta_changes_the_whole_person_at_once(people: Directory) -> None:
    assert change(people, {"op": "replace", "value": {"active": False}})["active"] is False
    user = make_user(BO, "Bo Roe", people.ids[ANN], "Design", id=people.ids[BO], externalId=4711)
    answer = people.send("PUT", f"/Users/{people.ids[BO]}", user)
    assert answer.status_code == 200
    bo = people.get(BO)
    assert (bo["displayName"], bo["externalId"], bo["active"]) == ("Bo Roe", "4711", True)
    assert bo[ENTERPRISE] == {"department": "Design", "manager": {"value": people.ids[ANN]}}


def test_entra_changes_many_things_in_one_value(people: Directory) -> None:
    value = {"displayName": "Bo", "name.givenName": "Bo", f"{ENTERPRISE}:department": "Design", MANAGER: "m1"}
    bo = change(people, {"op": "Add", "value": value})
    assert (bo["displayName"], bo["name"]) == ("Bo", {"givenName": "Bo"})
    assert bo[ENTERPRISE] == {"department": "Design", "manager": {"value": "m1"}}


def test_paths_with_filters_change_and_add_values(people: Directory) -> None:
    bo = change(
        people,
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "bo.roe@x.example"},
        {"op": "Add", "path": 'emails[type eq "other"].value', "value": "b@x.example"},
        {"op": "Add", "path": 'addresses[type eq "work"].country', "value": "DE"},
    )
    assert [email["value"] for email in bo["emails"]] == ["bo.roe@x.example", "b@x.example"]
    assert bo["addresses"] == [{"type": "work", "country": "DE"}]
    bo = change(people, {"op": "Remove", "path": 'emails[type eq "other"]'})
    assert [email["value"] for email in bo["emails"]] == ["bo.roe@x.example"]


def test_texts_come_wrapped(people: Directory) -> None:
    assert change(people, {"op": "Add", "path": "timezone", "value": [{"$ref": None, "value": "Europe/Berlin"}]})[
        "timezone"
    ] == ("Europe/Berlin")


def test_a_change_that_changes_nothing_is_no_push(people: Directory) -> None:
    before = people.get(BO)["meta"]
    change(people, {"op": "Replace", "path": "active", "value": "True"})
    assert people.get(BO)["meta"] == before


def test_a_change_that_fails_half_way_changes_nothing(people: Directory) -> None:
    answer = people.patch(
        BO,
        {"op": "replace", "path": "displayName", "value": "x"},
        {"op": "replace", "path": "active", "value": "maybe"},
    )
    body = people.body(answer)
    assert (body["status"], body["scimType"], body["detail"]) == (
        "400",
        "invalidValue",
        "active: Input should be a valid boolean, unable to interpret input",
    )
    assert people.get(BO)["displayName"] == "bo"


def test_somebody_is_deleted_once(people: Directory) -> None:
    path = f"/Users/{people.ids[BO]}"
    first, second = people.send("DELETE", path), people.send("DELETE", path)
    assert (first.status_code, first.text, second.status_code) == (204, "", 404)
    assert people.create(make_user(BO)).status_code == 201


def test_a_version_guards_a_change(people: Directory) -> None:
    path, body = f"/Users/{people.ids[BO]}", make_user(BO, "New")
    etag = people.send("GET", path).headers["ETag"]
    headers = {"Authorization": f"Bearer {people.token}", "If-Match": etag}
    first = people.client.put(f"/scim/v2{path}", json=body, headers=headers)
    second = people.client.put(f"/scim/v2{path}", json={**body, "displayName": "Newer"}, headers=headers)
    assert (first.status_code, second.status_code) == (200, 412)
