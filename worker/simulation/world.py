"""A company whose calendars, mails and time live in this process, and the ledger of what happens in it."""

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import IO, Any, Protocol

from worker.app import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import NO_CALENDAR, Address, Pair, PairId, Person
from worker.mail.render import MailRenderer
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.seal import Seal, generate_key
from worker.settings.load import Settings
from worker.simulation.summary import Summary
from worker.store.database import SCRATCH_URL
from worker.store.store import NextDue, Store

SERVICE = "memory"


#: What the ledger tells; the rest of the history stays in the database.
LEDGER_KINDS = ("event.create", "event.update", "event.cancel", "mail", "session", "unplaceable", "human", "contract")


LedgerLine = dict[str, Any]


class Humans(Protocol):
    """Those who act on their calendars and talk to the program while time passes."""

    def next_at(self) -> datetime | None:
        """When the next of them does something."""

    def act(self, now: datetime) -> Iterable[LedgerLine]:
        """Do what is due by now; the ledger's lines of it."""

    def notice(self, line: Mapping[str, Any]) -> None:
        """See what happened."""


class IdleHumans:
    """People who never do anything."""

    def next_at(self) -> datetime | None:
        return None

    def act(self, now: datetime) -> Iterable[LedgerLine]:
        return ()

    def notice(self, line: Mapping[str, Any]) -> None:
        return None


@dataclass(slots=True)
class Ledger:
    """Writes what happened, one JSON object a line, as it happens."""

    out: IO[str] | None = None
    lines: list[LedgerLine] = field(default_factory=list)
    keeps_lines: bool = True
    count: int = 0
    summary: Summary | None = None

    def write_line(self, line: LedgerLine) -> None:
        self._count_line(line)
        if self.out is not None:
            self.out.write(json.dumps(line, ensure_ascii=False) + "\n")

    def copy_line(self, text: str) -> None:
        """Take over a line of another ledger, its end included."""
        if self.keeps_lines or self.summary is not None:
            self._count_line(json.loads(text))
        else:
            self.count += 1
        if self.out is not None:
            self.out.write(text)

    def _count_line(self, line: LedgerLine) -> None:
        self.count += 1
        if self.summary is not None:
            self.summary.add(line)
        if self.keeps_lines:
            self.lines.append(line)


class SimulatedWorld:
    """A company whose calendars, mails and time are in this process."""

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
        self.persons = {e: replace(p, calendar=_choose_calendar(p), mail=SERVICE) for e, p in persons.items()}
        self.pairs = dict(pairs)
        self.worker = _build_worker(settings, self.clock, mail_renderer)
        self.worker.services.use(calendars={SERVICE: self.calendar}, mailers={SERVICE: self.mailer})
        self.worker.store.people.apply_import(self.persons, self.pairs, start)
        self.worker.store.people.set_fact("people", "simulated")
        self.ledger = Ledger()
        self.humans: Humans = IdleHumans()
        self._told = 0

    def run_until(self, end: datetime, progress: Callable[[datetime], None] = lambda _: None) -> None:
        """Let time pass, from one due instant to the next."""
        while True:
            upcoming = self._find_next_instant(self.step())
            progress(self.clock())
            if upcoming is None or upcoming > end:
                break
            self.clock.move_to(upcoming)
        self.clock.move_to(end)

    def step(self) -> NextDue:
        """What people and program do at this very instant; when the program has something to do next."""
        now = self.clock()
        for line in self.humans.act(now):
            self.ledger.write_line(line)
        stirred = self.calendar.pop_changed_calendars()
        if stirred:
            self.worker.store.calendars.make_due(sorted(stirred), now)
        due = self.worker.tick()
        self._record_history()
        return due

    def _find_next_instant(self, due: NextDue) -> datetime | None:
        earliest = self.clock() + timedelta(seconds=1)
        instants = (*due, self.humans.next_at())
        upcoming = [max(instant, earliest) for instant in instants if instant is not None]
        return min(upcoming, default=None)

    def _record_history(self) -> None:
        for row in self.worker.store.queries.list_history_after(self._told):
            self._told = row["id"]
            line = make_ledger_line(row)
            if line is not None:
                self.ledger.write_line(line)
                self.humans.notice(line)


def _choose_calendar(person: Person) -> str:
    return SERVICE if person.has_calendar else NO_CALENDAR


def _build_worker(settings: Settings, clock: SteppedClock, mail_renderer: MailRenderer | None) -> Worker:
    store = Store(SCRATCH_URL, Seal([generate_key()]))
    store.create_tables()
    return build(settings, clock, store=store, holder="simulation", mail_renderer=mail_renderer)


def make_ledger_line(row: Mapping[str, Any]) -> LedgerLine | None:
    """A line of the history as a line of the ledger; None when the ledger doesn't tell it."""
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
    """The company's own choices, with what a world in one process needs: calendars say themselves when they change,
    mail goes nowhere, and nobody is there to lift a guard."""
    return settings.model_copy(
        update={
            "operator": settings.operator or "operator@localhost",
            "mail": settings.mail.model_copy(update={"operator_by": SERVICE}),
            "sync": settings.sync.model_copy(update={"every": timedelta(days=7), "full_every": timedelta(days=30)}),
            "rules": settings.rules.model_copy(update={"max_cancels": 10_000}),
        }
    )
