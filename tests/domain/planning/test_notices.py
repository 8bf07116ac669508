"""Which mail is due when, and whether it still holds when it leaves (R-7, R-11, R-12, R-20, R-23; T-5, T-6, T-9)."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.support.pairs import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SAM,
    commitment_of,
    effect_of,
    format_local,
    is_mail_time,
    pair_of,
    person,
    session_of,
    state_of,
    utc,
)
from tests.support.stories import Story, booked_story
from worker.domain.model import (
    CommitmentStanding,
    EffectProgress,
    IdentifiedCommitment,
    Meeting,
    Owner,
    ReviewMode,
    SessionKind,
    SessionState,
    Span,
    Trigger,
)
from worker.domain.planning import actions
from worker.domain.planning.notices import find_due_mail_time
from worker.domain.planning.preparations import (
    MAX_EARLY_DAYS,
    REVIEW_NOTE_MIN_LEAD,
    SWEEP_SLACK,
    find_brief_time,
    find_prompt_time,
    find_review_note_time,
)
from worker.domain.time.mail_hours import find_day_start
from worker.domain.time.worktime import get_local_date

START = utc(2026, 9, 28, 8)
END = START + 75 * MINUTE


def sent_at(story: Story, name: str) -> list[datetime]:
    return [m.due_at for m in story.mails(name)]


# --- the wall clock ---

#: Zones that change their clocks near the day, that are a half or three quarters of an hour off, or that skip midnight.
CLOCKS = [
    ("Europe/London", "GB", utc(2026, 3, 31, 9), "Fri 2026-03-27 09:00", utc(2026, 3, 27, 9)),  # before summer time
    ("Europe/London", "GB", utc(2026, 10, 28, 9), "Mon 2026-10-26 09:00", utc(2026, 10, 26, 9)),
    ("America/New_York", "US", utc(2027, 3, 16, 15), "Fri 2027-03-12 09:00", utc(2027, 3, 12, 14)),
    ("America/New_York", "US", utc(2027, 3, 17, 15), "Mon 2027-03-15 09:00", utc(2027, 3, 15, 13)),
    ("America/St_Johns", "CA-NL", utc(2026, 11, 5, 15), "Tue 2026-11-03 09:00", utc(2026, 11, 3, 12, 30)),
    ("Australia/Lord_Howe", "AU", utc(2026, 10, 6, 2), "Fri 2026-10-02 09:00", utc(2026, 10, 1, 22, 30)),
    ("Australia/Lord_Howe", "AU", utc(2026, 10, 8, 2), "Tue 2026-10-06 09:00", utc(2026, 10, 5, 22)),
    ("Asia/Kathmandu", "NP", utc(2026, 9, 24, 5), "Tue 2026-09-22 09:00", utc(2026, 9, 22, 3, 15)),
    ("America/Sao_Paulo", "BR", utc(2026, 9, 24, 14), "Tue 2026-09-22 09:00", utc(2026, 9, 22, 12)),
    ("Pacific/Apia", "WS", utc(2026, 9, 24, 20), "Wed 2026-09-23 09:00", utc(2026, 9, 22, 20)),
]


@pytest.mark.parametrize(("zone", "country", "start", "expected", "instant"), CLOCKS)
def test_the_prompt_is_due_at_the_start_of_a_working_day_at_least_two_days_before(
    zone: str, country: str, start: datetime, expected: str, instant: datetime
) -> None:
    """T-5: on the report's clocks, whatever they did in between."""
    sam = person("Sam", zone, country)
    at = find_prompt_time(sam, start)
    assert at == instant
    assert format_local(at, sam) == expected


