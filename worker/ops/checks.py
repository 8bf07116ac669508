"""The checks of `longarc check`: each one tries something that Longarc needs, and changes nothing.

A failed check does not stop the run, except for checks that depend on it. Each result is a Finding: with `ok=False` a
problem, with `ok=True` and a remedy a warning.
"""

import os
from collections import Counter, defaultdict
from collections.abc import Collection, Generator, Iterator, Mapping, Sequence
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker.domain.counts import format_count
from worker.domain.model import NO_CALENDAR, Address, Person, Span
from worker.engine.identities import build_identities
from worker.engine.roster_reader import RosterReader
from worker.engine.services import Services
from worker.engine.sweep import PEOPLE_PER_REQUEST
from worker.errors import LongarcError, Problem, Problems, ProviderError, WrongKey, describe_error, get_first_line
from worker.mail.render import MailRenderer
from worker.ops import machine_checks, scim_checks
from worker.ops.channel_checks import check_notifications
from worker.ops.rollout import check_rollout, select_chosen_pairs
from worker.ops.sign_in_checks import check_sign_in
from worker.ops.store_without_key import open_store_without_key
from worker.providers.base import Finding, Mailer, can_send_as, describe_sent_copies
from worker.roster.model import Roster
from worker.seal import OTHER_KEY_REMEDY, Seal, generate_key
from worker.settings.load import Settings, add_secret_files, list_retired_settings, load_settings
from worker.settings.openings_file import load_openings_file
from worker.store.database import DatabaseUnreachable, mask_password
from worker.store.inspection import get_schema_versions, list_missing_tables, load_sealed_values
from worker.store.store import Store

if TYPE_CHECKING:
    from worker.providers.base import CalendarProvider

#: The most reports of each calendar service whose free/busy is read.
MAX_REPORTS_CHECKED = 200
#: The period from now for which free/busy is read.
FREE_BUSY_PERIOD = timedelta(days=14)
QUEUE_TIMEOUT_SECONDS = 10
#: The most faults of a directory that are shown; further faults are counted.
MAX_FAULTS_SHOWN = 5
#: The most addresses in a finding; further addresses are counted.
_MAX_NAMES = 5


def run_checks(config: Path | None, env: Mapping[str, str], now: datetime) -> Iterator[Finding]:
    """Run all checks, and yield each finding as soon as it is known."""
    try:
        settings = load_settings(config, env)
    except Problems as problems:
        yield from map(_make_finding, problems.problems)
        return
    source = f": {config}" if config else "; there is no file, so the defaults are used"
    yield Finding(f"The settings can be read{source}", ok=True)
    for retired in list_retired_settings(config):
        yield Finding(f"{retired.where}: {retired.what}", ok=True, remedy=retired.remedy)
    yield from machine_checks.check_user(os.geteuid())
    yield machine_checks.check_time_zones(now.date(), machine_checks.get_zone_release())
    yield from machine_checks.check_file_permissions(settings, add_secret_files(config, env))
    yield from _run_part("The database can be used", _check_database(settings))
    yield from _run_part("The queue can be used", _check_queue(settings))
    roster = yield from _check_people(settings, now)
    rollout = settings.rollout.build_rollout()
    if roster.pairs:
        yield from _run_part("The rollout can be used", check_rollout(rollout, roster))
    roster = select_chosen_pairs(rollout, roster)  # only the calendars of pairs that take part are tried
    yield from _run_part("The openings file can be read", _check_openings(settings, now.date()))
    yield from _run_part("The mails can be written", _check_templates(settings, roster.persons.values()))
    yield from _check_pages(settings)
    yield from _run_part("Calendar services can send notifications", check_notifications(settings, roster, now))
    yield from _run_part("People can sign in", check_sign_in(settings, now))
    yield _describe_retention(settings)
    # Services compares this dict by identity, and rebuilds all calendar services when it gets another one.
    everybody = dict(roster.persons)
    identities = build_identities(everybody, roster.aliases)
    services = Services(settings, lambda: everybody, load_pairs=roster.pairs.values, identities=identities)
    yield from _run_part("Calendars can be used", _check_calendars(services, roster))
    yield from _run_part("People's time can be read", _check_free_busy(services, roster, now))
    yield from _run_part("Mail can go out", _check_mail(services, settings, roster))


