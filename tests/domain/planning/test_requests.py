"""Requests of people: another time, an ad hoc session, a check-in.

R-6 and T-14 are about ad hoc sessions, R-7 about check-ins. R-8 and T-10: a session that loses its time gets another.
T-11: what people choose stays. The session of a state has the id c1.
"""

from dataclasses import replace
from datetime import date, datetime
from typing import Any

import pytest

from tests.support.pairs import DAY, HOUR, MINUTE, NOW, SAM, WEEK, pair_of, placed_event_of, session_of, state_of, utc
from tests.support.stories import Story, booked_story, deferral_causes, fill_days, get_refusal_text, session_of_state
from worker.domain.model import EndReason, Participation, Policy, SessionKind, SessionState, Span, Trigger
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import Refused

# --- another time ---


def test_request_for_another_time_defers_the_session() -> None:
    """T-10, R-8: the program finds the new time, and the deferral counts."""
    story = booked_story()
    session = story.next
    story.act(lambda builder: actions.request_time(builder, builder.sessions[session.id], requested_time=None))
    assert deferral_causes(story) == ["asked"]
    assert story.next.id == session.id
    assert story.next.span != session.span


@pytest.mark.parametrize("start", [utc(2026, 9, 9, 8), utc(2026, 9, 12, 18), utc(2026, 12, 1, 10)])
def test_a_requested_time_is_booked_whatever_the_rules_prefer(start: datetime) -> None:
    """R-9, T-11: the requested time is taken whatever the rules prefer. A late one extends the window."""
    story = booked_story()
    session = story.next
    requested_time = Span(start, start + 75 * MINUTE)
    story.act(lambda builder: actions.request_time(builder, builder.sessions[session.id], requested_time))
    assert (story.next.span, story.next.by_hand, story.next.count) == (requested_time, True, 1)
    assert [event.span for event in story.our_events()] == [requested_time]
    assert story.next.latest >= requested_time.end
    story.recheck_free_busy()
    assert story.next.span == requested_time


