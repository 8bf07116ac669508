"""Sends requests to Google's APIs, limits their rate, and turns every failure into a ProviderError.

google-api-python-client composes and checks the requests, from the API description it contains. Its transport is not
used: it repeats a request whose connection broke, and a write must not be repeated before somebody has checked
whether it was done.

Every request names the person it is made for, as a hash in `quotaUser`: without that, Google counts all requests of a
service account as one user's. Our own limit is per person, too. Nothing here sleeps: a request above the limit is not
sent and raises `RateLimited` with the time to wait; the outbox and the next sync try again.
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
    Unavailable,
)
from worker.metrics import count_request, observe_request
from worker.providers.google.auth import GoogleAccess, build_access, get_quota_key, get_timeout, parse_retry_after

CALENDAR_ENDPOINT = "https://www.googleapis.com/calendar/v3/"
GMAIL_ENDPOINT = "https://gmail.googleapis.com/"
DIRECTORY_ENDPOINT = "https://admin.googleapis.com/"
BATCH_SIZE = 50  #: requests in one batch
_MINUTE = timedelta(minutes=1)
_DAILY_LIMIT_WAIT = timedelta(hours=6)  #: before the next try, when a daily limit is used up
_WRITE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: Google answers these with 204.
_METHODS_WITHOUT_ANSWER = frozenset({"calendar.events.delete", "calendar.channels.stop"})
_RATE_REASONS = frozenset({"rateLimitExceeded", "userRateLimitExceeded", "RATE_LIMIT_EXCEEDED"})
_QUOTA_REASONS = frozenset({"quotaExceeded", "dailyLimitExceeded", "dailyLimitExceededUnreg"})
_API_OFF_REASONS = frozenset({"accessNotConfigured", "SERVICE_DISABLED"})
_SCOPE_REASONS = frozenset({"insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT", "insufficientScopes"})
#: Why Google does not open a channel, each with the error and what to do about it.
_CHANNEL_REFUSALS: Mapping[str, tuple[type[Permanent], str]] = {
    "webhookUrlNotHttps": (
        Forbidden,
        "Google notifies only https addresses: set `notify_url` under [sync] to one that has a trusted certificate.",
    ),
    "webhookUrlUnauthorized": (
        Forbidden,
        "Google may not notify the address in `notify_url` under [sync]: verify its domain in Google Search Console.",
    ),
    "pushNotSupportedForRequestedResource": (
        Forbidden,
        "Google does not tell of changes to this calendar: it can only be read at intervals.",
    ),
    "channelIdNotUnique": (Conflict, "a channel of this id was opened before: open another one."),
}
_QUOTA_USER = "quotaUser"
#: What the requests to an API are for, in the metrics.
_METRIC_KINDS = {"gmail": "mail", "admin": "directory"}
_RETRY_AFTER_TEXT = re.compile(r"[Rr]etry after (\d{4}-\d\d-\d\dT[\d:.]+Z)")
#: The notice to the operator when a person has no Meet; {0} is the address.
NO_MEET_NOTICE = (
    "Google offers no Meet link to {0}, so this person's conversations are booked without one. Switch Google Meet on "
    "for them in admin.google.com (Apps > Google Workspace > Google Meet), or set `video = false` under [event]; "
    "`longarc check` says for whom else it is off."
)


class ItemGone(NotFound):
    """The item was deleted."""


class SyncTokenExpired(Permanent):
    """The sync token has expired. Also raised for any other answer 410 whose reason is not `deleted`."""


class NoConference(Permanent):
    """This person's calendar offers no Meet link."""


class NoCalendar(Forbidden):
    """This person has no Google Calendar."""


