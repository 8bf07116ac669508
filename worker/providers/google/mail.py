"""Mail through the Gmail API, sent as the account that its From names, or as one account for all.

With the one scope that sending needs, nothing can be read back: `was_sent` never knows. The API puts a Message-ID of
its own in place of ours, so that threads hold together only by subject and References, as far as mail programs go by
those. What we do know is whether the message had been handed over when something broke.
"""

from base64 import urlsafe_b64encode
from collections.abc import Mapping
from email.message import EmailMessage
from typing import Any

from worker.clock import Clock, utcnow
from worker.domain.model import Address
from worker.errors import AuthRevoked, InvalidResponse, Permanent
from worker.providers.base import Finding
from worker.providers.google.auth import GMAIL_SEND_SCOPE, build_access, quota_key_of, timeout_of
from worker.providers.google.client import GMAIL_ENDPOINT, GoogleApi, RequestQuota
from worker.providers.wire import to_bytes

#: What one message costs of the units that a person and a project have in a minute.
_UNITS_PER_MESSAGE = 100
_LARGEST_MESSAGE = 25 * 1024 * 1024


def build_mailer(section: Mapping[str, Any]) -> "GmailMailer":
    """The mailer as its section of the settings describes it: the same keys as for the calendar, and `sender`, the
    account that sends what comes from `service`, the address of our own mails (without `service`, everything). Any
    other mail is sent as the account that its From names. `per_person` and `per_project` are units a minute, of which a
    message costs 100."""
    return build_with_clock(section, utcnow)


def build_with_clock(section: Mapping[str, Any], clock: Clock) -> "GmailMailer":
    """See `mailer`."""
    pace = RequestQuota(int(section.get("per_person") or 5000), int(section.get("per_project") or 1_000_000), clock)
    wires = GoogleApi(
        "gmail",
        "v1",
        str(section.get("endpoint") or GMAIL_ENDPOINT),
        build_access(section, clock),
        pace=pace,
        timeout=timeout_of(section),
        clock=clock,
        quota_key=quota_key_of(section),
    )
    return GmailMailer(wires, str(section.get("sender") or ""), clock, str(section.get("service") or ""))


class GmailMailer:
    """A Mailer that hands messages to Gmail."""

    def __init__(self, wires: GoogleApi, sender: Address, clock: Clock, service: Address = "") -> None:
        self._wires = wires
        self._sender = sender
        self._service = service
        self._clock = clock

    def close(self) -> None:
        """Let go of the connections."""
        self._wires.close()

    def send(self, message: EmailMessage, key: str) -> None:
        account, content = self._choose_account(message), _encode_content(message)
        body = {"raw": urlsafe_b64encode(content).decode()}
        request = self._wires.service.users().messages().send(userId="me", body=body, fields="id")
        answer = self._wires.execute(
            account, GMAIL_SEND_SCOPE, request, units=_UNITS_PER_MESSAGE, what=f"the mail from {account}"
        )
        if not isinstance(answer, dict):
            raise InvalidResponse(f"the mail from {account}: Google answered with something that can't be read.")

    def _choose_account(self, message: EmailMessage) -> Address:
        """Who sends. Raises Permanent, AuthRevoked."""
        author = next((one.addr_spec.lower() for one in _list_addresses(message, "From")), "")
        sender = self._sender if self._sender and author in (self._service or author, "") else author
        if not sender:
            raise Permanent("The message names nobody who sends it.")
        connected = self._wires.access.list_connected()
        if connected is not None and sender not in connected:
            raise AuthRevoked(f"{sender} has not connected a Google account: run `longarc connect google {sender}`.")
        return sender

    def can_send_as(self, address: Address) -> bool:
        """Whether mail can leave from that account: any of the domain under delegation, else those connected."""
        connected = self._wires.access.list_connected()
        return connected is None or address in connected

    def copies_kept(self) -> str:
        """Where Gmail keeps a copy of each mail."""
        return "Gmail keeps a copy of each mail in Sent of the account it is sent from"

    def was_sent(self, key: str) -> bool | None:
        return None

    def check(self) -> list[Finding]:
        """Whether mail can be sent, as far as that can be known without sending any."""
        from worker.providers.google.checks import check_mail

        return check_mail(self._wires, self._sender)


def _encode_content(message: EmailMessage) -> bytes:
    """The message as it goes over the wire. Raises Permanent."""
    try:
        if not _list_addresses(message, "To", "Cc", "Bcc"):
            raise Permanent("The message needs a recipient.")
        content = to_bytes(message)
    except (ValueError, AttributeError, LookupError) as error:
        raise Permanent("The message can't be sent as it is: a header of it can't be written.") from error
    if len(content) > _LARGEST_MESSAGE:
        raise Permanent("The message is larger than Gmail takes.")
    return content


def _list_addresses(message: EmailMessage, *names: str) -> list[Any]:
    return [one for name in names for header in message.get_all(name, []) for one in header.addresses]
