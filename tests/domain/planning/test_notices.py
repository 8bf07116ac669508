"""Tests of when mails are due.

T-5 and R-11 are about the reflection prompt, T-6 and R-12 about the brief, T-7 about contract reminders, T-9 and R-7
about review notes, R-18 and R-20 about commitments, R-23 about the introduction, T-14 about ad hoc sessions, T-16 about
mail hours and the daily limit. In September, Berlin (Dana) is two hours ahead of UTC, London (Sam) one.
"""

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
from worker.domain.planning.notices import find_commitment_mail_time
from worker.domain.planning.preparations import (
    MAX_EARLY_DAYS,
    REVIEW_NOTE_MIN_LEAD,
    SWEEP_SLACK,
    find_brief_time,
    find_prompt_time,
    find_review_note_time,
)
from worker.domain.time.mail_hours import find_mail_hours_start
from worker.domain.time.worktime import get_local_date

#: The number of quarter-hours in a day.
QUARTERS_A_DAY = 96


def list_due_times(story: Story, name: str) -> list[datetime]:
    """Return the due time of each mail of that name."""
    return [m.due_at for m in story.mails(name)]


# --- the time of a mail in any zone and working hours ---

#: Zone, country, start of the session, and the expected instant of the prompt on the local clock and in UTC. The zones
#: change their clocks near the session, or have offsets of half or three quarters of an hour, or are far from UTC.
ZONE_CASES = [
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


@pytest.mark.parametrize(("zone", "country", "start", "expected", "instant"), ZONE_CASES)
def test_the_prompt_is_due_on_a_working_morning_two_days_before(
    zone: str, country: str, start: datetime, expected: str, instant: datetime
) -> None:
    """It is due at least two days before, by the report's local clock, even if the clock changes (T-5)."""
    report = person("Sam", zone, country)
    prompt_time = find_prompt_time(report, start)
    assert prompt_time == instant
    assert format_local(prompt_time, report) == expected


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
def test_prompt_is_due_on_a_working_day_for_any_working_hours(hours: str, start: datetime, expected: str) -> None:
    """It is due at the start of the working day (T-5)."""
    report = person("Sam", hours=hours)
    prompt_time = find_prompt_time(report, start)
    assert prompt_time is not None and format_local(prompt_time, report) == expected


def test_prompt_after_an_absence_leaves_four_hours_before_the_session() -> None:
    """No working day is two to seven days before the session, so the last one that leaves four hours is taken (T-5)."""
    start = utc(2026, 9, 29, 13)  # 15:00 in Berlin, a Tuesday
    report = person("Sam")
    back_on_monday = replace(report, absences=(Span(utc(2026, 9, 18), utc(2026, 9, 28)),))
    back_on_tuesday = replace(report, absences=(Span(utc(2026, 9, 18), utc(2026, 9, 29)),))
    assert find_prompt_time(back_on_monday, start) == utc(2026, 9, 29, 7)  # Tuesday, 09:00: six hours are left
    assert find_prompt_time(back_on_monday, utc(2026, 9, 29, 9)) == utc(2026, 9, 28, 7)  # the Monday before
    assert find_prompt_time(back_on_tuesday, start) == utc(2026, 9, 29, 7)
    assert find_prompt_time(back_on_tuesday, utc(2026, 9, 29, 9)) == utc(2026, 9, 17, 7)  # the day before the absence


def test_the_brief_is_due_at_the_start_of_the_working_day_before() -> None:
    """If that day is more than three calendar days before, the brief is due on the session's own morning (T-6)."""
    manager = person("Dana", "Europe/London", "GB-ENG")
    assert find_brief_time(manager, utc(2026, 3, 30, 9)) == utc(2026, 3, 27, 9)  # summer time began on the Sunday
    # Good Friday, a weekend and Easter Monday come before the next session.
    assert find_brief_time(manager, utc(2027, 3, 30, 10)) == utc(2027, 3, 30, 8)
    two_day_manager = person("Dana", hours="Tue,Thu 09:00-17:00")
    assert find_brief_time(two_day_manager, utc(2026, 9, 24, 9)) == utc(2026, 9, 22, 7)
    # The Thursday before is five days earlier.
    assert find_brief_time(two_day_manager, utc(2026, 9, 29, 9)) == utc(2026, 9, 29, 7)
    # The session's own morning leaves less than an hour.
    assert find_brief_time(two_day_manager, utc(2026, 9, 29, 7, 30)) == utc(2026, 9, 24, 7)


def test_brief_is_not_due_on_a_day_out_of_office() -> None:
    """A day out of office is no working day (T-6, T-16)."""
    absent_manager = replace(DANA, absences=(Span(utc(2026, 9, 28), utc(2026, 9, 29)),))
    # The last working day before is a Friday, four days earlier.
    assert find_brief_time(absent_manager, utc(2026, 9, 29, 9)) == utc(2026, 9, 29, 7)
    assert find_brief_time(DANA, utc(2026, 9, 29, 9)) == utc(2026, 9, 28, 7)


def test_review_note_is_due_at_the_start_of_the_managers_day() -> None:
    """The manager's day begins on the day before in UTC (T-9)."""
    manager = person("Dana", "Pacific/Auckland", "NZ")
    assert find_review_note_time(manager, utc(2026, 9, 27, 22)) == utc(2026, 9, 27, 20)


def test_note_before_an_early_review_is_due_on_the_working_day_before() -> None:
    """The start of the day is too late for a review at 9:00, so for a Monday the note is due on Friday (T-9, R-7)."""
    assert find_review_note_time(DANA, utc(2026, 9, 28, 7)) == utc(2026, 9, 25, 7)
    assert find_review_note_time(DANA, utc(2026, 9, 28, 7, 30)) == utc(2026, 9, 28, 7)


WORKING_HOURS = st.sampled_from(
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
    st.sampled_from([(zone, country) for zone, country, *_ in ZONE_CASES]),
    WORKING_HOURS,
    st.integers(0, 366 * QUARTERS_A_DAY),
    st.lists(st.tuples(st.integers(0, 366), st.integers(1, 20)), max_size=3),
)
def test_mails_before_a_session_are_due_at_the_start_of_a_working_day(
    zone_and_country: tuple[str, str], hours: str, quarter: int, absence_days: list[tuple[int, int]]
) -> None:
    """This holds for any start, working hours and absences (T-5, T-6, T-9, T-16).

    Absences are ignored for a person who is away for all of the two weeks before the session. `quarter` is the start of
    the session in quarter-hours, `absence_days` the start and length of each absence in days, all from 1 January on.
    """
    new_year = utc(2026, 1, 1)
    absences = tuple(Span(new_year + day * DAY, new_year + (day + length) * DAY) for day, length in absence_days)
    reader = replace(person("Sam", *zone_and_country, hours=hours), absences=absences)
    start = new_year + quarter * 15 * MINUTE
    prompt, brief, note = (
        find_time(reader, start) for find_time in (find_prompt_time, find_brief_time, find_review_note_time)
    )
    last_day = get_local_date(reader.zone, start)
    day_starts = [find_mail_hours_start(reader, last_day - n * DAY) for n in range(MAX_EARLY_DAYS + 1)]
    shortest_lead = HOUR + SWEEP_SLACK  # that of a brief, and the time by which a sweep may be late
    if not any(day_start and day_start + shortest_lead <= start for day_start in day_starts):
        reader = replace(reader, absences=())
    for mail_time in (prompt, brief, note):
        assert mail_time is not None and mail_time < start and is_mail_time(reader, mail_time)
        day = get_local_date(reader.zone, mail_time)
        # when an absence ends within a night shift, the mail is due on the day after the start of that shift
        ends_in_shift = any(get_local_date(reader.zone, one.end) in (day - DAY, day) for one in reader.absences)
        assert mail_time == find_mail_hours_start(reader, day) or (
            ends_in_shift and mail_time == find_mail_hours_start(reader, day - DAY)
        )
    assert prompt and start - prompt >= 4 * HOUR
    assert brief and start - brief >= HOUR
    assert note and start - note >= REVIEW_NOTE_MIN_LEAD


# --- mails before a session ---


def test_prompt_and_brief_are_sent_once_when_they_are_due() -> None:
    """The report gets the prompt, and the manager gets the brief (T-5, T-6, R-11, R-12)."""
    story = booked_story()
    story.until(story.next.span.end)
    assert [(m.to, m.due_at) for m in story.mails("reflection_prompt")] == [(SAM.email, utc(2026, 9, 18, 8))]
    assert [(m.to, m.due_at) for m in story.mails("brief")] == [(DANA.email, utc(2026, 9, 18, 7))]


def test_prompt_of_a_near_ad_hoc_session_leaves_at_once() -> None:
    """The session begins in less than two days, so its prompt leaves once the event exists (T-5, T-14)."""
    story = booked_story()
    story.until(utc(2026, 9, 7, 9))
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.LEAVING))
    story.until(utc(2026, 9, 7, 9, 2))
    adhoc = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert [m.subject for m in story.mails("reflection_prompt")] == [adhoc.id]
    assert list_due_times(story, "reflection_prompt") == [utc(2026, 9, 7, 9, 1)]  # a minute after the request


