"""R-38, T-11, T-12, T-14: both people may choose one of the times that are offered to them, on a page."""

import re
from dataclasses import replace

import pytest

from tests.support.companies import DANA, HOUR, KIM, MINUTE, SAM, WEEK
from tests.support.web_company import LEE, WebCompany, hidden_value, send_form, text
from worker.domain.model import OfferPurpose, Session, Span
from worker.domain.planning.offers import add_offer
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.worktime import parse_hours
from worker.errors import Refused
from worker.links import Purpose


@pytest.fixture
def offered_session(company: WebCompany) -> Session:
    """A session of Dana and Sam that the manager deferred: three times are offered, of which the first is booked."""
    company.office.worker.actions.request_another_time(company.next_session().id, by=DANA)
    company.office.tick()
    assert len(company.next_session().options) == 3
    return company.next_session()


def choose_time(company: WebCompany, address: str, session: Session, span: Span) -> int:
    """Send the form that chooses an offered time, and return the status of the answer."""
    page = f"/time/{session.id}"
    fields = {"start": span.start.isoformat(), "end": span.end.isoformat(), "offered": "yes"}
    return send_form(company.visitor(address, Purpose.TIME, session.id), page, page, **fields).status_code


@pytest.mark.parametrize("address", [DANA, SAM])
def test_r38_t12_either_of_the_two_chooses_an_offered_time(
    company: WebCompany, offered_session: Session, address: str
) -> None:
    """R-38, T-12: the offer ends, and the choice counts as no deferral."""
    assert choose_time(company, address, offered_session, offered_session.options[1]) == 303
    session = company.next_session()
    assert (session.span, session.count, session.options) == (offered_session.options[1], offered_session.count, ())


def test_r38_opening_the_page_changes_nothing(company: WebCompany, offered_session: Session) -> None:
    """R-38: mail scanners open links."""
    before = company.read_database()
    page = text(company.visitor(SAM, Purpose.TIME, offered_session.id).get(f"/time/{offered_session.id}"))
    assert "Held for the two of you" in page and "does not count as another move" in page
    assert company.read_database() == before


def test_t10_proposed_times_are_near_the_booked_time(company: WebCompany, offered_session: Session) -> None:
    """T-10: now, in October, no time in October is proposed for a session in January."""
    page = text(company.visitor(SAM, Purpose.TIME, offered_session.id).get(f"/time/{offered_session.id}"))
    assert "What fits best" in page and "January" in page.partition("What fits best")[2]
    assert "October" not in page.partition("What fits best")[2]


def test_r38_a_time_held_for_the_two_is_not_proposed_once_more(company: WebCompany, offered_session: Session) -> None:
    """R-38: the page shows each time once, by its start."""
    page = company.visitor(SAM, Purpose.TIME, offered_session.id).get(f"/time/{offered_session.id}").text
    starts = re.findall(r'name="start" value="([^"]+)"', page)
    offered_starts = {span.start.isoformat() for span in offered_session.options}
    assert offered_starts < set(starts) and len(starts) == len(set(starts))


def test_t4_the_reasons_why_no_time_exists_stand_on_the_page_once(company: WebCompany) -> None:
    """T-4: the search of planning and that of the page look at different weeks, and would contradict each other."""
    company.office.persons[SAM] = replace(company.office.persons[SAM], hours=parse_hours("Mon-Fri 19:00-23:00"))
    company.office.apply()
    company.office.worker.actions.request_another_time(company.next_session().id, by=DANA)
    company.office.run(HOUR)
    session = company.next_session()
    assert session.unplaceable
    page = text(company.visitor(SAM, Purpose.TIME, session.id).get(f"/time/{session.id}"))
    assert page.count("working hours ended") == 1
    assert "No single change" not in page


def test_r38_the_reports_page_shows_no_reasons_of_the_manager(company: WebCompany, offered_session: Session) -> None:
    """R-38: it does not say either why a time fits the manager's weeks better."""
    page = text(company.visitor(SAM, Purpose.TIME, offered_session.id).get(f"/time/{offered_session.id}"))
    assert "asked for another time" not in page and "Why this one" not in page and "that week" not in page
    assert "Why this one" in text(
        company.visitor(DANA, Purpose.TIME, offered_session.id).get(f"/time/{offered_session.id}")
    )


def test_t12_an_offered_time_that_is_busy_now_is_refused(company: WebCompany, offered_session: Session) -> None:
    """T-12: the page says so, and still offers the two others."""
    busy_time = offered_session.options[2]
    company.office.calendar.add(DANA, busy_time)
    page = f"/time/{offered_session.id}"
    client = company.visitor(SAM, Purpose.TIME, offered_session.id)
    fields = {"start": busy_time.start.isoformat(), "end": busy_time.end.isoformat(), "offered": "yes"}
    answer = send_form(client, page, page, **fields)
    assert answer.status_code == 409
    page_text = text(answer)
    assert "not to be had any more" in page_text and "Held for the two of you" in page_text
    assert answer.get_data(as_text=True).count('name="offered"') == 2
    assert company.next_session() == offered_session


