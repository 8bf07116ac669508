"""The mails: what they say, to whom, in whose words, and that nothing in them can be turned against the reader.

Every message is read as it arrives: serialised, parsed by the standard library, text and HTML together.
"""

import re
from collections import Counter
from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import SMTP, default
from functools import cache
from html.parser import HTMLParser
from itertools import product
from pathlib import Path

import pytest

from tests.i18n.test_language import write_catalogue
from worker.domain.contract.markdown import parse_contract
from worker.domain.model import (
    AccessRecord,
    CommitmentStanding,
    ContentAccess,
    Contract,
    Deferral,
    DeferralCause,
    EndReason,
    Owner,
    Person,
    Reason,
    ReasonValue,
    SessionKind,
    Topic,
    WrittenCommitment,
)
from worker.errors import Problem, Problems
from worker.mail.context import MailContext, ReadableCommitment
from worker.mail.kinds import KINDS, list_samples
from worker.mail.render import MailRenderer
from worker.mail.samples import (
    COMMITMENTS,
    CONTRACT,
    DANA,
    DEFERRALS,
    NOW,
    OPERATOR,
    OPTIONS,
    PAIR,
    PREVIOUS_CONTRACT,
    SAM,
    SESSION,
)
from worker.mail.templates import PARTS

ENGLISH = MailRenderer(sender="longarc@example.com", domain="example.com")
SAMPLES = list(list_samples())
TO_MANAGER = MailContext(
    name="brief", key="k", to=DANA, now=NOW, manager=DANA, report=SAM, pair=PAIR, session=SESSION, contract=CONTRACT
)
TO_REPORT = replace(TO_MANAGER, name="reflection_prompt", to=SAM)


class Shown(HTMLParser):
    """What a reader sees of an HTML page, and the tags it is made of."""

    def __init__(self, page: str) -> None:
        super().__init__()
        self.tags: list[str] = []
        self.words: list[str] = []
        self.hidden = 0
        self.link = ""
        self.feed(page)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.append(tag)
        self.hidden += tag in ("style", "title")
        self.link = dict(attrs).get("href") or self.link

    def handle_endtag(self, tag: str) -> None:
        self.hidden -= tag in ("style", "title")
        if tag == "a":
            self.words.append(self.link)

    def handle_data(self, data: str) -> None:
        if not self.hidden:
            self.words.append(data)


@dataclass(frozen=True)
class Mail:
    """A mail as it arrives."""

    headers: Mapping[str, str]
    text: str
    html: str

    def says(self, words: str) -> bool:
        """Whether both forms say it, however their lines are broken."""
        return all(words in " ".join(form.split()) for form in (self.text, self.seen))

    def silent(self, words: str) -> bool:
        """Whether neither form says it."""
        return not any(words.casefold() in " ".join(form.split()).casefold() for form in (self.text, self.seen))

    @property
    def seen(self) -> str:
        return " ".join(Shown(self.html).words)


def arrived(message: EmailMessage) -> Mail:
    parsed = message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
    text, html = (parsed.get_body((kind,)) for kind in ("plain", "html"))
    assert text is not None
    assert html is not None
    return Mail(dict(parsed.items()), text.get_content().replace("\r\n", "\n"), html.get_content())


def read(letter: MailContext, emails: MailRenderer = ENGLISH) -> Mail:
    return arrived(emails.render(letter))


def bare(text: str) -> str:
    """The letters and digits alone: what two forms of one mail must share."""
    return re.sub(r"\W|_", "", text)


@cache
def samples(name: str) -> list[tuple[MailContext, Mail]]:
    """Every sample of a message, as it arrives."""
    return [(letter, read(letter)) for letter in SAMPLES if letter.name == name]


# --- every message ---


def test_there_is_a_sample_of_every_message() -> None:
    assert {letter.name for letter in SAMPLES} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_text_and_html_say_the_same(name: str) -> None:
    for letter, mail in samples(name):
        assert bare(mail.text) == bare(mail.seen), letter.key


@pytest.mark.parametrize("name", KINDS)
def test_text_is_pleasant_to_read(name: str) -> None:
    for letter, mail in samples(name):
        rows = mail.text.splitlines()
        assert "\n\n\n" not in mail.text, letter.key
        assert all(row == row.rstrip() and len(row) <= 74 for row in rows), letter.key
        assert mail.text == mail.text.strip() + "\n"
        assert not re.search(r"[{}]|%\(|None\b(?! (this|on))", mail.text), letter.key


@pytest.mark.parametrize("name", KINDS)
def test_html_calls_nobody_and_carries_its_style_along(name: str) -> None:
    """No image, no script, no tracking: nothing is fetched when a mail is opened."""
    for _, mail in samples(name):
        assert not {"img", "script", "link", "iframe", "form", "input"} & set(Shown(mail.html).tags)
        assert not re.search(r"url\(|@import|src=", mail.html)
        assert '<p style="margin: 0 0 16px;">' in mail.html
        assert "prefers-color-scheme: dark" in mail.html


@pytest.mark.parametrize("name", KINDS)
def test_headers_of_every_mail(name: str) -> None:
    for letter, mail in samples(name):
        assert mail.headers["Auto-Submitted"] == "auto-generated"
        assert mail.headers["X-Auto-Response-Suppress"] == "All"
        assert mail.headers["Content-Language"] == "en"
        assert mail.headers["Date"] == f"{letter.now:%a, %d %b %Y %H:%M:%S} +0000"
        assert mail.headers["Message-ID"].endswith("@example.com>")
        assert mail.headers["Subject"].strip()


