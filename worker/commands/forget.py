"""`longarc forget`: erases what a person and others wrote to each other, and takes who has left out of the database."""

from typing import TYPE_CHECKING

import click

from worker.commands.arguments import find_person
from worker.commands.base import Command, CommandFailed
from worker.commands.context import open_worker
from worker.commands.terminal import format_count, print_line
from worker.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Collection

    from worker.domain.model import Address
    from worker.engine.erasure import ErasurePreview, ErasureResult
    from worker.settings.load import Settings

#: One and several of what is erased, by the table that holds it.
_NAMES = {
    "contract": ("revision of a contract", "revisions of contracts"),
    "sketch": ("draft", "drafts"),
    "commitment": ("commitment's words", "commitments' words"),
    "session": ("reason to talk soon", "reasons to talk soon"),
    "deferral": ("reason for another time", "reasons for another time"),
    "learning": ("sentence on a manager's learning", "sentences on managers' learning"),
    "note": ("note", "notes"),
    "access": ("reason for an access", "reasons for accesses"),
    "handover": ("handover", "handovers"),
}
#: What this program has no hand on.
_ELSEWHERE = (
    "This can't be taken back. It does not reach backups, logs, the roster, mailboxes, past conversations on "
    "calendars, or what others wrote about the person in their own pairs."
)


@click.command("forget", cls=Command, short_help="Erase a person's contents, and forget who has left.")
@click.argument("address", metavar="PERSON")
@click.option("--contents", is_flag=True, help="Erase the contents only. The person and their pairs stay.")
@click.option("--leave-events", is_flag=True, help="Go on although events of theirs can't be taken off calendars.")
@click.option("--confirm", metavar="ADDRESS", help="The address again, instead of being asked for it.")
def forget(address: str, contents: bool, leave_events: bool, confirm: str | None) -> None:
    """Erase what was written in all pairs of PERSON, for both of each, and take PERSON out of the database.

    Contracts, the words of commitments, notes, reasons, drafts, and questions to third persons are erased. A pseudonym
    takes the place of the name and the address in every row; who met when stays. PERSON has to be out of the roster.
    Of somebody who stays, --contents erases the contents only; open commitments are let go.
    """
    with open_worker(needs_encryption_key=True) as worker:
        person = find_person(worker.store, worker.store.people.load_all_people(), address)
        preview = worker.erasure.preview(person)
        if preview.is_listed and not contents:
            raise Refused(
                f"{person} is still in the roster, and would come back with its next reading. Take the person out of "
                "it first, or erase only what was written: --contents."
            )
        _show_preview(person, preview, contents=contents)
        _require_address(worker.store.aliases.list_names(person), confirm)
        if contents:
            result = worker.erasure.erase_contents(person)
        else:
            names = worker.store.aliases.list_names(person)
            result = worker.erasure.forget(person, leaves_events=leave_events)
            _delete_grants(worker.settings, names)
    _show_result(result)


def _show_preview(person: "Address", preview: "ErasurePreview", *, contents: bool) -> None:
    names = [format_count(count, *_NAMES.get(table, (table, table))) for table, count in sorted(preview.counts.items())]
    print_line(f"In {format_count(len(preview.pairs), 'pair')} of {person}: {', '.join(names) or 'nothing written'}.")
    print_line("Questions to third persons, by the person or to the person, go as well.")
    if preview.others:
        more = f" and {len(preview.others) - 10:,} more" if len(preview.others) > 10 else ""
        print_line(
            f"What was written belongs to two: it is erased for {', '.join(preview.others[:10])}{more} as well. "
            "`longarc export`, or the page of each, keeps a copy.",
            "yellow",
        )
    if not contents:
        print_line("A pseudonym takes the place of the name and the address in every row.")
    print_line(_ELSEWHERE)


def _require_address(names: "Collection[str]", confirm: str | None) -> None:
    """Raises CommandFailed unless the operator gives the person's address once more."""
    from worker.providers.identities import normalize

    if confirm is None:
        try:
            confirm = str(click.prompt("Type the address again to erase", default="", show_default=False))
        except click.Abort:
            confirm = ""
            click.echo(err=True)
    if normalize(confirm) not in names:
        raise CommandFailed("That is not the address. Nothing was erased.")


def _delete_grants(settings: "Settings", names: "Collection[str]") -> None:
    """Delete the grants by which the person connected an account of their own."""
    from worker.providers.google.auth import TokenFolder

    keys = [key.get_secret_value() for key in settings.keys]
    for folder in {section.token_folder for section in (settings.calendars.google, settings.mailers.google)}:
        for name in names:
            TokenFolder(folder, keys).delete(name)


def _show_result(result: "ErasureResult") -> None:
    pieces = format_count(result.pieces, "piece was", "pieces were")
    questions = format_count(result.questions, "question to a third person", "questions to third persons")
    print_line(f"{pieces} erased, and {questions}.", "green")
    if result.blocks:
        print_line(f"{format_count(result.blocks, 'private event')} with the words of a commitment came off.")
    for calendar, why in result.unreached.items():
        print_line(f"{calendar}: private events with words of commitments still stand: {why}", "red")
    if result.pseudonym:
        print_line(f"In the database the person is {result.pseudonym.name} ({result.pseudonym.email}) from now on.")
    if not result.is_compacted:
        print_line(
            "The database file is in use, so it could not be rewritten; what was deleted in it is overwritten with "
            "zeros. Its journal (-wal) is emptied when the workers stop.",
            "yellow",
        )
