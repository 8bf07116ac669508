"""Word lists as data: written many to a line, and matched as whole words."""

import re
from collections.abc import Sequence


def split_words(*lines: str) -> tuple[str, ...]:
    """The words of some lines, separated by `|`."""
    return tuple("|".join(lines).split("|"))


def compile_any_of(listed: Sequence[str], after: str = "") -> re.Pattern[str]:
    """Any of these words, whole; hyphens count as part of a word. Of two that fit, the longer one is found."""
    either = "|".join(re.escape(word) for word in sorted(listed, key=len, reverse=True))
    return re.compile(rf"(?<![\w-])(?:{either})(?![\w-]){after}")
