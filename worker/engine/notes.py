"""Stores notes: up to three lines that one of the two leaves for both after a conversation without a contract (R-28).

Pages and commands use this module. Content never appears in an error's text.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Connection

from worker.clock import Clock
from worker.domain.model import Owner, Session
from worker.domain.notes import can_have_notes, clean_note_lines
from worker.errors import NotesNotTaken, UnknownName
from worker.store.store import Store


class Notes:
    """Stores and deletes notes."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock

    def save(
        self,
        session_id: str,
        author: Owner,
        lines: Sequence[str],
        also_write: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Store the author's note about a session, in place of an earlier note; without lines, delete the earlier note.

        `also_write` writes more rows in the same transaction. No mail is sent for a note alone. Raises UnknownName, and
        NotesNotTaken when the session takes no notes; an earlier note can be deleted even then.
        """
        session = self._store.queries.get_session(session_id)
        if session is None:
            raise UnknownName(f"There is no session {session_id}.")
        cleaned_lines = clean_note_lines(lines)
        if cleaned_lines:
            require_note_session(session)
        with self._store.database.write() as connection:
            self._store.notes.save(connection, session, author, cleaned_lines, self._clock())
            also_write(connection)


def require_note_session(session: Session) -> None:
    """Raise NotesNotTaken when the session takes no notes."""
    if not can_have_notes(session):
        raise NotesNotTaken(
            f"Session {session.id} takes no notes. Notes are for a part of a series that took place, and for a "
            "conversation that ended without a contract."
        )
