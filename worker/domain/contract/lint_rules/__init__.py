"""What can be heard in a promise, by language: each module knows the words of one.

The lists are data and deliberately short: a question that makes no sense costs more trust than one not asked. In
doubt nothing is heard.
"""

from collections.abc import Mapping
from typing import Protocol

from worker.domain.contract.lint_rules import english, german


class LintRules(Protocol):
    """One language. `said` is a promise as it was written, on one line, without the full stop at its end."""

    def find_vague_word(self, said: str) -> str:
        """The word of ours that leaves open what will be done; empty when there is none."""

    def is_thing(self, said: str) -> bool:
        """Whether it names a thing, but not what somebody does."""

    def has_verb(self, said: str) -> bool:
        """Whether something is done in it, as far as can be told for certain."""

    def is_outcome(self, said: str) -> bool:
        """Whether an outcome is promised that others decide, rather than work towards it."""


LINT_RULES: Mapping[str, LintRules] = {"en": english, "de": german}


def select_lint_rules(locale: str) -> tuple[LintRules, ...]:
    """English, which many write whatever they speak, and the language of the locale when it is known."""
    language = locale.replace("_", "-").partition("-")[0].lower()
    return tuple(dict.fromkeys((english, LINT_RULES.get(language, english))))
