"""Formats counts with their nouns, for texts in English that are not translated: logs, alerts, checks and commands."""


def format_count(number: int, singular: str, plural: str = "") -> str:
    """Return the number with its noun: `1 pair`, `2 pairs`. The plural ends in s unless `plural` is given."""
    return f"{number:,} {singular if number == 1 else plural or singular + 's'}"
