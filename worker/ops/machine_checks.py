"""Checks of the machine: the time zone database, the user, and the permissions of files with secrets or content."""

import os
import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from pydantic import BaseModel
from sqlalchemy import make_url

from worker.providers.base import Finding
from worker.settings.environment import KEY_VARIABLE, SCIM_TOKEN_VARIABLE
from worker.settings.load import OVERRIDE_VARIABLES, PASSWORD_VARIABLES, Settings

#: The month and day that are taken for a release's date, because its version contains only the year.
_ASSUMED_RELEASE_DAY = (7, 1)
_OTHERS_PERMISSIONS = stat.S_IRWXG | stat.S_IRWXO
#: A release such as `2026b`. It captures the year.
_IANA_VERSION = re.compile(r"(\d{4})[a-z]+")


def check_time_zones(today: date, version: str) -> Finding:
    """Return a finding on the release of the time zone database: a warning when it may be more than a year old."""
    statement = f"Time zones are those of release {version} of the time zone database"
    match = _IANA_VERSION.fullmatch(version)
    if match and today < date(int(match[1]) + 1, *_ASSUMED_RELEASE_DAY):
        return Finding(statement, ok=True)
    age = "which may be older than a year" if match else "whose age its name does not tell"
    remedy = "Governments change clocks several times a year: `pip install --upgrade tzdata`, then restart Longarc."
    return Finding(f"{statement}, {age}", ok=True, remedy=remedy)


def get_zone_release() -> str:
    """Return the release of the package `tzdata`, which Longarc uses instead of the time zones of the machine."""
    import tzdata

    return str(tzdata.IANA_VERSION)


def check_user(effective_id: int) -> Iterator[Finding]:
    """Yield a warning when the program runs as root, which can read every file."""
    if effective_id == 0:
        remedy = "Run it as a user of its own, as `longarc example service` does."
        yield Finding("Longarc runs as root", ok=True, remedy=remedy)


def check_file_permissions(settings: Settings, env: Mapping[str, str]) -> Iterator[Finding]:
    """Yield a warning about files with secrets or content that other users than their owner can access."""
    private_files = sorted({*_list_secret_files(settings, env), *list_database_files(settings)})
    if exposed := [shlex.quote(str(file)) for file in private_files if _is_accessible_by_others(file)]:
        statement = f"Other users than the owner can read {', '.join(exposed)}"
        yield Finding(statement, ok=True, remedy=f"chmod go= {' '.join(exposed)}")


def _list_secret_files(settings: Settings, env: Mapping[str, str]) -> Iterator[Path]:
    for variable in (KEY_VARIABLE, SCIM_TOKEN_VARIABLE, *PASSWORD_VARIABLES.values(), *OVERRIDE_VARIABLES.values()):
        if file := env.get(f"{variable}_FILE"):
            yield Path(file)
    for google in (settings.calendars.google, settings.mailers.google):
        yield google.token_folder
        yield from google.token_folder.glob("*.sealed")
        if google.service_account:
            yield google.service_account
    outlook = settings.calendars.outlook
    yield outlook.account_file
    if outlook.certificate:
        yield outlook.certificate


def list_used_paths(settings: Settings, env: Mapping[str, str]) -> Iterator[Path]:
    """Yield the files and folders of the installation: its database, its secrets, and what its settings name.

    A folder stands for all that is in it.
    """
    yield from list_database_files(settings)
    yield from _list_secret_files(settings, env)
    yield from _list_paths_of(settings)
    yield settings.openings_file


def _list_paths_of(section: BaseModel) -> Iterator[Path]:
    """Yield the value of each setting that is a path, of this section and of the sections in it."""
    for value in (getattr(section, name) for name in type(section).model_fields):
        if isinstance(value, Path):
            yield value
        elif isinstance(value, BaseModel):
            yield from _list_paths_of(value)


def list_database_files(settings: Settings) -> Iterator[Path]:
    """Yield the SQLite file, the queue beside it, and the journals of both; nothing for another database."""
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database))
        for path in (file, file.with_suffix(".queue.db")):
            yield from (path.with_name(f"{path.name}{suffix}") for suffix in ("", "-wal", "-shm", "-journal"))


def _is_accessible_by_others(file: Path) -> bool:
    """Return whether other users may access the file; False for a missing file, which other checks report.

    It is also False on a read-only file system, where a container engine or systemd has put the file for this program
    only.
    """
    try:
        mode = file.stat().st_mode
        if os.statvfs(file).f_flag & os.ST_RDONLY:
            return False
    except OSError:
        return False
    return (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and bool(mode & _OTHERS_PERMISSIONS)
