"""Tests of sessions that a person records as held or not held.

R-3 and T-3: the next session counts from the one that was held. R-8 and T-10: one that was not held gets another time.
R-15, R-17 and T-7 are about contracts, which are due once a session was held. T-11: what people choose stays.
"""

from datetime import date, datetime

import pytest

from tests.support.pairs import DAY, HOUR, MINUTE, NOW, SAM, WEEK, session_of, utc
from tests.support.stories import (
    Story,
    booked_story,
    deferral_causes,
    fill_days,
    first_session,
    get_refusal_text,
    session_of_state,
    story_at_end,
)
from worker.domain.model import EffectKind, Session, SessionKind, SessionState, Span
from worker.domain.planning import actions

# --- not held ---


def test_a_session_that_did_not_take_place_gets_another_time() -> None:
    """The session gets another time soon, with another event. The cause of its deferral is stored (R-8, T-10)."""
    story = story_at_end()
    session = first_session(story)
    story.tick_at(story.now + 2 * HOUR)
    story.act(lambda builder: actions.record_not_held(builder, builder.sessions[session.id]))
    new_session = story.session(session.id)
    assert deferral_causes(story) == ["not_held"]
    assert story.state.deferrals[0].was == session.span
    assert new_session.booked
    assert new_session.held_at is None
    assert new_session.key != session.key
    assert story.now < new_session.span.start <= story.now + 16 * DAY


def test_session_recorded_as_not_held_has_no_contract_reminders() -> None:
    """The contract is requested again when the session has taken place (T-7)."""
    story = story_at_end()
    session = first_session(story)
    story.act(lambda builder: actions.record_not_held(builder, builder.sessions[session.id]))
    new_session = story.session(session.id)
    story.until(new_session.span.start)
    assert story.mails("contract_reminder") == []
    story.until(new_session.span.end)
    assert [m.start for m in story.mails("contract_request")] == [session.span.end, new_session.span.end]


def test_session_recorded_as_not_held_before_its_end_keeps_its_event() -> None:
    """The event still exists, so it moves (T-10)."""
    story = booked_story()
    session = story.next
    story.tick_at(session.span.start + 10 * MINUTE)
    first_plan = story.act(lambda builder: actions.record_not_held(builder, builder.sessions[session.id]))
    assert [(effect.kind, effect.event) for effect in first_plan.effects if effect.event] == [
        (EffectKind.UPDATE, session.key)
    ]


def test_unfinished_session_can_be_recorded_as_not_held() -> None:
    """It gets another time like any other (R-17, R-8)."""
    story = story_at_end()
    session = first_session(story)
    story.until(story.now + 20 * DAY)
    assert story.session(session.id).state is SessionState.UNFINISHED
    story.act(lambda builder: actions.record_not_held(builder, builder.sessions[session.id]))
    assert story.session(session.id).booked


def test_next_session_follows_the_real_date_of_a_session_not_held_at_first() -> None:
    """The gap lies within the window of a quarterly rhythm: 11 to 16 weeks (T-3, R-3)."""
    story = story_at_end()
    session, next_session = story.sessions_of_kind(SessionKind.CAREER)
    story.act(lambda builder: actions.record_not_held(builder, builder.sessions[session.id]))
    story.until(story.session(session.id).span.end)
    gap = story.session(next_session.id).span.start - story.session(session.id).span.end
    assert 11 * WEEK <= gap <= 16 * WEEK


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (session_of(NOW + DAY), "has not begun yet"),
        (session_of(None), "has not begun yet"),
        (session_of_state(SessionState.CONTRACTED), "so it took place"),
    ],
)
def test_future_or_contracted_session_can_not_be_recorded_as_not_held(session: Session, words: str) -> None:
    """There was nothing to hold yet, or the contract proves that it was held (R-8, R-15)."""
    assert words in get_refusal_text(session, actions.record_not_held)


# --- held ---


def test_a_session_counts_as_held_when_its_end_has_passed() -> None:
    """The next session is booked at that instant (T-7, R-3)."""
    story = story_at_end()
    assert first_session(story).state is SessionState.HELD
    assert first_session(story).held_at == story.now
    assert story.next.booked
    assert story.placed_event(story.next)


