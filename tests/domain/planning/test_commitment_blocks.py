"""Tests of the blocks for the manager's commitments on the manager's own calendar (T-8, R-19).

The session has the id c1, the commitment p1, and the event of its first block the key p1.1. Berlin, where the manager
works, is two hours ahead of UTC. R-18: a commitment can be done, changed or let go.
"""

from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pairs import (
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    OTHER_PAIR,
    SAM,
    commitment_of,
    pair_of,
    person,
    session_of,
    state_of,
    utc,
)
from tests.support.stories import Story, changes_nothing, fill_days
from worker.domain.model import (
    CommitmentStanding,
    EffectKind,
    IdentifiedCommitment,
    Owner,
    Person,
    Policy,
    Session,
    SessionState,
    ShowAs,
    Span,
    TakenTime,
)
from worker.domain.planning import actions
from worker.domain.planning.commitment_blocks import list_candidate_days, make_day_span
from worker.domain.planning.planner import plan
from worker.domain.time.worktime import get_local_date, is_working_day, list_spells, wall_to_utc

DUE = date(2026, 9, 18)  # a Friday
DAY_BEFORE = date(2026, 9, 17)  # the last working day before it: a Thursday


def make_contracted_session() -> Session:
    """Return a held session whose contract is recorded."""
    return session_of(utc(2026, 9, 4, 8), state=SessionState.CONTRACTED, held_at=utc(2026, 9, 4, 9, 15))


def make_story_with_commitment(due: date = DUE, manager: Person = DANA, **fields: Any) -> Story:
    """Return a story whose only commitment has just been planned."""
    commitment = commitment_of(due, **fields)
    state = state_of(make_contracted_session(), commitments=(commitment,), manager=manager, pair=pair_of(manager))
    story = Story(state=state, manager=manager)
    story.tick()
    return story


def get_block(story: Story) -> Span:
    """Return the time of the block of the commitment p1, which must have one."""
    block = story.commitment().block
    assert block is not None
    return block


def fill_day(story: Story, day: date) -> None:
    """Make the manager busy for the whole day."""
    fill_days(story, DANA, day, days=1)


def revise_contract(story: Story, due: date | None, revision: int = 2) -> None:
    """Record a revision of the contract in which the commitment has this due date; None removes the commitment."""
    commitments = [IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=due)] if due else []
    story.act(lambda builder: actions.record_contract(builder, builder.sessions["c1"], commitments, revision=revision))


# --- the time of a block ---


def test_a_block_is_on_the_last_working_day_before_the_due_date() -> None:
    """A block takes 30 minutes of the manager's working hours, on the manager's calendar alone (T-8, R-19)."""
    story = make_story_with_commitment()
    span = get_block(story)
    assert span == Span(utc(2026, 9, 17, 7), utc(2026, 9, 17, 7, 30))  # from 9:00 in Berlin
    effects = [effect for effect in story.state.effects if effect.subject == "p1"]
    assert [(m.kind, m.calendar, m.due_at) for m in effects] == [(EffectKind.CREATE, DANA.email, NOW)]
    assert [event.span for event in story.our_events() if event.key == "p1.1"] == [span]


def test_block_for_a_monday_is_on_the_friday_before() -> None:
    """The last working day before a Monday is a Friday (T-8)."""
    assert get_block(make_story_with_commitment(date(2026, 9, 21))).start.date() == date(2026, 9, 18)
    assert list_candidate_days(DANA, date(2026, 10, 5)) == (date(2026, 10, 2), date(2026, 10, 5))


def test_block_takes_a_free_time_without_buffers() -> None:
    """The block fills a gap of exactly its length: it needs no buffer on either side (T-8)."""
    story = Story(state=state_of(make_contracted_session(), commitments=(commitment_of(DUE),)))
    story.calendars.book(DANA, utc(2026, 9, 17, 7), utc(2026, 9, 17, 12))
    story.calendars.book(DANA, utc(2026, 9, 17, 12, 30), utc(2026, 9, 17, 15))
    story.tick()
    assert get_block(story) == Span(utc(2026, 9, 17, 12), utc(2026, 9, 17, 12, 30))


