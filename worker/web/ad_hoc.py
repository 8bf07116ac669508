"""The form that requests an ad hoc session, a conversation within days (R-6).

It is on the manager's page about a report, and on the report's page. A trigger is a reason that the form offers.
"""

from collections.abc import Mapping

from flask import request

from worker.domain.model import Owner, Pair, Trigger
from worker.i18n.domain_texts import TRIGGER_TEXTS
from worker.i18n.language import Language
from worker.web.contract_form import MAX_DRAFT_CHARACTERS
from worker.web.site import current_site

#: The form's choice for a check-in, which is requested without a trigger.
_CHECK_IN = "check-in"


def list_triggers(language: Language) -> Mapping[str, str]:
    """Return the translated text of each trigger, by the trigger's value."""
    return {trigger.value: language.gettext(text) for trigger, text in TRIGGER_TEXTS.items()}


def request_conversation(pair: Pair, by: Owner) -> str:
    """Request the conversation that the submitted form asks for.

    Returns the name of the confirmation in CONFIRMATIONS; empty when the form has no valid trigger.
    """
    actions = current_site().worker.actions
    trigger = request.form.get("trigger", "")
    if trigger == _CHECK_IN:
        actions.request_check_in(pair.id)
        return "talk"
    if trigger not in list(Trigger):
        return ""
    # browsers end lines with CRLF, which `splitlines` removes
    reason = "\n".join(request.form.get("reason", "")[:MAX_DRAFT_CHARACTERS].splitlines())
    is_urgent = "at-once" in request.form  # the session then takes place within two working days
    actions.request_ad_hoc_session(pair.id, Trigger(trigger), reason.strip(), at_once=is_urgent, by=by)
    return "talk"
