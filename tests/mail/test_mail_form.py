"""What is true of every mail: its headers, its two forms, what people wrote in it, its reader's clock and language."""

import re
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email import message_from_bytes
from email.policy import SMTP, default
from pathlib import Path

import pytest

from tests.i18n.test_language import write_catalogue
from tests.support.read_mails import (
    ENGLISH,
    SAMPLES,
    TO_MANAGER,
    TO_REPORT,
    HtmlText,
    keep_letters,
    read_message,
    render,
    render_samples,
)
from worker.domain.model import Contract, Person, WrittenCommitment
from worker.mail.kinds import KINDS
from worker.mail.render import MailRenderer
from worker.mail.samples import COMMITMENTS, DANA, NOW, SAM, SESSION

# --- every message ---


def test_there_is_a_sample_of_every_message() -> None:
    assert {letter.name for letter in SAMPLES} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_text_and_html_say_the_same(name: str) -> None:
    for letter, mail in render_samples(name):
        assert keep_letters(mail.text) == keep_letters(mail.html_text), letter.key


@pytest.mark.parametrize("name", KINDS)
def test_text_is_pleasant_to_read(name: str) -> None:
    for letter, mail in render_samples(name):
        rows = mail.text.splitlines()
        assert "\n\n\n" not in mail.text, letter.key
        assert all(row == row.rstrip() and len(row) <= 74 for row in rows), letter.key
        assert mail.text == mail.text.strip() + "\n"
        assert not re.search(r"[{}]|%\(|None\b(?! (this|on))", mail.text), letter.key


@pytest.mark.parametrize("name", KINDS)
def test_html_calls_nobody_and_carries_its_style_along(name: str) -> None:
    """No image, no script, no tracking: nothing is fetched when a mail is opened."""
    for _, mail in render_samples(name):
        assert not {"img", "script", "link", "iframe", "form", "input"} & set(HtmlText(mail.html).tags)
        assert not re.search(r"url\(|@import|src=", mail.html)
        assert '<p style="margin: 0 0 16px;">' in mail.html
        assert "prefers-color-scheme: dark" in mail.html


@pytest.mark.parametrize("name", KINDS)
def test_headers_of_every_mail(name: str) -> None:
    for letter, mail in render_samples(name):
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
        headers = render(replace(TO_REPORT, name=name)).headers
        assert headers["From"] == "Dana Whitfield <longarc@example.com>"
        assert headers["Reply-To"] == "Dana Whitfield <dana@example.com>"
        assert headers["To"] == "Sam Okafor <sam@example.com>"


def test_everything_else_comes_from_the_product() -> None:
    for letter in SAMPLES:
        if letter.name not in ("reflection_prompt", "third_voice_request") and letter.to.email != SAM.email:
            assert ENGLISH.render(letter)["From"] == "Longarc <longarc@example.com>"


def test_an_answer_reaches_the_other_one_but_never_carries_the_brief_there() -> None:
    """R-12, R-23: the brief is for the manager alone."""
    assert render(replace(TO_MANAGER, name="contract_summary")).headers["Reply-To"] == "Sam Okafor <sam@example.com>"
    assert "Reply-To" not in render(TO_MANAGER).headers


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
    mail = render(replace(TO_MANAGER, report=sam))
    assert "Bcc" not in mail.headers
    assert "<b>" not in mail.html
    assert mail.says("<b>Sam</b>")


def test_a_message_id_follows_from_the_key_alone() -> None:
    """The same mail sent twice is the same mail."""
    one = render(replace(TO_MANAGER, key="mail.brief.k3f9"))
    later = render(replace(TO_MANAGER, key="mail.brief.k3f9", now=NOW + timedelta(hours=1), contract=None))
    other = render(replace(TO_MANAGER, key="mail.brief.k3f0"))
    assert one.headers["Message-ID"] == later.headers["Message-ID"] != other.headers["Message-ID"]
    assert one.headers["Message-ID"] == "<eeba763d7eac7183aefd57fe898bb7f4@example.com>"


def test_rendering_twice_gives_the_same_bytes() -> None:
    fresh = MailRenderer(sender="longarc@example.com", domain="example.com")
    for letter in SAMPLES:
        assert fresh.render(letter).as_bytes() == ENGLISH.render(letter).as_bytes()


