"""Aliases: the other names by which calendar services know a person.

An alias is another mail address of the person, the person's id in the company's directory, or an Exchange name. Each
alias belongs to one person. A *listed* alias comes from the roster. A *learned* alias is one that a calendar service
used for an attendee of one of our events. A *name* is a primary address or an alias. In the table `person_form`, the
column `form` holds the alias.
"""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from sqlalchemy import Connection, bindparam, delete, select

from worker.domain.model import Address, AliasSource, PersonAlias
from worker.store.database import Database
from worker.store.parameters import in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import person, person_alias, stored_value

#: The name of the stored value that changes whenever a person or an alias is added, changed or removed.
PEOPLE_VERSION_NAME = "person_forms"

_PERSON_BY_ADDRESS = PreparedStatement(select(person.c.email).where(person.c.email == bindparam("name")))
_PERSON_BY_ALIAS = PreparedStatement(select(person_alias.c.person).where(person_alias.c.form == bindparam("name")))
_DELETE_ALIASES = PreparedStatement(delete(person_alias).where(in_bound_list(person_alias.c.form, "aliases")))
_VERSION = PreparedStatement(select(stored_value.c.value).where(stored_value.c.name == PEOPLE_VERSION_NAME))


@dataclass(frozen=True, slots=True)
class KnownAliases:
    """The names of all people, as of one version."""

    version: str  #: a text that changes whenever a person or an alias is added, changed or removed
    owners: Mapping[str, Address]  #: the primary address of the person who has a name, by name
    names: Mapping[Address, frozenset[str]]  #: all names of each person who has an alias, by primary address
    directory_ids: Mapping[Address, str]  #: the id in the company's directory, by primary address


def index_aliases(
    aliases: Collection[PersonAlias], owners: Mapping[str, Address] = MappingProxyType({}), version: str = ""
) -> KnownAliases:
    """Return an index of these aliases. `owners` has further names, which have precedence over the aliases."""
    names: dict[Address, set[str]] = {}
    for alias in aliases:
        names.setdefault(alias.person, {alias.person}).add(alias.alias)
    return KnownAliases(
        version=version,
        owners={alias.alias: alias.person for alias in aliases} | dict(owners),
        names={email: frozenset(names_of_person) for email, names_of_person in names.items()},
        directory_ids={alias.person: alias.alias for alias in aliases if alias.source is AliasSource.DIRECTORY},
    )


class AliasRows:
    """Reads and writes the table `person_form`. All names are passed in their normalized form."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_version(self) -> str:
        """Return a text that changes whenever a person or an alias is added, changed or removed."""
        with self._database.read_once() as connection:
            value: str | None = _VERSION.fetch_value(connection)
        return value or ""

    def load(self) -> KnownAliases:
        """Return all names of everybody whom a roster ever named."""
        with self._database.read() as connection:
            version: str | None = _VERSION.fetch_value(connection)
            owners = {email: email for (email,) in connection.execute(select(person.c.email))}
            aliases = _list_aliases(connection)
        return index_aliases(aliases, owners, version or "")

    def find_owner(self, name: str) -> Address | None:
        """Return the primary address of the person who has this name; None when nobody has it."""
        with self._database.read() as connection:
            return _find_owner(connection, name)

    def find_primary(self, name: str) -> Address:
        """Return the primary address of the person who has this name; the name itself when nobody has it."""
        return self.find_owner(name) or name

    def find_listed_names(self, name: str) -> tuple[Address, frozenset[str]]:
        """Return the primary address of the person whom the roster gives this name, and all names from the roster.

        Learned aliases are left out, because anybody can answer an invitation from such an address. When nobody has the
        name, the name itself is returned as the address and as the only name.
        """
        is_listed = person_alias.c.source != AliasSource.LEARNED.value
        with self._database.read() as connection:
            owner: Address | None = _PERSON_BY_ADDRESS.fetch_value(connection, name=name)
            if owner is None:
                owner_query = select(person_alias.c.person).where(person_alias.c.form == name, is_listed)
                owner = connection.execute(owner_query).scalar() or name
            alias_query = select(person_alias.c.form).where(person_alias.c.person == owner, is_listed)
            return owner, frozenset({owner, *connection.execute(alias_query).scalars()})

    def list_names(self, email: Address) -> set[str]:
        """Return every name of a person: the primary address and all aliases."""
        with self._database.read() as connection:
            aliases = connection.execute(select(person_alias.c.form).where(person_alias.c.person == email)).scalars()
            return {email, *aliases}

    def learn(self, alias: str, email: Address) -> Address:
        """Store an alias of this person, unless somebody has that name already.

        Return the primary address of the person who has the name afterwards.
        """
        with self._database.write() as connection:
            owner = _find_owner(connection, alias)
            if owner is None:
                row = {"form": alias, "person": email, "source": AliasSource.LEARNED.value}
                self._database.insert_new(connection, person_alias, [row], ("form",))
                renew_people_version(self._database, connection)
        return owner or email


def replace_listed_aliases(
    database: Database, connection: Connection, persons: Collection[Address], listed: Iterable[PersonAlias]
) -> None:
    """Replace the stored aliases from earlier rosters by those of the new roster, `listed`.

    A learned alias stays, unless it is now somebody's primary address or a listed alias. The directory id of a person
    who has left stays as well, because it identifies the person after a return. `persons` are the primary addresses in
    the new roster; none of them becomes an alias of somebody else.
    """
    wanted = {alias.alias: alias for alias in listed if alias.alias not in persons}
    stored = {alias.alias: alias for alias in _list_aliases(connection)}
    obsolete = [
        alias.alias
        for alias in stored.values()
        if alias.alias in persons
        or (alias.source is AliasSource.PEOPLE_FILE and alias.alias not in wanted)
        or (alias.source is AliasSource.DIRECTORY and alias.alias not in wanted and alias.person in persons)
    ]
    if obsolete:
        _DELETE_ALIASES.execute(connection, aliases=sorted(obsolete))
    changed = [alias for name, alias in sorted(wanted.items()) if stored.get(name) != alias]
    rows = [{"form": alias.alias, "person": alias.person, "source": alias.source.value} for alias in changed]
    database.upsert(connection, person_alias, rows)


def renew_people_version(database: Database, connection: Connection) -> None:
    """Store a new version of people and aliases, so that other processes load them again."""
    database.upsert(connection, stored_value, [{"name": PEOPLE_VERSION_NAME, "value": uuid.uuid4().hex}])


def _list_aliases(connection: Connection) -> list[PersonAlias]:
    return [
        PersonAlias(alias=row.form, person=row.person, source=AliasSource(row.source))
        for row in connection.execute(select(person_alias))
    ]


def _find_owner(connection: Connection, name: str) -> Address | None:
    owner: Address | None = _PERSON_BY_ADDRESS.fetch_value(connection, name=name)
    if owner is None:
        owner = _PERSON_BY_ALIAS.fetch_value(connection, name=name)
    return owner
