"""When a session stops moving by itself: after two automatic moves within seven days the third is a question (T-11).

An automatic move is a new time that we give a session that lost its own, whatever the cause, unless somebody asked for
another time. Placing a series anew and making way for an ad hoc conversation are no deferrals, and so none of them.
The question offers three times; the first of them stands on the calendar meanwhile, and stays when nobody answers.
"""

from collections.abc import Iterator
from datetime import datetime, timedelta

from worker.domain.model import Deferral, DeferralCause, Session, SessionKind
from worker.domain.planning import cadence
from worker.domain.planning.plan_builder import PlanBuilder

#: After this many automatic moves…
MAX_MOVES = 2
#: … within this time, the next one is a question.
MOVES_PERIOD = timedelta(days=7)


def is_question(builder: PlanBuilder, session: Session) -> bool:
    """Whether the last time that the session lost was one too many: what it gets now is a question to the two."""
    if session.kind is not SessionKind.CAREER or session.deferred_at is None:
        return False
    moves = list(_list_automatic_moves(builder, session, session.deferred_at))
    return len(moves) > MAX_MOVES and any(move.at == session.deferred_at for move in moves)


def stays_after_question(builder: PlanBuilder, session: Session) -> bool:
    """Whether its time is the first of those that a question offered, and nobody has chosen another one: it stays, and
    what is booked over it does not move it any more."""
    return not session.by_hand and is_question(builder, session)


def may_leave(session: Session) -> bool:
    """Whether a question about it may be answered by leaving it until the next quarter: it is one of the rhythm."""
    return cadence.is_regular(session)


def _list_automatic_moves(builder: PlanBuilder, session: Session, until: datetime) -> Iterator[Deferral]:
    for deferral in builder.list_deferrals(session.id):
        is_recent = until - MOVES_PERIOD < deferral.at <= until
        if is_recent and deferral.cause is not DeferralCause.ASKED:
            yield deferral
