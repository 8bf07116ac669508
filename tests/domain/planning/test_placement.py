"""How owed sessions are placed.

T-1 is about their lengths, T-2 about possible times, T-3 about windows and the best time in one, T-4 about full
windows, T-10 about the new time of a deferred session, T-15 about sessions booked ahead.
"""

from datetime import date, timedelta
from itertools import pairwise

import pytest

from tests.support.pairs import (
    BOTH_PEOPLE,
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    OTHER_PAIR,
    SAM,
    WEEK,
    count_shared_days,
    format_local,
    pair_of,
    person,
    session_of,
    state_of,
    utc,
)
from tests.support.stories import Story, booked_story, changes_nothing, decide, fill_days, leave_daily_gap
from worker.domain.model import (
    Answer,
    EffectKind,
    EffectProgress,
    FreeBusy,
    FreeBusyRequest,
    FreeBusySnapshot,
    Person,
    Policy,
    Preference,
    SessionKind,
    SessionState,
    Span,
    TakenTime,
    Trigger,
)
from worker.domain.planning import actions
from worker.domain.planning.planner import plan
from worker.domain.reason_texts import format_reasons

# --- free/busy that a plan needs ---


def test_plan_without_free_busy_requests_it_and_changes_nothing() -> None:
    """A plan without free/busy requests it for both people, until the buffer after the end of the window has passed.

    The request begins four weeks ago, because earlier free/busy shows long absences (T-16).
    """
    story = Story()
    first_plan = plan(NOW, story.state, snapshot=None, policy=Policy())
    assert first_plan.needed_free_busy is not None
    assert set(first_plan.needed_free_busy.people) == {DANA.email, SAM.email}
    assert first_plan.needed_free_busy.window.start == NOW - 4 * WEEK
    end_of_window = utc(2026, 9, 21, 12) + 3 * WEEK  # the target is in two weeks, the window ends three weeks later
    assert first_plan.needed_free_busy.window.end == end_of_window + 15 * MINUTE
    assert first_plan.is_empty
    assert not first_plan.used_free_busy


def test_plan_does_not_request_free_busy_of_a_person_without_calendar() -> None:
    """Such a person's working hours count as free, and the reason of the decision says so."""
    story = Story(report=person("Sam", "Europe/London", "GB", calendar="none"))
    first_plan = plan(NOW, story.state, snapshot=None, policy=Policy())
    assert first_plan.needed_free_busy is not None
    any_window = first_plan.needed_free_busy.window
    assert first_plan.needed_free_busy == FreeBusyRequest((DANA.email,), any_window, includes_taken=True)
    story.tick()
    assert "Sam's calendar can't be read" in story.decisions[0].reason


def test_plan_requests_free_busy_again_when_it_covers_too_little() -> None:
    """The free/busy that was read covers one day, and the window is longer."""
    state = state_of(taken_times={DANA.email: (), SAM.email: ()})
    one_day = Span(NOW, NOW + DAY)
    free_calendar = FreeBusy()
    snapshot = FreeBusySnapshot(
        windows={DANA.email: one_day, SAM.email: one_day},
        free_busy={DANA.email: free_calendar, SAM.email: free_calendar},
    )
    second_plan = plan(NOW, state, snapshot, Policy())
    assert second_plan.needed_free_busy is not None
    assert second_plan.needed_free_busy.window.end > one_day.end


def test_session_at_the_end_of_its_window_keeps_the_buffer_after_it() -> None:
    """T-2: Dana is free for the last 90 minutes of the window only and has a meeting right after it."""
    story = Story()
    end_of_window = utc(2026, 10, 12, 12)
    fill_days(story, DANA, NOW.date(), days=35)
    story.calendars.book(DANA, utc(2026, 10, 12), end_of_window - 90 * MINUTE)
    story.calendars.book(DANA, end_of_window, end_of_window + DAY)
    story.tick()
    assert story.next.span == Span(end_of_window - 75 * MINUTE, end_of_window - 15 * MINUTE)


