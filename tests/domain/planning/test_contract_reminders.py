"""Contract requests, contract reminders and unfinished sessions (R-15, R-17; T-7).

The contract is due 48 hours after the session. Reminders 1 and 2 are before this deadline, 3 to 5 are the late ones
after it. They are to the manager, whose clock in Berlin is two hours ahead of UTC. The session has the id c1.
"""

from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, format_local, person, session_of, state_of, utc
from tests.support.stories import Story
from worker.domain.model import EffectProgress, Person, SessionKind, SessionState, Topic
from worker.domain.planning import actions, contract_mails
from worker.domain.planning.contract_mails import list_late_reminder_times, list_reminder_times
from worker.domain.planning.preparations import SWEEP_SLACK
from worker.domain.time.mail_hours import find_mail_hours_start
from worker.domain.time.worktime import get_local_date, is_working_day, list_spells

#: A Monday, 10:00 in Berlin. A session of 75 minutes ends at 11:15.
SESSION_START = utc(2026, 9, 28, 8)
#: Zones with clock changes, some of them at midnight, or with offsets of half or three quarters of an hour.
ZONES_AND_COUNTRIES = [
    ("Europe/London", "GB"),
    ("America/New_York", "US"),
    ("America/St_Johns", "CA-NL"),
    ("Australia/Lord_Howe", "AU"),
    ("Asia/Kathmandu", "NP"),
    ("America/Sao_Paulo", "BR"),
    ("Pacific/Apia", "WS"),
]


# --- T-7: the contract ---


def make_story_at_end(start: datetime = SESSION_START, manager: Person = DANA) -> Story:
    """A story at the end of its session."""
    session = session_of(start, by_hand=True)
    story = Story(state=state_of(session, manager=manager), manager=manager, now=start)
    story.tick()
    story.until(session.span.end)
    return story


def test_the_contract_is_requested_at_the_end_of_the_session() -> None:
    """T-7, R-15: the mail leaves at once, and the deadline is 48 hours later."""
    story = make_story_at_end()
    assert [(m.to, m.decided_at) for m in story.mails("contract_request")] == [(DANA.email, story.now)]
    assert story.session("c1").state is SessionState.HELD
    assert contract_mails.find_contract_deadline(DANA, story.session("c1")) == story.now + 48 * HOUR


def test_session_without_contract_gets_no_contract_request() -> None:
    """T-13, R-4: such sessions are the first two parts of a series, reviews and check-ins."""
    for fields in (
        {"topic": Topic.NOW},
        {"topic": Topic.DIRECTION},
        {"kind": SessionKind.REVIEW},
        {"kind": SessionKind.CHECKIN},
    ):
        session = session_of(SESSION_START, **fields)
        story = Story(state=state_of(session), now=session.span.end)
        story.tick()
        assert story.mails("contract_request") == []


def test_a_session_ends_unfinished_after_two_reminders_and_three_late_ones() -> None:
    """T-7, R-15, R-17: the session ends on a Monday in Berlin, and nobody records a contract."""
    story = make_story_at_end()
    story.until(utc(2026, 10, 20))
    assert [(m.number, format_local(m.decided_at, DANA)) for m in story.mails("contract_reminder")] == [
        (1, "Tue 2026-09-29 16:00"),
        (2, "Wed 2026-09-30 09:00"),
        (3, "Thu 2026-10-01 09:00"),
        (4, "Fri 2026-10-02 09:00"),
        (5, "Mon 2026-10-05 09:00"),
    ]
    unfinished = next(d for d in story.decisions if d.fields.get("state") == "unfinished")
    assert format_local(unfinished.at, DANA) == "Tue 2026-10-06 09:00"
    assert story.session("c1").state is SessionState.UNFINISHED
    assert len(story.mails("contract_request")) == 1
    (report_mail,) = story.mails("unfinished")
    assert report_mail.to == story.state.report.email, "the mail is not to the report"
    assert report_mail.decided_at == unfinished.at


