"""`longarc people`: reads the roster, shows what it would change in the database, and applies it with `--apply`."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import json_option
from worker.commands.base import Command
from worker.commands.context import is_database_absent, load_settings, open_store, set_up_quiet_logging
from worker.commands.terminal import make_console, print_json, print_line
from worker.domain.counts import format_count
from worker.errors import Refused

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.engine.roster_reader import RosterReading
    from worker.ops.roster_changes import Joiner, Leaver, ManagerChange, NewPair, RosterChanges
    from worker.settings.load import Settings
    from worker.store.import_preview import SettingChange

#: How many changes of each kind are listed; further ones are only counted.
MAX_SHOWN = 10
#: The longest line of output, in characters, even on a wider terminal.
MAX_WIDTH = 100


@click.command("people", cls=Command, short_help="Show what the roster would change; --apply changes it.")
@click.option("--apply", "should_apply", is_flag=True, help="Apply the changes now. `longarc run` does so by itself.")
@click.option(
    "--accept",
    is_flag=True,
    help="Apply the changes even if many pairs end, many people leave or many events are cancelled.",
)
@click.option("--force", is_flag=True, help="With --apply: the same as --accept.")
@json_option
def people(should_apply: bool, accept: bool, force: bool, as_json: bool) -> None:
    """Show what the people file or the directory would change; with --apply, change it.

    A change that would end more than a tenth of the pairs, remove more than a tenth of the people, or cancel more
    events than `rules.max_cancels`, is applied only with --accept.
    """
    if force and not should_apply:
        raise click.UsageError("--force can only be given with --apply.")
    settings = load_settings()
    set_up_quiet_logging(settings)
    if should_apply or accept:
        _apply(settings, force=force or accept)
    else:
        with _open_preview_worker(settings) as worker:
            _preview(settings, worker, as_json=as_json)


def _apply(settings: "Settings", *, force: bool) -> None:
    """Read the roster and apply it, and print whether that changed anything. Creates the database if there is none."""
    from worker.app import build
    from worker.engine.roster_reader import read_people
    from worker.store.inspection import get_schema_versions

    if not settings.roster.has_directory:
        # Raises Problems for a people file with faults before a database is created. A directory is read afterwards,
        # since what it has pushed is in the database.
        read_people(settings, utcnow())
    worker = build(settings, store=open_store(settings, needs_encryption_key=False))
    with closing(worker):
        get_schema_versions(worker.store.database)  # raises a clear error when the database can't be used
        worker.store.migrate()
        # a directory is read now, even if it is not due to be read
        has_changed = worker.import_people(force=force, must_read_directory=True)
        people_count = len(worker.store.people.load_current_people())
        pair_count = sum(not pair.ended for pair in worker.store.people.load_all_pairs().values())
    counts = f"{format_count(people_count, 'person', 'people')} in {format_count(pair_count, 'pair')}"
    print_line(f"{counts}: {'applied' if has_changed else 'nothing has changed since it was last read'}.", "green")


@contextmanager
def _open_preview_worker(settings: "Settings") -> "Iterator[Worker]":
    """Open the worker on its database, or on an empty database in memory when there is no database yet."""
    from worker.app import build
    from worker.store.inspection import has_tables

    is_absent = is_database_absent(settings.database)
    if not is_absent:
        with closing(open_store(settings, needs_encryption_key=False)) as store:
            is_absent = not has_tables(store.database)
    if is_absent:
        settings = settings.model_copy(update={"database": "sqlite://"})
    worker = build(settings, store=open_store(settings, needs_encryption_key=False))
    with closing(worker):
        if is_absent:
            worker.store.create_tables()
        yield worker


def _preview(settings: "Settings", worker: "Worker", *, as_json: bool) -> None:
    """Print what the roster would change. Raises Refused when only `--accept` would apply that change."""
    from worker.engine.habits import fill_from_stored
    from worker.engine.people_import import find_objection
    from worker.engine.roster_reader import RosterReader
    from worker.ops.roster_changes import find_changes

    now, reader = utcnow(), RosterReader(settings, worker.store)
    reading = reader.read(now)
    # an import would query the calendars of new people for time zones and working hours, and a preview does not
    roster = fill_from_stored(reading.roster, worker.store.people.load_current_people())
    preview = worker.store.people.preview_import(roster.persons, roster.pairs, roster.aliases)
    decide_participation = worker.participation.make_rule(roster.persons)
    changes = find_changes(preview, roster, worker.store, decide_participation, settings.policy, now)
    # the policy holds the section [rules] of the settings, with `max_cancels`
    objection = find_objection(preview, settings.policy.max_cancels)
    if as_json:
        print_json(_encode_changes(reader.name, reading, changes, objection))
    else:
        _show_changes(reader.name, reading, changes, has_objection=bool(objection))
    if objection:
        raise Refused(f"{objection} To apply it all the same: `longarc people --accept`.")


# --- output as text ---


def _show_changes(source_name: str, reading: "RosterReading", changes: "RosterChanges", *, has_objection: bool) -> None:
    """Print who joins, leaves or changes, the roster faults, and how many events would be cancelled."""
    people_count = format_count(len(reading.roster.persons), "person", "people")
    print_line(f"{source_name}: {people_count} in {format_count(len(reading.roster.pairs), 'pair')}.", "bold")
    _show_list("joins", "join", [_describe_joiner(joiner) for joiner in changes.joiners])
    _show_list("leaves", "leave", [_describe_leaver(leaver) for leaver in changes.leavers])
    manager_changes = [_describe_manager_change(change) for change in changes.manager_changes]
    _show_list("has another manager", "have another manager", manager_changes)
    renames = [(old, f"is {new} from now on, and keeps everything") for old, new in sorted(changes.renames.items())]
    _show_list("has another address", "have another address", renames)
    setting_changes = _describe_setting_changes(changes.setting_changes)
    _show_list("has other settings", "have other settings", setting_changes)
    if changes.is_empty:
        print_line("Nobody joins or leaves, and the pairs stay as they are.")
    if reading.faults:
        print_line()
        fault_count = format_count(reading.fault_count, "fault")  # an entry may stand for many similar faults
        print_line(f"{fault_count} in the directory. The pairs concerned stay as they were.", "yellow")
        _show_entries([(str(fault), "") for fault in reading.faults])
    print_line()
    hint = "" if has_objection else "; --apply applies the changes"
    print_line(f"{format_count(changes.event_count, 'event')} would be cancelled. Nothing was changed{hint}.")


def _show_list(singular: str, plural: str, entries: Sequence[tuple[str, str]]) -> None:
    """Print a heading with the number of people, and an entry for each; nothing when there are no entries.

    An entry names a person, and says what changes for that person.
    """
    if entries:
        print_line()
        print_line(format_count(len(entries), f"person {singular}", f"people {plural}"), "bold")
        _show_entries(entries)


def _show_entries(entries: Sequence[tuple[str, str]]) -> None:
    """Print each entry: its first text, and below it the second one, indented."""
    from textwrap import wrap

    width = min(make_console().width, MAX_WIDTH)
    for person, details in entries[:MAX_SHOWN]:
        for line in wrap(person, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False):
            print_line(line)
        for line in wrap(details, width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False):
            print_line(line, "dim")
    if len(entries) > MAX_SHOWN:
        print_line(f"  and {len(entries) - MAX_SHOWN:,} more; `longarc people --json` lists all", "dim")


def _describe_joiner(joiner: "Joiner") -> tuple[str, str]:
    """Return the entry of a person who joins: the name and address, and the new pair."""
    prefix = "is back; " if joiner.is_returning else ""
    details = _describe_new_pair(joiner.new_pair) if joiner.new_pair else "without a manager"
    return f"{joiner.name} <{joiner.email}>", f"{prefix}{details}"


def _describe_new_pair(new_pair: "NewPair") -> str:
    return f"with {new_pair.manager}; {_describe_first_session(new_pair)}"


def _describe_first_session(new_pair: "NewPair") -> str:
    """Return when a new pair first meets, or why it does not."""
    day = new_pair.first_session
    if day:
        return f"first session around {day.day} {day:%B %Y}"
    return "paused" if new_pair.is_paused else "takes no part: see `longarc rollout`"


def _describe_leaver(leaver: "Leaver") -> tuple[str, str]:
    count = format_count(leaver.report_count, "pair of this manager ends", "pairs of this manager end")
    pairs = f"; {count}" if leaver.report_count else ""
    return f"{leaver.name} <{leaver.email}>", f"{_describe_cancelled(leaver.event_count)}{pairs}"


def _describe_manager_change(change: "ManagerChange") -> tuple[str, str]:
    former_text = f"{change.former} ({_describe_cancelled(change.event_count)})" if change.former else "nobody"
    new_pair = change.new_pair
    new_text = f"{new_pair.manager} ({_describe_first_session(new_pair)})" if new_pair else "nobody"
    handover = "; the report chooses what goes on to the new manager" if change.has_handover else ""
    return f"{change.name} <{change.email}>", f"from {former_text} to {new_text}{handover}"


def _describe_cancelled(count: int) -> str:
    return f"{format_count(count, 'event')} cancelled" if count else "nothing to cancel"


def _describe_setting_changes(changes: "Sequence[SettingChange]") -> list[tuple[str, str]]:
    """Return an entry for each person, with all of that person's changes."""
    from worker.ops.roster_changes import describe_value

    texts_by_person: dict[str, list[str]] = {}
    for change in changes:
        text = f"{change.column} {describe_value(change.before)} → {describe_value(change.after)}"
        texts_by_person.setdefault(change.person, []).append(text)
    return [(person, "; ".join(texts)) for person, texts in sorted(texts_by_person.items())]