@pytest.mark.parametrize("unavailable_person", BOTH_PEOPLE, ids=lambda participant: participant.name)
def test_unavailable_free_busy_is_requested_again_after_five_minutes(unavailable_person: Person) -> None:
    """T-4: until then nothing is decided and no mail is sent."""
    story = Story()
    story.calendars.unavailable = {unavailable_person.email}
    first_plan = story.tick()
    assert (first_plan.effects, first_plan.decisions) == ((), ())
    assert story.due == NOW + 5 * MINUTE
    assert story.state.free_busy_used_at is None
    story.calendars.unavailable = set()
    story.until(NOW + 5 * MINUTE)
    assert story.next.booked


def test_session_with_an_unknown_calendar_is_unplaceable() -> None:
    """T-2, T-4: unknown time is never free, and both people get the reason by mail."""
    story = Story()
    story.calendars.unknown[SAM.email] = "no access"
    story.tick()
    assert "Sam's calendar is unknown (no access)" in format_reasons(story.next.unplaceable or ())
    assert [m.to for m in story.mails("unplaceable")] == [DANA.email, SAM.email]


# --- T-1: lengths ---


def test_session_has_the_length_of_the_pair() -> None:
    """T-1, R-1: 75 minutes, or the length in the people file."""
    assert booked_story().next.span.minutes == 75
    assert booked_story(Story(pair_of(minutes=90))).next.span.minutes == 90


@pytest.mark.parametrize(("gap_minutes", "expected_minutes"), [(105, 75), (100, 60), (90, 60), (89, 0)])
def test_a_session_is_shortened_by_15_minutes_at_a_time_down_to_60(gap_minutes: int, expected_minutes: int) -> None:
    """T-1, T-2: the buffer of 15 minutes stays free on each side, and no session is shorter than 60 minutes.

    Zero stands for a session without a time.
    """
    story = Story()
    leave_daily_gap(story, minutes=gap_minutes)
    story.tick()
    minutes = story.next.span.minutes if story.next.booked else 0
    assert minutes == expected_minutes
    if expected_minutes == 60:
        assert "60 minutes, because no 75 fit" in story.decisions[0].reason


def test_90_minute_session_is_shortened_to_75_before_60() -> None:
    """T-1: the daily gap of 105 minutes holds 75 minutes and two buffers."""
    story = Story(pair_of(minutes=90))
    leave_daily_gap(story, minutes=105)
    story.tick()
    assert story.next.span.minutes == 75


def test_full_length_late_in_the_window_wins_over_a_shorter_session_at_the_target() -> None:
    """T-1: a session is shortened only when its full length fits nowhere in the window."""
    story = Story()
    leave_daily_gap(story, minutes=90, days=22)  # up to and with the target day
    story.tick()
    assert story.next.span.minutes == 75
    assert story.next.span.start >= utc(2026, 9, 29)


# --- T-2, T-3 ---


def test_regular_session_begins_two_working_days_from_now_at_the_earliest() -> None:
    """The window is nearly over on a Monday, so that the first possible day is Wednesday."""
    story = booked_story(Story(pair_of(start=NOW.date() - 34 * DAY)))
    assert story.next.span.start.date() == date(2026, 9, 9)


def test_taken_time_of_another_pair_counts_as_busy() -> None:
    """T-2: taken time counts before any calendar shows it.

    A manager has at most one career session a day; a review of another pair takes only its own time and the buffer.
    """
    story = booked_story()
    first_span = story.next.span
    story_after_career = Story()
    story_after_career.calendars.taken = {DANA.email: (TakenTime(first_span, "c9", SessionKind.CAREER, OTHER_PAIR),)}
    booked_story(story_after_career)
    assert story_after_career.next.span.start.date() != first_span.start.date()
    story_after_review = Story()
    story_after_review.calendars.taken = {DANA.email: (TakenTime(first_span, "r9", SessionKind.REVIEW, OTHER_PAIR),)}
    booked_story(story_after_review)
    assert story_after_review.next.span.start.date() == first_span.start.date()
    assert not story_after_review.next.span.overlaps(Span(first_span.start - 15 * MINUTE, first_span.end + 15 * MINUTE))


