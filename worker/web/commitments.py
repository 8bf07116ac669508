"""Commitments on the pages of managers and reports, and the forms that change a commitment (R-18).

The owner of a commitment can mark it as done, change its text and date, or let it go, which ends it unfulfilled.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import date

from flask import Response, abort, request, url_for

from worker.domain.contract.check import UnfitContract
from worker.domain.model import Owner
from worker.i18n.language import to_single_line
from worker.mail.context import ReadableCommitment
from worker.mail.lines import Line
from worker.mail.view import MailView
from worker.store.content import ContractRevision
from worker.web.contract_form import MAX_DRAFT_CHARACTERS, MAX_SENT_CHARACTERS, parse_day
from worker.web.site import current_site, redirect_to


@dataclass(frozen=True, slots=True)
class CommitmentLine:
    """A commitment as a page shows it."""

    id: str
    line: Line  #: its text, date and status
    is_open: bool
    due: date


def list_commitments(view: MailView, commitments: Iterable[ReadableCommitment], owner: Owner) -> list[CommitmentLine]:
    """Return the owner's commitments with their status: open ones first, then by due date."""
    owned = [readable for readable in commitments if readable.commitment.owner is owner]
    owned.sort(key=lambda readable: (not readable.commitment.is_open, readable.commitment.due))
    # The method `kept`, which is named so for templates, returns a line for each commitment, also for open ones.
    lines = MailView(replace(view.context, commitments=tuple(owned)), view.language).kept(owner.value)
    return [
        CommitmentLine(readable.commitment.id, line, readable.commitment.is_open, readable.commitment.due)
        for readable, line in zip(owned, lines, strict=True)
    ]


def list_changes(view: MailView, revisions: Sequence[ContractRevision]) -> list[str]:
    """Return sentences about what the latest contract revision changed; empty for a first revision.

    When the report made the change, the last sentence says so and gives the report's reason (R-18).
    """
    if len(revisions) < 2:
        return []
    latest = revisions[-1]
    author = view.describe_change_author(latest.by, latest.reason)
    return [*view.changes(revisions[-2].contract, latest.contract), *([author] if author else [])]


def handle_commitment_form(commitment_id: str, action: str, endpoint: str, by: Owner, **url_values: str) -> Response:
    """Carry out the action that `by` chose: `done`, `let-go` or `change`. Aborts with 404 for any other action.

    Returns a redirect to the endpoint, whose URL is built from `url_values` and the outcome. The URL parameter `said`
    names the confirmation that the page shows.
    """
    contracts = current_site().worker.contracts
    reason = to_single_line(request.form.get("reason", ""))[:MAX_SENT_CHARACTERS]
    outcome = {"said": action}  # the key of the confirmation that the page shows
    if action == "done":
        contracts.mark_done(commitment_id)
    elif action == "let-go":
        contracts.let_go(commitment_id, reason, by=by)
    elif action == "change":
        outcome = _change_commitment(commitment_id, reason, by)
    else:
        abort(404)
    return redirect_to(url_for(endpoint, **url_values, **outcome))  # type: ignore[arg-type]


def _change_commitment(commitment_id: str, reason: str, by: Owner) -> dict[str, str]:
    """Set a commitment's text and date to those in the form. Returns the outcome as URL parameters of the page:
    `said` is the key of its confirmation, `wrong` the commitment that could not be changed."""
    text, due = to_single_line(request.form.get("text", "")), parse_day(request.form.get("due", ""))
    error_values = {"wrong": commitment_id, "_anchor": commitment_id}
    if due is None or not 0 < len(text) <= MAX_DRAFT_CHARACTERS:
        return error_values
    try:
        is_changed = current_site().worker.contracts.change(commitment_id, text=text, due=due, reason=reason, by=by)
    except UnfitContract:
        return error_values
    return {"said": "changed" if is_changed else "same"}
