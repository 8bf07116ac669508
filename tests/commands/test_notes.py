"""`longarc note`: for the company without pages; whoever opens or leaves a note for somebody is told on (R-28)."""

from tests.support.companies import DANA, KIM, SAM
from tests.support.terminal import BEHALF, PAIR, SECRET, WHY, Desk
from worker.domain.model import SessionState

ADD, SHOW = ("note", "add"), ("note", "show")


def unfinished(desk: Desk) -> str:
    return next(one.id for one in desk.sessions() if one.state is SessionState.UNFINISHED)


def note_file(desk: Desk, *lines: str) -> str:
    return desk.write("note.txt", "\n".join(lines))


def test_r28_a_note_is_added_and_shown_and_both_are_told(desk: Desk) -> None:
    session, before = unfinished(desk), desk.rows()
    file = note_file(desk, f"Begin with {SECRET}", "", "then the rest")
    assert "The note will be in the next brief" in desk.told(*ADD, session, file, *BEHALF)
    shown = desk.told(*SHOW, SAM, "--on-behalf-of", SAM, "--reason", WHY)
    assert f"session {session}, by the manager:" in shown
    assert f"- Begin with {SECRET}\n- then the rest" in shown
    after = desk.rows()
    rows = [row for row in after["access"] if row not in before["access"]]
    assert [(row.what, row.on_behalf_of) for row in rows] == [("note add", DANA), ("note show", SAM)]
    assert {row.to for row in after["message"] if row.name == "content_accessed"} == {DANA, SAM}
    assert SECRET not in str(after)
    assert "This person has no note there now." in desk.told(*ADD, session, note_file(desk), *BEHALF)
    assert "There are no notes." in desk.told(*SHOW, PAIR, *BEHALF)


def test_nothing_is_shown_or_left_without_saying_for_whom_and_why(desk: Desk) -> None:
    session, file, before = unfinished(desk), note_file(desk, SECRET), desk.rows()
    for words in ((*ADD, session, file), (*SHOW, PAIR)):
        for some in ((), BEHALF[:2], BEHALF[2:]):
            assert "--on-behalf-of PERSON --reason" in desk.refused(*words, *some, code=2)
        assert "neither of the two" in desk.refused(*words, "--on-behalf-of", KIM, "--reason", WHY)
    assert desk.rows() == before


def test_what_is_no_note_is_refused_without_a_word_of_it(desk: Desk) -> None:
    session, before = unfinished(desk), desk.rows()
    long = note_file(desk, f"{SECRET} {'x' * 300}", "2", "3", "4")
    said = desk.refused(*ADD, session, long, *BEHALF)
    assert "more than 300 characters" in said and "more than 3 lines" in said
    booked = desk.booked().id
    assert "takes no notes" in desk.refused(*ADD, booked, note_file(desk, SECRET), *BEHALF)
    assert desk.rows() == before
