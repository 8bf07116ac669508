"""`longarc check`: everything that is needed is tried, nothing is changed, and each finding that isn't well has its
remedy."""

import json
import shutil
from collections.abc import Iterator
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
from worker.ops.checks import run_checks
from worker.providers.base import Finding
from worker.providers.google.auth import EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.settings.load import load_settings
from worker.store.database import make_alembic_config

PEOPLE = f"email,name,manager,time_zone,country\n{DANA},Dana,,Europe/Berlin,DE\n{SAM},Sam,{DANA},Europe/Berlin,DE\n"
IN_MEMORY = PEOPLE.replace("country", "country,calendar,mail").replace(",DE\n", ",DE,memory,memory\n")
ENV = {"LONGARC_KEY": KEY}
PASSWORD = "correct horse battery staple"


@pytest.fixture(scope="module")
def servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[EmbeddedServers]:
    """A calendar server that asks for a log-in, and a mail server."""
    zones = {DANA: "Europe/Berlin", SAM: "Europe/Berlin"}
    folder = tmp_path_factory.mktemp("servers")
    with EmbeddedServers(folder, [DANA, SAM], zones=zones, username="longarc", password=PASSWORD) as running:
        yield running


def lay_out(folder: Path, listed: str, toml: str = "") -> Path:
    """Settings and people in a folder; the path of the settings."""
    (folder / "people.csv").write_text(listed)
    given = f'database = "sqlite:///{folder / "longarc.db"}"\noperator = "ops@corp.example"\n'
    toml += '[mail]\noperator_by = "memory"\n'
    (folder / "longarc.toml").write_text(given + toml)
    return folder / "longarc.toml"


def on(servers: EmbeddedServers, folder: Path, url: str = "") -> Path:
    """Settings for those servers."""
    mail = f'[mailers.smtp]\nhost = "{servers.smtp_host}"\nport = {servers.smtp_port}\nsecurity = "none"\n'
    calendars = (
        f'[calendars.caldav]\nurl = "{url or servers.caldav_url}"\nusername = "longarc"\nattendee_copies = true\n'
    )
    return lay_out(folder, PEOPLE, mail + calendars)


def look(config: Path, **env: str) -> list[Finding]:
    return list(run_checks(config, {**ENV, **env}, utcnow()))


def wrong(config: Path, **env: str) -> dict[str, str]:
    """What isn't well, and its remedy."""
    found = {one.statement: one.remedy for one in look(config, **env) if not one.ok}
    assert all(found.values()), "each of them has a remedy"
    return found


def the_only(found: dict[str, str]) -> str:
    """The one thing that isn't well, with its remedy."""
    assert len(found) == 1, found
    return next(f"{what} {remedy}" for what, remedy in found.items())


def check(config: Path, *more: str, **env: str) -> Result:
    return CliRunner(env={**ENV, **env}).invoke(main, ["check", "--config", str(config), *more])


# --- on real servers ---


def test_on_servers_that_work_everything_is_well_and_unchanged(servers: EmbeddedServers, tmp_path: Path) -> None:
    config = on(servers, tmp_path)
    before = sorted(tmp_path.rglob("*"))
    result = check(config, LONGARC_CALDAV_PASSWORD=PASSWORD)
    assert result.exit_code == 0, result.output
    assert f"Time zones are those of release {tzdata.IANA_VERSION}" in result.output
    for wanted in ("2 people in 1 pairs", f"may write to {DANA}'s", f"time of {SAM} can be read", "accepts the log-in"):
        assert wanted in result.output
    assert sorted(tmp_path.rglob("*")) == before


def test_a_wrong_password_is_told_and_not_repeated(servers: EmbeddedServers, tmp_path: Path) -> None:
    config = on(servers, tmp_path)
    result = check(config, LONGARC_CALDAV_PASSWORD="guess-of-mine")
    assert result.exit_code == 1
    assert f"✗ The calendar server answers for {DANA}" in result.output
    assert "username" in result.output.partition(f"✗ The calendar server answers for {DANA}")[2].splitlines()[1]
    assert "guess-of-mine" not in result.output
    assert "Traceback" not in result.output


