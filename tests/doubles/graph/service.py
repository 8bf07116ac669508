"""The service whole: who may ask what, how much at a time, what is made to go wrong; and the two servers in front."""

import json
import re
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import unquote, urlsplit

from tests.doubles.graph import login, schema
from tests.doubles.graph.calendars import Answer, Calendars, Request
from tests.doubles.graph.login import Login
from tests.doubles.graph.mail import Mails
from tests.doubles.graph.odata import Prefers
from tests.doubles.graph.query import parsed
from tests.doubles.graph.state import Json, Refusal, World

AT_ONCE = 4
_CALENDARS = ("Calendars.ReadWrite",)
_FREE_BUSY = ("Calendars.ReadWrite", "Calendars.Read", "Calendars.ReadBasic")
_ACTIONS = ("cancel", "accept", "decline", "tentativelyAccept")


@dataclass
class Fault:
    """Something that goes wrong, so many times: before the request is performed, or after it."""

    method: str
    path: str  #: a pattern found in the path
    status: int = 503
    code: str = "UnknownError"
    message: str = ""
    times: int = 1
    after: bool = False
    headers: tuple[tuple[str, str], ...] = ()
    cut: bool = False  #: the answer breaks off in its middle
    body: bytes | None = None

    def fits(self, method: str, path: str) -> bool:
        return self.times > 0 and re.search(self.method, method) is not None and re.search(self.path, path) is not None


class Broken(Exception):
    """Answer with this, whatever came of the request."""

    def __init__(self, fault: Fault) -> None:
        super().__init__()
        self.fault = fault


