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
from worker.domain.planning.actions import AHEAD
from worker.domain.planning.plan_builder import Planning
from worker.domain.time.worktime import today, wall
from worker.errors import Refused
from worker.i18n.reasons import sentences
from worker.web.contract_form import day_of, instant_of, number_of
from worker.web.sessions import visit
from worker.web.site import go, site

#: What a session may last when a person says how long, in minutes.
LENGTHS = (45, 60, 75, 90)
LONGEST = 120


@dataclass(frozen=True, slots=True)
class Pick:
    """A time that was asked about: as typed, and as a stretch of time when it is one."""

    day: str = ""
    hour: str = ""
    minutes: str = ""
    span: Span | None = None
    wrong: str = ""  #: the field that can't be used

    @property
    def has_input(self) -> bool:
        return bool(self.day or self.hour)


def blueprint() -> Blueprint:
    """The page about one session's time; reached by a link of its own, and from the manager's page."""
    pages = Blueprint("time", __name__)
    pages.add_url_rule("/<session>", view_func=show)
    pages.add_url_rule("/<session>", view_func=take, methods=["POST"])
    return pages


def _find_session(session_id: str) -> tuple[Session, PairState]:
    here = site()
    session = here.store.register.session(session_id)
    pairs = here.store.people.managed_by(visit().who) if session else []
    pair = next((one for one in pairs if session and one.id == session.pair), None)
    if session is None or pair is None:
        abort(404)
    return session, here.state(pair)


def show(session: str) -> Response:
    """Where it stands, three other times, and what speaks for or against one that the manager picked."""
    here, (one, state) = site(), _find_session(session)
    pick = _pick(one, state)
    reading = here.reading(here.letter(visit().person, state, one))
    told: dict[str, Any] = {**reading.names(), "token": visit().token, "one": one, "pick": pick, "lengths": LENGTHS}
    told |= {"open": one.owed or (one.booked and one.span.end > here.now()), "proposals": None, "checked": None}
    if told["open"]:
        seen = _read_calendars(one, state, pick.span)
        told["proposals"] = proposals.propose(seen, one)
        told["checked"] = proposals.check(seen, one, pick.span) if pick.span else None
    told["sentences"] = lambda why: list(sentences(why, reading.words, visit().person.zone, reading.today))
    told["first_day"] = today(state.manager.zone, here.now())
    told["minutes"] = pick.minutes or str(one.span.minutes if one.booked else one.minutes)
    return here.page("time", reading.words, told, 422 if pick.wrong else 200)


def _read_calendars(session: Session, state: PairState, pick: Span | None) -> Planning:
    """The pair with what both calendars show just now."""
    here = site()
    people = (state.manager.email, state.report.email)
    known = replace(state, taken=here.store.plans.load_taken_time(people, here.now()))
    blind = Planning(here.now(), known, None, here.settings.policy)
    seen = here.worker.sweep.look(proposals.need(blind, session, pick))
    return Planning(here.now(), known, seen, here.settings.policy)


def _pick(session: Session, state: PairState) -> Pick:
    """The time in the address, in the manager's zone."""
    typed = [request.args.get(name, "")[:20] for name in ("day", "hour", "minutes")]
    day, hour, minutes = day_of(typed[0]), _minute(typed[1]), _length(typed[2] or str(session.minutes))
    pick = Pick(day=typed[0], hour=typed[1], minutes=typed[2])
    if not pick.has_input:
        return pick
    if day is None or hour is None or minutes is None:
        return replace(pick, wrong="day" if day is None else "hour" if hour is None else "minutes")
    start = wall(state.manager.zone, day, hour)
    there = start.astimezone(ZoneInfo(state.manager.zone))
    if start <= site().now() or there.hour * 60 + there.minute != hour or start > site().now() + AHEAD:
        return replace(pick, wrong="day" if start <= site().now() else "hour")
    return replace(pick, span=Span(start, start + timedelta(minutes=minutes)))


def _minute(text: str) -> int | None:
    hour, _, minute = text.partition(":")
    hours, minutes = number_of(hour, 2), number_of(minute[:2], 2)
    if hours is None or minutes is None or hours > 23 or minutes > 59:
        return None
    return hours * 60 + minutes


def _length(text: str) -> int | None:
    minutes = number_of(text, 3)
    return minutes if minutes is not None and 10 <= minutes <= LONGEST else None


def take(session: str) -> Response:
    """Take a time: one of those held for it, one proposed, or the manager's own."""
    here, (one, _) = site(), _find_session(session)
    here.worker.acts.defer(one.id, _parse_span(request.form.get("start", ""), request.form.get("end", "")))
    return go(url_for(".show", session=session, said="moved"))


def _parse_span(start: str, end: str) -> Span:
    first, last = instant_of(start), instant_of(end)
    if first is None or last is None or last < first:
        raise Refused("Choose a time first.")
    wanted = Span(first, last)
    if not 10 <= wanted.minutes <= LONGEST or first > site().now() + AHEAD:
        raise Refused("Choose a time of the coming year, no longer than two hours.")
    return wanted
