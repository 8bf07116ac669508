"""After any sequence of pushes, the server has the same people as a model that is a plain dictionary."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.pushing import ENTERPRISE, MANAGER, Directory, PushedCompany, make_user, open_company

NAMES = ("ann@x.example", "bo@x.example", "cy@x.example")
#: The path of each attribute of the model in a PATCH request.
PATHS = {
    "name": "displayName",
    "active": "active",
    "work": 'emails[type eq "work"].value',
    "country": 'addresses[type eq "work"].country',
    "group": f"{ENTERPRISE}:department",
    "manager": MANAGER,
}
#: Texts of any attribute.
WORDS = st.sampled_from(["x", "Änne Ōe", "7", "a b"])
#: The values of each attribute except for the name, which each person has; then of all.
OTHERS = {**dict.fromkeys([*PATHS][1:], WORDS), "active": st.sampled_from([True, False])}
VALUES = {"name": WORDS, **OTHERS}

#: A push: its kind, the user name, and its content as `push` takes it.
CREATES = st.tuples(st.just("POST"), st.sampled_from(NAMES), st.fixed_dictionaries({"name": WORDS}))
REPLACES = st.tuples(st.just("PUT"), st.sampled_from(NAMES), st.fixed_dictionaries({"name": WORDS}, optional=OTHERS))
CHANGES = st.tuples(st.just("PATCH"), st.sampled_from(NAMES), st.fixed_dictionaries({}, optional=VALUES))
REMOVALS = st.tuples(st.just("REMOVE"), st.sampled_from(NAMES), st.sampled_from([*PATHS]))
DELETES = st.tuples(st.just("DELETE"), st.sampled_from(NAMES), st.none())
# changes are twice as frequent as the others
SEQUENCES = st.lists(st.one_of(CREATES, REPLACES, CHANGES, CHANGES, REMOVALS, DELETES), max_size=14)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushedCompany]:
    folder: Path = tmp_path_factory.mktemp("pushed")
    pushed_company = open_company(f"sqlite:///{folder / 'longarc.db'}", people=folder / "people.csv")
    yield pushed_company
    pushed_company.close()


def make_scim_user(name: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """Return the SCIM resource of a person with these attributes of the model."""
    user = make_user(name, attributes["name"], attributes.get("manager", ""), attributes.get("group", ""))
    work = {"emails": [{"type": "work", "value": attributes["work"]}]} if "work" in attributes else {"emails": []}
    country = {"addresses": [{"type": "work", "country": attributes["country"]}]} if "country" in attributes else {}
    return {**user, **work, **country, "active": attributes.get("active", True)}


def read_attributes(user: dict[str, Any]) -> dict[str, Any]:
    """Return the attributes of the model that a SCIM resource has."""
    enterprise = user.get(ENTERPRISE, {})  # the attributes of the extension for enterprises
    work = [email.get("value") for email in user.get("emails", ()) if email.get("type") == "work"]
    country = [address.get("country") for address in user.get("addresses", ()) if address.get("type") == "work"]
    attributes = {
        "name": user.get("displayName"),
        "active": user.get("active"),
        "work": next(iter(work), None),
        "country": next(iter(country), None),
        "group": enterprise.get("department"),
        "manager": enterprise.get("manager", {}).get("value"),
    }
    return {name: value for name, value in attributes.items() if value is not None}


def push(directory: Directory, model: dict[str, dict[str, Any]], kind: str, name: str, content: Any) -> None:
    """Send one push, and change the model in the same way.

    `content`: attributes, the name of an attribute for REMOVE, nothing for DELETE.
    """
    path, exists = f"/Users/{directory.ids.get(name, 'nobody')}", name in model
    if kind == "POST":
        assert directory.create(make_scim_user(name, content)).status_code == (409 if exists else 201)
        model.setdefault(name, {"active": True, **content})
        return
    if kind == "PUT":
        answer = directory.send("PUT", path, make_scim_user(name, content))
        new_attributes = {"active": True, **content}
    elif kind == "PATCH":
        operations = [{"op": "Replace", "path": PATHS[key], "value": value} for key, value in content.items()]
        answer = directory.send("PATCH", path, {"Operations": operations or [{"op": "Add", "value": {}}]})
        new_attributes = {**model.get(name, {}), **content}
    elif kind == "REMOVE":
        answer = directory.send("PATCH", path, {"Operations": [{"op": "Remove", "path": PATHS[content]}]})
        new_attributes = {key: value for key, value in model.get(name, {}).items() if key != content}
    else:
        answer = directory.send("DELETE", path)
        assert answer.status_code == (204 if exists else 404)
        model.pop(name, None)
        return
    assert answer.status_code == (200 if exists else 404), answer.text
    if exists:
        model[name] = new_attributes


@given(sequence=SEQUENCES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_server_has_exactly_the_people_of_the_model(
    company: PushedCompany, sequence: list[tuple[str, str, Any]]
) -> None:
    directory, model = company.directory, dict[str, dict[str, Any]]()
    for kind, name, content in sequence:
        push(directory, model, kind, name, content)
    listed_users = directory.body(directory.send("GET", "/Users"))["Resources"]
    assert {user["userName"]: read_attributes(user) for user in listed_users} == model
    for user in listed_users:
        directory.send("DELETE", f"/Users/{user['id']}")
    directory.ids.clear()
