"""The report's page: the contract as it stands, own commitments, what is to come, and what the report may choose."""

from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.model import Format, Owner, Pair, PairState
from worker.web import ad_hoc, export
from worker.web.commitments import handle_commitment_form, list_commitments
from worker.web.sessions import current_visit, leave
from worker.web.site import current_site, redirect_to
from worker.web.year_chart import build_year_chart, chart_start


def make_blueprint() -> Blueprint:
    """The report's page."""
    pages = Blueprint("me", __name__)
    for rule, view, methods in (
        ("", show, ["GET"]),
        ("/commitment/<commitment>/<deed>", commitment_ends, ["POST"]),
        ("/talk", talk, ["POST"]),
        ("/format", choose, ["POST"]),
        ("/data", data, ["GET"]),
        ("/leave", leave, ["POST"]),
    ):
        pages.add_url_rule(rule, view_func=view, methods=methods)
    return pages


def _find_pair() -> Pair | None:
    """The pair in which this person is the report; with more than one manager, the first by address."""
    pairs = current_site().store.people.list_pairs_of_report(current_visit().who)
    return pairs[0] if pairs else None


def _require_pair() -> Pair:
    pair = _find_pair()
    if pair is None:
        abort(404)
    return pair


def show() -> Response:
    """The page."""
    here, pair = current_site(), _find_pair()
    if pair is None:
        words = here.choose_language(current_visit().person.locale)
        return here.render_page(
            "me", words, {"to": current_visit().person, "token": current_visit().token, "pair": None}
        )
    return _render_page(pair, here.load_state(pair))


def _render_page(pair: Pair, state: PairState, status: int = 200, **values: Any) -> Response:
    here = current_site()
    year = here.store.queries.load_years([pair.id], chart_start(here.now()))[pair.id]
    letter = here.build_mail_context(current_visit().person, state)
    reading = here.build_view(letter)
    agreed = here.store.content.get_latest_contracts([pair.id]).get(pair.id)
    kept = [
        k for k in letter.commitments if k.commitment.is_open or (agreed and k.commitment.session == agreed.session)
    ]
    revisions = here.store.content.list_revisions(agreed.session) if agreed else []
    told: dict[str, Any] = {
        "token": current_visit().token,
        "agreed": agreed,
        "changes": reading.changes(revisions[-2].contract, revisions[-1].contract) if len(revisions) > 1 else [],
        "standing": {owner.value: list_commitments(reading, kept, owner) for owner in Owner},
        "coming": [s for s in year.sessions if s.booked and s.span.end > here.now()],
        "owed": [s for s in year.sessions if s.owed],
        "picture": build_year_chart(year, reading),
        "triggers": ad_hoc.list_triggers(reading.words),
        "formats": [one.value for one in Format],
        "unsaid": False,
        "wrong": request.args.get("wrong", ""),
    }
    return here.render_page("me", reading.words, {**reading.names(), **told, **values}, status)


def commitment_ends(commitment: str, deed: str) -> Response:
    """One of the report's own commitments is done, changed or let go."""
    found = current_site().store.queries.get_commitment(commitment)
    if found is None or found.pair != _require_pair().id or found.owner is not Owner.REPORT:
        abort(404)
    return handle_commitment_form(commitment, deed, ".show")


def talk() -> Response:
    """The report would like to talk sooner."""
    pair = _require_pair()
    said = ad_hoc.request_conversation(pair, Owner.REPORT)
    if not said:
        return _render_page(pair, current_site().load_state(pair), 422, unsaid=True)
    return redirect_to(url_for(".show", said=said))


def choose() -> Response:
    """R-4: one conversation, or three."""
    pair, wanted = _require_pair(), request.form.get("format", "")
    if wanted not in list(Format):
        abort(404)
    current_site().worker.actions.choose_format(pair.id, Format(wanted))
    return redirect_to(url_for(".show", said="format"))


def data() -> Response:
    """What is kept about the report, as a file."""
    pair = _find_pair()
    return export.build_export(current_visit().person, [pair] if pair else [], manages=False)
