"""Short stories for the auditor's rules of when conversations are: series, rhythms, talks soon, first sessions."""

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
    ("start", "expected"), [("09-11 09:00", []), ("09-14 09:00", []), ("09-17 09:00", ["T-14"]), ("", ["T-14"])]
)
def test_who_asks_to_talk_soon_talks_soon(start: str, expected: list[str]) -> None:
    """T-14: within five working days of the asking."""
    given_time = [
        session("09-07 06:00", "c5", "booked", start, key="c5.1"),
        event("09-07 06:00", "create", "c5.1", start),
    ]
    ahead = first_booking("09-07 05:00", "c1", "09-22 09:00")
    asked = [human("09-07 06:00", "talk", "c5"), session("09-07 06:00", "c5", "owed")]
    assert list_broken_rules(*ahead, *asked, *(given_time if start else []), last="09-07 07:00") == expected


def test_who_knows_that_it_can_not_be_soon_gets_a_later_day() -> None:
    """T-14, R-8: five working days hold no time, a person is told, and then a later day is better than none."""
    ahead = first_booking("09-07 05:00", "c1", "09-22 09:00")
    asked = [human("09-07 06:00", "talk", "c5"), session("09-07 06:00", "c5", "owed")]
    told = [
        line("09-07 06:00", "unplaceable", "c5", reason="Nothing is free.", **CAREER_FIELDS),
        mail("09-07 08:00", "unplaceable", M, "c5"),
    ]
    later = [
        session("09-08 05:00", "c5", "booked", "09-17 09:00", key="c5.1"),
        event("09-08 05:00", "create", "c5.1", "09-17 09:00"),
    ]
    assert list_broken_rules(*ahead, *asked, *told, *later, last="09-08 06:00") == []


@pytest.mark.parametrize(("start", "expected"), [("09-23 09:00", []), ("09-17 09:00", ["T-13"])])
def test_a_series_is_five_to_ten_working_days_apart(start: str, expected: list[str]) -> None:
    """T-13."""
    pair = replace(FIRST_PAIR, format=Format.SERIES)
    parts = first_booking("09-07 05:00", "c1", "09-15 09:00", topic="now")
    assert (
        list_broken_rules(*parts, *first_booking("09-07 05:00", "c2", start, topic="direction"), pairs=(pair,))
        == expected
    )


@pytest.mark.parametrize("is_held", [True, False])
def test_no_part_of_a_series_is_held_before_an_earlier_one(is_held: bool) -> None:
    """T-13."""
    first = first_booking("09-07 05:00", "c1", "09-15 09:00" if is_held else "10-15 09:00", topic="now")
    second = first_booking("09-07 05:00", "c2", "09-23 09:00", topic="direction")
    held = [session(f"{day} 10:15", one, "held", f"{day} 09:00") for day, one in (("09-15", "c1"), ("09-23", "c2"))]
    broken = list_broken_rules(
        *first, *second, *held[0 if is_held else 1 :], pairs=(replace(FIRST_PAIR, format=Format.SERIES),)
    )
    assert ("T-13" in broken) is not is_held


def test_a_later_series_is_not_held_against_the_one_before() -> None:
    """T-13."""
    told = first_booking("09-07 05:00", "c1", "09-15 09:00", topic="gap")
    later = first_booking("09-15 10:15", "c2", "12-15 10:00", topic="now")
    held = session("09-15 10:15", "c1", "held", "09-15 09:00")
    assert "T-13" not in list_broken_rules(*told, *later, held, pairs=(replace(FIRST_PAIR, format=Format.SERIES),))


QUARTERLY = Interval(weeks=13)


@pytest.mark.parametrize(
    ("every", "transition", "start", "expected"),
    [
        (QUARTERLY, None, "12-15 10:00", []),
        (QUARTERLY, None, "11-24 10:00", ["T-3"]),
        (Interval(months=6), None, "2027-03-16 10:00", []),
        (Interval(months=6), None, "12-15 10:00", ["T-3"]),
        (QUARTERLY, "2026-12-01", "10-27 10:00", []),
        (QUARTERLY, "2026-12-01", "12-15 10:00", ["T-3"]),
        (QUARTERLY, "2026-10-20", "12-15 10:00", []),
    ],
)
def test_each_pair_has_its_rhythm(every: Interval, transition: str | None, start: str, expected: list[str]) -> None:
    """T-3, R-5: the pair's own rhythm, the tighter one in transition."""
    ends = date.fromisoformat(transition) if transition else None
    pair = replace(FIRST_PAIR, every=every, transition_until=ends)
    assert list_broken_rules(*HELD_AND_ASKED, *first_booking("09-15 10:15", "c2", start), pairs=(pair,)) == expected


