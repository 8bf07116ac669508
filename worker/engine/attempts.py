"""The result of one attempt to perform an effect, and its consequences for when the pair is planned again."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

from worker.domain.model import (
    Answer,
    Commitment,
    Effect,
    EffectProgress,
    Outcome,
    PairState,
    PlacedEvent,
    Session,
    Settlement,
)
from worker.domain.planning import notices


@dataclass(frozen=True, slots=True)
class Attempt:
    """The result of one attempt to perform an effect."""

    outcome: Outcome
    problem: str = ""  #: why the attempt failed
    retry_after: timedelta | None = None  #: the least wait that the service asked for
    placed: PlacedEvent | None = None  #: the event that was written
    replaced_etag: str = ""  #: the etag of the event before it was written
    removed_key: str = ""  #: the key of the event that was cancelled
    history_fields: Mapping[str, Any] | None = None
    needs_reread: bool = False  #: whether the calendar differs from the database, and has to be read in full


#: The result for an effect that is no longer wanted.
STALE = Attempt(Outcome.STALE)


def find_subject(effect: Effect, state: PairState | None) -> Session | Commitment | None:
    """Return the session or commitment that an effect is about; None when it is about neither."""
    if state is None:
        return None
    subjects: dict[str, Session | Commitment] = {session.id: session for session in state.sessions}
    subjects.update({commitment.id: commitment for commitment in state.commitments})
    return subjects.get(effect.subject)


def replan_if_changed(settlement: Settlement, placed: PlacedEvent | None) -> Settlement:
    """Return the settlement, with replanning if the written event was declined on arrival or moved.

    An automatic out-of-office reply declines an event on arrival.
    """
    if placed is not None and (Answer.DECLINED in placed.answers.values() or placed.span != placed.written_span):
        return replace(settlement, needs_replanning=True)
    return settlement


def replan_if_new_time(settlement: Settlement, subject: Session | Commitment | None) -> Settlement:
    """Return the settlement, with replanning if the manager has to be notified of the new time of a session."""
    if settlement.progress is EffectProgress.DONE and isinstance(subject, Session) and notices.has_new_time(subject):
        return replace(settlement, needs_replanning=True)
    return settlement
