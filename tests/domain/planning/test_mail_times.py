"""Tests of when a mail may reach its reader, and which mails of a day leave.

T-6 is about the brief, T-12 about notices of deferrals, T-16 about mail hours and the daily limit. Dana works in
Berlin, two hours ahead of UTC.
"""

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
#: The number of quarter-hours in a day.
QUARTERS_A_DAY = 96
WORKING_HOURS = st.sampled_from(
    ["Tue 09:00-17:00", "Mon-Fri 22:00-06:00", "Mon-Thu 07:00-17:00", "Sat,Sun 10:00-14:00", "Mon-Fri 09:00-17:00"]
)
ZONES = st.sampled_from([("Europe/Berlin", "DE"), ("America/St_Johns", "CA-NL"), ("Pacific/Apia", "WS")])
#: The mails that leave in mail hours only, and do not prepare a session.
WAITING_MAILS = sorted(set(MailName) - ANY_HOUR - REMINDERS - set(MIN_PREPARATION))


@st.composite
def readers(draw: st.DrawFn) -> Person:
    """Draw a report with any working hours and zone, and with up to three absences."""
    absence_days = draw(st.lists(st.tuples(st.integers(0, 40), st.integers(1, 12)), max_size=3))
    absences = tuple(Span(MONDAY + first * DAY, MONDAY + (first + days) * DAY) for first, days in absence_days)
    return replace(person("Sam", *draw(ZONES), hours=draw(WORKING_HOURS)), absences=absences)


@settings(max_examples=150, deadline=None)
@given(readers(), st.integers(0, 40 * QUARTERS_A_DAY), st.sampled_from(WAITING_MAILS))
def test_mails_that_can_wait_are_due_in_mail_hours(reader: Person, quarter: int, name: str) -> None:
    """This holds for any working hours and absences (T-16)."""
    wanted_at = MONDAY + quarter * 15 * MINUTE
    time = choose_mail_time(name, reader, wanted_at)
    assert time.is_limited and time.due_at >= wanted_at and is_mail_time(reader, time.due_at)
    assert time.due_at == wanted_at or not is_mail_time(reader, wanted_at)


@settings(max_examples=100, deadline=None)
@given(
    readers(),
    st.integers(0, 20 * QUARTERS_A_DAY),
    st.lists(
        st.tuples(st.sampled_from(sorted(set(WAITING_MAILS) | set(MIN_PREPARATION))), st.integers(0, 3)), max_size=14
    ),
)
def test_at_most_three_mails_leave_a_day_and_none_is_dropped(
    reader: Person, quarter: int, mails_by_batch: list[tuple[MailName, int]]
) -> None:
    """The mails are due in four batches, an hour apart, and those that wait are due again later.

    Each of `mails_by_batch` has the number of its batch. Only mails that are never folded may exceed the limit (T-16).
    """
    now = MONDAY + quarter * 15 * MINUTE
    to_come = [
        (due_at, replace(_make_mail(name, f"{n}"), start=due_at + 9 * DAY))  # its session is not near
        for n, (name, due_at) in enumerate((name, now + batch * HOUR) for name, batch in mails_by_batch)
    ]
    all_keys = sorted(mail.key for _, mail in to_come)
    sent: list[tuple[datetime, Effect]] = []
    folded: list[Effect] = []
    waited_keys: set[str] = set()
    while to_come:
        batch_time = min(due_at for due_at, _ in to_come)
        due = [mail for due_at, mail in to_come if due_at == batch_time]
        today = get_local_date(reader.zone, batch_time)
        sent_count = sum(get_local_date(reader.zone, sent_at) == today for sent_at, _ in sent)
        mail_day = divide_mails(reader, due, sent_count, batch_time)
        assert not {mail.key for mail, _ in mail_day.waiting} & waited_keys, "a mail waits twice"
        waited_keys |= {mail.key for mail, _ in mail_day.waiting}
        to_come = [entry for entry in to_come if entry[0] != batch_time]
        to_come += [(until, mail) for mail, until in mail_day.waiting]
        folded += mail_day.folded
        sent += [(batch_time, mail) for mail in mail_day.leaving]
        assert all(mail.name in MIN_PREPARATION or is_mail_time(reader, batch_time) for mail in mail_day.leaving)
        assert all(until > batch_time for _, until in mail_day.waiting)
        assert all(mail.name in MIN_PREPARATION or is_mail_time(reader, until) for mail, until in mail_day.waiting)
        assert bool(mail_day.folded) == (mail_day.overflow_at is not None)
        assert mail_day.overflow_at is None or (
            mail_day.overflow_at > batch_time and is_mail_time(reader, mail_day.overflow_at)
        )
        assert not {mail.name for mail in mail_day.folded} & NEVER_FOLDED
    assert sorted(mail.key for mail in (*(mail for _, mail in sent), *folded)) == all_keys
    for day in {get_local_date(reader.zone, sent_at) for sent_at, _ in sent}:
        mails = [mail for sent_at, mail in sent if get_local_date(reader.zone, sent_at) == day]
        assert len(mails) <= MAX_MAILS_A_DAY or sum(mail.name not in NEVER_FOLDED for mail in mails) <= MAX_MAILS_A_DAY


