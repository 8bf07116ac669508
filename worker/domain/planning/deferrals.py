"""Compares booked sessions with the calendars, and defers a session whose time is lost (R-8, R-9, R-10).

A deferral means that a session lost its time and is due a new one (T-10): for example, because somebody declined or
deleted the event, or because another event clashes with the session. When a person moves the event to a time that the
rules allow, the session keeps that time, and this is no deferral (T-11).
"""

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache

from worker.domain.model import (
    Address,
    Answer,
    BusyTime,
    Deferral,
    DeferralCause,
    FreeBusy,
    MailName,
    Person,
    PlacedEvent,
    Session,
    SessionKind,
    SessionState,
    ShowAs,
    Span,
)
from worker.domain.planning.intended_times import is_intended, read_intended_times
from worker.domain.planning.plan_builder import (
    DAILY,
    HALF_DAILY,
    LAST_HOURS,
    RECHECK_SOON,
    PlanBuilder,
    floor_to_shared_grid,
)
from worker.domain.planning.questions import is_kept_despite_clash
from worker.domain.planning.reviews import is_inside_1on1, release_review
from worker.domain.time.mail_hours import find_next_mail_time
from worker.domain.time.worktime import DAY, find_holiday, get_local_date, list_spells

#: The least time between a warning about a clash and the session. When less is left, the session is deferred without a
#: warning (T-10).
MIN_WARNING_NOTICE = timedelta(hours=48)
#: The time from the warning about a clash until the session is deferred because of it (T-10).
WARNING_PERIOD = timedelta(hours=24)
#: When a session begins within this time, free/busy is read from now until the session ends, and not only at the time
#: of the session, because the mails before the session depend on absences (T-16).
ABSENCE_CHECK_PERIOD = timedelta(days=8)

#: The words for each cause in the history.
CAUSE_NAMES = {
    DeferralCause.DECLINED: "declined",
    DeferralCause.DELETED: "taken off the calendar",
    DeferralCause.MOVED_OUT: "moved out of its window or made too short",
    DeferralCause.BOOKED_OVER: "booked over",
    DeferralCause.OUT_OF_OFFICE: "somebody is out of office then",
    DeferralCause.HOLIDAY: "the day is a public holiday",
    DeferralCause.NOT_HELD: "it did not take place",
    DeferralCause.ASKED: "another time was asked for",
    DeferralCause.MOVED: "moved by hand",
}


def check_booked_sessions(builder: PlanBuilder, skipped_ids: Collection[str] = ()) -> None:
    """Compare each booked session with its event; defer the session, accept its new time, or warn of a clash.

    The sessions with the ids `skipped_ids` are not checked.
    """
    booked = [s for s in builder.sessions.values() if s.booked and s.id not in skipped_ids]
    with_own_event = [s for s in booked if not is_inside_1on1(builder, s)]
    for session in [_fill_intended_times(builder, s) for s in with_own_event]:
        placed = builder.state.placed_events.get(session.key)
        if builder.has_pending_change(session.id):  # the event as last seen may be older than the decided change
            if is_calendar_check_due(builder, session) or (placed is not None and _has_change(placed)):
                builder.plan_again_at(builder.now + RECHECK_SOON)
        elif placed is None:
            _owe_without_deferral(builder, session)
        elif builder.now < session.span.end or placed.is_gone:
            _compare_event(builder, session, placed)
        elif _is_moved_by_hand(placed):  # the booked time is over, and the event is at another time
            _handle_move(builder, session, placed)


def _is_moved_by_hand(placed: PlacedEvent) -> bool:
    """Return whether a person moved the event: its time is not the time that Longarc wrote or accepted last."""
    return placed.span != placed.written_span


def _fill_intended_times(builder: PlanBuilder, session: Session) -> Session:
    """Return the session with its intended times: the busy times that a person accepted by choosing its time (T-11).

    The intended times are read from free/busy unless that has been done already.
    """
    # A warning about a clash proves that the calendars have been read.
    is_read_already = session.intended is not None or session.warned_at is not None
    if not session.by_hand or is_read_already or session.span.start <= builder.now:
        return session
    return builder.update_session(session, intended=read_intended_times(builder, session.key, session.span))


