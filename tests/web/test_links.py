"""Links end, outlive a change of keys, can be revoked, and cannot be forged (R-23)."""

import re
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.companies import DANA, DAY, HOUR, KIM, OPERATOR, SAM, START, texts
from tests.support.web_company import BASE, LEE, Room, send, text
from worker.errors import LongarcError
from worker.links import BadLink, LinkClaims, LinkSigner, Purpose
from worker.web.app import make_app


def test_a_link_ends(room: Room) -> None:
    lifetime = room.office.settings.pages.link_lifetime
    assert room.browser().get(room.link(SAM, Purpose.ME, age=lifetime - HOUR)).status_code == 303
    answer = room.browser().get(room.link(SAM, Purpose.ME, age=lifetime))
    assert answer.status_code == 410
    assert "no longer valid" in text(answer)
    assert room.browser().get(room.link(OPERATOR, Purpose.STATUS, age=HOUR)).status_code == 410
    assert room.browser().get(room.link(SAM, Purpose.ME, age=-DAY)).status_code == 410  # from the future


def test_a_link_that_was_sent_to_a_former_address_opens_the_owners_page(room: Room) -> None:
    """A primary address becomes an alias when somebody changes their name."""
    room.office.store.aliases.learn("s.maiden@corp.example", SAM)
    wanted = text(room.visitor(SAM, Purpose.ME).get("/me"))
    assert text(room.visitor("s.maiden@corp.example", Purpose.ME).get("/me")) == wanted
    room.office.store.people.revoke_links(SAM, room.office.clock())
    assert room.browser().get(room.link("s.maiden@corp.example", Purpose.ME)).status_code == 410


@pytest.mark.parametrize(
    ("who", "purpose", "page"),
    [(SAM, Purpose.ME, "/me"), (DANA, Purpose.TEAM, "/team"), (DANA, Purpose.CONTRACT, "/team")],
)
def test_an_old_link_asks_for_a_new_one_which_its_owner_alone_gets(
    room: Room, who: str, purpose: Purpose, page: str
) -> None:
    about = room.held().id if purpose is Purpose.CONTRACT else ""
    old = room.link(who, purpose, about, age=60 * DAY)
    room.office.tick()
    before = len(room.office.mails())
    answer = room.browser().get(old)
    assert (answer.status_code, f'action="{old}"' in answer.text) == (410, True)
    for _ in range(3):  # once an hour is enough, however often somebody presses
        assert room.browser().post(old).status_code == 202
    room.office.tick()
    (mail,) = room.office.mails()[before:]
    assert (mail["To"].addresses[0].addr_spec, mail["Reply-To"]) == (who, None)
    fresh = re.search(rf"{BASE}(/in/\S+)", texts([mail]))
    assert fresh is not None
    assert room.browser().get(fresh[1]).headers["Location"] == page
    room.office.clock.advance(HOUR)
    assert room.browser().post(old).status_code == 202
    room.office.tick()
    assert len(room.office.mails()) == before + 2


@pytest.mark.parametrize(("who", "page"), [(DANA, "/team"), (SAM, "/me")])
def test_an_old_link_to_a_time_asks_for_a_new_one_for_either_of_the_two(room: Room, who: str, page: str) -> None:
    old = room.link(who, Purpose.TIME, room.coming().id, age=60 * DAY)
    assert "Send me a new link" in text(room.browser().get(old))
    assert room.browser().post(old).status_code == 202
    room.office.tick()
    fresh = re.search(rf"{BASE}(/in/\S+)", texts(room.office.mails("fresh_link")))
    assert fresh is not None and room.browser().get(fresh[1]).headers["Location"] == page


def test_an_old_link_to_a_time_brings_the_page_of_the_pair_it_is_about(room: Room) -> None:
    """Dana is a manager, too; here she is the report."""
    old = room.link(DANA, Purpose.TIME, room.coming(LEE, DANA).id, age=60 * DAY)
    assert room.browser().post(old).status_code == 202
    room.office.tick()
    fresh = re.search(rf"{BASE}(/in/\S+)", texts(room.office.mails("fresh_link")))
    assert fresh is not None and room.browser().get(fresh[1]).headers["Location"] == "/me"


