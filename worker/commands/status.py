"""`longarc status`, `sessions` and `why`: show the state of the service, the sessions and their history.

The commands open no sealed content.
"""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import find_manager, find_pair, find_person, find_session, json_option, session_argument
from worker.commands.base import Command, CommandFailed
from worker.commands.context import open_worker
from worker.commands.terminal import (
    add_row,
    format_time,
    make_console,
    make_table,
    print_json,
    print_line,
    print_table,
)
from worker.domain.counts import format_count

if TYPE_CHECKING:
    from rich.table import Table

    from worker.domain.model import Address, Person, Session
    from worker.settings.load import Settings
    from worker.store.store import Store

#: Sessions that ended longer ago are listed only with `--all`.
RECENT_PERIOD = timedelta(days=100)
#: How many entries of each list are printed; `--json` prints all.
MAX_SHOWN = 20
#: How many addresses or processes are named in one line.
MAX_NAMED = 5
#: The longest line of the one screen, in characters, even on a wider terminal.
MAX_WIDTH = 120


# --- status ---


@click.command("status", cls=Command, short_help="Show on one screen what runs, what waits, and what needs a person.")
@json_option
@click.option("--all", "show_all", is_flag=True, help="Show everything, however long it is.")
@click.option("--health", is_flag=True, help="Print whether a worker runs on this machine; exit code 1 if none does.")
@click.option("--link", is_flag=True, help="Print a link to the status page, valid for an hour.")
def status(as_json: bool, show_all: bool, health: bool, link: bool) -> None:
    """Show on one screen whether the service runs, what waits, and what needs a person, each with its remedy."""
    if link:
        from worker.commands.serve import make_operator_link

        click.echo(make_operator_link())
        return
    if health:
        _show_health()
        return
    from worker.ops.status import collect_status

    with open_worker() as worker:
        report = collect_status(worker.store, utcnow())
        report["mail"] = _describe_mail_services(worker.settings, worker.store)
        report["retention"] = {
            "months": worker.settings.retention.contents_after,
            "erased_pairs": worker.store.erasure.count_erased(),
        }
    if as_json:
        print_json(report)
    elif show_all:
        _show_status(report)
    else:
        from worker.commands.status_screen import build_screen

        for line in build_screen(report, width=min(make_console().width, MAX_WIDTH)):
            print_line(line.text, line.style)


def _show_health() -> None:
    """Print that a worker of this machine runs. Raises CommandFailed when none has written a heartbeat lately."""
    from socket import gethostname

    from worker.ops.status import ALIVE_WITHIN

    with open_worker() as worker:
        heartbeats = worker.store.heartbeats.list_heartbeats()
    host, now = gethostname(), utcnow()
    if not any(beat.host == host and now - beat.seen_at <= ALIVE_WITHIN for beat in heartbeats):
        raise CommandFailed(f"No worker runs on {host}.")
    print_line(f"A worker runs on {host}.", "green")


def _describe_mail_services(settings: "Settings", store: "Store") -> dict[str, str]:
    """Return the delivery guarantee of each mail service in use, by its name; empty where there is no choice."""
    names = {person.mail for person in store.people.load_all_people().values()}
    names |= {settings.mail.operator_by} if settings.operator else set()
    guarantees = dict.fromkeys(sorted(names), "")
    if "outlook" in guarantees:
        from worker.providers.outlook.mail import describe_guarantee

        guarantees["outlook"] = describe_guarantee(exactly_once=settings.mailers.outlook.exactly_once)
    return guarantees


