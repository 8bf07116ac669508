"""The subscriptions to changes of events: the requests about them, and their notifications."""

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from itertools import count
from typing import Any
from urllib.parse import parse_qsl, quote_plus
from uuid import uuid4

from tests.doubles.graph.calendars import Answer, Calendars
from tests.doubles.graph.faults import Mishap
from tests.doubles.graph.login import TENANT, Grant
from tests.doubles.graph.notification_queue import NotificationQueue
from tests.doubles.graph.odata import Preferences, format_id
from tests.doubles.graph.state import Item, Json, Mailbox, Refusal
from worker.providers.base import Channel

#: The bounds of the lifetime of a subscription.
MAX_MINUTES = 10_080
MIN_MINUTES = 45
_CHANGES = ("created", "updated", "deleted")
_RIGHTS = {"Calendars.Read", "Calendars.ReadWrite"}
_TLS = ("v1_0", "v1_1", "v1_2", "v1_3")
_REQUIRED = ("changeType", "notificationUrl", "resource", "expirationDateTime")
_ALLOWED = {*_REQUIRED, "lifecycleNotificationUrl", "clientState", "latestSupportedTlsVersion"}
_NUMBERS = count(1)


@dataclass(eq=False)
class Subscription:
    """A subscription to the events of one mailbox."""

    application: str  #: the client id of the app
    person: str  #: the person who signed in; empty for an app
    mailbox: Mailbox
    given: Json  #: the body of the request that created it
    changes: tuple[str, ...]  #: some of `created`, `updated` and `deleted`
    expires: datetime
    has_immutable_ids: bool
    id: str = field(default_factory=lambda: str(uuid4()))
    reauthorized_at: datetime | None = None
    renewed_at: datetime | None = None

    def describe(self, **more: Any) -> Json:
        """Return the subscription as JSON of Graph, with `more`. Only its creation returns the client state."""
        unset = ("includeResourceData", "encryptionCertificate", "encryptionCertificateId", "notificationQueryOptions")
        optional = ("lifecycleNotificationUrl", "latestSupportedTlsVersion")
        return {
            "id": self.id,
            "applicationId": self.application,
            "creatorId": self.person or self.application,
            "clientState": None,
            **dict.fromkeys((*unset, *optional, "notificationUrlAppId")),
            **{name: self.given[name] for name in ("resource", "changeType", "notificationUrl")},
            **{name: self.given[name] for name in optional if name in self.given},
            "expirationDateTime": _format_instant(self.expires),
            **more,
        }


