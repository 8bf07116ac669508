"""Benchmark of the requests to Google with channels and without, counted on the double in stepped time.

People change their calendars in their working hours. Polling every five minutes is compared with channels, and these
with the fewest lists possible: a full read a day, and a list for each change of an organizer's calendar, where changes
within five seconds count as one.
"""

import json
from bisect import insort
from collections import Counter
from collections.abc import Callable
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from tempfile import TemporaryDirectory
from typing import Any

from pydantic import SecretStr

from bench.company import TEAM_SIZE, build_company
from tests.doubles.google.hands import GoogleHands
from tests.doubles.google.server import Google, RecordedRequest
from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.channels import HINT_MERGE_PERIOD
from worker.domain.model import Address, Person, Span
from worker.domain.time.worktime import list_spells
from worker.providers.google import calendar as google_calendar
from worker.providers.google.auth import EVENTS_READ_SCOPE, OWNED_EVENTS_SCOPE
from worker.providers.memory import MemoryMailer
from worker.seal import Seal, generate_key
from worker.settings.load import Settings
from worker.store.store import Store
from worker.web.server import PageServer

START = datetime(2027, 3, 1, 0, tzinfo=UTC)
MANAGERS = 5
#: How often a calendar is changed by its owner on a working day.
MANAGER_CHANGES, REPORT_CHANGES = 8, 5
#: The weeks before the requests are counted, the weeks in which they are, and the weeks of a quarter.
WEEKS_BEFORE, WEEKS, QUARTER = 1, 1, 13
#: The address to which the double sends notifications; it routes them to this machine.
PUBLIC = "https://longarc.example"
#: Kinds of requests: Google's names, and `time` for reading a person's free/busy.
LIST, WATCH, STOP, TIME = "events.list", "events.watch", "channels.stop", "time"
_QUARTER_HOUR, _DAY = timedelta(minutes=15), timedelta(days=1)


@dataclass
class BusyPeople:
    """People who put events on their calendars and take them off while they work."""

    hands: GoogleHands
    persons: dict[Address, Person]
    managers: set[Address]
    random: Random = field(default_factory=lambda: Random(7))
    planned: list[tuple[datetime, Address]] = field(default_factory=list)  #: when who changes something, in order
    entries: dict[Address, list[str]] = field(default_factory=dict)  #: the ids of the events of each person

    def plan_days(self, first: datetime, days: int) -> None:
        """Plan at random when everybody changes something on these days."""
        for who, person in self.persons.items():
            for number in range(days):
                for spell in list_spells(person, (first + number * _DAY).date()):
                    for _ in range(MANAGER_CHANGES if who in self.managers else REPORT_CHANGES):
                        seconds = self.random.randrange(int((spell.end - spell.start).total_seconds()))
                        insort(self.planned, (spell.start + timedelta(seconds=seconds), who))

    def act(self, now: datetime) -> None:
        """Make the changes whose time has come."""
        while self.planned and self.planned[0][0] <= now:
            self._change(self.planned.pop(0)[1], now)

    def _change(self, who: Address, now: datetime) -> None:
        event_ids, choice = self.entries.setdefault(who, []), self.random.random()
        if event_ids and choice < 0.4:
            self.hands.remove(who, event_ids.pop(self.random.randrange(len(event_ids))))
            return
        day = self.random.randrange(1, 15)
        begin = now.replace(minute=0, second=0) + day * _DAY + self.random.randrange(4) * _QUARTER_HOUR
        event_ids.append(self.hands.add(who, Span(begin, begin + self.random.randrange(2, 5) * _QUARTER_HOUR)))


@dataclass
class RequestCounts:
    """The requests of the measured weeks, and the changes that caused them."""

    requests: int
    by_kind: Counter[str]
    batches: int  #: each reads the free/busy of some people
    changes: int  #: of the organizers' calendars; changes within five seconds count as one

    def per_quarter(self, count: int) -> int:
        """Scale a count of the measured weeks to a quarter."""
        return round(count * QUARTER / WEEKS)

    def describe(self) -> str:
        """Return the requests of a quarter, as a total and by kind."""
        counts = {
            "lists of changes": self.by_kind[LIST],
            "batches with people's time": self.batches,
            "channels opened": self.by_kind[WATCH],
            "closed": self.by_kind[STOP],
        }
        listed = ", ".join(f"{self.per_quarter(count):,} {what}" for what, count in counts.items())
        return f"{self.per_quarter(self.requests):,} ({listed})"


def measure() -> list[tuple[str, str]]:
    """Return the rows of the table: with polling, with channels, and the fewest possible."""
    polled, watched = count_requests(""), count_requests(PUBLIC)
    lists, least = watched.by_kind[LIST], watched.changes + MANAGERS * 7 * WEEKS
    pairs = MANAGERS * TEAM_SIZE
    return [
        (f"polled every five minutes, {MANAGERS} managers, {pairs} pairs, {QUARTER} weeks", polled.describe()),
        ("with channels", watched.describe()),
        ("the fewest lists possible", f"{watched.per_quarter(least):,}"),
        (
            "lists with channels, against those when polled (promised: at most 0.1)",
            f"{lists / polled.by_kind[LIST]:.3f}",
        ),
        ("lists with channels, against the fewest possible (promised: at most 1.2)", f"{lists / least:.2f}"),
    ]


