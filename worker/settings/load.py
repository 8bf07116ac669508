"""Loads the settings from a TOML file and the environment.

All problems are reported at once, with file, line and key. Secrets are refused in the settings file. They are read from
the environment, or from a file that the environment names, and are not part of the settings' repr.
"""

import re
import tomllib
from collections.abc import Iterator, Mapping
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any
from urllib.parse import unquote_plus

from pydantic import BaseModel, Field, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from worker.domain.model import Address, Policy
from worker.errors import Problem, Problems
from worker.settings.environment import (
    KEY_VARIABLE,
    SCIM_TOKEN_VARIABLE,
    get_used_variable,
    read_keys,
    read_scim_tokens,
    read_variable,
)
from worker.settings.parsers import InvalidValue, find_nearest, parse_address, parse_locale
from worker.settings.rollout_sections import RetentionSettings, RolloutSettings
from worker.settings.roster_sections import RosterSettings
from worker.settings.sections import (
    CalendarSettings,
    EventSettings,
    LogSettings,
    MailerSettings,
    MailSettings,
    MetricsSettings,
    PageSettings,
    PathText,
    PulseSettings,
    RuleSettings,
    Section,
    SyncSettings,
    Text,
    validate_optional_text,
    validate_text,
)
from worker.settings.sign_in_section import SignInSettings, refuse_incomplete_sign_in
from worker.settings.url_parsers import is_in_memory, make_url_parser, parse_base_url, parse_database

#: The environment variables with the passwords, by the name of the provider, or `sign_in` for the sign-in.
PASSWORD_VARIABLES = {
    "smtp": "LONGARC_SMTP_PASSWORD",
    "caldav": "LONGARC_CALDAV_PASSWORD",
    "google": "LONGARC_GOOGLE_CLIENT_SECRET",
    "outlook": "LONGARC_OUTLOOK_SECRET",
    "sign_in": "LONGARC_SIGN_IN_SECRET",
}
#: The environment variables that override a setting in the file. These settings may contain a password.
OVERRIDE_VARIABLES = {"database": "LONGARC_DATABASE_URL", "queue": "LONGARC_QUEUE_URL"}

#: The folder beside the settings file from which a secret is read that is not in the environment. Each secret is a file
#: with the name of its environment variable.
SECRETS_FOLDER = "secrets"

#: Settings of earlier versions, and what to do instead. Any value is accepted and has no effect, and `longarc check`
#: names them.
RETIRED_SETTINGS = {
    ("rules", "first_within_days"): "Remove it; `rules.first_spread` says within how long pairs first meet.",
    ("mail", "learning"): "Remove it; each manager writes a sentence of their own on the page of their people.",
}

#: Matches the names of settings that hold a secret, such as `password`, `sslpassword`, `client_secret` and `api-key`.
_SECRET_NAME = re.compile(
    r"(?:.*[_-])?(?:(?:ssl)?passwords?|passwd|passphrase|secrets?|tokens?|keys?|credentials?)", re.IGNORECASE
)
#: Matches the beginning of a URL with `user:password@`. A host with a port, as in `host:8080/`, is not matched.
_USERINFO = re.compile(r"[^:/@]+://[^:/@\[]*:(?!\d{1,5}(?:[/?#]|$))[^@]+@")
#: Matches the heading of a section, such as `[calendars.google]  # a comment`; the group is `calendars.google`.
_TABLE_LINE = re.compile(r"\s*\[\s*([^\[\]]+?)\s*\]\s*(?:#.*)?")
#: Matches the beginning of a line with a key, such as `base_url = `; the group is the key.
_KEY_LINE = re.compile(r"\s*([\w.\"'-]+)\s*=")

_LAST_LINE = 10**6  #: a line number beyond the end of every settings file
#: The problem and the remedy for each of pydantic's error types.
_PYDANTIC_PROBLEMS = {
    "bool_type": ("This is neither yes nor no.", "Write `true` or `false`, without quotes."),
    "model_type": ("This is a section, not a value.", "Put its keys under a heading in square brackets."),
}


