"""The auditor's rules about days of sessions: ad hoc sessions, series, rhythms and first sessions.

The manager M in London has the reports R, R2 and R3. The ledgers begin on Monday, 7 September 2026. In `HELD_AND_ASKED`
the first pair, M and R, has held its first session, c1, on 15 September.
"""

from dataclasses import replace
from datetime import date, datetime, timedelta

import pytest

from tests.support.audit.ledgers import (
    CAREER_FIELDS,
    FIRST_PAIR,
    HELD_AND_ASKED,
    R2,
    R3,
    SECOND_PAIR,
    Line,
    M,
    R,
    event,
    first_booking,
    human,
    line,
    list_broken_rules,
    mail,
    session,
    stamp,
)
from worker.domain.model import Format, Interval, Pair


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("09-11 09:00", []),
        ("09-14 09:00", []),  # the fifth working day after the request
        ("09-17 09:00", ["T-14"]),
        ("", ["T-14"]),  # without a time
    ],
)
def test_ad_hoc_session_is_within_five_working_days(start: str, expected: list[str]) -> None:
    """T-14: within five working days of the request."""
    booking = [
        session("09-07 06:00", "c5", "booked", start, key="c5.1"),
        event("09-07 06:00", "create", "c5.1", start),
    ]
    regular_booking = first_booking("09-07 05:00", "c1", "09-22 09:00")
    request = [human("09-07 06:00", "talk", "c5"), session("09-07 06:00", "c5", "owed")]
    assert (
        list_broken_rules(*regular_booking, *request, *(booking if start else []), last_line_at="09-07 07:00")
        == expected
    )


def test_ad_hoc_session_may_be_later_after_a_mail_about_the_lack_of_time() -> None:
    """T-14, R-8: when five working days have no time and a mail says so, a later day is allowed."""
    regular_booking = first_booking("09-07 05:00", "c1", "09-22 09:00")
    request = [human("09-07 06:00", "talk", "c5"), session("09-07 06:00", "c5", "owed")]
    unplaceable_lines = [
        line("09-07 06:00", "unplaceable", "c5", reason="Nothing is free.", **CAREER_FIELDS),
        mail("09-07 08:00", "unplaceable", M, "c5"),
    ]
    later_booking = [
        session("09-08 05:00", "c5", "booked", "09-17 09:00", key="c5.1"),
        event("09-08 05:00", "create", "c5.1", "09-17 09:00"),
    ]
    assert (
        list_broken_rules(*regular_booking, *request, *unplaceable_lines, *later_booking, last_line_at="09-08 06:00")
        == []
    )


@pytest.mark.parametrize(("start", "expected"), [("09-23 09:00", []), ("09-17 09:00", ["T-13"])])
def test_parts_of_a_series_are_five_to_ten_working_days_apart(start: str, expected: list[str]) -> None:
    """T-13: the second part is on the sixth and on the second working day after the first."""
    pair = replace(FIRST_PAIR, format=Format.SERIES)
    first_part = first_booking("09-07 05:00", "c1", "09-15 09:00", topic="now")
    second_part = first_booking("09-07 05:00", "c2", start, topic="direction")
    assert list_broken_rules(*first_part, *second_part, pairs=(pair,)) == expected


@pytest.mark.parametrize("is_first_part_held", [True, False])
def test_parts_of_a_series_are_held_in_order(is_first_part_held: bool) -> None:
    """T-13: the second part is held while the first part was held before, or is still to come."""
    first_start = "09-15 09:00" if is_first_part_held else "10-15 09:00"
    first_part = first_booking("09-07 05:00", "c1", first_start, topic="now")
    second_part = first_booking("09-07 05:00", "c2", "09-23 09:00", topic="direction")
    held_first, held_second = (
        session(f"{day} 10:15", session_id, "held", f"{day} 09:00")
        for day, session_id in (("09-15", "c1"), ("09-23", "c2"))
    )
    broken_rules = list_broken_rules(
        *first_part,
        *second_part,
        *([held_first] if is_first_part_held else []),
        held_second,
        pairs=(replace(FIRST_PAIR, format=Format.SERIES),),
    )
    assert ("T-13" in broken_rules) is not is_first_part_held


