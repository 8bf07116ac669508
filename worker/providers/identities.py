"""Maps the aliases of a person to the person's primary address.

An alias is any name other than the primary address by which a calendar service may refer to a person: another address
(Google), an X.500 name or a bare user name (Exchange), or the person's id in the company's directory. Providers replace
every alias with the primary address before they compare people.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Protocol

from worker.domain.model import Address

#: What services write before an address; sometimes several of them.
_SCHEMES = ("mailto:", "smtp:")


class Identities(Protocol):
    """Looks up people by their aliases. Implementations are thread-safe."""

    def find_primary(self, alias: str) -> Address:
        """Return the primary address of the person with this alias; the normalized alias when nobody has it."""

    def list_aliases(self, person: Address) -> frozenset[str]:
        """Return all normalized aliases of this person, and the primary address."""

    def learn(self, person: Address, alias: str) -> None:
        """Add an alias of this person. Does nothing when it belongs to another person."""

    def find_directory_id(self, person: Address) -> str | None:
        """Return the id of this person in the company's directory; None when it is unknown."""


def normalize_alias(alias: str) -> str:
    """Return the form of an alias that is compared: case-folded, without `mailto:`, `smtp:` and surrounding blanks."""
    text = alias.strip().casefold()
    while text.startswith(_SCHEMES):
        text = text.partition(":")[2].strip()
    return text


class InMemoryIdentities:
    """Keeps identities in memory, for tests and for providers without a database."""

    def __init__(
        self, aliases: Mapping[Address, Iterable[str]] | None = None, directory_ids: Mapping[Address, str] | None = None
    ) -> None:
        """`aliases` and `directory_ids` are mappings by primary address."""
        self._lock = Lock()
        self._directory_ids = dict(directory_ids or {})
        self._person_by_alias: dict[str, Address] = {}
        for person, aliases_of_person in (aliases or {}).items():
            self._person_by_alias[normalize_alias(person)] = person
            for alias in aliases_of_person:
                self._person_by_alias.setdefault(normalize_alias(alias), person)

    def find_primary(self, alias: str) -> Address:
        normalized_alias = normalize_alias(alias)
        return self._person_by_alias.get(normalized_alias, normalized_alias)

    def list_aliases(self, person: Address) -> frozenset[str]:
        with self._lock:
            return frozenset({person, *(alias for alias, owner in self._person_by_alias.items() if owner == person)})

    def learn(self, person: Address, alias: str) -> None:
        with self._lock:
            self._person_by_alias.setdefault(normalize_alias(person), person)
            self._person_by_alias.setdefault(normalize_alias(alias), person)

    def find_directory_id(self, person: Address) -> str | None:
        return self._directory_ids.get(person)
