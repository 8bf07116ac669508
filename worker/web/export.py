"""Everything that is kept about somebody, as a file to take along: readable by people and by machines.

Why a conversation was asked for is the manager's alone to read (R-6): it is in the manager's file and in no other.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from flask import Response

from worker.domain.model import Commitment, Pair, Person, Promise, Session
from worker.domain.time.worktime import hours_text
from worker.store.content import Recorded
from worker.web.site import Site, site


def file(person: Person, pairs: Iterable[Pair], *, manages: bool) -> Response:
    """The answer that a browser keeps as a file."""
    here = site()
    told = {
        "written_at": here.now(),
        "about": _person(person),
        "read_by": (
            "The contract and the commitments are shown to the two of the pair alone; whoever runs the server could "
            "open them, and the commands for that tell both. The rest: the two, and whoever runs Longarc."
        ),
        "pairs": [_pair(here, person, pair, manages=manages) for pair in pairs],
    }
    text = json.dumps(told, indent=2, ensure_ascii=False, default=_plain)
    answer = Response(text + "\n", content_type="application/json; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="longarc-{here.now():%Y-%m-%d}.json"'
    return answer


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _person(person: Person) -> dict[str, Any]:
    return {**asdict(person), "hours": hours_text(person.hours)}


def _pair(here: Site, person: Person, pair: Pair, *, manages: bool) -> dict[str, Any]:
    sessions = here.store.register.sessions(pair.id)
    commitments = here.store.register.commitments(pair.id)
    promises = here.store.content.promises([one.id for one in commitments])
    deferrals = here.store.register.year([pair.id], datetime.fromtimestamp(0, tz=here.now().tzinfo))[pair.id].deferrals
    contracts = [_contract(one) for session in sessions for one in here.store.content.revisions(session.id)]
    return {
        "manager": pair.manager,
        "report": pair.report,
        "how": {name: getattr(pair, name) for name in ("minutes", "format", "review", "transition_until", "trust")},
        "rhythm": str(pair.every),
        "sessions": [_session(here, one, manages=manages) for one in sessions],
        "times_lost": [{"session": d.session, "at": d.at, "cause": d.cause.value, "who": d.who} for d in deferrals],
        "contracts": contracts,
        "commitments": [_commitment(one, promises) for one in commitments],
        "mails": [
            {"at": line["at"], "mail": line["fields"].get("message")}
            for line in here.store.register.mails_to(person.email, [pair.id])
        ],
    }


def _session(here: Site, one: Session, *, manages: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"session": one.id, "kind": one.kind, "topic": one.topic, "state": one.state}
    told |= {"start": one.start, "end": one.end, "asked_for": one.adhoc, "times_put_off": one.count}
    why = here.store.content.trigger(one.id) if manages and one.adhoc else None
    return told | ({"why": {"kind": why[0], "words": why[1]}} if why else {})


def _contract(one: Recorded) -> dict[str, Any]:
    told = asdict(one.contract)
    for promise in (*told["report"], *told["manager"], *told["reviews"]):
        promise.pop("line")
    return {"session": one.session, "revision": one.revision, "recorded_at": one.recorded_at, **told}


def _commitment(one: Commitment, promises: Mapping[str, Promise]) -> dict[str, Any]:
    words = promises.get(one.id)
    told: dict[str, Any] = {"commitment": one.id, "session": one.session, "owner": one.owner, "due": one.due}
    told |= {"standing": one.standing, "recorded_at": one.recorded_at, "closed_at": one.closed_at}
    return told | ({"text": words.text, "support": words.support, "success": words.success} if words else {})
