"""Time zones follow the pinned package `tzdata`, wherever this program starts and whatever the machine has."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest

from tests.support import ROOT
from worker.ops.machine_checks import check_time_zones, check_user, get_zone_release

#: What is started by hand or by others; each must put the pinned zones before the machine's.
ENTRIES = (
    "worker.cli",
    "worker.__main__",
    "worker.tasks",
    "worker.store.migrations.versions",
    "tests.conftest",
    "tests.doubles.google.__main__",
    "tests.doubles.graph.__main__",
    "tests.support.audit.auditor",
    "tests.support.crash_child",
    "bench.__main__",
)


@pytest.fixture(scope="module")
def old_zones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Zone files of a machine that was never updated: there every zone is UTC."""
    folder = tmp_path_factory.mktemp("zoneinfo")
    source = next(Path(path) for path in sys.path if (Path(path) / "tzdata" / "zoneinfo" / "UTC").is_file())
    for name in ("America/Vancouver", "Europe/Berlin"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((source / "tzdata" / "zoneinfo" / "UTC").read_bytes())
    return folder


#: Starts nothing that this program reads zones with; then imports each module in a process of its own.
IMPORTS_EACH = """
import os, sys
import flask, hypothesis, icalendar, jinja2, pydantic, pytest, requests, sqlalchemy
for module in sys.argv[1:]:
    if not os.fork():
        from datetime import datetime
        from zoneinfo import ZoneInfo
        before = {name for name in sys.modules if name.partition(".")[0] in ("worker", "tests", "bench")}
        ZoneInfo("America/Vancouver")
        __import__(module)
        print(module, len(before), datetime(2027, 1, 12, tzinfo=ZoneInfo("America/Vancouver")).utcoffset(), flush=True)
        os._exit(0)
    os.wait()
"""


@pytest.fixture(scope="module")
def offsets(old_zones: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """Vancouver's offset in January 2027 as each entry point reads it on such a machine."""
    env = {**os.environ, "PYTHONTZPATH": str(old_zones), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", IMPORTS_EACH, *ENTRIES]
    folder = tmp_path_factory.mktemp("elsewhere")
    done = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


@pytest.mark.parametrize("module", ENTRIES)
def test_every_entry_point_reads_the_pinned_zones(module: str, offsets: dict[str, str]) -> None:
    assert offsets[module] == "0 -1 day, 17:00:00"


def test_these_tests_read_the_pinned_zones() -> None:
    assert TZPATH == ()
    assert get_zone_release() >= "2026f"


def test_vancouver_stays_on_summer_time_from_november_2026() -> None:
    wall = datetime(2027, 1, 12, 9, tzinfo=ZoneInfo("America/Vancouver"))
    assert wall.astimezone(UTC) == datetime(2027, 1, 12, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("version", "today", "old"),
    [
        ("2026f", date(2026, 11, 28), False),
        ("2026f", date(2027, 6, 30), False),
        ("2026f", date(2027, 11, 28), True),
        ("2025b", date(2026, 11, 28), True),
        ("2024b", date(2026, 1, 1), True),
        ("nobody's", date(2026, 11, 28), True),
    ],
)
def test_zones_older_than_a_year_are_a_warning(version: str, today: date, old: bool) -> None:
    finding = check_time_zones(today, version)
    assert finding.ok
    assert version in finding.statement
    assert bool(finding.remedy) is old


def test_root_is_a_warning_and_nobody_else() -> None:
    assert [one.ok and bool(one.remedy) for one in check_user(0)] == [True]
    assert list(check_user(1000)) == []
