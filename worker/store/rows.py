"""Converts rows of the database to domain objects, and domain objects to rows.

Most columns have the name of a field of the domain object, and the column's type converts the value. The functions here
convert the other fields.
"""

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

#: The columns that `read_effect` reads. The other columns of the outbox are for its own queries.
EFFECT_COLUMNS = tuple(
    tables.outbox.c[name]
    for name in (
        "key",
        "what",
        "name",
        "pair",
        "subject",
        "calendar",
        "event",
        "to",
        "number",
        "start",
        "progress",
        "due_at",
        "snapshot_at",
        "attempts",
        "quiet",
        "counts",
    )
)


def _list_field_names(model: type, *, without: Sequence[str]) -> tuple[str, ...]:
    """Return the names of a dataclass's fields, except for those in `without`, which need a conversion here."""
    return tuple(field.name for field in fields(model) if field.name not in without)


# for each model, the fields that have a column of the same name
_PERSON_FIELDS = _list_field_names(Person, without=["hours", "absences"])
_PAIR_FIELDS = _list_field_names(Pair, without=["every", "preference", "paused", "is_paused_by_operator"])
_SESSION_FIELDS = _list_field_names(Session, without=["offer"])
_DEFERRAL_FIELDS = _list_field_names(Deferral, without=["was"])
_COMMITMENT_FIELDS = _list_field_names(Commitment, without=["block"])
_EFFECT_FIELDS = _list_field_names(Effect, without=["kind", "due_at", "decided_at", "is_limited"])


def _read_columns(row: Row, names: Sequence[str]) -> dict[str, Any]:
    return {name: row[name] for name in names}


def _read_fields(instance: object, names: Sequence[str]) -> dict[str, Any]:
    return {name: getattr(instance, name) for name in names}


def _make_span(start: datetime | None, end: datetime | None) -> Span | None:
    return None if start is None or end is None else Span(start, end)


_parse_hours = lru_cache(1024)(parse_hours)  # most people have the same hours


def read_person(row: Row) -> Person:
    """Return the person that a row of the table `person` describes."""
    return Person(**_read_columns(row, _PERSON_FIELDS), hours=_parse_hours(row["hours"]), absences=tuple(row["away"]))


def build_person_row(person: Person) -> dict[str, Any]:
    """Return the columns of a person that come from the roster."""
    return {**_read_fields(person, _PERSON_FIELDS), "hours": format_hours(person.hours)}


def read_pair(row: Row) -> Pair:
    """Return the pair that a row of the table `pair` describes.

    The settings that the two people chose on their pages replace those of the roster. The pair is paused when either
    the roster or the operator pauses it.
    """
    pair = read_roster_pair(row)
    if row["rests"]:
        pair = replace(pair, paused=True)
    return _apply_choices(pair, row["chosen"]) if row["chosen"] else pair


def read_roster_pair(row: Row) -> Pair:
    """Return the pair with the settings and the pause of the roster, without the choices of its two people."""
    return Pair(
        **_read_columns(row, _PAIR_FIELDS),
        every=Interval(row["weeks"], row["months"]),
        preference=Preference(weekday=row["weekday"], minute=row["minute"]),
        paused=row["paused"],
        is_paused_by_operator=row["rests"],
    )


def _apply_choices(pair: Pair, choices: Mapping[str, Any]) -> Pair:
    """Return the pair with the settings that its two people chose, which have precedence over the roster."""
    transition_until = choices.get("transition_until", pair.transition_until)
    if isinstance(transition_until, str):
        transition_until = date.fromisoformat(transition_until)
    return replace(
        pair,
        format=Format(choices.get("format", pair.format)),
        trust=choices.get("trust", pair.trust),
        transition_until=transition_until,
    )


def build_pair_row(pair: Pair) -> dict[str, Any]:
    """Return the columns of a pair that come from the roster."""
    row = {
        "id": pair.id,
        **_read_fields(pair, _PAIR_FIELDS),
        "weeks": pair.every.weeks,
        "months": pair.every.months,
        "weekday": pair.preference.weekday,
        "minute": pair.preference.minute,
        "paused": pair.paused,
    }
    for name in ("first_seen", "participation", "erased_at"):  # these columns do not come from the roster
        del row[name]
    return row


def read_session(row: Row, open_ad_hoc_fields: Callable[[bytes], Mapping[str, Any]] | None = None) -> Session:
    """Return the session that a row of the table `session` describes.

    Some fields of an ad hoc session are sealed in the column `sealed_plan`. `open_ad_hoc_fields` opens that column.
    Without it, these fields have placeholders as values.
    """
    session = Session(**_read_columns(row, _SESSION_FIELDS), offer=_read_offer(row))
    sealed_fields = row["sealed_plan"]
    if not sealed_fields or not open_ad_hoc_fields:
        return session
    return apply_ad_hoc_fields(session, open_ad_hoc_fields(sealed_fields))


def _read_offer(row: Row) -> Offer | None:
    """Return the offer in a session's row; None when there is none.

    An older version of Longarc stored neither the end nor the purpose of an offer. Such an offer ends when the first of
    its times begins, and counts as one for a deferral.
    """
    times: tuple[Span, ...] = row["options"]
    if not times:
        return None
    return Offer(
        times=times,
        until=row["offered_until"] or min(time.start for time in times),
        purpose=row["offered_for"] or OfferPurpose.DEFERRAL,
        displaces=tuple(tuple(Owner(owner) for owner in owners) for owners in row["displaces"] or ()),
    )


