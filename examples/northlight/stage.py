"""The stage of the demo: real servers, the real program with its Huey tasks, and a clock that the demo advances.

Only the clock is replaced. Settings, people file and key are files, as an operator would write them. The calendar and
mail services are those of `examples.northlight.services`; the tasks of `worker.tasks` do the work.
"""

import csv
import json
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL

from examples.northlight import people as cast
from examples.northlight.page_copies import BASE_URL, PageReader
from examples.northlight.services import CalendarProgram, make_services
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.commands.terminal import name_program
from worker.domain.model import Address
from worker.errors import LongarcError
from worker.seal import generate_key
from worker.settings import load as settings_file
from worker.simulation.world import Humans, LedgerLine, make_ledger_line
from worker.web.server import PageServer

#: Changes on a calendar are read at the next multiple of this time, as if `sync.every` had this value.
POLL_EVERY = timedelta(minutes=5)

_SETTINGS = """\
# Written by the demo. Look around with:
#   LONGARC_KEY_FILE={key} {program} --config {config} status
company = {company}
database = {database}
people = "people.csv"
operator = {operator}
base_url = {base_url}

[pages]
listen = "127.0.0.1:0"
# The clock stands still while people read.
per_minute = 10000

[mail]
from = "longarc@northlight.example"
operator_by = {mails}

{services}
[sync]
# Calendars are read after each action of a person, and once a day.
every = "1 day"
near = "1 day"
full_every = "7 days"
"""


def name_installed_program() -> str:
    """Return what a user has to type for the command `longarc` of the environment in which the demo runs."""
    return name_program(Path(sys.executable).with_name("longarc"))