def _run_part(statement: str, part: Iterator[Finding]) -> Iterator[Finding]:
    """Yield the findings of one part of the run. An error becomes the finding that `statement` is false."""
    try:
        yield from part
    except Problems as problems:
        yield from map(_make_finding, problems.problems)
    except Exception as error:
        yield Finding(statement, ok=False, remedy=describe_error(error))


def _check_people(settings: Settings, now: datetime) -> Generator[Finding, None, Roster]:
    """Yield findings on the roster, and return the roster. When it can't be read, an empty roster is returned."""
    if not settings.roster.is_pushed:
        return (yield from _check_roster(RosterReader(settings), now))
    yield from scim_checks.check_scim(settings)
    with open_store_without_key(settings) as store:
        return (yield from _check_roster(RosterReader(settings, store), now))


def _check_roster(reader: RosterReader, now: datetime) -> Generator[Finding, None, Roster]:
    try:
        check = reader.check()
        yield from check.findings
        if all(finding.ok for finding in check.findings):
            reading = reader.read(now, records=check.records)
            roster, faults = reading.roster, reading.faults
            people = format_count(len(roster.persons), "person", "people")
            yield Finding(f"{reader.name} names {people} in {format_count(len(roster.pairs), 'pair')}", ok=True)
            for fault in faults[:MAX_FAULTS_SHOWN]:
                yield Finding(f"{fault.where}: {fault.what}", ok=True, remedy=fault.remedy)
            if len(faults) > MAX_FAULTS_SHOWN:
                yield Finding(
                    f"and {len(faults) - MAX_FAULTS_SHOWN:,} more; `longarc people --json` lists all of them", ok=True
                )
            return roster
    except Problems as problems:
        yield from map(_make_finding, problems.problems)
    except LongarcError as error:
        yield Finding("The roster can be read", ok=False, remedy=str(error))
    return Roster({}, {})


def _check_openings(settings: Settings, today: date) -> Iterator[Finding]:
    """Check the openings file if there is one, and yield a warning for each opening that has ended (R-29)."""
    file = settings.openings_file
    if not file.exists() and settings.openings is None:
        return
    openings = load_openings_file(file)
    ended = [opening for opening in openings if opening.until < today]
    yield Finding(
        f"{file.name} lists {format_count(len(openings), 'opening')}, {len(openings) - len(ended):,} of them current",
        ok=True,
    )
    for opening in ended:
        statement = (
            f"{file.name}:line {opening.line}, until: `{opening.title}` ended on {opening.until}; nobody sees it"
        )
        yield Finding(statement, ok=True, remedy="Remove the line, or give it a later day.")


def _describe_retention(settings: Settings) -> Finding:
    """Return a finding that says when contents are erased, because an erasure can't be undone."""
    months = settings.retention.contents_after
    if months is None:
        return Finding("What a pair wrote is kept until somebody erases it (retention.contents_after)", ok=True)
    time = format_count(months, "month")
    return Finding(
        f"What a pair wrote is erased {time} after the pair has ended (retention.contents_after)",
        ok=True,
    )


def _check_pages(settings: Settings) -> Iterator[Finding]:
    """Check that links in mails, which open private content, use HTTPS. On this machine itself, HTTP is allowed."""
    if not settings.base_url:
        yield Finding("There are no pages: base_url is not set, so mails name commands", ok=True)
        return
    parts = urlsplit(settings.base_url)
    is_safe = parts.scheme == "https" or parts.hostname in ("127.0.0.1", "localhost", "::1")
    remedy = "" if is_safe else "Put a proxy with TLS in front of the pages, and begin base_url with https://."
    yield Finding(f"Mails link to pages at {settings.base_url}", ok=is_safe, remedy=remedy)


def _make_finding(problem: Problem) -> Finding:
    """Return the finding of a check that has failed with that problem."""
    return Finding(f"{problem.where}: {problem.what}", ok=False, remedy=problem.remedy)


# --- the database and its sealed content ---


