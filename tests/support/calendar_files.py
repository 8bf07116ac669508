"""Reads calendar files strictly, with another library than the one that wrote them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import vobject  # type: ignore[import-untyped]  # it has no types


def read_events(file: Path) -> Iterator[Any]:
    """Yield the events of a file. Raises an error when the file is not valid."""
    (calendar,) = vobject.readComponents(file.read_text(encoding="utf-8"), ignoreUnreadable=False)
    calendar.validate(raiseException=True)
    yield from calendar.vevent_list
