"""Where owed sessions get their time (T-1, T-2, T-3, T-4, T-10, T-15)."""

from datetime import date
from itertools import pairwise

import pytest

from tests.support.pairs import (
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

TWO = (DANA, SAM)


# --- asking ---


def test_planning_asks_for_what_it_lacks_and_nothing_else() -> None:
    """Without free/busy a plan is only a question: whose, and to the end of the window and of the buffer after it. What
    lies before now tells of absences (T-16)."""
    story = Story()
    made = plan(NOW, story.state, None, Policy())
    assert made.needed_free_busy is not None
    assert set(made.needed_free_busy.people) == {DANA.email, SAM.email}
    assert made.needed_free_busy.window.start == NOW - 4 * WEEK
    end_of_window = utc(2026, 9, 21, 12) + 3 * WEEK  # its turn in two weeks, three after that
    assert made.needed_free_busy.window.end == end_of_window + 15 * MINUTE
    assert made.is_empty
    assert not made.used_free_busy


def test_a_calendar_nobody_can_read_is_not_asked_for() -> None:
    """Working hours count as free, and the reason says so."""
    story = Story(report=person("Sam", "Europe/London", "GB", calendar="none"))
    made = plan(NOW, story.state, None, Policy())
    assert made.needed_free_busy == FreeBusyRequest(
        (DANA.email,), made.needed_free_busy.window if made.needed_free_busy else Span(NOW, NOW), includes_taken=True
    )
    story.tick()
    assert "Sam's calendar can't be read" in story.decisions[0].reason


def test_a_look_that_is_too_short_is_asked_for_again() -> None:
    """The second pass: what was read covers less than what is needed."""
    state = state_of(taken_times={DANA.email: (), SAM.email: ()})
    short = Span(NOW, NOW + DAY)
    free = FreeBusy()
    seen = FreeBusySnapshot(
        windows={DANA.email: short, SAM.email: short}, free_busy={DANA.email: free, SAM.email: free}
    )
    made = plan(NOW, state, seen, Policy())
    assert made.needed_free_busy is not None
    assert made.needed_free_busy.window.end > short.end


def test_the_buffer_after_the_end_of_the_window_stays_free() -> None:
    """T-2: the session would fit to the end of its window, but Dana has a meeting right after that."""
    story = Story()
    end_of_window = utc(2026, 10, 12, 12)
    fill_days(story, DANA, NOW.date(), 35)
    story.calendars.book(DANA, utc(2026, 10, 12), end_of_window - 90 * MINUTE)
    story.calendars.book(DANA, end_of_window, end_of_window + DAY)
    story.tick()
    assert story.next.span == Span(end_of_window - 75 * MINUTE, end_of_window - 15 * MINUTE)


@pytest.mark.parametrize("who", TWO, ids=lambda one: one.name)
def test_somebody_who_can_t_be_asked_just_now_is_asked_again_soon(who: Person) -> None:
    """T-4: no reason to tell anybody anything."""
    story = Story()
    story.calendars.unavailable = {who.email}
    made = story.tick()
    assert (made.effects, made.decisions) == ((), ())
    assert story.due == NOW + 5 * MINUTE
    assert story.state.free_busy_used_at is None
    story.calendars.unavailable = set()
    story.until(NOW + 5 * MINUTE)
    assert story.next.booked


def test_unknown_availability_is_never_free() -> None:
    """T-2, T-4: whoever's calendar can't be read at all makes the session unplaceable, with the reason told."""
    story = Story()
    story.calendars.unknown[SAM.email] = "no access"
    story.tick()
    assert "Sam's calendar is unknown (no access)" in format_reasons(story.next.unplaceable or ())
    assert [m.to for m in story.mails("unplaceable")] == [DANA.email, SAM.email]


# --- T-1: lengths ---


def test_a_session_has_the_length_the_pair_wishes() -> None:
    """T-1, R-1: 75 minutes, or what the people file says."""
    assert booked_story().next.span.minutes == 75
    assert booked_story(Story(pair_of(minutes=90))).next.span.minutes == 90


@pytest.mark.parametrize(("free", "expected"), [(105, 75), (100, 60), (90, 60), (89, 0)])
def test_a_session_is_shortened_by_15_minutes_at_a_time_down_to_60(free: int, expected: int) -> None:
    """T-1, T-2: 15 minutes stay free on each side, and nothing is ever under 60."""
    story = Story()
    leave_daily_gap(story, free)
    story.tick()
    found = story.next.span.minutes if story.next.booked else 0
    assert found == expected
    if expected == 60:
        assert "60 minutes, because no 75 fit" in story.decisions[0].reason


def test_a_90_minute_session_tries_75_before_60() -> None:
    """T-1."""
    story = Story(pair_of(minutes=90))
    leave_daily_gap(story, 105)
    story.tick()
    assert story.next.span.minutes == 75


def test_the_full_length_later_in_the_window_beats_a_shorter_one_at_the_target() -> None:
    """T-1: it is shortened only when it doesn't fit."""
    story = Story()
    leave_daily_gap(story, 90, days=22)  # up to and with the target day
    story.tick()
    assert story.next.span.minutes == 75
    assert story.next.span.start >= utc(2026, 9, 29)


# --- T-2, T-3 ---


def test_a_regular_session_is_not_put_closer_than_two_working_days() -> None:
    """People need to see it coming: with a window that is nearly over on a Monday, it stands on Wednesday."""
    story = booked_story(Story(pair_of(start=NOW.date() - 34 * DAY)))
    assert story.next.span.start.date() == date(2026, 9, 9)


def test_the_time_of_other_pairs_counts_as_busy() -> None:
    """T-2: what is decided elsewhere and not yet on the calendar; and one career session a day of the manager's."""
    story = booked_story()
    first = story.next.span
    other = Story()
    other.calendars.taken = {DANA.email: (TakenTime(first, "c9", SessionKind.CAREER, OTHER_PAIR),)}
    booked_story(other)
    assert other.next.span.start.date() != first.start.date()
    review = Story()
    review.calendars.taken = {DANA.email: (TakenTime(first, "r9", SessionKind.REVIEW, OTHER_PAIR),)}
    booked_story(review)
    assert review.next.span.start.date() == first.start.date()
    assert not review.next.span.overlaps(Span(first.start - 15 * MINUTE, first.end + 15 * MINUTE))


def test_the_pair_s_own_sessions_count_as_taken() -> None:
    """T-2, T-14: an ad hoc conversation does not land on the day of the regular one."""
    story = booked_story()
    story.until(story.next.span.start - 3 * DAY)
    regular = story.next
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    adhoc = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert adhoc.booked
    assert adhoc.span.start.date() != regular.span.start.date()


def test_a_conversation_held_this_morning_counts_for_the_day() -> None:
    """T-2: one career session a day of the manager's, whether with the same report or with another."""
    story = booked_story()
    held = story.next.span
    story.until(held.end)
    story.tick()
    story.act(lambda p: actions.request_talk(p, Trigger.LEAVING))
    again = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    assert again.span.start.date() > held.start.date()
    other = Story(now=held.end)
    other.calendars.taken = {DANA.email: (TakenTime(held, "c9", SessionKind.CAREER, OTHER_PAIR),)}
    other.tick()
    other.act(lambda p: actions.request_talk(p, Trigger.LEAVING))
    assert all(s.span.start.date() > held.start.date() for s in other.sessions_of_kind(SessionKind.CAREER))


def test_the_pair_s_preference_is_weighed() -> None:
    """T-3: in the report's zone."""
    story = booked_story(Story(pair_of(preference=Preference(weekday=1, minute=14 * 60))))
    assert story.next.span.start == utc(2026, 9, 22, 13)  # Tuesday, 14:00 in London


def test_each_slot_says_why_it_won() -> None:
    """T-3."""
    story = booked_story()
    assert "is the target day" in story.decisions[0].reason
    assert story.decisions[0].session == story.next.id


# --- T-10: the windows of a deferred session ---


def test_t10_a_deferred_session_is_put_near_the_time_it_lost() -> None:
    """T-10, R-8: not before five working days earlier, nor later than ten after it; as near to it as there is room."""
    story = booked_story()
    lost = story.next.span.start
    story.now = NOW + 2 * DAY
    story.decline(story.next)
    assert abs(story.next.span.start - lost) <= 2 * DAY
    fill_days(story, SAM, lost.date() - WEEK, 11)
    lost = story.next.span.start
    story.decline(story.next)
    assert 3 <= count_shared_days(lost, story.next.span.start) <= 10


def test_t10_a_session_lost_long_ahead_is_not_pulled_forward() -> None:
    """T-10: declined in August, a conversation of November stays in November."""
    lost = NOW + 80 * DAY + 4 * HOUR
    held = session_of(lost - 91 * DAY, id="c0", cycle=1, state=SessionState.CONTRACTED, held_at=lost - 91 * DAY)
    story = Story(state=state_of(held, session_of(lost, cycle=2)))
    fill_days(story, SAM, (lost - 5 * DAY).date(), 9)
    story.tick()
    story.decline(story.session("c1"))
    assert story.session("c1").span.start >= lost - 7 * DAY


def test_t10_never_less_than_half_a_rhythm_after_the_last_conversation() -> None:
    """T-10: people who cleared their week of it don't meet twice in one month."""
    held = session_of(NOW - 5 * WEEK, id="c0", cycle=1, state=SessionState.CONTRACTED, held_at=NOW - 5 * WEEK)
    early = session_of(NOW + 8 * DAY + 4 * HOUR, id="c1", cycle=2, by_hand=True)
    story = Story(state=state_of(held, early))
    story.tick()
    story.decline(story.session("c1"))
    assert story.session("c1").span.start >= NOW - 5 * WEEK + 45 * DAY


@pytest.mark.parametrize(("full", "expected"), [(15, (10, 20)), (9, (0, 10))])
def test_it_looks_twenty_working_days_ahead_when_ten_are_full(full: int, expected: tuple[int, int]) -> None:
    """T-10."""
    story = booked_story()
    lost = story.next.span.start
    fill_days(story, SAM, date(2026, 9, 7), (lost.date() - date(2026, 9, 7)).days + full)
    story.decline(story.next)
    low, high = expected
    assert low < count_shared_days(lost, story.next.span.start) <= high
    assert story.next.span.minutes == 75


def test_then_it_is_shortened_to_60() -> None:
    """T-10, T-1: in twenty working days there is no room for 75 minutes."""
    story = booked_story()
    story.calendars.busy.clear()
    leave_daily_gap(story, 90)
    story.decline(story.next)
    assert story.next.span.minutes == 60
    assert "60 minutes" in [d for d in story.decisions if d.what == "session"][-1].reason


def test_a_longer_window_comes_before_a_shorter_session() -> None:
    """T-10: twenty days first, 60 minutes then."""
    story = booked_story()
    leave_daily_gap(story, 90, days=15)
    story.decline(story.next)
    assert story.next.span.minutes == 75
    assert count_shared_days(NOW, story.next.span.start) > 10


def test_the_time_just_lost_is_not_offered_again() -> None:
    """R-8: whoever declined Tuesday at ten is not asked to come on Tuesday at ten."""
    story = Story(pair_of(start=date(2026, 1, 1)))
    booked_story(story)
    seen: list[Span] = []
    for _ in range(4):
        seen.append(story.next.span)
        story.decline(story.next)
        assert not any(story.next.span.overlaps(lost) for lost in seen)


def test_the_same_event_is_moved_when_it_still_exists() -> None:
    """T-10, R-9: one invitation that changes, not two."""
    story = booked_story()
    before = story.next
    made = story.decline(before)
    assert [(m.kind, m.event, m.start) for m in made.effects if m.event] == [
        (EffectKind.UPDATE, before.key, before.span.start)
    ]
    assert [p.span for p in story.our_events()] == [story.next.span]


# --- T-15 ---


@pytest.mark.parametrize("ahead", [1, 2, 3])
def test_so_many_sessions_are_held_in_advance(ahead: int) -> None:
    """T-15, R-3: each within the window that the one before gives it."""
    story = booked_story(Story(policy=Policy(ahead=ahead)))
    for _ in range(2):
        coming = [s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked]
        assert len(coming) == ahead
        for earlier, later in pairwise(coming):
            assert 77 * DAY <= later.span.start - earlier.span.end <= 112 * DAY
        story.until(coming[0].span.end)


def test_two_ahead_stay_where_they_are_when_the_first_is_closed() -> None:
    """T-15, T-3: the rhythm still counts from what was held, however long that is closed."""
    story = booked_story(Story(policy=Policy(ahead=2)))
    first, second = (s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked)
    story.until(first.span.end + 40 * DAY)
    assert story.session(first.id).state is SessionState.UNFINISHED
    assert story.session(second.id).span == second.span


# --- odd states ---


def test_an_event_that_never_came_to_be_is_owed_again_and_no_deferral() -> None:
    """R-8: its message was dropped as too old; it is made anew under another key."""
    session = session_of(NOW + 3 * WEEK)
    state = state_of(session, placed_events={})
    made = decide(NOW, state, Story().calendars)
    assert made.deferrals == ()
    (again,) = made.sessions
    assert (again.state, again.count, again.generation) == (SessionState.BOOKED, 0, 2)
    assert [m.kind for m in made.effects if m.event] == [EffectKind.CREATE]


def test_t4_a_window_that_is_nearly_over_opens() -> None:
    """T-4: by three weeks at a time."""
    given = session_of(None, target=utc(2026, 9, 28, 12), earliest=NOW - DAY, latest=utc(2026, 9, 8, 22, 15), count=0)
    story = Story(pair_of(start=date(2026, 6, 29)), state=state_of(given, pair=pair_of(start=date(2026, 6, 29))))
    story.tick()
    assert story.next.booked
    assert story.next.span.start <= given.latest + 3 * WEEK


@pytest.mark.parametrize(("weeks", "booked"), [(10, True), (16, True), (28, False)])
def test_t4_the_window_opens_up_to_one_rhythm_past_its_end(weeks: int, *, booked: bool) -> None:
    """T-4: nobody is told that there is no time while there is some within a quarter after the window."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 7), 7 * weeks)
    story.tick()
    assert story.next.booked is booked
    assert bool(story.mails("unplaceable")) is not booked
    if booked:
        assert 0 <= (story.next.span.start - NOW).days - 7 * weeks <= 7, "the nearest"


def test_t4_an_hour_that_is_near_comes_before_a_longer_one_that_is_far() -> None:
    """T-4: every length is tried before the window opens any further."""
    story = Story()
    leave_daily_gap(story, 90, days=60)
    story.tick()
    assert story.next.span.minutes == 60
    assert story.next.span.start < NOW + 5 * WEEK, "inside the window, two weeks from now and three after"


def test_a_window_shorter_than_the_session_is_said_so() -> None:
    """T-4: an odd hand-made window ends in words, not in an error."""
    story = Story(report=person("Sam", "Europe/London", "GB", hours="Mon-Fri 23:00-23:45"))
    story.tick()
    assert story.next.unplaceable


def test_t10_two_who_share_one_day_a_week_meet_on_the_next_such_day() -> None:
    """T-10: distances count Monday to Friday, whatever the week of the two is; they share only Wednesdays."""
    dana = person("Dana", hours="Mon-Wed 09:00-17:00")
    sam = person("Sam", "Europe/London", "GB", hours="Wed-Fri 09:00-17:00")
    story = booked_story(Story(manager=dana, report=sam))
    lost = story.next.span.start
    story.decline(story.next)
    assert abs(story.next.span.start - lost) == WEEK


def test_an_answer_of_tentative_defers_nothing() -> None:
    """T-10: only a no is a no."""
    story = booked_story()
    assert changes_nothing(story.change_event(story.next, answers={SAM.email: Answer.TENTATIVE}))


def test_effects_of_one_plan_are_waiting_and_due_at_once() -> None:
    """R-3: an invitation leaves at the moment it is decided."""
    made = Story().plan()
    assert {m.progress for m in made.effects} == {EffectProgress.WAITING}
    assert {m.due_at for m in made.effects if not m.counts} == {NOW}
    assert {m.name: format_local(m.due_at, DANA) for m in made.effects if m.to == DANA.email} == {
        "introduction": "Mon 2026-09-07 09:00"  # T-16: what can wait comes in working hours
    }
    assert {m.snapshot_at for m in made.effects} == {NOW}
