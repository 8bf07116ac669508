"""Parses the requests that Google posts through a channel. Their headers name the channel, and not what changed."""

from collections.abc import Mapping

from worker.providers.base import Notification, NotificationKind

_PREFIX = "x-goog-"
#: By the resource state in a notification. The first notification through each channel is `sync`.
_KINDS = {
    "sync": NotificationKind.OPENED,
    "exists": NotificationKind.CHANGED,
    "not_exists": NotificationKind.CHANGED,
}
MAX_RESOURCE_ID_LENGTH = 256  #: characters
#: The most characters of each header. One that is longer does not come from a channel that we opened.
_MAX_LENGTHS = {"channel-token": 128, "channel-id": 64, "resource-id": MAX_RESOURCE_ID_LENGTH, "resource-state": 16}


def read_notification(headers: Mapping[str, str]) -> Notification | None:
    """Return the notification in the headers of a request, whose names may have any case; None when it has none.
    The caller has to check the token: anybody can have sent the request."""
    lower_headers = {name.lower(): value for name, value in headers.items()}
    values = {name: lower_headers.get(f"{_PREFIX}{name}", "") for name in _MAX_LENGTHS}
    if not all(_is_readable(value, _MAX_LENGTHS[name]) for name, value in values.items()):
        return None
    kind = _KINDS.get(values["resource-state"])
    if kind is None:
        return None
    return Notification(
        token=values["channel-token"], kind=kind, channel_id=values["channel-id"], remote_id=values["resource-id"]
    )


def _is_readable(value: str, max_length: int) -> bool:
    return 0 < len(value) <= max_length and value.isascii() and value.isprintable()
