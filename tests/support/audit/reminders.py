"""Mails that ask for a contract, as an audit judges them (T-7, R-17)."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from tests.support.audit.known import Talk
from tests.support.audit.rules import CONTRACT, LAST_HOURS, Fault
from worker.domain.model import Person, Span
from worker.domain.time.worktime import DAY, get_local_date, is_working_day, list_spells, list_working_spans

#: A day after the request's own has a reminder when this much of its work is left in time.
ENOUGH = timedelta(minutes=15)
#: After a night from the request on, and the hour that a reminder leaves for writing.
ANOTHER_DAY = timedelta(hours=13)


def reminder(talk: Talk, manager: Person, now: datetime) -> Iterator[Fault]:
    """T-7: two in working hours, one a day, the last two hours before the deadline; then one a working day, thrice."""
    if talk.held is None:
        return
    deadline = talk.held + CONTRACT
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
    """Whether the person works then, the end of the working hours included."""
    day = get_local_date(person.zone, instant)
    spells = (*list_spells(person, day - DAY), *list_spells(person, day))
    return any(spell.start <= instant <= spell.end for spell in spells)


def unasked(talk: Talk) -> Iterator[Fault]:
    """T-7: the contract is asked for at the session's end."""
    if not talk.mails["contract_request"]:
        yield "T-7", f"nobody was asked for the contract of {talk.id}, which ended at {talk.held}"


def unreminded(talk: Talk, manager: Person) -> Iterator[Fault]:
    """T-7: the reminders that had a place."""
    sent, due = len(talk.mails["contract_reminder"]), reminders_due(manager, talk.held) if talk.held else 0
    if sent < due:
        yield "T-7", f"the contract of {talk.id} passed its deadline with {sent} reminders instead of {due}"


def open_ended(talk: Talk) -> Iterator[Fault]:
    """R-17: long after its deadline it has to be visible as unfinished."""
    yield "R-17", f"{talk.id} has no contract long after its deadline, and isn't unfinished"


def unfinished(talk: Talk, now: datetime, weekly: int) -> Iterator[Fault]:
    """T-7, R-17: after the deadline and three late mails, never before. `weekly`: of the manager's weekly mails since
    the session; each may stand for one of them."""
    late = [one for one in talk.mails["contract_reminder"] if talk.held and one.at > talk.held + CONTRACT]
    if talk.held and (now <= talk.held + CONTRACT or not len(late) <= 3 <= len(late) + weekly):
        yield "T-7", f"{talk.id} became unfinished after {len(late)} mails past the deadline"


def reminders_due(manager: Person, held: datetime) -> int:
    """T-7: one for each of at most two days after the request that leave time for it, four hours after the request and
    two before the deadline; where there is no such day, one when an hour of working time is left."""
    window = Span(held + LAST_HOURS, held + CONTRACT - timedelta(hours=2))
    spells = list_working_spans(manager, window)
    if sum(spell.minutes for spell in spells) < 60:
        return 0
    possible = [one for one in spells if one.end - one.start >= ENOUGH and one.end >= held + ANOTHER_DAY]
    days = {get_local_date(manager.zone, one.start) for one in possible}
    return max(1, min(len(days), 2))
