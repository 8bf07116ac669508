"""The streams of `longarc` in a shell: full disks, closed streams, terminals without our characters, wrong bytes."""

import json
import os
import subprocess
import sys
from itertools import product

import pytest

from tests.support import ROOT
from tests.support.companies import SAM
from tests.support.terminal import PEOPLE_CSV, Terminal


def run_in_shell(terminal: Terminal, words: str, *, into: str = "", **env: str) -> subprocess.CompletedProcess[bytes]:
    """Run a command in a shell with the redirection `into`, without this machine's variables for Python."""
    line = f'"{sys.executable}" -m worker {words} {into}'
    clean_env = {name: value for name, value in os.environ.items() if not name.startswith("PYTHON")}
    env = {**clean_env, **terminal.env, "LONGARC_CONFIG": str(terminal.folder / "longarc.toml"), **env}
    return subprocess.run(line, shell=True, cwd=ROOT, env=env, capture_output=True, check=False)  # noqa: S602 -- no foreign input


#: The default of Python, and the setting of CI and container images.
BUFFERED: dict[str, str] = {}
UNBUFFERED = {"PYTHONUNBUFFERED": "1"}
both_bufferings = pytest.mark.parametrize("buffering", [BUFFERED, UNBUFFERED], ids=["buffered", "unbuffered"])


@pytest.mark.parametrize(
    ("words", "buffering"),
    [
        *product(("--help", "sessions"), (BUFFERED, UNBUFFERED)),
        *product(("--version", "run --help", "key", "status --json"), (BUFFERED,)),
    ],
)
def test_a_full_disk_is_reported_in_one_line(terminal: Terminal, words: str, buffering: dict[str, str]) -> None:
    process = run_in_shell(terminal, words, into=">/dev/full", **buffering)
    assert (process.returncode, process.stderr.decode()) == (1, "longarc: No space left on device.\n")


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
def test_the_exit_code_is_right_when_standard_error_cannot_be_written(
    terminal: Terminal, words: str, code: int, into: str, buffering: dict[str, str]
) -> None:
    assert run_in_shell(terminal, words, into=into, **buffering).returncode == code


def test_the_exit_code_is_1_when_no_stream_can_be_written(terminal: Terminal) -> None:
    assert run_in_shell(terminal, "sessions", into=">/dev/full 2>/dev/full").returncode == 1


@pytest.mark.parametrize("words", ["key", f"talk {SAM} --trigger doubt"])
def test_a_closed_standard_output_is_refused_before_anything_changes(terminal: Terminal, words: str) -> None:
    before = terminal.read_database()
    process = run_in_shell(terminal, words, into=">&-")
    error = "longarc: standard output is closed. Send it to a file or to /dev/null.\n"
    assert (process.returncode, process.stderr.decode()) == (1, error)
    assert terminal.read_database() == before


def test_opened_files_never_get_the_number_of_a_closed_stream() -> None:
    """Otherwise a library that writes to standard error would write into such a file."""
    code = "import os; from worker.commands.output import reserve_stream_numbers; reserve_stream_numbers();"
    code += "print(os.open('.', os.O_RDONLY))"
    line = f'"{sys.executable}" -c "{code}" <&- 2>&-'
    process = subprocess.run(["sh", "-c", line], cwd=ROOT, stdout=subprocess.PIPE, check=False)
    assert int(process.stdout) > 2


@both_bufferings
@pytest.mark.parametrize("words", ["--help", "sessions"])
def test_a_closed_pipe_causes_no_error_message(terminal: Terminal, words: str, buffering: dict[str, str]) -> None:
    assert run_in_shell(terminal, words, into="| true", **buffering).stderr == b""


def test_a_terminal_without_our_characters_gets_escapes(terminal: Terminal) -> None:
    latin_1_env = {"LC_ALL": "C", "PYTHONIOENCODING": "latin-1", "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    terminal.write("people.csv", PEOPLE_CSV.replace(",Dana,", ",Łucja,"))
    terminal.output_of("people", "--apply")
    process = run_in_shell(terminal, f"contract template {terminal.booked_session().id}", **latin_1_env)
    assert (process.returncode, process.stderr) == (0, b"")
    assert process.stdout.startswith(b"# \\u0141ucja and Sam, ")
    assert b"\n\\u2713 The key opens" in run_in_shell(terminal, "check", **latin_1_env).stdout
    terminal.output_of("defer", terminal.booked_session().id)
    assert "\u0141ucja" in str(json.loads(run_in_shell(terminal, "plan --json", **latin_1_env).stdout))


@pytest.mark.parametrize("locale", ["C", "C.UTF-8"])
def test_arguments_that_are_not_utf_8_are_misuse(terminal: Terminal, locale: str) -> None:
    ascii_env = {"LC_ALL": locale, "PYTHONUTF8": "0", "PYTHONCOERCECLOCALE": "0"}
    # the argument that is not UTF-8 comes after these words
    for number, words in ((2, "why"), (6, f"talk {SAM} --trigger doubt --reason")):
        process = run_in_shell(terminal, rf"{words} $(printf 'x\351')", **ascii_env)
        error = f"Error: Argument {number} is not UTF-8 text. Write it again.\n"
        assert (process.returncode, process.stderr.decode()) == (2, error)


def test_standard_input_that_is_not_utf_8_is_reported_in_one_line(terminal: Terminal) -> None:
    latin = terminal.folder / "latin.txt"
    latin.write_bytes(b"f\xfcr mich")
    process = run_in_shell(terminal, f"talk {SAM} --trigger doubt --reason -", into=f"< '{latin}'")
    error = "standard input: This is not UTF-8 text. Save it as UTF-8.\n"
    assert (process.returncode, process.stderr.decode()) == (1, error)
