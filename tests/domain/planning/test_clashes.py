"""What is found standing over a booked session, and when anybody looks (R-8; T-10)."""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, person, session_of, starting_pair, state_of, utc
from tests.support.stories import Story, booked_story, changes_nothing, deferral_causes
from worker.domain.model import BusyTime, DeferralCause, Person, Policy, SessionKind, ShowAs, Span
from worker.domain.planning import actions
from worker.domain.planning.deferrals import list_calendar_checks
from worker.domain.planning.planner import plan

TWO = (DANA, SAM)


def ahead(left: timedelta) -> Story:
    """A story in which the next session begins in so long, and the calendars were just read."""
    story = booked_story()
    story.tick_at(story.next.span.start - left)
    story.recheck_free_busy()
    return story


# --- booked over ---


def over(story: Story, who: Person = DANA, show: ShowAs = ShowAs.BUSY) -> None:
    story.book(who, story.next.span, show)


@pytest.mark.parametrize("who", TWO, ids=lambda one: one.name)
def test_booked_over_is_warned_of_and_defers_a_day_later(who: Person) -> None:
    """T-10, R-8: unless it goes."""
    story = ahead(6 * DAY)
    over(story, who)
    at, was = story.now, story.next
    assert [(m.to, m.start) for m in story.mails("booked_over_warning")] == [(DANA.email, was.start)]
    assert was.warned_at == at
    assert f"event in {who.email}'s calendar clashes with the session" in story.decisions[-1].reason
    story.until(at + DAY - MINUTE)
    assert story.next.span == was.span
    story.until(at + DAY)
    assert deferral_causes(story) == ["booked_over"]
    assert story.state.deferrals[0].who == who.email
    assert story.next.span != was.span
    assert len(story.mails("booked_over_warning")) == 1


def test_an_event_without_length_is_no_clash() -> None:
    """T-2, T-10: it takes no time, wherever in the session it lies."""
    story = ahead(6 * DAY)
    middle = story.next.span.start + 30 * MINUTE
    story.book(DANA, Span(middle, middle))
    assert story.mails("booked_over_warning") == [] and story.next.warned_at is None


def test_a_warning_runs_out_on_time_whatever_happens_in_between() -> None:
    """T-10: a pair that is planned for another reason still wakes 24 hours after the warning."""
    story = ahead(13 * DAY)
    over(story)
    warned = story.now
    story.tick_at(warned + HOUR)
    assert story.due is not None
    assert story.due <= warned + DAY
    story.until(warned + DAY)
    assert deferral_causes(story) == ["booked_over"]


def test_when_the_time_is_free_again_the_session_stays() -> None:
    """T-10."""
    story = ahead(6 * DAY)
    over(story)
    was = story.next.span
    story.tick_at(story.now + 5 * HOUR)
    story.clear()
    assert story.next.warned_at is None
    assert "free again" in story.decisions[-1].reason
    story.until(was.start - 5 * HOUR)
    assert deferral_causes(story) == []
    assert story.next.span == was


def test_booked_over_a_second_time_is_a_second_warning() -> None:
    """T-10: and a day of its own."""
    story = ahead(10 * DAY)
    over(story)
    story.tick_at(story.now + 5 * HOUR)
    story.clear()
    story.tick_at(story.now + HOUR)
    over(story)
    again = story.now
    story.until(again + DAY - MINUTE)
    assert deferral_causes(story) == []
    assert len(story.mails("booked_over_warning")) == 2


# --- moved by hand onto something ---


@pytest.mark.parametrize("show", [ShowAs.BUSY, ShowAs.AWAY])
@pytest.mark.parametrize("who", TWO, ids=lambda one: one.name)
def test_what_stood_where_a_person_moved_the_session_is_no_conflict(who: Person, show: ShowAs) -> None:
    """T-11, R-9: they saw what is there; it stays for good, and nobody is warned."""
    story = ahead(10 * DAY)
    new = story.next.span.start - DAY
    story.calendars.book(who, new - HOUR, new + 3 * HOUR, show)
    story.move(story.next, new, 75)
    was = story.next
    assert was.start == new and was.by_hand
    story.until(new + 75 * MINUTE)
    assert deferral_causes(story) == [] and story.mails("booked_over_warning") == []
    assert story.session(was.id).held_at == new + 75 * MINUTE


