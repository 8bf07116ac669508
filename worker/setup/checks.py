"""Tries the calendar and mail services that the answers of `longarc init` name, with the checks of each service."""

from collections.abc import Iterator
from datetime import datetime
from email.message import EmailMessage
from email.policy import SMTP
from pathlib import Path

from worker.domain.model import Address, Person
from worker.engine.services import Services
from worker.errors import Problems, describe_error
from worker.mail.render import MailRenderer
from worker.providers.base import Finding
from worker.roster.resolve import OFFICE_HOURS
from worker.settings.load import Settings
from worker.setup.ways import Way


def check_connections(settings: Settings, way: Way, person: Address) -> Iterator[Finding]:
    """Try the calendar of that person and the mail service, and yield what was found. Changes nothing."""
    services = _build_services(settings, way, person)
    try:
        yield from services.get_calendar(way.calendar).check(person)
    except Problems as problems:
        for problem in problems.problems:
            yield Finding(f"{problem.where}: {problem.what}", ok=False, remedy=problem.remedy)
    except Exception as error:
        yield Finding(f"The calendar of {person} can be used", ok=False, remedy=describe_error(error))
    try:
        check = getattr(services.get_mailer(way.mail), "check", None)  # not every mail service has a check
        yield from check() if check else [Finding(f"Mail can be sent by {way.mail}", ok=True)]
    except Exception as error:
        yield Finding(f"Mail can be sent by {way.mail}", ok=False, remedy=describe_error(error))


def _build_services(settings: Settings, way: Way, address: Address) -> Services:
    """Return the services for a company of one person with this address, whose other properties don't matter here."""
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
    people = {address: person}
    return Services(settings, lambda: people, load_pairs=lambda: ())


def send_test_mail(settings: Settings, way: Way, recipient: Address, now: datetime, folder: Path) -> None:
    """Send one mail to the person who sets up the installation in `folder`. Raises ProviderError."""
    key = f"setup-{now:%Y%m%d%H%M%S}"
    message = EmailMessage(policy=SMTP)
    message["From"] = f"Longarc <{settings.mail.sender}>"
    message["To"] = recipient
    message["Subject"] = "Longarc can send mail"
    message["Date"] = now
    message["Message-ID"] = MailRenderer(sender=settings.mail.sender, domain=settings.mail.domain).make_message_id(key)
    message["Auto-Submitted"] = "auto-generated"
    message.set_content(
        f"This mail was sent by the set-up of Longarc in {folder}.\n\n"
        "It reached you, so mail works. Nobody else has received anything.\n",
        cte="7bit" if str(folder).isascii() else None,
    )
    _build_services(settings, way, recipient).get_mailer(way.mail).send(message, key)
