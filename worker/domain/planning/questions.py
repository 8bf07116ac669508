"""Asks the two people a question instead of moving a session automatically a third time within seven days (T-11).

An automatic move is a new time that Longarc gives a deferred session, unless somebody asked for another time. A new
time for a part of a series, or because of an ad hoc session, is not counted, since these are no deferrals.

The question offers three times. The first of them is on the calendar meanwhile, and stays there when nobody answers.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from worker.domain.model import Deferral, DeferralCause, Session, SessionKind
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import PlanBuilder

#: The number of automatic moves within `MOVES_PERIOD` after which the next move becomes a question.
MAX_AUTOMATIC_MOVES = 2
MOVES_PERIOD = timedelta(days=7)


def has_question(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session's new times are a question to the two, in place of one automatic move too many.

    That holds when the session's last deferral follows at least `MAX_AUTOMATIC_MOVES` others within `MOVES_PERIOD`.
    """
    if session.kind is not SessionKind.CAREER or session.deferred_at is None:
        return False
    moves = list(_list_automatic_moves(builder, session, session.deferred_at))
    return len(moves) > MAX_AUTOMATIC_MOVES and any(move.at == session.deferred_at for move in moves)


def is_kept_despite_clash(builder: PlanBuilder, session: Session) -> bool:
    """Return whether the session keeps its time even when another event clashes with it.

    That holds when a question offered this time as the first, and nobody has chosen another time.
    """
    return not session.by_hand and has_question(builder, session)


def can_be_left_until_next_cycle(session: Session) -> bool:
    """Return whether people may answer a question by leaving the session until the next cycle.

    That makes the session owed one rhythm later, and only a regular session follows the rhythm.
    """
    return cadence.is_regular(session)


def _list_automatic_moves(builder: PlanBuilder, session: Session, until: datetime) -> Iterator[Deferral]:
    """Yield the deferrals of the session that led to an automatic move in the seven days up to `until`."""
    for deferral in builder.list_deferrals(session.id):
        is_recent = until - MOVES_PERIOD < deferral.at <= until
        if is_recent and deferral.cause is not DeferralCause.ASKED:
            yield deferral
