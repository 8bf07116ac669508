"""`longarc connect google`: a grant given in a browser is kept sealed, or nothing is kept at all."""

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
from tests.support.terminal import Terminal
from worker.errors import AuthRevoked, Forbidden, LongarcError, Refused, Unavailable
from worker.providers.google import calendar
from worker.providers.google.auth import ACCOUNT_SCOPES, GMAIL_SEND_SCOPE, TokenFolder
from worker.providers.google.connect import connect_account
from worker.seal import generate_key

DANA = "dana@example.org"


@pytest.fixture
def double() -> Iterator[Google]:
    with Google() as running:
        running.calendars.add_person(DANA)
        yield running


@pytest.fixture
def section(double: Google, tmp_path: Path) -> dict[str, Any]:
    client, secret = double.tokens.client
    return {
        **double.section,
        "client_id": client,
        "password": secret,
        "keys": [KEY],
        "token_folder": str(tmp_path / "tokens"),
    }


def browser(change: Callable[[str], str] = lambda address: address) -> Callable[[str], None]:
    """Opens what it is shown, and follows where it is sent."""

    def show(address: str) -> None:
        Thread(target=requests.get, args=(change(address),), kwargs={"timeout": 10}, daemon=True).start()

    return show


def kept(section: dict[str, Any]) -> list[Path]:
    folder = Path(section["token_folder"])
    return sorted(folder.iterdir()) if folder.exists() else []


def test_a_grant_is_kept_sealed_and_for_nobody_else_to_read(double: Google, section: dict[str, Any]) -> None:
    account, file = connect_account(section, DANA, browser(), wait=10)
    assert account == DANA and [Path(file)] == kept(section)
    assert stat.S_IMODE(Path(file).stat().st_mode) == 0o600
    token = TokenFolder(Path(section["token_folder"]), [KEY]).load(DANA)
    assert token.startswith("1//") and token.encode() not in Path(file).read_bytes()
    assert calendar.build_calendar(section).find(DANA, "s1.1") is None


def test_what_is_asked_for_is_the_least_and_guarded(section: dict[str, Any]) -> None:
    """PKCE, a state, a port of this machine, and the scopes that are needed."""
    seen: list[str] = []

    def look(address: str) -> str:
        seen.append(address)
        return address

    connect_account(section, DANA, browser(look), wait=10)
    asked = {name: one[0] for name, one in parse_qs(urlsplit(seen[0]).query).items()}
    assert set(asked["scope"].split()) == {"openid", "email", *ACCOUNT_SCOPES}
    assert asked["code_challenge_method"] == "S256" and len(asked["code_challenge"]) == 43 and len(asked["state"]) > 30
    assert asked["redirect_uri"].startswith("http://127.0.0.1:") and asked["access_type"] == "offline"


def test_another_account_is_not_kept(double: Google, section: dict[str, Any]) -> None:
    double.calendars.add_person("kim@example.org")
    double.tokens.consenting_person = "kim@example.org"
    with pytest.raises(Refused, match="the account kim"):
        connect_account(section, DANA, browser(), wait=10)
    assert kept(section) == []


def test_a_no_is_a_no(double: Google, section: dict[str, Any]) -> None:
    double.tokens.declines_consent = True
    with pytest.raises(Refused, match="access_denied"):
        connect_account(section, DANA, browser(), wait=10)
    assert kept(section) == []


def test_a_box_that_was_not_ticked_is_named(double: Google, section: dict[str, Any]) -> None:
    double.tokens.unticked_scopes = {GMAIL_SEND_SCOPE}
    with pytest.raises(Refused, match=r"gmail\.send"):
        connect_account(section, DANA, browser(), wait=10)
    assert kept(section) == []


def test_an_answer_to_another_question_is_not_taken(section: dict[str, Any]) -> None:
    def forged(address: str) -> str:
        parts = urlsplit(address)
        return urlunsplit(parts._replace(query=urlencode({**dict(parse_qsl(parts.query)), "state": "guessed"})))

    with pytest.raises(Forbidden, match="another request than ours"):
        connect_account(section, DANA, browser(forged), wait=10)
    assert kept(section) == []