class Settings(Section):
    """All settings; `config/longarc.example.toml` explains them. Possible passwords are not in the repr."""

    database: Annotated[str, validate_text(parse_database), Field(repr=False)] = "sqlite:///var/longarc.db"
    people: Annotated[PathText, Field(validate_default=True)] = Path("people.csv")
    openings: PathText | None = None
    roster: RosterSettings = RosterSettings()
    queue: Annotated[str, validate_optional_text(make_url_parser("redis", "rediss")), Field(repr=False)] = ""
    company: Text = ""
    operator: Annotated[Address, validate_optional_text(parse_address)] = ""
    locale: Annotated[str, validate_text(parse_locale)] = "en"
    base_url: Annotated[str, validate_optional_text(parse_base_url)] = ""
    templates: PathText | None = None
    rules: RuleSettings = RuleSettings()
    event: EventSettings = EventSettings()
    mail: MailSettings = MailSettings()
    calendars: CalendarSettings = Field(default_factory=CalendarSettings)
    mailers: MailerSettings = Field(default_factory=MailerSettings)
    sync: SyncSettings = SyncSettings()
    pages: PageSettings = PageSettings()
    sign_in: SignInSettings = SignInSettings()
    pulse: PulseSettings = PulseSettings()
    rollout: RolloutSettings = RolloutSettings()
    retention: RetentionSettings = RetentionSettings()
    log: LogSettings = LogSettings()
    metrics: MetricsSettings = MetricsSettings()
    keys: tuple[SecretStr, ...] = ()  #: Fernet keys. Content is sealed with the first and opened with any of them
    passwords: dict[str, SecretStr] = Field(default_factory=dict)  #: by the name of the provider
    scim_tokens: tuple[SecretStr, ...] = ()  #: the bearer tokens of directories that push people

    @property
    def policy(self) -> Policy:
        """The settings that planning needs."""
        rules = self.rules
        return Policy(
            min_minutes=rules.min_minutes,
            min_by_hand=rules.min_by_hand,
            review_minutes=rules.review_minutes,
            checkin_minutes=rules.checkin_minutes,
            commitment_minutes=rules.commitment_minutes,
            ahead=rules.ahead,
            transition_every=rules.transition_every,
            first_spread=rules.first_spread,
            max_cancels=rules.max_cancels,
            providers_without_invitations=frozenset({"caldav"} if self.calendars.caldav.attendee_copies else ()),
        )

    @property
    def openings_file(self) -> Path:
        """The path of the openings file. By default it is `openings.csv` beside the people file, and may not exist."""
        return self.openings or self.people.with_name("openings.csv")

    def get_calendar_section(self, name: str) -> dict[str, Any]:
        """Return the section of a calendar service for the factory of its provider: plain values and the password.

        Raises Problems when a required setting is missing, and KeyError when there is no such service.
        """
        section = self._dump_section(self.calendars, name)
        if section.get("url") == "":
            where = f"settings: calendars.{name}.url"
            remedy = "Write the address of a person's calendar, with `{email}` in it."
            raise Problems([Problem(where, "This calendar service is used, but its address is not set.", remedy)])
        if name == "outlook":
            self._refuse_incomplete_outlook(section)
        return section

    @staticmethod
    def _refuse_incomplete_outlook(section: Mapping[str, Any]) -> None:
        """Raise Problems with every missing setting that Microsoft 365 needs."""
        required = {"client_id": "Write the app's id, from Entra, App registrations, Overview."}
        if not section["account"]:
            required["tenant"] = "Write the tenant's id or its domain."
            required["password"] = f"Set {PASSWORD_VARIABLES['outlook']} to the app's secret, or set `certificate`."
        values = {**section, "password": section.get("password") or section.get("certificate")}
        missing = [(key, remedy) for key, remedy in required.items() if not values.get(key)]
        if missing:
            what = "Microsoft 365 is used, but this setting is missing."
            raise Problems([Problem(f"settings: calendars.outlook.{key}", what, remedy) for key, remedy in missing])

    def get_mailer_section(self, name: str) -> dict[str, Any]:
        """Return the section of a mail service for the factory of its provider: plain values and the password.

        Raises Problems when a required setting is missing, and KeyError when there is no such service.
        """
        section = self._dump_section(self.mailers, name)
        if name == "outlook":
            sender_options = {"sender": self.mail.sender, "as_author": self.mail.send_as == "manager"}
            section = {**self.get_calendar_section(name), **section, **sender_options}
        elif name == "google":
            section["service"] = self.mail.sender  # the From address of mails that Longarc sends in its own name
        return section

    def get_roster_section(self, source: str) -> dict[str, Any]:
        """Return the settings with which a directory is read, as plain values and the password.

        They are the settings of the calendar service with the same name, overridden by those in `[roster.<source>]`.
        Raises Problems when a required setting is missing.
        """
        shared_values = self.get_calendar_section(source) if source in CalendarSettings.model_fields else {}
        own_values = self._dump_section(self.roster, source) if source in RosterSettings.model_fields else {}
        return {**shared_values, **own_values}

    def can_read_all_habits(self, calendar: str) -> bool:
        """Return whether everybody's habits (time zone and working hours) can be read from the calendar service.

        From Google, they can be read only with a service account. A connected account can read only its own habits.
        """
        return calendar != "google" or self.calendars.google.service_account is not None

    def _dump_section(self, services: Section, name: str) -> dict[str, Any]:
        """Return the section of that name in `services` as plain values.

        Durations are in seconds, paths are texts, and settings that are None are left out. Raises KeyError for an
        unknown name.
        """
        if name not in type(services).model_fields:
            raise KeyError(name)
        section: Section = getattr(services, name)
        values = {key: _dump_value(getattr(section, key)) for key in type(section).model_fields}
        if name in self.passwords:
            values["password"] = self.passwords[name].get_secret_value()
        if "token_folder" in values:  # the tokens in this folder are sealed with the keys
            values["keys"] = [key.get_secret_value() for key in self.keys]
        return {key: value for key, value in values.items() if value is not None}


