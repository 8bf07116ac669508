"""`longarc backup` and `longarc restore`: write the whole database to one file, and fill an empty database from it.

A backup of SQLite can be restored to PostgreSQL, and the other way round.
"""

import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from worker import private_files
from worker.clock import utcnow
from worker.commands.base import Command
from worker.commands.context import (
    is_database_absent,
    load_settings,
    open_store,
    open_worker,
    set_up_quiet_logging,
)
from worker.commands.terminal import print_line, show_progress
from worker.commands.written_files import refuse_unsuitable_file
from worker.domain.counts import format_count

if TYPE_CHECKING:
    from worker.settings.load import Settings
    from worker.store.backup_file import BackupHeader
    from worker.store.database import Database
    from worker.store.store import Store

#: The value of FILE that stands for standard output.
STANDARD_OUTPUT = "-"
KEY_REMINDER = "The key is not in it; without the key, what people wrote can't be opened. Keep key and backup apart."


@click.command("backup", cls=Command, short_help="Write the whole database to a file, while the service runs.")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it is a backup.")
def backup(file: Path, force: bool) -> None:
    """Write the whole database to FILE, or to standard output with - as FILE.

    The backup shows the database at one moment. Workers may run while it is written. FILE is written whole or not at
    all, and only its owner can read it. What people wrote is sealed in FILE, and the key is not in FILE.
    """
    if str(file) == STANDARD_OUTPUT:
        if sys.stdout.isatty():
            raise click.UsageError("A backup is not text for a terminal: send it to a file or another program.")
        with open_worker() as worker:
            header = _write_with_progress(worker.store.database, sys.stdout.buffer)
        click.echo(f"{_describe_backup(header)}. {KEY_REMINDER}", err=True)
        return
    from worker.store.backup_file import is_backup

    refuse_unsuitable_file(
        file, "a backup of Longarc", is_backup, replaces=force, other_way=", or send the backup to `-` instead"
    )
    with open_worker() as worker, private_files.write_whole(file) as out:
        header = _write_with_progress(worker.store.database, out)
    print_line(f"{file} was written: {_describe_backup(header)}.", "green")
    print_line(KEY_REMINDER, "dim")


def _write_with_progress(database: "Database", out: IO[bytes]) -> "BackupHeader":
    from worker.store.backup import count_rows, write_backup

    with show_progress("Written", total=count_rows(database)) as report_progress:
        return write_backup(database, out, utcnow(), report_progress)


def _describe_backup(header: "BackupHeader") -> str:
    rows = format_count(header.row_count, "row")
    return f"{rows} at schema {header.schema}, as of {header.at:%Y-%m-%d %H:%M:%S} UTC"


@click.command("restore", cls=Command, short_help="Fill an empty database from a backup.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--moved", is_flag=True, help="The database is only moved: no worker has run since the backup.")
def restore(file: Path, moved: bool) -> None:
    """Fill the empty database of the settings from FILE, which `longarc backup` wrote from SQLite or PostgreSQL.

    FILE is read twice. The first reading checks that FILE is whole, and that the key opens everything that is sealed in
    it. Then everything is restored, or nothing. The workers find out by themselves what has changed since the backup.
    """
    from worker.ops.checks import refuse_unwritable_database
    from worker.seal import Seal
    from worker.store.backup import require_empty, restore_backup
    from worker.store.backup_file import BackupFile

    settings, source = load_settings(), BackupFile(file)
    set_up_quiet_logging(settings)
    header = source.read_header()
    refuse_unwritable_database(settings.database)
    with _open_new_store(settings) as store:
        seal = Seal([key.get_secret_value() for key in settings.keys])
        with store.database.read() as connection:
            require_empty(store.database, connection)
        with show_progress("Checked, then restored", total=2 * header.row_count) as report_progress:
            piece_count = restore_backup(store.database, source, seal, utcnow(), report_progress, is_moved=moved)
    if piece_count:
        sealed_text = f"The key opens all that is sealed in it ({format_count(piece_count, 'piece')})."
    else:
        sealed_text = "Nothing in it is sealed."
    print_line(f"Restored: {_describe_backup(header)}. {sealed_text}", "green")
    print_line("Run `longarc check`, which tries everything. Then start `longarc run` again.")


@contextmanager
def _open_new_store(settings: "Settings") -> Iterator["Store"]:
    """Open the database of the settings. After an error, delete a SQLite file that was created here and is empty."""
    from worker.store.inspection import list_tables

    was_absent = is_database_absent(settings.database)
    with closing(open_store(settings, needs_encryption_key=True)) as store:
        try:
            yield store
        except BaseException:
            is_new_and_empty = was_absent and not list_tables(store.database)
            store.close()  # which deletes the journals
            if is_new_and_empty:
                Path(str(store.database.url.database)).unlink()
            raise
