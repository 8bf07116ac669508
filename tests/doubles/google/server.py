"""The HTTP server of the double: the three APIs, the batch endpoint, the token endpoint and the consent page."""

import json
import re
import socket
import time
from collections.abc import Mapping
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
from tests.doubles.google.faults import BrokenConnection
from tests.doubles.google.gmail import Gmail
from tests.doubles.google.quota import Quota
from tests.doubles.google.schema import Call, Refusal, find_method, parse_call, parse_mask, select_fields
from tests.doubles.google.tokens import TokenRefusal, Tokens
from tests.doubles.google.users import Users
from worker.clock import Clock, utcnow

_HOST = "127.0.0.1"


@dataclass(slots=True)
class RecordedRequest:
    """A request to one of the APIs, as tests and benchmarks count it."""

    method: str
    who: str
    call: Call | None = None  #: None when the request was refused before it was parsed
    in_batch: bool = False


@dataclass(slots=True)
class Answer:
    """An HTTP answer. A body that is not bytes is sent as JSON."""

    status: int
    body: Any = None
    headers: Mapping[str, str] | None = None

    @property
    def content(self) -> bytes:
        if self.body is None:
            return b""
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


class Google:
    """The double of Google. It runs inside a `with`. Port 0 takes any free port; each answer takes `delay` seconds."""

    def __init__(self, port: int = 0, *, clock: Clock = utcnow, delay: float = 0.0) -> None:
        self._server = _Server((_HOST, port), self._make_handler())
        self.url = f"http://{_HOST}:{self._server.server_address[1]}"
        self.calendars = Calendars(clock)
        self.quota = Quota(clock)
        self.crashes: list[str] = []  #: tracebacks of errors of the double itself
        self.gmail = Gmail()
        self.users = Users(clock)
        self.tokens = Tokens(f"{self.url}/token", clock, self._is_active)
        self.faults = self.calendars.channels.faults  # one plan for requests and notifications
        self.requests: list[RecordedRequest] = []
        self.batches = 0  #: the number of batches received
        self.delay = delay
        #: Held while a request is carried out. Tests that change calendars at the same time take it.
        self.lock = RLock()
        self._thread = Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.05}, name="google")

    @property
    def calendar_section(self) -> dict[str, Any]:
        """The section `[calendars.google]` of the settings."""
        return {
            "endpoint": f"{self.url}/calendar/v3/",
            "token_endpoint": f"{self.url}/token",
            "auth_endpoint": f"{self.url}/o/oauth2/v2/auth",
            "timeout": 10.0,
        }

    @property
    def mail_section(self) -> dict[str, Any]:
        """The section `[mailers.google]` of the settings."""
        return {**self.calendar_section, "endpoint": f"{self.url}/"}

    @property
    def directory_section(self) -> dict[str, Any]:
        """The section `[roster.google]` of the settings."""
        return {**self.calendar_section, "endpoint": f"{self.url}/"}

    def _is_active(self, email: str) -> bool:
        return self.calendars.is_active(email) or self.users.is_active(email)

    def __enter__(self) -> "Google":
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()
        self.calendars.channels.close()

    def wait(self) -> None:
        """Wait until the server stops."""
        self._thread.join()

    # --- answering --------------------------------------------------------------------------------------------------

    def answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """The answer to any HTTP request. Raises BrokenConnection."""
        try:
            return self._answer(verb, target, headers, body)
        except TokenRefusal as refusal:
            return Answer(refusal.status, refusal.body)
        except Refusal as refusal:
            return make_error_answer(refusal)
        except BrokenConnection:
            raise
        except Exception:
            self.crashes.append(format_exc())
            return make_error_answer(Refusal(500, "backendError", "Backend Error"))

    def _answer(self, verb: str, target: str, headers: Mapping[str, str], body: bytes) -> Answer:
        """Raises BrokenConnection, Refusal, TokenRefusal."""
        try:
            parts = urlsplit(target)
            query = parse_qs(parts.query, keep_blank_values=True, errors="strict")
        except ValueError:
            raise Refusal(400, "badRequest", "Bad Request") from None
        if parts.path == "/token" and verb == "POST":
            self.faults.raise_due("token", "", after=False)
            form = {name: one[0] for name, one in parse_qs(body.decode(errors="replace")).items()}
            return Answer(200, self.tokens.exchange(form))
        if parts.path == "/o/oauth2/v2/auth" and verb == "GET":
            location = self.tokens.consent({name: one[0] for name, one in query.items()})
            return Answer(302, b"", {"Location": location})
        if parts.path.startswith("/batch/") and verb == "POST":
            return self._batch(parts.path, headers, body)
        if verb == "POST" and headers.get("x-http-method-override") == "GET":  # a GET whose query is too long for a URL
            query, verb, body = parse_qs(body.decode(errors="replace"), keep_blank_values=True), "GET", b""
        return self._call_api(verb, parts.path, query, headers, body, in_batch=False)

    def _call_api(
        self,
        verb: str,
        path: str,
        query: Mapping[str, list[str]],
        headers: Mapping[str, str],
        body: bytes,
        *,
        in_batch: bool,
    ) -> Answer:
        """Check and carry out one request to an API. Raises Refusal, BrokenConnection."""
        method, _, api = find_method(verb, path)
        grant = self.tokens.find_grant(headers.get("authorization", ""))
        who = grant.who if grant else ""
        recorded = RecordedRequest(method["id"], who, in_batch=in_batch)
        self.requests.append(recorded)
        if grant is None:
            raise Refusal(401, "authError", "Invalid Credentials", location=("header", "Authorization"))
        if api == "calendar.v3":
            user = (query.get("quotaUser") or [headers.get("x-goog-quota-user", "")])[0]
            with self.lock:
                self.quota.charge(grant.account or grant.who, user)
        call = parse_call(verb, path, query, body, headers, grant.scopes)
        recorded.call = call
        self.faults.raise_due(call.method, who, after=False)
        with self.lock:
            if call.method.startswith("gmail."):
                result: Any = self.gmail.answer(who, call)
            elif call.method.startswith("directory."):
                result = self.users.answer(who, call, service_account=grant.service_account)
            else:
                result = self.calendars.answer(who, call, service_account=grant.service_account)
            shown = select_fields(result, parse_mask(call.fields)) if call.fields and result is not None else result
        if call.method == "calendar.events.watch":
            self.calendars.channels.await_sync(call.body["id"])
        self.faults.raise_due(call.method, who, after=True)
        etag = result.get("etag") if isinstance(result, dict) else None
        return Answer(204 if shown is None else 200, shown, {"ETag": etag} if etag else None)

    def _batch(self, path: str, headers: Mapping[str, str], body: bytes) -> Answer:
        if not re.fullmatch(r"/batch/(calendar/v3|gmail/v1)", path):
            raise Refusal(404, "notFound", "Not Found")
        whole = f"Content-Type: {headers.get('content-type', '')}\r\n\r\n".encode() + body
        parts = BytesParser().parsebytes(whole).get_payload()
        if not isinstance(parts, list) or len(parts) > 50:
            raise Refusal(400, "badRequest", "The batch is malformed, or holds more than 50 requests.")
        self.batches += 1
        answers = [self._answer_part(part) for part in parts]  # type: ignore[arg-type]
        boundary = "batch_answers"
        sections = [f"--{boundary}\r\n{one}\r\n" for one in answers]
        content = f"{''.join(sections)}--{boundary}--\r\n".encode()
        return Answer(200, content, {"Content-Type": f"multipart/mixed; boundary={boundary}"})

    def _answer_part(self, part: "Message[str, str]") -> str:
        """The part of the answer to a batch that answers this part of it."""
        try:
            answer = self._call_from_text(str(part.get_payload()))
        except Refusal as refusal:
            answer = make_error_answer(refusal)
        content_id = str(part["Content-ID"]).replace("<", "<response-", 1)
        headers = {"Content-Type": "application/json; charset=UTF-8", **(answer.headers or {})}
        header_lines = "".join(f"{key}: {value}\r\n" for key, value in headers.items())
        head = f"Content-Type: application/http\r\nContent-ID: {content_id}\r\n\r\n"
        return f"{head}HTTP/1.1 {answer.status} Answer\r\n{header_lines}\r\n{answer.content.decode()}"

    def _call_from_text(self, text: str) -> Answer:
        """The answer to a request in the text of one part of a batch. Raises Refusal, BrokenConnection."""
        first, _, rest = text.partition("\n")
        inner = Parser().parsestr(rest)
        headers = {name.lower(): value for name, value in inner.items()}
        try:
            verb, target, *_ = first.split()
            url = urlsplit(target)
        except ValueError:
            raise Refusal(400, "badRequest", "Failed to parse batch request") from None
        query = parse_qs(url.query, keep_blank_values=True)
        return self._call_api(verb, url.path, query, headers, str(inner.get_payload()).encode(), in_batch=True)

    # --- HTTP -------------------------------------------------------------------------------------------------------

    def _make_handler(self) -> type[BaseHTTPRequestHandler]:
        return type("BoundHandler", (RequestHandler,), {"google": self})


