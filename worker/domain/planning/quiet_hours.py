"""When a mail may reach its reader, and which of a day's mails leave (T-16). Pure: planning and the outbox ask it.

Planning gives each mail a due time inside its reader's hours. When the mail is about to leave, the outbox asks once
more, with all mails of that reader's day: what is outside the reader's hours by then waits, and what is more than
three a day is told in one mail the next morning.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from worker.domain.model import Effect, EffectKind, MailName, Person
from worker.domain.time.mail_hours import find_following_day_start, find_next_mail_time
from worker.domain.time.worktime import get_local_date

#: How many counted mails reach a person on one day at most, across all pairs.
MAX_MAILS_A_DAY = 3
#: A change that takes effect within this time may be told at any hour.
NEAR_FUTURE = timedelta(hours=24)

#: Mails that leave at any hour and are not counted: they belong to a moment, or somebody waits for them.
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
#: Mails that planning puts into the reader's hours itself (T-7). They are not counted.
REMINDERS = frozenset({MailName.CONTRACT_REMINDER})
#: Counted mails that are never folded into the mail of the next morning: a line could not stand for them, or they are
#: needed on that very day.
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
#: The mails that prepare a session, each with the time before its start that the mail has to leave at least.
MIN_PREPARATION = {
    MailName.REFLECTION_PROMPT: timedelta(hours=4),
    MailName.BRIEF: timedelta(hours=1),
    MailName.REVIEW_NOTE: timedelta(minutes=15),
}


def is_uncounted(name: str) -> bool:
    """True for a mail that leaves whenever it is due, and does not count."""
    return name in ANY_HOUR or name in REMINDERS


def is_about_near_future(now: datetime, instants: Iterable[datetime | None]) -> bool:
    """True when one of these instants, at which something changes, lies in the next 24 hours."""
    return any(instant is not None and now <= instant <= now + NEAR_FUTURE for instant in instants)


@dataclass(frozen=True, slots=True)
class MailTime:
    """When a mail leaves, and whether it counts as one of its reader's day."""

    due_at: datetime
    counts: bool


def choose_mail_time(
    name: str, reader: Person, wanted_at: datetime, begins: datetime | None = None, lost: datetime | None = None
) -> MailTime:
    """Return when a mail that is wanted at that instant leaves: then, or at the next start of the reader's hours.

    `begins` is when the session that it is about begins, and `lost` when that session was to begin until now. A mail
    about a change of the next 24 hours leaves at once. One for which no hour is left before the session leaves at any
    hour, 24 hours before it at the earliest.
    """
    if is_uncounted(name):
        return MailTime(wanted_at, counts=False)
    is_ahead = begins is not None and begins > wanted_at
    if begins is not None and name in MIN_PREPARATION:
        due_at = find_preparing_time(name, reader, wanted_at, begins)
    elif name not in NEVER_FOLDED and is_about_near_future(wanted_at, (begins, lost)):
        return MailTime(wanted_at, counts=False)
    else:
        due_at = find_next_mail_time(reader, wanted_at, begins if is_ahead and name not in NEVER_FOLDED else None)
    if due_at is None and begins is not None and is_ahead and name != MailName.REFLECTION_PROMPT:
        return MailTime(max(wanted_at, begins - NEAR_FUTURE), counts=False)
    return MailTime(due_at or find_next_mail_time(reader, wanted_at) or wanted_at, counts=True)


def find_preparing_time(name: str, reader: Person, wanted_at: datetime, start: datetime) -> datetime | None:
    """Return the first instant of the reader's hours from `wanted_at` on that leaves enough time before the session.

    None when there is none. The time is that of `MIN_PREPARATION`.
    """
    found = find_next_mail_time(reader, wanted_at, start)
    return found if found is not None and start - found >= MIN_PREPARATION[MailName(name)] else None


@dataclass(frozen=True, slots=True)
class MailDay:
    """What becomes of the counted mails of one reader that are due now."""

    leaving: tuple[Effect, ...] = ()
    folded: tuple[Effect, ...] = ()  #: told in one mail the next morning
    overflow_at: datetime | None = None  #: when that mail is due; None when nothing is folded
    waiting: tuple[tuple[Effect, datetime], ...] = ()  #: each with the start of the reader's next working hours


def divide_mails(reader: Person, due: Sequence[Effect], sent_count: int, now: datetime) -> MailDay:
    """Decide which of a reader's counted mails leave now (T-16).

    `sent_count` says how many counted mails left on the reader's day so far. Those in `NEVER_FOLDED` leave in any
    case, and before the others; a mail that was tried before is not folded, since it may have arrived.
    """
    leaving: list[Effect] = []
    folded: list[Effect] = []
    waiting: list[tuple[Effect, datetime]] = []
    for mail in sorted(due, key=lambda one: (one.name not in NEVER_FOLDED, one.due_at, one.key)):
        time = choose_mail_time(mail.name, reader, now, mail.start if mail.name in MIN_PREPARATION else None)
        if time.due_at > now:
            waiting.append((mail, time.due_at))
        elif mail.name in NEVER_FOLDED or mail.attempts or sent_count + len(leaving) < MAX_MAILS_A_DAY:
            leaving.append(mail)
        else:
            folded.append(mail)
    overflow_at = find_overflow_time(reader, now) if folded else None
    return MailDay(tuple(leaving), tuple(folded), overflow_at, tuple(waiting))


def find_overflow_time(reader: Person, now: datetime) -> datetime:
    """Return the start of the reader's next working day, on which the rest of today is told."""
    start = find_following_day_start(reader, get_local_date(reader.zone, now))
    return start or now + timedelta(days=1)


def make_personal_mail(name: MailName, reader: Person, about: str, now: datetime, due_at: datetime) -> Effect:
    """Return a mail about several pairs of its reader, which belongs to none of them. `about` tells one of that name
    from another: the same one decided twice, by different pairs or processes, goes out once."""
    return Effect(
        key=f"{name}:{reader.email}:{about}",
        kind=EffectKind.MAIL,
        pair=None,
        subject=reader.email,
        due_at=due_at,
        snapshot_at=now,
        name=name.value,
        to=reader.email,
        counts=True,
    )


def make_overflow(reader: Person, due_at: datetime, now: datetime) -> Effect:
    """Return the mail that tells the rest of the reader's day; there is one a day."""
    day = get_local_date(reader.zone, now)
    return make_personal_mail(MailName.OVERFLOW, reader, f"{day}", now, due_at)
