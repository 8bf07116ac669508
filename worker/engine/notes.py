"""Leaves notes for both after a conversation (R-28), for pages and commands. Content never appears in an error."""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.model import Owner, Session
from worker.domain.notes import can_have_notes, clean_note_lines
from worker.errors import Refused, UnknownName
from worker.store.store import Store


class Notes:
    """Writes what either of the two leaves for both."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def leave(
        self,
        session_id: str,
        author: Owner,
        lines: Sequence[str],
        also: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Store the author's note about a session in place of an earlier one; without lines the earlier one is deleted.

        `also` writes in the same transaction. Nobody is told by a mail of its own. Raises UnknownName, and Refused when
        no notes belong to the session; deleting is always possible.
        """
        session = self._store.queries.get_session(session_id)
        if session is None:
            raise UnknownName(f"There is no session {session_id}.")
        kept_lines = clean_note_lines(lines)
        if kept_lines:
            require_note_session(session)
        with self._store.database.write() as connection:
            self._store.notes.save(connection, session, author, kept_lines, self._clock())
            also(connection)


def require_note_session(session: Session) -> None:
    """Raises Refused when no notes belong to the session."""
    if not can_have_notes(session):
        raise Refused(
            f"No notes belong to session {session.id}. They are for a part of a series that took place, and for a "
            "conversation that ended without a contract."
        )
