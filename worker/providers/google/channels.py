"""Opens and closes Google's watch channels, through which Google notifies us whenever a calendar changes.

A channel is opened and closed as the person whose calendar it watches, with the scope that reads this calendar. Google
can neither list channels nor extend their lifetime. So a channel is replaced: the next channel, with an id of its own,
is opened before the old channel is closed, and Google notifies us through both in between.
"""

from collections.abc import Mapping
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.clock import SUPPORTED_YEARS
from worker.errors import InvalidResponse, NotFound
from worker.providers.base import Channel, OpenedChannel
from worker.providers.google.auth import OWNED_EVENTS_SCOPE
from worker.providers.google.client import GoogleApi
from worker.providers.google.error_translation import SyncTokenExpired
from worker.providers.google.notifications import MAX_RESOURCE_ID_LENGTH

#: The lifetime requested for a channel: the longest that Google allows. Google's default may be as short as an hour.
_REQUESTED_LIFETIME = timedelta(days=7)
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class GoogleChannels:
    """The methods of a NotifyingCalendar on the Google Calendar API, for inheritance by `GoogleCalendar`."""

    _api: GoogleApi

    def open_channel(self, channel: Channel) -> OpenedChannel:
        """Open the channel.

        Google doesn't call the channel's URL before it has answered this request, so an unreachable URL raises no error
        here. Raises Conflict when the channel's id was used before, and Forbidden, whose text names the remedy, when
        Google refuses the URL or the calendar.
        """
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
        """Return None: Google can't extend the lifetime of a channel."""

    def close_channel(self, channel: Channel) -> None:
        """Close the channel. Does nothing when the channel was never open or is closed already."""
        if not channel.remote_id:
            return
        body = {"id": channel.id, "resourceId": channel.remote_id}
        try:
            self._api.execute(channel.calendar, OWNED_EVENTS_SCOPE, self._api.service.channels().stop(body=body))
        except (NotFound, SyncTokenExpired):  # a closed channel: SyncTokenExpired stands for any answer 410
            return


def _read_resource_id(answer: Mapping[str, Any], channel: Channel) -> str:
    resource_id = answer.get("resourceId")
    if not isinstance(resource_id, str) or not 0 < len(resource_id) <= MAX_RESOURCE_ID_LENGTH:
        raise InvalidResponse(f"{channel.calendar}: Google opened a channel, but its answer names no resource id.")
    return resource_id


def _read_expiration(answer: Mapping[str, Any], channel: Channel) -> datetime:
    """Return when Google will close the channel, in UTC. This may be earlier than requested."""
    try:
        milliseconds = int(answer["expiration"])
        expires_at: datetime | None = _EPOCH + timedelta(seconds=milliseconds // 1000)
    except (KeyError, TypeError, ValueError, OverflowError):
        expires_at = None
    if expires_at is None or expires_at.year not in SUPPORTED_YEARS:
        raise InvalidResponse(f"{channel.calendar}: Google opened a channel, but its answer names no expiration.")
    return expires_at
