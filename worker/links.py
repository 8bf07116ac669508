"""Signed links to pages, and other signed tokens. A link is for one person and one purpose.

Links are not stored. A link is signed but not encrypted: everybody who has it can read the address and the ids in it.
The pages check at each request whether the link has expired, whether the person has revoked it, and what it may show.
The signing keys are derived from the keys that seal content.
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

#: The length of the longest link token that is accepted, in characters.
MAX_TOKEN_LENGTH = 1000
#: The length of the longest signed value that is accepted, in characters. Browsers store cookies of about this size.
MAX_VALUE_LENGTH = 4000


class Purpose(StrEnum):
    """The page that a link opens. The value is also the first part of the page's path."""

    CONTRACT = "contract"  #: the manager's page for recording the contract of one session
    TIME = "time"  #: the page on which either of the two asks for another time of one session
    ME = "me"  #: a report's own page
    TEAM = "team"  #: a manager's page
    PULSE = "pulse"  #: the page on which a report answers the anonymous question of one round
    STATUS = "status"  #: the operator's page
    VOICE = "voice"  #: the page on which a third person answers a report's question


class BadLink(LongarcError):
    """This link was not made by Longarc, or it was changed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkClaims:
    """The signed data in a link, or in the cookie of a visit that began with a link."""

    person: Address
    purpose: Purpose
    #: What the page is about: for CONTRACT and TIME a session, for PULSE a round, for VOICE a question; else empty.
    subject_id: str = ""
    issued_at: datetime


class LinkSigner:
    """Signs and verifies links, other tokens, and texts in forms."""

    def __init__(self, base_url: str, keys: Sequence[str]) -> None:
        """`keys` are the keys that seal content. The first key signs; signatures by any of the keys are valid."""
        self.base_url = base_url
        self._keys = [hmac.digest(key.encode(), b"longarc links", hashlib.sha256) for key in keys]

    def build_url(self, claims: LinkClaims) -> str:
        """Return the URL of a link with these claims, for a mail."""
        return f"{self.base_url}/in/{self.sign_claims(claims)}"

    def sign_claims(self, claims: LinkClaims, kind: str = "link") -> str:
        """Return a signed token that holds the claims. A token of one kind is not valid as another kind."""
        fields = [claims.person, claims.purpose.value, claims.subject_id, int(claims.issued_at.timestamp())]
        return self._make_serializer(kind).dumps(fields)

    def read_claims(self, token: str, kind: str = "link") -> LinkClaims:
        """Return the claims of a token. Raises BadLink unless its signature is valid.

        The caller checks whether the token has expired or was revoked.
        """
        if len(token) > MAX_TOKEN_LENGTH:
            raise BadLink
        try:
            person, purpose, subject_id, issued_seconds = self._make_serializer(kind).loads(token)
            issued_at = datetime.fromtimestamp(issued_seconds, UTC)
            return LinkClaims(person=person, purpose=Purpose(purpose), subject_id=subject_id, issued_at=issued_at)
        except (BadData, ValueError, TypeError) as error:
            raise BadLink from error

    def sign_value(self, value: object, kind: str) -> str:
        """Return a signed token that holds a JSON value. A token of one kind is not valid as another kind."""
        return str(self._make_serializer(kind).dumps(value))

    def read_value(self, token: str, kind: str) -> Any:
        """Return the value in a token, whatever its age. Raises BadLink unless its signature is valid."""
        if len(token) > MAX_VALUE_LENGTH:
            raise BadLink
        try:
            return self._make_serializer(kind).loads(token)
        except BadData as error:
            raise BadLink from error

    def sign_text(self, text: str, kind: str) -> str:
        """Return the signature of a text. A form with a valid signature comes from one of our own pages."""
        return _compute_signature(self._keys[0], text, kind)

    def is_signed_text(self, text: str, kind: str, signature: str) -> bool:
        """Return whether the signature of the text is valid."""
        valid_signatures = [_compute_signature(key, text, kind) for key in self._keys]
        return any(hmac.compare_digest(valid.encode(), signature.encode()) for valid in valid_signatures)

    def _make_serializer(self, kind: str) -> URLSafeSerializer:
        # the serializer signs with the last key of its list, and verifies with each of them
        return URLSafeSerializer(list(reversed(self._keys)), salt=f"longarc {kind}", signer_kwargs=_SIGNER_OPTIONS)


_SIGNER_OPTIONS = {"digest_method": hashlib.sha256, "key_derivation": "hmac"}
#: The length of the signature of a text, in hexadecimal digits: 172 bits can't be guessed. If the length changed, the
#: tokens of open channels would no longer be valid.
_SIGNATURE_LENGTH = 43


def _compute_signature(key: bytes, text: str, kind: str) -> str:
    return hmac.new(key, f"{kind}|{text}".encode(), hashlib.sha256).hexdigest()[:_SIGNATURE_LENGTH]


def make_link_signer(base_url: str, keys: Sequence[str]) -> LinkSigner | None:
    """Return the signer of links; None without a base URL or a key, in which case mails contain no links."""
    return LinkSigner(base_url, keys) if base_url and keys else None
