"""The planner as a whole: the same world twice, pairs that rest or end, rhythms that change (R-3, R-5, R-8)."""

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

# --- the same world twice ---


def test_a_plan_is_made_of_what_was_read_and_of_nothing_else() -> None:
    """The same state, the same calendars, the same instant: the same plan, ids and all."""
    state = Story().state
    assert decide(NOW, state, Calendars()) == decide(NOW, state, Calendars())


def test_a_plan_leaves_what_it_was_given_as_it_was() -> None:
    """Pure: all that changes is in what it returns."""
    story = booked_story()
    before = repr(story.state)
    story.plan()
    assert repr(story.state) == before


def test_planned_again_before_and_after_its_effects_nothing_changes() -> None:
    """R-3: and the event that is on its way is not made twice."""
    state = Story().state
    made = decide(NOW, state, Calendars())
    state = apply_plan(state, made, NOW)
    assert changes_nothing(decide(NOW, state, Calendars()))
    assert changes_nothing(decide(NOW + MINUTE, state, Calendars()))
    state = perform_effects(state, NOW)
    assert changes_nothing(decide(NOW + MINUTE, state, Calendars()))


def test_two_ahead_and_a_series_are_right_at_once() -> None:
    """T-13, T-15: each part counts from the time that the one before was just given, and not from a later plan on."""
    for policy, form in (
        (Policy(ahead=2), Format.COMBINED),
        (Policy(), Format.SERIES),
        (Policy(ahead=2), Format.SERIES),
    ):
        story = Story(pair_of(format=form), policy=policy)
        story.calendars.book(SAM, utc(2026, 9, 21), utc(2026, 10, 2))  # not at the target
        story.tick()
        before = story.sessions_of_kind(SessionKind.CAREER)
        story.tick_at(NOW + HOUR)
        assert story.sessions_of_kind(SessionKind.CAREER) == before


def test_it_says_when_it_wants_to_look_again() -> None:
    """The end of the session, its prompt, its brief, its looks, the contract: whatever comes first."""
    story = booked_story()
    assert story.due is not None
    assert NOW < story.due <= story.next.span.start
    story.until(story.next.span.end)
    assert story.due is not None
    assert story.due <= contract_mails.find_contract_deadline(DANA, story.sessions_of_kind(SessionKind.CAREER)[0])


def test_a_pair_with_nothing_to_wait_for_sleeps() -> None:
    story = Story(pair_of(paused=True))
    assert changes_nothing(story.tick())
    assert story.due is None


def eventful() -> Story:
    """A pair with a commitment, and calendars in which things happen by themselves."""
    story = Story(state=state_of(session_of(utc(2026, 9, 28, 8)), commitments=(commitment_of(date(2026, 10, 9)),)))
    story.calendars.book(SAM, utc(2026, 9, 28, 8), utc(2026, 9, 28, 9))
    story.calendars.book(DANA, utc(2026, 12, 28), utc(2027, 1, 8), ShowAs.AWAY)
    return story


def test_looking_when_it_is_due_misses_nothing() -> None:
    """T-4 … T-12: a pair that is planned each hour besides decides the same, at the same instants."""
    due_only, often = eventful(), eventful()
    end = NOW + 60 * DAY
    due_only.until(end)
    while often.now < end:
        often.tick_at(often.now + 6 * HOUR)
    assert often.decisions == due_only.decisions
    sent = [[(m.key, m.snapshot_at, m.progress) for m in s.state.effects] for s in (due_only, often)]
    assert sent[0] == sent[1]


def test_a_calendar_that_can_t_be_asked_for_a_day_delays_and_changes_nothing_else() -> None:
    """T-4, T-10."""
    story = Story()
    story.calendars.unavailable = {DANA.email}
    story.until(NOW + DAY)
    assert story.decisions == []
    story.calendars.unavailable = set()
    story.until(NOW + DAY + 5 * MINUTE)
    assert story.next.booked


# --- pairs that rest, end, come back ---


def lively() -> Story:
    """A pair with all there is: a session and two reviews to come, a contract, commitments on the calendar."""
    story = booked_story(Story(pair_of(format=Format.COMBINED)))
    story.until(story.next.span.end)
    first = story.sessions_of_kind(SessionKind.CAREER)[0].id
    promises = [
        IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=date(2026, 10, 30)),
        IdentifiedCommitment(id="p2", owner=Owner.REPORT, due=date(2026, 10, 30)),
    ]
    story.act(lambda p: actions.record_contract(p, p.sessions[first], promises, 1))
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    return story


def to_come(story: Story) -> list[str]:
    return sorted(p.key for p in story.our_events() if p.span.start > story.now)


ENDS = [EndReason.REPORT_LEFT, EndReason.MANAGER_LEFT, EndReason.BOTH_LEFT, EndReason.CHANGED]


