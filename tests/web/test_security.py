"""A link belongs to one person and one purpose; nothing else opens a page, and nothing secret leaves it (R-23)."""

import logging
import re
from datetime import timedelta
from pathlib import Path

import pytest
from flask.testing import FlaskClient

from tests.i18n.test_language import write_catalogue
from tests.support.companies import DANA, DAY, KEY, KIM, OPERATOR, SAM
from tests.support.web_company import ALEX, LEE, PRIYA, SECRETS, SavedCompany, WebCompany, fill, hidden, send, text
from worker.domain.model import PairId
from worker.links import LinkSigner, Purpose
from worker.web.logins import COOKIE
from worker.web.security import MAX_FORM_BYTES, PAGE_CONTENT_SECURITY
from worker.web.team import make_url_id

Who = tuple[str, Purpose, str]
#: Pages that no link opens: tests/web/test_sign_in.py tries them.
SIGN_IN_BLUEPRINTS = {"sign_in", "people_ops", "operator"}


def visitors(company: WebCompany) -> list[Who]:
    """Everybody who may come, by every kind of link."""
    return [
        (DANA, Purpose.CONTRACT, company.held_session().id),
        (DANA, Purpose.CONTRACT, company.contracted_session().id),
        (DANA, Purpose.CONTRACT, company.contracted_session(DANA, KIM).id),
        (LEE, Purpose.CONTRACT, company.contracted_session(LEE, ALEX).id),
        *((who, Purpose.TIME, company.next_session().id) for who in (DANA, SAM)),
        (LEE, Purpose.TIME, company.next_session(LEE, ALEX).id),
        *((who, Purpose.ME, "") for who in (SAM, KIM, ALEX, DANA)),
        *((who, Purpose.TEAM, "") for who in (DANA, LEE)),
        *((who, Purpose.PULSE, "2026-10") for who in (SAM, ALEX)),
        (OPERATOR, Purpose.STATUS, ""),
        (PRIYA, Purpose.VOICE, company.third_voice_id()),
    ]


def pages_of(company: WebCompany, one: Who) -> list[tuple[str, str]]:
    """Every page that this link opens: how it is asked for, and where."""
    who, purpose, about = one
    if purpose is Purpose.CONTRACT:
        return contract_pages(company, f"/contract/{about}")
    if purpose is Purpose.VOICE:
        return [("GET", f"/voice/{about}"), ("POST", f"/voice/{about}")]
    if purpose is Purpose.TIME:
        return time_pages(f"/time/{about}")
    if purpose is Purpose.ME:
        manager = {SAM: DANA, KIM: DANA, ALEX: LEE, DANA: LEE}[who]
        own = company.open_commitment_id("report", manager, who)
        deeds = [f"/me/commitment/{own}/{deed}" for deed in ("done", "change", "let-go")]
        posts = [
            *deeds,
            f"/me/note/{company.contracted_session(manager, who).id}",
            "/me/talk",
            "/me/format",
            "/me/handover",
        ]
        posts += ["/me/leave"]
        posts += ["/me/voice", f"/me/voice/{company.third_voice_id()}/erase"]
        times = time_pages(f"/me/time/{company.next_session(manager, who).id}")
        return [("GET", "/me"), ("GET", "/me/data"), *(("POST", where) for where in posts), *times]
    if purpose is Purpose.PULSE:
        return [("GET", f"/pulse/{about}"), ("POST", f"/pulse/{about}")]
    if purpose is Purpose.TEAM:
        return team_pages(company, who)
    quarter = [("GET", "/status/quarter"), ("GET", "/status/quarter/mail/1")]
    return [("GET", "/status"), *quarter, ("POST", "/status/leave")]


def time_pages(at: str) -> list[tuple[str, str]]:
    return [("GET", at), *(("POST", at + end) for end in ("", "/reason", "/next-quarter"))]