def test_ad_hoc_session_is_not_placed_on_the_day_of_the_regular_session() -> None:
    """T-2, T-14: the pair's own sessions count as taken time."""
    story = booked_story()
    story.until(story.next.span.start - 3 * DAY)
    regular = story.next
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    adhoc = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert adhoc.booked
    assert adhoc.span.start.date() != regular.span.start.date()


def test_session_held_today_is_the_only_career_session_of_the_day() -> None:
    """T-2: a manager has one career session a day, with the same report or with another."""
    story = booked_story()
    held_span = story.next.span
    story.until(held_span.end)
    story.tick()
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.LEAVING))
    adhoc_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert adhoc_session.span.start.date() > held_span.start.date()
    other_story = Story(now=held_span.end)
    other_story.calendars.taken = {DANA.email: (TakenTime(held_span, "c9", SessionKind.CAREER, OTHER_PAIR),)}
    other_story.tick()
    other_story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.LEAVING))
    assert all(s.span.start.date() > held_span.start.date() for s in other_story.sessions_of_kind(SessionKind.CAREER))


def test_session_takes_the_preferred_weekday_and_hour_of_the_pair() -> None:
    """T-3: the preference is in the time zone of the report."""
    story = booked_story(Story(pair_of(preference=Preference(weekday=1, minute=14 * 60))))
    assert story.next.span.start == utc(2026, 9, 22, 13)  # Tuesday, 14:00 in London


def test_decision_names_the_reason_for_its_time_slot() -> None:
    """T-3: the best time is on the target day, if nothing speaks against it."""
    story = booked_story()
    assert "is the target day" in story.decisions[0].reason
    assert story.decisions[0].session == story.next.id


# --- T-10: the windows of a deferred session ---


def test_t10_deferred_session_is_placed_near_its_lost_time() -> None:
    """T-10, R-8: the new time is as near to the lost one as possible.

    It is at most five working days before it and ten after it.
    """
    story = booked_story()
    lost_start = story.next.span.start
    story.now = NOW + 2 * DAY
    story.decline(story.next)
    assert abs(story.next.span.start - lost_start) <= 2 * DAY
    fill_days(story, SAM, lost_start.date() - WEEK, days=11)
    lost_start = story.next.span.start
    story.decline(story.next)
    assert 3 <= count_shared_days(lost_start, story.next.span.start) <= 10


def test_t10_session_that_loses_a_distant_time_is_not_moved_forward() -> None:
    """T-10: a session of November that is declined in September stays in November."""
    lost_start = NOW + 80 * DAY + 4 * HOUR  # 26 November
    quarter_before = lost_start - 13 * WEEK
    previous = session_of(quarter_before, id="c0", cycle=1, state=SessionState.CONTRACTED, held_at=quarter_before)
    story = Story(state=state_of(previous, session_of(lost_start, id="c1", cycle=2)))
    fill_days(story, SAM, (lost_start - 5 * DAY).date(), days=9)
    story.tick()
    story.decline(story.session("c1"))
    assert story.session("c1").span.start >= lost_start - WEEK  # five working days


def test_t10_deferred_session_is_at_least_half_a_rhythm_after_the_previous_one() -> None:
    """T-10: the pair does not meet twice in one month."""
    previous = session_of(NOW - 5 * WEEK, id="c0", cycle=1, state=SessionState.CONTRACTED, held_at=NOW - 5 * WEEK)
    early_session = session_of(NOW + 8 * DAY + 4 * HOUR, id="c1", cycle=2, by_hand=True)
    story = Story(state=state_of(previous, early_session))
    story.tick()
    story.decline(story.session("c1"))
    assert story.session("c1").span.start >= NOW - 5 * WEEK + 45 * DAY  # half of the 91 days of the rhythm


