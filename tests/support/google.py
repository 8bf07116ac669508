"""The requests that Google's double received, and grants of people to it."""

from pathlib import Path
from typing import Any

from tests.doubles.google import Google
from worker.domain.model import Span
from worker.providers.google.auth import ACCOUNT_SCOPES, TokenFolder

#: Methods of the Google APIs, as the double names them.
LIST, INSERT, PATCH, DELETE, GET = (f"calendar.events.{name}" for name in ("list", "insert", "patch", "delete", "get"))

QUERY, SENDING = "calendar.freebusy.query", "gmail.users.messages.send"


def connect(double: Google, section: dict[str, Any], who: str, *scopes: str) -> None:
    """Have that person grant these scopes to the client, or all scopes, and store the token.

    `section` is the section of the settings for accounts that grant access themselves.
    """
    token = double.tokens.refresh_token(who, set(scopes or ACCOUNT_SCOPES))
    TokenFolder(Path(section["token_folder"]), section["keys"]).save(who, token)


def methods(double: Google) -> list[str]:
    """Return the method of each request that the double received."""
    return [request.method for request in double.requests]


def calls(double: Google, method: str) -> list[Any]:
    """Return the requests of that method that the double received."""
    return [request.call for request in double.requests if request.method == method]


def google_times(when: Span) -> dict[str, Any]:
    """Return start and end as Google writes them, in UTC."""
    return {
        name: {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "timeZone": "UTC"}
        for name, moment in (("start", when.start), ("end", when.end))
    }