@pytest.mark.parametrize(
    ("hours", "start", "expected"),
    [
        ("Tue 08:00-16:00", utc(2026, 9, 29, 9), "Tue 2026-09-22 08:00"),  # Tuesdays only: a week before
        ("Mon-Thu 07:00-17:00", utc(2026, 9, 28, 9), "Thu 2026-09-24 07:00"),  # four long days
        ("Mon-Fri 22:00-06:00", utc(2026, 9, 30, 23), "Tue 2026-09-29 22:00"),  # nights begin in the evening
        ("Mon-Fri 09:00-17:00", utc(2026, 9, 29, 9), "Fri 2026-09-25 09:00"),  # Sunday is two days before
        ("Mon-Fri 09:00-12:00,13:00-17:00", utc(2026, 9, 30, 9), "Mon 2026-09-28 09:00"),
    ],
)
def test_the_prompt_suits_weeks_of_any_shape(hours: str, start: datetime, expected: str) -> None:
    """T-5"""
    sam = person("Sam", hours=hours)
    at = find_prompt_time(sam, start)
    assert at is not None and format_local(at, sam) == expected


def test_a_prompt_without_a_working_day_in_that_week_comes_at_the_last_that_leaves_four_hours() -> None:
    """T-5: somebody who was away for eight days gets it on the morning before, or on the day itself."""
    start = utc(2026, 9, 29, 13)  # 15:00 in Berlin, a Tuesday
    sam = person("Sam")
    back_on_monday = replace(sam, absences=(Span(utc(2026, 9, 18), utc(2026, 9, 28)),))
    back_on_tuesday = replace(sam, absences=(Span(utc(2026, 9, 18), utc(2026, 9, 29)),))
    assert find_prompt_time(back_on_monday, start) == utc(2026, 9, 29, 7)  # Tuesday, 09:00: six hours are left
    assert find_prompt_time(back_on_monday, utc(2026, 9, 29, 9)) == utc(2026, 9, 28, 7)  # Monday
    assert find_prompt_time(back_on_tuesday, start) == utc(2026, 9, 29, 7)
    assert find_prompt_time(back_on_tuesday, utc(2026, 9, 29, 9)) == utc(2026, 9, 17, 7)  # before all of it


def test_the_brief_is_due_at_the_start_of_the_working_day_before() -> None:
    """T-6: if that is at most three calendar days before; else that very morning."""
    dana = person("Dana", "Europe/London", "GB-ENG")
    assert find_brief_time(dana, utc(2026, 3, 30, 9)) == utc(2026, 3, 27, 9)  # summer time began on the Sunday
    assert find_brief_time(dana, utc(2027, 3, 30, 10)) == utc(2027, 3, 30, 8)  # Good Friday, a weekend, Easter Monday
    tuesdays = person("Dana", hours="Tue,Thu 09:00-17:00")
    assert find_brief_time(tuesdays, utc(2026, 9, 24, 9)) == utc(2026, 9, 22, 7)
    assert find_brief_time(tuesdays, utc(2026, 9, 29, 9)) == utc(2026, 9, 29, 7)  # Thursday is five days before
    assert find_brief_time(tuesdays, utc(2026, 9, 29, 7, 30)) == utc(2026, 9, 24, 7)  # no hour is left that morning


def test_the_brief_waits_for_nobody_who_is_out_of_office() -> None:
    """T-6, T-16: out of office is no working day."""
    away = replace(DANA, absences=(Span(utc(2026, 9, 28), utc(2026, 9, 29)),))
    assert find_brief_time(away, utc(2026, 9, 29, 9)) == utc(2026, 9, 29, 7)  # Friday is four days before
    assert find_brief_time(DANA, utc(2026, 9, 29, 9)) == utc(2026, 9, 28, 7)


def test_the_note_before_a_review_is_due_at_the_start_of_the_day() -> None:
    """T-9: the manager's day, also where that day began before the UTC one."""
    dana = person("Dana", "Pacific/Auckland", "NZ")
    assert find_review_note_time(dana, utc(2026, 9, 27, 22)) == utc(2026, 9, 27, 20)


def test_the_note_before_an_early_review_is_due_on_the_working_day_before() -> None:
    """T-9, R-7: the start of the day is too late for a 1:1 at nine; on a Monday it comes on Friday."""
    assert find_review_note_time(DANA, utc(2026, 9, 28, 7)) == utc(2026, 9, 25, 7)
    assert find_review_note_time(DANA, utc(2026, 9, 28, 7, 30)) == utc(2026, 9, 28, 7)


