"""`longarc export`: all that is stored about a person in one place; whose words are in it is told to both."""

import json
import re
import stat
from pathlib import Path
from typing import Any
from zipfile import ZipFile

import pytest

from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import RECORD, SECRET, Terminal, record_held, write_contract_file

WHY = "A request under article 15"


@pytest.fixture(name="agreed")
def terminal_with_contract(terminal: Terminal) -> Terminal:
    terminal.output_of(*RECORD, record_held(terminal), write_contract_file(terminal), "--yes")
    return terminal


def read(folder: Path) -> Any:
    return json.loads((folder / "data.json").read_text(encoding="utf-8"))


def list_told(terminal: Terminal) -> list[str]:
    return sorted(row.to for row in terminal.read_database()["message"] if row.name == "content_accessed")


def test_everything_about_a_person_is_in_it_and_both_are_told(agreed: Terminal, tmp_path: Path) -> None:
    before, out = list_told(agreed), tmp_path / "out"
    told = agreed.output_of("export", SAM, "--out", str(out), "--reason", WHY)
    assert "Both people of 1 pair are told by mail" in told
    assert SECRET not in told
    found = read(out)
    assert found["about"]["email"] == SAM
    (pair,), managed = found["as_report"], found["as_manager"]
    assert (pair["manager"], managed) == (DANA, [])
    assert SECRET in pair["contracts"][0]["manager"][0]["text"]
    for part in ("sessions", "commitments", "mails"):
        assert pair[part], part
    for part in ("events", "mails", "accesses", "left_out"):
        assert found[part], part
    assert [one["why"] for one in found["accesses"]][-1] == WHY
    assert KIM not in json.dumps(found), "nobody else's pairs are in it"
    assert set(list_told(agreed)) == {DANA, SAM}
    assert len(list_told(agreed)) >= len(before)
    history = [row for row in agreed.read_database()["history"] if row.what == "access"]
    assert history[-1].fields == {"command": "export"}


def test_a_manager_has_the_pairs_with_all_reports(agreed: Terminal, tmp_path: Path) -> None:
    agreed.output_of("export", DANA, "--out", str(tmp_path / "out"), "--reason", WHY)
    found = read(tmp_path / "out")
    assert sorted(one["report"] for one in found["as_manager"]) == sorted([KIM, SAM])
    assert found["as_report"] == []


def test_without_a_reason_nothing_is_opened(agreed: Terminal, tmp_path: Path) -> None:
    before = agreed.read_database()
    said = agreed.error_of("export", SAM, "--out", str(tmp_path / "out"), code=2)
    assert "--reason" in said and "--without-content" in said
    assert agreed.read_database() == before
    assert not (tmp_path / "out").exists()


def test_without_content_no_word_is_in_it_and_nobody_is_told(agreed: Terminal, tmp_path: Path) -> None:
    before = agreed.read_database()
    agreed.env["LONGARC_KEY"] = ""
    told = agreed.output_of("export", SAM, "--out", str(tmp_path / "out"), "--without-content")
    assert "What people wrote was left out." in told
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir())
    assert SECRET not in text
    assert read(tmp_path / "out")["as_report"][0]["commitments"], "that there are some is no content"
    assert agreed.read_database() == before


def test_a_pair_that_wrote_nothing_needs_no_reason(terminal: Terminal, tmp_path: Path) -> None:
    terminal.output_of("export", KIM, "--out", str(tmp_path / "out"))
    assert list_told(terminal) == []


def test_an_archive_holds_the_same_for_its_owner_alone(agreed: Terminal, tmp_path: Path) -> None:
    archive = tmp_path / "sam.zip"
    agreed.output_of("export", SAM, "--out", str(archive), "--reason", WHY)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    with ZipFile(archive) as opened:
        assert sorted(opened.namelist()) == ["data.json", "index.html"]
        assert SECRET in opened.read("data.json").decode()
    for taken in (archive, tmp_path):
        assert "exists already" in agreed.error_of("export", SAM, "--out", str(taken), "--reason", WHY)
    nowhere = tmp_path / "no" / "where.zip"
    assert "There is no folder" in agreed.error_of("export", SAM, "--out", str(nowhere), "--reason", WHY)


def test_the_page_reads_by_itself_in_the_person_s_language(agreed: Terminal, tmp_path: Path) -> None:
    agreed.write("people.csv", (agreed.folder / "people.csv").read_text().replace(",mail\n", ",mail,locale\n", 1)
                 .replace("memory,memory\n", "memory,memory,de\n"))  # fmt: skip
    agreed.output_of("people", "--apply")
    agreed.output_of("export", SAM, "--out", str(tmp_path / "out"), "--reason", "<script>alert(1)</script>")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert '<html lang="de"' in page
    assert "Was über Sam gespeichert ist" in page
    assert SECRET in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page), "it loads nothing"
