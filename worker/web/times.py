"""The page to choose another time for a session, for both people of the pair: the times that are held for them, three
proposals, or one that the reader types.

Showing the page reads both calendars and changes nothing. Pressing a button takes a time (R-38): the press goes through
`worker.engine.actions`, which checks both calendars once more, and has the same result as moving the event in the
calendar (T-11). Afterwards the page says which time the session has, whether the press changed it or not.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, request, url_for

from worker.domain.model import FreeBusySnapshot, OfferPurpose, Pair, PairState, Session, Span
from worker.domain.planning import moves, offers, proposals, questions
from worker.domain.planning.actions import MAX_AHEAD
from worker.domain.planning.moves import Press
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.time.blockers import order_for_reader
from worker.domain.time.worktime import get_local_date, wall_to_utc
from worker.errors import CalendarUnread, MovedMeanwhile, NotOffered, Refused, TimeTaken
from worker.i18n.domain_texts import translate_sentences
from worker.links import Purpose
from worker.web.contract_form import parse_day, parse_instant, parse_number
from worker.web.logins import current_login
from worker.web.reasons import build_deferral_reasons, explain_deferral
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
    """The time that the reader typed: its fields as text, and its span when they are valid."""

    day: str = ""
    hour: str = ""
    minutes: str = ""
    span: Span | None = None
    invalid_field: str = ""  #: its name

    @property
    def has_input(self) -> bool:
        return bool(self.day or self.hour)


def make_blueprint() -> Blueprint:
    """Return the page about one session's time. It has its own link, and is also below both people's own pages."""
    pages = Blueprint("time", __name__)
    pages.add_url_rule("/<session_id>", view_func=show)
    pages.add_url_rule("/<session_id>", view_func=take_time, methods=["POST"])
    pages.add_url_rule("/<session_id>/reason", view_func=keep_reason, methods=["POST"])
    pages.add_url_rule("/<session_id>/next-quarter", view_func=leave_until_next_quarter, methods=["POST"])
    return pages


def _find_session(session_id: str) -> tuple[Session, PairState]:
    """Return that session and its pair's state. Aborts with 404 unless the reader is one of the two."""
    site = current_site()
    session = site.store.queries.get_session(session_id)
    pairs = _list_pairs() if session else []
    pair = next((candidate for candidate in pairs if session and candidate.id == session.pair), None)
    if session is None or pair is None:
        abort(404)
    return session, site.load_state(pair)


def _list_pairs() -> list[Pair]:
    """Return the pairs of the reader: as the manager below the manager's page, as the report below the report's page,
    and as both by a link to the session itself."""
    people, login = current_site().store.people, current_login()
    managed = people.list_pairs_of_manager(login.address) if login.link.purpose is not Purpose.ME else []
    reported = people.list_pairs_of_report(login.address) if login.link.purpose is not Purpose.TEAM else []
    return [*managed, *reported]


def show(session_id: str) -> Response:
    """Return the session's time, the times held for it, three proposals, and the reasons against a time that the reader
    typed."""
    session, state = _find_session(session_id)
    return _render_page(session, state)


class Notice(StrEnum):
    """Why a press changed nothing."""

    TAKEN = "taken"  #: that time is not free any more, or no longer offered
    MOVED = "moved"  #: the session has another time than the page showed, or none
    UNREAD = "unread"  #: a calendar can't be read just now


_NOTICE_STATUS = {Notice.TAKEN: 409, Notice.MOVED: 409, Notice.UNREAD: 503}


