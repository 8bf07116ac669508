"""Spreads the first sessions of a manager's pairs that have never met, or whose sessions are overdue (T-3a).

If all these pairs met at once, they would fill the manager's first weeks with Longarc. Therefore each pair gets a turn,
its place in the order of the waiting pairs. The target of the first pair is two weeks from now. Each further target is
two weeks later, or less, so that all lie within one rhythm (13 weeks at most) or the time in the settings.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

from worker.domain.model import Interval, Pair, PairId, Policy, WaitingPair
from worker.domain.planning import cadence
from worker.domain.time.worktime import find_midnight, get_local_date

#: The time from now until the first turn, and the longest time between two turns.
STEP = timedelta(weeks=2)
#: A pair's start, the day from which the two work together, is recent until so long after it, if the roster first
#: contained the pair within that time. The first session then follows the start. An older start is ignored, because HR
#: exports often contain the hire date in its place.
RECENT_START = timedelta(weeks=5)
#: The window of the first session of a pair with a recent start, counted from that start.
WINDOW_AFTER_START = (timedelta(weeks=2), timedelta(weeks=5))
#: The two people of a pair get their first invitation or mail at most this long before the pair's start.
NOTICE_BEFORE_START = timedelta(days=7)
#: The longest time over which turns are spread, when the setting `first_spread` is empty.
LONGEST_SPREAD = Interval(weeks=13)
#: Stands for the last conversation of a report who has had none.
LONG_AGO = datetime.min.replace(tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Turn:
    """The place of a pair among the pairs of its manager that wait for a session."""

    number: int = 0  #: counts from 0
    count: int = 1  #: the number of all waiting pairs


def has_recent_start(pair: Pair, today: date) -> bool:
    """Return whether the pair's start is in the future, or less than five weeks before both today and `first_seen`."""
    return pair.start is not None and pair.start > max(pair.first_seen, today) - RECENT_START


def find_earliest_contact(pair: Pair, zone: str) -> datetime | None:
    """Return the earliest instant for the pair's first invitation or mail; None when there is no limit."""
    return None if pair.start is None else find_midnight(zone, pair.start - NOTICE_BEFORE_START)


def find_turn(pair: Pair, waiting: Iterable[WaitingPair], now: datetime, policy: Policy) -> Turn:
    """Return the turn of the pair among the waiting pairs of its manager.

    Pairs in transition, which have a shorter rhythm for a time, come first. Then come the reports whose last career
    conversation with any manager is longest ago. Ties are decided by address. The pair itself counts as waiting, since
    its session needs a window; when it is not in `waiting`, it gets the first turn.
    """
    today = now.date()
    candidates = [entry for entry in waiting if entry.pair.id == pair.id or _is_waiting(entry, today, policy)]
    ordered_ids = [entry.pair.id for entry in sorted(candidates, key=lambda entry: _get_order(entry, today))]
    number = ordered_ids.index(pair.id) if pair.id in ordered_ids else 0
    return Turn(number, max(len(ordered_ids), 1))


def list_turns(waiting: Iterable[WaitingPair], now: datetime, policy: Policy) -> dict[PairId, Turn]:
    """Return the turns of all waiting pairs of a manager, in the order that `find_turn` describes."""
    today = now.date()
    candidates = [entry for entry in waiting if _is_waiting(entry, today, policy)]
    ordered = sorted(candidates, key=lambda entry: _get_order(entry, today))
    return {entry.pair.id: Turn(number, len(ordered)) for number, entry in enumerate(ordered)}


def _is_waiting(entry: WaitingPair, today: date, policy: Policy) -> bool:
    """Return whether the pair has never met or is overdue, and has no recent start that gives its window instead."""
    if has_recent_start(entry.pair, today):
        return False
    if entry.held_at is None:
        return True
    day = entry.held_at.date()
    return cadence.add_interval(day, cadence.choose_interval(entry.pair, day, policy)) < today


def _get_order(entry: WaitingPair, today: date) -> tuple[bool, datetime, str]:
    """Return the sort key of a waiting pair: see `find_turn`."""
    until = entry.pair.transition_until
    is_in_transition = until is not None and until >= today
    return not is_in_transition, entry.talked_at or LONG_AGO, entry.pair.report


def make_turn_window(pair: Pair, turn: Turn, zone: str, now: datetime, policy: Policy) -> cadence.SessionWindow:
    """Return the window of a session that can't follow an earlier one: the pair's first, or an overdue session.

    The window of a pair with a recent start is two to five weeks after that start. Any other pair gets a target by its
    turn: two weeks from now for the first pair, and one step later for each further pair. `zone` is the manager's zone.
    """
    today = get_local_date(zone, now)
    if pair.start is not None and has_recent_start(pair, today):
        earliest, latest = (find_midnight(zone, pair.start + distance) for distance in WINDOW_AFTER_START)
        target = earliest + (latest - earliest) / 3  # three weeks after the start
        return cadence.SessionWindow(earliest, target, latest)
    rhythm = cadence.compute_rhythm(pair, today, policy)
    longest_spread = cadence.add_interval(today, policy.first_spread or LONGEST_SPREAD) - today
    # Only a spread from the settings may be longer than the rhythm.
    spread = longest_spread if policy.first_spread else min(rhythm, longest_spread)
    # The first turn is one `STEP` from now, so that the others share what is left of the spread.
    step = min(STEP, max(spread - STEP, timedelta()) / turn.count)
    target = cadence.to_noon_utc(today + timedelta(days=(STEP + turn.number * step).days))
    before, after = cadence.compute_window_reach(rhythm)
    return cadence.SessionWindow(max(now, target - before), target, target + after)
