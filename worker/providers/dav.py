"""Talking WebDAV through the `caldav` library: one place that sends, reads the answers, and turns whatever can go
wrong into our own errors.

The library's client brings the connection, the log-in negotiation and the parsing of XML. Its objects for calendars
and events are left aside: they repeat requests, and they don't send the preconditions that we rely on.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any
from urllib.parse import quote, unquote
from xml.sax.saxutils import escape

from caldav.davclient import DAVClient
from caldav.lib import error as dav_error
from caldav.lib.http_sync import requests

from worker.errors import (
    AuthRevoked,
    Conflict,
    Forbidden,
    InvalidResponse,
    NotFound,
    ProviderError,
    RateLimited,
    Unavailable,
)

D = "{DAV:}"
C = "{urn:ietf:params:xml:ns:caldav}"
CS = "{http://calendarserver.org/ns/}"
_NAMESPACES = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'
_WRITES = frozenset({"PUT", "DELETE"})
_NO_ADDRESS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)
_UNSENT = ("NewConnectionError", "NameResolutionError", "ConnectTimeout", "Connection refused", "Failed to resolve")
#: However long a server asks us to wait, in seconds.
_LONGEST_PAUSE = 24 * 60 * 60.0


class DeadToken(InvalidResponse):
    """The server does not know this sync token any more."""


@dataclass(frozen=True, slots=True)
class Entry:
    """One resource in an answer: its name inside the collection (empty for the collection itself)."""

    name: str
    status: int
    properties: Mapping[str, Any] = field(default_factory=dict)

    def text(self, tag: str) -> str:
        """The text of a property; empty when it wasn't given."""
        element = self.properties.get(tag)
        return (element.text or "") if element is not None else ""


@dataclass(frozen=True, slots=True)
class Multistatus:
    """A 207 answer, taken apart."""

    entries: tuple[Entry, ...]
    token: str = ""
    truncated: bool = False


def element(tag: str, content: str = "", **attributes: str) -> str:
    """A piece of a request's body; `tag` with the prefix D, C or CS."""
    named = "".join(f' {name}="{escape(value)}"' for name, value in attributes.items())
    return f"<{tag}{named}>{content}</{tag}>" if content else f"<{tag}{named}/>"


def document(tag: str, content: str) -> str:
    """A whole request's body."""
    return f'<?xml version="1.0" encoding="utf-8"?><{tag} {_NAMESPACES}>{content}</{tag}>'


class Dav:
    """A log-in on a WebDAV server. Raises only ProviderErrors, each one line that says what to do."""

    def __init__(self, url: str, username: str | None, password: str | None, timeout: float) -> None:
        self._client = DAVClient(
            url=url,
            username=username or None,
            password=password or None,
            timeout=timeout,  # type: ignore[arg-type]  # whole seconds are not asked for
            enable_rfc6764=False,
            rate_limit_handle=False,
        )
        self._timeout = timeout

    def close(self) -> None:
        self._client.close()

    def get(self, url: str) -> tuple[str, str]:
        """A resource's text and etag."""
        answer = self._send("GET", url)
        try:
            return str(answer.raw), str(answer.headers.get("ETag", ""))
        except UnicodeDecodeError:
            raise InvalidResponse(f"{url} answered with something that is not text.") from None

    def put(self, url: str, text: str, *, etag: str | None) -> str:
        """Store a resource: a new one when `etag` is None, else in place of that version. Its etag afterwards, empty
        when the server keeps it to itself. Raises Conflict."""
        precondition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        answer = self._send("PUT", url, text, {"Content-Type": "text/calendar; charset=utf-8", **precondition})
        return str(answer.headers.get("ETag", ""))

    def delete(self, url: str, etag: str) -> None:
        """Remove a resource if it is still at `etag`. Raises NotFound, Conflict."""
        self._send("DELETE", url, "", {"If-Match": etag} if etag else {})

    def propfind(self, url: str, properties: Sequence[str], depth: int) -> Multistatus:
        """The named properties of a collection, and with depth 1 of everything in it."""
        body = document("D:propfind", element("D:prop", "".join(element(name) for name in properties)))
        return self._multistatus(url, self._send("PROPFIND", url, body, {"Depth": str(depth)}))

    def report(self, url: str, body: str, depth: int) -> Multistatus:
        """What a REPORT finds. Raises DeadToken."""
        return self._multistatus(url, self._send("REPORT", url, body, {"Depth": str(depth)}))

    def _send(self, method: str, url: str, body: str = "", headers: Mapping[str, str] | None = None) -> Any:
        try:
            answer = self._client.request(url, method, body, dict(headers or {}))
        except Exception as error:  # the library raises errors of four families; all of them end here
            raise translate(error, method, url, self._timeout) from error
        if answer.status >= 300:
            raise refusal(answer.status, method, url, _said(answer))
        return answer

    def _multistatus(self, url: str, answer: Any) -> Multistatus:
        root = answer.tree
        if root is None or root.tag != f"{D}multistatus":
            raise InvalidResponse(f"{url} answered with something that is not a calendar's; check caldav.url.")
        own = unquote(url.split("://", 1)[-1].partition("/")[2]).strip("/")
        entries = [_entry(response, own) for response in root.findall(f"{D}response")]
        return Multistatus(
            entries=tuple(entry for entry in entries if entry.status != 507),
            token=root.findtext(f"{D}sync-token") or "",
            truncated=any(entry.status == 507 for entry in entries),
        )


