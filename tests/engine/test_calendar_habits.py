"""Whose zone and hours the people file leaves out, and whose calendar tells them: asked once, and said when unknown."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from zlib import crc32

import pytest
from sqlalchemy import event

from tests.doubles.graph import Double, section
from tests.support.companies import DAY, START, settings
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.time.worktime import parse_hours
from worker.engine.habits import HABITS_INTERVAL_DAYS
from worker.errors import Problems
from worker.providers.outlook import calendar

HEAD = "email,name,manager,time_zone,country,working_hours,calendar,mail\n"
DANA, SAM = "dana@corp.example", "sam@corp.example"


@pytest.fixture
def double() -> Iterator[Double]:
    with Double() as running:
        yield running


@pytest.fixture
def worker(double: Double, tmp_path: Path) -> Iterator[Worker]:
    made = build(
        settings(f"sqlite:///{tmp_path / 'longarc.db'}", people=str(tmp_path / "people.csv")), SteppedClock(START)
    )
    made.store.migrate()
    made.services.use(calendars={"outlook": calendar.build_calendar(section(double))})
    yield made
    made.close()


def took_over(worker: Worker, *rows: str) -> dict[str, Any]:
    Path(worker.settings.people).write_text(HEAD + "\n".join(rows) + "\n", encoding="utf-8")
    assert worker.import_people()
    return worker.store.people.load_current_people()


def test_what_the_file_does_not_say_the_mailbox_says(worker: Worker, double: Double) -> None:
    double.world.add_person(DANA, "Asia/Tokyo")
    double.world.add_person(SAM, "Europe/Berlin")
    people = took_over(
        worker,
        f"{DANA},Dana,,,DE,,outlook,memory",
        f"{SAM},Sam,{DANA},Europe/London,GB,Mon-Thu 10:00-16:00,outlook,memory",
    )
    assert (people[DANA].zone, people[DANA].hours) == ("Asia/Tokyo", parse_hours("Mon-Fri 08:30-17:00"))
    assert (people[SAM].zone, people[SAM].hours) == ("Europe/London", parse_hours("Mon-Thu 10:00-16:00"))


def test_a_mailbox_is_asked_once(worker: Worker, double: Double) -> None:
    double.world.add_person(DANA, "Asia/Tokyo")
    took_over(worker, f"{DANA},Dana,,,DE,,outlook,memory")
    people = took_over(worker, f"{DANA},Dana D.,,,DE,,outlook,memory")
    assert (people[DANA].name, people[DANA].zone) == ("Dana D.", "Asia/Tokyo")
    assert double.counts["GET mailboxSettings"] == 1


def test_a_mailbox_is_not_asked_again_on_the_day_of_the_first_import(worker: Worker, double: Double) -> None:
    """Also when that day is the weekday on which it is asked from then on."""
    addresses = (f"m{number}@corp.example" for number in range(100))
    address = next(one for one in addresses if crc32(one.encode()) % HABITS_INTERVAL_DAYS == START.weekday())
    double.world.add_person(address, "Asia/Tokyo")
    took_over(worker, f"{address},Dana,,,DE,,outlook,memory")
    assert not worker.import_people()
    assert double.counts["GET mailboxSettings"] == 1


def test_a_mailbox_is_asked_again_once_a_week(worker: Worker, double: Double) -> None:
    """Somebody moves, or works other hours: the next conversations go by that, though the file is the same."""
    double.world.add_person(DANA, "Asia/Tokyo")
    took_over(worker, f"{DANA},Dana,,,DE,Mon-Thu 10:00-16:00,outlook,memory")
    double.world.add_person(DANA).settings["timeZone"] = "Europe/Berlin"
    changed = [_a_day_later(worker) for _ in range(14)]
    person = worker.store.people.load_current_people()[DANA]
    assert (person.zone, person.hours) == ("Europe/Berlin", parse_hours("Mon-Thu 10:00-16:00"))
    assert (sum(changed), double.counts["GET mailboxSettings"]) == (1, 3)


@pytest.mark.parametrize("is_in_force", [True, False])
def test_a_pilot_asks_the_calendars_of_its_people_alone(is_in_force: bool, double: Double, tmp_path: Path) -> None:
    """Who comes to take part later is asked then, at once: also before the settings that say so are in force."""
    names = {name: f"{name}@corp.example" for name in ("dana", "sam", "kim", "lee")}
    for address in names.values():
        double.world.add_person(address, "Asia/Tokyo")
    people = "".join(
        f"{names[name]},{name},{manager and names[manager]},,DE,,outlook,memory\n"
        for name, manager in (("dana", ""), ("sam", "dana"), ("kim", ""), ("lee", "kim"))
    )
    (tmp_path / "people.csv").write_text(HEAD + people)
    for managers, asked, zones in ((["dana"], 2, "JJUU"), (["dana", "kim"], 4, "JJJJ")):
        chosen = {"managers": [names[name] for name in managers]}
        company = settings(f"sqlite:///{tmp_path / 'longarc.db'}", people=str(tmp_path / "people.csv"), rollout=chosen)
        worker = build(company, SteppedClock(START))
        worker.store.migrate()
        worker.services.use(calendars={"outlook": calendar.build_calendar(section(double))})
        if is_in_force:
            worker.participation.update()
        worker.import_people()
        worker.participation.update()
        with record_statements(worker) as statements:
            assert not worker.import_people(), "nobody is asked again"
        assert not [one for one in statements if "person.name" in one or "pair.first_seen" in one], (
            "no row is read whole"
        )
        known = worker.store.people.load_current_people()
        assert [known[names[name]].zone for name in names] == [{"J": "Asia/Tokyo", "U": "UTC"}[zone] for zone in zones]
        assert double.counts["GET mailboxSettings"] == asked
        assert worker.store.outbox.count_by_progress() == {}, "nothing is said of those who take no part"
        worker.close()


@contextmanager
def record_statements(worker: Worker) -> Iterator[list[str]]:
    """Collect what SQLAlchemy sends to the worker's database."""
    statements: list[str] = []

    def record(connection: object, cursor: object, statement: str, *rest: object) -> None:
        statements.append(statement)

    engine = worker.store.database.engine
    event.listen(engine, "before_cursor_execute", record)
    yield statements
    event.remove(engine, "before_cursor_execute", record)


