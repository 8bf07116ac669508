"""Moves of a session on a page: proposed times, and the result of choosing a time.

R-38: either of the two moves a session by one press. T-10: a move past the window counts as a deferral. T-11: any other
move by a person does not, and the session keeps the chosen time.
"""

from dataclasses import replace
from datetime import timedelta

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, WEEK, pair_of, session_of, state_of
from tests.support.stories import Story, booked_story, deferral_causes
from worker.domain.model import DeferralCause, Person, ReviewMode, Session, SessionKind, SessionState, Span, TakenTime
from worker.domain.planning import actions, moves, proposals
from worker.domain.planning.moves import Obstacle, Press, find_obstacle, make_time_version
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import CalendarUnread, MovedMeanwhile, Refused, TimeTaken


def make_builder_with_calendars(story: Story, *spans: Span) -> PlanBuilder:
    """Return a plan builder that knows both calendars as they are now, and the times that other pairs have taken.

    It knows them for the proposals of the next session, and for these spans.
    """
    plan_builder = PlanBuilder(story.now, story.state, snapshot=None, policy=story.policy)
    window_of_spans = Span(min(span.start for span in spans), max(span.end for span in spans)) if spans else None
    request = proposals.make_free_busy_request(plan_builder, story.next, window_of_spans)
    snapshot = story.calendars.read_free_busy(story.state, dict.fromkeys(request.people, request.window))
    taken = {who: story.calendars.taken.get(who, ()) for who in story.state.addresses}
    return PlanBuilder(story.now, replace(story.state, taken_times=taken), snapshot, story.policy)


def press_time(story: Story, span: Span, who: str = SAM.email, version: str = "", *, must_be_free: bool = True) -> None:
    """Let a person choose this time on the page, which was made just now unless it shows an older version."""
    chosen_time = Press(span, who, version or make_time_version(story.next), must_be_free)
    calendars = make_builder_with_calendars(story, span)
    story.act(lambda builder: moves.move_session(builder, builder.sessions[story.next.id], chosen_time, calendars))


def shift_session(session: Session, by: timedelta) -> Span:
    """Return the span of the session, moved by that time."""
    return Span(session.span.start + by, session.span.end + by)


# --- proposed times ---


def test_three_times_on_three_days_are_proposed_with_reasons() -> None:
    """R-38: no proposed time overlaps the current one.

    The reasons that both people see are about this session alone; the details are about the manager's other sessions.
    """
    story = booked_story()
    proposal = proposals.propose_times(make_builder_with_calendars(story), story.next)
    assert len({slot.span.start.date() for slot in proposal.times}) == 3
    assert not any(slot.span.overlaps(story.next.span) for slot in proposal.times)
    for slot in proposal.times:
        codes = [reason.code for reason in slot.reasons]
        assert codes and codes[0] in ("same_day", "later", "earlier") and "buffer" in codes
        about_the_managers_week = {"only_that_week", "others_that_week"}
        assert not (about_the_managers_week | {"contract_day"}) & set(codes)
        assert about_the_managers_week & {reason.code for reason in slot.details}


def test_preferred_hour_and_weekday_are_reasons_for_a_proposed_time() -> None:
    story = booked_story()
    tuesday_at_ten = replace(story.pair.preference, weekday=1, minute=10 * 60)
    pair = replace(story.pair, preference=tuesday_at_ten)
    story.state = replace(story.state, pair=pair)
    best_slot = proposals.propose_times(make_builder_with_calendars(story), story.next).times[0]
    assert {"preferred_hour", "preferred_weekday"} <= {reason.code for reason in best_slot.reasons}


def test_proposed_times_after_the_window_come_last_and_count_as_deferrals() -> None:
    """T-10, T-11: the session is near the end of its window.

    Each time after the window has the reason that it counts as a deferral.
    """
    story = booked_story()
    story.state = replace(
        story.state, sessions=tuple(replace(s, latest=story.now + 5 * DAY) for s in story.state.sessions)
    )
    session = story.next
    last_start = max(session.latest, session.span.start)
    slots = proposals.propose_times(make_builder_with_calendars(story), session).times
    counts_as_deferral = [any(reason.code == "counts" for reason in slot.reasons) for slot in slots]
    assert len(slots) == 3 and counts_as_deferral == sorted(counts_as_deferral)
    assert counts_as_deferral == [slot.span.start > last_start for slot in slots]


def test_no_time_is_proposed_while_a_calendar_is_unavailable() -> None:
    """T-2: unknown is never free; the page names the person whose calendar it is."""
    story = booked_story()
    story.calendars.unavailable.add(DANA.email)
    story.calendars.unknown[DANA.email] = "it did not answer"
    proposal = proposals.propose_times(make_builder_with_calendars(story), story.next)
    assert proposal.times == () and proposal.unread == (DANA.name,)


