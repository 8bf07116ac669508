"""Adds the mails that prepare a session.

These are the report's reflection prompt (T-5), the manager's brief (T-6), and the review note, a mail to the manager
before a review (T-9).
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from itertools import takewhile
from zlib import crc32

from worker.domain.model import MailName, Owner, Person, Session, SessionKind
from worker.domain.planning.mail_times import MIN_PREPARATION, NEAR_FUTURE, find_preparation_mail_time
from worker.domain.planning.mail_validity import has_moved_far
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.planning.reviews import is_inside_1on1
from worker.domain.planning.weekly import has_manager_weekly
from worker.domain.time.mail_hours import list_day_starts_backwards
from worker.domain.time.worktime import get_local_date

#: The prompt is sent between these numbers of calendar days before the session, if the report works then (T-5).
PROMPT_FIRST_DAY, PROMPT_LAST_DAY = 7, 2
#: The brief is sent at most this many calendar days before the session (T-6).
BRIEF_DAYS = 3
#: The mails before a session are sent at most this many calendar days before it.
MAX_EARLY_DAYS = 14
#: A mail is due this long before the instant by which it must have left, since a sweep may come some minutes late.
SWEEP_SLACK = timedelta(minutes=15)
#: The least time between each mail and the start of the session.
PROMPT_MIN_LEAD = MIN_PREPARATION[MailName.REFLECTION_PROMPT]
BRIEF_MIN_LEAD = MIN_PREPARATION[MailName.BRIEF]
REVIEW_NOTE_MIN_LEAD = MIN_PREPARATION[MailName.REVIEW_NOTE]
#: The number of wordings of the prompt. A report never gets the same wording twice in a row.
PROMPT_VARIANTS = 3


@lru_cache(maxsize=1 << 14)
def find_prompt_time(report: Person, start: datetime) -> datetime | None:
    """Return when the prompt of a session that begins at `start` is due; None when no working day suits (T-5).

    The prompt is due at the start of the report's last working day that is two to seven calendar days before the
    session. When there is no such day, it is due at the last start of a working day that leaves at least four hours.
    """
    last_possible: datetime | None = None
    for days, day_start in _list_day_starts(report, start):
        if PROMPT_LAST_DAY <= days <= PROMPT_FIRST_DAY:
            return day_start
        if last_possible is None and day_start + PROMPT_MIN_LEAD <= start:
            last_possible = day_start
        if days > PROMPT_FIRST_DAY:
            break
    return last_possible


@lru_cache(maxsize=1 << 14)
def find_brief_time(manager: Person, start: datetime) -> datetime | None:
    """Return when the brief of a session that begins at `start` is due; None when there is no working day (T-6).

    The brief is due at the start of the manager's last working day before the day of the session. If that is more than
    three calendar days earlier, the brief is due in the morning of the session's day instead, provided that this leaves
    at least an hour.
    """
    same_morning: datetime | None = None
    for days, day_start in _list_day_starts(manager, start):
        # After an absence, even the night shift of the day before may begin too late.
        if day_start + BRIEF_MIN_LEAD + SWEEP_SLACK > start:
            continue
        if days:
            return same_morning if days > BRIEF_DAYS and same_morning else day_start
        same_morning = day_start
    return same_morning


@lru_cache(maxsize=1 << 14)
def find_review_note_time(manager: Person, start: datetime) -> datetime | None:
    """Return when the review note for a review at `start` is due; None when there is no working day (T-9).

    The review note is due when the manager's working day begins, or on the working day before if that is too late.
    """
    for _, day_start in _list_day_starts(manager, start):
        if day_start + REVIEW_NOTE_MIN_LEAD + SWEEP_SLACK <= start:
            return day_start
    return None


def _list_day_starts(person: Person, start: datetime) -> Iterator[tuple[int, datetime]]:
    """Yield, for each working day from the day of the session backwards, its distance in days and its start.

    When the person is out of office on all working days of the two weeks before the session, absences are ignored: a
    mail before the absence would be forgotten by the time of the session.
    """
    day = get_local_date(person.zone, start)
    # The lead of the brief decides for all three mails whether a working day begins early enough.
    latest_day_start = start - BRIEF_MIN_LEAD - SWEEP_SLACK
    if any(day_start <= latest_day_start for _, day_start in _list_early_starts(person, day)):
        yield from _list_early_starts(person, day)
    else:
        yield from list_day_starts_backwards(replace(person, absences=()), day)


def _list_early_starts(person: Person, day: date) -> Iterator[tuple[int, datetime]]:
    """Yield the day starts of `list_day_starts_backwards` that are at most `MAX_EARLY_DAYS` before `day`."""
    return takewhile(
        lambda distance_and_start: distance_and_start[0] <= MAX_EARLY_DAYS, list_day_starts_backwards(person, day)
    )


@dataclass(frozen=True, slots=True)
class Preparation:
    """A kind of mail that prepares sessions. It is sent once for a session, and again if the session moves far."""

    name: MailName
    kind: SessionKind  #: the kind of the sessions that the mail prepares
    reader: Owner  #: which of the two gets the mail
    #: Returns when the mail is due, given its reader and the start of the session.
    find_due_time: Callable[[Person, datetime], datetime | None]


PREPARATIONS = (
    Preparation(MailName.REFLECTION_PROMPT, SessionKind.CAREER, Owner.REPORT, find_prompt_time),
    Preparation(MailName.BRIEF, SessionKind.CAREER, Owner.MANAGER, find_brief_time),
    Preparation(MailName.REVIEW_NOTE, SessionKind.REVIEW, Owner.MANAGER, find_review_note_time),
)


def add_preparation_mails(builder: PlanBuilder, session: Session) -> None:
    """Add the mails that are due before a booked session, and have the pair planned again when the next one is due."""
    for preparation in PREPARATIONS:
        if preparation.kind is session.kind and not _is_note_replaced_by_weekly(builder, session):
            _add_preparation(builder, session, preparation)


def _is_note_replaced_by_weekly(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the weekly mail of the manager replaces the review note of this session.

    It replaces the note of a review with an event of its own, but not of a review inside a 1:1.
    """
    return (
        session.kind is SessionKind.REVIEW
        and has_manager_weekly(builder.state)
        and not is_inside_1on1(builder, session)
    )


