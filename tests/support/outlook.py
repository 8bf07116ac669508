"""Looks into the double of Microsoft 365 from outside of the provider."""

from email.message import EmailMessage
from typing import Any

import requests

from tests.doubles.graph import Double, make_section


def events_of(double: Double, address: str) -> list[Any]:
    """The events in the mailbox of that address."""
    return list(double.world.mailboxes[address].items.values())


def mails_to_sam(double: Double) -> list[EmailMessage]:
    """The mails that were delivered to Sam."""
    return [message for to, message in double.mails.outbox if to == "sam@example.org"]


def request_with_token(double: Double, method: str, path: str, **options: Any) -> requests.Response:
    """Send a request with a valid token to the double, and return its answer. `options` are for `requests`."""
    from worker.providers.outlook import auth

    headers = {
        "Authorization": f"Bearer {auth.build_tokens(make_section(double)).get_token()}",
        **options.pop("headers", {}),
    }
    return requests.request(method, f"{double.endpoint}/{path}", headers=headers, timeout=10, **options)