def test_subjects_hold_no_word_of_a_conversation() -> None:
    """R-23: a subject shows in notifications, logs and over shoulders."""
    secret = "Nightingale"
    promise = replace(COMMITMENTS[0].promise, text=secret, support=secret, success=secret)
    contract = Contract(report=(promise,), manager=(promise,), question=secret, progress=(secret,))
    for letter in SAMPLES:
        kept = tuple(replace(one, promise=promise) for one in letter.commitments)
        told = replace(letter, contract=contract, commitments=kept, learning=secret, trigger=f"leaving: {secret}")
        assert secret not in str(ENGLISH.render(told)["Subject"])


# --- headers ---


def test_what_the_manager_says_comes_in_the_managers_name() -> None:
    """R-2, R-11"""
    for name in ("reflection_prompt", "contract_summary"):
        headers = read(replace(TO_REPORT, name=name)).headers
        assert headers["From"] == "Dana Whitfield <longarc@example.com>"
        assert headers["Reply-To"] == "Dana Whitfield <dana@example.com>"
        assert headers["To"] == "Sam Okafor <sam@example.com>"


def test_everything_else_comes_from_the_product() -> None:
    for letter in SAMPLES:
        if letter.name != "reflection_prompt" and letter.to.email != SAM.email:
            assert ENGLISH.render(letter)["From"] == "Longarc <longarc@example.com>"


def test_an_answer_reaches_the_other_one_but_never_carries_the_brief_there() -> None:
    """R-12, R-23: the brief is for the manager alone."""
    assert read(replace(TO_MANAGER, name="contract_summary")).headers["Reply-To"] == "Sam Okafor <sam@example.com>"
    assert "Reply-To" not in read(TO_MANAGER).headers


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ('Dana "D" Whitfield', 'Dana "D" Whitfield'),
        ("Whitfield, Dana", "Whitfield, Dana"),
        ("Łukasz Żółć", "Łukasz Żółć"),
        ("山田 太郎", "山田 太郎"),
        ("Dana\r\nBcc: everybody@example.com", "Dana Bcc: everybody@example.com"),
        ("Dana\n\n<script>alert(1)</script>", "Dana <script>alert(1)</script>"),
        ("=?utf-8?q?Dana?=", "=?utf-8?q?Dana?="),
    ],
)
def test_any_name_is_safe_in_a_header(name: str, shown: str) -> None:
    dana = replace(DANA, name=name)
    message = ENGLISH.render(replace(TO_REPORT, to=SAM, manager=dana))
    parsed = message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
    (sender,) = parsed["From"].addresses
    assert sender.addr_spec == "longarc@example.com"
    if not name.startswith("=?"):
        assert sender.display_name == shown
    assert "Bcc" not in parsed
    assert "\n" not in parsed["Subject"]


def test_a_name_cannot_break_a_subject_or_a_page() -> None:
    sam = replace(SAM, name="<b>Sam</b>\r\nBcc:x Okafor")
    mail = read(replace(TO_MANAGER, report=sam))
    assert "Bcc" not in mail.headers
    assert "<b>" not in mail.html
    assert mail.says("<b>Sam</b>")


def test_a_message_id_follows_from_the_key_alone() -> None:
    """The same mail sent twice is the same mail."""
    one = read(replace(TO_MANAGER, key="mail.brief.k3f9"))
    later = read(replace(TO_MANAGER, key="mail.brief.k3f9", now=NOW + timedelta(hours=1), contract=None))
    other = read(replace(TO_MANAGER, key="mail.brief.k3f0"))
    assert one.headers["Message-ID"] == later.headers["Message-ID"] != other.headers["Message-ID"]
    assert one.headers["Message-ID"] == "<eeba763d7eac7183aefd57fe898bb7f4@example.com>"


def test_rendering_twice_gives_the_same_bytes() -> None:
    fresh = MailRenderer(sender="longarc@example.com", domain="example.com")
    for letter in SAMPLES:
        assert fresh.render(letter).as_bytes() == ENGLISH.render(letter).as_bytes()


def test_a_mail_answers_the_one_that_began_the_thread() -> None:
    first = read(replace(TO_MANAGER, name="introduction", key="introduction:1")).headers
    later = read(replace(TO_MANAGER, thread="introduction:1")).headers
    assert later["References"] == later["In-Reply-To"] == first["Message-ID"]
    assert "References" not in first and "In-Reply-To" not in first


def test_bodies_travel_as_plain_ascii_with_short_lines() -> None:
    long = Contract(question="ß" * 3000)
    message = ENGLISH.render(replace(TO_MANAGER, name="contract_summary", contract=long))
    raw = message.as_bytes(policy=SMTP)
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 998
    assert arrived(message).says("ß" * 3000)


# --- what people wrote ---


