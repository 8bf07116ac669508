"""Writes values as TOML: what settings and answers are made of."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any


def render_tables(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the lines of a table: its own keys, then the tables in it."""
    own = {key: value for key, value in values.items() if not isinstance(value, dict)}
    if path and own:
        yield f"[{'.'.join(path)}]"
    yield from (f"{key} = {render_value(value)}" for key, value in own.items())
    if own:
        yield ""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from render_tables(value, (*path, key))


def render_value(value: Any) -> str:
    """Return a text, number, truth value, day or list of texts as TOML writes it."""
    if isinstance(value, date):
        return value.isoformat()
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")  # the one that JSON leaves as it is
