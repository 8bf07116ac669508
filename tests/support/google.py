"""The requests that Google's double received, its refusals to a client of Google, and grants of people to it."""

import json
from pathlib import Path
from typing import Any

import pytest
from googleapiclient.errors import HttpError

from tests.doubles.google import Google
from worker.domain.model import Span
from worker.providers.google.auth import ACCOUNT_SCOPES, TokenFolder

# API methods of Google, as the double names them
EVENTS_DELETE = "calendar.events.delete"
EVENTS_GET = "calendar.events.get"
EVENTS_INSERT = "calendar.events.insert"
EVENTS_LIST = "calendar.events.list"
EVENTS_PATCH = "calendar.events.patch"
FREE_BUSY_QUERY = "calendar.freebusy.query"
MAIL_SEND = "gmail.users.messages.send"


def connect(double: Google, section: dict[str, Any], who: str, *scopes: str) -> None:
    """Have that person grant the client these scopes, or all that Longarc asks for, and store the token.

    `section` is the section of the settings for accounts that grant access themselves.
    """
    token = double.tokens.issue_refresh_token(who, set(scopes or ACCOUNT_SCOPES))
    TokenFolder(Path(section["token_folder"]), section["keys"]).save(who, token)


def requested_methods(double: Google) -> list[str]:
    """Return the API method of each request that the double received, in order."""
    return [request.method for request in double.requests]


def calls_of(double: Google, method: str) -> list[Any]:
    """Return the requests of that API method that the double received, in order."""
    return [request.call for request in double.requests if request.method == method]


def google_times(when: Span) -> dict[str, Any]:
    """Return start and end as Google writes them, in UTC."""
    return {
        name: {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "timeZone": "UTC"}
        for name, moment in (("start", when.start), ("end", when.end))
    }


def execute_refused(request: Any) -> tuple[int, str]:
    """Execute a request of google-api-python-client that is refused, and return the status and the reason."""
    with pytest.raises(HttpError) as error_info:
        request.execute()
    return error_info.value.resp.status, str(json.loads(error_info.value.content)["error"]["errors"][0]["reason"])
