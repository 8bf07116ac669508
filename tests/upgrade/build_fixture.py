"""Build the fixture of an earlier version: its database as SQL, and the events on its calendars.

    python -m tests.upgrade.build_fixture

Needs a clone with the commit. `before/scene.py`, which simulates a month of a small company, runs on a checkout of
that commit in a temporary folder.
"""

import os
import sqlite3
import subprocess
import sys
import tarfile
from io import BytesIO
from pathlib import Path
from tempfile import TemporaryDirectory

#: The version whose database, settings and people file the upgrade tests use.
COMMIT = "278dc46cffda2f23ecbf12aba2b71b87c8a35e74"
HERE = Path(__file__).parent
FOLDER = HERE / "before"
ROOT = HERE.parents[1]


def build_fixture(folder: Path = FOLDER) -> None:
    """Write `database.sql` and `calendars.json` beside the settings and the people file."""
    with TemporaryDirectory(prefix="longarc-before-") as temporary:
        checkout, database = Path(temporary) / "checkout", Path(temporary) / "longarc.db"
        archive = subprocess.run(["git", "archive", COMMIT], cwd=ROOT, capture_output=True, check=True).stdout
        with tarfile.open(fileobj=BytesIO(archive)) as tar:
            tar.extractall(checkout, filter="data")
        scene = Path(temporary) / "scene.py"
        scene.write_bytes((folder / "scene.py").read_bytes())
        command = [sys.executable, str(scene), str(folder / "longarc.toml"), str(database)]
        environment = {**os.environ, "PYTHONPATH": str(checkout)}
        subprocess.run([*command, str(folder / "calendars.json")], cwd=checkout, env=environment, check=True)
        connection = sqlite3.connect(database)
        (folder / "database.sql").write_text("\n".join(connection.iterdump()) + "\n", encoding="utf-8")
        connection.close()


if __name__ == "__main__":
    build_fixture()
