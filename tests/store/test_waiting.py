"""What is read of a manager's other pairs, so that those that wait for a first session take turns (T-3a)."""

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
LISTED = pairs(
    pair(DANA, SAM),
    pair(DANA, KIM),
    pair(DANA, ALEX, paused=True),
    pair(DANA, LEE, ended=EndReason.CHANGED),
    pair(IDA, LEE),
    pair(LEE, SAM, ended=EndReason.CHANGED),
)


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    """Dana with Sam and Kim, with Alex who is on leave, and with Lee who is Ida's now; Sam was once Lee's."""
    made = new_store(database_url)
    made.people.apply_import(people(DANA, SAM, KIM, ALEX, IDA, LEE), LISTED, START)
    yield made
    made.close()


def hold(
    store: Store, pair_id: PairId, at: datetime, kind: SessionKind = SessionKind.CAREER, *, adhoc: bool = False
) -> None:
    """A session of that kind, held then."""
    put(store, replace(make(pair_id, at, kind), state=SessionState.HELD, held_at=at, adhoc=adhoc))


def make(pair_id: PairId, at: datetime, kind: SessionKind = SessionKind.CAREER) -> Session:
    owed = make_session(pair_id, kind, Topic.ALL, cycle=1, minutes=60, window=SessionWindow(at, at, at), now=at)
    return replace(owed, state=SessionState.BOOKED, start=at, end=at + 60 * MINUTE)


def put(store: Store, session: Session) -> None:
    pair_id = session.pair
    assert store.plans.claim_pairs([pair_id], START, "one", START + 10 * MINUTE) == [pair_id]
    wakes = store.plans.load([pair_id], START).wake_counts
    store.plans.commit([Plan(pair=pair_id, sessions=(session,))], wakes, "one", START)
    store.plans.release("one")


def read(store: Store, manager: Address, report: Address) -> tuple[WaitingPair, ...]:
    (state,) = store.plans.load([PairId(manager, report)], START).states
    return tuple(sorted(state.waiting_pairs, key=lambda one: one.pair.report))


def test_a_pair_without_a_conversation_knows_the_active_pairs_of_its_manager(store: Store) -> None:
    stored = store.people.load_all_pairs()
    expected = (WaitingPair(stored[PairId(DANA, KIM)]), WaitingPair(stored[PairId(DANA, SAM)]))
    assert read(store, DANA, SAM) == read(store, DANA, KIM) == expected
    assert read(store, IDA, LEE) == (WaitingPair(stored[PairId(IDA, LEE)]),)


def test_a_pair_that_rests_is_not_among_them(store: Store) -> None:
    store.people.set_paused(PairId(DANA, KIM), is_paused=True, now=START)
    assert [one.pair.report for one in read(store, DANA, SAM)] == [SAM]


def test_how_long_each_has_waited_is_read_with_it(store: Store) -> None:
    """The last conversation of its own rhythm, and the report's last career conversation with anybody."""
    hold(store, PairId(DANA, KIM), START - 200 * DAY)
    hold(store, PairId(DANA, KIM), START - 150 * DAY)
    hold(store, PairId(DANA, KIM), START - 100 * DAY, adhoc=True)
    hold(store, PairId(DANA, KIM), START - 20 * DAY, SessionKind.REVIEW)
    hold(store, PairId(LEE, SAM), START - 120 * DAY)  # with the manager of then
    kim, sam = read(store, DANA, SAM)
    assert (kim.held_at, kim.talked_at) == (START - 150 * DAY, START - 100 * DAY)
    assert (sam.held_at, sam.talked_at) == (None, START - 120 * DAY)


def test_it_is_read_only_while_the_pair_has_no_regular_conversation_on_the_calendar(store: Store) -> None:
    put(store, make(PairId(DANA, SAM), START + 5 * DAY, SessionKind.REVIEW))
    put(store, replace(make(PairId(DANA, SAM), START + 6 * DAY), adhoc=True))
    assert [one.pair.report for one in read(store, DANA, SAM)] == [KIM, SAM]
    put(store, make(PairId(DANA, SAM), START + 20 * DAY))
    assert read(store, DANA, SAM) == ()
    assert [one.pair.report for one in read(store, DANA, KIM)] == [KIM, SAM]
