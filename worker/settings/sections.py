"""The sections of the settings, with the default and the bounds of every key.

`config/longarc.example.toml` explains every key. A parser raises InvalidValue for a value that can't be used. The
module `load` adds the file, the line and the key.
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

#: Matches a length of time, such as `30 seconds` or `1 day`.
_DURATION = re.compile(r"(\d{1,6})\s*(second|minute|hour|day|week)s?", re.ASCII)
_FIRST_PRINTABLE = " "
_DELETE = "\x7f"  #: the only control character after the printable characters of ASCII
_MAX_REMINDER_MINUTES = 40_320  #: four weeks
_UNITS = {unit: timedelta(**{f"{unit}s": 1}) for unit in ("second", "minute", "hour", "day", "week")}


# --- parsers of single values ----------------------------------------------------------------------------------------


def parse_duration(text: str) -> timedelta:
    """Return a length of time, which is written as `30 seconds`, `5 minutes` or `1 day`. Raises InvalidValue."""
    match = _DURATION.fullmatch(" ".join(text.casefold().split()))
    if not match:
        raise InvalidValue(
            f"`{shorten_value(text)}` is not a length of time.", "Write `30 seconds`, `5 minutes` or `1 day`."
        )
    return int(match[1]) * _UNITS[match[2]]


def _parse_text(value: object) -> str:
    """Return the value, without blanks at its ends, if it is text in one line. Raises InvalidValue."""
    if not isinstance(value, str):
        raise InvalidValue("This is not text.", 'Put it in quotes: `"…"`.')
    if any(char < _FIRST_PRINTABLE or char == _DELETE for char in value.strip()):
        raise InvalidValue("There is a line break or a control character in this text.", "Write it in one line.")
    return value.strip()


def validate_text(parser: Callable[[str], Any]) -> PlainValidator:
    """Return a validator that accepts text that the parser accepts, and returns what the parser returns."""
    return PlainValidator(lambda value: parser(_parse_text(value)))


def validate_optional_text(parser: Callable[[str], Any]) -> PlainValidator:
    """Return a validator as `validate_text` does, which also accepts empty text and returns it unchanged."""
    return PlainValidator(lambda value: parser(text) if (text := _parse_text(value)) else "")


def _validate_integer(lowest: int, highest: int) -> PlainValidator:
    def parse(value: object) -> int:
        if type(value) is not int or not lowest <= value <= highest:  # a boolean is an instance of int
            what = f"This is not a whole number from {lowest} to {highest}."
            raise InvalidValue(what, "Write such a number, without quotes.")
        return value

    return PlainValidator(parse)


def validate_duration(shortest: str, longest: str) -> PlainValidator:
    """Return a validator that accepts a length of time from `shortest` to `longest`, both included."""

    def parse(text: str) -> timedelta:
        duration = parse_duration(text)
        if not parse_duration(shortest) <= duration <= parse_duration(longest):
            what = f"`{shorten_value(text)}` is too short or too long."
            raise InvalidValue(what, f"Write a length of time from `{shortest}` to `{longest}`.")
        return duration

    return validate_text(parse)


def _validate_template(*names: str, required: bool = False) -> PlainValidator:
    """Return a validator of text in which only the placeholders `{name}` for each of these names are allowed.

    With `required`, the text must not be empty.
    """

    def parse(text: str) -> str:
        if required and not text:
            raise InvalidValue("This text is empty.", "Write a text, or remove the key.")
        allowed = ", ".join(f"`{{{name}}}`" for name in names)
        try:
            fields = [
                (name, format_spec, conversion)
                for _, name, format_spec, conversion in Formatter().parse(text)
                if name is not None
            ]
        except ValueError:
            raise InvalidValue("The braces in this text don't match.", f"It may contain {allowed}.") from None
        if any(name not in names or format_spec or conversion for name, format_spec, conversion in fields):
            raise InvalidValue("This text has an unknown placeholder.", f"It may contain {allowed}.")
        return text

    return validate_text(parse)


def _parse_ip(text: str) -> str:
    try:
        return str(ip_address(text))
    except ValueError:
        raise InvalidValue(
            f"`{shorten_value(text)}` is not an IP address.", "Write an IP address, as `10.0.0.7`, or nothing."
        ) from None


def parse_path(value: object, info: ValidationInfo) -> Path:
    """Return a path. A relative path starts at the folder of the settings file. Raises InvalidValue."""
    text = str(value) if isinstance(value, Path) else _parse_text(value)
    if not text:
        raise InvalidValue("The path is empty.", "Write a path, or remove the key.")
    try:
        path = Path(text).expanduser()
    except RuntimeError:
        raise InvalidValue(
            f"`{shorten_value(Path(text).parts[0])}` names no user of this machine.", "Write the absolute path."
        ) from None
    return Path((info.context or {}).get("folder", Path()), path)


def _parse_reminders(value: object) -> tuple[int, ...]:
    if not isinstance(value, list | tuple) or not all(
        type(minutes) is int and 0 <= minutes <= _MAX_REMINDER_MINUTES for minutes in value
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
    """Return the default length of a career session, which can't be less than `min_minutes`. Raises InvalidValue."""
    lowest = max(SESSION_MINUTES.start, info.data.get("min_minutes", 0))
    highest = SESSION_MINUTES.stop - 1
    if type(value) is not int or not lowest <= value <= highest:
        raise InvalidValue(
            f"This is not a whole number from {lowest} to {highest}.", "It can't be less than `min_minutes`."
        )
    return value


