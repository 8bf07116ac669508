"""Checks of the way by which calendar services tell of changes: the public address, and what has come through it."""

import secrets
import socket
from collections.abc import Collection, Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

from worker.engine.channels import NOTIFY_PATH
from worker.ops.scim_checks import open_current_store
from worker.providers.base import CALENDARS_WITH_CHANNELS, Finding
from worker.roster.model import Roster
from worker.settings.load import Settings
from worker.store.channel_standings import ChannelCount, OpenChannels, count_channels, count_open_channels

if TYPE_CHECKING:
    from requests import Response

_TIMEOUT_SECONDS = 10
_LOCAL_TIMEOUT_SECONDS = 2
#: As much of an answer is read; ours is shorter.
_MAX_ANSWER_BYTES = 4096
_OK = 200
_SERVICE_NAMES = {"google": "Google", "outlook": "Microsoft 365"}


@dataclass(frozen=True, slots=True)
class AddressProblem:
    """Why a request to the public address did not come through to us."""

    what: str
    remedy: str
    is_silent: bool = False  #: there was no answer at all
    is_certain: bool = False  #: it is so whether the pages run or not


def check_notifications(settings: Settings, people: Roster, now: datetime, ca_file: str = "") -> Iterator[Finding]:
    """Yield findings on the public address, and on each service that is to tell of changes there. Without an address,
    where it would help, a finding says so. `ca_file` is for `try_address`."""
    services = {people.persons[address].calendar for pair in people.pairs.values() for address in pair.id.people}
    services &= CALENDARS_WITH_CHANNELS
    if not settings.sync.notify_url:
        if services and urlsplit(settings.base_url).scheme == "https":
            what = "Changes on calendars are seen when calendars are read next, not within seconds"
            yield Finding(
                what, True, "Set `sync.notify_url`: docs/how-to/notifications.md says what has to be reachable."
            )
        return
    with open_current_store(settings) as store:
        known = count_open_channels(store.database, now) if store else {}
        counts = count_channels(store.database, now) if store else ()
    has_arrived = any(_has_arrived(service, one) for service, one in known.items())
    yield _check_address(settings, ca_file, has_arrived=has_arrived)
    for service in sorted(services):
        troubles = [one for one in counts if one.service == service and one.problem]
        yield _check_service(service, known.get(service, OpenChannels(0, 0, 0)), troubles)


def _check_address(settings: Settings, ca_file: str, *, has_arrived: bool) -> Finding:
    address = f"{settings.sync.notify_url}{NOTIFY_PATH}"
    problem = try_address(settings.sync.notify_url, ca_file)
    if problem is None:
        return Finding(f"{address} leads to the pages from here (sync.notify_url)", True)
    runs = _is_listening(settings.pages.listen)  # until they do, nothing is wrong yet
    if not runs and not problem.is_certain:
        what = f"Whether {address} leads to the pages can't be told: none listen at {settings.pages.listen}"
        return Finding(what, True, "Start `longarc run` first, then run this again.")
    if problem.is_silent and has_arrived:  # many networks don't reach their own public address
        return Finding(f"{address} can't be reached from here, but services reach it", True)
    return Finding(f"{address} {problem.what}", not runs, problem.remedy)


def try_address(notify_url: str, ca_file: str = "") -> AddressProblem | None:
    """Ask the public address as Microsoft does before it tells of changes. Returns None when the answer is ours.

    `ca_file`: the certificates to trust in place of those that services trust, too.
    """
    import requests
    from requests.utils import DEFAULT_CA_BUNDLE_PATH

    url, token = f"{notify_url}{NOTIFY_PATH}/outlook", f"{secrets.token_urlsafe(12)} + 100 %"
    try:
        with requests.post(
            url,
            params={"validationToken": token},
            timeout=_TIMEOUT_SECONDS,
            allow_redirects=False,
            verify=ca_file or DEFAULT_CA_BUNDLE_PATH,  # not those that only this machine trusts
            stream=True,
        ) as answer:
            return _judge_answer(answer, next(answer.iter_content(_MAX_ANSWER_BYTES), b""), token.encode())
    except requests.exceptions.SSLError:
        remedy = (
            "Give it a certificate of a public authority for this name, with the whole chain, that has not expired."
        )
        return AddressProblem("has a certificate that is not valid", remedy, is_certain=True)
    except requests.RequestException as error:
        remedy = "Fix the name, the port or the firewall. Try it from outside if this machine can't reach itself."
        return AddressProblem(f"gives no answer ({type(error).__name__})", remedy, is_silent=True)


def _judge_answer(answer: "Response", body: bytes, token: bytes) -> AddressProblem | None:
    if answer.is_redirect:
        target = urlsplit(answer.headers["Location"]).hostname or "another path"
        remedy = f"Have the proxy pass POST {NOTIFY_PATH}/ on to `pages.listen`: services follow no redirect."
        return AddressProblem(f"redirects to {target}", remedy, is_certain=True)
    if answer.status_code != _OK:
        remedy = f"Have the proxy pass POST {NOTIFY_PATH}/ on without a log-in, and start `longarc run` anew."
        return AddressProblem(f"answers {answer.status_code}", remedy)
    if body != token or not answer.headers.get("Content-Type", "").startswith("text/plain"):
        remedy = f"Have the proxy pass POST {NOTIFY_PATH}/ on as it is, and put no page of its own before it."
        return AddressProblem("answers with another text than ours", remedy)
    return None


def _is_listening(listen: str) -> bool:
    host, _, port = listen.rpartition(":")
    try:
        socket.create_connection((host.strip("[]"), int(port)), _LOCAL_TIMEOUT_SECONDS).close()
    except OSError:
        return False
    return True


def _has_arrived(service: str, known: OpenChannels) -> bool:
    """Return whether the service has reached us: Microsoft opens a channel only after it has."""
    return bool(known.notified or (service == "outlook" and known.open))


def _check_service(service: str, known: OpenChannels, troubles: Collection[ChannelCount]) -> Finding:
    """Return what is known of whether the service reaches us, which it alone can show."""
    name = _SERVICE_NAMES[service]
    if _has_arrived(service, known):
        count = f"{known.notified:,} of its {known.open:,} open channels have told of something"
        return Finding(f"{name} reaches the address: {count}", True)
    if troubles and not known.open:
        return Finding(f"{name} opens a channel to the address", False, next(iter(troubles)).problem)
    if known.open:
        what = f"Nothing shows yet that {name} reaches the address: {known.open:,} channels are open, none has told"
        return Finding(what, True, "Change an event on one of these calendars, and run this again after five minutes.")
    return Finding(f"Whether {name} reaches the address shows once `longarc run` has opened channels", True)
