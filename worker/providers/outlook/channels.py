"""Opens, renews and closes channels on Microsoft 365. Microsoft Graph calls a channel a subscription.

An app can have only one subscription to a calendar. So a subscription that an earlier attempt left behind has to be
removed before another one is created. It is recognized by its calendar, and by our URL or its id.
"""

import re
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from functools import partial
from urllib.parse import quote, urlsplit

from worker.clock import utcnow
from worker.domain.model import Address
from worker.errors import Conflict, Forbidden, InvalidResponse, NotFound, Permanent, ProviderError
from worker.providers.base import Channel, OpenedChannel
from worker.providers.outlook.client import DeltaTokenExpired, Graph, Json
from worker.providers.outlook.refusals import translate_refusal

#: The lifetime requested for a subscription. The service allows 10,080 minutes by its own clock, which may differ from
#: ours by some minutes.
_REQUESTED_LIFETIME = timedelta(minutes=10_070)
_PATH = "subscriptions"
_CHANGE_TYPES = "created,updated,deleted"
#: Finds the inner status: the status that the service behind Graph answered, which Graph's message repeats. It may
#: differ from the status of Graph's answer. An example of such a message: `Operation: Create; Exception: [Status Code:
#: Forbidden; Reason: Access is denied.]`.
_INNER_STATUS = re.compile(r"\[Status Code: (\w+)")
_STATUS_BY_NAME: Mapping[str, int] = {"Forbidden": 403, "NotFound": 404, "Conflict": 409}
#: The errors that say that a subscription no longer exists. `Graph` raises DeltaTokenExpired for every answer 410.
_GONE_ERRORS = (NotFound, DeltaTokenExpired)
_QUOTA_WORDS = re.compile(r"quota|limit|maximum|exceed", re.IGNORECASE)

# Texts of errors. `{message}` is what the service says.
_NO_VALID_ANSWER_TEXT = (
    "{person}: Microsoft 365 gets no valid answer from {host} ({message}). Make {host} reachable from the internet by "
    "https with a public certificate and have it pass requests on to Longarc, or fix `sync.notify_url`."
)
_LIFETIME_TEXT = (
    "{person}: Microsoft 365 refuses the requested end of the subscription ({message}). The clock of this machine is "
    "ahead: correct the clock (NTP)."
)
_QUOTA_TEXT = (
    "{person}: Microsoft 365 allows no further subscription to this mailbox ({message}). Remove subscriptions of other "
    "apps, or wait until they end."
)
_NO_PERMISSION_TEXT = (
    "{person}: Microsoft 365 does not allow the app to be notified of changes ({message}). Have an administrator "
    "consent to the permission Calendars.Read in Entra for this calendar's mailbox; an assignment with RBAC for "
    "Applications may not be enough."
)
_NO_MAILBOX_TEXT = (
    "{person}: Microsoft 365 does not find this person's calendar ({message}). Give the person a mailbox in Exchange "
    "Online, or write `none` as the calendar in the people file."
)
_OTHER_INSTALLATION_TEXT = (
    "{person}: the same app already has a subscription to this calendar at another address ({host}). Give each "
    "installation of Longarc an app registration of its own, or wait until that subscription ends ({end})."
)


class OutlookChannels:
    """The methods of a NotifyingCalendar on Microsoft Graph, for inheritance by `OutlookCalendar`."""

    _graph: Graph

    def open_channel(self, channel: Channel) -> OpenedChannel:
        """Create a subscription to the calendar, and remove one that an earlier attempt left behind.

        The service calls the channel's URL before this method returns. Raises Permanent when the service refuses.
        """
        try:
            return self._create_subscription(channel)
        except Conflict:
            self._remove_stale_subscriptions(channel)
        return self._create_subscription(channel)

    def renew_channel(self, channel: Channel) -> OpenedChannel | None:
        """Extend the lifetime of the subscription. Return None when the subscription no longer exists."""
        if not channel.remote_id:
            return None
        body = {"expirationDateTime": _compose_expiration()}
        try:
            return self._write_subscription(channel, "PATCH", _make_path(channel.remote_id), body)
        except _GONE_ERRORS:
            return None

    def close_channel(self, channel: Channel) -> None:
        """Remove the subscription, if it still exists.

        A subscription whose id is not known, because the answer to its creation was lost, is not removed here. It ends
        when it expires or when the next channel to its calendar is opened.
        """
        if channel.remote_id:
            self._remove_subscription(channel, channel.remote_id)

    def _create_subscription(self, channel: Channel) -> OpenedChannel:
        body = {
            "changeType": _CHANGE_TYPES,
            "notificationUrl": channel.url,
            "lifecycleNotificationUrl": channel.url,
            "resource": _name_resource(self._graph.find_name(channel.calendar)),
            "expirationDateTime": _compose_expiration(),
            "clientState": channel.token,
            "latestSupportedTlsVersion": "v1_2",
        }
        return self._write_subscription(channel, "POST", _PATH, body)

    def _write_subscription(self, channel: Channel, method: str, path: str, body: Json) -> OpenedChannel:
        translate = partial(_translate_refusal, channel)
        answer = self._graph.change_resource(method, channel.calendar, path, body, translate=translate)
        return _parse_subscription(answer, channel.calendar)

    def _remove_subscription(self, channel: Channel, remote_id: str) -> None:
        translate = partial(_translate_refusal, channel)
        try:
            self._graph.change_resource("DELETE", channel.calendar, _make_path(remote_id), translate=translate)
        except _GONE_ERRORS:
            return

    def _remove_stale_subscriptions(self, channel: Channel) -> None:
        """Remove our subscriptions to the calendar. Raises Permanent when only another installation has one.

        Ours are the subscriptions that notify our URL, and the one that the channel replaces, which may notify an
        earlier URL.
        """
        subscriptions = list(self._iter_subscriptions(channel.calendar))
        stale_ids = [str(item.get("id") or "") for item in subscriptions if _is_ours(item, channel)]
        if subscriptions and not stale_ids:
            raise _make_other_installation_error(channel, subscriptions[0])
        for remote_id in filter(None, stale_ids):
            self._remove_subscription(channel, remote_id)

    def _iter_subscriptions(self, calendar: Address) -> Iterator[Json]:
        """Yield the app's subscriptions to the calendar. They may name its owner by any of the owner's names."""
        resources = {_fold_resource(_name_resource(name)) for name in self._graph.list_names(calendar)}
        for item in self._graph.iter_from_page(calendar, self._graph.get_resource(calendar, _PATH)):
            if _fold_resource(str(item.get("resource") or "")) in resources:
                yield item