def _parse_domain(value: object, info: ValidationInfo) -> str:
    """Return the domain of Message-IDs: the value, or by default the domain of the sender. Raises InvalidValue."""
    domain = _parse_text(value).casefold()
    try:
        return parse_address(f"id@{domain}" if domain else info.data.get("sender", "id@localhost")).partition("@")[2]
    except InvalidValue:
        raise InvalidValue(
            f"`{shorten_value(domain)}` is not a domain.", "Write it as `example.com`, or remove the key."
        ) from None


def _parse_level(text: str) -> str:
    return make_choice_parser(("debug", "info", "warning", "error"))(text).upper()


Text = Annotated[str, PlainValidator(_parse_text)]
PathText = Annotated[Path, PlainValidator(parse_path)]
_NamesTemplate = Annotated[str, _validate_template("manager", "report")]
_TitleTemplate = Annotated[str, _validate_template("manager", "report", required=True)]
_Rhythm = Annotated[Interval, validate_text(parse_interval)]
_Timeout = Annotated[timedelta, validate_duration("1 second", "10 minutes")]


# --- sections --------------------------------------------------------------------------------------------------------


class Section(BaseModel):
    """A section of the settings file. Values are not converted to other types, and unknown keys are refused."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True, hide_input_in_errors=True)


class RuleSettings(Section):
    """Settings of the rules about time (T-1 and following), each within the bounds that its rule allows.

    `ahead` is how many career sessions a pair has on the calendar in advance. `min_by_hand` is the shortest session
    that a person may choose. All pairs of a manager that have never met or are overdue meet within `first_spread`. A
    sweep or an import of the roster that would cancel more than `max_cancels` events is refused.
    """

    ahead: Annotated[int, _validate_integer(1, 2)] = 1
    default_every: _Rhythm = Interval(weeks=13)
    transition_every: _Rhythm = Interval(weeks=6)
    min_minutes: Annotated[int, _validate_integer(60, 90)] = 60
    min_by_hand: Annotated[int, _validate_integer(45, 60)] = 45
    default_minutes: Annotated[int, PlainValidator(_parse_default_minutes), Field(validate_default=True)] = 75
    review_minutes: Annotated[int, _validate_integer(20, 30)] = 25
    checkin_minutes: Annotated[int, _validate_integer(10, 15)] = 15
    commitment_minutes: Annotated[int, _validate_integer(15, 60)] = 30
    first_spread: Annotated[Interval | None, validate_text(parse_interval)] = None
    max_cancels: Annotated[int, _validate_integer(1, 10_000)] = 20


class EventSettings(Section):
    """The texts of events.

    The default texts name no topic, because others may see the calendar (R-23). They are translated into the
    organizer's language, while a company's own texts are used as they are. `commitment_text` says what the private
    event of a commitment contains: the text of the commitment, a link to its page, or nothing.
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
    """A CalDAV server.

    `url` is the address of a person's calendar, with `{email}` or `{user}` in it. With `attendee_copies`, Longarc
    itself writes events to the attendees' calendars, because the server delivers no invitations.
    """

    url: Annotated[str, validate_optional_text(parse_caldav_url)] = ""
    username: Text = ""
    attendee_copies: bool = False
    timeout: _Timeout = timedelta(seconds=20)


