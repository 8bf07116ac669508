"""Sign-in with the company's accounts, at an issuer of another project and at one that forges its answers.

Only a verified address of the right issuer gives a role, and each answer of the issuer works once, in one browser.
"""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest
from flask.testing import FlaskClient
from sqlalchemy import insert

from tests.support.companies import BASE_URL, DANA, DAY, HOUR, OPERATOR, SAM
from tests.support.issuers import (
    A_LITTLE_LATE,
    ACCESS_TOKEN,
    BOTH_ROLES,
    CLIENT_ID,
    CODE,
    HILDA,
    IMPOSTOR,
    OUTSIDER,
    SAM_ALIAS,
    SECRET,
    TOO_LATE,
    WITHOUT_ROLE,
    ForgingIssuer,
    serve_forging_issuer,
    sign_in,
    sign_in_at_issuer,
    sign_in_settings,
)
from tests.support.web_company import PRIYA, SECRETS, SavedCompany, WebCompany, hidden_value, text
from worker.clock import utcnow
from worker.domain.model import AliasSource
from worker.links import Purpose
from worker.ops.coverage import find_quarter
from worker.store.tables import person_alias
from worker.web.sign_in import PENDING_LIFETIME, SIGN_IN_COOKIE

OpenCompany = Callable[..., WebCompany]

#: The length in base64 of a value of 32 bytes that nobody can guess.
MIN_RANDOM_CHARACTERS = 43
#: The address of an issuer at which nothing listens.
UNREACHABLE = "http://localhost:1"

pytestmark = pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib")  # of the issuer of another project


@pytest.fixture(name="forger")
def issuer_that_forges() -> Iterator[ForgingIssuer]:
    with serve_forging_issuer() as forger:
        yield forger


@pytest.fixture(name="open_company")
def companies_with_settings(saved_company: SavedCompany, tmp_path: Path) -> Iterator[OpenCompany]:
    """A function that opens the company with a sign-in, and with these settings of the section `sign_in`.

    With `is_today` the clock shows the real time, which issuers check; otherwise the time at which it was saved.
    """
    companies: list[WebCompany] = []

    def open_company(issuer: str, is_today: bool = True, **more: Any) -> WebCompany:
        companies.append(WebCompany.of(saved_company, tmp_path, **sign_in_settings(issuer, **more)))
        if is_today:
            companies[-1].office.clock.move_to(utcnow())
        return companies[-1]

    yield open_company
    for company in companies:
        company.office.close()


def start_sign_in(client: FlaskClient, page: str = "/status") -> str:
    """Request a page that needs a sign-in, and return the address of the issuer to which the browser is sent."""
    return client.get(client.get(page).headers["Location"]).headers["Location"]


def test_operator_signs_in_and_out(open_company: OpenCompany, issuer: str) -> None:
    client = open_company(issuer).browser()
    page = sign_in(client, OPERATOR, "/status")
    assert (page.status_code, page.request.path) == (200, "/status")
    assert client.get("/status/quarter").status_code == 200
    answer = client.post("/status/leave", data={"token": hidden_value(page, "token")})
    assert "You are signed out" in text(answer)
    assert client.get("/status").headers["Location"].startswith("/sign-in?to=")


def test_the_request_to_the_issuer_has_state_nonce_pkce_and_the_registered_address(
    open_company: OpenCompany, issuer: str
) -> None:
    query = parse_qs(urlsplit(start_sign_in(open_company(issuer).browser())).query)
    assert query["redirect_uri"] == [f"{BASE_URL}/sign-in/callback"]
    assert query["code_challenge_method"] == ["S256"]
    assert all(len(query[name][0]) >= MIN_RANDOM_CHARACTERS for name in ("state", "nonce", "code_challenge"))
    assert query["scope"] == ["openid email profile"]


