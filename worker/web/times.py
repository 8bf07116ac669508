"""Another time for a conversation: three that fit best, each with its reasons, or one's own, checked on both calendars.

Looking at calendars changes nothing; taking a time goes through `worker.engine.actions`, as moving the event by hand
would.
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
from worker.domain.time.worktime import get_local_date, wall_to_utc
from worker.errors import Refused
from worker.i18n.reasons import translate_sentences
from worker.web.contract_form import parse_day, parse_instant, parse_number
from worker.web.sessions import current_visit
from worker.web.site import current_site, redirect_to

#: What a session may last when a person says how long, in minutes.
OFFERED_MINUTES = (45, 60, 75, 90)
MAX_MINUTES = 120


@dataclass(frozen=True, slots=True)
class PickedTime:
    """A time that was asked about: as typed, and as a stretch of time when it is one."""

    day: str = ""
    hour: str = ""
    minutes: str = ""
    span: Span | None = None
    wrong: str = ""  #: the field that can't be used

    @property
    def has_input(self) -> bool:
        return bool(self.day or self.hour)


def make_blueprint() -> Blueprint:
    """The page about one session's time; reached by a link of its own, and from the manager's page."""
    pages = Blueprint("time", __name__)
    pages.add_url_rule("/<session>", view_func=show)
    pages.add_url_rule("/<session>", view_func=take, methods=["POST"])
    return pages


def _find_session(session_id: str) -> tuple[Session, PairState]:
    here = current_site()
    session = here.store.queries.get_session(session_id)
    pairs = here.store.people.list_pairs_of_manager(current_visit().who) if session else []
    pair = next((one for one in pairs if session and one.id == session.pair), None)
    if session is None or pair is None:
        abort(404)
    return session, here.load_state(pair)


def show(session: str) -> Response:
    """Where it stands, three other times, and what speaks for or against one that the manager picked."""
    here, (one, state) = current_site(), _find_session(session)
    pick = _parse_picked_time(one, state)
    reading = here.build_view(here.build_mail_context(current_visit().person, state, one))
    told: dict[str, Any] = {
        **reading.names(),
        "token": current_visit().token,
        "one": one,
        "pick": pick,
        "lengths": OFFERED_MINUTES,
    }
    told |= {"open": one.owed or (one.booked and one.span.end > here.now()), "proposals": None, "checked": None}
    if told["open"]:
        seen = _read_calendars(one, state, pick.span)
        told["proposals"] = proposals.propose_times(seen, one)
        told["checked"] = proposals.check_time(seen, one, pick.span) if pick.span else None
    told["sentences"] = lambda why: list(
        translate_sentences(why, reading.words, current_visit().person.zone, reading.today)
    )
    told["first_day"] = get_local_date(state.manager.zone, here.now())
    told["minutes"] = pick.minutes or str(one.span.minutes if one.booked else one.minutes)
    return here.render_page("time", reading.words, told, 422 if pick.wrong else 200)


def _read_calendars(session: Session, state: PairState, pick: Span | None) -> PlanBuilder:
    """The pair with what both calendars show just now."""
    here = current_site()
    people = (state.manager.email, state.report.email)
    known = replace(state, taken_times=here.store.plans.load_taken_time(people, here.now()))
    blind = PlanBuilder(here.now(), known, None, here.settings.policy)
    seen = here.worker.sweep.read_free_busy(proposals.make_free_busy_request(blind, session, pick))
    return PlanBuilder(here.now(), known, seen, here.settings.policy)


def _parse_picked_time(session: Session, state: PairState) -> PickedTime:
    """The time in the address, in the manager's zone."""
    typed = [request.args.get(name, "")[:20] for name in ("day", "hour", "minutes")]
    day, hour, minutes = (
        parse_day(typed[0]),
        _parse_minute_of_day(typed[1]),
        _parse_length(typed[2] or str(session.minutes)),
    )
    pick = PickedTime(day=typed[0], hour=typed[1], minutes=typed[2])
    if not pick.has_input:
        return pick
    if day is None or hour is None or minutes is None:
        return replace(pick, wrong="day" if day is None else "hour" if hour is None else "minutes")
    start = wall_to_utc(state.manager.zone, day, hour)
    there = start.astimezone(ZoneInfo(state.manager.zone))
    if (
        start <= current_site().now()
        or there.hour * 60 + there.minute != hour
        or start > current_site().now() + MAX_AHEAD
    ):
        return replace(pick, wrong="day" if start <= current_site().now() else "hour")
    return replace(pick, span=Span(start, start + timedelta(minutes=minutes)))


def _parse_minute_of_day(text: str) -> int | None:
    hour, _, minute = text.partition(":")
    hours, minutes = parse_number(hour, 2), parse_number(minute[:2], 2)
    if hours is None or minutes is None or hours > 23 or minutes > 59:
        return None
    return hours * 60 + minutes


def _parse_length(text: str) -> int | None:
    minutes = parse_number(text, 3)
    return minutes if minutes is not None and 10 <= minutes <= MAX_MINUTES else None


def take(session: str) -> Response:
    """Take a time: one of those held for it, one proposed, or the manager's own."""
    here, (one, _) = current_site(), _find_session(session)
    here.worker.actions.defer_session(one.id, _parse_span(request.form.get("start", ""), request.form.get("end", "")))
    return redirect_to(url_for(".show", session=session, said="moved"))


def _parse_span(start: str, end: str) -> Span:
    first, last = parse_instant(start), parse_instant(end)
    if first is None or last is None or last < first:
        raise Refused("Choose a time first.")
    wanted = Span(first, last)
    if not 10 <= wanted.minutes <= MAX_MINUTES or first > current_site().now() + MAX_AHEAD:
        raise Refused("Choose a time of the coming year, no longer than two hours.")
    return wanted