@pytest.mark.parametrize("who", TWO, ids=lambda one: one.name)
def test_what_comes_over_a_moved_session_later_counts(who: Person) -> None:
    """T-11: on either calendar, in the half hour that was free."""
    story = ahead(10 * DAY)
    new = story.next.span.start - DAY
    story.calendars.book(DANA, new, new + HOUR)
    story.move(story.next, new, 75)
    story.tick_at(story.now + HOUR)
    story.book(who, Span(new + 30 * MINUTE, new + 75 * MINUTE))
    assert len(story.mails("booked_over_warning")) == 1
    story.until(story.now + DAY)
    assert deferral_causes(story) == ["booked_over"]


def test_an_absence_that_comes_over_an_intended_meeting_counts() -> None:
    """T-11, T-10: a meeting can be left, but nobody is there who is away."""
    story = ahead(10 * DAY)
    new = story.next.span.start - DAY
    story.calendars.book(SAM, new, new + 2 * HOUR)
    story.move(story.next, new, 75)
    story.book(SAM, Span(new - 2 * HOUR, new + 6 * HOUR), ShowAs.AWAY)
    assert deferral_causes(story) == ["out_of_office"]


def test_a_time_chosen_on_a_page_is_intended_as_it_is() -> None:
    """T-11: what stands there when it is chosen, though the event still has to move."""
    story = ahead(10 * DAY)
    wish = Span(story.next.span.start - DAY, story.next.span.end - DAY)
    story.calendars.book(DANA, wish.start, wish.end)
    story.act(lambda p: actions.request_time(p, p.sessions[story.next.id], wish))
    story.recheck_free_busy()
    story.until(wish.start)
    assert deferral_causes(story) == ["asked"] and story.next.span == wish


def test_a_calendar_that_can_not_be_read_when_the_session_moves_is_read_as_soon_as_it_can() -> None:
    """T-11: the move is respected meanwhile."""
    story = ahead(10 * DAY)
    new = story.next.span.start - DAY
    story.calendars.book(DANA, new, new + HOUR)
    story.calendars.unavailable.add(DANA.email)
    story.move(story.next, new, 75)
    assert story.next.start == new and story.next.intended is None
    story.calendars.unavailable.clear()
    story.until(story.now + HOUR)
    assert story.next.intended is not None
    story.recheck_free_busy()
    assert deferral_causes(story) == [] and story.mails("booked_over_warning") == []


def test_a_session_less_than_48_hours_away_moves_at_once() -> None:
    """T-10: there is no time left for a warning."""
    story = ahead(47 * HOUR)
    over(story)
    assert deferral_causes(story) == ["booked_over"]
    assert story.mails("booked_over_warning") == []


def on_thursday(left: timedelta) -> Story:
    """The same, the session on a Thursday."""
    story = ahead(10 * DAY)
    assert f"{story.next.span.start:%a}" == "Mon"
    story.move(story.next, story.next.span.start + 3 * DAY, 75)
    story.tick_at(story.next.span.start - left)
    story.recheck_free_busy()
    return story


def test_a_session_just_over_48_hours_away_is_warned_of_and_stays_for_the_day_that_was_named() -> None:
    """T-10: though less than 48 hours are left on the way."""
    story = on_thursday(49 * HOUR)
    over(story)
    was = story.next.span
    assert len(story.mails("booked_over_warning")) == 1
    story.until(was.start - 25 * HOUR - MINUTE)
    story.tick_at(story.now)
    assert deferral_causes(story) == [] and story.next.span == was
    story.until(was.start - 25 * HOUR)
    assert deferral_causes(story) == ["booked_over"]


def test_too_late_for_a_warning_the_session_moves_at_once() -> None:
    """T-10, T-16: the warning would reach the manager on Monday, an hour before the session."""
    story = ahead(49 * HOUR)
    assert f"{story.now:%a}" == "Sat"
    over(story)
    assert deferral_causes(story) == ["booked_over"]
    assert story.mails("booked_over_warning") == []


