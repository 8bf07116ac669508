"""What else a person is called, and who is called so."""

import uuid
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass

from sqlalchemy import Connection, bindparam, delete, select

from worker.domain.model import Address, FormSource, KnownForm
from worker.store.database import Database
from worker.store.statements import Prepared
from worker.store.tables import fact, one_of, person, person_form

#: The fact that changes whenever a person or a form is added, changed or taken away.
VERSION = "person_forms"

_PRIMARY = Prepared(select(person.c.email).where(person.c.email == bindparam("form")))
_OWNER = Prepared(select(person_form.c.person).where(person_form.c.form == bindparam("form")))
_DROP = Prepared(delete(person_form).where(one_of(person_form.c.form, "forms")))
_VERSION = Prepared(select(fact.c.value).where(fact.c.name == VERSION))


@dataclass(frozen=True, slots=True)
class FormTable:
    """Every form by which somebody is known, as of one version."""

    version: str
    owners: Mapping[str, Address]  #: the primary address by form; primary addresses among the forms
    forms: Mapping[Address, frozenset[str]]  #: of those who are known by more than the primary address
    directory_ids: Mapping[Address, str]


class FormRows:
    """The table `person_form`. Forms are given normalized."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def version(self) -> str:
        """Changes whenever somebody is known by another form than before."""
        with self._database.read() as connection:
            value: str | None = _VERSION.value(connection)
        return value or ""

    def load(self) -> FormTable:
        """Everybody a people file ever named, by each of their forms."""
        with self._database.read() as connection:
            version: str | None = _VERSION.value(connection)
            owners = {email: email for (email,) in connection.execute(select(person.c.email))}
            known = [KnownForm(row[0], row[1], FormSource(row[2])) for row in connection.execute(select(person_form))]
        forms: dict[Address, set[str]] = {}
        for one in known:
            forms.setdefault(one.person, {one.person}).add(one.form)
        return FormTable(
            version or "",
            {one.form: one.person for one in known} | owners,
            {who: frozenset(names) for who, names in forms.items()},
            {one.person: one.form for one in known if one.source is FormSource.DIRECTORY},
        )

    def owner(self, form: str) -> Address | None:
        """The primary address of the person who is known by this form; None when nobody is."""
        with self._database.read() as connection:
            return _owner(connection, form)

    def learn(self, form: str, email: Address) -> Address:
        """Keep one more form of this person; whose it is now. A form that is somebody's stays theirs."""
        with self._database.write() as connection:
            owner = _owner(connection, form)
            if owner is None:
                row = {"form": form, "person": email, "source": FormSource.LEARNED.value}
                self._database.insert_new(connection, person_form, [row], ("form",))
                stamp(self._database, connection)
        return owner or email


def replace_listed(
    database: Database, connection: Connection, persons: Collection[Address], listed: Iterable[KnownForm]
) -> None:
    """Make the listed forms the only ones that are not learned. They, and primary addresses, go before what was
    learned of somebody else."""
    wanted = {one.form: one for one in listed}
    known = {row[0]: KnownForm(row[0], row[1], FormSource(row[2])) for row in connection.execute(select(person_form))}
    void = [
        one.form
        for one in known.values()
        if one.form in persons or (one.source is not FormSource.LEARNED and one.form not in wanted)
    ]
    if void:
        _DROP.run(connection, forms=sorted(void))
    fresh = [one for form, one in sorted(wanted.items()) if known.get(form) != one]
    rows = [{"form": one.form, "person": one.person, "source": one.source.value} for one in fresh]
    database.upsert(connection, person_form, rows)


def stamp(database: Database, connection: Connection) -> None:
    """Say to every process that forms have changed."""
    database.upsert(connection, fact, [{"name": VERSION, "value": uuid.uuid4().hex}])


def _owner(connection: Connection, form: str) -> Address | None:
    owner: Address | None = _PRIMARY.value(connection, form=form) or _OWNER.value(connection, form=form)
    return owner
