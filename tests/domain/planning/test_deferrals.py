"""What calendars tell about booked sessions, and what follows (R-8, R-9, R-10; T-1, T-10, T-11, T-12)."""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from tests.support.pairs import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SAM,
    WEEK,
    count_shared_days,
    effect_of,
    pair_of,
    placed_event_of,
    session_of,
    state_of,
    utc,
)
from tests.support.stories import Calendars, Story, booked_story, decide, deferral_causes, fill_days, session_of_state
from worker.domain.model import (
    Answer,
    DeferralCause,
    EffectKind,
    EffectProgress,
    Format,
    Person,
    Policy,
    Session,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
)
from worker.domain.planning import actions
from worker.domain.planning.deferrals import count_deferrals_in_cycle

TWO = (DANA, SAM)


def ahead(left: timedelta) -> Story:
    """A story in which the next session begins in so long, and the calendars were just read."""
    story = booked_story()
    story.tick_at(story.next.span.start - left)
    story.recheck_free_busy()
    return story


# --- declined, deleted ---


@pytest.mark.parametrize("who", TWO, ids=lambda one: one.name)
def test_a_declined_session_gets_another_time_at_once(who: Person) -> None:
    """T-10, R-8: with the count, the cause and who kept."""
    story = booked_story()
    was = story.next
    made = story.decline(was, who)
    (deferral,) = made.deferrals
    assert (deferral.session, deferral.number, deferral.at) == (was.id, 1, NOW)
    assert (deferral.cause, deferral.who, deferral.was) == (DeferralCause.DECLINED, who.email, was.span)
    assert story.next.id == was.id
    assert story.next.booked
    assert story.next.span != was.span
    assert [p.span for p in story.our_events()] == [story.next.span]


@pytest.mark.parametrize("weeks", [1, 3, 8])
def test_who_asks_for_another_time_gets_a_later_one(weeks: int) -> None:
    """T-10: near the time that was given up, never before it."""
    start = NOW + weeks * 7 * DAY + 2 * HOUR
    story = Story(state=state_of(session_of(start, by_hand=True)))
    story.tick()
    story.act(lambda p: actions.request_time(p, p.sessions["c1"], None))
    moved = story.session("c1")
    assert moved.booked and moved.count == 1
    assert moved.span.start > start
    assert count_shared_days(start, moved.span.start) <= 10


def test_asked_for_again_and_declined_in_between_it_stays_near() -> None:
    """T-10: near the time that was lost last."""
    start = NOW + 56 * DAY + 2 * HOUR
    story = Story(state=state_of(session_of(start, by_hand=True)))
    story.tick()
    story.act(lambda p: actions.request_time(p, p.sessions["c1"], None))
    lost = story.session("c1").span.start
    story.decline(story.session("c1"))
    assert abs(story.session("c1").span.start - lost) <= 2 * WEEK


def test_the_history_tells_of_a_deferral_in_words() -> None:
    """R-8, R-10."""
    story = booked_story()
    story.decline(story.next)
    lost = next(d for d in story.decisions if d.fields.get("cause"))
    assert lost.reason == f"Deferred by {SAM.email}: declined. Deferral number 1; the session is owed."
    assert (lost.fields["state"], lost.fields["count"], lost.fields["cause"]) == ("deferred", 1, "declined")


def test_a_deleted_event_is_made_anew_at_another_time() -> None:
    """T-10: the next one has another key, so that no calendar takes it for the dead one."""
    story = booked_story()
    was = story.next
    made = story.delete(was)
    assert deferral_causes(story) == ["deleted"]
    assert story.next.generation == was.generation + 1
    assert [(m.kind, m.event) for m in made.effects if m.event] == [(EffectKind.CREATE, story.next.key)]


@pytest.mark.parametrize("left", [3 * HOUR, HOUR, -30 * MINUTE])
def test_decline_and_delete_count_to_the_very_end(left: timedelta) -> None:
    """T-10: also inside the last four hours, and while it should be under way."""
    for act in ("decline", "delete"):
        story = ahead(left)
        getattr(story, act)(story.next)
        assert len(deferral_causes(story)) == 1
        assert story.next.span.start > story.now


def test_deleting_the_event_of_a_conversation_that_was_held_changes_nothing() -> None:
    """R-8: tidying up is no deferral."""
    story = booked_story()
    was = story.next
    story.tick_at(was.span.end)
    story.delete(was)
    assert story.session(was.id).state is SessionState.HELD
    assert deferral_causes(story) == []