def _show_status(report: dict[str, Any]) -> None:
    """Print the whole report of `collect_status`, as a table and lists."""
    from worker.commands.status_screen import describe_channels, describe_retention

    pairs, calendars = report["pairs"], report["calendars"]
    table = make_table("Status", ["", ""])
    table.show_header = False
    inactive = "".join(f", {pairs[name]:,} {name}" for name in ("paused", "ended") if pairs[name])
    inactive += f", {pairs['outside']:,} outside the rollout" if pairs["outside"] else ""
    add_row(table, "People", f"{report['people']:,} people, {format_count(pairs['active'], 'active pair')}{inactive}")
    for index, sentence in enumerate(report["rollout"]):
        add_row(table, "Who takes part" if index == 0 else "", sentence)
    _add_worker_rows(table, report["workers"])
    _add_calendar_rows(table, calendars, report["unreachable"])
    if report["channels"]["total"]:
        add_row(table, "Notifications", describe_channels(report["channels"]))
    _add_channel_rows(table, report["channels"]["troubles"])
    for name, guarantee in report["mail"].items():
        add_row(table, "Mail", f"by {name}" + (f", {guarantee}" if guarantee else ""))
    for calendar in report["suspended"]:
        retry_at = format_time(calendar["until"], "UTC")
        add_row(table, "", f"{calendar['person']}: no access; tried again at {retry_at} UTC", style="red")
        add_row(table, "", f"Once it is fixed, `longarc retry {calendar['person']}` tries it at once.")
    session_counts = ", ".join(f"{count:,} {state}" for state, count in sorted(report["sessions"].items()))
    add_row(table, "Sessions", session_counts or "none")
    add_row(table, "Contents", describe_retention(report["retention"]))
    _add_outbox_rows(table, report)
    print_table(table)
    _show_troubled_effects(report["troubled"])
    _show_owed("Without a time", report["owed"] + report["unplaceable"])
    has_problems = any(report[name] for name in ("troubled", "unplaceable", "suspended", "unreachable"))
    if has_problems or calendars["behind"] or report["channels"]["troubles"]:
        print_line("What is named above needs a person.", "yellow")
    elif any(worker["lives"] for worker in report["workers"]):
        print_line("Nothing needs a person.", "green")
    else:
        print_line("Start a worker with `longarc run`. Nothing else needs a person.", "yellow")


def _add_outbox_rows(table: "Table", report: Mapping[str, Any]) -> None:
    """Add the counts of the outbox, the effects that are overdue, and those that failed and will be tried again."""
    counts = ", ".join(f"{count:,} {progress}" for progress, count in sorted(report["outbox"].items()))
    add_row(table, "Outbox", counts or "empty")
    # an effect is called by the name of its mail, or else by its kind, such as `event.create`
    for effect in report["due"]:
        name = effect["message"] or effect["what"]
        due_since = format_time(effect["since"], "UTC")
        add_row(table, "", f"{effect['count']:,} {name} due since {due_since} UTC", style="yellow")
    for effect in report["tried_again"]:
        name = effect["message"] or effect["what"]
        retry_at = format_time(effect["again"], "UTC")
        line = f"{effect['count']:,} {name} tried again at {retry_at} UTC: {effect['why']}"
        add_row(table, "", line, style="yellow")


def _add_worker_rows(table: "Table", workers: Sequence[Mapping[str, Any]]) -> None:
    """Add the workers that run, and those whose heartbeats stopped within the last day without a regular end."""
    live_workers = [worker for worker in workers if worker["lives"]]
    names = ", ".join(f"{worker['host']} ({worker['pid']}, {worker['version']})" for worker in live_workers[:MAX_NAMED])
    summary = f"{len(live_workers):,} running: {names}" if live_workers else "None running. Start `longarc run`."
    add_row(table, "Workers", summary)
    for worker in [worker for worker in workers if not worker["lives"]][:MAX_NAMED]:
        seen_at = format_time(worker["seen_at"], "UTC")
        text = f"{worker['host']} ({worker['pid']}): no heartbeat since {seen_at} UTC"
        add_row(table, "", text, style="yellow")


def _add_calendar_rows(table: "Table", calendars: Mapping[str, Any], unreachable: Sequence[Mapping[str, Any]]) -> None:
    """Add how many calendars were read, and those that were never read, are overdue, or can't be read."""
    never_read = f", {_format_addresses('never read', calendars['never_read'])}" if calendars["never_read"] else ""
    add_row(table, "Calendars", f"{calendars['read']:,} read{never_read}")
    if calendars["behind"]:
        text = f"{_format_addresses('behind', calendars['behind'])}. Is `longarc run` running?"
        add_row(table, "", text, style="yellow")
    _add_unreachable_rows(table, unreachable)


def _add_unreachable_rows(table: "Table", unreachable: Sequence[Mapping[str, Any]]) -> None:
    """Add the calendars that can't be read, grouped by service and reason, with the time of the next try."""
    groups: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for calendar in unreachable:
        groups.setdefault((calendar["service"], calendar["why"]), []).append(calendar)
    for (service, reason), group in list(groups.items())[:MAX_SHOWN]:
        since = min(calendar["since"] for calendar in group)
        retry_at = min(calendar["again"] for calendar in group)
        failure_count = max(calendar["failures"] for calendar in group)
        people = group[0]["person"] + (f" and {len(group) - 1:,} more" if len(group) > 1 else "")
        text = f"{people}: not read since {format_time(since, 'UTC')} UTC ({service}): {reason}"
        add_row(table, "", text, style="red")
        add_row(table, "", f"tried {format_count(failure_count, 'time')}, again at {format_time(retry_at, 'UTC')} UTC")


