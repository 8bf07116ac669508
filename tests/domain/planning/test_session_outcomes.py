"""A session that a person says was held or was not (R-3, R-8, R-15, R-17; T-3, T-7, T-10)."""

from datetime import date, datetime

import pytest

from tests.support.pairs import DAY, HOUR, MINUTE, NOW, SAM, WEEK, session_of, utc
from tests.support.stories import (
    Story,
    booked_story,
    deferral_causes,
    fill_days,
    first_session,
    get_refusal,
    session_of_state,
    story_at_end,
)
from worker.domain.model import EffectKind, Session, SessionKind, SessionState, Span
from worker.domain.planning import actions

# --- not held ---


def test_what_did_not_take_place_is_owed() -> None:
    """R-8, T-10: soon, as another event, with its cause."""
    story = story_at_end()
    was = first_session(story)
    story.tick_at(story.now + 2 * HOUR)
    story.act(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    again = story.session(was.id)
    assert deferral_causes(story) == ["not_held"]
    assert story.state.deferrals[0].was == was.span
    assert again.booked
    assert again.held_at is None
    assert again.key != was.key
    assert story.now < again.span.start <= story.now + 16 * DAY


def test_nobody_is_asked_for_the_contract_of_what_did_not_take_place() -> None:
    """T-7: and once it did, for that one."""
    story = story_at_end()
    was = first_session(story)
    story.act(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    again = story.session(was.id)
    story.until(again.span.start)
    assert story.mails("contract_reminder") == []
    story.until(again.span.end)
    assert [m.start for m in story.mails("contract_request")] == [was.span.end, again.span.end]


def test_said_while_it_should_be_under_way_the_event_moves() -> None:
    """T-10: the same event, when it still exists."""
    story = booked_story()
    was = story.next
    story.tick_at(was.span.start + 10 * MINUTE)
    made = story.act(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    assert [(m.kind, m.event) for m in made.effects if m.event] == [(EffectKind.UPDATE, was.key)]


def test_also_an_unfinished_conversation_may_turn_out_not_to_have_been() -> None:
    """R-17, R-8."""
    story = story_at_end()
    was = first_session(story)
    story.until(story.now + 20 * DAY)
    assert story.session(was.id).state is SessionState.UNFINISHED
    story.act(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    assert story.session(was.id).booked


def test_the_rhythm_goes_on_from_what_was_held() -> None:
    """T-3, R-3: the session after it stays a quarter away from the one it follows."""
    story = story_at_end()
    was, following = story.sessions_of_kind(SessionKind.CAREER)
    story.act(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    story.until(story.session(was.id).span.end)
    gap = story.session(following.id).span.start - story.session(was.id).span.end
    assert 77 * DAY <= gap <= 112 * DAY


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (session_of(NOW + DAY), "has not begun yet"),
        (session_of(None), "has not begun yet"),
        (session_of_state(SessionState.CONTRACTED), "so it took place"),
    ],
)
def test_what_can_t_have_failed_to_take_place(session: Session, words: str) -> None:
    assert words in get_refusal(session, actions.record_not_held)


# --- held ---


def test_a_session_is_taken_as_held_when_its_end_has_passed() -> None:
    """T-7, R-3: the moment it is over the next one is there."""
    story = story_at_end()
    assert first_session(story).state is SessionState.HELD
    assert first_session(story).held_at == story.now
    assert story.next.booked
    assert story.placed_event(story.next)


def test_a_session_held_early_is_held() -> None:
    """T-3, T-7: what stands on the calendar goes, the contract counts from the real end."""
    story = booked_story()
    was = story.next
    story.tick_at(was.span.start - 5 * DAY)
    end = story.now - HOUR
    story.act(lambda p: actions.record_held(p, p.sessions[was.id], end))
    assert story.session(was.id).held_at == end
    assert story.session(was.id).span == Span(end - 75 * MINUTE, end)
    assert story.placed_event(was) is None
    assert [m.start for m in story.mails("contract_request")] == [end]
    assert story.next.target.date() == (end + 91 * DAY).date()


def test_a_session_that_was_owed_may_have_been_held_all_the_same() -> None:
    """R-8: two people met without us."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 1), 250)
    story.tick()
    owed = story.next
    assert owed.unplaceable
    story.tick_at(NOW + DAY)
    story.act(lambda p: actions.record_held(p, p.sessions[owed.id], NOW + HOUR))
    assert story.session(owed.id).state is SessionState.HELD
    assert story.session(owed.id).unplaceable is None


@pytest.mark.parametrize("end", [utc(1, 1, 2, 10), utc(1969, 1, 2, 10), NOW - 367 * DAY])
def test_nobody_says_that_it_was_held_more_than_a_year_ago(end: datetime) -> None:
    assert "that long ago" in get_refusal(session_of(None), actions.record_held, end)


def test_held_later_than_planned_re_anchors_the_rhythm() -> None:
    """T-3, T-11: the next one moves when it no longer lies in its window, and that is no deferral."""
    story = story_at_end()
    was, following = story.sessions_of_kind(SessionKind.CAREER)
    story.tick_at(was.span.end + 5 * WEEK)
    story.act(lambda p: actions.record_held(p, p.sessions[was.id], story.now - HOUR))
    again = story.session(following.id)
    assert again.span.start >= following.span.start + 2 * WEEK
    assert again.count == 0
    assert deferral_causes(story) == []
    assert [p.key for p in story.our_events() if p.span.start > story.now and p.key[0] == "c"] == [following.key]


def test_a_little_later_than_planned_moves_nothing() -> None:
    """T-3: as long as the next one lies in its window."""
    story = story_at_end()
    was, following = story.sessions_of_kind(SessionKind.CAREER)
    story.tick_at(was.span.end + WEEK)
    story.act(lambda p: actions.record_held(p, p.sessions[was.id], story.now - HOUR))
    assert story.session(following.id).span == following.span
    assert story.session(following.id).target == following.target + WEEK


def test_a_re_anchored_session_a_human_had_placed_stays() -> None:
    """T-11: by hand is by hand."""
    story = story_at_end()
    was, following = story.sessions_of_kind(SessionKind.CAREER)
    story.move(following, following.span.start + 2 * HOUR, 75)
    chosen = story.session(following.id).span
    story.tick_at(was.span.end + 5 * WEEK)
    story.act(lambda p: actions.record_held(p, p.sessions[was.id], story.now - HOUR))
    assert story.session(following.id).span == chosen


@pytest.mark.parametrize("session", [session_of(NOW + DAY), session_of(None)])
def test_nothing_was_held_in_the_future(session: Session) -> None:
    assert "in the future" in get_refusal(session, actions.record_held)
    assert "in the future" in get_refusal(session, actions.record_held, NOW + MINUTE)


def test_a_closed_conversation_is_not_opened_again_by_saying_that_it_was_held() -> None:
    """R-15: nobody is asked twice for a contract that is there."""
    assert "has a contract" in get_refusal(session_of_state(SessionState.CONTRACTED), actions.record_held)
