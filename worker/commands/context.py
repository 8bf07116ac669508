"""Open the settings, the database and the worker for a command."""

import gc
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

#: The file in the current folder that is read when neither `--config` nor LONGARC_CONFIG names one.
DEFAULT_SETTINGS_FILE = "longarc.toml"


def find_settings_path() -> Path | None:
    """Return the settings file that was named, or `longarc.toml` in the current folder; None when there is none."""
    named_path = get_global_options().config or os.environ.get("LONGARC_CONFIG")
    if named_path:
        return Path(named_path)
    return Path(DEFAULT_SETTINGS_FILE) if Path(DEFAULT_SETTINGS_FILE).is_file() else None


@contextmanager
def import_without_gc() -> Iterator[None]:
    """Switch the garbage collector off while the body imports many modules, and exempt their objects afterwards.

    Otherwise, garbage collection takes a large part of the time of a command.
    """
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        gc.enable()


def load_settings() -> "Settings":
    """Load the settings of this command. Raises Problems."""
    from worker.settings.load import load_settings

    return load_settings(find_settings_path(), os.environ)


@contextmanager
def open_worker(*, needs_encryption_key: bool = False) -> Iterator["Worker"]:
    """Open the worker of these settings. Raises LongarcError when the database is absent or of another version.

    `needs_encryption_key`: the command seals or opens content, so the key is required. Other commands work without the
    key: an operator can use them without being able to read sealed content.
    """
    with import_without_gc():
        from worker.app import build

    settings = load_settings()
    set_up_quiet_logging(settings)
    refuse_absent_database(settings.database)
    worker = build(settings, utcnow, store=open_store(settings, needs_encryption_key=needs_encryption_key))
    try:
        refuse_outdated_database(worker.store)
        if needs_encryption_key:
            refuse_other_key(worker.store, settings)
        yield worker
    finally:
        worker.close()


def open_store(settings: "Settings", *, needs_encryption_key: bool) -> "Store":
    """Open the database of these settings. Raises WrongKey when the key is needed and missing."""
    from worker.seal import NoSeal, Seal
    from worker.store.store import Store

    keys = [key.get_secret_value() for key in settings.keys]
    return Store(settings.database, Seal(keys) if keys or needs_encryption_key else NoSeal())


def is_database_absent(database: str) -> bool:
    """Return whether the database is a SQLite file that does not exist. Opening it would create it."""
    from sqlalchemy import make_url

    url = make_url(database)
    is_sqlite = url.get_backend_name() == "sqlite"
    return is_sqlite and url.database not in (None, "", ":memory:") and not Path(str(url.database)).exists()


def refuse_absent_database(database: str) -> None:
    """Raise LongarcError when there is no database yet."""
    if is_database_absent(database):
        raise LongarcError(
            "There is no database yet. `longarc run` makes it and begins; `longarc plan` shows what it would do."
        )


def refuse_outdated_database(store: "Store") -> None:
    """Raise LongarcError when the database has no tables, or those of another version."""
    from worker.store.inspection import get_schema_versions

    version, expected = get_schema_versions(store.database)
    if version is None:
        raise LongarcError("The database is empty. `longarc run` fills it; `longarc plan` shows what it would do.")
    if version != expected:
        raise LongarcError(
            f"The database is at version {version}, this program at {expected}. "
            "`longarc run` brings an older one up to date."
        )


def refuse_other_key(store: "Store", settings: "Settings") -> None:
    """Raise WrongKey when none of the keys in the settings opens a piece of the stored content."""
    from worker.ops.checks import open_sealed_pieces

    open_sealed_pieces(store, settings, limit=1)


def set_up_quiet_logging(settings: "Settings") -> None:
    """Log only errors while a command runs, but everything when the level in the settings is DEBUG."""
    from worker.logs import set_up_logging

    set_up_logging("DEBUG" if settings.log.level == "DEBUG" else "ERROR", settings.log.format)


def to_local_time(instant: datetime, zone: str) -> datetime:
    """Return the instant in that time zone."""
    from zoneinfo import ZoneInfo

    return instant.astimezone(ZoneInfo(zone))
