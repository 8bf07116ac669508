"""Tests of the log lines of the program: they have an action, may contain addresses, and contain no name or reason."""

import logging
import re

import pytest

from tests.support.companies import DAY, Office, contract
from worker.logs import Action


def test_log_lines_have_an_action_and_contain_no_name(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    """R-23: content stays out of the log. The reasons of decisions contain names, so they are in the history alone."""
    caplog.set_level(logging.INFO, "worker")
    office.run(DAY)
    office.decline(office.session())
    office.run(DAY)
    held = office.hold()
    office.worker.contracts.record(held.id, contract(office.clock()))
    office.run(DAY)
    records = [record for record in caplog.records if record.name.startswith("worker")]
    actions = {getattr(record, "action", None) for record in records}
    assert {Action.DECISION, Action.EFFECT} <= actions <= set(Action)
    text = "\n".join(f"{record.getMessage()} {record.__dict__}" for record in records)
    assert not re.search(r"\b(Dana|Sam)\b", text)
    assert "platform group" not in text  # words of the contract
    decisions = [record.getMessage() for record in records if getattr(record, "action", "") == Action.DECISION]
    assert "dana@corp.example>sam@corp.example: session career booked" in decisions
