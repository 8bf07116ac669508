"""The settings: what is wrong is said at once and where, secrets stay out of the file and out of sight (section 8)."""

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
from worker.domain.model import Interval, Policy
from worker.errors import Problems
from worker.settings.load import RETIRED_SETTINGS, Settings, list_known_keys, list_retired_settings, load_settings

CONFIG = ROOT / "config"
EXAMPLE = (CONFIG / "longarc.example.toml").read_text(encoding="utf-8")
KEY = Fernet.generate_key().decode()
#: Not set by default, so there is no default to show.
UNSET = {
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


def read(folder: Path, text: str, **env: str) -> Settings:
    path = folder / "longarc.toml"
    path.write_text(text, encoding="utf-8")
    return load_settings(path, env)


def problems(folder: Path, text: str, **env: str) -> list[str]:
    with pytest.raises(Problems) as raised:
        read(folder, text, **env)
    return [str(problem) for problem in raised.value.problems]


def only(folder: Path, text: str, **env: str) -> str:
    found = problems(folder, text, **env)
    assert len(found) == 1, found
    return found[0]


# --- what is there when nothing is said -----------------------------------------------------------------------------


def test_without_a_file_everything_has_its_default() -> None:
    found = load_settings(None, {})
    assert found == Settings()
    assert (found.database, found.people, found.queue) == ("sqlite:///var/longarc.db", Path("people.csv"), "")
    assert found.policy == Policy()
    assert (found.rules.default_every, found.rules.default_minutes) == (Interval(weeks=13), 75)
    assert (found.mail.sender, found.mail.domain, found.mail.operator_by) == ("longarc@localhost", "localhost", "smtp")
    assert (found.sync.every, found.sync.full_every) == (timedelta(minutes=5), timedelta(days=1))
    assert (found.log.level, found.log.format, found.keys) == ("INFO", "text", ())


def test_r23_titles_are_neutral_by_default() -> None:
    event = load_settings(None, {}).event
    named = event.subject.format(manager="Dana", report="Sam")
    assert named == "Career conversation: Dana and Sam"
    assert event.commitment_subject.format(report="Sam") == "A promise to Sam"
    assert event.body.format(manager="Dana", report="Sam")


def test_the_example_shows_every_key_with_its_default(tmp_path: Path) -> None:
    opened = re.sub(r"^#(?=\w+ = )", "", EXAMPLE, flags=re.MULTILINE)
    whole = read(tmp_path, opened)
    assert whole.templates == tmp_path / "templates"
    unset = re.sub(
        r"^(templates|openings|first_spread|ca_file|service_account|certificate|account|groups|managers|addresses"
        r"|start) = .*$",
        "",
        opened,
        flags=re.MULTILINE,
    )
    assert read(tmp_path, unset) == read(tmp_path, EXAMPLE) == read(tmp_path, "")

    def keys(part: dict[str, Any], at: tuple[str, ...] = ()) -> set[tuple[str, ...]]:
        return {(*at, name) for name in part}.union(
            *(keys(v, (*at, n)) for n, v in part.items() if isinstance(v, dict))
        )

    assert keys(tomllib.loads(opened)) == set(list_known_keys())
    assert keys(tomllib.loads(opened)) - keys(tomllib.loads(unset)) == UNSET


# --- what was a setting once -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("key", RETIRED_SETTINGS, ids=".".join)
@pytest.mark.parametrize("value", ["21", "'soon'", "0", "[1, 2]", "{a = 1}"])
def test_t19_a_retired_setting_is_accepted_whatever_its_value(tmp_path: Path, key: tuple[str, str], value: str) -> None:
    section, name = key
    assert key not in set(list_known_keys())
    assert read(tmp_path, f"[{section}]\n{name} = {value}\n") == read(tmp_path, "")
    (tmp_path / "longarc.toml").write_text(f"[{section}]\n{name} = {value}\n", encoding="utf-8")
    (retired,) = list_retired_settings(tmp_path / "longarc.toml")
    assert (retired.where, retired.remedy) == (f"longarc.toml:2: {section}.{name}", RETIRED_SETTINGS[key])


@pytest.mark.parametrize("text", ["", "rules = 3\n", "[rules]\nahead = 1\n"])
def test_a_file_without_retired_settings_has_none(tmp_path: Path, text: str) -> None:
    path = tmp_path / "longarc.toml"
    path.write_text(text, encoding="utf-8")
    assert list_retired_settings(path) == list_retired_settings(None) == []


# --- what is set ----------------------------------------------------------------------------------------------------


def test_what_is_written_is_what_counts(tmp_path: Path) -> None:
    found = read(
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
    assert found.people == tmp_path / "hr" / "people.csv"
    assert (found.operator, found.locale, found.base_url) == ("ops@example.com", "pt_BR", "https://longarc.example.com")
    assert found.templates == Path("/etc/longarc/mails")
    assert found.policy == Policy(
        ahead=2, transition_every=Interval(months=1), min_minutes=75, max_cancels=5, first_spread=Interval(weeks=8)
    )
    assert (found.event.video, found.event.reminders) == (True, (1440, 10))
    assert (found.mail.sender, found.mail.domain) == ("longarc@example.com", "example.com")
    assert (found.sync.every, found.log.level, found.log.format) == (timedelta(seconds=90), "DEBUG", "json")


def test_a_domain_of_its_own_is_kept(tmp_path: Path) -> None:
    assert read(tmp_path, '[mail]\nfrom = "l@a.org"\ndomain = "Mail.a.org"').mail.domain == "mail.a.org"


def test_factories_get_plain_values_and_their_password(tmp_path: Path) -> None:
    found = read(
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
    assert found.get_calendar_section("caldav") == {
        "url": "https://dav.example.com/{email}/calendar/",
        "username": "longarc",
        "attendee_copies": False,
        "timeout": 60.0,
        "password": "open sesame",
    }
    smtp = found.get_mailer_section("smtp")
    assert (smtp["host"], smtp["port"], smtp["security"], smtp["timeout"]) == ("localhost", 2525, "starttls", 20.0)
    assert smtp["ca_file"] == str(tmp_path / "ca.pem")
    assert "password" not in smtp
    assert found.get_mailer_section("maildir") == {"folder": str(tmp_path / "var/mail")}
    assert found.get_calendar_section("memory") == {}
    with pytest.raises(KeyError):
        found.get_calendar_section("smtp")


def test_a_calendar_nobody_placed_says_so_when_it_is_used() -> None:
    with pytest.raises(
        Problems, match=r"calendars\.caldav\.url: This calendar service is used, but its address is not set"
    ):
        load_settings(None, {}).get_calendar_section("caldav")


# --- secrets --------------------------------------------------------------------------------------------------------


def test_secrets_come_from_the_environment_or_from_files_it_names(tmp_path: Path) -> None:
    (tmp_path / "smtp").write_text(" pass word \n", encoding="utf-8")
    other = Fernet.generate_key().decode()
    found = load_settings(
        None,
        {
            "LONGARC_KEY": f"{KEY}, {other}",
            "LONGARC_SMTP_PASSWORD_FILE": str(tmp_path / "smtp"),
            "LONGARC_CALDAV_PASSWORD": "",
            "LONGARC_DATABASE_URL": "postgresql://longarc:hidden@db/longarc",
            "LONGARC_QUEUE_URL": "redis://:hidden@cache",
        },
    )
    assert [key.get_secret_value() for key in found.keys] == [KEY, other]
    assert found.get_mailer_section("smtp")["password"] == " pass word "
    assert (found.database, found.queue) == ("postgresql://longarc:hidden@db/longarc", "redis://:hidden@cache")


def test_a_secret_never_shows_when_settings_are_printed(tmp_path: Path) -> None:
    env = {"LONGARC_KEY": KEY, "LONGARC_SMTP_PASSWORD": "hidden", "LONGARC_DATABASE_URL": "postgresql://a:hidden@db/x"}
    found = read(tmp_path, "", **env)
    for shown in (repr(found), str(found), f"{found.keys}", f"{found.passwords}"):
        assert "hidden" not in shown
        assert KEY not in shown


@pytest.mark.parametrize(
    ("text", "where", "says"),
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
def test_a_secret_in_the_file_is_refused_and_not_repeated(tmp_path: Path, text: str, where: str, says: str) -> None:
    line = only(tmp_path, text)
    assert line.startswith(f"{where}: ")
    assert says in line
    assert "hidden" not in line


def test_a_secret_given_twice_or_not_readable_is_a_problem(tmp_path: Path) -> None:
    found = problems(
        tmp_path,
        "",
        LONGARC_KEY=KEY,
        LONGARC_KEY_FILE="/somewhere",
        LONGARC_SMTP_PASSWORD_FILE=str(tmp_path / "none"),
        LONGARC_CALDAV_PASSWORD_FILE=str(tmp_path),
    )
    assert found[0] == "LONGARC_KEY: Both LONGARC_KEY and LONGARC_KEY_FILE are set. Set one of them."
    assert all("can't be read" in line for line in found[1:])
    assert [line.split(":")[0] for line in found[1:]] == ["LONGARC_SMTP_PASSWORD_FILE", "LONGARC_CALDAV_PASSWORD_FILE"]


def test_what_the_environment_says_is_blamed_on_it_and_not_repeated(tmp_path: Path) -> None:
    (tmp_path / "key").write_text("hidden")
    (tmp_path / "url").write_text("postgresql://a:hid@den@db/x\n")
    files = {"LONGARC_KEY_FILE": str(tmp_path / "key"), "LONGARC_DATABASE_URL_FILE": str(tmp_path / "url")}
    found = problems(tmp_path, 'database = "sqlite:///x.db"', LONGARC_QUEUE_URL="redis://:hidden@a:b", **files)
    assert sorted(line.partition(".")[0] for line in found) == [
        "LONGARC_DATABASE_URL_FILE: There is more than one `@` in this address",
        "LONGARC_KEY_FILE: Key 1 of 1 is not 32 bytes in URL-safe base64",
        "LONGARC_QUEUE_URL: The port is not valid",
    ]
    assert not any(part in line for line in found for part in ("hid@", "den@", "hidden"))


@pytest.mark.parametrize(
    "url",
    [
        "sqlite:////var/lib/longarc/a%20b.db",
        "postgresql:///longarc?host=/run/postgresql",
        "postgresql+psycopg://a:p%40ss@[::1]:5432/x?sslmode=require",
        "postgresql://db.example.com:5432/x",
    ],
)
def test_the_address_of_a_database_is_kept_as_it_is_given(url: str) -> None:
    assert load_settings(None, {"LONGARC_DATABASE_URL": url}).database == url


def test_a_file_that_holds_something_else_than_keys_is_one_problem(tmp_path: Path) -> None:
    (tmp_path / "notes").write_text(f"these are my notes {KEY}\nand no key\n")
    assert only(tmp_path, "", LONGARC_KEY_FILE=str(tmp_path / "notes")) == (
        "LONGARC_KEY_FILE: 7 of 8 keys are not 32 bytes in URL-safe base64; the first is key 1. "
        "Create a key with `longarc key`. Separate several keys by commas."
    )


@pytest.mark.parametrize("key", ["short", KEY[:-2], "ä" * 44, KEY + KEY], ids=["short", "cut", "signs", "twice"])
def test_a_key_that_is_none_is_not_repeated(tmp_path: Path, key: str) -> None:
    line = only(tmp_path, "", LONGARC_KEY=f"{KEY},{key}")
    assert line.startswith("LONGARC_KEY: Key 2 of 2 is not 32 bytes")
    assert key not in line


# --- what is wrong --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "line"),
    [
        ("[rules]\nahead = 3", "2: rules.ahead: This is not a whole number from 1 to 2."),
        ('[rules]\n\nahead = "2"', "3: rules.ahead: This is not a whole number from 1 to 2."),
        ("[rules]\nahead = true", "2: rules.ahead: This is not a whole number"),
        ("[rules]\nreview_minutes = 31", "2: rules.review_minutes: This is not a whole number from 20 to 30."),
        ("[rules]\nmin_minutes = 45", "2: rules.min_minutes: This is not a whole number from 60 to 90."),
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
def test_a_problem_says_where_it_stands_and_what_to_write(tmp_path: Path, text: str, line: str) -> None:
    found = only(tmp_path, text)
    assert found.startswith("longarc.toml:")
    assert line in found


def test_all_problems_come_at_once_in_the_order_of_the_file(tmp_path: Path) -> None:
    text = 'queue = 1\n[rules]\nahead = 9\nwhat = 1\n[mailers.smtp]\npassword = "x"\nsecurity = "ssl"'
    found = problems(tmp_path, text, LONGARC_KEY="short")
    assert [line.split(": ")[0] for line in found] == [*(f"longarc.toml:{n}" for n in (1, 3, 4, 6, 7)), "LONGARC_KEY"]


@pytest.mark.parametrize("content", [b"\xff\xfe", b"# caf\xe9"])
def test_a_file_that_is_no_text_is_a_problem(tmp_path: Path, content: bytes) -> None:
    path = tmp_path / "longarc.toml"
    path.write_bytes(content)
    with pytest.raises(Problems, match="This is not UTF-8"):
        load_settings(path, {})


def test_a_file_that_can_t_be_read_is_a_problem(tmp_path: Path) -> None:
    for path in (tmp_path / "none.toml", tmp_path):
        with pytest.raises(Problems, match="The settings can't be read"):
            load_settings(path, {})


VALUES = st.none() | st.booleans() | st.integers() | st.text(max_size=20) | st.lists(st.integers(), max_size=2)


@settings(max_examples=150, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.dictionaries(st.sampled_from(sorted(list_known_keys())), VALUES, max_size=4), st.text(max_size=40))
def test_whatever_is_in_the_file_only_problems_are_raised(
    tmp_path: Path, chosen: dict[tuple[str, ...], object], tail: str
) -> None:
    lines = [f"{'.'.join(key)} = {json.dumps(value)}" for key, value in chosen.items()]
    path = tmp_path / "longarc.toml"
    path.write_text("\n".join([*lines, tail]), encoding="utf-8", errors="replace")
    try:
        load_settings(path, {"LONGARC_KEY": tail})
    except Problems as raised:
        assert all(problem.remedy for problem in raised.problems)
