"""The double of Microsoft Graph: its two HTTP servers, the routes and their permissions, its limits and faults."""

import json
import ssl
import threading
import time
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from urllib.parse import SplitResult, unquote, urlsplit

from tests.doubles.graph import login, schema
from tests.doubles.graph.calendars import Answer, Calendars, Request
from tests.doubles.graph.directory import Directory, UserQuery, parse_users_path
from tests.doubles.graph.faults import Broken, Fault
from tests.doubles.graph.login import Login
from tests.doubles.graph.mail import Mails
from tests.doubles.graph.odata import Preferences
from tests.doubles.graph.query import is_count_wanted, parse_options
from tests.doubles.graph.schedules import Schedules
from tests.doubles.graph.serving import Handler, Server
from tests.doubles.graph.state import Json, Refusal, World
from tests.doubles.graph.subscriptions import Subscriptions

MAX_CONCURRENT = 4  #: requests to one mailbox
#: The rights of which a token needs one.
_EVENT_RIGHTS = ("Calendars.ReadWrite",)
_FREE_BUSY_RIGHTS = ("Calendars.ReadWrite", "Calendars.Read", "Calendars.ReadBasic")
_ACTIONS = ("cancel", "accept", "decline", "tentativelyAccept")


class Double:
    """Microsoft Graph and its sign-in service on this machine. The servers run within a `with` block."""

    def __init__(self, port: int = 0, *, delay: float = 0.0) -> None:
        self.world = World()
        self.schema = schema.Schema()
        self.login = Login()
        self.delay = delay  #: seconds that each answer takes
        self.faults: list[Fault] = []
        self.blocked: set[str] = set()  #: mailboxes that an access policy of the tenant closes to the app
        self.on_premises: set[str] = set()  #: mailboxes that Graph can't reach
        self.without_free_busy: set[str] = set()  #: people whose free/busy can't be read
        self.broken_batch_answer = b""  #: sent in place of the answer to a batch
        self.before_next: dict[str, Callable[[], None]] = {}  #: by method: called once, before the next request
        #: Requests by method and path, such as `GET events/{id}`; also `batch` and `throttled`.
        self.counts: Counter[str] = Counter()
        self.most_at_once: Counter[str] = Counter()  #: the most requests at once, by mailbox
        self.seen: list[tuple[str, str, dict[str, str]]] = []  #: method, path and headers of each request
        self._running: Counter[str] = Counter()  #: requests in progress, by mailbox
        self._lock = threading.RLock()
        self._port = port
        self.endpoint = self.authority = ""  #: the base URLs of Graph and of its sign-in service
        self.ca_file = Path()
        self._stack = ExitStack()

    def __enter__(self) -> "Double":
        with ExitStack() as stack:
            folder = Path(stack.enter_context(TemporaryDirectory()))
            private, public = login.make_certificate("login double", "127.0.0.1")
            self.ca_file = login.write_parts(folder, "ca.pem", public)
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(login.write_parts(folder, "login.pem", private, public))
            graph_server = Server(self._port, _make_graph_handler(self))
            login_server = Server(0, _make_login_handler(self.login))
            login_server.socket = context.wrap_socket(login_server.socket, server_side=True)
            self.endpoint = f"http://127.0.0.1:{graph_server.server_port}/v1.0"
            self.authority = self.login.base = f"https://127.0.0.1:{login_server.server_port}"
            self.calendars = Calendars(self.world, self.schema, self.endpoint)
            self.schedules = Schedules(self.world, self.calendars)
            self.directory = Directory(self.world, self.schema, self.endpoint)
            self.mails = Mails(self.world, self.calendars)
            self.subscriptions = Subscriptions(self.calendars, self._find_mailbox, self.endpoint)
            stack.callback(self.subscriptions.close)
            for server in (graph_server, login_server):
                threading.Thread(target=server.serve_forever, args=(0.05,), daemon=True).start()
                stack.callback(server.server_close)
                stack.callback(server.shutdown)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    def reset(self) -> None:
        """Remove all mailboxes, users, apps, subscriptions and faults, and restore the defaults."""
        self.world.mailboxes.clear()
        self.world.invitations.clear()
        self.mails.outbox.clear()
        self.directory.reset()
        self.subscriptions.reset()
        for collection in (
            self.faults,
            self.before_next,
            self.blocked,
            self.on_premises,
            self.without_free_busy,
            self.counts,
            self.most_at_once,
            self.seen,
        ):
            collection.clear()
        self.calendars.duplicate_status, self.calendars.expired_token_status = 400, 410
        self.calendars.guards_replays, self.calendars.unindexed, self.calendars.teams = True, False, "offered"
        self.mails.hides_sent, self.delay, self.broken_batch_answer = False, 0.0, b""
        self.mails.unknown_recipients.clear()
        self.login.reset()

    # --- one request ------------------------------------------------------------------------------------------------

    def answer(self, method: str, target: str, headers: dict[str, str], content: bytes) -> tuple[Answer, Fault | None]:
        """Return the answer to a request, and the fault that spoils it, if there is one."""
        path = unquote(urlsplit(target).path)
        try:
            body = self._parse_body(headers, content)
            if path == "/v1.0/$batch":
                self._get_signed_in(headers)
                self.counts["batch"] += 1
                if fault := self._take_fault(method, path, after=False):
                    raise Broken(fault)
                if self.broken_batch_answer:
                    return Answer(200), Fault(method="", path="", status=200, body=self.broken_batch_answer)
                return self._answer_batch(headers, body), None
            return self._answer_single(method, target, headers, body), None
        except Refusal as refusal:
            return _make_error_answer(refusal), None
        except Broken as broken:
            return Answer(broken.fault.status), broken.fault
        except Exception as error:  # the real service answers even what makes it fail
            words = f"An internal server error occurred ({type(error).__name__})."
            return _make_error_answer(Refusal(500, "ErrorInternalServerError", words)), None

    @staticmethod
    def _parse_body(headers: dict[str, str], content: bytes) -> Any:
        if not content or not headers.get("content-type", "").startswith("application/json"):
            return content or None
        try:
            return json.loads(content)
        except ValueError:
            raise Refusal(400, "BadRequest", "Unable to read JSON request payload.") from None

    def _answer_single(self, method: str, target: str, headers: dict[str, str], body: Any) -> Answer:
        parts = urlsplit(target)
        if (user_path := parse_users_path(parts.path)) is not None:
            return self._answer_about_users(method, parts, user_path, headers)
        if parts.path.startswith("/v1.0/") and (names := _split_path(parts.path))[0].casefold() == "subscriptions":
            return self._answer_about_subscriptions(method, parts, names[1:], headers, body)
        name, rest = self._split_mailbox_path(parts.path, headers)
        if not rest:
            return self._answer_about_users(method, parts, [name], headers, is_own=True)
        preferences = Preferences(headers.get("prefer", ""))

        def perform() -> Answer:
            mailbox = self._find_mailbox(name)
            request = Request(
                method, mailbox, _normalize_path(rest, mailbox), parse_options(parts.query), headers, body, preferences
            )
            return self._dispatch(request, self._get_rights(headers))

        with self._limit_concurrency(name):
            answer = self._perform(method, parts.path, _make_shape(rest), headers, perform)
        if preferences.applied:
            answer.headers.setdefault("Preference-Applied", preferences.applied)
        return answer

    def _answer_about_users(
        self, method: str, parts: SplitResult, names: list[str], headers: dict[str, str], *, is_own: bool = False
    ) -> Answer:
        """Answer a request about users: without the limit of concurrent requests, and without access policies."""
        rights = frozenset(self._get_rights(headers))

        def perform() -> Answer:
            if method != "GET":
                raise Refusal(405, "Request_BadRequest", f"The method {method} is not allowed here.")
            options = parse_options(parts.query)
            is_eventual = headers.get("consistencylevel", "").casefold() == "eventual"
            return self.directory.answer(
                names, UserQuery(options, rights, is_eventual and is_count_wanted(options), is_own)
            )

        shape = "/".join(["users", *("{id}" for _ in names[:1]), *names[1:]])
        return self._perform(method, parts.path, shape, headers, perform)

    def _answer_about_subscriptions(
        self, method: str, parts: SplitResult, names: list[str], headers: dict[str, str], body: Any
    ) -> Answer:
        """Answer a request about subscriptions, without the lock: an endpoint may call Graph while it is validated."""
        grant, preferences = self._find_grant(headers), Preferences(headers.get("prefer", ""))

        def perform() -> Answer:
            return self.subscriptions.answer(method, names, parts.query, preferences, grant, body)

        shape = "/".join(["subscriptions", *("{id}" for _ in names[:1]), *names[1:]])
        return self._perform(method, parts.path, shape, headers, perform, is_exclusive=False)

    def _perform(
        self,
        method: str,
        path: str,
        shape: str,
        headers: dict[str, str],
        perform: Callable[[], Answer],
        *,
        is_exclusive: bool = True,
    ) -> Answer:
        """Carry out a request with `perform`, with the planned delay and faults. `shape`: the path without its ids.

        `is_exclusive`: no other request is carried out meanwhile. Raises Broken or Refusal.
        """
        if self.delay:
            time.sleep(self.delay)
        with self._lock if is_exclusive else nullcontext():
            with self._lock:
                self.counts[f"{method} {shape}"] += 1
                self.seen.append((method, path, headers))
                if method in self.before_next:
                    self.before_next.pop(method)()
                if fault := self._take_fault(method, path, after=False):
                    raise Broken(fault)
            answer = perform()
            with self._lock:
                if fault := self._take_fault(method, path, after=True):
                    raise Broken(fault)
        return answer

    def _split_mailbox_path(self, path: str, headers: dict[str, str]) -> tuple[str, list[str]]:
        """Return the name of the mailbox that a path leads to (empty for an app's `me`), and the rest of the path."""
        first, *rest = _split_path(path)
        signed_in = self._get_signed_in(headers)
        has_version = path.startswith("/v1.0/")
        if has_version and first.casefold() == "me":
            return signed_in, rest
        if has_version and first.casefold() == "users" and rest and rest[0]:
            return rest[0].casefold(), rest[1:]
        raise Refusal(400, "BadRequest", f"Resource not found for the segment '{first}'.")

    def _take_fault(self, method: str, path: str, *, after: bool) -> Fault | None:
        """Return the fault that is due for this request, counted as used; None without one."""
        found = next((one for one in self.faults if one.after == after and one.matches(method, path)), None)
        if found and found.passing:
            found.passing -= 1
            return None
        if found:
            found.times -= 1
        return found

    @contextmanager
    def _limit_concurrency(self, name: str) -> Any:
        """Refuse more than four concurrent requests to a mailbox, within the block."""
        with self._lock:
            if self._running[name] >= MAX_CONCURRENT:
                refusal = Refusal(429, "ApplicationThrottled", "Application is over its MailboxConcurrency limit.")
                refusal.headers["Retry-After"] = "2"
                self.counts["throttled"] += 1
                raise refusal
            self._running[name] += 1
            self.most_at_once[name] = max(self.most_at_once[name], self._running[name])
        try:
            yield
        finally:
            with self._lock:
                self._running[name] -= 1

    # --- permissions --------------------------------------------------------------------------------------------------

    def _find_grant(self, headers: dict[str, str]) -> login.Grant:
        token = headers.get("authorization", "").removeprefix("Bearer ")
        found = self.login.grants.get(token)
        if found is None or found.until < time.monotonic():
            raise Refusal(401, "InvalidAuthenticationToken", "Access token has expired or is not yet valid.")
        return found

    def _get_signed_in(self, headers: dict[str, str]) -> str:
        return self._find_grant(headers).person

    def _get_rights(self, headers: dict[str, str]) -> tuple[str, ...]:
        return self._find_grant(headers).rights

    def _find_mailbox(self, name: str) -> Any:
        if not name:
            raise Refusal(400, "BadRequest", "/me request is only valid with delegated authentication flow.")
        if name in self.on_premises:
            words = "The mailbox is either inactive, soft-deleted, or is hosted on-premise."
            raise Refusal(404, "MailboxNotEnabledForRESTAPI", words)
        mailbox = self.world.find_mailbox(name)
        if mailbox is None:
            if name in self.world.mailboxes:  # the address of somebody whose sign-in name is another
                raise Refusal(404, "ErrorInvalidUser", f"The requested user '{name}' is invalid.")
            raise Refusal(404, "Request_ResourceNotFound", f"Resource '{name}' does not exist.")
        if mailbox.address in self.blocked:
            words = "[RAOP] : Blocked by tenant configured AppOnly AccessPolicy settings."
            raise Refusal(403, "ErrorAccessDenied", words)
        return mailbox

    def _dispatch(self, request: Request, rights: tuple[str, ...]) -> Answer:
        """Carry out the operation that belongs to method and path. Raises Refusal if the token has no right to it."""
        shape, method, calendars, mails = _make_shape(request.path), request.method, self.calendars, self.mails
        last, schedules = (request.path or [""])[-1], self.schedules
        table: dict[tuple[str, str], tuple[tuple[str, ...], Callable[[Request], Answer]]] = {
            ("GET", "events"): (_EVENT_RIGHTS, calendars.list_events),
            ("POST", "events"): (_EVENT_RIGHTS, calendars.create),
            ("GET", "events/{id}"): (_EVENT_RIGHTS, calendars.read),
            ("PATCH", "events/{id}"): (_EVENT_RIGHTS, calendars.change),
            ("DELETE", "events/{id}"): (_EVENT_RIGHTS, calendars.delete),
            ("GET", "events/{id}/instances"): (_EVENT_RIGHTS, calendars.list_instances),
            ("GET", "calendarView"): (_EVENT_RIGHTS, calendars.list_view),
            ("GET", "calendarView/delta"): (_EVENT_RIGHTS, calendars.list_changes),
            ("GET", "calendar"): (_FREE_BUSY_RIGHTS, schedules.get_calendar),
            ("POST", "calendar/getSchedule"): (
                _FREE_BUSY_RIGHTS,
                lambda one: schedules.list_free_busy(one, self.without_free_busy),
            ),
            ("GET", "mailboxSettings"): (("MailboxSettings.Read",), schedules.get_settings),
            ("GET", "calendars"): (_FREE_BUSY_RIGHTS, schedules.list_calendars),
            ("POST", "sendMail"): (("Mail.Send",), mails.send_mail),
            ("GET", "messages"): (("Mail.ReadWrite",), mails.list_messages),
            ("POST", "messages"): (("Mail.ReadWrite",), mails.create),
            ("GET", "messages/{id}"): (("Mail.ReadWrite",), mails.read),
            ("PATCH", "messages/{id}"): (("Mail.ReadWrite",), mails.change),
            ("POST", "messages/{id}/send"): (("Mail.Send",), mails.send),
        }
        for action in _ACTIONS:
            table["POST", f"events/{{id}}/{action}"] = (_EVENT_RIGHTS, lambda one: calendars.act(one, last))
        if (method, shape) not in table and any(one == shape for _, one in table):
            raise Refusal(405, "Request_BadRequest", f"The method {method} is not allowed here.")
        if (method, shape) not in table:
            raise Refusal(400, "BadRequest", f"Resource not found for the segment '{last}'.")
        needed, operation = table[method, shape]
        if not set(needed) & set(rights):
            raise Refusal(403, "ErrorAccessDenied", "Access is denied. Check credentials and try again.")
        return operation(request)

    # --- batches ------------------------------------------------------------------------------------------------------

    def _answer_batch(self, headers: dict[str, str], body: Any) -> Answer:
        steps = body.get("requests") if isinstance(body, dict) else None
        if not isinstance(steps, list) or not 1 <= len(steps) <= 20:
            raise Refusal(400, "BadRequest", "Number of batch request steps exceeds the maximum value of 20.")
        if not all(isinstance(one, dict) and isinstance(one.get("id"), str) and one["id"] for one in steps):
            raise Refusal(400, "BadRequest", "Every batch request step needs an id.")
        if len({one["id"] for one in steps}) != len(steps):
            raise Refusal(400, "BadRequest", "Request Ids have to be unique in a batch.")
        answers: dict[str, Json] = {}
        depends_on = {one["id"]: one.get("dependsOn") for one in steps if one.get("dependsOn")}

        def perform(step: Json) -> None:
            answer = self._answer_step(step, headers.get("authorization", ""))
            parts = {"status": answer.status, "headers": answer.headers, "body": answer.body}
            with self._lock:
                answers[step["id"]] = {"id": step["id"], **parts}

        threads = [threading.Thread(target=perform, args=(one,)) for one in steps if one["id"] not in depends_on]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for step in [one for one in steps if one["id"] in depends_on]:
            given = depends_on[step["id"]]
            needed_ids = given if isinstance(given, list) else [given]
            failed_dependency = {"id": step["id"], "status": 424, "headers": {}, "body": None}
            if any(answers.get(str(one), failed_dependency)["status"] >= 400 for one in needed_ids):
                answers[step["id"]] = failed_dependency
            else:
                perform(step)
        # Graph gives the answers in no order; this one is not that of the steps
        return Answer(200, {"responses": list(reversed(answers.values()))})

    def _answer_step(self, step: Json, authorization: str) -> Answer:
        """Answer one step of a batch."""
        method, url, given = step.get("method"), step.get("url"), step.get("headers") or {}
        if not isinstance(method, str) or not isinstance(url, str) or not isinstance(given, dict):
            return _make_error_answer(Refusal(400, "BadRequest", "A batch request step needs a method and a url."))
        own_headers = {str(name).casefold(): str(value) for name, value in given.items()}
        if unquote(url).strip("/").casefold().startswith("$batch") or urlsplit(url).netloc:
            return _make_error_answer(Refusal(400, "BadRequest", "A batch can't hold a batch, nor lead elsewhere."))
        if step.get("body") is not None and "content-type" not in own_headers:
            return _make_error_answer(Refusal(400, "BadRequest", "A body needs a Content-Type."))
        content = json.dumps(step["body"]).encode() if step.get("body") is not None else b""
        target = "/v1.0/" + url.lstrip("/")
        answer, fault = self.answer(method.upper(), target, {"authorization": authorization, **own_headers}, content)
        return replace(answer, status=fault.status, headers=dict(fault.headers)) if fault else answer


