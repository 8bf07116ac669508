"""Handovers: the manager of a report changes, and the report chooses what to pass on to the new manager (R-36)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from worker.domain.model.contracts import Contract, WrittenCommitment
from worker.domain.model.people import PairId

#: A pair that begins later than this after the end of the report's former pair gets no handover from that pair.
MAX_HANDOVER_GAP = timedelta(days=180)


class HandoverLineKind(StrEnum):
    """The origin of a line: a part of the old contract, a note, or a suggestion of the former manager."""

    REPORT = "report"  #: a commitment of the report
    MANAGER = "manager"  #: a commitment of the former manager
    REVIEW = "review"  #: a point to review
    QUESTION = "question"  #: the open question
    REPORT_NOTE = "report_note"  #: a line of a note by the report (R-28)
    MANAGER_NOTE = "manager_note"  #: a line of a note by the former manager (R-28)
    SUGGESTION = "offer"  #: an open commitment of the former manager that the new manager could take over


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverLine:
    """A line that the report can pass on to the new manager. It is stored only sealed."""

    kind: HandoverLineKind
    text: str
    #: The due date of a commitment, the first day of a review's month, or the day of the conversation of a note.
    due: date | None = None

    @property
    def id(self) -> str:
        """A hash of the line, which identifies the line in forms."""
        return sha256(f"{self.kind}|{self.text}|{self.due}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The end of a pair whose report stays, and the pair that succeeds it, without content."""

    former_pair: PairId  #: the pair that has ended
    pair: PairId | None  #: the report's pair with the new manager; None while there is no new manager
    ended_at: datetime  #: when the former pair ended


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverContent:
    """The decisions of the report and the former manager about a handover. It is stored only sealed."""

    lines: tuple[HandoverLine, ...] = ()  #: the lines that the report has passed on to the new manager
    #: The open commitments that the former manager suggests to the new one; the report decides whether to pass them on.
    suggestions: tuple[HandoverLine, ...] = ()
    kept_ids: tuple[str, ...] = ()  #: the ids of the commitments that the former manager will still do


def list_handover_lines(contract: Contract | None, suggestions: Iterable[HandoverLine] = ()) -> list[HandoverLine]:
    """Return the lines that the report can pass on: the former manager's suggestions, then the lines of the contract.

    A suggestion is an open commitment that the new manager could take over. Equal lines are returned once, and a
    commitment of the former manager with the same text as a suggestion is left out. The lines of notes are not
    included, because the caller adds them.
    """
    suggestions = list(suggestions)
    if contract is None:
        return suggestions
    suggested_texts = {line.text for line in suggestions}
    lines = [_make_line(HandoverLineKind.REPORT, commitment) for commitment in contract.report]
    lines += [
        _make_line(HandoverLineKind.MANAGER, commitment)
        for commitment in contract.manager
        if commitment.text not in suggested_texts
    ]
    lines += [
        HandoverLine(kind=HandoverLineKind.REVIEW, text=review.text, due=review.month) for review in contract.reviews
    ]
    if contract.question:
        lines.append(HandoverLine(kind=HandoverLineKind.QUESTION, text=contract.question))
    return list({line.id: line for line in (*suggestions, *lines)}.values())


def _make_line(kind: HandoverLineKind, commitment: WrittenCommitment) -> HandoverLine:
    return HandoverLine(kind=kind, text=commitment.text, due=commitment.due)
