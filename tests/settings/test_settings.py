"""Loading the settings: defaults, values, retired settings, secrets, and the problems of a faulty file."""

import json
import re
import tomllib
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.fernet import Fernet
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support import ROOT
from tests.support.settings_file import load_settings_text
from worker.domain.model import Interval, Policy
from worker.errors import Problems
from worker.settings.load import RETIRED_SETTINGS, Settings, list_known_keys, list_retired_settings, load_settings

CONFIG = ROOT / "config"
EXAMPLE = (CONFIG / "longarc.example.toml").read_text(encoding="utf-8")
KEY = Fernet.generate_key().decode()
#: Keys without a default. The example file shows a value for each of them in a comment.
KEYS_WITHOUT_DEFAULT = {
    ("templates",),
    ("openings",),
    ("rules", "first_spread"),
    ("mailers", "smtp", "ca_file"),
    ("calendars", "google", "service_account"),
    ("mailers", "google", "service_account"),
    ("roster", "google", "service_account"),
    ("sign_in", "ca_file"),
    *(("calendars", "outlook", name) for name in ("certificate", "account", "ca_file")),
    *(("rollout", name) for name in ("groups", "managers", "addresses", "start")),
}


def list_problems(folder: Path, text: str, **env: str) -> list[str]:
    with pytest.raises(Problems) as error_info:
        load_settings_text(folder, text, **env)
    return [str(problem) for problem in error_info.value.problems]


def get_only_problem(folder: Path, text: str, **env: str) -> str:
    problems = list_problems(folder, text, **env)
    assert len(problems) == 1, problems
    return problems[0]


# --- defaults --------------------------------------------------------------------------------------------------------


def test_settings_without_a_file_have_their_defaults() -> None:
    loaded = load_settings(None, {})
    assert loaded == Settings()
    assert (loaded.database, loaded.people, loaded.queue) == ("sqlite:///var/longarc.db", Path("people.csv"), "")
    assert loaded.policy == Policy()
    assert (loaded.rules.default_every, loaded.rules.default_minutes) == (Interval(weeks=13), 75)
    assert (loaded.mail.sender, loaded.mail.domain, loaded.mail.operator_by) == (
        "longarc@localhost",
        "localhost",
        "smtp",
    )
    assert (loaded.sync.every, loaded.sync.full_every) == (timedelta(minutes=5), timedelta(days=1))
    assert (loaded.log.level, loaded.log.format, loaded.keys) == ("INFO", "text", ())


def test_r23_titles_are_neutral_by_default() -> None:
    event = load_settings(None, {}).event
    subject = event.subject.format(manager="Dana", report="Sam")
    assert subject == "Career conversation: Dana and Sam"
    assert event.commitment_subject.format(report="Sam") == "A promise to Sam"
    assert event.body.format(manager="Dana", report="Sam")


