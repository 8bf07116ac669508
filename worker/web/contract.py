"""The pages on which the manager writes a session's contract, previews it, sends it, and changes it later.

The draft is saved when a button is pressed and, with JavaScript, while the manager types. Sending records the contract,
which is possible only from the preview of the mail that both people will receive.
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from email.message import EmailMessage
from typing import Any

from flask import Blueprint, Response, abort, jsonify, request, url_for

from worker.domain.contract.check import ContractCheck, UnfitContract, check_contract
from worker.domain.model import Contract, Effect, EffectKind, MailName, Owner, PairState, Session, SessionState
from worker.domain.planning.contract_mails import find_contract_deadline
from worker.domain.reason_texts import N_
from worker.errors import DraftChanged, Overtaken
from worker.i18n.domain_texts import translate_question
from worker.mail.compose import OpenedContent
from worker.store.content import ContractRevision
from worker.web import contract_form
from worker.web.commitments import handle_commitment_form, list_changes, list_commitments
from worker.web.contract_form import ContractForm, FieldError
from worker.web.logins import current_login
from worker.web.refusals import explain_refusal
from worker.web.security import MAIL_CONTENT_SECURITY
from worker.web.site import current_site, redirect_to, redirect_with_confirmation

#: A word in backticks: questions about a contract quote its words so.
_QUOTED = re.compile(r"`([^`]+)`")
#: The number of empty lines in each list of a new form.
EMPTY_LINES = {"report": 1, "manager": 1, "reviews": 1, "progress": 0}


@dataclass(frozen=True, slots=True)
class ContractContext:
    """The session that a contract belongs to, its pair's state, and every recorded revision of the contract."""

    session: Session
    state: PairState
    revisions: tuple[ContractRevision, ...]

    @property
    def has_session_ended(self) -> bool:
        """Whether the session has ended, so that its contract can be written."""
        is_past = self.session.booked and self.session.span.end <= current_site().now()
        return is_past or self.session.state in (SessionState.HELD, SessionState.UNFINISHED, SessionState.CONTRACTED)


def make_blueprint() -> Blueprint:
    """Return the pages about one session's contract. Mails link to them; they are the manager's, like the team page."""
    pages = Blueprint("contract", __name__)
    for rule, handler, methods in (
        ("/<session_id>", show, ["GET"]),
        ("/<session_id>/write", show_form, ["GET"]),
        ("/<session_id>/write", save_draft, ["POST"]),
        ("/<session_id>/preview", preview, ["GET"]),
        ("/<session_id>/mail/<reader>", show_mail, ["GET"]),
        ("/<session_id>/send", send, ["POST"]),
        ("/<session_id>/not-met", record_not_met, ["POST"]),
        ("/<session_id>/commitment/<commitment_id>/<action>", update_commitment, ["POST"]),
    ):
        pages.add_url_rule(rule, view_func=handler, methods=methods)
    return pages


def _load_context(session_id: str) -> ContractContext:
    """Return the context of that session. Aborts with 404 unless the person logged in is its manager."""
    site = current_site()
    session = site.store.queries.get_session(session_id)
    pairs = site.store.people.list_pairs_of_manager(current_login().address) if session else []
    pair = next((pair for pair in pairs if session and pair.id == session.pair), None)
    if session is None or pair is None:
        abort(404)
    return ContractContext(session, site.load_state(pair), tuple(site.store.content.list_revisions(session_id)))


# --- showing ---


def show(session_id: str) -> Response:
    """Return the page with the latest revision, or a redirect to the form when the contract is still to be written."""
    context = _load_context(session_id)
    if not context.revisions and context.has_session_ended:
        return redirect_with_confirmation(".show_form", request.args.get("said"), session_id=session_id)
    return _render_page("contract", context, {})


