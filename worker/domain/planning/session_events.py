"""The event of a session: made, moved, and cancelled (R-1)."""

from worker.domain.model import EffectKind, Session
from worker.domain.planning.plan_builder import PlanBuilder


def show_on_calendar(builder: PlanBuilder, session: Session) -> None:
    """Have the event made, or moved when it exists or is on its way."""
    what = (
        EffectKind.UPDATE
        if builder.find_event(session.key) or builder.has_pending_write(session.key)
        else EffectKind.CREATE
    )
    builder.write_event(what, session.id, session.key, session.sequence)


def take_off_calendar(builder: PlanBuilder, session: Session) -> None:
    """Have the event cancelled, if there is one or one is on its way; the next one will be another."""
    if builder.find_event(session.key) or builder.has_pending_write(session.key):
        builder.write_event(EffectKind.CANCEL, session.id, session.key, session.sequence)
    builder.update_session(session, generation=session.generation + 1)
