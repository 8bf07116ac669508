"""Builds the fields of history lines about effects. A simulation copies these fields into its ledger."""

from typing import Any

from worker.domain.model import Commitment, Session


def build_history_fields(subject: Session | Commitment | None) -> dict[str, Any]:
    """Return the history fields of an effect about a session or a commitment. They never contain content."""
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