def _add_preparation(builder: PlanBuilder, session: Session, preparation: Preparation) -> None:
    """Add the mail if it is due and was not sent for about the same time of the session."""
    name, start = preparation.name, session.span.start
    reader = preparation.reader.select(builder.manager, builder.report)
    earlier_mails = builder.list_mails(name, session.id)
    if any(m.start and not has_moved_far(name, reader, old_start=m.start, new_start=start) for m in earlier_mails):
        return
    due_at = preparation.find_due_time(reader, start) or builder.now  # when no working day suits, the mail is due now
    if builder.now < due_at:
        builder.plan_again_at(due_at)
        return
    leaves_at = find_preparation_mail_time(name, reader, wanted_at=builder.now, session_start=start)
    if leaves_at is None and name is not MailName.REFLECTION_PROMPT:
        # No mail hours are left before the session. A brief or a review note is more useful at any hour than not at
        # all, but not earlier than a day before the session.
        leaves_at = max(builder.now, start - NEAR_FUTURE)
    if leaves_at is None or start - leaves_at < MIN_PREPARATION[name]:
        return
    if builder.find_event(session.key) is None and not is_inside_1on1(builder, session):
        builder.plan_again_at(builder.now + RECHECK_SOON)  # the event is not on the calendar yet
    elif leaves_at > builder.now:
        builder.plan_again_at(leaves_at)
    else:
        number = _choose_variant(builder) if name is MailName.REFLECTION_PROMPT else 0
        builder.add_mail(name, session.id, reader.email, start=start, number=number)


def _choose_variant(builder: PlanBuilder) -> int:
    """Return the number of the wording for the report's next prompt, which follows the number of the last one (T-5).

    Prompts from a former manager count as well. When several prompts were decided at the same instant, all their
    wordings are avoided. The first wording depends on the report's address, because the reports of one manager may
    compare their prompts.
    """
    prompts = builder.list_prompts()
    if not prompts:
        return crc32(builder.report.email.encode()) % PROMPT_VARIANTS
    last_decided_at = max(mail.decided_at for mail in prompts)
    last_variants = {mail.number for mail in prompts if mail.decided_at == last_decided_at}
    # When all wordings were used at that instant, none can be avoided.
    following = [(variant + 1) % PROMPT_VARIANTS for variant in sorted(last_variants)]
    return next((variant for variant in following if variant not in last_variants), following[0])