def _render_page(name: str, context: ContractContext, values: Mapping[str, Any], status: int = 200) -> Response:
    """Return the page of that template. `values` are added to the values that all contract pages have."""
    site = current_site()
    mail_context = site.build_page_context(current_login().person, context.state, context.session)
    view = site.build_view(mail_context)
    commitments = [item for item in mail_context.commitments if item.commitment.session == context.session.id]
    page_values = {
        **view.collect_variables(),
        "token": current_login().token,
        "contract_context": context,
        "current": context.revisions[-1] if context.revisions else None,
        "changes": list_changes(view, context.revisions),
        "commitment_lines": {owner.value: list_commitments(view, commitments, owner) for owner in Owner},
        "commitment_with_error": request.args.get("wrong", ""),  # set by `handle_commitment_form`
        "deadline": find_contract_deadline(context.state.manager, context.session) if context.session.held_at else None,
    }
    return site.render_page(name, view.language, {**page_values, **values}, status)


# --- writing ---


def show_form(session_id: str) -> Response:
    """Return the form, filled from the saved draft or else from the latest revision. Without both, it is empty."""
    context = _load_context(session_id)
    if not context.has_session_ended:
        return redirect_to(url_for(".show", session_id=session_id))
    draft = current_site().store.content.get_contract_draft(session_id)
    form = ContractForm.from_draft(draft.fields) if draft else _start_form(context)
    return _render_form(context, form, draft.version if draft else 0, saved_at=draft.saved_at if draft else None)


def _start_form(context: ContractContext) -> ContractForm:
    """Return the form for a contract without a saved draft."""
    if context.revisions:
        return ContractForm.from_contract(context.revisions[-1].contract, len(context.revisions))
    form = ContractForm()
    for name, count in EMPTY_LINES.items():
        for _ in range(count):
            form.change_lines(f"add-{name}")
    return form


def _render_form(
    context: ContractContext,
    form: ContractForm,
    version: int,
    *,
    errors: list[FieldError] | None = None,
    notice: str = "",
    **values: Any,
) -> Response:
    """Return the page with the form. The status is 422 with `errors`, and 409 with a `notice` of a conflict.

    `version` is that of the saved draft, and 0 without one. `values` are added to the values of the page.
    """
    language = current_site().choose_language()
    page = {
        "saved_at": None,
        **values,
        "form": form,
        "version": version,
        "questions_by_line": _find_questions(context, form) if form.is_filled() else {},
        "notice": notice,
        "errors": {error.name: language.gettext(error.advice) for error in errors or ()},
        **_load_last_contract(context),
    }
    status = 409 if notice else 200
    return _render_page("write", context, page, 422 if errors else status)


def _load_last_contract(context: ContractContext) -> dict[str, Any]:
    """Return the template values about the pair's contract in force, which the page shows beside the form.

    `last_contract` is None when the pair has no contract yet, or when the form edits that contract.
    """
    site = current_site()
    latest = site.store.content.get_latest_contracts([context.state.pair.id]).get(context.state.pair.id)
    if latest is None or latest.session == context.session.id:
        return {"last_contract": None}
    mail_context = site.build_page_context(current_login().person, context.state, context.session)
    commitments = [item for item in mail_context.commitments if item.commitment.session == latest.session]
    view = site.build_view(mail_context)
    commitment_lines = {owner.value: list_commitments(view, commitments, owner) for owner in Owner}
    return {"last_contract": latest, "last_commitment_lines": commitment_lines}


def _build_contract(context: ContractContext, form: ContractForm) -> tuple[Contract, list[FieldError]]:
    """Return the contract in the form, and the errors of all fields that can't be read or that break a limit."""
    contract, errors = form.build_contract()
    return contract, form.merge_faults(errors, _check_contract(context, contract).faults)


def _check_contract(context: ContractContext, contract: Contract) -> ContractCheck:
    revisions = [revision.contract for revision in context.revisions]
    state = context.state
    return check_contract(contract, state.manager, state.report, current_site().now(), revisions, contract_form.LIMITS)


def _find_questions(context: ContractContext, form: ContractForm) -> dict[str, list[dict[str, str]]]:
    """Return the questions about each commitment, such as about a vague word (R-16), by the id of its form line."""
    language = current_site().choose_language()
    contract, _ = form.build_contract()
    questions: dict[str, list[dict[str, str]]] = {}
    for question in _check_contract(context, contract).questions:
        text, suggestion = translate_question(question, language)
        texts = {"what": _QUOTED.sub("“\\1”", text), "better": suggestion}
        questions.setdefault(contract_form.format_line_id(question.line), []).append(texts)
    return questions


