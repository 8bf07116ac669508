"""Decides whether a mail is still true when it is about to leave: one function for each condition.

The table of mails names one of the functions for each mail. A mail that is no longer true is dropped.
"""

from collections.abc import Callable, Iterable
from datetime import UTC, date, datetime, time, timedelta

from worker.domain.model import (
    Commitment,
    Effect,
    EndReason,
    MailName,
    PairState,
    Participation,
    Person,
    Session,
    SessionState,
)
from worker.domain.time.mail_hours import count_mail_days
from worker.domain.time.worktime import get_local_date

#: A session that moved by more than this after its prompt went out gets another (T-5).
MOVED_FAR = timedelta(days=14)
#: The same for the brief, in working days of the manager (T-6).
BRIEF_MOVED_DAYS = 3
#: The same for the note before a review, which is for one day.
NOTE_MOVED_FAR = timedelta(hours=12)

#: Returns whether a mail is still true, given the mail, the pair as it is now, and the present instant.
Holds = Callable[[Effect, PairState, datetime], bool]


def holds_always(effect: Effect, state: PairState, now: datetime) -> bool:
    """True: what it says stays true, whatever becomes of the pair."""
    return True


def holds_while_active(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the pair goes on."""
    return state.pair.is_active


def holds_when_ended(effect: Effect, state: PairState, now: datetime) -> bool:
    """Unless the two have become a pair again, everybody is paused, or the report is told of a new manager (R-36)."""
    is_told_otherwise = (
        effect.to == state.report.email and state.outgoing is not None and state.outgoing.pair is not None
    )
    is_withheld = state.pair.participation is not Participation.YES  # everybody is paused
    return state.pair.ended is not EndReason.NO and not (is_told_otherwise or is_withheld)


def holds_after_handover(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the report has that new manager (R-36)."""
    return state.pair.is_active and state.incoming is not None and state.incoming.ended_at == effect.start


def holds_during_round(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the pair goes on, in the month of the round (R-37)."""
    return state.pair.is_active and effect.number == int(f"{now:%Y%m}")


def holds_with_open_promises(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the report has another manager, and a commitment of the old one is open (R-36)."""
    return state.pair.ended is EndReason.CHANGED and bool(list_open_promises(state.commitments))


def list_open_promises(commitments: Iterable[Commitment]) -> list[Commitment]:
    """Return the manager's open commitments."""
    return [c for c in commitments if c.is_open_promise]


def holds_while_due(effect: Effect, state: PairState, now: datetime) -> bool:
    """While a commitment of the reader's that is due on the mail's day is open (R-18, R-20)."""
    return state.pair.is_active and any(_is_due_for(c, effect) for c in state.commitments)


def _is_due_for(commitment: Commitment, effect: Effect) -> bool:
    pair = commitment.pair
    owner = commitment.owner.select(pair.manager, pair.report)
    return commitment.is_open and make_due_instant(commitment.due) == effect.start and effect.to == owner


def _find_session(effect: Effect, state: PairState) -> Session | None:
    """Return the session that the mail is about; None when the pair is not active."""
    return state.find_session(effect.subject) if state.pair.is_active else None


def holds_before_session(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the session is to come and has not moved far: the time is read anew when the mail is written (T-5, T-6)."""
    session = _find_session(effect, state)
    if session is None or not session.booked or session.span.start <= now:
        return False
    reader = state.manager if effect.to == state.manager.email else state.report
    if effect.start is None:
        return True
    return not has_moved_far(effect.name, reader, old_start=effect.start, new_start=session.span.start)


def has_moved_far(name: str, reader: Person, *, old_start: datetime, new_start: datetime) -> bool:
    """Return whether a session moved so far that the mail with that name is sent again (T-5, T-6, T-9).

    `old_start` is the start of the session that the earlier mail was about.
    """
    if name == MailName.BRIEF:
        old_day, new_day = (get_local_date(reader.zone, start) for start in (old_start, new_start))
        return count_mail_days(reader, old_day, new_day) > BRIEF_MOVED_DAYS
    limit = NOTE_MOVED_FAR if name == MailName.REVIEW_NOTE else MOVED_FAR
    return abs(new_start - old_start) > limit


def holds_until_contract(effect: Effect, state: PairState, now: datetime) -> bool:
    """While that holding of the session has no contract (T-7)."""
    session = _find_session(effect, state)
    return session is not None and session.state is SessionState.HELD and session.held_at == effect.start


def holds_unfinished(effect: Effect, state: PairState, now: datetime) -> bool:
    """While that session has no contract, whose time for one is over (T-7)."""
    session = _find_session(effect, state)
    return session is not None and session.state is SessionState.UNFINISHED


def holds_without_time(effect: Effect, state: PairState, now: datetime) -> bool:
    """While no time exists for the session."""
    session = _find_session(effect, state)
    return session is not None and session.owed and session.unplaceable is not None


def holds_after_deferral(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the session is to come, was not deferred once more since, and nobody chose its time: a person who chose one
    knows it, and the calendar tells the other. What the report says about it the manager hears in any case (R-18)."""
    session = _find_session(effect, state)
    if session is None or not session.booked or (session.by_hand and not _tells_reason(effect, state)):
        return False
    if effect.number < 0:  # what the report says about a move by hand, which is true while it is the last one
        last = max((d for d in state.deferrals if d.session == session.id), key=lambda d: d.position, default=None)
        return last is not None and last.number == effect.number and session.span.start > now
    return session.count == effect.number and session.span.start > now


def _tells_reason(effect: Effect, state: PairState) -> bool:
    """True for a mail to the manager about a deferral that the report has said something about."""
    explained = [d for d in state.deferrals if d.session == effect.subject and d.explained_at is not None]
    return effect.to == state.manager.email and any(d.number == effect.number for d in explained)


def holds_while_warned(effect: Effect, state: PairState, now: datetime) -> bool:
    """While something is booked over the session at that time."""
    session = _find_session(effect, state)
    if session is None:
        return False
    return session.booked and session.warned_at is not None and session.start == effect.start


def holds_at_that_time(effect: Effect, state: PairState, now: datetime) -> bool:
    """While the session is to come at the very time that the mail is about."""
    session = _find_session(effect, state)
    return session is not None and session.booked and session.start == effect.start and session.span.start > now


def make_due_instant(day: date) -> datetime:
    """Return the start of a mail about a due date: midnight UTC of that day."""
    return datetime.combine(day, time(), UTC)
