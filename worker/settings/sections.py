"""The sections of the settings: every key with its default and its bounds.

A value that can't be used raises `Unfit`; where it stands is added by whoever reads the file.
"""

import re
from collections.abc import Callable, Sequence
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from string import Formatter
from typing import Annotated, Any
from urllib.parse import unquote, urlsplit

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationInfo

from worker.domain.model import Address, Every
from worker.settings.parsers import MINUTES, Unfit, one_of, parse_address, parse_every, shorten_value

_DURATION = re.compile(r"(\d{1,6})\s*(second|minute|hour|day|week)s?", re.ASCII)
_PLACE = re.compile(r"\{([^{}]*)\}")
_HOST = re.compile(r"[\w-]{1,63}(\.[\w-]{1,63})*\.?")
#: What comes before a query: signs that mean nothing in a page either.
_BEGINNING = re.compile(r"[\w.~!$()*+,;=:@%/\[\]-]+")
#: What the address of a database may begin with.
_DATABASES = ("sqlite", "postgresql", "postgresql+psycopg")
_UNITS = {unit: timedelta(**{f"{unit}s": 1}) for unit in ("second", "minute", "hour", "day", "week")}


# --- readers of single values ---------------------------------------------------------------------------------------


def parse_duration(text: str) -> timedelta:
    """A length of time: `30 seconds`, `5 minutes`, `1 day`. Raises Unfit."""
    found = _DURATION.fullmatch(" ".join(text.casefold().split()))
    if not found:
        raise Unfit(f"`{shorten_value(text)}` is not a length of time.", "Write `30 seconds`, `5 minutes` or `1 day`.")
    return int(found[1]) * _UNITS[found[2]]


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise Unfit("This is not text.", 'Put it in quotes: `"…"`.')
    if any(ord(sign) < 32 or ord(sign) == 127 for sign in value.strip()):
        raise Unfit("There is a line break or a control character in this text.", "Keep it on one line.")
    return value.strip()


def as_text(reader: Callable[[str], Any]) -> PlainValidator:
    return PlainValidator(lambda value: reader(_text(value)))


def or_nothing(reader: Callable[[str], Any]) -> PlainValidator:
    return PlainValidator(lambda value: reader(text) if (text := _text(value)) else "")


