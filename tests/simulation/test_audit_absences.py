"""What the auditor makes of people who are away, and of mails that are told in another one (T-12, T-13, T-16)."""

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
    pairless,
    session,
    stamp,
)
from worker.domain.model import Format


def away(at: str, who: str, start: str, end: str) -> Line:
    """Somebody enters an absence."""
    told = {"at": stamp(at), "what": "human", "act": "out_of_office", "calendar": who}
    return told | {"start": stamp(start), "end": stamp(end)}


@pytest.mark.parametrize(
    ("last", "start", "expected"),
    [
        ("09-19 00:00", "09-22 09:00", ["T-16"]),  # away until Friday: Monday and Tuesday stay free
        ("09-19 00:00", "09-21 09:00", ["T-16"]),
        ("09-19 00:00", "09-23 09:00", []),
        ("09-18 00:00", "09-22 09:00", []),  # nine days are no long absence
    ],
)
@pytest.mark.parametrize("who", [M, R])
def test_no_session_gets_a_time_on_the_first_days_after_a_long_absence(
    who: str, last: str, start: str, expected: list[str]
) -> None:
    """T-16: of either of the two."""
    gone = away("09-07 04:00", who, "09-05 00:00", last)
    assert list_broken_rules(gone, *first_booking("09-07 05:00", "c1", start)) == expected
    assert list_broken_rules(*first_booking("09-07 05:00", "c1", start), {**gone, "at": stamp("09-07 06:00")}) == [], (
        "nobody knew of it"
    )


def test_a_mail_waits_for_whoever_went_away_before_it_was_due() -> None:
    """T-12, T-16: decided on a Saturday; the manager is away from Monday morning on."""
    lost = [
        human("09-12 08:00", "decline", "c1", "10-15 09:00", calendar=R),
        session("09-12 08:00", "c1", "deferred", count=1, cause="declined"),
        session("09-12 08:00", "c1", "booked", "10-20 09:00", count=1, key="c1.1"),
        event("09-12 08:00", "update", "c1.1", "10-20 09:00"),
        mail("09-14 07:00", "deferral_notice", R, "c1", "10-20 09:00", number=1),
    ]
    lines = [*first_booking("09-07 05:00", "c1", "10-15 09:00"), *lost]
    later = line("09-14 09:00", "warning")
    assert "T-12" in list_broken_rules(*lines, later)
    gone = away("09-13 12:00", M, "09-14 00:00", "09-16 00:00")
    assert "T-12" not in list_broken_rules(*lines[:-1], gone, lines[-1], later)


def test_each_overflow_tells_of_the_days_before_it() -> None:
    """T-16: on the morning of one, a mail may be left to that of the next morning."""
    folded = [
        line(f"11-{day} 09:00", "mail.folded", f"c{day}", message="short_session", to=M, told_in=f"overflow:{day}")
        for day in ("10", "11")
    ]
    overflows = [pairless(f"11-{day} 09:00", "overflow", M) for day in ("11", "12")]
    first, second = folded
    assert "D-5" not in list_broken_rules(*BOOKED, first, second, *overflows)
    assert "D-5" in list_broken_rules(*BOOKED, first, *overflows)


def test_a_part_that_was_deferred_before_follows_the_part_that_got_another_time() -> None:
    """T-13, T-10: it lost no time of its own, however far that is from the one it had."""
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
    moved = human("09-09 09:00", "move", "c1", "10-27 10:00", calendar=M)
    first = session("09-09 09:00", "c1", "booked", "10-27 10:00", topic="now", cause="moved")
    again = [
        session("09-09 09:00", "c2", "owed", topic="direction", count=1),
        session("09-09 09:00", "c2", "booked", "11-05 10:00", topic="direction", count=1, key="c2.1"),
        event("09-09 09:00", "update", "c2.1", "11-05 10:00"),
    ]
    told = list_broken_rules(*parts, *declined, moved, first, *again, pairs=(pair,))
    assert "T-10" not in told and "T-13" not in told
    far = [{**one, "start": stamp("12-16 10:00"), "end": stamp("12-16 11:15")} for one in again]
    assert "T-13" in list_broken_rules(*parts, *declined, moved, first, *far, pairs=(pair,))