def test_the_sign_in_cookie_is_for_this_site_alone_and_expires(open_company: OpenCompany, issuer: str) -> None:
    company = open_company(issuer)
    client = company.browser()
    answer = client.get(sign_in_at_issuer(start_sign_in(client), OPERATOR))
    (cookie,) = [header for header in answer.headers.getlist("Set-Cookie") if header.startswith(f"{SIGN_IN_COOKIE}=")]
    lifetime = company.office.settings.pages.visit
    max_age = f"Max-Age={int(lifetime.total_seconds())}"
    assert {"Secure", "HttpOnly", "SameSite=Lax", "Path=/", max_age} <= set(cookie.split("; "))
    company.office.clock.advance(lifetime)
    assert client.get("/status").status_code == 303


def test_sign_out_ends_the_sign_in_in_every_browser_but_no_link(open_company: OpenCompany, issuer: str) -> None:
    company = open_company(issuer)
    first_browser, second_browser = company.browser(), company.browser()
    page = sign_in(first_browser, OPERATOR, "/status")
    assert sign_in(second_browser, OPERATOR, "/status").status_code == 200
    browser_with_link = company.operator()  # followed a link and did not sign in
    first_browser.post("/sign-in/out", data={"token": hidden_value(page, "token")})
    assert second_browser.get("/status").status_code == 303
    assert browser_with_link.get("/status").status_code == 200


def test_revoked_links_end_the_sign_in_of_the_person(open_company: OpenCompany, issuer: str) -> None:
    company = open_company(issuer)
    client = company.browser()
    assert sign_in(client, OPERATOR, "/status").status_code == 200
    company.office.store.people.revoke_links(OPERATOR, company.office.clock())
    assert client.get("/status").status_code == 303


def test_the_operators_link_works_and_forged_forms_are_refused(open_company: OpenCompany, issuer: str) -> None:
    company = open_company(issuer)
    assert company.operator().get("/status").status_code == 200
    client = company.browser()
    token = hidden_value(sign_in(client, OPERATOR, "/status"), "token")
    assert client.post("/status/leave", data={"token": "x" * len(token)}).status_code == 403
    cross_site = {"Sec-Fetch-Site": "cross-site"}
    assert client.post("/sign-in/out", data={"token": token}, headers=cross_site).status_code == 403
    assert client.get("/status").status_code == 200


def test_a_person_without_the_role_reads_which_role_is_missing_and_whom_to_ask(
    open_company: OpenCompany, issuer: str
) -> None:
    client = open_company(issuer).browser()
    page = sign_in(client, WITHOUT_ROLE, "/status")
    assert page.status_code == 403
    page_text = text(page)
    assert f"You are signed in as {WITHOUT_ROLE}." in page_text
    assert "for the role “operator”, which this address does not have" in page_text
    assert f"If it should, ask {OPERATOR}." in page_text
    other_account_path = page.text.split('class="button" href="')[1].split('"')[0].replace("&amp;", "&")
    assert "prompt=select_account" in client.get(other_account_path).headers["Location"]


@pytest.mark.parametrize(
    ("sub", "extra_settings", "reason"),
    [
        (IMPOSTOR, {}, "does not say that your mail address was verified"),
        (OUTSIDER, {"domains": ["corp.example"], "operators": [OUTSIDER]}, "is not one of this company’s"),
    ],
)
def test_an_unverified_or_foreign_address_is_refused(
    open_company: OpenCompany, issuer: str, sub: str, extra_settings: dict[str, Any], reason: str
) -> None:
    client = open_company(issuer, **extra_settings).browser()
    page = sign_in(client, sub, "/status")
    assert (page.status_code, client.get_cookie(SIGN_IN_COOKIE)) == (403, None)
    assert reason in text(page)


def test_roles_follow_the_claim_that_the_settings_name(open_company: OpenCompany, issuer: str) -> None:
    """The settings name groups of the issuer in place of addresses. Operators are in the group `longarc-ops`."""
    company = open_company(issuer, role_claim="groups", operators=["longarc-ops"], people_ops=["hr"])
    for sub, status in ((OPERATOR, 200), (BOTH_ROLES, 200), (HILDA, 403), (WITHOUT_ROLE, 403)):
        assert sign_in(company.browser(), sub, "/status").status_code == status, sub


