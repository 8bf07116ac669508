"""The WebDAV client: threads share a log-in, and answers are limited in time, in size and in their redirects."""

import gzip
import re
import time
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from hashlib import md5
from itertools import count
from pathlib import Path
from threading import Lock
from urllib.request import parse_http_list, parse_keqv_list

import pytest

from tests.providers.conftest import RequestInterceptor
from tests.support.drafts import WINDOW
from tests.support.loopback import EMPTY_MULTISTATUS, Loopback, Request, serve
from worker.embedded import EmbeddedServers
from worker.errors import AuthRevoked, InvalidResponse, ProviderError, RateLimited, Unavailable
from worker.providers import base
from worker.providers.caldav.client import DavClient, make_document, make_element, make_text_element, read_xml
from worker.providers.caldav.transport import MAX_ANSWER_BYTES, resolve_redirect

CALLS = 60  #: of `run_in_threads`
USER, PASSWORD = "lóngarc", "pässword: ✓"  # not ASCII, to prove that log-ins are encoded as UTF-8
TIMEOUT, SHORT_TIMEOUT = 10, 0.3  # seconds
BODY = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


def count_resources(dav: DavClient, url: str) -> int:
    """Return how many resources the server lists."""
    return len(dav.propfind(url, ["D:getetag"], depth=1).entries)


@pytest.fixture
def dav() -> Iterator[DavClient]:
    client = DavClient(USER, PASSWORD, TIMEOUT)
    yield client
    client.close()


@pytest.fixture
def impatient_dav() -> Iterator[DavClient]:
    """A client with a short time-out."""
    client = DavClient(USER, PASSWORD, SHORT_TIMEOUT)
    yield client
    client.close()


def run_in_threads(
    work: Callable[[int], object],
) -> list[object]:
    """Call `work` with each number below `CALLS`, in four threads. Return the results, or errors of the provider."""

    def attempt(number: int) -> object:
        try:
            return work(number)
        except ProviderError as error:
            return error

    with ThreadPoolExecutor(4) as pool:
        return list(pool.map(attempt, range(CALLS)))


# --- log-in -----------------------------------------------------------------------------------------------------------


def test_threads_that_share_a_client_are_never_refused(tmp_path: Path) -> None:
    """The log-in is sent with the first request, so that each call costs one request and none is answered with 401."""
    people = [f"p{number}@example.org" for number in range(15)]
    interceptor = RequestInterceptor()
    with EmbeddedServers(
        tmp_path, people, username="longarc", password="right", wrap_caldav=interceptor.wrap
    ) as server:
        section = {"url": server.caldav_url, "username": "longarc", "password": "right", "timeout": 30}
        calendar = base.load_factory(base.CALENDAR_FACTORIES, "caldav")(section)

        def is_known(number: int) -> bool:
            person = people[number % len(people)]
            return bool(calendar.free_busy([person], WINDOW)[person].is_known)

        assert run_in_threads(is_known) == [True] * CALLS
        calendar.close()
    assert len(interceptor.methods) == CALLS


class DigestServer:
    """Requires Digest authentication (RFC 7616): a nonce of this server, a count that grows, and the right hash."""

    def __init__(self, lifetime: int = 10**9) -> None:
        """`lifetime`: after how many requests a nonce is stale."""
        self.refusals: Counter[str] = Counter()  #: by what `_find_refusal` returns
        self._lifetime = lifetime
        self._lock = Lock()
        self._nonce_numbers = count(1)
        self._counts: dict[str, int] = {}  #: of the requests so far, by nonce

    def __call__(self, request: Request) -> None:
        with self._lock:
            refusal = self._find_refusal(request)
        if not refusal:
            request.reply()
            return
        self.refusals[refusal] += 1
        with self._lock:
            nonce = f"nonce{next(self._nonce_numbers)}"
            self._counts[nonce] = 0
        stale = ", stale=true" if refusal == "stale" else ""
        challenge = f'Digest realm="calendars", qop="auth", algorithm=MD5, nonce="{nonce}"{stale}'
        request.reply(401, b"", WWW_Authenticate=challenge)

    def _find_refusal(self, request: Request) -> str:
        """Return why the log-in of the request is refused; empty when it is accepted."""
        scheme, _, parameters = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Digest":
            return "no digest"
        fields = parse_keqv_list(parse_http_list(parameters))
        number = int(fields["nc"], 16)
        if fields["nonce"] not in self._counts or number != self._counts[fields["nonce"]] + 1:
            return "replay"
        self._counts[fields["nonce"]] = number
        if number > self._lifetime:
            return "stale"
        expected_response = _hash(
            _hash(USER, "calendars", PASSWORD),
            fields["nonce"],
            fields["nc"],
            fields["cnonce"],
            "auth",
            _hash(str(request.command), request.path),
        )
        return "" if fields["response"] == expected_response else "wrong"