class Double:
    """Microsoft Graph and its log-in service on this machine, from `with` to its end."""

    def __init__(self, port: int = 0, *, delay: float = 0.0) -> None:
        self.world = World()
        self.schema = schema.Schema()
        self.login = Login()
        self.delay = delay
        self.faults: list[Fault] = []
        self.blocked: set[str] = set()  #: mailboxes that the access policy keeps the app out of
        self.on_premises: set[str] = set()
        self.blind: set[str] = set()  #: who can't be asked for free/busy
        self.batch_answer = b""  #: instead of the answer to a batch
        self.meanwhile: dict[str, Callable[[], None]] = {}  #: by method: what somebody does just before, once
        self.counts: Counter[str] = Counter()
        self.peak: Counter[str] = Counter()  #: the most requests at once, by mailbox
        self.seen: list[tuple[str, str, dict[str, str]]] = []
        self._running: Counter[str] = Counter()
        self._lock = threading.RLock()
        self._port = port
        self.endpoint = self.authority = ""
        self.ca_file = Path()
        self._stack = ExitStack()

    def __enter__(self) -> "Double":
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            private, public = login.certificate("login double", "127.0.0.1")
            self.ca_file = login.keep(folder, "ca.pem", public)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(login.keep(folder, "login.pem", private, public))
            graph, entry = _Server(self._port, _graph(self)), _Server(0, _login(self.login))
            entry.socket = context.wrap_socket(entry.socket, server_side=True)
            self.endpoint = f"http://127.0.0.1:{graph.server_port}/v1.0"
            self.authority = self.login.base = f"https://127.0.0.1:{entry.server_port}"
            self.calendars = Calendars(self.world, self.schema, self.endpoint)
            self.mails = Mails(self.world, self.calendars)
            for server in (graph, entry):
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def forget(self) -> None:
        """Nobody and nothing is there any more."""
        self.world.mailboxes.clear()
        self.world.invitations.clear()
        self.mails.outbox.clear()
        for known in (
            self.faults,
            self.meanwhile,
            self.blocked,
            self.on_premises,
            self.blind,
            self.counts,
            self.peak,
            self.seen,
        ):
            known.clear()
        self.calendars.duplicate_status, self.calendars.dead_status, self.calendars.guards_replays = 400, 410, True
        self.calendars.unindexed, self.calendars.teams = False, "offered"
        self.mails.slow, self.delay, self.batch_answer = False, 0.0, b""
        self.mails.unknown.clear()
        self.login.forget()

    # --- one request ------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: dict[str, str], content: bytes) -> tuple[Answer, Fault | None]:
        """What comes of it, and what goes wrong on the way back."""
        path = unquote(urlsplit(target).path)
        try:
            body = self._body(headers, content)
            if path == "/v1.0/$batch":
                self.counts["batch"] += 1
                if self.batch_answer:
                    return Answer(200), Fault("", "", 200, body=self.batch_answer)
                return self._batch(headers, body), None
            return self._one(method, target, headers, body), None
        except Refusal as refusal:
            return _refused(refusal), None
        except Broken as broken:
            return Answer(broken.fault.status), broken.fault

    @staticmethod
    def _body(headers: dict[str, str], content: bytes) -> Any:
        if not content or not headers.get("content-type", "").startswith("application/json"):
            return content or None
        try:
            return json.loads(content)
        except ValueError:
            raise Refusal(400, "BadRequest", "Unable to read JSON request payload.") from None

    def _one(self, method: str, target: str, headers: dict[str, str], body: Any) -> Answer:
        parts = urlsplit(target)
        path = [unquote(part) for part in parts.path.removeprefix("/v1.0/").split("/")]
        who = self._who(headers)
        name, rest = (who, path[1:]) if path[0] == "me" else (path[1].casefold(), path[2:])
        prefers = Prefers(headers.get("prefer", ""))
        with self._turn(name):
            if self.delay:
                time.sleep(self.delay)
            with self._lock:
                self.counts[f"{method} {_shape(rest)}"] += 1
                self.seen.append((method, parts.path, headers))
                if method in self.meanwhile:
                    self.meanwhile.pop(method)()
                if fault := self._fault(method, parts.path, after=False):
                    raise Broken(fault)
                mailbox = self._mailbox(name)
                request = Request(method, mailbox, rest, parsed(parts.query), headers, body, prefers)
                answer = self._route(request, self._rights(headers))
                if fault := self._fault(method, parts.path, after=True):
                    raise Broken(fault)
        answer.headers.setdefault("Preference-Applied", prefers.applied)
        return answer

    def _fault(self, method: str, path: str, *, after: bool) -> Fault | None:
        found = next((one for one in self.faults if one.after == after and one.fits(method, path)), None)
        if found:
            found.times -= 1
        return found

    @contextmanager
    def _turn(self, name: str) -> Any:
        """Four at a time for each mailbox."""
        with self._lock:
            if self._running[name] >= AT_ONCE:
                refusal = Refusal(429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.")
                refusal.headers["Retry-After"] = "2"
                self.counts["throttled"] += 1
                raise refusal
            self._running[name] += 1
            self.peak[name] = max(self.peak[name], self._running[name])
        try:
            yield
        finally:
            with self._lock:
                self._running[name] -= 1

    # --- who may ----------------------------------------------------------------------------------------------------

    def _grant(self, headers: dict[str, str]) -> login.Grant:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        found = self.login.grants.get(token)
        if found is None or found.until < time.monotonic():
            raise Refusal(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
        return found

    def _who(self, headers: dict[str, str]) -> str:
        return self._grant(headers).who

    def _rights(self, headers: dict[str, str]) -> tuple[str, ...]:
        return self._grant(headers).rights

    def _mailbox(self, name: str) -> Any:
        if not name:
            raise Refusal(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        if name in self.on_premises:
            words = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise Refusal(404, "MailboxNotEnabledForRESTAPI", words)
        mailbox = self.world.named(name)
        if mailbox is None:
            if name in self.world.mailboxes:  # the address of somebody whose sign-in name is another
                raise Refusal(404, "ErrorInvalidUser", f"The requested user '{name}' is invalid.")
            raise Refusal(404, "Request_ResourceNotFound", f"Resource '{name}' does not exist.")
        if mailbox.address in self.blocked:
            words = "[RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings."
            raise Refusal(403, "ErrorAccessDenied", words)
        return mailbox

    def _route(self, request: Request, rights: tuple[str, ...]) -> Answer:
        """The right operation, if the token allows it."""
        shape, method, calendars, mails = _shape(request.path), request.method, self.calendars, self.mails
        last = request.path[-1]
        table: dict[tuple[str, str], tuple[tuple[str, ...], Callable[[Request], Answer]]] = {
            ("GET", "events"): (_CALENDARS, calendars.listed),
            ("POST", "events"): (_CALENDARS, calendars.create),
            ("GET", "events/{id}"): (_CALENDARS, calendars.read),
            ("PATCH", "events/{id}"): (_CALENDARS, calendars.change),
            ("DELETE", "events/{id}"): (_CALENDARS, calendars.delete),
            ("GET", "events/{id}/instances"): (_CALENDARS, calendars.instances),
            ("GET", "calendarView"): (_CALENDARS, calendars.view),
            ("GET", "calendarView/delta"): (_CALENDARS, calendars.delta),
            ("GET", "calendar"): (_FREE_BUSY, calendars.calendar),
            ("POST", "calendar/getSchedule"): (_FREE_BUSY, lambda one: calendars.schedule(one, self.blind)),
            ("GET", "mailboxSettings"): (("MailboxSettings.Read",), calendars.settings),
            ("POST", "sendMail"): (("Mail.Send",), mails.send_mail),
            ("GET", "messages"): (("Mail.ReadWrite",), mails.listed),
            ("POST", "messages"): (("Mail.ReadWrite",), mails.create),
            ("GET", "messages/{id}"): (("Mail.ReadWrite",), mails.read),
            ("PATCH", "messages/{id}"): (("Mail.ReadWrite",), mails.change),
            ("POST", "messages/{id}/send"): (("Mail.Send",), mails.send),
        }
        for action in _ACTIONS:
            table["POST", f"events/{{id}}/{action}"] = (_CALENDARS, lambda one: calendars.act(one, last))
        if (method, shape) not in table:
            raise Refusal(400, "BadRequest", f"Resource not found for the segment '{last}'.")
        needed, operation = table[method, shape]
        if not set(needed) & set(rights):
            raise Refusal(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        return operation(request)

    # --- many at once -----------------------------------------------------------------------------------------------

    def _batch(self, headers: dict[str, str], body: Any) -> Answer:
        items = (body or {}).get("requests")
        if not isinstance(items, list) or not 1 <= len(items) <= 20:
            raise Refusal(400, "BadRequest", "Number of batch request steps exceeds the maximum value of 20.")
        if len({one.get("id") for one in items}) != len(items):
            raise Refusal(400, "BadRequest", "Request Ids have to be unique in a batch.")
        answers: dict[str, Json] = {}
        lock = threading.Lock()
        common = {"authorization": headers.get("authorization", "")}

        def perform(item: Json) -> None:
            own = {name.casefold(): value for name, value in (item.get("headers") or {}).items()}
            if item.get("body") is not None and "content-type" not in own:
                done = _refused(Refusal(400, "BadRequest", "A body needs a Content-Type."))
            else:
                target = "/v1.0/" + str(item["url"]).lstrip("/")
                content = json.dumps(item["body"]).encode() if item.get("body") is not None else b""
                done, fault = self.answer(item["method"], target, {**common, **own}, content)
                done = replace(done, status=fault.status, headers=dict(fault.headers)) if fault else done
            with lock:
                answers[item["id"]] = {
                    "id": item["id"],
                    "status": done.status,
                    "headers": done.headers,
                    "body": done.body,
                }

        done: set[str] = set()
        for item in [one for one in items if one.get("dependsOn")]:
            done.add(item["id"])
        workers = [threading.Thread(target=perform, args=(one,)) for one in items if one["id"] not in done]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        for item in [one for one in items if one["id"] in done]:
            if any(answers.get(one, {"status": 424})["status"] >= 400 for one in item["dependsOn"]):
                answers[item["id"]] = {"id": item["id"], "status": 424, "headers": {}, "body": None}
            else:
                perform(item)
        return Answer(200, {"responses": list(reversed(answers.values()))})  # in any order but that of the questions


def _shape(rest: list[str]) -> str:
    """A path with its ids taken out."""
    if len(rest) > 1 and rest[0] in ("events", "messages"):
        return "/".join([rest[0], "{id}", *rest[2:]])
    return "/".join(rest)


def _refused(refusal: Refusal) -> Answer:
    error: Json = {"code": refusal.code, "message": refusal.message, **refusal.more}
    error["innerError"] = {"date": "2027-01-01T00:00:00", "request-id": "r", "client-request-id": "c"}
    return Answer(refusal.status, {"error": error}, dict(refusal.headers))


# --- the servers ----------------------------------------------------------------------------------------------------


class _Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", port), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hangs up is nothing to tell of."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:
        """Quiet."""

    def content(self) -> bytes:
        return self.rfile.read(int(self.headers.get("Content-Length") or 0))

    def reply(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "request-id": "double", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (100 if cut else 0)))
        self.end_headers()
        self.wfile.write(body)
        self.wfile.flush()
        if cut:
            self.close_connection = True

    def do_GET(self) -> None:
        self.served("GET")

    def do_POST(self) -> None:
        self.served("POST")

    def do_PATCH(self) -> None:
        self.served("PATCH")

    def do_DELETE(self) -> None:
        self.served("DELETE")

    def served(self, method: str) -> None:
        raise NotImplementedError


def _graph(double: Double) -> type[_Handler]:
    class Handler(_Handler):
        def served(self, method: str) -> None:
            headers = {name.casefold(): value for name, value in self.headers.items()}
            answer, fault = double.answer(method, self.path, headers, self.content())
            body = b"" if answer.body is None else json.dumps(answer.body).encode()
            if fault is not None and fault.body is None and not fault.cut:
                refusal = _refused(Refusal(fault.status, fault.code, fault.message))
                body = json.dumps(refusal.body).encode()
            elif fault is not None:
                body = b'{"value": [{"id"' if fault.body is None else fault.body
            extra = dict(fault.headers) if fault else answer.headers
            self.reply(answer.status, body, extra, cut=bool(fault and fault.cut))

    return Handler


def _login(state: Login) -> type[_Handler]:
    class Handler(_Handler):
        def served(self, method: str) -> None:
            parts = urlsplit(self.path)
            status, body, headers = state.answer(method, parts.path, parts.query, self.content())
            self.reply(status, json.dumps(body).encode(), headers)

    return Handler
