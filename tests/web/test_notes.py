"""Notes for both (R-28) and mentions of kept commitments (R-32), on the manager's page and the report's."""

import json

from tests.support.companies import DANA, DAY, KIM, SAM
from tests.support.web_company import WebCompany, send_form, text
from worker.domain.model import Owner, PairId, Session, SessionState
from worker.links import Purpose
from worker.web.team import make_url_id

SAM_PAGE = f"/team/person/{make_url_id(PairId(DANA, SAM))}"
#: The fields of the form of a note. The line of spaces is left out.
LINES = {"line-0": "Less on-call, <b>more</b> teaching", "line-1": "  ", "line-2": "Berlin in spring"}


def end_without_contract(company: WebCompany) -> Session:
    """Let the last conversation of Dana and Sam become unfinished, without a contract, and return it."""
    session = company.held_session()
    company.office.run(9 * DAY)
    loaded = company.office.store.queries.get_session(session.id)
    assert loaded is not None and loaded.state is SessionState.UNFINISHED
    return loaded


def test_r28_a_note_of_either_of_the_two_is_shown_on_both_pages(company: WebCompany) -> None:
    session = end_without_contract(company)
    sam, dana = company.visitor(SAM, Purpose.ME), company.visitor(DANA, Purpose.TEAM)
    assert "Leave a note about" in text(sam.get("/me")) and "Leave a note about" in text(dana.get(SAM_PAGE))
    answer = send_form(sam, "/me", f"/me/note/{session.id}", **LINES)
    assert answer.headers["Location"] == "/me?said=noted#notes"
    for page in (text(sam.get("/me")), text(dana.get(SAM_PAGE))):
        assert "Less on-call, <b>more</b> teaching Berlin in spring" in page
    assert "you, after your conversation on" in text(sam.get("/me"))
    assert "Sam, after your conversation on" in text(dana.get(SAM_PAGE))
    send_form(dana, SAM_PAGE, f"{SAM_PAGE}/note/{session.id}", **{"line-0": "Ask about the move"})
    assert "Ask about the move" in text(sam.get("/me"))
    assert "Ask about the move" not in company.visitor(KIM, Purpose.ME).get("/me").get_data(as_text=True)


def test_r28_only_the_author_can_change_and_remove_a_note(company: WebCompany) -> None:
    session = end_without_contract(company)
    sam, dana = company.visitor(SAM, Purpose.ME), company.visitor(DANA, Purpose.TEAM)
    send_form(sam, "/me", f"/me/note/{session.id}", **LINES)
    assert 'value="Berlin in spring"' in sam.get("/me").get_data(as_text=True)
    assert "Change your note" in text(sam.get("/me"))
    send_form(dana, SAM_PAGE, f"{SAM_PAGE}/note/{session.id}")
    assert "Berlin in spring" in text(sam.get("/me")), "the manager's form removed the report's note"
    assert send_form(sam, "/me", f"/me/note/{session.id}").headers["Location"] == "/me?said=unnoted#notes"
    assert company.office.store.notes.list_notes(PairId(DANA, SAM)) == []
    assert "There is no note of yours" in text(sam.get("/me?said=unnoted"))


def test_r28_a_conversation_with_a_contract_takes_no_note(company: WebCompany) -> None:
    """R-28: a note belongs to a conversation without one. Sessions of another pair and unknown ones are not found."""
    sam = company.visitor(SAM, Purpose.ME)
    assert "Leave a note" not in text(sam.get("/me"))
    assert send_form(sam, "/me", f"/me/note/{company.contracted_session().id}", **LINES).status_code == 409
    assert send_form(sam, "/me", f"/me/note/{company.contracted_session(DANA, KIM).id}", **LINES).status_code == 404
    assert send_form(sam, "/me", "/me/note/no-such-session", **LINES).status_code == 404


def test_r28_both_files_have_the_notes_of_the_pair(company: WebCompany) -> None:
    session = end_without_contract(company)
    sam, dana = company.visitor(SAM, Purpose.ME), company.visitor(DANA, Purpose.TEAM)
    send_form(sam, "/me", f"/me/note/{session.id}", **LINES)
    sams_notes = [("report", [LINES["line-0"], LINES["line-2"]])]
    for client, path, expected_notes in (
        (sam, "/me/data", {SAM: sams_notes}),
        (dana, "/team/data", {SAM: sams_notes, KIM: []}),
    ):
        pairs = json.loads(client.get(path).get_data(as_text=True))["pairs"]
        notes = {pair["report"]: [(note["by"], note["lines"]) for note in pair["notes"]] for pair in pairs}
        assert notes == expected_notes


def test_r32_the_page_shows_a_kept_commitment_until_a_mail_mentions_it(company: WebCompany) -> None:
    """R-32: to open the page does not count as a mention; the mail does, and each commitment is mentioned once."""
    mention = "Sam has done what was promised: Draft one page on direction"
    sam, dana = company.visitor(SAM, Purpose.ME), company.visitor(DANA, Purpose.TEAM)
    assert mention not in text(dana.get(SAM_PAGE))
    assert "Dana has done what was promised" not in text(sam.get("/me"))  # a prompt has mentioned Dana's promise
    managers_kept_commitment = next(
        c for c in company.office.store.queries.list_commitments(PairId(DANA, SAM)) if not c.is_open
    )
    assert company.office.store.mentions.list_mentioned(Owner.REPORT, [managers_kept_commitment.id]) == {
        managers_kept_commitment.id
    }
    own_id = company.open_commitment_id("report")
    send_form(sam, "/me", f"/me/commitment/{own_id}/done")
    for _ in range(2):
        assert mention in text(dana.get(SAM_PAGE))
    assert "done: Draft one page on direction" in text(dana.get("/team"))
    assert company.office.store.mentions.list_mentioned(Owner.MANAGER, [own_id]) == set()
    company.office.run(50 * DAY)
    assert company.office.store.mentions.list_mentioned(Owner.MANAGER, [own_id]) == {own_id}
    assert mention not in text(company.visitor(DANA, Purpose.TEAM).get(SAM_PAGE))
