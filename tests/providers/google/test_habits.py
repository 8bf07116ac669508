"""The time zone of people's calendars, for whom neither a directory nor the people file tells one."""

from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from worker.errors import AuthRevoked
from worker.providers.google import calendar as google
from worker.providers.google.habits import parse_zone


def test_the_zone_is_that_of_the_calendar(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    habits = google.build_calendar(section).habits(hands.person("Asia/Tokyo"))
    assert (habits.zone, habits.hours) == ("Asia/Tokyo", None)
    assert [one.call.raw_query["fields"] for one in double.requests if one.call] == ["timeZone"]


@pytest.mark.parametrize("answer", [{}, {"timeZone": ""}, {"timeZone": "Mars/Olympus"}, {"timeZone": "../x"}])
def test_a_zone_that_nobody_knows_is_none(answer: dict[str, str]) -> None:
    assert parse_zone(answer) is None


def test_somebody_who_is_not_in_the_domain_tells_none(section: dict[str, Any], hands: GoogleHands) -> None:
    with pytest.raises(AuthRevoked):
        google.build_calendar(section).habits(hands.stranger())
