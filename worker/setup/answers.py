"""Answers to the questions of `longarc init`: read from a file and the environment, checked, and kept for later.

An answers file is TOML: a key for each question, and optionally a table `settings` with further settings, as they would
stand in the settings file. Secrets are never in it: they come from the environment.
"""

import textwrap
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
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


@dataclass(frozen=True, slots=True)
class GivenAnswers:
    """What an answers file says, and what it is called in messages."""

    name: str = "answers"
    values: Mapping[str, str] = field(default_factory=dict)
    more_settings: Mapping[str, Any] = field(default_factory=dict)
    lines: Mapping[str, int] = field(default_factory=dict)

    def locate(self, name: str) -> str:
        """Return where an answer stands, or belongs."""
        return f"{self.name}:line {self.lines[name]}: {name}" if name in self.lines else f"{self.name}: {name}"


def read_answers(file: Path) -> GivenAnswers:
    """Read an answers file. Raises Problems with every key that is unknown, secret or no text, and when it is no
    TOML."""
    try:
        text = file.read_text(encoding="utf-8-sig")
        content = tomllib.loads(text)
    except OSError as error:
        what = f"The answers can't be read: {error.strerror}."
        raise Problems([Problem(str(file), what, "Name another file with --answers.")]) from None
    except ValueError as error:
        raise Problems([Problem(file.name, f"This is not TOML: {error}.", "Fix this first.")]) from None
    lines = {line.split("=")[0].strip(): number for number, line in enumerate(text.splitlines(), 1) if "=" in line}
    more = content.pop(MORE_SETTINGS, {})
    given = GivenAnswers(file.name, {}, more if isinstance(more, dict) else {}, lines)
    problems = list(_find_unknown_keys(content, given))
    values = {key: _to_text(value) for key, value in content.items()}
    problems += [
        Problem(given.locate(key), "This is neither a text, a number, yes or no, nor a list of texts.", "Write a text.")
        for key, value in values.items()
        if value is None
    ]
    if problems:
        raise Problems(problems)
    return GivenAnswers(file.name, {key: str(value) for key, value in values.items()}, given.more_settings, lines)


def _find_unknown_keys(content: Mapping[str, Any], given: GivenAnswers) -> Iterator[Problem]:
    questions = {question.name: question for question in QUESTIONS}
    for key in content:
        if key not in questions:
            nearest = find_nearest(key, questions)
            remedy = f"Did you mean `{nearest}`?" if nearest else "Take it out."
            yield Problem(given.locate(key), "There is no such question.", remedy)
        elif questions[key].is_secret:
            remedy = f"Take it out, and give it in the environment as {questions[key].variable} or as "
            yield Problem(
                given.locate(key), "A secret does not belong in this file.", f"{remedy}{questions[key].variable}_FILE."
            )


def _to_text(value: object) -> str | None:
    """Return a value of TOML as an answer is typed; None for one that is no answer."""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, list):
        return ", ".join(map(str, value)) if all(isinstance(item, str) for item in value) else None
    return None if isinstance(value, dict) else str(value)


def answer_all(given: GivenAnswers, env: Mapping[str, str], folder: Path) -> tuple[dict[str, str], dict[str, str]]:
    """Return the answers and the secrets, by the name of their variable, without asking anybody.

    What is not given has its default. Raises Problems with everything that is missing or wrong.
    """
    answers, secrets, problems = {"folder": str(folder)}, dict[str, str](), list[Problem]()
    done: set[str] = set()
    while question := next((one for one in list_questions(answers) if one.name not in done), None):
        done.add(question.name)
        try:
            answer = _find_answer(question, given, env, answers)
            if answer and question.is_secret:
                secrets[question.variable] = answer
            else:
                answers[question.name] = answer
        except InvalidValue as error:
            problems.append(Problem(_locate(question, given), error.what, error.build_remedy()))
        except Problems as error:
            problems += error.problems
    if problems:
        raise Problems(problems)
    return answers, secrets


def _find_answer(question: Question, given: GivenAnswers, env: Mapping[str, str], answers: Answers) -> str:
    """Raises InvalidValue when the answer is wrong, or there is none and there has to be one; Problems when the
    environment can't be read."""
    default = question.find_default(answers)
    text = read_secret(question.variable, env) if question.is_secret else given.values.get(question.name, default)
    if not text:
        if question.is_optional:
            return ""
        where = f"as {question.variable}_FILE in the environment" if question.is_secret else "in the answers file"
        raise InvalidValue("This has no answer.", f"{question.text} Give it {where}.")
    return question.parse(text)


def read_secret(variable: str, env: Mapping[str, str]) -> str:
    """Return a secret from its variable, or from the file that NAME_FILE names; empty without either.

    Raises Problems when the file can't be read, or both are set.
    """
    problems: list[Problem] = []
    secret = read_variable(variable, env, problems)
    if problems:
        raise Problems(problems)
    return secret


def _locate(question: Question, given: GivenAnswers) -> str:
    return question.variable if question.is_secret else given.locate(question.name)


def save_answers(file: Path, answers: Answers, more_settings: Mapping[str, Any] | None = None) -> None:
    """Keep the answers in a file, from which `longarc init` goes on. It holds no secret. Raises OSError."""
    known = {question.name for question in QUESTIONS if not question.is_secret}
    lines = [f"{name} = {render_value(value)}" for name, value in answers.items() if name in known]
    more = render_tables({MORE_SETTINGS: more_settings}) if more_settings else []
    text = "\n".join(["# The answers that `longarc init` was given. It goes on from here.", *lines, "", *more])
    private_files.write(file, text.encode("utf-8"))


def render_questions(way: Way) -> str:
    """Return an answers file for this way: every question with its explanation, and its default as the answer."""
    lines = ["# Fill in, then: longarc init FOLDER --answers THIS_FILE", f"way = {render_value(way.value)}"]
    answers = {"way": way.value, "folder": "FOLDER"}
    for question in QUESTIONS[1:]:
        if way not in question.ways:
            continue
        explanation = textwrap.wrap(f"{question.text} {question.explanation}", 116)
        lines += ["", *(f"# {line}" for line in explanation)]
        if question.is_secret:
            lines.append(f"# A secret: give it in the environment as {question.variable} or {question.variable}_FILE.")
        else:
            lines.append(f"#{question.name} = {render_value(question.find_default(answers))}")
    return "\n".join(lines) + "\n"
