"""Finds questions about the commitments of a contract before the contract is recorded (R-16).

A commitment should be specific, have a date in the near future, and depend on its owner alone. A commitment to give
feedback gets a hint on what makes feedback useful (R-31). A question may quote a word of our own word lists, but never
the text of the commitment (R-23).
"""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta

from worker.domain.contract.lint_rules import LintRules, select_lint_rules
from worker.domain.model import Contract, Owner, WrittenCommitment
from worker.domain.reason_texts import N_

#: A commitment that is due within this time is urgent (R-21).
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
#: The codes of hints. All other codes are questions.
HINTS = frozenset({"feedback"})


@dataclass(frozen=True, slots=True)
class LintQuestion:
    """A question about one commitment. `worker.i18n.domain_texts.translate_question` returns its translation."""

    line: int  #: the commitment's line in the contract file
    owner: Owner
    code: str  #: a key of `QUESTION_TEXTS`
    word: str = ""  #: for the code `vague`: the vague word, as our word lists have it

    @property
    def is_hint(self) -> bool:
        """Whether this is a hint on how to do the commitment well, and not a question about it (R-31)."""
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
    """Return the questions and hints about the commitments of a contract, in the order of the lines (R-16, R-31).

    `recorded_on` is the day in the manager's zone. `locale` is the manager's: the contract is expected to be written in
    that language or in English. `is_day_off` returns whether that person of the pair does not work on that day.
    """
    all_rules = select_lint_rules(locale)
    questions = [
        LintQuestion(commitment.line, owner, code, word)
        for owner, commitments in ((Owner.REPORT, contract.report), (Owner.MANAGER, contract.manager))
        for commitment in commitments
        for code, word in (
            *_lint_commitment(commitment, owner, recorded_on, all_rules),
            *_lint_day_off(commitment.due, owner, is_day_off),
        )
    ]
    return tuple(sorted(questions, key=lambda question: question.line))


def is_urgent(due: date, recorded_on: date) -> bool:
    """Return whether a commitment is due within URGENT_PERIOD after it is recorded, or overdue already (R-21)."""
    return due - recorded_on <= URGENT_PERIOD


def _lint_commitment(
    commitment: WrittenCommitment, owner: Owner, recorded_on: date, all_rules: Sequence[LintRules]
) -> Iterator[tuple[str, str]]:
    """Yield the code of each question about the commitment, and the vague word that the question quotes, if any.

    `all_rules` are the rules of each language in which the commitment may be written.
    """
    # The rules expect one line with single blanks and straight apostrophes.
    text = " ".join(commitment.text.replace("\u2019", "'").split()).rstrip(".!")
    vague_word = next((word for rules in all_rules if (word := rules.find_vague_word(text))), "")
    may_be_thing = any(rules.is_thing_only(text) for rules in all_rules)
    if vague_word:
        yield "vague", vague_word
    elif may_be_thing and not any(rules.has_verb(text) for rules in all_rules):
        yield "thing", ""
    yield from ((code, "") for code in _lint_due_date(commitment.due, recorded_on))
    # The rule is about promises beyond the manager's authority, so that commitments of the report are not asked about.
    if owner is Owner.MANAGER and any(rules.is_promised_outcome(text) for rules in all_rules):
        yield "outcome", ""
    if not vague_word and any(rules.is_promised_feedback(text) for rules in all_rules):
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
    # Tuples are compared instead of dates, because the same day of the year before may not exist (29 February).
    elif (due.year - 1, due.month, due.day) > (recorded_on.year, recorded_on.month, recorded_on.day):
        yield "far"
