"""Links to pages: signed, each for one person and one purpose, void after a while or when the person says so.

Nothing is stored when a link is made. What it says can be read by whoever holds it (the address it was sent to, and
ids); what it opens is decided when it is opened. The keys are derived from those that seal, so that there is one
secret to keep, and changing it changes both.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum

from itsdangerous import BadData, URLSafeSerializer

from worker.domain.model import Address
from worker.errors import LongarcError

#: Nothing that we signed is longer.
LONGEST = 1000


class Purpose(StrEnum):
    """What a link is for: which pages it opens, and no others. The value is also where those pages live."""

    CONTRACT = "contract"  #: of one session, for the manager
    TIME = "time"  #: another time for one session, for the manager
    ME = "me"  #: a report's own page
    TEAM = "team"  #: a manager's page
    STATUS = "status"  #: the operator's page


class BadLink(LongarcError):
    """This is not a link that we gave out, or somebody has changed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pass:
    """What a link or a visit allows: whom, what for, about which session if it is about one, and since when."""

    who: Address
    purpose: Purpose
    about: str = ""
    issued: datetime


class Links:
    """Makes and reads what is signed. `keys` are those that seal: the first signs, all of them count."""

    def __init__(self, base_url: str, keys: Sequence[str]) -> None:
        self.base_url = base_url
        self._keys = [hmac.digest(key.encode(), b"longarc links", hashlib.sha256) for key in keys]

    def url(self, given: Pass) -> str:
        """The address that goes into a mail."""
        return f"{self.base_url}/in/{self.token(given)}"

    def token(self, given: Pass, kind: str = "link") -> str:
        """The signed form. What is signed as one kind is never taken for another."""
        told = [given.who, given.purpose.value, given.about, int(given.issued.timestamp())]
        return self._signer(kind).dumps(told)

    def read(self, token: str, kind: str = "link") -> Pass:
        """What a token says. Raises BadLink. Whether it still holds is for the reader to find out."""
        if len(token) > LONGEST:
            raise BadLink
        try:
            who, purpose, about, issued = self._signer(kind).loads(token)
            return Pass(who=who, purpose=Purpose(purpose), about=about, issued=datetime.fromtimestamp(issued, UTC))
        except (BadData, ValueError, TypeError) as error:
            raise BadLink from error

    def mark(self, text: str, kind: str) -> str:
        """A keyed digest of a text: goes into forms, so that nobody else can have made them."""
        return hmac.new(self._keys[0], f"{kind}|{text}".encode(), hashlib.sha256).hexdigest()[:43]

    def is_signed_text(self, text: str, kind: str, mark: str) -> bool:
        """Whether that mark was made by any of our keys."""
        wanted = [hmac.new(key, f"{kind}|{text}".encode(), hashlib.sha256).hexdigest()[:43] for key in self._keys]
        return any(hmac.compare_digest(one.encode(), mark.encode()) for one in wanted)

    def _signer(self, kind: str) -> URLSafeSerializer:
        # the last of its keys is the one it signs with
        return URLSafeSerializer(list(reversed(self._keys)), salt=f"longarc {kind}", signer_kwargs=_SIGNER)


_SIGNER = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}


def links_of(base_url: str, keys: Sequence[str]) -> Links | None:
    """None when pages can't be reached, or nothing can be signed: then mails go without links."""
    return Links(base_url, keys) if base_url and keys else None
