"""The rules of time for anybody anywhere: odd zones, odd weeks, whatever is on the calendars (T-1 … T-14)."""

from dataclasses import dataclass
from datetime import datetime
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.support.pairs import DAY, HOUR, MINUTE, is_mail_time, pair_of, person, utc
from tests.support.stories import Story, booked_story
from worker.domain.model import (
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
from worker.domain.time.mail_hours import find_day_start
from worker.domain.time.worktime import add_working_days, get_local_date, list_spells

PLACES = [
    ("America/St_Johns", "CA-NL"),
    ("Asia/Kathmandu", "NP"),
    ("Australia/Lord_Howe", "AU"),
    ("Pacific/Apia", "WS"),
    ("America/Sao_Paulo", "BR"),
    ("Europe/London", "GB-SCT"),
    ("Asia/Tehran", "IR"),
    ("America/New_York", "US"),
]
WEEKS = [
    "Mon-Fri 09:00-17:00",
    "Sun-Thu 08:00-16:30",
    "Mon,Wed 10:00-14:00",
    "Mon-Thu 22:00-06:00",
    "Tue-Sat 12:00-20:00",
    "Mon-Fri 00:00-24:00",
    "Wed 06:00-12:00,13:00-22:00",
]


@dataclass(frozen=True)
class Given:
    """Two people somewhere, their pair, when it is, and what is on their calendars."""

    dana: Person
    sam: Person
    pair: Pair
    now: datetime
    ahead: int
    busy: tuple[tuple[bool, int, int, ShowAs], ...]

    def story(self) -> Story:
        story = Story(self.pair, self.dana, self.sam, now=self.now, policy=Policy(ahead=self.ahead))
        for mine, start, hours, show in self.busy:
            at = self.now.replace(minute=0) + start * HOUR
            story.calendars.book(self.dana if mine else self.sam, at, at + hours * HOUR, show)
        return story


@st.composite
def givens(draw: st.DrawFn) -> Given:
    dana = person("Dana", *draw(st.sampled_from(PLACES)), hours=draw(st.sampled_from(WEEKS)))
    sam = person("Sam", *draw(st.sampled_from(PLACES)), hours=draw(st.sampled_from(WEEKS)))
    now = utc(2026, 1, 1) + draw(st.integers(0, 365 * 96)) * 15 * MINUTE
    stretch = st.tuples(st.booleans(), st.integers(0, 24 * 60), st.integers(1, 90), st.sampled_from(list(ShowAs)))
    pair = pair_of(
        dana,
        sam,
        first_seen=now.date(),
        minutes=draw(st.sampled_from([60, 75, 90])),
        format=draw(st.sampled_from(list(Format))),
        review=draw(st.sampled_from(list(ReviewMode))),
        start=draw(st.sampled_from([None, now.date() - 100 * DAY, now.date() - 60 * DAY])),
    )
    return Given(dana, sam, pair, now, draw(st.integers(1, 2)), tuple(draw(st.lists(stretch, max_size=12))))


def works(who: Person, span: Span) -> bool:
    """Whether every minute of it is inside one spell of work."""
    day = get_local_date(who.zone, span.start)
    around = [s for n in (-1, 0, 1) for s in list_spells(who, day + n * DAY)]
    at = span.start
    for spell in sorted(around):
        if spell.start <= at < spell.end:
            at = max(at, spell.end)
    return at >= span.end


def fits(given_: Given, story: Story, session: Session) -> None:
    """T-1, T-2 for something we placed ourselves."""
    span = session.span
    assert span.start > given_.now
    assert span.start.minute % 15 == 0
    assert 60 <= span.minutes <= given_.pair.minutes if session.kind is SessionKind.CAREER else span.minutes == 25
    padded = Span(span.start - 15 * MINUTE, span.end + 15 * MINUTE)
    for who in (given_.dana, given_.sam):
        assert works(who, span)
        assert not any(b.span.overlaps(padded) for b in story.calendars.busy.get(who.email, ()))
    others = [s for s in story.state.sessions if s.booked and s.id != session.id]
    assert not any(s.span.overlaps(padded) for s in others)
    days = [
        get_local_date(given_.dana.zone, s.span.start) for s in story.sessions_of_kind(SessionKind.CAREER) if s.booked
    ]
    assert len(set(days)) == len(days)


QUICK = settings(max_examples=45, deadline=None, derandomize=True, suppress_health_check=[HealthCheck.too_slow])


@QUICK
@given(givens())
def test_for_anybody_there_is_a_session_that_fits_or_a_person_knows_why(given_: Given) -> None:
    """T-1, T-2, T-4, T-13; the story itself asserts that planning again is a no-op."""
    story = given_.story()
    story.tick()
    careers = story.sessions_of_kind(SessionKind.CAREER)
    assert len(careers) == (3 if given_.pair.format is Format.SERIES else given_.ahead)
    for session in careers:
        if session.booked:
            fits(given_, story, session)
            assert story.placed_event(session)
        elif session.topic in (Topic.ALL, Topic.NOW) or careers[careers.index(session) - 1].booked:
            assert session.unplaceable
            told = {m.subject for m in story.mails("unplaceable")}
            assert session.id in told or any(has_same_cause(session, story.session(one)) for one in told)
    starts = [s.span.start for s in careers if s.booked]
    assert starts == sorted(starts)


@QUICK
@given(givens(), st.sampled_from(["decline", "delete", "away", "talk", "leave", "move out"]))
def test_for_anybody_what_is_lost_is_owed_and_found_again(given_: Given, what: str) -> None:
    """R-8, T-10, T-14: whatever happens to it, the same session stands again or is unplaceable and told."""
    story = given_.story()
    story.tick()
    story.tick_at(story.now + 20 * HOUR)
    session = story.next
    if not session.booked:
        return
    happen(story, session, what)
    assert [s for s in story.state.sessions if s.id == session.id]
    for again in story.state.sessions:
        assert again.booked or again.unplaceable
        assert again.booked == bool(story.placed_event(again))
        if again.booked and again.count:
            assert again.span.start > story.now
            assert works(given_.dana, again.span)
            assert works(given_.sam, again.span)


def happen(story: Story, session: Session, what: str) -> None:
    if what in ("decline", "delete"):
        getattr(story, what)(session)
    elif what == "away":
        story.book(story.state.report, session.span, ShowAs.AWAY)
    elif what == "move out":
        story.move(session, session.latest + DAY, 75)
    else:
        trigger = Trigger.LEAVING if what == "leave" else Trigger.CHANGE
        story.act(lambda p: actions.request_talk(p, trigger))


@QUICK
@given(givens())
def test_for_anybody_mails_leave_at_their_hour(given_: Given) -> None:
    """T-5, T-6, T-7: through a session and its contract, on clocks of anywhere."""
    story = given_.story()
    story.tick()
    first = story.next
    if not first.booked:
        return
    story.until(first.span.end + 12 * DAY)
    if story.session(first.id).count:
        return  # something was booked over it; other tests look at that
    dana, sam = given_.dana, given_.sam
    for name, who in (("reflection_prompt", sam), ("brief", dana)):
        for mail in (m for m in story.mails(name) if m.subject == first.id):
            before(mail.due_at, who, first, given_.now)
    for mail in (m for m in story.mails("contract_reminder") if m.subject == first.id and m.number < 3):
        in_time(mail.snapshot_at, dana, first)


def before(at: datetime, who: Person, session: Session, booked_at: datetime) -> None:
    """At the start of a working day at most seven days before; or when it was booked, if that was later."""
    assert is_mail_time(who, at) and at < session.span.start
    if at - booked_at > 2 * MINUTE:
        day = get_local_date(who.zone, at)
        assert find_day_start(who, day) == at
        assert get_local_date(who.zone, session.span.start) - day <= 7 * DAY or who.absences


def in_time(at: datetime, who: Person, session: Session) -> None:
    day = get_local_date(who.zone, at)
    assert any(s.start <= at <= s.end for n in (0, 1) for s in list_spells(who, day - n * DAY))
    assert at <= session.span.end + 46 * HOUR


def test_people_at_both_ends_of_a_day_meet_in_the_hour_they_share() -> None:
    """T-2: St John's and Kathmandu, whose clocks are nine and a quarter hours apart."""
    dana = person("Dana", "America/St_Johns", "CA-NL", "Mon-Fri 08:00-16:00")
    sam = person("Sam", "Asia/Kathmandu", "NP", "Mon-Fri 12:00-20:00")
    story = booked_story(Story(pair_of(dana, sam, minutes=60), dana, sam))
    here, there = (story.next.span.start.astimezone(ZoneInfo(p.zone)) for p in (dana, sam))
    assert (here.hour * 60 + here.minute) >= 8 * 60
    assert (there.hour * 60 + there.minute) <= 19 * 60
    assert works(dana, story.next.span)
    assert works(sam, story.next.span)


def test_across_the_date_line_a_day_is_each_one_s_own() -> None:
    """T-5, T-6: Apia's Tuesday is Honolulu's Monday."""
    dana = person("Dana", "Pacific/Honolulu", "US", "Mon-Fri 08:00-18:00")
    sam = person("Sam", "Pacific/Apia", "WS", "Tue-Sat 08:00-18:00")
    story = booked_story(Story(pair_of(dana, sam), dana, sam))
    start = story.next.span.start
    assert get_local_date(sam.zone, start) == get_local_date(dana.zone, start) + DAY
    story.until(start)
    (prompt,), (brief,) = story.mails("reflection_prompt"), story.mails("brief")
    assert prompt.snapshot_at == preparations.find_prompt_time(sam, start)
    assert get_local_date(sam.zone, prompt.snapshot_at) <= get_local_date(sam.zone, start) - 2 * DAY
    assert get_local_date(dana.zone, brief.snapshot_at) == add_working_days(dana, get_local_date(dana.zone, start), -1)
