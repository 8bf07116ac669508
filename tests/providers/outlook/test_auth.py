"""Signing in to Microsoft 365: an app by certificate or secret, a person by device code or browser. Each failure ends
in an error of one line that names a remedy."""

import stat
import threading
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from cryptography.hazmat.primitives import serialization

from tests.doubles.graph import CLIENT, Double, Fault, Hands, make_section
from tests.doubles.graph.login import TENANT, Application, Denied, make_certificate, write_parts
from tests.support.channel_contract import PUBLIC, listen, make_channel
from tests.support.companies import KEY
from tests.support.drafts import UNUSED_KEY, WINDOW, draft, span  # `span(5, 9)` is 9:00-10:00 UTC on 5 March 2027
from tests.support.terminal import Terminal
from worker.cli import main
from worker.errors import AuthRevoked, Forbidden, Permanent, Unavailable
from worker.providers.outlook import auth, calendar, checks
from worker.seal import Seal, generate_key

DANA = "dana@corp.example"
UNREACHABLE_URL = "https://127.0.0.1:9"  #: nothing listens on that port
# Numbers of the form 700016 are error codes of the sign-in service, without their prefix AADSTS.


@pytest.fixture(scope="module")
def key_and_certificate() -> tuple[bytes, bytes]:
    """A private key and its certificate, in PEM."""
    return make_certificate("longarc")


def get_sign_in_error(settings: dict[str, Any]) -> str:
    """Return the error text, of one line, with which the sign-in by these settings fails."""
    with pytest.raises(AuthRevoked) as error_info:
        auth.build_tokens(settings).get_token()
    assert "\n" not in str(error_info.value)
    return str(error_info.value)


# --- an app ---------------------------------------------------------------------------------------------------------


def test_app_signs_in_with_a_certificate(
    double: Double, key_and_certificate: tuple[bytes, bytes], tmp_path: Path
) -> None:
    """The double verifies the assertion with the certificate, as the service does. `password` is the passphrase of the
    private key."""
    _, certificate = key_and_certificate
    file = write_parts(tmp_path, "longarc.pem", *key_and_certificate)
    double.login.applications[CLIENT] = Application(CLIENT, certificates=[certificate])
    settings = make_section(double, certificate=str(file), password="")
    # the token grants all rights that an application of the double has by default
    assert checks.read_permissions(auth.build_tokens(settings).get_token()) == list(Application(CLIENT).rights)


def test_private_key_of_the_certificate_may_have_a_passphrase(
    double: Double, key_and_certificate: tuple[bytes, bytes], tmp_path: Path
) -> None:
    plain_key, certificate = key_and_certificate
    key = serialization.load_pem_private_key(plain_key, None)
    encryption = serialization.BestAvailableEncryption(b"open sesame")
    encrypted_key = key.private_bytes(serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8, encryption)
    file = write_parts(tmp_path, "longarc.pem", encrypted_key, certificate)
    double.login.applications[CLIENT] = Application(CLIENT, certificates=[certificate])
    assert auth.build_tokens(make_section(double, certificate=str(file), password="open sesame")).get_token()
    assert "can't be used" in get_sign_in_error(make_section(double, certificate=str(file), password="wrong"))


def test_certificate_that_the_app_does_not_know_is_refused(
    double: Double, key_and_certificate: tuple[bytes, bytes], tmp_path: Path
) -> None:
    _, other_certificate = make_certificate("other")
    double.login.applications[CLIENT] = Application(CLIENT, certificates=[other_certificate])
    file = write_parts(tmp_path, "longarc.pem", *key_and_certificate)
    assert "700027" in get_sign_in_error(make_section(double, certificate=str(file), password=""))


def test_private_key_of_another_certificate_is_refused_without_a_request(
    double: Double, key_and_certificate: tuple[bytes, bytes], tmp_path: Path
) -> None:
    private_key, _ = key_and_certificate
    _, other_certificate = make_certificate("other")
    file = write_parts(tmp_path, "longarc.pem", private_key, other_certificate)
    assert "does not belong" in get_sign_in_error(make_section(double, certificate=str(file), password=""))
    assert double.login.requests == []


