"""R-36: the report chooses what a new manager may read; the former manager decides about open promises."""

import json
import re

import pytest
from flask.testing import FlaskClient

from tests.support.companies import BASE_URL, DANA, DAY, SAM, WEEK, contract, pair, texts
from tests.support.web_company import ALEX, LEE, SECRETS, WebCompany, hidden_value, send_form, text
from worker.domain.model import CommitmentStanding, EffectKind, Owner, PairId, SessionKind
from worker.domain.planning.preparations import PROMPT_VARIANTS
from worker.links import Purpose
from worker.store.renames import rename_people
from worker.web.team import make_url_id

FORMER_PAIR, NEW_PAIR = PairId(DANA, SAM), PairId(LEE, SAM)
#: The text of Dana's open promise to Sam, and a word that stands in no other text.
PROMISE, PROMISE_WORD = "Speak with Jordan about quillwort", "quillwort"
#: Such a word of an older promise, SECRETS[SAM].
OLDER_PROMISE_WORD = "zephyrine"
#: The report's commitment and the open question of Sam's contract with Dana: see `companies.contract`.
SAMS_PLAN, OPEN_QUESTION = "Draft one page on direction", "What would make this the right place"


@pytest.fixture
def handover_company(company: WebCompany) -> WebCompany:
    """The company after Sam got a new manager, Lee. Dana still has an open promise to Sam."""
    office = company.office
    office.worker.contracts.record(company.held_session().id, contract(office.clock(), PROMISE))
    office.run(DAY)
    change_manager(company)
    return company


def change_manager(company: WebCompany, *, dana_stays: bool = True) -> None:
    """Make Lee the manager of Sam; without `dana_stays`, Dana leaves the company."""
    office = company.office
    office.pairs = {pair_id: known_pair for pair_id, known_pair in office.pairs.items() if pair_id != FORMER_PAIR}
    office.pairs[NEW_PAIR] = pair(LEE, SAM)
    if not dana_stays:
        office.persons = {address: person for address, person in office.persons.items() if address != DANA}
        office.pairs = {
            pair_id: known_pair for pair_id, known_pair in office.pairs.items() if DANA not in pair_id.people
        }
    office.apply()
    office.tick()


def list_recipients(company: WebCompany, name: str) -> list[str]:
    """Return the recipients of all mails of that name."""
    return [str(mail["To"]) for mail in company.office.mails(name)]


def find_line_id(client: FlaskClient, words: str) -> str:
    """Return the id of the line on the report's page that contains these words, and that the report may pass on."""
    page = client.get("/me").get_data(as_text=True)
    match = re.search(rf'name="line" value="(\w+)"[^>]*> <span>[^<]*{words}', page)
    assert match, page
    return match[1]


def find_promise_id(company: WebCompany) -> str:
    """Return the id of Dana's open promise to Sam."""
    return company.open_commitment_id("manager", DANA, SAM)


# --- mails, and the choice of the report ---


def test_r36_t17_the_report_and_the_former_manager_get_one_mail_each(handover_company: WebCompany) -> None:
    """R-36, T-17: the report's mail says that nothing is passed on without a choice; the manager's lists promises."""
    office = handover_company.office
    office.run(4 * DAY)
    assert list_recipients(handover_company, "new_manager") == [f"Sam Okafor <{SAM}>"]
    (mail,) = office.mails("new_manager")
    assert mail["Subject"] == "You have a new manager: Lee Haddad"
    assert PROMISE not in texts([mail]) and "If you do nothing, nothing goes on" in texts([mail])
    assert list_recipients(handover_company, "open_promises") == [f"Dana Whitfield <{DANA}>"]
    assert PROMISE in texts(office.mails("open_promises"))
    assert list_recipients(handover_company, "pair_ended") == []  # the two mails take its place
    assert f"{BASE_URL}/in/" in texts(office.mails("open_promises"))


