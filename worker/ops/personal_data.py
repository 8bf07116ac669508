"""Everything that is stored about a person, as plain values: for the download on their page, and for `longarc export`.

Some of it is for one person only. The reason for an ad hoc session is only in the manager's file (R-6). Questions to
third persons with their answers (R-30), and whether the report has answered the anonymous question (R-37), are only in
the file that the report downloads, and never in one that an operator makes. The file that a former manager downloads
has the open promises to former reports, and nothing else of those pairs (R-36).
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

#: An instant before everything that is stored.
_EPOCH = datetime.fromtimestamp(0, tz=UTC)
#: The text in the file that says who can read the data.
_READ_BY = (
    "The contract, the commitments and the notes are shown to the two of the pair alone; whoever runs the server could "
    "open them, and the commands for that tell both. The rest: the two, and whoever runs Longarc."
)
#: What the file of `longarc export` does not contain, and where it can be found.
LEFT_OUT = (
    "Questions to third persons and their answers: nobody but the person learns of them. Their page gives them.",
    "Answers to the anonymous question: they were added to counts, and can't be found again.",
    "Why somebody else asked to talk, and what kept somebody else: it is theirs.",
)
#: Added to `LEFT_OUT` in a file without content.
WITHOUT_CONTENT = "What the two of each pair wrote to each other was left out of this file."


def encode_value(value: object) -> object:
    """Return the text for a value of a type that JSON does not have. Instants are in UTC."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%dT%H:%M:%SZ}"
    return value.isoformat() if isinstance(value, date) else str(value)


def collect_for_page(worker: Worker, person: Person, pairs: Iterable[Pair], *, is_manager: bool) -> dict[str, Any]:
    """Return the content of the download on a page: the data about the person and these pairs.

    `is_manager`: whether the person is the manager of the pairs, and not the report.
    """
    return {
        "written_at": worker.clock(),
        "about": {**_export_person(person), **_export_pushed(worker, person)},
        "read_by": _READ_BY,
        **({} if is_manager else {"third_voices": _export_voices(worker, person)}),
        **({} if is_manager else _export_pulse(worker, person)),
        **(_export_old_promises(worker, person) if is_manager else {}),
        "pairs": [_export_pair(worker, person, pair, is_manager=is_manager) for pair in pairs],
    }


def collect_for_operator(worker: Worker, person: Person, *, has_content: bool) -> dict[str, Any]:
    """Return the content of a file that an operator makes: the data about the person and all pairs, also ended ones.

    `has_content`: whether the file contains what the pairs wrote.
    """
    pairs = [pair for pair in worker.store.people.load_all_pairs().values() if person.email in pair.id.people]
    pairs_by_role = {
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
            role: [
                _export_pair(worker, person, pair, is_manager=role == "as_manager", has_content=has_content)
                for pair in sorted(pairs_of_role, key=lambda pair: pair.id)
            ]
            for role, pairs_of_role in pairs_by_role.items()
        },
        "events": _export_events(worker, person.email),
        "mails": [
            {"at": effect.decided_at, "mail": effect.name, "state": effect.progress, "about": effect.pair}
            for effect in worker.store.outbox.list_mails_of(person.email)
        ],
        "accesses": _export_accesses(worker, pairs, has_content=has_content),
    }


def _export_events(worker: Worker, email: Address) -> list[dict[str, Any]]:
    """Return our events on the calendars of the person's pairs, as they were when last read."""
    return [
        {"calendar": event.ref.calendar, "start": event.span.start, "end": event.span.end, "gone": event.is_gone}
        for event in worker.store.calendars.list_events_of(email)
    ]


def _export_accesses(worker: Worker, pairs: Collection[Pair], *, has_content: bool) -> list[dict[str, Any]]:
    """Return each time at which an operator opened or changed what the pairs wrote: when, for whom and why."""
    if not has_content:
        return []
    period = Span(_EPOCH, worker.clock() + timedelta(seconds=1))  # it includes the access by this export
    return [
        {
            "at": access.at,
            "pair": access.pair,
            "what": access.access,
            "for": access.on_behalf_of,
            "why": access.reason,
        }
        for access in worker.store.content.list_accesses([pair.id for pair in pairs], period)
    ]


