"""Reasons why no time slot is possible, and remedies for that (R-8).

`search()` is for a career session of 75 minutes in three weeks of June 2027, which have 15 working days. Both people
work in Berlin, from 9:00 to 17:00, two hours ahead of UTC. T-3a limits first sessions to two a week, T-4 is about mails
with these reasons, T-16 about the first days after a long absence.
"""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import example, given, settings

from tests.support.pairs import DAY, MINUTE, person, utc
from tests.support.slot_searches import (
    DANA,
    FREE,
    SAM,
    WINDOW,
    explain_in_words,
    find_starts_slowly,
    june_window,
    search,
    searches,
)
from worker.domain.model import BusyTime, FreeBusy, SessionKind, ShowAs, Span, TakenTime
from worker.domain.time.blockers import explain_no_slot, never_work_together, order_for_reader
from worker.domain.time.search import Search


def test_reason_names_people_who_share_no_working_hours() -> None:
    s = search(report=person("Sam", hours="Mon-Fri 19:00-23:00"))
    text = explain_in_words(s)
    assert "Dana and Sam share no working hours in the window: Dana works on 15 days, Sam works on 15 days." in text
    assert "If Dana's working hours ended 4 hours later, there would be room on 15 days." in text


def test_longer_working_hours_are_suggested_only_for_days_with_free_evenings() -> None:
    evening_worker = person("Sam", hours="Mon-Fri 19:00-23:00")
    evenings = [
        Span(utc(2027, 6, day, 15), utc(2027, 6, day, 23)) for day in range(7, 28) if day != 9
    ]  # 9 June is free
    s = search(report=evening_worker, busy=evenings)
    assert "If Dana's working hours ended 4 hours later, there would be room on 1 day." in explain_in_words(s)


def test_reason_names_shared_hours_that_are_too_short() -> None:
    text = explain_in_words(search(report=person("Sam", hours="Mon-Fri 16:15-22:00"), minutes=60))
    assert "The longest time Dana and Sam are both at work is 45 minutes, under the 60 needed." in text
    assert "If Dana's working hours ended 1 hour later, there would be room on 15 days." in text


def test_reason_counts_public_holidays() -> None:
    easter = Span(utc(2027, 3, 26), utc(2027, 3, 30))
    assert "Public holidays take 2 working days from Dana." in explain_in_words(search(window=easter))


def test_reason_names_an_unknown_calendar_and_its_cause() -> None:
    s = replace(search(), free_busy={DANA.email: FREE, SAM.email: FreeBusy(is_known=False, reason="the grant is gone")})
    text = explain_in_words(s)
    assert "Sam's calendar is unknown (the grant is gone), and unknown time is never free." in text
    assert "Dana's calendar" not in text


def test_shorter_session_is_suggested_when_it_fits() -> None:
    gap = june_window(8, (10, 0), (11, 30))
    s = search(
        window=june_window(8, (9, 0), (17, 0)), busy=[Span(gap.start - DAY, gap.start), Span(gap.end, gap.end + DAY)]
    )
    assert "With 60 minutes there is room on 1 day." in explain_in_words(s)
    assert "60 minutes" not in explain_in_words(replace(s, shortest_minutes=75))  # the settings allow no shorter one


def test_session_without_buffer_is_suggested_when_it_fits() -> None:
    gap = june_window(8, (10, 0), (11, 0))
    s = search(
        window=june_window(8, (9, 0), (17, 0)), busy=[Span(gap.start - DAY, gap.start), Span(gap.end, gap.end + DAY)]
    )
    assert "With 60 minutes and without the free 15 minutes on each side there is room on 1 day." in explain_in_words(s)


def test_busy_time_that_frees_most_starts_is_named_by_its_time_only() -> None:
    leave = Span(utc(2027, 6, 6, 22), utc(2027, 6, 19, 22))
    s = search(busy=[leave, Span(utc(2027, 6, 20), utc(2027, 6, 28))])
    s = replace(
        s,
        free_busy={
            **s.free_busy,
            DANA.email: FreeBusy((BusyTime(leave, ShowAs.AWAY), BusyTime(Span(leave.end, WINDOW.end)))),
        },
    )
    text = explain_in_words(s)
    assert "Dana's calendar leaves room on no days, Sam's calendar leaves room on 15 days" in text
    assert "Moving Dana's time away of Mon 7 Jun 00:00 to Sun 20 Jun 00:00 (Europe/Berlin) frees" in text


def test_career_session_that_fills_a_day_is_named() -> None:
    other_session = TakenTime(june_window(8, (9, 0), (10, 15)), "other", SessionKind.CAREER)
    s = replace(search(window=june_window(8, (9, 0), (17, 0))), taken_times={DANA.email: (other_session,)})
    text = explain_in_words(s)
    assert "Dana already has a career session on 1 day with room." in text
    assert "Moving Dana's career session of Tue 8 Jun 09:00 to 10:15 (Europe/Berlin) frees" in text


