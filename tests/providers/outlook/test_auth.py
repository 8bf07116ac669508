"""The ways into Microsoft 365: an app by certificate or secret, a person by device code or browser; and the ways in
which each can fail, every one ending in one clear line with the remedy."""

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization

from tests.doubles.graph import CLIENT, Double, Fault, section
from tests.doubles.graph.login import TENANT, Application, Denied, make_certificate, write_parts
from tests.support.companies import KEY
from tests.support.terminal import Terminal
from worker.cli import main
from worker.errors import AuthRevoked, Forbidden, Permanent, Unavailable
from worker.providers.outlook import auth, calendar, checks
from worker.seal import Seal, generate_key

DANA = "dana@corp.example"


@pytest.fixture(scope="module")
def pair() -> tuple[bytes, bytes]:
    return make_certificate("longarc")


def refused(given: dict[str, Any]) -> str:
    with pytest.raises(AuthRevoked) as caught:
        auth.build_tokens(given).get_token()
    assert "\n" not in str(caught.value)
    return str(caught.value)


# --- an app ---------------------------------------------------------------------------------------------------------


def test_an_app_with_a_certificate_is_let_in(double: Double, pair: tuple[bytes, bytes], tmp_path: Path) -> None:
    """Its proof is verified by the public part, as the service does."""
    file = write_parts(tmp_path, "longarc.pem", *pair)
    double.login.applications[CLIENT] = Application(CLIENT, certificates=[pair[1]])
    given = section(double, certificate=str(file), password="")
    assert checks.read_permissions(auth.build_tokens(given).get_token()) == list(Application(CLIENT).rights)


def test_a_certificates_key_may_be_locked(double: Double, pair: tuple[bytes, bytes], tmp_path: Path) -> None:
    key = serialization.load_pem_private_key(pair[0], None)
    lock = serialization.BestAvailableEncryption(b"open sesame")
    locked = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, lock)
    file = write_parts(tmp_path, "longarc.pem", locked, pair[1])
    double.login.applications[CLIENT] = Application(CLIENT, certificates=[pair[1]])
    assert auth.build_tokens(section(double, certificate=str(file), password="open sesame")).get_token()
    assert "can't be used" in refused(section(double, certificate=str(file), password="wrong"))


def test_a_certificate_that_the_app_does_not_know(double: Double, pair: tuple[bytes, bytes], tmp_path: Path) -> None:
    double.login.applications[CLIENT] = Application(CLIENT, certificates=[make_certificate("other")[1]])
    file = write_parts(tmp_path, "longarc.pem", *pair)
    assert "700027" in refused(section(double, certificate=str(file), password=""))


def test_a_certificate_and_a_key_that_do_not_belong_together(
    double: Double, pair: tuple[bytes, bytes], tmp_path: Path
) -> None:
    file = write_parts(tmp_path, "longarc.pem", pair[0], make_certificate("other")[1])
    assert "does not belong" in refused(section(double, certificate=str(file), password=""))
    assert double.login.requests == []


@pytest.mark.parametrize("content", [b"", b"not a certificate", b"-----BEGIN PRIVATE KEY-----\nxx\n"])
def test_a_file_that_is_no_certificate(double: Double, tmp_path: Path, content: bytes) -> None:
    file = write_parts(tmp_path, "longarc.pem", content)
    assert "PEM" in refused(section(double, certificate=str(file), password=""))
    assert "can't be read" in refused(section(double, certificate=str(tmp_path / "none.pem"), password=""))


@pytest.mark.parametrize(
    ("given", "application", "words"),
    [
        ({"password": "wrong"}, {}, "7000215"),
        ({}, {"secret_expired": True}, "7000222"),
        ({"tenant": "nowhere.example"}, {}, "tenant"),
        ({"client_id": "another"}, {}, "700016"),
        ({"tenant": ""}, {}, "tenant"),
        ({"client_id": ""}, {}, "client_id"),
        ({"password": ""}, {}, "certificate"),
    ],
)
def test_each_wrong_setting_has_its_line(
    double: Double, given: dict[str, Any], application: dict[str, Any], words: str
) -> None:
    double.login.applications[CLIENT] = Application(CLIENT, **application)
    assert words in refused(section(double, **given))


