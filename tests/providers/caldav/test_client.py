"""WebDAV's transport: nobody is refused for sharing it, and no server holds it up, floods it or leads it elsewhere."""

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

USER, PASSWORD = "lóngarc", "pässword: ✓"
TIMEOUT, SHORT = 10, 0.3
BODY = "BEGIN:VCALENDAR\r\nEND:VCALENDAR\r\n"


def look(dav: DavClient, url: str) -> int:
    """How many resources a server lists."""
    return len(dav.propfind(url, ["D:getetag"], depth=1).entries)


@pytest.fixture
def dav() -> Iterator[DavClient]:
    client = DavClient(USER, PASSWORD, TIMEOUT)
    yield client
    client.close()


@pytest.fixture
def hasty() -> Iterator[DavClient]:
    """One that waits for nobody."""
    client = DavClient(USER, PASSWORD, SHORT)
    yield client
    client.close()


def at_once(work: Callable[[int], object], times: int = 60, threads: int = 4) -> list[object]:
    """What comes of doing it so often in so many threads; an error is its outcome, too."""

    def attempt(number: int) -> object:
        try:
            return work(number)
        except ProviderError as error:
            return error

    with ThreadPoolExecutor(threads) as pool:
        return list(pool.map(attempt, range(times)))


# --- log-in -----------------------------------------------------------------------------------------------------------


def test_four_threads_on_one_client_are_never_refused(tmp_path: Path) -> None:
    """Sixty requests to a server with a log-in: each is answered at once, without a 401 on the way."""
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

        assert at_once(is_known) == [True] * 60
        calendar.close()
    assert len(interceptor.methods) == 60


class DigestServer:
    """Wants Digest (RFC 7616), and is strict: a nonce that it gave, a count that grows, the right hash."""

    def __init__(self, lifetime: int = 10**9) -> None:
        """A nonce is stale after `lifetime` requests."""
        self.refusals: Counter[str] = Counter()
        self._lifetime = lifetime
        self._lock = Lock()
        self._numbers = count(1)
        self._counts: dict[str, int] = {}

    def __call__(self, request: Request) -> None:
        with self._lock:
            refusal = self._refusal(request)
        if not refusal:
            request.reply()
            return
        self.refusals[refusal] += 1
        with self._lock:
            nonce = f"nonce{next(self._numbers)}"
            self._counts[nonce] = 0
        stale = ", stale=true" if refusal == "stale" else ""
        challenge = f'Digest realm="calendars", qop="auth", algorithm=MD5, nonce="{nonce}"{stale}'
        request.reply(401, b"", WWW_Authenticate=challenge)

    def _refusal(self, request: Request) -> str:
        scheme, _, parameters = request.headers.get("Authorization", "").partition(" ")
        if scheme != "Digest":
            return "no digest"
        said = parse_keqv_list(parse_http_list(parameters))
        number = int(said["nc"], 16)
        if said["nonce"] not in self._counts or number != self._counts[said["nonce"]] + 1:
            return "replay"
        self._counts[said["nonce"]] = number
        if number > self._lifetime:
            return "stale"
        right = _hash(
            _hash(USER, "calendars", PASSWORD),
            said["nonce"],
            said["nc"],
            said["cnonce"],
            "auth",
            _hash(str(request.command), request.path),
        )
        return "" if said["response"] == right else "wrong"


def _hash(*parts: str) -> str:
    return md5(":".join(parts).encode(), usedforsecurity=False).hexdigest()


def test_digest_is_settled_for_each_thread(dav: DavClient) -> None:
    """A server that wants Digest refuses nobody, and is asked for a nonce once by each thread."""
    wants = DigestServer()
    with serve(wants) as server:
        assert at_once(lambda _: look(dav, server.url)) == [0] * 60
    assert set(wants.refusals) == {"no digest"} and wants.refusals.total() <= 4


def test_a_digest_that_grew_stale_is_renewed(dav: DavClient) -> None:
    wants = DigestServer(lifetime=3)
    with serve(wants) as server:
        assert [look(dav, server.url) for _ in range(20)] == [0] * 20
    assert wants.refusals["stale"] > 3 and set(wants.refusals) == {"no digest", "stale"}


def test_a_wrong_password_is_refused_under_digest_too() -> None:
    wants = DigestServer()
    client = DavClient(USER, "guessed", TIMEOUT)
    with serve(wants) as server, pytest.raises(AuthRevoked, match=r"caldav\.username"):
        look(client, server.url)
    client.close()


def test_a_401_counts_only_when_a_fresh_connection_is_refused_too(dav: DavClient) -> None:
    """What goes wrong with one connection suspends nobody."""

    def answer(request: Request) -> None:
        if request.client_address == server.requests[0].client_address:
            request.reply(401, b"", WWW_Authenticate='Basic realm="x"')
        else:
            request.reply()

    with serve(answer) as server:
        assert look(dav, server.url) == 0
        assert len(server.requests) == 2


