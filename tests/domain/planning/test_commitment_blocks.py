"""The manager's commitments on the manager's own calendar (T-8, R-19)."""

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
EVE = date(2026, 9, 17)


def with_contract() -> Session:
    return session_of(utc(2026, 9, 4, 8), state=SessionState.CONTRACTED, held_at=utc(2026, 9, 4, 9, 15))


def owing(due: date = DUE, manager: Person = DANA, **fields: Any) -> Story:
    """A manager who has just promised something."""
    given = commitment_of(due, **fields)
    state = state_of(with_contract(), commitments=(given,), manager=manager, pair=pair_of(manager))
    story = Story(state=state, manager=manager)
    story.tick()
    return story


def block(story: Story) -> Span:
    found = story.commitment().block
    assert found is not None
    return found


def full(story: Story, day: date) -> None:
    fill_days(story, DANA, day, 1)


def revise(story: Story, due: date | None, revision: int = 2) -> None:
    """The contract is written anew, with the commitment at another date, or without it."""
    listed = [IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=due)] if due else []
    story.act(lambda p: actions.record_contract(p, p.sessions["c1"], listed, revision))


# --- where it goes ---


def test_it_stands_on_the_latest_working_day_before_it_is_due() -> None:
    """T-8, R-19: 30 minutes in the manager's working hours, on the manager's calendar alone."""
    story = owing()
    span = block(story)
    assert span == Span(utc(2026, 9, 17, 7), utc(2026, 9, 17, 7, 30))
    created = [m for m in story.state.effects if m.subject == "p1"]
    assert [(m.kind, m.calendar, m.due_at) for m in created] == [(EffectKind.CREATE, DANA.email, NOW)]
    assert [p.span for p in story.our_events() if p.key == "p1.1"] == [span]


def test_what_is_due_after_a_weekend_stands_before_it() -> None:
    """T-8: the latest working day before a Monday is a Friday."""
    assert block(owing(date(2026, 9, 21))).start.date() == date(2026, 9, 18)
    assert list_candidate_days(DANA, date(2026, 10, 5)) == (date(2026, 10, 2), date(2026, 10, 5))


def test_it_takes_a_free_time_of_that_day() -> None:
    """T-8: without asking for room on either side."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(DUE),)))
    story.calendars.book(DANA, utc(2026, 9, 17, 7), utc(2026, 9, 17, 12))
    story.calendars.book(DANA, utc(2026, 9, 17, 12, 30), utc(2026, 9, 17, 15))
    story.tick()
    assert block(story) == Span(utc(2026, 9, 17, 12), utc(2026, 9, 17, 12, 30))


def test_when_that_day_is_full_it_stands_on_the_day_itself() -> None:
    """T-8."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(DUE),)))
    full(story, EVE)
    story.tick()
    assert block(story).start.date() == DUE
    assert not story.commitment().all_day


def test_when_that_is_full_too_it_is_a_note_for_the_day() -> None:
    """T-8: from midnight to midnight of the manager's."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(DUE),)))
    fill_days(story, DANA, EVE, 2)
    story.tick()
    assert block(story) == Span(utc(2026, 9, 17, 22), utc(2026, 9, 18, 22))
    assert story.commitment().all_day


def test_what_is_due_on_a_day_off_with_no_room_before_is_a_note() -> None:
    """T-8: a Saturday."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(date(2026, 9, 19)),)))
    full(story, DUE)
    story.tick()
    assert block(story) == make_day_span(DANA, date(2026, 9, 19))


