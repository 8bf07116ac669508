"""Writes and cancels the event of a session on the manager's calendar (R-1)."""

from worker.domain.model import Session
from worker.domain.planning.plan_builder import PlanBuilder


def show_on_calendar(builder: PlanBuilder, session: Session) -> None:
    """Write the session's event: create it, or update it when it is on the calendar or about to be."""
    builder.write_event(session.id, session.key, session.sequence)


def take_off_calendar(builder: PlanBuilder, session: Session) -> None:
    """Cancel the session's event if it is on the calendar or about to be.

    The session gets a new generation, which is part of the event's key, so that a later event has another key.
    """
    if builder.is_on_calendar(session.key):
        builder.cancel_event(session.id, session.key)
    builder.update_session(session, generation=session.generation + 1)
