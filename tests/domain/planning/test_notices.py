"""Which mail is due when, and whether it still holds when it leaves (T-5, T-6, T-7; R-11, R-12, R-15, R-17, R-20)."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from itertools import pairwise
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pairs import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SAM,
    Story,
    booked,
    commitment_of,
    pair_of,
    person,
    session_of,
    state_of,
    utc,
)
from worker.domain.model import (
    CommitmentStanding,
    Dated,
    EffectProgress,
    Meeting,
    Owner,
    Person,
    ReviewMode,
    SessionKind,
    SessionState,
    Span,
    Topic,
    Trigger,
)
from worker.domain.planning import actions, notices
from worker.domain.planning.notices import (
    NOTE_MIN_LEAD,
    brief_at,
    list_late_reminder_times,
    list_reminder_times,
    note_at,
    prompt_at,
    remind_at,
)
from worker.domain.time.worktime import add_working_days, get_local_date, is_working_day, list_spells

START = utc(2026, 9, 28, 8)
END = START + 75 * MINUTE


def local(instant: datetime, who: Person) -> str:
    return f"{instant.astimezone(ZoneInfo(who.zone)):%a %Y-%m-%d %H:%M}"


def sent_at(story: Story, name: str) -> list[datetime]:
    return [m.snapshot_at for m in story.mails(name)]


# --- the wall clock ---

#: Zones that change their clocks near the day, that are a half or three quarters of an hour off, or that skip midnight.
CLOCKS = [
    ("Europe/London", "GB", utc(2026, 3, 31, 9), "Thu 2026-03-26 09:00", utc(2026, 3, 26, 9)),  # before summer time
    ("Europe/London", "GB", utc(2026, 10, 28, 9), "Fri 2026-10-23 09:00", utc(2026, 10, 23, 8)),
    ("America/New_York", "US", utc(2027, 3, 17, 15), "Fri 2027-03-12 09:00", utc(2027, 3, 12, 14)),
    ("America/New_York", "US", utc(2027, 3, 18, 15), "Mon 2027-03-15 09:00", utc(2027, 3, 15, 13)),
    ("America/St_Johns", "CA-NL", utc(2026, 11, 5, 15), "Mon 2026-11-02 09:00", utc(2026, 11, 2, 12, 30)),
    ("Australia/Lord_Howe", "AU", utc(2026, 10, 7, 2), "Fri 2026-10-02 09:00", utc(2026, 10, 1, 22, 30)),
    ("Australia/Lord_Howe", "AU", utc(2026, 10, 9, 2), "Tue 2026-10-06 09:00", utc(2026, 10, 5, 22)),
    ("Asia/Kathmandu", "NP", utc(2026, 9, 24, 5), "Mon 2026-09-21 09:00", utc(2026, 9, 21, 3, 15)),
    ("America/Sao_Paulo", "BR", utc(2026, 9, 24, 14), "Mon 2026-09-21 09:00", utc(2026, 9, 21, 12)),
    ("Pacific/Apia", "WS", utc(2026, 9, 24, 20), "Tue 2026-09-22 09:00", utc(2026, 9, 21, 20)),
]


@pytest.mark.parametrize(("zone", "country", "start", "expected", "instant"), CLOCKS)
def test_the_prompt_is_due_at_nine_three_working_days_before(
    zone: str, country: str, start: datetime, expected: str, instant: datetime
) -> None:
    """T-5: on the report's clocks, whatever they did in between."""
    sam = person("Sam", zone, country)
    at = prompt_at(sam, start)
    assert at == instant
    assert local(at, sam) == expected


def test_the_brief_is_due_at_nine_one_working_day_before() -> None:
    """T-6: on the manager's clocks; over a weekend and a holiday."""
    dana = person("Dana", "Europe/London", "GB-ENG")
    assert brief_at(dana, utc(2027, 3, 30, 9)) == utc(2027, 3, 25, 9)  # Good Friday, a weekend, Easter Monday
    assert brief_at(dana, utc(2026, 3, 30, 9)) == utc(2026, 3, 27, 9)  # summer time began on the Sunday
    assert brief_at(person("Dana", hours="Tue,Thu 09:00-17:00"), utc(2026, 9, 29, 9)) == utc(2026, 9, 24, 7)