def _add_channel_rows(table: "Table", troubles: Sequence[Mapping[str, Any]]) -> None:
    from worker.commands.status_screen import CHANNEL_REMEDY, describe_channel_trouble

    for trouble in troubles:
        add_row(table, "", describe_channel_trouble(trouble), style="yellow")
        add_row(table, "", CHANNEL_REMEDY)


def _format_addresses(condition: str, addresses: Sequence[str]) -> str:
    """Return how many calendars are in this condition, and the first of them: `2 never read: a@…, b@…`."""
    more = f" and {len(addresses) - MAX_NAMED:,} more" if len(addresses) > MAX_NAMED else ""
    return f"{len(addresses):,} {condition}: {', '.join(addresses[:MAX_NAMED])}{more}"


def _show_troubled_effects(troubled: Sequence[Mapping[str, Any]]) -> None:
    """Print the mails and events that were refused, or of which it is unknown whether they arrived."""
    if not troubled:
        return
    table = make_table("Messages that did not get through", ["Progress", "What", "To", "Tries", "Why"])
    for effect in troubled[:MAX_SHOWN]:
        recipient = effect["to"] or effect["pair"]
        name = effect["name"] or effect["what"]  # of the mail, or else the kind of the effect
        add_row(table, effect["progress"], name, recipient, effect["attempts"], effect["problem"] or "")
    print_table(table)


def _show_owed(title: str, owed: Sequence[Mapping[str, Any]]) -> None:
    """Print the sessions that are due and have no time yet, with the reason."""
    if not owed:
        return
    table = make_table(
        title, [("Session", "unwrapped"), "Pair", "Kind", "Target", "Deferrals", "Why there is no time yet"]
    )
    for session in owed[:MAX_SHOWN]:
        # a session for which no time fits has a reason; another one may wait for a calendar that can't be read
        reason = session.get("reason") or session.get("waits_for") or "the next sweep looks for a time"
        add_row(
            table,
            session["session"],
            session["pair"],
            session["kind"],
            f"{session['target']:%Y-%m-%d}",
            session["deferrals"],
            reason,
        )
    print_table(table)
    if len(owed) > MAX_SHOWN:
        print_line(f"… and {len(owed) - MAX_SHOWN:,} more; --json lists them all.")


# --- sessions ---


@click.command("sessions", cls=Command, short_help="List the conversations of a pair, a person, or everybody.")
@click.option("--pair", metavar="PAIR", help="Of this pair: `manager>report`, or the report alone.")
@click.option("--person", metavar="ADDRESS", help="Of this person, as manager and as report.")
@click.option("--all", "include_old", is_flag=True, help="Include conversations that ended more than 100 days ago.")
@json_option
def sessions(pair: str | None, person: str | None, include_old: bool, as_json: bool) -> None:
    """List planned, owed and recently held conversations. Times are in the zone of the manager."""
    from worker.store.statistics import Statistics

    with open_worker() as worker:
        people = worker.store.people.load_all_people()
        address = find_person(worker.store, people, person) if person else ""
        pair_id = find_pair(worker.store, pair).id if pair else None
        if include_old or pair_id:
            listed_sessions = worker.store.queries.list_sessions(pair_id)
        else:
            listed_sessions = Statistics(worker.store.database).list_recent_sessions(utcnow() - RECENT_PERIOD)
    if address:
        listed_sessions = [session for session in listed_sessions if address in session.pair.people]
    if not include_old:
        listed_sessions = [session for session in listed_sessions if _is_recent(session)]
    if as_json:
        print_json([_session_to_json(session) for session in listed_sessions])
    elif listed_sessions:
        _show_sessions(listed_sessions, people)
    else:
        print_line("There are no conversations.")


def _is_recent(session: "Session") -> bool:
    return not session.is_closed or (session.end is not None and session.end >= utcnow() - RECENT_PERIOD)