@pytest.mark.parametrize(("full_days", "least", "most"), [(15, 11, 20), (9, 1, 10)])
def test_search_for_a_deferred_session_extends_to_twenty_days_when_ten_are_full(
    full_days: int, least: int, most: int
) -> None:
    """T-10: the session keeps its full length.

    Sam is busy until `full_days` calendar days after the lost time. `least` and `most` count working days of both.
    """
    story = booked_story()
    lost_start = story.next.span.start
    fill_days(story, SAM, date(2026, 9, 7), days=(lost_start.date() - date(2026, 9, 7)).days + full_days)
    story.decline(story.next)
    assert least <= count_shared_days(lost_start, story.next.span.start) <= most
    assert story.next.span.minutes == 75


def test_deferred_session_is_shortened_to_60_minutes_when_twenty_days_are_full() -> None:
    """T-10, T-1: no gap in twenty working days holds 75 minutes."""
    story = booked_story()
    story.calendars.busy.clear()
    leave_daily_gap(story, minutes=90)
    story.decline(story.next)
    assert story.next.span.minutes == 60
    assert "60 minutes" in [d for d in story.decisions if d.what == "session"][-1].reason


def test_deferred_session_extends_its_window_before_it_is_shortened() -> None:
    """T-10: the full length in twenty days is tried before 60 minutes."""
    story = booked_story()
    leave_daily_gap(story, minutes=90, days=15)
    story.decline(story.next)
    assert story.next.span.minutes == 75
    assert count_shared_days(NOW, story.next.span.start) > 10


def test_session_never_returns_to_a_time_that_it_lost() -> None:
    """R-8: a person who declined Tuesday at ten is not invited to Tuesday at ten again."""
    story = Story(pair_of(start=date(2026, 1, 1)))
    booked_story(story)
    lost_spans: list[Span] = []
    for _ in range(4):
        lost_spans.append(story.next.span)
        story.decline(story.next)
        assert not any(story.next.span.overlaps(lost_span) for lost_span in lost_spans)


def test_deferred_session_moves_its_existing_event() -> None:
    """T-10, R-9: the guests get an update of one invitation, and no second one."""
    story = booked_story()
    declined = story.next
    decline_plan = story.decline(declined)
    assert [(effect.kind, effect.event, effect.start) for effect in decline_plan.effects if effect.event] == [
        (EffectKind.UPDATE, declined.key, declined.span.start)
    ]
    assert [event.span for event in story.our_events()] == [story.next.span]


# --- T-15 ---


@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_the_policy_gives_the_number_of_sessions_booked_ahead(ahead: int) -> None:
    """T-15, R-3: as many sessions are booked as the policy says, each in the window after the session before it."""
    story = booked_story(Story(policy=Policy(ahead=ahead)))
    for _ in range(2):
        booked_sessions = [s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked]
        assert len(booked_sessions) == ahead
        for earlier, later in pairwise(booked_sessions):
            # the target is 13 weeks later; its window begins two weeks before it and ends three weeks after it
            assert 11 * WEEK <= later.span.start - earlier.span.end <= 16 * WEEK
        story.until(booked_sessions[0].span.end)


def test_second_session_ahead_stays_when_the_first_is_closed() -> None:
    """T-15, T-3: the rhythm counts from when the first session was held, and not from when it was closed."""
    story = booked_story(Story(policy=Policy(ahead=2)))
    first, second = (s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked)
    story.until(first.span.end + 40 * DAY)
    assert story.session(first.id).state is SessionState.UNFINISHED
    assert story.session(second.id).span == second.span


# --- unusual states ---