def test_the_note_before_a_review_is_due_at_eight_on_the_day() -> None:
    """T-9: the manager's day, also where that day began before the UTC one."""
    dana = person("Dana", "Pacific/Auckland", "NZ")
    assert note_at(dana, utc(2026, 9, 27, 22)) == utc(2026, 9, 27, 19)


def test_the_note_before_an_early_review_is_due_on_the_working_day_before() -> None:
    """T-9, R-7: eight o'clock is too late for a 1:1 at eight; on a Monday it comes on Friday."""
    assert note_at(DANA, utc(2026, 9, 28, 6)) == utc(2026, 9, 25, 6)
    assert note_at(DANA, utc(2026, 9, 28, 6, 30)) == utc(2026, 9, 28, 6)


@settings(max_examples=60, deadline=None)
@given(
    st.sampled_from([(zone, country) for zone, country, *_ in CLOCKS]),
    st.sampled_from(["Mon-Fri 09:00-17:00", "Mon,Wed 08:00-12:00", "Tue-Thu 22:00-06:00", "Sun-Thu 10:00-18:00"]),
    st.integers(0, 366 * 96),
)
def test_mails_ahead_are_at_a_round_hour_of_a_working_day(where: tuple[str, str], hours: str, quarter: int) -> None:
    """T-5, T-6, T-9: for anybody, for any start."""
    who = person("Sam", *where, hours=hours)
    start = utc(2026, 1, 1) + quarter * 15 * MINUTE
    day = get_local_date(who.zone, start)
    for at, clock, before in ((prompt_at(who, start), "09:00", 3), (brief_at(who, start), "09:00", 1)):
        assert local(at, who).endswith(clock)
        assert add_working_days(who, get_local_date(who.zone, at), before) == _on_or_after(who, day)
    note = note_at(who, start)
    assert local(note, who).endswith("08:00") and start - note >= NOTE_MIN_LEAD
    assert get_local_date(who.zone, note) == day or local(start, who)[-5:] < "08:30"


def _on_or_after(who: Person, day: date) -> date:
    """A session may stand on a day off when a human put it there: then the working days before it count."""
    return day if is_working_day(who, day) else add_working_days(who, day, 1)


# --- ahead of a session ---


def test_prompt_and_brief_leave_once_at_their_hour() -> None:
    """T-5, T-6, R-11, R-12: to the report the one, to the manager the other."""
    story = booked()
    story.until(story.next.span.end)
    assert [(m.to, m.snapshot_at) for m in story.mails("reflection_prompt")] == [(SAM.email, utc(2026, 9, 23, 8))]
    assert [(m.to, m.snapshot_at) for m in story.mails("brief")] == [(DANA.email, utc(2026, 9, 25, 7))]


def test_an_ad_hoc_session_is_prepared_at_once() -> None:
    """T-5, T-14: booked later than three working days before, the prompt leaves as soon as the event stands."""
    story = booked()
    story.say(lambda p: actions.request_talk(p, Trigger.LEAVING))
    story.until(NOW + 2 * MINUTE)
    adhoc = next(s for s in story.of_kind(SessionKind.CAREER) if s.adhoc)
    assert [m.subject for m in story.mails("reflection_prompt")] == [adhoc.id]
    assert sent_at(story, "reflection_prompt") == [NOW + MINUTE]


@pytest.mark.parametrize(
    ("left", "prompts", "briefs"),
    [(4 * HOUR, 1, 1), (4 * HOUR - MINUTE, 0, 1), (HOUR, 0, 1), (HOUR - MINUTE, 0, 0)],
)
def test_preparation_that_would_come_too_late_does_not_come(left: timedelta, prompts: int, briefs: int) -> None:
    """T-5: at least four hours have to remain."""
    start = utc(2026, 9, 28, 8)
    story = Story(state=state_of(session_of(start)), now=start - left)
    story.tick()
    assert len(story.mails("reflection_prompt")) == prompts
    assert len(story.mails("brief")) == briefs


def test_nobody_is_asked_to_prepare_for_what_is_not_on_the_calendar() -> None:
    """T-5: the mail waits for the event."""
    story = booked()
    story.refuses = True
    story.say(lambda p: actions.request_talk(p, Trigger.LEAVING))
    story.until(NOW + 4 * MINUTE)
    assert story.mails("reflection_prompt") == []
    story.refuses = False
    story.until(NOW + 10 * MINUTE)
    assert len(story.mails("reflection_prompt")) == 1


