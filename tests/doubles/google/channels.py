"""Watch channels: who opened which one, and what is posted through it, by HTTP, from a thread of its own.

Notifications go where `routes` leads, as a company's proxy forwards them: the public address is https and is not on
this machine. The thread goes by the double's clock: what is due later waits until that clock says so.
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

from tests.doubles.google.faults import Plan
from tests.doubles.google.listing import refuse_question
from tests.doubles.google.schema import Call, Refusal, bad
from worker.clock import Clock

DEFAULT = timedelta(hours=1)
#: The statuses after which a notification is sent again; any other one is final.
REPEATED = frozenset({500, 502, 503, 504})
UNREACHABLE = 0  #: in place of a status; sent again, too
_ATTEMPTS = 10
_FIRST_WAIT = timedelta(seconds=1)  #: before the second attempt; twice as long before each further one
_POLL = 0.02  #: seconds after which the thread looks at the clock again
_PATIENCE = 30.0
_PROJECT = "123456789012"
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Parameters that each request may have, and that say nothing of what is watched.
_STANDARD = frozenset({"alt", "fields", "key", "oauth_token", "prettyPrint", "quotaUser", "userIp"})
_ID = re.compile(r"[A-Za-z0-9\-_+/=]{1,64}")


class Named(Protocol):
    """Anything with the id of a channel."""

    @property
    def id(self) -> str: ...


@dataclass(slots=True)
class Watch:
    """A channel."""

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
    synced: bool = False  #: whether `sync` was tried

    @property
    def shown(self) -> dict[str, str]:
        """The answer to whoever opened it."""
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
    """A notification on its way."""

    watch: Watch
    state: str  #: `sync`, `exists`, `not_exists`
    number: int
    due: datetime
    attempts: int = 0
    trailing: bool = False  #: it comes after its channel was stopped
    statuses: list[int] = field(default_factory=list)  #: what each attempt was answered

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
    """All channels of the project. `answers_first`: whether the answer to whoever opens a channel may come before
    `sync`; otherwise it waits for that."""

    def __init__(self, clock: Clock) -> None:
        self.routes: dict[str, str] = {}  #: where requests to a public base URL go
        self.plan = Plan()
        self.answers_first = True
        self.answers_with: dict[str, Any] = {}  #: what the answer says instead; None leaves something out
        self.longest = timedelta(days=7)  #: that a channel lives, whatever was asked for
        self.timeout = 5.0  #: seconds within which an address has to answer
        self.posted: list[Message] = []  #: each once, when it was first tried
        self._clock = clock
        self._watches: dict[str, Watch] = {}
        self._used: set[str] = set()  #: ids, which are taken once
        self._waiting: list[Message] = []
        self._overtaken: dict[str, list[Message]] = {}  #: wait for the next message of the channel
        self._sending: Message | None = None
        self._closed = False
        self._changed = Condition()
        self._random = Random(7)
        self._thread: Thread | None = None

    # --- what is asked ----------------------------------------------------------------------------------------------

    def open(self, who: str, owner: str, call: Call) -> dict[str, Any]:
        """`calendar.events.watch`, of a calendar that may be read. Raises Refusal."""
        body, now = call.body, self._clock()
        refuse_question(call.query, now)
        _refuse_invalid(body)
        expires = _end(body, now, self.longest)
        with self._changed:
            if body["id"] in self._used:
                raise Refusal(400, "channelIdNotUnique", f"Channel id {body['id']} not unique")
            self._used.add(body["id"])
            narrowed = sorted((name, text) for name, text in call.given.items() if name not in _STANDARD)
            query = "&".join(["alt=json", *(f"{name}={quote(text)}" for name, text in narrowed)])
            uri = f"https://www.googleapis.com/calendar/v3/calendars/{quote(owner)}/events?{query}"
            name = blake2b(uri.encode(), digest_size=20).hexdigest()[:27]  # the same for all who watch this
            watch = Watch(body["id"], owner, who, body["address"], body.get("token") or "", expires, name, uri)
            self._watches[watch.id] = watch
            self._queue(watch, "sync")
        answer: dict[str, Any] = {**watch.shown, **self.answers_with}
        return {name: value for name, value in answer.items() if value is not None}

    def stop(self, who: str, call: Call) -> None:
        """`calendar.channels.stop`. Raises Refusal."""
        for name in ("id", "resourceId"):
            if not call.body.get(name):
                raise bad("Required", "required", name)
        with self._changed:
            watch = self._watches.get(call.body["id"])
            known = watch and not watch.stopped and watch.expires > self._clock()
            if watch is None or not known or (watch.who, watch.resource_id) != (who, call.body["resourceId"]):
                message = f"Channel '{call.body['id']}' not found for project '{_PROJECT}'"
                raise Refusal(404, "notFound", message)
            watch.stopped = True

    # --- what happens -----------------------------------------------------------------------------------------------

    def note_change(self, owner: str) -> None:
        """Somebody has written to that person's calendar."""
        with self._changed:
            now = self._clock()
            for watch in self._watches.values():
                if watch.owner != owner or watch.expires <= now:
                    continue
                if not watch.stopped:
                    self._queue(watch, "exists")
                elif self.plan.pick("notification.stopped", owner):
                    self._add(Message(watch, "exists", self._number(watch), now, trailing=True))

    def lose(self, channel: Named) -> None:
        """Forget the channel, without a word."""
        with self._changed:
            self._watches.pop(channel.id).stopped = True

    def live(self) -> list[Watch]:
        """The channels that are open."""
        now = self._clock()
        with self._changed:
            return [watch for watch in self._watches.values() if not watch.stopped and watch.expires > now]

    # --- sending ----------------------------------------------------------------------------------------------------

    def settle(self) -> None:
        """Wait until nothing is due any more."""
        with self._changed:
            assert self._changed.wait_for(lambda: not self._sending and not self._next(), _PATIENCE), self._waiting

    def await_sync(self, channel_id: str) -> None:
        """Wait until `sync` was tried, if the answer is not to come before it."""
        with self._changed:
            watch = self._watches[channel_id]
            if not self.answers_first:
                assert self._changed.wait_for(lambda: watch.synced or self._closed, _PATIENCE)

    def close(self) -> None:
        """Nothing is sent any more."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()
            thread = self._thread
        if thread:
            thread.join()

    def _number(self, watch: Watch) -> int:
        watch.number += 1 if watch.number == 0 else self._random.randint(1, 9)
        return watch.number

    def _queue(self, watch: Watch, state: str) -> None:
        """A message goes out, as the plan has it."""
        message = Message(watch, state, self._number(watch), self._clock())
        fault = self.plan.pick(f"notification.{state}", watch.owner)
        what = fault.reason if fault else ""
        if fault and what == "delayed":
            message.due += fault.delay
        if what == "overtaken":
            self._overtaken.setdefault(watch.id, []).append(message)
            return
        if what == "lost":
            watch.synced = True
            return
        self._add(message)
        if what == "duplicated":
            self._add(Message(watch, state, self._number(watch), message.due))
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

    def _next(self) -> Message | None:
        now = self._clock()
        return next((message for message in self._waiting if message.due <= now), None)

    def _send_all(self) -> None:
        with requests.Session() as session:
            session.trust_env = False
            while message := self._take():
                status = self._send(session, message)
                with self._changed:
                    self._sending = None
                    self._note(message, status)
                    self._changed.notify_all()

    def _take(self) -> Message | None:
        """The next message when it is due; None at the end."""
        with self._changed:
            while not self._closed:
                if message := self._next():
                    self._waiting.remove(message)
                    self._sending = message
                    return message
                self._changed.wait(_POLL if self._waiting else None)
            self._waiting.clear()
            self._changed.notify_all()
            return None

    def _send(self, session: requests.Session, message: Message) -> int | None:
        """What the address answers; None when the channel has ended meanwhile."""
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

    def _note(self, message: Message, status: int | None) -> None:
        """Keep what became of an attempt, and send the message again if that is worth it."""
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
            raise bad("Required", "required", name)
    if not _ID.fullmatch(body["id"]):
        raise bad(f"Invalid value for: Invalid format: channel id must match {_ID.pattern}", "invalid", "id")
    if body["type"] not in ("web_hook", "webhook"):
        raise bad(f"Unknown channel type: {body['type']}", "invalid", "type")
    token = body.get("token") or ""
    if len(token) > 256 or not (token.isascii() and token.isprintable()):
        raise bad("Channel token must be at most 256 characters that a header can hold", "invalid", "token")
    try:
        address = urlsplit(body["address"])
    except ValueError:
        raise bad("Invalid value for address", "invalid", "address") from None
    if address.scheme != "https" or not address.netloc:
        raise Refusal(400, "push.webhookUrlNotHttps", f"WebHook callback must be HTTPS: {body['address']}")


def _end(body: dict[str, Any], now: datetime, longest: timedelta) -> datetime:
    """When the channel ends: as asked, but not later than Google allows. Raises Refusal."""
    ttl = str((body.get("params") or {}).get("ttl") or "")
    if ttl and not re.fullmatch(r"[0-9]{1,12}", ttl):
        raise bad("Invalid value for ttl", "invalid", "params.ttl")
    if text := body.get("expiration"):
        asked = int(text) // 1000 - int((now - _EPOCH).total_seconds())
    else:
        asked = int(ttl) if ttl else int(DEFAULT.total_seconds())
    if asked <= 0:
        raise bad("The expiration of a channel must lie in the future", "invalid", "expiration")
    return now + timedelta(seconds=min(asked, int(longest.total_seconds())))