def test_example_file_contains_every_key_with_its_default(tmp_path: Path) -> None:
    # in the example, each key with its default is in a comment: `#key = value`
    uncommented = re.sub(r"^#(?=\w+ = )", "", EXAMPLE, flags=re.MULTILINE)
    all_settings = load_settings_text(tmp_path, uncommented)
    assert all_settings.templates == tmp_path / "templates"
    # these keys have no default, but a value as an example
    only_defaults = re.sub(
        r"^(templates|openings|first_spread|ca_file|service_account|certificate|account|groups|managers|addresses"
        r"|start) = .*$",
        "",
        uncommented,
        flags=re.MULTILINE,
    )
    assert (
        load_settings_text(tmp_path, only_defaults)
        == load_settings_text(tmp_path, EXAMPLE)
        == load_settings_text(tmp_path, "")
    )

    def collect_keys(section: dict[str, Any], prefix: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        return {(*prefix, name) for name in section}.union(
            *(collect_keys(value, (*prefix, name)) for name, value in section.items() if isinstance(value, dict))
        )

    assert collect_keys(tomllib.loads(uncommented)) == set(list_known_keys())
    assert collect_keys(tomllib.loads(uncommented)) - collect_keys(tomllib.loads(only_defaults)) == KEYS_WITHOUT_DEFAULT


# --- retired settings ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", RETIRED_SETTINGS, ids=".".join)
@pytest.mark.parametrize("value", ["21", "'soon'", "0", "[1, 2]", "{a = 1}"])
def test_t19_retired_setting_is_accepted_with_any_value(tmp_path: Path, key: tuple[str, str], value: str) -> None:
    """T-19: after an upgrade, the settings file of an earlier version is still accepted."""
    section, name = key
    assert key not in set(list_known_keys())
    assert load_settings_text(tmp_path, f"[{section}]\n{name} = {value}\n") == load_settings_text(tmp_path, "")
    (tmp_path / "longarc.toml").write_text(f"[{section}]\n{name} = {value}\n", encoding="utf-8")
    (retired,) = list_retired_settings(tmp_path / "longarc.toml")
    assert (retired.where, retired.remedy) == (f"longarc.toml:2: {section}.{name}", RETIRED_SETTINGS[key])


@pytest.mark.parametrize("text", ["", "rules = 3\n", "[rules]\nahead = 1\n"])
def test_no_retired_settings_are_listed_for_a_file_without_them(tmp_path: Path, text: str) -> None:
    path = tmp_path / "longarc.toml"
    path.write_text(text, encoding="utf-8")
    assert list_retired_settings(path) == list_retired_settings(None) == []


# --- values ----------------------------------------------------------------------------------------------------------


def test_values_in_the_file_replace_the_defaults(tmp_path: Path) -> None:
    loaded = load_settings_text(
        tmp_path,
        """
        database = "postgresql://db.example.com/longarc"
        people = "hr/people.csv"
        queue = "redis://cache.example.com"
        operator = "Ops@Example.com"
        locale = "pt-BR"
        base_url = "https://longarc.example.com/"
        templates = "/etc/longarc/mails"
        [rules]
        ahead = 2
        transition_every = "1 month"
        min_minutes = 75
        max_cancels = 5
        first_spread = "8 weeks"
        [event]
        video = true
        reminders = [10, 1440]
        [mail]
        from = "longarc@example.com"
        [sync]
        every = "90 seconds"
        [log]
        level = "DEBUG"
        format = "json"
        """,
    )
    assert loaded.people == tmp_path / "hr" / "people.csv"
    assert (loaded.operator, loaded.locale, loaded.base_url) == (
        "ops@example.com",
        "pt_BR",
        "https://longarc.example.com",
    )
    assert loaded.templates == Path("/etc/longarc/mails")
    assert loaded.policy == Policy(
        ahead=2, transition_every=Interval(months=1), min_minutes=75, max_cancels=5, first_spread=Interval(weeks=8)
    )
    assert (loaded.event.video, loaded.event.reminders) == (True, (1440, 10))
    assert (loaded.mail.sender, loaded.mail.domain) == ("longarc@example.com", "example.com")
    assert (loaded.sync.every, loaded.log.level, loaded.log.format) == (timedelta(seconds=90), "DEBUG", "json")


def test_mail_domain_can_differ_from_the_domain_of_the_sender(tmp_path: Path) -> None:
    assert load_settings_text(tmp_path, '[mail]\nfrom = "l@a.org"\ndomain = "Mail.a.org"').mail.domain == "mail.a.org"


def test_sections_of_services_contain_plain_values_and_the_password(tmp_path: Path) -> None:
    loaded = load_settings_text(
        tmp_path,
        """
        [calendars.caldav]
        url = "https://dav.example.com/{email}/calendar/"
        username = "longarc"
        timeout = "1 minute"
        [mailers.smtp]
        port = 2525
        ca_file = "ca.pem"
        """,
        LONGARC_CALDAV_PASSWORD="open sesame",
    )
    assert loaded.get_calendar_section("caldav") == {
        "url": "https://dav.example.com/{email}/calendar/",
        "username": "longarc",
        "attendee_copies": False,
        "timeout": 60.0,
        "password": "open sesame",
    }
    smtp = loaded.get_mailer_section("smtp")
    assert (smtp["host"], smtp["port"], smtp["security"], smtp["timeout"]) == ("localhost", 2525, "starttls", 20.0)
    assert smtp["ca_file"] == str(tmp_path / "ca.pem")
    assert "password" not in smtp
    assert loaded.get_mailer_section("maildir") == {"folder": str(tmp_path / "var/mail")}
    assert loaded.get_calendar_section("memory") == {}
    with pytest.raises(KeyError):
        loaded.get_calendar_section("smtp")


def test_caldav_section_without_an_address_raises_a_problem() -> None:
    with pytest.raises(
        Problems, match=r"calendars\.caldav\.url: This calendar service is used, but its address is not set"
    ):
        load_settings(None, {}).get_calendar_section("caldav")


# --- secrets --------------------------------------------------------------------------------------------------------


def test_secrets_are_read_from_the_environment_or_from_files_it_names(tmp_path: Path) -> None:
    (tmp_path / "smtp").write_text(" pass word \n", encoding="utf-8")
    second_key = Fernet.generate_key().decode()
    loaded = load_settings(
        None,
        {
            "LONGARC_KEY": f"{KEY}, {second_key}",
            "LONGARC_SMTP_PASSWORD_FILE": str(tmp_path / "smtp"),
            "LONGARC_CALDAV_PASSWORD": "",
            "LONGARC_DATABASE_URL": "postgresql://longarc:hidden@db/longarc",
            "LONGARC_QUEUE_URL": "redis://:hidden@cache",
        },
    )
    assert [key.get_secret_value() for key in loaded.keys] == [KEY, second_key]
    assert loaded.get_mailer_section("smtp")["password"] == " pass word "
    assert (loaded.database, loaded.queue) == ("postgresql://longarc:hidden@db/longarc", "redis://:hidden@cache")


def test_printed_settings_contain_no_secret(tmp_path: Path) -> None:
    env = {"LONGARC_KEY": KEY, "LONGARC_SMTP_PASSWORD": "hidden", "LONGARC_DATABASE_URL": "postgresql://a:hidden@db/x"}
    loaded = load_settings_text(tmp_path, "", **env)
    for printed in (repr(loaded), str(loaded), f"{loaded.keys}", f"{loaded.passwords}"):
        assert "hidden" not in printed
        assert KEY not in printed


@pytest.mark.parametrize(
    ("text", "place", "remedy"),
    [
        ('[mailers.smtp]\npassword = "hidden"', "longarc.toml:2: mailers.smtp.password", "LONGARC_SMTP_PASSWORD or"),
        (
            '[calendars.caldav]\nPASSWD = "hidden"',
            "longarc.toml:2: calendars.caldav.PASSWD",
            "LONGARC_CALDAV_PASSWORD_FILE",
        ),
        ('smtp_password = "hidden"', "longarc.toml:1: smtp_password", "LONGARC_SMTP_PASSWORD or"),
        ('keys = ["hidden"]', "longarc.toml:1: keys", "set LONGARC_KEY or LONGARC_KEY_FILE"),
        ('database_password = "hidden"', "longarc.toml:1: database_password", "LONGARC_DATABASE_URL"),
        ('[event]\napi_token = "hidden"', "longarc.toml:2: event.api_token", "in the environment. The example file"),
        ('[secrets]\nx = "hidden"', "longarc.toml:1: secrets", "A secret does not belong in this file."),
        ('database = "postgresql://a:hidden@db/x"', "longarc.toml:1: database", "LONGARC_DATABASE_URL or"),
        ('database = "postgresql://a:hidden/2@db/x"', "longarc.toml:1: database", "LONGARC_DATABASE_URL or"),
        ('database = "postgresql://db/x?password=hidden"', "longarc.toml:1: database", "LONGARC_DATABASE_URL or"),
        ('database = "postgresql://db/x?a=b&ssl%70assword=hidden"', "longarc.toml:1: database", "LONGARC_DATABASE"),
        ('queue = "redis://:hidden@cache"', "longarc.toml:1: queue", "LONGARC_QUEUE_URL or"),
        ('queue = "redis://cache/?password=hidden"', "longarc.toml:1: queue", "LONGARC_QUEUE_URL or"),
        (
            '[calendars.caldav]\nurl = "https://a:hidden@dav/{email}"',
            "longarc.toml:2: calendars.caldav.url",
            "There is a password in this address.",
        ),
    ],
)
def test_secret_in_the_file_is_refused_without_repeating_it(tmp_path: Path, text: str, place: str, remedy: str) -> None:
    problem = get_only_problem(tmp_path, text)
    assert problem.startswith(f"{place}: ")
    assert remedy in problem
    assert "hidden" not in problem


def test_secret_that_is_set_twice_or_unreadable_is_a_problem(tmp_path: Path) -> None:
    problems = list_problems(
        tmp_path,
        "",
        LONGARC_KEY=KEY,
        LONGARC_KEY_FILE="/somewhere",
        LONGARC_SMTP_PASSWORD_FILE=str(tmp_path / "none"),
        LONGARC_CALDAV_PASSWORD_FILE=str(tmp_path),
    )
    assert problems[0] == "LONGARC_KEY: Both LONGARC_KEY and LONGARC_KEY_FILE are set. Set one of them."
    assert all("can't be read" in problem for problem in problems[1:])
    assert [problem.split(":")[0] for problem in problems[1:]] == [
        "LONGARC_SMTP_PASSWORD_FILE",
        "LONGARC_CALDAV_PASSWORD_FILE",
    ]


def test_problem_of_an_environment_variable_names_it_without_its_value(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hidden")
    (tmp_path / "url").write_text("postgresql://a:hid@den@db/x\n")
    files = {"LONGARC_KEY_FILE": str(tmp_path / "key"), "LONGARC_DATABASE_URL_FILE": str(tmp_path / "url")}
    problems = list_problems(tmp_path, 'database = "sqlite:///x.db"', LONGARC_QUEUE_URL="redis://:hidden@a:b", **files)
    assert sorted(problem.partition(".")[0] for problem in problems) == [
        "LONGARC_DATABASE_URL_FILE: There is more than one `@` in this address",
        "LONGARC_KEY_FILE: Key 1 of 1 is not 32 bytes in URL-safe base64",
        "LONGARC_QUEUE_URL: The port is not valid",
    ]
    assert not any(secret_part in problem for problem in problems for secret_part in ("hid@", "den@", "hidden"))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/longarc/a%20b.db",
        "postgresql:///longarc?host=/run/postgresql",
        "postgresql+psycopg://a:p%40ss@[::1]:5432/x?sslmode=require",
        "postgresql://db.example.com:5432/x",
    ],
)
def test_valid_database_address_is_kept_unchanged(url: str) -> None:
    assert load_settings(None, {"LONGARC_DATABASE_URL": url}).database == url


