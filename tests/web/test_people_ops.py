"""R-29: people-ops change the openings on their page, which writes them to the file of openings."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.companies import DANA, KIM, OPERATOR, SAM
from tests.support.issuers import HILDA, sign_in, sign_in_settings
from tests.support.web_company import ALEX, LEE, SavedCompany, WebCompany, hidden_value, send_form, text
from worker.clock import utcnow
from worker.domain.rollout import Rollout
from worker.links import Purpose

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")  # of the issuer of another project

PAGE = "/people-ops/openings"
#: The path of the only opening: that in line 2 of the file, below the names of the columns.
OPENING_PATH = f"{PAGE}/2"
OPENING = {"title": "Lead of <billing>", "kind": "project", "until": "2099-03-31", "contact": "ines@corp.example"}


@pytest.fixture(name="company")
def company_with_openings_file(saved_company: SavedCompany, tmp_path: Path, issuer: str) -> Iterator[WebCompany]:
    """The company with a sign-in and the path of an openings file, which does not exist yet. Its clock shows today."""
    company = WebCompany.of(
        saved_company, tmp_path, openings=str(tmp_path / "openings.csv"), **sign_in_settings(issuer)
    )
    company.office.clock.move_to(utcnow())
    yield company
    company.office.close()


def sign_in_as_people_ops(company: WebCompany) -> FlaskClient:
    client = company.browser()
    assert sign_in(client, HILDA, "/people-ops").status_code == 200
    return client


def test_r29_an_opening_is_added_changed_and_removed_and_reports_see_it(company: WebCompany) -> None:
    client = sign_in_as_people_ops(company)
    version = hidden_value(client.get(PAGE), "version")
    assert send_form(client, PAGE, PAGE, version=version, **OPENING).headers["Location"] == f"{PAGE}?said=openings"
    page = client.get(PAGE)
    assert "Lead of <billing>" in text(page)
    assert "<billing>" not in page.text
    assert "Lead of <billing>" in text(company.visitor(SAM, Purpose.ME).get("/me"))
    changed_fields = {**OPENING, "title": "Lead of payments", "version": hidden_value(page, "version")}
    assert send_form(client, PAGE, f"{OPENING_PATH}/change", **changed_fields).status_code == 303
    assert "Lead of payments" in text(client.get(PAGE))
    assert (
        send_form(client, PAGE, f"{OPENING_PATH}/remove", version=hidden_value(client.get(PAGE), "version")).status_code
        == 303
    )
    assert "None yet." in text(client.get(PAGE))
    operator_actions = company.office.store.operator_actions.list_latest(limit=9)
    # one for each of the three changes
    assert [(action.by, action.name) for action in operator_actions] == [(HILDA, "openings")] * 3


def test_an_invalid_opening_is_reported_and_the_entries_are_kept(company: WebCompany) -> None:
    client = sign_in_as_people_ops(company)
    invalid_fields = {**OPENING, "link": "jobs.corp.example", "version": hidden_value(client.get(PAGE), "version")}
    page = send_form(client, PAGE, PAGE, **invalid_fields)
    assert page.status_code == 422
    assert "Write the whole address of a page" in text(page)
    assert 'value="jobs.corp.example"' in page.text
    assert not company.office.settings.openings_file.exists()
    assert company.office.store.operator_actions.list_latest(limit=9) == []


def test_each_invalid_field_is_explained_in_the_language_of_the_browser(company: WebCompany) -> None:
    client = sign_in_as_people_ops(company)
    fields = {"token": hidden_value(client.get(PAGE), "token"), "version": hidden_value(client.get(PAGE), "version")}
    invalid_fields = {"title": "", "kind": "job", "until": "soon", "link": "jobs", "contact": "ines", "note": "x" * 301}
    page = client.post(PAGE, data={**fields, **invalid_fields, "group": "x" * 200}, headers={"Accept-Language": "de"})
    assert page.status_code == 422
    for sentence in ("Schreib einen Titel mit höchstens 120 Zeichen.", "Wähl eine der Arten aus.",
                     "Nenn den letzten Tag, an dem der Eintrag gezeigt wird", "Schreib den kurzen Namen",
                     "Schreib die ganze Adresse einer Seite", "Schreib eine E-Mail-Adresse",
                     "Sag es in höchstens 300 Zeichen."):  # fmt: skip
        assert sentence in text(page), sentence
    assert "missing" not in text(page) and "longer than" not in text(page)


def test_a_change_of_openings_that_somebody_else_changed_is_refused(company: WebCompany) -> None:
    client, file = sign_in_as_people_ops(company), company.office.settings.openings_file
    version = hidden_value(client.get(PAGE), "version")
    file.write_text("title,kind,until\nDesigner,opening,2099-02-26\n", encoding="utf-8")
    page = send_form(client, PAGE, PAGE, version=version, **OPENING)
    assert (page.status_code, "Somebody else has changed the openings" in text(page)) == (409, True)
    assert "Designer" in text(client.get(PAGE))


def test_problems_of_the_file_are_shown_and_it_cannot_be_changed(company: WebCompany) -> None:
    file = company.office.settings.openings_file
    file.write_text("title,kind,until\nDesigner,job,2099-02-26\n", encoding="utf-8")
    page = sign_in_as_people_ops(company).get(PAGE)
    assert "openings.csv:line 2, kind" in text(page)
    assert "Add one" not in text(page)


def test_openings_are_changed_only_by_people_ops_with_valid_forms(company: WebCompany) -> None:
    client, operators_browser = sign_in_as_people_ops(company), company.browser()
    sign_in(operators_browser, OPERATOR, "/status")
    version = hidden_value(client.get(PAGE), "version")
    token = hidden_value(client.get(PAGE), "token")
    assert operators_browser.get(PAGE).status_code == 403
    for browser, form_token in ((operators_browser, token), (client, "x"), (company.browser(), token)):
        for path in (PAGE, f"{OPENING_PATH}/change", f"{OPENING_PATH}/remove"):
            assert browser.post(path, data={"token": form_token, "version": version, **OPENING}).status_code == 403
    assert not company.office.settings.openings_file.exists()


def test_r22_the_page_names_the_groups_of_the_pilot_and_no_address(company: WebCompany) -> None:
    """R-22: only groups are named. Managers who are named one by one may be too few for a group."""
    assert "The pilot is for" not in text(sign_in_as_people_ops(company).get("/people-ops"))
    rollout = Rollout(groups=("Sales", "Legal"), managers=(DANA, LEE))
    company.office.store.participation.update(rollout, None, company.office.clock(), lambda _: "")
    page = sign_in_as_people_ops(company).get("/people-ops")
    assert "The pilot is for: Legal , Sales , people who are named one by one" in text(page)
    assert [address for address in (DANA, SAM, KIM, LEE, ALEX) if address in page.text] == []


def test_the_page_is_in_the_language_of_the_browser(company: WebCompany) -> None:
    """People-ops need not be in the people file, which names the language of other readers."""
    page = sign_in_as_people_ops(company).get(PAGE, headers={"Accept-Language": "de-DE"})
    assert "Stellen, Projekte und Wege" in text(page)
    assert page.headers["Content-Language"] == "de"
