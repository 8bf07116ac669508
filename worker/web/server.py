"""Serves the pages with waitress, in a thread of its own.

A proxy in front of the pages terminates TLS. Its headers about the client's address and scheme are trusted only when
the request comes from the address in the setting `pages.proxy`.
"""

import logging
from typing import Any
from urllib.parse import urlsplit

from waitress.server import create_server

from worker.app import Worker
from worker.server_thread import ServerThread, open_socket
from worker.web.app import make_app
from worker.web.connections import IDLE_TIMEOUT, MAX_CONNECTIONS, Connections
from worker.web.security import MAX_FORM_BYTES

#: The number of threads that handle requests.
THREADS = 8
#: At this limit, waitress accepts no more connections. `Connections` closes idle connections long before.
CONNECTION_LIMIT = 2 * MAX_CONNECTIONS


class PageServer(ServerThread):
    """Serves the pages of a worker inside a `with` block. Port 0 in the setting `pages.listen` means any free port."""

    def __init__(self, worker: Worker) -> None:
        settings = worker.settings
        app = make_app(worker)
        logging.getLogger("waitress").setLevel(logging.ERROR)  # waitress warns about each request that has to wait
        listening = open_socket(settings.pages.listen, service="The pages", setting="pages.listen")
        self.port = int(listening.getsockname()[1])
        self.base_url = settings.base_url
        create: Any = create_server  # waitress has no types
        server: Any = create(
            app,
            sockets=[listening],
            threads=THREADS,
            connection_limit=CONNECTION_LIMIT,
            channel_timeout=IDLE_TIMEOUT,
            ident="",  # no Server header
            url_prefix=urlsplit(settings.base_url).path,
            # Larger than the application's own limit, so that the application answers with its page about large forms.
            max_request_body_size=2 * MAX_FORM_BYTES,
            max_request_header_size=32 * 1024,
            **_make_proxy_options(settings.pages.proxy),
        )
        connections = Connections(server.active_channels)
        super().__init__(server, "longarc-pages", after_iteration=connections.close_stale)


def _make_proxy_options(proxy: str) -> dict[str, Any]:
    if not proxy:
        return {"clear_untrusted_proxy_headers": True}
    headers = {"x-forwarded-for", "x-forwarded-proto"}
    return {"trusted_proxy": proxy, "trusted_proxy_headers": headers, "clear_untrusted_proxy_headers": True}