def _has_change(placed: PlacedEvent) -> bool:
    """Return whether people deleted, moved or declined the event."""
    return placed.is_gone or _is_moved_by_hand(placed) or Answer.DECLINED in placed.answers.values()


def _owe_without_deferral(builder: PlanBuilder, session: Session) -> None:
    """Make the session owed, because its event was never created: the effect was refused, or dropped as too old."""
    was_deferred_before = session.count > 0
    state = SessionState.DEFERRED if was_deferred_before else SessionState.OWED
    builder.update_session(
        session, state=state, start=None, end=None, generation=session.generation + 1, by_hand=False, offer=None
    )


def _compare_event(builder: PlanBuilder, session: Session, placed: PlacedEvent) -> None:
    """Defer a session that was deleted or declined, handle a move, and then check for a holiday and for clashes."""
    if placed.is_gone:
        defer_session(builder, session, DeferralCause.DELETED)
        return
    if not _is_moved_by_hand(placed) and placed.written_span != session.span:
        _retry_write(builder, session)
        return
    decliners = [address for address, answer in placed.answers.items() if answer is Answer.DECLINED]
    if decliners:
        # The event may also have been moved. Unless the move is accepted here, the event still counts as moved when our
        # next write fails, and the session is deferred again because of this answer.
        builder.accept_move(placed)
        # The lost time is the one on the calendar, to which a person may have moved the event.
        declined_session = replace(session, start=placed.span.start, end=placed.span.end)
        defer_session(builder, declined_session, DeferralCause.DECLINED, by=decliners[0])
        return
    if _is_moved_by_hand(placed):
        session = _handle_move(builder, session, placed)
    if session.booked and session.span.start - builder.now > LAST_HOURS:
        _defer_for_holiday(builder, session)
    if builder.sessions[session.id].booked:
        _check_clash(builder, builder.sessions[session.id])


def is_event_time_lost(builder: PlanBuilder, session: Session, placed: PlacedEvent) -> bool:
    """Return whether the session can't have the time at which its event is on the calendar.

    That holds when the time breaks a rule, when somebody declined it, or when the session was deferred from this time
    for a cause that usually lasts, such as a holiday.
    """
    is_too_short = session.kind is SessionKind.CAREER and placed.span.minutes < builder.policy.min_by_hand
    if is_too_short or placed.span.start > session.latest or Answer.DECLINED in placed.answers.values():
        return True
    lasting_causes = (DeferralCause.BOOKED_OVER, DeferralCause.OUT_OF_OFFICE, DeferralCause.HOLIDAY)
    deferrals = [deferral for deferral in builder.list_deferrals(session.id) if deferral.cause in lasting_causes]
    return any(deferral.was == placed.span for deferral in deferrals)


def _retry_write(builder: PlanBuilder, session: Session) -> None:
    """Write the event again, because our last change never reached the calendar.

    The answers of the guests are ignored until then, because they are about an older time.
    """
    if not builder.has_to_wait_for_retry(session.id):
        changed = builder.update_session(session, sequence=session.sequence + 1)
        builder.write_event(changed.id, changed.key, changed.sequence)


def _handle_move(builder: PlanBuilder, session: Session, placed: PlacedEvent) -> Session:
    """Accept the time to which a person moved the event, or defer the session when that time breaks a rule (T-11).

    Return the changed session. A career session may be shorter than planned, but not than `Policy.min_by_hand`. No
    session may be moved past its window.
    """
    span = placed.span
    builder.accept_move(placed)
    if span.minutes < builder.policy.min_by_hand and session.kind is SessionKind.CAREER:
        return defer_session(builder, session, DeferralCause.MOVED_OUT, detail=f"{span.minutes} minutes are too few")
    if span.start > find_last_allowed_start(session):
        return defer_session(builder, session, DeferralCause.MOVED_OUT, detail="the new time is past the window")
    moved = builder.update_session(
        session,
        start=span.start,
        end=span.end,
        by_hand=True,
        intended=read_intended_times(builder, session.key, span),
        warned_at=None,
        offer=None,
    )
    builder.record_session_decision(
        moved, "A person moved the session within the rules for its length and window.", cause="moved"
    )
    if session.kind is SessionKind.CAREER and span.minutes < builder.policy.min_minutes:
        builder.add_mail(MailName.SHORT_SESSION, session.id, builder.manager.email, start=span.start)
    return moved


