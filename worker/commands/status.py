"""`longarc status`, `sessions`, `why`: how things stand, and how they came to. Nothing sealed is opened."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands.arguments import find_manager, find_pair, find_person, find_session, json_option, session_argument
from worker.commands.base import Command
from worker.commands.context import open_worker
from worker.commands.terminal import add_row, format_count, format_time, make_table, print_json, print_line, print_table

if TYPE_CHECKING:
    from rich.table import Table

    from worker.domain.model import Address, Person, Session
    from worker.settings.load import Settings
    from worker.store.store import Store

#: Sessions that ended longer ago are listed with `--all` only.
RECENT_PERIOD = timedelta(days=100)
MAX_SHOWN = 20


# --- status ---


@click.command("status", cls=Command, short_help="What is read, what waits, what is owed, what needs a person.")
@json_option
@click.option("--link", is_flag=True, help="Print a link to this as a page in a browser; it holds for an hour.")
def status(as_json: bool, link: bool) -> None:
    """Show how the program is doing: what was read, what waits, what is owed, and what needs a person."""
    if link:
        from worker.commands.serve import make_operator_link

        click.echo(make_operator_link())
        return
    from worker.ops.status import collect_status as told_of

    with open_worker() as worker:
        told = told_of(worker.store, utcnow())
        told["mail"] = _describe_mail_services(worker.settings, worker.store)
    if as_json:
        print_json(told)
    else:
        _show_status(told)


def _describe_mail_services(settings: "Settings", store: "Store") -> dict[str, str]:
    """Each mail service in use, and how sure it is, where that is a choice."""
    used = {person.mail for person in store.people.load_all_people().values()}
    used |= {settings.mail.operator_by} if settings.operator else set()
    told = dict.fromkeys(sorted(used), "")
    if "outlook" in told:
        from worker.providers.outlook.mail import describe_mode

        told["outlook"] = describe_mode(exactly_once=settings.mailers.outlook.exactly_once)
    return told


def _show_status(told: dict[str, Any]) -> None:
    pairs, calendars, outbox = told["pairs"], told["calendars"], told["outbox"]
    shown = make_table("How it stands", ["", ""])
    shown.show_header = False
    resting = "".join(f", {pairs[name]:,} {name}" for name in ("paused", "ended") if pairs[name])
    add_row(shown, "People", f"{told['people']:,} people, {format_count(pairs['active'], 'active pair')}{resting}")
    _show_workers(shown, told["workers"])
    add_row(shown, "Calendars", f"{calendars['read']:,} read{_format_addresses('never read', calendars['never_read'])}")
    if calendars["behind"]:
        add_row(
            shown,
            "",
            _format_addresses("behind", calendars["behind"])[2:] + ". Is `longarc run` running?",
            style="yellow",
        )
    _show_unreachable(shown, told["unreachable"])
    for name, words in told["mail"].items():
        add_row(shown, "Mail", f"by {name}" + (f", {words}" if words else ""))
    for one in told["suspended"]:
        add_row(
            shown, "", f"{one['person']}: no access; tried again at {format_time(one['until'], 'UTC')} UTC", style="red"
        )
        add_row(shown, "", f"Once it is mended, `longarc retry {one['person']}` tries it at once.")
    add_row(
        shown,
        "Sessions",
        ", ".join(f"{number:,} {state}" for state, number in sorted(told["sessions"].items())) or "none",
    )
    add_row(
        shown, "Outbox", ", ".join(f"{number:,} {progress}" for progress, number in sorted(outbox.items())) or "empty"
    )
    for one in told["due"]:
        name = one["message"] or one["what"]
        add_row(shown, "", f"{one['count']:,} {name} due since {format_time(one['since'], 'UTC')} UTC", style="yellow")
    for one in told["tried_again"]:
        what = f"{one['count']:,} {one['message'] or one['what']} tried again at {format_time(one['again'], 'UTC')} UTC"
        add_row(shown, "", f"{what}: {one['why']}", style="yellow")
    print_table(shown)
    _show_troubled(told["troubled"])
    _show_owed("Without a time", told["owed"] + told["unplaceable"])
    wrong = ("troubled", "unplaceable", "suspended", "unreachable")
    well = not (any(told[name] for name in wrong) or calendars["behind"])
    print_line(
        "Nothing needs a person." if well else "What is named above needs a person.", "green" if well else "yellow"
    )


def _show_workers(shown: "Table", workers: Sequence[Mapping[str, Any]]) -> None:
    """Who works, and who was heard of within the last day and did not stop in order."""
    living = [one for one in workers if one["lives"]]
    named = ", ".join(f"{one['host']} ({one['pid']}, {one['version']})" for one in living[:5])
    add_row(shown, "Workers", f"{len(living):,} at work: {named}" if living else "None at work. Start `longarc run`.")
    for one in [one for one in workers if not one["lives"]][:5]:
        last = f"{one['host']} ({one['pid']}): not heard of since {format_time(one['seen_at'], 'UTC')} UTC"
        add_row(shown, "", last, style="yellow")


def _show_unreachable(shown: "Table", unreachable: Sequence[Mapping[str, Any]]) -> None:
    """Which calendars can't be read, since when and why, and when each is tried again: one line for each reason."""
    alike: dict[tuple[str, str], list[Mapping[str, Any]]] = {}
    for one in unreachable:
        alike.setdefault((one["service"], one["why"]), []).append(one)
    for (service, why), some in list(alike.items())[:MAX_SHOWN]:
        since, again = min(one["since"] for one in some), min(one["again"] for one in some)
        who = some[0]["person"] + (f" and {len(some) - 1:,} more" if len(some) > 1 else "")
        add_row(shown, "", f"{who}: not read since {format_time(since, 'UTC')} UTC ({service}): {why}", style="red")
        add_row(
            shown, "", f"tried {max(one['failures'] for one in some):,} times, again at {format_time(again, 'UTC')} UTC"
        )


