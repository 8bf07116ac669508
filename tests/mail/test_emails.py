"""What each mail says to its reader (R-6, R-10 to R-18, R-20, R-23 to R-26).

Every message is read as it arrives: serialised, parsed by the standard library, text and HTML together.
"""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any

import pytest

from tests.support.read_mails import TO_MANAGER, TO_REPORT, Mail, read
from worker.domain.contract.markdown import parse_contract
from worker.domain.model import (
    AccessRecord,
    ContentAccess,
    Contract,
    Deferral,
    DeferralCause,
    EndReason,
    OfferPurpose,
    Owner,
    Person,
    Reason,
    ReasonValue,
    SessionKind,
    SessionState,
    Topic,
    WrittenCommitment,
)
from worker.i18n.reasons import CAUSE_TEXTS
from worker.mail import news_samples
from worker.mail.context import MailContext, remove_content
from worker.mail.kinds import list_samples
from worker.mail.samples import (
    COMMITMENTS,
    CONTRACT,
    DANA,
    DEFERRALS,
    DISPLACING_OFFER,
    LEE,
    NO_TIME_REASONS,
    NOW,
    OFFER,
    OPERATOR,
    OPTIONS,
    PAIR,
    PASSED_LINES,
    PREVIOUS_CONTRACT,
    SAM,
    SESSION,
)

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
    assert mails[1].says("the 48 hours are over soon")
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
        "What I’ll do",
        "What you’ll do",
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
    assert to_manager.text == f"Sam received this:\n\n{to_report.text}"
    assert to_manager.seen.split() == ["Sam", "received", "this:", *to_report.seen.split()]


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
    assert mail.headers["Subject"] == "What we agreed, version 2"
    assert mail.says("Moved from Friday, November 27 to Friday, December 11: sketch the migration plan on two pages")
    assert mail.says("New for Dana: propose Sam as lead of the billing migration")
    assert mail.says("No longer for Dana: speak with Jordan")
    assert mail.says("What we will review has changed.")
    assert mail.says("The open question is another one.")


def test_a_later_revision_with_nothing_new_says_so() -> None:
    assert summary(revision=2, previous=CONTRACT).says("Only the wording.")


# --- deferrals ---


#: What a mail knows of the times that are offered.
OFFERED: dict[str, Any] = {"options": OFFER.times, "offer": OFFER}


def deferral(count: int, **fields: object) -> Mail:
    letter = replace(TO_MANAGER, name="deferral_notice", count=count, deferrals=DEFERRALS[:count])
    return read(replace(letter, **fields))  # type: ignore[arg-type]


def test_deferral_notices_grow_firmer() -> None:
    """R-10, T-12: plain; the second time; a choice, or what stands in the way."""
    first, second, third = deferral(1), deferral(2), deferral(3, **OFFERED)
    assert first.silent("second time")
    assert first.says("It is on both your calendars now:")
    assert second.says("This is the second time it has moved.")
    assert third.headers["Subject"] == "Moved 3 times: your conversation with Sam needs you"
    assert all(third.says(f"November {day}, 10:00 – 11:15 AM") for day in (5, 10, 11))
    assert third.says("Please choose one that will hold.")
    assert third.says("tell Sam what stands in the way")
    assert all(mail.silent(word) for mail in (first, second, third) for word in ("fault", "fail", "again and again"))


def test_a_deferral_without_a_new_time_says_so() -> None:
    """R-8: silence is never the outcome."""
    mail = deferral(1, session=replace(SESSION, start=None, end=None))
    assert mail.says("There is no new time yet.")
    assert mail.headers["Subject"] == "Your conversation with Sam needs a new time"


@pytest.mark.parametrize("cause", list(DeferralCause))
def test_every_cause_is_told_in_words(cause: DeferralCause) -> None:
    """R-8: to the one who acted as `you`, to the manager by name, and without a name when nobody is known."""
    told = Deferral(session=SESSION.id, number=1, at=NOW, cause=cause, who=SAM.email)
    to_other, nobody = deferral(1, deferrals=(told,)), deferral(1, deferrals=(replace(told, who=""),))
    to_actor = deferral(1, deferrals=(told,), to=SAM)
    assert to_actor.silent("place: Sam")
    assert nobody.silent("place: Sam")
    if cause is not DeferralCause.NOT_HELD:
        assert len({mail.text.split("needs a new time")[1] for mail in (to_other, to_actor, nobody)}) == 3


