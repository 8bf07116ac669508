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
from worker.commands.base import Command, Failed
from worker.commands.terminal import count, emit, line, row, show, table, when

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.domain.model import Decision, Message, Person, Plan


@click.command("plan", cls=Command, short_help="What would be booked, moved and mailed now, and why. Changes nothing.")
@json_option
def plan(as_json: bool) -> None:
    """Show what would be booked, moved and mailed now, and why.

    Calendars are read; nothing is written, nothing is sent. Before the first `longarc run` it takes the people from
    the people file.
    """
    with _worker() as worker, _heeding() as warnings:
        plans = [made for made in worker.sweep.preview() if made.decisions or made.messages]
        if as_json:
            emit([_as_json(made) for made in plans])
        else:
            _show(plans, worker)
    if warnings:
        raise Failed("\n".join(f"longarc: {warning}" for warning in warnings))


@contextmanager
def _worker() -> "Iterator[Worker]":
    """The worker on its database; on one in memory that holds the people file while there is none."""
    from worker.app import build
    from worker.store.statistics import Figures

    found = context.settings()
    context.quiet_logging(found)
    if not context.is_absent(found.database):
        store = context.store_of(found, seals=False)
        if Figures(store.database).schema()[0] is not None:
            store.close()
            with context.open_worker() as worker:
                yield worker
            return
        store.close()
    found = found.model_copy(update={"database": "sqlite://"})
    worker = build(found, utcnow, store=context.store_of(found, seals=False))
    try:
        worker.store.create()
        worker.import_people()
        yield worker
    finally:
        worker.close()


class _Warnings(logging.Handler):
    """Keeps what the sweep warns of: a calendar service that can't be asked."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.told: dict[str, None] = {}

    def emit(self, record: logging.LogRecord) -> None:
        self.told[record.getMessage()] = None


@contextmanager
def _heeding() -> Iterator[dict[str, None]]:
    sweeps = logging.getLogger("worker.engine.sweep")
    before = (sweeps.level, sweeps.propagate)
    kept = _Warnings()
    sweeps.addHandler(kept)
    sweeps.setLevel(logging.WARNING)
    sweeps.propagate = False
    try:
        yield kept.told
    finally:
        sweeps.removeHandler(kept)
        sweeps.level, sweeps.propagate = before


# --- for people ---


def _show(plans: "Sequence[Plan]", worker: "Worker") -> None:
    from worker.store.statistics import Figures

    people = Figures(worker.store.database).everybody()
    shown = table("What would happen now", ["When", "What", "Why"])
    for made in plans:
        manager, report = (people[who] for who in made.pair.people)
        row(shown, "", f"{manager.name} and {report.name}", made.pair, style="bold")
        for decision in made.decisions:
            row(shown, _time_of(decision, manager), _what(decision), decision.reason)
        for message in made.messages:
            _message(shown, message, people)
        shown.add_section()
    if plans:
        show(shown)
    line(_total(plans), style="bold")


def _time_of(decision: "Decision", manager: "Person") -> str:
    start = decision.fields.get("start")
    return when(start, manager.zone) if isinstance(start, datetime) else ""


#: What a decision comes to, by the state it gives a session or by what it is.
_DEEDS = {"booked": "book", "deferred": "put off", "owed": "give another time", "unplaceable": "no time for"}
_KINDS = {"career": "conversation", "checkin": "check-in", "review": "review"}


def _what(decision: "Decision") -> str:
    fields = decision.fields
    done = str(fields.get("state") or decision.what)
    kind = _KINDS.get(str(fields.get("kind")), "")
    topic = f" ({fields['topic']})" if fields.get("topic") not in (None, "all") else ""
    start, end = fields.get("start"), fields.get("end")
    both = isinstance(start, datetime) and isinstance(end, datetime)
    length = f", {(end - start) // timedelta(minutes=1)} min" if both else ""  # type: ignore[operator]
    return f"{_DEEDS.get(done, done)} {kind}{topic}".strip() + length


def _message(shown: Any, message: "Message", people: "dict[str, Person]") -> None:
    if message.name:
        who = people.get(message.to)
        row(
            shown,
            when(message.due_at, who.zone if who else "UTC"),
            "mail",
            f"{message.name} to {message.to}",
            style="dim",
        )


def _total(plans: "Sequence[Plan]") -> str:
    messages = [message for made in plans for message in made.messages]
    numbers = {what: sum(m.what == what for m in messages) for what in ("event.create", "event.update", "event.cancel")}
    parts = (
        f"{numbers['event.create']:,} to book",
        f"{numbers['event.update']:,} to move",
        f"{numbers['event.cancel']:,} to take off",
        f"{count(sum(m.what == 'mail' for m in messages), 'mail')} to send",
    )
    return f"{', '.join(parts)}, for {count(len(plans), 'pair')}. Nothing was written or sent."


# --- for machines ---


def _as_json(made: "Plan") -> dict[str, Any]:
    return {
        "pair": str(made.pair),
        "decisions": [
            {"what": d.what, "session": d.session, "reason": d.reason, **dict(d.fields)} for d in made.decisions
        ],
        "messages": [_message_json(message) for message in made.messages],
    }


def _message_json(message: "Message") -> dict[str, Any]:
    told = {
        "what": message.what.value,
        "due_at": message.due_at,
        "message": message.name,
        "to": message.to,
        "calendar": message.calendar,
        "key": message.event,
        "start": message.start,
    }
    return {name: value for name, value in told.items() if value}