def test_a_key_in_quotes_gets_its_own_remedy(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f'"{KEY}"\n')
    assert get_only_problem(tmp_path, "", LONGARC_KEY_FILE=str(tmp_path / "key")) == (
        "LONGARC_KEY_FILE: Key 1 of 1 is not 32 bytes in URL-safe base64. Write keys without quotation marks."
    )


def test_a_key_file_may_begin_with_a_byte_order_mark(tmp_path: Path) -> None:
    (tmp_path / "key").write_text(f"{KEY}\n", encoding="utf-8-sig")
    settings = load_settings(None, {"LONGARC_KEY_FILE": str(tmp_path / "key")})
    assert [key.get_secret_value() for key in settings.keys] == [KEY]


def test_key_file_with_several_invalid_keys_gives_one_problem(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text(f"these are my notes {KEY}\nand no key\n")
    assert get_only_problem(tmp_path, "", LONGARC_KEY_FILE=str(tmp_path / "notes")) == (
        "LONGARC_KEY_FILE: 7 of 8 keys are not 32 bytes in URL-safe base64; the first is key 1. "
        "Create a key with `longarc key`. Separate several keys by commas."
    )


@pytest.mark.parametrize(
    "key", ["short", KEY[:-2], "ä" * 44, KEY + KEY], ids=["too short", "end cut off", "not ASCII", "two keys joined"]
)
def test_problem_of_an_invalid_key_does_not_contain_it(tmp_path: Path, key: str) -> None:
    problem = get_only_problem(tmp_path, "", LONGARC_KEY=f"{KEY},{key}")
    assert problem.startswith("LONGARC_KEY: Key 2 of 2 is not 32 bytes")
    assert key not in problem


# --- problems --------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("[rules]\nahead = 3", "2: rules.ahead: This is not a whole number from 1 to 2."),
        ('[rules]\n\nahead = "2"', "3: rules.ahead: This is not a whole number from 1 to 2."),
        ("[rules]\nahead = true", "2: rules.ahead: This is not a whole number"),
        ("[rules]\nreview_minutes = 31", "2: rules.review_minutes: This is not a whole number from 20 to 30."),
        ("[rules]\nmin_minutes = 45", "2: rules.min_minutes: This is not a whole number from 60 to 90."),
        # the default, 75 minutes, is below the new minimum
        ("[rules]\nmin_minutes = 90", "1: rules.default_minutes: This is not a whole number from 90 to 90."),
        ('[rules]\ndefault_every = "often"', "2: rules.default_every: `often` is not a rhythm."),
        ("rules = 3", "1: rules: This is a section, not a value."),
        ("[rules]\nahed = 1", "2: rules.ahed: This key is not known. Did you mean `ahead`?"),
        ("[rule]\nahead = 1", "1: rule: This key is not known. Did you mean `rules`?"),
        ('[calendar.caldav]\nurl = ""', "calendar: This key is not known. Did you mean `calendars`?"),
        ('[calendars.caldaw]\nurl = ""', "1: calendars.caldaw: This key is not known. Did you mean `caldav`?"),
        ('subject = "x"', "1: subject: This key is not known. It belongs under `[event]`."),
        ('[mail]\noperator = "a@b.c"', "2: mail.operator: This key is not known. Did you mean `operator_by`?"),
        ("[log]\ncompany = 1", "2: log.company: This key is not known. It belongs above the first section."),
        ("xyzzy = 1", "1: xyzzy: This key is not known. Remove it"),
        ('[mail]\nsender = "a@b.c"', "2: mail.sender: This key is not known."),
        ('[mail]\nfrom = "Longarc <a@b.c>"', "2: mail.from: `Longarc <a@b.c>` is not an e-mail address."),
        ('mail.from = "x"', "1: mail.from: `x` is not an e-mail address."),
        ('[mail]\ndomain = "not one"', "2: mail.domain: `not one` is not a domain. Write it as `example.com`"),
        ('[mail]\noperator_by = "smpt"', "2: mail.operator_by: `smpt` is not one of"),
        ('[event]\nsubject = "{manager} and {name}"', "2: event.subject: This text has an unknown"),
        ('[event]\nsubject = "{manager.email}"', "2: event.subject: This text has an unknown"),
        ('[event]\nsubject = "{report!r}"', "2: event.subject: This text has an unknown"),
        ('[event]\nsubject = "{report"', "2: event.subject: The braces in this text don't match."),
        ('[event]\nsubject = " "', "2: event.subject: This text is empty. Write a text, or remove the key."),
        ('[event]\ncommitment_subject = ""', "2: event.commitment_subject: This text is empty."),
        (
            '[event]\ncommitment_text = "words"',
            "2: event.commitment_text: `words` is not one of `text`, `link`",
        ),
        (
            '[event]\ncommitment_text = "link"',
            "2: event.commitment_text: A link needs pages, but there are none.",
        ),
        ('[event]\nvideo = "yes"', "2: event.video: This is neither yes nor no. Write `true` or `false`"),
        ("[event]\nreminders = 15", "2: event.reminders: This is not a list of minutes."),
        ("[event]\nreminders = [true]", "2: event.reminders: This is not a list of minutes."),
        ('[sync]\nevery = "5"', "2: sync.every: `5` is not a length of time. Write `30 seconds`"),
        (
            '[sync]\nevery = "1 second"',
            "2: sync.every: `1 second` is too short or too long. Write a length of time",
        ),
        ("[sync]\nevery = 5", "2: sync.every: This is not text."),
        ('[log]\nlevel = "chatty"', "2: log.level: `chatty` is not one of `debug`, `info`"),
        ('[log]\nformat = "jsn"', "2: log.format: `jsn` is not one of `text`, `json`. Did you mean `json`?"),
        (
            'database = "mysql://db/x"',
            "1: database: This is not an address that can be used. Begin it with `sqlite://`",
        ),
        ('database = "var/longarc.db"', "1: database: This is not an address"),
        ('queue = "http://x"', "1: queue: This is not an address"),
        ('base_url = "longarc.example.com"', "1: base_url: This is not an address"),
        ('base_url = "https://["', "1: base_url: This is not an address"),
        ('base_url = "https://:8030/"', "1: base_url: The name of the server is not valid."),
        ('base_url = "https://a example/"', "1: base_url: The name of the server is not valid."),
        ('base_url = "https://a.example:80300"', "1: base_url: The port is not valid."),
        ('base_url = "https://dana@a.example"', "1: base_url: There is a user name in this address."),
        ('base_url = "https://a.example/?x=1"', "1: base_url: There is a character in this address"),
        ("base_url = 'https://a.example/<b>\"'", "1: base_url: There is a character in this address"),
        ('queue = "redis://cache:none/0"', "1: queue: The port is not valid. Write a number from 1 to 65535"),
        ('queue = "redis:///0"', "1: queue: The name of the server is not valid."),
        ('database = "postgresql://"', "1: database: This is not an address"),
        ('database = "postgresql://db:x/longarc"', "1: database: The port is not valid."),
        ('database = "postgresql://db:99999/longarc"', "1: database: The port is not valid."),
        ('database = "postgresql://a%00@db/longarc"', "1: database: There is a control character in this address."),
        (
            'database = "postgresql:///x?host=db&port=y"',
            "1: database: The part after the `?` in this address can't",
        ),
        ('database = "sqlite:"', "1: database: This is not an address"),
        ('database = "sqlite://longarc.db"', "1: database: This is not the path of a SQLite file."),
        ('database = "sqlite:///longarc.db?mode=ro"', "1: database: This is not the path of a SQLite file."),
        ('database = "sqlite:///~nobody/longarc.db"', "1: database: This is not the path of a SQLite file."),
        ('database = "sqlite://"', "1: database: This database is in memory: its content is lost"),
        ('database = " sqlite:///:memory:"', "1: database: This database is in memory"),
        ('[calendars.caldav]\nurl = "https://{host}/{email}"', "2: calendars.caldav.url: This address is the same for"),
        (
            f'[calendars.caldav]\nurl = "https://{"d" * 64}.example/{{email}}"',
            "2: calendars.caldav.url: The name of the server is not valid.",
        ),
        (
            '[calendars.caldav]\nurl = "https:///{email}"',
            "2: calendars.caldav.url: The name of the server is not valid.",
        ),
        ('[calendars.caldav]\nurl = "https://d:x/{email}"', "2: calendars.caldav.url: The port is not valid."),
        ('[calendars.google]\nendpoint = "https://d:0/"', "2: calendars.google.endpoint: The port is not valid."),
        ('locale = "klingon"', "1: locale: `klingon` is not a known language."),
        ('people = ""', "1: people: The path is empty."),
        (
            'people = "~nobody-here/p.csv"',
            "1: people: `~nobody-here` names no user of this machine. Write the absolute path.",
        ),
        (
            '[calendars.caldav]\nurl = "https://dav.example.com/"',
            "2: calendars.caldav.url: This address is the same for",
        ),
        ('[calendars.caldav]\nurl = "https://d/{name}"', "2: calendars.caldav.url: This address is the same for"),
        ('[mailers.smtp]\nsecurity = "ssl"', "2: mailers.smtp.security: `ssl` is not one of"),
        ("[mailers.smtp]\nport = 70000", "2: mailers.smtp.port: This is not a whole number"),
        ("mailers = 3", "1: mailers: This is a section, not a value."),
        ("[[mailers]]\nx = 1", "mailers: This is a section, not a value."),
        ("[rules\nahead = 1", "1: This is not TOML: "),
        ("a = 1\na = 2", "2: This is not TOML: "),
        ("a = " + "1" * 5000, "1: This is not TOML: "),
        ("a = " + "[" * 20_000, "Brackets are nested too deeply."),
    ],
)
def test_problem_names_its_place_and_the_remedy(tmp_path: Path, text: str, expected: str) -> None:
    problem = get_only_problem(tmp_path, text)
    assert problem.startswith("longarc.toml:")
    assert expected in problem


