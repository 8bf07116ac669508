"""Runs `longarc init` in the process of the tests, and writes its answers files."""

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from click.testing import CliRunner, Result

from tests.support.companies import DANA
from worker.cli import main
from worker.embedded import EmbeddedServers


def run_init(*arguments: str, given: str | None = None, **env: str) -> Result:
    """Run the command in a terminal of 80 columns. `given`: what is typed, a line for each question."""
    result = CliRunner().invoke(main, ["init", *arguments], input=given, env={"COLUMNS": "80", **env})
    assert "Traceback" not in result.output
    return result


def write_answers(folder: Path, **answers: str) -> str:
    """Write an answers file into the folder, and return its path."""
    file = folder / "given.toml"
    file.write_text("".join(f"{name} = '{value}'\n" for name, value in answers.items()))
    return str(file)


def write_stopped_set_up(tmp_path: Path, **answers: str) -> Path:
    """Return the folder of a set-up that was stopped after these answers and some that are the same each time."""
    folder = tmp_path / "longarc"
    folder.mkdir(mode=0o700)
    usual = {"locale": "en", "base_url": "", "database": f"sqlite:///{folder}/var/longarc.db"}
    Path(write_answers(folder, **usual, **answers)).rename(folder / "answers.toml")
    return folder


def add_settings(answers: str, sections: Mapping[str, Mapping[str, Any]]) -> None:
    """Add further settings to an answers file, such as the addresses of the doubles."""
    with Path(answers).open("a") as file:
        for name, values in sections.items():
            written = {key: f"{value:.0f} seconds" if key == "timeout" else value for key, value in values.items()}
            lines = "".join(f"{key} = {json.dumps(value)}\n" for key, value in written.items())
            file.write(f"[settings.{name}]\n{lines}")


def caldav_answers(servers: EmbeddedServers, export: Path, **changed: str) -> dict[str, str]:
    """Return the answers for the way `caldav` with these servers. `export`: the people file."""
    return {
        "way": "caldav",
        "company": "Northlight",
        "operator": DANA,
        "caldav_url": servers.caldav_url,
        "caldav_username": "longarc",
        "attendee_copies": "yes",
        "smtp_host": servers.smtp_host,
        "smtp_port": str(servers.smtp_port),
        "smtp_security": "none",
        "sender": "longarc@corp.example",
        "people": str(export),
        "pilot": "groups",
        "pilot_groups": "Care",
        **changed,
    }