# --- rules that a requested time breaks ---


def test_meeting_directly_before_the_requested_time_is_an_objection_outside_hours_too() -> None:
    """R-38: the page names every rule that the time breaks."""
    story = booked_story()
    evening = Span(story.next.span.start.replace(hour=18, minute=0), story.next.span.start.replace(hour=19, minute=0))
    codes = [
        reason.code
        for reason in proposals.check_time(make_builder_with_calendars(story, evening), story.next, evening).against
    ]
    assert codes == ["outside_hours", "outside_hours"]  # one for each person
    story.calendars.book(SAM, evening.start - HOUR, evening.start)
    codes = [
        reason.code
        for reason in proposals.check_time(make_builder_with_calendars(story, evening), story.next, evening).against
    ]
    assert codes == ["outside_hours", "outside_hours", "no_buffer"]


def test_meeting_directly_after_a_distant_requested_time_is_an_objection() -> None:
    """R-38: free/busy is read until the buffer after the requested time has passed."""
    story = booked_story()
    distant_time = shift_session(story.next, 20 * WEEK + HOUR)  # the same time of day, now in winter
    story.calendars.book(DANA, distant_time.end, distant_time.end + HOUR)
    codes = {
        reason.code
        for reason in proposals.check_time(
            make_builder_with_calendars(story, distant_time), story.next, distant_time
        ).against
    }
    assert "no_buffer" in codes


# --- the result of choosing a time ---


@pytest.mark.parametrize("who", [DANA, SAM])
def test_t11_a_press_of_either_moves_the_session_without_a_deferral(who: Person) -> None:
    """R-38, T-11: the move is recorded and not counted, and no mail follows.

    The session stays the same, and the rhythm counts from its new time.
    """
    story = booked_story()
    session_before = story.next
    *_, last_proposed = proposals.propose_times(make_builder_with_calendars(story), story.next).times
    new_span = last_proposed.span
    press_time(story, new_span, who.email)
    assert (story.next.id, story.next.span, story.next.by_hand) == (session_before.id, new_span, True)
    assert (story.next.count, deferral_causes(story)) == (0, ["moved"])
    assert [placed.span for placed in story.our_events()] == [new_span]
    story.until(new_span.end + HOUR)
    assert story.mails("deferral_notice") == [] and story.mails("booked_over_warning") == []
    next_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked or s.owed)
    assert abs(next_session.target - (new_span.end + 13 * WEEK)) < DAY
    assert new_span.start - session_before.span.start > DAY, "the move is too short to show in the target"


def test_t11_busy_time_at_a_chosen_time_is_intended() -> None:
    """T-11: the person saw the busy time, so no warning and no move follow."""
    story = booked_story()
    new_span = shift_session(story.next, -DAY if story.next.span.start.weekday() else DAY)
    story.calendars.book(DANA, new_span.start, new_span.end)
    press_time(story, new_span, DANA.email, must_be_free=False)
    assert [span.span for span in story.next.intended or ()] == [new_span]
    story.recheck_free_busy()
    story.until(new_span.start)
    assert deferral_causes(story) == ["moved"] and story.next.span == new_span


def test_a_move_past_the_window_counts_as_a_deferral() -> None:
    """T-10, T-11: a move past the window is a deferral, and the session keeps the chosen time."""
    story = booked_story()
    new_span = shift_session(story.next, 10 * WEEK)
    press_time(story, new_span)
    assert (story.next.span, story.next.count, deferral_causes(story)) == (new_span, 1, ["asked"])


def test_time_that_was_taken_meanwhile_is_refused() -> None:
    """R-38: another pair has taken it, or an event is on a calendar of the two."""
    story = booked_story()
    session_before = story.next
    new_span = proposals.propose_times(make_builder_with_calendars(story), story.next).times[0].span
    story.calendars.taken[DANA.email] = (TakenTime(new_span, "other", SessionKind.CAREER, None),)
    with pytest.raises(TimeTaken):
        press_time(story, new_span)
    story.calendars.taken.clear()
    story.calendars.book(SAM, new_span.start, new_span.start + 30 * MINUTE)
    with pytest.raises(TimeTaken):
        press_time(story, new_span)
    assert story.next == session_before


def test_move_is_refused_while_a_calendar_is_unavailable_unless_it_is_forced() -> None:
    """R-38, T-2: the person may still choose the time without knowing whether it is free."""
    story = booked_story()
    new_span = proposals.propose_times(make_builder_with_calendars(story), story.next).times[0].span
    story.calendars.unavailable.add(SAM.email)
    story.calendars.unknown[SAM.email] = "it did not answer"
    with pytest.raises(CalendarUnread):
        press_time(story, new_span)
    press_time(story, new_span, must_be_free=False)
    assert story.next.span == new_span