def find_last_allowed_start(session: Session) -> datetime:
    """Return the last start to which the booked session can be moved without a deferral (T-10, T-11).

    This is the end of the session's window. A session that is booked past its window may also keep its present start.
    """
    return max(session.latest, session.span.start)


def _defer_for_holiday(builder: PlanBuilder, session: Session) -> None:
    """Defer a session on a public holiday of either person, unless a person chose its time."""
    if session.by_hand:
        return
    for person in builder.people:
        day = get_local_date(person.zone, session.span.start)
        if find_holiday(person.country, day) and not _is_in_night_shift(person, day, session.span):
            defer_session(builder, session, DeferralCause.HOLIDAY)
            return


def _is_in_night_shift(person: Person, day: date, span: Span) -> bool:
    """Return whether the span lies in a spell of the day before: a night shift may run into a holiday."""
    return any(spell.start <= span.start and span.end <= spell.end for spell in list_spells(person, day - DAY))


# --- clashes with other events ---


def _check_clash(builder: PlanBuilder, session: Session) -> None:
    """Look for an event that clashes with the session, and defer the session or warn of the clash (T-10).

    Free/busy is read only when a calendar check is due. A session in its last hours is left alone.
    """
    if session.span.start - builder.now <= LAST_HOURS:
        return
    if not is_calendar_check_due(builder, session):
        builder.plan_again_at(find_next_calendar_check(builder, session))
        return
    free_busy_by_address = _read_free_busy(builder, session)
    if free_busy_by_address is None:
        return
    clash = _find_clash(builder, session, free_busy_by_address)
    if clash is None:
        _clear_clash(builder, session)
        return
    show_as, owner = clash
    if show_as is ShowAs.AWAY:
        defer_session(builder, session, DeferralCause.OUT_OF_OFFICE, by=owner)
    elif is_kept_despite_clash(builder, session):
        builder.plan_again_at(find_next_calendar_check(builder, session))
    elif _must_move_now(builder, session):
        defer_session(builder, session, DeferralCause.BOOKED_OVER, by=owner)
    elif (warning_end := _find_warning_end(session)) is None:
        _warn_of_clash(builder, session, owner)
    else:
        builder.plan_again_at(warning_end)


def _must_move_now(builder: PlanBuilder, session: Session) -> bool:
    """Return whether a session with a clash is deferred now, rather than after a warning.

    Nobody is warned about a clash with a review. Any other session is deferred when a day has passed since the warning,
    or when it begins too soon for a warning.
    """
    if session.kind is SessionKind.REVIEW:
        return True
    warning_end = _find_warning_end(session)
    if warning_end is not None:
        return builder.now >= warning_end
    return not _has_time_for_warning(builder, session)


def _find_warning_end(session: Session) -> datetime | None:
    """Return when the session is deferred because of the clash that the manager was warned of; None without a warning.

    `warned_at` is when the warning reaches the manager, which may be later than now.
    """
    return session.warned_at + WARNING_PERIOD if session.warned_at is not None else None


def _has_time_for_warning(builder: PlanBuilder, session: Session) -> bool:
    """Return whether a warning would reach the manager at least 48 hours before the session (T-10, T-16)."""
    reaches_at = find_next_mail_time(builder.manager, builder.now) or builder.now
    return session.span.start - reaches_at >= MIN_WARNING_NOTICE


def _clear_clash(builder: PlanBuilder, session: Session) -> None:
    """Withdraw the warning about a clash, if there was one, because the clashing event is gone."""
    if session.warned_at is not None:
        session = builder.update_session(session, warned_at=None)
        builder.record_decision(
            "warning", "The time is free again; the session stays.", session.id, cause=DeferralCause.BOOKED_OVER.value
        )
    builder.plan_again_at(find_next_calendar_check(builder, session))


