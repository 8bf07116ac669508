"""The double of Google refuses what Google refuses. Otherwise tests that use the double would prove nothing."""

import base64
import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import requests

from tests.doubles.google import Google
from tests.support import ROOT
from tests.support.companies import DANA, SAM
from tests.support.terminal import Terminal
from worker.providers.google.auth import EVENTS_READ_SCOPE, FREE_BUSY_SCOPE, GMAIL_SEND_SCOPE, OWNED_EVENTS_SCOPE

TIMES = {"start": {"dateTime": "2027-03-09T10:00:00Z"}, "end": {"dateTime": "2027-03-09T11:00:00Z"}}
EVENTS = "/calendar/v3/calendars/primary/events"


@pytest.fixture(scope="module")
def double() -> Iterator[Google]:
    """The double, with two people, for all tests of this module."""
    with Google() as running:
        for person in (DANA, SAM):
            running.calendars.add_person(person)
        yield running


@pytest.fixture
def client(double: Google) -> Any:
    """A function that sends a request as Dana. It returns the status, and the reason of a refusal or an empty text."""

    def send(
        verb: str, path: str, body: Any = None, scope: str = OWNED_EVENTS_SCOPE, **headers: str
    ) -> tuple[int, str]:
        token = double.tokens.issue_token(DANA, {scope})
        all_headers = {"Authorization": f"Bearer {token['access_token']}", **headers}
        answer = requests.request(verb, double.url + path, json=body, headers=all_headers, timeout=10)
        content = answer.json() if answer.content else {}
        return answer.status_code, content["error"]["errors"][0]["reason"] if "error" in content else ""

    return send


def make_mail_body(text: str) -> dict[str, str]:
    """Return the body of a request that sends this mail."""
    return {"raw": base64.urlsafe_b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({**TIMES, "colour": "red"}, "badRequest"),
        ({**TIMES, "summary": 7}, "badRequest"),
        ({**TIMES, "guestsCanModify": "no"}, "badRequest"),
        ({**TIMES, "transparency": "glass"}, "badRequest"),
        ({**TIMES, "id": "UPPER-case"}, "invalid"),
        ({**TIMES, "id": "abcd"}, "invalid"),  # an id has five characters at least
        ({**TIMES, "id": "abcde", "iCalUID": "x"}, "invalid"),  # both ids
        ({"start": TIMES["start"]}, "required"),
        ({**TIMES, "start": {"dateTime": "2027-03-09T10:00:00"}}, "required"),
        ({**TIMES, "end": {"date": "2027-03-10"}}, "invalid"),
        ({"start": TIMES["end"], "end": TIMES["start"]}, "timeRangeEmpty"),
        (
            {**TIMES, "reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 1}] * 6}},
            "invalid",
        ),
        ({**TIMES, "reminders": {"overrides": [{"method": "popup", "minutes": 40321}]}}, "invalid"),  # over four weeks
        ({**TIMES, "attendees": [{"displayName": "Sam"}]}, "invalid"),
        ({**TIMES, "eventType": "outOfOffice", "description": "gone"}, "invalid"),
        ({**TIMES, "eventType": "fromGmail"}, "invalid"),
    ],
)
def test_an_event_with_invalid_fields_is_refused(client: Any, body: dict[str, Any], reason: str) -> None:
    assert client("POST", EVENTS, body) == (400, reason)


@pytest.mark.parametrize(
    ("query", "answer"),
    [
        ("?colour=red", (400, "badRequest")),
        ("?maxResults=many", (400, "invalidParameter")),
        ("?singleEvents=yes", (400, "invalidParameter")),
        ("?timeMin=2027-03-09T10:00:00", (400, "badRequest")),
        ("?timeMin=2027-03-09T10:00:00Z&timeMax=2027-03-09T10:00:00Z", (400, "timeRangeEmpty")),
        ("?orderBy=startTime", (400, "badRequest")),
        ("?fields=items(id,colour)", (400, "invalidParameter")),
        ("?syncToken=never-given", (410, "fullSyncRequired")),
        ("?syncToken=x&timeMin=2027-03-09T10:00:00Z", (400, "badRequest")),
        ("?syncToken=x&showDeleted=false", (400, "badRequest")),
        ("?singleEvents=true&orderBy=startTime", (200, "")),
    ],
)
def test_invalid_parameters_of_a_list_are_refused(client: Any, query: str, answer: tuple[int, str]) -> None:
    assert client("GET", EVENTS + query) == answer


