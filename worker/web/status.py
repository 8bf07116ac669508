"""The operator's page: the health of the system and coverage by group, but no pair, session or contract.

It shows counts, the machines of the workers, the addresses of calendars that can't be read, and the alerts that were
mailed to the operator. Below it is the page about the next quarter, which shows who meets whom and when.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response

from worker.domain.pulse import count_answers
from worker.ops.coverage import count_coverage, find_quarter
from worker.ops.status import collect_status
from worker.web.logins import current_login, end_logins
from worker.web.quarter import QuarterPages
from worker.web.site import current_site

#: Alerts of this period before now are shown.
ALERT_PERIOD = timedelta(days=14)


def make_blueprint() -> Blueprint:
    """Return the operator's page, and the page about the next quarter below it."""
    pages = Blueprint("status", __name__)
    pages.add_url_rule("", view_func=show)
    pages.add_url_rule("/leave", view_func=end_logins, methods=["POST"])
    QuarterPages().add_to(pages)
    return pages


def show() -> Response:
    """Return the page with the health of the system and the coverage of the current quarter."""
    site, now = current_site(), current_site().now()
    health = collect_status(site.store, now)
    language = site.choose_language()
    page: dict[str, Any] = {
        "to": current_login().person,
        "token": current_login().token,
        "is_signed_in": current_login().is_signed_in,
        "health": health,
        "live_workers": [worker for worker in health["workers"] if worker["lives"]],
        "silent_workers": [worker for worker in health["workers"] if not worker["lives"]],
        "troubled": _count_failing_effects(health["troubled"]),
        "owed": len(health["owed"]),
        "unplaceable": len(health["unplaceable"]),
        "alerts": site.store.outbox.list_alerts(now - ALERT_PERIOD),
        "coverage": count_coverage(site.store, find_quarter(now.date()), now),
        "pulse_rounds": site.store.pulse.list_closed_rounds(),
        "count_answers": count_answers,
        "when": lambda instant: (
            f"{language.format_day(instant.date(), with_year=True)}, {language.format_time(instant, 'UTC')}"
        ),
    }
    return site.render_page("status", language, page)


def _count_failing_effects(effects: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Return the numbers of failing effects as tuples of progress, name and count.

    The name is that of the mail, or the kind of an effect on an event. Recipients are left out; `longarc status` shows
    them.
    """
    counts = Counter((effect["progress"], effect["name"] or effect["what"]) for effect in effects)
    return [(progress, name, count) for (progress, name), count in sorted(counts.items())]