def test_an_answer_of_the_issuer_works_once_and_only_in_the_browser_that_began(
    open_company: OpenCompany, issuer: str
) -> None:
    company = open_company(issuer)
    client = company.browser()
    answer = sign_in_at_issuer(start_sign_in(client), OPERATOR)
    assert company.browser().get(answer).status_code == 403  # a browser that did not begin this sign-in
    assert client.get(answer).status_code == 303
    assert client.get(answer).status_code == 403  # the second time
    late_answer = sign_in_at_issuer(client.get("/sign-in").headers["Location"], OPERATOR)
    company.office.clock.advance(PENDING_LIFETIME)  # the longest time from the beginning of a sign-in to its answer
    assert "no longer valid" in text(client.get(late_answer))


def test_a_code_of_the_issuer_works_once(open_company: OpenCompany, issuer: str) -> None:
    """The issuer refuses it the second time, also with the state of a new sign-in."""
    client = open_company(issuer).browser()
    first_query = parse_qs(urlsplit(sign_in_at_issuer(start_sign_in(client), OPERATOR)).query)
    first_answer = client.get(f"/sign-in/callback?code={first_query['code'][0]}&state={first_query['state'][0]}")
    assert first_answer.status_code == 303
    client.delete_cookie(SIGN_IN_COOKIE)
    second_query = parse_qs(urlsplit(start_sign_in(client)).query)
    second_answer = client.get(f"/sign-in/callback?code={first_query['code'][0]}&state={second_query['state'][0]}")
    assert (second_answer.status_code, client.get_cookie(SIGN_IN_COOKIE)) == (403, None)


def test_sign_in_redirects_only_to_signed_pages_of_this_site(open_company: OpenCompany, issuer: str) -> None:
    client = open_company(issuer).browser()
    for target in ("https://evil.example", "//evil.example", "/status", "x.y"):  # none of them is signed
        assert client.get("/sign-in", query_string={"to": target}).status_code == 404
    signed_target = parse_qs(urlsplit(client.get("/status").headers["Location"]).query)["to"][0]
    assert client.get("/sign-in", query_string={"to": signed_target[:-1] + "_"}).status_code == 404


def test_people_ops_open_only_their_page(open_company: OpenCompany, issuer: str) -> None:
    company = open_company(issuer)
    client = company.browser()
    page = sign_in(client, HILDA, "/people-ops")
    quarter = find_quarter(company.office.clock().date())
    earlier_quarter = find_quarter(quarter.first_day - DAY)
    assert (page.status_code, f"Coverage, {quarter}" in text(page)) == (200, True)
    assert f"Coverage, {earlier_quarter}" in text(client.get(f"/people-ops?quarter={earlier_quarter}&by=zone"))
    assert client.get("/status").status_code == 403
    assert sign_in(company.browser(), OPERATOR, "/people-ops").status_code == 403
    assert [secret for secret in SECRETS.values() if secret in page.text] == []


def test_a_person_with_both_roles_opens_both_pages_from_the_front_page(open_company: OpenCompany, issuer: str) -> None:
    company = open_company(issuer)
    client = company.browser()
    assert "Sign in" in text(client.get("/"))
    front_page = sign_in(client, BOTH_ROLES, "/sign-in")
    assert [f'href="{page}"' in front_page.text for page in ("/status", "/people-ops")] == [True, True]
    assert [client.get(page).status_code for page in ("/status", "/people-ops")] == [200, 200]
    people_ops_page = sign_in(company.browser(), HILDA, "/sign-in")
    assert [f'href="{page}"' in people_ops_page.text for page in ("/status", "/people-ops")] == [False, True]


def test_no_sign_in_exists_without_its_settings(company: WebCompany) -> None:
    client = company.browser()
    for page in ("/sign-in", "/sign-in/callback", "/people-ops"):
        assert client.get(page).status_code == 404
    assert client.get("/status").status_code == 403
    assert "Sign in" not in text(client.get("/"))


# --- an issuer that can't be reached or that forges ---


