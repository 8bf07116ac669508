"""What became of a promise: done, changed, let go (R-18). The same forms on the manager's pages and the report's."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import date

from flask import Response, abort, request, url_for

from worker.domain.contract.lint import days_for
from worker.domain.model import Owner, Standing
from worker.i18n.language import line
from worker.mail.context import Kept
from worker.mail.view import Line, Reading
from worker.web.contract_form import LONGEST, LONGEST_SENT, day_of
from worker.web.site import go, site


@dataclass(frozen=True, slots=True)
class Shown:
    """A commitment as a page shows it."""

    id: str
    line: Line
    open: bool
    due: date


def shown(reading: Reading, kept: Iterable[Kept], owner: Owner) -> list[Shown]:
    """One side's commitments with how each stands; the open ones first."""
    mine = [one for one in kept if one.commitment.owner is owner]
    mine.sort(key=lambda one: (not one.commitment.open, one.commitment.due))
    lines = Reading(replace(reading.letter, commitments=tuple(mine)), reading.words).kept(owner.value)
    return [
        Shown(one.commitment.id, told, one.commitment.open, one.commitment.due)
        for one, told in zip(mine, lines, strict=True)
    ]


def ended(commitment_id: str, deed: str, endpoint: str, **values: str) -> Response:
    """Do what the form about a commitment says, and go back to where it stood."""
    acts, reason = site().worker.acts, line(request.form.get("reason", ""))[:LONGEST_SENT]
    said: dict[str, str] = {"said": {"change": "changed"}.get(deed, deed)}
    if deed == "done":
        acts.close(commitment_id, Standing.DONE)
    elif deed == "let-go":
        acts.close(commitment_id, Standing.LET_GO, reason)
    elif deed == "change":
        text, due = line(request.form.get("text", "")), day_of(request.form.get("due", ""))
        if 0 < len(text) <= LONGEST and due and _near(commitment_id, due):
            said = said if acts.change(commitment_id, text=text, due=due, reason=reason) else {"said": "same"}
        else:
            said = {"wrong": commitment_id, "_anchor": commitment_id}
    else:
        abort(404)
    return go(url_for(endpoint, **values, **said))  # type: ignore[arg-type]


def _near(commitment_id: str, due: date) -> bool:
    """Whether a promise may get that day: it is not too far away, or it is the one it has."""
    one = site().store.register.commitment(commitment_id)
    return due in days_for(site().now().date(), [one.due] if one else ())
