"""The same program on a simulated calendar, clock and people.

Nothing of the program is replaced but the services and the clock: the same sync, sweep, outbox and mails, on the
memory provider. Time jumps from one instant at which something is due to the next. Same seed, same ledger, byte for
byte.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING

from worker import private_files
from worker.domain.model import Address, Pair, PairId, Person, Span
from worker.errors import Problem, Problems
from worker.settings.load import Settings
from worker.simulation import partition
from worker.simulation.mails import BlankMailRenderer, DiscardingMailer
from worker.simulation.summary import Summary

if TYPE_CHECKING:
    from worker.simulation.people import OtherMeetings
from worker.simulation.calendars import load_calendars
from worker.simulation.world import Ledger, SimulatedWorld, make_simulation_settings


def simulate_to_ledger(
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    start: datetime,
    length: timedelta,
    *,
    seed: int,
    behave: str,
    out: IO[str] | None = None,
) -> int:
    """Let a company live for that long; how many lines the ledger has."""
    run = SimulationOptions(start=start, days=length // timedelta(days=1), seed=seed, behaviour=behave)
    return _simulate_parts(run, Settings(), persons, pairs, Ledger(out=out, keeps_lines=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """What to simulate: from when, how long, by which dice, and how people behave (one of `people.BEHAVIOURS`)."""

    start: datetime
    days: int
    seed: int
    behaviour: str
    calendars: Path | None = None  #: holds `<email>.ics`


def run_simulation(
    run: SimulationOptions,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    out: Path,
    progress: Callable[[datetime], None] = lambda _: None,
) -> Summary:
    """Simulate, and write `ledger.jsonl` and `summary.txt` into `out`, whole or not at all. The same input gives the
    same bytes. Raises Problems for calendars that can't be used."""
    ledger, summary = out / "ledger.jsonl", out / "summary.txt"
    _check_output(run, out, (ledger, summary))
    tally, there = Summary(), out.exists()
    private_files.make_folder(out)
    drafts = [path.with_name(f"{path.name}.part") for path in (ledger, summary)]
    try:
        for draft in drafts:
            private_files.create(draft)
        with drafts[0].open("w", encoding="utf-8", newline="\n") as file:
            _simulate_parts(run, settings, persons, pairs, Ledger(out=file, keeps_lines=False, summary=tally), progress)
        drafts[1].write_text(_format_summary(run, len(persons), len(pairs), tally), encoding="utf-8", newline="\n")
        drafts[0].replace(ledger)
        drafts[1].replace(summary)
    except BaseException:
        for draft in drafts:
            draft.unlink(missing_ok=True)
        if not there:
            out.rmdir()
        raise
    return tally


def _check_output(run: SimulationOptions, out: Path, files: Iterable[Path]) -> None:
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


def _simulate_parts(
    run: SimulationOptions,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    ledger: Ledger,
    progress: Callable[[datetime], None] = lambda _: None,
) -> int:
    """Everything that happens, into the ledger; how many lines that were."""
    parts = partition.split_pairs(pairs)
    if len(parts) == 1:
        _simulate_in_process(run, settings, persons, pairs, ledger, progress)
    else:
        for text in partition.run_parts(parts, partial(_simulate_part, run, settings, persons), progress):
            ledger.copy_line(text)
    return ledger.count


def _simulate_part(
    run: SimulationOptions,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    out: Path,
    progress: Callable[[datetime], None],
) -> None:
    concerned = {who for pair in pairs.values() for who in (pair.manager, pair.report)}
    with out.open("w", encoding="utf-8") as file:
        here = {who: persons[who] for who in sorted(concerned)}
        others = persons.keys() - here.keys()
        _simulate_in_process(
            run, settings, here, pairs, Ledger(out=file, keeps_lines=False), progress, elsewhere=others
        )


def _simulate_in_process(
    run: SimulationOptions,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    ledger: Ledger,
    progress: Callable[[datetime], None],
    *,
    elsewhere: Collection[Address] = (),
) -> None:
    """All of them in this process."""
    from worker.simulation.people import BEHAVIOURS, OtherMeetings, SimulatedHumans

    settings = make_simulation_settings(settings)
    world = SimulatedWorld(
        settings,
        persons,
        pairs,
        run.start,
        mailer=DiscardingMailer(),
        mail_renderer=BlankMailRenderer(sender=settings.mail.sender, domain=settings.mail.domain),
    )
    end = run.start + timedelta(days=run.days)
    try:
        if run.calendars is not None:
            window = Span(run.start, end + OtherMeetings.AHEAD)
            load_calendars(run.calendars, persons, world.calendar, window, elsewhere=elsewhere)
        world.ledger, manner = ledger, BEHAVIOURS[run.behaviour]
        world.humans = SimulatedHumans(world, manner, run.seed)
        _run_weeks(world, OtherMeetings(world, manner, run.seed), end, progress)
    finally:
        world.worker.close()


def _run_weeks(
    world: SimulatedWorld, meetings: "OtherMeetings", end: datetime, progress: Callable[[datetime], None]
) -> None:
    """Week by week, since people fill their calendars so."""
    while (now := world.clock()) < end:
        meetings.refresh()
        world.calendar.pop_changed_calendars()
        world.run_until(min(now + timedelta(weeks=1), end), progress)


def _format_summary(run: SimulationOptions, people: int, pairs: int, tally: Summary) -> str:
    company = f"{people:,} people in {pairs:,} pairs"
    lines = [
        f"{run.days} days from {run.start:%Y-%m-%d}, {company}, {run.behaviour}, seed {run.seed}",
        "",
        *(f"{name:<28}{figures}" for name, figures in tally.list_rows(pairs)),
    ]
    return "\n".join(lines) + "\n"
