"""The demo: the folders that it writes to, the run on Google, and the contracts of its story."""

import json
import re
import subprocess
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from examples.northlight.contracts import ContractFiles
from examples.northlight.run import run_demo
from tests.support import ROOT
from tests.support.calendar_files import read_events
from tests.support.companies import DANA, SAM, person
from worker.domain.contract.lint import lint_contract
from worker.errors import LongarcError


def test_the_demo_refuses_a_folder_that_no_demo_wrote_and_a_file(tmp_path: Path) -> None:
    foreign_file = tmp_path / "thesis.txt"
    foreign_file.write_text("years of work")
    with pytest.raises(LongarcError, match="no demo wrote"):
        run_demo(tmp_path, weeks=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(LongarcError, match="is a file"):
        run_demo(foreign_file, weeks=0)
    assert foreign_file.read_text() == "years of work"


def test_the_files_of_an_earlier_demo_are_replaced_and_no_others(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    """Files in another folder stay, also when the demo's folder has a link to that folder."""
    other_folder = tmp_path / "outside"
    other_folder.mkdir()
    (other_folder / "kept.txt").write_text("kept")
    out = tmp_path / "out"
    run_demo(out, progress=lambda _: None, weeks=0)
    assert "Booked: the" in capsys.readouterr().out  # a row of the story
    first_ledger = (out / "ledger.jsonl").read_bytes()
    (out / "mail" / "old.html").write_text("from the last time")
    (out / "link").symlink_to(other_folder)
    run_demo(out, progress=lambda _: None, weeks=0)
    assert not (out / "mail" / "old.html").exists() and not (out / "link").is_symlink()
    assert (other_folder / "kept.txt").exists()
    assert (out / "index.html").is_file()
    assert (out / "ledger.jsonl").read_bytes() == first_ledger  # the story is the same each time


def test_the_command_to_look_around_runs_as_it_is_printed(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """Also where no `longarc` is in PATH, as in a checkout. The settings have the same command for another look."""
    out = tmp_path / "a demo"
    run_demo(out, progress=lambda _: None, weeks=0)
    (printed,) = re.findall("^To look around: (.*)$", capsys.readouterr().out, re.MULTILINE)
    (written,) = re.findall("^#   (LONGARC_KEY_FILE=.*)$", (out / "work" / "longarc.toml").read_text(), re.MULTILINE)
    for command, words in ((printed, "7 sessions"), (written, "7 booked")):
        result = subprocess.run(
            ["/bin/sh", "-c", command], env={"PATH": "/usr/bin:/bin"}, capture_output=True, text=True, check=False
        )
        assert result.returncode == 0 and words in result.stdout, result


def test_an_unknown_provider_is_refused_and_nothing_is_written(tmp_path: Path) -> None:
    with pytest.raises(LongarcError, match="caldav"):
        run_demo(tmp_path / "out", "exchange-2003")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("today", [date(2026, 9, 21), date(2026, 12, 31), date(2027, 2, 26)])
def test_r16_the_draft_is_the_only_contract_of_the_story_with_questions(tmp_path: Path, today: date) -> None:
    """R-16: this holds on whatever day the contracts are written."""
    files = ContractFiles(tmp_path)
    names = sorted(path.stem for path in (ROOT / "examples/northlight/templates/contracts").glob("*.md"))
    assert len(names) > 8
    two_people = [replace(person(address), country=country) for address, country in ((DANA, "GB"), (SAM, "US"))]
    findings = {name: lint_contract(files.write(name, today, two_people), today) for name in names}
    questions = {
        name: [finding for finding in of_contract if not finding.is_hint] for name, of_contract in findings.items()
    }
    assert [name for name, of_contract in questions.items() if of_contract] == ["emily-talk-draft"]
    assert len(questions["emily-talk-draft"]) == 2


# --- on the double of Google ---


@pytest.fixture(scope="module")
def google_demo(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a demo that ran for four weeks on the double of Google."""
    out = tmp_path_factory.mktemp("google") / "out"
    run_demo(out, "google", progress=lambda _: None, weeks=4)
    return out


def test_the_demo_runs_on_google_calendar_and_gmail(google_demo: Path) -> None:
    """All mails go through Gmail, none through SMTP."""
    lines = [json.loads(line) for line in (google_demo / "ledger.jsonl").read_text().splitlines()]
    assert {"event.create", "mail", "session", "human"} <= {line["what"] for line in lines}
    mails = [line for line in lines if line["what"] == "mail"]
    assert len(list((google_demo / "mail").rglob("*.eml"))) == len(mails) > 5
    page = (google_demo / "index.html").read_text(encoding="utf-8")
    assert "stand-in for Google" in page and "SMTP" not in page


def test_the_demo_on_google_writes_readable_calendar_files(google_demo: Path) -> None:
    files = sorted((google_demo / "calendars").glob("*.ics"))
    own_events = [event for file in files for event in read_events(file) if event.uid.value.startswith("longarc")]
    assert len(files) >= 5 and len(own_events) > 8
