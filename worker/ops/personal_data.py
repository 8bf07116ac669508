"""Everything that is stored about a person, as plain values: for the download on their page, and for `longarc export`.

The reason for an ad hoc session is for the manager alone (R-6): only the manager's file has it. A question to a third
person and its answer are for the report alone (R-30), and so is whether the report has answered the anonymous question
(R-37): a file that an operator makes has neither. A former manager's file from the page has the promises to former
reports that are still open, and nothing else of those pairs (R-36).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict
from datetime import UTC, date, datetime, timedelta
from typing import Any

from worker.app import Worker
from worker.domain.model import (
    Address,
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
from worker.domain.model.time import Span
from worker.domain.time.worktime import format_hours
from worker.engine.pulse import PulseStatus
from worker.store.content import ContractRevision

#: A time before everything that is stored.
_EPOCH = datetime.fromtimestamp(0, tz=UTC)
_READ_BY = (
    "The contract, the commitments and the notes are shown to the two of the pair alone; whoever runs the server could "
    "open them, and the commands for that tell both. The rest: the two, and whoever runs Longarc."
)
#: What a file of `longarc export` has not, and where it is.
LEFT_OUT = (
    "Questions to third persons and their answers: nobody but the person learns of them. Their page gives them.",
    "Answers to the anonymous question: they were added to counts, and can't be found again.",
    "Why somebody else asked to talk, and what kept somebody else: it is theirs.",
)
WITHOUT_CONTENT = "What the two of each pair wrote to each other was left out of this file."


def encode_value(value: object) -> object:
    """Return a value as JSON holds it: instants in UTC."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else str(value)


def collect_for_page(worker: Worker, person: Person, pairs: Iterable[Pair], *, manages: bool) -> dict[str, Any]:
    """Return what the download on a page holds: about the person and their pairs. `manages`: as their manager."""
    return {
        "written_at": worker.clock(),
        "about": {**_export_person(person), **_export_pushed(worker, person)},
        "read_by": _READ_BY,
        **({} if manages else {"third_voices": _export_voices(worker, person)}),
        **({} if manages else _export_pulse(worker, person)),
        **(_export_old_promises(worker, person) if manages else {}),
        "pairs": [_export_pair(worker, person, pair, manages=manages) for pair in pairs],
    }


def collect_for_operator(worker: Worker, person: Person, *, has_content: bool) -> dict[str, Any]:
    """Return everything about a person in all pairs, ended ones included, for a file that an operator makes."""
    pairs = [pair for pair in worker.store.people.load_all_pairs().values() if person.email in pair.id.people]
    sides = {
        "as_report": [pair for pair in pairs if pair.report == person.email],
        "as_manager": [pair for pair in pairs if pair.manager == person.email],
    }
    return {
        "written_at": worker.clock(),
        "about": {
            **_export_person(person),
            "also_known_as": sorted(worker.store.aliases.list_names(person.email) - {person.email}),
            **_export_pushed(worker, person),
        },
        "read_by": _READ_BY,
        "left_out": [*LEFT_OUT, *([] if has_content else [WITHOUT_CONTENT])],
        **{
            side: [
                _export_pair(worker, person, pair, manages=side == "as_manager", has_content=has_content)
                for pair in sorted(listed, key=lambda pair: pair.id)
            ]
            for side, listed in sides.items()
        },
        "events": _export_events(worker, person.email),
        "mails": [
            {"at": effect.snapshot_at, "mail": effect.name, "state": effect.progress, "about": effect.pair}
            for effect in worker.store.outbox.list_mails_of(person.email)
        ],
        "accesses": _export_accesses(worker, pairs, has_content=has_content),
    }


def _export_events(worker: Worker, email: Address) -> list[dict[str, Any]]:
    """Return the events of ours on the calendars of the person's pairs, as they were last seen."""
    return [
        {"calendar": event.ref.calendar, "start": event.span.start, "end": event.span.end, "gone": event.gone}
        for event in worker.store.calendars.list_events_of(email)
    ]


def _export_accesses(worker: Worker, pairs: Collection[Pair], *, has_content: bool) -> list[dict[str, Any]]:
    """Return when an operator opened or changed what the pairs wrote, for whom and why."""
    if not has_content:
        return []
    period = Span(_EPOCH, worker.clock() + timedelta(seconds=1))  # that of this very export included
    return [
        {"at": one.at, "pair": one.pair, "what": one.access, "for": one.on_behalf_of, "why": one.reason}
        for one in worker.store.content.list_accesses([pair.id for pair in pairs], period)
    ]


def _export_pulse(worker: Worker, person: Person) -> dict[str, Any]:
    """Return whether the person has answered in this month's round (R-37); the answer cannot be found again."""
    name = f"{worker.clock():%Y-%m}"
    status = worker.pulse.get_status(person.email, name)
    if status not in (PulseStatus.OPEN, PulseStatus.ANSWERED):
        return {}
    kept = "An answer is added to a count, and not kept with your name."
    return {"pulse": {"round": name, "answered": status is PulseStatus.ANSWERED, "answer": kept}}


def _export_person(person: Person) -> dict[str, Any]:
    return {**asdict(person), "hours": format_hours(person.hours)}


def _export_pushed(worker: Worker, person: Person) -> dict[str, Any]:
    """Return what a directory pushed about the person, in the words of SCIM; nothing when none did."""
    names = worker.store.aliases.list_names(person.email)
    pushed = [
        {"userName": one.user_name, "externalId": one.external_id, **one.attributes, "written_at": one.changed_at}
        for one in worker.store.pushed_people.list_people_of(names)
    ]
    return {"told_by_the_directory": pushed} if pushed else {}


