"""Which time slots are possible (T-2) and which one is best (T-3), compared with a slow and simple oracle.

`search()` is for a career session of 75 minutes in three weeks of June 2027, best on Tuesday, 15 June. Both people work
in Berlin, from 9:00 to 17:00, two hours ahead of UTC. T-8 is about blocks for commitments, T-9 about reviews.
"""

from dataclasses import replace
from datetime import date, datetime
from math import inf

import pytest
from hypothesis import given, settings

from tests.support.pairs import MINUTE, person, utc
from tests.support.slot_searches import (
    DANA,
    FREE,
    HOURS,
    SAM,
    WINDOW,
    compute_cost_slowly,
    explain_in_words,
    find_starts,
    find_starts_slowly,
    june_window,
    list_sentences,
    local_day,
    search,
    searches,
)
from worker.domain.model import BusyTime, FreeBusy, Person, Preference, SessionKind, Span, TakenTime
from worker.domain.time.blockers import explain_no_slot
from worker.domain.time.search import Search
from worker.domain.time.slots import Slot, find_solo_time, rank_slots

# --- the oracle: wall clocks and comparisons, quarter by quarter ----------------------------------------------------


@given(searches())
@settings(max_examples=150, deadline=None)
def test_search_finds_the_same_starts_as_the_oracle(s: Search) -> None:
    """T-2: in zones of both hemispheres, on days of clock changes, over holidays, leap days and a skipped day."""
    oracle_starts = find_starts_slowly(s)
    assert find_starts(s) == oracle_starts
    slots = rank_slots(s, limit=400)
    assert {slot.span.start for slot in slots} <= set(oracle_starts)
    assert {local_day(s.manager, slot.span.start) for slot in slots} == {
        local_day(s.manager, at) for at in oracle_starts
    }
    assert len({local_day(s.manager, slot.span.start) for slot in slots}) == len(slots)


#: Starts of windows far from clock changes, and working hours that do not reach midnight.
ORDINARY_DAYS, DAY_HOURS = (utc(2027, 1, 11), utc(2027, 6, 10), utc(2026, 12, 21)), HOURS[:4]


@given(searches(moments=ORDINARY_DAYS, hours=DAY_HOURS))
@settings(max_examples=100, deadline=None)
def test_slots_are_ordered_by_cost_and_then_by_start(s: Search) -> None:
    """T-3: away from clock changes, costs and order are those of the oracle, which weighs each start."""
    s = replace(
        s,
        taken_times={email: [t for t in ts if t.kind is SessionKind.CAREER] for email, ts in s.taken_times.items()},
    )
    best_by_day: dict[date, tuple[float, datetime]] = {}
    for start in find_starts_slowly(s):
        day = local_day(s.manager, start)
        best_by_day[day] = min(best_by_day.get(day, (inf, start)), (compute_cost_slowly(s, start), start))
    assert [(slot.cost, slot.span.start) for slot in rank_slots(s, limit=3)] == sorted(best_by_day.values())[:3]


@given(searches())
@settings(max_examples=40, deadline=None)
def test_same_search_gives_the_same_slots_in_any_order_of_its_input(s: Search) -> None:
    reversed_search = replace(
        s,
        free_busy={
            email: replace(free_busy, busy=free_busy.busy[::-1])
            for email, free_busy in reversed(list(s.free_busy.items()))
        },
        taken_times={email: list(reversed(items)) for email, items in s.taken_times.items()},
    )
    assert rank_slots(s, 3) == rank_slots(s, 3) == rank_slots(reversed_search, 3)
    assert rank_slots(s, 1) == rank_slots(s, 3)[:1]
    assert explain_no_slot(s) == explain_no_slot(s)


@given(searches())
@settings(max_examples=40, deadline=None)
def test_person_with_unknown_or_missing_free_busy_gets_no_slot(s: Search) -> None:
    """T-2: a person without a calendar is the exception."""
    if s.manager.calendar == "none":
        s = replace(s, manager=replace(s.manager, calendar="caldav"))
    without_manager = {email: answer for email, answer in s.free_busy.items() if email != s.manager.email}
    with_unknown_manager = {**without_manager, s.manager.email: FreeBusy(is_known=False)}
    for free_busy in (without_manager, with_unknown_manager):
        assert rank_slots(replace(s, free_busy=free_busy), 3) == ()


# --- T-2, one rule at a time ----------------------------------------------------------------------------------------


def test_a_buffer_of_15_minutes_stays_free_on_each_side() -> None:
    """T-2: without the buffer, two more quarter-hours are possible starts."""
    s = search(
        window=june_window(8, (9, 0), (17, 0)),
        busy=[june_window(8, (9, 0), (10, 0)), june_window(8, (11, 45), (17, 0))],
    )
    assert find_starts(s) == [utc(2027, 6, 8, 8, 15)]
    assert len(find_starts(replace(s, has_buffer=False))) == 3


