"""A web server on this machine that answers as a test tells it to, down to the single byte."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Lock, Thread

#: Writes an answer to a request.
Answer = Callable[["Request"], None]

EMPTY = b'<?xml version="1.0"?><D:multistatus xmlns:D="DAV:"/>'


@dataclass(frozen=True, slots=True)
class Asked:
    """A request as it came."""

    command: str
    path: str
    headers: Message
    body: bytes
    client_address: tuple[str, int]


class Request(BaseHTTPRequestHandler):
    """One request, and the means to answer it."""

    protocol_version = "HTTP/1.1"
    server: "Loopback"
    asked: Asked  #: what this is

    def handle_one_request(self) -> None:
        self.raw_requestline = self.rfile.readline(65537)
        self.close_connection = True
        if self.raw_requestline and self.parse_request():
            body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
            self.asked = Asked(str(self.command), self.path, self.headers, body, self.client_address)
            self.server.note(self.asked)
            with suppress(OSError):  # whoever asked has hung up
                self.server.answer(self)

    def reply(self, status: int = 207, content: bytes = EMPTY, **headers: str) -> None:
        """A whole answer; the connection stays open."""
        lines = {"Content-Length": str(len(content)), "Content-Type": "text/xml"}
        lines |= {name.replace("_", "-"): value for name, value in headers.items()}
        self.send_response(status)
        for name, value in lines.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)
        self.close_connection = False

    def drip(self, start: bytes, drop: bytes = b"a") -> None:
        """An answer that begins so and then comes drop by drop, without end."""
        self.wfile.write(start)
        while not self.server.stopped.wait(0.02):
            self.wfile.write(drop)

    def log_message(self, *_: object) -> None:
        """Says nothing."""


class Loopback(ThreadingHTTPServer):
    """Keeps what it was asked."""

    daemon_threads = True
    block_on_close = False

    def __init__(self, answer: Answer) -> None:
        super().__init__(("127.0.0.1", 0), Request)
        self.answer = answer
        self.stopped = Event()
        self.requests: list[Asked] = []
        self._lock = Lock()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}/"

    def note(self, request: Asked) -> None:
        with self._lock:
            self.requests.append(request)


@contextmanager
def serve(answer: Answer) -> Iterator[Loopback]:
    """A running server."""
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
