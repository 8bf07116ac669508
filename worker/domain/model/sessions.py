"""Sessions (planned conversations of a pair), their states, and their deferrals.

A deferral is the loss of a session's time. Company templates use the fields of these classes: their names are an
interface.
"""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from worker.domain.model.calendars import ShowAs
from worker.domain.model.people import Owner, PairId
from worker.domain.model.reasons import Reasons
from worker.domain.model.time import Address, Span


class SessionKind(StrEnum):
    """The kind of a session."""

    CAREER = "career"  #: a career conversation
    REVIEW = "review"  #: the monthly review of a contract (R-7)
    CHECKIN = "checkin"  #: a short check-in


class Topic(StrEnum):
    """The topic of a career session (R-4); reviews and check-ins have `all`."""

    ALL = "all"
    NOW = "now"  #: where the report is now
    DIRECTION = "direction"  #: where the report wants to go
    GAP = "gap"  #: how to get from the present to that direction


#: The topics of sessions after which a contract is due: single sessions, and the last parts of series (T-13).
CONTRACT_TOPICS = (Topic.ALL, Topic.GAP)


class SessionState(StrEnum):
    """The state of a session."""

    OWED = "owed"  #: the session is due and has no time yet
    DEFERRED = "deferred"  #: the session lost its time, and is due a new one
    BOOKED = "booked"  #: the session has a time, and its event is on the calendar or in the outbox
    HELD = "held"  #: the session took place, which is assumed as soon as its end has passed
    CONTRACTED = "contracted"  #: the session took place, and its contract is recorded
    UNFINISHED = "unfinished"  #: the session took place, and its contract did not come in time
    CANCELLED = "cancelled"  #: the session is no longer due; the history has the reason


class DeferralCause(StrEnum):
    """The reason why a session lost its time (T-10)."""

    DECLINED = "declined"  #: somebody declined the invitation
    DELETED = "deleted"  #: somebody deleted the event
    MOVED_OUT = "moved_out"  #: somebody moved the event to a time that is too short or outside the window
    BOOKED_OVER = "booked_over"  #: another event clashes with the session
    OUT_OF_OFFICE = "out_of_office"
    HOLIDAY = "holiday"
    NOT_HELD = "not_held"  #: somebody said that the session did not take place
    ASKED = "asked"  #: somebody asked for another time
    MOVED = "moved"  #: somebody moved the session to a valid time on a page; that does not count as a deferral (T-11)


class Trigger(StrEnum):
    """The occasion for which one of the two people requests an ad hoc session (R-6). It is stored sealed."""

    LEAVING = "leaving"
    DOUBT = "doubt"
    MOTIVATION = "motivation"
    STALLED = "stalled"
    CHANGE = "change"
    MILESTONE = "milestone"


class OfferPurpose(StrEnum):
    """The reason why a pair is offered times to choose from."""

    DEFERRAL = "deferral"  #: the session lost its time and has a new one (T-12)
    QUESTION = "question"  #: the two choose, in place of a third automatic move within seven days (T-11)
    SOON = "soon"  #: there is no free time for an ad hoc session; each offered time displaces something else (T-14)


@dataclass(frozen=True, slots=True)
class Offer:
    """Times that are reserved for a pair. The two people may choose one of the times (T-12)."""

    times: tuple[Span, ...]  #: if the session has a time, that is the first of them
    until: datetime  #: when the reservation ends
    purpose: OfferPurpose = OfferPurpose.DEFERRAL
    #: For each time, the people whose calendar has something else at that time (T-14). Empty when both are always free.
    displaces: tuple[tuple[Owner, ...], ...] = ()

    def list_displaced_owners(self, time: Span) -> tuple[Owner, ...]:
        """Return the people whose calendar has something else at that time; empty for a time that is not offered."""
        displaced = dict(zip(self.times, self.displaces, strict=False))
        return displaced.get(time, ())


