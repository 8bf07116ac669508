"""Writing a contract down: kept while it is written, seen before it is sent, changed when things change."""

import re
import sqlite3
from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.support.companies import DANA, KIM, SAM, texts
from tests.support.web_company import FILLED, LEE, SECRETS, WebCompany, fill, hidden, send, send_fields, text
from worker.domain.model import Contract, ReviewPoint, SessionState, WrittenCommitment
from worker.errors import Overtaken
from worker.links import Purpose
from worker.web.contract_form import ContractForm


def test_it_is_written_seen_and_sent(company: WebCompany) -> None:
    """R-14, R-15: four parts; what was previewed is what both receive."""
    client, page = company.open_contract_form()
    session = company.held_session().id
    opened = client.get(page)
    assert "Write it down short and plain" in text(opened) and "Please by" in text(opened)
    answer = fill(client, page)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/contract/{session}/preview")
    preview = client.get(answer.headers["Location"])
    shown = text(client.get(f"/contract/{session}/mail/report"))
    answer = client.post(f"/contract/{session}/send", data={n: hidden(preview, n) for n in ("token", "version")})
    assert answer.headers["Location"] == f"/contract/{session}?said=sent"
    assert "Recorded. Both of you" in text(client.get(answer.headers["Location"]))
    (recorded,) = company.office.store.content.list_revisions(session)
    assert recorded.contract == Contract(
        report=(WrittenCommitment(text="Draft one page on direction", due=date(2026, 12, 1)),),
        manager=(WrittenCommitment(text="Introduce Sam to Priya", due=date(2026, 10, 20), support="Jordan"),),
        reviews=(ReviewPoint(month=date(2026, 11, 1), text="how the first review went"),),
        question="What next?",
        progress=("Ran the incident review",),
    )
    assert company.office.store.content.get_contract_draft(session) is None
    company.office.tick()
    mails = [mail for mail in company.office.mails("contract_summary") if mail["To"] and SAM in str(mail["To"])]
    body = mails[-1].get_body(("html",))
    assert body is not None
    sent = re.sub(r"<[^>]+>", " ", re.sub(r"<(style|title)\b.*?</\1>", "", body.get_content(), flags=re.DOTALL))
    assert " ".join(sent.replace("&#39;", "'").split()) == shown