def _warn_of_clash(builder: PlanBuilder, session: Session, owner: Address) -> None:
    """Warn the manager that an event in the calendar of `owner` clashes with the session.

    The session is deferred one day after the warning reaches the manager (T-10, T-16).
    """
    warning = builder.add_mail(MailName.BOOKED_OVER_WARNING, session.id, builder.manager.email, start=session.start)
    builder.update_session(session, warned_at=warning.due_at)
    builder.record_decision(
        "warning",
        f"An event in {owner}'s calendar clashes with the session. Unless the event goes, the session moves in a day.",
        session.id,
        cause=DeferralCause.BOOKED_OVER.value,
    )
    builder.plan_again_at(warning.due_at + WARNING_PERIOD)


def _read_free_busy(builder: PlanBuilder, session: Session) -> Mapping[Address, FreeBusy] | None:
    """Return the free/busy of both people at the time of the session and, when it is near, from now on.

    Return None while the calendars have not been read.
    """
    window = session.span
    if window.start - builder.now <= ABSENCE_CHECK_PERIOD:
        window = Span(min(builder.now, window.start), window.end)
    return builder.get_free_busy(builder.people, window, for_booking=False)


def _find_clash(
    builder: PlanBuilder, session: Session, free_busy_by_address: Mapping[Address, FreeBusy]
) -> tuple[ShowAs, Address] | None:
    """Return the `show_as` of the clashing event and the owner of its calendar; None when nothing clashes.

    Out of office takes precedence over other events.
    """
    clash: tuple[ShowAs, Address] | None = None
    is_manager_free_busy_known = free_busy_by_address[builder.manager.email].is_known
    for email, free_busy in free_busy_by_address.items():
        for busy in free_busy.busy:
            if busy.span.start >= session.span.end:  # the busy times are in order
                break
            if busy.key == session.key or busy.show_as is ShowAs.TENTATIVE or not busy.span.overlaps(session.span):
                continue
            if is_intended(builder, session, busy, email):
                continue
            if busy.show_as is ShowAs.AWAY:
                return ShowAs.AWAY, email
            may_be_own_event = email == builder.report.email and _may_be_own_event(
                builder, session, busy, is_manager_free_busy_known=is_manager_free_busy_known
            )
            if clash is None and not may_be_own_event:
                clash = (busy.show_as, email)
    return clash


def _may_be_own_event(
    builder: PlanBuilder, session: Session, busy: BusyTime, *, is_manager_free_busy_known: bool
) -> bool:
    """Return whether a busy span of the report may be the session's own event.

    When the two people use different calendar services, or the manager's calendar can't be read, the report's service
    may not show which event is ours. A busy span that covers the whole session is then taken for the session's event.
    """
    has_other_service = builder.report.calendar != builder.manager.calendar
    covers_session = busy.span.start <= session.span.start and session.span.end <= busy.span.end
    return (has_other_service or not is_manager_free_busy_known) and busy.key is None and covers_session


# --- calendar checks: the instants at which free/busy is read for a booked session ---

#: How many days before its start a session of each kind is checked for clashes with events on both calendars.
CALENDAR_CHECK_DAYS = {
    SessionKind.CAREER: (28, 14, 7, 4, 3, 2, 1),
    SessionKind.REVIEW: (3, 1),
    SessionKind.CHECKIN: (1,),
}


def list_calendar_checks(session: Session) -> tuple[datetime, ...]:
    """Return the instants at which both calendars are checked for clashes with a booked session, in order.

    These checks take place even when no notification of a change has arrived.
    """
    return _compute_calendar_checks(session.kind, session.span.start)


@lru_cache(maxsize=1 << 14)
def _compute_calendar_checks(kind: SessionKind, start: datetime) -> tuple[datetime, ...]:
    """Compute `list_calendar_checks`.

    The last check is at the last point of the half-daily grid before the session's last hours (`LAST_HOURS`) begin.
    """
    checks = [floor_to_shared_grid(start - timedelta(days=days), DAILY) for days in CALENDAR_CHECK_DAYS[kind]]
    return tuple(sorted({*checks, floor_to_shared_grid(start - LAST_HOURS, HALF_DAILY)}))


