"""Runs a simulation: the real sync, sweep and outbox, with simulated people.

Only the calendar and mail services, the mail templates and the clock are replaced. The clock jumps from one instant at
which something is due to the next. The ledger lists everything that happened; the same seed gives the same ledger, byte
for byte.
"""

from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO

from worker import private_files
from worker.domain.counts import format_count
from worker.domain.model import Address, Pair, PairId, Person, Span
from worker.errors import Problem, Problems
from worker.settings.load import Settings
from worker.simulation import partition
from worker.simulation.calendars import load_calendars
from worker.simulation.mails import BlankMailRenderer, DiscardingMailer
from worker.simulation.people import BEHAVIOURS, OtherMeetings, SimulatedHumans
from worker.simulation.summary import Summary
from worker.simulation.world import Ledger, SimulatedWorld, make_simulation_settings


def simulate_to_ledger(
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    start: datetime,
    length: timedelta,
    *,
    seed: int,
    behaviour: str,
    out: IO[str] | None = None,
) -> int:
    """Simulate a company with default settings, write its ledger to `out`, and return the number of its lines.

    `length` is rounded down to whole days, and `behaviour` is a key of `people.BEHAVIOURS`.
    """
    options = SimulationOptions(start=start, days=length // timedelta(days=1), seed=seed, behaviour=behaviour)
    return _simulate_parts(options, Settings(), persons, pairs, Ledger(out=out, keeps_lines=False))


@dataclass(frozen=True, slots=True, kw_only=True)
class SimulationOptions:
    """The parameters of a simulation."""

    start: datetime
    days: int
    seed: int  #: the seed of all random decisions
    behaviour: str  #: a key of `people.BEHAVIOURS`
    calendars: Path | None = None  #: a folder with the calendars that people have at the start, as `<email>.ics` files


def run_simulation(
    options: SimulationOptions,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    out: Path,
    progress: Callable[[datetime], None] = lambda _: None,
) -> Summary:
    """Run a simulation, and write `ledger.jsonl` and `summary.txt` into the folder `out`.

    After an error neither file is changed. `progress` is called with the simulated time. Raises Problems for calendars
    that can't be used, and when the files can't be written into `out`.
    """
    ledger_file, summary_file = out / "ledger.jsonl", out / "summary.txt"
    _check_output(options, out, (ledger_file, summary_file))
    summary = Summary()
    has_created_folder = not out.exists()
    private_files.make_folder(out)
    ledger_draft, summary_draft = _get_draft_path(ledger_file), _get_draft_path(summary_file)
    try:
        for draft in (ledger_draft, summary_draft):
            private_files.create(draft)
        with ledger_draft.open("w", encoding="utf-8", newline="\n") as file:
            _simulate_parts(
                options, settings, persons, pairs, Ledger(out=file, keeps_lines=False, summary=summary), progress
            )
        summary_text = _format_summary(options, len(persons), len(pairs), summary)
        summary_draft.write_text(summary_text, encoding="utf-8", newline="\n")
        ledger_draft.replace(ledger_file)
        summary_draft.replace(summary_file)
    except BaseException:
        for draft in (ledger_draft, summary_draft):
            draft.unlink(missing_ok=True)
        if has_created_folder:
            out.rmdir()
        raise
    return summary


def _get_draft_path(file: Path) -> Path:
    """Return the path under which a file is written before it is complete."""
    return file.with_name(f"{file.name}.part")


def _check_output(options: SimulationOptions, out: Path, files: Iterable[Path]) -> None:
    """Raise Problems when these files can't be written into the folder `out`."""
    problems = [
        Problem(str(path), "There is a folder of that name.", "Remove it, or name another folder with --out.")
        for file in files
        for path in (file, _get_draft_path(file))
        if path.is_dir()
    ]
    if options.calendars is not None and options.calendars.resolve() == out.resolve():
        problems.append(Problem(str(out), "The calendars are in this folder.", "Name another folder with --out."))
    if problems:
        raise Problems(problems)


def _simulate_parts(
    options: SimulationOptions,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    ledger: Ledger,
    progress: Callable[[datetime], None] = lambda _: None,
) -> int:
    """Simulate a company, in several processes if it is large enough. Return the number of lines of the ledger."""
    parts = partition.split_pairs(pairs)
    if len(parts) == 1:
        _simulate_in_process(options, settings, persons, pairs, ledger, progress)
    else:
        for line in partition.run_parts(parts, partial(_simulate_part, options, settings, persons), progress):
            ledger.copy_line(line)
    return ledger.count


def _simulate_part(
    options: SimulationOptions,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    out: Path,
    progress: Callable[[datetime], None],
) -> None:
    """Simulate one part of a company, and write its ledger to `out`. `persons` are the people of all parts."""
    addresses = {address for pair in pairs.values() for address in (pair.manager, pair.report)}
    with out.open("w", encoding="utf-8") as file:
        part_persons = {address: persons[address] for address in sorted(addresses)}
        people_of_other_parts = persons.keys() - part_persons.keys()
        _simulate_in_process(
            options,
            settings,
            part_persons,
            pairs,
            Ledger(out=file, keeps_lines=False),
            progress,
            people_of_other_parts=people_of_other_parts,
        )


def _simulate_in_process(
    options: SimulationOptions,
    settings: Settings,
    persons: Mapping[Address, Person],
    pairs: Mapping[PairId, Pair],
    ledger: Ledger,
    progress: Callable[[datetime], None],
    *,
    people_of_other_parts: Collection[Address] = (),
) -> None:
    """Simulate these people and pairs in this process.

    The folder of calendars may also have files of `people_of_other_parts`, whom other processes simulate. They are
    skipped.
    """
    settings = make_simulation_settings(settings)
    world = SimulatedWorld(
        settings,
        persons,
        pairs,
        options.start,
        mailer=DiscardingMailer(),
        mail_renderer=BlankMailRenderer(sender=settings.mail.sender, domain=settings.mail.domain),
    )
    end = options.start + timedelta(days=options.days)
    try:
        if options.calendars is not None:
            window = Span(options.start, end + OtherMeetings.FILL_AHEAD)
            load_calendars(
                options.calendars, persons, world.calendar, window, people_of_other_parts=people_of_other_parts
            )
        world.ledger = ledger
        behaviour = BEHAVIOURS[options.behaviour]
        world.humans = SimulatedHumans(world, behaviour, options.seed)
        _run_weeks(world, OtherMeetings(world, behaviour, options.seed), end, progress)
    finally:
        world.worker.close()


def _run_weeks(
    world: SimulatedWorld, meetings: OtherMeetings, end: datetime, progress: Callable[[datetime], None]
) -> None:
    """Run the world week by week, and before each week add meetings that are not sessions to the calendars."""
    while (now := world.clock()) < end:
        meetings.refresh()
        world.calendar.pop_changed_calendars()  # so that the new meetings do not make every calendar due
        world.run_until(min(now + timedelta(weeks=1), end), progress)


def _format_summary(options: SimulationOptions, person_count: int, pair_count: int, summary: Summary) -> str:
    company = f"{format_count(person_count, 'person', 'people')} in {format_count(pair_count, 'pair')}"
    days = format_count(options.days, "day")
    lines = [
        f"{days} from {options.start:%Y-%m-%d}, {company}, {options.behaviour}, seed {options.seed}",
        "",
        *(f"{name:<28}{figures}" for name, figures in summary.list_rows(pair_count)),
    ]
    return "\n".join(lines) + "\n"
