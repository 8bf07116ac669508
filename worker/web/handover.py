"""The pages' part in a handover (R-36), which takes place when a report gets another manager.

The report chooses which lines of the old contract and notes the new manager will read. The former manager decides what
happens to promises (commitments of the manager) that are still open.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from flask import Response, abort, request

from worker.domain.model import Address, Handover, Owner, Pair, PairId
from worker.domain.planning.handovers import can_choose_lines
from worker.engine.handovers import PromiseDecision
from worker.engine.mail_content import open_former_pair
from worker.mail.lines import Line
from worker.mail.names import guess_first_name
from worker.mail.view import MailView
from worker.web.commitments import CommitmentLine, list_commitments
from worker.web.logins import current_login
from worker.web.site import Site, current_site, redirect_with_confirmation


@dataclass(frozen=True, slots=True)
class HandoverEntry:
    """A line that the report can pass on to the new manager."""

    id: str
    line: Line
    is_passed: bool  #: whether the report has chosen to pass it on


@dataclass(frozen=True, slots=True)
class FormerReport:
    """A report who has another manager now, and the open promises to them. Templates read its fields."""

    name: str
    promises: Sequence[CommitmentLine]
    kept: frozenset[str]  #: the ids of the promises that the former manager still intends to keep
    can_suggest: bool  #: whether there is a new manager to whom the former one can suggest a promise


# --- the report ---


def find_new_pair(report: Address) -> Pair | None:
    """Return the report's pair with a new manager, to which the latest handover led; None without a handover."""
    store = current_site().store
    candidates = [
        (handover, pair)
        for pair in store.people.list_pairs_of_report(report)
        if (handover := store.handovers.find_incoming(pair.id))
    ]
    if not candidates:
        return None
    _, new_pair = max(candidates, key=lambda candidate: (candidate[0].ended_at, candidate[1].id))
    return new_pair


def build_choice_of_lines(report: Address) -> dict[str, Any]:
    """Return the template values of the report's page about a handover; empty when there is none."""
    site = current_site()
    pair = find_new_pair(report)
    if pair is None:
        return {}
    state = site.load_state(pair)
    choice = site.worker.handovers.load_choice(pair.id, is_open=can_choose_lines(state, site.now()))
    if choice is None:
        return {}
    former_pair = open_former_pair(site.store, choice.handover)
    context = replace(site.build_page_context(state.report, state), former=former_pair.manager)
    view = site.build_view(context)
    # When the choice is closed, the page only shows which lines were passed on.
    lines = choice.lines if choice.is_open else [line for line in choice.lines if line.id in choice.passed_ids]
    entries = [
        HandoverEntry(line.id, view_line, line.id in choice.passed_ids)
        for line, view_line in zip(lines, view.describe_passed_lines(lines), strict=True)
    ]
    return {
        "former": former_pair.manager,
        "successor": state.manager,
        "entries": entries,
        "may_choose": choice.is_open,
        "old_promises": _list_old_promises(site, choice.handover),
    }


def _list_old_promises(site: Site, handover: Handover) -> list[CommitmentLine]:
    """Return the former manager's promises that were open when the pair ended, each with its status now."""
    former_state = site.load_former_state(handover)
    context = site.build_page_context(former_state.report, former_state)
    open_at_end = [item for item in context.commitments if item.commitment.was_open_at(handover.ended_at)]
    return list_commitments(site.build_view(context), open_at_end, Owner.MANAGER)


def pass_on_lines() -> Response:
    """Store the report's choice of lines; it replaces an earlier choice. Aborts with 404 without a handover."""
    pair = find_new_pair(current_login().address)
    if pair is None:
        abort(404)
    current_site().worker.handovers.pass_on(pair.id, request.form.getlist("line"))
    return redirect_with_confirmation(".show", "handover")


# --- the new manager ---


def build_passed_lines(view: MailView, pair_id: PairId) -> dict[str, Any]:
    """Return the template values for the new manager: the lines that the report passed on; empty without a handover."""
    site = current_site()
    handover = site.store.handovers.find_incoming(pair_id)
    if handover is None:
        return {}
    former_pair = open_former_pair(site.store, handover)
    view = site.build_view(replace(view.context, former=former_pair.manager))
    return {"former": former_pair.manager, "passed_lines": view.describe_passed_lines(former_pair.passed_lines)}


# --- the former manager ---


def list_former_reports() -> list[FormerReport]:
    """Return those former reports of the manager logged in to whom a promise is still open, by name."""
    site, login = current_site(), current_login()
    reports = []
    for handover in site.store.handovers.list_from_manager(login.address):
        former_state = site.load_former_state(handover)
        view = site.build_view(site.build_page_context(login.person, former_state))
        open_promises = [item for item in view.context.commitments if item.commitment.is_open_promise_of_manager]
        if not open_promises:
            continue
        kept = frozenset(site.store.handovers.load_content(handover.former_pair).kept_ids)
        promises = list_commitments(view, open_promises, Owner.MANAGER)
        reports.append(FormerReport(guess_first_name(former_state.report), promises, kept, handover.pair is not None))
    return sorted(reports, key=lambda report: report.name.casefold())


def decide_promise(commitment_id: str, decision: str) -> Response:
    """Store the former manager's decision about a promise. `decision`: a value of PromiseDecision.

    Aborts with 404 when the promise is another manager's or its pair has not ended, and for a suggestion without a new
    manager.
    """
    site = current_site()
    promise = site.store.queries.get_commitment(commitment_id)
    if promise is None or decision not in list(PromiseDecision) or promise.pair.manager != current_login().address:
        abort(404)
    handover = site.store.handovers.find_outgoing(promise.pair)
    if handover is None or promise.owner is not Owner.MANAGER:
        abort(404)
    if decision == PromiseDecision.SUGGEST and handover.pair is None:
        abort(404)
    site.worker.handovers.decide_promise(commitment_id, PromiseDecision(decision))
    return redirect_with_confirmation(".show", f"promise-{decision}")