def test_pressed_twice_it_is_recorded_once(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fill(client, page)
    preview = client.get(page.replace("write", "preview"))
    known = {name: hidden(preview, name) for name in ("token", "version")}
    where = page.replace("write", "send")
    assert [client.post(where, data=known).status_code for _ in range(2)] == [303, 303]
    assert len(company.office.store.content.list_revisions(page.split("/")[2])) == 1


def test_what_is_typed_survives_a_closed_tab(company: WebCompany) -> None:
    """Half a date and an empty line too; it is sealed, and nobody is told of it."""
    client, page = company.open_contract_form()
    fill(client, page, "keep", **{"manager-0-due": "2026-1", "manager-1-text": "zephyrine"})
    again = company.visitor(DANA, Purpose.CONTRACT, company.held_session().id).get(page).get_data(as_text=True)
    assert all(one in again for one in ("zephyrine", 'value="2026-1"', "What next?", "Ran the incident review"))
    kept = company.read_database()["sketch"]
    assert len(kept) == 1 and "zephyrine" not in repr(kept)
    company.office.tick()
    assert "zephyrine" not in texts(company.office.mails())
    assert company.held_session().state is SessionState.HELD


def test_lines_come_and_go_without_script(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    answer = fill(client, page, "add-manager")
    assert answer.headers["Location"].endswith("#manager")
    assert client.get(page).get_data(as_text=True).count('name="manager-1-text"') == 1
    fill(client, page, "drop-manager-0", **{"manager-1-text": "Ask Jordan", "manager-1-due": "2026-11-02"})
    form = client.get(page).get_data(as_text=True)
    assert "Ask Jordan" in form and "Introduce Sam to Priya" not in form
    for nonsense in ("add-nothing", "drop-manager-77", "drop-manager-x", "", "x" * 500):
        assert fill(client, page, nonsense).status_code == 303


def test_r31_a_promise_of_feedback_gets_a_hint_beside_the_line(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    told = text(
        client.get(fill(client, page, **{"manager-0-text": "Give Sam feedback on the talk"}).headers["Location"])
    )
    assert "Say what was done, what it led to, and what to try next" in told


def test_a_script_keeps_it_quietly_and_hears_what_is_asked(company: WebCompany) -> None:
    """R-16: the questions stand beside the line."""
    client, page = company.open_contract_form()
    opened = client.get(page)
    fields = {**FILLED, "manager-0-text": "Get Sam promoted soon", "version": "0", "after": "0"}
    data = {"token": hidden(opened, "token"), "do": "keep", **fields}
    answer = client.post(page, data=data, headers={"Accept": "application/json"})
    assert answer.json is not None
    assert answer.json["version"] == 1 and "Draft kept" in answer.json["kept"]
    questions = answer.json["asked"]["manager-0"]
    assert len(questions) == 2 and "“soon” leaves open" in questions[0]["what"]
    assert "the outcome is not mine" in questions[1]["better"]
    assert "It promises an outcome that others decide." in text(client.get(page))


def test_two_windows_do_not_write_over_each_other(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fill(client, page, "keep")
    fill(client, page, "keep", version="1", question="First window")
    stale = fill(client, page, "keep", version="1", question="Second window")
    assert stale.status_code == 409
    assert "changed in another window" in text(stale) and "Second window" in stale.get_data(as_text=True)
    assert "First window" in client.get(page).get_data(as_text=True)
    known = {name: hidden(stale, name) for name in ("token", "version", "after")}
    client.post(page, data={**known, "do": "keep", "question": "Second window"})
    assert "Second window" in client.get(page).get_data(as_text=True)
    quiet = client.post(page, data={**known, "do": "keep"}, headers={"Accept": "application/json"})
    assert quiet.status_code == 409 and quiet.json is not None and "another window" in quiet.json["problem"]


@pytest.mark.parametrize(
    ("fields", "where", "what"),
    [
        ({"manager-0-due": ""}, "manager-0-due", "Say by which day."),
        ({"manager-0-due": "2026-02-31"}, "manager-0-due", "There is no such day."),
        ({"manager-0-due": "2062-10-20"}, "manager-0-due", "That is too long ago or too far ahead."),
        ({"reviews-0-month": "2016-11"}, "reviews-0-month", "That is too long ago or too far ahead."),
        ({"manager-0-due": "20261020"}, "", ""),
        ({"report-0-text": ""}, "report-0-text", "Write what will be done, or remove this line."),
        ({"reviews-0-month": "November"}, "reviews-0-month", "Say in which month, as 2027-02."),
        ({"reviews-0-text": " "}, "reviews-0-text", "Write what the two of you will look at again."),
        ({"progress-0-text": "x" * 700}, "progress-0-text", "This is long for a contract."),
        ({f"manager-{n}-text": f"Ask {n}" for n in range(35)}, "", "These are many lines for a contract."),
        (dict.fromkeys(FILLED, ""), "", "Nothing is written yet."),
    ],
)
def test_what_is_missing_is_told_beside_its_field(
    company: WebCompany, fields: dict[str, str], where: str, what: str
) -> None:
    """Everything at once, what was typed still there, nothing sent."""
    client, page = company.open_contract_form()
    answer = fill(client, page, **fields)
    if not what:
        assert answer.status_code == 303
        return
    assert answer.status_code == 422 and what in text(answer)
    html = answer.get_data(as_text=True)
    if where:
        assert f'id="{where}-wrong"' in html and f'aria-describedby="{where}-wrong"' in html
        assert f'href="#{where}"' in html and f'id="{where}"' in html
    sends = client.post(page.replace("write", "send"), data={n: hidden(answer, n) for n in ("token", "version")})
    assert sends.status_code == 422
    assert company.office.store.content.list_revisions(page.split("/")[2]) == []


def test_last_times_contract_stands_beside_it_own_commitments_first(company: WebCompany) -> None:
    """R-12, R-20."""
    client, page = company.open_contract_form()
    beside = text(client.get(page)).partition("Last time")[2]
    assert beside.index("Your commitments") < beside.index("Sam’s commitments")
    assert "zephyrine" in beside and "done on" in beside and "not done yet" in beside


def test_words_are_shown_as_words(company: WebCompany) -> None:
    """What somebody types is never taken for a part of the page."""
    client, page = company.open_contract_form()
    mean = "<b>Ask</b> \"&' {{ 7 * 7 }} by 2026"
    answer = fill(client, page, **{"manager-0-text": mean, "question": mean + "\x00\r\nsecond\u2028line"})
    assert answer.status_code == 303
    for where in (page, answer.headers["Location"], answer.headers["Location"].replace("preview", "mail/manager")):
        html = client.get(where).get_data(as_text=True)
        assert "<b>Ask" not in html and "49" not in text(client.get(where)).partition("Ask")[2][:40]


# --- later ---


def test_changing_it_makes_a_revision_with_its_difference_shown(company: WebCompany) -> None:
    """R-18: to the manager before it is sent, and to both afterwards."""
    session = company.contracted_session().id
    client, page = company.visitor(DANA, Purpose.CONTRACT, session), f"/contract/{session}/write"
    assert SECRETS[SAM] in client.get(page).get_data(as_text=True)
    changed = {"manager-0-text": SECRETS[SAM], "manager-0-due": "2026-12-15", "report-0-text": "Lead the review"}
    assert fill(client, page, **changed).status_code == 303
    preview = client.get(page.replace("write", "preview"))
    assert "What is different now" in text(preview) and "New for Sam: Lead the review" in text(preview)
    send(client, page.replace("write", "preview"), page.replace("write", "send"), version="1")
    for told in (client.get(f"/contract/{session}"), company.visitor(SAM, Purpose.ME).get("/me")):
        assert "What the newest version changed" in text(told) and "New for Sam: Lead the review" in text(told)
    company.office.tick()
    assert "Lead the review" in texts(company.office.mails("contract_summary"))


def test_r18_what_says_the_same_is_no_new_revision(company: WebCompany) -> None:
    """Neither the contract sent again as it was, nor a commitment changed into itself: nobody gets a mail for it."""
    session, one = company.contracted_session(), company.open_commitment_id("report")
    client, page = company.visitor(DANA, Purpose.CONTRACT, session.id), f"/contract/{session.id}"
    (recorded,) = company.office.store.content.list_revisions(session.id)
    form = ContractForm.from_contract(recorded.contract, 1)
    version = company.office.store.content.save_contract_draft(session.id, form.to_draft(), company.office.clock())
    sent = send(client, f"{page}/preview", f"{page}/send", version=str(version))
    promise = recorded.contract.report[0]
    changed = send(client, page, f"{page}/commitment/{one}/change", text=promise.text, due=f"{promise.due}")
    for answer in (sent, changed):
        assert "Nothing was changed, and nobody gets a mail." in text(client.get(answer.headers["Location"]))
    assert company.office.store.content.list_revisions(session.id) == [recorded]
    assert company.office.store.content.get_contract_draft(session.id) is None
    company.office.tick()
    assert len(company.office.mails("contract_summary")) == 0


def test_an_amendment_overtaken_by_another_loses_nothing_and_is_looked_at_again(company: WebCompany) -> None:
    """The report lets a commitment go while the manager is writing."""
    session = company.contracted_session().id
    client, page = company.visitor(DANA, Purpose.CONTRACT, session), f"/contract/{session}/write"
    fill(client, page, "keep", question="Typed by Dana")
    company.office.worker.contracts.let_go(company.open_commitment_id("report"))
    sends = send(client, page.replace("write", "preview"), page.replace("write", "send"), version="1")
    assert sends.status_code == 409 and "One of you changed the contract" in text(sends)
    assert "Typed by Dana" in sends.get_data(as_text=True)
    assert len(company.office.store.content.list_revisions(session)) == 2
    assert send(client, page.replace("write", "preview"), page.replace("write", "send"), version="2").status_code == 303
    assert company.office.store.content.list_revisions(session)[-1].contract.question == "Typed by Dana"
    assert company.office.store.content.get_contract_draft(session) is None


def test_of_two_recorded_at_once_one_is_refused(company: WebCompany) -> None:
    """The one that was written looking at an older revision."""
    session, contracts = company.contracted_session().id, company.office.worker.contracts
    agreed = company.office.store.content.list_revisions(session)[-1].contract
    contracts.record(session, replace(agreed, question="First"), base_revision=1)
    with pytest.raises(Overtaken):
        contracts.record(session, replace(agreed, question="Second"), base_revision=1)
    assert company.office.store.content.list_revisions(session)[-1].contract.question == "First"


@pytest.mark.parametrize(("deed", "standing"), [("done", "done"), ("let-go", "let_go"), ("change", "open")])
def test_a_commitment_is_done_changed_or_let_go(company: WebCompany, deed: str, standing: str) -> None:
    session, one = company.contracted_session(DANA, KIM).id, company.open_commitment_id("manager", DANA, KIM)
    client = company.visitor(DANA, Purpose.CONTRACT, session)
    fields = {"text": SECRETS[KIM], "due": "2026-12-24", "reason": "Plans change"}
    answer = send(client, f"/contract/{session}", f"/contract/{session}/commitment/{one}/{deed}", **fields)
    assert answer.status_code == 303
    found = company.office.store.queries.get_commitment(one)
    assert found is not None
    assert found.standing == standing
    assert (found.due == date(2026, 12, 24)) == (deed == "change")
    assert client.get(answer.headers["Location"]).status_code == 200


def test_a_commitment_is_let_go_in_the_contract_and_on_the_list_or_in_neither(company: WebCompany) -> None:
    """When the new revision can't be written, nothing is."""
    one, before = company.open_commitment_id("report"), company.read_database()
    with company.office.store.database.write() as connection:
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON contract BEGIN SELECT RAISE(ABORT, ''); END")
    with pytest.raises(sqlite3.IntegrityError):
        company.office.worker.contracts.let_go(one)
    assert company.read_database() == before


def test_a_long_promise_from_a_file_gets_another_day_without_losing_a_word(company: WebCompany) -> None:
    session, one, long = (
        company.contracted_session().id,
        company.open_commitment_id("report"),
        "Ask " + "and ask " * 240,
    )
    company.office.worker.contracts.change(one, text=long.strip())
    client, where = company.visitor(DANA, Purpose.CONTRACT, session), f"/contract/{session}"
    for text_, kept in ((long, long.strip()), (long * 2, long.strip())):
        send(client, where, f"{where}/commitment/{one}/change", text=text_, due="2026-12-24")
        (promise,) = company.office.store.content.list_revisions(session)[-1].contract.report
        assert (promise.text, promise.due) == (kept, date(2026, 12, 24))


@pytest.mark.parametrize("due", ["soon", "2062-12-01", "2016-12-01"])
def test_a_change_without_a_day_of_these_years_is_told_beside_the_field(company: WebCompany, due: str) -> None:
    session, one = company.contracted_session().id, company.open_commitment_id("report")
    client = company.visitor(DANA, Purpose.CONTRACT, session)
    answer = send(client, f"/contract/{session}", f"/contract/{session}/commitment/{one}/change", text="x", due=due)
    page = client.get(answer.headers["Location"]).get_data(as_text=True)
    assert f'id="{one}-wrong"' in page and f'aria-describedby="{one}-wrong"' in page


def test_we_did_not_meet(company: WebCompany) -> None:
    """R-8: it is owed, and gets another time."""
    client, page = company.open_contract_form()
    session = company.held_session().id
    assert send(client, page, f"/contract/{session}/not-met").status_code == 303
    found = company.office.store.queries.get_session(session)
    assert found is not None and found.state is SessionState.DEFERRED
    company.office.tick()
    found = company.office.store.queries.get_session(session)
    assert found is not None and found.booked
    assert "When you have met" in text(client.get(f"/contract/{session}"))


def test_we_did_not_meet_pressed_twice_says_that_it_is_recorded(company: WebCompany) -> None:
    """R-8: before the program has found another time, and after."""
    client, page = company.open_contract_form()
    session, count = company.held_session().id, company.held_session().count
    token = hidden(client.get(page), "token")
    client.post(f"/contract/{session}/not-met", data={"token": token})
    for _ in range(2):
        answer = client.post(f"/contract/{session}/not-met", data={"token": token})
        assert "That is recorded already: you did not meet." in text(client.get(answer.headers["Location"]))
        company.office.tick()
    found = company.office.store.queries.get_session(session)
    assert found is not None and found.booked and found.count == count + 1


def test_before_it_took_place_there_is_nothing_to_write(company: WebCompany) -> None:
    session = company.next_session().id
    client = company.visitor(DANA, Purpose.CONTRACT, session)
    assert "When you have met" in text(client.get(f"/contract/{session}"))
    assert client.get(f"/contract/{session}/write").headers["Location"] == f"/contract/{session}"


def test_what_is_sent_after_we_did_not_meet_is_refused_in_the_readers_words(company: WebCompany) -> None:
    """In another window: the draft stays for when they have met."""
    client, page = company.open_contract_form()
    session, fields = company.held_session().id, send_fields(client, page)
    company.office.worker.actions.record_not_held(session)
    answer = client.post(f"/contract/{session}/send", data=fields)
    assert answer.status_code == 409
    assert "You have not met yet, so there is nothing to record. Your draft is kept." in text(answer)
    assert company.office.store.content.list_revisions(session) == []
    assert company.office.store.content.get_contract_draft(session) is not None


def test_a_draft_can_be_thrown_away(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fill(client, page, "keep")
    assert fill(client, page, "discard").status_code == 303
    assert company.office.store.content.get_contract_draft(page.split("/")[2]) is None


def test_drafts_are_sealed_anew_with_the_rest(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fill(client, page, "keep")
    before = company.read_database()["sketch"]
    assert company.office.store.content.reseal_all() > 0
    assert company.read_database()["sketch"] != before
    assert "What next?" in client.get(page).get_data(as_text=True)


def test_times_are_the_readers_own(company: WebCompany) -> None:
    """Dana reads Berlin's clock, Sam London's, each in their own way of writing."""
    session = company.held_session()
    client, page = company.open_contract_form()
    assert session.held_at is not None
    due = session.held_at + timedelta(hours=48)
    assert f"Please by {due:%A, %B} {due.day}" in text(client.get(page))
    assert "(London time)" in text(company.visitor(SAM, Purpose.ME).get("/me"))


def test_another_managers_contract_is_not_there(company: WebCompany) -> None:
    theirs = company.contracted_session(LEE, DANA).id
    client = company.visitor(DANA, Purpose.CONTRACT, theirs)
    assert client.get(f"/contract/{theirs}").status_code == 404, "Dana is the report there, and has a page of her own"
