"""Sends mail through the Gmail API, as the account that the header From names, or as one account for all mail.

The scope for sending mail does not allow reading it, so `was_sent` always returns None. Gmail replaces our Message-ID
by its own. Therefore, mail programs can group our mails into threads only by their subject and their header References.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from email.message import EmailMessage
from functools import cached_property
from typing import Any

from worker.clock import Clock, utcnow
from worker.domain.model import Address
from worker.errors import AuthRevoked, InvalidResponse, Permanent
from worker.providers.base import Finding
from worker.providers.google.auth import GMAIL_SEND_SCOPE
from worker.providers.google.client import GMAIL_ENDPOINT, GoogleApi, RequestQuota, build_api
from worker.providers.message_bytes import to_bytes

#: The quota units that Gmail charges for sending one message.
_UNITS_PER_MESSAGE = 100
_MAX_MESSAGE_SIZE = 25 * 1024 * 1024  #: bytes


def build_mailer(section: Mapping[str, Any]) -> "GmailMailer":
    """Return the mailer that a section of the settings describes.

    The section has the keys of the calendar's section, and these:

    - `service`: the address in From of mails that Longarc sends in its own name; may be empty.
    - `sender`: the account that sends each mail whose From is `service`, or every mail when `service` is empty. Any
      other mail is sent as the account that its From names.
    - `per_person`, `per_project`: the limits in quota units a minute. Sending one message costs 100 units.
    """
    return build_with_clock(section, utcnow)


def build_with_clock(section: Mapping[str, Any], clock: Clock) -> "GmailMailer":
    """Return the mailer as `build_mailer` does, but with the given clock."""
    quota = RequestQuota(
        per_person=int(section.get("per_person") or 5000),
        per_project=int(section.get("per_project") or 1_000_000),
        clock=clock,
    )
    api = build_api("gmail", "v1", GMAIL_ENDPOINT, section, quota, clock)
    return GmailMailer(
        api, sender=str(section.get("sender") or ""), clock=clock, longarc_address=str(section.get("service") or "")
    )


class GmailMailer:
    """A Mailer that hands messages to Gmail."""

    def __init__(self, api: GoogleApi, *, sender: Address, clock: Clock, longarc_address: Address = "") -> None:
        """`sender` is that of `build_mailer`, and `longarc_address` is called `service` there."""
        self._api = api
        self._sender = sender
        self._longarc_address = longarc_address
        self._clock = clock

    def close(self) -> None:
        """Close the connections."""
        self._api.close()

    @cached_property
    def _messages_resource(self) -> Any:
        """The client library's object that composes requests about messages. Cached: building it takes some 15 ms."""
        return self._api.service.users().messages()

    def send(self, message: EmailMessage, key: str) -> None:
        """Send the message. `key` is not used, because searching messages by it would need a scope for reading."""
        account = self._choose_account(message)
        content = _encode_content(message)
        body = {"raw": urlsafe_b64encode(content).decode()}
        request = self._messages_resource.send(userId="me", body=body, fields="id")
        answer = self._api.execute(
            account, GMAIL_SEND_SCOPE, request, units=_UNITS_PER_MESSAGE, subject=f"the mail from {account}"
        )
        if not isinstance(answer, dict):
            raise InvalidResponse(f"the mail from {account}: Google's answer can't be parsed.")

    def _choose_account(self, message: EmailMessage) -> Address:
        """Return the account that sends the message: `sender` or the author, as `build_mailer` says.

        Raises Permanent when the message names no account in From, and AuthRevoked when the account is not connected.
        """
        author = next((address.addr_spec.lower() for address in _list_addresses(message, "From")), "")
        is_in_longarcs_name = author in (self._longarc_address, "")
        has_configured_sender = bool(self._sender) and (is_in_longarcs_name or not self._longarc_address)
        sender = self._sender if has_configured_sender else author
        if not sender:
            raise Permanent("The message has no sender in From.")
        connected_people = self._api.access.list_connected_people()
        if connected_people is not None and sender not in connected_people:
            raise AuthRevoked(f"{sender} has not connected a Google account: run `longarc connect google {sender}`.")
        return sender

    def can_send_as(self, address: Address) -> bool:
        """Return whether mail can be sent from that account: with delegation from every account of the domain, else
        from the connected accounts."""
        connected_people = self._api.access.list_connected_people()
        return connected_people is None or address in connected_people

    def describe_sent_copies(self) -> str:
        """Return a text that says where Gmail keeps a copy of each mail."""
        return "Gmail keeps a copy of each mail in Sent of the account it is sent from"

    def was_sent(self, key: str) -> bool | None:
        """Return None: the scope for sending mail does not allow reading it."""
        return None

    def check(self) -> list[Finding]:
        """Check whether mail can be sent, without sending any; return the findings."""
        from worker.providers.google.checks import check_mail

        return check_mail(self._api, self._sender)


def _encode_content(message: EmailMessage) -> bytes:
    """Return the message as bytes. Raises Permanent when it has no recipient, can't be encoded, or is too large."""
    try:
        if not _list_addresses(message, "To", "Cc", "Bcc"):
            raise Permanent("The message has no recipient.")
        content = to_bytes(message)
    except (ValueError, AttributeError, LookupError) as error:
        raise Permanent("The message can't be sent: one of its headers can't be encoded.") from error
    if len(content) > _MAX_MESSAGE_SIZE:
        raise Permanent("The message is larger than the 25 MB that Gmail accepts.")
    return content


def _list_addresses(message: EmailMessage, *header_names: str) -> list[Any]:
    return [address for name in header_names for header in message.get_all(name, []) for address in header.addresses]
