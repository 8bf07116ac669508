"""Unplaceable sessions: the mails with their reasons, and later attempts to place them.

R-8 and T-4: both people learn why no time fits, and the session stays owed. T-10 is about deferred sessions, T-13 about
the parts of a series.
"""

from datetime import UTC, date, datetime, time
from itertools import pairwise

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, WEEK, pair_of, person
from tests.support.stories import Story, booked_story, fill_days, leave_daily_gap
from worker.domain.model import EffectKind, Format, SessionKind, Trigger
from worker.domain.planning import actions
from worker.domain.reason_texts import format_reasons
from worker.domain.time.worktime import add_weekdays

# --- T-4: unplaceable ---


def make_crowded_story(days: int = 400) -> Story:
    """A story in which Sam is busy day and night, so that the first session is unplaceable."""
    story = Story()
    fill_days(story, SAM, date(2026, 9, 1), days=days)
    story.tick()
    return story


def test_t4_both_get_mails_about_an_unplaceable_session_every_four_weeks() -> None:
    """T-4, R-8: each unplaceable session causes mails to both people."""
    story = make_crowded_story()
    assert story.next.unplaceable
    assert story.next.owed
    mails_to_both = [(DANA.email, story.next.id), (SAM.email, story.next.id)]
    assert [(m.to, m.subject) for m in story.mails("unplaceable")] == mails_to_both
    assert [d.reason for d in story.decisions if d.what == "unplaceable"] == [
        format_reasons(story.next.unplaceable or ())
    ]
    story.until(NOW + 27 * DAY)
    assert len(story.mails("unplaceable")) == 2
    story.until(NOW + 29 * DAY)
    assert len(story.mails("unplaceable")) == 4, "the mail was not repeated after four weeks"
    assert len([d for d in story.decisions if d.what == "unplaceable"]) == 1


def test_unplaceable_session_is_tried_again_once_a_day() -> None:
    """T-10: a plan in between does not read free/busy again."""
    story = make_crowded_story()
    assert story.due == NOW + DAY
    story.calendars.busy.clear()
    story.tick_at(NOW + 12 * HOUR)
    assert not story.next.booked
    story.until(NOW + DAY)
    assert story.next.booked
    assert story.next.unplaceable is None


def test_change_on_a_calendar_makes_an_unplaceable_session_tried_at_once() -> None:
    story = make_crowded_story()
    story.now = NOW + HOUR
    story.clear()
    assert story.next.booked


def test_event_of_a_session_that_becomes_unplaceable_is_cancelled() -> None:
    """T-10: when the session gets a time again, another event is created."""
    story = booked_story()
    declined = story.next
    fill_days(story, SAM, date(2026, 9, 1), days=200)
    story.decline(declined)
    assert story.next.id == declined.id
    assert story.next.unplaceable
    assert story.our_events() == []
    story.now += DAY
    story.clear()
    assert story.next.booked
    assert story.next.key != declined.key
    assert [event.key for event in story.our_events()] == [story.next.key]


def test_changed_reason_of_an_unplaceable_session_is_stored_without_another_mail() -> None:
    story = make_crowded_story()
    first_reason = story.next.unplaceable
    story.calendars.unknown[DANA.email] = "no access"
    story.until(NOW + DAY)
    assert story.next.unplaceable != first_reason
    assert len(story.mails("unplaceable")) == 2


def test_session_that_becomes_unplaceable_again_causes_mails_again() -> None:
    """T-4: the session had a time in between."""
    story = make_crowded_story()
    story.now += HOUR
    story.clear()
    fill_days(story, SAM, date(2026, 9, 1), days=400)
    story.decline(story.next)
    assert story.next.unplaceable
    assert len(story.mails("unplaceable")) == 4


# --- T-10: the windows of a deferred session ---


def test_deferred_session_without_room_for_60_minutes_is_unplaceable() -> None:
    """T-10: the daily gap is a minute too short for 60 minutes and two buffers.

    The mails carry the count of the deferral.
    """
    story = booked_story()
    leave_daily_gap(story, minutes=89)
    story.decline(story.next)
    assert story.next.unplaceable
    assert [m.number for m in story.mails("unplaceable")] == [1, 1]


