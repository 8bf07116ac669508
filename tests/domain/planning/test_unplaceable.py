"""Sessions without a time: a person is told why, once, and each is tried again (R-8; T-4, T-10, T-13)."""

from datetime import UTC, date, datetime, time
from itertools import pairwise

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, NOW, SAM, WEEK, pair_of, person
from tests.support.stories import Story, booked_story, fill_days, leave_daily_gap
from worker.domain.model import EffectKind, Format, SessionKind, Trigger
from worker.domain.planning import actions
from worker.domain.reason_texts import format_reasons
from worker.domain.time.worktime import add_weekdays

# --- T-4: unplaceable ---


def crowded(days: int = 400) -> Story:
    story = Story()
    fill_days(story, SAM, date(2026, 9, 1), days)
    story.tick()
    return story


def test_t4_when_nothing_fits_both_are_told_why_at_once_and_every_four_weeks() -> None:
    """T-4, R-8: silence is never the outcome."""
    story = crowded()
    assert story.next.unplaceable
    assert story.next.owed
    both = [(DANA.email, story.next.id), (SAM.email, story.next.id)]
    assert [(m.to, m.subject) for m in story.mails("unplaceable")] == both
    assert [d.reason for d in story.decisions if d.what == "unplaceable"] == [
        format_reasons(story.next.unplaceable or ())
    ]
    story.until(NOW + 27 * DAY)
    assert len(story.mails("unplaceable")) == 2
    story.until(NOW + 29 * DAY)
    assert len(story.mails("unplaceable")) == 4, "and again every four weeks"
    assert len([d for d in story.decisions if d.what == "unplaceable"]) == 1


def test_what_is_unplaceable_is_tried_again_each_day() -> None:
    """T-10: at the daily look, and not in between."""
    story = crowded()
    assert story.due == NOW + DAY
    story.calendars.busy.clear()
    story.tick_at(NOW + 12 * HOUR)
    assert not story.next.booked
    story.until(NOW + DAY)
    assert story.next.booked
    assert story.next.unplaceable is None


def test_a_calendar_that_changed_is_reason_to_try_at_once() -> None:
    story = crowded()
    story.now = NOW + HOUR
    story.clear()
    assert story.next.booked


def test_what_becomes_unplaceable_goes_from_the_calendar() -> None:
    """T-10: an event that stands where nobody comes helps nobody; a later one is another event."""
    story = booked_story()
    old = story.next
    fill_days(story, SAM, date(2026, 9, 1), 200)
    story.decline(old)
    assert story.next.id == old.id
    assert story.next.unplaceable
    assert story.our_events() == []
    story.now += DAY
    story.clear()
    assert story.next.booked
    assert story.next.key != old.key
    assert [p.key for p in story.our_events()] == [story.next.key]


def test_a_reason_that_changes_is_kept_and_not_mailed_again() -> None:
    story = crowded()
    first = story.next.unplaceable
    story.calendars.unknown[DANA.email] = "no access"
    story.until(NOW + DAY)
    assert story.next.unplaceable != first
    assert len(story.mails("unplaceable")) == 2


def test_unplaceable_a_second_time_is_told_a_second_time() -> None:
    """T-4: in between it had a time."""
    story = crowded()
    story.now += HOUR
    story.clear()
    fill_days(story, SAM, date(2026, 9, 1), 400)
    story.decline(story.next)
    assert story.next.unplaceable
    assert len(story.mails("unplaceable")) == 4


# --- T-10: the windows of a deferred session ---


def test_then_it_is_unplaceable_and_the_reason_counts() -> None:
    """T-10: 60 minutes in twenty days don't exist either."""
    story = booked_story()
    leave_daily_gap(story, 89)
    story.decline(story.next)
    assert story.next.unplaceable
    assert [m.number for m in story.mails("unplaceable")] == [1, 1]


# --- refusals ---


def test_a_calendar_that_refuses_is_asked_again_later_and_later() -> None:
    """T-4, R-8: after 5 minutes, then 20, then 80, and so on up to a day; each time a new event."""
    story = Story()
    story.refuses = True
    tried: list[datetime] = []
    keys: set[str] = set()
    for _ in range(8):
        while not (made := story.tick()).effects:
            assert story.due is not None
            story.now = max(story.due, story.now + MINUTE)
        keys |= {m.key for m in made.effects if m.kind is EffectKind.CREATE}
        tried.append(story.now)
    waits = [(later - earlier) / MINUTE for earlier, later in pairwise(tried)]
    assert waits == [5, 20, 80, 320, 1280, 1440, 1440]
    assert len(keys) == 8


def test_once_it_takes_events_again_all_is_well() -> None:
    """T-4."""
    story = Story()
    story.refuses = True
    story.tick()
    story.refuses = False
    story.until(NOW + 10 * MINUTE)
    assert story.placed_event(story.next)
    assert story.next.count == 0  # nobody deferred anything


# --- odd states ---


def test_people_who_share_no_hour_are_told_how_to_meet() -> None:
    """T-4, R-8: Apia and Berlin."""
    story = Story(report=person("Sam", "Pacific/Apia", "WS"))
    story.tick()
    assert "share no working hours" in format_reasons(story.next.unplaceable or ())


# --- T-13: the parts of a series ---


def test_a_part_without_room_in_its_days_is_put_later_and_the_next_part_after_it() -> None:
    """T-13, T-4: five to ten working days after the part before; when there is no room, the window opens."""
    story = Story(pair_of(format=Format.SERIES))
    story.tick()
    first, second, _ = story.sessions_of_kind(SessionKind.CAREER)
    begin = second.earliest
    end = datetime.combine(add_weekdays(first.span.start.date(), 10), time(22), UTC)
    assert begin <= second.span.start <= end
    full = Story(pair_of(format=Format.SERIES))
    full.calendars.book(SAM, begin, end)
    full.tick()
    _, late, last = full.sessions_of_kind(SessionKind.CAREER)
    assert end < late.span.start < end + 3 * WEEK
    assert late.span.end + 5 * DAY < last.span.start


def test_three_parts_without_a_time_take_one_mail() -> None:
    """T-4, T-13: about the first, which the others wait for; once it has a time, the next part is told of."""
    story = Story(pair_of(format=Format.SERIES))
    story.calendars.unknown[SAM.email] = "no access"
    story.tick()
    parts = story.sessions_of_kind(SessionKind.CAREER)
    assert [bool(part.unplaceable) for part in parts] == [True, False, False]
    assert [m.subject for m in story.mails("unplaceable")] == [parts[0].id] * 2
    story.until(NOW + 3 * DAY)
    assert len(story.mails("unplaceable")) == 2
    story.calendars.unknown.clear()
    story.calendars.book(SAM, parts[0].target + 5 * DAY, NOW + 30 * WEEK)
    story.until(NOW + 4 * DAY)
    first, *others = story.sessions_of_kind(SessionKind.CAREER)
    late = [part for part in others if part.unplaceable]
    assert first.booked and late
    assert [m.subject for m in story.mails("unplaceable")] == [first.id] * 2 + [late[0].id] * 2


def test_what_was_asked_for_has_a_mail_of_its_own() -> None:
    """T-4, T-14."""
    story = Story()
    story.calendars.unknown[SAM.email] = "no access"
    story.tick()
    story.act(lambda p: actions.request_talk(p, Trigger.DOUBT))
    assert [m.to for m in story.mails("unplaceable")] == [DANA.email, SAM.email, DANA.email]
