"""Parses the notifications that Microsoft Graph posts to our address, several in one request.

Change notifications say that a calendar has changed. Lifecycle notifications say that a subscription (Graph's name for
a channel) has lost notifications, has to be renewed, or was removed.
"""

import json
from typing import Any

from worker.providers.base import Notification, NotificationKind

#: How many items of one request are read; further items are ignored.
MAX_ITEMS = 1000
_MAX_TEXT_LENGTH = 128  #: characters; our tokens and the ids of subscriptions are not longer
_KINDS_BY_CHANGE = dict.fromkeys(("created", "updated", "deleted"), NotificationKind.CHANGED)
#: By the `lifecycleEvent` of an item, in lower case, because Graph's spelling of such words varies in case.
_KINDS_BY_LIFECYCLE_EVENT = {
    "missed": NotificationKind.MISSED,
    "reauthorizationrequired": NotificationKind.RENEW,
    "subscriptionremoved": NotificationKind.REMOVED,
}


def read_notifications(body: bytes) -> list[Notification]:
    """Return the notifications in the body of a request. Items that are not a notification are left out.

    The caller has to check the tokens, because anybody can have sent the request.
    """
    try:
        content = json.loads(body)
    except (ValueError, RecursionError):
        return []
    items = content.get("value") if isinstance(content, dict) else None
    if not isinstance(items, list):
        return []
    notifications = (_read_item(item) for item in items[:MAX_ITEMS])
    return [notification for notification in notifications if notification]


def _read_item(item: Any) -> Notification | None:
    """Return the notification in the item; None when the item is not a notification."""
    if not isinstance(item, dict):
        return None
    token, remote_id = _read_text(item, "clientState"), _read_text(item, "subscriptionId")
    lifecycle_event = item.get("lifecycleEvent")
    if lifecycle_event:  # such an item may also have a change type, which then has no meaning
        kind = _KINDS_BY_LIFECYCLE_EVENT.get(_fold_case(lifecycle_event))
    else:
        kind = _KINDS_BY_CHANGE.get(_fold_case(item.get("changeType")))
    return Notification(token, kind, remote_id=remote_id) if token and remote_id and kind else None


def _read_text(item: dict[str, Any], name: str) -> str:
    """Return the text of that name; empty when it is missing or can't be one of our tokens or a subscription's id."""
    text = item.get(name)
    if not isinstance(text, str) or len(text) > _MAX_TEXT_LENGTH:
        return ""
    return text if text.isascii() and text.isprintable() else ""


def _fold_case(word: Any) -> str:
    return word.casefold() if isinstance(word, str) else ""