def _dump_value(value: object) -> object:
    if isinstance(value, timedelta):
        return value.total_seconds()
    return str(value) if isinstance(value, Path) else value


def load_settings(path: Path | None, env: Mapping[str, str]) -> Settings:
    """Return the settings in the file at `path`, with the secrets and overrides in the environment `env`.

    Without a file, the defaults are used. Relative paths in the file start at the file's folder. Raises Problems with
    all problems at once.
    """
    source, env = _SettingsSource.read(path), add_secret_files(path, env)
    values = dict(_remove_secrets(source.values, (), source))
    _remove_retired_settings(values)
    for name, variable in OVERRIDE_VARIABLES.items():
        _refuse_password(values.get(name), (name,), variable, source)
        if value := read_variable(variable, env, source.problems):
            values[name] = value
            source.variables[name] = get_used_variable(variable, env)
    _refuse_in_memory_database(values, source)
    _refuse_missing_pages(values, source)
    caldav_url = ("calendars", "caldav", "url")
    _refuse_password(_get_nested(values, *caldav_url), caldav_url, PASSWORD_VARIABLES["caldav"], source)
    values["keys"] = read_keys(env, source.problems)
    values["scim_tokens"] = read_scim_tokens(env, source.problems)
    passwords = {name: read_variable(variable, env, source.problems) for name, variable in PASSWORD_VARIABLES.items()}
    values["passwords"] = {name: SecretStr(value) for name, value in passwords.items() if value}
    refuse_incomplete_sign_in(values, source.add_problem, has_secret=bool(passwords["sign_in"]))
    _add_default_sections(values)
    try:
        settings = Settings.model_validate(values, context={"folder": path.parent if path else Path()})
    except ValidationError as error:
        source.problems += [_build_problem(detail, source) for detail in error.errors(include_url=False)]
    if source.problems:
        raise Problems(sorted(source.problems, key=source.get_line_number))
    return settings


def add_secret_files(path: Path | None, env: Mapping[str, str]) -> dict[str, str]:
    """Return the environment with an added variable NAME_FILE for each secret in the folder `secrets` beside `path`.

    Secrets that the environment already has are not added.
    """
    extended_env = dict(env)
    if path is not None:
        for name in (KEY_VARIABLE, SCIM_TOKEN_VARIABLE, *PASSWORD_VARIABLES.values(), *OVERRIDE_VARIABLES.values()):
            file = path.parent / SECRETS_FOLDER / name
            if not (env.get(name) or env.get(f"{name}_FILE")) and file.is_file():
                extended_env[f"{name}_FILE"] = str(file)
    return extended_env


def list_retired_settings(path: Path | None) -> list[Problem]:
    """Return a problem for each setting of an earlier version that is still in the file, with what to do instead."""
    source = _SettingsSource.read(path)
    return [
        Problem(source.locate(key), "This setting no longer has an effect.", remedy)
        for key, remedy in RETIRED_SETTINGS.items()
        if _get_nested(source.values, *key) is not None
    ]


def _remove_retired_settings(values: Mapping[str, Any]) -> None:
    for *section, name in RETIRED_SETTINGS:
        settings = _get_nested(values, *section)
        if isinstance(settings, dict):
            settings.pop(name, None)


#: The settings that may have the value `link`, each with the other values to suggest.
_LINK_SETTINGS = {("event", "commitment_text"): "`text` or `none`", ("mail", "content"): "`full`"}