@pytest.mark.parametrize(
    ("lead", "prompt_count", "brief_count"),
    [(4 * HOUR, 1, 1), (4 * HOUR - MINUTE, 0, 1), (HOUR, 0, 1), (HOUR - MINUTE, 0, 0)],
)
def test_prompt_needs_four_hours_and_brief_needs_one_before_the_session(
    lead: timedelta, prompt_count: int, brief_count: int
) -> None:
    """A mail that would come later is left out (T-5, T-6)."""
    start = utc(2026, 9, 28, 13)
    story = Story(state=state_of(session_of(start)), now=start - lead)
    story.tick()
    assert len(story.mails("reflection_prompt")) == prompt_count
    assert len(story.mails("brief")) == brief_count


def test_prompt_waits_until_the_event_is_on_the_calendar() -> None:
    """The calendar refuses the event at first (T-5)."""
    story = booked_story()
    story.refuses = True
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.LEAVING))
    story.until(utc(2026, 9, 7, 8, 30))  # half an hour after the start of Sam's working hours
    assert story.mails("reflection_prompt") == []
    story.refuses = False
    story.until(NOW + 12 * DAY)
    (adhoc,) = (s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert [m.subject for m in story.mails("reflection_prompt") if m.subject == adhoc.id] == [adhoc.id]


@pytest.mark.parametrize(("days", "prompt_count"), [(14, 1), (15, 2), (-1, 1)])
def test_prompt_is_sent_again_after_a_move_by_more_than_14_days(days: int, prompt_count: int) -> None:
    """The session moves after its first prompt (T-5)."""
    story = booked_story()
    start = story.next.span.start
    story.tick_at(utc(2026, 9, 18, 8))
    assert len(story.mails("reflection_prompt")) == 1
    story.move(story.next, start + days * DAY, minutes=75)
    assert story.next.by_hand
    story.until(story.next.span.end)
    assert len(story.mails("reflection_prompt")) == prompt_count


def test_move_before_the_prompt_leads_to_one_prompt() -> None:
    """It is due two days before the new time, Friday, 11 September (T-5)."""
    story = booked_story()
    story.move(story.next, story.next.span.start - 10 * DAY, minutes=75)
    story.until(story.next.span.end)
    assert len(story.mails("reflection_prompt")) == 1
    assert list_due_times(story, "reflection_prompt") == [utc(2026, 9, 9, 8)]


def test_check_in_has_no_mails() -> None:
    """A check-in is informal (R-7)."""
    story = booked_story()
    story.act(actions.request_check_in)
    (check_in,) = story.sessions_of_kind(SessionKind.CHECKIN)
    story.until(check_in.span.end + DAY)
    assert [effect for effect in story.state.effects if effect.subject == check_in.id and effect.name] == []
    assert story.session(check_in.id).state is SessionState.HELD


def test_both_people_get_one_introduction() -> None:
    """The introduction leaves when the first session is booked, and says who can read what (R-23)."""
    story = booked_story()
    assert story.now == NOW  # 7:00 in Berlin and 6:00 in London, outside mail hours (T-16)
    assert {m.to: m.due_at for m in story.mails("introduction")} == {
        DANA.email: utc(2026, 9, 7, 7),
        SAM.email: utc(2026, 9, 7, 8),
    }
    story.until(NOW + 200 * DAY)
    assert len(story.mails("introduction")) == 2


def test_introduction_waits_until_a_session_is_booked() -> None:
    """No session can be booked while Sam's calendar is unavailable (R-23)."""
    story = Story()
    story.calendars.unavailable = {SAM.email}
    story.tick()
    assert story.mails("introduction") == []


# --- commitments ---


def test_the_owner_gets_a_mail_at_nine_when_a_commitment_is_due() -> None:
    """The owner of the commitment gets the mail at 9:00 in their own zone, manager and report alike (R-20)."""
    due = date(2026, 9, 15)
    managers_commitment, reports_commitment = commitment_of(due), commitment_of(due, Owner.REPORT, id="p2")
    story = Story(state=state_of(commitments=(managers_commitment, reports_commitment)))
    story.until(utc(2026, 9, 20))
    times = {m.to: format_local(m.due_at, DANA if m.to == DANA.email else SAM) for m in story.mails("commitment_due")}
    assert times == {DANA.email: "Tue 2026-09-15 09:00", SAM.email: "Tue 2026-09-15 09:00"}


def test_due_mail_for_a_day_off_leaves_on_the_working_day_before() -> None:
    """3 October 2026 is a public holiday in Germany and a Saturday; 13 September is a Sunday (R-20)."""
    assert find_commitment_mail_time(DANA, date(2026, 10, 3)) == utc(2026, 10, 2, 7)
    assert find_commitment_mail_time(SAM, date(2026, 9, 13)) == utc(2026, 9, 11, 8)


def test_due_mail_waits_until_its_reader_is_back() -> None:
    """The due date is a Saturday, and Sam is out of office on the Friday before (R-20, T-16)."""
    commitment = commitment_of(date(2026, 9, 12), Owner.REPORT)
    absent_report = replace(SAM, absences=(Span(utc(2026, 9, 11), utc(2026, 9, 14)),))
    story = Story(state=state_of(commitments=(commitment,), report=absent_report), now=utc(2026, 9, 11, 4))
    story.tick()
    assert [(format_local(m.due_at, SAM), m.is_limited) for m in story.mails("commitment_due")] == [
        ("Mon 2026-09-14 09:00", True)
    ]


def test_commitments_due_on_one_day_share_one_mail() -> None:
    """A commitment of another day has its own mail (R-20)."""
    commitments = [commitment_of(date(2026, 9, day), Owner.REPORT, id=f"p{n}") for n, day in enumerate((15, 15, 16))]
    story = Story(state=state_of(commitments=tuple(commitments)))
    story.until(utc(2026, 9, 20))
    assert [m.start for m in story.mails("commitment_due")] == [utc(2026, 9, 15), utc(2026, 9, 16)]


def test_due_mail_is_sent_for_each_of_two_distant_days() -> None:
    """The first mail is so old by then that the store does not read it any more (R-20)."""
    commitments = (commitment_of(date(2026, 9, 15)), commitment_of(date(2026, 12, 15), id="p2"))
    story = Story(state=state_of(commitments=commitments))
    story.until(utc(2026, 12, 20))
    assert [m.start for m in story.mails("commitment_due")] == [utc(2026, 9, 15), utc(2026, 12, 15)]


def test_no_due_mail_for_an_ended_or_late_commitment() -> None:
    """The late commitment is recorded after its mail would have left (R-18)."""
    ended = commitment_of(date(2026, 9, 15), standing=CommitmentStanding.DONE, closed_at=NOW)
    late = commitment_of(date(2026, 9, 7), id="p2", recorded_at=NOW + 3 * HOUR)
    story = Story(state=state_of(commitments=(ended, late)), now=NOW + 4 * HOUR)
    story.until(utc(2026, 9, 20))
    assert story.mails("commitment_due") == []


def test_new_due_date_has_its_own_mail() -> None:
    """The mail about the old due date was sent already (R-18)."""
    session = session_of(utc(2026, 9, 7, 4), minutes=30, state=SessionState.CONTRACTED, held_at=utc(2026, 9, 7, 4, 30))
    story = Story(state=state_of(session, commitments=(commitment_of(date(2026, 9, 15)),)))
    story.tick_at(utc(2026, 9, 15, 12))
    moved = IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=date(2026, 9, 22))
    story.act(lambda builder: actions.record_contract(builder, builder.sessions[session.id], [moved], revision=2))
    story.until(utc(2026, 9, 30))
    assert [m.start for m in story.mails("commitment_due")] == [utc(2026, 9, 15), utc(2026, 9, 22)]