def _render_page(session: Session, state: PairState, notice: Notice | None = None) -> Response:
    """Return the page. `notice` says why a press has just changed nothing."""
    site, login = current_site(), current_login()
    pick = _parse_picked_time(session)
    obstacle = moves.find_obstacle(_make_plan_builder(state), session)
    builder = _read_calendars(session, state, *([pick.span] if pick.span else [])) if obstacle is None else None
    options = _list_free_options(builder, session) if builder else ()
    context = site.build_page_context(login.person, state, session)
    offer, may_leave = session.offer if options else None, questions.may_leave(session)
    view = site.build_view(replace(context, options=options, offer=offer, may_leave=may_leave))
    values: dict[str, Any] = {
        **view.collect_variables(),
        "token": login.token,
        "one": session,
        "version": moves.make_time_version(session),
        "obstacle": obstacle,
        "next_one": _find_next_session(session, state) if obstacle in _FINAL_OBSTACLES else None,
        "can_open_next": login.link.purpose is not Purpose.TIME,
        "pick": pick,
        "lengths": OFFERED_MINUTES,
        "can_choose": builder is not None,
        "notice": notice,
        "proposals": proposals.propose_times(builder, session) if builder else None,
        "check": proposals.check_time(builder, session, pick.span) if builder and pick.span else None,
        **build_deferral_reasons(view, session, is_open=builder is not None),
        "is_question": offer is not None and offer.purpose is OfferPurpose.QUESTION,
    }
    values["sentences"] = lambda reasons: list(
        translate_sentences(
            order_for_reader(reasons, login.person.name),
            view.language,
            login.person.zone,
            view.today,
        )
    )
    values["first_day"] = get_local_date(login.person.zone, site.now())
    values["minutes"] = pick.minutes or str(session.span.minutes if session.booked else session.minutes)
    status = 422 if pick.invalid_field else 200
    return site.render_page("time", view.language, values, _NOTICE_STATUS[notice] if notice else status)


#: With one of these a session can't get another time: the page names the next session instead.
_FINAL_OBSTACLES = (moves.Obstacle.OVER, moves.Obstacle.CANCELLED)


def _find_next_session(session: Session, state: PairState) -> Session | None:
    """Return the pair's next booked session of that kind; None when there is none."""
    now = current_site().now()
    coming = [one for one in state.sessions if one.booked and one.kind is session.kind and one.span.start > now]
    return min(coming, key=lambda one: one.span.start, default=None)


def _list_free_options(builder: PlanBuilder, session: Session) -> tuple[Span, ...]:
    """Return the times that are held for the session and still free on both calendars, in order."""
    options = offers.list_open_times(session, builder.now)
    return tuple(option for option in options if _is_still_free(builder, session, option))


def _is_still_free(builder: PlanBuilder, session: Session, option: Span) -> bool:
    """Return whether the two can still take an offered time.

    They can unless something else stands then; also if it was offered all the same (T-14), or is the time it has now.
    """
    if session.offer and session.offer.list_displaced(option):
        return True
    has_it_already = session.booked and session.span == option
    return has_it_already or not proposals.check_time(builder, session, option).is_taken


def _make_plan_builder(state: PairState, snapshot: FreeBusySnapshot | None = None) -> PlanBuilder:
    site = current_site()
    return PlanBuilder(site.now(), state, snapshot, site.settings.policy)


def _read_calendars(session: Session, state: PairState, *spans: Span) -> PlanBuilder:
    """Return a plan builder of the pair with the free/busy of both calendars as of now.

    What is read includes those spans and the times that are held for the session.
    """
    site = current_site()
    people = (state.manager.email, state.report.email)
    state_with_taken_times = replace(state, taken_times=site.store.plans.load_taken_time(people, site.now()))
    spans_to_read = (*spans, *session.options)
    period = Span(min(s.start for s in spans_to_read), max(s.end for s in spans_to_read)) if spans_to_read else None
    free_busy_request = proposals.make_free_busy_request(_make_plan_builder(state_with_taken_times), session, period)
    return _make_plan_builder(state_with_taken_times, site.worker.live_free_busy.read(free_busy_request))