@pytest.mark.parametrize(("days", "prompts"), [(14, 1), (15, 2), (-1, 1)])
def test_the_prompt_comes_again_only_when_the_session_moved_far(days: int, prompts: int) -> None:
    """T-5: by more than 14 days after it went out."""
    story = booked(Story(pair_of(start=date(2026, 7, 1))))
    start = story.next.span.start
    story.at(utc(2026, 9, 25, 8))
    assert len(story.mails("reflection_prompt")) == 1
    story.move(story.next, start + days * DAY, 75)
    assert story.next.by_hand
    story.until(story.next.span.end)
    assert len(story.mails("reflection_prompt")) == prompts


def test_a_session_that_moves_before_its_prompt_gets_one_prompt() -> None:
    """T-5."""
    story = booked()
    story.move(story.next, story.next.span.start - 10 * DAY, 75)
    story.until(story.next.span.end)
    assert len(story.mails("reflection_prompt")) == 1
    assert sent_at(story, "reflection_prompt") == [utc(2026, 9, 15, 8)]


def test_check_ins_need_no_preparation() -> None:
    """R-7: informal."""
    story = booked()
    story.say(actions.request_check_in)
    (check_in,) = story.of_kind(SessionKind.CHECKIN)
    story.until(check_in.span.end + DAY)
    assert [m for m in story.state.effects if m.subject == check_in.id and m.name] == []
    assert story.session(check_in.id).state is SessionState.HELD


def test_both_are_introduced_once() -> None:
    """R-23: what this is and who can read what, when the first session stands."""
    story = booked()
    assert {m.to for m in story.mails("introduction")} == {DANA.email, SAM.email}
    story.until(NOW + 200 * DAY)
    assert len(story.mails("introduction")) == 2


def test_nobody_is_introduced_to_what_is_not_there() -> None:
    story = Story()
    story.calendars.unavailable = {SAM.email}
    story.tick()
    assert story.mails("introduction") == []


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
    assert notices.find_contract_deadline(DANA, story.session("c1")) == story.now + 48 * HOUR


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
    assert [(m.number, local(m.snapshot_at, DANA)) for m in story.mails("contract_reminder")] == [
        (1, "Tue 2026-09-29 09:00"),
        (2, "Wed 2026-09-30 09:00"),
        (3, "Thu 2026-10-01 10:00"),
        (4, "Fri 2026-10-02 10:00"),
        (5, "Mon 2026-10-05 10:00"),
    ]
    unfinished = next(d for d in story.told if d.fields.get("state") == "unfinished")
    assert local(unfinished.at, DANA) == "Tue 2026-10-06 10:00"
    assert story.session("c1").state is SessionState.UNFINISHED
    assert len(story.mails("contract_request")) == 1


def test_once_the_contract_is_there_nobody_is_reminded() -> None:
    """T-7."""
    story = held()
    story.at(story.now + 23 * HOUR)
    story.say(lambda p: actions.record_contract(p, p.sessions["c1"], [], 1))
    story.until(utc(2026, 10, 20))
    assert len(story.mails("contract_reminder")) == 1
    assert story.session("c1").state is SessionState.CONTRACTED


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        (utc(2026, 9, 25, 13, 45), []),  # a Friday, over at 17:00: the 48 hours hold no working time
        (utc(2026, 9, 25, 8), [(2, "Fri 2026-09-25 17:00")]),  # over at 11:15: two are four hours apart, or one
        (utc(2026, 9, 25, 5, 30), [(1, "Fri 2026-09-25 12:45"), (2, "Fri 2026-09-25 17:00")]),
        (utc(2026, 9, 24, 8), [(1, "Fri 2026-09-25 09:00"), (2, "Fri 2026-09-25 17:00")]),
        (utc(2026, 9, 27, 18), [(1, "Mon 2026-09-28 15:15"), (2, "Tue 2026-09-29 17:00")]),  # a Sunday, put by hand
    ],
)
def test_reminders_stay_inside_working_hours(start: datetime, expected: list[tuple[int, str]]) -> None:
    """T-7: fewer when the two days hold less working time than that."""
    story = held(start)
    story.until(story.now + 48 * HOUR)
    assert [(m.number, local(m.snapshot_at, DANA)) for m in story.mails("contract_reminder")] == expected


def test_late_mails_come_on_working_days() -> None:
    """T-7: three of them after a Friday evening, over a public holiday in Germany."""
    story = held(utc(2026, 9, 30, 13))
    story.until(utc(2026, 10, 30))
    after = [local(m.snapshot_at, DANA) for m in story.mails("contract_reminder") if m.number > 2]
    assert after == ["Mon 2026-10-05 10:00", "Tue 2026-10-06 10:00", "Wed 2026-10-07 10:00"]


