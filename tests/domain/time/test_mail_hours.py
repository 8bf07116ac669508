"""The working days on which a mail may reach a person, also far ahead (T-16)."""

from dataclasses import replace
from datetime import date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from tests.support.pairs import DAY, SAM
from worker.domain.model import Person, Span
from worker.domain.time.mail_hours import find_mail_hours_start, find_working_day_start_after

#: A Wednesday; 400 days later it is a Thursday.
TODAY = date(2026, 9, 9)


def make_absent_person(days: int) -> Person:
    """Return Sam with an absence of so many days after today."""
    first_midnight = datetime.combine(TODAY + DAY, time(), ZoneInfo(SAM.zone))
    return replace(SAM, absences=(Span(first_midnight, first_midnight + timedelta(days=days)),))


def test_search_for_the_next_working_day_ends_after_400_days() -> None:
    last_day = TODAY + 400 * DAY
    start = find_mail_hours_start(SAM, last_day)
    assert start and find_working_day_start_after(make_absent_person(399), TODAY) == start
    assert find_working_day_start_after(make_absent_person(400), TODAY) is None
