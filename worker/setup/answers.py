"""Reads the answers to the questions of `longarc init` from a file and the environment, checks them, and saves them.

An answers file is TOML. It has a key for each question, and may have a table `settings` with further settings in the
form of the settings file. It never has secrets, which come from the environment.
"""

import textwrap
import tomllib
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from worker import private_files
from worker.errors import Problem, Problems
from worker.settings.environment import read_variable
from worker.settings.parsers import InvalidValue, find_nearest
from worker.setup.questions import QUESTIONS, Answers, Question, list_questions
from worker.setup.toml_text import render_tables, render_value
from worker.setup.ways import Way

#: The key of the table with further settings.
MORE_SETTINGS = "settings"
#: The longest line of an explanation in an answers file, without the `# ` at its beginning.
_COMMENT_WIDTH = 116


@dataclass(frozen=True, slots=True)
class AnswersFile:
    """The content of an answers file."""

    name: str  #: of the file, for messages
    values: Mapping[str, str]  #: the answers, by the name of the question
    more_settings: Mapping[str, Any]
    line_numbers: Mapping[str, int]  #: by key

    def locate(self, key: str) -> str:
        """Return the file, the line if the file has the key, and the key, for a message."""
        line = f":line {self.line_numbers[key]}" if key in self.line_numbers else ""
        return f"{self.name}{line}: {key}"


def read_answers(file: Path) -> AnswersFile:
    """Read an answers file.

    Raises Problems when the file can't be read or is not TOML, and for every key that is unknown, belongs to a secret,
    or has a value that can't be an answer.
    """
    try:
        text = file.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except OSError as error:
        what = f"The answers can't be read: {error.strerror}."
        raise Problems([Problem(str(file), what, "Name another file with --answers.")]) from None
    except ValueError as error:
        raise Problems([Problem(file.name, f"This is not TOML: {error}.", "Fix this first.")]) from None
    line_numbers = {
        line.split("=")[0].strip(): number for number, line in enumerate(text.splitlines(), 1) if "=" in line
    }
    more_settings = content.pop(MORE_SETTINGS, {})
    values = {key: _to_text(value) for key, value in content.items()}
    answers_file = AnswersFile(
        name=file.name,
        values={key: value for key, value in values.items() if value is not None},
        more_settings=more_settings if isinstance(more_settings, dict) else {},
        line_numbers=line_numbers,
    )
    problems = list(_find_unusable_keys(content, answers_file))
    what = "This is neither a text, a number, yes or no, nor a list of texts."
    problems += [
        Problem(answers_file.locate(key), what, "Write a text.") for key, value in values.items() if value is None
    ]
    if problems:
        raise Problems(problems)
    return answers_file


def _find_unusable_keys(content: Mapping[str, Any], answers_file: AnswersFile) -> Iterator[Problem]:
    """Yield a problem for each key that no question has, or whose answer is a secret."""
    questions = {question.name: question for question in QUESTIONS}
    for key in content:
        if key not in questions:
            nearest = find_nearest(key, questions)
            remedy = f"Did you mean `{nearest}`?" if nearest else "Take it out."
            yield Problem(answers_file.locate(key), "There is no such question.", remedy)
        elif questions[key].is_secret:
            variable = questions[key].variable
            remedy = f"Take it out, and give it in the environment as {variable} or as {variable}_FILE."
            yield Problem(answers_file.locate(key), "A secret does not belong in this file.", remedy)


