"""Sends requests to Google's APIs, limits their rate, and translates every failure into a ProviderError.

google-api-python-client composes and validates the requests, from the API descriptions that the library contains. The
library's own transport is not used, because it repeats a request whose connection broke. A write must not be repeated
before the caller has checked whether the first attempt took effect.

Every request names the person for whom it is made, as a hash in the query parameter `quotaUser`. Without this
parameter, Google would count all requests of a service account against the quota of one user. Our own rate limit is per
person, too. No function here sleeps: a request above the limit is not sent and raises `RateLimited` with the time to
wait, and the outbox and the next sync try again.
"""

from collections import deque
from collections.abc import Mapping, Sequence
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
from googleapiclient.errors import HttpError
from googleapiclient.http import BatchHttpRequest, HttpRequest

from worker.clock import Clock
from worker.domain.model import Address
from worker.errors import AuthRevoked, ProviderError, RateLimited, Unavailable
from worker.process_metrics import count_request, observe_request
from worker.providers.google.auth import GoogleAccess, build_access, get_hashing_key, get_timeout
from worker.providers.google.error_translation import translate_error, translate_errors

CALENDAR_ENDPOINT = "https://www.googleapis.com/calendar/v3/"
GMAIL_ENDPOINT = "https://gmail.googleapis.com/"
DIRECTORY_ENDPOINT = "https://admin.googleapis.com/"
BATCH_SIZE = 50  #: requests in one batch
_MINUTE = timedelta(minutes=1)
_WRITE_METHODS = frozenset({"POST", "PUT", "PATCH", "DELETE"})
#: Google answers these methods with HTTP status 204, without a body.
_METHODS_WITHOUT_BODY = frozenset({"calendar.events.delete", "calendar.channels.stop"})
_PROJECT = ""  #: stands for the whole project among those who spend quota units
_NO_OBJECT = "not a JSON object"
_QUOTA_USER = "quotaUser"
_QUOTA_USER_BYTES = 20  #: Google allows 40 characters, which are 20 bytes in hexadecimal digits
#: The label of an API's requests in the metrics, by the API's name. An API that is not listed has its name as label.
_METRIC_KINDS = {"gmail": "mail", "admin": "directory"}


# --- rate limits ----------------------------------------------------------------------------------------------------


@dataclass(slots=True)
class RequestQuota:
    """Limits the quota units spent within a minute, for each person and for the whole project.

    Google counts the cost of requests in quota units. Only the requests of this process are counted here: when several
    processes together exceed the quota of a project, Google answers 429, which is raised as `RateLimited`, too.
    """

    per_person: int  #: units a minute
    per_project: int  #: units a minute
    clock: Clock
    #: When units were spent, and how many: by person, and for the whole project under _PROJECT.
    _spent: dict[str, deque[tuple[datetime, int]]] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def spend(self, person: Address, units: int = 1) -> None:
        """Count `units` for the person and for the project.

        When the units would exceed a limit, nothing is counted, and RateLimited is raised.
        """
        now = self.clock()
        with self._lock:
            for spender, limit in ((person, self.per_person), (_PROJECT, self.per_project)):
                spendings = self._spent.setdefault(spender, deque())
                while spendings and spendings[0][0] <= now - _MINUTE:
                    spendings.popleft()
                # When nothing is spent, even a request that costs more than the limit passes. Otherwise it could never
                # be sent.
                if spendings and sum(cost for _, cost in spendings) + units > limit:
                    subject = spender or "this project"
                    oldest_spent_at, _ = spendings[0]
                    raise RateLimited(
                        f"{subject}: the limit of requests to Google per minute is reached.",
                        retry_after=oldest_spent_at + _MINUTE - now,
                    )
            for spender in (person, _PROJECT):
                self._spent[spender].append((now, units))


# --- sending --------------------------------------------------------------------------------------------------------


class PersonTransport:
    """Sends the client library's requests as one person, within one scope. It replaces httplib2.Http."""

    def __init__(self, api: "GoogleApi", person: Address, scope: str) -> None:
        self._api = api
        self.person = person
        self.scope = scope
        # The client library reads this attribute for the requests of a batch.
        self.credentials = PersonCredentials(api.access, person, scope)

    def request(
        self,
        uri: str,
        method: str = "GET",
        body: str | bytes | None = None,
        headers: Mapping[str, str] | None = None,
        **_: object,
    ) -> tuple[httplib2.Response, bytes]:
        """Send a request and return the answer, as `httplib2.Http.request` does.

        When Google refuses the token, the request is sent a second time with a new token.
        """
        for attempt in (1, 2):
            token = self._api.access.get_token(self.person, self.scope)
            headers_with_token = {**(headers or {}), "Authorization": f"Bearer {token}"}
            answer = self._api.send(method, uri, body, headers_with_token)
            if answer.status_code != 401 or attempt == 2:
                break
            self._api.access.forget_token(self.person, self.scope)
        make_response: Any = httplib2.Response  # httplib2 has no type annotations
        response: httplib2.Response = make_response({name.lower(): value for name, value in answer.headers.items()})
        response.status, response.reason = answer.status_code, answer.reason
        return response, answer.content

    def close(self) -> None:
        """Do nothing: `GoogleApi` closes the connections."""


