"""Signing in with the company's accounts: at an issuer that others wrote, and against one that forges.

Only a verified address of the right issuer gives a role, and nothing is taken twice or from somewhere else.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from tests.support.companies import DANA, HOUR, OPERATOR, SAM
from tests.support.issuers import (
    A_LITTLE_LATE,
    ACCESS_TOKEN,
    BOTH,
    CLIENT_ID,
    CODE,
    FOREIGN,
    HILDA,
    NOBODY,
    SAM_ALIAS,
    SECRET,
    TOO_LATE,
    UNVERIFIED,
    ForgingIssuer,
    serve_forging_issuer,
    serve_issuer,
    sign_in,
    sign_in_at_issuer,
    sign_in_settings,
)
from tests.support.web_company import BASE, SECRETS, SavedCompany, WebCompany, hidden, text
from worker.clock import utcnow
from worker.domain.model import AliasSource
from worker.links import Purpose
from worker.store.tables import person_alias
from worker.web.sign_in import PENDING_LIFETIME, SIGN_IN_COOKIE

Open = Callable[..., WebCompany]

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")  # of the issuer that others wrote


@pytest.fixture(scope="module", name="issuer")
def issuer_of_others() -> Iterator[str]:
    with serve_issuer() as url:
        yield url


@pytest.fixture(name="forger")
def issuer_that_forges() -> Iterator[ForgingIssuer]:
    with serve_forging_issuer() as forger:
        yield forger


@pytest.fixture(name="open_company")
def companies_with_settings(saved_company: SavedCompany, tmp_path: Path) -> Iterator[Open]:
    """The company with a sign-in, today: issuers know the time."""
    opened: list[WebCompany] = []

    def open_company(issuer: str, is_today: bool = True, **more: Any) -> WebCompany:
        opened.append(WebCompany.of(saved_company, tmp_path, **sign_in_settings(issuer, **more)))
        if is_today:
            opened[-1].office.clock.move_to(utcnow())
        return opened[-1]

    yield open_company
    for company in opened:
        company.office.close()


def begin(client: FlaskClient, page: str = "/status") -> str:
    """Ask for a page; return where the browser is sent to sign in."""
    return client.get(client.get(page).headers["Location"]).headers["Location"]


def test_operator_signs_in_and_out(open_company: Open, issuer: str) -> None:
    client = open_company(issuer).browser()
    page = sign_in(client, OPERATOR, "/status")
    assert (page.status_code, page.request.path) == (200, "/status")
    assert client.get("/status/quarter").status_code == 200
    left = client.post("/status/leave", data={"token": hidden(page, "token")})
    assert "You are signed out" in text(left)
    assert client.get("/status").headers["Location"].startswith("/sign-in?to=")


def test_request_to_the_issuer_has_state_nonce_pkce_and_the_registered_address(open_company: Open, issuer: str) -> None:
    asked = parse_qs(urlsplit(begin(open_company(issuer).browser())).query)
    assert asked["redirect_uri"] == [f"{BASE}/sign-in/callback"]
    assert asked["code_challenge_method"] == ["S256"]
    assert all(len(asked[name][0]) >= 43 for name in ("state", "nonce", "code_challenge"))
    assert asked["scope"] == ["openid email profile"]


def test_cookie_is_for_this_site_alone_and_ends(open_company: Open, issuer: str) -> None:
    company = open_company(issuer)
    client = company.browser()
    back = client.get(sign_in_at_issuer(begin(client), OPERATOR))
    (cookie,) = [one for one in back.headers.getlist("Set-Cookie") if one.startswith(f"{SIGN_IN_COOKIE}=")]
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/", "Max-Age=28800"} <= set(cookie.split("; "))
    company.office.clock.advance(company.office.settings.pages.visit)
    assert client.get("/status").status_code == 303


def test_signing_out_ends_every_browser_and_no_link(open_company: Open, issuer: str) -> None:
    company = open_company(issuer)
    here, there = company.browser(), company.browser()
    page = sign_in(here, OPERATOR, "/status")
    assert sign_in(there, OPERATOR, "/status").status_code == 200
    by_link = company.operator()
    here.post("/sign-in/out", data={"token": hidden(page, "token")})
    assert there.get("/status").status_code == 303
    assert by_link.get("/status").status_code == 200


def test_revoke_ends_a_sign_in(open_company: Open, issuer: str) -> None:
    company = open_company(issuer)
    client = company.browser()
    assert sign_in(client, OPERATOR, "/status").status_code == 200
    company.office.store.people.revoke_links(OPERATOR, company.office.clock())
    assert client.get("/status").status_code == 303


def test_link_to_the_operators_page_still_works_and_other_sites_forms_do_not(open_company: Open, issuer: str) -> None:
    company = open_company(issuer)
    assert company.operator().get("/status").status_code == 200
    client = company.browser()
    token = hidden(sign_in(client, OPERATOR, "/status"), "token")
    assert client.post("/status/leave", data={"token": "x" * len(token)}).status_code == 403
    foreign = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/sign-in/out", data={"token": token}, headers=foreign).status_code == 403
    assert client.get("/status").status_code == 200


def test_wrong_person_reads_who_signed_in_what_is_missing_and_whom_to_ask(open_company: Open, issuer: str) -> None:
    client = open_company(issuer).browser()
    page = sign_in(client, NOBODY, "/status")
    assert page.status_code == 403
    words = text(page)
    assert f"You are signed in as {NOBODY}." in words
    assert "for the role “operator”, which this address does not have" in words
    assert f"If it should, ask {OPERATOR}." in words
    other = page.text.split('class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "prompt=select_account" in client.get(other).headers["Location"]


@pytest.mark.parametrize(
    ("sub", "more", "reason"),
    [
        (UNVERIFIED, {}, "does not say that your mail address was verified"),
        (FOREIGN, {"domains": ["corp.example"], "operators": [FOREIGN]}, "is not one of this company’s"),
    ],
)
def test_address_that_proves_nothing_is_refused(
    open_company: Open, issuer: str, sub: str, more: dict[str, Any], reason: str
) -> None:
    client = open_company(issuer, **more).browser()
    page = sign_in(client, sub, "/status")
    assert (page.status_code, client.get_cookie(SIGN_IN_COOKIE)) == (403, None)
    assert reason in text(page)


def test_roles_follow_a_claim(open_company: Open, issuer: str) -> None:
    company = open_company(issuer, role_claim="groups", operators=["longarc-ops"], people_ops=["hr"])
    for sub, status in ((OPERATOR, 200), (BOTH, 200), (HILDA, 403), (NOBODY, 403)):
        assert sign_in(company.browser(), sub, "/status").status_code == status, sub


def test_answer_is_taken_once_and_in_the_browser_that_began(open_company: Open, issuer: str) -> None:
    company = open_company(issuer)
    client = company.browser()
    answer = sign_in_at_issuer(begin(client), OPERATOR)
    assert company.browser().get(answer).status_code == 403  # a link that somebody else was sent
    assert client.get(answer).status_code == 303
    assert client.get(answer).status_code == 403
    late = sign_in_at_issuer(client.get("/sign-in").headers["Location"], OPERATOR)
    company.office.clock.advance(PENDING_LIFETIME)
    assert "no longer valid" in text(client.get(late))


def test_code_is_taken_once(open_company: Open, issuer: str) -> None:
    """The issuer refuses the second time, whatever browser brings it."""
    client = open_company(issuer).browser()
    first = parse_qs(urlsplit(sign_in_at_issuer(begin(client), OPERATOR)).query)
    used = client.get(f"/sign-in/callback?code={first['code'][0]}&state={first['state'][0]}")
    assert used.status_code == 303
    client.delete_cookie(SIGN_IN_COOKIE)
    second = parse_qs(urlsplit(begin(client)).query)
    again = client.get(f"/sign-in/callback?code={first['code'][0]}&state={second['state'][0]}")
    assert (again.status_code, client.get_cookie(SIGN_IN_COOKIE)) == (403, None)


def test_nobody_is_sent_elsewhere(open_company: Open, issuer: str) -> None:
    client = open_company(issuer).browser()
    for wanted in ("https://evil.example", "//evil.example", "/status", "x.y"):
        assert client.get("/sign-in", query_string={"to": wanted}).status_code == 404
    signed = parse_qs(urlsplit(client.get("/status").headers["Location"]).query)["to"][0]
    assert client.get("/sign-in", query_string={"to": signed[:-1] + "_"}).status_code == 404


def test_people_ops_open_their_page_and_no_other(open_company: Open, issuer: str) -> None:
    company = open_company(issuer)
    client = company.browser()
    page = sign_in(client, HILDA, "/people-ops")
    assert (page.status_code, "Coverage, 2026-Q4" in text(page)) == (200, True)
    assert "Coverage, 2026-Q2" in text(client.get("/people-ops?quarter=2026-Q2&by=zone"))
    assert client.get("/status").status_code == 403
    assert sign_in(company.browser(), OPERATOR, "/people-ops").status_code == 403
    assert [one for one in SECRETS.values() if one in page.text] == []


def test_both_roles_open_both_pages_and_the_front_page_names_them(open_company: Open, issuer: str) -> None:
    company = open_company(issuer)
    client = company.browser()
    assert "Sign in" in text(client.get("/"))
    front = sign_in(client, BOTH, "/sign-in")
    assert [f'href="{page}"' in front.text for page in ("/status", "/people-ops")] == [True, True]
    assert [client.get(page).status_code for page in ("/status", "/people-ops")] == [200, 200]
    alone = sign_in(company.browser(), HILDA, "/sign-in")
    assert [f'href="{page}"' in alone.text for page in ("/status", "/people-ops")] == [False, True]


def test_without_settings_nobody_signs_in(company: WebCompany) -> None:
    client = company.browser()
    for page in ("/sign-in", "/sign-in/callback", "/people-ops"):
        assert client.get(page).status_code == 404
    assert client.get("/status").status_code == 403
    assert "Sign in" not in text(client.get("/"))


# --- an issuer that can't be reached, or forges ---


def test_issuer_out_of_reach_is_one_plain_page(open_company: Open, caplog: pytest.LogCaptureFixture) -> None:
    client = open_company("http://localhost:1").browser()
    answer = client.get("/sign-in")
    assert answer.status_code == 503
    assert "can’t be reached" in text(answer)
    assert [getattr(one, "action", "") for one in caplog.records if one.levelname == "ERROR"] == ["sign_in_outage"]


def come_back(company: WebCompany, forger: ForgingIssuer, **changed: str) -> int:
    """Sign in at the forger for the operator's page; return the status, 303 when it was believed."""
    client = company.browser()
    answer = client.get(forger.send_back(begin(client), **changed))
    assert (client.get_cookie(SIGN_IN_COOKIE) is not None) == (answer.status_code == 303)
    return answer.status_code


