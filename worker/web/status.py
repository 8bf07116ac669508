"""The operator's page: whether it works, and coverage in groups. No pair, no person's conversations, no contract.

What stands here are counts, the machines of the workers, the addresses of calendars that can't be read, and what the
operator was told by mail.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response

from worker.domain.model import Owner
from worker.ops.coverage import count_coverage, find_quarter
from worker.ops.status import collect_status as health_of
from worker.web.sessions import current_visit, leave
from worker.web.site import current_site

#: Alerts of so many days are shown.
ALERT_PERIOD = timedelta(days=14)


def make_blueprint() -> Blueprint:
    """The operator's page."""
    pages = Blueprint("status", __name__)
    pages.add_url_rule("", view_func=show)
    pages.add_url_rule("/leave", view_func=leave, methods=["POST"])
    return pages


def show() -> Response:
    """How it works, and how a quarter goes."""
    here, now = current_site(), current_site().now()
    health = health_of(here.store, now)
    words = here.choose_language(current_visit().person.locale)
    told: dict[str, Any] = {
        "to": current_visit().person,
        "token": current_visit().token,
        "health": health,
        "living": [one for one in health["workers"] if one["lives"]],
        "silent": [one for one in health["workers"] if not one["lives"]],
        "troubled": _count_troubled(health["troubled"]),
        "owed": len(health["owed"]),
        "unplaceable": len(health["unplaceable"]),
        "alerts": here.store.outbox.list_alerts(now - ALERT_PERIOD),
        "coverage": count_coverage(here.store, find_quarter(now.date()), now),
        "owners": list(Owner),
        "when": lambda at: f"{words.day(at.date(), True)}, {words.hour(at, 'UTC')}",
    }
    return here.render_page("status", words, told)


def _count_troubled(troubled: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """How many messages of each kind stand how; whom they are for is told on the machine alone."""
    kinds = Counter((one["progress"], one["name"] or one["what"]) for one in troubled)
    return [(progress, what, count) for (progress, what), count in sorted(kinds.items())]
