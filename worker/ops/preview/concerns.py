"""What needs somebody before or after the program is switched on: pairs without a time, and facts that may be wrong.

The reasons that are shown say nothing of what stands on a calendar: the two themselves are told which appointment would
have to move.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from worker.domain.model import PairState, Person, Plan, Reasons, Session
from worker.domain.planning import cadence
from worker.domain.time.blockers import never_work_together

#: A manager with more reports than this hardly has the time for all of them.
MANY_REPORTS = 10
#: The zone of people of whom none is known.
UNKNOWN_ZONE = "UTC"
#: Codes of the reasons that may be shown: they tell of working hours, holidays and lengths, and of no appointment.
SHOWN_REASONS = frozenset(
    {
        "both_have_room",
        "ended_later",
        "holidays",
        "longest",
        "shorter_has_room",
        "started_earlier",
        "tighter_has_room",
        "window_over",
        "window_short",
    }
)


class ConcernKind(StrEnum):
    """What is wrong, in the order in which it is shown."""

    FAILED = "failed"  #: the pair could not be planned
    NO_CALENDAR = "no_calendar"  #: the manager has none that can be written to
    UNREADABLE = "unreadable"  #: a calendar can't be read, and unknown time is never free
    UNASKED = "unasked"  #: the calendars could not be asked just now
    HOURS_APART = "hours_apart"  #: the two never work at the same time (T-4)
    FULL = "full"  #: their calendars leave no time
    NO_ZONE = "no_zone"  #: no time zone is known of somebody
    MANY_REPORTS = "many_reports"


@dataclass(frozen=True, slots=True, kw_only=True)
class PairConcern:
    """Something that needs somebody: about a pair, or about one person with so many pairs."""

    kind: ConcernKind
    person: Person  #: of a pair, the manager
    report: Person | None = None
    count: int = 1  #: pairs
    reasons: Reasons = ()

    def get_sort_key(self) -> tuple[int, str, str, str]:
        """Return where it stands in the list."""
        report = self.report.name.casefold() if self.report else ""
        return list(ConcernKind).index(self.kind), self.person.name.casefold(), report, self.person.email


def list_concerns(states: Sequence[PairState], plans: Sequence[Plan], now: datetime) -> Iterator[PairConcern]:
    """Yield what is wrong about the pairs of one manager, each as its plan leaves it."""
    manager = states[0].manager
    if len(states) > MANY_REPORTS:
        yield PairConcern(kind=ConcernKind.MANY_REPORTS, person=manager, count=len(states))
    if not manager.has_calendar:
        yield PairConcern(kind=ConcernKind.NO_CALENDAR, person=manager, count=len(states))
        return
    unreadable: Counter[Person] = Counter()
    unasked = 0
    for state, made in zip(states, plans, strict=True):
        owed = [session for session in state.sessions if session.owed and cadence.is_regular(session)]
        if made.problem:
            yield PairConcern(kind=ConcernKind.FAILED, person=manager, report=state.report)
        elif _has_hours_apart(state, now):
            yield PairConcern(kind=ConcernKind.HOURS_APART, person=manager, report=state.report)
        elif any(session.unplaceable is None for session in owed) and not _has_time(state):
            unasked += 1
        elif owed:
            unread = _list_unreadable(state, owed[0])
            unreadable.update(unread)
            if not unread:
                reasons = select_shown_reasons(owed[0].unplaceable or ())
                yield PairConcern(kind=ConcernKind.FULL, person=manager, report=state.report, reasons=reasons)
    if unasked:
        yield PairConcern(kind=ConcernKind.UNASKED, person=manager, count=unasked)
    for person, count in unreadable.items():
        yield PairConcern(kind=ConcernKind.UNREADABLE, person=person, count=count)


def list_unknown_zones(people: Iterable[Person]) -> Iterator[PairConcern]:
    """Yield each person of whom no time zone is known."""
    for person in people:
        if person.zone == UNKNOWN_ZONE:
            yield PairConcern(kind=ConcernKind.NO_ZONE, person=person)


def select_shown_reasons(reasons: Reasons) -> Reasons:
    """Return the reasons without those that tell of what stands on a calendar."""
    return tuple(reason for reason in reasons if reason.code in SHOWN_REASONS)


def _has_time(state: PairState) -> bool:
    return any(session.booked and cadence.is_regular(session) for session in state.sessions)


def _has_hours_apart(state: PairState, now: datetime) -> bool:
    return not _has_time(state) and never_work_together((state.manager, state.report), now)


def _list_unreadable(state: PairState, session: Session) -> list[Person]:
    """Return whose calendar can't be read, as the reasons say: they name people."""
    names = {reason.values.get("name") for reason in session.unplaceable or () if reason.code == "unknown"}
    return [person for person in (state.manager, state.report) if person.name in names]