def test_right_token_is_believed_and_not_kept(
    open_company: Open, forger: ForgingIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    company = open_company(forger.url)
    client = company.browser()
    back = client.get(forger.send_back(begin(client)))
    assert back.status_code == 303
    (exchange,) = forger.exchanges
    assert len(exchange["code_verifier"][0]) >= 43
    kept = " ".join([*back.headers.getlist("Set-Cookie"), *caplog.messages, str(company.read_database())])
    assert not [one for one in (ACCESS_TOKEN, forger.make_token()[:30], SECRET, CODE) if one in kept]


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},
        {"aud": "another-program"},
        {"aud": ["another-program", CLIENT_ID], "azp": "another-program"},
        {"iss": "http://localhost:1"},
        {"exp": int((utcnow() - TOO_LATE).timestamp())},
        {"exp": None},
        {"iat": int((utcnow() + HOUR).timestamp())},
        {"nbf": int((utcnow() + HOUR).timestamp())},
        {"sub": None},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},
        {"email_verified": "true"},
        {"email": None},
    ],
    ids=" ".join,  # the times differ from process to process
)
def test_token_with_a_wrong_claim_is_refused(open_company: Open, forger: ForgingIssuer, claims: dict[str, Any]) -> None:
    company = open_company(forger.url)
    assert come_back(company, forger) == 303
    forger.claims = claims
    assert come_back(company, forger) == 403


