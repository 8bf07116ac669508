"""The counts that `longarc simulate` prints: those of the good quarter (`make_good_quarter`) and of further lines.

In the good quarter, one pair holds two career sessions, c1 with a contract and c2 without one, and the review r1.
"""

from typing import Any

from tests.support.audit.ledgers import human, make_good_quarter, session
from worker.simulation.summary import MAX_NAMED_SESSIONS, Summary


def make_rows(*lines: dict[str, Any]) -> dict[str, str]:
    """Return the rows of the summary of the good quarter with these lines added: by name, the figures."""
    summary = Summary()
    for line in sorted([*make_good_quarter(), *lines], key=lambda line: str(line["at"])):
        summary.add_line({"topic": "all", **line})
    return dict(summary.list_rows(pair_count=1))


def test_held_conversations_are_counted() -> None:
    rows = make_rows()
    assert rows["Pairs that met"] == "1 of 1"
    assert rows["Conversations held"] == "2"  # a review is no conversation
    assert rows["Closed with a contract"] == "1, 1 of them within 48 hours"
    assert rows["Left unfinished"] == "1"
    assert rows["Deferrals"] == "1: 1 declined"


def test_session_held_twice_counts_once_and_session_not_held_does_not_count() -> None:
    """R-8: a session that is reported as not held, booked again and held counts once."""
    second_time = [
        session("09-17 12:00", "c1", "deferred", count=2, cause="not_held"),
        session("09-17 12:00", "c1", "booked", "09-18 09:00", count=2),
        session("09-18 10:15", "c1", "held", "09-18 09:00", count=2),
    ]
    assert make_rows(*second_time)["Conversations held"] == "2"
    assert make_rows(*second_time[:2])["Conversations held"] == "2"  # the contract shows that the session was held
    not_held = session("12-30 09:00", "c2", "deferred", count=1, cause="not_held")
    assert make_rows(not_held)["Conversations held"] == "1"
    assert make_rows(not_held)["Left unfinished"] == "0"


def test_series_counts_once_and_ad_hoc_sessions_are_counted_separately() -> None:
    """R-4, T-13: the three parts of a series are one conversation. R-6, T-14: ad hoc sessions come on request."""
    topics = ("now", "direction", "gap")
    series = [
        session(f"10-{number}2 09:15", f"a{number}", "held", f"10-{number}2 08:00", topic=topic)
        for number, topic in enumerate(topics)
    ]
    assert make_rows(*series)["Conversations held"] == "3"  # with c1 and c2
    assert make_rows(*series[:2])["Conversations held"] == "2"  # the series is not complete
    request = human("11-01 08:00", "talk", "c9")
    assert make_rows(request, session("11-05 10:15", "c9", "held", "11-05 09:00"))["Conversations held"] == (
        "2, and 1 that somebody asked for"
    )


def test_sessions_without_a_time_are_listed_with_their_days() -> None:
    """R-8: the row names sessions without a time for more than a day, and those without a time at the end."""
    lines = [
        session("10-01 08:00", "c7", "deferred", count=1, cause="declined"),
        session("10-03 09:00", "c7", "booked", "10-20 08:00", count=1),
        session("10-05 08:00", "c7", "deferred", count=2, cause="deleted"),
        session("10-06 07:00", "c7", "booked", "10-20 08:00", count=2),
        session("12-14 10:00", "c8", "owed"),
    ]
    # the last line of the quarter is of 24 December, 10:00; c7 was without a time for two days and for one
    assert make_rows(*lines)["Without a time"] == "2: c8 for 10 days, c7 for 3 days"
    assert make_rows()["Without a time"] == "0"
    owed_sessions = [session("12-23 09:00", f"c1{number:02}", "owed") for number in range(MAX_NAMED_SESSIONS + 2)]
    assert make_rows(*owed_sessions)["Without a time"].endswith(" for 1 day and 2 more")
