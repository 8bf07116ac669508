"""The reason of a report for a move (R-18), and the reason for an ad hoc session (R-6), on pages and in files."""

import json

import pytest

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, texts
from tests.support.web_company import WebCompany, hidden_value, send_form, text
from worker.domain.model import Owner, PairId, Session, Trigger
from worker.links import Purpose
from worker.web.team import make_url_id

PAIR = PairId(DANA, SAM)
#: The reason that Sam gives; the word "quillwort" is in no other text.
REASON = "My quillwort week begins then"
#: How the reason is quoted to each of the two.
TEXT_FOR_MANAGER, TEXT_FOR_REPORT = f"Sam says about the move: “{REASON}”", f"You said about the move: “{REASON}”"


def move_session(company: WebCompany, address: str) -> Session:
    """Choose the first of the proposed times on the page, and return the session at its new time."""
    session = company.next_session()
    page, client = f"/time/{session.id}", company.visitor(address, Purpose.TIME, session.id)
    fields = {name: hidden_value(client.get(page), name) for name in ("version", "start", "end")}
    assert send_form(client, page, page, **fields).status_code == 303
    return company.next_session()


def give_reason(company: WebCompany, session: Session, reason: str, address: str = SAM) -> str:
    """Give the reason for a move on the page, and return the text of the page that follows."""
    page, client = f"/time/{session.id}", company.visitor(address, Purpose.TIME, session.id)
    answer = send_form(client, page, f"{page}/reason", reason=reason)
    assert answer.status_code == 303
    return text(client.get(answer.headers["Location"]))


def list_notices(company: WebCompany, address: str) -> list[str]:
    """Return the deferral notices to one of the two, each as text on one line."""
    mails = [mail for mail in company.office.mails("deferral_notice") if address in str(mail["To"])]
    return [" ".join(texts([mail]).split()) for mail in mails]


def read_page(company: WebCompany, address: str, purpose: Purpose, path: str) -> str:
    """Return the text of one of the person's pages."""
    return text(company.visitor(address, purpose).get(path))


def load_lost_times(company: WebCompany, address: str, purpose: Purpose) -> list[dict[str, str]]:
    """Return the times that Dana and Sam have lost, as the file of one of the two lists them."""
    file = json.loads(company.visitor(address, purpose).get(f"/{purpose}/data").get_data(as_text=True))
    own_pair = next(
        pair_in_file
        for pair_in_file in file["pairs"]
        if (pair_in_file["manager"], pair_in_file["report"]) == (DANA, SAM)
    )
    times_lost: list[dict[str, str]] = own_pair["times_lost"]
    return times_lost


# --- a move ---


def test_r18_the_manager_reads_why_the_report_moved_a_session(company: WebCompany) -> None:
    """R-18: the reason is in one mail, on both pages and in both files, but in no subject and not in the history."""
    session = move_session(company, SAM)
    assert "What should Dana know?" in read_time_page(company, SAM, session)
    assert "Your manager gets it by mail" in give_reason(company, session, REASON)
    company.office.run(3 * DAY)
    (mail,) = list_notices(company, DANA)
    assert TEXT_FOR_MANAGER in mail
    assert list_notices(company, SAM) == []
    person_page = f"/team/person/{make_url_id(PAIR)}"
    assert TEXT_FOR_MANAGER in read_page(company, DANA, Purpose.TEAM, person_page)
    assert TEXT_FOR_MANAGER in read_time_page(company, DANA, session)
    assert TEXT_FOR_REPORT in read_page(company, SAM, Purpose.ME, "/me")
    for address, purpose in ((DANA, Purpose.TEAM), (SAM, Purpose.ME)):
        assert [loss.get("said_by_the_report") for loss in load_lost_times(company, address, purpose)][-1] == REASON
    assert "quillwort" not in str(list_mail_subjects(company)) and "quillwort" not in str(company.office.history())


def read_time_page(company: WebCompany, address: str, session: Session) -> str:
    return text(company.visitor(address, Purpose.TIME, session.id).get(f"/time/{session.id}"))


def list_mail_subjects(company: WebCompany) -> list[str]:
    return [str(mail["Subject"]) for _, mail in company.office.mailer.sent]


def test_t12_a_move_without_a_reason_causes_no_mail(company: WebCompany) -> None:
    """T-12: calendars show the new time to both."""
    move_session(company, SAM)
    company.office.run(3 * DAY)
    assert list_notices(company, DANA) == list_notices(company, SAM) == []


def test_r38_a_manager_can_give_no_reason_for_a_move(company: WebCompany) -> None:
    """R-38: there is no form for it, and a request without the form is refused."""
    session = move_session(company, DANA)
    assert "What should" not in read_time_page(company, DANA, session)
    page, client = f"/time/{session.id}", company.visitor(DANA, Purpose.TIME, session.id)
    assert send_form(client, page, f"{page}/reason", reason=REASON).status_code == 404
    assert "quillwort" not in str(load_lost_times(company, DANA, Purpose.TEAM))