def _show_sessions(sessions: "Sequence[Session]", people: "Mapping[Address, Person]") -> None:
    table = make_table(
        "", [("Session", "unwrapped"), "When", "Minutes", "Pair", "Kind", "State", ("Deferrals", "right")]
    )
    for session in sessions:
        zone = people[session.pair.manager].zone
        start, length = (session.start, session.span.minutes) if session.start else (None, session.minutes)
        when = format_time(start, zone) if start else f"owed, about {session.target:%Y-%m-%d}"
        add_row(
            table,
            session.id,
            when,
            length,
            session.pair,
            _describe_kind(session),
            _describe_state(session),
            session.count or "",
        )
    print_table(table)
    print_line(
        f"{format_count(len(sessions), 'session')}. `longarc why SESSION` shows the decisions about a session.", "dim"
    )


def _describe_kind(session: "Session") -> str:
    topic = "" if session.topic == "all" else f": {session.topic.value}"
    return f"{session.kind.value}{topic}"


def _describe_state(session: "Session") -> str:
    """Return the state of a session, and whether it has no time or has reserved times to choose from."""
    if session.unplaceable:
        return f"{session.state.value} (no time exists)"
    if session.options:
        return f"{session.state.value} ({format_count(len(session.options), 'time')} reserved to choose from)"
    return session.state.value


def _session_to_json(session: "Session") -> dict[str, Any]:
    from worker.domain.reason_texts import format_reasons

    return {
        "session": session.id,
        "pair": str(session.pair),
        "kind": session.kind.value,
        "topic": session.topic.value,
        "state": session.state.value,
        "start": session.start,
        "end": session.end,
        "minutes": session.minutes,
        "target": session.target,
        "deferrals": session.count,
        "unplaceable": format_reasons(session.unplaceable) if session.unplaceable else None,
        "options": [{"start": span.start, "end": span.end} for span in session.options],
    }


# --- why ---


@click.command("why", cls=Command, short_help="Show the history of one conversation, decision by decision.")
@session_argument
@json_option
def why(session_id: str, as_json: bool) -> None:
    """Show the history of a conversation: each decision and its reason, with times in the zone of the manager."""
    with open_worker() as worker:
        session = find_session(worker.store, session_id)
        manager = find_manager(worker.store, session.pair)
        entries = worker.store.queries.list_history(session_id=session_id)
    if as_json:
        print_json([_entry_to_json(entry) for entry in entries])
        return
    table = make_table(
        f"{_describe_kind(session)} of {session.pair}, now {_describe_state(session)}", ["When", "What", "Start", "Why"]
    )
    previous_when = ""
    for entry in entries:
        when = format_time(entry["at"], manager.zone)
        add_row(
            table,
            "" if when == previous_when else when,
            _describe_entry(entry),
            _format_entry_start(entry, manager.zone),
            entry["reason"],
            style=_choose_style(entry),
        )
        previous_when = when
    print_table(table)
    if session.options:
        reserved = "; ".join(
            f"{number}: {format_time(span.start, manager.zone)}" for number, span in enumerate(session.options, 1)
        )
        print_line(
            f"Times reserved to choose from: {reserved}. Choose one with `longarc defer {session.id} --option N`."
        )
    print_line(f"Times are those of {manager.zone}.", "dim")


def _entry_to_json(entry: Mapping[str, Any]) -> dict[str, Any]:
    values = {name: entry[name] for name in ("at", "what", "pair", "session", "reason")}
    return {**values, "pair": str(entry["pair"] or ""), **entry["fields"]}


#: The names of entries of the history, by kind. Entries of other kinds have the name of their kind.
_ENTRY_NAMES = {
    "event.create": "on the calendar",
    "event.update": "moved on the calendar",
    "event.cancel": "off the calendar",
    "unplaceable": "no time exists",
}


def _choose_style(entry: Mapping[str, Any]) -> str:
    """Return the style of an entry: dim for mails and events, which only follow from a decision."""
    return "dim" if entry["what"] == "mail" or entry["what"].startswith("event.") else ""


def _describe_entry(entry: Mapping[str, Any]) -> str:
    """Return what an entry of the history records: a mail, the new state of a session, or another event."""
    fields = entry["fields"]
    if entry["what"] == "mail":
        role = "manager" if fields.get("to") == entry["pair"].manager else "report"
        return f"mail to the {role}: {str(fields.get('message')).replace('_', ' ')}"
    if entry["what"] == "session":
        return str(fields.get("state", "session"))
    return _ENTRY_NAMES.get(entry["what"], str(entry["what"]))


def _format_entry_start(entry: Mapping[str, Any], zone: str) -> str:
    """Return the start time in an entry as text; empty for a mail, which books nothing."""
    start = entry["fields"].get("start")
    return format_time(datetime.fromisoformat(start), zone) if start and entry["what"] != "mail" else ""
