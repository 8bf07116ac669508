"""`longarc connect google`: the grant that a person gives in a browser is stored sealed, or nothing is stored."""

import stat
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlencode, urlsplit, urlunsplit

import pytest
import requests

from tests.doubles.google import Google
from tests.support.companies import KEY
from tests.support.drafts import UNUSED_KEY
from tests.support.terminal import Terminal
from worker.errors import AuthRevoked, Forbidden, LongarcError, Refused, Unavailable
from worker.providers.google import calendar
from worker.providers.google.auth import ACCOUNT_SCOPES, GMAIL_SEND_SCOPE, TokenFolder
from worker.providers.google.connect import connect_account
from worker.seal import generate_key

DANA = "dana@example.org"


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as google_double:
        google_double.calendars.add_person(DANA)
        yield google_double


@pytest.fixture
def section(double: Google, tmp_path: Path) -> dict[str, Any]:
    client, secret = double.tokens.client
    return {
        **double.calendar_section,
        "client_id": client,
        "password": secret,
        "keys": [KEY],
        "token_folder": str(tmp_path / "tokens"),
    }


def make_browser(change: Callable[[str], str] = lambda url: url) -> Callable[[str], None]:
    """Return a stand-in for a browser: it opens the URL that it gets, after `change`, and follows redirects."""

    def open_url(url: str) -> None:
        Thread(target=requests.get, args=(change(url),), kwargs={"timeout": 10}, daemon=True).start()

    return open_url


def list_stored_grants(section: dict[str, Any]) -> list[Path]:
    """Return the files of the grants."""
    folder = Path(section["token_folder"])
    return sorted(folder.iterdir()) if folder.exists() else []


def test_grant_is_stored_sealed_and_readable_by_its_owner_only(double: Google, section: dict[str, Any]) -> None:
    account, file = connect_account(section, DANA, make_browser(), wait_seconds=10)
    assert account == DANA and [Path(file)] == list_stored_grants(section)
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    token = TokenFolder(Path(section["token_folder"]), [KEY]).load(DANA)
    # each refresh token of Google begins with `1//`
    assert token.startswith("1//") and token.encode() not in Path(file).read_bytes()
    assert calendar.build_calendar(section).find(DANA, UNUSED_KEY) is None  # Google accepts the token


def test_request_names_only_the_needed_scopes_and_is_protected(section: dict[str, Any]) -> None:
    """PKCE (`code_challenge`) and a state protect it, and it returns to a port of this machine."""
    urls: list[str] = []

    def record_url(url: str) -> str:
        urls.append(url)
        return url

    connect_account(section, DANA, make_browser(record_url), wait_seconds=10)
    parameters = {name: values[0] for name, values in parse_qs(urlsplit(urls[0]).query).items()}
    assert set(parameters["scope"].split()) == {"openid", "email", *ACCOUNT_SCOPES}
    # 43 characters are a hash of SHA-256 in base64
    assert (
        parameters["code_challenge_method"] == "S256"
        and len(parameters["code_challenge"]) == 43
        and len(parameters["state"]) > 30
    )
    assert parameters["redirect_uri"].startswith("http://127.0.0.1:") and parameters["access_type"] == "offline"


def test_grant_of_another_account_is_not_stored(double: Google, section: dict[str, Any]) -> None:
    double.calendars.add_person("kim@example.org")
    double.tokens.consenting_person = "kim@example.org"
    with pytest.raises(Refused, match="the account kim"):
        connect_account(section, DANA, make_browser(), wait_seconds=10)
    assert list_stored_grants(section) == []


def test_declined_consent_stores_nothing(double: Google, section: dict[str, Any]) -> None:
    double.tokens.declines_consent = True
    with pytest.raises(Refused, match="access_denied"):
        connect_account(section, DANA, make_browser(), wait_seconds=10)
    assert list_stored_grants(section) == []


def test_error_names_the_scope_that_was_not_ticked(double: Google, section: dict[str, Any]) -> None:
    double.tokens.unticked_scopes = {GMAIL_SEND_SCOPE}
    with pytest.raises(Refused, match=r"gmail\.send"):
        connect_account(section, DANA, make_browser(), wait_seconds=10)
    assert list_stored_grants(section) == []


def test_answer_with_a_wrong_state_is_refused(section: dict[str, Any]) -> None:
    def replace_state(url: str) -> str:
        parts = urlsplit(url)
        return urlunsplit(parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), "state": "guessed"})))

    with pytest.raises(Forbidden, match="another request than ours"):
        connect_account(section, DANA, make_browser(replace_state), wait_seconds=10)
    assert list_stored_grants(section) == []


def test_waiting_for_the_grant_ends_after_the_time_limit(section: dict[str, Any]) -> None:
    with pytest.raises(Unavailable, match="in time"):
        connect_account(section, DANA, lambda _: None, wait_seconds=1)