WEEKS = st.sampled_from(
    [
        "Mon-Fri 09:00-17:00",
        "Mon,Wed 08:00-12:00",
        "Tue-Thu 22:00-06:00",
        "Sun-Thu 10:00-18:00",
        "Tue 08:00-16:00",
        "Mon-Thu 07:00-17:00",
        "Mon-Fri 09:00-12:00,13:30-18:00",
    ]
)


@settings(max_examples=80, deadline=None)
@example(("Europe/London", "GB"), "Tue-Thu 22:00-06:00", 1248, [(0, 13)])  # the absence ends as the session begins
@example(("Europe/London", "GB"), "Tue-Thu 22:00-06:00", 1256, [(0, 13)])  # it ends within a night shift
@given(
    st.sampled_from([(zone, country) for zone, country, *_ in CLOCKS]),
    WEEKS,
    st.integers(0, 366 * 96),
    st.lists(st.tuples(st.integers(0, 366), st.integers(1, 20)), max_size=3),
)
def test_mails_ahead_are_at_the_start_of_a_working_day(
    where: tuple[str, str], hours: str, quarter: int, holidays: list[tuple[int, int]]
) -> None:
    """T-5, T-6, T-9, T-16: for anybody, for any start, whoever was away when. Who is away for all of two weeks before
    gets them as if they worked."""
    away = tuple(Span(utc(2026, 1, 1) + day * DAY, utc(2026, 1, 1) + (day + n) * DAY) for day, n in holidays)
    who = replace(person("Sam", *where, hours=hours), absences=away)
    start = utc(2026, 1, 1) + quarter * 15 * MINUTE
    prompt, brief, note = (find(who, start) for find in (find_prompt_time, find_brief_time, find_review_note_time))
    last_day = get_local_date(who.zone, start)
    mornings = [find_day_start(who, last_day - n * DAY) for n in range(MAX_EARLY_DAYS + 1)]
    if not any(morning and morning + HOUR + SWEEP_SLACK <= start for morning in mornings):
        who = replace(who, absences=())
    for at in (prompt, brief, note):
        assert at is not None and at < start and is_mail_time(who, at)
        day = get_local_date(who.zone, at)  # or the day after, when an absence ends within a night shift
        assert at in (find_day_start(who, day), find_day_start(who, day - DAY))
    assert prompt and start - prompt >= 4 * HOUR
    assert brief and start - brief >= HOUR
    assert note and start - note >= REVIEW_NOTE_MIN_LEAD


# --- ahead of a session ---


def test_prompt_and_brief_leave_once_at_their_hour() -> None:
    """T-5, T-6, R-11, R-12: to the report the one, to the manager the other."""
    story = booked_story()
    story.until(story.next.span.end)
    assert [(m.to, m.due_at) for m in story.mails("reflection_prompt")] == [(SAM.email, utc(2026, 9, 18, 8))]
    assert [(m.to, m.due_at) for m in story.mails("brief")] == [(DANA.email, utc(2026, 9, 18, 7))]


def test_an_ad_hoc_session_is_prepared_at_once() -> None:
    """T-5, T-14: booked later than two days before, the prompt leaves as soon as the event stands, inside hours."""
    story = booked_story()
    story.until(utc(2026, 9, 7, 9))
    story.act(lambda p: actions.request_talk(p, Trigger.LEAVING))
    story.until(utc(2026, 9, 7, 9, 2))
    adhoc = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert [m.subject for m in story.mails("reflection_prompt")] == [adhoc.id]
    assert sent_at(story, "reflection_prompt") == [utc(2026, 9, 7, 9, 1)]


