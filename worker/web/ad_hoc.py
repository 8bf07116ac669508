"""Asking for a conversation soon: the same form on the manager's page and the report's (R-6)."""

from collections.abc import Mapping

from flask import request

from worker.domain.model import Owner, Pair, Trigger
from worker.i18n.language import Words
from worker.i18n.reasons import TRIGGERS
from worker.web.contract_form import LONGEST
from worker.web.site import site


def reasons(words: Words) -> Mapping[str, str]:
    """What it may be about, by name."""
    return {trigger.value: words.gettext(text) for trigger, text in TRIGGERS.items()}


def ask(pair: Pair, by: Owner) -> str:
    """Ask for it as the form says; returns the name of what to say then, or nothing when it says too little."""
    acts, kind = site().worker.acts, request.form.get("trigger", "")
    if kind == "check-in":
        acts.check_in(pair.id)
        return "talk"
    if kind not in list(Trigger):
        return ""
    words = "\n".join(request.form.get("reason", "")[:LONGEST].splitlines())
    acts.talk(pair.id, Trigger(kind), words.strip(), at_once="at-once" in request.form, by=by)
    return "talk"
