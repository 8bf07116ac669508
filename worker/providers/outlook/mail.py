"""Mail through Microsoft Graph, in MIME so that every header survives.

With `Mail.Send` alone a message can't be looked up after it was handed over: `was_sent` always returns None. With
`Mail.ReadWrite` as well, a message is sent as a draft that carries our key, so it can be looked up: exactly once.
"""

import base64
from email.message import EmailMessage
from threading import Lock
from urllib.parse import quote

from worker.domain.model import Address
from worker.errors import NotFound, Permanent, Unavailable
from worker.providers.base import Finding
from worker.providers.message_bytes import to_bytes
from worker.providers.outlook import checks, events
from worker.providers.outlook.client import Graph, Json

#: The largest message that Graph accepts in one request, in bytes of base64.
MAX_MESSAGE_SIZE = 4_000_000


def describe_mode(*, exactly_once: bool) -> str:
    """Return how reliably a mail goes out once, as text for the operator."""
    if exactly_once:
        return "exactly once, by drafts (Mail.ReadWrite)"
    return "at most once (Mail.Send alone): a mail whose outcome is unknown is shown to the operator"


class GraphMailer:
    """A Mailer that sends from one mailbox."""

    def __init__(
        self, graph: Graph, mailbox: Address = "", *, exactly_once: bool = False, as_author: bool = False
    ) -> None:
        """`mailbox`: where mail is sent from and looked up; a connected account always uses its own. `as_author`: send
        a mail with another address in From from that person's mailbox."""
        self._as_author = as_author
        self._graph = graph
        self._mailbox = graph.own_account or mailbox
        self._service = mailbox
        self.exactly_once = exactly_once
        self._lock = Lock()
        self._senders: dict[str, Address] = {}  #: the mailbox that each key's message was sent from
        self._unconfirmed: set[str] = set()  #: the keys of messages that may have been sent, but were not found yet

    def send(self, message: EmailMessage, key: str) -> None:
        """Hand the message over. With `exactly_once`, does nothing when the message of that key was sent already."""
        author, content = _encode_message(message)
        sender = self._sender_of(author)
        if not self.exactly_once:
            self._graph.post_mime(sender, "sendMail", content)
            return
        with self._lock:
            self._senders[key] = sender
        existing = self._find_message(sender, key)
        if existing is not None and not existing.get("isDraft"):
            return
        draft_id = str(existing["id"]) if existing else self._create_draft(sender, content, key)
        try:
            self._graph.post(sender, f"messages/{quote(draft_id, safe='')}/send", {})
        except NotFound as error:  # the draft existed a moment ago, so it is being sent
            self._mark_unconfirmed(key)
            raise Unavailable(f"{sender}: the message left, but is not seen yet.", uncertain=True) from error
        except Unavailable:
            self._mark_unconfirmed(key)
            raise

    def _sender_of(self, author: Address) -> Address:
        """Return the mailbox that sends a message of this author: a connected account's own; the author's own with
        `as_author`, unless the author is the service's address; else the configured mailbox."""
        if self._graph.own_account or author == self._service:
            return self._mailbox or author
        return author if self._as_author else self._mailbox or author

    def can_send_as(self, address: Address) -> bool:
        """Whether mail can be sent from that mailbox: with `as_author` any, with a connected account only its own."""
        return address == self._graph.own_account if self._graph.own_account else self._as_author

    def describe_sent_copies(self) -> str:
        """Return where Microsoft 365 keeps a copy of each mail."""
        return "Microsoft 365 keeps a copy of each mail in Sent Items of the mailbox it is sent from"

    def _create_draft(self, sender: Address, content: bytes, key: str) -> str:
        """Create a draft, add our key, and return its id. A draft left without the key by a crash is never sent."""
        draft_id = str(self._graph.post_mime(sender, "messages", content)["id"])
        tag: Json = {"singleValueExtendedProperties": events.make_key_property(key)}
        self._graph.patch(sender, f"messages/{quote(draft_id, safe='')}", tag)
        return draft_id

    def _mark_unconfirmed(self, key: str) -> None:
        with self._lock:
            self._unconfirmed.add(key)

    def was_sent(self, key: str) -> bool | None:
        """Whether the message of that key went out; None without `exactly_once`, and when that is not known."""
        if not self.exactly_once:
            return None
        with self._lock:
            sender = self._senders.get(key, "" if self._as_author else self._mailbox)
        if not sender:  # another process sent it, from an unknown mailbox
            return None
        message = self._find_message(sender, key)
        with self._lock:
            if message is not None:
                self._unconfirmed.discard(key)
                return not message.get("isDraft")
            return None if key in self._unconfirmed else False

    def _find_message(self, sender: Address, key: str) -> Json | None:
        """Return the message of that key: a sent one, else a draft, else None."""
        messages = self._graph.iter_all(
            sender, "messages", filter=events.filter_by_key(key), select="id,isDraft", expand=events.EXPAND_KEY, top=50
        )
        matching = [message for message in messages if events.key_of(message) == key]
        return min(matching, key=lambda message: bool(message.get("isDraft")), default=None)

    def check(self) -> list[Finding]:
        """Try everything that sending needs, without sending; the findings say whether mail goes out exactly once."""
        return checks.check_mail(
            self._graph, self._mailbox, describe_mode(exactly_once=self.exactly_once), exactly_once=self.exactly_once
        )


def _encode_message(message: EmailMessage) -> tuple[Address, bytes]:
    """Return the address in From, and the message in base64. Raises Permanent when it can't be sent."""
    try:
        sender = str(message["From"].addresses[0].addr_spec).casefold()
        if not any(header.addresses for name in ("To", "Cc", "Bcc") for header in message.get_all(name, [])):
            raise ValueError("it needs a recipient")
        content = base64.b64encode(to_bytes(message))
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        raise Permanent(f"The message can't be sent as it is: {' '.join(str(error).split())[:200]}") from error
    if len(content) > MAX_MESSAGE_SIZE:
        raise Permanent("The message is larger than what may be sent at once.")
    return sender, content
