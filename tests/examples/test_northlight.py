"""The demo plays the main job on real servers; what it leaves behind is what it says it is.

It is played once for all of these tests, twelve weeks of it: everything that people do in the story happens in them.
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
from typing import Any
from urllib.parse import unquote
from zoneinfo import ZoneInfo

import pytest
from playwright.sync_api import Page as BrowserPage
from playwright.sync_api import sync_playwright

from examples.northlight import people as cast
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

#: The story is played as a whole: a busy machine needs its time for it.
pytestmark = pytest.mark.timeout(600)

WEEKS = 12
END = cast.START + timedelta(weeks=WEEKS)
Line = Mapping[str, Any]
#: A link to a page in a mail, as it came, and as the HTML file of the demo has it.
PAGE_LINK = re.compile(r'(?<=href=")(?:https://longarc\.northlight\.example/in/|\.\./\.\./pages/)[^"]*')


@dataclass(frozen=True)
class Played:
    """A demo that was played, and the seconds of the processor that it took with its servers."""

    out: Path
    lines: Sequence[Line]
    steps: Sequence[datetime]
    took: float

    def told(self, **wanted: object) -> list[Line]:
        return [line for line in self.lines if all(line.get(name) == value for name, value in wanted.items())]


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Played]:
    import time

    out = tmp_path_factory.mktemp("demo") / "out"
    elsewhere = out.parent / "the company's.db"
    steps: list[datetime] = []
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LONGARC_DATABASE_URL", f"sqlite:///{elsewhere}")
        patch.setenv("LONGARC_KEY", "not a key at all")
        before, begun = dict(os.environ), time.process_time()
        run_demo(out, progress=steps.append, weeks=WEEKS)
        took = time.process_time() - begun
        assert dict(os.environ) == before
        assert not elsewhere.exists()
    lines = [json.loads(text) for text in (out / "ledger.jsonl").read_text(encoding="utf-8").splitlines()]
    yield Played(out, lines, steps, took)


@pytest.fixture(scope="module")
def store(played: Played) -> Iterator[Store]:
    """The database that the demo leaves for looking around."""
    work = played.out / "work"
    found = load.load_settings(work / "longarc.toml", {"LONGARC_KEY_FILE": str(work / "key")})
    opened = Store(found.database, Seal([key.get_secret_value() for key in found.keys]))
    yield opened
    opened.close()


# --- what happens -----------------------------------------------------------------------------------------------------

ACTS = {
    *("decline", "move", "delete", "book_over", "out_of_office", "no_show", "ask", "choose", "talk", "check_in"),
    *("write_contract", "record_contract", "complete", "change", "let_go", "join", "put_right"),
    *("change_manager", "pass_on", "keep_promise"),
}
CAUSES = {"declined", "deleted", "booked_over", "out_of_office", "not_held"}


def test_everything_that_people_do_is_done(played: Played) -> None:
    """R-8, R-9: and each way in which a conversation can lose its time is answered with another."""
    assert {line["act"] for line in played.told(what="human")} == ACTS
    assert {line["cause"] for line in played.told(what="session", state="deferred")} == CAUSES
    for lost in played.told(what="session", state="deferred"):
        later = [
            line
            for line in played.told(what="session", session=lost["session"], state="booked")
            if line["at"] >= lost["at"]
        ]
        assert later, lost


def test_an_eye_of_its_own_finds_no_promise_broken(played: Played) -> None:
    rules = RosterRules(today=cast.START.date(), calendars=tuple(CALENDAR_FACTORIES), mailers=tuple(MAILER_FACTORIES))
    known = load_people_file(played.out / "work" / "people.csv", rules)
    late = PairId(cast.MARA, cast.LIAM)  # whose row came in the course of the day before
    now = PairId(cast.HELEN, cast.GRACE)
    former = replace(known.pairs[now], manager=cast.MARA, start=date(2026, 7, 13))
    pairs = {
        **known.pairs,
        late: replace(known.pairs[late], first_seen=date(2026, 11, 24)),
        now: replace(known.pairs[now], first_seen=date(2026, 11, 17)),  # this row, too
        former.id: former,
    }
    persons = {who: replace(person, absences=tuple(list_away(person))) for who, person in known.persons.items()}
    found = audit(played.lines, persons, pairs, start=cast.START, end=END)
    assert not found, report(found)


def list_away(person: Person) -> Iterator[Span]:
    """When somebody is out of office, by their own entries."""
    for entry in cast.CALENDARS[person.email]:
        if entry.is_out_of_office:
            zone = ZoneInfo(person.zone)
            first, end = (datetime.combine(day, time(), zone).astimezone(UTC) for day in (entry.start, entry.end))
            yield Span(first, end)


def test_the_operator_heard_of_hours_that_never_meet_and_of_nothing_else(played: Played, store: Store) -> None:
    """T-4: Liam's working hours came wrong from HR, who put them right two days later."""
    (alert,) = played.told(what="mail", message="operator_alert")
    assert alert["at"].startswith("2026-11-2")
    mails = played.out / "mail" / cast.OPERATOR.partition("@")[0]
    assert "never work at the same time" in " ".join(next(mails.glob("*.txt")).read_text("utf-8").split())
    assert set(store.outbox.count_by_progress()) <= {"done", "waiting", "dropped"}