def test_a_log_in_that_is_refused_twice_is_refused(dav: DavClient) -> None:
    with serve(lambda request: request.reply(401, b"", WWW_Authenticate='Basic realm="x"')) as server:
        with pytest.raises(AuthRevoked, match=r"caldav\.username"):
            look(dav, server.url)
        assert len(server.requests) == 2
        assert len({request.client_address for request in server.requests}) == 2


def test_a_way_to_log_in_that_we_do_not_know_is_named(dav: DavClient) -> None:
    answer = lambda request: request.reply(401, b"", WWW_Authenticate="Negotiate")  # noqa: E731
    with serve(answer) as server, pytest.raises(AuthRevoked, match="Basic or Digest"):
        look(dav, server.url)


def test_no_log_in_is_taken_from_elsewhere(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    netrc = tmp_path / "netrc"
    netrc.write_text("default login somebody password secret\n")
    netrc.chmod(0o600)
    monkeypatch.setenv("NETRC", str(netrc))
    client = DavClient(None, None, TIMEOUT)
    with serve(lambda request: request.reply(Set_Cookie="session=1")) as server:
        for _ in range(2):
            look(client, server.url)
        assert not any({"Authorization", "Cookie"} & set(request.headers) for request in server.requests)
    client.close()


# --- size and time ----------------------------------------------------------------------------------------------------


def bounded(dav: DavClient, answer: Callable[[Request], None], error: type[ProviderError], words: str) -> None:
    """Such an answer ends in that error; and a write that got it is in doubt."""
    with serve(answer) as server:
        with pytest.raises(error, match=words) as caught:
            look(dav, server.url)
        assert "\n" not in str(caught.value)
        with pytest.raises(Unavailable, match=words) as uncertain:
            dav.put(f"{server.url}a.ics", BODY, etag=None)
        assert uncertain.value.uncertain


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
def test_an_answer_that_drips_ends_at_the_total_time(hasty: DavClient, start: bytes, drop: bytes) -> None:
    """Each byte comes in time, the whole never."""
    started = time.monotonic()
    bounded(hasty, lambda request: request.drip(start, drop), Unavailable, "complete its answer|connection to .* broke")
    assert time.monotonic() - started < 50 * SHORT


def test_an_answer_that_is_too_large_is_not_taken_whole(dav: DavClient) -> None:
    bounded(dav, lambda request: request.drip(HEAD + b"\r\n", b" " * 1_000_000), InvalidResponse, "more than")


def test_a_compressed_answer_is_bounded_by_what_it_becomes(dav: DavClient) -> None:
    bomb = gzip.compress(b" " * (MAX_ANSWER_BYTES + 1))
    assert len(bomb) < MAX_ANSWER_BYTES / 500
    bounded(dav, lambda request: request.reply(content=bomb, Content_Encoding="gzip"), InvalidResponse, "more than")


def test_what_is_compressed_is_read(dav: DavClient) -> None:
    content = gzip.compress(EMPTY_MULTISTATUS)
    with serve(lambda request: request.reply(content=content, Content_Encoding="gzip")) as server:
        assert look(dav, server.url) == 0


@pytest.mark.parametrize("encoding", ["br", "gzip, gzip", "deflate"])
def test_a_compression_that_was_not_asked_for_is_refused(dav: DavClient, encoding: str) -> None:
    answer = lambda request: request.reply(content=gzip.compress(EMPTY_MULTISTATUS), Content_Encoding=encoding)  # noqa: E731
    with serve(answer) as server, pytest.raises(InvalidResponse, match="did not ask for"):
        look(dav, server.url)


def test_a_broken_compression_is_one_clear_line(dav: DavClient) -> None:
    answer = lambda request: request.reply(content=b"no gzip", Content_Encoding="gzip")  # noqa: E731
    with serve(answer) as server, pytest.raises(InvalidResponse, match="broken compressed data"):
        look(dav, server.url)


@pytest.mark.parametrize("depth", [10, 1000])
def test_xml_is_read_as_deep_as_calendars_go(depth: int) -> None:
    content = b"<a>" * depth + b"</a>" * depth
    if depth < 64:
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
def test_document_types_and_broken_xml_are_refused(content: bytes) -> None:
    with pytest.raises(InvalidResponse) as caught:
        read_xml(content, "here")
    assert "\n" not in str(caught.value)


# --- redirects --------------------------------------------------------------------------------------------------------


def redirect(to: Callable[[], str], status: int = 301) -> Callable[[Request], None]:
    def answer(request: Request) -> None:
        if request.path.startswith("/old"):
            request.reply(status, b"", Location=to())
        elif request.command == "PUT":
            request.reply(201, b"", ETag='"1"')
        else:
            request.reply()

    return answer


@pytest.mark.parametrize("status", [301, 302, 307, 308])
@pytest.mark.parametrize("to", ["/new/", "{url}new/"])
def test_a_redirect_within_the_host_is_followed(dav: DavClient, status: int, to: str) -> None:
    """With its method, its body and the log-in: it is the same server."""
    server: Loopback
    with serve(redirect(lambda: to.format(url=server.url), status)) as server:
        assert look(dav, f"{server.url}old/") == 0
        assert dav.put(f"{server.url}old/a.ics", BODY, etag=None) == '"1"'
        [first, second] = server.requests[2:]
        assert (first.path, second.path) == ("/old/a.ics", "/new/")
        assert (second.command, second.body.decode()) == ("PUT", BODY)
        assert second.headers["Authorization"] == first.headers["Authorization"]
        assert second.headers["If-None-Match"] == "*"


def test_a_redirect_to_another_host_is_refused(dav: DavClient) -> None:
    """And whoever stands there learns no log-in."""
    with serve(lambda request: request.reply()) as other, serve(redirect(lambda: other.url)) as server:
        with pytest.raises(InvalidResponse, match=r"redirects to .*caldav\.url") as caught:
            look(dav, f"{server.url}old/")
        assert "\n" not in str(caught.value)
        assert other.requests == []


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
def test_a_redirect_that_leads_away_or_out_of_tls_is_refused(url: str, location: str) -> None:
    with pytest.raises(InvalidResponse, match=r"caldav\.url"):
        resolve_redirect(url, location)


def test_a_redirect_into_tls_is_followed() -> None:
    assert resolve_redirect("http://dav.example.org/a", "https://dav.example.org/a") == "https://dav.example.org/a"


def test_redirects_without_end_end(dav: DavClient) -> None:
    numbers = count()
    with serve(redirect(lambda: f"/old/{next(numbers)}")) as server:
        with pytest.raises(InvalidResponse, match="redirects too often"):
            look(dav, f"{server.url}old/")
        assert len(server.requests) < 10


# --- where a resource is ----------------------------------------------------------------------------------------------


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
        ("team/", "/team/team/", "team", True),  # somebody is called like the collection
        ("team/", "/team/steam/", "steam", True),
        ("", "/", "", True),
        ("", "{url}", "", True),
        ("", "/sam.ics", "sam.ics", True),  # the collection is the whole host
        ("", "{url}sam.ics", "sam.ics", True),
    ],
)
def test_a_resource_is_known_by_its_place_in_the_collection(
    dav: DavClient, collection: str, href: str, name: str, is_direct: bool
) -> None:
    def answer(request: Request) -> None:
        place = href.format(url=request.server.url)
        response = f"<D:response><D:href>{place}</D:href><D:status>HTTP/1.1 200 OK</D:status></D:response>"
        request.reply(content=f'<D:multistatus xmlns:D="DAV:">{response}</D:multistatus>'.encode())

    with serve(answer) as server:
        [entry] = dav.propfind(f"{server.url}{collection}", ["D:getetag"], depth=1).entries
    assert (entry.name, entry.is_direct) == (name, is_direct)