def test_nothing_but_an_old_link_of_ours_asks_for_a_new_one(room: Room) -> None:
    before = room.everything()
    for way, expected in (
        (room.link(SAM, Purpose.ME), 303),  # which opens the page still
        (room.link(OPERATOR, Purpose.STATUS, age=DAY), 303),
        (room.link("eve@corp.example", Purpose.ME, age=60 * DAY), 404),
        ("/in/nonsense", 404),
    ):
        assert room.browser().post(way).status_code == expected
    assert "Send me a new link" not in text(room.browser().get(room.link(OPERATOR, Purpose.STATUS, age=DAY)))
    assert room.everything() == before


def test_a_visit_ends(room: Room) -> None:
    client = room.visitor(SAM, Purpose.ME)
    room.office.clock.advance(room.office.settings.pages.visit - timedelta(minutes=1))
    assert client.get("/me").status_code == 200
    room.office.clock.advance(timedelta(minutes=1))
    assert client.get("/me").status_code == 403


def test_links_can_be_revoked_by_their_owner_and_by_the_operator(room: Room) -> None:
    link, open_page = room.link(SAM, Purpose.ME), room.visitor(SAM, Purpose.ME)
    other = room.visitor(KIM, Purpose.ME)
    room.office.clock.advance(HOUR)
    answer = send(open_page, "/me", "/me/leave")
    assert answer.status_code == 200 and "void now" in text(answer)
    assert (room.browser().get(link).status_code, open_page.get("/me").status_code) == (410, 403)
    assert other.get("/me").status_code == 200
    room.office.clock.advance(timedelta(seconds=1))
    assert room.visitor(SAM, Purpose.ME).get("/me").status_code == 200
    room.office.store.people.revoke_links("*", room.office.clock())
    assert other.get("/me").status_code == 403


def forged(room: Room) -> Iterator[str]:
    link = room.link(SAM, Purpose.ME)
    yield link[:-1] + ("A" if link[-1] != "A" else "B")
    yield link.replace("/in/", "/in/x")
    yield link.rpartition(".")[0]
    yield "/in/" + "a" * 5000
    yield "/in/%00%ff"
    stranger = LinkSigner(BASE, ["another key"])
    yield stranger.build_url(LinkClaims(person=SAM, purpose=Purpose.ME, issued_at=room.office.clock())).removeprefix(
        BASE
    )
    ours: LinkSigner = room.app.extensions["longarc"].links
    yield "/in/" + ours.sign_claims(LinkClaims(person=SAM, purpose=Purpose.ME, issued_at=room.office.clock()), "visit")


def test_a_forged_link_opens_nothing(room: Room) -> None:
    for link in forged(room):
        answer = room.browser().get(link)
        assert answer.status_code == 404 and "Set-Cookie" not in answer.headers, link


def test_links_outlive_a_change_of_keys() -> None:
    """The first key signs, all of them count."""
    given = LinkClaims(person=SAM, purpose=Purpose.ME, issued_at=START)
    old, both, new = LinkSigner(BASE, ["one"]), LinkSigner(BASE, ["two", "one"]), LinkSigner(BASE, ["two"])
    assert both.read_token(old.sign_claims(given)) == new.read_token(both.sign_claims(given)) == given
    assert both.is_signed_text("a", "form", old.sign_text("a", "form"))
    with pytest.raises(BadLink):
        new.read_token(old.sign_claims(given))


def test_without_an_address_there_are_no_pages(room: Room) -> None:
    room.office.worker.settings = room.office.settings.model_copy(update={"base_url": ""})
    with pytest.raises(LongarcError, match="base_url"):
        make_app(room.office.worker)
