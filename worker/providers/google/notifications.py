"""Parses the notifications that Google posts through a channel.

The headers of such a request name the channel. Google does not say which event changed.
"""

from collections.abc import Mapping

from worker.providers.base import Notification, NotificationKind

_PREFIX = "x-goog-"
#: The kind of notification for each value of the header X-Goog-Resource-State. Google sends `sync` once, when it has
#: opened the channel.
_KINDS = {
    "sync": NotificationKind.OPENED,
    "exists": NotificationKind.CHANGED,
    "not_exists": NotificationKind.CHANGED,
}
MAX_RESOURCE_ID_LENGTH = 256  #: characters
#: The most characters of each header in a notification through one of our channels. A request with a longer header
#: is not a notification.
_MAX_LENGTHS = {"channel-token": 128, "channel-id": 64, "resource-id": MAX_RESOURCE_ID_LENGTH, "resource-state": 16}


def read_notification(headers: Mapping[str, str]) -> Notification | None:
    """Return the notification in the headers of a request; None when they hold none. The case of names is ignored.

    The caller has to check the token, because anybody can have sent the request.
    """
    lower_headers = {name.lower(): value for name, value in headers.items()}
    values = {name: lower_headers.get(f"{_PREFIX}{name}", "") for name in _MAX_LENGTHS}
    if not all(_is_printable_within(value, _MAX_LENGTHS[name]) for name, value in values.items()):
        return None
    kind = _KINDS.get(values["resource-state"])
    if kind is None:
        return None
    return Notification(
        token=values["channel-token"], kind=kind, channel_id=values["channel-id"], remote_id=values["resource-id"]
    )


def _is_printable_within(value: str, max_length: int) -> bool:
    """Return whether the value is not empty, not too long, and all printable ASCII characters."""
    return 0 < len(value) <= max_length and value.isascii() and value.isprintable()
