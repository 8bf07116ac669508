"""Sign-in with a real browser at an issuer of another project, and the layout and accessibility of the pages behind."""

import socket
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from threading import Thread

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page, expect, sync_playwright
from sqlalchemy import update
from werkzeug.serving import make_server

from tests.support.browser import find_chromium
from tests.support.companies import DANA, HOUR, KIM, MINUTE, SAM
from tests.support.issuers import BOTH_ROLES, WITHOUT_ROLE, serve_issuer, sign_in_settings
from tests.support.web_company import SavedCompany, WebCompany
from worker.clock import utcnow
from worker.links import Purpose
from worker.store.tables import person

CHROMIUM = find_chromium()
WIDTHS = (320, 390, 600, 820, 1280, 1920)
PAGES = ("/", "/status", "/status/rollout", "/status/rollout/pause?group=Sales", "/people-ops", "/people-ops/openings")

pytestmark = [
    pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on PATH, and `make setup` could bring none"),
    pytest.mark.filterwarnings("ignore::DeprecationWarning:authlib"),  # of the issuer of another project
]


@dataclass
class SignInSite:
    """The company's pages and the issuer on servers, and a browser."""

    url: str
    company: WebCompany
    browser: Browser

    def open_page(self, sub: str, path: str, **options: object) -> Page:
        """Open a page in a new browser context, and sign in as the subject `sub`. `options`: of Playwright."""
        page = self.browser.new_context(**options).new_page()  # type: ignore[arg-type]
        page.goto(f"{self.url}{path}")
        page.locator(f'button[value="{sub}"]').first.click()
        page.wait_for_url(f"{self.url}/**")
        return page


@pytest.fixture(scope="module", name="site")
def site_with_an_issuer(saved_company: SavedCompany, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SignInSite]:
    with (
        closing(socket.create_server(("127.0.0.1", 0))) as free_socket,
        serve_issuer() as issuer,
        sync_playwright() as playwright,
    ):
        port = free_socket.getsockname()[1]
        free_socket.close()
        url = f"http://localhost:{port}"
        more = sign_in_settings(issuer, required=True)
        company = WebCompany.of(saved_company, tmp_path_factory.mktemp("sign-in"), base_url=url, **more)
        company.office.clock.move_to(utcnow())
        with company.office.store.database.write() as connection:
            for email, group in ((SAM, "Sales"), (KIM, "Engineering")):
                connection.execute(update(person).where(person.c.email == email).values(group=group))
        company.office.store.people.suspend(DANA, company.office.clock() + HOUR)
        server = make_server("localhost", port, company.app, threaded=True)
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield SignInSite(url, company, browser)
        browser.close()
        server.shutdown()
        thread.join()
        server.server_close()
        company.office.close()


def test_an_operator_signs_in_pauses_a_group_and_signs_out(site: SignInSite) -> None:
    page = site.open_page(BOTH_ROLES, "/status")
    expect(page.get_by_role("heading", name="Status", exact=True)).to_be_visible()
    assert page.url == f"{site.url}/status"
    page.get_by_role("link", name="Who takes part: pause and resume").click()
    page.get_by_role("link", name="Pause … Sales").click()
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_text("Paused. Calendars follow within a minute")).to_be_visible()
    page.get_by_role("link", name="Resume … Sales").click()
    page.get_by_role("button", name="Resume").click()
    page.get_by_role("button", name="Sign out everywhere").click()
    expect(page.get_by_role("heading", name="You are signed out")).to_be_visible()
    site.company.office.clock.advance(MINUTE)  # the sign-out ends only sign-ins before it, not those of the next tests
    page.context.close()


def test_a_forwarded_link_shows_only_the_address_that_signed_in(site: SignInSite) -> None:
    link = site.company.link(SAM, Purpose.ME).removeprefix(site.url)
    page = site.open_page(WITHOUT_ROLE, link, locale="de-DE")
    expect(page.get_by_role("heading", name="Dieser Link gehört jemand anderem")).to_be_visible()
    expect(page.get_by_text(f"Du bist angemeldet als {WITHOUT_ROLE}.")).to_be_visible()
    page.context.close()


@pytest.mark.parametrize("color_scheme", ["light", "dark"])
def test_axe_finds_no_violation_and_no_page_is_wider_than_its_screen(site: SignInSite, color_scheme: str) -> None:
    page = site.open_page(BOTH_ROLES, "/status", color_scheme=color_scheme)
    for path in PAGES:
        page.goto(f"{site.url}{path}")
        violations = Axe().run(page).response["violations"]
        assert violations == [], (path, [violation["id"] for violation in violations])
        for width in WIDTHS:
            page.set_viewport_size({"width": width, "height": 900})
            assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (path, width)
    page.context.close()