def test_nobody_who_comes_is_waited_for_only_so_long(section: dict[str, Any]) -> None:
    with pytest.raises(Unavailable, match="in time"):
        connect_account(section, DANA, lambda _: None, wait=1)


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"client_id": ""}, "Desktop app"),
        ({"keys": []}, "longarc key"),
        ({"password": "wrong"}, "does not know this OAuth client"),
    ],
)
def test_what_is_missing_is_said_with_what_to_do(section: dict[str, Any], changed: dict[str, Any], says: str) -> None:
    with pytest.raises(LongarcError, match=says) as caught:
        connect_account({**section, **changed}, DANA, browser(), wait=10)
    assert "\n" not in str(caught.value) and kept(section) == []


def test_a_token_sealed_with_another_key_says_so(section: dict[str, Any]) -> None:
    connect_account(section, DANA, browser(), wait=10)
    with pytest.raises(AuthRevoked, match="another key than those in LONGARC_KEY"):
        calendar.build_calendar({**section, "keys": [generate_key()]}).find(DANA, "s1.1")


@pytest.mark.parametrize("left", ["another key", "junk"])
def test_connecting_again_takes_the_place_of_a_grant_that_nobody_can_open(section: dict[str, Any], left: str) -> None:
    _, file = connect_account({**section, "keys": [generate_key()]}, DANA, browser(), wait=10)
    if left == "junk":
        Path(file).write_bytes(b"garbage")
    connect_account(section, DANA, browser(), wait=10)
    assert calendar.build_calendar(section).find(DANA, "s1.1") is None


def test_a_folder_where_the_grant_belongs_is_said_before_the_browser_is_asked(section: dict[str, Any]) -> None:
    (Path(section["token_folder"]) / f"{DANA}.sealed").mkdir(parents=True)
    asked: list[str] = []
    with pytest.raises(Refused, match="is a folder"):
        connect_account(section, DANA, asked.append, wait=10)
    Path(section["token_folder"]).rename(Path(section["token_folder"]).with_name("other"))
    Path(section["token_folder"]).touch()
    with pytest.raises(Refused, match="token_folder"):
        connect_account(section, DANA, asked.append, wait=10)
    assert asked == []


def test_rotation_goes_on_past_a_grant_that_no_key_opens(fresh_terminal: Terminal, tmp_path: Path) -> None:
    """Each that can't be opened is told, and those behind it are sealed anew all the same."""
    folder, new = tmp_path / "tokens", generate_key()
    for person, key in (("amy@example.org", generate_key()), (DANA, KEY)):
        TokenFolder(folder, [key]).save(person, f"token of {person}")
    fresh_terminal.write(
        "longarc.toml", f'database = "{fresh_terminal.url}"\n[calendars.google]\ntoken_folder = "{folder}"\n'
    )
    fresh_terminal.env["LONGARC_KEY"] = f"{new},{KEY}"
    fresh_terminal.output_of("people", "--apply")
    said = fresh_terminal.error_of("rotate")
    assert "amy@example.org" in said and "1 piece sealed anew" in said and "not needed" not in said
    assert TokenFolder(folder, [new]).load(DANA) == f"token of {DANA}"


def test_the_command_connects_and_rotation_takes_the_token_along(
    fresh_terminal: Terminal, double: Google, section: dict[str, Any]
) -> None:
    addresses = "\n".join(f'{name} = "{section[name]}"' for name in ("client_id", "token_endpoint", "auth_endpoint"))
    folder = section["token_folder"]
    toml = f'database = "{fresh_terminal.url}"\n[calendars.google]\n{addresses}\ntoken_folder = "{folder}"\n'
    config = fresh_terminal.write("longarc.toml", toml)
    fresh_terminal.env |= {"LONGARC_GOOGLE_CLIENT_SECRET": section["password"], "LONGARC_CONFIG": config}
    child = subprocess.Popen(
        [sys.executable, "-m", "worker", "connect", "google", DANA, "--no-browser", "--wait", "20"],
        env=fresh_terminal.env,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert child.stdout is not None
    address = next(line for line in child.stdout if line.startswith("http")).strip()
    assert "can be closed" in requests.get(address, timeout=10).text
    assert child.wait(20) == 0 and f"{DANA} is connected" in child.stdout.read()
    child.stdout.close()
    new = generate_key()
    fresh_terminal.env["LONGARC_KEY"] = f"{new},{KEY}"
    fresh_terminal.output_of("people", "--apply")
    assert "1 piece" in fresh_terminal.output_of("rotate")
    assert TokenFolder(Path(folder), [new]).load(DANA)
