"""The same program on a simulated calendar, clock and people.

Nothing of the program is replaced but the services and the clock: the same sync, sweep, outbox and mails, on the
memory provider. Time jumps from one instant at which something is due to the next. Same seed, same ledger, byte for
byte.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, Protocol
from zoneinfo import ZoneInfo

from worker import apart, private_files
from worker.bootstrap import Worker, build
from worker.clock import SteppedClock
from worker.domain.model import NO_CALENDAR, Address, Answer, Event, EventRef, Pair, Person, Span
from worker.emails import Emails, Envelopes
from worker.errors import Problem, Problems, ProviderError
from worker.providers.memory import MemoryCalendar, MemoryMailer
from worker.seal import Seal, new_key
from worker.settings import Settings
from worker.store import Store
from worker.store.base import SCRATCH_URL, Due
from worker.tally import Tally

if TYPE_CHECKING:
    from worker.behaviour import Meetings

SERVICE = "memory"
#: What the ledger tells; the rest of the history stays in the database.
TOLD = ("event.create", "event.update", "event.cancel", "mail", "session", "unplaceable", "human", "contract")

Line = dict[str, Any]


class Humans(Protocol):
    """Those who act on their calendars and talk to the program while time passes."""

    def next_at(self) -> datetime | None:
        """When the next of them does something."""

    def act(self, now: datetime) -> Iterable[Line]:
        """Do what is due by now; the ledger's lines of it."""

    def notice(self, line: Mapping[str, Any]) -> None:
        """See what happened."""


class Nobody:
    """People who never do anything."""

    def next_at(self) -> datetime | None:
        return None

    def act(self, now: datetime) -> Iterable[Line]:
        return ()

    def notice(self, line: Mapping[str, Any]) -> None:
        return None


@dataclass(slots=True)
class Ledger:
    """Writes what happened, one JSON object a line, as it happens."""

    out: IO[str] | None = None
    lines: list[Line] = field(default_factory=list)
    keep: bool = True
    count: int = 0
    tally: Tally | None = None

    def write(self, line: Line) -> None:
        self._count(line)
        if self.out is not None:
            self.out.write(json.dumps(line, ensure_ascii=False) + "\n")

    def copy(self, text: str) -> None:
        """Take over a line of another ledger, its end included."""
        if self.keep or self.tally is not None:
            self._count(json.loads(text))
        else:
            self.count += 1
        if self.out is not None:
            self.out.write(text)

    def _count(self, line: Line) -> None:
        self.count += 1
        if self.tally is not None:
            self.tally.add(line)
        if self.keep:
            self.lines.append(line)


class World:
    """A company whose calendars, mails and time are in this process."""

    def __init__(
        self,
        settings: Settings,
        persons: Mapping[Address, Person],
        pairs: Mapping[str, Pair],
        start: datetime,
        *,
        calendar: MemoryCalendar | None = None,
        writes: type[Emails] = Emails,
    ) -> None:
        """With `writes=Envelopes` mails are sent and counted, but not written: most of a year's work is theirs."""
        self.clock = SteppedClock(start)
        self.calendar = calendar or MemoryCalendar()
        self.mailer = MemoryMailer()
        self.persons = {e: replace(p, calendar=_simulated(p), mail=SERVICE) for e, p in persons.items()}
        self.pairs = dict(pairs)
        self.worker = _worker(settings, self.clock, writes)
        self.worker.services.use(calendars={SERVICE: self.calendar}, mailers={SERVICE: self.mailer})
        self.worker.store.people.apply(self.persons, self.pairs, start)
        self.worker.store.people.note("people", "simulated")
        self.ledger = Ledger()
        self.humans: Humans = Nobody()
        self._keep = writes is Emails
        self._told = 0

    def run_until(self, end: datetime, progress: Callable[[datetime], None] = lambda _: None) -> None:
        """Let time pass, from one due instant to the next."""
        while True:
            upcoming = self._next(self.step())
            progress(self.clock())
            if upcoming is None or upcoming > end:
                break
            self.clock.move_to(upcoming)
        self.clock.move_to(end)

    def step(self) -> Due:
        """What people and program do at this very instant; when the program has something to do next."""
        now = self.clock()
        for line in self.humans.act(now):
            self.ledger.write(line)
        stirred = self.calendar.changed()
        if stirred:
            self.worker.store.calendars.hint(sorted(stirred), now)
        due = self.worker.tick()
        self._tell()
        if not self._keep:
            self.mailer.sent.clear()
        return due

    def _next(self, due: Due) -> datetime | None:
        earliest = self.clock() + timedelta(seconds=1)
        instants = (*due, self.humans.next_at())
        known = [max(instant, earliest) for instant in instants if instant is not None]
        return min(known, default=None)

    def _tell(self) -> None:
        for row in self.worker.store.register.since(self._told):
            self._told = row["id"]
            line = told(row)
            if line is not None:
                self.ledger.write(line)
                self.humans.notice(line)


