"""Column types: each converts a value to what the database stores, and back.

Types of which a sweep reads many values define `bind_processor` and `result_processor` themselves. They are faster than
those that SQLAlchemy derives from `process_bind_param` and `process_result_value`.
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

E = TypeVar("E", bound=StrEnum)
V = TypeVar("V")


class PairIdType(TypeDecorator[PairId]):
    """The id of a pair, stored as its text; None, for what concerns no pair, is stored as an empty text."""

    impl = String
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[PairId | None], str]:
        return _format_pair_id

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], PairId | None]:
        return _parse_pair_id


def _format_pair_id(value: PairId | None) -> str:
    return "" if value is None else str(value)


@lru_cache(maxsize=16384)  # rows repeat the same values
def _parse_pair_id(text: str | None) -> PairId | None:
    return PairId.parse(text) if text else None


class Instant(TypeDecorator[datetime]):
    """An aware datetime, stored as whole seconds since 1970 in UTC."""

    impl = BigInteger
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[datetime | None], int | None]:
        return _convert_to_seconds

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[int | None], datetime | None]:
        return _convert_to_instant


def _convert_to_seconds(value: datetime | None) -> int | None:
    return None if value is None else int(value.timestamp())


@lru_cache(maxsize=16384)  # rows repeat the same values
def _convert_to_instant(value: int | None) -> datetime | None:
    return None if value is None else datetime.fromtimestamp(value, UTC)


class EnumType(TypeDecorator[E]):
    """A member of a string enumeration, stored as its value. Raises ValueError for a text that is no member's value."""

    impl = String
    cache_ok = True

    def __init__(self, members: type[E]) -> None:
        super().__init__()
        self.members = members

    def bind_processor(self, dialect: Dialect) -> Callable[[str | None], str | None]:
        """Return a converter of members, or of their values, which are equal to them."""
        texts: dict[str | None, str | None] = {member.value: str(member.value) for member in self.members}
        return self._make_lookup({None: None, **texts})

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], E | None]:
        members: dict[str | None, E | None] = {str(member.value): member for member in self.members}
        return self._make_lookup({None: None, **members})

    def _make_lookup(self, table: dict[str | None, V]) -> Callable[[str | None], V]:
        """Return a function that looks values up in a table, which is much faster than calling the enumeration."""

        def look_up(value: str | None) -> V:
            try:
                return table[value]
            except KeyError:
                raise ValueError(f"{value!r} is none of {self.members.__name__}'s values.") from None

        return look_up


class ReasonsType(TypeDecorator[Reasons]):
    """Reasons, stored as JSON text; None when there are none."""

    impl = String
    cache_ok = True

    def bind_processor(self, dialect: Dialect) -> Callable[[Reasons | None], str | None]:
        return lambda reasons: format_reasons(reasons) if reasons else None

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], Reasons | None]:
        return lambda text: parse_reasons(text) if text else None


class SpansType(TypeDecorator[Sequence[Span]]):
    """Spans in order, stored as a JSON list of pairs of seconds since 1970. Read as a tuple."""

    impl = JSON
    cache_ok = True

    def process_bind_param(self, value: Sequence[Span] | None, dialect: Dialect) -> list[list[int]]:
        return [[convert_to_seconds(span.start), convert_to_seconds(span.end)] for span in value or ()]

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[Span, ...]:
        return tuple(Span(convert_to_instant(start), convert_to_instant(end)) for start, end in value or ())


class IntendedTimesType(TypeDecorator[Sequence[IntendedTime]]):
    """Intended times in order, stored as a JSON list of lists: whose, how they show, and two seconds since 1970.

    Read as a tuple; None, for times that nobody has read yet, stays None.
    """

    impl = JSON(none_as_null=True)
    cache_ok = True

    def process_bind_param(self, value: Sequence[IntendedTime] | None, dialect: Dialect) -> list[list[Any]] | None:
        if value is None:
            return None
        return [
            [
                time.person.value,
                time.show_as.value,
                convert_to_seconds(time.span.start),
                convert_to_seconds(time.span.end),
            ]
            for time in value
        ]

    def process_result_value(self, value: Any, dialect: Dialect) -> tuple[IntendedTime, ...] | None:
        if value is None:
            return None
        return tuple(
            IntendedTime(Owner(person), Span(convert_to_instant(start), convert_to_instant(end)), ShowAs(show))
            for person, show, start, end in value
        )


# --- values inside JSON ---


def convert_to_seconds(value: datetime) -> int:
    """Return an instant as it is stored inside JSON: seconds since 1970."""
    return int(value.timestamp())


def convert_to_instant(seconds: int) -> datetime:
    """Return the instant of a number of seconds since 1970, in UTC."""
    return datetime.fromtimestamp(seconds, UTC)


def format_reasons(reasons: Reasons) -> str:
    """Return reasons as JSON: code and values, a day as `{"day": …}` and an instant as `{"at": …}`."""
    return json.dumps(
        [[reason.code, {name: _encode(value) for name, value in reason.values.items()}] for reason in reasons]
    )


def parse_reasons(text: str) -> Reasons:
    """Return the reasons in a text that `format_reasons` returned, or that is a plain sentence of an older version."""
    if not text.startswith("["):
        return (Reason("verbatim", {"words": text}),)
    return tuple(
        Reason(code, {name: _decode(value) for name, value in values.items()}) for code, values in json.loads(text)
    )


def _encode(value: ReasonValue) -> Any:
    if isinstance(value, datetime):
        return {"at": convert_to_seconds(value)}
    return {"day": value.isoformat()} if isinstance(value, date) else value


def _decode(value: Any) -> ReasonValue:
    if not isinstance(value, dict):
        return cast(ReasonValue, value)
    return convert_to_instant(value["at"]) if "at" in value else date.fromisoformat(value["day"])
