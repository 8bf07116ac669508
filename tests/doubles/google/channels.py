"""Watch channels of the Calendar API. A thread posts the notifications by HTTP.

The public address of a channel is https and is not on this machine: `routes` says where its notifications really go, as
a company's proxy would forward them. A notification is sent when it is due by the clock of the double.
"""

import re
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from hashlib import blake2b
from random import Random
from threading import Condition, Thread
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import requests

from tests.doubles.google.faults import FaultPlan
from tests.doubles.google.listing import refuse_invalid_list
from tests.doubles.google.schema import Call, Refusal, bad_request
from worker.clock import Clock

#: How long a channel lives whose opener asks for no time.
DEFAULT_LIFETIME = timedelta(hours=1)
#: The statuses after which a notification is sent again; any other one is final.
REPEATED = frozenset({500, 502, 503, 504})
UNREACHABLE = 0  #: stands for the status when there was no answer; the notification is sent again
_ATTEMPTS = 10
_FIRST_WAIT = timedelta(seconds=1)  #: before the second attempt; twice as long before each further one
_POLL = 0.02  #: seconds after which the thread looks at the clock again
_PATIENCE = 30.0  #: seconds after which `settle` and `await_sync` fail
_PROJECT = "123456789012"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Parameters of every method. They do not change which events are watched.
_STANDARD = frozenset({"alt", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "userIp"})
_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")


class HasChannelId(Protocol):
    """An object with the id of a channel."""

    @property
    def id(self) -> str: ...


@dataclass(slots=True)
class Watch:
    """A channel that somebody opened."""

    id: str
    owner: str  #: whose calendar is watched
    who: str  #: who opened it
    address: str
    token: str
    expires: datetime
    resource_id: str
    resource_uri: str
    number: int = 0  #: of the last message
    stopped: bool = False
    synced: bool = False  #: whether the first notification, `sync`, was sent or failed

    @property
    def answer(self) -> dict[str, str]:
        """The JSON of the answer to the request that opened it."""
        token = {"token": self.token} if self.token else {}
        return {
            "kind": "api#channel",
            "id": self.id,
            "resourceId": self.resource_id,
            "resourceUri": self.resource_uri,
            **token,
            "expiration": str(int((self.expires - _EPOCH).total_seconds()) * 1000),
        }


@dataclass(slots=True)
class Message:
    """A notification that waits to be sent, or was sent."""

    watch: Watch
    state: str  #: `sync`, `exists`, `not_exists`
    number: int
    due: datetime
    attempts: int = 0
    trailing: bool = False  #: it is sent after its channel was stopped
    statuses: list[int] = field(default_factory=list)  #: the status of the answer to each attempt

    @property
    def headers(self) -> dict[str, str]:
        token = {"X-Goog-Channel-Token": self.watch.token} if self.watch.token else {}
        return {
            "Content-Type": "application/json; utf-8",
            "User-Agent": "APIs-Google; (+https://developers.google.com/webmasters/APIs-Google.html)",
            "X-Goog-Channel-ID": self.watch.id,
            "X-Goog-Channel-Expiration": format_datetime(self.watch.expires, usegmt=True),
            "X-Goog-Resource-ID": self.watch.resource_id,
            "X-Goog-Resource-URI": self.watch.resource_uri,
            "X-Goog-Resource-State": self.state,
            "X-Goog-Message-Number": str(self.number),
            **token,
        }


