"""The nouns of the program, as frozen values.

All instants are aware datetimes in UTC; a wall-clock rule is computed in a person's zone and comes back as an
instant. Nothing in here holds a word that was spoken in a conversation, except `Contract` and its parts, which
are only ever stored sealed.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

#: An e-mail address in lower case. It names a person and that person's calendar.
Address = str
#: What a provider gave us to ask "what changed since?" with. Opaque.
Cursor = str

QUARTER = timedelta(minutes=15)


# --- time -----------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, order=True)
class Span:
    """From `start` up to, not including, `end`; both aware, in UTC."""

    start: datetime
    end: datetime

    def __post_init__(self) -> None:
        if self.start.tzinfo is None or self.end.tzinfo is None:
            raise ValueError("a span needs aware instants")
        if self.end < self.start:
            raise ValueError(f"a span can't end ({self.end}) before it starts ({self.start})")

    @property
    def minutes(self) -> int:
        """Length in whole minutes."""
        return int((self.end - self.start) // timedelta(minutes=1))

    def overlaps(self, other: "Span") -> bool:
        """True when the two share a moment; touching is not sharing."""
        return self.start < other.end and other.start < self.end


#: One weekday's working spells: minutes after local midnight, end exclusive; an end over 1440 is in the next morning.
Spells = tuple[tuple[int, int], ...]


@dataclass(frozen=True, slots=True)
class WorkingHours:
    """The spells of a week, Monday first; always seven entries."""

    week: tuple[Spells, Spells, Spells, Spells, Spells, Spells, Spells]


@dataclass(frozen=True, slots=True)
class Every:
    """A rhythm: so many weeks, or so many months; one of the two is zero."""

    weeks: int = 0
    months: int = 0

    def __str__(self) -> str:
        count, unit = (self.weeks, "week") if self.weeks else (self.months, "month")
        return f"{count} {unit}" + ("" if count == 1 else "s")


# --- people ---------------------------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """One row of the people file, as far as it concerns the person alone."""

    email: Address
    name: str
    zone: str  #: IANA name
    country: str  #: ISO 3166-1, with a subdivision when there is one: `DE`, `DE-BY`
    hours: WorkingHours
    locale: str = "en"
    calendar: str = "caldav"  #: provider's name, or `none`
    mail: str = "smtp"  #: mailer's name


class Format(StrEnum):
    """R-4: one session with three phases, or a series of three sessions."""

    COMBINED = "combined"
    SERIES = "series"


class Review(StrEnum):
    """R-7: the monthly review as an event of its own, inside the existing 1:1, or not at all."""

    ALONE = "alone"
    IN_1ON1 = "in_1on1"
    NONE = "none"


class Ended(StrEnum):
    """Why a pair is no pair any more."""

    NO = ""
    REPORT_LEFT = "report_left"
    MANAGER_LEFT = "manager_left"
    BOTH_LEFT = "both_left"
    CHANGED = "changed"  #: the report has another manager now


@dataclass(frozen=True, slots=True, kw_only=True)
class Preference:
    """When a pair likes to meet, in the report's zone. `minute` counts from local midnight."""

    weekday: int | None = None
    minute: int | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Pair:
    """A manager and one report, and how the two want it."""

    manager: Address
    report: Address
    first_seen: date
    start: date | None = None
    every: Every = Every(weeks=13)
    minutes: int = 75
    format: Format = Format.COMBINED
    review: Review = Review.ALONE
    transition_until: date | None = None
    prefer: Preference = Preference()
    trust: bool = False
    paused: bool = False
    ended: Ended = Ended.NO

    @property
    def id(self) -> str:
        return f"{self.manager}>{self.report}"

    @property
    def active(self) -> bool:
        return not (self.paused or self.ended is not Ended.NO)


# --- sessions -------------------------------------------------------------------------------------------------------


class Kind(StrEnum):
    CAREER = "career"
    REVIEW = "review"
    CHECKIN = "checkin"


class Topic(StrEnum):
    """What a career session is about (R-4); reviews and check-ins are about `all`."""

    ALL = "all"
    NOW = "now"
    DIRECTION = "direction"
    GAP = "gap"


class State(StrEnum):
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


class Cause(StrEnum):
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
    pair: str
    kind: Kind
    topic: Topic = Topic.ALL
    cycle: int
    adhoc: bool = False
    state: State = State.OWED
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
    unplaceable: str | None = None  #: why no time exists; a person has been told
    options: tuple[Span, ...] = ()  #: times held for the manager to choose from (T-12)

    @property
    def owed(self) -> bool:
        return self.state in (State.OWED, State.DEFERRED)

    @property
    def booked(self) -> bool:
        return self.state is State.BOOKED

    @property
    def asks_contract(self) -> bool:
        """True when a contract closes it: a combined session, or the last of a series (T-13)."""
        return self.kind is Kind.CAREER and self.topic in (Topic.ALL, Topic.GAP)

    @property
    def closed(self) -> bool:
        """True when nothing is left to be done for it."""
        if self.state is State.HELD:
            return not self.asks_contract
        return self.state in (State.CONTRACTED, State.UNFINISHED, State.CANCELLED)

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
    cause: Cause
    who: Address = ""
    was: Span | None = None


