"""The input of planning, its decisions, and the effects that carry them out."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum

from worker.domain.model.calendars import Answer, EventRef, FreeBusy
from worker.domain.model.contracts import Commitment
from worker.domain.model.handovers import Handover
from worker.domain.model.people import Pair, PairId, Person
from worker.domain.model.sessions import Deferral, Session, SessionKind
from worker.domain.model.time import Address, Interval, Span


class EffectKind(StrEnum):
    """The call that an effect makes: a change to a calendar, or a mail."""

    CREATE = "event.create"
    UPDATE = "event.update"
    CANCEL = "event.cancel"
    MAIL = "mail"


class EffectProgress(StrEnum):
    """The progress of an effect.

    `waiting`: due at `due_at`. `claimed`: a process holds its lease and has not begun. `sending`: the call may have
    been made. Final: `done`, `dropped` (no longer needed, nothing was sent), `uncertain` (unknown whether the
    call succeeded) and `dead` (refused permanently).
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
    """A row of the outbox, unique by `key`: a change to a calendar or a mail, without content of a contract."""

    key: str
    kind: EffectKind
    pair: PairId | None  #: None for mails to the operator
    subject: str  #: id of the session, commitment or pair; effects of one subject are carried out in order
    due_at: datetime
    snapshot_at: datetime  #: when planning read the state from which it decided this effect
    calendar: Address = ""  #: for events: whose calendar
    event: str = ""  #: for events, and for mails about one: the event's key
    name: str = ""  #: for mails: a `MailName`
    to: Address = ""  #: for mails: the recipient
    number: int = 0  #: for mails: tells mails of one name and subject apart; its meaning depends on the name
    #: The session's start, or a due date at midnight UTC; for an update, the event's start when it was decided.
    start: datetime | None = None
    quiet: bool = False  #: for a cancel: guests get no notice, where the service can do without
    counts: bool = False  #: for mails: it waits for the reader's hours, and counts as one of a day's mails (T-16)
    progress: EffectProgress = EffectProgress.WAITING
    attempts: int = 0

    @property
    def is_live(self) -> bool:
        """True while the effect has no final progress."""
        return self.progress in LIVE_PROGRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEvent:
    """One of our events as it was last seen on its calendar.

    `written` is the time that we last wrote or accepted; when `span` differs from it, a person moved the event.
    """

    key: str
    ref: EventRef
    span: Span
    written: Span
    sequence: int = 0  #: of the session or commitment, as last written
    gone: bool = False
    answers: Mapping[Address, Answer] = field(default_factory=dict)
    proposed: Mapping[Address, Span] = field(default_factory=dict)  #: the other time that an attendee proposed


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """An occurrence of a recurring meeting that only the two of a pair attend (T-9)."""

    pair: PairId
    span: Span


@dataclass(frozen=True, slots=True)
class TakenTime:
    """Time of a person that another decision uses and that may not be on the calendar yet. It counts as busy."""

    span: Span
    session: str  #: id of the session or commitment it belongs to
    kind: SessionKind | None = None  #: None for commitments
    pair: PairId | None = None
    in_turn: bool = False  #: the same field of its session