def make_error_answer(refusal: Refusal) -> Answer:
    """The HTTP answer of a refusal."""
    return Answer(refusal.status, refusal.body, refusal.headers)


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = False
    request_queue_size = 64

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print errors, but for broken connections, which tests cause on purpose."""
        import sys

        if not isinstance(sys.exc_info()[1], ConnectionError | TimeoutError):
            super().handle_error(request, client_address)


class RequestHandler(BaseHTTPRequestHandler):
    """Handles one connection."""

    google: "Google"

    protocol_version = "HTTP/1.1"
    wbufsize = -1
    disable_nagle_algorithm = True

    def _handle(self) -> None:
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
        except BrokenConnection as broken:
            self._break(broken.how)
            return
        self._send(answer.status, answer.content, answer.headers or {})

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = _handle  # noqa: N815  # the library's names
    do_HEAD = do_OPTIONS = do_TRACE = _handle  # noqa: N815

    def send_error(self, code: int, message: str | None = None, explain: str | None = None) -> None:
        """Answer in JSON also what can't be parsed as an HTTP request."""
        self.close_connection = True
        reason = message or {411: "Length Required"}.get(code, "Bad Request")
        answer = make_error_answer(Refusal(int(code), "badRequest", reason))
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
        """Misbehave in the given way, which is a reason of `Fault`."""
        self.close_connection = True
        if how == "html":
            self._send(
                200,
                b"<html>A proxy says good morning.</html>",
                {"Content-Type": "text/html", "Connection": "close"},
            )
        elif how == "cut":
            self._send(200, b'{"items": [{"id": "hal', {}, length=4000)
        elif how == "hang":  # until the client gives up
            self.connection.settimeout(30)
            with suppress(OSError):
                self.connection.recv(1)
        else:
            # `reset`: with a linger time of 0, closing the socket sends RST.
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")

    def log_message(self, *_: object) -> None:
        """Log nothing."""
