"""Clashes with a booked session: warnings, moves, absences, holidays and calendar checks.

R-8 and T-10: a session that loses its time gets another. T-11: busy time over which a person put a session is intended.
"""

from dataclasses import replace
from datetime import date, timedelta
from itertools import pairwise

import pytest

from tests.support.pairs import (
    BOTH_PEOPLE,
    DANA,
    DAY,
    HOUR,
    MINUTE,
    NOW,
    SAM,
    person,
    session_of,
    starting_pair,
    state_of,
    utc,
)
from tests.support.stories import Story, booked_story, changes_nothing, deferral_causes, make_story_before_session
from worker.domain.model import BusyTime, DeferralCause, Person, Policy, SessionKind, ShowAs, Span
from worker.domain.planning import actions
from worker.domain.planning.deferrals import list_calendar_checks
from worker.domain.planning.planner import plan

# --- clashes: a warning, then a move a day later ---


def book_clash(story: Story, who: Person = DANA, show: ShowAs = ShowAs.BUSY) -> None:
    """Book an event over the whole next session."""
    story.book(who, story.next.span, show)


@pytest.mark.parametrize("busy_person", BOTH_PEOPLE, ids=lambda participant: participant.name)
def test_a_clash_causes_a_warning_and_a_deferral_a_day_later(busy_person: Person) -> None:
    """T-10, R-8: the session moves a day after the warning if the clash remains."""
    story = make_story_before_session(6 * DAY)
    book_clash(story, busy_person)
    warned_at, session = story.now, story.next
    assert [(m.to, m.start) for m in story.mails("booked_over_warning")] == [(DANA.email, session.start)]
    assert session.warned_at == warned_at
    assert f"event in {busy_person.email}'s calendar clashes with the session" in story.decisions[-1].reason
    story.until(warned_at + DAY - MINUTE)
    assert story.next.span == session.span
    story.until(warned_at + DAY)
    assert deferral_causes(story) == ["booked_over"]
    assert story.state.deferrals[0].who == busy_person.email
    assert story.next.span != session.span
    assert len(story.mails("booked_over_warning")) == 1


def test_an_event_without_length_is_no_clash() -> None:
    """T-2, T-10: it takes no time, at any point of the session."""
    story = make_story_before_session(6 * DAY)
    middle = story.next.span.start + 30 * MINUTE
    story.book(DANA, Span(middle, middle))
    assert story.mails("booked_over_warning") == [] and story.next.warned_at is None


def test_warning_ends_after_24_hours_even_if_the_pair_is_planned_in_between() -> None:
    """T-10: a plan for another reason still makes the pair due 24 hours after the warning."""
    story = make_story_before_session(13 * DAY)
    book_clash(story)
    warned_at = story.now
    story.tick_at(warned_at + HOUR)
    assert story.due is not None
    assert story.due <= warned_at + DAY
    story.until(warned_at + DAY)
    assert deferral_causes(story) == ["booked_over"]


def test_session_stays_when_the_clash_is_removed_in_time() -> None:
    """T-10: the warning ends as well."""
    story = make_story_before_session(6 * DAY)
    book_clash(story)
    span = story.next.span
    story.tick_at(story.now + 5 * HOUR)
    story.clear()
    assert story.next.warned_at is None
    assert "free again" in story.decisions[-1].reason
    story.until(span.start - 5 * HOUR)
    assert deferral_causes(story) == []
    assert story.next.span == span


def test_second_clash_is_warned_of_for_another_day() -> None:
    """T-10: the time since the first warning does not count."""
    story = make_story_before_session(10 * DAY)
    book_clash(story)
    story.tick_at(story.now + 5 * HOUR)
    story.clear()
    story.tick_at(story.now + HOUR)
    book_clash(story)
    second_warning_at = story.now
    story.until(second_warning_at + DAY - MINUTE)
    assert deferral_causes(story) == []
    assert len(story.mails("booked_over_warning")) == 2


# --- sessions that a person moved over busy time ---


@pytest.mark.parametrize("show", [ShowAs.BUSY, ShowAs.AWAY])
@pytest.mark.parametrize("busy_person", BOTH_PEOPLE, ids=lambda participant: participant.name)
def test_session_moved_by_hand_over_busy_time_stays(busy_person: Person, show: ShowAs) -> None:
    """T-11, R-9: the person saw the busy time, so it is intended: no move and no warning follow."""
    story = make_story_before_session(10 * DAY)
    new_start = story.next.span.start - DAY
    story.calendars.book(busy_person, new_start - HOUR, new_start + 3 * HOUR, show)
    story.move(story.next, new_start, minutes=75)
    session = story.next
    assert session.start == new_start and session.by_hand
    story.until(new_start + 75 * MINUTE)
    assert deferral_causes(story) == [] and story.mails("booked_over_warning") == []
    assert story.session(session.id).held_at == new_start + 75 * MINUTE


