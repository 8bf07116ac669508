"""Identifies the person of each record by primary address, aliases and directory id.

An alias is any name of a person other than the primary address. The directory id is an alias too; it stays the same
when the address changes.
"""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from worker.domain.model import Address, AliasSource, Person, PersonAlias
from worker.providers.identities import normalize_alias
from worker.roster.columns import ParsedRecord
from worker.roster.model import RosterRules, StoredRoster
from worker.settings.parsers import InvalidValue, parse_address, parse_directory_id

_ONE_ROW_REMEDY = "Keep one row for each person."
#: An id that is unique in all directories: `123e4567-e89b-12d3-a456-426614174000`.
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(slots=True)
class IdentifiedRecord:
    """A record with the person's primary address."""

    parsed: ParsedRecord
    email: Address
    directory_alias: str = ""  #: the directory id in the form of `make_directory_alias`; empty without one

    def find_stored_address(self, stored_roster: StoredRoster) -> Address:
        """Return the primary address of this person in the stored roster; empty when the person is not in it."""
        aliases = (normalize_alias(text) for text in self.parsed.record.addresses[1:])
        for name in (self.email, *aliases, self.directory_alias):
            if owner := stored_roster.owners.get(name):
                return owner
        return ""

    def find_stored_person(self, stored_roster: StoredRoster) -> Person | None:
        """Return this person from the stored roster; None when the person is not in it."""
        return stored_roster.persons.get(self.find_stored_address(stored_roster))


@dataclass(slots=True)
class IdentifiedPeople:
    """The people of a directory."""

    active: dict[Address, IdentifiedRecord] = field(default_factory=dict)  #: by primary address
    aliases: dict[str, PersonAlias] = field(default_factory=dict)  #: the aliases of active people, by alias
    inactive: list[ParsedRecord] = field(default_factory=list)

    def find_owner(self, name: str) -> Address | None:
        """Return the primary address of the active person with this address or alias; None when nobody has it."""
        if name in self.active:
            return name
        return self.aliases[name].person if name in self.aliases else None


def make_directory_alias(directory_id: str, namespace: str) -> str:
    """Return a directory id in the form that is stored.

    The `namespace` of the directory is its prefix, so that ids of different directories can't be equal. A UUID gets no
    prefix.
    """
    folded = directory_id.casefold()
    return folded if not namespace or _UUID.fullmatch(folded) else f"{namespace}:{folded}"


def identify_people(
    records: Sequence[ParsedRecord], rules: RosterRules, stored_roster: StoredRoster
) -> IdentifiedPeople:
    """Return the people of these records. Faults are added to the problem reports of the records.

    Of several active records with one address, only the first counts. An inactive record with the same address is no
    fault, because a former employee may have come back.
    """
    people = IdentifiedPeople()
    for parsed in records:
        if not parsed.record.is_active:
            people.inactive.append(parsed)
        elif email := _parse_primary_address(parsed):
            _add_active_person(IdentifiedRecord(parsed, email), people)
    for identified_record in list(people.active.values()):
        _collect_aliases(identified_record, rules, people)
    for identified_record in list(_find_people_with_reused_address(people.active.values(), rules, stored_roster)):
        _leave_out_person(identified_record, people)
    return people


def _parse_primary_address(parsed: ParsedRecord) -> Address:
    """Return the primary address of a record; empty, with a fault in the problem report, when it can't be used."""
    text = parsed.record.addresses[0] if parsed.record.addresses else ""
    if not text:
        parsed.add_fault("email", "The email is missing.", "Fill this cell.")
        return ""
    try:
        return parse_address(text)
    except InvalidValue as error:
        parsed.add_invalid_value("email", error)
        return ""


def _add_active_person(identified_record: IdentifiedRecord, people: IdentifiedPeople) -> None:
    """Add a person to `people`. It is a fault when an earlier record has the same primary address."""
    first = people.active.setdefault(identified_record.email, identified_record)
    if first is not identified_record:
        fault = f"`{identified_record.email}` is in {first.parsed.place} already."
        identified_record.parsed.add_fault("email", fault, _ONE_ROW_REMEDY)


def _collect_aliases(identified_record: IdentifiedRecord, rules: RosterRules, people: IdentifiedPeople) -> None:
    """Add the aliases and the directory id of a person to `people`. An alias that another person has already is a
    fault."""
    aliases = [("aliases", AliasSource.PEOPLE_FILE, alias) for alias in _parse_aliases(identified_record.parsed, rules)]
    directory_id = _parse_directory_id(identified_record.parsed)
    if directory_id:
        identified_record.directory_alias = make_directory_alias(directory_id, rules.id_namespace)
        aliases.append(("directory_id", AliasSource.DIRECTORY, identified_record.directory_alias))
    for column, source, name in aliases:
        owner = people.find_owner(name)
        if owner is None:
            people.aliases[name] = PersonAlias(name, identified_record.email, source)
        elif owner != identified_record.email:
            fault = f"`{name}` belongs to `{owner}` in {people.active[owner].parsed.place} already."
            identified_record.parsed.add_fault(column, fault, "Keep it in the row of one person.")


def _parse_aliases(parsed: ParsedRecord, rules: RosterRules) -> Iterator[str]:
    """Yield the aliases of a person. In a directory, aliases that are not addresses are accepted too, because calendar
    services use them."""
    for text in dict.fromkeys(parsed.record.addresses[1:]):
        try:
            yield parse_address(text)
        except InvalidValue as error:
            if not rules.is_directory:
                parsed.add_invalid_value("aliases", error)
            elif "@" not in text and text.strip():
                yield normalize_alias(text)


def _parse_directory_id(parsed: ParsedRecord) -> str:
    """Return the directory id of a record; empty when it has none, or with a fault in the problem report when the id
    can't be used."""
    text = parsed.record.directory_id
    if not text:
        return ""
    try:
        return parse_directory_id(text)
    except InvalidValue as error:
        parsed.add_invalid_value("directory_id", error)
        return ""


def _find_people_with_reused_address(
    people: Iterable[IdentifiedRecord], rules: RosterRules, stored_roster: StoredRoster
) -> Iterator[IdentifiedRecord]:
    """Yield the people whose address belonged to a former person with another id in the same directory.

    Each of them is probably another person than the former one, and would see the content of the former person's
    conversations if both were taken for the same person.
    """
    if rules.accepts_new_ids:
        return
    for identified_record in people:
        stored_owner = stored_roster.owners.get(identified_record.email, "")
        has_left = stored_owner in stored_roster.former_people
        former_id = stored_roster.directory_ids.get(stored_owner, "") if has_left else ""
        new_id = identified_record.directory_alias
        is_same_directory = _get_namespace(former_id) == _get_namespace(new_id)
        if former_id and new_id and new_id != former_id and is_same_directory:
            yield identified_record


def _get_namespace(directory_alias: str) -> str:
    return directory_alias.rpartition(":")[0]


def _leave_out_person(identified_record: IdentifiedRecord, people: IdentifiedPeople) -> None:
    """Remove a person with a reused address, and the person's aliases, from `people`, and report that as a fault."""
    fault = f"`{identified_record.email}` belonged to somebody else, who left: the directory id is different."
    remedy = "Give the new person another address. If it is the same person, run `longarc people --accept`."
    identified_record.parsed.add_fault("email", fault, remedy)
    del people.active[identified_record.email]
    for name in [name for name, alias in people.aliases.items() if alias.person == identified_record.email]:
        del people.aliases[name]
