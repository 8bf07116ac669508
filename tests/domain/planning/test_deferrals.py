"""Tests of how changes on the calendars defer or move booked sessions.

R-8 and T-10: a session that loses its time gets another. R-9 and T-11: what people choose stays. R-10, R-38 and T-12
are about notices and counts of deferrals, T-1 about the lengths of sessions. The session of a state has the id c1.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from tests.support.pairs import (
    BOTH_PEOPLE,
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
from tests.support.stories import (
    Calendars,
    Story,
    booked_story,
    decide,
    deferral_causes,
    fill_days,
    make_story_before_session,
    session_of_state,
)
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

# --- declined, deleted ---


@pytest.mark.parametrize("decliner", BOTH_PEOPLE, ids=lambda person: person.name)
def test_a_declined_session_gets_another_time_at_once(decliner: Person) -> None:
    """The deferral is stored with its number, its cause, and the person who declined (T-10, R-8)."""
    story = booked_story()
    session = story.next
    first_plan = story.decline(session, decliner)
    (deferral,) = first_plan.deferrals
    assert (deferral.session, deferral.number, deferral.at) == (session.id, 1, NOW)
    assert (deferral.cause, deferral.who, deferral.was) == (DeferralCause.DECLINED, decliner.email, session.span)
    assert story.next.id == session.id
    assert story.next.booked
    assert story.next.span != session.span
    assert [event.span for event in story.our_events()] == [story.next.span]


@pytest.mark.parametrize("weeks", [1, 3, 8])
def test_requested_new_time_is_near_and_later_than_the_old_one(weeks: int) -> None:
    """A person who asks for another time without naming one wants a later one (T-10)."""
    start = NOW + weeks * WEEK + 2 * HOUR
    story = Story(state=state_of(session_of(start, by_hand=True)))
    story.tick()
    story.act(lambda builder: actions.request_time(builder, builder.sessions["c1"], requested_time=None))
    session = story.session("c1")
    assert session.booked and session.count == 1
    assert session.span.start > start
    assert count_shared_days(start, session.span.start) <= 10


def test_new_time_is_near_the_time_that_was_lost_last() -> None:
    """The session loses its time first by a request, then by a decline (T-10)."""
    start = NOW + 8 * WEEK + 2 * HOUR
    story = Story(state=state_of(session_of(start, by_hand=True)))
    story.tick()
    story.act(lambda builder: actions.request_time(builder, builder.sessions["c1"], requested_time=None))
    lost_start = story.session("c1").span.start
    story.decline(story.session("c1"))
    assert abs(story.session("c1").span.start - lost_start) <= 2 * WEEK


def test_history_states_who_deferred_a_session_and_why() -> None:
    """A deferral is counted, and the session stays owed (R-8, R-10)."""
    story = booked_story()
    story.decline(story.next)
    decision = next(d for d in story.decisions if d.fields.get("cause"))
    assert decision.reason == f"Deferred by {SAM.email}: declined. Deferral number 1; the session is owed."
    assert (decision.fields["state"], decision.fields["count"], decision.fields["cause"]) == ("deferred", 1, "declined")


def test_deleted_event_is_replaced_by_one_with_another_key() -> None:
    """A calendar could take a second event with the same key for the deleted one (T-10)."""
    story = booked_story()
    session = story.next
    first_plan = story.delete(session)
    assert deferral_causes(story) == ["deleted"]
    assert story.next.generation == session.generation + 1
    assert [(effect.kind, effect.event) for effect in first_plan.effects if effect.event] == [
        (EffectKind.CREATE, story.next.key)
    ]


@pytest.mark.parametrize("lead", [3 * HOUR, HOUR, -30 * MINUTE])
def test_decline_and_delete_defer_until_the_session_ends(lead: timedelta) -> None:
    """They also count in the last four hours and during the session (T-10)."""
    for action in ("decline", "delete"):
        story = make_story_before_session(lead)
        getattr(story, action)(story.next)
        assert len(deferral_causes(story)) == 1
        assert story.next.span.start > story.now


def test_deleting_the_event_of_a_held_session_is_no_deferral() -> None:
    """Somebody tidies up the calendar (R-8)."""
    story = booked_story()
    session = story.next
    story.tick_at(session.span.end)
    story.delete(session)
    assert story.session(session.id).state is SessionState.HELD
    assert deferral_causes(story) == []


def test_both_get_a_mail_with_the_count_of_each_deferral() -> None:
    """Both people get a mail with the count once the new time is on the calendar (R-10, T-12)."""
    story = booked_story()
    for count in (1, 2, 3, 4):
        story.until(utc(2026, 9, 7, 7 + count))  # an hour later each time, in the mail hours of both
        story.decline(story.next)
        assert [(m.to, m.number) for m in story.mails("deferral_notice")] == [
            (reader.email, n) for n in range(1, count + 1) for reader in (DANA, SAM)
        ]
        assert story.mails("deferral_notice")[-1].start == story.next.start


@pytest.mark.parametrize(("absent_person", "readers"), [(DANA, [SAM]), (SAM, [DANA, SAM])], ids=["manager", "report"])
def test_a_first_absence_of_the_manager_causes_no_mail_to_the_manager(
    absent_person: Person, readers: list[Person]
) -> None:
    """The manager sees the new time on the calendar; the report gets a notice in any case (T-12, R-38)."""
    story = booked_story()
    story.book(absent_person, story.next.span, ShowAs.AWAY)
    assert [(m.to, m.number) for m in story.mails("deferral_notice")] == [(reader.email, 1) for reader in readers]


def test_r18_manager_gets_one_notice_about_an_explanation_of_the_report() -> None:
    """This includes a manager who needs no notice of the move itself; the report gets no second notice (R-18, R-38)."""
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


def test_the_manager_gets_a_notice_of_a_second_own_absence() -> None:
    """From the second deferral on, the manager gets a notice even after an absence of their own (R-10, T-12)."""
    story = booked_story()
    for _ in range(2):
        story.tick_at(story.now + HOUR)
        story.book(DANA, story.next.span, ShowAs.AWAY)
    assert [m.number for m in story.mails("deferral_notice") if m.to == DANA.email] == [2]
    assert [m.number for m in story.mails("deferral_notice") if m.to == SAM.email] == [1, 2]


def test_manager_who_was_warned_of_a_clash_gets_no_deferral_notice() -> None:
    """A session that begins in 30 hours is moved without a warning, so both people get a notice (T-10, T-12)."""
    warned_story, unwarned_story = booked_story(), booked_story()
    for story, lead in ((warned_story, 6 * DAY), (unwarned_story, 30 * HOUR)):
        story.tick_at(story.next.span.start - lead)
        story.recheck_free_busy()
        story.book(SAM, story.next.span)
        story.until(story.now + DAY)
        assert deferral_causes(story) == ["booked_over"]
    assert [m.to for m in warned_story.mails("deferral_notice")] == [SAM.email]
    assert [m.to for m in unwarned_story.mails("deferral_notice")] == [DANA.email, SAM.email]


def test_deferrals_are_counted_by_cycle_and_kind() -> None:
    """Ad hoc sessions and reviews are counted separately (T-12)."""
    sessions = [
        session_of(None, id="a", topic="now", count=1, cycle=2),
        session_of(None, id="b", topic="gap", count=2, cycle=2),
        session_of(None, id="c", count=5, cycle=1),
        session_of(None, id="d", count=7, cycle=2, adhoc=True),
        session_of(None, id="e", count=9, cycle=2, kind=SessionKind.REVIEW),
    ]
    # the two parts of cycle 2 share the sum of their counts
    assert [count_deferrals_in_cycle(sessions, s) for s in sessions] == [1 + 2, 1 + 2, 5, 7, 9]


# --- moved by hand ---


@pytest.mark.parametrize(
    "start",
    [
        utc(2026, 9, 22, 8),
        utc(2026, 9, 29, 8),
        utc(2026, 9, 23, 20),
        utc(2026, 9, 26, 12),
        utc(2026, 9, 10, 8),
        utc(2026, 10, 5, 10),
        utc(2026, 10, 12, 12),
    ],
    ids=[
        "a day later",
        "eight days later",
        "in the evening",
        "on a Saturday",
        "much earlier",
        "two weeks later",
        "at the window's end",
    ],
)
def test_a_hand_move_inside_the_rules_is_respected(start: datetime) -> None:
    """The move is accepted: nothing is written back, and nothing counts as a deferral (T-11, R-9)."""
    story = booked_story()
    first_plan = story.move(story.next, start, minutes=75)
    assert first_plan.accepted_moves == {story.next.key: Span(start, start + 75 * MINUTE)}
    assert (story.next.start, story.next.by_hand, story.next.count) == (start, True, 0)
    assert [effect for effect in first_plan.effects if effect.event] == []
    assert deferral_causes(story) == []


def test_hand_move_needs_no_buffer() -> None:
    """The session begins when another event of the report ends (T-11)."""
    story = booked_story()
    story.calendars.book(SAM, utc(2026, 9, 29, 9), utc(2026, 9, 29, 10))
    story.move(story.next, utc(2026, 9, 29, 10), minutes=60)
    story.recheck_free_busy()
    assert story.next.span.start == utc(2026, 9, 29, 10)
    assert deferral_causes(story) == []


def test_next_session_is_counted_from_the_hand_moved_time() -> None:
    """Its target is one rhythm after the new time (T-11, T-3)."""
    story = booked_story(Story(policy=Policy(ahead=2)))
    first, second = story.sessions_of_kind(SessionKind.CAREER)
    story.move(first, first.span.start + WEEK, minutes=75)
    assert story.session(second.id).target == second.target + WEEK


def test_hand_move_past_the_window_is_a_deferral() -> None:
    """The session returns into its window (T-10, R-8)."""
    story = booked_story()
    lost_span, latest = story.next.span, story.next.latest
    first_plan = story.move(story.next, latest + HOUR, minutes=75)
    assert deferral_causes(story) == ["moved_out"]
    assert [deferral.was for deferral in first_plan.deferrals] == [lost_span]
    assert story.next.span.start < latest
    assert [event.span for event in story.our_events()] == [story.next.span]


def test_moving_a_session_to_an_earlier_time_is_no_deferral() -> None:
    """The session is past its window before and after the move (T-11)."""
    target = utc(2026, 11, 2, 10)
    session = session_of(utc(2026, 12, 1, 10), by_hand=True, target=target, latest=target + 3 * WEEK)
    story = Story(state=state_of(session))
    story.tick()
    story.move(story.next, utc(2026, 11, 30, 10), minutes=75)
    assert story.next.start == utc(2026, 11, 30, 10) > story.next.latest
    assert deferral_causes(story) == []


@pytest.mark.parametrize(
    ("minutes", "mail_count", "deferral_count"),
    [(75, 0, 0), (60, 0, 0), (59, 1, 0), (45, 1, 0), (44, 0, 1), (15, 0, 1)],
)
def test_a_session_shortened_to_45_minutes_stays_and_causes_a_mail(
    minutes: int, mail_count: int, deferral_count: int
) -> None:
    """The manager gets a mail about 45 to 59 minutes; less than 45 minutes is a deferral (T-1, R-1)."""
    story = booked_story()
    story.move(story.next, story.next.span.start, minutes=minutes)
    assert [m.to for m in story.mails("short_session")] == [DANA.email] * mail_count
    assert deferral_causes(story) == ["moved_out"] * deferral_count
    assert story.next.span.minutes == (75 if deferral_count else minutes)


def test_short_session_has_one_mail_for_each_of_its_times() -> None:
    """The mail names the time of the session (T-1)."""
    story = booked_story()
    start = story.next.span.start
    story.move(story.next, start, minutes=50)
    story.tick_at(NOW + DAY)
    story.move(story.next, start + DAY, minutes=50)
    assert [m.start for m in story.mails("short_session")] == [start, start + DAY]


def test_review_may_be_shortened_to_any_length() -> None:
    """The shortest length of T-1 is that of career sessions."""
    review = session_of(utc(2026, 9, 28, 8), minutes=25, kind=SessionKind.REVIEW, id="r1")
    contracted_session = session_of_state(SessionState.CONTRACTED, contracted_at=NOW - 3 * WEEK)
    story = Story(state=state_of(review, contracted_session))
    story.tick()
    story.move(story.session("r1"), utc(2026, 9, 28, 8), minutes=10)
    assert deferral_causes(story) == []
    assert story.session("r1").span.minutes == 10
    assert story.mails("short_session") == []


def test_move_seen_after_the_old_end_sets_the_held_time() -> None:
    """The event is moved to a later time, and the change is read only after the old end (T-11)."""
    story = booked_story()
    session = story.next
    new_span = Span(session.span.start + 4 * HOUR, session.span.end + 4 * HOUR)
    story.now = session.span.end + MINUTE
    story.change_event(session, span=new_span)
    assert story.session(session.id).state is SessionState.BOOKED
    story.until(new_span.end)
    assert story.session(session.id).held_at == new_span.end


def test_new_time_after_a_hand_move_is_not_by_hand() -> None:
    """`by_hand` is about the time that a person chose, not about the next one (T-10)."""
    story = booked_story()
    story.move(story.next, utc(2026, 9, 29, 8), minutes=75)
    story.decline(story.next)
    assert not story.next.by_hand
    assert story.next.count == 1


# --- changes that are not on the calendar yet, or never arrived there: sequence 2 is the one that planning decided ---


def test_event_with_a_pending_change_is_not_compared() -> None:
    """The event as it was read may be older than the change that was decided."""
    session = session_of(utc(2026, 9, 29, 8), sequence=2)
    placed = placed_event_of(
        session.key, Span(utc(2026, 9, 28, 8), utc(2026, 9, 28, 9, 15)), answers={SAM.email: Answer.DECLINED}
    )
    update = effect_of(kind=EffectKind.UPDATE, event=session.key, key="u", progress=EffectProgress.SENDING)
    state = state_of(session, placed_events={session.key: placed}, effects=(update,), free_busy_used_at=NOW)
    assert decide(NOW, state, Calendars()).deferrals == ()
    done_effects = (replace(update, progress=EffectProgress.DONE),)
    updated_placed = replace(placed, span=session.span, written_span=session.span)
    settled_state = replace(state, effects=done_effects, placed_events={session.key: updated_placed})
    assert [d.cause for d in decide(NOW, settled_state, Calendars()).deferrals] == [DeferralCause.DECLINED]


def test_answer_to_the_time_before_is_not_counted_again() -> None:
    """Our update was refused, so the event still has the old time and the answer that was counted already."""
    session = session_of(utc(2026, 9, 29, 8), sequence=2, count=1)
    placed = placed_event_of(
        session.key, Span(utc(2026, 9, 28, 8), utc(2026, 9, 28, 9, 15)), answers={SAM.email: Answer.DECLINED}
    )
    refused_update = effect_of(kind=EffectKind.UPDATE, event=session.key, key="u", progress=EffectProgress.DEAD)
    state = state_of(session, placed_events={session.key: placed}, effects=(refused_update,), free_busy_used_at=NOW)
    next_plan = decide(NOW + timedelta(hours=1), state, Calendars())
    assert next_plan.deferrals == ()
    assert [effect.kind for effect in next_plan.effects if effect.event] == [EffectKind.UPDATE]


def make_story_with_lost_update(
    progress: EffectProgress = EffectProgress.DROPPED, decided_at: datetime = NOW
) -> tuple[Story, Session]:
    """Return a story whose calendar still shows the time before our last update of the session, and the session."""
    session = session_of(utc(2026, 9, 29, 8), sequence=2)
    placed = placed_event_of(session.key, Span(utc(2026, 9, 28, 8), utc(2026, 9, 28, 9, 15)))
    update = effect_of(kind=EffectKind.UPDATE, event=session.key, key="u", progress=progress, decided_at=decided_at)
    story = Story(
        state=state_of(session, placed_events={session.key: placed}, effects=(update,), free_busy_used_at=NOW)
    )
    return story, session


def test_session_change_missing_on_the_calendar_is_written_again() -> None:
    """The old time on the calendar does not count as a move by hand (R-8)."""
    story, session = make_story_with_lost_update()
    first_plan = story.tick()
    assert [effect.kind for effect in first_plan.effects if effect.event] == [EffectKind.UPDATE]
    assert deferral_causes(story) == []
    placed = story.placed_event(story.next)
    assert placed is not None
    assert placed.span == session.span


def test_refused_change_is_written_again_after_five_minutes() -> None:
    """The session keeps its new time meanwhile (R-8)."""
    story, session = make_story_with_lost_update(EffectProgress.DEAD)
    assert [effect for effect in story.tick().effects if effect.event] == []
    assert story.due == NOW + 5 * MINUTE
    story.until(NOW + 5 * MINUTE)
    placed = story.placed_event(story.next)
    assert placed is not None
    assert placed.span == session.span


# --- several deferrals ---


def test_a_session_deferred_six_times_keeps_its_history_and_is_held() -> None:
    """One session loses its time in six ways, keeps its complete history, and is held in the end (R-8)."""
    story = booked_story(Story(pair_of(start=date(2026, 6, 29))))
    session_id = story.next.id
    story.decline(story.next)
    story.tick_at(story.now + DAY)
    story.delete(story.next)
    story.tick_at(story.now + DAY)
    story.move(story.next, story.next.span.start, minutes=30)
    story.tick_at(story.now + DAY)
    story.book(DANA, Span(story.next.span.start - DAY, story.next.span.end), ShowAs.AWAY)
    story.tick_at(story.now + DAY)
    story.act(lambda builder: actions.request_time(builder, builder.sessions[session_id], requested_time=None))
    story.until(story.next.span.end)
    story.act(lambda builder: actions.record_not_held(builder, builder.sessions[session_id]))
    assert deferral_causes(story) == ["declined", "deleted", "moved_out", "out_of_office", "asked", "not_held"]
    assert [d.number for d in story.state.deferrals] == [1, 2, 3, 4, 5, 6]
    assert {d.session for d in story.state.deferrals} == {session_id}
    session = story.session(session_id)
    assert session.booked
    assert session.count == 6
    story.until(session.span.end)
    assert story.session(session_id).state is SessionState.HELD


def test_deferred_part_of_a_series_moves_the_later_parts() -> None:
    """The parts stay five to ten working days apart, and the later ones are not deferred (T-13, T-3)."""
    story = booked_story(Story(pair_of(format=Format.SERIES)))
    now, direction, gap = (s.id for s in story.sessions_of_kind(SessionKind.CAREER))
    fill_days(story, SAM, date(2026, 9, 7), days=14)
    story.tick_at(story.session(now).span.start - DAY)
    story.decline(story.session(now))
    spans = [story.session(part).span for part in (now, direction, gap)]
    assert spans[0].end < spans[1].start - 6 * DAY
    assert spans[1].end < spans[2].start - 6 * DAY
    assert [story.session(part).count for part in (now, direction, gap)] == [1, 0, 0]
