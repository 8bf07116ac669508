"""HTTP for WebDAV: the log-in goes along at once, answers are bounded in size and time, nobody leads us elsewhere.

- Basic is sent with the first request, so that threads that share a transport wait for no negotiation. A server that
  asks for Digest gets it from then on; each thread has a nonce of its own.
- A 401 is asked once more on a fresh connection before it counts.
- An answer may be silent for `timeout` and take three times that in all; it may have `LARGEST` bytes, also after
  decompression.
- Redirects within one host are followed; to another host, or from https to http, they are refused.
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

#: The most bytes that an answer may have, after decompression.
LARGEST_ANSWER = 32 * 1024 * 1024
#: The whole time that an answer may take, as a multiple of the time for which it may be silent.
DEADLINE_FACTOR = 3
_MOST_CONNECTIONS = 8  #: to one host, for all threads together
_MOST_REDIRECTS = 5  #: redirects that are followed
_CHUNK_SIZE = 64 * 1024
_REDIRECT_STATUSES = frozenset({301, 302, 307, 308})
_WRITE_METHODS = frozenset({"PUT", "DELETE"})
_DEFAULT_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True)
class Reply:
    """A whole answer, and the address that gave it."""

    status: int
    headers: Mapping[str, str]
    content: bytes
    url: str
    challenges: tuple[str, ...] = ()  #: its WWW-Authenticate headers


@dataclass(frozen=True, slots=True)
class _Request:
    method: str
    url: str
    body: bytes
    headers: Mapping[str, str] = field(default_factory=dict)


class Transport:
    """Sends requests for one log-in; several threads may use it at once.

    The session keeps no state between requests (no cookies); the adapter's pool of connections is safe for threads.
    """

    def __init__(
        self, username: str | None, password: str | None, timeout: float, largest: int = LARGEST_ANSWER
    ) -> None:
        """`timeout`: seconds of silence; `largest`: bytes of an answer."""
        self.timeout = timeout
        self._largest = largest
        self._login = _Login(username, password or "") if username else None
        self._session = _new_session()

    def close(self) -> None:
        self._session.close()

    def send_request(self, method: str, url: str, body: bytes, headers: Mapping[str, str]) -> Reply:
        """The answer to a request, whatever its status.

        Raises Unavailable when it takes too long, InvalidResponse when it is too large or leads elsewhere, and what
        `requests` and `urllib3` raise.
        """
        request = _Request(method, url, body, headers)
        seconds = DEADLINE_FACTOR * self.timeout
        with _limit_time(seconds) as deadline:
            try:
                reply = self._send_with_login(self._session, request)
                if reply.status == 401:
                    with _new_session() as fresh:
                        reply = self._send_with_login(fresh, request)
            except Exception as error:
                if deadline.is_over:
                    raise _make_timeout_error(request, seconds) from error
                raise
        if deadline.is_over:  # what was cut off may look whole
            raise _make_timeout_error(request, seconds)
        return reply

    def _send_with_login(self, session: requests.Session, request: _Request) -> Reply:
        reply = self._follow_redirects(session, request)
        if reply.status == 401 and self._login and self._login.take_challenge(reply):
            reply = self._follow_redirects(session, request)
        return reply

    def _follow_redirects(self, session: requests.Session, request: _Request) -> Reply:
        url = request.url
        for _ in range(_MOST_REDIRECTS + 1):
            reply = self._send_once(session, request, url)
            if reply.status not in _REDIRECT_STATUSES:
                return reply
            url = resolve_redirect(url, reply.headers.get("Location", ""))
        raise InvalidResponse(f"{request.url} redirects without end; check caldav.url.")

    def _send_once(self, session: requests.Session, request: _Request, url: str) -> Reply:
        answer = session.request(
            request.method,
            url,
            data=request.body,
            headers={"Accept-Encoding": "gzip", "User-Agent": f"Longarc/{__version__}", **request.headers},
            auth=self._login or _Anonymous(),
            allow_redirects=False,
            stream=True,
            timeout=self.timeout,
        )
        with closing(answer):
            content = self._read_body(answer, request)
            challenges = tuple(answer.raw.headers.getlist("WWW-Authenticate"))
            return Reply(answer.status_code, answer.headers, content, url, challenges)

    def _read_body(self, answer: requests.Response, request: _Request) -> bytes:
        """The body, decompressed. Raises InvalidResponse, or Unavailable for a write: it may have happened."""
        try:
            return b"".join(self._iter_chunks(answer, request.url))
        except InvalidResponse as error:
            if request.method in _WRITE_METHODS:
                raise Unavailable(str(error), uncertain=True) from error
            raise

    def _iter_chunks(self, answer: requests.Response, url: str) -> Iterator[bytes]:
        encoding = answer.headers.get("Content-Encoding", "").strip().lower()
        if encoding not in ("", "identity", "gzip", "x-gzip"):
            raise InvalidResponse(f"{url} answered in an encoding that was not asked for.")
        gunzip = zlib.decompressobj(wbits=31) if "gzip" in encoding else None
        left = self._largest
        for chunk in answer.raw.stream(_CHUNK_SIZE, decode_content=False):
            try:
                piece = gunzip.decompress(chunk, left + 1) if gunzip else chunk
            except zlib.error as error:
                raise InvalidResponse(f"{url} answered with a broken compression.") from error
            left -= len(piece)
            if left < 0:
                raise InvalidResponse(f"{url} answered with more than {self._largest:,} bytes.")
            yield piece


def _new_session() -> requests.Session:
    session = requests.Session()
    session.cookies.set_policy(DefaultCookiePolicy(allowed_domains=()))
    for scheme in _DEFAULT_PORTS:
        session.mount(f"{scheme}://", _Adapter(pool_connections=4, pool_maxsize=_MOST_CONNECTIONS, pool_block=True))
    return session


def _make_timeout_error(request: _Request, seconds: float) -> Unavailable:
    words = f"{request.url} did not come to the end of its answer within {seconds:g} seconds."
    return Unavailable(words, uncertain=request.method in _WRITE_METHODS)


def resolve_redirect(url: str, location: str) -> str:
    """Where a redirect leads. Raises InvalidResponse when that is another host, or not safe where `url` is."""
    try:
        target = urljoin(url, location)
        old, new = urlsplit(url), urlsplit(target)
        is_same = _get_origin(old) == _get_origin(new)
        is_safer = (old.scheme, new.scheme) == ("http", "https") and old.hostname == new.hostname
    except ValueError:
        is_same = is_safer = False
    if not location or not (is_same or is_safer):
        shown = "".join(sign for sign in location[:200] if sign.isprintable())
        raise InvalidResponse(
            f"{url} redirects to {shown!r}, another host or one without TLS. The log-in is not sent there; "
            "if that is where the calendars are, write it as caldav.url."
        )
    return target


def _get_origin(parts: SplitResult) -> tuple[str, str | None, int | None]:
    return parts.scheme, parts.hostname, parts.port or _DEFAULT_PORTS.get(parts.scheme)


# --- log-in ---------------------------------------------------------------------------------------------------------


class _Anonymous(AuthBase):
    """No log-in, not even one that a .netrc names."""

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        return request


class _Login(AuthBase):
    """Basic from the first request on; Digest once a server has asked for it."""

    def __init__(self, username: str, password: str) -> None:
        self._basic = HTTPBasicAuth(username.encode(), password.encode())
        self._digest = _Digest(username, password)
        self._uses_digest = threading.Event()

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        scheme: AuthBase = self._digest if self._uses_digest.is_set() else self._basic
        return scheme(request)

    def take_challenge(self, reply: Reply) -> bool:
        """True when the server asks for Digest: the request is to be sent again."""
        for challenge in reply.challenges:
            scheme, _, parameters = challenge.strip().partition(" ")
            if scheme.lower() == "digest":
                self._digest.set_challenge(parameters)
                self._uses_digest.set()
                return True
        return False


class _Digest(HTTPDigestAuth):
    """Digest that answers a challenge it was handed. What it keeps is kept by thread: nonces and counts don't mix."""

    _thread_local: Any

    def set_challenge(self, parameters: str) -> None:
        """Answer this challenge from now on, in this thread."""
        read: Any = parse_dict_header  # without types, as what follows
        self.init_per_thread_state()
        self._thread_local.chal = read(parameters)
        self._thread_local.last_nonce, self._thread_local.nonce_count = "", 0

    def __call__(self, request: requests.PreparedRequest) -> requests.PreparedRequest:
        self.init_per_thread_state()
        if self._thread_local.chal:
            build: Any = self.build_digest_header
            request.headers["Authorization"] = build(request.method, request.url) or ""
        return request


