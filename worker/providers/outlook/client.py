"""Sends requests to Microsoft Graph and translates failures into ProviderErrors.

Each request is sent with an access token, and in one of the slots by which the `Limiter` limits the requests to a
mailbox. A request is repeated here only when Graph refused it without any effect: because its token has expired, or
because its path names the person by a name that Graph does not know. When the answer to a write is lost, the error is
`uncertain`, and the caller looks up whether the write took effect.
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

#: Asks Graph for times in UTC, and for ids that stay the same when an item is moved to another folder.
PREFER_HEADER = 'outlook.timezone="UTC", IdType="ImmutableId"'
#: How long requests to a mailbox pause after an answer 429 that has no Retry-After.
DEFAULT_PAUSE = timedelta(seconds=30)
HTTP_ACCEPTED = 202
#: Requests in one batch. Each is for a different mailbox, so that no mailbox gets too many requests at a time.
BATCH_SIZE = 20
_MAX_RETRY_AFTER_SECONDS = 86_400
_MAX_CONNECTIONS = 32
#: The format of a user's id in Entra: a UUID.
_OBJECT_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)
#: Characters of a query value that stay unescaped.
_UNESCAPED = "$(),'="

Json = dict[str, Any]
#: A function that returns the error for a permanent refusal. Takes the HTTP status, the code (in lower case) and the
#: message of the refusal, and the subject of the request, with which the error's text begins.
RefusalTranslator = Callable[[int, str, str, Address], ProviderError]
#: The group that matches a request's path has the name of the request's label in the metrics. Requests without a match,
#: such as to `/users/kim@example.org/events`, have the label `calendar`.
_METRIC_KINDS = re.compile(
    r"/(?:(?P<batch>\$batch$)|(?P<token>oauth2/|\.well-known/)|(?P<mail>sendMail|messages|mailFolders)|(?P<directory>users(?:/delta)?$))"
)
_MANY_MAILBOXES = "many mailboxes"  #: the subject of a batch as a whole: how the texts of its errors begin
#: Error codes for a delta token that has expired.
_EXPIRED_TOKEN_CODES = frozenset({"syncstatenotfound", "syncstateinvalid", "resyncrequired", "fullsyncrequired"})


class DeltaTokenExpired(ProviderError):
    """The token that continues a delta round (`delta`) has expired. Raised for every answer 410."""


class TooSlow(Unavailable):
    """The service did not answer in time."""


class DuplicateTransaction(ProviderError):
    """The transaction id was used already.

    `existing_id` is the id of the event that has the transaction id; empty when the service does not report it.
    """

    def __init__(self, existing_id: str) -> None:
        super().__init__()
        self.existing_id = existing_id


class GraphTokens(Protocol):
    """Gets access tokens for Graph."""

    own_account: Address  #: the person whose own account the tokens are for; empty for an app

    def get_token(self, *, fresh: bool = False) -> str:
        """Return a valid access token; with `fresh`, a new one instead of the cached one.

        Raises AuthRevoked and Unavailable.
        """


class HttpSession(requests.Session):
    """An HTTP session that counts requests in the metrics. MSAL uses it, too.

    `timeout` is in seconds. `ca_file` names the certificates to trust instead of those that the environment names.
    """

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
    """Sends requests to people's mailboxes, as an app or as a person's own account.

    The service does not know everybody by their address. So a mailbox's path contains one of the person's names: `me`
    for the own account, or else the person's id or sign-in name. A request has a subject: the person, or another thing
    that the request is about. Error texts begin with the subject. The request takes one of the subject's slots, and an
    answer 429 pauses further requests with this subject.
    """

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
        self._names: dict[Address, str] = {}  #: the name in the last successful request to each person's mailbox
        self._endpoint = endpoint.rstrip("/")
        self._tokens = tokens
        self._limiter = limiter
        self._timeout = timeout
        self._session = HttpSession(timeout, ca_file)
        self._session.mount(self._endpoint, HTTPAdapter(pool_maxsize=_MAX_CONNECTIONS))

    @property
    def own_account(self) -> Address:
        """The person whose own account is used; empty for an app."""
        return self.identities.find_primary(self._tokens.own_account) if self._tokens.own_account else ""

    def close(self) -> None:
        """Close the connections."""
        self._session.close()

    def get_token(self) -> str:
        """Return an access token, from which the permissions can be read."""
        return self._tokens.get_token()

    # --- requests ---------------------------------------------------------------------------------------------------

    def get(self, person: Address, path: str, *, prefer: str = "", **query: object) -> Json:
        """GET `path` of the person's mailbox and return the answer.

        A keyword in lower case becomes the query parameter `$keyword`. A keyword with capitals is used as it is.
        `prefer` is added to the Prefer header.
        """
        return self._read_json(self._request_mailbox("GET", person, path, query, prefer=prefer), person)

    def iter_all(self, person: Address, path: str, *, prefer: str = "", **query: object) -> Iterator[Json]:
        """Yield every entry of the list at `path` of the person's mailbox, from all pages."""
        yield from self.iter_from_page(person, self.get(person, path, prefer=prefer, **query), prefer=prefer)

    def iter_from_page(self, subject: str, page: Json, *, prefer: str = "") -> Iterator[Json]:
        """Yield every entry of the page and of the pages after it."""
        while True:
            yield from _read_entries(page, "value", subject)
            if not (next_link := page.get("@odata.nextLink")):
                return
            page = self.follow_link(subject, str(next_link), prefer=prefer)

    def follow_link(self, subject: str, link: str, *, prefer: str = "") -> Json:
        """GET the page at a link that the service sent. Raises InvalidResponse when the link leads to another host."""
        if urlsplit(link)[:2] != urlsplit(self._endpoint)[:2]:
            raise InvalidResponse(f"{subject}: the service sent a link to another host.")
        return self._read_json(self._send("GET", subject, link, prefer=prefer), subject)

    def get_resource(self, subject: str, path: str, **query: object) -> Json:
        """GET `path` of the service itself, outside of any mailbox, and return the answer."""
        return self._read_json(self._send("GET", subject, f"{self._endpoint}/{path}{_make_query(query)}"), subject)

    def post(self, person: Address, path: str, body: Json, *, prefer: str = "", is_write: bool = True) -> Json:
        """POST to the person's mailbox and return the answer; {} when it is empty.

        `is_write` says whether the request changes something.
        """
        answer = self._request_mailbox("POST", person, path, json=body, prefer=prefer, is_write=is_write)
        return self._read_optional_json(answer, person, is_write=is_write)

    def post_mime(self, person: Address, path: str, content: bytes) -> Json:
        """POST a MIME message, which is encoded in base64, and return the answer; {} when it is empty."""
        answer = self._request_mailbox("POST", person, path, data=content, content_type="text/plain", is_write=True)
        return self._read_optional_json(answer, person, is_write=True)

    def _read_optional_json(self, answer: requests.Response, person: Address, *, is_write: bool) -> Json:
        """Return the JSON object in the answer; {} when the answer is empty or has status 202 (accepted)."""
        if answer.status_code == HTTP_ACCEPTED or not answer.content:
            return {}
        return self._read_json(answer, person, is_write=is_write)

    def patch(self, person: Address, path: str, body: Json, *, etag: str = "") -> Json:
        """PATCH the item and return the changed item. Raises Conflict when the item no longer has the etag."""
        answer = self._request_mailbox("PATCH", person, path, json=body, etag=etag, is_write=True)
        return self._read_json(answer, person, is_write=True)

    def delete(self, person: Address, path: str, *, etag: str = "") -> None:
        """DELETE the item. Raises NotFound, and Conflict when the item no longer has the etag."""
        self._request_mailbox("DELETE", person, path, etag=etag, is_write=True)

    def change_resource(
        self, method: str, person: Address, path: str, body: Json | None = None, *, translate: RefusalTranslator
    ) -> Json:
        """Write to `path` of the service itself, outside of any mailbox, and return the answer; {} when it is empty.

        `method` is POST, PATCH or DELETE. `person` is the subject of the request: the owner of the mailbox that the
        resource at `path` concerns. `translate` returns the error for a permanent refusal.
        """
        content: Json = {} if body is None else {"json": body}
        url = f"{self._endpoint}/{path}"
        answer = self._send(method, person, url, is_write=True, translate=translate, **content)
        return self._read_optional_json(answer, person, is_write=True)

    def get_each(self, people: Sequence[Address], path: str, **query: object) -> dict[Address, Json | ProviderError]:
        """GET the same path of each person's mailbox, in batches of twenty; return the answer or the error of each.

        A person whose mailbox has no slot, such as during a pause, is left out of the batch: the error is RateLimited.
        """
        outcomes: dict[Address, Json | ProviderError] = {}
        for first in range(0, len(people), BATCH_SIZE):
            chunk = sorted(people[first : first + BATCH_SIZE])  # so that threads with the same people can't deadlock
            with ExitStack() as slots:
                for person in chunk:
                    try:
                        slots.enter_context(self._limiter.hold_slot(person))
                    except RateLimited as error:
                        outcomes[person] = error
                if admitted_people := [person for person in chunk if person not in outcomes]:
                    outcomes |= self._send_batch(admitted_people, path, query)
        for person in [person for person, outcome in outcomes.items() if isinstance(outcome, UnknownUser)]:
            try:  # a batch tries one name of each person, and _request_mailbox tries all
                outcomes[person] = self._read_json(self._request_mailbox("GET", person, path, query), person)
            except ProviderError as error:
                outcomes[person] = error
        return outcomes

    def _send_batch(
        self, people: Sequence[Address], path: str, query: Mapping[str, object], *, fresh: bool = False
    ) -> dict[Address, Json | ProviderError]:
        """Send one batch, and once more with a fresh token when the service refuses the token.

        Return the answer to each person's request, or the error for it. Raises the error for the batch as a whole.
        """
        common_fields = {"method": "GET", "headers": {"Prefer": PREFER_HEADER}}
        requests_in_batch = [
            {"id": person, "url": self._make_path(self.list_names(person)[0], path, query), **common_fields}
            for person in people
        ]
        headers = {
            "Authorization": f"Bearer {self._tokens.get_token(fresh=fresh)}",
            "Accept": "application/json",
            "client-request-id": str(uuid.uuid4()),
        }
        content = {"json": {"requests": requests_in_batch}}
        answer = self._call("POST", f"{self._endpoint}/$batch", headers, content, is_write=False)
        if answer.status_code == 401 and not fresh:
            return self._send_batch(people, path, query, fresh=True)
        if answer.status_code >= 300:
            problem = _parse_body(answer)
            self._raise_refusal(
                answer.status_code, answer.headers, problem, _MANY_MAILBOXES, is_write=False, mailboxes=people
            )
        content_of_answer = {"responses": [], **self._read_json(answer, _MANY_MAILBOXES)}
        responses = _read_entries(content_of_answer, "responses", _MANY_MAILBOXES)
        response_by_id = {str(response.get("id")): response for response in responses}
        outcomes = {person: self._read_outcome(response_by_id.get(person) or {}, person) for person in people}
        # `translate_refusal` returns AuthRevoked for status 401: this response refuses the token.
        is_token_refused = any(isinstance(outcome, AuthRevoked) for outcome in outcomes.values())
        return self._send_batch(people, path, query, fresh=True) if is_token_refused and not fresh else outcomes

    def _read_outcome(self, response: Json, person: Address) -> Json | ProviderError:
        """Return the answer to one request of a batch, or the error for it."""
        status, body = response.get("status"), response.get("body")
        count_request("outlook", "calendar", status if isinstance(status, int) else NO_ANSWER)
        try:
            if not isinstance(status, int):
                raise InvalidResponse(f"{person}: the service did not answer one of the requests of a batch.")
            if status >= 300:
                self._raise_refusal(status, response.get("headers") or {}, body, person, is_write=False)
            if not isinstance(body, dict):
                raise InvalidResponse(f"{person}: the service's answer is not a JSON object.")
        except ProviderError as error:
            return error
        return body

    def _request_mailbox(
        self, method: str, person: Address, path: str, query: Mapping[str, object] | None = None, **options: Any
    ) -> requests.Response:
        """Return the answer to a request to the person's mailbox, by the first of their names that the service knows.

        `options` are those of `_send`.
        """
        *better_names, last_resort = self.list_names(person)
        for name in better_names:
            try:
                return self._request_by_name(name, person, method, path, query, **options)
            except UnknownUser:
                continue
        return self._request_by_name(last_resort, person, method, path, query, **options)

    def _request_by_name(
        self, name: str, person: Address, method: str, path: str, query: Mapping[str, object] | None, **options: Any
    ) -> requests.Response:
        url = self._endpoint + self._make_path(name, path, query or {})
        answer = self._send(method, person, url, **options)
        self._names[person] = name
        return answer

    def list_names(self, person: Address) -> list[str]:
        """Return the names to try for this person, the most reliable first. There is always at least one."""
        if self._tokens.own_account and self.own_account == person:
            return ["me"]
        directory_id = self.identities.find_directory_id(person) or ""
        object_id = directory_id if _OBJECT_ID.fullmatch(directory_id) else ""  # it may be an HR system's id instead
        reliable_names = [self._names.get(person) or "", object_id, person]
        other_names = sorted(alias for alias in self.identities.list_aliases(person) if _is_address(alias))
        return [name for name in dict.fromkeys([*reliable_names, *other_names]) if name]

    def find_name(self, person: Address) -> str:
        """Return the name by which the service knows the person.

        Before the first successful request to the person's mailbox, a request is sent to try the names. Raises the
        errors of this request.
        """
        if person not in self._names:
            self.get(person, "calendar", select="id")
        return self._names[person]

    def _make_path(self, name: str, path: str, query: Mapping[str, object]) -> str:
        mailbox = "me" if name == "me" else f"users/{quote(name, safe='@')}"
        return f"/{mailbox}/{path}{_make_query(query)}"

    def _send(
        self,
        method: str,
        subject: str,
        url: str,
        *,
        prefer: str = "",
        etag: str = "",
        is_write: bool = False,
        content_type: str = "",
        translate: RefusalTranslator = translate_refusal,
        **content: Any,
    ) -> requests.Response:
        """Send a request, and once more with a fresh token when the service refuses the token.

        `subject` is the person or thing that the request is about, as `Graph` says. `prefer` is added to the Prefer
        header. `is_write` says whether the request changes something; then an error is `uncertain` when the answer was
        lost. `content` holds the body, as the argument `json` or `data` of `requests`.
        """
        headers = {"Prefer": f"{PREFER_HEADER}, {prefer}" if prefer else PREFER_HEADER, "Accept": "application/json"}
        if etag:
            headers["If-Match"] = etag
        if content_type:
            headers["Content-Type"] = content_type
        for fresh in (False, True):
            headers |= {
                "Authorization": f"Bearer {self._tokens.get_token(fresh=fresh)}",
                "client-request-id": str(uuid.uuid4()),
            }
            with self._limiter.hold_slot(subject):
                answer = self._call(method, url, headers, content, is_write=is_write)
            if answer.status_code != 401:
                break
        if answer.status_code >= 300:
            problem = _parse_body(answer)
            self._raise_refusal(
                answer.status_code, answer.headers, problem, subject, is_write=is_write, translate=translate
            )
        return answer

    def _call(
        self, method: str, url: str, headers: Mapping[str, str], content: Mapping[str, Any], *, is_write: bool
    ) -> requests.Response:
        """Send one HTTP request and return the answer. Raises Unavailable when there is no answer."""
        host = urlsplit(self._endpoint).netloc
        try:
            return self._session.request(method, url, headers=headers, allow_redirects=False, **content)
        except requests.exceptions.SSLError as error:
            raise Unavailable(f"{host}: TLS failed. Check the certificates that this machine trusts.") from error
        except requests.exceptions.ConnectTimeout as error:
            raise Unavailable(f"{host} can't be reached.") from error
        except requests.exceptions.Timeout as error:
            raise TooSlow(f"{host} did not answer within {self._timeout:g} seconds.", uncertain=is_write) from error
        except requests.exceptions.ConnectionError as error:
            message = f"{host} can't be reached, or the connection broke. Check outlook.endpoint."
            raise Unavailable(message, uncertain=is_write and not _is_unsent(error)) from error
        except requests.exceptions.RequestException as error:
            raise Unavailable(f"The connection to {host} broke during its answer.", uncertain=is_write) from error

    # --- answers ---------------------------------------------------------------------------------------------------

    def _read_json(self, answer: requests.Response, subject: str, *, is_write: bool = False) -> Json:
        try:
            content = answer.json()
        except ValueError as error:
            if is_write:  # the write took effect, so the caller has to look up its result
                raise Unavailable(f"{subject}: the service's answer is incomplete.", uncertain=True) from error
            raise InvalidResponse(f"{subject}: the service's answer is not JSON.") from error
        if not isinstance(content, dict):
            raise InvalidResponse(f"{subject}: the service's answer is not a JSON object.")
        return content

    def _raise_refusal(
        self,
        status: int,
        headers: Mapping[str, str],
        body: object,
        subject: str,
        *,
        is_write: bool,
        mailboxes: Sequence[str] = (),
        translate: RefusalTranslator = translate_refusal,
    ) -> NoReturn:
        """Log an error answer and raise the ProviderError for it.

        An answer 429 also pauses requests to each of `mailboxes`, or when none are given, to the one of the subject.
        """
        code, message, error = parse_problem(body)
        log.info(
            "%s %s, request-id %s",
            status,
            code or "without a code",
            headers.get("request-id", "none"),
            extra={"action": Action.GRAPH_REFUSED, "calendar": subject},
        )
        if code == "errorduplicatetransactionid":
            raise DuplicateTransaction(str(error.get("@event.existingEventId") or ""))
        if status == 410 or code in _EXPIRED_TOKEN_CODES:
            raise DeltaTokenExpired
        if status == 429:
            wait = _parse_retry_after(headers) or DEFAULT_PAUSE
            for mailbox in mailboxes or (subject,):
                self._limiter.pause(mailbox, wait)
            raise RateLimited(f"{subject}: the service limits the rate of requests.", retry_after=wait)
        if status >= 500 or status == 408:
            details = f"{status}, {message}" if message else f"{status}"
            text = f"{subject}: the service failed with HTTP status {details}."
            # 504: the service behind Graph did not answer in time.
            error_class = TooSlow if status == 504 else Unavailable
            raise error_class(text, retry_after=_parse_retry_after(headers), uncertain=is_write)
        raise translate(status, code, message, subject)


