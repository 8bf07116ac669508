"""R-23: links expire, stay valid during a change of keys, can be revoked and renewed, and cannot be forged."""

import re
from collections.abc import Iterator

import pytest

from tests.support.companies import BASE_URL, DANA, DAY, HOUR, KIM, MINUTE, OPERATOR, SAM, SECOND, START, texts
from tests.support.web_company import LEE, WebCompany, send_form, text
from worker.errors import LongarcError
from worker.links import BadLink, LinkClaims, LinkSigner, Purpose
from worker.web.app import make_app
from worker.web.logins import OPERATOR_LINK_LIFETIME

#: The age of a link that has expired, which links do after 30 days.
EXPIRED_AGE = 60 * DAY


def test_a_link_expires(company: WebCompany) -> None:
    lifetime = company.office.settings.pages.link_lifetime
    assert company.browser().get(company.link(SAM, Purpose.ME, age=lifetime - HOUR)).status_code == 303
    answer = company.browser().get(company.link(SAM, Purpose.ME, age=lifetime))
    assert answer.status_code == 410
    assert "no longer valid" in text(answer)
    assert company.browser().get(company.link(OPERATOR, Purpose.STATUS, age=OPERATOR_LINK_LIFETIME)).status_code == 410
    assert company.browser().get(company.link(SAM, Purpose.ME, age=-DAY)).status_code == 410  # issued in the future


def test_a_link_for_an_alias_opens_the_page_of_its_owner(company: WebCompany) -> None:
    """A primary address becomes an alias when somebody changes their name."""
    company.office.store.aliases.learn("s.maiden@corp.example", SAM)
    page_text = text(company.visitor(SAM, Purpose.ME).get("/me"))
    assert text(company.visitor("s.maiden@corp.example", Purpose.ME).get("/me")) == page_text
    company.office.store.people.revoke_links(SAM, company.office.clock())
    assert company.browser().get(company.link("s.maiden@corp.example", Purpose.ME)).status_code == 410


@pytest.mark.parametrize(
    ("address", "purpose", "page"),
    [(SAM, Purpose.ME, "/me"), (DANA, Purpose.TEAM, "/team"), (DANA, Purpose.CONTRACT, "/team")],
)
def test_an_expired_link_can_send_a_new_link_to_its_owner_once_an_hour(
    company: WebCompany, address: str, purpose: Purpose, page: str
) -> None:
    about = company.held_session().id if purpose is Purpose.CONTRACT else ""
    expired_link = company.link(address, purpose, about, age=EXPIRED_AGE)
    company.office.tick()
    mail_count = len(company.office.mails())
    answer = company.browser().get(expired_link)
    assert (answer.status_code, f'action="{expired_link}"' in answer.text) == (410, True)
    for _ in range(3):  # three presses within an hour cause one mail
        assert company.browser().post(expired_link).status_code == 202
    company.office.tick()
    (mail,) = company.office.mails()[mail_count:]
    assert (mail["To"].addresses[0].addr_spec, mail["Reply-To"]) == (address, None)
    new_link = re.search(rf"{BASE_URL}(/in/\S+)", texts([mail]))
    assert new_link is not None
    assert company.browser().get(new_link[1]).headers["Location"] == page
    company.office.clock.advance(HOUR)
    assert company.browser().post(expired_link).status_code == 202
    company.office.tick()
    assert len(company.office.mails()) == mail_count + 2


@pytest.mark.parametrize(("address", "page"), [(DANA, "/team"), (SAM, "/me")])
def test_either_of_the_two_gets_a_new_link_for_an_expired_link_to_a_time(
    company: WebCompany, address: str, page: str
) -> None:
    expired_link = company.link(address, Purpose.TIME, company.next_session().id, age=EXPIRED_AGE)
    assert "Send me a new link" in text(company.browser().get(expired_link))
    assert company.browser().post(expired_link).status_code == 202
    company.office.tick()
    new_link = re.search(rf"{BASE_URL}(/in/\S+)", texts(company.office.mails("fresh_link")))
    assert new_link is not None and company.browser().get(new_link[1]).headers["Location"] == page


def test_the_new_link_for_a_time_opens_the_page_of_the_role_in_that_pair(company: WebCompany) -> None:
    """Dana is a manager of other pairs; in this pair she is the report, so that her own page opens."""
    expired_link = company.link(DANA, Purpose.TIME, company.next_session(LEE, DANA).id, age=EXPIRED_AGE)
    assert company.browser().post(expired_link).status_code == 202
    company.office.tick()
    new_link = re.search(rf"{BASE_URL}(/in/\S+)", texts(company.office.mails("fresh_link")))
    assert new_link is not None and company.browser().get(new_link[1]).headers["Location"] == "/me"


