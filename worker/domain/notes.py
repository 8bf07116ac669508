"""Selects notes: the lines that one of the two leaves for both after a conversation without a contract (R-28).

The module also selects the lines of notes that a report may pass on to a new manager (R-36), and the mentions of mails.
A mention is an addition that a reader gets only once: that the other one has kept a commitment (R-32), or an invitation
to leave a note.
"""

from collections.abc import Collection, Iterable, Sequence
from datetime import datetime, timedelta

from worker.domain.model import (
    Commitment,
    CommitmentStanding,
    HandoverLine,
    HandoverLineKind,
    Owner,
    Session,
    SessionKind,
    SessionState,
    SharedNote,
)
from worker.domain.time.worktime import get_local_date

MAX_NOTE_LINES = 3
#: The length limit of one line.
MAX_NOTE_CHARACTERS = 300
#: Notes about a conversation can be written and changed for this time after it.
NOTE_PERIOD = timedelta(weeks=26)
#: Notes about conversations within this time before the end of a pair can be passed on to the report's new manager.
HANDOVER_PERIOD = timedelta(days=365)
#: For this time after a commitment was done, a mail may mention it to the other person.
NEWS_PERIOD = timedelta(days=60)


def can_have_notes(session: Session) -> bool:
    """Return whether the two can leave notes about the session.

    Notes can be left after a part of a series that asks for no contract, and after a session whose contract was never
    recorded.
    """
    is_held_without_contract = session.state is SessionState.HELD and not session.asks_contract
    is_part_of_series = session.kind is SessionKind.CAREER and is_held_without_contract
    return is_part_of_series or session.state is SessionState.UNFINISHED


def find_note_session(sessions: Iterable[Session], now: datetime) -> Session | None:
    """Return the last career session that was held, if notes about it can be left at `now`; else None."""
    held = [s for s in sessions if s.kind is SessionKind.CAREER and s.held_at is not None and s.held_at <= now]
    latest = max(held, key=lambda s: s.held_at or now, default=None)  # `or now` is for the type checker alone
    if latest is None or latest.held_at is None or not can_have_notes(latest):
        return None
    return latest if latest.held_at > now - NOTE_PERIOD else None


def select_open_notes(notes: Iterable[SharedNote], sessions: Iterable[Session]) -> list[SharedNote]:
    """Return the notes about conversations after the last session with a contract, oldest first.

    The next brief shows these notes.
    """
    contracted = [s.held_at for s in sessions if s.state is SessionState.CONTRACTED and s.held_at is not None]
    last_contract = max(contracted, default=None)
    return sorted(
        (note for note in notes if last_contract is None or note.held_at > last_contract),
        key=lambda note: (note.held_at, note.author.value),
    )


def list_note_lines(notes: Iterable[SharedNote], zone: str, ended_at: datetime) -> list[HandoverLine]:
    """Return the lines of notes that the report may pass on to a new manager, newest conversation first (R-36).

    The lines are from all notes about conversations in the year before the pair ended at `ended_at`, whether or not a
    later conversation had a contract. `zone` is the report's time zone.
    """
    recent = [note for note in notes if note.held_at > ended_at - HANDOVER_PERIOD]
    # Both sorts are stable: about the same conversation, the report's own notes come first ("report" > "manager").
    recent.sort(key=lambda note: note.author, reverse=True)
    recent.sort(key=lambda note: note.held_at, reverse=True)
    kinds = {Owner.REPORT: HandoverLineKind.REPORT_NOTE, Owner.MANAGER: HandoverLineKind.MANAGER_NOTE}
    return [
        HandoverLine(kind=kinds[note.author], text=text, due=get_local_date(zone, note.held_at))
        for note in recent
        for text in note.lines
    ]


def clean_note_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that are not blank: at most MAX_NOTE_LINES, each cut to MAX_NOTE_CHARACTERS."""
    return tuple(line[:MAX_NOTE_CHARACTERS].strip() for line in lines if line.strip())[:MAX_NOTE_LINES]


def list_kept_commitments(commitments: Iterable[Commitment], reader: Owner, now: datetime) -> list[Commitment]:
    """Return the commitments that the other person has done within NEWS_PERIOD, the earliest done first (R-32).

    `reader` is the person of the pair who gets the mail that mentions the commitments.
    """
    done = [
        c
        for c in commitments
        if c.owner is not reader
        and c.standing is CommitmentStanding.DONE
        and c.closed_at is not None
        and now - NEWS_PERIOD < c.closed_at <= now
    ]
    return sorted(done, key=lambda c: (c.closed_at, c.id))


def find_session_without_note(
    sessions: Iterable[Session], notes: Collection[SharedNote], reader: Owner, now: datetime
) -> Session | None:
    """Return the session about which a mail can invite the reader to leave a note; None if the reader has left one."""
    session = find_note_session(sessions, now)
    if session is None or any(note.session == session.id and note.author is reader for note in notes):
        return None
    return session


def make_note_mention(session: Session) -> str:
    """Return the key of the mention that invites a reader to leave a note about the session."""
    return f"note:{session.id}"
