"""`longarc talk`, `defer`, `held` and `not-held`: ask for a conversation, move one, record whether it took place."""

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
from worker.commands.contracts import find_one_of_pair
from worker.commands.terminal import format_time, print_line
from worker.domain.counts import format_count
from worker.errors import Refused

if TYPE_CHECKING:
    from worker.domain.model import Address, Session, Span
    from worker.store.store import Store

#: The values of `Trigger`, which is not imported here: `longarc --help` has to answer at once.
TRIGGERS = ("leaving", "doubt", "motivation", "stalled", "change", "milestone")
#: When calendars and mails change after an action: the action is stored at once, and `longarc run` carries it out.
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
@click.option("--check-in", is_flag=True, help="Ask for a short informal check-in instead. It takes no other option.")
def talk(pair_words: Sequence[str], trigger: str | None, reason: str, at_once: bool, check_in: bool) -> None:
    """Ask for a conversation within five working days, or within two for `--trigger leaving`.

    The trigger and the reason are kept sealed; only the manager reads them.
    """
    # Exactly one of --trigger and --check-in is needed.
    if check_in == bool(trigger) or (check_in and (reason or at_once)):
        raise click.UsageError(
            "Say what it is about with --trigger, or ask for a --check-in, which takes no other option."
        )
    with open_worker(needs_encryption_key=not check_in) as worker:
        pair = find_pair(worker.store, pair_words)
        if trigger is None:
            session_id = worker.actions.request_check_in(pair.id)
        else:
            from worker.domain.model import Trigger

            session_id = worker.actions.request_ad_hoc_session(pair.id, Trigger(trigger), reason, at_once=at_once)
    print_line(
        f"{session_id}: this conversation gets a time {WITHIN_A_MINUTE}. `longarc why {session_id}` then shows it."
    )


@click.command("defer", cls=Command, short_help="Move a conversation: Longarc finds a time, or you name one.")
@session_argument
@at_option
@click.option(
    "--option", type=click.IntRange(min=1), metavar="N", help="Move it to reserved time N; `longarc why` lists them."
)
@click.option("--minutes", type=click.IntRange(10, 90), metavar="N", help="The new length; needs --at.")
@click.option(
    "--next-quarter",
    is_flag=True,
    help="Leave it until the next quarter. Allowed only after both were asked whether to do so.",
)
@click.option("--on-behalf-of", "person", metavar="PERSON", help="The address of the person who asks, one of the two.")
@click.option(
    "--reason",
    type=TextLine(),
    metavar="TEXT",
    default="",
    help="Why, in the report's own words; `-` reads standard input. Kept sealed; only the two read it.",
)
def defer(
    session_id: str,
    local_time: datetime | None,
    option: int | None,
    minutes: int | None,
    next_quarter: bool,
    person: str | None,
    reason: str,
) -> None:
    """Move a conversation: to a time that Longarc finds, to the time you name, or to a time reserved for it.

    A report may say why, with --on-behalf-of and --reason. The manager then gets the reason by mail in the report's
    voice, and both are told that a command wrote it. A manager's reason is not kept.
    """
    from worker.domain.model import ContentAccess
    from worker.engine.contracts import OnBehalf

    if (local_time and option) or (minutes and not local_time) or (next_quarter and (local_time or option or reason)):
        raise click.UsageError(
            "Name a time with --at (and --minutes), or choose one of the reserved times with --option, or leave it "
            "with --next-quarter, which takes no --reason."
        )
    with open_worker(needs_encryption_key=bool(reason)) as worker:
        session = find_session(worker.store, session_id)
        if next_quarter:  # for people, a cycle is a quarter, whatever the rhythm of the pair
            worker.actions.leave_until_next_cycle(session_id)
            print_line(f"{session_id} is left until the next quarter. It gets a time there {WITHIN_A_MINUTE}.")
            return
        span = _choose_span(worker.store, session, local_time=local_time, option=option, minutes=minutes)
        asker = _find_asker(worker.store, session, person, reason)
        write_access = None
        if reason:  # only then content is written, in the name of the report
            on_behalf = OnBehalf(ContentAccess.EXPLAIN_DEFERRAL, asker, reason)
            write_access = worker.contracts.make_access_writer(session.pair, on_behalf)
        worker.actions.request_another_time(session_id, span, asker, reason=reason, also_write=write_access)
        zone = find_manager(worker.store, session.pair).zone
        names_outside_hours = _list_names_outside_hours(worker.store, session, span) if span else []
    if span:
        print_line(f"{session_id} is booked for {format_time(span.start, zone)}, {span.minutes} minutes ({zone}).")
        if names_outside_hours:
            print_line(f"That is outside the working hours of {' and '.join(names_outside_hours)}.", "yellow")
    else:
        print_line(f"{session_id} must be scheduled again. It gets a new time {WITHIN_A_MINUTE}.")


