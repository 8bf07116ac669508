"""Properties of all mails: headers, text and HTML, escaped content, and the time zone and language of the reader."""

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

#: The longest line of the text of a mail.
MAX_LINE_CHARACTERS = 74

# --- every mail ---


def test_every_mail_has_a_sample() -> None:
    assert {context.name for context in SAMPLES} == set(KINDS)


@pytest.mark.parametrize("name", KINDS)
def test_text_and_html_have_the_same_letters(name: str) -> None:
    for context, mail in render_samples(name):
        assert keep_letters(mail.text) == keep_letters(mail.html_text), context.key


@pytest.mark.parametrize("name", KINDS)
def test_text_has_short_lines_and_no_unfilled_placeholders(name: str) -> None:
    for context, mail in render_samples(name):
        lines = mail.text.splitlines()
        assert "\n\n\n" not in mail.text, context.key
        assert all(line == line.rstrip() and len(line) <= MAX_LINE_CHARACTERS for line in lines), context.key
        assert mail.text == mail.text.strip() + "\n"
        # `None` of Python, and not at the beginning of the sentences "None this week" and "None on record"
        assert not re.search(r"[{}]|%\(|None\b(?! (this|on))", mail.text), context.key


@pytest.mark.parametrize("name", KINDS)
def test_html_fetches_nothing_and_contains_its_style(name: str) -> None:
    """No image, no script, no tracking: nothing is fetched when a mail is opened."""
    for _, mail in render_samples(name):
        assert not {"img", "script", "link", "iframe", "form", "input"} & set(HtmlText(mail.html).tags)
        assert not re.search(r"url\(|@import|src=", mail.html)
        assert '<p style="margin: 0 0 16px;">' in mail.html
        assert "prefers-color-scheme: dark" in mail.html


@pytest.mark.parametrize("name", KINDS)
def test_every_mail_has_the_usual_headers(name: str) -> None:
    for context, mail in render_samples(name):
        assert mail.headers["Auto-Submitted"] == "auto-generated"
        assert mail.headers["X-Auto-Response-Suppress"] == "All"
        assert mail.headers["Content-Language"] == "en"
        assert mail.headers["Date"] == f"{context.now:%a, %d %b %Y %H:%M:%S} +0000"
        assert mail.headers["Message-ID"].endswith("@example.com>")
        assert mail.headers["Subject"].strip()


def test_subjects_of_mails_contain_no_content() -> None:
    """R-23: other people may see a subject in a notification, in a log or on a screen."""
    secret = "Nightingale"
    promise = replace(COMMITMENTS[0].promise, text=secret, support=secret, success=secret)
    contract = Contract(report=(promise,), manager=(promise,), question=secret, progress=(secret,))
    for context in SAMPLES:
        commitments = tuple(replace(commitment, promise=promise) for commitment in context.commitments)
        with_secret = replace(
            context, contract=contract, commitments=commitments, learning=secret, trigger=f"leaving: {secret}"
        )
        assert secret not in str(ENGLISH.render(with_secret)["Subject"])


# --- headers ---


def test_prompt_and_summary_have_the_manager_as_sender() -> None:
    """R-2, R-11: the prompt and the summary have the manager's name as sender, and go back to the manager."""
    for name in ("reflection_prompt", "contract_summary"):
        headers = render(replace(TO_REPORT, name=name)).headers
        assert headers["From"] == "Dana Whitfield <longarc@example.com>"
        assert headers["Reply-To"] == "Dana Whitfield <dana@example.com>"
        assert headers["To"] == "Sam Okafor <sam@example.com>"


def test_other_mails_have_longarc_as_sender() -> None:
    """All but the mails in the name of a person: the prompt, the summary to the report, and that to a third voice."""
    in_a_persons_name = {("reflection_prompt", SAM.email), ("contract_summary", SAM.email)}
    for context in SAMPLES:
        if context.name != "third_voice_request" and (context.name, context.to.email) not in in_a_persons_name:
            assert ENGLISH.render(context)["From"] == "Longarc <longarc@example.com>", context.key


def test_a_reply_to_the_summary_reaches_the_report_and_the_brief_has_no_reply_address() -> None:
    """R-12, R-23: the brief is for the manager alone, and a reply would quote it to the report."""
    assert render(replace(TO_MANAGER, name="contract_summary")).headers["Reply-To"] == "Sam Okafor <sam@example.com>"
    assert "Reply-To" not in render(TO_MANAGER).headers


