"""Moving a session by one press on a page: which times are proposed, and what a press comes to (R-38; T-10, T-11)."""

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


def look(story: Story, *spans: Span) -> PlanBuilder:
    """Both calendars as they are now, and what other pairs have taken."""
    builder = PlanBuilder(story.now, story.state, None, story.policy)
    covering = Span(min(one.start for one in spans), max(one.end for one in spans)) if spans else None
    request = proposals.make_free_busy_request(builder, story.next, covering)
    seen = story.calendars.read_free_busy(story.state, dict.fromkeys(request.people, request.window))
    taken = {who: story.calendars.taken.get(who, ()) for who in story.state.addresses}
    return PlanBuilder(story.now, replace(story.state, taken_times=taken), seen, story.policy)


def press(story: Story, span: Span, who: str = SAM.email, version: str = "", *, must_be_free: bool = True) -> None:
    one = Press(span, who, version or make_time_version(story.next), must_be_free)
    calendars = look(story, span)
    story.act(lambda p: moves.move_session(p, p.sessions[story.next.id], one, calendars))


def shifted(session: Session, by: timedelta) -> Span:
    return Span(session.span.start + by, session.span.end + by)


# --- three times ---


def test_three_times_are_proposed_on_three_days_each_with_its_reasons() -> None:
    """R-38: none is the time that it has; the reasons for both are of this conversation alone."""
    story = booked_story()
    found = proposals.propose_times(look(story), story.next)
    assert len({one.span.start.date() for one in found.times}) == 3
    assert not any(one.span.overlaps(story.next.span) for one in found.times)
    for one in found.times:
        codes = [reason.code for reason in one.reasons]
        assert codes and codes[0] in ("same_day", "later", "earlier") and "buffer" in codes
        assert not {"only_that_week", "others_that_week", "contract_day"} & set(codes)
        assert {"only_that_week", "others_that_week"} & {reason.code for reason in one.details}


def test_the_pairs_usual_hour_is_a_reason() -> None:
    story = booked_story()
    preferring = replace(story.pair, preference=replace(story.pair.preference, weekday=1, minute=600))
    story.state = replace(story.state, pair=preferring)
    best = proposals.propose_times(look(story), story.next).times[0]
    assert {"preferred_hour", "preferred_weekday"} <= {reason.code for reason in best.reasons}


def test_times_inside_the_window_come_first_and_those_past_it_say_that_they_count() -> None:
    """T-10, T-11: of a session near the end of its window."""
    story = booked_story()
    story.state = replace(
        story.state, sessions=tuple(replace(s, latest=story.now + 5 * DAY) for s in story.state.sessions)
    )
    session = story.next
    last = max(session.latest, session.span.start)
    times = proposals.propose_times(look(story), session).times
    counting = [any(reason.code == "counts" for reason in one.reasons) for one in times]
    assert len(times) == 3 and counting == sorted(counting)
    assert counting == [one.span.start > last for one in times]


def test_nothing_is_proposed_while_a_calendar_can_not_be_read() -> None:
    """T-2: unknown is never free; the page says whose calendar it is."""
    story = booked_story()
    story.calendars.unavailable.add(DANA.email)
    story.calendars.unknown[DANA.email] = "it did not answer"
    found = proposals.propose_times(look(story), story.next)
    assert found.times == () and found.unread == (DANA.name,)


# --- a time of one's own ---


def test_a_meeting_right_before_a_time_is_an_objection_at_any_hour() -> None:
    """R-38: the page names every rule that the time breaks, also outside working hours."""
    story = booked_story()
    evening = Span(story.next.span.start.replace(hour=18, minute=0), story.next.span.start.replace(hour=19, minute=0))
    codes = [reason.code for reason in proposals.check_time(look(story, evening), story.next, evening).against]
    assert codes == ["outside_hours", "outside_hours"]
    story.calendars.book(SAM, evening.start - HOUR, evening.start)
    codes = [reason.code for reason in proposals.check_time(look(story, evening), story.next, evening).against]
    assert codes == ["outside_hours", "outside_hours", "no_buffer"]


