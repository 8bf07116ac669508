"""The sections of the settings: every key with its default and its bounds.

A parser raises InvalidValue for a value that can't be used; `load` adds the file, the line and the key.
"""

import re
from collections.abc import Callable
from datetime import timedelta
from ipaddress import ip_address
from pathlib import Path
from string import Formatter
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, PlainValidator, ValidationInfo

from worker.domain.model import Address, Interval
from worker.domain.reason_texts import N_
from worker.settings.parsers import (
    SESSION_MINUTES,
    InvalidValue,
    make_choice_parser,
    parse_address,
    parse_interval,
    parse_listen_address,
    parse_listen_range,
    shorten_value,
)
from worker.settings.url_parsers import make_url_parser, parse_caldav_url, parse_folder_url, parse_notify_url

_DURATION = re.compile(r"(\d{1,6})\s*(second|minute|hour|day|week)s?", re.ASCII)
_UNITS = {unit: timedelta(**{f"{unit}s": 1}) for unit in ("second", "minute", "hour", "day", "week")}


# --- parsers of single values ----------------------------------------------------------------------------------------


def parse_duration(text: str) -> timedelta:
    """Parse a length of time: `30 seconds`, `5 minutes`, `1 day`. Raises InvalidValue."""
    match = _DURATION.fullmatch(" ".join(text.casefold().split()))
    if not match:
        raise InvalidValue(
            f"`{shorten_value(text)}` is not a length of time.", "Write `30 seconds`, `5 minutes` or `1 day`."
        )
    return int(match[1]) * _UNITS[match[2]]


def _parse_text(value: object) -> str:
    if not isinstance(value, str):
        raise InvalidValue("This is not text.", 'Put it in quotes: `"…"`.')
    if any(ord(char) < 32 or ord(char) == 127 for char in value.strip()):
        raise InvalidValue("There is a line break or a control character in this text.", "Keep it on one line.")
    return value.strip()


def validate_text(parser: Callable[[str], Any]) -> PlainValidator:
    """Return a validator that requires text and parses it."""
    return PlainValidator(lambda value: parser(_parse_text(value)))


def validate_optional_text(parser: Callable[[str], Any]) -> PlainValidator:
    """Return a validator that parses text, and accepts empty text as it is."""
    return PlainValidator(lambda value: parser(text) if (text := _parse_text(value)) else "")


def _validate_integer(low: int, high: int) -> PlainValidator:
    def parse(value: object) -> int:
        if type(value) is not int or not low <= value <= high:
            raise InvalidValue(f"This is not a whole number from {low} to {high}.", "Write one, without quotes.")
        return value

    return PlainValidator(parse)


def validate_duration(low: str, high: str) -> PlainValidator:
    """Return a validator of a length of time between two others, both included."""

    def parse(text: str) -> timedelta:
        length = parse_duration(text)
        if not parse_duration(low) <= length <= parse_duration(high):
            raise InvalidValue(
                f"`{shorten_value(text)}` is too short or too long.", f"Write something from `{low}` to `{high}`."
            )
        return length

    return validate_text(parse)


def _validate_template(*names: str, required: bool = False) -> PlainValidator:
    """Return a validator of text that may contain `{name}` for each of these names, and no other placeholder."""

    def parse(text: str) -> str:
        if required and not text:
            raise InvalidValue("This text is empty.", "Write a text, or leave the key out.")
        placeholders = ", ".join(f"`{{{name}}}`" for name in names)
        try:
            parts = [
                (name, spec, conversion) for _, name, spec, conversion in Formatter().parse(text) if name is not None
            ]
        except ValueError:
            raise InvalidValue("The braces in this text don't match.", f"It may contain {placeholders}.") from None
        if any(name not in names or spec or conversion for name, spec, conversion in parts):
            raise InvalidValue("This text has an unknown placeholder.", f"It may contain {placeholders}.")
        return text

    return validate_text(parse)


def _parse_ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise InvalidValue(
            f"`{shorten_value(text)}` is not an IP address.", "Write one, as `10.0.0.7`, or nothing."
        ) from None


