"""The server against tools that others wrote: a tester of SCIM servers, and a client."""

from typing import Any

import pytest
from scim2_client.engines.wsgi import WSGISCIMClient
from scim2_models import NotFoundException, SearchRequest, UniquenessException
from scim2_tester import Status, check_server

from tests.support.pushing import BASE, ENTERPRISE, TOKEN, PushedCompany


def connect(company: PushedCompany) -> WSGISCIMClient:
    app = company.directory.client.application
    return WSGISCIMClient(app, f"{BASE}/scim/v2", {"Authorization": f"Bearer {TOKEN}"})


def test_the_tester_finds_nothing_wrong(company: PushedCompany) -> None:
    results = check_server(connect(company))
    wrong = [f"{one.title}: {one.reason}" for one in results if one.status is not Status.SUCCESS]
    assert wrong == []
    assert {"crud:create", "crud:read", "crud:update", "crud:delete", "discovery"} <= {
        tag for one in results for tag in one.tags
    }


def test_a_client_pushes_changes_lists_and_deletes(company: PushedCompany) -> None:
    client: Any = connect(company)  # it knows the classes of people only once it has asked the server
    client.discover()
    model = client.provider.model_for("User")
    ann = client.create(model(user_name="ann@x.example", display_name="Ann"))
    bo = client.create(model.model_validate({"userName": "bo@x.example", ENTERPRISE: {"manager": {"value": ann.id}}}))
    with pytest.raises(UniquenessException):
        client.create(model(user_name="ANN@x.example"))
    ann.display_name = "Änne"
    assert client.replace(ann).display_name == "Änne"
    search: SearchRequest[Any] = SearchRequest.model_validate({"filter": 'userName eq "Bo@x.example"', "count": 5})
    found = client.query(model, query_parameters=search)
    assert [one.id for one in found.resources] == [bo.id]
    client.delete(model, bo.id)
    with pytest.raises(NotFoundException):
        client.query(model, bo.id)
