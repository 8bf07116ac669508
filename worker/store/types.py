"""How values stand in columns: each type turns a value into what the database keeps, and back."""

from collections.abc import Callable
from functools import lru_cache

from sqlalchemy import Dialect, String
from sqlalchemy.types import TypeDecorator

from worker.domain.model import PairId


class PairIdType(TypeDecorator[PairId]):
    """The id of a pair, stored as its text; None, for what concerns no pair, is stored as an empty text."""

    impl = String
    cache_ok = True

    # the two processors themselves, and not the methods they are usually made of: a sweep reads many rows

    def bind_processor(self, dialect: Dialect) -> Callable[[PairId | None], str]:
        return _pair_text

    def result_processor(self, dialect: Dialect, coltype: object) -> Callable[[str | None], PairId | None]:
        return _pair_id


def _pair_text(value: PairId | None) -> str:
    return "" if value is None else str(value)


@lru_cache(maxsize=16384)  # the same few come back all day
def _pair_id(text: str | None) -> PairId | None:
    return PairId.parse(text) if text else None
