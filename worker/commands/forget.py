"""`longarc forget`: erases what was written in the pairs of a person, and removes a former person from the database."""

from typing import TYPE_CHECKING

import click

from worker.commands.arguments import find_person
from worker.commands.base import Command, CommandFailed
from worker.commands.context import open_worker
from worker.commands.terminal import print_line
from worker.domain.counts import format_count
from worker.errors import Refused

if TYPE_CHECKING:
    from collections.abc import Collection

    from worker.domain.model import Address
    from worker.engine.erasure import ErasurePreview, ErasureResult
    from worker.settings.load import Settings

#: How many of the other people in the pairs are named.
MAX_SHOWN = 10
#: What each kind of erased content is called, in the singular and the plural, by the name of its table.
_CONTENT_NAMES = {
    "contract": ("revision of a contract", "revisions of contracts"),
    "sketch": ("draft", "drafts"),
    "commitment": ("commitment's words", "commitments' words"),
    "session": ("reason to talk soon", "reasons to talk soon"),
    "deferral": ("reason for another time", "reasons for another time"),
    "learning": ("sentence on a manager's learning", "sentences on managers' learning"),
    "note": ("note", "notes"),
    # an access: an operator read or changed content by a command
    "access": ("reason for an access", "reasons for accesses"),
    "handover": ("handover", "handovers"),
}
#: What this command does not erase.
_LIMITS_TEXT = (
    "This can't be taken back. It does not reach backups, logs, the roster, mailboxes, past conversations on "
    "calendars, or what others wrote about the person in their own pairs."
)


@click.command("forget", cls=Command, short_help="Erase a person's contents, and forget a person who has left.")
@click.argument("address", metavar="PERSON")
@click.option(
    "--contents", "contents_only", is_flag=True, help="Erase the contents only. The person and their pairs stay."
)
@click.option(
    "--leave-events", is_flag=True, help="Go on even if some of their events can't be removed from calendars."
)
@click.option(
    "--confirm", "confirmed_address", metavar="ADDRESS", help="The address again, instead of being asked for it."
)
def forget(address: str, contents_only: bool, leave_events: bool, confirmed_address: str | None) -> None:
    """Erase what was written in all pairs of PERSON, for both people, and remove PERSON from the database.

    Contracts, the words of commitments, notes, reasons, drafts, and questions to third persons are erased. A pseudonym
    replaces the name and the address in every row. The dates of conversations stay. PERSON must not be in the roster.

    For somebody who stays in the roster, --contents erases the contents only. Their open commitments are let go.
    """
    with open_worker(needs_encryption_key=True) as worker:
        person = find_person(worker.store, worker.store.people.load_all_people(), address)
        preview = worker.erasure.preview(person)
        if preview.is_listed and not contents_only:
            raise Refused(
                f"{person} is still in the roster, and would come back when it is read next. Take the person out of "
                "the roster first, or erase only what was written: --contents."
            )
        _show_preview(person, preview, contents_only=contents_only)
        _require_address(worker.store.aliases.list_names(person), confirmed_address)
        if contents_only:
            result = worker.erasure.erase_contents(person)
        else:
            names = worker.store.aliases.list_names(person)  # listed first, since `forget` replaces them
            result = worker.erasure.forget(person, leaves_events=leave_events)
            _delete_grants(worker.settings, names)
    _show_result(result)


def _show_preview(person: "Address", preview: "ErasurePreview", *, contents_only: bool) -> None:
    """Print what would be erased, and for whom."""
    counts = [
        format_count(count, *_CONTENT_NAMES.get(table, (table, table)))
        for table, count in sorted(preview.value_counts.items())
    ]
    print_line(f"In {format_count(len(preview.pairs), 'pair')} of {person}: {', '.join(counts) or 'nothing written'}.")
    print_line("Questions to third persons, by the person or to the person, are erased as well.")
    if preview.other_people:
        hidden_count = len(preview.other_people) - MAX_SHOWN
        more = f" and {hidden_count:,} more" if hidden_count > 0 else ""
        print_line(
            "What was written belongs to two people: it is erased for "
            f"{', '.join(preview.other_people[:MAX_SHOWN])}{more} as well. `longarc export`, or the page of each of "
            "them, makes a copy.",
            "yellow",
        )
    if not contents_only:
        print_line("A pseudonym replaces the name and the address in every row.")
    print_line(_LIMITS_TEXT)


def _require_address(names: "Collection[str]", confirmed_address: str | None) -> None:
    """Raise CommandFailed unless the operator gives the person's address once more.

    `names`: all addresses of the person. `confirmed_address`: the address of `--confirm`; None asks for it.
    """
    from worker.providers.identities import normalize_alias

    if confirmed_address is None:
        try:
            confirmed_address = str(click.prompt("Type the address again to erase", default="", show_default=False))
        except click.Abort:
            confirmed_address = ""
            click.echo(err=True)
    if normalize_alias(confirmed_address) not in names:
        raise CommandFailed("That is not the address. Nothing was erased.")


def _delete_grants(settings: "Settings", names: "Collection[str]") -> None:
    """Delete the stored grants of the Google accounts that the person connected, under any of these addresses."""
    from worker.providers.google.auth import TokenFolder

    keys = [key.get_secret_value() for key in settings.keys]
    for folder in {section.token_folder for section in (settings.calendars.google, settings.mailers.google)}:
        for name in names:
            TokenFolder(folder, keys).delete(name)


def _show_result(result: "ErasureResult") -> None:
    pieces = format_count(result.value_count, "piece was", "pieces were")
    questions = format_count(result.question_count, "question to a third person", "questions to third persons")
    print_line(f"{pieces} erased, and {questions}.", "green")
    if result.block_count:
        verb = "was" if result.block_count == 1 else "were"
        count = format_count(result.block_count, "private event")
        print_line(f"{count} with the words of a commitment {verb} removed from calendars.")
    for calendar, reason in result.unreached_calendars.items():
        print_line(f"{calendar}: private events with words of commitments are still there: {reason}", "red")
    if result.pseudonym:
        print_line(f"In the database the person is {result.pseudonym.name} ({result.pseudonym.email}) from now on.")
    if not result.is_compacted:
        print_line(
            "The database file is in use, so it could not be rewritten. What was deleted in it was overwritten with "
            "zeros. Its journal (-wal) is emptied when the workers stop.",
            "yellow",
        )
