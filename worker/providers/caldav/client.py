"""A WebDAV client: sends requests, parses the answers, and translates every failure to a ProviderError.

For safety, XML with document types or entities, or with more than 64 levels (`_MAX_XML_DEPTH`), is refused.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import quote, unquote
from xml.etree.ElementTree import Element, ParseError, TreeBuilder
from xml.sax.saxutils import escape, quoteattr

import requests
from defusedxml import DefusedXmlException
from defusedxml.ElementTree import DefusedXMLParser
from urllib3.exceptions import HTTPError, ReadTimeoutError

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
from worker.providers.caldav.transport import WRITE_METHODS, Reply, Transport

#: Prefixes of element names in ElementTree's notation: WebDAV, CalDAV, and the extensions of calendarserver.org.
D = "{DAV:}"
C = "{urn:ietf:params:xml:ns:caldav}"
CS = "{http://calendarserver.org/ns/}"
_NAMESPACES = 'xmlns:D="DAV:" xmlns:C="urn:ietf:params:xml:ns:caldav" xmlns:CS="http://calendarserver.org/ns/"'
_XML_HEADERS = {"Content-Type": "application/xml; charset=utf-8"}
_URL_ERRORS = (
    requests.exceptions.InvalidURL,
    requests.exceptions.MissingSchema,
    requests.exceptions.InvalidSchema,
)
#: Parts of the texts of errors that happen before the request is sent.
_UNSENT_MARKERS = (
    "NewConnectionError",
    "NameResolutionError",
    "ConnectTimeout",
    "Connection refused",
    "Failed to resolve",
)
#: The longest pause that we make when a server asks us to wait.
_MAX_PAUSE_SECONDS = 24 * 60 * 60.0
_MAX_XML_DEPTH = 64  #: levels of nested elements; answers of calendar servers have far fewer
#: As the status of an answer: the server refuses to store more. As the status of an entry of a multistatus answer: the
#: server left out further entries (RFC 6578, 3.6).
_INSUFFICIENT_STORAGE = 507
#: The scheme and host at the start of an absolute href.
_HREF_ORIGIN = re.compile("^[A-Za-z][A-Za-z0-9+.-]*://[^/]*")


class SyncTokenInvalid(InvalidResponse):
    """Raised when the server no longer accepts a sync token."""


@dataclass(frozen=True, slots=True)
class DavEntry:
    """One resource in a multistatus answer (RFC 4918)."""

    name: str  #: the unquoted name inside the requested collection; empty for the collection itself
    status: int
    properties: Mapping[str, Any] = field(default_factory=dict)  #: XML elements by element name
    is_direct: bool = True  #: whether the resource is directly in the requested collection, not in a nested one

    def get_text(self, tag: str) -> str:
        """Return the text of a property; empty when the answer has none."""
        element = self.properties.get(tag)
        return (element.text or "") if element is not None else ""


@dataclass(frozen=True, slots=True)
class Multistatus:
    """A parsed multistatus answer (status 207)."""

    entries: tuple[DavEntry, ...]
    token: str = ""  #: the new sync token; empty when the answer has none
    is_truncated: bool = False  #: whether the server has more entries, for which it has to be asked again


def make_element(tag: str, content: str = "", **attributes: str) -> str:
    """Return an XML element for a request's body. `tag`: with the prefix D, C or CS. `content`: XML, not escaped."""
    attribute_text = "".join(f" {name}={quoteattr(value)}" for name, value in attributes.items())
    return f"<{tag}{attribute_text}>{content}</{tag}>" if content else f"<{tag}{attribute_text}/>"


def make_text_element(tag: str, text: str) -> str:
    """Return an XML element with a text, which is escaped."""
    return make_element(tag, escape(text))


def make_document(tag: str, content: str) -> str:
    """Return the XML document of a request's body. `tag`: of the root element. `content`: the XML inside."""
    return f'<?xml version="1.0" encoding="utf-8"?><{tag} {_NAMESPACES}>{content}</{tag}>'


