"""The Gmail API: checks the mails that it is given to send, and keeps them."""

import base64
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from email import policy
from email.message import EmailMessage
from email.parser import BytesParser
from typing import Any

from tests.doubles.google.schema import Call, Refusal

#: The quota units that each method costs.
_UNITS = {"gmail.users.messages.send": 100, "gmail.users.messages.list": 5, "gmail.users.getProfile": 1}
_OTHER_UNITS = 20  #: of any other method
_METADATA_SCOPE = "https://www.googleapis.com/auth/gmail.metadata"


@dataclass(slots=True)
class Gmail:
    """All mailboxes. `sent` holds each mail with the address of its sender."""

    rewrites_message_id: bool = True  #: the Message-ID of each mail is replaced by a new one
    sent: list[tuple[str, EmailMessage]] = field(default_factory=list)
    without_gmail: set[str] = field(default_factory=set)  #: accounts that have no mailbox
    units: dict[str, int] = field(default_factory=dict)  #: quota units used, by person
    deliver: Callable[[str, bytes], None] | None = None  #: called for each recipient of a mail that was sent
    take: Callable[[bytes], None] | None = None  #: called once for each mail that was sent

    def answer(self, who: str, call: Call) -> dict[str, Any]:
        """Carry out a request of that person. Raises Refusal."""
        if call.path.get("userId", "me") not in ("me", who):
            raise Refusal(403, "forbidden", f"Delegation denied for {who}")
        if who in self.without_gmail:
            raise Refusal(400, "failedPrecondition", "Mail service not enabled", status_name="FAILED_PRECONDITION")
        self.units[who] = self.units.get(who, 0) + _UNITS.get(call.method, _OTHER_UNITS)
        if call.method == "gmail.users.messages.send":
            return self._send(who, call.body)
        if call.method == "gmail.users.messages.list":
            return self._search(who, call)
        if call.method == "gmail.users.getProfile":
            return {"emailAddress": who, "messagesTotal": len(self.sent)}
        raise Refusal(501, "notImplemented", f"The double does not know {call.method}.")

    def _send(self, who: str, body: dict[str, Any]) -> dict[str, Any]:
        raw = str(body.get("raw") or "")
        if not raw:
            raise _make_refusal("'raw' RFC822 payload message string or uploading message via /upload/* URL required")
        if not re.fullmatch(r"[A-Za-z0-9_-]+={0,2}", raw):
            raise _make_refusal("Invalid value for ByteString: not base64url")
        try:
            content = base64.urlsafe_b64decode(raw + "=" * (-len(raw.rstrip("=")) % 4))
        except ValueError:
            raise _make_refusal("Invalid value for ByteString") from None
        message = BytesParser(_class=EmailMessage, policy=policy.default).parsebytes(content)
        self._keep(who, message)
        return {"id": f"m{len(self.sent):x}", "threadId": str(body.get("threadId") or f"m{len(self.sent):x}")}

    def _keep(self, who: str, message: EmailMessage) -> None:
        recipients = [
            one.addr_spec
            for name in ("To", "Cc", "Bcc")
            for header in message.get_all(name, [])
            for one in header.addresses
        ]
        if not recipients:
            raise _make_refusal("Recipient address required")
        if not all(re.fullmatch(r"[^@\s]+@[^@\s]+", one) for one in recipients):
            raise _make_refusal("Invalid To header")
        senders = [one for header in message.get_all("From", []) for one in header.addresses]
        if not senders or senders[0].addr_spec.lower() != who:
            name = senders[0].display_name if senders else ""
            del message["From"]
            message["From"] = f'"{name}" <{who}>' if name else who
        if self.rewrites_message_id:
            del message["Message-ID"]
            message["Message-ID"] = f"<CA{len(self.sent):08x}@mail.gmail.com>"
        del message["Bcc"]
        self.sent.append((who, message))
        if self.take:
            self.take(message.as_bytes(policy=policy.SMTP))
        if self.deliver:
            for recipient in dict.fromkeys(recipients):
                self.deliver(recipient.lower(), message.as_bytes(policy=policy.SMTP))

    def _search(self, who: str, call: Call) -> dict[str, Any]:
        if "q" in call.query and call.scopes <= {_METADATA_SCOPE}:
            raise Refusal(403, "forbidden", "Metadata scope does not support 'q' parameter")
        wanted = str(call.query.get("q", "")).removeprefix("rfc822msgid:").strip("<>")
        own = [(n, mail) for n, (sender, mail) in enumerate(self.sent, 1) if sender == who]
        hits = [{"id": f"m{n:x}", "threadId": f"m{n:x}"} for n, mail in own if wanted in str(mail["Message-ID"])]
        return {"messages": hits, "resultSizeEstimate": len(hits)}


def _make_refusal(message: str) -> Refusal:
    return Refusal(400, "invalidArgument", message, status_name="INVALID_ARGUMENT")
