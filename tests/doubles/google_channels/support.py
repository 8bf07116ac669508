"""A client that opens and stops channels by plain HTTP, and what reaches the listener."""

from datetime import timedelta
from typing import Any

import requests

from tests.doubles.google import Google
from tests.doubles.google.channels import Channels
from tests.support.channel_contract import PUBLIC, Listener
from tests.support.companies import DANA
from worker.clock import utcnow
from worker.providers.google.auth import OWNED_EVENTS_SCOPE

NOW = utcnow()
WATCH = "/calendar/v3/calendars/primary/events/watch"
STOP = "/calendar/v3/channels/stop"
WEEK = timedelta(days=7)  #: the longest lifetime of a channel
WEEK_IN_SECONDS = "604800"
#: The body of a request that opens a channel.
CHANNEL = {"id": "c1", "type": "web_hook", "address": f"{PUBLIC}/hook?x=1", "token": "secret"}


class PlainClient:
    """Sends POST requests by plain HTTP, as Dana unless `who` is another person."""

    def __init__(self, double: Google) -> None:
        self._double = double

    def __call__(
        self, path: str, body: dict[str, Any], scope: str = OWNED_EVENTS_SCOPE, who: str = DANA
    ) -> requests.Response:
        token = self._double.tokens.issue_token(who, {scope})["access_token"]
        headers = {"Authorization": f"Bearer {token}"}
        return requests.post(self._double.url + path, json=body, headers=headers, timeout=10)

    def open(self, **fields: Any) -> dict[str, Any]:
        """Open a channel, and return the answer. `fields` replace those of `CHANNEL`."""
        answer = self(WATCH, {**CHANNEL, **fields})
        assert answer.status_code == 200, answer.text
        content: dict[str, Any] = answer.json()
        return content

    def stop(self, channel: dict[str, Any], **options: Any) -> int:
        """Stop a channel, and return the status of the answer. `options` are arguments of `__call__`."""
        return self(STOP, {"id": channel["id"], "resourceId": channel["resourceId"]}, **options).status_code


def list_states(channels: Channels, listener: Listener) -> list[str]:
    """Wait until no notification is due, and return the states of those received."""
    channels.settle()
    return [request.headers["X-Goog-Resource-State"] for request in listener.requests]


def list_numbers(channels: Channels, listener: Listener) -> list[int]:
    """Wait until no notification is due, and return the numbers of those received."""
    channels.settle()
    return [int(request.headers["X-Goog-Message-Number"]) for request in listener.requests]


def read_refusal(answer: requests.Response) -> tuple[int, str]:
    """Return the status and the reason of a refusal."""
    return answer.status_code, str(answer.json()["error"]["errors"][0]["reason"])