def is_calendar_check_due(builder: PlanBuilder, session: Session) -> bool:
    """Return whether an instant for a calendar check has passed since the free/busy was last read."""
    last_read_at = builder.state.free_busy_used_at
    if last_read_at is None:
        return True
    return any(last_read_at < instant <= builder.now for instant in _list_all_checks(session))


def find_next_calendar_check(builder: PlanBuilder, session: Session) -> datetime:
    """Return the instant of the session's next calendar check; its start when no check is left."""
    return min((instant for instant in _list_all_checks(session) if instant > builder.now), default=session.span.start)


def _list_all_checks(session: Session) -> tuple[datetime, ...]:
    """Return the regular calendar checks of the session, and the check at the end of the period after a warning."""
    warning_end = _find_warning_end(session)
    return list_calendar_checks(session) + ((warning_end,) if warning_end is not None else ())


# --- deferring ---


def defer_session(
    builder: PlanBuilder, session: Session, cause: DeferralCause, *, by: Address = "", detail: str = ""
) -> Session:
    """Defer the session: it loses its time and is due a new one soon (T-10). Return the deferred session.

    The deferral is counted and kept with its cause. `by` is the person who caused it, and `detail` is added to the
    cause in the history. A review is not deferred: it only moves to another time (T-9).
    """
    if session.kind is SessionKind.REVIEW:
        return _move_review(builder, session, cause)
    number = session.count + 1
    needs_new_key = _needs_new_key(session, cause)
    builder.add_deferral(
        Deferral(session=session.id, number=number, at=builder.now, cause=cause, who=by, was=session.span)
    )
    owed = builder.update_session(
        session,
        state=SessionState.DEFERRED,
        start=None,
        end=None,
        count=number,
        deferred_at=builder.now,
        generation=session.generation + (1 if needs_new_key else 0),
        by_hand=False,
        warned_at=None,
        held_at=None,
        offer=None,
    )
    actor = f" by {by}" if by else ""
    cause_text = CAUSE_NAMES[cause] + (f" ({detail})" if detail else "")
    reason = f"Deferred{actor}: {cause_text}. Deferral number {number}; the session is owed."
    builder.record_session_decision(owed, reason, cause=cause.value, who=by)
    return owed


def _needs_new_key(session: Session, cause: DeferralCause) -> bool:
    """Return whether the session's next event needs a new key, because the present event can't be used any more.

    That holds when the event was deleted, or when the session was held or unfinished, so that the event is over.
    """
    return cause is DeferralCause.DELETED or session.state is not SessionState.BOOKED


def _move_review(builder: PlanBuilder, review: Session, cause: DeferralCause) -> Session:
    """Make a review owed because it lost its time. Return the review."""
    reason = f"The review moves: {CAUSE_NAMES[cause]}."
    return release_review(builder, review, reason, needs_new_key=_needs_new_key(review, cause))


def find_last_deferral(builder: PlanBuilder, session: Session) -> Deferral | None:
    """Return the last deferral of the session, not counting moves by hand; None when the session has none."""
    return max(builder.list_deferrals(session.id), key=lambda deferral: deferral.number, default=None)


def find_last_loss(builder: PlanBuilder, session: Session) -> Deferral | None:
    """Return the session's last deferral or last move by hand, whichever is later; None when it has neither."""
    losses = builder.list_time_losses(session.id)
    return losses[-1] if losses else None


def count_deferrals_in_cycle(sessions: Iterable[Session], session: Session) -> int:
    """Return how often the career sessions of this session's cycle were deferred (T-12).

    Regular and ad hoc sessions are counted separately. For a review or a check-in, only its own deferrals count.
    `sessions` are all sessions of the pair.
    """
    if session.kind is not SessionKind.CAREER:
        return session.count
    return sum(
        s.count
        for s in sessions
        if s.kind is SessionKind.CAREER and s.cycle == session.cycle and s.adhoc == session.adhoc
    )
