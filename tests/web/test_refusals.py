"""What a page says when something was refused: in the reader's words and language, and never the operator's text."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.companies import DANA, DAY, HOUR, MINUTE, SAM
from tests.support.web_company import WebCompany, hidden, send, send_fields, text
from worker.domain.model import PairId, Trigger
from worker.domain.planning.moves import make_time_version
from worker.errors import Problem, Problems, Refused
from worker.i18n.language import Languages
from worker.links import Purpose
from worker.mail.templates import find_template_folder
from worker.web.refusals import REFUSALS
from worker.web.team import make_url_id

PAIR = PairId(DANA, SAM)
SAMS = f"/team/person/{make_url_id(PAIR)}"
GERMAN = Languages([find_template_folder() / "locale"]).find_language("de")
#: As the errors of commands are written.
FOR_OPERATORS = "Session s-4711 can't be moved. Use `longarc defer`."


def list_kinds(base: type[Refused] = Refused) -> list[type[Refused]]:
    """Every type of refusal that the program has."""
    kinds = [base, *(kind for child in base.__subclasses__() for kind in list_kinds(child))]
    return sorted(kinds, key=lambda kind: kind.__name__)


def refuse(company: WebCompany, error: Exception, language: str) -> TestResponse:
    """The page of somebody whose request ends in that error."""

    def fail() -> str:
        raise error

    company.app.add_url_rule("/refused", "refused", fail)
    return company.browser().get("/refused", headers={"Accept-Language": language})


# --- by type ---


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("kind", list_kinds())
def test_the_operators_text_is_on_no_page(company: WebCompany, kind: type[Refused], language: str) -> None:
    error = kind.__new__(kind, FOR_OPERATORS)
    assert str(error) == FOR_OPERATORS
    answer = refuse(company, error, language)
    assert answer.status_code == 409
    assert "4711" not in answer.text and "longarc defer" not in answer.text
    nothing, perhaps = "Nothing was changed.", "Perhaps something is different since you opened the page"
    if language == "de":
        nothing, perhaps = "Es wurde nichts geändert.", "Vielleicht hat sich etwas getan"
    assert nothing in text(answer)
    assert (perhaps in text(answer)) is (kind not in REFUSALS)


@pytest.mark.parametrize("kind", REFUSALS)
def test_a_german_reader_is_told_why_in_german(company: WebCompany, kind: type[Refused]) -> None:
    page = text(refuse(company, kind.__new__(kind, FOR_OPERATORS), "de"))
    assert GERMAN.gettext(REFUSALS[kind]) in page
    assert GERMAN.gettext(REFUSALS[kind]) != REFUSALS[kind] and REFUSALS[kind] not in page


def test_problems_of_a_file_are_for_the_operator(company: WebCompany, caplog: pytest.LogCaptureFixture) -> None:
    """Such as those of a company's own template, which no reader can repair."""
    answer = refuse(company, Problems([Problem("brief.txt.j2", "This template gives nothing.", "Delete it.")]), "en")
    assert answer.status_code == 500
    assert "brief.txt.j2" not in answer.text and "gives nothing" not in answer.text
    assert "gives nothing" in caplog.text


# --- by what people do ---


def end_commitment_twice(company: WebCompany) -> TestResponse:
    mine, client = company.open_commitment_id("report"), company.visitor(SAM, Purpose.ME)
    send(client, "/me", f"/me/commitment/{mine}/done")
    return send(client, "/me", f"/me/commitment/{mine}/done")


def let_go_what_is_done(company: WebCompany) -> TestResponse:
    mine, client = company.open_commitment_id("report"), company.visitor(SAM, Purpose.ME)
    send(client, "/me", f"/me/commitment/{mine}/done")
    return send(client, "/me", f"/me/commitment/{mine}/let-go")


def ask_twice(company: WebCompany) -> TestResponse:
    company.office.worker.actions.request_talk(PAIR, Trigger.DOUBT)
    return send(company.visitor(SAM, Purpose.ME), "/me", "/me/talk", trigger="doubt")


def ask_while_paused(company: WebCompany) -> TestResponse:
    client = company.visitor(SAM, Purpose.ME)
    token = hidden(client.get("/me"), "token")
    company.office.pairs[PAIR] = replace(company.office.pairs[PAIR], paused=True)
    company.office.apply()
    return client.post("/me/talk", data={"token": token, "trigger": "check-in"})


