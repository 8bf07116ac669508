"""The sync tokens of the Calendar API, and what each of them stands for."""

import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.doubles.google.listing import FIXED_IN_SYNC
from tests.doubles.google.schema import Refusal, bad_request


@dataclass(slots=True)
class SyncState:
    """What a sync token stands for."""

    calendar: str
    change_number: int  #: of the last change that the client has seen
    since: datetime | None  #: `timeMin` of the first list
    parameters: dict[str, Any]  #: those of the first list that have to stay the same


class SyncStates:
    """The sync tokens that were issued and have not expired."""

    def __init__(self) -> None:
        self._states: dict[str, SyncState] = {}  #: by sync token

    def issue_token(self, calendar: str, change_number: int, parameters: Mapping[str, Any]) -> str:
        """Return a new token for the answer to a list with these parameters."""
        earlier_token = parameters.get("syncToken")
        since = self._states[earlier_token].since if earlier_token else parameters.get("timeMin")
        fixed = {name: parameters.get(name) for name in FIXED_IN_SYNC}
        token = secrets.token_urlsafe(12)
        self._states[token] = SyncState(calendar, change_number, since, fixed)
        return token

    def find(self, calendar: str, parameters: Mapping[str, Any]) -> SyncState:
        """Return what `syncToken` stands for. Raises Refusal for an unknown token, and for parameters that changed."""
        state = self._states.get(parameters["syncToken"])
        if state is None or state.calendar != calendar:
            message = "Sync token is no longer valid, a full sync is required."
            where = ("parameter", "syncToken")
            raise Refusal(410, "fullSyncRequired", message, domain="calendar", location=where)
        for name in FIXED_IN_SYNC:
            if (state.parameters[name] or False) != (parameters.get(name) or False):
                raise bad_request("The parameters are not those of the first request.", "badRequest", name)
        return state

    def expire(self, calendar: str) -> None:
        """Expire every token of the calendar."""
        self._states = {token: state for token, state in self._states.items() if state.calendar != calendar}
