"""The whole story in a real browser against real servers: mail, link, page, contract, summary, calendar, done."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.companies import DANA, KIM, OPERATOR, SAM
from tests.support.web_company import ALEX, LEE
from tests.support.web_servers import BASE, CHROMIUM, DESKTOP, NOAH, PHONE, CompanyOnServers, run_company
from worker.domain.model import CommitmentStanding, Owner, PairId, SessionState
from worker.links import LinkClaims, LinkSigner, Purpose
from worker.mail.kinds import list_samples
from worker.mail.render import MailRenderer
from worker.mail.samples import COMMITMENTS

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on PATH, and `make setup` could bring none"),
]


@pytest.fixture(scope="module", name="company")
def company_on_servers(tmp_path_factory: pytest.TempPathFactory) -> Iterator[CompanyOnServers]:
    with run_company(tmp_path_factory.mktemp("company")) as running:
        yield running


def first(who: str) -> str:
    return who.partition("@")[0].title()


def write(page: Page, company: CompanyOnServers, report: str) -> None:
    """Fill the four parts."""
    due = company.clock().date() + timedelta(days=20)
    page.fill("#report-0-text", "Draft one page on direction")
    page.fill("#report-0-due", f"{due}")
    page.fill("#manager-0-text", f"Introduce {first(report)} to Priya soon")
    page.fill("#manager-0-due", f"{due}")
    page.fill("#reviews-0-text", "how the introduction went")
    page.fill("#reviews-0-month", f"{due:%Y-%m}")
    page.fill("#question", "What would make this the right place?")


def send(page: Page, report: str) -> None:
    page.get_by_role("button", name="See what both will receive").click()
    expect(page.get_by_role("heading", name="Before it is sent")).to_be_visible()
    expect(page.get_by_text("leaves open what will be done")).to_be_visible()
    mail = page.frame_locator("iframe").first
    expect(mail.get_by_text(f"Introduce {first(report)} to Priya soon")).to_be_visible()
    page.get_by_role("button", name="Send it to both of you").click()
    expect(page.get_by_text("Recorded. Both of you get it by mail within minutes.")).to_be_visible()


def keep(page: Page, company: CompanyOnServers, report: str) -> None:
    """What comes of it: the summary reaches both, the manager's promise stands on the calendar until it is done."""
    company.tick()
    for who in (DANA, report):
        body = company.mails(who)[-1].get_body(("plain",))
        assert body and f"Introduce {first(report)} to Priya soon" in body.get_content(), who
    (block,) = company.blocks(report)
    assert block.span.start > company.clock()
    page.get_by_role("button", name="Done").first.click()
    expect(page.get_by_text("Done. Well kept.")).to_be_visible()
    company.tick()
    assert company.blocks(report) == []
    assert [one.standing for one in company.commitments(report, Owner.MANAGER)] == [CommitmentStanding.DONE]


@pytest.mark.parametrize(
    ("report", "size", "script"),
    [(SAM, DESKTOP, True), (KIM, PHONE, True), (ALEX, DESKTOP, False)],
    ids=["desktop", "phone", "without script"],
)
def test_from_the_mail_to_the_calendar(
    company: CompanyOnServers, report: str, size: dict[str, int], script: bool
) -> None:
    link = company.link(DANA, f"You and {first(report)} have talked")
    with company.open_page(size, java_script_enabled=script) as page:
        page.goto(link)
        assert "/in/" not in page.url
        write(page, company, report)
        if script:
            expect(page.locator("#state")).to_contain_text("Draft kept")
            expect(page.locator('[data-asked="manager-0"]')).to_contain_text("leaves open what will be done")
            page.get_by_role("button", name="Add a commitment").nth(1).click()
            expect(page.locator("#manager-1-text")).to_be_focused()
            page.keyboard.type("Ask Jordan")
            page.get_by_role("button", name="Remove line 2").click()
            expect(page.locator("#manager-1-text")).to_have_count(0)
        else:
            page.get_by_role("button", name="Add a commitment").nth(1).click()
            expect(page.locator("#manager-1-text")).to_be_visible()
            expect(page.locator("#manager-0-text")).to_have_value(f"Introduce {first(report)} to Priya soon")
            page.get_by_role("button", name="Keep as draft").last.click()
        if script:
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        send(page, report)
        assert company.session(report).state is SessionState.CONTRACTED
        keep(page, company, report)
    with company.open_page(size, java_script_enabled=script) as page:
        page.goto(company.link(report, "This goes to the two of us alone"))
        expect(page.get_by_role("heading", name="You and Dana")).to_be_visible()
        page.get_by_role("button", name="Done").first.click()
        expect(page.get_by_text("Done. Well kept.")).to_be_visible()


