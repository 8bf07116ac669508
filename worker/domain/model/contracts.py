"""Contracts, their commitments, and the status of each commitment."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from worker.domain.model.people import Owner, PairId
from worker.domain.model.time import Address, Span


class CommitmentStanding(StrEnum):
    """The status of a commitment (R-18)."""

    OPEN = "open"
    DONE = "done"
    CHANGED = "changed"
    LET_GO = "let_go"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCommitment:
    """The text of a commitment: what, by when, and optionally who supports it and what success looks like (R-26)."""

    text: str
    due: date | None
    support: str = ""
    success: str = ""
    line: int = 0  #: its line in the file, from 1; 0 when it didn't come from a file


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPoint:
    """Something that the two will review, and in which month."""

    month: date  #: the first day of the month
    text: str
    line: int = 0  #: its line in the file, from 1; 0 when it didn't come from a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """The four parts of a contract (R-14), and progress worth naming (R-24). Stored only sealed."""

    report: tuple[WrittenCommitment, ...] = ()
    manager: tuple[WrittenCommitment, ...] = ()
    reviews: tuple[ReviewPoint, ...] = ()
    question: str = ""
    progress: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class DatedCommitment:
    """A dated commitment of a new revision, without its text. `id` is that of the commitment it continues, or new."""

    id: str
    owner: Owner
    due: date
    reworded: bool = False  #: it continues a commitment with a changed text


class ContentAccess(StrEnum):
    """The commands that show or write what people say to each other; the values are their names."""

    SHOW_CONTRACT = "contract show"
    RECORD_CONTRACT = "contract record"
    LIST_COMMITMENTS = "commitment list"
    MARK_DONE = "commitment done"
    CHANGE_COMMITMENT = "commitment change"
    LET_GO = "commitment let-go"
    SHOW_NOTES = "note show"
    LEAVE_NOTE = "note add"
    WRITE_LEARNING = "learning"
    EXPLAIN_DEFERRAL = "defer"
    EXPORT = "export"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRecord:
    """One use of a command of `ContentAccess`. Both people get a mail about it."""

    pair: PairId
    at: datetime
    access: ContentAccess
    on_behalf_of: Address  #: the one of the two who asked for it
    reason: str  #: stored sealed


#: A longer text than this is no single sentence.
MAX_LEARNING_CHARS = 280


@dataclass(frozen=True, slots=True)
class Learning:
    """What a manager says about their own learning: it waits for the next prompt of a pair's report (R-35)."""

    text: str  #: stored sealed
    written_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """The dates and the status of a commitment. Its text is stored sealed elsewhere, under the same id."""

    id: str
    pair: PairId
    session: str  #: the session whose contract it came from
    owner: Owner
    due: date
    recorded_at: datetime
    standing: CommitmentStanding = CommitmentStanding.OPEN
    closed_at: datetime | None = None
    block: Span | None = None  #: its time on the manager's calendar (T-8)
    all_day: bool = False  #: the block is an all-day event
    by_hand: bool = False  #: the manager chose the time of the block
    dismissed: bool = False  #: the manager removed it from the calendar
    generation: int = 1  #: grows when the event has to be created again
    sequence: int = 0  #: grows with each change of the event that we decide

    @property
    def key(self) -> str:
        """The key of this commitment's event: no other event has it, on any calendar."""
        return f"{self.id}.{self.generation}"

    @property
    def is_open(self) -> bool:
        return self.standing is CommitmentStanding.OPEN

    @property
    def is_open_promise(self) -> bool:
        """True when it is the manager's, and open."""
        return self.is_open and self.owner is Owner.MANAGER

    def was_open_at(self, instant: datetime) -> bool:
        """Return whether it was open at that instant, or ended then."""
        return self.closed_at is None or self.closed_at >= instant