#: The segments of paths in their canonical case, by lower case: Graph ignores the case.
_SEGMENTS = {
    name.casefold(): name
    for name in (
        *("events", "calendar", "calendars", "calendarView", "instances", "delta", "getSchedule", "mailboxSettings"),
        *("sendMail", "messages", "send", *_ACTIONS),
    )
}


def _normalize_path(rest: list[str], mailbox: Any) -> list[str]:
    """Return the path in the form of the routes: functions without brackets and namespace, events without calendar.

    Raises Refusal for another calendar than the one of the mailbox.
    """
    names = [part.removeprefix("microsoft.graph.").removesuffix("()") for part in rest if part]
    names = [_SEGMENTS.get(name.casefold(), name) for name in names]
    if names[:1] == ["calendars"] and len(names) > 1:
        if names[1] != mailbox.calendar_id:
            raise Refusal(404, "ErrorItemNotFound", "The specified object was not found in the store.")
        names = ["calendar", *names[2:]]
    return names[1:] if names[:1] == ["calendar"] and names[1:2] in (["events"], ["calendarView"]) else names


def _split_path(path: str) -> list[str]:
    """Return the segments of a path after the version."""
    return [unquote(part) for part in path.removeprefix("/v1.0/").split("/")]


def _make_shape(rest: list[str]) -> str:
    """Return the path with `{id}` in place of ids."""
    if len(rest) > 1 and rest[0] in ("events", "messages"):
        return "/".join([rest[0], "{id}", *rest[2:]])
    return "/".join(rest)


