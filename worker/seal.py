"""Seals content: encrypts it, so that the database holds it in no other form.

A seal uses Fernet with one or more keys. The first key encrypts, and every key decrypts, so that a key can be replaced
while Longarc runs.
"""

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import WrongKey

#: Padded texts have this length in bytes, or 2, 4, 8… times this length.
PADDING_STEP = 1024
#: The remedy when content was sealed with a key that is missing now.
OTHER_KEY_REMEDY = "Add the key it was sealed with to LONGARC_KEY, after the present one and a comma."
_WRONG_KEY_TEXT = f"Sealed content can't be opened with the keys given. {OTHER_KEY_REMEDY}"
_NO_KEY_TEXT = (
    "This needs the key that seals what people say: give the key that was in use as LONGARC_KEY or LONGARC_KEY_FILE. "
    "Only for a new database, make one with `longarc key`."
)


def generate_key() -> str:
    """Return a new random key as text."""
    return Fernet.generate_key().decode()


class Seal:
    """Seals and unseals text: encrypts and decrypts it."""

    def __init__(self, keys: Sequence[str]) -> None:
        """Keep the keys, which are Fernet keys as text; the first one seals.

        Raises WrongKey when a key is malformed, or none is given.
        """
        if not keys:
            raise WrongKey(_NO_KEY_TEXT)
        self._keys = [key.encode() for key in keys]
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise WrongKey(
                "LONGARC_KEY must hold keys of 32 bytes in URL-safe base64, separated by commas, or LONGARC_KEY_FILE "
                "name a file that does. A new database gets a key from `longarc key`."
            ) from error

    def seal(self, text: str) -> bytes:
        """Return the text, sealed with the first key."""
        return self._fernet.encrypt(text.encode())

    def unseal(self, sealed: bytes) -> str:
        """Return the text of a sealed value. Raises WrongKey when none of the keys fits."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise WrongKey(_WRONG_KEY_TEXT) from None

    def compute_digests(self, text: str) -> list[str]:
        """Return a keyed digest of the text for each key, in the order of the keys.

        The database stores such a digest in place of a text that it has to find again. Without a key nobody can learn
        the text from its digest.
        """
        return [hmac.new(key, f"longarc tag|{text}".encode(), hashlib.sha256).hexdigest()[:32] for key in self._keys]

    def seal_padded(self, text: str) -> bytes:
        """Return the text sealed with added spaces that hide its length. Meant for JSON, which ignores such spaces."""
        length = len(text.encode())
        return self.seal(text + " " * (_compute_padded_length(length) - length))

    def reseal(self, sealed: bytes) -> bytes:
        """Return the value sealed again, with the first key. Raises WrongKey when none of the keys fits."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise WrongKey(_WRONG_KEY_TEXT) from None


class NoSeal(Seal):
    """A seal for when no key is set: every attempt to seal or unseal raises WrongKey."""

    def __init__(self) -> None:
        super().__init__([generate_key()])  # `Seal` needs a key; this key is never used

    def seal(self, text: str) -> bytes:
        raise WrongKey(_NO_KEY_TEXT)

    def unseal(self, sealed: bytes) -> str:
        raise WrongKey(_NO_KEY_TEXT)

    def reseal(self, sealed: bytes) -> bytes:
        raise WrongKey(_NO_KEY_TEXT)

    def compute_digests(self, text: str) -> list[str]:
        raise WrongKey(_NO_KEY_TEXT)


def _compute_padded_length(length: int) -> int:
    """Return the padded length in bytes: the padding step, doubled until the text fits."""
    padded = PADDING_STEP
    while padded < length:
        padded *= 2
    return padded
