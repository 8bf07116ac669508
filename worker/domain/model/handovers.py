"""A handover: the manager of a report changes, and the report chooses what goes on to the new one (R-36)."""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from enum import StrEnum
from hashlib import sha256

from worker.domain.model.contracts import Contract, WrittenCommitment
from worker.domain.model.people import PairId

#: A pair that begins later than this after the end of the former pair does not take its place.
MAX_HANDOVER_GAP = timedelta(days=180)


class HandoverLineKind(StrEnum):
    """The origin of a line: a part of the old contract, a note for both, or a suggestion of the old manager."""

    REPORT = "report"  #: a commitment of the report
    MANAGER = "manager"  #: a commitment of the old manager
    REVIEW = "review"
    QUESTION = "question"
    REPORT_NOTE = "report_note"  #: a line of a note for both, by the report (R-28)
    MANAGER_NOTE = "manager_note"  #: the same, by the old manager
    OFFER = "offer"  #: an open commitment that the old manager suggests to hand to the new one


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverLine:
    """A line that can go on to the new manager. Stored only sealed."""

    kind: HandoverLineKind
    text: str
    due: date | None = None  #: of a review the first day of its month, of a note the day of the conversation

    @property
    def id(self) -> str:
        """A digest for forms, the same as long as the line is."""
        return sha256(f"{self.kind}|{self.text}|{self.due}".encode()).hexdigest()[:16]


@dataclass(frozen=True, slots=True, kw_only=True)
class Handover:
    """The end of a pair whose report stays, and the pair that takes its place, without content."""

    former: PairId
    pair: PairId | None  #: None while the report has no new manager
    ended_at: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class HandoverContent:
    """What was decided about a handover. Stored only sealed."""

    lines: tuple[HandoverLine, ...] = ()  #: what the report passed on to the new manager
    offers: tuple[HandoverLine, ...] = ()  #: what the old manager suggests to hand on; the report decides
    kept: tuple[str, ...] = ()  #: ids of the commitments that the old manager still keeps


def list_handover_lines(contract: Contract | None, offers: Iterable[HandoverLine] = ()) -> list[HandoverLine]:
    """Return the lines of a contract that can go on, after the offers; an offer stands in place of its commitment."""
    offers = list(offers)
    if contract is None:
        return offers
    offered_texts = {line.text for line in offers}
    lines = [_make_line(HandoverLineKind.REPORT, promise) for promise in contract.report]
    lines += [
        _make_line(HandoverLineKind.MANAGER, promise)
        for promise in contract.manager
        if promise.text not in offered_texts
    ]
    lines += [
        HandoverLine(kind=HandoverLineKind.REVIEW, text=review.text, due=review.month) for review in contract.reviews
    ]
    lines += [HandoverLine(kind=HandoverLineKind.QUESTION, text=contract.question)] if contract.question else []
    return list({line.id: line for line in (*offers, *lines)}.values())


def _make_line(kind: HandoverLineKind, promise: WrittenCommitment) -> HandoverLine:
    return HandoverLine(kind=kind, text=promise.text, due=promise.due)