def test_unplaceable_session_takes_a_requested_time() -> None:
    """R-8: that is no further deferral."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 1), days=250)
    story.tick()
    requested_time = Span(utc(2026, 9, 20, 8), utc(2026, 9, 20, 9))
    story.act(lambda builder: actions.request_time(builder, builder.sessions[story.next.id], requested_time))
    assert (story.next.span, story.next.count, story.next.unplaceable) == (requested_time, 0, None)
    assert [event.span for event in story.our_events()] == [requested_time]


def test_requested_time_after_a_deleted_event_creates_another_event() -> None:
    """R-8: the calendar would take the old key for the deleted event."""
    session = session_of(NOW + 2 * WEEK)
    deleted_event = placed_event_of(session.key, session.span, is_gone=True)
    deferred_session = replace(session, state=SessionState.DEFERRED, start=None, end=None, count=1)
    story = Story(state=state_of(deferred_session, placed_events={session.key: deleted_event}))
    requested_time = Span(NOW + 3 * DAY, NOW + 3 * DAY + HOUR)
    story.act(lambda builder: actions.request_time(builder, builder.sessions["c1"], requested_time))
    assert story.next.span == requested_time
    assert story.next.key != session.key
    assert [event.span for event in story.our_events()] == [requested_time]


@pytest.mark.parametrize(
    ("requested_time", "passage"),
    [
        (Span(NOW - HOUR, NOW + HOUR), "in the past"),
        (Span(NOW, NOW + HOUR), "in the past"),
        (Span(NOW + HOUR, NOW + HOUR + 44 * MINUTE), "44 minutes are too few"),
    ],
)
def test_a_requested_time_in_the_past_or_under_45_minutes_is_refused(requested_time: Span, passage: str) -> None:
    """T-1, R-1: a requested time is in the future and has at least 45 minutes."""
    builder = PlanBuilder(NOW, state_of(session_of(NOW + DAY)), snapshot=None, policy=Policy())
    with pytest.raises(Refused, match=passage):
        actions.request_time(builder, builder.sessions["c1"], requested_time)


def test_requested_time_of_45_minutes_is_taken() -> None:
    """T-1: the manager gets the mail about a short session."""
    story = booked_story()
    requested_time = Span(utc(2026, 9, 29, 8), utc(2026, 9, 29, 8, 45))
    story.act(lambda builder: actions.request_time(builder, builder.sessions[story.next.id], requested_time))
    assert story.next.span == requested_time
    assert len(story.mails("short_session")) == 1


@pytest.mark.parametrize(
    "state", [SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED, SessionState.CANCELLED]
)
def test_request_for_another_time_of_a_closed_session_is_refused(state: SessionState) -> None:
    assert "nothing to move" in get_refusal_text(session_of_state(state), actions.request_time, None)


# --- ad hoc sessions and check-ins ---


def make_story_with_ad_hoc_session(trigger: Trigger = Trigger.DOUBT) -> Story:
    """A story in which somebody asked for an ad hoc session just now."""
    story = booked_story()
    story.act(lambda builder: actions.request_ad_hoc_session(builder, trigger))
    return story


def test_ad_hoc_session_is_booked_besides_the_regular_session() -> None:
    """R-6: the regular session stays booked. The ad hoc session asks for a contract like any other."""
    story = make_story_with_ad_hoc_session()
    adhoc_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    regular_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if not s.adhoc)
    assert adhoc_session.booked
    assert regular_session.booked
    assert adhoc_session.asks_contract
    story.until(adhoc_session.span.end)
    assert [m.subject for m in story.mails("contract_request")] == [adhoc_session.id]


def request_ad_hoc_session_and_list_spans(story: Story) -> tuple[Span, Span, Span]:
    """Ask for an ad hoc session; return its span and the spans of the regular session before and after the request."""
    regular_session = booked_story(story).next
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    adhoc_session = next(s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc)
    regular_after = story.session(regular_session.id)
    story.until(adhoc_session.span.end)
    assert story.session(regular_session.id) == regular_after, "holding the ad hoc session changed the regular one"
    assert deferral_causes(story) == []
    assert [event.span for event in story.our_events() if event.key == regular_after.key] == [regular_after.span]
    return adhoc_session.span, regular_session.span, regular_after.span


def test_regular_session_moves_to_three_weeks_after_an_ad_hoc_session() -> None:
    """T-14: the first session was less than three weeks after the ad hoc session. The move is no deferral."""
    adhoc, before, after = request_ad_hoc_session_and_list_spans(Story())
    assert before.start - adhoc.end < 3 * WEEK <= after.start - adhoc.end
    assert after.start - before.start <= 3 * WEEK


def test_regular_session_more_than_three_weeks_after_an_ad_hoc_session_stays() -> None:
    """T-14: the rhythm does not count from the ad hoc session."""
    adhoc, before, after = request_ad_hoc_session_and_list_spans(Story(pair_of(start=NOW.date() + 7 * DAY)))
    assert before.start - adhoc.end > 3 * WEEK
    assert after == before


def test_second_session_moves_for_an_ad_hoc_session_and_keeps_its_rhythm() -> None:
    """T-14, T-3: somebody asks for an ad hoc session two weeks before the second session."""
    story = booked_story()
    story.until(story.next.span.end)
    second = story.next
    story.tick_at(second.span.start - 2 * WEEK)
    adhoc, before, after = request_ad_hoc_session_and_list_spans(story)
    assert before == second.span
    assert 3 * WEEK <= after.start - adhoc.end < 4 * WEEK
    story.until(after.end)
    assert story.next.target.date() == after.start.date() + 13 * WEEK


@pytest.mark.parametrize("trigger", list(Trigger))
def test_no_plan_history_or_mail_contains_the_trigger(trigger: Trigger) -> None:
    """R-6: no plan, history or mail contains the trigger."""
    story = make_story_with_ad_hoc_session(trigger)
    records = repr((story.decisions, story.state))
    assert "A person asked to talk soon." in records
    assert trigger.value not in records


def test_second_request_for_an_ad_hoc_session_is_refused_until_the_first_is_over() -> None:
    """A pair has one open ad hoc session at a time (T-14)."""
    story = make_story_with_ad_hoc_session()
    with pytest.raises(Refused, match="requested already"):
        story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.MOTIVATION))
    story.until(NOW + 7 * DAY)
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.MOTIVATION))
    assert len([s for s in story.sessions_of_kind(SessionKind.CAREER) if s.adhoc]) == 2


def test_second_request_for_a_check_in_is_refused() -> None:
    """A pair has one open check-in at a time (R-7)."""
    story = booked_story()
    story.act(actions.request_check_in)
    with pytest.raises(Refused, match="requested already"):
        story.act(actions.request_check_in)
    assert len(story.sessions_of_kind(SessionKind.CHECKIN)) == 1


def test_check_in_and_ad_hoc_session_can_be_requested_together() -> None:
    story = make_story_with_ad_hoc_session()
    story.act(actions.request_check_in)
    assert story.sessions_of_kind(SessionKind.CHECKIN)[0].booked


@pytest.mark.parametrize(
    ("fields", "refusal"),
    [
        ({"paused": True}, "paused. Resume it first"),
        ({"ended": EndReason.CHANGED}, "has ended"),
        ({"participation": Participation.NOT_CHOSEN}, "does not take part"),
    ],
)
def test_request_of_a_paused_ended_or_unchosen_pair_is_refused(fields: dict[str, Any], refusal: str) -> None:
    builder = PlanBuilder(NOW, state_of(pair=pair_of(**fields)), snapshot=None, policy=Policy())
    with pytest.raises(Refused, match=refusal):
        actions.request_ad_hoc_session(builder, Trigger.DOUBT)
    with pytest.raises(Refused, match=refusal):
        actions.request_check_in(builder)
