"""When the contract is asked for and reminded of, and when a session ends unfinished (R-15, R-17; T-7)."""

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
from worker.domain.time.mail_hours import find_day_start
from worker.domain.time.worktime import get_local_date, is_working_day, list_spells

START = utc(2026, 9, 28, 8)
#: Zones that change their clocks, that are a half or three quarters of an hour off, or that skip midnight.
PLACES = [
    ("Europe/London", "GB"),
    ("America/New_York", "US"),
    ("America/St_Johns", "CA-NL"),
    ("Australia/Lord_Howe", "AU"),
    ("Asia/Kathmandu", "NP"),
    ("America/Sao_Paulo", "BR"),
    ("Pacific/Apia", "WS"),
]


# --- T-7: the contract ---


def held(start: datetime = START, manager: Person = DANA) -> Story:
    """A story at the end of a session."""
    session = session_of(start, by_hand=True)
    story = Story(state=state_of(session, manager=manager), manager=manager, now=start)
    story.tick()
    story.until(session.span.end)
    return story


def test_the_contract_is_asked_for_at_the_session_s_end() -> None:
    """T-7, R-15: at once."""
    story = held()
    assert [(m.to, m.snapshot_at) for m in story.mails("contract_request")] == [(DANA.email, story.now)]
    assert story.session("c1").state is SessionState.HELD
    assert contract_mails.find_contract_deadline(DANA, story.session("c1")) == story.now + 48 * HOUR


def test_it_is_asked_for_only_where_a_contract_closes_the_session() -> None:
    """T-13, R-4: not after the first two of a series, a review or a check-in."""
    for fields in (
        {"topic": Topic.NOW},
        {"topic": Topic.DIRECTION},
        {"kind": SessionKind.REVIEW},
        {"kind": SessionKind.CHECKIN},
    ):
        session = session_of(utc(2026, 9, 28, 8), **fields)
        story = Story(state=state_of(session), now=session.span.end)
        story.tick()
        assert story.mails("contract_request") == []


def test_two_reminders_and_three_late_mails_and_then_it_is_unfinished() -> None:
    """T-7, R-15, R-17: a Monday's session in Berlin, nobody answers."""
    story = held()
    story.until(utc(2026, 10, 20))
    assert [(m.number, format_local(m.snapshot_at, DANA)) for m in story.mails("contract_reminder")] == [
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
    (told,) = story.mails("unfinished")
    assert told.to == story.state.report.email, "the report is told once, kindly"
    assert told.snapshot_at == unfinished.at


def test_once_the_contract_is_there_nobody_is_reminded() -> None:
    """T-7."""
    story = held()
    story.tick_at(story.now + 30 * HOUR)
    story.act(lambda p: actions.record_contract(p, p.sessions["c1"], [], 1))
    story.until(utc(2026, 10, 20))
    assert len(story.mails("contract_reminder")) == 1
    assert story.session("c1").state is SessionState.CONTRACTED


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (utc(2026, 9, 25, 13, 45), []),  # a Friday, over at 17:00: the 48 hours hold no working time
        (utc(2026, 9, 25, 8), [(2, "Fri 2026-09-25 16:00")]),  # over at 11:15
        (utc(2026, 9, 25, 9, 30), [(2, "Fri 2026-09-25 16:45")]),  # over at 12:45: four hours later
        (utc(2026, 9, 24, 8), [(2, "Fri 2026-09-25 16:00")]),
        (utc(2026, 9, 23, 8), [(1, "Thu 2026-09-24 16:00"), (2, "Fri 2026-09-25 09:00")]),
        (utc(2026, 9, 22, 6), [(2, "Wed 2026-09-23 16:00")]),  # over at 09:15: no time is left on Thursday
        (utc(2026, 9, 27, 18), [(1, "Mon 2026-09-28 16:00"), (2, "Tue 2026-09-29 16:00")]),  # a Sunday, put by hand
    ],
)
def test_reminders_stay_inside_working_hours(start: datetime, expected: list[tuple[int, str]]) -> None:
    """T-7: one a day, an hour before its end; fewer when the 48 hours hold less working time than that."""
    story = held(start)
    story.until(story.now + 48 * HOUR)
    assert [(m.number, format_local(m.snapshot_at, DANA)) for m in story.mails("contract_reminder")] == expected


