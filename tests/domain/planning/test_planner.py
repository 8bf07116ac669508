"""Tests of the planner as a whole: planning again, paused and ended pairs, changes of the rhythm.

R-3: the next session is always on both calendars. R-5: a transition shortens the rhythm. R-8: a session that loses its
time is owed. R-22: only sessions that took place count as held. R-24: nobody gets a needless mail.
"""

from dataclasses import replace
from datetime import date, datetime

import pytest

from tests.support.pairs import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SAM,
    WEEK,
    commitment_of,
    pair_of,
    person,
    session_of,
    state_of,
    utc,
)
from tests.support.stories import (
    Calendars,
    Story,
    apply_plan,
    booked_story,
    changes_nothing,
    decide,
    deferral_causes,
    fill_days,
    perform_effects,
)
from worker.domain.model import (
    BusyTime,
    CommitmentStanding,
    DeferralCause,
    EffectKind,
    EffectProgress,
    EndReason,
    Format,
    IdentifiedCommitment,
    Interval,
    Owner,
    PairState,
    Policy,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
    Trigger,
)
from worker.domain.planning import actions, contract_mails, deferrals
from worker.domain.planning.planner import plan
from worker.domain.time.blockers import explain_no_slot
from worker.domain.time.search import Search

# --- planning the same state again ---


def test_same_state_calendars_and_time_give_the_same_plan() -> None:
    """The ids in the plan are the same, too."""
    state = Story().state
    assert decide(NOW, state, Calendars()) == decide(NOW, state, Calendars())


def test_planning_does_not_change_its_input() -> None:
    """All changes are in the plan that is returned."""
    story = booked_story()
    representation = repr(story.state)
    story.plan()
    assert repr(story.state) == representation


def test_planning_again_before_and_after_the_effects_changes_nothing() -> None:
    """No second event is created while the first one waits for its effect (R-3)."""
    state = Story().state
    first_plan = decide(NOW, state, Calendars())
    state = apply_plan(state, first_plan, NOW)
    assert changes_nothing(decide(NOW, state, Calendars()))
    assert changes_nothing(decide(NOW + MINUTE, state, Calendars()))
    state = perform_effects(state, NOW)
    assert changes_nothing(decide(NOW + MINUTE, state, Calendars()))


def test_one_plan_is_enough_for_two_cycles_and_for_a_series() -> None:
    """Each session counts from the time that the same plan gives to the session before it (T-13, T-15)."""
    for policy, format_ in (
        (Policy(ahead=2), Format.COMBINED),
        (Policy(), Format.SERIES),
        (Policy(ahead=2), Format.SERIES),
    ):
        story = Story(pair_of(format=format_), policy=policy)
        story.calendars.book(SAM, utc(2026, 9, 21), utc(2026, 10, 2))  # no session can be at its target
        story.tick()
        sessions = story.sessions_of_kind(SessionKind.CAREER)
        story.tick_at(NOW + HOUR)
        assert story.sessions_of_kind(SessionKind.CAREER) == sessions


def test_plan_sets_when_the_pair_is_planned_next() -> None:
    """The next instant is that of a mail, a calendar check, the end of the session, or the contract deadline."""
    story = booked_story()
    assert story.due is not None
    assert NOW < story.due <= story.next.span.start
    story.until(story.next.span.end)
    assert story.due is not None
    assert story.due <= contract_mails.find_contract_deadline(DANA, story.sessions_of_kind(SessionKind.CAREER)[0])


def test_paused_pair_is_not_planned_again() -> None:
    """Nothing is due while the pause lasts (T-4)."""
    story = Story(pair_of(paused=True))
    assert changes_nothing(story.tick())
    assert story.due is None


def make_story_with_clashes() -> Story:
    """Return a story with a commitment, a clash with its booked session, and an absence of the manager."""
    story = Story(state=state_of(session_of(utc(2026, 9, 28, 8)), commitments=(commitment_of(date(2026, 10, 9)),)))
    story.calendars.book(SAM, utc(2026, 9, 28, 8), utc(2026, 9, 28, 9))
    story.calendars.book(DANA, utc(2026, 12, 28), utc(2027, 1, 8), ShowAs.AWAY)
    return story


