"""Reads and writes notes: up to three sealed lines that one person of a pair leaves for both (R-28)."""

import json
from collections import defaultdict
from collections.abc import Collection, Sequence
from datetime import datetime

from sqlalchemy import Connection, delete, select

from worker.domain.model import Owner, PairId, Session, SharedNote
from worker.seal import Seal
from worker.store.database import Database
from worker.store.parameters import in_bound_list
from worker.store.tables import note, session


class NoteRows:
    """Reads and writes the table `note`."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def save(
        self, connection: Connection, about: Session, author: Owner, lines: Sequence[str], written_at: datetime
    ) -> None:
        """Store one person's note about a session, in place of an earlier note. Without lines, the note is deleted."""
        if not lines:
            is_earlier_note = (note.c.session == about.id) & (note.c.author == author)
            connection.execute(delete(note).where(is_earlier_note))
            return
        row = {"session": about.id, "author": author, "pair": about.pair, "written_at": written_at}
        sealed = self._seal.seal_padded(json.dumps(list(lines)))
        self._database.upsert(connection, note, [{**row, "sealed": sealed}])

    def load_notes(self, pairs: Collection[PairId]) -> dict[PairId, list[SharedNote]]:
        """Return all notes of these pairs, by pair, the notes of the newest conversation first. Raises WrongKey."""
        held_at = session.c.held_at
        query = (
            select(note, held_at)
            .join(session, session.c.id == note.c.session)
            .where(in_bound_list(note.c.pair, "pairs"))
            .order_by(held_at.desc(), note.c.author)
        )
        notes: dict[PairId, list[SharedNote]] = defaultdict(list)
        with self._database.read() as connection:
            rows = connection.execute(query, {"pairs": list(pairs)}).mappings().all()
        for row in rows:
            notes[row["pair"]].append(
                SharedNote(
                    pair=row["pair"],
                    session=row["session"],
                    author=row["author"],
                    # a session has no `held_at` when somebody recorded, after the note was written, that the two did
                    # not meet
                    held_at=row["held_at"] or row["written_at"],
                    lines=tuple(json.loads(self._seal.unseal(row["sealed"]))),
                )
            )
        return notes

    def list_notes(self, pair: PairId) -> list[SharedNote]:
        """Return all notes of a pair, the notes of the newest conversation first. Raises WrongKey."""
        return self.load_notes([pair]).get(pair, [])
