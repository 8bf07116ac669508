"""Reasons in words: each has its sentence, in English as the history keeps it."""

import ast
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import worker.domain
from worker.domain.model import Reason, ReasonValue
from worker.domain.reason_texts import BLOCKER_NAMES, SENTENCES, format_reasons

EVENING = datetime(2026, 10, 6, 20, 30, tzinfo=UTC)
HERE = "Europe/Berlin"


def moving(**values: ReasonValue) -> Reason:
    base: dict[str, ReasonValue] = {"what": "busy", "name": "Dana", "other": "", "start": EVENING}
    return Reason("moving", {**base, "end": EVENING + timedelta(hours=1), "zone": HERE, "count": 1, **values})


@pytest.mark.parametrize(
    ("reason", "sentence"),
    [
        (Reason("target_day", {"day": date(2026, 10, 6)}), "Tue 6 Oct is the target day."),
        (
            Reason("before_target", {"day": date(2026, 10, 6), "target": date(2026, 10, 7), "count": 1}),
            "Tue 6 Oct is 1 day before the target, Wed 7 Oct.",
        ),
        (
            Reason("after_target", {"day": date(2026, 10, 6), "target": date(2026, 10, 1), "count": 5}),
            "Tue 6 Oct is 5 days after the target, Thu 1 Oct.",
        ),
        (
            Reason("other_hour", {"clock": 545, "count": 15}),
            "It is 15 minutes away from 09:05, the hour the two prefer.",
        ),
        (
            Reason("start_apart", {"at": EVENING, "zone": HERE, "other_zone": "UTC", "name": "Dana", "other": "Sam"}),
            "It starts at 22:30 for Dana and 20:30 for Sam.",
        ),
        (
            Reason("contract_no_margin", {"weekday": 6, "name": "Dana"}),
            "48 hours later it is Sunday, with no working days for Dana on the way.",
        ),
        (
            Reason("never_together", {"name": "Dana", "days": 5, "other": "Sam", "other_days": 1}),
            "Dana and Sam share no working hours in the window: Dana works on 5 days, Sam works on 1 day.",
        ),
        (Reason("just_lost", {"days": 2}), "All that is left are times just lost, on 2 days."),
        (Reason("shared", {"days": 0, "minutes": 75}), "On no days the two share 75 minutes of working hours."),
        (
            Reason("unknown", {"name": "Sam", "detail": "no access"}),
            "Sam's calendar is unknown (no access), and unknown time is never free.",
        ),
        (
            Reason("unknown", {"name": "100 % Sam", "detail": ""}),
            "100 % Sam's calendar is unknown, and unknown time is never free.",
        ),
        (moving(), "Moving Dana's busy time of Tue 6 Oct 22:30 to 23:30 (Europe/Berlin) frees 1 starting time."),
        (
            moving(other="Sam", count=3, zone="UTC", end=EVENING + timedelta(hours=4)),
            "Moving Dana's busy time and Sam's of Tue 6 Oct 20:30 to Wed 7 Oct 00:30 (UTC) frees 3 starting times.",
        ),
        (Reason("verbatim", {"words": "written by 100 % hand"}), "Written by 100 % hand"),
    ],
)
def test_a_reason_has_its_sentence(reason: Reason, sentence: str) -> None:
    assert format_reasons((reason,)) == sentence


def test_every_reason_that_is_made_can_be_said_and_every_sentence_is_of_use() -> None:
    """Codes are text: this is what keeps the two sides together."""
    texts = {node.value for node in ast.walk(_domain()) if isinstance(node, ast.Constant)}
    made = texts & set(SENTENCES)
    assert made | {"verbatim"} == set(SENTENCES)
    called = [node for node in ast.walk(_domain()) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Reason"]
    first = {node.args[0].value for node in called if isinstance(node.args[0], ast.Constant)}
    assert first and first <= set(SENTENCES)


def test_whatever_stands_in_the_way_has_a_name() -> None:
    for what in BLOCKER_NAMES:
        assert "Dana's" in format_reasons((moving(what=what),))


def _domain() -> ast.Module:
    folder = Path(worker.domain.__file__).parent
    paths = [path for path in sorted(folder.rglob("*.py")) if path.name != "reason_texts.py"]
    return ast.Module([node for path in paths for node in ast.parse(path.read_text("utf-8")).body], [])
