"""Judges the mails that ask for a contract, and whether a session becomes unfinished in time (T-7, R-17)."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.support.audit.known import Talk
from tests.support.audit.rules import CONTRACT_DEADLINE, Fault
from worker.domain.model import Person, Span
from worker.domain.time.worktime import DAY, get_local_date, is_working_day, list_spells, list_working_spans

#: No reminder comes earlier than this after the session's end, at which the contract is requested.
FIRST_REMINDER_AFTER = timedelta(hours=4)
#: A later day has room for a reminder when at least this much of its working time lies before the last instant for it.
LEAST_WORK_LEFT = timedelta(minutes=15)
#: A spell that ends this long after the request, or later, is one of another day: a night, and an hour to write.
NEXT_DAY_BEGINS = timedelta(hours=13)


def judge_reminder(talk: Talk, manager: Person, now: datetime) -> Iterator[Fault]:
    """T-7: at most two reminders, in working hours, on different days, until two hours before the deadline.

    After the deadline there are three late ones, each on another working day.
    """
    if talk.held_end is None:
        return
    deadline = talk.held_end + CONTRACT_DEADLINE
    sent = [one.at for one in talk.mails["contract_reminder"]]
    after = [get_local_date(manager.zone, at) for at in sent if at > deadline]
    if now <= deadline:
        if not is_at_work(manager, now):
            yield "T-7", f"the reminder for {talk.id} went out at {now}, outside the manager's working hours"
        if now > deadline - timedelta(hours=2):
            yield "T-7", f"the reminder for {talk.id} went out less than two hours before the deadline"
        if get_local_date(manager.zone, now) in [get_local_date(manager.zone, at) for at in sent]:
            yield "T-7", f"a second reminder for {talk.id} went out on the day of {now}"
        if len(sent) >= 2:
            yield "T-7", f"a third reminder for {talk.id} went out before the deadline"
        return
    day = get_local_date(manager.zone, now)
    if not is_working_day(manager, day) or day in after or len(after) >= 3:
        yield (
            "T-7",
            f"mail {len(after) + 1} past the deadline of {talk.id} went out on {day}; one a working day, three days",
        )


def is_at_work(person: Person, instant: datetime) -> bool:
    """Whether the instant lies in the person's working hours, or just at their end."""
    day = get_local_date(person.zone, instant)
    spells = (*list_spells(person, day - DAY), *list_spells(person, day))
    return any(spell.start <= instant <= spell.end for spell in spells)


def find_missing_request(talk: Talk) -> Iterator[Fault]:
    """T-7: the manager is asked for the contract at the session's end."""
    if not talk.mails["contract_request"]:
        yield "T-7", f"nobody was asked for the contract of {talk.id}, which ended at {talk.held_end}"


def find_missing_reminders(talk: Talk, manager: Person) -> Iterator[Fault]:
    """T-7: all reminders that had room before the deadline went out."""
    sent = len(talk.mails["contract_reminder"])
    due = count_reminders_due(manager, talk.held_end) if talk.held_end else 0
    if sent < due:
        yield "T-7", f"the contract of {talk.id} passed its deadline with {sent} reminders instead of {due}"


def find_missing_end(talk: Talk) -> Iterator[Fault]:
    """R-17: a session without a contract becomes unfinished some days after its deadline."""
    yield "R-17", f"{talk.id} has no contract long after its deadline, and isn't unfinished"


def judge_unfinished(talk: Talk, now: datetime, weekly: int) -> Iterator[Fault]:
    """T-7, R-17: a session becomes unfinished only after the deadline and three late reminders.

    Each of the manager's weekly mails since the session may take the place of a reminder; `weekly` is their number.
    """
    late = [
        one for one in talk.mails["contract_reminder"] if talk.held_end and one.at > talk.held_end + CONTRACT_DEADLINE
    ]
    has_three = len(late) <= 3 <= len(late) + weekly  # weekly mails may make up what is missing to three
    if talk.held_end and (now <= talk.held_end + CONTRACT_DEADLINE or not has_three):
        yield "T-7", f"{talk.id} became unfinished after {len(late)} mails past the deadline"


def count_reminders_due(manager: Person, held: datetime) -> int:
    """Return how many reminders have to go out before the deadline (T-7): at most two.

    They go out between four hours after the request and two hours before the deadline. There is one for each later day
    with enough working time in between; without such a day, one if there is at least an hour of working time.
    """
    window = Span(held + FIRST_REMINDER_AFTER, held + CONTRACT_DEADLINE - timedelta(hours=2))
    spells = list_working_spans(manager, window)
    if sum(spell.minutes for spell in spells) < 60:
        return 0
    possible = [one for one in spells if one.end - one.start >= LEAST_WORK_LEFT and one.end >= held + NEXT_DAY_BEGINS]
    days = {get_local_date(manager.zone, one.start) for one in possible}
    return max(1, min(len(days), 2))
