"""The page about a quarter in a real browser: one file, at every width, in print, and whatever people are called."""

import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, sync_playwright
from pypdf import PdfReader

from tests.support.browser import find_chromium
from tests.support.companies import DAY, START, Office, pair, pairs, person, settings, span
from worker.domain.model import Format
from worker.domain.rollout import Rollout
from worker.mail.templates import load_default_templates
from worker.ops.preview.page import render_file
from worker.ops.preview.quarter import QuarterPreview, build_quarter
from worker.ops.preview.sample_mails import render_samples

CHROMIUM = find_chromium()
needs_browser = pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on PATH, and `make setup` brought none")

EVIL = "<script>alert('it runs')</script>"
#: Names as people have them, and as nobody should.
NAMES = {
    "m0": "Dana Whitfield",
    "m1": "عمر حداد",
    "r0": EVIL,
    "r1": "שרה כהן",
    "r2": "Bartholomew Featherstonehaugh-Cholmondeley-Wriothesley the Younger of Northumberland",
    "r3": 'Sam "; DROP TABLE pair; -- & Söhne',
    "r4": "Kim\u202etxt.exe",
    "r5": "李小龙",
}


def build_office() -> Office:
    """Two managers and six reports, one who never works when the manager does, and one without a free hour."""
    persons = {f"{who}@corp.example": person(f"{who}@corp.example", name=name) for who, name in NAMES.items()}
    persons["m1@corp.example"] = replace(persons["m1@corp.example"], zone="Asia/Dubai", country="AE", locale="de")
    persons["r5@corp.example"] = replace(persons["r5@corp.example"], zone="Pacific/Honolulu", country="US")
    listed = pairs(
        *(pair("m0@corp.example", f"r{number}@corp.example") for number in (0, 1, 2)),
        pair("m0@corp.example", "r3@corp.example", format=Format.SERIES),
        pair("m1@corp.example", "r4@corp.example"),
        pair("m1@corp.example", "r5@corp.example"),
    )
    office = Office(persons=persons, listed=listed, known=settings(base_url="https://longarc.corp.example"))
    for day in range(200):
        office.calendar.add("r2@corp.example", span(START + day * DAY, minutes=600))
    return office


@pytest.fixture(scope="module", name="made")
def made_page(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Path, QuarterPreview]]:
    """The page of that company, and what it was made of."""
    office = build_office()
    quarter = build_quarter(office.worker.sweep.preview(), office.clock(), office.settings.policy)
    samples = render_samples(quarter.samples, office.settings, office.worker.mail_renderer)
    english = load_default_templates().languages.find_language("en")
    file = tmp_path_factory.mktemp("page") / "plan.html"
    file.write_text(render_file(quarter, samples, english, Rollout(), office.clock()), encoding="utf-8")
    office.close()
    yield file, quarter


@pytest.fixture(scope="module", name="browser")
def browser_without_a_network() -> Iterator[Browser]:
    with sync_playwright() as playwright:
        started = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        yield started
        started.close()


@contextmanager
def looking(browser: Browser, file: Path, **how: Any) -> Iterator[Page]:
    """Somebody's browser with the file open. Fails on what it asks of anybody else, and on what its policy forbids."""
    context = browser.new_context(reduced_motion="reduce", **how)
    page, asked, complaints = context.new_page(), list[str](), list[str]()
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda said: complaints.append(said.text))
    page.on("dialog", lambda dialog: complaints.append(dialog.message))
    page.goto(file.as_uri())
    yield page
    context.close()
    assert set(asked) <= {file.as_uri(), "about:srcdoc"} and complaints == []


def open_all(page: Page) -> None:
    page.evaluate("document.querySelectorAll('details').forEach(one => one.open = true)")


# --- what stands on it ---


class Tags(HTMLParser):
    """The tags of a page, and what of it would be fetched."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.fetched: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attributes: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.fetched += [f"{tag} {name}" for name, value in attributes if name in ("src", "href") and value != "#main"]


def test_it_loads_nothing_and_runs_nothing(made: tuple[Path, QuarterPreview]) -> None:
    """Whatever somebody is called: names are text, each isolated from the direction of the others."""
    text = made[0].read_text(encoding="utf-8")
    found = Tags(text)
    assert not {"script", "link", "img", "object"} & set(found.tags) and found.fetched == []
    assert "url(" not in text and "@import" not in text
    assert "&lt;script&gt;alert" in text and EVIL not in text
    assert "<bdi>שרה כהן</bdi>" in text and "<bdi>عمر حداد</bdi>" in text
    assert "\u202e" not in text


def test_the_size_grows_by_some_hundred_bytes_a_pair(made: tuple[Path, QuarterPreview]) -> None:
    """The page of a large company stays one that can be opened and sent."""
    body = made[0].read_text(encoding="utf-8").partition("<main")[2].partition('id="samples-title"')[0]
    assert len(body) < 1_500 * made[1].pair_count + 15_000


# --- in a browser ---


@needs_browser
@pytest.mark.parametrize("width", [320, 390, 768, 1024, 1280, 1600])
def test_nothing_is_wider_than_the_window(made: tuple[Path, QuarterPreview], browser: Browser, width: int) -> None:
    with looking(browser, made[0], viewport={"width": width, "height": 800}) as page:
        open_all(page)
        assert page.evaluate("document.documentElement.scrollWidth") <= width


@needs_browser
@pytest.mark.parametrize(("width", "colours"), [(1280, "light"), (390, "dark")])
def test_axe_finds_nothing(made: tuple[Path, QuarterPreview], browser: Browser, width: int, colours: Any) -> None:
    with looking(browser, made[0], viewport={"width": width, "height": 800}, color_scheme=colours) as page:
        open_all(page)
        found = Axe().run(page).response["violations"]
        assert [f"{one['id']}: {node['html']}" for one in found for node in one["nodes"]] == []


@needs_browser
def test_a_name_opens_to_days_and_hours_without_a_script(made: tuple[Path, QuarterPreview], browser: Browser) -> None:
    with looking(browser, made[0], java_script_enabled=False) as page:
        row = page.locator("details.manager", has_text="Dana Whitfield")
        assert not row.locator("li").first.is_visible()
        row.locator("summary").click()
        assert row.locator("li").first.is_visible()
        assert re.search(r"\d:\d\d", row.locator("li").first.inner_text())


@needs_browser
@pytest.mark.parametrize("paper", ["A4", "Letter"])
def test_print_has_each_session_on_one_line_and_cuts_no_row(
    made: tuple[Path, QuarterPreview], browser: Browser, tmp_path: Path, paper: str
) -> None:
    """All that is closed on the screen is open on paper: each day with its hours and its name, each mail as text."""
    file, quarter = made
    with looking(browser, file) as page:
        page.pdf(path=tmp_path / "plan.pdf", format=paper)
        page.emulate_media(media="print")
        assert page.locator(".talks li").count() == page.locator(".talks li:visible").count()
        lines = [" ".join(line.split()) for line in page.locator(".talks li").all_inner_texts()]
    pages = [" ".join(page.extract_text().split()) for page in PdfReader(tmp_path / "plan.pdf").pages]
    talks = list(quarter.talks)
    assert len(lines) == len(talks) > 6
    for line in lines:
        if line.isascii() and "Featherstonehaugh" not in line:  # a PDF has other scripts in the order of their glyphs
            assert any(line in page for page in pages), line
    assert any("You and Dana now have a career conversation" in page for page in pages)
