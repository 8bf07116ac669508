"""Google on loopback: the three APIs, the batch endpoint, the token endpoint and the consent page, over HTTP."""

import json
import re
import socket
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from email.message import Message
from email.parser import BytesParser, Parser
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import RLock, Thread
from traceback import format_exc
from typing import Any
from urllib.parse import parse_qs, urlsplit

from tests.doubles.google.calendars import Calendars
from tests.doubles.google.faults import Broken
from tests.doubles.google.gmail import Post
from tests.doubles.google.quota import Quota
from tests.doubles.google.schema import Call, Refusal, checked, mask, recognize, selected
from tests.doubles.google.tokens import TokenRefusal, Tokens
from tests.doubles.google.users import Users
from worker.clock import Clock, utcnow

_HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it was made, for whoever counts."""

    method: str
    who: str
    call: Call | None = None
    inside: bool = False  #: it travelled in a batch


@dataclass(slots=True)
class Answer:
    """What goes back."""

    status: int
    body: Any = None
    headers: Mapping[str, str] | None = None

    @property
    def content(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Google:
    """The double, from `with` to its end. A port of 0 takes any free one. `delay` seconds pass before each answer."""

    def __init__(self, port: int = 0, *, clock: Clock = utcnow, delay: float = 0.0) -> None:
        self._server = _Server((_HOST, port), self._visit())
        self.url = f"http://{_HOST}:{self._server.server_address[1]}"
        self.calendars = Calendars(clock)
        self.quota = Quota(clock)
        self.crashes: list[str] = []  #: what the double itself could not handle
        self.post = Post()
        self.users = Users(clock)
        self.tokens = Tokens(f"{self.url}/token", clock, self._is_active)
        self.plan = self.calendars.channels.plan
        self.asked: list[Asked] = []
        self.batches = 0
        self.delay = delay
        self.lock = RLock()  #: held while somebody asks, and by people whose hands change calendars meanwhile
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="google")

    @property
    def section(self) -> dict[str, Any]:
        """What the settings of a calendar on this double say."""
        return {
            "endpoint": f"{self.url}/calendar/v3/",
            "token_endpoint": f"{self.url}/token",
            "auth_endpoint": f"{self.url}/o/oauth2/v2/auth",
            "timeout": 10.0,
        }

    @property
    def mail_section(self) -> dict[str, Any]:
        """What the settings of a mailer on this double say."""
        return {**self.section, "endpoint": f"{self.url}/"}

    @property
    def directory_section(self) -> dict[str, Any]:
        """What the settings of the roster on this double say."""
        return {**self.section, "endpoint": f"{self.url}/"}

    def _is_active(self, email: str) -> bool:
        return self.calendars.active(email) or self.users.is_active(email)

    def __enter__(self) -> "Google":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.calendars.channels.close()

    def wait(self) -> None:
        """Until somebody stops it."""
        self._thread.join()

    # --- answering --------------------------------------------------------------------------------------------------

    def answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """What goes back, whatever came. Raises Broken."""
        try:
            return self._answer(verb, target, headers, body)
        except TokenRefusal as refusal:
            return Answer(refusal.status, refusal.body)
        except Refusal as refusal:
            return refused(refusal)
        except Broken:
            raise
        except Exception:
            self.crashes.append(format_exc())
            return refused(Refusal(500, "backendError", "Backend Error"))

    def _answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raises Broken, Refusal, TokenRefusal."""
        try:
            parts = urlsplit(target)
            query = parse_qs(parts.query, keep_blank_values=True, errors="strict")
        except ValueError:
            raise Refusal(400, "badRequest", "Bad Request") from None
        if parts.path == "/token" and verb == "POST":
            self.plan.strike("token", "", after=False)
            form = {name: one[0] for name, one in parse_qs(body.decode(errors="replace")).items()}
            return Answer(200, self.tokens.exchange(form))
        if parts.path == "/o/oauth2/v2/auth" and verb == "GET":
            where = self.tokens.page({name: one[0] for name, one in query.items()})
            return Answer(302, b"", {"Location": where})
        if parts.path.startswith("/batch/") and verb == "POST":
            return self._batch(parts.path, headers, body)
        if verb == "POST" and headers.get("x-http-method-override") == "GET":  # a question too long for an address
            query, verb, body = parse_qs(body.decode(errors="replace"), keep_blank_values=True), "GET", b""
        return self._one(verb, parts.path, query, headers, body, inside=False)

    def _one(
        self,
        verb: str,
        path: str,
        query: Mapping[str, list[str]],
        headers: Mapping[str, str],
        body: bytes,
        *,
        inside: bool,
    ) -> Answer:
        """One request to an API. Raises Refusal, Broken."""
        method, _, api = recognize(verb, path)
        grant = self.tokens.holder(headers.get("authorization", ""))
        who = grant.who if grant else ""
        self.asked.append(Asked(method["id"], who, inside=inside))
        if grant is None:
            raise Refusal(401, "authError", "Invalid Credentials", location=("header", "Authorization"))
        if api == "calendar.v3":
            user = (query.get("quotaUser") or [headers.get("x-goog-quota-user", "")])[0]
            with self.lock:
                self.quota.charge(grant.account or grant.who, user)
        call = checked(verb, path, query, body, headers, grant.scopes)
        self.asked[-1] = Asked(call.method, who, call, inside)
        self.plan.strike(call.method, who, after=False)
        with self.lock:
            if call.method.startswith("gmail."):
                told: Any = self.post.do(who, call)
            elif call.method.startswith("directory."):
                told = self.users.do(who, call, service_account=grant.service_account)
            else:
                told = self.calendars.do(who, call, service_account=grant.service_account)
            shown = selected(told, mask(call.fields)) if call.fields and told is not None else told
        if call.method == "calendar.events.watch":
            self.calendars.channels.await_sync(call.body["id"])
        self.plan.strike(call.method, who, after=True)
        etag = told.get("etag") if isinstance(told, dict) else None
        return Answer(204 if shown is None else 200, shown, {"ETag": etag} if etag else None)

    def _batch(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if not re.fullmatch(r"/batch/(calendar/v3|gmail/v1)", path):
            raise Refusal(404, "notFound", "Not Found")
        whole = f"Content-Type: {headers.get('content-type', '')}\r\n\r\n".encode() + body
        parts = BytesParser().parsebytes(whole).get_payload()
        if not isinstance(parts, list) or len(parts) > 50:
            raise Refusal(400, "badRequest", "The batch is malformed, or holds more than 50 requests.")
        self.batches += 1
        answers = [self._inner(part) for part in parts]  # type: ignore[arg-type]
        boundary = "batch_answers"
        lines = [f"--{boundary}\r\n{one}\r\n" for one in answers]
        content = f"{''.join(lines)}--{boundary}--\r\n".encode()
        return Answer(200, content, {"Content-Type": f"multipart/mixed; boundary={boundary}"})

    def _inner(self, part: "Message[str, str]") -> str:
        try:
            answer = self._inside(str(part.get_payload()))
        except Refusal as refusal:
            answer = refused(refusal)
        name = str(part["Content-ID"]).replace("<", "<response-", 1)
        told = {"Content-Type": "application/json; charset=UTF-8", **(answer.headers or {})}
        listed = "".join(f"{key}: {value}\r\n" for key, value in told.items())
        head = f"Content-Type: application/http\r\nContent-ID: {name}\r\n\r\n"
        return f"{head}HTTP/1.1 {answer.status} Said\r\n{listed}\r\n{answer.content.decode()}"

    def _inside(self, text: str) -> Answer:
        """What the request in one part of a batch is answered. Raises Refusal, Broken."""
        first, _, rest = text.partition("\n")
        inner = Parser().parsestr(rest)
        headers = {name.lower(): value for name, value in inner.items()}
        try:
            verb, target, *_ = first.split()
            url = urlsplit(target)
        except ValueError:
            raise Refusal(400, "badRequest", "Failed to parse batch request") from None
        query = parse_qs(url.query, keep_blank_values=True)
        return self._one(verb, url.path, query, headers, str(inner.get_payload()).encode(), inside=True)

    # --- HTTP -------------------------------------------------------------------------------------------------------

    def _visit(self) -> type[BaseHTTPRequestHandler]:
        return type("Visit", (Visit,), {"google": self})


def refused(refusal: Refusal) -> Answer:
    """The answer that an error is."""
    return Answer(refusal.status, refusal.body, refusal.headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Whoever breaks a connection is a test; anything else is to be seen."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


Deliver = Callable[[str, bytes], None]


class Visit(BaseHTTPRequestHandler):
    """One connection."""

    google: "Google"

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def _do(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        length = headers.get("content-length", "0")
        if "transfer-encoding" in headers or not length.isdecimal():
            self.send_error(411)
            return
        body = self.rfile.read(int(length))
        if self.google.delay:
            time.sleep(self.google.delay)
        try:
            answer = self.google.answer(self.command, self.path, headers, body)
        except Broken as broken:
            self._break(broken.how)
            return
        self._send(answer.status, answer.content, answer.headers or {})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _do  # noqa: N815  # the library's names
    do_HEAD = do_OPTIONS = do_TRACE = _do  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """What can't be read as a request is answered as everything else is."""
        self.close_connection = True
        reason = message or {411: "Length Required"}.get(code, "Bad Request")
        answer = refused(Refusal(int(code), "badRequest", reason))
        self._send(answer.status, answer.content, {"Connection": "close"})

    def _send(self, status: int, content: bytes, headers: Mapping[str, str], length: int | None = None) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json; charset=UTF-8", **headers}.items():
            self.send_header(name, value)
        if status not in (204, 304):
            self.send_header("Content-Length", str(len(content) if length is None else length))
        self.end_headers()
        if self.command != "HEAD" and status not in (204, 304):
            self.wfile.write(content)
        self.wfile.flush()

    def _break(self, how: str) -> None:
        self.close_connection = True
        if how == "html":
            self._send(
                200,
                b"<html>A proxy says good morning.</html>",
                {"Content-Type": "text/html", "Connection": "close"},
            )
        elif how == "cut":
            self._send(200, b'{"items": [{"id": "hal', {}, length=4000)
        elif how == "hang":  # until whoever asks gives up
            self.connection.settimeout(30)
            with suppress(OSError):
                self.connection.recv(1)
        else:
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def log_message(self, *_: object) -> None:
        """Quiet."""
