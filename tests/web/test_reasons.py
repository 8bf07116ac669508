"""What a report says about a move (R-18), and why one of the two asked to talk (R-6), on pages and in files."""

import json

import pytest

from tests.support.companies import DANA, DAY, HOUR, KIM, SAM, texts
from tests.support.web_company import WebCompany, hidden, send, text
from worker.domain.model import Owner, PairId, Session, Trigger
from worker.links import Purpose
from worker.web.team import make_url_id

PAIR = PairId(DANA, SAM)
SAID = "My quillwort week begins then"
TOLD_TO_MANAGER, TOLD_TO_REPORT = f"Sam says about the move: “{SAID}”", f"You said about the move: “{SAID}”"


def move(company: WebCompany, who: str) -> Session:
    """Somebody takes the first of the proposed times, on the page."""
    session = company.next_session()
    page, client = f"/time/{session.id}", company.visitor(who, Purpose.TIME, session.id)
    fields = {name: hidden(client.get(page), name) for name in ("version", "start", "end")}
    assert send(client, page, page, **fields).status_code == 303
    return company.next_session()


def explain(company: WebCompany, session: Session, reason: str, who: str = SAM) -> str:
    """The report says it on the page; returns what the page answers."""
    page, client = f"/time/{session.id}", company.visitor(who, Purpose.TIME, session.id)
    answer = send(client, page, f"{page}/reason", reason=reason)
    assert answer.status_code == 303
    return text(client.get(answer.headers["Location"]))


def notices(company: WebCompany, to: str) -> list[str]:
    """The deferral mails to one of the two, as text on one line."""
    found = [mail for mail in company.office.mails("deferral_notice") if to in str(mail["To"])]
    return [" ".join(texts([mail]).split()) for mail in found]


def read(company: WebCompany, who: str, purpose: Purpose, where: str) -> str:
    return text(company.visitor(who, purpose).get(where))


def lost_times(company: WebCompany, who: str, purpose: Purpose) -> list[dict[str, str]]:
    file = json.loads(company.visitor(who, purpose).get(f"/{purpose}/data").get_data(as_text=True))
    pair = next(one for one in file["pairs"] if (one["manager"], one["report"]) == (DANA, SAM))
    lost: list[dict[str, str]] = pair["times_lost"]
    return lost


# --- a move ---


def test_r18_why_the_report_moved_it_is_told_to_the_manager(company: WebCompany) -> None:
    """R-18: in the report's voice, in one mail, on both pages and in both files; in nothing that is no content."""
    session = move(company, SAM)
    assert "What should Dana know?" in read_time(company, SAM, session)
    assert "Your manager gets it by mail" in explain(company, session, SAID)
    company.office.run(3 * DAY)
    (mail,) = notices(company, DANA)
    assert TOLD_TO_MANAGER in mail
    assert notices(company, SAM) == []
    person = f"/team/person/{make_url_id(PAIR)}"
    assert TOLD_TO_MANAGER in read(company, DANA, Purpose.TEAM, person)
    assert TOLD_TO_MANAGER in read_time(company, DANA, session)
    assert TOLD_TO_REPORT in read(company, SAM, Purpose.ME, "/me")
    for who, purpose in ((DANA, Purpose.TEAM), (SAM, Purpose.ME)):
        assert [one.get("said_by_the_report") for one in lost_times(company, who, purpose)][-1] == SAID
    assert "quillwort" not in str(mail_subjects(company)) and "quillwort" not in str(company.office.history())


def read_time(company: WebCompany, who: str, session: Session) -> str:
    return text(company.visitor(who, Purpose.TIME, session.id).get(f"/time/{session.id}"))


def mail_subjects(company: WebCompany) -> list[str]:
    return [str(mail["Subject"]) for _, mail in company.office.mailer.sent]


def test_a_move_without_a_word_needs_no_mail(company: WebCompany) -> None:
    """T-12: whoever chose a time knows it, and the calendar tells the other."""
    move(company, SAM)
    company.office.run(3 * DAY)
    assert notices(company, DANA) == notices(company, SAM) == []


def test_a_manager_says_nothing_there(company: WebCompany) -> None:
    """R-38: a manager's reason is the manager's own affair; there is no form for it, and none is taken."""
    session = move(company, DANA)
    assert "What should" not in read_time(company, DANA, session)
    page, client = f"/time/{session.id}", company.visitor(DANA, Purpose.TIME, session.id)
    assert send(client, page, f"{page}/reason", reason=SAID).status_code == 404
    assert "quillwort" not in str(lost_times(company, DANA, Purpose.TEAM))


