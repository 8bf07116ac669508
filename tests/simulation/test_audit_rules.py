"""Short stories for the auditor's rules, where the quarter of `test_audit` does not tell enough."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from tests.support.audit.ledgers import (
    BOOKED,
    CAREER_FIELDS,
    FIRST_PAIR,
    HELD_AND_ASKED,
    PREPARED,
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
    of_other_pair,
    session,
    stamp,
)
from worker.domain.model import ReviewMode


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        ([line("09-07 05:00", "unplaceable", "c1", reason="Nothing is free.", **CAREER_FIELDS)], ["T-4"]),
        ([mail("09-07 08:00", "unplaceable", M, "c1")], ["D-8", "T-4"]),
        (
            [
                line("09-07 05:00", "unplaceable", "c1", reason="Nothing is free.", **CAREER_FIELDS),
                mail("09-07 08:00", "unplaceable", M, "c1"),
            ],
            [],
        ),
        (
            [
                line("09-07 05:00", "unplaceable", "c1", **CAREER_FIELDS),
                mail("09-07 08:00", "unplaceable", M, "c1"),
            ],
            ["T-4"],
        ),
        ([*BOOKED, mail("09-07 08:00", "unplaceable", M, "c1")], ["T-4"]),
    ],
)
def test_who_has_no_session_knows_why(lines: list[Line], expected: list[str]) -> None:
    """T-4: unplaceable only with a reason, told to a person, while it is so."""
    assert list_broken_rules(*lines, last="09-07 09:00") == expected


def test_one_mail_speaks_for_all_conversations_of_a_pair_while_it_holds() -> None:
    """T-4: three parts of a series without a time, and one mail."""
    both = [line("09-07 05:00", "unplaceable", one, reason="Nothing is free.", **CAREER_FIELDS) for one in ("c1", "c2")]
    told = mail("09-07 08:00", "unplaceable", M, "c1")
    assert list_broken_rules(*both, told, last="09-07 09:00") == []
    found = session("09-07 05:00", "c1", "booked", "09-22 09:00", key="c1.1")
    assert "T-4" in list_broken_rules(*both, found, told, last="09-07 09:00")


def test_deferred_and_unplaceable_is_told() -> None:
    """T-4, T-10: a deferral may end in a reason instead of a time, not in silence."""
    lost = session("09-08 09:00", "c1", "deferred", count=1, cause="asked")
    told = [
        line("09-08 09:00", "unplaceable", "c1", reason="Nothing is free.", **CAREER_FIELDS),
        mail("09-08 09:00", "unplaceable", M, "c1"),
    ]
    assert list_broken_rules(*BOOKED, lost, *told, last="09-08 10:00") == []
    assert list_broken_rules(*BOOKED, lost, last="09-08 10:00") == ["T-10", "T-4"]


@pytest.mark.parametrize(
    ("kind", "start", "minutes", "expected"),
    [
        ("checkin", "09-15 10:15", 15, ["T-2"]),
        ("checkin", "09-15 09:30", 15, ["T-2"]),
        ("checkin", "09-15 08:45", 15, ["T-2"]),
        ("checkin", "09-15 10:30", 15, []),
        ("career", "09-15 14:00", 75, ["T-2"]),
        ("career", "09-16 09:00", 75, []),
    ],
)
def test_two_pairs_share_a_manager(kind: str, start: str, minutes: int, expected: list[str]) -> None:
    """T-2: no overlap, a quarter of an hour between, one career session a day."""
    name = "r9" if kind == "checkin" else "d1"
    there = of_other_pair(*first_booking("09-07 05:01", name, start, minutes, kind=kind))
    ahead = [] if kind == "career" else of_other_pair(*first_booking("09-07 05:00", "d1", "09-22 09:00"))
    assert list_broken_rules(*BOOKED, *ahead, *there, pairs=(FIRST_PAIR, SECOND_PAIR)) == expected


def test_what_a_human_did_is_not_ours() -> None:
    """T-2, T-11: a hand move onto another session, outside the hours, is respected; what we place then is not."""
    hand = "09-22 06:10"
    ours = of_other_pair(*first_booking("09-07 05:00", "d1", "09-22 09:00"))
    theirs = [
        human("09-07 06:00", "move", "c1", hand, calendar=M),
        session("09-07 06:00", "c1", "booked", hand, cause="moved"),
    ]
    assert list_broken_rules(*BOOKED, *ours, *theirs, pairs=(FIRST_PAIR, SECOND_PAIR)) == []
    late = of_other_pair(*first_booking("09-07 07:00", "d1", "09-22 09:00"))
    assert list_broken_rules(*BOOKED, *theirs, *late, pairs=(FIRST_PAIR, SECOND_PAIR)) == ["T-2", "T-4"]


def test_what_a_person_chose_is_not_ours() -> None:
    chosen = first_booking("09-07 05:00", "c1", "09-19 06:10")
    chosen[0]["reason"] = "A person chose this time."
    assert list_broken_rules(*chosen) == []


@pytest.mark.parametrize(("later", "expected"), [(False, ["T-11"]), (True, [])])
@pytest.mark.parametrize("act", ["book_over", "out_of_office"])
def test_what_stood_where_a_person_put_the_session_is_no_conflict(act: str, later: bool, expected: list[str]) -> None:
    """T-11: it counts only when somebody put something there afterwards."""
    moved = [
        human("09-07 06:00", "move", "c1", "09-15 10:00", calendar=M),
        session("09-07 06:00", "c1", "booked", "09-15 10:00", cause="moved"),
    ]
    taken = [human("09-08 06:00", act, "c1", "09-15 10:00", calendar=M)] if later else []
    readers = (R,) if act == "book_over" else (M, R)  # the manager was warned
    lost = [
        mail("09-08 08:00", "booked_over_warning", M, "c1", "09-15 10:00"),
        session("09-09 09:00", "c1", "deferred", count=1, cause="booked_over" if act == "book_over" else act),
        session("09-09 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-09 09:00", "update", "c1.1", "09-17 09:00"),
        *(mail("09-09 09:00", "deferral_notice", who, "c1", "09-17 09:00", number=1) for who in readers),
    ]
    assert list_broken_rules(*BOOKED, *moved, *taken, *lost) == expected


@pytest.mark.parametrize(
    ("cause", "who", "readers", "expected"),
    [
        ("out_of_office", M, (R,), []),
        ("out_of_office", M, (M, R), ["T-12"]),
        ("out_of_office", R, (M, R), []),
        ("out_of_office", R, (R,), ["T-12"]),
        ("out_of_office", M, (), ["T-12"]),
        ("declined", R, (R,), ["T-12"]),
    ],
)
def test_a_manager_is_told_of_a_move_unless_they_know_of_it(
    cause: str, who: str, readers: Sequence[str], expected: list[str]
) -> None:
    """T-12, R-38: the report in any case."""
    act = human("09-08 09:00", "decline" if cause == "declined" else cause, "c1", "09-15 09:00", calendar=who)
    lost = [
        session("09-08 09:00", "c1", "deferred", count=1, cause=cause, who=who),
        session("09-08 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-08 09:00", "update", "c1.1", "09-17 09:00"),
        *(mail("09-08 09:00", "deferral_notice", reader, "c1", "09-17 09:00", number=1) for reader in readers),
    ]
    assert list_broken_rules(*BOOKED, act, *lost) == expected


@pytest.mark.parametrize(("gap", "expected"), [(2, ["T-11"]), (4, [])])
def test_a_session_that_moved_three_times_in_a_week_is_a_question(gap: int, expected: list[str]) -> None:
    """T-11: what is booked over it then moves it no more; moves that lie further apart are none of it."""
    ledger, start = [*first_booking("09-07 05:00", "c1", "10-01 09:00")], datetime(2026, 9, 8, 9, tzinfo=UTC)
    for count in (1, 2, 3, 4):
        at = f"{start + (count - 1) * gap * timedelta(days=1):%m-%d %H:%M}"
        warned = f"{start + (count - 1) * gap * timedelta(days=1) - timedelta(days=1):%m-%d %H:%M}"
        was, new = f"10-0{count} 09:00" if count < 2 else f"10-{count + 3:02} 09:00", f"10-{count + 4:02} 09:00"
        ledger += [
            mail(warned, "booked_over_warning", M, "c1", was),
            session(at, "c1", "deferred", count=count, cause="booked_over"),
            session(at, "c1", "booked", new, count=count, key="c1.1"),
            event(at, "update", "c1.1", new),
            mail(at, "deferral_notice", M, "c1", new, number=count),
        ]
    assert [rule for rule in list_broken_rules(*ledger) if rule == "T-11"] == expected


BLOCK: Line = {"kind": "commitment", "attendees": [], "due": "2026-09-16"}


def test_a_commitment_takes_no_time_of_a_session() -> None:
    """T-8, T-2: whichever comes second is at fault; a note for the day takes no time."""
    block = event("09-07 05:30", "create", "p1.1", "09-15 09:00", 30, **BLOCK)
    assert list_broken_rules(*BOOKED, block) == ["T-8"]
    first = {**block, "at": stamp("09-07 05:00")}
    assert list_broken_rules(first, *BOOKED) == ["T-2"]
    note = event("09-07 05:30", "create", "p1.1", "09-15 23:00", 1440, **BLOCK)
    assert list_broken_rules(*BOOKED, note) == []
    beside = event("09-07 05:30", "create", "p2.1", "09-15 10:15", 30, **BLOCK)
    assert list_broken_rules(*BOOKED, beside) == []
    again = {**beside, "session": "p3", "key": "p3.1"}
    assert list_broken_rules(*BOOKED, beside, again) == ["T-8"]


@pytest.mark.parametrize("moved_by", ["booked_over", "out_of_office", "holiday"])
def test_the_last_hours_are_quiet(moved_by: str) -> None:
    """T-10: inside the last four hours only a decline or a deletion moves it."""
    after = [
        session("09-15 06:00", "c1", "booked", "09-21 09:00", count=1, key="c1.1"),
        event("09-15 06:00", "update", "c1.1", "09-21 09:00"),
        mail("09-15 06:00", "deferral_notice", M, "c1", "09-21 09:00", number=1),
        mail("09-15 06:00", "deferral_notice", R, "c1", "09-21 09:00", number=1),
    ]
    lost = session("09-15 06:00", "c1", "deferred", count=1, cause=moved_by)
    assert list_broken_rules(*BOOKED, *PREPARED, lost, *after) == ["T-10"]
    declined = {**lost, "cause": "declined"}
    said = human("09-15 06:00", "decline", "c1", "09-15 09:00", calendar=R)
    assert list_broken_rules(*BOOKED, *PREPARED, said, declined, *after) == []
    drifted = {**lost, "state": "owed", "count": 0, "cause": ""}
    assert (
        list_broken_rules(*BOOKED, *PREPARED, drifted, *first_booking("09-15 06:00", "c2", "09-21 09:00"))[0] == "T-10"
    )


@pytest.mark.parametrize(("hours", "expected"), [(24, []), (20, ["T-10"]), (None, ["T-10"])])
def test_booked_over_waits_a_day_after_a_warning(hours: int | None, expected: list[str]) -> None:
    """T-10."""
    warned = datetime(2026, 9, 9, 9, tzinfo=UTC) - timedelta(hours=hours or 0)
    warning = mail(f"{warned:%m-%d %H:%M}", "booked_over_warning", M, "c1", "09-15 09:00")
    lines = [
        *BOOKED,
        *([warning] if hours else []),
        session("09-09 09:00", "c1", "deferred", count=1, cause="booked_over"),
        session("09-09 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-09 09:00", "update", "c1.1", "09-17 09:00"),
        *([] if hours else [mail("09-09 09:00", "deferral_notice", M, "c1", "09-17 09:00", number=1)]),
        mail("09-09 09:00", "deferral_notice", R, "c1", "09-17 09:00", number=1),
    ]
    assert list_broken_rules(*lines) == expected


def test_nothing_moves_without_a_cause() -> None:
    """T-10: another time for a booked session, with no deferral and no human."""
    again = session("09-08 09:00", "c1", "booked", "09-16 09:00", key="c1.1")
    assert list_broken_rules(*BOOKED, again, event("09-08 09:00", "update", "c1.1", "09-16 09:00")) == ["T-10"]


@pytest.mark.parametrize(("minutes", "start", "expected"), [(75, "09-14 09:00", ["R-9"]), (30, "09-15 09:00", [])])
def test_a_move_within_the_rules_is_respected(minutes: int, start: str, expected: list[str]) -> None:
    """R-9, T-11: it may be deferred only when it got too short or too late."""
    lines = [
        human("09-08 09:00", "move", "c1", start, minutes, calendar=M),
        session("09-08 09:00", "c1", "deferred", count=1, cause="moved_out"),
        session("09-08 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-08 09:00", "update", "c1.1", "09-17 09:00"),
        mail("09-08 09:00", "deferral_notice", M, "c1", "09-17 09:00", number=1),
        mail("09-08 09:00", "deferral_notice", R, "c1", "09-17 09:00", number=1),
    ]
    assert list_broken_rules(*BOOKED, *lines) == expected


def test_a_prompt_follows_a_far_move_once_more() -> None:
    """T-5: again when the session moved by more than 14 days after it went out, and only then."""
    far = [
        human("09-11 09:00", "move", "c1", "10-02 09:00", calendar=M),
        session("09-11 09:00", "c1", "booked", "10-02 09:00", cause="moved"),
    ]
    again = mail("09-30 07:00", "reflection_prompt", R, "c1", "10-02 09:00", number=1)
    assert list_broken_rules(*BOOKED, PREPARED[0], *far, again) == []
    assert list_broken_rules(*BOOKED, PREPARED[0], *far, last="09-30 09:00") == ["T-5"]


def test_a_prompt_for_a_late_booking_goes_out_at_once() -> None:
    """T-5: at once with four hours left, later not at all."""
    moved = [
        human("09-14 09:00", "move", "c1", "09-14 15:00", calendar=M),
        session("09-14 09:00", "c1", "booked", "09-14 15:00", cause="moved"),
        mail("09-14 09:00", "brief", M, "c1", "09-14 15:00"),
    ]
    lines = first_booking("09-07 05:00", "c1", "09-24 09:00")
    at_once = mail("09-14 09:00", "reflection_prompt", R, "c1", "09-14 15:00")
    assert list_broken_rules(*lines, *moved, last="09-14 09:30") == ["T-5"]
    assert list_broken_rules(*lines, *moved, at_once) == []
    short = [{**one, "at": stamp("09-14 11:30")} for one in moved]
    assert list_broken_rules(*lines, *short) == []
    assert list_broken_rules(*lines, *short, {**at_once, "at": stamp("09-14 11:30")}) == ["T-5"]


def test_a_resting_pair_is_left_alone() -> None:
    """T-4 holds for active pairs; a pause ends what was booked, with its reason."""
    assert list_broken_rules(pairs=(replace(FIRST_PAIR, paused=True),)) == []
    off = session("09-08 09:00", "c1", "cancelled", reason="The pair is paused.")
    assert (
        list_broken_rules(*BOOKED, off, event("09-08 09:00", "cancel", "c1.1", "09-15 09:00"), last="12-31 00:00") == []
    )
    why = {**off, "reason": "No longer wanted."}
    assert list_broken_rules(*BOOKED, why, last="12-31 00:00") == ["T-4"]


def test_a_review_inside_a_1on1_has_no_event() -> None:
    """T-9: it takes the time of the 1:1, whatever that is."""
    pair = replace(FIRST_PAIR, review=ReviewMode.IN_1ON1)
    inside = session("09-07 06:00", "r1", "booked", "09-15 10:20", 30)
    assert list_broken_rules(*BOOKED, inside, pairs=(pair,)) == []
    assert list_broken_rules(*BOOKED, inside) == ["T-2", "T-4", "T-9"]
    calm = first_booking("09-07 05:00", "c1", "09-22 09:00")
    note = mail("09-15 08:00", "review_note", M, "r1", "09-15 10:20")
    assert list_broken_rules(*calm, inside, note, pairs=(pair,)) == []
    assert list_broken_rules(*calm, inside, last="09-15 08:30", pairs=(pair,)) == ["T-9"]


def test_a_review_has_a_contract_and_lies_a_month_after_it_far_from_career_sessions() -> None:
    """T-9."""
    recorded = [
        human("09-16 08:00", "record_contract", "c1", "09-15 09:00", count=0),
        session("09-16 08:00", "c1", "contracted", "09-15 09:00"),
        *(mail("09-16 08:00", "contract_summary", who, "c1") for who in (M, R)),
    ]
    following = first_booking("09-15 10:15", "c2", "12-15 10:00")

    def broken(at: str, start: str, *told: Line) -> list[str]:
        there = first_booking(at, "r1", start, 25, kind="review")
        return [rule for rule in list_broken_rules(*HELD_AND_ASKED, *following, *told, *there) if rule == "T-9"]

    assert broken("09-16 08:00", "10-16 08:00", *recorded) == []
    assert broken("09-16 08:00", "10-02 08:00", *recorded) == [], "ten working days before"
    assert broken("09-16 08:00", "10-01 08:00", *recorded) == ["T-9"]
    assert broken("09-16 08:00", "12-08 08:00", *recorded) == ["T-9"], "too near to the next session"
    assert broken("09-16 08:00", "10-16 08:00") == ["T-9"], "there is nothing to review"


@pytest.mark.parametrize("name", ["deferral_notice", "booked_over_warning", "unplaceable"])
def test_a_review_moves_without_a_mail(name: str) -> None:
    """T-9."""
    review = first_booking("09-07 05:00", "r1", "10-16 08:00", 25, kind="review")
    told = mail("09-08 08:00", name, M, "r1", "10-16 08:00", number=0)
    assert len(list_broken_rules(*BOOKED, *review, told)) == len(list_broken_rules(*BOOKED, *review)) + 1
    lost = session("09-08 08:00", "r1", "deferred", count=1, cause="asked", kind="review")
    assert "T-9" in list_broken_rules(*BOOKED, *review, lost)
