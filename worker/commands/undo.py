"""`longarc undo`: removes every event that Longarc made from the calendars, and leaves everybody paused.

An event of Longarc carries a tag. A stranger is a tagged event of a conversation that the database never had; it may
belong to another installation.
"""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import json_option
from worker.commands.base import Command, CommandFailed
from worker.commands.context import open_worker
from worker.commands.terminal import confirm, make_progress_bar, print_json, print_line
from worker.domain.counts import format_count

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.engine.undo import ReportProgress, UndoResult

#: How many calendars with a problem are printed; `--json` prints all.
MAX_SHOWN = 20


@click.command("undo", cls=Command, short_help="Remove every event of Longarc from all calendars, and pause everybody.")
@click.option("--past", is_flag=True, help="Remove past events, too. Default: only future events.")
@click.option("--quiet", is_flag=True, help="Send guests no notice, as far as the services can do that.")
@click.option(
    "--strangers",
    is_flag=True,
    help="Remove events with our tag, too, that this database does not know: see the text above.",
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
def undo(past: bool, quiet: bool, strangers: bool, yes: bool, as_json: bool) -> None:
    """Remove every event of Longarc from every calendar, and leave everybody paused, so that nothing is booked again.

    You may stop this command and start it again: it continues where it stopped. A worker that runs meanwhile does part
    of the work. Calendars that can't be reached are listed with a remedy. Calendars are also searched for events with
    our tag that the database does not know. Such events may be of another installation of Longarc, so they stay unless
    you give --strangers.
    """
    if as_json and not yes:
        raise click.UsageError("--json is for programs, which can't answer a question. Add --yes.")
    with open_worker() as worker:
        if not as_json:
            _show_intent(worker, past=past, quiet=quiet)
        if not (yes or confirm("Remove them?")):
            raise CommandFailed("Nothing was changed. Say --yes to do it without being asked.")
        with _show_steps() as report_step:
            state = worker.undo.begin(includes_past=past, is_quiet=quiet)
            try:
                result = worker.undo.run(state, worker.holder, report_step, _wait_until, removes_strangers=strangers)
            except KeyboardInterrupt:
                raise CommandFailed(
                    "Stopped. Everybody is paused; `longarc undo` continues where it stopped."
                ) from None
    if as_json:
        print_json(_result_to_json(result))
    else:
        _show_result(result)
    if not result.is_complete:
        raise CommandFailed("Some events are left. Fix what is named above, and run `longarc undo` again.")


def _show_intent(worker: "Worker", *, past: bool, quiet: bool) -> None:
    """Print how many events would be removed from how many calendars, and who is told."""
    events = worker.store.undo.list_remaining_events(utcnow(), includes_past=past)
    calendars = format_count(len({event.calendar for event in events}), "calendar")
    count = format_count(len(events), "event" if past else "future event")
    print_line(f"{count} of Longarc would be removed from {calendars}. Then everybody is paused.")
    if not quiet:
        print_line("The calendar services tell the guests, unless you give --quiet.")
        return
    from worker.providers.quiet_cancels import QUIET_CANCELS, QUIET_INVITATIONS

    people = worker.store.people.load_all_people()
    services = {people[event.calendar].calendar for event in events if event.calendar in people}
    for sentence in (*(QUIET_CANCELS[name] for name in sorted(services & set(QUIET_CANCELS))), QUIET_INVITATIONS):
        print_line(sentence, "yellow")


@contextmanager
def _show_steps() -> "Iterator[ReportProgress]":
    """Show a progress bar on standard error, if that is a terminal. Yields the function that sets step and progress."""
    with make_progress_bar() as bar:
        task = bar.add_task("Pausing everybody", total=None)

        def report_step(description: str, done_count: int, total: int) -> None:
            bar.update(task, description=description, completed=done_count, total=total)

        yield report_step


def _wait_until(instant: datetime) -> None:
    """Sleep until this instant. Ctrl-C interrupts the sleep."""
    from threading import Event

    Event().wait(max((instant - utcnow()).total_seconds(), 0))


def _show_result(result: "UndoResult") -> None:
    """Print how many events were removed, and what is left on which calendar."""
    print_line(f"{format_count(result.removed_count, 'event was', 'events were')} removed.", "green")
    if result.orphan_count:
        orphans = format_count(result.orphan_count, "more event was", "more events were")
        print_line(f"{orphans} found on calendars and removed, although not in the database.")
    counts = Counter(event.calendar for event in result.remaining_events)
    reasons = {event.calendar: event.problem or "it has not been tried." for event in result.remaining_events}
    problems = {
        calendar: f"the calendar could not be searched: {reason}"
        for calendar, reason in result.unsearched_calendars.items()
    }
    for calendar, count in counts.items():
        problems[calendar] = f"{format_count(count, 'event is', 'events are')} still there: {reasons[calendar]}"
    for calendar, problem in sorted(problems.items())[:MAX_SHOWN]:
        print_line(f"{calendar}: {problem}", "red")
    if len(problems) > MAX_SHOWN:
        print_line(f"… and {format_count(len(problems) - MAX_SHOWN, 'more calendar')}; --json lists them all.", "dim")
    if result.stranger_count:
        strangers = format_count(result.stranger_count, "event carries", "events carry")
        print_line(
            f"{strangers} our tag, for conversations that this database never had. They may be of another or an "
            "earlier installation. `longarc undo --strangers` removes them, too.",
            "yellow",
        )
    print_line("Everybody is paused. `longarc resume --everybody` ends that.")


def _result_to_json(result: "UndoResult") -> dict[str, Any]:
    return {
        "removed": result.removed_count,
        "orphans": result.orphan_count,
        "strangers": result.stranger_count,
        "complete": result.is_complete,
        "standing": [
            {"calendar": event.calendar, "key": event.key, "why": event.problem} for event in result.remaining_events
        ],
        "unread": [{"calendar": calendar, "why": why} for calendar, why in result.unsearched_calendars.items()],
    }
