"""What a person asks for: another time, an ad hoc conversation, a check-in (R-6, R-7, R-8; T-10, T-11, T-14)."""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from tests.support.pairs import DAY, HOUR, MINUTE, NOW, SAM, WEEK, pair_of, placed_event_of, session_of, state_of, utc
from tests.support.stories import Story, booked_story, deferral_causes, fill_days, get_refusal, session_of_state
from worker.domain.model import EndReason, Participation, Policy, SessionKind, SessionState, Span, Trigger
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import Refused

# --- another time ---


def test_another_time_may_be_asked_for() -> None:
    """T-10, R-8: ours, and it counts."""
    story = booked_story()
    was = story.next
    story.act(lambda p: actions.request_time(p, p.sessions[was.id], None))
    assert deferral_causes(story) == ["asked"]
    assert story.next.id == was.id
    assert story.next.span != was.span


@pytest.mark.parametrize("start", [utc(2026, 9, 9, 8), utc(2026, 9, 12, 18), utc(2026, 12, 1, 10)])
def test_the_time_wished_for_is_taken(start: datetime) -> None:
    """R-9, T-11: whatever the rules would have preferred; late ones widen the window."""
    story = booked_story()
    was = story.next
    wish = Span(start, start + 75 * MINUTE)
    story.act(lambda p: actions.request_time(p, p.sessions[was.id], wish))
    assert (story.next.span, story.next.by_hand, story.next.count) == (wish, True, 1)
    assert [p.span for p in story.our_events()] == [wish]
    assert story.next.latest >= wish.end
    story.recheck_free_busy()
    assert story.next.span == wish