def test_r23_no_other_person_can_read_or_give_the_reason(company: WebCompany) -> None:
    """R-23: Kim is another report of Dana, and is refused as if the page did not exist."""
    session = move_session(company, SAM)
    give_reason(company, session, REASON)
    stranger = company.visitor(KIM, Purpose.TIME, session.id)
    assert stranger.get(f"/time/{session.id}").status_code == 404
    assert "quillwort" not in read_page(company, KIM, Purpose.ME, "/me")
    assert "quillwort" not in read_page(company, DANA, Purpose.TEAM, f"/team/person/{make_url_id(PairId(DANA, KIM))}")


def test_r18_a_reason_can_be_replaced_and_withdrawn(company: WebCompany) -> None:
    """R-18: the manager gets one mail about a new reason, none about the same reason again, none about a withdrawal."""
    session = move_session(company, SAM)
    give_reason(company, session, "First words")
    company.office.run(3 * DAY)
    give_reason(company, session, REASON)
    assert "says so already" in give_reason(company, session, REASON)
    company.office.run(3 * DAY)
    first, second = list_notices(company, DANA)
    assert "First words" in first and "quillwort" in second and "First words" not in second
    assert "It is gone" in give_reason(company, session, " ")
    assert "quillwort" not in read_page(company, DANA, Purpose.TEAM, f"/team/person/{make_url_id(PAIR)}")
    company.office.run(3 * DAY)
    assert len(list_notices(company, DANA)) == 2


def test_a_reason_withdrawn_before_its_mail_is_sent_is_in_no_mail(company: WebCompany) -> None:
    session = move_session(company, SAM)
    company.office.clock.advance(12 * HOUR)  # in the night, so that the mail waits
    give_reason(company, session, REASON)
    company.office.tick()
    give_reason(company, session, "")
    company.office.run(3 * DAY)
    assert list_notices(company, DANA) == []


@pytest.mark.parametrize("is_after_mail", [False, True])
def test_r18_r38_the_report_can_give_the_reason_for_a_decline_before_and_after_the_mail(
    company: WebCompany, is_after_mail: bool
) -> None:
    """R-18, R-38: the reason is in the mail about the new time if that was not sent yet, else in another mail."""
    office, session = company.office, company.next_session()
    office.decline(session)
    if is_after_mail:
        office.run(3 * DAY)
        assert len(list_notices(company, DANA)) == 1 and "quillwort" not in list_notices(company, DANA)[0]
    else:
        office.tick()
    give_reason(company, company.next_session(), REASON)
    office.run(3 * DAY)
    mails = list_notices(company, DANA)
    expected_count = 2 if is_after_mail else 1
    assert len(mails) == expected_count and "quillwort" in mails[-1]
    assert len(list_notices(company, SAM)) == 1 and "quillwort" not in list_notices(company, SAM)[0]


def test_no_reason_is_accepted_for_a_session_that_did_not_move(company: WebCompany) -> None:
    session = company.next_session()
    assert session.count == 0 and "What should Dana know?" not in read_time_page(company, SAM, session)
    client, page = company.visitor(SAM, Purpose.TIME, session.id), f"/time/{session.id}"
    answer = send_form(client, page, f"{page}/reason", reason=REASON)
    assert answer.status_code == 409 and "no move of this conversation for you to explain" in text(answer)


# --- an ad hoc session ---


@pytest.mark.parametrize("requester", list(Owner))
def test_r6_r18_the_managers_page_shows_an_ad_hoc_reason_until_it_is_held(
    company: WebCompany, requester: Owner
) -> None:
    """R-6, R-18: no page of the report and no page for another time shows it."""
    office, person_page = company.office, f"/team/person/{make_url_id(PAIR)}"
    assert "asked to talk" not in read_page(company, DANA, Purpose.TEAM, person_page)
    session_id = office.worker.actions.request_ad_hoc_session(PAIR, Trigger.DOUBT, REASON, at_once=True, by=requester)
    for _ in range(2):  # while the session is owed, and when it is booked
        page = read_page(company, DANA, Purpose.TEAM, person_page)
        assert ("Sam asked to talk" if requester is Owner.REPORT else "You asked to talk") in page
        assert "a doubt whether this is the right place" in page and REASON in page
        assert "within two working days" in page
        assert "quillwort" not in read_page(company, SAM, Purpose.ME, "/me")
        team = read_page(company, DANA, Purpose.TEAM, "/team")
        assert ("Sam asked to talk" in team) is (requester is Owner.REPORT) and "quillwort" not in team
        office.tick()
    session = office.store.queries.get_session(session_id)
    assert session is not None
    assert "quillwort" not in read_time_page(company, DANA, session) + read_time_page(company, SAM, session)
    office.run_to(session.span.end + HOUR)
    assert "quillwort" not in read_page(company, DANA, Purpose.TEAM, person_page)
