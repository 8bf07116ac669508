"""The tasks of the queue: a task does the work that follows from it at once, within a time budget."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.companies import DANA, KEY, SAM


def decline_session(folder: Path, budget: int) -> Any:
    """Have a session declined in a new process, and check the new time and the mails.

    `budget` is how many seconds a task may spend on the work that follows from it. Returns the result of the process.
    """
    config = folder / "longarc.toml"
    config.write_text(f'database = "sqlite:///{folder / "longarc.db"}"\n')
    environment = {"LONGARC_CONFIG": str(config), "LONGARC_KEY": KEY, "PATH": ""}
    command = [sys.executable, "-m", "tests.support.task_child", f"{budget}"]
    process = subprocess.run(
        command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False
    )
    assert process.returncode == 0, process.stderr
    result = json.loads(process.stdout)
    assert result["count"] == 1 and result["is_moved"]
    for person in (DANA, SAM):
        assert any(person in mail for mail in result["mails"])
    return result


def test_the_sync_task_does_all_work_that_follows_from_a_decline(tmp_path: Path) -> None:
    """T-10, T-12: the new time and the mails about it need no other task from the queue."""
    assert decline_session(tmp_path, budget=60)["ran"] == ["sync"]


def test_work_beyond_the_budget_waits_in_the_queue_behind_other_tasks(tmp_path: Path) -> None:
    """The booking of a whole company must not keep all workers from a new change."""
    task_names = decline_session(tmp_path, budget=0)["ran"]
    assert set(task_names) == {"sync", "sweep", "deliver"}
    assert len(task_names) > 4, "one task did work that should have waited for the next one"
