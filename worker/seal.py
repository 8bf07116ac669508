"""Sealing: what two people said to each other is stored only in a form that nobody reads without the key.

Fernet with any number of keys: the first seals, all of them open, so that keys can be changed without a stop.
"""

from collections.abc import Sequence

from cryptography.fernet import Fernet, InvalidToken, MultiFernet

from worker.errors import WrongKey

#: Sealed texts are as long as this or a double of it, in bytes.
PADDING_STEP = 1024
#: What to do when something was sealed with a key that we don't have.
OTHER_KEY_REMEDY = "Add the key it was sealed with to LONGARC_KEY, behind the present one and a comma."
_WRONG_KEY_TEXT = f"Something sealed can't be opened with the keys given. {OTHER_KEY_REMEDY}"
_NO_KEY_TEXT = "This needs the key that seals what people say: set LONGARC_KEY, or LONGARC_KEY_FILE."


def generate_key() -> str:
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
            raise WrongKey(_WRONG_KEY_TEXT) from None

    def close_padded(self, text: str) -> bytes:
        """JSON or other text that may end in spaces, sealed so that its length tells little."""
        return self.close(text + " " * (_compute_padded_length(len(text.encode())) - len(text.encode())))

    def reseal(self, sealed: bytes) -> bytes:
        """The same, sealed with the first key."""
        try:
            return self._fernet.rotate(sealed)
        except InvalidToken:
            raise WrongKey(_WRONG_KEY_TEXT) from None


class NoSeal(Seal):
    """In place of keys that are not there: what needs none goes on, and nothing is sealed or opened."""

    def __init__(self) -> None:
        super().__init__([generate_key()])

    def close(self, text: str) -> bytes:
        raise WrongKey(_NO_KEY_TEXT)

    def open(self, sealed: bytes) -> str:
        raise WrongKey(_NO_KEY_TEXT)

    def reseal(self, sealed: bytes) -> bytes:
        raise WrongKey(_NO_KEY_TEXT)


def _compute_padded_length(length: int) -> int:
    """The next step of length, in bytes: 1,024 and its doubles, of which most texts need only the first."""
    step = PADDING_STEP
    while step < length:
        step *= 2
    return step