def _simulated(person: Person) -> str:
    return SERVICE if person.has_calendar else NO_CALENDAR


def _worker(settings: Settings, clock: SteppedClock, writes: type[Emails]) -> Worker:
    store = Store(SCRATCH_URL, Seal([new_key()]))
    store.create()
    return build(settings, clock, store=store, holder="simulation", together=50, writes=writes)


def told(row: Mapping[str, Any]) -> Line | None:
    """A line of the history as a line of the ledger; None when the ledger doesn't tell it."""
    if row["what"] not in TOLD:
        return None
    line: Line = {"at": f"{row['at']:%Y-%m-%dT%H:%M:%SZ}", "what": row["what"]}
    for name in ("pair", "session"):
        if row[name]:
            line[name] = row[name]
    line.update(row["fields"])
    if row["reason"]:
        line["reason"] = row["reason"]
    return line


# --- a stretch of time ---


def year(
    persons: Mapping[Address, Person],
    pairs: Mapping[str, Pair],
    start: datetime,
    length: timedelta,
    *,
    seed: int,
    behave: str,
    out: IO[str] | None = None,
) -> int:
    """Let a company live for that long; how many lines the ledger has."""
    run = Run(start=start, days=length // timedelta(days=1), seed=seed, manner=behave)
    return _live(run, Settings(), persons, pairs, Ledger(out=out, keep=False))


# --- calendars that people bring along ---


def load_calendars(
    folder: Path,
    persons: Mapping[Address, Person],
    calendar: MemoryCalendar,
    window: Span,
    *,
    elsewhere: Collection[Address] = (),
) -> int:
    """Put each `<email>.ics` of the folder on that person's calendar; how many events that were. Whole days and times
    without a zone are taken in the person's own.

    A meeting that lies in the files of several people is put there once, and counts for each of them as their own file
    says. Raises Problems for files that can't be read
    and for files of people who aren't in the people file. Those of people who are `elsewhere` are passed over.
    """
    problems: list[Problem] = []
    exports: dict[Address, _Export] = {}
    files = sorted(file for file in folder.iterdir() if file.suffix.casefold() == ".ics")
    if not files:
        remedy = "Name each calendar as its owner: `name@example.com.ics`."
        raise Problems([Problem(str(folder), "No file here ends in `.ics`.", remedy)])
    for file in files:
        owner = file.stem.casefold()
        if owner not in persons and owner in elsewhere:
            continue
        if owner not in persons:
            problems.append(Problem(str(file), "Nobody of that address is in the people file.", "Rename or remove it."))
            continue
        try:
            _read(file, persons[owner], window, exports.setdefault(owner, _Export()))
        except (ValueError, LookupError, OSError, ProviderError) as error:
            what = error.strerror if isinstance(error, OSError) else error
            problems.append(Problem(str(file), f"It can't be read: {what}", "Export it again as iCalendar (RFC 5545)."))
    if problems:
        raise Problems(problems)
    meetings: dict[tuple[str, datetime], dict[Address, Event]] = {}
    for owner, export in exports.items():
        for event in export.events:
            meetings.setdefault((_uid(event), event.span.start), {}).setdefault(owner, event)
    for (uid, _), held in meetings.items():
        _put(held, {who for who, export in exports.items() if uid in export.uids}, calendar)
    return len(meetings)


@dataclass(slots=True)
class _Export:
    """What somebody's own file tells: what takes time, and the UIDs of all that it holds."""

    events: list[Event] = field(default_factory=list)
    uids: set[str] = field(default_factory=set)


def _read(file: Path, owner: Person, window: Span, export: _Export) -> None:
    """Add what a file holds, as its owner sees it; what can't be read takes all the time that it may take."""
    from worker.providers import icalparser
    from worker.providers.icalreader import read_calendar

    parsed = icalparser.parse(icalparser.decode(file.read_bytes()), file.name)
    uids = [str(event["UID"]).strip() for event in parsed.walk("VEVENT") if "UID" in event]
    export.uids.update(uids)
    first = next(iter(uids), file.name)
    reading = read_calendar(parsed, EventRef(owner.email, first, ""), ZoneInfo(owner.zone), window)
    export.events += [event for event in reading.events if event.show is not None and not event.cancelled]
    for span, mark in reading.unknown:
        if span.overlaps(window):
            shown = Span(max(span.start, window.start), min(span.end, window.end))
            export.events.append(Event(ref=EventRef(owner.email, f"{file.name} {mark}", ""), span=shown))


def _uid(event: Event) -> str:
    """What a meeting is called in every file."""
    return event.series or event.ref.id


def _put(held: Mapping[Address, Event], knowing: Collection[Address], calendar: MemoryCalendar) -> None:
    """Put a meeting on the calendars of all whom it names.

    `held`: the meeting as those see it for whom it takes time, each by their own file; for the others who are `knowing`
    it takes none, since their own files hold it otherwise. Of anybody else the organizer's file is believed; without
    that, nobody counts as away whom one of them expects.
    """
    owner = next((who for who, event in held.items() if event.organizer == who), "")
    sources = [held[owner]] if owner else [*held.values()]
    owner = owner or next(iter(held))
    event = held[owner]
    answers: dict[Address, Answer] = {}
    for source in sources:
        for who, answer in source.answers.items():
            if answers.get(who, Answer.DECLINED) is Answer.DECLINED:
                answers[who] = answer
    answers |= {who: one.answers.get(who, Answer.ACCEPTED) for who, one in held.items()}
    named, organizer = {*answers, event.organizer}, event.organizer or owner
    answers |= {who: Answer.DECLINED for who in knowing if who in named and who not in held}
    if answers.get(organizer) is Answer.DECLINED:
        organizer = owner
    answers.pop(organizer, None)
    calendar.add(
        owner,
        event.span,
        show=event.show,
        all_day=event.all_day,
        series=event.series,
        organizer=organizer,
        attendees=answers,
    )


# --- a whole run ---


@dataclass(frozen=True, slots=True, kw_only=True)
class Run:
    """What to simulate: from when, how long, by which dice, and how people behave (one of `behaviour.MANNERS`)."""

    start: datetime
    days: int
    seed: int
    manner: str
    calendars: Path | None = None  #: holds `<email>.ics`


def run(
    run: Run,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[str, Pair],
    out: Path,
    progress: Callable[[datetime], None] = lambda _: None,
) -> Tally:
    """Simulate, and write `ledger.jsonl` and `summary.txt` into `out`, whole or not at all. The same input gives the
    same bytes. Raises Problems for calendars that can't be used."""
    ledger, summary = out / "ledger.jsonl", out / "summary.txt"
    _refuse_places(run, out, (ledger, summary))
    tally, there = Tally(), out.exists()
    private_files.make_folder(out)
    drafts = [path.with_name(f"{path.name}.part") for path in (ledger, summary)]
    try:
        for draft in drafts:
            private_files.create(draft)
        with drafts[0].open("w", encoding="utf-8", newline="\n") as file:
            _live(run, settings, persons, pairs, Ledger(out=file, keep=False, tally=tally), progress)
        drafts[1].write_text(_summary(run, len(persons), len(pairs), tally), encoding="utf-8", newline="\n")
        drafts[0].replace(ledger)
        drafts[1].replace(summary)
    except BaseException:
        for draft in drafts:
            draft.unlink(missing_ok=True)
        if not there:
            out.rmdir()
        raise
    return tally


def _refuse_places(run: Run, out: Path, files: Iterable[Path]) -> None:
    """Raise Problems where the result can't be put, before anything is lived through for it."""
    problems = [
        Problem(str(path), "There is a folder of that name.", "Take it away, or name another folder with --out.")
        for file in files
        for path in (file, file.with_name(f"{file.name}.part"))
        if path.is_dir()
    ]
    if run.calendars is not None and run.calendars.resolve() == out.resolve():
        problems.append(Problem(str(out), "The calendars are in this folder.", "Name another folder with --out."))
    if problems:
        raise Problems(problems)


def _live(
    run: Run,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[str, Pair],
    ledger: Ledger,
    progress: Callable[[datetime], None] = lambda _: None,
) -> int:
    """Everything that happens, into the ledger; how many lines that were."""
    parts = apart.parts(pairs)
    if len(parts) == 1:
        _live_here(run, settings, persons, pairs, ledger, progress)
    else:
        for text in apart.lived(parts, partial(_live_part, run, settings, persons), progress):
            ledger.copy(text)
    return ledger.count


def _live_part(
    run: Run,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[str, Pair],
    out: Path,
    progress: Callable[[datetime], None],
) -> None:
    concerned = {who for pair in pairs.values() for who in (pair.manager, pair.report)}
    with out.open("w", encoding="utf-8") as file:
        here = {who: persons[who] for who in sorted(concerned)}
        others = persons.keys() - here.keys()
        _live_here(run, settings, here, pairs, Ledger(out=file, keep=False), progress, elsewhere=others)


def _live_here(
    run: Run,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[str, Pair],
    ledger: Ledger,
    progress: Callable[[datetime], None],
    *,
    elsewhere: Collection[Address] = (),
) -> None:
    """All of them in this process."""
    import gc

    from worker.behaviour import MANNERS, Crowd, Meetings

    world = World(simulated_settings(settings), persons, pairs, run.start, writes=Envelopes)
    end = run.start + timedelta(days=run.days)
    # millions of small values that all live on: looking through them for garbage takes a fifth of the time
    before = gc.get_threshold()
    gc.set_threshold(100_000, 50, 50)
    try:
        if run.calendars is not None:
            window = Span(run.start, end + Meetings.AHEAD)
            load_calendars(run.calendars, persons, world.calendar, window, elsewhere=elsewhere)
        world.ledger, manner = ledger, MANNERS[run.manner]
        world.humans = Crowd(world, manner, run.seed)
        _pass_time(world, Meetings(world, manner, run.seed), end, progress)
    finally:
        gc.set_threshold(*before)
        world.worker.close()


def _pass_time(world: World, meetings: "Meetings", end: datetime, progress: Callable[[datetime], None]) -> None:
    """Week by week, since people fill their calendars so."""
    while (now := world.clock()) < end:
        meetings.refresh()
        world.calendar.changed()
        world.run_until(min(now + timedelta(weeks=1), end), progress)


def simulated_settings(settings: Settings) -> Settings:
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


def _summary(run: Run, people: int, pairs: int, tally: Tally) -> str:
    company = f"{people:,} people in {pairs:,} pairs"
    lines = [
        f"{run.days} days from {run.start:%Y-%m-%d}, {company}, {run.manner}, seed {run.seed}",
        "",
        *(f"{name:<28}{figures}" for name, figures in tally.rows(pairs)),
    ]
    return "\n".join(lines) + "\n"