@pytest.mark.parametrize("show", [ShowAs.BUSY, ShowAs.AWAY])
def test_inside_the_last_four_hours_nothing_moves_by_itself(show: ShowAs) -> None:
    """T-10."""
    story = ahead(4 * HOUR)
    over(story, show=show)
    assert deferral_causes(story) == []
    story = ahead(4 * HOUR + 5 * MINUTE)
    over(story, show=show)
    assert len(deferral_causes(story)) == 1


def test_a_tentative_event_is_not_booked_over() -> None:
    """T-10: somebody may come there; nobody has said so."""
    story = ahead(30 * HOUR)
    over(story, show=ShowAs.TENTATIVE)
    assert deferral_causes(story) == []


def test_what_only_touches_the_session_is_not_booked_over() -> None:
    """T-10: buffers are for finding a time, not for losing it."""
    story = ahead(30 * HOUR)
    span = story.next.span
    story.calendars.book(DANA, span.start - HOUR, span.start)
    story.book(DANA, Span(span.end, span.end + HOUR))
    assert deferral_causes(story) == []


def test_the_session_s_own_event_is_not_booked_over_it() -> None:
    """T-10: both calendars show it as busy."""
    story = ahead(30 * HOUR)
    assert changes_nothing(story.recheck_free_busy())
    assert deferral_causes(story) == []


def test_time_that_is_unknown_defers_nothing() -> None:
    """T-10: not to see is no sign."""
    story = ahead(6 * DAY)
    story.calendars.unknown[SAM.email] = "no access"
    assert changes_nothing(story.recheck_free_busy())


# --- out of office, holidays ---


@pytest.mark.parametrize("left", [5 * HOUR, 12 * DAY])
def test_out_of_office_acts_at_once(left: timedelta) -> None:
    """T-10: whoever is away says so; nobody needs a warning."""
    story = ahead(left)
    was = story.next
    story.calendars.book(SAM, was.span.start, was.span.end)
    story.book(SAM, Span(was.span.start - DAY, was.span.start + 3 * DAY), ShowAs.AWAY)
    (deferral,) = story.state.deferrals
    assert (deferral.cause, deferral.who) == (DeferralCause.OUT_OF_OFFICE, SAM.email)
    assert not story.next.span.overlaps(Span(was.span.start - DAY, was.span.start + 3 * DAY))


@pytest.mark.parametrize(("by_hand", "expected"), [(False, ["holiday"]), (True, [])])
def test_a_session_on_a_public_holiday_gets_another_day(by_hand: bool, expected: list[str]) -> None:
    """T-10, T-11: unless a human put it there."""
    fourth = session_of(utc(2026, 9, 28, 8), by_hand=by_hand)
    story = Story(state=state_of(fourth, report=person("Sam", "Europe/Prague", "CZ")))
    story.tick()  # the 28th of September is a Czech holiday
    assert deferral_causes(story) == expected
    assert (story.next.span.start.date() != date(2026, 9, 28)) == bool(expected)


def test_a_night_shift_may_run_on_into_a_holiday() -> None:
    """T-10, T-2: two in the morning of the 28th of September is still Sunday's shift, in Prague too."""
    night = "Sun-Thu 22:00-06:00"
    given = session_of(utc(2026, 9, 28, 0), 60, by_hand=False)
    people = (person("Dana", "Europe/Prague", "CZ", night), person("Sam", "Europe/Prague", "CZ", night))
    story = Story(state=state_of(given, manager=people[0], report=people[1]))
    story.tick()
    assert deferral_causes(story) == []


def test_somebody_who_moves_to_another_country_gets_its_holidays() -> None:
    """T-10: each in their own zone."""
    story = booked_story(Story(starting_pair()))
    story.state = replace(story.state, manager=person("Dana", "Europe/Prague", "CZ"))
    story.tick()
    assert deferral_causes(story) == ["holiday"]


# --- when calendars are looked at ---


def test_between_looks_nothing_is_asked() -> None:
    """Free/busy is read when a look is due; a plan in between needs nothing."""
    story = booked_story()
    story.now = NOW + HOUR
    assert plan(story.now, story.state, None, Policy()).needed_free_busy is None
    assert story.plan().due_at is not None


