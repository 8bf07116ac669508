"""The rules that find vague commitments and promises of outcomes that others decide. Each language has a module.

The word lists are deliberately short: asking a pointless question costs more trust than not asking a good one. When in
doubt, a rule finds nothing.
"""

from collections.abc import Mapping
from typing import Protocol

from worker.domain.contract.lint_rules import english, german


class LintRules(Protocol):
    """The rules of one language. `sentence` is the text of a commitment on one line, without a full stop at its end."""

    def find_vague_word(self, sentence: str) -> str:
        """Return the listed word or phrase that leaves open what will be done; empty if there is none."""

    def is_thing_only(self, sentence: str) -> bool:
        """Return whether the sentence names a thing, but no action."""

    def has_verb(self, sentence: str) -> bool:
        """Return whether the sentence certainly has a verb of this language."""

    def is_promised_outcome(self, sentence: str) -> bool:
        """Return whether the sentence promises an outcome that others decide, and not just work towards it."""

    def is_promised_feedback(self, sentence: str) -> bool:
        """Return whether the sentence promises to give feedback. A promise to ask for feedback is none."""


LINT_RULES: Mapping[str, LintRules] = {"en": english, "de": german}


def select_lint_rules(locale: str) -> tuple[LintRules, ...]:
    """Return the rules of English and of the locale's language.

    English is always included, because many people write English whatever their locale is.
    """
    language = locale.replace("_", "-").partition("-")[0].lower()
    return tuple(dict.fromkeys((english, LINT_RULES.get(language, english))))
