"""Sends the HTTP requests of WebDAV, with a log-in, and limits the size, the duration and the redirects of answers.

- Basic authentication is sent with the first request, so that threads that share a transport don't wait for a
  negotiation. When a server asks for Digest authentication, all later requests use Digest; each thread has its own
  nonce.
- After an answer with status 401, the request is repeated once on a new connection.
- The next bytes of an answer may take `timeout` seconds, and the whole answer three times as long (`DEADLINE_FACTOR`).
  An answer may have 32 MiB (`MAX_ANSWER_BYTES`), after decompression.
- Redirects within one host are followed; redirects to another host, or from https to http, are refused.
"""

import socket
import threading
import zlib
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass, field
from http.cookiejar import DefaultCookiePolicy
from typing import Any
from urllib.parse import SplitResult, urljoin, urlsplit

import requests
from requests.adapters import HTTPAdapter
from requests.auth import AuthBase, HTTPBasicAuth, HTTPDigestAuth
from requests.utils import parse_dict_header
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.connectionpool import HTTPConnectionPool, HTTPSConnectionPool

from worker import __version__
from worker.errors import InvalidResponse, Unavailable
from worker.process_metrics import observe_request

#: How many bytes an answer may have, after decompression.
MAX_ANSWER_BYTES = 32 * 1024 * 1024
#: How long a whole answer may take, as a multiple of the time-out between two reads.
DEADLINE_FACTOR = 3
#: The methods that change something. When such a request fails without an answer, it may have been done all the same.
WRITE_METHODS = frozenset({"PUT", "DELETE"})
_MAX_CONNECTIONS = 8  #: concurrent connections to one host, of all threads together
_MAX_REDIRECTS = 5  #: redirects that one request follows
_CHUNK_SIZE = 64 * 1024  #: bytes that are read at once
_GZIP_WBITS = 16 + zlib.MAX_WBITS  #: tells zlib to expect the gzip format
_REDIRECT_STATUSES = frozenset({301, 302, 307, 308})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Reply:
    """A complete answer."""

    status: int
    headers: Mapping[str, str]
    content: bytes  #: decompressed
    url: str  #: the URL that answered, after redirects
    challenges: tuple[str, ...] = ()  #: the values of its WWW-Authenticate headers


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport:
    """Sends requests with one log-in. Several threads may use one instance at once: the session keeps no state between
    requests (no cookies), and the connection pool is thread-safe."""

    def __init__(
        self, username: str | None, password: str | None, timeout: float, max_bytes: int = MAX_ANSWER_BYTES
    ) -> None:
        """`timeout`: the longest time between two reads, in seconds. `max_bytes`: the size limit of an answer."""
        self.timeout = timeout
        self._max_bytes = max_bytes
        self._login = _Login(username, password or "") if username else None
        self._session = _new_session()

    def close(self) -> None:
        """Close all connections."""
        self._session.close()

    def send_request(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """Return the answer to a request; an answer with an error status too.

        Raises Unavailable when the answer takes too long, InvalidResponse when it is too large or redirects to another
        host, and the errors of `requests` and `urllib3`.
        """
        request = _Request(method, url, body, headers)
        seconds = DEADLINE_FACTOR * self.timeout
        with _limit_time(seconds) as deadline:
            try:
                reply = self._send_with_login(self._session, request)
                if reply.status == 401:
                    with _new_session() as new_session:
                        reply = self._send_with_login(new_session, request)
            except Exception as error:
                if deadline.is_over:
                    raise _make_timeout_error(request, seconds) from error
                raise
        if deadline.is_over:  # an answer that was cut off may look complete
            raise _make_timeout_error(request, seconds)
        return reply

    def _send_with_login(self, session: requests.Session, request: _Request) -> Reply:
        """Return the answer to a request, which is repeated when the server asks for Digest authentication."""
        reply = self._follow_redirects(session, request)
        if reply.status == 401 and self._login and self._login.accept_challenge(reply):
            reply = self._follow_redirects(session, request)
        return reply

    def _follow_redirects(self, session: requests.Session, request: _Request) -> Reply:
        """Return the answer to a request after all redirects."""
        url = request.url
        for _ in range(_MAX_REDIRECTS + 1):
            with observe_request("caldav", "calendar") as observation:
                reply = self._send_once(session, request, url)
                observation.status = reply.status
            if reply.status not in _REDIRECT_STATUSES:
                return reply
            url = resolve_redirect(url, reply.headers.get("Location", ""))
        raise InvalidResponse(f"{request.url} redirects too often; check caldav.url.")

    def _send_once(self, session: requests.Session, request: _Request, url: str) -> Reply:
        """Send the request to `url`, without following a redirect, and return the answer."""
        response = session.request(
            request.method,
            url,
            data=request.body,
            headers={"Accept-Encoding": "gzip", "User-Agent": f"Longarc/{__version__}", **request.headers},
            auth=self._login or _Anonymous(),
            allow_redirects=False,
            stream=True,
            timeout=self.timeout,
        )
        with closing(response):
            content = self._read_body(response, request)
            challenges = tuple(response.raw.headers.getlist("WWW-Authenticate"))
            return Reply(response.status_code, response.headers, content, url, challenges)

    def _read_body(self, response: requests.Response, request: _Request) -> bytes:
        """Return the decompressed body. When the body can't be used, raises InvalidResponse, or for a write Unavailable
        with `uncertain`, because the write may have been done."""
        try:
            return b"".join(self._iter_chunks(response, request.url))
        except InvalidResponse as error:
            if request.method in WRITE_METHODS:
                raise Unavailable(str(error), uncertain=True) from error
            raise

    def _iter_chunks(self, response: requests.Response, url: str) -> Iterator[bytes]:
        """Yield the decompressed pieces of the body. Raises InvalidResponse for a body that is too large or broken."""
        encoding = response.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise InvalidResponse(f"{url} answered in an encoding that we did not ask for.")
        gunzip = zlib.decompressobj(_GZIP_WBITS) if "gzip" in encoding else None
        bytes_left = self._max_bytes
        for chunk in response.raw.stream(_CHUNK_SIZE, decode_content=False):
            try:
                # One byte more than allowed shows that the answer is too large.
                piece = gunzip.decompress(chunk, bytes_left + 1) if gunzip else chunk
            except zlib.error as error:
                raise InvalidResponse(f"{url} answered with broken compressed data.") from error
            bytes_left -= len(piece)
            if bytes_left < 0:
                raise InvalidResponse(f"{url} answered with more than {self._max_bytes:,} bytes.")
            yield piece


def _new_session() -> requests.Session:
    """Return a session that accepts no cookies, and whose connections obey the deadline of their thread."""
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    for scheme in _DEFAULT_PORTS:
        session.mount(f"{scheme}://", _Adapter(pool_connections=4, pool_maxsize=_MAX_CONNECTIONS, pool_block=True))
    return session


def _make_timeout_error(request: _Request, seconds: float) -> Unavailable:
    message = f"{request.url} did not complete its answer within {seconds:g} seconds."
    return Unavailable(message, uncertain=request.method in WRITE_METHODS)


def resolve_redirect(url: str, location: str) -> str:
    """Return the target URL of a redirect from `url`. Raises InvalidResponse when the target is on another host, or the
    redirect leads from https to http."""
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        is_same_origin = _get_origin(old) == _get_origin(new)
        is_upgrade = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
    except ValueError:
        is_same_origin = is_upgrade = False
    if not location or not (is_same_origin or is_upgrade):
        printable = "".join(char for char in location[:200] if char.isprintable())
        raise InvalidResponse(
            f"{url} redirects to {printable!r}, which is another host or not encrypted. The log-in is not sent there. "
            "If the calendars are there, write that address as caldav.url."
        )
    return target


def _get_origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


# --- log-in -----------------------------------------------------------------------------------------------------------


class _Anonymous(AuthBase):
    """Sends no log-in. Without this class, `requests` would use a log-in from a .netrc file."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Login(AuthBase):
    """Sends Basic authentication, and once a server has asked for it, Digest authentication."""

    def __init__(self, username: str, password: str) -> None:
        self._basic = HTTPBasicAuth(username.encode(), password.encode())
        self._digest = _Digest(username, password)
        self._uses_digest = threading.Event()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        scheme: AuthBase = self._digest if self._uses_digest.is_set() else self._basic
        return scheme(request)

    def accept_challenge(self, reply: Reply) -> bool:
        """Switch to Digest authentication if the server asks for it. Return whether it does, so that the request has to
        be sent again."""
        for challenge in reply.challenges:
            scheme, _, parameters = challenge.strip().partition(" ")
            if scheme.lower() == "digest":
                self._digest.set_challenge(parameters)
                self._uses_digest.set()
                return True
        return False


class _Digest(HTTPDigestAuth):
    """Digest authentication with a challenge that the caller sets. The base class keeps nonces and counts by thread."""

    _thread_local: Any

    def set_challenge(self, parameters: str) -> None:
        """Use this challenge for all further requests of this thread."""
        parse: Any = parse_dict_header  # Any: requests has no types for this function and for build_digest_header
        self.init_per_thread_state()
        self._thread_local.chal = parse(parameters)
        self._thread_local.last_nonce, self._thread_local.nonce_count = "", 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self.init_per_thread_state()
        if self._thread_local.chal:
            build: Any = self.build_digest_header
            request.headers["Authorization"] = build(request.method, request.url) or ""
        return request


# --- time -------------------------------------------------------------------------------------------------------------


class _Deadline:
    """Shuts a connection down after a time, because the time-out between two reads doesn't end an answer that arrives
    slowly but steadily."""

    def __init__(self) -> None:
        self.is_over = False
        self._lock = threading.Lock()
        self._socket: Any = None

    def watch(self, connection_socket: Any) -> None:
        """Shut this socket down at the deadline, or at once when the deadline is over."""
        with self._lock:
            self._socket = connection_socket
            if self.is_over:
                self._shut_down()

    def release(self) -> None:
        """Stop watching the socket."""
        with self._lock:
            self._socket = None

    def end(self) -> None:
        """Record that the deadline is over, and shut the watched socket down."""
        with self._lock:
            self.is_over = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            # The method of the plain socket is used, because another thread may be reading from the TLS socket.
            with suppress(OSError):
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _ThreadDeadline(threading.local):
    """The deadline of the request that this thread is sending; None when it is not sending any."""

    deadline: _Deadline | None = None


_thread_deadline = _ThreadDeadline()


@contextmanager
def _limit_time(seconds: float) -> Iterator[_Deadline]:
    """Inside the `with` block, shut down the connection of this thread when `seconds` are over."""
    deadline = _Deadline()
    timer = threading.Timer(seconds, deadline.end)
    timer.daemon = True
    timer.start()
    _thread_deadline.deadline = deadline
    try:
        yield deadline
    finally:
        timer.cancel()
        _thread_deadline.deadline = None
        deadline.release()


class _WatchedConnection(HTTPConnection):
    """A connection that registers its socket with the deadline of its thread."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        send: Any = super().request
        result = send(*args, **kwargs)
        if _thread_deadline.deadline is not None:
            _thread_deadline.deadline.watch(self.sock)
        return result


class _WatchedTlsConnection(_WatchedConnection, HTTPSConnection):
    """A watched connection over TLS."""


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTlsConnection


class _Adapter(HTTPAdapter):
    """An adapter whose connections are watched by the deadline of their thread."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTlsPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTlsPool}
        return manager
