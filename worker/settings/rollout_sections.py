"""The sections of the settings about who takes part, and how long contents are kept."""

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
    """Return a validator of a list of texts, each parsed; what is listed twice is kept once."""

    def parse(value: object) -> tuple[str, ...]:
        if not isinstance(value, list | tuple) or not all(isinstance(entry, str) and entry.strip() for entry in value):
            raise InvalidValue("This is not a list of texts.", f"Write for example `[{example}]`, or take the key out.")
        return tuple(dict.fromkeys(parse_entry(entry) for entry in value))

    return PlainValidator(parse)


def _parse_start(value: object) -> date:
    """Parse a date of TOML, or one in quotes."""
    if isinstance(value, date) and not isinstance(value, datetime):
        return parse_date(value.isoformat())
    if isinstance(value, str):
        return parse_date(value.strip())
    raise InvalidValue("This is not a date.", "Write it as year-month-day: `2027-02-15`.")


#: How many months each unit has.
_UNIT_MONTHS = {"month": 1, "quarter": 3, "year": 12}
_LENGTH = re.compile(r"(\d{1,3})\s*(month|quarter|year)s?")
#: Contents of a pair that ended are needed for a while: a new manager's first talk builds on them (R-36).
_ALLOWED_MONTHS = range(6, 121)


def _parse_retention(text: str) -> int | None:
    """Parse how long contents are kept, in months; None for `never` erased."""
    normalized = " ".join(text.casefold().split())
    if normalized == "never":
        return None
    match = _LENGTH.fullmatch(normalized)
    if not match:
        raise InvalidValue(
            f"`{shorten_value(text)}` is no length of time.", "Write `8 quarters`, `2 years` or `never`."
        )
    months = int(match[1]) * _UNIT_MONTHS[match[2]]
    if months not in _ALLOWED_MONTHS:
        what = f"`{shorten_value(text)}` is too short or too long."
        raise InvalidValue(what, "Write something from `2 quarters` to `40 quarters`, or `never`.")
    return months


class RetentionSettings(Section):
    """`contents_after`: so many months after a pair has ended, what the two wrote is erased; None for never."""

    contents_after: Annotated[int | None, validate_text(_parse_retention)] = None


_Addresses = Annotated[tuple[Address, ...] | None, _validate_list(parse_address, '"dana@example.com"')]


class RolloutSettings(Section):
    """The pairs that take part, by any of three lists, and the first day. Without a list: everybody."""

    groups: Annotated[tuple[str, ...] | None, _validate_list(parse_group, '"Sales"')] = None
    managers: _Addresses = None
    addresses: _Addresses = None
    start: Annotated[date | None, PlainValidator(_parse_start)] = None

    def build_rollout(self) -> Rollout:
        """Return the rollout that these settings describe."""
        values: dict[str, Any] = {name: getattr(self, name) for name in type(self).model_fields}
        return Rollout(**values)
