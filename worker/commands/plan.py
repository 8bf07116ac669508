"""`longarc plan`: shows what the next sweep would decide, and why. Writes nothing and sends nothing."""

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


@click.command("plan", cls=Command, short_help="Show what would be booked, moved and mailed now. Changes nothing.")
@json_option
def plan(as_json: bool) -> None:
    """Show what would be booked, moved and mailed now, and why.

    Calendars are read; nothing is written or sent. Before the first `longarc run` the people are read from the people
    file.
    """
    with _open_preview_worker() as worker, _collect_warnings() as warnings:
        plans = [one.plan for one in worker.sweep.preview() if one.plan.decisions or one.plan.effects]
        if as_json:
            print_json([_plan_to_json(pair_plan) for pair_plan in plans])
        else:
            _show_plans(plans, worker)
            _show_rollout(worker)
    if warnings:
        raise CommandFailed("\n".join(f"longarc: {warning}" for warning in warnings))


@contextmanager
def _open_preview_worker() -> "Iterator[Worker]":
    """Open the worker on its database; without one, on a database in memory with the people of the people file."""
    from worker.app import build
    from worker.store.statistics import Statistics

    settings = context.load_settings()
    context.set_up_quiet_logging(settings)
    if not context.is_database_absent(settings.database):
        store = context.open_store(settings, needs_encryption_key=False)
        if Statistics(store.database).get_schema_versions()[0] is not None:
            store.close()
            with context.open_worker() as worker:
                yield worker
            return
        store.close()
    settings = settings.model_copy(update={"database": "sqlite://"})
    worker = build(settings, utcnow, store=context.open_store(settings, needs_encryption_key=False))
    try:
        worker.store.create_tables()
        worker.import_people()
        yield worker
    finally:
        worker.close()


class _WarningCollector(logging.Handler):
    """Collects the warnings of a sweep, such as a calendar service that can't be reached."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.messages[record.getMessage()] = None


@contextmanager
def _collect_warnings() -> Iterator[dict[str, None]]:
    """Collect the warnings of the sweep within the block instead of logging them. The messages are the keys."""
    sweep_log = logging.getLogger("worker.engine.sweep")
    previous_level = sweep_log.level
    previous_propagate = sweep_log.propagate
    collector = _WarningCollector()
    sweep_log.addHandler(collector)
    sweep_log.setLevel(logging.WARNING)
    sweep_log.propagate = False
    try:
        yield collector.messages
    finally:
        sweep_log.removeHandler(collector)
        sweep_log.setLevel(previous_level)
        sweep_log.propagate = previous_propagate


# --- the table ---


def _show_plans(plans: "Sequence[Plan]", worker: "Worker") -> None:
    people = worker.store.people.load_all_people()
    table = make_table("What would happen now", ["When", "What", "Why"])
    for plan in plans:
        manager, report = (people[address] for address in plan.pair.people)
        add_row(table, "", f"{manager.name} and {report.name}", plan.pair, style="bold")
        for decision in plan.decisions:
            add_row(table, _format_start(decision, manager), _describe_decision(decision), decision.reason)
        for effect in plan.effects:
            _add_mail_row(table, effect, people)
        table.add_section()
    if plans:
        print_table(table)
    print_line(_summarize_plans(plans), style="bold")


def _show_rollout(worker: "Worker") -> None:
    """Print who is left out, and what the settings would change, where the plan is not for everybody."""
    from worker.domain.model import Participation
    from worker.ops.rollout import describe_pauses, describe_rollout

    stored, counts = worker.store.participation.load(), worker.store.participation.count()
    if left_out := sum(counts.values()) - counts.get(Participation.YES, 0):
        count = format_count(left_out, "pair takes no part", "pairs take no part")
        print_line(f"{count}. {describe_rollout(stored.rollout)} {describe_pauses(stored.pauses)}".rstrip(), "dim")
    if worker.participation.preview().changed:
        print_line(
            "The settings have another rollout than is in force: `longarc rollout` shows the difference.", "yellow"
        )


def _format_start(decision: "Decision", manager: "Person") -> str:
    start = decision.fields.get("start")
    return format_time(start, manager.zone) if isinstance(start, datetime) else ""


#: The verb for a decision, by the new state of the session or the kind of the decision.
_DECISION_VERBS = {"booked": "book", "deferred": "put off", "owed": "give another time", "unplaceable": "no time for"}
_KIND_NAMES = {"career": "conversation", "checkin": "check-in", "review": "review"}


def _describe_decision(decision: "Decision") -> str:
    fields = decision.fields
    outcome = str(fields.get("state") or decision.what)
    kind = _KIND_NAMES.get(str(fields.get("kind")), "")
    topic = f" ({fields['topic']})" if fields.get("topic") not in (None, "all") else ""
    start, end = fields.get("start"), fields.get("end")
    has_times = isinstance(start, datetime) and isinstance(end, datetime)
    length = f", {(end - start) // timedelta(minutes=1)} min" if has_times else ""  # type: ignore[operator]
    return f"{_DECISION_VERBS.get(outcome, outcome)} {kind}{topic}".strip() + length


def _add_mail_row(table: Any, mail: "Effect", people: "dict[str, Person]") -> None:
    if mail.name:
        recipient = people.get(mail.to)
        add_row(
            table,
            format_time(mail.due_at, recipient.zone if recipient else "UTC"),
            "mail",
            f"{mail.name} to {mail.to}",
            style="dim",
        )


def _summarize_plans(plans: "Sequence[Plan]") -> str:
    effects = [effect for plan in plans for effect in plan.effects]
    counts = {
        kind: sum(effect.kind == kind for effect in effects)
        for kind in ("event.create", "event.update", "event.cancel")
    }
    parts = (
        f"{counts['event.create']:,} to book",
        f"{counts['event.update']:,} to move",
        f"{counts['event.cancel']:,} to take off",
        f"{format_count(sum(effect.kind == 'mail' for effect in effects), 'mail')} to send",
    )
    return f"{', '.join(parts)}, for {format_count(len(plans), 'pair')}. Nothing was written or sent."


# --- JSON ---


def _plan_to_json(plan: "Plan") -> dict[str, Any]:
    return {
        "pair": str(plan.pair),
        "decisions": [
            {"what": decision.what, "session": decision.session, "reason": decision.reason, **dict(decision.fields)}
            for decision in plan.decisions
        ],
        "messages": [_effect_to_json(effect) for effect in plan.effects],
    }


def _effect_to_json(effect: "Effect") -> dict[str, Any]:
    values = {
        "what": effect.kind.value,
        "due_at": effect.due_at,
        "message": effect.name,
        "to": effect.to,
        "calendar": effect.calendar,
        "key": effect.event,
        "start": effect.start,
    }
    return {name: value for name, value in values.items() if value}
