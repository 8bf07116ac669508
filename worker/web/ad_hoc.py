"""Asking for a conversation soon: the same form on the manager's page and the report's (R-6)."""

from collections.abc import Mapping

from flask import request

from worker.domain.model import Owner, Pair, Trigger
from worker.i18n.language import Language
from worker.i18n.reasons import TRIGGER_TEXTS
from worker.web.contract_form import MAX_LENGTH
from worker.web.site import current_site


def list_triggers(words: Language) -> Mapping[str, str]:
    """What it may be about, by name."""
    return {trigger.value: words.gettext(text) for trigger, text in TRIGGER_TEXTS.items()}


def request_conversation(pair: Pair, by: Owner) -> str:
    """Ask for it as the form says; returns the name of what to say then, or nothing when it says too little."""
    acts, kind = current_site().worker.actions, request.form.get("trigger", "")
    if kind == "check-in":
        acts.request_check_in(pair.id)
        return "talk"
    if kind not in list(Trigger):
        return ""
    words = "\n".join(request.form.get("reason", "")[:MAX_LENGTH].splitlines())
    acts.request_talk(pair.id, Trigger(kind), words.strip(), at_once="at-once" in request.form, by=by)
    return "talk"