def test_block_is_on_the_due_date_when_the_day_before_is_full() -> None:
    """The due date is the last day that is tried (T-8)."""
    story = Story(state=state_of(make_contracted_session(), commitments=(commitment_of(DUE),)))
    fill_day(story, DAY_BEFORE)
    story.tick()
    assert get_block(story).start.date() == DUE
    assert not story.commitment().all_day


def test_block_is_an_all_day_event_when_both_days_are_full() -> None:
    """The all-day event lasts from midnight to midnight in the manager's zone (T-8)."""
    story = Story(state=state_of(make_contracted_session(), commitments=(commitment_of(DUE),)))
    fill_days(story, DANA, DAY_BEFORE, days=2)
    story.tick()
    assert get_block(story) == Span(utc(2026, 9, 17, 22), utc(2026, 9, 18, 22))
    assert story.commitment().all_day


def test_block_is_an_all_day_event_when_only_a_day_off_remains() -> None:
    """The due date is a Saturday, and the Friday before is full (T-8)."""
    story = Story(state=state_of(make_contracted_session(), commitments=(commitment_of(date(2026, 9, 19)),)))
    fill_day(story, DUE)
    story.tick()
    assert get_block(story) == make_day_span(DANA, date(2026, 9, 19))


def test_a_commitment_due_today_gets_a_block_today() -> None:
    """The block of a commitment that is due today does not begin in the past (T-8, R-21)."""
    story = Story(
        state=state_of(make_contracted_session(), commitments=(commitment_of(NOW.date()),)), now=NOW + 5 * HOUR
    )
    story.tick()
    assert get_block(story).start == NOW + 5 * HOUR


def test_block_of_an_overdue_commitment_is_an_all_day_event_today() -> None:
    """A contract that is recorded late may contain due dates that have passed (T-8)."""
    story = make_story_with_commitment(date(2026, 9, 1))
    assert get_block(story) == make_day_span(DANA, NOW.date())
    assert story.commitment().due == date(2026, 9, 1)


def test_all_day_event_at_the_end_of_summer_time_lasts_25_hours() -> None:
    """The all-day event lasts from midnight to midnight of the local clock (T-8)."""
    assert make_day_span(DANA, date(2026, 10, 25)).minutes == 25 * 60


def test_blocks_do_not_overlap_each_other_or_taken_times() -> None:
    """The taken time of another pair is from 9:00 to 10:00 in Berlin; the three blocks follow it (T-8)."""
    commitments = tuple(commitment_of(DUE, id=f"p{n}") for n in range(1, 4))
    story = Story(state=state_of(make_contracted_session(), commitments=commitments))
    time_of_other_pair = Span(utc(2026, 9, 17, 7), utc(2026, 9, 17, 8))
    story.calendars.taken = {DANA.email: (TakenTime(time_of_other_pair, "p9", None, OTHER_PAIR),)}
    story.tick()
    spans = sorted(c.block for c in story.state.commitments if c.block)
    assert [f"{span.start:%H:%M}" for span in spans] == ["08:00", "08:30", "09:00"]  # from 10:00 in Berlin


def test_commitment_of_the_report_has_no_block() -> None:
    """Only the manager's commitments have blocks (R-19)."""
    story = make_story_with_commitment(owner=Owner.REPORT)
    assert story.commitment().block is None
    assert [effect for effect in story.state.effects if effect.subject == "p1"] == []


def test_policy_sets_the_length_of_blocks() -> None:
    """The length is 30 minutes only by default (T-8)."""
    state = state_of(make_contracted_session(), commitments=(commitment_of(DUE),))
    story = Story(state=state, policy=Policy(commitment_minutes=60))
    story.tick()
    assert get_block(story).minutes == 60


def test_block_needs_free_busy_of_the_manager_only() -> None:
    """A block does not concern the report's calendar (T-8)."""
    state = state_of(session_of(utc(2026, 9, 28, 8)), commitments=(commitment_of(DUE),), free_busy_used_at=NOW)
    first_plan = plan(NOW, state, snapshot=None, policy=Policy())
    assert first_plan.needed_free_busy is not None
    assert first_plan.needed_free_busy.people == (DANA.email,)
    end_of_due_date = utc(2026, 9, 18, 22)  # midnight in Berlin
    assert first_plan.needed_free_busy.window == Span(NOW, end_of_due_date)