def test_a_program_that_slept_does_not_catch_up_on_reminders() -> None:
    """T-7: of several that are overdue only the last makes sense."""
    story = held()
    story.now = utc(2026, 10, 2, 12)
    story.tick()
    assert [m.number for m in story.mails("contract_reminder")] == [4]


def test_a_program_that_slept_over_the_deadline_does_not_speak_as_if_it_were_to_come() -> None:
    """T-7: the second reminder is due until two hours before the deadline, the first late mail not yet."""
    story = held()
    story.now = notices.find_contract_deadline(DANA, story.session("c1")) - HOUR
    story.tick()
    assert story.mails("contract_reminder") == []


def test_a_session_said_to_have_ended_at_another_time_is_asked_for_anew() -> None:
    """T-7: what counts from the end counts from the real one."""
    story = held()
    end = story.now - 30 * MINUTE
    story.say(lambda p: actions.record_held(p, p.sessions["c1"], end))
    assert [m.start for m in story.mails("contract_request")] == [story.now, end]


WEEKS = ["Mon-Fri 09:00-17:00", "Mon-Thu 22:00-06:00", "Mon,Wed 08:00-12:00,13:00-15:00", "Sat 10:00-11:00"]


@settings(max_examples=80, deadline=None)
@given(
    st.sampled_from([(zone, country) for zone, country, *_ in CLOCKS]),
    st.sampled_from(WEEKS),
    st.integers(0, 366 * 96),
)
def test_reminders_are_inside_working_hours_and_before_the_deadline(
    where: tuple[str, str], hours: str, quarter: int
) -> None:
    """T-7: for anybody, for any end; the last at least two hours before the deadline."""
    dana = person("Dana", *where, hours=hours)
    end = utc(2026, 1, 1) + quarter * 15 * MINUTE
    found = list_reminder_times(dana, end, end + 48 * HOUR)
    assert len(found) <= 2
    assert list(found) == sorted(set(found))
    for at in found:
        day = get_local_date(dana.zone, at)
        assert any(span.start <= at <= span.end for n in (0, 1) for span in list_spells(dana, day - n * DAY))
        assert end + 4 * HOUR <= at <= end + 46 * HOUR
    assert all(second - first >= 4 * HOUR for first, second in pairwise(found))
    afterwards = list_late_reminder_times(dana, end + 48 * HOUR)
    assert [local(at, dana)[-5:] for at in afterwards] == ["10:00"] * 4
    assert all(is_working_day(dana, get_local_date(dana.zone, at)) for at in afterwards)
    assert afterwards[0] > end + 48 * HOUR - DAY
    assert get_local_date(dana.zone, afterwards[0]) > get_local_date(dana.zone, end + 48 * HOUR)


def test_with_eight_hours_of_work_a_day_there_are_always_two() -> None:
    """T-7: from Monday to Thursday."""
    for quarter in range(4 * 96):
        end = utc(2026, 9, 7) + quarter * 15 * MINUTE
        assert len(list_reminder_times(DANA, end, end + 48 * HOUR)) == 2, end


