"""When a manager's pairs meet that have never met, or are overdue together: one after the other (T-3a).

All of them at once would fill a manager's weeks on the day the company begins. Each such pair has a turn; the first
comes two weeks from now, the others up to two weeks apart, so that the last has met within one rhythm.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from worker.domain.model import Interval, Pair, PairId, Policy, WaitingPair
from worker.domain.planning import cadence
from worker.domain.time.worktime import get_local_date, wall_to_utc

#: How long from now the first of them meets, and how far apart two that follow each other meet at most.
STEP = timedelta(weeks=2)
#: A pair that began less than this before it was first seen meets after its start; an older start is a hire date.
RECENT_START = timedelta(weeks=5)
#: How long after its start a beginning pair meets: the ends of its window.
AFTER_START = (timedelta(weeks=2), timedelta(weeks=5))
#: How long before its start a pair hears of us at the earliest.
HEARD_BEFORE_START = timedelta(days=7)
#: The longest spread, unless the settings say otherwise.
LONGEST_SPREAD = Interval(weeks=13)
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Turn:
    """The place of a pair among the pairs of its manager that wait for a session."""

    number: int = 0  #: 0 for the first
    count: int = 1  #: of all of them


def is_beginning(pair: Pair, today: date) -> bool:
    """Return whether the pair's start matters: it lies less than five weeks before today, and before `first_seen`."""
    return pair.start is not None and pair.start > max(pair.first_seen, today) - RECENT_START


def find_first_notice(pair: Pair, zone: str) -> datetime | None:
    """Return from when on the two may hear of us; None when there is no limit."""
    return None if pair.start is None else wall_to_utc(zone, pair.start - HEARD_BEFORE_START, 0)


def find_turn(pair: Pair, waiting: Iterable[WaitingPair], now: datetime, policy: Policy) -> Turn:
    """Return the pair's turn among those of its manager that have never met or are overdue, as of now.

    In transition first, then who has waited longest since a career conversation with anybody, then by address.
    """
    today = now.date()
    listed = [one for one in waiting if one.pair.id == pair.id or _is_waiting(one, today, policy)]
    order = sorted(listed, key=lambda one: _get_order(one, today))
    number = next((n for n, one in enumerate(order) if one.pair.id == pair.id), 0)
    return Turn(number, max(len(order), 1))


def list_turns(waiting: Iterable[WaitingPair], now: datetime, policy: Policy) -> dict[PairId, Turn]:
    """Return the turns of all pairs of a manager that have never met or are overdue, as of now; see `find_turn`."""
    today = now.date()
    order = sorted((one for one in waiting if _is_waiting(one, today, policy)), key=lambda one: _get_order(one, today))
    return {one.pair.id: Turn(number, len(order)) for number, one in enumerate(order)}


def _is_waiting(waiting: WaitingPair, today: date, policy: Policy) -> bool:
    if is_beginning(waiting.pair, today):
        return False
    if waiting.held_at is None:
        return True
    day = waiting.held_at.date()
    return cadence.add_interval(day, cadence.choose_interval(waiting.pair, day, policy)) < today


def _get_order(waiting: WaitingPair, today: date) -> tuple[bool, datetime, str]:
    until = waiting.pair.transition_until
    return not (until is not None and until >= today), waiting.talked_at or LONG_AGO, waiting.pair.report


def make_first_window(pair: Pair, turn: Turn, zone: str, now: datetime, policy: Policy) -> cadence.SessionWindow:
    """Return the window of a session that follows no other: after the start of a pair that begins, else by its turn."""
    today = get_local_date(zone, now)
    if pair.start is not None and is_beginning(pair, today):
        earliest, latest = (wall_to_utc(zone, pair.start + after, 0) for after in AFTER_START)
        return cadence.SessionWindow(earliest, earliest + (latest - earliest) / 3, latest)
    rhythm = cadence.compute_rhythm(pair, today, policy)
    longest = policy.first_spread or LONGEST_SPREAD
    spread = cadence.add_interval(today, longest) - today
    spread = spread if policy.first_spread else min(rhythm, spread)
    step = min(STEP, max(spread - STEP, timedelta()) / turn.count)
    target = cadence.to_noon_utc(today + timedelta(days=(STEP + turn.number * step).days))
    before, after = cadence.compute_margins(rhythm)
    return cadence.SessionWindow(max(now, target - before), target, target + after)
