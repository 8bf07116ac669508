"""The operator's actions: to pause and resume a group or everybody, and to retry a suspended calendar.

They require a sign-in, because the link that `longarc` prints on a terminal does not identify a person. Each action is
recorded with the person's address.
"""

from collections import Counter
from dataclasses import dataclass

from flask import Blueprint, Response, abort, request

from worker.domain.model import Participation
from worker.domain.rollout import OperatorPauses, PauseScope, is_in_groups
from worker.domain.sign_in import Role
from worker.engine.withdrawal import preview_withdrawal
from worker.ops.rollout import describe_pauses, describe_rollout
from worker.web.logins import current_login, require_role
from worker.web.site import current_site, redirect_with_confirmation

#: The number of recent actions that the page lists.
MAX_ACTIONS = 20
#: The values of `<action>` in URLs.
_PAUSE, _RESUME = "pause", "resume"


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group of reports as the page shows it."""

    name: str
    taking_part: int  #: the number of its pairs that take part
    total: int  #: the number of its pairs
    is_paused: bool  #: whether the group itself is paused; False when only the pause of everybody includes it


def make_blueprint() -> Blueprint:
    """Return the pages with the operator's actions, for people with the role operator."""
    pages = Blueprint("operator", __name__)
    pages.add_url_rule("/rollout", view_func=show)
    pages.add_url_rule("/rollout/<action>", view_func=confirm)
    pages.add_url_rule("/rollout/<action>", view_func=switch, methods=["POST"])
    pages.add_url_rule("/retry", view_func=retry, methods=["POST"])
    require_role(pages, Role.OPERATOR)
    return pages


def show() -> Response:
    """Return the page that shows who takes part, by group, what is paused, and the operators' recent actions."""
    site, language = current_site(), current_site().choose_language()
    stored = site.store.participation.load()
    page = {
        "to": current_login().person,
        "token": current_login().token,
        "sentences": [text for text in (describe_rollout(stored.rollout), describe_pauses(stored.pauses)) if text],
        "is_everybody_paused": stored.pauses.everybody,
        "groups": _list_groups(stored.pauses),
        "actions": site.store.operator_actions.list_latest(MAX_ACTIONS),
        "when": lambda instant: (
            f"{language.format_day(instant.date(), with_year=True)}, {language.format_time(instant, 'UTC')}"
        ),
    }
    return site.render_page("rollout", language, page)


def _list_groups(pauses: OperatorPauses) -> list[GroupLine]:
    """Return the groups of reports by name, and with them paused groups without a report."""
    people, pairs = current_site().store.people.load_current_roster()
    totals = Counter(people[pair.report].group for pair in pairs)
    taking_part = Counter(people[pair.report].group for pair in pairs if pair.participation is Participation.YES)
    names = {name for name in totals if name} | pauses.groups
    return [
        GroupLine(name, taking_part[name], totals[name], is_in_groups(name, pauses.groups)) for name in sorted(names)
    ]


def confirm(action: str) -> Response:
    """Return the page that shows the effects of pausing or resuming, with the button to confirm. Changes nothing.

    Aborts with 404 when the group, or everybody, is in that state already.
    """
    site, group = current_site(), request.args.get("group", "")
    scope, should_pause = _make_scope(group), _should_pause(action)
    change = site.worker.operator_switches.preview(scope, should_pause=should_pause)
    if change is None:
        abort(404)
    withdrawal = preview_withdrawal(site.store, site.settings.policy, change.new_participations, site.now())
    page = {
        "to": current_login().person,
        "token": current_login().token,
        "action": action,
        "group": group,
        "joining": len(change.going_on),
        "withdrawal": withdrawal,  # the events that pausing takes off calendars, as counts
    }
    return site.render_page("rollout_confirm", site.choose_language(), page)


def switch(action: str) -> Response:
    """Pause or resume a group, or everybody, and record who did it. Aborts with 404 when that is done already."""
    scope, should_pause = _make_scope(request.form.get("group", "")), _should_pause(action)
    switches = current_site().worker.operator_switches
    if not switches.switch(scope, current_login().address, should_pause=should_pause):
        abort(404)
    return redirect_with_confirmation(".show", "paused" if should_pause else "resumed")


def _should_pause(action: str) -> bool:
    """Return True for the action `pause`, and False for `resume`. Aborts with 404 for any other action."""
    if action not in (_PAUSE, _RESUME):
        abort(404)
    return action == _PAUSE


def _make_scope(group: str) -> PauseScope:
    """Return the scope of a pause: the group, or everybody without a name. Aborts with 404 for an unknown group."""
    if group and group not in {line.name for line in _list_groups(current_site().store.participation.load().pauses)}:
        abort(404)
    return PauseScope(group=group)


def retry() -> Response:
    """Retry a suspended calendar now, and record who asked for it. Aborts with 404 when it is not suspended."""
    if not current_site().worker.operator_switches.retry(request.form.get("person", ""), current_login().address):
        abort(404)
    return redirect_with_confirmation("status.show", "retried")
