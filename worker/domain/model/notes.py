"""Notes that the two of a pair leave for both after a conversation (R-28)."""

from dataclasses import dataclass
from datetime import datetime

from worker.domain.model.people import Owner, PairId


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedNote:
    """What one of the two left for both after a conversation: one line, or up to three. Stored only sealed."""

    pair: PairId
    session: str
    author: Owner
    held_at: datetime  #: the end of the conversation
    lines: tuple[str, ...]
