"""The first days after a long absence (T-16)."""

from dataclasses import replace
from datetime import date

import pytest

from tests.support.pairs import DANA, DAY, HOUR, NOW, SAM, WEEK, person, session_of, state_of, utc
from tests.support.stories import DEFAULT_POLICY, Story, booked_story, deferral_causes
from worker.domain.model import BusyTime, FreeBusy, Person, ShowAs, Span, Trigger
from worker.domain.planning import actions
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.planning.proposals import make_free_busy_request, propose_times
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
    story = booked_story(Story(state=state_of(session_of(utc(2026, 10, 12, 8)))))
    story.book(who, Span(utc(2026, 10, 4), utc(2026, 10, 18)), ShowAs.AWAY)  # to Sunday
    assert deferral_causes(story) == ["out_of_office"]
    assert story.next.span.start.date() not in (date(2026, 10, 19), date(2026, 10, 20))
    assert story.next.span.start >= utc(2026, 10, 21)


def test_who_may_be_leaving_is_not_kept_waiting() -> None:
    """T-16, T-14: the date goes before the wish for two quiet days."""
    story = Story(now=NOW)
    story.calendars.book(SAM, NOW - 2 * WEEK, NOW + 30 * HOUR, ShowAs.AWAY)
    story.tick()
    story.act(lambda p: actions.request_talk(p, Trigger.LEAVING))
    talk = next(s for s in story.state.sessions if s.adhoc)
    assert talk.booked and talk.span.start < NOW + 3 * DAY


@pytest.mark.parametrize("who", [DANA, SAM], ids=lambda one: one.name)
@pytest.mark.parametrize("days", [1, -1, 3], ids=["back tomorrow", "back since yesterday", "back in three days"])
def test_an_absence_that_began_weeks_ago_is_known(who: Person, days: int) -> None:
    """T-16: though Longarc has read no calendar while it lasted. Dana works in Berlin, Sam in London."""
    back = utc(2026, 9, 8 + days)
    story = Story(now=utc(2026, 9, 8, 5))  # a Tuesday
    story.calendars.book(who, back - 3 * WEEK, back, ShowAs.AWAY)
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    talk = next(s for s in story.state.sessions if s.adhoc)
    first_days = [
        day for day in (date(2026, 9, 8) + n * DAY for n in range(-3, 9)) if day.weekday() < 5 and day >= back.date()
    ]
    assert talk.booked and talk.span.start.date() >= story.now.date()
    assert talk.span.start.date() not in first_days[:2]


def test_a_short_absence_that_began_before_takes_no_day_after_it() -> None:
    """T-16: nine days, Monday to Friday."""
    story = Story(now=utc(2026, 9, 9, 21))
    story.calendars.book(SAM, utc(2026, 8, 28), utc(2026, 9, 10), ShowAs.AWAY)
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    talk = next(s for s in story.state.sessions if s.adhoc)
    assert talk.span.start.date() == date(2026, 9, 10)


def test_the_times_proposed_to_a_manager_keep_clear_of_an_absence_that_began_before() -> None:
    """T-16: on the page on which a time is chosen."""
    story = booked_story(Story(now=utc(2026, 9, 8, 5)))
    story.calendars.book(SAM, utc(2026, 8, 17), utc(2026, 9, 12), ShowAs.AWAY)
    builder = PlanBuilder(story.now, story.state, None, DEFAULT_POLICY)
    request = make_free_busy_request(builder, story.next)
    seen = story.calendars.read_free_busy(story.state, dict.fromkeys(request.people, request.window))
    taken = dict.fromkeys(request.people, ())
    builder = PlanBuilder(story.now, replace(story.state, taken_times=taken), seen, DEFAULT_POLICY)
    early = replace(story.next, earliest=story.now, target=utc(2026, 9, 14, 8), latest=story.now + 4 * WEEK)
    days = {slot.span.start.date() for slot in propose_times(builder, early).times}
    assert days and not days & {date(2026, 9, 14), date(2026, 9, 15)}
