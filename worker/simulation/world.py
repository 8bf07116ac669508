"""A simulated company, with calendars, mails and clock in memory.

It writes a ledger: a list of everything that happens, one JSON object per line.
"""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import IO, Any, Protocol

from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import NO_CALENDAR, Address, Pair, PairId, Person
from worker.engine.people_import import IMPORT_VERSION_NAME
from worker.mail.render import MailRenderer
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.seal import Seal, generate_key
from worker.settings.load import Settings
from worker.simulation.summary import Summary
from worker.store.database import TEMPORARY_DATABASE_URL
from worker.store.store import NextDue, Store

#: Name of the in-memory calendar and mail services. Each simulated person has it as `calendar` and `mail`.
MEMORY_PROVIDER = "memory"
#: The kinds of history lines that are copied to the ledger (docs/reference/ledger.md).
LEDGER_KINDS = (
    *("event.create", "event.update", "event.cancel", "mail", "mail.folded"),
    *("session", "offer", "unplaceable", "human", "contract"),
)

#: A line of the ledger: the time `at`, the kind `what`, and the fields of that kind (docs/reference/ledger.md).
LedgerLine = dict[str, Any]


class Humans(Protocol):
    """The simulated people: they change their calendars and use Longarc while time passes."""

    def find_next_time(self) -> datetime | None:
        """Return the time of the next action; None when none is planned."""

    def act(self, now: datetime) -> Iterable[LedgerLine]:
        """Perform the actions that are due at `now`, and return one ledger line for each."""

    def handle_line(self, line: Mapping[str, Any]) -> None:
        """Plan the reactions of people to a new line of the ledger."""


class IdleHumans:
    """People who never do anything."""

    def find_next_time(self) -> datetime | None:
        return None

    def act(self, now: datetime) -> Iterable[LedgerLine]:
        return ()

    def handle_line(self, line: Mapping[str, Any]) -> None:
        return None


@dataclass(slots=True)
class Ledger:
    """Writes lines to a file, and counts them. Optionally keeps them in memory, and adds them to a summary."""

    out: IO[str] | None = None  #: the file; None writes none
    lines: list[LedgerLine] = field(default_factory=list)  #: the lines so far, if `keeps_lines`
    keeps_lines: bool = True  #: long simulations set this to False to save memory
    count: int = 0  #: the number of lines so far
    summary: Summary | None = None

    def write_line(self, line: LedgerLine) -> None:
        """Add a line to the ledger, and write it to the file as JSON."""
        self._register_line(line)
        if self.out is not None:
            self.out.write(json.dumps(line, ensure_ascii=False) + "\n")

    def copy_line(self, text: str) -> None:
        """Add a line of another ledger file, given with its line break. It is parsed only if its fields are needed."""
        if self.keeps_lines or self.summary is not None:
            self._register_line(json.loads(text))
        else:
            self.count += 1
        if self.out is not None:
            self.out.write(text)

    def _register_line(self, line: LedgerLine) -> None:
        self.count += 1
        if self.summary is not None:
            self.summary.add_line(line)
        if self.keeps_lines:
            self.lines.append(line)


