"""What a person says to the program, as plans (R-4, R-6, R-7, R-8, R-14, R-15, R-17, R-18; T-7, T-10, T-12, T-14)."""

from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from tests.support.pairs import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SAM,
    WEEK,
    Story,
    booked,
    causes,
    commitment_of,
    fill,
    pair_of,
    placed_of,
    session_of,
    state_of,
    utc,
)
from worker.domain.model import (
    CommitmentStanding,
    Dated,
    EffectKind,
    EndReason,
    Owner,
    Policy,
    Session,
    SessionKind,
    SessionState,
    Span,
    Topic,
    Trigger,
)
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder
from worker.errors import Refused

DUE = date(2026, 10, 30)
MINE, YOURS = Dated(id="p1", owner=Owner.MANAGER, due=DUE), Dated(id="p2", owner=Owner.REPORT, due=DUE)


def at_end() -> Story:
    """A story at the end of its first session."""
    story = booked()
    story.until(story.next.span.end)
    return story


def first(story: Story) -> Session:
    return story.of_kind(SessionKind.CAREER)[0]


def record(story: Story, *promises: Dated, revision: int = 1) -> None:
    session_id = first(story).id
    story.say(lambda p: actions.record_contract(p, p.sessions[session_id], promises, revision))


def refused(session: Session, act: Any, *more: Any, now: datetime = NOW) -> str:
    """What is answered to an act the rules don't allow; nothing is changed by it."""
    p = PlanBuilder(now, state_of(session), None, Policy())
    with pytest.raises(Refused) as answer:
        act(p, session, *more)
    assert p.build().is_empty
    return str(answer.value)


def of_state(state: SessionState, **fields: Any) -> Session:
    start = NOW - 3 * DAY
    given = session_of(start, state=state, held_at=start + 75 * MINUTE, **fields)
    return (
        given
        if state in (SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED)
        else replace(given, held_at=None)
    )


# --- not held ---


