"""`longarc contract`, `longarc commitment` and the keys: contracts are written whole or not at all, and stay sealed."""

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
    hold_booked_session,
    write_contract_file,
)
from worker.clock import utcnow
from worker.commands import arguments, contracts
from worker.domain.model import SessionState
from worker.errors import LongarcError
from worker.seal import Seal

#: About a hundred years: further ahead than a due date may be.
TOO_MANY_DAYS = 36_000

# --- contracts ---


def test_r14_a_contract_is_recorded_shown_and_sealed(terminal: Terminal) -> None:
    session_id = hold_booked_session(terminal)
    output = terminal.output_of(*RECORD, session_id, write_contract_file(terminal), given="y\n")
    assert "Recorded: 2 commitments" in output
    assert "The summary leaves for both within five minutes" in output
    assert "The contract is due by " in output
    assert terminal.session(session_id).state is SessionState.CONTRACTED
    assert f"- Introduce Sam to {SECRET} by " in terminal.output_of(*SHOW, session_id)
    assert SECRET not in output
    for words in (("why", session_id), ("status",), ("commitment", "list")):
        assert SECRET not in terminal.output_of(*words)
    assert SECRET.encode() not in b"".join(path.read_bytes() for path in terminal.folder.glob("longarc.db*"))


def test_r15_the_output_names_the_missed_deadline_of_a_late_contract(terminal: Terminal) -> None:
    session = next(session for session in terminal.sessions() if session.state is SessionState.UNFINISHED)
    assert "The contract was due by " in terminal.output_of(*RECORD, session.id, write_contract_file(terminal), "--yes")


def test_r16_a_questioned_promise_is_recorded_only_after_confirmation(terminal: Terminal) -> None:
    session_id, file = (
        hold_booked_session(terminal),
        write_contract_file(terminal, f"Get Sam a promotion, says {SECRET},"),
    )
    result = terminal.run(*RECORD, session_id, file, given="n\n")
    assert result.exit_code == 1
    assert f"{file}:4, your own commitment: It promises an outcome that others decide." in result.stdout
    assert "I can advocate" in result.stdout
    assert SECRET not in result.output
    assert terminal.session(session_id).state is SessionState.HELD
    assert "Nothing was recorded" in terminal.error_of(*RECORD, session_id, file, given="")
    terminal.output_of(*RECORD, session_id, file, "--yes")
    assert terminal.session(session_id).state is SessionState.CONTRACTED


def test_r31_a_promise_of_feedback_gets_a_hint_by_line(terminal: Terminal) -> None:
    session_id, file = hold_booked_session(terminal), write_contract_file(terminal, "Give Sam feedback on the talk")
    output = terminal.output_of(*RECORD, session_id, file, "--yes")
    assert f"{file}:4, your own commitment: Feedback helps most in three parts." in output
    assert "what it led to" in output


def test_a_wrong_contract_is_refused_with_all_its_problems(terminal: Terminal) -> None:
    session_id = hold_booked_session(terminal)
    before = terminal.read_database()
    file = terminal.write("bad.md", f"## Their commitments\n- {SECRET}\n## Manager's commitments\n- x by 2027-02-30\n")
    error = terminal.error_of(*RECORD, session_id, file, "--yes")
    assert [line.partition(": ")[0] for line in error.splitlines()][:2] == [f"{file}:2", f"{file}:4"]
    assert len(error.splitlines()) >= 4, "the two missing headings are not among the problems"
    assert terminal.read_database() == before


def test_a_contract_on_standard_input_needs_the_option_yes(terminal: Terminal) -> None:
    """While the contract comes on standard input, no question can be answered there."""
    session_id, text = hold_booked_session(terminal), Path(write_contract_file(terminal)).read_text()
    assert "Nothing was recorded" in terminal.error_of(*RECORD, session_id, "-", given=text)
    assert "standard input:2" in terminal.error_of(*RECORD, session_id, "-", "--yes", given="## Their commitments\n- x")
    terminal.output_of(*RECORD, session_id, "-", "--yes", given=text)
    assert terminal.session(session_id).state is SessionState.CONTRACTED


def test_binary_missing_and_folder_arguments_are_each_refused(terminal: Terminal) -> None:
    session_id = hold_booked_session(terminal)
    (terminal.folder / "image.md").write_bytes(b"\x89PNG\xff\xfe")
    assert "This is not UTF-8 text." in terminal.error_of(*RECORD, session_id, str(terminal.folder / "image.md"))
    assert "can't be read: No such file" in terminal.error_of(*RECORD, session_id, "nowhere.md")
    assert "can't be read: Is a directory" in terminal.error_of(*RECORD, session_id, str(terminal.folder))


