"""The CalDAV provider on the embedded server, and servers that answer differently."""

import re
from io import BytesIO
from typing import Any

from tests.providers.conftest import RequestInterceptor
from worker.embedded import EmbeddedServers
from worker.providers import base
from worker.providers.caldav.calendar import CalDavCalendar


def open_calendar(server: EmbeddedServers, **changed: Any) -> CalDavCalendar:
    """The provider on that server; `changed` replaces settings."""
    section = {"url": server.caldav_url, "attendee_copies": True, "timeout": 10} | changed
    made = base.load_factory(base.CALENDAR_FACTORIES, "caldav")(section)
    assert isinstance(made, CalDavCalendar)
    return made


def without(*names: str) -> Any:
    """Takes these properties out of the server's answers, as if it did not know them."""
    pattern = "|".join(names)
    return lambda content: re.sub(rf"<(/?)(?:\w+:)?({pattern})\b".encode(), rb"<\1X-unknown", content)


def refuse_sync(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes] | None:
    """An older server: no sync tokens."""
    if environ["REQUEST_METHOD"] != "REPORT":
        return None
    body = environ["wsgi.input"].read()
    environ["wsgi.input"] = BytesIO(body)
    return ("501 Not Implemented", [], b"") if b"sync-collection" in body else None


def fail_on(method: str, number: int, *, after: bool, interceptor: RequestInterceptor) -> None:
    """The connection breaks at that request of that method: before the server has it, or after it did it."""
    seen = 0

    def stand_in_the_way(environ: dict[str, Any]) -> tuple[str, list[tuple[str, str]], bytes] | None:
        nonlocal seen
        seen += environ["REQUEST_METHOD"] == method
        broken = environ["REQUEST_METHOD"] == method and seen == number
        return ("502 Bad Gateway", [], b"") if broken else None

    if after:
        interceptor.after = stand_in_the_way
    else:
        interceptor.before = stand_in_the_way


def answers(status: str, content: bytes = b"", *headers: tuple[str, str]) -> Any:
    """A server that answers every request with that."""
    return lambda environ: (status, list(headers), content)


HTML = b"<!DOCTYPE html><html><body><h1>Welcome</h1><br></body></html>"