def test_every_pair_has_its_next_conversation(played: Played, store: Store) -> None:
    """R-3, T-4"""
    pairs = store.people.load_all_pairs()
    assert set(pairs) == set(cast.PAIRS)
    assert [pair for pair in pairs if not pairs[pair].is_active] == [PairId(cast.MARA, cast.GRACE)]
    for pair in (pair for pair in pairs if pairs[pair].is_active):
        ahead = [s for s in store.queries.list_sessions(pair) if s.booked and s.kind == "career" and s.span.start > END]
        assert ahead, pair


def test_what_is_booked_over_moves_a_day_after_the_warning(played: Played) -> None:
    """T-10"""
    (warning,) = played.told(message="booked_over_warning")
    (lost,) = played.told(cause="booked_over", state="deferred")
    assert instant(lost["at"]) - instant(warning["at"]) == timedelta(days=1)


def test_the_third_deferral_asks_the_manager_to_choose(played: Played) -> None:
    """T-12: of three times held, the one chosen is kept."""
    third, _ = played.told(message="deferral_notice", number=3)  # one to each
    (chosen,) = played.told(act="choose", session=third["session"])
    assert chosen["who"] == cast.HELEN
    kept = played.told(what="session", session=third["session"], state="booked")[-1]
    assert kept["start"] == chosen["start"] != third["start"]


def test_the_report_picks_one_of_three_times(played: Played) -> None:
    """T-12, R-38: Grace hears of the first deferral, too; the time she takes is kept, and counts as none."""
    (chosen,) = played.told(act="choose", who=cast.GRACE)
    (told,) = played.told(message="deferral_notice", to=cast.GRACE)
    assert told["session"] == chosen["session"] and told["at"] < chosen["at"]
    kept = played.told(what="session", session=chosen["session"], state="booked")[-1]
    assert kept["start"] == chosen["start"] != told["start"]
    assert len(played.told(session=chosen["session"], state="deferred")) == 1


def test_grace_chooses_what_goes_on_to_her_new_manager(played: Played, store: Store) -> None:
    """R-36: two lines, and nothing else; what Mara promised Mara keeps."""
    former = PairId(cast.MARA, cast.GRACE)
    content = store.handovers.load_content(former)
    assert [line.kind for line in content.lines] == ["review", "question"]
    for name, to in (("new_manager", cast.GRACE), ("open_promises", cast.MARA)):
        (mail,) = played.told(message=name)
        assert mail["to"] == to and mail["at"] > "2026-11-17"
    promises = [c for c in store.queries.list_commitments(former) if c.owner is Owner.MANAGER]
    assert {c.standing for c in promises} == {CommitmentStanding.DONE}


def test_a_third_voice_reaches_the_report_alone(played: Played, store: Store) -> None:
    """R-30: the ledger knows nothing of question and answer; one mail goes to either, and holds neither."""
    (voice,) = store.third_voices.list_voices([cast.NOAH])
    assert voice.to == cast.GRACE and voice.answer
    ledger = (played.out / "ledger.jsonl").read_text(encoding="utf-8")
    assert "third" not in ledger and "voice" not in ledger
    mails = sorted(path for path in (played.out / "mail").rglob("*third-voice*.txt"))
    assert [path.parent.name for path in mails] == ["grace.okoro", "noah.brandt"]
    shown = {
        path.name for path in (played.out / "pages").glob("*.html") if voice.answer[:40] in path.read_text("utf-8")
    }
    assert shown and all("noah.brandt-me" in name for name in shown)


