"""The page after a refusal has the reason in the reader's language, and never the text that is for the operator."""

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

import pytest
from flask.testing import FlaskClient
from werkzeug.test import TestResponse

from tests.support.companies import DANA, DAY, HOUR, MINUTE, SAM
from tests.support.web_company import WebCompany, get_send_fields, hidden_value, send_form, text
from worker.domain.model import PairId, Trigger
from worker.domain.planning.moves import make_time_version
from worker.errors import Problem, Problems, Refused
from worker.i18n.language import Languages
from worker.links import Purpose
from worker.mail.templates import find_template_folder
from worker.web.refusals import REFUSALS
from worker.web.team import make_url_id

PAIR = PairId(DANA, SAM)
SAM_PAGE = f"/team/person/{make_url_id(PAIR)}"
GERMAN = Languages([find_template_folder() / "locale"]).find_language("de")
#: The text of a refusal as a command prints it.
FOR_OPERATORS = "Session s-4711 can't be moved. Use `longarc defer`."


def list_refusal_types(base: type[Refused] = Refused) -> list[type[Refused]]:
    """Return every type of refusal that the program has."""
    types = [base, *(refusal_type for child in base.__subclasses__() for refusal_type in list_refusal_types(child))]
    return sorted(types, key=lambda refusal_type: refusal_type.__name__)


def request_refused_page(company: WebCompany, error: Exception, language: str) -> TestResponse:
    """Return the answer to a request that ends in that error."""

    def fail() -> str:
        raise error

    company.app.add_url_rule("/refused", "refused", fail)
    return company.browser().get("/refused", headers={"Accept-Language": language})


# --- by type ---


@pytest.mark.parametrize("language", ["en", "de"])
@pytest.mark.parametrize("refusal_type", list_refusal_types())
def test_no_page_shows_the_text_of_a_refusal_for_operators(
    company: WebCompany, refusal_type: type[Refused], language: str
) -> None:
    error = refusal_type.__new__(refusal_type, FOR_OPERATORS)  # constructors of some types take no text
    assert str(error) == FOR_OPERATORS
    answer = request_refused_page(company, error, language)
    assert answer.status_code == 409
    assert "4711" not in answer.text and "longarc defer" not in answer.text
    unchanged_sentence, generic_sentence = (
        "Nothing was changed.",
        "Perhaps something is different since you opened the page",
    )
    if language == "de":
        unchanged_sentence, generic_sentence = "Es wurde nichts geändert.", "Vielleicht hat sich etwas getan"
    assert unchanged_sentence in text(answer)
    assert (generic_sentence in text(answer)) is (refusal_type not in REFUSALS)


@pytest.mark.parametrize("refusal_type", REFUSALS)
def test_the_reason_of_a_refusal_is_translated_to_german(company: WebCompany, refusal_type: type[Refused]) -> None:
    page = text(request_refused_page(company, refusal_type.__new__(refusal_type, FOR_OPERATORS), "de"))
    assert GERMAN.gettext(REFUSALS[refusal_type]) in page
    assert GERMAN.gettext(REFUSALS[refusal_type]) != REFUSALS[refusal_type] and REFUSALS[refusal_type] not in page


def test_problems_of_a_file_are_logged_and_not_shown(company: WebCompany, caplog: pytest.LogCaptureFixture) -> None:
    """No reader can repair them, such as an error in a company's own template."""
    answer = request_refused_page(
        company, Problems([Problem("brief.txt.j2", "This template gives nothing.", "Delete it.")]), "en"
    )
    assert answer.status_code == 500
    assert "brief.txt.j2" not in answer.text and "gives nothing" not in answer.text
    assert "gives nothing" in caplog.text


# --- by action ---


# Each function does what is refused, and returns the answer.


def end_commitment_twice(company: WebCompany) -> TestResponse:
    own_id, client = company.open_commitment_id("report"), company.visitor(SAM, Purpose.ME)
    send_form(client, "/me", f"/me/commitment/{own_id}/done")
    return send_form(client, "/me", f"/me/commitment/{own_id}/done")


def let_go_done_commitment(company: WebCompany) -> TestResponse:
    own_id, client = company.open_commitment_id("report"), company.visitor(SAM, Purpose.ME)
    send_form(client, "/me", f"/me/commitment/{own_id}/done")
    return send_form(client, "/me", f"/me/commitment/{own_id}/let-go")


def request_talk_twice(company: WebCompany) -> TestResponse:
    company.office.worker.actions.request_ad_hoc_session(PAIR, Trigger.DOUBT)
    return send_form(company.visitor(SAM, Purpose.ME), "/me", "/me/talk", trigger="doubt")


def request_talk_while_paused(company: WebCompany) -> TestResponse:
    client = company.visitor(SAM, Purpose.ME)
    token = hidden_value(client.get("/me"), "token")
    company.office.pairs[PAIR] = replace(company.office.pairs[PAIR], paused=True)
    company.office.apply()
    return client.post("/me/talk", data={"token": token, "trigger": "check-in"})