class DemoStage:
    """Runs servers, program and clock within a `with` block."""

    def __init__(self, work: Path, provider: str = "caldav") -> None:
        self._work = work
        self.services = make_services(provider, work)
        self._stack = ExitStack()
        self._programs: dict[Address, CalendarProgram] = {}
        self._poll_times: dict[Address, datetime] = {}  #: when the calendar of each manager is to be polled next
        self._last_history_id = 0
        self._task_errors: list[BaseException] = []
        self.clock = SteppedClock(cast.START)
        self.ledger: list[LedgerLine] = []
        self.worker: Worker
        self.pages: PageReader
        self._tasks: ModuleType

    def __enter__(self) -> "DemoStage":
        with ExitStack() as stack:
            people = [row["email"] for row in cast.FIRST_ROWS]
            self.services.open(stack)
            stack.enter_context(_set_environment(self._write_settings()))
            settings = settings_file.load_settings(self._work / "longarc.toml", os.environ)
            self.worker = build(settings, self.clock, holder="demo")
            stack.callback(self.worker.close)
            self.worker.store.migrate()
            provider: Any = self.services.build_provider(self.clock)
            stack.callback(provider.close)
            mailers = self.services.build_mailers(self.clock)
            self.worker.services.use(calendars={self.services.calendar_service: provider}, mailers=mailers)
            self._start_tasks(stack)
            server = stack.enter_context(PageServer(self.worker))
            self.pages = PageReader(self.worker, server, self.services.mail_folder)
            for person in people:
                self._fill_calendar(person)
            stack.callback(self._close_calendars)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- setting up ---------------------------------------------------------------------------------------------------

    def _write_settings(self) -> dict[str, str]:
        """Write settings, key and people file. Return the environment variables that name them."""
        config = self._work / "longarc.toml"
        key = self._work / "key"
        self.write_people(cast.FIRST_ROWS)
        key.touch(mode=0o600)
        key.write_text(generate_key(), encoding="ascii")
        database = URL.create("sqlite", database=str(self._work / "longarc.db")).render_as_string()
        values = {
            "company": cast.COMPANY,
            "operator": cast.OPERATOR,
            "base_url": BASE_URL,
            "database": database,
            "mails": self.services.mail_service,
        }
        quoted = {name: json.dumps(value) for name, value in values.items()}
        config.write_text(
            _SETTINGS.format(
                **quoted,
                config=shlex.quote(str(config)),
                key=shlex.quote(str(key)),
                program=name_installed_program(),
                services=self.services.format_settings(),
            ),
            encoding="utf-8",
        )
        return {"LONGARC_CONFIG": str(config), "LONGARC_KEY_FILE": str(key)}

    def write_people(self, rows: Sequence[cast.PeopleRow]) -> None:
        """Write the people file, as an HR system exports it."""
        with (self._work / "people.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, (*cast.COLUMNS, "calendar", "mail"), restval="")
            writer.writeheader()
            services = {"calendar": self.services.calendar_service, "mail": self.services.mail_service}
            writer.writerows({**row, **services} for row in rows)

    def _start_tasks(self, stack: ExitStack) -> None:
        from huey.signals import SIGNAL_ERROR

        from worker import tasks  # it reads the settings when it is imported

        def record_error(_signal: str, _task: object, error: BaseException | None = None) -> None:
            self._task_errors.append(error or LongarcError("A task failed."))

        self._tasks = tasks
        stack.enter_context(tasks.run_tasks_immediately(self.worker))
        huey: Any = tasks.huey
        huey.signal(SIGNAL_ERROR)(record_error)
        stack.callback(huey.disconnect_signal, record_error, SIGNAL_ERROR)

    def _fill_calendar(self, person: Address) -> None:
        """Add the other events of a person to the calendar."""
        for entry in cast.CALENDARS[person]:
            text = self.open_calendar(person).add(entry, self.clock())
            if entry.attendee:
                self.open_calendar(entry.attendee).receive(text)

    def _close_calendars(self) -> None:
        for program in self._programs.values():
            program.close()

    # --- calendars of people ------------------------------------------------------------------------------------------

    def open_calendar(self, person: Address) -> CalendarProgram:
        """Return the calendar program of a person; it is opened once."""
        if person not in self._programs:
            self._programs[person] = self.services.open_calendar(person)
        return self._programs[person]

    def add_person(self, person: Address) -> None:
        """Create and fill the calendar of a new person."""
        self.services.add_person(person)
        self._fill_calendar(person)

    def report_change(self, person: Address) -> None:
        """Note a change on a calendar: the managers of this person are polled at the next poll time."""
        now = self.clock()
        seconds = POLL_EVERY.total_seconds()
        at = now + timedelta(seconds=seconds - now.timestamp() % seconds)
        for pair in self.worker.store.people.load_all_pairs():
            if person in pair.people:
                self._poll_times.setdefault(pair.manager, at)

    # --- time ---------------------------------------------------------------------------------------------------------

    def run_until(self, end: datetime, humans: Humans, progress: Callable[[datetime], None]) -> None:
        """Advance the clock to `end`, from each instant at which something is due to the next."""
        while True:
            now = self.clock()
            self.ledger += humans.act(now)
            self._poll(now)
            self._tick()
            self._record_history(humans)
            self.pages.read_new_mails()
            progress(now)
            next_instant = self._find_next_instant(humans)
            if next_instant > end:
                break
            self.clock.move_to(next_instant)
        self.clock.move_to(end)

    def _poll(self, now: datetime) -> None:
        """Make the calendars due whose poll time has come."""
        due_people = [person for person, at in self._poll_times.items() if at <= now]
        if due_people:
            self.worker.store.calendars.make_due(due_people, now)
        for person in due_people:
            del self._poll_times[person]

    def _tick(self) -> None:
        """Run the tasks of one tick. Raises the first error of a task."""
        self._tasks.tick()
        if self._task_errors:
            raise self._task_errors[0]

    def _record_history(self, humans: Humans) -> None:
        for row in self.worker.store.queries.list_history_after(self._last_history_id):
            self._last_history_id = row["id"]
            line = make_ledger_line(row)
            if line is not None:
                self.ledger.append(line)
                humans.handle_line(line)

    def _find_next_instant(self, humans: Humans) -> datetime:
        earliest = self.clock() + timedelta(seconds=1)
        instants: list[datetime | None] = [
            *self.worker.store.load_next_due(),
            humans.find_next_time(),
            *self._poll_times.values(),
        ]
        return min(max(instant, earliest) for instant in instants if instant is not None)


@contextmanager
def _set_environment(values: dict[str, str]) -> Iterator[None]:
    """Replace all LONGARC_ variables of the environment; restore them at the end."""
    before = {name: value for name, value in os.environ.items() if name.startswith("LONGARC_")}
    _replace_environment(before, values)
    try:
        yield
    finally:
        _replace_environment(values, before)


def _replace_environment(old: Mapping[str, str], new: Mapping[str, str]) -> None:
    for name in old:
        os.environ.pop(name, None)
    os.environ.update(new)