# --- time -----------------------------------------------------------------------------------------------------------


class _Deadline:
    """Shuts a connection down at its time. A time-out alone ends no answer that comes byte by byte."""

    def __init__(self) -> None:
        self.is_over = False
        self._lock = threading.Lock()
        self._socket: Any = None

    def watch(self, connection: Any) -> None:
        with self._lock:
            self._socket = connection
            if self.is_over:
                self._shut_down()

    def release(self) -> None:
        with self._lock:
            self._socket = None

    def end(self) -> None:
        with self._lock:
            self.is_over = True
            self._shut_down()

    def _shut_down(self) -> None:
        if self._socket is not None:
            with suppress(OSError):  # that of the plain socket: another thread may be reading from the TLS one
                socket.socket.shutdown(self._socket, socket.SHUT_RDWR)


class _ThreadDeadline(threading.local):
    deadline: _Deadline | None = None


_thread_deadline = _ThreadDeadline()


@contextmanager
def _limit_time(seconds: float) -> Iterator[_Deadline]:
    """Bounds everything that this thread exchanges meanwhile."""
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
    """Tells the deadline of the thread which socket is waited for."""

    def request(self, *args: Any, **kwargs: Any) -> Any:
        send: Any = super().request
        sent = send(*args, **kwargs)
        if _thread_deadline.deadline is not None:
            _thread_deadline.deadline.watch(self.sock)
        return sent


class _WatchedTlsConnection(_WatchedConnection, HTTPSConnection):
    """The same over TLS."""


class _WatchedPool(HTTPConnectionPool):
    ConnectionCls = _WatchedConnection


class _WatchedTlsPool(HTTPSConnectionPool):
    ConnectionCls = _WatchedTlsConnection


class _Adapter(HTTPAdapter):
    """Keeps connections that are watched."""

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:
        super().init_poolmanager(*args, **kwargs)
        self.poolmanager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTlsPool}

    def proxy_manager_for(self, proxy: str, **kwargs: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **kwargs)
        manager.pool_classes_by_scheme = {"http": _WatchedPool, "https": _WatchedTlsPool}
        return manager
