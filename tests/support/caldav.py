"""The CalDAV provider on the embedded server, and servers that answer differently."""

import re
from io import BytesIO
from typing import Any

from tests.providers.conftest import RequestInterceptor
from worker.embedded import EmbeddedServers
from worker.providers import base
from worker.providers.caldav.calendar import CalDavCalendar


def open_calendar(server: EmbeddedServers, **changed: Any) -> CalDavCalendar:
    """Return the provider for that server; `changed` replaces settings."""
    section = {"url": server.caldav_url, "attendee_copies": True, "timeout": 10} | changed
    calendar = base.load_factory(base.CALENDAR_FACTORIES, "caldav")(section)
    assert isinstance(calendar, CalDavCalendar)
    return calendar


def hide_properties(*names: str) -> Any:
    """Return a rewriter of answers that renames these properties, as if the server did not know them."""
    pattern = "|".join(names)
    return lambda content: re.sub(rf"<(/?)(?:\w+:)?({pattern})\b".encode(), rb"<\1X-unknown", content)


def refuse_sync_tokens(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes] | None:
    """Answer as an older server without sync tokens: refuse their requests, and leave all others to the server."""
    if environ["REQUEST_METHOD"] != "REPORT":
        return None
    body = environ["wsgi.input"].read()
    environ["wsgi.input"] = BytesIO(body)
    return ("501 Not Implemented", [], b"") if b"sync-collection" in body else None


def break_connection(method: str, number: int, *, after: bool, interceptor: RequestInterceptor) -> None:
    """Answer 502 to the n-th request of that HTTP method, as a proxy does that loses the connection to the server.

    `after`: whether the server carries the request out before that; otherwise it does not get it.
    """
    seen = 0

    def answer_instead(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes] | None:
        nonlocal seen
        seen += environ["REQUEST_METHOD"] == method
        is_broken = environ["REQUEST_METHOD"] == method and seen == number
        return ("502 Bad Gateway", [], b"") if is_broken else None

    if after:
        interceptor.after = answer_instead
    else:
        interceptor.before = answer_instead


def answer_always(status: str, content: bytes = b"", *headers: tuple[str, str]) -> Any:
    """Return a function that answers each request of a server with this."""
    return lambda environ: (status, list(headers), content)


HTML_PAGE = b"<!DOCTYPE html><html><body><h1>Welcome</h1><br></body></html>"