def test_what_did_not_take_place_is_owed() -> None:
    """R-8, T-10: soon, as another event, with its cause."""
    story = at_end()
    was = first(story)
    story.at(story.now + 2 * HOUR)
    story.say(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    again = story.session(was.id)
    assert causes(story) == ["not_held"]
    assert story.state.deferrals[0].was == was.span
    assert again.booked
    assert again.held_at is None
    assert again.key != was.key
    assert story.now < again.span.start <= story.now + 16 * DAY


def test_nobody_is_asked_for_the_contract_of_what_did_not_take_place() -> None:
    """T-7: and once it did, for that one."""
    story = at_end()
    was = first(story)
    story.say(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    again = story.session(was.id)
    story.until(again.span.start)
    assert story.mails("contract_reminder") == []
    story.until(again.span.end)
    assert [m.start for m in story.mails("contract_request")] == [was.span.end, again.span.end]


def test_said_while_it_should_be_under_way_the_event_moves() -> None:
    """T-10: the same event, when it still exists."""
    story = booked()
    was = story.next
    story.at(was.span.start + 10 * MINUTE)
    made = story.say(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    assert [(m.kind, m.event) for m in made.effects if m.event] == [(EffectKind.UPDATE, was.key)]


def test_also_an_unfinished_conversation_may_turn_out_not_to_have_been() -> None:
    """R-17, R-8."""
    story = at_end()
    was = first(story)
    story.until(story.now + 20 * DAY)
    assert story.session(was.id).state is SessionState.UNFINISHED
    story.say(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    assert story.session(was.id).booked


def test_the_rhythm_goes_on_from_what_was_held() -> None:
    """T-3, R-3: the session after it stays a quarter away from the one it follows."""
    story = at_end()
    was, following = story.of_kind(SessionKind.CAREER)
    story.say(lambda p: actions.record_not_held(p, p.sessions[was.id]))
    story.until(story.session(was.id).span.end)
    gap = story.session(following.id).span.start - story.session(was.id).span.end
    assert 77 * DAY <= gap <= 112 * DAY


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (session_of(NOW + DAY), "has not begun yet"),
        (session_of(None), "has not begun yet"),
        (of_state(SessionState.CONTRACTED), "so it took place"),
    ],
)
def test_what_can_t_have_failed_to_take_place(session: Session, words: str) -> None:
    assert words in refused(session, actions.record_not_held)


# --- held ---


def test_a_session_is_taken_as_held_when_its_end_has_passed() -> None:
    """T-7, R-3: the moment it is over the next one is there."""
    story = at_end()
    assert first(story).state is SessionState.HELD
    assert first(story).held_at == story.now
    assert story.next.booked
    assert story.placed(story.next)


def test_a_session_held_early_is_held() -> None:
    """T-3, T-7: what stands on the calendar goes, the contract counts from the real end."""
    story = booked()
    was = story.next
    story.at(was.span.start - 5 * DAY)
    end = story.now - HOUR
    story.say(lambda p: actions.record_held(p, p.sessions[was.id], end))
    assert story.session(was.id).held_at == end
    assert story.session(was.id).span == Span(end - 75 * MINUTE, end)
    assert story.placed(was) is None
    assert [m.start for m in story.mails("contract_request")] == [end]
    assert story.next.target.date() == (end + 91 * DAY).date()


def test_a_session_that_was_owed_may_have_been_held_all_the_same() -> None:
    """R-8: two people met without us."""
    story = Story()
    fill(story, SAM, date(2026, 9, 1), 100)
    story.tick()
    owed = story.next
    assert owed.unplaceable
    story.at(NOW + DAY)
    story.say(lambda p: actions.record_held(p, p.sessions[owed.id], NOW + HOUR))
    assert story.session(owed.id).state is SessionState.HELD
    assert story.session(owed.id).unplaceable is None


@pytest.mark.parametrize("end", [utc(1, 1, 2, 10), utc(1969, 1, 2, 10), NOW - 367 * DAY])
def test_nobody_says_that_it_was_held_more_than_a_year_ago(end: datetime) -> None:
    assert "that long ago" in refused(session_of(None), actions.record_held, end)


def test_held_later_than_planned_re_anchors_the_rhythm() -> None:
    """T-3, T-11: the next one moves when it no longer lies in its window, and that is no deferral."""
    story = at_end()
    was, following = story.of_kind(SessionKind.CAREER)
    story.at(was.span.end + 5 * WEEK)
    story.say(lambda p: actions.record_held(p, p.sessions[was.id], story.now - HOUR))
    again = story.session(following.id)
    assert again.span.start >= following.span.start + 2 * WEEK
    assert again.count == 0
    assert causes(story) == []
    assert [p.key for p in story.standing() if p.span.start > story.now and p.key[0] == "c"] == [following.key]


def test_a_little_later_than_planned_moves_nothing() -> None:
    """T-3: as long as the next one lies in its window."""
    story = at_end()
    was, following = story.of_kind(SessionKind.CAREER)
    story.at(was.span.end + WEEK)
    story.say(lambda p: actions.record_held(p, p.sessions[was.id], story.now - HOUR))
    assert story.session(following.id).span == following.span
    assert story.session(following.id).target == following.target + WEEK


def test_a_re_anchored_session_a_human_had_placed_stays() -> None:
    """T-11: by hand is by hand."""
    story = at_end()
    was, following = story.of_kind(SessionKind.CAREER)
    story.move(following, following.span.start + 2 * HOUR, 75)
    chosen = story.session(following.id).span
    story.at(was.span.end + 5 * WEEK)
    story.say(lambda p: actions.record_held(p, p.sessions[was.id], story.now - HOUR))
    assert story.session(following.id).span == chosen


@pytest.mark.parametrize("session", [session_of(NOW + DAY), session_of(None)])
def test_nothing_was_held_in_the_future(session: Session) -> None:
    assert "in the future" in refused(session, actions.record_held)
    assert "in the future" in refused(session, actions.record_held, NOW + MINUTE)


def test_a_closed_conversation_is_not_opened_again_by_saying_that_it_was_held() -> None:
    """R-15: nobody is asked twice for a contract that is there."""
    assert "has a contract" in refused(of_state(SessionState.CONTRACTED), actions.record_held)


# --- another time ---


def test_another_time_may_be_asked_for() -> None:
    """T-10, R-8: ours, and it counts."""
    story = booked()
    was = story.next
    story.say(lambda p: actions.request_time(p, p.sessions[was.id], None))
    assert causes(story) == ["asked"]
    assert story.next.id == was.id
    assert story.next.span != was.span


@pytest.mark.parametrize("start", [utc(2026, 9, 9, 8), utc(2026, 9, 12, 18), utc(2026, 12, 1, 10)])
def test_the_time_wished_for_is_taken(start: datetime) -> None:
    """R-9, T-11: whatever the rules would have preferred; late ones widen the window."""
    story = booked()
    was = story.next
    wish = Span(start, start + 75 * MINUTE)
    story.say(lambda p: actions.request_time(p, p.sessions[was.id], wish))
    assert (story.next.span, story.next.by_hand, story.next.count) == (wish, True, 1)
    assert [p.span for p in story.standing()] == [wish]
    assert story.next.latest >= wish.end
    story.look()
    assert story.next.span == wish


def test_what_is_owed_may_be_given_a_time_by_a_person() -> None:
    """R-8: an unplaceable session that two people found an hour for; no deferral more."""
    story = Story()
    fill(story, SAM, date(2026, 9, 1), 100)
    story.tick()
    wish = Span(utc(2026, 9, 20, 8), utc(2026, 9, 20, 9))
    story.say(lambda p: actions.request_time(p, p.sessions[story.next.id], wish))
    assert (story.next.span, story.next.count, story.next.unplaceable) == (wish, 0, None)
    assert [p.span for p in story.standing()] == [wish]


def test_a_time_wished_for_when_the_event_is_gone_is_another_event() -> None:
    """R-8: the calendar would take the old key for the dead one."""
    session = session_of(NOW + 2 * WEEK)
    gone = placed_of(session.key, session.span, gone=True)
    owed = replace(session, state=SessionState.DEFERRED, start=None, end=None, count=1)
    story = Story(state=state_of(owed, placed_events={session.key: gone}))
    wish = Span(NOW + 3 * DAY, NOW + 3 * DAY + HOUR)
    story.say(lambda p: actions.request_time(p, p.sessions["c1"], wish))
    assert story.next.span == wish
    assert story.next.key != session.key
    assert [p.span for p in story.standing()] == [wish]


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
    story = booked()
    wish = Span(utc(2026, 9, 29, 8), utc(2026, 9, 29, 8, 45))
    story.say(lambda p: actions.request_time(p, p.sessions[story.next.id], wish))
    assert story.next.span == wish
    assert len(story.mails("short_session")) == 1


@pytest.mark.parametrize(
    "state", [SessionState.HELD, SessionState.CONTRACTED, SessionState.UNFINISHED, SessionState.CANCELLED]
)
def test_what_is_over_can_t_be_moved(state: SessionState) -> None:
    assert "nothing to move" in refused(of_state(state), actions.request_time, None)


# --- soon ---


def soon(trigger: Trigger = Trigger.DOUBT) -> Story:
    story = booked()
    story.say(lambda p: actions.request_talk(p, trigger))
    return story


def test_an_ad_hoc_conversation_is_one_of_its_own() -> None:
    """R-6: it takes nothing from the rhythm before it is held, and asks for a contract like any other."""
    story = soon()
    adhoc = next(s for s in story.of_kind(SessionKind.CAREER) if s.adhoc)
    regular = next(s for s in story.of_kind(SessionKind.CAREER) if not s.adhoc)
    assert adhoc.booked
    assert regular.booked
    assert adhoc.asks_contract
    story.until(adhoc.span.end)
    assert [m.subject for m in story.mails("contract_request")] == [adhoc.id]


def test_after_an_ad_hoc_conversation_the_next_is_a_quarter_away() -> None:
    """T-3: it counts as held."""
    story = soon()
    adhoc = next(s for s in story.of_kind(SessionKind.CAREER) if s.adhoc)
    story.until(adhoc.span.end)
    assert 77 * DAY <= story.next.span.start - adhoc.span.end <= 112 * DAY
    assert causes(story) == []


@pytest.mark.parametrize("trigger", list(Trigger))
def test_nothing_tells_why_it_was_asked_for(trigger: Trigger) -> None:
    """R-6: no plan, history or message holds the reason."""
    story = soon(trigger)
    told = repr((story.told, story.state))
    assert "A person asked to talk soon." in told
    assert trigger.value not in told.replace("Leaving", "")


def test_only_one_is_asked_for_at_a_time() -> None:
    """T-14: a second asking finds the first."""
    story = soon()
    with pytest.raises(Refused, match="asked for already"):
        story.say(lambda p: actions.request_talk(p, Trigger.MOTIVATION))
    story.until(NOW + 7 * DAY)
    story.say(lambda p: actions.request_talk(p, Trigger.MOTIVATION))
    assert len([s for s in story.of_kind(SessionKind.CAREER) if s.adhoc]) == 2


def test_only_one_check_in_is_asked_for_at_a_time() -> None:
    """R-7."""
    story = booked()
    story.say(actions.request_check_in)
    with pytest.raises(Refused, match="asked for already"):
        story.say(actions.request_check_in)
    assert len(story.of_kind(SessionKind.CHECKIN)) == 1


def test_a_check_in_and_a_conversation_soon_don_t_exclude_each_other() -> None:
    story = soon()
    story.say(actions.request_check_in)
    assert story.of_kind(SessionKind.CHECKIN)[0].booked


@pytest.mark.parametrize("fields", [{"paused": True}, {"ended": EndReason.CHANGED}])
def test_a_pair_that_rests_is_resumed_first(fields: dict[str, Any]) -> None:
    p = PlanBuilder(NOW, state_of(pair=pair_of(**fields)), None, Policy())
    with pytest.raises(Refused, match="Resume it first"):
        actions.request_talk(p, Trigger.DOUBT)
    with pytest.raises(Refused, match="Resume it first"):
        actions.request_check_in(p)


# --- the contract ---


def test_a_contract_closes_the_conversation_and_both_get_it() -> None:
    """T-7, R-14, R-15: the summary is due at once, for both."""
    story = at_end()
    story.now += HOUR
    record(story, MINE, YOURS)
    assert first(story).state is SessionState.CONTRACTED
    summaries = story.mails("contract_summary")
    assert [(m.to, m.number) for m in summaries] == [(DANA.email, 1), (SAM.email, 1)]
    assert {m.due_at for m in summaries} == {story.now}
    assert {(c.id, c.owner, c.due, c.recorded_at) for c in story.state.commitments} == {
        ("p1", Owner.MANAGER, DUE, story.now),
        ("p2", Owner.REPORT, DUE, story.now),
    }
    assert story.commitment("p1").block  # R-19, T-8: within the same minute


@pytest.mark.parametrize(("hours", "late"), [(47, None), (48, None), (49, True)])
def test_lateness_is_recorded(hours: int, late: bool | None) -> None:
    """R-15, R-22."""
    story = at_end()
    story.at(story.now + hours * HOUR)
    record(story)
    told = next(d for d in story.told if d.fields.get("state") == "contracted")
    assert told.fields.get("late") is late
    assert ("after its deadline" in told.reason) is bool(late)


def test_a_contract_is_a_live_document() -> None:
    """R-14, R-18: each revision goes to both; what is kept stays, what is new begins, what is gone ends as changed."""
    story = at_end()
    record(story, MINE, YOURS)
    story.at(story.now + 30 * DAY)
    other = Dated(id="p3", owner=Owner.REPORT, due=DUE)
    record(story, replace(MINE, due=DUE + WEEK), other, revision=2)
    assert [(m.to, m.number) for m in story.mails("contract_summary")] == [
        (DANA.email, 1),
        (SAM.email, 1),
        (DANA.email, 2),
        (SAM.email, 2),
    ]
    standing = {c.id: (c.standing, c.due) for c in story.state.commitments}
    assert standing == {
        "p1": (CommitmentStanding.OPEN, DUE + WEEK),
        "p2": (CommitmentStanding.CHANGED, DUE),
        "p3": (CommitmentStanding.OPEN, DUE),
    }
    assert "Revision 2" in [d for d in story.told if d.what == "contract"][-1].reason


def test_a_revision_leaves_what_was_done_alone() -> None:
    """R-18."""
    story = at_end()
    record(story, MINE, YOURS)
    story.say(lambda p: actions.close_commitment(p, p.commitments["p2"], CommitmentStanding.DONE))
    record(story, MINE, revision=2)
    assert story.commitment("p2").standing is CommitmentStanding.DONE


def test_an_unfinished_conversation_is_finished_by_its_contract() -> None:
    """R-17: late is better than never."""
    story = at_end()
    story.until(story.now + 20 * DAY)
    assert first(story).state is SessionState.UNFINISHED
    record(story)
    assert first(story).state is SessionState.CONTRACTED
    assert len(story.mails("contract_summary")) == 2


def test_a_contract_may_be_recorded_while_the_two_still_talk() -> None:
    """R-15: once it has begun; the end is that of the calendar."""
    story = booked()
    was = story.next
    story.at(was.span.start + 50 * MINUTE)
    record(story)
    assert first(story).state is SessionState.CONTRACTED
    assert first(story).held_at == was.span.end


@pytest.mark.parametrize(
    ("session", "words"),
    [
        (session_of(NOW + DAY), "has not taken place yet"),
        (session_of(None), "has not taken place yet"),
        (of_state(SessionState.HELD, kind=SessionKind.REVIEW), "not one that ends with a contract"),
        (of_state(SessionState.CANCELLED), "not one that ends with a contract"),
    ],
)
def test_what_has_no_contract(session: Session, words: str) -> None:
    assert words in refused(session, actions.record_contract, [], 1)


def test_an_early_contract_ends_a_series() -> None:
    """R-4, T-13: who agrees in the second conversation has agreed; the third still stands."""
    start = NOW - 2 * HOUR
    direction = session_of(start, topic=Topic.DIRECTION, state=SessionState.HELD, held_at=start + HOUR)
    p = PlanBuilder(NOW, state_of(direction), None, Policy())
    actions.record_contract(p, direction, [MINE], 1)
    assert p.sessions["c1"].state is SessionState.CONTRACTED


# --- commitments ---


@pytest.mark.parametrize(
    ("standing", "words"),
    [(CommitmentStanding.DONE, "done"), (CommitmentStanding.LET_GO, "let go"), (CommitmentStanding.CHANGED, "changed")],
)
def test_a_commitment_ends_without_blame(standing: CommitmentStanding, words: str) -> None:
    """R-18, R-24: when and how, and nothing of what."""
    story = Story(state=state_of(commitments=(commitment_of(DUE, Owner.REPORT),)))
    story.say(lambda p: actions.close_commitment(p, p.commitments["p1"], standing))
    assert (story.commitment().standing, story.commitment().closed_at) == (standing, NOW)
    assert f"A commitment of the report ended as {words}." in [d.reason for d in story.told]


def test_a_commitment_ends_once() -> None:
    """R-18."""
    given = commitment_of(DUE, standing=CommitmentStanding.DONE, closed_at=NOW)
    p = PlanBuilder(NOW + timedelta(days=1), state_of(commitments=(given,)), None, Policy())
    with pytest.raises(Refused, match="ended already, as done"):
        actions.close_commitment(p, given, CommitmentStanding.LET_GO)