def _whole(low: int, high: int) -> PlainValidator:
    def read(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise Unfit(f"This is not a whole number from {low} to {high}.", "Write one, without quotes.")
        return value

    return PlainValidator(read)


def _lasting(low: str, high: str) -> PlainValidator:
    def read(text: str) -> timedelta:
        length = parse_duration(text)
        if not parse_duration(low) <= length <= parse_duration(high):
            raise Unfit(
                f"`{shorten_value(text)}` is too short or too long.", f"Write something from `{low}` to `{high}`."
            )
        return length

    return as_text(read)


def _wording(*names: str, needed: bool = False) -> PlainValidator:
    """Text with places for these names."""

    def read(text: str) -> str:
        if needed and not text:
            raise Unfit("This text is empty.", "Write some words, or leave the key out.")
        places = ", ".join(f"`{{{name}}}`" for name in names)
        try:
            parts = [(name, spec, how) for _, name, spec, how in Formatter().parse(text) if name is not None]
        except ValueError:
            raise Unfit("The braces in this text don't match.", f"It may hold {places}.") from None
        if any(name not in names or spec or how for name, spec, how in parts):
            raise Unfit("There is a place in this text that nothing can fill.", f"It may hold {places}.")
        return text

    return as_text(read)


def url(*schemes: str) -> Callable[[str], str]:
    """Reads an address of one of these kinds, of a server that there can be. None of it is shown when it is wrong: it
    may hold a secret."""

    def read(text: str) -> str:
        try:
            parts = urlsplit(text)
            known = "://" in text and parts.scheme in schemes
        except ValueError:
            known = False
        if not known:
            raise _no_address(schemes)
        host = parts.hostname or ""
        if not (_HOST.fullmatch(host) or ":" in host):  # a number in brackets has colons
            raise Unfit("There is no server of such a name.", "Write its name behind `://`, as `example.com`.")
        _refuse_port(lambda: parts.port)
        return text

    return read


def _no_address(schemes: Sequence[str]) -> Unfit:
    either = " or ".join(f"`{scheme}://`" for scheme in schemes)
    return Unfit("This is not an address that can be used.", f"Begin it with {either}.")


def _refuse_port(port: Callable[[], int | None]) -> None:
    try:
        number = port()
        known = number is None or 0 < number < 65536
    except ValueError:
        known = False
    if not known:
        raise Unfit("There is no such port.", "Write a number from 1 to 65535 behind the colon, or leave both out.")


def parse_database(text: str) -> str:
    """A SQLite file, or the address of a PostgreSQL, of which nothing is shown. Raises Unfit."""
    scheme, _, rest = text.partition("://")
    if scheme not in _DATABASES or (scheme != "sqlite" and not rest):
        raise _no_address(_DATABASES)
    if scheme == "sqlite":
        if "?" in rest or not f"{rest}/".startswith("/") or rest.startswith("/~"):  # which would be a folder named ~
            remedy = "Write a path behind `sqlite:///`, and nothing else: `sqlite:///var/longarc.db`."
            raise Unfit("This is not the path of a SQLite file.", remedy)
        return text
    if "\0" in unquote(rest):
        raise Unfit("There is a control character in this address.", "Write a `%` in it as `%25`.")
    if rest.count("@") > 1:
        raise Unfit("There is more than one `@` in this address.", "Write one that belongs to the password as `%40`.")
    from sqlalchemy import make_url
    from sqlalchemy.exc import ArgumentError

    _refuse_port(lambda: make_url(text).port)
    server = make_url(text).set(drivername="postgresql+psycopg")
    try:
        server.get_dialect()().create_connect_args(server)
    except ArgumentError:
        raise Unfit("What stands behind the `?` in this address can't be used.", "Mend or remove it.") from None
    return text


def in_memory(database: str) -> bool:
    """Whether what is kept in that database is gone with the process."""
    scheme, _, rest = database.partition("://")
    return scheme == "sqlite" and (rest in ("", "/", "/:memory:") or rest.startswith("/file:"))


def parse_base_url(text: str) -> str:
    """Where the pages begin. It stands in every mail, with more behind it. Raises Unfit."""
    parts = urlsplit(url("https", "http")(text))
    if "@" in parts.netloc:
        raise Unfit("There is a user name in this address.", "Take it out: this address stands in every mail.")
    if not _BEGINNING.fullmatch(text):
        what = "There is a sign in this address that can't be in the beginning of one."
        raise Unfit(what, "Write it as `https://longarc.example.com`, or with a path behind that.")
    return text.rstrip("/")


def _folder_url(text: str) -> str:
    """The beginning of addresses: it ends with a stroke."""
    return f"{url('https', 'http')(text).rstrip('/')}/"


def _caldav_url(text: str) -> str:
    url("https", "http")(_PLACE.sub("x", text))
    places = _PLACE.findall(text)
    if not places or set(places) - {"email", "user"}:
        remedy = "Put `{email}` or `{user}` where the person's name goes."
        raise Unfit("This address is not one for each person.", remedy)
    return text


def _listen(text: str) -> str:
    host, _, port = text.rpartition(":")
    if not host or not (port.isascii() and port.isdigit() and len(port) < 6 and int(port) < 65536):
        raise Unfit(
            f"`{shorten_value(text)}` is no place to listen at.", "Write an address and a port: `127.0.0.1:8030`."
        )
    return text


def _ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise Unfit(f"`{shorten_value(text)}` is not an IP address.", "Write one, as `10.0.0.7`, or nothing.") from None


def read_path(value: object, info: ValidationInfo) -> Path:
    """Relative paths start at the folder of the settings file."""
    text = str(value) if isinstance(value, Path) else _text(value)
    if not text:
        raise Unfit("The path is empty.", "Write the path, or leave the key out.")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise Unfit(
            f"`{shorten_value(Path(text).parts[0])}` is nobody on this machine.", "Write the whole path."
        ) from None
    return Path((info.context or {}).get("folder", Path()), path)


def _reminders(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not all(type(one) is int and 0 <= one <= 40320 for one in value):
        raise Unfit("This is not a list of minutes.", "Write for example `[15]`, or `[]` for none; at most four weeks.")
    return tuple(sorted(value, reverse=True))


def _default_minutes(value: object, info: ValidationInfo) -> int:
    least = max(MINUTES.start, info.data.get("min_minutes", 0))
    most = MINUTES.stop - 1
    if type(value) is not int or not least <= value <= most:
        raise Unfit(f"This is not a whole number from {least} to {most}.", "It can't be under `min_minutes`.")
    return value


def _domain(value: object, info: ValidationInfo) -> str:
    """Where our Message-IDs live: by itself that of the sender."""
    given = _text(value).casefold()
    try:
        return parse_address(f"id@{given}" if given else info.data.get("sender", "id@localhost")).partition("@")[2]
    except Unfit:
        raise Unfit(
            f"`{shorten_value(given)}` is not a domain.", "Write it as `example.com`, or leave the key out."
        ) from None


def _level(text: str) -> str:
    return one_of(("debug", "info", "warning", "error"))(text).upper()


Text = Annotated[str, PlainValidator(_text)]
PathText = Annotated[Path, PlainValidator(read_path)]
_Names = Annotated[str, _wording("manager", "report")]
_Title = Annotated[str, _wording("manager", "report", needed=True)]
_Every = Annotated[Every, as_text(parse_every)]
_Timeout = Annotated[timedelta, _lasting("1 second", "10 minutes")]


# --- sections -------------------------------------------------------------------------------------------------------


class Section(BaseModel):
    """A part of the file: strict about types, closed to keys nobody knows."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class Rules(Section):
    """The company's choices within the rules of time."""

    ahead: Annotated[int, _whole(1, 2)] = 1
    default_every: _Every = Every(weeks=13)
    transition_every: _Every = Every(weeks=6)
    min_minutes: Annotated[int, _whole(60, 90)] = 60
    min_by_hand: Annotated[int, _whole(45, 60)] = 45
    default_minutes: Annotated[int, PlainValidator(_default_minutes), Field(validate_default=True)] = 75
    review_minutes: Annotated[int, _whole(20, 30)] = 25
    checkin_minutes: Annotated[int, _whole(10, 15)] = 15
    commitment_minutes: Annotated[int, _whole(15, 60)] = 30
    first_within_days: Annotated[int, _whole(3, 91)] = 21
    max_cancels: Annotated[int, _whole(1, 10_000)] = 20


class EventWords(Section):
    """What our events say. Neutral: anybody who sees the calendar may read it (R-23). `commitment_text`: what stands
    inside the private event of a promise; its words, the address of its page, or nothing."""

    subject: _Title = "Career conversation: {manager} and {report}"
    review_subject: _Title = "Contract review: {manager} and {report}"
    checkin_subject: _Title = "Check-in: {manager} and {report}"
    commitment_subject: _Title = "A promise to {report}"
    commitment_text: Annotated[str, as_text(one_of(("text", "link", "none")))] = "text"
    body: _Names = "Time kept for {manager} and {report}. What is said stays between the two of you."
    video: bool = False
    reminders: Annotated[tuple[int, ...], PlainValidator(_reminders)] = (15,)


class CalDav(Section):
    """`url` holds `{email}` or `{user}`. `attendee_copies`: the server delivers no invitations, so we do."""

    url: Annotated[str, or_nothing(_caldav_url)] = ""
    username: Text = ""
    attendee_copies: bool = False
    timeout: _Timeout = timedelta(seconds=20)


class Outlook(Section):
    """Microsoft 365: an app of the tenant's, or one manager's own account (`account`). Its secret, or what opens its
    certificate's key, comes from the environment."""

    endpoint: Annotated[str, as_text(url("https", "http"))] = "https://graph.microsoft.com/v1.0"
    authority: Annotated[str, as_text(url("https"))] = "https://login.microsoftonline.com"
    tenant: Text = ""
    client_id: Text = ""
    certificate: PathText | None = None
    account: Annotated[Address, or_nothing(parse_address)] = ""
    account_file: Annotated[PathText, Field(validate_default=True)] = Path("var/outlook-account")
    teams: bool = True
    ca_file: PathText | None = None
    timeout: _Timeout = timedelta(seconds=30)


class OutlookMail(Section):
    """Mail goes by the connection of the calendars. `exactly_once` needs the right to read and write mail."""

    exactly_once: bool = False


class Smtp(Section):
    """A port of 0 is the usual one for the security chosen."""

    host: Text = "localhost"
    port: Annotated[int, _whole(0, 65535)] = 0
    username: Text = ""
    security: Annotated[str, as_text(one_of(("starttls", "tls", "none")))] = "starttls"
    ca_file: PathText | None = None
    timeout: _Timeout = timedelta(seconds=20)


class _Google(Section):
    """Both ways in to Google: a service account's key file, or accounts that were connected."""

    service_account: PathText | None = None
    client_id: Text = ""
    token_folder: Annotated[PathText, Field(validate_default=True)] = Path("var/google")
    token_endpoint: Annotated[str, as_text(url("https", "http"))] = "https://oauth2.googleapis.com/token"  # noqa: S105
    auth_endpoint: Annotated[str, as_text(url("https", "http"))] = "https://accounts.google.com/o/oauth2/v2/auth"
    timeout: _Timeout = timedelta(seconds=20)


class GoogleCalendarSettings(_Google):
    """`per_person` and `per_project`: requests a minute, below what Google publishes (600 and 10,000)."""

    endpoint: Annotated[str, as_text(_folder_url)] = "https://www.googleapis.com/calendar/v3/"
    per_person: Annotated[int, _whole(10, 100_000)] = 500
    per_project: Annotated[int, _whole(10, 10_000_000)] = 9_000


class Gmail(_Google):
    """Without `sender`, each mail is sent as the account that its From names. A message costs 100 units."""

    endpoint: Annotated[str, as_text(_folder_url)] = "https://gmail.googleapis.com/"
    sender: Annotated[Address, or_nothing(parse_address)] = ""
    per_person: Annotated[int, _whole(100, 100_000)] = 5_000
    per_project: Annotated[int, _whole(100, 100_000_000)] = 1_000_000


class Maildir(Section):
    """Mail as files in a folder, for trying things out."""

    folder: Annotated[PathText, Field(validate_default=True)] = Path("var/mail")


class Memory(Section):
    """The reference provider has nothing to set."""


class CalendarSettings(Section):
    """One section for each calendar service there is."""

    caldav: CalDav = CalDav()
    google: GoogleCalendarSettings = Field(default_factory=GoogleCalendarSettings)
    outlook: Outlook = Field(default_factory=Outlook)
    memory: Memory = Memory()


class Mailers(Section):
    """One section for each mail service there is."""

    smtp: Smtp = Smtp()
    google: Gmail = Field(default_factory=Gmail)
    maildir: Maildir = Field(default_factory=Maildir)
    outlook: OutlookMail = OutlookMail()
    memory: Memory = Memory()


class Mail(Section):
    """Who our mail comes from, what it holds, and a line about a leader's own learning (R-25)."""

    sender: Annotated[Address, as_text(parse_address), Field(alias="from")] = "longarc@localhost"
    domain: Annotated[str, PlainValidator(_domain), Field(validate_default=True)] = ""
    operator_by: Annotated[str, as_text(one_of(tuple(Mailers.model_fields)))] = "smtp"
    learning: Text = ""
    send_as: Annotated[str, as_text(one_of(("service", "manager")))] = "service"
    content: Annotated[str, as_text(one_of(("full", "link")))] = "full"


class SyncSettings(Section):
    """How often calendars are looked at, and how often in full."""

    every: Annotated[timedelta, _lasting("1 minute", "24 hours")] = timedelta(minutes=5)
    full_every: Annotated[timedelta, _lasting("1 hour", "7 days")] = timedelta(days=1)


class Pages(Section):
    """Where the pages are served, and for how long a link and a visit hold."""

    listen: Annotated[str, as_text(_listen)] = "127.0.0.1:8030"
    proxy: Annotated[str, or_nothing(_ip)] = "127.0.0.1"
    link_lifetime: Annotated[timedelta, _lasting("1 hour", "13 weeks")] = timedelta(days=30)
    visit: Annotated[timedelta, _lasting("10 minutes", "7 days")] = timedelta(hours=8)
    per_minute: Annotated[int, _whole(20, 10_000)] = 120


class Log(Section):
    """`level` is one of the names of `logging`."""

    level: Annotated[str, as_text(_level)] = "INFO"
    format: Annotated[str, as_text(one_of(("text", "json")))] = "text"
