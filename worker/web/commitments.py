"""What became of a promise: done, changed, let go (R-18). The same forms on the manager's pages and the report's."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from flask import Response, abort, request, url_for

from worker.domain.contract.check import UnfitContract
from worker.domain.model import Owner
from worker.i18n.language import to_single_line
from worker.mail.context import ReadableCommitment
from worker.mail.view import Line, MailView
from worker.web.contract_form import MAX_LENGTH, MAX_SENT_LENGTH, parse_day
from worker.web.site import current_site, redirect_to


@dataclass(frozen=True, slots=True)
class CommitmentLine:
    """A commitment as a page shows it."""

    id: str
    line: Line
    open: bool
    due: date


def list_commitments(reading: MailView, kept: Iterable[ReadableCommitment], owner: Owner) -> list[CommitmentLine]:
    """One side's commitments with how each stands; the open ones first."""
    mine = [one for one in kept if one.commitment.owner is owner]
    mine.sort(key=lambda one: (not one.commitment.is_open, one.commitment.due))
    lines = MailView(replace(reading.letter, commitments=tuple(mine)), reading.words).kept(owner.value)
    return [
        CommitmentLine(one.commitment.id, told, one.commitment.is_open, one.commitment.due)
        for one, told in zip(mine, lines, strict=True)
    ]


def handle_commitment_form(commitment_id: str, deed: str, endpoint: str, **values: str) -> Response:
    """Do what the form about a commitment says, and go back to where it stood."""
    contracts, reason = (
        current_site().worker.contracts,
        to_single_line(request.form.get("reason", ""))[:MAX_SENT_LENGTH],
    )
    said = {"said": deed}
    if deed == "done":
        contracts.mark_done(commitment_id)
    elif deed == "let-go":
        contracts.let_go(commitment_id, reason)
    elif deed == "change":
        said = _change_commitment(commitment_id, reason)
    else:
        abort(404)
    return redirect_to(url_for(endpoint, **values, **said))  # type: ignore[arg-type]


def _change_commitment(commitment_id: str, reason: str) -> dict[str, str]:
    """Give a commitment the words and the day of the form; returns what the page says of it then."""
    text, due = to_single_line(request.form.get("text", "")), parse_day(request.form.get("due", ""))
    wrong = {"wrong": commitment_id, "_anchor": commitment_id}
    if due is None or not 0 < len(text) <= MAX_LENGTH:
        return wrong
    try:
        is_new = current_site().worker.contracts.change(commitment_id, text=text, due=due, reason=reason)
    except UnfitContract:
        return wrong
    return {"said": "changed" if is_new else "same"}
