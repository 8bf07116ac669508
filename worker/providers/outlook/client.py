"""Sends requests to Microsoft Graph, each with a token, its headers, and a slot of the limiter.

Every request returns JSON or raises a ProviderError. Only a request that was refused for an expired token is repeated
here: it was not performed. A write whose answer got lost raises an error with `uncertain`; the caller looks up whether
it was performed.
"""

import logging
import re
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, NoReturn, Protocol
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter

from worker.domain.model import Address
from worker.errors import AuthRevoked, InvalidResponse, ProviderError, RateLimited, Unavailable
from worker.logs import Action
from worker.process_metrics import NO_ANSWER, count_request, observe_request
from worker.providers.identities import Identities, InMemoryIdentities
from worker.providers.limiter import Limiter
from worker.providers.outlook.refusals import UnknownUser, parse_problem, translate_refusal

log = logging.getLogger(__name__)

#: Asks for dates in UTC, and for ids that stay when an item moves to another folder.
PREFER_HEADER = 'outlook.timezone="UTC", IdType="ImmutableId"'
#: The pause when the service asks for one without saying how long.
DEFAULT_PAUSE = timedelta(seconds=30)
HTTP_ACCEPTED = 202
#: Requests in one batch. Each goes to a different mailbox, so that no mailbox gets too many at a time.
BATCH_SIZE = 20
#: How Entra writes the id of a user.
_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
#: Characters of a query value that stay unescaped.
_UNESCAPED = "$(),'="

Json = dict[str, Any]
#: Makes the error of a permanent refusal from its status, code (in lower case) and message, and the person.
Translate = Callable[[int, str, str, Address], ProviderError]
#: What a request is for, by its path; else it is for a calendar.
_METRIC_KINDS = re.compile(
    r"/(?:(?P<batch>\$batch$)|(?P<token>oauth2/|\.well-known/)|(?P<mail>sendMail|messages|mailFolders)|(?P<directory>users(?:/delta)?$))"
)
_MANY_MAILBOXES = "many mailboxes"  #: the subject of an error of a whole batch

#: Error codes for a delta token that can no longer be used.
_EXPIRED_TOKEN_CODES = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired", "fullsyncrequired"})


class DeltaTokenExpired(ProviderError):
    """The delta token has expired: a new round has to begin."""


class TooSlow(Unavailable):
    """The service did not answer in time."""


class DuplicateTransaction(ProviderError):
    """The transaction id was used already. `existing`: the event's id where the service reports it, else empty."""

    def __init__(self, existing: str) -> None:
        super().__init__()
        self.existing = existing


class GraphTokens(Protocol):
    """Gives tokens for Graph."""

    own_account: Address  #: the person whose own account the tokens are for; empty for an app

    def get_token(self, *, fresh: bool = False) -> str:
        """Return a valid token; with `fresh`, a new one instead of the cached one. Raises AuthRevoked, Unavailable."""


class HttpSession(requests.Session):
    """A session with a default time-out in seconds. `ca_file` is used in place of the certificates that the environment
    names."""

    def __init__(self, timeout: float, ca_file: str = "") -> None:
        super().__init__()
        self._timeout = timeout
        self._ca_file = ca_file

    def request(self, method: Any, url: Any, *args: Any, **options: Any) -> requests.Response:
        """Send a request as `requests.Session.request` does."""
        options.setdefault("timeout", self._timeout)
        if self._ca_file:
            options["verify"] = self._ca_file
        with observe_request("outlook", _choose_metric_kind(url)) as observation:
            answer = super().request(method, url, *args, **options)
            observation.status = answer.status_code
        return answer


