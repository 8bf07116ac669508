"""Talking to Microsoft Graph: one request at a time with its token, its turn at the mailbox and its headers.

What comes back is JSON or a ProviderError. Nothing is repeated here except a request that was refused for an old
token: that one was not performed. A write whose answer got lost says so (`uncertain`); whoever asked for it knows how
to look whether it happened.
"""

import logging
import re
import uuid
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from datetime import timedelta
from typing import Any, NoReturn, Protocol
from urllib.parse import quote, urlsplit

import requests
from requests.adapters import HTTPAdapter

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
from worker.providers.identities import Identities, InMemoryIdentities
from worker.providers.limiter import Limiter

log = logging.getLogger(__name__)

#: Dates come in UTC, ids stay when an item moves to another folder.
PREFER_HEADER = 'outlook.timezone="UTC", IdType="ImmutableId"'
#: Asked for a pause without being told how long.
DEFAULT_PAUSE = timedelta(seconds=30)
HTTP_ACCEPTED = 202
#: So many questions in one request; each of another mailbox, so that none gets too many at a time.
BATCH_SIZE = 20
#: What a filter may hold unescaped.
_UNESCAPED = "$(),'="

Json = dict[str, Any]
_MANY_MAILBOXES = "many mailboxes"

_LICENCE_REMEDY = "Give the person an Exchange Online licence, or write `none` as the calendar in the people file."
_POLICY_REMEDY = "Add {who} to the group that the app's access is limited to, and wait up to two hours."
_UNKNOWN_USER = (
    "is not known in this tenant by that address. Mend the address in the people file; where the sign-in name (user "
    "principal name) is another than the address, write it there under `aliases`, or the person's id under "
    "`directory_id`."
)
#: Codes by which the service says that nobody has that name.
_UNKNOWN_USER_CODES = frozenset({"request_resourcenotfound", "errorinvaliduser"})
#: Codes that mean one thing, whatever the status: what to say and what to do.
_ERRORS_BY_CODE: Mapping[str, tuple[type[ProviderError], str]] = {
    "mailboxnotenabledforrestapi": (NotFound, f"{{who}} has no mailbox in Exchange Online. {_LICENCE_REMEDY}"),
    "mailboxnotsupportedforrestapi": (NotFound, f"{{who}} has no mailbox in Exchange Online. {_LICENCE_REMEDY}"),
    "errornonexistentmailbox": (NotFound, f"{{who}} has no mailbox in Exchange Online. {_LICENCE_REMEDY}"),
    "erroritemnotfound": (NotFound, "{who}: it is gone."),
    "errorsendasdenied": (
        Forbidden,
        "{who}: the app may not send as the sender; give it Send As, or mend `mail.from`.",
    ),
    "timezonenotsupportedexception": (Permanent, "{who}: the service does not know the time zone that was given."),
}
_LOST_STATE_CODES = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired", "fullsyncrequired"})


class DeltaTokenExpired(ProviderError):
    """What was kept of the last round is not known any more: a new round has to begin."""


class TooSlow(Unavailable):
    """The service did not answer in time."""


class UnknownUser(NotFound):
    """Nobody in the tenant has that id or sign-in name."""


class DuplicateTransaction(ProviderError):
    """The transaction id was used already; `existing` is the event's id when the service tells it."""

    def __init__(self, existing: str) -> None:
        super().__init__()
        self.existing = existing


class GraphTokens(Protocol):
    """Gives tokens for Graph."""

    own: Address  #: whose account it is; empty when an app acts for many

    def get_token(self, *, fresh: bool = False) -> str:
        """A token that is good for now; a new one when `fresh`. Raises AuthRevoked, Unavailable."""


class HttpSession(requests.Session):
    """A session with a time-out of its own, and the certificates it was given, whatever the environment names."""

    def __init__(self, timeout: float, ca_file: str = "") -> None:
        super().__init__()
        self._timeout, self._ca_file = timeout, ca_file

    def request(self, method: Any, url: Any, *args: Any, **given: Any) -> requests.Response:
        given.setdefault("timeout", self._timeout)
        if self._ca_file:
            given["verify"] = self._ca_file
        return super().request(method, url, *args, **given)


