"""Resolves the references to managers in a directory, and finds circles of managers."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from itertools import islice

from worker.domain.model import Address
from worker.providers.identities import normalize_alias
from worker.roster.base import ManagerReference, ReferenceKind
from worker.roster.parsers import fold_name, parse_mailbox
from worker.settings.parsers import InvalidValue, find_nearest, shorten_value

#: How many names are compared at most to suggest a similar name.
_MAX_COMPARED = 2000
#: How many people with the same name a message names at most.
_MAX_NAMESAKES = 2
#: How similar a name must be to be suggested, from 0 to 1.
_MIN_SIMILARITY = 0.85


@dataclass(slots=True)
class PeopleIndex:
    """Finds people by their addresses and other aliases, their directory ids, and their full names."""

    not_found_text: str  #: what messages say of somebody who is not in the directory: `has no row in this file`
    remedy: str  #: the remedy in messages about a manager who is not in the roster
    addresses: dict[str, Address] = field(default_factory=dict)  #: primary addresses by address or alias
    directory_ids: dict[str, Address] = field(default_factory=dict)  #: primary addresses by case-folded id
    #: by folded name: the primary addresses, as the keys of a mapping that keeps their order
    names: dict[str, dict[Address, None]] = field(default_factory=dict)
    #: by address, id and folded name: what messages say of somebody who is known but not in the roster
    absence_texts: dict[str, str] = field(default_factory=dict)
    record_places: dict[Address, str] = field(default_factory=dict)  #: the place of each person's record, for messages

    def add_name(self, name: str, email: Address) -> None:
        """Add the full name of a person. Several people may have the same name."""
        self.names.setdefault(fold_name(name), {})[email] = None

    def find_person(self, reference: ManagerReference) -> Address:
        """Return the primary address of the person to whom a reference refers. Raises InvalidValue when the reference
        matches nobody in the roster, or several people."""
        text = reference.text.strip()
        if reference.kind is ReferenceKind.DIRECTORY_ID:
            return self._find_by_id(text, reference.label)
        if reference.kind is ReferenceKind.ADDRESS or "@" in text:
            return self._find_by_address(text)
        if text.casefold() in self.directory_ids or text.casefold() in self.absence_texts:
            return self._find_by_id(text)
        return self._find_by_name(text)

    def _find_by_id(self, text: str, label: str = "") -> Address:
        directory_id = text.casefold()
        if directory_id in self.directory_ids:
            return self.directory_ids[directory_id]
        self._refuse_absent(directory_id, label or text)
        raise InvalidValue(f"`{shorten_value(label or text)}` {self.not_found_text}.", self.remedy)

    def _find_by_address(self, text: str) -> Address:
        address = normalize_alias(text) if normalize_alias(text) in self.addresses else parse_mailbox(text)
        if address in self.addresses:
            return self.addresses[address]
        self._refuse_absent(address, address)
        raise InvalidValue(f"`{address}` {self.not_found_text}.", lambda: self._build_address_remedy(address))

    def _find_by_name(self, text: str) -> Address:
        name = fold_name(text)
        people = self.names.get(name, {})
        if len(people) == 1:
            return next(iter(people))
        if people:
            places = " and ".join(self.record_places[email] for email in islice(people, _MAX_NAMESAKES))
            more = f" and {len(people) - _MAX_NAMESAKES:,} more" if len(people) > _MAX_NAMESAKES else ""
            fault = f"`{shorten_value(text)}` is the name of {len(people):,} people: {places}{more}."
            raise InvalidValue(fault, "Write the manager's address or id instead.")
        self._refuse_absent(name, text)
        fault = f"`{shorten_value(text)}` {self.not_found_text}, neither as an address nor as an id or a name."
        raise InvalidValue(fault, lambda: self._build_name_remedy(name))

    def _refuse_absent(self, name: str, text: str) -> None:
        """Raise InvalidValue when it is known why the person with this name is not in the roster. `text`: what the
        message calls the person."""
        if name in self.absence_texts:
            raise InvalidValue(f"`{shorten_value(text)}` {self.absence_texts[name]}.", self.remedy)

    def _build_address_remedy(self, address: Address) -> str:
        """Return a remedy with a similar address, if there is one. Only addresses with the same first two letters are
        compared, because there may be many."""
        similar = [email for email in self.record_places if email[:2] == address[:2]]
        suggestion = find_nearest(address, similar[:_MAX_COMPARED], _MIN_SIMILARITY)
        return f"Did you mean `{suggestion}`?" if suggestion else self.remedy

    def _build_name_remedy(self, name: str) -> str:
        """Return a remedy with the place of a person with a similar name, if there is one."""
        similar = [known_name for known_name in self.names if known_name[:2] == name[:2]]
        suggestion = find_nearest(name, similar[:_MAX_COMPARED], _MIN_SIMILARITY)
        place = self.record_places[next(iter(self.names[suggestion]))] if suggestion else ""
        return f"Did you mean the person in {place}?" if place else "Write the manager's address or id."


def find_circles(managers: Mapping[Address, Address]) -> Iterator[Sequence[Address]]:
    """Yield each circle of two or more managers once. Walks up the managers from each person, until a person is reached
    for the second time."""
    seen: set[Address] = set()
    for start in managers:
        chain: list[Address] = []
        positions: dict[Address, int] = {}
        person = start
        while person in managers and person not in seen:
            seen.add(person)
            positions[person] = len(chain)
            chain.append(person)
            person = managers[person]
        if person in positions and managers[person] != person:
            yield chain[positions[person] :]