def test_a_mail_answers_the_one_that_began_the_thread() -> None:
    first = render(replace(TO_MANAGER, name="introduction", key="introduction:1")).headers
    later = render(replace(TO_MANAGER, thread="introduction:1")).headers
    assert later["References"] == later["In-Reply-To"] == first["Message-ID"]
    assert "References" not in first and "In-Reply-To" not in first


def test_bodies_travel_as_plain_ascii_with_short_lines() -> None:
    long = Contract(question="ß" * 3000)
    message = ENGLISH.render(replace(TO_MANAGER, name="contract_summary", contract=long))
    raw = message.as_bytes(policy=SMTP)
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 998
    assert read_message(message).says("ß" * 3000)


# --- what people wrote ---


@pytest.mark.parametrize("name", ["brief", "contract_summary", "commitment_due", "review_note"])
@pytest.mark.parametrize("code", ["{{ 7*7 }}", "{% raw %}", "<script>alert(1)</script>", "a & b", "100 %(name)s %s"])
def test_code_in_a_commitment_arrives_as_text(name: str, code: str) -> None:
    promise = WrittenCommitment(text=code, due=NOW.date(), support=code, success=code)
    contract = Contract(report=(promise,), manager=(promise,), question=code, progress=(code,))
    kept = tuple(replace(one, promise=promise) for one in COMMITMENTS)
    mail = render(replace(TO_MANAGER, name=name, contract=contract, commitments=kept, due=NOW.date()))
    assert mail.says(code)
    assert "<script" not in mail.html
    assert "49" not in mail.text


def test_a_commitment_cannot_pass_for_a_part_of_the_mail() -> None:
    promise = WrittenCommitment(text="kind words\n\nWhat I’ll do\n---\n\n- a raise", due=NOW.date())
    mail = render(replace(TO_REPORT, name="contract_summary", contract=Contract(report=(promise,))))
    assert mail.text.count("\nWhat I’ll do\n") == 1


# --- the reader's own clock and language ---


def test_each_reads_the_time_on_their_own_clock() -> None:
    """The session starts at 15:00 UTC."""
    assert render(TO_MANAGER).says("Thursday, November 5")
    assert render(TO_MANAGER).says("10:00 – 11:15 AM (New York time)")
    assert render(replace(TO_REPORT, name="introduction")).says("4:00 – 5:15 PM (Berlin time)")


def test_the_city_is_left_out_when_both_keep_the_same_clock() -> None:
    here = replace(SAM, zone="America/Toronto")
    assert render(replace(TO_MANAGER, report=here)).omits("time)")


def test_the_day_is_the_readers_day() -> None:
    """22:30 UTC on Thursday is Friday in Tokyo."""
    late = datetime(2026, 11, 5, 22, 30, tzinfo=UTC)
    session = replace(SESSION, start=late, end=late + timedelta(minutes=75))
    assert render(replace(TO_REPORT, to=replace(SAM, zone="Asia/Tokyo"), session=session)).says("Friday, November 6")


def test_the_deadline_is_on_the_managers_clock() -> None:
    """R-15, T-7"""
    letter = replace(TO_MANAGER, name="contract_request", deadline=datetime(2026, 11, 7, 16, 15, tzinfo=UTC))
    assert render(letter).says("Please by Saturday, November 7, 11:15 AM")


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
    mail = render(replace(TO_REPORT, to=replace(SAM, locale="de-DE")), emails)
    assert mail.headers["Subject"] == "Vor unserem Gespräch am Donnerstag, 5. November"
    assert mail.headers["Content-Language"] == "de-DE"
    assert mail.says("Hallo Sam,")
    assert '<html lang="de-DE" dir="ltr">' in mail.html
    assert render(TO_REPORT, emails).says("Hi Sam,")
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
    assert render(replace(TO_REPORT, report=replace(SAM, name=name, locale=locale))).says(greeting)


# --- a company's own templates ---


def test_people_of_any_zone_can_be_written_to() -> None:
    far = Person(email="a@example.com", name="Ana", zone="Pacific/Chatham", country="NZ", hours=DANA.hours)
    assert render(replace(TO_REPORT, to=far, report=far)).says("Friday, November 6 at 4:45 AM")