def test_t5_r35_the_prompts_continue_their_rotation_with_a_new_manager(handover_company: WebCompany) -> None:
    """T-5, R-35: the first prompt with the new manager is the one after the last prompt with the former manager."""
    office = handover_company.office
    former_numbers = [mail.number for mail in office.effects("reflection_prompt") if mail.to == SAM]
    office.run_to(next(s for s in handover_company.sessions(LEE, SAM) if s.booked).span.start)
    new_numbers = [mail.number for mail in office.effects("reflection_prompt") if mail.to == SAM][len(former_numbers) :]
    assert new_numbers == [(former_numbers[-1] + 1) % PROMPT_VARIANTS]


def test_r36_without_a_choice_of_the_report_nothing_reaches_the_new_manager(handover_company: WebCompany) -> None:
    """R-36: no content of the former pair is in the mails or on the pages of the new manager."""
    office = handover_company.office
    office.run_to(next(s for s in handover_company.sessions(LEE, SAM) if s.booked).span.start)
    mails = [mail for mail in office.mails() if LEE in str(mail["To"])]
    assert any(mail.to == LEE and mail.pair == NEW_PAIR for mail in office.effects("brief"))
    assert PROMISE not in texts(mails) and SECRETS[SAM] not in texts(mails)
    client = handover_company.visitor(LEE, Purpose.TEAM)
    for path in ("/team", f"/team/person/{make_url_id(NEW_PAIR)}", "/team/data"):
        answer = client.get(path).get_data(as_text=True)
        assert PROMISE_WORD not in answer and OLDER_PROMISE_WORD not in answer, path


def test_r36_the_first_brief_has_only_the_lines_that_the_report_chose(handover_company: WebCompany) -> None:
    """R-36: the new manager's page about the report shows the same lines."""
    office, client = handover_company.office, handover_company.visitor(SAM, Purpose.ME)
    before = handover_company.read_database()
    page = text(client.get("/me"))
    assert "What goes on to Lee" in page and PROMISE in page and SAMS_PLAN in page
    assert handover_company.read_database() == before, "opening the page changed something"
    question_id = find_line_id(client, OPEN_QUESTION)
    assert send_form(client, "/me", "/me/handover", line=question_id).status_code == 303
    assert f'value="{question_id}" checked' in client.get("/me").get_data(as_text=True)
    first_session = next(s for s in handover_company.sessions(LEE, SAM) if s.booked)
    office.run_to(first_session.span.start)
    (brief,) = [mail for key, mail in office.mailer.sent if key.startswith(f"brief:{first_session.id}")]
    assert "What Sam passed on to you" in texts([brief])
    assert OPEN_QUESTION in texts([brief])
    assert PROMISE not in texts([brief]) and SAMS_PLAN not in texts([brief])
    person_page = text(handover_company.visitor(LEE, Purpose.TEAM).get(f"/team/person/{make_url_id(NEW_PAIR)}"))
    assert OPEN_QUESTION in person_page and PROMISE not in person_page


def test_r28_r36_a_note_is_passed_on_only_when_the_report_chose_it(company: WebCompany) -> None:
    """R-28, R-36: each line of a note is chosen by itself, and is shown with its author."""
    office, session = company.office, company.held_session()
    office.run_to(session.span.end + 9 * DAY)  # until the session is unfinished, so that notes belong to it
    office.worker.notes.save(session.id, Owner.REPORT, ["Teaching gives me marigolds", "The night shifts do not"])
    office.worker.notes.save(session.id, Owner.MANAGER, ["Ask about primroses"])
    change_manager(company)
    client = company.visitor(SAM, Purpose.ME)
    page = text(client.get("/me"))
    assert "Teaching gives me marigolds your note, after the conversation on Wednesday 14 October" in page
    assert "Ask about primroses Dana’s note, after the conversation on Wednesday 14 October" in page
    assert send_form(client, "/me", "/me/handover", line=find_line_id(client, "Teaching gives")).status_code == 303
    first_session = next(s for s in company.sessions(LEE, SAM) if s.booked)
    office.run_to(first_session.span.start)
    (brief,) = [mail for key, mail in office.mailer.sent if key.startswith(f"brief:{first_session.id}")]
    person_page = text(company.visitor(LEE, Purpose.TEAM).get(f"/team/person/{make_url_id(NEW_PAIR)}"))
    for place in (" ".join(texts([brief]).split()), person_page):
        assert "Teaching gives me marigolds" in place and "Sam’s note, after the conversation on" in place
        assert "night shifts" not in place and "primroses" not in place
    assert "marigolds" not in text(company.visitor(DANA, Purpose.TEAM).get("/team"))


