"""Maps the aliases of a person to the person's primary address.

An alias is any name other than the primary address by which a calendar service may name a person: another address (as
Google does), an X500 string or a bare name (as Exchange does), or an id in the company's directory. Providers turn
every alias into the primary address before anything is compared.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Protocol

from worker.domain.model import Address


class Identities(Protocol):
    """Looks up people by their aliases. Implementations are thread-safe."""

    def find_primary(self, alias: str) -> Address:
        """Return the primary address of the person that `alias` names; the normalized `alias` when it is unknown."""

    def list_aliases(self, person: Address) -> frozenset[str]:
        """Return every normalized alias of this person, and the primary address."""

    def learn(self, person: Address, alias: str) -> None:
        """Add an alias of this person. Does nothing when it belongs to another person."""

    def find_directory_id(self, person: Address) -> str | None:
        """Return the id of this person in the company's directory; None when it is unknown."""


def normalize(alias: str) -> str:
    """Return the alias as it is compared: case folded, without `mailto:`, `smtp:` and surrounding blanks."""
    text = alias.strip().casefold()
    for prefix in ("mailto:", "smtp:"):
        text = text.removeprefix(prefix)
    return text.strip()


class InMemoryIdentities:
    """Identities held in memory."""

    def __init__(
        self, aliases: Mapping[Address, Iterable[str]] | None = None, directory_ids: Mapping[Address, str] | None = None
    ) -> None:
        """`aliases`, `directory_ids`: by primary address."""
        self._lock = Lock()
        self._directory_ids = dict(directory_ids or {})
        self._primary: dict[str, Address] = {}
        for person, aliases_of_person in (aliases or {}).items():
            self._primary[normalize(person)] = person
            for alias in aliases_of_person:
                self._primary.setdefault(normalize(alias), person)

    def find_primary(self, alias: str) -> Address:
        name = normalize(alias)
        return self._primary.get(name, name)

    def list_aliases(self, person: Address) -> frozenset[str]:
        with self._lock:
            return frozenset({person, *(alias for alias, owner in self._primary.items() if owner == person)})

    def learn(self, person: Address, alias: str) -> None:
        with self._lock:
            self._primary.setdefault(normalize(person), person)
            self._primary.setdefault(normalize(alias), person)

    def find_directory_id(self, person: Address) -> str | None:
        return self._directory_ids.get(person)
