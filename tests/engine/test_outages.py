"""An outage is told once when it begins and once when it ends, however much fails; `status` says of it."""

import json
import logging
import sqlite3
from datetime import datetime
from importlib import import_module
from typing import Any

import pytest
import redis
from pytest import LogCaptureFixture, MonkeyPatch
from sqlalchemy.exc import OperationalError

from tests.support.companies import DANA, DAY, HOUR, KIM, MINUTE, SAM, START, Fails, Office, pair, pairs, people
from tests.support.terminal import Terminal
from worker.clock import utcnow
from worker.engine.outages import DATABASE, OutageFilter, Outages
from worker.errors import Forbidden, Unavailable
from worker.ops.status import collect_status
from worker.store.calendars import CalendarFailures
from worker.store.database import DatabaseUnreachable, describe_database_outage
from worker.store.heartbeats import Heartbeat


def lines(caplog: LogCaptureFixture) -> list[str]:
    return [record.getMessage() for record in caplog.records if record.name == "worker.engine.outages"]


def failing_queue() -> logging.LogRecord:
    """What Huey logs each time it can't read its queue."""
    try:
        raise OperationalError(
            "select", None, import_module("psycopg").OperationalError("connection refused\nbehind it")
        )
    except OperationalError as error:
        told = (type(error), error, error.__traceback__)
        return logging.LogRecord("huey.consumer.Worker", logging.ERROR, "", 0, "Error reading from queue", (), told)


def test_an_outage_of_the_database_is_one_line_at_its_start_and_one_at_its_end(caplog: LogCaptureFixture) -> None:
    now = [START]
    outages = Outages()
    keeps = OutageFilter(outages, lambda: now[0])
    for _ in range(277):
        assert not keeps.filter(failing_queue())
    assert lines(caplog) == ["The database is out of order: connection refused. It is tried again until it works."]
    now[0] += HOUR
    assert not keeps.filter(failing_queue())
    assert "278 attempts failed" in lines(caplog)[1]
    outages.record_recovery(DATABASE, now[0] + MINUTE)
    outages.record_recovery(DATABASE, now[0] + MINUTE)
    assert lines(caplog)[2:] == ["The database works again, after 61 minutes and 278 failed attempts."]


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
def test_an_error_without_text_is_named_by_its_type(caplog: LogCaptureFixture, error: Exception, line: str) -> None:
    keeps = OutageFilter(Outages(), utcnow)
    assert not keeps.filter(logging.LogRecord("huey", logging.ERROR, "", 0, "", (), (type(error), error, None)))
    assert lines(caplog) == [line]


def test_what_is_no_outage_is_logged_as_it_is() -> None:
    keeps = OutageFilter(Outages(), utcnow)
    mistake = ValueError("nobody foresaw it")
    record = logging.LogRecord("huey", logging.ERROR, "", 0, "task", (), (ValueError, mistake, None))
    assert keeps.filter(record)
    assert describe_database_outage(mistake) == ""
    assert describe_database_outage(DatabaseUnreachable("It is gone.")) == "It is gone."


def test_a_service_out_of_order_is_told_by_what_the_database_knows(caplog: LogCaptureFixture) -> None:
    """Whichever process found it out: each tells the same."""
    outages = Outages()
    for attempts in range(1, 60):
        outages.update_services(
            {"caldav": CalendarFailures(60, attempts, "It can't be reached.")}, {}, START + attempts * MINUTE
        )
    outages.update_services({}, {}, START + 60 * MINUTE)
    begun = "The calendar service caldav is out of order: 60 calendars can't be read. It can't be reached."
    assert lines(caplog) == [
        f"{begun} It is tried again until it works.",
        "The calendar service caldav works again, after 59 minutes and 59 failed attempts.",
    ]


@pytest.mark.parametrize("error", [Unavailable, Forbidden])
def test_a_calendar_that_can_t_be_read_says_since_when_why_and_when_again(daily_office: Office, error: Any) -> None:
    daily_office.tick()
    daily_office.calendar.fail = Fails(lambda: error("It does not answer."), "changes")
    begun = daily_office.clock() + DAY
    daily_office.run(DAY + 40 * MINUTE)
    told = collect_status(daily_office.store, daily_office.clock())
    (one,) = told["unreachable"]
    assert {name: one[name] for name in ("person", "service", "why")} == {
        "person": DANA,
        "service": "memory",
        "why": "It does not answer.",
    }
    assert begun - MINUTE <= one["since"] <= begun + MINUTE
    assert one["failures"] >= 8 and daily_office.clock() < one["again"]
    assert daily_office.store.calendars.load_failures()["memory"].calendars == 1
    daily_office.calendar.fail = None
    daily_office.run(HOUR)
    told = collect_status(daily_office.store, daily_office.clock())
    assert told["unreachable"] == [] and daily_office.store.calendars.load_failures() == {}


