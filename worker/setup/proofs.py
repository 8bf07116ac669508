"""Proves what was answered, with the checks of the services themselves, before the set-up goes on."""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from worker.domain.model import Address, Person
from worker.domain.time.blockers import never_work_together
from worker.engine.roster_reader import RosterReading
from worker.engine.services import Services
from worker.errors import Problems, describe_error
from worker.mail.render import MailRenderer
from worker.providers.base import Finding
from worker.roster.model import Roster
from worker.roster.resolve import OFFICE_HOURS
from worker.settings.load import Settings
from worker.setup.ways import Way

#: A manager with more reports than this hardly has the time for all of them.
MANY_REPORTS = 10


def prove_connection(settings: Settings, way: Way, person: Address) -> Iterator[Finding]:
    """Try the calendar of that person, and the mail service. Changes nothing."""
    services = _build_services(settings, way, person)
    try:
        yield from services.get_calendar(way.calendar).check(person)
    except Problems as problems:
        yield from (Finding(f"{one.where}: {one.what}", False, one.remedy) for one in problems.problems)
    except Exception as error:
        yield Finding(f"The calendar of {person} can be used", False, describe_error(error))
    try:
        check = getattr(services.get_mailer(way.mail), "check", None)
        yield from check() if check else [Finding(f"Mail goes out by {way.mail}", True)]
    except Exception as error:
        yield Finding(f"Mail can go out by {way.mail}", False, describe_error(error))


def _build_services(settings: Settings, way: Way, address: Address) -> Services:
    person = Person(
        email=address,
        name=address,
        zone="UTC",
        country="",
        hours=OFFICE_HOURS,
        locale=settings.locale,
        calendar=way.calendar,
        mail=way.mail,
    )
    everybody = {address: person}
    return Services(settings, lambda: everybody, load_pairs=lambda: ())


def send_test_mail(settings: Settings, way: Way, to: Address, now: datetime, folder: Path) -> None:
    """Send one mail to the person who sets up. Raises ProviderError."""
    key = f"setup-{now:%Y%m%d%H%M%S}"
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Longarc <{settings.mail.sender}>"
    message["To"] = to
    message["Subject"] = "Longarc can send mail"
    message["Date"] = now
    message["Message-ID"] = MailRenderer(sender=settings.mail.sender, domain=settings.mail.domain).make_message_id(key)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"This mail was sent by the set-up of Longarc in {folder}.\n\n"
        "It reached you, so mail works. Nobody else has received anything.\n",
        cte="7bit" if str(folder).isascii() else None,
    )
    _build_services(settings, way, to).get_mailer(way.mail).send(message, key)


@dataclass(frozen=True, slots=True)
class RosterSummary:
    """What was understood of a roster."""

    people: int
    managers: int
    pairs: int
    zones: tuple[tuple[str, int], ...]  #: with how many people, the most frequent first
    without_manager: int  #: people who are in no pair as a report
    never_together: tuple[tuple[Address, Address], ...]  #: manager and report without a common working hour
    many_reports: tuple[tuple[Address, int], ...]


def summarize_roster(roster: Roster, now: datetime) -> RosterSummary:
    """Return what was understood, in the order in which it is shown."""
    report_counts = Counter(pair.manager for pair in roster.pairs.values())
    reports = {pair.report for pair in roster.pairs.values()}
    return RosterSummary(
        people=len(roster.persons),
        managers=len(report_counts),
        pairs=len(roster.pairs),
        zones=tuple(Counter(person.zone for person in roster.persons.values()).most_common()),
        without_manager=len(roster.persons.keys() - reports),
        never_together=tuple(_list_never_together(roster, now)),
        many_reports=tuple((who, count) for who, count in report_counts.most_common() if count > MANY_REPORTS),
    )


def list_roster_findings(reading: RosterReading) -> Iterator[Finding]:
    """Yield the faults of a directory, as warnings: the people they are about are left out. Without any pair nothing
    can be booked, which is wrong."""
    yield from (Finding(f"{fault.where}: {fault.what}", True, fault.remedy) for fault in reading.faults)
    if not reading.roster.pairs:
        remedy = "Name the manager of somebody in the roster."
        yield Finding("Nobody in the roster has a manager, so there is no pair", False, remedy)


def _list_never_together(roster: Roster, now: datetime) -> Iterator[tuple[Address, Address]]:
    """Yield the pairs without a common working hour. People with the same hours in the same zone are tried once."""
    known: dict[tuple[object, ...], bool] = {}
    for pair in roster.pairs.values():
        manager, report = roster.persons[pair.manager], roster.persons[pair.report]
        weeks = tuple((person.zone, person.country, person.hours) for person in (manager, report))
        if weeks not in known:
            known[weeks] = never_work_together((manager, report), now)
        if known[weeks]:
            yield manager.email, report.email
