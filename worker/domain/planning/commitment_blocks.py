"""The manager's commitments on the manager's own calendar (T-8, R-19)."""

from datetime import date, timedelta

from worker.domain.model import Commitment, FreeBusy, Owner, Person, PlacedEvent, Span
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.time.slots import find_solo_time
from worker.domain.time.worktime import add_working_days, get_local_date, wall_to_utc


def update_blocks(builder: PlanBuilder) -> None:
    """Bring the manager's calendar in line with the manager's commitments, and place the blocks that are missing."""
    for commitment_id in follow_blocks(builder):
        _place_if_missing(builder, builder.commitments[commitment_id])


def follow_blocks(builder: PlanBuilder) -> list[str]:
    """Take over what became of the blocks on the calendar, and take off those whose commitments have ended.

    Places none. Returns the ids of the manager's commitments whose changes have all reached the calendar.
    """
    mine = [c for c in builder.commitments.values() if c.owner is Owner.MANAGER]
    settled = [c.id for c in mine if not builder.has_pending_change(c.id)]
    if any(not c.is_open and c.block for c in mine if c.id not in settled):
        builder.wake_at(builder.now + RECHECK_SOON)  # it ended while its block was being made
    for commitment_id in settled:
        _follow_calendar(builder, builder.commitments[commitment_id])
    return settled


def _follow_calendar(builder: PlanBuilder, commitment: Commitment) -> None:
    """Take over what became of the block on the calendar; take it off when the commitment has ended."""
    placed = builder.state.placed_events.get(commitment.key)
    if placed is None and commitment.block:  # its effect was dropped as too old, or refused
        builder.update_commitment(commitment, block=None, generation=commitment.generation + 1)
    if not commitment.is_open:
        _remove_block(builder, commitment)
    elif placed is not None and not placed.gone:
        _compare_block(builder, commitment, placed)
    elif placed is not None and commitment.block:
        _dismiss_block(builder, commitment)


def _place_if_missing(builder: PlanBuilder, commitment: Commitment) -> None:
    if not commitment.is_open or commitment.block or commitment.dismissed:
        return
    if not builder.wait_for_retry(commitment.id):
        _place_block(builder, commitment)


def _compare_block(builder: PlanBuilder, commitment: Commitment, placed: PlacedEvent) -> None:
    """Accept a move by the manager, which leaves the due date as it is; write again what the calendar never took."""
    if placed.span != placed.written:
        builder.accept_move(placed)
        builder.update_commitment(commitment, block=placed.span, by_hand=True)
        builder.record_decision("commitment", "The manager moved it on the calendar; respected.", commitment.session)
    elif commitment.block and commitment.block != placed.span and not _is_all_day_note(commitment, placed):
        _retry_write(builder, commitment, commitment.block)


def _is_all_day_note(commitment: Commitment, placed: PlacedEvent) -> bool:
    """Whether it is our note for a whole day, which a service puts where that day is in the calendar's own zone."""
    return commitment.all_day and placed.sequence == commitment.sequence


def _retry_write(builder: PlanBuilder, commitment: Commitment, block: Span) -> None:
    """Write a block again whose change never reached the calendar, unless it is too early after a refusal."""
    if not builder.wait_for_retry(commitment.id):
        _write_block(builder, commitment, block, all_day=commitment.all_day)


def _dismiss_block(builder: PlanBuilder, commitment: Commitment) -> None:
    builder.update_commitment(commitment, block=None, dismissed=True)
    builder.record_decision(
        "commitment",
        "The manager took it off the calendar; respected. It stays open until it is done.",
        commitment.session,
    )


def _remove_block(builder: PlanBuilder, commitment: Commitment) -> None:
    if commitment.block is None:
        return
    if builder.find_event(commitment.key):
        builder.cancel_event(commitment.id, commitment.key)
    builder.update_commitment(commitment, block=None)


def update_block_text(builder: PlanBuilder, commitment: Commitment) -> None:
    """Write the new words of a commitment into its block, which stays at its time."""
    if commitment.block is not None:
        _write_block(builder, commitment, commitment.block, all_day=commitment.all_day)


def _place_block(builder: PlanBuilder, commitment: Commitment) -> None:
    first, last = (make_day_span(builder.manager, day) for day in list_candidate_days(builder.manager, commitment.due))
    if last.end <= builder.now:
        _write_block(
            builder,
            commitment,
            make_day_span(builder.manager, max(commitment.due, get_local_date(builder.manager.zone, builder.now))),
            all_day=True,
        )
        return
    known = builder.get_free_busy([builder.manager], Span(min(builder.now, first.start), last.end))
    if known is None:
        return
    free_busy = known[builder.manager.email].exclude_event(commitment.key)
    for day in (first, last):
        block = _find_time(builder, commitment, day, free_busy)
        if block:
            _write_block(builder, commitment, block, all_day=False)
            return
    _write_block(builder, commitment, make_day_span(builder.manager, commitment.due), all_day=True)


def _find_time(builder: PlanBuilder, commitment: Commitment, day: Span, free_busy: FreeBusy) -> Span | None:
    window = Span(max(day.start, builder.now), max(day.end, builder.now))
    taken = builder.list_taken_times(builder.manager.email, exclude=commitment.id)
    return find_solo_time(builder.manager, window, builder.policy.commitment_minutes, free_busy, taken)


def list_candidate_days(manager: Person, due: date) -> tuple[date, date]:
    """Return the days on which a block is tried: the last working day before it is due, and the day it is due."""
    return add_working_days(manager, due, -1), due


def make_day_span(person: Person, day: date) -> Span:
    """Return that whole day in the person's zone."""
    return Span(wall_to_utc(person.zone, day, 0), wall_to_utc(person.zone, day + timedelta(days=1), 0))


def _write_block(builder: PlanBuilder, commitment: Commitment, block: Span, *, all_day: bool) -> None:
    placed = builder.state.placed_events.get(commitment.key)
    new = builder.update_commitment(
        commitment,
        block=block,
        all_day=all_day,
        sequence=commitment.sequence + 1,
        generation=commitment.generation + (placed is not None and placed.gone),
    )
    builder.write_event(new.id, new.key, new.sequence)
    where = "as a note for the day" if all_day else "as a block"
    builder.record_decision(
        "commitment", f"On the manager's calendar {where}.", new.session, start=block.start, due=new.due
    )
