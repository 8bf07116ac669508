"""Notes that one of the two leaves for both after a conversation (R-28)."""

from dataclasses import dataclass
from datetime import datetime

from worker.domain.model.people import Owner, PairId


@dataclass(frozen=True, slots=True, kw_only=True)
class SharedNote:
    """A note that one of the two left for both after a conversation. It is stored only sealed."""

    pair: PairId
    session: str  #: the session's id
    author: Owner
    held_at: datetime  #: the end of the conversation
    lines: tuple[str, ...]  #: at most `MAX_NOTE_LINES`