@pytest.mark.parametrize("busy_person", BOTH_PEOPLE, ids=lambda participant: participant.name)
def test_clash_that_comes_after_a_hand_move_defers_the_session(busy_person: Person) -> None:
    """T-11: the later event, on either calendar, takes the quarter-hours that were free at the move."""
    story = make_story_before_session(10 * DAY)
    new_start = story.next.span.start - DAY
    story.calendars.book(DANA, new_start, new_start + HOUR)
    story.move(story.next, new_start, minutes=75)
    story.tick_at(story.now + HOUR)
    story.book(busy_person, Span(new_start + 30 * MINUTE, new_start + 75 * MINUTE))
    assert len(story.mails("booked_over_warning")) == 1
    story.until(story.now + DAY)
    assert deferral_causes(story) == ["booked_over"]


def test_absence_after_a_hand_move_defers_the_session() -> None:
    """T-11, T-10: an intended meeting can be left early, but a person who is away does not come."""
    story = make_story_before_session(10 * DAY)
    new_start = story.next.span.start - DAY
    story.calendars.book(SAM, new_start, new_start + 2 * HOUR)
    story.move(story.next, new_start, minutes=75)
    story.book(SAM, Span(new_start - 2 * HOUR, new_start + 6 * HOUR), ShowAs.AWAY)
    assert deferral_causes(story) == ["out_of_office"]


def test_busy_time_under_a_requested_time_is_intended() -> None:
    """T-11: what is on the calendar at the request is intended, although the event moves only afterwards."""
    story = make_story_before_session(10 * DAY)
    requested_time = Span(story.next.span.start - DAY, story.next.span.end - DAY)
    story.calendars.book(DANA, requested_time.start, requested_time.end)
    story.act(lambda builder: actions.request_time(builder, builder.sessions[story.next.id], requested_time))
    story.recheck_free_busy()
    story.until(requested_time.start)
    assert deferral_causes(story) == ["asked"] and story.next.span == requested_time


def test_intended_time_is_read_later_when_free_busy_is_unavailable_at_the_move() -> None:
    """T-11: the move is kept in the meantime."""
    story = make_story_before_session(10 * DAY)
    new_start = story.next.span.start - DAY
    story.calendars.book(DANA, new_start, new_start + HOUR)
    story.calendars.unavailable.add(DANA.email)
    story.move(story.next, new_start, minutes=75)
    assert story.next.start == new_start and story.next.intended is None
    story.calendars.unavailable.clear()
    story.until(story.now + HOUR)
    assert story.next.intended is not None
    story.recheck_free_busy()
    assert deferral_causes(story) == [] and story.mails("booked_over_warning") == []


def test_clash_less_than_48_hours_before_the_session_defers_it_at_once() -> None:
    """T-10: no time is left for a warning."""
    story = make_story_before_session(47 * HOUR)
    book_clash(story)
    assert deferral_causes(story) == ["booked_over"]
    assert story.mails("booked_over_warning") == []


def make_story_before_thursday(left: timedelta) -> Story:
    """A story before a session on a Thursday; otherwise as `make_story_before_session`."""
    story = make_story_before_session(10 * DAY)
    assert f"{story.next.span.start:%a}" == "Mon"
    story.move(story.next, story.next.span.start + 3 * DAY, minutes=75)
    story.tick_at(story.next.span.start - left)
    story.recheck_free_busy()
    return story


def test_clash_49_hours_before_the_session_defers_it_24_hours_after_the_warning() -> None:
    """T-10: the session stays until then, although less than 48 hours are left in the meantime."""
    story = make_story_before_thursday(49 * HOUR)
    book_clash(story)
    span = story.next.span
    assert len(story.mails("booked_over_warning")) == 1
    story.until(span.start - 25 * HOUR - MINUTE)  # 24 hours after the warning, but for a minute
    story.tick_at(story.now)
    assert deferral_causes(story) == [] and story.next.span == span
    story.until(span.start - 25 * HOUR)
    assert deferral_causes(story) == ["booked_over"]


