"""Who an address belongs to.

A person has one primary address, other addresses, and sometimes the id that a directory gives. A calendar service may
name the same person by any of them: Google by an alias, Exchange by the primary address, an X500 string or a bare name.
Providers turn whatever a service names into the primary address before anything else compares it.
"""

from collections.abc import Iterable, Mapping
from threading import Lock
from typing import Protocol

from worker.domain.model import Address


class Identities(Protocol):
    """What a provider asks about people. Implementations are safe to use from several threads."""

    def primary(self, form: str) -> Address:
        """The primary address of the person that `form` names; the normalized `form` when nobody is known by it."""

    def forms(self, person: Address) -> frozenset[str]:
        """Every normalized form this person is known by, the primary address among them."""

    def learn(self, person: Address, form: str) -> None:
        """Keep `form` as one more name of this person. Does nothing when it is another known person's."""

    def directory_id(self, person: Address) -> str | None:
        """The id of this person in the company's directory; None when it is not known."""


def normalize(form: str) -> str:
    """The form in which addresses are compared: without `mailto:`, `smtp:` and blanks around it, case folded."""
    text = form.strip().casefold()
    for prefix in ("mailto:", "smtp:"):
        text = text.removeprefix(prefix)
    return text.strip()


class InMemoryIdentities:
    """Identities held in memory. What is learned is lost with the object."""

    def __init__(
        self, aliases: Mapping[Address, Iterable[str]] | None = None, directory_ids: Mapping[Address, str] | None = None
    ) -> None:
        """`aliases`: further forms by primary address. `directory_ids`: the directory's id by primary address."""
        self._lock = Lock()
        self._directory_ids = dict(directory_ids or {})
        self._primary: dict[str, Address] = {}
        for person, others in (aliases or {}).items():
            self._primary[normalize(person)] = person
            for form in others:
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
