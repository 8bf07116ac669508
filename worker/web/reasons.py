"""Reasons on pages: what the report says about a lost time (R-18), and why somebody asked for a conversation (R-6)."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from flask import request

from worker.domain.model import Owner, PairState, Session
from worker.i18n.language import to_single_line
from worker.i18n.reasons import TRIGGER_TEXTS
from worker.mail.view import MailView
from worker.web.contract_form import MAX_SENT_CHARACTERS
from worker.web.site import current_site


@dataclass(frozen=True, slots=True)
class TalkRequest:
    """A conversation that one of the two asked for and that is not over, as the manager reads it."""

    session: Session
    is_of_report: bool  #: the report asked for it, not the manager
    cause: str  #: what it is about, as the form names it
    reason: str  #: in the words of the person who asked; may be empty


# --- lost times ---


def list_deferral_reasons(view: MailView, state: PairState) -> Mapping[str, list[str]]:
    """Return what the report said about lost times as sentences for the page's reader, by session (R-18)."""
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


def build_deferral_reasons(view: MailView, session: Session, *, is_open: bool) -> dict[str, Any]:
    """Return the values of the page about a session's time: what the report said, and the report's own form.

    The form comes first when the report moved the session, or one of the two chose its time.
    """
    context = view.context
    last = context.deferrals[-1] if context.deferrals else None
    is_for_report = context.report is not None and context.to.email == context.report.email
    moved_by_reader = last is not None and last.who == context.to.email
    may_be_explained = moved_by_reader or (last is not None and last.is_counted)
    can_explain = is_open and is_for_report and may_be_explained
    return {
        "reasons": [text for deferral in context.deferrals if (text := view.deferral_reason(deferral))],
        "can_explain": can_explain,
        "is_explanation_first": can_explain and (session.by_hand or moved_by_reader),
        "explanation": context.deferral_reasons.get(last.number, "") if last else "",
    }


def explain_deferral(session: Session) -> str:
    """Store what the form says about the last time that the session lost. Returns the name of the confirmation."""
    reason = to_single_line(request.form.get("reason", ""))[:MAX_SENT_CHARACTERS]
    is_new = current_site().worker.actions.explain_deferral(session.id, reason)
    return ("explained" if reason else "unexplained") if is_new else "explained-before"


# --- requested conversations ---


def find_talk_request(view: MailView, state: PairState) -> TalkRequest | None:
    """Return the first requested conversation that is not over, for the manager's page only; None without one."""
    site = current_site()
    for session in state.sessions:
        is_ahead = session.owed or (session.booked and session.span.end > site.now())
        trigger_and_reason = site.store.content.get_trigger(session.id) if session.adhoc and is_ahead else None
        if trigger_and_reason is not None:
            trigger, reason = trigger_and_reason
            is_of_report = site.store.content.get_requester(session.id) is Owner.REPORT
            cause = view.gettext(TRIGGER_TEXTS[trigger])
            return TalkRequest(session, is_of_report, cause, to_single_line(reason))
    return None
