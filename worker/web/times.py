"""The page on which either person of a pair chooses another time for a session.

It shows the times that are reserved for the session in an offer, three proposals, and a form in which the reader types
another time. Showing the page reads both calendars and changes nothing. Pressing a button moves the session (R-38):
`worker.engine.actions` checks both calendars once more, and the result is the same as when the event is moved in the
calendar (T-11). Afterwards the page shows the session's time, whether or not it has changed.
"""

from dataclasses import dataclass, replace
from datetime import timedelta
from enum import StrEnum
from typing import Any
from zoneinfo import ZoneInfo

from flask import Blueprint, Response, abort, request

from worker.domain.model import FreeBusySnapshot, OfferPurpose, Pair, PairState, Session, Span
from worker.domain.planning import moves, offers, proposals, questions
from worker.domain.planning.actions import MAX_AHEAD, find_shortest_minutes
from worker.domain.planning.cadence import is_before_earlier_part
from worker.domain.planning.moves import Press
from worker.domain.planning.plan_builder import PlanBuilder
from worker.domain.reason_texts import N_
from worker.domain.time.blockers import order_for_reader
from worker.domain.time.worktime import get_local_date, wall_to_utc
from worker.errors import (
    CalendarUnread,
    MovedMeanwhile,
    NoTimeChosen,
    NotOffered,
    TimeBeforeEarlierPart,
    TimePast,
    TimeTaken,
    TimeTooFar,
    TimeTooLong,
    TimeTooShort,
)
from worker.i18n.domain_texts import translate_sentences
from worker.links import Purpose
from worker.web.contract_form import parse_day, parse_instant, parse_number
from worker.web.logins import current_login
from worker.web.reasons import build_deferral_reasons, store_deferral_reason
from worker.web.refusals import REFUSALS
from worker.web.site import current_site, redirect_with_confirmation

#: The session lengths that the form offers, in minutes.
OFFERED_MINUTES = (45, 60, 75, 90)
#: The shortest and the longest session that can be chosen, in minutes.
MIN_MINUTES = 10
MAX_MINUTES = 120
#: A field of the form is cut after this number of characters.
_MAX_FIELD_LENGTH = 20
#: With one of these obstacles, the session can't get another time. The page then names the pair's next session.
_FINAL_OBSTACLES = (moves.Obstacle.OVER, moves.Obstacle.CANCELLED)
#: What the form says about a time that is missing or invalid, and about one that does not exist on its day.
DAY_MISSING = N_("Give a day and a time that are still to come.")
HOUR_SKIPPED = N_("On that day the clocks are put forward and skip this time. Choose another one.")


@dataclass(frozen=True, slots=True)
class PickedTime:
    """The time that the reader typed: the texts of the fields, and the span when all of them are valid."""

    day: str = ""
    hour: str = ""  #: the time of day, such as 14:30
    minutes: str = ""  #: the length of the session
    span: Span | None = None
    invalid_field: str = ""  #: the name of the first invalid field
    advice: str = ""  #: what to type there instead, as a text to translate

    @property
    def has_input(self) -> bool:
        return bool(self.day or self.hour)


def make_blueprint() -> Blueprint:
    """Return the blueprint of the page about one session's time.

    The app registers it for the page's own link, and below the pages of the manager and of the report.
    """
    pages = Blueprint("time", __name__)
    pages.add_url_rule("/<session_id>", view_func=show)
    pages.add_url_rule("/<session_id>", view_func=take_time, methods=["POST"])
    pages.add_url_rule("/<session_id>/reason", view_func=keep_reason, methods=["POST"])
    pages.add_url_rule("/<session_id>/next-quarter", view_func=leave_until_next_quarter, methods=["POST"])
    return pages


def _find_session(session_id: str) -> tuple[Session, PairState]:
    """Return the session and its pair's state. Aborts with 404 unless the reader is one of the pair."""
    site = current_site()
    session = site.store.queries.get_session(session_id)
    pairs = _list_pairs() if session else []
    pair = next((candidate for candidate in pairs if session and candidate.id == session.pair), None)
    if session is None or pair is None:
        abort(404)
    return session, site.load_state(pair)


