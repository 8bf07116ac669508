"""The gate before a mailbox: so many at a time, whichever process or machine they are in."""

import threading
from collections.abc import Iterator
from datetime import timedelta

import pytest

from tests.support.companies import MINUTE, START, new_store
from worker import gate as gates
from worker.clock import SteppedClock
from worker.errors import RateLimited
from worker.gate import LEASE, SharedGate
from worker.providers.limiter import AT_ONCE, LocalGate
from worker.store.store import Store

NAME, OTHER = "dana@corp.example", "kim@corp.example"


@pytest.fixture
def store(database_url: str) -> Iterator[Store]:
    opened = new_store(database_url)
    yield opened
    opened.close()


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(START)


def test_four_rooms_and_no_more(store: Store) -> None:
    until = START + LEASE
    rooms = [store.gates.enter(NAME, AT_ONCE, f"h{n}", START, until)[0] for n in range(6)]
    assert rooms == [1, 2, 3, 4, 0, 0]
    assert store.gates.enter(OTHER, AT_ONCE, "h", START, until)[0] == 1
    store.gates.leave(NAME, 2, "somebody else")
    assert store.gates.inside(NAME, START) == [1, 2, 3, 4]
    store.gates.leave(NAME, 2, "h1")
    assert store.gates.enter(NAME, AT_ONCE, "late", START, until)[0] == 2


def test_a_room_whose_holder_died_comes_free(store: Store) -> None:
    for n in range(AT_ONCE):
        store.gates.enter(NAME, AT_ONCE, f"dead{n}", START, START + LEASE)
    assert store.gates.enter(NAME, AT_ONCE, "next", START + LEASE, START + 2 * LEASE)[0] == 1


def test_many_at_once_get_a_room_each(store: Store) -> None:
    """Uniqueness in the database makes it so, on either of them."""
    rooms: list[int] = []

    def enter(n: int) -> None:
        rooms.append(store.gates.enter(NAME, AT_ONCE, f"h{n}", START, START + LEASE)[0])

    workers = [threading.Thread(target=enter, args=(n,)) for n in range(8)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    taken = [room for room in rooms if room]
    assert sorted(taken) == sorted(set(taken)) == list(store.gates.inside(NAME, START))
    assert 1 <= len(taken) <= AT_ONCE


def test_who_leaves_lets_the_next_in(store: Store, clock: SteppedClock) -> None:
    gate = SharedGate(store, clock)
    for _ in range(2 * AT_ONCE):
        with gate.through(NAME):
            assert store.gates.inside(NAME, START) == [1]
    with pytest.raises(ZeroDivisionError), gate.through(NAME):
        raise ZeroDivisionError
    assert store.gates.inside(NAME, START) == []


def test_a_pause_holds_for_all_processes(store: Store, clock: SteppedClock) -> None:
    first, second = SharedGate(store, clock), SharedGate(store, clock)
    first.close(NAME, 2 * MINUTE)
    for gate in (first, second):
        with pytest.raises(RateLimited) as caught, gate.through(NAME):
            pass
        assert caught.value.retry_after == 2 * MINUTE
        with gate.through(OTHER):
            pass
    clock.move_to(START + 2 * MINUTE)
    for gate in (first, second):
        with gate.through(NAME):
            pass


def test_who_waits_too_long_is_put_off(store: Store, clock: SteppedClock, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nothing was sent, so nothing is uncertain."""
    monkeypatch.setattr(gates, "PATIENCE", timedelta(seconds=0.1))
    for n in range(AT_ONCE):
        store.gates.enter(NAME, AT_ONCE, f"h{n}", START, START + LEASE)
    with pytest.raises(RateLimited) as caught, SharedGate(store, clock).through(NAME):
        pass
    assert not caught.value.uncertain


def test_within_a_process_the_rooms_are_the_same_for_all_threads(clock: SteppedClock) -> None:
    gate = LocalGate(clock)
    inside = threading.Barrier(AT_ONCE + 1)
    leave = threading.Event()
    went: list[int] = []

    def go(n: int) -> None:
        with gate.through(NAME):
            if n < AT_ONCE:
                inside.wait(10)
                leave.wait(10)
            went.append(n)

    workers = [threading.Thread(target=go, args=(n,)) for n in range(AT_ONCE)]
    for worker in workers:
        worker.start()
    inside.wait(10)
    late = threading.Thread(target=go, args=(AT_ONCE,))
    late.start()
    assert went == []
    leave.set()
    for worker in (*workers, late):
        worker.join()
    assert went[-1] == AT_ONCE or len(went) == AT_ONCE + 1
