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
MAX_TOKEN_LENGTH = 1000


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
class LinkClaims:
    """What a link or a visit allows: whom, what for, about which session if it is about one, and since when."""

    person: Address
    purpose: Purpose
    session_id: str = ""
    issued_at: datetime


class LinkSigner:
    """Makes and reads what is signed. `keys` are those that seal: the first signs, all of them count."""

    def __init__(self, base_url: str, keys: Sequence[str]) -> None:
        self.base_url = base_url
        self._keys = [hmac.digest(key.encode(), b"longarc links", hashlib.sha256) for key in keys]

    def build_url(self, given: LinkClaims) -> str:
        """The address that goes into a mail."""
        return f"{self.base_url}/in/{self.sign_claims(given)}"

    def sign_claims(self, given: LinkClaims, kind: str = "link") -> str:
        """The signed form. What is signed as one kind is never taken for another."""
        fields = [given.person, given.purpose.value, given.session_id, int(given.issued_at.timestamp())]
        return self._make_serializer(kind).dumps(fields)

    def read_token(self, token: str, kind: str = "link") -> LinkClaims:
        """What a token says. Raises BadLink. Whether it still holds is for the reader to find out."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise BadLink
        try:
            who, purpose, about, issued = self._make_serializer(kind).loads(token)
            return LinkClaims(
                person=who, purpose=Purpose(purpose), session_id=about, issued_at=datetime.fromtimestamp(issued, UTC)
            )
        except (BadData, ValueError, TypeError) as error:
            raise BadLink from error

    def sign_text(self, text: str, kind: str) -> str:
        """A keyed digest of a text: goes into forms, so that nobody else can have made them."""
        return hmac.new(self._keys[0], f"{kind}|{text}".encode(), hashlib.sha256).hexdigest()[:43]

    def is_signed_text(self, text: str, kind: str, mark: str) -> bool:
        """Whether that mark was made by any of our keys."""
        wanted = [hmac.new(key, f"{kind}|{text}".encode(), hashlib.sha256).hexdigest()[:43] for key in self._keys]
        return any(hmac.compare_digest(one.encode(), mark.encode()) for one in wanted)

    def _make_serializer(self, kind: str) -> URLSafeSerializer:
        # the last of its keys is the one it signs with
        return URLSafeSerializer(list(reversed(self._keys)), salt=f"longarc {kind}", signer_kwargs=_SIGNER_OPTIONS)


_SIGNER_OPTIONS = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}


def make_link_signer(base_url: str, keys: Sequence[str]) -> LinkSigner | None:
    """None when pages can't be reached, or nothing can be signed: then mails go without links."""
    return LinkSigner(base_url, keys) if base_url and keys else None