def test_buffer_is_kept_from_busy_time_and_not_from_the_edge_of_working_hours() -> None:
    starts = find_starts(search(window=june_window(8, (2, 0), (24, 0))))
    assert (starts[0], starts[-1]) == (utc(2027, 6, 8, 7), utc(2027, 6, 8, 13, 45))


def test_first_start_in_a_window_is_at_the_next_quarter_hour() -> None:
    assert find_starts(search(window=june_window(8, (9, 1), (10, 30)))) == [utc(2027, 6, 8, 7, 15)]


def test_manager_has_one_career_session_a_day() -> None:
    """Reviews and sessions of the report do not count."""
    other_session = TakenTime(june_window(8, (9, 0), (10, 15)), "other", SessionKind.CAREER)
    s = replace(search(window=june_window(8, (9, 0), (17, 0))), taken_times={DANA.email: (other_session,)})
    assert find_starts(s) == []
    assert find_starts(replace(s, is_career=False))
    assert find_starts(replace(s, taken_times={DANA.email: (replace(other_session, kind=SessionKind.REVIEW),)}))
    assert find_starts(replace(s, taken_times={SAM.email: (other_session,)}))


def test_review_of_25_minutes_takes_two_quarter_hours() -> None:
    """T-9: it ends inside a quarter-hour, and the next event begins in the one after."""
    s = replace(search(window=june_window(8, (9, 0), (10, 0)), minutes=25), has_buffer=False)
    assert [start.minute for start in find_starts(s)] == [0, 15, 30]
    assert rank_slots(s)[0].span == june_window(8, (9, 0), (9, 25))


def test_lost_time_is_no_possible_start() -> None:
    lost_span = june_window(8, (10, 0), (11, 15))
    s = replace(search(window=june_window(8, (9, 0), (13, 0))), avoid=(lost_span,))
    assert find_starts(s) == [utc(2027, 6, 8, 9, 15), utc(2027, 6, 8, 9, 30), utc(2027, 6, 8, 9, 45)]


def test_reasons_name_a_person_whose_calendar_cannot_be_read() -> None:
    person_without_calendar = person("Sam", calendar="none")
    s = replace(search(report=person_without_calendar), free_busy={DANA.email: FREE})
    (slot,) = rank_slots(s)
    assert "Sam's calendar can't be read; working hours count as free." in list_sentences(slot.reasons)
    full_search = replace(s, free_busy={DANA.email: FreeBusy((BusyTime(WINDOW),))})
    assert "Sam's calendar can't be read" in explain_in_words(full_search)


# --- T-3, one rule at a time ----------------------------------------------------------------------------------------


def find_best_slot(s: Search) -> Slot:
    return rank_slots(s)[0]


def test_best_slot_is_in_the_morning_of_the_target_day() -> None:
    slot = find_best_slot(search())
    assert slot.span == Span(utc(2027, 6, 15, 7), utc(2027, 6, 15, 8, 15))
    assert slot.cost == 0
    assert list_sentences(slot.reasons)[0] == "Tue 15 Jun is the target day."


def test_preferred_weekday_and_hour_win_over_the_target_day() -> None:
    thursday_at_two = Preference(weekday=3, minute=14 * 60)
    slot = find_best_slot(replace(search(), preference=thursday_at_two))
    assert slot.span.start == utc(2027, 6, 17, 12)
    assert "It is on Thursday, the weekday the two prefer." in list_sentences(slot.reasons)
    assert "It is at 14:00, the hour the two prefer." in list_sentences(slot.reasons)


def test_preference_is_in_the_report_s_time_zone() -> None:
    """Monday 08:00 in Auckland is Sunday in Berlin."""
    dana = person(hours="Mon-Sun 06:00-24:00")
    sam = person("Sam", "Pacific/Auckland", "NZ", "Mon-Sun 06:00-24:00")
    monday_at_eight = Preference(weekday=0, minute=8 * 60)
    slot = find_best_slot(replace(search(dana, sam), preference=monday_at_eight))
    assert slot.span.start == utc(2027, 6, 13, 20)


@pytest.mark.parametrize(("target_day", "best_day"), [(16, 16), (17, 16), (18, 16), (19, 21)])
def test_early_weekdays_win_over_thursday_and_friday(target_day: int, best_day: int) -> None:
    """The 48 hours for the contract then end in working time.

    A Thursday or Friday wins only if it is nearer to the target by enough days.
    """
    # near the targets, only Wednesday to Friday, 16 to 18 June, and Monday, 21 June, are free
    s = search(busy=[Span(utc(2027, 6, 14), utc(2027, 6, 16)), Span(utc(2027, 6, 22), utc(2027, 6, 28))])
    assert find_best_slot(replace(s, target=utc(2027, 6, target_day, 12))).span.start.day == best_day