def _list_pairs() -> list[Pair]:
    """Return the reader's pairs whose sessions the login opens.

    The manager's login opens the pairs in which the reader is the manager, and the report's login those in which the
    reader is the report. The link to the page of a session opens both kinds.
    """
    people, login = current_site().store.people, current_login()
    pairs_as_manager = people.list_pairs_of_manager(login.address) if login.claims.purpose is not Purpose.ME else []
    pairs_as_report = people.list_pairs_of_report(login.address) if login.claims.purpose is not Purpose.TEAM else []
    return [*pairs_as_manager, *pairs_as_report]


def show(session_id: str) -> Response:
    """Return the page. For a time that the reader typed, which is in the URL, it says whether both people are free."""
    session, state = _find_session(session_id)
    return _render_page(session, state)


class Failure(StrEnum):
    """Why pressing a button has changed nothing. The page says so in a notice."""

    TAKEN = "taken"  #: the time is no longer free, or no longer offered
    MOVED = "moved"  #: the session no longer has the time that the page showed
    UNREAD = "unread"  #: a calendar can't be read at the moment


_STATUS_BY_FAILURE = {Failure.TAKEN: 409, Failure.MOVED: 409, Failure.UNREAD: 503}


def _render_page(session: Session, state: PairState, failure: Failure | None = None) -> Response:
    """Return the page. `failure` says why pressing a button has just changed nothing."""
    site, login = current_site(), current_login()
    pick = _parse_picked_time(session, state)
    obstacle = moves.find_obstacle(_make_plan_builder(state), session)
    # With an obstacle, the session can't be moved, so no calendar is read.
    builder = _make_live_builder(session, state, *([pick.span] if pick.span else [])) if obstacle is None else None
    options = _list_free_options(builder, session) if builder else ()
    context = site.build_page_context(login.person, state, session)
    # An offer of which no time can be taken any more is not shown.
    offer = session.offer if options else None
    may_leave = questions.can_be_left_until_next_cycle(session)
    view = site.build_view(replace(context, options=options, offer=offer, may_leave=may_leave))
    values: dict[str, Any] = {
        **view.collect_variables(),
        "token": login.token,
        "session": session,
        "version": moves.make_time_version(session),
        "obstacle": obstacle,
        "next_session": _find_next_session(session, state) if obstacle in _FINAL_OBSTACLES else None,
        # A link with Purpose.TIME opens only its own session.
        "can_open_next": login.claims.purpose is not Purpose.TIME,
        "pick": pick,
        "lengths": OFFERED_MINUTES,
        "can_choose": builder is not None,
        "notice": failure,
        "proposals": proposals.propose_times(builder, session) if builder else None,
        "check": proposals.check_time(builder, session, pick.span) if builder and pick.span else None,
        **build_deferral_reasons(view, session, can_be_moved=builder is not None),
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
    return site.render_page("time", view.language, values, _STATUS_BY_FAILURE[failure] if failure else status)


def _find_next_session(session: Session, state: PairState) -> Session | None:
    """Return the pair's next booked session of the same kind; None when there is none."""
    now = current_site().now()
    coming = [s for s in state.sessions if s.booked and s.kind is session.kind and s.span.start > now]
    return min(coming, key=lambda s: s.span.start, default=None)


def _list_free_options(builder: PlanBuilder, session: Session) -> tuple[Span, ...]:
    """Return the times that are reserved for the session and that can still be taken, in order."""
    options = offers.list_open_times(session, builder.now)
    return tuple(option for option in options if _can_be_taken(builder, session, option))


def _can_be_taken(builder: PlanBuilder, session: Session, option: Span) -> bool:
    """Return whether the pair can still take a reserved time.

    They can take it in three cases: it is free on both calendars, the offer says on whose calendar it takes the place
    of something (T-14), or the session has this time already.
    """
    if session.offer and session.offer.list_displaced_owners(option):
        return True
    has_time_already = session.booked and session.span == option
    return has_time_already or not proposals.check_time(builder, session, option).is_busy


def _make_plan_builder(state: PairState, snapshot: FreeBusySnapshot | None = None) -> PlanBuilder:
    site = current_site()
    return PlanBuilder(site.now(), state, snapshot, site.settings.policy)


def _make_live_builder(session: Session, state: PairState, *spans: Span) -> PlanBuilder:
    """Return a plan builder for the pair, with the free/busy of both calendars as of now.

    The period that is read includes `spans` and the times that are reserved for the session.
    """
    site = current_site()
    people = (state.manager.email, state.report.email)
    state_with_taken_times = replace(state, taken_times=site.store.plans.load_taken_time(people, site.now()))
    spans_to_read = (*spans, *session.options)
    period = None
    if spans_to_read:
        period = Span(min(span.start for span in spans_to_read), max(span.end for span in spans_to_read))
    free_busy_request = proposals.make_free_busy_request(_make_plan_builder(state_with_taken_times), session, period)
    return _make_plan_builder(state_with_taken_times, site.worker.live_free_busy.read(free_busy_request))


def _parse_picked_time(session: Session, state: PairState) -> PickedTime:
    """Return the time in the query of the URL. It is in the reader's time zone."""
    day_text, hour_text, length_text = (
        request.args.get(name, "")[:_MAX_FIELD_LENGTH] for name in ("day", "hour", "minutes")
    )
    pick = PickedTime(day_text, hour_text, length_text)
    if not pick.has_input:
        return pick
    day = parse_day(pick.day)
    minute_of_day = _parse_minute_of_day(pick.hour)
    minutes = (parse_number(pick.minutes) or 0) if pick.minutes else session.minutes
    if day is None:
        return replace(pick, invalid_field="day", advice=DAY_MISSING)
    if minute_of_day is None:
        return replace(pick, invalid_field="hour", advice=DAY_MISSING)
    if minutes < max(MIN_MINUTES, find_shortest_minutes(session, current_site().settings.policy)):
        return replace(pick, invalid_field="minutes", advice=REFUSALS[TimeTooShort])
    if minutes > MAX_MINUTES:
        return replace(pick, invalid_field="minutes", advice=REFUSALS[TimeTooLong])
    now, zone = current_site().now(), current_login().person.zone
    start = wall_to_utc(zone, day, minute_of_day)
    local_start = start.astimezone(ZoneInfo(zone))
    if start <= now:
        return replace(pick, invalid_field="day", advice=REFUSALS[TimePast])
    if start > now + MAX_AHEAD:
        return replace(pick, invalid_field="day", advice=REFUSALS[TimeTooFar])
    if is_before_earlier_part(start, session, state.sessions):
        return replace(pick, invalid_field="day", advice=REFUSALS[TimeBeforeEarlierPart])
    # When summer time begins, clocks skip some minutes, mostly an hour: such a time of day does not exist.
    if local_start.hour * 60 + local_start.minute != minute_of_day:
        return replace(pick, invalid_field="hour", advice=HOUR_SKIPPED)
    return replace(pick, span=Span(start, start + timedelta(minutes=minutes)))


def _parse_minute_of_day(text: str) -> int | None:
    """Return a time of day such as `14:30` as minutes after midnight; None when the text is not a time of day.

    Seconds, as in `14:30:00`, are ignored.
    """
    hour_text, _, minute_text = text.partition(":")
    hours, minutes = parse_number(hour_text, digits=2), parse_number(minute_text[:2], digits=2)
    if hours is None or minutes is None or hours > 23 or minutes > 59:
        return None
    return hours * 60 + minutes


def take_time(session_id: str) -> Response:
    """Move the session to the time whose button was pressed: a reserved time, a proposal, or one that the reader typed.

    Both calendars are read once more. When the time is no longer free, nothing changes and the page shows other times.
    """
    session, state = _find_session(session_id)
    span = _parse_span(request.form.get("start", ""), request.form.get("end", ""))
    try:
        # With the field `offered`, the page showed the time as reserved. When it is no longer, it is refused.
        if span in session.options or "offered" in request.form:
            _take_offered(session, state, span)
        else:
            _move(session, state, span)
    except (NotOffered, TimeTaken):
        return _render_page(*_find_session(session_id), Failure.TAKEN)
    except MovedMeanwhile:
        return _render_page(*_find_session(session_id), Failure.MOVED)
    except CalendarUnread:
        return _render_page(*_find_session(session_id), Failure.UNREAD)
    had_time_already = session.booked and session.span == span
    # The form holds the version of the time that the page showed. When the session has changed since and has the chosen
    # time already, an earlier press of the button has moved it, so the page says again that the session was moved.
    is_form_outdated = request.form.get("version", "") != moves.make_time_version(session)
    confirmation = "stays" if had_time_already and not is_form_outdated else "moved"
    return redirect_with_confirmation(".show", confirmation, session_id=session_id)


def _take_offered(session: Session, state: PairState, span: Span) -> None:
    """Give the session a time that is reserved for it. Raises NotOffered, TimeTaken and CalendarUnread (T-12)."""
    has_time_already = session.booked and session.span == span
    if not has_time_already:
        builder = _make_live_builder(session, state, span)
        if span not in _list_free_options(builder, session):
            raise TimeTaken("That time is not free any more.")
        is_displacing = session.offer is not None and session.offer.list_displaced_owners(span)
        if not is_displacing and proposals.check_time(builder, session, span).is_unread:
            raise CalendarUnread("A calendar can't be read just now.")
    current_site().worker.actions.choose_offered_time(session.id, span)


def _move(session: Session, state: PairState, span: Span) -> None:
    """Move the session to a time that is not reserved. Raises MovedMeanwhile, TimeTaken and CalendarUnread (T-11)."""
    site = current_site()
    snapshot = _make_live_builder(session, state, span).snapshot
    press = Press(
        span,
        by=current_login().address,
        version=request.form.get("version", ""),
        must_be_free="anyway" not in request.form,  # the reader may take a time of which the page said that it is busy
    )
    if snapshot is None:
        raise CalendarUnread("A calendar can't be read just now.")
    site.worker.actions.move_session(session.id, press, snapshot)


def keep_reason(session_id: str) -> Response:
    """Store the report's reason for the deferral, for the manager to read (R-18). Aborts with 404 for anybody else."""
    session, state = _find_session(session_id)
    if current_login().address != state.report.email:
        abort(404)
    confirmation = store_deferral_reason(session)
    return redirect_with_confirmation(".show", confirmation, session_id=session_id)


def leave_until_next_quarter(session_id: str) -> Response:
    """Leave the session until the next cycle, which people read as the next quarter.

    The page offers this when it asks which time will hold, after the session has moved repeatedly (T-11).
    """
    site, (session, _) = current_site(), _find_session(session_id)
    site.worker.actions.leave_until_next_cycle(session.id)
    return redirect_with_confirmation(".show", "left-out", session_id=session_id)


def _parse_span(start_text: str, end_text: str) -> Span:
    """Return the span between two instants. Raises NoTimeChosen when there is none.

    Raises TimeTooFar, TimeTooShort or TimeTooLong when the span exceeds a limit.
    """
    start, end = parse_instant(start_text), parse_instant(end_text)
    if start is None or end is None or end < start:
        raise NoTimeChosen
    if start > current_site().now() + MAX_AHEAD:
        raise TimeTooFar
    span = Span(start, end)
    if span.minutes < MIN_MINUTES:
        raise TimeTooShort
    if span.minutes > MAX_MINUTES:
        raise TimeTooLong
    return span