def _parse_picked_time(session: Session) -> PickedTime:
    """Return the time in the URL's query, which is in the reader's zone."""
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
        return replace(pick, invalid_field="day" if day is None else "hour" if minute_of_day is None else "minutes")
    now, zone = current_site().now(), current_login().person.zone
    start = wall_to_utc(zone, day, minute_of_day)
    local_start = start.astimezone(ZoneInfo(zone))
    if start <= now:
        return replace(pick, invalid_field="day")
    # The clocks skip some minutes when summer time begins.
    if local_start.hour * 60 + local_start.minute != minute_of_day or start > now + MAX_AHEAD:
        return replace(pick, invalid_field="hour")
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


def take_time(session_id: str) -> Response:
    """Move the session to a time by one press: one that is held for it, a proposal, or one that the reader typed.

    Both calendars are read once more: a time that is not free any more is not taken, and the page shows others.
    """
    session, state = _find_session(session_id)
    span = _parse_span(request.form.get("start", ""), request.form.get("end", ""))
    try:
        if span in session.options or "offered" in request.form:
            _take_offered(session, state, span)
        else:
            _move(session, state, span)
    except (NotOffered, TimeTaken):
        return _render_page(*_find_session(session_id), Notice.TAKEN)
    except MovedMeanwhile:
        return _render_page(*_find_session(session_id), Notice.MOVED)
    except CalendarUnread:
        return _render_page(*_find_session(session_id), Notice.UNREAD)
    had_it_already = session.booked and session.span == span
    is_pressed_twice = request.form.get("version", "") != moves.make_time_version(session)
    confirmation = "stays" if had_it_already and not is_pressed_twice else "moved"
    return redirect_to(url_for(".show", session_id=session_id, said=confirmation))


def _take_offered(session: Session, state: PairState, span: Span) -> None:
    """Give the session a time that is held for it. Raises NotOffered, TimeTaken and CalendarUnread (T-12)."""
    if not (session.booked and session.span == span):
        builder = _read_calendars(session, state, span)
        if span not in _list_free_options(builder, session):
            raise TimeTaken("That time is not free any more.")
        displaces = session.offer is not None and session.offer.list_displaced(span)
        if not displaces and proposals.check_time(builder, session, span).is_unread:
            raise CalendarUnread("A calendar can't be read just now.")
    current_site().worker.actions.choose_offered_time(session.id, span)


def _move(session: Session, state: PairState, span: Span) -> None:
    """Move the session by hand. Raises MovedMeanwhile, TimeTaken and CalendarUnread (R-38, T-11)."""
    site = current_site()
    snapshot = _read_calendars(session, state, span).snapshot
    press = Press(span, current_login().address, request.form.get("version", ""), "anyway" not in request.form)
    if snapshot is None:
        raise CalendarUnread("A calendar can't be read just now.")
    site.worker.actions.move_session(session.id, press, snapshot)


def keep_reason(session_id: str) -> Response:
    """Store what the report says about the lost time, for the manager (R-18). Aborts with 404 for others."""
    session, state = _find_session(session_id)
    if current_login().address != state.report.email:
        abort(404)
    return redirect_to(url_for(".show", session_id=session_id, said=explain_deferral(session)))


def leave_until_next_quarter(session_id: str) -> Response:
    """Leave the session until the next quarter: one answer to the question which time will hold (T-11)."""
    site, (session, _) = current_site(), _find_session(session_id)
    site.worker.actions.leave_until_next_cycle(session.id)
    return redirect_to(url_for(".show", session_id=session_id, said="left-out"))


def _parse_span(start_text: str, end_text: str) -> Span:
    """Return the span between two instants. Raises Refused when it is invalid, too short, too long or too far ahead."""
    start, end = parse_instant(start_text), parse_instant(end_text)
    if start is None or end is None or end < start:
        raise Refused("Choose a time first.")
    span = Span(start, end)
    if not MIN_MINUTES <= span.minutes <= MAX_MINUTES or start > current_site().now() + MAX_AHEAD:
        raise Refused("Choose a time of the coming year, no longer than two hours.")
    return span