@pytest.mark.parametrize(
    ("recorded", "until", "expected"),
    [
        # 26 minutes before the 48 hours end
        (utc(2026, 9, 30, 8, 49), "Thu 2026-10-01 10:49", [(2, "Wed 2026-09-30 17:00")]),
        (utc(2026, 10, 2, 14), "Mon 2026-10-05 16:00", [(1, "Mon 2026-10-05 09:00"), (2, "Mon 2026-10-05 13:45")]),
        (utc(2026, 9, 28, 16), "Wed 2026-09-30 11:15", [(1, "Tue 2026-09-29 12:00"), (2, "Wed 2026-09-30 09:00")]),
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
    story.say(lambda p: actions.record_held(p, p.sessions["c1"], session.span.end))
    story.tick()
    by = notices.find_contract_deadline(DANA, story.session("c1"))
    assert local(by, DANA) == until
    assert [m.snapshot_at for m in story.mails("contract_request")] == [recorded]
    story.until(by)
    mails = [m for m in story.mails("contract_reminder") if m.number < 3]
    assert all(b - a >= 4 * HOUR for a, b in pairwise([recorded, *(m.snapshot_at for m in mails)]))
    assert all(by - m.snapshot_at >= 2 * HOUR for m in mails)
    assert [local(m.snapshot_at, DANA) for m in mails][-1] == expected[-1][1]


def test_a_session_taken_as_held_after_a_long_sleep_leaves_a_working_day() -> None:
    """T-7: a program that slept over the end says so a day after; nobody is asked and reminded in one minute."""
    session = session_of(START, by_hand=True)
    story = Story(state=state_of(session), now=START)
    story.tick()
    story.now = session.span.end + 47 * HOUR
    story.tick()
    assert (len(story.mails("contract_request")), story.mails("contract_reminder")) == (1, [])
    assert notices.find_contract_deadline(DANA, story.session("c1")) == story.now + 24 * HOUR
    story.until(story.now + 24 * HOUR)
    assert [m.number for m in story.mails("contract_reminder")] != []


def test_a_request_that_could_not_leave_is_not_followed_by_a_reminder_at_once() -> None:
    """T-7: while mail is out of order, request and reminder do not pile up to leave together."""
    story = held()
    waiting = story.mails("contract_request")[0]
    story.state = replace(story.state, effects=(replace(waiting, progress=EffectProgress.WAITING),))
    first, second = list_reminder_times(DANA, story.now, story.now + 48 * HOUR)
    story.now = first
    later = story.plan()
    assert not [m for m in later.effects if m.name == "contract_reminder"]
    assert later.due_at == first + 4 * HOUR < second


# --- commitments ---


def test_what_is_due_is_said_at_nine_on_the_day() -> None:
    """R-20: to whoever owes it, in their own zone, manager and report alike."""
    due = date(2026, 9, 15)
    mine, yours = commitment_of(due), commitment_of(due, Owner.REPORT, id="p2")
    story = Story(state=state_of(commitments=(mine, yours)))
    story.until(utc(2026, 9, 20))
    found = {m.to: local(m.snapshot_at, DANA if m.to == DANA.email else SAM) for m in story.mails("commitment_due")}
    assert found == {DANA.email: "Tue 2026-09-15 09:00", SAM.email: "Tue 2026-09-15 09:00"}


def test_what_is_due_on_a_day_off_is_said_the_working_day_before() -> None:
    """R-20: 3 October is a holiday in Germany and a Saturday."""
    assert remind_at(DANA, date(2026, 10, 3)) == utc(2026, 10, 2, 7)
    assert remind_at(SAM, date(2026, 9, 13)) == utc(2026, 9, 11, 8)


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
    story.at(utc(2026, 9, 15, 12))
    moved = Dated(id="p1", owner=Owner.MANAGER, due=date(2026, 9, 22))
    story.say(lambda p: actions.record_contract(p, p.sessions["c1"], [moved], 2))
    story.until(utc(2026, 9, 30))
    assert [m.start for m in story.mails("commitment_due")] == [utc(2026, 9, 15), utc(2026, 9, 22)]


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


def test_a_review_that_goes_to_next_weeks_1on1_has_a_note_on_its_own_day() -> None:
    """T-9, R-7: the one of that morning spoke of a 1:1 that was cancelled since."""
    near, far = utc(2026, 10, 27, 13), utc(2026, 11, 3, 13)
    review = session_of(near, kind=SessionKind.REVIEW, minutes=25, sequence=0, id="r1")
    meetings = tuple(Meeting(pair=pair_of().id, span=Span(at, at + HOUR / 2)) for at in (near, far))
    pair = pair_of(review=ReviewMode.IN_1ON1)
    state = replace(state_of(review, placed_events={}), pair=pair, meetings=meetings)
    story = Story(state=state, now=near - 5 * HOUR)
    story.tick()
    assert len(story.mails("review_note")) == 1
    story.state = replace(story.state, meetings=meetings[1:])
    story.until(far)
    assert [m.start for m in story.mails("review_note")] == [near, far]


def test_an_introduction_that_was_dropped_comes_when_the_pair_goes_on() -> None:
    """R-23: nobody is left without having been told who can read what."""
    story = booked()
    story.state = replace(
        story.state,
        effects=tuple(
            replace(m, progress=EffectProgress.DROPPED) if m.name == "introduction" else m for m in story.state.effects
        ),
    )
    story.at(story.now + HOUR)
    assert {m.to for m in story.mails("introduction")} == {DANA.email, SAM.email}
