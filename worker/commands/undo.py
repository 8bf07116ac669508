"""`longarc undo`: takes every event of ours off the calendars, and leaves everybody paused."""

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
from worker.commands.terminal import confirm, format_count, make_progress_bar, print_json, print_line

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.engine.undo import UndoResult, Watch

#: Calendars printed of each list; `--json` prints all.
MAX_SHOWN = 20


@click.command("undo", cls=Command, short_help="Take every event of ours off every calendar, and pause everybody.")
@click.option("--past", is_flag=True, help="Past events, too. By default those to come.")
@click.option("--quiet", is_flag=True, help="Without notice to guests, as far as the services can do that.")
@click.option(
    "--strangers", is_flag=True, help="Also events with our mark that this database does not know: see the text above."
)
@click.option("--yes", is_flag=True, help="Do it without asking.")
@json_option
def undo(past: bool, quiet: bool, strangers: bool, yes: bool, as_json: bool) -> None:
    """Take every event of ours off every calendar, and leave everybody paused, so that nothing is booked anew.

    It may be stopped and started again, and goes on where it was; a running worker helps. What can't be reached is
    named with its remedy. Calendars are also searched for events with our mark that the database does not know. Those
    may be of another installation of Longarc, so they stay unless you give --strangers.
    """
    if as_json and not yes:
        raise click.UsageError("--json is for programs, which can't be asked. Add --yes.")
    with open_worker() as worker:
        if not as_json:
            _show_intent(worker, past=past, quiet=quiet)
        if not (yes or confirm("Take them off?")):
            raise CommandFailed("Nothing was changed. Say --yes to do it without being asked.")
        with _show_steps() as watch:
            state = worker.undo.begin(includes_past=past, is_quiet=quiet)
            try:
                result = worker.undo.run(state, worker.holder, watch, _wait_until, removes_strangers=strangers)
            except KeyboardInterrupt:
                raise CommandFailed("Stopped. Everybody is paused; `longarc undo` goes on where it stopped.") from None
    if as_json:
        print_json(_result_to_json(result))
    else:
        _show_result(result)
    if not result.is_complete:
        raise CommandFailed("Something is left. Fix what is named above, and run `longarc undo` again.")


def _show_intent(worker: "Worker", *, past: bool, quiet: bool) -> None:
    standing = worker.store.undo.list_standing_events(utcnow(), includes_past=past)
    calendars = format_count(len({event.calendar for event in standing}), "calendar")
    kind = "event" if past else "future event"
    print_line(f"{format_count(len(standing), kind)} of ours would come off {calendars}. Then everybody is paused.")
    if not quiet:
        print_line("The calendar services tell the guests; --quiet does without, as far as they can.")
        return
    from worker.providers.quiet_cancels import QUIET_CANCELS, QUIET_INVITATIONS

    people = worker.store.people.load_all_people()
    services = {people[event.calendar].calendar for event in standing if event.calendar in people}
    for sentence in (*(QUIET_CANCELS[name] for name in sorted(services & set(QUIET_CANCELS))), QUIET_INVITATIONS):
        print_line(sentence, "yellow")


@contextmanager
def _show_steps() -> "Iterator[Watch]":
    """Show a progress bar on standard error, if that is a terminal."""
    with make_progress_bar() as bar:
        task = bar.add_task("Pausing everybody", total=None)

        def watch(what: str, done: int, total: int) -> None:
            bar.update(task, description=what, completed=done, total=total)

        yield watch


def _wait_until(instant: datetime) -> None:
    from threading import Event

    Event().wait(max((instant - utcnow()).total_seconds(), 0))


def _show_result(result: "UndoResult") -> None:
    print_line(f"{format_count(result.removed, 'event was', 'events were')} taken off.", "green")
    if result.orphans:
        count = format_count(result.orphans, "more event was", "more events were")
        print_line(f"{count} found on calendars and taken off: the database did not know of them.")
    counts = Counter(event.calendar for event in result.standing)
    reasons = {event.calendar: event.problem or "it has not been tried." for event in result.standing}
    problems = {who: f"the calendar could not be searched: {why}" for who, why in result.unread.items()}
    for who, number in counts.items():
        problems[who] = f"{format_count(number, 'event still stands', 'events still stand')}: {reasons[who]}"
    for calendar, problem in sorted(problems.items())[:MAX_SHOWN]:
        print_line(f"{calendar}: {problem}", "red")
    if len(problems) > MAX_SHOWN:
        print_line(f"… and {len(problems) - MAX_SHOWN:,} more calendars; --json lists them all.", "dim")
    if result.strangers:
        count = format_count(result.strangers, "event carries", "events carry")
        print_line(
            f"{count} our mark, of conversations that this database never had: another installation's, or one's of "
            "before. `longarc undo --strangers` takes them off, too.",
            "yellow",
        )
    print_line("Everybody is paused. `longarc resume --everybody` begins again.")


def _result_to_json(result: "UndoResult") -> dict[str, Any]:
    return {
        "removed": result.removed,
        "orphans": result.orphans,
        "strangers": result.strangers,
        "complete": result.is_complete,
        "standing": [{"calendar": event.calendar, "key": event.key, "why": event.problem} for event in result.standing],
        "unread": [{"calendar": calendar, "why": why} for calendar, why in result.unread.items()],
    }