@pytest.mark.parametrize("cause", list(DeferralCause))
@pytest.mark.parametrize("count", [1, 2, 3])
def test_the_report_is_not_told_what_kept_the_manager(cause: DeferralCause, count: int) -> None:
    """R-38, T-12: plainly, and without the other's reason, however often it moved."""
    told = tuple(
        Deferral(session=SESSION.id, number=number, at=NOW, cause=cause, who=DANA.email, was=OPTIONS[0])
        for number in range(1, count + 1)
    )
    mail = deferral(count, deferrals=told, to=SAM, **OFFERED)
    assert mail.says("November 10 had to move.")
    texts = [text for text in CAUSE_TEXTS[cause] if "%" not in text] + [CAUSE_TEXTS[cause][1] % {"who": "Dana"}]
    assert all(mail.silent(text) for text in texts)
    assert mail.silent("The reasons")


def test_the_manager_is_not_told_that_the_report_is_away() -> None:
    """T-12: no more than free/busy shows anyway."""
    away = Deferral(session=SESSION.id, number=1, at=NOW, cause=DeferralCause.OUT_OF_OFFICE, who=SAM.email)
    mail = deferral(1, deferrals=(away,))
    assert mail.says("that time is no longer free for Sam")
    assert mail.silent("out of the office")


def test_both_may_take_another_of_three_times() -> None:
    """R-38, T-12: until when they are held, in each reader's own time; the one that stands is not offered again."""
    links = {"choose": "https://longarc.example/choose"}
    to_manager, to_report = deferral(1, **OFFERED, links=links), deferral(1, **OFFERED, links=links, to=SAM)
    for mail, until in ((to_manager, "November 5, 11:20 AM"), (to_report, "November 5, 5:20 PM")):
        assert mail.says(f"held for the two of you until Thursday, {until}")
        assert mail.says("does not count as another move")
        assert mail.text.count("November 10") == 1 and mail.text.count("November 11") == 1
        assert mail.says("https://longarc.example/choose")
    assert deferral(1).silent("held for the two of you")


def test_other_times_are_in_order_and_a_single_one_is_named_as_one() -> None:
    """R-38, T-12: the best one is on the calendar; among the others nobody has to search."""
    first, second, third = OFFER.times
    mail = deferral(1, options=(first, third, second), offer=OFFER)
    assert mail.text.index("November 10") < mail.text.index("November 11")
    assert mail.says("take one of these")
    single = deferral(1, options=(first, second), offer=OFFER)
    assert single.says("this one is held for the two of you") and single.silent("one of these")


def test_from_the_third_on_the_report_hears_that_the_manager_was_asked() -> None:
    """T-12, R-10."""
    mail = deferral(3, **OFFERED, to=SAM)
    assert mail.says("Dana has been asked to choose a time that holds")
    assert mail.headers["Subject"] == "Moved 3 times: your conversation with Dana"


@pytest.mark.parametrize("to", [DANA, SAM])
def test_the_third_move_within_a_week_is_a_question(to: Person) -> None:
    """T-11: which of three, or leave it until the next quarter, where that is possible; the first stands meanwhile."""
    question = replace(OFFER, purpose=OfferPurpose.QUESTION)
    links = {"choose": "https://longarc.example/choose"}
    mail = deferral(3, options=OFFER.times, offer=question, links=links, to=to, may_leave=True)
    ad_hoc = deferral(3, options=OFFER.times, offer=question, links=links, to=to)
    other = "Sam" if to is DANA else "Dana"
    assert mail.headers["Subject"] == f"Which time will hold for your conversation with {other}?"
    assert mail.says("a question to you both: which time will hold?")
    assert mail.says("it stays if neither of you answers by then")
    assert mail.says("leave it until the next quarter") and ad_hoc.silent("next quarter")


@pytest.mark.parametrize("to", [DANA, SAM])
def test_a_time_that_displaces_something_says_whose_hour_it_takes(to: Person) -> None:
    """T-14: whose, never what."""
    mail = read(
        replace(
            TO_MANAGER,
            name="unplaceable",
            to=to,
            session=replace(SESSION, state=SessionState.DEFERRED, start=None, end=None),
            options=OPTIONS,
            offer=DISPLACING_OFFER,
            why=NO_TIME_REASONS,
        )
    )
    other = "Sam" if to is DANA else "Dana"
    assert mail.says("takes the place of something on your calendar")
    assert mail.says(f"takes the place of something on the calendar of {other}")
    assert mail.says("takes the place of something on both calendars")


