"""Keeps blocks for the manager's commitments on the manager's own calendar (R-19, T-8).

A block is an event that reserves time for one commitment, on the last working day before the commitment is due if
possible. When no free time is left, the block is an all-day event, a note for the day. The manager may move or delete a
block.
"""

from datetime import date, timedelta

from worker.domain.model import Commitment, FreeBusy, Owner, Person, PlacedEvent, Span
from worker.domain.planning.plan_builder import RECHECK_SOON, PlanBuilder
from worker.domain.time.slots import find_solo_time
from worker.domain.time.worktime import add_working_days, find_midnight, get_local_date


def update_and_place_blocks(builder: PlanBuilder) -> None:
    """Update the blocks of the manager's commitments on the calendar, and place the blocks that are missing."""
    for commitment_id in update_existing_blocks(builder):
        _place_if_missing(builder, builder.commitments[commitment_id])


def update_existing_blocks(builder: PlanBuilder) -> list[str]:
    """Accept the manager's changes to blocks on the calendar, and cancel the blocks of commitments that have ended.

    No block is placed. Return the ids of the manager's commitments without a pending change of their block.
    """
    promises = [c for c in builder.commitments.values() if c.owner is Owner.MANAGER]
    settled_ids = [c.id for c in promises if not builder.has_pending_change(c.id)]
    if any(not c.is_open and c.block for c in promises if c.id not in settled_ids):
        # A commitment has ended while its block was being written: the block is cancelled when that is finished.
        builder.plan_again_at(builder.now + RECHECK_SOON)
    for commitment_id in settled_ids:
        _update_existing_block(builder, builder.commitments[commitment_id])
    return settled_ids


def _update_existing_block(builder: PlanBuilder, commitment: Commitment) -> None:
    """Accept a change to the block on the calendar, or cancel the block when the commitment has ended."""
    placed = builder.state.placed_events.get(commitment.key)
    if placed is None and commitment.block:
        # The event was never created: its effect was dropped as too old, or refused.
        builder.update_commitment(commitment, block=None, generation=commitment.generation + 1)
    if not commitment.is_open:
        _remove_block(builder, commitment)
    elif placed is not None and not placed.is_gone:
        _compare_block(builder, commitment, placed)
    elif placed is not None and commitment.block:  # the manager deleted the event
        _dismiss_block(builder, commitment)


def _place_if_missing(builder: PlanBuilder, commitment: Commitment) -> None:
    """Place a block for an open commitment that has none, unless the manager deleted the block."""
    if not commitment.is_open or commitment.block or commitment.dismissed:
        return
    if not builder.has_to_wait_for_retry(commitment.id):
        _place_block(builder, commitment)


def _compare_block(builder: PlanBuilder, commitment: Commitment, placed: PlacedEvent) -> None:
    """Accept a move of the block by the manager. When our last change never reached the calendar, write it again.

    A move of the block does not change the due date of the commitment.
    """
    if placed.span != placed.written_span:
        builder.accept_move(placed)
        builder.update_commitment(commitment, block=placed.span, by_hand=True)
        reason = "The manager moved the block on the calendar; the new time is kept."
        builder.record_decision("commitment", reason, commitment.session)
    elif commitment.block and commitment.block != placed.span and not _is_written_all_day_event(commitment, placed):
        _retry_write(builder, commitment, commitment.block)


def _is_written_all_day_event(commitment: Commitment, placed: PlacedEvent) -> bool:
    """Return whether the block is an all-day event whose last change reached the calendar.

    The span of such an event may still differ from that of the block, because a calendar service returns the day in the
    calendar's own zone.
    """
    return commitment.all_day and placed.sequence == commitment.sequence


def _retry_write(builder: PlanBuilder, commitment: Commitment, block: Span) -> None:
    """Write the block again, because the last change never reached the calendar; after a refusal, only after a wait."""
    if not builder.has_to_wait_for_retry(commitment.id):
        _write_block(builder, commitment, block, all_day=commitment.all_day)


def _dismiss_block(builder: PlanBuilder, commitment: Commitment) -> None:
    """Accept that the manager deleted the block, so that no new block is placed."""
    builder.update_commitment(commitment, block=None, dismissed=True)
    builder.record_decision(
        "commitment",
        "The manager took the block off the calendar, and no other is placed. The commitment stays open.",
        commitment.session,
    )


def _remove_block(builder: PlanBuilder, commitment: Commitment) -> None:
    """Cancel the block, because the commitment has ended."""
    if commitment.block is None:
        return
    if builder.find_event(commitment.key):
        builder.cancel_event(commitment.id, commitment.key)
    builder.update_commitment(commitment, block=None)


def update_block_text(builder: PlanBuilder, commitment: Commitment) -> None:
    """Write the new text of a commitment into its block, which keeps its time."""
    if commitment.block is not None:
        _write_block(builder, commitment, commitment.block, all_day=commitment.all_day)


def _place_block(builder: PlanBuilder, commitment: Commitment) -> None:
    """Place the block at a free time of a candidate day or, when there is none, as an all-day event (T-8).

    For a commitment whose due date has passed, the all-day event is placed today.
    """
    manager = builder.manager
    day_before, due_day = (make_day_span(manager, day) for day in list_candidate_days(manager, commitment.due))
    if due_day.end <= builder.now:
        today = get_local_date(manager.zone, builder.now)
        _write_block(builder, commitment, make_day_span(manager, today), all_day=True)
        return
    window = Span(min(builder.now, day_before.start), due_day.end)
    free_busy_by_address = builder.get_free_busy([manager], window)
    if free_busy_by_address is None:
        return
    free_busy = free_busy_by_address[manager.email].exclude_event(commitment.key)
    for day in (day_before, due_day):
        block = _find_time(builder, commitment, day, free_busy)
        if block:
            _write_block(builder, commitment, block, all_day=False)
            return
    _write_block(builder, commitment, due_day, all_day=True)


def _find_time(builder: PlanBuilder, commitment: Commitment, day: Span, free_busy: FreeBusy) -> Span | None:
    """Return a free time for the block in the rest of that day; None when there is none."""
    window = Span(max(day.start, builder.now), max(day.end, builder.now))
    taken = builder.list_taken_times(builder.manager.email, exclude=commitment.id)
    return find_solo_time(builder.manager, window, builder.policy.commitment_minutes, free_busy, taken)


def list_candidate_days(manager: Person, due: date) -> tuple[date, date]:
    """Return the candidate days for a block: the last working day before the due date, then the due date."""
    return add_working_days(manager, due, -1), due


def make_day_span(person: Person, day: date) -> Span:
    """Return the span of the whole day in the person's zone."""
    return Span(find_midnight(person.zone, day), find_midnight(person.zone, day + timedelta(days=1)))


def _write_block(builder: PlanBuilder, commitment: Commitment, block: Span, *, all_day: bool) -> None:
    """Give the commitment this block, and write the block's event."""
    placed = builder.state.placed_events.get(commitment.key)
    updated = builder.update_commitment(
        commitment,
        block=block,
        all_day=all_day,
        sequence=commitment.sequence + 1,
        # An event that was deleted can't be written again, so that the next event gets another key.
        generation=commitment.generation + (1 if placed is not None and placed.is_gone else 0),
    )
    builder.write_event(updated.id, updated.key, updated.sequence)
    what = "a note for the day" if all_day else "a block"
    builder.record_decision(
        "commitment", f"It is on the manager's calendar as {what}.", updated.session, start=block.start, due=updated.due
    )
