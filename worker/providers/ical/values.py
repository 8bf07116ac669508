"""Helpers for the values of iCalendar properties, shared by the modules of this package."""

from datetime import UTC, datetime
from typing import Any

#: The errors that the libraries raise for values that they can't interpret.
PARSE_ERRORS = (ArithmeticError, AttributeError, LookupError, OSError, TypeError, ValueError)


def as_list(value: Any) -> list[Any]:
    """Return the value as a list. The library icalendar returns a property that occurs once as a single value."""
    return value if isinstance(value, list) else [value]


def format_instant(instant: datetime) -> str:
    """Return the instant in the format DATE-TIME of RFC 5545 (3.3.5), in UTC."""
    return f"{instant.astimezone(UTC):%Y%m%dT%H%M%SZ}"
