"""Parsers of the answers of `longarc init`. Each returns the answer as it is saved, or raises InvalidValue."""

import json
import re
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

from worker.errors import explain_missing_extra
from worker.settings.parsers import InvalidValue, make_choice_parser, parse_addresses, parse_boolean
from worker.setup.ways import Way

#: The answer that names the directory of the company as the source of people, instead of a people file.
DIRECTORY = "directory"

#: The packages that the servers for a trial need.
_EMBEDDED_PACKAGES = ("radicale", "aiosmtpd")


def parse_way(text: str) -> str:
    """Return the name of a way. Raises InvalidValue, also when the packages that the way needs are not installed."""
    way = make_choice_parser([way.value for way in Way])(text)
    if way == Way.EMBEDDED and not all(find_spec(name) for name in _EMBEDDED_PACKAGES):
        remedy = f"Take another way. Or: {explain_missing_extra('embedded')}"
        raise InvalidValue("The servers for a trial are not installed.", remedy)
    return way


def parse_yes_or_no(text: str) -> str:
    """Return `yes` or `no`. `y`, `n` and all that a setting accepts are accepted. Raises InvalidValue."""
    word = {"y": "yes", "n": "no"}.get(text.casefold(), text)
    return "yes" if parse_boolean(word) else "no"


def keep_as_text(parse: Callable[[str], object]) -> Callable[[str], str]:
    """Return a parser that calls `parse` and returns the result as text."""
    return lambda text: str(parse(text))


def parse_list(text: str) -> str:
    """Return a list of texts that are separated by commas, with a blank after each comma."""
    return ", ".join(split_list(text))


def split_list(text: str) -> list[str]:
    """Return the texts that are separated by commas, without blanks around them and without empty ones."""
    return [part for part in (piece.strip() for piece in text.split(",")) if part]


def parse_address_list(text: str) -> str:
    """Return the mail addresses in a text, with a comma and a blank between them. Raises InvalidValue."""
    return ", ".join(parse_addresses(text))


def parse_file(text: str) -> str:
    """Return the absolute path of a file that can be read. Raises InvalidValue."""
    path = Path(text).expanduser().absolute()
    try:
        with path.open("rb") as opened:
            opened.read(1)
    except OSError as error:
        raise InvalidValue(
            f"`{text}` can't be read: {error.strerror}.", "Write the path of a file that exists."
        ) from None
    return str(path)


def parse_google_key(text: str) -> str:
    """Return the path of a service account's key file. Raises InvalidValue."""
    path = parse_file(text)
    try:
        content = json.loads(Path(path).read_bytes())
        is_key = isinstance(content, dict) and content.get("type") == "service_account"
    except ValueError:
        is_key = False
    if not is_key:
        raise InvalidValue(
            f"`{text}` is not the key file of a service account.",
            "Download a key as JSON: console.cloud.google.com, IAM & Admin, Service accounts, Keys, Add key.",
        )
    return path


def parse_certificate(text: str) -> str:
    """Return the path of a PEM file with a private key and a certificate. Raises InvalidValue."""
    path = parse_file(text)
    content = Path(path).read_bytes()
    markers = (b"PRIVATE KEY-----", b"BEGIN CERTIFICATE-----")
    if not all(marker in content for marker in markers):
        raise InvalidValue(
            f"`{text}` does not hold a private key and a certificate.", "Put both, as PEM, into one file."
        )
    return path


def parse_people(text: str) -> str:
    """Return `directory`, or the path of a people file. Raises InvalidValue."""
    return DIRECTORY if text.casefold() == DIRECTORY else parse_file(text)


def parse_identifier(text: str) -> str:
    """Return the text if it is an id, such as that of a tenant or an app. Raises InvalidValue."""
    if not re.fullmatch(r"[A-Za-z0-9._-]+", text):
        raise InvalidValue("This is not an id.", "Copy it from the page that shows it; it has letters, digits and `-`.")
    return text


def parse_port(text: str) -> str:
    """Return the number of a port, or 0. Raises InvalidValue."""
    if not (text.isascii() and text.isdigit() and int(text) < 65536):
        raise InvalidValue(f"`{text}` is not a port.", "Write a number from 1 to 65535, or 0 for the usual port.")
    return str(int(text))


def parse_host(text: str) -> str:
    """Return the text if it is the name or address of a server. Raises InvalidValue."""
    if not re.fullmatch(r"[A-Za-z0-9.:_-]+", text):
        raise InvalidValue(
            f"`{text}` is not the name of a server.", "Write it as `mail.example.com`, without https://."
        )
    return text
