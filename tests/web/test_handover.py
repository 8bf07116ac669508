"""R-36: the report chooses what goes on to a new manager; the old one says what becomes of open promises."""

import json
import re

import pytest
from flask.testing import FlaskClient

from tests.support.companies import DANA, DAY, SAM, WEEK, contract, pair, texts
from tests.support.web_company import ALEX, LEE, SECRETS, WebCompany, hidden, send, text
from worker.domain.model import CommitmentStanding, EffectKind, Owner, PairId, SessionKind
from worker.links import Purpose
from worker.web.team import make_url_id

OLD, NEW = PairId(DANA, SAM), PairId(LEE, SAM)
#: Of the open promise below.
PROMISE = "Speak with Jordan about quillwort"


@pytest.fixture
def changed(company: WebCompany) -> WebCompany:
    """Sam has a new manager, Lee; Dana still owes Sam something from their last contract."""
    office = company.office
    office.worker.contracts.record(company.held_session().id, contract(office.clock(), PROMISE))
    office.run(DAY)
    change(company)
    return company


def change(company: WebCompany, *, dana_stays: bool = True) -> None:
    office = company.office
    office.pairs = {known: one for known, one in office.pairs.items() if known != OLD}
    office.pairs[NEW] = pair(LEE, SAM)
    if not dana_stays:
        office.persons = {email: one for email, one in office.persons.items() if email != DANA}
        office.pairs = {known: one for known, one in office.pairs.items() if DANA not in known.people}
    office.apply()
    office.tick()


def sent(company: WebCompany, name: str) -> list[str]:
    return [str(mail["To"]) for mail in company.office.mails(name)]


def line_id(client: FlaskClient, words: str) -> str:
    page = client.get("/me").get_data(as_text=True)
    found = re.search(rf'name="line" value="(\w+)"[^>]*> <span>[^<]*{words}', page)
    assert found, page
    return found[1]


def promise(company: WebCompany) -> str:
    return company.open_commitment_id("manager", DANA, SAM)


# --- what is told ---


def test_the_report_gets_one_kind_mail_and_the_old_manager_one_list(changed: WebCompany) -> None:
    """R-36, T-17."""
    office = changed.office
    office.run(4 * DAY)
    assert sent(changed, "new_manager") == [f"Sam Okafor <{SAM}>"]
    (mail,) = office.mails("new_manager")
    assert mail["Subject"] == "You have a new manager: Lee Haddad"
    assert PROMISE not in texts([mail]) and "If you do nothing, nothing goes on" in texts([mail])
    assert sent(changed, "open_promises") == [f"Dana Whitfield <{DANA}>"]
    assert PROMISE in texts(office.mails("open_promises"))
    assert sent(changed, "pair_ended") == []
    assert "https://longarc.corp.example/in/" in texts(office.mails("open_promises"))


def test_the_new_manager_s_prompt_does_not_repeat_the_old_one_s(changed: WebCompany) -> None:
    """T-5, R-35: never one text under two names."""
    office = changed.office
    before = [mail.number for mail in office.messages("reflection_prompt") if mail.to == SAM]
    office.run_to(next(s for s in changed.sessions(LEE, SAM) if s.booked).span.start)
    after = [mail.number for mail in office.messages("reflection_prompt") if mail.to == SAM][len(before) :]
    assert after == [(before[-1] + 1) % 3]


def test_nothing_passes_untouched(changed: WebCompany) -> None:
    """R-36: neither in the new manager's mails nor on any page of theirs."""
    office = changed.office
    office.run_to(next(s for s in changed.sessions(LEE, SAM) if s.booked).span.start)
    mails = [mail for mail in office.mailer.sent if LEE in str(mail[1]["To"])]
    assert any(mail.to == LEE and mail.pair == NEW for mail in office.messages("brief"))
    assert PROMISE not in texts([mail for _, mail in mails]) and SECRETS[SAM] not in texts([mail for _, mail in mails])
    client = changed.visitor(LEE, Purpose.TEAM)
    for where in ("/team", f"/team/person/{make_url_id(NEW)}", "/team/data"):
        answer = client.get(where).get_data(as_text=True)
        assert "quillwort" not in answer and "zephyrine" not in answer, where