def test_what_is_owed_may_be_given_a_time_by_a_person() -> None:
    """R-8: an unplaceable session that two people found an hour for; no deferral more."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 1), 250)
    story.tick()
    wish = Span(utc(2026, 9, 20, 8), utc(2026, 9, 20, 9))
    story.act(lambda p: actions.request_time(p, p.sessions[story.next.id], wish))
    assert (story.next.span, story.next.count, story.next.unplaceable) == (wish, 0, None)
    assert [p.span for p in story.our_events()] == [wish]


def test_a_time_wished_for_when_the_event_is_gone_is_another_event() -> None:
    """R-8: the calendar would take the old key for the dead one."""
    session = session_of(NOW + 2 * WEEK)
    gone = placed_event_of(session.key, session.span, is_gone=True)
    owed = replace(session, state=SessionState.DEFERRED, start=None, end=None, count=1)
    story = Story(state=state_of(owed, placed_events={session.key: gone}))
    wish = Span(NOW + 3 * DAY, NOW + 3 * DAY + HOUR)
    story.act(lambda p: actions.request_time(p, p.sessions["c1"], wish))
    assert story.next.span == wish
    assert story.next.key != session.key
    assert [p.span for p in story.our_events()] == [wish]


@pytest.mark.parametrize(
    ("wish", "words"),
    [
        (Span(NOW - HOUR, NOW + HOUR), "in the past"),
        (Span(NOW, NOW + HOUR), "in the past"),
        (Span(NOW + HOUR, NOW + HOUR + 44 * MINUTE), "44 minutes are too few"),
    ],
)
def test_wishes_have_their_limits(wish: Span, words: str) -> None:
    """T-1, R-1: never under 45 minutes whatever happens."""
    p = PlanBuilder(NOW, state_of(session_of(NOW + DAY)), None, Policy())
    with pytest.raises(Refused, match=words):
        actions.request_time(p, p.sessions["c1"], wish)


def test_45_minutes_may_be_wished_for() -> None:
    """T-1: by hand it may be that short, and the manager is told of it as of any other short one."""
    story = booked_story()
    wish = Span(utc(2026, 9, 29, 8), utc(2026, 9, 29, 8, 45))
    story.act(lambda p: actions.request_time(p, p.sessions[story.next.id], wish))
    assert story.next.span == wish
    assert len(story.mails("short_session")) == 1


@pytest.mark.parametrize(
    "state", [SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED, SessionState.CANCELLED]
)
def test_what_is_over_can_t_be_moved(state: SessionState) -> None:
    assert "nothing to move" in get_refusal(session_of_state(state), actions.request_time, None)


# --- soon ---


def soon(trigger: Trigger = Trigger.DOUBT) -> Story:
    story = booked_story()
    story.act(lambda p: actions.request_talk(p, trigger))
    return story


def test_an_ad_hoc_conversation_is_one_of_its_own() -> None:
    """R-6: it takes nothing from the rhythm before it is held, and asks for a contract like any other."""
    story = soon()
    adhoc = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    regular = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if not s.adhoc)
    assert adhoc.booked
    assert regular.booked
    assert adhoc.asks_contract
    story.until(adhoc.span.end)
    assert [m.subject for m in story.mails("contract_request")] == [adhoc.id]


def _talk_before(story: Story) -> tuple[Span, Span, Span]:
    """The times of an ad hoc conversation and of the regular session, before and after somebody asked for the first."""
    regular = booked_story(story).next
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    adhoc = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    moved = story.session(regular.id)
    story.until(adhoc.span.end)
    assert story.session(regular.id) == moved, "nothing more follows once the ad hoc conversation took place"
    assert deferral_causes(story) == []
    assert [p.span for p in story.our_events() if p.key == moved.key] == [moved.span]
    return adhoc.span, regular.span, moved.span


def test_a_regular_session_soon_after_an_ad_hoc_conversation_moves_by_three_weeks_at_most() -> None:
    """T-14: less than three weeks after it, the first session makes way; it is no deferral."""
    adhoc, before, after = _talk_before(Story())
    assert before.start - adhoc.end < 3 * WEEK <= after.start - adhoc.end
    assert after.start - before.start <= 3 * WEEK


def test_a_regular_session_later_than_three_weeks_after_an_ad_hoc_conversation_stays() -> None:
    """T-14: the ad hoc conversation does not re-anchor the rhythm."""
    adhoc, before, after = _talk_before(Story(pair_of(start=NOW.date() + 7 * DAY)))
    assert before.start - adhoc.end > 3 * WEEK
    assert after == before


def test_the_session_of_a_rhythm_makes_way_for_an_ad_hoc_conversation_and_keeps_its_rhythm() -> None:
    """T-14, T-3: two weeks before the second session somebody asks to talk."""
    story = booked_story()
    story.until(story.next.span.end)
    second = story.next
    story.tick_at(second.span.start - 2 * WEEK)
    adhoc, before, after = _talk_before(story)
    assert before == second.span
    assert 3 * WEEK <= after.start - adhoc.end < 4 * WEEK
    story.until(after.end)
    assert story.next.target.date() == after.start.date() + 13 * WEEK


@pytest.mark.parametrize("trigger", list(Trigger))
def test_nothing_tells_why_it_was_asked_for(trigger: Trigger) -> None:
    """R-6: no plan, history or message holds the reason."""
    story = soon(trigger)
    told = repr((story.decisions, story.state))
    assert "A person asked to talk soon." in told
    assert trigger.value not in told.replace("Leaving", "")


def test_only_one_is_asked_for_at_a_time() -> None:
    """T-14: a second asking finds the first."""
    story = soon()
    with pytest.raises(Refused, match="requested already"):
        story.act(lambda p: actions.request_talk(p, Trigger.MOTIVATION))
    story.until(NOW + 7 * DAY)
    story.act(lambda p: actions.request_talk(p, Trigger.MOTIVATION))
    assert len([s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc]) == 2


def test_only_one_check_in_is_asked_for_at_a_time() -> None:
    """R-7."""
    story = booked_story()
    story.act(actions.request_check_in)
    with pytest.raises(Refused, match="requested already"):
        story.act(actions.request_check_in)
    assert len(story.sessions_of_kind(SessionKind.CHECKIN)) == 1


def test_a_check_in_and_a_conversation_soon_don_t_exclude_each_other() -> None:
    story = soon()
    story.act(actions.request_check_in)
    assert story.sessions_of_kind(SessionKind.CHECKIN)[0].booked


@pytest.mark.parametrize(
    ("fields", "why"),
    [
        ({"paused": True}, "paused. Resume it first"),
        ({"ended": EndReason.CHANGED}, "has ended"),
        ({"participation": Participation.NOT_CHOSEN}, "does not take part"),
    ],
)
def test_a_pair_for_which_nothing_is_planned_gets_no_session_soon(fields: dict[str, Any], why: str) -> None:
    p = PlanBuilder(NOW, state_of(pair=pair_of(**fields)), None, Policy())
    with pytest.raises(Refused, match=why):
        actions.request_talk(p, Trigger.DOUBT)
    with pytest.raises(Refused, match=why):
        actions.request_check_in(p)
