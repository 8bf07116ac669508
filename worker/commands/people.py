"""`longarc people`: shows what the roster would change, and changes it."""

from collections.abc import Iterator, Sequence
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import json_option
from worker.commands.base import Command
from worker.commands.context import is_database_absent, load_settings, open_store, set_up_quiet_logging
from worker.commands.terminal import format_count, make_console, print_json, print_line
from worker.errors import Refused

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.engine.roster_reader import RosterReading
    from worker.ops.roster_changes import Beginning, Joiner, Leaver, ManagerChange, RosterChanges
    from worker.settings.load import Settings
    from worker.store.import_preview import SettingChange

#: How many changes of each kind are listed; the rest are counted.
MAX_SHOWN = 10
#: Longest line, in characters.
MAX_WIDTH = 100


@click.command("people", cls=Command, short_help="Show what the roster would change; --apply changes it.")
@click.option("--apply", "should_apply", is_flag=True, help="Apply it now. `longarc run` does so by itself.")
@click.option("--accept", is_flag=True, help="Apply it even if many pairs end or many events are cancelled.")
@click.option("--force", is_flag=True, help="With --apply: the same as --accept.")
@json_option
def people(should_apply: bool, accept: bool, force: bool, as_json: bool) -> None:
    """Show what the people file or the directory would change; with --apply, change it.

    What would end more than a tenth of the pairs, or take away more than a tenth of the people, is applied only with
    --accept.
    """
    if force and not should_apply:
        raise click.UsageError("--force goes with --apply.")
    settings = load_settings()
    set_up_quiet_logging(settings)
    if should_apply or accept:
        _apply(settings, force=force or accept)
    else:
        with _open_preview_worker(settings) as worker:
            _preview(settings, worker, as_json)


def _apply(settings: "Settings", *, force: bool) -> None:
    from worker.app import build
    from worker.engine.roster_reader import read_people
    from worker.store.statistics import Statistics

    if not settings.roster.has_directory:
        read_people(settings, utcnow())  # raises Problems before a database is created
    worker = build(settings, store=open_store(settings, needs_encryption_key=False))
    with closing(worker):
        Statistics(worker.store.database).get_schema_versions()  # raises a clear error when the database can't be used
        worker.store.migrate()
        changed = worker.import_people(force=force, anew=True)
        people_count = len(worker.store.people.load_current_people())
        pair_count = sum(not pair.ended for pair in worker.store.people.load_all_pairs().values())
    counts = f"{format_count(people_count, 'person', 'people')} in {format_count(pair_count, 'pair')}"
    print_line(f"{counts}: {'applied' if changed else 'nothing has changed since it was last read'}.", "green")


@contextmanager
def _open_preview_worker(settings: "Settings") -> "Iterator[Worker]":
    """Open the worker on its database; before there is one, on a database in memory, in which nobody is yet."""
    from worker.app import build
    from worker.store.statistics import Statistics

    is_absent = is_database_absent(settings.database)
    if not is_absent:
        with closing(open_store(settings, needs_encryption_key=False)) as store:
            is_absent = Statistics(store.database).get_schema_versions()[0] is None
    if is_absent:
        settings = settings.model_copy(update={"database": "sqlite://"})
    worker = build(settings, store=open_store(settings, needs_encryption_key=False))
    with closing(worker):
        if is_absent:
            worker.store.create_tables()
        yield worker


def _preview(settings: "Settings", worker: "Worker", as_json: bool) -> None:
    from worker.engine.habits import fill_from_stored
    from worker.engine.people_import import find_objection
    from worker.engine.roster_reader import RosterReader
    from worker.ops.roster_changes import find_changes

    now, reader = utcnow(), RosterReader(settings, worker.store)
    reading = reader.read(now)
    roster = fill_from_stored(reading.roster, worker.store.people.load_current_people())
    preview = worker.store.people.preview_import(roster.persons, roster.pairs, roster.aliases)
    takes_part = worker.participation.make_rule(roster.persons)
    changes = find_changes(preview, roster, worker.store, takes_part, settings.policy, now)
    objection = find_objection(preview, settings.policy.max_cancels)
    if as_json:
        print_json(_encode_changes(reader.name, reading, changes, objection))
    else:
        _show_changes(reader.name, reading, changes, has_objection=bool(objection))
    if objection:
        raise Refused(f"{objection} It takes `longarc people --accept`.")


# --- for people ---


def _show_changes(name: str, reading: "RosterReading", changes: "RosterChanges", *, has_objection: bool) -> None:
    people_count = format_count(len(reading.roster.persons), "person", "people")
    print_line(f"{name}: {people_count} in {format_count(len(reading.roster.pairs), 'pair')}.", "bold")
    _show_list("joins", "join", [_describe_joiner(one) for one in changes.joiners])
    _show_list("leaves", "leave", [_describe_leaver(one) for one in changes.leavers])
    _show_list(
        "has another manager", "have another manager", [_describe_manager(one) for one in changes.manager_changes]
    )
    renames = [(old, f"is {new} from now on, and keeps everything") for old, new in sorted(changes.renames.items())]
    _show_list("has another address", "have another address", renames)
    settings = _describe_settings(changes.setting_changes)
    _show_list("has other settings", "have other settings", settings)
    if changes.is_empty:
        print_line("Nobody joins or leaves, and the pairs stay as they are.")
    if reading.faults:
        print_line()
        faults = format_count(reading.fault_count, "fault")
        print_line(f"{faults} in the directory. The pairs concerned stay as they were.", "yellow")
        _show_entries([(str(fault), "") for fault in reading.faults])
    print_line()
    way = "" if has_objection else "; --apply does it"
    print_line(f"{format_count(changes.event_count, 'event')} would be cancelled. Nothing was changed{way}.")