@pytest.mark.parametrize("sams_option", [1, 2])  # Dana chooses the option 1
def test_t12_the_slower_of_two_choices_at_once_is_refused_unless_equal(
    company: WebCompany, offered_session: Session, sams_option: int
) -> None:
    """T-12: Dana's choice is done while the calendars are read for Sam's. Two equal choices both succeed."""
    danas_choices: list[Span] = []

    def let_dana_choose(operation: str) -> None:
        if operation == "free_busy" and not danas_choices:
            danas_choices.append(offered_session.options[1])
            company.office.worker.actions.choose_offered_time(offered_session.id, offered_session.options[1])

    page = f"/time/{offered_session.id}"
    client = company.visitor(SAM, Purpose.TIME, offered_session.id)
    fields = {name: getattr(offered_session.options[sams_option], name).isoformat() for name in ("start", "end")}
    token = hidden_value(client.get(page), "token")
    company.office.calendar.fail = let_dana_choose
    answer = client.post(page, data={"token": token, "offered": "yes", **fields})
    assert answer.status_code == (303 if sams_option == 1 else 409)
    assert sams_option == 1 or "not to be had any more" in text(answer)
    session = company.next_session()
    assert (session.span, session.count) == (offered_session.options[1], offered_session.count)


def test_t12_an_offer_ends_after_three_working_days(company: WebCompany, offered_session: Session) -> None:
    """T-12: a later choice is refused, and nothing moves."""
    assert offered_session.offer is not None
    company.office.clock.advance(offered_session.offer.until - company.office.clock() + MINUTE)
    assert choose_time(company, SAM, offered_session, offered_session.options[1]) == 409
    assert company.next_session().span == offered_session.span
    company.office.tick()
    assert company.next_session().options == ()


def test_the_booked_time_can_be_chosen_and_ends_the_offer(company: WebCompany, offered_session: Session) -> None:
    assert choose_time(company, SAM, offered_session, offered_session.span) == 303
    session = company.next_session()
    assert (session.span, session.by_hand, session.options) == (offered_session.span, True, ())


@pytest.mark.parametrize("address", [KIM, LEE])
def test_r23_links_of_other_people_do_not_open_the_page(
    company: WebCompany, offered_session: Session, address: str
) -> None:
    """R-23: the link is refused although it names the id of this session."""
    assert (
        company.visitor(address, Purpose.TIME, offered_session.id).get(f"/time/{offered_session.id}").status_code == 404
    )


# --- a question (T-11) ---


@pytest.fixture
def session_with_question(company: WebCompany, offered_session: Session) -> Session:
    """The session, with its three offered times as a question."""

    def ask_question(builder: PlanBuilder, session: Session) -> None:
        add_offer(builder, session, session.options, OfferPurpose.QUESTION)

    company.office.worker.actions.apply_to_session(offered_session.id, ask_question)
    return company.next_session()


def test_t11_a_session_can_be_left_until_the_next_quarter(company: WebCompany, session_with_question: Session) -> None:
    """T-11: this counts as no deferral, and ends the question."""
    page = f"/time/{session_with_question.id}"
    client = company.visitor(SAM, Purpose.TIME, session_with_question.id)
    assert "Leave it until the next quarter" in text(client.get(page))
    assert send_form(client, page, f"{page}/next-quarter").status_code == 303
    company.office.tick()
    later_session = company.next_session()
    assert (later_session.id, later_session.count, later_session.options) == (
        session_with_question.id,
        session_with_question.count,
        (),
    )
    assert later_session.span.start > session_with_question.span.start + 6 * WEEK  # a quarter has 13


def test_t11_t12_a_session_without_a_question_cannot_be_left_until_the_next_quarter(
    company: WebCompany, offered_session: Session
) -> None:
    page = f"/time/{offered_session.id}"
    client = company.visitor(SAM, Purpose.TIME, offered_session.id)
    assert "next quarter" not in text(client.get(page))
    assert send_form(client, page, f"{page}/next-quarter").status_code == 409
    assert company.next_session() == offered_session


def test_t11_a_question_cannot_be_answered_after_its_end_or_the_sessions_start(
    company: WebCompany, session_with_question: Session
) -> None:
    """T-11: this also holds when the page was opened in time."""
    assert session_with_question.offer is not None
    actions, clock = company.office.worker.actions, company.office.clock
    for instant in (session_with_question.offer.until, session_with_question.span.start + 5 * MINUTE):
        clock.move_to(instant)
        with pytest.raises(Refused):
            actions.leave_until_next_cycle(session_with_question.id)
    assert company.next_session() == session_with_question
