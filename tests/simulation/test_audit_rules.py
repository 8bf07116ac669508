"""The auditor's rules on short ledgers, for cases that the quarter of `test_audit` does not contain.

The manager M in London has the reports R in Berlin (the first pair) and R2 (the second). `BOOKED` holds the lines by
which c1, the first session of the first pair, gets the time from 09:00 to 10:15 UTC on Tuesday, 15 September.
"""

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
        # a reason and no mail
        ([line("09-07 05:00", "unplaceable", "c1", reason="Nothing is free.", **CAREER_FIELDS)], ["T-4"]),
        # a mail about a session of which the ledger tells nothing
        ([mail("09-07 08:00", "unplaceable", M, "c1")], ["D-8", "T-4"]),
        (
            [
                line("09-07 05:00", "unplaceable", "c1", reason="Nothing is free.", **CAREER_FIELDS),
                mail("09-07 08:00", "unplaceable", M, "c1"),
            ],
            [],
        ),
        (
            [  # a mail and no reason
                line("09-07 05:00", "unplaceable", "c1", **CAREER_FIELDS),
                mail("09-07 08:00", "unplaceable", M, "c1"),
            ],
            ["T-4"],
        ),
        ([*BOOKED, mail("09-07 08:00", "unplaceable", M, "c1")], ["T-4"]),  # a mail about a booked session
    ],
)
def test_pair_without_a_session_gets_a_mail_with_the_reason(lines: list[Line], expected: list[str]) -> None:
    """T-4: a session without a time has a reason and a mail about it, and such a mail is sent for no other session."""
    assert list_broken_rules(*lines, last_line_at="09-07 09:00") == expected


def test_one_mail_covers_all_unplaceable_sessions_of_a_pair() -> None:
    """T-4: one mail is enough for two parts of a series without a time, until one of them gets a time."""
    unplaceable_sessions = [
        line("09-07 05:00", "unplaceable", session_id, reason="Nothing is free.", **CAREER_FIELDS)
        for session_id in ("c1", "c2")
    ]
    unplaceable_mail = mail("09-07 08:00", "unplaceable", M, "c1")
    assert list_broken_rules(*unplaceable_sessions, unplaceable_mail, last_line_at="09-07 09:00") == []
    booked_session = session("09-07 05:00", "c1", "booked", "09-22 09:00", key="c1.1")
    assert "T-4" in list_broken_rules(
        *unplaceable_sessions, booked_session, unplaceable_mail, last_line_at="09-07 09:00"
    )


def test_deferred_session_may_be_unplaceable_with_a_reason_and_a_mail() -> None:
    """T-4, T-10: a deferred session gets a new time, or it is unplaceable with a reason and a mail."""
    deferred_session = session("09-08 09:00", "c1", "deferred", count=1, cause="asked")
    unplaceable_lines = [
        line("09-08 09:00", "unplaceable", "c1", reason="Nothing is free.", **CAREER_FIELDS),
        mail("09-08 09:00", "unplaceable", M, "c1"),
    ]
    assert list_broken_rules(*BOOKED, deferred_session, *unplaceable_lines, last_line_at="09-08 10:00") == []
    assert list_broken_rules(*BOOKED, deferred_session, last_line_at="09-08 10:00") == ["T-10", "T-4"]


@pytest.mark.parametrize(
    ("kind", "start", "minutes", "expected"),
    [
        ("checkin", "09-15 10:15", 15, ["T-2"]),  # right after c1 of the other pair
        ("checkin", "09-15 09:30", 15, ["T-2"]),  # during it
        ("checkin", "09-15 08:45", 15, ["T-2"]),  # right before it
        ("checkin", "09-15 10:30", 15, []),
        ("career", "09-15 14:00", 75, ["T-2"]),  # on the day of c1
        ("career", "09-16 09:00", 75, []),
    ],
)
def test_sessions_of_two_pairs_of_a_manager_keep_their_distance(
    kind: str, start: str, minutes: int, expected: list[str]
) -> None:
    """T-2: sessions of one manager are a quarter of an hour apart, with at most one career session a day."""
    session_id = "r9" if kind == "checkin" else "d1"
    tested_booking = of_other_pair(*first_booking("09-07 05:01", session_id, start, minutes, kind=kind))
    # a check-in alone would leave the second pair without a career session ahead (T-4)
    future_booking = [] if kind == "career" else of_other_pair(*first_booking("09-07 05:00", "d1", "09-22 09:00"))
    assert list_broken_rules(*BOOKED, *future_booking, *tested_booking, pairs=(FIRST_PAIR, SECOND_PAIR)) == expected