# --- refusals ---


def test_refused_write_is_tried_again_after_growing_pauses() -> None:
    """T-4, R-8: after 5, 20 and 80 minutes and so on, up to a day. Each attempt creates an event with another key."""
    story = Story()
    story.refuses = True
    attempts: list[datetime] = []
    keys: set[str] = set()
    for _ in range(8):
        while not (attempt_plan := story.tick()).effects:
            assert story.due is not None
            story.now = max(story.due, story.now + MINUTE)
        keys |= {effect.key for effect in attempt_plan.effects if effect.kind is EffectKind.CREATE}
        attempts.append(story.now)
    pauses = [(later - earlier) / MINUTE for earlier, later in pairwise(attempts)]
    assert pauses == [5, 20, 80, 320, 1280, 1440, 1440]
    assert len(keys) == 8


def test_session_gets_its_event_once_the_calendar_accepts_writes() -> None:
    """T-4: the refusals are no deferral."""
    story = Story()
    story.refuses = True
    story.tick()
    story.refuses = False
    story.until(NOW + 10 * MINUTE)
    assert story.placed_event(story.next)
    assert story.next.count == 0


# --- people without shared hours ---


def test_reason_names_that_the_pair_shares_no_working_hours() -> None:
    """T-4, R-8: Dana works in Berlin, Sam in Apia."""
    story = Story(report=person("Sam", "Pacific/Apia", "WS"))
    story.tick()
    assert "share no working hours" in format_reasons(story.next.unplaceable or ())


# --- T-13: the parts of a series ---


def test_part_without_room_in_its_window_is_placed_later_and_the_next_part_follows() -> None:
    """T-13, T-4: its window is five to ten working days after the earlier part, and is extended when it is full."""
    story = Story(pair_of(format=Format.SERIES))
    story.tick()
    first, second, _ = story.sessions_of_kind(SessionKind.CAREER)
    window_start = second.earliest
    last_day = add_weekdays(first.span.start.date(), 10)
    window_end = datetime.combine(last_day, time(22), UTC)  # midnight in Berlin
    assert window_start <= second.span.start <= window_end
    full_story = Story(pair_of(format=Format.SERIES))
    full_story.calendars.book(SAM, window_start, window_end)
    full_story.tick()
    _, late_part, last_part = full_story.sessions_of_kind(SessionKind.CAREER)
    assert window_end < late_part.span.start < window_end + 3 * WEEK
    assert late_part.span.end + 5 * DAY < last_part.span.start


def test_unplaceable_series_causes_mails_about_its_first_part_only() -> None:
    """T-4, T-13: the later parts wait for the first. Once it has a time, the next part causes mails."""
    story = Story(pair_of(format=Format.SERIES))
    story.calendars.unknown[SAM.email] = "no access"
    story.tick()
    parts = story.sessions_of_kind(SessionKind.CAREER)
    assert [bool(part.unplaceable) for part in parts] == [True, False, False]
    assert [m.subject for m in story.mails("unplaceable")] == [parts[0].id] * 2
    story.until(NOW + 3 * DAY)
    assert len(story.mails("unplaceable")) == 2
    story.calendars.unknown.clear()
    story.calendars.book(SAM, parts[0].target + 5 * DAY, NOW + 30 * WEEK)  # only the first part has room
    story.until(NOW + 4 * DAY)
    first, *others = story.sessions_of_kind(SessionKind.CAREER)
    unplaceable_parts = [part for part in others if part.unplaceable]
    assert first.booked and unplaceable_parts
    assert [m.subject for m in story.mails("unplaceable")] == [first.id] * 2 + [unplaceable_parts[0].id] * 2


def test_unplaceable_ad_hoc_session_causes_its_own_mail() -> None:
    """T-4, T-14: it is to the manager alone. The regular session is unplaceable too, and its mails go to both."""
    story = Story()
    story.calendars.unknown[SAM.email] = "no access"
    story.tick()
    story.act(lambda builder: actions.request_ad_hoc_session(builder, Trigger.DOUBT))
    assert [m.to for m in story.mails("unplaceable")] == [DANA.email, SAM.email, DANA.email]
