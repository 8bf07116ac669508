"""The texts of mails that have no test module of their own (R-6, R-12, R-18, R-20, R-23 to R-26, R-33, R-36).

Every mail is read as it arrives: serialized, parsed by the standard library, text and HTML together.
"""

from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from itertools import combinations

import pytest

from tests.support.read_mails import TO_MANAGER, TO_REPORT, Mail, render
from worker.domain.model import (
    AccessRecord,
    ContentAccess,
    EndReason,
    MailName,
    Owner,
    Reason,
    ReasonValue,
    SessionState,
    Topic,
)
from worker.domain.planning.mail_times import ANY_HOUR, NEVER_FOLDED, REMINDERS
from worker.domain.planning.weekly import NewsKind
from worker.mail import news_samples
from worker.mail.context import MailContext, remove_content
from worker.mail.kinds import list_samples
from worker.mail.samples import (
    COMMITMENTS,
    DANA,
    LEE,
    NOW,
    OPERATOR,
    PAIR,
    PASSED_LINES,
    PREVIOUS_CONTRACT,
    SAM,
    SESSION,
)


def test_the_introduction_explains_to_both_who_can_read_content() -> None:
    """R-4, R-23, R-24: it also names the rhythm and the choice of the format, and rules out scores."""
    to_report = render(replace(TO_MANAGER, name="introduction", to=SAM))
    assert to_report.says("Longarc shows it to you and Dana alone")
    to_manager = render_manager_introduction()
    assert to_manager.says("Longarc shows it to those two alone")
    for mail in (to_manager, to_report):
        assert mail.says("Whoever runs the server holds the key and could open it")
        assert mail.says("no scores and no rankings")
        assert mail.says("three shorter ones is up to")
        assert mail.says("once a quarter")


def render_manager_introduction(**fields: object) -> Mail:
    sample = next(news_samples.iter_introductions(replace(TO_MANAGER, name="introduction")))
    return render(replace(sample, **fields))  # type: ignore[arg-type]


def test_the_introduction_of_a_manager_lists_the_first_sessions_of_all_reports() -> None:
    """The manager gets one introduction for all reports. It has no `Reply-To`, which would name one of them."""
    mail = render_manager_introduction()
    assert mail.headers["Subject"] == "Career conversations with the people who report to you"
    assert mail.says("Sam: Thursday, November 5, 10:00 – 11:15 AM")
    assert mail.says("Kim: Thursday, November 12")
    assert "Reply-To" not in mail.headers


def test_the_introduction_says_whether_commitment_texts_are_on_the_calendar() -> None:
    """The setting `event.commitment_text` decides; with `text`, calendar administrators may read them."""
    to_report = replace(TO_MANAGER, name="introduction", to=SAM)
    for render_introduction in (render_manager_introduction, lambda **fields: render(replace(to_report, **fields))):
        assert render_introduction(commitment_text="text").says("who administers the calendars, may read them")
        for setting in ("link", "none"):
            assert render_introduction(commitment_text=setting).says("do not stand on the calendar")


# --- about several pairs ---


def test_no_two_conversations_of_the_sample_week_begin_at_the_same_time() -> None:
    full, _ = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    starts = [line.session.start for line in full.news if line.kind == NewsKind.SESSION and line.session]
    assert len(starts) == len(set(starts)) == 2


def test_the_weekly_mail_has_all_parts_and_by_link_no_content() -> None:
    """R-20: sessions, commitments with their texts, missing contracts, open choices; by link no texts."""
    full, short = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    mail = render(full)
    for title in ("This week", "What you promised", "To be written down", "Waiting for your choice", "Without a time"):
        assert mail.says(title)
    assert mail.says("Sam: speak with Jordan about what the step to staff engineer takes here")
    assert mail.says("career conversation with Sam")
    assert render(short).omits("Waiting for your choice")
    by_link = [render(sample) for sample in list_samples() if sample.name == "weekly" and sample.by_link]
    assert by_link
    assert all(mail.omits("Jordan") and mail.says("this mail holds nothing of it") for mail in by_link)


