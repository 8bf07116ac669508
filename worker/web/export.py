"""A person's download: everything stored about them, as indented JSON.

The reason for an ad hoc session is for the manager alone (R-6): only the manager's file has it. A question to a third
person and its answer are for the report alone (R-30). A former manager's file has the promises to former reports that
are still open, and nothing else of those pairs (R-36).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime
from typing import Any

from flask import Response

from worker.domain.model import (
    Commitment,
    Deferral,
    DeferralCause,
    HandoverLine,
    Pair,
    Person,
    Session,
    SharedNote,
    WrittenCommitment,
)
from worker.domain.time.worktime import format_hours
from worker.engine.pulse import PulseStatus
from worker.store.content import ContractRevision
from worker.web.site import Site, current_site

#: A time before every stored deferral.
_EPOCH = datetime.fromtimestamp(0, tz=UTC)


def build_export(person: Person, pairs: Iterable[Pair], *, manages: bool) -> Response:
    """Return the JSON file about a person and their pairs. `manages`: whether the person is their manager."""
    site = current_site()
    export = {
        "written_at": site.now(),
        "about": _export_person(person),
        "read_by": (
            "The contract, the commitments and the notes are shown to the two of the pair alone; whoever runs the "
            "server could open them, and the commands for that tell both. The rest: the two, and whoever runs Longarc."
        ),
        **({} if manages else {"third_voices": _export_voices(site, person)}),
        **({} if manages else _export_pulse(site, person)),
        **(_export_old_promises(site, person) if manages else {}),
        "pairs": [_export_pair(site, person, pair, manages=manages) for pair in pairs],
    }
    text = json.dumps(export, indent=2, ensure_ascii=False, default=_encode_value)
    response = Response(text + "\n", content_type="application/json; charset=utf-8")
    response.headers["Content-Disposition"] = f'attachment; filename="longarc-{site.now():%Y-%m-%d}.json"'
    return response


def _encode_value(value: object) -> object:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else str(value)


def _export_pulse(site: Site, person: Person) -> dict[str, Any]:
    """Return whether the person has answered in this month's round (R-37); the answer cannot be found again."""
    name = f"{site.now():%Y-%m}"
    status = site.worker.pulse.get_status(person.email, name)
    if status not in (PulseStatus.OPEN, PulseStatus.ANSWERED):
        return {}
    kept = "An answer is added to a count, and not kept with your name."
    return {"pulse": {"round": name, "answered": status is PulseStatus.ANSWERED, "answer": kept}}


def _export_person(person: Person) -> dict[str, Any]:
    return {**asdict(person), "hours": format_hours(person.hours)}


def _export_pair(site: Site, person: Person, pair: Pair, *, manages: bool) -> dict[str, Any]:
    sessions = site.store.queries.list_sessions(pair.id)
    commitments = site.store.queries.list_commitments(pair.id)
    promises = site.store.content.get_written_commitments([commitment.id for commitment in commitments])
    history = site.store.queries.load_years([pair.id], _EPOCH)[pair.id]
    said = site.store.content.load_deferral_reasons([session.id for session in sessions])
    contracts = [
        _export_contract(revision) for session in sessions for revision in site.store.content.list_revisions(session.id)
    ]
    return {
        "manager": pair.manager,
        "report": pair.report,
        "how": {name: getattr(pair, name) for name in ("minutes", "format", "review", "transition_until", "trust")},
        "rhythm": str(pair.every),
        "sessions": [_export_session(site, session, manages=manages) for session in sessions],
        "times_lost": [
            _export_deferral(deferral, person, said.get(deferral.session, {}), manages=manages)
            for deferral in history.deferrals
        ],
        "contracts": contracts,
        "commitments": [_export_commitment(commitment, promises) for commitment in commitments],
        **_export_learning(site, pair, manages=manages),
        "notes": [_export_note(note) for note in site.store.notes.list_notes(pair.id)],
        **_export_handover(site, pair, manages=manages),
        "mails": [
            {"at": line["at"], "mail": line["fields"].get("message")}
            for line in site.store.queries.list_mails_to(person.email, [pair.id])
        ],
    }


