"""A web server on this machine whose answers a test controls, down to the single byte."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread

#: A function that answers a request.
Answer = Callable[["Request"], None]

EMPTY_MULTISTATUS = b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"/>'


@dataclass(frozen=True, slots=True)
class ReceivedRequest:
    """A request as it was received."""

    command: str
    path: str
    headers: Message
    body: bytes
    client_address: tuple[str, int]


class Request(BaseHTTPRequestHandler):
    """Handles one request; has methods to answer it."""

    protocol_version = "HTTP/1.1"
    server: "Loopback"
    received: ReceivedRequest  #: the request itself

    def handle_one_request(self) -> None:
        self.close_connection = True
        with suppress(OSError):  # the client has closed the connection
            self.raw_requestline = self.rfile.readline(65537)
            if self.raw_requestline and self.parse_request():
                body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
                self.received = ReceivedRequest(str(self.command), self.path, self.headers, body, self.client_address)
                self.server.record(self.received)
                self.server.answer(self)

    def reply(self, status: int = 207, content: bytes = EMPTY_MULTISTATUS, **headers: str) -> None:
        """Send a complete answer; the connection stays open."""
        lines = {"Content-Length": str(len(content)), "Content-Type": "text/xml"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.send_response(status)
        for name, value in lines.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = False

    def drip(self, start: bytes, drop: bytes = b"a") -> None:
        """Send an answer that begins with `start` and goes on, one `drop` after another, until the server stops."""
        self.wfile.write(start)
        while not self.server.stopped.wait(0.02):
            self.wfile.write(drop)

    def log_message(self, *_: object) -> None:
        """Log nothing."""


class Loopback(ThreadingHTTPServer):
    """The server, which keeps the requests that it received."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.answer = answer
        self.stopped = Event()
        self.requests: list[ReceivedRequest] = []
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def record(self, request: ReceivedRequest) -> None:
        with self._lock:
            self.requests.append(request)


@contextmanager
def serve(answer: Answer) -> Iterator[Loopback]:
    """Yield a running server."""
    server = Loopback(answer)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield server
    finally:
        server.stopped.set()
        server.shutdown()
        thread.join()
        server.server_close()