class Graph:
    """Sends requests to people's mailboxes, at `users/{name}` or, for a person's own account, at `me`."""

    def __init__(
        self,
        endpoint: str,
        tokens: GraphTokens,
        limiter: Limiter,
        *,
        timeout: float = 30.0,
        ca_file: str = "",
        identities: Identities | None = None,
    ) -> None:
        self.identities: Identities = identities or InMemoryIdentities()
        self._names: dict[Address, str] = {}  #: the id or sign-in name by which each person was reached last
        self._endpoint = endpoint.rstrip("/")
        self._tokens = tokens
        self._limiter = limiter
        self._timeout = timeout
        self._session = HttpSession(timeout, ca_file)
        self._session.mount(self._endpoint, HTTPAdapter(pool_maxsize=32))

    @property
    def own_account(self) -> Address:
        """The person whose own account is used; empty for an app."""
        return self.identities.find_primary(self._tokens.own_account) if self._tokens.own_account else ""

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get_token(self) -> str:
        """Return a token whose permissions can be read."""
        return self._tokens.get_token()

    # --- requests ---------------------------------------------------------------------------------------------------

    def get(self, who: Address, path: str, *, prefer: str = "", **query: object) -> Json:
        """GET `path` of the person's mailbox. A keyword gives the query parameter `$keyword`, unless it has
        capitals."""
        return self._read_json(self._request_mailbox("GET", who, path, query, prefer=prefer), who)

    def iter_all(self, who: Address, path: str, *, prefer: str = "", **query: object) -> Iterator[Json]:
        """Yield every entry of a list, of all pages."""
        yield from self.iter_rest(who, self.get(who, path, prefer=prefer, **query), prefer=prefer)

    def iter_rest(self, who: Address, page: Json, *, prefer: str = "") -> Iterator[Json]:
        """Yield every entry of that page and of those after it."""
        while True:
            yield from _read_values(page, who)
            if not (link := page.get("@odata.nextLink")):
                return
            page = self.follow_link(who, str(link), prefer=prefer)

    def follow_link(self, who: Address, link: str, *, prefer: str = "") -> Json:
        """GET the page at a link that the service sent. Raises InvalidResponse when it leads to another host."""
        if urlsplit(link)[:2] != urlsplit(self._endpoint)[:2]:
            raise InvalidResponse(f"{who}: the service sent a link that leads elsewhere.")
        return self._read_json(self._send("GET", who, link, prefer=prefer), who)

    def get_resource(self, subject: str, path: str, **query: object) -> Json:
        """GET `path` of the service itself, outside of any mailbox. `subject`: the beginning of error texts."""
        return self._read_json(self._send("GET", subject, f"{self._endpoint}/{path}{_make_query(query)}"), subject)

    def post(self, who: Address, path: str, body: Json, *, prefer: str = "", is_write: bool = True) -> Json:
        """POST to the person's mailbox and return the answer, {} when it is empty. `is_write`: whether the request
        changes something."""
        answer = self._request_mailbox("POST", who, path, json=body, prefer=prefer, is_write=is_write)
        return self._read_created(answer, who, is_write=is_write)

    def post_mime(self, who: Address, path: str, content: bytes) -> Json:
        """POST a MIME message, encoded in base64."""
        answer = self._request_mailbox("POST", who, path, data=content, content_type="text/plain", is_write=True)
        return self._read_created(answer, who, is_write=True)

    def _read_created(self, answer: requests.Response, who: Address, *, is_write: bool) -> Json:
        """Return the item created; {} when the request was only accepted, whatever the answer contains."""
        if answer.status_code == HTTP_ACCEPTED or not answer.content:
            return {}
        return self._read_json(answer, who, is_write=is_write)

    def patch(self, who: Address, path: str, body: Json, *, etag: str = "") -> Json:
        """PATCH the item and return it as changed. Raises Conflict when it is no longer at `etag`."""
        answer = self._request_mailbox("PATCH", who, path, json=body, etag=etag, is_write=True)
        return self._read_json(answer, who, is_write=True)

    def delete(self, who: Address, path: str, *, etag: str = "") -> None:
        """DELETE the item. Raises NotFound, and Conflict when it is no longer at `etag`."""
        self._request_mailbox("DELETE", who, path, etag=etag, is_write=True)

    def change_resource(
        self, method: str, who: Address, path: str, body: Json | None = None, *, translate: Translate
    ) -> Json:
        """Write to the service itself, outside of any mailbox, in a slot of the person's mailbox; return the answer, {}
        when it is empty. `translate`: makes the error of a permanent refusal."""
        content: Json = {} if body is None else {"json": body}
        url = f"{self._endpoint}/{path}"
        answer = self._send(method, who, url, is_write=True, translate=translate, **content)
        return self._read_created(answer, who, is_write=True)

    def get_each(self, people: Sequence[Address], path: str, **query: object) -> dict[Address, Json | ProviderError]:
        """GET the same path of each person's mailbox, twenty in one request; return the answer or the error by
        person."""
        outcomes: dict[Address, Json | ProviderError] = {}
        for first in range(0, len(people), BATCH_SIZE):
            chunk = people[first : first + BATCH_SIZE]
            with ExitStack() as slots:
                for who in sorted(chunk):  # always in one order: two threads that need the same slots must not deadlock
                    slots.enter_context(self._limiter.hold_slot(who))
                outcomes |= self._send_batch(chunk, path, query)
        for who in [who for who, outcome in outcomes.items() if isinstance(outcome, UnknownUser)]:
            try:  # _request_mailbox tries the person's other names
                outcomes[who] = self._read_json(self._request_mailbox("GET", who, path, query), who)
            except ProviderError as error:
                outcomes[who] = error
        return outcomes

    def _send_batch(
        self, people: Sequence[Address], path: str, query: Mapping[str, object], *, fresh: bool = False
    ) -> dict[Address, Json | ProviderError]:
        common_fields = {"method": "GET", "headers": {"Prefer": PREFER_HEADER}}
        items = [
            {"id": who, "url": self._make_path(self.list_names(who)[0], path, query), **common_fields} for who in people
        ]
        token = f"Bearer {self._tokens.get_token(fresh=fresh)}"
        headers = {"Authorization": token, "Accept": "application/json", "client-request-id": str(uuid.uuid4())}
        answer = self._call("POST", f"{self._endpoint}/$batch", headers, {"json": {"requests": items}}, is_write=False)
        if answer.status_code >= 300 and (fresh or answer.status_code != 401):
            self._raise_refusal(
                answer.status_code, answer.headers, _parse_body(answer), _MANY_MAILBOXES, is_write=False
            )
        page = {"value": self._read_json(answer, _MANY_MAILBOXES).get("responses", [])}
        responses = {str(response.get("id")): response for response in _read_values(page, _MANY_MAILBOXES)}
        outcomes = {who: self._read_outcome(responses.get(who) or {}, who) for who in people}
        is_refused = answer.status_code == 401 or any(isinstance(outcome, AuthRevoked) for outcome in outcomes.values())
        return self._send_batch(people, path, query, fresh=True) if is_refused and not fresh else outcomes

    def _read_outcome(self, response: Json, who: Address) -> Json | ProviderError:
        """Return the answer to one request of a batch, or the error it means."""
        status, body = response.get("status"), response.get("body")
        count_request("outlook", "calendar", status if isinstance(status, int) else NO_ANSWER)
        try:
            if not isinstance(status, int):
                raise InvalidResponse(f"{who}: the service left a request of a batch unanswered.")
            if status >= 300:
                self._raise_refusal(status, response.get("headers") or {}, body, who, is_write=False)
            if not isinstance(body, dict):
                raise InvalidResponse(f"{who}: the service answered something else than an object.")
        except ProviderError as error:
            return error
        return body

    def _request_mailbox(
        self, method: str, who: Address, path: str, query: Mapping[str, object] | None = None, **options: Any
    ) -> requests.Response:
        """Return the answer to a request to the person's mailbox, sent by the first of their names that the service
        knows.

        The service finds people by their id or sign-in name, which is not everybody's address. `options`: see `_send`.
        """
        *others, last = self.list_names(who)
        for name in others:
            try:
                return self._request_as(who, name, method, path, query, **options)
            except UnknownUser:
                continue
        return self._request_as(who, last, method, path, query, **options)

    def _request_as(
        self,
        who: Address,
        name: str,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        **options: Any,
    ) -> requests.Response:
        url = self._endpoint + self._make_path(name, path, query or {})
        answer = self._send(method, who, url, **options)
        self._names[who] = name
        return answer

    def list_names(self, who: Address) -> list[str]:
        """Return the names to try for this person (see `find_name`), the most reliable first; never empty."""
        if self._tokens.own_account and self.own_account == who:
            return ["me"]
        directory_id = self.identities.find_directory_id(who) or ""
        object_id = directory_id if _OBJECT_ID.fullmatch(directory_id) else ""  # not the number of an HR system
        reliable = [self._names.get(who) or "", object_id, who]
        others = sorted(alias for alias in self.identities.list_aliases(who) if _is_address(alias))
        return [name for name in dict.fromkeys([*reliable, *others]) if name]

    def find_name(self, who: Address) -> str:
        """Return the name by which the service knows the person: `me`, or their id or sign-in name. Asks the service as
        long as no request to their mailbox has succeeded. Raises what such a request raises."""
        if who not in self._names:
            self.get(who, "calendar", select="id")
        return self._names[who]

    def _make_path(self, name: str, path: str, query: Mapping[str, object]) -> str:
        mailbox = "me" if name == "me" else f"users/{quote(name, safe='@')}"
        return f"/{mailbox}/{path}{_make_query(query)}"

    def _send(
        self,
        method: str,
        who: Address,
        url: str,
        *,
        prefer: str = "",
        etag: str = "",
        is_write: bool = False,
        content_type: str = "",
        translate: Translate = translate_refusal,
        **content: Any,
    ) -> requests.Response:
        """Send a request, and once more with a new token when the service refuses the first. `prefer`: added to the
        Prefer header. `is_write`: whether the request changes something, so that a lost answer is `uncertain`.
        `content`: the body, as `json` or `data` of `requests`."""
        headers = {"Prefer": f"{PREFER_HEADER}, {prefer}" if prefer else PREFER_HEADER, "Accept": "application/json"}
        headers |= {"If-Match": etag} if etag else {}
        headers |= {"Content-Type": content_type} if content_type else {}
        for fresh in (False, True):
            headers |= {
                "Authorization": f"Bearer {self._tokens.get_token(fresh=fresh)}",
                "client-request-id": str(uuid.uuid4()),
            }
            with self._limiter.hold_slot(who):
                answer = self._call(method, url, headers, content, is_write=is_write)
            if answer.status_code != 401:
                break
        if answer.status_code >= 300:
            problem = _parse_body(answer)
            self._raise_refusal(
                answer.status_code, answer.headers, problem, who, is_write=is_write, translate=translate
            )
        return answer

    def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: Mapping[str, Any],
        *,
        is_write: bool,
    ) -> requests.Response:
        host = urlsplit(self._endpoint).netloc
        try:
            return self._session.request(method, url, headers=headers, allow_redirects=False, **content)
        except requests.exceptions.SSLError as error:
            raise Unavailable(f"{host}: no safe connection (TLS); check the certificates to trust.") from error
        except requests.exceptions.ConnectTimeout as error:
            raise Unavailable(f"{host} can't be reached.") from error
        except requests.exceptions.Timeout as error:
            raise TooSlow(f"{host} did not answer within {self._timeout:g} seconds.", uncertain=is_write) from error
        except requests.exceptions.ConnectionError as error:
            text = f"{host} can't be reached, or broke off; check outlook.endpoint."
            raise Unavailable(text, uncertain=is_write and not _is_unsent(error)) from error
        except requests.exceptions.RequestException as error:
            raise Unavailable(f"{host} broke off in the middle of its answer.", uncertain=is_write) from error

    # --- answers ---------------------------------------------------------------------------------------------------

    def _read_json(self, answer: requests.Response, who: Address, *, is_write: bool = False) -> Json:
        try:
            content = answer.json()
        except ValueError as error:
            if is_write:  # it was performed, so the caller has to look up the result
                raise Unavailable(f"{who}: the answer was cut off.", uncertain=True) from error
            raise InvalidResponse(f"{who}: the service answered something that is not JSON.") from error
        if not isinstance(content, dict):
            raise InvalidResponse(f"{who}: the service answered something else than an object.")
        return content

    def _raise_refusal(
        self,
        status: int,
        headers: Mapping[str, str],
        body: object,
        who: Address,
        *,
        is_write: bool,
        translate: Translate = translate_refusal,
    ) -> NoReturn:
        """Log an error answer and raise the ProviderError it means. Pauses the mailbox after a 429."""
        code, message, error = parse_problem(body)
        log.info(
            "%s %s, request-id %s",
            status,
            code or "without a code",
            headers.get("request-id", "none"),
            extra={"action": Action.GRAPH_REFUSED, "calendar": who},
        )
        if code == "errorduplicatetransactionid":
            raise DuplicateTransaction(str(error.get("@event.existingEventId") or ""))
        if status == 410 or code in _EXPIRED_TOKEN_CODES:
            raise DeltaTokenExpired
        if status == 429:
            wait = _parse_retry_after(headers) or DEFAULT_PAUSE
            self._limiter.pause(who, wait)
            raise RateLimited(f"{who}: the service asked to slow down.", retry_after=wait)
        if status >= 500 or status == 408:
            text = f"{who}: the service is out of order for now ({status}{f', {message}' if message else ''})."
            error_class = TooSlow if status == 504 else Unavailable
            raise error_class(text, retry_after=_parse_retry_after(headers), uncertain=is_write)
        raise translate(status, code, message, who)


def _make_query(query: Mapping[str, object]) -> str:
    """Return the query string, with its question mark; empty without parameters."""
    fields = {key if key != key.lower() else f"${key}": str(value) for key, value in query.items()}
    pairs = (f"{quote(key, safe='$')}={quote(value, safe=_UNESCAPED)}" for key, value in fields.items())
    return f"?{'&'.join(pairs)}" if fields else ""


def _choose_metric_kind(url: str) -> str:
    """Return what a request is for, in the metrics."""
    match = _METRIC_KINDS.search(urlsplit(url).path)
    return match.lastgroup if match and match.lastgroup else "calendar"


def _is_address(alias: str) -> bool:
    return "@" in alias and not set("/ ") & set(alias)


def _parse_body(answer: requests.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None


def _parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", str(headers.get("Retry-After", "")))
    return timedelta(seconds=min(float(match[1]), 86400)) if match else None


def _is_unsent(error: Exception) -> bool:
    """Whether the connection was never established, so that nothing was sent."""
    return "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)


def _read_values(page: Json, who: Address) -> list[Json]:
    entries = page.get("value")
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidResponse(f"{who}: the service answered a list without entries.")
    return entries
