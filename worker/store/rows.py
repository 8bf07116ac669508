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

_m = tables.outbox.c
#: The columns that `read_effect` reads. Only the outbox reads the others.
EFFECT_COLUMNS = (
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
    """Return the fields that have a column of the same name: all but those in `converted`."""
    return tuple(field.name for field in fields(kind) if field.name not in converted)


_PERSON = _get_columns(Person, "hours", "away")
_PAIR = _get_columns(Pair, "every", "preference", "paused", "is_paused_by_operator")
_SESSION = _get_columns(Session, "offer")
_DEFERRAL = _get_columns(Deferral, "was")
_COMMITMENT = _get_columns(Commitment, "block")
_EFFECT = _get_columns(Effect, "kind", "due_at")


def _read_columns(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _read_fields(value: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(value, name) for name in names}


def _make_span(start: datetime | None, end: datetime | None) -> Span | None:
    return None if start is None or end is None else Span(start, end)


_parse_hours = lru_cache(1024)(parse_hours)  # most people have the same hours


def read_person(row: Row) -> Person:
    """Return the person of a row of `person`."""
    return Person(**_read_columns(row, _PERSON), hours=_parse_hours(row["hours"]), away=tuple(row["away"]))


def build_person_row(person: Person) -> dict[str, Any]:
    """Return the columns of a person that come from the roster."""
    return {**_read_fields(person, _PERSON), "hours": format_hours(person.hours)}


def read_pair(row: Row) -> Pair:
    """Return the pair of a row of `pair`, with the choices of the two and a pause by the operator."""
    pair = read_listed_pair(row)
    if row["rests"]:
        pair = replace(pair, paused=True)
    return _apply_choices(pair, row["chosen"]) if row["chosen"] else pair


def read_listed_pair(row: Row) -> Pair:
    """Return the pair as the roster has it, without the choices of the two and without a pause by the operator."""
    return Pair(
        **_read_columns(row, _PAIR),
        every=Interval(row["weeks"], row["months"]),
        preference=Preference(weekday=row["weekday"], minute=row["minute"]),
        paused=row["paused"],
        is_paused_by_operator=row["rests"],
    )


def _apply_choices(listed: Pair, choices: Mapping[str, Any]) -> Pair:
    """Return the pair with the choices of the two, which have precedence over the roster."""
    until = choices.get("transition_until", listed.transition_until)
    return replace(
        listed,
        format=Format(choices.get("format", listed.format)),
        trust=choices.get("trust", listed.trust),
        transition_until=date.fromisoformat(until) if isinstance(until, str) else until,
    )


def build_pair_row(pair: Pair) -> dict[str, Any]:
    """Return the columns of a pair that come from the roster: all but its participation and what happened to it."""
    row = {
        "id": pair.id,
        **_read_fields(pair, _PAIR),
        "weeks": pair.every.weeks,
        "months": pair.every.months,
        "weekday": pair.preference.weekday,
        "minute": pair.preference.minute,
        "paused": pair.paused,
    }
    for name in ("first_seen", "participation", "erased_at"):
        del row[name]
    return row


def read_session(row: Row, open_plan: Callable[[bytes], Mapping[str, Any]] | None = None) -> Session:
    """Return the session of a row of `session`.

    Some fields of an ad hoc session are in `sealed_plan`, which `open_plan` opens. Without it they have the values of
    the unsealed columns, which are placeholders.
    """
    session = Session(**_read_columns(row, _SESSION), offer=_read_offer(row))
    sealed = row["sealed_plan"]
    return apply_sealed_plan(session, open_plan(sealed)) if sealed and open_plan else session


def _read_offer(row: Row) -> Offer | None:
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


#: The placeholder in the column `latest` of an ad hoc session is this long after `earliest`.
AD_HOC_WINDOW = timedelta(days=7)
#: The placeholder in the column `unplaceable` of an ad hoc session for which no time exists.
PLACEHOLDER_REASONS = (Reason("verbatim", {"words": "No time for it exists just now."}),)


def dump_sealed_plan(session: Session) -> dict[str, Any]:
    """Return the fields of an ad hoc session that are stored sealed: they hint at why it was asked for."""
    return {
        "urgent": session.urgent,
        "latest": convert_to_seconds(session.latest),
        "unplaceable": format_reasons(session.unplaceable) if session.unplaceable else None,
    }


def apply_sealed_plan(session: Session, plan: Mapping[str, Any]) -> Session:
    """Return the session with the fields that `dump_sealed_plan` returned."""
    if not plan:
        return session
    reasons = parse_reasons(plan["unplaceable"]) if plan["unplaceable"] else None
    return replace(session, urgent=plan["urgent"], latest=convert_to_instant(plan["latest"]), unplaceable=reasons)


def build_session_row(session: Session, sealed_plan: bytes | None = None) -> dict[str, Any]:
    """Return the columns of a session; for an ad hoc session, placeholders replace the fields that are sealed."""
    row = {
        **_read_fields(session, _SESSION),
        **_build_offer_columns(session.offer),
        "closed": session.is_closed,
        "sealed_plan": sealed_plan,
    }
    if session.adhoc:
        row["urgent"] = False
        row["latest"] = session.earliest + AD_HOC_WINDOW
        row["unplaceable"] = PLACEHOLDER_REASONS if session.unplaceable else None
    return row


def _build_offer_columns(offer: Offer | None) -> dict[str, Any]:
    displaces = [[who.value for who in people] for people in offer.displaces] if offer else []
    return {
        "options": offer.times if offer else (),
        "offered_until": offer.until if offer else None,
        "offered_for": offer.purpose if offer else None,
        "displaces": displaces or None,
    }


def read_deferral(row: Row) -> Deferral:
    """Return the deferral of a row of `deferral`."""
    return Deferral(**_read_columns(row, _DEFERRAL), was=_make_span(row["was_start"], row["was_end"]))


def build_deferral_row(deferral: Deferral) -> dict[str, Any]:
    """Return the columns of a deferral."""
    lost_time = deferral.was
    return {
        **_read_fields(deferral, _DEFERRAL),
        "was_start": lost_time.start if lost_time else None,
        "was_end": lost_time.end if lost_time else None,
    }


def read_commitment(row: Row) -> Commitment:
    """Return the commitment of a row of `commitment`, without its sealed text."""
    return Commitment(**_read_columns(row, _COMMITMENT), block=_make_span(row["block_start"], row["block_end"]))


def build_commitment_row(commitment: Commitment) -> dict[str, Any]:
    """Return the columns of a commitment, without its sealed text."""
    block = commitment.block
    return {
        **_read_fields(commitment, _COMMITMENT),
        "block_start": block.start if block else None,
        "block_end": block.end if block else None,
    }


def read_effect(row: Row) -> Effect:
    """Return the effect of a row of `message`."""
    return Effect(**_read_columns(row, _EFFECT), kind=row["what"], due_at=row["due_at"] or row["snapshot_at"])


def build_effect_row(effect: Effect) -> dict[str, Any]:
    """Return the columns of an effect in the table `message`."""
    return {**_read_fields(effect, _EFFECT), "what": effect.kind, "due_at": effect.due_at, "fields": {}}


def read_placed_event(row: Row) -> PlacedEvent:
    """Return the event of ours of a row of `event`."""
    return PlacedEvent(
        key=row["key"],
        ref=EventRef(row["calendar"], row["provider_id"], row["etag"]),
        span=Span(row["start"], row["end"]),
        written=Span(row["written_start"], row["written_end"]),
        sequence=row["sequence"],
        gone=row["gone"],
        answers={who: Answer(answer) for who, answer in row["answers"].items()},
        proposed={
            who: Span(convert_to_instant(start), convert_to_instant(end))
            for who, (start, end) in row["proposed"].items()
        },
    )


def dump_spans(spans: Mapping[str, Span]) -> dict[str, list[int]]:
    """Return spans as they are stored in JSON: pairs of seconds since 1970, by name."""
    return {name: [convert_to_seconds(span.start), convert_to_seconds(span.end)] for name, span in spans.items()}
