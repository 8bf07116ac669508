"""Tests of habits: time zone and working hours that the people file leaves out are read from the calendar service.

Each mailbox is read at the first import and then once a week. The operator is alerted when a time zone stays unknown.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from sqlalchemy import event

from tests.doubles.graph import Double, make_section
from tests.support.companies import DAY, START, settings
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.time.worktime import parse_hours
from worker.engine.habits import HABITS_INTERVAL_DAYS
from worker.errors import Problems
from worker.providers.outlook import calendar

HEADER = "email,name,manager,time_zone,country,working_hours,calendar,mail\n"
DANA, SAM = "dana@corp.example", "sam@corp.example"


@pytest.fixture
def double() -> Iterator[Double]:
    with Double() as running_double:
        yield running_double


@pytest.fixture
def worker(double: Double, tmp_path: Path) -> Iterator[Worker]:
    worker = build(
        settings(f"sqlite:///{tmp_path / 'longarc.db'}", people=str(tmp_path / "people.csv")), SteppedClock(START)
    )
    worker.store.migrate()
    worker.services.use(calendars={"outlook": calendar.build_calendar(make_section(double))})
    yield worker
    worker.close()


def import_rows(worker: Worker, *rows: str) -> dict[str, Any]:
    """Import a people file with these rows, which must change something. Returns the current people."""
    Path(worker.settings.people).write_text(HEADER + "\n".join(rows) + "\n", encoding="utf-8")
    assert worker.import_people()
    return worker.store.people.load_current_people()


def test_mailbox_fills_in_habits_that_the_people_file_lacks(worker: Worker, double: Double) -> None:
    double.world.add_person(DANA, "Asia/Tokyo")
    double.world.add_person(SAM, "Europe/Berlin")
    people = import_rows(
        worker,
        f"{DANA},Dana,,,DE,,outlook,memory",
        f"{SAM},Sam,{DANA},Europe/London,GB,Mon-Thu 10:00-16:00,outlook,memory",
    )
    # the double gives each mailbox these hours
    assert (people[DANA].zone, people[DANA].hours) == ("Asia/Tokyo", parse_hours("Mon-Fri 08:30-17:00"))
    assert (people[SAM].zone, people[SAM].hours) == ("Europe/London", parse_hours("Mon-Thu 10:00-16:00"))


def test_second_import_does_not_read_the_mailbox_again(worker: Worker, double: Double) -> None:
    double.world.add_person(DANA, "Asia/Tokyo")
    import_rows(worker, f"{DANA},Dana,,,DE,,outlook,memory")
    people = import_rows(worker, f"{DANA},Dana D.,,,DE,,outlook,memory")
    assert (people[DANA].name, people[DANA].zone) == ("Dana D.", "Asia/Tokyo")
    assert double.counts["GET mailboxSettings"] == 1


def test_mailbox_is_read_once_on_the_day_of_the_first_import(worker: Worker, double: Double) -> None:
    """This holds also if that day is the weekday on which the mailbox is read from then on."""
    addresses = (f"m{number}@corp.example" for number in range(100))
    address = next(email for email in addresses if crc32(email.encode()) % HABITS_INTERVAL_DAYS == START.weekday())
    double.world.add_person(address, "Asia/Tokyo")
    import_rows(worker, f"{address},Dana,,,DE,,outlook,memory")
    assert not worker.import_people()
    assert double.counts["GET mailboxSettings"] == 1


def test_mailbox_is_read_again_once_a_week(worker: Worker, double: Double) -> None:
    """People move, and the people file does not change then."""
    double.world.add_person(DANA, "Asia/Tokyo")
    import_rows(worker, f"{DANA},Dana,,,DE,Mon-Thu 10:00-16:00,outlook,memory")
    double.world.add_person(DANA).settings["timeZone"] = "Europe/Berlin"
    import_results = [import_a_day_later(worker) for _ in range(14)]
    person = worker.store.people.load_current_people()[DANA]
    assert (person.zone, person.hours) == ("Europe/Berlin", parse_hours("Mon-Thu 10:00-16:00"))
    # one import found the new time zone; the mailbox was read at the first import and in each of the two weeks
    assert (sum(import_results), double.counts["GET mailboxSettings"]) == (1, 3)


@pytest.mark.parametrize("is_in_force", [True, False])
def test_mailboxes_of_people_outside_the_rollout_are_not_read(
    is_in_force: bool, double: Double, tmp_path: Path
) -> None:
    """Mailboxes of people whom the rollout adds later are read at the next import.

    `is_in_force` is whether the participation is updated from the settings before that import, or only after it.
    """
    names = {name: f"{name}@corp.example" for name in ("dana", "sam", "kim", "lee")}
    for address in names.values():
        double.world.add_person(address, "Asia/Tokyo")
    rows = "".join(
        f"{names[name]},{name},{manager and names[manager]},,DE,,outlook,memory\n"
        for name, manager in (("dana", ""), ("sam", "dana"), ("kim", ""), ("lee", "kim"))
    )
    (tmp_path / "people.csv").write_text(HEADER + rows)
    # zones of Dana, Sam, Kim and Lee: Tokyo is read from the mailbox, UTC stands for a zone that was not read
    tokyo, unread = "Asia/Tokyo", "UTC"
    for managers, read_count, zones in (
        (["dana"], 2, [tokyo, tokyo, unread, unread]),
        (["dana", "kim"], 4, [tokyo, tokyo, tokyo, tokyo]),
    ):
        rollout = {"managers": [names[name] for name in managers]}
        database = f"sqlite:///{tmp_path / 'longarc.db'}"
        worker_settings = settings(database, people=str(tmp_path / "people.csv"), rollout=rollout)
        worker = build(worker_settings, SteppedClock(START))
        worker.store.migrate()
        worker.services.use(calendars={"outlook": calendar.build_calendar(make_section(double))})
        if is_in_force:
            worker.participation.update()
        worker.import_people()
        worker.participation.update()
        with record_statements(worker) as statements:
            assert not worker.import_people(), "a second import changed something"
        # without a change, the import loads no complete rows of people or pairs
        assert not [sql for sql in statements if "person.name" in sql or "pair.first_seen" in sql]
        people = worker.store.people.load_current_people()
        assert [people[address].zone for address in names.values()] == zones
        assert double.counts["GET mailboxSettings"] == read_count
        assert worker.store.outbox.count_by_progress() == {}, "an alert is about people outside the rollout"
        worker.close()


@contextmanager
def record_statements(worker: Worker) -> Iterator[list[str]]:
    """Yield a list to which each SQL statement on the worker's database is added."""
    statements: list[str] = []

    def record(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    engine = worker.store.database.engine
    event.listen(engine, "before_cursor_execute", record)
    yield statements
    event.remove(engine, "before_cursor_execute", record)


def test_time_zone_stays_when_the_mailbox_can_not_be_read_again(worker: Worker, double: Double) -> None:
    double.world.add_person(DANA, "Asia/Tokyo")
    import_rows(worker, f"{DANA},Dana,,,DE,,outlook,memory")
    double.world.mailboxes.pop(DANA)
    assert not any(import_a_day_later(worker) for _ in range(7))
    assert worker.store.people.load_current_people()[DANA].zone == "Asia/Tokyo"
    assert not worker.store.outbox.count_by_progress()


def import_a_day_later(worker: Worker) -> bool:
    """Import the people a day later. Returns whether that changed anything."""
    clock = worker.clock
    assert isinstance(clock, SteppedClock)
    clock.move_to(clock() + DAY)
    return worker.import_people()


@pytest.mark.parametrize(
    "mailbox_settings",
    [{"timeZone": "", "workingHours": {}}, {"timeZone": "tzone://Microsoft/Custom"}, None],
    ids=["empty", "custom zone", "no mailbox"],
)
def test_operator_is_alerted_when_the_time_zone_is_unknown(
    worker: Worker, double: Double, mailbox_settings: dict[str, Any] | None
) -> None:
    if mailbox_settings is not None:
        double.world.add_person(DANA).settings = {"workingHours": {}, **mailbox_settings}
    people = import_rows(worker, f"{DANA},Dana,,,DE,,outlook,memory")
    # what everybody has whose time zone and hours are unknown
    assert (people[DANA].zone, people[DANA].hours) == ("UTC", parse_hours("Mon-Fri 09:00-17:00"))
    assert worker.store.outbox.count_by_progress() == {"waiting": 1}


@pytest.mark.parametrize("service", ["memory", "google"])
def test_file_needs_time_zones_for_services_without_habits(worker: Worker, service: str) -> None:
    """A connected Google account can't read the settings of other people's calendars."""
    with pytest.raises(Problems, match="time zone is missing"):
        import_rows(worker, f"{DANA},Dana,,,DE,,{service},memory")