def _check_database(settings: Settings) -> Iterator[Finding]:
    from sqlalchemy import make_url

    url = make_url(settings.database)
    database = mask_password(url)
    key_finding = _check_key(settings)
    yield key_finding
    refuse_unwritable_database(settings.database)
    if url.get_backend_name() == "sqlite" and not Path(str(url.database)).exists():
        yield Finding(f"There is no database {url.database} yet; the first `longarc run` creates it", ok=True)
        return
    # A store needs some key: without a usable one, the checks open nothing, so that a new one will do.
    store = Store(
        settings.database,
        Seal([key.get_secret_value() for key in settings.keys] if key_finding.ok else [generate_key()]),
    )
    try:
        version, program_version = get_schema_versions(store.database)
        if version is None:
            yield Finding(f"The database {database} is empty; the first `longarc run` creates its tables", ok=True)
        elif version != program_version:
            remedy = "Start `longarc run` once: it upgrades an older database."
            yield Finding(
                f"The database {database} is at version {version}, this program at {program_version}",
                ok=False,
                remedy=remedy,
            )
        elif missing := list_missing_tables(store.database):
            remedy = "Restore the whole database from the last backup."
            yield Finding(f"The database {database} lacks {', '.join(missing)}", ok=False, remedy=remedy)
        else:
            yield Finding(f"The database {database} can be read and is up to date", ok=True)
            if key_finding.ok:
                yield _check_sealed_content(store, settings)
            yield from _check_managers_without_calendar(store)
    except DatabaseUnreachable as error:
        yield Finding(
            str(error), ok=False, remedy="Start it, or fix `database` in the settings (LONGARC_DATABASE_URL)."
        )
    finally:
        store.close()


def _check_managers_without_calendar(store: Store) -> Iterator[Finding]:
    """Yield a finding on managers whose calendar is `none`, which the people files of earlier versions allowed."""
    people, pairs = store.people.load_current_roster()
    managers = {pair.manager for pair in pairs if pair.is_active}
    without_calendar = sorted(manager for manager in managers if not people[manager].has_calendar)
    if without_calendar:
        remedy = "Name their calendar in the people file. Only reports can be without one (`none`)."
        statement = f"Nothing can be booked for {_join_addresses(without_calendar)}: a manager without a calendar"
        yield Finding(statement, ok=False, remedy=remedy)


def _join_addresses(addresses: Sequence[Address]) -> str:
    """Return the first addresses, separated by commas, and how many more there are."""
    hidden_count = len(addresses) - _MAX_NAMES
    more = f" and {hidden_count:,} more" if hidden_count > 0 else ""
    return ", ".join(addresses[:_MAX_NAMES]) + more


def refuse_unwritable_database(database: str) -> None:
    """Raise LongarcError when a SQLite file can't be written, or its folder, in which SQLite creates a journal."""
    from sqlalchemy import make_url

    url = make_url(database)
    if url.get_backend_name() != "sqlite":
        return
    file = Path(str(url.database))
    folder = next(path for path in file.absolute().parents if path.exists())  # folders below it are created later
    if not folder.is_dir() or not os.access(folder, os.W_OK):
        unusable_path = folder
    elif file.exists() and (file.is_dir() or not os.access(file, os.W_OK)):
        unusable_path = file
    else:
        return
    remedy = f"Let Longarc write to {unusable_path}, or name another file as `database` in the settings."
    raise LongarcError(f"The database {file} can't be written. {remedy}")


def _check_key(settings: Settings) -> Finding:
    statement = "There is a key to seal what people say to each other"
    if not settings.keys:
        remedy = "Generate one with `longarc key`, and set it as LONGARC_KEY or LONGARC_KEY_FILE."
        return Finding(statement, ok=False, remedy=remedy)
    try:
        Seal([key.get_secret_value() for key in settings.keys])
    except WrongKey as error:
        return Finding(statement, ok=False, remedy=str(error))
    return Finding(statement, ok=True)


def _check_sealed_content(store: Store, settings: Settings) -> Finding:
    statement = "The key opens everything that is sealed"
    try:
        count = open_sealed_pieces(store, settings)
    except WrongKey as error:
        return Finding(statement, ok=False, remedy=str(error))
    return Finding(f"{statement} ({format_count(count, 'piece')})", ok=True)


