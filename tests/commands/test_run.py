"""`longarc run` as real processes: embedded servers, several workers, and a stop that finishes work in progress."""

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

#: The longest time that a stop may take; a tenth of it is usual.
STOP_TIMEOUT_SECONDS = 20.0


class RunProcess:
    """A process `longarc run`, with the output that was read so far."""

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
        self.output = ""

    def wait_for(self, pattern: str) -> str:
        """Wait for a line of output with this pattern, and return it."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            self.output += line
            if re.search(pattern, line):
                return line
        raise AssertionError(f"the process ended without a line like {pattern!r}:\n{self.output}")

    def stop(self, signal_number: int = signal.SIGTERM) -> int:
        """Send a signal, wait until the process ends in time, and return the exit code."""
        started_at = monotonic()
        self._process.send_signal(signal_number)
        code = self.wait()
        assert monotonic() - started_at < STOP_TIMEOUT_SECONDS
        return code

    def wait(self) -> int:
        """Wait until the process ends, and return the exit code."""
        rest, _ = self._process.communicate(timeout=STOP_TIMEOUT_SECONDS)
        self.output += rest
        return self._process.returncode

    def kill(self) -> None:
        if self._process.poll() is None:
            self._process.kill()
            self._process.communicate()


@contextmanager
def start_run(*words: str, **env: str) -> Iterator[RunProcess]:
    process = RunProcess(*words, **env)
    try:
        yield process
    finally:
        process.kill()


def choose_ports(folder: Path) -> None:
    """Write the embedded folder with free ports, since another Longarc may use the usual ones."""
    embedded_folder = EmbeddedFolder(folder, first_ports=(0, 0, 0))
    embedded_folder.write_missing_files()
    embedded_folder.release_ports()


def open_store(folder: Path) -> Store:
    return new_store(f"sqlite:///{folder / 'longarc.db'}", (folder / "key").read_text().strip())


def list_work_in_progress(folder: Path) -> list[str]:
    """Return the effects, people and calendars that a process has claimed or begun and did not finish."""
    store = open_store(folder)
    is_begun = tables.outbox.c.progress.in_(["claimed", "sending"])
    queries = [
        select(tables.outbox.c.key).where(is_begun),
        select(tables.person.c.email).where(tables.person.c.holder.is_not(None)),
        select(tables.calendar.c.address).where(tables.calendar.c.holder.is_not(None)),
    ]
    with store.database.read() as connection:
        names = [name for query in queries for name in connection.execute(query).scalars()]
    store.close()
    return names


def list_message_ids(folder: Path) -> list[str]:
    """Return the Message-ID of each mail that the server took."""
    mails = [BytesParser().parsebytes(path.read_bytes()) for path in (folder / "eml").glob("*.eml")]
    return [str(mail["Message-ID"]) for mail in mails]


def stop_during_first_bookings(folder: Path, signal_number: int) -> str:
    """Send a signal to `longarc run` after its first booking; check that it finishes its work. Return the output."""
    choose_ports(folder)
    with start_run("--embedded", str(folder)) as process:
        line = process.wait_for("Longarc runs: ")
        # the folder begins with the example of a people file, in which one of seven pairs is paused
        assert "2 threads for 8 people and 6 active pairs" in line
        assert "sam.okafor@example.com/calendar/" in process.output
        for reader in ("sam.okafor@example.com", "luis.prado@example.com", "operator@example.com"):
            assert f"{folder / 'mail' / reader}" in process.output, "somebody's mail is not named"
        assert f"Each mail also lies in {folder / 'eml'}," in process.output
        assert re.search(r"^  \S+ status$", process.output, re.MULTILINE), "no command is named"
        process.wait_for("event.create .*: done")  # the first of many
        assert process.stop(signal_number) == 0
    assert "everything in progress was finished" in process.output
    assert "Traceback" not in process.output
    assert list_work_in_progress(folder) == []
    assert (folder / "key").stat().st_mode & 0o777 == 0o600
    message_ids = list_message_ids(folder)
    assert message_ids
    assert len(message_ids) == len(set(message_ids))
    return process.output


def test_run_finishes_its_work_in_progress_after_ctrl_c(tmp_path: Path) -> None:
    stop_during_first_bookings(tmp_path, signal.SIGINT)


def test_run_continues_after_sigterm_and_shares_work_with_a_second_worker(tmp_path: Path) -> None:
    output = stop_during_first_bookings(tmp_path, signal.SIGTERM)
    calendar_line = next(line for line in output.splitlines(keepends=True) if "example.com/calendar/" in line)
    with start_run("--embedded", str(tmp_path)) as with_servers:
        assert with_servers.wait_for(r"example\.com/calendar/") == calendar_line, "the port has changed"
        with_servers.wait_for("Longarc runs: ")
        config, key = str(tmp_path / "longarc.toml"), str(tmp_path / "key")
        with start_run("--config", config, LONGARC_KEY_FILE=key) as second_worker:
            second_worker.wait_for("Longarc runs: ")
            assert second_worker.stop() == 0
        with start_run("--embedded", str(tmp_path)) as refused:
            assert refused.wait() == 1
            error = r"longarc: Port \d+ can't be used: Address already in use\. Stop the program that uses it, or write"
            assert re.search(error, refused.output)
            assert "Traceback" not in refused.output
        assert with_servers.stop() == 0
    message_ids = list_message_ids(tmp_path)
    assert len(message_ids) == len(set(message_ids))
    assert list_work_in_progress(tmp_path) == []


@pytest.mark.parametrize(
    ("toml", "has_key", "message"),
    [
        ("peeple = 1", True, r"longarc\.toml:1: peeple: This key is not known"),
        ("", False, r"longarc: This needs the key that seals what people say"),
        ("", True, r"people\.csv: The people file can't be read: No such file"),
        ('people = "broken.csv"', True, r"broken\.csv:line 1: `nobody` is not a header"),
        ('queue = "redis://127.0.0.1:9/0"', True, r"longarc: The queue can't be used: .*refused"),
    ],
    ids=["settings", "key", "people", "people file", "queue"],
)
def test_run_reports_faults_that_keep_it_from_starting(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, toml: str, has_key: bool, message: str
) -> None:
    (tmp_path / "longarc.toml").write_text(f'{toml}\ndatabase = "sqlite:///{tmp_path / "longarc.db"}"\n')
    (tmp_path / "broken.csv").write_text("nobody\n")
    if "queue" in toml:
        (tmp_path / "people.csv").write_bytes((ROOT / "config" / "people.example.csv").read_bytes())
    monkeypatch.setenv("LONGARC_KEY", KEY if has_key else "")
    monkeypatch.setenv("LONGARC_CONFIG", "")  # the command sets it for its process, which is ours here
    result = CliRunner().invoke(main, ["run", "--config", str(tmp_path / "longarc.toml")])
    assert result.exit_code == 1
    assert re.search(message, result.output)
    assert "Traceback" not in result.output
    assert not list(tmp_path.glob("longarc*.db*")), "a database was created"