def _export_pair(
    worker: Worker, person: Person, pair: Pair, *, manages: bool, has_content: bool = True
) -> dict[str, Any]:
    sessions = worker.store.queries.list_sessions(pair.id)
    commitments = worker.store.queries.list_commitments(pair.id)
    history = worker.store.queries.load_years([pair.id], _EPOCH)[pair.id]
    said = worker.store.content.load_deferral_reasons([session.id for session in sessions]) if has_content else {}
    promises = worker.store.content.get_written_commitments([c.id for c in commitments]) if has_content else {}
    return {
        "manager": pair.manager,
        "report": pair.report,
        **({"ended": pair.ended} if pair.ended else {}),
        **({"contents_erased_at": pair.erased_at} if pair.erased_at else {}),
        "how": {name: getattr(pair, name) for name in ("minutes", "format", "review", "transition_until", "trust")},
        "rhythm": str(pair.every),
        "sessions": [_export_session(worker, session, shows_trigger=manages and has_content) for session in sessions],
        "times_lost": [
            _export_deferral(deferral, person, said.get(deferral.session, {}), manages=manages)
            for deferral in history.deferrals
        ],
        **(_export_contracts(worker, sessions) if has_content else {}),
        "commitments": [_export_commitment(commitment, promises) for commitment in commitments],
        **(_export_words(worker, pair, manages=manages) if has_content else {}),
        "mails": [
            {"at": line["at"], "mail": line["fields"].get("message")}
            for line in worker.store.queries.list_mails_to(person.email, [pair.id])
        ],
    }


def _export_contracts(worker: Worker, sessions: Iterable[Session]) -> dict[str, Any]:
    content = worker.store.content
    return {"contracts": [_export_contract(one) for session in sessions for one in content.list_revisions(session.id)]}


def _export_words(worker: Worker, pair: Pair, *, manages: bool) -> dict[str, Any]:
    """Return what else the two wrote: the manager's own sentence, notes for both, and what was passed on."""
    return {
        **_export_learning(worker, pair, manages=manages),
        "notes": [_export_note(note) for note in worker.store.notes.list_notes(pair.id)],
        **_export_handover(worker, pair, manages=manages),
    }


def _export_deferral(deferral: Deferral, person: Person, said: Mapping[int, str], *, manages: bool) -> dict[str, Any]:
    """Return a lost time. What kept the other one is left out; a manager sees what is no absence (R-38).

    `said` is what the report said about times of that session, by number (R-18).
    """
    is_known = deferral.who in ("", person.email) or (manages and deferral.cause is not DeferralCause.OUT_OF_OFFICE)
    why = {"cause": deferral.cause.value, "who": deferral.who} if is_known else {}
    words = {"said_by_the_report": said[deferral.number]} if deferral.number in said else {}
    return {"session": deferral.session, "at": deferral.at, **why, **words}


def _export_learning(worker: Worker, pair: Pair, *, manages: bool) -> dict[str, Any]:
    """Return the manager's sentence that waits for the report's next prompt, for the manager alone (R-35)."""
    waiting = worker.store.learnings.load_waiting([pair.id]).get(pair.id) if manages else None
    return {"own_learning": {"text": waiting.text, "written_at": waiting.written_at}} if waiting else {}


def _export_old_promises(worker: Worker, manager: Person) -> dict[str, Any]:
    """Return what the manager promised to former reports and has not ended (R-36)."""
    found = []
    for handover in worker.store.handovers.list_from_manager(manager.email):
        commitments = worker.store.queries.list_commitments(handover.former)
        commitments = [c for c in commitments if c.is_open_promise]
        promises = worker.store.content.get_written_commitments([commitment.id for commitment in commitments])
        found += [{"report": c.pair.report, **_export_commitment(c, promises)} for c in commitments]
    return {"open_promises_to_former_reports": found} if found else {}


def _export_handover(worker: Worker, pair: Pair, *, manages: bool) -> dict[str, Any]:
    """Return what the report passed on to this pair's manager (R-36), and for the report alone what the former manager
    suggested; the former manager's file has none of it."""
    handover = worker.store.handovers.find_incoming(pair.id)
    if handover is None:
        return {}
    content = worker.store.handovers.load_content(handover.former)
    passed = {"passed_on_by_the_report": [_export_line(line) for line in content.lines]}
    suggested = {"suggested_by_the_former_manager": [_export_line(line) for line in content.offers]}
    return passed if manages else {**passed, **suggested}


def _export_line(line: HandoverLine) -> dict[str, Any]:
    return {"kind": line.kind, "text": line.text, "due": line.due}


def _export_session(worker: Worker, session: Session, *, shows_trigger: bool) -> dict[str, Any]:
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
    trigger = worker.store.content.get_trigger(session.id) if shows_trigger and session.adhoc else None
    return fields | ({"why": {"kind": trigger[0], "words": trigger[1]}} if trigger else {})


def _export_contract(revision: ContractRevision) -> dict[str, Any]:
    fields = asdict(revision.contract)
    for promise in (*fields["report"], *fields["manager"], *fields["reviews"]):
        promise.pop("line")
    changed = {"changed_by": revision.by, "reason": revision.reason} if revision.by else {}
    numbered = {"session": revision.session, "revision": revision.revision, "recorded_at": revision.recorded_at}
    return {**numbered, **changed, **fields}


def _export_voices(worker: Worker, report: Person) -> list[dict[str, Any]]:
    """Return the questions that a report asked third persons; nobody but the report has them in a file."""
    return [
        {"asked_at": voice.asked_at, "to": voice.to, "question": voice.question, "answer": voice.answer or None}
        for voice in worker.third_voices.list_voices(report.email)
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