@pytest.mark.parametrize(
    ("left", "prompts", "briefs"),
    [(4 * HOUR, 1, 1), (4 * HOUR - MINUTE, 0, 1), (HOUR, 0, 1), (HOUR - MINUTE, 0, 0)],
)
def test_preparation_that_would_come_too_late_does_not_come(left: timedelta, prompts: int, briefs: int) -> None:
    """T-5: at least four hours have to remain."""
    start = utc(2026, 9, 28, 13)
    story = Story(state=state_of(session_of(start)), now=start - left)
    story.tick()
    assert len(story.mails("reflection_prompt")) == prompts
    assert len(story.mails("brief")) == briefs


def test_nobody_is_asked_to_prepare_for_what_is_not_on_the_calendar() -> None:
    """T-5: the mail waits for the event."""
    story = booked_story()
    story.refuses = True
    story.act(lambda p: actions.request_talk(p, Trigger.LEAVING))
    story.until(utc(2026, 9, 7, 8, 30))  # Sam works since half an hour
    assert story.mails("reflection_prompt") == []
    story.refuses = False
    story.until(NOW + 12 * DAY)
    (adhoc,) = (s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert [m.subject for m in story.mails("reflection_prompt") if m.subject == adhoc.id] == [adhoc.id]


@pytest.mark.parametrize(("days", "prompts"), [(14, 1), (15, 2), (-1, 1)])
def test_the_prompt_comes_again_only_when_the_session_moved_far(days: int, prompts: int) -> None:
    """T-5: by more than 14 days after it went out."""
    story = booked_story()
    start = story.next.span.start
    story.tick_at(utc(2026, 9, 18, 8))
    assert len(story.mails("reflection_prompt")) == 1
    story.move(story.next, start + days * DAY, 75)
    assert story.next.by_hand
    story.until(story.next.span.end)
    assert len(story.mails("reflection_prompt")) == prompts


def test_a_session_that_moves_before_its_prompt_gets_one_prompt() -> None:
    """T-5."""
    story = booked_story()
    story.move(story.next, story.next.span.start - 10 * DAY, 75)
    story.until(story.next.span.end)
    assert len(story.mails("reflection_prompt")) == 1
    assert sent_at(story, "reflection_prompt") == [utc(2026, 9, 9, 8)]


def test_check_ins_need_no_preparation() -> None:
    """R-7: informal."""
    story = booked_story()
    story.act(actions.request_check_in)
    (check_in,) = story.sessions_of_kind(SessionKind.CHECKIN)
    story.until(check_in.span.end + DAY)
    assert [m for m in story.state.effects if m.subject == check_in.id and m.name] == []
    assert story.session(check_in.id).state is SessionState.HELD


def test_both_are_introduced_once() -> None:
    """R-23: what this is and who can read what, when the first session stands."""
    story = booked_story()
    assert story.now == NOW  # five in the morning is no working hour (T-16)
    assert {m.to: m.due_at for m in story.mails("introduction")} == {
        DANA.email: utc(2026, 9, 7, 7),
        SAM.email: utc(2026, 9, 7, 8),
    }
    story.until(NOW + 200 * DAY)
    assert len(story.mails("introduction")) == 2


def test_nobody_is_introduced_to_what_is_not_there() -> None:
    story = Story()
    story.calendars.unavailable = {SAM.email}
    story.tick()
    assert story.mails("introduction") == []


# --- commitments ---


def test_what_is_due_is_said_at_nine_on_the_day() -> None:
    """R-20: to whoever owes it, in their own zone, manager and report alike."""
    due = date(2026, 9, 15)
    mine, yours = commitment_of(due), commitment_of(due, Owner.REPORT, id="p2")
    story = Story(state=state_of(commitments=(mine, yours)))
    story.until(utc(2026, 9, 20))
    found = {m.to: format_local(m.due_at, DANA if m.to == DANA.email else SAM) for m in story.mails("commitment_due")}
    assert found == {DANA.email: "Tue 2026-09-15 09:00", SAM.email: "Tue 2026-09-15 09:00"}


def test_what_is_due_on_a_day_off_is_said_the_working_day_before() -> None:
    """R-20: 3 October is a holiday in Germany and a Saturday."""
    assert find_due_mail_time(DANA, date(2026, 10, 3)) == utc(2026, 10, 2, 7)
    assert find_due_mail_time(SAM, date(2026, 9, 13)) == utc(2026, 9, 11, 8)


def test_what_is_due_wakes_nobody_who_is_away_until_then() -> None:
    """R-20, T-16: due on a Saturday; on the night before it turns out that Sam is away on Friday."""
    mine = commitment_of(date(2026, 9, 12), Owner.REPORT)
    away = replace(SAM, absences=(Span(utc(2026, 9, 11), utc(2026, 9, 14)),))
    story = Story(state=state_of(commitments=(mine,), report=away), now=utc(2026, 9, 11, 4))
    story.tick()
    assert [(format_local(m.due_at, SAM), m.counts) for m in story.mails("commitment_due")] == [
        ("Mon 2026-09-14 09:00", True)
    ]


def test_two_commitments_of_one_day_are_one_mail() -> None:
    """R-20: and those of another day another one."""
    some = [commitment_of(date(2026, 9, day), Owner.REPORT, id=f"p{n}") for n, day in enumerate((15, 15, 16))]
    story = Story(state=state_of(commitments=tuple(some)))
    story.until(utc(2026, 9, 20))
    assert [m.start for m in story.mails("commitment_due")] == [utc(2026, 9, 15), utc(2026, 9, 16)]


def test_what_falls_due_months_later_is_said_as_well() -> None:
    """R-20: though mails so old are not read back."""
    some = (commitment_of(date(2026, 9, 15)), commitment_of(date(2026, 12, 15), id="p2"))
    story = Story(state=state_of(commitments=some))
    story.until(utc(2026, 12, 20))
    assert [m.start for m in story.mails("commitment_due")] == [utc(2026, 9, 15), utc(2026, 12, 15)]


def test_what_ended_or_was_recorded_late_is_not_said() -> None:
    """R-18: a mail about it would be untrue, or a surprise."""
    ended = commitment_of(date(2026, 9, 15), standing=CommitmentStanding.DONE, closed_at=NOW)
    late_one = commitment_of(date(2026, 9, 7), id="p2", recorded_at=NOW + 3 * HOUR)
    story = Story(state=state_of(commitments=(ended, late_one)), now=NOW + 4 * HOUR)
    story.until(utc(2026, 9, 20))
    assert story.mails("commitment_due") == []


def test_a_new_date_is_a_new_mail() -> None:
    """R-18."""
    session = session_of(utc(2026, 9, 7, 4), 30, state=SessionState.CONTRACTED, held_at=utc(2026, 9, 7, 4, 30))
    story = Story(state=state_of(session, commitments=(commitment_of(date(2026, 9, 15)),)))
    story.tick_at(utc(2026, 9, 15, 12))
    moved = IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=date(2026, 9, 22))
    story.act(lambda p: actions.record_contract(p, p.sessions["c1"], [moved], 2))
    story.until(utc(2026, 9, 30))
    assert [m.start for m in story.mails("commitment_due")] == [utc(2026, 9, 15), utc(2026, 9, 22)]


