"""Decides whether a mail is still valid when it is about to be sent.

There is one function for each condition, and the table of mails (`worker.mail.kinds`) names the function for each mail.
A mail that is no longer valid is dropped: for example, the brief of a session that was cancelled. `Effect.start` is the
instant that the mail is about (see its comment), and is compared with what the state has now.
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

#: The prompt is sent again when the session moves by more than this after the first prompt (T-5).
MOVED_FAR = timedelta(days=14)
#: The brief is sent again when the session moves by more than this number of the manager's working days (T-6).
BRIEF_MOVED_DAYS = 3
#: The note before a review is sent again when the review moves by more than this, since the note is for one day.
NOTE_MOVED_FAR = timedelta(hours=12)

#: A function that returns whether a mail is still valid, given the mail, the pair's current state, and the present
#: instant.
ValidityCheck = Callable[[Effect, PairState, datetime], bool]


def is_valid_always(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return True, for a mail that stays valid whatever happens to the pair."""
    return True


def is_valid_while_active(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the pair is active."""
    return state.pair.is_active


def is_valid_after_end(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the pair has ended, and the reader gets no other mail that says so (R-36).

    A report with a new manager gets another mail. Nothing is sent when the pair does not take part at the moment, for
    example while everybody is paused.
    """
    handover = state.outgoing_handover
    has_new_manager = handover is not None and handover.pair is not None
    gets_other_mail = effect.to == state.report.email and has_new_manager
    is_withheld = state.pair.participation is not Participation.YES
    return state.pair.ended is not EndReason.NO and not (gets_other_mail or is_withheld)


def is_valid_after_handover(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the report still has the new manager that the mail is about (R-36)."""
    handover = state.incoming_handover
    return state.pair.is_active and handover is not None and handover.ended_at == effect.start


def is_valid_during_round(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the pair is active and the month of the pulse's round is not over (R-37).

    The number of the mail is the year and the month of the round, such as 202609.
    """
    return state.pair.is_active and effect.number == int(f"{now:%Y%m}")


def is_valid_with_open_promises(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the report has another manager, and a promise of the former manager is open (R-36)."""
    return state.pair.ended is EndReason.CHANGED and bool(list_open_promises(state.commitments))


def list_open_promises(commitments: Iterable[Commitment]) -> list[Commitment]:
    """Return the open promises, which are the manager's open commitments."""
    return [c for c in commitments if c.is_open_promise_of_manager]


def is_valid_while_commitment_due(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the reader has an open commitment that is due on the day that the mail is about (R-18, R-20)."""
    return state.pair.is_active and any(_is_due_for(c, effect) for c in state.commitments)


def _is_due_for(commitment: Commitment, effect: Effect) -> bool:
    """Return whether the commitment is open, due on the mail's day, and owned by the reader of the mail."""
    pair = commitment.pair
    owner = commitment.owner.select(pair.manager, pair.report)
    return commitment.is_open and make_due_instant(commitment.due) == effect.start and effect.to == owner


def _find_session(effect: Effect, state: PairState) -> Session | None:
    """Return the session that the mail is about; None when the pair is not active or the session is unknown."""
    return state.find_session(effect.subject) if state.pair.is_active else None


def is_valid_before_session(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the session is still to come and has not moved far (T-5, T-6).

    After a small move the mail stays valid, because its text is made from the session's current time.
    """
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


def is_valid_until_contract(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the session is held, still without a contract, and with the end that the mail is about (T-7)."""
    session = _find_session(effect, state)
    return session is not None and session.state is SessionState.HELD and session.held_at == effect.start


def is_valid_when_unfinished(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the session is unfinished: no contract was recorded in time (T-7)."""
    session = _find_session(effect, state)
    return session is not None and session.state is SessionState.UNFINISHED


def is_valid_while_unplaceable(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the session is unplaceable: it is owed, and no time exists for it."""
    session = _find_session(effect, state)
    return session is not None and session.owed and session.unplaceable is not None


def is_valid_after_deferral(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the notice of a deferral is still valid.

    The session has to be in the future, and not deferred again since. The notice is not needed when a person has chosen
    the session's time, since that person knows the time and the calendar shows it to the other. A notice to the manager
    that contains an explanation by the report is sent in any case (R-18).
    """
    session = _find_session(effect, state)
    if session is None or not session.booked or session.span.start <= now:
        return False
    if session.by_hand and not _has_explanation(effect, state):
        return False
    if effect.number < 0:  # about a move by hand: valid while no later loss of the session's time follows
        losses = [deferral for deferral in state.deferrals if deferral.session == session.id]
        last_loss = max(losses, key=lambda deferral: deferral.position, default=None)
        return last_loss is not None and last_loss.number == effect.number
    return session.count == effect.number


def _has_explanation(effect: Effect, state: PairState) -> bool:
    """Return whether the mail is to the manager, about a deferral or move that the report has explained."""
    explained = [d for d in state.deferrals if d.session == effect.subject and d.explained_at is not None]
    return effect.to == state.manager.email and any(d.number == effect.number for d in explained)


def is_valid_during_clash(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the warning still applies: an event clashes with the session at the time that the mail names."""
    session = _find_session(effect, state)
    if session is None:
        return False
    return session.booked and session.warned_at is not None and session.start == effect.start


def is_valid_while_time_unchanged(effect: Effect, state: PairState, now: datetime) -> bool:
    """Return whether the session is in the future and still at the time that the mail is about."""
    session = _find_session(effect, state)
    return session is not None and session.booked and session.start == effect.start and session.span.start > now


def make_due_instant(day: date) -> datetime:
    """Return the value of `Effect.start` for a mail about a due date: midnight UTC of that day."""
    return datetime.combine(day, time(), UTC)