def test_moving_a_meeting_is_not_suggested_on_a_day_with_a_career_session() -> None:
    other_session = TakenTime(june_window(8, (9, 0), (10, 15)), "other", SessionKind.CAREER)
    s = search(window=june_window(8, (9, 0), (17, 0)), busy=[june_window(8, (11, 0), (17, 0))], minutes=60)
    text = explain_in_words(replace(s, taken_times={DANA.email: (other_session,)}))
    assert "Moving Dana's career session of Tue 8 Jun 09:00 to 10:15 (Europe/Berlin) frees 4 starting times." in text


def test_reason_names_a_window_shorter_than_the_session() -> None:
    assert "The window holds 60 minutes, under the 75 needed." in explain_in_words(
        search(window=june_window(8, (9, 5), (10, 20)))
    )


def search_with_gap(minutes: int) -> Search:
    """Return a search on a day on which Sam is free for so many minutes only, from 10:00 on."""
    day, start = june_window(8, (9, 0), (17, 0)), june_window(8, (10, 0), (17, 0)).start
    return search(window=day, busy=[Span(start - DAY, start), Span(start + minutes * MINUTE, start + 2 * DAY)])


@pytest.mark.parametrize(
    ("minutes", "code"), [(90, "shorter_has_room"), (75, "tighter_has_room"), (60, "both_have_room")]
)
def test_each_shorter_or_tighter_remedy_is_suggested(minutes: int, code: str) -> None:
    """The next test confirms each of these remedies, whose searches are among its examples."""
    assert code in [reason.code for reason in explain_no_slot(search_with_gap(minutes))]


@given(searches())
@example(search_with_gap(minutes=90))
@example(search_with_gap(minutes=75))
@example(search_with_gap(minutes=60))
@settings(max_examples=60, deadline=None)
def test_each_search_has_a_reason_and_each_remedy_gives_room(s: Search) -> None:
    """R-8: the oracle confirms each remedy that the reasons name."""
    text = explain_in_words(s)
    assert text.startswith("There is room") == bool(find_starts_slowly(s))
    for reason in explain_no_slot(s):
        if reason.code in ("shorter_has_room", "tighter_has_room", "both_have_room"):
            minutes = reason.values.get("minutes", s.minutes)
            assert isinstance(minutes, int)
            has_buffer = s.has_buffer and reason.code == "shorter_has_room"
            assert find_starts_slowly(replace(s, minutes=minutes, has_buffer=has_buffer))
        if reason.code == "moving":
            start, end = reason.values["start"], reason.values["end"]
            assert isinstance(start, datetime)
            assert isinstance(end, datetime)
            search_after_move = move_away(s, Span(start, end))
            assert len(find_starts_slowly(search_after_move)) == reason.values["count"]


def move_away(s: Search, span: Span) -> Search:
    """Return the search without busy and taken time of exactly this span."""
    calendars = {
        email: replace(free_busy, busy=tuple(item for item in free_busy.busy if item.span != span))
        for email, free_busy in s.free_busy.items()
    }
    taken_times = {email: [item for item in items if item.span != span] for email, items in s.taken_times.items()}
    return replace(s, free_busy=calendars, taken_times=taken_times)


#: Dana is away from 17 May to 8 June 2027. Wednesday and Thursday, 9 and 10 June, are her first days back.
LEAVE = BusyTime(Span(utc(2027, 5, 16, 22), utc(2027, 6, 8, 22)), ShowAs.AWAY)
FIRST_DAYS_BACK = Span(utc(2027, 6, 9), utc(2027, 6, 11))


def search_after_leave(*busy: Span, window: Span = FIRST_DAYS_BACK, minutes: int = 60) -> Search:
    """A search on Dana's first days back after `LEAVE`."""
    calendars = {DANA.email: FreeBusy((LEAVE, *map(BusyTime, busy))), SAM.email: FREE}
    return replace(search(window=window, minutes=minutes), free_busy=calendars)


def test_t16_reason_names_days_too_soon_after_a_long_absence() -> None:
    s = search_after_leave()
    assert "2 days with room are too soon after a long absence of Dana." in explain_in_words(s)
    assert "just lost" not in explain_in_words(s)
    reasons = explain_no_slot(replace(s, avoid=(june_window(9, (9, 0), (17, 0)),)))
    assert [reason.code for reason in reasons if reason.code in ("after_absence", "just_lost")] == ["after_absence"]


def test_reason_names_lost_times_only_when_they_are_possible() -> None:
    s = search_after_leave(window=Span(FIRST_DAYS_BACK.start, utc(2027, 6, 12)))
    text = explain_in_words(replace(s, avoid=(june_window(11, (9, 0), (17, 0)),)))
    assert "2 days with room are too soon after a long absence of Dana." in text
    assert "All that is left are times just lost, on 1 day." in text


def test_t16_moving_a_meeting_on_a_first_day_back_is_not_suggested() -> None:
    """Only a move of the leave itself would help."""
    meeting = june_window(9, (9, 0), (17, 0))
    moves = [reason for reason in explain_no_slot(search_after_leave(meeting)) if reason.code == "moving"]
    assert [(move.values["start"], move.values["end"]) for move in moves] == [(LEAVE.span.start, LEAVE.span.end)]


