"""Channels on Microsoft 365: subscriptions of Microsoft Graph, which tell of changes on a calendar.

An app has one subscription to a calendar. So one that an earlier attempt left behind is removed before another one can
be created; it is recognised by its calendar, and by our address or its id.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import NoReturn
from urllib.parse import quote, urlsplit

from worker.clock import utcnow
from worker.domain.model import Address
from worker.errors import Conflict, Forbidden, InvalidResponse, NotFound, Permanent, ProviderError
from worker.providers.base import Channel, OpenedChannel
from worker.providers.outlook.client import DeltaTokenExpired, Graph, Json
from worker.providers.outlook.refusals import translate_refusal

#: How long a subscription is asked for: the most that the service allows is 10,080 minutes, by its own clock.
LIFE = timedelta(minutes=10_070)
_PATH = "subscriptions"
_CHANGES = "created,updated,deleted"
#: An error in the service behind: its status is in the text, and may differ from that of the answer.
_INNER_STATUS = re.compile(r"\[Status Code: (\w+)")
_STATUS_CODES: Mapping[str, int] = {"Forbidden": 403, "NotFound": 404, "Conflict": 409}
#: What the client raises for 404, and for 410.
_GONE = (NotFound, DeltaTokenExpired)
_QUOTA_WORDS = re.compile(r"quota|limit|maximum|exceed", re.IGNORECASE)

_NO_ANSWER = (
    "{who}: Microsoft 365 gets no right answer from {host} ({message}). Let {host} be reached from the internet by "
    "https with a public certificate and have it pass requests on to Longarc, or fix `sync.notify_url`."
)
_TOO_LONG = (
    "{who}: Microsoft 365 will not notify us for that long ({message}). Set the clock of this machine: it is ahead."
)
_QUOTA = (
    "{who}: Microsoft 365 allows no further subscription to this mailbox ({message}). Remove subscriptions of other "
    "apps, or wait until they end."
)
_NO_PERMISSION = (
    "{who}: Microsoft 365 does not let the app hear of changes ({message}). Have an administrator consent to the "
    "permission Calendars.Read in Entra for this calendar's mailbox; an assignment with RBAC for Applications may not "
    "be enough."
)
_NO_MAILBOX = (
    "{who}: Microsoft 365 finds no calendar to be notified of ({message}). Give the person a mailbox in Exchange "
    "Online, or write `none` as the calendar in the people file."
)
_TAKEN = (
    "{who}: the same app is notified of this calendar at another address already ({host}). Give each installation of "
    "Longarc an app registration of its own, or wait until that subscription ends ({end})."
)


class ChannelOperations:
    """The operations of a `NotifyingCalendar`, on the client in `_graph`."""

    _graph: Graph

    def open_channel(self, channel: Channel) -> OpenedChannel:
        """Create a subscription to the calendar, in place of one that an earlier attempt left behind. The service calls
        the address before this returns. Raises Permanent when the service refuses."""
        try:
            return self._create_subscription(channel)
        except Conflict:
            self._remove_stale(channel)
        return self._create_subscription(channel)

    def renew_channel(self, channel: Channel) -> OpenedChannel | None:
        """Prolong the subscription; None when the service has lost it, or it has expired."""
        if not channel.remote_id:
            return None
        try:
            return self._write(channel, "PATCH", _make_path(channel.remote_id), {"expirationDateTime": _compose_end()})
        except _GONE:
            return None

    def close_channel(self, channel: Channel) -> None:
        """Remove the subscription, if it still exists. One whose id never reached us ends by itself, or when the next
        one to its calendar is opened."""
        if channel.remote_id:
            self._remove_subscription(channel, channel.remote_id)

    def _create_subscription(self, channel: Channel) -> OpenedChannel:
        body = {
            "changeType": _CHANGES,
            "notificationUrl": channel.url,
            "lifecycleNotificationUrl": channel.url,
            "resource": _name_resource(self._graph.find_name(channel.calendar)),
            "expirationDateTime": _compose_end(),
            "clientState": channel.token,
            "latestSupportedTlsVersion": "v1_2",
        }
        return self._write(channel, "POST", _PATH, body)

    def _write(self, channel: Channel, method: str, path: str, body: Json) -> OpenedChannel:
        translate = partial(_translate_refusal, channel)
        answer = self._graph.change_resource(method, channel.calendar, path, body, translate=translate)
        return _parse_subscription(answer, channel.calendar)

    def _remove_subscription(self, channel: Channel, remote_id: str) -> None:
        translate = partial(_translate_refusal, channel)
        try:
            self._graph.change_resource("DELETE", channel.calendar, _make_path(remote_id), translate=translate)
        except _GONE:
            return

    def _remove_stale(self, channel: Channel) -> None:
        """Remove the app's subscriptions to the calendar that notify our address, and the one that is replaced, which
        may notify an earlier address. Raises Permanent when there are only others."""
        subscriptions = list(self._iter_subscriptions(channel.calendar))
        stale = [str(item.get("id") or "") for item in subscriptions if _is_ours(item, channel)]
        if subscriptions and not stale:
            _raise_taken(channel, subscriptions[0])
        for remote_id in filter(None, stale):
            self._remove_subscription(channel, remote_id)

    def _iter_subscriptions(self, calendar: Address) -> Iterator[Json]:
        """Yield the app's subscriptions to the calendar, by whichever of its owner's names."""
        resources = {_fold_resource(_name_resource(name)) for name in self._graph.list_names(calendar)}
        for item in self._graph.iter_rest(calendar, self._graph.get_resource(calendar, _PATH)):
            if _fold_resource(str(item.get("resource") or "")) in resources:
                yield item


def _is_ours(subscription: Json, channel: Channel) -> bool:
    is_replaced = bool(channel.replaces) and subscription.get("id") == channel.replaces
    return is_replaced or subscription.get("notificationUrl") == channel.url


def _name_resource(name: str) -> str:
    return "me/events" if name == "me" else f"users/{name}/events"


def _fold_resource(resource: str) -> str:
    """Return the resource in the form in which two are compared."""
    return resource.strip("/").casefold()


def _make_path(remote_id: str) -> str:
    return f"{_PATH}/{quote(remote_id, safe='')}"


def _compose_end() -> str:
    return f"{utcnow() + LIFE:%Y-%m-%dT%H:%M:%SZ}"


def _parse_subscription(item: Json, calendar: Address) -> OpenedChannel:
    """Return what the service opened or prolonged. Raises InvalidResponse."""
    remote_id, end = item.get("id"), item.get("expirationDateTime")
    try:
        expires_at = datetime.fromisoformat(str(end))
        if not isinstance(remote_id, str) or not remote_id or expires_at.tzinfo is None:
            raise ValueError
    except ValueError as error:
        raise InvalidResponse(f"{calendar}: the service answered a subscription without its id or its end.") from error
    return OpenedChannel(remote_id, expires_at.astimezone(UTC))


def _raise_taken(channel: Channel, other: Json) -> NoReturn:
    host = urlsplit(str(other.get("notificationUrl") or "")).hostname or "unknown"
    end = str(other.get("expirationDateTime") or "within seven days")
    raise Permanent(_TAKEN.format(who=channel.calendar, host=host, end=end))


def _translate_refusal(channel: Channel, status: int, code: str, message: str, who: Address) -> ProviderError:
    """Return the error for a permanent refusal of a write to a subscription. `code`: in lower case."""
    host, words = urlsplit(channel.url).hostname or channel.url, message.casefold()
    inner = _INNER_STATUS.search(message)
    status = _STATUS_CODES.get(inner[1], status) if inner else status

    def compose(template: str) -> str:
        return template.format(who=who, host=host, message=message or code)

    if code == "validationerror" or "validation request" in words:
        return Permanent(compose(_NO_ANSWER))
    if "minutes in the future" in words:
        return Permanent(compose(_TOO_LONG))
    if status == 409:
        return Conflict(f"{who}: the app has a subscription to this calendar already.")
    if status == 403:
        return Forbidden(compose(_QUOTA if _QUOTA_WORDS.search(message) else _NO_PERMISSION))
    if status == 404 and inner:
        return NotFound(compose(_NO_MAILBOX))
    return translate_refusal(status, code, message, who)