@pytest.mark.parametrize("name", ["brief", "contract_summary", "commitment_due", "review_note"])
@pytest.mark.parametrize("code", ["{{ 7*7 }}", "{% raw %}", "<script>alert(1)</script>", "a & b", "100 %(name)s %s"])
def test_code_in_a_commitment_arrives_as_text(name: str, code: str) -> None:
    promise = WrittenCommitment(text=code, due=NOW.date(), support=code, success=code)
    contract = Contract(report=(promise,), manager=(promise,), question=code, progress=(code,))
    kept = tuple(replace(one, promise=promise) for one in COMMITMENTS)
    mail = read(replace(TO_MANAGER, name=name, contract=contract, commitments=kept, due=NOW.date()))
    assert mail.says(code)
    assert "<script" not in mail.html
    assert "49" not in mail.text


def test_a_commitment_cannot_pass_for_a_part_of_the_mail() -> None:
    promise = WrittenCommitment(text="kind words\n\nDana’s commitments\n---\n\n- a raise", due=NOW.date())
    mail = read(replace(TO_REPORT, name="contract_summary", contract=Contract(report=(promise,))))
    assert mail.text.count("\nDana’s commitments\n") == 1


# --- the reader's own clock and language ---


def test_each_reads_the_time_on_their_own_clock() -> None:
    """The session starts at 15:00 UTC."""
    assert read(TO_MANAGER).says("Thursday, November 5")
    assert read(TO_MANAGER).says("10:00 – 11:15 AM (New York time)")
    assert read(replace(TO_REPORT, name="introduction")).says("4:00 – 5:15 PM (Berlin time)")


def test_the_city_is_left_out_when_both_keep_the_same_clock() -> None:
    here = replace(SAM, zone="America/Toronto")
    assert read(replace(TO_MANAGER, report=here)).silent("time)")


def test_the_day_is_the_readers_day() -> None:
    """22:30 UTC on Thursday is Friday in Tokyo."""
    late = datetime(2026, 11, 5, 22, 30, tzinfo=UTC)
    session = replace(SESSION, start=late, end=late + timedelta(minutes=75))
    assert read(replace(TO_REPORT, to=replace(SAM, zone="Asia/Tokyo"), session=session)).says("Friday, November 6")


def test_the_deadline_is_on_the_managers_clock() -> None:
    """R-15, T-7"""
    letter = replace(TO_MANAGER, name="contract_request", deadline=datetime(2026, 11, 7, 16, 15, tzinfo=UTC))
    assert read(letter).says("Please by Saturday, November 7, 11:15 AM")


def test_a_catalogue_of_the_company_speaks_to_those_who_read_it(tmp_path: Path) -> None:
    """Words, subject, dates and the page's own language follow the reader; the other one reads English."""
    write_catalogue(
        tmp_path / "locale",
        "de",
        ("Hi %(name)s,", "Hallo %(name)s,"),
        ("Some thoughts before we talk on %(day)s", "Vor unserem Gespräch am %(day)s"),
        ("%(hours)s (%(city)s time)", "%(hours)s (Ortszeit %(city)s)"),
    )
    emails = MailRenderer(sender="longarc@example.com", domain="example.com", overrides=tmp_path)
    mail = read(replace(TO_REPORT, to=replace(SAM, locale="de-DE")), emails)
    assert mail.headers["Subject"] == "Vor unserem Gespräch am Donnerstag, 5. November"
    assert mail.headers["Content-Language"] == "de-DE"
    assert mail.says("Hallo Sam,")
    assert '<html lang="de-DE" dir="ltr">' in mail.html
    assert read(TO_REPORT, emails).says("Hi Sam,")
    assert emails.check_templates() == []


@pytest.mark.parametrize(
    ("name", "locale", "greeting"),
    [
        ("Okafor, Sam", "en", "Hi Sam,"),
        ("Dr. Sam Okafor", "en", "Hi Sam,"),
        ("Nguyễn Thị Minh", "vi", "Hi Nguyễn Thị Minh,"),
        ("Sam", "en", "Hi Sam,"),
    ],
)
def test_a_greeting_takes_the_given_name(name: str, locale: str, greeting: str) -> None:
    assert read(replace(TO_REPORT, report=replace(SAM, name=name, locale=locale))).says(greeting)


# --- the prompt ---


@pytest.mark.parametrize("topic", list(Topic))
def test_the_prompt_is_a_note_from_one_person_to_another(topic: Topic) -> None:
    """R-11: no form, no heading, no list, nothing to fill in, no answer expected, nothing stored."""
    mail = read(replace(TO_REPORT, session=replace(SESSION, topic=topic)))
    assert not {"h1", "h2", "h3", "ul", "li", "b", "strong", "table", "a"} & set(Shown(mail.html).tags)
    assert mail.silent("Longarc")
    assert mail.says("nothing to write down, nothing to prepare and no need to reply")
    assert mail.says("not stored anywhere")
    assert mail.text.endswith("\n\nDana\n")
    assert len(mail.text.split()) < 230


def test_each_topic_gives_other_things_to_think_about() -> None:
    """R-4, R-11"""
    asked = {topic: read(replace(TO_REPORT, session=replace(SESSION, topic=topic))) for topic in Topic}
    assert len({mail.text for mail in asked.values()}) == len(Topic)
    for words in ("gives you energy", "go to waste", "three to five years", "not yet said aloud"):
        assert asked[Topic.ALL].says(words)


def test_the_prompt_asks_for_the_habit_of_looking_back() -> None:
    """R-25: what was learned, what surprised, what one would do differently; a leader may go first."""
    plain, led = read(TO_REPORT), read(replace(TO_REPORT, learning="I still talk\ntoo early."))
    assert plain.says("what have you learned these past months, what surprised you, and what would you do differently?")
    assert plain.silent("My own answer")
    assert led.says("My own answer, to go first: I still talk too early.")


