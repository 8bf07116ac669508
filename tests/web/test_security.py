"""R-23: a link belongs to one person and one purpose, opens no other page, and nothing secret leaves the program."""

import logging
import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.i18n.test_language import write_catalogue
from tests.support.companies import DANA, DAY, KEY, KIM, OPERATOR, SAM
from tests.support.web_company import (
    ALEX,
    LEE,
    PRIYA,
    SECRETS,
    SavedCompany,
    WebCompany,
    fill_form,
    hidden_value,
    send_form,
    text,
)
from worker.domain.model import PairId
from worker.links import LinkSigner, Purpose
from worker.web.logins import COOKIE, MAX_INVALID_LINKS_PER_MINUTE
from worker.web.security import MAX_FORM_BYTES, MAX_FORM_FIELDS, PAGE_CONTENT_SECURITY
from worker.web.team import make_url_id

#: Somebody who follows a link: the person's address, the link's purpose, and the id that it is about.
Visitor = tuple[str, Purpose, str]
#: Pages that no link opens: tests/web/test_sign_in.py tests them.
SIGN_IN_BLUEPRINTS = {"sign_in", "people_ops", "operator"}
#: The id of a session that does not exist.
UNKNOWN_ID = "c0"
#: The name of a round of the pulse, which is its month. In October there is none, which its page says.
PULSE_ROUND = "2026-10"


def list_visitors(company: WebCompany) -> list[Visitor]:
    """Return visitors by every kind of link."""
    return [
        (DANA, Purpose.CONTRACT, company.held_session().id),
        (DANA, Purpose.CONTRACT, company.contracted_session().id),
        (DANA, Purpose.CONTRACT, company.contracted_session(DANA, KIM).id),
        (LEE, Purpose.CONTRACT, company.contracted_session(LEE, ALEX).id),
        *((address, Purpose.TIME, company.next_session().id) for address in (DANA, SAM)),
        (LEE, Purpose.TIME, company.next_session(LEE, ALEX).id),
        *((address, Purpose.ME, "") for address in (SAM, KIM, ALEX, DANA)),
        *((address, Purpose.TEAM, "") for address in (DANA, LEE)),
        *((address, Purpose.PULSE, PULSE_ROUND) for address in (SAM, ALEX)),
        (OPERATOR, Purpose.STATUS, ""),
        (PRIYA, Purpose.VOICE, company.third_voice_id()),
    ]


def list_pages(company: WebCompany, visitor: Visitor) -> list[tuple[str, str]]:
    """Return the method and the path of every page that the visitor's link opens."""
    address, purpose, about = visitor
    if purpose is Purpose.CONTRACT:
        return list_contract_pages(company, f"/contract/{about}")
    if purpose is Purpose.VOICE:
        return [("GET", f"/voice/{about}"), ("POST", f"/voice/{about}")]
    if purpose is Purpose.TIME:
        return list_time_pages(f"/time/{about}")
    if purpose is Purpose.ME:
        manager = {SAM: DANA, KIM: DANA, ALEX: LEE, DANA: LEE}[address]
        own_id = company.open_commitment_id("report", manager, address)
        actions = [f"/me/commitment/{own_id}/{action}" for action in ("done", "change", "let-go")]
        posts = [
            *actions,
            f"/me/note/{company.contracted_session(manager, address).id}",
            "/me/talk",
            "/me/format",
            "/me/handover",
            "/me/leave",
            "/me/voice",
            f"/me/voice/{company.third_voice_id()}/erase",
        ]
        times = list_time_pages(f"/me/time/{company.next_session(manager, address).id}")
        return [("GET", "/me"), ("GET", "/me/data"), *(("POST", path) for path in posts), *times]
    if purpose is Purpose.PULSE:
        return [("GET", f"/pulse/{about}"), ("POST", f"/pulse/{about}")]
    if purpose is Purpose.TEAM:
        return list_team_pages(company, address)
    # the operator's link, Purpose.STATUS
    quarter = [("GET", "/status/quarter"), ("GET", "/status/quarter/mail/1")]
    return [("GET", "/status"), *quarter, ("POST", "/status/leave")]


def list_time_pages(path: str) -> list[tuple[str, str]]:
    """Return the page for another time of a session, and its actions."""
    return [("GET", path), *(("POST", path + ending) for ending in ("", "/reason", "/next-quarter"))]


