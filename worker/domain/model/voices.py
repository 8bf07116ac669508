"""A third voice: one question that a report asks somebody else (R-30)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from worker.domain.model.time import Address

#: How long a question can be answered after it was asked.
VOICE_PERIOD = timedelta(days=30)
#: How many unanswered questions a report may have at most.
MAX_OPEN_VOICES = 3
#: The longest question and the longest answer, in characters.
MAX_VOICE_QUESTION, MAX_VOICE_ANSWER = 600, 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class ThirdVoice:
    """A report's question to a third person, and the answer, which reaches the report alone. Stored only sealed."""

    id: str
    report: Address
    to: Address  #: the third person; empty once the report has withdrawn the question
    question: str
    answer: str = ""
    asked_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None

    @property
    def is_withdrawn(self) -> bool:
        return not self.to

    def is_open(self, now: datetime) -> bool:
        """Return whether it can be answered at `now`."""
        return self.answered_at is None and not self.is_withdrawn and now < self.expires_at


class VoiceFault(StrEnum):
    """Why a question can't be asked."""

    ADDRESS = "address"  #: it is no address
    OUTSIDE = "outside"  #: the address is none of the company's
    NOT_THEM = "not_them"  #: the report, a manager of theirs, or the operator
    QUESTION = "question"  #: it is empty or too long
    MANY = "many"  #: too many are open
