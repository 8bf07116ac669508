"""Everything that is kept about somebody, as a file to take along: readable by people and by machines.

Why a conversation was asked for is the manager's alone to read (R-6): it is in the manager's file and in no other.
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import date, datetime
from typing import Any

from flask import Response

from worker.domain.model import Commitment, Pair, Person, Session, WrittenCommitment
from worker.domain.time.worktime import format_hours
from worker.store.content import ContractRevision
from worker.web.site import Site, current_site


def build_export(person: Person, pairs: Iterable[Pair], *, manages: bool) -> Response:
    """The answer that a browser keeps as a file."""
    here = current_site()
    told = {
        "written_at": here.now(),
        "about": _export_person(person),
        "read_by": (
            "The contract and the commitments are shown to the two of the pair alone; whoever runs the server could "
            "open them, and the commands for that tell both. The rest: the two, and whoever runs Longarc."
        ),
        "pairs": [_export_pair(here, person, pair, manages=manages) for pair in pairs],
    }
    text = json.dumps(told, indent=2, ensure_ascii=False, default=_encode_value)
    answer = Response(text + "\n", content_type="application/json; charset=utf-8")
    answer.headers["Content-Disposition"] = f'attachment; filename="longarc-{here.now():%Y-%m-%d}.json"'
    return answer


def _encode_value(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _export_person(person: Person) -> dict[str, Any]:
    return {**asdict(person), "hours": format_hours(person.hours)}


def _export_pair(here: Site, person: Person, pair: Pair, *, manages: bool) -> dict[str, Any]:
    sessions = here.store.queries.list_sessions(pair.id)
    commitments = here.store.queries.list_commitments(pair.id)
    promises = here.store.content.get_written_commitments([one.id for one in commitments])
    deferrals = here.store.queries.load_years([pair.id], datetime.fromtimestamp(0, tz=here.now().tzinfo))[
        pair.id
    ].deferrals
    contracts = [_export_contract(one) for session in sessions for one in here.store.content.list_revisions(session.id)]
    return {
        "manager": pair.manager,
        "report": pair.report,
        "how": {name: getattr(pair, name) for name in ("minutes", "format", "review", "transition_until", "trust")},
        "rhythm": str(pair.every),
        "sessions": [_export_session(here, one, manages=manages) for one in sessions],
        "times_lost": [{"session": d.session, "at": d.at, "cause": d.cause.value, "who": d.who} for d in deferrals],
        "contracts": contracts,
        "commitments": [_export_commitment(one, promises) for one in commitments],
        "mails": [
            {"at": line["at"], "mail": line["fields"].get("message")}
            for line in here.store.queries.list_mails_to(person.email, [pair.id])
        ],
    }


def _export_session(here: Site, one: Session, *, manages: bool) -> dict[str, Any]:
    told: dict[str, Any] = {"session": one.id, "kind": one.kind, "topic": one.topic, "state": one.state}
    told |= {"start": one.start, "end": one.end, "asked_for": one.adhoc, "times_put_off": one.count}
    why = here.store.content.get_trigger(one.id) if manages and one.adhoc else None
    return told | ({"why": {"kind": why[0], "words": why[1]}} if why else {})


def _export_contract(one: ContractRevision) -> dict[str, Any]:
    told = asdict(one.contract)
    for promise in (*told["report"], *told["manager"], *told["reviews"]):
        promise.pop("line")
    return {"session": one.session, "revision": one.revision, "recorded_at": one.recorded_at, **told}


def _export_commitment(one: Commitment, promises: Mapping[str, WrittenCommitment]) -> dict[str, Any]:
    words = promises.get(one.id)
    told: dict[str, Any] = {"commitment": one.id, "session": one.session, "owner": one.owner, "due": one.due}
    told |= {"standing": one.standing, "recorded_at": one.recorded_at, "closed_at": one.closed_at}
    return told | ({"text": words.text, "support": words.support, "success": words.success} if words else {})