# --- rate limits ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RequestQuota:
    """Limits the quota units spent within a minute, for each person and for the whole project.

    It counts the requests of this process only. When several processes share a project and exceed its quota, Google
    answers 429, which becomes `RateLimited` as well.
    """

    per_person: int
    per_project: int
    clock: Clock
    _spent: dict[str, deque[tuple[datetime, int]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def spend(self, person: Address, units: int = 1) -> None:
        """Count `units` for the person and the project. When that would exceed a limit, counts nothing and raises
        RateLimited."""
        now = self.clock()
        with self._lock:
            for counter, limit in ((person, self.per_person), ("", self.per_project)):
                spent = self._spent.setdefault(counter, deque())
                while spent and spent[0][0] <= now - _MINUTE:
                    spent.popleft()
                if spent and sum(cost for _, cost in spent) + units > limit:
                    subject = counter or "this project"
                    wait = spent[0][0] + _MINUTE - now
                    raise RateLimited(
                        f"{subject}: the limit of requests to Google a minute is reached.", retry_after=wait
                    )
            for counter in (person, ""):
                self._spent[counter].append((now, units))


# --- sending --------------------------------------------------------------------------------------------------------


class PersonTransport:
    """The client library's transport for one person and one scope. Each thread has one connection."""

    def __init__(self, api: "GoogleApi", person: Address, scope: str) -> None:
        self._api = api
        self.person, self.scope = person, scope
        self.credentials = PersonCredentials(api.access, person, scope)

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> tuple[httplib2.Response, bytes]:
        """Send a request as `httplib2.Http.request` does; once more with a new token when Google refuses the token."""
        for attempt in (1, 2):
            token = self._api.access.get_token(self.person, self.scope)
            authorized = {**(headers or {}), "Authorization": f"Bearer {token}"}
            answer = self._api.send(method, uri, body, authorized)
            if answer.status_code != 401 or attempt == 2:
                break
            self._api.access.forget_token(self.person, self.scope)
        make_response: Any = httplib2.Response  # the library has no types
        response: httplib2.Response = make_response({name.lower(): value for name, value in answer.headers.items()})
        response.status, response.reason = answer.status_code, answer.reason
        return response, answer.content

    def close(self) -> None:
        """Do nothing: `GoogleApi` closes the connections."""


@dataclass(frozen=True, slots=True)
class PersonCredentials:
    """The client library's credentials for one request of a batch: add a token to it, and forget a refused one."""

    access: GoogleAccess
    person: Address
    scope: str
    access_token: str = "fetched by apply()"  # noqa: S105  # the library only tests whether it is empty
    access_token_expired: bool = False

    def apply(self, headers: dict[str, str]) -> None:
        """Add the person's token to the headers."""
        headers["Authorization"] = f"Bearer {self.access.get_token(self.person, self.scope)}"

    def refresh(self, _transport: object) -> None:
        """Forget the token, so that `apply` gets a new one."""
        self.access.forget_token(self.person, self.scope)


class GoogleApi:
    """Sends requests to one API, each as a person. Raises only ProviderErrors."""

    def __init__(
        self,
        name: str,
        version: str,
        endpoint: str,
        access: GoogleAccess,
        *,
        quota: RequestQuota,
        timeout: float,
        clock: Clock,
        quota_key: str = "",
    ) -> None:
        """`quota_key`: the key of the hash of a person's address in `quotaUser`."""
        self.access = access
        self._quota_key = quota_key.encode()[: blake2b.MAX_KEY_SIZE]
        self._name, self._version = name, version
        self._kind = _METRIC_KINDS.get(name, name)
        self._endpoint = endpoint
        self._quota = quota
        self._timeout = timeout
        self._clock = clock
        self._threads = local()
        self._sessions: list[requests.Session] = []

    def close(self) -> None:
        """Close the connections of all threads."""
        for session in self._sessions:
            session.close()

    @property
    def service(self) -> Any:
        """The client library's composer of requests. It is built only once."""
        return _build_service(self._name, self._version, self._endpoint)

    def execute(self, person: Address, scope: str, request: Any, *, units: int = 1, subject: str = "") -> Any:
        """Send one request as that person and return the answer. `units`: its cost in quota units. `subject`: the
        beginning of error texts; the person's address when empty."""
        self._quota.spend(person, units)
        self._set_quota_user(request, person)
        return self._execute_request(request, PersonTransport(self, person, scope), subject or person)

    def _set_quota_user(self, request: Any, person: Address) -> None:
        """Have Google count the request against that person's quota instead of the service account's."""
        person_hash = blake2b(
            person.encode(), key=self._quota_key, digest_size=20
        ).hexdigest()  # Google allows 40 characters
        request.uri += f"{'&' if '?' in request.uri else '?'}{_QUOTA_USER}={person_hash}"

    def _execute_request(self, request: Any, transport: PersonTransport, subject: str) -> Any:
        is_write = request.method in _WRITE_METHODS and "freeBusy" not in request.uri
        with translate_errors(subject, is_write=is_write, endpoint=self._endpoint, clock=self._clock):
            answer = request.execute(http=transport, num_retries=0)
            is_empty = request.methodId in _METHODS_WITHOUT_ANSWER and not answer
            if not isinstance(answer, dict) and not is_empty:  # the library returns non-JSON as text
                raise ValueError("not an object")
            return answer

    def execute_batch(self, requests: Sequence[tuple[Address, str, Any]]) -> list[Any | ProviderError]:
        """Send read requests, each given as person, scope and request, at most 50 in one HTTP request. Returns, in
        their order, the answer to each, or the error that came instead. A single request is sent without a batch."""
        outcomes: list[Any | ProviderError] = []
        for first in range(0, len(requests), BATCH_SIZE):
            outcomes += self._execute_chunk(requests[first : first + BATCH_SIZE])
        return outcomes

    def _execute_chunk(self, chunk: Sequence[tuple[Address, str, Any]]) -> list[Any | ProviderError]:
        outcomes: dict[str, Any | ProviderError] = {}
        prepared: list[tuple[str, PersonTransport, Any]] = []
        for number, (person, scope, request) in enumerate(chunk):
            transport = PersonTransport(self, person, scope)
            try:
                self._quota.spend(person)
                self.access.get_token(person, scope)  # if this fails inside the batch, all its requests fail
                self._set_quota_user(request, person)
                request.http = transport
                prepared.append((str(number), transport, request))
            except ProviderError as error:
                outcomes[str(number)] = error
        if len(prepared) == 1:
            [(only_number, transport, request)] = prepared
            outcomes[only_number] = self._execute_single(request, transport)
        elif prepared:
            outcomes.update(self._send_batch(prepared))
        return [outcomes[str(number)] for number in range(len(chunk))]

    def _execute_single(self, request: Any, transport: PersonTransport) -> Any | ProviderError:
        try:
            return self._execute_request(request, transport, transport.person)
        except ProviderError as error:
            return error

    def _send_batch(self, prepared: Sequence[tuple[str, PersonTransport, Any]]) -> dict[str, Any | ProviderError]:
        outcomes: dict[str, Any | ProviderError] = {}
        people = {number: transport.person for number, transport, _ in prepared}

        def store_outcome(number: str, answer: Any, error: Exception | None) -> None:
            count_request("google", self._kind, error.resp.status if isinstance(error, HttpError) else 200)
            if error is None and not isinstance(answer, dict):
                error = ValueError("not an object")
            outcomes[number] = answer if error is None else self._translate_read_error(error, people[number])

        batch = BatchHttpRequest(callback=store_outcome, batch_uri=self._batch_uri)
        for number, _, request in prepared:
            batch.add(request, request_id=number)
        with translate_errors("a batch", is_write=False, endpoint=self._endpoint, clock=self._clock):
            batch.execute(http=prepared[0][1])
        missing_answer = Unavailable("Google left a request of a batch without an answer.")
        return {number: outcomes.get(number, missing_answer) for number in people}

    def _translate_read_error(self, error: Exception, person: Address) -> ProviderError:
        return translate_error(error, person, is_write=False, endpoint=self._endpoint, clock=self._clock)

    @property
    def _batch_uri(self) -> str:
        parts = urlsplit(self._endpoint)
        return f"{parts.scheme}://{parts.netloc}/batch/{self._name}/{self._version}"

    def send(self, method: str, uri: str, body: str | bytes | None, headers: Mapping[str, str]) -> requests.Response:
        """Send one HTTP request over this thread's connection, without retries."""
        if not hasattr(self._threads, "session"):
            self._threads.session = requests.Session()
            self._sessions.append(self._threads.session)
        content = body.encode() if isinstance(body, str) else body
        with observe_request("google", "batch" if uri == self._batch_uri else self._kind) as observation:
            answer: requests.Response = self._threads.session.request(
                method, uri, data=content, headers=dict(headers), timeout=self._timeout, allow_redirects=False
            )
            observation.status = answer.status_code
        return answer


def build_api(
    name: str, version: str, endpoint: str, section: Mapping[str, Any], quota: RequestQuota, clock: Clock
) -> GoogleApi:
    """Return the API that a section of the settings describes; `endpoint` is its URL where the section names none."""
    return GoogleApi(
        name,
        version,
        str(section.get("endpoint") or endpoint),
        build_access(section, clock),
        quota=quota,
        timeout=get_timeout(section),
        clock=clock,
        quota_key=get_quota_key(section),
    )


@lru_cache(maxsize=16)
def _build_service(name: str, version: str, endpoint: str) -> Any:
    options = {"api_endpoint": endpoint}
    # The library wants a transport but sends nothing here: static discovery reads the API description it contains.
    transport = PersonTransport.__new__(PersonTransport)
    return build(name, version, http=transport, client_options=options, static_discovery=True, cache_discovery=False)


def require_etag(request: HttpRequest, etag: str) -> HttpRequest:
    """Return the same request, which Google refuses when the event is no longer at that etag."""
    request.headers["If-Match"] = etag
    return request


# --- errors ---------------------------------------------------------------------------------------------------------


@contextmanager
def translate_errors(subject: str, *, is_write: bool, endpoint: str, clock: Clock) -> Iterator[None]:
    """Raise every exception of the client library and the HTTP libraries as a ProviderError."""
    try:
        yield
    except ProviderError:
        raise
    except Exception as error:
        raise translate_error(error, subject, is_write=is_write, endpoint=endpoint, clock=clock) from error


def translate_error(error: Exception, subject: str, *, is_write: bool, endpoint: str, clock: Clock) -> ProviderError:
    """Return the exception as a ProviderError whose text begins with `subject`. `is_write`: whether the request may
    have changed something; then a lost answer is `uncertain`."""
    if isinstance(error, ProviderError):
        return error
    if isinstance(error, HttpError):
        return _translate_http_error(error, subject, is_write, clock)
    if isinstance(error, requests.exceptions.RequestException):
        return _translate_connection_error(error, endpoint, is_write)
    if isinstance(error, BatchError | ValueError | KeyError | TypeError):
        if is_write:  # it may have been done, and only the answer was cut off
            return Unavailable(f"{subject}: Google's answer can't be read.", uncertain=True)
        return InvalidResponse(f"{subject}: Google answered with something that can't be read.")
    return InvalidResponse(f"{subject}: Google's answer made no sense ({type(error).__name__}).")


def _translate_connection_error(error: Exception, endpoint: str, is_write: bool) -> ProviderError:
    if isinstance(error, requests.exceptions.SSLError):
        return Unavailable(f"{endpoint}: no safe connection (TLS): check the certificate.")
    text = repr(error)
    if isinstance(error, requests.exceptions.ConnectTimeout) or "NewConnectionError" in text or "refused" in text:
        return Unavailable(f"Nothing answers at {endpoint}.")
    return Unavailable(f"{endpoint} did not answer, or the connection broke.", uncertain=is_write)


@dataclass(frozen=True, slots=True)
class GoogleErrorDetails:
    """Status, reason and message of an error answer from Google; empty where Google gives none."""

    status: int
    reason: str = ""
    message: str = ""

    @classmethod
    def from_http_error(cls, error: HttpError) -> "GoogleErrorDetails":
        """Read the JSON body of the error answer."""
        try:
            body = json.loads(error.content)["error"]
            first = (body.get("errors") or [{}])[0]
            reasons = [str(detail.get("reason", "")) for detail in body.get("details", ()) if isinstance(detail, dict)]
            reason = next(filter(None, reasons), "") or str(first.get("reason", ""))
            return cls(int(error.resp.status), reason, " ".join(str(body.get("message", "")).split())[:300])
        except (ValueError, KeyError, TypeError, AttributeError):
            return cls(int(error.resp.status))


def _translate_http_error(error: HttpError, subject: str, is_write: bool, clock: Clock) -> ProviderError:
    details = GoogleErrorDetails.from_http_error(error)
    wait = parse_retry_after(error.resp) or _parse_retry_text(details.message, clock)
    if details.status == 429 or details.reason in _RATE_REASONS:
        return RateLimited(f"{subject}: Google asks to slow down.", retry_after=wait)
    if details.reason in _QUOTA_REASONS:
        return RateLimited(
            f"{subject}: a daily limit of Google's is used up ({details.reason}).",
            retry_after=wait or _DAILY_LIMIT_WAIT,
        )
    if details.status >= 500:
        return Unavailable(
            f"{subject}: Google is out of order (status {details.status}).", retry_after=wait, uncertain=is_write
        )
    if not details.reason and not details.message:
        return InvalidResponse(f"{subject}: this is not Google's API that answers (status {details.status}).")
    if details.reason.removeprefix("push.") in _CHANNEL_REFUSALS:
        refusal_class, remedy = _CHANNEL_REFUSALS[details.reason.removeprefix("push.")]
        return refusal_class(f"{subject}: {remedy}")
    return _translate_status(details, subject)


def _translate_status(details: GoogleErrorDetails, subject: str) -> ProviderError:
    if details.status == 401:
        return AuthRevoked(f"{subject}: Google does not accept the grant any more.")
    if details.status == 410:
        error_class: Callable[[str], ProviderError] = ItemGone if details.reason == "deleted" else SyncTokenExpired
        return error_class(f"{subject}: Google has nothing under this name any more ({details.reason}).")
    if details.status == 404:
        return NotFound(f"{subject}: Google finds nothing, or may not show it.")
    if details.status in (409, 412):
        return Conflict(f"{subject}: it was changed by somebody else, or its id is taken ({details.reason}).")
    if details.status == 400 and "sync token" in details.message.lower():
        return SyncTokenExpired(f"{subject}: the sync token is not good any more.")
    if details.status == 400 and details.reason == "failedPrecondition":
        return Forbidden(f"{subject}: this account has no such service: switch Gmail on for it in the admin console.")
    if details.status == 400 and "conference type" in details.message.lower():
        return NoConference(f"{subject}: Google offers no Meet link here.")
    if details.reason == "notACalendarUser":
        return NoCalendar(f"{subject}: this account has no Google Calendar.")
    if details.reason in _API_OFF_REASONS:
        return Forbidden(f"{subject}: the API is not switched on in this project. {details.message}")
    if details.reason in _SCOPE_REASONS:
        return AuthRevoked(f"{subject}: the grant lacks a scope ({details.message})")
    if details.reason == "forbiddenForServiceAccounts":
        return Forbidden(f"{subject}: the service account has no domain-wide delegation, so it may not invite anybody.")
    return Forbidden(f"{subject}: Google refuses this: {details.reason} {details.message}".rstrip())


def _parse_retry_text(message: str, clock: Clock) -> timedelta | None:
    """Return the time until the instant that an error message names; None when it names none."""
    match = _RETRY_AFTER_TEXT.search(message)
    if not match:
        return None
    try:
        return max(datetime.fromisoformat(match[1].replace("Z", "+00:00")) - clock(), timedelta())
    except ValueError:
        return None
