"""Benchmark of a large company: reading and resolving its roster, comparing it with the stored one, and planning.

The export has the form of Workday, with managers by employee number and Windows time zones. In the second export some
people have joined or left, or have another manager or department. Then every pair is planned for the first time, with
calendars that are half full and answer at once. All steps run in one process of their own, so that the peak memory is
theirs. Times are CPU times.
"""

import csv
import json
import random
import resource
import subprocess
import sys
from bisect import bisect_left
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from time import process_time
from zlib import crc32

from cryptography.fernet import Fernet

from worker.clock import SteppedClock
from worker.domain.model import Address, BusyTime, FreeBusy, Participation, Policy, Span
from worker.engine.roster_reader import RosterReader
from worker.engine.sweep import Sweep
from worker.ops.roster_changes import find_changes
from worker.providers.memory import MemoryCalendar
from worker.seal import Seal
from worker.settings.load import Settings, load_settings
from worker.store.store import Store

PEOPLE = 50_000
REPORTS_PER_MANAGER = 8
#: Of so many people, one joins, one leaves, one gets another manager, and one another department.
CHANGE_EVERY = 100
NOW = datetime(2027, 1, 11, 6, tzinfo=UTC)
ZONES = (
    ("W. Europe Standard Time", "Germany"),
    ("(UTC+00:00) Dublin, Edinburgh, Lisbon, London", "United Kingdom"),
    ("Eastern Standard Time", "USA"),
    ("Asia/Kolkata", "IND"),
)
#: The share of the time from 6 to 20 o'clock UTC that is busy, the number of different calendars, and their length in
#: days, which is longer than planning looks ahead.
LOAD, CALENDAR_COUNT, AHEAD_DAYS = 0.55, 64, 300
HEADER = ("Employee ID", "Worker", "Work Email", "Manager ID", "Time Zone", "Country", "Department", "Status")


def write_export(path: Path, *, is_changed: bool) -> None:
    """Write the first export, or with `is_changed` the second one, in whose second half people have changed."""
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for number in range(PEOPLE + (PEOPLE // CHANGE_EVERY if is_changed else 0)):
            # of the second export: 0 leaves, 1 has another manager, 2 another department; all other numbers: no change
            change = number % CHANGE_EVERY if is_changed and number >= PEOPLE // 2 else -1
            manager = (number - 1) // REPORTS_PER_MANAGER - (change == 1) if number else ""
            zone, country = ZONES[find_branch(number) % len(ZONES)]
            group = f"Department {number // 200}" + (" (new)" if change == 2 else "")
            status = "Terminated" if change == 0 else "Active"
            name, email = f"Doe {number}, Ann", f"ann.doe.{number}@bench.example"
            writer.writerow((number, name, email, manager, zone, country, group, status))


class HalfFullCalendars(MemoryCalendar):
    """A calendar service in which people share `CALENDAR_COUNT` calendars. Meetings take `LOAD` of the time."""

    people_per_request = 50

    def __init__(self) -> None:
        super().__init__()
        self._calendars = [tuple(_list_meetings(random.Random(number))) for number in range(CALENDAR_COUNT)]
        self._starts = [[item.span.start for item in calendar] for calendar in self._calendars]

    def free_busy(self, people: Sequence[Address], window: Span) -> Mapping[Address, FreeBusy]:
        return {who: FreeBusy(self._list_busy(crc32(who.encode()) % CALENDAR_COUNT, window)) for who in people}

    def _list_busy(self, number: int, window: Span) -> tuple[BusyTime, ...]:
        first, last = (bisect_left(self._starts[number], instant) for instant in (window.start, window.end))
        return self._calendars[number][first:last]


def _list_meetings(rng: random.Random) -> Iterator[BusyTime]:
    day = NOW.replace(hour=6) - timedelta(days=30)
    for _ in range(AHEAD_DAYS):
        start = day
        while start.hour < 20:
            length = timedelta(minutes=rng.choice((30, 60)))
            if day.weekday() < 5 and rng.random() < LOAD:
                yield BusyTime(Span(start, start + length))
            start += length
        day += timedelta(days=1)


def find_branch(number: int) -> int:
    """Return the number of the direct report of the company's head above that person. A branch is all in one zone."""
    while number > REPORTS_PER_MANAGER:
        number = (number - 1) // REPORTS_PER_MANAGER
    return number


@contextmanager
def record_time(name: str, seconds: dict[str, float]) -> Iterator[None]:
    """Store the CPU time of the block under this name."""
    began_at = process_time()
    yield
    seconds[name] = process_time() - began_at


def measure() -> list[tuple[str, str]]:
    """Return seconds of each step, and the peak memory of all of them."""
    child = subprocess.run([sys.executable, "-m", "bench.roster"], check=True, capture_output=True, text=True)
    figures = json.loads(child.stdout.splitlines()[-1])
    rows = [(f"{PEOPLE:,} people: {name}", f"{took:.1f} s") for name, took in figures["seconds"].items()]
    return [
        *rows,
        ("together, with peak memory", f"{sum(figures['seconds'].values()):.1f} s, {figures['megabytes']} MB"),
    ]


def _measure_in_this_process(folder: Path) -> dict[str, object]:
    (folder / "longarc.toml").write_text(
        f'database = "sqlite:///{folder}/longarc.db"\n[roster]\ncalendar = "memory"\nmail = "memory"\n'
    )
    settings = load_settings(folder / "longarc.toml", {"LONGARC_KEY": Fernet.generate_key().decode()})
    store = Store(settings.database, Seal([key.get_secret_value() for key in settings.keys]))
    store.migrate()
    seconds: dict[str, float] = {}
    write_export(folder / "people.csv", is_changed=False)
    with record_time("read and resolve", seconds):
        roster = RosterReader(settings, store).read(NOW).roster
    with record_time("write to an empty database", seconds):
        store.people.apply_import(roster.persons, roster.pairs, NOW, roster.aliases)
    del roster
    write_export(folder / "people.csv", is_changed=True)
    _preview(settings, store, seconds)
    _plan(store, seconds)
    store.close()
    return {"seconds": seconds, "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024}


def _preview(settings: Settings, store: Store, seconds: dict[str, float]) -> None:
    with record_time("read and resolve a changed export", seconds):
        roster = RosterReader(settings, store).read(NOW).roster
    with record_time("compare it with what is stored", seconds):
        preview = store.people.preview_import(roster.persons, roster.pairs, roster.aliases)
    with record_time("preview what each change does", seconds):
        changes = find_changes(preview, roster, store, lambda _: Participation.YES, Policy(), NOW)
    if not (changes.joiners and changes.leavers and changes.manager_changes and changes.setting_changes):
        raise AssertionError("the second export has to change something of each kind")
    with record_time("write the changes", seconds):
        store.people.apply_import(roster.persons, roster.pairs, NOW, roster.aliases)


def _plan(store: Store, seconds: dict[str, float]) -> None:
    calendar = HalfFullCalendars()
    sweep = Sweep(store, lambda people: {"memory": (calendar, people)}, SteppedClock(NOW), Policy(), "")
    with record_time("plan the first conversation of every pair", seconds):
        booked = sum(any(session.booked for session in planned_pair.plan.sessions) for planned_pair in sweep.preview())
    if booked < 0.9 * PEOPLE:
        raise AssertionError(f"only {booked:,} pairs got a time")


def main() -> None:
    with TemporaryDirectory() as folder:
        sys.stdout.write(json.dumps(_measure_in_this_process(Path(folder))) + "\n")


if __name__ == "__main__":
    main()
