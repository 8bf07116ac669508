"""Outages: the log has a line when one begins, each hour, and when it ends; `longarc status` shows it."""

import json
import logging
import sqlite3
from datetime import datetime
from importlib import import_module
from itertools import count
from typing import Any

import pytest
import redis
from pytest import LogCaptureFixture, MonkeyPatch
from sqlalchemy.exc import OperationalError

from tests.support.companies import DANA, DAY, HOUR, KIM, MINUTE, SAM, START, Fails, Office, pair, pairs, people
from tests.support.terminal import Terminal
from worker.clock import SteppedClock, utcnow
from worker.engine.outages import DATABASE, OutageFilter, Outages
from worker.errors import Forbidden, Unavailable
from worker.ops.status import collect_status
from worker.store.calendars import CalendarFailures
from worker.store.database import DatabaseUnreachable, describe_database_outage
from worker.store.heartbeats import Heartbeat


def list_outage_lines(caplog: LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "worker.engine.outages"]


def make_queue_failure() -> logging.LogRecord:
    """Return the log record that Huey writes each time it can't read its queue."""
    try:
        raise OperationalError(
            "select", None, import_module("psycopg").OperationalError("connection refused\nbehind it")
        )
    except OperationalError as error:
        error_info = (type(error), error, error.__traceback__)
        return logging.LogRecord(
            "huey.consumer.Worker", logging.ERROR, "", 0, "Error reading from queue", (), error_info
        )


def test_an_outage_of_the_database_is_logged_at_its_start_each_hour_and_at_its_end(caplog: LogCaptureFixture) -> None:
    clock = SteppedClock(START)
    outages = Outages()
    outage_filter = OutageFilter(outages, clock)
    for _ in range(277):  # attempts within the first hour
        assert not outage_filter.filter(make_queue_failure())
    assert list_outage_lines(caplog) == [
        "The database is out of order: connection refused. It is tried again until it works."
    ]
    clock.advance(HOUR)
    assert not outage_filter.filter(make_queue_failure())
    assert "278 attempts failed" in list_outage_lines(caplog)[1]
    outages.record_recovery(DATABASE, clock() + MINUTE)
    outages.record_recovery(DATABASE, clock() + MINUTE)
    assert list_outage_lines(caplog)[2:] == ["The database works again, after 61 minutes and 278 failed attempts."]


@pytest.mark.parametrize(
    ("error", "line"),
    [
        (redis.ConnectionError(), "The queue is out of order: ConnectionError. It is tried again until it works."),
        (
            redis.ConnectionError("refused\nhere"),
            "The queue is out of order: refused. It is tried again until it works.",
        ),
        (
            sqlite3.OperationalError(),
            "The database is out of order: OperationalError. It is tried again until it works.",
        ),
    ],
)
def test_an_outage_line_shows_the_first_line_of_the_error_or_else_its_type(
    caplog: LogCaptureFixture, error: Exception, line: str
) -> None:
    outage_filter = OutageFilter(Outages(), utcnow)
    assert not outage_filter.filter(logging.LogRecord("huey", logging.ERROR, "", 0, "", (), (type(error), error, None)))
    assert list_outage_lines(caplog) == [line]


def test_an_error_that_is_no_outage_is_logged_unchanged() -> None:
    outage_filter = OutageFilter(Outages(), utcnow)
    error = ValueError("unexpected")
    record = logging.LogRecord("huey", logging.ERROR, "", 0, "task", (), (ValueError, error, None))
    assert outage_filter.filter(record)
    assert describe_database_outage(error) == ""
    assert describe_database_outage(DatabaseUnreachable("It is gone.")) == "It is gone."


def test_an_outage_of_a_service_is_logged_from_the_failures_in_the_database(caplog: LogCaptureFixture) -> None:
    """Every process logs the same outage, whichever process has noticed it."""
    outages = Outages()
    for attempts in range(1, 60):
        outages.update_services(
            {"caldav": CalendarFailures(calendars=60, failures=attempts, problem="It can't be reached.")},
            mail_failures={},
            now=START + attempts * MINUTE,
        )
    outages.update_services({}, {}, START + 60 * MINUTE)
    first_line = "The calendar service caldav is out of order: 60 calendars can't be read. It can't be reached."
    assert list_outage_lines(caplog) == [
        f"{first_line} It is tried again until it works.",
        "The calendar service caldav works again, after 59 minutes and 59 failed attempts.",
    ]


def test_texts_of_an_outage_have_the_singular_for_one(caplog: LogCaptureFixture) -> None:
    outages = Outages()
    failures = {"caldav": CalendarFailures(calendars=1, failures=1, problem="It can't be reached.")}
    outages.update_services(failures, {}, START)
    outages.update_services(failures, {}, START + HOUR)
    outages.update_services({}, {}, START + HOUR)
    outages.update_services(failures, {}, START)
    outages.update_services({}, {}, START + MINUTE)
    # the third line ends the first outage, and the fourth begins the second one
    begin, middle, _, _, end = list_outage_lines(caplog)
    assert "out of order: 1 calendar can't be read. It can't be reached." in begin
    assert middle.endswith(" UTC: 1 attempt failed.")
    assert end.endswith(", after 1 minute and 1 failed attempt.")