def _refuse_missing_pages(values: Mapping[str, Any], source: "_SettingsSource") -> None:
    """Add a problem for each setting that needs pages, when there is no `base_url` and so there are no pages."""
    if values.get("base_url"):
        return
    for key, alternatives in _LINK_SETTINGS.items():
        if _get_nested(values, *key) == "link":
            source.add_problem(
                key, "A link needs pages, but there are none.", f"Set `base_url`, or write {alternatives}."
            )
    if _get_nested(values, "roster", "source") == "scim":
        what = "Directories push people to the server of the pages, but there is none."
        source.add_problem(("roster", "source"), what, "Set `base_url`, or name another source.")
    if _get_nested(values, "sync", "notify_url"):
        what = "Services notify the server of the pages of changes, but there is none."
        source.add_problem(("sync", "notify_url"), what, "Set `base_url`, or remove this key.")


class _SettingsSource:
    """The parsed settings file, with the line of each key, and the problems that were found so far.

    Raises Problems when the file is not TOML.
    """

    def __init__(self, name: str, text: str) -> None:
        self.name = name
        self.values: dict[str, Any] = {}
        self.problems: list[Problem] = []
        self.variables: dict[str, str] = {}  #: by setting: the environment variable that overrides it
        self.lines = dict(_find_key_lines(text))
        try:
            self.values = tomllib.loads(text)
        except ValueError as error:  # a TOMLDecodeError, or a number has too many digits
            what, _, position = str(error).partition(" (at ")  # the position is as in "line 3, column 7)"
            line_text = position.split(",")[0]
            has_line = line_text.startswith("line ")
            line = int(line_text.removeprefix("line ")) if has_line else text.rstrip().count("\n") + 1
            self.problems.append(Problem(f"{name}:{line}", f"This is not TOML: {what}.", "Fix this line first."))
        except RecursionError:
            self.problems.append(Problem(name, "Brackets are nested too deeply.", "Settings have at most two levels."))
        if self.problems:
            raise Problems(self.problems)

    @classmethod
    def read(cls, path: Path | None) -> "_SettingsSource":
        """Return the parsed file at `path`, or an empty one without a path. Raises Problems when it can't be read."""
        if path is None:
            return cls("settings", text="")
        try:
            return cls(path.name, path.read_text(encoding="utf-8-sig"))
        except OSError as error:
            what = f"The settings can't be read: {error.strerror}."
            raise Problems([Problem(str(path), what, "Choose another file with `--config`.")]) from None
        except UnicodeDecodeError:
            raise Problems([Problem(path.name, "This is not UTF-8.", "Save the file as UTF-8.")]) from None

    def add_problem(self, key: tuple[str, ...], what: str, remedy: str) -> None:
        """Add a problem of the setting with that key."""
        self.problems.append(Problem(self.locate(key), what, remedy))

    def locate(self, key: tuple[str, ...]) -> str:
        """Return where a setting is: its environment variable, or the file, the line and the key."""
        if key[0] in self.variables:
            return self.variables[key[0]]
        prefixes = [key[:length] for length in range(len(key), 0, -1)]
        line = next((self.lines[prefix] for prefix in prefixes if prefix in self.lines), None)
        return f"{self.name}:{line}: {'.'.join(key)}" if line else f"{self.name}: {'.'.join(key)}"

    def get_line_number(self, problem: Problem) -> int:
        """Return the line of a problem, by which problems are sorted. Problems without a line come last."""
        line = problem.where.removeprefix(f"{self.name}:").partition(":")[0]
        return int(line) if line.isdigit() else _LAST_LINE


def _find_key_lines(text: str) -> Iterator[tuple[tuple[str, ...], int]]:
    """Yield each key and section with the number of its line.

    The lines are only scanned, so a line inside a multi-line value may be mistaken for a key.
    """
    section: tuple[str, ...] = ()
    for number, line in enumerate(text.split("\n"), 1):
        if table := _TABLE_LINE.fullmatch(line.rstrip()):
            section = _split_key(table[1])
            yield section, number
        elif key := _KEY_LINE.match(line):
            yield section + _split_key(key[1]), number


def _split_key(text: str) -> tuple[str, ...]:
    return tuple(part.strip(" \t\"'") for part in text.split("."))


# --- secrets and the environment -------------------------------------------------------------------------------------


def _remove_secrets(
    values: Mapping[str, Any], prefix: tuple[str, ...], source: _SettingsSource
) -> Iterator[tuple[str, Any]]:
    """Yield the settings, except those that are named like a secret, each of which becomes a problem."""
    for name, value in values.items():
        key = (*prefix, name)
        if _SECRET_NAME.fullmatch(name):
            source.add_problem(
                key, "A secret does not belong in this file.", _build_secret_remedy(_guess_variable(key))
            )
        else:
            yield name, dict(_remove_secrets(value, key, source)) if isinstance(value, dict) else value


