"""The pages of a contract: the draft, the preview, the recorded contract, and changes of it."""

import re
import sqlite3
from dataclasses import replace
from datetime import date, timedelta

import pytest

from tests.support.companies import DANA, KIM, SAM, texts
from tests.support.web_company import (
    FILLED_FIELDS,
    LEE,
    SECRETS,
    WebCompany,
    fill_form,
    get_send_fields,
    hidden_value,
    send_form,
    text,
)
from worker.domain.model import Contract, ReviewPoint, SessionState, WrittenCommitment
from worker.errors import Overtaken
from worker.links import Purpose
from worker.web.contract_form import LIMITS, MAX_SENT_CHARACTERS, ContractForm


def test_r14_r15_both_receive_the_contract_that_the_preview_showed(company: WebCompany) -> None:
    """R-14, R-15: the contract has four parts, and the mail has the text of the preview."""
    client, page = company.open_contract_form()
    session_id = company.held_session().id
    form = client.get(page)
    assert "Write it down short and plain" in text(form) and "Please by" in text(form)
    answer = fill_form(client, page)
    assert (answer.status_code, answer.headers["Location"]) == (303, f"/contract/{session_id}/preview")
    preview = client.get(answer.headers["Location"])
    preview_text = text(client.get(f"/contract/{session_id}/mail/report"))
    answer = client.post(
        f"/contract/{session_id}/send", data={name: hidden_value(preview, name) for name in ("token", "version")}
    )
    assert answer.headers["Location"] == f"/contract/{session_id}?said=sent"
    assert "Recorded. Both of you" in text(client.get(answer.headers["Location"]))
    (revision,) = company.office.store.content.list_revisions(session_id)
    assert revision.contract == Contract(  # as in FILLED_FIELDS
        report=(WrittenCommitment(text="Draft one page on direction", due=date(2026, 12, 1)),),
        manager=(WrittenCommitment(text="Introduce Sam to Priya", due=date(2026, 10, 20), support="Jordan"),),
        reviews=(ReviewPoint(month=date(2026, 11, 1), text="how the first review went"),),
        question="What next?",
        progress=("Ran the incident review",),
    )
    assert company.office.store.content.get_contract_draft(session_id) is None
    company.office.tick()
    mails = [mail for mail in company.office.mails("contract_summary") if SAM in str(mail["To"])]
    body = mails[-1].get_body(("html",))
    assert body is not None
    sent_text = re.sub(r"<[^>]+>", " ", re.sub(r"<(style|title)\b.*?</\1>", "", body.get_content(), flags=re.DOTALL))
    assert " ".join(sent_text.replace("&#39;", "'").split()) == preview_text