def note_about_a_contract(company: WebCompany) -> TestResponse:
    return send(
        company.visitor(SAM, Purpose.ME),
        "/me",
        f"/me/note/{company.contracted_session().id}",
        **{"line-0": "Less on-call"},
    )


def explain_no_move(company: WebCompany) -> TestResponse:
    page = f"/time/{company.next_session().id}"
    return send(company.visitor(SAM, Purpose.TIME, company.next_session().id), page, f"{page}/reason", reason="My week")


def leave_what_is_not_asked(company: WebCompany) -> TestResponse:
    page = f"/time/{company.next_session().id}"
    return send(company.visitor(SAM, Purpose.TIME, company.next_session().id), page, f"{page}/next-quarter")


def miss_what_has_a_contract(company: WebCompany) -> TestResponse:
    return send(company.visitor(DANA, Purpose.TEAM), SAMS, f"{SAMS}/session/{company.contracted_session().id}/not-met")


def miss_what_is_to_come(company: WebCompany) -> TestResponse:
    return send(company.visitor(DANA, Purpose.TEAM), SAMS, f"{SAMS}/session/{company.next_session().id}/not-met")


def record_before_meeting(company: WebCompany) -> TestResponse:
    client, page = company.open_contract_form()
    session, fields = company.held_session().id, send_fields(client, page)
    company.office.worker.actions.record_not_held(session)
    return client.post(f"/contract/{session}/send", data=fields)


def send_an_old_draft(company: WebCompany) -> TestResponse:
    client, page = company.open_contract_form()
    fields = send_fields(client, page)
    return client.post(f"/contract/{company.held_session().id}/send", data={**fields, "version": "0"})


def take(after: timedelta, length: timedelta) -> Callable[[WebCompany], TestResponse]:
    """Choose a time that begins so much later than now, and is so long."""

    def press(company: WebCompany) -> TestResponse:
        session, start = company.next_session(), company.office.clock() + after
        page = f"/time/{session.id}"
        fields = {"start": start.isoformat(), "end": (start + length).isoformat(), "anyway": "yes"}
        client: FlaskClient = company.visitor(SAM, Purpose.TIME, session.id)
        return send(client, page, page, version=make_time_version(session), **fields)

    return press


def take_none(company: WebCompany) -> TestResponse:
    page = f"/time/{company.next_session().id}"
    return send(company.visitor(SAM, Purpose.TIME, company.next_session().id), page, page, start="", end="")


DEEDS: list[tuple[Callable[[WebCompany], TestResponse], str]] = [
    (end_commitment_twice, "This has ended already"),
    (let_go_what_is_done, "This has ended already"),
    (ask_twice, "Such a conversation has been asked for already"),
    (ask_while_paused, "they are paused, have ended, or begin later"),
    (note_about_a_contract, "Notes belong to a conversation that took place and has no contract"),
    (explain_no_move, "There is no move of this conversation for you to explain"),
    (leave_what_is_not_asked, "not an open question any more"),
    (miss_what_has_a_contract, "The two of you have a contract from this conversation"),
    (miss_what_is_to_come, "This conversation has not begun yet"),
    (record_before_meeting, "You have not met yet, so there is nothing to record."),
    (send_an_old_draft, "This draft was changed in another window since."),
    (take_none, "Choose a time first."),
    (take(-DAY, HOUR), "This time has passed"),
    (take(371 * DAY, HOUR), "This time is more than a year away"),
    (take(20 * DAY, 30 * MINUTE), "This is too short for your conversation"),
    (take(20 * DAY, 9 * MINUTE), "This is too short for your conversation"),
    (take(20 * DAY, 3 * HOUR), "This is longer than a conversation may be"),
]


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize(("do", "sentence"), DEEDS, ids=[sentence for _, sentence in DEEDS])
def test_people_read_in_their_language_why_it_was_refused(
    company: WebCompany, do: Callable[[WebCompany], TestResponse], sentence: str, locale: str
) -> None:
    office = company.office
    office.persons = {email: replace(person, locale=locale) for email, person in office.persons.items()}
    office.apply()
    answer = do(company)
    assert answer.status_code == 409
    told = text(answer)
    assert (
        company.contracted_session().id not in told and company.next_session().id not in told and "longarc" not in told
    )
    (whole,) = [words for words in REFUSALS.values() if sentence in words]
    assert (whole if locale == "en" else GERMAN.gettext(whole)) in told
