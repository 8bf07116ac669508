"""Reading the waiting pairs of a manager, which take turns for their first sessions (T-3a)."""

from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime

import pytest

from tests.support.companies import DANA, DAY, KIM, MINUTE, SAM, START, new_store, pair, pairs, people
from worker.domain.model import (
    Address,
    EndReason,
    PairId,
    Plan,
    Session,
    SessionKind,
    SessionState,
    Topic,
    WaitingPair,
)
from worker.domain.planning.cadence import SessionWindow, make_session
from worker.store.store import Store

ALEX, IDA, LEE = "alex@corp.example", "ida@corp.example", "lee@corp.example"
ALL_PAIRS = pairs(
    pair(DANA, SAM),
    pair(DANA, KIM),
    pair(DANA, ALEX, paused=True),
    pair(DANA, LEE, ended=EndReason.CHANGED),
    pair(IDA, LEE),
    pair(LEE, SAM, ended=EndReason.CHANGED),
)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Dana manages Sam, Kim and Alex, whose pair is paused. Lee was Dana's report and is now Ida's. Sam was Lee's."""
    store = new_store(database_url)
    store.people.apply_import(people(DANA, SAM, KIM, ALEX, IDA, LEE), ALL_PAIRS, START)
    yield store
    store.close()


def store_held_session(
    store: Store, pair_id: PairId, at: datetime, kind: SessionKind = SessionKind.CAREER, *, adhoc: bool = False
) -> None:
    """Store a session of that kind that was held at that time."""
    store_session(
        store, replace(make_booked_session(pair_id, at, kind), state=SessionState.HELD, held_at=at, adhoc=adhoc)
    )


def make_booked_session(pair_id: PairId, at: datetime, kind: SessionKind = SessionKind.CAREER) -> Session:
    owed_session = make_session(pair_id, kind, Topic.ALL, cycle=1, minutes=60, window=SessionWindow(at, at, at), now=at)
    return replace(owed_session, state=SessionState.BOOKED, start=at, end=at + 60 * MINUTE)


def store_session(store: Store, session: Session) -> None:
    pair_id = session.pair
    assert store.plans.claim_pairs([pair_id], START, "one", START + 10 * MINUTE) == [pair_id]
    wake_counts = store.plans.load([pair_id], START).wake_counts
    store.plans.commit([Plan(pair=pair_id, sessions=(session,))], wake_counts, "one", START)
    store.plans.release("one")


def load_waiting_pairs(store: Store, manager: Address, report: Address) -> tuple[WaitingPair, ...]:
    (state,) = store.plans.load([PairId(manager, report)], START).states
    return tuple(sorted(state.waiting_pairs, key=lambda waiting_pair: waiting_pair.pair.report))


def test_waiting_pairs_are_the_active_pairs_of_the_manager(store: Store) -> None:
    all_pairs = store.people.load_all_pairs()
    expected = (WaitingPair(all_pairs[PairId(DANA, KIM)]), WaitingPair(all_pairs[PairId(DANA, SAM)]))
    assert load_waiting_pairs(store, DANA, SAM) == load_waiting_pairs(store, DANA, KIM) == expected
    assert load_waiting_pairs(store, IDA, LEE) == (WaitingPair(all_pairs[PairId(IDA, LEE)]),)


def test_paused_pair_is_no_waiting_pair(store: Store) -> None:
    store.people.set_paused(PairId(DANA, KIM), is_paused=True, now=START)
    assert [waiting_pair.pair.report for waiting_pair in load_waiting_pairs(store, DANA, SAM)] == [SAM]


def test_waiting_pairs_contain_the_times_of_their_last_sessions(store: Store) -> None:
    """For each pair, the last regular session and the report's last career session with anybody are read."""
    store_held_session(store, PairId(DANA, KIM), START - 200 * DAY)
    store_held_session(store, PairId(DANA, KIM), START - 150 * DAY)
    store_held_session(store, PairId(DANA, KIM), START - 100 * DAY, adhoc=True)
    store_held_session(store, PairId(DANA, KIM), START - 20 * DAY, SessionKind.REVIEW)
    store_held_session(store, PairId(LEE, SAM), START - 120 * DAY)  # with the manager of that time
    kim, sam = load_waiting_pairs(store, DANA, SAM)
    assert (kim.held_at, kim.talked_at) == (START - 150 * DAY, START - 100 * DAY)
    assert (sam.held_at, sam.talked_at) == (None, START - 120 * DAY)


def test_waiting_pairs_are_read_only_while_no_regular_session_is_booked(store: Store) -> None:
    store_session(store, make_booked_session(PairId(DANA, SAM), START + 5 * DAY, SessionKind.REVIEW))
    store_session(store, replace(make_booked_session(PairId(DANA, SAM), START + 6 * DAY), adhoc=True))
    assert [waiting_pair.pair.report for waiting_pair in load_waiting_pairs(store, DANA, SAM)] == [KIM, SAM]
    store_session(store, make_booked_session(PairId(DANA, SAM), START + 20 * DAY))
    assert load_waiting_pairs(store, DANA, SAM) == ()
    assert [waiting_pair.pair.report for waiting_pair in load_waiting_pairs(store, DANA, KIM)] == [KIM, SAM]
