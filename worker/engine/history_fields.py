"""The fields of an effect's line in the history, which become those of the ledger."""

from typing import Any

from worker.domain.model import Commitment, Session


def build_history_fields(subject: Session | Commitment | None) -> dict[str, Any]:
    """Return the fields of an effect's history line, which never contain content."""
    if isinstance(subject, Session):
        return {
            "kind": subject.kind.value,
            "topic": subject.topic.value,
            "calendar": subject.pair.manager,
            "attendees": [subject.pair.report],
            "start": subject.start,
            "end": subject.end,
            "key": subject.key,
        }
    if isinstance(subject, Commitment):
        return {
            "kind": "commitment",
            "calendar": subject.pair.manager,
            "attendees": [],
            "start": subject.block.start if subject.block else None,
            "end": subject.block.end if subject.block else None,
            "key": subject.key,
            "due": subject.due,
        }
    return {}
