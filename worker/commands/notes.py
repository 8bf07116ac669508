"""`longarc note`: leaves a note for both people after a conversation, and opens the notes of a pair (R-28).

Each command requires `--on-behalf-of` and `--reason`, writes a line to the history, and tells both people by mail.
"""

from collections.abc import Sequence

import click

from worker.commands.arguments import (
    find_pair,
    find_session,
    get_display_name,
    pair_argument,
    read_text_file,
    session_argument,
)
from worker.commands.base import CommandGroup
from worker.commands.context import open_worker, to_local_time
from worker.commands.contracts import behalf_option, reason_option, require_on_behalf
from worker.commands.terminal import format_day, print_line
from worker.errors import Problem, Problems


@click.group("note", cls=CommandGroup, short_help="Notes for both after a conversation: add, show.")
def note() -> None:
    """Leave a note for both after a conversation that has no contract, and open the notes of a pair."""


@note.command("add", short_help="Leave up to three lines for both after a conversation.")
@session_argument
@click.argument("file", metavar="FILE")
@behalf_option
@reason_option
def add(session_id: str, file: str, person: str | None, reason: str) -> None:
    """Leave up to three lines about SESSION for both, from FILE (`-` for standard input), in the name of one of them.

    The lines replace those that this person left before; an empty file deletes them. They are shown in the next brief
    and on both people's pages.
    """
    from worker.domain.model import ContentAccess
    from worker.engine.notes import require_note_session

    with open_worker(needs_encryption_key=True) as worker:
        session = find_session(worker.store, session_id)
        on_behalf = require_on_behalf(worker.store, session.pair, ContentAccess.LEAVE_NOTE, person, reason)
        lines = [line.strip() for line in read_text_file(file).splitlines() if line.strip()]
        require_note_session(session)
        _refuse_long_note(lines, get_display_name(file))
        author = session.pair.get_owner(on_behalf.person)
        # records the access and adds the mails about it, in the transaction that saves the note
        write_access = worker.contracts.make_access_writer(session.pair, on_behalf)
        worker.notes.save(session_id, author, lines, write_access)
    result = "The note will be in the next brief and on both pages." if lines else "This person has no note there now."
    print_line(result)


def _refuse_long_note(lines: Sequence[str], file: str) -> None:
    """Raise Problems when there are too many lines, or a line is too long."""
    from worker.domain.notes import MAX_NOTE_CHARACTERS, MAX_NOTE_LINES

    problems = [
        Problem(f"{file}:{number}", f"This line has more than {MAX_NOTE_CHARACTERS} characters.", "Shorten it.")
        for number, line in enumerate(lines, 1)
        if len(line) > MAX_NOTE_CHARACTERS
    ]
    if len(lines) > MAX_NOTE_LINES:
        problems.append(Problem(file, f"There are more than {MAX_NOTE_LINES} lines.", "Keep what matters most."))
    if problems:
        raise Problems(problems)


@note.command("show", short_help="Open and print the notes of a pair.")
@pair_argument
@behalf_option
@reason_option
def show(pair_words: Sequence[str], person: str | None, reason: str) -> None:
    """Open the notes of a pair and print them, newest conversation first. Both people are told by mail."""
    from worker.domain.model import ContentAccess

    with open_worker(needs_encryption_key=True) as worker:
        pair = find_pair(worker.store, pair_words)
        on_behalf = require_on_behalf(worker.store, pair.id, ContentAccess.SHOW_NOTES, person, reason)
        notes = worker.store.notes.list_notes(pair.id)
        zone = worker.store.people.load_all_people()[pair.manager].zone
        worker.contracts.record_access(pair.id, on_behalf)
    if not notes:
        print_line("There are no notes.")
    for stored_note in notes:
        day = format_day(to_local_time(stored_note.held_at, zone).date())
        click.echo(f"{day}, session {stored_note.session}, by the {stored_note.author.value}:")
        for line in stored_note.lines:
            click.echo(f"- {line}")
