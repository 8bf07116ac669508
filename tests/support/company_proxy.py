"""A company's proxy with TLS, which passes requests on to the pages or answers them itself."""

import ssl
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

from tests.doubles.graph.login import make_certificate, write_parts


@dataclass
class ProxyAnswer:
    """An answer of the proxy."""

    status: int = 200
    body: bytes = b""
    headers: Mapping[str, str] = field(default_factory=lambda: {"Content-Type": "text/html"})


@dataclass
class CompanyProxy:
    """A proxy that passes POST requests on to the pages."""

    ca_file: str  #: the certificate of the authority by which a client can trust the proxy
    url: str = ""
    pages_port: int = 0
    answer: ProxyAnswer | None = None  #: what it answers by itself; None passes each request on
    requested_paths: list[str] = field(default_factory=list)  #: so far

    @property
    def listen(self) -> str:
        """The host and port of the proxy, for a setting that names an address at which something listens."""
        return self.url.removeprefix("https://")


class _Handler(BaseHTTPRequestHandler):
    proxy: CompanyProxy

    def do_POST(self) -> None:
        self.proxy.requested_paths.append(self.path)
        answer = self.proxy.answer or self._pass_on()
        self.send_response(answer.status)
        for name, value in answer.headers.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(answer.body)))
        self.end_headers()
        self.wfile.write(answer.body)

    def _pass_on(self) -> ProxyAnswer:
        connection = HTTPConnection("127.0.0.1", self.proxy.pages_port, timeout=20)
        connection.request("POST", self.path, self.rfile.read(int(self.headers["Content-Length"] or 0)))
        answer = connection.getresponse()
        passed = ProxyAnswer(answer.status, answer.read(), {"Content-Type": str(answer.headers["Content-Type"])})
        connection.close()
        return passed

    def log_message(self, *_: object) -> None:
        pass


@contextmanager
def serve_proxy(folder: Path) -> Iterator[CompanyProxy]:
    """Yield a proxy at a free port of this machine; its certificates are written into the folder."""
    private_key, certificate = make_certificate("company", "127.0.0.1")
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(write_parts(folder, "proxy.pem", private_key, certificate))
    proxy = CompanyProxy(str(write_parts(folder, "ca.pem", certificate)))
    server = ThreadingHTTPServer(("127.0.0.1", 0), type("Handler", (_Handler,), {"proxy": proxy}))
    server.socket = context.wrap_socket(server.socket, server_side=True)
    proxy.url = f"https://127.0.0.1:{server.server_port}"
    thread = Thread(target=server.serve_forever, args=(0.05,), daemon=True)
    thread.start()
    try:
        yield proxy
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
