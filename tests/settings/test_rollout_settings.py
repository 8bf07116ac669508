"""The section `[rollout]` of the settings: lists of names, a first day, and one problem for each mistake."""

from datetime import date
from pathlib import Path

import pytest

from tests.support.settings_file import load_settings_text
from worker.domain.rollout import Rollout
from worker.errors import Problems


def load_rollout(folder: Path, text: str) -> Rollout:
    return load_settings_text(folder, f"[rollout]\n{text}").rollout.build_rollout()


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
def test_section_gives_a_rollout(tmp_path: Path, text: str, expected: Rollout) -> None:
    assert load_rollout(tmp_path, text) == expected


@pytest.mark.parametrize(
    ("text", "message"),
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
def test_each_mistake_gives_one_problem(tmp_path: Path, text: str, message: str) -> None:
    with pytest.raises(Problems) as error_info:
        load_rollout(tmp_path, text)
    (problem,) = error_info.value.problems
    assert message in str(problem)
