"""Converts rows to domain objects and back. Most columns have the name of a field; their types convert the values."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import fields, replace
from datetime import date, datetime, timedelta
from functools import lru_cache
from typing import Any

from worker.domain.model import (
    Answer,
    Commitment,
    Deferral,
    Effect,
    EventRef,
    Format,
    Interval,
    Offer,
    OfferPurpose,
    Owner,
    Pair,
    Person,
    PlacedEvent,
    Preference,
    Reason,
    Session,
    Span,
)
from worker.domain.time.worktime import format_hours, parse_hours
from worker.store import tables
from worker.store.statements import Row
from worker.store.types import convert_to_instant, convert_to_seconds, format_reasons, parse_reasons

_m = tables.message.c
#: The columns that `message` reads. The others are only for the outbox.
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
    _m.quiet,
    _m.counts,
)


def _get_columns(kind: type, *converted: str) -> tuple[str, ...]:
    """Return the fields that have a column of the same name; `converted` are the fields that have not."""
    return tuple(field.name for field in fields(kind) if field.name not in converted)


_PERSON = _get_columns(Person, "hours", "away")
_PAIR = _get_columns(Pair, "every", "preference", "paused")
_SESSION = _get_columns(Session, "offer")
_DEFERRAL = _get_columns(Deferral, "was")
_COMMITMENT = _get_columns(Commitment, "block")
_EFFECT = _get_columns(Effect, "kind", "due_at")


def _read_columns(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _read_fields(value: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def span(start: datetime | None, end: datetime | None) -> Span | None:
    return None if start is None or end is None else Span(start, end)


_hours = lru_cache(1024)(parse_hours)  # most people have the same hours


def person(row: Row) -> Person:
    return Person(**_read_columns(row, _PERSON), hours=_hours(row["hours"]), away=tuple(row["away"]))


def person_row(person: Person) -> dict[str, Any]:
    return {**_read_fields(person, _PERSON), "hours": format_hours(person.hours)}


def pair(row: Row) -> Pair:
    listed = listed_pair(row)
    if row["rests"]:
        listed = replace(listed, paused=True)
    return _as_chosen(listed, row["chosen"]) if row["chosen"] else listed


def listed_pair(row: Row) -> Pair:
    """Return the pair as the roster has it, without what the two chose and without a pause by the operator."""
    return Pair(
        **_read_columns(row, _PAIR),
        every=Interval(row["weeks"], row["months"]),
        preference=Preference(weekday=row["weekday"], minute=row["minute"]),
        paused=row["paused"],
    )


def _as_chosen(listed: Pair, chosen: Mapping[str, Any]) -> Pair:
    """Return the pair with the choices of the two, which have precedence over the roster."""
    until = chosen.get("transition_until", listed.transition_until)
    return replace(
        listed,
        format=Format(chosen.get("format", listed.format)),
        trust=chosen.get("trust", listed.trust),
        transition_until=date.fromisoformat(until) if isinstance(until, str) else until,
    )


def pair_row(pair: Pair) -> dict[str, Any]:
    """Return the columns of a pair that come from the roster. Whether it takes part is decided apart from it."""
    row = {
        "id": pair.id,
        **_read_fields(pair, _PAIR),
        "weeks": pair.every.weeks,
        "months": pair.every.months,
        "weekday": pair.preference.weekday,
        "minute": pair.preference.minute,
        "paused": pair.paused,
    }
    for name in ("first_seen", "rests", "participation", "erased_at"):
        del row[name]
    return row


def session(row: Row, open_plan: Callable[[bytes], Mapping[str, Any]] | None = None) -> Session:
    """Return a session. Without `open_plan`, an ad hoc session has the placeholders of its unsealed columns."""
    sealed = row["sealed_plan"]
    return with_plan(_session(row), open_plan(sealed)) if sealed and open_plan else _session(row)


def _session(row: Row) -> Session:
    return Session(**_read_columns(row, _SESSION), offer=_offer(row))


def _offer(row: Row) -> Offer | None:
    """Return the offer of a session's row. One of an older version has no end: it ends when its first time begins."""
    times: tuple[Span, ...] = row["options"]
    if not times:
        return None
    return Offer(
        times=times,
        until=row["offered_until"] or min(time.start for time in times),
        purpose=row["offered_for"] or OfferPurpose.DEFERRAL,
        displaces=tuple(tuple(Owner(who) for who in people) for people in row["displaces"] or ()),
    )


