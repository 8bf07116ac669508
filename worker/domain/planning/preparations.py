"""Mails before a session: the report's prompt, the manager's brief, the note before a review (T-5, T-6, T-9)."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from zlib import crc32

from worker.domain.model import MailName, Owner, Person, Session, SessionKind
from worker.domain.planning.mail_validity import has_moved_far
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.planning.quiet_hours import MIN_PREPARATION, NEAR_FUTURE, find_preparing_time
from worker.domain.planning.reviews import is_inside_1on1
from worker.domain.planning.weekly import has_weekly
from worker.domain.time.mail_hours import list_day_starts_before
from worker.domain.time.worktime import get_local_date

#: The calendar days before the session between which the prompt leaves, where the report has a working day (T-5).
PROMPT_FIRST_DAY, PROMPT_LAST_DAY = 7, 2
#: How many calendar days before the session the working day of the brief lies at most (T-6).
BRIEF_DAYS = 3
#: How many days before a session its mails leave at the earliest.
MAX_EARLY_DAYS = 14
#: A mail that has to be out by an instant is due this long before it, since a sweep may come some minutes late.
SWEEP_SLACK = timedelta(minutes=15)
PROMPT_MIN_LEAD, BRIEF_MIN_LEAD, NOTE_MIN_LEAD = (
    MIN_PREPARATION[name] for name in (MailName.REFLECTION_PROMPT, MailName.BRIEF, MailName.REVIEW_NOTE)
)
#: How many wordings the prompt has. A pair never gets the same one twice in a row.
PROMPT_VARIANTS = 3


@lru_cache(maxsize=1 << 14)
def find_prompt_time(report: Person, start: datetime) -> datetime | None:
    """Return when the prompt is due: at the start of a working day of the report's; None when there is none (T-5).

    It is the last such day at least two and at most seven calendar days before; else the last start of a working day
    that leaves four hours.
    """
    late: datetime | None = None
    for days, day_start in _list_starts(report, start):
        if PROMPT_LAST_DAY <= days <= PROMPT_FIRST_DAY:
            return day_start
        if late is None and day_start + PROMPT_MIN_LEAD <= start:
            late = day_start
        if days > PROMPT_FIRST_DAY:
            break
    return late


@lru_cache(maxsize=1 << 14)
def find_brief_time(manager: Person, start: datetime) -> datetime | None:
    """Return when the brief is due: at the start of the manager's last working day before the session's (T-6).

    When that is more than three calendar days before, it is due that morning; but where that leaves less than an hour,
    on the working day before all the same. None when there is no working day.
    """
    same_morning: datetime | None = None
    for days, day_start in _list_starts(manager, start):
        if days == 0:
            same_morning = day_start if day_start + BRIEF_MIN_LEAD + SWEEP_SLACK <= start else None
        else:
            return same_morning if days > BRIEF_DAYS and same_morning else day_start
    return same_morning


@lru_cache(maxsize=1 << 14)
def find_note_time(manager: Person, start: datetime) -> datetime | None:
    """Return when the note is due: at the start of the day itself; of the working day before when that is too late."""
    for _, day_start in _list_starts(manager, start):
        if day_start + NOTE_MIN_LEAD + SWEEP_SLACK <= start:
            return day_start
    return None


def _list_starts(person: Person, start: datetime) -> Iterator[tuple[int, datetime]]:
    """Yield the starts of the working days up to the session, the last first, each after its distance in days.

    Somebody who is out of office all the time until then gets the mail as if they worked: weeks earlier it would be
    forgotten.
    """
    day = get_local_date(person.zone, start)
    if any(day_start + BRIEF_MIN_LEAD + SWEEP_SLACK <= start for _, day_start in _list_early_starts(person, day)):
        yield from _list_early_starts(person, day)
    else:
        yield from list_day_starts_before(replace(person, away=()), day)


def _list_early_starts(person: Person, day: date) -> Iterator[tuple[int, datetime]]:
    return takewhile(lambda one: one[0] <= MAX_EARLY_DAYS, list_day_starts_before(person, day))


@dataclass(frozen=True, slots=True)
class Preparation:
    """A mail before a session: once for each, and again only when the session moves far after it went out."""

    name: MailName
    kind: SessionKind  #: of the sessions that it prepares
    reader: Owner
    find_due: Callable[[Person, datetime], datetime | None]  #: when it is due, for that reader and that start


PREPARATIONS = (
    Preparation(MailName.REFLECTION_PROMPT, SessionKind.CAREER, Owner.REPORT, find_prompt_time),
    Preparation(MailName.BRIEF, SessionKind.CAREER, Owner.MANAGER, find_brief_time),
    Preparation(MailName.REVIEW_NOTE, SessionKind.REVIEW, Owner.MANAGER, find_note_time),
)


def add_preparation_mails(builder: PlanBuilder, session: Session) -> None:
    """Decide what this booked session's two people get before it, and wake for what is due later."""
    for preparation in PREPARATIONS:
        if preparation.kind is session.kind and not _is_in_weekly(builder, session):
            _prepare(builder, session, preparation)


def _is_in_weekly(builder: PlanBuilder, session: Session) -> bool:
    """True for a review with an event of its own whose manager finds it in the weekly mail."""
    return session.kind is SessionKind.REVIEW and has_weekly(builder.state) and not is_inside_1on1(builder, session)


def _prepare(builder: PlanBuilder, session: Session, mail: Preparation) -> None:
    start = session.span.start
    reader = mail.reader.select(builder.manager, builder.report)
    earlier = builder.list_mails(mail.name, session.id)
    if any(one.start and not has_moved_far(mail.name, reader, one.start, start) for one in earlier):
        return
    due = mail.find_due(reader, start) or builder.now
    if builder.now < due:
        builder.wake_at(due)
        return
    leaves_at = find_preparing_time(mail.name, reader, builder.now, start)
    if leaves_at is None and mail.name is not MailName.REFLECTION_PROMPT:
        leaves_at = max(builder.now, start - NEAR_FUTURE)  # better at any hour than not at all
    if leaves_at is None or start - leaves_at < MIN_PREPARATION[mail.name]:
        return
    if builder.find_event(session.key) is None and not is_inside_1on1(builder, session):
        builder.wake_at(builder.now + RECHECK_SOON)  # it is not on the calendar yet
    elif leaves_at > builder.now:
        builder.wake_at(leaves_at)
    else:
        number = _choose_variant(builder) if mail.name is MailName.REFLECTION_PROMPT else 0
        builder.add_mail(mail.name, session.id, reader.email, start=start, number=number)


def _choose_variant(builder: PlanBuilder) -> int:
    """Return the wording of the report's next prompt: the one after that of the last, whoever was the manager (T-5).

    Of several that were decided at once none is the last, and all are avoided. The first wording differs from report
    to report: those of one manager compare what they got.
    """
    prompts = builder.list_prompts()
    if not prompts:
        return crc32(builder.report.email.encode()) % PROMPT_VARIANTS
    decided_at = max(mail.snapshot_at for mail in prompts)
    last = {mail.number for mail in prompts if mail.snapshot_at == decided_at}
    following = [(number + 1) % PROMPT_VARIANTS for number in sorted(last)]
    return next((number for number in following if number not in last), following[0])