class OutlookSettings(Section):
    """The connection to Microsoft 365: by an app of the tenant, or by one manager's own `account`.

    The secret of the app, or the passphrase of its certificate, is in the environment. `account_file` holds the grant
    of the `account`, sealed. `teams` says whether events with video get a link to Teams.
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
    """Mail by Microsoft 365, over the connection of [calendars.outlook].

    With `exactly_once`, each mail is sent exactly once, which needs the permission to read and write mail.
    """

    exactly_once: bool = False


class SmtpSettings(Section):
    """An SMTP server. Port 0 stands for the default port of the chosen `security`."""

    host: Text = "localhost"
    port: Annotated[int, _validate_integer(0, 65535)] = 0
    username: Text = ""
    security: Annotated[str, validate_text(make_choice_parser(("starttls", "tls", "none")))] = "starttls"
    ca_file: PathText | None = None
    timeout: _Timeout = timedelta(seconds=20)


class _GoogleSettings(Section):
    """Access to Google by the service account whose key file is `service_account`, or else by connected accounts."""

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
    """Google Calendar.

    `per_person` and `per_project` are the most requests a minute. Google's own quotas are 600 and 10,000.
    """

    endpoint: Annotated[str, validate_text(parse_folder_url)] = "https://www.googleapis.com/calendar/v3/"
    per_person: Annotated[int, _validate_integer(10, 100_000)] = 500
    per_project: Annotated[int, _validate_integer(10, 10_000_000)] = 9_000


class GmailSettings(_GoogleSettings):
    """Gmail. Without a `sender`, each mail is sent by the account in its From.

    `per_person` and `per_project` are the most quota units a minute. Sending a message costs 100 units.
    """

    endpoint: Annotated[str, validate_text(parse_folder_url)] = "https://gmail.googleapis.com/"
    sender: Annotated[Address, validate_optional_text(parse_address)] = ""
    per_person: Annotated[int, _validate_integer(100, 100_000)] = 5_000
    per_project: Annotated[int, _validate_integer(100, 100_000_000)] = 1_000_000


class MaildirSettings(Section):
    """Mail that is written to files in a folder, for trials."""

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
    """The sender and the content of mails.

    `domain` is that of the Message-IDs. `operator_by` is the mail service for mails to the operator. `send_as` says
    which mailbox sends mails with content: with `service` that of the address `from`, with `manager` the manager's own.
    `content` says whether these mails hold the content in full, or only a link to the page that shows it.
    """

    sender: Annotated[Address, validate_text(parse_address), Field(alias="from")] = "longarc@localhost"
    domain: Annotated[str, PlainValidator(_parse_domain), Field(validate_default=True)] = ""
    operator_by: Annotated[str, validate_text(make_choice_parser(tuple(MailerSettings.model_fields)))] = "smtp"
    send_as: Annotated[str, validate_text(make_choice_parser(("service", "manager")))] = "service"
    content: Annotated[str, validate_text(make_choice_parser(("full", "link")))] = "full"


class SyncSettings(Section):
    """How often calendars are read.

    The changes of a calendar are read after `every`, or after `near` while a session on it is near. The whole calendar
    is read after `full_every`. `notify_url` is the public URL of the pages' server, to which Google and Microsoft post
    notifications. With it, calendars are polled less often, and read soon after each change.
    """

    every: Annotated[timedelta, validate_duration("1 minute", "24 hours")] = timedelta(minutes=5)
    near: Annotated[timedelta, validate_duration("1 minute", "24 hours")] = timedelta(minutes=1)
    notify_url: Annotated[str, validate_optional_text(parse_notify_url)] = ""
    full_every: Annotated[timedelta, validate_duration("1 hour", "7 days")] = timedelta(days=1)


class PageSettings(Section):
    """How the pages are served.

    A link in a mail is valid for `link_lifetime`, and the login by a link or a sign-in for `visit`. `proxy` is the IP
    address of the reverse proxy. `per_minute` is the most requests of one person a minute. `sign_in` says whether links
    require a sign-in as well. With `outside_voices`, a report may also ask somebody outside of the company: a third
    voice at a domain that no address in the people file has (R-30).
    """

    listen: Annotated[str, validate_text(parse_listen_address)] = "127.0.0.1:8030"
    proxy: Annotated[str, validate_optional_text(_parse_ip)] = "127.0.0.1"
    link_lifetime: Annotated[timedelta, validate_duration("1 hour", "13 weeks")] = timedelta(days=30)
    visit: Annotated[timedelta, validate_duration("10 minutes", "7 days")] = timedelta(hours=8)
    per_minute: Annotated[int, _validate_integer(20, 10_000)] = 120
    outside_voices: bool = False
    sign_in: Annotated[str, validate_text(make_choice_parser(("optional", "required")))] = "optional"


class PulseSettings(Section):
    """The pulse: the anonymous question to each report, "can you see a future here?" (R-37).

    `months` are the months in which it is asked.
    """

    months: Annotated[tuple[int, ...], PlainValidator(_parse_months)] = (3, 9)


class MetricsSettings(Section):
    """Metrics for Prometheus. They are served at the first free port of `listen`, or not at all when it is empty."""

    listen: Annotated[str, validate_optional_text(parse_listen_range)] = ""


class LogSettings(Section):
    """The log. `level` is the name of a level of the module `logging`."""

    level: Annotated[str, validate_text(_parse_level)] = "INFO"
    format: Annotated[str, validate_text(make_choice_parser(("text", "json")))] = "text"