def test_a_mailbox_that_can_t_be_asked_again_said_what_it_said_before(worker: Worker, double: Double) -> None:
    double.world.add_person(DANA, "Asia/Tokyo")
    took_over(worker, f"{DANA},Dana,,,DE,,outlook,memory")
    double.world.mailboxes.pop(DANA)
    assert not any(_a_day_later(worker) for _ in range(7))
    assert worker.store.people.load_current_people()[DANA].zone == "Asia/Tokyo"
    assert not worker.store.outbox.count_by_progress()


def _a_day_later(worker: Worker) -> bool:
    clock = worker.clock
    assert isinstance(clock, SteppedClock)
    clock.move_to(clock() + DAY)
    return worker.import_people()


@pytest.mark.parametrize("said", [{"timeZone": "", "workingHours": {}}, {"timeZone": "tzone://Microsoft/Custom"}, None])
def test_where_nobody_knows_the_operator_is_told(worker: Worker, double: Double, said: dict[str, Any] | None) -> None:
    if said is not None:
        double.world.add_person(DANA).settings = {"workingHours": {}, **said}
    people = took_over(worker, f"{DANA},Dana,,,DE,,outlook,memory")
    assert (people[DANA].zone, people[DANA].hours) == ("UTC", parse_hours("Mon-Fri 09:00-17:00"))
    assert worker.store.outbox.count_by_progress() == {"waiting": 1}


@pytest.mark.parametrize("service", ["memory", "google"])
def test_of_other_calendars_the_file_has_to_say_it(worker: Worker, service: str) -> None:
    """Google's connected accounts know of nobody else's calendar."""
    with pytest.raises(Problems, match="time zone is missing"):
        took_over(worker, f"{DANA},Dana,,,DE,,{service},memory")
