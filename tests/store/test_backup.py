"""Backups: one file format for both databases, one moment, damage, and the restoration into an empty database."""

import base64
import gzip
import io
import json
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import select

from tests.conftest import Postgres
from tests.support.companies import DANA, DAY, KEY, START, Office, contract, new_store
from worker.errors import LongarcError, Refused, WrongKey
from worker.seal import Seal, generate_key
from worker.store import tables
from worker.store.backup import restore_backup, verify_backup, write_backup
from worker.store.backup_file import BackupFile, BrokenBackup
from worker.store.database import Database, list_migrations


def ignore_progress(row_count: int) -> None:
    """Ignore the progress."""


def hold_session_and_record_contract(office: Office) -> Office:
    """Let Dana and Sam hold a session and record its contract."""
    office.run(DAY)
    held_session = office.hold()
    office.worker.contracts.record(held_session.id, contract(office.clock()))
    office.run(2 * DAY)
    return office


def back_up(office: Office, path: Path) -> BackupFile:
    with path.open("wb") as out:
        write_backup(office.store.database, out, office.clock(), ignore_progress)
    return BackupFile(path)


@pytest.fixture
def office_with_contract(office: Office) -> Office:
    return hold_session_and_record_contract(office)


@pytest.fixture(scope="module")
def backup_content() -> bytes:
    """The content of a backup. Its format is the same for both databases."""
    office, buffer = hold_session_and_record_contract(Office()), io.BytesIO()
    write_backup(office.store.database, buffer, office.clock(), ignore_progress)
    office.close()
    return buffer.getvalue()


@pytest.fixture
def backup_file(backup_content: bytes, tmp_path: Path) -> BackupFile:
    path = tmp_path / "longarc.backup"
    path.write_bytes(backup_content)
    return BackupFile(path)


@pytest.fixture
def empty_database(tmp_path: Path) -> Iterator[Database]:
    """An empty database."""
    database = Database(f"sqlite:///{tmp_path / 'empty.db'}")
    yield database
    database.close()


