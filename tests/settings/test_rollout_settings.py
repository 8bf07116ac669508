"""The section `[rollout]`: lists of names, a first day, and each slip in one line."""

from datetime import date
from pathlib import Path

import pytest

from worker.domain.rollout import Rollout
from worker.errors import Problems
from worker.settings.load import load_settings


def read(folder: Path, text: str) -> Rollout:
    (folder / "longarc.toml").write_text(f"[rollout]\n{text}", encoding="utf-8")
    return load_settings(folder / "longarc.toml", {}).rollout.build_rollout()


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", Rollout()),
        ('groups = ["Sales ", "Sales", "R&D  Lab"]', Rollout(groups=("Sales", "R&D Lab"))),
        ('managers = ["Dana@Corp.example"]\naddresses = []', Rollout(managers=("dana@corp.example",), addresses=())),
        ("start = 2027-01-11", Rollout(start=date(2027, 1, 11))),
        ('start = "2027-01-11"', Rollout(start=date(2027, 1, 11))),
    ],
)
def test_lists_and_a_first_day_are_read(tmp_path: Path, text: str, expected: Rollout) -> None:
    assert read(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "said"),
    [
        (
            'groups = "Sales"',
            'longarc.toml:2: rollout.groups: This is not a list of texts. Write for example `["Sales"]`',
        ),
        ('groups = [""]', "rollout.groups: This is not a list of texts."),
        ('managers = ["dana"]', "longarc.toml:2: rollout.managers: `dana` is not an e-mail address."),
        ("start = 2027-01-11T10:00:00Z", "rollout.start: This is not a date. Write it as year-month-day"),
        ('start = "soon"', "rollout.start: `soon` is not a date."),
        ("start = 1999-01-11", "rollout.start: `1999-01-11` is too far away."),
        ('people = ["a@x.de"]', "longarc.toml:2: rollout.people: This key is not known. It belongs above the first"),
    ],
)
def test_each_slip_is_one_line(tmp_path: Path, text: str, said: str) -> None:
    with pytest.raises(Problems) as raised:
        read(tmp_path, text)
    (problem,) = raised.value.problems
    assert said in str(problem)