def test_what_is_ticked_stands_in_the_first_brief_and_nothing_else(changed: WebCompany) -> None:
    """R-36."""
    office, client = changed.office, changed.visitor(SAM, Purpose.ME)
    before = changed.read_database()
    page = text(client.get("/me"))
    assert "What goes on to Lee" in page and PROMISE in page and "Draft one page on direction" in page
    assert changed.read_database() == before, "looking changes nothing"
    question = line_id(client, "What would make this")
    assert send(client, "/me", "/me/handover", line=question).status_code == 303
    assert f'value="{question}" checked' in client.get("/me").get_data(as_text=True)
    first = next(s for s in changed.sessions(LEE, SAM) if s.booked)
    office.run_to(first.span.start)
    (brief,) = [mail for key, mail in office.mailer.sent if key.startswith(f"brief:{first.id}")]
    assert "What Sam passed on to you" in texts([brief])
    assert "What would make this the right place" in texts([brief])
    assert PROMISE not in texts([brief]) and "Draft one page" not in texts([brief])
    person = text(changed.visitor(LEE, Purpose.TEAM).get(f"/team/person/{make_url_id(NEW)}"))
    assert "What would make this the right place" in person and PROMISE not in person


def test_notes_for_both_are_lines_too_and_go_on_only_when_ticked(company: WebCompany) -> None:
    """R-28, R-36: each line by itself, with whose note it is."""
    office, held = company.office, company.held_session()
    office.run_to(held.span.end + 9 * DAY)  # no contract came
    office.worker.notes.save(held.id, Owner.REPORT, ["Teaching gives me marigolds", "The night shifts do not"])
    office.worker.notes.save(held.id, Owner.MANAGER, ["Ask about primroses"])
    change(company)
    client = company.visitor(SAM, Purpose.ME)
    page = text(client.get("/me"))
    assert "Teaching gives me marigolds your note, after the conversation on Wednesday 14 October" in page
    assert "Ask about primroses Dana’s note, after the conversation on Wednesday 14 October" in page
    assert send(client, "/me", "/me/handover", line=line_id(client, "Teaching gives")).status_code == 303
    first = next(s for s in company.sessions(LEE, SAM) if s.booked)
    office.run_to(first.span.start)
    (brief,) = [mail for key, mail in office.mailer.sent if key.startswith(f"brief:{first.id}")]
    person = text(company.visitor(LEE, Purpose.TEAM).get(f"/team/person/{make_url_id(NEW)}"))
    for shown in (" ".join(texts([brief]).split()), person):
        assert "Teaching gives me marigolds" in shown and "Sam’s note, after the conversation on" in shown
        assert "night shifts" not in shown and "primroses" not in shown
    assert "marigolds" not in text(company.visitor(DANA, Purpose.TEAM).get("/team"))


def test_a_line_can_be_taken_back_and_added_until_the_first_session(changed: WebCompany) -> None:
    office, client = changed.office, changed.visitor(SAM, Purpose.ME)
    question, plan = line_id(client, "What would make this"), line_id(client, "Draft one page")
    send(client, "/me", "/me/handover", line=question)
    send(client, "/me", "/me/handover", line=plan)
    assert [line.text for line in office.store.handovers.load_content(OLD).lines] == ["Draft one page on direction"]
    token = hidden(client.get("/me"), "token")
    assert client.post("/me/handover", data={"token": token, "line": "no-such-line"}).status_code == 303
    assert office.store.handovers.load_content(OLD).lines == ()
    send(client, "/me", "/me/handover", line=plan)
    office.run_to(next(s for s in changed.sessions(LEE, SAM) if s.booked).span.end)
    late = changed.visitor(SAM, Purpose.ME)
    page = text(late.get("/me"))
    assert "What you passed on to Lee" in page and "What would make this" not in page
    assert send(late, "/me", "/me/handover", line=question).status_code == 409
    assert [line.text for line in office.store.handovers.load_content(OLD).lines] == ["Draft one page on direction"]