def test_review_moved_to_another_1on1_has_another_note() -> None:
    """The 1:1 of the first note is cancelled on the same day after that note (T-9, R-7)."""
    first_start, second_start = utc(2026, 10, 27, 13), utc(2026, 11, 3, 13)
    review = session_of(first_start, kind=SessionKind.REVIEW, minutes=25, sequence=0, id="r1")
    meetings = tuple(
        Meeting(pair=pair_of().id, span=Span(start, start + HOUR / 2)) for start in (first_start, second_start)
    )
    pair = pair_of(review=ReviewMode.IN_1ON1)
    contracted_session = session_of(
        first_start - 35 * DAY, state=SessionState.CONTRACTED, contracted_at=first_start - 28 * DAY
    )
    state = replace(
        state_of(replace(contracted_session, held_at=contracted_session.end), review, placed_events={}),
        pair=pair,
        meetings=meetings,
    )
    story = Story(state=state, now=first_start - 5 * HOUR)
    story.tick()
    assert len(story.mails("review_note")) == 1
    story.state = replace(story.state, meetings=meetings[1:])
    story.until(second_start)
    assert [m.start for m in story.mails("review_note")] == [first_start, second_start]


def test_dropped_introduction_is_sent_again() -> None:
    """Both people must learn who can read what (R-23)."""
    story = booked_story()
    story.state = replace(
        story.state,
        effects=tuple(
            replace(effect, progress=EffectProgress.DROPPED) if effect.name == "introduction" else effect
            for effect in story.state.effects
        ),
    )
    story.tick_at(story.now + HOUR)
    story.until(story.now + 3 * HOUR)
    assert {m.to for m in story.mails("introduction")} == {DANA.email, SAM.email}


