"""`longarc backup` and `longarc restore`: a file for its owner alone, and clear words where something is in the way."""

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
def file(terminal: Terminal) -> str:
    """A backup of the company."""
    name = str(terminal.folder / "longarc.backup")
    terminal.output_of("backup", name)
    return name


def read_all(terminal: Terminal) -> dict[str, list[str]]:
    """Every row, in an order of its own."""
    return {name: sorted(map(repr, rows)) for name, rows in terminal.read_database().items()}


def lose_database(terminal: Terminal) -> dict[str, list[str]]:
    """Every row of the database, which is gone then."""
    before = read_all(terminal)
    for path in terminal.folder.glob("longarc.db*"):
        path.unlink()
    return before


def test_a_lost_database_comes_back(terminal: Terminal, file: str) -> None:
    assert Path(file).stat().st_mode & 0o777 == 0o600
    before = lose_database(terminal)
    told = terminal.output_of("restore", "--moved", file)
    assert told.startswith("Restored: ")
    assert "Nothing in it is sealed." in told
    assert read_all(terminal) == before
    assert (terminal.folder / "longarc.db").stat().st_mode & 0o777 == 0o600
    assert list(terminal.folder.glob(".*")) == []


def test_a_backup_says_what_it_holds_and_that_the_key_is_not_in_it(terminal: Terminal) -> None:
    told = terminal.output_of("backup", str(terminal.folder / "one.backup"))
    assert " rows at schema 00" in told
    assert "The key is not in it" in told


def test_an_existing_file_is_replaced_only_when_asked_to(terminal: Terminal, file: str) -> None:
    before = Path(file).read_bytes()
    assert "exists already. Name another file, or replace it with --force." in terminal.error_of("backup", file)
    assert Path(file).read_bytes() == before
    terminal.output_of("backup", file, "--force")


def test_a_backup_may_go_to_another_program(terminal: Terminal) -> None:
    env = {**os.environ, **terminal.env, "LONGARC_CONFIG": str(terminal.folder / "longarc.toml")}
    command = [sys.executable, "-m", "worker", "backup", "-"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert gzip.decompress(done.stdout).startswith(b'{"longarc_backup":1,')
    assert b"The key is not in it" in done.stderr


def test_a_backup_that_can_t_be_written_leaves_nothing(terminal: Terminal) -> None:
    assert terminal.error_of("backup", str(terminal.folder / "missing" / "x")).endswith("No such file or directory.")
    assert not (terminal.folder / "missing").exists()


def test_a_filled_database_is_left_as_it_is(terminal: Terminal, file: str) -> None:
    before = read_all(terminal)
    said = terminal.error_of("restore", file)
    assert said.splitlines() == [said]
    assert "is not empty, so nothing was restored." in said
    assert read_all(terminal) == before


@pytest.mark.parametrize(
    "content", [b"", b"not a backup", gzip.compress(b'{"longarc_backup": 1}\n')], ids=["empty", "text", "header"]
)
def test_what_is_no_backup_is_one_clear_line(terminal: Terminal, content: bytes) -> None:
    lose_database(terminal)
    (terminal.folder / "other").write_bytes(content)
    said = terminal.error_of("restore", str(terminal.folder / "other"))
    assert said.splitlines() == [said]
    assert "other is" in said
    assert not (terminal.folder / "longarc.db").exists()


def test_without_the_key_that_was_in_use_nothing_is_restored(terminal: Terminal) -> None:
    """A backup holds none, and what people wrote could never be opened."""
    terminal.output_of(
        "talk", terminal.booked_session().pair.report, "--trigger", "doubt", "--reason", "-", given="in confidence"
    )
    file = str(terminal.folder / "longarc.backup")
    terminal.output_of("backup", file)
    lose_database(terminal)
    terminal.env["LONGARC_KEY"] = generate_key()
    said = terminal.error_of("restore", file)
    assert said.splitlines() == [said]
    assert "can't be opened with the keys given" in said
    del terminal.env["LONGARC_KEY"]
    assert "LONGARC_KEY" in terminal.error_of("restore", file)
    terminal.env["LONGARC_KEY"] = KEY
    assert "opens all that is sealed" in terminal.output_of("restore", file)
