"""Reads and writes the questions of reports to third persons, with their answers (R-30).

Who asks whom, what, and the answer are sealed. A report's rows are found by a keyed digest of the address.
"""

import json
from collections.abc import Collection
from dataclasses import replace
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, RowMapping, delete, select, update

from worker.domain.model import Address, ThirdVoice
from worker.seal import Seal
from worker.store.database import Database
from worker.store.tables import person, third_voice


class ThirdVoiceRows:
    """Reads and writes the table `third_voice`."""

    def __init__(self, database: Database, seal: Seal) -> None:
        self._database = database
        self._seal = seal

    def add(self, connection: Connection, voice: ThirdVoice) -> None:
        """Store a question. Deletes the report's withdrawn questions that have expired."""
        for old in self._list(connection, [voice.report]):
            if old.is_withdrawn and old.expires_at <= voice.asked_at:
                connection.execute(delete(third_voice).where(third_voice.c.id == old.id))
        row = {"id": voice.id, "tag": self._seal.list_tags(voice.report)[0], "asked_at": voice.asked_at}
        row |= {"expires_at": voice.expires_at, "answered_at": None, "sealed_answer": None}
        connection.execute(third_voice.insert(), {**row, "sealed": self._close(voice)})

    def count_open(self, connection: Connection, addresses: Collection[Address], now: datetime) -> int:
        """Return how many questions of a report count as open: unanswered and not expired, also those withdrawn.

        Locks the report until the transaction ends, so that two forms at once can't exceed the limit. `addresses` are
        all addresses of the report.
        """
        if not self._database.is_sqlite:  # SQLite has one writer at a time
            connection.execute(select(person.c.email).where(person.c.email.in_(addresses)).with_for_update())
        voices = self._list(connection, addresses)
        return sum(voice.answered_at is None and now < voice.expires_at for voice in voices)

    def list_voices(self, addresses: Collection[Address]) -> list[ThirdVoice]:
        """Return the questions of a report, newest first, withdrawn ones left out. Raises WrongKey."""
        with self._database.read() as connection:
            return [voice for voice in self._list(connection, addresses) if not voice.is_withdrawn]

    def get_voice(self, voice_id: str) -> ThirdVoice | None:
        """Return a question; None when there is none, or the report withdrew it. Raises WrongKey."""
        with self._database.read() as connection:
            row = connection.execute(select(third_voice).where(third_voice.c.id == voice_id)).mappings().first()
        voice = self._parse(row) if row else None
        return None if voice is None or voice.is_withdrawn else voice

    def save_answer(self, connection: Connection, voice_id: str, answer: str, now: datetime) -> bool:
        """Store the answer. Returns False when there is one already, the question has expired, or it was deleted."""
        has_id = third_voice.c.id == voice_id
        row = connection.execute(select(third_voice).where(has_id).with_for_update()).mappings().first()
        if row is None or not self._parse(row).is_open(now):
            return False
        values = {"answered_at": now, "sealed_answer": self._seal.close_padded(json.dumps(answer))}
        return bool(connection.execute(update(third_voice).where(has_id).values(values)).rowcount)

    def erase(self, voice: ThirdVoice, now: datetime) -> None:
        """Delete a question with its answer. Until it expires, a row without content still counts for the limit."""
        has_id = third_voice.c.id == voice.id
        with self._database.write() as connection:
            emptied = replace(voice, to="", question="")
            change = update(third_voice).where(has_id, third_voice.c.answered_at.is_(None))
            has_row = connection.execute(change.values(sealed=self._close(emptied))).rowcount
            if not has_row or voice.expires_at <= now:
                connection.execute(delete(third_voice).where(has_id))

    def delete_questions(
        self, connection: Connection, *, askers: Collection[Address] = (), recipients: Collection[Address] = ()
    ) -> int:
        """Delete the questions by reports in `askers`, and those to people in `recipients`. Returns their number.

        Opens every question. Raises WrongKey.
        """
        voices = [self._parse(row) for row in connection.execute(select(third_voice)).mappings().all()]
        ids = [voice.id for voice in voices if voice.report in askers or voice.to in recipients]
        connection.execute(delete(third_voice).where(third_voice.c.id.in_(ids)))
        return len(ids)

    def renew_tags(self) -> None:
        """Compute all tags again with the first key."""
        with self._database.write() as connection:
            for row in connection.execute(select(third_voice)).mappings().all():
                tag = self._seal.list_tags(self._parse(row).report)[0]
                connection.execute(update(third_voice).where(third_voice.c.id == row["id"]).values(tag=tag))

    def _list(self, connection: Connection, addresses: Collection[Address]) -> list[ThirdVoice]:
        tags = [tag for address in sorted(addresses) for tag in self._seal.list_tags(address)]
        query = select(third_voice).where(third_voice.c.tag.in_(tags)).order_by(third_voice.c.asked_at.desc())
        return [self._parse(row) for row in connection.execute(query).mappings().all()]

    def _close(self, voice: ThirdVoice) -> bytes:
        return self._seal.close_padded(json.dumps({"report": voice.report, "to": voice.to, "question": voice.question}))

    def _parse(self, row: RowMapping) -> ThirdVoice:
        fields: dict[str, Any] = json.loads(self._seal.open(row["sealed"]))
        sealed_answer = row["sealed_answer"]
        return ThirdVoice(
            id=row["id"],
            asked_at=row["asked_at"],
            expires_at=row["expires_at"],
            answered_at=row["answered_at"],
            answer=json.loads(self._seal.open(sealed_answer)) if sealed_answer else "",
            **fields,
        )