def test_only_after_a_contract_does_the_prompt_ask_what_changed() -> None:
    """R-13"""
    assert read(TO_REPORT).says("what has changed since last time?")
    assert read(replace(TO_REPORT, contract=None)).silent("since last time")


# --- the brief ---


def brief(**fields: object) -> Mail:
    letter = replace(TO_MANAGER, commitments=COMMITMENTS, now=NOW + timedelta(days=1))
    return read(replace(letter, **fields))  # type: ignore[arg-type]


def test_the_brief_begins_with_the_managers_own_commitments() -> None:
    """R-12, R-20: done or not, and how late."""
    mail = brief()
    order = ["First, your own promises", "What the two of you agreed", "Open with", "Think through", "Questions to"]
    for form in (mail.text, mail.seen):
        places = [form.index(words) for words in order]
        assert places == sorted(places)
    assert mail.says("not done, due Friday, October 23, 12 days late")
    assert mail.says("done on Thursday, September 24, 6 days late")
    assert mail.says("done on Monday, October 26, in time")


def kept(standing: CommitmentStanding) -> ReadableCommitment:
    return replace(COMMITMENTS[0], commitment=replace(COMMITMENTS[0].commitment, standing=standing, closed_at=NOW))


def test_a_commitment_that_changed_or_was_let_go_is_not_called_late() -> None:
    """R-18: goals change, without blame."""
    mail = brief(commitments=(kept(CommitmentStanding.CHANGED), kept(CommitmentStanding.LET_GO)))
    assert mail.says("changed on Tuesday, November 3")
    assert mail.says("let go on Tuesday, November 3")
    assert mail.silent("late")


def test_the_brief_gives_all_six_things_to_think_through_and_what_to_leave_out() -> None:
    """R-12, R-13"""
    mail = brief()
    for words in (
        "What does this person care about",
        "What can the organisation really offer?",
        "Which paths are realistic",
        "What are the limits",
        "What are you willing to commit to",
        "What have you been avoiding?",
        "No slides.",
        "No list of what is missing",
        "No statement of what the organisation needs",
        "What has changed since last time?",
    ):
        assert mail.says(words), words


@pytest.mark.parametrize("topic", list(Topic))
def test_the_hardest_questions_need_trust(topic: Topic) -> None:
    """R-12"""
    session = replace(SESSION, topic=topic)
    careful, open_ = brief(session=session), brief(session=session, pair=replace(PAIR, trust=True))
    assert careful.silent("hardest")
    assert open_.says("The hardest ones")
    assert open_.text.count("?") > careful.text.count("?")


@pytest.mark.parametrize(
    ("topic", "there", "absent"),
    [
        (Topic.NOW, ["Where are you now?"], ["Where do you want to go?", "How do we close the gap?"]),
        (Topic.DIRECTION, ["Where do you want to go?"], ["Where are you now?", "How do we close the gap?"]),
        (Topic.GAP, ["How do we close the gap?"], ["Where are you now?", "Where do you want to go?"]),
        (Topic.ALL, ["Where are you now?", "Where do you want to go?", "How do we close the gap?"], []),
    ],
)
def test_the_question_bank_follows_the_topic(topic: Topic, there: list[str], absent: list[str]) -> None:
    """R-4, R-12"""
    mail = brief(session=replace(SESSION, topic=topic))
    assert all(mail.says(words) for words in there)
    assert all(mail.silent(words) for words in absent)


def test_the_brief_tells_plainly_of_deferrals_and_of_what_was_left_unfinished() -> None:
    """R-10, R-17"""
    mail = brief(count=2, deferrals=DEFERRALS[:2], unfinished=(datetime(2026, 7, 31, 15, tzinfo=UTC),))
    assert mail.says("This conversation was moved 2 times before it came to this time.")
    assert mail.says("The conversation on Friday, July 31 ended without a contract.")
    assert brief(count=1).says("This conversation was moved once before it came to this time.")


def test_the_reason_for_an_ad_hoc_conversation_is_in_the_brief_alone() -> None:
    """R-6: nobody but the manager reads it."""
    reason = "leaving: An offer from the harbour company."
    assert brief(trigger=reason).says("Because of another employer, or a thought of leaving.")
    assert brief(trigger=reason).says("An offer from the harbour company.")
    assert brief(trigger="Something else altogether.").says("Something else altogether.")
    for letter in {letter.name: letter for letter in SAMPLES if letter.name != "brief"}.values():
        assert read(replace(letter, trigger=reason)).silent("harbour")


# --- the contract ---


def test_the_request_holds_a_contract_that_can_be_copied_filled_in_and_read_back() -> None:
    """R-14, R-16"""
    mail = read(replace(TO_MANAGER, name="contract_request", deadline=NOW + timedelta(days=2)))
    start, end = mail.text.index("## Their commitments"), mail.text.index("Then record the file")
    filled = parse_contract(mail.text[start:end].replace("…", "introduce Sam to Priya"), "contract.md")
    assert len(filled.report) == len(filled.manager) == len(filled.reviews) == 1
    assert filled.question == "introduce Sam to Priya"
    assert mail.says("## Their commitments")
    assert mail.says(f"longarc contract record {SESSION.id} contract.md")
    assert mail.says("the outcome is not mine")