def test_planning_more_often_than_due_decides_the_same() -> None:
    """A pair that is planned every six hours besides makes the same decisions at the same instants (T-4 to T-12)."""
    planned_when_due, planned_often = make_story_with_clashes(), make_story_with_clashes()
    end = NOW + 60 * DAY
    planned_when_due.until(end)
    while planned_often.now < end:
        planned_often.tick_at(planned_often.now + 6 * HOUR)
    assert planned_often.decisions == planned_when_due.decisions
    effects = [
        [(effect.key, effect.decided_at, effect.progress) for effect in s.state.effects]
        for s in (planned_when_due, planned_often)
    ]
    assert effects[0] == effects[1]


def test_unavailable_calendar_only_delays_the_booking() -> None:
    """The calendar is unavailable for a day (T-4, T-10)."""
    story = Story()
    story.calendars.unavailable = {DANA.email}
    story.until(NOW + DAY)
    assert story.decisions == []
    story.calendars.unavailable = set()
    story.until(NOW + DAY + 5 * MINUTE)
    assert story.next.booked


# --- pairs that are paused, end and resume ---


def make_story_with_contract() -> Story:
    """Return a story with a contract, its two reviews, a commitment of each person, and an ad hoc session."""
    story = booked_story(Story(pair_of(format=Format.COMBINED)))
    story.until(story.next.span.end)
    session_id = story.sessions_of_kind(SessionKind.CAREER)[0].id
    commitments = [
        IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=date(2026, 10, 30)),
        IdentifiedCommitment(id="p2", owner=Owner.REPORT, due=date(2026, 10, 30)),
    ]
    story.act(lambda builder: actions.record_contract(builder, builder.sessions[session_id], commitments, revision=1))
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    return story


def list_future_keys(story: Story) -> list[str]:
    """Return the keys of our events that begin after now."""
    return sorted(event.key for event in story.our_events() if event.span.start > story.now)


END_REASONS = [EndReason.REPORT_LEFT, EndReason.MANAGER_LEFT, EndReason.BOTH_LEFT, EndReason.CHANGED]


@pytest.mark.parametrize("fields", [{"paused": True}, *({"ended": reason} for reason in END_REASONS)])
def test_a_paused_or_ended_pair_has_no_future_sessions_and_no_mails(fields: dict[str, object]) -> None:
    """All future events are cancelled, and no mail about the pair is sent any more; the history stays (R-24)."""
    story = make_story_with_contract()
    assert len(list_future_keys(story)) == 5  # the next session, the ad hoc session, two reviews and a block
    now_before = story.now
    story.change(**fields)
    # the block of the old manager's commitment stays until that commitment ends
    remaining = ["p1.1"] if fields.get("ended") is EndReason.CHANGED else []
    assert list_future_keys(story) == remaining
    assert not any(s.owed or s.booked for s in story.state.sessions)
    reason = "The pair is paused." if fields.get("paused") else "The pair has ended."
    assert [d.reason for d in story.decisions].count(reason) == 4  # one for each of the sessions
    story.until(now_before + 200 * DAY)
    later_mails = [
        effect.name
        for effect in story.state.effects
        if effect.decided_at > now_before and effect.progress is EffectProgress.DONE
    ]
    assert later_mails == []


@pytest.mark.parametrize(
    ("reason", "recipients"),
    [
        (EndReason.REPORT_LEFT, [DANA.email]),
        (EndReason.MANAGER_LEFT, [SAM.email]),
        (EndReason.BOTH_LEFT, []),
        (EndReason.CHANGED, [DANA.email, SAM.email]),
    ],
)
def test_end_of_a_pair_is_mailed_once_to_the_people_who_stay(reason: EndReason, recipients: list[str]) -> None:
    """The mail leaves on the next working day (R-24, T-17)."""
    story = booked_story()
    story.change(ended=reason)
    assert story.sent("pair_ended") == []
    story.now += 2 * HOUR
    story.tick()
    assert story.sent("pair_ended") == []
    story.now += DAY + HOUR
    story.tick()
    assert [m.to for m in story.sent("pair_ended")] == recipients


def test_paused_pair_gets_no_mail() -> None:
    """Both people know of the pause (R-24)."""
    story = booked_story()
    story.change(paused=True)
    assert story.mails("pair_ended") == []


def test_resumed_pair_gets_its_sessions_reviews_and_blocks_again() -> None:
    """The new session counts from the last session that was held (T-4, R-3)."""
    story = make_story_with_contract()
    held = story.sessions_of_kind(SessionKind.CAREER)[0]
    story.change(paused=True)
    story.tick_at(story.now + 2 * DAY)
    story.change(paused=False)
    assert story.next.booked
    assert story.next.target.date() == held.span.end.date() + 13 * WEEK
    assert len([s for s in story.sessions_of_kind(SessionKind.REVIEW) if s.booked]) == 2
    assert story.placed_event(story.commitment("p1"))
    assert len(story.mails("introduction")) == 2