def _format_addresses(what: str, addresses: Sequence[str]) -> str:
    if not addresses:
        return ""
    more = f" and {len(addresses) - 5:,} more" if len(addresses) > 5 else ""
    return f", {len(addresses):,} {what}: {', '.join(addresses[:5])}{more}"


def _show_troubled(troubled: Sequence[Mapping[str, Any]]) -> None:
    if not troubled:
        return
    shown = make_table("Messages that did not get through", ["How", "What", "To", "Tries", "Why"])
    for one in troubled[:MAX_SHOWN]:
        what = one["name"] or one["what"]
        add_row(shown, one["progress"], what, one["to"] or one["pair"], one["attempts"], one["problem"] or "")
    print_table(shown)


def _show_owed(title: str, owed: Sequence[Mapping[str, Any]]) -> None:
    if not owed:
        return
    shown = make_table(title, [("Session", "id"), "Pair", "Kind", "Since", "Deferrals", "Why there is no time yet"])
    for one in owed[:MAX_SHOWN]:
        why = one.get("reason") or one.get("waits_for") or "looked for with the next sweep"
        add_row(shown, one["session"], one["pair"], one["kind"], f"{one['target']:%Y-%m-%d}", one["deferrals"], why)
    print_table(shown)
    if len(owed) > MAX_SHOWN:
        print_line(f"… and {len(owed) - MAX_SHOWN:,} more; --json lists them all.")


# --- sessions ---


@click.command("sessions", cls=Command, short_help="The conversations of a pair, a person, or of all.")
@click.option("--pair", metavar="PAIR", help="Of this pair: `manager>report`, or the report alone.")
@click.option("--person", metavar="ADDRESS", help="Of this person, as manager and as report.")
@click.option("--all", "everything", is_flag=True, help="Also those that ended long ago.")
@json_option
def sessions(pair: str | None, person: str | None, everything: bool, as_json: bool) -> None:
    """List conversations: what is planned, owed or was lately held. Times are the manager's."""
    from worker.store.statistics import Statistics

    with open_worker() as worker:
        figures = Statistics(worker.store.database)
        people = figures.load_all_people()
        mine = find_person(worker.store, people, person) if person else ""
        pair_id = find_pair(worker.store, pair).id if pair else None
        found = (
            worker.store.queries.list_sessions(pair_id)
            if everything or pair_id
            else figures.list_recent_sessions(utcnow() - RECENT_PERIOD)
        )
    if mine:
        found = [session for session in found if mine in session.pair.people]
    if not everything:
        found = [session for session in found if _is_recent(session)]
    if as_json:
        print_json([_session_to_json(session) for session in found])
    elif found:
        _show_sessions(found, people)
    else:
        print_line("There are none.")