def test_block_is_placed_when_the_calendar_is_available_again() -> None:
    """The calendar is read again after five minutes (T-8)."""
    story = Story(state=state_of(make_contracted_session(), commitments=(commitment_of(DUE),)))
    story.calendars.unavailable = {DANA.email}
    story.tick()
    assert story.commitment().block is None
    story.calendars.unavailable = set()
    story.until(NOW + 5 * MINUTE)
    assert story.commitment().block


def test_block_is_an_all_day_event_when_free_busy_is_unknown() -> None:
    """Unknown time is never free (T-2, T-8)."""
    story = Story(state=state_of(make_contracted_session(), commitments=(commitment_of(DUE),)))
    story.calendars.unknown[DANA.email] = "no access"
    story.tick()
    assert story.commitment().all_day


# --- changes of a block ---


@pytest.mark.parametrize("standing", [CommitmentStanding.DONE, CommitmentStanding.LET_GO])
def test_a_block_is_cancelled_when_its_commitment_ends(standing: CommitmentStanding) -> None:
    """T-8, R-18: the event is gone, and the next plan changes nothing."""
    story = make_story_with_commitment()
    story.act(lambda builder: actions.close_commitment(builder, builder.commitments["p1"], standing))
    assert story.placed_event(story.commitment()) is None
    assert story.commitment().block is None
    assert changes_nothing(story.tick_at(NOW + HOUR))


def test_block_is_cancelled_when_a_revision_omits_the_commitment() -> None:
    """The commitment ends as changed (R-18, R-19)."""
    story = make_story_with_commitment()
    revise_contract(story, None)
    assert story.commitment().standing is CommitmentStanding.CHANGED
    assert story.placed_event(story.commitment()) is None


def test_a_block_follows_a_changed_due_date() -> None:
    """The block moves to another time as the same event when the due date changes (T-8, R-18)."""
    story = make_story_with_commitment()
    revise_contract(story, date(2026, 9, 25))
    assert get_block(story).start.date() == date(2026, 9, 24)
    assert [event.span for event in story.our_events() if event.key == "p1.1"] == [get_block(story)]
    assert [effect.kind for effect in story.state.effects if effect.subject == "p1"] == [
        EffectKind.CREATE,
        EffectKind.UPDATE,
    ]


def test_all_day_event_becomes_a_block_when_the_due_date_moves() -> None:
    """Both days on which the block could be were full (T-8)."""
    story = Story(state=state_of(make_contracted_session(), commitments=(commitment_of(DUE),)))
    fill_days(story, DANA, DAY_BEFORE, days=2)
    story.tick()
    revise_contract(story, date(2026, 9, 25))
    assert not story.commitment().all_day
    assert get_block(story).minutes == 30


def test_new_wording_updates_the_block_at_its_time() -> None:
    """The block keeps the time to which the manager moved it (T-8, R-18)."""
    story = make_story_with_commitment()
    start = utc(2026, 9, 16, 18)
    story.move(story.commitment(), start, minutes=30)
    reworded = IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=DUE, is_reworded=True)
    story.act(lambda builder: actions.record_contract(builder, builder.sessions["c1"], [reworded], revision=2))
    assert [effect.kind for effect in story.state.effects if effect.event == "p1.1"] == [
        EffectKind.CREATE,
        EffectKind.UPDATE,
    ]
    assert get_block(story).start == start
    assert [event.span.start for event in story.our_events() if event.key == "p1.1"] == [start]


def test_new_wording_does_not_restore_a_deleted_block() -> None:
    """The manager deleted it on purpose (T-8)."""
    story = make_story_with_commitment()
    story.delete(story.commitment())
    reworded = IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=DUE, is_reworded=True)
    story.act(lambda builder: actions.record_contract(builder, builder.sessions["c1"], [reworded], revision=2))
    assert story.commitment().dismissed
    assert story.placed_event(story.commitment()) is None


def test_a_hand_move_of_a_block_is_respected() -> None:
    """A block that the manager moves keeps its new time, and the due date does not change (T-8)."""
    story = make_story_with_commitment()
    start = utc(2026, 9, 16, 18)
    new_span = Span(start, start + 45 * MINUTE)
    first_plan = story.move(story.commitment(), start, minutes=45)
    assert first_plan.accepted_moves == {"p1.1": new_span}
    assert get_block(story) == new_span
    assert story.commitment().due == DUE
    assert story.commitment().by_hand
    story.until(NOW + 20 * DAY)
    assert get_block(story) == new_span