def test_the_report_can_change_the_choice_until_the_first_session(handover_company: WebCompany) -> None:
    office, client = handover_company.office, handover_company.visitor(SAM, Purpose.ME)
    question_id, plan_id = find_line_id(client, OPEN_QUESTION), find_line_id(client, SAMS_PLAN)
    send_form(client, "/me", "/me/handover", line=question_id)
    send_form(client, "/me", "/me/handover", line=plan_id)
    assert [line.text for line in office.store.handovers.load_content(FORMER_PAIR).lines] == [SAMS_PLAN]
    token = hidden_value(client.get("/me"), "token")
    assert client.post("/me/handover", data={"token": token, "line": "no-such-line"}).status_code == 303
    assert office.store.handovers.load_content(FORMER_PAIR).lines == ()
    send_form(client, "/me", "/me/handover", line=plan_id)
    office.run_to(next(s for s in handover_company.sessions(LEE, SAM) if s.booked).span.end)
    later_client = handover_company.visitor(SAM, Purpose.ME)
    page = text(later_client.get("/me"))
    assert "What you passed on to Lee" in page and OPEN_QUESTION not in page
    assert send_form(later_client, "/me", "/me/handover", line=question_id).status_code == 409
    assert [line.text for line in office.store.handovers.load_content(FORMER_PAIR).lines] == [SAMS_PLAN]