def test_unwritten_pipes_and_too_large_inputs_are_refused(terminal: Terminal, monkeypatch: pytest.MonkeyPatch) -> None:
    session_id = hold_booked_session(terminal)
    monkeypatch.setattr(arguments, "PIPE_TIMEOUT_SECONDS", 0.01)
    os.mkfifo(terminal.folder / "pipe")
    assert "a pipe that nobody writes to" in terminal.error_of(*RECORD, session_id, str(terminal.folder / "pipe"))
    large = terminal.write("large.md", "\n" * (arguments.MAX_TEXT_BYTES + 1))
    for path in ("/dev/zero", large):
        assert terminal.error_of(*RECORD, session_id, path, "--yes") == (
            f"{path}: This is larger than 1,000,000 bytes. Keep what matters."
        )
    assert "standard input: This is larger" in terminal.error_of(
        *RECORD, session_id, "-", "--yes", given="\n" * (arguments.MAX_TEXT_BYTES + 1)
    )
    monkeypatch.setattr(sys, "stdin", None)
    with pytest.raises(LongarcError, match="Standard input is closed"):
        arguments.read_text_file("-")


def test_a_pipe_is_read_to_its_end(terminal: Terminal) -> None:
    """A shell makes such a pipe: `longarc contract record c1 <(command)`."""
    os.mkfifo(pipe := terminal.folder / "pipe")
    text = Path(write_contract_file(terminal)).read_text()
    writer = Thread(target=pipe.write_text, args=[text])
    writer.start()
    assert arguments.read_text_file(str(pipe)) == text
    writer.join()


def test_r18_an_edited_contract_is_recorded_as_the_next_revision(terminal: Terminal) -> None:
    session_id = hold_booked_session(terminal)
    terminal.output_of(*RECORD, session_id, write_contract_file(terminal), "--yes")
    file = terminal.write("next.md", terminal.output_of(*SHOW, session_id).replace("What next?", "And then?"))
    assert "as revision 2" in terminal.output_of(*RECORD, session_id, file, "--yes")
    assert "And then?" in terminal.output_of(*SHOW, session_id)
    assert "What next?" in terminal.output_of(*SHOW, session_id, "--revision", "1")
    assert "but no revision 3" in terminal.error_of(*SHOW, session_id, "--revision", "3")
    assert len(terminal.json_of("commitment", "list")) == 2, "the revision did not continue the two commitments"


def test_r18_an_unchanged_contract_or_commitment_is_not_written_again(terminal: Terminal) -> None:
    session_id, file = hold_booked_session(terminal), write_contract_file(terminal)
    terminal.output_of(*RECORD, session_id, file, "--yes")
    commitment, before = terminal.json_of(*LIST_WORDS, "--pair", SAM)[0], terminal.read_database()
    assert "recorded already" in terminal.output_of(*RECORD, session_id, file, "--yes")
    assert "has this text and this due date already" in terminal.output_of(
        *CHANGE, commitment["commitment"], "--due", commitment["due"]
    )
    same_values = ("--text", f" {commitment['text']}\n", "--due", commitment["due"])
    assert "has this text and this due date already" in terminal.output_of(
        *CHANGE, commitment["commitment"], *same_values
    )
    after = terminal.read_database()
    assert all(after[name] == before[name] for name in ("contract", "commitment", "message", "access"))


def test_r18_a_changed_commitment_keeps_its_id_and_seals_the_reason(terminal: Terminal) -> None:
    terminal.output_of(*RECORD, hold_booked_session(terminal), write_contract_file(terminal), "--yes")
    commitment_ids = [commitment["commitment"] for commitment in terminal.json_of("commitment", "list")]
    for commitment_id, days_until_due in zip(commitment_ids, (40, 50), strict=True):
        due = f"{utcnow() + days_until_due * DAY:%Y-%m-%d}"
        terminal.output_of(*CHANGE, commitment_id, "--text", "Ask Ana", "--due", due, "--reason", SECRET)
        (row,) = (row for row in terminal.read_database()["commitment"] if row.id == commitment_id)
        assert (row.standing, f"{row.due:%Y-%m-%d}") == ("open", due)
        content = json.loads(Seal([KEY]).unseal(row.sealed))
        assert (content["text"], content["reason"]) == ("Ask Ana", SECRET)
    assert len(terminal.read_database()["commitment"]) == 2


def test_a_contract_of_a_future_session_is_refused_with_a_remedy(terminal: Terminal) -> None:
    session, before = terminal.booked_session(), terminal.read_database()
    error = terminal.error_of(*RECORD, session.id, write_contract_file(terminal), "--yes")
    remedy = f"If it took place, record that first: longarc held {session.id}"
    assert error == f"longarc: Session {session.id} has not taken place yet. {remedy}"
    assert "has no contract. Record one: longarc contract record" in terminal.error_of(*SHOW, session.id)
    assert terminal.read_database()["contract"] == before["contract"]