def test_hand_move_breaks_no_rule_of_booking() -> None:
    """T-2, T-11: people may move a session onto another one and outside the hours. Longarc may not book over it."""
    moved_start = "09-22 06:10"
    other_booking = of_other_pair(*first_booking("09-07 05:00", "d1", "09-22 09:00"))
    hand_move = [
        human("09-07 06:00", "move", "c1", moved_start, calendar=M),
        session("09-07 06:00", "c1", "booked", moved_start, cause="moved"),
    ]
    assert list_broken_rules(*BOOKED, *other_booking, *hand_move, pairs=(FIRST_PAIR, SECOND_PAIR)) == []
    later_booking = of_other_pair(*first_booking("09-07 07:00", "d1", "09-22 09:00"))
    # T-4: until this booking, the second pair has no session
    assert list_broken_rules(*BOOKED, *hand_move, *later_booking, pairs=(FIRST_PAIR, SECOND_PAIR)) == ["T-2", "T-4"]


def test_time_that_a_person_chose_breaks_no_rule_of_booking() -> None:
    """T-2: the reason in the ledger shows that a person chose a Saturday, off the quarter-hour."""
    booked_line, event_line = first_booking("09-07 05:00", "c1", "09-19 06:10")
    chosen_line = {**booked_line, "reason": "A person chose this time."}
    assert list_broken_rules(chosen_line, event_line) == []


@pytest.mark.parametrize(("is_created_later", "expected"), [(False, ["T-11"]), (True, [])])
@pytest.mark.parametrize("action", ["book_over", "out_of_office"])
def test_event_that_a_person_moved_the_session_onto_is_no_conflict(
    action: str, is_created_later: bool, expected: list[str]
) -> None:
    """T-11: an event is a conflict only when it was created after a person moved the session to that time."""
    hand_move = [
        human("09-07 06:00", "move", "c1", "09-15 10:00", calendar=M),
        session("09-07 06:00", "c1", "booked", "09-15 10:00", cause="moved"),
    ]
    conflict = [human("09-08 06:00", action, "c1", "09-15 10:00", calendar=M)] if is_created_later else []
    readers = (R,) if action == "book_over" else (M, R)  # the manager already got the warning
    deferral = [
        mail("09-08 08:00", "booked_over_warning", M, "c1", "09-15 10:00"),
        session("09-09 09:00", "c1", "deferred", count=1, cause="booked_over" if action == "book_over" else action),
        session("09-09 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-09 09:00", "update", "c1.1", "09-17 09:00"),
        *(mail("09-09 09:00", "deferral_notice", reader, "c1", "09-17 09:00", number=1) for reader in readers),
    ]
    assert list_broken_rules(*BOOKED, *hand_move, *conflict, *deferral) == expected


@pytest.mark.parametrize(
    ("cause", "actor", "readers", "expected"),
    [
        ("out_of_office", M, (R,), []),
        ("out_of_office", M, (M, R), ["T-12"]),
        ("out_of_office", R, (M, R), []),
        ("out_of_office", R, (R,), ["T-12"]),
        ("out_of_office", M, (), ["T-12"]),
        ("declined", R, (R,), ["T-12"]),
    ],
)
def test_manager_gets_a_deferral_notice_unless_they_caused_the_move(
    cause: str, actor: str, readers: Sequence[str], expected: list[str]
) -> None:
    """T-12, R-38: a notice tells of a deferral. The report gets it in every case."""
    action = human("09-08 09:00", "decline" if cause == "declined" else cause, "c1", "09-15 09:00", calendar=actor)
    deferral = [
        session("09-08 09:00", "c1", "deferred", count=1, cause=cause, who=actor),
        session("09-08 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-08 09:00", "update", "c1.1", "09-17 09:00"),
        *(mail("09-08 09:00", "deferral_notice", reader, "c1", "09-17 09:00", number=1) for reader in readers),
    ]
    assert list_broken_rules(*BOOKED, action, *deferral) == expected


