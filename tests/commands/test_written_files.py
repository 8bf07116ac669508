"""Files that commands write where their user says: what the installation uses is never written over."""

import os
import stat
from pathlib import Path

import pytest

from tests.support.companies import KEY, SAM
from tests.support.terminal import Terminal

#: Commands that take a file to write, each with everything that allows it to replace one.
WRITERS = [
    ("backup", "--force"),
    ("example", "people", "--force"),
    ("plan", "--html"),
    ("export", SAM, "--without-content", "--out"),
]
#: Those of them that replace a file.
REPLACERS = WRITERS[:3]


@pytest.fixture
def installation(terminal: Terminal) -> Terminal:
    """An installation with each kind of file: a database with its log and queue, a key, people, openings, a token."""
    folder = terminal.folder
    for name in ("longarc.db-wal", "longarc.queue.db", "openings.csv"):
        (folder / name).touch()
    (folder / "secrets").mkdir()
    terminal.write("secrets/LONGARC_KEY", KEY)
    del terminal.env["LONGARC_KEY"]
    (folder / "var" / "google").mkdir(parents=True)
    terminal.write("var/google/dana.sealed", "token")
    return terminal


@pytest.mark.parametrize("words", REPLACERS, ids=lambda words: words[0])
def test_a_file_that_the_installation_uses_is_never_replaced(installation: Terminal, words: tuple[str, ...]) -> None:
    link = installation.folder / "link"
    link.symlink_to("longarc.db")
    used_files = [path for path in installation.folder.rglob("*") if path.is_file()]
    assert len(used_files) == 9
    before = {path: path.read_bytes() for path in used_files}
    for path in used_files:
        error = installation.error_of(*words, str(path))
        assert error == f"longarc: Longarc itself uses {path}, so nothing else is written there. Name another file."
    # opening the database has emptied its log
    assert all(path.read_bytes() == content for path, content in before.items() if not path.name.endswith("-wal"))
    assert link.is_symlink()


@pytest.mark.parametrize("words", WRITERS, ids=lambda words: words[0])
def test_no_file_is_written_that_sqlite_would_take_for_its_own(terminal: Terminal, words: tuple[str, ...]) -> None:
    journal = terminal.folder / "longarc.db-journal"
    assert f"Longarc itself uses {journal}" in terminal.error_of(*words, str(journal))
    assert not journal.exists()


@pytest.mark.parametrize("words", [*REPLACERS, ("backup",), ("example", "people")], ids=" ".join)
def test_a_pipe_is_never_replaced(terminal: Terminal, words: tuple[str, ...]) -> None:
    pipe = terminal.folder / "pipe"
    os.mkfifo(pipe)
    error = terminal.error_of(*words, str(pipe))
    assert error.startswith(f"longarc: {pipe} is no regular file, so it can't be replaced. Name another file")
    assert "--force" not in error
    assert ("send the backup to `-` instead" in error) == (words[0] == "backup")
    assert stat.S_ISFIFO(pipe.stat().st_mode)


def test_export_refuses_a_link_that_leads_nowhere(terminal: Terminal) -> None:
    link = terminal.folder / "link.zip"
    link.symlink_to("nowhere")
    error = terminal.error_of("export", SAM, "--without-content", "--out", str(link))
    assert error == f"longarc: {link} exists already. Name another file or folder with --out."


def test_an_example_replaces_a_text_and_nothing_else(terminal: Terminal) -> None:
    text, picture = terminal.write("mine.csv", "email"), terminal.folder / "picture"
    picture.write_bytes(b"\x89PNG\0")
    terminal.output_of("example", "people", text, "--force")
    assert Path(text).read_text().startswith("email,name,")
    assert f"{picture} exists and is not a text." in terminal.error_of("example", "people", str(picture), "--force")
    assert picture.read_bytes() == b"\x89PNG\0"


def test_the_example_of_the_people_file_is_written_where_the_settings_expect_it(terminal: Terminal) -> None:
    people = terminal.folder / "people.csv"
    people.unlink()
    terminal.output_of("example", "people", str(people))
    assert people.read_text().startswith("email,name,")