def test_clocks_may_differ_a_little(open_company: Open, forger: ForgingIssuer) -> None:
    forger.claims = {"exp": int((utcnow() - A_LITTLE_LATE).timestamp())}
    assert come_back(open_company(forger.url), forger) == 303


@pytest.mark.parametrize(("algorithm", "secret"), [("none", ""), ("HS256", SECRET), ("HS256", CLIENT_ID)])
def test_token_that_anybody_could_have_signed_is_refused(
    open_company: Open, forger: ForgingIssuer, algorithm: str, secret: str
) -> None:
    forger.algorithm, forger.secret = algorithm, secret
    assert come_back(open_company(forger.url), forger) == 403


def test_token_of_another_key_is_refused_and_new_keys_are_learned(open_company: Open, forger: ForgingIssuer) -> None:
    company = open_company(forger.url)
    assert come_back(company, forger) == 303
    forger.replace_key("second")
    assert come_back(company, forger) == 303
    forger.secret = ForgingIssuer().replace_key("third")
    assert come_back(company, forger) == 403


def test_wrong_state_another_issuers_answer_and_an_error_are_refused(open_company: Open, forger: ForgingIssuer) -> None:
    company = open_company(forger.url)
    for changed in ({"state": "x"}, {"iss": "http://localhost:1"}, {"error": "access_denied"}, {"state": "%C3%A9"}):
        assert come_back(company, forger, **changed) == 403
    assert forger.exchanges == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": "http://localhost:1"},
        {"token_endpoint": "http://issuer.example/token"},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
    ],
    ids=str,
)
def test_issuer_that_can_not_be_used_is_one_plain_page(
    open_company: Open, forger: ForgingIssuer, metadata: dict[str, Any]
) -> None:
    forger.metadata = metadata
    assert open_company(forger.url).browser().get("/sign-in").status_code == 503