def test_what_is_due_today_still_gets_a_time_today() -> None:
    """T-8, R-21: not one that has passed."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(NOW.date()),)), now=NOW + 5 * HOUR)
    story.tick()
    assert block(story).start == NOW + 5 * HOUR


def test_what_is_overdue_is_a_note_for_today() -> None:
    """T-8: a contract recorded late may name days that have passed."""
    story = owing(date(2026, 9, 1))
    assert block(story) == make_day_span(DANA, NOW.date())
    assert story.commitment().due == date(2026, 9, 1)


def test_a_day_note_on_the_day_of_a_clock_change_is_25_hours_long() -> None:
    """T-8: midnight to midnight, whatever the clocks do."""
    assert make_day_span(DANA, date(2026, 10, 25)).minutes == 25 * 60


def test_blocks_keep_out_of_each_other_s_way() -> None:
    """T-8: and out of what is decided for other pairs."""
    some = tuple(commitment_of(DUE, id=f"p{n}") for n in range(1, 4))
    story = Story(state=state_of(with_contract(), commitments=some))
    elsewhere = Span(utc(2026, 9, 17, 7), utc(2026, 9, 17, 8))
    story.calendars.taken = {DANA.email: (TakenTime(elsewhere, "p9", None, OTHER_PAIR),)}
    story.tick()
    spans = sorted(c.block for c in story.state.commitments if c.block)
    assert [span.start.hour * 60 + span.start.minute for span in spans] == [480, 510, 540]


def test_the_report_s_commitments_are_on_no_calendar() -> None:
    """R-19: the manager's are."""
    story = owing(owner=Owner.REPORT)
    assert story.commitment().block is None
    assert [m for m in story.state.effects if m.subject == "p1"] == []


def test_how_long_it_is_is_the_company_s_choice() -> None:
    state = state_of(with_contract(), commitments=(commitment_of(DUE),))
    story = Story(state=state, policy=Policy(commitment_minutes=60))
    story.tick()
    assert block(story).minutes == 60


def test_only_the_manager_s_calendar_is_asked_for() -> None:
    """T-8: the report has nothing to do with it."""
    state = state_of(session_of(utc(2026, 9, 28, 8)), commitments=(commitment_of(DUE),), free_busy_used_at=NOW)
    made = plan(NOW, state, None, Policy())
    assert made.needed_free_busy is not None
    assert made.needed_free_busy.people == (DANA.email,)
    assert made.needed_free_busy.window == Span(NOW, utc(2026, 9, 18, 22))


def test_a_calendar_that_can_t_be_asked_just_now_is_asked_again() -> None:
    """T-8."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(DUE),)))
    story.calendars.unavailable = {DANA.email}
    story.tick()
    assert story.commitment().block is None
    story.calendars.unavailable = set()
    story.until(NOW + 5 * MINUTE)
    assert story.commitment().block


def test_unknown_time_is_never_free() -> None:
    """T-2, T-8: then it is a note."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(DUE),)))
    story.calendars.unknown[DANA.email] = "no access"
    story.tick()
    assert story.commitment().all_day


# --- what becomes of it ---


@pytest.mark.parametrize("standing", [CommitmentStanding.DONE, CommitmentStanding.LET_GO])
def test_it_goes_when_the_commitment_ends(standing: CommitmentStanding) -> None:
    """T-8, R-18."""
    story = owing()
    story.act(lambda p: actions.close_commitment(p, p.commitments["p1"], standing))
    assert story.placed_event(story.commitment()) is None
    assert story.commitment().block is None
    assert changes_nothing(story.tick_at(NOW + HOUR))


def test_it_goes_when_the_contract_no_longer_has_it() -> None:
    """R-18, R-19."""
    story = owing()
    revise(story, None)
    assert story.commitment().standing is CommitmentStanding.CHANGED
    assert story.placed_event(story.commitment()) is None


def test_it_follows_the_date() -> None:
    """T-8, R-18: the same event, at another time."""
    story = owing()
    revise(story, date(2026, 9, 25))
    assert block(story).start.date() == date(2026, 9, 24)
    assert [p.span for p in story.our_events() if p.key == "p1.1"] == [block(story)]
    assert [m.kind for m in story.state.effects if m.subject == "p1"] == [EffectKind.CREATE, EffectKind.UPDATE]


