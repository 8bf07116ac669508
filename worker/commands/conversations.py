"""What a manager or a report says to the program: talk soon, another time, it took place, it did not, rest."""

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
#: What is decided here reaches calendars and mail through the running program.
WITHIN_A_MINUTE = "within a minute, while `longarc run` is running"


@click.command("talk", cls=Command, short_help="Ask for a conversation within days, or for a check-in.")
@pair_argument
@click.option("--trigger", type=click.Choice(TRIGGERS), help="What it is about. Only the manager ever reads it.")
@click.option(
    "--reason",
    type=TextLine(),
    metavar="TEXT",
    default="",
    help="In your own words; `-` reads them from standard input.",
)
@click.option("--at-once", is_flag=True, help="Within two working days, whatever it is about.")
@click.option("--check-in", is_flag=True, help="An informal check-in of some minutes instead.")
def talk(pair: Sequence[str], trigger: str | None, reason: str, at_once: bool, check_in: bool) -> None:
    """Ask for a conversation soon: within five working days, within two when somebody thinks of leaving.

    Why is kept sealed, and shown to nobody but the manager.
    """
    if check_in == bool(trigger) or (check_in and (reason or at_once)):
        raise click.UsageError("Say what it is about with --trigger, or ask for a --check-in, which takes no more.")
    with open_worker(seals=not check_in) as worker:
        named = find_pair(worker.store, pair)
        if trigger is None:
            session = worker.actions.request_check_in(named.id)
        else:
            from worker.domain.model import Trigger

            session = worker.actions.request_talk(named.id, Trigger(trigger), reason, at_once=at_once)
    print_line(f"{session}: it gets a time {WITHIN_A_MINUTE}. `longarc why {session}` tells which.")


@click.command("defer", cls=Command, short_help="Another time for a conversation: ours, or the one you name.")
@session_argument
@at_option
@click.option("--option", type=click.IntRange(min=1), metavar="N", help="One of the times held to choose from.")
@click.option("--minutes", type=click.IntRange(10, 90), metavar="N", help="How long it shall be, with --at.")
def defer(session: str, at: datetime | None, option: int | None, minutes: int | None) -> None:
    """Ask for another time: the program's choice, the time you name, or one of those it holds."""
    if (at and option) or (minutes and not at):
        raise click.UsageError("Name a time with --at (and --minutes), or take one of those held with --option.")
    with open_worker() as worker:
        found = find_session(worker.store, session)
        wish = _choose_span(worker.store, found, at, option, minutes)
        worker.actions.defer_session(session, wish)
        zone = find_manager(worker.store, found.pair).zone
        off_work = _off_work(worker.store, found, wish) if wish else []
    if wish:
        print_line(f"{session} is booked for {format_time(wish.start, zone)}, {wish.minutes} minutes ({zone}).")
        if off_work:
            print_line(f"That lies outside the working hours of {' and '.join(off_work)}.", "yellow")
    else:
        print_line(f"{session} is owed; it gets another time {WITHIN_A_MINUTE}.")


def _off_work(store: "Store", session: "Session", wish: "Span") -> list[str]:
    """The names of those of the two for whom that is not working time."""
    from worker.domain.time.worktime import is_working_time
    from worker.store.statistics import Statistics

    people = Statistics(store.database).load_all_people()
    both = [people[address] for address in session.pair.people]
    return [person.name for person in both if not is_working_time(person, wish)]


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


@click.command("held", cls=Command, short_help="It took place; say when it ended if not at its time.")
@session_argument
@at_option
def mark_held(session: str, at: datetime | None) -> None:
    """Say that a conversation took place; with --at, when it ended."""
    with open_worker() as worker:
        found = find_session(worker.store, session)
        end = resolve_local_time(at, find_manager(worker.store, found.pair).zone) if at else None
        worker.actions.record_held(session, end)
        asks = found.asks_contract
    print_line(f"{session} was held." + (f" Close it with: longarc contract template {session}" if asks else ""))


@click.command("not-held", cls=Command, short_help="It did not take place: it is owed, and gets a new time.")
@session_argument
def not_held(session: str) -> None:
    """Say that a conversation did not take place: it is owed, and gets a new time soon."""
    with open_worker() as worker:
        find_session(worker.store, session)
        is_new = worker.actions.record_not_held(session)
    if is_new:
        print_line(f"{session} is owed; it gets another time {WITHIN_A_MINUTE}.")
    else:
        print_line(f"It is recorded already that {session} did not take place. Nothing was changed.")


@click.command("pause", cls=Command, short_help="Let a pair rest: what is ahead is taken off the calendar.")
@pair_argument
def pause(pair: Sequence[str]) -> None:
    """Let a pair rest. What is ahead of it comes off the calendar; nothing is asked until it is resumed."""
    _set_resting(pair, rests=True)


@click.command("resume", cls=Command, short_help="Take a pair up again.")
@pair_argument
def resume(pair: Sequence[str]) -> None:
    """Take a pair up again: its next conversation gets a time."""
    _set_resting(pair, rests=False)


def _set_resting(words: Sequence[str], *, rests: bool) -> None:
    with open_worker() as worker:
        named = find_pair(worker.store, words)
        if named.ended:
            raise Refused(f"{named.id} is no pair any more; the people file decides about that.")
        worker.store.people.set_paused(named.id, rests=rests, now=utcnow())
        still = worker.store.people.load_all_pairs()[named.id].paused
    if still and not rests:
        raise Refused(f"{named.id} is still paused by the people file. Change its row there.")
    print_line(f"{named.id} {'rests' if rests else 'goes on'}, from the next sweep: {WITHIN_A_MINUTE}.")
