"""The manager's commitments on the manager's own calendar (T-8, R-19)."""

from datetime import date, timedelta

from worker.domain.model import Commitment, FreeBusy, Owner, Person, Placed, Span, What
from worker.domain.planning.placement import without
from worker.domain.planning.plan_builder import SOON, Planning
from worker.domain.time.slots import solo
from worker.domain.time.worktime import add_working_days, today, wall


def put_on_calendar(p: Planning) -> None:
    """Bring the manager's calendar in line with the manager's commitments: new, changed, done, moved by hand."""
    mine = [c for c in p.commitments.values() if c.owner is Owner.MANAGER]
    settled = [c.id for c in mine if not p.in_flight(c.id)]
    if any(not c.open and c.block for c in mine if c.id not in settled):
        p.wake(p.now + SOON)  # it ended while its block was being made
    for commitment_id in settled:
        _follow_calendar(p, p.commitments[commitment_id])
    for commitment_id in settled:
        _place_if_missing(p, p.commitments[commitment_id])


def _follow_calendar(p: Planning, commitment: Commitment) -> None:
    """Take over what became of the block on the calendar; take it off when the commitment has ended."""
    placed = p.state.placed.get(commitment.key)
    if placed is None and commitment.block:  # its effect was dropped as too old, or refused
        p.keep(commitment, block=None, generation=commitment.generation + 1)
    if not commitment.open:
        _take_off(p, commitment)
    elif placed is not None and not placed.gone:
        _observe(p, commitment, placed)
    elif placed is not None and commitment.block:
        _dismiss_block(p, commitment)


def _place_if_missing(p: Planning, commitment: Commitment) -> None:
    if not commitment.open or commitment.block or commitment.dismissed:
        return
    blocked = p.refused_until(commitment.id)
    if blocked and p.now < blocked:
        p.wake(blocked)
    else:
        _place(p, commitment)


def _observe(p: Planning, commitment: Commitment, placed: Placed) -> None:
    """Moving it on the calendar is respected and does not change the due date."""
    if placed.span != placed.written:
        p.acknowledge(placed)
        p.keep(commitment, block=placed.span, by_hand=True)
        p.decide("commitment", "The manager moved it on the calendar; respected.", commitment.session)
    elif commitment.block and commitment.block != placed.span and not _as_noted(commitment, placed):
        _write_again(p, commitment, commitment.block)


def _as_noted(commitment: Commitment, placed: Placed) -> bool:
    """Whether it is our note for a whole day, which a service puts where that day is in the calendar's own zone."""
    return commitment.all_day and placed.sequence == commitment.sequence


def _write_again(p: Planning, commitment: Commitment, block: Span) -> None:
    """Our change never reached the calendar. One that refuses is not asked again at once."""
    blocked = p.refused_until(commitment.id)
    if blocked and p.now < blocked:
        p.wake(blocked)
    else:
        _write(p, commitment, block, all_day=commitment.all_day)


def _dismiss_block(p: Planning, commitment: Commitment) -> None:
    p.keep(commitment, block=None, dismissed=True)
    p.decide(
        "commitment",
        "The manager took it off the calendar; respected. It stays open until it is done.",
        commitment.session,
    )


def _take_off(p: Planning, commitment: Commitment) -> None:
    if commitment.block is None:
        return
    if p.find_event(commitment.key):
        p.write_event(What.CANCEL, commitment.id, commitment.key, commitment.sequence)
    p.keep(commitment, block=None)


def reword(p: Planning, commitment: Commitment) -> None:
    """The promise says something else now, and so has its block: in its place, wherever that is."""
    if commitment.block is not None:
        _write(p, commitment, commitment.block, all_day=commitment.all_day)


def _place(p: Planning, commitment: Commitment) -> None:
    day_before, due_day = candidate_days(p.manager, commitment.due)
    first, last = _day(p.manager, day_before), _day(p.manager, due_day)
    if last.end <= p.now:
        _write(p, commitment, all_day_note(p.manager, max(commitment.due, today(p.manager.zone, p.now))), all_day=True)
        return
    known = p.free_busy([p.manager], Span(min(p.now, first.start), last.end))
    if known is None:
        return
    free_busy = without(known[p.manager.email], commitment.key)
    for day in (first, last):
        block = _solo(p, commitment, day, free_busy)
        if block:
            _write(p, commitment, block, all_day=False)
            return
    _write(p, commitment, all_day_note(p.manager, commitment.due), all_day=True)


def _solo(p: Planning, commitment: Commitment, day: Span, free_busy: FreeBusy) -> Span | None:
    window = Span(max(day.start, p.now), max(day.end, p.now))
    taken = p.list_taken_times(p.manager.email, but=commitment.id)
    return solo(p.manager, window, p.policy.commitment_minutes, free_busy, taken, True)


def candidate_days(manager: Person, due: date) -> tuple[date, date]:
    """The latest working day before it is due, and the day it is due."""
    return add_working_days(manager, due, -1), due


def _day(person: Person, day: date) -> Span:
    return Span(wall(person.zone, day, 0), wall(person.zone, day + timedelta(days=1), 0))


def all_day_note(person: Person, day: date) -> Span:
    """That whole day in the person's zone."""
    return _day(person, day)


def _write(p: Planning, commitment: Commitment, block: Span, *, all_day: bool) -> None:
    again = p.state.placed.get(commitment.key)
    new = p.keep(
        commitment,
        block=block,
        all_day=all_day,
        sequence=commitment.sequence + 1,
        generation=commitment.generation + (again is not None and again.gone),
    )
    what = What.UPDATE if p.find_event(new.key) or p.in_flight_key(new.key) else What.CREATE
    p.write_event(what, new.id, new.key, new.sequence)
    where = "as a note for the day" if all_day else "as a block"
    p.decide("commitment", f"On the manager's calendar {where}.", new.session, start=block.start, due=new.due)
