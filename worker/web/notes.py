"""What the pages of both people show of the pair's notes (R-28), and of commitments that the other has kept (R-32).

A note is up to three lines that one of the two leaves for both after a conversation without a contract.
"""

from collections.abc import Collection, Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from flask import abort, request

from worker.domain.model import Owner, Pair, PairState, Session
from worker.domain.notes import MAX_NOTE_CHARACTERS, MAX_NOTE_LINES, find_note_session, list_kept_commitments
from worker.i18n.language import to_single_line
from worker.mail.lines import Line
from worker.mail.view import MailView
from worker.web.site import current_site


@dataclass(frozen=True, slots=True)
class NoteEntry:
    """A note as a page shows it."""

    session: str  #: the id of the session that the note is about
    caption: str  #: the author of the note, and the day of the conversation
    lines: tuple[str, ...]
    is_own: bool  #: whether the reader wrote it


@dataclass(frozen=True, slots=True)
class SharedNotes:
    """The notes of a pair, newest conversation first, and the form for a note about the last conversation.

    There is no form when that conversation can have no notes.
    """

    notes: Sequence[NoteEntry]
    session: str = ""  #: the id of the session that the form is about; empty when there is no form
    day: str = ""  #: the day of that session
    lines: Sequence[str] = ()  #: the texts in the form's fields
    is_written: bool = False  #: whether the reader has left a note about that session
    max_characters: int = MAX_NOTE_CHARACTERS


def load_shared_notes(view: MailView, pair: Pair, state: PairState, reader: Owner) -> SharedNotes:
    """Return the decrypted notes of a pair, with the form for the reader. Raises WrongKey.

    `view` formats the texts about the pair in the reader's language, for pages as for mails.
    """
    site = current_site()
    notes = site.store.notes.list_notes(pair.id)
    entries = [NoteEntry(note.session, view.describe_author(note), note.lines, note.author is reader) for note in notes]
    session = find_note_session(state.sessions, site.now())
    if session is None or session.held_at is None:
        return SharedNotes(entries)
    own_lines = next((note.lines for note in notes if note.session == session.id and note.author is reader), ())
    form_lines = [*own_lines, *[""] * MAX_NOTE_LINES][:MAX_NOTE_LINES]
    return SharedNotes(
        entries, session=session.id, day=view.day(session.held_at), lines=form_lines, is_written=bool(own_lines)
    )


def leave_note(pair: Pair, session_id: str, author: Owner) -> str:
    """Store the note in the submitted form, or delete the author's note when the form has no text.

    Returns the name of the confirmation that the next page shows (a key of `CONFIRMATIONS`). Aborts with 404 unless the
    session is one of that pair.
    """
    site = current_site()
    session: Session | None = site.store.queries.get_session(session_id)
    if session is None or session.pair != pair.id:
        abort(404)
    lines = [to_single_line(request.form.get(f"line-{number}", "")) for number in range(MAX_NOTE_LINES)]
    site.worker.notes.save(session_id, author, lines)
    return "noted" if any(lines) else "unnoted"


def list_kept_lines(views: Collection[MailView], reader: Owner, now: datetime) -> list[list[Line]]:
    """Return, for each view, the other person's commitments that were kept lately and that no mail mentions yet.

    A kept commitment is mentioned to the reader once (R-32): by a mail, and on the page until that mail is sent.
    """
    kept_by_view = [
        list_kept_commitments([entry.commitment for entry in view.context.commitments], reader, now) for view in views
    ]
    ids = [commitment.id for commitments in kept_by_view for commitment in commitments]
    mentioned_ids = current_site().store.mentions.list_mentioned(reader, ids)
    return [
        _make_lines(view, [c.id for c in commitments if c.id not in mentioned_ids])
        for view, commitments in zip(views, kept_by_view, strict=True)
    ]


def _make_lines(view: MailView, commitment_ids: Collection[str]) -> list[Line]:
    """Return a line for each of these commitments, formatted as in a mail."""
    entries = tuple(entry for entry in view.context.commitments if entry.commitment.id in commitment_ids)
    return MailView(replace(view.context, kept_commitments=entries), view.language).kept_lines()
