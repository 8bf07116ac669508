"""A backup is one file for both databases: whole or refused, of one moment, and restored into an empty database."""

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
from tests.support.companies import DAY, KEY, START, Office, contract, new_store
from worker.errors import LongarcError, Refused, WrongKey
from worker.seal import Seal, generate_key
from worker.store import tables
from worker.store.backup import restore_backup, verify_backup, write_backup
from worker.store.backup_file import BackupFile, BrokenBackup
from worker.store.database import Database, list_migrations


def nothing(done: int) -> None:
    """Watches no progress."""


def live(office: Office) -> Office:
    """Dana and Sam, after a talk and its contract."""
    office.run(DAY)
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.run(2 * DAY)
    return office


def back_up(office: Office, file: Path) -> BackupFile:
    with file.open("wb") as out:
        write_backup(office.store.database, out, office.clock(), nothing)
    return BackupFile(file)


@pytest.fixture
def lived(office: Office) -> Office:
    return live(office)


@pytest.fixture(scope="module")
def content() -> bytes:
    """A backup, whose form is the same for either database."""
    office, out = live(Office()), io.BytesIO()
    write_backup(office.store.database, out, office.clock(), nothing)
    office.close()
    return out.getvalue()


@pytest.fixture
def file(content: bytes, tmp_path: Path) -> BackupFile:
    path = tmp_path / "longarc.backup"
    path.write_bytes(content)
    return BackupFile(path)


@pytest.fixture
def empty(tmp_path: Path) -> Iterator[Database]:
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
        url = server.empty()
    database = Database(url)
    yield database
    database.close()


def read_all(database: Database) -> dict[str, list[tuple[Any, ...]]]:
    """Every row but those of the processes at work, in an order that both databases share."""
    with database.read() as connection:
        rows = {one.name: connection.execute(select(one)).fetchall() for one in tables.metadata.sorted_tables}
    return {name: sorted(map(tuple, found), key=repr) for name, found in rows.items() if name != "worker"}


def restore(database: Database, file: BackupFile, *, is_moved: bool = True) -> None:
    restore_backup(database, file, Seal([KEY]), START + 90 * DAY, nothing, is_moved=is_moved)


def test_every_row_comes_back_in_either_database(lived: Office, target: Database, tmp_path: Path) -> None:
    """And new rows are numbered after the old ones."""
    restore(target, back_up(lived, tmp_path / "longarc.backup"))
    assert read_all(target) == read_all(lived.store.database)
    assert read_all(target)["contract"]
    store = new_store(target.url.render_as_string(hide_password=False))
    store.outbox.alert("new:1", "Something new.", START + 90 * DAY, "ops@corp.example")
    with store.database.read() as connection:
        newest = connection.execute(select(tables.outbox.c.id, tables.outbox.c.name)).fetchall()
    store.close()
    assert max(newest)[1] == "operator_alert"


def test_the_header_says_what_the_file_is(office: Office, tmp_path: Path) -> None:
    header = back_up(office, tmp_path / "longarc.backup").read_header()
    assert (header.schema, header.at) == (list_migrations()[-1], office.clock())
    assert header.database == office.store.database.url.get_backend_name()
    assert header.row_count == sum(map(len, read_all(office.store.database).values()))


def test_the_key_opens_all_that_is_sealed_or_nothing_is_restored(file: BackupFile) -> None:
    sealed = verify_backup(file, Seal([KEY]), nothing)
    assert sealed >= 3  # the contract and its two promises
    assert verify_backup(file, Seal([generate_key(), KEY]), nothing) == sealed
    with pytest.raises(WrongKey, match="holds no key"):
        verify_backup(file, Seal([generate_key()]), nothing)


def test_nothing_that_was_said_is_in_the_file_in_the_clear(file: BackupFile) -> None:
    """R-23."""
    content = gzip.decompress(file.path.read_bytes())
    assert b"platform group" not in content
    assert b"dana@corp.example" in content


def cut_off(content: bytes) -> bytes:
    return content[: len(content) // 2]


def flip_a_bit(content: bytes) -> bytes:
    return content[:200] + bytes([content[200] ^ 4]) + content[201:]


def leave_out_a_row(content: bytes) -> bytes:
    lines = gzip.decompress(content).splitlines(keepends=True)
    return gzip.compress(b"".join(lines[:5] + lines[6:]))


def change_a_value(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content).replace(b'"Dana"', b'"Dane"', 1))


