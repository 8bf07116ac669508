"""Helpers for word lists, which are written with many words on a line and matched as whole words."""

import re
from collections.abc import Sequence


def split_words(*lines: str) -> tuple[str, ...]:
    """Return the words of these lines. Words are separated by `|`; a word may be a phrase."""
    return tuple("|".join(lines).split("|"))


def compile_any_of(words: Sequence[str], suffix: str = "") -> re.Pattern[str]:
    """Return a pattern that matches any of the words as a whole word, followed by the pattern `suffix`.

    Hyphens count as part of a word. When two words match at the same place, the longer one is found.
    """
    either = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w-]){suffix}")