def test_thursday_wins_over_friday_as_the_target_day() -> None:
    s = replace(search(window=Span(utc(2027, 6, 17), utc(2027, 6, 19))), target=utc(2027, 6, 18, 12))
    first, second = rank_slots(s, 2)
    assert (first.span.start.day, second.span.start.day) == (17, 18)
    assert "48 hours later it is Sunday, with no working days for Dana on the way." in list_sentences(second.reasons)


def test_week_without_other_sessions_of_the_manager_wins() -> None:
    other_sessions = [
        TakenTime(Span(utc(2027, 6, day, 7), utc(2027, 6, day, 8)), f"s{day}", SessionKind.CAREER)
        for day in (14, 16, 17)
    ]
    slot = find_best_slot(replace(search(), taken_times={DANA.email: other_sessions}))
    assert slot.span.start.day == 9
    assert "Dana has no other career sessions that week." in list_sentences(slot.reasons)


def test_slots_are_on_different_days_in_order_of_cost() -> None:
    slots = rank_slots(search(), 3)
    assert [slot.span.start.day for slot in slots] == [15, 14, 16]
    assert [slot.cost for slot in slots] == sorted(slot.cost for slot in slots)
    assert rank_slots(search(), 0) == ()


def test_earliest_slot_wins_at_equal_cost() -> None:
    """Tuesday at noon costs as much as Monday morning, and the search finds Tuesday first."""
    busy_spans = [
        june_window(15, (2, 0), (11, 45)),
        june_window(15, (13, 30), (24, 0)),
        Span(utc(2027, 6, 16), utc(2027, 6, 28)),
    ]
    slot = find_best_slot(search(busy=busy_spans, window=Span(utc(2027, 6, 14), utc(2027, 6, 28))))
    assert (slot.cost, slot.span.start) == (1.0, utc(2027, 6, 14, 7))


def test_reasons_name_the_start_on_both_clocks() -> None:
    slot = find_best_slot(search(report=person("Sam", "Asia/Kathmandu", "NP", "Sun-Fri 10:00-18:00")))
    assert "It starts at 09:15 for Dana and 13:00 for Sam." in list_sentences(slot.reasons)
    assert "It starts at 09:00 for both." in list_sentences(find_best_slot(search()).reasons)


# --- one person alone -----------------------------------------------------------------------------------------------


def find_block_time(
    owner: Person = DANA, window: Span = WINDOW, busy: FreeBusy = FREE, taken: tuple[TakenTime, ...] = ()
) -> Span | None:
    """Return the time of a block of 30 minutes."""
    return find_solo_time(owner, window, 30, busy, taken)


def test_block_of_a_commitment_is_early_on_the_latest_working_day() -> None:
    """T-8: it has no buffer. The latest day with room counts, and there the earliest time."""
    busy = FreeBusy(
        (BusyTime(Span(utc(2027, 6, 25), utc(2027, 6, 26))), BusyTime(Span(utc(2027, 6, 24, 7), utc(2027, 6, 24, 8))))
    )
    assert find_block_time(busy=busy) == Span(utc(2027, 6, 24, 8), utc(2027, 6, 24, 8, 30))


def test_day_of_a_block_is_in_the_person_s_time_zone() -> None:
    """In Auckland the working day begins on the evening before, in UTC."""
    new_zealander = person("Tui", "Pacific/Auckland", "NZ")
    evening = utc(2027, 6, 23, 21)
    window = Span(utc(2027, 6, 21), utc(2027, 6, 23, 22, 30))
    assert find_block_time(new_zealander, window) == Span(evening, evening + 30 * MINUTE)


def test_block_never_uses_unknown_taken_or_non_working_time() -> None:
    """A person without a calendar is free in working hours."""
    window = june_window(8, (9, 0), (10, 0))
    taken_time = TakenTime(june_window(8, (9, 0), (9, 20)), "s1")
    unknown, saturday = FreeBusy(is_known=False), june_window(12, (9, 0), (17, 0))
    assert find_block_time(window=window, busy=unknown) is None
    assert find_block_time(window=window, taken=(taken_time,)) == june_window(8, (9, 30), (10, 0))
    assert find_block_time(window=saturday) is None
    assert find_block_time(person(calendar="none"), window, busy=unknown) == june_window(8, (9, 0), (9, 30))
