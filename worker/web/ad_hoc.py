"""The form that asks for a conversation soon (R-6), on the manager's page and the report's."""

from collections.abc import Mapping

from flask import request

from worker.domain.model import Owner, Pair, Trigger
from worker.i18n.language import Language
from worker.i18n.reasons import TRIGGER_TEXTS
from worker.web.contract_form import MAX_DRAFT_CHARACTERS
from worker.web.site import current_site


def list_triggers(language: Language) -> Mapping[str, str]:
    """Return the reasons that the form offers, by the name of the trigger."""
    return {trigger.value: language.gettext(text) for trigger, text in TRIGGER_TEXTS.items()}


def request_conversation(pair: Pair, by: Owner) -> str:
    """Request the form's conversation; return its name in CONFIRMATIONS, or "" when the form has no valid reason."""
    actions = current_site().worker.actions
    kind = request.form.get("trigger", "")
    if kind == "check-in":
        actions.request_check_in(pair.id)
        return "talk"
    if kind not in list(Trigger):
        return ""
    reason = "\n".join(request.form.get("reason", "")[:MAX_DRAFT_CHARACTERS].splitlines())
    actions.request_talk(pair.id, Trigger(kind), reason.strip(), at_once="at-once" in request.form, by=by)
    return "talk"