@pytest.mark.parametrize("code", sorted(auth._REMEDIES))
def test_every_number_that_is_known_says_what_to_do(double: Double, code: int) -> None:
    double.login.refusal = Denied("invalid_client", code, "No.", 401)
    told = refused(section(double))
    assert str(code) in told and told.endswith(".")


def test_a_number_that_nobody_knows_is_told_as_it_came(double: Double) -> None:
    double.login.refusal = Denied("invalid_client", 123456, "Something new.", 401)
    assert "Something new" in refused(section(double))


def test_a_log_in_service_without_time_is_transient(double: Double) -> None:
    double.login.refusal = Denied("temporarily_unavailable", 90033, "Later.", 503)
    with pytest.raises(Unavailable):
        auth.build_tokens(section(double)).get_token()


def test_a_log_in_service_out_of_reach_is_transient(double: Double) -> None:
    with pytest.raises(Unavailable, match="authority"):
        auth.build_tokens({**section(double), "authority": "https://127.0.0.1:9"}).get_token()
    with pytest.raises(Unavailable, match="TLS"):
        auth.build_tokens({**section(double), "ca_file": ""}).get_token()


def test_a_token_is_asked_for_once(double: Double) -> None:
    tokens = auth.build_tokens(section(double))
    first = tokens.get_token()
    assert tokens.get_token() == first
    assert tokens.get_token(fresh=True) != first
    assert double.login.requests.count("client_credentials") == 2


