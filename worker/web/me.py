"""The report's page: the contract as it stands, own commitments, what is to come, and what the report may choose."""

from typing import Any

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.model import Format, Owner, Pair, PairState
from worker.web import ad_hoc, export
from worker.web.commitments import handle_commitment_form, list_commitments
from worker.web.sessions import leave, visit
from worker.web.site import go, site
from worker.web.year_chart import picture, since


def blueprint() -> Blueprint:
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


def _pair() -> Pair | None:
    """The pair in which this person is the report; with more than one manager, the first by address."""
    pairs = site().store.people.reporting(visit().who)
    return pairs[0] if pairs else None


def _mine() -> Pair:
    pair = _pair()
    if pair is None:
        abort(404)
    return pair


def show() -> Response:
    """The page."""
    here, pair = site(), _pair()
    if pair is None:
        words = here.words(visit().person.locale)
        return here.page("me", words, {"to": visit().person, "token": visit().token, "pair": None})
    return _page(pair, here.state(pair))


def _page(pair: Pair, state: PairState, status: int = 200, **values: Any) -> Response:
    here = site()
    year = here.store.register.year([pair.id], since(here.now()))[pair.id]
    letter = here.letter(visit().person, state)
    reading = here.reading(letter)
    agreed = here.store.content.latest([pair.id]).get(pair.id)
    kept = [k for k in letter.commitments if k.commitment.open or (agreed and k.commitment.session == agreed.session)]
    revisions = here.store.content.revisions(agreed.session) if agreed else []
    told: dict[str, Any] = {
        "token": visit().token,
        "agreed": agreed,
        "changes": reading.changes(revisions[-2].contract, revisions[-1].contract) if len(revisions) > 1 else [],
        "standing": {owner.value: list_commitments(reading, kept, owner) for owner in Owner},
        "coming": [s for s in year.sessions if s.booked and s.span.end > here.now()],
        "owed": [s for s in year.sessions if s.owed],
        "picture": picture(year, reading),
        "triggers": ad_hoc.reasons(reading.words),
        "formats": [one.value for one in Format],
        "unsaid": False,
        "wrong": request.args.get("wrong", ""),
    }
    return here.page("me", reading.words, {**reading.names(), **told, **values}, status)


def commitment_ends(commitment: str, deed: str) -> Response:
    """One of the report's own commitments is done, changed or let go."""
    found = site().store.register.commitment(commitment)
    if found is None or found.pair != _mine().id or found.owner is not Owner.REPORT:
        abort(404)
    return handle_commitment_form(commitment, deed, ".show")


def talk() -> Response:
    """The report would like to talk sooner."""
    pair = _mine()
    said = ad_hoc.ask(pair, Owner.REPORT)
    if not said:
        return _page(pair, site().state(pair), 422, unsaid=True)
    return go(url_for(".show", said=said))


def choose() -> Response:
    """R-4: one conversation, or three."""
    pair, wanted = _mine(), request.form.get("format", "")
    if wanted not in list(Format):
        abort(404)
    site().worker.acts.choose_format(pair.id, Format(wanted))
    return go(url_for(".show", said="format"))


def data() -> Response:
    """What is kept about the report, as a file."""
    pair = _pair()
    return export.file(visit().person, [pair] if pair else [], manages=False)