def contract_pages(company: WebCompany, at: str) -> list[tuple[str, str]]:
    session = at.rpartition("/")[2]
    gets = ["", "/write", "/preview", "/mail/report", "/mail/manager"]
    deeds = [
        f"/commitment/{one.id}/{deed}"
        for one in company.office.store.queries.list_commitments_of_session(session)
        for deed in ("done", "change", "let-go")
    ]
    posts = ["/write", "/send", "/not-met", *deeds]
    return [*(("GET", at + end) for end in gets), *(("POST", at + end) for end in posts)]


def team_pages(company: WebCompany, who: str) -> list[tuple[str, str]]:
    found = [("GET", "/team"), ("GET", "/team/data"), ("POST", "/team/leave"), ("POST", "/team/learning")]
    promise = company.open_commitment_id("report", who, {DANA: SAM, LEE: ALEX}[who])
    found += [("POST", f"/team/promise/{promise}/{decision}") for decision in ("keep", "offer", "end", "done")]
    for report in {DANA: (SAM, KIM), LEE: (ALEX, DANA)}[who]:
        person = f"/team/person/{make_url_id(PairId(who, report))}"
        coming, agreed = company.next_session(who, report).id, company.contracted_session(who, report).id
        posts = [
            f"/note/{agreed}",
            "/talk",
            "/trust",
            "/transition",
            f"/session/{coming}/met",
            f"/session/{coming}/not-met",
        ]
        found += [("GET", person), *(("POST", person + end) for end in posts)]
        found += time_pages(f"/team/time/{coming}")
        found += contract_pages(company, f"/team/contract/{agreed}")
    return found


def cookie_of(company: WebCompany, one: Who) -> str:
    """What the browser of somebody keeps; sent anywhere, as no browser would."""
    answer = company.browser().get(company.link(*one))
    found = re.match(rf"{COOKIE}=([^;]+)", answer.headers["Set-Cookie"])
    assert found
    return found[1]


def ask(company: WebCompany, cookie: str, method: str, where: str) -> int:
    links: LinkSigner = company.app.extensions["longarc"].links
    client = company.app.test_client(use_cookies=False)
    data = {"token": links.sign_text(cookie, "form")} if method == "POST" else None
    return client.open(where, method=method, data=data, headers={"Cookie": f"{COOKIE}={cookie}"}).status_code


# --- whose pages they are ---


def test_every_page_with_every_other_persons_link_answers_as_if_it_were_not_there(company: WebCompany) -> None:
    """R-23: by any link but its own a page is a matter for nobody, and what is there can't be told from what isn't."""
    everybody = visitors(company)
    pages = {one: set(pages_of(company, one)) for one in everybody}
    before, tried = company.read_database(), 0
    for one in everybody:
        cookie = cookie_of(company, one)
        for other in everybody:
            for method, where in sorted(pages[other] - pages[one]):
                assert ask(company, cookie, method, where) in (403, 404), (one, method, where)
                tried += 1
        company.office.clock.advance(timedelta(minutes=10))  # so that nobody has asked too often
    assert tried > 500
    assert company.read_database() == before


def test_every_address_there_is_has_been_tried(company: WebCompany) -> None:
    """A new page that nobody lists above would be in nobody's test."""
    adapter = company.app.url_map.bind("x")
    tried = {
        (adapter.match(where, method=method)[0], method)
        for one in visitors(company)
        for method, where in pages_of(company, one)
    }
    open_to_all = {"front", "healthy", "asset", "enter", "renew"}
    there = {
        (rule.endpoint, method)
        for rule in company.app.url_map.iter_rules()
        for method in (rule.methods or set()) & {"GET", "POST"}
        if rule.endpoint not in open_to_all and rule.endpoint.partition(".")[0] not in SIGN_IN_BLUEPRINTS
    }
    assert there - tried == set()


def test_without_a_link_there_is_nothing(company: WebCompany) -> None:
    client = company.browser()
    for one in visitors(company):
        for method, where in pages_of(company, one):
            assert client.open(where, method=method).status_code == 403, where
        company.office.clock.advance(timedelta(minutes=5))