def list_contract_pages(company: WebCompany, path: str) -> list[tuple[str, str]]:
    """Return the pages of the contract at that path, which ends with the id of its session."""
    session_id = path.rpartition("/")[2]
    gets = ["", "/write", "/preview", "/mail/report", "/mail/manager"]
    actions = [
        f"/commitment/{commitment.id}/{action}"
        for commitment in company.office.store.queries.list_commitments_of_session(session_id)
        for action in ("done", "change", "let-go")
    ]
    posts = ["/write", "/send", "/not-met", *actions]
    return [*(("GET", path + ending) for ending in gets), *(("POST", path + ending) for ending in posts)]


def list_team_pages(company: WebCompany, manager: str) -> list[tuple[str, str]]:
    pages = [("GET", "/team"), ("GET", "/team/data"), ("POST", "/team/leave"), ("POST", "/team/learning")]
    commitment_id = company.open_commitment_id("report", manager, {DANA: SAM, LEE: ALEX}[manager])
    pages += [("POST", f"/team/promise/{commitment_id}/{decision}") for decision in ("keep", "offer", "end", "done")]
    for report in {DANA: (SAM, KIM), LEE: (ALEX, DANA)}[manager]:
        person_page = f"/team/person/{make_url_id(PairId(manager, report))}"
        next_id, contracted_id = (
            company.next_session(manager, report).id,
            company.contracted_session(manager, report).id,
        )
        posts = [
            f"/note/{contracted_id}",
            "/talk",
            "/trust",
            "/transition",
            f"/session/{next_id}/met",
            f"/session/{next_id}/not-met",
        ]
        pages += [("GET", person_page), *(("POST", person_page + ending) for ending in posts)]
        pages += list_time_pages(f"/team/time/{next_id}")
        pages += list_contract_pages(company, f"/team/contract/{contracted_id}")
    return pages


def open_link(company: WebCompany, visitor: Visitor) -> str:
    """Follow the visitor's link, and return the value of the cookie that it sets."""
    answer = company.browser().get(company.link(*visitor))
    match = re.match(rf"{COOKIE}=([^;]+)", answer.headers["Set-Cookie"])
    assert match
    return match[1]


def request_page(company: WebCompany, cookie: str, method: str, path: str) -> int:
    """Request a page with this cookie, also where no browser would send it, and return the status."""
    links: LinkSigner = company.app.extensions["longarc"].links
    client = company.app.test_client(use_cookies=False)
    data = {"token": links.sign_text(cookie, "form")} if method == "POST" else None
    return client.open(path, method=method, data=data, headers={"Cookie": f"{COOKIE}={cookie}"}).status_code


def let_request_limit_pass(company: WebCompany) -> None:
    """Let some minutes pass, because the number of requests of one person in a minute is limited."""
    company.office.clock.advance(timedelta(minutes=5))


# --- whose pages they are ---


def test_r23_no_link_opens_pages_of_another_link(company: WebCompany) -> None:
    """R-23: such pages are refused as if they did not exist, and nothing is changed."""
    all_visitors = list_visitors(company)
    pages = {visitor: set(list_pages(company, visitor)) for visitor in all_visitors}
    before, request_count = company.read_database(), 0
    for visitor in all_visitors:
        cookie = open_link(company, visitor)
        for other in all_visitors:
            for method, path in sorted(pages[other] - pages[visitor]):
                assert request_page(company, cookie, method, path) in (403, 404), (visitor, method, path)
                request_count += 1
        let_request_limit_pass(company)
    assert request_count > 500, "the lists of pages are nearly empty"
    assert company.read_database() == before


def test_the_list_of_pages_in_this_module_is_complete(company: WebCompany) -> None:
    """A page that is missing from the functions above would be tested with no link."""
    adapter = company.app.url_map.bind("x")
    listed_routes = {
        (adapter.match(path, method=method)[0], method)
        for visitor in list_visitors(company)
        for method, path in list_pages(company, visitor)
    }
    public_endpoints = {"front", "healthy", "asset", "enter", "renew"}
    routes = {
        (rule.endpoint, method)
        for rule in company.app.url_map.iter_rules()
        for method in (rule.methods or set()) & {"GET", "POST"}
        if rule.endpoint not in public_endpoints and rule.endpoint.partition(".")[0] not in SIGN_IN_BLUEPRINTS
    }
    assert routes - listed_routes == set(), "add these pages to the functions at the top of this module"


