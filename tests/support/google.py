"""What was asked of Google's double, and grants of people to it."""

from pathlib import Path
from typing import Any

from tests.doubles.google import Google
from worker.domain.model import Span
from worker.providers.google.auth import ACCOUNT_SCOPES, TokenFolder

LIST, INSERT, PATCH, DELETE, GET = (f"calendar.events.{one}" for one in ("list", "insert", "patch", "delete", "get"))

QUERY, SENDING = "calendar.freebusy.query", "gmail.users.messages.send"


def connect(double: Google, alone: dict[str, Any], who: str, *scopes: str) -> None:
    """Have that person grant these scopes to the client, all of them unless some are named."""
    token = double.tokens.refresh_token(who, set(scopes or ACCOUNT_SCOPES))
    TokenFolder(Path(alone["token_folder"]), alone["keys"]).save(who, token)


def methods(double: Google) -> list[str]:
    """The method of each request that the double received."""
    return [request.method for request in double.requests]


def calls(double: Google, method: str) -> list[Any]:
    """The requests of that method that the double received."""
    return [request.call for request in double.requests if request.method == method]


def google_times(when: Span) -> dict[str, Any]:
    """Start and end as Google writes them, in UTC."""
    return {
        name: {"dateTime": f"{moment:%Y-%m-%dT%H:%M:%SZ}", "timeZone": "UTC"}
        for name, moment in (("start", when.start), ("end", when.end))
    }
