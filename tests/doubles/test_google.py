"""The stand-in for Google refuses what Google refuses: else nothing that passes on it would mean anything."""

import base64
import json
import os
import signal
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

WHEN = {"start": {"dateTime": "2027-03-09T10:00:00Z"}, "end": {"dateTime": "2027-03-09T11:00:00Z"}}
EVENTS = "/calendar/v3/calendars/primary/events"


@pytest.fixture(scope="module")
def double() -> Iterator[Google]:
    with Google() as running:
        for person in (DANA, SAM):
            running.calendars.add_person(person)
        yield running


@pytest.fixture
def ask(double: Google) -> Any:
    def asked(
        verb: str, path: str, body: Any = None, scope: str = OWNED_EVENTS_SCOPE, **headers: str
    ) -> tuple[int, str]:
        grant = double.tokens.issue_token(DANA, {scope})
        sent = {"Authorization": f"Bearer {grant['access_token']}", **headers}
        answer = requests.request(verb, double.url + path, json=body, headers=sent, timeout=10)
        told = answer.json() if answer.content else {}
        return answer.status_code, told["error"]["errors"][0]["reason"] if "error" in told else ""

    return asked


def raw(text: str) -> dict[str, str]:
    return {"raw": base64.urlsafe_b64encode(text.encode()).decode()}


@pytest.mark.parametrize(
    ("body", "reason"),
    [
        ({**WHEN, "colour": "red"}, "badRequest"),
        ({**WHEN, "summary": 7}, "badRequest"),
        ({**WHEN, "guestsCanModify": "no"}, "badRequest"),
        ({**WHEN, "transparency": "glass"}, "badRequest"),
        ({**WHEN, "id": "UPPER-case"}, "invalid"),
        ({**WHEN, "id": "abcd"}, "invalid"),
        ({**WHEN, "id": "abcde", "iCalUID": "x"}, "invalid"),
        ({"start": WHEN["start"]}, "required"),
        ({**WHEN, "start": {"dateTime": "2027-03-09T10:00:00"}}, "required"),
        ({**WHEN, "end": {"date": "2027-03-10"}}, "invalid"),
        ({"start": WHEN["end"], "end": WHEN["start"]}, "timeRangeEmpty"),
        ({**WHEN, "reminders": {"useDefault": False, "overrides": [{"method": "popup", "minutes": 1}] * 6}}, "invalid"),
        ({**WHEN, "reminders": {"overrides": [{"method": "popup", "minutes": 40321}]}}, "invalid"),
        ({**WHEN, "attendees": [{"displayName": "Sam"}]}, "invalid"),
        ({**WHEN, "eventType": "outOfOffice", "description": "gone"}, "invalid"),
        ({**WHEN, "eventType": "fromGmail"}, "invalid"),
    ],
)
def test_an_event_that_google_would_not_take(ask: Any, body: dict[str, Any], reason: str) -> None:
    assert ask("POST", EVENTS, body) == (400, reason)


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
def test_a_question_that_google_would_not_answer(ask: Any, query: str, answer: tuple[int, str]) -> None:
    assert ask("GET", EVENTS + query) == answer


@pytest.mark.parametrize(
    ("verb", "path", "body", "scope", "status"),
    [
        ("POST", EVENTS, WHEN, EVENTS_READ_SCOPE, 403),
        ("POST", EVENTS, WHEN, FREE_BUSY_SCOPE, 403),
        ("POST", EVENTS, WHEN, OWNED_EVENTS_SCOPE, 200),
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
        ("POST", "/gmail/v1/users/me/messages/send", raw("To: sam@corp.example\n\nHi"), GMAIL_SEND_SCOPE, 200),
        ("POST", "/gmail/v1/users/me/messages/send", raw("To: sam@corp.example\n\nHi"), OWNED_EVENTS_SCOPE, 403),
        ("POST", "/gmail/v1/users/me/drafts/send", {"id": "d1"}, GMAIL_SEND_SCOPE, 403),
        ("GET", "/gmail/v1/users/me/messages?q=rfc822msgid:x", None, GMAIL_SEND_SCOPE, 403),
        ("GET", "/gmail/v1/users/me/messages?q=x", None, "https://www.googleapis.com/auth/gmail.metadata", 403),
        ("POST", "/gmail/v1/users/me/messages/send", raw("Subject: to nobody\n\nHi"), GMAIL_SEND_SCOPE, 400),
        ("POST", "/gmail/v1/users/me/messages/send", {"raw": "a+b/"}, GMAIL_SEND_SCOPE, 400),
        ("GET", "/calendar/v3/nothing", None, OWNED_EVENTS_SCOPE, 404),
    ],
)
def test_each_method_wants_its_scope(ask: Any, verb: str, path: str, body: Any, scope: str, status: int) -> None:
    """`calendar.events` and its like do not reach free/busy; `gmail.send` neither reads nor sends drafts."""
    assert ask(verb, path, body, scope)[0] == status


