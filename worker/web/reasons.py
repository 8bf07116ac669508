"""Reasons on pages: what the report wrote about a deferral (R-18), and why an ad hoc session was requested (R-6).

A session that is deferred has lost its time and is due a new one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import request

from worker.domain.model import Owner, PairState, Session
from worker.i18n.domain_texts import TRIGGER_TEXTS
from worker.i18n.language import to_single_line
from worker.mail.view import MailView
from worker.web.contract_form import MAX_SENT_CHARACTERS
from worker.web.site import current_site


@dataclass(frozen=True, slots=True)
class TalkRequest:
    """An ad hoc session that has not ended, and why it was requested, as the manager reads it."""

    session: Session
    is_by_report: bool  #: whether the report requested it, and not the manager
    cause: str  #: the text of the trigger that was chosen in the form
    reason: str  #: the words of the person who requested it; may be empty


# --- deferrals ---


def list_deferral_reasons(view: MailView, state: PairState) -> Mapping[str, list[str]]:
    """Return, by session, what the report wrote about its deferrals, as sentences for the page's reader (R-18)."""
    sessions = sorted({deferral.session for deferral in state.deferrals})
    reasons_by_session = current_site().store.content.load_deferral_reasons(sessions) if sessions else {}
    return {
        session_id: [
            MailView(replace(view.context, deferral_reasons=reasons), view.language).deferral_reason(deferral)
            for deferral in state.deferrals
            if deferral.session == session_id and deferral.number in reasons
        ]
        for session_id, reasons in reasons_by_session.items()
    }


def build_deferral_reasons(view: MailView, session: Session, *, can_be_moved: bool) -> dict[str, Any]:
    """Return the template values for the page about a session's time: what the report wrote, and the report's form.

    The form is shown when the session can be moved, and the report may explain the last deferral. It comes first on the
    page when the report moved the session, or when one of the two chose its time.
    """
    context = view.context
    last_deferral = context.deferrals[-1] if context.deferrals else None
    is_for_report = context.report is not None and context.to.email == context.report.email
    is_moved_by_reader = last_deferral is not None and last_deferral.who == context.to.email
    may_be_explained = is_moved_by_reader or (last_deferral is not None and last_deferral.is_counted)
    can_explain = can_be_moved and is_for_report and may_be_explained
    return {
        "reasons": [text for deferral in context.deferrals if (text := view.deferral_reason(deferral))],
        "can_explain": can_explain,
        "is_explanation_first": can_explain and (session.by_hand or is_moved_by_reader),
        "explanation": context.deferral_reasons.get(last_deferral.number, "") if last_deferral else "",
    }


def store_deferral_reason(session: Session) -> str:
    """Store the report's reason in the form for the session's last deferral. Returns the name of the confirmation."""
    reason = to_single_line(request.form.get("reason", ""))[:MAX_SENT_CHARACTERS]
    is_changed = current_site().worker.actions.explain_deferral(session.id, reason)
    if not is_changed:
        return "explained-before"
    return "explained" if reason else "unexplained"


# --- requested sessions ---


def find_talk_request(view: MailView, state: PairState) -> TalkRequest | None:
    """Return the first ad hoc session that has not ended, for the manager's page only; None when there is none."""
    site = current_site()
    for session in state.sessions:
        has_not_ended = session.owed or (session.booked and session.span.end > site.now())
        is_candidate = session.adhoc and has_not_ended
        trigger_and_reason = site.store.content.get_trigger(session.id) if is_candidate else None
        if trigger_and_reason is not None:
            trigger, reason = trigger_and_reason
            is_by_report = site.store.content.get_requester(session.id) is Owner.REPORT
            cause = view.gettext(TRIGGER_TEXTS[trigger])
            return TalkRequest(session, is_by_report, cause, to_single_line(reason))
    return None
