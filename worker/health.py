"""How the program is doing, for whoever runs it: what the command `status` and the operator's page show.

Nothing sealed is opened.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from worker.domain.model import Session
from worker.domain.wording import words
from worker.store import Store
from worker.store.figures import Figures

#: A calendar that was due to be read longer ago is behind.
BEHIND = timedelta(minutes=15)


def status(store: Store, now: datetime) -> dict[str, Any]:
    """What is read, what waits, what is owed, what needs a person: counts, addresses and ids."""
    figures = Figures(store.database)
    pairs = list(store.people.pairs().values())
    owed = figures.owed()
    return {
        "at": now,
        "people": len(store.people.all()),
        "pairs": {
            "active": sum(pair.active for pair in pairs),
            "paused": sum(pair.paused and not pair.ended for pair in pairs),
            "ended": sum(bool(pair.ended) for pair in pairs),
        },
        "calendars": _calendars(store.calendars.health(), now),
        "suspended": [{"person": who, "until": until} for who, until in sorted(store.people.suspended().items())],
        "sessions": figures.states(),
        "outbox": store.outbox.counts(),
        "due": [
            {"what": what, "message": name, "count": number, "since": since}
            for what, name, number, since in figures.waiting(now)
        ],
        "troubled": [_trouble(message) for message in store.outbox.troubled()],
        "owed": [_owed(session) for session in owed if not session.unplaceable],
        "unplaceable": [
            {**_owed(session), "reason": words(session.unplaceable)} for session in owed if session.unplaceable
        ],
    }


def _calendars(health: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    return {
        "read": sum(one["full_at"] is not None for one in health),
        "never_read": sorted(one["address"] for one in health if one["full_at"] is None),
        "behind": sorted(one["address"] for one in health if one["due_at"] and one["due_at"] < now - BEHIND),
    }


def _trouble(message: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: message[name] for name in ("progress", "what", "name", "pair", "subject", "to", "attempts", "problem")
    }


def _owed(session: Session) -> dict[str, Any]:
    return {
        "session": session.id,
        "pair": session.pair,
        "kind": session.kind.value,
        "state": session.state.value,
        "target": session.target,
        "deferrals": session.count,
    }
