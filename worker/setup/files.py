"""Writes the files of an installation from the answers: secrets first, and the settings last.

Everything is in one folder: `longarc.toml`, `secrets/` with a file for each secret, and `longarc.service`. Each file is
written whole or not at all, and a key that is there is never replaced.
"""

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from worker import private_files
from worker.errors import Refused
from worker.seal import generate_key
from worker.settings.environment import KEY_VARIABLE
from worker.settings.load import SECRETS_FOLDER
from worker.setup.parsers import DIRECTORY
from worker.setup.questions import QUESTIONS, Answers, list_questions
from worker.setup.toml_text import render_tables
from worker.setup.ways import Way

SETTINGS_FILE, SERVICE_FILE, ANSWERS_FILE = "longarc.toml", "longarc.service", "answers.toml"
#: The files that are copied among the secrets, by the question that names them.
_COPIED_FILES = {"google_key": "google-key.json", "certificate": "outlook.pem"}
_HEADER = (
    "# Written by `longarc init`; yours to change. `longarc example settings` shows every setting with its meaning.\n"
    f"# The secrets are in the folder `{SECRETS_FOLDER}` beside this file.\n"
)


def refuse_used_folder(folder: Path) -> None:
    """Raises Refused when the folder holds an installation that was not set up here, or one that has run already."""
    if (folder / SETTINGS_FILE).exists() and not (folder / ANSWERS_FILE).exists():
        raise Refused(
            f"{folder} holds settings that `longarc init` did not write. Name another folder, or change them by hand."
        )
    if [*folder.glob("*.db"), *folder.glob("var/*.db")]:
        raise Refused(
            f"The installation in {folder} has run already. Change {folder / SETTINGS_FILE} by hand, and run "
            "`longarc check`."
        )


def write_installation(
    folder: Path, answers: Answers, secrets: Mapping[str, str], more_settings: Mapping[str, Any]
) -> Path:
    """Write all files but the service unit; return the path of the settings. Raises OSError.

    A key among the secrets is kept unless the folder has one; without one, a key is made.
    """
    if not (folder / SECRETS_FOLDER / KEY_VARIABLE).exists():
        write_secret(folder, KEY_VARIABLE, secrets.get(KEY_VARIABLE) or generate_key())
    for variable, secret in secrets.items():
        if variable != KEY_VARIABLE:
            write_secret(folder, variable, secret)
    for question, name in _COPIED_FILES.items():
        if source := answers.get(question):
            private_files.write(folder / SECRETS_FOLDER / name, Path(source).read_bytes())
    settings = folder / SETTINGS_FILE
    private_files.write(settings, render_settings(answers, more_settings).encode("utf-8"))
    return settings


def write_secret(folder: Path, variable: str, secret: str) -> None:
    """Write the file of one secret. Raises OSError."""
    private_files.make_folder(folder / SECRETS_FOLDER)
    private_files.write(folder / SECRETS_FOLDER / variable, f"{secret}\n".encode())


def delete_secret(folder: Path, variable: str) -> None:
    """Delete the file of one secret, if there is one. Raises OSError."""
    (folder / SECRETS_FOLDER / variable).unlink(missing_ok=True)


def render_settings(answers: Answers, more_settings: Mapping[str, Any]) -> str:
    """Return the settings file as text."""
    values: dict[str, Any] = {}
    for key, value in _list_settings(answers):
        _set_nested(values, key.split("."), value)
    _merge(values, more_settings)
    return "\n".join([_HEADER, *render_tables(values)])


def _list_settings(answers: Answers) -> Iterator[tuple[str, Any]]:
    """Yield each setting that follows from the answers, as its dotted key and its value."""
    way = Way(answers["way"])
    for question in list_questions(answers):
        answer = answers.get(question.name, "")
        if question.setting and answer:
            yield question.setting, question.to_setting(answer)
    for question_name, name in _COPIED_FILES.items():
        if answers.get(question_name):
            setting = next(one.setting for one in QUESTIONS if one.name == question_name)
            yield setting, f"{SECRETS_FOLDER}/{name}"
            if way.mail == "google":
                yield "mailers.google.service_account", f"{SECRETS_FOLDER}/{name}"
    yield "mail.operator_by", way.mail
    yield "roster.calendar", way.calendar
    yield "roster.mail", way.mail
    if answers.get("people") == DIRECTORY:
        yield "roster.source", way.calendar
    elif answers.get("people"):
        yield "people", answers["people"]
    if way is Way.GOOGLE_ACCOUNT:
        yield "mailers.google.client_id", answers["google_client_id"]
    if way is Way.MICROSOFT_ACCOUNT:
        yield "calendars.outlook.account", answers["account"]


def _set_nested(values: dict[str, Any], path: list[str], value: Any) -> None:
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def _merge(values: dict[str, Any], more: Mapping[str, Any]) -> None:
    for key, value in more.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value


def render_service(template: str, folder: Path, program: Path, user: str) -> str:
    """Return the systemd unit for this installation, made from the example unit.

    The example has system paths and credentials; here all is in `folder`, whose `var` alone may be written to.
    """
    lines = [line for line in template.splitlines() if not re.match(r"(#|LoadCredential|Environment|StateDir)", line)]
    replaced = {
        "User": user,
        "Group": "",
        "ExecStart": f"{program} --config {folder / SETTINGS_FILE} run",
        "WorkingDirectory": str(folder),
        "ProtectHome": "read-only",
        "Documentation": "",
    }
    header = f"# Longarc as a service of systemd: sudo install {folder / SERVICE_FILE} /etc/systemd/system/, then\n"
    header += "# sudo systemctl enable --now longarc\n"
    unit = "\n".join(_replace_keys(lines, replaced))
    writable = f"ProtectSystem=strict\nReadWritePaths={folder / 'var'}"
    return header + unit.replace("ProtectSystem=strict", writable) + "\n"


def _replace_keys(lines: list[str], replaced: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines with other values for these keys; a line whose new value is empty is left out."""
    for line in lines:
        key = line.partition("=")[0]
        if key not in replaced:
            yield line
        elif replaced[key]:
            yield f"{key}={replaced[key]}"