@pytest.mark.parametrize(
    ("name", "display_name"),
    [
        ('Dana "D" Whitfield', 'Dana "D" Whitfield'),
        ("Whitfield, Dana", "Whitfield, Dana"),
        ("Łukasz Żółć", "Łukasz Żółć"),
        ("山田 太郎", "山田 太郎"),
        ("Dana\r\nBcc: everybody@example.com", "Dana Bcc: everybody@example.com"),
        ("Dana\n\n<script>alert(1)</script>", "Dana <script>alert(1)</script>"),
        ("=?utf-8?q?Dana?=", "Dana"),  # an encoded word, which parsers decode
    ],
)
def test_any_name_is_safe_in_a_header(name: str, display_name: str) -> None:
    dana = replace(DANA, name=name)
    message = ENGLISH.render(replace(TO_REPORT, to=SAM, manager=dana))
    parsed = message_from_bytes(message.as_bytes(policy=SMTP), policy=default)
    (sender,) = parsed["From"].addresses
    assert sender.addr_spec == "longarc@example.com"
    assert sender.display_name == display_name
    assert "Bcc" not in parsed
    assert "\n" not in parsed["Subject"]


def test_a_name_cannot_break_a_subject_or_a_page() -> None:
    sam = replace(SAM, name="<b>Sam</b>\r\nBcc:x Okafor")
    mail = render(replace(TO_MANAGER, report=sam))
    assert "Bcc" not in mail.headers
    assert "<b>" not in mail.html
    assert mail.says("<b>Sam</b>")


def test_the_message_id_depends_on_the_key_alone() -> None:
    """So a mail that is sent twice is one mail for mail programs."""
    first_mail = render(replace(TO_MANAGER, key="mail.brief.k3f9"))
    later_mail = render(replace(TO_MANAGER, key="mail.brief.k3f9", now=NOW + timedelta(hours=1), contract=None))
    other_mail = render(replace(TO_MANAGER, key="mail.brief.k3f0"))
    assert first_mail.headers["Message-ID"] == later_mail.headers["Message-ID"] != other_mail.headers["Message-ID"]
    # a digest of the first key, so that a later version of the program does not send the mail as another one
    assert first_mail.headers["Message-ID"] == "<eeba763d7eac7183aefd57fe898bb7f4@example.com>"


def test_rendering_twice_gives_the_same_bytes() -> None:
    other_renderer = MailRenderer(sender="longarc@example.com", domain="example.com")
    for context in SAMPLES:
        assert other_renderer.render(context).as_bytes() == ENGLISH.render(context).as_bytes()


def test_a_mail_refers_to_the_first_mail_of_its_thread() -> None:
    """`thread` is the key of the first mail."""
    first = render(replace(TO_MANAGER, name="introduction", key="introduction:1")).headers
    later = render(replace(TO_MANAGER, thread="introduction:1")).headers
    assert later["References"] == later["In-Reply-To"] == first["Message-ID"]
    assert "References" not in first and "In-Reply-To" not in first


def test_a_serialized_mail_is_ascii_with_lines_of_at_most_998_characters() -> None:
    contract = Contract(question="ß" * 3000)
    message = ENGLISH.render(replace(TO_MANAGER, name="contract_summary", contract=contract))
    raw = message.as_bytes(policy=SMTP)
    assert raw.isascii()
    assert max(map(len, raw.splitlines())) <= 998  # the limit of RFC 5322, 2.1.1
    assert read_message(message).says("ß" * 3000)


# --- content ---


@pytest.mark.parametrize("name", ["brief", "contract_summary", "commitment_due", "review_note"])
@pytest.mark.parametrize("code", ["{{ 7*7 }}", "{% raw %}", "<script>alert(1)</script>", "a & b", "100 %(name)s %s"])
def test_code_in_a_commitment_arrives_as_text(name: str, code: str) -> None:
    promise = WrittenCommitment(text=code, due=NOW.date(), support=code, success=code)
    contract = Contract(report=(promise,), manager=(promise,), question=code, progress=(code,))
    commitments = tuple(replace(commitment, promise=promise) for commitment in COMMITMENTS)
    mail = render(replace(TO_MANAGER, name=name, contract=contract, commitments=commitments, due=NOW.date()))
    assert mail.says(code)
    assert "<script" not in mail.html
    assert "49" not in mail.text, "7*7 was computed"