#: The placeholder in the column `latest` of an ad hoc session is `earliest` plus this time.
PLACEHOLDER_WINDOW = timedelta(days=7)
#: The placeholder in the column `unplaceable` of an ad hoc session for which no time exists.
PLACEHOLDER_REASONS = (Reason("verbatim", {"words": "No time for it exists just now."}),)


def dump_ad_hoc_fields(session: Session) -> dict[str, Any]:
    """Return the fields of an ad hoc session that are stored sealed, because they hint at why it was requested."""
    return {
        "urgent": session.urgent,
        "latest": convert_to_seconds(session.latest),
        "unplaceable": format_reasons(session.unplaceable) if session.unplaceable else None,
    }


def apply_ad_hoc_fields(session: Session, opened: Mapping[str, Any]) -> Session:
    """Return the session with the values that `dump_ad_hoc_fields` returned; unchanged when `opened` is empty."""
    if not opened:
        return session
    reasons = parse_reasons(opened["unplaceable"]) if opened["unplaceable"] else None
    return replace(session, urgent=opened["urgent"], latest=convert_to_instant(opened["latest"]), unplaceable=reasons)


def build_session_row(session: Session, sealed_ad_hoc_fields: bytes | None = None) -> dict[str, Any]:
    """Return the columns of a session.

    The sealed fields of an ad hoc session have placeholders in the columns of their own.
    """
    row = {
        **_read_fields(session, _SESSION_FIELDS),
        **_build_offer_columns(session.offer),
        "closed": session.is_closed,
        "sealed_plan": sealed_ad_hoc_fields,
    }
    if session.adhoc:
        row["urgent"] = False
        row["latest"] = session.earliest + PLACEHOLDER_WINDOW
        row["unplaceable"] = PLACEHOLDER_REASONS if session.unplaceable else None
    return row


def _build_offer_columns(offer: Offer | None) -> dict[str, Any]:
    if offer is None:
        return {"options": (), "offered_until": None, "offered_for": None, "displaces": None}
    displaces = [[owner.value for owner in owners] for owners in offer.displaces]
    return {
        "options": offer.times,
        "offered_until": offer.until,
        "offered_for": offer.purpose,
        "displaces": displaces or None,
    }


def read_deferral(row: Row) -> Deferral:
    """Return the deferral that a row of the table `deferral` describes."""
    return Deferral(**_read_columns(row, _DEFERRAL_FIELDS), was=_make_span(row["was_start"], row["was_end"]))


def build_deferral_row(deferral: Deferral) -> dict[str, Any]:
    """Return the columns of a deferral."""
    lost_time = deferral.was
    return {
        **_read_fields(deferral, _DEFERRAL_FIELDS),
        "was_start": lost_time.start if lost_time else None,
        "was_end": lost_time.end if lost_time else None,
    }


def read_commitment(row: Row) -> Commitment:
    """Return the commitment that a row of the table `commitment` describes, without its sealed text."""
    return Commitment(**_read_columns(row, _COMMITMENT_FIELDS), block=_make_span(row["block_start"], row["block_end"]))


def build_commitment_row(commitment: Commitment) -> dict[str, Any]:
    """Return the columns of a commitment, without its sealed text."""
    block = commitment.block
    return {
        **_read_fields(commitment, _COMMITMENT_FIELDS),
        "block_start": block.start if block else None,
        "block_end": block.end if block else None,
    }


def read_effect(row: Row) -> Effect:
    """Return the effect that a row of the outbox describes.

    An effect whose progress is final has no `due_at` in its row, and gets `decided_at` in its place.
    """
    return Effect(
        **_read_columns(row, _EFFECT_FIELDS),
        kind=row["what"],
        due_at=row["due_at"] or row["snapshot_at"],
        decided_at=row["snapshot_at"],
        is_limited=row["counts"],
    )


def build_effect_row(effect: Effect) -> dict[str, Any]:
    """Return the columns of an effect in the outbox.

    The column `fields` holds the text of an alert. Here it is empty, and the code that adds an alert fills it.
    """
    return {
        **_read_fields(effect, _EFFECT_FIELDS),
        "what": effect.kind,
        "due_at": effect.due_at,
        "snapshot_at": effect.decided_at,
        "counts": effect.is_limited,
        "fields": {},
    }


def read_placed_event(row: Row) -> PlacedEvent:
    """Return the event of ours that a row of the table `event` describes."""
    return PlacedEvent(
        key=row["key"],
        ref=EventRef(row["calendar"], row["provider_id"], row["etag"]),
        span=Span(row["start"], row["end"]),
        written_span=Span(row["written_start"], row["written_end"]),
        sequence=row["sequence"],
        is_gone=row["gone"],
        answers={address: Answer(answer) for address, answer in row["answers"].items()},
        proposed={
            address: Span(convert_to_instant(start), convert_to_instant(end))
            for address, (start, end) in row["proposed"].items()
        },
    )


def dump_spans(spans: Mapping[str, Span]) -> dict[str, list[int]]:
    """Return a mapping of spans in the form that JSON columns use: each span is a pair of seconds since 1970."""
    return {name: [convert_to_seconds(span.start), convert_to_seconds(span.end)] for name, span in spans.items()}
