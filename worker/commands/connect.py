"""`longarc connect`: lets a manager grant Longarc access to their own account."""

import os
import sys
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, urlsplit

import click

from worker.commands.base import CommandGroup
from worker.commands.context import load_settings

if TYPE_CHECKING:
    from worker.domain.model import Address
    from worker.settings.load import Settings


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
    from worker.settings.parsers import InvalidValue, parse_address

    try:
        person = parse_address(address)
    except InvalidValue as error:
        raise click.UsageError(f"{error.what} {error.build_remedy()}") from None
    account, file = connect_google_account(load_settings(), person, opens_browser=browser, wait_seconds=wait)
    click.echo(f"{account} is connected. The grant is kept sealed in {file}; try it with `longarc check`.")


def connect_google_account(
    settings: "Settings", person: "Address", *, opens_browser: bool, wait_seconds: float
) -> "tuple[Address, str]":
    """Let a person grant access in a browser. Return the account, and the file with the grant. Raises LongarcError.

    `wait_seconds`: how long to wait for the browser.
    """
    from worker.providers.google.connect import connect_account

    def show_url(url: str) -> None:
        click.echo(f"Open this address, as {person}:\n\n{url}\n")
        if opens_browser and _has_browser():
            click.launch(url)
        else:
            port = urlsplit(parse_qs(urlsplit(url).query)["redirect_uri"][0]).port
            click.echo(
                "The browser has to reach this machine. If the browser runs on another machine, first run there:\n\n"
                f"ssh -L {port}:127.0.0.1:{port} THIS-MACHINE\n"
            )

    return connect_account(settings.get_calendar_section("google"), person, show_url, wait_seconds)


def _has_browser() -> bool:
    """Return whether a browser can be opened here. On a server, trying to open one prints error messages."""
    return sys.platform in ("darwin", "win32") or any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY"))


@connect.command()
@click.option("--browser", is_flag=True, help="Sign in with a browser on this machine instead.")
def outlook(browser: bool) -> None:
    """Connect a Microsoft 365 account by a code, entered in a browser on any device.

    The account is `account` in [calendars.outlook]. The grant is kept sealed in calendars.outlook.account_file.
    """
    account, file = connect_outlook_account(load_settings(), opens_browser=browser)
    click.echo(f"{account} has signed in. The grant is kept sealed in {file}.")


def connect_outlook_account(settings: "Settings", *, opens_browser: bool = False) -> "tuple[Address, str]":
    """Let the account of the settings sign in, with a code unless `opens_browser`.

    Return the account, and the file with the grant. Raises LongarcError.
    """
    from worker.errors import Refused
    from worker.providers.outlook.auth import AccountTokens
    from worker.seal import Seal

    if not settings.calendars.outlook.account:
        raise Refused("The settings name no account. Write `account` under [calendars.outlook] first.")
    # With the settings of the mail service, the grant also permits what its setting `exactly_once` needs. The section
    # contains the settings of the calendar service, too.
    section = settings.get_mailer_section("outlook")
    if settings.keys:
        section["seal"] = Seal([key.get_secret_value() for key in settings.keys])
    tokens = AccountTokens(section)
    if opens_browser:
        tokens.sign_in_by_browser()
    else:
        tokens.sign_in_by_device(click.echo)
    return tokens.own_account, str(section["account_file"])
