"""`longarc export`: writes everything that is stored about a person into a folder or an archive.

The folder or archive holds the data as JSON, and as a page to read.
"""

import json
import os
import re
from datetime import datetime
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from worker import private_files
from worker.clock import utcnow
from worker.commands.arguments import TextLine, find_person, require_folder_of
from worker.commands.base import Command
from worker.commands.context import open_worker
from worker.commands.contracts import require_on_behalf
from worker.commands.terminal import print_line
from worker.commands.written_files import refuse_used_file
from worker.domain.counts import format_count
from worker.errors import LongarcError

if TYPE_CHECKING:
    from worker.app import Worker
    from worker.domain.model import Address, PairId

#: The names of the two files of an export.
JSON_NAME, PAGE_NAME = "data.json", "index.html"


@click.command("export", cls=Command, short_help="Write everything that is stored about a person into a file.")
@click.argument("address", metavar="PERSON")
@click.option(
    "--out",
    type=click.Path(path_type=Path),
    metavar="PATH",
    help="A new folder, or a new archive whose name ends in .zip. Default: an archive in the current folder.",
)
@click.option("--without-content", is_flag=True, help="Leave out what people wrote. Then nobody is told.")
@click.option(
    "--reason", type=TextLine(), metavar="TEXT", default="", help="Why you do this. Both people of each pair are told."
)
def export(address: str, out: Path | None, without_content: bool, reason: str) -> None:
    """Write everything that is stored about PERSON: data.json for a program, and index.html to read, in their language.

    Contracts, commitments and notes belong to two people. When a pair of PERSON has any, both people are told by mail
    that they were put into a file for PERSON, and why. So --reason is required, unless you leave them out. Questions to
    third persons are never in the file, since PERSON has them on their own page.
    """
    with open_worker(needs_encryption_key=not without_content) as worker:
        person = find_person(worker.store, worker.store.people.load_all_people(), address)
        target = out or Path(f"longarc-{_make_file_name(person)}-{utcnow():%Y-%m-%d}.zip")
        _refuse_unusable_target(target)
        pairs_with_content = [] if without_content else _record_accesses(worker, person, reason)
        files = _build_files(worker, address=person, has_content=not without_content)
    _write_files(target, files)
    print_line(f"{target} holds what is stored about {person}: {', '.join(files)}.", "green")
    if pairs_with_content:
        count = format_count(len(pairs_with_content), "pair")
        print_line(f"Both people of {count} are told by mail that what they wrote is in it.")
    elif without_content:
        print_line("What people wrote was left out.")


def _make_file_name(person: "Address") -> str:
    """Return the part of the address before the @, without characters that a file name can't have."""
    return re.sub(r"[^a-z0-9.-]", "-", person.partition("@")[0])


def _refuse_unusable_target(target: Path) -> None:
    """Raise LongarcError when the file or folder of the export exists already, or has no folder to be made in."""
    if os.path.lexists(target):  # a link that leads nowhere exists
        raise LongarcError(f"{target} exists already. Name another file or folder with --out.")
    require_folder_of(target)
    refuse_used_file(target)


def _record_accesses(worker: "Worker", person: "Address", reason: str) -> "list[PairId]":
    """Record an access to the content of each pair that has any, and return these pairs.

    An access names the person on whose behalf content is opened, and the reason. Both people of the pair are told of it
    by mail. It is recorded before any content is opened. Raises UsageError when there are such pairs and no reason is
    given.
    """
    from worker.domain.model import ContentAccess

    pair_ids = [pair.id for pair in worker.erasure.list_pairs(person)]
    pairs_with_content = [pair_id for pair_id in pair_ids if worker.store.erasure.count_contents([pair_id])]
    if pairs_with_content and not reason.strip():
        raise click.UsageError(
            'This puts what two people wrote into a file. Say why: --reason "...". Both are told by mail. Or leave it '
            "out: --without-content."
        )
    accesses = {
        pair_id: require_on_behalf(worker.store, pair_id, ContentAccess.EXPORT, person, reason)
        for pair_id in pairs_with_content
    }
    for pair_id, on_behalf in accesses.items():
        worker.contracts.record_access(pair_id, on_behalf)
    return pairs_with_content


def _build_files(worker: "Worker", *, address: "Address", has_content: bool) -> dict[str, bytes]:
    """Return the content of each file, by name."""
    from worker.mail.templates import load_default_templates
    from worker.ops.personal_data import collect_for_operator, encode_value
    from worker.ops.personal_data_page import render_data_page

    person = worker.store.people.load_all_people()[address]
    data: dict[str, Any] = collect_for_operator(worker, person, has_content=has_content)
    language = load_default_templates().languages.find_language(person.locale)
    text = json.dumps(data, indent=2, ensure_ascii=False, default=encode_value)
    page = render_data_page(data, person, language, has_content=has_content)
    return {JSON_NAME: f"{text}\n".encode(), PAGE_NAME: page.encode()}


def _write_files(target: Path, files: dict[str, bytes]) -> None:
    """Write the files for their owner alone: into a new folder, or into an archive."""
    if target.suffix.casefold() != ".zip":
        private_files.make_folder(target)
        for name, content in files.items():
            private_files.write_new(target / name, content)
        return
    from zipfile import ZIP_DEFLATED, ZipFile, ZipInfo

    buffer = BytesIO()
    with ZipFile(buffer, "w", ZIP_DEFLATED) as archive:
        for name, content in files.items():
            entry = ZipInfo(name, _get_zip_time(utcnow()))
            entry.external_attr = private_files.FILE_MODE << 16  # the upper 16 bits are the mode of a Unix file
            archive.writestr(entry, content, ZIP_DEFLATED)
    private_files.write_new(target, buffer.getvalue())


def _get_zip_time(now: datetime) -> tuple[int, int, int, int, int, int]:
    return (now.year, now.month, now.day, now.hour, now.minute, now.second)
