"""What `longarc` reads and writes in a shell: full disks, closed streams, terminals without our signs, bad bytes."""

import json
import os
import subprocess
import sys
from itertools import product

import pytest

from tests.support import ROOT
from tests.support.companies import SAM
from tests.support.terminal import PEOPLE, Terminal


def outside(terminal: Terminal, words: str, *, into: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    """The command in a shell, with what it says going there. Nothing that this machine sets for Python is passed on."""
    line = f'"{sys.executable}" -m worker {words} {into}'
    bare = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env = {**bare, **terminal.env, "LONGARC_CONFIG": str(terminal.folder / "longarc.toml"), **env}
    return subprocess.run(line, shell=True, cwd=ROOT, env=env, capture_output=True, check=False)  # noqa: S602 -- ours


#: As on a bare machine, and as CI and container images set it.
BUFFERED: dict[str, str] = {}
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
buffering = pytest.mark.parametrize("buffering", [BUFFERED, UNBUFFERED], ids=["buffered", "unbuffered"])


@pytest.mark.parametrize(
    ("words", "buffering"),
    [
        *product(("--help", "sessions"), (BUFFERED, UNBUFFERED)),
        *product(("--version", "run --help", "key", "status --json"), (BUFFERED,)),
    ],
)
def test_where_nothing_more_can_be_written_is_one_clear_line(
    terminal: Terminal, words: str, buffering: dict[str, str]
) -> None:
    done = outside(terminal, words, into=">/dev/full", **buffering)
    assert (done.returncode, done.stderr.decode()) == (1, "longarc: No space left on device.\n")


@pytest.mark.parametrize(
    ("words", "code", "into", "buffering"),
    [
        ("key", 0, "2>/dev/full", BUFFERED),
        ("key", 0, "2>&-", UNBUFFERED),
        ("example people /nowhere/people.csv", 1, "2>/dev/full", UNBUFFERED),
        ("example people /nowhere/people.csv", 1, "2>&-", BUFFERED),
        ("nonsense", 2, "2>/dev/full", BUFFERED),
        ("nonsense", 2, "2>&-", UNBUFFERED),
    ],
)
def test_where_no_error_can_be_told_the_exit_code_still_does(
    terminal: Terminal, words: str, code: int, into: str, buffering: dict[str, str]
) -> None:
    assert outside(terminal, words, into=into, **buffering).returncode == code


def test_where_nothing_at_all_can_be_written_the_exit_code_tells(terminal: Terminal) -> None:
    assert outside(terminal, "sessions", into=">/dev/full 2>/dev/full").returncode == 1


@pytest.mark.parametrize("words", ["key", f"talk {SAM} --trigger doubt"])
def test_a_closed_output_is_refused_before_anything_is_done(terminal: Terminal, words: str) -> None:
    before = terminal.read_database()
    done = outside(terminal, words, into=">&-")
    said = "longarc: standard output is closed. Send it to a file or to /dev/null.\n"
    assert (done.returncode, done.stderr.decode()) == (1, said)
    assert terminal.read_database() == before


def test_no_file_of_ours_takes_the_number_of_a_closed_stream() -> None:
    """What a library writes to standard error would land in it."""
    code = "import os; from worker.commands import output; output.reserve_stream_numbers(); print(os.open('.', 0))"
    line = f'"{sys.executable}" -c "{code}" <&- 2>&-'
    done = subprocess.run(["sh", "-c", line], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert int(done.stdout) > 2


@buffering
@pytest.mark.parametrize("words", ["--help", "sessions"])
def test_whoever_reads_no_further_is_told_nothing(terminal: Terminal, words: str, buffering: dict[str, str]) -> None:
    assert outside(terminal, words, into="| true", **buffering).stderr == b""


def test_a_terminal_without_our_signs_is_told_them_by_number(terminal: Terminal) -> None:
    narrow = {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    terminal.write("people.csv", PEOPLE.replace(",Dana,", ",Łucja,"))
    terminal.output_of("people", "--apply")
    done = outside(terminal, f"contract template {terminal.booked_session().id}", **narrow)
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.startswith(b"# \\u0141ucja and Sam, ")
    assert b"\n\\u2713 The key opens" in outside(terminal, "check", **narrow).stdout
    terminal.output_of("defer", terminal.booked_session().id)
    assert "\u0141ucja" in str(json.loads(outside(terminal, "plan --json", **narrow).stdout))


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_bytes_that_are_no_text_are_misuse(terminal: Terminal, locale: str) -> None:
    plain = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    for number, words in ((2, "why"), (6, f"talk {SAM} --trigger doubt --reason")):
        done = outside(terminal, rf"{words} $(printf 'x\351')", **plain)
        said = f"Error: Argument {number} is not UTF-8 text. Write it again.\n"
        assert (done.returncode, done.stderr.decode()) == (2, said)


def test_what_is_typed_and_no_text_is_one_clear_line(terminal: Terminal) -> None:
    latin = terminal.folder / "latin.txt"
    latin.write_bytes(b"f\xfcr mich")
    done = outside(terminal, f"talk {SAM} --trigger doubt --reason -", into=f"< '{latin}'")
    said = "standard input: This is not UTF-8 text. Save it as UTF-8.\n"
    assert (done.returncode, done.stderr.decode()) == (1, said)