def test_only_an_expired_link_of_a_known_person_can_request_a_new_link(company: WebCompany) -> None:
    before = company.read_database()
    for link, expected_status in (
        (company.link(SAM, Purpose.ME), 303),  # still valid, so that it opens the page
        (company.link(OPERATOR, Purpose.STATUS, age=DAY), 303),  # expired: leads to a page that offers no new link
        (company.link("eve@corp.example", Purpose.ME, age=EXPIRED_AGE), 404),
        ("/in/nonsense", 404),
    ):
        assert company.browser().post(link).status_code == expected_status
    assert "Send me a new link" not in text(company.browser().get(company.link(OPERATOR, Purpose.STATUS, age=DAY)))
    assert company.read_database() == before


def test_a_cookie_expires(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    company.office.clock.advance(company.office.settings.pages.visit - MINUTE)
    assert client.get("/me").status_code == 200
    company.office.clock.advance(MINUTE)
    assert client.get("/me").status_code == 403


def test_links_can_be_revoked_by_their_owner_and_by_the_operator(company: WebCompany) -> None:
    link, client = company.link(SAM, Purpose.ME), company.visitor(SAM, Purpose.ME)
    kims_client = company.visitor(KIM, Purpose.ME)
    company.office.clock.advance(HOUR)
    answer = send_form(client, "/me", "/me/leave")
    assert answer.status_code == 200 and "void now" in text(answer)
    assert (company.browser().get(link).status_code, client.get("/me").status_code) == (410, 403)
    assert kims_client.get("/me").status_code == 200
    company.office.clock.advance(SECOND)  # a link issued after the revocation is valid
    assert company.visitor(SAM, Purpose.ME).get("/me").status_code == 200
    company.office.store.people.revoke_links("*", company.office.clock())  # of everybody
    assert kims_client.get("/me").status_code == 403


def make_forged_links(company: WebCompany) -> Iterator[str]:
    """Yield links with a wrong end or beginning, without a signature, too long, of no text, and by a wrong signer."""
    link = company.link(SAM, Purpose.ME)
    yield link[:-1] + ("A" if link[-1] != "A" else "B")
    yield link.replace("/in/", "/in/x")
    yield link.rpartition(".")[0]
    yield "/in/" + "a" * 5000
    yield "/in/%00%ff"
    foreign_signer = LinkSigner(BASE_URL, ["another key"])
    yield foreign_signer.build_url(
        LinkClaims(person=SAM, purpose=Purpose.ME, issued_at=company.office.clock())
    ).removeprefix(BASE_URL)
    own_signer: LinkSigner = company.app.extensions["longarc"].links
    # signed as the value of a cookie
    yield "/in/" + own_signer.sign_claims(
        LinkClaims(person=SAM, purpose=Purpose.ME, issued_at=company.office.clock()), "visit"
    )


def test_a_forged_link_opens_nothing(company: WebCompany) -> None:
    for link in make_forged_links(company):
        answer = company.browser().get(link)
        assert answer.status_code == 404 and "Set-Cookie" not in answer.headers, link


def test_links_stay_valid_while_their_key_is_in_the_settings() -> None:
    """The first key of the settings signs, and all of them verify."""
    claims = LinkClaims(person=SAM, purpose=Purpose.ME, issued_at=START)
    old_signer, both_signer, new_signer = (
        LinkSigner(BASE_URL, ["one"]),
        LinkSigner(BASE_URL, ["two", "one"]),
        LinkSigner(BASE_URL, ["two"]),
    )
    assert (
        both_signer.read_claims(old_signer.sign_claims(claims))
        == new_signer.read_claims(both_signer.sign_claims(claims))
        == claims
    )
    assert both_signer.is_signed_text("a", "form", old_signer.sign_text("a", "form"))
    with pytest.raises(BadLink):
        new_signer.read_claims(old_signer.sign_claims(claims))


def test_the_pages_need_base_url(company: WebCompany) -> None:
    company.office.worker.settings = company.office.settings.model_copy(update={"base_url": ""})
    with pytest.raises(LongarcError, match="base_url"):
        make_app(company.office.worker)
