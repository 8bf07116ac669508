"""The rules of time for people in any time zone, with any working hours and any calendar (T-1 to T-14).

The functions whose names contain `wanted` compute the times of mails once more, from the rules alone.
"""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from tests.support.pairs import DAY, HOUR, MINUTE, pair_of, person, utc
from tests.support.stories import Story, booked_story
from worker.domain.model import (
    Effect,
    Format,
    Pair,
    Person,
    Policy,
    ReviewMode,
    Session,
    SessionKind,
    ShowAs,
    Span,
    Topic,
    Trigger,
)
from worker.domain.planning import actions, preparations
from worker.domain.planning.unplaceable import has_same_cause
from worker.domain.time.mail_hours import find_mail_hours_start
from worker.domain.time.worktime import add_working_days, get_local_date, list_spells

ZONES_AND_COUNTRIES = [
    ("America/St_Johns", "CA-NL"),
    ("Asia/Kathmandu", "NP"),
    ("Australia/Lord_Howe", "AU"),
    ("Pacific/Apia", "WS"),
    ("America/Sao_Paulo", "BR"),
    ("Europe/London", "GB-SCT"),
    ("Asia/Tehran", "IR"),
    ("America/New_York", "US"),
]
WORKING_HOURS = [
    "Mon-Fri 09:00-17:00",
    "Sun-Thu 08:00-16:30",
    "Mon,Wed 10:00-14:00",
    "Mon-Thu 22:00-06:00",
    "Tue-Sat 12:00-20:00",
    "Mon-Fri 00:00-24:00",
    "Wed 06:00-12:00,13:00-22:00",
]


@dataclass(frozen=True)
class Situation:
    """Two people, their pair, the current time and the busy time on their calendars."""

    dana: Person
    sam: Person
    pair: Pair
    now: datetime
    ahead: int  #: how many sessions are booked ahead
    #: Whether it is Dana's, its start in hours from now, its hours, and how the calendar shows it.
    busy: tuple[tuple[bool, int, int, ShowAs], ...]

    def make_story(self) -> Story:
        story = Story(self.pair, self.dana, self.sam, now=self.now, policy=Policy(ahead=self.ahead))
        for is_danas, start, hours, show in self.busy:
            at = self.now.replace(minute=0) + start * HOUR
            story.calendars.book(self.dana if is_danas else self.sam, at, at + hours * HOUR, show)
        return story


@st.composite
def situations(draw: st.DrawFn) -> Situation:
    """Situations in awkward time zones, with awkward working hours."""
    dana = person("Dana", *draw(st.sampled_from(ZONES_AND_COUNTRIES)), hours=draw(st.sampled_from(WORKING_HOURS)))
    sam = person("Sam", *draw(st.sampled_from(ZONES_AND_COUNTRIES)), hours=draw(st.sampled_from(WORKING_HOURS)))
    now = utc(2026, 1, 1) + draw(st.integers(0, 365 * 96)) * 15 * MINUTE  # 96 quarter-hours a day
    busy_times = st.tuples(st.booleans(), st.integers(0, 24 * 60), st.integers(1, 90), st.sampled_from(list(ShowAs)))
    pair = pair_of(
        dana,
        sam,
        first_seen=now.date(),
        minutes=draw(st.sampled_from([60, 75, 90])),
        format=draw(st.sampled_from(list(Format))),
        review=draw(st.sampled_from(list(ReviewMode))),
        start=draw(st.sampled_from([None, now.date() - 100 * DAY, now.date() - 60 * DAY])),
    )
    return Situation(dana, sam, pair, now, draw(st.integers(1, 2)), tuple(draw(st.lists(busy_times, max_size=12))))


def is_working_time(who: Person, span: Span) -> bool:
    """Return whether all of the span lies in spells of the person that touch."""
    day = get_local_date(who.zone, span.start)
    spells = [s for n in (-1, 0, 1) for s in list_spells(who, day + n * DAY)]
    covered_until = span.start
    for spell in sorted(spells):
        if spell.start <= covered_until < spell.end:
            covered_until = max(covered_until, spell.end)
    return covered_until >= span.end


def assert_session_fits(situation: Situation, story: Story, session: Session) -> None:
    """Assert T-1 and T-2 for a career session that the program placed."""
    span = session.span
    assert span.start > situation.now
    assert span.start.minute % 15 == 0
    assert 60 <= span.minutes <= situation.pair.minutes
    span_with_buffer = Span(span.start - 15 * MINUTE, span.end + 15 * MINUTE)
    for who in (situation.dana, situation.sam):
        assert is_working_time(who, span)
        assert not any(b.span.overlaps(span_with_buffer) for b in story.calendars.busy.get(who.email, ()))
    other_sessions = [s for s in story.state.sessions if s.booked and s.id != session.id]
    assert not any(s.span.overlaps(span_with_buffer) for s in other_sessions)
    days = [
        get_local_date(situation.dana.zone, s.span.start)
        for s in story.sessions_of_kind(SessionKind.CAREER)
        if s.booked
    ]
    assert len(set(days)) == len(days)


