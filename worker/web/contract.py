"""The contract: written by the manager after the session, looked at before it is sent, and changed when things change.

What is typed is kept after each press and, with script, while typing. Nothing is recorded before the manager has seen
what both will receive.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request, url_for

from worker.domain.contract.check import ContractCheck, UnfitContract, check_contract
from worker.domain.model import Contract, Effect, EffectKind, MailName, Owner, PairState, Session, SessionState
from worker.domain.planning.notices import find_contract_deadline
from worker.domain.reason_texts import N_
from worker.errors import NoContractSession, NotHeldYet, Overtaken, Refused
from worker.i18n.reasons import translate_question
from worker.mail.compose import SealedMaterial
from worker.mail.view import MailView
from worker.store.content import ContractRevision
from worker.web import contract_form
from worker.web.commitments import handle_commitment_form, list_commitments
from worker.web.contract_form import ContractForm, FieldError
from worker.web.security import MAIL_POLICY
from worker.web.sessions import current_visit
from worker.web.site import current_site, redirect_to

DRAFT_CHANGED = N_("This draft was changed in another window since.")
CONTRACT_CHANGED = N_(
    "One of you changed the contract while you were writing. Look at what is different, then send it."
)
#: What a manager reads when a contract is not recorded for that session.
REFUSALS: Mapping[type[Refused], str] = {
    NotHeldYet: N_("You have not met yet, so there is nothing to record. Your draft is kept."),
    NoContractSession: N_("No contract belongs to this conversation."),
}
#: A word of our own lists, as questions name it.
_QUOTED = re.compile(r"`([^`]+)`")
#: How many empty lines a new form offers in each list.
EMPTY_LINES = {"report": 1, "manager": 1, "reviews": 1, "progress": 0}


@dataclass(frozen=True, slots=True)
class ContractContext:
    """A session whose contract this is about, with all that is known of it."""

    session: Session
    state: PairState
    revisions: tuple[ContractRevision, ...]

    @property
    def is_over(self) -> bool:
        """Whether it took place, so that a contract can be written."""
        ended = self.session.booked and self.session.span.end <= current_site().now()
        return ended or self.session.state in (SessionState.HELD, SessionState.UNFINISHED, SessionState.CONTRACTED)


def make_blueprint() -> Blueprint:
    """The pages about one session's contract; they are reached by a link of their own, and from the manager's page."""
    pages = Blueprint("contract", __name__)
    for rule, view, methods in (
        ("/<session>", show, ["GET"]),
        ("/<session>/write", write, ["GET"]),
        ("/<session>/write", keep, ["POST"]),
        ("/<session>/preview", preview, ["GET"]),
        ("/<session>/mail/<reader>", mail, ["GET"]),
        ("/<session>/send", send, ["POST"]),
        ("/<session>/not-met", not_met, ["POST"]),
        ("/<session>/commitment/<commitment>/<deed>", commitment_ends, ["POST"]),
    ):
        pages.add_url_rule(rule, view_func=view, methods=methods)
    return pages


def _load_context(session_id: str) -> ContractContext:
    """That session, when it is one of this manager's; else there is no such thing."""
    here = current_site()
    session = here.store.queries.get_session(session_id)
    pairs = here.store.people.list_pairs_of_manager(current_visit().who) if session else []
    pair = next((one for one in pairs if session and one.id == session.pair), None)
    if session is None or pair is None:
        abort(404)
    return ContractContext(session, here.load_state(pair), tuple(here.store.content.list_revisions(session_id)))


# --- looking at it ---


def show(session: str) -> Response:
    """The contract as it stands; when it is still to be written, the form."""
    matter = _load_context(session)
    if not matter.revisions and matter.is_over:
        return redirect_to(url_for(".write", session=session, said=request.args.get("said")))
    return _render_page("contract", matter, {"asks": matter.session.asks_contract})


