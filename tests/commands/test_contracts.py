"""`longarc contract`, `commitment` and the keys: written whole or not at all, and seen by the two alone."""

import json
import os
import re
import sys
from pathlib import Path
from threading import Thread
from unicodedata import normalize

import pytest
from cryptography.fernet import Fernet

from tests.support.companies import DAY, KEY, SAM
from tests.support.terminal import (
    CHANGE,
    DONE,
    LET_GO,
    LIST_WORDS,
    RECORD,
    SECRET,
    SHOW,
    Terminal,
    record_held,
    write_contract_file,
)
from worker.clock import utcnow
from worker.commands import arguments, contracts
from worker.domain.model import SessionState
from worker.errors import LongarcError
from worker.seal import Seal

# --- contracts ---


def test_r14_a_contract_is_recorded_shown_and_sealed(terminal: Terminal) -> None:
    session = record_held(terminal)
    told = terminal.output_of(*RECORD, session, write_contract_file(terminal), given="y\n")
    assert "Recorded: 2 commitments" in told
    assert "The summary leaves for both within five minutes" in told
    assert "The contract is due by " in told
    assert terminal.session(session).state is SessionState.CONTRACTED
    shown = terminal.output_of(*SHOW, session)
    assert f"- Introduce Sam to {SECRET} by " in shown
    assert SECRET not in told + terminal.output_of("why", session) + terminal.output_of("status") + terminal.output_of(
        "commitment", "list"
    )
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in terminal.folder.glob("longarc.db*"))


def test_r15_a_late_contract_is_said_to_be_late(terminal: Terminal) -> None:
    late = next(one for one in terminal.sessions() if one.state is SessionState.UNFINISHED)
    assert "The contract was due by " in terminal.output_of(*RECORD, late.id, write_contract_file(terminal), "--yes")


def test_r16_promises_are_questioned_by_line_and_recorded_only_when_confirmed(terminal: Terminal) -> None:
    session, file = record_held(terminal), write_contract_file(terminal, f"Get Sam a promotion, says {SECRET},")
    result = terminal.run(*RECORD, session, file, given="n\n")
    assert result.exit_code == 1
    assert f"{file}:4, your own commitment: It promises an outcome that others decide." in result.stdout
    assert "I can advocate" in result.stdout
    assert SECRET not in result.output
    assert terminal.session(session).state is SessionState.HELD
    assert "Nothing was recorded" in terminal.error_of(*RECORD, session, file, given="")
    terminal.output_of(*RECORD, session, file, "--yes")
    assert terminal.session(session).state is SessionState.CONTRACTED


def test_r31_a_promise_of_feedback_gets_a_hint_by_line(terminal: Terminal) -> None:
    session, file = record_held(terminal), write_contract_file(terminal, "Give Sam feedback on the talk")
    said = terminal.output_of(*RECORD, session, file, "--yes")
    assert f"{file}:4, your own commitment: Feedback helps most in three parts." in said
    assert "what it led to" in said


def test_a_contract_with_problems_tells_them_all_and_writes_nothing(terminal: Terminal) -> None:
    session = record_held(terminal)
    before = terminal.read_database()
    file = terminal.write("bad.md", f"## Their commitments\n- {SECRET}\n## Manager's commitments\n- x by 2027-02-30\n")
    said = terminal.error_of(*RECORD, session, file, "--yes")
    assert [line.partition(": ")[0] for line in said.splitlines()][:2] == [f"{file}:2", f"{file}:4"]
    assert len(said.splitlines()) >= 4  # and two headings are missing
    assert terminal.read_database() == before


def test_a_contract_comes_by_standard_input_with_yes_alone(terminal: Terminal) -> None:
    session, text = record_held(terminal), Path(write_contract_file(terminal)).read_text()
    assert "Nothing was recorded" in terminal.error_of(*RECORD, session, "-", given=text)
    assert "standard input:2" in terminal.error_of(*RECORD, session, "-", "--yes", given="## Their commitments\n- x")
    terminal.output_of(*RECORD, session, "-", "--yes", given=text)
    assert terminal.session(session).state is SessionState.CONTRACTED


def test_what_is_no_text_or_not_there_is_one_clear_line(terminal: Terminal) -> None:
    session = record_held(terminal)
    (terminal.folder / "image.md").write_bytes(b"\x89PNG\xff\xfe")
    assert "This is not UTF-8 text." in terminal.error_of(*RECORD, session, str(terminal.folder / "image.md"))
    assert "can't be read: No such file" in terminal.error_of(*RECORD, session, "nowhere.md")
    assert "can't be read: Is a directory" in terminal.error_of(*RECORD, session, str(terminal.folder))


