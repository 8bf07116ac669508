"""The tasks of the queue: what follows from one is done at once."""

import json
import subprocess
import sys
from pathlib import Path
from typing import Any

from tests.support import ROOT
from tests.support.companies import DANA, KEY, SAM


def decline(folder: Path, budget: int) -> Any:
    """Have a conversation declined. Returns what became of it."""
    config = folder / "longarc.toml"
    config.write_text(f'database = "sqlite:///{folder / "longarc.db"}"\n')
    environment = {"LONGARC_CONFIG": str(config), "LONGARC_KEY": KEY, "PATH": ""}
    command = [sys.executable, "-m", "tests.support.task_child", f"{budget}"]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["count"] == 1 and found["is_moved"]
    assert [one for one in (DANA, SAM) if any(one in mail for mail in found["mails"])] == [DANA, SAM]
    return found


def test_a_decline_is_followed_through_by_the_task_that_reads_it(tmp_path: Path) -> None:
    """T-10, T-12: another time and the mails about it, without a task that waits in the queue again for each step."""
    assert decline(tmp_path, budget=60)["ran"] == ["sync"]


def test_what_is_left_after_the_budget_waits_in_the_queue_behind_other_tasks(tmp_path: Path) -> None:
    """A whole company that is booked must not keep every worker from a change that was just told."""
    ran = decline(tmp_path, budget=0)["ran"]
    assert set(ran) == {"sync", "sweep", "deliver"} and len(ran) > 4