def test_repeated_pauses_do_not_change_the_rhythm() -> None:
    """The rhythm counts from the held session even after it is closed (T-3, T-4)."""
    story = booked_story()
    held = story.next
    story.until(held.span.end + 15 * DAY)
    for _ in range(3):
        story.change(paused=True)
        story.tick_at(story.now + DAY)
        story.change(paused=False)
        story.tick_at(story.now + DAY)
    assert story.session(held.id).is_closed
    assert story.next.booked
    assert story.next.target.date() == held.span.end.date() + 13 * WEEK


def test_pair_resumed_after_a_year_meets_within_three_weeks() -> None:
    """Its session is long overdue (T-4)."""
    story = booked_story()
    story.until(story.next.span.end + DAY)
    story.change(paused=True)
    story.tick_at(NOW + 400 * DAY)
    story.change(paused=False)
    assert story.now < story.next.span.start <= story.now + 3 * WEEK


def test_second_end_of_a_pair_is_mailed_again() -> None:
    """The pair resumes between its two ends, and each of the two people gets a mail about each end (R-24)."""
    story = booked_story()
    story.change(ended=EndReason.CHANGED)
    story.tick_at(NOW + 2 * DAY)
    story.change(ended=EndReason.NO)
    story.tick_at(NOW + 3 * DAY)
    story.change(ended=EndReason.CHANGED)
    story.tick_at(NOW + 5 * DAY)
    assert len(story.mails("pair_ended")) == 4


def test_pause_cancels_an_event_that_is_not_created_yet() -> None:
    """The cancellation is performed after the creation (T-4)."""
    state = Story().state
    state = apply_plan(state, decide(NOW, state, Calendars()), NOW)
    state = replace(state, pair=replace(state.pair, paused=True))
    paused_plan = decide(NOW, state, Calendars())
    assert [effect.kind for effect in paused_plan.effects] == [EffectKind.CANCEL]
    final_state = perform_effects(apply_plan(state, paused_plan, NOW), NOW)
    assert [event.key for event in final_state.placed_events.values() if not event.is_gone] == []


def test_block_of_a_done_commitment_is_cancelled_when_the_pair_ends() -> None:
    """Both happen before the next plan, and free/busy can't be read then (T-8)."""
    story = make_story_with_contract()
    story.calendars.unavailable = {DANA.email}
    story.state = replace(story.state, pair=replace(story.pair, ended=EndReason.REPORT_LEFT))
    story.act(lambda builder: actions.close_commitment(builder, builder.commitments["p1"], CommitmentStanding.DONE))
    assert list_future_keys(story) == []


# --- the rhythm changes ---


def test_a_transition_brings_the_next_session_nearer() -> None:
    """The rhythm is shorter once the people file names the transition, and normal again without it (R-5)."""
    story = booked_story()
    story.until(story.next.span.end + DAY)
    session_before = story.next
    story.change(transition_until=date(2027, 3, 1))
    assert story.next.id == session_before.id
    assert story.next.target.date() == date(2026, 11, 2)  # six weeks after the first session
    assert abs(story.next.span.start - story.next.target) < 8 * DAY
    assert deferral_causes(story) == []
    story.change(transition_until=None)
    assert story.next.target == session_before.target


def test_the_normal_rhythm_returns_after_the_end_of_a_transition() -> None:
    """The first session after the end of the transition follows a quarter later (R-5)."""
    story = booked_story(Story(pair_of(transition_until=date(2026, 12, 1))))
    ends: list[datetime] = []
    for _ in range(3):
        ends.append(story.next.span.end)
        story.until(story.next.span.end)
    assert ends[1] - ends[0] < 60 * DAY
    assert ends[2] - ends[1] > 70 * DAY


def test_changed_rhythm_moves_the_booked_session() -> None:
    """Half a year replaces a quarter. The event stays the same, and nothing counts as a deferral (R-1)."""
    story = booked_story()
    story.until(story.next.span.end + DAY)
    key = story.next.key
    story.change(every=Interval(months=6))
    assert story.next.target.date() == date(2027, 3, 21)  # six months after the first session
    assert (story.next.key, story.next.count) == (key, 0)