def test_the_weekly_mail_names_due_dates_and_deadlines() -> None:
    """R-15, R-21: commitments due today and within the week; contracts in time and late."""
    full, _ = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    promise = next(line for line in full.news if line.commitment)
    missing_contract = next(line for line in full.news if line.kind == "contract")
    assert promise.commitment is not None and missing_contract.deadline is not None
    due = promise.commitment.commitment.due
    today = datetime.combine(due, time(12), UTC)
    assert render(replace(full, news=(promise,), now=today)).says("not done yet, due today")
    assert render(replace(full, news=(promise,), now=today - timedelta(days=1))).says("within the week")
    mail_in_time, late_mail = (
        render(replace(full, news=(missing_contract,), now=missing_contract.deadline + timedelta(hours=hours)))
        for hours in (-1, 1)  # before the deadline and after it
    )
    assert mail_in_time.says("Please by") and mail_in_time.omits("it was due on")
    assert late_mail.says("Still worth writing down; it was due on")
    assert all(mail.says("What you and Kim agreed on") for mail in (mail_in_time, late_mail))


def test_r33_the_weekly_mail_asks_about_the_direction_before_a_review() -> None:
    """R-33: a manager with several reports gets no note before a review that has an event of its own."""
    full, _ = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    about_career_session, about_review = (replace(full, news=(line,)) for line in full.news if line.kind == "talk")
    assert render(about_review).says("Ask whether the direction still feels right")
    assert render(about_career_session).omits("the direction still feels right")


def test_the_overflow_mail_has_one_line_for_each_folded_mail() -> None:
    """T-16: the line has no content, and a link when there are pages. Mails that may not be folded have no line."""
    full, single_line = news_samples.iter_overflows(replace(TO_MANAGER, name="overflow"))
    assert all(line.kind in set(MailName) - NEVER_FOLDED - ANY_HOUR - REMINDERS for line in full.news)
    mail = render(full)
    assert mail.says("Your career conversation with Sam has a new time: Thursday, November 5, 10:00 – 11:15 AM")
    assert mail.says("There is news about your career conversations with Sam")
    assert mail.says("The events on your calendar show each time as it stands.")
    assert render(single_line).headers["Subject"] == "One more thing about your career conversations"
    line = replace(full.news[0], link="https://longarc.example/in/x")
    with_pages = render(replace(full, news=(line,), links={"settings": "https://longarc.example/in/y"}))
    assert with_pages.says("https://longarc.example/in/x") and with_pages.omits("on your calendar")


def test_each_prompt_has_three_wordings_without_a_common_sentence() -> None:
    """T-5: a pair never gets the same wording twice in succession. `variant` is the number of the wording."""
    for topic in Topic:
        session = replace(SESSION, topic=topic)
        prompts = [replace(TO_MANAGER, name="reflection_prompt", to=SAM, session=session, variant=n) for n in range(3)]
        sentences = [_split_sentences(render(prompt).text) for prompt in prompts]
        assert all(first.isdisjoint(second) for first, second in combinations(sentences, 2)), topic
        assert len({render(prompt).headers["Subject"] for prompt in prompts}) == 3


def _split_sentences(text: str) -> set[str]:
    """Return the sentences of more than three words: a greeting may be the same."""
    flat = " ".join(text.split()).replace("?", ".")
    return {part.strip() for part in flat.split(".") if len(part.split()) > 3}