# --- wordings and repeated mails ---


def test_preparation_mails_of_a_deferred_session_are_counted() -> None:
    """Mails about a change in the next 24 hours are not counted, but the lost time of this session is over (T-16)."""
    story = booked_story()
    story.decline(story.next)
    story.move(story.next, story.next.span.start + 14 * DAY, minutes=75)
    story.until(story.next.span.end)
    mails = [*story.mails("reflection_prompt"), *story.mails("brief")]
    assert len(mails) == 2 and all(mail.is_limited for mail in mails)


def test_consecutive_prompts_have_different_wordings() -> None:
    """The prompts are of regular sessions, an ad hoc session, and a session that moved far (T-5)."""
    story = booked_story()
    story.until(utc(2026, 9, 18, 8))
    story.move(
        story.next, story.next.span.start + 15 * DAY, minutes=75
    )  # by more than 14 days, so that another prompt is sent
    story.until(utc(2026, 9, 29))
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    story.until(NOW + 500 * DAY)
    wordings = [m.number for m in story.mails("reflection_prompt")]  # the number of a prompt is that of its wording
    assert len(wordings) >= 6 and set(wordings) == {0, 1, 2}
    assert all(wording != next_wording for wording, next_wording in pairwise(wordings))


@pytest.mark.parametrize("numbers", [(0, 1), (1, 0), (2, 0), (1, 2)])
def test_prompt_differs_from_two_prompts_of_one_morning(numbers: tuple[int, int]) -> None:
    """The earlier prompts left at the same instant, so either may be the one that the report read last (T-5)."""
    prompts = [
        effect_of("reflection_prompt", key=f"prompt:{number}", subject=f"h{number}", to=SAM.email, number=number)
        for number in numbers
    ]
    friday_morning = utc(2026, 9, 25, 8)
    session_on_monday = session_of(utc(2026, 9, 28, 8))
    story = Story(state=state_of(session_on_monday, effects=tuple(prompts)), now=friday_morning)
    story.tick()
    (prompt,) = (mail for mail in story.mails("reflection_prompt") if mail.subject == session_on_monday.id)
    assert prompt.number not in numbers


