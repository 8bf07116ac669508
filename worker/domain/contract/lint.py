"""The questions asked of a promise before it is sent: is it specific, dated, near, and the promiser's to keep (R-16)?

A question names a line and, where it has one, the word of our own list; never what was promised (R-23).
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from worker.domain.contract.lint_rules import LintRules, select_lint_rules
from worker.domain.model import Contract, Owner, WrittenCommitment
from worker.domain.reason_texts import N_

#: R-21: what is due this soon is urgent.
URGENT_PERIOD = timedelta(days=7)

#: What is asked, and a better wording of the same kind.
QUESTION_TEXTS: Mapping[str, tuple[str, str]] = {
    "vague": (
        N_("`%(word)s` leaves open what will be done."),
        N_("Say the first thing that can be seen: a verb, and its result."),
    ),
    "thing": (
        N_("It names a thing, but not what somebody does."),
        N_("Begin with a verb: introduce, write, ask, lead, show."),
    ),
    "undated": (N_("It has no date."), N_("Say by which day; a guess that is moved later is better than none.")),
    "past": (
        N_("Its date has passed."),
        N_("Give it a day to come, or name it under progress when it is done."),
    ),
    "far": (N_("It is due more than a year from now."), N_("Promise the first step of it, within a few months.")),
    "outcome": (
        N_("It promises an outcome that others decide."),
        N_("Promise your part: I can advocate for it and tell you what I hear by that day; the outcome is not mine."),
    ),
}


@dataclass(frozen=True, slots=True)
class LintQuestion:
    """What to ask of one promise before it is sent. `worker.i18n.reasons.asked` puts it into somebody's language."""

    line: int
    owner: Owner
    code: str  #: one of QUESTIONS
    word: str = ""  #: of our own lists

    @property
    def what(self) -> str:
        """What is asked, in English."""
        return QUESTION_TEXTS[self.code][0] % {"word": self.word}

    @property
    def better(self) -> str:
        """A better wording of the same kind, in English."""
        return QUESTION_TEXTS[self.code][1]


def lint_contract(contract: Contract, recorded_on: date, locale: str = "en") -> tuple[LintQuestion, ...]:
    """Every question R-16 asks, in the order of the lines.

    `recorded_on` is the day in the manager's zone, `locale` the manager's: contracts are written in that language or
    in English.
    """
    ears = select_lint_rules(locale)
    asked = [
        LintQuestion(promise.line, owner, code, word)
        for owner, promises in ((Owner.REPORT, contract.report), (Owner.MANAGER, contract.manager))
        for promise in promises
        for code, word in _lint_commitment(promise, owner, recorded_on, ears)
    ]
    return tuple(sorted(asked, key=lambda one: one.line))


def is_urgent(due: date, recorded_on: date) -> bool:
    """R-21: due within seven days of being recorded (or overdue already)."""
    return due - recorded_on <= URGENT_PERIOD


def _lint_commitment(
    promise: WrittenCommitment, owner: Owner, recorded_on: date, ears: Sequence[LintRules]
) -> Iterator[tuple[str, str]]:
    said = " ".join(promise.text.replace("\u2019", "'").split()).rstrip(".!")
    vague = next((word for ear in ears if (word := ear.find_vague_word(said))), "")
    if vague:
        yield "vague", vague
    elif any(ear.is_thing(said) for ear in ears) and not any(ear.has_verb(said) for ear in ears):
        yield "thing", ""
    yield from ((code, "") for code in _lint_date(promise.due, recorded_on))
    if owner is Owner.MANAGER and any(ear.is_outcome(said) for ear in ears):
        yield "outcome", ""


def _lint_date(due: date | None, recorded_on: date) -> Iterator[str]:
    if due is None:
        yield "undated"
    elif due < recorded_on:
        yield "past"
    elif (due.year - 1, due.month, due.day) > (recorded_on.year, recorded_on.month, recorded_on.day):
        yield "far"
