"""Sessions, their status, and the deferrals by which they lost their time."""

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from worker.domain.model.calendars import ShowAs
from worker.domain.model.people import Owner, PairId
from worker.domain.model.reasons import Reasons
from worker.domain.model.time import Address, Span


class SessionKind(StrEnum):
    """A career session, the monthly review of a contract (R-7), or a check-in."""

    CAREER = "career"
    REVIEW = "review"
    CHECKIN = "checkin"


class Topic(StrEnum):
    """The topic of a career session (R-4); reviews and check-ins have `all`."""

    ALL = "all"
    NOW = "now"
    DIRECTION = "direction"
    GAP = "gap"


class SessionState(StrEnum):
    """The status of a session.

    `owed`: due, without a time. `deferred`: owed again after it lost its time. `booked`: has a time, and its event is
    on the calendar or about to be. `held`: it took place; assumed once its end has passed.
    `contracted`: held, with a contract. `unfinished`: held, and no contract came in time. `cancelled`: no longer owed;
    the history has the reason.
    """

    OWED = "owed"
    DEFERRED = "deferred"
    BOOKED = "booked"
    HELD = "held"
    CONTRACTED = "contracted"
    UNFINISHED = "unfinished"
    CANCELLED = "cancelled"


class DeferralCause(StrEnum):
    """The reason why a session lost its time (T-10)."""

    DECLINED = "declined"
    DELETED = "deleted"
    MOVED_OUT = "moved_out"
    BOOKED_OVER = "booked_over"
    OUT_OF_OFFICE = "out_of_office"
    HOLIDAY = "holiday"
    NOT_HELD = "not_held"
    ASKED = "asked"
    MOVED = "moved"  #: by hand, inside the rules: it does not count (T-11)


class Trigger(StrEnum):
    """The reason why one of the two requests an ad hoc session (R-6). Stored sealed."""

    LEAVING = "leaving"
    DOUBT = "doubt"
    MOTIVATION = "motivation"
    STALLED = "stalled"
    CHANGE = "change"
    MILESTONE = "milestone"


class OfferPurpose(StrEnum):
    """The reason why a pair is offered times to choose from.

    `deferral`: the session lost its time, and has a new one (T-12). `question`: it would have moved for the third time
    within seven days (T-11). `soon`: an ad hoc session fits nowhere; each of these times displaces something (T-14).
    """

    DEFERRAL = "deferral"
    QUESTION = "question"
    SOON = "soon"


@dataclass(frozen=True, slots=True)
class Offer:
    """Times that both people of a pair may choose from. They are reserved for the pair until `until` (T-12)."""

    times: tuple[Span, ...]  #: in order; where the session has a time, it is the first
    until: datetime
    purpose: OfferPurpose = OfferPurpose.DEFERRAL
    #: For each time, whose hour it takes (T-14). Empty when both are free at all of them.
    displaces: tuple[tuple[Owner, ...], ...] = ()

    def list_displaced(self, time: Span) -> tuple[Owner, ...]:
        """Return whose hour that time takes; nobody's for a time that is not offered."""
        displaced = dict(zip(self.times, self.displaces, strict=False))
        return displaced.get(time, ())


@dataclass(frozen=True, slots=True)
class IntendedTime:
    """Time that was busy already when a person put a session over it, so that it is no conflict (T-11)."""

    person: Owner  #: whose calendar it stood on
    span: Span
    show_as: ShowAs


@dataclass(frozen=True, slots=True, kw_only=True)
class Session:
    """A planned conversation of a pair. It keeps its id however often it moves."""

    id: str
    pair: PairId
    kind: SessionKind
    topic: Topic = Topic.ALL
    cycle: int
    adhoc: bool = False
    state: SessionState = SessionState.OWED
    minutes: int  #: wanted length
    earliest: datetime  #: start of the window in which it should take place
    target: datetime  #: the best time for it
    latest: datetime  #: end of that window
    start: datetime | None = None
    end: datetime | None = None
    generation: int = 1  #: grows when the event has to be created again
    sequence: int = 0  #: grows with each change of the event that we decide
    in_turn: bool = False  #: it follows no other, so the pair's turn or its start gave the window (T-3a)
    by_hand: bool = False  #: a person chose its present time (R-9, T-11)
    #: What stood at that time when a person chose it; None until the calendars were read.
    intended: tuple[IntendedTime, ...] | None = None
    urgent: bool = False  #: buffers and preferences are given up before the date is (T-14)
    count: int = 0  #: how often it was deferred
    deferred_at: datetime | None = None
    warned_at: datetime | None = None  #: when the pair got a warning that its present time clashes with something
    held_at: datetime | None = None  #: its end, once it has taken place
    noted_at: datetime | None = None  #: when `held_at` was recorded, if after its end (T-7)
    contracted_at: datetime | None = None  #: when its contract was recorded first (T-9)
    unplaceable: Reasons | None = None  #: why no time exists, once the pair got a mail about it
    offer: Offer | None = None  #: the times that the two may choose from (T-11, T-12, T-14)

    @property
    def owed(self) -> bool:
        """True when it is due and has no time."""
        return self.state in (SessionState.OWED, SessionState.DEFERRED)

    @property
    def booked(self) -> bool:
        """True when it has a time and has not taken place yet."""
        return self.state is SessionState.BOOKED

    @property
    def asks_contract(self) -> bool:
        """True when a contract is due after it: a combined session, or the last of a series (T-13)."""
        return self.kind is SessionKind.CAREER and self.topic in (Topic.ALL, Topic.GAP)

    @property
    def is_closed(self) -> bool:
        """True when nothing is left to do for it."""
        if self.state is SessionState.HELD:
            return not self.asks_contract
        return self.state in (SessionState.CONTRACTED, SessionState.UNFINISHED, SessionState.CANCELLED)

    @property
    def span(self) -> Span:
        """Its time. Raises ValueError when it has none."""
        if self.start is None or self.end is None:
            raise ValueError(f"session {self.id} has no time")
        return Span(self.start, self.end)

    @property
    def options(self) -> tuple[Span, ...]:
        """The times that are reserved for the two to choose from; none when nothing is offered."""
        return self.offer.times if self.offer else ()

    @property
    def key(self) -> str:
        """The key of this session's event: no other event has it, on any calendar."""
        return f"{self.id}.{self.generation}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Deferral:
    """The loss of a session's time: when, why and by whom (R-8). A move by hand on a page is kept as one, too, so that
    the report can say why (R-18); it does not count (T-11)."""

    session: str
    number: int  #: 1 for the first of this session that counts; -1 for its first move by hand
    at: datetime
    cause: DeferralCause
    who: Address = ""  #: the person who caused it; empty when nobody acted
    was: Span | None = None  #: the lost time
    explained_at: datetime | None = None  #: when the report said why; the words are stored sealed (R-18)

    @property
    def is_counted(self) -> bool:
        """True for a deferral; False for a move by hand, which is none (T-11)."""
        return self.cause is not DeferralCause.MOVED

    @property
    def position(self) -> tuple[datetime, int]:
        """Its place in the order of time; two of one second are told apart by their numbers."""
        return self.at, abs(self.number)
