"""The operator's page: whether Longarc works, and coverage by group, but no pair, conversation or contract.

It shows counts, the machines of the workers, the addresses of calendars that can't be read, and the alerts that were
mailed to the operator. The page about the next quarter, below it, says who meets whom and when.
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

#: Alerts of this time are shown.
ALERT_PERIOD = timedelta(days=14)


def make_blueprint() -> Blueprint:
    """Return the operator's page."""
    pages = Blueprint("status", __name__)
    pages.add_url_rule("", view_func=show)
    pages.add_url_rule("/leave", view_func=end_logins, methods=["POST"])
    QuarterPages().add_to(pages)
    return pages


def show() -> Response:
    """Return the health of the system, and the coverage of the current quarter."""
    site, now = current_site(), current_site().now()
    health = collect_status(site.store, now)
    language = site.choose_language()
    page: dict[str, Any] = {
        "to": current_login().person,
        "token": current_login().token,
        "is_signed_in": current_login().is_signed_in,
        "health": health,
        "living": [worker for worker in health["workers"] if worker["lives"]],
        "silent": [worker for worker in health["workers"] if not worker["lives"]],
        "troubled": _count_troubled(health["troubled"]),
        "owed": len(health["owed"]),
        "unplaceable": len(health["unplaceable"]),
        "alerts": site.store.outbox.list_alerts(now - ALERT_PERIOD),
        "coverage": count_coverage(site.store, find_quarter(now.date()), now),
        "pulse_rounds": site.store.pulse.list_shown_rounds(),
        "count_answers": count_answers,
        "when": lambda at: f"{language.format_day(at.date(), with_year=True)}, {language.format_time(at, 'UTC')}",
    }
    return site.render_page("status", language, page)


def _count_troubled(troubled: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """Return the failing messages as (progress, name, count). Their recipients are only shown by the status command."""
    counts = Counter((message["progress"], message["name"] or message["what"]) for message in troubled)
    return [(progress, what, count) for (progress, what), count in sorted(counts.items())]
