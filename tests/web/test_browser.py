"""The pages in a real browser on real servers: the way from a mail's link to the contract, and accessibility."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Page, expect

from tests.support.browser import open_all_details
from tests.support.companies import DANA, KIM, OPERATOR, SAM
from tests.support.web_company import ALEX, LEE
from tests.support.web_servers import BASE_URL, CHROMIUM, DESKTOP, NOAH, PHONE, CompanyOnServers, run_company
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


def get_first_name(address: str) -> str:
    return address.partition("@")[0].title()


def fill_contract(page: Page, company: CompanyOnServers, report: str) -> None:
    """Fill in the four parts of the contract. The manager's promise has the word "soon", about which the page asks."""
    due = company.clock().date() + timedelta(days=20)
    page.fill("#report-0-text", "Draft one page on direction")
    page.fill("#report-0-due", f"{due}")
    page.fill("#manager-0-text", f"Introduce {get_first_name(report)} to Priya soon")
    page.fill("#manager-0-due", f"{due}")
    page.fill("#reviews-0-text", "how the introduction went")
    page.fill("#reviews-0-month", f"{due:%Y-%m}")
    page.fill("#question", "What would make this the right place?")


def send_contract(page: Page, report: str) -> None:
    """Preview the contract with this report, with the question about "soon", and send it."""
    page.get_by_role("button", name="See what both will receive").click()
    expect(page.get_by_role("heading", name="Before it is sent")).to_be_visible()
    expect(page.get_by_text("leaves open what will be done")).to_be_visible()
    mail = page.frame_locator("iframe").first
    expect(mail.get_by_text(f"Introduce {get_first_name(report)} to Priya soon")).to_be_visible()
    page.get_by_role("button", name="Send it to both of you").click()
    expect(page.get_by_text("Recorded. Both of you get it by mail within minutes.")).to_be_visible()


def assert_summary_and_block(page: Page, company: CompanyOnServers, report: str) -> None:
    """Assert that both get the summary, and that the block of the manager's promise stays until the promise is done."""
    company.tick()
    for address in (DANA, report):
        body = company.mails(address)[-1].get_body(("plain",))
        assert body and f"Introduce {get_first_name(report)} to Priya soon" in body.get_content(), address
    (block,) = company.blocks(report)
    assert block.span.start > company.clock()
    page.get_by_role("button", name="Done").first.click()
    expect(page.get_by_text("Done. Well kept.")).to_be_visible()
    company.tick()
    assert company.blocks(report) == []
    assert [commitment.standing for commitment in company.commitments(report, Owner.MANAGER)] == [
        CommitmentStanding.DONE
    ]


@pytest.mark.parametrize(
    ("report", "size", "has_script"),
    [(SAM, DESKTOP, True), (KIM, PHONE, True), (ALEX, DESKTOP, False)],
    ids=["desktop", "phone", "without script"],
)
def test_a_contract_goes_from_the_mails_link_to_calendar_and_report(
    company: CompanyOnServers, report: str, size: dict[str, int], has_script: bool
) -> None:
    link = company.link(DANA, f"You and {get_first_name(report)} have talked")
    with company.open_page(size, java_script_enabled=has_script) as page:
        page.goto(link)
        assert "/in/" not in page.url
        fill_contract(page, company, report)
        if has_script:
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
            expect(page.locator("#manager-0-text")).to_have_value(f"Introduce {get_first_name(report)} to Priya soon")
            page.get_by_role("button", name="Keep as draft").last.click()
        if has_script:
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")
        send_contract(page, report)
        assert company.session(report).state is SessionState.CONTRACTED
        assert_summary_and_block(page, company, report)
    with company.open_page(size, java_script_enabled=has_script) as page:
        page.goto(company.link(report, "This goes to the two of us alone"))
        expect(page.get_by_role("heading", name="You and Dana")).to_be_visible()
        page.get_by_role("button", name="Done").first.click()
        expect(page.get_by_text("Done. Well kept.")).to_be_visible()


def tab_to(page: Page, selector: str) -> None:
    """Press the tab key until the element has the focus."""
    for _ in range(80):
        page.keyboard.press("Tab")
        if page.locator(f"{selector}:focus").count():
            return
    raise AssertionError(f"{selector} can't be reached by keyboard")


