"""The questions about a commitment before it is recorded: is it specific, dated, soon, and the owner's to keep (R-16)?
A promise of feedback gets a hint on what makes it useful (R-31).

A question names a line and, for some, a word of our own lists; never the text of the commitment (R-23).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from worker.domain.contract.lint_rules import LintRules, select_lint_rules
from worker.domain.model import Contract, Owner, WrittenCommitment
from worker.domain.reason_texts import N_

#: R-21: a commitment due within this time is urgent.
URGENT_PERIOD = timedelta(days=7)

#: The question of each code, and the advice that goes with it.
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
    "day_off": (
        N_("It is due on a day off of the person who promises it."),
        N_("Choose a working day; the one before is usually right."),
    ),
    "far": (N_("It is due more than a year from now."), N_("Promise the first step of it, within a few months.")),
    "outcome": (
        N_("It promises an outcome that others decide."),
        N_("Promise your part: I can advocate for it and tell you what I hear by that day; the outcome is not mine."),
    ),
    "feedback": (
        N_("Feedback helps most in three parts."),
        N_("Say what was done, what it led to, and what to try next; while both of you still remember it."),
    ),
}
#: Codes of what is a hint rather than a question.
HINTS = frozenset({"feedback"})


@dataclass(frozen=True, slots=True)
class LintQuestion:
    """A question about one commitment. `worker.i18n.domain_texts.translate_question` returns its translation."""

    line: int
    owner: Owner
    code: str  #: a key of `QUESTION_TEXTS`
    word: str = ""  #: the vague word, as our word lists have it; empty for other questions

    @property
    def is_hint(self) -> bool:
        """True when it only helps to keep the commitment well, and nothing about it is in question (R-31)."""
        return self.code in HINTS

    @property
    def sentence(self) -> str:
        """The question, in English."""
        return QUESTION_TEXTS[self.code][0] % {"word": self.word}

    @property
    def advice(self) -> str:
        """The advice that goes with the question, in English."""
        return QUESTION_TEXTS[self.code][1]


def lint_contract(
    contract: Contract,
    recorded_on: date,
    locale: str = "en",
    is_day_off: Callable[[Owner, date], bool] = lambda owner, day: False,
) -> tuple[LintQuestion, ...]:
    """Return the questions of R-16 and the hints of R-31 about a contract, in the order of the lines.

    `recorded_on` is the day in the manager's zone, `locale` the manager's: contracts are written in that language or
    in English. `is_day_off` tells whether one of the two does not work on a day.
    """
    rules = select_lint_rules(locale)
    questions = [
        LintQuestion(commitment.line, owner, code, word)
        for owner, commitments in ((Owner.REPORT, contract.report), (Owner.MANAGER, contract.manager))
        for commitment in commitments
        for code, word in (
            *_lint_commitment(commitment, owner, recorded_on, rules),
            *_lint_day_off(commitment.due, owner, is_day_off),
        )
    ]
    return tuple(sorted(questions, key=lambda question: question.line))


def is_urgent(due: date, recorded_on: date) -> bool:
    """Return whether the commitment is due within seven days of being recorded, or overdue already (R-21)."""
    return due - recorded_on <= URGENT_PERIOD


def _lint_commitment(
    commitment: WrittenCommitment, owner: Owner, recorded_on: date, rules: Sequence[LintRules]
) -> Iterator[tuple[str, str]]:
    """Yield the code of each question about the commitment, with the vague word it quotes or an empty text."""
    text = " ".join(commitment.text.replace("\u2019", "'").split()).rstrip(".!")
    vague = next((word for language in rules if (word := language.find_vague_word(text))), "")
    if vague:
        yield "vague", vague
    elif any(language.is_thing_only(text) for language in rules) and not any(
        language.has_verb(text) for language in rules
    ):
        yield "thing", ""
    yield from ((code, "") for code in _lint_due_date(commitment.due, recorded_on))
    if owner is Owner.MANAGER and any(language.is_promised_outcome(text) for language in rules):
        yield "outcome", ""
    if not vague and any(language.is_promised_feedback(text) for language in rules):
        yield "feedback", ""


def _lint_day_off(
    due: date | None, owner: Owner, is_day_off: Callable[[Owner, date], bool]
) -> Iterator[tuple[str, str]]:
    if due is not None and is_day_off(owner, due):
        yield "day_off", ""


def _lint_due_date(due: date | None, recorded_on: date) -> Iterator[str]:
    if due is None:
        yield "undated"
    elif due < recorded_on:
        yield "past"
    elif (due.year - 1, due.month, due.day) > (recorded_on.year, recorded_on.month, recorded_on.day):
        yield "far"
