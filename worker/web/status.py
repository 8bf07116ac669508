"""The operator's page: whether it works, and coverage in groups. No pair, no person's conversations, no contract.

What stands here are counts, the machines of the workers, the addresses of calendars that can't be read, and what the
operator was told by mail.
"""

from collections import Counter
from datetime import timedelta
from typing import Any

from flask import Blueprint, Response

from worker.domain.model import Owner
from worker.ops.coverage import coverage, quarter_of
from worker.ops.status import status as health_of
from worker.web.sessions import leave, visit
from worker.web.site import site

#: Alerts of so many days are shown.
LATELY = timedelta(days=14)


def blueprint() -> Blueprint:
    """The operator's page."""
    pages = Blueprint("status", __name__)
    pages.add_url_rule("", view_func=show)
    pages.add_url_rule("/leave", view_func=leave, methods=["POST"])
    return pages


def show() -> Response:
    """How it works, and how a quarter goes."""
    here, now = site(), site().now()
    health = health_of(here.store, now)
    words = here.words(visit().person.locale)
    told: dict[str, Any] = {
        "to": visit().person,
        "token": visit().token,
        "health": health,
        "living": [one for one in health["workers"] if one["lives"]],
        "silent": [one for one in health["workers"] if not one["lives"]],
        "troubled": _count_troubled(health["troubled"]),
        "owed": len(health["owed"]),
        "unplaceable": len(health["unplaceable"]),
        "alerts": here.store.outbox.alerts(now - LATELY),
        "coverage": coverage(here.store, quarter_of(now.date()), now),
        "owners": list(Owner),
        "when": lambda at: f"{words.day(at.date(), True)}, {words.hour(at, 'UTC')}",
    }
    return here.page("status", words, told)


def _count_troubled(troubled: list[dict[str, Any]]) -> list[tuple[str, str, int]]:
    """How many messages of each kind stand how; whom they are for is told on the machine alone."""
    kinds = Counter((one["progress"], one["name"] or one["what"]) for one in troubled)
    return [(progress, what, count) for (progress, what), count in sorted(kinds.items())]
