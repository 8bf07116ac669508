"""An operator who signed in pauses, resumes and tries again; the history says who did it (R-23, T-17)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert, update

from tests.support.companies import DANA, HOUR, KIM, OPERATOR, SAM
from tests.support.issuers import BOTH, HILDA, serve_issuer, sign_in, sign_in_settings
from tests.support.web_company import LEE, SECRETS, SavedCompany, WebCompany, hidden, send, text
from worker.clock import utcnow
from worker.domain.model import Participation
from worker.store.tables import channel, person

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")  # of the issuer that others wrote


@pytest.fixture(scope="module", name="issuer")
def issuer_of_others() -> Iterator[str]:
    with serve_issuer() as url:
        yield url


@pytest.fixture(name="company")
def company_with_groups(saved_company: SavedCompany, tmp_path: Path, issuer: str) -> Iterator[WebCompany]:
    """The company with a sign-in; Sam and Kim are in groups."""
    company = WebCompany.of(saved_company, tmp_path, **sign_in_settings(issuer))
    company.office.clock.move_to(utcnow())
    with company.office.store.database.write() as connection:
        for email, group in ((SAM, "Sales"), (KIM, "R&D <3>")):
            connection.execute(update(person).where(person.c.email == email).values(group=group))
    yield company
    company.office.close()


def operator(company: WebCompany, sub: str = OPERATOR) -> FlaskClient:
    client = company.browser()
    assert sign_in(client, sub, "/status").status_code == 200
    return client


def participation(company: WebCompany) -> dict[str, Participation]:
    return {one.report: one.participation for one in company.office.store.people.load_all_pairs().values()}


def test_group_is_paused_and_resumed_by_name_and_the_history_says_by_whom(company: WebCompany) -> None:
    client = operator(company)
    assert "Who takes part: pause and resume" in text(client.get("/status"))
    asked = client.get("/status/rollout/pause?group=Sales")
    assert "Pause the group Sales? One pair stops." in text(asked)
    assert participation(company)[SAM] is Participation.YES
    page = client.post("/status/rollout/pause", data={"token": hidden(asked, "token"), "group": "Sales"})
    assert page.headers["Location"] == "/status/rollout?said=paused"
    assert {who for who, value in participation(company).items() if value} == {SAM}
    assert f"{OPERATOR} : paused, Sales" in text(client.get("/status/rollout"))
    colleague = operator(company, BOTH)
    send(colleague, "/status/rollout/resume?group=Sales", "/status/rollout/resume", group="Sales")
    assert set(participation(company).values()) == {Participation.YES}
    words = text(colleague.get("/status/rollout"))
    assert words.index(f"{BOTH} : resumed, Sales") < words.index(f"{OPERATOR} : paused, Sales")
    lines = [one for one in company.office.store.queries.list_history() if one["what"] == "operator_action"]
    assert [(one["fields"]["by"], one["fields"]["name"]) for one in lines] == [(OPERATOR, "pause"), (BOTH, "resume")]


def test_everybody_is_paused_and_events_come_off(company: WebCompany) -> None:
    company.office.tick()
    client = operator(company)
    send(client, "/status/rollout/pause", "/status/rollout/pause")
    assert set(participation(company).values()) == {Participation.EVERYBODY_PAUSED}
    company.office.tick()
    assert [one for pair in company.office.store.people.load_all_pairs() for one in _booked(company, pair)] == []
    assert "Resume everybody" in text(client.get("/status/rollout"))
    send(client, "/status/rollout/resume", "/status/rollout/resume")
    assert set(participation(company).values()) == {Participation.YES}


def _booked(company: WebCompany, pair: object) -> list[object]:
    found = company.office.store.queries.list_sessions(pair)  # type: ignore[arg-type]
    return [one for one in found if one.booked and one.span.start > company.office.clock()]


def test_what_is_done_already_or_does_not_exist_is_not_there(company: WebCompany) -> None:
    client = operator(company)
    token = hidden(client.get("/status/rollout"), "token")
    before = company.read_database()
    for action, group in (("resume", "Sales"), ("resume", ""), ("pause", "Board"), ("stop", "Sales")):
        data = {"token": token, "group": group}
        assert client.get(f"/status/rollout/{action}?group={group}").status_code == 404
        assert client.post(f"/status/rollout/{action}", data=data).status_code == 404
    assert client.post("/status/retry", data={"token": token, "person": DANA}).status_code == 404
    assert company.read_database() == before


def test_suspended_calendar_is_tried_at_once(company: WebCompany) -> None:
    company.office.store.people.suspend(DANA, company.office.clock() + HOUR)
    client = operator(company)
    page = client.get("/status")
    assert "Try it now" in text(page)
    done = client.post("/status/retry", data={"token": hidden(page, "token"), "person": hidden(page, "person")})
    assert "said=retried" in done.headers["Location"]
    assert company.office.store.people.load_suspensions() == {}
    assert f"{OPERATOR} : tried again at once, {DANA}" in text(client.get("/status/rollout"))


def test_calendars_whose_changes_are_not_told_are_counted_with_the_problem_of_one(company: WebCompany) -> None:
    now = company.office.clock()
    client = operator(company)
    assert "Notifications of changes" not in text(client.get("/status"))
    opened = {"service": "google", "expires_at": now + HOUR, "due_at": now + HOUR}
    with company.office.store.database.write() as connection:
        refused = {"calendar": LEE, "service": "google", "failures": 1, "problem": "<No> answer.", "due_at": now + HOUR}
        connection.execute(insert(channel), [refused])
        connection.execute(insert(channel), [{"calendar": SAM, **opened, "proven_at": now}])
        connection.execute(insert(channel), [{"calendar": DANA, **opened, "awaiting_since": now - HOUR}])
    words = text(client.get("/status"))
    assert "Longarc is not told of changes on 1 calendar. <No> answer. “longarc check” tries the address." in words
    assert f"Our own change on the calendar of {DANA} did not come back." in words
    assert "Notifications of changes trusted 1 not yet proven 0 silent 1 refused 1" in words


def test_link_from_a_terminal_and_other_roles_switch_nothing(company: WebCompany) -> None:
    """A link names nobody, so it opens the page alone."""
    company.office.store.people.suspend(DANA, company.office.clock() + HOUR)
    by_link = company.operator()
    page = by_link.get("/status")
    assert ("Try it now" in text(page), "longarc retry" in text(page)) == (False, True)
    hilda = company.browser()
    token = hidden(sign_in(hilda, HILDA, "/people-ops"), "token")
    before = company.read_database()
    for client, status, proof in ((by_link, 403, hidden(page, "token")), (hilda, 403, token)):
        for where in ("/status/rollout/pause", "/status/retry"):
            assert client.post(where, data={"token": proof, "person": DANA}).status_code == status
    signed_in = operator(company)
    for where in ("/status/rollout/pause", "/status/retry"):
        assert signed_in.post(where, data={"token": "x", "person": DANA}).status_code == 403
    assert company.read_database() == before


def test_pages_show_no_word_of_a_conversation_and_escape_names(company: WebCompany) -> None:
    client = operator(company)
    for where in ("/status", "/status/rollout", "/status/rollout/pause?group=R%26D%20%3C3%3E"):
        page = client.get(where)
        assert page.status_code == 200, where
        assert [one for one in SECRETS.values() if one in page.text] == []
        assert "<3>" not in page.text
    assert "R&amp;D &lt;3&gt;" in client.get("/status/rollout").text