def test_a_deferred_review_is_called_a_review() -> None:
    assert deferral(1, session=replace(SESSION, kind=SessionKind.REVIEW)).says("Your contract review with Sam")


# --- the others ---


def test_the_introduction_says_who_can_read_what_to_both() -> None:
    """R-23, R-24, R-4"""
    to_report = read(replace(TO_MANAGER, name="introduction", to=SAM))
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
    return read(replace(sample, **fields))  # type: ignore[arg-type]


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
    for introduce in (introduction_of_manager, lambda **fields: read(replace(to_report, **fields))):
        assert introduce(commitment_text="text").says("who administers the calendars, may read them")
        for other in ("link", "none"):
            assert introduce(commitment_text=other).says("do not stand on the calendar")


# --- about several pairs ---


def test_the_weekly_mail_tells_each_part_and_no_text_by_link() -> None:
    """R-20: talks, promises with their words, what is missing, what waits; by link none of the words."""
    full, single = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    mail = read(full)
    for said in ("This week", "What you promised", "To be written down", "Waiting for your choice", "Without a time"):
        assert mail.says(said)
    assert mail.says("Sam: speak with Jordan about what the step to staff engineer takes here")
    assert mail.says("career conversation with Sam")
    assert read(single).silent("Waiting for your choice")
    linked = [c for c in list_samples() if c.name == "weekly" and c.by_link]
    assert linked and all(read(c).silent("Jordan") and read(c).says("this mail holds nothing of it") for c in linked)


def test_the_weekly_mail_tells_until_when_something_is_wanted() -> None:
    """R-15, R-21: what is due today, what may still be done in time, and what is late."""
    full, _ = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    promise = next(line for line in full.news if line.commitment)
    missing = next(line for line in full.news if line.kind == "contract")
    assert promise.commitment is not None and missing.deadline is not None
    due = promise.commitment.commitment.due
    today = datetime.combine(due, datetime.min.time(), UTC) + timedelta(hours=12)
    assert read(replace(full, news=(promise,), now=today)).says("not done yet, due today")
    assert read(replace(full, news=(promise,), now=today - timedelta(days=1))).says("within the week")
    in_time, late = (
        read(replace(full, news=(missing,), now=missing.deadline + timedelta(hours=hours))) for hours in (-1, 1)
    )
    assert in_time.says("Please by") and in_time.silent("it was due on")
    assert late.says("Still worth writing down; it was due on")
    assert all(mail.says("What you and Kim agreed on") for mail in (in_time, late))


def test_r33_the_weekly_mail_asks_of_a_review_whether_the_direction_still_feels_right() -> None:
    """R-33: a manager with several reports gets no note before a review that has an event of its own."""
    full, _ = news_samples.iter_weeklies(replace(TO_MANAGER, name="weekly"))
    talk, review = (replace(full, news=(line,)) for line in full.news if line.kind == "talk")
    assert read(review).says("Ask whether the direction still feels right")
    assert read(talk).silent("the direction still feels right")


def test_the_overflow_mail_has_a_line_for_each_and_no_content() -> None:
    """T-16: a line each, with a link where there are pages."""
    full, single = news_samples.iter_overflows(replace(TO_MANAGER, name="overflow"))
    mail = read(full)
    assert mail.says("Your career conversation with Sam has a new time: Thursday, November 5, 10:00 – 11:15 AM")
    assert mail.says("There is news about your career conversations with Sam")
    assert mail.says("The events on your calendar show each time as it stands.")
    assert read(single).headers["Subject"] == "One more thing about your career conversations"
    line = replace(full.news[0], link="https://longarc.example/in/x")
    with_pages = read(replace(full, news=(line,), links={"settings": "https://longarc.example/in/y"}))
    assert with_pages.says("https://longarc.example/in/x") and with_pages.silent("on your calendar")


