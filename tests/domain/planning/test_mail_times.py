"""When a mail may reach its reader, and which of a day leave (T-16)."""

from dataclasses import replace
from datetime import datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.pairs import DANA, DAY, HOUR, MINUTE, effect_of, is_mail_time, person, utc
from worker.domain.model import Effect, MailName, Person, Span
from worker.domain.planning.mail_times import (
    ANY_HOUR,
    MAX_MAILS_A_DAY,
    MIN_PREPARATION,
    NEVER_FOLDED,
    REMINDERS,
    choose_mail_time,
    divide_mails,
)
from worker.domain.time.worktime import get_local_date

MONDAY = utc(2026, 9, 7)
WEEKS = st.sampled_from(
    ["Tue 09:00-17:00", "Mon-Fri 22:00-06:00", "Mon-Thu 07:00-17:00", "Sat,Sun 10:00-14:00", "Mon-Fri 09:00-17:00"]
)
ZONES = st.sampled_from([("Europe/Berlin", "DE"), ("America/St_Johns", "CA-NL"), ("Pacific/Apia", "WS")])
CAN_WAIT = sorted(set(MailName) - ANY_HOUR - REMINDERS - set(MIN_PREPARATION))


@st.composite
def readers(draw: st.DrawFn) -> Person:
    spells = draw(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=3))
    away = tuple(Span(MONDAY + first * DAY, MONDAY + (first + days) * DAY) for first, days in spells)
    return replace(person("Sam", *draw(ZONES), hours=draw(WEEKS)), absences=away)


@settings(max_examples=150, deadline=None)
@given(readers(), st.integers(0, 40 * 96), st.sampled_from(CAN_WAIT))
def test_no_mail_that_can_wait_is_due_outside_its_readers_hours(reader: Person, quarter: int, name: str) -> None:
    """T-16: whatever the shape of the week, whoever is out of office when."""
    wish = MONDAY + quarter * 15 * MINUTE
    time = choose_mail_time(name, reader, wish)
    assert time.counts and time.due_at >= wish and is_mail_time(reader, time.due_at)
    assert time.due_at == wish or not is_mail_time(reader, wish)


@settings(max_examples=100, deadline=None)
@given(
    readers(),
    st.integers(0, 20 * 96),
    st.lists(st.tuples(st.sampled_from(sorted(set(CAN_WAIT) | set(MIN_PREPARATION))), st.integers(0, 3)), max_size=14),
)
def test_at_most_three_leave_a_day_and_none_is_lost(
    reader: Person, quarter: int, given_: list[tuple[MailName, int]]
) -> None:
    """T-16: in batches through the day; only what always goes itself may be one more; nothing is dropped."""
    now = MONDAY + quarter * 15 * MINUTE
    left: list[tuple[datetime, Effect]] = []
    folded: list[Effect] = []
    for batch in range(4):
        at = now + batch * HOUR
        due = [
            replace(_mail(name, f"{batch}.{n}"), start=at + 9 * DAY)
            for n, (name, when) in enumerate(given_)
            if when == batch
        ]
        today = get_local_date(reader.zone, at)
        sent = sum(get_local_date(reader.zone, when) == today for when, _ in left)
        day = divide_mails(reader, due, sent, at)
        assert len(day.leaving) + len(day.folded) + len(day.waiting) == len(due)
        left += [(at, mail) for mail in day.leaving]
        folded += day.folded
        assert all(mail.name in MIN_PREPARATION or is_mail_time(reader, at) for mail in day.leaving)
        assert all(until > at for _, until in day.waiting)
        assert all(mail.name in MIN_PREPARATION or is_mail_time(reader, until) for mail, until in day.waiting)
        assert bool(day.folded) == (day.overflow_at is not None)
        assert day.overflow_at is None or (day.overflow_at > at and is_mail_time(reader, day.overflow_at))
        assert not {mail.name for mail in day.folded} & NEVER_FOLDED
    for day_ in {get_local_date(reader.zone, when) for when, _ in left}:
        mails = [mail for when, mail in left if get_local_date(reader.zone, when) == day_]
        assert len(mails) <= MAX_MAILS_A_DAY or sum(mail.name not in NEVER_FOLDED for mail in mails) <= MAX_MAILS_A_DAY


def _mail(name: str, key: str) -> Effect:
    return effect_of(name, key=f"{name}:{key}", counts=True)


@pytest.mark.parametrize("hours", [1, 23])
def test_what_changes_the_next_day_reaches_anybody_at_any_hour(hours: int) -> None:
    """T-16: a session that loses tomorrow's time is told at night; one of next week in the morning."""
    night = utc(2026, 9, 7, 21)
    soon = choose_mail_time(MailName.DEFERRAL_NOTICE, DANA, night, lost_start=night + hours * HOUR)
    assert (soon.due_at, soon.counts) == (night, False)
    later = choose_mail_time(MailName.DEFERRAL_NOTICE, DANA, night, session_start=night + 7 * DAY)
    assert (later.due_at, later.counts) == (utc(2026, 9, 8, 7), True)


def test_a_brief_leaves_at_night_only_when_no_hour_is_left() -> None:
    """T-6, T-16: before a session at the start of tomorrow."""
    night = utc(2026, 9, 7, 21)
    assert choose_mail_time(MailName.BRIEF, DANA, night, session_start=utc(2026, 9, 8, 7)).due_at == night
    assert choose_mail_time(MailName.BRIEF, DANA, night, session_start=utc(2026, 9, 8, 9)).due_at == utc(2026, 9, 8, 7)


def test_a_mail_that_would_come_too_late_leaves_the_day_before() -> None:
    """T-12, T-16: decided on a Saturday, about a session at the start of Monday; no hour of work is left."""
    saturday, monday = utc(2026, 9, 12, 5), utc(2026, 9, 14, 7)
    told = choose_mail_time(MailName.DEFERRAL_NOTICE, DANA, saturday, session_start=monday)
    assert (told.due_at, told.counts) == (monday - DAY, False)
    later = choose_mail_time(MailName.DEFERRAL_NOTICE, DANA, saturday, session_start=monday + HOUR)
    assert (later.due_at, later.counts) == (monday, True)


def test_a_mail_that_was_tried_before_is_not_folded() -> None:
    """T-16: it may have arrived."""
    at = utc(2026, 9, 7, 9)
    tried = replace(_mail(MailName.UNPLACEABLE, "x"), attempts=1)
    day = divide_mails(DANA, [tried, _mail(MailName.UNPLACEABLE, "y")], MAX_MAILS_A_DAY, at)
    assert day.leaving == (tried,)
    assert [mail.key for mail in day.folded] == ["unplaceable:y"]
