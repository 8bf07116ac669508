"""What else a person is called, and who is called so."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select

from worker.domain.model import Address, AliasSource, PersonAlias
from worker.store.database import Database
from worker.store.statements import PreparedStatement
from worker.store.tables import fact, in_bound_list, person, person_form

#: The fact that changes whenever a person or a form is added, changed or taken away.
VERSION_FACT = "person_forms"

_PRIMARY = PreparedStatement(select(person.c.email).where(person.c.email == bindparam("form")))
_OWNER = PreparedStatement(select(person_form.c.person).where(person_form.c.form == bindparam("form")))
_DELETE_FORMS = PreparedStatement(delete(person_form).where(in_bound_list(person_form.c.form, "forms")))
_VERSION = PreparedStatement(select(fact.c.value).where(fact.c.name == VERSION_FACT))


@dataclass(frozen=True, slots=True)
class PersonForms:
    """Every form by which somebody is known, as of one version."""

    version: str
    owners: Mapping[str, Address]  #: the primary address by form; primary addresses among the forms
    forms: Mapping[Address, frozenset[str]]  #: of those who are known by more than the primary address
    directory_ids: Mapping[Address, str]


class PersonFormRows:
    """The table `person_form`. Forms are given normalized."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def get_version(self) -> str:
        """Changes whenever somebody is known by another form than before."""
        with self._database.read() as connection:
            value: str | None = _VERSION.fetch_value(connection)
        return value or ""

    def load(self) -> PersonForms:
        """Everybody a people file ever named, by each of their forms."""
        with self._database.read() as connection:
            version: str | None = _VERSION.fetch_value(connection)
            owners = {email: email for (email,) in connection.execute(select(person.c.email))}
            known = [
                PersonAlias(row[0], row[1], AliasSource(row[2])) for row in connection.execute(select(person_form))
            ]
        forms: dict[Address, set[str]] = {}
        for one in known:
            forms.setdefault(one.person, {one.person}).add(one.alias)
        return PersonForms(
            version or "",
            {one.alias: one.person for one in known} | owners,
            {who: frozenset(names) for who, names in forms.items()},
            {one.person: one.alias for one in known if one.source is AliasSource.DIRECTORY},
        )

    def find_owner(self, form: str) -> Address | None:
        """The primary address of the person who is known by this form; None when nobody is."""
        with self._database.read() as connection:
            return _find_owner(connection, form)

    def learn(self, form: str, email: Address) -> Address:
        """Keep one more form of this person; whose it is now. A form that is somebody's stays theirs."""
        with self._database.write() as connection:
            owner = _find_owner(connection, form)
            if owner is None:
                row = {"form": form, "person": email, "source": AliasSource.LEARNED.value}
                self._database.insert_new(connection, person_form, [row], ("form",))
                renew_version(self._database, connection)
        return owner or email


def replace_listed_forms(
    database: Database, connection: Connection, persons: Collection[Address], listed: Iterable[PersonAlias]
) -> None:
    """Make the listed forms the only ones that are not learned. They, and primary addresses, go before what was
    learned of somebody else."""
    wanted = {one.alias: one for one in listed}
    known = {
        row[0]: PersonAlias(row[0], row[1], AliasSource(row[2])) for row in connection.execute(select(person_form))
    }
    void = [
        one.alias
        for one in known.values()
        if one.alias in persons or (one.source is not AliasSource.LEARNED and one.alias not in wanted)
    ]
    if void:
        _DELETE_FORMS.execute(connection, forms=sorted(void))
    fresh = [one for form, one in sorted(wanted.items()) if known.get(form) != one]
    rows = [{"form": one.alias, "person": one.person, "source": one.source.value} for one in fresh]
    database.upsert(connection, person_form, rows)


def renew_version(database: Database, connection: Connection) -> None:
    """Say to every process that forms have changed."""
    database.upsert(connection, fact, [{"name": VERSION_FACT, "value": uuid.uuid4().hex}])


def _find_owner(connection: Connection, form: str) -> Address | None:
    owner: Address | None = _PRIMARY.fetch_value(connection, form=form) or _OWNER.fetch_value(connection, form=form)
    return owner
