"""The demo: what happens in its story, and the files that it writes.

All tests here use one run of the demo, of twelve weeks: every kind of act of the story happens in that time.
"""

import json
import os
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from email import message_from_bytes
from email.policy import default
from html.parser import HTMLParser
from pathlib import Path
from time import process_time
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page as BrowserPage
from playwright.sync_api import sync_playwright

from examples.northlight import people as cast
from examples.northlight.names import parse_instant
from examples.northlight.run import run_demo
from tests.support.audit.auditor import audit, report
from tests.support.browser import find_chromium
from tests.support.calendar_files import read_events
from worker.domain.model import CommitmentStanding, Owner, PairId, Person, Span
from worker.providers.base import CALENDAR_FACTORIES, MAILER_FACTORIES
from worker.roster.model import RosterRules
from worker.roster.people_file import load_people_file
from worker.seal import Seal
from worker.settings import load
from worker.store.store import Store

#: The first test waits for the whole demo, which is slow on a busy machine.
pytestmark = pytest.mark.timeout(600)

WEEKS = 12
END = cast.START + timedelta(weeks=WEEKS)
Line = Mapping[str, Any]
#: A link to a web page of Longarc: in a mail as it was sent, or in the demo's HTML file of that mail.
PAGE_LINK = re.compile(r'(?<=href=")(?:https://longarc\.northlight\.example/in/|\.\./\.\./pages/)[^"]*')


@dataclass(frozen=True)
class PlayedDemo:
    """A finished run of the demo."""

    out: Path
    lines: Sequence[Line]  #: of the ledger
    progress_times: Sequence[datetime]  #: the times with which the demo reported its progress
    cpu_seconds: float  #: of this process, in which the demo and its servers ran

    def find_lines(self, **fields: object) -> list[Line]:
        """Return the lines of the ledger that have these values in these fields."""
        return [line for line in self.lines if all(line.get(name) == value for name, value in fields.items())]