def test_both_get_a_mail_about_an_access_with_the_person_and_the_reason() -> None:
    accesses = tuple(
        AccessRecord(pair=PAIR.id, at=NOW, access=access, on_behalf_of=SAM.email, reason="By\ntelephone")
        for access in (ContentAccess.SHOW_CONTRACT, ContentAccess.LET_GO)
    )
    context = replace(TO_MANAGER, name="content_accessed", session=None, contract=None, accesses=accesses)
    for reader, person in ((DANA, "Sam"), (SAM, "you")):
        mail = render(replace(context, to=reader))
        for words in ("The contract was shown", "A promise was let go"):
            assert mail.says(f"{words}, for {person}.")
        assert mail.says("Reason given: By telephone")
    assert render(replace(context, to=replace(SAM, locale="de"))).says("Die Vereinbarung wurde für dich angezeigt.")


def test_the_warning_of_a_clash_names_its_deadline() -> None:
    """T-10: the deadline is 24 hours after the warning, even if the mail leaves later, here an hour."""
    session = replace(SESSION, warned_at=NOW - timedelta(hours=1))  # at 10:20 in New York, on November 3
    assert render(replace(TO_MANAGER, name="booked_over_warning", session=session)).says(
        "by Wednesday, November 4, 10:20 AM"
    )


def test_the_mail_about_an_unplaceable_session_names_reasons_and_remedies() -> None:
    """R-8: the time to be moved has a date for its end only when it ends on another day."""
    evening = datetime(2026, 11, 24, 22, 30, tzinfo=UTC)  # 5:30 PM in New York
    absence: dict[str, ReasonValue] = {
        "what": "away",
        "name": "Dana",
        "other": "",
        "start": evening,
        "zone": DANA.zone,
        "count": 1,
    }
    reasons = (
        Reason("unknown", {"name": "Sam", "detail": "the service says no"}),
        Reason("moving", {**absence, "end": evening + timedelta(hours=1)}),
        Reason("moving", {**absence, "end": evening + timedelta(hours=12)}),
    )
    mail = render(replace(TO_MANAGER, name="unplaceable", why=reasons))
    assert mail.says("Sam's calendar is unknown, and unknown time is never free.")
    assert mail.says("Moving Dana's time away of Tuesday, November 24, 5:30 – 6:30 PM frees 1 starting time.")
    assert mail.says("of Tuesday, November 24, 5:30 PM to Wednesday, November 25, 5:30 AM frees")
    assert mail.says("What would help")
    assert mail.says("Why there is no time")


def test_the_manager_gets_a_mail_about_a_shortened_session() -> None:
    """R-1, T-1: a session of 75 minutes was shortened to 50; 45 is the least that counts."""
    session = replace(SESSION, end=SESSION.span.end - timedelta(minutes=25))
    mail = render(replace(TO_MANAGER, name="short_session", session=session))
    assert mail.headers["Subject"] == "Your conversation with Sam is down to 50 minutes"
    assert mail.says("Under 45 minutes it counts as deferred")


def test_only_the_managers_mail_about_a_due_commitment_names_a_command() -> None:
    """R-20: the owner of a commitment gets the mail. The report has no access to commands."""
    context = replace(TO_MANAGER, name="commitment_due", commitments=COMMITMENTS[:1], due=COMMITMENTS[0].commitment.due)
    assert render(context).says("longarc commitment done c1")
    reports_commitment = next(c for c in COMMITMENTS if c.commitment.owner is Owner.REPORT and c.commitment.is_open)
    mail = render(replace(context, to=SAM, commitments=(reports_commitment,), due=reports_commitment.commitment.due))
    assert mail.says(reports_commitment.promise.text)
    assert mail.omits("longarc commitment")


def test_the_review_note_names_the_review_points_of_this_month() -> None:
    """R-7: the contract has a review point for November, which is now, and one for January, which is left out."""
    mail = render(replace(TO_MANAGER, name="review_note", commitments=COMMITMENTS))
    assert mail.says("how the first architecture review went")
    assert mail.omits("as good as it sounded")