def test_problems_of_form_and_of_dates_are_listed_together_in_order(terminal: Terminal) -> None:
    text = (
        Path(write_contract_file(terminal, days=TOO_MANY_DAYS))
        .read_text()
        .replace("## The open question", "## The open")
    )
    problems = terminal.error_of(
        *RECORD, hold_booked_session(terminal), terminal.write("both.md", text), "--yes"
    ).splitlines()
    lines = [int(problem.split(":")[1]) for problem in problems if "both.md:" in problem]
    assert len(lines) > 3 and lines == sorted(lines)


def test_a_contract_is_not_recorded_over_an_unseen_revision(
    terminal: Terminal, monkeypatch: pytest.MonkeyPatch
) -> None:
    """R-18: another revision is recorded while the command waits for the operator to confirm."""
    session_id, file = hold_booked_session(terminal), write_contract_file(terminal)

    def record_other_revision(_: str) -> bool:
        monkeypatch.setattr(contracts, "_confirm_recording", lambda _: True)
        terminal.output_of(*RECORD, session_id, file, "--yes")
        return True

    monkeypatch.setattr(contracts, "_confirm_recording", record_other_revision)
    other_file = terminal.write("other.md", Path(file).read_text().replace("What next?", "And then?"))
    error = terminal.error_of(*RECORD, session_id, other_file)
    assert "Another revision of this contract was recorded in the meantime." in error
    assert f"longarc contract show {session_id}" in error


def test_an_unfilled_template_is_refused_line_by_line(terminal: Terminal) -> None:
    session_id = hold_booked_session(terminal)
    blank = terminal.output_of("contract", "template", session_id)
    assert blank.startswith("# Dana and Sam, ")
    assert terminal.output_of("contract", "template").startswith("# Manager and Report, ")
    error = terminal.error_of(*RECORD, session_id, terminal.write("blank.md", blank), "--yes")
    assert all(re.match(r".*blank\.md:\d+: ", line) for line in error.splitlines())


def test_commitments_are_changed_let_go_and_done(terminal: Terminal) -> None:
    session_id = hold_booked_session(terminal)
    terminal.output_of(*RECORD, session_id, write_contract_file(terminal), "--yes")
    commitments = sorted(terminal.json_of("commitment", "list", "--pair", SAM), key=lambda row: str(row["owner"]))
    managers_id, reports_id = (commitment["commitment"] for commitment in commitments)
    due = f"{utcnow() + 40 * DAY:%Y-%m-%d}"
    terminal.output_of(*CHANGE, managers_id, "--due", due, "--reason", SECRET)
    terminal.output_of(*LET_GO, reports_id, "--reason", SECRET)
    (open_commitment,) = terminal.json_of("commitment", "list")
    assert (open_commitment["commitment"], open_commitment["due"]) == (managers_id, due)
    assert SECRET in terminal.output_of(*LIST_WORDS, "--pair", SAM)
    terminal.output_of(*DONE, managers_id)
    assert "ended already, as done" in terminal.error_of(*DONE, managers_id)
    assert {row["standing"] for row in terminal.json_of("commitment", "list", "--all")} == {"done", "let_go"}
    assert terminal.output_of("commitment", "list").strip() == "There are no commitments."


def test_a_changed_commitment_becomes_one_line_without_invisible_characters(terminal: Terminal) -> None:
    """The same limit of length holds as in a contract file. Emoji and right-to-left names stay whole."""
    terminal.output_of(*RECORD, hold_booked_session(terminal), write_contract_file(terminal), "--yes")
    commitment_id, before = terminal.json_of("commitment", "list")[0]["commitment"], terminal.read_database()
    for text, message in (("", "--text is empty"), (" \n\u200b", "--text is empty"), ("x" * 2001, "longer than 2,000")):
        for option in (("--text", text), ("--text", "-")):
            assert message in terminal.error_of(*CHANGE, commitment_id, *option, given=text, code=2)
    assert "longer than 2,000" in terminal.error_of("talk", SAM, "--trigger", "doubt", "--reason", "x" * 2001, code=2)
    assert terminal.read_database() == before
    terminal.output_of(*CHANGE, commitment_id, "--text", "Ask\n\u202eAna \x1b[31m\u2068(👩\u200d💻, \u200fרות)\ufeff")
    texts = {row["commitment"]: row["text"] for row in terminal.json_of(*LIST_WORDS, "--pair", SAM)}
    assert texts[commitment_id] == "Ask Ana [31m(👩\u200d💻, \u200fרות)"


def test_r14_invisible_characters_of_a_contract_file_are_ignored(terminal: Terminal) -> None:
    """They are in text copied from a chat. Some of them would reverse the words after them."""
    session_id, file = hold_booked_session(terminal), Path(write_contract_file(terminal))
    text = file.read_text().replace("## The", "## \u200bThe").replace("Draft", "\u202eDraft\u2066 \ufeff")
    terminal.output_of(*RECORD, session_id, terminal.write("unseen.md", text), "--yes")
    assert "- Draft one page on direction by" in terminal.output_of(*SHOW, session_id)


