"""Commitments on a page, and the forms that mark one done, change it or let it go (R-18).

The manager's pages and the report's share them.
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
    line: Line
    is_open: bool
    due: date


def list_commitments(view: MailView, commitments: Iterable[ReadableCommitment], owner: Owner) -> list[CommitmentLine]:
    """Return one person's commitments, each with its status; the open ones first."""
    owned = [readable for readable in commitments if readable.commitment.owner is owner]
    owned.sort(key=lambda readable: (not readable.commitment.is_open, readable.commitment.due))
    lines = MailView(replace(view.context, commitments=tuple(owned)), view.language).kept(owner.value)
    return [
        CommitmentLine(readable.commitment.id, line, readable.commitment.is_open, readable.commitment.due)
        for readable, line in zip(owned, lines, strict=True)
    ]


def list_changes(view: MailView, revisions: Sequence[ContractRevision]) -> list[str]:
    """Return what the latest revision changed, as sentences. When the report changed it, the last one says so, with the
    reason (R-18). Empty for a first revision."""
    if len(revisions) < 2:
        return []
    latest = revisions[-1]
    author = view.describe_change_author(latest.by, latest.reason)
    return [*view.changes(revisions[-2].contract, latest.contract), *([author] if author else [])]


def handle_commitment_form(commitment_id: str, action: str, endpoint: str, by: Owner, **values: str) -> Response:
    """Carry out an action of one of the two (`done`, `let-go` or `change`), and redirect to the endpoint."""
    contracts = current_site().worker.contracts
    reason = to_single_line(request.form.get("reason", ""))[:MAX_SENT_CHARACTERS]
    url_values = {"said": action}
    if action == "done":
        contracts.mark_done(commitment_id)
    elif action == "let-go":
        contracts.let_go(commitment_id, reason, by=by)
    elif action == "change":
        url_values = _change_commitment(commitment_id, reason, by)
    else:
        abort(404)
    return redirect_to(url_for(endpoint, **values, **url_values))  # type: ignore[arg-type]


def _change_commitment(commitment_id: str, reason: str, by: Owner) -> dict[str, str]:
    """Change a commitment's text and date to the form's; return the outcome as parameters of the page's URL."""
    text, due = to_single_line(request.form.get("text", "")), parse_day(request.form.get("due", ""))
    error_values = {"wrong": commitment_id, "_anchor": commitment_id}
    if due is None or not 0 < len(text) <= MAX_DRAFT_CHARACTERS:
        return error_values
    try:
        is_new = current_site().worker.contracts.change(commitment_id, text=text, due=due, reason=reason, by=by)
    except UnfitContract:
        return error_values
    return {"said": "changed" if is_new else "same"}