def parse_path(value: object, info: ValidationInfo) -> Path:
    """Parse a path. A relative one starts at the folder of the settings file."""
    text = str(value) if isinstance(value, Path) else _parse_text(value)
    if not text:
        raise InvalidValue("The path is empty.", "Write the path, or leave the key out.")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise InvalidValue(
            f"`{shorten_value(Path(text).parts[0])}` names no user of this machine.", "Write the whole path."
        ) from None
    return Path((info.context or {}).get("folder", Path()), path)


def _parse_reminders(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not all(
        type(minutes) is int and 0 <= minutes <= 40320 for minutes in value
    ):
        raise InvalidValue(
            "This is not a list of minutes.", "Write for example `[15]`, or `[]` for none; at most four weeks."
        )
    return tuple(sorted(value, reverse=True))


def _parse_months(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not all(type(month) is int and 1 <= month <= 12 for month in value):
        raise InvalidValue("This is not a list of months.", "Write for example `[3, 9]`, or `[]` for none.")
    return tuple(sorted(set(value)))


def _parse_default_minutes(value: object, info: ValidationInfo) -> int:
    lowest = max(SESSION_MINUTES.start, info.data.get("min_minutes", 0))
    highest = SESSION_MINUTES.stop - 1
    if type(value) is not int or not lowest <= value <= highest:
        raise InvalidValue(
            f"This is not a whole number from {lowest} to {highest}.", "It can't be under `min_minutes`."
        )
    return value


def _parse_domain(value: object, info: ValidationInfo) -> str:
    """Parse the domain of Message-IDs. Its default is that of the sender."""
    domain = _parse_text(value).casefold()
    try:
        return parse_address(f"id@{domain}" if domain else info.data.get("sender", "id@localhost")).partition("@")[2]
    except InvalidValue:
        raise InvalidValue(
            f"`{shorten_value(domain)}` is not a domain.", "Write it as `example.com`, or leave the key out."
        ) from None


def _parse_level(text: str) -> str:
    return make_choice_parser(("debug", "info", "warning", "error"))(text).upper()


Text = Annotated[str, PlainValidator(_parse_text)]
PathText = Annotated[Path, PlainValidator(parse_path)]
_NamesTemplate = Annotated[str, _validate_template("manager", "report")]
_TitleTemplate = Annotated[str, _validate_template("manager", "report", required=True)]
_Every = Annotated[Interval, validate_text(parse_interval)]
_Timeout = Annotated[timedelta, validate_duration("1 second", "10 minutes")]


# --- sections --------------------------------------------------------------------------------------------------------


class Section(BaseModel):
    """A section of the settings file: strict about types, and refuses unknown keys."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class RuleSettings(Section):
    """Settings of the time rules (T-1 and following), each within the bounds of its rule."""

    ahead: Annotated[int, _validate_integer(1, 2)] = 1
    default_every: _Every = Interval(weeks=13)
    transition_every: _Every = Interval(weeks=6)
    min_minutes: Annotated[int, _validate_integer(60, 90)] = 60
    min_by_hand: Annotated[int, _validate_integer(45, 60)] = 45
    default_minutes: Annotated[int, PlainValidator(_parse_default_minutes), Field(validate_default=True)] = 75
    review_minutes: Annotated[int, _validate_integer(20, 30)] = 25
    checkin_minutes: Annotated[int, _validate_integer(10, 15)] = 15
    commitment_minutes: Annotated[int, _validate_integer(15, 60)] = 30
    first_spread: Annotated[Interval | None, validate_text(parse_interval)] = None
    max_cancels: Annotated[int, _validate_integer(1, 10_000)] = 20


class EventSettings(Section):
    """The texts of events. The defaults name no topic, since others may see the calendar (R-23), and are written in the
    organizer's language; texts of the company's own stay as they are.

    `commitment_text` is the content of the private event of a commitment: its text, a link to its page, or nothing.
    """

    subject: _TitleTemplate = N_("Career conversation: {manager} and {report}")
    review_subject: _TitleTemplate = N_("Contract review: {manager} and {report}")
    checkin_subject: _TitleTemplate = N_("Check-in: {manager} and {report}")
    commitment_subject: _TitleTemplate = N_("A promise to {report}")
    commitment_text: Annotated[str, validate_text(make_choice_parser(("text", "link", "none")))] = "text"
    body: _NamesTemplate = N_("Time kept for {manager} and {report}. What is said stays between the two of you.")
    video: bool = False
    reminders: Annotated[tuple[int, ...], PlainValidator(_parse_reminders)] = (15,)


class CalDavSettings(Section):
    """`url` contains `{email}` or `{user}`. `attendee_copies`: Longarc writes the event to the attendee's calendar
    itself, because the server delivers no invitations."""

    url: Annotated[str, validate_optional_text(parse_caldav_url)] = ""
    username: Text = ""
    attendee_copies: bool = False
    timeout: _Timeout = timedelta(seconds=20)


class OutlookSettings(Section):
    """Microsoft 365: an app of the tenant, or one manager's own account (`account`).

    The secret of the app, or the passphrase of its certificate, comes from the environment.
    """

    endpoint: Annotated[str, validate_text(make_url_parser("https", "http"))] = "https://graph.microsoft.com/v1.0"
    authority: Annotated[str, validate_text(make_url_parser("https"))] = "https://login.microsoftonline.com"
    tenant: Text = ""
    client_id: Text = ""
    certificate: PathText | None = None
    account: Annotated[Address, validate_optional_text(parse_address)] = ""
    account_file: Annotated[PathText, Field(validate_default=True)] = Path("var/outlook-account")
    teams: bool = True
    ca_file: PathText | None = None
    timeout: _Timeout = timedelta(seconds=30)


class OutlookMailSettings(Section):
    """Mail uses the connection of [calendars.outlook]. `exactly_once` needs the permission to read and write mail."""

    exactly_once: bool = False


class SmtpSettings(Section):
    """Port 0 means the default port of the chosen `security`."""

    host: Text = "localhost"
    port: Annotated[int, _validate_integer(0, 65535)] = 0
    username: Text = ""
    security: Annotated[str, validate_text(make_choice_parser(("starttls", "tls", "none")))] = "starttls"
    ca_file: PathText | None = None
    timeout: _Timeout = timedelta(seconds=20)


class _GoogleSettings(Section):
    """Access to Google: by the key file of a service account, or by connected accounts."""

    service_account: PathText | None = None
    client_id: Text = ""
    token_folder: Annotated[PathText, Field(validate_default=True)] = Path("var/google")
    token_endpoint: Annotated[str, validate_text(make_url_parser("https", "http"))] = (
        "https://oauth2.googleapis.com/token"  # noqa: S105
    )
    auth_endpoint: Annotated[str, validate_text(make_url_parser("https", "http"))] = (
        "https://accounts.google.com/o/oauth2/v2/auth"
    )
    timeout: _Timeout = timedelta(seconds=20)


class GoogleCalendarSettings(_GoogleSettings):
    """`per_person` and `per_project` limit requests per minute, below the quotas of Google (600 and 10,000)."""

    endpoint: Annotated[str, validate_text(parse_folder_url)] = "https://www.googleapis.com/calendar/v3/"
    per_person: Annotated[int, _validate_integer(10, 100_000)] = 500
    per_project: Annotated[int, _validate_integer(10, 10_000_000)] = 9_000


class GmailSettings(_GoogleSettings):
    """Without `sender`, each mail is sent by the account in its From.

    `per_person` and `per_project` limit quota units per minute; a message costs 100.
    """

    endpoint: Annotated[str, validate_text(parse_folder_url)] = "https://gmail.googleapis.com/"
    sender: Annotated[Address, validate_optional_text(parse_address)] = ""
    per_person: Annotated[int, _validate_integer(100, 100_000)] = 5_000
    per_project: Annotated[int, _validate_integer(100, 100_000_000)] = 1_000_000


class MaildirSettings(Section):
    """Mail as files in a folder, for trials."""

    folder: Annotated[PathText, Field(validate_default=True)] = Path("var/mail")


class MemorySettings(Section):
    """The in-memory provider has no settings."""


class CalendarSettings(Section):
    """One section for each calendar service."""

    caldav: CalDavSettings = CalDavSettings()
    google: GoogleCalendarSettings = Field(default_factory=GoogleCalendarSettings)
    outlook: OutlookSettings = Field(default_factory=OutlookSettings)
    memory: MemorySettings = MemorySettings()


class MailerSettings(Section):
    """One section for each mail service."""

    smtp: SmtpSettings = SmtpSettings()
    google: GmailSettings = Field(default_factory=GmailSettings)
    maildir: MaildirSettings = Field(default_factory=MaildirSettings)
    outlook: OutlookMailSettings = OutlookMailSettings()
    memory: MemorySettings = MemorySettings()


class MailSettings(Section):
    """The sender and the content of mails."""

    sender: Annotated[Address, validate_text(parse_address), Field(alias="from")] = "longarc@localhost"
    domain: Annotated[str, PlainValidator(_parse_domain), Field(validate_default=True)] = ""
    operator_by: Annotated[str, validate_text(make_choice_parser(tuple(MailerSettings.model_fields)))] = "smtp"
    send_as: Annotated[str, validate_text(make_choice_parser(("service", "manager")))] = "service"
    content: Annotated[str, validate_text(make_choice_parser(("full", "link")))] = "full"


class SyncSettings(Section):
    """`every`: how often changes of calendars are read; `near`: how often while something is about to happen there.

    `full_every`: how often whole calendars are read. `notify_url`: the public address of the pages' server, at which
    Google and Microsoft tell of changes, so that calendars are read seldom and yet soon after a change; empty for none.
    """

    every: Annotated[timedelta, validate_duration("1 minute", "24 hours")] = timedelta(minutes=5)
    near: Annotated[timedelta, validate_duration("1 minute", "24 hours")] = timedelta(minutes=1)
    notify_url: Annotated[str, validate_optional_text(parse_notify_url)] = ""
    full_every: Annotated[timedelta, validate_duration("1 hour", "7 days")] = timedelta(days=1)


class PageSettings(Section):
    """Where pages are served, and how long a link (`link_lifetime`) and a log-in by a link (`visit`) are valid.

    `per_minute` limits the requests of one person. `sign_in`: whether links ask for a sign-in, too.
    `outside_voices`: a report may also ask somebody whose address is at a domain that no address of the people file has
    (R-30).
    """

    listen: Annotated[str, validate_text(parse_listen_address)] = "127.0.0.1:8030"
    proxy: Annotated[str, validate_optional_text(_parse_ip)] = "127.0.0.1"
    link_lifetime: Annotated[timedelta, validate_duration("1 hour", "13 weeks")] = timedelta(days=30)
    visit: Annotated[timedelta, validate_duration("10 minutes", "7 days")] = timedelta(hours=8)
    per_minute: Annotated[int, _validate_integer(20, 10_000)] = 120
    outside_voices: bool = False
    sign_in: Annotated[str, validate_text(make_choice_parser(("optional", "required")))] = "optional"


class PulseSettings(Section):
    """The months in which each report is asked, anonymously, for a yes or a no: can you see a future here? (R-37)"""

    months: Annotated[tuple[int, ...], PlainValidator(_parse_months)] = (3, 9)


class MetricsSettings(Section):
    """`listen`: where metrics are served for Prometheus, at one port or the first free of several; empty: nowhere."""

    listen: Annotated[str, validate_optional_text(parse_listen_range)] = ""


class LogSettings(Section):
    """`level` is the name of a level of `logging`."""

    level: Annotated[str, validate_text(_parse_level)] = "INFO"
    format: Annotated[str, validate_text(make_choice_parser(("text", "json")))] = "text"
