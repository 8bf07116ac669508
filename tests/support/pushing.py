"""A company whose people a directory pushes by SCIM: a worker with its web pages, and that directory."""

import json
from dataclasses import dataclass, field
from typing import Any

from flask.testing import FlaskClient
from pydantic import SecretStr
from werkzeug.test import TestResponse

from tests.support.companies import BASE_URL, SERVICE, START, new_store, settings
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.web.app import make_app

TOKEN, OTHER_TOKEN = "t" * 40, "u" * 40
USER = "urn:ietf:params:scim:schemas:core:2.0:User"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
MANAGER = f"{ENTERPRISE}:manager"


def make_user(address: str, name: str = "", manager: str = "", group: str = "", **more: Any) -> dict[str, Any]:
    """Return the SCIM resource of a person, as a directory sends it."""
    work = {**({"department": group} if group else {}), **({"manager": {"value": manager}} if manager else {})}
    user = {
        "schemas": [USER, ENTERPRISE],
        "userName": address,
        "externalId": f"x-{address}",
        "active": True,
        "displayName": name or address.partition("@")[0],
        "emails": [{"value": address, "type": "work", "primary": True}],
        "meta": {"resourceType": "User"},
        **more,
    }
    return {**user, ENTERPRISE: work} if work else user


@dataclass
class Directory:
    """A directory that pushes to the pages with a token."""

    client: FlaskClient
    token: str = TOKEN
    ids: dict[str, str] = field(default_factory=dict)  #: the id that the server gave each person, by address

    def send(self, method: str, path: str, body: Any = None, **query: Any) -> TestResponse:
        """Send a request to a path below `/scim/v2`."""
        headers = {"Authorization": f"Bearer {self.token}", "Content-Type": "application/scim+json; charset=utf-8"}
        data = body if isinstance(body, bytes) else json.dumps(body).encode() if body is not None else None
        return self.client.open(f"/scim/v2{path}", method=method, data=data, headers=headers, query_string=query)

    def create(self, user: dict[str, Any]) -> TestResponse:
        """Create a person, and remember the id."""
        answer = self.send("POST", "/Users", user)
        if answer.status_code == 201:
            self.ids[user["userName"]] = self.body(answer)["id"]
        return answer

    def get(self, address: str) -> dict[str, Any]:
        """Return a person as the server has it."""
        answer = self.send("GET", f"/Users/{self.ids[address]}")
        assert answer.status_code == 200
        return self.body(answer)

    def patch(self, address: str, *operations: dict[str, Any]) -> TestResponse:
        """Send these operations of SCIM for a person."""
        body = {"schemas": [PATCH_OP], "Operations": list(operations)}
        return self.send("PATCH", f"/Users/{self.ids[address]}", body)

    def find(self, filter_text: str) -> list[str]:
        """Return the user names of the people whom a SCIM filter matches."""
        answer = self.send("GET", "/Users", filter=filter_text)
        assert answer.status_code == 200, answer.text
        return [user["userName"] for user in self.body(answer)["Resources"]]

    @staticmethod
    def body(answer: TestResponse) -> dict[str, Any]:
        """Return the JSON of an answer."""
        assert answer.content_type.partition(";")[0] == "application/scim+json"
        content = json.loads(answer.text)
        assert isinstance(content, dict)
        return content


@dataclass
class PushedCompany:
    """A worker whose people are pushed, with a clock that the test moves."""

    worker: Worker
    clock: SteppedClock
    directory: Directory

    def close(self) -> None:
        self.worker.close()


def open_company(url: str, *, has_tables: bool = False, **fields: Any) -> PushedCompany:
    """Return the company, with nobody in it yet. `fields`: further settings."""
    clock = SteppedClock(START)
    roster = {"source": "scim", "calendar": SERVICE, "mail": SERVICE, "time_zone": "Europe/Berlin", "country": "DE"}
    tokens = (SecretStr(TOKEN), SecretStr(OTHER_TOKEN))
    company_settings = settings(url, **{"roster": roster, "base_url": BASE_URL, "scim_tokens": tokens, **fields})
    store = new_store(url)
    if not has_tables:
        store.create_tables()
    worker = build(company_settings, clock, store=store)
    worker.services.use(calendars={SERVICE: MemoryCalendar()}, mailers={SERVICE: MemoryMailer()})
    return PushedCompany(worker, clock, Directory(make_app(worker).test_client()))