def test_an_unreachable_issuer_is_reported_on_a_page_and_logged(
    open_company: OpenCompany, caplog: pytest.LogCaptureFixture
) -> None:
    client = open_company(UNREACHABLE).browser()
    answer = client.get("/sign-in")
    assert answer.status_code == 503
    assert "can’t be reached" in text(answer)
    assert [getattr(record, "action", "") for record in caplog.records if record.levelname == "ERROR"] == [
        "sign_in_outage"
    ]


def sign_in_at_forger(company: WebCompany, forger: ForgingIssuer, **changes: str) -> int:
    """Sign in at the forger for the operator's page, and return the status: 303 when the answer was accepted.

    `changes`: parameters of the answer that the forger changes.
    """
    client = company.browser()
    answer = client.get(forger.send_back(start_sign_in(client), **changes))
    assert (client.get_cookie(SIGN_IN_COOKIE) is not None) == (answer.status_code == 303)
    return answer.status_code


def test_a_valid_token_signs_in_and_is_stored_nowhere(
    open_company: OpenCompany, forger: ForgingIssuer, caplog: pytest.LogCaptureFixture
) -> None:
    company = open_company(forger.url)
    client = company.browser()
    answer = client.get(forger.send_back(start_sign_in(client)))
    assert answer.status_code == 303
    (token_request,) = forger.token_requests
    assert len(token_request["code_verifier"][0]) >= MIN_RANDOM_CHARACTERS
    stored = " ".join([*answer.headers.getlist("Set-Cookie"), *caplog.messages, str(company.read_database())])
    token_start = forger.make_token()[:30]  # the header of every token of this issuer
    assert not [secret for secret in (ACCESS_TOKEN, token_start, SECRET, CODE) if secret in stored]


@pytest.mark.parametrize(
    "claims",
    [
        {"nonce": "another"},
        {"nonce": None},  # the token lacks this claim
        {"aud": "another-program"},
        {"aud": ["another-program", CLIENT_ID], "azp": "another-program"},
        {"iss": UNREACHABLE},
        {"exp": int((utcnow() - TOO_LATE).timestamp())},
        {"exp": None},
        {"iat": int((utcnow() + HOUR).timestamp())},
        {"nbf": int((utcnow() + HOUR).timestamp())},
        {"sub": None},
        {"at_hash": "AAAAAAAAAAAAAAAAAAAAAA"},  # of another access token
        {"email_verified": "true"},  # a text in place of a boolean
        {"email": None},
    ],
    ids=" ".join,  # the names of the claims: the times in their values differ between processes
)
def test_a_token_with_a_wrong_claim_is_refused(
    open_company: OpenCompany, forger: ForgingIssuer, claims: dict[str, Any]
) -> None:
    company = open_company(forger.url)
    assert sign_in_at_forger(company, forger) == 303
    forger.claims = claims
    assert sign_in_at_forger(company, forger) == 403


def test_a_token_that_has_just_expired_is_accepted(open_company: OpenCompany, forger: ForgingIssuer) -> None:
    forger.claims = {"exp": int((utcnow() - A_LITTLE_LATE).timestamp())}
    assert sign_in_at_forger(open_company(forger.url), forger) == 303


# HS256 signs with a secret that both sides know, so that anybody who knows it could forge a token
@pytest.mark.parametrize(("algorithm", "secret"), [("none", ""), ("HS256", SECRET), ("HS256", CLIENT_ID)])
def test_a_token_without_a_signature_of_the_issuer_is_refused(
    open_company: OpenCompany, forger: ForgingIssuer, algorithm: str, secret: str
) -> None:
    forger.algorithm, forger.secret = algorithm, secret
    assert sign_in_at_forger(open_company(forger.url), forger) == 403


def test_new_keys_of_the_issuer_are_loaded_and_other_keys_are_refused(
    open_company: OpenCompany, forger: ForgingIssuer
) -> None:
    company = open_company(forger.url)
    assert sign_in_at_forger(company, forger) == 303
    forger.replace_key("second")
    assert sign_in_at_forger(company, forger) == 303
    forger.secret = ForgingIssuer().replace_key("third")  # signs tokens, and is not published
    assert sign_in_at_forger(company, forger) == 403