class Graph:
    """Requests to Graph on behalf of somebody's mailbox."""

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
        self._names: dict[Address, str] = {}  #: by which id or sign-in name somebody was reached
        self._endpoint = endpoint.rstrip("/")
        self._tokens = tokens
        self._limiter = limiter
        self._timeout = timeout
        self._session = HttpSession(timeout, ca_file)
        self._session.mount(self._endpoint, HTTPAdapter(pool_maxsize=32))

    @property
    def own(self) -> Address:
        """Whose account it is; empty when an app acts for many."""
        return self.identities.primary(self._tokens.own) if self._tokens.own else ""

    def close(self) -> None:
        """Let go of the connections."""
        self._session.close()

    def get_token(self) -> str:
        """A token, to look at what it allows."""
        return self._tokens.get_token()

    # --- requests ---------------------------------------------------------------------------------------------------

    def get(self, who: Address, path: str, *, prefer: str = "", **query: object) -> Json:
        """A GET below that person's mailbox; keywords become `$keyword`, those with capitals stay as they are."""
        return self._read_json(self._request_mailbox("GET", who, path, query, prefer=prefer), who)

    def iter_all(self, who: Address, path: str, *, prefer: str = "", **query: object) -> Iterator[Json]:
        """Every entry of a list, however many pages it takes."""
        yield from self.iter_rest(who, self.get(who, path, prefer=prefer, **query), prefer=prefer)

    def iter_rest(self, who: Address, page: Json, *, prefer: str = "") -> Iterator[Json]:
        """Every entry of that page and of those after it."""
        while True:
            yield from _read_values(page, who)
            if not (link := page.get("@odata.nextLink")):
                return
            page = self.follow_link(who, str(link), prefer=prefer)

    def follow_link(self, who: Address, link: str, *, prefer: str = "") -> Json:
        """The page a link leads to. Only links that lead to the service itself are followed."""
        if urlsplit(link)[:2] != urlsplit(self._endpoint)[:2]:
            raise InvalidResponse(f"{who}: the service sent a link that leads elsewhere.")
        return self._read_json(self._send("GET", who, link, prefer=prefer), who)

    def post(self, who: Address, path: str, body: Json, *, prefer: str = "", writes: bool = True) -> Json:
        """A POST; what comes back, or nothing. `writes=False` for a question that is asked by POST."""
        answer = self._request_mailbox("POST", who, path, json=body, prefer=prefer, writes=writes)
        return self._read_created(answer, who, writes=writes)

    def post_mime(self, who: Address, path: str, content: bytes) -> Json:
        """A POST of a message in MIME, in base64 already."""
        answer = self._request_mailbox("POST", who, path, data=content, kind="text/plain", writes=True)
        return self._read_created(answer, who, writes=True)

    def _read_created(self, answer: requests.Response, who: Address, *, writes: bool) -> Json:
        """What was made; nothing where it was only accepted, whatever stands in the answer."""
        if answer.status_code == HTTP_ACCEPTED or not answer.content:
            return {}
        return self._read_json(answer, who, writes=writes)

    def patch(self, who: Address, path: str, body: Json, *, etag: str = "") -> Json:
        """A PATCH of the version that `etag` names. Raises Conflict."""
        answer = self._request_mailbox("PATCH", who, path, json=body, etag=etag, writes=True)
        return self._read_json(answer, who, writes=True)

    def delete(self, who: Address, path: str, *, etag: str = "") -> None:
        """Raises Conflict, NotFound."""
        self._request_mailbox("DELETE", who, path, etag=etag, writes=True)

    def get_each(self, people: Sequence[Address], path: str, **query: object) -> dict[Address, Json | ProviderError]:
        """The same GET below each of these mailboxes, twenty in one request; each has its own outcome."""
        found: dict[Address, Json | ProviderError] = {}
        for first in range(0, len(people), BATCH_SIZE):
            some = people[first : first + BATCH_SIZE]
            with ExitStack() as slots:
                for who in sorted(some):  # always in one order: two threads that need the same slots must not deadlock
                    slots.enter_context(self._limiter.slot(who))
                found |= self._send_batch(some, path, query)
        for who in [who for who, outcome in found.items() if isinstance(outcome, UnknownUser)]:
            try:  # they may be reached by another of their names
                found[who] = self._read_json(self._request_mailbox("GET", who, path, query), who)
            except ProviderError as error:
                found[who] = error
        return found

    def _send_batch(
        self, some: Sequence[Address], path: str, query: Mapping[str, object], *, fresh: bool = False
    ) -> dict[Address, Json | ProviderError]:
        each = {"method": "GET", "headers": {"Prefer": PREFER_HEADER}}
        items = [{"id": who, "url": self._make_path(self._list_names(who)[0], path, query), **each} for who in some]
        token = f"Bearer {self._tokens.get_token(fresh=fresh)}"
        headers = {"Authorization": token, "Accept": "application/json", "client-request-id": str(uuid.uuid4())}
        answer = self._call("POST", f"{self._endpoint}/$batch", headers, {"json": {"requests": items}}, writes=False)
        if answer.status_code >= 300 and (fresh or answer.status_code != 401):
            self._raise_refusal(answer.status_code, answer.headers, _parse_body(answer), _MANY_MAILBOXES, writes=False)
        listed = {"value": self._read_json(answer, _MANY_MAILBOXES).get("responses", [])}
        told = {str(one.get("id")): one for one in _read_values(listed, _MANY_MAILBOXES)}
        found = {who: self._read_outcome(told.get(who) or {}, who) for who in some}
        old = answer.status_code == 401 or any(isinstance(one, AuthRevoked) for one in found.values())
        return self._send_batch(some, path, query, fresh=True) if old and not fresh else found

    def _read_outcome(self, told: Json, who: Address) -> Json | ProviderError:
        """What came of one item: throttled or refused by itself, whatever became of the others."""
        status, body = told.get("status"), told.get("body")
        try:
            if not isinstance(status, int):
                raise InvalidResponse(f"{who}: the service left a question unanswered.")
            if status >= 300:
                self._raise_refusal(status, told.get("headers") or {}, body, who, writes=False)
            if not isinstance(body, dict):
                raise InvalidResponse(f"{who}: the service answered something else than an object.")
        except ProviderError as error:
            return error
        return body

    def _request_mailbox(
        self, method: str, who: Address, path: str, query: Mapping[str, object] | None = None, **given: Any
    ) -> requests.Response:
        """The answer of that person's mailbox, asked by the first of their names that the service knows.

        The service finds people by their id or their sign-in name. An address is such a name for most, not for all.
        """
        *others, last = self._list_names(who)
        for name in others:
            try:
                return self._request_as(who, name, method, path, query, **given)
            except UnknownUser:
                continue
        return self._request_as(who, last, method, path, query, **given)

    def _request_as(
        self,
        who: Address,
        name: str,
        method: str,
        path: str,
        query: Mapping[str, object] | None,
        **given: Any,
    ) -> requests.Response:
        url = self._endpoint + self._make_path(name, path, query or {})
        answer = self._send(method, who, url, **given)
        self._names[who] = name
        return answer

    def _list_names(self, who: Address) -> list[str]:
        """By what to ask for this person, the surest first; never empty."""
        if self._tokens.own and self.own == who:
            return ["me"]
        surest = [self._names.get(who) or "", self.identities.directory_id(who) or "", who]
        others = sorted(form for form in self.identities.forms(who) if _is_address(form))
        return [name for name in dict.fromkeys([*surest, *others]) if name]

    def _make_path(self, name: str, path: str, query: Mapping[str, object]) -> str:
        mailbox = "me" if name == "me" else f"users/{quote(name, safe='@')}"
        given = {name if name != name.lower() else f"${name}": str(value) for name, value in query.items()}
        asked = "&".join(f"{quote(name, safe='$')}={quote(value, safe=_UNESCAPED)}" for name, value in given.items())
        return f"/{mailbox}/{path}" + (f"?{asked}" if asked else "")

    def _send(
        self,
        method: str,
        who: Address,
        url: str,
        *,
        prefer: str = "",
        etag: str = "",
        writes: bool = False,
        kind: str = "",
        **content: Any,
    ) -> requests.Response:
        headers = {"Prefer": f"{PREFER_HEADER}, {prefer}" if prefer else PREFER_HEADER, "Accept": "application/json"}
        headers |= {"If-Match": etag} if etag else {}
        headers |= {"Content-Type": kind} if kind else {}
        for fresh in (False, True):
            headers |= {
                "Authorization": f"Bearer {self._tokens.get_token(fresh=fresh)}",
                "client-request-id": str(uuid.uuid4()),
            }
            with self._limiter.slot(who):
                answer = self._call(method, url, headers, content, writes=writes)
            if answer.status_code != 401:
                break
        if answer.status_code >= 300:
            self._raise_refusal(answer.status_code, answer.headers, _parse_body(answer), who, writes=writes)
        return answer

    def _call(
        self,
        method: str,
        url: str,
        headers: Mapping[str, str],
        content: Mapping[str, Any],
        *,
        writes: bool,
    ) -> requests.Response:
        place = urlsplit(self._endpoint).netloc
        try:
            return self._session.request(method, url, headers=headers, allow_redirects=False, **content)
        except requests.exceptions.SSLError as error:
            raise Unavailable(f"{place}: no safe connection (TLS); check the certificates to trust.") from error
        except requests.exceptions.ConnectTimeout as error:
            raise Unavailable(f"{place} can't be reached.") from error
        except requests.exceptions.Timeout as error:
            raise TooSlow(f"{place} did not answer within {self._timeout:g} seconds.", uncertain=writes) from error
        except requests.exceptions.ConnectionError as error:
            words = f"{place} can't be reached, or broke off; check outlook.endpoint."
            raise Unavailable(words, uncertain=writes and not _has_no_connection(error)) from error
        except requests.exceptions.RequestException as error:
            raise Unavailable(f"{place} broke off in the middle of its answer.", uncertain=writes) from error

    # --- what comes back --------------------------------------------------------------------------------------------

    def _read_json(self, answer: requests.Response, who: Address, *, writes: bool = False) -> Json:
        try:
            found = answer.json()
        except ValueError as error:
            if writes:  # it was done; what it came to has to be looked up
                raise Unavailable(f"{who}: the answer was cut off.", uncertain=True) from error
            raise InvalidResponse(f"{who}: the service answered something that is not JSON.") from error
        if not isinstance(found, dict):
            raise InvalidResponse(f"{who}: the service answered something else than an object.")
        return found

    def _raise_refusal(
        self, status: int, headers: Mapping[str, str], body: object, who: Address, *, writes: bool
    ) -> NoReturn:
        code, said, error = parse_problem(body)
        log.info(
            "%s %s, request-id %s",
            status,
            code or "without a code",
            headers.get("request-id", "none"),
            extra={"action": "graph_refused", "calendar": who},
        )
        if code == "errorduplicatetransactionid":
            raise DuplicateTransaction(str(error.get("@event.existingEventId") or ""))
        if status == 410 or code in _LOST_STATE_CODES:
            raise DeltaTokenExpired
        if status == 429:
            wait = _parse_retry_after(headers) or DEFAULT_PAUSE
            self._limiter.pause(who, wait)
            raise RateLimited(f"{who}: the service asked to slow down.", retry_after=wait)
        if status >= 500 or status == 408:
            words = f"{who}: the service is out of order for now ({status}{f', {said}' if said else ''})."
            kind = TooSlow if status == 504 else Unavailable
            raise kind(words, retry_after=_parse_retry_after(headers), uncertain=writes)
        raise translate_refusal(status, code, said, who)


