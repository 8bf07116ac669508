"""Rows to values and back. Reading is by name and by hand: it is the busiest code of a sweep."""

import json
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar, cast

from worker.domain.model import (
    Answer,
    Commitment,
    CommitmentStanding,
    Deferral,
    DeferralCause,
    Effect,
    EffectKind,
    EffectProgress,
    EndReason,
    EventRef,
    Format,
    Interval,
    Owner,
    Pair,
    Person,
    PlacedEvent,
    Preference,
    Reason,
    Reasons,
    ReasonValue,
    ReviewMode,
    Session,
    SessionKind,
    SessionState,
    Span,
    Topic,
)
from worker.domain.time.worktime import format_hours, parse_hours
from worker.store import tables
from worker.store.statements import Row

E = TypeVar("E", bound=StrEnum)

_m = tables.message.c
#: What `message` reads; the table has more columns, which only the outbox asks for.
MESSAGE = (
    _m.key,
    _m.what,
    _m.name,
    _m.pair,
    _m.subject,
    _m.calendar,
    _m.event,
    _m.to,
    _m.number,
    _m.start,
    _m.progress,
    _m.due_at,
    _m.snapshot_at,
    _m.attempts,
)


def _by_value(kind: type[E]) -> dict[str, E]:
    """Its members by what is stored of them: asking the enumeration itself takes much longer."""
    return {str(member.value): member for member in kind}


_FORMAT, _REVIEW = _by_value(Format), _by_value(ReviewMode)
_KIND, _TOPIC, _STATE, _CAUSE = (
    _by_value(SessionKind),
    _by_value(Topic),
    _by_value(SessionState),
    _by_value(DeferralCause),
)
_OWNER, _STANDING = _by_value(Owner), _by_value(CommitmentStanding)
_WHAT, _PROGRESS = _by_value(EffectKind), _by_value(EffectProgress)


def seconds(instant: datetime) -> int:
    """An instant as it stands inside JSON."""
    return int(instant.timestamp())


def instant(value: int) -> datetime:
    """The instant that `seconds` stored."""
    return datetime.fromtimestamp(value, UTC)


def why(text: str) -> Reasons:
    """Reasons as `why_text` wrote them, or words from before reasons were values."""
    if not text.startswith("["):
        return (Reason("verbatim", {"words": text}),)
    return tuple(Reason(code, {name: _read(one) for name, one in values.items()}) for code, values in json.loads(text))


def why_text(why: Reasons) -> str:
    """Reasons as JSON: code and values, a day as `{"day": …}` and an instant as `{"at": …}`."""
    return json.dumps([[reason.code, {n: _encode_value(one) for n, one in reason.values.items()}] for reason in why])


def _read(value: Any) -> ReasonValue:
    if not isinstance(value, dict):
        return cast(ReasonValue, value)
    return instant(value["at"]) if "at" in value else date.fromisoformat(value["day"])


def _encode_value(value: ReasonValue) -> Any:
    if isinstance(value, datetime):
        return {"at": seconds(value)}
    return {"day": value.isoformat()} if isinstance(value, date) else value


def span(start: datetime | None, end: datetime | None) -> Span | None:
    return None if start is None or end is None else Span(start, end)


_hours = lru_cache(1024)(parse_hours)  # a company has few ways to work


def person(row: Row) -> Person:
    return Person(
        email=row["email"],
        name=row["name"],
        zone=row["zone"],
        country=row["country"],
        hours=_hours(row["hours"]),
        locale=row["locale"],
        calendar=row["calendar"],
        mail=row["mail"],
    )


def person_row(person: Person) -> dict[str, Any]:
    return {
        "email": person.email,
        "name": person.name,
        "zone": person.zone,
        "country": person.country,
        "hours": format_hours(person.hours),
        "locale": person.locale,
        "calendar": person.calendar,
        "mail": person.mail,
    }


def pair(row: Row) -> Pair:
    listed = Pair(
        manager=row["manager"],
        report=row["report"],
        first_seen=row["first_seen"],
        start=row["start"],
        every=Interval(row["weeks"], row["months"]),
        minutes=row["minutes"],
        format=_FORMAT[row["format"]],
        review=_REVIEW[row["review"]],
        transition_until=row["transition_until"],
        preference=Preference(weekday=row["weekday"], minute=row["minute"]),
        trust=row["trust"],
        paused=row["paused"] or row["rests"],
        ended=EndReason(row["ended"]),
    )
    return _as_chosen(listed, row["chosen"]) if row["chosen"] else listed


