"""Small companies for tests: people, pairs, and the whole program that works for them with services in memory.

The clock starts at `START`, on a Monday morning far from public holidays.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from email.message import EmailMessage
from functools import cache
from typing import Any

from pydantic import SecretStr
from sqlalchemy import Select, exists, or_, select

from worker.app import Worker, build
from worker.clock import Clock, SteppedClock
from worker.domain.model import (
    Address,
    Answer,
    Contract,
    Effect,
    EffectProgress,
    Event,
    Pair,
    PairId,
    Person,
    PlacedEvent,
    ReviewPoint,
    Session,
    SessionKind,
    SessionState,
    Span,
    WrittenCommitment,
)
from worker.domain.time.worktime import parse_hours
from worker.errors import ProviderError
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.seal import Seal
from worker.settings.load import Settings
from worker.store import rows, tables
from worker.store.store import NextDue, Store

START = datetime(2026, 9, 7, 7, tzinfo=UTC)
#: A key for tests, which protects nothing.
KEY = "bG9uZ2FyYy10ZXN0cy1rZXktb2YtMzItYnl0ZXMhISE="
OPERATOR = "ops@corp.example"
SERVICE = "memory"  #: the calendar and mail service of the people: both are in memory
#: The address of the pages in links.
BASE_URL = "https://longarc.corp.example"
HOURS = parse_hours("Mon-Fri 09:00-17:00")
DANA, SAM, KIM = "dana@corp.example", "sam@corp.example", "kim@corp.example"
HOUR, DAY, WEEK = timedelta(hours=1), timedelta(days=1), timedelta(weeks=1)
MINUTE, SECOND = timedelta(minutes=1), timedelta(seconds=1)


# --- people and pairs ---


def person(email: Address, zone: str = "Europe/Berlin", country: str = "DE", **fields: Any) -> Person:
    """Return a person, named after the address, whose calendar and mail are in memory."""
    name = email.partition("@")[0].title()
    usual = Person(email=email, name=name, zone=zone, country=country, hours=HOURS, calendar=SERVICE, mail=SERVICE)
    return replace(usual, **fields)


def people(*emails: Address) -> dict[Address, Person]:
    return {email: person(email) for email in emails}


def pair(manager: Address = DANA, report: Address = SAM, **fields: Any) -> Pair:
    return replace(Pair(manager=manager, report=report, first_seen=START.date()), **fields)


def pairs(*listed: Pair) -> dict[PairId, Pair]:
    return {pair_.id: pair_ for pair_ in listed}


def company(count: int, reports: int = 6) -> tuple[dict[Address, Person], dict[PairId, Pair]]:
    """Return the people and pairs of a company with `count` pairs, up to `reports` for each manager."""
    persons: dict[Address, Person] = {}
    listed: dict[PairId, Pair] = {}
    for number in range(count):
        manager, report = f"m{number // reports}@corp.example", f"r{number}@corp.example"
        persons.update(people(manager, report))
        listed[PairId(manager, report)] = pair(manager, report)
    return persons, listed


#: The section `sync` of the settings for tests that need calendars to be polled each day.
DAILY_SYNC = {"every": "1 day", "near": "1 day", "full_every": "1 day"}


def settings(url: str = "sqlite://", key: str = KEY, **fields: Any) -> Settings:
    """Return settings; `fields` are given as in a settings file, with sections as mappings.

    Unless `fields` has a section `sync`, calendars are polled once a week, which is less often than a file may say:
    calendars in memory tell of their changes.
    """
    required_fields: dict[str, Any] = {
        "database": url,
        "operator": OPERATOR,
        "mail": {"from": "longarc@corp.example", "operator_by": SERVICE},
        "keys": tuple(SecretStr(part) for part in key.split(",")),
    }
    loaded = Settings.model_validate({**required_fields, **fields})
    if "sync" in fields:
        return loaded
    seldom = timedelta(days=7)
    sync = loaded.sync.model_copy(update={"every": seldom, "near": seldom, "full_every": seldom})
    return loaded.model_copy(update={"sync": sync})


def new_store(url: str, key: str = KEY) -> Store:
    return Store(url, Seal(key.split(",")))


@cache
def _make_template() -> Store:
    """Return a database in memory that has our tables and nothing in them."""
    template = new_store("sqlite://")
    template.create_tables()
    return template


def copy_tables(store: Store) -> None:
    """Give a new database in memory our tables: a copy takes a tenth of the time in which SQLAlchemy creates them."""
    with _make_template().database.read() as template, store.database.engine.connect() as new:
        source: Any = template.connection.driver_connection  # a connection of the module sqlite3
        source.backup(new.connection.driver_connection)


def span(start: datetime, minutes: int = 60) -> Span:
    return Span(start, start + minutes * MINUTE)


def contract(now: datetime, text: str = "Introduce Sam to the platform group", days: int = 30) -> Contract:
    """Return a small contract: a commitment of each of the two, due in so many days, a review and a question."""
    due = (now + days * DAY).date()
    return Contract(
        report=(WrittenCommitment(text="Draft one page on direction", due=due),),
        manager=(WrittenCommitment(text=text, due=due),),
        reviews=(ReviewPoint(month=date(due.year, due.month, 1), text="how the introduction went"),),
        question="What would make this the right place in three years?",
    )


# --- services in memory that fail, or record what they are asked ---


class Fails:
    """To be set as `fail` of a service in memory: raises `error` at each of these operations, up to `times` times."""

    def __init__(self, error: Callable[[], ProviderError], *operations: str, times: int = 10**9) -> None:
        self._error = error
        self._operations = operations
        self.left = times  #: how many failures are still to come

    def __call__(self, operation: str) -> None:
        if operation in self._operations and self.left:
            self.left -= 1
            raise self._error()


class RecordedOperations:
    """To be set as `fail` of a service in memory: never fails, and keeps the names of the operations."""

    def __init__(self) -> None:
        self.seen: list[str] = []

    def __call__(self, operation: str) -> None:
        self.seen.append(operation)


# --- the whole program ---


class Office:
    """The program at work for a small company, with a database, services in memory, and a clock that tests move."""

    def __init__(
        self,
        url: str = "sqlite://",
        persons: Mapping[Address, Person] | None = None,
        listed_pairs: Mapping[PairId, Pair] | None = None,
        *,
        at: datetime = START,
        office_settings: Settings | None = None,
        imports: bool = True,
    ) -> None:
        """Without arguments: Dana and her report Sam, with a database in memory.

        `imports`: whether the people and pairs are imported now; not for a database that has them already.
        """
        self.url = url
        self.settings = office_settings or settings(url)
        self.clock = SteppedClock(at)
        self.calendar, self.mailer = MemoryCalendar(), MemoryMailer()
        self.persons = dict(persons or people(DANA, SAM))
        self.pairs = dict(listed_pairs or pairs(pair()))
        self._workers: list[Worker] = []
        self.worker = self.add_worker("first")
        if url == "sqlite://":
            copy_tables(self.store)
        if imports:
            self.apply()

    @property
    def store(self) -> Store:
        return self.worker.store

    def add_worker(self, holder: str, clock: Clock | None = None) -> Worker:
        """Start another worker on the same database and the same services."""
        store = self.store if self.url == "sqlite://" and self._workers else new_store(self.url)
        worker = build(self.settings, clock or self.clock, store=store, holder=holder)
        worker.services.use(calendars={SERVICE: self.calendar}, mailers={SERVICE: self.mailer})
        self._workers.append(worker)
        return worker

    def close(self) -> None:
        for worker in self._workers:
            worker.close()

    def apply(self) -> None:
        """Import the people and pairs as they are now."""
        rule = self.worker.participation.make_rule(self.persons)
        self.store.people.apply_import(self.persons, self.pairs, self.clock(), (), rule)
        self.store.people.set_stored_value("people", f"as of {self.clock()}")

    # --- time ---

    def tick(self, *, hint: bool = True) -> NextDue:
        """Let the program do what is due now; with `hint`, it has heard which calendars changed."""
        changed = self.calendar.pop_changed_calendars()
        if hint and changed:
            self.store.calendars.make_due(sorted(changed), self.clock())
        return self.worker.tick()

    def run(self, length: timedelta) -> None:
        """Let so much time pass."""
        self.run_to(self.clock() + length)

    def run_to(self, end: datetime) -> None:
        """Let time pass until that instant, with a tick at each instant at which something is due."""
        while True:
            due = [at for at in self.tick() if at is not None]
            following = max(min(due, default=end), self.clock() + timedelta(seconds=1))
            if following > end:
                break
            self.clock.move_to(following)
        self.clock.move_to(end)

    def is_at_rest(self) -> bool:
        """Whether nothing is due and nothing is claimed. The due time of a claimed row is the end of its lease."""
        outbox, calendar, pair_ = tables.outbox, tables.calendar, tables.pair
        is_claimed = outbox.c.progress.in_([EffectProgress.CLAIMED.value, EffectProgress.SENDING.value])
        now = self.clock()
        busy = or_(
            exists().where(is_claimed),
            exists().where(calendar.c.holder.is_not(None)),
            *(exists().where(table.c.due_at <= now) for table in (outbox, calendar, pair_)),
        )
        with self.store.database.read() as connection:  # as of one moment
            return not connection.execute(select(busy)).scalar_one()

    # --- what the database holds ---

    def session(self, kind: SessionKind = SessionKind.CAREER, pair_id: PairId | None = None) -> Session:
        """Return the only session of that kind that is booked or owed."""
        sessions = [
            session
            for session in self.store.queries.list_sessions(pair_id)
            if session.kind is kind and (session.booked or session.owed)
        ]
        assert len(sessions) == 1, sessions
        return sessions[0]

    def sessions_by_id(self) -> dict[str, Session]:
        return {session.id: session for session in self.store.queries.list_sessions()}

    def rows(self, query: Select[Any]) -> list[Mapping[str, Any]]:
        """Return the rows of a query."""
        with self.store.database.read() as connection:
            return [dict(row) for row in connection.execute(query).mappings()]

    def effects(self, name: str = "") -> list[Effect]:
        """Return the rows of the outbox: the mails of that name, the effects of that kind, or all."""
        with self.store.database.read() as connection:
            query = select(tables.outbox).order_by(tables.outbox.c.id)
            effects = [rows.read_effect(row) for row in connection.execute(query).mappings()]
        return [effect for effect in effects if name in ("", effect.name, effect.kind.value)]

    def placed_event(self, key: str) -> PlacedEvent | None:
        """Return the event of that key as the database knows it; None when it does not know one."""
        with self.store.database.read() as connection:
            query = select(tables.event).where(tables.event.c.key == key)
            row = connection.execute(query).mappings().first()
        return rows.read_placed_event(row) if row else None

    def history(self, what: str = "") -> list[Mapping[str, Any]]:
        """Return the lines of the history, of one kind or all."""
        return [line for line in self.store.queries.list_history() if what in ("", line["what"])]

    def deferrals(self) -> list[tuple[str, str]]:
        """Return the cause of each deferral so far, and the person who caused it."""
        lines = [line["fields"] for line in self.history("session")]
        return [(fields["cause"], fields.get("who", "")) for fields in lines if fields["state"] == "deferred"]

    # --- what the services hold ---

    def mails(self, name: str = "") -> list[EmailMessage]:
        """Return the mails that went out and whose key begins with `name`."""
        return [mail for key, mail in self.mailer.sent if key.startswith(name)]

    def events(self, calendar: Address = DANA) -> list[Event]:
        """Return our events on a calendar, by start."""
        return list_our_events(self.calendar, calendar, self.clock())

    def event(self, session: Session) -> Event:
        """Return the session's event on the manager's calendar."""
        event = self.calendar.find(session.pair.manager, session.key)
        assert event is not None
        return event

    # --- what people do ---

    def decline(self, session: Session) -> None:
        """Have the report decline the session's event."""
        manager, report = session.pair.people
        self.calendar.answer(manager, session.key, report, Answer.DECLINED)

    def hold(self, kind: SessionKind = SessionKind.CAREER) -> Session:
        """Let time pass until the next session of that kind has ended; return the session as it is then."""
        session = self.session(kind)
        self.run_to(session.span.end)
        held = self.store.queries.get_session(session.id)
        assert held is not None and held.state is SessionState.HELD
        return held


def list_our_events(calendar: MemoryCalendar, address: Address, now: datetime) -> list[Event]:
    """Return our events on a calendar, from yesterday to a year ahead, by start."""
    listed = calendar.changes(address, None, Span(now - DAY, now + 365 * DAY)).events
    return sorted((event for event in listed if event.key), key=lambda event: event.span)


def texts(mails: Iterable[EmailMessage]) -> str:
    """Return everything that can be read in these mails."""
    parts = [part for mail in mails for part in mail.walk() if not part.is_multipart()]
    return "\n".join([*(str(mail["Subject"]) for mail in mails), *(str(part.get_content()) for part in parts)])