@pytest.mark.parametrize("content", [b"", b"not a certificate", b"-----BEGIN PRIVATE KEY-----\nxx\n"])
def test_invalid_or_missing_certificate_file_is_refused(double: Double, tmp_path: Path, content: bytes) -> None:
    file = write_parts(tmp_path, "longarc.pem", content)
    assert "PEM" in get_sign_in_error(make_section(double, certificate=str(file), password=""))
    assert "can't be read" in get_sign_in_error(
        make_section(double, certificate=str(tmp_path / "none.pem"), password="")
    )


@pytest.mark.parametrize(
    ("changed_settings", "application_fields", "expected_text"),
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
def test_error_names_the_wrong_setting(
    double: Double, changed_settings: dict[str, Any], application_fields: dict[str, Any], expected_text: str
) -> None:
    double.login.applications[CLIENT] = Application(CLIENT, **application_fields)
    assert expected_text in get_sign_in_error(make_section(double, **changed_settings))


@pytest.mark.parametrize("code", sorted(auth._REMEDIES))
def test_each_known_error_code_has_a_remedy(double: Double, code: int) -> None:
    double.login.refusal = Denied("invalid_client", code, "No.", 401)
    text = get_sign_in_error(make_section(double))
    assert str(code) in text and text.endswith(".")


def test_text_of_an_unknown_error_code_is_repeated(double: Double) -> None:
    double.login.refusal = Denied("invalid_client", 123456, "Something new.", 401)
    assert "Something new" in get_sign_in_error(make_section(double))


def test_busy_sign_in_service_is_unavailable(double: Double) -> None:
    double.login.refusal = Denied("temporarily_unavailable", 90033, "Later.", 503)
    with pytest.raises(Unavailable):
        auth.build_tokens(make_section(double)).get_token()


def test_unreachable_sign_in_service_is_unavailable(double: Double) -> None:
    with pytest.raises(Unavailable, match="authority"):
        auth.build_tokens({**make_section(double), "authority": UNREACHABLE_URL}).get_token()
    with pytest.raises(Unavailable, match="TLS"):
        auth.build_tokens({**make_section(double), "ca_file": ""}).get_token()


def test_token_is_requested_once_unless_a_fresh_one_is_required(double: Double) -> None:
    tokens = auth.build_tokens(make_section(double))
    first = tokens.get_token()
    assert tokens.get_token() == first
    assert tokens.get_token(fresh=True) != first
    assert double.login.requests.count("client_credentials") == 2


def test_secret_and_token_are_in_no_error_text_and_no_log(double: Double, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    invalid_provider = calendar.build_calendar(make_section(double, password="hunter2-hunter2"))
    with pytest.raises(Permanent) as error_info:
        invalid_provider.find("dana@corp.example", UNUSED_KEY)
    assert "hunter2" not in str(error_info.value) + caplog.text
    double.world.add_person(DANA)
    valid_provider = calendar.build_calendar(make_section(double))
    valid_provider.find(DANA, UNUSED_KEY)
    [token] = double.login.grants
    assert token not in caplog.text


# --- the account of one person --------------------------------------------------------------------------------------


@pytest.fixture
def account_section(double: Double, tmp_path: Path) -> dict[str, Any]:
    """The section of the settings for Dana's own account. Nobody has signed in yet."""
    double.world.add_person(DANA, "Europe/Berlin")
    double.login.consenting_person = DANA
    file = str(tmp_path / "var" / "account")
    return make_section(
        double, account=DANA, account_file=file, seal=Seal([generate_key()]), password="", tenant="organizations"
    )


def sign_in(account_section: dict[str, Any]) -> auth.AccountTokens:
    """Sign in by device code."""
    account = auth.AccountTokens(account_section)
    account.sign_in_by_device(lambda _: None)
    return account


def test_person_signs_in_by_device_code(account_section: dict[str, Any], double: Double) -> None:
    texts: list[str] = []
    auth.AccountTokens(account_section).sign_in_by_device(texts.append)
    [flow] = double.login.device_codes.values()
    assert flow["user_code"] in texts[0] and "sign in" in texts[0]
    assert auth.AccountTokens(account_section).get_token() in double.login.grants


@pytest.mark.timeout(30)
def test_person_signs_in_by_browser(
    account_section: dict[str, Any], double: Double, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The script in place of a browser opens the page and posts its form to the loopback address."""
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
    auth.AccountTokens(account_section).sign_in_by_browser()
    assert auth.AccountTokens(account_section).get_token() in double.login.grants


def test_grant_is_stored_sealed_and_readable_by_its_owner_only(account_section: dict[str, Any], double: Double) -> None:
    sign_in(account_section)
    file = Path(account_section["account_file"])
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    content = file.read_bytes()
    assert DANA.encode() not in content
    assert not any(token.encode() in content for token in double.login.refresh_tokens)
    assert sorted(path.name for path in file.parent.iterdir()) == ["account", "account.lock"]


def test_renewed_grant_is_stored(account_section: dict[str, Any], double: Double) -> None:
    """A refresh token can be used once. So the next one has to be stored before it is used."""
    account = sign_in(account_section)
    for _ in range(3):
        assert account.get_token(fresh=True) in double.login.grants
    assert auth.AccountTokens(account_section).get_token(fresh=True) in double.login.grants


def test_concurrent_renewals_of_the_grant_all_succeed(account_section: dict[str, Any]) -> None:
    sign_in(account_section)
    errors: list[Exception] = []

    def renew() -> None:
        try:
            auth.AccountTokens(account_section).get_token(fresh=True)
        except Exception as error:
            errors.append(error)

    threads = [threading.Thread(target=renew) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert errors == []


def test_missing_or_revoked_grant_names_the_connect_command(account_section: dict[str, Any], double: Double) -> None:
    assert "longarc connect outlook" in get_sign_in_error(account_section)
    account = sign_in(account_section)
    double.login.refresh_tokens.clear()
    with pytest.raises(AuthRevoked, match="connect outlook"):
        account.get_token(fresh=True)


def test_sign_in_of_another_person_is_not_stored(account_section: dict[str, Any], double: Double) -> None:
    double.login.consenting_person = "eve@corp.example"
    with pytest.raises(AuthRevoked, match=r"eve@corp\.example signed in"):
        sign_in(account_section)
    assert not Path(account_section["account_file"]).exists()
    double.login.consenting_person = ""
    with pytest.raises(AuthRevoked, match="did not sign in"):
        sign_in(account_section)


def test_error_says_that_the_app_is_no_public_client(account_section: dict[str, Any], double: Double) -> None:
    double.login.applications[CLIENT].public = False
    with pytest.raises(AuthRevoked, match="public client"):
        sign_in(account_section)


def test_unreadable_grant_has_another_error_than_a_missing_grant(
    account_section: dict[str, Any], tmp_path: Path
) -> None:
    sign_in(account_section)
    assert "another key" in get_sign_in_error({**account_section, "seal": Seal([generate_key()])})
    Path(account_section["account_file"]).write_bytes(b"garbage")
    assert "another key" in get_sign_in_error(account_section)
    assert "LONGARC_KEY" in get_sign_in_error(
        {name: value for name, value in account_section.items() if name != "seal"}
    )
    plain_file = tmp_path / "file"
    plain_file.touch()
    assert "account_file" in get_sign_in_error({**account_section, "account_file": str(plain_file / "account")})


@pytest.mark.parametrize("stored_content", ["another key", "junk"])
def test_new_sign_in_replaces_a_grant_that_cannot_be_opened(
    account_section: dict[str, Any], stored_content: str
) -> None:
    sign_in({**account_section, "seal": Seal([generate_key()])})
    if stored_content == "junk":
        Path(account_section["account_file"]).write_bytes(b"garbage")
    assert "another key" in get_sign_in_error(account_section)
    sign_in(account_section)
    assert auth.AccountTokens(account_section).get_token(fresh=True)


def test_folder_in_place_of_the_account_file_is_refused_before_the_sign_in(
    account_section: dict[str, Any], double: Double
) -> None:
    Path(account_section["account_file"]).mkdir(parents=True)
    with pytest.raises(AuthRevoked, match="is a folder"):
        sign_in(account_section)
    assert double.login.device_codes == {}


def test_connected_account_reads_and_writes_its_own_calendar(account_section: dict[str, Any], double: Double) -> None:
    """Every request is made as `me`. The time of other people is read only by free/busy, through the account."""
    sign_in(account_section)
    hands = Hands(double)
    sam = hands.person()
    hands.add(sam, span(5, 14))
    provider = calendar.build_calendar(account_section)
    event = provider.create(DANA, draft(DANA, sam))
    assert provider.find(DANA, event.key or "") == event
    free_busy = provider.free_busy([DANA, sam], WINDOW)
    assert [busy.key for busy in free_busy[sam].busy] == [None, event.key]  # the event of the 5th, and ours later
    assert all(finding.ok for finding in provider.check(DANA))
    assert all(path.startswith("/v1.0/me/") for _, path, _ in double.seen)
    double.faults.append(Fault("GET", "mailboxSettings", 403, "ErrorAccessDenied"))
    assert [finding.ok for finding in provider.check(DANA)].count(False) == 1


def test_connected_account_opens_a_channel_for_its_own_calendar_only(
    account_section: dict[str, Any], double: Double
) -> None:
    """The subscription is to `me/events`, and the second attempt finds the first subscription by that name."""
    sign_in(account_section)
    hands = Hands(double)
    provider = calendar.build_calendar(account_section)
    with listen() as listener:
        double.subscriptions.routes[PUBLIC] = listener.url
        for _ in range(2):
            opened_channel = provider.open_channel(make_channel(DANA, "/notify/outlook"))
        [subscription] = double.subscriptions.live
        assert subscription.id == opened_channel.remote_id and subscription.given["resource"] == "me/events"
        hands.add(DANA, span(5, 14))
        assert listener.wait_for(1)
        with pytest.raises(Forbidden, match="permission Calendars"):
            provider.open_channel(make_channel(hands.person(), "/notify/outlook"))
        double.subscriptions.settle()
    provider.close()


# --- the command ----------------------------------------------------------------------------------------------------


def run_connect(double: Double, folder: Path, *, key: str, account: str = DANA) -> Any:
    """Run `longarc connect outlook` in this folder, and return the result."""
    (folder / "longarc.toml").write_text(
        f'[calendars.outlook]\nendpoint = "{double.endpoint}"\nauthority = "{double.authority}"\n'
        f'tenant = "{TENANT}"\nclient_id = "{CLIENT}"\naccount = "{account}"\nca_file = "{double.ca_file}"\n'
    )
    environment = {"LONGARC_CONFIG": str(folder / "longarc.toml"), "LONGARC_KEY": key}
    return CliRunner(env=environment).invoke(main, ["connect", "outlook"])


def test_connect_command_signs_in(account_section: dict[str, Any], double: Double, tmp_path: Path) -> None:
    key = generate_key()
    result = run_connect(double, tmp_path, key=key)
    assert result.exit_code == 0, result.output
    assert "enter the code" in result.output and "has signed in" in result.output
    stored_section = {
        **account_section,
        "account_file": str(tmp_path / "var" / "outlook-account"),  # the default, beside `longarc.toml`
        "seal": Seal([key]),
        "tenant": TENANT,
    }
    assert auth.AccountTokens(stored_section).get_token()


def test_rotation_seals_the_grant_anew_or_reports_that_no_key_opens_it(
    account_section: dict[str, Any], double: Double, fresh_terminal: Terminal
) -> None:
    """Afterwards the new key alone opens the grant. When no key opens it, the old keys are not called needless."""
    file, new_key = fresh_terminal.folder / "grant", generate_key()
    sign_in({**account_section, "account_file": str(file), "seal": Seal([KEY])})
    fresh_terminal.write(
        "longarc.toml", f'database = "{fresh_terminal.url}"\n[calendars.outlook]\naccount_file = "{file}"\n'
    )
    fresh_terminal.env["LONGARC_KEY"] = f"{new_key},{KEY}"
    fresh_terminal.output_of("people", "--apply")  # creates the database, which `rotate` seals anew too
    assert "1 piece sealed anew. The keys after the first are not needed" in fresh_terminal.output_of("rotate")
    assert stat.S_IMODE(file.stat().st_mode) == 0o600
    assert auth.AccountTokens({**account_section, "account_file": str(file), "seal": Seal([new_key])}).get_token(
        fresh=True
    )
    fresh_terminal.env["LONGARC_KEY"] = f"{generate_key()},{KEY}"
    error_text = fresh_terminal.error_of("rotate")
    assert f"The tokens in {file} were sealed with another key" in error_text and "not needed" not in error_text


def test_connect_command_names_what_is_missing(account_section: dict[str, Any], double: Double, tmp_path: Path) -> None:
    assert "account" in run_connect(double, tmp_path, key=generate_key(), account="").output
    assert "LONGARC_KEY" in run_connect(double, tmp_path, key="").output
    double.login.consenting_person = ""
    result = run_connect(double, tmp_path, key=generate_key())
    assert result.exit_code == 1 and "did not sign in" in result.output
