"""Tries the calendar and mail services of the answers, with the checks of the services themselves."""

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
