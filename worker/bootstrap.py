"""The one place that makes objects, and sets up logging."""

import json
import logging
import os
import socket
import sys
import uuid
from collections.abc import Callable, Collection, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from worker.acts import Acts
from worker.clock import Clock, utcnow
from worker.domain.model import Address, Pair, Person
from worker.drafts import Drafts
from worker.emails import Emails
from worker.errors import Problems
from worker.gate import SharedGate
from worker.identities import StoredIdentities
from worker.outbox import Outbox
from worker.providers import base
from worker.providers.base import CalendarProvider, Mailer, Notify
from worker.providers.gate import Gate
from worker.providers.identities import Identities, KnownIdentities
from worker.roster import PEOPLE, Roster
from worker.seal import Seal
from worker.settings import Settings
from worker.store import Store
from worker.store.base import Due
from worker.store.copies import Copies
from worker.sweep import Sweep
from worker.sync import Sync

log = logging.getLogger(__name__)


class Services:
    """The calendar and mail services in use, each made when it is first asked for."""

    def __init__(
        self,
        settings: Settings,
        people: Callable[[], dict[Address, Person]],
        read_again: Callable[[], None] = lambda: None,
        pairs: Callable[[], Collection[Pair]] = tuple,
        gate: Gate | None = None,
        notices: Notify | None = None,
        identities: Identities | None = None,
        copies: Copies | None = None,
    ) -> None:
        """`people` may remember what it read; `read_again` makes it forget. `pairs`: who may invite whom. `gate`: what
        limits requests across processes. `notices`: how a service tells the operator something. `identities`: who an
        address belongs to; without it every address is somebody's primary address. `copies`: what was copied into
        whose calendar."""
        self._settings = settings
        self._people = people
        self._read_again = read_again
        self._pairs = pairs
        self._gate = gate
        self._notices = notices
        self._identities = identities or KnownIdentities()
        self._copies = copies
        self._given: dict[str, CalendarProvider] = {}
        self._made: dict[str, CalendarProvider] = {}
        self._made_for: dict[Address, Person] = {}
        self._mailers: dict[str, Mailer] = {}

    def use(
        self, *, calendars: dict[str, CalendarProvider] | None = None, mailers: dict[str, Mailer] | None = None
    ) -> None:
        """Take these instead of making them: the simulation's calendar, a test's double."""
        self._given.update(calendars or {})
        self._mailers.update(mailers or {})

    def calendar(self, name: str) -> CalendarProvider:
        """The calendar service of that name."""
        if name in self._given:
            return self._given[name]
        everybody = self._people()
        if everybody is not self._made_for:  # a service is told whose calendars it holds when it is made
            self._made, self._made_for = {}, everybody
        if name not in self._made:
            people = [p for p in everybody.values() if p.calendar == name]
            section = self._settings.calendar_section(name)
            section["local"] = [p.email for p in people]
            section["zones"] = {p.email: p.zone for p in people}
            section["video"] = self._settings.event.video
            organizing = Organizing(self._pairs, {p.email for p in people})
            section["organizers"], section["guests"] = organizing, organizing.guests
            section.update(self._means(), **({"copies": self._copies} if self._copies else {}))
            self._made[name] = base.load(base.CALENDARS, name)(section)
        return self._made[name]

    def mailer(self, name: str) -> Mailer:
        """The mail service of that name."""
        if name not in self._mailers:
            section = {**self._settings.mailer_section(name), **self._means()}
            self._mailers[name] = base.load(base.MAILERS, name)(section)
        return self._mailers[name]

    def _means(self) -> dict[str, Any]:
        """What is not a setting: what seals tokens, what limits requests, how the operator is told, who somebody is."""
        keys = [key.get_secret_value() for key in self._settings.keys]
        means: dict[str, Any] = {"seal": Seal(keys) if keys else None, "gate": self._gate, "notices": self._notices}
        means["identities"] = self._identities
        return {name: one for name, one in means.items() if one is not None}

    def calendar_of(self, address: Address) -> CalendarProvider | None:
        """The service that holds a person's calendar; None when it can't be read."""
        person = self._person(address)
        if person is None or not person.has_calendar:
            return None
        return self.calendar(person.calendar)

    def by_service(self, addresses: Sequence[Address]) -> dict[str, tuple[CalendarProvider, list[Address]]]:
        """People, by the service that holds their calendars."""
        found: dict[str, tuple[CalendarProvider, list[Address]]] = {}
        for address in addresses:
            person = self._person(address)
            if person is not None and person.has_calendar:
                name = person.calendar
                found.setdefault(name, (self.calendar(name), []))[1].append(address)
        return found

    def _person(self, address: Address) -> Person | None:
        found = self._people().get(address)
        if found is None:  # another process may have taken over a new people file a moment ago
            self._read_again()
            found = self._people().get(address)
        return found


class Organizing:
    """Tells who may have put an event of ours on one of these calendars with that person as a guest or as the owner.
    The pairs are read when it is first asked."""

    def __init__(self, pairs: Callable[[], Collection[Pair]], local: Collection[Address]) -> None:
        self._pairs, self._local = pairs, local
        self._known: dict[Address, set[Address]] | None = None

    def guests(self, organizer: Address) -> Collection[Address]:
        """Who has a calendar here and may have been invited by that organizer."""
        return {pair.report for pair in self._pairs() if pair.manager == organizer and pair.report in self._local}

    def __call__(self, person: Address) -> Collection[Address]:
        if self._known is None:
            known: dict[Address, set[Address]] = {}
            for pair in self._pairs():
                for who in (pair.manager, pair.report) if pair.manager in self._local else ():
                    known.setdefault(who, set()).add(pair.manager)
            self._known = known
        return self._known.get(person, ())