def test_a_note_for_a_day_becomes_a_block_when_the_date_moves() -> None:
    """T-8."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(DUE),)))
    fill_days(story, DANA, EVE, 2)
    story.tick()
    revise(story, date(2026, 9, 25))
    assert not story.commitment().all_day
    assert block(story).minutes == 30


def test_other_words_are_written_in_its_place() -> None:
    """T-8, R-18: where a human had put it."""
    story = owing()
    at = utc(2026, 9, 16, 18)
    story.move(story.commitment(), at, 30)
    reworded = IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=DUE, is_reworded=True)
    story.act(lambda p: actions.record_contract(p, p.sessions["c1"], [reworded], 2))
    assert [m.kind for m in story.state.effects if m.event == "p1.1"] == [EffectKind.CREATE, EffectKind.UPDATE]
    assert block(story).start == at
    assert [p.span.start for p in story.our_events() if p.key == "p1.1"] == [at]


def test_other_words_for_what_was_taken_off_leave_it_off() -> None:
    """T-8."""
    story = owing()
    story.delete(story.commitment())
    reworded = IdentifiedCommitment(id="p1", owner=Owner.MANAGER, due=DUE, is_reworded=True)
    story.act(lambda p: actions.record_contract(p, p.sessions["c1"], [reworded], 2))
    assert story.commitment().dismissed
    assert story.placed_event(story.commitment()) is None


def test_moving_it_by_hand_is_respected() -> None:
    """T-8: the due date stays."""
    story = owing()
    at = utc(2026, 9, 16, 18)
    made = story.move(story.commitment(), at, 45)
    assert made.accepted_moves == {"p1.1": Span(at, at + 45 * MINUTE)}
    assert block(story) == Span(at, at + 45 * MINUTE)
    assert story.commitment().due == DUE
    assert story.commitment().by_hand
    story.until(NOW + 20 * DAY)
    assert block(story) == Span(at, at + 45 * MINUTE)


def test_a_new_date_moves_it_though_a_human_had_moved_it() -> None:
    """T-8: what was chosen was chosen for another date."""
    story = owing()
    story.move(story.commitment(), utc(2026, 9, 16, 18), 30)
    revise(story, date(2026, 9, 25))
    assert block(story).start.date() == date(2026, 9, 24)
    assert not story.commitment().by_hand


def test_taking_it_off_the_calendar_is_respected() -> None:
    """T-8: the commitment stays open, and is still said to be due."""
    story = owing()
    story.delete(story.commitment())
    assert story.commitment().dismissed
    assert story.commitment().is_open
    story.until(NOW + 20 * DAY)
    assert story.placed_event(story.commitment()) is None
    assert len(story.mails("commitment_due")) == 1


def test_a_new_date_brings_back_what_was_taken_off() -> None:
    """T-8, R-18: it is another promise now."""
    story = owing()
    story.delete(story.commitment())
    revise(story, date(2026, 9, 25))
    placed = story.placed_event(story.commitment())
    assert placed is not None
    assert placed.span.start.date() == date(2026, 9, 24)
    assert placed.key != "p1.1"


def test_what_is_booked_over_a_block_leaves_it_there() -> None:
    """T-8: the manager sees both."""
    story = owing()
    was = block(story)
    story.book(DANA, was)
    story.book(DANA, Span(was.start - DAY, was.end + DAY), ShowAs.AWAY)
    assert block(story) == was


def test_a_block_whose_day_has_passed_stays_as_it_was() -> None:
    """T-8, R-20: it is still open."""
    story = owing()
    was = block(story)
    story.until(utc(2026, 10, 10))
    assert block(story) == was
    assert story.commitment().is_open


def test_a_block_a_calendar_refused_is_tried_again_later() -> None:
    """T-8: in five minutes."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(DUE),)))
    story.refuses = True
    story.tick()
    assert story.our_events() == []
    story.refuses = False
    story.until(NOW + 4 * MINUTE)
    assert story.our_events() == []
    story.until(NOW + 6 * MINUTE)
    assert story.placed_event(story.commitment())


def test_a_change_that_never_reached_the_calendar_is_written_again() -> None:
    """T-8: it is no hand move."""
    story = owing()
    placed = story.placed_event(story.commitment())
    assert placed is not None
    later = Span(placed.span.start + HOUR, placed.span.end + HOUR)
    given = commitment_of(DUE, block=later, sequence=2)
    story.state = state_of(with_contract(), commitments=(given,), placed_events={placed.key: placed})
    story.tick()
    assert block(story) == later
    assert [p.span for p in story.our_events() if p.key == placed.key] == [later]