def test_i_do_not_know_stands_in_the_next_brief_and_in_the_contract(played: Played) -> None:
    """R-27, R-28"""
    folder = played.out / "mail" / "mara.winter"
    briefs = [path.read_text("utf-8") for path in folder.glob("*-brief.txt")]
    assert any("I don't know yet." in text for text in briefs)
    summaries = (played.out / "mail" / "arjun.mehta").glob("*-contract-summary.txt")
    assert any("“I don't know yet,” says Arjun" in path.read_text("utf-8") for path in summaries)


def test_a_contract_forgotten_ends_unfinished_and_one_comes_late(played: Played) -> None:
    """R-15, R-17"""
    (forgotten,) = played.told(what="session", state="unfinished")
    reminders = played.told(message="contract_reminder", session=forgotten["session"])
    assert [line["number"] for line in reminders] == [2, 3, 4, 5]  # one day is left before the deadline
    assert len(played.told(what="session", state="contracted", late=True)) == 1


def test_who_has_no_hour_in_common_is_told_and_later_booked(played: Played) -> None:
    """T-4: silence is never the outcome."""
    (nothing,) = played.told(what="unplaceable")
    told = played.told(message="unplaceable", session=nothing["session"])
    assert {mail["to"] for mail in told} == {cast.MARA, cast.LIAM}
    booked = played.told(what="session", session=nothing["session"], state="booked")
    (hours,) = played.told(act="put_right")
    assert booked and booked[0]["at"] >= hours["at"]


def test_a_moved_promise_keeps_its_date_and_follows_a_new_one(played: Played) -> None:
    """T-8: a hand on its time is respected; a new date moves it; what is done goes."""
    (moved,) = played.told(act="move", kind="commitment")
    assert not played.told(what="event.update", session=moved["session"])
    (changed,) = played.told(act="change")
    follows = played.told(what="event.update", session=changed["session"])
    assert [line["due"] for line in follows] == [changed["due"]]
    done = {line["session"] for line in played.told(act="complete", owner="manager")}
    assert done <= {line["session"] for line in played.told(what="event.cancel", kind="commitment")}


def test_what_was_done_stays_done_when_the_contract_changes(store: Store) -> None:
    """R-18: a new revision begins no promise anew that was kept before."""
    for session in {c.session for c in store.queries.list_commitments()}:
        known = store.queries.list_commitments_of_session(session)
        words = store.content.get_written_commitments([c.id for c in known])
        said = [(c.owner, words[c.id].text) for c in known]
        assert len(said) == len(set(said)), said
    kept = [
        c
        for c in store.queries.list_commitments()
        if c.standing is CommitmentStanding.DONE and c.owner is Owner.MANAGER
    ]
    assert len(kept) > 5


def test_the_reason_for_a_talk_is_told_to_the_manager_alone(played: Played) -> None:
    """R-6, R-23: not in the ledger, not to the report."""
    secret = "a competitor has called"
    assert secret not in (played.out / "ledger.jsonl").read_text(encoding="utf-8")
    told = {path.parent.name for path in (played.out / "mail").rglob("*.txt") if secret in path.read_text("utf-8")}
    assert told == {"helen.ashby"}
    for calendar in (played.out / "calendars").iterdir():
        assert secret not in calendar.read_text(encoding="utf-8")


def test_time_only_passes(played: Played) -> None:
    assert list(played.steps) == sorted(played.steps)
    assert played.steps[0] == cast.START and played.steps[-1] <= END
    assert [line["at"] for line in played.lines] == sorted(line["at"] for line in played.lines)


def test_it_does_not_take_long(played: Played) -> None:
    assert played.took < 90


# --- what it leaves ---------------------------------------------------------------------------------------------------


