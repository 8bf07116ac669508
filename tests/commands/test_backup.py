"""`longarc backup` and `longarc restore`: a file for its owner alone, and clear words where something is in the way."""

import gzip
import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support import ROOT
from tests.support.companies import KEY
from tests.support.terminal import Desk
from worker.seal import generate_key


@pytest.fixture
def file(desk: Desk) -> str:
    """A backup of the company."""
    name = str(desk.folder / "longarc.backup")
    desk.told("backup", name)
    return name


def read_all(desk: Desk) -> dict[str, list[str]]:
    """Every row, in an order of its own."""
    return {name: sorted(map(repr, rows)) for name, rows in desk.rows().items()}


def lose_database(desk: Desk) -> dict[str, list[str]]:
    """Every row of the database, which is gone then."""
    before = read_all(desk)
    for path in desk.folder.glob("longarc.db*"):
        path.unlink()
    return before


def test_a_lost_database_comes_back(desk: Desk, file: str) -> None:
    assert Path(file).stat().st_mode & 0o777 == 0o600
    before = lose_database(desk)
    told = desk.told("restore", "--moved", file)
    assert told.startswith("Restored: ")
    assert "Nothing in it is sealed." in told
    assert read_all(desk) == before
    assert (desk.folder / "longarc.db").stat().st_mode & 0o777 == 0o600
    assert list(desk.folder.glob(".*")) == []


def test_a_backup_says_what_it_holds_and_that_the_key_is_not_in_it(desk: Desk) -> None:
    told = desk.told("backup", str(desk.folder / "one.backup"))
    assert " rows at schema 00" in told
    assert "The key is not in it" in told


def test_an_existing_file_is_replaced_only_when_asked_to(desk: Desk, file: str) -> None:
    before = Path(file).read_bytes()
    assert "exists already. Name another file, or replace it with --force." in desk.refused("backup", file)
    assert Path(file).read_bytes() == before
    desk.told("backup", file, "--force")


def test_a_backup_may_go_to_another_program(desk: Desk) -> None:
    env = {**os.environ, **desk.env, "LONGARC_CONFIG": str(desk.folder / "longarc.toml")}
    command = [sys.executable, "-m", "worker", "backup", "-"]
    done = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert gzip.decompress(done.stdout).startswith(b'{"longarc_backup":1,')
    assert b"The key is not in it" in done.stderr


def test_a_backup_that_can_t_be_written_leaves_nothing(desk: Desk) -> None:
    assert desk.refused("backup", str(desk.folder / "missing" / "x")).endswith("No such file or directory.")
    assert not (desk.folder / "missing").exists()


def test_a_filled_database_is_left_as_it_is(desk: Desk, file: str) -> None:
    before = read_all(desk)
    said = desk.refused("restore", file)
    assert said.splitlines() == [said]
    assert "is not empty, so nothing was restored." in said
    assert read_all(desk) == before


@pytest.mark.parametrize(
    "content", [b"", b"not a backup", gzip.compress(b'{"longarc_backup": 1}\n')], ids=["empty", "text", "header"]
)
def test_what_is_no_backup_is_one_clear_line(desk: Desk, content: bytes) -> None:
    lose_database(desk)
    (desk.folder / "other").write_bytes(content)
    said = desk.refused("restore", str(desk.folder / "other"))
    assert said.splitlines() == [said]
    assert "other is" in said
    assert not (desk.folder / "longarc.db").exists()


def test_without_the_key_that_was_in_use_nothing_is_restored(desk: Desk) -> None:
    """A backup holds none, and what people wrote could never be opened."""
    desk.told("talk", desk.booked().pair.report, "--trigger", "doubt", "--reason", "-", given="in confidence")
    file = str(desk.folder / "longarc.backup")
    desk.told("backup", file)
    lose_database(desk)
    desk.env["LONGARC_KEY"] = generate_key()
    said = desk.refused("restore", file)
    assert said.splitlines() == [said]
    assert "can't be opened with the keys given" in said
    del desk.env["LONGARC_KEY"]
    assert "LONGARC_KEY" in desk.refused("restore", file)
    desk.env["LONGARC_KEY"] = KEY
    assert "opens all that is sealed" in desk.told("restore", file)