@dataclass(frozen=True, slots=True)
class PersonCredentials:
    """Adds a token to one request of a batch. The client library calls the methods, and prescribes their names."""

    access: GoogleAccess
    person: Address
    scope: str
    access_token: str = "fetched by apply()"  # noqa: S105  # the library only tests whether this is empty
    access_token_expired: bool = False  # the library reads this name

    def apply(self, headers: dict[str, str]) -> None:
        """Add the person's token to the headers."""
        headers["Authorization"] = f"Bearer {self.access.get_token(self.person, self.scope)}"

    def refresh(self, _transport: object) -> None:
        """Forget the token, which Google refused, so that `apply` requests a new token."""
        self.access.forget_token(self.person, self.scope)


class GoogleApi:
    """Sends requests to one of Google's APIs, each as a person. Raises only ProviderErrors."""

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
        hashing_key: str = "",
    ) -> None:
        """`timeout` is in seconds. `hashing_key` is the key with which a person's address is hashed for `quotaUser`."""
        self.access = access
        self._hashing_key = hashing_key.encode()[: blake2b.MAX_KEY_SIZE]
        self._name = name
        self._version = version
        self._metric_kind = _METRIC_KINDS.get(name, name)
        self._endpoint = endpoint
        self._quota = quota
        self._timeout = timeout
        self._clock = clock
        self._thread_state = local()
        self._sessions: list[requests.Session] = []

    def close(self) -> None:
        """Close the connections of all threads."""
        for session in self._sessions:
            session.close()

    @property
    def service(self) -> Any:
        """The client library's object that composes requests to this API. It is built only once."""
        return _build_service(self._name, self._version, self._endpoint)

    def execute(self, person: Address, scope: str, request: Any, *, units: int = 1, subject: str = "") -> Any:
        """Send one request as that person and return the answer.

        `units` is the cost of the request in quota units. Error texts begin with `subject`, or with the person's
        address when `subject` is empty.
        """
        self._quota.spend(person, units)
        self._set_quota_user(request, person)
        return self._execute_request(request, PersonTransport(self, person, scope), subject or person)

    def _set_quota_user(self, request: Any, person: Address) -> None:
        """Add `quotaUser` to the request, so that Google counts the request against that person's quota."""
        person_hash = blake2b(person.encode(), key=self._hashing_key, digest_size=_QUOTA_USER_BYTES).hexdigest()
        request.uri += f"{'&' if '?' in request.uri else '?'}{_QUOTA_USER}={person_hash}"

    def _execute_request(self, request: Any, transport: PersonTransport, subject: str) -> Any:
        is_query = "freeBusy" in request.uri  # the free/busy query is a POST that changes nothing
        is_write = request.method in _WRITE_METHODS and not is_query
        with translate_errors(subject, is_write=is_write, endpoint=self._endpoint, clock=self._clock):
            answer = request.execute(http=transport, num_retries=0)
            may_be_empty = request.methodId in _METHODS_WITHOUT_BODY
            if not isinstance(answer, dict) and not (may_be_empty and not answer):
                raise ValueError(_NO_OBJECT)  # the library returns a body that is not JSON as text
            return answer

    def execute_batch(self, calls: Sequence[tuple[Address, str, Any]]) -> list[Any | ProviderError]:
        """Send read requests, at most 50 in one HTTP request, and return their outcomes in the same order.

        Each of `calls` is a tuple of the person, the scope and the request. Its outcome is the answer, or the error
        that occurred instead. A single request is sent without a batch.
        """
        outcomes: list[Any | ProviderError] = []
        for first in range(0, len(calls), BATCH_SIZE):
            outcomes += self._execute_chunk(calls[first : first + BATCH_SIZE])
        return outcomes

    def _execute_chunk(self, chunk: Sequence[tuple[Address, str, Any]]) -> list[Any | ProviderError]:
        """Return the outcomes of at most 50 calls. The client library needs a unique text as the id of each request."""
        outcomes: dict[str, Any | ProviderError] = {}
        prepared_requests: list[tuple[str, PersonTransport, Any]] = []  # each with its id and its transport
        request_ids = [str(number) for number in range(len(chunk))]
        for request_id, (person, scope, request) in zip(request_ids, chunk, strict=True):
            transport = PersonTransport(self, person, scope)
            try:
                self._quota.spend(person)
                # Get the token now, and discard it: a failure then affects this request only. The batch takes the token
                # from a cache; a failure to get it there would fail all requests.
                self.access.get_token(person, scope)
                self._set_quota_user(request, person)
                request.http = transport
                prepared_requests.append((request_id, transport, request))
            except ProviderError as error:
                outcomes[request_id] = error
        can_be_batch = len(prepared_requests) > 1
        if can_be_batch:
            try:
                outcomes.update(self._send_batch(prepared_requests))
            except AuthRevoked:
                # Google has refused a token from the cache, and also the request for a new one. This ends the batch.
                can_be_batch = False
        if not can_be_batch:
            for request_id, transport, request in prepared_requests:
                outcomes[request_id] = self._execute_single(request, transport)
        return [outcomes[request_id] for request_id in request_ids]

    def _execute_single(self, request: Any, transport: PersonTransport) -> Any | ProviderError:
        """Send one request and return the answer or the error."""
        try:
            return self._execute_request(request, transport, transport.person)
        except ProviderError as error:
            return error

    def _send_batch(
        self, prepared_requests: Sequence[tuple[str, PersonTransport, Any]]
    ) -> dict[str, Any | ProviderError]:
        """Send the requests in one HTTP request and return the outcome of each by its id."""
        outcomes: dict[str, Any | ProviderError] = {}
        people = {request_id: transport.person for request_id, transport, _ in prepared_requests}

        def store_outcome(request_id: str, answer: Any, error: Exception | None) -> None:
            count_request("google", self._metric_kind, error.resp.status if isinstance(error, HttpError) else 200)
            if error is None and not isinstance(answer, dict):
                error = ValueError(_NO_OBJECT)
            outcomes[request_id] = answer if error is None else self._translate_read_error(error, people[request_id])

        batch = BatchHttpRequest(callback=store_outcome, batch_uri=self._batch_uri)
        for request_id, _, request in prepared_requests:
            batch.add(request, request_id=request_id)
        with translate_errors("a batch", is_write=False, endpoint=self._endpoint, clock=self._clock):
            # Each request in the batch has its own token. The HTTP request around them needs a token, of any person.
            _, first_transport, _ = prepared_requests[0]
            batch.execute(http=first_transport)
        missing_answer = Unavailable("Google did not answer one of the requests of a batch.")
        return {request_id: outcomes.get(request_id, missing_answer) for request_id in people}

    def _translate_read_error(self, error: Exception, person: Address) -> ProviderError:
        return translate_error(error, person, is_write=False, endpoint=self._endpoint, clock=self._clock)

    @property
    def _batch_uri(self) -> str:
        parts = urlsplit(self._endpoint)
        return f"{parts.scheme}://{parts.netloc}/batch/{self._name}/{self._version}"

    def send(self, method: str, uri: str, body: str | bytes | None, headers: Mapping[str, str]) -> requests.Response:
        """Send one HTTP request over this thread's connection, without retries."""
        if not hasattr(self._thread_state, "session"):
            self._thread_state.session = requests.Session()
            self._sessions.append(self._thread_state.session)
        content = body.encode() if isinstance(body, str) else body
        with observe_request("google", "batch" if uri == self._batch_uri else self._metric_kind) as observation:
            answer: requests.Response = self._thread_state.session.request(
                method, uri, data=content, headers=dict(headers), timeout=self._timeout, allow_redirects=False
            )
            observation.status = answer.status_code
        return answer


def build_api(
    name: str, version: str, endpoint: str, section: Mapping[str, Any], quota: RequestQuota, clock: Clock
) -> GoogleApi:
    """Return the API that a section of the settings describes. `endpoint` is its URL unless the section names one."""
    return GoogleApi(
        name,
        version,
        str(section.get("endpoint") or endpoint),
        build_access(section, clock),
        quota=quota,
        timeout=get_timeout(section),
        clock=clock,
        hashing_key=get_hashing_key(section),
    )


@lru_cache(maxsize=16)
def _build_service(name: str, version: str, endpoint: str) -> Any:
    options = {"api_endpoint": endpoint}
    # The library requires a transport but does not use it: static discovery reads the API description in the library.
    transport = PersonTransport.__new__(PersonTransport)
    return build(name, version, http=transport, client_options=options, static_discovery=True, cache_discovery=False)


def require_etag(request: HttpRequest, etag: str) -> HttpRequest:
    """Add a condition to the request: Google refuses it when the event no longer has that etag. Return the request."""
    request.headers["If-Match"] = etag
    return request
