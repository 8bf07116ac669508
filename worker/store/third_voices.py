"""Reads and writes third voices: questions that reports ask a third person, with the answers (R-30).

The two addresses, the question and the answer are sealed. The rows of a report are found by their tag, which is a keyed
digest of the report's address.
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
        """Store a question, and delete the report's withdrawn questions that have expired."""
        for earlier_voice in self._list(connection, [voice.report]):
            if earlier_voice.is_withdrawn and earlier_voice.expires_at <= voice.asked_at:
                connection.execute(delete(third_voice).where(third_voice.c.id == earlier_voice.id))
        row = {"id": voice.id, "tag": self._make_tag(voice.report), "asked_at": voice.asked_at}
        row |= {"expires_at": voice.expires_at, "answered_at": None, "sealed_answer": None}
        connection.execute(third_voice.insert(), {**row, "sealed": self._seal_question(voice)})

    def count_open(self, connection: Connection, addresses: Collection[Address], now: datetime) -> int:
        """Return how many questions of a report count as open: they are unanswered and have not expired.

        Withdrawn questions count, too. The report's row in `person` is locked until the end of the transaction, so that
        two forms which are sent at the same time can't exceed the limit. `addresses` are all addresses of the report.
        """
        if not self._database.is_sqlite:  # SQLite has one writer at a time
            connection.execute(select(person.c.email).where(person.c.email.in_(addresses)).with_for_update())
        voices = self._list(connection, addresses)
        return sum(voice.answered_at is None and now < voice.expires_at for voice in voices)

    def list_voices(self, addresses: Collection[Address]) -> list[ThirdVoice]:
        """Return the questions of a report that are not withdrawn, newest first. Raises WrongKey."""
        with self._database.read() as connection:
            return [voice for voice in self._list(connection, addresses) if not voice.is_withdrawn]

    def get_voice(self, voice_id: str) -> ThirdVoice | None:
        """Return a question; None when there is none, or the report withdrew it. Raises WrongKey."""
        with self._database.read() as connection:
            row = connection.execute(select(third_voice).where(third_voice.c.id == voice_id)).mappings().first()
        voice = self._parse(row) if row else None
        return None if voice is None or voice.is_withdrawn else voice

    def save_answer(self, connection: Connection, voice_id: str, answer: str, now: datetime) -> bool:
        """Store the answer. Return False when the question has an answer, has expired, or was withdrawn or deleted."""
        has_id = third_voice.c.id == voice_id
        row = connection.execute(select(third_voice).where(has_id).with_for_update()).mappings().first()
        if row is None or not self._parse(row).is_open(now):
            return False
        values = {"answered_at": now, "sealed_answer": self._seal.seal_padded(json.dumps(answer))}
        return bool(connection.execute(update(third_voice).where(has_id).values(values)).rowcount)

    def erase(self, voice: ThirdVoice, now: datetime) -> None:
        """Delete a question with its answer.

        An unanswered question is withdrawn instead: its row stays without content until the question expires, so that
        it still counts for the limit of open questions.
        """
        has_id = third_voice.c.id == voice.id
        with self._database.write() as connection:
            withdrawn = replace(voice, to="", question="")
            withdraw = update(third_voice).where(has_id, third_voice.c.answered_at.is_(None))
            is_unanswered = bool(connection.execute(withdraw.values(sealed=self._seal_question(withdrawn))).rowcount)
            if not is_unanswered or voice.expires_at <= now:
                connection.execute(delete(third_voice).where(has_id))

    def delete_questions(
        self, connection: Connection, *, askers: Collection[Address] = (), recipients: Collection[Address] = ()
    ) -> int:
        """Delete the questions that reports in `askers` asked, and the questions to people in `recipients`.

        Return the number of deleted questions. The sealed addresses of all questions are opened. Raises WrongKey.
        """
        voices = [self._parse(row) for row in connection.execute(select(third_voice)).mappings().all()]
        ids = [voice.id for voice in voices if voice.report in askers or voice.to in recipients]
        connection.execute(delete(third_voice).where(third_voice.c.id.in_(ids)))
        return len(ids)

    def renew_tags(self) -> None:
        """Compute all tags again with the first of the keys. Raises WrongKey."""
        with self._database.write() as connection:
            for row in connection.execute(select(third_voice)).mappings().all():
                tag = self._make_tag(self._parse(row).report)
                connection.execute(update(third_voice).where(third_voice.c.id == row["id"]).values(tag=tag))

    def _make_tag(self, address: Address) -> str:
        """Return the tag of an address that is stored: the one that is made with the first of the keys."""
        first_tag, *_ = self._seal.compute_digests(address)
        return first_tag

    def _list(self, connection: Connection, addresses: Collection[Address]) -> list[ThirdVoice]:
        tags = [tag for address in sorted(addresses) for tag in self._seal.compute_digests(address)]
        query = select(third_voice).where(third_voice.c.tag.in_(tags)).order_by(third_voice.c.asked_at.desc())
        return [self._parse(row) for row in connection.execute(query).mappings().all()]

    def _seal_question(self, voice: ThirdVoice) -> bytes:
        return self._seal.seal_padded(json.dumps({"report": voice.report, "to": voice.to, "question": voice.question}))

    def _parse(self, row: RowMapping) -> ThirdVoice:
        fields: dict[str, Any] = json.loads(self._seal.unseal(row["sealed"]))
        sealed_answer = row["sealed_answer"]
        return ThirdVoice(
            id=row["id"],
            asked_at=row["asked_at"],
            expires_at=row["expires_at"],
            answered_at=row["answered_at"],
            answer=json.loads(self._seal.unseal(sealed_answer)) if sealed_answer else "",
            **fields,
        )
