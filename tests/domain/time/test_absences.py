"""The first days after a long absence (T-16)."""

from datetime import date

import pytest

from tests.support.pairs import DANA, DAY, HOUR, NOW, SAM, WEEK, person, session_of, state_of, utc
from tests.support.stories import Story, booked, causes
from worker.domain.model import BusyTime, FreeBusy, Person, ShowAs, Span, Trigger
from worker.domain.planning import actions
from worker.domain.time.absences import list_days_after_absence


def away(*days: tuple[int, int], show: ShowAs = ShowAs.AWAY) -> FreeBusy:
    """Away from one day of September 2026 to another, the last one included."""
    return FreeBusy(tuple(BusyTime(Span(utc(2026, 9, a), utc(2026, 9, b) + DAY), show) for a, b in days))


@pytest.mark.parametrize(
    ("known", "days"),
    [
        (away((7, 18)), [21, 22]),  # ten days, Monday to Friday
        (away((7, 20)), [21, 22]),
        (away((5, 20)), [21, 22]),
        (away((7, 17)), []),  # nine
        (away((8, 18)), []),
        (away((7, 11), (14, 18)), [21, 22]),  # a weekend between two events
        (away((7, 10), (14, 18)), []),  # a Friday at work
        (away((7, 18), show=ShowAs.BUSY), []),
        (FreeBusy(), []),
    ],
)
def test_the_first_two_working_days_after_ten_away(known: FreeBusy, days: list[int]) -> None:
    """T-16: Monday to Friday count."""
    assert list(list_days_after_absence(DANA, known)) == [date(2026, 9, day) for day in days]


def test_the_days_after_an_absence_are_the_person_s_own_working_days() -> None:
    """T-16: who works Tuesday to Thursday is back on a Tuesday."""
    part_time = person(hours="Tue-Thu 09:00-17:00")
    assert list(list_days_after_absence(part_time, away((7, 18)))) == [date(2026, 9, 22), date(2026, 9, 23)]


@pytest.mark.parametrize("who", [DANA, SAM], ids=lambda one: one.name)
def test_no_session_lies_on_the_first_days_after_a_long_absence(who: Person) -> None:
    """T-16, T-10: a session lost to the absence comes on the third day at the earliest."""
    story = booked(Story(state=state_of(session_of(utc(2026, 10, 12, 8)))))
    story.book(who, Span(utc(2026, 10, 4), utc(2026, 10, 18)), ShowAs.AWAY)  # to Sunday
    assert causes(story) == ["out_of_office"]
    assert story.next.span.start.date() not in (date(2026, 10, 19), date(2026, 10, 20))
    assert story.next.span.start >= utc(2026, 10, 21)


def test_who_may_be_leaving_is_not_kept_waiting() -> None:
    """T-16, T-14: the date goes before the wish for two quiet days."""
    story = Story(now=NOW)
    story.calendars.book(SAM, NOW - 2 * WEEK, NOW + 30 * HOUR, ShowAs.AWAY)
    story.tick()
    story.say(lambda p: actions.request_talk(p, Trigger.LEAVING))
    talk = next(s for s in story.state.sessions if s.adhoc)
    assert talk.booked and talk.span.start < NOW + 3 * DAY
