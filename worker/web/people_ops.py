"""The page of people-ops, for people who signed in and have that role.

It shows coverage, which counts conversations held and commitments kept by group (R-22), and the answers of closed
rounds of the pulse, the anonymous question to reports (R-37). It names no pair.
"""

from collections.abc import Sequence

from flask import Blueprint, Response, request, url_for

from worker.domain.pulse import count_answers
from worker.domain.reason_texts import N_
from worker.domain.sign_in import Role
from worker.ops.coverage import GROUPINGS, Coverage, Quarter, count_coverage, find_quarter
from worker.web.logins import current_login, end_logins, require_role
from worker.web.openings import add_opening_pages
from worker.web.site import current_site

#: The number of quarters that can be chosen, including the current one.
QUARTER_COUNT = 4
GROUPING_NAMES = {"group": N_("group"), "country": N_("country"), "zone": N_("time zone")}
#: A link to another view of the page: its text, its URL, and whether that view is shown now.
Choice = tuple[str, str, bool]


def make_blueprint() -> Blueprint:
    """Return the page of people-ops."""
    pages = Blueprint("people_ops", __name__)
    pages.add_url_rule("", view_func=show)
    pages.add_url_rule("/leave", view_func=end_logins, methods=["POST"])
    add_opening_pages(pages)
    require_role(pages, Role.PEOPLE_OPS)
    return pages


def show() -> Response:
    """Return the coverage of a quarter by the chosen grouping."""
    site, now = current_site(), current_site().now()
    quarters = _list_quarters(find_quarter(now.date()))
    requested_quarter = request.args.get("quarter")
    quarter = next((candidate for candidate in quarters if str(candidate) == requested_quarter), quarters[0])
    coverage = count_coverage(site.store, quarter, now)
    # Without a choice, coverage is counted by group, or by country if the people file names no groups.
    groupings = [name for name in GROUPINGS if name != "group" or coverage.by == "group"]
    requested_grouping = request.args.get("by")
    if requested_grouping in groupings and requested_grouping != coverage.by:
        coverage = count_coverage(site.store, quarter, now, requested_grouping)
    page = {
        "to": current_login().person,
        "token": current_login().token,
        "coverage": coverage,
        "quarters": [
            (str(choice), url_for(".show", quarter=str(choice), by=coverage.by), choice == quarter)
            for choice in quarters
        ],
        "groupings": _list_groupings(groupings, coverage),
        "rollout_groups": _list_rollout_groups(),
        "pulse_rounds": site.store.pulse.list_closed_rounds(),
        "count_answers": count_answers,
    }
    return site.render_page("people_ops", site.choose_language(), page)


def _list_rollout_groups() -> list[str]:
    """Return the names of the groups that take part; empty when everybody does.

    People whom the rollout names one by one are summed up in one entry, because they may be too few to be shown (R-22).
    """
    gettext, rollout = current_site().choose_language().gettext, current_site().store.participation.load().rollout
    if rollout is None or rollout.is_for_everybody:
        return []
    people_entry = [gettext(N_("people who are named one by one"))] if rollout.managers or rollout.addresses else []
    return [*sorted(rollout.groups or ()), *people_entry]


def _list_quarters(current: Quarter) -> list[Quarter]:
    """Return the current quarter and those before it, the latest first."""
    quarters = [current]
    while len(quarters) < QUARTER_COUNT:
        year, number = quarters[-1].year, quarters[-1].number
        quarters.append(Quarter(year, number - 1) if number > 1 else Quarter(year - 1, 4))
    return quarters


def _list_groupings(names: Sequence[str], coverage: Coverage) -> list[Choice]:
    """Return a link for each grouping: the same quarter, counted by group, country or time zone."""
    gettext, quarter = current_site().choose_language().gettext, str(coverage.quarter)
    return [
        (gettext(GROUPING_NAMES[name]), url_for(".show", quarter=quarter, by=name), name == coverage.by)
        for name in names
    ]