def test_recorded_contract_ends_the_reminders() -> None:
    """T-7: the contract comes after the first reminder."""
    story = make_story_at_end()
    story.tick_at(story.now + 30 * HOUR)
    story.act(lambda builder: actions.record_contract(builder, builder.sessions["c1"], commitments=[], revision=1))
    story.until(utc(2026, 10, 20))
    assert len(story.mails("contract_reminder")) == 1
    assert story.session("c1").state is SessionState.CONTRACTED


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (utc(2026, 9, 25, 13, 45), []),  # ends on Friday at 17:00: the 48 hours hold no working time
        (utc(2026, 9, 25, 8), [(2, "Fri 2026-09-25 16:00")]),  # ends at 11:15
        (utc(2026, 9, 25, 9, 30), [(2, "Fri 2026-09-25 16:45")]),  # ends at 12:45: the reminder is four hours later
        (utc(2026, 9, 24, 8), [(2, "Fri 2026-09-25 16:00")]),
        (utc(2026, 9, 23, 8), [(1, "Thu 2026-09-24 16:00"), (2, "Fri 2026-09-25 09:00")]),
        (utc(2026, 9, 22, 6), [(2, "Wed 2026-09-23 16:00")]),  # ends at 09:15: no time is left on Thursday
        (
            utc(2026, 9, 27, 18),
            [(1, "Mon 2026-09-28 16:00"), (2, "Tue 2026-09-29 16:00")],
        ),  # a Sunday, to which a person moved it
    ],
)
def test_reminders_stay_inside_working_hours(start: datetime, expected: list[tuple[int, str]]) -> None:
    """T-7: one a day, an hour before its end.

    There are fewer if the 48 hours hold too little working time.
    """
    story = make_story_at_end(start)
    story.until(story.now + 48 * HOUR)
    assert [(m.number, format_local(m.decided_at, DANA)) for m in story.mails("contract_reminder")] == expected


def test_late_reminders_are_sent_on_working_days() -> None:
    """T-7: the deadline is on Friday, 2 October; a public holiday in Germany falls on the Saturday after it."""
    story = make_story_at_end(utc(2026, 9, 30, 13))
    story.until(utc(2026, 10, 30))
    late_times = [format_local(m.decided_at, DANA) for m in story.mails("contract_reminder") if m.number > 2]
    assert late_times == ["Mon 2026-10-05 09:00", "Tue 2026-10-06 09:00", "Wed 2026-10-07 09:00"]


def test_only_the_last_overdue_reminder_is_sent_after_downtime() -> None:
    """T-7: the reminders before it make no sense any more."""
    story = make_story_at_end()
    story.now = utc(2026, 10, 2, 12)
    story.tick()
    assert [m.number for m in story.mails("contract_reminder")] == [4]


def test_no_reminder_is_sent_in_the_last_two_hours_before_the_deadline() -> None:
    """T-7: after downtime it is too late for the second reminder, and too early for the first late one."""
    story = make_story_at_end()
    story.now = contract_mails.find_contract_deadline(DANA, story.session("c1")) - HOUR
    story.tick()
    assert story.mails("contract_reminder") == []


def test_recording_another_end_of_the_session_sends_another_contract_request() -> None:
    """T-7: the times of all mails count from the end that was recorded."""
    story = make_story_at_end()
    end = story.now - 30 * MINUTE
    story.act(lambda builder: actions.record_held(builder, builder.sessions["c1"], end))
    assert [m.start for m in story.mails("contract_request")] == [story.now, end]