class SimulatedWorld:
    """A company with a worker of its own, a database in memory, and a clock that jumps to the next due time."""

    def __init__(
        self,
        settings: Settings,
        persons: Mapping[Address, Person],
        pairs: Mapping[PairId, Pair],
        start: datetime,
        *,
        calendar: MemoryCalendar | None = None,
        mailer: MemoryMailer | None = None,
        mail_renderer: MailRenderer | None = None,
    ) -> None:
        self.clock = SteppedClock(start)
        self.calendar = calendar or MemoryCalendar()
        self.mailer = mailer or MemoryMailer()
        self.persons = {
            email: replace(person, calendar=_choose_calendar(person), mail=MEMORY_PROVIDER)
            for email, person in persons.items()
        }
        self.pairs = dict(pairs)
        self.worker = _build_worker(settings, self.clock, mail_renderer)
        self.worker.services.use(calendars={MEMORY_PROVIDER: self.calendar}, mailers={MEMORY_PROVIDER: self.mailer})
        self.worker.store.people.apply_import(self.persons, self.pairs, start)
        # as after the import of a roster; services load the people again when this value has changed
        self.worker.store.people.set_stored_value(IMPORT_VERSION_NAME, "simulated")
        self.ledger = Ledger()
        self.humans: Humans = IdleHumans()
        self._last_history_id = 0

    def run_until(self, end: datetime, progress: Callable[[datetime], None] = lambda _: None) -> None:
        """Advance the clock to `end` in steps, each to the next instant at which something is due."""
        while True:
            next_instant = self._find_next_instant(self.step())
            progress(self.clock())
            if next_instant is None or next_instant > end:
                break
            self.clock.move_to(next_instant)
        self.clock.move_to(end)

    def step(self) -> NextDue:
        """Let people act, then run a tick of the worker, and return the next due times. Does not advance the clock."""
        now = self.clock()
        for line in self.humans.act(now):
            self.ledger.write_line(line)
        changed_calendars = self.calendar.pop_changed_calendars()
        if changed_calendars:
            self.worker.store.calendars.make_due(sorted(changed_calendars), now)
        next_due = self.worker.tick()
        self._record_history()
        return next_due

    def _find_next_instant(self, next_due: NextDue) -> datetime | None:
        """Return the next instant at which the worker or a person has something to do.

        It is at least a second from now, so that time never stands still.
        """
        earliest = self.clock() + timedelta(seconds=1)
        instants = (next_due.calendar, next_due.pair, next_due.effect, self.humans.find_next_time())
        return min((max(instant, earliest) for instant in instants if instant is not None), default=None)

    def _record_history(self) -> None:
        """Copy the new rows of the history to the ledger, and let people react to them."""
        for row in self.worker.store.queries.list_history_after(self._last_history_id):
            self._last_history_id = row["id"]
            line = make_ledger_line(row)
            if line is not None:
                self.ledger.write_line(line)
                self.humans.handle_line(line)


def _choose_calendar(person: Person) -> str:
    return MEMORY_PROVIDER if person.has_calendar else NO_CALENDAR


def _build_worker(settings: Settings, clock: SteppedClock, mail_renderer: MailRenderer | None) -> Worker:
    store = Store(TEMPORARY_DATABASE_URL, Seal([generate_key()]))
    store.create_tables()
    return build(settings, clock, store=store, holder="simulation", mail_renderer=mail_renderer)


def make_ledger_line(row: Mapping[str, Any]) -> LedgerLine | None:
    """Return the ledger line for a history row; None when its kind is not in LEDGER_KINDS."""
    if row["what"] not in LEDGER_KINDS:
        return None
    line: LedgerLine = {"at": f"{row['at']:%Y-%m-%dT%H:%M:%SZ}", "what": row["what"]}
    for name in ("pair", "session"):
        if row[name]:
            line[name] = str(row[name])
    line.update(row["fields"])
    if row["reason"]:
        line["reason"] = row["reason"]
    return line


def make_simulation_settings(settings: Settings) -> Settings:
    """Return the settings of a company, adapted for a simulation.

    Calendars are polled rarely, since SimulatedWorld makes changed calendars due. Alerts are sent with the in-memory
    mail service. The limit on cancelled events is raised so that no sweep is refused.
    """
    return settings.model_copy(
        update={
            "operator": settings.operator or "operator@localhost",
            "mail": settings.mail.model_copy(update={"operator_by": MEMORY_PROVIDER}),
            "sync": settings.sync.model_copy(
                update={"every": timedelta(days=7), "near": timedelta(days=7), "full_every": timedelta(days=30)}
            ),
            "rules": settings.rules.model_copy(update={"max_cancels": 10_000}),
        }
    )
