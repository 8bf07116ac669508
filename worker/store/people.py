"""People and pairs: what the people file says, and what became of those it no longer names."""

from collections.abc import Collection, Mapping, Sequence, Set
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, func, select, update

from worker.domain.model import Address, EndReason, Pair, PairId, Person, PersonAlias, SessionState
from worker.store import rows, tables
from worker.store.database import Database
from worker.store.person_names import renew_version, replace_listed_forms
from worker.store.renames import find_renames, rename_people
from worker.store.statements import PreparedStatement

person, pair, session, calendar, fact = tables.person, tables.pair, tables.session, tables.calendar, tables.fact

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Instead of an address: whoever it is.
EVERYBODY = "*"

_FACT = PreparedStatement(select(fact.c.value).where(fact.c.name == bindparam("one")))
#: Asked so, and not by IS NOT NULL, SQLite uses the index.
_SUSPENSIONS = PreparedStatement(
    select(person.c.email, person.c.suspended_until).where(person.c.suspended_until > EPOCH)
)


@dataclass(frozen=True, slots=True)
class ImportPreview:
    """What a people file would change: addresses and pairs, and how many events would be cancelled. `pairs` is how many
    go on now."""

    joined: tuple[Address, ...]
    left: tuple[Address, ...]
    begun: tuple[PairId, ...]
    ended: tuple[PairId, ...]
    cancels: int
    pairs: int

    @property
    def has_mass_ending(self) -> bool:
        """T-17: more than a tenth of the pairs, and more than one."""
        return len(self.ended) > max(1, self.pairs / 10)


