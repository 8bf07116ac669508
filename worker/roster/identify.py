"""Finds out which person each record is: one primary address, aliases, and the id in the directory."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field

from worker.domain.model import Address, AliasSource, Person, PersonAlias
from worker.providers.identities import normalize
from worker.roster.columns import ParsedRecord
from worker.roster.model import RosterRules, StoredRoster
from worker.settings.parsers import InvalidValue, parse_address, parse_directory_id

_ONE_ROW_REMEDY = "Keep one row for each person."
_UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


@dataclass(slots=True)
class IdentifiedRecord:
    """A record of somebody whose primary address is known."""

    parsed: ParsedRecord
    email: Address
    directory_alias: str = ""  #: the id in the directory, as it is stored; empty when there is none

    def find_stored_address(self, stored: StoredRoster) -> Address:
        """Return the primary address that the database has of this person; empty when it has none."""
        aliases = (normalize(text) for text in self.parsed.record.addresses[1:])
        for name in (self.email, *aliases, self.directory_alias):
            if owner := stored.owners.get(name):
                return owner
        return ""

    def find_stored_person(self, stored: StoredRoster) -> Person | None:
        """Return this person as the database has it; None when it has none."""
        return stored.persons.get(self.find_stored_address(stored))


@dataclass(slots=True)
class IdentifiedPeople:
    """The people of a directory: those who are active by primary address, and the names of the others."""

    active: dict[Address, IdentifiedRecord] = field(default_factory=dict)
    aliases: dict[str, PersonAlias] = field(default_factory=dict)
    inactive: list[ParsedRecord] = field(default_factory=list)

    def find_owner(self, name: str) -> Address | None:
        """Return the primary address of the active person who has this name; None when nobody has it."""
        if name in self.active:
            return name
        return self.aliases[name].person if name in self.aliases else None


def make_directory_alias(directory_id: str, namespace: str) -> str:
    """Return a directory id as it is stored: apart from those of other directories, unless it is unique worldwide."""
    folded = directory_id.casefold()
    return folded if not namespace or _UUID.fullmatch(folded) else f"{namespace}:{folded}"


def identify_people(records: Sequence[ParsedRecord], rules: RosterRules, stored: StoredRoster) -> IdentifiedPeople:
    """Return the people of these records. Faults go to the reports of the records.

    Of several rows with one address only the first active one counts: a former worker may have come back.
    """
    people = IdentifiedPeople()
    for parsed in records:
        if not parsed.record.is_active:
            people.inactive.append(parsed)
        elif email := _parse_primary_address(parsed):
            _add_active_person(IdentifiedRecord(parsed, email), people)
    for identified in list(people.active.values()):
        _collect_aliases(identified, rules, people)
    for identified in list(_find_reused_addresses(people.active.values(), rules, stored)):
        _leave_out_reused_address(identified, people)
    return people


def _parse_primary_address(parsed: ParsedRecord) -> Address:
    text = parsed.record.addresses[0] if parsed.record.addresses else ""
    if not text:
        parsed.add_problem("email", "The email is missing.", "Fill this cell.")
        return ""
    try:
        return parse_address(text)
    except InvalidValue as error:
        parsed.add_problem("email", error.what, error.build_remedy)
        return ""


def _add_active_person(identified: IdentifiedRecord, people: IdentifiedPeople) -> None:
    first = people.active.setdefault(identified.email, identified)
    if first is not identified:
        what = f"`{identified.email}` is in {first.parsed.place} already."
        identified.parsed.add_problem("email", what, _ONE_ROW_REMEDY)


def _collect_aliases(identified: IdentifiedRecord, rules: RosterRules, people: IdentifiedPeople) -> None:
    """Add the aliases and the directory id of a person, and report those that another person has already."""
    named = [("aliases", AliasSource.PEOPLE_FILE, alias) for alias in _parse_aliases(identified.parsed, rules)]
    directory_id = _parse_id(identified.parsed)
    if directory_id:
        identified.directory_alias = make_directory_alias(directory_id, rules.id_namespace)
        named.append(("directory_id", AliasSource.DIRECTORY, identified.directory_alias))
    for column, source, name in named:
        owner = people.find_owner(name)
        if owner is None:
            people.aliases[name] = PersonAlias(name, identified.email, source)
        elif owner != identified.email:
            where = people.active[owner].parsed.place
            what = f"`{name}` belongs to `{owner}` in {where} already."
            identified.parsed.add_problem(column, what, "Keep it in the row of one person.")


def _parse_aliases(parsed: ParsedRecord, rules: RosterRules) -> Iterator[str]:
    """Yield the aliases of a person. In a directory, names that are no address count too: calendars use them."""
    for text in dict.fromkeys(parsed.record.addresses[1:]):
        try:
            yield parse_address(text)
        except InvalidValue as error:
            if not rules.is_directory:
                parsed.add_problem("aliases", error.what, error.build_remedy)
            elif "@" not in text and text.strip():
                yield normalize(text)


def _parse_id(parsed: ParsedRecord) -> str:
    text = parsed.record.directory_id
    if not text:
        return ""
    try:
        (directory_id,) = parse_directory_id(text)
    except InvalidValue as error:
        parsed.add_problem("directory_id", error.what, error.build_remedy)
        return ""
    return directory_id


def _find_reused_addresses(
    people: Iterable[IdentifiedRecord], rules: RosterRules, stored: StoredRoster
) -> Iterator[IdentifiedRecord]:
    """Yield those whose address belonged to somebody who left and had another id in the same directory.

    Without this, they would be taken for that person, and see the contents of that person's conversations.
    """
    for identified in () if rules.accepts_new_ids else people:
        former = stored.owners.get(identified.email, "")
        former_id = stored.directory_ids.get(former, "") if former in stored.former else ""
        new_id = identified.directory_alias
        if former_id and new_id not in ("", former_id) and _get_namespace(former_id) == _get_namespace(new_id):
            yield identified


def _get_namespace(directory_alias: str) -> str:
    return directory_alias.rpartition(":")[0]


def _leave_out_reused_address(identified: IdentifiedRecord, people: IdentifiedPeople) -> None:
    what = f"`{identified.email}` belonged to somebody else, who left: the directory id is another."
    remedy = "Give the new person another address. If it is the same person, run `longarc people --accept`."
    identified.parsed.add_problem("email", what, remedy)
    del people.active[identified.email]
    for name in [name for name, alias in people.aliases.items() if alias.person == identified.email]:
        del people.aliases[name]