FEW_EXAMPLES = settings(max_examples=45, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@FEW_EXAMPLES
@given(situations())
def test_each_session_fits_or_is_unplaceable_with_a_mail(situation: Situation) -> None:
    """T-1, T-2, T-4, T-13: `Story` also asserts that a second plan changes nothing."""
    story = situation.make_story()
    story.tick()
    careers = story.sessions_of_kind(SessionKind.CAREER)
    assert len(careers) == (3 if situation.pair.format is Format.SERIES else situation.ahead)
    for session in careers:
        if session.booked:
            assert_session_fits(situation, story, session)
            assert story.placed_event(session)
        elif session.topic in (Topic.ALL, Topic.NOW) or careers[careers.index(session) - 1].booked:
            assert session.unplaceable
            mail_subjects = {m.subject for m in story.mails("unplaceable")}
            assert session.id in mail_subjects or any(
                has_same_cause(session, story.session(other)) for other in mail_subjects
            )
    starts = [s.span.start for s in careers if s.booked]
    assert starts == sorted(starts)


@FEW_EXAMPLES
@given(
    situations(),
    st.sampled_from(["decline", "delete", "away", "request a talk", "request a talk about leaving", "move out"]),
)
def test_changed_session_is_booked_again_or_unplaceable(situation: Situation, change: str) -> None:
    """R-8, T-10, T-14: no change lets a session disappear; a new time lies in the working hours of both."""
    story = situation.make_story()
    story.tick()
    story.tick_at(story.now + 20 * HOUR)
    session = story.next
    assume(session.booked)
    change_session(story, session, change)
    assert [s for s in story.state.sessions if s.id == session.id]
    for session_after in story.state.sessions:
        assert session_after.booked or session_after.unplaceable
        assert session_after.booked == bool(story.placed_event(session_after))
        if session_after.booked and session_after.count:
            assert session_after.span.start > story.now
            assert is_working_time(situation.dana, session_after.span)
            assert is_working_time(situation.sam, session_after.span)


def change_session(story: Story, session: Session, change: str) -> None:
    """Change the session, or ask for an ad hoc session."""
    if change in ("decline", "delete"):
        getattr(story, change)(session)
    elif change == "away":
        story.book(story.state.report, session.span, ShowAs.AWAY)
    elif change == "move out":
        story.move(session, session.latest + DAY, minutes=75)
    else:
        trigger = Trigger.LEAVING if change == "request a talk about leaving" else Trigger.CHANGE
        story.act(lambda builder: actions.request_ad_hoc_session(builder, trigger))


@FEW_EXAMPLES
@given(situations())
def test_mails_of_a_session_are_due_at_their_times(situation: Situation) -> None:
    """T-5, T-6, T-7: from before a session to its end without a contract, in any time zone; no mail is missing."""
    story = situation.make_story()
    story.tick()
    first = story.next
    assume(first.booked)
    story.until(first.span.end + 31 * DAY)
    assume(story.session(first.id).count == 0)  # a clash deferred the session; other tests cover that
    assert story.session(first.id).span == first.span
    dana, sam = situation.dana, situation.sam
    prompt_time = find_preparation_time(sam, first, situation.now, find_wanted_prompt_time, 4 * HOUR)
    assert_leaves_at(list_mails_about(story, first, "reflection_prompt"), prompt_time)
    brief_time = find_preparation_time(dana, first, situation.now, find_wanted_brief_time, HOUR)
    # Without an hour of the manager's working time before the session, the brief leaves at any hour of the day before.
    brief_time = brief_time or max(situation.now, first.span.start - DAY)
    if first.span.start - brief_time >= HOUR + 2 * MINUTE:
        assert_leaves_at(list_mails_about(story, first, "brief"), brief_time)
    requested_at = [m.decided_at for m in list_mails_about(story, first, "contract_request")]
    reminders = {m.number: m.decided_at for m in list_mails_about(story, first, "contract_reminder")}
    if situation.pair.format is Format.SERIES:  # the contract follows the third part (T-13)
        assert (requested_at, reminders) == ([], {})
    else:
        assert requested_at == [first.span.end]
        assert reminders == list_wanted_reminders(dana, first.span.end)


def list_mails_about(story: Story, session: Session, name: str) -> list[Effect]:
    return [m for m in story.mails(name) if m.subject == session.id]


def assert_leaves_at(mails: list[Effect], wanted_at: datetime | None) -> None:
    """Assert that there is one mail, which is due at that instant, or none without an instant.

    A mail that is due when its session is booked waits up to two minutes until the event is on the calendar.
    """
    assert len(mails) == (0 if wanted_at is None else 1)
    assert all(wanted_at is not None and wanted_at <= m.due_at <= wanted_at + 2 * MINUTE for m in mails)


def find_preparation_time(
    reader: Person,
    session: Session,
    booked_at: datetime,
    find_wanted_time: Callable[[Person, datetime], datetime | None],
    lead: timedelta,
) -> datetime | None:
    """Return when a mail before a session leaves: when it is wanted, or at the next working hour if that is over.

    Return None when less than `lead` would be left until the session.
    """
    wanted_at = max(booked_at, find_wanted_time(reader, session.span.start) or booked_at)
    day = get_local_date(reader.zone, wanted_at)
    spells = [s for n in range(-1, 15) for s in list_spells(reader, day + n * DAY) if s.end > wanted_at]
    leaves_at = max(wanted_at, spells[0].start)
    return leaves_at if leaves_at + lead <= session.span.start else None


def list_day_starts(reader: Person, start: datetime) -> dict[int, datetime]:
    """Return the start of each of the reader's working days up to the session's, by its distance from that day."""
    day = get_local_date(reader.zone, start)
    day_starts = {days: find_mail_hours_start(reader, day - days * DAY) for days in range(15)}
    return {days: day_start for days, day_start in day_starts.items() if day_start}


def find_wanted_prompt_time(reader: Person, start: datetime) -> datetime | None:
    """Return the start of the last working day two to seven days before, else the last that leaves four hours (T-5)."""
    day_starts = list_day_starts(reader, start)
    early = [day_start for days, day_start in day_starts.items() if 2 <= days <= 7]
    return max(early or [s for s in day_starts.values() if s + 4 * HOUR <= start], default=None)


def find_wanted_brief_time(reader: Person, start: datetime) -> datetime | None:
    """Return the start of the last working day before if it is at most three days before, else that morning (T-6).

    An hour and the quarter of an hour by which a sweep may be late are left to the session.
    """
    day_starts = {
        days: day_start
        for days, day_start in list_day_starts(reader, start).items()
        if day_start + HOUR + 15 * MINUTE <= start
    }
    no_day = 99
    days_before = min((days for days in day_starts if days), default=no_day)
    return day_starts.get(days_before if days_before <= 3 else 0) or day_starts.get(days_before)


def list_wanted_reminders(reader: Person, end: datetime) -> dict[int, datetime]:
    """Return the reminders of a contract that never comes, by number: 1 and 2 before the deadline, 3 to 5 after (T-7).

    On each of the last two working days before the deadline there is one, an hour before the working hours of the day
    end. The last is at least two hours, and a quarter of an hour for a late sweep, before the deadline. The first has
    the night after the session before it. After the deadline there is one on each of three working days.
    """
    deadline = end + 48 * HOUR
    earliest, latest = end + 4 * HOUR, deadline - 2 * HOUR - 15 * MINUTE
    end_day, last_day = (get_local_date(reader.zone, instant) for instant in (end, deadline))
    spells_of_days = [list_spells(reader, end_day + n * DAY) for n in range(-1, 4)]
    last_spells = [
        spells[-1]
        for day_spells in spells_of_days
        if (spells := [s for s in day_spells if s.start <= latest and s.end > earliest])
    ]
    times = [min(latest, max(spell.end - HOUR, earliest)) for spell in last_spells]
    earlier = [at for at in times[:-1] if end + 12 * HOUR <= at <= times[-1] - 4 * HOUR]
    early = [*earlier[-1:], *times[-1:]]
    late = [at for n in range(1, 30) if (at := find_mail_hours_start(reader, last_day + n * DAY))][:3]
    return dict(enumerate([*early, *late], start=3 - len(early)))  # a single early reminder has the number 2


def test_people_in_distant_zones_meet_in_their_shared_hour() -> None:
    """T-2: St John's and Kathmandu, whose clocks are eight and a quarter hours apart in summer."""
    dana = person("Dana", "America/St_Johns", "CA-NL", "Mon-Fri 08:00-16:00")
    sam = person("Sam", "Asia/Kathmandu", "NP", "Mon-Fri 12:00-20:00")
    story = booked_story(Story(pair_of(dana, sam, minutes=60), dana, sam))
    dana_start, sam_start = (story.next.span.start.astimezone(ZoneInfo(who.zone)) for who in (dana, sam))
    assert (dana_start.hour * 60 + dana_start.minute) >= 8 * 60
    assert (sam_start.hour * 60 + sam_start.minute) <= 19 * 60  # the session takes an hour, and Sam's day ends at 20:00
    assert is_working_time(dana, story.next.span)
    assert is_working_time(sam, story.next.span)


def test_mails_count_days_in_the_reader_s_zone_across_the_date_line() -> None:
    """T-5, T-6: Tuesday in Apia is Monday in Honolulu."""
    dana = person("Dana", "Pacific/Honolulu", "US", "Mon-Fri 08:00-18:00")
    sam = person("Sam", "Pacific/Apia", "WS", "Tue-Sat 08:00-18:00")
    story = booked_story(Story(pair_of(dana, sam), dana, sam))
    start = story.next.span.start
    assert get_local_date(sam.zone, start) == get_local_date(dana.zone, start) + DAY
    story.until(start)
    (prompt,), (brief,) = story.mails("reflection_prompt"), story.mails("brief")
    assert prompt.decided_at == preparations.find_prompt_time(sam, start)
    assert get_local_date(sam.zone, prompt.decided_at) <= get_local_date(sam.zone, start) - 2 * DAY
    assert get_local_date(dana.zone, brief.decided_at) == add_working_days(dana, get_local_date(dana.zone, start), -1)
