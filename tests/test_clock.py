"""Whether an instant is recent. An instant after now is not: somebody has put the clock back."""

from datetime import timedelta

import pytest

from tests.support.companies import HOUR, MINUTE, START
from worker.clock import is_recent


@pytest.mark.parametrize(("age", "expected"), [(0 * HOUR, True), (59 * MINUTE, True), (HOUR, False), (-MINUTE, False)])
def test_a_time_is_recent_if_it_lies_less_than_an_hour_back(age: timedelta, expected: bool) -> None:
    assert is_recent(START - age, START, HOUR) is expected