@pytest.mark.parametrize(
    ("verb", "path", "body", "scope", "status"),
    [
        ("POST", EVENTS, TIMES, EVENTS_READ_SCOPE, 403),
        ("POST", EVENTS, TIMES, FREE_BUSY_SCOPE, 403),
        ("POST", EVENTS, TIMES, OWNED_EVENTS_SCOPE, 200),
        (
            "POST",
            "/calendar/v3/freeBusy",
            {"timeMin": "2027-03-09T10:00:00Z", "timeMax": "2027-03-09T11:00:00Z"},
            OWNED_EVENTS_SCOPE,
            403,
        ),
        (
            "POST",
            "/calendar/v3/freeBusy",
            {"timeMin": "2027-03-09T10:00:00Z", "timeMax": "2027-03-09T11:00:00Z"},
            FREE_BUSY_SCOPE,
            200,
        ),
        ("POST", "/calendar/v3/freeBusy", {"timeMin": "2027-03-09T10:00:00Z"}, FREE_BUSY_SCOPE, 400),
        (
            "POST",
            "/gmail/v1/users/me/messages/send",
            make_mail_body("To: sam@corp.example\n\nHi"),
            GMAIL_SEND_SCOPE,
            200,
        ),
        (
            "POST",
            "/gmail/v1/users/me/messages/send",
            make_mail_body("To: sam@corp.example\n\nHi"),
            OWNED_EVENTS_SCOPE,
            403,
        ),
        ("POST", "/gmail/v1/users/me/drafts/send", {"id": "d1"}, GMAIL_SEND_SCOPE, 403),
        ("GET", "/gmail/v1/users/me/messages?q=rfc822msgid:x", None, GMAIL_SEND_SCOPE, 403),
        ("GET", "/gmail/v1/users/me/messages?q=x", None, "https://www.googleapis.com/auth/gmail.metadata", 403),
        ("POST", "/gmail/v1/users/me/messages/send", make_mail_body("Subject: to nobody\n\nHi"), GMAIL_SEND_SCOPE, 400),
        ("POST", "/gmail/v1/users/me/messages/send", {"raw": "a+b/"}, GMAIL_SEND_SCOPE, 400),  # not base64url
        ("GET", "/calendar/v3/nothing", None, OWNED_EVENTS_SCOPE, 404),
    ],
)
def test_each_method_needs_one_of_its_scopes(
    client: Any, verb: str, path: str, body: Any, scope: str, status: int
) -> None:
    """Scopes for events do not allow free/busy queries; `gmail.send` allows neither reading nor drafts."""
    assert client(verb, path, body, scope)[0] == status


def test_an_outdated_etag_and_a_deleted_event_are_refused(client: Any) -> None:
    assert client("POST", EVENTS, {**TIMES, "id": "talk1"})[0] == 200
    assert client("PATCH", f"{EVENTS}/talk1", {"summary": "x"}, **{"If-Match": '"outdated"'}) == (
        412,
        "conditionNotMet",
    )
    assert client("DELETE", f"{EVENTS}/talk1")[0] == 204
    assert client("DELETE", f"{EVENTS}/talk1") == (410, "deleted")
    assert client("PATCH", f"{EVENTS}/talk1", {"summary": "x"}) == (403, "forbidden")
    assert client("POST", EVENTS, {**TIMES, "id": "talk1"}) == (409, "duplicate")


def test_a_service_account_that_acts_for_itself_can_not_invite(double: Google) -> None:
    own_token = double.tokens.issue_token(DANA, {OWNED_EVENTS_SCOPE}, service_account=True)
    headers = {"Authorization": f"Bearer {own_token['access_token']}"}
    answer = requests.post(
        double.url + EVENTS, json={**TIMES, "attendees": [{"email": SAM}]}, headers=headers, timeout=10
    )
    assert answer.json()["error"]["errors"][0]["reason"] == "forbiddenForServiceAccounts"


def test_the_fifty_first_calendar_of_a_query_is_refused(client: Any, double: Google) -> None:
    body = {"timeMin": "2027-03-09T10:00:00Z", "timeMax": "2027-03-09T11:00:00Z"}
    items = [{"id": f"p{n}@corp.example"} for n in range(51)]
    token = double.tokens.issue_token(DANA, {FREE_BUSY_SCOPE})
    headers = {"Authorization": f"Bearer {token['access_token']}"}
    url = f"{double.url}/calendar/v3/freeBusy"
    calendars = requests.post(url, json={**body, "items": items}, headers=headers, timeout=10).json()["calendars"]
    # its error is another than that of the first fifty, who have no calendar here
    assert calendars["p50@corp.example"]["errors"][0]["reason"] == "tooManyCalendarsRequested"
    assert calendars["p0@corp.example"]["errors"][0]["reason"] == "notFound"


def test_the_program_runs_on_a_double_that_was_started_as_a_command(fresh_terminal: Terminal) -> None:
    """As the documentation says: start the double, copy the settings that it prints, and run `longarc check`."""
    people = [f"{DANA}=Europe/Berlin", SAM, "longarc@corp.example"]
    command = [sys.executable, "-m", "tests.doubles.google", "--port", "0", *people]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(command, cwd=fresh_terminal.folder, env=env, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        settings_text = ""
        while "# For `longarc connect" not in settings_text:  # the last line, after the settings
            settings_text += child.stdout.readline()
        tomllib.loads(settings_text)
        mail = '[mail]\nfrom = "longarc@corp.example"\noperator_by = "google"\n'
        settings = settings_text.replace("[mailers.google]", '[mailers.google]\nsender = "longarc@corp.example"')
        fresh_terminal.write(
            "longarc.toml", f'database = "{fresh_terminal.url}"\noperator = "ops@corp.example"\n{mail}{settings}'
        )
        columns = "Europe/Berlin,DE,google,google"
        head = "email,name,manager,time_zone,country,calendar,mail"
        fresh_terminal.write("people.csv", f"{head}\n{DANA},Dana,,{columns}\n{SAM},Sam,{DANA},{columns}\n")
        findings = {finding["what"]: finding["ok"] for finding in fresh_terminal.json_of("check")}
        assert all(findings.values())
        assert {
            f"{DANA}'s calendar can be reached",
            f"The free/busy of {DANA} can be read",
            f"The time of {SAM} can be read",
            "longarc@corp.example can send mail by Gmail",
        } <= findings.keys()
    finally:
        child.terminate()  # not SIGINT, which a process ignores that a script has started in the background
        child.wait(10)
        child.stdout.close()
    assert Path(fresh_terminal.folder, "google-key.json").stat().st_mode & 0o077 == 0
