"""The first working days after a long absence (T-16)."""

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


def make_absences(*days: tuple[int, int], show: ShowAs = ShowAs.AWAY) -> FreeBusy:
    """Return free/busy with absences in September 2026, each from its first day to its last day, both included."""
    return FreeBusy(tuple(BusyTime(Span(utc(2026, 9, first), utc(2026, 9, last) + DAY), show) for first, last in days))


@pytest.mark.parametrize(
    ("free_busy", "days_after"),
    [
        (make_absences((7, 18)), [21, 22]),  # ten days, Monday to Friday
        (make_absences((7, 20)), [21, 22]),  # with the weekend after them
        (make_absences((5, 20)), [21, 22]),  # with the weekends on both sides
        (make_absences((7, 17)), []),  # nine days
        (make_absences((8, 18)), []),  # nine days
        (make_absences((7, 11), (14, 18)), [21, 22]),  # a weekend between two events
        (make_absences((7, 10), (14, 18)), []),  # a Friday at work
        (make_absences((7, 18), show=ShowAs.BUSY), []),
        (FreeBusy(), []),
    ],
)
def test_first_two_working_days_after_an_absence_of_ten_days(free_busy: FreeBusy, days_after: list[int]) -> None:
    """T-16: only days from Monday to Friday count."""
    assert list(list_days_after_absence(DANA, free_busy)) == [date(2026, 9, day) for day in days_after]


def test_days_after_an_absence_are_working_days_of_the_person() -> None:
    """T-16: a person who works Tuesday to Thursday is back on a Tuesday."""
    part_timer = person(hours="Tue-Thu 09:00-17:00")
    assert list(list_days_after_absence(part_timer, make_absences((7, 18)))) == [date(2026, 9, 22), date(2026, 9, 23)]


@pytest.mark.parametrize("absent_person", [DANA, SAM], ids=lambda participant: participant.name)
def test_deferred_session_is_not_on_the_first_two_days_after_a_long_absence(absent_person: Person) -> None:
    """T-16, T-10: a session that is lost to the absence comes on the third day at the earliest."""
    story = booked_story(Story(state=state_of(session_of(utc(2026, 10, 12, 8)))))
    story.book(absent_person, Span(utc(2026, 10, 4), utc(2026, 10, 18)), ShowAs.AWAY)  # until Sunday
    assert deferral_causes(story) == ["out_of_office"]
    assert story.next.span.start.date() not in (date(2026, 10, 19), date(2026, 10, 20))
    assert story.next.span.start >= utc(2026, 10, 21)


def test_ad_hoc_session_with_the_trigger_leaving_may_follow_an_absence_at_once() -> None:
    """T-16, T-14: the early date is more important than two days without a session."""
    story = Story(now=NOW)
    story.calendars.book(SAM, NOW - 2 * WEEK, NOW + 30 * HOUR, ShowAs.AWAY)  # until Tuesday at noon in London
    story.tick()
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.LEAVING))
    adhoc_session = next(s for s in story.state.sessions if s.adhoc)
    assert adhoc_session.booked and adhoc_session.span.start < NOW + 3 * DAY


@pytest.mark.parametrize("absent_person", [DANA, SAM], ids=lambda participant: participant.name)
@pytest.mark.parametrize(
    "days_until_back", [1, -1, 3], ids=["back tomorrow", "back since yesterday", "back in three days"]
)
def test_absence_that_began_weeks_ago_counts_for_an_ad_hoc_session(absent_person: Person, days_until_back: int) -> None:
    """T-16: Longarc read no calendar while the absence lasted. Dana works in Berlin, Sam in London."""
    back = utc(2026, 9, 8 + days_until_back)
    story = Story(now=utc(2026, 9, 8, 5))  # a Tuesday
    story.calendars.book(absent_person, back - 3 * WEEK, back, ShowAs.AWAY)
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    adhoc_session = next(s for s in story.state.sessions if s.adhoc)
    first_days = [
        day for day in (date(2026, 9, 8) + n * DAY for n in range(-3, 9)) if day.weekday() < 5 and day >= back.date()
    ]
    assert adhoc_session.booked and adhoc_session.span.start.date() >= story.now.date()
    assert adhoc_session.span.start.date() not in first_days[:2]


def test_session_may_follow_a_shorter_absence_at_once() -> None:
    """T-16: the absence has nine days from Monday to Friday. The request comes an hour before its last midnight."""
    story = Story(now=utc(2026, 9, 9, 21))
    story.calendars.book(SAM, utc(2026, 8, 28), utc(2026, 9, 10), ShowAs.AWAY)
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    adhoc_session = next(s for s in story.state.sessions if s.adhoc)
    assert adhoc_session.span.start.date() == date(2026, 9, 10)


def test_proposed_times_are_not_on_the_first_days_after_an_absence() -> None:
    """T-16: these are the times on the page on which a person chooses one."""
    story = booked_story(Story(now=utc(2026, 9, 8, 5)))
    story.calendars.book(SAM, utc(2026, 8, 17), utc(2026, 9, 12), ShowAs.AWAY)
    builder = PlanBuilder(story.now, story.state, snapshot=None, policy=DEFAULT_POLICY)
    request = make_free_busy_request(builder, story.next)
    snapshot = story.calendars.read_free_busy(story.state, dict.fromkeys(request.people, request.window))
    taken_times = dict.fromkeys(request.people, ())
    builder = PlanBuilder(story.now, replace(story.state, taken_times=taken_times), snapshot, DEFAULT_POLICY)
    early_session = replace(story.next, earliest=story.now, target=utc(2026, 9, 14, 8), latest=story.now + 4 * WEEK)
    days = {slot.span.start.date() for slot in propose_times(builder, early_session).times}
    assert days and not days & {date(2026, 9, 14), date(2026, 9, 15)}