# --- contract -------------------------------------------------------------------------------------------------------


class Owner(StrEnum):
    MANAGER = "manager"
    REPORT = "report"


class Standing(StrEnum):
    """How a commitment stands or ended (R-18)."""

    OPEN = "open"
    DONE = "done"
    CHANGED = "changed"
    LET_GO = "let_go"


@dataclass(frozen=True, slots=True, kw_only=True)
class Promise:
    """A commitment as written: what, by when, and optionally who supports it and what success looks like (R-26)."""

    text: str
    due: date | None
    support: str = ""
    success: str = ""
    line: int = 0  #: where it stands in the file, from 1; 0 when it came from elsewhere


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPoint:
    """What the two will look at again, and in which month (its first day)."""

    month: date
    text: str
    line: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The four parts (R-14), and progress worth naming (R-24). Content: stored sealed only."""

    report: tuple[Promise, ...] = ()
    manager: tuple[Promise, ...] = ()
    reviews: tuple[ReviewPoint, ...] = ()
    question: str = ""
    progress: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """The dates and the standing of a promise; its words are sealed elsewhere, under the same id."""

    id: str
    pair: str
    session: str  #: the session whose contract it came from
    owner: Owner
    due: date
    recorded_at: datetime
    standing: Standing = Standing.OPEN
    closed_at: datetime | None = None
    block: Span | None = None  #: its time on the manager's calendar (T-8)
    all_day: bool = False
    by_hand: bool = False  #: the manager chose the present time
    dismissed: bool = False  #: the manager removed it from the calendar
    generation: int = 1
    sequence: int = 0

    @property
    def key(self) -> str:
        """Names this commitment's event, and no other, on any calendar."""
        return f"{self.id}.{self.generation}"

    @property
    def open(self) -> bool:
        return self.standing is Standing.OPEN


# --- calendars ------------------------------------------------------------------------------------------------------


class Show(StrEnum):
    """How a stretch of a calendar counts. `away` is out of office: nobody is there, whatever else is booked."""

    BUSY = "busy"
    TENTATIVE = "tentative"
    AWAY = "away"


@dataclass(frozen=True, slots=True)
class Busy:
    """A stretch that is not free. `key` is ours when the stretch is an event we made, else None."""

    span: Span
    show: Show = Show.BUSY
    key: str | None = None


@dataclass(frozen=True, slots=True)
class FreeBusy:
    """What is known of one person's time inside a window. Unknown is never free (T-2)."""

    busy: tuple[Busy, ...] = ()
    known: bool = True
    reason: str = ""  #: why it isn't known, in words


class Answer(StrEnum):
    NEEDS_ACTION = "needs_action"
    ACCEPTED = "accepted"
    DECLINED = "declined"
    TENTATIVE = "tentative"


@dataclass(frozen=True, slots=True)
class EventRef:
    """Where an event stands: whose calendar, the provider's id there, and the version we know."""

    calendar: Address
    id: str
    etag: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """One event, or one occurrence of a recurring one, as a calendar holds it. No title, no text: never read."""

    ref: EventRef
    span: Span
    key: str | None = None  #: ours, when it is an event we made
    series: str | None = None  #: the recurring event it is an occurrence of
    all_day: bool = False
    organizer: Address = ""
    answers: Mapping[Address, Answer] = field(default_factory=dict)  #: everybody invited, the organizer aside
    cancelled: bool = False
    show: Show | None = Show.BUSY  #: how it counts for the calendar's owner; None when it doesn't block time


@dataclass(frozen=True, slots=True)
class Guest:
    """Somebody named on an event."""

    email: Address
    name: str


@dataclass(frozen=True, slots=True, kw_only=True)
class EventDraft:
    """What we want an event to be. Always private; guests never may change it."""

    key: str
    subject: str
    body: str
    span: Span
    zone: str  #: the organizer's, for programs that show it
    organizer: Guest
    guests: tuple[Guest, ...] = ()
    all_day: bool = False  #: then `span` runs from local midnight to local midnight in `zone`
    blocks: bool = True  #: false: shown, but leaves the time free
    reminders: tuple[int, ...] = (15,)  #: minutes before the start
    video: bool = False
    sequence: int = 0