def test_session_whose_event_was_never_created_gets_a_new_event_without_a_deferral() -> None:
    """R-8: the create was dropped as too old. The new event has another key."""
    session = session_of(NOW + 3 * WEEK)
    state_without_event = state_of(session, placed_events={})
    new_plan = decide(NOW, state_without_event, Story().calendars)
    assert new_plan.deferrals == ()
    (rebooked,) = new_plan.sessions
    assert (rebooked.state, rebooked.count, rebooked.generation) == (SessionState.BOOKED, 0, 2)
    assert [effect.kind for effect in new_plan.effects if effect.event] == [EffectKind.CREATE]


def test_t4_window_that_is_nearly_over_is_extended() -> None:
    """T-4: by three weeks at a time. The window ends tomorrow night."""
    owed_session = session_of(
        None, target=utc(2026, 9, 28, 12), earliest=NOW - DAY, latest=utc(2026, 9, 8, 22, 15), count=0
    )
    story = Story(pair_of(start=date(2026, 6, 29)), state=state_of(owed_session, pair=pair_of(start=date(2026, 6, 29))))
    story.tick()
    assert story.next.booked
    assert story.next.span.start <= owed_session.latest + 3 * WEEK


@pytest.mark.parametrize(("weeks", "booked"), [(10, True), (16, True), (28, False)])
def test_t4_window_is_extended_by_one_rhythm_at_most(weeks: int, *, booked: bool) -> None:
    """T-4: the unplaceable mail is sent only if no time fits within a quarter after the window.

    The window ends in five weeks, so that eighteen weeks are searched. Sam is busy for the first `weeks` of them.
    """
    story = Story()
    fill_days(story, SAM, date(2026, 9, 7), days=7 * weeks)
    story.tick()
    assert story.next.booked is booked
    assert bool(story.mails("unplaceable")) is not booked
    if booked:
        first_free_week = NOW + weeks * WEEK
        assert timedelta() <= story.next.span.start - first_free_week < 8 * DAY, (
            "the session did not take the first week that is not full"
        )


def test_t4_shorter_session_in_the_window_wins_over_a_longer_one_after_it() -> None:
    """T-4: every length is tried before the window is extended."""
    story = Story()
    leave_daily_gap(story, minutes=90, days=60)
    story.tick()
    assert story.next.span.minutes == 60
    assert story.next.span.start < NOW + 5 * WEEK  # the window ends in five weeks


def test_session_that_no_shift_can_hold_is_unplaceable() -> None:
    """T-4: Sam works 45 minutes a day; planning gives a reason and raises no error."""
    story = Story(report=person("Sam", "Europe/London", "GB", hours="Mon-Fri 23:00-23:45"))
    story.tick()
    assert story.next.unplaceable


def test_t10_deferred_session_moves_by_a_week_when_the_pair_shares_one_weekday() -> None:
    """T-10: distances count Monday to Friday, whichever days the two work. Dana and Sam share only Wednesdays."""
    dana = person("Dana", hours="Mon-Wed 09:00-17:00")
    sam = person("Sam", "Europe/London", "GB", hours="Wed-Fri 09:00-17:00")
    story = booked_story(Story(manager=dana, report=sam))
    lost_start = story.next.span.start
    story.decline(story.next)
    assert abs(story.next.span.start - lost_start) == WEEK


def test_tentative_answer_does_not_defer_a_session() -> None:
    """T-10: only a declined invitation is a deferral."""
    story = booked_story()
    assert changes_nothing(story.change_event(story.next, answers={SAM.email: Answer.TENTATIVE}))


def test_effects_of_a_plan_are_due_at_once() -> None:
    """R-3: the event is created at the moment of the decision. A limited mail waits for mail hours (T-16)."""
    first_plan = Story().plan()
    assert {effect.progress for effect in first_plan.effects} == {EffectProgress.WAITING}
    assert {effect.due_at for effect in first_plan.effects if not effect.is_limited} == {NOW}
    assert {
        effect.name: format_local(effect.due_at, DANA) for effect in first_plan.effects if effect.to == DANA.email
    } == {"introduction": "Mon 2026-09-07 09:00"}
    assert {effect.decided_at for effect in first_plan.effects} == {NOW}
