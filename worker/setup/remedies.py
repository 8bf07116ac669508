"""Words the remedies of failed checks for somebody who is answering the questions of `longarc init`.

A service names the setting or the environment variable that may be wrong. In `longarc init` both come from an answer,
so the remedy has to name that answer and how to correct it.
"""

import re
from collections.abc import Collection, Mapping
from dataclasses import replace

from worker.providers.base import Finding
from worker.setup.questions import Question


def reword_finding(finding: Finding, questions: Collection[Question], env: Mapping[str, str]) -> Finding:
    """Return a failed check with a remedy that names answers. A check that passed is returned unchanged."""
    if finding.ok:
        return finding
    return replace(finding, remedy=reword_remedy(finding.remedy, questions, env, context=finding.statement))


def reword_remedy(text: str, questions: Collection[Question], env: Mapping[str, str], *, context: str = "") -> str:
    """Return the text of an error, worded for the questions that were asked.

    It names an answer in place of the environment variable of a secret, and ends with how to correct each answer that
    the text or its context names.
    """
    named_questions = [question for question in questions if _is_named(question, f"{context} {text}")]
    for question in named_questions:
        if question.is_secret:
            text = re.sub(rf"\b{question.variable}\b", f"the answer `{question.name}`", text)
    overridden_questions = [
        question for question in named_questions if question.is_secret and _is_set(question.variable, env)
    ]
    corrections = [
        f"The environment has {question.variable}, which is used in place of the answer `{question.name}`: stop with "
        "Ctrl-C, unset it, and start again."
        for question in overridden_questions
    ]
    if names := [f"`{question.name}`" for question in named_questions if question not in overridden_questions]:
        corrections.append(f"To correct {' or '.join(names)}, choose `change` below, and name it there.")
    return " ".join([text, *corrections]).strip()


def _is_set(variable: str, env: Mapping[str, str]) -> bool:
    return bool(env.get(variable) or env.get(f"{variable}_FILE"))


def _is_named(question: Question, text: str) -> bool:
    """Return whether an error names the variable or the setting of this question, or matches its `error_patterns`.

    A setting in a section is named as `section.key`, or as its key in backquotes, followed by its section in brackets.
    A setting outside of all sections is named as its key in backquotes, followed by the words "in the settings".
    """
    section_path, _, key = question.setting.rpartition(".")
    section = section_path.rpartition(".")[2]
    patterns = [*question.error_patterns]
    if question.is_secret:
        patterns.append(rf"\b{question.variable}\b")
    if section:
        patterns.append(rf"\b{section}\.{key}\b")
        patterns.append(rf"`{key}`.*\[{re.escape(section_path)}\]")
    elif key:
        patterns.append(rf"`{key}` in the settings")
    return any(re.search(pattern, text, re.DOTALL) for pattern in patterns)
