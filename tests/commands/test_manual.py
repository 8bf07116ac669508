"""`longarc completion` and `longarc man`, read by real shells and by groff."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.terminal import Terminal
from worker import __version__
from worker.cli import main
from worker.commands.manual import SHELLS, write_manual


@pytest.fixture
def search_path(tmp_path: Path) -> str:
    """A PATH whose first folder has the command `longarc`."""
    command = tmp_path / "longarc"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m worker "$@"\n', encoding="utf-8")
    command.chmod(0o700)
    return f"{tmp_path}:{os.environ['PATH']}"


def list_bash_completions(search_path: str, script: str, *words: str) -> list[str]:
    """Return the words that bash offers when Tab is pressed after these words."""
    completion_call = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _longarc_completion longarc"
    code = f"{script}\n{completion_call}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    env = {**os.environ, "PATH": search_path}
    process = subprocess.run(["bash", "-c", code], capture_output=True, text=True, env=env, check=True)
    return process.stdout.split()


def test_bash_completes_commands_and_options(terminal: Terminal, search_path: str) -> None:
    script = terminal.output_of("completion", "bash")
    assert list_bash_completions(search_path, script, "longarc", "sta") == ["status"]
    assert set(list_bash_completions(search_path, script, "longarc", "contract", "''")) == {
        "template",
        "record",
        "show",
    }
    assert "--json" in list_bash_completions(search_path, script, "longarc", "status", "--")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_parses_its_completion_script(terminal: Terminal, shell: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(terminal.output_of("completion", shell), encoding="utf-8")
    program = shutil.which(shell)
    if program is None:
        pytest.skip(f"{shell} is not installed")
    process = subprocess.run([program, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (process.returncode, process.stderr) == (0, "")


def test_the_manual_page_lists_every_command(terminal: Terminal) -> None:
    page = terminal.output_of("man")
    for name in main.commands:
        assert f".SS longarc {name}".replace("-", r"\-") in page, name
    assert r".B \-\-embedded DIR" in page
    assert r"longarc contract record" in page


def test_groff_formats_the_manual_page_without_warnings() -> None:
    page = "\n".join(write_manual(main))
    formatter = shutil.which("groff")
    if formatter is None:
        pytest.skip("groff is not installed")
    process = subprocess.run(
        [formatter, "-man", "-ww", "-Tutf8"], input=page, capture_output=True, text=True, check=True
    )
    assert process.stderr == ""
    assert f"longarc {__version__}" in process.stdout