def test_who_has_no_new_manager_can_pass_nothing_on(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    assert "goes on to" not in text(client.get("/me"))
    assert send(client, "/me", "/me/handover", line="x").status_code == 404


# --- the old manager's promises ---


def decide(company: WebCompany, decision: str, commitment: str) -> int:
    client = company.visitor(DANA, Purpose.TEAM)
    return send(client, "/team", f"/team/promise/{commitment}/{decision}").status_code


def standing(company: WebCompany, commitment: str) -> CommitmentStanding:
    known = company.office.store.queries.get_commitment(commitment)
    assert known is not None
    return known.standing


def blocks(company: WebCompany, commitment: str) -> bool:
    return any(str(event.key).startswith(commitment) for event in company.office.events(DANA))


def test_a_promise_that_is_kept_stays_on_the_calendar(changed: WebCompany) -> None:
    """R-36."""
    mine = promise(changed)
    page = text(changed.visitor(DANA, Purpose.TEAM).get("/team"))
    assert "Your promises to Sam" in page and PROMISE in page
    assert blocks(changed, mine)
    assert decide(changed, "keep", mine) == 303
    changed.office.run(2 * DAY)
    assert standing(changed, mine) is CommitmentStanding.OPEN and blocks(changed, mine)
    assert "you keep it" in text(changed.visitor(DANA, Purpose.TEAM).get("/team"))
    assert decide(changed, "done", mine) == 303
    changed.office.tick()
    assert not blocks(changed, mine)
    assert "Your promises to Sam" not in text(changed.visitor(DANA, Purpose.TEAM).get("/team"))


def test_a_promise_handed_on_is_only_a_proposal_to_the_report(changed: WebCompany) -> None:
    """R-36: the new manager reads of it when the report passes it on."""
    mine = promise(changed)
    assert decide(changed, "offer", mine) == 303
    changed.office.tick()
    assert not blocks(changed, mine)
    client = changed.visitor(SAM, Purpose.ME)
    assert "Dana suggests that Lee takes this over" in text(client.get("/me"))
    lee = changed.visitor(LEE, Purpose.TEAM)
    where = f"/team/person/{make_url_id(NEW)}"
    assert PROMISE not in text(lee.get(where))
    send(client, "/me", "/me/handover", line=line_id(client, "Speak with Jordan"))
    assert "Dana suggests that you take this over" in text(lee.get(where))
    assert decide(changed, "end", mine) == 409, "it has ended already"


def test_a_promise_that_ends_is_told_to_the_report_on_the_page(changed: WebCompany) -> None:
    mine = promise(changed)
    assert decide(changed, "end", mine) == 303
    changed.office.tick()
    assert standing(changed, mine) is CommitmentStanding.LET_GO and not blocks(changed, mine)
    page = text(changed.visitor(SAM, Purpose.ME).get("/me"))
    assert "What Dana had promised you" in page and "let go on" in page


def test_nobody_decides_of_another_managers_promise_or_of_one_that_goes_on(changed: WebCompany) -> None:
    mine = promise(changed)
    lee = changed.visitor(LEE, Purpose.TEAM)
    assert send(lee, "/team", f"/team/promise/{mine}/end").status_code == 404
    theirs = changed.open_commitment_id("manager", LEE, ALEX)
    assert send(lee, "/team", f"/team/promise/{theirs}/end").status_code == 404
    assert decide(changed, "give", mine) == 404
    assert standing(changed, mine) is CommitmentStanding.OPEN


def test_t18_when_the_manager_left_promises_end_and_the_report_is_told(company: WebCompany) -> None:
    """T-18, T-17: in the mail about the new manager, whose words nobody else reads."""
    office = company.office
    office.worker.contracts.record(company.held_session().id, contract(office.clock(), PROMISE))
    office.run(DAY)
    mine = promise(company)
    change(company, dana_stays=False)
    assert standing(company, mine) is CommitmentStanding.OPEN
    office.run(4 * DAY)
    assert standing(company, mine) is CommitmentStanding.LET_GO
    (mail,) = [mail for mail in office.mails("new_manager") if SAM in str(mail["To"])]
    assert "no longer listed" in texts([mail]) and "has left" not in texts([mail])
    assert "a promise of Dana’s that was still open has ended" in " ".join(texts([mail]).split())
    assert PROMISE in text(company.visitor(SAM, Purpose.ME).get("/me"))


def test_a_manager_who_comes_back_takes_the_handover_back(changed: WebCompany) -> None:
    """A row that was missing by mistake: the two are a pair again, and nothing was lost."""
    office = changed.office
    office.pairs = {known: one for known, one in office.pairs.items() if known != NEW}
    office.pairs[OLD] = pair(DANA, SAM)
    office.apply()
    office.run(4 * DAY)
    assert sent(changed, "new_manager") == [] and sent(changed, "open_promises") == []
    assert office.store.handovers.find_outgoing(OLD) is None
    assert standing(changed, promise(changed)) is CommitmentStanding.OPEN


def test_a_new_manager_who_comes_weeks_later_is_told_of_then(company: WebCompany) -> None:
    office = company.office
    office.pairs = {known: one for known, one in office.pairs.items() if known != OLD}
    office.apply()
    office.run(3 * WEEK)
    ended = texts(office.mails("pair_ended"))
    assert "As soon as you have a new manager here" in ended
    office.pairs[NEW] = pair(LEE, SAM)
    office.apply()
    office.run(4 * DAY)
    assert sent(company, "new_manager") == [f"Sam Okafor <{SAM}>"]


def test_a_changed_address_keeps_the_handover(changed: WebCompany) -> None:
    """The rows about it are renamed with the person."""
    office, client = changed.office, changed.visitor(SAM, Purpose.ME)
    send(client, "/me", "/me/handover", line=line_id(client, "What would make this"))
    with office.store.database.write() as connection:
        from worker.store.renames import rename_people

        rename_people(office.store.database, connection, {LEE: "lee.haddad@corp.example"})
    renamed = PairId("lee.haddad@corp.example", SAM)
    incoming = office.store.handovers.find_incoming(renamed)
    assert incoming is not None and incoming.former_pair == OLD
    assert len(office.store.handovers.load_content(OLD).lines) == 1


def test_the_files_of_all_three_hold_what_is_theirs(changed: WebCompany) -> None:
    client = changed.visitor(SAM, Purpose.ME)
    send(client, "/me", "/me/handover", line=line_id(client, "What would make this"))
    own = json.loads(client.get("/me/data").get_data(as_text=True))
    by_manager = {one["manager"]: one for one in own["pairs"]}
    assert by_manager[LEE]["passed_on_by_the_report"][0]["kind"] == "question"
    assert by_manager[DANA]["contracts"] and not by_manager[LEE]["contracts"]
    new = changed.visitor(LEE, Purpose.TEAM).get("/team/data").get_data(as_text=True)
    assert "What would make this" in new and "quillwort" not in new
    old = changed.visitor(DANA, Purpose.TEAM).get("/team/data").get_data(as_text=True)
    assert "passed_on" not in old
    (kept,) = json.loads(old)["open_promises_to_former_reports"]
    assert (kept["report"], kept["text"]) == (SAM, PROMISE)
    assert decide(changed, "offer", promise(changed)) == 303
    own = json.loads(client.get("/me/data").get_data(as_text=True))
    (line,) = next(one for one in own["pairs"] if one["manager"] == LEE)["suggested_by_the_former_manager"]
    assert line["text"] == PROMISE
    new = changed.visitor(LEE, Purpose.TEAM).get("/team/data").get_data(as_text=True)
    assert "quillwort" not in new and "former" not in new


def test_no_session_of_the_old_pair_stays(changed: WebCompany) -> None:
    changed.office.run(DAY)
    open_sessions = [s for s in changed.office.store.queries.list_sessions(OLD) if s.booked or s.owed]
    assert open_sessions == []
    assert {e.kind for e in changed.office.messages() if e.pair == OLD} >= {EffectKind.CANCEL}
    assert changed.office.session(SessionKind.CAREER, NEW)