def test_the_words_of_the_history_are_neutral() -> None:
    """R-23: dates, and nothing of what was promised."""
    story = owing()
    (told,) = [d for d in story.decisions if d.what == "commitment"]
    assert told.reason == "It is on the manager's calendar as a block."
    assert told.fields == {"start": block(story).start, "due": DUE}


# --- anybody, any day ---

PLACES = [
    ("America/St_Johns", "CA-NL"),
    ("Asia/Kathmandu", "NP"),
    ("Australia/Lord_Howe", "AU"),
    ("Pacific/Apia", "WS"),
]
WEEKS = ["Mon-Fri 09:00-17:00", "Tue,Thu 08:00-12:00", "Mon-Thu 22:00-06:00", "Sun-Wed 13:00-21:00"]


@settings(max_examples=40, deadline=None)
@given(
    st.sampled_from(PLACES),
    st.sampled_from(WEEKS),
    st.integers(-3, 60),
    st.lists(st.integers(0, 60 * 24), max_size=12, unique=True),
)
def test_for_anybody_a_block_is_in_working_hours_before_it_is_due(
    place: tuple[str, str], hours: str, days: int, busy: list[int]
) -> None:
    """T-8: or a note for one whole day."""
    dana = person("Dana", *place, hours=hours)
    due = NOW.date() + days * DAY
    state = state_of(with_contract(), commitments=(commitment_of(due),), manager=dana)
    story = Story(state=state, manager=dana)
    for hour in busy:
        story.calendars.book(dana, NOW + hour * HOUR, NOW + (hour + 3) * HOUR)
    story.calendars.book(SAM, NOW, NOW + 90 * DAY)
    story.tick()
    _right(story, dana, due)


def _right(story: Story, dana: Person, due: date) -> None:
    span = block(story)
    if story.commitment().all_day:
        day = max(due, get_local_date(dana.zone, story.now))
        assert span == Span(wall_to_utc(dana.zone, day, 0), wall_to_utc(dana.zone, day + DAY, 0))
        return
    day = get_local_date(dana.zone, span.start)
    assert span.minutes == 30
    assert span.start >= story.now
    assert _works(dana, span)
    assert not any(b.span.overlaps(span) for b in story.calendars.busy.get(dana.email, ()))
    between = (due - day).days
    assert between >= 0 or _of_a_night(dana, span, due)
    assert not any(is_working_day(dana, day + n * DAY) for n in range(1, between))


def _works(dana: Person, span: Span) -> bool:
    day = get_local_date(dana.zone, span.start)
    return any(s.start <= span.start and span.end <= s.end for n in (0, 1) for s in list_spells(dana, day - n * DAY))


def _of_a_night(dana: Person, span: Span, due: date) -> bool:
    """A night shift of the day it is due may end on the next."""
    return span.end <= wall_to_utc(dana.zone, due + DAY, 0)


def test_planning_blocks_twice_changes_nothing() -> None:
    """T-8."""
    story = owing()
    assert changes_nothing(story.tick())


def test_a_block_that_the_calendar_refuses_to_change_is_not_asked_for_at_once() -> None:
    """T-8: after five minutes, then twenty, and ever more seldom."""
    story = owing()
    story.refuses = True
    revise(story, date(2026, 9, 25))
    story.until(story.now + HOUR)
    assert 2 <= len([m for m in story.state.effects if m.kind is EffectKind.UPDATE]) <= 3


def test_a_note_for_the_day_stays_where_the_calendar_s_own_zone_puts_it() -> None:
    """T-8: a service goes by the calendar's zone, which may not be the people file's."""
    story = Story(state=state_of(with_contract(), commitments=(commitment_of(DUE),)))
    full(story, EVE)
    full(story, DUE)
    story.tick()
    one = story.commitment()
    placed = story.placed_event(one)
    assert one.all_day and placed is not None
    there = Span(placed.span.start + 6 * HOUR, placed.span.end + 6 * HOUR)
    story.state = replace(
        story.state,
        placed_events={
            **story.state.placed_events,
            one.key: replace(placed, span=there, written_span=there, sequence=1),
        },
    )
    assert changes_nothing(story.plan())