def _export_pulse(worker: Worker, person: Person) -> dict[str, Any]:
    """Return whether the person has answered this month's anonymous question (R-37). The answer itself is not kept."""
    round_name = f"{worker.clock():%Y-%m}"
    status = worker.pulse.get_status(person.email, round_name)
    if status not in (PulseStatus.OPEN, PulseStatus.ANSWERED):
        return {}
    explanation = "An answer is added to a count, and not kept with your name."
    return {"pulse": {"round": round_name, "answered": status is PulseStatus.ANSWERED, "answer": explanation}}


def _export_person(person: Person) -> dict[str, Any]:
    exported = asdict(person) | {"hours": format_hours(person.hours)}
    exported["away"] = exported.pop("absences")
    return exported


def _export_pushed(worker: Worker, person: Person) -> dict[str, Any]:
    """Return what directories pushed about the person, by the names of SCIM attributes; empty without a push."""
    names = worker.store.aliases.list_names(person.email)
    pushed = [
        {
            "userName": pushed_person.user_name,
            "externalId": pushed_person.external_id,
            **pushed_person.attributes,
            "written_at": pushed_person.changed_at,
        }
        for pushed_person in worker.store.pushed_people.find_people_by_names(names)
    ]
    return {"told_by_the_directory": pushed} if pushed else {}


def _export_pair(
    worker: Worker, person: Person, pair: Pair, *, is_manager: bool, has_content: bool = True
) -> dict[str, Any]:
    """Return the data about a pair for the file of `person`, who is its manager or, if not `is_manager`, its report."""
    sessions = worker.store.queries.list_sessions(pair.id)
    commitments = worker.store.queries.list_commitments(pair.id)
    activity = worker.store.queries.load_activities([pair.id], _EPOCH)[pair.id]
    reasons = worker.store.content.load_deferral_reasons([session.id for session in sessions]) if has_content else {}
    texts = worker.store.content.get_written_commitments([c.id for c in commitments]) if has_content else {}
    return {
        "manager": pair.manager,
        "report": pair.report,
        **({"ended": pair.ended} if pair.ended else {}),
        **({"contents_erased_at": pair.erased_at} if pair.erased_at else {}),
        "how": {name: getattr(pair, name) for name in ("minutes", "format", "review", "transition_until", "trust")},
        "rhythm": str(pair.every),
        "sessions": [
            _export_session(worker, session, shows_trigger=is_manager and has_content) for session in sessions
        ],
        "times_lost": [
            _export_deferral(deferral, person, reasons.get(deferral.session, {}), is_manager=is_manager)
            for deferral in activity.deferrals
        ],
        **(_export_contracts(worker, sessions) if has_content else {}),
        "commitments": [_export_commitment(commitment, texts) for commitment in commitments],
        **(_export_other_content(worker, pair, is_manager=is_manager) if has_content else {}),
        "mails": [
            {"at": line["at"], "mail": line["fields"].get("message")}  # `message`: the name of the mail
            for line in worker.store.queries.list_mails_to(person.email, [pair.id])
        ],
    }


def _export_contracts(worker: Worker, sessions: Iterable[Session]) -> dict[str, Any]:
    content = worker.store.content
    revisions = [revision for session in sessions for revision in content.list_revisions(session.id)]
    return {"contracts": [_export_contract(revision) for revision in revisions]}


def _export_other_content(worker: Worker, pair: Pair, *, is_manager: bool) -> dict[str, Any]:
    """Return what the two wrote besides contracts: the manager's own learning, notes, and lines that were passed on."""
    return {
        **_export_learning(worker, pair, is_manager=is_manager),
        "notes": [_export_note(note) for note in worker.store.notes.list_notes(pair.id)],
        **_export_handover(worker, pair, is_manager=is_manager),
    }