def test_t16_longer_hours_on_a_first_day_back_are_not_suggested() -> None:
    evening_worker = person("Sam", hours="Mon-Fri 17:00-22:00")
    s = replace(search_after_leave(), report=evening_worker)
    assert "working hours" not in explain_in_words(s).split("Dana and Sam share")[0]


def test_t3a_moving_a_meeting_in_a_full_week_is_not_suggested() -> None:
    sessions_in_turn = [
        TakenTime(june_window(day, (9, 0), (10, 0)), str(day), SessionKind.CAREER, in_turn=True) for day in (8, 9)
    ]
    s = search(window=june_window(10, (9, 0), (17, 0)), busy=[june_window(10, (9, 0), (13, 0))], minutes=60)
    s = replace(s, taken_times={DANA.email: sessions_in_turn}, has_weekly_limit=True)
    text = explain_in_words(s)
    assert "On 1 day with room, Dana already has 2 first or overdue conversations that week." in text
    assert "Dana already has a career session on" not in text
    moves = [reason for reason in explain_no_slot(s) if reason.code == "moving"]
    # moving one of the two sessions frees the week
    assert [move.values["start"] for move in moves] == [sessions_in_turn[0].span.start]
    assert len(find_starts_slowly(move_away(s, sessions_in_turn[0].span))) == moves[0].values["count"]


def test_t4_own_remedies_come_first_and_public_holidays_last() -> None:
    """T-4: a reader's own busy time that frees most comes first, then the other person's, then the other reasons."""
    easter_week = Span(utc(2027, 3, 22), utc(2027, 3, 31))
    days = [22, 23, 24, 25, 30]
    mornings = [Span(utc(2027, 3, day, 7), utc(2027, 3, day, 11)) for day in days]
    afternoons = [Span(utc(2027, 3, day, 11), utc(2027, 3, day, 16)) for day in days]
    s = search(window=easter_week)
    calendars = {
        DANA.email: FreeBusy(tuple(BusyTime(span) for span in mornings)),
        SAM.email: FreeBusy(tuple(BusyTime(span) for span in afternoons)),
    }
    reasons = explain_no_slot(replace(s, free_busy=calendars))
    assert {reason.values["name"] for reason in reasons if reason.code == "moving"} == {"Dana", "Sam"}
    for name in ("Dana", "Sam"):
        codes = [(reason.code, reason.values.get("name")) for reason in order_for_reader(reasons, name)]
        assert codes[0] == ("moving", name)
        assert codes[1][0] == "moving"
        assert codes[2][0] == "room_by_calendar"
        assert {code for code, _ in codes[3:]} == {"holidays"}


def test_meeting_of_both_people_is_named_once() -> None:
    meeting = Span(utc(2027, 6, 6, 22), WINDOW.end)
    s = search(busy=[meeting])
    calendars = {who.email: FreeBusy((BusyTime(meeting),)) for who in (DANA, SAM)}
    moves = [reason for reason in explain_no_slot(replace(s, free_busy=calendars)) if reason.code == "moving"]
    assert len(moves) == 1
    assert (moves[0].values["name"], moves[0].values["other"]) == ("Dana", "Sam")


def test_each_of_two_people_with_the_same_name_gets_the_move_of_an_own_meeting() -> None:
    first_half, second_half = Span(utc(2027, 6, 6, 22), utc(2027, 6, 9)), Span(utc(2027, 6, 9), WINDOW.end)
    s = replace(search(), manager=replace(DANA, name="Sam"))
    calendars = {
        DANA.email: FreeBusy((BusyTime(first_half), BusyTime(second_half))),
        SAM.email: FreeBusy((BusyTime(Span(utc(2027, 6, 7, 7), utc(2027, 6, 7, 16))),)),
    }
    moves = [reason for reason in explain_no_slot(replace(s, free_busy=calendars)) if reason.code == "moving"]
    assert [reason.values["name"] for reason in moves] == ["Sam"]


@given(searches())
@example(search_with_gap(minutes=90))
@example(search_with_gap(minutes=75))
@example(search_with_gap(minutes=60))
@settings(max_examples=60, deadline=None)
def test_ordering_for_a_reader_keeps_all_reasons(s: Search) -> None:
    reasons = explain_no_slot(s)
    assert sorted(map(repr, order_for_reader(reasons, "Sam"))) == sorted(map(repr, reasons))


def test_t4_people_with_less_than_an_hour_in_common_never_work_together() -> None:
    now = utc(2027, 6, 7)
    assert never_work_together((DANA, person("Sam", hours="Mon-Fri 19:00-23:00")), now)
    # 45 minutes are too short for a session
    assert never_work_together((DANA, person("Sam", hours="Mon-Fri 16:15-23:00")), now)
    one_hour = (DANA, person("Sam", hours="Tue 16:00-17:00"))
    assert not never_work_together(one_hour, now)
    assert never_work_together(one_hour, now, shortest_minutes=75)  # the shortest session of this company is longer
