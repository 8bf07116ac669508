"""What an operator does now and then: `check`, `people`, `key`, `rotate`."""

import os
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from typing import TYPE_CHECKING

import click

from worker.clock import utcnow
from worker.commands.arguments import find_person, json_option
from worker.commands.base import Command, CommandFailed, describe_failure
from worker.commands.context import find_settings_path, load_settings, open_store, open_worker, set_up_quiet_logging
from worker.commands.terminal import format_count, print_json, print_line
from worker.errors import LongarcError, Refused

if TYPE_CHECKING:
    from worker.providers.base import Finding
    from worker.settings.load import Settings
    from worker.store.people import ImportPreview

#: Findings that are well, of which more are only counted.
MAX_SHOWN = 40


@click.command("check", cls=Command, short_help="Try everything that is needed; say what to do where it isn't well.")
@json_option
def check(as_json: bool) -> None:
    """Try everything that is needed, changing nothing: settings, database, key, people, mails, calendars, mail servers.

    Exit code 1 when anything is not well. What works and should be changed all the same is a warning.
    """
    import logging

    from worker.ops.checks import run_checks

    logging.disable(logging.ERROR)  # what a library logs is told as a finding, with its remedy
    try:
        found = []
        for finding in run_checks(find_settings_path(), os.environ, utcnow()):
            found.append(finding)
            if not as_json:
                _show_finding(finding, sum(one.ok and not one.remedy for one in found))
    finally:
        logging.disable(logging.NOTSET)
    failed = sum(not finding.ok for finding in found)
    warnings = sum(finding.ok and bool(finding.remedy) for finding in found)
    hidden = len(found) - failed - warnings - MAX_SHOWN
    if as_json:
        print_json([{"what": one.what, "ok": one.ok, "remedy": one.remedy} for one in found])
    elif hidden > 0:
        print_line(f"  … and {hidden:,} more are well", "dim")
    if failed:
        raise CommandFailed(
            f"{format_count(failed, 'thing')} of {len(found):,} {'is' if failed == 1 else 'are'} not well."
        )
    if not as_json:
        print_line(
            f"All {len(found):,} are well" + (f", with {format_count(warnings, 'warning')}." if warnings else "."),
            "green",
        )


def _show_finding(finding: "Finding", well: int) -> None:
    if not finding.ok or finding.remedy:
        print_line(f"{'!' if finding.ok else '✗'} {finding.what}", "yellow" if finding.ok else "red")
        if finding.remedy:
            print_line(f"  → {finding.remedy}")
    elif well <= MAX_SHOWN:
        print_line(f"✓ {finding.what}", "green")


@click.command("retry", cls=Command, short_help="Try the calendar of somebody whose access failed again at once.")
@click.argument("addresses", nargs=-1, metavar="ADDRESS...")
@click.option("--all", "everybody", is_flag=True, help="Of everybody whose access failed.")
def retry(addresses: Sequence[str], everybody: bool) -> None:
    """Try again at once, once access was mended: a refused log-in or a revoked grant rests for an hour by itself."""
    if everybody == bool(addresses):
        raise click.UsageError("Name somebody, or say --all.")
    with open_worker() as worker:
        known = worker.store.people.load_all_people()
        named = [find_person(worker.store, known, one) for one in addresses]
        for person in named or sorted(worker.store.people.load_suspensions()):
            was_suspended = worker.store.calendars.lift_suspension(person, utcnow())
            before = "" if was_suspended else " (access was not suspended)"
            print_line(f"{person} is tried again within a minute, while `longarc run` is running{before}.")
        if everybody and not worker.store.people.load_suspensions():
            print_line("Nobody is suspended any more.", "dim")


