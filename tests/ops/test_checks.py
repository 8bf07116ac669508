"""`longarc check`: it tries everything that Longarc needs, changes nothing, and gives a remedy for each failure."""

import json
import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
import tzdata
from alembic.script import ScriptDirectory
from click.testing import CliRunner, Result
from cryptography.fernet import Fernet
from sqlalchemy import text

from tests.doubles.google import Google
from tests.support.companies import DANA, KEY, SAM, START, Office, contract, new_store, people
from worker.cli import main
from worker.clock import utcnow
from worker.commands.embedded import EmbeddedFolder
from worker.embedded import EmbeddedServers
from worker.engine.roster_reader import read_people
from worker.errors import WrongKey
from worker.ops.checks import open_sealed_pieces, run_checks
from worker.providers.base import Finding
from worker.providers.google.auth import EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.settings.load import load_settings
from worker.store.database import make_alembic_config

PEOPLE = f"email,name,manager,time_zone,country\n{DANA},Dana,,Europe/Berlin,DE\n{SAM},Sam,{DANA},Europe/Berlin,DE\n"
PEOPLE_IN_MEMORY = PEOPLE.replace("country", "country,calendar,mail").replace(",DE\n", ",DE,memory,memory\n")
ENV = {"LONGARC_KEY": KEY}
#: A port of this machine at which nothing listens.
UNUSED_PORT = 9
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    """A calendar server that requires a log-in, and a mail server."""
    zones = {DANA: "Europe/Berlin", SAM: "Europe/Berlin"}
    folder = tmp_path_factory.mktemp("servers")
    with EmbeddedServers(folder, [DANA, SAM], zones=zones, username="longarc", password=PASSWORD) as servers:
        yield servers


def write_files(folder: Path, people_csv: str, toml: str = "") -> Path:
    """Write the settings and the people file into the folder. Return the path of the settings."""
    (folder / "people.csv").write_text(people_csv)
    base_settings = f'database = "sqlite:///{folder / "longarc.db"}"\noperator = "ops@corp.example"\n'
    toml += '[mail]\noperator_by = "memory"\n'
    (folder / "longarc.toml").write_text(base_settings + toml)
    return folder / "longarc.toml"


def write_server_settings(servers: EmbeddedServers, folder: Path, url: str = "") -> Path:
    """Write settings for these servers into the folder. Return their path."""
    mail = f'[mailers.smtp]\nhost = "{servers.smtp_host}"\nport = {servers.smtp_port}\nsecurity = "none"\n'
    calendars = (
        f'[calendars.caldav]\nurl = "{url or servers.caldav_url}"\nusername = "longarc"\nattendee_copies = true\n'
    )
    return write_files(folder, PEOPLE, mail + calendars)


def list_findings(config: Path, **env: str) -> list[Finding]:
    return list(run_checks(config, {**ENV, **env}, utcnow()))


def get_failed_checks(config: Path, **env: str) -> dict[str, str]:
    """Return the remedy of each failed check, by its statement."""
    remedies = {finding.statement: finding.remedy for finding in list_findings(config, **env) if not finding.ok}
    assert all(remedies.values()), "a failed check has no remedy"
    return remedies


def get_only_failed_check(remedies: dict[str, str]) -> str:
    """Return the statement and the remedy of the only failed check."""
    assert len(remedies) == 1, remedies
    return next(f"{statement} {remedy}" for statement, remedy in remedies.items())


def run_check_command(config: Path, *options: str, **env: str) -> Result:
    return CliRunner(env={**ENV, **env}).invoke(main, ["check", "--config", str(config), *options])


# --- on real servers ---


def test_all_checks_pass_on_working_servers_and_change_nothing(servers: EmbeddedServers, tmp_path: Path) -> None:
    config = write_server_settings(servers, tmp_path)
    files_before = sorted(tmp_path.rglob("*"))
    result = run_check_command(config, LONGARC_CALDAV_PASSWORD=PASSWORD)
    assert result.exit_code == 0, result.output
    assert f"Time zones are those of release {tzdata.IANA_VERSION}" in result.output
    for statement in (
        "2 people in 1 pair",
        f"may write to {DANA}'s",
        f"time of {SAM} can be read",
        "accepts the log-in",
    ):
        assert statement in result.output
    assert sorted(tmp_path.rglob("*")) == files_before


