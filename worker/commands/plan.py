"""`longarc plan`: shows what the next sweep would decide for each pair, and why. Writes nothing and sends nothing."""

import logging
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker import private_files
from worker.clock import SteppedClock, utcnow
from worker.commands import context
from worker.commands.arguments import json_option
from worker.commands.base import Command, CommandFailed
from worker.commands.terminal import print_json, print_line, show_progress
from worker.commands.written_files import refuse_unsuitable_file

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.domain.model import Effect, PairId, Plan
    from worker.domain.rollout import OperatorPauses
    from worker.engine.sweep import PlannedPair
    from worker.ops.preview.quarter import QuarterPreview
    from worker.settings.load import Settings

#: `--html` replaces an existing file only if it begins with these bytes.
PAGE_BEGINNING = b"<!doctype html>\n<!-- longarc plan -->"


@click.command("plan", cls=Command, short_help="Show what would be booked, moved and mailed now. Changes nothing.")
@click.option("--why", is_flag=True, help="Give the reason for each time.")
@click.option(
    "--html",
    "page",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write a page about the next quarter, to be shown around before Longarc runs.",
)
@json_option
def plan(why: bool, page: Path | None, as_json: bool) -> None:
    """Show what would be booked, moved and mailed now: a summary, the changes of each manager, and what needs a person.

    Calendars are read; nothing is written or sent. Before the first `longarc run`, people are read from the roster, and
    a rollout that begins later is shown as of its first day.

    The page of --html is one file that loads nothing else. It shows when each pair meets in the next quarter, who gets
    which mail in the first four weeks, each mail with the names of your people, and what stands in the way.
    """
    if page is not None and as_json:
        raise click.UsageError("--json and --html exclude each other. Give one of them.")
    if page is not None:
        # reading the calendars first can take minutes
        refuse_unsuitable_file(page, "a page of `longarc plan`", _is_page, replaces=True)
    with _open_preview_worker() as worker, _collect_warnings() as warnings:
        if as_json:
            plans = [planned.plan for planned in _preview(worker) if planned.plan.decisions or planned.plan.effects]
            print_json([_plan_to_json(pair_plan) for pair_plan in plans])
        elif page is not None:
            _write_page(worker, _build_quarter(worker, _preview(worker)), page)
        else:
            _show_plans(worker, explains_bookings=why)
    if warnings:
        raise CommandFailed("\n".join(f"longarc: {warning}" for warning in warnings))


def _preview(worker: "Worker") -> "Iterator[PlannedPair]":
    """Yield all pairs with their plans, while a progress bar counts the calendars read and the pairs planned."""
    pairs = worker.store.people.load_all_pairs()
    people = {address for pair_id in pairs for address in pair_id.people}
    with show_progress("Reading calendars, planning", len(pairs) + len(people)) as report_progress:
        yield from worker.sweep.preview(report_progress)


def _build_quarter(worker: "Worker", planned_pairs: "Iterator[PlannedPair]") -> "QuarterPreview":
    """Return the preview of the next quarter, made from the plans of all pairs."""
    from worker.ops.preview.quarter import MAIL_PERIOD, build_quarter

    now = worker.clock()
    more_mails = worker.pulse.list_coming_mails(now + MAIL_PERIOD)  # the mails of the pulse are in no pair's plan
    return build_quarter(planned_pairs, now, worker.settings.policy, more_mails)


def show_plan_and_write_page(page: Path) -> None:
    """Print the plan and write the page of `--html`, but read the calendars only once."""
    with _open_preview_worker() as worker, _collect_warnings() as warnings:
        _write_page(worker, _show_plans(worker, explains_bookings=False), page)
    for warning in warnings:
        print_line(f"! {warning}", "yellow")


def _show_plans(worker: "Worker", *, explains_bookings: bool) -> "QuarterPreview":
    """Print the plans of all pairs, and return the preview of the quarter that was made from them."""
    from worker.commands.plan_output import PlanOutput

    output = PlanOutput(explains_bookings=explains_bookings)
    quarter = _build_quarter(worker, output.collect(_preview(worker)))
    output.show(quarter, worker)
    return quarter


# --- the page ---