def test_a_meeting_right_after_the_last_of_the_times_that_are_read_is_an_objection() -> None:
    """R-38: what is read reaches over the end of a time far ahead."""
    story = booked_story()
    late = shifted(story.next, 20 * WEEK + HOUR)  # the same time of day, now in winter
    story.calendars.book(DANA, late.end, late.end + HOUR)
    codes = {reason.code for reason in proposals.check_time(look(story, late), story.next, late).against}
    assert "no_buffer" in codes


# --- a press ---


@pytest.mark.parametrize("who", [DANA, SAM])
def test_t11_one_press_of_either_is_a_hand_move_and_no_deferral(who: Person) -> None:
    """R-38, T-11: no count, no mail; the cadence counts from the new time; it stays."""
    story = booked_story()
    was, new = story.next, proposals.propose_times(look(story), story.next).times[2].span
    press(story, new, who.email)
    assert (story.next.id, story.next.span, story.next.by_hand) == (was.id, new, True)
    assert (story.next.count, deferral_causes(story)) == (0, ["moved"])
    assert [placed.span for placed in story.our_events()] == [new]
    story.until(new.end + HOUR)
    assert story.mails("deferral_notice") == [] and story.mails("booked_over_warning") == []
    follows = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked or s.owed)
    assert abs(follows.target - (new.end + 13 * WEEK)) < DAY < new.start - was.span.start


def test_t11_what_stands_at_that_hour_is_intended() -> None:
    """T-11: it was pressed all the same, so nothing warns of it and nothing moves; what comes later counts."""
    story = booked_story()
    new = shifted(story.next, -DAY if story.next.span.start.weekday() else DAY)
    story.calendars.book(DANA, new.start, new.end)
    press(story, new, DANA.email, must_be_free=False)
    assert [one.span for one in story.next.intended or ()] == [new]
    story.recheck_free_busy()
    story.until(new.start)
    assert deferral_causes(story) == ["moved"] and story.next.span == new


def test_a_move_past_the_window_counts_as_on_the_calendar() -> None:
    """T-10, T-11: landing past the window is a deferral, with the time that was pressed."""
    story = booked_story()
    new = shifted(story.next, 10 * WEEK)
    press(story, new)
    assert (story.next.span, story.next.count, deferral_causes(story)) == (new, 1, ["asked"])


def test_a_time_that_was_taken_meanwhile_is_not_taken() -> None:
    """R-38: by either's calendar, or by another pair a moment ago."""
    story = booked_story()
    was, new = story.next, proposals.propose_times(look(story), story.next).times[0].span
    story.calendars.taken[DANA.email] = (TakenTime(new, "other", SessionKind.CAREER, None),)
    with pytest.raises(TimeTaken):
        press(story, new)
    story.calendars.taken.clear()
    story.calendars.book(SAM, new.start, new.start + 30 * MINUTE)
    with pytest.raises(TimeTaken):
        press(story, new)
    assert story.next == was


def test_a_press_moves_nothing_while_a_calendar_can_not_be_read() -> None:
    """R-38, T-2: unless the person says that it shall be that time all the same."""
    story = booked_story()
    new = proposals.propose_times(look(story), story.next).times[0].span
    story.calendars.unavailable.add(SAM.email)
    story.calendars.unknown[SAM.email] = "it did not answer"
    with pytest.raises(CalendarUnread):
        press(story, new)
    press(story, new, must_be_free=False)
    assert story.next.span == new