@dataclass(frozen=True, slots=True)
class WaitingPair:
    """A pair of a manager, and how long it has waited for a conversation."""

    pair: Pair
    held_at: datetime | None = None  #: the end of its last regular conversation; None before the first
    talked_at: datetime | None = None  #: the end of the report's last career conversation, with any manager


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState:
    """Everything that planning a pair needs, read in one transaction."""

    pair: Pair
    manager: Person
    report: Person
    sessions: tuple[Session, ...] = ()  #: those not closed, and the last closed ones of each kind
    deferrals: tuple[Deferral, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    #: About the pair and what is not closed; also mails to the manager about several pairs, and the last prompts.
    effects: tuple[Effect, ...] = ()
    placed_events: Mapping[str, PlacedEvent] = field(default_factory=dict)  #: by event key
    meetings: tuple[Meeting, ...] = ()
    #: The manager's active pairs, this one included; read while the pair has no regular conversation on the calendar.
    waiting: tuple[WaitingPair, ...] = ()
    #: Of every pair, from now on, by person; None when not read, and then nothing can be placed.
    taken_times: Mapping[Address, tuple[TakenTime, ...]] | None = None
    looked_at: datetime | None = None  #: when planning last used the free/busy of the two
    incoming: Handover | None = None  #: from the report's former manager to this one
    outgoing: Handover | None = None  #: of a pair that has ended: to the report's new manager
    report_count: int = 1  #: active pairs of the manager's, this one included

    @property
    def addresses(self) -> tuple[Address, Address]:
        """The manager's and the report's."""
        return self.manager.email, self.report.email

    def get_person(self, address: Address) -> Person:
        """Return the one of the two who has that address; the manager, when it is neither's."""
        return self.report if address == self.report.email else self.manager

    def find_session(self, session_id: str) -> Session | None:
        """Return the session with that id; None when there is none, or it was not read."""
        return next((session for session in self.sessions if session.id == session_id), None)


@dataclass(frozen=True, slots=True)
class FreeBusyRequest:
    """A request for free/busy that planning lacks, of these people in this window.

    With `includes_taken`, planning also needs the time that other pairs have taken of these people.
    """

    people: tuple[Address, ...]
    window: Span
    includes_taken: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeBusySnapshot:
    """Each person's free/busy, inside that person's window, as it was read for planning.

    The free/busy of people in `unavailable` could not be read this time: planning tries again later and sends no mail
    about it.
    """

    windows: Mapping[Address, Span]
    free_busy: Mapping[Address, FreeBusy]
    unavailable: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A line of the append-only history: what was decided and why, without content."""

    at: datetime
    what: str  #: `session`, `unplaceable`, `commitment`, `warning`
    pair: PairId
    reason: str
    session: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The result of planning a pair, written as a whole or not at all.

    When `needs` is set, nothing is decided: the caller reads that free/busy and plans the pair again.
    """

    pair: PairId
    due_at: datetime | None = None  #: when to plan this pair again; None when nothing is pending
    sessions: tuple[Session, ...] = ()
    deferrals: tuple[Deferral, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    effects: tuple[Effect, ...] = ()
    decisions: tuple[Decision, ...] = ()
    accepted_moves: Mapping[str, Span] = field(default_factory=dict)  #: times that people moved events to, by event key
    needs: FreeBusyRequest | None = None
    used_free_busy: bool = False  #: planning used free/busy
    problem: str = ""  #: why nothing could be planned, without content
    away: Mapping[Address, tuple[Span, ...]] = field(default_factory=dict)  #: out of office, of whom it changed

    @property
    def is_empty(self) -> bool:
        """True when the plan changes nothing except `due_at`."""
        return not (self.sessions or self.deferrals or self.commitments or self.effects or self.decisions)


class Outcome(StrEnum):
    """The outcome of carrying out an effect."""

    DONE = "done"
    STALE = "stale"  #: no longer needed; nothing was done
    TRANSIENT = "transient"  #: failed, and may succeed later
    UNCERTAIN = "uncertain"  #: unknown whether the call succeeded
    PERMANENT = "permanent"  #: failed, and will fail again


@dataclass(frozen=True, slots=True)
class Settlement:
    """The state of an effect after an attempt, and what follows from it."""

    progress: EffectProgress
    due_at: datetime | None = None  #: when to try again
    needs_replanning: bool = False  #: plan the pair again
    alerts_operator: bool = False  #: send the operator a mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The company's settings for planning. The defaults are those of the rules (T-n)."""

    min_minutes: int = 60  #: shortest career session that planning places
    min_by_hand: int = 45  #: shortest career session, in minutes, that a person may choose
    review_minutes: int = 25
    checkin_minutes: int = 15
    commitment_minutes: int = 30
    ahead: int = 1  #: how many regular career sessions are owed or booked at a time
    transition_every: Interval = Interval(weeks=6)
    first_spread: Interval | None = None  #: within this a manager's pairs first meet; None: a rhythm, at most 13 weeks
    max_cancels: int = 20  #: more event cancellations than this in one sweep are refused
    silent: frozenset[str] = frozenset()  #: providers whose calendars send no invitation to attendees of other services