def _make_mail(name: str, key: str) -> Effect:
    return effect_of(name, key=f"{name}:{key}", is_limited=True)


@pytest.mark.parametrize("hours", [1, 23])
def test_notice_about_the_next_24_hours_leaves_at_any_hour(hours: int) -> None:
    """A notice about a session of next week waits until the morning (T-16)."""
    night = utc(2026, 9, 7, 21)
    urgent_time = choose_mail_time(MailName.DEFERRAL_NOTICE, DANA, night, lost_start=night + hours * HOUR)
    assert (urgent_time.due_at, urgent_time.is_limited) == (night, False)
    later_time = choose_mail_time(MailName.DEFERRAL_NOTICE, DANA, night, session_start=night + 7 * DAY)
    assert (later_time.due_at, later_time.is_limited) == (utc(2026, 9, 8, 7), True)


def test_brief_leaves_at_night_only_before_an_early_session() -> None:
    """The morning would leave less than an hour before the session (T-6, T-16)."""
    night = utc(2026, 9, 7, 21)
    assert choose_mail_time(MailName.BRIEF, DANA, night, session_start=utc(2026, 9, 8, 7)).due_at == night
    assert choose_mail_time(MailName.BRIEF, DANA, night, session_start=utc(2026, 9, 8, 9)).due_at == utc(2026, 9, 8, 7)


def test_notice_leaves_a_day_before_a_session_without_mail_hours_in_between() -> None:
    """It is planned on a Saturday; the session is at the start of Monday's mail hours (T-12, T-16)."""
    saturday, monday = utc(2026, 9, 12, 5), utc(2026, 9, 14, 7)
    notice_time = choose_mail_time(MailName.DEFERRAL_NOTICE, DANA, saturday, session_start=monday)
    assert (notice_time.due_at, notice_time.is_limited) == (monday - DAY, False)
    later_time = choose_mail_time(MailName.DEFERRAL_NOTICE, DANA, saturday, session_start=monday + HOUR)
    assert (later_time.due_at, later_time.is_limited) == (monday, True)


def test_mail_attempted_before_is_not_folded() -> None:
    """The mail may have arrived already (T-16)."""
    now = utc(2026, 9, 7, 9)
    attempted = replace(_make_mail(MailName.UNPLACEABLE, "x"), attempts=1)
    mail_day = divide_mails(DANA, [attempted, _make_mail(MailName.UNPLACEABLE, "y")], MAX_MAILS_A_DAY, now)
    assert mail_day.leaving == (attempted,)
    assert [mail.key for mail in mail_day.folded] == ["unplaceable:y"]