# --- output as JSON ---


def _encode_changes(
    source_name: str, reading: "RosterReading", changes: "RosterChanges", objection: str
) -> dict[str, Any]:
    from worker.ops.roster_changes import describe_value

    return {
        "source": source_name,
        "people": len(reading.roster.persons),
        "pairs": len(reading.roster.pairs),
        "joiners": [_encode_joiner(joiner) for joiner in changes.joiners],
        "leavers": [_encode_leaver(leaver) for leaver in changes.leavers],
        "manager_changes": [_encode_manager_change(change) for change in changes.manager_changes],
        "renames": [{"from": old, "to": new} for old, new in sorted(changes.renames.items())],
        "settings": [
            {
                "email": change.person,
                "column": change.column,
                "before": describe_value(change.before),
                "after": describe_value(change.after),
            }
            for change in changes.setting_changes
        ],
        "faults": [{"where": fault.where, "what": fault.what, "remedy": fault.remedy} for fault in reading.faults],
        "fault_count": reading.fault_count,
        "events_cancelled": changes.event_count,
        "objection": objection or None,
    }


def _encode_joiner(joiner: "Joiner") -> dict[str, Any]:
    return {
        "email": joiner.email,
        "name": joiner.name,
        "returns": joiner.is_returning,
        **_encode_new_pair(joiner.new_pair),
    }


def _encode_leaver(leaver: "Leaver") -> dict[str, Any]:
    return {
        "email": leaver.email,
        "name": leaver.name,
        "reports": leaver.report_count,
        "events_cancelled": leaver.event_count,
    }


def _encode_manager_change(change: "ManagerChange") -> dict[str, Any]:
    return {
        "email": change.email,
        "name": change.name,
        "former_manager": change.former,
        **_encode_new_pair(change.new_pair),
        "events_cancelled": change.event_count,
        "handover": change.has_handover,
    }


def _encode_new_pair(new_pair: "NewPair | None") -> dict[str, Any]:
    manager = new_pair.manager if new_pair else None
    return {"manager": manager, "first_session": new_pair.first_session if new_pair else None}