def test_every_mail_can_be_read_three_ways(played: Played) -> None:
    ids = [line["message_id"] for line in played.told(what="mail")]
    sources = sorted((played.out / "mail").rglob("*.eml"))
    mails = [message_from_bytes(path.read_bytes(), policy=default) for path in sources]
    unrecorded = [path for path in sources if "third-voice" in path.name]
    assert len(unrecorded) == 2
    recorded = [mail for path, mail in zip(sources, mails, strict=True) if path not in unrecorded]
    assert sorted(str(mail["Message-ID"]) for mail in recorded) == sorted(ids)
    for path, mail in zip(sources, mails, strict=True):
        assert not mail.defects
        assert str(mail["To"].addresses[0].addr_spec).partition("@")[0] == path.parent.name
        for kind, ending in (("html", ".html"), ("plain", ".txt")):
            part = mail.get_body((kind,))
            assert part is not None
            content = part.get_content()
            file = path.with_suffix(ending).read_text("utf-8").splitlines()
            assert re.sub(PAGE_LINK, "", "\n".join(file)) == re.sub(PAGE_LINK, "", "\n".join(content.splitlines()))


def test_the_calendars_hold_the_sessions(played: Played, store: Store) -> None:
    """R-2, R-23: read by another library than the one that wrote them; both have it, and nothing is said in it."""
    calendars = {who: list(read_events(played.out / "calendars" / f"{who}.ics")) for who in cast.ZONES}
    booked = [s for s in store.queries.list_sessions() if s.booked and s.sequence]
    assert len(booked) > 6
    for session in booked:
        manager, report_ = session.pair.people
        for who in (manager, report_):
            found = [e for e in calendars[who] if e.dtstart.value == session.start and hasattr(e, "x_longarc_key")]
            assert [e.x_longarc_key.value for e in found] == [session.key], (who, session)
            assert found[0].dtend.value == session.end
            assert found[0].getChildValue("class") == "PRIVATE"
            assert found[0].summary.value.startswith(("Career conversation: ", "Contract review: "))


def test_time_for_promises_stands_with_the_manager_alone(played: Played) -> None:
    """R-19, R-23"""
    for who in cast.ZONES:
        promised = [
            e for e in read_events(played.out / "calendars" / f"{who}.ics") if e.summary.value.startswith("A promise")
        ]
        assert bool(promised) <= (who in (cast.HELEN, cast.MARA))
        assert not any(e.contents.get("attendee") for e in promised)
    mara = read_events(played.out / "calendars" / f"{cast.MARA}.ics")
    assert any(e.summary.value == "A promise to Noah Brandt" for e in mara)


def test_other_meetings_are_those_that_were_written(played: Played) -> None:
    """We touch only what is ours: everybody's own entries are there, each once."""
    for who, entries in cast.CALENDARS.items():
        found = [e.summary.value for e in read_events(played.out / "calendars" / f"{who}.ics")]
        assert all(found.count(entry.title) == 1 for entry in entries)


# --- the page ---------------------------------------------------------------------------------------------------------