def _guess_variable(key: tuple[str, ...]) -> str:
    """Return the environment variable for which this secret is probably meant; empty when none fits."""
    dotted_key = ".".join(key).casefold()
    variables = PASSWORD_VARIABLES | OVERRIDE_VARIABLES | {"scim": SCIM_TOKEN_VARIABLE}
    guess = next((variable for name, variable in variables.items() if name in dotted_key), "")
    return guess or (KEY_VARIABLE if key[-1].casefold().endswith(("key", "keys")) else "")


def _build_secret_remedy(variable: str) -> str:
    if variable:
        return f"Remove it, and set {variable} or {variable}_FILE in the environment."
    return "Remove it, and set it in the environment. The example file names the variables."


def _refuse_password(value: object, key: tuple[str, ...], variable: str, source: _SettingsSource) -> None:
    """Add a problem when the value is a URL that contains a password. The remedy names `variable`."""
    if isinstance(value, str) and _has_password(value):
        source.add_problem(key, "There is a password in this address.", _build_secret_remedy(variable))


def _has_password(url: str) -> bool:
    """Return whether a URL, even a malformed one, has a password before its `@` or a secret in its parameters."""
    names = [unquote_plus(parameter.partition("=")[0]) for parameter in re.split(r"[?&;]", url)[1:]]
    return bool(_USERINFO.match(url)) or any(_SECRET_NAME.fullmatch(name) for name in names)


def _refuse_in_memory_database(values: Mapping[str, Any], source: _SettingsSource) -> None:
    """Add a problem when the database is in memory, because each command would start with an empty database."""
    if isinstance(values.get("database"), str) and is_in_memory(values["database"].strip()):
        what = "This database is in memory: its content is lost when the program ends."
        source.add_problem(("database",), what, "Write the path of a file, as `sqlite:///var/longarc.db`.")


# --- the values of the file ------------------------------------------------------------------------------------------


def _add_default_sections(values: dict[str, Any]) -> None:
    """Add the missing sections that have default paths, so that these paths start at the settings file's folder."""
    for kind, names in (("calendars", ("google", "outlook")), ("mailers", ("google", "maildir"))):
        services = values.setdefault(kind, {})
        for name in names if isinstance(services, dict) else ():
            services.setdefault(name, {})


def _get_nested(value: object, *key: str) -> object:
    """Return the value of a nested key; None when it is missing."""
    for name in key:
        value = value.get(name) if isinstance(value, dict) else None
    return value


# --- problems from errors of pydantic --------------------------------------------------------------------------------


def _build_problem(detail: ErrorDetails, source: _SettingsSource) -> Problem:
    """Return the problem for one of pydantic's errors."""
    key = tuple(str(part) for part in detail["loc"])
    cause = detail.get("ctx", {}).get("error")
    if detail["type"] == "extra_forbidden":
        what, remedy = "This key is not known.", _build_key_remedy(key)
    elif isinstance(cause, InvalidValue):
        what, remedy = cause.what, cause.build_remedy()
    else:
        what, remedy = _PYDANTIC_PROBLEMS.get(detail["type"], (f"{detail['msg']}.", "See the example file."))
    return Problem(source.locate(key), what, remedy)


def list_known_keys(model: type[BaseModel] | None = None, prefix: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Yield every key that is allowed in the file, including those of sections."""
    for name, field in (model or Settings).model_fields.items():
        key = (*prefix, field.alias or name)
        if key in (("keys",), ("passwords",), ("scim_tokens",)):  # these come from the environment
            continue
        yield key
        if isinstance(field.annotation, type) and issubclass(field.annotation, BaseModel):
            yield from list_known_keys(field.annotation, key)


def _build_key_remedy(key: tuple[str, ...]) -> str:
    """Return the remedy for an unknown key: the key that was probably meant, or the section in which it belongs."""
    known_keys = list(list_known_keys())
    suggestion = find_nearest(key[-1], [known[-1] for known in known_keys if known[:-1] == key[:-1]])
    if suggestion:
        return f"Did you mean `{suggestion}`?"
    same_names = [known for known in known_keys if known[-1] == key[-1]]
    if same_names:
        *section, _ = same_names[0]
        place = f"under `[{'.'.join(section)}]`" if section else "above the first section"
        return f"It belongs {place}."
    return "Remove it, or see the example file for all keys."
