"""The input of planning (`PairState`), its result (`Plan`), and effects.

A plan consists of decisions and of effects. An effect is a row of the outbox: an event to write or a mail to send.
"""

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
    """What an effect does: it writes an event or sends a mail."""

    CREATE = "event.create"
    UPDATE = "event.update"
    CANCEL = "event.cancel"
    MAIL = "mail"


class EffectProgress(StrEnum):
    """The progress of an effect. The last four values are final; with the others, the effect is pending."""

    WAITING = "waiting"  #: the effect will be tried at `due_at`
    CLAIMED = "claimed"  #: a process holds the lease and has not called the service yet
    SENDING = "sending"  #: a process may have called the service
    DONE = "done"
    DROPPED = "dropped"  #: the effect was no longer needed, and the service was not called
    UNCERTAIN = "uncertain"  #: it is unknown whether the call succeeded
    DEAD = "dead"  #: the service refused the effect permanently


#: The values of effects that are still to be performed.
PENDING_PROGRESS = frozenset({EffectProgress.WAITING, EffectProgress.CLAIMED, EffectProgress.SENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Effect:
    """A row of the outbox: an event to write or a mail to send. It never holds the content of a conversation."""

    key: str  #: identifies the effect in the outbox, which never holds two effects with the same key
    kind: EffectKind
    #: None for a mail to the operator, about several pairs of its reader, or about a question to a third voice.
    pair: PairId | None
    #: For events: the id of the session or commitment. For mails: the id of the session, the pair or the question to a
    #: third voice; for a mail about several pairs, the address of its reader. Effects of one subject are done in order.
    subject: str
    due_at: datetime
    decided_at: datetime  #: the moment as of which the effect was decided
    calendar: Address = ""  #: for events: the owner of the calendar
    event: str = ""  #: for events, and for mails about an event: the event's key
    name: str = ""  #: for mails: a `MailName`; empty for events
    to: Address = ""  #: for mails: the recipient; empty for events, and for mails that must not name anybody
    #: For mails: distinguishes mails of one name and subject. Its meaning depends on the name, such as the number of a
    #: revision or of a deferral.
    number: int = 0
    #: For events: the start that the event had when the effect was decided; None before it is on the calendar. For
    #: mails: the start of the session, its end (for mails about its contract), the due date of a commitment at midnight
    #: UTC, the end of the former pair (new_manager), or the start of the period of accesses (content_accessed); None if
    #: the mail depends on no time.
    start: datetime | None = None
    quiet: bool = False  #: for a cancellation: whether guests get no notice, if the service supports that
    #: For mails: whether the mail waits for the reader's mail hours, and counts towards the daily limit (T-16).
    is_limited: bool = False
    progress: EffectProgress = EffectProgress.WAITING
    attempts: int = 0

    @property
    def is_pending(self) -> bool:
        """Whether the effect is still to be performed, because its progress is not final."""
        return self.progress in PENDING_PROGRESS


@dataclass(frozen=True, slots=True, kw_only=True)
class PlacedEvent:
    """One of our events, as last written to its calendar or read from it."""

    key: str
    ref: EventRef
    span: Span
    #: The time that we last wrote, or accepted when a person moved the event. If it differs from `span`, a person moved
    #: the event since.
    written_span: Span
    sequence: int = 0  #: the field `sequence` of the session or commitment when the event was last written
    is_gone: bool = False  #: whether the event no longer exists on the calendar
    answers: Mapping[Address, Answer] = field(default_factory=dict)  #: by attendee
    proposed: Mapping[Address, Span] = field(default_factory=dict)  #: the other time that an attendee proposed, if any


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """An occurrence of a recurring meeting that only the two of a pair attend (T-9)."""

    pair: PairId
    span: Span


@dataclass(frozen=True, slots=True)
class TakenTime:
    """Time of a person that an earlier decision uses. It counts as busy, even if no calendar shows it yet."""

    span: Span
    subject: str  #: the id of the session or commitment that uses the time
    kind: SessionKind | None = None  #: None for commitments
    pair: PairId | None = None
    in_turn: bool = False  #: the field `in_turn` of the session


@dataclass(frozen=True, slots=True)
class WaitingPair:
    """A pair of a manager that may wait for a session, and when the last conversations took place."""

    pair: Pair
    held_at: datetime | None = None  #: the end of the pair's last regular career session; None before the first
    talked_at: datetime | None = None  #: the end of the report's last career session with any manager


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState:
    """The state of a pair that planning needs, read in one transaction."""

    pair: Pair
    manager: Person
    report: Person
    sessions: tuple[Session, ...] = ()  #: all sessions that are not closed, and the last closed ones of each kind
    deferrals: tuple[Deferral, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    #: The effects about the pair and about its open sessions and commitments. Also the manager's mails about several
    #: pairs, and the last reflection prompts.
    effects: tuple[Effect, ...] = ()
    placed_events: Mapping[str, PlacedEvent] = field(default_factory=dict)  #: by event key
    meetings: tuple[Meeting, ...] = ()
    #: The manager's active pairs, including this one. Read only while this pair has no regular career session booked.
    waiting_pairs: tuple[WaitingPair, ...] = ()
    #: The taken times by person, for all pairs of that person: future ones, and those of the last week's sessions. None
    #: when they were not read; then no session can be placed.
    taken_times: Mapping[Address, tuple[TakenTime, ...]] | None = None
    #: When planning last used the free/busy of the two; None before the first time, and when it has to read it again.
    free_busy_used_at: datetime | None = None
    incoming_handover: Handover | None = None  #: the handover from the report's former manager to this manager
    outgoing_handover: Handover | None = None  #: for a pair that has ended: the handover to the report's new manager
    report_count: int = 1  #: the number of the manager's active pairs, including this one

    @property
    def addresses(self) -> tuple[Address, Address]:
        """The addresses of the manager and of the report."""
        return self.manager.email, self.report.email

    def get_person(self, address: Address) -> Person:
        """Return the report if the address is the report's, else the manager."""
        return self.report if address == self.report.email else self.manager

    def find_session(self, session_id: str) -> Session | None:
        """Return the session with that id; None when `sessions` does not contain it."""
        return next((session for session in self.sessions if session.id == session_id), None)


@dataclass(frozen=True, slots=True)
class FreeBusyRequest:
    """A request of planning for the free/busy of these people in this window."""

    people: tuple[Address, ...]
    window: Span
    includes_taken: bool = False  #: whether planning also needs `PairState.taken_times`


@dataclass(frozen=True, slots=True, kw_only=True)
class FreeBusySnapshot:
    """The free/busy of several people, as read for planning."""

    windows: Mapping[Address, Span]  #: the window that was read of each person
    free_busy: Mapping[Address, FreeBusy]
    #: The people whose free/busy could not be read this time. Planning tries again later, and sends no mail about it.
    unavailable: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A line of the append-only history: a decision and its reason, without content of conversations."""

    at: datetime
    #: What the decision is about: `session`, `unplaceable`, `offer`, `contract`, `commitment` or `warning`.
    what: str
    pair: PairId
    reason: str
    session: str = ""  #: the session's id
    fields: Mapping[str, object] = field(default_factory=dict)  #: details of the decision


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """The result of planning a pair. It is stored as a whole or not at all."""

    pair: PairId
    due_at: datetime | None = None  #: when to plan the pair again; None when nothing is pending
    sessions: tuple[Session, ...] = ()
    deferrals: tuple[Deferral, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    effects: tuple[Effect, ...] = ()
    decisions: tuple[Decision, ...] = ()
    accepted_moves: Mapping[str, Span] = field(default_factory=dict)  #: new times of events that people moved, by key
    #: The free/busy that is missing. If set, nothing was decided: the caller reads it and plans the pair again.
    needed_free_busy: FreeBusyRequest | None = None
    used_free_busy: bool = False  #: whether planning used free/busy
    problem: str = ""  #: why nothing could be planned, without content of conversations
    #: The new values of `Person.absences`, of the people whose absences have changed.
    new_absences: Mapping[Address, tuple[Span, ...]] = field(default_factory=dict)

    @property
    def is_empty(self) -> bool:
        """Whether the plan changes nothing except `due_at`."""
        return not (self.sessions or self.deferrals or self.commitments or self.effects or self.decisions)


class Outcome(StrEnum):
    """The outcome of one attempt at an effect."""

    DONE = "done"
    STALE = "stale"  #: the effect was no longer needed, and nothing was done
    TRANSIENT = "transient"  #: the attempt failed, and a later one may succeed
    UNCERTAIN = "uncertain"  #: it is unknown whether the call succeeded
    PERMANENT = "permanent"  #: the attempt failed, and every later one would fail


@dataclass(frozen=True, slots=True)
class Settlement:
    """The state of an effect after an attempt, and what follows from the attempt."""

    progress: EffectProgress
    due_at: datetime | None = None  #: when to try again
    needs_replanning: bool = False  #: whether the pair has to be planned again
    alerts_operator: bool = False  #: whether the operator gets a mail


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The company's settings for planning. The defaults are the values that the rules of time (T-1, T-2, …) name."""

    min_minutes: int = 60  #: the length, in minutes, of the shortest career session that planning places
    min_by_hand: int = 45  #: the length, in minutes, of the shortest career session that a person may choose
    review_minutes: int = 25  #: the length of a review
    checkin_minutes: int = 15  #: the length of a check-in
    commitment_minutes: int = 30  #: the length of a commitment's block
    ahead: int = 1  #: how many regular career sessions of a pair are owed or booked at the same time
    transition_every: Interval = Interval(weeks=6)  #: the rhythm during a transition
    #: All pairs of a manager have their first session within this time. None means one rhythm, at most 13 weeks.
    first_spread: Interval | None = None
    max_cancels: int = 20  #: a sweep that would cancel more events than this is refused
    #: the calendar providers that send no invitations to attendees who use another calendar service
    providers_without_invitations: frozenset[str] = frozenset()
