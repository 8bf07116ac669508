"""The requests of Microsoft Entra and Okta, also where they deviate from the standard, and the answers they expect.

The requests follow the vendors' documentation and reports of users.
"""

from typing import Any

import pytest

from tests.support.pushing import ENTERPRISE, MANAGER, USER, Directory, make_user

ANN, BO = "ann@x.example", "bo@x.example"


@pytest.fixture
def people_directory(directory: Directory) -> Directory:
    """A directory that has pushed Ann and Bo."""
    for address in (ANN, BO):
        assert directory.create(make_user(address)).status_code == 201
    return directory


def change_bo(people_directory: Directory, *operations: dict[str, Any]) -> dict[str, Any]:
    """Change Bo, and return him."""
    answer = people_directory.patch(BO, *operations)
    assert answer.status_code == 200, answer.text
    assert people_directory.body(answer) == people_directory.get(BO)
    return people_directory.get(BO)


# --- people without their managers ----------------------------------------------------------------------------------


def test_the_connection_test_of_entra_finds_nobody(directory: Directory) -> None:
    answer = directory.send("GET", "/Users", filter='userName eq "5f1f4f0c-6b5c-4f0e-8d3a-2b1b5d1d3c11"')
    body = directory.body(answer)
    assert (answer.status_code, body["totalResults"], body["Resources"]) == (200, 0, [])


def test_the_connection_test_of_okta_counts_and_lists_people(people_directory: Directory) -> None:
    assert people_directory.body(people_directory.send("GET", "/Users", startIndex="1", count="0"))["totalResults"] == 2
    pages = [
        people_directory.body(people_directory.send("GET", "/Users", startIndex=start_index, count="1"))
        for start_index in ("1", "2", "3")
    ]
    assert [(page["startIndex"], page["itemsPerPage"], page["totalResults"]) for page in pages] == [
        (1, 1, 2),
        (2, 1, 2),
        (3, 0, 2),
    ]
    assert {user["userName"] for page in pages for user in page["Resources"]} == {ANN, BO}


def test_there_are_no_groups_and_a_pushed_group_is_refused(directory: Directory) -> None:
    list_answer = directory.send("GET", "/Groups", startIndex="1", count="100")
    assert (list_answer.status_code, directory.body(list_answer)["totalResults"]) == (200, 0)
    assert directory.send("GET", "/Groups/7").status_code == 404
    push_answer = directory.send("POST", "/Groups", {"displayName": "Staff"})
    assert push_answer.status_code == 501 and "Provision users only" in push_answer.text


@pytest.mark.parametrize(
    "filter_text",
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
def test_every_filter_that_directories_use_finds_the_person(people_directory: Directory, filter_text: str) -> None:
    assert people_directory.find(filter_text) == [BO]


def test_a_search_can_be_sent_as_post_request(people_directory: Directory) -> None:
    body = {"filter": f'userName eq "{BO}"', "startIndex": 1, "count": 5, "attributes": ["userName"]}
    answer = people_directory.send("POST", "/Users/.search", body)
    (bo,) = people_directory.body(answer)["Resources"]
    assert (bo["userName"], "emails" in bo) == (BO, False)


def test_a_person_is_found_by_id_and_returned_with_chosen_attributes(people_directory: Directory) -> None:
    assert people_directory.find(f'id eq "{people_directory.ids[BO]}"') == [BO]
    assert people_directory.find('id eq "nobody"') == []
    assert sorted(people_directory.find(f'userName eq "{BO}" or userName eq "{ANN}"')) == [ANN, BO]
    user_name_only = people_directory.body(
        people_directory.send("GET", f"/Users/{people_directory.ids[BO]}", attributes="userName")
    )
    assert user_name_only["userName"] == BO and "emails" not in user_name_only
    without_emails = people_directory.body(
        people_directory.send("GET", f"/Users/{people_directory.ids[BO]}", excludedAttributes="emails")
    )
    assert "emails" not in without_emails and without_emails["displayName"] == "bo"


def test_a_second_person_with_the_same_user_name_is_refused(people_directory: Directory) -> None:
    create_answer = people_directory.send("POST", "/Users", make_user(BO.upper()))
    assert (
        create_answer.status_code,
        people_directory.body(create_answer)["scimType"],
        people_directory.body(create_answer)["status"],
    ) == (
        409,
        "uniqueness",
        "409",
    )
    change_answer = people_directory.patch(BO, {"op": "Replace", "path": "userName", "value": ANN})
    assert (change_answer.status_code, people_directory.get(BO)["userName"]) == (409, BO)


def test_attributes_that_the_roster_does_not_need_are_dropped(directory: Directory) -> None:
    unused_attributes: dict[str, Any] = {
        "title": "Chief",
        "phoneNumbers": [{"type": "mobile", "value": "1"}],
        "password": "secret",
        "roles": [],
    }
    assert (
        directory.create({**make_user(ANN), **unused_attributes, "urn:okta:x:1.0:user:x": {"y": 1}}).status_code == 201
    )
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
    "make_value",
    [
        lambda person_id: person_id,
        lambda person_id: [{"value": person_id}],
        lambda person_id: {"value": person_id},
        lambda person_id: [{"$ref": f"../Users/{person_id}", "value": person_id}],
        lambda person_id: {"$ref": f"https://longarc.corp.example/scim/v2/Users/{person_id}"},
    ],
)
def test_a_manager_is_accepted_in_every_form_that_directories_send(
    people_directory: Directory, op: str, make_value: Any
) -> None:
    bo = change_bo(people_directory, {"op": op, "path": MANAGER, "value": make_value(people_directory.ids[ANN])})
    assert bo[ENTERPRISE]["manager"] == {"value": people_directory.ids[ANN]}


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "Remove", "path": MANAGER},
        {"op": "Remove", "path": MANAGER, "value": "some id"},
        {"op": "Remove", "path": MANAGER, "value": [{"value": "some id"}]},
        {"op": "Replace", "path": MANAGER, "value": ""},
        {"op": "Replace", "path": MANAGER, "value": None},
        {"op": "Add", "path": MANAGER, "value": {"value": ""}},
    ],
)
def test_a_manager_can_be_removed_in_every_form_that_directories_send(
    people_directory: Directory, operation: dict[str, Any]
) -> None:
    change_bo(people_directory, {"op": "Add", "path": MANAGER, "value": people_directory.ids[ANN]})
    assert ENTERPRISE not in change_bo(people_directory, operation)
    assert ENTERPRISE not in change_bo(people_directory, operation), "the second removal changed something"


