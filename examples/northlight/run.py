"""One run of the demo, from an empty folder to the page: play it, write it down, print the story."""

import json
import logging
import os
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from examples.northlight import mailbox, page, people
from examples.northlight.actors import ScriptedHumans
from examples.northlight.figures import compute_statistics
from examples.northlight.result import DemoResult, collect_result
from examples.northlight.services import make_services
from examples.northlight.stage import DemoStage
from examples.northlight.story import list_rows
from worker.errors import LongarcError

if TYPE_CHECKING:
    from rich.console import Console

#: By this file a folder is known to be a demo's, and may be written anew.
MARKER = ".longarc-demo"
#: What the terminal is told; the page tells the rest.
PRINTED_TONES = ("human", "session", "trouble")

Progress = Callable[[datetime], None]


def run_demo(
    out: Path, provider: str = "caldav", progress: Progress | None = None, *, weeks: int = people.WEEKS
) -> None:
    """Play the story and write it to `out`. Raises LongarcError when `out` holds what no demo wrote, or when nobody
    knows how to play it on that provider. `progress` is told the time of the story; without it a bar shows it."""
    from rich.console import Console

    make_services(provider, out)  # before anything is written
    screen = Console(highlight=False, markup=False, emoji=False)
    _clear_folder(out)
    end = people.START + timedelta(weeks=weeks)
    with _quiet_logs(), _show_progress(screen, end, progress) as told:
        result = _play_story(out, provider, end, told)
    page.write_page(result, out)
    _print_story(result, out, screen)


def _play_story(out: Path, provider: str, end: datetime, told: Progress) -> DemoResult:
    """Let the weeks pass, and write what can only be read while the servers are there."""
    work = out.absolute() / "work"
    work.mkdir()
    with DemoStage(work, provider) as stage:
        stage.run_until(end, ScriptedHumans(stage, work), told)
        result = collect_result(stage, list(mailbox.read_mails(stage.services.mail_folder, stage.ledger)))
        calendars = out / "calendars"
        calendars.mkdir()
        for person in result.persons:
            (calendars / f"{person}.ics").write_text(stage.open_calendar(person).export(), encoding="utf-8", newline="")
    with (out / "ledger.jsonl").open("w", encoding="utf-8") as file:
        file.writelines(f"{json.dumps(line, ensure_ascii=False)}\n" for line in result.ledger)
    mailbox.write_mails(result.mails, out)
    return result


# --- the folder ------------------------------------------------------------------------------------------------------


def _clear_folder(out: Path) -> None:
    """Make `out` an empty folder of ours. Raises LongarcError when it holds something else."""
    if out.exists() and not out.is_dir():
        raise LongarcError(f"{out} is a file. Name a folder that the demo may write.")
    if out.is_dir() and any(out.iterdir()) and not (out / MARKER).is_file():
        raise LongarcError(f"{out} holds files that no demo wrote. Name another folder, or empty this one.")
    out.mkdir(parents=True, exist_ok=True)
    (out / MARKER).write_text("A folder of Longarc's demo: written anew each time.\n", encoding="utf-8")
    for one in out.iterdir():
        if one.name == MARKER:
            continue
        if one.is_dir() and not one.is_symlink():
            shutil.rmtree(one)
        else:
            one.unlink()


# --- the terminal ----------------------------------------------------------------------------------------------------


@contextmanager
def _quiet_logs() -> Iterator[None]:
    """Only warnings are logged meanwhile."""
    loggers = [logging.getLogger(name) for name in ("worker", "huey", "mail.log", "waitress")]
    levels = [logger.level for logger in loggers]
    for logger in loggers:
        logger.setLevel(logging.WARNING)
    try:
        yield
    finally:
        for logger, level in zip(loggers, levels, strict=True):
            logger.setLevel(level)


@contextmanager
def _show_progress(screen: "Console", end: datetime, progress: Progress | None) -> Iterator[Progress]:
    """A bar with the date of the story, unless somebody else shows it."""
    from rich.progress import BarColumn, TextColumn, TimeElapsedColumn
    from rich.progress import Progress as Bar

    if progress is not None:
        yield progress
        return
    columns = (TextColumn("{task.description}"), BarColumn(bar_width=40), TextColumn("{task.percentage:>3.0f} %"))
    with Bar(*columns, TimeElapsedColumn(), console=screen, disable=not screen.is_terminal) as bar:
        task = bar.add_task("Starting the servers", total=(end - people.START).total_seconds())

        def told(now: datetime) -> None:
            bar.update(task, completed=(now - people.START).total_seconds(), description=f"{now:%a %d %b %Y}")

        yield told
        told(end)


def _print_story(result: DemoResult, out: Path, screen: "Console") -> None:
    """The story as a table, the numbers, and where to look."""
    from rich import box
    from rich.console import Console
    from rich.table import Table

    if not screen.is_terminal and "COLUMNS" not in os.environ:
        screen = Console(highlight=False, markup=False, emoji=False, width=160)
    table = Table(box=box.SIMPLE_HEAD, pad_edge=False, title="What happened (hours of Berlin)", title_justify="left")
    table.add_column("When", no_wrap=True, style="dim")
    table.add_column("Pair", no_wrap=True)
    table.add_column("Who", no_wrap=True)
    table.add_column("What", ratio=3)
    table.add_column("Why", ratio=2, style="dim")
    styles = {"human": "blue", "trouble": "red", "session": ""}
    for row in list_rows(result.ledger, {}):
        if row.tone in PRINTED_TONES:
            table.add_row(f"{row.date} {row.clock}", row.names, row.who, row.what, row.short, style=styles[row.tone])
    screen.print(table)
    for tile in compute_statistics(result).tiles:
        screen.print(f"{tile.value:>9}  {tile.what}" + (f" ({tile.more})" if tile.more else ""))
    screen.print(f"\nThe whole story, and every mail as it looks: {out / 'index.html'}")
    work = out / "work"
    screen.print(f"To look around: LONGARC_KEY_FILE={work / 'key'} longarc --config {work / 'longarc.toml'} sessions")