def test_a_contract_can_be_written_and_sent_with_the_keyboard_alone(company: CompanyOnServers) -> None:
    """The tab key reaches each control in the order of the page, and the focused control has an outline."""
    with company.open_page(locale="en-US") as page:
        page.goto(company.link(DANA, "You and Lee have talked"))
        page.keyboard.press("Tab")
        expect(page.get_by_role("link", name="To the content")).to_be_focused()
        page.keyboard.press("Enter")
        due = company.clock().date() + timedelta(days=20)
        for field, value in (
            ("#report-0-text", "Draft one page"),
            ("#report-0-due", f"{due:%m%d%Y}"),  # typed without separators, as the field is in English
            ("#manager-0-text", "Introduce Lee to Priya soon"),
            ("#manager-0-due", f"{due:%m%d%Y}"),
        ):
            tab_to(page, field)
            page.keyboard.type(value)
        tab_to(page, "button[value=preview]")
        outline = page.locator("button[value=preview]").evaluate("node => getComputedStyle(node).outlineStyle")
        assert outline == "solid"
        page.keyboard.press("Enter")
        expect(page.get_by_role("heading", name="Before it is sent")).to_be_visible()
        tab_to(page, "form[action$=send] button")
        page.keyboard.press("Enter")
        expect(page.get_by_text("Recorded.")).to_be_visible()
    assert company.session(LEE).state is SessionState.CONTRACTED


def test_a_draft_survives_a_closed_tab_and_an_error_leads_to_its_field(company: CompanyOnServers) -> None:
    links = build_links(company)
    with company.open_page() as page:
        page.goto(links["contract"])
        page.get_by_role("link", name="Change the contract").click()
        page.fill("#manager-0-text", "Something only half thought")
        expect(page.locator("#state")).to_contain_text("Draft kept")
    with company.open_page() as page:
        page.goto(links["contract"])
        page.get_by_role("link", name="Change the contract").click()
        expect(page.locator("#manager-0-text")).to_have_value("Something only half thought")
        page.fill("#manager-0-due", "")
        page.get_by_role("button", name="See what both will receive").click()
        expect(page.locator("#errors")).to_be_focused()
        page.get_by_role("link", name="Say by which day.").click()
        expect(page.locator("#manager-0-due")).to_be_focused()
        page.get_by_role("button", name="Throw this draft away").click()
        expect(page.get_by_text("The draft is gone.")).to_be_visible()


def build_links(company: CompanyOnServers) -> dict[str, str]:
    """Return a link to each of the pages, as mails contain them."""
    signer = LinkSigner(BASE_URL, [key.get_secret_value() for key in company.worker.settings.keys])
    sessions = company.worker.store.queries.list_sessions(PairId(DANA, NOAH))
    next_id = next(session.id for session in sessions if session.booked and session.kind == "career")
    report, third_address = company.worker.store.people.get_person(NOAH), f"priya@{NOAH.partition('@')[2]}"
    assert report is not None
    voices = company.worker.third_voices
    questions = voices.list_voices(NOAH) or [voices.ask(report, third_address, "What should I do more of?")]
    readers = {
        "contract": (DANA, Purpose.CONTRACT, company.session(NOAH).id),
        "time": (DANA, Purpose.TIME, next_id),
        "me": (NOAH, Purpose.ME, ""),
        "team": (DANA, Purpose.TEAM, ""),
        "status": (OPERATOR, Purpose.STATUS, ""),
        "voice": (third_address, Purpose.VOICE, questions[0].id),
    }
    links = {
        name: signer.build_url(LinkClaims(person=address, purpose=purpose, subject_id=about, issued_at=company.clock()))
        for name, (address, purpose, about) in readers.items()
    }
    # the page "quarter" needs no link: a browser that has opened the link "status" before may open it
    return {**links, "quarter": f"{BASE_URL}/status/quarter"}


def list_hidden_controls(page: Page) -> list[str]:
    """Return the controls that something else covers when they are scrolled into view."""
    hidden: list[str] = page.evaluate(
        """() => [...document.querySelectorAll("input:not([type=hidden]), textarea, select, button, summary")]
            .filter(node => !node.closest(".unseen") && node.getClientRects().length)
            .filter(node => {
                node.scrollIntoView({block: "nearest"});
                const box = node.getBoundingClientRect();
                const top = document.elementFromPoint(box.x + box.width / 2, box.y + box.height / 2);
                return !(node === top || node.contains(top) || (top && top.contains(node)));
            })
            .map(node => node.outerHTML.slice(0, 100))"""
    )
    return hidden


@pytest.mark.parametrize("locale", ["de", "en"])  # English is last, because the next tests need it
def test_no_control_is_covered_or_clipped_at_any_width(company: CompanyOnServers, locale: str) -> None:
    """German is tested, too, because its words are longer."""
    people = {
        address: replace(person, locale=locale)
        for address, person in company.worker.store.people.load_all_people().items()
    }
    company.worker.store.people.apply_import(people, company.worker.store.people.load_all_pairs(), company.clock())
    with company.open_page(reduced_motion="reduce") as page:
        for name, link in build_links(company).items():
            page.goto(link)
            if name == "contract":
                page.locator("main a.button, main .button").first.click()
            open_all_details(page)
            for width in (320, 390, 768, 1024, 1280, 1600):
                page.set_viewport_size({"width": width, "height": 700})
                assert list_hidden_controls(page) == [], (name, width)
                assert page.evaluate("document.documentElement.scrollWidth") <= width, (name, width)
                for drawing in page.locator("svg.year:visible").all():
                    box = drawing.bounding_box()
                    assert box and box["x"] >= 0 and box["x"] + box["width"] <= width, (name, width)


