"""Talking to Google's APIs through google-api-python-client: one place that sends, paces, and says what went wrong.

The client library composes and checks the requests, from the description of the API that comes inside it. Its own
transport is left aside, because that repeats a request whose connection broke, and a write must not be repeated by
anybody who can't look first. What can go wrong becomes one of our errors here, with what to do about it.

Every request names the person it is made for, as a hash in `quotaUser`: without it Google counts what a service
account asks for a whole company as one user's. Pacing counts for each person, too. It never sleeps: a request that
would go over the rate is not sent and raises `RateLimited` with the time to wait; the outbox and the next sync come
back by themselves.
"""

import json
import re
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import lru_cache
from hashlib import blake2b
from threading import Lock, local
from typing import Any
from urllib.parse import urlsplit

import httplib2
import requests
from googleapiclient.discovery import build
from googleapiclient.errors import BatchError, HttpError
from googleapiclient.http import BatchHttpRequest, HttpRequest

from worker.clock import Clock
from worker.domain.model import Address
from worker.errors import (
    AuthRevoked,
    Conflict,
    Forbidden,
    InvalidResponse,
    NotFound,
    Permanent,
    ProviderError,
    RateLimited,
    Transient,
    Unavailable,
)
from worker.providers.google.auth import GoogleAccess, parse_retry_after

CALENDAR_ENDPOINT = "https://www.googleapis.com/calendar/v3/"
GMAIL_ENDPOINT = "https://gmail.googleapis.com/"
BATCH_SIZE = 50
_MINUTE = timedelta(minutes=1)
_LONG_WAIT = timedelta(hours=6)  #: a limit that is not lifted within minutes
_WRITE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
_RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_QUOTA_REASONS = frozenset({"quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"})
_API_OFF_REASONS = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_SCOPE_REASONS = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientScopes"})
_QUOTA_USER = "quotaUser"
_RETRY_AFTER_TEXT = re.compile(r"[Rr]etry after (\d{4}-\d\d-\d\dT[\d:.]+Z)")
#: What the operator reads when a person has no Meet; takes an address.
NO_MEET_NOTICE = (
    "Google offers no Meet link to {0}, so this person's conversations are booked without one. Switch Google Meet on "
    "for them in admin.google.com (Apps > Google Workspace > Google Meet), or set `video = false` under [event]; "
    "`longarc check` says for whom else it is off."
)


class ItemGone(NotFound):
    """The service has nothing under this name any more."""


class SyncTokenExpired(Permanent):
    """The sync token is not good any more."""


class NoConference(Permanent):
    """This person's calendar offers no Meet link."""


class NoCalendar(Forbidden):
    """This person has no Google Calendar."""