class Subscriptions(NotificationQueue):
    """All subscriptions. Each change of an event is sent to those who subscribed to it, unless a `Mishap` prevents it.

    `find_mailbox` returns the mailbox with a name, or raises Refusal.
    """

    def __init__(self, calendars: Calendars, find_mailbox: Callable[[str], Mailbox], base: str) -> None:
        super().__init__()
        self.mishaps: list[Mishap] = []
        self._calendars, self._find_mailbox, self._base = calendars, find_mailbox, base
        self._known: dict[str, Subscription] = {}
        self._overtaken: dict[str, list[Callable[[], None]]] = {}  #: by subscription id: what sends the notification
        self._lock = threading.RLock()
        calendars.world.listeners.append(self.handle_change)

    def reset(self) -> None:
        with self._lock:
            self._known.clear()
            self._overtaken.clear()
            self.mishaps.clear()
        super().reset()

    @property
    def live(self) -> list[Subscription]:
        """The subscriptions that have not expired, the oldest first."""
        with self._lock:
            return [one for one in self._known.values() if self.is_live(one)]

    def is_live(self, subscription: Subscription) -> bool:
        return subscription.id in self._known and subscription.expires > self.now()

    # --- notifications ------------------------------------------------------------------------------------------------

    def handle_change(self, mailbox: Mailbox, item: Item, change: str) -> None:
        """Notify the subscribers of a change of an event."""
        for one in self.live:
            if one.mailbox is mailbox and change in one.changes:
                self._notify(one, item, change)

    def _notify(self, subscription: Subscription, item: Item, change: str) -> None:
        event_id = format_id(item.id, Preferences('IdType="ImmutableId"' if subscription.has_immutable_ids else ""))
        path = f"Users/{subscription.mailbox.directory_id}/Events/{event_id}"
        data = {"@odata.type": "#Microsoft.Graph.Event", "@odata.id": path, "@odata.etag": item.etag, "id": event_id}
        notification = self._describe(subscription, changeType=change, resource=path, resourceData=data)
        self._dispatch(subscription, subscription.given["notificationUrl"], notification, change)

    def _describe(self, subscription: Subscription, **more: Any) -> Json:
        """Return a notification: the fields that all have in common, and `more`."""
        return {
            "subscriptionId": subscription.id,
            "subscriptionExpirationDateTime": _format_instant(subscription.expires),
            "clientState": subscription.given.get("clientState"),
            "tenantId": TENANT,
            **more,
        }

    def _notify_lifecycle(self, subscription: Subscription, event: str, *, delay: timedelta = timedelta()) -> None:
        """Send a lifecycle event, if the subscription names an address for them."""
        if url := subscription.given.get("lifecycleNotificationUrl"):
            notification = self._describe(subscription, lifecycleEvent=event, resource=subscription.given["resource"])
            self._dispatch(subscription, url, notification, event, delay=delay)

    def _dispatch(
        self, subscription: Subscription, url: str, notification: Json, change: str, *, delay: timedelta = timedelta()
    ) -> None:
        """Queue a notification, with the mishap that is planned for it."""
        is_lifecycle = "lifecycleEvent" in notification
        mishap = self._take_mishap(change)
        if mishap.lost:
            if mishap.missed:
                self._notify_lifecycle(subscription, "missed", delay=mishap.delay)
            return
        if mishap.client_state is not None:
            notification = {**notification, "clientState": mishap.client_state}

        def is_wanted() -> bool:
            is_farewell = notification.get("lifecycleEvent") == "subscriptionRemoved"
            return is_farewell or mishap.trailing or self.is_live(subscription)

        def send() -> None:
            for _ in range(mishap.copies):
                self.send(url, notification, is_wanted, delay=delay + mishap.delay, is_lifecycle=is_lifecycle)

        with self._lock:
            if mishap.overtaken:
                self._overtaken.setdefault(subscription.id, []).append(send)
                return
            send()
            for send_overtaken in self._overtaken.pop(subscription.id, []):
                send_overtaken()

    def _take_mishap(self, change: str) -> Mishap:
        """Return the mishap for a change or lifecycle event, counted as used; one that does nothing if none is due."""
        with self._lock:
            found = next((one for one in self.mishaps if one.matches(change)), Mishap())
            if found.passing:
                found.passing -= 1
                return Mishap()
            found.times -= 1
            return found

    def remove(self, subscription_id: str) -> None:
        """Remove a subscription, and send the lifecycle event `subscriptionRemoved`."""
        with self._lock:
            subscription = self._known.pop(subscription_id)
        self._notify_lifecycle(subscription, "subscriptionRemoved")

    def lose(self, channel: Channel) -> None:
        """Remove a subscription without a lifecycle event."""
        with self._lock:
            del self._known[channel.remote_id]  # the id of the subscription

    def ask_to_reauthorize(self, subscription_id: str) -> None:
        """Send the lifecycle event `reauthorizationRequired`."""
        self._notify_lifecycle(self._known[subscription_id], "reauthorizationRequired")

    def tell_missed(self, subscription_id: str) -> None:
        """Send the lifecycle event `missed`."""
        self._notify_lifecycle(self._known[subscription_id], "missed")

    # --- requests -----------------------------------------------------------------------------------------------------

    def answer(
        self, method: str, rest: list[str], query: str, preferences: Preferences, grant: Grant, body: Any
    ) -> Answer:
        """Answer a request. `rest`: the segments of the path after `subscriptions`. Raises Refusal."""
        match method, rest:
            case "POST", []:
                return self._create(grant, body, preferences)
            case "GET", []:
                return self._list(grant, query)
            case "GET", [name]:
                return Answer(200, self._describe_entity(self._find(name, grant)))
            case "PATCH", [name]:
                return self._renew(self._find(name, grant), body)
            case "DELETE", [name]:
                with self._lock:
                    del self._known[self._find(name, grant).id]
                return Answer(204)
            case "POST", [name, action] if action.casefold() == "reauthorize":
                return self._reauthorize(self._find(name, grant))
        if len(rest) < 2:
            raise Refusal(405, "Request_BadRequest", f"The method {method} is not allowed here.")
        raise Refusal(400, "BadRequest", f"Resource not found for the segment '{rest[-1]}'.")

    def _describe_entity(self, subscription: Subscription, **more: Any) -> Json:
        return {"@odata.context": f"{self._base}/$metadata#subscriptions/$entity", **subscription.describe(**more)}

    def _find(self, name: str, grant: Grant) -> Subscription:
        """Return the app's live subscription with that id. Raises Refusal."""
        own = next((one for one in self._list_own(grant) if one.id == name), None)
        if own is None:
            raise Refusal(404, "ResourceNotFound", "The object was not found.")
        return own

    def _list_own(self, grant: Grant) -> list[Subscription]:
        return [one for one in self.live if (one.application, one.person) == (grant.application, grant.person)]

    def _list(self, grant: Grant, query: str) -> Answer:
        given = dict(parse_qsl(query))
        unknown = given.keys() - {"$skiptoken"}
        if unknown or not given.get("$skiptoken", "0").isdecimal():
            raise Refusal(400, "BadRequest", "The query is not supported on subscriptions.")
        own, skip, size = self._list_own(grant), int(given.get("$skiptoken", "0")), self.rules.page_size
        page: Json = {"@odata.context": f"{self._base}/$metadata#subscriptions"}
        page["value"] = [one.describe() for one in own[skip : skip + size]]
        if skip + size < len(own):
            page["@odata.nextLink"] = f"{self._base}/subscriptions?$skiptoken={skip + size}"
        return Answer(200, page)

    def _create(self, grant: Grant, body: Any, preferences: Preferences) -> Answer:
        given = self._parse_new(body)
        expires = self._parse_expiration(given["expirationDateTime"])
        changes = tuple(dict.fromkeys(one.strip() for one in given["changeType"].split(",")))
        if not set(changes) <= set(_CHANGES):
            raise Refusal(400, "InvalidRequest", f"'{given['changeType']}' is not a supported changeType.")
        for name in ("notificationUrl", "lifecycleNotificationUrl"):
            if name in given:
                self._validate(given[name])
        mailbox = self._find_readable_mailbox(given["resource"], grant)
        subscription = Subscription(
            grant.application, grant.person, mailbox, given, changes, expires, preferences.has_immutable_ids
        )
        with self._lock:
            of_this_mailbox = [one for one in self.live if one.mailbox is mailbox]
            if any(
                one.application == subscription.application and set(one.changes) == set(changes)
                for one in of_this_mailbox
            ):
                words = "A subscription already exists. It must be deleted before another can be made."
                raise _make_extension_error(409, "Conflict", words)
            if len(of_this_mailbox) >= self.rules.mailbox_quota:
                raise _make_extension_error(
                    403, "Forbidden", f"The quota of {self.rules.mailbox_quota} subscriptions is exceeded."
                )
            self._known[subscription.id] = subscription
        return Answer(201, self._describe_entity(subscription, clientState=given.get("clientState")))

    def _parse_new(self, body: Any) -> Json:
        """Return the checked body of a creation, without null values. Raises Refusal."""
        checked = self._calendars.parse_entity("subscription", body)
        given = {name: value for name, value in checked.items() if value is not None and not name.startswith("@")}
        for name in _REQUIRED:
            if not given.get(name):
                raise Refusal(400, "InvalidRequest", f"The property '{name}' is required.")
        if other := sorted(given.keys() - _ALLOWED):
            raise Refusal(400, "InvalidRequest", f"The property '{other[0]}' is not supported here.")
        if len(given.get("clientState", "")) > 128:
            raise Refusal(400, "InvalidRequest", "The clientState may have 128 characters at most.")
        if given.get("latestSupportedTlsVersion", "v1_2") not in _TLS:
            raise Refusal(400, "InvalidRequest", "The latestSupportedTlsVersion is not known.")
        return given

    def _parse_expiration(self, text: str) -> datetime:
        """Return when a subscription ends for which this time is requested. Raises Refusal."""
        now = self.now()
        try:
            wanted = datetime.fromisoformat(text)
        except ValueError:
            raise Refusal(400, "InvalidRequest", f"'{text}' is not a date.") from None
        if wanted > now + timedelta(minutes=MAX_MINUTES):
            words = f"Subscription expiration can only be {MAX_MINUTES} minutes in the future."
            raise Refusal(400, "ExtensionError", words)
        if wanted <= now:
            raise Refusal(400, "InvalidRequest", "Subscription expiration must be in the future.")
        return max(wanted, now + timedelta(minutes=MIN_MINUTES))

    def _validate(self, url: str) -> None:
        """Let the endpoint prove that it wants notifications. Raises Refusal."""
        if not url.startswith("https://"):
            raise Refusal(400, "ValidationError", "Notification URL must start with 'https://'.")
        token = f"Validation: Testing client application reachability, 100%+ of it, number {next(_NUMBERS)}"
        if wrong := self.validate_endpoint(url, token, f"validationToken={quote_plus(token)}"):
            raise Refusal(400, "ValidationError", wrong)

    def _find_readable_mailbox(self, resource: str, grant: Grant) -> Mailbox:
        """Return the mailbox whose events the resource names. Raises Refusal if the app may not read them."""
        match resource.strip("/").split("/"):
            case [me, events] if (me.casefold(), events.casefold()) == ("me", "events"):
                name = grant.person
            case [users, name, events] if (users.casefold(), events.casefold()) == ("users", "events"):
                name = name.casefold()
            case _:
                raise Refusal(400, "InvalidRequest", f"The resource '{resource}' is not supported here.")
        if not name:
            raise Refusal(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        if not _RIGHTS & set(grant.rights):
            raise _make_extension_error(403, "Forbidden", "Forbidden")
        try:
            mailbox = self._find_mailbox(name)
        except Refusal as refusal:
            if refusal.status == 403:
                raise _make_extension_error(403, "Forbidden", "Forbidden") from None
            unsupported = refusal.code.startswith("MailboxNotEnabled")
            words = "REST API is not yet supported for this mailbox." if unsupported else "Not Found"
            raise _make_extension_error(404, "NotFound", words) from None
        if grant.person and mailbox is not self._find_mailbox(grant.person):
            # a person can subscribe to their own mailbox only
            raise _make_extension_error(403, "Forbidden", "Forbidden")
        return mailbox

    def _renew(self, subscription: Subscription, body: Any) -> Answer:
        checked = self._calendars.parse_entity("subscription", body)
        given = {name: value for name, value in checked.items() if value and not name.startswith("@")}
        if other := sorted(given.keys() - {"expirationDateTime", "notificationUrl"}):
            raise Refusal(400, "InvalidRequest", f"The property '{other[0]}' can't be changed.")
        expires = (
            self._parse_expiration(given["expirationDateTime"])
            if "expirationDateTime" in given
            else subscription.expires
        )
        self._check_not_recent(subscription.reauthorized_at)
        if "notificationUrl" in given:
            self._validate(given["notificationUrl"])
            subscription.given["notificationUrl"] = given["notificationUrl"]
        subscription.expires, subscription.renewed_at = expires, self.now()
        return Answer(200, self._describe_entity(subscription))

    def _reauthorize(self, subscription: Subscription) -> Answer:
        self._check_not_recent(subscription.renewed_at)
        subscription.reauthorized_at = self.now()
        return Answer(204)

    def _check_not_recent(self, other_done_at: datetime | None) -> None:
        """Refuse to renew within ten minutes of a reauthorization, and the other way round. Raises Refusal."""
        if other_done_at and self.now() - other_done_at < timedelta(minutes=10):
            raise Refusal(400, "InvalidRequest", "A subscription is renewed or reauthorized, not both in 10 minutes.")


def _format_instant(instant: datetime) -> str:
    return f"{instant:%Y-%m-%dT%H:%M:%S}.{instant.microsecond:06d}0Z"


def _make_extension_error(status: int, inner: str, words: str) -> Refusal:
    """Return a refusal in the form in which Graph passes on an error of the service behind the mailbox."""
    text = f"Operation: Create; Exception: [Status Code: {inner}; Reason: {words}]"
    return Refusal(status, "ExtensionError", text)