def test_no_page_opens_without_a_link(company: WebCompany) -> None:
    client = company.browser()
    for visitor in list_visitors(company):
        for method, path in list_pages(company, visitor):
            assert client.open(path, method=method).status_code == 403, path
        let_request_limit_pass(company)


def test_unknown_ids_and_ids_of_other_pairs_get_the_same_answer(company: WebCompany) -> None:
    cookie = open_link(company, (DANA, Purpose.TEAM, ""))
    foreign_id = company.contracted_session(LEE, ALEX).id
    answers = [
        {request_page(company, cookie, "GET", f"/team/{page}/{session_id}") for page in ("contract", "time")}
        for session_id in (foreign_id, UNKNOWN_ID)
    ]
    assert answers == [{404}, {404}]
    client = company.visitor(DANA, Purpose.TEAM)
    assert text(client.get(f"/team/contract/{foreign_id}")) == text(client.get(f"/team/contract/{UNKNOWN_ID}"))


def test_r23_each_link_opens_its_pages_without_secrets_of_other_pairs(company: WebCompany) -> None:
    # the last word but one, as "zephyrine", which stands nowhere else
    rare_words = {report: secret.split()[-2] for report, secret in SECRETS.items()}
    reports_by_link = {
        (DANA, Purpose.TEAM): {SAM, KIM},
        (LEE, Purpose.TEAM): {ALEX, DANA},
        (OPERATOR, Purpose.STATUS): set(),
    }
    for visitor in list_visitors(company):
        address, purpose, about = visitor
        cookie = open_link(company, visitor)
        readable_reports = reports_by_link.get((address, purpose), {address} if purpose is Purpose.ME else set())
        if about and purpose not in (Purpose.VOICE, Purpose.PULSE):  # the link is about a session
            session = company.office.store.queries.get_session(about)
            assert session is not None
            readable_reports = {session.pair.report}
        for method, path in list_pages(company, visitor):
            if method == "GET":
                client = company.app.test_client(use_cookies=False)
                answer = client.get(path, headers={"Cookie": f"{COOKIE}={cookie}"})
                # a contract that has no draft has no preview of its mails
                assert answer.status_code in (200, 303, 404 if "/mail/" in path else 200), (visitor, path)
                page = answer.get_data(as_text=True)
                assert {report for report, word in rare_words.items() if word in page} <= readable_reports, (
                    visitor,
                    path,
                )
        let_request_limit_pass(company)


def test_former_managers_and_people_who_left_have_no_pages(company: WebCompany) -> None:
    """Dana is no longer Sam's manager, and Alex has left."""
    cookie = open_link(company, (DANA, Purpose.TEAM, ""))
    session_id = company.contracted_session().id
    del company.office.pairs[PairId(DANA, SAM)]
    company.office.apply()
    assert request_page(company, cookie, "GET", f"/team/contract/{session_id}") == 404
    del company.office.persons[ALEX], company.office.pairs[PairId(LEE, ALEX)]
    link = company.link(ALEX, Purpose.ME)
    company.office.apply()
    assert company.browser().get(link).status_code == 404


def test_the_token_of_a_link_does_not_work_as_a_cookie(company: WebCompany) -> None:
    token = company.link(SAM, Purpose.ME).rpartition("/")[2]
    assert request_page(company, token, "GET", "/me") == 403


# --- what opening changes ---


def test_opening_links_and_pages_changes_nothing_in_the_database(company: WebCompany) -> None:
    """Mail scanners open links and the pages behind them."""
    client, page = company.open_contract_form()
    fill_form(client, page, "keep")
    before = company.read_database()
    for visitor in list_visitors(company):
        link, browser = company.link(*visitor), company.browser()
        for _ in range(2):
            assert browser.get(link).status_code == browser.head(link).status_code == 303
        for method, path in list_pages(company, visitor):
            if method == "GET":
                browser.get(path)
                browser.head(path)
        let_request_limit_pass(company)
    assert company.read_database() == before