def test_an_id_that_does_not_exist_answers_like_one_of_somebody_else(company: WebCompany) -> None:
    dana = cookie_of(company, (DANA, Purpose.TEAM, ""))
    theirs = company.contracted_session(LEE, ALEX).id
    answers = [
        {ask(company, dana, "GET", f"/team/{page}/{which}") for page in ("contract", "time")}
        for which in (theirs, "c0")
    ]
    assert answers == [{404}, {404}]
    client = company.visitor(DANA, Purpose.TEAM)
    assert text(client.get(f"/team/contract/{theirs}")) == text(client.get("/team/contract/c0"))


def test_each_link_opens_its_own_pages_and_shows_no_word_of_others(company: WebCompany) -> None:
    words = {report: secret.split()[-2] for report, secret in SECRETS.items()}
    may = {(DANA, Purpose.TEAM): {SAM, KIM}, (LEE, Purpose.TEAM): {ALEX, DANA}, (OPERATOR, Purpose.STATUS): set()}
    for one in visitors(company):
        who, purpose, about = one
        cookie = cookie_of(company, one)
        mine = may.get((who, purpose), {who} if purpose is Purpose.ME else set())
        if about and purpose not in (Purpose.VOICE, Purpose.PULSE):
            session = company.office.store.queries.get_session(about)
            assert session is not None
            mine = {session.pair.report}
        for method, where in pages_of(company, one):
            if method == "GET":
                client = company.app.test_client(use_cookies=False)
                answer = client.get(where, headers={"Cookie": f"{COOKIE}={cookie}"})
                assert answer.status_code in (200, 303, 404 if "/mail/" in where else 200), (one, where)
                page = answer.get_data(as_text=True)
                assert {report for report, word in words.items() if word in page} <= mine, (one, where)
        company.office.clock.advance(timedelta(minutes=5))


def test_who_leaves_or_is_no_longer_the_manager_has_no_pages(company: WebCompany) -> None:
    cookie = cookie_of(company, (DANA, Purpose.TEAM, ""))
    contract = company.contracted_session().id
    del company.office.pairs[PairId(DANA, SAM)]
    company.office.apply()
    assert ask(company, cookie, "GET", f"/team/contract/{contract}") == 404
    del company.office.persons[ALEX], company.office.pairs[PairId(LEE, ALEX)]
    mine = company.link(ALEX, Purpose.ME)
    company.office.apply()
    assert company.browser().get(mine).status_code == 404


def test_a_link_is_no_visit(company: WebCompany) -> None:
    """What stands in a mail does not work as a cookie."""
    token = company.link(SAM, Purpose.ME).rpartition("/")[2]
    assert ask(company, token, "GET", "/me") == 403


# --- what opening changes ---


def test_opening_changes_nothing(company: WebCompany) -> None:
    """Mail scanners open links, and what they lead to: the whole database is as it was."""
    client, page = company.open_contract_form()
    fill(client, page, "keep")
    before = company.read_database()
    for one in visitors(company):
        link, browser = company.link(*one), company.browser()
        for _ in range(2):
            assert browser.get(link).status_code == browser.head(link).status_code == 303
        for method, where in pages_of(company, one):
            if method == "GET":
                browser.get(where)
                browser.head(where)
        company.office.clock.advance(timedelta(minutes=5))
    assert company.read_database() == before