def open_sealed_pieces(store: Store, settings: Settings, limit: int | None = None) -> int:
    """Decrypt all sealed pieces of content, or at most `limit` of each kind, and return how many. Raises WrongKey."""
    seal = Seal([key.get_secret_value() for key in settings.keys])
    count = 0
    for kind, pieces in load_sealed_values(store.database, limit).items():
        for piece in pieces:
            try:
                seal.unseal(piece)
            except WrongKey:
                raise WrongKey(f"A sealed {kind} can't be opened with the keys given. {OTHER_KEY_REMEDY}") from None
            count += 1
    return count


# --- the queue, templates, calendars, mail ---


def _check_queue(settings: Settings) -> Iterator[Finding]:
    if settings.queue:
        refuse_unreachable_queue(settings.queue)
        yield Finding("The queue answers", ok=True)


def refuse_unreachable_queue(url: str) -> None:
    """Raise LongarcError when no Redis server answers at that URL."""
    try:
        from redis import Redis

        with closing(
            Redis.from_url(url, socket_connect_timeout=QUEUE_TIMEOUT_SECONDS, socket_timeout=QUEUE_TIMEOUT_SECONDS)
        ) as queue:
            queue.ping()
    except ImportError:
        raise LongarcError("A queue on Redis needs the package redis: `pip install redis`.") from None
    except Exception as error:  # there is no server, or the client can't parse the URL
        remedy = "Start it, or fix `queue` in the settings (LONGARC_QUEUE_URL)."
        raise LongarcError(f"The queue can't be used: {get_first_line(error)} {remedy}") from error


def _check_templates(settings: Settings, persons: Collection[Person]) -> Iterator[Finding]:
    renderer = MailRenderer(sender=settings.mail.sender, domain=settings.mail.domain, overrides=settings.templates)
    problems = renderer.check_templates()
    yield from map(_make_finding, problems)
    if not problems:
        yield Finding("Every mail can be written in every language", ok=True)
        yield from _check_languages(renderer, persons)


def _check_languages(renderer: MailRenderer, persons: Collection[Person]) -> Iterator[Finding]:
    """Yield a finding on each locale without a catalogue of translations, whose readers get English mails."""
    reader_counts = Counter(person.locale for person in persons)
    for locale in sorted(locale for locale in reader_counts if not renderer.has_language(locale)):
        readers = "1 person reads" if reader_counts[locale] == 1 else f"{reader_counts[locale]:,} people read"
        yield Finding(f"{readers} {locale}, of which there is no catalogue: their mails are in English", ok=True)


def _check_calendars(services: Services, roster: Roster) -> Iterator[Finding]:
    """Check the calendar of each organizer with its service.

    When the settings of a service have problems, they are reported once, and its other calendars are not checked.
    """
    misconfigured_services: set[str] = set()
    for organizer in sorted({pair.manager for pair in roster.pairs.values()}):
        service_name = roster.persons[organizer].calendar
        if service_name in misconfigured_services:
            continue
        try:
            yield from services.get_calendar(service_name).check(organizer)
        except Problems as problems:
            misconfigured_services.add(service_name)
            yield from map(_make_finding, problems.problems)
        except Exception as error:
            yield Finding(f"The calendar of {organizer} can be used", ok=False, remedy=describe_error(error))


def _check_free_busy(services: Services, roster: Roster, now: datetime) -> Iterator[Finding]:
    """Yield findings on the free/busy of reports, which is read in the same batches as for planning.

    Of each calendar service, at most `MAX_REPORTS_CHECKED` reports are checked. The others are named.
    """
    reports_by_service: dict[str, list[Address]] = defaultdict(list)
    for report in sorted({pair.report for pair in roster.pairs.values()}):
        reports_by_service[roster.persons[report].calendar].append(report)
    without_calendar = reports_by_service.pop(NO_CALENDAR, [])
    services_of_organizers = {roster.persons[pair.manager].calendar for pair in roster.pairs.values()}
    for service_name, addresses in reports_by_service.items():
        try:
            provider = services.get_calendar(service_name)
        except LongarcError as error:
            if service_name not in services_of_organizers:  # otherwise _check_calendars has reported the error
                yield from _describe_unusable_service(service_name, error)
            continue
        size = getattr(provider, "people_per_request", PEOPLE_PER_REQUEST)
        checked = addresses[:MAX_REPORTS_CHECKED]
        for first in range(0, len(checked), size):
            yield from _check_free_busy_batch(provider, checked[first : first + size], now)
        yield from _name_skipped_reports(addresses[MAX_REPORTS_CHECKED:])
    if without_calendar:
        yield Finding(
            f"{len(without_calendar):,} of the reports have no calendar that can be read: they answer by mail", ok=True
        )


