"""Third voices: somebody whom a report asks one question. The answer reaches the report alone (R-30)."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum

from worker.domain.model.time import Address

#: A question can be answered for this time after it was asked.
VOICE_PERIOD = timedelta(days=30)
#: The most unanswered questions that a report may have.
MAX_OPEN_VOICES = 3
#: The length limit of a question, in characters.
MAX_VOICE_QUESTION = 600
#: The length limit of an answer, in characters.
MAX_VOICE_ANSWER = 4000


@dataclass(frozen=True, slots=True, kw_only=True)
class ThirdVoice:
    """A report's question to a third person, and the answer. It is stored only sealed."""

    id: str
    report: Address
    to: Address  #: the third person; empty when the report has withdrawn the question
    question: str
    answer: str = ""
    asked_at: datetime
    expires_at: datetime
    answered_at: datetime | None = None

    @property
    def is_withdrawn(self) -> bool:
        return not self.to

    def is_open(self, now: datetime) -> bool:
        """Return whether the question can be answered at `now`."""
        return self.answered_at is None and not self.is_withdrawn and now < self.expires_at


class VoiceFault(StrEnum):
    """The reason why a question can't be asked."""

    ADDRESS = "address"  #: the third person's address is not a valid address
    OUTSIDE = "outside"  #: the address does not belong to the company
    EXCLUDED_PERSON = "not_them"  #: the address belongs to the report, to a manager of the report or to the operator
    QUESTION = "question"  #: the question is empty or too long
    MANY = "many"  #: the report already has MAX_OPEN_VOICES unanswered questions
