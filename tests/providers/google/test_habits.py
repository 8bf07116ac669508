"""The time zone of a person's calendar, which counts when neither a directory nor the people file has a zone."""

from typing import Any

import pytest

from tests.doubles.google import Google, GoogleHands
from worker.errors import AuthRevoked
from worker.providers.google import calendar as google
from worker.providers.google.habits import parse_zone


def test_zone_is_that_of_the_calendar(double: Google, section: dict[str, Any], hands: GoogleHands) -> None:
    habits = google.build_calendar(section).habits(hands.person("Asia/Tokyo"))
    assert (habits.zone, habits.hours) == ("Asia/Tokyo", None)  # Google names no working hours
    assert [request.call.raw_query["fields"] for request in double.requests if request.call] == ["timeZone"]


@pytest.mark.parametrize("answer", [{}, {"timeZone": ""}, {"timeZone": "Mars/Olympus"}, {"timeZone": "../x"}])
def test_missing_or_unknown_zone_is_none(answer: dict[str, str]) -> None:
    assert parse_zone(answer) is None


def test_habits_of_a_person_outside_the_domain_raise_an_error(section: dict[str, Any], hands: GoogleHands) -> None:
    with pytest.raises(AuthRevoked):
        google.build_calendar(section).habits(hands.unreadable_person())