def change_a_sealed_value(content: bytes) -> bytes:
    """Which can't be opened then, as with a wrong key."""
    text = gzip.decompress(content)
    position = text.index(base64.b64encode(b"gAAAAA")) + 40
    return gzip.compress(
        text[:position] + (b"A" if text[position : position + 1] != b"A" else b"B") + text[position + 1 :]
    )


def add_a_line(content: bytes) -> bytes:
    return gzip.compress(gzip.decompress(content) + b"[]\n")


@pytest.mark.parametrize(
    "damage", [cut_off, flip_a_bit, leave_out_a_row, change_a_value, change_a_sealed_value, add_a_line]
)
def test_a_damaged_file_is_refused_and_nothing_is_written(
    file: BackupFile, empty: Database, damage: Callable[[bytes], bytes]
) -> None:
    file.path.write_bytes(damage(file.path.read_bytes()))
    with pytest.raises(BrokenBackup, match="nothing was restored from it"):
        restore(empty, file)
    with empty.read() as connection:
        assert not empty.engine.dialect.has_table(connection, "person")


def test_a_restoration_that_breaks_off_leaves_the_database_empty(file: BackupFile, target: Database) -> None:
    rows = file.read_header().row_count

    def break_off(done: int) -> None:
        if done > rows + rows // 2:
            raise OSError("no space left")

    with pytest.raises(OSError, match="no space left"):
        restore_backup(target, file, Seal([KEY]), START, break_off, is_moved=True)
    with target.read() as connection:
        assert not target.engine.dialect.has_table(connection, "person")
    restore(target, file)
    assert read_all(target)["contract"]


def test_a_file_of_another_kind_is_refused(tmp_path: Path) -> None:
    other = tmp_path / "other"
    for content, words in ((b"no gzip", "damaged"), (gzip.compress(b"{}\n"), "not a backup of Longarc")):
        other.write_bytes(content)
        with pytest.raises(LongarcError, match=words):
            BackupFile(other).read_header()


def rewrite_header(file: BackupFile, **fields: Any) -> None:
    first, rest = gzip.decompress(file.path.read_bytes()).split(b"\n", 1)
    file.path.write_bytes(gzip.compress(json.dumps(json.loads(first) | fields).encode() + b"\n" + rest))


def test_a_backup_of_a_newer_version_is_refused(file: BackupFile) -> None:
    rewrite_header(file, schema="9999")
    with pytest.raises(Refused, match="schema 9999, which this program does not know"):
        verify_backup(file, Seal([KEY]), nothing)
    rewrite_header(file, longarc_backup=2)
    with pytest.raises(Refused, match="newer version"):
        file.read_header()


def test_a_database_that_is_not_empty_is_left_as_it_is(office: Office, file: BackupFile) -> None:
    before = read_all(office.store.database)
    with pytest.raises(Refused, match="is not empty, so nothing was restored"):
        restore(office.store.database, file)
    assert read_all(office.store.database) == before


def test_a_backup_shows_one_moment_while_others_write(office: Office, tmp_path: Path) -> None:
    """Rows that are written once the backup has begun are not in it, whichever table they belong to."""
    began, wrote = threading.Event(), threading.Event()

    class Gate(io.FileIO):
        def write(self, content: Any) -> int:
            if not began.is_set():
                began.set()
                wrote.wait(20)
            return super().write(content)

    def write_meanwhile() -> None:
        began.wait(20)
        other = new_store(office.store.database.url.render_as_string(hide_password=False))
        for number in range(3):
            other.outbox.alert(f"meanwhile{number}:1", "Written meanwhile.", office.clock(), "ops@corp.example")
        other.close()
        wrote.set()

    before = read_all(office.store.database)
    writer = threading.Thread(target=write_meanwhile)
    writer.start()
    path = tmp_path / "gated.backup"
    with Gate(path, "wb") as out:
        write_backup(office.store.database, out, office.clock(), nothing)
    writer.join()
    assert wrote.is_set()
    counts = {one.name: one.rows for one in BackupFile(path).read_header().tables}
    assert counts == {name: len(rows) for name, rows in before.items()}
    assert len(read_all(office.store.database)["message"]) > counts["message"]
    assert sum(1 for _ in BackupFile(path).read_rows()) == sum(counts.values())