@pytest.mark.parametrize("ended", [EndReason.CHANGED, EndReason.MANAGER_LEFT, EndReason.REPORT_LEFT])
def test_r36_the_mail_about_an_ended_pair_says_no_longer_listed(ended: EndReason) -> None:
    """R-36: only a row of the roster is missing, so the mail does not say that somebody has left the company."""
    for context, other in ((TO_MANAGER, "Sam"), (TO_REPORT, "Dana")):
        mail = render(replace(context, name="pair_ended", pair=replace(PAIR, ended=ended), session=None))
        assert mail.says("no longer listed")
        assert mail.says(f"your career conversations with {other} end")
        assert mail.omits("has left") and mail.omits("No more")


def test_t18_a_report_whose_manager_left_reads_that_open_promises_end() -> None:
    context = replace(TO_REPORT, name="pair_ended", pair=replace(PAIR, ended=EndReason.MANAGER_LEFT), session=None)
    assert render(context).says("Promises of Dana’s to you that were still open end with it")


def test_r36_the_mail_about_a_new_manager_has_no_pressure_and_no_content() -> None:
    context = replace(
        TO_REPORT, name="new_manager", former=LEE, former_promises=2, links={"settings": "https://x.example/"}
    )
    mail = render(context)
    assert mail.says("If you do nothing, nothing goes on") and mail.says("There is no hurry")
    assert mail.says("Lee is asked whether to keep each one")
    assert mail.omits("billing migration") and "Reply-To" not in mail.headers
    former_left = render(replace(context, former_left=True))
    assert former_left.says("2 promises of Lee’s that were still open have ended")
    assert former_left.omits("has left")


def test_r36_the_brief_shows_the_lines_that_the_report_passed_on() -> None:
    mail = render(replace(TO_MANAGER, name="brief", contract=None, former=LEE, passed=PASSED_LINES))
    assert mail.says("What Sam passed on to you") and mail.says("Lee suggests that you take this over")
    assert mail.says("Sam’s own plan") and mail.says("the open question")
    assert render(replace(TO_MANAGER, name="brief", contract=None, former=LEE)).omits("passed on")


def test_an_operator_alert_gives_the_reason_and_has_no_thread() -> None:
    mail = render(MailContext(name="operator_alert", key="a", to=OPERATOR, now=NOW, reason="The calendar refuses us."))
    assert mail.says("The calendar refuses us.")
    assert "References" not in mail.headers


def test_the_summary_links_to_the_contract_in_text_and_html() -> None:
    link = "https://longarc.example/c/3?a=1&b=2"
    mail = render(replace(TO_REPORT, name="contract_summary", links={"contract": link}))
    assert mail.says(link)
    assert 'href="https://longarc.example/c/3?a=1&amp;b=2"' in mail.html


def test_the_mail_about_an_unfinished_session_blames_nobody() -> None:
    """T-7, R-17: it says what happened and what can be done."""
    unfinished = replace(SESSION, state=SessionState.UNFINISHED, held_at=SESSION.end)
    mail = render(replace(TO_MANAGER, name="unfinished", to=SAM, session=unfinished, contract=None))
    assert mail.headers["Subject"] == "Your conversation with Dana, not written down yet"
    assert mail.says("it can be written down at any time, and the next conversation begins with it")
    assert all(mail.omits(word) for word in ("fault", "fail", "late", "forgot"))


def test_r18_the_summary_quotes_the_reason_of_the_report_never_of_the_manager() -> None:
    """R-18, R-38: a mail that only links to the contract quotes no reason at all."""
    revised = replace(TO_MANAGER, name="contract_summary", revision=2, previous=PREVIOUS_CONTRACT)
    changed_by_report = replace(revised, changed_by=Owner.REPORT, change_reason="The team\nneeds me.")
    assert render(changed_by_report).says("Sam changed it and says: “The team needs me.”")
    assert render(replace(changed_by_report, changed_by=Owner.MANAGER)).omits("The team needs me.")
    assert render(remove_content(changed_by_report)).omits("The team needs me.")
