"""Mails before a session: the report's prompt, the manager's brief, the note before a review (T-5, T-6, T-9)."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache

from worker.domain.model import MailName, Owner, Person, Session, SessionKind
from worker.domain.planning.mail_validity import MOVED_FAR
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.planning.reviews import is_inside_1on1
from worker.domain.time.worktime import add_working_days, get_local_date, wall_to_utc

NINE, EIGHT = 9 * 60, 8 * 60
PROMPT_DAYS, BRIEF_DAYS = 3, 1
#: A prompt that comes later than this is no preparation any more.
PROMPT_MIN_LEAD = timedelta(hours=4)
BRIEF_MIN_LEAD = timedelta(hours=1)
NOTE_MIN_LEAD = timedelta(minutes=15)
#: A session that moved by more than this after its prompt or brief went out gets another; after its note, by this.
#: So much nearer or farther a session moves after its note went out before it gets another.
NOTE_REACH = timedelta(hours=12)
#: What has to be out by an instant is due so long before it: a sweep comes some seconds late, or some minutes.
SWEEP_SLACK = timedelta(minutes=15)


@lru_cache(maxsize=1 << 14)
def find_working_day_before(person: Person, start: datetime, days: int, minute: int) -> datetime:
    """That minute of the day, in the person's zone, so many of the person's working days before."""
    return wall_to_utc(person.zone, add_working_days(person, get_local_date(person.zone, start), -days), minute)


def prompt_at(report: Person, start: datetime) -> datetime:
    """T-5: 09:00 in the report's zone, three working days before."""
    return find_working_day_before(report, start, PROMPT_DAYS, NINE)


def brief_at(manager: Person, start: datetime) -> datetime:
    """T-6: 09:00 in the manager's zone, one working day before."""
    return find_working_day_before(manager, start, BRIEF_DAYS, NINE)


def note_at(manager: Person, start: datetime) -> datetime:
    """T-9: 08:00 in the manager's zone on the day itself; on the working day before when it begins too early."""
    day = get_local_date(manager.zone, start)
    instant = wall_to_utc(manager.zone, day, EIGHT)
    return (
        instant
        if instant + NOTE_MIN_LEAD + SWEEP_SLACK <= start
        else find_working_day_before(manager, start, BRIEF_DAYS, EIGHT)
    )


@dataclass(frozen=True, slots=True)
class Preparation:
    """A mail before a session: once for each, and again only when the session moves far after it went out."""

    name: MailName
    kind: SessionKind  #: of the sessions that it prepares
    reader: Owner
    due: Callable[[Person, datetime], datetime]  #: when it is due, for that reader and that start of the session
    least: timedelta  #: later than so long before the session it does not leave
    far: timedelta  #: a session that moved by more than this gets another


PREPARATIONS = (
    Preparation(MailName.REFLECTION_PROMPT, SessionKind.CAREER, Owner.REPORT, prompt_at, PROMPT_MIN_LEAD, MOVED_FAR),
    Preparation(MailName.BRIEF, SessionKind.CAREER, Owner.MANAGER, brief_at, BRIEF_MIN_LEAD, MOVED_FAR),
    Preparation(MailName.REVIEW_NOTE, SessionKind.REVIEW, Owner.MANAGER, note_at, NOTE_MIN_LEAD, NOTE_REACH),
)


def add_preparation_mails(builder: PlanBuilder, session: Session) -> None:
    """Decide what this booked session's two people get before it, and wake for what is due later."""
    for preparation in PREPARATIONS:
        if preparation.kind is session.kind:
            _prepare(builder, session, preparation)


def _prepare(builder: PlanBuilder, session: Session, mail: Preparation) -> None:
    start = session.span.start
    if any(m.start and abs(start - m.start) <= mail.far for m in builder.list_mails(mail.name, session.id)):
        return
    reader = builder.manager if mail.reader is Owner.MANAGER else builder.report
    due = mail.due(reader, start)
    if builder.now < due:
        builder.wake_at(due)
    elif start - builder.now >= mail.least:
        if builder.find_event(session.key) is None and not is_inside_1on1(builder, session):
            builder.wake_at(builder.now + RECHECK_SOON)  # it is not on the calendar yet
        else:
            builder.add_mail(mail.name, session.id, reader.email, start=start)
