"""The limiter: so many requests to a mailbox at a time in one process, and none while the service asks for a pause."""

import threading
from datetime import timedelta

import pytest

from tests.support.companies import MINUTE, START
from worker.clock import SteppedClock
from worker.errors import RateLimited
from worker.providers.limiter import MAX_CONCURRENT, Limiter

DANA, KIM = "dana@corp.example", "kim@corp.example"


@pytest.fixture
def clock() -> SteppedClock:
    return SteppedClock(START)


def test_a_slot_is_free_again_after_its_request_whether_it_failed_or_not(clock: SteppedClock) -> None:
    limiter = Limiter(clock, max_concurrent=1)
    for _ in range(3):
        with limiter.hold_slot(DANA):
            pass
        with pytest.raises(ZeroDivisionError), limiter.hold_slot(DANA):
            raise ZeroDivisionError


def test_four_threads_hold_a_slot_and_the_fifth_waits(clock: SteppedClock) -> None:
    limiter = Limiter(clock)
    full, leave = threading.Barrier(MAX_CONCURRENT + 1), threading.Event()
    events: list[str] = []

    def hold() -> None:
        with limiter.hold_slot(DANA):
            full.wait(10)
            leave.wait(10)
            events.append("left")

    def wait() -> None:
        with limiter.hold_slot(DANA):
            events.append("entered")

    threads = [threading.Thread(target=hold) for _ in range(MAX_CONCURRENT)]
    for thread in threads:
        thread.start()
    full.wait(10)
    late = threading.Thread(target=wait)
    late.start()
    with limiter.hold_slot(KIM):
        events.append("another mailbox")
    leave.set()
    for thread in (*threads, late):
        thread.join(10)
    assert events[0] == "another mailbox" and sorted(events[1:]) == ["entered", *["left"] * MAX_CONCURRENT]
    assert events[1] == "left"


def test_a_request_that_waits_too_long_is_put_off(clock: SteppedClock) -> None:
    """Nothing was sent, so nothing is uncertain."""
    limiter = Limiter(clock, max_concurrent=1, max_wait=timedelta(milliseconds=10))
    with limiter.hold_slot(DANA), pytest.raises(RateLimited) as caught, limiter.hold_slot(DANA):
        pass
    assert not caught.value.uncertain and caught.value.retry_after == timedelta(milliseconds=10)


def test_a_pause_holds_for_its_mailbox_until_it_is_over(clock: SteppedClock) -> None:
    limiter = Limiter(clock)
    limiter.pause(DANA, 2 * MINUTE)
    limiter.pause(DANA, MINUTE)
    with pytest.raises(RateLimited) as caught, limiter.hold_slot(DANA):
        pass
    assert caught.value.retry_after == 2 * MINUTE, "the longest pause counts"
    with limiter.hold_slot(KIM):
        pass
    clock.move_to(START + 2 * MINUTE)
    with limiter.hold_slot(DANA):
        pass