def test_each_deferral_is_announced_to_both_with_its_count() -> None:
    """R-10, T-12: by mail, once the new time stands."""
    story = booked_story()
    for count in (1, 2, 3, 4):
        story.until(utc(2026, 9, 7, 7 + count))
        story.decline(story.next)
        assert [(m.to, m.number) for m in story.mails("deferral_notice")] == [
            (who.email, n) for n in range(1, count + 1) for who in (DANA, SAM)
        ]
        assert story.mails("deferral_notice")[-1].start == story.next.start


@pytest.mark.parametrize(("who", "readers"), [(DANA, [SAM]), (SAM, [DANA, SAM])], ids=["manager", "report"])
def test_a_manager_who_is_away_needs_no_mail_that_it_moved(who: Person, readers: list[Person]) -> None:
    """T-12, R-38: the calendar shows the new time; the report is told in any case, and may choose another one."""
    story = booked_story()
    story.book(who, story.next.span, ShowAs.AWAY)
    assert [(m.to, m.number) for m in story.mails("deferral_notice")] == [(reader.email, 1) for reader in readers]


def test_r18_what_the_report_says_about_a_move_the_manager_is_told_in_any_case() -> None:
    """R-18, R-38: also a manager who knew of it, and once; the report is not told of it again."""
    story = booked_story()
    story.book(DANA, story.next.span, ShowAs.AWAY)
    assert [m.to for m in story.mails("deferral_notice")] == [SAM.email]
    story.tick_at(story.now + HOUR)
    story.state = replace(
        story.state, deferrals=tuple(replace(d, explained_at=story.now) for d in story.state.deferrals)
    )
    for _ in range(2):
        story.tick()
        assert [(m.to, m.number) for m in story.mails("deferral_notice")] == [(SAM.email, 1), (DANA.email, 1)]


def test_a_second_deferral_is_told_to_a_manager_who_knows_of_it() -> None:
    """R-10, T-12: that it is the second time is for the manager to read, whoever is away."""
    story = booked_story()
    for _ in range(2):
        story.tick_at(story.now + HOUR)
        story.book(DANA, story.next.span, ShowAs.AWAY)
    assert [m.number for m in story.mails("deferral_notice") if m.to == DANA.email] == [2]
    assert [m.number for m in story.mails("deferral_notice") if m.to == SAM.email] == [1, 2]


def test_a_manager_who_was_warned_needs_no_mail_that_it_moved() -> None:
    """T-10, T-12: the warning named the hour; where none could be given, both are told."""
    warned, unwarned = booked_story(), booked_story()
    for story, left in ((warned, 6 * DAY), (unwarned, 30 * HOUR)):
        story.tick_at(story.next.span.start - left)
        story.recheck_free_busy()
        story.book(SAM, story.next.span)
        story.until(story.now + DAY)
        assert deferral_causes(story) == ["booked_over"]
    assert [m.to for m in warned.mails("deferral_notice")] == [SAM.email]
    assert [m.to for m in unwarned.mails("deferral_notice")] == [DANA.email, SAM.email]


def test_the_count_of_a_cycle_leaves_other_cycles_out() -> None:
    """T-12: and ad hoc conversations, and reviews, which count alone."""
    sessions = [
        session_of(None, id="a", topic="now", count=1, cycle=2),
        session_of(None, id="b", topic="gap", count=2, cycle=2),
        session_of(None, id="c", count=5, cycle=1),
        session_of(None, id="d", count=7, cycle=2, adhoc=True),
        session_of(None, id="e", count=9, cycle=2, kind=SessionKind.REVIEW),
    ]
    assert [count_deferrals_in_cycle(sessions, s) for s in sessions] == [3, 3, 5, 7, 9]


# --- moved by hand ---


@pytest.mark.parametrize(
    "start",
    [utc(2026, 9, 29, 8), utc(2026, 9, 23, 20), utc(2026, 9, 26, 12), utc(2026, 9, 10, 8), utc(2026, 10, 5, 10)],
    ids=["a day later", "in the evening", "on a Saturday", "much earlier", "at the window's edge"],
)
def test_a_hand_move_inside_the_rules_is_respected(start: datetime) -> None:
    """T-11, R-9: no deferral, nothing is written back, the move is acknowledged."""
    story = booked_story()
    made = story.move(story.next, start, 75)
    assert made.accepted_moves == {story.next.key: Span(start, start + 75 * MINUTE)}
    assert (story.next.start, story.next.by_hand, story.next.count) == (start, True, 0)
    assert [m for m in made.effects if m.event] == []
    assert deferral_causes(story) == []


def test_a_hand_move_may_glue_it_to_something_else() -> None:
    """T-11: a human may ignore buffers."""
    story = booked_story()
    story.calendars.book(SAM, utc(2026, 9, 29, 9), utc(2026, 9, 29, 10))
    story.move(story.next, utc(2026, 9, 29, 10), 60)
    story.recheck_free_busy()
    assert story.next.span.start == utc(2026, 9, 29, 10)
    assert deferral_causes(story) == []