def test_session_can_be_recorded_as_held_before_its_booked_time() -> None:
    """Its event is cancelled, and the contract deadline and the rhythm count from the real end (T-3, T-7)."""
    story = booked_story()
    session = story.next
    story.tick_at(session.span.start - 5 * DAY)
    end = story.now - HOUR
    story.act(lambda builder: actions.record_held(builder, builder.sessions[session.id], end))
    assert story.session(session.id).held_at == end
    assert story.session(session.id).span == Span(end - 75 * MINUTE, end)
    assert story.placed_event(session) is None
    assert [m.start for m in story.mails("contract_request")] == [end]
    assert story.next.target.date() == (end + 13 * WEEK).date()


def test_owed_session_can_be_recorded_as_held() -> None:
    """The two people met without an event (R-8)."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 1), days=250)
    story.tick()
    session = story.next
    assert session.unplaceable
    story.tick_at(NOW + DAY)
    story.act(lambda builder: actions.record_held(builder, builder.sessions[session.id], NOW + HOUR))
    assert story.session(session.id).state is SessionState.HELD
    assert story.session(session.id).unplaceable is None


@pytest.mark.parametrize("end", [utc(1, 1, 2, 10), utc(1969, 1, 2, 10), NOW - 367 * DAY])
def test_session_can_not_be_recorded_as_held_more_than_a_year_ago(end: datetime) -> None:
    """The year of such a date is probably wrong."""
    assert "that long ago" in get_refusal_text(session_of(None), actions.record_held, end)


def test_session_held_weeks_later_moves_the_next_session() -> None:
    """The next session is not in its new window any more; its move is no deferral (T-3, T-11)."""
    story = story_at_end()
    session, next_session = story.sessions_of_kind(SessionKind.CAREER)
    story.tick_at(session.span.end + 5 * WEEK)
    story.act(lambda builder: actions.record_held(builder, builder.sessions[session.id], story.now - HOUR))
    moved_session = story.session(next_session.id)
    assert moved_session.span.start >= next_session.span.start + 2 * WEEK
    assert moved_session.count == 0
    assert deferral_causes(story) == []
    future_keys = [event.key for event in story.our_events() if event.span.start > story.now]
    assert [key for key in future_keys if key.startswith("c")] == [next_session.key]  # keys of career sessions


def test_session_held_a_week_later_does_not_move_the_next_session() -> None:
    """The next session is still in its new window (T-3)."""
    story = story_at_end()
    session, next_session = story.sessions_of_kind(SessionKind.CAREER)
    story.tick_at(session.span.end + WEEK)
    story.act(lambda builder: actions.record_held(builder, builder.sessions[session.id], story.now - HOUR))
    assert story.session(next_session.id).span == next_session.span
    assert story.session(next_session.id).target == next_session.target + WEEK


def test_late_session_does_not_move_a_next_session_placed_by_hand() -> None:
    """A person chose its time (T-11)."""
    story = story_at_end()
    session, next_session = story.sessions_of_kind(SessionKind.CAREER)
    story.move(next_session, next_session.span.start + 2 * HOUR, minutes=75)
    span = story.session(next_session.id).span
    story.tick_at(session.span.end + 5 * WEEK)
    story.act(lambda builder: actions.record_held(builder, builder.sessions[session.id], story.now - HOUR))
    assert story.session(next_session.id).span == span


@pytest.mark.parametrize("session", [session_of(NOW + DAY), session_of(None)])
def test_session_can_not_be_recorded_as_held_in_the_future(session: Session) -> None:
    """The end is that of the booked time, or the one that is given (R-8)."""
    assert "in the future" in get_refusal_text(session, actions.record_held)
    assert "in the future" in get_refusal_text(session, actions.record_held, NOW + MINUTE)


def test_contracted_session_can_not_be_recorded_as_held() -> None:
    """The contract is not requested again (R-15)."""
    assert "has a contract" in get_refusal_text(session_of_state(SessionState.CONTRACTED), actions.record_held)