WORKING_HOURS = ["Mon-Fri 09:00-17:00", "Mon-Thu 22:00-06:00", "Mon,Wed 08:00-12:00,13:00-15:00", "Sat 10:00-11:00"]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(ZONES_AND_COUNTRIES),
    st.sampled_from(WORKING_HOURS),
    st.integers(0, 366 * 96),  # 96 quarter-hours a day
)
def test_reminders_are_inside_working_hours_and_before_the_deadline(
    zone_and_country: tuple[str, str], hours: str, quarter: int
) -> None:
    """T-7: for any person and any end of the session, the last reminder is at least two hours before the deadline.

    `quarter` is the end of the session in quarter-hours from 1 January on.
    """
    dana = person("Dana", *zone_and_country, hours=hours)
    end = utc(2026, 1, 1) + quarter * 15 * MINUTE
    reminder_times = list_reminder_times(dana, asked_at=end, deadline=end + 48 * HOUR)
    assert len(reminder_times) <= 2
    assert list(reminder_times) == sorted(set(reminder_times))
    for instant in reminder_times:
        day = get_local_date(dana.zone, instant)
        assert any(span.start <= instant <= span.end for n in (0, 1) for span in list_spells(dana, day - n * DAY))
        assert end + 4 * HOUR <= instant <= end + 48 * HOUR - 2 * HOUR
    assert all(second - first >= 4 * HOUR for first, second in pairwise(reminder_times))
    assert all(first - end >= 12 * HOUR for first in reminder_times[:-1])
    late_times = list_late_reminder_times(dana, end + 48 * HOUR)
    assert [find_mail_hours_start(dana, get_local_date(dana.zone, instant)) for instant in late_times] == list(
        late_times
    )
    assert all(is_working_day(dana, get_local_date(dana.zone, instant)) for instant in late_times)
    assert late_times[0] > end + 48 * HOUR - DAY
    assert get_local_date(dana.zone, late_times[0]) > get_local_date(dana.zone, end + 48 * HOUR)


def test_each_of_the_next_two_days_has_a_reminder_before_the_deadline() -> None:
    """T-7: each of the two days after the end has one reminder, if two hours are left to the deadline.

    The session ends on Monday to Wednesday, at any quarter-hour from 09:00 to 22:45 in Berlin.
    """
    for days, quarter in product(range(3), range(14 * 4)):
        end = utc(2026, 9, 7, 7) + days * DAY + quarter * 15 * MINUTE
        latest = end + 48 * HOUR - 2 * HOUR - SWEEP_SLACK  # a sweep may be late by the slack
        next_days = [get_local_date(DANA.zone, end) + n * DAY for n in (1, 2)]
        times = list_reminder_times(DANA, asked_at=end, deadline=end + 48 * HOUR)
        mornings = [find_mail_hours_start(DANA, day) for day in next_days]
        is_late_enough = [morning is not None and morning <= latest for morning in mornings]
        assert [get_local_date(DANA.zone, at) for at in times] == [
            day for day, is_possible in zip(next_days, is_late_enough, strict=True) if is_possible
        ], end


@pytest.mark.parametrize(
    ("recorded_at", "deadline_text", "expected_reminders"),
    [
        # 26 minutes before the end of the 48 hours
        (utc(2026, 9, 30, 8, 49), "Thu 2026-10-01 10:49", [(2, "Wed 2026-09-30 16:00")]),
        (utc(2026, 10, 2, 14), "Mon 2026-10-05 16:00", [(2, "Mon 2026-10-05 13:45")]),
        (utc(2026, 9, 28, 16), "Wed 2026-09-30 11:15", [(1, "Tue 2026-09-29 16:00"), (2, "Wed 2026-09-30 09:00")]),
    ],
)
def test_session_recorded_as_held_late_leaves_a_working_day_for_the_contract(
    recorded_at: datetime, deadline_text: str, expected_reminders: list[tuple[int, str]]
) -> None:
    """T-7: the deadline is 48 hours after the end or one working day after the record, whichever is later.

    The session ends on Monday at 11:15. Mails are at least four hours apart.
    """
    session = session_of(SESSION_START, by_hand=True)
    story = Story(state=state_of(session), now=SESSION_START)
    story.tick()
    story.now = recorded_at
    story.act(lambda builder: actions.record_held(builder, builder.sessions["c1"], session.span.end))
    story.tick()
    deadline = contract_mails.find_contract_deadline(DANA, story.session("c1"))
    assert format_local(deadline, DANA) == deadline_text
    assert [m.decided_at for m in story.mails("contract_request")] == [recorded_at]
    story.until(deadline)
    reminders = [m for m in story.mails("contract_reminder") if m.number < 3]
    assert all(b - a >= 4 * HOUR for a, b in pairwise([recorded_at, *(m.decided_at for m in reminders)]))
    assert all(deadline - m.decided_at >= 2 * HOUR for m in reminders)
    assert [(m.number, format_local(m.decided_at, DANA)) for m in reminders] == expected_reminders


