"""`longarc backup` and `longarc restore`: a file that only its owner reads, and clear errors."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.companies import KEY
from tests.support.terminal import Terminal
from worker.seal import generate_key


@pytest.fixture
def backup_file(terminal: Terminal) -> str:
    """A backup of the company."""
    path = str(terminal.folder / "longarc.backup")
    terminal.output_of("backup", path)
    return path


def read_rows(terminal: Terminal) -> dict[str, list[str]]:
    """Return the rows of each table, sorted."""
    return {name: sorted(map(repr, rows)) for name, rows in terminal.read_database().items()}


def lose_database(terminal: Terminal) -> dict[str, list[str]]:
    """Delete the database. Return the rows that it had."""
    before = read_rows(terminal)
    for path in terminal.folder.glob("longarc.db*"):
        path.unlink()
    return before


def test_restore_brings_back_a_lost_database(terminal: Terminal, backup_file: str) -> None:
    assert Path(backup_file).stat().st_mode & 0o777 == 0o600
    before = lose_database(terminal)
    output = terminal.output_of("restore", "--moved", backup_file)
    assert output.startswith("Restored: ")
    assert "Nothing in it is sealed." in output
    assert read_rows(terminal) == before
    assert (terminal.folder / "longarc.db").stat().st_mode & 0o777 == 0o600
    assert list(terminal.folder.glob(".*")) == [], "an unfinished file was left"


def test_backup_counts_rows_and_says_that_the_key_is_missing(terminal: Terminal) -> None:
    output = terminal.output_of("backup", str(terminal.folder / "one.backup"))
    assert " rows at schema 00" in output  # the number of the last migration, such as 0015
    assert "The key is not in it" in output


def test_backup_replaces_a_file_only_with_force(terminal: Terminal, backup_file: str) -> None:
    before = Path(backup_file).read_bytes()
    assert "exists already. Name another file, or replace it with --force." in terminal.error_of("backup", backup_file)
    assert Path(backup_file).read_bytes() == before
    terminal.output_of("backup", backup_file, "--force")


def test_backup_can_be_written_to_standard_output(terminal: Terminal) -> None:
    env = {**os.environ, **terminal.env, "LONGARC_CONFIG": str(terminal.folder / "longarc.toml")}
    command = [sys.executable, "-m", "worker", "backup", "-"]
    process = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)
    assert process.returncode == 0, process.stderr
    assert gzip.decompress(process.stdout).startswith(b'{"longarc_backup":1,')
    assert b"The key is not in it" in process.stderr


def test_restore_refuses_a_database_that_is_not_empty(terminal: Terminal, backup_file: str) -> None:
    before = read_rows(terminal)
    error = terminal.error_of("restore", backup_file)
    assert error.splitlines() == [error]
    assert "is not empty, so nothing was restored." in error
    assert read_rows(terminal) == before


@pytest.mark.parametrize(
    ("content", "what"),
    [
        (b"", "other is empty: its backup was not written to the end."),
        (b"not a backup", "other is not a backup of Longarc."),
        (bytes(range(200)), "other is not a backup of Longarc."),
        (gzip.compress(b"a text\n"), "other is not a backup of Longarc."),
        (b'{"longarc_backup":1}\n', "other is a backup that was unpacked. Pack it again with `gzip`"),
        (gzip.compress(b'{"longarc_backup":1}\n'), "other is damaged or cut off"),
    ],
    ids=["empty", "text", "bytes", "gzipped text", "unpacked", "header"],
)
def test_restore_says_in_one_line_what_a_file_is_that_is_no_backup(
    terminal: Terminal, content: bytes, what: str
) -> None:
    lose_database(terminal)
    (terminal.folder / "other").write_bytes(content)
    error = terminal.error_of("restore", str(terminal.folder / "other"))
    assert error.splitlines() == [error]
    assert what in error
    assert not (terminal.folder / "longarc.db").exists()


def test_a_refused_restore_leaves_no_new_database(terminal: Terminal, backup_file: str) -> None:
    lose_database(terminal)
    Path(backup_file).write_bytes(Path(backup_file).read_bytes()[:-20])
    assert "is damaged or cut off" in terminal.error_of("restore", backup_file)
    assert list(terminal.folder.glob("longarc.db*")) == []


def test_backup_with_force_replaces_nothing_but_a_backup(terminal: Terminal) -> None:
    other = terminal.write("notes.txt", "my notes")
    error = terminal.error_of("backup", other, "--force")
    assert error == f"longarc: {other} exists and is not a backup of Longarc. Name another file."
    assert Path(other).read_text() == "my notes"


def test_backup_replaces_the_file_to_which_a_link_leads(terminal: Terminal, backup_file: str) -> None:
    link = terminal.folder / "latest"
    link.symlink_to(backup_file)
    inode = Path(backup_file).stat().st_ino
    terminal.output_of("backup", str(link), "--force")
    assert link.readlink() == Path(backup_file)
    assert Path(backup_file).stat().st_ino != inode, "the backup was not written anew"


def test_restore_needs_the_key_that_sealed_the_content(terminal: Terminal) -> None:
    """A backup holds no key, so without the right one the content could never be opened."""
    terminal.output_of(
        "talk", terminal.booked_session().pair.report, "--trigger", "doubt", "--reason", "-", given="in confidence"
    )
    backup_file = str(terminal.folder / "longarc.backup")
    terminal.output_of("backup", backup_file)
    lose_database(terminal)
    terminal.env["LONGARC_KEY"] = generate_key()
    error = terminal.error_of("restore", backup_file)
    assert error.splitlines() == [error]
    assert "can't be opened with the keys given" in error
    del terminal.env["LONGARC_KEY"]
    assert "give the key that was in use as LONGARC_KEY or" in terminal.error_of("restore", backup_file)
    terminal.env["LONGARC_KEY"] = KEY
    assert "opens all that is sealed" in terminal.output_of("restore", backup_file)