class DavClient:
    """A thread-safe WebDAV client with one log-in. Raises only ProviderErrors; their messages are one line, and say
    what the operator can do."""

    def __init__(self, username: str | None, password: str | None, timeout: float) -> None:
        """`timeout`: how many seconds to wait for the next bytes of an answer."""
        self._transport = Transport(username, password, timeout)

    def close(self) -> None:
        """Close all connections."""
        self._transport.close()

    def get(self, url: str) -> tuple[str, str]:
        """Return a resource's text and etag."""
        reply = self._send("GET", url)
        try:
            return reply.content.decode(), str(reply.headers.get("ETag", ""))
        except UnicodeDecodeError:
            raise InvalidResponse(f"{url} answered with something that is not text.") from None

    def put(self, url: str, text: str, *, etag: str | None) -> str:
        """Store a resource, and return its new etag; empty when the server does not send it.

        With `etag` None, the resource must be new; otherwise `etag` is the version to replace. Raises Conflict when the
        resource exists, or has another version.
        """
        precondition = {"If-None-Match": "*"} if etag is None else {"If-Match": etag}
        reply = self._send("PUT", url, text, {"Content-Type": "text/calendar; charset=utf-8", **precondition})
        return str(reply.headers.get("ETag", ""))

    def delete(self, url: str, etag: str) -> None:
        """Delete a resource. Raises NotFound, and Conflict when its version is not `etag`; an empty `etag` matches any
        version."""
        self._send("DELETE", url, "", {"If-Match": etag} if etag else {})

    def propfind(self, url: str, properties: Sequence[str], depth: int) -> Multistatus:
        """Return the named properties of a collection; with `depth` 1 also those of each resource in it. `properties`:
        element names with a prefix, such as `D:getetag`."""
        body = make_document("D:propfind", make_element("D:prop", "".join(make_element(name) for name in properties)))
        return _parse_multistatus(self._send("PROPFIND", url, body, {**_XML_HEADERS, "Depth": str(depth)}))

    def report(self, url: str, body: str, depth: int) -> Multistatus:
        """Return the answer to a REPORT request. Raises SyncTokenInvalid."""
        return _parse_multistatus(self._send("REPORT", url, body, {**_XML_HEADERS, "Depth": str(depth)}))

    def _send(self, method: str, url: str, body: str = "", headers: Mapping[str, str] | None = None) -> Reply:
        try:
            reply = self._transport.send_request(method, url, body.encode(), dict(headers or {}))
        except ProviderError:
            raise
        except Exception as error:  # requests, urllib3 and the standard library raise errors without a common type
            raise translate_error(error, method, url, self._transport.timeout) from error
        if reply.status >= 300:
            raise translate_refusal(reply, method, url)
        return reply


# --- answers ----------------------------------------------------------------------------------------------------------


class _ShallowTree(TreeBuilder):
    """Builds an XML tree. Raises ParseError for a tree that is nested too deep."""

    _depth = 0

    def start(self, tag: Any, attrs: Any, /) -> Element:
        self._depth += 1
        if self._depth > _MAX_XML_DEPTH:
            raise ParseError("too deep")
        return super().start(tag, attrs)

    def end(self, tag: Any, /) -> Element:
        self._depth -= 1
        return super().end(tag)


def read_xml(content: bytes, url: str) -> Element:
    """Return the root of the XML tree in `content`. Raises InvalidResponse, with `url` in the message."""
    make_parser: Any = DefusedXMLParser  # Any: the library has no types
    parser = make_parser(target=_ShallowTree(), forbid_dtd=True)
    try:
        parser.feed(content)
        root: Element = parser.close()
    except (ParseError, DefusedXmlException, ValueError, LookupError) as error:
        raise InvalidResponse(f"{url} answered with broken XML, or with XML that no calendar sends.") from error
    return root


def _parse_multistatus(reply: Reply) -> Multistatus:
    root = read_xml(reply.content, reply.url) if reply.content else None
    if root is None or root.tag != f"{D}multistatus":
        raise InvalidResponse(f"{reply.url} answered with something that no calendar server sends; check caldav.url.")
    collection_path = unquote(reply.url.split("://", 1)[-1].partition("/")[2]).strip("/")
    entries = [_parse_entry(response, collection_path) for response in root.findall(f"{D}response")]
    return Multistatus(
        entries=tuple(entry for entry in entries if entry.status != _INSUFFICIENT_STORAGE),
        token=root.findtext(f"{D}sync-token") or "",
        is_truncated=any(entry.status == _INSUFFICIENT_STORAGE for entry in entries),
    )


def _parse_entry(response: Any, collection_path: str) -> DavEntry:
    """Return the entry in a `response` element. `collection_path`: the unquoted path of the requested collection."""
    href = (response.findtext(f"{D}href") or "").strip()
    folder, _, last_part = _HREF_ORIGIN.sub("", href).strip("/").rpartition("/")
    parent, name = unquote(folder), unquote(last_part)
    properties: dict[str, Any] = {}
    for part in response.findall(f"{D}propstat"):
        if _parse_status(part.findtext(f"{D}status")) < 300:
            properties |= {child.tag: child for child in part.iterfind(f"{D}prop/*")}
    # A proxy may add folders at the beginning of the collection's path, or remove some.
    is_direct = not parent or _is_path_end(parent, collection_path) or _is_path_end(collection_path, parent)
    is_in_collection = parent == collection_path  # also a resource with the collection's own name: `team/team`
    if not is_in_collection and _is_path_end(f"{parent}/{name}".strip("/"), collection_path):
        name = ""  # the collection itself
    return DavEntry(name, _parse_status(response.findtext(f"{D}status")), properties, is_direct)


def _is_path_end(path: str, end: str) -> bool:
    """Return whether `path` ends with the parts of `end`. Both have no slashes at their ends."""
    return path == end or (bool(end) and path.endswith(f"/{end}"))