class Channels:
    """All channels of the project. `answers_first`: the request that opens a channel is answered at once; otherwise its
    answer waits until `sync` was sent."""

    def __init__(self, clock: Clock) -> None:
        self.routes: dict[str, str] = {}  #: where requests to a public base URL go
        self.faults = FaultPlan()
        self.answers_first = True
        #: Replaces fields of the answer to a request that opens a channel; None removes a field.
        self.answers_with: dict[str, Any] = {}
        self.longest = timedelta(days=7)  #: the longest lifetime of a channel
        self.timeout = 5.0  #: seconds within which an address has to answer
        self.posted: list[Message] = []  #: each notification once, after its first attempt
        self._clock = clock
        self._watches: dict[str, Watch] = {}
        self._used: set[str] = set()  #: the ids of all channels ever opened
        self._waiting: list[Message] = []
        self._overtaken: dict[str, list[Message]] = {}  #: by channel, messages that are sent after its next message
        self._sending: Message | None = None
        self._closed = False
        self._changed = Condition()
        self._random = Random(7)
        self._thread: Thread | None = None

    # --- requests ---------------------------------------------------------------------------------------------------

    def open(self, who: str, owner: str, call: Call) -> dict[str, Any]:
        """Answer `calendar.events.watch`: `who` watches the calendar of `owner`. Raises Refusal."""
        body, now = call.body, self._clock()
        refuse_invalid_list(call.query, now)
        _refuse_invalid(body)
        expires = _get_end(body, now, self.longest)
        with self._changed:
            if body["id"] in self._used:
                raise Refusal(400, "channelIdNotUnique", f"Channel id {body['id']} not unique")
            self._used.add(body["id"])
            filters = sorted((name, text) for name, text in call.raw_query.items() if name not in _STANDARD)
            query = "&".join(["alt=json", *(f"{name}={quote(text)}" for name, text in filters)])
            uri = f"https://www.googleapis.com/calendar/v3/calendars/{quote(owner)}/events?{query}"
            resource_id = blake2b(uri.encode(), digest_size=20).hexdigest()[:27]
            watch = Watch(body["id"], owner, who, body["address"], body.get("token") or "", expires, resource_id, uri)
            self._watches[watch.id] = watch
            self._queue(watch, "sync")
        answer: dict[str, Any] = {**watch.answer, **self.answers_with}
        return {name: value for name, value in answer.items() if value is not None}

    def stop(self, who: str, call: Call) -> None:
        """Answer `calendar.channels.stop`. Raises Refusal."""
        for name in ("id", "resourceId"):
            if not call.body.get(name):
                raise bad_request("Required", "required", name)
        with self._changed:
            watch = self._watches.get(call.body["id"])
            is_open = watch and not watch.stopped and watch.expires > self._clock()
            if watch is None or not is_open or (watch.who, watch.resource_id) != (who, call.body["resourceId"]):
                message = f"Channel '{call.body['id']}' not found for project '{_PROJECT}'"
                raise Refusal(404, "notFound", message)
            watch.stopped = True

    # --- for tests, and for the calendars -----------------------------------------------------------------------------

    def note_change(self, owner: str) -> None:
        """Notify the channels of that person's calendar, which has changed."""
        with self._changed:
            now = self._clock()
            for watch in self._watches.values():
                if watch.owner != owner or watch.expires <= now:
                    continue
                if not watch.stopped:
                    self._queue(watch, "exists")
                elif self.faults.take_due("notification.stopped", owner):
                    self._add(Message(watch, "exists", self._take_number(watch), now, trailing=True))

    def lose(self, channel: HasChannelId) -> None:
        """Forget the channel without a notification, so that nothing more comes through it."""
        with self._changed:
            self._watches.pop(channel.id).stopped = True

    def list_open(self) -> list[Watch]:
        """The channels that are neither stopped nor expired."""
        now = self._clock()
        with self._changed:
            return [watch for watch in self._watches.values() if not watch.stopped and watch.expires > now]

    # --- sending ----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until every notification that is due was sent."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._sending and not self._find_due(), _PATIENCE), self._waiting

    def await_sync(self, channel_id: str) -> None:
        """Wait until `sync` was sent or failed, unless `answers_first` is set."""
        with self._changed:
            watch = self._watches[channel_id]
            if not self.answers_first:
                assert self._changed.wait_for(lambda: watch.synced or self._closed, _PATIENCE)

    def close(self) -> None:
        """Stop sending, and end the thread."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread:
            thread.join()

    def _take_number(self, watch: Watch) -> int:
        """The number of the next message: 1 at first, then rising with gaps, as Google's do."""
        watch.number += 1 if watch.number == 0 else self._random.randint(1, 9)
        return watch.number

    def _queue(self, watch: Watch, state: str) -> None:
        """Queue a notification, or several or none, as a planned fault demands."""
        message = Message(watch, state, self._take_number(watch), self._clock())
        fault = self.faults.take_due(f"notification.{state}", watch.owner)
        reason = fault.reason if fault else ""
        if fault and reason == "delayed":
            message.due += fault.delay
        if reason == "overtaken":
            self._overtaken.setdefault(watch.id, []).append(message)
            return
        if reason == "lost":
            watch.synced = True
            return
        self._add(message)
        if reason == "duplicated":
            self._add(Message(watch, state, self._take_number(watch), message.due))
        for late in self._overtaken.pop(watch.id, ()):
            self._add(late)

    def _add(self, message: Message) -> None:
        if self._closed:
            return
        self._waiting.append(message)
        if self._thread is None:
            self._thread = Thread(target=self._send_all, name="google-notifications", daemon=True)
            self._thread.start()
        self._changed.notify_all()

    def _find_due(self) -> Message | None:
        now = self._clock()
        return next((message for message in self._waiting if message.due <= now), None)

    def _send_all(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while message := self._take():
                status = self._send(session, message)
                with self._changed:
                    self._sending = None
                    self._record(message, status)
                    self._changed.notify_all()

    def _take(self) -> Message | None:
        """Wait for the next message that is due, and return it; None when the double ends."""
        with self._changed:
            while not self._closed:
                if message := self._find_due():
                    self._waiting.remove(message)
                    self._sending = message
                    return message
                self._changed.wait(_POLL if self._waiting else None)
            self._waiting.clear()
            self._changed.notify_all()
            return None

    def _send(self, session: requests.Session, message: Message) -> int | None:
        """Post a message. Returns the status of the answer, or None when the channel has ended meanwhile."""
        watch = message.watch
        if watch.expires <= self._clock() or (watch.stopped and not message.trailing):
            return None
        parts = urlsplit(watch.address)
        base = self.routes.get(f"{parts.scheme}://{parts.netloc}")
        if base is None:
            return UNREACHABLE
        url = base + parts.path + (f"?{parts.query}" if parts.query else "")
        try:
            answer = session.post(url, b"", headers=message.headers, timeout=self.timeout, allow_redirects=False)
        except requests.RequestException:
            return UNREACHABLE
        return answer.status_code

    def _record(self, message: Message, status: int | None) -> None:
        """Record the result of an attempt, and queue the message again after a status that calls for it."""
        message.watch.synced = True
        if status is None:
            return
        if not message.statuses:
            self.posted.append(message)
        message.statuses.append(status)
        message.attempts += 1
        if (status in REPEATED or status == UNREACHABLE) and message.attempts < _ATTEMPTS:
            message.due = self._clock() + _FIRST_WAIT * 2 ** (message.attempts - 1)
            self._add(message)


def _refuse_invalid(body: dict[str, Any]) -> None:
    """Raises Refusal for a channel that can't be opened."""
    for name in ("id", "type", "address"):
        if not body.get(name):
            raise bad_request("Required", "required", name)
    if not _ID.fullmatch(body["id"]):
        raise bad_request(f"Invalid value for: Invalid format: channel id must match {_ID.pattern}", "invalid", "id")
    if body["type"] not in ("web_hook", "webhook"):
        raise bad_request(f"Unknown channel type: {body['type']}", "invalid", "type")
    token = body.get("token") or ""
    if len(token) > 256 or not (token.isascii() and token.isprintable()):
        raise bad_request("Channel token must be at most 256 characters that a header can hold", "invalid", "token")
    try:
        address = urlsplit(body["address"])
    except ValueError:
        raise bad_request("Invalid value for address", "invalid", "address") from None
    if address.scheme != "https" or not address.netloc:
        raise Refusal(400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {body['address']}")


def _get_end(body: dict[str, Any], now: datetime, longest: timedelta) -> datetime:
    """When the channel ends: at the requested time, or at the latest time that Google allows. Raises Refusal."""
    ttl = str((body.get("params") or {}).get("ttl") or "")
    if ttl and not re.fullmatch(r"[0-9]{1,12}", ttl):
        raise bad_request("Invalid value for ttl", "invalid", "params.ttl")
    if text := body.get("expiration"):
        seconds = int(text) // 1000 - int((now - _EPOCH).total_seconds())
    else:
        seconds = int(ttl) if ttl else int(DEFAULT_LIFETIME.total_seconds())
    if seconds <= 0:
        raise bad_request("The expiration of a channel must lie in the future", "invalid", "expiration")
    return now + timedelta(seconds=min(seconds, int(longest.total_seconds())))
