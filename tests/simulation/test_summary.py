"""What `longarc simulate` prints says what a reader takes it to mean."""

from typing import Any

from tests.support.audit.ledgers import human, quarter, session
from worker.simulation.summary import MAX_NAMED_SESSIONS, Summary


def rows(*more: dict[str, Any]) -> dict[str, str]:
    """The printed rows of the good quarter and these lines, by name."""
    summary = Summary()
    for line in sorted([*quarter(), *more], key=lambda one: str(one["at"])):
        summary.add_line({"topic": "all", **line})
    return dict(summary.list_rows(1))


def test_conversations_are_counted_when_they_were_held() -> None:
    told = rows()
    assert told["Pairs that met"] == "1 of 1"
    assert told["Conversations held"] == "2"  # the review is none
    assert told["Closed with a contract"] == "1, 1 of them within 48 hours"
    assert told["Left unfinished"] == "1"
    assert told["Deferrals"] == "1: 1 declined"


def test_a_session_held_twice_counts_once_and_one_not_held_never() -> None:
    """R-8: said not held, booked again, held."""
    again = [
        session("09-17 12:00", "c1", "deferred", count=2, cause="not_held"),
        session("09-17 12:00", "c1", "booked", "09-18 09:00", count=2),
        session("09-18 10:15", "c1", "held", "09-18 09:00", count=2),
    ]
    assert rows(*again)["Conversations held"] == "2"
    assert rows(*again[:2])["Conversations held"] == "2"  # the contract says that it was held
    last = session("12-30 09:00", "c2", "deferred", count=1, cause="not_held")
    assert rows(last)["Conversations held"] == "1"
    assert rows(last)["Left unfinished"] == "0"


def test_a_series_is_one_conversation_and_a_talk_somebody_asked_for_is_told_apart() -> None:
    """R-4, R-6, T-13, T-14."""
    topics = ("now", "direction", "gap")
    series = [
        session(f"10-{n}2 09:15", f"a{n}", "held", f"10-{n}2 08:00", topic=topic) for n, topic in enumerate(topics)
    ]
    assert rows(*series)["Conversations held"] == "3"
    assert rows(*series[:2])["Conversations held"] == "2"
    talk = human("11-01 08:00", "talk", "c9")
    assert rows(talk, session("11-05 10:15", "c9", "held", "11-05 09:00"))["Conversations held"] == (
        "2, and 1 that somebody asked for"
    )


def test_sessions_without_a_time_are_named_with_their_days() -> None:
    """R-8: those that had none for a day and more, and those that have none at the end."""
    lines = [
        session("10-01 08:00", "c7", "deferred", count=1, cause="declined"),
        session("10-03 09:00", "c7", "booked", "10-20 08:00", count=1),
        session("10-05 08:00", "c7", "deferred", count=2, cause="deleted"),
        session("10-06 07:00", "c7", "booked", "10-20 08:00", count=2),
        session("12-14 10:00", "c8", "owed"),
    ]
    assert rows(*lines)["Without a time"] == "2: c8 for 10 days, c7 for 3 days"
    assert rows()["Without a time"] == "0"
    many = [session("12-23 09:00", f"c1{n:02}", "owed") for n in range(MAX_NAMED_SESSIONS + 2)]
    assert rows(*many)["Without a time"].endswith(" for 1 day and 2 more")
