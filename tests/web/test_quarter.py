"""The operator's page about the next quarter: it shows what is booked, and nothing confidential of a pair."""

import re

from tests.support.companies import DANA, KIM, SAM, RecordedOperations
from tests.support.web_company import ALEX, LEE, QUESTION, SECRETS, WebCompany, text
from worker.domain.model import Owner, PairId, Session, SessionKind, Trigger
from worker.links import Purpose
from worker.web.security import MAIL_CONTENT_SECURITY

PAGE = "/status/quarter"


def format_session_time(company: WebCompany, session: Session) -> str:
    """Return the day and the hours of a session as the page shows them."""
    language = company.app.extensions["longarc"].choose_language("en")
    day = language.format_short_day(session.span.start.date())
    times = language.format_time_range(session.span.start, session.span.end, "Europe/Berlin")
    return " ".join(f"{day} {times}".split())


def test_the_page_shows_when_pairs_meet_next(company: WebCompany) -> None:
    """The status page links to it."""
    client = company.operator()
    assert f'href="{PAGE}"' in client.get("/status").get_data(as_text=True)
    page_text = text(client.get(PAGE))
    assert "4 pairs with 2 managers." in page_text
    for manager, report, name in (
        (DANA, SAM, "Sam Okafor"),
        (DANA, KIM, "Kim Tran"),
        (LEE, ALEX, "Alex Moreau"),
        (LEE, DANA, "Dana Whitfield"),
    ):
        assert f"{format_session_time(company, company.next_session(manager, report))} {name}" in page_text


def test_the_page_reads_no_calendar_and_changes_nothing(company: WebCompany) -> None:
    operations = RecordedOperations()
    company.office.calendar.fail = operations
    before = company.read_database()
    company.operator().get(PAGE)
    assert operations.seen == [] and company.read_database() == before


def test_r23_the_page_and_its_mails_show_no_content_and_no_ad_hoc_session(company: WebCompany) -> None:
    """They do not show either that a session was deferred."""
    company.office.worker.actions.request_ad_hoc_session(
        PairId(DANA, KIM), Trigger.LEAVING, "I have another offer", by=Owner.REPORT
    )
    company.office.tick()
    adhoc_session = next(s for s in company.sessions(DANA, KIM) if s.adhoc and s.booked)
    deferred_session = next(s for s in company.sessions(DANA, SAM) if s.count)
    client = company.operator()
    html = client.get(PAGE).get_data(as_text=True)
    mails = [client.get(path) for path in re.findall(rf'src="({PAGE}/mail/\d+)"', html)]
    assert {mail.status_code for mail in mails} == {200}
    all_html = "\n".join([html, *(mail.get_data(as_text=True) for mail in mails)])
    for secret in (
        *SECRETS.values(),
        QUESTION,
        "another offer",
        "priya",
        adhoc_session.id,
        deferred_session.id,
        "It has moved",  # in the mail about a deferral
    ):
        assert secret not in all_html
    assert f"{format_session_time(company, adhoc_session)} Kim" not in text(client.get(PAGE))


def test_each_mail_is_shown_in_a_frame_with_its_own_security_policy(company: WebCompany) -> None:
    """The policy allows nothing but the style of the mail."""
    client = company.operator()
    assert f'src="{PAGE}/mail/1"' in client.get(PAGE).get_data(as_text=True)
    assert client.get(f"{PAGE}/mail/1").headers["Content-Security-Policy"] == MAIL_CONTENT_SECURITY
    assert client.get(f"{PAGE}/mail/99").status_code == 404  # there are fewer mails


def test_only_the_operator_can_open_the_page(company: WebCompany) -> None:
    assert company.browser().get(PAGE).status_code == 403
    for address, purpose in ((DANA, Purpose.TEAM), (SAM, Purpose.ME)):
        client = company.visitor(address, purpose)
        cookie = client.get_cookie("longarc", path=f"/{purpose.value}")
        assert cookie
        client.set_cookie("longarc", cookie.value, path="/status")  # where no browser would send it
        assert client.get(PAGE).status_code == 403


def test_the_page_shows_booked_reviews(company: WebCompany) -> None:
    reviews = [s for s in company.office.store.queries.list_sessions() if s.kind is SessionKind.REVIEW and s.booked]
    page_text = text(company.operator().get(PAGE))
    assert reviews and all(f"{format_session_time(company, review)} " in page_text for review in reviews)
