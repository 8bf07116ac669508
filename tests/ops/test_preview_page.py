"""The page of the preview, in a real browser: one file, at every width, in print, and with unusual names."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any
from unicodedata import normalize

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader

from tests.support.browser import find_chromium, open_all_details
from tests.support.companies import DAY, START, Office, pair, pairs, person, settings, span
from worker.domain.model import Format, MailName
from worker.domain.planning.mail_times import ANY_HOUR
from worker.domain.rollout import Rollout
from worker.mail.templates import load_default_templates
from worker.ops.preview.page import render_file
from worker.ops.preview.quarter import QuarterPreview, build_quarter
from worker.ops.preview.sample_mails import render_samples
from worker.ops.preview.texts import MAIL_TEXTS

CHROMIUM = find_chromium()
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="no Chromium is on PATH or installed by `make setup`")

SCRIPT_NAME = "<script>alert('it runs')</script>"
#: Names in several scripts and directions, very long names, and names that contain code.
NAMES = {
    "m0": "Dana Whitfield",
    "m1": "عمر حداد",
    "r0": SCRIPT_NAME,
    "r1": "שרה כהן",
    "r2": "Bartholomew Featherstonehaugh-Cholmondeley-Wriothesley the Younger of Northumberland",
    "r3": 'Sam "; DROP TABLE pair; -- & Söhne',
    "r4": "Kim\u202etxt.exe",
    "r5": "李小龙",
}


def build_office() -> Office:
    """Return an office of two managers and six reports.

    r5 never works at the same time as the manager m1, and r2 has no free hour.
    """
    persons = {f"{key}@corp.example": person(f"{key}@corp.example", name=name) for key, name in NAMES.items()}
    persons["m1@corp.example"] = replace(persons["m1@corp.example"], zone="Asia/Dubai", country="AE", locale="de")
    persons["r5@corp.example"] = replace(persons["r5@corp.example"], zone="Pacific/Honolulu", country="US")
    company_pairs = pairs(
        *(pair("m0@corp.example", f"r{number}@corp.example") for number in (0, 1, 2)),
        pair("m0@corp.example", "r3@corp.example", format=Format.SERIES),
        pair("m1@corp.example", "r4@corp.example"),
        pair("m1@corp.example", "r5@corp.example"),
    )
    office = Office(
        persons=persons, listed_pairs=company_pairs, office_settings=settings(base_url="https://longarc.corp.example")
    )
    for day in range(200):
        office.calendar.add("r2@corp.example", span(START + day * DAY, minutes=600))
    return office


@pytest.fixture(scope="module", name="page_and_preview")
def render_page_and_preview(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, QuarterPreview]]:
    """The file with the page of that company, and the preview from which it was rendered."""
    office = build_office()
    quarter = build_quarter(office.worker.sweep.preview(), office.clock(), office.settings.policy)
    samples = render_samples(quarter.samples, office.settings, office.worker.mail_renderer)
    english = load_default_templates().languages.find_language("en")
    file = tmp_path_factory.mktemp("page") / "plan.html"
    file.write_text(render_file(quarter, samples, english, Rollout(), office.clock()), encoding="utf-8")
    office.close()
    yield file, quarter


@pytest.fixture(scope="module", name="browser")
def launch_browser() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield browser
        browser.close()


@contextmanager
def open_page(browser: Browser, file: Path, **options: Any) -> Iterator[Page]:
    """Open the file in a browser. Fail when the page requests anything else, or logs a message to the console."""
    context = browser.new_context(reduced_motion="reduce", **options)
    page, requested_urls, console_messages = context.new_page(), list[str](), list[str]()
    page.on("request", lambda request: requested_urls.append(request.url))
    page.on("console", lambda message: console_messages.append(message.text))
    page.on("dialog", lambda dialog: console_messages.append(dialog.message))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert set(requested_urls) <= {file.as_uri(), "about:srcdoc"} and console_messages == []


# --- the text of the page ---


class Tags(HTMLParser):
    """The tags of a page, and the attributes by which a browser would load something."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [f"{tag} {name}" for name, value in attributes if name in ("src", "href") and value != "#main"]


def test_page_loads_nothing_and_contains_no_script(page_and_preview: tuple[Path, QuarterPreview]) -> None:
    """Names are escaped, and each is isolated from the text direction of the others."""
    text = page_and_preview[0].read_text(encoding="utf-8")
    parsed = Tags(text)
    assert not {"script", "link", "img", "object"} & set(parsed.tags) and parsed.fetched == []
    assert "url(" not in text and "@import" not in text
    assert "&lt;script&gt;alert" in text and SCRIPT_NAME not in text
    assert "<bdi>שרה כהן</bdi>" in text and "<bdi>عمر حداد</bdi>" in text
    assert "\u202e" not in text


