"""What `longarc check` says about the machine: its time zones, the user it runs as, who else can read its files."""

import re
import shlex
import stat
from collections.abc import Iterator, Mapping
from datetime import date
from pathlib import Path

from sqlalchemy import make_url

from worker.providers.base import Finding
from worker.settings.load import KEY_VARIABLE, OVERRIDE_VARIABLES, PASSWORD_VARIABLES, Settings

#: A version names only its year: it counts as from the middle of it.
_ASSUMED_RELEASE_DAY = (7, 1)
_OTHERS_PERMISSIONS = stat.S_IRWXG | stat.S_IRWXO
_IANA_VERSION = re.compile(r"(\d{4})[a-z]+")


def check_time_zones(today: date, version: str) -> Finding:
    """Which release of the time zone database is in force, with a remedy when it is older than a year."""
    what = f"Time zones follow release {version} of their database"
    match = _IANA_VERSION.fullmatch(version)
    if match and today < date(int(match[1]) + 1, *_ASSUMED_RELEASE_DAY):
        return Finding(what, True)
    remedy = "Governments change clocks several times a year: `pip install --upgrade tzdata`, then restart Longarc."
    return Finding(f"{what}, which is older than a year", True, remedy)


def get_zone_release() -> str:
    """The release that zones are read from: the package `tzdata`, which `worker` puts before the machine's own."""
    import tzdata

    return str(tzdata.IANA_VERSION)


def check_user(effective_id: int) -> Iterator[Finding]:
    """A warning for root, who needs no leave to read anything."""
    if effective_id == 0:
        remedy = "Run it as a user of its own, as `longarc example service` does."
        yield Finding("Longarc runs as root", True, remedy)


def check_file_permissions(settings: Settings, env: Mapping[str, str]) -> Iterator[Finding]:
    """A warning that names the files with secrets or contents that others than their owner may read or write."""
    private = sorted({*_list_secret_files(settings, env), *_list_database_files(settings)})
    if readable := [shlex.quote(str(file)) for file in private if _is_readable_by_others(file)]:
        yield Finding(
            f"Others than their owner can read {', '.join(readable)}", True, f"chmod go= {' '.join(readable)}"
        )


def _list_secret_files(settings: Settings, env: Mapping[str, str]) -> Iterator[Path]:
    for variable in (KEY_VARIABLE, *PASSWORD_VARIABLES.values(), *OVERRIDE_VARIABLES.values()):
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


def _list_database_files(settings: Settings) -> Iterator[Path]:
    """A SQLite file, its journals, and the queue beside it."""
    url = make_url(settings.database)
    if url.get_backend_name() == "sqlite":
        file = Path(str(url.database))
        for one in (file, file.with_suffix(".queue.db")):
            yield from (one.with_name(f"{one.name}{end}") for end in ("", "-wal", "-shm", "-journal"))


def _is_readable_by_others(file: Path) -> bool:
    """False for a file that isn't there or can't be looked at: another check says so where it matters."""
    try:
        mode = file.stat().st_mode
    except OSError:
        return False
    return (stat.S_ISREG(mode) or stat.S_ISDIR(mode)) and bool(mode & _OTHERS_PERMISSIONS)