def test_clash_defers_at_once_when_the_warning_would_come_too_late() -> None:
    """T-10, T-16: the warning would reach the manager on Monday, an hour before the session."""
    story = make_story_before_session(49 * HOUR)
    assert f"{story.now:%a}" == "Sat"
    book_clash(story)
    assert deferral_causes(story) == ["booked_over"]
    assert story.mails("booked_over_warning") == []


@pytest.mark.parametrize("show", [ShowAs.BUSY, ShowAs.AWAY])
def test_no_clash_moves_a_session_in_its_last_four_hours(show: ShowAs) -> None:
    """T-10: five minutes earlier the session still moves."""
    story = make_story_before_session(4 * HOUR)
    book_clash(story, show=show)
    assert deferral_causes(story) == []
    story = make_story_before_session(4 * HOUR + 5 * MINUTE)
    book_clash(story, show=show)
    assert len(deferral_causes(story)) == 1


def test_tentative_event_is_no_clash() -> None:
    """T-10: nobody has agreed to that event yet."""
    story = make_story_before_session(30 * HOUR)
    book_clash(story, show=ShowAs.TENTATIVE)
    assert deferral_causes(story) == []


def test_event_directly_before_or_after_the_session_is_no_clash() -> None:
    """T-10: the buffer counts when a time is found, and not when it is kept."""
    story = make_story_before_session(30 * HOUR)
    span = story.next.span
    story.calendars.book(DANA, span.start - HOUR, span.start)
    story.book(DANA, Span(span.end, span.end + HOUR))
    assert deferral_causes(story) == []


def test_event_of_the_session_is_no_clash_with_it() -> None:
    """T-10: both calendars show that event as busy."""
    story = make_story_before_session(30 * HOUR)
    assert changes_nothing(story.recheck_free_busy())
    assert deferral_causes(story) == []


def test_unknown_time_does_not_defer_a_session() -> None:
    """T-10: unknown is no sign of a clash."""
    story = make_story_before_session(6 * DAY)
    story.calendars.unknown[SAM.email] = "no access"
    assert changes_nothing(story.recheck_free_busy())


# --- out of office, holidays ---


@pytest.mark.parametrize("left", [5 * HOUR, 12 * DAY])
def test_an_absence_defers_the_session_at_once(left: timedelta) -> None:
    """T-10: an absence needs no warning, even twelve days ahead."""
    story = make_story_before_session(left)
    session = story.next
    story.calendars.book(SAM, session.span.start, session.span.end)
    story.book(SAM, Span(session.span.start - DAY, session.span.start + 3 * DAY), ShowAs.AWAY)
    (deferral,) = story.state.deferrals
    assert (deferral.cause, deferral.who) == (DeferralCause.OUT_OF_OFFICE, SAM.email)
    assert not story.next.span.overlaps(Span(session.span.start - DAY, session.span.start + 3 * DAY))


@pytest.mark.parametrize(("by_hand", "expected_causes"), [(False, ["holiday"]), (True, [])])
def test_session_on_a_public_holiday_moves_unless_a_person_put_it_there(
    by_hand: bool, expected_causes: list[str]
) -> None:
    """T-10, T-11: 28 September is a public holiday in Czechia."""
    session = session_of(utc(2026, 9, 28, 8), by_hand=by_hand)
    story = Story(state=state_of(session, report=person("Sam", "Europe/Prague", "CZ")))
    story.tick()
    assert deferral_causes(story) == expected_causes
    assert (story.next.span.start.date() != date(2026, 9, 28)) == bool(expected_causes)


def test_night_shift_that_ends_on_a_holiday_is_working_time() -> None:
    """T-10, T-2: at two in the morning of 28 September, a holiday, the shift of Sunday still runs in Prague."""
    night_shift = "Sun-Thu 22:00-06:00"
    session = session_of(utc(2026, 9, 28, 0), minutes=60, by_hand=False)
    people = (person("Dana", "Europe/Prague", "CZ", night_shift), person("Sam", "Europe/Prague", "CZ", night_shift))
    story = Story(state=state_of(session, manager=people[0], report=people[1]))
    story.tick()
    assert deferral_causes(story) == []


def test_holidays_of_a_new_country_defer_a_booked_session() -> None:
    """T-10: the session is on 28 September, which is a public holiday in Czechia and not in Germany."""
    story = booked_story(Story(starting_pair()))
    story.state = replace(story.state, manager=person("Dana", "Europe/Prague", "CZ"))
    story.tick()
    assert deferral_causes(story) == ["holiday"]


# --- when calendars are checked ---


