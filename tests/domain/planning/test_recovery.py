"""Recovery of sessions that a restored database lacks, from their events.

An event has the key of its session: the id, which begins with c for career sessions and check-ins, with r for reviews
and with p for commitments, and the generation.
"""

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


def make_state(*sessions: Session, **fields: Any) -> PairState:
    return PairState(pair=replace(pair(), **fields), manager=person(DANA), report=person(SAM), sessions=sessions)


def make_event(key: str, start: datetime, minutes: int = 75) -> Event:
    ref = EventRef(calendar=DANA, id=key, etag="1")
    return Event(ref=ref, span=Span(start, start + minutes * MINUTE), key=key, answers={SAM: Answer.ACCEPTED})


def make_session(name: str, start: datetime | None, **fields: Any) -> Session:
    """Return a session that is booked at `start`, or owed without it."""
    base = Session(
        id=name, pair=PAIR, kind=SessionKind.CAREER, cycle=3, minutes=75, earliest=START, target=START, latest=START
    )
    booked_fields: dict[str, Any] = {"state": SessionState.BOOKED, "start": start, "end": start + HOUR} if start else {}
    return replace(base, **{**booked_fields, **fields})


def recover(state: PairState, *events: Event) -> list[Session]:
    return recover_sessions(state, events, Policy())


def test_regular_session_is_recovered_at_the_time_of_its_event() -> None:
    held_session = make_session("c1", START - DAY, state=SessionState.HELD, held_at=START)
    (recovered,) = recover(make_state(held_session), make_event("c2.1", START + 13 * WEEK))
    assert (recovered.id, recovered.kind, recovered.cycle, recovered.adhoc) == ("c2", SessionKind.CAREER, 4, False)
    assert (recovered.state, recovered.start, recovered.minutes) == (SessionState.BOOKED, START + 13 * WEEK, 75)


def test_session_close_to_a_regular_one_is_recovered_as_ad_hoc() -> None:
    (recovered,) = recover(make_state(make_session("c1", START + 2 * WEEK)), make_event("c2.1", START + DAY))
    assert (recovered.adhoc, recovered.cycle) == (True, 3)


@pytest.mark.parametrize(
    ("key", "minutes", "kind"),
    [("c2.1", 15, SessionKind.CHECKIN), ("r2.1", 25, SessionKind.REVIEW), ("c2.1", 45, SessionKind.CAREER)],
)
def test_id_and_length_of_an_event_decide_the_kind_of_its_session(key: str, minutes: int, kind: SessionKind) -> None:
    (recovered,) = recover(make_state(), make_event(key, START + DAY, minutes))
    assert recovered.kind is kind


def test_event_of_a_later_generation_gives_its_session_a_new_time() -> None:
    """An event of the same generation changes nothing, unless the session is owed."""
    booked_session = make_session("c1", START + DAY, generation=1, count=1)
    (recovered,) = recover(make_state(booked_session), make_event("c1.2", START + 9 * DAY))
    assert (recovered.generation, recovered.start, recovered.count) == (2, START + 9 * DAY, 1)
    assert recover(make_state(booked_session), make_event("c1.1", START + 9 * DAY)) == []
    owed_session = make_session("c1", None)
    (recovered_owed_session,) = recover(make_state(owed_session), make_event("c1.1", START + 9 * DAY))
    assert recovered_owed_session.booked


@pytest.mark.parametrize("closed_state", [SessionState.HELD, SessionState.CONTRACTED, SessionState.CANCELLED])
def test_closed_session_is_not_booked_again(closed_state: SessionState) -> None:
    closed_session = make_session(
        "c1", START - DAY, state=closed_state, held_at=START if closed_state is SessionState.HELD else None
    )
    assert recover(make_state(closed_session), make_event("c1.2", START + DAY)) == []


def test_order_of_events_decides_the_parts_of_a_series() -> None:
    """T-13: the three parts of a cycle are at most some weeks apart."""
    events = [make_event(f"c{number}.1", START + number * WEEK) for number in (3, 1, 2, 16)]
    recovered = recover(make_state(format=Format.SERIES), *events)
    assert [(session.id, session.cycle, session.topic) for session in recovered] == [
        ("c1", 1, Topic.NOW),
        ("c2", 1, Topic.DIRECTION),
        ("c3", 1, Topic.GAP),
        ("c16", 2, Topic.NOW),
    ]


def test_event_that_is_cancelled_or_of_no_session_recovers_nothing() -> None:
    commitment_event, other_event = make_event("p1.1", START + DAY), make_event("nothing", START + DAY)
    cancelled_event = replace(make_event("c9.1", START + DAY), cancelled=True)
    assert recover(make_state(), commitment_event, other_event, cancelled_event) == []
