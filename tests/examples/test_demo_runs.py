"""Where the demo writes, what it is played on, and the contracts of its story."""

import json
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


def test_a_folder_of_somebody_else_is_left_alone(tmp_path: Path) -> None:
    mine = tmp_path / "thesis.txt"
    mine.write_text("years of work")
    with pytest.raises(LongarcError, match="no demo wrote"):
        run_demo(tmp_path, weeks=0)
    assert [path.name for path in tmp_path.iterdir()] == ["thesis.txt"]
    with pytest.raises(LongarcError, match="is a file"):
        run_demo(mine, weeks=0)
    assert mine.read_text() == "years of work"


def test_a_former_demo_is_replaced(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """And what lies outside stays, even where a link leads there."""
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "kept.txt").write_text("kept")
    out = tmp_path / "out"
    run_demo(out, progress=lambda _: None, weeks=0)
    assert "Booked: the" in capsys.readouterr().out
    first = (out / "ledger.jsonl").read_bytes()
    (out / "mail" / "old.html").write_text("from the last time")
    (out / "link").symlink_to(outside)
    run_demo(out, progress=lambda _: None, weeks=0)
    assert not (out / "mail" / "old.html").exists() and not (out / "link").is_symlink()
    assert (outside / "kept.txt").exists()
    assert (out / "index.html").is_file()
    assert (out / "ledger.jsonl").read_bytes() == first  # the story is the same each time


def test_a_provider_it_can_not_be_played_on_is_refused_before_anything_is_written(tmp_path: Path) -> None:
    with pytest.raises(LongarcError, match="caldav"):
        run_demo(tmp_path / "out", "exchange-2003")
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("today", [date(2026, 9, 21), date(2026, 12, 31), date(2027, 2, 26)])
def test_only_the_draft_is_questioned(tmp_path: Path, today: date) -> None:
    """R-16: every other contract of the story passes as it stands, whatever the day."""
    files = ContractFiles(tmp_path)
    names = sorted(path.stem for path in (ROOT / "examples/northlight/templates/contracts").glob("*.md"))
    assert len(names) > 8
    both = [replace(person(who), country=country) for who, country in ((DANA, "GB"), (SAM, "US"))]
    questions = {name: lint_contract(files.write(name, today, both), today) for name in names}
    asked = {name: [one for one in found if not one.is_hint] for name, found in questions.items()}
    assert [name for name, questions in asked.items() if questions] == ["emily-talk-draft"]
    assert len(asked["emily-talk-draft"]) == 2


# --- on the stand-in for Google ---


@pytest.fixture(scope="module")
def on_google(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("google") / "out"
    run_demo(out, "google", progress=lambda _: None, weeks=4)
    return out


def test_it_is_played_on_google_with_the_same_promises(on_google: Path) -> None:
    """The same story, as far as it goes: calendars and mail over Google's own client library, nothing over SMTP."""
    lines = [json.loads(line) for line in (on_google / "ledger.jsonl").read_text().splitlines()]
    assert {"event.create", "mail", "session", "human"} <= {line["what"] for line in lines}
    mails = [line for line in lines if line["what"] == "mail"]
    assert len(list((on_google / "mail").rglob("*.eml"))) == len(mails) > 5
    page = (on_google / "index.html").read_text(encoding="utf-8")
    assert "stand-in for Google" in page and "SMTP" not in page


def test_googles_calendars_are_given_out_as_any_program_reads_them(on_google: Path) -> None:
    files = sorted((on_google / "calendars").glob("*.ics"))
    ours = [event for file in files for event in read_events(file) if event.uid.value.startswith("longarc")]
    assert len(files) >= 5 and len(ours) > 8