def _is_page(file: Path) -> bool:
    """Return whether the file is a page that this command wrote."""
    with file.open("rb") as opened:
        return opened.read(len(PAGE_BEGINNING)) == PAGE_BEGINNING


def _write_page(worker: "Worker", quarter: "QuarterPreview", file: Path) -> None:
    """Write the page about the quarter, with a sample of each mail, in the language of the settings."""
    from worker.mail.templates import load_default_templates
    from worker.ops.preview.page import render_file
    from worker.ops.preview.sample_mails import render_samples

    language = load_default_templates().languages.find_language(worker.settings.locale)
    samples = render_samples(quarter.samples, worker.settings, worker.mail_renderer)
    html = render_file(quarter, samples, language, worker.settings.rollout.build_rollout(), utcnow())
    private_files.write(file, html.encode("utf-8"))
    print_line(f"{file} was written. Nothing else was written or sent.", "green")


# --- the worker ---


@contextmanager
def _open_preview_worker() -> "Iterator[Worker]":
    """Open the worker on its database, or on a database in memory when its own would show nothing yet.

    A database shows nothing when it is absent or empty, and when nothing was planned because the rollout begins on a
    later day. The database in memory has the people of the roster, as of the first day of the rollout.
    """
    from worker.domain.rollout import OperatorPauses
    from worker.store.inspection import has_tables

    settings = context.load_settings()
    context.set_up_quiet_logging(settings)
    pauses = OperatorPauses()
    paused_pairs: list[PairId] = []
    if not context.is_database_absent(settings.database):
        store = context.open_store(settings, needs_encryption_key=False)
        is_empty = not has_tables(store.database)
        store.close()
        if not is_empty:
            with context.open_worker() as worker:
                if not _waits_for_first_day(worker):
                    yield worker
                    return
                pauses = worker.store.participation.load().pauses
                pairs = worker.store.people.load_all_pairs().values()
                paused_pairs = [pair.id for pair in pairs if pair.is_paused_by_operator]
    yield from _open_worker_in_memory(settings, pauses, paused_pairs)


def _open_worker_in_memory(
    settings: "Settings", pauses: "OperatorPauses", paused_pairs: "Sequence[PairId]"
) -> "Iterator[Worker]":
    """Yield a worker with the people of the roster, as of the first day of the rollout.

    Both kinds of pauses are copied to it: those of people, groups or everybody, and those of single pairs.
    """
    from worker.app import build

    settings = settings.model_copy(update={"database": "sqlite://"})
    clock = SteppedClock(utcnow())
    worker = build(settings, clock, store=context.open_store(settings, needs_encryption_key=False))
    try:
        worker.store.create_tables()
        worker.import_people()
        for pair_id in paused_pairs:
            worker.store.people.set_paused(pair_id, is_paused=True, now=clock())
        clock.move_to(_find_beginning(worker) or clock())
        worker.participation.update()
        worker.participation.set_pauses(pauses)
        yield worker
    finally:
        worker.close()


def _waits_for_first_day(worker: "Worker") -> bool:
    """Return whether nothing was ever planned, and the rollout begins on a later day."""
    from worker.store.statistics import Statistics

    beginning = _find_beginning(worker)
    begins_later = beginning is not None and worker.clock() < beginning
    return begins_later and not Statistics(worker.store.database).count_sessions_by_state()


def _find_beginning(worker: "Worker") -> datetime | None:
    """Return the instant from which the rollout has begun for every pair; None when it has no first day."""
    from worker.domain.rollout import find_beginning

    rollout = worker.settings.rollout.build_rollout()
    people, pairs = worker.store.people.load_current_roster()
    beginnings = (find_beginning(rollout, people[pair.manager], people[pair.report]) for pair in pairs)
    return max((instant for instant in beginnings if instant is not None), default=None)


class _WarningCollector(logging.Handler):
    """Collects the warnings of a sweep, such as a calendar service that can't be reached."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.messages: dict[str, None] = {}  #: the messages are the keys, each once, in order

    def emit(self, record: logging.LogRecord) -> None:
        self.messages[record.getMessage()] = None


@contextmanager
def _collect_warnings() -> Iterator[dict[str, None]]:
    """Collect the warnings of the sweep within the block instead of logging them. Yields a dict with them as keys."""
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
