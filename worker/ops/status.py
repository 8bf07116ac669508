"""How the program is doing, for whoever runs it: what the command `status` and the operator's page show.

Nothing sealed is opened.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any

from worker.domain.model import Address, Person, Session
from worker.domain.reason_texts import words
from worker.store.heartbeats import Heartbeat
from worker.store.statistics import Figures
from worker.store.store import Store

#: A calendar that was due to be read longer ago is behind.
BEHIND = timedelta(minutes=15)
#: A worker that was seen so lately lives.
LIVES = timedelta(minutes=2)


def status(store: Store, now: datetime) -> dict[str, Any]:
    """What is read, what waits, what is owed, what needs a person: counts, addresses and ids."""
    figures = Figures(store.database)
    pairs = list(store.people.pairs().values())
    people = store.people.everybody()
    calendars = store.calendars.health()
    again = figures.planned_again()
    hindered = {one["address"] for one in calendars if one["failing_since"]} | set(store.people.load_suspensions())
    owed = figures.list_owed_sessions()
    return {
        "at": now,
        "people": len(store.people.all()),
        "pairs": {
            "active": sum(pair.active for pair in pairs),
            "paused": sum(pair.paused and not pair.ended for pair in pairs),
            "ended": sum(bool(pair.ended) for pair in pairs),
        },
        "workers": [_worker(one, now) for one in store.heartbeats.all()],
        "calendars": _calendars(calendars, now),
        "unreachable": [_unreachable(one, people) for one in calendars if one["failing_since"]],
        "suspended": [
            {"person": who, "until": until} for who, until in sorted(store.people.load_suspensions().items())
        ],
        "sessions": figures.states(),
        "outbox": store.outbox.counts(),
        "due": [
            {"what": what, "message": name, "count": number, "since": since}
            for what, name, number, since in figures.waiting(now)
        ],
        "tried_again": [
            {"what": what, "message": name, "count": number, "again": at, "why": why}
            for what, name, number, at, why in figures.tried_again()
        ],
        "troubled": [_trouble(message) for message in store.outbox.list_troubled()],
        "owed": [
            {**_describe_owed(session), "waits_for": _hindrance(session, hindered), "again": again.get(session.pair)}
            for session in owed
            if not session.unplaceable
        ],
        "unplaceable": [
            {**_describe_owed(session), "reason": words(session.unplaceable)} for session in owed if session.unplaceable
        ],
    }


def _calendars(health: Sequence[Mapping[str, Any]], now: datetime) -> dict[str, Any]:
    return {
        "read": sum(one["full_at"] is not None for one in health),
        "never_read": sorted(one["address"] for one in health if one["full_at"] is None),
        "behind": sorted(one["address"] for one in health if one["due_at"] and one["due_at"] < now - BEHIND),
        "unreachable": sorted(one["address"] for one in health if one["failing_since"]),
    }


def _worker(heartbeat: Heartbeat, now: datetime) -> dict[str, Any]:
    return {**asdict(heartbeat), "lives": now - heartbeat.seen_at <= LIVES}


def _unreachable(calendar: Mapping[str, Any], people: Mapping[Address, Person]) -> dict[str, Any]:
    who = calendar["address"]
    return {
        "person": who,
        "service": people[who].calendar if who in people else "",
        "since": calendar["failing_since"],
        "failures": calendar["failures"],
        "why": calendar["problem"],
        "again": calendar["due_at"],
    }


def _hindrance(session: Session, hindered: Collection[Address]) -> str:
    """What a session without a time waits for; empty when the next sweep may find one."""
    blocked = [who for who in session.pair.people if who in hindered]
    return f"the calendar of {blocked[0]} can't be read" if blocked else ""


def _trouble(message: Mapping[str, Any]) -> dict[str, Any]:
    told = {
        name: message[name] for name in ("progress", "what", "name", "pair", "subject", "to", "attempts", "problem")
    }
    return {**told, "pair": str(message["pair"] or "")}


def _describe_owed(session: Session) -> dict[str, Any]:
    return {
        "session": session.id,
        "pair": str(session.pair),
        "kind": session.kind.value,
        "state": session.state.value,
        "target": session.target,
        "deferrals": session.count,
    }