def test_late_mails_come_on_working_days() -> None:
    """T-7: three of them after a Friday evening, over a public holiday in Germany."""
    story = held(utc(2026, 9, 30, 13))
    story.until(utc(2026, 10, 30))
    after = [format_local(m.snapshot_at, DANA) for m in story.mails("contract_reminder") if m.number > 2]
    assert after == ["Mon 2026-10-05 09:00", "Tue 2026-10-06 09:00", "Wed 2026-10-07 09:00"]


def test_a_program_that_slept_does_not_catch_up_on_reminders() -> None:
    """T-7: of several that are overdue only the last makes sense."""
    story = held()
    story.now = utc(2026, 10, 2, 12)
    story.tick()
    assert [m.number for m in story.mails("contract_reminder")] == [4]


def test_a_program_that_slept_over_the_deadline_does_not_speak_as_if_it_were_to_come() -> None:
    """T-7: the second reminder is due until two hours before the deadline, the first late mail not yet."""
    story = held()
    story.now = contract_mails.find_contract_deadline(DANA, story.session("c1")) - HOUR
    story.tick()
    assert story.mails("contract_reminder") == []


def test_a_session_said_to_have_ended_at_another_time_is_asked_for_anew() -> None:
    """T-7: what counts from the end counts from the real one."""
    story = held()
    end = story.now - 30 * MINUTE
    story.act(lambda p: actions.record_held(p, p.sessions["c1"], end))
    assert [m.start for m in story.mails("contract_request")] == [story.now, end]


WEEKS = ["Mon-Fri 09:00-17:00", "Mon-Thu 22:00-06:00", "Mon,Wed 08:00-12:00,13:00-15:00", "Sat 10:00-11:00"]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from(PLACES),
    st.sampled_from(WEEKS),
    st.integers(0, 366 * 96),
)
def test_reminders_are_inside_working_hours_and_before_the_deadline(
    where: tuple[str, str], hours: str, quarter: int
) -> None:
    """T-7: for anybody, for any end; the last at least two hours before the deadline."""
    dana = person("Dana", *where, hours=hours)
    end = utc(2026, 1, 1) + quarter * 15 * MINUTE
    found = list_reminder_times(dana, asked_at=end, deadline=end + 48 * HOUR)
    assert len(found) <= 2
    assert list(found) == sorted(set(found))
    for at in found:
        day = get_local_date(dana.zone, at)
        assert any(span.start <= at <= span.end for n in (0, 1) for span in list_spells(dana, day - n * DAY))
        assert end + 4 * HOUR <= at <= end + 46 * HOUR
    assert all(second - first >= 4 * HOUR for first, second in pairwise(found))
    assert all(first - end >= 12 * HOUR for first in found[:-1])
    afterwards = list_late_reminder_times(dana, end + 48 * HOUR)
    assert [find_day_start(dana, get_local_date(dana.zone, at)) for at in afterwards] == list(afterwards)
    assert all(is_working_day(dana, get_local_date(dana.zone, at)) for at in afterwards)
    assert afterwards[0] > end + 48 * HOUR - DAY
    assert get_local_date(dana.zone, afterwards[0]) > get_local_date(dana.zone, end + 48 * HOUR)


def test_each_of_the_two_days_that_follow_has_a_reminder_where_it_leaves_time() -> None:
    """T-7: from Monday to Wednesday; of the last of these days two hours and more lie before the deadline. Nobody is
    reminded twice a day."""
    for days, quarter in product(range(3), range(14 * 4)):  # from nine in the morning to eleven at night
        end = utc(2026, 9, 7, 7) + days * DAY + quarter * 15 * MINUTE
        latest = end + 46 * HOUR - SWEEP_SLACK
        following = [get_local_date(DANA.zone, end) + n * DAY for n in (1, 2)]
        times = list_reminder_times(DANA, asked_at=end, deadline=end + 48 * HOUR)
        mornings = [find_day_start(DANA, day) for day in following]
        is_late_enough = [morning is not None and morning <= latest for morning in mornings]
        assert [get_local_date(DANA.zone, at) for at in times] == [
            day for day, possible in zip(following, is_late_enough, strict=True) if possible
        ], end