def test_order_of_parts_does_not_apply_across_two_series() -> None:
    """T-13: the last part of a series is held after the first part of the next one was booked."""
    last_part = first_booking("09-07 05:00", "c1", "09-15 09:00", topic="gap")
    next_series = first_booking("09-15 10:15", "c2", "12-15 10:00", topic="now")
    held_session = session("09-15 10:15", "c1", "held", "09-15 09:00")
    assert "T-13" not in list_broken_rules(
        *last_part, *next_series, held_session, pairs=(replace(FIRST_PAIR, format=Format.SERIES),)
    )


QUARTERLY = Interval(weeks=13)


@pytest.mark.parametrize(
    ("every", "transition_until", "start", "expected"),
    [
        (QUARTERLY, None, "12-15 10:00", []),  # 13 weeks after the session of 15 September
        (QUARTERLY, None, "11-24 10:00", ["T-3"]),
        (Interval(months=6), None, "2027-03-16 10:00", []),
        (Interval(months=6), None, "12-15 10:00", ["T-3"]),
        (QUARTERLY, "2026-12-01", "10-27 10:00", []),  # six weeks after it, in the transition
        (QUARTERLY, "2026-12-01", "12-15 10:00", ["T-3"]),
        (QUARTERLY, "2026-10-20", "12-15 10:00", []),  # the transition ends before the six weeks have passed
    ],
)
def test_next_session_follows_the_rhythm_of_the_pair(
    every: Interval, transition_until: str | None, start: str, expected: list[str]
) -> None:
    """T-3, R-5: the rhythm of the pair applies, and in a transition the shorter one."""
    transition_end = date.fromisoformat(transition_until) if transition_until else None
    pair = replace(FIRST_PAIR, every=every, transition_until=transition_end)
    assert list_broken_rules(*HELD_AND_ASKED, *first_booking("09-15 10:15", "c2", start), pairs=(pair,)) == expected


def make_ad_hoc_lines(start: str) -> list[Line]:
    """Return the lines of c5, an ad hoc session at `start` that was requested five days before."""
    asked_at = f"{datetime.fromisoformat(stamp(start)) - timedelta(days=5):%m-%d %H:%M}"
    request = [human(asked_at, "talk", "c5"), session(asked_at, "c5", "owed")]
    booked_session = session(asked_at, "c5", "booked", start, key="c5.1")
    prompt_at = f"{datetime.fromisoformat(stamp(start)) - timedelta(days=3):%m-%d} 08:00"
    prompt = mail(prompt_at, "reflection_prompt", R, "c5", start, number=1)
    return [*request, booked_session, event(asked_at, "create", "c5.1", start), prompt]


@pytest.mark.parametrize(
    ("ad_hoc_start", "start", "expected"),
    [
        ("12-07 10:00", "12-29 10:00", []),  # three weeks and a day after the ad hoc session
        ("12-07 10:00", "12-22 10:00", ["T-14"]),
        ("12-07 10:00", "2027-03-09 10:00", ["T-3"]),  # 13 weeks after the ad hoc session
        ("11-16 10:00", "12-15 10:00", []),  # more than three weeks before: nothing has to move
    ],
)
def test_ad_hoc_session_moves_the_regular_session_by_at_most_three_weeks(
    ad_hoc_start: str, start: str, expected: list[str]
) -> None:
    """T-14: an ad hoc session less than three weeks before the due day, 15 December, moves the regular session."""
    ad_hoc_session = make_ad_hoc_lines(ad_hoc_start)
    # of `2026-12-02T10:00:00Z`, the part from month to minute, as the functions for lines take it
    requested_at = str(ad_hoc_session[0]["at"])[5:16].replace("T", " ")
    regular_booking = first_booking("09-15 10:15", "c2", "12-16 10:00")
    moved_regular_session = [
        session(requested_at, "c2", "owed"),
        session(requested_at, "c2", "booked", start, key="c2.1", reason="The rhythm counts from another day now."),
        event(requested_at, "update", "c2.1", start),
    ]
    ledger = sorted(
        [*HELD_AND_ASKED, *regular_booking, *ad_hoc_session, *moved_regular_session],
        key=lambda ledger_line: str(ledger_line["at"]),
    )
    # T-7, R-17: in these ledgers, the contract of c1 is missing and nobody is reminded of it
    assert set(list_broken_rules(*ledger)) - {"T-7", "R-17"} == set(expected)