@pytest.mark.parametrize(("days_between", "expected"), [(2, ["T-11"]), (4, [])])
def test_session_is_not_moved_a_fourth_time_within_seven_days(days_between: int, expected: list[str]) -> None:
    """T-11: a fourth automatic move within seven days is a fault. Moves that are further apart are not."""
    first_move_at = datetime(2026, 9, 8, 9, tzinfo=UTC)
    old_start = "10-01 09:00"
    ledger = first_booking("09-07 05:00", "c1", old_start)
    for count in (1, 2, 3, 4):
        moved_at = first_move_at + timedelta(days=(count - 1) * days_between)
        at, warned_at = f"{moved_at:%m-%d %H:%M}", f"{moved_at - timedelta(days=1):%m-%d %H:%M}"
        new_start = f"10-{count + 4:02} 09:00"
        ledger += [
            mail(warned_at, "booked_over_warning", M, "c1", old_start),
            session(at, "c1", "deferred", count=count, cause="booked_over"),
            session(at, "c1", "booked", new_start, count=count, key="c1.1"),
            event(at, "update", "c1.1", new_start),
            mail(at, "deferral_notice", M, "c1", new_start, number=count),
        ]
        old_start = new_start
    assert [rule for rule in list_broken_rules(*ledger) if rule == "T-11"] == expected


#: Fields of the event for a commitment of the manager.
BLOCK_FIELDS: Line = {"kind": "commitment", "attendees": [], "due": "2026-09-16"}


def test_block_for_a_commitment_does_not_overlap_a_session() -> None:
    """T-8, T-2: of a block and a session at one time, the later one is at fault. An all-day block takes no time."""
    block = event("09-07 05:30", "create", "p1.1", "09-15 09:00", 30, **BLOCK_FIELDS)
    assert list_broken_rules(*BOOKED, block) == ["T-8"]
    earlier_block = {**block, "at": stamp("09-07 05:00")}
    assert list_broken_rules(earlier_block, *BOOKED) == ["T-2"]
    all_day_block = event("09-07 05:30", "create", "p1.1", "09-15 23:00", 1440, **BLOCK_FIELDS)
    assert list_broken_rules(*BOOKED, all_day_block) == []
    adjacent_block = event("09-07 05:30", "create", "p2.1", "09-15 10:15", 30, **BLOCK_FIELDS)
    assert list_broken_rules(*BOOKED, adjacent_block) == []
    second_block = {**adjacent_block, "session": "p3", "key": "p3.1"}
    assert list_broken_rules(*BOOKED, adjacent_block, second_block) == ["T-8"]


@pytest.mark.parametrize("cause", ["booked_over", "out_of_office", "holiday"])
def test_only_a_decline_or_a_deletion_moves_a_session_in_its_last_four_hours(cause: str) -> None:
    """T-10: within four hours of its start, only a decline or a deletion moves a session."""
    notices = [mail("09-15 06:00", "deferral_notice", reader, "c1", "09-21 09:00", number=1) for reader in (M, R)]
    new_booking = [  # three hours before the session
        session("09-15 06:00", "c1", "booked", "09-21 09:00", count=1, key="c1.1"),
        event("09-15 06:00", "update", "c1.1", "09-21 09:00"),
        *notices,
    ]
    deferral = session("09-15 06:00", "c1", "deferred", count=1, cause=cause)
    assert list_broken_rules(*BOOKED, *PREPARED, deferral, *new_booking) == ["T-10"]
    declined_deferral = {**deferral, "cause": "declined"}
    decline = human("09-15 06:00", "decline", "c1", "09-15 09:00", calendar=R)
    assert list_broken_rules(*BOOKED, *PREPARED, decline, declined_deferral, *new_booking) == []
    deferral_by_deletion = {**deferral, "cause": "deleted"}
    deletion = human("09-15 06:00", "delete", "c1", "09-15 09:00", calendar=M)
    booking_after_deletion = [  # a deleted event is created again, with the key of the next generation
        session("09-15 06:00", "c1", "booked", "09-21 09:00", count=1, key="c1.2"),
        event("09-15 06:00", "create", "c1.2", "09-21 09:00"),
        *notices,
    ]
    assert list_broken_rules(*BOOKED, *PREPARED, deletion, deferral_by_deletion, *booking_after_deletion) == []
    assert list_broken_rules(*BOOKED, *PREPARED, decline, deferral_by_deletion, *booking_after_deletion) == ["T-10"]
    session_without_time = {**deferral, "state": "owed", "count": 0, "cause": ""}
    other_booking = first_booking("09-15 06:00", "c2", "09-21 09:00")
    first_broken_rule, *_ = list_broken_rules(*BOOKED, *PREPARED, session_without_time, *other_booking)
    assert first_broken_rule == "T-10"