def press_until(page: Page, selector: str) -> None:
    """Walk there as somebody does who has no mouse."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"{selector} is not reached by keyboard")


def test_by_keyboard_alone(company: CompanyOnServers) -> None:
    """Each control is reached, in the order of the page, and can be seen to be."""
    with company.open_page(locale="en-US") as page:
        page.goto(company.link(DANA, "You and Lee have talked"))
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        page.keyboard.press("Enter")
        due = company.clock().date() + timedelta(days=20)
        for field, typed in (
            ("#report-0-text", "Draft one page"),
            ("#report-0-due", f"{due:%m%d%Y}"),
            ("#manager-0-text", "Introduce Lee to Priya soon"),
            ("#manager-0-due", f"{due:%m%d%Y}"),
        ):
            press_until(page, field)
            page.keyboard.type(typed)
        press_until(page, "button[value=preview]")
        outline = page.locator("button[value=preview]").evaluate("node => getComputedStyle(node).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Before it is sent")).to_be_visible()
        press_until(page, "form[action$=send] button")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Recorded.")).to_be_visible()
    assert company.session(LEE).state is SessionState.CONTRACTED


def test_what_is_typed_survives_a_closed_tab_and_a_mistake_is_told_beside_its_field(company: CompanyOnServers) -> None:
    ways = ways_of(company)
    with company.open_page() as page:
        page.goto(ways["contract"])
        page.get_by_role("link", name="Change the contract").click()
        page.fill("#manager-0-text", "Something only half thought")
        expect(page.locator("#state")).to_contain_text("Draft kept")
    with company.open_page() as page:
        page.goto(ways["contract"])
        page.get_by_role("link", name="Change the contract").click()
        expect(page.locator("#manager-0-text")).to_have_value("Something only half thought")
        page.fill("#manager-0-due", "")
        page.get_by_role("button", name="See what both will receive").click()
        expect(page.locator("#errors")).to_be_focused()
        page.get_by_role("link", name="Say by which day.").click()
        expect(page.locator("#manager-0-due")).to_be_focused()
        page.get_by_role("button", name="Throw this draft away").click()
        expect(page.get_by_text("The draft is gone.")).to_be_visible()


def ways_of(company: CompanyOnServers) -> dict[str, str]:
    """A link to each of the pages, as mails would carry them."""
    links = LinkSigner("http://longarc.test", [key.get_secret_value() for key in company.worker.settings.keys])
    sessions = company.worker.store.queries.list_sessions(PairId(DANA, NOAH))
    coming = next(one.id for one in sessions if one.booked and one.kind == "career")
    asking, third = company.worker.store.people.get_person(NOAH), f"priya@{NOAH.partition('@')[2]}"
    assert asking is not None
    voices = company.worker.third_voices
    asked = voices.list_voices(NOAH) or [voices.ask(asking, third, "What should I do more of?")]
    wanted = {
        "contract": (DANA, Purpose.CONTRACT, company.session(NOAH).id),
        "time": (DANA, Purpose.TIME, coming),
        "me": (NOAH, Purpose.ME, ""),
        "team": (DANA, Purpose.TEAM, ""),
        "status": (OPERATOR, Purpose.STATUS, ""),
        "voice": (third, Purpose.VOICE, asked[0].id),
    }
    ways = {
        name: links.build_url(LinkClaims(person=who, purpose=purpose, subject_id=about, issued_at=company.clock()))
        for name, (who, purpose, about) in wanted.items()
    }
    return {**ways, "quarter": f"{BASE}/status/quarter"}  # by then the operator has entered


def list_hidden_controls(page: Page) -> list[str]:
    """The controls that something else covers when they are brought into view."""
    hidden: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("input:not([type=hidden]), textarea, select, button, summary")]
            .filter(one => !one.closest(".unseen") && one.getClientRects().length)
            .filter(one => {
                one.scrollIntoView({block: "nearest"});
                const box = one.getBoundingClientRect();
                const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                return !(one === top || one.contains(top) || (top && top.contains(one)));
            })
            .map(one => one.outerHTML.slice(0, 100))"""
    )
    return hidden


@pytest.mark.parametrize("locale", ["de", "en"])  # the last one is that of the tests that follow
def test_nothing_covers_a_form_and_nothing_is_clipped(company: CompanyOnServers, locale: str) -> None:
    """At every width, in German too, whose words are longer."""
    people = {who: replace(one, locale=locale) for who, one in company.worker.store.people.load_all_people().items()}
    company.worker.store.people.apply_import(people, company.worker.store.people.load_all_pairs(), company.clock())
    with company.open_page(reduced_motion="reduce") as page:
        for name, way in ways_of(company).items():
            page.goto(way)
            if name == "contract":
                page.locator("main a.button, main .button").first.click()
            open_all(page)
            for width in (320, 390, 768, 1024, 1280, 1600):
                page.set_viewport_size({"width": width, "height": 700})
                assert list_hidden_controls(page) == [], (name, width)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
                for drawing in page.locator("svg.year:visible").all():
                    box = drawing.bounding_box()
                    assert box and box["x"] >= 0 and box["x"] + box["width"] <= width, (name, width)


