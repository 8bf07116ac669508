"""The page to choose another time for a session: three proposals with their reasons, or one that the manager types.

Showing the page reads both calendars and changes nothing. Taking a time goes through `worker.engine.actions` and has
the same result as moving the event in the calendar.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.model import PairState, Session, Span
from worker.domain.planning import proposals
from worker.domain.planning.actions import MAX_AHEAD
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.blockers import order_for_reader
from worker.domain.time.worktime import get_local_date, wall_to_utc
from worker.errors import Refused
from worker.i18n.reasons import translate_sentences
from worker.web.contract_form import parse_day, parse_instant, parse_number
from worker.web.sessions import current_login
from worker.web.site import current_site, redirect_to

#: The lengths that the form offers, in minutes.
OFFERED_MINUTES = (45, 60, 75, 90)
#: The shortest session that a manager can choose.
MIN_MINUTES = 10
#: The longest session that a manager can choose.
MAX_MINUTES = 120
#: The number of characters that are read of each field.
_MAX_FIELD_LENGTH = 20


@dataclass(frozen=True, slots=True)
class PickedTime:
    """The time that the manager typed: its fields as text, and its span when they are valid."""

    day: str = ""
    hour: str = ""
    minutes: str = ""
    span: Span | None = None
    wrong: str = ""  #: the name of the invalid field

    @property
    def has_input(self) -> bool:
        return bool(self.day or self.hour)


def make_blueprint() -> Blueprint:
    """Return the page about one session's time. It has its own link, and is also below the manager's page."""
    pages = Blueprint("time", __name__)
    pages.add_url_rule("/<session>", view_func=show)
    pages.add_url_rule("/<session>", view_func=take, methods=["POST"])
    return pages


def _find_session(session_id: str) -> tuple[Session, PairState]:
    """Return that session and its pair's state. Aborts with 404 unless it is a session of this manager."""
    site = current_site()
    session = site.store.queries.get_session(session_id)
    pairs = site.store.people.list_pairs_of_manager(current_login().address) if session else []
    pair = next((candidate for candidate in pairs if session and candidate.id == session.pair), None)
    if session is None or pair is None:
        abort(404)
    return session, site.load_state(pair)


def show(session: str) -> Response:
    """Return the session's time, three proposals, and the reasons for or against a time that the manager typed."""
    site, (planned, state) = current_site(), _find_session(session)
    pick = _parse_picked_time(planned, state)
    view = site.build_view(site.build_page_context(current_login().person, state, planned))
    values: dict[str, Any] = {
        **view.names(),
        "token": current_login().token,
        "one": planned,
        "pick": pick,
        "lengths": OFFERED_MINUTES,
    }
    values |= {
        "open": planned.owed or (planned.booked and planned.span.end > site.now()),
        "proposals": None,
        "checked": None,
    }
    if values["open"]:
        builder = _read_calendars(planned, state, pick.span)
        values["proposals"] = proposals.propose_times(builder, planned)
        values["checked"] = proposals.check_time(builder, planned, pick.span) if pick.span else None
    values["sentences"] = lambda reasons: list(
        translate_sentences(
            order_for_reader(reasons, current_login().person.name),
            view.language,
            current_login().person.zone,
            view.today,
        )
    )
    values["first_day"] = get_local_date(state.manager.zone, site.now())
    values["minutes"] = pick.minutes or str(planned.span.minutes if planned.booked else planned.minutes)
    return site.render_page("time", view.language, values, 422 if pick.wrong else 200)


def _read_calendars(session: Session, state: PairState, picked_span: Span | None) -> PlanBuilder:
    """Return a plan builder of the pair with the current free/busy of both calendars."""
    site = current_site()
    people = (state.manager.email, state.report.email)
    state_with_taken_times = replace(state, taken_times=site.store.plans.load_taken_time(people, site.now()))
    builder = PlanBuilder(site.now(), state_with_taken_times, None, site.settings.policy)
    free_busy = site.worker.sweep.read_free_busy(proposals.make_free_busy_request(builder, session, picked_span))
    return PlanBuilder(site.now(), state_with_taken_times, free_busy, site.settings.policy)


def _parse_picked_time(session: Session, state: PairState) -> PickedTime:
    """Return the time in the URL's query, which is in the manager's zone."""
    day_text, hour_text, length_text = (
        request.args.get(name, "")[:_MAX_FIELD_LENGTH] for name in ("day", "hour", "minutes")
    )
    pick = PickedTime(day_text, hour_text, length_text)
    if not pick.has_input:
        return pick
    day = parse_day(pick.day)
    minute_of_day = _parse_minute_of_day(pick.hour)
    minutes = _parse_length(pick.minutes or str(session.minutes))
    if day is None or minute_of_day is None or minutes is None:
        return replace(pick, wrong="day" if day is None else "hour" if minute_of_day is None else "minutes")
    now = current_site().now()
    start = wall_to_utc(state.manager.zone, day, minute_of_day)
    local_start = start.astimezone(ZoneInfo(state.manager.zone))
    if start <= now:
        return replace(pick, wrong="day")
    # The clocks skip some minutes when summer time begins.
    if local_start.hour * 60 + local_start.minute != minute_of_day or start > now + MAX_AHEAD:
        return replace(pick, wrong="hour")
    return replace(pick, span=Span(start, start + timedelta(minutes=minutes)))


def _parse_minute_of_day(text: str) -> int | None:
    """Return the minutes after midnight of a text like `14:30`; None when it is not a time of day."""
    hour, _, minute = text.partition(":")
    hours, minutes = parse_number(hour, 2), parse_number(minute[:2], 2)
    if hours is None or minutes is None or hours > 23 or minutes > 59:
        return None
    return hours * 60 + minutes


def _parse_length(text: str) -> int | None:
    minutes = parse_number(text, 3)
    return minutes if minutes is not None and MIN_MINUTES <= minutes <= MAX_MINUTES else None


def take(session: str) -> Response:
    """Move the session to a time: one of its reserved options, a proposal, or one that the manager typed."""
    site, (planned, _) = current_site(), _find_session(session)
    site.worker.actions.defer_session(
        planned.id, _parse_span(request.form.get("start", ""), request.form.get("end", ""))
    )
    return redirect_to(url_for(".show", session=session, said="moved"))


def _parse_span(start_text: str, end_text: str) -> Span:
    """Return the span between two instants. Raises Refused when it is invalid, too short, too long or too far ahead."""
    start, end = parse_instant(start_text), parse_instant(end_text)
    if start is None or end is None or end < start:
        raise Refused("Choose a time first.")
    span = Span(start, end)
    if not MIN_MINUTES <= span.minutes <= MAX_MINUTES or start > current_site().now() + MAX_AHEAD:
        raise Refused("Choose a time of the coming year, no longer than two hours.")
    return span