def test_a_mail_that_could_not_leave_says_why_and_when_it_is_tried_again(office: Office) -> None:
    office.mailer.fail = Fails(lambda: Unavailable("The mail server does not answer."), "send")
    office.tick()
    (one,) = collect_status(office.store, office.clock())["tried_again"]
    assert (one["message"], one["count"], one["why"]) == ("introduction", 2, "The mail server does not answer.")
    assert one["again"] > office.clock()


def test_an_outage_of_mail_is_one_line_at_its_start_and_one_at_its_end(
    office: Office, caplog: LogCaptureFixture
) -> None:
    """While one of the mails is in somebody's hands it is not over."""
    outages = Outages()

    def compare(count: int) -> None:
        unsent = office.store.outbox.load_mail_failures("memory")
        assert sum(one.mails for one in unsent.values()) == count
        outages.update_services({}, unsent, office.clock())

    office.mailer.fail = Fails(lambda: Unavailable("The mail server does not answer."), "send")
    office.tick()
    office.store.outbox.alert("calendar", "The calendar refused a write.", office.clock(), "ops@corp.example")
    office.tick()
    compare(3)
    office.clock.move_to(office.clock() + 5 * MINUTE)
    office.store.outbox.claim(office.clock(), "another", office.clock() + MINUTE, 50)
    compare(3)
    office.mailer.fail = None
    office.run(HOUR)
    compare(0)
    why = "3 mails could not be sent. The mail server does not answer."
    assert lines(caplog) == [
        f"Sending mail by memory is out of order: {why} It is tried again until it works.",
        "Sending mail by memory works again, after 65 minutes and 1 failed attempts.",
    ]


def test_a_database_that_goes_in_the_middle_makes_no_dead_letter(database_url: str, monkeypatch: MonkeyPatch) -> None:
    """What asks the store while an effect is performed may find it gone; the effect is tried again, and done once."""
    office = Office(database_url, people(DANA, SAM, KIM), pairs(pair(), pair(DANA, KIM)))
    gone = OperationalError("select", None, import_module("sqlite3").OperationalError("disk I/O error"))
    whole = office.worker.services.find_calendar_of
    left = [3]

    def interrupted(address: str) -> Any:
        left[0] -= 1
        if left[0] in (0, 1):
            raise gone
        return whole(address)

    monkeypatch.setattr(office.worker.outbox, "_find_calendar_provider", interrupted)
    office.run(HOUR)
    assert {m.progress.value for m in office.messages("event.create")} == {"done"}
    assert len(office.events()) == 2
    office.close()


def beat(terminal: Terminal, holder: str, seen_at: datetime) -> None:
    store = terminal.open_store()
    store.heartbeats.save_heartbeat(Heartbeat(holder, f"{holder}.corp.example", 4711, seen_at - HOUR, seen_at, "1.0"))
    store.close()


def test_status_says_who_lives_and_who_died(terminal: Terminal) -> None:
    assert "Longarc does not run." in terminal.output_of("status")
    now = utcnow()
    beat(terminal, "one", now)
    beat(terminal, "two", now - 10 * MINUTE)
    told = terminal.output_of("status")
    assert told.startswith("Longarc 1.0 has run since ")
    assert "1 worker on one.corp.example." in told
    assert "two.corp.example (4711): no heartbeat since" in told
    assert "1 running: one.corp.example (4711, 1.0)" in terminal.output_of("status", "--all")
    workers = json.loads(terminal.output_of("status", "--json"))["workers"]
    assert {one["holder"]: one["lives"] for one in workers} == {"one": True, "two": False}
    beat(terminal, "three", now + 2 * DAY)
    assert len(json.loads(terminal.output_of("status", "--json"))["workers"]) == 1, "long ago is forgotten"


def test_status_fits_eighty_columns(terminal: Terminal) -> None:
    beat(terminal, "one", utcnow())
    terminal.env["COLUMNS"] = "80"
    for words in (("status",), ("status", "--all")):
        assert max(len(line) for line in terminal.output_of(*words).splitlines()) <= 80