def test_each_prompt_has_three_wordings_without_a_sentence_in_common() -> None:
    """T-5: no pair gets the same wording twice running."""
    for topic in Topic:
        session = replace(SESSION, topic=topic)
        prompts = [replace(TO_MANAGER, name="reflection_prompt", to=SAM, session=session, variant=n) for n in range(3)]
        sentences = [_split_sentences(read(prompt).text) for prompt in prompts]
        assert all(not one & other for one, other in combinations(sentences, 2)), topic
        assert len({read(prompt).headers["Subject"] for prompt in prompts}) == 3


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
    assert mail.says("What would help")
    assert mail.says("Why there is no time")


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
def test_the_end_of_a_pair_is_told_gently(ended: EndReason) -> None:
    """R-36: nobody is said to have left the company, of whom only a row is missing."""
    for letter, other in ((TO_MANAGER, "Sam"), (TO_REPORT, "Dana")):
        mail = read(replace(letter, name="pair_ended", pair=replace(PAIR, ended=ended), session=None))
        assert mail.says("no longer listed")
        assert mail.says(f"your career conversations with {other} end")
        assert mail.silent("has left") and mail.silent("No more")


def test_t18_a_report_whose_manager_left_hears_of_the_promises() -> None:
    left = replace(TO_REPORT, name="pair_ended", pair=replace(PAIR, ended=EndReason.MANAGER_LEFT), session=None)
    assert read(left).says("Promises of Dana’s to you that were still open end with it")


def test_r36_a_new_manager_is_told_to_the_report_without_pressure_and_without_content() -> None:
    letter = replace(
        TO_REPORT, name="new_manager", former=LEE, former_promises=2, links={"settings": "https://x.example/"}
    )
    mail = read(letter)
    assert mail.says("If you do nothing, nothing goes on") and mail.says("There is no hurry")
    assert mail.says("Lee is asked whether to keep each one")
    assert mail.silent("billing migration") and "Reply-To" not in mail.headers
    left = read(replace(letter, former_left=True))
    assert left.says("2 promises of Lee’s that were still open have ended") and left.silent("has left")


def test_r36_the_brief_shows_what_the_report_passed_on() -> None:
    mail = read(replace(TO_MANAGER, name="brief", contract=None, former=LEE, passed=PASSED_LINES))
    assert mail.says("What Sam passed on to you") and mail.says("Lee suggests that you take this over")
    assert mail.says("Sam’s own plan") and mail.says("the open question")
    assert read(replace(TO_MANAGER, name="brief", contract=None, former=LEE)).silent("passed on")


def test_an_alert_speaks_to_the_operator_and_of_nobody() -> None:
    mail = read(MailContext(name="operator_alert", key="a", to=OPERATOR, now=NOW, reason="The calendar refuses us."))
    assert mail.says("The calendar refuses us.")
    assert "References" not in mail.headers


def test_links_are_shown_when_pages_exist() -> None:
    link = "https://longarc.example/c/3?a=1&b=2"
    mail = read(replace(TO_REPORT, name="contract_summary", links={"contract": link}))
    assert mail.says(link)
    assert 'href="https://longarc.example/c/3?a=1&amp;b=2"' in mail.html


def test_the_report_is_told_kindly_that_a_talk_stayed_without_a_contract() -> None:
    """T-7, R-17: what happened, and what can be done; no blame."""
    unfinished = replace(SESSION, state=SessionState.UNFINISHED, held_at=SESSION.end)
    mail = read(replace(TO_MANAGER, name="unfinished", to=SAM, session=unfinished, contract=None))
    assert mail.headers["Subject"] == "Your conversation with Dana, not written down yet"
    assert mail.says("it can be written down at any time, and the next conversation begins with it")
    assert all(mail.silent(word) for word in ("fault", "fail", "late", "forgot"))


def test_r18_a_manager_s_reason_for_a_change_is_told_to_nobody() -> None:
    """R-18, R-38: the report's is told, in the report's words; not in a mail that only links to the contract."""
    revised = replace(TO_MANAGER, name="contract_summary", revision=2, previous=PREVIOUS_CONTRACT)
    told = replace(revised, changed_by=Owner.REPORT, change_reason="The team\nneeds me.")
    assert read(told).says("Sam changed it and says: “The team needs me.”")
    assert read(replace(told, changed_by=Owner.MANAGER)).silent("The team needs me.")
    assert read(remove_content(told)).silent("The team needs me.")
