"""What is decided, what is done about it, and what came of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from worker.domain.model.calendars import Answer, EventRef, FreeBusy
from worker.domain.model.contracts import Commitment
from worker.domain.model.people import Pair, PairId, Person
from worker.domain.model.sessions import Deferral, Session, SessionKind
from worker.domain.model.time import Address, Interval, Span


class EffectKind(StrEnum):
    """What an outbox message does."""

    CREATE = "event.create"
    UPDATE = "event.update"
    CANCEL = "event.cancel"
    MAIL = "mail"


class EffectProgress(StrEnum):
    """Where an outbox message stands.

    `waiting`: due at `due_at`. `claimed`: somebody holds its lease and has not begun. `sending`: the call may have
    been made. `done`, `dropped` (no longer true, nothing was sent), `uncertain` (nobody can know), `dead` (refused
    for good) are final.
    """

    WAITING = "waiting"
    CLAIMED = "claimed"
    SENDING = "sending"
    DONE = "done"
    DROPPED = "dropped"
    UNCERTAIN = "uncertain"
    DEAD = "dead"


LIVE_PROGRESS = frozenset({EffectProgress.WAITING, EffectProgress.CLAIMED, EffectProgress.SENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """An effect that was decided: a row of the outbox, unique by `key`, holding no content."""

    key: str
    kind: EffectKind
    pair: PairId | None  #: None for what the operator is told
    subject: str  #: session id, commitment id, or the pair's id; messages of one subject go out in order
    due_at: datetime
    snapshot_at: datetime  #: when the world it was decided on was read
    calendar: Address = ""  #: for events: whose calendar
    event: str = ""  #: for events, and for mails about one: the event's key
    name: str = ""  #: for mails: which one
    to: Address = ""
    number: int = 0  #: for mails that come in a row: which one of them
    start: datetime | None = None  #: what it speaks of: a session's start, a due date at midnight UTC; for an update
    #: where the event stood when it was decided
    progress: EffectProgress = EffectProgress.WAITING
    attempts: int = 0

    @property
    def is_live(self) -> bool:
        return self.progress in LIVE_PROGRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEvent:
    """An event of ours as it was last seen on its calendar.

    `written` is the time we last wrote, or accepted from a human: when `span` is another one, a human moved it.
    """

    key: str
    ref: EventRef
    span: Span
    written: Span
    sequence: int = 0  #: of the session or commitment, as last written
    gone: bool = False
    answers: Mapping[Address, Answer] = field(default_factory=dict)
    proposed: Mapping[Address, Span] = field(default_factory=dict)  #: another time, by who proposed it


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One occurrence of a recurring meeting of exactly the two of a pair (T-9)."""

    pair: PairId
    span: Span


@dataclass(frozen=True, slots=True)
class TakenTime:
    """Time of a person that was decided elsewhere and may not be on the calendar yet. It counts as busy."""

    span: Span
    session: str  #: the session or commitment it belongs to
    kind: SessionKind | None = None  #: None for commitments
    pair: PairId | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState:
    """All that is known of a pair when it is planned, read in one transaction."""

    pair: Pair
    manager: Person
    report: Person
    sessions: tuple[Session, ...] = ()  #: those not closed, and the last ones closed of each kind
    deferrals: tuple[Deferral, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    effects: tuple[Effect, ...] = ()
    placed_events: Mapping[str, PlacedEvent] = field(default_factory=dict)  #: by event key
    meetings: tuple[Meeting, ...] = ()
    #: by any pair, from now on; None when it was not read, and then nothing can be placed
    taken_times: Mapping[Address, tuple[TakenTime, ...]] | None = None
    looked_at: datetime | None = None  #: when the free/busy of the two was last read

    @property
    def addresses(self) -> tuple[Address, Address]:
        """The manager's and the report's."""
        return self.manager.email, self.report.email

    def session(self, session_id: str) -> Session | None:
        """The session of that id; None when there is none, or it was not read."""
        return next((s for s in self.sessions if s.id == session_id), None)


@dataclass(frozen=True, slots=True)
class FreeBusyRequest:
    """What planning lacks: the free/busy of these people in this window; when their time is to be given, also what
    other pairs have taken of it."""

    people: tuple[Address, ...]
    window: Span
    includes_taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeBusySnapshot:
    """What was read of the calendars for planning: each person's free/busy, inside that person's window.

    Somebody in `unavailable` could not be asked just now; that is no reason to tell anybody anything, only to ask
    again.
    """

    windows: Mapping[Address, Span]
    free_busy: Mapping[Address, FreeBusy]
    unavailable: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A line of the append-only history: what was decided and why, in words, with no content."""

    at: datetime
    what: str  #: `session`, `unplaceable`, `commitment`, `warning`
    pair: PairId
    reason: str
    session: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be written, all of it or nothing. With `needs`, it is only a question: ask, then plan again."""

    pair: PairId
    due_at: datetime | None = None  #: when this pair must be looked at again; None: nothing to wait for
    sessions: tuple[Session, ...] = ()
    deferrals: tuple[Deferral, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    effects: tuple[Effect, ...] = ()
    decisions: tuple[Decision, ...] = ()
    accepted_moves: Mapping[str, Span] = field(default_factory=dict)  #: hand moves accepted, by event key
    needs: FreeBusyRequest | None = None
    used_free_busy: bool = False  #: true when free/busy was used for it
    problem: str = ""  #: why nothing could be planned, in words without content

    @property
    def is_empty(self) -> bool:
        """True when nothing changes (when to look again aside)."""
        return not (self.sessions or self.deferrals or self.commitments or self.effects or self.decisions)


class Outcome(StrEnum):
    """What came of performing a message."""

    DONE = "done"
    STALE = "stale"  #: no longer true; nothing was done
    TRANSIENT = "transient"
    UNCERTAIN = "uncertain"
    PERMANENT = "permanent"


@dataclass(frozen=True, slots=True)
class Settlement:
    """What becomes of a message after an attempt: its progress, when to try again, whether to replan its pair."""

    progress: EffectProgress
    due_at: datetime | None = None
    replan: bool = False
    tell_operator: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The company's choices, within the rules of time. Defaults are the rules' own."""

    min_minutes: int = 60
    min_by_hand: int = 45
    review_minutes: int = 25
    checkin_minutes: int = 15
    commitment_minutes: int = 30
    ahead: int = 1
    transition_every: Interval = Interval(weeks=6)
    first_within_days: int = 21  #: a pair without a start date first meets about so long after it is first seen
    max_cancels: int = 20  #: more event cancellations than this in one sweep are refused
    silent: frozenset[str] = frozenset()  #: calendar services that tell no guest outside of them by themselves