def test_what_has_no_end_or_no_beginning_is_one_clear_line(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    session = record_held(terminal)
    monkeypatch.setattr(arguments, "PIPE_TIMEOUT_SECONDS", 0.01)
    os.mkfifo(terminal.folder / "pipe")
    assert "a pipe that nobody writes to" in terminal.error_of(*RECORD, session, str(terminal.folder / "pipe"))
    large = terminal.write("large.md", "\n" * (arguments.MAX_TEXT_BYTES + 1))
    for endless in ("/dev/zero", large):
        assert terminal.error_of(*RECORD, session, endless, "--yes") == (
            f"{endless}: This is larger than 1,000,000 bytes. Keep what matters."
        )
    assert "standard input: This is larger" in terminal.error_of(
        *RECORD, session, "-", "--yes", given="\n" * (arguments.MAX_TEXT_BYTES + 1)
    )
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(LongarcError, match="Standard input is closed"):
        arguments.read_text_file("-")


def test_a_pipe_that_is_written_to_is_read_to_its_end(terminal: Terminal) -> None:
    """As a shell makes one: `longarc contract record c1 <(command)`."""
    os.mkfifo(pipe := terminal.folder / "pipe")
    text = Path(write_contract_file(terminal)).read_text()
    writer = Thread(target=pipe.write_text, args=[text])
    writer.start()
    assert arguments.read_text_file(str(pipe)) == text
    writer.join()


def test_r18_a_shown_contract_is_the_next_revision_to_be(terminal: Terminal) -> None:
    session = record_held(terminal)
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    file = terminal.write("next.md", terminal.output_of(*SHOW, session).replace("What next?", "And then?"))
    assert "as revision 2" in terminal.output_of(*RECORD, session, file, "--yes")
    assert "And then?" in terminal.output_of(*SHOW, session)
    assert "What next?" in terminal.output_of(*SHOW, session, "--revision", "1")
    assert "but no revision 3" in terminal.error_of(*SHOW, session, "--revision", "3")
    assert len(terminal.json_of("commitment", "list")) == 2  # the same two go on


def test_r18_what_says_the_same_is_said_and_is_no_new_revision(terminal: Terminal) -> None:
    session, file = record_held(terminal), write_contract_file(terminal)
    terminal.output_of(*RECORD, session, file, "--yes")
    one, before = terminal.json_of(*LIST_WORDS, "--pair", SAM)[0], terminal.read_database()
    assert "recorded already" in terminal.output_of(*RECORD, session, file, "--yes")
    assert "has this text and this due date already" in terminal.output_of(
        *CHANGE, one["commitment"], "--due", one["due"]
    )
    same = ("--text", f" {one['text']}\n", "--due", one["due"])
    assert "has this text and this due date already" in terminal.output_of(*CHANGE, one["commitment"], *same)
    after = terminal.read_database()
    assert all(after[name] == before[name] for name in ("contract", "commitment", "message", "access"))


def test_r18_a_commitment_stays_itself_whatever_it_becomes_and_why_is_kept_sealed(terminal: Terminal) -> None:
    terminal.output_of(*RECORD, record_held(terminal), write_contract_file(terminal), "--yes")
    ones = [one["commitment"] for one in terminal.json_of("commitment", "list")]
    for one, days in zip(ones, (40, 50), strict=True):
        due = f"{utcnow() + days * DAY:%Y-%m-%d}"
        terminal.output_of(*CHANGE, one, "--text", "Ask Ana", "--due", due, "--reason", SECRET)
        (row,) = (row for row in terminal.read_database()["commitment"] if row.id == one)
        assert (row.standing, f"{row.due:%Y-%m-%d}") == ("open", due)
        told = json.loads(Seal([KEY]).unseal(row.sealed))
        assert (told["text"], told["reason"]) == ("Ask Ana", SECRET)
    assert len(terminal.read_database()["commitment"]) == 2


def test_what_has_not_taken_place_is_refused_with_the_command_that_helps(terminal: Terminal) -> None:
    coming, before = terminal.booked_session(), terminal.read_database()
    said = terminal.error_of(*RECORD, coming.id, write_contract_file(terminal), "--yes")
    remedy = f"If it took place, record that first: longarc held {coming.id}"
    assert said == f"longarc: Session {coming.id} has not taken place yet. {remedy}"
    assert "has no contract. Record one: longarc contract record" in terminal.error_of(*SHOW, coming.id)
    assert terminal.read_database()["contract"] == before["contract"]


def test_problems_of_reading_and_of_dates_are_told_together_by_line(terminal: Terminal) -> None:
    text = Path(write_contract_file(terminal, days=36_000)).read_text().replace("## The open question", "## The open")
    said = terminal.error_of(*RECORD, record_held(terminal), terminal.write("both.md", text), "--yes").splitlines()
    lines = [int(one.split(":")[1]) for one in said if "both.md:" in one]
    assert len(lines) > 3 and lines == sorted(lines)


def test_a_revision_recorded_while_this_one_was_confirmed_is_no_loss(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-18: nothing is recorded over a revision that was not seen."""
    session, file = record_held(terminal), write_contract_file(terminal)

    def confirm(_: str) -> bool:
        monkeypatch.setattr(contracts, "_confirm_recording", lambda _: True)
        terminal.output_of(*RECORD, session, file, "--yes")
        return True

    monkeypatch.setattr(contracts, "_confirm_recording", confirm)
    other = terminal.write("other.md", Path(file).read_text().replace("What next?", "And then?"))
    said = terminal.error_of(*RECORD, session, other)
    assert "Another revision of this contract was recorded in the meantime." in said
    assert f"longarc contract show {session}" in said


def test_a_template_says_what_is_still_to_be_written(terminal: Terminal) -> None:
    session = record_held(terminal)
    blank = terminal.output_of("contract", "template", session)
    assert blank.startswith("# Dana and Sam, ")
    assert terminal.output_of("contract", "template").startswith("# Manager and Report, ")
    said = terminal.error_of(*RECORD, session, terminal.write("blank.md", blank), "--yes")
    assert all(re.match(r".*blank\.md:\d+: ", line) for line in said.splitlines())


def test_commitments_are_followed(terminal: Terminal) -> None:
    session = record_held(terminal)
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    mine, theirs = sorted(terminal.json_of("commitment", "list", "--pair", SAM), key=lambda one: str(one["owner"]))
    due = f"{utcnow() + 40 * DAY:%Y-%m-%d}"
    terminal.output_of(*CHANGE, mine["commitment"], "--due", due, "--reason", SECRET)
    terminal.output_of(*LET_GO, theirs["commitment"], "--reason", SECRET)
    (left,) = terminal.json_of("commitment", "list")
    assert (left["commitment"], left["due"]) == (mine["commitment"], due)
    assert SECRET in terminal.output_of(*LIST_WORDS, "--pair", SAM)
    terminal.output_of(*DONE, mine["commitment"])
    assert "ended already, as done" in terminal.error_of(*DONE, mine["commitment"])
    assert {one["standing"] for one in terminal.json_of("commitment", "list", "--all")} == {"done", "let_go"}
    assert terminal.output_of("commitment", "list").strip() == "There are no commitments."


def test_what_a_commitment_becomes_is_one_clean_line(terminal: Terminal) -> None:
    """As long as one in a contract file may be, without what nobody sees; emoji and names from the right stay whole."""
    terminal.output_of(*RECORD, record_held(terminal), write_contract_file(terminal), "--yes")
    one, before = terminal.json_of("commitment", "list")[0]["commitment"], terminal.read_database()
    for text, why in (("", "--text is empty"), (" \n\u200b", "--text is empty"), ("x" * 2001, "longer than 2,000")):
        for words in (("--text", text), ("--text", "-")):
            assert why in terminal.error_of(*CHANGE, one, *words, given=text, code=2)
    assert "longer than 2,000" in terminal.error_of("talk", SAM, "--trigger", "doubt", "--reason", "x" * 2001, code=2)
    assert terminal.read_database() == before
    terminal.output_of(*CHANGE, one, "--text", "Ask\n\u202eAna \x1b[31m\u2068(👩\u200d💻, \u200fרות)\ufeff")
    told = {c["commitment"]: c["text"] for c in terminal.json_of(*LIST_WORDS, "--pair", SAM)}
    assert told[one] == "Ask Ana [31m(👩\u200d💻, \u200fרות)"


def test_r14_signs_that_nobody_sees_are_not_read(terminal: Terminal) -> None:
    """They come along with what is copied from a chat, and would turn around the words after them."""
    session, file = record_held(terminal), Path(write_contract_file(terminal))
    unseen = file.read_text().replace("## The", "## \u200bThe").replace("Draft", "\u202eDraft\u2066 \ufeff")
    terminal.output_of(*RECORD, session, terminal.write("unseen.md", unseen), "--yes")
    assert "- Draft one page on direction by" in terminal.output_of(*SHOW, session)


def test_letters_whose_dots_stand_apart_are_read_as_letters(terminal: Terminal) -> None:
    """As a Mac writes them."""
    german = terminal.output_of("contract", "template", "--language", "de").replace("\n-\n", "\n- nichts\n")
    text = normalize("NFD", german.replace("noch keine Antwort. -->", "noch keine Antwort. -->\nWohin für Ána?"))
    session = record_held(terminal)
    terminal.output_of(*RECORD, session, terminal.write("apart.md", text), "--yes")
    assert "Wohin für Ána?" in terminal.output_of(*SHOW, session)


def test_a_date_far_away_is_told_and_changes_nothing(terminal: Terminal) -> None:
    session = record_held(terminal)
    said = terminal.error_of(*RECORD, session, write_contract_file(terminal, days=36_000), "--yes")
    assert said.count("too long ago or too far ahead. Write one from") == 3
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    one, before = terminal.json_of("commitment", "list")[0]["commitment"], terminal.read_database()
    for due in ("2016-12-01", "2062-12-01"):
        said = terminal.error_of(*CHANGE, one, "--due", due)
        assert f"{due} is too long ago or too far ahead. Give a day from" in said
    assert "the years 2000 to 2099" in terminal.error_of(*CHANGE, one, "--due", "0001-01-01", code=2)
    assert terminal.read_database() == before


# --- keys ---


def test_r23_an_operator_without_the_key_sees_how_it_goes_and_opens_nothing(terminal: Terminal) -> None:
    session = record_held(terminal)
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    for key in ("", Fernet.generate_key().decode()):
        terminal.env["LONGARC_KEY"] = key
        for words in (("status",), ("sessions",), ("why", session), ("coverage",), ("plan",), ("commitment", "list")):
            terminal.output_of(*words)
        assert "key" in terminal.error_of(*SHOW, session)
        before = terminal.read_database()
        assert "key" in terminal.error_of(*RECORD, session, write_contract_file(terminal), "--yes")
        assert terminal.read_database() == before


def test_what_would_seal_with_another_key_is_refused_before_anything_begins(terminal: Terminal) -> None:
    """Beside what is stored it would lay what the first key can't open."""
    session = record_held(terminal)
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    before, files = terminal.read_database(), sorted(terminal.folder.iterdir())
    terminal.env["LONGARC_KEY"] = Fernet.generate_key().decode()
    asked = ("talk", SAM, "--trigger", "doubt")
    for words in (("run",), ("serve",), ("rotate",), asked, (*SHOW, session)):
        said = terminal.error_of(*words)
        assert said.splitlines() == [said]
        assert said.startswith("longarc: A sealed contract can't be opened with the keys given. Add the key")
    assert (terminal.read_database(), sorted(terminal.folder.iterdir())) == (before, files)
    terminal.env["LONGARC_KEY"] += f",{KEY}"
    terminal.output_of(*asked)


def test_with_another_key_a_talk_that_was_asked_for_is_one_clear_line_away(terminal: Terminal) -> None:
    """What plans a talk soon opens how soon it has to be: whoever gave another key hears which one to add."""
    terminal.output_of("talk", SAM, "--trigger", "doubt")
    terminal.env["LONGARC_KEY"] = Fernet.generate_key().decode()
    said = terminal.error_of("plan")
    assert said.splitlines() == [said] and "can't be opened with the keys given. Add the key" in said
    terminal.env["LONGARC_KEY"] += f",{KEY}"
    terminal.output_of("plan")


def test_keys_are_changed_without_losing_a_word(terminal: Terminal) -> None:
    session, new = record_held(terminal), terminal.output_of("key").strip()
    terminal.output_of(*RECORD, session, write_contract_file(terminal), "--yes")
    terminal.env["LONGARC_KEY"] = f"{new},{KEY}"
    assert "4 pieces" in terminal.output_of("rotate")  # a contract, two promises, and why it was recorded by command
    terminal.env["LONGARC_KEY"] = new
    assert SECRET in terminal.output_of(*SHOW, session)
