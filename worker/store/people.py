"""Reads and writes people and pairs, both those in the roster and those that the roster no longer names.

The roster is the list of who works here and for whom. Importing it adds, changes, renames and ends people and pairs.
"""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, and_, bindparam, exists, func, or_, select, union, update

from worker.domain.model import Address, EndReason, Pair, PairId, Participation, Person, PersonAlias, WaitingPair
from worker.store import rows, tables
from worker.store.aliases import renew_people_version, replace_listed_aliases
from worker.store.database import Database
from worker.store.handovers import record_handovers
from worker.store.import_preview import ImportPreview, preview_import
from worker.store.learnings import withdraw_learnings
from worker.store.pair_state import load_waiting_pairs
from worker.store.participation import lock_calendars, save_participation, schedule_calendar_readings
from worker.store.plans import lock_pairs
from worker.store.renames import find_renames, rename_people
from worker.store.statements import PreparedStatement

person, pair, session, stored_value = tables.person, tables.pair, tables.session, tables.stored_value

T = TypeVar("T")

#: The most values that are passed to one statement, since databases limit the number of parameters.
_CHUNK_SIZE = 5000
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: In the table `revocation`, this stands for every address.
EVERYBODY = "*"

_STORED_VALUE = PreparedStatement(select(stored_value.c.value).where(stored_value.c.name == bindparam("name")))
#: Selects the suspended people. It compares with the oldest instant, since SQLite would use no index for IS NOT NULL.
_SUSPENSIONS = PreparedStatement(
    select(person.c.email, person.c.suspended_until).where(person.c.suspended_until > EPOCH)
)