def test_plan_between_calendar_checks_needs_no_free_busy() -> None:
    story = booked_story()
    story.now = NOW + HOUR
    assert plan(story.now, story.state, snapshot=None, policy=Policy()).needed_free_busy is None
    assert story.plan().due_at is not None


def test_calendar_checks_come_closer_together_towards_the_session() -> None:
    """T-10: the last check is more than four hours before the session, so that the session can still move."""
    for kind in SessionKind:
        session = session_of(utc(2026, 10, 20, 8), kind=kind)
        checks = list_calendar_checks(session)
        assert list(checks) == sorted(checks)
        gaps = [b - a for a, b in pairwise(checks)]
        assert gaps == sorted(gaps, reverse=True)
        assert 4 * HOUR <= session.span.start - checks[-1] <= 16 * HOUR


@pytest.mark.parametrize("days", [13, 6, 3, 2, 1])
def test_calendar_check_finds_a_clash_on_the_report_s_calendar(days: int) -> None:
    """T-10, R-8: no notification has come; a regular check finds the clash."""
    story = booked_story()
    session = story.next
    story.tick_at(session.span.start - days * DAY)
    story.calendars.book(SAM, session.span.start, session.span.end)
    story.until(session.span.start - 4 * HOUR)
    assert deferral_causes(story) == ["booked_over"]


def test_unavailable_calendar_is_checked_again_after_five_minutes() -> None:
    """T-10: nothing is decided until then."""
    story = make_story_before_session(6 * DAY)
    story.calendars.unavailable = {SAM.email}
    story.calendars.book(DANA, story.next.span.start, story.next.span.end, ShowAs.AWAY)
    assert changes_nothing(story.recheck_free_busy())
    assert story.due == story.now + 5 * MINUTE
    story.calendars.unavailable = set()
    story.until(story.now + 5 * MINUTE)
    assert deferral_causes(story) == ["out_of_office"]


def test_event_of_another_pair_is_a_clash() -> None:
    """T-10: our event for another pair, which has a key, is busy time like any other event."""
    story = make_story_before_session(30 * HOUR)
    story.calendars.busy.setdefault(DANA.email, []).append(BusyTime(story.next.span, key="c99.1"))
    story.recheck_free_busy()
    assert deferral_causes(story) == ["booked_over"]


# --- people on different calendar services ---


def make_story_on_two_services() -> Story:
    """A story in which Sam's calendar is on another service than Dana's.

    That calendar shows our event, which came by mail, without a key.
    """
    sam = replace(SAM, calendar="google")
    story = booked_story(Story(manager=DANA, report=sam))
    story.tick_at(story.next.span.start - 6 * DAY)
    return story


def test_our_event_without_key_on_another_service_is_no_clash() -> None:
    """T-10: busy time that covers the whole session counts as our own event there."""
    story = make_story_on_two_services()
    session = story.next
    book_clash(story, SAM)
    story.until(story.now + 2 * DAY)
    assert story.next == session
    assert not story.mails("booked_over_warning")


def test_our_event_is_no_clash_while_the_manager_s_calendar_is_unknown() -> None:
    """T-10: a service recognizes our event in the report's busy time by the manager's calendar."""
    story = make_story_before_session(6 * DAY)
    session = story.next
    story.calendars.unknown = {DANA.email: "the grant is gone"}
    book_clash(story, SAM)
    story.until(story.now + 2 * DAY)
    assert story.next == session
    assert not story.mails("booked_over_warning")


def test_busy_time_over_part_of_the_session_on_another_service_is_a_clash() -> None:
    """T-10, R-8: our own event would cover the whole session."""
    story = make_story_on_two_services()
    span = story.next.span
    story.book(SAM, Span(span.start + 30 * MINUTE, span.end + 30 * MINUTE))
    assert story.mails("booked_over_warning")


@pytest.mark.parametrize(
    ("busy_person", "show"), [(SAM, ShowAs.AWAY), (DANA, ShowAs.BUSY)], ids=["away", "the manager's own"]
)
def test_absence_on_another_service_or_event_of_the_manager_is_a_clash(busy_person: Person, show: ShowAs) -> None:
    """Neither can be our own event as the other service shows it."""
    story = make_story_on_two_services()
    book_clash(story, busy_person, show)
    story.until(story.now + 2 * DAY)
    assert deferral_causes(story) == [
        (DeferralCause.OUT_OF_OFFICE if show is ShowAs.AWAY else DeferralCause.BOOKED_OVER).value
    ]