#: How long after `earliest` the unsealed `latest` of an ad hoc session lies, which is a placeholder.
AD_HOC_WINDOW = timedelta(days=7)
#: The unsealed `unplaceable` of an ad hoc session for which there is no time.
NO_TIME = (Reason("verbatim", {"words": "No time for it exists just now."}),)


def hidden_plan(session: Session) -> dict[str, Any]:
    """Return the fields of an ad hoc session that are stored sealed: they hint at why it was asked for."""
    return {
        "urgent": session.urgent,
        "latest": convert_to_seconds(session.latest),
        "unplaceable": format_reasons(session.unplaceable) if session.unplaceable else None,
    }


def with_plan(session: Session, plan: Mapping[str, Any]) -> Session:
    """Return the session with the fields that `hidden_plan` returned."""
    if not plan:
        return session
    reasons = parse_reasons(plan["unplaceable"]) if plan["unplaceable"] else None
    return replace(session, urgent=plan["urgent"], latest=convert_to_instant(plan["latest"]), unplaceable=reasons)


def session_row(session: Session, sealed_plan: bytes | None = None) -> dict[str, Any]:
    """Return the columns of a session; for an ad hoc session, placeholders replace the fields that are sealed."""
    row = {**_session_row(session), "sealed_plan": sealed_plan}
    if session.adhoc:
        row["urgent"] = False
        row["latest"] = session.earliest + AD_HOC_WINDOW
        row["unplaceable"] = NO_TIME if session.unplaceable else None
    return row


def _session_row(session: Session) -> dict[str, Any]:
    return {**_read_fields(session, _SESSION), **_offer_row(session.offer), "closed": session.is_closed}


def _offer_row(offer: Offer | None) -> dict[str, Any]:
    displaces = [[who.value for who in people] for people in offer.displaces] if offer else []
    return {
        "options": offer.times if offer else (),
        "offered_until": offer.until if offer else None,
        "offered_for": offer.purpose if offer else None,
        "displaces": displaces or None,
    }


def deferral(row: Row) -> Deferral:
    return Deferral(**_read_columns(row, _DEFERRAL), was=span(row["was_start"], row["was_end"]))


def deferral_row(deferral: Deferral) -> dict[str, Any]:
    was = deferral.was
    return {
        **_read_fields(deferral, _DEFERRAL),
        "was_start": was.start if was else None,
        "was_end": was.end if was else None,
    }


def commitment(row: Row) -> Commitment:
    return Commitment(**_read_columns(row, _COMMITMENT), block=span(row["block_start"], row["block_end"]))


def commitment_row(commitment: Commitment) -> dict[str, Any]:
    block = commitment.block
    return {
        **_read_fields(commitment, _COMMITMENT),
        "block_start": block.start if block else None,
        "block_end": block.end if block else None,
    }


def message(row: Row) -> Effect:
    return Effect(**_read_columns(row, _EFFECT), kind=row["what"], due_at=row["due_at"] or row["snapshot_at"])


def message_row(message: Effect) -> dict[str, Any]:
    return {**_read_fields(message, _EFFECT), "what": message.kind, "due_at": message.due_at, "fields": {}}


def read_placed_event(row: Row) -> PlacedEvent:
    return PlacedEvent(
        key=row["key"],
        ref=EventRef(row["calendar"], row["provider_id"], row["etag"]),
        span=Span(row["start"], row["end"]),
        written=Span(row["written_start"], row["written_end"]),
        sequence=row["sequence"],
        gone=row["gone"],
        answers={who: Answer(answer) for who, answer in row["answers"].items()},
        proposed={who: Span(convert_to_instant(a), convert_to_instant(b)) for who, (a, b) in row["proposed"].items()},
    )


def spans_by(spans: Mapping[str, Span]) -> dict[str, list[int]]:
    """Return spans as they are stored in JSON: pairs of seconds, by name."""
    return {name: [int(one.start.timestamp()), int(one.end.timestamp())] for name, one in spans.items()}