@pytest.mark.parametrize(("hours_of_warning", "expected"), [(24, []), (20, ["T-10"]), (None, ["T-10"])])
def test_session_that_is_booked_over_moves_a_day_after_the_warning(
    hours_of_warning: int | None, expected: list[str]
) -> None:
    """T-10: it moves when the manager was warned at least a day before. Without a warning, both get the notice."""
    warned_at = datetime(2026, 9, 9, 9, tzinfo=UTC) - timedelta(hours=hours_of_warning or 0)
    warning = mail(f"{warned_at:%m-%d %H:%M}", "booked_over_warning", M, "c1", "09-15 09:00")
    lines = [
        *BOOKED,
        *([warning] if hours_of_warning else []),
        session("09-09 09:00", "c1", "deferred", count=1, cause="booked_over"),
        session("09-09 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-09 09:00", "update", "c1.1", "09-17 09:00"),
        *([] if hours_of_warning else [mail("09-09 09:00", "deferral_notice", M, "c1", "09-17 09:00", number=1)]),
        mail("09-09 09:00", "deferral_notice", R, "c1", "09-17 09:00", number=1),
    ]
    assert list_broken_rules(*lines) == expected


def test_booked_session_does_not_move_without_a_cause() -> None:
    """T-10: the session gets another time without a deferral and without an action of a person."""
    second_booking = session("09-08 09:00", "c1", "booked", "09-16 09:00", key="c1.1")
    assert list_broken_rules(*BOOKED, second_booking, event("09-08 09:00", "update", "c1.1", "09-16 09:00")) == ["T-10"]


@pytest.mark.parametrize(
    ("minutes", "start", "expected"),
    [(75, "09-14 09:00", ["R-9"]), (30, "09-15 09:00", [])],  # moved within the rules, and made too short
)
def test_hand_move_within_the_rules_is_not_undone(minutes: int, start: str, expected: list[str]) -> None:
    """R-9, T-11: a session that a person moved is deferred only when it became too short or too late."""
    lines = [
        human("09-08 09:00", "move", "c1", start, minutes, calendar=M),
        session("09-08 09:00", "c1", "deferred", count=1, cause="moved_out"),
        session("09-08 09:00", "c1", "booked", "09-17 09:00", count=1, key="c1.1"),
        event("09-08 09:00", "update", "c1.1", "09-17 09:00"),
        mail("09-08 09:00", "deferral_notice", M, "c1", "09-17 09:00", number=1),
        mail("09-08 09:00", "deferral_notice", R, "c1", "09-17 09:00", number=1),
    ]
    assert list_broken_rules(*BOOKED, *lines) == expected


def test_second_prompt_follows_a_move_by_more_than_14_days() -> None:
    """T-5: a second prompt goes out when the session moved by more than 14 days after the first prompt."""
    far_move = [
        human("09-11 09:00", "move", "c1", "10-02 09:00", calendar=M),
        session("09-11 09:00", "c1", "booked", "10-02 09:00", cause="moved"),
    ]
    second_prompt = mail("09-30 07:00", "reflection_prompt", R, "c1", "10-02 09:00", number=1)
    first_prompt, _ = PREPARED
    assert list_broken_rules(*BOOKED, first_prompt, *far_move, second_prompt) == []
    assert list_broken_rules(*BOOKED, first_prompt, *far_move, last_line_at="09-30 09:00") == ["T-5"]


def test_prompt_for_a_move_to_the_same_day_goes_out_at_once() -> None:
    """T-5: a prompt goes out at once when at least four hours are left, and otherwise not at all."""
    hand_move = [
        human("09-14 09:00", "move", "c1", "09-14 15:00", calendar=M),
        session("09-14 09:00", "c1", "booked", "09-14 15:00", cause="moved"),
        mail("09-14 09:00", "brief", M, "c1", "09-14 15:00"),
    ]
    lines = first_booking("09-07 05:00", "c1", "09-24 09:00")
    prompt = mail("09-14 09:00", "reflection_prompt", R, "c1", "09-14 15:00")
    assert list_broken_rules(*lines, *hand_move, last_line_at="09-14 09:30") == ["T-5"]
    assert list_broken_rules(*lines, *hand_move, prompt) == []
    # three and a half hours before the session
    late_move = [{**line_of_move, "at": stamp("09-14 11:30")} for line_of_move in hand_move]
    assert list_broken_rules(*lines, *late_move) == []
    assert list_broken_rules(*lines, *late_move, {**prompt, "at": stamp("09-14 11:30")}) == ["T-5"]