def _render_page(name: str, matter: ContractContext, values: Mapping[str, Any], status: int = 200) -> Response:
    here = current_site()
    letter = here.build_mail_context(current_visit().person, matter.state, matter.session)
    reading = here.build_view(letter)
    mine = [one for one in letter.commitments if one.commitment.session == matter.session.id]
    known = {
        **reading.names(),
        "token": current_visit().token,
        "matter": matter,
        "current": matter.revisions[-1] if matter.revisions else None,
        "changes": _list_changes(reading, matter),
        "standing": {owner.value: list_commitments(reading, mine, owner) for owner in Owner},
        "wrong": request.args.get("wrong", ""),
        "deadline": find_contract_deadline(matter.state.manager, matter.session) if matter.session.held_at else None,
    }
    return here.render_page(name, reading.words, {**known, **values}, status)


def _list_changes(reading: MailView, matter: ContractContext) -> list[str]:
    """What the newest revision changed, in sentences."""
    if len(matter.revisions) < 2:
        return []
    return reading.changes(matter.revisions[-2].contract, matter.revisions[-1].contract)


# --- writing it ---


def write(session: str) -> Response:
    """The form, with what was kept in it."""
    matter = _load_context(session)
    if not matter.is_over:
        return redirect_to(url_for(".show", session=session))
    sketch = current_site().store.content.get_contract_draft(session)
    form = ContractForm.from_draft(sketch.fields) if sketch else _start_form(matter)
    return _render_form(matter, form, sketch.version if sketch else 0, saved_at=sketch.saved_at if sketch else None)


def _start_form(matter: ContractContext) -> ContractForm:
    if matter.revisions:
        return ContractForm.from_contract(matter.revisions[-1].contract, len(matter.revisions))
    form = ContractForm()
    for name, count in EMPTY_LINES.items():
        for _ in range(count):
            form.change_lines(f"add-{name}")
    return form


def _render_form(
    matter: ContractContext,
    form: ContractForm,
    version: int,
    *,
    wrong: list[FieldError] | None = None,
    notice: str = "",
    **values: Any,
) -> Response:
    asked = _find_questions(matter, form) if form.is_filled() else {}
    told = {"saved_at": None, **values, "form": form, "version": version, "asked": asked, "notice": notice}
    errors = {
        one.name: current_site().choose_language(current_visit().person.locale).gettext(one.what) for one in wrong or ()
    }
    status = 422 if wrong else 409 if notice else 200
    return _render_page("write", matter, {**told, "errors": errors, **_load_last_contract(matter)}, status)


def _load_last_contract(matter: ContractContext) -> dict[str, Any]:
    """Last time's contract, to look at while this one is written."""
    here = current_site()
    latest = here.store.content.get_latest_contracts([matter.state.pair.id]).get(matter.state.pair.id)
    if latest is None or latest.session == matter.session.id:
        return {"last": None}
    letter = here.build_mail_context(current_visit().person, matter.state, matter.session)
    kept = [one for one in letter.commitments if one.commitment.session == latest.session]
    reading = here.build_view(letter)
    standing = {owner.value: list_commitments(reading, kept, owner) for owner in Owner}
    return {"last": latest, "last_standing": standing}


def _build_contract(matter: ContractContext, form: ContractForm) -> tuple[Contract, list[FieldError]]:
    """What the form makes, and all that is wrong with it today."""
    contract, wrong = form.build_contract()
    return contract, form.with_faults(wrong, _check(matter, contract).faults)


def _check(matter: ContractContext, contract: Contract) -> ContractCheck:
    revisions = [one.contract for one in matter.revisions]
    return check_contract(contract, matter.state.manager, current_site().now(), revisions, contract_form.LIMITS)


def _find_questions(matter: ContractContext, form: ContractForm) -> dict[str, list[dict[str, str]]]:
    """R-16: what is asked of each promise, by the line of the form it stands in. An empty date is no question yet."""
    words = current_site().choose_language(current_visit().person.locale)
    contract, _ = form.build_contract()
    found: dict[str, list[dict[str, str]]] = {}
    for one in _check(matter, contract).questions:
        what, better = translate_question(one, words)
        told = {"what": _QUOTED.sub("“\\1”", what), "better": better}
        found.setdefault(contract_form.format_line_id(one.line), []).append(told)
    return found