def _talk_soon(start: str) -> list[Line]:
    """Somebody asks to talk five days before, and they do."""
    asked_at = f"{datetime.fromisoformat(stamp(start)) - timedelta(days=5):%m-%d %H:%M}"
    asked = [human(asked_at, "talk", "c5"), session(asked_at, "c5", "owed")]
    booked = session(asked_at, "c5", "booked", start, key="c5.1")
    friday = f"{datetime.fromisoformat(stamp(start)) - timedelta(days=3):%m-%d} 08:00"
    prompt = mail(friday, "reflection_prompt", R, "c5", start, number=1)
    return [*asked, booked, event(asked_at, "create", "c5.1", start), prompt]


@pytest.mark.parametrize(
    ("talk", "start", "expected"),
    [
        ("12-07 10:00", "12-29 10:00", []),
        ("12-07 10:00", "12-22 10:00", ["T-14"]),
        ("12-07 10:00", "2027-03-09 10:00", ["T-3"]),  # 13 weeks after the ad hoc one
        ("11-16 10:00", "12-15 10:00", []),
    ],
)
def test_an_ad_hoc_conversation_moves_the_regular_one_by_three_weeks_at_most(
    talk: str, start: str, expected: list[str]
) -> None:
    """T-14: the next is due on 15 December; less than three weeks before, an ad hoc one moves it, and no further."""
    asked = _talk_soon(talk)
    at = str(asked[0]["at"])[5:16].replace("T", " ")
    booked = first_booking("09-15 10:15", "c2", "12-16 10:00")
    moved = [
        session(at, "c2", "owed"),
        session(at, "c2", "booked", start, key="c2.1", reason="The rhythm counts from another day now."),
        event(at, "update", "c2.1", start),
    ]
    ledger = sorted([*HELD_AND_ASKED, *booked, *asked, *moved], key=lambda one: str(one["at"]))
    assert set(list_broken_rules(*ledger)) - {"T-7", "R-17"} == set(expected)


@pytest.mark.parametrize(("start", "expected"), [("2027-01-12 10:00", set()), ("2027-02-02 10:00", {"T-3a"})])
def test_an_ad_hoc_conversation_after_the_due_day_moves_the_regular_one_as_far(start: str, expected: set[str]) -> None:
    """T-14: the next was due on 15 December, and stood two weeks later, for want of a time before."""
    asked = _talk_soon("12-21 10:00")
    moved = [
        session("12-16 10:00", "c2", "owed"),
        session("12-16 10:00", "c2", "booked", start, key="c2.1", reason="The rhythm counts from another day now."),
        event("12-16 10:00", "update", "c2.1", start),
    ]
    ledger = sorted(
        [*HELD_AND_ASKED, *first_booking("09-15 10:15", "c2", "12-30 10:00"), *asked, *moved],
        key=lambda one: str(one["at"]),
    )
    assert set(list_broken_rules(*ledger)) & {"T-3", "T-3a", "T-14"} == expected


# --- first sessions ---

THREE = replace(SECOND_PAIR, report=R3, start=None)
LATER = replace(FIRST_PAIR, start=date(2026, 10, 5))


def of_pair(pair: Pair, lines: list[Line]) -> list[Line]:
    """The same of another pair of the manager's."""
    named = {"pair": f"{pair.manager}>{pair.report}"}
    return [{**one, **named, **({"attendees": [pair.report]} if one.get("attendees") else {})} for one in lines]


@pytest.mark.parametrize(
    ("start", "expected"),
    [("09-09 09:00", []), ("09-21 09:00", []), ("10-12 09:00", []), ("10-14 09:00", ["T-3a"])],
)
def test_a_lone_pair_first_meets_around_two_weeks_from_now(start: str, expected: list[str]) -> None:
    """T-3a: two weeks before its turn to three after; its start was long ago."""
    lines = first_booking("09-07 05:00", "c1", start)
    ahead = [one for one in lines if start == "09-09 09:00"]
    prompt = [mail("09-07 07:00", "reflection_prompt", R, "c1", start)] if ahead else []
    assert list_broken_rules(*lines, *prompt) == expected


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
def test_the_pairs_of_a_manager_first_meet_in_turn(report: str, start: str, expected: list[str]) -> None:
    """T-3a: the second of three in four weeks, the third in six; the window reaches from two weeks before to three
    after."""
    team = (FIRST_PAIR, replace(SECOND_PAIR, start=None), THREE)
    starts = {R: "09-21 09:00", R2: "10-05 09:00", R3: "10-19 09:00", report: start}
    starts[R] = "09-22 09:00"
    lines = [of_pair(pair, first_booking("09-07 05:00", f"c{pair.report[0]}", starts[pair.report])) for pair in team]
    assert list_broken_rules(*(one for some in lines for one in some), pairs=team) == expected


