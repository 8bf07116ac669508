"""Messages: what Graph does with them, and what it refuses."""

import base64
import binascii
import re
import secrets
from collections.abc import Callable
from email.message import EmailMessage
from email.parser import BytesParser
from email.policy import SMTP
from typing import Any

from tests.doubles.graph import odata, query
from tests.doubles.graph.calendars import Answer, Calendars, Request
from tests.doubles.graph.odata import held_by, told_id
from tests.doubles.graph.state import Json, Letter, Mailbox, Refusal, World

#: What a request may hold, and the headers that a message in JSON may have.
_LARGEST, _HEADERS = 4 * 1024 * 1024, 5
_HEADER = re.compile(r"[xX]-")


class Mails:
    """What the mail's part of the service does. `unsent_ids`: whether an id changes when a draft is sent.
    `slow`: sent copies that are not to be found yet, until it is set back."""

    def __init__(self, world: World, calendars: Calendars) -> None:
        self.world, self._calendars = world, calendars
        self.slow = False
        self.outbox: list[tuple[str, EmailMessage]] = []
        self.take: Callable[[bytes], None] = lambda _: None  #: sees each message as it leaves
        self.unknown: set[str] = set()  #: recipients for whom an NDR comes later

    def send_mail(self, request: Request) -> Answer:
        if _is_mime(request):
            content = _mime(request.body)
        else:
            given = self._calendars.parameters("sendMail", "user", request.body)
            content = _from_json(given.get("message") or {})
        self._go(request.mailbox, content)
        request.mailbox.letters.append(_letter(content, draft=False))
        return Answer(202)

    def create(self, request: Request) -> Answer:
        content = (
            _mime(request.body) if _is_mime(request) else _from_json(self._calendars.checked("message", request.body))
        )
        letter = _letter(content, draft=True)
        request.mailbox.letters.append(letter)
        return Answer(201, odata.message(letter, request.prefers))

    def change(self, request: Request) -> Answer:
        letter = held_by(request.mailbox, request.path[1])
        given = self._calendars.checked("message", request.body)
        self._calendars._extend(letter, given)
        return Answer(200, odata.message(letter, request.prefers))

    def send(self, request: Request) -> Answer:
        letter = held_by(request.mailbox, request.path[1])
        if not letter.draft:
            raise Refusal(400, "ErrorInvalidRequest", "The message is not a draft.")
        self._go(request.mailbox, letter.content)
        letter.draft = False
        letter.id = f"AAkSENT{secrets.token_hex(4)}"  # it was seen to change, whatever is promised
        return Answer(202)

    def listed(self, request: Request) -> Answer:
        clause = request.query.get("$filter", "")
        if "$orderby" in request.query and clause:
            raise Refusal(400, "InefficientFilter", "The restriction or sort order is too complex for this operation.")
        fits = query.filtered(clause, query.MESSAGE_FIELDS)

        def row(letter: Letter) -> query.Row:
            return query.Row(odata.message(letter, request.prefers), letter.extended)

        found = [one for one in request.mailbox.letters if (one.draft or not self.slow) and fits(row(one))]
        found = query.ordered(found, request.query.get("$orderby", ""), query.MESSAGE_FIELDS, row)
        top = query.number(request.query, "$top", request.prefers.page, 1)
        return Answer(200, {"value": [self._told(one, request) for one in found[:top]]})

    def read(self, request: Request) -> Answer:
        return Answer(200, self._told(held_by(request.mailbox, request.path[1]), request))

    @staticmethod
    def _told(letter: Letter, request: Request) -> Json:
        told = query.selected(odata.message(letter, request.prefers), request.query.get("$select", ""), odata.MESSAGE)
        return told | query.expanded(letter.extended, request.query.get("$expand", ""))

    def _go(self, mailbox: Mailbox, content: bytes) -> None:
        message = _read(content)
        sender = str(message["From"] or mailbox.address)
        if mailbox.address not in sender.casefold():
            raise Refusal(403, "ErrorSendAsDenied", "The user account doesn't have permission to send as this sender.")
        recipients = [
            a.addr_spec.casefold() for n in ("To", "Cc", "Bcc") for h in message.get_all(n, []) for a in h.addresses
        ]
        if not recipients:
            raise Refusal(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
        self.take(content)
        for recipient in recipients:
            self.outbox.append((recipient, message))
            if recipient in self.unknown:  # accepted all the same; the bad news comes to the inbox
                mailbox.inbox.append(b"Subject: Undeliverable: " + str(message["Subject"]).encode())
            elif recipient in self.world.mailboxes:
                self.world.mailboxes[recipient].inbox.append(content)


def _is_mime(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("text/plain")


def _mime(body: Any) -> bytes:
    if isinstance(body, bytes) and len(body) > _LARGEST:
        raise Refusal(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")
    try:
        if not isinstance(body, bytes):
            raise ValueError
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        raise Refusal(400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.") from None


def _read(content: bytes) -> EmailMessage:
    return BytesParser(_class=EmailMessage, policy=SMTP).parsebytes(content)


def _letter(content: bytes, *, draft: bool) -> Letter:
    message = _read(content)
    return Letter(f"AAkMSG{secrets.token_hex(6)}", content, str(message["Message-ID"] or ""), draft)


def _from_json(given: Json) -> bytes:
    message = EmailMessage(policy=SMTP)
    headers = given.get("internetMessageHeaders") or ()
    if len(headers) > _HEADERS:
        words = f"The maximum number of internet message headers is {_HEADERS}."
        raise Refusal(400, "InvalidInternetMessageHeaderCollection", words)
    for header in headers:
        if not _HEADER.match(str(header.get("name"))):
            words = f"The internet message header name '{header.get('name')}' should start with 'x-' or 'X-'."
            raise Refusal(400, "InvalidInternetMessageHeader", words)
        message[header["name"]] = header.get("value") or ""
    for name, title in (("toRecipients", "To"), ("ccRecipients", "Cc"), ("bccRecipients", "Bcc")):
        people = [str(((one or {}).get("emailAddress") or {}).get("address") or "") for one in given.get(name) or ()]
        if not all("@" in one for one in people):
            raise Refusal(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
        if people:
            message[title] = ", ".join(people)
    message["Subject"] = given.get("subject") or ""
    message.set_content(str((given.get("body") or {}).get("content") or ""))
    return message.as_bytes()


__all__ = ["Mails", "told_id"]