def test_a_wrong_state_another_issuer_and_an_error_are_refused(
    open_company: OpenCompany, forger: ForgingIssuer
) -> None:
    company = open_company(forger.url)
    for changes in (
        {"state": "x"},
        {"iss": UNREACHABLE},
        {"error": "access_denied"},
        {"state": "%C3%A9"},
    ):  # é, not ASCII
        assert sign_in_at_forger(company, forger, **changes) == 403
    assert forger.token_requests == []


@pytest.mark.parametrize(
    "metadata",
    [
        {"issuer": UNREACHABLE},
        {"token_endpoint": "http://issuer.example/token"},
        {"jwks_uri": None},
        {"jwks_uri": "file:///etc/passwd"},
    ],
    ids=str,
)
def test_unusable_metadata_of_the_issuer_is_reported_on_a_page(
    open_company: OpenCompany, forger: ForgingIssuer, metadata: dict[str, Any]
) -> None:
    forger.metadata = metadata
    assert open_company(forger.url).browser().get("/sign-in").status_code == 503


# --- links that require a sign-in ---


def test_a_forwarded_link_opens_only_for_its_owner_signed_in(open_company: OpenCompany, issuer: str) -> None:
    """With `pages.sign_in = "required"`, the person to whom the link was sent has to sign in."""
    company = open_company(issuer, required=True)
    for address, purpose, about in ((SAM, Purpose.ME, ""), (DANA, Purpose.CONTRACT, company.held_session().id)):
        stranger = company.visitor(address, purpose, about)
        page_path = f"/{purpose.value}" + (f"/{about}" if about else "")
        page = sign_in(stranger, WITHOUT_ROLE, page_path)
        assert (page.status_code, f"You are signed in as {WITHOUT_ROLE}." in text(page)) == (403, True)
        assert address not in page.text
        assert stranger.get(page_path).status_code == 403
        owner = company.visitor(address, purpose, about)
        own_page = sign_in(owner, address, page_path)
        assert own_page.status_code in (200, 303), text(own_page)
        assert own_page.request.path == page_path


def test_roster_addresses_of_a_person_open_the_link_and_learned_aliases_do_not(
    open_company: OpenCompany, issuer: str
) -> None:
    """A learned alias is only an address from which somebody answered an invitation: it proves no identity."""
    company = open_company(issuer, required=True)
    listed_alias = {"form": SAM_ALIAS, "person": SAM, "source": AliasSource.PEOPLE_FILE.value}
    with company.office.store.database.write() as connection:
        connection.execute(insert(person_alias).values(**listed_alias))
    assert sign_in(company.visitor(SAM, Purpose.ME), SAM_ALIAS, "/me").status_code == 200
    company.office.store.aliases.learn(WITHOUT_ROLE, SAM)
    assert sign_in(company.visitor(SAM, Purpose.ME), WITHOUT_ROLE, "/me").status_code == 403


def test_a_form_without_a_sign_in_changes_nothing(open_company: OpenCompany, issuer: str) -> None:
    company = open_company(issuer, required=True)
    client = company.visitor(SAM, Purpose.ME)
    token = hidden_value(sign_in(client, SAM, "/me"), "token")
    client.delete_cookie(SIGN_IN_COOKIE)
    before = company.read_database()
    answer = client.post("/me/talk", data={"token": token, "trigger": "check-in"})
    assert (answer.status_code, "no longer signed in" in text(answer)) == (403, True)
    assert company.read_database() == before


def test_pulse_and_third_voice_need_no_sign_in(open_company: OpenCompany, issuer: str) -> None:
    company = open_company(issuer, is_today=False, required=True)  # today, the question would be closed
    client = company.visitor(PRIYA, Purpose.VOICE, company.third_voice_id())
    assert client.get(f"/voice/{company.third_voice_id()}").status_code == 200
    pulse_page = company.browser().get(company.link(SAM, Purpose.PULSE, "2026-10"))
    assert "sign-in" not in pulse_page.headers.get("Location", "")
