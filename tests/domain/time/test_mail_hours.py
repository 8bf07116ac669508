"""The working days on which a mail may reach somebody, far ahead too (T-16)."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tests.support.pairs import DAY, SAM
from worker.domain.model import Person, Span
from worker.domain.time.mail_hours import find_day_start, find_following_day_start

#: A Wednesday; 400 days later it is a Thursday.
TODAY = date(2026, 9, 9)


def away_for(days: int) -> Person:
    """Sam, who is out of office for so many days after today."""
    first = datetime.combine(TODAY + DAY, time(), ZoneInfo(SAM.zone))
    return replace(SAM, absences=(Span(first, first + timedelta(days=days)),))


def test_the_following_working_day_is_sought_for_400_days() -> None:
    last_day = TODAY + 400 * DAY
    start = find_day_start(SAM, last_day)
    assert start and find_following_day_start(away_for(399), TODAY) == start
    assert find_following_day_start(away_for(400), TODAY) is None