def _describe_unusable_service(service_name: str, error: LongarcError) -> Iterator[Finding]:
    if isinstance(error, Problems):
        yield from map(_make_finding, error.problems)
    else:
        yield Finding(f"The calendar service {service_name} can be used", ok=False, remedy=str(error))


def _name_skipped_reports(reports: Sequence[Address]) -> Iterator[Finding]:
    if reports:
        remedy = "When the program runs, `longarc status` shows whose calendar can't be read."
        yield Finding(f"Not tried: the calendars of {_join_addresses(reports)}", ok=True, remedy=remedy)


def _check_free_busy_batch(
    provider: "CalendarProvider", addresses: Collection[Address], now: datetime
) -> Iterator[Finding]:
    try:
        results = provider.free_busy(list(addresses), Span(now, now + FREE_BUSY_PERIOD))
    except ProviderError as error:
        yield Finding(f"The time of {', '.join(addresses)} can be read", ok=False, remedy=str(error))
        return
    for report, result in results.items():
        share_advice = "Share this calendar, or write `none` in the people file."
        wait_advice = "Run this again in a few minutes; the worker tries again by itself."
        advice = wait_advice if result.is_temporary else share_advice
        remedy = "" if result.is_known else f"{result.reason} {advice}"
        yield Finding(f"The time of {report} can be read", ok=result.is_known, remedy=remedy.strip())
        if result.is_known:
            yield from getattr(provider, "check_guest", _return_no_findings)(report)


def _return_no_findings(_: Address) -> Sequence[Finding]:
    """Return no findings. A provider without `check_guest` delivers invitations itself, so guests need no check."""
    return ()


def _check_mail(services: Services, settings: Settings, roster: Roster) -> Iterator[Finding]:
    service_names = {person.mail for person in roster.persons.values()}
    service_names |= {settings.mail.operator_by} if settings.operator else set()
    usable_mailers: dict[str, Mailer] = {}
    for name in sorted(service_names):
        try:
            usable_mailers[name] = services.get_mailer(name)
            check = getattr(usable_mailers[name], "check", None)
            yield from check() if check else [Finding(f"Mail goes out by {name}", ok=True)]
        except Exception as error:
            yield Finding(f"Mail can go out by {name}", ok=False, remedy=describe_error(error))
    yield from _check_mail_content(usable_mailers, settings, roster)
    if settings.operator:
        yield Finding(f"{settings.operator} is told when something needs a person", ok=True)
    else:
        statement = "Nobody is told when something needs a person, because `operator` is not set: it is only logged"
        yield Finding(statement, ok=True, remedy="Name somebody as `operator` in the settings.")


def _check_mail_content(usable_mailers: Mapping[str, Mailer], settings: Settings, roster: Roster) -> Iterator[Finding]:
    """Yield findings on what mails contain, from whose mailbox they are sent, and where copies stay."""
    content = "only links to" if settings.mail.content == "link" else "what people need to read of"
    yield Finding(f"Mails contain {content} contracts, commitments and reasons (mail.content)", ok=True)
    managers = sorted({pair.manager for pair in roster.pairs.values()})
    for name, mailer in sorted(usable_mailers.items()):
        if copies := describe_sent_copies(mailer):
            yield Finding(copies, ok=True)
        senders = [manager for manager in managers if roster.persons[manager].mail == name]
        unusable_senders = [sender for sender in senders if not can_send_as(mailer, sender)]
        if settings.mail.send_as == "manager" and unusable_senders:
            example = unusable_senders[0]
            statement = f"{name} can send mails from every manager's own mailbox (mail.send_as), such as {example}'s"
            remedy = 'Use Gmail with delegation or Microsoft 365 as an app, or write `send_as = "service"`.'
            yield Finding(statement, ok=False, remedy=remedy)
