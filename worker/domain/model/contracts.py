"""Contracts: what the two agreed on in a conversation. A contract contains commitments.

`Contract` and `WrittenCommitment` hold the words. `Commitment` holds the dates and the standing, without words.
"""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from worker.domain.model.people import Owner, PairId
from worker.domain.model.time import Address, Span


class CommitmentStanding(StrEnum):
    """The standing of a commitment: open, or the way in which it was closed (R-18)."""

    OPEN = "open"
    DONE = "done"
    CHANGED = "changed"  #: another commitment took its place
    LET_GO = "let_go"  #: given up


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCommitment:
    """A commitment as it is written in a contract (R-26)."""

    text: str
    due: date | None  #: None when a form was sent without a date; a recorded contract has every date
    support: str = ""  #: optional: who supports it
    success: str = ""  #: optional: what success looks like
    line: int = 0  #: the line in the contract file, from 1; 0 when the contract didn't come from a file


@dataclass(frozen=True, slots=True, kw_only=True)
class ReviewPoint:
    """A point of a contract that the two will review in a certain month."""

    month: date  #: the first day of the month
    text: str
    line: int = 0  #: the line in the contract file, from 1; 0 when the contract didn't come from a file


@dataclass(frozen=True, slots=True, kw_only=True)
class Contract:
    """A contract: four parts (R-14), and progress worth naming (R-24). It is stored only sealed."""

    report: tuple[WrittenCommitment, ...] = ()  #: the report's commitments
    manager: tuple[WrittenCommitment, ...] = ()  #: the manager's commitments
    reviews: tuple[ReviewPoint, ...] = ()
    question: str = ""  #: the open question
    progress: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class IdentifiedCommitment:
    """A commitment of a new revision with its id, and without its text."""

    id: str  #: a new id, or the id of the commitment in the previous revision that this commitment continues
    owner: Owner
    due: date
    is_reworded: bool = False  #: whether the text of the continued commitment has changed


class ContentAccess(StrEnum):
    """The commands that show or write content, that is, what the two say to each other. The values are their names."""

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
    """One use of a command that shows or writes content. Both people of the pair get a mail about it."""

    pair: PairId
    at: datetime
    access: ContentAccess
    on_behalf_of: Address  #: the person of the pair who asked the operator to use the command
    reason: str  #: why the command was used; stored sealed


#: The length limit of `Learning.text`, which is meant to be one sentence.
MAX_LEARNING_CHARS = 280


@dataclass(frozen=True, slots=True)
class Learning:
    """A sentence of a manager about their own learning (R-35). Each report reads it once, in the next prompt."""

    text: str  #: stored sealed
    written_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """The dates and the standing of a commitment. Its text is stored sealed elsewhere, under the same id."""

    id: str
    pair: PairId
    session: str  #: the id of the session whose contract contains it
    owner: Owner
    due: date
    recorded_at: datetime
    standing: CommitmentStanding = CommitmentStanding.OPEN
    closed_at: datetime | None = None
    block: Span | None = None  #: the time on the manager's calendar for doing it (T-8)
    all_day: bool = False  #: whether the block is an all-day event
    by_hand: bool = False  #: whether the manager chose the time of the block
    dismissed: bool = False  #: whether the manager removed the block from the calendar
    generation: int = 1  #: increases when the block's event has to be created again
    sequence: int = 0  #: increases each time planning decides to write the block's event

    @property
    def key(self) -> str:
        """The key of the block's event, which is unique among all events."""
        return f"{self.id}.{self.generation}"

    @property
    def is_open(self) -> bool:
        return self.standing is CommitmentStanding.OPEN

    @property
    def is_open_promise_of_manager(self) -> bool:
        """Whether this is an open commitment of the manager."""
        return self.is_open and self.owner is Owner.MANAGER

    def was_open_at(self, instant: datetime) -> bool:
        """Return whether the commitment was not yet closed at `instant`. `recorded_at` is not compared with it."""
        return self.closed_at is None or self.closed_at >= instant
