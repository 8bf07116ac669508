"""Parsers of URLs of services, pages and databases in the settings.

A parser raises InvalidValue for a URL that can't be used. Its error never quotes the URL, which may contain a password.
"""

import re
from collections.abc import Callable, Sequence
from urllib.parse import unquote, urlsplit

from worker.settings.parsers import MAX_PORT, InvalidValue

#: Matches `{email}`, with any name in the braces.
_PLACEHOLDER = re.compile(r"\{([^{}]*)\}")
#: Matches the name of a server, such as `example.com`, or an IPv4 address.
_HOST = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?")
#: Matches a URL without a query, whose characters need no escaping in HTML.
_BASE_URL = re.compile(r"[\w.~!$()*+,;=:@%/\[\]-]+")
#: The allowed schemes of a database URL.
_DATABASE_SCHEMES = ("sqlite", "postgresql", "postgresql+psycopg")


def _build_scheme_error(schemes: Sequence[str]) -> InvalidValue:
    beginnings = " or ".join(f"`{scheme}://`" for scheme in schemes)
    return InvalidValue("This is not an address that can be used.", f"Begin it with {beginnings}.")


def make_url_parser(*schemes: str) -> Callable[[str], str]:
    """Return a parser that accepts URLs with one of these schemes, and returns them unchanged."""

    def parse(text: str) -> str:
        try:
            parts = urlsplit(text)
            is_valid = "://" in text and parts.scheme in schemes
        except ValueError:
            is_valid = False
        if not is_valid:
            raise _build_scheme_error(schemes)
        host = parts.hostname or ""
        if not (_HOST.fullmatch(host) or ":" in host):  # an IPv6 address has colons
            raise InvalidValue("The name of the server is not valid.", "Write it after `://`, as `example.com`.")
        _check_port(lambda: parts.port)
        return text

    return parse


def _check_port(get_port: Callable[[], int | None]) -> None:
    """Raise InvalidValue when the port is out of range, or when `get_port` raises ValueError."""
    try:
        port = get_port()
        is_valid = port is None or 0 < port <= MAX_PORT
    except ValueError:
        is_valid = False
    if not is_valid:
        raise InvalidValue(
            "The port is not valid.", "Write a number from 1 to 65535 after the colon, or leave both out."
        )


def parse_database(text: str) -> str:
    """Return the text if it is the URL of a SQLite file or of a PostgreSQL server. Raises InvalidValue."""
    scheme, _, location = text.partition("://")
    if scheme not in _DATABASE_SCHEMES or (scheme != "sqlite" and not location):
        raise _build_scheme_error(_DATABASE_SCHEMES)
    if scheme == "sqlite":
        is_path = (not location or location.startswith("/")) and "?" not in location
        if not is_path or location.startswith("/~"):  # `~` would be taken for the name of a folder
            remedy = "Write a path behind `sqlite:///`, and nothing else: `sqlite:///var/longarc.db`."
            raise InvalidValue("This is not the path of a SQLite file.", remedy)
        return text
    if "\0" in unquote(location):
        raise InvalidValue("There is a control character in this address.", "Write a `%` in it as `%25`.")
    if location.count("@") > 1:
        raise InvalidValue(
            "There is more than one `@` in this address.", "Write an `@` that belongs to the password as `%40`."
        )
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    _check_port(lambda: make_url(text).port)
    server = make_url(text).set(drivername="postgresql+psycopg")
    try:
        server.get_dialect()().create_connect_args(server)
    except ArgumentError:
        raise InvalidValue("The part after the `?` in this address can't be used.", "Fix or remove it.") from None
    return text


def is_in_memory(database: str) -> bool:
    """Return whether the URL names a SQLite database in memory.

    That is one without a path, `:memory:`, or `file:`, SQLite's name for a temporary database.
    """
    scheme, _, location = database.partition("://")
    return scheme == "sqlite" and (location in ("", "/", "/:memory:") or location.startswith("/file:"))


def parse_base_url(text: str) -> str:
    """Return the base URL of the pages without a slash at the end. Raises InvalidValue."""
    parts = urlsplit(make_url_parser("https", "http")(text))
    if "@" in parts.netloc:
        raise InvalidValue("There is a user name in this address.", "Remove it: every mail contains this address.")
    if not _BASE_URL.fullmatch(text):
        what = "There is a character in this address that it can't contain."
        raise InvalidValue(what, "Write it as `https://longarc.example.com`, or with a path after that.")
    return text.rstrip("/")


def parse_notify_url(text: str) -> str:
    """Return the URL to which services post notifications, without a slash at the end. Raises InvalidValue."""
    url = parse_base_url(text)
    if not url.startswith("https://"):
        raise InvalidValue("Google and Microsoft notify no address without TLS.", "Write an https address.")
    return url


def parse_folder_url(text: str) -> str:
    """Return the URL of a folder with a single slash at the end. Raises InvalidValue."""
    return f"{make_url_parser('https', 'http')(text).rstrip('/')}/"


def parse_caldav_url(text: str) -> str:
    """Return the text if it is a URL with `{email}` or `{user}` in the place of a person. Raises InvalidValue."""
    make_url_parser("https", "http")(_PLACEHOLDER.sub("x", text))
    placeholders = _PLACEHOLDER.findall(text)
    if not placeholders or set(placeholders) - {"email", "user"}:
        remedy = "Write `{email}` or `{user}` in the place of the person's name."
        raise InvalidValue("This address is the same for everybody.", remedy)
    return text