def test_reminders_grow_firmer_and_stay_without_blame() -> None:
    """R-15, T-7"""
    letter = replace(TO_MANAGER, name="contract_reminder", deadline=NOW + timedelta(days=2))
    mails = [read(replace(letter, reminder=number)) for number in range(1, 6)]
    assert len({mail.text for mail in mails}) == 5
    assert mails[0].says("There is still time.")
    assert mails[1].says("second and last reminder")
    assert all("Late" not in mail.headers["Subject"] for mail in mails[:2])
    assert all("Late" in mail.headers["Subject"] for mail in mails[2:])
    assert mails[4].says("counts as unfinished")
    assert all(mail.silent(word) for mail in mails for word in ("fail", "must", "you should have", "overdue"))


def summary(**fields: object) -> Mail:
    return read(replace(TO_REPORT, name="contract_summary", **fields))  # type: ignore[arg-type]


def test_the_summary_has_the_four_parts_and_progress_comes_first() -> None:
    """R-14, R-24"""
    mail = summary()
    order = (
        "Progress worth naming",
        "Sam’s commitments",
        "Dana’s commitments",
        "What we will review",
        "The question we are both sitting with",
    )
    places = [mail.text.index(words) for words in order]
    assert places == sorted(places)
    assert mail.says(CONTRACT.question)
    assert mail.says(CONTRACT.progress[0])


def test_both_read_the_same_words() -> None:
    """R-14, R-23"""
    there = replace(SAM, zone=DANA.zone)
    to_report = summary(report=there, to=there)
    to_manager = summary(report=there, to=DANA)
    assert to_report.text == to_manager.text
    assert to_report.html == to_manager.html


def test_what_is_due_within_the_week_is_flagged() -> None:
    """R-21: seven days, and not eight."""
    due = NOW.date() + timedelta(days=7)
    soon, later = (WrittenCommitment(text="call", due=day) for day in (due, due + timedelta(days=1)))
    assert summary(contract=Contract(manager=(soon,))).says("by Tuesday, November 10: within the week")
    assert summary(contract=Contract(manager=(later,))).silent("within the week")


def test_who_supports_a_step_and_what_success_looks_like_is_shown_when_given() -> None:
    """R-26"""
    mail = summary()
    assert mail.says("with the support of: Priya")
    assert mail.says("done well means: the two have a coffee without Dana in the room")


def test_a_later_revision_says_what_is_different() -> None:
    """R-14: a live document with revisions."""
    mail = summary(revision=2, previous=PREVIOUS_CONTRACT)
    assert mail.headers["Subject"] == "What the two of us keep, version 2"
    assert mail.says("Moved from Friday, November 27 to Friday, December 11: sketch the migration plan on two pages")
    assert mail.says("New for Dana: propose Sam as lead of the billing migration")
    assert mail.says("No longer for Dana: speak with Jordan")
    assert mail.says("What we will review has changed.")
    assert mail.says("The open question is another one.")


def test_a_later_revision_with_nothing_new_says_so() -> None:
    assert summary(revision=2, previous=CONTRACT).says("Only the wording.")


# --- deferrals ---


def deferral(count: int, **fields: object) -> Mail:
    letter = replace(TO_MANAGER, name="deferral_notice", count=count, deferrals=DEFERRALS[:count])
    return read(replace(letter, **fields))  # type: ignore[arg-type]


def test_deferral_notices_grow_firmer() -> None:
    """R-10, T-12: plain; the second time; a choice, or what stands in the way."""
    first, second, third = deferral(1), deferral(2), deferral(3, options=OPTIONS)
    assert first.silent("second time")
    assert first.says("It is on both your calendars now:")
    assert second.says("This is the second time it has moved.")
    assert third.headers["Subject"] == "Moved 3 times: your conversation with Sam needs you"
    assert all(third.says(f"November {day}, 10:00 – 11:15 AM") for day in (10, 11, 13))
    assert third.says("tell Sam what stands in the way")
    assert all(mail.silent(word) for mail in (first, second, third) for word in ("fault", "fail", "again and again"))


def test_a_deferral_without_a_new_time_says_so() -> None:
    """R-8: silence is never the outcome."""
    mail = deferral(1, session=replace(SESSION, start=None, end=None))
    assert mail.says("There is no new time yet.")
    assert mail.headers["Subject"] == "Your conversation with Sam needs a new time"


@pytest.mark.parametrize("cause", list(DeferralCause))
def test_every_cause_is_told_in_words(cause: DeferralCause) -> None:
    """R-8: to the one who acted as `you`, to the other one by name, and without a name when nobody is known."""
    told = Deferral(session=SESSION.id, number=1, at=NOW, cause=cause, who=SAM.email)
    to_other, nobody = deferral(1, deferrals=(told,)), deferral(1, deferrals=(replace(told, who=""),))
    to_actor = deferral(1, deferrals=(told,), to=SAM)
    assert to_actor.silent("lost its time: Sam")
    assert nobody.silent("lost its time: Sam")
    if cause is not DeferralCause.NOT_HELD:
        assert len({mail.text.split("lost its")[1] for mail in (to_other, to_actor, nobody)}) == 3


def test_a_deferred_review_is_called_a_review() -> None:
    assert deferral(1, session=replace(SESSION, kind=SessionKind.REVIEW)).says("Your contract review with Sam")


