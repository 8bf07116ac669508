"""People-ops keep the openings on their page; the file stays where they stand (R-29)."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.support.companies import DANA, KIM, OPERATOR, SAM
from tests.support.issuers import HILDA, serve_issuer, sign_in, sign_in_settings
from tests.support.web_company import ALEX, LEE, SavedCompany, WebCompany, hidden, send, text
from worker.clock import utcnow
from worker.domain.rollout import Rollout
from worker.links import Purpose

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")  # of the issuer that others wrote

PAGE = "/people-ops/openings"
LEAD = {"title": "Lead of <billing>", "kind": "project", "until": "2027-03-31", "contact": "ines@corp.example"}


@pytest.fixture(scope="module", name="issuer")
def issuer_of_others() -> Iterator[str]:
    with serve_issuer() as url:
        yield url


@pytest.fixture(name="company")
def company_with_openings(saved_company: SavedCompany, tmp_path: Path, issuer: str) -> Iterator[WebCompany]:
    company = WebCompany.of(
        saved_company, tmp_path, openings=str(tmp_path / "openings.csv"), **sign_in_settings(issuer)
    )
    company.office.clock.move_to(utcnow())
    yield company
    company.office.close()


def people_ops(company: WebCompany) -> FlaskClient:
    client = company.browser()
    assert sign_in(client, HILDA, "/people-ops").status_code == 200
    return client


def test_opening_is_added_changed_and_taken_out_and_reports_see_it(company: WebCompany) -> None:
    client = people_ops(company)
    version = hidden(client.get(PAGE), "version")
    assert send(client, PAGE, PAGE, version=version, **LEAD).headers["Location"] == f"{PAGE}?said=openings"
    page = client.get(PAGE)
    assert "Lead of <billing>" in text(page)
    assert "<billing>" not in page.text
    assert "Lead of <billing>" in text(company.visitor(SAM, Purpose.ME).get("/me"))
    changed = {**LEAD, "title": "Lead of payments", "version": hidden(page, "version")}
    assert send(client, PAGE, f"{PAGE}/2/change", **changed).status_code == 303
    assert "Lead of payments" in text(client.get(PAGE))
    assert send(client, PAGE, f"{PAGE}/2/remove", version=hidden(client.get(PAGE), "version")).status_code == 303
    assert "None yet." in text(client.get(PAGE))
    done = company.office.store.operator_actions.list_latest(9)
    assert [(one.by, one.name) for one in done] == [(HILDA, "openings")] * 3


def test_what_is_wrong_is_shown_beside_what_was_typed(company: WebCompany) -> None:
    client = people_ops(company)
    wrong = {**LEAD, "link": "jobs.corp.example", "version": hidden(client.get(PAGE), "version")}
    page = send(client, PAGE, PAGE, **wrong)
    assert page.status_code == 422
    assert "Write the whole address of a page" in text(page)
    assert 'value="jobs.corp.example"' in page.text
    assert not company.office.settings.openings_file.exists()
    assert company.office.store.operator_actions.list_latest(9) == []


def test_what_to_write_instead_is_said_in_the_readers_language(company: WebCompany) -> None:
    client = people_ops(company)
    fields = {"token": hidden(client.get(PAGE), "token"), "version": hidden(client.get(PAGE), "version")}
    unfit = {"title": "", "kind": "job", "until": "soon", "link": "jobs", "contact": "ines", "note": "x" * 301}
    page = client.post(PAGE, data={**fields, **unfit, "group": "x" * 200}, headers={"Accept-Language": "de"})
    assert page.status_code == 422
    for sentence in ("Schreib einen Titel mit höchstens 120 Zeichen.", "Wähl eine der Arten aus.",
                     "Nenn den letzten Tag, an dem der Eintrag gezeigt wird", "Schreib den kurzen Namen",
                     "Schreib die ganze Adresse einer Seite", "Schreib eine E-Mail-Adresse",
                     "Sag es in höchstens 300 Zeichen."):  # fmt: skip
        assert sentence in text(page), sentence
    assert "missing" not in text(page) and "longer than" not in text(page)


def test_change_of_what_somebody_else_changed_is_refused(company: WebCompany) -> None:
    client, file = people_ops(company), company.office.settings.openings_file
    version = hidden(client.get(PAGE), "version")
    file.write_text("title,kind,until\nDesigner,opening,2027-02-26\n", encoding="utf-8")
    page = send(client, PAGE, PAGE, version=version, **LEAD)
    assert (page.status_code, "Somebody else has changed the openings" in text(page)) == (409, True)
    assert "Designer" in text(client.get(PAGE))


def test_file_with_problems_is_shown_and_not_written(company: WebCompany) -> None:
    file = company.office.settings.openings_file
    file.write_text("title,kind,until\nDesigner,job,2027-02-26\n", encoding="utf-8")
    page = people_ops(company).get(PAGE)
    assert "openings.csv:line 2, kind" in text(page)
    assert "Add one" not in text(page)


def test_only_people_ops_change_openings_by_their_own_forms(company: WebCompany) -> None:
    client, operator = people_ops(company), company.browser()
    sign_in(operator, OPERATOR, "/status")
    version = hidden(client.get(PAGE), "version")
    token = hidden(client.get(PAGE), "token")
    assert operator.get(PAGE).status_code == 403
    for browser, proof in ((operator, token), (client, "x"), (company.browser(), token)):
        for where in (PAGE, f"{PAGE}/2/change", f"{PAGE}/2/remove"):
            assert browser.post(where, data={"token": proof, "version": version, **LEAD}).status_code == 403
    assert not company.office.settings.openings_file.exists()


def test_pilot_is_named_by_groups_and_nobody_by_address(company: WebCompany) -> None:
    """R-22: people named one by one may be fewer than a group."""
    assert "The pilot is for" not in text(people_ops(company).get("/people-ops"))
    rollout = Rollout(groups=("Sales", "Legal"), managers=(DANA, LEE))
    company.office.store.participation.update(rollout, None, company.office.clock(), lambda _: "")
    page = people_ops(company).get("/people-ops")
    assert "The pilot is for: Legal , Sales , people who are named one by one" in text(page)
    assert [one for one in (DANA, SAM, KIM, LEE, ALEX) if one in page.text] == []


def test_page_is_in_the_language_of_the_browser(company: WebCompany) -> None:
    """Whoever signs in need not be in the people file, which would name a language."""
    page = people_ops(company).get(PAGE, headers={"Accept-Language": "de-DE"})
    assert "Stellen, Projekte und Wege" in text(page)
    assert page.headers["Content-Language"] == "de"