def _as_chosen(listed: Pair, chosen: Mapping[str, Any]) -> Pair:
    """What the two chose goes before what the people file says."""
    until = chosen.get("transition_until", listed.transition_until)
    return replace(
        listed,
        format=Format(chosen.get("format", listed.format)),
        trust=chosen.get("trust", listed.trust),
        transition_until=date.fromisoformat(until) if isinstance(until, str) else until,
    )


def pair_row(pair: Pair) -> dict[str, Any]:
    """What the people file says of a pair; what happened to it since is not in it."""
    return {
        "id": pair.id,
        "manager": pair.manager,
        "report": pair.report,
        "start": pair.start,
        "weeks": pair.every.weeks,
        "months": pair.every.months,
        "minutes": pair.minutes,
        "format": pair.format.value,
        "review": pair.review.value,
        "transition_until": pair.transition_until,
        "weekday": pair.preference.weekday,
        "minute": pair.preference.minute,
        "trust": pair.trust,
        "paused": pair.paused,
        "ended": pair.ended.value,
    }


def session(row: Row, open_plan: Callable[[bytes], Mapping[str, Any]] | None = None) -> Session:
    """A session; without `open_plan` an ad hoc one says what the columns say in place of what is sealed."""
    sealed = row["sealed_plan"]
    return with_plan(_session(row), open_plan(sealed)) if sealed and open_plan else _session(row)


def _session(row: Row) -> Session:
    return Session(
        id=row["id"],
        pair=row["pair"],
        kind=_KIND[row["kind"]],
        topic=_TOPIC[row["topic"]],
        cycle=row["cycle"],
        adhoc=row["adhoc"],
        state=_STATE[row["state"]],
        minutes=row["minutes"],
        earliest=row["earliest"],
        target=row["target"],
        latest=row["latest"],
        start=row["start"],
        end=row["end"],
        generation=row["generation"],
        sequence=row["sequence"],
        by_hand=row["by_hand"],
        urgent=row["urgent"],
        count=row["count"],
        deferred_at=row["deferred_at"],
        warned_at=row["warned_at"],
        held_at=row["held_at"],
        noted_at=row["noted_at"],
        unplaceable=why(row["unplaceable"]) if row["unplaceable"] else None,
        options=tuple(Span(instant(a), instant(b)) for a, b in row["options"]),
    )


#: What the columns of an ad hoc conversation say in place of the time within which it has to be.
AD_HOC_WINDOW = timedelta(days=7)
#: What they say when there is no time for it.
NO_TIME = json.dumps([["verbatim", {"words": "No time for it exists just now."}]])


def hidden_plan(session: Session) -> dict[str, Any]:
    """What would tell why an ad hoc conversation was asked for: it is stored sealed."""
    return {
        "urgent": session.urgent,
        "latest": seconds(session.latest),
        "unplaceable": why_text(session.unplaceable) if session.unplaceable else None,
    }


def with_plan(session: Session, plan: Mapping[str, Any]) -> Session:
    """The session with what `hidden_plan` took out of it."""
    if not plan:
        return session
    reasons = why(plan["unplaceable"]) if plan["unplaceable"] else None
    return replace(session, urgent=plan["urgent"], latest=instant(plan["latest"]), unplaceable=reasons)


def session_row(session: Session, sealed_plan: bytes | None = None) -> dict[str, Any]:
    """Its columns; of an ad hoc conversation they say nothing that follows from why it was asked for."""
    row = {**_session_row(session), "sealed_plan": sealed_plan}
    if session.adhoc:
        row["urgent"] = False
        row["latest"] = session.earliest + AD_HOC_WINDOW
        row["unplaceable"] = NO_TIME if session.unplaceable else None
    return row