@pytest.mark.parametrize("fields", [{"paused": True}, *({"ended": why} for why in ENDS)])
def test_a_pair_that_rests_or_ends_has_nothing_to_come_on_any_calendar(fields: dict[str, object]) -> None:
    """R-24: and nothing more is said about it; the history stays."""
    story = lively()
    assert len(to_come(story)) == 5
    before = story.now
    story.change(**fields)
    # what the old manager promised stays on the manager's own calendar until the manager ends it
    kept = ["p1.1"] if fields.get("ended") is EndReason.CHANGED else []
    assert to_come(story) == kept
    assert not any(s.owed or s.booked for s in story.state.sessions)
    reason = "The pair is paused." if fields.get("paused") else "The pair has ended."
    assert [d.reason for d in story.decisions].count(reason) == 4
    story.until(before + 200 * DAY)
    later = [m.name for m in story.state.effects if m.snapshot_at > before and m.progress is EffectProgress.DONE]
    assert later == []


@pytest.mark.parametrize(
    ("why", "told"),
    [
        (EndReason.REPORT_LEFT, [DANA.email]),
        (EndReason.MANAGER_LEFT, [SAM.email]),
        (EndReason.BOTH_LEFT, []),
        (EndReason.CHANGED, [DANA.email, SAM.email]),
    ],
)
def test_whoever_is_still_there_is_told_once_that_it_ended(why: EndReason, told: list[str]) -> None:
    """R-24, T-17: not before the next day."""
    story = booked_story()
    story.change(ended=why)
    assert story.sent("pair_ended") == []
    story.now += 2 * HOUR
    story.tick()
    assert story.sent("pair_ended") == []
    story.now += DAY + HOUR
    story.tick()
    assert [m.to for m in story.sent("pair_ended")] == told


def test_a_pause_is_nobody_s_mail() -> None:
    """R-24: the two know it."""
    story = booked_story()
    story.change(paused=True)
    assert story.mails("pair_ended") == []


def test_a_pair_that_comes_back_gets_a_new_session() -> None:
    """T-4, R-3: counted from what was held; its reviews and blocks come back as well."""
    story = lively()
    held = story.sessions_of_kind(SessionKind.CAREER)[0]
    story.change(paused=True)
    story.tick_at(story.now + 2 * DAY)
    story.change(paused=False)
    assert story.next.booked
    assert story.next.target.date() == held.span.end.date() + 91 * DAY
    assert len([s for s in story.sessions_of_kind(SessionKind.REVIEW) if s.booked]) == 2
    assert story.placed_event(story.commitment("p1"))
    assert len(story.mails("introduction")) == 2


def test_a_pair_that_comes_back_again_and_again_keeps_its_rhythm() -> None:
    """T-3, T-4: what was held long ago and is closed still counts."""
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
    assert story.next.target.date() == held.span.end.date() + 91 * DAY


def test_a_pair_that_comes_back_after_a_year_meets_soon() -> None:
    """T-4: what is long overdue belongs into the next three weeks."""
    story = booked_story()
    story.until(story.next.span.end + DAY)
    story.change(paused=True)
    story.tick_at(NOW + 400 * DAY)
    story.change(paused=False)
    assert story.now < story.next.span.start <= story.now + 3 * WEEK


def test_a_second_ending_is_told_again() -> None:
    """R-24: a pair that came back in between."""
    story = booked_story()
    story.change(ended=EndReason.CHANGED)
    story.tick_at(NOW + 2 * DAY)
    story.change(ended=EndReason.NO)
    story.tick_at(NOW + 3 * DAY)
    story.change(ended=EndReason.CHANGED)
    story.tick_at(NOW + 5 * DAY)
    assert len(story.mails("pair_ended")) == 4


def test_an_event_on_its_way_when_the_pair_rests_goes_as_well() -> None:
    """T-4: it is cancelled after it is made."""
    state = Story().state
    state = apply_plan(state, decide(NOW, state, Calendars()), NOW)
    state = replace(state, pair=replace(state.pair, paused=True))
    made = decide(NOW, state, Calendars())
    assert [m.kind for m in made.effects] == [EffectKind.CANCEL]
    settled = perform_effects(apply_plan(state, made, NOW), NOW)
    assert [p.key for p in settled.placed_events.values() if not p.is_gone] == []


def test_a_commitment_that_just_ended_leaves_the_calendar_though_the_pair_ends() -> None:
    """T-8: also what is done goes, whoever left meanwhile."""
    story = lively()
    story.calendars.unavailable = {DANA.email}
    story.state = replace(story.state, pair=replace(story.pair, ended=EndReason.REPORT_LEFT))
    story.act(lambda p: actions.close_commitment(p, p.commitments["p1"], CommitmentStanding.DONE))
    assert to_come(story) == []


# --- the rhythm changes ---


def test_a_transition_brings_the_next_session_nearer() -> None:
    """R-5: from the day the people file says so, and back when it is over."""
    story = booked_story()
    story.until(story.next.span.end + DAY)
    calm = story.next
    story.change(transition_until=date(2027, 3, 1))
    assert story.next.id == calm.id
    assert story.next.target.date() == date(2026, 11, 2)
    assert abs(story.next.span.start - story.next.target) < 8 * DAY
    assert deferral_causes(story) == []
    story.change(transition_until=None)
    assert story.next.target == calm.target