# --- refusals ---------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry_After": "7"}, 7),
        ({"Retry_After": "1.5"}, 1.5),
        ({"Retry_After": "9" * 30}, 86400),
        ({"Retry_After": "Mon, 01 Mar 2027 10:00:30 GMT", "Date": "Mon, 01 Mar 2027 10:00:00 GMT"}, 30),
        ({"Retry_After": "Mon, 01 Mar 2027 09:00:00 GMT", "Date": "Mon, 01 Mar 2027 10:00:00 GMT"}, 0),
        ({"Retry_After": "soon"}, None),
        ({}, None),
    ],
)
def test_how_long_to_wait_is_understood(dav: DavClient, headers: dict[str, str], seconds: float | None) -> None:
    def answer(request: Request) -> None:
        request.send_response_only(429)
        for name, value in {"Content_Length": "0", **headers}.items():
            request.send_header(re.sub("_", "-", name), value)
        request.end_headers()

    with serve(answer) as server, pytest.raises(RateLimited) as caught:
        look(dav, server.url)
    assert caught.value.retry_after == (None if seconds is None else timedelta(seconds=seconds))


@pytest.mark.parametrize("text", ["a&b", "<a>", 'say "no"', "it's", """'"&<>"""])
def test_texts_and_attributes_are_escaped(text: str) -> None:
    body = make_document("D:prop", make_element("C:prop", make_text_element("D:href", text), name=text))
    [element] = read_xml(body.encode(), "")
    assert element.attrib == {"name": text}
    assert [child.text for child in element] == [text]
