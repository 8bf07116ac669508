"""Notes after a conversation (R-28), which of their lines can go on to a new manager (R-36), and what mails mention
once (R-28, R-32)."""

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

#: The most lines of a note, and the most characters of a line.
MAX_NOTE_LINES, MAX_NOTE_CHARACTERS = 3, 300
#: How long after a conversation notes about it can be written and changed.
NOTE_PERIOD = timedelta(weeks=26)
#: Notes about conversations within this time before the end of a pair can go on to the report's new manager.
HANDOVER_PERIOD = timedelta(days=365)
#: How long after a commitment was done a mail may mention it to the other.
NEWS_PERIOD = timedelta(days=60)


def can_have_notes(session: Session) -> bool:
    """Return whether notes belong to the session: it is a part of a series without a contract, or ended unfinished."""
    has_no_contract = session.state is SessionState.HELD and not session.asks_contract
    is_part = session.kind is SessionKind.CAREER and has_no_contract
    return is_part or session.state is SessionState.UNFINISHED


def find_note_session(sessions: Iterable[Session], now: datetime) -> Session | None:
    """Return the last career session held, when notes belong to it; None otherwise, and when it is too long ago."""
    held = [s for s in sessions if s.kind is SessionKind.CAREER and s.held_at is not None and s.held_at <= now]
    latest = max(held, key=lambda s: s.held_at or now, default=None)
    if latest is None or latest.held_at is None or not can_have_notes(latest):
        return None
    return latest if latest.held_at > now - NOTE_PERIOD else None


def select_open_notes(notes: Iterable[SharedNote], sessions: Iterable[Session]) -> list[SharedNote]:
    """Return the notes that no contract has taken up yet, oldest first: those after the last session with a contract.

    These stand in the next brief.
    """
    contracted = [s.held_at for s in sessions if s.state is SessionState.CONTRACTED and s.held_at is not None]
    last_contract = max(contracted, default=None)
    return sorted(
        (note for note in notes if last_contract is None or note.held_at > last_contract),
        key=lambda note: (note.held_at, note.author.value),
    )


def list_note_lines(notes: Iterable[SharedNote], zone: str, ended_at: datetime) -> list[HandoverLine]:
    """Return each line of a pair's notes as one that can go on to a new manager, newest conversation first (R-36).

    These are the notes of the last year, whether or not a contract has taken them up. `zone`: where the report is.
    """
    recent = [note for note in notes if note.held_at > ended_at - HANDOVER_PERIOD]
    recent.sort(key=lambda note: note.author, reverse=True)  # the report's own first
    recent.sort(key=lambda note: note.held_at, reverse=True)
    kinds = {Owner.REPORT: HandoverLineKind.REPORT_NOTE, Owner.MANAGER: HandoverLineKind.MANAGER_NOTE}
    return [
        HandoverLine(kind=kinds[note.author], text=text, due=get_local_date(zone, note.held_at))
        for note in recent
        for text in note.lines
    ]


def clean_note_lines(lines: Sequence[str]) -> tuple[str, ...]:
    """Return the lines that say something, at most MAX_NOTE_LINES of at most MAX_NOTE_CHARACTERS characters each."""
    return tuple(line[:MAX_NOTE_CHARACTERS].strip() for line in lines if line.strip())[:MAX_NOTE_LINES]


def list_kept_commitments(commitments: Iterable[Commitment], reader: Owner, now: datetime) -> list[Commitment]:
    """Return the commitments of the other person that were done lately, in the order they were done (R-32)."""
    done = [
        c
        for c in commitments
        if c.owner is not reader
        and c.standing is CommitmentStanding.DONE
        and c.closed_at is not None
        and now - NEWS_PERIOD < c.closed_at <= now
    ]
    return sorted(done, key=lambda c: (c.closed_at, c.id))


def find_session_to_note(
    sessions: Iterable[Session], notes: Collection[SharedNote], reader: Owner, now: datetime
) -> Session | None:
    """Return the session about which a mail invites the reader to leave a note; None when the reader left one."""
    session = find_note_session(sessions, now)
    if session is None or any(note.session == session.id and note.author is reader for note in notes):
        return None
    return session


def make_note_mention(session: Session) -> str:
    """Return the mention by which a reader is invited once to leave a note about the session."""
    return f"note:{session.id}"
