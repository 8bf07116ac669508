"""Time zones come from the pinned package `tzdata` at every entry point, and never from the machine's zone files."""

import os
import subprocess
import sys
from datetime import UTC, date, datetime
from pathlib import Path
from zoneinfo import TZPATH, ZoneInfo

import pytest

from tests.support import ROOT
from worker.ops.machine_checks import check_time_zones, check_user, get_zone_release

#: The modules that start a process. Each has to make Python read the pinned zones instead of the machine's.
ENTRY_POINTS = (
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
def wrong_zones(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of wrong zone files, in which every zone is UTC, in place of those of an outdated machine."""
    folder = tmp_path_factory.mktemp("zoneinfo")
    source = next(Path(path) for path in sys.path if (Path(path) / "tzdata" / "zoneinfo" / "UTC").is_file())
    for name in ("America/Vancouver", "Europe/Berlin"):
        (folder / name).parent.mkdir(exist_ok=True)
        (folder / name).write_bytes((source / "tzdata" / "zoneinfo" / "UTC").read_bytes())
    return folder


#: Imports the libraries once, which is slow, and then each module of the arguments in a fork of this process.
#: Prints the module, the number of our modules that were imported before it, and Vancouver's offset in January 2027.
IMPORT_SCRIPT = """
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
def offsets(wrong_zones: Path, tmp_path_factory: pytest.TempPathFactory) -> dict[str, str]:
    """What the import script printed for each entry point, on a machine with the wrong zone files."""
    env = {**os.environ, "PYTHONTZPATH": str(wrong_zones), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-c", IMPORT_SCRIPT, *ENTRY_POINTS]
    folder = tmp_path_factory.mktemp("elsewhere")
    process = subprocess.run(command, cwd=folder, env=env, capture_output=True, text=True, check=True)
    return dict(line.split(" ", 1) for line in process.stdout.splitlines())


@pytest.mark.parametrize("module", ENTRY_POINTS)
def test_every_entry_point_reads_the_pinned_zones(module: str, offsets: dict[str, str]) -> None:
    assert offsets[module] == "0 -1 day, 17:00:00"  # no module of ours was imported before, and the offset is -7 hours


def test_the_tests_read_the_pinned_zones() -> None:
    assert TZPATH == ()
    assert get_zone_release() >= "2026f"


def test_vancouver_stays_on_summer_time_from_november_2026() -> None:
    local_time = datetime(2027, 1, 12, 9, tzinfo=ZoneInfo("America/Vancouver"))
    assert local_time.astimezone(UTC) == datetime(2027, 1, 12, 16, tzinfo=UTC)


@pytest.mark.parametrize(
    ("version", "today", "is_old"),
    [
        ("2026f", date(2026, 11, 28), False),
        ("2026f", date(2027, 6, 30), False),
        ("2026f", date(2027, 11, 28), True),
        ("2025b", date(2026, 11, 28), True),
        ("2024b", date(2026, 1, 1), True),
        ("nobody's", date(2026, 11, 28), True),
    ],
)
def test_check_warns_of_zones_older_than_a_year(version: str, today: date, is_old: bool) -> None:
    finding = check_time_zones(today, version)
    assert finding.ok
    assert version in finding.statement
    assert bool(finding.remedy) is is_old


def test_check_warns_of_root_and_of_no_other_user() -> None:
    assert [finding.ok and bool(finding.remedy) for finding in check_user(0)] == [True]
    assert list(check_user(1000)) == []
