"""Writes the files of an installation from the answers of `longarc init`: the secrets first, and the settings last.

All files are in one folder: `longarc.toml`, `secrets/` with a file for each secret, and `longarc.service`. Each file is
written whole or not at all, and an existing key is never replaced.
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

SETTINGS_FILE, SERVICE_FILE = "longarc.toml", "longarc.service"
#: The answers so far, which `longarc init` keeps in the folder. A folder without them was not made by it.
ANSWERS_FILE = "answers.toml"
#: The files that are copied into the folder of secrets, by the question whose answer names the original.
_COPIED_FILES = {"google_key": "google-key.json", "certificate": "outlook.pem"}
#: Where the grants of accounts that have signed in are kept, unless the settings say otherwise.
_GRANT_FILES = ("var/google/*.sealed", "var/outlook-account")
_HEADER = (
    "# Written by `longarc init`; yours to change. `longarc example settings` shows every setting with its meaning.\n"
    f"# The secrets are in the folder `{SECRETS_FOLDER}` beside this file.\n"
)


def refuse_used_folder(folder: Path) -> None:
    """Raise Refused when the folder has settings that `longarc init` did not write, or a database."""
    if (folder / SETTINGS_FILE).exists() and not (folder / ANSWERS_FILE).exists():
        raise Refused(
            f"{folder} holds settings that `longarc init` did not write. Name another folder, or change them by hand."
        )
    if [*folder.glob("*.db"), *folder.glob("var/*.db")]:
        raise Refused(
            f"The installation in {folder} has run already. Name another folder for a new one, or change "
            f"{folder / SETTINGS_FILE} by hand, and run `longarc check`."
        )


def write_installation(
    folder: Path, answers: Answers, secrets: Mapping[str, str], more_settings: Mapping[str, Any]
) -> Path:
    """Write all files except the service unit, and return the path of the settings. Raises OSError.

    `secrets` are the secrets by the name of the variable. If the folder has a key, this key is kept. Otherwise the key
    in `secrets` is written, or else a new key. `more_settings` are settings for which there is no question, from the
    file of `--answers`.
    """
    if not (folder / SECRETS_FOLDER / KEY_VARIABLE).exists():
        write_secret(folder, KEY_VARIABLE, secrets.get(KEY_VARIABLE) or generate_key())
    for variable, secret in secrets.items():
        if variable != KEY_VARIABLE:
            write_secret(folder, variable, secret)
    for question_name, file_name in _COPIED_FILES.items():
        if source := answers.get(question_name):
            private_files.write(folder / SECRETS_FOLDER / file_name, Path(source).read_bytes())
    settings_file = folder / SETTINGS_FILE
    private_files.write(settings_file, render_settings(answers, more_settings).encode("utf-8"))
    return settings_file


def write_secret(folder: Path, variable: str, secret: str) -> None:
    """Write the file of one secret. Raises OSError."""
    private_files.make_folder(folder / SECRETS_FOLDER)
    private_files.write(folder / SECRETS_FOLDER / variable, f"{secret}\n".encode())


def delete_secret(folder: Path, variable: str) -> None:
    """Delete the file of one secret, if there is one. Raises OSError."""
    (folder / SECRETS_FOLDER / variable).unlink(missing_ok=True)


def delete_files_of_way(folder: Path) -> None:
    """Delete the files that an installation with another way can't use: settings, unit, key files and grants.

    Raises OSError. Grants outside of `var`, where `more_settings` may have put them, are not deleted.
    """
    copied_files = [f"{SECRETS_FOLDER}/{name}" for name in _COPIED_FILES.values()]
    for name in (SETTINGS_FILE, SERVICE_FILE, *copied_files, *_GRANT_FILES):
        for file in folder.glob(name):
            file.unlink()


def render_settings(answers: Answers, more_settings: Mapping[str, Any]) -> str:
    """Return the text of the settings file. `more_settings` take precedence over those that follow from the answers."""
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
    for question_name, file_name in _COPIED_FILES.items():
        if answers.get(question_name):
            setting = next(question.setting for question in QUESTIONS if question.name == question_name)
            yield setting, f"{SECRETS_FOLDER}/{file_name}"
            if way.mail == "google":
                yield "mailers.google.service_account", f"{SECRETS_FOLDER}/{file_name}"
    # the service that sends mails to the operator, and the services of people for whom the roster names none
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
    """Set the value at this path of keys in nested dicts, and create the dicts that are missing."""
    for name in path[:-1]:
        values = values.setdefault(name, {})
    values[path[-1]] = value


def _merge(values: dict[str, Any], more_values: Mapping[str, Any]) -> None:
    """Add the values, also those in nested dicts. A value that exists already is replaced."""
    for key, value in more_values.items():
        if isinstance(value, dict) and isinstance(values.get(key), dict):
            _merge(values[key], value)
        else:
            values[key] = value


def render_service(template: str, folder: Path, program: Path, user: str) -> str:
    """Return the systemd unit for this installation, made from the example unit.

    The example has the paths and credentials of a system service. Here everything is in `folder`, and the service may
    write only to `var` in it.
    """
    # left out: comments, and lines such as `LoadCredential=…`, `Environment=…` and `StateDirectory=…`
    lines = [line for line in template.splitlines() if not re.match(r"(#|LoadCredential|Environment|StateDir)", line)]
    values = {
        "User": user,
        "Group": "",  # empty: the line is left out
        "ExecStart": f"{program} --config {folder / SETTINGS_FILE} run",
        "WorkingDirectory": str(folder),
        "ProtectHome": "read-only",
        "Documentation": "",
    }
    header = f"# Longarc as a service of systemd: sudo install {folder / SERVICE_FILE} /etc/systemd/system/, then\n"
    header += "# sudo systemctl enable --now longarc\n"
    unit = "\n".join(_replace_values(lines, values))
    protection = f"ProtectSystem=strict\nReadWritePaths={folder / 'var'}"
    return header + unit.replace("ProtectSystem=strict", protection) + "\n"


def _replace_values(lines: list[str], values: Mapping[str, str]) -> Iterator[str]:
    """Yield the lines with these values for their keys. A line whose new value is empty is left out."""
    for line in lines:
        key = line.partition("=")[0]
        if key not in values:
            yield line
        elif values[key]:
            yield f"{key}={values[key]}"