def save_draft(session_id: str) -> Response:
    """Save the draft, then do what the pressed button says. The page's script saves drafts, too, and receives JSON."""
    context, button = _load_context(session_id), request.form.get("do", "keep")
    if not context.has_session_ended:
        abort(404)
    if button == "discard":
        return _discard_draft(session_id)
    form = ContractForm.from_request(request.form)
    form.change_lines(button)
    loaded_version = contract_form.parse_number(request.form.get("version", "")) or 0
    is_script = "application/json" in request.headers.get("Accept", "")
    try:
        version = current_site().store.content.save_contract_draft(
            session_id, form.to_draft(), current_site().now(), replaced_version=loaded_version
        )
    except DraftChanged as error:
        return _report_draft_conflict(context, form, error, is_script=is_script)
    if is_script:
        return jsonify(version=version, asked=_find_questions(context, form), kept=_describe_saved_draft())
    return _respond_to_button(context, form, version, button)


def _describe_saved_draft() -> str:
    """Return the sentence that says when the draft was saved."""
    language, zone = current_site().choose_language(), current_login().person.zone
    return language.gettext(N_("Draft kept, %(hour)s"), hour=language.format_time(current_site().now(), zone))


def _respond_to_button(context: ContractContext, form: ContractForm, version: int, button: str) -> Response:
    if button == "preview":
        _, errors = _build_contract(context, form)
        if errors:
            return _render_form(context, form, version, errors=errors)
        return redirect_to(url_for(".preview", session_id=context.session.id))
    confirmation = "kept" if button == "keep" else None
    # After a line was added or removed, the page opens at the list of that line.
    list_name = button.split("-")[1] if button.startswith(("add-", "drop-")) else None
    return redirect_with_confirmation(".show_form", confirmation, session_id=context.session.id, _anchor=list_name)


def _report_draft_conflict(
    context: ContractContext, form: ContractForm, error: DraftChanged, *, is_script: bool
) -> Response:
    """Return the response when another window has saved the draft since this form was loaded (409).

    The form keeps what was typed and takes the saved draft's version, so that the next save replaces that draft.
    """
    problem = explain_refusal(error, current_site().choose_language())
    if is_script:
        response = jsonify(problem=problem)
        response.status_code = 409
        return response
    draft = current_site().store.content.get_contract_draft(context.session.id)
    return _render_form(context, form, draft.version if draft else 0, notice=problem)


def _discard_draft(session_id: str) -> Response:
    site = current_site()
    with site.store.database.write() as connection:
        site.store.content.delete_contract_draft(connection, session_id)
    return redirect_with_confirmation(".show", "dropped", session_id=session_id)


# --- sending ---


def preview(session_id: str) -> Response:
    """Return the page with the mail that both people will receive, and the questions about the contract (R-16)."""
    context = _load_context(session_id)
    draft = current_site().store.content.get_contract_draft(session_id)
    if draft is None or not context.has_session_ended:
        return redirect_to(url_for(".show_form", session_id=session_id))
    form = ContractForm.from_draft(draft.fields)
    contract, errors = _build_contract(context, form)
    if errors:
        return _render_form(context, form, draft.version, errors=errors)
    site = current_site()
    view = site.build_view(site.build_page_context(current_login().person, context.state, context.session))
    latest = context.revisions[-1].contract if context.revisions else None
    values = {
        "questions_by_text": [
            (_get_line_text(form, line_id), questions) for line_id, questions in _find_questions(context, form).items()
        ],
        "version": draft.version,
        "differences": view.changes(latest, contract) if latest else [],
        "subject": str(_render_mail(context, contract, Owner.REPORT)["Subject"]),
    }
    return _render_page("preview", context, values)


def _get_line_text(form: ContractForm, line_id: str) -> str:
    name, _, number = line_id.partition("-")
    return form.lists[name][int(number)]["text"]


def show_mail(session_id: str, reader: str) -> Response:
    """Return the HTML of the mail to one of the two people, for the preview's frame. `reader`: a value of Owner."""
    context = _load_context(session_id)
    draft = current_site().store.content.get_contract_draft(session_id)
    if draft is None or reader not in list(Owner):
        abort(404)
    contract, _ = ContractForm.from_draft(draft.fields).build_contract()
    part = _render_mail(context, contract, Owner(reader)).get_body(("html",))
    html = part.get_content() if isinstance(part, EmailMessage) else ""
    response = Response(html, content_type="text/html; charset=utf-8")
    response.headers["Content-Security-Policy"] = MAIL_CONTENT_SECURITY
    return response