@pytest.mark.parametrize(
    ("locale", "sentence"),
    [
        ("en", "Invitations and the mails right after a conversation come at once, at any hour."),
        ("de", "Einladungen und die Mails gleich nach einem Gespräch kommen sofort, zu jeder Stunde."),
    ],
)
def test_page_names_mails_that_come_at_any_hour(
    page_and_preview: tuple[Path, QuarterPreview], locale: str, sentence: str
) -> None:
    """Those of the page's mails that planning sends at any hour are invitations, and those after a conversation."""
    assert ANY_HOUR & set(MAIL_TEXTS) == {MailName.INVITATION, MailName.CONTRACT_REQUEST, MailName.CONTRACT_SUMMARY}
    language = load_default_templates().languages.find_language(locale)
    assert sentence in render_file(page_and_preview[1], [], language, Rollout(), START)


def test_page_grows_by_less_than_1500_bytes_a_pair(page_and_preview: tuple[Path, QuarterPreview]) -> None:
    """The page of a large company stays small enough to open and to send. Its fixed part has up to 15 000 bytes."""
    body = page_and_preview[0].read_text(encoding="utf-8").partition("<main")[2].partition('id="samples-title"')[0]
    assert len(body) < 1_500 * page_and_preview[1].pair_count + 15_000


# --- in a browser ---


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1280, 1600])
def test_page_is_not_wider_than_the_window(
    page_and_preview: tuple[Path, QuarterPreview], browser: Browser, width: int
) -> None:
    with open_page(browser, page_and_preview[0], viewport={"width": width, "height": 800}) as page:
        open_all_details(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@needs_browser
@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (390, "dark")])
def test_axe_reports_no_violations(
    page_and_preview: tuple[Path, QuarterPreview], browser: Browser, width: int, colours: Any
) -> None:
    with open_page(
        browser, page_and_preview[0], viewport={"width": width, "height": 800}, color_scheme=colours
    ) as page:
        open_all_details(page)
        violations = Axe().run(page).response["violations"]
        assert [f"{violation['id']}: {node['html']}" for violation in violations for node in violation["nodes"]] == []


@needs_browser
def test_click_on_a_manager_shows_days_and_hours_without_scripts(
    page_and_preview: tuple[Path, QuarterPreview], browser: Browser
) -> None:
    with open_page(browser, page_and_preview[0], java_script_enabled=False) as page:
        row = page.locator("details.manager", has_text="Dana Whitfield")
        assert not row.locator("li").first.is_visible()
        row.locator("summary").click()
        assert row.locator("li").first.is_visible()
        assert re.search(r"\d:\d\d", row.locator("li").first.inner_text())


@needs_browser
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_printed_page_has_each_session_on_one_line(
    page_and_preview: tuple[Path, QuarterPreview], browser: Browser, tmp_path: Path, paper: str
) -> None:
    """What is closed on the screen is open on paper: days with hours and names, concerns, and mails as text."""
    file, quarter = page_and_preview
    with open_page(browser, file) as page:
        page.pdf(path=tmp_path / "plan.pdf", format=paper)
        page.emulate_media(media="print")
        assert page.locator(".talks li").count() == page.locator(".talks li:visible").count()
        lines = [" ".join(line.split()) for line in page.locator(".talks li").all_inner_texts()]
        concerns = [" ".join(line.split()) for line in page.locator(".owed li").all_inner_texts()]
    page_texts = [normalize("NFKC", page.extract_text()) for page in PdfReader(tmp_path / "plan.pdf").pages]
    printed_lines = [" ".join(line.split()) for page_text in page_texts for line in page_text.splitlines()]
    talks = list(quarter.talks)
    assert len(lines) == len(talks) > 6 and any(NAMES["r1"] in line for line in lines)
    # The pairs of r2 and r5 have no session, and are concerns. Only r2 is looked for: for the name of r5, a font may be
    # missing.
    concerns_with_long_name = [concern for concern in concerns if NAMES["r2"] in concern]
    assert concerns_with_long_name
    for line in (*lines, *concerns_with_long_name):
        assert any(form in printed_line for form in list_printed_forms(line) for printed_line in printed_lines), line
    assert set(list_printed_forms(NAMES["m1"])) & set(printed_lines), (
        "the name is not above the sessions of that manager"
    )
    assert any("You and Dana now have a career conversation" in " ".join(text.split()) for text in page_texts)


def list_printed_forms(line: str) -> list[str]:
    """Return the line as it may be extracted from a PDF, where the words of a right-to-left name can be reversed."""
    return [line, *(line.replace(name, " ".join(reversed(name.split()))) for name in (NAMES["m1"], NAMES["r1"]))]