def _is_ours(subscription: Json, channel: Channel) -> bool:
    """Return whether the subscription notifies the channel's URL or is the one that the channel replaces."""
    is_replaced = bool(channel.replaces) and subscription.get("id") == channel.replaces
    return is_replaced or subscription.get("notificationUrl") == channel.url


def _name_resource(name: str) -> str:
    """Return Graph's name for the calendar of the person with this name (see `Graph.list_names`)."""
    return "me/events" if name == "me" else f"users/{name}/events"


def _fold_resource(resource: str) -> str:
    """Return the resource in a form in which resources can be compared."""
    return resource.strip("/").casefold()


def _make_path(remote_id: str) -> str:
    return f"{_PATH}/{quote(remote_id, safe='')}"


def _compose_expiration() -> str:
    return f"{utcnow() + _REQUESTED_LIFETIME:%Y-%m-%dT%H:%M:%SZ}"


def _parse_subscription(item: Json, calendar: Address) -> OpenedChannel:
    """Return the channel for the subscription in an answer. Raises InvalidResponse when the answer is incomplete."""
    remote_id, expiration = item.get("id"), item.get("expirationDateTime")
    try:
        expires_at = datetime.fromisoformat(str(expiration))
        if not isinstance(remote_id, str) or not remote_id or expires_at.tzinfo is None:
            raise ValueError
    except ValueError as error:
        raise InvalidResponse(
            f"{calendar}: the service's answer lacks the id or the expiration of the subscription."
        ) from error
    return OpenedChannel(remote_id, expires_at.astimezone(UTC))


def _make_other_installation_error(channel: Channel, other_subscription: Json) -> Permanent:
    """Return the error that another installation has a subscription to the channel's calendar."""
    host = urlsplit(str(other_subscription.get("notificationUrl") or "")).hostname or "unknown"
    end = str(other_subscription.get("expirationDateTime") or "within seven days")
    return Permanent(_OTHER_INSTALLATION_TEXT.format(person=channel.calendar, host=host, end=end))


def _translate_refusal(channel: Channel, status: int, code: str, message: str, person: Address) -> ProviderError:
    """Return the error for a permanent refusal of a write to a subscription. `code` has to be in lower case."""
    host = urlsplit(channel.url).hostname or channel.url
    lower_message = message.casefold()
    inner_status = _INNER_STATUS.search(message)
    if inner_status:
        status = _STATUS_BY_NAME.get(inner_status[1], status)

    def compose(template: str) -> str:
        return template.format(person=person, host=host, message=message or code)

    # Before Graph creates a subscription, it sends a validation request to our URL, which has to be answered.
    if code == "validationerror" or "validation request" in lower_message:
        return Permanent(compose(_NO_VALID_ANSWER_TEXT))
    if "minutes in the future" in lower_message:
        return Permanent(compose(_LIFETIME_TEXT))
    if status == 409:
        return Conflict(f"{person}: the app already has a subscription to this calendar.")
    if status == 403:
        return Forbidden(compose(_QUOTA_TEXT if _QUOTA_WORDS.search(message) else _NO_PERMISSION_TEXT))
    if status == 404 and inner_status:  # a missing calendar; a missing subscription has no inner status
        return NotFound(compose(_NO_MAILBOX_TEXT))
    return translate_refusal(status, code, message, person)
