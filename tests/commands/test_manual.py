"""`longarc completion` and `longarc man`: what real shells and man pages make of them."""

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
def path(tmp_path: Path) -> str:
    """A PATH whose first folder has the command `longarc`."""
    command = tmp_path / "longarc"
    command.write_text(f'#!/bin/sh\nexec {sys.executable} -m worker "$@"\n', encoding="utf-8")
    command.chmod(0o700)
    return f"{tmp_path}:{os.environ['PATH']}"


def ask_bash(path: str, script: str, *words: str) -> list[str]:
    """What bash offers when Tab is pressed after these words."""
    typed = f"COMP_WORDS=({' '.join(words)}); COMP_CWORD={len(words) - 1}; _longarc_completion longarc"
    asked = f"{script}\n{typed}\nprintf '%s\\n' \"${{COMPREPLY[@]}}\""
    env = {**os.environ, "PATH": path}
    done = subprocess.run(["bash", "-c", asked], capture_output=True, text=True, env=env, check=True)
    return done.stdout.split()


def test_bash_completes_commands_and_choices(terminal: Terminal, path: str) -> None:
    script = terminal.output_of("completion", "bash")
    assert ask_bash(path, script, "longarc", "sta") == ["status"]
    assert set(ask_bash(path, script, "longarc", "contract", "''")) == {"template", "record", "show"}
    assert "--json" in ask_bash(path, script, "longarc", "status", "--")


@pytest.mark.parametrize("shell", SHELLS)
def test_each_shell_reads_its_script(terminal: Terminal, shell: str, tmp_path: Path) -> None:
    script = tmp_path / "script"
    script.write_text(terminal.output_of("completion", shell), encoding="utf-8")
    found = shutil.which(shell)
    if found is None:
        pytest.skip(f"{shell} is not here")
    done = subprocess.run([found, "-n", str(script)], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_manual_page_has_every_command_with_its_options(terminal: Terminal) -> None:
    page = terminal.output_of("man")
    for name in main.commands:
        assert f".SS longarc {name}".replace("-", r"\-") in page, name
    assert r".B \-\-embedded DIR" in page
    assert r"longarc contract record" in page


def test_roff_finds_the_manual_page_well_made() -> None:
    page = "\n".join(write_manual(main))
    formatter = shutil.which("groff")
    if formatter is None:
        pytest.skip("groff is not here")
    done = subprocess.run([formatter, "-man", "-ww", "-Tutf8"], input=page, capture_output=True, text=True, check=True)
    assert done.stderr == ""
    assert f"longarc {__version__}" in done.stdout