class PeopleRows:
    """The tables `person` and `pair`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load_current_people(self) -> dict[Address, Person]:
        """Everybody the people file names now."""
        with self._database.read() as connection:
            found = connection.execute(select(person).where(person.c.left_at.is_(None))).mappings()
            return {row["email"]: rows.person(row) for row in found}

    def load_all_people(self) -> dict[Address, Person]:
        """Everybody a people file ever named, those who left too."""
        with self._database.read() as connection:
            return {row["email"]: rows.person(row) for row in connection.execute(select(person)).mappings()}

    def load_all_pairs(self) -> dict[PairId, Pair]:
        """Every pair there ever was, the ended ones too."""
        with self._database.read() as connection:
            return {row["id"]: rows.pair(row) for row in connection.execute(select(pair)).mappings()}

    def get_person(self, email: Address) -> Person | None:
        """Somebody the people file names now."""
        query = select(person).where(person.c.email == email, person.c.left_at.is_(None))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return rows.person(row) if row else None

    def list_pairs_of_manager(self, email: Address) -> list[Pair]:
        """The pairs of a manager that have not ended, by the report's address."""
        return self._list_pairs(pair.c.manager == email)

    def list_pairs_of_report(self, email: Address) -> list[Pair]:
        """The pairs of a report that have not ended: mostly one."""
        return self._list_pairs(pair.c.report == email)

    def _list_pairs(self, whose: ColumnElement[bool]) -> list[Pair]:
        query = select(pair).where(whose, pair.c.ended == EndReason.NO.value).order_by(pair.c.report, pair.c.manager)
        with self._database.read() as connection:
            return [rows.pair(row) for row in connection.execute(query).mappings()]

    def preview_import(
        self, persons: Mapping[Address, Person], pairs: Mapping[PairId, Pair], forms: Collection[PersonAlias] = ()
    ) -> ImportPreview:
        """What `apply` would do with this people file. Who has another primary address now neither joins nor leaves."""
        with self._database.read() as connection:
            renames = find_renames(connection, persons, forms)
        old_people = {renames.get(email, email) for email in self.load_current_people()}
        alive = [one for one in self.load_all_pairs().values() if one.ended is EndReason.NO]
        names = {PairId(*(renames.get(who, who) for who in p.id.people)): p.id for p in alive}
        ended = tuple(sorted(old for new, old in names.items() if new not in pairs))
        return ImportPreview(
            joined=tuple(sorted(persons.keys() - old_people)),
            left=tuple(sorted(old_people - persons.keys())),
            begun=tuple(sorted(pairs.keys() - names.keys())),
            ended=ended,
            cancels=self._count_booked_sessions(ended),
            pairs=len(names),
        )

    def _count_booked_sessions(self, pairs: Collection[PairId]) -> int:
        query = select(func.count()).where(session.c.pair.in_(pairs), session.c.state == SessionState.BOOKED.value)
        with self._database.read() as connection:
            return int(connection.execute(query).scalar_one())

    def apply_import(
        self,
        persons: Mapping[Address, Person],
        pairs: Mapping[PairId, Pair],
        now: datetime,
        forms: Collection[PersonAlias] = (),
    ) -> None:
        """Make the people file's word ours. Whoever it no longer names has left; pairs it no longer has are ended."""
        with self._database.write() as connection:
            rename_people(self._database, connection, find_renames(connection, persons, forms))
            changed = self._save_people(connection, persons, now)
            replace_listed_forms(self._database, connection, persons.keys(), forms)
            renew_version(self._database, connection)
            self._save_pairs(connection, persons, pairs, now, changed)
            self._save_calendars(connection, {one.manager for one in pairs.values()}, now)

    def _save_calendars(self, connection: Connection, organizers: Collection[Address], now: datetime) -> None:
        """Have the calendars of those who organize read, and no others."""
        read = {row.address: row.due_at for row in connection.execute(select(calendar.c.address, calendar.c.due_at))}
        begun = [{"address": one, "due_at": now} for one in sorted(organizers) if read.get(one) is None]
        self._database.upsert(connection, calendar, begun)
        for chunk in _split_into_chunks(sorted(one for one, due in read.items() if due and one not in organizers)):
            connection.execute(update(calendar).where(calendar.c.address.in_(chunk)).values(due_at=None))

    def _save_people(self, connection: Connection, persons: Mapping[Address, Person], now: datetime) -> set[Address]:
        """Write the people; of whom something else is said than before."""
        old = {row["email"]: row for row in connection.execute(select(person)).mappings()}
        # in one order whoever writes: two that wait for each other's rows would wait for ever
        listed = [{**rows.person_row(persons[email]), "left_at": None} for email in sorted(persons)]
        self._database.upsert(connection, person, listed)
        gone = [email for email, row in old.items() if row["left_at"] is None and email not in persons]
        for chunk in _split_into_chunks(gone):
            connection.execute(update(person).where(person.c.email.in_(chunk)).values(left_at=now))
        return {row["email"] for row in listed if row["email"] in old and _has_changed(old[row["email"]], row)}

    def _save_pairs(
        self,
        connection: Connection,
        persons: Mapping[Address, Person],
        pairs: Mapping[PairId, Pair],
        now: datetime,
        changed: Set[Address],
    ) -> None:
        old = {row["id"]: row for row in connection.execute(select(pair)).mappings()}
        written: list[dict[str, Any]] = []
        for one in pairs.values():
            new = rows.pair_row(one)
            if one.id not in old:
                written.append({**new, "first_seen": one.first_seen, "due_at": now})
            elif _has_changed(old[one.id], new) or {one.manager, one.report} & changed:
                written.append({**new, "first_seen": old[one.id]["first_seen"], "due_at": now})
        for row in old.values():
            if row["id"] not in pairs and row["ended"] == EndReason.NO.value:
                ended = replace(rows.pair(row), ended=_find_end_cause(row, persons), paused=row["paused"])
                written.append({**rows.pair_row(ended), "first_seen": row["first_seen"], "due_at": now})
        self._database.upsert(connection, pair, sorted(written, key=lambda row: row["id"]))
        for chunk in _split_into_chunks(
            [row["id"] for row in written]
        ):  # what was no time for them may be one now: look again
            woken = update(pair).where(pair.c.id.in_(chunk))
            connection.execute(woken.values(wakes=pair.c.wakes + 1, looked_at=None))

    def set_paused(self, pair_id: PairId, *, is_paused: bool, now: datetime) -> None:
        """Pause a pair by hand, or resume it."""
        with self._database.write() as connection:
            connection.execute(
                update(pair)
                .where(pair.c.id == pair_id)
                .values(rests=is_paused, due_at=now, looked_at=None, wakes=pair.c.wakes + 1)
            )

    def save_choice(self, connection: Connection, pair_id: PairId, **chosen: str | bool | None) -> None:
        """Note what the two chose themselves, within the transaction of the plan that goes with it.

        `format` (a Format's value), `trust`, `transition_until` (an ISO date, or None for no transition).
        """
        was = connection.execute(select(pair.c.chosen).where(pair.c.id == pair_id)).scalar() or {}
        connection.execute(update(pair).where(pair.c.id == pair_id).values(chosen={**was, **chosen}))

    # --- links to pages ---

    def revoke_links(self, email: Address, now: datetime) -> None:
        """Make every link and visit of this person (`*`: of everybody) that was given out until now void."""
        with self._database.write() as connection:
            self._database.upsert(connection, tables.revocation, [{"person": email, "at": now}])

    def get_revocation_time(self, email: Address) -> datetime | None:
        """Until when what was given out to this person is void."""
        query = select(func.max(tables.revocation.c.at)).where(tables.revocation.c.person.in_([email, EVERYBODY]))
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    # --- revoked grants ---

    def suspend(self, email: Address, until: datetime) -> bool:
        """Ask nothing of this person's services until then. True when this is news."""
        with self._database.write() as connection:
            was = connection.execute(select(person.c.suspended_until).where(person.c.email == email)).scalar()
            connection.execute(update(person).where(person.c.email == email).values(suspended_until=until))
            return was is None

    def load_suspensions(self) -> dict[Address, datetime]:
        """Whose grants don't work, and when each is tried again."""
        with self._database.read() as connection:
            return {row[0]: row[1] for row in _SUSPENSIONS.fetch_tuples(connection)}

    # --- single facts ---

    def get_fact(self, name: str) -> str | None:
        """A fact about this installation, if it was noted."""
        with self._database.read() as connection:
            found: str | None = _FACT.fetch_value(connection, one=name)
        return found

    def set_fact(self, name: str, value: str) -> None:
        """Note a fact about this installation."""
        with self._database.write() as connection:
            self._database.upsert(connection, fact, [{"name": name, "value": value}])


def _has_changed(old: RowMapping, new: Mapping[str, Any]) -> bool:
    return any(old[name] != value for name, value in new.items())


def _find_end_cause(row: RowMapping, persons: Mapping[Address, Person]) -> EndReason:
    here = (row["manager"] in persons, row["report"] in persons)
    if here == (True, True):
        return EndReason.CHANGED
    return {
        (False, False): EndReason.BOTH_LEFT,
        (True, False): EndReason.REPORT_LEFT,
        (False, True): EndReason.MANAGER_LEFT,
    }[here]


def _split_into_chunks(items: Sequence[T], size: int = 5000) -> list[Sequence[T]]:
    return [items[n : n + size] for n in range(0, len(items), size)]
