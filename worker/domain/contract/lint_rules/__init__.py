"""The rules that find vague commitments and promised outcomes, one module for each language.

The word lists are deliberately short: a question that makes no sense costs more trust than one that is not asked. In
doubt a rule finds nothing.
"""

from collections.abc import Mapping
from typing import Protocol

from worker.domain.contract.lint_rules import english, german


class LintRules(Protocol):
    """The rules of one language. `sentence` is the text of a commitment on one line, without a full stop at its end."""

    def find_vague_word(self, sentence: str) -> str:
        """Return the listed word that leaves open what will be done; empty when there is none."""

    def is_thing_only(self, sentence: str) -> bool:
        """True when it names a thing, but not what somebody does."""

    def has_verb(self, sentence: str) -> bool:
        """True when it certainly has a verb."""

    def is_promised_outcome(self, sentence: str) -> bool:
        """True when it promises an outcome that others decide, rather than work towards it."""

    def is_promised_feedback(self, sentence: str) -> bool:
        """True when it promises to give somebody feedback; not when it promises to ask for some."""


LINT_RULES: Mapping[str, LintRules] = {"en": english, "de": german}


def select_lint_rules(locale: str) -> tuple[LintRules, ...]:
    """Return the rules of English, in which many people write anyway, and those of the locale's language if any."""
    language = locale.replace("_", "-").partition("-")[0].lower()
    return tuple(dict.fromkeys((english, LINT_RULES.get(language, english))))