def test_a_review_that_goes_to_next_weeks_1on1_has_a_note_on_its_own_day() -> None:
    """T-9, R-7: the one of that morning spoke of a 1:1 that was cancelled since."""
    near, far = utc(2026, 10, 27, 13), utc(2026, 11, 3, 13)
    review = session_of(near, kind=SessionKind.REVIEW, minutes=25, sequence=0, id="r1")
    meetings = tuple(Meeting(pair=pair_of().id, span=Span(at, at + HOUR / 2)) for at in (near, far))
    pair = pair_of(review=ReviewMode.IN_1ON1)
    talk = session_of(near - 35 * DAY, state=SessionState.CONTRACTED, contracted_at=near - 28 * DAY)
    state = replace(state_of(replace(talk, held_at=talk.end), review, placed_events={}), pair=pair, meetings=meetings)
    story = Story(state=state, now=near - 5 * HOUR)
    story.tick()
    assert len(story.mails("review_note")) == 1
    story.state = replace(story.state, meetings=meetings[1:])
    story.until(far)
    assert [m.start for m in story.mails("review_note")] == [near, far]


def test_an_introduction_that_was_dropped_comes_when_the_pair_goes_on() -> None:
    """R-23: nobody is left without having been told who can read what."""
    story = booked_story()
    story.state = replace(
        story.state,
        effects=tuple(
            replace(m, progress=EffectProgress.DROPPED) if m.name == "introduction" else m for m in story.state.effects
        ),
    )
    story.tick_at(story.now + HOUR)
    story.until(story.now + 3 * HOUR)
    assert {m.to for m in story.mails("introduction")} == {DANA.email, SAM.email}