def _find_asker(store: "Store", session: "Session", person: str | None, reason: str) -> "Address":
    """Return the address of the person who asks for another time; empty when nobody is named.

    Raises UsageError for a reason without a person, Refused for a manager's reason, UnknownName for an address of
    neither of the two.
    """
    if person is None and reason:
        raise click.UsageError(
            "The reason is written in the name of a report. Name that person: --on-behalf-of PERSON."
        )
    asker = find_one_of_pair(store, session.pair, person) if person else ""
    if reason and asker != session.pair.report:
        raise Refused("A manager's reason is not kept: only a report's reason is passed on. Leave --reason out.")
    return asker


def _list_names_outside_hours(store: "Store", session: "Session", span: "Span") -> list[str]:
    """Return the names of the people of the pair whose working hours do not include the whole span."""
    from worker.domain.time.worktime import is_working_time

    people = store.people.load_all_people()
    people_of_pair = [people[address] for address in session.pair.people]
    return [person.name for person in people_of_pair if not is_working_time(person, span)]


def _choose_span(
    store: "Store", session: "Session", *, local_time: datetime | None, option: int | None, minutes: int | None
) -> "Span | None":
    """Return the new time of a session: the reserved time of this number, or the local time of the manager.

    Return None when Longarc is to find a time. Raises Refused for a number or a local time that can't be used.
    """
    from worker.domain.model import Span
    from worker.domain.planning.offers import list_open_times

    if option:
        if option > len(session.options):
            reserved = format_count(len(session.options), "time is", "times are") if session.options else "no times are"
            raise Refused(f"There is no option {option}: {reserved} reserved for session {session.id}.")
        if session.options[option - 1] not in list_open_times(session, utcnow()):
            raise Refused(f"Option {option} is not reserved any more. Without --option, Longarc finds another time.")
        return session.options[option - 1]
    if local_time is None:
        return None
    start = resolve_local_time(local_time, find_manager(store, session.pair).zone)
    return Span(start, start + timedelta(minutes=minutes or session.minutes))


@click.command("held", cls=Command, short_help="Record that a conversation took place, and when it ended.")
@session_argument
@at_option
def mark_held(session_id: str, local_time: datetime | None) -> None:
    """Record that a conversation took place. --at says when it ended; without it, the planned end counts."""
    with open_worker() as worker:
        session = find_session(worker.store, session_id)
        zone = find_manager(worker.store, session.pair).zone
        end = resolve_local_time(local_time, zone) if local_time else None
        worker.actions.record_held(session_id, end)
        needs_contract = session.asks_contract
    next_step = f" To write its contract: longarc contract template {session_id}" if needs_contract else ""
    print_line(f"{session_id} was held.{next_step}")


@click.command("not-held", cls=Command, short_help="Record that it did not take place: it gets a new time.")
@session_argument
def not_held(session_id: str) -> None:
    """Record that a conversation did not take place: it gets a new time soon."""
    with open_worker() as worker:
        find_session(worker.store, session_id)
        is_newly_recorded = worker.actions.record_not_held(session_id)
    if is_newly_recorded:
        print_line(f"{session_id} must be scheduled again. It gets a new time {WITHIN_A_MINUTE}.")
    else:
        print_line(f"{session_id} is already recorded as not held. Nothing was changed.")