def test_all_problems_are_reported_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = 'queue = 1\n[rules]\nahead = 9\nwhat = 1\n[mailers.smtp]\npassword = "x"\nsecurity = "ssl"'
    problems = list_problems(tmp_path, text, LONGARC_KEY="short")
    assert [problem.split(": ")[0] for problem in problems] == [
        *(f"longarc.toml:{line_number}" for line_number in (1, 3, 4, 6, 7)),
        "LONGARC_KEY",
    ]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"# caf\xe9"])
def test_file_that_is_not_utf8_is_a_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "longarc.toml"
    path.write_bytes(content)
    with pytest.raises(Problems, match="This is not UTF-8"):
        load_settings(path, {})


def test_unreadable_file_is_a_problem(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(Problems, match="The settings can't be read"):
            load_settings(path, {})


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(sorted(list_known_keys())), VALUES, max_size=4), st.text(max_size=40))
def test_loading_any_file_raises_nothing_but_problems(
    tmp_path: Path, values: dict[tuple[str, ...], object], last_text: str
) -> None:
    lines = [f"{'.'.join(key)} = {json.dumps(value)}" for key, value in values.items()]
    path = tmp_path / "longarc.toml"
    path.write_text("\n".join([*lines, last_text]), encoding="utf-8", errors="replace")
    try:
        load_settings(path, {"LONGARC_KEY": last_text})
    except Problems as error:
        assert all(problem.remedy for problem in error.problems)