def _export_deferral(
    deferral: Deferral, person: Person, reasons: Mapping[int, str], *, is_manager: bool
) -> dict[str, Any]:
    """Return a deferral. Its cause is left out when the other person caused it (R-38).

    A manager also sees what the report caused, except for an absence. `reasons` contains, by number of the deferral,
    what the report wrote about deferrals of that session (R-18).
    """
    is_own = deferral.who in ("", person.email)
    is_visible_to_manager = is_manager and deferral.cause is not DeferralCause.OUT_OF_OFFICE
    cause = {"cause": deferral.cause.value, "who": deferral.who} if is_own or is_visible_to_manager else {}
    words = {"said_by_the_report": reasons[deferral.number]} if deferral.number in reasons else {}
    return {"session": deferral.session, "at": deferral.at, **cause, **words}


def _export_learning(worker: Worker, pair: Pair, *, is_manager: bool) -> dict[str, Any]:
    """Return the manager's sentence for the report's next reflection prompt. Only the manager's file has it (R-35)."""
    waiting = worker.store.learnings.load_waiting([pair.id]).get(pair.id) if is_manager else None
    return {"own_learning": {"text": waiting.text, "written_at": waiting.written_at}} if waiting else {}


def _export_old_promises(worker: Worker, manager: Person) -> dict[str, Any]:
    """Return the manager's promises to former reports that are still open (R-36)."""
    exported = []
    for handover in worker.store.handovers.list_from_manager(manager.email):
        commitments = worker.store.queries.list_commitments(handover.former_pair)
        promises = [commitment for commitment in commitments if commitment.is_open_promise_of_manager]
        texts = worker.store.content.get_written_commitments([promise.id for promise in promises])
        exported += [{"report": promise.pair.report, **_export_commitment(promise, texts)} for promise in promises]
    return {"open_promises_to_former_reports": exported} if exported else {}


def _export_handover(worker: Worker, pair: Pair, *, is_manager: bool) -> dict[str, Any]:
    """Return the lines that the report passed on to this pair's manager (R-36).

    The report's file also has the lines that the former manager suggested. The former manager's file has neither.
    """
    handover = worker.store.handovers.find_incoming(pair.id)
    if handover is None:
        return {}
    content = worker.store.handovers.load_content(handover.former_pair)
    passed_on = {"passed_on_by_the_report": [_export_line(line) for line in content.lines]}
    suggested = {"suggested_by_the_former_manager": [_export_line(line) for line in content.suggestions]}
    return passed_on if is_manager else {**passed_on, **suggested}


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
    for entry in (*fields["report"], *fields["manager"], *fields["reviews"]):
        entry.pop("line")  # the line in the form or file from which the contract was recorded
    change = {"changed_by": revision.by, "reason": revision.reason} if revision.by else {}
    heading = {"session": revision.session, "revision": revision.revision, "recorded_at": revision.recorded_at}
    return {**heading, **change, **fields}


def _export_voices(worker: Worker, report: Person) -> list[dict[str, Any]]:
    """Return the questions that a report asked third persons. Only the report's own file has them."""
    return [
        {"asked_at": voice.asked_at, "to": voice.to, "question": voice.question, "answer": voice.answer or None}
        for voice in worker.third_voices.list_voices(report.email)
    ]


def _export_note(note: SharedNote) -> dict[str, Any]:
    return {"session": note.session, "by": note.author, "held_at": note.held_at, "lines": note.lines}


def _export_commitment(commitment: Commitment, texts: Mapping[str, WrittenCommitment]) -> dict[str, Any]:
    """Return a commitment. `texts`: by id of a commitment, what it says; a commitment without content is not in it."""
    content = texts.get(commitment.id)
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
    return fields | ({"text": content.text, "support": content.support, "success": content.success} if content else {})