def _render_mail(context: ContractContext, contract: Contract, reader: Owner) -> EmailMessage:
    """Return the summary mail as it will be sent, except for the reader's personal link."""
    site, state = current_site(), context.state
    revision_number, now = len(context.revisions) + 1, site.now()
    to = reader.select(state.manager, state.report).email
    effect = Effect(
        key="preview",
        kind=EffectKind.MAIL,
        pair=state.pair.id,
        subject=context.session.id,
        due_at=now,
        decided_at=now,
        name=MailName.CONTRACT_SUMMARY.value,
        to=to,
        number=revision_number,
    )
    contracts = [revision.contract for revision in context.revisions] + [contract]
    content = OpenedContent(contracts={state.pair.id: contract}, revisions={context.session.id: contracts})
    mail_context = site.composer.build_mail_context(effect, _include_session(state, context.session), content, now)
    return site.worker.mail_renderer.render(replace(mail_context, links={"contract": "#"}))


def _include_session(state: PairState, session: Session) -> PairState:
    """Return the state with that session in it. `load_state` leaves out old sessions."""
    others = tuple(other for other in state.sessions if other.id != session.id)
    return replace(state, sessions=(*others, session))


def send(session_id: str) -> Response:
    """Record the previewed contract. When the form is sent twice, the contract is recorded once."""
    context, site = _load_context(session_id), current_site()
    draft = site.store.content.get_contract_draft(session_id)
    if draft is None:  # the contract was sent already, perhaps after `context` was loaded
        revisions = context.revisions or site.store.content.list_revisions(session_id)
        return redirect_with_confirmation(".show", "sent" if revisions else None, session_id=session_id)
    if request.form.get("version") != str(draft.version):
        raise DraftChanged
    form = ContractForm.from_draft(draft.fields)
    contract, errors = form.build_contract()
    if errors:
        return _render_form(context, form, draft.version, errors=errors)
    try:
        result = site.worker.contracts.record(
            session_id, contract, base_revision=form.base_revision, limits=contract_form.LIMITS, deletes_draft=True
        )
    except Overtaken as error:
        return _report_newer_revision(session_id, form, draft.version, error)
    except UnfitContract as error:
        return _render_form(context, form, draft.version, errors=form.merge_faults([], error.faults))
    # A contract that equals the latest revision is not recorded again, and the result is that revision. Of two equal
    # requests at the same time, the second gets the revision of the first.
    is_recorded = result.revision > form.base_revision
    return redirect_with_confirmation(".show", "sent" if is_recorded else "same", session_id=session_id)


def _report_newer_revision(session_id: str, form: ContractForm, draft_version: int, error: Overtaken) -> Response:
    """Return the form again when a newer revision was recorded meanwhile, such as when the report changed a commitment.

    The draft is now based on that revision, so the next preview shows the differences to it.
    """
    context, site = _load_context(session_id), current_site()
    form.base_revision = len(context.revisions)
    new_version = site.store.content.save_contract_draft(
        context.session.id, form.to_draft(), site.now(), replaced_version=draft_version
    )
    notice = explain_refusal(error, site.choose_language())
    return _render_form(context, form, new_version, notice=notice)


# --- after the session ---


def record_not_met(session_id: str) -> Response:
    """Record that the session did not take place, so that it gets a new time."""
    context = _load_context(session_id)
    is_new = current_site().worker.actions.record_not_held(context.session.id)
    return redirect_with_confirmation(".show", "not-met" if is_new else "not-met-before", session_id=session_id)


def update_commitment(session_id: str, commitment_id: str, action: str) -> Response:
    """Mark a commitment of this contract as done, change it or let it go."""
    context = _load_context(session_id)
    commitments = current_site().store.queries.list_commitments_of_session(context.session.id)
    if commitment_id not in {stored.id for stored in commitments}:
        abort(404)
    return handle_commitment_form(commitment_id, action, ".show", Owner.MANAGER, session_id=session_id)
