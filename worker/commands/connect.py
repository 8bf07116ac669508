"""`longarc connect`: a manager lets Longarc use their own account."""

import click

from worker.commands.base import CommandGroup
from worker.commands.context import load_settings


@click.group(cls=CommandGroup)
def connect() -> None:
    """Connect one manager's own account, where no administrator grants access for everybody."""


@connect.command()
@click.argument("address")
@click.option("--browser/--no-browser", default=True, help="Open the browser, or only print the address.")
@click.option("--wait", default=300, show_default=True, metavar="SECONDS", help="How long to wait for the browser.")
def google(address: str, browser: bool, wait: int) -> None:
    """Connect a Google account, calendar and mail, in a browser.

    The grant is kept sealed in calendars.google.token_folder. Revoke it at myaccount.google.com/connections.
    """
    from worker.providers.google.connect import connect_account
    from worker.settings.parsers import InvalidValue, parse_address

    try:
        person = parse_address(address)
    except InvalidValue as error:
        raise click.UsageError(f"{error.what} {error.build_remedy()}") from None

    def show_url(url: str) -> None:
        click.echo(f"Open this address, as {person}:\n\n{url}\n")
        if browser:
            click.launch(url)

    account, file = connect_account(load_settings().get_calendar_section("google"), person, show_url, wait)
    click.echo(f"{account} is connected. The grant is kept sealed in {file}; try it with `longarc check`.")


@connect.command()
@click.option("--browser", is_flag=True, help="Sign in with a browser on this machine instead.")
def outlook(browser: bool) -> None:
    """Connect a Microsoft 365 account by a code, entered in a browser on any device.

    The account is `account` in [calendars.outlook]. The grant is kept sealed in calendars.outlook.account_file.
    """
    from worker.errors import Refused
    from worker.providers.outlook.auth import AccountTokens
    from worker.seal import Seal

    settings = load_settings()
    if not settings.calendars.outlook.account:
        raise Refused("The settings name no account. Write `account` under [calendars.outlook] first.")
    section = settings.get_mailer_section(
        "outlook"
    )  # includes the calendar section; `exactly_once` needs more permissions
    if settings.keys:
        section["seal"] = Seal([key.get_secret_value() for key in settings.keys])
    account = AccountTokens(section)
    if browser:
        account.sign_in_by_browser()
    else:
        account.sign_in_by_device(click.echo)
    click.echo(f"{account.own_account} has signed in. The grant is kept sealed in {section['account_file']}.")
