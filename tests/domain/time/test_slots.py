"""Where a conversation fits (T-2) and which time is best (T-3), against a slow, plain oracle."""

from dataclasses import replace
from datetime import date, datetime

import pytest
from hypothesis import given, settings

from tests.support.pairs import MINUTE, person, utc
from tests.support.slot_searches import (
    DANA,
    FREE,
    HOURS,
    SAM,
    WINDOW,
    explain_in_words,
    find_starts,
    find_starts_slowly,
    june_window,
    list_sentences,
    local_day,
    naive_cost,
    search,
    searches,
)
from worker.domain.model import BusyTime, FreeBusy, Preference, SessionKind, Span, TakenTime
from worker.domain.time.blockers import explain_no_slot
from worker.domain.time.search import Search
from worker.domain.time.slots import Slot, find_solo_time, rank_slots

# --- the oracle: wall clocks and comparisons, quarter by quarter ----------------------------------------------------


@given(searches())
@settings(max_examples=150, deadline=None)
def test_what_fits_is_what_a_plain_search_finds(s: Search) -> None:
    """T-2 in zones of both hemispheres, on the days the clocks change, over holidays, leap days and a missing day."""
    expected = find_starts_slowly(s)
    assert find_starts(s) == expected
    slots = rank_slots(s, limit=400)
    assert {slot.span.start for slot in slots} <= set(expected)
    assert {local_day(s.manager, slot.span.start) for slot in slots} == {local_day(s.manager, at) for at in expected}
    assert len({local_day(s.manager, slot.span.start) for slot in slots}) == len(slots)


@given(searches(moments=(utc(2027, 1, 11), utc(2027, 6, 10), utc(2026, 12, 21)), hours=HOURS[:4]))
@settings(max_examples=100, deadline=None)
def test_the_order_is_that_of_the_cost_and_then_of_time(s: Search) -> None:
    """T-3: away from changes of the clocks, cost and order are what every candidate weighed one by one gives."""
    s = replace(
        s,
        taken_times={email: [t for t in ts if t.kind is SessionKind.CAREER] for email, ts in s.taken_times.items()},
    )
    best: dict[date, tuple[float, datetime]] = {}
    for at in find_starts_slowly(s):
        day = local_day(s.manager, at)
        best[day] = min(best.get(day, (1e9, at)), (naive_cost(s, at), at))
    assert [(slot.cost, slot.span.start) for slot in rank_slots(s, limit=3)] == sorted(best.values())[:3]


@given(searches())
@settings(max_examples=40, deadline=None)
def test_the_same_search_gives_the_same_answer(s: Search) -> None:
    turned = replace(
        s,
        free_busy={email: replace(fb, busy=fb.busy[::-1]) for email, fb in reversed(list(s.free_busy.items()))},
        taken_times={email: list(reversed(items)) for email, items in s.taken_times.items()},
    )
    assert rank_slots(s, 3) == rank_slots(s, 3) == rank_slots(turned, 3)
    assert rank_slots(s, 1) == rank_slots(s, 3)[:1]
    assert explain_no_slot(s) == explain_no_slot(s)


@given(searches())
@settings(max_examples=40, deadline=None)
def test_unknown_is_never_free(s: Search) -> None:
    """T-2: who isn't in the answer, or is in it as unknown, is never offered a time, unless it's agreed for them."""
    if s.manager.calendar == "none":
        s = replace(s, manager=replace(s.manager, calendar="caldav"))
    missing = {email: fb for email, fb in s.free_busy.items() if email != s.manager.email}
    unknown = {**missing, s.manager.email: FreeBusy(is_known=False)}
    for free_busy in (missing, unknown):
        assert rank_slots(replace(s, free_busy=free_busy), 3) == ()


# --- T-2, one rule at a time ----------------------------------------------------------------------------------------


def test_fifteen_minutes_stay_free_on_each_side() -> None:
    s = search(
        window=june_window(8, (9, 0), (17, 0)),
        busy=[june_window(8, (9, 0), (10, 0)), june_window(8, (11, 45), (17, 0))],
    )
    assert find_starts(s) == [utc(2027, 6, 8, 8, 15)]
    assert len(find_starts(replace(s, has_buffer=False))) == 3


