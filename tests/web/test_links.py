"""Links end, outlive a change of keys, can be revoked, and cannot be forged (R-23)."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.companies import DANA, DAY, HOUR, KIM, OPERATOR, SAM, START, texts
from tests.support.web_company import BASE, LEE, WebCompany, send, text
from worker.errors import LongarcError
from worker.links import BadLink, LinkClaims, LinkSigner, Purpose
from worker.web.app import make_app


def test_a_link_ends(company: WebCompany) -> None:
    lifetime = company.office.settings.pages.link_lifetime
    assert company.browser().get(company.link(SAM, Purpose.ME, age=lifetime - HOUR)).status_code == 303
    answer = company.browser().get(company.link(SAM, Purpose.ME, age=lifetime))
    assert answer.status_code == 410
    assert "no longer valid" in text(answer)
    assert company.browser().get(company.link(OPERATOR, Purpose.STATUS, age=HOUR)).status_code == 410
    assert company.browser().get(company.link(SAM, Purpose.ME, age=-DAY)).status_code == 410  # from the future


def test_a_link_that_was_sent_to_a_former_address_opens_the_owners_page(company: WebCompany) -> None:
    """A primary address becomes an alias when somebody changes their name."""
    company.office.store.aliases.learn("s.maiden@corp.example", SAM)
    wanted = text(company.visitor(SAM, Purpose.ME).get("/me"))
    assert text(company.visitor("s.maiden@corp.example", Purpose.ME).get("/me")) == wanted
    company.office.store.people.revoke_links(SAM, company.office.clock())
    assert company.browser().get(company.link("s.maiden@corp.example", Purpose.ME)).status_code == 410


@pytest.mark.parametrize(
    ("who", "purpose", "page"),
    [(SAM, Purpose.ME, "/me"), (DANA, Purpose.TEAM, "/team"), (DANA, Purpose.CONTRACT, "/team")],
)
def test_an_old_link_asks_for_a_new_one_which_its_owner_alone_gets(
    company: WebCompany, who: str, purpose: Purpose, page: str
) -> None:
    about = company.held_session().id if purpose is Purpose.CONTRACT else ""
    old = company.link(who, purpose, about, age=60 * DAY)
    company.office.tick()
    before = len(company.office.mails())
    answer = company.browser().get(old)
    assert (answer.status_code, f'action="{old}"' in answer.text) == (410, True)
    for _ in range(3):  # once an hour is enough, however often somebody presses
        assert company.browser().post(old).status_code == 202
    company.office.tick()
    (mail,) = company.office.mails()[before:]
    assert (mail["To"].addresses[0].addr_spec, mail["Reply-To"]) == (who, None)
    fresh = re.search(rf"{BASE}(/in/\S+)", texts([mail]))
    assert fresh is not None
    assert company.browser().get(fresh[1]).headers["Location"] == page
    company.office.clock.advance(HOUR)
    assert company.browser().post(old).status_code == 202
    company.office.tick()
    assert len(company.office.mails()) == before + 2


@pytest.mark.parametrize(("who", "page"), [(DANA, "/team"), (SAM, "/me")])
def test_an_old_link_to_a_time_asks_for_a_new_one_for_either_of_the_two(
    company: WebCompany, who: str, page: str
) -> None:
    old = company.link(who, Purpose.TIME, company.next_session().id, age=60 * DAY)
    assert "Send me a new link" in text(company.browser().get(old))
    assert company.browser().post(old).status_code == 202
    company.office.tick()
    fresh = re.search(rf"{BASE}(/in/\S+)", texts(company.office.mails("fresh_link")))
    assert fresh is not None and company.browser().get(fresh[1]).headers["Location"] == page


def test_an_old_link_to_a_time_brings_the_page_of_the_pair_it_is_about(company: WebCompany) -> None:
    """Dana is a manager, too; here she is the report."""
    old = company.link(DANA, Purpose.TIME, company.next_session(LEE, DANA).id, age=60 * DAY)
    assert company.browser().post(old).status_code == 202
    company.office.tick()
    fresh = re.search(rf"{BASE}(/in/\S+)", texts(company.office.mails("fresh_link")))
    assert fresh is not None and company.browser().get(fresh[1]).headers["Location"] == "/me"


def test_nothing_but_an_old_link_of_ours_asks_for_a_new_one(company: WebCompany) -> None:
    before = company.read_database()
    for way, expected in (
        (company.link(SAM, Purpose.ME), 303),  # which opens the page still
        (company.link(OPERATOR, Purpose.STATUS, age=DAY), 303),
        (company.link("eve@corp.example", Purpose.ME, age=60 * DAY), 404),
        ("/in/nonsense", 404),
    ):
        assert company.browser().post(way).status_code == expected
    assert "Send me a new link" not in text(company.browser().get(company.link(OPERATOR, Purpose.STATUS, age=DAY)))
    assert company.read_database() == before


def test_a_visit_ends(company: WebCompany) -> None:
    client = company.visitor(SAM, Purpose.ME)
    company.office.clock.advance(company.office.settings.pages.visit - timedelta(minutes=1))
    assert client.get("/me").status_code == 200
    company.office.clock.advance(timedelta(minutes=1))
    assert client.get("/me").status_code == 403


def test_links_can_be_revoked_by_their_owner_and_by_the_operator(company: WebCompany) -> None:
    link, open_page = company.link(SAM, Purpose.ME), company.visitor(SAM, Purpose.ME)
    other = company.visitor(KIM, Purpose.ME)
    company.office.clock.advance(HOUR)
    answer = send(open_page, "/me", "/me/leave")
    assert answer.status_code == 200 and "void now" in text(answer)
    assert (company.browser().get(link).status_code, open_page.get("/me").status_code) == (410, 403)
    assert other.get("/me").status_code == 200
    company.office.clock.advance(timedelta(seconds=1))
    assert company.visitor(SAM, Purpose.ME).get("/me").status_code == 200
    company.office.store.people.revoke_links("*", company.office.clock())
    assert other.get("/me").status_code == 403


def forged(company: WebCompany) -> Iterator[str]:
    link = company.link(SAM, Purpose.ME)
    yield link[:-1] + ("A" if link[-1] != "A" else "B")
    yield link.replace("/in/", "/in/x")
    yield link.rpartition(".")[0]
    yield "/in/" + "a" * 5000
    yield "/in/%00%ff"
    stranger = LinkSigner(BASE, ["another key"])
    yield stranger.build_url(LinkClaims(person=SAM, purpose=Purpose.ME, issued_at=company.office.clock())).removeprefix(
        BASE
    )
    ours: LinkSigner = company.app.extensions["longarc"].links
    yield "/in/" + ours.sign_claims(
        LinkClaims(person=SAM, purpose=Purpose.ME, issued_at=company.office.clock()), "visit"
    )


def test_a_forged_link_opens_nothing(company: WebCompany) -> None:
    for link in forged(company):
        answer = company.browser().get(link)
        assert answer.status_code == 404 and "Set-Cookie" not in answer.headers, link


def test_links_outlive_a_change_of_keys() -> None:
    """The first key signs, all of them count."""
    given = LinkClaims(person=SAM, purpose=Purpose.ME, issued_at=START)
    old, both, new = LinkSigner(BASE, ["one"]), LinkSigner(BASE, ["two", "one"]), LinkSigner(BASE, ["two"])
    assert both.read_token(old.sign_claims(given)) == new.read_token(both.sign_claims(given)) == given
    assert both.is_signed_text("a", "form", old.sign_text("a", "form"))
    with pytest.raises(BadLink):
        new.read_token(old.sign_claims(given))


def test_without_an_address_there_are_no_pages(company: WebCompany) -> None:
    company.office.worker.settings = company.office.settings.model_copy(update={"base_url": ""})
    with pytest.raises(LongarcError, match="base_url"):
        make_app(company.office.worker)