def test_no_word_sticks_out_of_a_mail_on_a_phone(company: CompanyOnServers) -> None:
    """An address from the web in a promise, a name of eighty letters: the mail stays as wide as the screen."""
    emails = MailRenderer(sender="longarc@x.example", domain="x.example")
    wide: list[str] = []
    with company.open_page({"width": 375, "height": 700}) as page:
        for letter in {letter.name: letter for letter in list_samples()}.values():
            named = replace(letter, to=replace(letter.to, name="W" * 80), reason="w" * 200)
            kept = tuple(
                replace(k, promise=replace(k.promise, text="https://x.example/" + "w" * 150)) for k in COMMITMENTS
            )
            body = emails.render(replace(named, commitments=kept if letter.commitments else ())).get_body(("html",))
            assert body is not None
            page.set_content(body.get_content())
            if page.evaluate("document.documentElement.scrollWidth") > 375:
                wide.append(letter.key)
    assert wide == []


def findings(page: Page) -> list[str]:
    """What axe finds, all rules for WCAG A and AA and good practice."""
    answer = Axe().run(page)
    return [f"{one['id']}: {node['html']}" for one in answer.response["violations"] for node in one["nodes"]]


def test_axe_finds_nothing(company: CompanyOnServers) -> None:
    """Every page, light on a desktop and dark on a phone, with all opened that opens, and with its mistakes shown."""
    ways = ways_of(company)
    for size, colours in ((DESKTOP, "light"), (PHONE, "dark")):
        with company.open_page(size, color_scheme=colours, reduced_motion="reduce") as page:
            for name, way in ways.items():
                page.goto(way)
                if name == "contract":
                    open_all(page)
                    assert findings(page) == [], name
                    page.get_by_role("link", name="Change the contract").click()
                    page.fill("#manager-0-text", "Get Sam promoted soon")
                    page.fill("#manager-0-due", "")
                    page.get_by_role("button", name="See what both will receive").click()
                    open_all(page)
                    assert findings(page) == [], "with mistakes"
                    page.fill("#manager-0-due", "2027-01-15")
                    page.get_by_role("button", name="See what both will receive").click()
                if name == "time":
                    page.fill("[name=day]", "2027-01-15")
                    page.fill("[name=hour]", "20:00")
                    page.get_by_role("button", name="Look it up").click()
                open_all(page)
                assert findings(page) == [], name
                if name == "team":
                    page.get_by_role("link", name="Noah", exact=True).first.click()
                    open_all(page)
                    assert findings(page) == [], "person"
            page.goto("http://longarc.test/")
            assert findings(page) == [], "front"
            page.evaluate("document.querySelector('main').append(document.createElement('input'))")
            assert len(findings(page)) == 1, "it does find what is there"


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


def test_axe_finds_nothing_on_what_a_press_comes_to(company: CompanyOnServers) -> None:
    """R-38: the page about another time after a press, and after one on a page that is out of
    date; in English on a desktop and in German on a phone in the dark."""
    for size, colours, locale in ((DESKTOP, "light", "en"), (PHONE, "dark", "de"), (PHONE, "light", "en")):
        people = {
            who: replace(one, locale=locale) for who, one in company.worker.store.people.load_all_people().items()
        }
        company.worker.store.people.apply_import(people, company.worker.store.people.load_all_pairs(), company.clock())
        link = ways_of(company)["time"]
        with (
            company.open_page(size, color_scheme=colours, reduced_motion="reduce") as page,
            company.open_page(size, color_scheme=colours, reduced_motion="reduce") as other,
        ):
            for one in (page, other):
                one.goto(link)
            press_time(other, 0)
            press_time(page, 2)  # its page is out of date by now
            expect(page.get_by_role("status").first).to_contain_text(
                "out of date" if locale == "en" else "nicht mehr aktuell"
            )
            expect(page.locator("ul.times > li")).to_have_count(3)
            for one in (page, other):
                open_all(one)
                assert findings(one) == []
                assert one.evaluate("document.documentElement.scrollWidth") <= size["width"]


def press_time(page: Page, number: int) -> None:
    page.locator("ul.times button").nth(number).click()
    expect(page.get_by_role("status").first).to_be_visible()