def _hash(*parts: str) -> str:
    return md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def test_each_thread_negotiates_digest_once(dav: DavClient) -> None:
    """Only the first request of each of the four threads lacks a nonce."""
    digest = DigestServer()
    with serve(digest) as server:
        assert run_in_threads(lambda _: count_resources(dav, server.url)) == [0] * CALLS
    assert set(digest.refusals) == {"no digest"} and digest.refusals.total() <= 4


def test_stale_digest_nonce_is_renewed(dav: DavClient) -> None:
    """A nonce serves three requests, so the twenty requests need several."""
    digest = DigestServer(lifetime=3)
    with serve(digest) as server:
        assert [count_resources(dav, server.url) for _ in range(20)] == [0] * 20
    assert digest.refusals["stale"] > 3 and set(digest.refusals) == {"no digest", "stale"}


def test_wrong_password_is_refused_with_digest() -> None:
    digest = DigestServer()
    client = DavClient(USER, "guessed", TIMEOUT)
    with serve(digest) as server, pytest.raises(AuthRevoked, match=r"caldav\.username"):
        count_resources(client, server.url)
    client.close()


def test_refused_log_in_is_tried_again_on_a_new_connection(dav: DavClient) -> None:
    """A 401 on one connection alone is no reason to suspend a calendar."""

    def answer(request: Request) -> None:
        if request.client_address == server.requests[0].client_address:
            request.reply(401, b"", WWW_Authenticate='Basic realm="x"')
        else:
            request.reply()

    with serve(answer) as server:
        assert count_resources(dav, server.url) == 0
        assert len(server.requests) == 2


def test_log_in_refused_on_two_connections_is_an_error(dav: DavClient) -> None:
    with serve(lambda request: request.reply(401, b"", WWW_Authenticate='Basic realm="x"')) as server:
        with pytest.raises(AuthRevoked, match=r"caldav\.username"):
            count_resources(dav, server.url)
        assert len(server.requests) == 2
        assert len({request.client_address for request in server.requests}) == 2


def test_unknown_log_in_scheme_is_an_error(dav: DavClient) -> None:
    answer = lambda request: request.reply(401, b"", WWW_Authenticate="Negotiate")  # noqa: E731
    with serve(answer) as server, pytest.raises(AuthRevoked, match="Basic or Digest"):
        count_resources(dav, server.url)