def test_the_buffer_counts_against_busy_time_not_against_working_hours() -> None:
    starts = find_starts(search(window=june_window(8, (0 + 2, 0), (24, 0))))
    assert (starts[0], starts[-1]) == (utc(2027, 6, 8, 7), utc(2027, 6, 8, 13, 45))


def test_a_window_off_the_grid_starts_at_the_next_quarter() -> None:
    assert find_starts(search(window=june_window(8, (9, 1), (10, 30)))) == [utc(2027, 6, 8, 7, 15)]


def test_one_career_session_a_day_for_the_manager() -> None:
    other = TakenTime(june_window(8, (9, 0), (10, 15)), "other", SessionKind.CAREER)
    s = replace(search(window=june_window(8, (9, 0), (17, 0))), taken_times={DANA.email: (other,)})
    assert find_starts(s) == []
    assert find_starts(replace(s, is_career=False))
    assert find_starts(replace(s, taken_times={DANA.email: (replace(other, kind=SessionKind.REVIEW),)}))
    assert find_starts(replace(s, taken_times={SAM.email: (other,)}))


def test_a_review_of_25_minutes_takes_two_quarters() -> None:
    """T-9: its end may lie inside a quarter, and the next thing doesn't begin in that quarter."""
    s = replace(search(window=june_window(8, (9, 0), (10, 0)), minutes=25), has_buffer=False)
    assert [at.minute for at in find_starts(s)] == [0, 15, 30]
    assert rank_slots(s)[0].span == june_window(8, (9, 0), (9, 25))


def test_times_just_lost_are_not_offered_again() -> None:
    lost = june_window(8, (10, 0), (11, 15))
    s = replace(search(window=june_window(8, (9, 0), (13, 0))), avoid=(lost,))
    assert find_starts(s) == [utc(2027, 6, 8, 9, 15), utc(2027, 6, 8, 9, 30), utc(2027, 6, 8, 9, 45)]


def test_a_calendar_nobody_can_read_is_said_to_be_unread() -> None:
    quiet = person("Sam", calendar="none")
    s = replace(search(report=quiet), free_busy={DANA.email: FREE})
    (slot,) = rank_slots(s)
    assert "Sam's calendar can't be read; working hours count as free." in list_sentences(slot.reasons)
    full = replace(s, free_busy={DANA.email: FreeBusy((BusyTime(WINDOW),))})
    assert "Sam's calendar can't be read" in explain_in_words(full)


# --- T-3, one wish at a time ----------------------------------------------------------------------------------------


def best(s: Search) -> Slot:
    return rank_slots(s)[0]


def test_the_target_day_wins_in_the_morning() -> None:
    slot = best(search())
    assert slot.span == Span(utc(2027, 6, 15, 7), utc(2027, 6, 15, 8, 15))
    assert slot.cost == 0
    assert list_sentences(slot.reasons)[0] == "Tue 15 Jun is the target day."


def test_the_preferred_weekday_and_hour_win_within_a_week() -> None:
    slot = best(replace(search(), preference=Preference(weekday=3, minute=14 * 60)))
    assert slot.span.start == utc(2027, 6, 17, 12)
    assert "It is on Thursday, the weekday the two prefer." in list_sentences(slot.reasons)
    assert "It is at 14:00, the hour the two prefer." in list_sentences(slot.reasons)


def test_the_preference_is_on_the_reports_clock_and_calendar() -> None:
    """Monday 08:00 in Auckland is Sunday in Berlin: the weekday is the report's."""
    dana = person(hours="Mon-Sun 06:00-24:00")
    sam = person("Sam", "Pacific/Auckland", "NZ", "Mon-Sun 06:00-24:00")
    slot = best(replace(search(dana, sam), preference=Preference(weekday=0, minute=8 * 60)))
    assert slot.span.start == utc(2027, 6, 13, 20)


@pytest.mark.parametrize(("target", "day"), [(16, 16), (17, 16), (18, 16), (19, 21)])
def test_early_weekdays_win_over_thursday_and_friday(target: int, day: int) -> None:
    """So that the 48 hours for the contract end in working time; a Thursday or Friday has to be nearer."""
    s = search(busy=[Span(utc(2027, 6, 14), utc(2027, 6, 16)), Span(utc(2027, 6, 22), utc(2027, 6, 28))])
    assert best(replace(s, target=utc(2027, 6, target, 12))).span.start.day == day