def test_second_press_of_the_same_time_and_press_on_an_old_page_move_nothing() -> None:
    """R-38: the second press finds the session at the requested time. The third comes from a page before both."""
    story = booked_story()
    first, second = (
        slot.span for slot in proposals.propose_times(make_builder_with_calendars(story), story.next).times[:2]
    )
    old_version = make_time_version(story.next)
    press_time(story, first, SAM.email, old_version)
    moved_session = story.next
    press_time(story, first, SAM.email, old_version)
    assert story.next == moved_session and deferral_causes(story) == ["moved"]
    with pytest.raises(MovedMeanwhile):
        press_time(story, second, DANA.email, old_version)
    assert story.next == moved_session


def test_session_that_moved_away_and_back_has_another_time_version() -> None:
    """R-38: a form from before the two moves is out of date."""
    story = booked_story()
    old_version, first_span = make_time_version(story.next), story.next.span
    press_time(story, proposals.propose_times(make_builder_with_calendars(story), story.next).times[0].span)
    press_time(story, first_span, must_be_free=False)
    assert story.next.span == first_span and make_time_version(story.next) != old_version


def test_owed_session_gets_the_chosen_time() -> None:
    story = booked_story()
    owed_session = replace(story.next, state=SessionState.OWED, start=None, end=None, generation=2)
    story.state = replace(story.state, sessions=(owed_session,), placed_events={})
    new_span = Span(NOW + 9 * DAY + 3 * HOUR, NOW + 9 * DAY + 4 * HOUR)
    press_time(story, new_span, must_be_free=False)
    assert (story.next.span, story.next.count, deferral_causes(story)) == (new_span, 0, [])


# --- obstacles ---


@pytest.mark.parametrize(
    ("minutes_to_start", "obstacle"),
    [
        (61, None),
        (59, Obstacle.TOO_NEAR),
        (0, Obstacle.UNDER_WAY),
        (-74, Obstacle.UNDER_WAY),
        (-75, Obstacle.OVER),  # the session takes 75 minutes
    ],
)
def test_session_within_the_hour_or_begun_or_over_cannot_be_moved(
    minutes_to_start: int, obstacle: Obstacle | None
) -> None:
    """R-38: a press that comes too late changes nothing."""
    session = session_of(NOW + minutes_to_start * MINUTE)
    builder = PlanBuilder(NOW, state_of(session), snapshot=None, policy=Story().policy)
    assert find_obstacle(builder, session) is obstacle
    if obstacle:
        chosen_time = Press(shift_session(session, WEEK), SAM.email, make_time_version(session))
        with pytest.raises(MovedMeanwhile):
            moves.move_session(builder, session, chosen_time, free_busy_builder=builder)


@pytest.mark.parametrize("state", [SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED])
def test_held_or_cancelled_session_cannot_be_moved(state: SessionState) -> None:
    session = replace(session_of(NOW + WEEK), state=state, held_at=NOW)  # held before its booked time
    builder = PlanBuilder(NOW, state_of(session), snapshot=None, policy=Story().policy)
    assert find_obstacle(builder, session) is Obstacle.OVER
    cancelled = replace(session, state=SessionState.CANCELLED)
    assert find_obstacle(builder, cancelled) is Obstacle.CANCELLED


def test_review_inside_a_1on1_cannot_be_moved() -> None:
    """R-7: it has no event of its own and moves with the 1:1."""
    story = Story(pair_of(review=ReviewMode.IN_1ON1))
    review = replace(session_of(NOW + WEEK), kind=SessionKind.REVIEW, sequence=0)  # 0: no event was ever written
    builder = PlanBuilder(NOW, replace(story.state, sessions=(review,)), snapshot=None, policy=story.policy)
    assert find_obstacle(builder, review) is Obstacle.IN_1ON1


# --- the report's reason (R-18) ---


def test_r18_the_report_can_explain_only_own_moves() -> None:
    """R-18: after a move of the manager, the report has no deferral to explain."""
    story = booked_story()
    press_time(story, proposals.propose_times(make_builder_with_calendars(story), story.next).times[0].span, SAM.email)
    builder = PlanBuilder(story.now, story.state, snapshot=None, policy=story.policy)
    deferral = actions.find_deferral_to_explain(builder, story.next)
    uncounted = -1  # a move that is no deferral is kept with a negative number
    assert (deferral.cause, deferral.who, deferral.number) == (DeferralCause.MOVED, SAM.email, uncounted)
    press_time(story, proposals.propose_times(make_builder_with_calendars(story), story.next).times[0].span, DANA.email)
    builder = PlanBuilder(story.now, story.state, snapshot=None, policy=story.policy)
    with pytest.raises(Refused):
        actions.find_deferral_to_explain(builder, story.next)
    assert deferral_causes(story) == ["moved", "moved"]