def test_who_is_in_transition_or_waited_longer_comes_first() -> None:
    """T-3a: the last by address, in transition, is the first in turn."""
    team = (FIRST_PAIR, replace(SECOND_PAIR, start=None), replace(THREE, transition_until=date(2027, 3, 1)))
    starts = {R: "10-06 09:00", R2: "10-13 09:00", R3: "09-11 09:00"}
    lines = [of_pair(pair, first_booking("09-07 05:00", f"c{pair.report[0]}", starts[pair.report])) for pair in team]
    flat = [one for some in lines for one in some]
    assert list_broken_rules(*flat, pairs=team) == []
    assert list_broken_rules(*flat, pairs=(*team[:2], THREE)) == ["T-3a"]


@pytest.mark.parametrize(("start", "expected"), [("10-07 09:00", ["T-3a"]), ("10-13 09:00", [])])
def test_a_week_holds_two_first_sessions_of_a_manager(start: str, expected: list[str]) -> None:
    """T-3a."""
    team = (FIRST_PAIR, replace(SECOND_PAIR, start=None), THREE)
    starts = {R: "10-05 09:00", R2: "10-06 09:00", R3: start}
    lines = [of_pair(pair, first_booking("09-07 05:00", f"c{pair.report[0]}", starts[pair.report])) for pair in team]
    assert list_broken_rules(*(one for some in lines for one in some), pairs=team) == expected


@pytest.mark.parametrize(
    ("start", "expected"),
    [
        ("10-19 09:00", []),
        ("11-09 09:00", []),
        ("10-16 09:00", ["T-3a"]),
        ("11-10 09:00", ["T-3a"]),
        ("10-02 09:00", ["T-3a"]),
    ],
)
def test_a_pair_that_begins_meets_two_to_five_weeks_after_its_start(start: str, expected: list[str]) -> None:
    """T-3a: never before it."""
    assert list_broken_rules(*first_booking("09-27 23:00", "c1", start), pairs=(LATER,)) == expected


def test_no_deferred_session_lies_before_the_start() -> None:
    """T-3a, T-10."""
    pair = replace(FIRST_PAIR, start=date(2026, 9, 14))
    lost = [
        human("09-08 08:00", "decline", "c1", "09-29 09:00", calendar=R),
        session("09-08 08:00", "c1", "deferred", count=1, cause="declined"),
    ]
    first = first_booking("09-07 05:00", "c1", "09-29 09:00")
    for start, expected in (("09-28 09:00", []), ("09-11 09:00", ["T-10", "T-3a"])):
        again = [
            session("09-08 08:00", "c1", "booked", start, count=1, key="c1.1", reason="It is soon."),
            event("09-08 08:00", "update", "c1.1", start),
            mail("09-08 08:00", "deferral_notice", M, "c1", start, number=1),
            mail("09-08 08:00", "deferral_notice", R, "c1", start, number=1),
        ]
        assert list_broken_rules(*first, *lost, *again, pairs=(pair,)) == expected


def test_nobody_hears_of_us_earlier_than_seven_days_before_the_start() -> None:
    """T-3a, T-4: until then there need not be a session, and from then on there is one."""
    assert list_broken_rules(pairs=(LATER,), last="09-27 22:00") == []
    assert list_broken_rules(pairs=(LATER,), last="09-28 05:00") == ["T-4"]
    ahead = first_booking("09-27 23:00", "c1", "10-20 09:00")
    assert list_broken_rules(*ahead, pairs=(LATER,)) == []
    assert list_broken_rules(mail("09-27 22:00", "introduction", M), *ahead, pairs=(LATER,)) == ["T-16", "T-3a"]
    assert list_broken_rules(*first_booking("09-27 22:00", "c1", "10-20 09:00"), pairs=(LATER,)) == ["T-3a"]