def get_mail_folder(address: str) -> str:
    """Return the name of the folder with the mails of a person."""
    return address.partition("@")[0]


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> Iterator[PlayedDemo]:
    """The demo, played with the environment of an operator, which it neither uses nor changes."""
    out = tmp_path_factory.mktemp("demo") / "out"
    company_database = out.parent / "the company's.db"
    progress_times: list[datetime] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LONGARC_DATABASE_URL", f"sqlite:///{company_database}")
        patch.setenv("LONGARC_KEY", "not a key at all")
        environment, start_seconds = dict(os.environ), process_time()
        run_demo(out, progress=progress_times.append, weeks=WEEKS)
        cpu_seconds = process_time() - start_seconds
        assert dict(os.environ) == environment
        assert not company_database.exists()
    lines = [json.loads(text) for text in (out / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    yield PlayedDemo(out, lines, progress_times, cpu_seconds)


@pytest.fixture(scope="module")
def store(demo: PlayedDemo) -> Iterator[Store]:
    """The database of the demo, opened with the settings that the demo left in its folder."""
    work = demo.out / "work"
    settings = load.load_settings(work / "longarc.toml", {"LONGARC_KEY_FILE": str(work / "key")})
    store = Store(settings.database, Seal([key.get_secret_value() for key in settings.keys]))
    yield store
    store.close()


# --- the story ------------------------------------------------------------------------------------------------------

#: All that people do in the story, as the field `act` of the ledger names it.
ACTS = {
    *("decline", "move", "delete", "book_over", "out_of_office", "no_show", "ask", "choose", "talk", "check_in"),
    *("write_contract", "record_contract", "complete", "change", "let_go", "join", "put_right"),
    *("change_manager", "pass_on", "keep_promise"),
}
#: Why sessions of the story lose their time.
CAUSES = {"declined", "deleted", "booked_over", "out_of_office", "not_held"}


def test_every_kind_of_act_happens_and_each_deferred_session_is_rebooked(demo: PlayedDemo) -> None:
    """R-8, R-9: sessions are deferred by every cause in `CAUSES`."""
    assert {line["act"] for line in demo.find_lines(what="human")} == ACTS
    assert {line["cause"] for line in demo.find_lines(what="session", state="deferred")} == CAUSES
    for deferral in demo.find_lines(what="session", state="deferred"):
        later_bookings = [
            line
            for line in demo.find_lines(what="session", session=deferral["session"], state="booked")
            if line["at"] >= deferral["at"]
        ]
        assert later_bookings, deferral


def test_the_audit_of_the_ledger_finds_no_violation(demo: PlayedDemo) -> None:
    rules = RosterRules(today=cast.START.date(), calendars=tuple(CALENDAR_FACTORIES), mailers=tuple(MAILER_FACTORIES))
    people_file = load_people_file(demo.out / "work" / "people.csv", rules)
    # The rows of Liam's and Grace's pairs change during 23 and 16 November: the audit expects them from the next day.
    liams_pair = PairId(cast.MARA, cast.LIAM)
    graces_pair = PairId(cast.HELEN, cast.GRACE)
    # with the start that her row had before
    graces_former_pair = replace(people_file.pairs[graces_pair], manager=cast.MARA, start=date(2026, 7, 13))
    pairs = {
        **people_file.pairs,
        liams_pair: replace(people_file.pairs[liams_pair], first_seen=date(2026, 11, 24)),
        graces_pair: replace(people_file.pairs[graces_pair], first_seen=date(2026, 11, 17)),
        graces_former_pair.id: graces_former_pair,
    }
    persons = {
        address: replace(person, absences=tuple(list_absences(person)))
        for address, person in people_file.persons.items()
    }
    violations = audit(demo.lines, persons, pairs, start=cast.START, end=END)
    assert not violations, report(violations)


def list_absences(person: Person) -> Iterator[Span]:
    """Yield the spans in which the person's calendar has an out-of-office entry."""
    for entry in cast.CALENDARS[person.email]:
        if entry.is_out_of_office:
            zone = ZoneInfo(person.zone)
            first, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (entry.start, entry.end))
            yield Span(first, end)


def test_the_only_operator_alert_is_about_working_hours_that_never_overlap(demo: PlayedDemo, store: Store) -> None:
    """T-4: the people file has wrong working hours for Liam on 23 November; HR corrects them two days later."""
    (alert,) = demo.find_lines(what="mail", message="operator_alert")
    assert alert["at"].startswith("2026-11-23")
    folder = demo.out / "mail" / get_mail_folder(cast.OPERATOR)
    assert "never work at the same time" in " ".join(next(folder.glob("*.txt")).read_text("utf-8").split())
    assert set(store.outbox.count_by_progress()) <= {"done", "waiting", "dropped"}


def test_every_active_pair_has_a_booked_career_session_ahead(demo: PlayedDemo, store: Store) -> None:
    """R-3, T-4: the next one is always on both calendars. The only inactive pair is Grace with her former manager."""
    pairs = store.people.load_all_pairs()
    assert set(pairs) == set(cast.PAIRS)
    assert [pair for pair in pairs if not pairs[pair].is_active] == [PairId(cast.MARA, cast.GRACE)]
    for pair in (pair for pair in pairs if pairs[pair].is_active):
        booked_ahead = [
            s for s in store.queries.list_sessions(pair) if s.booked and s.kind == "career" and s.span.start > END
        ]
        assert booked_ahead, pair


def test_a_session_that_was_booked_over_is_deferred_a_day_after_the_warning(demo: PlayedDemo) -> None:
    """T-10: the warning gives the manager a day to make room."""
    (warning,) = demo.find_lines(message="booked_over_warning")
    (deferral,) = demo.find_lines(cause="booked_over", state="deferred")
    assert parse_instant(deferral["at"]) - parse_instant(warning["at"]) == timedelta(days=1)


def test_the_manager_chooses_a_time_after_the_third_deferral(demo: PlayedDemo) -> None:
    """T-12: Helen chooses one of three times, and the session is booked there."""
    notice, _ = demo.find_lines(message="deferral_notice", number=3)  # the manager and the report each get one
    (choice,) = demo.find_lines(act="choose", session=notice["session"])
    assert choice["who"] == cast.HELEN
    booking = demo.find_lines(what="session", session=notice["session"], state="booked")[-1]
    assert booking["start"] == choice["start"] != notice["start"]


def test_the_report_chooses_one_of_three_times_after_a_deferral(demo: PlayedDemo) -> None:
    """T-12, R-38: Grace gets a mail about the first deferral; the time that she chooses counts as no second one."""
    (choice,) = demo.find_lines(act="choose", who=cast.GRACE)
    (notice,) = demo.find_lines(message="deferral_notice", to=cast.GRACE)
    assert notice["session"] == choice["session"] and notice["at"] < choice["at"]
    booking = demo.find_lines(what="session", session=choice["session"], state="booked")[-1]
    assert booking["start"] == choice["start"] != notice["start"]
    assert len(demo.find_lines(session=choice["session"], state="deferred")) == 1


def test_r36_only_the_lines_that_grace_chose_go_to_her_new_manager(demo: PlayedDemo, store: Store) -> None:
    """Grace passes on two lines; Mara, her former manager, keeps the promises that she made to Grace."""
    former_pair = PairId(cast.MARA, cast.GRACE)
    content = store.handovers.load_content(former_pair)
    assert [line.kind for line in content.lines] == ["review", "question"]
    for message, recipient in (("new_manager", cast.GRACE), ("open_promises", cast.MARA)):
        (mail,) = demo.find_lines(message=message)
        assert mail["to"] == recipient and mail["at"] > "2026-11-17"
    promises = [c for c in store.queries.list_commitments(former_pair) if c.owner is Owner.MANAGER]
    assert {c.standing for c in promises} == {CommitmentStanding.DONE}


def test_only_the_report_can_read_the_answer_of_a_third_voice(demo: PlayedDemo, store: Store) -> None:
    """R-30: the ledger does not mention it, each of the two gets one mail, only the report's pages show the answer."""
    (voice,) = store.third_voices.list_voices([cast.NOAH])
    assert voice.to == cast.GRACE and voice.answer
    ledger = (demo.out / "ledger.jsonl").read_text(encoding="utf-8")
    assert "third" not in ledger and "voice" not in ledger
    mails = sorted(path for path in (demo.out / "mail").rglob("*third-voice*.txt"))
    assert [path.parent.name for path in mails] == [get_mail_folder(cast.GRACE), get_mail_folder(cast.NOAH)]
    answer_beginning = voice.answer[:40]  # before its first line break
    pages_with_answer = {
        path.name for path in (demo.out / "pages").glob("*.html") if answer_beginning in path.read_text("utf-8")
    }
    assert pages_with_answer and all(f"{get_mail_folder(cast.NOAH)}-me" in name for name in pages_with_answer)


def test_the_answer_i_dont_know_yet_is_in_the_brief_and_the_summary(demo: PlayedDemo) -> None:
    """R-27: nobody presses for certainty. R-28: the note of the report is in the next brief."""
    folder = demo.out / "mail" / get_mail_folder(cast.MARA)
    briefs = [path.read_text("utf-8") for path in folder.glob("*-brief.txt")]
    assert any("I don't know yet." in text for text in briefs)
    summaries = (demo.out / "mail" / get_mail_folder(cast.ARJUN)).glob("*-contract-summary.txt")
    assert any("“I don't know yet,” says Arjun" in path.read_text("utf-8") for path in summaries)


def test_one_session_ends_unfinished_and_one_contract_comes_late(demo: PlayedDemo) -> None:
    """R-15: reminders follow, and a late contract is recorded as late. R-17: without one, the session is unfinished."""
    (unfinished_session,) = demo.find_lines(what="session", state="unfinished")
    reminders = demo.find_lines(message="contract_reminder", session=unfinished_session["session"])
    # reminder 1 has no place before the deadline in this story; 2 is sent before the deadline, and 3 to 5 after it
    assert [line["number"] for line in reminders] == [2, 3, 4, 5]
    assert len(demo.find_lines(what="session", state="contracted", late=True)) == 1


def test_an_unplaceable_session_is_reported_to_both_and_booked_later(demo: PlayedDemo) -> None:
    """T-4: both hear that no time is possible, and it is booked once the working hours are correct."""
    (unplaceable_session,) = demo.find_lines(what="unplaceable")
    notices = demo.find_lines(message="unplaceable", session=unplaceable_session["session"])
    assert {mail["to"] for mail in notices} == {cast.MARA, cast.LIAM}
    bookings = demo.find_lines(what="session", session=unplaceable_session["session"], state="booked")
    (correction,) = demo.find_lines(act="put_right")
    assert bookings and bookings[0]["at"] >= correction["at"]


def test_a_block_stays_where_it_was_moved_and_follows_a_changed_date(demo: PlayedDemo) -> None:
    """T-8: the block of a completed commitment is cancelled.

    In lines about a commitment, the field `session` is the id of the commitment.
    """
    (move,) = demo.find_lines(act="move", kind="commitment")
    assert not demo.find_lines(what="event.update", session=move["session"])
    (change,) = demo.find_lines(act="change")
    updates = demo.find_lines(what="event.update", session=change["session"])
    assert [line["due"] for line in updates] == [change["due"]]
    completed_sessions = {line["session"] for line in demo.find_lines(act="complete", owner="manager")}
    assert completed_sessions <= {line["session"] for line in demo.find_lines(what="event.cancel", kind="commitment")}


def test_a_revision_creates_no_commitment_that_exists_already(store: Store) -> None:
    """R-18: no session has two commitments of one owner with the same text, although contracts were revised."""
    for session_id in {c.session for c in store.queries.list_commitments()}:
        commitments = store.queries.list_commitments_of_session(session_id)
        contents = store.content.get_written_commitments([c.id for c in commitments])
        owners_and_texts = [(c.owner, contents[c.id].text) for c in commitments]
        assert len(owners_and_texts) == len(set(owners_and_texts)), owners_and_texts
    kept_promises = [
        c
        for c in store.queries.list_commitments()
        if c.standing is CommitmentStanding.DONE and c.owner is Owner.MANAGER
    ]
    assert len(kept_promises) > 5


def test_only_the_manager_reads_the_reason_for_an_ad_hoc_session(demo: PlayedDemo) -> None:
    """R-6, R-23: it is not in the ledger, in no calendar, and in no mail to anybody else."""
    secret = "a competitor has called"  # in the reason that Helen gives for the session with Emily
    assert secret not in (demo.out / "ledger.jsonl").read_text(encoding="utf-8")
    readers = {path.parent.name for path in (demo.out / "mail").rglob("*.txt") if secret in path.read_text("utf-8")}
    assert readers == {get_mail_folder(cast.HELEN)}
    for calendar in (demo.out / "calendars").iterdir():
        assert secret not in calendar.read_text(encoding="utf-8")


def test_the_clock_and_the_ledger_never_go_back(demo: PlayedDemo) -> None:
    assert list(demo.progress_times) == sorted(demo.progress_times)
    assert demo.progress_times[0] == cast.START and demo.progress_times[-1] <= END
    assert [line["at"] for line in demo.lines] == sorted(line["at"] for line in demo.lines)


def test_the_demo_takes_less_than_90_seconds_of_the_processor(demo: PlayedDemo) -> None:
    assert demo.cpu_seconds < 90


# --- the files ------------------------------------------------------------------------------------------------------


def test_every_mail_is_saved_as_source_html_and_text(demo: PlayedDemo) -> None:
    ledger_ids = [line["message_id"] for line in demo.find_lines(what="mail")]
    sources = sorted((demo.out / "mail").rglob("*.eml"))
    mails = [message_from_bytes(path.read_bytes(), policy=default) for path in sources]
    third_voice_files = [path for path in sources if "third-voice" in path.name]
    assert len(third_voice_files) == 2
    mails_in_ledger = [mail for path, mail in zip(sources, mails, strict=True) if path not in third_voice_files]
    assert sorted(str(mail["Message-ID"]) for mail in mails_in_ledger) == sorted(ledger_ids)
    for path, mail in zip(sources, mails, strict=True):
        assert not mail.defects
        assert get_mail_folder(str(mail["To"].addresses[0].addr_spec)) == path.parent.name
        for kind, ending in (("html", ".html"), ("plain", ".txt")):
            part = mail.get_body((kind,))
            assert part is not None
            content = part.get_content()
            file = path.with_suffix(ending).read_text("utf-8").splitlines()
            assert re.sub(PAGE_LINK, "", "\n".join(file)) == re.sub(PAGE_LINK, "", "\n".join(content.splitlines()))


def test_both_calendars_hold_each_booked_session_as_private_event(demo: PlayedDemo, store: Store) -> None:
    """R-2, R-23: events are private, with neutral titles. They are read with another library than the writer's."""
    calendars = {address: list(read_events(demo.out / "calendars" / f"{address}.ics")) for address in cast.ZONES}
    booked_sessions = [s for s in store.queries.list_sessions() if s.booked and s.sequence]
    assert len(booked_sessions) > 6
    for session in booked_sessions:
        manager_address, report_address = session.pair.people
        for address in (manager_address, report_address):
            events = [e for e in calendars[address] if e.dtstart.value == session.start and hasattr(e, "x_longarc_key")]
            assert [e.x_longarc_key.value for e in events] == [session.key], (address, session)
            assert events[0].dtend.value == session.end
            assert events[0].getChildValue("class") == "PRIVATE"
            assert events[0].summary.value.startswith(("Career conversation: ", "Contract review: "))


def test_blocks_are_only_on_calendars_of_managers_and_have_no_attendee(demo: PlayedDemo) -> None:
    """R-19: the manager's promises get blocks. R-23: nobody else sees them. One is for a promise of Mara to Noah."""
    for address in cast.ZONES:
        blocks = [
            e for e in read_events(demo.out / "calendars" / f"{address}.ics") if e.summary.value.startswith("A promise")
        ]
        assert not blocks or address in (cast.HELEN, cast.MARA)
        assert not any(e.contents.get("attendee") for e in blocks)
    mara = read_events(demo.out / "calendars" / f"{cast.MARA}.ics")
    assert any(e.summary.value == "A promise to Noah Brandt" for e in mara)


def test_each_entry_of_a_persons_own_is_on_the_calendar_once(demo: PlayedDemo) -> None:
    """Longarc changes only its own events."""
    for address, entries in cast.CALENDARS.items():
        titles = [e.summary.value for e in read_events(demo.out / "calendars" / f"{address}.ics")]
        assert all(titles.count(entry.title) == 1 for entry in entries)


# --- the page -------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """The links, ids, tags and framed documents of a page."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.frames: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        values = dict(attrs)
        self.links += [str(values[name]) for name in ("href", "src") if values.get(name)]
        self.ids += [str(values["id"])] if "id" in values else []
        self.frames += [str(values["srcdoc"])] if tag == "iframe" else []
        assert tag != "iframe" or "sandbox" in values


@pytest.fixture(scope="module")
def page(demo: PlayedDemo) -> Page:
    return Page((demo.out / "index.html").read_text(encoding="utf-8"))


def test_the_page_loads_nothing_from_other_files_or_hosts(demo: PlayedDemo, page: Page) -> None:
    text = (demo.out / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:https?:)?//[\w.]+", text)
    assert not {"script", "link", "img", "object", "embed"} & set(page.tags)
    assert "url(" not in text and "@import" not in text


def test_every_link_of_the_page_has_a_target(demo: PlayedDemo, page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert len(page.links) > 300
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        else:
            assert (demo.out / unquote(link)).is_file(), link


def test_the_page_contains_the_html_of_every_mail(demo: PlayedDemo, page: Page) -> None:
    files = {path.read_text("utf-8") for path in (demo.out / "mail").rglob("*.html")}
    assert {text.replace('href="../../pages/', 'href="pages/') for text in files} == set(page.frames)


def test_the_links_of_mails_lead_to_copies_of_pages(demo: PlayedDemo) -> None:
    """No mail to a manager or a report names a command of the program."""
    for path in (demo.out / "mail").rglob("*.html"):
        for link in Page(path.read_text("utf-8")).links:
            assert link.startswith("#") or (path.parent / link.partition("#")[0]).resolve().is_file(), (path, link)
    for path in (demo.out / "mail").rglob("*.txt"):
        assert path.parent.name == "longarc-operator" or "longarc " not in path.read_text("utf-8"), path
    copies = [Page(path.read_text("utf-8")) for path in (demo.out / "pages").glob("*.html")]
    assert len(copies) > 50
    for copy in copies:
        assert "script" not in copy.tags
        assert {link for link in copy.links if not link.startswith("#")} == {"pages.css"}


def test_the_page_names_the_number_of_people(demo: PlayedDemo) -> None:
    """The number in the page's header is the number of rows in the people file."""
    rows = (demo.out / "work" / "people.csv").read_text("utf-8").splitlines()[1:]
    text = (demo.out / "index.html").read_text(encoding="utf-8")
    assert len(rows) == 7 and "for seven people in five cities" in text
    people_list = text[text.index('<ul class="people">') : text.index("</ul>")]
    assert people_list.count("<li>") == len(rows)
    legend = text[text.index('<ul class="legend">') :].partition("</ul>")[0]
    assert legend.count("<li>") <= 8, "the legend is too long to be read"
    assert 'class="none"' in legend and "no time was found" in legend


def test_the_html_of_mails_is_escaped_in_the_frames_of_the_page(demo: PlayedDemo) -> None:
    """A quote that is not escaped would end a frame before its mail ends. The story itself has tags."""
    text = (demo.out / "index.html").read_text(encoding="utf-8")
    frames = Page(text).frames
    assert frames and all(frame.startswith("<!DOCTYPE html>") for frame in frames)
    assert all(frame.rstrip().endswith("</html>") for frame in frames)
    assert "<b>Helen</b> drags" in text and text.count("<!DOCTYPE html>") == 1


CHROMIUM = find_chromium()


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on PATH, and `make setup` could bring none")
def test_a_browser_shows_the_page_without_errors_or_requests(demo: PlayedDemo) -> None:
    """It is tested on a desktop in light colours, and on a phone in dark colours."""
    console_messages: list[str] = []
    requested_urls: list[str] = []
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"])
        browser_page = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        browser_page.on("console", lambda message: console_messages.append(message.text))
        browser_page.on("pageerror", lambda error: console_messages.append(str(error)))
        browser_page.on("request", lambda request: requested_urls.append(request.url))
        browser_page.goto((demo.out / "index.html").as_uri())
        assert browser_page.locator("svg .mark").count() > 30
        assert_one_picture_fits(browser_page, 1280)
        browser_page.locator("label:has(#show-mail)").click()
        assert browser_page.locator("tr.mail").first.is_visible()
        browser_page.locator("tr.mail a").first.click()
        # the link opens the closed section that contains the mail
        assert browser_page.locator(":target iframe").is_visible()
        assert browser_page.frame_locator(":target iframe").locator("body").inner_text().startswith("Hi ")
        browser_page.emulate_media(color_scheme="dark")
        browser_page.set_viewport_size({"width": 390, "height": 844})
        assert_one_picture_fits(browser_page, 390)
        assert browser_page.locator(":target iframe").is_visible()
        browser.close()
    assert console_messages == []
    assert [url for url in requested_urls if not url.startswith(("file:", "about:"))] == []


def assert_one_picture_fits(view: BrowserPage, width: int) -> None:
    """Assert that the page is no wider than the window, and shows one of its two pictures, the wide or the tall one."""
    assert view.locator("#picture svg[role=img]:visible").count() == 1
    assert view.evaluate("document.documentElement.scrollWidth") <= width


# --- on other calendars ---------------------------------------------------------------------------------------------


def test_the_demo_on_microsoft_365_makes_the_same_decisions(demo: PlayedDemo, tmp_path: Path) -> None:
    """The first four weeks are compared. The double of Microsoft 365 stands in for the service."""
    run_demo(tmp_path / "demo", "outlook", lambda _: None, weeks=4)
    end = (cast.START + timedelta(weeks=4)).isoformat()
    text = (tmp_path / "demo" / "ledger.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(row) for row in text.splitlines()]
    assert [get_decision(line) for line in lines] == [get_decision(line) for line in demo.lines if line["at"] < end]
    assert "Career conversation" in (tmp_path / "demo" / "calendars" / f"{cast.HELEN}.ics").read_text()


def get_decision(line: Line) -> tuple[object, ...]:
    """Return what a line tells, without the fields that depend on the services, such as keys."""
    return tuple(line.get(name) for name in ("at", "what", "pair", "session", "state", "start", "act", "message", "to"))