def keep(session: str) -> Response:
    """Keep what was typed; then do what the button says. A script that keeps it meanwhile gets a short answer."""
    matter, do = _load_context(session), request.form.get("do", "keep")
    if not matter.is_over:
        abort(404)
    if do == "discard":
        return _discard_draft(session)
    form = ContractForm.from_request(request.form)
    form.change_lines(do)
    seen = contract_form.parse_number(request.form.get("version", "")) or 0
    quietly = "application/json" in request.headers.get("Accept", "")
    try:
        version = current_site().store.content.save_contract_draft(
            session, form.to_draft(), current_site().now(), over=seen
        )
    except Refused as error:
        return _report_draft_conflict(matter, form, str(error), quietly=quietly)
    if quietly:
        return jsonify(version=version, asked=_find_questions(matter, form), kept=_describe_saved_draft())
    return _respond_to_button(matter, form, version, do)


def _describe_saved_draft() -> str:
    words, to = current_site().choose_language(current_visit().person.locale), current_visit().person
    return words.gettext(N_("Draft kept, %(hour)s"), hour=words.hour(current_site().now(), to.zone))


def _respond_to_button(matter: ContractContext, form: ContractForm, version: int, do: str) -> Response:
    if do == "preview":
        _, wrong = _build_contract(matter, form)
        if wrong:
            return _render_form(matter, form, version, wrong=wrong)
        return redirect_to(url_for(".preview", session=matter.session.id))
    said = "kept" if do == "keep" else None
    part = do.split("-")[1] if do.startswith(("add-", "drop-")) else None
    return redirect_to(url_for(".write", session=matter.session.id, said=said, _anchor=part))


def _report_draft_conflict(matter: ContractContext, form: ContractForm, what: str, *, quietly: bool) -> Response:
    """Somebody kept another draft since this one was opened: nothing is lost; the next press keeps this one."""
    words = current_site().choose_language(current_visit().person.locale)
    if quietly:
        answer = jsonify(problem=words.gettext(what))
        answer.status_code = 409
        return answer
    sketch = current_site().store.content.get_contract_draft(matter.session.id)
    return _render_form(matter, form, sketch.version if sketch else 0, notice=words.gettext(what))


def _discard_draft(session: str) -> Response:
    here = current_site()
    with here.store.database.write() as connection:
        here.store.content.delete_contract_draft(connection, session)
    return redirect_to(url_for(".show", session=session, said="dropped"))


# --- sending it ---


def preview(session: str) -> Response:
    """What both will receive, exactly, with the questions worth asking first."""
    matter = _load_context(session)
    sketch = current_site().store.content.get_contract_draft(session)
    if sketch is None or not matter.is_over:
        return redirect_to(url_for(".write", session=session))
    form = ContractForm.from_draft(sketch.fields)
    contract, wrong = _build_contract(matter, form)
    if wrong:
        return _render_form(matter, form, sketch.version, wrong=wrong)
    reading = current_site().build_view(
        current_site().build_mail_context(current_visit().person, matter.state, matter.session)
    )
    asked = [(_text_at(form, place), questions) for place, questions in _find_questions(matter, form).items()]
    before = matter.revisions[-1].contract if matter.revisions else None
    told = {
        "asked": asked,
        "version": sketch.version,
        "differs": reading.changes(before, contract) if before else [],
        "subject": str(_render_mail(matter, contract, Owner.REPORT)["Subject"]),
    }
    return _render_page("preview", matter, told)


def _text_at(form: ContractForm, place: str) -> str:
    name, _, number = place.partition("-")
    return form.lists[name][int(number)]["text"]


def mail(session: str, reader: str) -> Response:
    """The mail that one of the two will receive, as it looks."""
    matter = _load_context(session)
    sketch = current_site().store.content.get_contract_draft(session)
    if sketch is None or reader not in list(Owner):
        abort(404)
    contract, _ = ContractForm.from_draft(sketch.fields).build_contract()
    part = _render_mail(matter, contract, Owner(reader)).get_body(("html",))
    html = part.get_content() if isinstance(part, EmailMessage) else ""
    answer = Response(html, content_type="text/html; charset=utf-8")
    answer.headers["Content-Security-Policy"] = MAIL_POLICY
    return answer


