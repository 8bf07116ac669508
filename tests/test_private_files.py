"""The program's files are for their owner alone, under any umask: files have mode 0600, and folders 0700."""

import os
import stat
import subprocess
import sys
from collections.abc import Iterator
from email.message import EmailMessage
from pathlib import Path

import pytest
from cryptography.fernet import Fernet

from tests.support import ROOT
from tests.support.companies import new_store
from tests.support.terminal import Terminal
from worker import private_files
from worker.commands.embedded import EmbeddedFolder
from worker.embedded import EmbeddedServers, get_mailbox_path
from worker.providers.google.auth import TokenFolder
from worker.providers.maildir import MaildirMailer, write_message
from worker.providers.outlook.auth import TokenCacheFile
from worker.seal import Seal

KEY = Fernet.generate_key().decode()


@pytest.fixture(autouse=True, params=[0o000, 0o022], ids=["umask 000", "umask 022"])
def permissive_umask(request: pytest.FixtureRequest) -> Iterator[None]:
    """A umask under which other users may read a file unless the program sets its mode."""
    umask_before = os.umask(request.param)
    yield
    os.umask(umask_before)


def list_files_open_to_others(folder: Path) -> list[str]:
    """Return the files and folders in the folder that other users may read, write or enter, with their modes."""
    modes = {path.relative_to(folder): stat.S_IMODE(path.lstat().st_mode) for path in folder.rglob("*")}
    assert modes
    return [f"{path} {mode:o}" for path, mode in modes.items() if mode & 0o077]


def test_the_database_and_its_write_ahead_log_are_private(tmp_path: Path) -> None:
    store = new_store(f"sqlite:///{tmp_path / 'var' / 'deep' / 'longarc.db'}")
    store.migrate()
    assert (tmp_path / "var" / "deep" / "longarc.db-wal").exists()
    assert list_files_open_to_others(tmp_path) == []
    store.close()


def test_a_maildir_is_private(tmp_path: Path) -> None:
    message = EmailMessage()
    message["To"] = "sam@corp.example"
    MaildirMailer(tmp_path / "out" / "mail").send(message, "m1")
    write_message(tmp_path / "in", b"To: sam@corp.example\r\n\r\n")
    assert list_files_open_to_others(tmp_path) == []


def test_stored_grants_are_private(tmp_path: Path) -> None:
    TokenFolder(tmp_path / "var" / "google", [KEY]).save("dana@corp.example", "token")
    cache = TokenCacheFile(tmp_path / "grants" / "outlook", Seal([KEY]))
    with cache.hold_lock():
        cache.write("{}")
    assert list_files_open_to_others(tmp_path) == []


def test_the_embedded_folder_and_the_mail_in_it_are_private(tmp_path: Path) -> None:
    folder = EmbeddedFolder(tmp_path / "var", first_ports=(0, 0, 0))
    folder.write_missing_files()
    folder.release_ports()
    with EmbeddedServers(tmp_path / "var", ["dana@corp.example"], username="longarc", password="guess") as servers:
        write_message(get_mailbox_path(servers.mail_folder, "dana@corp.example"), b"To: dana@corp.example\r\n\r\n")
    calendars = {path for path in tmp_path.rglob("*") if "calendars" in path.parts}
    assert calendars
    # the calendar server's own files have other modes, but are in a folder that other users can't enter
    assert [file for file in list_files_open_to_others(tmp_path) if not file.startswith("var/calendars/")] == []


def test_writing_replaces_an_existing_file_and_makes_it_private(tmp_path: Path) -> None:
    (tmp_path / "grant").write_bytes(b"old")
    private_files.write(tmp_path / "grant", b"new")
    assert (tmp_path / "grant").read_bytes() == b"new"
    assert list_files_open_to_others(tmp_path) == []
    assert [path.name for path in tmp_path.iterdir()] == ["grant"]
    with pytest.raises(FileExistsError):
        private_files.write_new(tmp_path / "grant", b"other")


def test_the_error_names_a_file_that_stands_where_a_folder_belongs(tmp_path: Path) -> None:
    (tmp_path / "var").write_bytes(b"")
    with pytest.raises(OSError, match="var"):
        private_files.make_folder(tmp_path / "var" / "mail")


