"""Decides when a mail may reach its reader, and which mails of a day leave (T-16). Pure functions.

Planning gives each mail a due time inside its reader's mail hours: working hours without absences. When mails are about
to leave, the outbox calls `divide_mails` with all mails of one reader that are due. A mail that is outside its reader's
mail hours by then waits. A reader gets at most three limited mails a day; further ones are folded into one mail on the
next morning, the overflow mail. Mails that are not limited leave whenever they are due.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.model import Effect, EffectKind, MailName, Person
from worker.domain.time.mail_hours import find_next_mail_time, find_working_day_start_after
from worker.domain.time.worktime import get_local_date

#: The most limited mails that reach a person on one day, across all pairs.
MAX_MAILS_A_DAY = 3
#: A mail about a change that takes effect within this time may leave at any hour.
NEAR_FUTURE = timedelta(hours=24)

#: Mails that leave at any hour and are not limited, because they are about something that happens at that moment, or
#: because somebody waits for them.
ANY_HOUR = frozenset(
    {
        MailName.INVITATION,
        MailName.INVITATION_WITHDRAWN,
        MailName.CONTRACT_REQUEST,
        MailName.CONTRACT_SUMMARY,
        MailName.FRESH_LINK,
        MailName.OPERATOR_ALERT,
    }
)
#: Mails for which planning itself chooses a time inside the reader's mail hours (T-7). They are not limited.
REMINDERS = frozenset({MailName.CONTRACT_REMINDER})
#: Limited mails that are never folded into the overflow mail, because one line can't replace them or because the
#: reader needs them on the same day.
NEVER_FOLDED = frozenset(
    {
        MailName.REFLECTION_PROMPT,
        MailName.BRIEF,
        MailName.REVIEW_NOTE,
        MailName.INTRODUCTION,
        MailName.CONTENT_ACCESSED,
        MailName.NEW_MANAGER,
        MailName.OPEN_PROMISES,
        MailName.PULSE,
        MailName.WEEKLY,
        MailName.OVERFLOW,
    }
)
#: The mails that prepare a session, each with the least time that the reader has between the mail and the session.
MIN_PREPARATION = {
    MailName.REFLECTION_PROMPT: timedelta(hours=4),
    MailName.BRIEF: timedelta(hours=1),
    MailName.REVIEW_NOTE: timedelta(minutes=15),
}


def is_unlimited(name: str) -> bool:
    """Return whether a mail with that name leaves whenever it is due, and does not count towards the daily limit."""
    return name in ANY_HOUR or name in REMINDERS


def is_about_near_future(now: datetime, instants: Iterable[datetime | None]) -> bool:
    """Return whether one of the instants lies in the next 24 hours."""
    return any(instant is not None and now <= instant <= now + NEAR_FUTURE for instant in instants)


@dataclass(frozen=True, slots=True)
class MailTime:
    """The instant at which a mail leaves, and whether the mail is one of the three limited mails of a day."""

    due_at: datetime
    is_limited: bool


def choose_mail_time(
    name: str,
    reader: Person,
    wanted_at: datetime,
    *,
    session_start: datetime | None = None,
    lost_start: datetime | None = None,
) -> MailTime:
    """Return when a mail leaves that is due at `wanted_at`: then, or when the reader's mail hours next begin.

    For a mail about a session, `session_start` is the start of the session, and `lost_start` the start that it had
    before it was moved. A mail about a change of the next 24 hours leaves at once. When the reader has no mail hours
    left before the session, the mail leaves at any hour, but at most 24 hours before the session. A reflection prompt
    is not worth that: it waits, and is dropped once the session has begun.
    """
    if is_unlimited(name):
        return MailTime(wanted_at, is_limited=False)
    is_before_session = session_start is not None and session_start > wanted_at
    if session_start is not None and name in MIN_PREPARATION:
        due_at = find_preparation_mail_time(name, reader, wanted_at=wanted_at, session_start=session_start)
    elif is_about_near_future(wanted_at, (session_start, lost_start)):
        return MailTime(wanted_at, is_limited=False)
    else:
        # A mail before a session is of use only until the session begins.
        limit = session_start if is_before_session else None
        due_at = find_next_mail_time(reader, wanted_at, limit)
    # Without a due time, the reader has no mail hours left before the session.
    if due_at is None and session_start is not None and is_before_session and name != MailName.REFLECTION_PROMPT:
        return MailTime(max(wanted_at, session_start - NEAR_FUTURE), is_limited=False)
    return MailTime(due_at or find_next_mail_time(reader, wanted_at) or wanted_at, is_limited=True)


def find_preparation_mail_time(
    name: str, reader: Person, *, wanted_at: datetime, session_start: datetime
) -> datetime | None:
    """Return when a mail that prepares a session leaves: at the first instant of mail hours from `wanted_at` on.

    Return None when less than the time of `MIN_PREPARATION` is left between that instant and the session.
    """
    mail_time = find_next_mail_time(reader, wanted_at, session_start)
    if mail_time is None or session_start - mail_time < MIN_PREPARATION[MailName(name)]:
        return None
    return mail_time


@dataclass(frozen=True, slots=True)
class MailDay:
    """The limited mails of one reader that are due now, divided by what happens to them."""

    leaving: tuple[Effect, ...] = ()  #: sent now
    folded: tuple[Effect, ...] = ()  #: folded into the overflow mail of the next morning
    overflow_at: datetime | None = None  #: when the overflow mail is due; None when no mail is folded
    waiting: tuple[tuple[Effect, datetime], ...] = ()  #: each mail with the instant at which it may leave


def divide_mails(reader: Person, due: Sequence[Effect], sent_count: int, now: datetime) -> MailDay:
    """Decide which of the limited mails of a reader that are due leave now (T-16).

    `sent_count` is the number of limited mails that the reader has received today. Mails in `NEVER_FOLDED` always
    leave, and before the others. A mail that was attempted before is not folded, since it may have arrived.
    """
    leaving: list[Effect] = []
    folded: list[Effect] = []
    waiting: list[tuple[Effect, datetime]] = []
    for mail in sorted(due, key=lambda mail: (mail.name not in NEVER_FOLDED, mail.due_at, mail.key)):
        session_start = mail.start if mail.name in MIN_PREPARATION else None
        mail_time = choose_mail_time(mail.name, reader, now, session_start=session_start)
        if mail_time.due_at > now:
            waiting.append((mail, mail_time.due_at))
        elif mail.name in NEVER_FOLDED or mail.attempts or sent_count + len(leaving) < MAX_MAILS_A_DAY:
            leaving.append(mail)
        else:
            folded.append(mail)
    overflow_at = find_overflow_time(reader, now) if folded else None
    return MailDay(tuple(leaving), tuple(folded), overflow_at, tuple(waiting))


def find_overflow_time(reader: Person, now: datetime) -> datetime:
    """Return when the overflow mail of today is due: at the start of the reader's next working day."""
    start = find_working_day_start_after(reader, get_local_date(reader.zone, now))
    return start or now + timedelta(days=1)


def make_personal_mail(name: MailName, reader: Person, about: str, *, now: datetime, due_at: datetime) -> Effect:
    """Return a personal mail: a mail about several pairs of its reader, which belongs to no single pair.

    `about` distinguishes mails with the same name, for instance by their day. When several pairs or processes decide a
    mail with the same name and `about`, the mail is sent once, because the keys are equal.
    """
    return Effect(
        key=f"{name}:{reader.email}:{about}",
        kind=EffectKind.MAIL,
        pair=None,
        subject=reader.email,
        due_at=due_at,
        decided_at=now,
        name=name.value,
        to=reader.email,
        is_limited=True,
    )


def make_overflow_mail(reader: Person, *, due_at: datetime, now: datetime) -> Effect:
    """Return the overflow mail of the reader's day, which lists the folded mails. There is one a day."""
    day = get_local_date(reader.zone, now)
    return make_personal_mail(MailName.OVERFLOW, reader, f"{day}", now=now, due_at=due_at)
