"""The sections of the settings about the rollout (which pairs take part) and about retention of contents."""

import re
from collections.abc import Callable
from datetime import date, datetime
from typing import Annotated, Any

from pydantic import PlainValidator

from worker.domain.model import Address
from worker.domain.rollout import Rollout
from worker.settings.parsers import InvalidValue, parse_address, parse_date, parse_group, shorten_value
from worker.settings.sections import Section, validate_text


def _validate_list(parse_entry: Callable[[str], str], example: str) -> PlainValidator:
    """Return a validator of a list of texts, which parses each of them and removes repetitions."""

    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(entry, str) and entry.strip() for entry in value):
            raise InvalidValue("This is not a list of texts.", f"Write for example `[{example}]`, or remove the key.")
        return tuple(dict.fromkeys(parse_entry(entry) for entry in value))

    return PlainValidator(parse)


def _parse_start(value: object) -> date:
    """Return the date in a TOML date or in a text."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return parse_date(value.isoformat())
    if isinstance(value, str):
        return parse_date(value.strip())
    raise InvalidValue("This is not a date.", "Write it as year-month-day: `2027-02-15`.")


#: The number of months in each unit.
_UNIT_MONTHS = {"month": 1, "quarter": 3, "year": 12}
#: Matches a length of time, such as `8 quarters` or `2 years`.
_LENGTH = re.compile(r"(\d{1,3})\s*(month|quarter|year)s?")
#: The allowed retention, in months. Contents of a pair that has ended are needed for some time, because the first
#: session of the next manager continues from them (R-36).
_ALLOWED_MONTHS = range(6, 121)


def _parse_retention(text: str) -> int | None:
    """Return how long contents are kept, in months; None when they are never erased."""
    normalized = " ".join(text.casefold().split())
    if normalized == "never":
        return None
    match = _LENGTH.fullmatch(normalized)
    if not match:
        raise InvalidValue(
            f"`{shorten_value(text)}` is not a length of time.", "Write `8 quarters`, `2 years` or `never`."
        )
    months = int(match[1]) * _UNIT_MONTHS[match[2]]
    if months not in _ALLOWED_MONTHS:
        what = f"`{shorten_value(text)}` is too short or too long."
        raise InvalidValue(what, "Write a length of time from `2 quarters` to `40 quarters`, or `never`.")
    return months


class RetentionSettings(Section):
    """When contents are erased.

    `contents_after` is the number of months between the end of a pair and the erasure of what the two wrote; None when
    it is never erased.
    """

    contents_after: Annotated[int | None, validate_text(_parse_retention)] = None


_Addresses = Annotated[tuple[Address, ...] | None, _validate_list(parse_address, '"dana@example.com"')]


class RolloutSettings(Section):
    """Which pairs take part, and from which day.

    A pair takes part when one of the three lists names it. Without any list, all pairs take part.
    """

    groups: Annotated[tuple[str, ...] | None, _validate_list(parse_group, '"Sales"')] = None
    managers: _Addresses = None
    addresses: _Addresses = None
    start: Annotated[date | None, PlainValidator(_parse_start)] = None

    def build_rollout(self) -> Rollout:
        """Return the rollout that these settings describe."""
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return Rollout(**values)