def test_an_existing_folder_keeps_its_mode(tmp_path: Path) -> None:
    (tmp_path / "shared").mkdir(0o755)
    before = (tmp_path / "shared").stat().st_mode
    private_files.make_folder(tmp_path / "shared" / "ours")
    assert (tmp_path / "shared").stat().st_mode == before


def run_command(*arguments: str) -> subprocess.CompletedProcess[str]:
    """Run a command of Longarc in a new process, without settings from the environment."""
    env = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    command = [sys.executable, "-m", "worker", *arguments]
    return subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)


def test_all_files_that_a_command_writes_are_private(tmp_path: Path) -> None:
    """A command sets its own umask, so files that libraries write are private too."""
    people = ROOT / "config" / "people.example.csv"
    out = tmp_path / "deep" / "result"
    process = run_command(
        "simulate", "--from", "2027-01-04", "--days", "14", "--people", str(people), "--out", str(out)
    )
    assert process.returncode == 0, process.stderr
    assert list_files_open_to_others(tmp_path) == []


def test_the_queue_of_a_huey_consumer_is_private(settings_file: Path) -> None:
    """The module `worker.tasks` alone has to see to that: `huey_consumer worker.tasks.huey` runs no command of ours."""
    code = "from worker import tasks; tasks.get_worker().store.migrate(); tasks.tick()"
    env = {"LONGARC_CONFIG": str(settings_file), "LONGARC_KEY": KEY, "PATH": os.environ["PATH"]}
    process = subprocess.run(
        [sys.executable, "-c", code], cwd=ROOT, env=env, capture_output=True, text=True, check=False
    )
    assert process.returncode == 0, process.stderr
    assert {"longarc.db", "longarc.queue.db"} <= {path.name for path in (settings_file.parent / "var").iterdir()}
    assert list_files_open_to_others(settings_file.parent / "var") == []


@pytest.fixture
def settings_file(tmp_path: Path) -> Path:
    (tmp_path / "longarc.toml").write_text(f'database = "sqlite:///{tmp_path / "var" / "longarc.db"}"\n')
    (tmp_path / "people.csv").write_text("email,name,manager,time_zone,country\n")
    return tmp_path / "longarc.toml"


def test_check_warns_of_a_key_and_a_database_that_other_users_can_read(fresh_terminal: Terminal) -> None:
    key = fresh_terminal.folder / "key"
    key.write_text(KEY)
    key.chmod(0o644)
    fresh_terminal.output_of("people", "--apply")
    (fresh_terminal.folder / "longarc.db").chmod(0o640)
    fresh_terminal.env = {**fresh_terminal.env, "LONGARC_KEY": "", "LONGARC_KEY_FILE": str(key)}
    [warning] = [finding for finding in fresh_terminal.json_of("check") if finding["what"].startswith("Other users")]
    assert warning["ok"]
    assert warning["remedy"] == f"chmod go= {key} {fresh_terminal.folder / 'longarc.db'}"
    assert f"! {warning['what']}" in fresh_terminal.run("check").output
    key.chmod(0o600)
    (fresh_terminal.folder / "longarc.db").chmod(0o600)
    assert not [finding for finding in fresh_terminal.json_of("check") if finding["what"].startswith("Other users")]


def test_an_error_names_the_file_and_not_its_draft(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    target = tmp_path / "file" / "backup"
    with pytest.raises(NotADirectoryError) as error_info:
        private_files.write(target, b"content")
    assert error_info.value.filename == str(target)


def test_writing_through_a_link_replaces_the_file_that_it_leads_to(tmp_path: Path) -> None:
    (tmp_path / "grant").write_bytes(b"old")
    (tmp_path / "link").symlink_to("grant")
    private_files.write(tmp_path / "link", b"new")
    assert (tmp_path / "link").is_symlink()
    assert (tmp_path / "grant").read_bytes() == b"new"


def test_writing_never_replaces_a_pipe(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(OSError, match="no regular file"):
        private_files.write(tmp_path / "pipe", b"new")
    assert stat.S_ISFIFO((tmp_path / "pipe").stat().st_mode)
