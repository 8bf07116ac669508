"""The section `[sign_in]` of the settings: its policy, its secret, and the remedies for wrong values."""

from pathlib import Path

import pytest

from tests.support.settings_file import load_settings_text
from worker.domain.sign_in import Role
from worker.errors import Problems

SECRET = {"LONGARC_SIGN_IN_SECRET": "s"}
VALID_SETTINGS = """base_url = "https://longarc.corp.example"
[sign_in]
issuer = "https://issuer.example"
client_id = "longarc"
operators = ["Dana@corp.example"]
"""


def test_valid_section_gives_a_policy_and_the_secret(tmp_path: Path) -> None:
    settings = load_settings_text(tmp_path, VALID_SETTINGS, **SECRET)
    assert settings.sign_in.policy.members[Role.OPERATOR] == {"dana@corp.example"}
    assert settings.passwords["sign_in"].get_secret_value() == "s"
    (tmp_path / "secrets").mkdir()
    (tmp_path / "secrets" / "LONGARC_SIGN_IN_SECRET").write_text("from a file\n", encoding="utf-8")
    from worker.settings.load import add_secret_files

    env = add_secret_files(tmp_path / "longarc.toml", {})
    assert load_settings_text(tmp_path, VALID_SETTINGS, **env).passwords["sign_in"].get_secret_value() == "from a file"


@pytest.mark.parametrize(
    ("text", "env", "message"),
    [
        (VALID_SETTINGS, {}, "Longarc's client secret at the issuer is missing. Set LONGARC_SIGN_IN_SECRET"),
        (
            VALID_SETTINGS.replace('base_url = "https://longarc.corp.example"', ""),
            SECRET,
            "needs pages, but there are none",
        ),
        (
            VALID_SETTINGS.replace('client_id = "longarc"', ""),
            SECRET,
            "longarc.toml:2: sign_in.client_id: Longarc's client id",
        ),
        (VALID_SETTINGS.replace("Dana@corp.example", "ops"), SECRET, "`ops` is not an e-mail address."),
        (VALID_SETTINGS.replace("https://issuer", "http://issuer"), SECRET, "not reached by HTTPS"),
        (
            VALID_SETTINGS.replace("issuer.example", "login.microsoftonline.com/common/v2.0"),
            SECRET,
            "shared by all companies",
        ),
        (VALID_SETTINGS.replace("issuer.example", "login.microsoftonline.com"), SECRET, "shared by all companies"),
        (VALID_SETTINGS + 'domains = ["@corp"]', SECRET, "`@corp` is not a domain. Write it as `example.com`."),
        (VALID_SETTINGS + 'secret = "s"', SECRET, "A secret does not belong in this file."),
        ('[pages]\nsign_in = "required"', {}, "longarc.toml:2: pages.sign_in: Links require a sign-in"),
        ('[sign_in]\noperators = ["dana@corp.example"]', {}, "This has no effect without an issuer."),
        ("sign_in = 1", {}, "This is a section, not a value."),
    ],
)
def test_invalid_section_is_refused_with_a_remedy(tmp_path: Path, text: str, env: dict[str, str], message: str) -> None:
    with pytest.raises(Problems) as error_info:
        load_settings_text(tmp_path, text, **env)
    assert message in str(error_info.value)