@pytest.mark.parametrize(
    ("distance", "brief_count"),
    [(3 * DAY, 1), (8 * DAY, 2), (-3 * DAY + 2 * HOUR, 1)],
    ids=["to Thursday", "to Tuesday of the next week", "to Friday, before which the brief was just sent"],
)
def test_brief_is_sent_again_after_a_move_by_more_than_three_working_days(
    distance: timedelta, brief_count: int
) -> None:
    """The session moves after its first brief (T-6)."""
    story = booked_story()
    start = story.next.span.start  # a Monday
    story.tick_at(utc(2026, 9, 18, 8))
    assert len(story.mails("brief")) == 1
    story.move(story.next, start + distance, minutes=75)
    assert story.next.span.start == start + distance
    story.until(story.next.span.end)
    assert len(story.mails("brief")) == brief_count


def test_late_contract_reminders_leave_on_the_managers_working_days() -> None:
    """A day out of office is no working day. After the last reminder, the session is unfinished (T-7, T-16)."""
    manager = replace(DANA, absences=(Span(utc(2026, 9, 24), utc(2026, 9, 26)),))
    story = booked_story(Story(manager=manager))
    end = story.next.span.end
    assert end < utc(2026, 9, 22)
    story.until(utc(2026, 10, 5))
    late_reminders = [m.due_at for m in story.mails("contract_reminder") if m.number > 2]  # after the deadline
    assert late_reminders == [utc(2026, 9, 28, 7), utc(2026, 9, 29, 7), utc(2026, 9, 30, 7)]
    assert story.sessions_of_kind(SessionKind.CAREER)[0].state is SessionState.UNFINISHED