def test_a_version_that_is_not_there_any_more_is_refused(ask: Any) -> None:
    assert ask("POST", EVENTS, {**WHEN, "id": "version1"})[0] == 200
    assert ask("PATCH", f"{EVENTS}/version1", {"summary": "x"}, **{"If-Match": '"1"'}) == (412, "conditionNotMet")
    assert ask("DELETE", f"{EVENTS}/version1")[0] == 204
    assert ask("DELETE", f"{EVENTS}/version1") == (410, "deleted")
    assert ask("PATCH", f"{EVENTS}/version1", {"summary": "x"}) == (403, "forbidden")
    assert ask("POST", EVENTS, {**WHEN, "id": "version1"}) == (409, "duplicate")


def test_a_service_account_by_itself_invites_nobody(double: Google) -> None:
    robot = double.tokens.issue_token(DANA, {OWNED_EVENTS_SCOPE}, service_account=True)
    sent = {"Authorization": f"Bearer {robot['access_token']}"}
    answer = requests.post(double.url + EVENTS, json={**WHEN, "attendees": [{"email": SAM}]}, headers=sent, timeout=10)
    assert answer.json()["error"]["errors"][0]["reason"] == "forbiddenForServiceAccounts"


def test_fifty_one_calendars_are_one_too_many(ask: Any, double: Google) -> None:
    body = {"timeMin": "2027-03-09T10:00:00Z", "timeMax": "2027-03-09T11:00:00Z"}
    items = [{"id": f"p{n}@corp.example"} for n in range(51)]
    grant = double.tokens.issue_token(DANA, {FREE_BUSY_SCOPE})
    sent = {"Authorization": f"Bearer {grant['access_token']}"}
    url = f"{double.url}/calendar/v3/freeBusy"
    told = requests.post(url, json={**body, "items": items}, headers=sent, timeout=10).json()["calendars"]
    assert told["p50@corp.example"]["errors"][0]["reason"] == "tooManyCalendarsRequested"
    assert told["p0@corp.example"]["errors"][0]["reason"] == "notFound"


def test_started_by_hand_the_whole_program_runs_against_it(fresh_terminal: Terminal) -> None:
    """As README says: start it, take its settings over, and `check` finds everything well."""
    people = [f"{DANA}=Europe/Berlin", SAM, "longarc@corp.example"]
    started = [sys.executable, "-m", "tests.doubles.google", "--port", "0", *people]
    env = {**os.environ, "PYTHONPATH": str(ROOT)}
    child = subprocess.Popen(started, cwd=fresh_terminal.folder, env=env, stdout=subprocess.PIPE, text=True)
    assert child.stdout is not None
    try:
        told = ""
        while "# For `longarc connect" not in told:
            told += child.stdout.readline()
        tomllib.loads(told)
        mail = '[mail]\nfrom = "longarc@corp.example"\noperator_by = "google"\n'
        told = told.replace("[mailers.google]", '[mailers.google]\nsender = "longarc@corp.example"')
        fresh_terminal.write(
            "longarc.toml", f'database = "{fresh_terminal.url}"\noperator = "ops@corp.example"\n{mail}{told}'
        )
        both = "Europe/Berlin,DE,google,google"
        head = "email,name,manager,time_zone,country,calendar,mail"
        fresh_terminal.write("people.csv", f"{head}\n{DANA},Dana,,{both}\n{SAM},Sam,{DANA},{both}\n")
        found = json.loads(fresh_terminal.output_of("check", "--json"))
        assert len(found["findings"] if isinstance(found, dict) else found) > 10
    finally:
        child.send_signal(signal.SIGINT)
        child.wait(10)
        child.stdout.close()
    assert Path(fresh_terminal.folder, "google-key.json").stat().st_mode & 0o077 == 0