def test_session_that_counts_as_held_after_downtime_leaves_a_working_day() -> None:
    """T-7: the program notices the end 47 hours later. The request and a reminder do not leave in one minute."""
    session = session_of(SESSION_START, by_hand=True)
    story = Story(state=state_of(session), now=SESSION_START)
    story.tick()
    story.now = session.span.end + 47 * HOUR
    story.tick()
    assert (len(story.mails("contract_request")), story.mails("contract_reminder")) == (1, [])
    assert contract_mails.find_contract_deadline(DANA, story.session("c1")) == story.now + 24 * HOUR
    story.until(story.now + 24 * HOUR)
    assert [m.number for m in story.mails("contract_reminder")] != []


def test_no_reminder_is_planned_while_the_contract_request_waits() -> None:
    """T-7: during a mail outage, request and reminder do not pile up to leave together."""
    story = make_story_at_end()
    request = story.mails("contract_request")[0]
    story.state = replace(story.state, effects=(replace(request, progress=EffectProgress.WAITING),))
    first_time, second_time = list_reminder_times(DANA, asked_at=story.now, deadline=story.now + 48 * HOUR)
    story.now = first_time
    plan_at_first_time = story.plan()
    assert not [effect for effect in plan_at_first_time.effects if effect.name == "contract_reminder"]
    assert plan_at_first_time.due_at == second_time >= first_time + 4 * HOUR


# --- late sweeps and weekly mails ---


@pytest.mark.parametrize("delay", [timedelta(0), timedelta(seconds=1), timedelta(minutes=10)])
def test_last_reminder_is_sent_even_if_the_sweep_is_late(delay: timedelta) -> None:
    """T-7, R-15: the session ends on Tuesday at 13:00: the last two hours before the deadline are working time."""
    session = session_of(utc(2026, 9, 29, 9, 45))
    story = Story(state=state_of(session), now=session.span.end)
    while story.now < session.span.end + 48 * HOUR:
        story.tick()
        assert story.due is not None
        story.now = max(story.due, story.now) + delay
    reminders = [(m.number, session.span.end + 48 * HOUR - m.decided_at) for m in story.mails("contract_reminder")]
    assert [number for number, _ in reminders if number < 3] == [1, 2]
    assert all(time_left >= 2 * HOUR for number, time_left in reminders if number < 3)


def test_late_reminder_is_left_out_on_the_day_of_the_weekly_mail() -> None:
    """T-7, T-16: the weekly mail names the late contract. The deadline is on a Friday."""
    wednesday_morning = utc(2026, 10, 7, 8)
    story, story_without_weekly_mail = make_story_at_end(wednesday_morning), make_story_at_end(wednesday_morning)
    story.state = replace(story.state, report_count=3)  # with three reports, a manager gets a weekly mail
    for each_story in (story, story_without_weekly_mail):
        each_story.until(each_story.now + 8 * DAY)
    late_days = [
        [f"{m.decided_at:%a}" for m in each_story.mails("contract_reminder") if m.number > 2]
        for each_story in (story, story_without_weekly_mail)
    ]
    assert late_days == [["Tue", "Wed"], ["Mon", "Tue", "Wed"]]
    assert [f"{m.due_at:%a}" for m in story.mails("weekly")] == ["Mon"]
    assert story.session("c1").state is SessionState.UNFINISHED
