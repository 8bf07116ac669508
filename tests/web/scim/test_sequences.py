"""Any sequence of pushes leaves what it says, whatever the order: against a model that knows nothing of SCIM."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.pushing import ENTERPRISE, MANAGER, Directory, PushedCompany, make_user, open_company

NAMES = ("ann@x.example", "bo@x.example", "cy@x.example")
#: Where an attribute of the model stands in a PATCH.
PATHS = {
    "name": "displayName",
    "active": "active",
    "work": 'emails[type eq "work"].value',
    "country": 'addresses[type eq "work"].country',
    "group": f"{ENTERPRISE}:department",
    "manager": MANAGER,
}
WORDS = st.sampled_from(["x", "Änne Ōe", "7", "a b"])
OTHERS = {**dict.fromkeys([*PATHS][1:], WORDS), "active": st.sampled_from([True, False])}
VALUES = {"name": WORDS, **OTHERS}

CREATES = st.tuples(st.just("POST"), st.sampled_from(NAMES), st.fixed_dictionaries({"name": WORDS}))
REPLACES = st.tuples(st.just("PUT"), st.sampled_from(NAMES), st.fixed_dictionaries({"name": WORDS}, optional=OTHERS))
CHANGES = st.tuples(st.just("PATCH"), st.sampled_from(NAMES), st.fixed_dictionaries({}, optional=VALUES))
REMOVALS = st.tuples(st.just("REMOVE"), st.sampled_from(NAMES), st.sampled_from([*PATHS]))
DELETES = st.tuples(st.just("DELETE"), st.sampled_from(NAMES), st.none())
SEQUENCES = st.lists(st.one_of(CREATES, REPLACES, CHANGES, CHANGES, REMOVALS, DELETES), max_size=14)


@pytest.fixture(scope="module")
def company(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PushedCompany]:
    folder: Path = tmp_path_factory.mktemp("pushed")
    opened = open_company(f"sqlite:///{folder / 'longarc.db'}", people=folder / "people.csv")
    yield opened
    opened.close()


def write_user(name: str, told: dict[str, Any]) -> dict[str, Any]:
    """Return a person of whom that is told, as SCIM has one."""
    user = make_user(name, told["name"], told.get("manager", ""), told.get("group", ""))
    work = {"emails": [{"type": "work", "value": told["work"]}]} if "work" in told else {"emails": []}
    country = {"addresses": [{"type": "work", "country": told["country"]}]} if "country" in told else {}
    return {**user, **work, **country, "active": told.get("active", True)}


def read_user(user: dict[str, Any]) -> dict[str, Any]:
    """Return what the server tells of a person, in the model's words."""
    company = user.get(ENTERPRISE, {})
    work = [email.get("value") for email in user.get("emails", ()) if email.get("type") == "work"]
    country = [address.get("country") for address in user.get("addresses", ()) if address.get("type") == "work"]
    told = {
        "name": user.get("displayName"),
        "active": user.get("active"),
        "work": next(iter(work), None),
        "country": next(iter(country), None),
        "group": company.get("department"),
        "manager": company.get("manager", {}).get("value"),
    }
    return {name: value for name, value in told.items() if value is not None}


def push(directory: Directory, model: dict[str, dict[str, Any]], kind: str, name: str, told: Any) -> None:
    """Push once, and do the same to the model."""
    path, is_there = f"/Users/{directory.ids.get(name, 'nobody')}", name in model
    if kind == "POST":
        assert directory.create(write_user(name, told)).status_code == (409 if is_there else 201)
        model.setdefault(name, {"active": True, **told})
        return
    if kind == "PUT":
        answer = directory.send("PUT", path, write_user(name, told))
        changed = {"active": True, **told}
    elif kind == "PATCH":
        operations = [{"op": "Replace", "path": PATHS[key], "value": value} for key, value in told.items()]
        answer = directory.send("PATCH", path, {"Operations": operations or [{"op": "Add", "value": {}}]})
        changed = {**model.get(name, {}), **told}
    elif kind == "REMOVE":
        answer = directory.send("PATCH", path, {"Operations": [{"op": "Remove", "path": PATHS[told]}]})
        changed = {key: value for key, value in model.get(name, {}).items() if key != told}
    else:
        answer = directory.send("DELETE", path)
        assert answer.status_code == (204 if is_there else 404)
        model.pop(name, None)
        return
    assert answer.status_code == (200 if is_there else 404), answer.text
    if is_there:
        model[name] = changed


@given(sequence=SEQUENCES)
@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_the_server_has_what_was_pushed(company: PushedCompany, sequence: list[tuple[str, str, Any]]) -> None:
    directory, model = company.directory, dict[str, dict[str, Any]]()
    for kind, name, told in sequence:
        push(directory, model, kind, name, told)
    listed = directory.body(directory.send("GET", "/Users"))["Resources"]
    assert {user["userName"]: read_user(user) for user in listed} == model
    for user in listed:
        directory.send("DELETE", f"/Users/{user['id']}")
    directory.ids.clear()
