"""What two people agreed on, and how each promise stands."""

from dataclasses import dataclass
from datetime import date, datetime
from enum import StrEnum

from worker.domain.model.people import PairId
from worker.domain.model.time import Span


class Owner(StrEnum):
    MANAGER = "manager"
    REPORT = "report"


class CommitmentStanding(StrEnum):
    """How a commitment stands or ended (R-18)."""

    OPEN = "open"
    DONE = "done"
    CHANGED = "changed"
    LET_GO = "let_go"


@dataclass(frozen=True, slots=True, kw_only=True)
class WrittenCommitment:
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

    report: tuple[WrittenCommitment, ...] = ()
    manager: tuple[WrittenCommitment, ...] = ()
    reviews: tuple[ReviewPoint, ...] = ()
    question: str = ""
    progress: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Dated:
    """A promise without its words: who owes it and by when. `id` is that of the commitment it continues, if any."""

    id: str
    owner: Owner
    due: date
    reworded: bool = False  #: it continues one, in other words


class ContentAccess(StrEnum):
    """What a command did with what two people wrote down."""

    SHOW_CONTRACT = "contract show"
    RECORD_CONTRACT = "contract record"
    LIST_COMMITMENTS = "commitment list"
    MARK_DONE = "commitment done"
    CHANGE_COMMITMENT = "commitment change"
    LET_GO = "commitment let-go"


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessRecord:
    """That a command showed or changed what two people wrote down: both are told. The reason is stored sealed."""

    pair: PairId
    at: datetime
    access: ContentAccess
    on_behalf_of: str  #: the address of one of the two
    reason: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Commitment:
    """The dates and the standing of a promise; its words are sealed elsewhere, under the same id."""

    id: str
    pair: PairId
    session: str  #: the session whose contract it came from
    owner: Owner
    due: date
    recorded_at: datetime
    standing: CommitmentStanding = CommitmentStanding.OPEN
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
    def is_open(self) -> bool:
        return self.standing is CommitmentStanding.OPEN
