"""`longarc check` for a directory that pushes people by SCIM, and the settings for it."""

from pathlib import Path

import pytest

from tests.conftest import migrate
from tests.support.companies import KEY
from tests.support.pushing import OTHER_TOKEN, TOKEN, make_user, open_company
from worker.clock import utcnow
from worker.errors import Problems
from worker.ops.checks import run_checks
from worker.ops.scim_checks import check_scim
from worker.providers.base import Finding
from worker.settings.load import load_settings
from worker.web.server import PageServer

SCIM_SETTINGS = """\
database = "sqlite:///{folder}/longarc.db"
base_url = "{base_url}"
operator = "ops@corp.example"
[mail]
from = "longarc@corp.example"
operator_by = "memory"
[roster]
source = "scim"
calendar = "memory"
mail = "memory"
time_zone = "Europe/Berlin"
country = "DE"
"""


#: An address at which nothing listens.
UNUSED_URL = "http://127.0.0.1:9"


def write_settings(folder: Path, base_url: str = UNUSED_URL) -> Path:
    """Write settings of a company whose directory pushes people. Return their path."""
    (folder / "longarc.toml").write_text(SCIM_SETTINGS.format(folder=folder, base_url=base_url))
    return folder / "longarc.toml"


def run_all_checks(folder: Path, token: str = TOKEN) -> dict[str, Finding]:
    """Return the findings, by their statement."""
    env = {"LONGARC_KEY": KEY, "LONGARC_SCIM_TOKEN": token}
    return {finding.statement: finding for finding in run_checks(write_settings(folder), env, utcnow())}


def find_finding(findings: dict[str, Finding], start: str) -> Finding:
    """Return the only finding whose statement begins with these words."""
    (match,) = [finding for statement, finding in findings.items() if statement.startswith(start)]
    return match


def test_checks_before_the_first_push_give_remedies(tmp_path: Path) -> None:
    findings = run_all_checks(tmp_path, token="")
    assert "openssl rand -hex 32" in find_finding(findings, "A token is set").remedy
    assert "only to HTTPS" in find_finding(findings, f"Directories push people to {UNUSED_URL}/scim/v2").remedy
    unreachable = find_finding(findings, f"{UNUSED_URL}/scim/v2 does not respond to this machine (ConnectionError)")
    assert unreachable.ok and "longarc run" in unreachable.remedy
    assert not find_finding(findings, "A directory has pushed people by SCIM").ok
    assert not (tmp_path / "longarc.db").exists(), "`longarc check` created a database"


def test_check_counts_the_pushed_people(tmp_path: Path) -> None:
    url = f"sqlite:///{tmp_path / 'longarc.db'}"
    migrate(url)
    company = open_company(url, has_tables=True)
    company.directory.create(make_user("ann@x.example"))
    company.directory.create(make_user("bo@x.example", manager=company.directory.ids["ann@x.example"]))
    company.close()
    findings = run_all_checks(tmp_path, token=f"{TOKEN},{OTHER_TOKEN}")
    assert find_finding(findings, "SCIM lists 2 people: 1 with a manager, 1 without").ok
    assert find_finding(findings, "SCIM names 2 people in 1 pair").ok
    assert "Remove the old token" in find_finding(findings, "2 tokens are set").remedy


def test_pages_respond_to_the_check_and_refuse_requests_without_a_token(tmp_path: Path) -> None:
    company = open_company(f"sqlite:///{tmp_path / 'longarc.db'}", pages={"listen": "127.0.0.1:0"})
    with PageServer(company.worker) as server:
        settings = load_settings(write_settings(tmp_path, f"http://127.0.0.1:{server.port}"), {"LONGARC_KEY": KEY})
        findings = [finding.statement for finding in check_scim(settings)]
    company.close()
    assert (
        f"http://127.0.0.1:{server.port}/scim/v2 responds to this machine, and refuses requests without a token"
        in findings
    )


@pytest.mark.parametrize("tokens", ["tiny", f"{TOKEN} {'x' * 31}"])
def test_short_token_is_refused_and_not_printed(tmp_path: Path, tokens: str) -> None:
    file = tmp_path / "token"
    file.write_text(tokens)
    with pytest.raises(Problems) as error_info:
        load_settings(write_settings(tmp_path), {"LONGARC_SCIM_TOKEN_FILE": str(file)})
    (problem,) = error_info.value.problems
    assert problem.where == "LONGARC_SCIM_TOKEN_FILE" and "shorter than 32 characters" in problem.what
    assert tokens not in str(problem)


def test_tokens_are_read_from_the_environment_and_not_printed(tmp_path: Path) -> None:
    settings = load_settings(write_settings(tmp_path), {"LONGARC_SCIM_TOKEN": f"{TOKEN}, {OTHER_TOKEN}"})
    assert [token.get_secret_value() for token in settings.scim_tokens] == [TOKEN, OTHER_TOKEN]
    assert TOKEN not in repr(settings)


def test_scim_without_pages_is_refused(tmp_path: Path) -> None:
    with pytest.raises(Problems) as error_info:
        load_settings(write_settings(tmp_path, base_url=""), {})
    (problem,) = error_info.value.problems
    # line 8 of SCIM_SETTINGS
    assert "longarc.toml:8: roster.source" in problem.where and "Set `base_url`" in problem.remedy


def test_token_in_the_settings_file_is_refused_with_the_variable_as_remedy(tmp_path: Path) -> None:
    path = write_settings(tmp_path)
    path.write_text(f'scim_token = "{TOKEN}"\n{path.read_text()}')
    with pytest.raises(Problems) as error_info:
        load_settings(path, {})
    (problem,) = error_info.value.problems
    assert "LONGARC_SCIM_TOKEN_FILE" in problem.remedy and TOKEN not in str(problem)