def _render_mail(matter: ContractContext, contract: Contract, reader: Owner) -> EmailMessage:
    """The summary as the outbox will write it, but for the link: that is the reader's own."""
    here, state = current_site(), matter.state
    number, now = len(matter.revisions) + 1, here.now()
    to = state.manager.email if reader is Owner.MANAGER else state.report.email
    message = Effect(
        key="preview",
        kind=EffectKind.MAIL,
        pair=state.pair.id,
        subject=matter.session.id,
        due_at=now,
        snapshot_at=now,
        name=MailName.CONTRACT_SUMMARY.value,
        to=to,
        number=number,
    )
    all_ = [one.contract for one in matter.revisions] + [contract]
    material = SealedMaterial(contracts={state.pair.id: contract}, revisions={matter.session.id: all_})
    letter = here.drafts.build_mail_context(message, _include_session(state, matter.session), material, now)
    return here.worker.mail_renderer.render(replace(letter, links={"contract": "#"}))


def _include_session(state: PairState, session: Session) -> PairState:
    """The state with that session among the others: one of long ago is not read with them."""
    others = tuple(one for one in state.sessions if one.id != session.id)
    return replace(state, sessions=(*others, session))


def send(session: str) -> Response:
    """Record what was previewed. Pressed twice, it is recorded once."""
    matter, here = _load_context(session), current_site()
    sketch = here.store.content.get_contract_draft(session)
    if sketch is None:  # it was sent already, perhaps since `matter` was read
        recorded = matter.revisions or here.store.content.list_revisions(session)
        return redirect_to(url_for(".show", session=session, said="sent" if recorded else None))
    if request.form.get("version") != str(sketch.version):
        raise Refused(here.choose_language(current_visit().person.locale).gettext(DRAFT_CHANGED))
    form = ContractForm.from_draft(sketch.fields)
    contract, wrong = form.build_contract()
    if wrong:
        return _render_form(matter, form, sketch.version, wrong=wrong)
    try:
        result = here.worker.contracts.record(
            session, contract, after=form.after, limits=contract_form.LIMITS, drop_draft=True
        )
    except Overtaken:
        return _report_newer_revision(session, form, sketch.version)
    except UnfitContract as error:
        return _render_form(matter, form, sketch.version, wrong=form.with_faults([], error.faults))
    except (NoContractSession, NotHeldYet) as error:
        raise Refused(here.choose_language(current_visit().person.locale).gettext(REFUSALS[type(error)])) from error
    # Of two presses at once the second finds what the first recorded.
    return redirect_to(url_for(".show", session=session, said="sent" if result.revision > form.after else "same"))


def _report_newer_revision(session: str, form: ContractForm, version: int) -> Response:
    """A newer revision came while this was written (the report changed a commitment, say): nothing typed is lost, and
    the next preview shows the difference to that one."""
    matter, here = _load_context(session), current_site()
    form.after = len(matter.revisions)
    version = here.store.content.save_contract_draft(matter.session.id, form.to_draft(), here.now(), over=version)
    told = here.choose_language(current_visit().person.locale).gettext(CONTRACT_CHANGED)
    return _render_form(matter, form, version, notice=told)


# --- what became of it ---


def not_met(session: str) -> Response:
    """It did not take place: it is owed."""
    matter = _load_context(session)
    is_new = current_site().worker.actions.record_not_held(matter.session.id)
    return redirect_to(url_for(".show", session=session, said="not-met" if is_new else "not-met-before"))


def commitment_ends(session: str, commitment: str, deed: str) -> Response:
    """A commitment of this contract is done, changed or let go."""
    matter = _load_context(session)
    there = {one.id for one in current_site().store.queries.list_commitments_of_session(matter.session.id)}
    if commitment not in there:
        abort(404)
    return handle_commitment_form(commitment, deed, ".show", session=session)
