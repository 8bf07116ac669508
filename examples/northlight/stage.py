"""The stage of the demo: real servers on this machine, the real program and its Huey tasks, a clock that is stepped.

Nothing is replaced but the clock. Settings, people file and key are written as an operator would; calendars and mail
are those of a house (`examples.northlight.services`); what is due is found and done by the tasks of `worker.tasks`.
"""

import csv
import json
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from types import ModuleType
from typing import Any

from sqlalchemy import URL

from examples.northlight import people as cast
from examples.northlight.services import CalendarProgram, make_services
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import Address
from worker.errors import LongarcError
from worker.seal import generate_key
from worker.settings import load as settings_file
from worker.simulation.world import Humans, LedgerLine, make_ledger_line

#: What people did on calendars is seen when calendars are asked next, as `sync.every` has it.
POLL_EVERY = timedelta(minutes=5)

_SETTINGS = """\
# Written by the demo. Look around with:
#   LONGARC_KEY_FILE={key} longarc --config {here} status
company = {company}
database = {database}
people = "people.csv"
operator = "longarc-operator@northlight.example"

[mail]
from = "longarc@northlight.example"
operator_by = {mails}
learning = "Last quarter I learned that I decide too early which way somebody wants to grow. I ask first now."

{services}
[sync]
# Each act of a person is followed by a look at the calendars; besides, the demo looks once a day.
every = "1 day"
full_every = "7 days"
"""


class DemoStage:
    """Servers, program and clock, from `with` to its end."""

    def __init__(self, work: Path, provider: str = "caldav") -> None:
        self._work = work
        self.house = make_services(provider, work)
        self._stack = ExitStack()
        self._desks: dict[Address, CalendarProgram] = {}
        self._stirred: dict[Address, datetime] = {}
        self._told = 0
        self._broken: list[BaseException] = []
        self.clock = SteppedClock(cast.START)
        self.ledger: list[LedgerLine] = []
        self.worker: Worker
        self._tasks: ModuleType

    def __enter__(self) -> "DemoStage":
        with ExitStack() as stack:
            people = [row["email"] for row in cast.FIRST_ROWS]
            self.house.open(stack)
            stack.enter_context(_set_environment(self._write_settings()))
            settings = settings_file.load_settings(self._work / "longarc.toml", os.environ)
            self.worker = build(settings, self.clock, holder="demo")
            stack.callback(self.worker.close)
            self.worker.store.migrate()
            provider: Any = self.house.provider(self.clock)
            stack.callback(provider.close)
            mailers = self.house.mailers(self.clock)
            self.worker.services.use(calendars={self.house.calendars: provider}, mailers=mailers)
            self._start_tasks(stack)
            for person in people:
                self._fill_calendar(person)
            stack.callback(self._close_calendars)
            self._stack = stack.pop_all()
        return self

    def __exit__(self, *_: object) -> None:
        self._stack.close()

    # --- setting up -------------------------------------------------------------------------------------------------

    def _write_settings(self) -> dict[str, str]:
        """The operator's part: settings, key and people file. What has to be in the environment."""
        here, key = self._work / "longarc.toml", self._work / "key"
        self.write_people(cast.FIRST_ROWS)
        key.touch(mode=0o600)
        key.write_text(generate_key(), encoding="ascii")
        database = URL.create("sqlite", database=str(self._work / "longarc.db")).render_as_string()
        values = {"company": cast.COMPANY, "database": database, "mails": self.house.mails}
        quoted = {name: json.dumps(value) for name, value in values.items()}
        here.write_text(
            _SETTINGS.format(**quoted, here=here, key=key, services=self.house.settings()), encoding="utf-8"
        )
        return {"LONGARC_CONFIG": str(here), "LONGARC_KEY_FILE": str(key)}

    def write_people(self, rows: Sequence[cast.PeopleRow]) -> None:
        """The people file, as HR's system exports it."""
        with (self._work / "people.csv").open("w", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, (*cast.COLUMNS, "calendar", "mail"), restval="")
            writer.writeheader()
            services = {"calendar": self.house.calendars, "mail": self.house.mails}
            writer.writerows({**row, **services} for row in rows)

    def _start_tasks(self, stack: ExitStack) -> None:
        from huey.signals import SIGNAL_ERROR

        from worker import tasks  # it reads the settings when it is imported

        def broke(_signal: str, _task: object, error: BaseException | None = None) -> None:
            self._broken.append(error or LongarcError("A task failed."))

        self._tasks = tasks
        stack.enter_context(tasks.run_tasks_immediately(self.worker))
        huey: Any = tasks.huey
        huey.signal(SIGNAL_ERROR)(broke)
        stack.callback(huey.disconnect_signal, broke, SIGNAL_ERROR)

    def _fill_calendar(self, person: Address) -> None:
        """Put on somebody's calendar what stands there besides."""
        for entry in cast.CALENDARS[person]:
            text = self.open_calendar(person).add(entry, self.clock())
            if entry.with_whom:
                self.open_calendar(entry.with_whom).receive(text)

    def _close_calendars(self) -> None:
        for desk in self._desks.values():
            desk.close()

    # --- what people have in hand -----------------------------------------------------------------------------------

    def open_calendar(self, person: Address) -> CalendarProgram:
        """That person at their calendar program."""
        if person not in self._desks:
            self._desks[person] = self.house.open_calendar(person)
        return self._desks[person]

    def add_person(self, person: Address) -> None:
        """Somebody new gets a calendar."""
        self.house.add_person(person)
        self._fill_calendar(person)

    def report_change(self, person: Address) -> None:
        """Something changed on that calendar; those whose sessions stand there are asked at the next poll."""
        now = self.clock()
        seconds = POLL_EVERY.total_seconds()
        at = now + timedelta(seconds=seconds - now.timestamp() % seconds)
        for pair in self.worker.store.people.load_all_pairs():
            if person in pair.people:
                self._stirred.setdefault(pair.manager, at)

    # --- time -------------------------------------------------------------------------------------------------------

    def run_until(self, end: datetime, humans: Humans, progress: Callable[[datetime], None]) -> None:
        """Let time pass, from one instant at which something is due to the next."""
        while True:
            now = self.clock()
            self.ledger += humans.act(now)
            self._poll(now)
            self._tick()
            self._record_history(humans)
            progress(now)
            upcoming = self._find_next_instant(humans)
            if upcoming > end:
                break
            self.clock.move_to(upcoming)
        self.clock.move_to(end)

    def _poll(self, now: datetime) -> None:
        seen = [person for person, at in self._stirred.items() if at <= now]
        if seen:
            self.worker.store.calendars.make_due(seen, now)
        for person in seen:
            del self._stirred[person]

    def _tick(self) -> None:
        self._tasks.tick()
        if self._broken:
            raise self._broken[0]

    def _record_history(self, humans: Humans) -> None:
        for row in self.worker.store.queries.list_history_after(self._told):
            self._told = row["id"]
            line = make_ledger_line(row)
            if line is not None:
                self.ledger.append(line)
                humans.notice(line)

    def _find_next_instant(self, humans: Humans) -> datetime:
        earliest = self.clock() + timedelta(seconds=1)
        instants: list[datetime | None] = [*self.worker.store.next_due(), humans.next_at(), *self._stirred.values()]
        return min(max(instant, earliest) for instant in instants if instant is not None)


@contextmanager
def _set_environment(values: dict[str, str]) -> Iterator[None]:
    """These and no other settings of ours in the environment; what was there comes back."""
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
