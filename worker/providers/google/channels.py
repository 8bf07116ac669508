"""Google's watch channels: through one, Google posts to our address whenever a calendar changes.

A channel is opened and closed as the person whose calendar it watches, with the scope that reads it. Google can
neither list nor prolong channels: the next one is opened, with an id of its own, before this one is closed. In between,
each change is notified through both.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.clock import SUPPORTED_YEARS
from worker.errors import InvalidResponse, NotFound
from worker.providers.base import Channel, OpenedChannel
from worker.providers.google.auth import OWNED_EVENTS_SCOPE
from worker.providers.google.client import GoogleApi, SyncTokenExpired
from worker.providers.google.notifications import MAX_RESOURCE_ID_LENGTH

#: The lifetime that is requested for a channel: the longest that Google allows. Its default may be an hour.
_REQUESTED_LIFETIME = timedelta(days=7)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class GoogleChannels:
    """What makes a calendar on the Google Calendar API a NotifyingCalendar."""

    _api: GoogleApi

    def open_channel(self, channel: Channel) -> OpenedChannel:
        """Open the channel. Google tries the address only afterwards: one that can't be reached is not refused. Raises
        Conflict when the id was used before, Forbidden with the remedy when Google refuses the address or the
        calendar."""
        body = {
            "id": channel.id,
            "type": "web_hook",
            "address": channel.url,
            "token": channel.token,
            "params": {"ttl": str(int(_REQUESTED_LIFETIME.total_seconds()))},
        }
        request = self._api.service.events().watch(calendarId="primary", body=body)
        answer = self._api.execute(channel.calendar, OWNED_EVENTS_SCOPE, request)
        return OpenedChannel(_read_resource_id(answer, channel), _read_expiration(answer, channel))

    def renew_channel(self, channel: Channel) -> OpenedChannel | None:
        """Return None: Google can't prolong a channel."""

    def close_channel(self, channel: Channel) -> None:
        """Close the channel. Does nothing when it was never open, or is gone already."""
        if not channel.remote_id:
            return
        body = {"id": channel.id, "resourceId": channel.remote_id}
        try:
            self._api.execute(channel.calendar, OWNED_EVENTS_SCOPE, self._api.service.channels().stop(body=body))
        except (NotFound, SyncTokenExpired):  # any 410
            return


def _read_resource_id(answer: Mapping[str, Any], channel: Channel) -> str:
    resource_id = answer.get("resourceId")
    if not isinstance(resource_id, str) or not 0 < len(resource_id) <= MAX_RESOURCE_ID_LENGTH:
        raise InvalidResponse(f"{channel.calendar}: Google opened a channel, but does not say for what.")
    return resource_id


def _read_expiration(answer: Mapping[str, Any], channel: Channel) -> datetime:
    """Return the end that Google set, which may be earlier than what was asked for."""
    try:
        expires_at = _EPOCH + timedelta(seconds=int(answer["expiration"]) // 1000)
    except (KeyError, TypeError, ValueError, OverflowError):
        expires_at = _EPOCH
    if expires_at.year not in SUPPORTED_YEARS:
        raise InvalidResponse(f"{channel.calendar}: Google opened a channel, but does not say until when.")
    return expires_at