def test_a_hand_move_re_anchors_the_rhythm() -> None:
    """T-11, T-3: the next counts from when it was held."""
    story = booked_story(Story(policy=Policy(ahead=2)))
    first, second = story.sessions_of_kind(SessionKind.CAREER)
    story.move(first, first.span.start + WEEK, 75)
    assert story.session(second.id).target == second.target + WEEK


def test_a_hand_move_past_the_window_is_a_deferral() -> None:
    """T-10, R-8: out of reach is out of reach."""
    story = booked_story()
    latest = story.next.latest
    made = story.move(story.next, latest + HOUR, 75)
    assert deferral_causes(story) == ["moved_out"]
    assert made.deferrals[0].was == story.next.span or made.deferrals[0].was is not None
    assert story.next.span.start < latest
    assert [p.span for p in story.our_events()] == [story.next.span]


def test_moving_back_a_session_that_stands_late_is_no_deferral() -> None:
    """T-11: earlier than now is always better, though past the window it was meant for."""
    late = session_of(utc(2026, 12, 1, 10), by_hand=True)  # its window ends in October
    story = Story(state=state_of(late))
    story.tick()
    story.move(story.next, utc(2026, 11, 30, 10), 75)
    assert deferral_causes(story) == []


@pytest.mark.parametrize(
    ("minutes", "flagged", "deferred"), [(75, 0, 0), (60, 0, 0), (59, 1, 0), (45, 1, 0), (44, 0, 1), (15, 0, 1)]
)
def test_a_person_may_shorten_to_45_and_that_is_flagged(minutes: int, flagged: int, deferred: int) -> None:
    """T-1, R-1: 45 to 59 minutes are told to the manager; under 45 counts as deferred."""
    story = booked_story()
    story.move(story.next, story.next.span.start, minutes)
    assert [m.to for m in story.mails("short_session")] == [DANA.email] * flagged
    assert deferral_causes(story) == ["moved_out"] * deferred
    assert story.next.span.minutes == (75 if deferred else minutes)


def test_shortened_again_is_flagged_again_only_at_another_time() -> None:
    """T-1: the mail speaks of that time."""
    story = booked_story()
    start = story.next.span.start
    story.move(story.next, start, 50)
    story.tick_at(NOW + DAY)
    story.move(story.next, start + DAY, 50)
    assert [m.start for m in story.mails("short_session")] == [start, start + DAY]


def test_a_review_may_be_as_short_as_people_like() -> None:
    """T-1 is about career sessions."""
    review = session_of(utc(2026, 9, 28, 8), 25, kind=SessionKind.REVIEW, id="r1")
    talk = session_of_state(SessionState.CONTRACTED, contracted_at=NOW - 3 * WEEK)
    story = Story(state=state_of(review, talk))
    story.tick()
    story.move(story.session("r1"), utc(2026, 9, 28, 8), 10)
    assert deferral_causes(story) == []
    assert story.session("r1").span.minutes == 10
    assert story.mails("short_session") == []


def test_what_was_held_at_a_time_that_is_seen_only_afterwards_counts_from_that_time() -> None:
    """T-11: moved at the last moment to later; the calendar told us after the old end."""
    story = booked_story()
    was = story.next
    later = Span(was.span.start + 4 * HOUR, was.span.end + 4 * HOUR)
    story.now = was.span.end + MINUTE
    story.change_event(was, span=later)
    assert story.session(was.id).state is SessionState.BOOKED
    story.until(later.end)
    assert story.session(was.id).held_at == later.end


def test_a_moved_session_that_loses_its_time_is_ours_to_place() -> None:
    """T-10: by_hand speaks of the time a human chose, not of the next one."""
    story = booked_story()
    story.move(story.next, utc(2026, 9, 29, 8), 75)
    story.decline(story.next)
    assert not story.next.by_hand
    assert story.next.count == 1


# --- what is under way, what was lost ---


def test_what_is_under_way_is_not_compared() -> None:
    """What we see may be older than what we decided."""
    session = session_of(utc(2026, 9, 29, 8), sequence=2)
    old = placed_event_of(
        session.key, Span(utc(2026, 9, 28, 8), utc(2026, 9, 28, 9, 15)), answers={SAM.email: Answer.DECLINED}
    )
    update = effect_of(kind=EffectKind.UPDATE, event=session.key, key="u", progress=EffectProgress.SENDING)
    state = state_of(session, placed_events={session.key: old}, effects=(update,), free_busy_used_at=NOW)
    assert decide(NOW, state, Calendars()).deferrals == ()
    done = (replace(update, progress=EffectProgress.DONE),)
    stands = replace(old, span=session.span, written_span=session.span)
    settled = replace(state, effects=done, placed_events={session.key: stands})
    assert [d.cause for d in decide(NOW, settled, Calendars()).deferrals] == [DeferralCause.DECLINED]


