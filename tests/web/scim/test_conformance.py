"""The SCIM server with tools of another project: a tester of servers, and a client."""

from typing import Any

import pytest
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_models import NotFoundException, SearchRequest, UniquenessException
from scim2_tester import Status, check_server

from tests.support.companies import BASE_URL
from tests.support.pushing import ENTERPRISE, TOKEN, PushedCompany


def make_client(company: PushedCompany) -> WSGISCIMClient:
    app = company.directory.client.application
    return WSGISCIMClient(app, f"{BASE_URL}/scim/v2", {"Authorization": f"Bearer {TOKEN}"})


def test_the_scim_tester_finds_no_error(company: PushedCompany) -> None:
    results = check_server(make_client(company))
    errors = [f"{result.title}: {result.reason}" for result in results if result.status is not Status.SUCCESS]
    assert errors == []
    assert {"crud:create", "crud:read", "crud:update", "crud:delete", "discovery"} <= {
        tag for result in results for tag in result.tags
    }


def test_a_scim_client_can_create_change_find_and_delete_people(company: PushedCompany) -> None:
    client: Any = make_client(company)  # mypy can't know the class of people, which the client learns from the server
    client.discover()
    model = client.provider.model_for("User")
    ann = client.create(model(user_name="ann@x.example", display_name="Ann"))
    bo = client.create(model.model_validate({"userName": "bo@x.example", ENTERPRISE: {"manager": {"value": ann.id}}}))
    with pytest.raises(UniquenessException):
        client.create(model(user_name="ANN@x.example"))
    ann.display_name = "Änne"
    assert client.replace(ann).display_name == "Änne"
    search: SearchRequest[Any] = SearchRequest.model_validate({"filter": 'userName eq "Bo@x.example"', "count": 5})
    answer = client.query(model, query_parameters=search)
    assert [person.id for person in answer.resources] == [bo.id]
    client.delete(model, bo.id)
    with pytest.raises(NotFoundException):
        client.query(model, bo.id)
