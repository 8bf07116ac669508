"""The concerns of a preview: pairs for which no time is found, and data that may be wrong, both of which need a person.

The reasons that a concern shows reveal nothing about the events on a calendar. Only the two people of the pair are told
which event would have to move.
"""

from collections import Counter
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from worker.domain.model import PairState, Person, Plan, Reasons, Session
from worker.domain.planning import cadence
from worker.domain.time.blockers import never_work_together

#: A manager with more reports than this may not have enough time for all of them.
MANY_REPORTS = 10
#: The time zone of people whose time zone is not known.
UNKNOWN_ZONE = "UTC"
#: The codes of the reasons that may be shown. They are about working hours, holidays and lengths, and about no event.
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
    """The kinds of concerns, in the order in which they are shown."""

    FAILED = "failed"  #: an error occurred when the pair was planned
    NO_CALENDAR = "no_calendar"  #: the manager has no calendar in which an event can be created
    UNREADABLE = "unreadable"  #: a calendar can't be read, and unknown time is never taken for free
    NO_FREE_BUSY = "no_free_busy"  #: the free/busy of the pair has not been read
    HOURS_APART = "hours_apart"  #: the two people never work at the same time (T-4)
    FULL = "full"  #: the two people have no free time in common
    NO_ZONE = "no_zone"  #: the time zone of a person is not known
    MANY_REPORTS = "many_reports"  #: the manager has more than `MANY_REPORTS` reports


@dataclass(frozen=True, slots=True, kw_only=True)
class PairConcern:
    """A concern about one pair, or about one person and a number of the person's pairs."""

    kind: ConcernKind
    person: Person  #: the manager, when the concern is about one pair
    report: Person | None = None  #: None when the concern is about a person
    count: int = 1  #: the number of pairs
    reasons: Reasons = ()

    def get_sort_key(self) -> tuple[int, str, str, str]:
        """Return the key by which concerns are sorted: by kind, then by names."""
        report = self.report.name.casefold() if self.report else ""
        return list(ConcernKind).index(self.kind), self.person.name.casefold(), report, self.person.email


def list_concerns(
    states: Sequence[PairState], plans: Sequence[Plan], now: datetime, shortest_minutes: int
) -> Iterator[PairConcern]:
    """Yield the concerns about the pairs of one manager. `states` are the pairs' states after their plans."""
    manager = states[0].manager
    if len(states) > MANY_REPORTS:
        yield PairConcern(kind=ConcernKind.MANY_REPORTS, person=manager, count=len(states))
    if not manager.has_calendar:
        yield PairConcern(kind=ConcernKind.NO_CALENDAR, person=manager, count=len(states))
        return
    unreadable: Counter[Person] = Counter()
    unread_count = 0
    for state, plan in zip(states, plans, strict=True):
        owed = [session for session in state.sessions if session.owed and cadence.is_regular(session)]
        if plan.problem:
            yield PairConcern(kind=ConcernKind.FAILED, person=manager, report=state.report)
        elif _has_hours_apart(state, now, shortest_minutes):
            yield PairConcern(kind=ConcernKind.HOURS_APART, person=manager, report=state.report)
        elif any(session.unplaceable is None for session in owed) and not _has_time(state):
            unread_count += 1  # without reasons, no search was made, because the free/busy was missing
        elif owed:
            unreadable_people = _list_unreadable_people(state, owed[0])
            unreadable.update(unreadable_people)
            if not unreadable_people:
                reasons = select_shown_reasons(owed[0].unplaceable or ())
                yield PairConcern(kind=ConcernKind.FULL, person=manager, report=state.report, reasons=reasons)
    if unread_count:
        yield PairConcern(kind=ConcernKind.NO_FREE_BUSY, person=manager, count=unread_count)
    for person, count in unreadable.items():
        yield PairConcern(kind=ConcernKind.UNREADABLE, person=person, count=count)


def list_unknown_zones(people: Iterable[Person]) -> Iterator[PairConcern]:
    """Yield a concern about each person whose time zone is not known."""
    for person in people:
        if person.zone == UNKNOWN_ZONE:
            yield PairConcern(kind=ConcernKind.NO_ZONE, person=person)


def select_shown_reasons(reasons: Reasons) -> Reasons:
    """Return those of the reasons that reveal nothing about the events on a calendar."""
    return tuple(reason for reason in reasons if reason.code in SHOWN_REASONS)


def _has_time(state: PairState) -> bool:
    """Return whether a regular session of the pair is booked."""
    return any(session.booked and cadence.is_regular(session) for session in state.sessions)


def _has_hours_apart(state: PairState, now: datetime, shortest_minutes: int) -> bool:
    """Return whether the two people never work at the same time, and have no session in spite of that."""
    return not _has_time(state) and never_work_together((state.manager, state.report), now, shortest_minutes)


def _list_unreadable_people(state: PairState, session: Session) -> list[Person]:
    """Return the people of the pair whose calendars can't be read. The session's reasons contain their names."""
    names = {reason.values.get("name") for reason in session.unplaceable or () if reason.code == "unknown"}
    return [person for person in (state.manager, state.report) if person.name in names]
