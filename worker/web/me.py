"""The report's page: the contract in force, the report's commitments and sessions, and the forms of the report."""

from typing import Any

from flask import Blueprint, Response, abort, request

from worker.domain.model import Format, Owner, Pair, PairState
from worker.web import ad_hoc, export, handover, notes, third_voices
from worker.web.commitments import handle_commitment_form, list_changes, list_commitments
from worker.web.erasures import list_erased_contents
from worker.web.logins import current_login, end_logins
from worker.web.reasons import list_deferral_reasons
from worker.web.site import current_site, redirect_with_confirmation
from worker.web.year_chart import build_year_charts, get_chart_start


def make_blueprint() -> Blueprint:
    """Return the report's page and the handlers of its forms."""
    pages = Blueprint("me", __name__)
    for rule, handler, methods in (
        ("", show, ["GET"]),
        ("/commitment/<commitment_id>/<action>", update_commitment, ["POST"]),
        ("/note/<session_id>", leave_note, ["POST"]),
        ("/voice", ask_third_voice, ["POST"]),
        ("/voice/<voice_id>/erase", erase_voice, ["POST"]),
        ("/talk", request_talk, ["POST"]),
        ("/format", choose_format, ["POST"]),
        ("/handover", pass_on_lines, ["POST"]),
        ("/data", download_data, ["GET"]),
        ("/leave", end_logins, ["POST"]),
    ):
        pages.add_url_rule(rule, view_func=handler, methods=methods)
    return pages


def _find_pair() -> Pair | None:
    """Return the pair in which the person logged in is the report; with several managers, the first by address."""
    pairs = current_site().store.people.list_pairs_of_report(current_login().address)
    return pairs[0] if pairs else None


def _require_pair() -> Pair:
    """Return the report's pair. Aborts with 404 when there is none."""
    pair = _find_pair()
    if pair is None:
        abort(404)
    return pair


def show() -> Response:
    """Return the page. For a person who is in no pair as the report, the page says so."""
    site, pair = current_site(), _find_pair()
    if pair is None:
        values = {
            "to": current_login().person,
            "token": current_login().token,
            "pair": None,
            "erased": list_erased_contents(),
        }
        return site.render_page("me", site.choose_language(), values)
    return _render_page(pair, site.load_state(pair))


def _render_page(pair: Pair, state: PairState, status: int = 200, **values: Any) -> Response:
    """Return the page of a report. `values` override the template values that the page always has."""
    site = current_site()
    activity = site.store.queries.load_activities([pair.id], get_chart_start(site.now()))[pair.id]
    context = site.build_page_context(current_login().person, state)
    view = site.build_view(context)
    contract_in_force = site.store.content.get_latest_contracts([pair.id]).get(pair.id)
    commitments = [
        item
        for item in context.commitments
        if item.commitment.is_open or (contract_in_force and item.commitment.session == contract_in_force.session)
    ]
    revisions = site.store.content.list_revisions(contract_in_force.session) if contract_in_force else []
    (newly_kept,) = notes.list_kept_lines([view], Owner.REPORT, site.now())
    page: dict[str, Any] = {
        "token": current_login().token,
        "contract_in_force": contract_in_force,
        "changes": list_changes(view, revisions),
        "commitment_lines": {owner.value: list_commitments(view, commitments, owner) for owner in Owner},
        "coming": [s for s in activity.sessions if s.booked and s.span.end > site.now()],
        "owed": [s for s in activity.sessions if s.owed],
        "reasons": list_deferral_reasons(view, state),
        "charts": build_year_charts(activity, view),
        "shared_notes": notes.load_shared_notes(view, pair, state, Owner.REPORT),
        "newly_kept": newly_kept,
        "voices": third_voices.list_entries(view, current_login().address),
        "voice_form": third_voices.make_empty_form(),
        "triggers": ad_hoc.list_triggers(view.language),
        "lacks_reason": False,
        "erased": list_erased_contents(),
        "commitment_with_error": request.args.get("wrong", ""),
        **handover.build_choice_of_lines(current_login().address),
    }
    return site.render_page("me", view.language, {**view.collect_variables(), **page, **values}, status)


def update_commitment(commitment_id: str, action: str) -> Response:
    """Mark one of the report's own commitments as done, change it or let it go."""
    owned = current_site().store.queries.get_commitment(commitment_id)
    if owned is None or owned.pair != _require_pair().id or owned.owner is not Owner.REPORT:
        abort(404)
    return handle_commitment_form(commitment_id, action, ".show", Owner.REPORT)


def leave_note(session_id: str) -> Response:
    """Store the report's note about a conversation, for both to read, or delete it (R-28)."""
    confirmation = notes.leave_note(_require_pair(), session_id, Owner.REPORT)
    return redirect_with_confirmation(".show", confirmation, _anchor="notes")


def ask_third_voice() -> Response:
    """Send the report's question to a third person (R-30)."""
    pair, form = _require_pair(), third_voices.ask_question(current_login().person)
    if form is not None:
        return _render_page(pair, current_site().load_state(pair), 422, voice_form=form)
    return redirect_with_confirmation(".show", "asked", _anchor="voices")


def erase_voice(voice_id: str) -> Response:
    """Erase a question to a third person, together with its answer."""
    if not current_site().worker.third_voices.erase(current_login().address, voice_id):
        abort(404)
    return redirect_with_confirmation(".show", "erased", _anchor="voices")


def request_talk() -> Response:
    """Request an ad hoc session (R-6)."""
    pair = _require_pair()
    confirmation = ad_hoc.request_conversation(pair, Owner.REPORT)
    if not confirmation:
        return _render_page(pair, current_site().load_state(pair), 422, lacks_reason=True)
    return redirect_with_confirmation(".show", confirmation)


def choose_format() -> Response:
    """Store the format of the career conversation: one session, or a series of three (R-4)."""
    pair, choice = _require_pair(), request.form.get("format", "")
    if choice not in list(Format):
        abort(404)
    current_site().worker.actions.choose_format(pair.id, Format(choice))
    return redirect_with_confirmation(".show", "format")


def pass_on_lines() -> Response:
    """Store which lines of the old contract and notes the new manager will read (R-36)."""
    return handover.pass_on_lines()


def download_data() -> Response:
    """Return everything that is stored about the report, as a download."""
    pairs = current_site().store.people.list_all_pairs_of_report(current_login().address)
    return export.build_export(current_login().person, pairs, is_manager=False)
