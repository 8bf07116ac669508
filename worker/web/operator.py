"""What an operator may do on the page: pause and resume a group or everybody, and try a suspended calendar now.

It takes somebody who signed in: a link from a terminal names nobody. Each action leaves a history line that says who.
"""

from collections import Counter
from dataclasses import dataclass

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.rollout import PauseScope, StandingPauses, has_group
from worker.domain.sign_in import Role
from worker.engine.withdrawal import preview_withdrawal
from worker.ops.rollout import describe_pauses, describe_rollout
from worker.web.logins import current_login, require_role
from worker.web.site import current_site, redirect_to

#: How many of the latest actions are shown.
MAX_ACTIONS = 20
_PAUSE, _RESUME = "pause", "resume"


@dataclass(frozen=True, slots=True)
class GroupLine:
    """A group of reports: how many of its pairs take part, and whether it is paused by itself."""

    name: str
    taking_part: int
    total: int
    is_paused: bool


def make_blueprint() -> Blueprint:
    """Return the pages with the operator's actions."""
    pages = Blueprint("operator", __name__)
    pages.add_url_rule("/rollout", view_func=show)
    pages.add_url_rule("/rollout/<action>", view_func=confirm)
    pages.add_url_rule("/rollout/<action>", view_func=switch, methods=["POST"])
    pages.add_url_rule("/retry", view_func=retry, methods=["POST"])
    require_role(pages, Role.OPERATOR)
    return pages


def show() -> Response:
    """Return who takes part, group by group, what is paused, and what operators did lately."""
    site, language = current_site(), current_site().choose_language()
    stored = site.store.participation.load()
    page = {
        "to": current_login().person,
        "token": current_login().token,
        "sentences": [text for text in (describe_rollout(stored.rollout), describe_pauses(stored.pauses)) if text],
        "is_everybody_paused": stored.pauses.everybody,
        "groups": _list_groups(stored.pauses),
        "actions": site.store.operator_actions.list_latest(MAX_ACTIONS),
        "when": lambda at: f"{language.day(at.date(), True)}, {language.hour(at, 'UTC')}",
    }
    return site.render_page("rollout", language, page)


def _list_groups(pauses: StandingPauses) -> list[GroupLine]:
    people = current_site().store.people.load_all_people()
    pairs = [pair for pair in current_site().store.people.load_all_pairs().values() if not pair.ended]
    totals = Counter(people[pair.report].group for pair in pairs)
    taking_part = Counter(people[pair.report].group for pair in pairs if not pair.participation)
    names = {name for name in totals if name} | pauses.groups
    return [GroupLine(name, taking_part[name], totals[name], has_group(name, pauses.groups)) for name in sorted(names)]


def confirm(action: str) -> Response:
    """Return what pausing or resuming would come to, with the button that does it. Changes nothing.

    Aborts with 404 for what is done already, also by somebody else.
    """
    site, group = current_site(), request.args.get("group", "")
    scope, should_pause = _find_scope(group), _should_pause(action)
    change = site.worker.operator_switches.preview(scope, should_pause=should_pause)
    if change is None:
        abort(404)
    withdrawal = preview_withdrawal(site.store, site.settings.policy, change.changed, site.now())
    page = {
        "to": current_login().person,
        "token": current_login().token,
        "action": action,
        "group": group,
        "joining": len(change.joining),
        "withdrawal": withdrawal,
    }
    return site.render_page("rollout_confirm", site.choose_language(), page)


def switch(action: str) -> Response:
    """Pause or resume a group, or everybody, and note who did it. Aborts with 404 for what is done already."""
    scope, should_pause = _find_scope(request.form.get("group", "")), _should_pause(action)
    switches = current_site().worker.operator_switches
    if not switches.switch(scope, current_login().address, should_pause=should_pause):
        abort(404)
    return redirect_to(url_for(".show", said="paused" if should_pause else "resumed"))


def _should_pause(action: str) -> bool:
    """Return whether the action is to pause; else it is to resume. Aborts with 404 when it is neither."""
    if action not in (_PAUSE, _RESUME):
        abort(404)
    return action == _PAUSE


def _find_scope(group: str) -> PauseScope:
    """Return the group, or everybody, when it is empty. Aborts with 404 when there is no such group."""
    if group and group not in {line.name for line in _list_groups(current_site().store.participation.load().pauses)}:
        abort(404)
    return PauseScope(group=group)


def retry() -> Response:
    """Try a suspended calendar again now, and note who asked for it. Aborts with 404 for one that is not suspended."""
    if not current_site().worker.operator_switches.retry(request.form.get("person", ""), current_login().address):
        abort(404)
    return redirect_to(url_for("status.show", said="retried"))