def test_nobody_else_says_or_reads_anything(company: WebCompany) -> None:
    """R-23."""
    session = move(company, SAM)
    explain(company, session, SAID)
    stranger = company.visitor(KIM, Purpose.TIME, session.id)
    assert stranger.get(f"/time/{session.id}").status_code == 404
    assert "quillwort" not in read(company, KIM, Purpose.ME, "/me")
    assert "quillwort" not in read(company, DANA, Purpose.TEAM, f"/team/person/{make_url_id(PairId(DANA, KIM))}")


def test_other_words_take_their_place_and_no_words_take_them_away(company: WebCompany) -> None:
    """R-18: the manager hears of the new words once; the same again is no news; what is withdrawn is gone."""
    session = move(company, SAM)
    explain(company, session, "First words")
    company.office.run(3 * DAY)
    explain(company, session, SAID)
    assert "says so already" in explain(company, session, SAID)
    company.office.run(3 * DAY)
    first, second = notices(company, DANA)
    assert "First words" in first and "quillwort" in second and "First words" not in second
    assert "It is gone" in explain(company, session, " ")
    assert "quillwort" not in read(company, DANA, Purpose.TEAM, f"/team/person/{make_url_id(PAIR)}")
    company.office.run(3 * DAY)
    assert len(notices(company, DANA)) == 2


def test_words_withdrawn_before_the_mail_left_are_in_no_mail(company: WebCompany) -> None:
    session = move(company, SAM)
    company.office.clock.advance(12 * HOUR)  # in the night, so that the mail waits
    explain(company, session, SAID)
    company.office.tick()
    explain(company, session, "")
    company.office.run(3 * DAY)
    assert notices(company, DANA) == []


@pytest.mark.parametrize("after_the_mail", [False, True])
def test_r38_who_declined_can_say_why_before_or_after_the_manager_is_told(
    company: WebCompany, after_the_mail: bool
) -> None:
    """R-18, R-38: in the mail about the new time if that waits still, else in one more."""
    office, session = company.office, company.next_session()
    office.decline(session)
    if after_the_mail:
        office.run(3 * DAY)
        assert len(notices(company, DANA)) == 1 and "quillwort" not in notices(company, DANA)[0]
    else:
        office.tick()
    explain(company, company.next_session(), SAID)
    office.run(3 * DAY)
    told = notices(company, DANA)
    assert len(told) == 1 + after_the_mail and "quillwort" in told[-1]
    assert len(notices(company, SAM)) == 1 and "quillwort" not in notices(company, SAM)[0]


def test_a_session_that_lost_no_time_has_nothing_to_say_about(company: WebCompany) -> None:
    session = company.next_session()
    assert session.count == 0 and "What should Dana know?" not in read_time(company, SAM, session)
    client, page = company.visitor(SAM, Purpose.TIME, session.id), f"/time/{session.id}"
    answer = send(client, page, f"{page}/reason", reason=SAID)
    assert answer.status_code == 409 and "no move of this conversation for you to explain" in text(answer)


# --- a talk ---


@pytest.mark.parametrize("by", list(Owner))
def test_r18_why_a_talk_was_asked_for_is_on_the_manager_s_page_until_it_is_over(company: WebCompany, by: Owner) -> None:
    """R-6, R-18: in the words of whoever asked; on no page of the report's."""
    office, person = company.office, f"/team/person/{make_url_id(PAIR)}"
    assert "asked to talk" not in read(company, DANA, Purpose.TEAM, person)
    talk = office.worker.actions.request_talk(PAIR, Trigger.DOUBT, SAID, at_once=True, by=by)
    for _ in range(2):  # without a time, and with one
        page = read(company, DANA, Purpose.TEAM, person)
        assert ("Sam asked to talk" if by is Owner.REPORT else "You asked to talk") in page
        assert "a doubt whether this is the right place" in page and SAID in page
        assert "within two working days" in page
        assert "quillwort" not in read(company, SAM, Purpose.ME, "/me")
        team = read(company, DANA, Purpose.TEAM, "/team")
        assert ("Sam asked to talk" in team) is (by is Owner.REPORT) and "quillwort" not in team
        office.tick()
    planned = office.store.queries.get_session(talk)
    assert planned is not None
    assert "quillwort" not in read_time(company, DANA, planned) + read_time(company, SAM, planned)
    office.run_to(planned.span.end + HOUR)
    assert "quillwort" not in read(company, DANA, Purpose.TEAM, person)