@pytest.mark.parametrize(("start", "expected"), [("2027-01-12 10:00", set()), ("2027-02-02 10:00", {"T-3a"})])
def test_ad_hoc_session_after_the_due_day_moves_the_regular_session_as_far(start: str, expected: set[str]) -> None:
    """T-14: the session was due on 15 December, and is booked two weeks later because no earlier time was free."""
    ad_hoc_session = make_ad_hoc_lines("12-21 10:00")
    moved_regular_session = [
        session("12-16 10:00", "c2", "owed"),
        session("12-16 10:00", "c2", "booked", start, key="c2.1", reason="The rhythm counts from another day now."),
        event("12-16 10:00", "update", "c2.1", start),
    ]
    ledger = sorted(
        [*HELD_AND_ASKED, *first_booking("09-15 10:15", "c2", "12-30 10:00"), *ad_hoc_session, *moved_regular_session],
        key=lambda ledger_line: str(ledger_line["at"]),
    )
    assert set(list_broken_rules(*ledger)) & {"T-3", "T-3a", "T-14"} == expected


# --- first sessions ---

#: Its start is long past, or not known.
THIRD_PAIR = replace(SECOND_PAIR, report=R3, start=None)
#: Starts on Monday, 5 October, four weeks after the first day of the ledger.
LATER_PAIR = replace(FIRST_PAIR, start=date(2026, 10, 5))


def assign_to_pair(pair: Pair, lines: list[Line]) -> list[Line]:
    """Return these lines with another pair of the same manager."""
    pair_field = {"pair": f"{pair.manager}>{pair.report}"}
    return [
        {**ledger_line, **pair_field, **({"attendees": [pair.report]} if ledger_line.get("attendees") else {})}
        for ledger_line in lines
    ]


@pytest.mark.parametrize(
    ("start", "expected"),
    [("09-09 09:00", []), ("09-21 09:00", []), ("10-12 09:00", []), ("10-14 09:00", ["T-3a"])],
)
def test_only_pair_of_a_manager_first_meets_within_five_weeks(start: str, expected: list[str]) -> None:
    """T-3a: its turn is in two weeks, on 21 September. The window is from two weeks before to three weeks after it.

    The pair's start is long past.
    """
    booking = first_booking("09-07 05:00", "c1", start)
    # a session in two days needs a prompt at once
    prompt = [mail("09-07 07:00", "reflection_prompt", R, "c1", start)] if start == "09-09 09:00" else []
    assert list_broken_rules(*booking, *prompt) == expected


@pytest.mark.parametrize(
    ("report", "start", "expected"),
    [
        (R2, "10-05 09:00", []),
        (R2, "09-18 09:00", ["T-3a"]),
        (R3, "10-19 09:00", []),
        (R3, "09-21 09:00", ["T-3a"]),
        (R3, "11-13 09:00", ["T-3a"]),
    ],
)
def test_pairs_of_a_manager_first_meet_in_turn(report: str, start: str, expected: list[str]) -> None:
    """T-3a: the turns of the three pairs are in two, four and six weeks: on 21 September, 5 and 19 October.

    Each window is from two weeks before the turn to three weeks after.
    """
    team = (FIRST_PAIR, replace(SECOND_PAIR, start=None), THIRD_PAIR)
    starts = {R: "09-22 09:00", R2: "10-05 09:00", R3: "10-19 09:00", report: start}
    lines = [
        assign_to_pair(pair, first_booking("09-07 05:00", f"c{pair.report[0]}", starts[pair.report])) for pair in team
    ]
    assert (
        list_broken_rules(*(ledger_line for lines_of_pair in lines for ledger_line in lines_of_pair), pairs=team)
        == expected
    )