def test_wrong_password_fails_the_check_and_is_not_printed(servers: EmbeddedServers, tmp_path: Path) -> None:
    config = write_server_settings(servers, tmp_path)
    result = run_check_command(config, LONGARC_CALDAV_PASSWORD="guess-of-mine")
    assert result.exit_code == 1
    assert f"✗ The calendar server answers for {DANA}" in result.output
    assert "username" in result.output.partition(f"✗ The calendar server answers for {DANA}")[2].splitlines()[1]
    assert "guess-of-mine" not in result.output
    assert "Traceback" not in result.output


def test_each_unreachable_server_fails_its_check(servers: EmbeddedServers, tmp_path: Path) -> None:
    config = write_server_settings(servers, tmp_path, f"http://127.0.0.1:{UNUSED_PORT}/{{email}}/")
    config.write_text(config.read_text().replace(f"port = {servers.smtp_port}", f"port = {UNUSED_PORT}"))
    remedies = get_failed_checks(config)
    assert any(
        "The calendar server answers" in statement and f"127.0.0.1:{UNUSED_PORT}" in remedy
        for statement, remedy in remedies.items()
    )
    assert any(f"The mail server 127.0.0.1:{UNUSED_PORT}" in statement for statement in remedies)
    assert any(statement.startswith("The time of") for statement in remedies)


def test_missing_calendar_of_a_report_fails_the_check(servers: EmbeddedServers, tmp_path: Path) -> None:
    config = write_server_settings(servers, tmp_path)
    (tmp_path / "people.csv").write_text(PEOPLE.replace(SAM, "ghost@corp.example"))
    failed_check = get_only_failed_check(get_failed_checks(config, LONGARC_CALDAV_PASSWORD=PASSWORD))
    assert "The time of ghost@corp.example can be read" in failed_check