# --- the others ---


def test_the_introduction_says_who_can_read_what_to_both() -> None:
    """R-23, R-24, R-4"""
    for to, other in ((DANA, "Sam"), (SAM, "Dana")):
        mail = read(replace(TO_MANAGER, name="introduction", to=to))
        assert mail.says(f"Longarc shows it to you and {other} alone")
        assert mail.says("Whoever runs the server holds the key and could open it")
        assert mail.says("no scores and no rankings")
        assert mail.says("once a quarter: 75 minutes")
        assert mail.says("three shorter ones is up to")


def test_the_introduction_says_where_the_words_of_a_promise_stand() -> None:
    """The setting `event.commitment_text`: both hear who else may read them."""
    for to in (DANA, SAM):
        introduction = replace(TO_MANAGER, name="introduction", to=to)
        assert read(replace(introduction, commitment_text="text")).says("who administers the calendars, may read them")
        for other in ("link", "none"):
            assert read(replace(introduction, commitment_text=other)).says("do not stand on the calendar")


def test_both_are_told_what_a_command_did_for_whom_and_why() -> None:
    accesses = tuple(
        AccessRecord(pair=PAIR.id, at=NOW, access=one, on_behalf_of=SAM.email, reason="By\ntelephone")
        for one in (ContentAccess.SHOW_CONTRACT, ContentAccess.LET_GO)
    )
    told = replace(TO_MANAGER, name="content_accessed", session=None, contract=None, accesses=accesses)
    for to, whom in ((DANA, "Sam"), (SAM, "you")):
        mail = read(replace(told, to=to))
        for words in ("The contract was shown", "A promise was let go"):
            assert mail.says(f"{words}, for {whom}.")
        assert mail.says("Reason given: By telephone")
    assert read(replace(told, to=replace(SAM, locale="de"))).says("Die Vereinbarung wurde für dich angezeigt.")


def test_a_warning_says_until_when_the_time_must_be_free_again() -> None:
    """T-10: 24 hours after the warning, whenever the mail leaves."""
    session = replace(SESSION, warned_at=NOW - timedelta(hours=1))
    assert read(replace(TO_MANAGER, name="booked_over_warning", session=session)).says(
        "by Wednesday, November 4, 10:20 AM"
    )


def test_unplaceable_says_why_and_what_would_help() -> None:
    """R-8"""
    evening = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)
    moving: dict[str, ReasonValue] = {
        "what": "away",
        "name": "Dana",
        "other": "",
        "start": evening,
        "zone": DANA.zone,
        "count": 1,
    }
    why = (
        Reason("unknown", {"name": "Sam", "detail": "the service says no"}),
        Reason("moving", {**moving, "end": evening + timedelta(hours=1)}),
        Reason("moving", {**moving, "end": evening + timedelta(hours=12)}),
    )
    mail = read(replace(TO_MANAGER, name="unplaceable", why=why))
    assert mail.says("Sam's calendar is unknown, and unknown time is never free.")
    assert mail.says("Moving Dana's time away of Tuesday, November 24, 5:30 – 6:30 PM frees 1 starting time.")
    assert mail.says("of Tuesday, November 24, 5:30 PM to Wednesday, November 25, 5:30 AM frees")
    assert mail.says("what would free one")


def test_a_short_session_is_flagged_to_the_manager() -> None:
    """R-1, T-1"""
    session = replace(SESSION, end=(SESSION.end or NOW) - timedelta(minutes=25))
    mail = read(replace(TO_MANAGER, name="short_session", session=session))
    assert mail.headers["Subject"] == "Your conversation with Sam is down to 50 minutes"
    assert mail.says("Under 45 minutes it counts as deferred")


def test_a_due_commitment_is_told_to_its_owner_with_the_way_to_close_it() -> None:
    """R-20: the manager's as hard as the report's."""
    letter = replace(TO_MANAGER, name="commitment_due", commitments=COMMITMENTS[:1], due=COMMITMENTS[0].commitment.due)
    assert read(letter).says("longarc commitment done c1")
    theirs = next(one for one in COMMITMENTS if one.commitment.owner is Owner.REPORT and one.commitment.is_open)
    mail = read(replace(letter, to=SAM, commitments=(theirs,), due=theirs.commitment.due))
    assert mail.says(theirs.promise.text)
    assert mail.silent("longarc commitment")


def test_the_review_note_names_what_is_up_this_month() -> None:
    """R-7"""
    mail = read(replace(TO_MANAGER, name="review_note", commitments=COMMITMENTS))
    assert mail.says("how the first architecture review went")
    assert mail.silent("as good as it sounded")


@pytest.mark.parametrize("ended", [EndReason.CHANGED, EndReason.MANAGER_LEFT, EndReason.REPORT_LEFT])
def test_the_end_of_a_pair_says_why(ended: EndReason) -> None:
    mail = read(replace(TO_MANAGER, name="pair_ended", pair=replace(PAIR, ended=ended)))
    words = {EndReason.CHANGED: "Sam has another manager now", EndReason.MANAGER_LEFT: "Dana has left"}
    assert mail.says(words.get(ended, "Sam has left"))


def test_an_alert_speaks_to_the_operator_and_of_nobody() -> None:
    mail = read(MailContext(name="operator_alert", key="a", to=OPERATOR, now=NOW, reason="The calendar refuses us."))
    assert mail.says("The calendar refuses us.")
    assert "References" not in mail.headers


