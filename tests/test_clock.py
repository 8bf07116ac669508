"""Times read from a clock that somebody may put back."""

from datetime import timedelta

import pytest

from tests.support.companies import HOUR, MINUTE, START
from worker.clock import is_recent


@pytest.mark.parametrize(("ago", "recent"), [(0 * HOUR, True), (59 * MINUTE, True), (HOUR, False), (-MINUTE, False)])
def test_a_time_is_recent_for_an_hour_and_not_when_it_lies_ahead(ago: timedelta, recent: bool) -> None:
    assert is_recent(START - ago, START, HOUR) is recent