def _show_list(singular: str, plural: str, entries: Sequence[tuple[str, str]]) -> None:
    """Print a heading and the entries, each with what follows from it; nothing when there are none."""
    if entries:
        print_line()
        print_line(format_count(len(entries), f"person {singular}", f"people {plural}"), "bold")
        _show_entries(entries)


def _show_entries(entries: Sequence[tuple[str, str]]) -> None:
    from textwrap import wrap

    width = min(make_console().width, MAX_WIDTH)
    for head, tail in entries[:MAX_SHOWN]:
        for line in wrap(head, width, initial_indent="  ", subsequent_indent="    ", break_on_hyphens=False):
            print_line(line)
        for line in wrap(tail, width, initial_indent="    ", subsequent_indent="    ", break_on_hyphens=False):
            print_line(line, "dim")
    if len(entries) > MAX_SHOWN:
        print_line(f"  and {len(entries) - MAX_SHOWN:,} more; `longarc people --json` lists all", "dim")


def _describe_joiner(joiner: "Joiner") -> tuple[str, str]:
    start = "is back; " if joiner.is_returning else ""
    tail = _describe_beginning(joiner.beginning) if joiner.beginning else "without a manager"
    return f"{joiner.name} <{joiner.email}>", f"{start}{tail}"


def _describe_beginning(beginning: "Beginning") -> str:
    return f"with {beginning.manager}; {_describe_first_session(beginning)}"


def _describe_first_session(beginning: "Beginning") -> str:
    day = beginning.first_session
    if day:
        return f"first session around {day.day} {day:%B %Y}"
    return "paused" if beginning.is_paused else "takes no part: see `longarc rollout`"


def _describe_leaver(leaver: "Leaver") -> tuple[str, str]:
    pairs = f"; {format_count(leaver.report_count, 'pair')} as the manager end" if leaver.report_count else ""
    return f"{leaver.name} <{leaver.email}>", f"{_describe_cancelled(leaver.event_count)}{pairs}"


def _describe_manager(change: "ManagerChange") -> tuple[str, str]:
    former = f"{change.former} ({_describe_cancelled(change.event_count)})" if change.former else "nobody"
    beginning = change.beginning
    new = f"{beginning.manager} ({_describe_first_session(beginning)})" if beginning else "nobody"
    handover = "; the report chooses what goes on to the new manager" if change.has_handover else ""
    return f"{change.name} <{change.email}>", f"from {former} to {new}{handover}"


def _describe_cancelled(count: int) -> str:
    return f"{format_count(count, 'event')} cancelled" if count else "nothing to cancel"


def _describe_settings(changes: "Sequence[SettingChange]") -> list[tuple[str, str]]:
    """Return the changes of each person together."""
    from worker.ops.roster_changes import describe_value

    by_person: dict[str, list[str]] = {}
    for change in changes:
        text = f"{change.column} {describe_value(change.before)} → {describe_value(change.after)}"
        by_person.setdefault(change.person, []).append(text)
    return [(person, "; ".join(texts)) for person, texts in sorted(by_person.items())]


# --- for programs ---


def _encode_changes(name: str, reading: "RosterReading", changes: "RosterChanges", objection: str) -> dict[str, Any]:
    from worker.ops.roster_changes import describe_value

    return {
        "source": name,
        "people": len(reading.roster.persons),
        "pairs": len(reading.roster.pairs),
        "joiners": [
            {"email": one.email, "name": one.name, "returns": one.is_returning, **_encode_beginning(one.beginning)}
            for one in changes.joiners
        ],
        "leavers": [
            {"email": one.email, "name": one.name, "reports": one.report_count, "events_cancelled": one.event_count}
            for one in changes.leavers
        ],
        "manager_changes": [
            {
                "email": one.email,
                "name": one.name,
                "former_manager": one.former,
                **_encode_beginning(one.beginning),
                "events_cancelled": one.event_count,
                "handover": one.has_handover,
            }
            for one in changes.manager_changes
        ],
        "renames": [{"from": old, "to": new} for old, new in sorted(changes.renames.items())],
        "settings": [
            {
                "email": one.person,
                "column": one.column,
                "before": describe_value(one.before),
                "after": describe_value(one.after),
            }
            for one in changes.setting_changes
        ],
        "faults": [{"where": one.where, "what": one.what, "remedy": one.remedy} for one in reading.faults],
        "fault_count": reading.fault_count,
        "events_cancelled": changes.event_count,
        "objection": objection or None,
    }


def _encode_beginning(beginning: "Beginning | None") -> dict[str, Any]:
    manager = beginning.manager if beginning else None
    return {"manager": manager, "first_session": beginning.first_session if beginning else None}