@dataclass(frozen=True, slots=True)
class Changes:
    """What a calendar says happened.

    An event that belongs to a series stands for the whole series: whatever was known of that series and isn't
    listed is gone. `gone` holds ids of events or of series. When `full`, everything inside the window is listed and
    what isn't listed is gone.
    """

    events: tuple[Event, ...]
    gone: tuple[str, ...]
    cursor: Cursor
    full: bool


# --- deciding -------------------------------------------------------------------------------------------------------


class What(StrEnum):
    """What an outbox message does."""

    CREATE = "event.create"
    UPDATE = "event.update"
    CANCEL = "event.cancel"
    MAIL = "mail"


class Progress(StrEnum):
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


LIVE = frozenset({Progress.WAITING, Progress.CLAIMED, Progress.SENDING})


@dataclass(frozen=True, slots=True, kw_only=True)
class Message:
    """An effect that was decided: a row of the outbox, unique by `key`, holding no content."""

    key: str
    what: What
    pair: str
    subject: str  #: session id, commitment id, or the pair's id; messages of one subject go out in order
    due_at: datetime
    snapshot_at: datetime  #: when the world it was decided on was read
    calendar: Address = ""  #: for events: whose calendar
    event: str = ""  #: for events: the event's key
    name: str = ""  #: for mails: which one
    to: Address = ""
    number: int = 0  #: for mails that come in a row: which one of them
    start: datetime | None = None  #: what it speaks of: a session's start, a due date at midnight UTC; for an update
    #: where the event stood when it was decided
    progress: Progress = Progress.WAITING
    attempts: int = 0

    @property
    def live(self) -> bool:
        return self.progress in LIVE


@dataclass(frozen=True, slots=True, kw_only=True)
class Placed:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Meeting:
    """One occurrence of a recurring meeting of exactly the two of a pair (T-9)."""

    pair: str
    span: Span


@dataclass(frozen=True, slots=True)
class Taken:
    """Time of a person that was decided elsewhere and may not be on the calendar yet. It counts as busy."""

    span: Span
    session: str  #: the session or commitment it belongs to
    kind: Kind | None = None  #: None for commitments
    pair: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PairState:
    """All that is known of a pair when it is planned, read in one transaction."""

    pair: Pair
    manager: Person
    report: Person
    sessions: tuple[Session, ...] = ()  #: those not closed, and the last ones closed of each kind
    deferrals: tuple[Deferral, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    messages: tuple[Message, ...] = ()
    placed: Mapping[str, Placed] = field(default_factory=dict)  #: by event key
    meetings: tuple[Meeting, ...] = ()
    #: by any pair, from now on; None when it was not read, and then nothing can be placed
    taken: Mapping[Address, tuple[Taken, ...]] | None = None
    looked_at: datetime | None = None  #: when the free/busy of the two was last read


@dataclass(frozen=True, slots=True)
class Need:
    """What planning lacks: the free/busy of these people in this window."""

    people: tuple[Address, ...]
    window: Span


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was read of the calendars for planning: each person's free/busy, inside that person's window.

    Somebody in `unavailable` could not be asked just now; that is no reason to tell anybody anything, only to ask again.
    """

    windows: Mapping[Address, Span]
    free_busy: Mapping[Address, FreeBusy]
    unavailable: frozenset[Address] = frozenset()


@dataclass(frozen=True, slots=True, kw_only=True)
class Decision:
    """A line of the append-only history: what was decided and why, in words, with no content."""

    at: datetime
    what: str  #: `session`, `unplaceable`, `commitment`, `warning`
    pair: str
    reason: str
    session: str = ""
    fields: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Plan:
    """What is to be written, all of it or nothing. With `needs`, it is only a question: ask, then plan again."""

    pair: str
    due_at: datetime | None = None  #: when this pair must be looked at again; None: nothing to wait for
    sessions: tuple[Session, ...] = ()
    deferrals: tuple[Deferral, ...] = ()
    commitments: tuple[Commitment, ...] = ()
    messages: tuple[Message, ...] = ()
    decisions: tuple[Decision, ...] = ()
    acknowledged: Mapping[str, Span] = field(default_factory=dict)  #: hand moves accepted, by event key
    needs: Need | None = None
    looked: bool = False  #: true when free/busy was used for it

    @property
    def empty(self) -> bool:
        """True when nothing changes (when to look again aside)."""
        return not (self.sessions or self.deferrals or self.commitments or self.messages or self.decisions)


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

    progress: Progress
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
    transition_every: Every = Every(weeks=6)
    first_within_days: int = 21  #: a pair without a start date first meets about so long after it is first seen
    max_cancels: int = 20  #: more event cancellations than this in one sweep are refused
