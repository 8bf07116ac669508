"""Signed links to pages. A link is for one person and one purpose; it expires, and the person can revoke it.

Links are not stored. A link is signed, not sealed: whoever has it can read the address and the ids in it. What it may
show is decided when it is opened. The signing keys are derived from the keys that seal content.
"""

import hashlib
import hmac
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any

from itsdangerous import BadData, URLSafeSerializer

from worker.domain.model import Address
from worker.errors import LongarcError

#: Longer tokens are not ours. In characters.
MAX_TOKEN_LENGTH = 1000
#: Longer signed values are not ours either; browsers keep cookies up to about this size. In characters.
MAX_VALUE_LENGTH = 4000


class Purpose(StrEnum):
    """Which pages a link opens. The value is also the first part of their path."""

    CONTRACT = "contract"  #: the contract of one session, for the manager
    TIME = "time"  #: another time for one session, for both
    ME = "me"  #: a report's own page
    TEAM = "team"  #: a manager's page
    PULSE = "pulse"  #: one anonymous question, for a report; the session id is the round
    STATUS = "status"  #: the operator's page
    VOICE = "voice"  #: a report's question, for the third person who is asked


class BadLink(LongarcError):
    """This is not a link that we gave out, or somebody has changed it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkClaims:
    """The content of a link or of a visit's cookie."""

    person: Address
    purpose: Purpose
    session_id: str = ""  #: for `voice`: the id of the question; empty for pages that are about neither
    issued_at: datetime


class LinkSigner:
    """Signs and verifies links, and texts in forms."""

    def __init__(self, base_url: str, keys: Sequence[str]) -> None:
        """`keys` are the keys that seal content. The first signs; signatures of all are valid."""
        self.base_url = base_url
        self._keys = [hmac.digest(key.encode(), b"longarc links", hashlib.sha256) for key in keys]

    def build_url(self, claims: LinkClaims) -> str:
        """Return the link for a mail."""
        return f"{self.base_url}/in/{self.sign_claims(claims)}"

    def sign_claims(self, claims: LinkClaims, kind: str = "link") -> str:
        """Return the signed token. A token of one kind is not valid as another kind."""
        fields = [claims.person, claims.purpose.value, claims.session_id, int(claims.issued_at.timestamp())]
        return self._make_serializer(kind).dumps(fields)

    def read_token(self, token: str, kind: str = "link") -> LinkClaims:
        """Return the claims of a token. Raises BadLink. Does not check whether it has expired or was revoked."""
        if len(token) > MAX_TOKEN_LENGTH:
            raise BadLink
        try:
            person, purpose, session_id, issued = self._make_serializer(kind).loads(token)
            issued_at = datetime.fromtimestamp(issued, UTC)
            return LinkClaims(person=person, purpose=Purpose(purpose), session_id=session_id, issued_at=issued_at)
        except (BadData, ValueError, TypeError) as error:
            raise BadLink from error

    def sign_value(self, value: object, kind: str) -> str:
        """Return a signed token that holds a value of JSON. A token of one kind is not valid as another kind."""
        return str(self._make_serializer(kind).dumps(value))

    def read_value(self, token: str, kind: str) -> Any:
        """Return the value of a token. Raises BadLink when we have not signed it. Does not check its age."""
        if len(token) > MAX_VALUE_LENGTH:
            raise BadLink
        try:
            return self._make_serializer(kind).loads(token)
        except BadData as error:
            raise BadLink from error

    def sign_text(self, text: str, kind: str) -> str:
        """Return the signature of a text. A form that carries it can only come from one of our pages."""
        return hmac.new(self._keys[0], f"{kind}|{text}".encode(), hashlib.sha256).hexdigest()[:43]

    def is_signed_text(self, text: str, kind: str, signature: str) -> bool:
        """Return whether the signature of the text is valid."""
        valid = [hmac.new(key, f"{kind}|{text}".encode(), hashlib.sha256).hexdigest()[:43] for key in self._keys]
        return any(hmac.compare_digest(candidate.encode(), signature.encode()) for candidate in valid)

    def _make_serializer(self, kind: str) -> URLSafeSerializer:
        # it signs with the last key of its list
        return URLSafeSerializer(list(reversed(self._keys)), salt=f"longarc {kind}", signer_kwargs=_SIGNER_OPTIONS)


_SIGNER_OPTIONS = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}


def make_link_signer(base_url: str, keys: Sequence[str]) -> LinkSigner | None:
    """Return None when there is no base URL or no key: mails have no links then."""
    return LinkSigner(base_url, keys) if base_url and keys else None
