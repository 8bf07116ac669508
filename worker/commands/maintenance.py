"""`longarc check`, `retry`, `key` and `rotate`: find what is wrong with an installation, and change its key."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from worker.clock import utcnow
from worker.commands.arguments import find_person, json_option
from worker.commands.base import Command, CommandFailed, describe_failure
from worker.commands.context import find_settings_path, open_worker
from worker.commands.terminal import print_finding, print_json, print_line
from worker.domain.counts import format_count
from worker.errors import LongarcError

if TYPE_CHECKING:
    from worker.providers.base import Finding
    from worker.settings.load import Settings

#: How many passed checks are printed; further ones are only counted.
MAX_SHOWN = 40


@click.command("check", cls=Command, short_help="Try everything Longarc needs, and print a remedy for each problem.")
@json_option
def check(as_json: bool) -> None:
    """Try everything Longarc needs: settings, database, key, people, mails, calendars, mail servers. Changes nothing.

    The exit code is 1 when anything fails. A warning is about something that works but should be changed.
    """
    import logging

    from worker.ops.checks import run_checks

    logging.disable(logging.ERROR)  # a finding reports the same error, with a remedy
    try:
        findings, passed_count = list["Finding"](), 0
        for finding in run_checks(find_settings_path(), os.environ, utcnow()):
            findings.append(finding)
            has_passed = finding.ok and not finding.remedy  # a finding that is true and has a remedy is a warning
            passed_count += has_passed
            is_hidden = has_passed and passed_count > MAX_SHOWN
            if not as_json and not is_hidden:
                print_finding(finding)
    finally:
        logging.disable(logging.NOTSET)
    failed_count = sum(not finding.ok for finding in findings)
    warning_count = sum(finding.ok and bool(finding.remedy) for finding in findings)
    hidden_count = passed_count - MAX_SHOWN
    if as_json:
        print_json([{"what": finding.statement, "ok": finding.ok, "remedy": finding.remedy} for finding in findings])
    elif hidden_count > 0:
        print_line(f"  … and {hidden_count:,} more passed", "dim")
    if failed_count:
        raise CommandFailed(f"{failed_count:,} of {format_count(len(findings), 'check')} failed.")
    if not as_json:
        warnings = f", with {format_count(warning_count, 'warning')}" if warning_count else ""
        print_line(f"All {format_count(len(findings), 'check')} passed{warnings}.", "green")


@click.command("retry", cls=Command, short_help="Try a suspended calendar again at once.")
@click.argument("addresses", nargs=-1, metavar="ADDRESS...")
@click.option("--all", "all_suspended", is_flag=True, help="All suspended calendars.")
def retry(addresses: Sequence[str], all_suspended: bool) -> None:
    """Try suspended calendars again at once, after their access was restored.

    A calendar is suspended for an hour when its log-in is refused or its grant revoked.
    """
    if all_suspended == bool(addresses):  # both or neither
        raise click.UsageError("Give the address of a person, or --all.")
    with open_worker() as worker:
        people = worker.store.people.load_all_people()
        persons = [find_person(worker.store, people, address) for address in addresses]
        for person in persons or sorted(worker.store.people.load_suspensions()):
            was_suspended = worker.store.calendars.lift_suspension(person, utcnow())
            note = "" if was_suspended else " (it was not suspended)"
            print_line(f"The calendar of {person} is tried within a minute, while `longarc run` is running{note}.")
        if all_suspended and not worker.store.people.load_suspensions():
            print_line("No calendar is suspended any more.", "dim")


@click.command("key", cls=Command, short_help="Print a new key for LONGARC_KEY.")
def key() -> None:
    """Print a new key for LONGARC_KEY. It is stored nowhere: without it, sealed content can't be opened any more."""
    from worker.seal import generate_key

    click.echo(generate_key())


@click.command("rotate", cls=Command, short_help="Seal everything anew with the first key of LONGARC_KEY.")
def rotate() -> None:
    """Seal everything anew with the first key of LONGARC_KEY.

    To change keys: put the new key first and the old one after it, separated by a comma. Restart `longarc run`
    everywhere. Run this command. Then remove the old key.
    """
    with open_worker(needs_encryption_key=True) as worker:
        piece_count, failures = worker.store.content.reseal_all(), list[str]()
        worker.store.third_voices.renew_tags()  # keyed digests of addresses, which depend on the first key, too
        for renew in _list_grant_renewals(worker.settings):
            try:
                renew()
            except (LongarcError, OSError) as error:
                failures.append(describe_failure(error))
            else:
                piece_count += 1
    sealed_text = f"{format_count(piece_count, 'piece')} sealed anew."
    if failures:
        remedy = "Fix that and run this again; the keys after the first may be needed until then."
        raise CommandFailed("\n".join([*failures, f"{sealed_text} {remedy}"]))
    print_line(f"{sealed_text} The keys after the first are not needed any more.", "green")


def _list_grant_renewals(settings: "Settings") -> Iterator[Callable[[], None]]:
    """Yield a function for each stored grant of a connected account, which seals that grant anew."""
    keys = [key.get_secret_value() for key in settings.keys]
    for folder in {section.token_folder for section in (settings.calendars.google, settings.mailers.google)}:
        if folder.is_dir():
            from worker.providers.google.auth import TokenFolder

            token_folder = TokenFolder(folder, keys)
            yield from (partial(token_folder.reseal, person) for person in token_folder.list_people())
    file = settings.calendars.outlook.account_file
    if file.exists():
        from worker.providers.outlook.auth import TokenCacheFile
        from worker.seal import Seal

        yield TokenCacheFile(file, Seal(keys)).reseal