def _session_row(session: Session) -> dict[str, Any]:
    return {
        "id": session.id,
        "pair": session.pair,
        "kind": session.kind.value,
        "topic": session.topic.value,
        "cycle": session.cycle,
        "adhoc": session.adhoc,
        "state": session.state.value,
        "closed": session.is_closed,
        "minutes": session.minutes,
        "earliest": session.earliest,
        "target": session.target,
        "latest": session.latest,
        "start": session.start,
        "end": session.end,
        "generation": session.generation,
        "sequence": session.sequence,
        "by_hand": session.by_hand,
        "urgent": session.urgent,
        "count": session.count,
        "deferred_at": session.deferred_at,
        "warned_at": session.warned_at,
        "held_at": session.held_at,
        "noted_at": session.noted_at,
        "unplaceable": why_text(session.unplaceable) if session.unplaceable else None,
        "options": [[seconds(s.start), seconds(s.end)] for s in session.options],
    }


def deferral(row: Row) -> Deferral:
    return Deferral(
        session=row["session"],
        number=row["number"],
        at=row["at"],
        cause=_CAUSE[row["cause"]],
        who=row["who"],
        was=span(row["was_start"], row["was_end"]),
    )


def deferral_row(deferral: Deferral) -> dict[str, Any]:
    return {
        "session": deferral.session,
        "number": deferral.number,
        "at": deferral.at,
        "cause": deferral.cause.value,
        "who": deferral.who,
        "was_start": deferral.was.start if deferral.was else None,
        "was_end": deferral.was.end if deferral.was else None,
    }


def commitment(row: Row) -> Commitment:
    return Commitment(
        id=row["id"],
        pair=row["pair"],
        session=row["session"],
        owner=_OWNER[row["owner"]],
        due=row["due"],
        recorded_at=row["recorded_at"],
        standing=_STANDING[row["standing"]],
        closed_at=row["closed_at"],
        block=span(row["block_start"], row["block_end"]),
        all_day=row["all_day"],
        by_hand=row["by_hand"],
        dismissed=row["dismissed"],
        generation=row["generation"],
        sequence=row["sequence"],
    )


def commitment_row(commitment: Commitment) -> dict[str, Any]:
    return {
        "id": commitment.id,
        "pair": commitment.pair,
        "session": commitment.session,
        "owner": commitment.owner.value,
        "due": commitment.due,
        "recorded_at": commitment.recorded_at,
        "standing": commitment.standing.value,
        "closed_at": commitment.closed_at,
        "block_start": commitment.block.start if commitment.block else None,
        "block_end": commitment.block.end if commitment.block else None,
        "all_day": commitment.all_day,
        "by_hand": commitment.by_hand,
        "dismissed": commitment.dismissed,
        "generation": commitment.generation,
        "sequence": commitment.sequence,
    }


def message(row: Row) -> Effect:
    return Effect(
        key=row["key"],
        kind=_WHAT[row["what"]],
        name=row["name"],
        pair=row["pair"],
        subject=row["subject"],
        calendar=row["calendar"],
        event=row["event"],
        to=row["to"],
        number=row["number"],
        start=row["start"],
        progress=_PROGRESS[row["progress"]],
        due_at=row["due_at"] or row["snapshot_at"],
        snapshot_at=row["snapshot_at"],
        attempts=row["attempts"],
    )


def message_row(message: Effect) -> dict[str, Any]:
    return {
        "key": message.key,
        "what": message.kind.value,
        "name": message.name,
        "pair": message.pair,
        "subject": message.subject,
        "calendar": message.calendar,
        "event": message.event,
        "to": message.to,
        "number": message.number,
        "start": message.start,
        "progress": message.progress.value,
        "due_at": message.due_at,
        "snapshot_at": message.snapshot_at,
        "attempts": message.attempts,
        "fields": {},
    }


def read_placed_event(row: Row) -> PlacedEvent:
    return PlacedEvent(
        key=row["key"],
        ref=EventRef(row["calendar"], row["provider_id"], row["etag"]),
        span=Span(row["start"], row["end"]),
        written=Span(row["written_start"], row["written_end"]),
        sequence=row["sequence"],
        gone=row["gone"],
        answers={who: Answer(answer) for who, answer in row["answers"].items()},
        proposed={who: Span(instant(a), instant(b)) for who, (a, b) in row["proposed"].items()},
    )


def spans_by(spans: Mapping[str, Span]) -> dict[str, list[int]]:
    """Spans by name, as JSON keeps them."""
    return {name: [int(one.start.timestamp()), int(one.end.timestamp())] for name, one in spans.items()}