def _parse_status(status: str | None) -> int:
    """Return the code in a status line such as `HTTP/1.1 404 Not Found`; 200 when there is no such code."""
    parts = (status or "").split()
    return int(parts[1]) if len(parts) > 1 and re.fullmatch("[0-9]{3}", parts[1]) else 200


def make_resource_url(collection: str, name: str) -> str:
    """Return the URL of a resource in a collection."""
    return f"{collection.rstrip('/')}/{quote(name, safe='')}"


# --- errors -----------------------------------------------------------------------------------------------------------


def translate_error(error: Exception, method: str, url: str, timeout: float) -> ProviderError:
    """Return the ProviderError for an exception of the HTTP libraries."""
    if isinstance(error, requests.exceptions.RequestException | HTTPError | OSError):
        return _translate_connection_error(error, url, timeout, is_write=method in WRITE_METHODS)
    return InvalidResponse(f"{url} answered with something unreadable ({type(error).__name__}).")


def _translate_connection_error(error: Exception, url: str, timeout: float, *, is_write: bool) -> ProviderError:
    """Return the ProviderError for a request without an answer. A write may have been done all the same, and is
    `uncertain`, unless the request was certainly not sent."""
    if isinstance(error, requests.exceptions.SSLError):
        return Unavailable(f"{url}: no safe connection (TLS): check the certificate and the port.")
    if isinstance(error, _URL_ERRORS):
        return NotFound(f"{url} is not an address; check caldav.url.")
    description = f"{type(error).__name__} {error!r} {error}"
    if any(marker in description for marker in _UNSENT_MARKERS):
        return Unavailable(f"Nothing answers at {url}; check caldav.url and that the server runs.")
    if isinstance(error, requests.exceptions.Timeout | ReadTimeoutError):
        return Unavailable(f"{url} did not answer within {timeout:g} seconds.", uncertain=is_write)
    return Unavailable(f"The connection to {url} broke.", uncertain=is_write)


def translate_refusal(reply: Reply, method: str, url: str) -> ProviderError:
    """Return the ProviderError for an answer whose status is not a success."""
    status, body = reply.status, reply.content.decode(errors="replace")
    if status == 429 or (status == 503 and "Retry-After" in reply.headers):
        return RateLimited("The calendar server asks to slow down.", retry_after=_parse_retry_after(reply.headers))
    # `valid-sync-token` is the precondition of RFC 6578. Some servers refuse an old token without naming it.
    if "valid-sync-token" in body or (status in (400, 410) and method == "REPORT"):
        return SyncTokenInvalid(f"{url} can't list the changes since the last read.")
    if status == 401:
        return _translate_login_refusal(reply, url)
    if status == 403:
        return Forbidden(f"{url}: this log-in may not do that; share the calendar with it, with the right to write.")
    # 409 has two meanings: the collection does not exist (WebDAV), or another resource has the event's UID (CalDAV,
    # `no-uid-conflict`).
    is_parent_missing = status == 409 and "uid-conflict" not in body
    if status in (404, 410) or is_parent_missing:
        return NotFound(f"{url} does not exist; check caldav.url.")
    if status in (409, 412):
        return Conflict(f"{url} was changed by somebody else, or exists already.")
    if status in (405, 501) or status < 400:  # below 400: a redirect that is not followed
        return InvalidResponse(f"{url} is no calendar (status {status}); check caldav.url.")
    if status >= 500 and status != _INSUFFICIENT_STORAGE:
        return Unavailable(f"{url} is out of order (status {status}).", uncertain=method in WRITE_METHODS)
    return Forbidden(f"{url} refuses this (status {status}).")


def _translate_login_refusal(reply: Reply, url: str) -> AuthRevoked:
    """Return the error for an answer with status 401."""
    schemes = {challenge.split(maxsplit=1)[0].lower() for challenge in reply.challenges if challenge.strip()}
    if schemes and not schemes & {"basic", "digest"}:
        return AuthRevoked(f"{url} does not support Basic or Digest authentication, which Longarc needs.")
    return AuthRevoked(f"{url}: log-in refused; check caldav.username and its password.")


def _parse_retry_after(headers: Mapping[str, str]) -> timedelta | None:
    """Return how long the server asks us to wait, from its Retry-After header: a number of seconds, or a date by the
    server's clock. Returns None when the header is missing or can't be read."""
    text = headers.get("Retry-After", "").strip()
    if re.fullmatch(r"[0-9]+(\.[0-9]+)?", text):
        return timedelta(seconds=min(float(text), _MAX_PAUSE_SECONDS))
    try:
        wait = parsedate_to_datetime(text) - parsedate_to_datetime(headers.get("Date", ""))
    except (TypeError, ValueError):
        return None
    return min(max(wait, timedelta()), timedelta(seconds=_MAX_PAUSE_SECONDS))