def test_a_secret_is_in_no_line_and_no_log(double: Double, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    provider = calendar.build_calendar(section(double, password="hunter2-hunter2"))
    with pytest.raises(Permanent) as caught:
        provider.find("dana@corp.example", "s1.1")
    assert "hunter2" not in str(caught.value) + caplog.text
    double.world.add_person(DANA)
    good = calendar.build_calendar(section(double))
    good.find(DANA, "s1.1")
    [token] = double.login.grants
    assert token not in caplog.text


# --- one person's own account ---------------------------------------------------------------------------------------


@pytest.fixture
def own(double: Double, tmp_path: Path) -> dict[str, Any]:
    """The settings of Dana's own account, not signed in yet."""
    double.world.add_person(DANA, "Europe/Berlin")
    double.login.signed_in = DANA
    file = str(tmp_path / "var" / "account")
    return section(
        double, account=DANA, account_file=file, seal=Seal([generate_key()]), password="", tenant="organizations"
    )


def signed_in(own: dict[str, Any]) -> auth.AccountTokens:
    account = auth.AccountTokens(own)
    account.sign_in_by_device(lambda _: None)
    return account


def test_by_device_code(own: dict[str, Any], double: Double) -> None:
    told: list[str] = []
    auth.AccountTokens(own).sign_in_by_device(told.append)
    [flow] = double.login.device_codes.values()
    assert flow["user_code"] in told[0] and "sign in" in told[0]
    assert auth.AccountTokens(own).get_token() in double.login.grants


@pytest.mark.timeout(30)
def test_by_browser(own: dict[str, Any], double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The browser does what one does: it opens the page and posts its form, back to the loopback."""
    browser = tmp_path / "browser"
    browser.write_text(
        "#!/usr/bin/env python3\n"
        "import json, ssl, sys, urllib.parse, urllib.request\n"
        f"context = ssl.create_default_context(cafile={str(double.ca_file)!r})\n"
        "form = json.load(urllib.request.urlopen(sys.argv[1], context=context))\n"
        "urllib.request.urlopen(form['action'], urllib.parse.urlencode(form['fields']).encode()).read()\n"
    )
    browser.chmod(0o755)
    monkeypatch.setenv("BROWSER", f"{browser} %s &")
    monkeypatch.setattr("webbrowser._tryorder", None)
    auth.AccountTokens(own).sign_in_by_browser()
    assert auth.AccountTokens(own).get_token() in double.login.grants


def test_what_is_kept_is_sealed_and_its_owners_alone(own: dict[str, Any], double: Double) -> None:
    signed_in(own)
    file = Path(own["account_file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert DANA.encode() not in content
    assert not any(again.encode() in content for again in double.login.refresh_tokens)
    assert sorted(one.name for one in file.parent.iterdir()) == ["account", "account.lock"]


def test_the_grant_is_renewed_and_kept(own: dict[str, Any], double: Double) -> None:
    """A refresh token is good for one use: what replaces it is kept before it is used."""
    account = signed_in(own)
    for _ in range(3):
        assert account.get_token(fresh=True) in double.login.grants
    assert auth.AccountTokens(own).get_token(fresh=True) in double.login.grants


def test_many_processes_renew_in_turns(own: dict[str, Any]) -> None:
    signed_in(own)
    problems: list[Exception] = []

    def renew() -> None:
        try:
            auth.AccountTokens(own).get_token(fresh=True)
        except Exception as error:
            problems.append(error)

    workers = [threading.Thread(target=renew) for _ in range(5)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert problems == []


def test_before_anybody_signs_in_and_after_the_grant_is_gone(own: dict[str, Any], double: Double) -> None:
    assert "longarc connect outlook" in refused(own)
    account = signed_in(own)
    double.login.refresh_tokens.clear()
    with pytest.raises(AuthRevoked, match="connect outlook"):
        account.get_token(fresh=True)


def test_somebody_else_at_the_keyboard_is_not_kept(own: dict[str, Any], double: Double) -> None:
    double.login.signed_in = "eve@corp.example"
    with pytest.raises(AuthRevoked, match=r"eve@corp\.example signed in"):
        signed_in(own)
    assert not Path(own["account_file"]).exists()
    double.login.signed_in = ""
    with pytest.raises(AuthRevoked, match="did not sign in"):
        signed_in(own)


def test_an_app_that_is_no_public_client_says_so(own: dict[str, Any], double: Double) -> None:
    double.login.applications[CLIENT].public = False
    with pytest.raises(AuthRevoked, match="public client"):
        signed_in(own)


def test_another_key_or_a_broken_file_is_told_apart_from_no_grant(own: dict[str, Any], tmp_path: Path) -> None:
    signed_in(own)
    assert "another key" in refused({**own, "seal": Seal([generate_key()])})
    Path(own["account_file"]).write_bytes(b"garbage")
    assert "another key" in refused(own)
    assert "LONGARC_KEY" in refused({name: value for name, value in own.items() if name != "seal"})
    blocked = tmp_path / "file"
    blocked.touch()
    assert "account_file" in refused({**own, "account_file": str(blocked / "account")})


@pytest.mark.parametrize("left", ["another key", "junk"])
def test_signing_in_again_takes_the_place_of_a_grant_that_nobody_can_open(own: dict[str, Any], left: str) -> None:
    signed_in({**own, "seal": Seal([generate_key()])})
    if left == "junk":
        Path(own["account_file"]).write_bytes(b"garbage")
    assert "another key" in refused(own)
    signed_in(own)
    assert auth.AccountTokens(own).get_token(fresh=True)


def test_a_folder_where_the_grant_belongs_is_said_before_anybody_signs_in(own: dict[str, Any], double: Double) -> None:
    Path(own["account_file"]).mkdir(parents=True)
    with pytest.raises(AuthRevoked, match="is a folder"):
        signed_in(own)
    assert double.login.device_codes == {}


def test_an_account_works_on_its_own_calendar(own: dict[str, Any], double: Double) -> None:
    """As `me`; others only by free/busy, through it."""
    from tests.doubles.graph import Hands
    from tests.support.drafts import WINDOW, draft, span

    signed_in(own)
    hands = Hands(double)
    sam = hands.person()
    hands.add(sam, span(5, 14))
    provider = calendar.build_calendar(own)
    event = provider.create(DANA, draft(DANA, sam))
    assert provider.find(DANA, event.key or "") == event
    found = provider.free_busy([DANA, sam], WINDOW)
    assert [busy.key for busy in found[sam].busy] == [None, event.key]
    assert all(finding.ok for finding in provider.check(DANA))
    assert all(path.startswith("/v1.0/me/") for _, path, _ in double.seen)
    double.faults.append(Fault("GET", "mailboxSettings", 403, "ErrorAccessDenied"))
    assert [finding.ok for finding in provider.check(DANA)].count(False) == 1


def test_an_account_hears_of_its_own_calendar_only(own: dict[str, Any], double: Double) -> None:
    """As `me`; an earlier subscription is found by that name."""
    from tests.doubles.graph import Hands
    from tests.support.channel_contract import PUBLIC, channel_of, listen
    from tests.support.drafts import span

    signed_in(own)
    hands = Hands(double)
    provider = calendar.build_calendar(own)
    with listen() as listener:
        double.subscriptions.routes[PUBLIC] = listener.url
        for _ in range(2):
            opened = provider.open_channel(channel_of(DANA, "/notify/outlook"))
        [subscription] = double.subscriptions.live
        assert subscription.id == opened.remote_id and subscription.given["resource"] == "me/events"
        hands.add(DANA, span(5, 14))
        assert listener.wait_for(1)
        with pytest.raises(Forbidden, match="permission Calendars"):
            provider.open_channel(channel_of(hands.person(), "/notify/outlook"))
        double.subscriptions.settle()
    provider.close()


# --- the command ----------------------------------------------------------------------------------------------------


def connected(double: Double, folder: Path, *, key: str, account: str = DANA) -> Any:
    (folder / "longarc.toml").write_text(
        f'[calendars.outlook]\nendpoint = "{double.endpoint}"\nauthority = "{double.authority}"\n'
        f'tenant = "{TENANT}"\nclient_id = "{CLIENT}"\naccount = "{account}"\nca_file = "{double.ca_file}"\n'
    )
    environment = {"LONGARC_CONFIG": str(folder / "longarc.toml"), "LONGARC_KEY": key}
    return CliRunner(env=environment).invoke(main, ["connect", "outlook"])


def test_the_command_signs_in(own: dict[str, Any], double: Double, tmp_path: Path) -> None:
    key = generate_key()
    done = connected(double, tmp_path, key=key)
    assert done.exit_code == 0, done.output
    assert "enter the code" in done.output and "has signed in" in done.output
    kept = {**own, "account_file": str(tmp_path / "var" / "outlook-account"), "seal": Seal([key]), "tenant": TENANT}
    assert auth.AccountTokens(kept).get_token()


def test_rotation_takes_the_grant_along_and_says_when_it_could_not(
    own: dict[str, Any], double: Double, fresh_terminal: Terminal
) -> None:
    """Afterwards the new key alone opens it; what no key opens is told, and the old keys are not called needless."""
    file, new = fresh_terminal.folder / "grant", generate_key()
    signed_in({**own, "account_file": str(file), "seal": Seal([KEY])})
    fresh_terminal.write(
        "longarc.toml", f'database = "{fresh_terminal.url}"\n[calendars.outlook]\naccount_file = "{file}"\n'
    )
    fresh_terminal.env["LONGARC_KEY"] = f"{new},{KEY}"
    fresh_terminal.output_of("people", "--apply")
    assert "1 piece sealed anew. The keys after the first are not needed" in fresh_terminal.output_of("rotate")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert auth.AccountTokens({**own, "account_file": str(file), "seal": Seal([new])}).get_token(fresh=True)
    fresh_terminal.env["LONGARC_KEY"] = f"{generate_key()},{KEY}"
    said = fresh_terminal.error_of("rotate")
    assert f"The tokens in {file} were sealed with another key" in said and "not needed" not in said


def test_the_command_says_what_is_missing(own: dict[str, Any], double: Double, tmp_path: Path) -> None:
    assert "account" in connected(double, tmp_path, key=generate_key(), account="").output
    assert "LONGARC_KEY" in connected(double, tmp_path, key="").output
    double.login.signed_in = ""
    done = connected(double, tmp_path, key=generate_key())
    assert done.exit_code == 1 and "did not sign in" in done.output