def _make_query(query: Mapping[str, object]) -> str:
    """Return the query string, with its question mark; empty without parameters."""
    parameters = {key if key != key.lower() else f"${key}": str(value) for key, value in query.items()}
    pairs = (f"{quote(key, safe='$')}={quote(value, safe=_UNESCAPED)}" for key, value in parameters.items())
    return f"?{'&'.join(pairs)}" if parameters else ""


def _choose_metric_kind(url: str) -> str:
    """Return the label in the metrics of a request to this URL."""
    match = _METRIC_KINDS.search(urlsplit(url).path)
    return match.lastgroup if match and match.lastgroup else "calendar"


def _is_address(alias: str) -> bool:
    """Return whether the alias can be part of a path: an e-mail address rather than an X500 string or a bare name."""
    return "@" in alias and not set("/ ") & set(alias)


def _parse_body(answer: requests.Response) -> object:
    try:
        return answer.json()
    except ValueError:
        return None


def _parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return the wait in the Retry-After header; None when the header is missing or does not hold seconds."""
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*", str(headers.get("Retry-After", "")))
    return timedelta(seconds=min(float(match[1]), _MAX_RETRY_AFTER_SECONDS)) if match else None


def _is_unsent(error: Exception) -> bool:
    """Return whether the connection was never established, so that nothing was sent."""
    return "NewConnectionError" in repr(error) or "NameResolutionError" in repr(error)


def _read_entries(answer: Json, field: str, subject: str) -> list[Json]:
    """Return the list of objects in a field of the answer. Raises InvalidResponse when there is no such list."""
    entries = answer.get(field)
    if not isinstance(entries, list) or not all(isinstance(entry, dict) for entry in entries):
        raise InvalidResponse(f"{subject}: the service's answer is not a list of entries.")
    return entries
