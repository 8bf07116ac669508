"""Maps the forms of an address to the person they belong to.

A person has one primary address, aliases, and sometimes an id in the company's directory. A calendar service may name
a person by any of them: Google by an alias, Exchange by the primary address, an X500 string or a bare name. Providers
turn every form into the primary address before anything is compared.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Protocol

from worker.domain.model import Address


class Identities(Protocol):
    """Looks up people by the forms of their addresses. Implementations are thread-safe."""

    def primary(self, form: str) -> Address:
        """Return the primary address of the person that `form` names; the normalized `form` when it is unknown."""

    def forms(self, person: Address) -> frozenset[str]:
        """Return every normalized form of this person, with the primary address."""

    def learn(self, person: Address, form: str) -> None:
        """Add a form of this person. Does nothing when the form belongs to another person."""

    def directory_id(self, person: Address) -> str | None:
        """Return the id of this person in the company's directory; None when it is unknown."""


def normalize(form: str) -> str:
    """Return the form in which addresses are compared: case folded, without `mailto:`, `smtp:` and surrounding
    blanks."""
    text = form.strip().casefold()
    for prefix in ("mailto:", "smtp:"):
        text = text.removeprefix(prefix)
    return text.strip()


class InMemoryIdentities:
    """Identities held in memory."""

    def __init__(
        self, aliases: Mapping[Address, Iterable[str]] | None = None, directory_ids: Mapping[Address, str] | None = None
    ) -> None:
        """Both by primary address. `aliases`: further forms. `directory_ids`: ids in the company's directory."""
        self._lock = Lock()
        self._directory_ids = dict(directory_ids or {})
        self._primary: dict[str, Address] = {}
        for person, further_forms in (aliases or {}).items():
            self._primary[normalize(person)] = person
            for form in further_forms:
                self._primary.setdefault(normalize(form), person)

    def primary(self, form: str) -> Address:
        name = normalize(form)
        return self._primary.get(name, name)

    def forms(self, person: Address) -> frozenset[str]:
        with self._lock:
            return frozenset({person, *(form for form, owner in self._primary.items() if owner == person)})

    def learn(self, person: Address, form: str) -> None:
        with self._lock:
            self._primary.setdefault(normalize(person), person)
            self._primary.setdefault(normalize(form), person)

    def directory_id(self, person: Address) -> str | None:
        return self._directory_ids.get(person)
