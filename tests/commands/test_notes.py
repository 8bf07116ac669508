"""`longarc note`: for the company without pages; whoever opens or leaves a note for somebody is told on (R-28)."""

from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import BEHALF, PAIR, SECRET, WHY, Terminal
from worker.domain.model import SessionState

ADD, SHOW = ("note", "add"), ("note", "show")


def unfinished(terminal: Terminal) -> str:
    return next(one.id for one in terminal.sessions() if one.state is SessionState.UNFINISHED)


def note_file(terminal: Terminal, *lines: str) -> str:
    return terminal.write("note.txt", "\n".join(lines))


def test_r28_a_note_is_added_and_shown_and_both_are_told(terminal: Terminal) -> None:
    session, before = unfinished(terminal), terminal.read_database()
    file = note_file(terminal, f"Begin with {SECRET}", "", "then the rest")
    assert "The note will be in the next brief" in terminal.output_of(*ADD, session, file, *BEHALF)
    shown = terminal.output_of(*SHOW, SAM, "--on-behalf-of", SAM, "--reason", WHY)
    assert f"session {session}, by the manager:" in shown
    assert f"- Begin with {SECRET}\n- then the rest" in shown
    after = terminal.read_database()
    rows = [row for row in after["access"] if row not in before["access"]]
    assert [(row.what, row.on_behalf_of) for row in rows] == [("note add", DANA), ("note show", SAM)]
    assert {row.to for row in after["message"] if row.name == "content_accessed"} == {DANA, SAM}
    assert SECRET not in str(after)
    assert "This person has no note there now." in terminal.output_of(*ADD, session, note_file(terminal), *BEHALF)
    assert "There are no notes." in terminal.output_of(*SHOW, PAIR, *BEHALF)


def test_nothing_is_shown_or_left_without_saying_for_whom_and_why(terminal: Terminal) -> None:
    session, file, before = unfinished(terminal), note_file(terminal, SECRET), terminal.read_database()
    for words in ((*ADD, session, file), (*SHOW, PAIR)):
        for some in ((), BEHALF[:2], BEHALF[2:]):
            assert "--on-behalf-of PERSON --reason" in terminal.error_of(*words, *some, code=2)
        assert "neither of the two" in terminal.error_of(*words, "--on-behalf-of", KIM, "--reason", WHY)
    assert terminal.read_database() == before


def test_what_is_no_note_is_refused_without_a_word_of_it(terminal: Terminal) -> None:
    session, before = unfinished(terminal), terminal.read_database()
    long = note_file(terminal, f"{SECRET} {'x' * 300}", "2", "3", "4")
    said = terminal.error_of(*ADD, session, long, *BEHALF)
    assert "more than 300 characters" in said and "more than 3 lines" in said
    booked = terminal.booked_session().id
    assert "takes no notes" in terminal.error_of(*ADD, booked, note_file(terminal, SECRET), *BEHALF)
    assert terminal.read_database() == before
