"""Sealing: encrypts content, which is stored in no other form.

Uses Fernet with any number of keys: the first seals, all of them open, so that a key can be replaced while Longarc
runs.
"""

import hashlib
import hmac
from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import WrongKey

#: Texts are padded before sealing to this length in bytes, or to 2, 4, 8… times as much.
PADDING_STEP = 1024
#: What to do when content was sealed with a key that is missing now.
OTHER_KEY_REMEDY = "Add the key it was sealed with to LONGARC_KEY, behind the present one and a comma."
_WRONG_KEY_TEXT = f"Something sealed can't be opened with the keys given. {OTHER_KEY_REMEDY}"
_NO_KEY_TEXT = "This needs the key that seals what people say: set LONGARC_KEY, or LONGARC_KEY_FILE."


def generate_key() -> str:
    """Return a new random key as text."""
    return Fernet.generate_key().decode()


class Seal:
    """Seals and opens text."""

    def __init__(self, keys: Sequence[str]) -> None:
        """`keys` are Fernet keys as text; the first is the key that seals."""
        self._keys = [key.encode() for key in keys]
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise WrongKey(
                "LONGARC_KEY must hold keys of 32 bytes in URL-safe base64, parted by commas, or LONGARC_KEY_FILE name "
                "a file that does. Make one with `longarc key`."
            ) from error

    def close(self, text: str) -> bytes:
        """Return the sealed text."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """Return the text that was sealed. Raises WrongKey when none of the keys fits."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise WrongKey(_WRONG_KEY_TEXT) from None

    def list_tags(self, text: str) -> list[str]:
        """Return a keyed digest of the text for each key, that of the first key first.

        A column of tags can be searched for a text that nobody without a key can read from it.
        """
        return [hmac.new(key, f"longarc tag|{text}".encode(), hashlib.sha256).hexdigest()[:32] for key in self._keys]

    def close_padded(self, text: str) -> bytes:
        """Seal text that may end in spaces, such as JSON, padded so that its length tells little."""
        return self.close(text + " " * (_compute_padded_length(len(text.encode())) - len(text.encode())))

    def reseal(self, sealed: bytes) -> bytes:
        """Return the content sealed with the first key. Raises WrongKey when none of the keys fits."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise WrongKey(_WRONG_KEY_TEXT) from None


class NoSeal(Seal):
    """Stands in for a seal when no key is set. Raises WrongKey when anything has to be sealed or opened."""

    def __init__(self) -> None:
        super().__init__([generate_key()])

    def close(self, text: str) -> bytes:
        raise WrongKey(_NO_KEY_TEXT)

    def open(self, sealed: bytes) -> str:
        raise WrongKey(_NO_KEY_TEXT)

    def reseal(self, sealed: bytes) -> bytes:
        raise WrongKey(_NO_KEY_TEXT)

    def list_tags(self, text: str) -> list[str]:
        raise WrongKey(_NO_KEY_TEXT)


def _compute_padded_length(length: int) -> int:
    """Return the padded length in bytes: the padding step, doubled until the text fits."""
    padded = PADDING_STEP
    while padded < length:
        padded *= 2
    return padded