def test_every_report_is_checked_and_skipped_reports_are_named(
    servers: EmbeddedServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Longarc reads the time of every report, and writes where it puts copies of events on calendars of reports.

    Calendars above a limit of reports are not tried, and named.
    """
    reports = [f"sam{number}@corp.example" for number in range(7)]
    for report in reports:
        servers.add_person(report)
    config = write_server_settings(servers, tmp_path)
    rows = [f"{report},Sam,{DANA},Europe/Berlin,DE\n" for report in reports]
    (tmp_path / "people.csv").write_text(PEOPLE.partition(SAM)[0] + "".join(rows))
    statements = {finding.statement for finding in list_findings(config, LONGARC_CALDAV_PASSWORD=PASSWORD)}
    for report in reports:
        assert {f"The time of {report} can be read", f"Longarc may write to {report}'s calendar"} <= statements
    monkeypatch.setattr("worker.ops.checks.MAX_REPORTS_CHECKED", 6)
    findings = list_findings(config, LONGARC_CALDAV_PASSWORD=PASSWORD)
    skipped = [finding for finding in findings if finding.statement.startswith("Not tried")]
    assert [finding.statement for finding in skipped] == [f"Not tried: the calendars of {reports[6]}"]


# --- settings, people, templates ---


def test_unknown_settings_are_all_reported_and_end_the_checks(tmp_path: Path) -> None:
    config = write_files(tmp_path, PEOPLE_IN_MEMORY, "[rules]\nahaed = 2\nmax_cancel = 2\n")
    findings = list_findings(config)
    assert [finding.ok for finding in findings] == [False, False]
    assert [finding.remedy for finding in findings] == ["Did you mean `ahead`?", "Did you mean `max_cancels`?"]


def test_t19_retired_setting_passes_the_check_and_its_replacement_is_named(tmp_path: Path) -> None:
    config = write_files(tmp_path, PEOPLE_IN_MEMORY, "[rules]\nfirst_within_days = 21\n")
    (retired,) = [finding for finding in list_findings(config) if "first_within_days" in finding.statement]
    assert retired.ok
    assert retired.statement == "longarc.toml:4: rules.first_within_days: This setting no longer has an effect."
    assert "`rules.first_spread`" in retired.remedy
    findings = list_findings(write_files(tmp_path, PEOPLE_IN_MEMORY))
    assert not [finding for finding in findings if "no longer has an effect" in finding.statement]


def test_all_problems_of_the_people_file_are_reported(tmp_path: Path) -> None:
    config = write_files(tmp_path, PEOPLE_IN_MEMORY.replace("Europe/Berlin", "Berlim"))
    remedies = get_failed_checks(config)
    assert [statement.split(",")[0] for statement in remedies] == ["people.csv:line 2", "people.csv:line 3"]
    (tmp_path / "people.csv").unlink()
    assert "No such file" in get_only_failed_check(get_failed_checks(config))


def test_r29_the_check_finds_expired_openings_and_faults_of_the_file(tmp_path: Path) -> None:
    config, openings_file = write_files(tmp_path, PEOPLE_IN_MEMORY), tmp_path / "openings.csv"
    findings = list_findings(config)
    assert not [finding for finding in findings if "openings.csv" in finding.statement]  # the openings file is optional
    openings_file.write_text("title,kind,until\nLead it,project,2099-12-31\nOld,path,2020-01-31\n")
    findings = [finding for finding in list_findings(config) if "openings.csv" in finding.statement]
    assert [finding.ok for finding in findings] == [True, True]
    assert findings[0].statement == "openings.csv lists 2 openings, 1 of them current"
    assert findings[1].statement == "openings.csv:line 3, until: `Old` ended on 2020-01-31; nobody sees it"
    assert findings[1].remedy == "Remove the line, or give it a later day."
    openings_file.write_text("title,kind,until\nLead it,job,2099-12-31\n")
    assert get_only_failed_check(get_failed_checks(config)).startswith("openings.csv:line 2, kind: `job` is not one of")
    config_with_other_file = write_files(tmp_path, PEOPLE_IN_MEMORY)
    config_with_other_file.write_text('openings = "elsewhere.csv"\n' + config_with_other_file.read_text())
    assert "No such file" in get_only_failed_check(get_failed_checks(config_with_other_file))


def test_broken_template_fails_the_check(tmp_path: Path) -> None:
    config = write_files(tmp_path, PEOPLE_IN_MEMORY)
    config.write_text('templates = "own"\n' + config.read_text())
    (tmp_path / "own" / "brief").mkdir(parents=True)
    (tmp_path / "own" / "brief" / "body.txt.j2").write_text("{{ nobody_knows_this }}")
    assert "body.txt.j2:1" in get_only_failed_check(get_failed_checks(config))


def test_locale_without_a_catalogue_is_reported(tmp_path: Path) -> None:
    """People without a catalogue get English mails. For German there is a catalogue."""
    people_csv = PEOPLE_IN_MEMORY.replace("time_zone,", "time_zone,locale,").replace(
        "Europe/Berlin,DE", "Europe/Berlin,fr-CA,DE", 1
    )
    findings = list_findings(write_files(tmp_path, people_csv.replace("Europe/Berlin,DE", "Europe/Berlin,de-AT,DE")))
    assert [finding.statement for finding in findings if "catalogue" in finding.statement] == [
        "1 person reads fr_CA, of which there is no catalogue: their mails are in English"
    ]


def test_pages_without_tls_fail_the_check(tmp_path: Path) -> None:
    """Without TLS, others on the network could read the links and open them."""
    config = write_files(tmp_path, PEOPLE_IN_MEMORY)
    toml = config.read_text()
    for base_url, is_accepted in (
        ("https://a.example", True),
        ("http://127.0.0.1:8030", True),
        ("http://a.example", False),
    ):
        config.write_text(f'base_url = "{base_url}"\n{toml}')
        failed_checks = get_failed_checks(config)
        is_refused = any(f"Mails link to pages at {base_url}" in statement for statement in failed_checks)
        assert is_refused == (not is_accepted), base_url


def test_unconfigured_calendar_service_fails_one_check(tmp_path: Path) -> None:
    config = write_files(tmp_path, PEOPLE.replace("country", "country,mail").replace(",DE\n", ",DE,memory\n"))
    assert "calendars.caldav.url" in get_only_failed_check(get_failed_checks(config))


def test_each_unconfigured_calendar_service_is_reported(tmp_path: Path) -> None:
    """Whether the service is that of a manager or only of reports: Lee manages nobody, and Kim manages Lee."""
    rows = [
        f"{DANA},Dana,,Europe/Berlin,DE,caldav,memory",
        f"{SAM},Sam,{DANA},Europe/Berlin,DE,memory,memory",
        "kim@corp.example,Kim,,Europe/Berlin,DE,memory,memory",
        "lee@corp.example,Lee,kim@corp.example,Europe/Berlin,DE,outlook,memory",
    ]
    failed_checks = get_failed_checks(write_files(tmp_path, make_people_csv(rows)))
    assert [statement for statement in failed_checks if "calendars.caldav.url" in statement]
    assert [statement for statement in failed_checks if "calendars.outlook.client_id" in statement]
    rows[2] = rows[2].replace("DE,memory", "DE,outlook")  # now two people have the service Outlook
    (tmp_path / "people.csv").write_text(make_people_csv(rows))
    findings = [finding.statement for finding in list_findings(tmp_path / "longarc.toml") if not finding.ok]
    assert len(findings) == len(set(findings)) == len(failed_checks)


def make_people_csv(rows: Iterable[str]) -> str:
    """Return a people file with these rows."""
    return "\n".join(["email,name,manager,time_zone,country,calendar,mail", *rows, ""])


def test_manager_without_a_calendar_fails_the_check(tmp_path: Path) -> None:
    people_csv = PEOPLE_IN_MEMORY.replace("Dana,,Europe/Berlin,DE,memory", "Dana,,Europe/Berlin,DE,none")
    config = write_files(tmp_path, people_csv)
    assert f"line 2, calendar: `{DANA}` manages somebody" in get_only_failed_check(get_failed_checks(config))


def test_rate_limit_is_not_reported_as_missing_access(tmp_path: Path) -> None:
    """When Google limits the rate of requests, the remedy is to try again later, not to share the calendar.

    Reading Sam's events is refused for that reason.
    """
    with Google() as google:
        google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
        key = tmp_path / "key.json"
        key.write_text(json.dumps(google.tokens.add_service_account()))
        for email in (DANA, SAM):
            google.calendars.add_person(email)
        google.faults.add("calendar.events.list", "userRateLimitExceeded", who=SAM)
        keys = ["endpoint", "token_endpoint"]
        toml = "\n".join(["[calendars.google]", *(f'{name} = "{google.calendar_section[name]}"' for name in keys)])
        people_csv = PEOPLE_IN_MEMORY.replace("DE,memory", "DE,google")
        config = write_files(tmp_path, people_csv, f'{toml}\nservice_account = "{key}"\n')
        failed_check = get_only_failed_check(get_failed_checks(config))
        assert f"The time of {SAM} can be read" in failed_check and "again in a few minutes" in failed_check
        assert "none" not in failed_check and "Share" not in failed_check


# --- the database and the key ---


@pytest.fixture
def settings_with_contract(tmp_path: Path) -> Path:
    """The path of settings whose database contains a sealed contract."""
    config = write_files(tmp_path, PEOPLE_IN_MEMORY)
    store = new_store(f"sqlite:///{tmp_path / 'longarc.db'}")
    store.migrate()
    store.close()
    office = Office(f"sqlite:///{tmp_path / 'longarc.db'}", people(DANA, SAM), at=START)
    office.tick()
    session = office.session()
    office.run_to(session.span.end)
    office.worker.contracts.record(session.id, contract(office.clock()))
    office.close()
    return config


def test_key_must_open_all_sealed_content(settings_with_contract: Path) -> None:
    findings = list_findings(settings_with_contract)
    # the contract and the texts of its two commitments
    assert any(finding.statement == "The key opens everything that is sealed (3 pieces)" for finding in findings)
    other_key = Fernet.generate_key().decode()
    failed_check = get_only_failed_check(get_failed_checks(settings_with_contract, LONGARC_KEY=other_key))
    assert "after the present one" in failed_check
    assert get_failed_checks(settings_with_contract, LONGARC_KEY=f"{other_key},{KEY}") == {}
    assert "longarc key" in get_only_failed_check(get_failed_checks(settings_with_contract, LONGARC_KEY=""))


def test_wrong_key_error_names_the_kind_of_sealed_content(settings_with_contract: Path, tmp_path: Path) -> None:
    store = new_store(f"sqlite:///{tmp_path / 'longarc.db'}")
    settings = load_settings(settings_with_contract, {"LONGARC_KEY": Fernet.generate_key().decode()})
    with pytest.raises(WrongKey, match="A sealed contract can't be opened"):
        open_sealed_pieces(store, settings, limit=1)
    store.close()


def execute_sql(folder: Path, statement: str) -> None:
    """Run this SQL statement on the database in the folder."""
    store = new_store(f"sqlite:///{folder / 'longarc.db'}")
    with store.database.write() as connection:
        connection.execute(text(statement))
    store.close()


def test_older_database_fails_the_check_and_its_key_is_checked(settings_with_contract: Path, tmp_path: Path) -> None:
    execute_sql(tmp_path, "UPDATE alembic_version SET version_num = '0001'")
    # what later versions added: drafts of contracts, and reasons of deferrals
    execute_sql(tmp_path, "DROP TABLE sketch")
    execute_sql(tmp_path, "ALTER TABLE deferral DROP COLUMN sealed")
    assert "is at version 0001" in get_only_failed_check(get_failed_checks(settings_with_contract))
    output = CliRunner(env=ENV).invoke(main, ["status", "--config", str(settings_with_contract)]).output
    assert "at version 0001" in output
    assert "`longarc run` brings an older one up to date" in output
    runner_with_other_key = CliRunner(env={"LONGARC_KEY": Fernet.generate_key().decode()})
    output = runner_with_other_key.invoke(main, ["run", "--config", str(settings_with_contract)]).output
    assert "A sealed contract can't be opened" in output


def test_missing_table_fails_the_check(settings_with_contract: Path, tmp_path: Path) -> None:
    execute_sql(tmp_path, "DROP TABLE contract")
    failed_check = get_only_failed_check(get_failed_checks(settings_with_contract))
    assert failed_check.endswith("longarc.db lacks contract Restore the whole database from the last backup.")


#: The newest version of the database that this program knows.
HEAD = ScriptDirectory.from_config(make_alembic_config()).get_current_head()


@pytest.mark.parametrize(
    ("statement", "named_version"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "9999"),
        ("INSERT INTO alembic_version VALUES ('0001')", f"0001 and {HEAD}"),
    ],
    ids=["newer version", "two versions"],
)
def test_unknown_database_version_is_reported_in_one_line(
    settings_with_contract: Path, tmp_path: Path, statement: str, named_version: str
) -> None:
    execute_sql(tmp_path, statement)
    assert f"is at version {named_version}, which" in get_only_failed_check(get_failed_checks(settings_with_contract))
    for command in (["status"], ["plan"], ["run"], ["serve"], ["people", "--apply"]):
        result = CliRunner(env=ENV).invoke(main, [*command, "--config", str(settings_with_contract)])
        assert (result.exit_code, len(result.output.splitlines())) == (1, 1), result.output
        assert result.output.startswith(
            f"longarc: The database is at version {named_version}, which this program does not know"
        )


@pytest.mark.parametrize(
    "path", ["people.csv/longarc.db", "folder", "people.csv"]
)  # below a file, a folder, no database
def test_unwritable_database_is_reported_in_one_line(tmp_path: Path, path: str) -> None:
    config = write_files(tmp_path, PEOPLE_IN_MEMORY)
    config.write_text(config.read_text().replace("longarc.db", path))
    (tmp_path / "folder").mkdir()
    people_before = (tmp_path / "people.csv").read_text()
    failed_check = get_only_failed_check(get_failed_checks(config))
    assert path in failed_check
    for command in (["run"], ["people", "--apply"]):
        result = CliRunner(env=ENV).invoke(main, [*command, "--config", str(config)])
        assert (result.exit_code, len(result.output.splitlines())) == (1, 1), result.output
        assert result.output.startswith("longarc: The ")
        assert " database " in result.output
    assert (tmp_path / "people.csv").read_text() == people_before


@pytest.mark.parametrize(
    "queue", [f"127.0.0.1:{UNUSED_PORT}{options}" for options in ("", "/?socket_timeout=soon", "/?nonsense=1")]
)
def test_unreachable_queue_is_reported_before_anything_is_written(tmp_path: Path, queue: str) -> None:
    config = write_files(tmp_path, PEOPLE_IN_MEMORY)
    files_before = sorted(tmp_path.iterdir())
    findings = list_findings(config, LONGARC_QUEUE_URL=f"redis://longarc:hunter2@{queue}")
    assert [finding.statement for finding in findings if not finding.ok] == ["The queue can be used"]
    assert len(findings) > 5, "the other checks did not run"
    env = {**ENV, "LONGARC_QUEUE_URL": f"redis://longarc:hunter2@{queue}"}
    result = CliRunner(env=env).invoke(main, ["run", "--config", str(config)])
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1), result.output
    for output in (result.output, str(findings)):
        assert "The queue can't be used: " in output
        assert "hunter2" not in output
    assert sorted(tmp_path.iterdir()) == files_before


def test_error_in_one_check_does_not_prevent_the_others(settings_with_contract: Path, tmp_path: Path) -> None:
    execute_sql(tmp_path, "ALTER TABLE contract RENAME COLUMN sealed TO lost")
    findings = list_findings(settings_with_contract, LONGARC_QUEUE_URL=f"redis://127.0.0.1:{UNUSED_PORT}")
    failed = [(finding.statement, finding.remedy) for finding in findings if not finding.ok]
    assert failed[0] == ("The database can be used", "the database can't be used: no such column: contract.sealed.")
    assert [statement for statement, _ in failed[1:]] == ["The queue can be used"]
    assert findings[-1].statement == "ops@corp.example is told when something needs a person"


def test_unreachable_database_is_reported_without_its_password(settings_with_contract: Path) -> None:
    url = f"postgresql://longarc:hunter2@127.0.0.1:{UNUSED_PORT}/longarc"
    failed_check = get_only_failed_check(get_failed_checks(settings_with_contract, LONGARC_DATABASE_URL=url))
    assert "can't be reached" in failed_check
    assert "hunter2" not in failed_check


def test_json_output_lists_every_finding(settings_with_contract: Path) -> None:
    result = run_check_command(settings_with_contract, "--json")
    findings: list[dict[str, Any]] = json.loads(result.stdout)
    assert result.exit_code == 0
    assert all(set(finding) == {"what", "ok", "remedy"} and finding["ok"] for finding in findings)
    shutil.rmtree(settings_with_contract.parent / "var", ignore_errors=True)
    failed = run_check_command(settings_with_contract, "--json", LONGARC_KEY="")
    assert failed.exit_code == 1
    assert [finding["ok"] for finding in json.loads(failed.stdout)].count(False) == 1


def test_an_operator_who_is_not_named_is_a_warning(tmp_path: Path) -> None:
    config = write_files(tmp_path, PEOPLE)
    config.write_text(config.read_text().replace('operator = "ops@corp.example"\n', ""))
    (finding,) = [one for one in list_findings(config) if one.statement.startswith("Nobody is told when something")]
    assert finding.ok and finding.remedy == "Name somebody as `operator` in the settings."


# --- the embedded folder and the notification address ---


def test_embedded_folder_keeps_files_that_exist(tmp_path: Path) -> None:
    embedded_folder = EmbeddedFolder(tmp_path / 'it\'s "here" %20', first_ports=(0, 0, 0))
    embedded_folder.write_missing_files()
    assert embedded_folder.key_file.stat().st_mode & 0o777 == 0o600
    env: dict[str, str] = {}
    embedded_folder.set_environment(env)
    settings = load_settings(embedded_folder.settings_file, env)
    with embedded_folder.start_servers(settings, read_people(settings, START).persons.values()):
        assert [
            finding.statement for finding in run_checks(embedded_folder.settings_file, env, utcnow()) if not finding.ok
        ] == []
    embedded_folder.key_file.write_text(KEY)
    embedded_folder.settings_file.write_text(embedded_folder.settings_file.read_text() + "# mine\n")
    embedded_folder.write_missing_files()
    assert embedded_folder.key_file.read_text() == KEY
    assert embedded_folder.settings_file.read_text().endswith("# mine\n")


def test_notification_address_is_checked(tmp_path: Path) -> None:
    """Nothing answers there, but that counts as a fault only while the pages are running."""
    toml = 'base_url = "https://127.0.0.1:1"\n[pages]\nlisten = "127.0.0.1:1"\n'
    config = write_files(tmp_path, PEOPLE_IN_MEMORY, f'{toml}[sync]\nnotify_url = "https://127.0.0.1:1"\n')
    [finding] = [finding for finding in list_findings(config) if "/notify" in finding.statement]
    assert finding.ok and finding.remedy.startswith("Start `longarc run` first")
