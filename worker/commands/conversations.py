"""Actions on conversations: `talk`, `defer`, `held`, `not-held`, `pause`, `resume`."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

import click

from worker.clock import utcnow
from worker.commands.arguments import (
    TextLine,
    at_option,
    find_manager,
    find_pair,
    find_session,
    pair_argument,
    resolve_local_time,
    session_argument,
)
from worker.commands.base import Command
from worker.commands.context import open_worker
from worker.commands.terminal import format_count, format_time, print_line
from worker.errors import Refused

if TYPE_CHECKING:
    from worker.domain.model import Session, Span
    from worker.store.store import Store

TRIGGERS = ("leaving", "doubt", "motivation", "stalled", "change", "milestone")
#: When an action reaches calendars and mail: `longarc run` carries it out.
WITHIN_A_MINUTE = "within a minute, while `longarc run` is running"


@click.command("talk", cls=Command, short_help="Ask for a conversation within days, or for a check-in.")
@pair_argument
@click.option("--trigger", type=click.Choice(TRIGGERS), help="What it is about. Only the manager reads it.")
@click.option(
    "--reason",
    type=TextLine(),
    metavar="TEXT",
    default="",
    help="Why, in your own words; `-` reads standard input.",
)
@click.option("--at-once", is_flag=True, help="Within two working days, whatever the trigger.")
@click.option("--check-in", is_flag=True, help="A short informal check-in instead; takes no other option.")
def talk(pair: Sequence[str], trigger: str | None, reason: str, at_once: bool, check_in: bool) -> None:
    """Ask for a conversation within five working days, or within two for `--trigger leaving`.

    The trigger and the reason are kept sealed; only the manager reads them.
    """
    if check_in == bool(trigger) or (check_in and (reason or at_once)):
        raise click.UsageError("Say what it is about with --trigger, or ask for a --check-in, which takes no more.")
    with open_worker(seals=not check_in) as worker:
        named_pair = find_pair(worker.store, pair)
        if trigger is None:
            session = worker.actions.request_check_in(named_pair.id)
        else:
            from worker.domain.model import Trigger

            session = worker.actions.request_talk(named_pair.id, Trigger(trigger), reason, at_once=at_once)
    print_line(f"{session}: it gets a time {WITHIN_A_MINUTE}. `longarc why {session}` tells which.")


@click.command("defer", cls=Command, short_help="Move a conversation: Longarc finds a time, or you name one.")
@session_argument
@at_option
@click.option(
    "--option", type=click.IntRange(min=1), metavar="N", help="Take option N of the times held for this session."
)
@click.option("--minutes", type=click.IntRange(10, 90), metavar="N", help="The new length; needs --at.")
def defer(session: str, at: datetime | None, option: int | None, minutes: int | None) -> None:
    """Move a conversation: to a time that Longarc finds, to the time you name, or to one of the times held for it."""
    if (at and option) or (minutes and not at):
        raise click.UsageError("Name a time with --at (and --minutes), or take one of those held with --option.")
    with open_worker() as worker:
        planned = find_session(worker.store, session)
        span = _choose_span(worker.store, planned, at, option, minutes)
        worker.actions.defer_session(session, span)
        zone = find_manager(worker.store, planned.pair).zone
        off_work = _list_names_off_work(worker.store, planned, span) if span else []
    if span:
        print_line(f"{session} is booked for {format_time(span.start, zone)}, {span.minutes} minutes ({zone}).")
        if off_work:
            print_line(f"That lies outside the working hours of {' and '.join(off_work)}.", "yellow")
    else:
        print_line(f"{session} is owed; it gets another time {WITHIN_A_MINUTE}.")


def _list_names_off_work(store: "Store", session: "Session", span: "Span") -> list[str]:
    """The names of those of the two whose working hours do not cover the span."""
    from worker.domain.time.worktime import is_working_time
    from worker.store.statistics import Statistics

    people = Statistics(store.database).load_all_people()
    both = [people[address] for address in session.pair.people]
    return [person.name for person in both if not is_working_time(person, span)]


def _choose_span(
    store: "Store", session: "Session", at: datetime | None, option: int | None, minutes: int | None
) -> "Span | None":
    from worker.domain.model import Span

    if option:
        if option > len(session.options):
            held = format_count(len(session.options), "time is", "times are") if session.options else "no times are"
            raise Refused(f"There is no option {option}: {held} held for session {session.id}.")
        return session.options[option - 1]
    if at is None:
        return None
    start = resolve_local_time(at, find_manager(store, session.pair).zone)
    return Span(start, start + timedelta(minutes=minutes or session.minutes))


@click.command("held", cls=Command, short_help="Record that a conversation took place, and when it ended.")
@session_argument
@at_option
def mark_held(session: str, at: datetime | None) -> None:
    """Record that a conversation took place. --at says when it ended; otherwise it ended at its planned time."""
    with open_worker() as worker:
        planned = find_session(worker.store, session)
        end = resolve_local_time(at, find_manager(worker.store, planned.pair).zone) if at else None
        worker.actions.record_held(session, end)
        asks = planned.asks_contract
    print_line(f"{session} was held." + (f" Close it with: longarc contract template {session}" if asks else ""))


@click.command("not-held", cls=Command, short_help="Record that it did not take place: it gets a new time.")
@session_argument
def not_held(session: str) -> None:
    """Record that a conversation did not take place: it is owed, and gets a new time soon."""
    with open_worker() as worker:
        find_session(worker.store, session)
        is_new = worker.actions.record_not_held(session)
    if is_new:
        print_line(f"{session} is owed; it gets another time {WITHIN_A_MINUTE}.")
    else:
        print_line(f"It is recorded already that {session} did not take place. Nothing was changed.")


@click.command("pause", cls=Command, short_help="Pause a pair: its events are taken off the calendar.")
@pair_argument
def pause(pair: Sequence[str]) -> None:
    """Pause a pair. Its future events are cancelled, and nothing is booked or asked until it is resumed."""
    _set_paused(pair, pauses=True)


@click.command("resume", cls=Command, short_help="Resume a paused pair.")
@pair_argument
def resume(pair: Sequence[str]) -> None:
    """Resume a paused pair: its next conversation gets a time."""
    _set_paused(pair, pauses=False)


def _set_paused(name: Sequence[str], *, pauses: bool) -> None:
    with open_worker() as worker:
        pair = find_pair(worker.store, name)
        if pair.ended:
            raise Refused(f"{pair.id} is no pair any more; the people file decides about that.")
        worker.store.people.set_paused(pair.id, rests=pauses, now=utcnow())
        is_paused = worker.store.people.load_all_pairs()[pair.id].paused
    if is_paused and not pauses:
        raise Refused(f"{pair.id} is still paused by the people file. Change its row there.")
    print_line(f"{pair.id} {'rests' if pauses else 'goes on'}, from the next sweep: {WITHIN_A_MINUTE}.")