def test_a_session_is_looked_at_more_often_as_it_comes_near() -> None:
    """T-10: the last look is more than four hours before, so that something may still follow from it."""
    for kind in SessionKind:
        session = session_of(utc(2026, 10, 20, 8), kind=kind)
        instants = list_calendar_checks(session)
        assert list(instants) == sorted(instants)
        gaps = [b - a for a, b in pairwise(instants)]
        assert gaps == sorted(gaps, reverse=True)
        assert 4 * HOUR <= session.span.start - instants[-1] <= 16 * HOUR


@pytest.mark.parametrize("days", [13, 6, 3, 2, 1])
def test_what_is_booked_over_a_report_s_time_is_found_by_itself(days: int) -> None:
    """T-10, R-8: nobody told us of it; a look finds it."""
    story = booked_story()
    was = story.next
    story.tick_at(was.span.start - days * DAY)
    story.calendars.book(SAM, was.span.start, was.span.end)
    story.until(was.span.start - 4 * HOUR)
    assert deferral_causes(story) == ["booked_over"]


def test_a_calendar_that_can_t_be_asked_is_asked_again_soon() -> None:
    """T-10: and nothing is decided until then."""
    story = ahead(6 * DAY)
    story.calendars.unavailable = {SAM.email}
    story.calendars.book(DANA, story.next.span.start, story.next.span.end, ShowAs.AWAY)
    assert changes_nothing(story.recheck_free_busy())
    assert story.due == story.now + 5 * MINUTE
    story.calendars.unavailable = set()
    story.until(story.now + 5 * MINUTE)
    assert deferral_causes(story) == ["out_of_office"]


def test_other_people_s_events_never_carry_a_key() -> None:
    """T-10: an event of ours for another pair is as busy as any other."""
    story = ahead(30 * HOUR)
    story.calendars.busy.setdefault(DANA.email, []).append(BusyTime(story.next.span, key="c99.1"))
    story.recheck_free_busy()
    assert deferral_causes(story) == ["booked_over"]


# --- the two on different services ---


def apart() -> Story:
    """Sam's calendar is on another service than Dana's, and shows what came to it by mail like anything else."""
    sam = replace(SAM, calendar="google")
    story = booked_story(Story(manager=DANA, report=sam))
    story.tick_at(story.next.span.start - 6 * DAY)
    return story


def test_our_own_event_on_the_report_s_other_service_is_not_taken_for_another() -> None:
    """T-10: there it carries no key; what covers all of it is taken for it."""
    story = apart()
    was = story.next
    over(story, SAM)
    story.until(story.now + 2 * DAY)
    assert story.next == was
    assert not story.mails("booked_over_warning")


def test_our_own_event_is_not_taken_for_another_while_the_manager_s_calendar_can_t_be_read() -> None:
    """T-10: it is by that calendar that a service tells which of the report's busy times is ours."""
    story = ahead(6 * DAY)
    was = story.next
    story.calendars.unknown = {DANA.email: "the grant is gone"}
    over(story, SAM)
    story.until(story.now + 2 * DAY)
    assert story.next == was
    assert not story.mails("booked_over_warning")


def test_what_lies_over_a_part_of_it_there_is_something_else() -> None:
    """T-10, R-8."""
    story = apart()
    span = story.next.span
    story.book(SAM, Span(span.start + 30 * MINUTE, span.end + 30 * MINUTE))
    assert story.mails("booked_over_warning")


@pytest.mark.parametrize(("who", "show"), [(SAM, ShowAs.AWAY), (DANA, ShowAs.BUSY)], ids=["away", "the manager's own"])
def test_an_absence_there_and_the_manager_s_own_calendar_are_believed(who: Person, show: ShowAs) -> None:
    story = apart()
    over(story, who, show)
    story.until(story.now + 2 * DAY)
    assert deferral_causes(story) == [
        (DeferralCause.OUT_OF_OFFICE if show is ShowAs.AWAY else DeferralCause.BOOKED_OVER).value
    ]