@dataclass(frozen=True, slots=True)
class IntendedTime:
    """Busy time over which a person moved a session on purpose. It does not count as a clash (T-11)."""

    person: Owner  #: whose calendar has the busy time: the manager's or the report's
    span: Span
    show_as: ShowAs


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A planned conversation of a pair. A session keeps its id when it moves."""

    id: str
    pair: PairId
    kind: SessionKind
    topic: Topic = Topic.ALL
    cycle: int  #: the number of the pair's cycle to which the session belongs
    adhoc: bool = False  #: whether one of the two asked for the session
    state: SessionState = SessionState.OWED
    minutes: int  #: the desired length
    earliest: datetime  #: the start of the window in which the session should take place
    target: datetime  #: the best time in the window
    latest: datetime  #: the end of the window
    start: datetime | None = None  #: None while the session has no time
    end: datetime | None = None
    generation: int = 1  #: increases when the event has to be created again
    sequence: int = 0  #: increases each time planning decides to write the event
    #: Whether the window was computed from the pair's turn and start, and not from the session before: because there is
    #: none, or because the target that followed from it has passed (T-3a).
    in_turn: bool = False
    by_hand: bool = False  #: whether a person chose the present time (R-9, T-11)
    #: The busy time at the moment when a person chose the present time; None until the calendars have been read.
    intended: tuple[IntendedTime, ...] | None = None
    urgent: bool = False  #: whether meeting soon has precedence over buffers and preferences (T-14)
    count: int = 0  #: the number of deferrals
    deferred_at: datetime | None = None
    #: When the mail is due that warns the manager of another event at the session's time; None without a warning.
    warned_at: datetime | None = None
    held_at: datetime | None = None  #: the end, once the session has taken place
    #: When `held_at` was set, if that was long after the session's end: the contract is then due later (T-7).
    noted_at: datetime | None = None
    contracted_at: datetime | None = None  #: when the first revision of the contract was recorded (T-9)
    unplaceable: Reasons | None = None  #: why no time exists, once the pair has got a mail about that
    offer: Offer | None = None  #: the times that the two may choose from (T-11, T-12, T-14)

    @property
    def owed(self) -> bool:
        """Whether the session is due and has no time."""
        return self.state in (SessionState.OWED, SessionState.DEFERRED)

    @property
    def booked(self) -> bool:
        """Whether the session has a time and has not taken place yet."""
        return self.state is SessionState.BOOKED

    @property
    def asks_contract(self) -> bool:
        """Whether a contract is due after this session."""
        return self.kind is SessionKind.CAREER and self.topic in CONTRACT_TOPICS

    @property
    def is_closed(self) -> bool:
        """Whether nothing remains to be done for the session."""
        if self.state is SessionState.HELD:
            return not self.asks_contract
        return self.state in (SessionState.CONTRACTED, SessionState.UNFINISHED, SessionState.CANCELLED)

    @property
    def span(self) -> Span:
        """The time of the session. Raises ValueError when it has none."""
        if self.start is None or self.end is None:
            raise ValueError(f"session {self.id} has no time")
        return Span(self.start, self.end)

    @property
    def options(self) -> tuple[Span, ...]:
        """The times that are reserved for the two to choose from; empty without an offer."""
        return self.offer.times if self.offer else ()

    @property
    def key(self) -> str:
        """The key of the session's event, which is unique among all events."""
        return f"{self.id}.{self.generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """The loss of a session's time (R-8), or a move by hand on one of Longarc's pages.

    A move by hand does not count as a deferral (T-11). It is stored in the same way, so that the report can explain
    the move (R-18).
    """

    session: str  #: the session's id
    number: int  #: deferrals of a session count 1, 2, ..., and moves by hand -1, -2, ...
    at: datetime
    cause: DeferralCause
    who: Address = ""  #: the person who caused it; empty when nobody did
    was: Span | None = None  #: the lost time; None when it is not recorded
    explained_at: datetime | None = None  #: when the report gave a reason, which is stored sealed (R-18)

    @property
    def is_counted(self) -> bool:
        """Whether this counts as a deferral, and is not a move by hand (T-11)."""
        return self.cause is not DeferralCause.MOVED

    @property
    def position(self) -> tuple[datetime, int]:
        """A sort key for chronological order. Deferrals of the same instant are ordered by number."""
        return self.at, abs(self.number)