@pytest.mark.parametrize(
    ("changed_settings", "expected_text"),
    [
        ({"client_id": ""}, "Desktop app"),
        ({"keys": []}, "longarc key"),
        ({"password": "wrong"}, "does not know this OAuth client"),
    ],
)
def test_error_names_a_remedy_for_a_wrong_setting(
    section: dict[str, Any], changed_settings: dict[str, Any], expected_text: str
) -> None:
    with pytest.raises(LongarcError, match=expected_text) as error_info:
        connect_account({**section, **changed_settings}, DANA, make_browser(), wait_seconds=10)
    assert "\n" not in str(error_info.value) and list_stored_grants(section) == []


def test_error_says_that_the_token_was_sealed_with_another_key(section: dict[str, Any]) -> None:
    connect_account(section, DANA, make_browser(), wait_seconds=10)
    with pytest.raises(AuthRevoked, match="another key than those in LONGARC_KEY"):
        calendar.build_calendar({**section, "keys": [generate_key()]}).find(DANA, UNUSED_KEY)


@pytest.mark.parametrize("stored_content", ["another key", "junk"])
def test_new_grant_replaces_a_grant_that_cannot_be_opened(section: dict[str, Any], stored_content: str) -> None:
    _, file = connect_account({**section, "keys": [generate_key()]}, DANA, make_browser(), wait_seconds=10)
    if stored_content == "junk":
        Path(file).write_bytes(b"garbage")
    connect_account(section, DANA, make_browser(), wait_seconds=10)
    assert calendar.build_calendar(section).find(DANA, UNUSED_KEY) is None


def test_invalid_path_of_the_grant_is_refused_before_the_browser_opens(section: dict[str, Any]) -> None:
    (Path(section["token_folder"]) / f"{DANA}.sealed").mkdir(parents=True)
    urls: list[str] = []
    with pytest.raises(Refused, match="is a folder"):
        connect_account(section, DANA, urls.append, wait_seconds=10)
    Path(section["token_folder"]).rename(Path(section["token_folder"]).with_name("other"))
    Path(section["token_folder"]).touch()
    with pytest.raises(Refused, match="token_folder"):
        connect_account(section, DANA, urls.append, wait_seconds=10)
    assert urls == []


def test_rotation_continues_after_a_grant_that_no_key_opens(fresh_terminal: Terminal, tmp_path: Path) -> None:
    """The error names each grant that no key opens, and does not call the old keys needless. The other grants are
    sealed anew."""
    folder, new_key = tmp_path / "tokens", generate_key()
    for person, key in (("amy@example.org", generate_key()), (DANA, KEY)):
        TokenFolder(folder, [key]).save(person, f"token of {person}")
    fresh_terminal.write(
        "longarc.toml", f'database = "{fresh_terminal.url}"\n[calendars.google]\ntoken_folder = "{folder}"\n'
    )
    fresh_terminal.env["LONGARC_KEY"] = f"{new_key},{KEY}"
    fresh_terminal.output_of("people", "--apply")  # creates the database, which `rotate` seals anew too
    error_text = fresh_terminal.error_of("rotate")
    assert "amy@example.org" in error_text and "1 piece sealed anew" in error_text and "not needed" not in error_text
    assert TokenFolder(folder, [new_key]).load(DANA) == f"token of {DANA}"


def test_command_connects_and_rotation_seals_the_token_anew(
    fresh_terminal: Terminal, double: Google, section: dict[str, Any]
) -> None:
    settings = "\n".join(f'{name} = "{section[name]}"' for name in ("client_id", "token_endpoint", "auth_endpoint"))
    folder = section["token_folder"]
    toml = f'database = "{fresh_terminal.url}"\n[calendars.google]\n{settings}\ntoken_folder = "{folder}"\n'
    config = fresh_terminal.write("longarc.toml", toml)
    fresh_terminal.env |= {"LONGARC_GOOGLE_CLIENT_SECRET": section["password"], "LONGARC_CONFIG": config}
    child = subprocess.Popen(
        [sys.executable, "-m", "worker", "connect", "google", DANA, "--no-browser", "--wait", "20"],
        env=fresh_terminal.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    url = next(line for line in child.stdout if line.startswith("http")).strip()
    assert "can be closed" in requests.get(url, timeout=10).text
    assert child.wait(20) == 0 and f"{DANA} is connected" in child.stdout.read()
    child.stdout.close()
    new_key = generate_key()
    fresh_terminal.env["LONGARC_KEY"] = f"{new_key},{KEY}"
    fresh_terminal.output_of("people", "--apply")  # creates the database, which `rotate` seals anew too
    assert "1 piece" in fresh_terminal.output_of("rotate")
    assert TokenFolder(Path(folder), [new_key]).load(DANA)