def test_a_manager_need_not_exist_yet(people_directory: Directory) -> None:
    assert change_bo(people_directory, {"op": "Add", "path": MANAGER, "value": "later"})[ENTERPRISE]["manager"] == {
        "value": "later"
    }


def test_two_managers_are_refused(people_directory: Directory) -> None:
    answer = people_directory.patch(BO, {"op": "Add", "path": MANAGER, "value": [{"value": "1"}, {"value": "2"}]})
    assert answer.status_code == 400 and "one manager" in answer.text


# --- changes and deletions ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("value", ["False", "false", False, [{"value": "False"}]])
def test_a_person_can_be_deactivated_in_every_form(people_directory: Directory, value: Any) -> None:
    assert change_bo(people_directory, {"op": "Replace", "path": "active", "value": value})["active"] is False


def test_okta_replaces_all_attributes_of_a_person_in_one_request(people_directory: Directory) -> None:
    assert change_bo(people_directory, {"op": "replace", "value": {"active": False}})["active"] is False
    user = make_user(BO, "Bo Roe", people_directory.ids[ANN], "Design", id=people_directory.ids[BO], externalId=4711)
    answer = people_directory.send("PUT", f"/Users/{people_directory.ids[BO]}", user)
    assert answer.status_code == 200
    bo = people_directory.get(BO)
    assert (bo["displayName"], bo["externalId"], bo["active"]) == ("Bo Roe", "4711", True)
    assert bo[ENTERPRISE] == {"department": "Design", "manager": {"value": people_directory.ids[ANN]}}


def test_entra_changes_several_attributes_in_one_value(people_directory: Directory) -> None:
    value = {"displayName": "Bo", "name.givenName": "Bo", f"{ENTERPRISE}:department": "Design", MANAGER: "m1"}
    bo = change_bo(people_directory, {"op": "Add", "value": value})
    assert (bo["displayName"], bo["name"]) == ("Bo", {"givenName": "Bo"})
    assert bo[ENTERPRISE] == {"department": "Design", "manager": {"value": "m1"}}


def test_paths_with_filters_change_and_add_values(people_directory: Directory) -> None:
    bo = change_bo(
        people_directory,
        {"op": "Replace", "path": 'emails[type eq "work"].value', "value": "bo.roe@x.example"},
        {"op": "Add", "path": 'emails[type eq "other"].value', "value": "b@x.example"},
        {"op": "Add", "path": 'addresses[type eq "work"].country', "value": "DE"},
    )
    assert [email["value"] for email in bo["emails"]] == ["bo.roe@x.example", "b@x.example"]
    assert bo["addresses"] == [{"type": "work", "country": "DE"}]
    bo = change_bo(people_directory, {"op": "Remove", "path": 'emails[type eq "other"]'})
    assert [email["value"] for email in bo["emails"]] == ["bo.roe@x.example"]


def test_a_text_in_a_list_of_values_is_unwrapped(people_directory: Directory) -> None:
    assert change_bo(
        people_directory, {"op": "Add", "path": "timezone", "value": [{"$ref": None, "value": "Europe/Berlin"}]}
    )["timezone"] == ("Europe/Berlin")


def test_a_change_to_the_same_value_does_not_count_as_a_push(people_directory: Directory) -> None:
    before = people_directory.get(BO)["meta"]
    change_bo(people_directory, {"op": "Replace", "path": "active", "value": "True"})
    assert people_directory.get(BO)["meta"] == before


def test_a_change_with_one_invalid_operation_changes_nothing(people_directory: Directory) -> None:
    answer = people_directory.patch(
        BO,
        {"op": "replace", "path": "displayName", "value": "x"},
        {"op": "replace", "path": "active", "value": "maybe"},
    )
    body = people_directory.body(answer)
    assert (body["status"], body["scimType"], body["detail"]) == (
        "400",
        "invalidValue",
        "active: Input should be a valid boolean, unable to interpret input",
    )
    assert people_directory.get(BO)["displayName"] == "bo"


def test_a_deleted_person_is_gone_and_can_be_created_again(people_directory: Directory) -> None:
    path = f"/Users/{people_directory.ids[BO]}"
    first, second = people_directory.send("DELETE", path), people_directory.send("DELETE", path)
    assert (first.status_code, first.text, second.status_code) == (204, "", 404)
    assert people_directory.create(make_user(BO)).status_code == 201


def test_a_change_based_on_an_older_version_is_refused(people_directory: Directory) -> None:
    path, body = f"/Users/{people_directory.ids[BO]}", make_user(BO, "New")
    etag = people_directory.send("GET", path).headers["ETag"]
    headers = {"Authorization": f"Bearer {people_directory.token}", "If-Match": etag}
    first = people_directory.client.put(f"/scim/v2{path}", json=body, headers=headers)
    second = people_directory.client.put(f"/scim/v2{path}", json={**body, "displayName": "Newer"}, headers=headers)
    assert (first.status_code, second.status_code) == (200, 412)
