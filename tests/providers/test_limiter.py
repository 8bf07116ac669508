"""The limiter bounds the requests to a mailbox in one process, and sends none while the service asks for a pause."""

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


def test_slot_is_released_after_success_and_after_an_error(clock: SteppedClock) -> None:
    limiter = Limiter(clock, max_concurrent=1)
    for _ in range(3):
        with limiter.hold_slot(DANA):
            pass
        with pytest.raises(ZeroDivisionError), limiter.hold_slot(DANA):
            raise ZeroDivisionError


def test_fifth_request_to_a_mailbox_waits_for_a_slot(clock: SteppedClock) -> None:
    """Four requests (`MAX_CONCURRENT`) may run at once. Another mailbox has slots of its own."""
    limiter = Limiter(clock)
    all_slots_taken, release = threading.Barrier(MAX_CONCURRENT + 1), threading.Event()
    events: list[str] = []

    def hold_slot() -> None:
        with limiter.hold_slot(DANA):
            all_slots_taken.wait(10)
            release.wait(10)
            events.append("left")

    def wait_for_slot() -> None:
        with limiter.hold_slot(DANA):
            events.append("entered")

    threads = [threading.Thread(target=hold_slot) for _ in range(MAX_CONCURRENT)]
    for thread in threads:
        thread.start()
    all_slots_taken.wait(10)
    waiting_thread = threading.Thread(target=wait_for_slot)
    waiting_thread.start()
    with limiter.hold_slot(KIM):
        events.append("another mailbox")
    waiting_thread.join(0.1)
    assert events == ["another mailbox"], "a fifth request was admitted"
    release.set()
    for thread in (*threads, waiting_thread):
        thread.join(10)
    assert events[0] == "another mailbox" and sorted(events[1:]) == ["entered", *["left"] * MAX_CONCURRENT]
    assert events[1] == "left"


def test_request_that_waits_too_long_is_refused(clock: SteppedClock) -> None:
    """Nothing was sent, so the error is not uncertain."""
    limiter = Limiter(clock, max_concurrent=1, max_wait=timedelta(milliseconds=10))
    with limiter.hold_slot(DANA), pytest.raises(RateLimited) as error_info, limiter.hold_slot(DANA):
        pass
    assert not error_info.value.uncertain and error_info.value.retry_after == timedelta(milliseconds=10)


def test_pause_refuses_requests_to_its_mailbox_until_it_ends(clock: SteppedClock) -> None:
    limiter = Limiter(clock)
    limiter.pause(DANA, 2 * MINUTE)
    limiter.pause(DANA, MINUTE)
    with pytest.raises(RateLimited) as error_info, limiter.hold_slot(DANA):
        pass
    assert error_info.value.retry_after == 2 * MINUTE  # the longest pause counts
    with limiter.hold_slot(KIM):
        pass
    clock.move_to(START + 2 * MINUTE)
    with limiter.hold_slot(DANA):
        pass
