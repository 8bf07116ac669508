"""`longarc connect`: somebody gives Longarc leave to act for their own account."""

import click

from worker.commands.base import CommandGroup
from worker.commands.context import load_settings


@click.group(cls=CommandGroup)
def connect() -> None:
    """Connect one manager's own account, where no administrator grants it for all."""


@connect.command()
@click.argument("address")
@click.option("--browser/--no-browser", default=True, help="Open the browser; else only show the address.")
@click.option("--wait", default=300, show_default=True, metavar="SECONDS", help="How long to wait for the browser.")
def google(address: str, browser: bool, wait: int) -> None:
    """Connect a Google account: calendar and mail, by the browser of this machine.

    The lasting grant is kept sealed in calendars.google.token_folder. Taking it back: myaccount.google.com/connections.
    """
    from worker.providers.google.connect import connect_account as have_granted
    from worker.settings.parsers import InvalidValue, parse_address

    try:
        person = parse_address(address)
    except InvalidValue as error:
        raise click.UsageError(f"{error.what} {error.build_remedy()}") from None

    def show(where: str) -> None:
        click.echo(f"Open this address, as {person}:\n\n{where}\n")
        if browser:
            click.launch(where)

    account, file = have_granted(load_settings().get_calendar_section("google"), person, show, wait)
    click.echo(f"{account} is connected. The grant lies sealed in {file}; prove it with `longarc check`.")


@connect.command()
@click.option("--browser", is_flag=True, help="Sign in with the browser of this machine, instead of a code.")
def outlook(browser: bool) -> None:
    """Connect the Microsoft 365 account that is `account` in [calendars.outlook], by a code to enter on any device.

    The lasting grant is kept sealed in calendars.outlook.account_file.
    """
    from worker.errors import Refused
    from worker.providers.outlook.auth import AccountTokens
    from worker.seal import Seal

    found = load_settings()
    if not found.calendars.outlook.account:
        raise Refused("Nobody said whose account. Write `account` under [calendars.outlook] first.")
    section = found.get_mailer_section("outlook")  # that of the calendars, and whether mail has to be read
    if found.keys:
        section["seal"] = Seal([key.get_secret_value() for key in found.keys])
    account = AccountTokens(section)
    if browser:
        account.sign_in_by_browser()
    else:
        account.sign_in_by_device(click.echo)
    click.echo(f"{account.own} has signed in. The grant lies sealed in {section['account_file']}.")