class PeopleRows:
    """Reads and writes the tables `person`, `pair` and `revocation`, and the stored values."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load_current_people(self) -> dict[Address, Person]:
        """Return everybody whom the roster names now."""
        with self._database.read() as connection:
            person_rows = connection.execute(select(person).where(person.c.left_at.is_(None))).mappings()
            return {row["email"]: rows.read_person(row) for row in person_rows}

    # --- habits: the time zone and working hours that people have set in the calendar service ---

    def list_people_with_queried_habits(self, services: Collection[str], before: datetime) -> set[Address]:
        """Return the people on these calendar services whose habits were queried for the first time before `before`."""
        return self._list_people_on(services, person.c.habits_at < before)

    def list_people_with_unqueried_habits(self, services: Collection[str]) -> set[Address]:
        """Return the people on these calendar services whose habits were never queried."""
        return self._list_people_on(services, person.c.habits_at.is_(None))

    def list_participants_with_unqueried_habits(self, services: Collection[str]) -> set[Address]:
        """Return those of the people in `list_people_with_unqueried_habits` whom the rollout concerns.

        The rollout concerns the people of each pair that it names, even if it begins on a later day. When it leaves out
        no pair, it concerns everybody, also people without a pair.
        """
        has_not_ended = pair.c.ended == EndReason.NO.value
        is_left_out = pair.c.participation == Participation.NOT_CHOSEN.value
        named_people = union(
            *(select(side).where(has_not_ended, ~is_left_out) for side in (pair.c.manager, pair.c.report))
        )
        leaves_out_no_pair = ~exists().where(has_not_ended, is_left_out)
        return self._list_people_on(
            services, person.c.habits_at.is_(None), or_(leaves_out_no_pair, person.c.email.in_(named_people))
        )

    def _list_people_on(self, services: Collection[str], *conditions: ColumnElement[bool]) -> set[Address]:
        query = select(person.c.email).where(person.c.left_at.is_(None), person.c.calendar.in_(services), *conditions)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def mark_habits_queried(self, people: Collection[Address], now: datetime) -> None:
        """Store that the calendar service was queried for the habits of these people, with or without success."""
        if not people:
            return
        with self._database.write() as connection:
            for chunk in _split_into_chunks(sorted(people)):
                is_never_queried = and_(person.c.email.in_(chunk), person.c.habits_at.is_(None))
                # plans lock people in the same order, so that two transactions can't deadlock
                in_order = select(person.c.email).where(is_never_queried).order_by(person.c.email)
                connection.execute(in_order.with_for_update(key_share=True))
                connection.execute(update(person).where(is_never_queried).values(habits_at=now))

    # --- people and pairs ---

    def load_all_people(self) -> dict[Address, Person]:
        """Return everybody whom a roster ever named, including people who have left."""
        with self._database.read() as connection:
            return {row["email"]: rows.read_person(row) for row in connection.execute(select(person)).mappings()}

    def load_all_pairs(self) -> dict[PairId, Pair]:
        """Return every pair, including pairs that have ended."""
        with self._database.read() as connection:
            return {row["id"]: rows.read_pair(row) for row in connection.execute(select(pair)).mappings()}

    def load_current_roster(self) -> tuple[dict[Address, Person], list[Pair]]:
        """Return the people whom the roster names now, and their pairs that have not ended.

        Both are as of the same moment, so that the people contain the manager and the report of each pair, even while
        another process imports a roster.
        """
        with self._database.read() as connection:
            person_rows = connection.execute(select(person).where(person.c.left_at.is_(None))).mappings()
            pair_rows = connection.execute(select(pair).where(pair.c.ended == EndReason.NO.value)).mappings()
            people = {row["email"]: rows.read_person(row) for row in person_rows}
            return people, [rows.read_pair(row) for row in pair_rows]

    def get_person(self, email: Address) -> Person | None:
        """Return the person with this address; None when the roster does not name the address now."""
        query = select(person).where(person.c.email == email, person.c.left_at.is_(None))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return rows.read_person(row) if row else None

    def list_pairs_of_manager(self, email: Address) -> list[Pair]:
        """Return the pairs of a manager that have not ended, in order of the reports' addresses."""
        return self._list_current_pairs(pair.c.manager == email)

    def list_pairs_of_report(self, email: Address) -> list[Pair]:
        """Return the pairs of a report that have not ended. Usually there is one."""
        return self._list_current_pairs(pair.c.report == email)

    def list_all_pairs_of_report(self, email: Address) -> list[Pair]:
        """Return every pair of a report, including ended pairs, in order of the managers' addresses."""
        query = select(pair).where(pair.c.report == email).order_by(pair.c.manager)
        with self._database.read() as connection:
            return [rows.read_pair(row) for row in connection.execute(query).mappings()]

    def _list_current_pairs(self, condition: ColumnElement[bool]) -> list[Pair]:
        query = (
            select(pair).where(condition, pair.c.ended == EndReason.NO.value).order_by(pair.c.report, pair.c.manager)
        )
        with self._database.read() as connection:
            return [rows.read_pair(row) for row in connection.execute(query).mappings()]

    def preview_import(
        self, persons: Mapping[Address, Person], pairs: Mapping[PairId, Pair], aliases: Collection[PersonAlias] = ()
    ) -> ImportPreview:
        """Return what `apply_import` would change."""
        with self._database.read() as connection:
            return preview_import(connection, persons, pairs, aliases)

    def load_waiting_pairs(self, managers: Collection[Address]) -> dict[Address, list[WaitingPair]]:
        """Return the active pairs of these managers, by manager: see `pair_state.load_waiting_pairs`."""
        with self._database.read() as connection:
            return load_waiting_pairs(connection, sorted(managers))

    def apply_import(
        self,
        persons: Mapping[Address, Person],
        pairs: Mapping[PairId, Pair],
        now: datetime,
        aliases: Collection[PersonAlias] = (),
        find_participation: Callable[[Pair], Participation] = lambda _: Participation.YES,
    ) -> None:
        """Store the content of a roster.

        People whom the roster no longer names leave, and pairs that it no longer names end. `find_participation`
        returns the participation of a new pair. The participation of the other pairs is not changed.
        """
        with self._database.write() as connection:
            lock_calendars(self._database, connection)  # before the people, as in every transaction
            rename_people(self._database, connection, find_renames(connection, persons, aliases))
            changed_people = self._save_people(connection, persons, now)
            replace_listed_aliases(self._database, connection, persons.keys(), aliases)
            renew_people_version(self._database, connection)
            new_pairs = self._save_pairs(connection, persons, pairs, now, changed_people)
            save_participation(connection, {new_pair.id: find_participation(new_pair) for new_pair in new_pairs})
            schedule_calendar_readings(self._database, connection, now)

    def _save_people(self, connection: Connection, persons: Mapping[Address, Person], now: datetime) -> set[Address]:
        """Store the people of the roster. Return the people who were stored before and have changed."""
        # PostgreSQL locks the rows in the order in which plans lock people, so that two transactions can't deadlock
        query = select(person).order_by(person.c.email).with_for_update(key_share=True)
        old_rows = {row["email"]: row for row in connection.execute(query).mappings()}
        # sorted, so that two processes that add the same people can't deadlock
        new_rows = [{**rows.build_person_row(persons[email]), "left_at": None} for email in sorted(persons)]
        self._database.upsert(connection, person, new_rows)
        leaving = [email for email, row in old_rows.items() if row["left_at"] is None and email not in persons]
        for chunk in _split_into_chunks(leaving):
            connection.execute(update(person).where(person.c.email.in_(chunk)).values(left_at=now))
        return {
            row["email"] for row in new_rows if row["email"] in old_rows and _has_changed(old_rows[row["email"]], row)
        }

    def _save_pairs(
        self,
        connection: Connection,
        persons: Mapping[Address, Person],
        pairs: Mapping[PairId, Pair],
        now: datetime,
        changed_people: Set[Address],
    ) -> list[Pair]:
        """Store the pairs of the roster. Return the pairs that begin, including those that had ended before."""
        old_rows = {row["id"]: row for row in connection.execute(select(pair)).mappings()}
        changed_rows: list[dict[str, Any]] = []
        ended_pairs: list[PairId] = []
        ended_pairs_with_handover: list[PairId] = []
        for listed_pair in pairs.values():
            new_row = rows.build_pair_row(listed_pair)
            old_row = old_rows.get(listed_pair.id)
            if old_row is None:
                changed_rows.append({**new_row, "first_seen": listed_pair.first_seen, "ended_at": None, "due_at": now})
            elif _has_changed(old_row, new_row) or {listed_pair.manager, listed_pair.report} & changed_people:
                changed_rows.append({**new_row, "first_seen": old_row["first_seen"], "ended_at": None, "due_at": now})
        for row in old_rows.values():
            if row["id"] not in pairs and row["ended"] == EndReason.NO.value:
                ended_pair = replace(rows.read_roster_pair(row), ended=_find_end_reason(row, persons))
                other_columns = {"first_seen": row["first_seen"], "ended_at": now, "due_at": now}
                changed_rows.append({**rows.build_pair_row(ended_pair), **other_columns})
                ended_pairs.append(ended_pair.id)
                if ended_pair.ended.begins_handover:
                    ended_pairs_with_handover.append(ended_pair.id)
        self._database.upsert(connection, pair, sorted(changed_rows, key=lambda row: row["id"]))
        for chunk in _split_into_chunks([row["id"] for row in changed_rows]):
            # planning has to read free/busy again (`looked_at`), since the changed settings may allow other times
            wake = update(pair).where(pair.c.id.in_(chunk)).values(wakes=pair.c.wakes + 1, looked_at=None)
            connection.execute(wake)
        beginning_pairs = [
            pair_id for pair_id in pairs if pair_id not in old_rows or old_rows[pair_id]["ended"] != EndReason.NO.value
        ]
        record_handovers(self._database, connection, ended_pairs_with_handover, beginning_pairs, now)
        withdraw_learnings(connection, ended_pairs)
        return [pairs[pair_id] for pair_id in beginning_pairs]

    def set_paused(self, pair_id: PairId, *, is_paused: bool, now: datetime) -> None:
        """Pause a pair at the operator's request, or resume it."""
        with self._database.write() as connection:
            connection.execute(
                update(pair)
                .where(pair.c.id == pair_id)
                .values(rests=is_paused, due_at=now, looked_at=None, wakes=pair.c.wakes + 1)
            )

    def end_pauses(self, now: datetime) -> None:
        """End each pause of the roster that lasts until today or an earlier day (UTC), and make its pair due (T-18).

        A pause by `longarc pause` has no end.
        """
        is_over = pair.c.paused_until <= now.date()
        with self._database.read() as connection:
            ids = connection.execute(select(pair.c.id).where(is_over)).scalars().all()
        if not ids:
            return
        with self._database.write() as connection:
            lock_pairs(connection, ids)
            connection.execute(
                update(pair)
                .where(is_over)
                .values(paused=False, paused_until=None, due_at=now, looked_at=None, wakes=pair.c.wakes + 1)
            )

    def save_choices(self, connection: Connection, pair_id: PairId, **choices: str | bool | None) -> None:
        """Store settings that the two people of a pair chose on their pages, within a transaction.

        The names in `choices` are `format` (the value of a `Format`), `trust`, and `transition_until` (a date in the
        ISO format, or None for no transition).
        """
        earlier_choices = connection.execute(select(pair.c.chosen).where(pair.c.id == pair_id)).scalar() or {}
        connection.execute(update(pair).where(pair.c.id == pair_id).values(chosen={**earlier_choices, **choices}))

    # --- links to pages ---

    def revoke_links(self, email: Address, now: datetime) -> None:
        """Revoke the links and browser sessions that this person has received until now.

        With `EVERYBODY` as the address, revoke those of all people.
        """
        with self._database.write() as connection:
            self._database.upsert(connection, tables.revocation, [{"person": email, "at": now}])

    def get_revocation_time(self, email: Address) -> datetime | None:
        """Return the instant up to which this person's links and browser sessions are revoked; None when none are."""
        query = select(func.max(tables.revocation.c.at)).where(tables.revocation.c.person.in_([email, EVERYBODY]))
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    # --- suspended calendars: no request is sent for them, because the service refused access ---

    def suspend(self, email: Address, until: datetime) -> bool:
        """Suspend a person's calendar, so that no request is sent for it until `until`.

        Return False when the calendar was suspended already.
        """
        with self._database.write() as connection:
            earlier_end = connection.execute(select(person.c.suspended_until).where(person.c.email == email)).scalar()
            connection.execute(update(person).where(person.c.email == email).values(suspended_until=until))
            return earlier_end is None

    def load_suspensions(self) -> dict[Address, datetime]:
        """Return the suspended people, each with the end of the suspension."""
        with self._database.read_once() as connection:
            return {row[0]: row[1] for row in _SUSPENSIONS.fetch_tuples(connection)}

    # --- stored values ---

    def get_stored_value(self, name: str) -> str | None:
        """Return the value that is stored under this name; None when there is none."""
        with self._database.read_once() as connection:
            value: str | None = _STORED_VALUE.fetch_value(connection, name=name)
        return value

    def set_stored_value(self, name: str, value: str) -> None:
        """Store a value under this name, in place of an earlier one."""
        with self._database.write() as connection:
            self._database.upsert(connection, stored_value, [{"name": name, "value": value}])


def _has_changed(old_row: RowMapping, new_row: Mapping[str, Any]) -> bool:
    return any(old_row[name] != value for name, value in new_row.items())


def _find_end_reason(row: RowMapping, persons: Mapping[Address, Person]) -> EndReason:
    """Return why the pair in this row ends: somebody left the roster, or the report has another manager or none."""
    has_manager, has_report = row["manager"] in persons, row["report"] in persons
    if has_manager and has_report:
        return EndReason.CHANGED
    if has_manager:
        return EndReason.REPORT_LEFT
    return EndReason.MANAGER_LEFT if has_report else EndReason.BOTH_LEFT


def _split_into_chunks(items: Sequence[T]) -> list[Sequence[T]]:
    return [items[first : first + _CHUNK_SIZE] for first in range(0, len(items), _CHUNK_SIZE)]