@dataclass(slots=True)
class Worker:
    """Everything, wired. `tick` is what Huey's tasks do, in one call."""

    settings: Settings
    clock: Clock
    store: Store
    services: Services
    emails: Emails
    sync: Sync
    sweep: Sweep
    outbox: Outbox
    acts: Acts
    roster: Roster
    holder: str

    def tick(self) -> Due:
        """Do everything that is due now, here: read calendars, plan, perform, until nothing is left.

        Returns when the next thing of each kind is due.
        """
        now = self.clock()
        for _ in range(1000):
            upcoming = self.store.next_due()
            due = upcoming.by(now)
            busy = due.calendar and self.sync.run(self.holder)
            busy = (due.pair and self.sweep.run(self.holder)) or busy
            busy = (due.message and self.outbox.run(self.holder)) or busy
            if not busy:
                return upcoming
        log.error("a tick did not come to an end", extra={"action": "tick_endless"})
        return upcoming

    def import_people(self, *, force: bool = False) -> bool:
        """Take over the people file if it changed. True when it did. Raises Problems, or Refused by the guard."""
        return self.roster.take_over(force=force)

    def close(self) -> None:
        """Let go of the database."""
        self.store.close()


def build(
    settings: Settings,
    clock: Clock = utcnow,
    *,
    store: Store | None = None,
    holder: str | None = None,
    together: int = 1,
    writes: type[Emails] = Emails,
) -> Worker:
    """Wire the program. Reaches nothing but the database; services are reached when they are first used.

    `together` is the outbox's: how many messages are begun and settled at once. `writes` makes the mails.
    """
    store = store or Store(settings.database, Seal([key.get_secret_value() for key in settings.keys]))
    holder = holder or f"{socket.gethostname()}-{os.getpid()}-{uuid.uuid4().hex[:8]}"
    cache = _People(store, clock)
    gate = SharedGate(store, clock)

    def notify(cause: str, words: str) -> None:
        kind = f"notice:{cause.partition(':')[0]}"
        store.outbox.alert(f"notice:{cause}", words, clock(), settings.operator, kind)

    identities = StoredIdentities(store, clock)
    services = Services(
        settings,
        cache,
        cache.forget,
        lambda: store.people.pairs().values(),
        gate,
        notify,
        identities=identities,
        copies=store.copies,
    )
    emails = writes(sender=settings.mail.sender, domain=settings.mail.domain, overrides=settings.templates)
    drafts = Drafts(settings)
    policy, operator = settings.policy, settings.operator
    return Worker(
        settings=settings,
        clock=clock,
        store=store,
        services=services,
        emails=emails,
        sync=Sync(
            store,
            services.calendar_of,
            clock,
            identities,
            every=settings.sync.every,
            full_every=settings.sync.full_every,
            operator=operator,
        ),
        sweep=Sweep(store, services.by_service, clock, policy, operator),
        outbox=Outbox(
            store, services.calendar_of, services.mailer, emails, drafts, clock, operator, identities, together
        ),
        acts=Acts(store, clock, policy, holder),
        roster=Roster(settings, store, services.calendar, clock),
        holder=holder,
    )


class _People:
    """The people, read again when the people file was taken over, by this process or another.

    Those who left are among them: what stands on their calendars has to be taken off.
    """

    EVERY = timedelta(seconds=30)

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._known: dict[Address, Person] = {}
        self._digest: str | None = None
        self._checked: datetime | None = None

    def __call__(self) -> dict[Address, Person]:
        now = self._clock()
        if self._checked is None or now - self._checked >= self.EVERY:
            digest = self._store.people.fact(PEOPLE)
            if digest is None or digest != self._digest:
                self._known = self._store.people.everybody()
            self._digest, self._checked = digest, now
        return self._known

    def forget(self) -> None:
        """Read them again at the next question."""
        self._checked = self._digest = None


# --- logging ---


class JsonLines(logging.Formatter):
    """One JSON object a line: a sentence for people, an `action` for machines."""

    def format(self, record: logging.LogRecord) -> str:
        line: dict[str, Any] = {
            "at": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="seconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        for name in ("action", "session", "key", "calendar", "problem"):
            if value := getattr(record, name, None):
                line[name] = value
        if record.exc_info:
            line["traceback"] = self.formatException(record.exc_info)
        return json.dumps(line)


def set_up_logging(level: str = "INFO", style: str = "text") -> None:
    """Log to standard error; once for the whole process."""
    stream = logging.StreamHandler(sys.stderr)
    plain = logging.Formatter("%(asctime)s %(levelname)-7s %(name)s: %(message)s")
    stream.setFormatter(JsonLines() if style == "json" else plain)
    stream.addFilter(lambda record: record.name != "root")  # no words of ours: a library logs whole answers there
    root = logging.getLogger()
    root.handlers[:] = [stream]
    root.setLevel(level.upper())
    for noisy in ("huey", "alembic", "urllib3", "caldav", "msal", "sqlalchemy"):
        logging.getLogger(noisy).setLevel("WARNING")
    logging.getLogger("googleapiclient").setLevel("ERROR")  # it repeats whole answers when it warns


__all__ = ["Problems", "Services", "Worker", "build", "set_up_logging"]
