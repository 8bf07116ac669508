"""Mail through Microsoft Graph, in MIME so that every header survives.

With `Mail.Send` alone a message is handed over and nobody can tell afterwards whether it went: `was_sent` never knows.
With `Mail.ReadWrite` besides it goes by a draft that carries our key, so that it can be looked up: exactly once.
"""

import base64
from email.message import EmailMessage
from threading import Lock
from urllib.parse import quote

from worker.domain.model import Address
from worker.errors import NotFound, Permanent, Unavailable
from worker.providers.base import Finding
from worker.providers.outlook import checks, events
from worker.providers.outlook.client import Graph, Json
from worker.providers.wire import to_bytes

#: What a request may hold, in bytes of base64.
LARGEST_MESSAGE = 4_000_000


def describe_mode(*, exactly_once: bool) -> str:
    """How sure one can be that a mail goes out once, in words."""
    if exactly_once:
        return "exactly once, by drafts (Mail.ReadWrite)"
    return "at most once (Mail.Send alone): a mail whose outcome is unknown is shown to the operator"


class GraphMailer:
    """A Mailer that sends from one mailbox."""

    def __init__(
        self, graph: Graph, mailbox: Address = "", *, exactly_once: bool = False, as_author: bool = False
    ) -> None:
        """`mailbox`: where mail goes out from and is looked up; an own account sends from its own. `as_author`: a mail
        whose From names another leaves from that one's mailbox."""
        self._as_author = as_author
        self._graph = graph
        self._mailbox = graph.own or mailbox
        self._service = mailbox
        self.exactly_once = exactly_once
        self._lock = Lock()
        self._senders: dict[str, Address] = {}  #: by key, the mailbox that a message was sent from
        self._flying: set[str] = set()  #: keys whose message left, but was not seen to arrive anywhere

    def send(self, message: EmailMessage, key: str) -> None:
        author, content = _encode_message(message)
        sender = self._sender_of(author)
        if not self.exactly_once:
            self._graph.post_mime(sender, "sendMail", content)
            return
        with self._lock:
            self._senders[key] = sender
        found = self._find_message(sender, key)
        if found is not None and not found.get("isDraft"):
            return
        draft = str(found["id"]) if found else self._create_draft(sender, content, key)
        try:
            self._graph.post(sender, f"messages/{quote(draft, safe='')}/send", {})
        except NotFound as error:  # the draft was there a moment ago: it is on its way
            self._mark_unsure(key)
            raise Unavailable(f"{sender}: the message left, but is not seen yet.", uncertain=True) from error
        except Unavailable:
            self._mark_unsure(key)
            raise

    def _sender_of(self, author: Address) -> Address:
        """The mailbox that a message of this author leaves from: the author's own when it is neither an own account
        nor the service's mailbox that sends."""
        if self._graph.own or author == self._service:
            return self._mailbox or author
        return author if self._as_author else self._mailbox or author

    def can_send_as(self, address: Address) -> bool:
        """Whether mail can leave from that mailbox: an app may, as far as its rights reach; an own account has one."""
        return address == self._graph.own if self._graph.own else self._as_author

    def copies_kept(self) -> str:
        """Where Microsoft 365 keeps a copy of each mail."""
        return "Microsoft 365 keeps a copy of each mail in Sent Items of the mailbox it is sent from"

    def _create_draft(self, sender: Address, content: bytes, key: str) -> str:
        """A draft that carries our key. One that lacks it, because we were stopped in between, is never sent."""
        made = str(self._graph.post_mime(sender, "messages", content)["id"])
        tag: Json = {"singleValueExtendedProperties": events.make_key_property(key)}
        self._graph.patch(sender, f"messages/{quote(made, safe='')}", tag)
        return made

    def _mark_unsure(self, key: str) -> None:
        with self._lock:
            self._flying.add(key)

    def was_sent(self, key: str) -> bool | None:
        if not self.exactly_once:
            return None
        with self._lock:
            sender = self._senders.get(key, "" if self._as_author else self._mailbox)
        if not sender:  # sent by another process, from a mailbox that the key does not tell
            return None
        found = self._find_message(sender, key)
        with self._lock:
            if found is not None:
                self._flying.discard(key)
                return not found.get("isDraft")
            return None if key in self._flying else False

    def _find_message(self, sender: Address, key: str) -> Json | None:
        """The message of that key, sent before draft."""
        messages = self._graph.iter_all(
            sender, "messages", filter=events.filter_by_key(key), select="id,isDraft", expand=events.EXPAND_KEY, top=50
        )
        found = [one for one in messages if events.key_of(one) == key]
        return min(found, key=lambda one: bool(one.get("isDraft")), default=None)

    def check(self) -> list[Finding]:
        """Logs in, and tells which of the two it is; sends nothing."""
        return checks.check_mail(
            self._graph, self._mailbox, describe_mode(exactly_once=self.exactly_once), exactly_once=self.exactly_once
        )


def _encode_message(message: EmailMessage) -> tuple[Address, bytes]:
    """From whom, and the message in base64. Raises Permanent."""
    try:
        sender = str(message["From"].addresses[0].addr_spec).casefold()
        if not any(header.addresses for name in ("To", "Cc", "Bcc") for header in message.get_all(name, [])):
            raise ValueError("it needs a recipient")
        content = base64.b64encode(to_bytes(message))
    except (ValueError, IndexError, AttributeError, TypeError) as error:
        raise Permanent(f"The message can't be sent as it is: {' '.join(str(error).split())[:200]}") from error
    if len(content) > LARGEST_MESSAGE:
        raise Permanent("The message is larger than what may be sent at once.")
    return sender, content