@pytest.mark.parametrize("error", [Unavailable, Forbidden])
def test_status_shows_a_calendar_that_cannot_be_read_with_reason_and_times(daily_office: Office, error: Any) -> None:
    daily_office.tick()
    daily_office.calendar.fail = Fails(lambda: error("It does not answer."), "changes")
    first_poll = daily_office.clock() + DAY
    daily_office.run(DAY + 40 * MINUTE)
    (unreachable,) = collect_status(daily_office.store, daily_office.clock())["unreachable"]
    assert {name: unreachable[name] for name in ("person", "service", "why")} == {
        "person": DANA,
        "service": "memory",
        "why": "It does not answer.",
    }
    assert first_poll - MINUTE <= unreachable["since"] <= first_poll + MINUTE
    assert unreachable["failures"] >= 8 and daily_office.clock() < unreachable["again"]
    assert daily_office.store.calendars.load_failures()["memory"].calendars == 1
    daily_office.calendar.fail = None
    daily_office.run(HOUR)
    assert collect_status(daily_office.store, daily_office.clock())["unreachable"] == []
    assert daily_office.store.calendars.load_failures() == {}


def test_status_shows_why_mails_could_not_be_sent_and_when_they_are_tried_again(office: Office) -> None:
    office.mailer.fail = Fails(lambda: Unavailable("The mail server does not answer."), "send")
    office.tick()
    (delayed,) = collect_status(office.store, office.clock())["tried_again"]
    assert delayed["message"] == "introduction"
    assert (delayed["count"], delayed["why"]) == (2, "The mail server does not answer.")
    assert delayed["again"] > office.clock()


def test_an_outage_of_mail_is_logged_at_its_start_and_at_its_end(office: Office, caplog: LogCaptureFixture) -> None:
    """The outage does not end while a process has claimed the mails."""
    outages = Outages()

    def update_outages(expected_count: int) -> None:
        failures = office.store.outbox.load_mail_failures("memory")
        assert sum(failure.mails for failure in failures.values()) == expected_count
        outages.update_services({}, failures, office.clock())

    office.mailer.fail = Fails(lambda: Unavailable("The mail server does not answer."), "send")
    office.tick()
    office.store.outbox.alert("calendar", "The calendar refused a write.", office.clock(), "ops@corp.example")
    office.tick()
    update_outages(3)  # two introductions, and the alert
    office.clock.move_to(office.clock() + 5 * MINUTE)
    office.store.outbox.claim(office.clock(), "another", office.clock() + MINUTE, limit=50)
    update_outages(3)
    office.mailer.fail = None
    office.run(HOUR)
    update_outages(0)
    reason = "3 mails could not be sent. The mail server does not answer."
    assert list_outage_lines(caplog) == [
        f"Sending mail by memory is out of order: {reason} It is tried again until it works.",
        "Sending mail by memory works again, after 65 minutes and 1 failed attempt.",
    ]


def test_an_outage_of_the_database_during_an_effect_makes_no_dead_letter(
    database_url: str, monkeypatch: MonkeyPatch
) -> None:
    """The effect is tried again, and performed once."""
    office = Office(database_url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)))
    disk_error = OperationalError("select", None, import_module("sqlite3").OperationalError("disk I/O error"))
    find_calendar = office.worker.services.find_calendar_of
    call_numbers = count(1)

    def find_calendar_or_fail(address: str) -> Any:
        if next(call_numbers) in (2, 3):
            raise disk_error
        return find_calendar(address)

    monkeypatch.setattr(office.worker.outbox._event_attempts, "_find_calendar_provider", find_calendar_or_fail)
    office.run(HOUR)
    assert {effect.progress.value for effect in office.effects("event.create")} == {"done"}
    assert len(office.events()) == 2
    office.close()


def store_heartbeat(terminal: Terminal, holder: str, last_beat_at: datetime) -> None:
    store = terminal.open_store()
    store.heartbeats.save_heartbeat(
        Heartbeat(
            holder=holder,
            host=f"{holder}.corp.example",
            pid=4711,
            started_at=last_beat_at - HOUR,
            seen_at=last_beat_at,
            version="1.0",
        )
    )
    store.close()


def test_status_shows_running_workers_and_workers_without_heartbeat(terminal: Terminal) -> None:
    assert "Longarc does not run." in terminal.output_of("status")
    now = utcnow()
    store_heartbeat(terminal, "one", now)
    store_heartbeat(terminal, "two", now - 10 * MINUTE)
    output = terminal.output_of("status")
    assert output.startswith("Longarc 1.0 has run since ")
    assert "1 worker on one.corp.example." in output
    assert "two.corp.example (4711): no heartbeat since" in output
    assert "1 running: one.corp.example (4711, 1.0)" in terminal.output_of("status", "--all")
    workers = json.loads(terminal.output_of("status", "--json"))["workers"]
    assert {worker["holder"]: worker["lives"] for worker in workers} == {"one": True, "two": False}
    store_heartbeat(terminal, "three", now + 2 * DAY)
    # by then the others, which had their last heartbeat two days before, are forgotten
    assert len(json.loads(terminal.output_of("status", "--json"))["workers"]) == 1


def test_the_output_of_status_fits_eighty_columns(terminal: Terminal) -> None:
    store_heartbeat(terminal, "one", utcnow())
    terminal.env["COLUMNS"] = "80"
    for command in (("status",), ("status", "--all")):
        assert max(len(line) for line in terminal.output_of(*command).splitlines()) <= 80