def test_a_transition_ends_by_itself() -> None:
    """R-5: until a date; the first session that would come after it is a quarter away again."""
    story = booked_story(Story(pair_of(transition_until=date(2026, 12, 1))))
    held: list[datetime] = []
    for _ in range(3):
        held.append(story.next.span.end)
        story.until(story.next.span.end)
    assert held[1] - held[0] < 60 * DAY
    assert held[2] - held[1] > 70 * DAY


def test_another_rhythm_moves_what_is_booked() -> None:
    """R-1: half a year instead of a quarter, without a deferral; the event is the same."""
    story = booked_story()
    story.until(story.next.span.end + DAY)
    key = story.next.key
    story.change(every=Interval(months=6))
    assert story.next.target.date() == date(2027, 3, 21)
    assert (story.next.key, story.next.count) == (key, 0)


def test_what_is_about_to_begin_stays_where_it_is() -> None:
    """T-10: inside the last four hours nothing moves by itself."""
    story = booked_story()
    story.tick_at(story.next.span.start - 3 * HOUR)
    was = story.next.span
    story.change(start=date(2026, 9, 1))
    assert story.next.span == was


# --- what it asks ---


def test_why_there_is_no_time_is_what_the_search_says() -> None:
    """T-4: the reason kept is that of the window at the shortest length, before it was opened."""
    night = person("Sam", "Europe/Berlin", "DE", "Mon-Thu 22:00-06:00")
    story = Story(report=night)
    story.tick()
    session = story.next
    search = Search(
        manager=DANA,
        report=night,
        window=Span(max(session.earliest, utc(2026, 9, 8, 22)), session.latest),
        minutes=60,
        target=session.target,
        free_busy=Calendars()
        .read_free_busy(story.state, {DANA.email: Span(NOW, NOW), night.email: Span(NOW, NOW)})
        .free_busy,
    )
    assert session.unplaceable == explain_no_slot(search)


def test_first_of_all_it_asks() -> None:
    """A state that was read without other people's time can't be placed in."""
    state: PairState = Story().state
    seen = Calendars().read_free_busy(
        state, dict.fromkeys((DANA.email, SAM.email), Span(NOW - 30 * DAY, NOW + 60 * DAY))
    )
    assert plan(NOW, state, seen, Policy()).needed_free_busy is not None
    assert plan(NOW, replace(state, taken_times={}), seen, Policy()).needed_free_busy is None


def test_two_needs_of_one_plan_are_one_question() -> None:
    """A session to be placed and a block: everybody's time, over all of it, asked once."""
    far = commitment_of(date(2027, 3, 1))
    made = plan(NOW, state_of(commitments=(far,)), None, Policy())
    assert made.needed_free_busy is not None
    assert set(made.needed_free_busy.people) == {DANA.email, SAM.email}
    assert made.needed_free_busy.window.end == utc(2027, 3, 1, 23)


def test_busy_time_of_ours_does_not_stand_in_its_own_way() -> None:
    """T-10: the event of the session that moves is free for it, and its old time just isn't offered again."""
    story = booked_story()
    was = story.next.span
    story.calendars.busy[DANA.email] = [
        BusyTime(Span(NOW, was.start)),
        BusyTime(Span(was.end + 3 * HOUR, NOW + 90 * DAY)),
    ]
    story.act(
        lambda builder: deferrals.defer_session(builder, builder.sessions[story.next.id], DeferralCause.BOOKED_OVER)
    )
    assert story.next.span.start == was.end


def test_a_session_is_held_only_when_its_event_stood_on_the_calendar() -> None:
    """R-8, R-22: what never was on a calendar was not held."""
    story = Story()
    story.refuses = True
    story.tick()
    planned = story.session(story.next.id)
    story.until(planned.target + 10 * DAY)
    assert story.session(planned.id).state is not SessionState.HELD
    assert story.session(planned.id).held_at is None


def test_a_move_the_calendar_never_took_leaves_the_old_time() -> None:
    """R-8, R-22: people see the old time; the new one passes unheld."""
    story = booked_story()
    was = story.next
    fill_days(story, SAM, was.span.start.date() + DAY, 30)
    story.refuses = True
    story.decline(was)
    assert story.next.span.end < was.span.start
    story.state = replace(story.state, placed_events={was.key: replace(story.state.placed_events[was.key], answers={})})
    story.until(story.next.span.end)
    assert story.next.span == was.span
    story.until(was.span.end)
    assert story.session(was.id).held_at == was.span.end


def test_what_took_place_before_the_pair_was_paused_took_place() -> None:
    """R-22: the pause came within the minute after its end, before anybody had looked."""
    story = booked_story()
    was = story.next
    story.until(was.span.end - MINUTE)
    story.now = was.span.end + MINUTE / 2
    story.change(paused=True)
    story.tick()
    assert story.session(was.id).held_at == was.span.end
