"""The auditor's rules about absences, overflow mails, and parts that follow a moved part (T-12, T-13, T-16).

M is the manager, in London, and R the report, in Berlin. Instants are in UTC, of September 2026 and later.
"""

from dataclasses import replace

import pytest

from tests.support.audit.ledgers import (
    BOOKED,
    FIRST_PAIR,
    Line,
    M,
    R,
    event,
    first_booking,
    human,
    line,
    list_broken_rules,
    mail,
    personal_mail,
    session,
    stamp,
)
from worker.domain.model import Format


def make_absence(at: str, email: str, start: str, end: str) -> Line:
    """Return a line in which a person enters an absence."""
    absence = {"at": stamp(at), "what": "human", "act": "out_of_office", "calendar": email}
    return absence | {"start": stamp(start), "end": stamp(end)}


@pytest.mark.parametrize(
    ("absence_end", "start", "expected"),
    [
        # away for ten working days, until Friday, 18 September: Monday and Tuesday stay free
        ("09-19 00:00", "09-22 09:00", ["T-16"]),
        ("09-19 00:00", "09-21 09:00", ["T-16"]),
        ("09-19 00:00", "09-23 09:00", []),
        ("09-18 00:00", "09-22 09:00", []),  # away for nine working days: ten make a long absence
    ],
)
@pytest.mark.parametrize("email", [M, R])
def test_no_session_is_booked_on_the_first_days_after_a_long_absence(
    email: str, absence_end: str, start: str, expected: list[str]
) -> None:
    """T-16: two working days stay free after an absence of ten working days, of the manager or of the report."""
    absence = make_absence("09-07 04:00", email, "09-05 00:00", absence_end)
    assert list_broken_rules(absence, *first_booking("09-07 05:00", "c1", start)) == expected
    assert (
        list_broken_rules(*first_booking("09-07 05:00", "c1", start), {**absence, "at": stamp("09-07 06:00")}) == []
    ), "an absence that is entered after the booking breaks a rule"


def test_mail_waits_while_its_reader_is_absent() -> None:
    """T-12: both are told of a deferral. T-16: no mail comes while its reader is out of office.

    The session is deferred on a Saturday, and the manager is away from Monday morning on. The report alone is told.
    """
    deferral = [
        human("09-12 08:00", "decline", "c1", "10-15 09:00", calendar=R),
        session("09-12 08:00", "c1", "deferred", count=1, cause="declined"),
        session("09-12 08:00", "c1", "booked", "10-20 09:00", count=1, key="c1.1"),
        event("09-12 08:00", "update", "c1.1", "10-20 09:00"),
    ]
    lines = [*first_booking("09-07 05:00", "c1", "10-15 09:00"), *deferral]
    notice_to_report = mail("09-14 07:00", "deferral_notice", R, "c1", "10-20 09:00", number=1)
    monday_morning = "09-14 09:00"
    assert "T-12" in list_broken_rules(*lines, notice_to_report, last_line_at=monday_morning)
    absence = make_absence("09-13 12:00", M, "09-14 00:00", "09-16 00:00")
    assert "T-12" not in list_broken_rules(*lines, absence, notice_to_report, last_line_at=monday_morning)


def test_each_overflow_mail_needs_a_mail_folded_on_the_day_before() -> None:
    """T-16: a mail that is folded on the morning of an overflow mail goes into the one of the next morning.

    D-5: an overflow mail without a folded mail tells something that is not true.
    """
    folded_mails = [  # `told_in` is the key of the overflow mail, which the auditor does not read
        line(f"11-{day} 09:00", "mail.folded", f"c{day}", message="short_session", to=M, told_in=f"overflow:{day}")
        for day in ("10", "11")
    ]
    overflows = [personal_mail(f"11-{day} 09:00", "overflow", M) for day in ("11", "12")]
    first, second = folded_mails
    assert "D-5" not in list_broken_rules(*BOOKED, first, second, *overflows)
    assert "D-5" in list_broken_rules(*BOOKED, first, *overflows)


def test_deferred_part_follows_an_earlier_part_that_moves() -> None:
    """T-13: a part of a series comes five to ten working days after the part before it.

    When that part moves, it follows, however far that is: T-10, which limits how far a deferred session moves, does not
    hold for it, even if it was deferred before.
    """
    pair = replace(FIRST_PAIR, format=Format.SERIES)
    parts = [
        *first_booking("09-07 05:00", "c1", "09-15 09:00", topic="now"),
        *first_booking("09-07 05:00", "c2", "09-23 09:00", topic="direction"),
    ]
    declined = [
        human("09-08 09:00", "decline", "c2", "09-23 09:00", calendar=R),
        session("09-08 09:00", "c2", "deferred", topic="direction", count=1, cause="declined"),
        session("09-08 09:00", "c2", "booked", "09-24 09:00", topic="direction", count=1, key="c2.1"),
        event("09-08 09:00", "update", "c2.1", "09-24 09:00"),
    ]
    hand_move = human("09-09 09:00", "move", "c1", "10-27 10:00", calendar=M)
    moved_first_part = session("09-09 09:00", "c1", "booked", "10-27 10:00", topic="now", cause="moved")
    moved_second_part = [
        session("09-09 09:00", "c2", "owed", topic="direction", count=1),
        session("09-09 09:00", "c2", "booked", "11-05 10:00", topic="direction", count=1, key="c2.1"),
        event("09-09 09:00", "update", "c2.1", "11-05 10:00"),
    ]
    broken_rules = list_broken_rules(*parts, *declined, hand_move, moved_first_part, *moved_second_part, pairs=(pair,))
    assert "T-10" not in broken_rules and "T-13" not in broken_rules
    second_part_too_far = [  # seven weeks after the first part
        {**part_line, "start": stamp("12-16 10:00"), "end": stamp("12-16 11:15")} for part_line in moved_second_part
    ]
    assert "T-13" in list_broken_rules(
        *parts, *declined, hand_move, moved_first_part, *second_part_too_far, pairs=(pair,)
    )