def test_thursday_wins_over_friday() -> None:
    s = replace(search(window=Span(utc(2027, 6, 17), utc(2027, 6, 19))), target=utc(2027, 6, 18, 12))
    first, second = rank_slots(s, 2)
    assert (first.span.start.day, second.span.start.day) == (17, 18)
    assert "48 hours later it is Sunday, with no working days for Dana on the way." in list_sentences(second.reasons)


def test_sessions_are_spread_over_the_managers_weeks() -> None:
    others = [
        TakenTime(Span(utc(2027, 6, day, 7), utc(2027, 6, day, 8)), f"s{day}", SessionKind.CAREER)
        for day in (14, 16, 17)
    ]
    slot = best(replace(search(), taken_times={DANA.email: others}))
    assert slot.span.start.day == 9
    assert "Dana has no other career sessions that week." in list_sentences(slot.reasons)


def test_three_slots_lie_on_three_days_best_first() -> None:
    slots = rank_slots(search(), 3)
    assert [slot.span.start.day for slot in slots] == [15, 14, 16]
    assert [slot.cost for slot in slots] == sorted(slot.cost for slot in slots)
    assert rank_slots(search(), 0) == ()


def test_at_equal_cost_the_earliest_wins() -> None:
    """Tuesday at noon costs as much as Monday morning, and Monday's hour is only found after Tuesday's."""
    taken_hours = [
        june_window(15, (2, 0), (11, 45)),
        june_window(15, (13, 30), (24, 0)),
        Span(utc(2027, 6, 16), utc(2027, 6, 28)),
    ]
    slot = best(search(busy=taken_hours, window=Span(utc(2027, 6, 14), utc(2027, 6, 28))))
    assert (slot.cost, slot.span.start) == (1.0, utc(2027, 6, 14, 7))


def test_reasons_name_both_clocks() -> None:
    slot = best(search(report=person("Sam", "Asia/Kathmandu", "NP", "Sun-Fri 10:00-18:00")))
    assert "It starts at 09:15 for Dana and 13:00 for Sam." in list_sentences(slot.reasons)
    assert "It starts at 09:00 for both." in list_sentences(best(search()).reasons)


# --- one person alone -----------------------------------------------------------------------------------------------


def test_a_block_for_a_commitment_takes_the_latest_day_early() -> None:
    """T-8: no buffer, the latest working day with room, and there the earliest time."""
    busy = FreeBusy(
        (BusyTime(Span(utc(2027, 6, 25), utc(2027, 6, 26))), BusyTime(Span(utc(2027, 6, 24, 7), utc(2027, 6, 24, 8))))
    )
    assert find_solo_time(DANA, WINDOW, 30, busy, ()) == Span(utc(2027, 6, 24, 8), utc(2027, 6, 24, 8, 30))


def test_a_blocks_day_is_the_persons_own() -> None:
    """In Auckland the working day begins on the evening before, in UTC."""
    tui = person("Tui", "Pacific/Auckland", "NZ")
    evening = utc(2027, 6, 23, 21)
    assert find_solo_time(tui, Span(utc(2027, 6, 21), utc(2027, 6, 23, 22, 30)), 30, FREE, ()) == Span(
        evening, evening + 30 * MINUTE
    )


def test_a_block_never_takes_unknown_or_given_time() -> None:
    window = june_window(8, (9, 0), (10, 0))
    given_away = TakenTime(june_window(8, (9, 0), (9, 20)), "s1")
    assert find_solo_time(DANA, window, 30, FreeBusy(is_known=False), ()) is None
    assert find_solo_time(DANA, window, 30, FREE, (given_away,)) == june_window(8, (9, 30), (10, 0))
    assert find_solo_time(DANA, june_window(12, (9, 0), (17, 0)), 30, FREE, ()) is None
    assert find_solo_time(person(calendar="none"), window, 30, FreeBusy(is_known=False), ()) == june_window(
        8, (9, 0), (9, 30)
    )
