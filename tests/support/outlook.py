"""Microsoft 365 as its double has it, seen from outside of the provider."""

from email.message import EmailMessage
from typing import Any

import requests

from tests.doubles.graph import Double, section


def events_of(double: Double, address: str) -> list[Any]:
    """The events in that mailbox."""
    return list(double.world.mailboxes[address].items.values())


def arrived(double: Double) -> list[EmailMessage]:
    """The mails that reached Sam."""
    return [message for to, message in double.mails.outbox if to == "sam@example.org"]


def asked(double: Double, method: str, path: str, **given: Any) -> requests.Response:
    """The double's answer to a request with a valid token."""
    from worker.providers.outlook import auth

    headers = {"Authorization": f"Bearer {auth.build_tokens(section(double)).get_token()}", **given.pop("headers", {})}
    return requests.request(method, f"{double.endpoint}/{path}", headers=headers, timeout=10, **given)