def test_log_in_is_not_taken_from_netrc_or_cookies(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client = DavClient(None, None, TIMEOUT)
    with serve(lambda request: request.reply(Set_Cookie="session=1")) as server:
        for _ in range(2):
            count_resources(client, server.url)
        assert not any({"Authorization", "Cookie"} & set(request.headers) for request in server.requests)
    client.close()


# --- size and time ----------------------------------------------------------------------------------------------------


def assert_fails(dav: DavClient, answer: Callable[[Request], None], error: type[ProviderError], message: str) -> None:
    """Assert that reading such an answer fails with that error, and that a write that gets it is uncertain."""
    with serve(answer) as server:
        with pytest.raises(error, match=message) as error_info:
            count_resources(dav, server.url)
        assert "\n" not in str(error_info.value)
        with pytest.raises(Unavailable, match=message) as error_info:
            dav.put(f"{server.url}a.ics", BODY, etag=None)
        assert error_info.value.uncertain


HEAD = b"HTTP/1.1 207 Multi-Status\r\nContent-Type: text/xml\r\n"


@pytest.mark.parametrize(
    ("start", "drop"),
    [
        (b"HTTP/1.1 207 Multi-Status\r\nX-Slow: ", b"a"),
        (HEAD + b"Content-Length: 100000\r\n\r\n", b"a"),
        (HEAD + b"Connection: close\r\n\r\n" + EMPTY_MULTISTATUS, b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\na\r\n"),
        (b"", b"\0"),
    ],
    ids=["headers", "length", "until closed", "chunks", "no http"],
)
def test_answer_that_arrives_too_slowly_is_cut_off(impatient_dav: DavClient, start: bytes, drop: bytes) -> None:
    """After `start`, the server sends one `drop` after another, each within the time-out, and the answer never ends."""
    started = time.monotonic()
    assert_fails(
        impatient_dav,
        lambda request: request.drip(start, drop),
        Unavailable,
        "complete its answer|connection to .* broke",
    )
    assert time.monotonic() - started < 50 * SHORT_TIMEOUT  # two requests take 6 time-outs; the rest is reserve


def test_answer_that_is_too_large_is_an_error(dav: DavClient) -> None:
    assert_fails(dav, lambda request: request.drip(HEAD + b"\r\n", b" " * 1_000_000), InvalidResponse, "more than")


def test_size_limit_counts_decompressed_bytes(dav: DavClient) -> None:
    bomb = gzip.compress(b" " * (MAX_ANSWER_BYTES + 1))
    assert len(bomb) < MAX_ANSWER_BYTES / 500  # far below the limit
    assert_fails(
        dav, lambda request: request.reply(content=bomb, Content_Encoding="gzip"), InvalidResponse, "more than"
    )


def test_compressed_answer_is_read(dav: DavClient) -> None:
    content = gzip.compress(EMPTY_MULTISTATUS)
    with serve(lambda request: request.reply(content=content, Content_Encoding="gzip")) as server:
        assert count_resources(dav, server.url) == 0


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate"])
def test_answer_in_an_encoding_that_was_not_requested_is_an_error(dav: DavClient, encoding: str) -> None:
    answer = lambda request: request.reply(content=gzip.compress(EMPTY_MULTISTATUS), Content_Encoding=encoding)  # noqa: E731
    with serve(answer) as server, pytest.raises(InvalidResponse, match="did not ask for"):
        count_resources(dav, server.url)


def test_broken_compressed_data_is_an_error(dav: DavClient) -> None:
    answer = lambda request: request.reply(content=b"no gzip", Content_Encoding="gzip")  # noqa: E731
    with serve(answer) as server, pytest.raises(InvalidResponse, match="broken compressed data"):
        count_resources(dav, server.url)


@pytest.mark.parametrize("depth", [10, 1000])
def test_xml_that_is_nested_too_deeply_is_an_error(depth: int) -> None:
    content = b"<a>" * depth + b"</a>" * depth
    if depth < 64:  # the limit of `read_xml`
        assert read_xml(content, "here").tag == "a"
    else:
        with pytest.raises(InvalidResponse, match="broken XML"):
            read_xml(content, "here")


@pytest.mark.parametrize(
    "content",
    [
        b'<!DOCTYPE x [<!ENTITY a "b">]><x>&a;</x>',
        b'<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><x>&a;</x>',
        b'<!DOCTYPE x SYSTEM "http://127.0.0.1:9/x.dtd"><x/>',
        b"<x>&unknown;</x>",
        b'<?xml version="1.0" encoding="no-such"?><x/>',
        b"<x>\xff</x>",
        b"<x/><y/>",
        b"",
    ],
)
def test_document_types_and_broken_xml_are_refused_in_one_line(content: bytes) -> None:
    with pytest.raises(InvalidResponse) as error_info:
        read_xml(content, "here")
    assert "\n" not in str(error_info.value)


# --- redirects --------------------------------------------------------------------------------------------------------


def make_redirect(get_location: Callable[[], str], status: int = 301) -> Callable[[Request], None]:
    """Return a server that redirects each path below /old to the location."""

    def answer(request: Request) -> None:
        if request.path.startswith("/old"):
            request.reply(status, b"", Location=get_location())
        elif request.command == "PUT":
            request.reply(201, b"", ETag='"1"')
        else:
            request.reply()

    return answer


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("location", ["/new/", "{url}new/"])
def test_redirect_within_the_host_is_followed(dav: DavClient, status: int, location: str) -> None:
    """The request is repeated with its method, its body and the log-in, because it is the same server."""
    server: Loopback
    with serve(make_redirect(lambda: location.format(url=server.url), status)) as server:
        assert count_resources(dav, f"{server.url}old/") == 0
        assert dav.put(f"{server.url}old/a.ics", BODY, etag=None) == '"1"'
        [first, second] = server.requests[2:]  # those of `put`, after the two of `count_resources`
        assert (first.path, second.path) == ("/old/a.ics", "/new/")
        assert (second.command, second.body.decode()) == ("PUT", BODY)
        assert second.headers["Authorization"] == first.headers["Authorization"]
        assert second.headers["If-None-Match"] == "*"


def test_redirect_to_another_host_is_refused(dav: DavClient) -> None:
    """The log-in is not sent to the other host."""
    with serve(lambda request: request.reply()) as other_host, serve(make_redirect(lambda: other_host.url)) as server:
        with pytest.raises(InvalidResponse, match=r"redirects to .*caldav\.url") as error_info:
            count_resources(dav, f"{server.url}old/")
        assert "\n" not in str(error_info.value)
        assert other_host.requests == []


@pytest.mark.parametrize(
    ("url", "location"),
    [
        ("https://dav.example.org/a/", "http://dav.example.org/a/"),
        ("https://dav.example.org/a/", "https://dav.example.com/a/"),
        ("https://dav.example.org/a/", "https://dav.example.org:8443/a/"),
        ("https://dav.example.org/a/", "//dav.example.com/a/"),
        ("https://dav.example.org/a/", "https://dav.example.org@dav.example.com/"),
        ("https://dav.example.org/a/", "file:///etc/passwd"),
        ("https://dav.example.org/a/", "https://[::1/"),
        ("https://dav.example.org/a/", "https://dav.example.org:port/"),
        ("https://dav.example.org/a/", ""),
    ],
)
def test_redirect_to_another_origin_or_out_of_tls_is_refused(url: str, location: str) -> None:
    with pytest.raises(InvalidResponse, match=r"caldav\.url"):
        resolve_redirect(url, location)


def test_redirect_into_tls_is_followed() -> None:
    assert resolve_redirect("http://dav.example.org/a", "https://dav.example.org/a") == "https://dav.example.org/a"


def test_endless_redirects_are_an_error(dav: DavClient) -> None:
    numbers = count()
    with serve(make_redirect(lambda: f"/old/{next(numbers)}")) as server:
        with pytest.raises(InvalidResponse, match="redirects too often"):
            count_resources(dav, f"{server.url}old/")
        assert len(server.requests) < 10


# --- names of resources ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("collection", "href", "name", "is_direct"),
    [
        ("team/", "/team/", "", True),
        ("team/", "{url}team/", "", True),
        ("team/", "/team/d%C3%A4na%40x/", "däna@x", True),
        ("team/", "{url}team/sam.ics", "sam.ics", True),
        ("team/", "sam.ics", "sam.ics", True),
        ("team/", "/proxied/team/sam.ics", "sam.ics", True),
        ("proxied/team/", "/team/sam.ics", "sam.ics", True),
        ("team/", "/team/sam/1.ics", "1.ics", False),
        ("team/", "/team/a%2Fb.ics", "a/b.ics", True),
        ("team/", "/team/team/", "team", True),  # a resource with the name of the collection
        ("team/", "/team/steam/", "steam", True),
        ("", "/", "", True),
        ("", "{url}", "", True),
        ("", "/sam.ics", "sam.ics", True),  # the collection is the root of the host
        ("", "{url}sam.ics", "sam.ics", True),
    ],
)
def test_resource_name_is_the_last_segment_of_its_url(
    dav: DavClient, collection: str, href: str, name: str, is_direct: bool
) -> None:
    """The name of the collection itself is empty. `is_direct`: whether the resource is directly in the collection."""

    def answer(request: Request) -> None:
        resolved_href = href.format(url=request.server.url)
        response = f"<D:response><D:href>{resolved_href}</D:href><D:status>HTTP/1.1 200 OK</D:status></D:response>"
        request.reply(content=f'<D:multistatus xmlns:D="DAV:">{response}</D:multistatus>'.encode())

    with serve(answer) as server:
        [entry] = dav.propfind(f"{server.url}{collection}", ["D:getetag"], depth=1).entries
    assert (entry.name, entry.is_direct) == (name, is_direct)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),  # an underscore in a name stands for a hyphen
    [
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "1.5"}, 1.5),
        ({"Retry_After": "9" * 30}, 86400),  # a day, the longest wait
        ({"Retry_After": "Mon, 01 Mar 2027 10:00:30 GMT", "Date": "Mon, 01 Mar 2027 10:00:00 GMT"}, 30),
        ({"Retry_After": "Mon, 01 Mar 2027 09:00:00 GMT", "Date": "Mon, 01 Mar 2027 10:00:00 GMT"}, 0),
        ({"Retry_After": "soon"}, None),
        ({}, None),
    ],
)
def test_retry_after_is_read_in_each_form(dav: DavClient, headers: dict[str, str], seconds: float | None) -> None:
    def answer(request: Request) -> None:
        request.send_response_only(429)
        for name, value in {"Content_Length": "0", **headers}.items():
            request.send_header(re.sub("_", "-", name), value)
        request.end_headers()

    with serve(answer) as server, pytest.raises(RateLimited) as error_info:
        count_resources(dav, server.url)
    assert error_info.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("text", ["a&b", "<a>", 'say "no"', "it's", """'"&<>"""])
def test_texts_and_attributes_are_escaped(text: str) -> None:
    body = make_document("D:prop", make_element("C:prop", make_text_element("D:href", text), name=text))
    [element] = read_xml(body.encode(), "")
    assert element.attrib == {"name": text}
    assert [child.text for child in element] == [text]
