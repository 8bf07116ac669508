"""`longarc backup` and `longarc restore`: the whole database in one file, for SQLite and PostgreSQL alike."""

import sys
from contextlib import closing
from pathlib import Path
from typing import IO, TYPE_CHECKING

import click

from worker import private_files
from worker.clock import utcnow
from worker.commands.base import Command
from worker.commands.context import load_settings, open_store, open_worker, set_up_quiet_logging
from worker.commands.terminal import format_count, print_line, show_progress
from worker.errors import LongarcError

if TYPE_CHECKING:
    from worker.store.backup_file import BackupHeader
    from worker.store.database import Database

#: FILE for standard output.
STANDARD_OUTPUT = "-"
KEY_REMINDER = "The key is not in it; without the key, what people wrote can't be opened. Keep the two apart."


@click.command("backup", cls=Command, short_help="Write the whole database to a file, while the service runs.")
@click.argument("file", type=click.Path(dir_okay=False, allow_dash=True, path_type=Path))
@click.option("--force", is_flag=True, help="Replace FILE if it exists.")
def backup(file: Path, force: bool) -> None:
    """Write the whole database to FILE, or to standard output with - as FILE.

    It shows one moment, and workers go on meanwhile. FILE is written whole or not at all, and only its owner can read
    it. What people wrote is sealed in it; the key is not in it.
    """
    if str(file) == STANDARD_OUTPUT:
        if sys.stdout.isatty():
            raise click.UsageError("A backup is no text for a terminal: send it to a file or another program.")
        with open_worker() as worker:
            header = _write(worker.store.database, sys.stdout.buffer)
        click.echo(f"{_describe(header)}. {KEY_REMINDER}", err=True)
        return
    if file.exists() and not force:
        raise LongarcError(f"{file} exists already. Name another file, or replace it with --force.")
    with open_worker() as worker, private_files.write_whole(file) as out:
        header = _write(worker.store.database, out)
    print_line(f"{file} was written: {_describe(header)}.", "green")
    print_line(KEY_REMINDER, "dim")


def _write(database: "Database", out: IO[bytes]) -> "BackupHeader":
    from worker.store.backup import count_rows, write_backup

    total = count_rows(database)
    with show_progress("Written", total) as show:
        return write_backup(database, out, utcnow(), show)


def _describe(header: "BackupHeader") -> str:
    rows = format_count(header.row_count, "row")
    return f"{rows} at schema {header.schema}, as of {header.at:%Y-%m-%d %H:%M:%S} UTC"


@click.command("restore", cls=Command, short_help="Fill an empty database from a backup.")
@click.argument("file", type=click.Path(exists=True, dir_okay=False, path_type=Path))
@click.option("--moved", is_flag=True, help="No worker has run since the backup: the database only moves.")
def restore(file: Path, moved: bool) -> None:
    """Fill the empty database of the settings from FILE, which `longarc backup` wrote, of either kind of database.

    The file is read twice: first to see that it is whole, and that the key opens all that is sealed in it. Then all is
    restored, or nothing. The workers find out by themselves what has happened since the backup was made.
    """
    from worker.ops.checks import refuse_unwritable
    from worker.seal import Seal
    from worker.store.backup import require_empty, restore_backup
    from worker.store.backup_file import BackupFile

    settings, source = load_settings(), BackupFile(file)
    set_up_quiet_logging(settings)
    header = source.read_header()
    refuse_unwritable(settings.database)
    with closing(open_store(settings, needs_encryption_key=True)) as store:
        seal = Seal([key.get_secret_value() for key in settings.keys])
        with store.database.read() as connection:
            require_empty(store.database, connection)
        with show_progress("Checked, then restored", 2 * header.row_count) as show:
            pieces = restore_backup(store.database, source, seal, utcnow(), show, is_moved=moved)
    opened = f"The key opens all that is sealed in it ({pieces:,} pieces)." if pieces else "Nothing in it is sealed."
    print_line(f"Restored: {_describe(header)}. {opened}", "green")
    print_line("`longarc check` tries everything; then `longarc run` goes on.")