def test_new_due_date_moves_a_block_that_was_moved_by_hand() -> None:
    """The manager chose the time for another due date (T-8)."""
    story = make_story_with_commitment()
    story.move(story.commitment(), utc(2026, 9, 16, 18), minutes=30)
    revise_contract(story, date(2026, 9, 25))
    assert get_block(story).start.date() == date(2026, 9, 24)
    assert not story.commitment().by_hand


def test_deleted_block_is_not_placed_again() -> None:
    """The commitment stays open, and the mail on its due date is still sent (T-8)."""
    story = make_story_with_commitment()
    story.delete(story.commitment())
    assert story.commitment().dismissed
    assert story.commitment().is_open
    story.until(NOW + 20 * DAY)
    assert story.placed_event(story.commitment()) is None
    assert len(story.mails("commitment_due")) == 1


def test_new_due_date_restores_a_deleted_block() -> None:
    """The new block is another event (T-8, R-18)."""
    story = make_story_with_commitment()
    story.delete(story.commitment())
    revise_contract(story, date(2026, 9, 25))
    placed = story.placed_event(story.commitment())
    assert placed is not None
    assert placed.span.start.date() == date(2026, 9, 24)
    assert placed.key != "p1.1"


def test_block_stays_when_another_event_overlaps_it() -> None:
    """The manager sees both events and decides (T-8)."""
    story = make_story_with_commitment()
    block = get_block(story)
    story.book(DANA, block)
    story.book(DANA, Span(block.start - DAY, block.end + DAY), ShowAs.AWAY)
    assert get_block(story) == block


def test_past_block_of_an_open_commitment_stays() -> None:
    """A commitment that is overdue stays open until its owner ends it (T-8, R-20)."""
    story = make_story_with_commitment()
    block = get_block(story)
    story.until(utc(2026, 10, 10))
    assert get_block(story) == block
    assert story.commitment().is_open


def test_refused_block_is_written_again_after_five_minutes() -> None:
    """The calendar refuses the first write (T-8)."""
    story = Story(state=state_of(make_contracted_session(), commitments=(commitment_of(DUE),)))
    story.refuses = True
    story.tick()
    assert story.our_events() == []
    story.refuses = False
    story.until(NOW + 4 * MINUTE)
    assert story.our_events() == []
    story.until(NOW + 6 * MINUTE)
    assert story.placed_event(story.commitment())


def test_block_change_missing_on_the_calendar_is_written_again() -> None:
    """The old time on the calendar does not count as a move by hand (T-8)."""
    story = make_story_with_commitment()
    placed = story.placed_event(story.commitment())
    assert placed is not None
    new_block = Span(placed.span.start + HOUR, placed.span.end + HOUR)
    commitment = commitment_of(DUE, block=new_block, sequence=2)  # higher than that of the placed event
    story.state = state_of(make_contracted_session(), commitments=(commitment,), placed_events={placed.key: placed})
    story.tick()
    assert get_block(story) == new_block
    assert [event.span for event in story.our_events() if event.key == placed.key] == [new_block]


def test_history_of_a_block_contains_only_dates() -> None:
    """The history contains nothing of the commitment's text (R-23)."""
    story = make_story_with_commitment()
    (decision,) = [d for d in story.decisions if d.what == "commitment"]
    assert decision.reason == "It is on the manager's calendar as a block."
    assert decision.fields == {"start": get_block(story).start, "due": DUE}


# --- any zone, working hours and due date ---

ZONES = [
    ("America/St_Johns", "CA-NL"),
    ("Asia/Kathmandu", "NP"),
    ("Australia/Lord_Howe", "AU"),
    ("Pacific/Apia", "WS"),
]
WORKING_HOURS = ["Mon-Fri 09:00-17:00", "Tue,Thu 08:00-12:00", "Mon-Thu 22:00-06:00", "Sun-Wed 13:00-21:00"]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(ZONES),
    st.sampled_from(WORKING_HOURS),
    st.integers(-3, 60),
    st.lists(st.integers(0, 60 * 24), max_size=12, unique=True),
)
def test_block_is_in_working_hours_before_the_due_date(
    zone_and_country: tuple[str, str], hours: str, days_to_due: int, busy_hours: list[int]
) -> None:
    """Otherwise the block is an all-day event (T-8). The manager's events begin `busy_hours` from now."""
    dana = person("Dana", *zone_and_country, hours=hours)
    due = NOW.date() + days_to_due * DAY
    state = state_of(make_contracted_session(), commitments=(commitment_of(due),), manager=dana)
    story = Story(state=state, manager=dana)
    for hour in busy_hours:
        story.calendars.book(dana, NOW + hour * HOUR, NOW + (hour + 3) * HOUR)
    story.calendars.book(SAM, NOW, NOW + 90 * DAY)
    story.tick()
    _assert_block_is_right(story, dana, due)