def test_pressing_twice_is_one_move_and_an_old_page_moves_nothing() -> None:
    """R-38: the second press finds the time it asks for; the third is of a page from before both."""
    story = booked_story()
    first, second = (one.span for one in proposals.propose_times(look(story), story.next).times[:2])
    old = make_time_version(story.next)
    press(story, first, SAM.email, old)
    moved = story.next
    press(story, first, SAM.email, old)
    assert story.next == moved and deferral_causes(story) == ["moved"]
    with pytest.raises(MovedMeanwhile):
        press(story, second, DANA.email, old)
    assert story.next == moved


def test_moved_there_and_back_is_another_time_than_before() -> None:
    """R-38: a form of before the two moves is as old as any."""
    story = booked_story()
    old, was = make_time_version(story.next), story.next.span
    press(story, proposals.propose_times(look(story), story.next).times[0].span)
    press(story, was, must_be_free=False)
    assert story.next.span == was and make_time_version(story.next) != old


def test_what_is_owed_gets_the_time_that_is_pressed() -> None:
    story = booked_story()
    owed = replace(story.next, state=SessionState.OWED, start=None, end=None, generation=2)
    story.state = replace(story.state, sessions=(owed,), placed_events={})
    new = Span(NOW + 9 * DAY + 3 * HOUR, NOW + 9 * DAY + 4 * HOUR)
    press(story, new, must_be_free=False)
    assert (story.next.span, story.next.count, deferral_causes(story)) == (new, 0, [])


# --- what can't be moved ---


@pytest.mark.parametrize(
    ("minutes", "obstacle"),
    [
        (61, None),
        (59, Obstacle.TOO_NEAR),
        (0, Obstacle.UNDER_WAY),
        (-74, Obstacle.UNDER_WAY),
        (-75, Obstacle.OVER),
    ],
)
def test_what_is_near_under_way_or_over_is_not_moved(minutes: int, obstacle: Obstacle | None) -> None:
    """R-38: and a press that comes too late moves nothing."""
    session = session_of(NOW + minutes * MINUTE)
    builder = PlanBuilder(NOW, state_of(session), None, Story().policy)
    assert find_obstacle(builder, session) is obstacle
    if obstacle:
        one = Press(shifted(session, WEEK), SAM.email, make_time_version(session))
        with pytest.raises(MovedMeanwhile):
            moves.move_session(builder, session, one, builder)


@pytest.mark.parametrize("state", [SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED])
def test_what_took_place_is_over(state: SessionState) -> None:
    session = replace(session_of(NOW + WEEK), state=state, held_at=NOW)  # held before its time
    builder = PlanBuilder(NOW, state_of(session), None, Story().policy)
    assert find_obstacle(builder, session) is Obstacle.OVER
    cancelled = replace(session, state=SessionState.CANCELLED)
    assert find_obstacle(builder, cancelled) is Obstacle.CANCELLED


def test_a_review_inside_a_1on1_moves_with_that() -> None:
    """R-7: it has no event of its own."""
    story = Story(pair_of(review=ReviewMode.IN_1ON1))
    review = replace(session_of(NOW + WEEK), kind=SessionKind.REVIEW, sequence=0)
    builder = PlanBuilder(NOW, replace(story.state, sessions=(review,)), None, story.policy)
    assert find_obstacle(builder, review) is Obstacle.IN_1ON1


# --- why (R-18) ---


def test_r18_the_report_may_say_why_after_the_own_move_and_not_after_the_managers() -> None:
    story = booked_story()
    press(story, proposals.propose_times(look(story), story.next).times[0].span, SAM.email)
    builder = PlanBuilder(story.now, story.state, None, story.policy)
    lost = actions.find_deferral_to_explain(builder, story.next)
    assert (lost.cause, lost.who, lost.number) == (DeferralCause.MOVED, SAM.email, -1)
    press(story, proposals.propose_times(look(story), story.next).times[0].span, DANA.email)
    builder = PlanBuilder(story.now, story.state, None, story.policy)
    with pytest.raises(Refused):
        actions.find_deferral_to_explain(builder, story.next)
    assert deferral_causes(story) == ["moved", "moved"]