def count_requests(notify_url: str) -> RequestCounts:
    """Return the requests of the measured weeks. Without a `notify_url` there are no channels."""
    with ExitStack() as stack:
        folder = Path(stack.enter_context(TemporaryDirectory()))
        clock = SteppedClock(START)
        google = stack.enter_context(Google(clock=clock))
        persons, pairs = build_company(MANAGERS * TEAM_SIZE, START.date())
        persons = {who: replace(person, calendar="google") for who, person in persons.items()}
        for person in persons.values():
            google.calendars.add_person(person.email, person.zone)
        provider = _build_provider(google, folder, clock)
        stack.callback(provider.close)
        worker = _build_worker(folder, clock, notify_url)
        stack.callback(worker.close)
        worker.services.use(calendars={"google": provider}, mailers={"memory": MemoryMailer()})
        worker.store.people.apply_import(persons, pairs, START)
        managers = {pair.manager for pair in pairs.values()}
        people = BusyPeople(GoogleHands(google.calendars), persons, managers)
        people.plan_days(START, 7 * (WEEKS_BEFORE + WEEKS))
        if notify_url:
            pages = stack.enter_context(PageServer(worker))
            google.calendars.channels.routes = {PUBLIC: f"http://127.0.0.1:{pages.port}"}
        count_changes = _count_changes(google, managers, clock)
        _run_until(worker, google, people, clock, START + timedelta(weeks=WEEKS_BEFORE))
        requests_before, batches_before, changes_before = len(google.requests), google.batches, count_changes()
        _run_until(worker, google, people, clock, START + timedelta(weeks=WEEKS_BEFORE + WEEKS))
        measured, batches = google.requests[requests_before:], google.batches - batches_before
        requests = sum(not request.in_batch for request in measured) + batches
        by_kind = Counter(_name_kind(request) for request in measured)
        return RequestCounts(requests, by_kind, batches, count_changes() - changes_before)


def _name_kind(request: RecordedRequest) -> str:
    """Return the kind of a request. A list of events with `timeMax` reads a person's free/busy."""
    is_of_time = (
        request.method == "calendar.events.list" and request.call is not None and "timeMax" in request.call.query
    )
    return TIME if is_of_time else request.method.removeprefix("calendar.")


def _count_changes(google: Google, organizers: set[Address], clock: SteppedClock) -> Callable[[], int]:
    """Count the changes of organizers' calendars from now on. Changes within `HINT_MERGE_PERIOD` count as one.

    Returns a function that returns the count.
    """
    channels, last, count = google.calendars.channels, dict[Address, datetime](), 0
    note_change = channels.note_change

    def note(owner: Address) -> None:
        nonlocal count
        note_change(owner)
        if owner in organizers and clock() - last.get(owner, START - _DAY) >= HINT_MERGE_PERIOD:
            last[owner], count = clock(), count + 1

    channels.note_change = note  # type: ignore[method-assign]
    return lambda: count


def _run_until(worker: Worker, google: Google, people: BusyPeople, clock: SteppedClock, end: datetime) -> None:
    """Step the clock to `end`, always to the next instant at which something is due. Notifications arrive at once."""
    while clock() < end:
        people.act(clock())
        google.calendars.channels.settle()
        worker.tick()
        google.calendars.channels.settle()
        next_times = [at for at in worker.store.load_next_due() if at is not None]
        if people.planned:
            next_times.append(people.planned[0][0])
        clock.move_to(max(min(next_times, default=end), clock() + timedelta(seconds=1)))


def _build_worker(folder: Path, clock: SteppedClock, notify_url: str) -> Worker:
    key = generate_key()
    values = {
        "base_url": PUBLIC,
        "keys": (SecretStr(key),),
        "pages": {"listen": "127.0.0.1:0"},
        "mail": {"operator_by": "memory"},
        "sync": {"every": "5 minutes", "near": "5 minutes", "notify_url": notify_url},
    }
    store = Store(f"sqlite:///{folder / 'bench.db'}", Seal([key]))
    store.create_tables()
    return build(Settings.model_validate(values), clock, store=store, holder="bench")


def _build_provider(google: Google, folder: Path, clock: SteppedClock) -> google_calendar.GoogleCalendar:
    google.tokens.granted_scopes = {OWNED_EVENTS_SCOPE, EVENTS_READ_SCOPE}
    google.quota.per_user = google.quota.per_project = 10**8  # in stepped time a minute holds a day
    key = folder / "key.json"
    key.write_text(json.dumps(google.tokens.add_service_account()))
    section: dict[str, Any] = {**google.calendar_section, "service_account": str(key), "per_person": 10**6}
    return google_calendar.build_with_clock({**section, "per_project": 10**8}, clock)
