"""Writes settings and answers as TOML."""

import json
from collections.abc import Iterator, Mapping
from datetime import date
from typing import Any


def render_tables(values: Mapping[str, Any], path: tuple[str, ...] = ()) -> Iterator[str]:
    """Yield the lines of a table: its own keys, then the tables in it. `path`: the keys that lead to the table."""
    plain_values = {key: value for key, value in values.items() if not isinstance(value, dict)}
    if path and plain_values:
        yield f"[{'.'.join(path)}]"
    yield from (f"{key} = {render_value(value)}" for key, value in plain_values.items())
    if plain_values:
        yield ""
    for key, value in values.items():
        if isinstance(value, dict):
            yield from render_tables(value, (*path, key))


def render_value(value: Any) -> str:
    """Return a text, number, boolean, date or list of texts in the notation of TOML."""
    if isinstance(value, date):
        return value.isoformat()
    # DEL is the only character that JSON leaves as it is, and that TOML requires to be escaped.
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