def _is_recent(session: "Session") -> bool:
    return not session.is_closed or (session.end is not None and session.end >= utcnow() - RECENT_PERIOD)


def _show_sessions(found: "Sequence[Session]", people: "Mapping[Address, Person]") -> None:
    shown = make_table("", [("Session", "id"), "When", "Min", "Pair", "What", "State", ("Deferrals", "right")])
    for session in found:
        zone = people[session.pair.manager].zone
        start, length = (session.start, session.span.minutes) if session.start else (None, session.minutes)
        at = format_time(start, zone) if start else f"owed about {session.target:%Y-%m-%d}"
        add_row(
            shown,
            session.id,
            at,
            length,
            session.pair,
            _describe_kind(session),
            _describe_state(session),
            session.count or "",
        )
    print_table(shown)
    print_line(f"{format_count(len(found), 'session')}. `longarc why SESSION` tells how each came to be.", "dim")


def _describe_kind(session: "Session") -> str:
    topic = "" if session.topic == "all" else f": {session.topic.value}"
    return f"{session.kind.value}{topic}"


def _describe_state(session: "Session") -> str:
    held = f" ({len(session.options)} times held to choose from)" if session.options else ""
    return session.state.value + (" (no time exists)" if session.unplaceable else held)


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


@click.command("why", cls=Command, short_help="The story of one conversation, decision by decision.")
@session_argument
@json_option
def why(session: str, as_json: bool) -> None:
    """Tell the story of a conversation: each decision with its reason, in the manager's time."""
    with open_worker() as worker:
        found = find_session(worker.store, session)
        manager = find_manager(worker.store, found.pair)
        lines = worker.store.queries.list_history(session_id=session)
    if as_json:
        print_json([_line_json(one) for one in lines])
        return
    shown = make_table(
        f"{_describe_kind(found)} of {found.pair}, now {_describe_state(found)}", ["When", "What", "Time", "Why"]
    )
    before = ""
    for one in lines:
        at = format_time(one["at"], manager.zone)
        add_row(
            shown,
            "" if at == before else at,
            _describe_entry(one),
            _format_entry_start(one, manager.zone),
            one["reason"],
            style=_choose_style(one),
        )
        before = at
    print_table(shown)
    if found.options:
        held = "; ".join(f"{n}: {format_time(span.start, manager.zone)}" for n, span in enumerate(found.options, 1))
        print_line(f"Times held to choose from: {held}. Take one with `longarc defer {found.id} --option N`.")
    print_line(f"Times are those of {manager.zone}.", "dim")


def _line_json(one: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: one[name] for name in ("at", "what", "pair", "session", "reason")}
    return {**told, "pair": str(one["pair"] or ""), **one["fields"]}


_EVENT_WORDS = {
    "event.create": "on the calendar",
    "event.update": "moved on the calendar",
    "event.cancel": "off the calendar",
    "unplaceable": "no time exists",
}


def _choose_style(one: Mapping[str, Any]) -> str:
    """What only follows from a decision stands back."""
    return "dim" if one["what"] == "mail" or one["what"].startswith("event.") else ""


def _describe_entry(one: Mapping[str, Any]) -> str:
    fields = one["fields"]
    if one["what"] == "mail":
        who = "manager" if fields.get("to") == one["pair"].manager else "report"
        return f"mail to the {who}: {str(fields.get('message')).replace('_', ' ')}"
    if one["what"] == "session":
        return str(fields.get("state", "session"))
    return _EVENT_WORDS.get(one["what"], str(one["what"]))


def _format_entry_start(one: Mapping[str, Any], zone: str) -> str:
    """The time that a decision gave or an event has; mails tell their own."""
    start = one["fields"].get("start")
    return format_time(datetime.fromisoformat(start), zone) if start and one["what"] != "mail" else ""