@pytest.mark.parametrize(
    ("recorded", "until", "expected"),
    [
        # 26 minutes before the 48 hours end
        (utc(2026, 9, 30, 8, 49), "Thu 2026-10-01 10:49", [(2, "Wed 2026-09-30 16:00")]),
        (utc(2026, 10, 2, 14), "Mon 2026-10-05 16:00", [(2, "Mon 2026-10-05 13:45")]),
        (utc(2026, 9, 28, 16), "Wed 2026-09-30 11:15", [(1, "Tue 2026-09-29 16:00"), (2, "Wed 2026-09-30 09:00")]),
    ],
)
def test_held_recorded_later_leaves_a_working_day_and_mails_hours_apart(
    recorded: datetime, until: str, expected: list[tuple[int, str]]
) -> None:
    """T-7: a Monday's session over at 11:15; the deadline is the later of 48 hours and one working day."""
    session = session_of(START, by_hand=True)
    story = Story(state=state_of(session), now=START)
    story.tick()
    story.now = recorded
    story.act(lambda p: actions.record_held(p, p.sessions["c1"], session.span.end))
    story.tick()
    by = contract_mails.find_contract_deadline(DANA, story.session("c1"))
    assert format_local(by, DANA) == until
    assert [m.snapshot_at for m in story.mails("contract_request")] == [recorded]
    story.until(by)
    mails = [m for m in story.mails("contract_reminder") if m.number < 3]
    assert all(b - a >= 4 * HOUR for a, b in pairwise([recorded, *(m.snapshot_at for m in mails)]))
    assert all(by - m.snapshot_at >= 2 * HOUR for m in mails)
    assert [(m.number, format_local(m.snapshot_at, DANA)) for m in mails] == expected


def test_a_session_taken_as_held_after_a_long_sleep_leaves_a_working_day() -> None:
    """T-7: a program that slept over the end says so a day after; nobody is asked and reminded in one minute."""
    session = session_of(START, by_hand=True)
    story = Story(state=state_of(session), now=START)
    story.tick()
    story.now = session.span.end + 47 * HOUR
    story.tick()
    assert (len(story.mails("contract_request")), story.mails("contract_reminder")) == (1, [])
    assert contract_mails.find_contract_deadline(DANA, story.session("c1")) == story.now + 24 * HOUR
    story.until(story.now + 24 * HOUR)
    assert [m.number for m in story.mails("contract_reminder")] != []


def test_a_request_that_could_not_leave_is_not_followed_by_a_reminder_at_once() -> None:
    """T-7: while mail is out of order, request and reminder do not pile up to leave together."""
    story = held()
    waiting = story.mails("contract_request")[0]
    story.state = replace(story.state, effects=(replace(waiting, progress=EffectProgress.WAITING),))
    first, second = list_reminder_times(DANA, asked_at=story.now, deadline=story.now + 48 * HOUR)
    story.now = first
    later = story.plan()
    assert not [m for m in later.effects if m.name == "contract_reminder"]
    assert later.due_at == second >= first + 4 * HOUR


# --- commitments ---


@pytest.mark.parametrize("late", [timedelta(0), timedelta(seconds=1), timedelta(minutes=10)])
def test_the_last_reminder_leaves_though_the_sweep_comes_late(late: timedelta) -> None:
    """T-7, R-15: a Tuesday's session that ends at one in the afternoon; two hours before the deadline people work."""
    session = session_of(utc(2026, 9, 29, 9, 45))
    story = Story(state=state_of(session), now=session.span.end)
    while story.now < session.span.end + 48 * HOUR:
        story.tick()
        assert story.due is not None
        story.now = max(story.due, story.now) + late
    sent = [(m.number, session.span.end + 48 * HOUR - m.snapshot_at) for m in story.mails("contract_reminder")]
    assert [number for number, _ in sent if number < 3] == [1, 2]
    assert all(left >= 2 * HOUR for number, left in sent if number < 3)


def test_a_late_mail_on_the_morning_of_the_weekly_one_is_not_sent() -> None:
    """T-7, T-16: the weekly mail names the contract that is late, and is that day's mail about it."""
    story, alone = held(utc(2026, 10, 7, 8)), held(utc(2026, 10, 7, 8))  # late from Friday on
    story.state = replace(story.state, report_count=3)
    for one in (story, alone):
        one.until(one.now + 8 * DAY)
    late = [[f"{m.snapshot_at:%a}" for m in one.mails("contract_reminder") if m.number > 2] for one in (story, alone)]
    assert late == [["Tue", "Wed"], ["Mon", "Tue", "Wed"]]
    assert [f"{m.due_at:%a}" for m in story.mails("weekly")] == ["Mon"]
    assert story.session("c1").state is SessionState.UNFINISHED