def test_session_within_four_hours_is_not_moved() -> None:
    """The pair's new start gives the session another window (T-10)."""
    story = booked_story()
    story.tick_at(story.next.span.start - 3 * HOUR)
    span = story.next.span
    story.change(start=date(2026, 9, 1))
    assert story.next.span == span


# --- free/busy, and sessions whose event is not on the calendar ---


def test_unplaceable_session_keeps_the_reasons_of_the_search() -> None:
    """The reasons are about the window at the shortest length, before the window is widened (T-4)."""
    night_worker = person("Sam", "Europe/Berlin", "DE", "Mon-Thu 22:00-06:00")
    story = Story(report=night_worker)
    story.tick()
    session = story.next
    wednesday = utc(2026, 9, 8, 22)  # midnight in Berlin: a new session has two weekdays of notice
    search = Search(
        manager=DANA,
        report=night_worker,
        window=Span(max(session.earliest, wednesday), session.latest),
        minutes=60,
        target=session.target,
        free_busy=Calendars()
        .read_free_busy(story.state, {DANA.email: Span(NOW, NOW), night_worker.email: Span(NOW, NOW)})
        .free_busy,
    )
    assert session.unplaceable == explain_no_slot(search)


def test_planning_requests_free_busy_without_taken_times() -> None:
    """A booking needs the taken times of other pairs, which are read together with free/busy."""
    state: PairState = Story().state
    snapshot = Calendars().read_free_busy(
        state, dict.fromkeys((DANA.email, SAM.email), Span(NOW - 30 * DAY, NOW + 60 * DAY))
    )
    assert plan(NOW, state, snapshot, Policy()).needed_free_busy is not None
    assert plan(NOW, replace(state, taken_times={}), snapshot, Policy()).needed_free_busy is None


def test_plan_requests_all_free_busy_at_once() -> None:
    """The session needs both people, and the block of the commitment needs a longer window."""
    commitment = commitment_of(date(2027, 3, 1))
    first_plan = plan(NOW, state_of(commitments=(commitment,)), snapshot=None, policy=Policy())
    assert first_plan.needed_free_busy is not None
    assert set(first_plan.needed_free_busy.people) == {DANA.email, SAM.email}
    assert first_plan.needed_free_busy.window.end == utc(2027, 3, 1, 23)  # midnight in Berlin, after the due date


def test_own_event_does_not_block_the_new_time_of_its_session() -> None:
    """The only free time adjoins the old event. That event counts as free, but its time is not used again (T-10)."""
    story = booked_story()
    span = story.next.span
    story.calendars.busy[DANA.email] = [
        BusyTime(Span(NOW, span.start)),
        BusyTime(Span(span.end + 3 * HOUR, NOW + 90 * DAY)),
    ]
    story.act(
        lambda builder: deferrals.defer_session(builder, builder.sessions[story.next.id], DeferralCause.BOOKED_OVER)
    )
    assert story.next.span.start == span.end


def test_session_without_an_event_is_not_held() -> None:
    """Nobody was invited, so the end of its time proves nothing (R-8, R-22)."""
    story = Story()
    story.refuses = True
    story.tick()
    session = story.session(story.next.id)
    story.until(session.target + 10 * DAY)
    assert story.session(session.id).state is not SessionState.HELD
    assert story.session(session.id).held_at is None


def test_session_is_held_at_its_old_time_when_its_move_is_refused() -> None:
    """People see the old time, so the session gets it back when the new time has passed (R-8, R-22)."""
    story = booked_story()
    session = story.next
    fill_days(story, SAM, session.span.start.date() + DAY, days=30)
    story.refuses = True
    story.decline(session)
    assert story.next.span.end < session.span.start
    story.state = replace(
        story.state, placed_events={session.key: replace(story.state.placed_events[session.key], answers={})}
    )
    story.until(story.next.span.end)
    assert story.next.span == session.span
    story.until(session.span.end)
    assert story.session(session.id).held_at == session.span.end


def test_session_that_ended_just_before_a_pause_is_held() -> None:
    """The pair is paused in the minute after the end, before it is planned again (R-22)."""
    story = booked_story()
    session = story.next
    story.until(session.span.end - MINUTE)
    story.now = session.span.end + MINUTE / 2
    story.change(paused=True)
    story.tick()
    assert story.session(session.id).held_at == session.span.end