def test_two_presses_of_send_record_one_revision(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    session_id = company.held_session().id
    fill_form(client, page)
    preview = client.get(page.replace("write", "preview"))
    fields = {name: hidden_value(preview, name) for name in ("token", "version")}
    path = page.replace("write", "send")
    assert [client.post(path, data=fields).status_code for _ in range(2)] == [303, 303]
    assert len(company.office.store.content.list_revisions(session_id)) == 1


def test_an_incomplete_draft_is_saved_sealed_and_sent_to_nobody(company: WebCompany) -> None:
    """Half a date and a line without a date are saved, too."""
    client, page = company.open_contract_form()
    fill_form(client, page, "keep", **{"manager-0-due": "2026-1", "manager-1-text": "zephyrine"})
    reopened_page = company.visitor(DANA, Purpose.CONTRACT, company.held_session().id).get(page).get_data(as_text=True)
    assert all(
        value in reopened_page for value in ("zephyrine", 'value="2026-1"', "What next?", "Ran the incident review")
    )
    drafts = company.read_database()["sketch"]  # the table of contract drafts
    assert len(drafts) == 1 and "zephyrine" not in repr(drafts)
    company.office.tick()
    assert "zephyrine" not in texts(company.office.mails())
    assert company.held_session().state is SessionState.HELD


def test_lines_are_added_and_removed_without_a_script(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    answer = fill_form(client, page, "add-manager")
    assert answer.headers["Location"].endswith("#manager")
    assert client.get(page).get_data(as_text=True).count('name="manager-1-text"') == 1
    fill_form(client, page, "drop-manager-0", **{"manager-1-text": "Ask Jordan", "manager-1-due": "2026-11-02"})
    form = client.get(page).get_data(as_text=True)
    assert "Ask Jordan" in form and "Introduce Sam to Priya" not in form
    for unknown_action in ("add-nothing", "drop-manager-77", "drop-manager-x", "", "x" * 500):
        assert fill_form(client, page, unknown_action).status_code == 303


def test_r31_a_promise_of_feedback_gets_a_hint_beside_the_line(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    preview = text(
        client.get(fill_form(client, page, **{"manager-0-text": "Give Sam feedback on the talk"}).headers["Location"])
    )
    assert "Say what was done, what it led to, and what to try next" in preview


def test_r16_a_script_saves_the_draft_and_receives_the_questions(company: WebCompany) -> None:
    """R-16: a vague promise is questioned while it is written. The form shows the questions beside the line, too."""
    client, page = company.open_contract_form()
    form = client.get(page)
    fields = {
        **FILLED_FIELDS,
        "manager-0-text": "Get Sam promoted soon",
        "version": "0",
        "after": "0",
    }  # no draft and no revision yet
    data = {"token": hidden_value(form, "token"), "do": "keep", **fields}
    answer = client.post(page, data=data, headers={"Accept": "application/json"})
    assert answer.json is not None
    assert answer.json["version"] == 1 and "Draft kept" in answer.json["kept"]
    questions = answer.json["asked"]["manager-0"]
    assert len(questions) == 2 and "“soon” leaves open" in questions[0]["what"]
    assert "the outcome is not mine" in questions[1]["better"]
    assert "It promises an outcome that others decide." in text(client.get(page))


def test_a_draft_in_one_window_does_not_overwrite_that_of_another(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fill_form(client, page, "keep")
    fill_form(client, page, "keep", version="1", question="First window")
    conflict_answer = fill_form(client, page, "keep", version="1", question="Second window")
    assert conflict_answer.status_code == 409
    assert "changed in another window" in text(conflict_answer) and "Second window" in conflict_answer.get_data(
        as_text=True
    )
    assert "First window" in client.get(page).get_data(as_text=True)
    fields = {name: hidden_value(conflict_answer, name) for name in ("token", "version", "after")}
    client.post(page, data={**fields, "do": "keep", "question": "Second window"})
    assert "Second window" in client.get(page).get_data(as_text=True)
    script_answer = client.post(page, data={**fields, "do": "keep"}, headers={"Accept": "application/json"})
    assert (
        script_answer.status_code == 409
        and script_answer.json is not None
        and "another window" in script_answer.json["problem"]
    )


@pytest.mark.parametrize(
    ("fields", "wrong_field", "message"),
    [
        ({"manager-0-due": ""}, "manager-0-due", "Say by which day."),
        ({"manager-0-due": "2026-02-31"}, "manager-0-due", "There is no such day."),
        ({"manager-0-due": "2062-10-20"}, "manager-0-due", "That is too long ago or too far ahead."),
        ({"reviews-0-month": "2016-11"}, "reviews-0-month", "That is too long ago or too far ahead."),
        ({"report-0-text": ""}, "report-0-text", "Write what will be done, or remove this line."),
        ({"reviews-0-month": "November"}, "reviews-0-month", "Say in which month, as 2027-02."),
        ({"reviews-0-text": " "}, "reviews-0-text", "Write what the two of you will look at again."),
        ({"progress-0-text": "x" * (MAX_SENT_CHARACTERS + 1)}, "progress-0-text", "This is long for a contract."),
        (
            {f"manager-{n}-text": f"Ask {n}" for n in range(LIMITS.entries + 1)},
            "",
            "These are many lines for a contract.",
        ),
        (dict.fromkeys(FILLED_FIELDS, ""), "", "Nothing is written yet."),
    ],
)
def test_missing_and_invalid_entries_are_reported_beside_their_fields(
    company: WebCompany, fields: dict[str, str], wrong_field: str, message: str
) -> None:
    """The form can't be sent, and nothing is recorded."""
    client, page = company.open_contract_form()
    session_id = company.held_session().id
    answer = fill_form(client, page, **fields)
    assert answer.status_code == 422 and message in text(answer)
    html = answer.get_data(as_text=True)
    if wrong_field:  # empty when the message is about the whole form
        assert f'id="{wrong_field}-wrong"' in html and f'aria-describedby="{wrong_field}-wrong"' in html
        assert f'href="#{wrong_field}"' in html and f'id="{wrong_field}"' in html
    send_answer = client.post(
        page.replace("write", "send"), data={name: hidden_value(answer, name) for name in ("token", "version")}
    )
    assert send_answer.status_code == 422
    assert company.office.store.content.list_revisions(session_id) == []


def test_a_day_without_hyphens_is_recorded_as_that_day(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    session_id = company.held_session().id
    assert fill_form(client, page, **{"manager-0-due": "20261021"}).status_code == 303
    send_form(client, page.replace("write", "preview"), page.replace("write", "send"), version="1")
    (revision,) = company.office.store.content.list_revisions(session_id)
    assert [commitment.due for commitment in revision.contract.manager] == [date(2026, 10, 21)]


def test_r12_r20_the_form_shows_the_last_contract_with_own_commitments_first(company: WebCompany) -> None:
    """R-12, R-20: the manager reads what became of the own promises before those of the report."""
    client, page = company.open_contract_form()
    last_contract = text(client.get(page)).partition("Last time")[2]
    assert last_contract.index("Your commitments") < last_contract.index("Sam’s commitments")
    assert SECRETS[SAM] in last_contract and "done on" in last_contract and "not done yet" in last_contract


def test_entries_with_markup_are_escaped(company: WebCompany) -> None:
    """They become neither markup of the page nor an expression of a template."""
    client, page = company.open_contract_form()
    markup = "<b>Ask</b> \"&' {{ 7 * 7 }} by 2026"
    answer = fill_form(client, page, **{"manager-0-text": markup, "question": markup + "\x00\r\nsecond\u2028line"})
    assert answer.status_code == 303
    for path in (page, answer.headers["Location"], answer.headers["Location"].replace("preview", "mail/manager")):
        html = client.get(path).get_data(as_text=True)
        assert "<b>Ask" not in html
        entry_start = text(client.get(path)).partition("Ask")[2][:40]
        assert "49" not in entry_start, "7 * 7 was computed"


# --- after the contract is recorded, or without one ---


def test_r18_a_change_makes_a_revision_and_both_see_the_difference(company: WebCompany) -> None:
    """R-18: the manager sees it before sending, both see it afterwards."""
    session_id = company.contracted_session().id
    client, page = company.visitor(DANA, Purpose.CONTRACT, session_id), f"/contract/{session_id}/write"
    assert SECRETS[SAM] in client.get(page).get_data(as_text=True)
    changed_fields = {"manager-0-text": SECRETS[SAM], "manager-0-due": "2026-12-15", "report-0-text": "Lead the review"}
    assert fill_form(client, page, **changed_fields).status_code == 303
    preview = client.get(page.replace("write", "preview"))
    assert "What is different now" in text(preview) and "New for Sam: Lead the review" in text(preview)
    send_form(client, page.replace("write", "preview"), page.replace("write", "send"), version="1")
    for page_of_reader in (client.get(f"/contract/{session_id}"), company.visitor(SAM, Purpose.ME).get("/me")):
        assert "What the newest version changed" in text(page_of_reader) and "New for Sam: Lead the review" in text(
            page_of_reader
        )
    company.office.tick()
    assert "Lead the review" in texts(company.office.mails("contract_summary"))


def test_r18_an_unchanged_contract_makes_no_revision_and_no_mail(company: WebCompany) -> None:
    """The contract is sent again as it was, and a commitment is changed to the text and date that it has."""
    session, commitment_id = company.contracted_session(), company.open_commitment_id("report")
    client, page = company.visitor(DANA, Purpose.CONTRACT, session.id), f"/contract/{session.id}"
    (revision,) = company.office.store.content.list_revisions(session.id)
    form = ContractForm.from_contract(revision.contract, revision=1)
    version = company.office.store.content.save_contract_draft(session.id, form.to_draft(), company.office.clock())
    send_answer = send_form(client, f"{page}/preview", f"{page}/send", version=str(version))
    commitment = revision.contract.report[0]
    change_answer = send_form(
        client, page, f"{page}/commitment/{commitment_id}/change", text=commitment.text, due=f"{commitment.due}"
    )
    for answer in (send_answer, change_answer):
        assert "Nothing was changed, and nobody gets a mail." in text(client.get(answer.headers["Location"]))
    assert company.office.store.content.list_revisions(session.id) == [revision]
    assert company.office.store.content.get_contract_draft(session.id) is None
    company.office.tick()
    assert len(company.office.mails("contract_summary")) == 0


def test_a_change_that_another_revision_overtook_is_kept_and_previewed_again(company: WebCompany) -> None:
    """The report lets a commitment go while the manager is writing."""
    session_id = company.contracted_session().id
    client, page = company.visitor(DANA, Purpose.CONTRACT, session_id), f"/contract/{session_id}/write"
    fill_form(client, page, "keep", question="Typed by Dana")
    company.office.worker.contracts.let_go(company.open_commitment_id("report"))
    send_answer = send_form(client, page.replace("write", "preview"), page.replace("write", "send"), version="1")
    assert send_answer.status_code == 409 and "One of you changed the contract" in text(send_answer)
    assert "Typed by Dana" in send_answer.get_data(as_text=True)
    assert (
        len(company.office.store.content.list_revisions(session_id)) == 2
    )  # the first, and the one without the commitment
    assert (
        send_form(client, page.replace("write", "preview"), page.replace("write", "send"), version="2").status_code
        == 303
    )
    assert company.office.store.content.list_revisions(session_id)[-1].contract.question == "Typed by Dana"
    assert company.office.store.content.get_contract_draft(session_id) is None


def test_a_contract_based_on_an_older_revision_is_refused(company: WebCompany) -> None:
    session_id, contracts = company.contracted_session().id, company.office.worker.contracts
    contract = company.office.store.content.list_revisions(session_id)[-1].contract
    contracts.record(session_id, replace(contract, question="First"), base_revision=1)
    with pytest.raises(Overtaken):
        contracts.record(session_id, replace(contract, question="Second"), base_revision=1)
    assert company.office.store.content.list_revisions(session_id)[-1].contract.question == "First"


@pytest.mark.parametrize(("action", "standing"), [("done", "done"), ("let-go", "let_go"), ("change", "open")])
def test_r18_a_commitment_can_be_done_changed_or_let_go(company: WebCompany, action: str, standing: str) -> None:
    """R-18: goals change without blame. A changed commitment stays open."""
    session_id = company.contracted_session(DANA, KIM).id
    commitment_id = company.open_commitment_id("manager", DANA, KIM)
    client = company.visitor(DANA, Purpose.CONTRACT, session_id)
    fields = {"text": SECRETS[KIM], "due": "2026-12-24", "reason": "Plans change"}
    answer = send_form(
        client, f"/contract/{session_id}", f"/contract/{session_id}/commitment/{commitment_id}/{action}", **fields
    )
    assert answer.status_code == 303
    commitment = company.office.store.queries.get_commitment(commitment_id)
    assert commitment is not None
    assert commitment.standing == standing
    assert (commitment.due == date(2026, 12, 24)) == (action == "change")
    assert client.get(answer.headers["Location"]).status_code == 200


def test_to_let_go_changes_contract_and_commitment_or_neither(company: WebCompany) -> None:
    """When the new revision can't be written, the commitment stays open."""
    commitment_id, before = company.open_commitment_id("report"), company.read_database()
    with company.office.store.database.write() as connection:
        # lets each insert of a revision fail, as on a full disk
        connection.exec_driver_sql("CREATE TRIGGER full BEFORE INSERT ON contract BEGIN SELECT RAISE(ABORT, ''); END")
    with pytest.raises(sqlite3.IntegrityError):
        company.office.worker.contracts.let_go(commitment_id)
    assert company.read_database() == before


def test_a_new_date_for_a_long_commitment_keeps_its_whole_text(company: WebCompany) -> None:
    """The text is longer than that of a new contract may be. One above the limit of a draft is refused."""
    session_id, commitment_id = company.contracted_session().id, company.open_commitment_id("report")
    long_text = "Ask " + "and ask " * 240
    company.office.worker.contracts.change(commitment_id, text=long_text.strip())
    client, page = company.visitor(DANA, Purpose.CONTRACT, session_id), f"/contract/{session_id}"
    for entered_text in (long_text, long_text * 2):
        send_form(client, page, f"{page}/commitment/{commitment_id}/change", text=entered_text, due="2026-12-24")
        (commitment,) = company.office.store.content.list_revisions(session_id)[-1].contract.report
        assert (commitment.text, commitment.due) == (long_text.strip(), date(2026, 12, 24))


@pytest.mark.parametrize("due", ["soon", "2062-12-01", "2016-12-01"])  # no day, too far ahead, too long ago
def test_an_invalid_new_date_is_reported_beside_its_field(company: WebCompany, due: str) -> None:
    session_id, commitment_id = company.contracted_session().id, company.open_commitment_id("report")
    client, page_path = company.visitor(DANA, Purpose.CONTRACT, session_id), f"/contract/{session_id}"
    answer = send_form(client, page_path, f"{page_path}/commitment/{commitment_id}/change", text="x", due=due)
    page = client.get(answer.headers["Location"]).get_data(as_text=True)
    assert f'id="{commitment_id}-wrong"' in page and f'aria-describedby="{commitment_id}-wrong"' in page


def test_r8_a_session_that_did_not_take_place_gets_another_time(company: WebCompany) -> None:
    """R-8: a session that did not take place is deferred, and the next planning books it again."""
    client, page = company.open_contract_form()
    session_id = company.held_session().id
    assert send_form(client, page, f"/contract/{session_id}/not-met").status_code == 303
    loaded = company.office.store.queries.get_session(session_id)
    assert loaded is not None and loaded.state is SessionState.DEFERRED
    company.office.tick()
    loaded = company.office.store.queries.get_session(session_id)
    assert loaded is not None and loaded.booked
    assert "When you have met" in text(client.get(f"/contract/{session_id}"))


def test_r8_a_second_press_of_we_did_not_meet_changes_nothing(company: WebCompany) -> None:
    """R-8: this holds before the session has its new time, and after."""
    client, page = company.open_contract_form()
    session, count = company.held_session().id, company.held_session().count
    token = hidden_value(client.get(page), "token")
    client.post(f"/contract/{session}/not-met", data={"token": token})
    for _ in range(2):
        answer = client.post(f"/contract/{session}/not-met", data={"token": token})
        assert "That is recorded already: you did not meet." in text(client.get(answer.headers["Location"]))
        company.office.tick()
    loaded = company.office.store.queries.get_session(session)
    assert loaded is not None and loaded.booked and loaded.count == count + 1


def test_no_contract_can_be_written_before_the_session(company: WebCompany) -> None:
    session = company.next_session().id
    client = company.visitor(DANA, Purpose.CONTRACT, session)
    assert "When you have met" in text(client.get(f"/contract/{session}"))
    assert client.get(f"/contract/{session}/write").headers["Location"] == f"/contract/{session}"


def test_a_contract_of_a_session_that_did_not_take_place_is_refused(company: WebCompany) -> None:
    """Somebody recorded in another window that the two did not meet. The draft is kept."""
    client, page = company.open_contract_form()
    session, fields = company.held_session().id, get_send_fields(client, page)
    company.office.worker.actions.record_not_held(session)
    answer = client.post(f"/contract/{session}/send", data=fields)
    assert answer.status_code == 409
    assert "You have not met yet, so there is nothing to record. Your draft is kept." in text(answer)
    assert company.office.store.content.list_revisions(session) == []
    assert company.office.store.content.get_contract_draft(session) is not None


def test_a_draft_can_be_discarded(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fill_form(client, page, "keep")
    assert fill_form(client, page, "discard").status_code == 303
    assert company.office.store.content.get_contract_draft(company.held_session().id) is None


def test_resealing_includes_drafts(company: WebCompany) -> None:
    """When the key changes, all that is sealed is sealed with the new one."""
    client, page = company.open_contract_form()
    fill_form(client, page, "keep")
    before = company.read_database()["sketch"]
    assert company.office.store.content.reseal_all() > 0
    assert company.read_database()["sketch"] != before
    assert "What next?" in client.get(page).get_data(as_text=True)


def test_times_are_shown_in_the_time_zone_of_the_reader(company: WebCompany) -> None:
    """Dana is in Berlin, Sam in London."""
    session = company.held_session()
    client, page = company.open_contract_form()
    assert session.held_at is not None
    due = session.held_at + timedelta(hours=48)  # when the contract is due
    assert f"Please by {due:%A, %B} {due.day}" in text(client.get(page))
    assert "(London time)" in text(company.visitor(SAM, Purpose.ME).get("/me"))


def test_r23_a_report_cannot_open_the_page_of_the_manager(company: WebCompany) -> None:
    session_id = company.contracted_session(LEE, DANA).id
    client = company.visitor(DANA, Purpose.CONTRACT, session_id)
    assert client.get(f"/contract/{session_id}").status_code == 404  # Dana is the report of this pair