def test_an_answer_to_the_time_before_is_no_answer_to_this_one() -> None:
    """Our move was refused: the decline that it answers still stands there, and was counted when it came."""
    session = session_of(utc(2026, 9, 29, 8), sequence=2, count=1)
    old = placed_event_of(
        session.key, Span(utc(2026, 9, 28, 8), utc(2026, 9, 28, 9, 15)), answers={SAM.email: Answer.DECLINED}
    )
    refused = effect_of(kind=EffectKind.UPDATE, event=session.key, key="u", progress=EffectProgress.DEAD)
    state = state_of(session, placed_events={session.key: old}, effects=(refused,), free_busy_used_at=NOW)
    decided = decide(NOW + timedelta(hours=1), state, Calendars())
    assert decided.deferrals == ()
    assert [m.kind for m in decided.effects if m.event] == [EffectKind.UPDATE]


def _unheard(progress: EffectProgress = EffectProgress.DROPPED, at: datetime = NOW) -> tuple[Story, Session]:
    """The calendar still shows the time before our last change."""
    session = session_of(utc(2026, 9, 29, 8), sequence=2)
    old = placed_event_of(session.key, Span(utc(2026, 9, 28, 8), utc(2026, 9, 28, 9, 15)))
    update = effect_of(kind=EffectKind.UPDATE, event=session.key, key="u", progress=progress, snapshot_at=at)
    story = Story(state=state_of(session, placed_events={session.key: old}, effects=(update,), free_busy_used_at=NOW))
    return story, session


def test_a_change_that_never_reached_the_calendar_is_written_again() -> None:
    """R-8: what was decided stands; it is no hand move."""
    story, session = _unheard()
    made = story.tick()
    assert [m.kind for m in made.effects if m.event] == [EffectKind.UPDATE]
    assert deferral_causes(story) == []
    placed = story.placed_event(story.next)
    assert placed is not None
    assert placed.span == session.span


def test_a_change_that_was_refused_is_written_again_after_a_while() -> None:
    """R-8: five minutes later, not at once."""
    story, session = _unheard(EffectProgress.DEAD)
    assert [m for m in story.tick().effects if m.event] == []
    assert story.due == NOW + 5 * MINUTE
    story.until(NOW + 5 * MINUTE)
    placed = story.placed_event(story.next)
    assert placed is not None
    assert placed.span == session.span


# --- all of it ---


def test_whatever_happens_it_is_owed_until_it_is_held() -> None:
    """R-8: one session, through every way in which it can lose its time, with its history whole."""
    story = booked_story(Story(pair_of(start=date(2026, 6, 29))))
    session_id = story.next.id
    story.decline(story.next)
    story.tick_at(story.now + DAY)
    story.delete(story.next)
    story.tick_at(story.now + DAY)
    story.move(story.next, story.next.span.start, 30)
    story.tick_at(story.now + DAY)
    story.book(DANA, Span(story.next.span.start - DAY, story.next.span.end), ShowAs.AWAY)
    story.tick_at(story.now + DAY)
    story.act(lambda p: actions.request_time(p, p.sessions[session_id], None))
    story.until(story.next.span.end)
    story.act(lambda p: actions.record_not_held(p, p.sessions[session_id]))
    assert deferral_causes(story) == ["declined", "deleted", "moved_out", "out_of_office", "asked", "not_held"]
    assert [d.number for d in story.state.deferrals] == [1, 2, 3, 4, 5, 6]
    assert {d.session for d in story.state.deferrals} == {session_id}
    owed = story.session(session_id)
    assert owed.booked
    assert owed.count == 6
    story.until(owed.span.end)
    assert story.session(session_id).state is SessionState.HELD


def test_a_deferred_part_of_a_series_moves_the_parts_after_it() -> None:
    """T-13, T-3: five to ten working days apart, and that is no deferral of theirs."""
    story = booked_story(Story(pair_of(format=Format.SERIES)))
    now, direction, gap = (s.id for s in story.sessions_of_kind(SessionKind.CAREER))
    fill_days(story, SAM, date(2026, 9, 7), 14)
    story.tick_at(story.session(now).span.start - DAY)
    story.decline(story.session(now))
    spans = [story.session(one).span for one in (now, direction, gap)]
    assert spans[0].end < spans[1].start - 6 * DAY
    assert spans[1].end < spans[2].start - 6 * DAY
    assert [story.session(one).count for one in (now, direction, gap)] == [1, 0, 0]
