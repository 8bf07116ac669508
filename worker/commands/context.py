"""Opening what a command works on: the settings, and the worker on its database."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING

from worker.clock import utcnow
from worker.commands.base import get_global_options
from worker.errors import LongarcError

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.settings.load import Settings
    from worker.store.store import Store

#: Read where the command is given, when nobody names another file.
DEFAULT_SETTINGS_FILE = "longarc.toml"


def find_settings_path() -> Path | None:
    """The settings file that was named, or the one that lies here; None when there is none."""
    named = get_global_options().config or os.environ.get("LONGARC_CONFIG")
    if named:
        return Path(named)
    return Path(DEFAULT_SETTINGS_FILE) if Path(DEFAULT_SETTINGS_FILE).is_file() else None


def load_settings() -> "Settings":
    """The settings in force. Raises Problems."""
    from worker.settings.load import load_settings

    return load_settings(find_settings_path(), os.environ)


@contextmanager
def open_worker(*, seals: bool = False) -> Iterator["Worker"]:
    """The worker of these settings, on a database that is there and up to date.

    With `seals`, the command writes or opens what people said to each other and needs the key it was sealed with.
    Without, none is needed: an operator can look after everything without being able to open what is sealed.
    """
    from worker.app import build

    found = load_settings()
    set_up_quiet_logging(found)
    refuse_absent_database(found.database)
    worker = build(found, utcnow, store=open_store(found, seals=seals))
    try:
        refuse_outdated_database(worker.store)
        if seals:
            refuse_other_key(worker.store, found)
        yield worker
    finally:
        worker.close()


def open_store(found: "Settings", *, seals: bool) -> "Store":
    """The database of these settings. Raises WrongKey when `seals` and there is no key."""
    from worker.seal import NoSeal, Seal
    from worker.store.store import Store

    keys = [key.get_secret_value() for key in found.keys]
    return Store(found.database, Seal(keys) if keys or seals else NoSeal())


def is_database_absent(database: str) -> bool:
    """True for a SQLite file that isn't there: looking into it would make it."""
    from sqlalchemy import make_url

    url = make_url(database)
    lite = url.get_backend_name() == "sqlite"
    return lite and url.database not in (None, "", ":memory:") and not Path(str(url.database)).exists()


def refuse_absent_database(database: str) -> None:
    """Raises LongarcError when there is no database yet."""
    if is_database_absent(database):
        raise LongarcError(
            "There is no database yet. `longarc run` makes it and begins; `longarc plan` shows what it would do."
        )


def refuse_outdated_database(store: "Store") -> None:
    """Raises LongarcError when the database has no tables, or those of another version."""
    from worker.store.statistics import Statistics

    now, head = Statistics(store.database).get_schema_versions()
    if now is None:
        raise LongarcError("The database is empty. `longarc run` fills it; `longarc plan` shows what it would do.")
    if now != head:
        raise LongarcError(
            f"The database is at version {now}, this program at {head}. `longarc run` brings an older one up to date."
        )


def refuse_other_key(store: "Store", found: "Settings") -> None:
    """Raises WrongKey when what is stored was sealed with keys that we don't have: we would add what nobody can read
    together with the rest."""
    from worker.ops.checks import open_sealed_pieces

    open_sealed_pieces(store, found, limit=1)


def set_up_quiet_logging(found: "Settings") -> None:
    """Only what somebody should know of goes to standard error while a command runs."""
    from worker.logs import set_up_logging

    set_up_logging("DEBUG" if found.log.level == "DEBUG" else "ERROR", found.log.format)


def to_local_time(instant: datetime, zone: str) -> datetime:
    """The instant as the clocks of that zone show it."""
    from zoneinfo import ZoneInfo

    return instant.astimezone(ZoneInfo(zone))
