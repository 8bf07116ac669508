"""The operator's page about the next quarter: what is booked, and nothing that is for the two alone."""

from tests.support.companies import DANA, KIM, SAM, RecordedOperations
from tests.support.web_company import ALEX, LEE, QUESTION, SECRETS, WebCompany, text
from worker.domain.model import Owner, PairId, Session, SessionKind, Trigger
from worker.links import Purpose
from worker.web.security import MAIL_CONTENT_SECURITY

PAGE = "/status/quarter"


def format_when(company: WebCompany, session: Session) -> str:
    """The day and the hours of a session as the page shows them."""
    language = company.app.extensions["longarc"].choose_language("en")
    day = language.format_short_day(session.span.start.date())
    times = language.format_time_range(session.span.start, session.span.end, "Europe/Berlin")
    return " ".join(f"{day} {times}".split())


def test_it_shows_when_each_pair_meets(company: WebCompany) -> None:
    """The status page leads there."""
    client = company.operator()
    assert f'href="{PAGE}"' in client.get("/status").get_data(as_text=True)
    shown = text(client.get(PAGE))
    assert "4 pairs with 2 managers." in shown
    for manager, report, name in ((DANA, KIM, "Kim Tran"), (LEE, ALEX, "Alex Moreau")):
        assert f"{format_when(company, company.next_session(manager, report))} {name}" in shown


def test_it_asks_no_calendar_and_changes_nothing(company: WebCompany) -> None:
    counts = RecordedOperations()
    company.office.calendar.fail = counts
    before = company.read_database()
    company.operator().get(PAGE)
    assert counts.seen == [] and company.read_database() == before


def test_it_holds_nothing_that_is_for_the_two_alone(company: WebCompany) -> None:
    """No word of a conversation, not that somebody asked for one, and not how an earlier one went."""
    company.office.worker.actions.request_talk(
        PairId(DANA, KIM), Trigger.LEAVING, "I have another offer", by=Owner.REPORT
    )
    company.office.tick()
    adhoc = next(s for s in company.sessions(DANA, KIM) if s.adhoc and s.booked)
    moved = next(s for s in company.sessions(DANA, SAM) if s.count)
    client = company.operator()
    mails = [mail.get_data(as_text=True) for n in range(1, 12) if (mail := client.get(f"{PAGE}/mail/{n}"))]
    everything = "\n".join([client.get(PAGE).get_data(as_text=True), *mails])
    for secret in (*SECRETS.values(), QUESTION, "another offer", "priya", adhoc.id, moved.id, "It has moved"):
        assert secret not in everything
    assert f"{format_when(company, adhoc)} Kim" not in text(client.get(PAGE))


def test_its_mails_are_shown_apart(company: WebCompany) -> None:
    """Each in a frame of its own, in which nothing but its style is allowed."""
    client = company.operator()
    assert f'src="{PAGE}/mail/1"' in client.get(PAGE).get_data(as_text=True)
    assert client.get(f"{PAGE}/mail/1").headers["Content-Security-Policy"] == MAIL_CONTENT_SECURITY
    assert client.get(f"{PAGE}/mail/99").status_code == 404


def test_only_the_operator_sees_it(company: WebCompany) -> None:
    assert company.browser().get(PAGE).status_code == 403
    for who, purpose in ((DANA, Purpose.TEAM), (SAM, Purpose.ME)):
        client = company.visitor(who, purpose)
        cookie = client.get_cookie("longarc", path=f"/{purpose.value}")
        assert cookie
        client.set_cookie("longarc", cookie.value, path="/status")
        assert client.get(PAGE).status_code == 403


def test_it_shows_reviews_that_are_booked(company: WebCompany) -> None:
    reviews = [s for s in company.office.store.queries.list_sessions() if s.kind is SessionKind.REVIEW and s.booked]
    shown = text(company.operator().get(PAGE))
    assert reviews and all(f"{format_when(company, review)} " in shown for review in reviews)