# --- how fast -------------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RequestQuota:
    """Counts what was spent within the last minute, for each person and for the whole project.

    Kept in this process: several processes share a project's quota, and what one of them can't see comes back from
    Google as a 429, which is honoured as well.
    """

    per_person: int
    per_project: int
    clock: Clock
    _spent: dict[str, deque[tuple[datetime, int]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def spend(self, person: Address, units: int = 1) -> None:
        """Raises RateLimited, and counts nothing then."""
        now = self.clock()
        with self._lock:
            for name, limit in ((person, self.per_person), ("", self.per_project)):
                spent = self._spent.setdefault(name, deque())
                while spent and spent[0][0] <= now - _MINUTE:
                    spent.popleft()
                if spent and sum(cost for _, cost in spent) + units > limit:
                    who = person if name else "this project"
                    wait = spent[0][0] + _MINUTE - now
                    raise RateLimited(f"Enough was asked of Google for {who} within a minute.", retry_after=wait)
            for name in (person, ""):
                self._spent[name].append((now, units))


# --- sending --------------------------------------------------------------------------------------------------------


class PersonTransport:
    """What the client library takes for its transport, for one person and one scope. One connection per thread."""

    def __init__(self, wires: "GoogleApi", person: Address, scope: str) -> None:
        self._wires = wires
        self.person, self.scope = person, scope
        self.credentials = PersonCredentials(wires.access, person, scope)

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> tuple[httplib2.Response, bytes]:
        """As `httplib2.Http.request`. A refused token is renewed once; nothing else is tried twice."""
        for attempt in (1, 2):
            token = self._wires.access.get_token(self.person, self.scope)
            sent = {**(headers or {}), "Authorization": f"Bearer {token}"}
            answer = self._wires.send(method, uri, body, sent)
            if answer.status_code != 401 or attempt == 2:
                break
            self._wires.access.forget_token(self.person, self.scope)
        described: Any = httplib2.Response  # the library has no types
        shown: httplib2.Response = described({name.lower(): value for name, value in answer.headers.items()})
        shown.status, shown.reason = answer.status_code, answer.reason
        return shown, answer.content

    def close(self) -> None:
        """The connection belongs to the thread."""


@dataclass(frozen=True, slots=True)
class PersonCredentials:
    """How the client library signs a request that travels inside another one, and renews what was refused."""

    access: GoogleAccess
    person: Address
    scope: str
    access_token: str = "asked for when it is needed"  # noqa: S105  # the library only looks whether there is one
    access_token_expired: bool = False

    def apply(self, headers: dict[str, str]) -> None:
        headers["Authorization"] = f"Bearer {self.access.get_token(self.person, self.scope)}"

    def refresh(self, _transport: object) -> None:
        self.access.forget_token(self.person, self.scope)


class GoogleApi:
    """The connections to one API, and the requests that go over them. Raises only ProviderErrors."""

    def __init__(
        self,
        api: str,
        version: str,
        endpoint: str,
        access: GoogleAccess,
        *,
        pace: RequestQuota,
        timeout: float,
        clock: Clock,
        quota_key: str = "",
    ) -> None:
        """`quota_key`: what people's addresses are hashed with where they say whose quota is used."""
        self.access = access
        self._quota_key = quota_key.encode()[: blake2b.MAX_KEY_SIZE]
        self._api, self._version = api, version
        self._endpoint = endpoint
        self._pace = pace
        self._timeout = timeout
        self._clock = clock
        self._threads = local()
        self._sessions: list[requests.Session] = []

    def close(self) -> None:
        """Let go of the connections."""
        for session in self._sessions:
            session.close()

    @property
    def service(self) -> Any:
        """What composes the requests, from the description inside the library. Cheap after the first time."""
        return _build_service(self._api, self._version, self._endpoint)

    def execute(self, person: Address, scope: str, request: Any, *, units: int = 1, what: str = "") -> Any:
        """Send one request as that person, and give what it answers. `what` names the thing asked for, for people."""
        self._pace.spend(person, units)
        self._set_quota_user(request, person)
        return self._execute_request(request, PersonTransport(self, person, scope), what or person)

    def _set_quota_user(self, request: Any, person: Address) -> None:
        """Have the request counted against that person's quota; without it the service account's is used for all."""
        hashed = blake2b(person.encode(), key=self._quota_key, digest_size=20).hexdigest()  # 40 letters, as allowed
        request.uri += f"{'&' if '?' in request.uri else '?'}{_QUOTA_USER}={hashed}"

    def _execute_request(self, request: Any, wire: PersonTransport, what: str) -> Any:
        write = request.method in _WRITE_METHODS and "freeBusy" not in request.uri
        with translate_errors(what, write=write, endpoint=self._endpoint, clock=self._clock):
            answer = request.execute(http=wire, num_retries=0)
            if not isinstance(answer, dict) and request.method != "DELETE":  # what is no JSON comes as its text
                raise ValueError("not an object")
            return answer

    def execute_batch(self, wanted: Sequence[tuple[Address, str, Any]]) -> list[Any | ProviderError]:
        """Send reading requests, each as its own person, at most 50 in one; in their order, what each answered or why
        it did not. One alone goes by itself."""
        found: list[Any | ProviderError] = []
        for n in range(0, len(wanted), BATCH_SIZE):
            found += self._execute_chunk(wanted[n : n + BATCH_SIZE])
        return found

    def _execute_chunk(self, some: Sequence[tuple[Address, str, Any]]) -> list[Any | ProviderError]:
        found: dict[str, Any | ProviderError] = {}
        ready: list[tuple[str, PersonTransport, Any]] = []
        for number, (person, scope, request) in enumerate(some):
            wire = PersonTransport(self, person, scope)
            try:
                self._pace.spend(person)
                self.access.get_token(person, scope)  # so that whoever has none is no obstacle to the others
                self._set_quota_user(request, person)
                request.http = wire
                ready.append((str(number), wire, request))
            except ProviderError as error:
                found[str(number)] = error
        if len(ready) == 1:
            found[ready[0][0]] = self._execute_single(ready[0][2], ready[0][1])
        elif ready:
            found.update(self._send_batch(ready))
        return [found[str(number)] for number in range(len(some))]

    def _execute_single(self, request: Any, wire: PersonTransport) -> Any | ProviderError:
        try:
            return self._execute_request(request, wire, wire.person)
        except ProviderError as error:
            return error

    def _send_batch(self, ready: Sequence[tuple[str, PersonTransport, Any]]) -> dict[str, Any | ProviderError]:
        found: dict[str, Any | ProviderError] = {}
        who = {number: wire for number, wire, _ in ready}

        def take_answer(number: str, answer: Any, error: Exception | None) -> None:
            known = {"write": False, "endpoint": self._endpoint, "clock": self._clock}
            wrong = error or (None if isinstance(answer, dict) else ValueError("not an object"))
            found[number] = translate_error(wrong, who[number].person, **known) if wrong else answer  # type: ignore[arg-type]

        batch = BatchHttpRequest(callback=take_answer, batch_uri=self._batch_uri)
        for number, _, request in ready:
            batch.add(request, request_id=number)
        with translate_errors("a batch", write=False, endpoint=self._endpoint, clock=self._clock):
            batch.execute(http=ready[0][1])
        lost = Unavailable("Google left a part of a batch without an answer.")
        return {number: found.get(number, lost) for number in who}

    @property
    def _batch_uri(self) -> str:
        parts = urlsplit(self._endpoint)
        return f"{parts.scheme}://{parts.netloc}/batch/{self._api}/{self._version}"

    def send(self, method: str, uri: str, body: str | bytes | None, headers: Mapping[str, str]) -> requests.Response:
        """One request, once."""
        if not hasattr(self._threads, "session"):
            self._threads.session = requests.Session()
            self._sessions.append(self._threads.session)
        content = body.encode() if isinstance(body, str) else body
        answer: requests.Response = self._threads.session.request(
            method, uri, data=content, headers=dict(headers), timeout=self._timeout, allow_redirects=False
        )
        return answer


@lru_cache(maxsize=16)
def _build_service(api: str, version: str, endpoint: str) -> Any:
    options = {"api_endpoint": endpoint}
    transport = PersonTransport.__new__(
        PersonTransport
    )  # nothing is sent while it is built: the description is in the library
    return build(api, version, http=transport, client_options=options, static_discovery=True, cache_discovery=False)


def require_etag(request: HttpRequest, etag: str) -> HttpRequest:
    """The same request, which is refused when the thing was changed since that version."""
    request.headers["If-Match"] = etag
    return request


# --- what went wrong ------------------------------------------------------------------------------------------------


@contextmanager
def translate_errors(what: str, *, write: bool, endpoint: str, clock: Clock) -> Iterator[None]:
    """Whatever the library or what it stands on raises becomes one of our errors."""
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        raise translate_error(error, what, write=write, endpoint=endpoint, clock=clock) from error


def translate_error(error: Exception, what: str, *, write: bool, endpoint: str, clock: Clock) -> ProviderError:
    """What an exception means for us; `what` was asked for."""
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, HttpError):
        return _translate_http_error(error, what, write, clock)
    if isinstance(error, requests.exceptions.RequestException):
        return _translate_connection_error(error, endpoint, write)
    if isinstance(error, BatchError | ValueError | KeyError | TypeError):
        # An answer that broke off may belong to a write that was done all the same.
        if write:
            return Unavailable(f"{what}: Google's answer can't be read.", uncertain=True)
        return InvalidResponse(f"{what}: Google answered with something that can't be read.")
    return InvalidResponse(f"{what}: Google's answer made no sense ({type(error).__name__}).")


def _translate_connection_error(error: Exception, endpoint: str, write: bool) -> ProviderError:
    if isinstance(error, requests.exceptions.SSLError):
        return Unavailable(f"{endpoint}: no safe connection (TLS): check the certificate.")
    said = repr(error)
    if isinstance(error, requests.exceptions.ConnectTimeout) or "NewConnectionError" in said or "refused" in said:
        return Unavailable(f"Nothing answers at {endpoint}.")
    return Unavailable(f"{endpoint} did not answer, or the connection broke.", uncertain=write)


@dataclass(frozen=True, slots=True)
class GoogleErrorDetails:
    """What Google says about a refusal."""

    status: int
    reason: str = ""
    message: str = ""

    @classmethod
    def from_http_error(cls, error: HttpError) -> "GoogleErrorDetails":
        try:
            told = json.loads(error.content)["error"]
            listed = (told.get("errors") or [{}])[0]
            details = [str(one.get("reason", "")) for one in told.get("details", ()) if isinstance(one, dict)]
            reason = next((one for one in details if one), "") or str(listed.get("reason", ""))
            return cls(int(error.resp.status), reason, " ".join(str(told.get("message", "")).split())[:300])
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(int(error.resp.status))


def _translate_http_error(error: HttpError, what: str, write: bool, clock: Clock) -> ProviderError:
    told = GoogleErrorDetails.from_http_error(error)
    wait = parse_retry_after(error.resp) or _parse_retry_text(told.message, clock)
    if told.status == 429 or told.reason in _RATE_REASONS:
        return RateLimited(f"{what}: Google asks to slow down.", retry_after=wait)
    if told.reason in _QUOTA_REASONS:
        return RateLimited(
            f"{what}: a daily limit of Google's is used up ({told.reason}).", retry_after=wait or _LONG_WAIT
        )
    if told.status >= 500:
        return Unavailable(f"{what}: Google is out of order (status {told.status}).", retry_after=wait, uncertain=write)
    if not told.reason and not told.message:
        return InvalidResponse(f"{what}: this is not Google's API that answers (status {told.status}).")
    return _translate_status(told, what)


def _translate_status(told: GoogleErrorDetails, what: str) -> ProviderError:
    if told.status == 401:
        return AuthRevoked(f"{what}: Google does not accept the grant any more.")
    if told.status == 410:
        known: Callable[[str], ProviderError] = ItemGone if told.reason == "deleted" else SyncTokenExpired
        return known(f"{what}: Google has nothing under this name any more ({told.reason}).")
    if told.status == 404:
        return NotFound(f"{what}: Google finds nothing, or may not show it.")
    if told.status in (409, 412):
        return Conflict(f"{what}: it was changed by somebody else, or its id is taken ({told.reason}).")
    if told.status == 400 and "sync token" in told.message.lower():
        return SyncTokenExpired(f"{what}: the sync token is not good any more.")
    if told.status == 400 and told.reason == "failedPrecondition":
        return Forbidden(f"{what}: this account has no such service: switch Gmail on for it in the admin console.")
    if told.status == 400 and "conference type" in told.message.lower():
        return NoConference(f"{what}: Google offers no Meet link here.")
    if told.reason == "notACalendarUser":
        return NoCalendar(f"{what}: this account has no Google Calendar.")
    if told.reason in _API_OFF_REASONS:
        return Forbidden(f"{what}: the API is not switched on in this project. {told.message}")
    if told.reason in _SCOPE_REASONS:
        return AuthRevoked(f"{what}: the grant lacks a scope ({told.message})")
    if told.reason == "forbiddenForServiceAccounts":
        return Forbidden(f"{what}: the service account has no domain-wide delegation, so it may not invite anybody.")
    return Forbidden(f"{what}: Google refuses this: {told.reason} {told.message}".rstrip())


def _parse_retry_text(message: str, clock: Clock) -> timedelta | None:
    found = _RETRY_AFTER_TEXT.search(message)
    if not found:
        return None
    try:
        return max(datetime.fromisoformat(found[1].replace("Z", "+00:00")) - clock(), timedelta())
    except ValueError:
        return None


__all__ = [
    "GoogleApi",
    "ItemGone",
    "NoCalendar",
    "NoConference",
    "RequestQuota",
    "SyncTokenExpired",
    "Transient",
    "require_etag",
]