def _export_deferral(deferral: Deferral, person: Person, said: Mapping[int, str], *, manages: bool) -> dict[str, Any]:
    """Return a lost time. What kept the other one is left out; a manager sees what is no absence (R-38).

    `said` is what the report said about times of that session, by number (R-18).
    """
    is_known = deferral.who in ("", person.email) or (manages and deferral.cause is not DeferralCause.OUT_OF_OFFICE)
    why = {"cause": deferral.cause.value, "who": deferral.who} if is_known else {}
    words = {"said_by_the_report": said[deferral.number]} if deferral.number in said else {}
    return {"session": deferral.session, "at": deferral.at, **why, **words}


def _export_learning(site: Site, pair: Pair, *, manages: bool) -> dict[str, Any]:
    """Return the manager's sentence that waits for the report's next prompt, for the manager alone (R-35)."""
    waiting = site.store.learnings.load_waiting([pair.id]).get(pair.id) if manages else None
    return {"own_learning": {"text": waiting.text, "written_at": waiting.written_at}} if waiting else {}


def _export_old_promises(site: Site, manager: Person) -> dict[str, Any]:
    """Return what the manager promised to former reports and has not ended (R-36)."""
    found = []
    for handover in site.store.handovers.list_from_manager(manager.email):
        commitments = site.store.queries.list_commitments(handover.former)
        commitments = [c for c in commitments if c.is_open_promise]
        promises = site.store.content.get_written_commitments([commitment.id for commitment in commitments])
        found += [{"report": c.pair.report, **_export_commitment(c, promises)} for c in commitments]
    return {"open_promises_to_former_reports": found} if found else {}


def _export_handover(site: Site, pair: Pair, *, manages: bool) -> dict[str, Any]:
    """Return what the report passed on to this pair's manager (R-36), and for the report alone what the former manager
    suggested; the former manager's file has none of it."""
    handover = site.store.handovers.find_incoming(pair.id)
    if handover is None:
        return {}
    content = site.store.handovers.open(handover.former)
    passed = {"passed_on_by_the_report": [_export_line(line) for line in content.lines]}
    suggested = {"suggested_by_the_former_manager": [_export_line(line) for line in content.offers]}
    return passed if manages else {**passed, **suggested}


def _export_line(line: HandoverLine) -> dict[str, Any]:
    return {"kind": line.kind, "text": line.text, "due": line.due}


def _export_session(site: Site, session: Session, *, manages: bool) -> dict[str, Any]:
    fields: dict[str, Any] = {
        "session": session.id,
        "kind": session.kind,
        "topic": session.topic,
        "state": session.state,
        "start": session.start,
        "end": session.end,
        "asked_for": session.adhoc,
        "times_put_off": session.count,
    }
    trigger = site.store.content.get_trigger(session.id) if manages and session.adhoc else None
    return fields | ({"why": {"kind": trigger[0], "words": trigger[1]}} if trigger else {})


def _export_contract(revision: ContractRevision) -> dict[str, Any]:
    fields = asdict(revision.contract)
    for promise in (*fields["report"], *fields["manager"], *fields["reviews"]):
        promise.pop("line")
    changed = {"changed_by": revision.by, "reason": revision.reason} if revision.by else {}
    numbered = {"session": revision.session, "revision": revision.revision, "recorded_at": revision.recorded_at}
    return {**numbered, **changed, **fields}


def _export_voices(site: Site, report: Person) -> list[dict[str, Any]]:
    """Return the questions that a report asked third persons; nobody but the report has them in a file."""
    return [
        {"asked_at": voice.asked_at, "to": voice.to, "question": voice.question, "answer": voice.answer or None}
        for voice in site.worker.third_voices.list_voices(report.email)
    ]


def _export_note(note: SharedNote) -> dict[str, Any]:
    return {"session": note.session, "by": note.author, "held_at": note.held_at, "lines": note.lines}


def _export_commitment(commitment: Commitment, promises: Mapping[str, WrittenCommitment]) -> dict[str, Any]:
    promise = promises.get(commitment.id)
    fields: dict[str, Any] = {
        "commitment": commitment.id,
        "session": commitment.session,
        "owner": commitment.owner,
        "due": commitment.due,
    }
    fields |= {
        "standing": commitment.standing,
        "recorded_at": commitment.recorded_at,
        "closed_at": commitment.closed_at,
    }
    return fields | ({"text": promise.text, "support": promise.support, "success": promise.success} if promise else {})
