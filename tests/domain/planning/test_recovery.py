"""Sessions that a restored database lacks, as their events show them."""

from dataclasses import replace
from datetime import datetime
from typing import Any

import pytest

from tests.support.companies import DANA, DAY, HOUR, MINUTE, SAM, START, WEEK, pair, person
from worker.domain.model import (
    Answer,
    Event,
    EventRef,
    Format,
    PairId,
    PairState,
    Policy,
    Session,
    SessionKind,
    SessionState,
    Span,
    Topic,
)
from worker.domain.planning.recovery import recover_sessions

PAIR = PairId(DANA, SAM)


def state(*sessions: Session, **fields: Any) -> PairState:
    return PairState(pair=replace(pair(), **fields), manager=person(DANA), report=person(SAM), sessions=sessions)


def event(key: str, start: datetime, minutes: int = 75) -> Event:
    ref = EventRef(calendar=DANA, id=key, etag="1")
    return Event(ref=ref, span=Span(start, start + minutes * MINUTE), key=key, answers={SAM: Answer.ACCEPTED})


def session(name: str, start: datetime | None, **fields: Any) -> Session:
    base = Session(
        id=name, pair=PAIR, kind=SessionKind.CAREER, cycle=3, minutes=75, earliest=START, target=START, latest=START
    )
    booked: dict[str, Any] = {"state": SessionState.BOOKED, "start": start, "end": start + HOUR} if start else {}
    return replace(base, **{**booked, **fields})


def recover(known: PairState, *events: Event) -> list[Session]:
    return recover_sessions(known, events, Policy())


def test_the_next_talk_of_the_rhythm_is_booked_where_its_event_stands() -> None:
    held = session("c1", START - DAY, state=SessionState.HELD, held_at=START)
    (found,) = recover(state(held), event("c2.1", START + 13 * WEEK))
    assert (found.id, found.kind, found.cycle, found.adhoc) == ("c2", SessionKind.CAREER, 4, False)
    assert (found.state, found.start, found.minutes) == (SessionState.BOOKED, START + 13 * WEEK, 75)


def test_a_talk_near_one_of_the_rhythm_was_asked_for() -> None:
    (found,) = recover(state(session("c1", START + 2 * WEEK)), event("c2.1", START + DAY))
    assert (found.adhoc, found.cycle) == (True, 3)


@pytest.mark.parametrize(
    ("key", "minutes", "kind"),
    [("c2.1", 15, SessionKind.CHECKIN), ("r2.1", 25, SessionKind.REVIEW), ("c2.1", 45, SessionKind.CAREER)],
)
def test_the_kind_follows_from_the_id_and_the_length(key: str, minutes: int, kind: SessionKind) -> None:
    (found,) = recover(state(), event(key, START + DAY, minutes))
    assert found.kind is kind


def test_an_event_that_was_created_again_counts_for_its_session() -> None:
    known = session("c1", START + DAY, generation=1, count=1)
    (found,) = recover(state(known), event("c1.2", START + 9 * DAY))
    assert (found.generation, found.start, found.count) == (2, START + 9 * DAY, 1)
    assert recover(state(known), event("c1.1", START + 9 * DAY)) == []
    owed = session("c1", None)
    (placed,) = recover(state(owed), event("c1.1", START + 9 * DAY))
    assert placed.booked


@pytest.mark.parametrize("ended", [SessionState.HELD, SessionState.CONTRACTED, SessionState.CANCELLED])
def test_what_has_ended_does_not_begin_again(ended: SessionState) -> None:
    known = session("c1", START - DAY, state=ended, held_at=START if ended is SessionState.HELD else None)
    assert recover(state(known), event("c1.2", START + DAY)) == []


def test_the_parts_of_a_series_are_told_by_their_order() -> None:
    """T-13."""
    events = [event(f"c{number}.1", START + number * WEEK) for number in (3, 1, 2, 16)]
    found = recover(state(format=Format.SERIES), *events)
    assert [(one.id, one.cycle, one.topic) for one in found] == [
        ("c1", 1, Topic.NOW),
        ("c2", 1, Topic.DIRECTION),
        ("c3", 1, Topic.GAP),
        ("c16", 2, Topic.NOW),
    ]


def test_what_is_no_session_is_left_alone() -> None:
    promise, other = event("p1.1", START + DAY), event("nothing", START + DAY)
    cancelled = replace(event("c9.1", START + DAY), cancelled=True)
    assert recover(state(), promise, other, cancelled) == []