def test_links_are_shown_when_pages_exist() -> None:
    link = "https://longarc.example/c/3?a=1&b=2"
    mail = read(replace(TO_REPORT, name="contract_summary", links={"contract": link}))
    assert mail.says(link)
    assert 'href="https://longarc.example/c/3?a=1&amp;b=2"' in mail.html


# --- a company's own templates ---


@pytest.fixture
def overrides(tmp_path: Path) -> Path:
    (tmp_path / "operator_alert").mkdir()
    return tmp_path


def with_overrides(folder: Path) -> MailRenderer:
    return MailRenderer(sender="longarc@example.com", domain="example.com", overrides=folder)


def test_our_own_templates_are_well() -> None:
    assert ENGLISH.check_templates() == []


def test_a_company_replaces_only_what_it_wants(overrides: Path) -> None:
    (overrides / "operator_alert" / "subject.txt.j2").write_text("Bitte\n kommen: {{ product }}\n")
    (overrides / "_style.css").write_text("p { margin: 1px }")
    emails = with_overrides(overrides)
    mail = read(MailContext(name="operator_alert", key="a", to=OPERATOR, now=NOW, reason="<Why>"), emails)
    assert mail.headers["Subject"] == "Bitte kommen: Longarc"
    assert '<p style="margin: 1px;">&lt;Why&gt;</p>' in mail.html
    assert emails.check_templates() == []


#: The messages of which there are the fewest samples first: to check what is wrong with them takes the least.
SMALL = [name for name, _ in reversed(Counter(letter.name for letter in SAMPLES).most_common())]


def write_each(overrides: Path, wrong: Collection[tuple[str, str]]) -> dict[str, Path]:
    """Write each of these templates, a part and its source, into a message of its own; the files by message."""
    paths = {name: overrides / name / part for name, (part, _) in zip(SMALL, wrong, strict=False)}
    for path, (_, source) in zip(paths.values(), wrong, strict=True):
        path.parent.mkdir(exist_ok=True)
        path.write_text(source)
    return paths


def problems_by_file(overrides: Path) -> dict[str, Problem]:
    """What a check finds, by the file; one problem for each file."""
    problems = with_overrides(overrides).check_templates()
    by_file = {problem.where.partition(":")[0]: problem for problem in problems}
    assert len(by_file) == len(problems)
    return by_file


def test_a_broken_template_is_found_with_its_file_and_line(overrides: Path) -> None:
    of_nobody = "{% extends '_layout.txt.j2' %}\n{% block body %}\n\n{{ manager.name }}\n{% endblock %}"
    wrong = {
        ("body.txt.j2", of_nobody): (4, "name"),
        ("body.html.j2", "<p>fine</p>\n\n<p\n  class='x'>{{ reason\n</p>"): (4, "unexpected"),
        ("body.txt.j2", "one\ntwo {{ nobody }}\n"): (2, "'nobody' is undefined"),
        ("body.html.j2", "<div>\n{% if %}\n</div>"): (2, "Expected an expression"),
        ("subject.txt.j2", "{% trans %}{{ now + 1 }}{% endtrans %}"): (1, "expected"),
    }
    assert SMALL[0] == "operator_alert", "which knows no manager"
    paths = write_each(overrides, wrong)
    found = problems_by_file(overrides)
    assert found.keys() == set(map(str, paths.values()))
    for path, (number, what) in zip(paths.values(), wrong.values(), strict=True):
        problem = found[str(path)]
        assert problem.where == f"{path}:{number}"
        assert what in problem.what
        assert problem.remedy


def test_a_template_that_is_nowhere_is_named(overrides: Path) -> None:
    (overrides / "operator_alert" / "body.txt.j2").write_text("{% extends 'house.txt.j2' %}")
    (problem,) = with_overrides(overrides).check_templates()
    assert "house.txt.j2" in problem.what


def test_a_mail_with_nothing_in_it_is_found_and_never_made(overrides: Path) -> None:
    unseen = "<!-- <p>no</p> --><style>p { margin: 0 }</style><p> </p>"
    wrong = [*product(PARTS, [" \n", "\u200b\ufeff", ""]), ("body.html.j2", unseen)]
    paths = write_each(overrides, wrong)
    emails = with_overrides(overrides)
    assert {problem.where for problem in emails.check_templates()} == set(map(str, paths.values()))
    for name in paths:
        with pytest.raises(Problems, match="gives nothing"):
            emails.render(next(letter for letter in SAMPLES if letter.name == name))


@pytest.mark.parametrize("source", ["x" * 999_999 + "{{ product }}", "{% for n in range(10 ** 12) %}x{% endfor %}"])
def test_a_mail_without_end_is_found_and_never_made(overrides: Path, source: str) -> None:
    paths = write_each(overrides, [(part, source) for part in PARTS])
    assert problems_by_file(overrides).keys() == set(map(str, paths.values()))
    emails = with_overrides(overrides)
    for name in paths:
        with pytest.raises((Problems, OverflowError)):
            emails.render(next(letter for letter in SAMPLES if letter.name == name))