def translate_refusal(status: int, code: str, said: str, who: Address) -> ProviderError:
    """A refusal for good, in words that say what to do."""
    if code in _UNKNOWN_USER_CODES:
        return UnknownUser(f"{who} {_UNKNOWN_USER}")
    if code in _ERRORS_BY_CODE:
        kind, words = _ERRORS_BY_CODE[code]
        return kind(words.format(who=who))
    if status == 401:
        return AuthRevoked(f"{who}: the service refuses our token ({said or code}); run `longarc check`.")
    if status == 403:
        return Forbidden(f"{who}: access was refused ({said or code}). {_choose_remedy(code, said).format(who=who)}")
    if status == 404:
        return NotFound(f"{who}: it is not there ({said or code}).")
    if status in (409, 412):
        return Conflict(f"{who}: it was changed since it was last read.")
    return Permanent(f"{who}: the service refused this: {status} {said or code}")


def _is_address(form: str) -> bool:
    return "@" in form and not any(one in form for one in "/ ")


def _choose_remedy(code: str, said: str) -> str:
    if "odata is disabled" in said.casefold() or "raop" in said.casefold():
        return _POLICY_REMEDY
    return "Grant the permissions that README names, with an administrator's consent. " + _POLICY_REMEDY


def _parse_body(answer: requests.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None


def parse_problem(body: Any) -> tuple[str, str, Json]:
    """The code in lower case, the message in one line, and the whole of it, as far as there is one."""
    try:
        error = body["error"]
        code, said = str(error.get("code") or ""), str(error.get("message") or "")
    except (KeyError, TypeError, AttributeError):
        return "", "", {}
    return code.casefold(), " ".join(said.split())[:200], error


def _parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", str(headers.get("Retry-After", "")))
    return timedelta(seconds=min(float(found[1]), 86400)) if found else None


def _has_no_connection(error: Exception) -> bool:
    """Whether no connection came to be, so that nothing can have been sent."""
    return "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)


def _read_values(page: Json, who: Address) -> list[Json]:
    found = page.get("value")
    if not isinstance(found, list) or not all(isinstance(one, dict) for one in found):
        raise InvalidResponse(f"{who}: the service answered a list without entries.")
    return found


__all__ = [
    "DeltaTokenExpired",
    "DuplicateTransaction",
    "Graph",
    "GraphTokens",
    "HttpSession",
    "Json",
    "TooSlow",
    "UnknownUser",
    "parse_problem",
    "translate_refusal",
]
