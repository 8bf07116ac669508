"""What the other mails say to their readers (R-6, R-12, R-18, R-20, R-23 to R-26, R-33, R-36).

Every message is read as it arrives: serialised, parsed by the standard library, text and HTML together.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
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


def test_the_introduction_says_who_can_read_what_to_both() -> None:
    """R-23, R-24, R-4"""
    to_report = render(replace(TO_MANAGER, name="introduction", to=SAM))
    assert to_report.says("Longarc shows it to you and Dana alone")
    to_manager = introduction_of_manager()
    assert to_manager.says("Longarc shows it to those two alone")
    for mail in (to_manager, to_report):
        assert mail.says("Whoever runs the server holds the key and could open it")
        assert mail.says("no scores and no rankings")
        assert mail.says("three shorter ones is up to")
        assert mail.says("once a quarter")


def introduction_of_manager(**fields: object) -> Mail:
    sample = next(news_samples.iter_introductions(replace(TO_MANAGER, name="introduction")))
    return render(replace(sample, **fields))  # type: ignore[arg-type]


def test_the_introduction_to_a_manager_names_the_reports_whose_first_talks_stand() -> None:
    """One introduction, however many reports; and nobody else reads who they are."""
    mail = introduction_of_manager()
    assert mail.headers["Subject"] == "Career conversations with the people who report to you"
    assert mail.says("Sam: Thursday, November 5, 10:00 – 11:15 AM")
    assert mail.says("Kim: Thursday, November 12")
    assert "Reply-To" not in mail.headers


def test_the_introduction_says_where_the_words_of_a_promise_stand() -> None:
    """The setting `event.commitment_text`: both hear who else may read them."""
    to_report = replace(TO_MANAGER, name="introduction", to=SAM)
    for introduce in (introduction_of_manager, lambda **fields: render(replace(to_report, **fields))):
        assert introduce(commitment_text="text").says("who administers the calendars, may read them")
        for other in ("link", "none"):
            assert introduce(commitment_text=other).says("do not stand on the calendar")


# --- about several pairs ---


def test_the_weekly_mail_tells_each_part_and_no_text_by_link() -> None:
    """R-20: talks, promises with their words, what is missing, what waits; by link none of the words."""
    full, single = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    mail = render(full)
    for said in ("This week", "What you promised", "To be written down", "Waiting for your choice", "Without a time"):
        assert mail.says(said)
    assert mail.says("Sam: speak with Jordan about what the step to staff engineer takes here")
    assert mail.says("career conversation with Sam")
    assert render(single).omits("Waiting for your choice")
    linked = [c for c in list_samples() if c.name == "weekly" and c.by_link]
    assert linked and all(render(c).omits("Jordan") and render(c).says("this mail holds nothing of it") for c in linked)


def test_the_weekly_mail_tells_until_when_something_is_wanted() -> None:
    """R-15, R-21: what is due today, what may still be done in time, and what is late."""
    full, _ = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    promise = next(line for line in full.news if line.commitment)
    missing = next(line for line in full.news if line.kind == "contract")
    assert promise.commitment is not None and missing.deadline is not None
    due = promise.commitment.commitment.due
    today = datetime.combine(due, datetime.min.time(), UTC) + timedelta(hours=12)
    assert render(replace(full, news=(promise,), now=today)).says("not done yet, due today")
    assert render(replace(full, news=(promise,), now=today - timedelta(days=1))).says("within the week")
    in_time, late = (
        render(replace(full, news=(missing,), now=missing.deadline + timedelta(hours=hours))) for hours in (-1, 1)
    )
    assert in_time.says("Please by") and in_time.omits("it was due on")
    assert late.says("Still worth writing down; it was due on")
    assert all(mail.says("What you and Kim agreed on") for mail in (in_time, late))


def test_r33_the_weekly_mail_asks_of_a_review_whether_the_direction_still_feels_right() -> None:
    """R-33: a manager with several reports gets no note before a review that has an event of its own."""
    full, _ = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    talk, review = (replace(full, news=(line,)) for line in full.news if line.kind == "talk")
    assert render(review).says("Ask whether the direction still feels right")
    assert render(talk).omits("the direction still feels right")


def test_the_overflow_mail_has_a_line_for_each_and_no_content() -> None:
    """T-16: a line each, with a link where there are pages."""
    full, single = news_samples.iter_overflows(replace(TO_MANAGER, name="overflow"))
    assert all(line.kind in set(MailName) - NEVER_FOLDED - ANY_HOUR - REMINDERS for line in full.news)
    mail = render(full)
    assert mail.says("Your career conversation with Sam has a new time: Thursday, November 5, 10:00 – 11:15 AM")
    assert mail.says("There is news about your career conversations with Sam")
    assert mail.says("The events on your calendar show each time as it stands.")
    assert render(single).headers["Subject"] == "One more thing about your career conversations"
    line = replace(full.news[0], link="https://longarc.example/in/x")
    with_pages = render(replace(full, news=(line,), links={"settings": "https://longarc.example/in/y"}))
    assert with_pages.says("https://longarc.example/in/x") and with_pages.omits("on your calendar")


def test_each_prompt_has_three_wordings_without_a_sentence_in_common() -> None:
    """T-5: no pair gets the same wording twice running."""
    for topic in Topic:
        session = replace(SESSION, topic=topic)
        prompts = [replace(TO_MANAGER, name="reflection_prompt", to=SAM, session=session, variant=n) for n in range(3)]
        sentences = [_split_sentences(render(prompt).text) for prompt in prompts]
        assert all(not one & other for one, other in combinations(sentences, 2)), topic
        assert len({render(prompt).headers["Subject"] for prompt in prompts}) == 3


def _split_sentences(text: str) -> set[str]:
    flat = " ".join(text.split()).replace("?", ".")
    return {part.strip() for part in flat.split(".") if len(part.split()) > 3}


def test_both_are_told_what_a_command_did_for_whom_and_why() -> None:
    accesses = tuple(
        AccessRecord(pair=PAIR.id, at=NOW, access=one, on_behalf_of=SAM.email, reason="By\ntelephone")
        for one in (ContentAccess.SHOW_CONTRACT, ContentAccess.LET_GO)
    )
    told = replace(TO_MANAGER, name="content_accessed", session=None, contract=None, accesses=accesses)
    for to, whom in ((DANA, "Sam"), (SAM, "you")):
        mail = render(replace(told, to=to))
        for words in ("The contract was shown", "A promise was let go"):
            assert mail.says(f"{words}, for {whom}.")
        assert mail.says("Reason given: By telephone")
    assert render(replace(told, to=replace(SAM, locale="de"))).says("Die Vereinbarung wurde für dich angezeigt.")


def test_a_warning_says_until_when_the_time_must_be_free_again() -> None:
    """T-10: 24 hours after the warning, whenever the mail leaves."""
    session = replace(SESSION, warned_at=NOW - timedelta(hours=1))
    assert render(replace(TO_MANAGER, name="booked_over_warning", session=session)).says(
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
    mail = render(replace(TO_MANAGER, name="unplaceable", why=why))
    assert mail.says("Sam's calendar is unknown, and unknown time is never free.")
    assert mail.says("Moving Dana's time away of Tuesday, November 24, 5:30 – 6:30 PM frees 1 starting time.")
    assert mail.says("of Tuesday, November 24, 5:30 PM to Wednesday, November 25, 5:30 AM frees")
    assert mail.says("What would help")
    assert mail.says("Why there is no time")


def test_a_short_session_is_flagged_to_the_manager() -> None:
    """R-1, T-1"""
    session = replace(SESSION, end=(SESSION.end or NOW) - timedelta(minutes=25))
    mail = render(replace(TO_MANAGER, name="short_session", session=session))
    assert mail.headers["Subject"] == "Your conversation with Sam is down to 50 minutes"
    assert mail.says("Under 45 minutes it counts as deferred")


def test_a_due_commitment_is_told_to_its_owner_with_the_way_to_close_it() -> None:
    """R-20: the manager's as hard as the report's."""
    letter = replace(TO_MANAGER, name="commitment_due", commitments=COMMITMENTS[:1], due=COMMITMENTS[0].commitment.due)
    assert render(letter).says("longarc commitment done c1")
    theirs = next(one for one in COMMITMENTS if one.commitment.owner is Owner.REPORT and one.commitment.is_open)
    mail = render(replace(letter, to=SAM, commitments=(theirs,), due=theirs.commitment.due))
    assert mail.says(theirs.promise.text)
    assert mail.omits("longarc commitment")


def test_the_review_note_names_what_is_up_this_month() -> None:
    """R-7"""
    mail = render(replace(TO_MANAGER, name="review_note", commitments=COMMITMENTS))
    assert mail.says("how the first architecture review went")
    assert mail.omits("as good as it sounded")


@pytest.mark.parametrize("ended", [EndReason.CHANGED, EndReason.MANAGER_LEFT, EndReason.REPORT_LEFT])
def test_the_end_of_a_pair_is_told_gently(ended: EndReason) -> None:
    """R-36: nobody is said to have left the company, of whom only a row is missing."""
    for letter, other in ((TO_MANAGER, "Sam"), (TO_REPORT, "Dana")):
        mail = render(replace(letter, name="pair_ended", pair=replace(PAIR, ended=ended), session=None))
        assert mail.says("no longer listed")
        assert mail.says(f"your career conversations with {other} end")
        assert mail.omits("has left") and mail.omits("No more")


def test_t18_a_report_whose_manager_left_hears_of_the_promises() -> None:
    left = replace(TO_REPORT, name="pair_ended", pair=replace(PAIR, ended=EndReason.MANAGER_LEFT), session=None)
    assert render(left).says("Promises of Dana’s to you that were still open end with it")


def test_r36_a_new_manager_is_told_to_the_report_without_pressure_and_without_content() -> None:
    letter = replace(
        TO_REPORT, name="new_manager", former=LEE, former_promises=2, links={"settings": "https://x.example/"}
    )
    mail = render(letter)
    assert mail.says("If you do nothing, nothing goes on") and mail.says("There is no hurry")
    assert mail.says("Lee is asked whether to keep each one")
    assert mail.omits("billing migration") and "Reply-To" not in mail.headers
    left = render(replace(letter, former_left=True))
    assert left.says("2 promises of Lee’s that were still open have ended") and left.omits("has left")


def test_r36_the_brief_shows_what_the_report_passed_on() -> None:
    mail = render(replace(TO_MANAGER, name="brief", contract=None, former=LEE, passed=PASSED_LINES))
    assert mail.says("What Sam passed on to you") and mail.says("Lee suggests that you take this over")
    assert mail.says("Sam’s own plan") and mail.says("the open question")
    assert render(replace(TO_MANAGER, name="brief", contract=None, former=LEE)).omits("passed on")


def test_an_alert_speaks_to_the_operator_and_of_nobody() -> None:
    mail = render(MailContext(name="operator_alert", key="a", to=OPERATOR, now=NOW, reason="The calendar refuses us."))
    assert mail.says("The calendar refuses us.")
    assert "References" not in mail.headers


def test_links_are_shown_when_pages_exist() -> None:
    link = "https://longarc.example/c/3?a=1&b=2"
    mail = render(replace(TO_REPORT, name="contract_summary", links={"contract": link}))
    assert mail.says(link)
    assert 'href="https://longarc.example/c/3?a=1&amp;b=2"' in mail.html


def test_the_report_is_told_kindly_that_a_talk_stayed_without_a_contract() -> None:
    """T-7, R-17: what happened, and what can be done; no blame."""
    unfinished = replace(SESSION, state=SessionState.UNFINISHED, held_at=SESSION.end)
    mail = render(replace(TO_MANAGER, name="unfinished", to=SAM, session=unfinished, contract=None))
    assert mail.headers["Subject"] == "Your conversation with Dana, not written down yet"
    assert mail.says("it can be written down at any time, and the next conversation begins with it")
    assert all(mail.omits(word) for word in ("fault", "fail", "late", "forgot"))


def test_r18_a_manager_s_reason_for_a_change_is_told_to_nobody() -> None:
    """R-18, R-38: the report's is told, in the report's words; not in a mail that only links to the contract."""
    revised = replace(TO_MANAGER, name="contract_summary", revision=2, previous=PREVIOUS_CONTRACT)
    told = replace(revised, changed_by=Owner.REPORT, change_reason="The team\nneeds me.")
    assert render(told).says("Sam changed it and says: “The team needs me.”")
    assert render(replace(told, changed_by=Owner.MANAGER)).omits("The team needs me.")
    assert render(remove_content(told)).omits("The team needs me.")