def test_paused_pair_needs_no_session() -> None:
    """T-4 applies to active pairs. A pause cancels the booked session, with the pause as its reason."""
    assert list_broken_rules(pairs=(replace(FIRST_PAIR, paused=True),)) == []
    cancelled_session = session("09-08 09:00", "c1", "cancelled", reason="The pair is paused.")
    assert (
        list_broken_rules(
            *BOOKED,
            cancelled_session,
            event("09-08 09:00", "cancel", "c1.1", "09-15 09:00"),
            last_line_at="12-31 00:00",
        )
        == []
    )
    cancelled_without_pause = {**cancelled_session, "reason": "No longer wanted."}
    assert list_broken_rules(*BOOKED, cancelled_without_pause, last_line_at="12-31 00:00") == ["T-4"]


def test_review_inside_a_1on1_has_no_event() -> None:
    """T-9: such a review takes place at the time of the 1:1, and no rule about times applies to it."""
    pair = replace(FIRST_PAIR, review=ReviewMode.IN_1ON1)
    review = session("09-07 06:00", "r1", "booked", "09-15 10:20", 30)
    assert list_broken_rules(*BOOKED, review, pairs=(pair,)) == []
    # outside a 1:1, such a review is too close to c1 (T-2), has no event (T-4) and no contract (T-9)
    assert list_broken_rules(*BOOKED, review) == ["T-2", "T-4", "T-9"]
    career_booking = first_booking("09-07 05:00", "c1", "09-22 09:00")
    review_note = mail("09-15 08:00", "review_note", M, "r1", "09-15 10:20")
    assert list_broken_rules(*career_booking, review, review_note, pairs=(pair,)) == []
    assert list_broken_rules(*career_booking, review, last_line_at="09-15 08:30", pairs=(pair,)) == ["T-9"]


def test_review_needs_a_contract_and_keeps_its_distance_from_career_sessions() -> None:
    """T-9: a review is near the monthly day of its contract, and at least ten working days from career sessions."""
    contract_lines = [
        human("09-16 08:00", "record_contract", "c1", "09-15 09:00", count=0),
        session("09-16 08:00", "c1", "contracted", "09-15 09:00"),
        *(mail("09-16 08:00", "contract_summary", reader, "c1") for reader in (M, R)),
    ]
    next_booking = first_booking("09-15 10:15", "c2", "12-15 10:00")

    def list_broken_review_rules(at: str, start: str, *more_lines: Line) -> list[str]:
        review_booking = first_booking(at, "r1", start, 25, kind="review")
        return [
            rule
            for rule in list_broken_rules(*HELD_AND_ASKED, *next_booking, *more_lines, *review_booking)
            if rule == "T-9"
        ]

    assert list_broken_review_rules("09-16 08:00", "10-16 08:00", *contract_lines) == []
    # the first day of the window, ten working days before the target
    assert list_broken_review_rules("09-16 08:00", "10-02 08:00", *contract_lines) == []
    assert list_broken_review_rules("09-16 08:00", "10-01 08:00", *contract_lines) == ["T-9"]
    assert list_broken_review_rules("09-16 08:00", "12-08 08:00", *contract_lines) == ["T-9"], (
        "a review too close to the next session is no fault"
    )
    assert list_broken_review_rules("09-16 08:00", "10-16 08:00") == ["T-9"], "a review without a contract is no fault"


@pytest.mark.parametrize("mail_name", ["deferral_notice", "booked_over_warning", "unplaceable"])
def test_move_of_a_review_sends_no_mail(mail_name: str) -> None:
    """T-9: a review only moves. It is not deferred, and nobody gets a mail about its time."""
    review_booking = first_booking("09-07 05:00", "r1", "10-16 08:00", 25, kind="review")
    mail_about_review = mail("09-08 08:00", mail_name, M, "r1", "10-16 08:00", number=0)
    rule_count_before = len(list_broken_rules(*BOOKED, *review_booking))
    assert len(list_broken_rules(*BOOKED, *review_booking, mail_about_review)) == rule_count_before + 1
    deferred_review = session("09-08 08:00", "r1", "deferred", count=1, cause="asked", kind="review")
    assert "T-9" in list_broken_rules(*BOOKED, *review_booking, deferred_review)