def _make_error_answer(refusal: Refusal) -> Answer:
    error: Json = {"code": refusal.code, "message": refusal.message, **refusal.more}
    error["innerError"] = {"date": "2027-01-01T00:00:00", "request-id": "r", "client-request-id": "c"}
    return Answer(refusal.status, {"error": error}, dict(refusal.headers))


# --- the servers ----------------------------------------------------------------------------------------------------


def _make_graph_handler(double: Double) -> type[Handler]:
    class GraphHandler(Handler):
        def answer_request(self, method: str) -> None:
            headers = {name.casefold(): value for name, value in self.headers.items()}
            answer, fault = double.answer(method, self.path, headers, self.read_body())
            body = b"" if answer.body is None else json.dumps(answer.body).encode()
            if fault is not None and fault.body is None and not fault.cut:
                refusal = _make_error_answer(Refusal(fault.status, fault.code, fault.message))
                body = json.dumps(refusal.body).encode()
            elif fault is not None:
                body = b'{"value": [{"id"' if fault.body is None else fault.body
            extra = dict(fault.headers) if fault else answer.headers
            self.reply(answer.status, body, extra, cut=bool(fault and fault.cut))

    return GraphHandler


def _make_login_handler(state: Login) -> type[Handler]:
    class LoginHandler(Handler):
        def answer_request(self, method: str) -> None:
            parts = urlsplit(self.path)
            status, body, headers = state.answer(method, parts.path, parts.query, self.read_body())
            self.reply(status, json.dumps(body).encode(), headers)

    return LoginHandler