def test_line_breaks_in_a_commitment_make_no_headings() -> None:
    promise = WrittenCommitment(text="kind words\n\nWhat I’ll do\n---\n\n- a raise", due=NOW.date())
    mail = render(replace(TO_REPORT, name="contract_summary", contract=Contract(report=(promise,))))
    assert mail.text.count("\nWhat I’ll do\n") == 1  # the heading of the mail itself


# --- the time zone and language of the reader ---


def test_times_are_in_the_time_zone_of_the_reader() -> None:
    """The session starts at 15:00 UTC."""
    assert render(TO_MANAGER).says("Thursday, November 5")
    assert render(TO_MANAGER).says("10:00 – 11:15 AM (New York time)")
    assert render(replace(TO_REPORT, name="introduction")).says("4:00 – 5:15 PM (Berlin time)")


def test_the_city_is_left_out_when_both_have_the_same_offset() -> None:
    """Toronto has the time of New York, where the manager is."""
    report = replace(SAM, zone="America/Toronto")
    assert render(replace(TO_MANAGER, report=report)).omits("time)")


def test_the_date_is_in_the_time_zone_of_the_reader() -> None:
    """22:30 UTC on Thursday is Friday in Tokyo."""
    late_start = datetime(2026, 11, 5, 22, 30, tzinfo=UTC)
    session = replace(SESSION, start=late_start, end=late_start + timedelta(minutes=75))
    assert render(replace(TO_REPORT, to=replace(SAM, zone="Asia/Tokyo"), session=session)).says("Friday, November 6")


def test_the_deadline_is_in_the_time_zone_of_the_manager() -> None:
    """R-15, T-7: the contract is due 48 hours after the session; 16:15 UTC is 11:15 in New York."""
    context = replace(TO_MANAGER, name="contract_request", deadline=datetime(2026, 11, 7, 16, 15, tzinfo=UTC))
    assert render(context).says("Please by Saturday, November 7, 11:15 AM")


def test_a_catalogue_of_the_company_is_used_for_readers_of_its_language(tmp_path: Path) -> None:
    """Text, subject, dates and the language of the HTML are German for this reader, and English for others."""
    write_catalogue(
        tmp_path / "locale",
        "de",
        ("Hi %(name)s,", "Hallo %(name)s,"),
        ("Some thoughts before we talk on %(day)s", "Vor unserem Gespräch am %(day)s"),
        ("%(hours)s (%(city)s time)", "%(hours)s (Ortszeit %(city)s)"),
    )
    renderer = MailRenderer(sender="longarc@example.com", domain="example.com", overrides=tmp_path)
    mail = render(replace(TO_REPORT, to=replace(SAM, locale="de-DE")), renderer)
    assert mail.headers["Subject"] == "Vor unserem Gespräch am Donnerstag, 5. November"
    assert mail.headers["Content-Language"] == "de-DE"
    assert mail.says("Hallo Sam,")
    assert '<html lang="de-DE" dir="ltr">' in mail.html
    assert render(TO_REPORT, renderer).says("Hi Sam,")
    assert renderer.check_templates() == []


@pytest.mark.parametrize(
    ("name", "locale", "greeting"),
    [
        ("Okafor, Sam", "en", "Hi Sam,"),
        ("Dr. Sam Okafor", "en", "Hi Sam,"),
        ("Nguyễn Thị Minh", "vi", "Hi Nguyễn Thị Minh,"),  # the given name comes last
        ("Sam", "en", "Hi Sam,"),
    ],
)
def test_a_greeting_has_the_given_name_where_it_is_certain(name: str, locale: str, greeting: str) -> None:
    assert render(replace(TO_REPORT, report=replace(SAM, name=name, locale=locale))).says(greeting)


def test_mails_have_times_of_zones_with_unusual_offsets() -> None:
    """In November the Chatham Islands are 13 hours and 45 minutes ahead of UTC. The session starts at 15:00 UTC."""
    ana = Person(email="a@example.com", name="Ana", zone="Pacific/Chatham", country="NZ", hours=DANA.hours)
    assert render(replace(TO_REPORT, to=ana, report=ana)).says("Friday, November 6 at 4:45 AM")
