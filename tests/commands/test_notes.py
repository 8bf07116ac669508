"""`longarc note`, for companies without pages: both people of the pair get a mail about each use (R-28)."""

from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import BEHALF, PAIR, SECRET, WHY, Terminal
from worker.domain.model import SessionState

ADD, SHOW = ("note", "add"), ("note", "show")


def find_unfinished_session(terminal: Terminal) -> str:
    return next(session.id for session in terminal.sessions() if session.state is SessionState.UNFINISHED)


def write_note_file(terminal: Terminal, *lines: str) -> str:
    return terminal.write("note.txt", "\n".join(lines))


def test_r28_a_note_is_added_and_shown_and_both_get_a_mail(terminal: Terminal) -> None:
    session_id, before = find_unfinished_session(terminal), terminal.read_database()
    file = write_note_file(terminal, f"Begin with {SECRET}", "", "then the rest")
    assert "The note will be in the next brief" in terminal.output_of(*ADD, session_id, file, *BEHALF)
    output = terminal.output_of(*SHOW, SAM, "--on-behalf-of", SAM, "--reason", WHY)
    assert f"session {session_id}, by the manager:" in output
    assert f"- Begin with {SECRET}\n- then the rest" in output
    after = terminal.read_database()
    rows = [row for row in after["access"] if row not in before["access"]]
    assert [(row.what, row.on_behalf_of) for row in rows] == [("note add", DANA), ("note show", SAM)]
    assert {row.to for row in after["message"] if row.name == "content_accessed"} == {DANA, SAM}
    assert SECRET not in str(after)
    empty_file = write_note_file(terminal)
    assert "This person has no note there now." in terminal.output_of(*ADD, session_id, empty_file, *BEHALF)
    assert "There are no notes." in terminal.output_of(*SHOW, PAIR, *BEHALF)


def test_r28_notes_need_a_person_of_the_pair_and_a_reason(terminal: Terminal) -> None:
    session_id, file = find_unfinished_session(terminal), write_note_file(terminal, SECRET)
    before = terminal.read_database()
    for words in ((*ADD, session_id, file), (*SHOW, PAIR)):
        for options in ((), BEHALF[:2], BEHALF[2:]):  # neither option, the person alone, the reason alone
            assert "--on-behalf-of PERSON --reason" in terminal.error_of(*words, *options, code=2)
        assert "neither of the two" in terminal.error_of(*words, "--on-behalf-of", KIM, "--reason", WHY)
    assert terminal.read_database() == before


def test_r28_too_long_notes_and_notes_of_booked_sessions_are_refused(terminal: Terminal) -> None:
    session_id, before = find_unfinished_session(terminal), terminal.read_database()
    long_note = write_note_file(terminal, f"{SECRET} {'x' * 300}", "2", "3", "4")
    error = terminal.error_of(*ADD, session_id, long_note, *BEHALF)
    assert "more than 300 characters" in error and "more than 3 lines" in error
    booked_id = terminal.booked_session().id
    assert "takes no notes" in terminal.error_of(*ADD, booked_id, write_note_file(terminal, SECRET), *BEHALF)
    assert terminal.read_database() == before
