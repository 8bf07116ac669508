"""Column types: each converts a value of the domain to what the database stores, and back.

Some types have many values in the rows that a sweep reads. They override `bind_processor` and `result_processor`,
which are faster than the processors that SQLAlchemy derives from `process_bind_param` and `process_result_value`.
"""

import json
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from enum import StrEnum
from functools import lru_cache
from typing import Any, TypeVar, cast

from sqlalchemy import JSON, BigInteger, Dialect, String
from sqlalchemy.types import TypeDecorator

from worker.domain.model import IntendedTime, Owner, PairId, Reason, Reasons, ReasonValue, ShowAs, Span

EnumT = TypeVar("EnumT", bound=StrEnum)
ValueT = TypeVar("ValueT")


class PairIdType(TypeDecorator[PairId]):
    """The id of a pair, stored as text. None, in a row that concerns no pair, is stored as an empty text."""

    impl = String
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[PairId | None], str]:
        return _format_pair_id

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], PairId | None]:
        return _parse_pair_id


def _format_pair_id(value: PairId | None) -> str:
    return "" if value is None else str(value)


@lru_cache(maxsize=16384)  # many rows have the same pair
def _parse_pair_id(text: str | None) -> PairId | None:
    return PairId.parse(text) if text else None


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as whole seconds since 1970 in UTC."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        return _convert_instant_or_none

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        return _convert_seconds_or_none


def _convert_instant_or_none(value: datetime | None) -> int | None:
    return None if value is None else int(value.timestamp())


@lru_cache(maxsize=16384)  # many rows have the same instant
def _convert_seconds_or_none(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value, UTC)


class EnumType(TypeDecorator[EnumT]):
    """A member of a string enumeration, stored as its value. Raises ValueError for any other text."""

    impl = String
    cache_ok = True

    def __init__(self, enumeration: type[EnumT]) -> None:
        super().__init__()
        self.enumeration = enumeration

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        """Return a converter that accepts members and their values, since a member equals its value."""
        texts: dict[str | None, str | None] = {member.value: str(member.value) for member in self.enumeration}
        return self._make_lookup({None: None, **texts})

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], EnumT | None]:
        members: dict[str | None, EnumT | None] = {str(member.value): member for member in self.enumeration}
        return self._make_lookup({None: None, **members})

    def _make_lookup(self, mapping: dict[str | None, ValueT]) -> Callable[[str | None], ValueT]:
        """Return a function that looks values up in a mapping, which is much faster than calling the enumeration."""

        def look_up(value: str | None) -> ValueT:
            try:
                return mapping[value]
            except KeyError:
                raise ValueError(f"{value!r} is not a value of {self.enumeration.__name__}.") from None

        return look_up


class ReasonsType(TypeDecorator[Reasons]):
    """Reasons, stored as JSON text. No reasons are stored as NULL, and read as None."""

    impl = String
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Reasons | None], str | None]:
        return lambda reasons: format_reasons(reasons) if reasons else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Reasons | None]:
        return lambda text: parse_reasons(text) if text else None


class SpansType(TypeDecorator[Sequence[Span]]):
    """A sequence of spans, stored as a JSON list of pairs of seconds since 1970, and read as a tuple."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Sequence[Span] | None, dialect: Dialect) -> list[list[int]]:
        return [[convert_to_seconds(span.start), convert_to_seconds(span.end)] for span in value or ()]

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Span, ...]:
        return tuple(Span(convert_to_instant(start), convert_to_instant(end)) for start, end in value or ())


class IntendedTimesType(TypeDecorator[Sequence[IntendedTime]]):
    """A sequence of intended times, stored as a JSON list and read as a tuple.

    Each item of the list is a list: the owner of the calendar, how the time is shown in free/busy, and the start and
    the end in seconds since 1970. None means that the calendars were not read yet, and is stored as NULL.
    """

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Sequence[IntendedTime] | None, dialect: Dialect) -> list[list[Any]] | None:
        if value is None:
            return None
        return [
            [
                intended.person.value,
                intended.show_as.value,
                convert_to_seconds(intended.span.start),
                convert_to_seconds(intended.span.end),
            ]
            for intended in value
        ]

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[IntendedTime, ...] | None:
        if value is None:
            return None
        return tuple(
            IntendedTime(Owner(person), Span(convert_to_instant(start), convert_to_instant(end)), ShowAs(show_as))
            for person, show_as, start, end in value
        )


# --- values inside JSON ---


def convert_to_seconds(value: datetime) -> int:
    """Return an instant in the form that JSON columns use: seconds since 1970."""
    return int(value.timestamp())


def convert_to_instant(seconds: int) -> datetime:
    """Return the instant, in UTC, that is this number of seconds after the start of 1970."""
    return datetime.fromtimestamp(seconds, UTC)


def format_reasons(reasons: Reasons) -> str:
    """Return reasons as JSON text: for each reason its code and its values.

    Among the values, a day becomes `{"day": …}` and an instant becomes `{"at": …}`.
    """
    return json.dumps(
        [
            [reason.code, {name: _encode_reason_value(value) for name, value in reason.values.items()}]
            for reason in reasons
        ]
    )


def parse_reasons(text: str) -> Reasons:
    """Return the reasons in a text that `format_reasons` wrote. An older version stored a plain sentence instead."""
    if not text.startswith("["):
        return (Reason("verbatim", {"words": text}),)
    return tuple(
        Reason(code, {name: _decode_reason_value(value) for name, value in values.items()})
        for code, values in json.loads(text)
    )


def _encode_reason_value(value: ReasonValue) -> Any:
    if isinstance(value, datetime):
        return {"at": convert_to_seconds(value)}
    return {"day": value.isoformat()} if isinstance(value, date) else value


def _decode_reason_value(value: Any) -> ReasonValue:
    if not isinstance(value, dict):
        return cast(ReasonValue, value)
    return convert_to_instant(value["at"]) if "at" in value else date.fromisoformat(value["day"])
