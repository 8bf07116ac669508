"""`longarc export`: all stored data about a person; both people of a pair get a mail if it holds content."""

import json
import re
import stat
from pathlib import Path
from typing import Any
from zipfile import ZipFile

from sqlalchemy import delete

from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import SECRET, Terminal
from worker.domain.model import SessionState
from worker.store.tables import outbox

WHY = "A request under article 15"  # of the GDPR, for access to personal data


def read_data(folder: Path) -> Any:
    return json.loads((folder / "data.json").read_text(encoding="utf-8"))


def list_recipients(terminal: Terminal) -> list[str]:
    """Return the recipients of mails about accesses to content."""
    return sorted(row.to for row in terminal.read_database()["message"] if row.name == "content_accessed")


def forget_mails_about_accesses(terminal: Terminal) -> None:
    """Delete the mails about accesses, which would otherwise report the next access in the same quarter-hour too."""
    store = terminal.open_store()
    with store.database.write() as connection:
        connection.execute(delete(outbox).where(outbox.c.name == "content_accessed"))
    store.close()
    assert list_recipients(terminal) == []


def test_an_export_holds_all_data_of_a_person_and_both_get_a_mail(contract_terminal: Terminal, tmp_path: Path) -> None:
    forget_mails_about_accesses(contract_terminal)
    out = tmp_path / "out"
    output = contract_terminal.output_of("export", SAM, "--out", str(out), "--reason", WHY)
    assert "Both people of 1 pair are told by mail" in output
    assert SECRET not in output
    data = read_data(out)
    assert data["about"]["email"] == SAM
    (pair,), pairs_as_manager = data["as_report"], data["as_manager"]
    assert (pair["manager"], pairs_as_manager) == (DANA, [])
    assert SECRET in pair["contracts"][0]["manager"][0]["text"]
    for section in ("sessions", "commitments", "mails"):
        assert pair[section], section
    for section in ("events", "mails", "accesses", "left_out"):
        assert data[section], section
    assert [access["why"] for access in data["accesses"]][-1] == WHY
    assert KIM not in json.dumps(data), "somebody else is in the export"
    assert list_recipients(contract_terminal) == [DANA, SAM]
    *_, last_access = (row for row in contract_terminal.read_database()["history"] if row.what == "access")
    assert last_access.fields == {"command": "export"}


def test_the_export_of_a_manager_holds_the_pairs_with_all_reports(contract_terminal: Terminal, tmp_path: Path) -> None:
    contract_terminal.output_of("export", DANA, "--out", str(tmp_path / "out"), "--reason", WHY)
    data = read_data(tmp_path / "out")
    assert sorted(pair["report"] for pair in data["as_manager"]) == sorted([KIM, SAM])
    assert data["as_report"] == []


def test_export_without_a_reason_is_refused(contract_terminal: Terminal, tmp_path: Path) -> None:
    before = contract_terminal.read_database()
    error = contract_terminal.error_of("export", SAM, "--out", str(tmp_path / "out"), code=2)
    assert "--reason" in error and "--without-content" in error
    assert contract_terminal.read_database() == before
    assert not (tmp_path / "out").exists()


def test_export_without_content_holds_none_and_sends_no_mail(contract_terminal: Terminal, tmp_path: Path) -> None:
    before = contract_terminal.read_database()
    contract_terminal.env["LONGARC_KEY"] = ""
    output = contract_terminal.output_of("export", SAM, "--out", str(tmp_path / "out"), "--without-content")
    assert "What people wrote was left out." in output
    text = "".join(path.read_text(encoding="utf-8") for path in (tmp_path / "out").iterdir())
    assert SECRET not in text
    assert read_data(tmp_path / "out")["as_report"][0]["commitments"]  # the existence of commitments is no content
    assert contract_terminal.read_database() == before


def test_export_of_a_person_without_content_needs_no_reason(terminal: Terminal, tmp_path: Path) -> None:
    terminal.output_of("export", KIM, "--out", str(tmp_path / "out"))
    assert list_recipients(terminal) == []


def test_export_writes_an_archive_that_only_its_owner_reads(contract_terminal: Terminal, tmp_path: Path) -> None:
    archive = tmp_path / "sam.zip"
    contract_terminal.output_of("export", SAM, "--out", str(archive), "--reason", WHY)
    assert stat.S_IMODE(archive.stat().st_mode) == 0o600
    with ZipFile(archive) as archive_file:
        assert sorted(archive_file.namelist()) == ["data.json", "index.html"]
        assert SECRET in archive_file.read("data.json").decode()
    for existing_path in (archive, tmp_path):
        assert "exists already" in contract_terminal.error_of(
            "export", SAM, "--out", str(existing_path), "--reason", WHY
        )
    nowhere = tmp_path / "no" / "where.zip"
    assert "There is no folder" in contract_terminal.error_of("export", SAM, "--out", str(nowhere), "--reason", WHY)


def test_the_exported_page_is_in_the_language_of_the_person_and_loads_nothing(
    contract_terminal: Terminal, tmp_path: Path
) -> None:
    people = (contract_terminal.folder / "people.csv").read_text()
    people = people.replace(",mail\n", ",mail,locale\n", 1).replace("memory,memory\n", "memory,memory,de\n")
    contract_terminal.write("people.csv", people)
    contract_terminal.output_of("people", "--apply")
    contract_terminal.output_of("export", SAM, "--out", str(tmp_path / "out"), "--reason", "<script>alert(1)</script>")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    assert page.startswith("<!doctype html>")
    assert '<html lang="de"' in page
    assert "Was über Sam gespeichert ist" in page
    assert SECRET in page
    assert "<script" not in page
    assert not re.search(r"(src|href)=|url\(|@import", page), "the page loads another file"


def test_the_exported_page_has_labels_for_fixed_values_and_what_people_wrote_as_it_is(
    terminal: Terminal, tmp_path: Path
) -> None:
    """What somebody wrote stays as it is also when it is such a value: the notes `trust` and `let_go`, the reasons."""
    session_id = next(session.id for session in terminal.sessions() if session.state is SessionState.UNFINISHED)
    for author, line in ((DANA, "trust"), (SAM, "let_go")):
        behalf = ("--on-behalf-of", author, "--reason", "done")
        terminal.output_of("note", "add", session_id, terminal.write("note.txt", line), *behalf)
    terminal.output_of("export", SAM, "--out", str(tmp_path / "out"), "--reason", "open")
    page = (tmp_path / "out" / "index.html").read_text(encoding="utf-8")
    cells = re.findall(r"<(?:td|dd)>(.*?)</(?:td|dd)>", page)
    assert {"trust", "let_go", "done", "open"} <= set(cells)
    assert {"without a contract", "career conversation", "reflection prompt", "manager"} <= set(cells)
    assert not {"unfinished", "career", "reflection_prompt"} & set(cells)