def test_a_template_that_comes_back_to_itself_is_found(overrides: Path) -> None:
    ways = ["{% include name %}", "{% extends name %}", "{% macro m() %}{{ m() }}{% endmacro %}{{ m() }}"]
    named = [way.replace("name", f"'{name}/body.txt.j2'") for name, way in zip(SMALL, ways, strict=False)]
    paths = write_each(overrides, [("body.txt.j2", source) for source in named])
    found = problems_by_file(overrides)
    assert found.keys() == set(map(str, paths.values()))
    for path in paths.values():
        assert str(found[str(path)]).startswith(f"{path}:1: This template comes back to itself.")


def test_a_template_reaches_nothing_but_what_its_mail_speaks_of(overrides: Path) -> None:
    sources = [
        "{{ cycler.__init__.__globals__.os.getcwd() }}",
        "{{ ''.__class__.__mro__ }}",
        "{{ product.__class__ }}",
        "{% include '../../../etc/hostname' %}",
        "{% include '/etc/hostname' %}",
    ]
    paths = write_each(overrides, [("body.txt.j2", f"One\n{source}\n") for source in sources])
    found = problems_by_file(overrides)
    assert found.keys() == set(map(str, paths.values()))
    for path in paths.values():
        problem = found[str(path)]
        assert problem.where == f"{path}:2"
        assert "unsafe" in problem.what or "there is no template" in problem.what


def test_all_that_is_wrong_with_a_mail_is_told_at_once(overrides: Path) -> None:
    folder = overrides / "operator_alert"
    for part, source in zip(PARTS, ("{% if", "", "\n{{ nobody }}"), strict=True):
        (folder / part).write_text(source)
    assert [problem.where for problem in with_overrides(overrides).check_templates()] == [
        f"{folder / PARTS[0]}:1",
        f"{folder / PARTS[1]}",
        f"{folder / PARTS[2]}:2",
    ]


@pytest.mark.parametrize("target", ["body.txt.j2", "/nowhere/body.txt.j2", "."])
def test_what_is_no_file_where_one_should_be_is_found(overrides: Path, target: str) -> None:
    path = overrides / "operator_alert" / "body.txt.j2"
    path.symlink_to(target)
    (problem,) = with_overrides(overrides).check_templates()
    assert (problem.where, problem.what) == (str(path), "is no file.")


@pytest.mark.parametrize(
    "name",
    ["operator_alert/body.txt.j2", "operator_alert/body.html.j2", "_style.css", "locale/de/LC_MESSAGES/longarc.po"],
)
def test_what_is_no_utf_8_is_told_by_its_line(overrides: Path, name: str) -> None:
    path = overrides / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes("# one\n# Gruß\n".encode("latin-1"))
    (problem,) = with_overrides(overrides).check_templates()
    assert str(problem) == f"{path}:2: This line is not UTF-8. Save the file as UTF-8."


def test_a_file_that_no_mail_uses_is_found(overrides: Path) -> None:
    (overrides / "operator_alert" / "body.html").write_text("half a name")
    (overrides / "operator_alert" / "notes.txt").write_text("ignored: nobody could mean it for a mail")
    (overrides / "operator_alert" / "_piece.j2").write_text("a piece of theirs")
    (overrides / "operator-alert").mkdir()
    (overrides / "operator-alert" / "body.txt.j2").write_text("misspelt")
    assert [problem.where for problem in with_overrides(overrides).check_templates()] == [
        str(overrides / "operator-alert" / "body.txt.j2"),
        str(overrides / "operator_alert" / "body.html"),
    ]


def test_a_folder_that_is_not_there_is_found(tmp_path: Path) -> None:
    (problem,) = with_overrides(tmp_path / "nowhere").check_templates()
    assert problem.where == str(tmp_path / "nowhere")


@pytest.mark.parametrize(
    "translation", [("Hi %(name)s,", "Salut %(nom)s,"), ("Hi %(name)s,", "Salut %(name),")], ids=["name", "form"]
)
def test_a_translation_that_lost_a_name_is_found(overrides: Path, translation: tuple[str, str]) -> None:
    path = write_catalogue(overrides / "locale", "fr", translation)
    problems = with_overrides(overrides).check_templates()
    assert [problem.where for problem in problems] == [f"{path}:4"]


def test_a_catalogue_that_cannot_be_read_is_found(overrides: Path) -> None:
    path = write_catalogue(overrides / "locale", "fr")
    path.write_text('msgid "Why"\nmsgstr "Pourquoi\n\nmsgid "When"\nmeans "Quand"\n')
    problems = with_overrides(overrides).check_templates()
    assert {problem.where for problem in problems} == {f"{path}:2", f"{path}:5"}


@pytest.mark.parametrize(
    "header",
    ["Content-Type: text/plain; charset=none", "PO-Revision-Date: soon", "Plural-Forms: nplurals=2; plural=m();"],
)
def test_a_catalogue_whose_header_says_nothing_is_found(overrides: Path, header: str) -> None:
    path = write_catalogue(overrides / "locale", "fr")
    path.write_text(f'msgid ""\nmsgstr "{header}\\n"\n\nmsgid "Why"\nmsgstr "Pourquoi"\n')
    (problem,) = with_overrides(overrides).check_templates()
    assert problem.where == f"{path}:1"
    assert "header" in problem.what


def test_people_of_any_zone_can_be_written_to() -> None:
    far = Person(email="a@example.com", name="Ana", zone="Pacific/Chatham", country="NZ", hours=DANA.hours)
    assert read(replace(TO_REPORT, to=far, report=far)).says("Friday, November 6 at 4:45 AM")
