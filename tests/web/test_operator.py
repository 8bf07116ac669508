"""R-23, T-17: an operator who signed in can pause, resume and try again; the history names the operator."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from tests.support.companies import DANA, HOUR, KIM, OPERATOR, SAM
from tests.support.issuers import BOTH_ROLES, HILDA, sign_in, sign_in_settings
from tests.support.web_company import LEE, SECRETS, SavedCompany, WebCompany, hidden_value, send_form, text
from worker.clock import utcnow
from worker.domain.model import Event, Participation, Session
from worker.store.tables import channel, person

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")  # of the issuer of another project


@pytest.fixture(name="company")
def company_with_groups(saved_company: SavedCompany, tmp_path: Path, issuer: str) -> Iterator[WebCompany]:
    """The company with a sign-in, today, with Sam in the group Sales and Kim in one whose name has markup."""
    company = WebCompany.of(saved_company, tmp_path, **sign_in_settings(issuer))
    company.office.clock.move_to(utcnow())
    with company.office.store.database.write() as connection:
        for email, group in ((SAM, "Sales"), (KIM, "R&D <3>")):
            connection.execute(update(person).where(person.c.email == email).values(group=group))
    yield company
    company.office.close()


def sign_in_as_operator(company: WebCompany, sub: str = OPERATOR) -> FlaskClient:
    """Return a browser in which the user `sub` of the issuer has signed in."""
    client = company.browser()
    assert sign_in(client, sub, "/status").status_code == 200
    return client


def load_participation(company: WebCompany) -> dict[str, Participation]:
    """Return whether each pair takes part, by its report."""
    return {pair.report: pair.participation for pair in company.office.store.people.load_all_pairs().values()}


def test_t17_a_group_is_paused_and_resumed_and_the_history_names_the_operator(company: WebCompany) -> None:
    client = sign_in_as_operator(company)
    assert "Who takes part: pause and resume" in text(client.get("/status"))
    question_page = client.get("/status/rollout/pause?group=Sales")
    assert "Pause the group Sales? One pair stops." in text(question_page)
    assert load_participation(company)[SAM] is Participation.YES
    page = client.post("/status/rollout/pause", data={"token": hidden_value(question_page, "token"), "group": "Sales"})
    assert page.headers["Location"] == "/status/rollout?said=paused"
    assert [address for address, value in load_participation(company).items() if value is not Participation.YES] == [
        SAM
    ]
    assert f"{OPERATOR} : paused, Sales" in text(client.get("/status/rollout"))
    colleague = sign_in_as_operator(company, BOTH_ROLES)  # another operator
    send_form(colleague, "/status/rollout/resume?group=Sales", "/status/rollout/resume", group="Sales")
    assert set(load_participation(company).values()) == {Participation.YES}
    page_text = text(colleague.get("/status/rollout"))
    # the latest action comes first
    assert page_text.index(f"{BOTH_ROLES} : resumed, Sales") < page_text.index(f"{OPERATOR} : paused, Sales")
    lines = [line for line in company.office.store.queries.list_history() if line["what"] == "operator_action"]
    assert [(line["fields"]["by"], line["fields"]["name"]) for line in lines] == [
        (OPERATOR, "pause"),
        (BOTH_ROLES, "resume"),
    ]


def test_everybody_can_be_paused_and_no_booked_session_remains(company: WebCompany) -> None:
    """Neither in the database nor on a calendar."""
    company.office.tick()
    assert list_booked_sessions(company) and any(list_future_events(company).values())
    client = sign_in_as_operator(company)
    send_form(client, "/status/rollout/pause", "/status/rollout/pause")
    assert set(load_participation(company).values()) == {Participation.EVERYBODY_PAUSED}
    company.office.tick()
    assert list_booked_sessions(company) == []
    assert list_future_events(company) == {address: [] for address in company.office.persons}
    assert "Resume everybody" in text(client.get("/status/rollout"))
    send_form(client, "/status/rollout/resume", "/status/rollout/resume")
    assert set(load_participation(company).values()) == {Participation.YES}


def list_booked_sessions(company: WebCompany) -> list[Session]:
    """Return the booked sessions that are to come."""
    sessions = company.office.store.queries.list_sessions()
    return [session for session in sessions if session.booked and session.span.start > company.office.clock()]


def list_future_events(company: WebCompany) -> dict[str, list[Event]]:
    """Return our events that are to come, on the calendar of each person."""
    now = company.office.clock()
    return {
        address: [event for event in company.office.events(address) if event.span.start > now]
        for address in company.office.persons
    }


def test_actions_without_an_effect_or_a_group_are_not_found(company: WebCompany) -> None:
    client = sign_in_as_operator(company)
    token = hidden_value(client.get("/status/rollout"), "token")
    before = company.read_database()
    for action, group in (("resume", "Sales"), ("resume", ""), ("pause", "Board"), ("stop", "Sales")):
        # nobody is paused; there is no group Board and no action stop
        data = {"token": token, "group": group}
        assert client.get(f"/status/rollout/{action}?group={group}").status_code == 404
        assert client.post(f"/status/rollout/{action}", data=data).status_code == 404
    # whose calendar is not suspended
    assert client.post("/status/retry", data={"token": token, "person": DANA}).status_code == 404
    assert company.read_database() == before


def test_a_suspended_calendar_can_be_tried_again_at_once(company: WebCompany) -> None:
    company.office.store.people.suspend(DANA, company.office.clock() + HOUR)
    client = sign_in_as_operator(company)
    page = client.get("/status")
    assert "Try it now" in text(page)
    answer = client.post(
        "/status/retry", data={"token": hidden_value(page, "token"), "person": hidden_value(page, "person")}
    )
    assert "said=retried" in answer.headers["Location"]
    assert company.office.store.people.load_suspensions() == {}
    assert f"{OPERATOR} : tried again at once, {DANA}" in text(client.get("/status/rollout"))


def test_calendars_without_notifications_are_counted_with_one_problem(company: WebCompany) -> None:
    """One channel fails, one is trusted, and one is silent: on it our own change did not come back within an hour."""
    now = company.office.clock()
    client = sign_in_as_operator(company)
    assert "Notifications of changes" not in text(client.get("/status"))
    open_channel = {"service": "google", "expires_at": now + HOUR, "due_at": now + HOUR}
    with company.office.store.database.write() as connection:
        failing_channel = {
            "calendar": LEE,
            "service": "google",
            "failures": 1,
            "problem": "<No> answer.",
            "due_at": now + HOUR,
        }
        connection.execute(insert(channel), [failing_channel])
        connection.execute(insert(channel), [{"calendar": SAM, **open_channel, "proven_at": now}])
        connection.execute(insert(channel), [{"calendar": DANA, **open_channel, "awaiting_since": now - HOUR}])
    page_text = text(client.get("/status"))
    assert "Longarc is not told of changes on 1 calendar. <No> answer. “longarc check” tries the address." in page_text
    assert f"Our own change on the calendar of {DANA} did not come back." in page_text
    assert "Notifications of changes trusted 1 not yet proven 0 silent 1 refused 1" in page_text


def test_r23_the_operators_link_and_other_roles_can_change_nothing(company: WebCompany) -> None:
    """A link does not prove who follows it, so that it only shows the page."""
    company.office.store.people.suspend(DANA, company.office.clock() + HOUR)
    browser_with_link = company.operator()
    page = browser_with_link.get("/status")
    assert ("Try it now" in text(page), "longarc retry" in text(page)) == (False, True)
    hilda = company.browser()
    token = hidden_value(sign_in(hilda, HILDA, "/people-ops"), "token")
    before = company.read_database()
    for client, form_token in ((browser_with_link, hidden_value(page, "token")), (hilda, token)):
        for path in ("/status/rollout/pause", "/status/retry"):
            assert client.post(path, data={"token": form_token, "person": DANA}).status_code == 403
    signed_in = sign_in_as_operator(company)
    for path in ("/status/rollout/pause", "/status/retry"):
        assert signed_in.post(path, data={"token": "x", "person": DANA}).status_code == 403
    assert company.read_database() == before


def test_r23_pages_of_the_operator_show_no_content_and_escape_names(company: WebCompany) -> None:
    client = sign_in_as_operator(company)
    for path in ("/status", "/status/rollout", "/status/rollout/pause?group=R%26D%20%3C3%3E"):
        page = client.get(path)
        assert page.status_code == 200, path
        assert [secret for secret in SECRETS.values() if secret in page.text] == []
        assert "<3>" not in page.text
    assert "R&amp;D &lt;3&gt;" in client.get("/status/rollout").text
