"""Checks of notifications: whether the public address leads to the pages, and whether calendar services reach it.

A service sends a notification through a channel, which it has opened for one calendar, when that calendar changes.
"""

import secrets
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker.domain.counts import format_count
from worker.engine.channels import NOTIFY_PATH
from worker.ops.store_without_key import open_store_without_key
from worker.providers.base import CALENDARS_WITH_CHANNELS, Finding
from worker.roster.model import Roster
from worker.settings.load import Settings
from worker.store.channel_standings import ChannelCount, OpenChannels, count_channels, count_open_channels

if TYPE_CHECKING:
    from requests import Response

#: The timeout of a request to the public address, and of a connection to the pages on this machine.
_TIMEOUT_SECONDS = 10
_LOCAL_TIMEOUT_SECONDS = 2
#: At most this much of a response is read. The response of the pages is shorter.
_MAX_RESPONSE_BYTES = 4096
#: The HTTP status of the response of the pages.
_OK = 200
_SERVICE_NAMES = {"google": "Google", "outlook": "Microsoft 365"}


@dataclass(frozen=True, slots=True)
class AddressProblem:
    """Why a request to the public address did not reach the pages."""

    what: str  #: the end of a sentence that begins with the address
    remedy: str
    is_silent: bool = False  #: whether there was no response at all
    is_certain: bool = False  #: whether this is a problem even when the pages are not running


def check_notifications(settings: Settings, roster: Roster, now: datetime, ca_file: str = "") -> Iterator[Finding]:
    """Yield findings on the public address, and on each calendar service that is to send notifications to it.

    Without a public address, yield advice to set one when it would help. `ca_file`: see `try_address`.
    """
    services = {roster.persons[address].calendar for pair in roster.pairs.values() for address in pair.id.people}
    services &= CALENDARS_WITH_CHANNELS
    if not settings.sync.notify_url:
        if services and urlsplit(settings.base_url).scheme == "https":
            statement = "Changes on calendars are noticed when calendars are polled, and not within seconds"
            yield Finding(
                statement,
                ok=True,
                remedy="Set `sync.notify_url`: docs/how-to/notifications.md says what has to be reachable.",
            )
        return
    with open_store_without_key(settings) as store:
        open_channels = count_open_channels(store.database, now) if store else {}
        channel_counts = count_channels(store.database, now) if store else ()
    is_reached = any(_has_reached_us(service, channels) for service, channels in open_channels.items())
    yield _check_address(settings, ca_file, is_reached=is_reached)
    for service in sorted(services):
        failing = [count for count in channel_counts if count.service == service and count.problem]
        yield _check_service(service, open_channels.get(service, OpenChannels(open=0, notified=0)), failing)


def _check_address(settings: Settings, ca_file: str, *, is_reached: bool) -> Finding:
    """Return a finding on the public address. `is_reached`: whether some calendar service has reached it."""
    address = f"{settings.sync.notify_url}{NOTIFY_PATH}"
    problem = try_address(settings.sync.notify_url, ca_file)
    if problem is None:
        return Finding(f"{address} leads to the pages from here (sync.notify_url)", ok=True)
    are_pages_running = _is_listening(settings.pages.listen)
    if not are_pages_running and not problem.is_certain:
        statement = (
            f"Whether {address} leads to the pages is unknown: the pages are not running at {settings.pages.listen}"
        )
        return Finding(statement, ok=True, remedy="Start `longarc run` first, then run this again.")
    if problem.is_silent and is_reached:  # in many networks, machines can't reach their own public address
        return Finding(f"{address} can't be reached from here, but services reach it", ok=True)
    # While the pages are not running, a problem is only a warning.
    return Finding(f"{address} {problem.what}", ok=not are_pages_running, remedy=problem.remedy)


def try_address(notify_url: str, ca_file: str = "") -> AddressProblem | None:
    """Send the validation request that Microsoft sends before it opens a channel. Returns None when the pages answer.

    `ca_file`: a file of certificates to trust, in place of the public authorities that services trust.
    """
    import requests
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    url = f"{notify_url}{NOTIFY_PATH}/outlook"
    token = f"{secrets.token_urlsafe(12)} + 100 %"  # blanks, + and % show whether the query is passed on unchanged
    try:
        with requests.post(
            url,
            params={"validationToken": token},
            timeout=_TIMEOUT_SECONDS,
            allow_redirects=False,
            verify=ca_file or DEFAULT_CA_BUNDLE_PATH,  # certificates that only this machine trusts don't count
            stream=True,
        ) as response:
            body = next(response.iter_content(_MAX_RESPONSE_BYTES), b"")
            return _find_response_problem(response, body, token.encode())
    except requests.exceptions.SSLError:
        remedy = (
            "Install a certificate for this name from a public authority that has not expired, with the whole chain."
        )
        return AddressProblem("has an invalid certificate", remedy, is_certain=True)
    except requests.RequestException as error:
        remedy = "Fix the name, the port or the firewall. Try it from outside if this machine can't reach itself."
        return AddressProblem(f"does not respond ({type(error).__name__})", remedy, is_silent=True)


def _find_response_problem(response: "Response", body: bytes, token: bytes) -> AddressProblem | None:
    """Return why the response is not that of the pages; None when it is."""
    if response.is_redirect:
        target = urlsplit(response.headers["Location"]).hostname or "another path"
        remedy = f"Let the proxy pass POST {NOTIFY_PATH}/ on to `pages.listen`: services follow no redirect."
        return AddressProblem(f"redirects to {target}", remedy, is_certain=True)
    if response.status_code != _OK:
        remedy = f"Let the proxy pass POST {NOTIFY_PATH}/ on without a login, and restart `longarc run`."
        return AddressProblem(f"answers {response.status_code}", remedy)
    if body != token or not response.headers.get("Content-Type", "").startswith("text/plain"):
        remedy = f"Let the proxy pass POST {NOTIFY_PATH}/ on unchanged, without a page of its own in front."
        return AddressProblem("answers with another text than the pages would", remedy)
    return None


def _is_listening(listen: str) -> bool:
    """Return whether something accepts connections at that address."""
    host, _, port = listen.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LOCAL_TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def _has_reached_us(service: str, channels: OpenChannels) -> bool:
    """Return whether the service has reached the public address. Microsoft reaches it before it opens a channel."""
    return bool(channels.notified or (service == "outlook" and channels.open))


def _check_service(service: str, channels: OpenChannels, failing: Collection[ChannelCount]) -> Finding:
    """Return a finding on whether the service reaches the public address, which only its own requests can prove.

    `failing`: the service's channels that have a problem.
    """
    name = _SERVICE_NAMES[service]
    if _has_reached_us(service, channels):
        count = f"notifications came through {channels.notified:,} of its {format_count(channels.open, 'open channel')}"
        return Finding(f"{name} reaches the address: {count}", ok=True)
    if failing and not channels.open:
        return Finding(f"{name} can open a channel to the address", ok=False, remedy=next(iter(failing)).problem)
    if channels.open:
        count = format_count(channels.open, "open channel")
        statement = (
            f"It is not proven yet that {name} reaches the address: it has {count}, and no notification has come"
        )
        return Finding(
            statement,
            ok=True,
            remedy="Change an event on one of these calendars, and run this again after five minutes.",
        )
    return Finding(f"Whether {name} reaches the address is known once `longarc run` has opened channels", ok=True)
