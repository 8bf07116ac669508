"""Parses what Google posts through a channel: a request whose headers say all, and which says of what nothing else."""

from collections.abc import Mapping

from worker.providers.base import Notification, NotificationKind

_PREFIX = "x-goog-"
#: Google's names of what a notification says. `sync` comes first through each channel.
_KINDS = {
    "sync": NotificationKind.OPENED,
    "exists": NotificationKind.CHANGED,
    "not_exists": NotificationKind.CHANGED,
}
LONGEST_RESOURCE_ID = 256
#: The most characters that we read of each header; a longer one is not from a channel that we opened.
_LONGEST = {"channel-token": 128, "channel-id": 64, "resource-id": LONGEST_RESOURCE_ID, "resource-state": 16}


def read_notification(headers: Mapping[str, str]) -> Notification | None:
    """Return the notification in the headers of a request, whatever the case of their names; None when it is not one.
    Nothing proves yet that Google sent it."""
    given = {name.lower().removeprefix(_PREFIX): value for name, value in headers.items() if _is_googles(name)}
    values = {name: given.get(name, "") for name in _LONGEST}
    if not all(_is_readable(value, _LONGEST[name]) for name, value in values.items()):
        return None
    kind = _KINDS.get(values["resource-state"])
    if kind is None:
        return None
    return Notification(
        token=values["channel-token"], kind=kind, channel_id=values["channel-id"], remote_id=values["resource-id"]
    )


def _is_googles(name: str) -> bool:
    return name.lower().startswith(_PREFIX)


def _is_readable(value: str, longest: int) -> bool:
    return 0 < len(value) <= longest and value.isascii() and value.isprintable()
