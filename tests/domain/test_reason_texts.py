"""The English sentence of each reason, as the history keeps it."""

import ast
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import pytest

import worker.domain
from worker.domain.model import Reason, ReasonValue
from worker.domain.reason_texts import BLOCKER_NAMES, SENTENCES, format_reasons

EVENING = datetime(2026, 10, 6, 20, 30, tzinfo=UTC)
BERLIN = "Europe/Berlin"


def make_moving_reason(**values: ReasonValue) -> Reason:
    defaults: dict[str, ReasonValue] = {"what": "busy", "name": "Dana", "other": "", "start": EVENING}
    return Reason("moving", {**defaults, "end": EVENING + timedelta(hours=1), "zone": BERLIN, "count": 1, **values})


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
            Reason("other_hour", {"clock": 9 * 60 + 5, "count": 15}),
            "It is 15 minutes away from 09:05, the hour the two prefer.",
        ),
        (
            Reason("start_apart", {"at": EVENING, "zone": BERLIN, "other_zone": "UTC", "name": "Dana", "other": "Sam"}),
            "It starts at 22:30 for Dana and 20:30 for Sam.",
        ),
        (
            Reason("contract_no_margin", {"weekday": 6, "name": "Dana"}),  # 0 is Monday
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
        (
            make_moving_reason(),
            "Moving Dana's busy time of Tue 6 Oct 22:30 to 23:30 (Europe/Berlin) frees 1 starting time.",
        ),
        (
            make_moving_reason(other="Sam", count=3, zone="UTC", end=EVENING + timedelta(hours=4)),
            "Moving Dana's busy time and Sam's of Tue 6 Oct 20:30 to Wed 7 Oct 00:30 (UTC) frees 3 starting times.",
        ),
        (Reason("verbatim", {"words": "written by 100 % hand"}), "Written by 100 % hand"),
    ],
)
def test_reason_becomes_its_sentence(reason: Reason, sentence: str) -> None:
    assert format_reasons((reason,)) == sentence


def test_each_code_in_the_domain_has_a_sentence_and_each_sentence_is_used() -> None:
    """Codes are strings, so no type check compares the two sides."""
    strings = {node.value for node in ast.walk(_parse_domain()) if isinstance(node, ast.Constant)}
    codes_with_sentence = strings & set(SENTENCES)
    assert codes_with_sentence | {"verbatim"} == set(SENTENCES)
    reason_calls = [
        node for node in ast.walk(_parse_domain()) if isinstance(node, ast.Call) and ast.unparse(node.func) == "Reason"
    ]
    codes_of_calls = {node.args[0].value for node in reason_calls if isinstance(node.args[0], ast.Constant)}
    assert codes_of_calls and codes_of_calls <= set(SENTENCES)


def test_each_kind_of_busy_time_has_a_name() -> None:
    for kind in BLOCKER_NAMES:
        assert "Dana's" in format_reasons((make_moving_reason(what=kind),))


def _parse_domain() -> ast.Module:
    """Return all code of `worker.domain` in one module, without the sentences themselves."""
    folder = Path(worker.domain.__file__).parent
    paths = [path for path in sorted(folder.rglob("*.py")) if path.name != "reason_texts.py"]
    return ast.Module([node for path in paths for node in ast.parse(path.read_text("utf-8")).body], [])