def test_pair_in_transition_is_first_in_turn() -> None:
    """T-3a: the pair in transition is the first in turn, although its address is the last."""
    team = (FIRST_PAIR, replace(SECOND_PAIR, start=None), replace(THIRD_PAIR, transition_until=date(2027, 3, 1)))
    starts = {R: "10-06 09:00", R2: "10-13 09:00", R3: "09-11 09:00"}
    lines = [
        assign_to_pair(pair, first_booking("09-07 05:00", f"c{pair.report[0]}", starts[pair.report])) for pair in team
    ]
    ledger = [ledger_line for lines_of_pair in lines for ledger_line in lines_of_pair]
    assert list_broken_rules(*ledger, pairs=team) == []
    assert list_broken_rules(*ledger, pairs=(*team[:2], THIRD_PAIR)) == ["T-3a"]


@pytest.mark.parametrize(("start", "expected"), [("10-07 09:00", ["T-3a"]), ("10-13 09:00", [])])
def test_week_of_a_manager_has_at_most_two_first_sessions(start: str, expected: list[str]) -> None:
    """T-3a: the third first session is in the week of the other two, and in the next week."""
    team = (FIRST_PAIR, replace(SECOND_PAIR, start=None), THIRD_PAIR)
    starts = {R: "10-05 09:00", R2: "10-06 09:00", R3: start}
    lines = [
        assign_to_pair(pair, first_booking("09-07 05:00", f"c{pair.report[0]}", starts[pair.report])) for pair in team
    ]
    assert (
        list_broken_rules(*(ledger_line for lines_of_pair in lines for ledger_line in lines_of_pair), pairs=team)
        == expected
    )


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("10-19 09:00", []),  # two weeks after the start
        ("11-09 09:00", []),  # five weeks after it
        ("10-16 09:00", ["T-3a"]),
        ("11-10 09:00", ["T-3a"]),
        ("10-02 09:00", ["T-3a"]),
    ],
)
def test_new_pair_first_meets_two_to_five_weeks_after_its_start(start: str, expected: list[str]) -> None:
    """T-3a: a pair never meets before its start. Here it is booked seven days before it, at midnight in London."""
    assert list_broken_rules(*first_booking("09-27 23:00", "c1", start), pairs=(LATER_PAIR,)) == expected


def test_deferred_session_is_not_booked_before_the_start() -> None:
    """T-3a, T-10: a deferred session gets a new time soon, but none before the start of the pair."""
    pair = replace(FIRST_PAIR, start=date(2026, 9, 14))
    deferral = [
        human("09-08 08:00", "decline", "c1", "09-29 09:00", calendar=R),
        session("09-08 08:00", "c1", "deferred", count=1, cause="declined"),
    ]
    first_lines = first_booking("09-07 05:00", "c1", "09-29 09:00")
    for start, expected in (("09-28 09:00", []), ("09-11 09:00", ["T-10", "T-3a"])):
        new_booking = [
            session("09-08 08:00", "c1", "booked", start, count=1, key="c1.1", reason="It is soon."),
            event("09-08 08:00", "update", "c1.1", start),
            mail("09-08 08:00", "deferral_notice", M, "c1", start, number=1),
            mail("09-08 08:00", "deferral_notice", R, "c1", start, number=1),
        ]
        assert list_broken_rules(*first_lines, *deferral, *new_booking, pairs=(pair,)) == expected


def test_no_mail_or_booking_is_earlier_than_seven_days_before_the_start() -> None:
    """T-3a, T-4: from seven days before the start on there has to be a session, and before that nothing is sent.

    The pair starts on 5 October, so that day is 28 September. In London it begins at 23:00 UTC of 27 September.
    """
    assert list_broken_rules(pairs=(LATER_PAIR,), last_line_at="09-27 22:00") == []
    assert list_broken_rules(pairs=(LATER_PAIR,), last_line_at="09-28 05:00") == ["T-4"]
    booking_on_first_day = first_booking("09-27 23:00", "c1", "10-20 09:00")
    assert list_broken_rules(*booking_on_first_day, pairs=(LATER_PAIR,)) == []
    assert list_broken_rules(mail("09-27 22:00", "introduction", M), *booking_on_first_day, pairs=(LATER_PAIR,)) == [
        "T-16",
        "T-3a",
    ]
    assert list_broken_rules(*first_booking("09-27 22:00", "c1", "10-20 09:00"), pairs=(LATER_PAIR,)) == ["T-3a"]
