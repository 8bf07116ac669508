"""Reads what Microsoft Graph posts to our address: changes on calendars, and what becomes of subscriptions."""

import json
from typing import Any

from worker.providers.base import Notification, NotificationKind

#: The most items of one request that are read.
MAX_ITEMS = 1000
_MAX_TEXT_LENGTH = 128  #: characters: our tokens and the ids of the service are not longer
_KINDS_BY_CHANGE = dict.fromkeys(("created", "updated", "deleted"), NotificationKind.CHANGED)
#: By `lifecycleEvent`, in lower case: the service ignores the case of such words, and so do we.
_KINDS_BY_EVENT = {
    "missed": NotificationKind.MISSED,
    "reauthorizationrequired": NotificationKind.RENEW,
    "subscriptionremoved": NotificationKind.REMOVED,
}


def read_notifications(body: bytes) -> list[Notification]:
    """Return the notifications in the body of a request that anybody may have sent. Leaves out items that are not one,
    and returns an empty list for a body that has none."""
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
    """Return the notification in the item; None when it is not one."""
    if not isinstance(item, dict):
        return None
    token, remote_id = _read_text(item, "clientState"), _read_text(item, "subscriptionId")
    event, change = item.get("lifecycleEvent"), item.get("changeType")
    # A lifecycle notification may carry a change type as well, which means nothing there.
    kind = _KINDS_BY_EVENT.get(_fold(event)) if event else _KINDS_BY_CHANGE.get(_fold(change))
    return Notification(token, kind, remote_id=remote_id) if token and remote_id and kind else None


def _read_text(item: dict[str, Any], name: str) -> str:
    """Return the text of that name; empty when it is missing, or can't be a token of ours or an id of the service."""
    text = item.get(name)
    if not isinstance(text, str) or len(text) > _MAX_TEXT_LENGTH:
        return ""
    return text if text.isascii() and text.isprintable() else ""


def _fold(word: Any) -> str:
    return word.casefold() if isinstance(word, str) else ""