@pytest.fixture(params=["sqlite", "postgresql"])
def target(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    """An empty database of either kind."""
    if request.param == "sqlite":
        url = f"sqlite:///{tmp_path / 'restored.db'}"
    else:
        server: Postgres = request.getfixturevalue("postgres")
        url = server.create_empty()
    database = Database(url)
    yield database
    database.close()


def read_all(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row, except for those about running workers, in an order that is the same for both databases."""
    with database.read() as connection:
        rows = {table.name: connection.execute(select(table)).fetchall() for table in tables.metadata.sorted_tables}
    return {name: sorted(map(tuple, table_rows), key=repr) for name, table_rows in rows.items() if name != "worker"}


def restore(database: Database, backup_file: BackupFile, *, is_moved: bool = True) -> None:
    restore_backup(database, backup_file, Seal([KEY]), START + 90 * DAY, ignore_progress, is_moved=is_moved)


def test_every_row_is_restored_into_either_database(
    office_with_contract: Office, target: Database, tmp_path: Path
) -> None:
    """New rows get higher ids than the restored rows."""
    restore(target, back_up(office_with_contract, tmp_path / "longarc.backup"))
    assert read_all(target) == read_all(office_with_contract.store.database)
    assert read_all(target)["contract"]
    store = new_store(target.url.render_as_string(hide_password=False))
    store.outbox.alert("new:1", "Something new.", START + 90 * DAY, "ops@corp.example")
    with store.database.read() as connection:
        newest_first = select(tables.outbox.c.name).order_by(tables.outbox.c.id.desc())
        names = connection.execute(newest_first).scalars().all()
    store.close()
    assert names[0] == "operator_alert"


def test_header_contains_schema_time_database_and_row_count(office: Office, tmp_path: Path) -> None:
    header = back_up(office, tmp_path / "longarc.backup").read_header()
    assert (header.schema, header.at) == (list_migrations()[-1], office.clock())
    assert header.database == office.store.database.url.get_backend_name()
    assert header.row_count == sum(map(len, read_all(office.store.database).values()))


def test_verification_requires_the_key_of_all_sealed_content(backup_file: BackupFile) -> None:
    sealed_count = verify_backup(backup_file, Seal([KEY]), ignore_progress)
    assert sealed_count >= 3  # the contract and its two commitments
    assert verify_backup(backup_file, Seal([generate_key(), KEY]), ignore_progress) == sealed_count
    with pytest.raises(WrongKey, match="holds no key"):
        verify_backup(backup_file, Seal([generate_key()]), ignore_progress)


def test_r23_backup_contains_no_unsealed_content(backup_file: BackupFile) -> None:
    """R-23: content is confidential, while addresses are not."""
    backup_content = gzip.decompress(backup_file.path.read_bytes())
    # words of a commitment in `contract`
    assert b"platform group" not in backup_content
    assert DANA.encode() in backup_content


def cut_off(backup_content: bytes) -> bytes:
    return backup_content[: len(backup_content) // 2]


def flip_a_bit(backup_content: bytes) -> bytes:
    return backup_content[:200] + bytes([backup_content[200] ^ 4]) + backup_content[201:]


def leave_out_a_row(backup_content: bytes) -> bytes:
    lines = gzip.decompress(backup_content).splitlines(keepends=True)
    return gzip.compress(b"".join(lines[:5] + lines[6:]))


def change_a_value(backup_content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(backup_content).replace(b'"Dana"', b'"Dane"', 1))


def change_a_sealed_value(backup_content: bytes) -> bytes:
    """Change a sealed value, so that the key can't open it."""
    text = gzip.decompress(backup_content)
    position = text.index(base64.b64encode(b"gAAAAA")) + 40  # each sealed value begins so, and is longer than that
    other_character = b"A" if text[position : position + 1] != b"A" else b"B"
    return gzip.compress(text[:position] + other_character + text[position + 1 :])


def add_a_line(backup_content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(backup_content) + b"[]\n")


@pytest.mark.parametrize(
    "damage", [cut_off, flip_a_bit, leave_out_a_row, change_a_value, change_a_sealed_value, add_a_line]
)
def test_damaged_file_is_refused_and_nothing_is_written(
    backup_file: BackupFile, empty_database: Database, damage: Callable[[bytes], bytes]
) -> None:
    backup_file.path.write_bytes(damage(backup_file.path.read_bytes()))
    with pytest.raises(BrokenBackup, match="nothing was restored from it"):
        restore(empty_database, backup_file)
    with empty_database.read() as connection:
        assert not empty_database.engine.dialect.has_table(connection, "person")


def test_interrupted_restoration_leaves_the_database_empty(backup_file: BackupFile, target: Database) -> None:
    row_count = backup_file.read_header().row_count

    def break_off(done: int) -> None:
        if done > row_count + row_count // 2:  # all rows are verified, and half of them written
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        restore_backup(target, backup_file, Seal([KEY]), START, break_off, is_moved=True)
    with target.read() as connection:
        assert not target.engine.dialect.has_table(connection, "person")
    restore(target, backup_file)
    assert read_all(target)["contract"]


def test_file_that_is_no_backup_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "other"
    for backup_content, message in (
        (b"no gzip", "not a backup of Longarc"),
        (gzip.compress(b"{}\n"), "not a backup of Longarc"),
    ):
        path.write_bytes(backup_content)
        with pytest.raises(LongarcError, match=message):
            BackupFile(path).read_header()


def rewrite_header(backup_file: BackupFile, **fields: Any) -> None:
    first, rest = gzip.decompress(backup_file.path.read_bytes()).split(b"\n", 1)
    backup_file.path.write_bytes(gzip.compress(json.dumps(json.loads(first) | fields).encode() + b"\n" + rest))


def test_backup_of_a_newer_version_is_refused(backup_file: BackupFile) -> None:
    rewrite_header(backup_file, schema="9999")
    with pytest.raises(Refused, match="schema 9999, which this program does not know"):
        verify_backup(backup_file, Seal([KEY]), ignore_progress)
    rewrite_header(backup_file, longarc_backup=2)  # a newer format of the file
    with pytest.raises(Refused, match="newer version"):
        backup_file.read_header()


def test_database_that_is_not_empty_stays_unchanged(office: Office, backup_file: BackupFile) -> None:
    rows_before = read_all(office.store.database)
    with pytest.raises(Refused, match="is not empty, so nothing was restored"):
        restore(office.store.database, backup_file)
    assert read_all(office.store.database) == rows_before


def test_backup_contains_one_moment_while_others_write(office: Office, tmp_path: Path) -> None:
    """Rows that are written after the backup began are not in it, in any table."""
    has_begun, has_written = threading.Event(), threading.Event()

    class Gate(io.FileIO):
        """Holds the first write back until `write_meanwhile` has written."""

        def write(self, backup_content: Any) -> int:
            if not has_begun.is_set():
                has_begun.set()
                has_written.wait(20)
            return super().write(backup_content)

    def write_meanwhile() -> None:
        has_begun.wait(20)
        other_store = new_store(office.store.database.url.render_as_string(hide_password=False))
        for number in range(3):
            other_store.outbox.alert(f"meanwhile{number}:1", "Written meanwhile.", office.clock(), "ops@corp.example")
        other_store.close()
        has_written.set()

    rows_before = read_all(office.store.database)
    writer = threading.Thread(target=write_meanwhile)
    writer.start()
    path = tmp_path / "gated.backup"
    with Gate(path, "wb") as out:
        write_backup(office.store.database, out, office.clock(), ignore_progress)
    writer.join()
    assert has_written.is_set()
    counts = {table.name: table.rows for table in BackupFile(path).read_header().tables}
    assert counts == {name: len(rows) for name, rows in rows_before.items()}
    outbox = tables.outbox.name
    assert len(read_all(office.store.database)[outbox]) > counts[outbox]
    assert sum(1 for _ in BackupFile(path).read_rows()) == sum(counts.values())
