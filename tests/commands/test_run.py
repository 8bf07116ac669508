"""`longarc run` as real processes: everything in one folder, two at once, stopped with what is in flight finished."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from email.parser import BytesParser
from pathlib import Path
from time import monotonic

import pytest
from click.testing import CliRunner
from sqlalchemy import select

from tests.support import ROOT
from tests.support.companies import KEY, new_store
from worker.cli import main
from worker.commands.embedded import EmbeddedFolder
from worker.store import tables
from worker.store.store import Store

#: Stopping takes no longer than this, in seconds; a tenth of it is usual.
SOON = 20.0


class Running:
    """A `longarc run`, and what it has said so far."""

    def __init__(self, *words: str, **env: str) -> None:
        clean = {name: value for name, value in os.environ.items() if not name.startswith("LONGARC_")}
        self._process = subprocess.Popen(
            [sys.executable, "-u", "-m", "worker", "run", "--workers", "2", *words],
            cwd=ROOT,
            env={**clean, "COLUMNS": "200", **env},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.said = ""

    def until(self, pattern: str) -> str:
        """Wait until it says that; the line."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.said += line
            if re.search(pattern, line):
                return line
        raise AssertionError(f"it ended without saying {pattern!r}:\n{self.said}")

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Ask it to stop; its exit code, when it did so soon."""
        begun = monotonic()
        self._process.send_signal(number)
        code = self.end()
        assert monotonic() - begun < SOON
        return code

    def end(self) -> int:
        """Wait for its end; the exit code."""
        rest, _ = self._process.communicate(timeout=SOON)
        self.said += rest
        return self._process.returncode

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def running(*words: str, **env: str) -> Iterator[Running]:
    made = Running(*words, **env)
    try:
        yield made
    finally:
        made.kill()


def choose_ports(folder: Path) -> None:
    """Furnish the folder with ports that no other Longarc on this machine looks for."""
    house = EmbeddedFolder(folder, first_ports=(0, 0, 0))
    house.write_missing_files()
    house.release_ports()


def store_in(folder: Path) -> Store:
    return new_store(f"sqlite:///{folder / 'longarc.db'}", (folder / "key").read_text().strip())


def in_hand(folder: Path) -> list[str]:
    """What somebody has begun, or is about to begin, and did not end."""
    store = store_in(folder)
    begun = tables.outbox.c.progress.in_(["claimed", "sending"])
    queries = [
        select(tables.outbox.c.key).where(begun),
        select(tables.person.c.email).where(tables.person.c.holder.is_not(None)),
        select(tables.calendar.c.address).where(tables.calendar.c.holder.is_not(None)),
    ]
    with store.database.read() as connection:
        found = [one for query in queries for one in connection.execute(query).scalars()]
    store.close()
    return found


def mails(folder: Path) -> list[str]:
    """The Message-ID of every mail the server took."""
    found = [BytesParser().parsebytes(path.read_bytes()) for path in (folder / "eml").glob("*.eml")]
    return [str(mail["Message-ID"]) for mail in found]


def stop_in_the_middle(folder: Path, number: int) -> str:
    """Let it begin its first bookings, and ask it to stop: what is in flight is finished. What it said."""
    choose_ports(folder)
    with running("--embedded", str(folder)) as one:
        said = one.until("Longarc runs: ")
        assert "2 threads for 8 people and 6 active pairs" in said
        assert "sam.okafor@example.com/calendar/" in one.said
        assert f"{folder / 'mail' / 'sam.okafor@example.com'}" in one.said
        one.until("event.create .*: done")  # the first of many
        assert one.stop(number) == 0
    assert "everything in progress was finished" in one.said
    assert "Traceback" not in one.said
    assert in_hand(folder) == []
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    sent = mails(folder)
    assert sent
    assert len(sent) == len(set(sent))
    return one.said


def test_it_stops_at_ctrl_c_with_what_is_in_flight_finished(tmp_path: Path) -> None:
    stop_in_the_middle(tmp_path, signal.SIGINT)


def test_it_stops_when_told_goes_on_later_and_two_share_the_work(tmp_path: Path) -> None:
    said = stop_in_the_middle(tmp_path, signal.SIGTERM)
    first = next(line for line in said.splitlines(keepends=True) if "example.com/calendar/" in line)
    with running("--embedded", str(tmp_path)) as one:
        assert one.until(r"example\.com/calendar/") == first  # at the same port
        one.until("Longarc runs: ")
        config, key = str(tmp_path / "longarc.toml"), str(tmp_path / "key")
        with running("--config", config, LONGARC_KEY_FILE=key) as two:
            two.until("Longarc runs: ")
            assert two.stop() == 0
        with running("--embedded", str(tmp_path)) as third:
            assert third.end() == 1
            taken = r"longarc: Port \d+ can't be used: Address already in use\. Stop the program that uses it, or write"
            assert re.search(taken, third.said)
            assert "Traceback" not in third.said
        assert one.stop() == 0
    sent = mails(tmp_path)
    assert len(sent) == len(set(sent))
    assert in_hand(tmp_path) == []


@pytest.mark.parametrize(
    ("toml", "key", "wanted"),
    [
        ("peeple = 1", "yes", r"longarc\.toml:1: peeple: This key is not known"),
        ("", "", r"longarc: LONGARC_KEY must hold keys"),
        ("", "yes", r"people\.csv: The people file can't be read: No such file"),
        ('people = "broken.csv"', "yes", r"broken\.csv:line 1: `nobody` is not a header"),
        ('queue = "redis://127.0.0.1:9/0"', "yes", r"longarc: The queue can't be used: .*refused"),
    ],
    ids=["settings", "key", "people", "people file", "queue"],
)
def test_what_keeps_it_from_starting_is_one_clear_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, key: str, wanted: str
) -> None:
    (tmp_path / "longarc.toml").write_text(f'{toml}\ndatabase = "sqlite:///{tmp_path / "longarc.db"}"\n')
    (tmp_path / "broken.csv").write_text("nobody\n")
    if "queue" in toml:
        (tmp_path / "people.csv").write_bytes((ROOT / "config" / "people.example.csv").read_bytes())
    monkeypatch.setenv("LONGARC_KEY", KEY if key else "")
    monkeypatch.setenv("LONGARC_CONFIG", "")  # the command sets it for its process, which is ours here
    ended = CliRunner().invoke(main, ["run", "--config", str(tmp_path / "longarc.toml")])
    assert ended.exit_code == 1
    assert re.search(wanted, ended.output)
    assert "Traceback" not in ended.output
    assert not list(tmp_path.glob("longarc*.db*"))  # nothing is begun