# --- wordings, and what changes the next day ---


def test_what_prepares_a_session_that_lost_a_time_counts_into_the_day() -> None:
    """T-16: as any other prompt and brief, though the time it lost is over."""
    story = booked_story()
    story.decline(story.next)
    story.move(story.next, story.next.span.start + 14 * DAY, 75)
    story.until(story.next.span.end)
    mails = [*story.mails("reflection_prompt"), *story.mails("brief")]
    assert len(mails) == 2 and all(mail.counts for mail in mails)


def test_two_prompts_in_turn_never_read_the_same() -> None:
    """T-5: through sessions of the rhythm, those that somebody asked for, and one that moved far."""
    story = booked_story()
    story.until(utc(2026, 9, 18, 8))
    story.move(story.next, story.next.span.start + 15 * DAY, 75)  # gets another
    story.until(utc(2026, 9, 29))
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    story.until(NOW + 500 * DAY)
    wordings = [m.number for m in story.mails("reflection_prompt")]
    assert len(wordings) >= 6 and set(wordings) == {0, 1, 2}
    assert all(one != other for one, other in pairwise(wordings))


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (2, 0), (1, 2)])
def test_a_prompt_after_two_of_one_morning_reads_like_neither(numbers: tuple[int, int]) -> None:
    """T-5: before sessions on two days in a row; which of them was read first nobody knows."""
    earlier = [
        effect_of("reflection_prompt", key=f"prompt:{number}", subject=f"h{number}", to=SAM.email, number=number)
        for number in numbers
    ]
    story = Story(state=state_of(session_of(START), effects=tuple(earlier)), now=utc(2026, 9, 25, 8))
    story.tick()
    (prompt,) = (mail for mail in story.mails("reflection_prompt") if mail.subject == "c1")
    assert prompt.number not in numbers


@pytest.mark.parametrize(("days", "briefs"), [(3, 1), (8, 2), (-3, 1)])
def test_the_brief_comes_again_when_the_session_moved_by_more_than_three_working_days(days: int, briefs: int) -> None:
    """T-6: after it went out."""
    story = booked_story()
    start = story.next.span.start  # a Monday
    story.tick_at(utc(2026, 9, 18, 8))
    assert len(story.mails("brief")) == 1
    if start + days * DAY > story.now:
        story.move(story.next, start + days * DAY, 75)
    story.until(story.next.span.end)
    assert len(story.mails("brief")) == briefs


def test_late_mails_about_a_contract_come_on_working_days_that_the_manager_works() -> None:
    """T-7, T-16: inside hours, and out of office is no working day; then it is unfinished."""
    manager = replace(DANA, absences=(Span(utc(2026, 9, 24), utc(2026, 9, 26)),))
    story = booked_story(Story(manager=manager))
    end = story.next.span.end
    assert end < utc(2026, 9, 22)
    story.until(utc(2026, 10, 5))
    late = [m.due_at for m in story.mails("contract_reminder") if m.number > 2]
    assert late == [utc(2026, 9, 28, 7), utc(2026, 9, 29, 7), utc(2026, 9, 30, 7)]
    assert story.sessions_of_kind(SessionKind.CAREER)[0].state is SessionState.UNFINISHED