def test_a_form_from_elsewhere_is_not_taken(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    token = hidden(client.get("/me"), "token")
    before = company.read_database()
    for fields in (
        {},
        {"token": ""},
        {"token": "x" * 43},
        {"token": hidden(company.operator().get("/status"), "token")},
    ):
        assert client.post("/me/format", data={"format": "series", **fields}).status_code == 403
    crossing = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/me/format", data={"format": "series", "token": token}, headers=crossing).status_code == 403
    assert company.read_database() == before
    assert client.post("/me/format", data={"format": "series", "token": token}).status_code == 303


# --- what leaves the house ---


def test_the_link_stands_nowhere_once_it_was_followed(company: WebCompany) -> None:
    """Not in the address, so in no Referer and no log; not in the cookie either."""
    link = company.link(DANA, Purpose.CONTRACT, company.contracted_session().id)
    token = link.rpartition("/")[2]
    answer = company.browser().get(link)
    told = "".join(f"{name}: {value}\n" for name, value in answer.headers if name != "Set-Cookie")
    assert token not in told + answer.headers["Set-Cookie"]
    assert answer.headers["Location"] == f"/contract/{company.contracted_session().id}"
    assert answer.headers["Referrer-Policy"] == "no-referrer"


def test_cookies_are_kept_close(company: WebCompany) -> None:
    cookie = (
        company.browser()
        .get(company.link(DANA, Purpose.CONTRACT, company.contracted_session().id))
        .headers["Set-Cookie"]
    )
    assert {"HttpOnly", "Secure", "SameSite=Lax", f"Path=/contract/{company.contracted_session().id}"} <= set(
        cookie.split("; ")
    )


def test_every_answer_has_its_headers(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    for where, status in (("/me", 200), ("/me/data", 200), ("/nothing", 404), ("/team", 403), ("/in/x", 404)):
        answer = client.get(where)
        assert answer.status_code == status
        assert answer.headers["Content-Security-Policy"] == PAGE_CONTENT_SECURITY
        assert answer.headers["Cache-Control"] == "no-store"
        assert answer.headers["X-Content-Type-Options"] == "nosniff"
        assert "max-age" in answer.headers["Strict-Transport-Security"]
    assert "unsafe" not in PAGE_CONTENT_SECURITY and "http" not in PAGE_CONTENT_SECURITY


def test_no_page_has_script_or_style_of_its_own_or_of_others(company: WebCompany) -> None:
    for one in visitors(company):
        client = company.visitor(*one)
        for method, where in pages_of(company, one):
            if method == "GET" and "/mail/" not in where and not where.endswith("data"):
                page = client.get(where, follow_redirects=True).get_data(as_text=True)
                assert not re.search(r"<script(?! src=\"/asset/)|<style|\sstyle=|\son\w+=|javascript:", page), where
                assert not re.search(r"(?:src|href|action)=\"(?:https?:)?//", page), where
        company.office.clock.advance(timedelta(minutes=5))


def test_a_mail_shown_in_a_page_can_do_nothing(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    fill(client, page, "keep", **{"report-0-text": "<script>alert(1)</script>"})
    answer = client.get(page.replace("write", "mail/report"))
    assert answer.headers["Content-Security-Policy"].startswith("default-src 'none'; style-src 'unsafe-inline'")
    assert "sandbox" in answer.headers["Content-Security-Policy"]
    assert "<script>" not in answer.get_data(as_text=True)
    assert "/in/" not in answer.get_data(as_text=True), "the other one's link must not be shown"


def test_nothing_secret_is_in_a_log(company: WebCompany, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level("DEBUG")
    logging.getLogger("sqlalchemy.engine").setLevel("DEBUG")
    link = company.link(DANA, Purpose.CONTRACT, company.held_session().id)
    client = company.browser()
    client.get(link)
    page = f"/contract/{company.held_session().id}/write"
    fill(client, page, "keep", **{"manager-0-text": "hyacinthine"})
    fill(client, page, "preview", **{"manager-0-due": "quillwort"})
    fill(client, page, "preview", **{"manager-0-text": "hyacinthine"})
    send(client, page.replace("write", "preview"), page.replace("write", "send"), version="3")
    send(company.visitor(SAM, Purpose.ME), "/me", "/me/talk", trigger="leaving", reason="monkshood")
    client.get(f"/in/{'x' * 40}")
    logging.getLogger("sqlalchemy.engine").setLevel("WARNING")
    logged = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in caplog.records)
    assert "/in/<token>" in logged and "INSERT INTO sketch" in logged
    for word in ("hyacinthine", "quillwort", "monkshood", link.rpartition("/")[2], "x" * 40, KEY):
        assert word not in logged, word


def test_an_error_that_nobody_foresaw_tells_its_kind_alone(
    company: WebCompany, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    client = company.visitor(SAM, Purpose.ME)

    def breaks(*_: object) -> None:
        raise RuntimeError("hyacinthine")

    monkeypatch.setattr(company.office.store.content, "get_latest_contracts", breaks)
    answer = client.get("/me")
    assert answer.status_code == 500
    assert "hyacinthine" not in caplog.text + answer.get_data(as_text=True)
    assert "RuntimeError at" in caplog.text


def test_an_error_that_no_page_can_tell_is_told_by_nobody_else(
    company: WebCompany, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The server and the framework would log the address, and with it the link."""
    link = company.link(SAM, Purpose.ME, age=60 * DAY)

    def breaks(*_: object, **__: object) -> None:
        raise RuntimeError("hyacinthine")

    monkeypatch.setattr(company.app.extensions["longarc"], "render_page", breaks)
    answer = company.browser().get(link)
    assert (answer.status_code, answer.data, answer.headers["Content-Security-Policy"]) == (
        500,
        b"",
        PAGE_CONTENT_SECURITY,
    )
    assert "RuntimeError at" in caplog.text
    assert link.rpartition("/")[2] not in caplog.text and "hyacinthine" not in caplog.text


def test_a_catalogue_that_cannot_be_read_leaves_the_pages_in_our_words(
    saved_company: SavedCompany, tmp_path: Path
) -> None:
    own = write_catalogue(tmp_path / "own" / "locale", "de", ("Why", "Weshalb"))
    own.write_text('msgid "Why"\nmeans "Weshalb"\n')
    company = WebCompany.of(saved_company, tmp_path, templates=str(tmp_path / "own"))
    answer = company.browser().get("/", headers={"Accept-Language": "de-AT, en"})
    assert (answer.status_code, answer.headers["Content-Language"]) == (200, "de")
    company.office.close()


# --- bounds ---


def test_languages_that_somebody_makes_up_are_not_remembered(company: WebCompany) -> None:
    client, site = company.browser(), company.app.extensions["longarc"]
    for n in range(20):
        assert client.get("/", headers={"Accept-Language": f"de-{n}x, en-{n}"}).headers["Content-Language"] == "de"
    assert len(site._languages._loaded) <= 2


def test_what_is_too_large_is_refused(company: WebCompany) -> None:
    client, page = company.open_contract_form()
    token = hidden(client.get(page), "token")
    before = company.read_database()
    assert client.post(page, data={"token": token, "question": "x" * MAX_FORM_BYTES}).status_code == 413
    many = {f"report-{n}-text": "x" for n in range(1200)}
    assert client.post(page, data={"token": token, **many}, content_type="multipart/form-data").status_code == 413
    assert company.read_database() == before


def test_a_person_may_not_ask_without_end(saved_company: SavedCompany, tmp_path: Path) -> None:
    company = WebCompany.of(saved_company, tmp_path, pages={"per_minute": 20})
    client, other = company.visitor(SAM, Purpose.ME), company.visitor(KIM, Purpose.ME)
    answers = [client.get("/me/data").status_code for _ in range(21)]
    assert answers == [200] * 20 + [429]
    assert client.get("/me").headers["Retry-After"] == "60"
    assert other.get("/me").status_code == 200
    company.office.clock.advance(timedelta(minutes=1))
    assert client.get("/me").status_code == 200
    company.office.close()


def test_nobody_may_guess_links_without_end(company: WebCompany) -> None:
    client: FlaskClient = company.browser()
    answers = [client.get(f"/in/guess{n}").status_code for n in range(25)]
    assert answers[:20] == [404] * 20 and set(answers[20:]) == {429}
    assert client.get(company.link(SAM, Purpose.ME)).status_code == 303, "who has a link still gets in"


def test_an_address_may_not_ask_without_end(company: WebCompany) -> None:
    client = company.browser()
    answers = {
        client.get("/asset/pages.css").status_code for _ in range(company.office.settings.pages.per_minute * 10 + 1)
    }
    assert answers == {200, 429}