def _said(answer: Any) -> str:
    """What came along with a refusal, if it is text."""
    try:
        return str(answer.raw)
    except UnicodeDecodeError:
        return ""


def _entry(response: Any, own: str) -> Entry:
    path = (response.findtext(f"{D}href") or "").strip().rstrip("/")
    found: dict[str, Any] = {}
    for part in response.findall(f"{D}propstat"):
        if _code(part.findtext(f"{D}status")) < 300:
            found |= {child.tag: child for child in part.iterfind(f"{D}prop/*")}
    name = "" if unquote(path).endswith(own) else unquote(path.rpartition("/")[2])
    return Entry(name, _code(response.findtext(f"{D}status")), found)


def _code(status: str | None) -> int:
    words = (status or "").split()
    return int(words[1]) if len(words) > 1 and re.fullmatch("[0-9]{3}", words[1]) else 200


def child(collection: str, name: str) -> str:
    """The address of a resource in a collection."""
    return f"{collection.rstrip('/')}/{quote(name, safe='')}"


# --- errors ---------------------------------------------------------------------------------------------------------


def translate(error: Exception, method: str, url: str, timeout: float) -> ProviderError:
    """What an exception of the library, or of what it stands on, means for us."""
    uncertain = method in _WRITES
    if isinstance(error, dav_error.RateLimitError):
        wait = error.retry_after_seconds
        pause = timedelta(seconds=min(max(0.0, wait), _LONGEST_PAUSE)) if wait is not None else None
        return RateLimited("The calendar server asks to slow down.", retry_after=pause)
    if isinstance(error, dav_error.AuthorizationError):
        return refusal(error.status or 403, method, url, "".join(error.preconditions))
    if isinstance(error, NotImplementedError):
        return AuthRevoked("The calendar server offers no way to log in that we know (basic, digest).")
    if isinstance(error, requests.exceptions.RequestException | OSError):
        return _unreached(error, url, timeout, uncertain)
    if isinstance(error, SyntaxError):  # what the XML parser raises
        return InvalidResponse(f"{url} answered with broken XML.")
    return InvalidResponse(f"{url} answered with something unreadable ({type(error).__name__}).")


def _unreached(error: Exception, url: str, timeout: float, uncertain: bool) -> ProviderError:
    if isinstance(error, requests.exceptions.SSLError):
        return Unavailable(f"{url}: no safe connection (TLS): check the certificate and the port.")
    if isinstance(error, _NO_ADDRESS):
        return NotFound(f"{url} is not an address; check caldav.url.")
    said = f"{type(error).__name__} {error!r} {error}"
    if any(sign in said for sign in _UNSENT):
        return Unavailable(f"Nothing answers at {url}; check caldav.url and that the server runs.")
    if isinstance(error, requests.exceptions.Timeout):
        return Unavailable(f"{url} did not answer within {timeout:g} seconds.", uncertain=uncertain)
    return Unavailable(f"The connection to {url} broke.", uncertain=uncertain)


def refusal(status: int, method: str, url: str, body: str) -> ProviderError:
    """What a status other than success means for us."""
    if "valid-sync-token" in body or (status in (400, 410) and method == "REPORT"):
        return DeadToken(f"{url} can't tell what changed since the last look.")
    if status == 401:
        return AuthRevoked(f"{url}: log-in refused; check caldav.username and its password.")
    if status == 403:
        return Forbidden(f"{url}: this log-in may not do that; share the calendar with it, with the right to write.")
    if status in (404, 410) or (status == 409 and "uid-conflict" not in body):
        return NotFound(f"{url} does not exist; check caldav.url.")
    if status in (409, 412):
        return Conflict(f"{url} was changed by somebody else, or exists already.")
    if status in (405, 501) or status < 400:
        return InvalidResponse(f"{url} is no calendar (status {status}); check caldav.url.")
    if status >= 500 and status != 507:
        return Unavailable(f"{url} is out of order (status {status}).", uncertain=method in _WRITES)
    return Forbidden(f"{url} refuses this (status {status}).")
