"""Sends mail through Microsoft Graph, in MIME format so that every header is preserved.

With the permission `Mail.Send` alone, a message can't be looked up after it was sent, and `was_sent` always returns
None. With `Mail.ReadWrite` as well, a message is first stored as a draft that carries our key. It can be looked up by
this key before it is sent again, so it is sent exactly once.
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

#: The size of the largest message that Graph accepts in one request, in bytes of base64.
MAX_MESSAGE_SIZE = 4_000_000
_MAX_CAUSE_LENGTH = 200  #: characters of the cause of an encoding error in an error text


def describe_guarantee(*, exactly_once: bool) -> str:
    """Return a text for the operator that says whether each mail is sent exactly once or at most once."""
    if exactly_once:
        return "exactly once, by drafts (Mail.ReadWrite)"
    return "at most once (Mail.Send alone): a mail whose outcome is unknown is reported to the operator"


class GraphMailer:
    """A Mailer on Microsoft Graph."""

    def __init__(
        self, graph: Graph, mailbox: Address = "", *, exactly_once: bool = False, as_author: bool = False
    ) -> None:
        """`mailbox` is the mailbox from which mail is sent. A connected account always sends from its own mailbox.

        With `as_author`, mail whose From names another address is sent from that address's mailbox.
        """
        self._as_author = as_author
        self._graph = graph
        #: The mailbox from which mail is sent; empty when each mail is sent from that of its author, who is in From.
        self._mailbox = graph.own_account or mailbox
        self._configured_mailbox = mailbox  #: that of the settings, also when a connected account sends
        self.exactly_once = exactly_once
        self._lock = Lock()
        self._sender_by_key: dict[str, Address] = {}  #: the mailbox from which each message is sent
        #: The keys of messages that may have been sent, but were not found so far.
        self._unconfirmed_keys: set[str] = set()

    def send(self, message: EmailMessage, key: str) -> None:
        """Send the message. With `exactly_once`, does nothing when the message with that key was sent already."""
        author, content = _encode_message(message)
        sender = self._choose_sender(author)
        if not self.exactly_once:
            self._graph.post_mime(sender, "sendMail", content)
            return
        with self._lock:
            self._sender_by_key[key] = sender
        existing_message = self._find_message(sender, key)
        if existing_message is not None and not existing_message.get("isDraft"):
            return
        draft_id = str(existing_message["id"]) if existing_message else self._create_draft(sender, content, key)
        try:
            self._graph.post(sender, f"messages/{quote(draft_id, safe='')}/send", {})
        except NotFound as error:  # the draft existed a moment ago, so the service is sending it
            self._mark_unconfirmed(key)
            raise Unavailable(
                f"{sender}: the message is not found among the sent messages yet.", uncertain=True
            ) from error
        except Unavailable:
            self._mark_unconfirmed(key)
            raise

    def _choose_sender(self, author: Address) -> Address:
        """Return the mailbox from which to send a message with this author in From.

        A connected account sends from its own mailbox. With `as_author`, other people's messages are sent from the
        author's mailbox. Every other message is sent from the configured mailbox, if there is one.
        """
        if self._graph.own_account or author == self._configured_mailbox:
            return self._mailbox or author
        return author if self._as_author else self._mailbox or author

    def can_send_as(self, address: Address) -> bool:
        """Return whether mail can be sent from that mailbox: with `as_author` from every mailbox, and with a connected
        account from the account's own mailbox."""
        return address == self._graph.own_account if self._graph.own_account else self._as_author

    def describe_sent_copies(self) -> str:
        """Return a text that says where Microsoft 365 keeps a copy of each mail."""
        return "Microsoft 365 keeps a copy of each mail in Sent Items of the mailbox it is sent from"

    def _create_draft(self, sender: Address, content: bytes, key: str) -> str:
        """Create a draft, add our key to it, and return its id.

        A crash between the two requests leaves a draft without a key, which is never sent.
        """
        draft_id = str(self._graph.post_mime(sender, "messages", content)["id"])
        patch: Json = {"singleValueExtendedProperties": events.make_key_property(key)}
        self._graph.patch(sender, f"messages/{quote(draft_id, safe='')}", patch)
        return draft_id

    def _mark_unconfirmed(self, key: str) -> None:
        with self._lock:
            self._unconfirmed_keys.add(key)

    def was_sent(self, key: str) -> bool | None:
        """Return whether the message with that key was sent; None when this is not known, as without `exactly_once`."""
        if not self.exactly_once:
            return None
        with self._lock:
            sender = self._sender_by_key.get(key, "" if self._as_author else self._mailbox)
        if not sender:  # another process may have sent the message, from a mailbox that is not known here
            return None
        message = self._find_message(sender, key)
        with self._lock:
            if message is not None:
                self._unconfirmed_keys.discard(key)
                return not message.get("isDraft")
            return None if key in self._unconfirmed_keys else False

    def _find_message(self, sender: Address, key: str) -> Json | None:
        """Return the message with that key: the sent message if there is one, or else the draft, or else None."""
        messages = self._graph.iter_all(
            sender,
            "messages",
            filter=events.compose_key_filter(key),
            select="id,isDraft",
            expand=events.EXPAND_KEY,
            top=50,
        )
        messages_with_key = [message for message in messages if events.read_key(message) == key]
        return min(messages_with_key, key=lambda message: bool(message.get("isDraft")), default=None)

    def check(self) -> list[Finding]:
        """Check everything that sending mail needs, without sending any; return the findings."""
        return checks.check_mail(
            self._graph,
            self._mailbox,
            guarantee=describe_guarantee(exactly_once=self.exactly_once),
            exactly_once=self.exactly_once,
        )


def _encode_message(message: EmailMessage) -> tuple[Address, bytes]:
    """Return the address in From, and the message in base64. Raises Permanent when the message can't be sent."""
    try:
        author = str(message["From"].addresses[0].addr_spec).casefold()
        if not any(header.addresses for name in ("To", "Cc", "Bcc") for header in message.get_all(name, [])):
            raise ValueError("it has no recipient")
        content = base64.b64encode(to_bytes(message))
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        cause = " ".join(str(error).split())[:_MAX_CAUSE_LENGTH]
        raise Permanent(f"The message can't be sent as it is: {cause}") from error
    if len(content) > MAX_MESSAGE_SIZE:
        raise Permanent("The message is larger than Microsoft Graph accepts in one request.")
    return author, content
