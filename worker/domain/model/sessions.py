"""Conversations: planned, held, owed; and how they lost their time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from worker.domain.model.people import PairId
from worker.domain.model.reasons import Reasons
from worker.domain.model.time import Address, Span


class SessionKind(StrEnum):
    CAREER = "career"
    REVIEW = "review"
    CHECKIN = "checkin"


class Topic(StrEnum):
    """What a career session is about (R-4); reviews and check-ins are about `all`."""

    ALL = "all"
    NOW = "now"
    DIRECTION = "direction"
    GAP = "gap"


class SessionState(StrEnum):
    """Where a session stands.

    `owed`: due, no time yet. `deferred`: had a time and lost it, owed again. `booked`: decided, on the calendar or
    on its way there. `held`: its end has passed and nobody said otherwise. `contracted`: held and closed with a
    contract. `unfinished`: held, and no contract came. `cancelled`: not owed any more, with a reason in the history.
    """

    OWED = "owed"
    DEFERRED = "deferred"
    BOOKED = "booked"
    HELD = "held"
    CONTRACTED = "contracted"
    UNFINISHED = "unfinished"
    CANCELLED = "cancelled"


class DeferralCause(StrEnum):
    """Why a session lost its time (T-10)."""

    DECLINED = "declined"
    DELETED = "deleted"
    MOVED_OUT = "moved_out"
    BOOKED_OVER = "booked_over"
    OUT_OF_OFFICE = "out_of_office"
    HOLIDAY = "holiday"
    NOT_HELD = "not_held"
    ASKED = "asked"


class Trigger(StrEnum):
    """What an ad hoc conversation answers (R-6). Stored sealed."""

    LEAVING = "leaving"
    DOUBT = "doubt"
    MOTIVATION = "motivation"
    STALLED = "stalled"
    CHANGE = "change"
    MILESTONE = "milestone"


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """One conversation that is owed, planned, held or past. It keeps its id however often it moves."""

    id: str
    pair: PairId
    kind: SessionKind
    topic: Topic = Topic.ALL
    cycle: int
    adhoc: bool = False
    state: SessionState = SessionState.OWED
    minutes: int  #: wished length
    earliest: datetime  #: the window in which it belongs
    target: datetime
    latest: datetime
    start: datetime | None = None
    end: datetime | None = None
    generation: int = 1  #: grows when the event has to be made anew
    sequence: int = 0  #: grows with each change of the event we decide
    by_hand: bool = False  #: a human chose the present time (R-9, T-11)
    urgent: bool = False  #: buffers and preferences yield before the date does (T-14)
    count: int = 0  #: deferrals of this session
    deferred_at: datetime | None = None
    warned_at: datetime | None = None  #: when the clash over the present time was told
    held_at: datetime | None = None  #: end of the conversation that took place
    noted_at: datetime | None = None  #: when that was recorded, where it was not at its end (T-7)
    unplaceable: Reasons | None = None  #: why no time exists; a person has been told
    options: tuple[Span, ...] = ()  #: times held for the manager to choose from (T-12)

    @property
    def owed(self) -> bool:
        return self.state in (SessionState.OWED, SessionState.DEFERRED)

    @property
    def booked(self) -> bool:
        return self.state is SessionState.BOOKED

    @property
    def asks_contract(self) -> bool:
        """True when a contract closes it: a combined session, or the last of a series (T-13)."""
        return self.kind is SessionKind.CAREER and self.topic in (Topic.ALL, Topic.GAP)

    @property
    def is_closed(self) -> bool:
        """True when nothing is left to be done for it."""
        if self.state is SessionState.HELD:
            return not self.asks_contract
        return self.state in (SessionState.CONTRACTED, SessionState.UNFINISHED, SessionState.CANCELLED)

    @property
    def span(self) -> Span:
        """The time it has. Raises ValueError when it has none."""
        if self.start is None or self.end is None:
            raise ValueError(f"session {self.id} has no time")
        return Span(self.start, self.end)

    @property
    def key(self) -> str:
        """Names this session's event, and no other, on any calendar."""
        return f"{self.id}.{self.generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """That a session lost its time: when, why, by whom and which (R-8). `who` is empty when nobody acted."""

    session: str
    number: int  #: 1 for the first of this session
    at: datetime
    cause: DeferralCause
    who: Address = ""
    was: Span | None = None