def _to_text(value: object) -> str | None:
    """Return a TOML value as a person would type it; None for a value that can't be an answer."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) if all(isinstance(item, str) for item in value) else None
    return None if isinstance(value, dict) else str(value)


def answer_all(
    answers_file: AnswersFile, env: Mapping[str, str], folder: Path
) -> tuple[dict[str, str], dict[str, str]]:
    """Answer all questions without asking anybody, with the default where the file has no answer.

    Return the answers by the names of the questions, and the secrets by the names of their variables. Raises Problems
    with everything that is missing or wrong.
    """
    answers, secrets, problems = {"folder": str(folder)}, dict[str, str](), list[Problem]()
    answered_names: set[str] = set()

    def find_next() -> Question | None:
        return next((question for question in list_questions(answers) if question.name not in answered_names), None)

    while question := find_next():  # each answer can call for more questions
        answered_names.add(question.name)
        try:
            answer = _find_answer(question, answers_file, env, answers)
            if answer and question.is_secret:
                secrets[question.variable] = answer
            else:
                answers[question.name] = answer
        except InvalidValue as error:
            where = question.variable if question.is_secret else answers_file.locate(question.name)
            problems.append(Problem(where, error.what, error.build_remedy()))
        except Problems as error:
            problems += error.problems
    problems += _find_unasked(answers_file, answers, answered_names, has_problems=bool(problems))
    if problems:
        raise Problems(problems)
    return answers, secrets


def _find_unasked(
    answers_file: AnswersFile, answers: Answers, asked_names: Collection[str], *, has_problems: bool
) -> Iterator[Problem]:
    """Yield a problem for each answer of the file to a question that is not asked, since it would have no effect.

    An empty answer asks for nothing. Without a usable way, it is not known which questions are asked, and with another
    problem, not which of them the other answers leave out.
    """
    if "way" not in answers:
        return
    way = Way(answers["way"])
    names_of_way = {question.name for question in QUESTIONS if way in question.ways}
    for key, value in answers_file.values.items():
        is_of_way = key in names_of_way
        if value and key not in asked_names and not (is_of_way and has_problems):
            what = "The other answers leave this question out." if is_of_way else f"The way `{way}` does not ask this."
            yield Problem(answers_file.locate(key), what, "Take it out, or change what it depends on.")


def _find_answer(question: Question, answers_file: AnswersFile, env: Mapping[str, str], answers: Answers) -> str:
    """Return the answer to a question: a secret of the environment, or the answer of the file, or the default.

    Raises InvalidValue when the answer is wrong or a required answer is missing; Problems when a secret can't be read.
    """
    if question.is_secret:
        text = read_secret(question.variable, env)
    elif question.name == "way":  # the way decides on everything else, so an empty file has none by default
        text = answers_file.values.get(question.name, "")
    else:
        text = answers_file.values.get(question.name, question.find_default(answers))
    if not text:
        if question.is_optional:
            return ""
        place = f"as {question.variable}_FILE in the environment" if question.is_secret else "in the answers file"
        raise InvalidValue("This has no answer.", f"{question.text} Give it {place}.")
    return question.parse(text)


def read_secret(variable: str, env: Mapping[str, str]) -> str:
    """Return the value of a secret's variable, or of the file that NAME_FILE names; empty when neither is set.

    Raises Problems when the file can't be read, or both are set.
    """
    problems: list[Problem] = []
    secret = read_variable(variable, env, problems)
    if problems:
        raise Problems(problems)
    return secret


def save_answers(file: Path, answers: Answers, more_settings: Mapping[str, Any] | None = None) -> None:
    """Save the answers, but no secrets, in a file with which `longarc init` continues. Raises OSError."""
    saved_names = {question.name for question in QUESTIONS if not question.is_secret}
    lines = [f"{name} = {render_value(value)}" for name, value in answers.items() if name in saved_names]
    settings_lines = render_tables({MORE_SETTINGS: more_settings}) if more_settings else []
    header = "# The answers so far. `longarc init` continues with them."
    text = "\n".join([header, *lines, "", *settings_lines])
    private_files.write(file, text.encode("utf-8"))


def render_questions(way: Way) -> str:
    """Return an answers file for this way: every question with its explanation, and its default as the answer."""
    lines = ["# Fill in, then: longarc init FOLDER --answers THIS_FILE", f"way = {render_value(way.value)}"]
    answers = {"way": way.value, "folder": "FOLDER"}
    for question in QUESTIONS[1:]:  # the first one asks for the way
        if way not in question.ways:
            continue
        explanation = textwrap.wrap(f"{question.text} {question.explanation}", _COMMENT_WIDTH)
        lines += ["", *(f"# {line}" for line in explanation)]
        if question.is_secret:
            lines.append(f"# A secret: give it in the environment as {question.variable} or {question.variable}_FILE.")
        else:
            lines.append(f"#{question.name} = {render_value(question.find_default(answers))}")
    return "\n".join(lines) + "\n"