def _assert_block_is_right(story: Story, manager: Person, due: date) -> None:
    """Assert that the block is free time of working hours on the last possible working day.

    When the working day before the due date and the due date have no such time left, it is an all-day event.
    """
    span = get_block(story)
    if story.commitment().all_day:
        day = max(due, get_local_date(manager.zone, story.now))
        assert span == Span(wall_to_utc(manager.zone, day, 0), wall_to_utc(manager.zone, day + DAY, 0))
        assert not any(_has_free_time(story, manager, candidate) for candidate in list_candidate_days(manager, due))
        return
    day = get_local_date(manager.zone, span.start)
    assert span.minutes == 30
    assert span.start >= story.now
    assert _is_in_working_hours(manager, span)
    assert not any(b.span.overlaps(span) for b in story.calendars.busy.get(manager.email, ()))
    days_left = (due - day).days
    assert days_left >= 0 or _is_in_night_shift_of(manager, span, due)
    assert not any(is_working_day(manager, day + n * DAY) for n in range(1, days_left))


def _has_free_time(story: Story, manager: Person, day: date) -> bool:
    """Return whether the manager has half an hour of working time left on that day that is not busy."""
    whole_day = make_day_span(manager, day)
    starts = (whole_day.start + n * 15 * MINUTE for n in range(4 * 25))  # the longest day has 25 hours
    spans = (Span(start, start + 30 * MINUTE) for start in starts if start >= story.now)
    busy_spans = [busy.span for busy in story.calendars.busy.get(manager.email, ())]
    return any(
        span.end <= whole_day.end
        and _is_in_working_hours(manager, span)
        and not any(busy_span.overlaps(span) for busy_span in busy_spans)
        for span in spans
    )


def _is_in_working_hours(manager: Person, span: Span) -> bool:
    day = get_local_date(manager.zone, span.start)
    return any(s.start <= span.start and span.end <= s.end for n in (0, 1) for s in list_spells(manager, day - n * DAY))


def _is_in_night_shift_of(manager: Person, span: Span, due: date) -> bool:
    """Return whether the span is in a night shift of the due date, which may end on the day after."""
    return span.end <= wall_to_utc(manager.zone, due + DAY, 0)


def test_planning_blocks_again_changes_nothing() -> None:
    """A block that is on the calendar is not written twice (T-8)."""
    story = make_story_with_commitment()
    assert changes_nothing(story.tick())


def test_wait_grows_after_each_refused_update_of_a_block() -> None:
    """The first two waits are 5 and 20 minutes, so that one hour has two or three attempts (T-8)."""
    story = make_story_with_commitment()
    story.refuses = True
    revise_contract(story, date(2026, 9, 25))
    story.until(story.now + HOUR)
    assert 2 <= len([effect for effect in story.state.effects if effect.kind is EffectKind.UPDATE]) <= 3


def test_all_day_event_stays_at_the_span_of_the_calendar_s_zone() -> None:
    """A service uses the calendar's own zone, which may differ from the zone in the people file (T-8)."""
    story = Story(state=state_of(make_contracted_session(), commitments=(commitment_of(DUE),)))
    fill_day(story, DAY_BEFORE)
    fill_day(story, DUE)
    story.tick()
    commitment = story.commitment()
    placed = story.placed_event(commitment)
    assert commitment.all_day and placed is not None
    span_in_calendar_zone = Span(placed.span.start + 6 * HOUR, placed.span.end + 6 * HOUR)
    story.state = replace(
        story.state,
        placed_events={
            **story.state.placed_events,
            commitment.key: replace(placed, span=span_in_calendar_zone, written_span=span_in_calendar_zone, sequence=1),
        },
    )
    assert changes_nothing(story.plan())
