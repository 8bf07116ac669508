"""The HTTP server of the service and of its sign-in."""

from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any


class Server(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def __init__(self, port: int, handler: type[BaseHTTPRequestHandler]) -> None:
        super().__init__(("127.0.0.1", port), handler)

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Print nothing: the errors are connections that a client has closed."""


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = -1

    def log_message(self, format: str, *args: Any) -> None:
        """Write no log."""

    def read_body(self) -> bytes:
        if "chunked" in self.headers.get("Transfer-Encoding", ""):
            return self._read_chunks()
        length = self.headers.get("Content-Length") or "0"
        return self.rfile.read(int(length)) if length.isdecimal() else b""

    def _read_chunks(self) -> bytes:
        content = b""
        while size := int(self.rfile.readline().split(b";")[0] or b"0", 16):
            content += self.rfile.read(size)
            self.rfile.readline()
        self.rfile.readline()
        return content

    def reply(self, status: int, body: bytes, headers: dict[str, str], *, cut: bool = False) -> None:
        """Send an answer. `cut`: announce more bytes than the body has, and close the connection."""
        self.send_response(status)
        for name, value in {"Content-Type": "application/json", "request-id": "double", **headers}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body) + (100 if cut else 0)))
        self.end_headers()
        if self.command != "HEAD":
            self.wfile.write(body)
        self.wfile.flush()
        if cut:
            self.close_connection = True

    def do_GET(self) -> None:
        self.answer_request("GET")

    def do_POST(self) -> None:
        self.answer_request("POST")

    def do_PATCH(self) -> None:
        self.answer_request("PATCH")

    def do_DELETE(self) -> None:
        self.answer_request("DELETE")

    def do_PUT(self) -> None:
        self.answer_request("PUT")

    def do_HEAD(self) -> None:
        self.answer_request("HEAD")

    def do_OPTIONS(self) -> None:
        self.answer_request("OPTIONS")

    def answer_request(self, method: str) -> None:
        raise NotImplementedError