class Page(HTMLParser):
    """What a page refers to, what it can be jumped to, and its tags."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.links: list[str] = []
        self.ids: list[str] = []
        self.tags: list[str] = []
        self.frames: list[str] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        given = dict(attrs)
        self.links += [str(given[name]) for name in ("href", "src") if given.get(name)]
        self.ids += [str(given["id"])] if "id" in given else []
        self.frames += [str(given["srcdoc"])] if tag == "iframe" else []
        assert tag != "iframe" or "sandbox" in given


@pytest.fixture(scope="module")
def page(played: Played) -> Page:
    return Page((played.out / "index.html").read_text(encoding="utf-8"))


def test_the_page_needs_nothing_from_elsewhere(played: Played, page: Page) -> None:
    text = (played.out / "index.html").read_text(encoding="utf-8")
    assert not re.findall(r"(?:https?:)?//[\w.]+", text)
    assert not {"script", "link", "img", "object", "embed"} & set(page.tags)
    assert "url(" not in text and "@import" not in text


def test_every_link_leads_somewhere(played: Played, page: Page) -> None:
    assert len(page.ids) == len(set(page.ids))
    assert len(page.links) > 300
    for link in page.links:
        if link.startswith("#"):
            assert link[1:] in page.ids, link
        else:
            assert (played.out / unquote(link)).is_file(), link


def test_the_page_shows_every_mail_as_it_looks(played: Played, page: Page) -> None:
    files = {path.read_text("utf-8") for path in (played.out / "mail").rglob("*.html")}
    assert {text.replace('href="../../pages/', 'href="pages/') for text in files} == set(page.frames)


def test_the_links_of_mails_lead_to_copies_of_pages(played: Played) -> None:
    """No mail to a manager or a report names a command; each link leads to a page as its reader found it."""
    for path in (played.out / "mail").rglob("*.html"):
        for link in Page(path.read_text("utf-8")).links:
            assert link.startswith("#") or (path.parent / link.partition("#")[0]).resolve().is_file(), (path, link)
    for path in (played.out / "mail").rglob("*.txt"):
        assert path.parent.name == "longarc-operator" or "longarc " not in path.read_text("utf-8"), path
    copies = [Page(path.read_text("utf-8")) for path in (played.out / "pages").glob("*.html")]
    assert len(copies) > 50
    for copy in copies:
        assert "script" not in copy.tags
        assert {link for link in copy.links if not link.startswith("#")} == {"pages.css"}


def test_the_page_counts_the_people(played: Played) -> None:
    """The words in its header are those of the people file."""
    rows = (played.out / "work" / "people.csv").read_text("utf-8").splitlines()[1:]
    text = (played.out / "index.html").read_text(encoding="utf-8")
    assert len(rows) == 7 and "for seven people in five cities" in text
    people_list = text[text.index('<ul class="people">') : text.index("</ul>")]
    assert people_list.count("<li>") == len(rows)
    assert text[text.index('<ul class="legend">') :].partition("</ul>")[0].count("<li>") <= 8


def test_words_of_people_are_only_words(played: Played) -> None:
    """Whatever stands in a name or a subject is text on the page."""
    text = (played.out / "index.html").read_text(encoding="utf-8")
    assert "Mara&#39;s birthday" not in text and "<b>Helen</b> drags" in text
    assert 'srcdoc="&lt;!DOCTYPE html&gt;' in text


CHROMIUM = find_chromium()


@pytest.mark.skipif(not CHROMIUM, reason="there is no Chromium on PATH, and `make setup` could bring none")
def test_a_browser_shows_it_without_complaint(played: Played) -> None:
    """Light on a desktop; and the same page dark on a phone."""
    said: list[str] = []
    asked: list[str] = []
    with sync_playwright() as play:
        browser = play.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-quic"])
        view = browser.new_page(viewport={"width": 1280, "height": 900}, color_scheme="light")
        view.on("console", lambda message: said.append(message.text))
        view.on("pageerror", lambda error: said.append(str(error)))
        view.on("request", lambda request: asked.append(request.url))
        view.goto((played.out / "index.html").as_uri())
        assert view.locator("svg .mark").count() > 30
        check_picture(view, 1280)
        view.locator("label:has(#show-mail)").click()
        assert view.locator("tr.mail").first.is_visible()
        view.locator("tr.mail a").first.click()
        assert view.locator(":target iframe").is_visible()  # it opens what it lies in
        assert view.frame_locator(":target iframe").locator("body").inner_text().startswith("Hi ")
        view.emulate_media(color_scheme="dark")
        view.set_viewport_size({"width": 390, "height": 844})
        check_picture(view, 390)
        assert view.locator(":target iframe").is_visible()
        browser.close()
    assert said == []
    assert [url for url in asked if not url.startswith(("file:", "about:"))] == []


def check_picture(view: BrowserPage, width: int) -> None:
    """One picture is shown, and nothing sticks out sideways."""
    assert view.locator("#picture svg[role=img]:visible").count() == 1
    assert view.evaluate("document.documentElement.scrollWidth") <= width


# --- on other calendars ---------------------------------------------------------------------------------------------


def test_on_microsoft_365_it_is_the_same_story(played: Played, tmp_path: Path) -> None:
    """Whatever calendars people have: the first weeks are decided and done alike, on the strict double."""
    run_demo(tmp_path / "demo", "outlook", lambda _: None, weeks=4)
    end = (cast.START + timedelta(weeks=4)).isoformat()
    text = (tmp_path / "demo" / "ledger.jsonl").read_text(encoding="utf-8")
    lines = [json.loads(line) for line in text.splitlines()]
    assert [_happened(one) for one in lines] == [_happened(one) for one in played.lines if one["at"] < end]
    assert "Career conversation" in (tmp_path / "demo" / "calendars" / f"{cast.HELEN}.ics").read_text()


def _happened(line: Line) -> tuple[object, ...]:
    return tuple(line.get(name) for name in ("at", "what", "pair", "session", "state", "start", "act", "message", "to"))


def instant(text: str) -> datetime:
    return datetime.fromisoformat(text).astimezone(UTC)