def test_servers_out_of_reach_are_named_each(servers: EmbeddedServers, tmp_path: Path) -> None:
    config = on(servers, tmp_path, "http://127.0.0.1:9/{email}/")
    config.write_text(config.read_text().replace(f"port = {servers.smtp_port}", "port = 9"))
    found = wrong(config)
    assert any("The calendar server answers" in what and "127.0.0.1:9" in remedy for what, remedy in found.items())
    assert any("The mail server 127.0.0.1:9" in what for what in found)
    assert any(what.startswith("The time of") for what in found)


def test_a_calendar_that_is_not_there_is_found(servers: EmbeddedServers, tmp_path: Path) -> None:
    config = on(servers, tmp_path)
    (tmp_path / "people.csv").write_text(PEOPLE.replace(SAM, "ghost@corp.example"))
    said = the_only(wrong(config, LONGARC_CALDAV_PASSWORD=PASSWORD))
    assert "The time of ghost@corp.example can be read" in said


def test_every_report_is_tried_and_who_is_not_is_said(
    servers: EmbeddedServers, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Reading, and writing where copies are put there; the seventh report of one manager as well as the first."""
    reports = [f"sam{number}@corp.example" for number in range(7)]
    for report in reports:
        servers.add_person(report)
    config = on(servers, tmp_path)
    listed = [f"{report},Sam,{DANA},Europe/Berlin,DE\n" for report in reports]
    (tmp_path / "people.csv").write_text(PEOPLE.partition(SAM)[0] + "".join(listed))
    said = {one.statement for one in look(config, LONGARC_CALDAV_PASSWORD=PASSWORD)}
    for report in reports:
        assert {f"The time of {report} can be read", f"Longarc may write to {report}'s calendar"} <= said
    monkeypatch.setattr("worker.ops.checks.MAX_REPORTS_CHECKED", 6)
    left_out = [one for one in look(config, LONGARC_CALDAV_PASSWORD=PASSWORD) if one.statement.startswith("Not tried")]
    assert [one.statement for one in left_out] == [f"Not tried: the calendars of {reports[6]}"]


# --- settings, people, templates ---


def test_settings_with_unknown_keys_are_all_told_and_end_it(tmp_path: Path) -> None:
    config = lay_out(tmp_path, IN_MEMORY, "[rules]\nahaed = 2\nmax_cancel = 2\n")
    found = look(config)
    assert [one.ok for one in found] == [False, False]
    assert [one.remedy for one in found] == ["Did you mean `ahead`?", "Did you mean `max_cancels`?"]


def test_t19_a_retired_setting_is_named_with_what_replaces_it_and_is_no_fault(tmp_path: Path) -> None:
    config = lay_out(tmp_path, IN_MEMORY, "[rules]\nfirst_within_days = 21\n")
    (retired,) = [one for one in look(config) if "first_within_days" in one.statement]
    assert retired.ok
    assert retired.statement == "longarc.toml:4: rules.first_within_days: This setting no longer has an effect."
    assert "`rules.first_spread`" in retired.remedy
    assert not [one for one in look(lay_out(tmp_path, IN_MEMORY)) if "no longer has an effect" in one.statement]


def test_a_people_file_with_problems_tells_them_all(tmp_path: Path) -> None:
    config = lay_out(tmp_path, IN_MEMORY.replace("Europe/Berlin", "Berlim"))
    found = wrong(config)
    assert [what.split(",")[0] for what in found] == ["people.csv:line 2", "people.csv:line 3"]
    (tmp_path / "people.csv").unlink()
    assert "No such file" in the_only(wrong(config))


def test_r29_the_check_finds_expired_openings_and_faults_of_the_file(tmp_path: Path) -> None:
    config, file = lay_out(tmp_path, IN_MEMORY), tmp_path / "openings.csv"
    assert not [one for one in look(config) if "openings.csv" in one.statement]  # the file is no duty
    file.write_text("title,kind,until\nLead it,project,2099-12-31\nOld,path,2020-01-31\n")
    found = [one for one in look(config) if "openings.csv" in one.statement]
    assert [one.ok for one in found] == [True, True]
    assert found[0].statement == "openings.csv lists 2 openings, 1 of them current"
    assert found[1].statement == "openings.csv:line 3, until: `Old` ended on 2020-01-31; nobody sees it"
    assert found[1].remedy == "Remove the line, or give it a later day."
    file.write_text("title,kind,until\nLead it,job,2099-12-31\n")
    assert the_only(wrong(config)).startswith("openings.csv:line 2, kind: `job` is not one of")
    named = lay_out(tmp_path, IN_MEMORY)
    named.write_text('openings = "elsewhere.csv"\n' + named.read_text())
    assert "No such file" in the_only(wrong(named))


def test_a_broken_template_is_found_before_a_mail_needs_it(tmp_path: Path) -> None:
    config = lay_out(tmp_path, IN_MEMORY)
    config.write_text('templates = "own"\n' + config.read_text())
    (tmp_path / "own" / "brief").mkdir(parents=True)
    (tmp_path / "own" / "brief" / "body.txt.j2").write_text("{{ nobody_knows_this }}")
    assert "body.txt.j2:1" in the_only(wrong(config))


def test_a_locale_without_a_catalogue_is_told(tmp_path: Path) -> None:
    """Those people get English mails; German ones get German."""
    listed = IN_MEMORY.replace("time_zone,", "time_zone,locale,").replace(
        "Europe/Berlin,DE", "Europe/Berlin,fr-CA,DE", 1
    )
    found = look(lay_out(tmp_path, listed.replace("Europe/Berlin,DE", "Europe/Berlin,de-AT,DE")))
    assert [one.statement for one in found if "catalogue" in one.statement] == [
        "1 person reads fr_CA, of which there is no catalogue: their mails are in English"
    ]


def test_pages_without_tls_are_found(tmp_path: Path) -> None:
    """Whoever listens on the way could follow a link as well."""
    config = lay_out(tmp_path, IN_MEMORY)
    toml = config.read_text()
    for base_url, well in (("https://a.example", True), ("http://127.0.0.1:8030", True), ("http://a.example", False)):
        config.write_text(f'base_url = "{base_url}"\n{toml}')
        assert any(f"Mails link to pages at {base_url}" in one for one in wrong(config)) == (not well), base_url


def test_a_service_that_nobody_set_up_is_told_once(tmp_path: Path) -> None:
    config = lay_out(tmp_path, PEOPLE.replace("country", "country,mail").replace(",DE\n", ",DE,memory\n"))
    assert "calendars.caldav.url" in the_only(wrong(config))


def test_a_manager_without_a_calendar_is_found(tmp_path: Path) -> None:
    listed = IN_MEMORY.replace("Dana,,Europe/Berlin,DE,memory", "Dana,,Europe/Berlin,DE,none")
    config = lay_out(tmp_path, listed)
    assert f"line 2, calendar: `{DANA}` manages somebody" in the_only(wrong(config))


def test_time_that_cannot_be_read_just_now_is_not_called_shut(tmp_path: Path) -> None:
    """Nobody is told to share a calendar that Google only asks to leave alone for a while."""
    with Google() as google:
        google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
        key = tmp_path / "key.json"
        key.write_text(json.dumps(google.tokens.service_account()))
        for who in (DANA, SAM):
            google.calendars.add_person(who)
        google.faults.add("calendar.events.list", "userRateLimitExceeded", who=SAM)
        lines = ["endpoint", "token_endpoint"]
        toml = "\n".join(["[calendars.google]", *(f'{one} = "{google.section[one]}"' for one in lines)])
        listed = IN_MEMORY.replace("DE,memory", "DE,google")
        config = lay_out(tmp_path, listed, f'{toml}\nservice_account = "{key}"\n')
        said = the_only(wrong(config))
        assert f"The time of {SAM} can be read" in said and "again in a few minutes" in said
        assert "none" not in said and "Share" not in said


# --- the database and the key ---


@pytest.fixture
def used(tmp_path: Path) -> Path:
    """A database in which a contract lies sealed; the path of its settings."""
    config = lay_out(tmp_path, IN_MEMORY)
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


def test_the_key_is_tried_on_what_is_sealed(used: Path) -> None:
    assert any(one.statement == "The key opens everything that is sealed (3 pieces)" for one in look(used))
    other = Fernet.generate_key().decode()
    said = the_only(wrong(used, LONGARC_KEY=other))
    assert "after the present one" in said
    assert wrong(used, LONGARC_KEY=f"{other},{KEY}") == {}
    assert "longarc key" in the_only(wrong(used, LONGARC_KEY=""))


def test_opening_tells_which_kind_of_thing_is_shut_and_nothing_in_it(used: Path, tmp_path: Path) -> None:
    from worker.ops.checks import open_sealed_pieces
    from worker.settings.load import load_settings

    store = new_store(f"sqlite:///{tmp_path / 'longarc.db'}")
    settings = load_settings(used, {"LONGARC_KEY": Fernet.generate_key().decode()})
    with pytest.raises(WrongKey, match="A sealed contract can't be opened"):
        open_sealed_pieces(store, settings, limit=1)
    store.close()


def alter(folder: Path, statement: str) -> None:
    """Change the database of that folder."""
    store = new_store(f"sqlite:///{folder / 'longarc.db'}")
    with store.database.write() as connection:
        connection.execute(text(statement))
    store.close()


def test_an_older_database_is_found_and_its_key_is_tried_all_the_same(used: Path, tmp_path: Path) -> None:
    alter(tmp_path, "UPDATE alembic_version SET version_num = '0001'")
    alter(tmp_path, "DROP TABLE sketch")
    alter(tmp_path, "ALTER TABLE deferral DROP COLUMN sealed")
    assert "is at version 0001" in the_only(wrong(used))
    said = CliRunner(env=ENV).invoke(main, ["status", "--config", str(used)]).output
    assert "at version 0001" in said
    assert "`longarc run` brings an older one up to date" in said
    other = CliRunner(env={"LONGARC_KEY": Fernet.generate_key().decode()})
    assert "A sealed contract can't be opened" in other.invoke(main, ["run", "--config", str(used)]).output


def test_a_database_that_is_not_whole_is_found(used: Path, tmp_path: Path) -> None:
    alter(tmp_path, "DROP TABLE contract")
    said = the_only(wrong(used))
    assert said.endswith("longarc.db lacks contract Restore the whole database from the last backup.")


HEAD = ScriptDirectory.from_config(make_alembic_config()).get_current_head()


@pytest.mark.parametrize(
    ("statement", "at"),
    [
        ("UPDATE alembic_version SET version_num = '9999'", "9999"),
        ("INSERT INTO alembic_version VALUES ('0001')", f"0001 and {HEAD}"),
    ],
    ids=["newer", "two"],
)
def test_a_version_that_nothing_leads_to_or_from_is_one_clear_line(
    used: Path, tmp_path: Path, statement: str, at: str
) -> None:
    alter(tmp_path, statement)
    assert f"is at version {at}, which" in the_only(wrong(used))
    for words in (["status"], ["plan"], ["run"], ["serve"], ["people", "--apply"]):
        result = CliRunner(env=ENV).invoke(main, [*words, "--config", str(used)])
        assert (result.exit_code, len(result.output.splitlines())) == (1, 1), result.output
        assert result.output.startswith(f"longarc: The database is at version {at}, which this program does not know")


@pytest.mark.parametrize("path", ["people.csv/longarc.db", "folder", "people.csv"])
def test_a_database_that_can_t_be_written_is_one_clear_line(tmp_path: Path, path: str) -> None:
    config = lay_out(tmp_path, IN_MEMORY)
    config.write_text(config.read_text().replace("longarc.db", path))
    (tmp_path / "folder").mkdir()
    before = (tmp_path / "people.csv").read_text()
    said = the_only(wrong(config))
    assert path in said
    for words in (["run"], ["people", "--apply"]):
        result = CliRunner(env=ENV).invoke(main, [*words, "--config", str(config)])
        assert (result.exit_code, len(result.output.splitlines())) == (1, 1), result.output
        assert result.output.startswith("longarc: The ")
        assert " database " in result.output
    assert (tmp_path / "people.csv").read_text() == before


@pytest.mark.parametrize("queue", ["127.0.0.1:9", "127.0.0.1:9/?socket_timeout=soon", "127.0.0.1:9/?nonsense=1"])
def test_a_queue_that_does_not_answer_is_found_before_anything_is_written(tmp_path: Path, queue: str) -> None:
    config = lay_out(tmp_path, IN_MEMORY)
    before = sorted(tmp_path.iterdir())
    found = look(config, LONGARC_QUEUE_URL=f"redis://longarc:hunter2@{queue}")
    assert [one.statement for one in found if not one.ok] == ["The queue can be used"]
    assert len(found) > 5, "the rest is looked at all the same"
    env = {**ENV, "LONGARC_QUEUE_URL": f"redis://longarc:hunter2@{queue}"}
    result = CliRunner(env=env).invoke(main, ["run", "--config", str(config)])
    assert (result.exit_code, len(result.output.splitlines())) == (1, 1), result.output
    for said in (result.output, str(found)):
        assert "The queue can't be used: " in said
        assert "hunter2" not in said
    assert sorted(tmp_path.iterdir()) == before


def test_whatever_ends_a_part_is_told_and_the_others_are_looked_at(used: Path, tmp_path: Path) -> None:
    alter(tmp_path, "ALTER TABLE contract RENAME COLUMN sealed TO lost")
    found = look(used, LONGARC_QUEUE_URL="redis://127.0.0.1:9")
    failed = [(one.statement, one.remedy) for one in found if not one.ok]
    assert failed[0] == ("The database can be used", "the database can't be used: no such column: contract.sealed.")
    assert [what for what, _ in failed[1:]] == ["The queue can be used"]
    assert found[-1].statement == "ops@corp.example is told when something needs a person"


def test_a_database_out_of_reach_is_found_without_its_password(used: Path) -> None:
    url = "postgresql://longarc:hunter2@127.0.0.1:9/longarc"
    said = the_only(wrong(used, LONGARC_DATABASE_URL=url))
    assert "can't be reached" in said
    assert "hunter2" not in said


def test_json_lists_every_finding(used: Path) -> None:
    result = check(used, "--json")
    told: list[dict[str, Any]] = json.loads(result.stdout)
    assert result.exit_code == 0
    assert all(set(one) == {"what", "ok", "remedy"} and one["ok"] for one in told)
    shutil.rmtree(used.parent / "var", ignore_errors=True)
    failed = check(used, "--json", LONGARC_KEY="")
    assert failed.exit_code == 1
    assert [one["ok"] for one in json.loads(failed.stdout)].count(False) == 1


# --- a folder of one's own ---


def test_the_folder_for_trying_it_is_furnished_once(tmp_path: Path) -> None:
    house = EmbeddedFolder(tmp_path / 'it\'s "here" %20', first_ports=(0, 0, 0))
    house.write_missing_files()
    assert house.key_file.stat().st_mode & 0o777 == 0o600
    env: dict[str, str] = {}
    house.set_environment(env)
    settings = load_settings(house.settings_file, env)
    with house.start_servers(settings, read_people(settings, START).persons.values()):
        assert [one.statement for one in run_checks(house.settings_file, env, utcnow()) if not one.ok] == []
    house.key_file.write_text(KEY)
    house.settings_file.write_text(house.settings_file.read_text() + "# mine\n")
    house.write_missing_files()
    assert house.key_file.read_text() == KEY
    assert house.settings_file.read_text().endswith("# mine\n")


def test_the_address_at_which_services_tell_of_changes_is_tried(tmp_path: Path) -> None:
    base = 'base_url = "https://127.0.0.1:1"\n[pages]\nlisten = "127.0.0.1:1"\n'
    config = lay_out(tmp_path, IN_MEMORY, f'{base}[sync]\nnotify_url = "https://127.0.0.1:1"\n')
    [finding] = [one for one in look(config) if "/notify" in one.statement]
    assert finding.ok and finding.remedy.startswith("Start `longarc run` first")
