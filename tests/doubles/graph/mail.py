"""The requests about mail, which Graph carries out or refuses."""

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
from tests.doubles.graph.odata import find_item
from tests.doubles.graph.state import Json, Mailbox, Refusal, StoredMessage, World

_MAX_MIME_BYTES = 4 * 1024 * 1024
_MAX_HEADERS = 5  #: custom headers of a message in JSON
_HEADER_NAME = re.compile(r"[xX]-")


class Mails:
    """Answers the requests about mail. Its public methods that take a Request return an Answer, or raise Refusal."""

    def __init__(self, world: World, calendars: Calendars) -> None:
        self.world, self._calendars = world, calendars
        self.hides_sent = False  #: lists do not contain sent messages yet
        self.outbox: list[tuple[str, EmailMessage]] = []  #: each sent message, once for each recipient
        self.take: Callable[[bytes], None] = lambda _: None  #: called once for each message that is sent
        self.unknown_recipients: set[str] = set()  #: mail to them comes back as undeliverable

    def send_mail(self, request: Request) -> Answer:
        if _is_mime(request):
            content = _decode_mime(request.body)
        else:
            given = self._calendars.parse_parameters("sendMail", "user", request.body)
            content = _compose_from_json(given.get("message") or {})
        self._send(request.mailbox, content)
        request.mailbox.messages.append(_make_message(content, draft=False))
        return Answer(202)

    def create(self, request: Request) -> Answer:
        content = (
            _decode_mime(request.body)
            if _is_mime(request)
            else _compose_from_json(self._calendars.parse_entity("message", request.body))
        )
        message = _make_message(content, draft=True)
        request.mailbox.messages.append(message)
        return Answer(201, odata.describe_message(message, request.preferences))

    def change(self, request: Request) -> Answer:
        message = find_item(request.mailbox, request.path[1])
        given = self._calendars.parse_entity("message", request.body)
        self._calendars.set_extended_properties(message, given)
        return Answer(200, odata.describe_message(message, request.preferences))

    def send(self, request: Request) -> Answer:
        message = find_item(request.mailbox, request.path[1])
        if not message.draft:
            raise Refusal(400, "ErrorInvalidRequest", "The message is not a draft.")
        self._send(request.mailbox, message.content)
        message.draft = False
        # the real service changes the id although its documentation says otherwise
        message.id = f"AAkSENT{secrets.token_hex(4)}"
        return Answer(202)

    def list_messages(self, request: Request) -> Answer:
        clause = request.query.get("$filter", "")
        if "$orderby" in request.query and clause:
            raise Refusal(400, "InefficientFilter", "The restriction or sort order is too complex for this operation.")
        matches = query.parse_filter(clause, query.MESSAGE_FIELDS)

        def make_row(message: StoredMessage) -> query.Row:
            return query.Row(odata.describe_message(message, request.preferences), message.extended_properties)

        found = [
            one for one in request.mailbox.messages if (one.draft or not self.hides_sent) and matches(make_row(one))
        ]
        found = query.order(found, request.query.get("$orderby", ""), query.MESSAGE_FIELDS, make_row)
        top = query.parse_number(request.query, "$top", default=request.preferences.page_size, lowest=1)
        return Answer(200, {"value": [self._describe(one, request) for one in found[:top]]})

    def read(self, request: Request) -> Answer:
        return Answer(200, self._describe(find_item(request.mailbox, request.path[1]), request))

    @staticmethod
    def _describe(message: StoredMessage, request: Request) -> Json:
        described = query.select(
            odata.describe_message(message, request.preferences),
            request.query.get("$select", ""),
            odata.MESSAGE_PROPERTIES,
        )
        return described | query.expand(message.extended_properties, request.query.get("$expand", ""))

    def _send(self, mailbox: Mailbox, content: bytes) -> None:
        """Deliver a message to the outbox and to the inboxes of its recipients. Raises Refusal."""
        message = _parse_message(content)
        sender = str(message["From"] or mailbox.address)
        if mailbox.address not in sender.casefold():
            raise Refusal(403, "ErrorSendAsDenied", "The user account doesn't have permission to send as this sender.")
        recipients = [
            address.addr_spec.casefold()
            for name in ("To", "Cc", "Bcc")
            for header in message.get_all(name, [])
            for address in header.addresses
        ]
        if not recipients:
            raise Refusal(400, "ErrorInvalidRecipients", "At least one recipient isn't valid.")
        self.take(content)
        for recipient in recipients:
            self.outbox.append((recipient, message))
            if recipient in self.unknown_recipients:
                # Graph accepts the mail, and reports the failure in the sender's inbox
                mailbox.inbox.append(b"Subject: Undeliverable: " + str(message["Subject"]).encode())
            elif recipient in self.world.mailboxes:
                self.world.mailboxes[recipient].inbox.append(content)


def _is_mime(request: Request) -> bool:
    return request.headers.get("content-type", "").startswith("text/plain")


def _decode_mime(body: Any) -> bytes:
    if isinstance(body, bytes) and len(body) > _MAX_MIME_BYTES:
        raise Refusal(413, "ErrorMessageSizeExceeded", "The message exceeds the maximum supported size.")
    try:
        if not isinstance(body, bytes):
            raise ValueError
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error):
        raise Refusal(400, "ErrorMimeContentInvalidBase64String", "Invalid base64 string for MIME content.") from None


def _parse_message(content: bytes) -> EmailMessage:
    return BytesParser(_class=EmailMessage, policy=SMTP).parsebytes(content)


def _make_message(content: bytes, *, draft: bool) -> StoredMessage:
    message = _parse_message(content)
    return StoredMessage(f"AAkMSG{secrets.token_hex(6)}", content, str(message["Message-ID"] or ""), draft)


def _compose_from_json(given: Json) -> bytes:
    message = EmailMessage(policy=SMTP)
    headers = given.get("internetMessageHeaders") or ()
    if len(headers) > _MAX_HEADERS:
        words = f"The maximum number of internet message headers is {_MAX_HEADERS}."
        raise Refusal(400, "InvalidInternetMessageHeaderCollection", words)
    for header in headers:
        if not _HEADER_NAME.match(str(header.get("name"))):
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
