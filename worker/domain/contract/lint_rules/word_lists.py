"""Word lists: written many to a line, matched as whole words."""

import re
from collections.abc import Sequence


def split_words(*lines: str) -> tuple[str, ...]:
    """Return the words of some lines, separated by `|`."""
    return tuple("|".join(lines).split("|"))


def compile_any_of(words: Sequence[str], suffix: str = "") -> re.Pattern[str]:
    """Return a pattern for any of the words as a whole, then the pattern `suffix`. Hyphens are part of a word.

    Of two words that match at one place, the longer one is found.
    """
    either = "|".join(re.escape(word) for word in sorted(words, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w-]){suffix}")