def test_a_report_without_a_new_manager_can_pass_nothing_on(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    assert "goes on to" not in text(client.get("/me"))
    assert send_form(client, "/me", "/me/handover", line="x").status_code == 404


# --- the former manager's promises ---


def decide(company: WebCompany, decision: str, commitment_id: str) -> int:
    """Send Dana's decision about an open promise, and return the status of the answer."""
    client = company.visitor(DANA, Purpose.TEAM)
    return send_form(client, "/team", f"/team/promise/{commitment_id}/{decision}").status_code


def get_standing(company: WebCompany, commitment_id: str) -> CommitmentStanding:
    loaded = company.office.store.queries.get_commitment(commitment_id)
    assert loaded is not None
    return loaded.standing


def has_block(company: WebCompany, commitment_id: str) -> bool:
    """Return whether Dana's calendar has the event for the commitment."""
    return any(str(event.key).startswith(commitment_id) for event in company.office.events(DANA))


def test_r36_the_block_of_a_promise_that_the_former_manager_keeps_stays(handover_company: WebCompany) -> None:
    """R-36: the block stays until the promise is done."""
    promise_id = find_promise_id(handover_company)
    page = text(handover_company.visitor(DANA, Purpose.TEAM).get("/team"))
    assert "Your promises to Sam" in page and PROMISE in page
    assert has_block(handover_company, promise_id)
    assert decide(handover_company, "keep", promise_id) == 303
    handover_company.office.run(2 * DAY)
    assert get_standing(handover_company, promise_id) is CommitmentStanding.OPEN and has_block(
        handover_company, promise_id
    )
    assert "you keep it" in text(handover_company.visitor(DANA, Purpose.TEAM).get("/team"))
    assert decide(handover_company, "done", promise_id) == 303
    handover_company.office.tick()
    assert not has_block(handover_company, promise_id)
    assert "Your promises to Sam" not in text(handover_company.visitor(DANA, Purpose.TEAM).get("/team"))


def test_r36_a_promise_offered_to_the_new_manager_needs_the_reports_choice(handover_company: WebCompany) -> None:
    """R-36: the new manager can read the promise only after the report passed it on."""
    promise_id = find_promise_id(handover_company)
    assert decide(handover_company, "offer", promise_id) == 303
    handover_company.office.tick()
    assert not has_block(handover_company, promise_id)
    client = handover_company.visitor(SAM, Purpose.ME)
    assert "Dana suggests that Lee takes this over" in text(client.get("/me"))
    lee = handover_company.visitor(LEE, Purpose.TEAM)
    path = f"/team/person/{make_url_id(NEW_PAIR)}"
    assert PROMISE not in text(lee.get(path))
    send_form(client, "/me", "/me/handover", line=find_line_id(client, PROMISE))
    assert "Dana suggests that you take this over" in text(lee.get(path))
    assert decide(handover_company, "end", promise_id) == 409  # the promise has ended already


def test_the_reports_page_shows_a_promise_that_the_former_manager_ended(handover_company: WebCompany) -> None:
    promise_id = find_promise_id(handover_company)
    assert decide(handover_company, "end", promise_id) == 303
    handover_company.office.tick()
    assert get_standing(handover_company, promise_id) is CommitmentStanding.LET_GO and not has_block(
        handover_company, promise_id
    )
    page = text(handover_company.visitor(SAM, Purpose.ME).get("/me"))
    assert "What Dana had promised you" in page and "let go on" in page


def test_a_manager_decides_only_about_own_promises_of_ended_pairs(handover_company: WebCompany) -> None:
    promise_id = find_promise_id(handover_company)
    lee = handover_company.visitor(LEE, Purpose.TEAM)
    assert send_form(lee, "/team", f"/team/promise/{promise_id}/end").status_code == 404
    current_promise_id = handover_company.open_commitment_id("manager", LEE, ALEX)
    assert send_form(lee, "/team", f"/team/promise/{current_promise_id}/end").status_code == 404
    assert decide(handover_company, "no-such-decision", promise_id) == 404
    assert get_standing(handover_company, promise_id) is CommitmentStanding.OPEN


def test_t18_promises_end_when_the_manager_leaves_and_the_mail_mentions_it(company: WebCompany) -> None:
    """T-18, T-17: promises end within days. The mail about the new manager says so; the report's page has the text."""
    office = company.office
    office.worker.contracts.record(company.held_session().id, contract(office.clock(), PROMISE))
    office.run(DAY)
    promise_id = find_promise_id(company)
    change_manager(company, dana_stays=False)
    assert get_standing(company, promise_id) is CommitmentStanding.OPEN  # the row may be missing by mistake
    office.run(4 * DAY)
    assert get_standing(company, promise_id) is CommitmentStanding.LET_GO
    (mail,) = [mail for mail in office.mails("new_manager") if SAM in str(mail["To"])]
    assert "no longer listed" in texts([mail]) and "has left" not in texts([mail])
    assert "a promise of Dana’s that was still open has ended" in " ".join(texts([mail]).split())
    assert PROMISE in text(company.visitor(SAM, Purpose.ME).get("/me"))


def test_the_handover_is_withdrawn_when_the_former_manager_returns(handover_company: WebCompany) -> None:
    """This happens when a row was missing by mistake. Nobody gets a mail, and the promise is still open."""
    office = handover_company.office
    office.pairs = {pair_id: known_pair for pair_id, known_pair in office.pairs.items() if pair_id != NEW_PAIR}
    office.pairs[FORMER_PAIR] = pair(DANA, SAM)
    office.apply()
    office.run(4 * DAY)
    assert (
        list_recipients(handover_company, "new_manager") == []
        and list_recipients(handover_company, "open_promises") == []
    )
    assert office.store.handovers.find_outgoing(FORMER_PAIR) is None
    assert get_standing(handover_company, find_promise_id(handover_company)) is CommitmentStanding.OPEN


def test_a_new_manager_is_announced_also_weeks_after_the_pair_ended(company: WebCompany) -> None:
    office = company.office
    office.pairs = {pair_id: known_pair for pair_id, known_pair in office.pairs.items() if pair_id != FORMER_PAIR}
    office.apply()
    office.run(3 * WEEK)
    end_mails = texts(office.mails("pair_ended"))
    assert "As soon as you have a new manager here" in end_mails
    office.pairs[NEW_PAIR] = pair(LEE, SAM)
    office.apply()
    office.run(4 * DAY)
    assert list_recipients(company, "new_manager") == [f"Sam Okafor <{SAM}>"]


def test_the_handover_survives_a_new_address_of_the_manager(handover_company: WebCompany) -> None:
    office, client = handover_company.office, handover_company.visitor(SAM, Purpose.ME)
    send_form(client, "/me", "/me/handover", line=find_line_id(client, OPEN_QUESTION))
    with office.store.database.write() as connection:
        rename_people(office.store.database, connection, {LEE: "lee.haddad@corp.example"})
    renamed_pair = PairId("lee.haddad@corp.example", SAM)
    incoming = office.store.handovers.find_incoming(renamed_pair)
    assert incoming is not None and incoming.former_pair == FORMER_PAIR
    assert len(office.store.handovers.load_content(FORMER_PAIR).lines) == 1


def test_the_file_of_each_of_the_three_has_only_their_part_of_the_handover(handover_company: WebCompany) -> None:
    client = handover_company.visitor(SAM, Purpose.ME)
    send_form(client, "/me", "/me/handover", line=find_line_id(client, OPEN_QUESTION))
    reports_file = json.loads(client.get("/me/data").get_data(as_text=True))
    by_manager = {pair_in_file["manager"]: pair_in_file for pair_in_file in reports_file["pairs"]}
    assert by_manager[LEE]["passed_on_by_the_report"][0]["kind"] == "question"
    assert by_manager[DANA]["contracts"] and not by_manager[LEE]["contracts"]
    new_managers_file = handover_company.visitor(LEE, Purpose.TEAM).get("/team/data").get_data(as_text=True)
    assert OPEN_QUESTION in new_managers_file and PROMISE_WORD not in new_managers_file
    former_managers_file = handover_company.visitor(DANA, Purpose.TEAM).get("/team/data").get_data(as_text=True)
    assert "passed_on" not in former_managers_file
    (open_promise,) = json.loads(former_managers_file)["open_promises_to_former_reports"]
    assert (open_promise["report"], open_promise["text"]) == (SAM, PROMISE)
    assert decide(handover_company, "offer", find_promise_id(handover_company)) == 303
    reports_file = json.loads(client.get("/me/data").get_data(as_text=True))
    (line,) = next(pair_in_file for pair_in_file in reports_file["pairs"] if pair_in_file["manager"] == LEE)[
        "suggested_by_the_former_manager"
    ]
    assert line["text"] == PROMISE
    new_managers_file = handover_company.visitor(LEE, Purpose.TEAM).get("/team/data").get_data(as_text=True)
    assert PROMISE_WORD not in new_managers_file and "former" not in new_managers_file


def test_the_sessions_of_the_former_pair_are_cancelled(handover_company: WebCompany) -> None:
    handover_company.office.run(DAY)
    open_sessions = [s for s in handover_company.office.store.queries.list_sessions(FORMER_PAIR) if s.booked or s.owed]
    assert open_sessions == []
    assert {effect.kind for effect in handover_company.office.effects() if effect.pair == FORMER_PAIR} >= {
        EffectKind.CANCEL
    }
    assert handover_company.office.session(SessionKind.CAREER, NEW_PAIR)