def test_a_form_without_a_valid_token_or_of_another_site_is_refused(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    token = hidden_value(client.get("/me"), "token")
    before = company.read_database()
    for fields in (
        {},
        {"token": ""},
        {"token": "x" * 43},  # of the right length
        {"token": hidden_value(company.operator().get("/status"), "token")},  # of another person's form
    ):
        assert client.post("/me/format", data={"format": "series", **fields}).status_code == 403
    cross_site = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/me/format", data={"format": "series", "token": token}, headers=cross_site).status_code == 403
    assert company.read_database() == before
    assert client.post("/me/format", data={"format": "series", "token": token}).status_code == 303


# --- what answers and logs contain ---


def test_the_token_is_in_no_header_of_the_answer_to_a_link(company: WebCompany) -> None:
    """It is not in the address, so that no Referer and no log contains it, and not in the cookie."""
    link = company.link(DANA, Purpose.CONTRACT, company.contracted_session().id)
    token = link.rpartition("/")[2]
    answer = company.browser().get(link)
    header_text = "".join(f"{name}: {value}\n" for name, value in answer.headers if name != "Set-Cookie")
    assert token not in header_text + answer.headers["Set-Cookie"]
    assert answer.headers["Location"] == f"/contract/{company.contracted_session().id}"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_the_cookie_is_limited_to_one_path_and_hidden_from_scripts(company: WebCompany) -> None:
    cookie = (
        company.browser()
        .get(company.link(DANA, Purpose.CONTRACT, company.contracted_session().id))
        .headers["Set-Cookie"]
    )
    assert {"HttpOnly", "Secure", "SameSite=Lax", f"Path=/contract/{company.contracted_session().id}"} <= set(
        cookie.split("; ")
    )


def test_every_answer_has_the_security_headers(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    for path, status in (("/me", 200), ("/me/data", 200), ("/nothing", 404), ("/team", 403), ("/in/x", 404)):
        answer = client.get(path)
        assert answer.status_code == status
        assert answer.headers["Content-Security-Policy"] == PAGE_CONTENT_SECURITY
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert "unsafe" not in PAGE_CONTENT_SECURITY and "http" not in PAGE_CONTENT_SECURITY


def test_no_page_has_inline_scripts_or_styles_or_foreign_resources(company: WebCompany) -> None:
    for visitor in list_visitors(company):
        client = company.visitor(*visitor)
        for method, path in list_pages(company, visitor):
            if method == "GET" and "/mail/" not in path and not path.endswith("data"):
                page = client.get(path, follow_redirects=True).get_data(as_text=True)
                assert not re.search(r"<script(?! src=\"/asset/)|<style|\sstyle=|\son\w+=|javascript:", page), path
                assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page), path
        let_request_limit_pass(company)


def test_a_mail_in_a_page_is_sandboxed_and_has_no_links_of_its_reader(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fill_form(client, page, "keep", **{"report-0-text": "<script>alert(1)</script>"})
    answer = client.get(page.replace("write", "mail/report"))
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "<script>" not in answer.get_data(as_text=True)
    assert "/in/" not in answer.get_data(as_text=True), "the report's link is shown to the manager"


def test_logs_contain_no_content_no_token_and_no_key(company: WebCompany, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    logging.getLogger("sqlalchemy.engine").setLevel("DEBUG")
    link = company.link(DANA, Purpose.CONTRACT, company.held_session().id)
    client = company.browser()
    client.get(link)
    page = f"/contract/{company.held_session().id}/write"
    fill_form(client, page, "keep", **{"manager-0-text": "hyacinthine"})
    fill_form(client, page, "preview", **{"manager-0-due": "quillwort"})
    fill_form(client, page, "preview", **{"manager-0-text": "hyacinthine"})
    send_form(
        client, page.replace("write", "preview"), page.replace("write", "send"), version="3"
    )  # the draft was saved three times
    send_form(company.visitor(SAM, Purpose.ME), "/me", "/me/talk", trigger="leaving", reason="monkshood")
    client.get(f"/in/{'x' * 40}")
    logging.getLogger("sqlalchemy.engine").setLevel("WARNING")
    log_text = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "/in/<token>" in log_text and "INSERT INTO sketch" in log_text  # the table of contract drafts
    for word in ("hyacinthine", "quillwort", "monkshood", link.rpartition("/")[2], "x" * 40, KEY):
        assert word not in log_text, word


def test_an_unexpected_error_is_logged_with_its_type_alone(
    company: WebCompany, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = company.visitor(SAM, Purpose.ME)

    def fail(*_: object) -> None:
        raise RuntimeError("hyacinthine")

    monkeypatch.setattr(company.office.store.content, "get_latest_contracts", fail)
    answer = client.get("/me")
    assert answer.status_code == 500
    assert "hyacinthine" not in caplog.text + answer.get_data(as_text=True)
    assert "RuntimeError at" in caplog.text


def test_an_error_while_the_error_page_is_rendered_shows_and_logs_no_link(
    company: WebCompany, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server and the framework would otherwise log the address, and with it the link."""
    link = company.link(SAM, Purpose.ME, age=60 * DAY)

    def fail(*_: object, **__: object) -> None:
        raise RuntimeError("hyacinthine")

    monkeypatch.setattr(company.app.extensions["longarc"], "render_page", fail)
    answer = company.browser().get(link)
    assert (answer.status_code, answer.data, answer.headers["Content-Security-Policy"]) == (
        500,
        b"",
        PAGE_CONTENT_SECURITY,
    )
    assert "RuntimeError at" in caplog.text
    assert link.rpartition("/")[2] not in caplog.text and "hyacinthine" not in caplog.text


def test_an_unreadable_catalogue_of_the_company_leaves_longarcs_texts_in_use(
    saved_company: SavedCompany, tmp_path: Path
) -> None:
    catalogue = write_catalogue(tmp_path / "own" / "locale", "de")
    catalogue.write_text('msgid "Why"\nmeans "Weshalb"\n')  # the format has no keyword "means"
    company = WebCompany.of(saved_company, tmp_path, templates=str(tmp_path / "own"))
    answer = company.browser().get("/", headers={"Accept-Language": "de-AT, en"})
    assert (answer.status_code, answer.headers["Content-Language"]) == (200, "de")
    company.office.close()


# --- bounds ---


def test_unknown_languages_of_requests_are_not_cached(company: WebCompany) -> None:
    client, site = company.browser(), company.app.extensions["longarc"]
    for number in range(20):
        assert (
            client.get("/", headers={"Accept-Language": f"de-{number}x, en-{number}"}).headers["Content-Language"]
            == "de"
        )
    assert len(site._languages._loaded) <= 2  # German and English


def test_a_form_that_is_too_large_is_refused(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    token = hidden_value(client.get(page), "token")
    before = company.read_database()
    assert client.post(page, data={"token": token, "question": "x" * MAX_FORM_BYTES}).status_code == 413
    many_fields = {f"report-{number}-text": "x" for number in range(MAX_FORM_FIELDS + 200)}
    assert (
        client.post(page, data={"token": token, **many_fields}, content_type="multipart/form-data").status_code == 413
    )
    assert company.read_database() == before


def test_requests_of_a_person_are_limited_per_minute(saved_company: SavedCompany, tmp_path: Path) -> None:
    company = WebCompany.of(saved_company, tmp_path, pages={"per_minute": 20})  # the lowest limit
    client, kims_client = company.visitor(SAM, Purpose.ME), company.visitor(KIM, Purpose.ME)
    answers = [client.get("/me/data").status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]
    assert client.get("/me").headers["Retry-After"] == "60"
    assert kims_client.get("/me").status_code == 200
    company.office.clock.advance(timedelta(minutes=1))
    assert client.get("/me").status_code == 200
    company.office.close()


def test_guesses_of_links_are_limited(company: WebCompany) -> None:
    client: FlaskClient = company.browser()
    answers = [client.get(f"/in/guess{number}").status_code for number in range(MAX_INVALID_LINKS_PER_MINUTE + 5)]
    assert answers == [404] * MAX_INVALID_LINKS_PER_MINUTE + [429] * 5
    assert client.get(company.link(SAM, Purpose.ME)).status_code == 303, "a valid link does not open any more"


def test_requests_of_one_network_address_are_limited(company: WebCompany) -> None:
    """The limit is ten times that of one person, because colleagues may share an address."""
    client = company.browser()
    answers = {
        client.get("/asset/pages.css").status_code for _ in range(company.office.settings.pages.per_minute * 10 + 1)
    }
    assert answers == {200, 429}