def test_a_contract_with_decomposed_umlauts_is_read(terminal: Terminal) -> None:
    """A Mac writes letter and dots as two characters (Unicode's form NFD)."""
    german = terminal.output_of("contract", "template", "--language", "de").replace("\n-\n", "\n- nichts\n")
    text = normalize("NFD", german.replace("noch keine Antwort. -->", "noch keine Antwort. -->\nWohin für Ána?"))
    session_id = hold_booked_session(terminal)
    terminal.output_of(*RECORD, session_id, terminal.write("apart.md", text), "--yes")
    assert "Wohin für Ána?" in terminal.output_of(*SHOW, session_id)


def test_due_dates_far_away_are_refused_and_change_nothing(terminal: Terminal) -> None:
    session_id = hold_booked_session(terminal)
    error = terminal.error_of(*RECORD, session_id, write_contract_file(terminal, days=TOO_MANY_DAYS), "--yes")
    assert error.count("too long ago or too far ahead. Write one from") == 3  # two commitments and a review
    terminal.output_of(*RECORD, session_id, write_contract_file(terminal), "--yes")
    commitment_id, before = terminal.json_of("commitment", "list")[0]["commitment"], terminal.read_database()
    for due in ("2016-12-01", "2062-12-01"):
        error = terminal.error_of(*CHANGE, commitment_id, "--due", due)
        assert f"{due} is too long ago or too far ahead. Give a day from" in error
    assert "the years 2000 to 2099" in terminal.error_of(*CHANGE, commitment_id, "--due", "0001-01-01", code=2)
    assert terminal.read_database() == before


# --- keys ---


def test_r23_an_operator_without_the_key_sees_states_and_no_content(terminal: Terminal) -> None:
    session_id = hold_booked_session(terminal)
    terminal.output_of(*RECORD, session_id, write_contract_file(terminal), "--yes")
    for key in ("", Fernet.generate_key().decode()):
        terminal.env["LONGARC_KEY"] = key
        for words in (
            ("status",),
            ("sessions",),
            ("why", session_id),
            ("coverage",),
            ("plan",),
            ("commitment", "list"),
        ):
            terminal.output_of(*words)
        assert "key" in terminal.error_of(*SHOW, session_id)
        before = terminal.read_database()
        assert "key" in terminal.error_of(*RECORD, session_id, write_contract_file(terminal), "--yes")
        assert terminal.read_database() == before


def test_commands_with_another_key_are_refused_before_they_change_anything(terminal: Terminal) -> None:
    """They would store content that the former key can't open beside content that only it opens."""
    session_id = hold_booked_session(terminal)
    terminal.output_of(*RECORD, session_id, write_contract_file(terminal), "--yes")
    before, files = terminal.read_database(), sorted(terminal.folder.iterdir())
    terminal.env["LONGARC_KEY"] = Fernet.generate_key().decode()
    talk = ("talk", SAM, "--trigger", "doubt")
    for words in (("run",), ("serve",), ("rotate",), talk, (*SHOW, session_id)):
        error = terminal.error_of(*words)
        assert error.splitlines() == [error]
        assert error.startswith("longarc: A sealed contract can't be opened with the keys given. Add the key")
    assert (terminal.read_database(), sorted(terminal.folder.iterdir())) == (before, files)
    terminal.env["LONGARC_KEY"] += f",{KEY}"
    terminal.output_of(*talk)


def test_plan_with_another_key_names_the_missing_key_in_one_line(terminal: Terminal) -> None:
    """To plan an ad hoc session, `longarc plan` opens its trigger, which is sealed."""
    terminal.output_of("talk", SAM, "--trigger", "doubt")
    terminal.env["LONGARC_KEY"] = Fernet.generate_key().decode()
    error = terminal.error_of("plan")
    assert error.splitlines() == [error] and "can't be opened with the keys given. Add the key" in error
    terminal.env["LONGARC_KEY"] += f",{KEY}"
    terminal.output_of("plan")


def test_rotate_seals_all_content_with_the_new_key(terminal: Terminal) -> None:
    session_id, new_key = hold_booked_session(terminal), terminal.output_of("key").strip()
    terminal.output_of(*RECORD, session_id, write_contract_file(terminal), "--yes")
    terminal.env["LONGARC_KEY"] = f"{new_key},{KEY}"
    # a contract, two commitments, and the reason for recording on somebody's behalf
    assert "4 pieces" in terminal.output_of("rotate")
    terminal.env["LONGARC_KEY"] = new_key
    assert SECRET in terminal.output_of(*SHOW, session_id)