def leave_note_with_contract(company: WebCompany) -> TestResponse:
    return send_form(
        company.visitor(SAM, Purpose.ME),
        "/me",
        f"/me/note/{company.contracted_session().id}",
        **{"line-0": "Less on-call"},
    )


def explain_missing_move(company: WebCompany) -> TestResponse:
    page = f"/time/{company.next_session().id}"
    return send_form(
        company.visitor(SAM, Purpose.TIME, company.next_session().id), page, f"{page}/reason", reason="My week"
    )


def leave_until_next_quarter_without_question(company: WebCompany) -> TestResponse:
    page = f"/time/{company.next_session().id}"
    return send_form(company.visitor(SAM, Purpose.TIME, company.next_session().id), page, f"{page}/next-quarter")


def mark_contracted_session_not_met(company: WebCompany) -> TestResponse:
    return send_form(
        company.visitor(DANA, Purpose.TEAM), SAM_PAGE, f"{SAM_PAGE}/session/{company.contracted_session().id}/not-met"
    )


def mark_future_session_not_met(company: WebCompany) -> TestResponse:
    return send_form(
        company.visitor(DANA, Purpose.TEAM), SAM_PAGE, f"{SAM_PAGE}/session/{company.next_session().id}/not-met"
    )


def send_contract_without_meeting(company: WebCompany) -> TestResponse:
    client, page = company.open_contract_form()
    session, fields = company.held_session().id, get_send_fields(client, page)
    company.office.worker.actions.record_not_held(session)
    return client.post(f"/contract/{session}/send", data=fields)


def send_outdated_draft(company: WebCompany) -> TestResponse:
    client, page = company.open_contract_form()
    fields = get_send_fields(client, page)
    return client.post(f"/contract/{company.held_session().id}/send", data={**fields, "version": "0"})


def request_time(after: timedelta, length: timedelta) -> Callable[[WebCompany], TestResponse]:
    """Return an action that requests a time of that length. `after`: how long from now it begins."""

    def press(company: WebCompany) -> TestResponse:
        session, start = company.next_session(), company.office.clock() + after
        page = f"/time/{session.id}"
        fields = {"start": start.isoformat(), "end": (start + length).isoformat(), "anyway": "yes"}
        client: FlaskClient = company.visitor(SAM, Purpose.TIME, session.id)
        return send_form(client, page, page, version=make_time_version(session), **fields)

    return press


def request_no_time(company: WebCompany) -> TestResponse:
    page = f"/time/{company.next_session().id}"
    return send_form(company.visitor(SAM, Purpose.TIME, company.next_session().id), page, page, start="", end="")


REFUSED_ACTIONS: list[tuple[Callable[[WebCompany], TestResponse], str]] = [
    (end_commitment_twice, "This has ended already"),
    (let_go_done_commitment, "This has ended already"),
    (request_talk_twice, "Such a conversation has been asked for already"),
    (request_talk_while_paused, "they are paused, have ended, or begin later"),
    (leave_note_with_contract, "Notes belong to a conversation that took place and has no contract"),
    (explain_missing_move, "There is no move of this conversation for you to explain"),
    (leave_until_next_quarter_without_question, "not an open question any more"),
    (mark_contracted_session_not_met, "The two of you have a contract from this conversation"),
    (mark_future_session_not_met, "This conversation has not begun yet"),
    (send_contract_without_meeting, "You have not met yet, so there is nothing to record."),
    (send_outdated_draft, "This draft was changed in another window since."),
    (request_no_time, "Choose a time first."),
    (request_time(-DAY, HOUR), "This time has passed"),
    (request_time(371 * DAY, HOUR), "This time is more than a year away"),
    # the shortest is 45 minutes, and no request may be for less than 10
    (request_time(20 * DAY, 30 * MINUTE), "This is too short for your conversation"),
    (request_time(20 * DAY, 9 * MINUTE), "This is too short for your conversation"),
    (request_time(20 * DAY, 3 * HOUR), "This is longer than a conversation may be"),
]


@pytest.mark.parametrize("locale", ["en", "de"])
@pytest.mark.parametrize(
    ("perform_action", "sentence"), REFUSED_ACTIONS, ids=[sentence for _, sentence in REFUSED_ACTIONS]
)
def test_each_refused_action_shows_its_reason_in_the_readers_language(
    company: WebCompany, perform_action: Callable[[WebCompany], TestResponse], sentence: str, locale: str
) -> None:
    office = company.office
    office.persons = {email: replace(person, locale=locale) for email, person in office.persons.items()}
    office.apply()
    answer = perform_action(company)
    assert answer.status_code == 409
    page_text = text(answer)
    assert (
        company.contracted_session().id not in page_text
        and company.next_session().id not in page_text
        and "longarc" not in page_text
    )
    (full_text,) = [reason for reason in REFUSALS.values() if sentence in reason]
    assert (full_text if locale == "en" else GERMAN.gettext(full_text)) in page_text