# --- links that ask for a sign-in ---


def test_forwarded_link_opens_nothing(open_company: Open, issuer: str) -> None:
    """With `pages.sign_in = "required"`, a link opens for the person it was sent to, signed in."""
    company = open_company(issuer, required=True)
    for who, purpose, about in ((SAM, Purpose.ME, ""), (DANA, Purpose.CONTRACT, company.held_session().id)):
        stranger = company.visitor(who, purpose, about)
        home = f"/{purpose.value}" + (f"/{about}" if about else "")
        page = sign_in(stranger, NOBODY, home)
        assert (page.status_code, f"You are signed in as {NOBODY}." in text(page)) == (403, True)
        assert who not in page.text
        assert stranger.get(home).status_code == 403
        owner = company.visitor(who, purpose, about)
        opened = sign_in(owner, who, home)
        assert opened.status_code in (200, 303), text(opened)
        assert opened.request.path == home


def test_any_address_of_the_roster_opens_a_persons_link_and_no_learned_one(open_company: Open, issuer: str) -> None:
    """A learned alias is what an answer to an invitation came from: it proves nothing here."""
    company = open_company(issuer, required=True)
    row = {"form": SAM_ALIAS, "person": SAM, "source": AliasSource.PEOPLE_FILE.value}
    with company.office.store.database.write() as connection:
        connection.execute(insert(person_alias).values(**row))
    assert sign_in(company.visitor(SAM, Purpose.ME), SAM_ALIAS, "/me").status_code == 200
    company.office.store.aliases.learn(NOBODY, SAM)
    assert sign_in(company.visitor(SAM, Purpose.ME), NOBODY, "/me").status_code == 403


def test_form_without_a_sign_in_changes_nothing(open_company: Open, issuer: str) -> None:
    company = open_company(issuer, required=True)
    client = company.visitor(SAM, Purpose.ME)
    token = hidden(sign_in(client, SAM, "/me"), "token")
    client.delete_cookie(SIGN_IN_COOKIE)
    before = company.read_database()
    answer = client.post("/me/talk", data={"token": token, "trigger": "check-in"})
    assert (answer.status_code, "no longer signed in" in text(answer)) == (403, True)
    assert company.read_database() == before


def test_anonymous_question_and_third_voice_ask_for_no_sign_in(open_company: Open, issuer: str) -> None:
    company = open_company(issuer, is_today=False, required=True)
    client = company.visitor("priya@corp.example", Purpose.VOICE, company.third_voice_id())
    assert client.get(f"/voice/{company.third_voice_id()}").status_code == 200
    pulse = company.browser().get(company.link(SAM, Purpose.PULSE, "2026-10"))
    assert "sign-in" not in pulse.headers.get("Location", "")