def test_no_mail_is_wider_than_the_screen_of_a_phone(company: CompanyOnServers) -> None:
    """The samples have a name of eighty letters and a web address of more than 150 letters in a commitment."""
    renderer = MailRenderer(sender="longarc@x.example", domain="x.example")
    too_wide: list[str] = []
    phone_width = 375
    with company.open_page({"width": phone_width, "height": 700}) as page:
        for sample in {sample.name: sample for sample in list_samples()}.values():
            long_sample = replace(sample, to=replace(sample.to, name="W" * 80), reason="w" * 200)
            long_commitments = tuple(
                replace(commitment, promise=replace(commitment.promise, text="https://x.example/" + "w" * 150))
                for commitment in COMMITMENTS
            )
            body = renderer.render(
                replace(long_sample, commitments=long_commitments if sample.commitments else ())
            ).get_body(("html",))
            assert body is not None
            page.set_content(body.get_content())
            if page.evaluate("document.documentElement.scrollWidth") > phone_width:
                too_wide.append(sample.key)
    assert too_wide == []


def list_axe_findings(page: Page) -> list[str]:
    """Return the violations that axe finds by all its rules: WCAG A and AA, and good practice."""
    answer = Axe().run(page)
    return [
        f"{violation['id']}: {node['html']}"
        for violation in answer.response["violations"]
        for node in violation["nodes"]
    ]


def test_axe_finds_no_violation_on_any_page(company: CompanyOnServers) -> None:
    """Pages are light on a desktop and dark on a phone, have all sections open, and the form has errors, too."""
    links = build_links(company)
    for size, color_scheme in ((DESKTOP, "light"), (PHONE, "dark")):
        with company.open_page(size, color_scheme=color_scheme, reduced_motion="reduce") as page:
            for name, link in links.items():
                page.goto(link)
                if name == "contract":
                    open_all_details(page)
                    assert list_axe_findings(page) == [], name
                    page.get_by_role("link", name="Change the contract").click()
                    page.fill("#manager-0-text", "Get Sam promoted soon")
                    page.fill("#manager-0-due", "")
                    page.get_by_role("button", name="See what both will receive").click()
                    open_all_details(page)
                    assert list_axe_findings(page) == [], "form with errors"
                    page.fill("#manager-0-due", "2027-01-15")
                    page.get_by_role("button", name="See what both will receive").click()
                if name == "time":
                    page.fill("[name=day]", "2027-01-15")
                    page.fill("[name=hour]", "20:00")  # outside of working hours
                    page.get_by_role("button", name="Look it up").click()
                open_all_details(page)
                assert list_axe_findings(page) == [], name
                if name == "team":
                    page.get_by_role("link", name="Noah", exact=True).first.click()
                    open_all_details(page)
                    assert list_axe_findings(page) == [], "person"
            page.goto(f"{BASE_URL}/")
            assert list_axe_findings(page) == [], "front"
            # proves that axe finds what is wrong
            page.evaluate("document.querySelector('main').append(document.createElement('input'))")
            assert len(list_axe_findings(page)) == 1, "axe did not find the input without a label"


def test_r38_axe_finds_no_violation_after_a_press(company: CompanyOnServers) -> None:
    """R-38: the page for another time is tested after a press, and after a press on an outdated page."""
    for size, color_scheme, locale in ((DESKTOP, "light", "en"), (PHONE, "dark", "de"), (PHONE, "light", "en")):
        people = {
            address: replace(person, locale=locale)
            for address, person in company.worker.store.people.load_all_people().items()
        }
        company.worker.store.people.apply_import(people, company.worker.store.people.load_all_pairs(), company.clock())
        link = build_links(company)["time"]
        with (
            company.open_page(size, color_scheme=color_scheme, reduced_motion="reduce") as page,
            company.open_page(size, color_scheme=color_scheme, reduced_motion="reduce") as other,
        ):
            for opened_page in (page, other):
                opened_page.goto(link)
            press_time(other, number=0)
            press_time(page, number=2)  # this page is outdated since the press in the other one
            expect(page.get_by_role("status").first).to_contain_text(
                "out of date" if locale == "en" else "nicht mehr aktuell"
            )
            expect(page.locator("ul.times > li")).to_have_count(3)
            for opened_page in (page, other):
                open_all_details(opened_page)
                assert list_axe_findings(opened_page) == []
                assert opened_page.evaluate("document.documentElement.scrollWidth") <= size["width"]


def press_time(page: Page, number: int) -> None:
    """Press the button of a proposed time, counted from 0."""
    page.locator("ul.times button").nth(number).click()
    expect(page.get_by_role("status").first).to_be_visible()
