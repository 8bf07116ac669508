"""`longarc plan`: what the next sweep would decide for everybody, and why. Writes nothing, sends nothing."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import click

from worker.clock import utcnow
from worker.commands import context
from worker.commands.arguments import json_option
from worker.commands.base import Command, CommandFailed
from worker.commands.terminal import add_row, format_count, format_time, make_table, print_json, print_line, print_table

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.domain.model import Decision, Effect, Person, Plan


@click.command("plan", cls=Command, short_help="What would be booked, moved and mailed now, and why. Changes nothing.")
@json_option
def plan(as_json: bool) -> None:
    """Show what would be booked, moved and mailed now, and why.

    Calendars are read; nothing is written, nothing is sent. Before the first `longarc run` it takes the people from
    the people file.
    """
    with _open_preview_worker() as worker, _collect_warnings() as warnings:
        plans = [made for made in worker.sweep.preview() if made.decisions or made.effects]
        if as_json:
            print_json([_plan_to_json(made) for made in plans])
        else:
            _show_plans(plans, worker)
    if warnings:
        raise CommandFailed("\n".join(f"longarc: {warning}" for warning in warnings))


@contextmanager
def _open_preview_worker() -> "Iterator[Worker]":
    """The worker on its database; on one in memory that holds the people file while there is none."""
    from worker.app import build
    from worker.store.statistics import Statistics

    found = context.load_settings()
    context.set_up_quiet_logging(found)
    if not context.is_database_absent(found.database):
        store = context.open_store(found, seals=False)
        if Statistics(store.database).get_schema_versions()[0] is not None:
            store.close()
            with context.open_worker() as worker:
                yield worker
            return
        store.close()
    found = found.model_copy(update={"database": "sqlite://"})
    worker = build(found, utcnow, store=context.open_store(found, seals=False))
    try:
        worker.store.create_tables()
        worker.import_people()
        yield worker
    finally:
        worker.close()


class _WarningCollector(logging.Handler):
    """Keeps what the sweep warns of: a calendar service that can't be asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.told[record.getMessage()] = None


@contextmanager
def _collect_warnings() -> Iterator[dict[str, None]]:
    sweeps = logging.getLogger("worker.engine.sweep")
    before = (sweeps.level, sweeps.propagate)
    kept = _WarningCollector()
    sweeps.addHandler(kept)
    sweeps.setLevel(logging.WARNING)
    sweeps.propagate = False
    try:
        yield kept.told
    finally:
        sweeps.removeHandler(kept)
        sweeps.level, sweeps.propagate = before


# --- for people ---


def _show_plans(plans: "Sequence[Plan]", worker: "Worker") -> None:
    from worker.store.statistics import Statistics

    people = Statistics(worker.store.database).load_all_people()
    shown = make_table("What would happen now", ["When", "What", "Why"])
    for made in plans:
        manager, report = (people[who] for who in made.pair.people)
        add_row(shown, "", f"{manager.name} and {report.name}", made.pair, style="bold")
        for decision in made.decisions:
            add_row(shown, _format_start(decision, manager), _describe_decision(decision), decision.reason)
        for message in made.effects:
            _add_mail_row(shown, message, people)
        shown.add_section()
    if plans:
        print_table(shown)
    print_line(_summarize_plans(plans), style="bold")


def _format_start(decision: "Decision", manager: "Person") -> str:
    start = decision.fields.get("start")
    return format_time(start, manager.zone) if isinstance(start, datetime) else ""


#: What a decision comes to, by the state it gives a session or by what it is.
_DECISION_WORDS = {"booked": "book", "deferred": "put off", "owed": "give another time", "unplaceable": "no time for"}
_KIND_WORDS = {"career": "conversation", "checkin": "check-in", "review": "review"}


def _describe_decision(decision: "Decision") -> str:
    fields = decision.fields
    done = str(fields.get("state") or decision.what)
    kind = _KIND_WORDS.get(str(fields.get("kind")), "")
    topic = f" ({fields['topic']})" if fields.get("topic") not in (None, "all") else ""
    start, end = fields.get("start"), fields.get("end")
    both = isinstance(start, datetime) and isinstance(end, datetime)
    length = f", {(end - start) // timedelta(minutes=1)} min" if both else ""  # type: ignore[operator]
    return f"{_DECISION_WORDS.get(done, done)} {kind}{topic}".strip() + length


def _add_mail_row(shown: Any, message: "Effect", people: "dict[str, Person]") -> None:
    if message.name:
        who = people.get(message.to)
        add_row(
            shown,
            format_time(message.due_at, who.zone if who else "UTC"),
            "mail",
            f"{message.name} to {message.to}",
            style="dim",
        )


def _summarize_plans(plans: "Sequence[Plan]") -> str:
    messages = [message for made in plans for message in made.effects]
    numbers = {what: sum(m.kind == what for m in messages) for what in ("event.create", "event.update", "event.cancel")}
    parts = (
        f"{numbers['event.create']:,} to book",
        f"{numbers['event.update']:,} to move",
        f"{numbers['event.cancel']:,} to take off",
        f"{format_count(sum(m.kind == 'mail' for m in messages), 'mail')} to send",
    )
    return f"{', '.join(parts)}, for {format_count(len(plans), 'pair')}. Nothing was written or sent."


# --- for machines ---


def _plan_to_json(made: "Plan") -> dict[str, Any]:
    return {
        "pair": str(made.pair),
        "decisions": [
            {"what": d.what, "session": d.session, "reason": d.reason, **dict(d.fields)} for d in made.decisions
        ],
        "messages": [_effect_to_json(message) for message in made.effects],
    }


def _effect_to_json(message: "Effect") -> dict[str, Any]:
    told = {
        "what": message.kind.value,
        "due_at": message.due_at,
        "message": message.name,
        "to": message.to,
        "calendar": message.calendar,
        "key": message.event,
        "start": message.start,
    }
    return {name: value for name, value in told.items() if value}