@click.command("people", cls=Command, short_help="What the people file would change; with --apply, change it.")
@click.option("--apply", "applies", is_flag=True, help="Take it over. `longarc run` does so by itself each minute.")
@click.option("--accept", is_flag=True, help="Take it over even if many pairs end or many events are cancelled by it.")
@click.option("--force", is_flag=True, help="With --apply: the same as --accept.")
def people(applies: bool, accept: bool, force: bool) -> None:
    """Show what the people file would change, and with --apply change it.

    A file by which more than a tenth of the pairs would end, and more than one, is held until somebody says --accept.
    """
    if force and not applies:
        raise click.UsageError("--force goes with --apply.")
    from worker.app import build
    from worker.engine.people_import import read_people
    from worker.store.statistics import Statistics

    found = load_settings()
    set_up_quiet_logging(found)
    listed = read_people(found, utcnow())
    if not (applies or accept):
        with open_worker() as worker:
            _show_difference(
                worker.store.people.preview_import(listed.persons, listed.pairs, listed.forms), found.policy.max_cancels
            )
        return
    worker = build(found, store=open_store(found, seals=False))
    try:
        Statistics(worker.store.database).get_schema_versions()  # says in clear words when there is no using it
        worker.store.migrate()
        changed = worker.import_people(force=force or accept)
    finally:
        worker.close()
    told = f"{format_count(len(listed.persons), 'person', 'people')} in {format_count(len(listed.pairs), 'pair')}"
    print_line(f"{told}: {'taken over' if changed else 'nothing has changed since it was last read'}.", "green")


def _show_difference(told: "ImportPreview", allowed: int) -> None:
    changes: Sequence[tuple[Sequence[object], str, str]] = (
        (told.joined, "person joins", "people join"),
        (told.left, "person leaves", "people leave"),
        (told.begun, "pair begins", "pairs begin"),
        (told.ended, "pair ends", "pairs end"),
    )
    for who, one, many in changes:
        if who:
            more = f" and {len(who) - 10:,} more" if len(who) > 10 else ""
            print_line(f"{format_count(len(who), one, many)}: {', '.join(map(str, who[:10]))}{more}")
    if not any(who for who, _, _ in changes):
        print_line("Nobody joins or leaves, and the pairs stay as they are.")
    print_line(f"{format_count(told.cancels, 'event')} would be cancelled. Nothing was changed; --apply takes it over.")
    from worker.engine.people_import import find_objection

    if why := find_objection(told, allowed):
        raise Refused(f"{why} It takes `longarc people --accept`.")


@click.command("key", cls=Command, short_help="Print a fresh key for LONGARC_KEY.")
def key() -> None:
    """Print a fresh key for LONGARC_KEY. It is kept nowhere: whoever loses it loses what was sealed with it."""
    from worker.seal import generate_key

    click.echo(generate_key())


@click.command("rotate", cls=Command, short_help="Seal everything anew with the first key of LONGARC_KEY.")
def rotate() -> None:
    """Seal everything anew with the first key of LONGARC_KEY.

    To change keys: put the new one first and the old one behind it, parted by a comma; restart `longarc run`
    everywhere; run this; then take the old one out.
    """
    with open_worker(seals=True) as worker:
        pieces, lost = worker.store.content.reseal_all(), list[str]()
        for renew in _list_grant_renewals(worker.settings):
            try:
                renew()
            except (LongarcError, OSError) as error:
                lost.append(describe_failure(error))
            else:
                pieces += 1
    sealed = f"{format_count(pieces, 'piece')} sealed anew."
    if lost:
        remedy = "Mend that and run this again; the keys behind the first may be needed until then."
        raise CommandFailed("\n".join([*lost, f"{sealed} {remedy}"]))
    print_line(f"{sealed} Keys behind the first are not needed any more.", "green")


def _list_grant_renewals(found: "Settings") -> Iterator[Callable[[], None]]:
    """What seals anew each grant that a connected account left."""
    keys = [key.get_secret_value() for key in found.keys]
    for folder in {one.token_folder for one in (found.calendars.google, found.mailers.google)}:
        if folder.is_dir():
            from worker.providers.google.auth import TokenFolder

            tokens = TokenFolder(folder, keys)
            yield from (partial(tokens.reseal, person) for person in tokens.list_people())
    file = found.calendars.outlook.account_file
    if file.exists():
        from worker.providers.outlook.auth import TokenCacheFile
        from worker.seal import Seal

        yield TokenCacheFile(file, Seal(keys)).reseal
