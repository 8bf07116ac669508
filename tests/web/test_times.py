"""Both people may choose one of the times that are held for them, on a page (R-38; T-11, T-12, T-14)."""

from datetime import timedelta

import pytest

from tests.support.companies import DANA, DAY, KIM, SAM
from tests.support.web_company import LEE, WebCompany, hidden, send, text
from worker.domain.model import OfferPurpose, Session, Span
from worker.domain.planning.offers import add_offer
from worker.errors import Refused
from worker.links import Purpose


@pytest.fixture
def offered(company: WebCompany) -> Session:
    """A session of Dana and Sam that the manager put off, so that three times are held for the two."""
    company.office.worker.actions.defer_session(company.next_session().id, by=DANA)
    company.office.tick()
    assert len(company.next_session().options) == 3
    return company.next_session()


def take(company: WebCompany, who: str, session: Session, span: Span) -> int:
    page = f"/time/{session.id}"
    fields = {"start": span.start.isoformat(), "end": span.end.isoformat(), "offered": "yes"}
    return send(company.visitor(who, Purpose.TIME, session.id), page, page, **fields).status_code


@pytest.mark.parametrize("who", [DANA, SAM])
def test_either_of_the_two_takes_one_by_one_press(company: WebCompany, offered: Session, who: str) -> None:
    """R-38, T-12: the other times are free again, and it counts as nothing."""
    assert take(company, who, offered, offered.options[1]) == 303
    chosen = company.next_session()
    assert (chosen.span, chosen.count, chosen.options) == (offered.options[1], offered.count, ())


def test_looking_at_the_page_changes_nothing(company: WebCompany, offered: Session) -> None:
    """R-38: mail scanners open links."""
    before = company.read_database()
    page = text(company.visitor(SAM, Purpose.TIME, offered.id).get(f"/time/{offered.id}"))
    assert "Held for the two of you" in page and "does not count as another move" in page
    assert company.read_database() == before


def test_what_fits_best_is_near_the_time_that_it_has(company: WebCompany, offered: Session) -> None:
    """T-10: a deferred conversation of January is not proposed for October."""
    page = text(company.visitor(SAM, Purpose.TIME, offered.id).get(f"/time/{offered.id}"))
    assert "What fits best" in page and "January" in page.partition("What fits best")[2]
    assert "October" not in page.partition("What fits best")[2]


def test_the_report_sees_no_reason_of_the_manager(company: WebCompany, offered: Session) -> None:
    """R-38: nor how one time is better than another for the manager's weeks."""
    page = text(company.visitor(SAM, Purpose.TIME, offered.id).get(f"/time/{offered.id}"))
    assert "asked for another time" not in page and "Why this one" not in page and "that week" not in page
    assert "Why this one" in text(company.visitor(DANA, Purpose.TIME, offered.id).get(f"/time/{offered.id}"))


def test_a_time_that_was_booked_meanwhile_is_not_taken(company: WebCompany, offered: Session) -> None:
    """T-12: the page says so, and shows the others."""
    third = offered.options[2]
    company.office.calendar.add(DANA, third)
    page = f"/time/{offered.id}"
    client = company.visitor(SAM, Purpose.TIME, offered.id)
    fields = {"start": third.start.isoformat(), "end": third.end.isoformat(), "offered": "yes"}
    answer = send(client, page, page, **fields)
    assert answer.status_code == 409
    told = text(answer)
    assert "not to be had any more" in told and "Held for the two of you" in told
    assert answer.get_data(as_text=True).count('name="offered"') == 2
    assert company.next_session() == offered


@pytest.mark.parametrize("second", [1, 2])
def test_of_two_who_choose_at_once_one_is_told_that_the_other_was_faster(
    company: WebCompany, offered: Session, second: int
) -> None:
    """T-12: while the calendars are read for Sam's press, Dana's is done; choosing the same time suits both."""
    chosen: list[Span] = []

    def let_dana_choose(operation: str) -> None:
        if operation == "free_busy" and not chosen:
            chosen.append(offered.options[1])
            company.office.worker.actions.choose_offered_time(offered.id, offered.options[1])

    page = f"/time/{offered.id}"
    client = company.visitor(SAM, Purpose.TIME, offered.id)
    fields = {name: getattr(offered.options[second], name).isoformat() for name in ("start", "end")}
    token = hidden(client.get(page), "token")
    company.office.calendar.fail = let_dana_choose
    answer = client.post(page, data={"token": token, "offered": "yes", **fields})
    assert answer.status_code == (303 if second == 1 else 409)
    assert second == 1 or "not to be had any more" in text(answer)
    kept = company.next_session()
    assert (kept.span, kept.count) == (offered.options[1], offered.count)


def test_after_three_working_days_it_is_held_no_longer(company: WebCompany, offered: Session) -> None:
    """T-12: who presses then is told, and nothing moves."""
    assert offered.offer is not None
    company.office.clock.advance(offered.offer.until - company.office.clock() + timedelta(minutes=1))
    assert take(company, SAM, offered, offered.options[1]) == 409
    assert company.next_session().span == offered.span
    company.office.tick()
    assert company.next_session().options == ()


def test_keeping_the_time_that_stands_is_an_answer_too(company: WebCompany, offered: Session) -> None:
    assert take(company, SAM, offered, offered.span) == 303
    kept = company.next_session()
    assert (kept.span, kept.by_hand, kept.options) == (offered.span, True, ())


@pytest.mark.parametrize("who", [KIM, LEE])
def test_another_persons_link_opens_nothing(company: WebCompany, offered: Session, who: str) -> None:
    """R-23: not even with the id of the session in a link of their own."""
    assert company.visitor(who, Purpose.TIME, offered.id).get(f"/time/{offered.id}").status_code == 404


# --- a question (T-11) ---


@pytest.fixture
def asked(company: WebCompany, offered: Session) -> Session:
    company.office.worker.actions.apply_to_session(
        offered.id, lambda builder, session: _ask(add_offer(builder, session, session.options, OfferPurpose.QUESTION))
    )
    return company.next_session()


def _ask(_: Session) -> None:
    return None


def test_it_is_left_until_the_next_quarter_by_one_press(company: WebCompany, asked: Session) -> None:
    """T-11."""
    page = f"/time/{asked.id}"
    client = company.visitor(SAM, Purpose.TIME, asked.id)
    assert "Leave it until the next quarter" in text(client.get(page))
    assert send(client, page, f"{page}/next-quarter").status_code == 303
    company.office.tick()
    left = company.next_session()
    assert (left.id, left.count, left.options) == (asked.id, asked.count, ())
    assert left.span.start > asked.span.start + 6 * 7 * DAY


def test_nobody_leaves_out_what_was_not_asked_about(company: WebCompany, offered: Session) -> None:
    """T-11, T-12."""
    page = f"/time/{offered.id}"
    client = company.visitor(SAM, Purpose.TIME, offered.id)
    assert "next quarter" not in text(client.get(page))
    assert send(client, page, f"{page}/next-quarter").status_code == 409
    assert company.next_session() == offered


def test_it_is_not_left_out_once_the_time_to_answer_is_over_or_it_has_begun(
    company: WebCompany, asked: Session
) -> None:
    """T-11: a page that was left open gives no later say."""
    assert asked.offer is not None
    actions, clock = company.office.worker.actions, company.office.clock
    for instant in (asked.offer.until, asked.span.start + timedelta(minutes=5)):
        clock.move_to(instant)
        with pytest.raises(Refused):
            actions.leave_until_next_cycle(asked.id)
    assert company.next_session() == asked
