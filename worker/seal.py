"""Sealing: what two people said to each other is stored only in a form that nobody reads without the key.

Fernet with any number of keys: the first seals, all of them open, so that keys can be changed without a stop.
"""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import WrongKey


def new_key() -> str:
    """A fresh key, as text."""
    return Fernet.generate_key().decode()


class Seal:
    """Seals and opens text. `keys` are Fernet keys as text, the one to seal with first."""

    def __init__(self, keys: Sequence[str]) -> None:
        try:
            self._fernet = MultiFernet([Fernet(key) for key in keys])
        except ValueError as error:
            raise WrongKey(
                "LONGARC_KEY must hold keys of 32 bytes in URL-safe base64, parted by commas, or LONGARC_KEY_FILE name "
                "a file that does. Make one with `longarc key`."
            ) from error

    def close(self, text: str) -> bytes:
        """The text, sealed."""
        return self._fernet.encrypt(text.encode())

    def open(self, sealed: bytes) -> str:
        """The text again. Raises WrongKey when none of the keys fits."""
        try:
            return self._fernet.decrypt(sealed).decode()
        except InvalidToken:
            raise WrongKey from None

    def renew(self, sealed: bytes) -> bytes:
        """The same, sealed with the first key."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise WrongKey from None
