"""What calendars tell about booked sessions, and what follows from it (R-8, R-9, R-10; T-1, T-10, T-11, T-12)."""

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import date, datetime, timedelta
from functools import lru_cache

from worker.domain.model import (
    Address,
    Answer,
    BusyTime,
    Deferral,
    DeferralCause,
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
from worker.domain.planning.plan_builder import DAILY, HALF_DAILY, LAST_HOURS, RECHECK_SOON, PlanBuilder, find_last_look
from worker.domain.planning.questions import stays_after_question
from worker.domain.planning.reviews import is_inside_1on1, release_review
from worker.domain.time.mail_hours import find_next_mail_time
from worker.domain.time.worktime import DAY, find_holiday, get_local_date, list_spells

#: A session that begins within this is deferred at once when something is booked over it, without a warning (T-10).
SOON_HOURS = timedelta(hours=48)
#: How long after a warning a session moves that something is booked over (T-10).
WARNING_PERIOD = timedelta(hours=24)
#: For a session that begins within this, calendars are read from now on, not only at its time: the mails before it
#: depend on absences (T-16).
AWAY_PERIOD = timedelta(days=8)

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


def check_booked_sessions(builder: PlanBuilder, except_for: Collection[str] = ()) -> None:
    """Compare each booked session with its event, and defer, accept or warn; those sessions aside."""
    booked = [s for s in builder.sessions.values() if s.booked and s.id not in except_for]
    with_event = [s for s in booked if not is_inside_1on1(builder, s)]
    for session in [_read_chosen_time(builder, s) for s in with_event]:
        placed = builder.state.placed_events.get(session.key)
        if builder.has_pending_change(session.id):  # what we see may be older than what we decided
            if is_look_due(builder, session) or (placed is not None and _has_change(placed)):
                builder.wake_at(builder.now + RECHECK_SOON)
        elif placed is None:
            _owe_again(builder, session)
        elif builder.now < session.span.end or placed.gone:
            _compare_event(builder, session, placed)
        elif placed.span != placed.written:
            _handle_move(builder, session, placed)


def _read_chosen_time(builder: PlanBuilder, session: Session) -> Session:
    """T-11: the session with what stands at the time that a person chose for it, if nobody has looked yet."""
    if not session.by_hand or session.intended is not None or session.warned_at or session.span.start <= builder.now:
        return session
    return builder.update_session(session, intended=read_intended_times(builder, session.key, session.span))


def _has_change(placed: PlacedEvent) -> bool:
    """Whether a calendar tells something of an event that has to be answered."""
    return placed.gone or placed.span != placed.written or Answer.DECLINED in placed.answers.values()


def _owe_again(builder: PlanBuilder, session: Session) -> None:
    """Have the session owed again, without a deferral: its event was never created, since the effect was dropped as too
    old or refused."""
    state = SessionState.DEFERRED if session.count else SessionState.OWED
    builder.update_session(
        session, state=state, start=None, end=None, generation=session.generation + 1, by_hand=False, offer=None
    )


def _compare_event(builder: PlanBuilder, session: Session, placed: PlacedEvent) -> None:
    if placed.gone:
        defer(builder, session, DeferralCause.DELETED)
        return
    if placed.span == placed.written != session.span:
        _retry_write(builder, session)
        return
    declined = [who for who, answer in placed.answers.items() if answer is Answer.DECLINED]
    if declined:
        builder.accept_move(placed)  # so that this answer is never counted twice, should the event refuse to move
        declined_time = replace(session, start=placed.span.start, end=placed.span.end)  # moved there by hand, perhaps
        defer(builder, declined_time, DeferralCause.DECLINED, declined[0])
        return
    if placed.span != placed.written:
        session = _handle_move(builder, session, placed)
    if session.booked and session.span.start - builder.now > LAST_HOURS:
        _defer_for_holiday(builder, session)
    if builder.sessions[session.id].booked:
        _check_clash(builder, builder.sessions[session.id])


def is_lost_time(builder: PlanBuilder, session: Session, placed: PlacedEvent) -> bool:
    """Whether the time on the calendar is one it was deferred from, with the cause still there: nobody keeps it."""
    too_short = session.kind is SessionKind.CAREER and placed.span.minutes < builder.policy.min_by_hand
    if too_short or placed.span.start > session.latest or Answer.DECLINED in placed.answers.values():
        return True
    lasting_causes = (DeferralCause.BOOKED_OVER, DeferralCause.OUT_OF_OFFICE, DeferralCause.HOLIDAY)
    return any(one.was == placed.span for one in builder.list_deferrals(session.id) if one.cause in lasting_causes)


def _retry_write(builder: PlanBuilder, session: Session) -> None:
    """Write the event again: our last change never reached the calendar, so its answers are for an older time."""
    if not builder.wait_for_retry(session.id):
        changed = builder.update_session(session, sequence=session.sequence + 1)
        builder.write_event(changed.id, changed.key, changed.sequence)


def _handle_move(builder: PlanBuilder, session: Session, placed: PlacedEvent) -> Session:
    """T-11: a hand move inside the rules is respected; outside them the session is owed."""
    span = placed.span
    builder.accept_move(placed)
    if span.minutes < builder.policy.min_by_hand and session.kind is SessionKind.CAREER:
        return defer(builder, session, DeferralCause.MOVED_OUT, detail=f"{span.minutes} minutes are too few")
    if span.start > max(session.latest, session.span.start):
        return defer(builder, session, DeferralCause.MOVED_OUT, detail="the new time is past the window")
    moved = builder.update_session(
        session,
        start=span.start,
        end=span.end,
        by_hand=True,
        intended=read_intended_times(builder, session.key, span),
        warned_at=None,
        offer=None,
    )
    builder.record_session_decision(moved, "Moved by hand inside the rules; respected.", cause="moved")
    if session.kind is SessionKind.CAREER and span.minutes < builder.policy.min_minutes:
        builder.add_mail(MailName.SHORT_SESSION, session.id, builder.manager.email, start=span.start)
    return moved


def _defer_for_holiday(builder: PlanBuilder, session: Session) -> None:
    if session.by_hand:
        return
    for person in builder.people:
        day = get_local_date(person.zone, session.span.start)
        if find_holiday(person.country, day) and not _is_in_night_shift(person, day, session.span):
            defer(builder, session, DeferralCause.HOLIDAY)
            return


def _is_in_night_shift(person: Person, day: date, span: Span) -> bool:
    """A night shift belongs to the day it starts on, and may run on into a holiday."""
    return any(spell.start <= span.start and span.end <= spell.end for spell in list_spells(person, day - DAY))


# --- what is booked over it ---


def _check_clash(builder: PlanBuilder, session: Session) -> None:
    """T-10: what stands over the session now. Only when a look is due; in between nothing is asked."""
    left = session.span.start - builder.now
    if left <= LAST_HOURS:
        return
    if not is_look_due(builder, session):
        builder.wake_at(find_next_look(builder, session))
        return
    clash = _find_clash(builder, session)
    if clash is None:
        return
    show, whose = clash
    if show is None:
        _clear_clash(builder, session)
    elif show is ShowAs.AWAY:
        defer(builder, session, DeferralCause.OUT_OF_OFFICE, whose)
    elif stays_after_question(builder, session):
        builder.wake_at(find_next_look(builder, session))
    elif (
        session.kind is SessionKind.REVIEW
        or (session.warned_at is None and not _may_wait(builder, session))
        or _has_waited(builder, session)
    ):
        defer(builder, session, DeferralCause.BOOKED_OVER, whose)
    elif session.warned_at is None:
        _warn_of_clash(builder, session, whose)
    else:
        builder.wake_at(session.warned_at + WARNING_PERIOD)


def _may_wait(builder: PlanBuilder, session: Session) -> bool:
    """Whether 48 hours are left once a warning reaches the manager, in working hours (T-10, T-16). The day that it
    names is then kept."""
    reaches_at = find_next_mail_time(builder.manager, builder.now) or builder.now
    return session.span.start - reaches_at >= SOON_HOURS


def _has_waited(builder: PlanBuilder, session: Session) -> bool:
    return session.warned_at is not None and builder.now >= session.warned_at + WARNING_PERIOD


def _clear_clash(builder: PlanBuilder, session: Session) -> None:
    if session.warned_at is not None:
        session = builder.update_session(session, warned_at=None)
        builder.record_decision(
            "warning", "The time is free again; the session stays.", session.id, cause=DeferralCause.BOOKED_OVER.value
        )
    builder.wake_at(find_next_look(builder, session))


def _warn_of_clash(builder: PlanBuilder, session: Session, whose: Address) -> None:
    """The day after which the session moves begins when the warning reaches the manager (T-10, T-16)."""
    warning = builder.add_mail(MailName.BOOKED_OVER_WARNING, session.id, builder.manager.email, start=session.start)
    builder.update_session(session, warned_at=warning.due_at)
    builder.record_decision(
        "warning",
        f"Something was booked over the session in {whose}'s calendar. Unless it goes, the session moves in a day.",
        session.id,
        cause=DeferralCause.BOOKED_OVER.value,
    )
    builder.wake_at(warning.due_at + WARNING_PERIOD)


def _find_clash(builder: PlanBuilder, session: Session) -> tuple[ShowAs | None, Address] | None:
    """Return what the two calendars hold over the session, and whose, or `(None, "")` for nothing.

    None while the calendars have not been read.
    """
    window = session.span
    if window.start - builder.now <= AWAY_PERIOD:
        window = Span(min(builder.now, window.start), window.end)
    known = builder.get_free_busy(builder.people, window, for_booking=False)
    if known is None:
        return None
    clash: tuple[ShowAs | None, Address] = (None, "")
    for email, free_busy in known.items():
        for busy in free_busy.busy:
            if busy.span.start >= session.span.end:
                break
            if busy.key == session.key or busy.show_as is ShowAs.TENTATIVE or not busy.span.overlaps(session.span):
                continue
            if is_intended(builder, session, busy, email):
                continue
            if busy.show_as is ShowAs.AWAY:
                return ShowAs.AWAY, email
            if clash[0] is None and not _may_be_ours(builder, session, busy, email):
                clash = (busy.show_as, email)
    return clash


def _may_be_ours(builder: PlanBuilder, session: Session, busy: BusyTime, email: Address) -> bool:
    """A report's service that is not the manager's can't tell our event from another one, so what covers all of it is
    taken for it."""
    elsewhere = email == builder.report.email and builder.report.calendar != builder.manager.calendar
    covers = busy.span.start <= session.span.start and session.span.end <= busy.span.end
    return elsewhere and busy.key is None and covers


#: How many days before its start the calendars of a session's two people are read.
LOOK_DAYS = {SessionKind.CAREER: (28, 14, 7, 4, 3, 2, 1), SessionKind.REVIEW: (3, 1), SessionKind.CHECKIN: (1,)}


def list_look_times(session: Session) -> tuple[datetime, ...]:
    """The instants at which a booked session's calendars are looked at, whether or not anything was heard of them."""
    return _compute_look_times(session.kind, session.span.start)


@lru_cache(maxsize=1 << 14)
def _compute_look_times(kind: SessionKind, start: datetime) -> tuple[datetime, ...]:
    days = [find_last_look(start - timedelta(days=n), DAILY) for n in LOOK_DAYS[kind]]
    return tuple(sorted({*days, find_last_look(start - LAST_HOURS, HALF_DAILY)}))


def is_look_due(builder: PlanBuilder, session: Session) -> bool:
    """True when this session's calendars have to be read now."""
    looked = builder.state.looked_at
    if looked is None:
        return True
    warned = (session.warned_at + WARNING_PERIOD,) if session.warned_at else ()
    return any(looked < instant <= builder.now for instant in list_look_times(session) + warned)


def find_next_look(builder: PlanBuilder, session: Session) -> datetime:
    """When this session's calendars are looked at next; its start when they are no more."""
    warned = (session.warned_at + WARNING_PERIOD,) if session.warned_at else ()
    return min(
        (instant for instant in list_look_times(session) + warned if instant > builder.now), default=session.span.start
    )


# --- deferring ---


def defer(builder: PlanBuilder, session: Session, cause: DeferralCause, who: Address = "", detail: str = "") -> Session:
    """The session lost its time and is owed again, soon (T-10). The count and the cause are kept, but for a review,
    which only moves (T-9)."""
    if session.kind is SessionKind.REVIEW:
        return _move_review(builder, session, cause)
    number = session.count + 1
    gone = cause is DeferralCause.DELETED or session.state is not SessionState.BOOKED
    builder.add_deferral(
        Deferral(session=session.id, number=number, at=builder.now, cause=cause, who=who, was=session.span)
    )
    owed = builder.update_session(
        session,
        state=SessionState.DEFERRED,
        start=None,
        end=None,
        count=number,
        deferred_at=builder.now,
        generation=session.generation + gone,
        by_hand=False,
        warned_at=None,
        held_at=None,
        offer=None,
    )
    by = f" by {who}" if who else ""
    words = CAUSE_NAMES[cause] + (f" ({detail})" if detail else "")
    reason = f"Deferred{by}: {words}. Deferral number {number}; it is owed."
    builder.record_session_decision(owed, reason, cause=cause.value, who=who)
    return owed


def _move_review(builder: PlanBuilder, review: Session, cause: DeferralCause) -> Session:
    is_gone = cause is DeferralCause.DELETED or review.state is not SessionState.BOOKED
    return release_review(builder, review, f"It moves: {CAUSE_NAMES[cause]}.", is_gone=is_gone)


def find_last_deferral(builder: PlanBuilder, session: Session) -> Deferral | None:
    """Return the last deferral of the session; None when it has none."""
    return max(builder.list_deferrals(session.id), key=lambda deferral: deferral.number, default=None)


def find_last_loss(builder: PlanBuilder, session: Session) -> Deferral | None:
    """Return the last deferral of the session or its last move by hand, whichever is later; None when it has none."""
    lost = builder.list_lost_times(session.id)
    return lost[-1] if lost else None


def count_deferrals_in_cycle(sessions: Iterable[Session], session: Session) -> int:
    """T-12: deferrals of this cycle's career sessions; a review or check-in counts alone. `sessions`: of the pair."""
    if session.kind is not SessionKind.CAREER:
        return session.count
    return sum(
        s.count
        for s in sessions
        if s.kind is SessionKind.CAREER and s.cycle == session.cycle and s.adhoc == session.adhoc
    )
