"""Reads and writes people and pairs: those of the roster, and those that it no longer names."""

from collections.abc import Callable, Collection, Mapping, Sequence, Set
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any, TypeVar

from sqlalchemy import ColumnElement, Connection, RowMapping, bindparam, exists, func, or_, select, union, update

from worker.domain.model import Address, EndReason, Pair, PairId, Participation, Person, PersonAlias, WaitingPair
from worker.store import rows, tables
from worker.store.aliases import renew_version, replace_listed_aliases
from worker.store.database import Database
from worker.store.handovers import record_handovers
from worker.store.import_preview import ImportPreview, preview_import
from worker.store.learnings import withdraw_learnings
from worker.store.pair_state import load_waiting_pairs
from worker.store.participation import save_participation, schedule_calendars
from worker.store.renames import find_renames, rename_people
from worker.store.statements import PreparedStatement

person, pair, session, stored_value = tables.person, tables.pair, tables.session, tables.stored_value

T = TypeVar("T")

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
#: Stands for every address in the table `revocation`.
EVERYBODY = "*"

_STORED_VALUE = PreparedStatement(select(stored_value.c.value).where(stored_value.c.name == bindparam("name")))
#: SQLite uses the index for this comparison, but not for IS NOT NULL.
_SUSPENSIONS = PreparedStatement(
    select(person.c.email, person.c.suspended_until).where(person.c.suspended_until > EPOCH)
)


class PeopleRows:
    """Reads and writes the tables `person`, `pair`, `revocation` and `fact`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def load_current_people(self) -> dict[Address, Person]:
        """Return everybody whom the roster names now."""
        with self._database.read() as connection:
            person_rows = connection.execute(select(person).where(person.c.left_at.is_(None))).mappings()
            return {row["email"]: rows.read_person(row) for row in person_rows}

    def list_people_with_habits(self, calendars: Collection[str]) -> set[Address]:
        """Return the people on these calendar services whose calendar was asked for their habits."""
        return self._list_people_on(calendars, person.c.habits_at.is_not(None))

    def list_people_without_habits(self, calendars: Collection[str]) -> set[Address]:
        """Return the people on these calendar services whose calendar was never asked for their habits."""
        return self._list_people_on(calendars, person.c.habits_at.is_(None))

    def list_participants_without_habits(self, calendars: Collection[str]) -> set[Address]:
        """Return those of `list_people_without_habits` who are in a pair that the rollout includes, now or from a later
        day; all of them when it includes every pair."""
        has_not_ended = pair.c.ended == EndReason.NO.value
        is_left_out = pair.c.participation == Participation.NOT_CHOSEN.value
        chosen = union(*(select(side).where(has_not_ended, ~is_left_out) for side in (pair.c.manager, pair.c.report)))
        leaves_out_nobody = ~exists().where(has_not_ended, is_left_out)
        return self._list_people_on(
            calendars, person.c.habits_at.is_(None), or_(leaves_out_nobody, person.c.email.in_(chosen))
        )

    def _list_people_on(self, calendars: Collection[str], *conditions: ColumnElement[bool]) -> set[Address]:
        query = select(person.c.email).where(person.c.left_at.is_(None), person.c.calendar.in_(calendars), *conditions)
        with self._database.read() as connection:
            return set(connection.execute(query).scalars())

    def mark_habits_asked(self, people: Collection[Address], now: datetime) -> None:
        """Store that the calendars of these people were asked for their habits, with or without success."""
        if not people:
            return
        with self._database.write() as connection:
            for chunk in _split_into_chunks(sorted(people)):
                mark_asked = update(person).where(person.c.email.in_(chunk), person.c.habits_at.is_(None))
                connection.execute(mark_asked.values(habits_at=now))

    def load_all_people(self) -> dict[Address, Person]:
        """Return everybody whom a roster ever named, including those who left."""
        with self._database.read() as connection:
            return {row["email"]: rows.read_person(row) for row in connection.execute(select(person)).mappings()}

    def load_all_pairs(self) -> dict[PairId, Pair]:
        """Return every pair there ever was, including ended pairs."""
        with self._database.read() as connection:
            return {row["id"]: rows.read_pair(row) for row in connection.execute(select(pair)).mappings()}

    def get_person(self, email: Address) -> Person | None:
        """Return a person whom the roster names now; None when it does not."""
        query = select(person).where(person.c.email == email, person.c.left_at.is_(None))
        with self._database.read() as connection:
            row = connection.execute(query).mappings().first()
        return rows.read_person(row) if row else None

    def list_pairs_of_manager(self, email: Address) -> list[Pair]:
        """Return the pairs of a manager that have not ended, in the order of the reports' addresses."""
        return self._list_pairs(pair.c.manager == email)

    def list_pairs_of_report(self, email: Address) -> list[Pair]:
        """Return the pairs of a report that have not ended: usually one."""
        return self._list_pairs(pair.c.report == email)

    def list_all_pairs_of_report(self, email: Address) -> list[Pair]:
        """Return every pair of a report, those that have ended included, in the order of the managers' addresses."""
        query = select(pair).where(pair.c.report == email).order_by(pair.c.manager)
        with self._database.read() as connection:
            return [rows.read_pair(row) for row in connection.execute(query).mappings()]

    def _list_pairs(self, condition: ColumnElement[bool]) -> list[Pair]:
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
        """Return all pairs of these managers, by manager, each with how long it has waited (T-3a)."""
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
        """Write the content of the roster: people whom it no longer names leave, and pairs that it no longer names end.

        `find_participation` returns the participation of a new pair; that of the other pairs is not changed here.
        """
        with self._database.write() as connection:
            rename_people(self._database, connection, find_renames(connection, persons, aliases))
            changed_people = self._save_people(connection, persons, now)
            replace_listed_aliases(self._database, connection, persons.keys(), aliases)
            renew_version(self._database, connection)
            new_pairs = self._save_pairs(connection, persons, pairs, now, changed_people)
            save_participation(connection, {new_pair.id: find_participation(new_pair) for new_pair in new_pairs})
            schedule_calendars(self._database, connection, now)

    def _save_people(self, connection: Connection, persons: Mapping[Address, Person], now: datetime) -> set[Address]:
        """Write the people. Returns those who were known before and have changed."""
        old = {row["email"]: row for row in connection.execute(select(person)).mappings()}
        # sorted, so that two processes that write the same rows cannot deadlock
        new_rows = [{**rows.build_person_row(persons[email]), "left_at": None} for email in sorted(persons)]
        self._database.upsert(connection, person, new_rows)
        removed = [email for email, row in old.items() if row["left_at"] is None and email not in persons]
        for chunk in _split_into_chunks(removed):
            connection.execute(update(person).where(person.c.email.in_(chunk)).values(left_at=now))
        return {row["email"] for row in new_rows if row["email"] in old and _has_changed(old[row["email"]], row)}

    def _save_pairs(
        self,
        connection: Connection,
        persons: Mapping[Address, Person],
        pairs: Mapping[PairId, Pair],
        now: datetime,
        changed_people: Set[Address],
    ) -> list[Pair]:
        """Write the pairs. Returns those that begin, or begin again."""
        old = {row["id"]: row for row in connection.execute(select(pair)).mappings()}
        changed_rows: list[dict[str, Any]] = []
        ended_pairs: list[PairId] = []
        ended_pairs_with_handover: list[PairId] = []
        for new_pair in pairs.values():
            new_row = rows.build_pair_row(new_pair)
            if new_pair.id not in old:
                changed_rows.append({**new_row, "first_seen": new_pair.first_seen, "ended_at": None, "due_at": now})
            elif _has_changed(old[new_pair.id], new_row) or {new_pair.manager, new_pair.report} & changed_people:
                first_seen = old[new_pair.id]["first_seen"]
                changed_rows.append({**new_row, "first_seen": first_seen, "ended_at": None, "due_at": now})
        for row in old.values():
            if row["id"] not in pairs and row["ended"] == EndReason.NO.value:
                ended_pair = replace(rows.read_pair(row), ended=_find_end_reason(row, persons), paused=row["paused"])
                other_columns = {"first_seen": row["first_seen"], "ended_at": now, "due_at": now}
                changed_rows.append({**rows.build_pair_row(ended_pair), **other_columns})
                ended_pairs.append(ended_pair.id)
                if ended_pair.ended.begins_handover:
                    ended_pairs_with_handover.append(ended_pair.id)
        self._database.upsert(connection, pair, sorted(changed_rows, key=lambda row: row["id"]))
        for chunk in _split_into_chunks([row["id"] for row in changed_rows]):
            # without `looked_at` free/busy is read again: other times may be possible now
            wake = update(pair).where(pair.c.id.in_(chunk)).values(wakes=pair.c.wakes + 1, looked_at=None)
            connection.execute(wake)
        new_ids = [pair_id for pair_id in pairs if pair_id not in old or old[pair_id]["ended"] != EndReason.NO.value]
        record_handovers(self._database, connection, ended_pairs_with_handover, new_ids, now)
        withdraw_learnings(connection, ended_pairs)
        return [pairs[pair_id] for pair_id in new_ids]

    def set_paused(self, pair_id: PairId, *, is_paused: bool, now: datetime) -> None:
        """Pause a pair at the operator's request, or resume it."""
        with self._database.write() as connection:
            connection.execute(
                update(pair)
                .where(pair.c.id == pair_id)
                .values(rests=is_paused, due_at=now, looked_at=None, wakes=pair.c.wakes + 1)
            )

    def end_pauses(self, now: datetime) -> None:
        """End each pause that lasts until today or an earlier day (UTC), and make its pair due (T-18).

        A pause by `longarc pause` does not end.
        """
        is_over = pair.c.paused_until <= now.date()
        with self._database.read() as connection:
            ids = connection.execute(select(pair.c.id).where(is_over)).scalars().all()
        if not ids:
            return
        with self._database.write() as connection:
            connection.execute(
                update(pair)
                .where(is_over)
                .values(paused=False, paused_until=None, due_at=now, looked_at=None, wakes=pair.c.wakes + 1)
            )

    def save_choices(self, connection: Connection, pair_id: PairId, **choices: str | bool | None) -> None:
        """Store choices of the two people of a pair, within a transaction.

        `choices`: `format` (a Format's value), `trust`, `transition_until` (an ISO date, or None for no transition).
        """
        earlier_choices = connection.execute(select(pair.c.chosen).where(pair.c.id == pair_id)).scalar() or {}
        connection.execute(update(pair).where(pair.c.id == pair_id).values(chosen={**earlier_choices, **choices}))

    # --- links to pages ---

    def revoke_links(self, email: Address, now: datetime) -> None:
        """Revoke the links and browser sessions that this person got until now (`*`: those of everybody)."""
        with self._database.write() as connection:
            self._database.upsert(connection, tables.revocation, [{"person": email, "at": now}])

    def get_revocation_time(self, email: Address) -> datetime | None:
        """Return the instant up to which this person's links and browser sessions are revoked; None when none are."""
        query = select(func.max(tables.revocation.c.at)).where(tables.revocation.c.person.in_([email, EVERYBODY]))
        with self._database.read() as connection:
            return connection.execute(query).scalar()

    # --- suspended calendars ---

    def suspend(self, email: Address, until: datetime) -> bool:
        """Suspend a person's calendar until then. Returns False when it was suspended already."""
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
        """Return a stored value of this installation; None when it was never stored."""
        with self._database.read_once() as connection:
            value: str | None = _STORED_VALUE.fetch_value(connection, name=name)
        return value

    def set_stored_value(self, name: str, value: str) -> None:
        """Store a value of this installation under a name."""
        with self._database.write() as connection:
            self._database.upsert(connection, stored_value, [{"name": name, "value": value}])


def _has_changed(old: RowMapping, new: Mapping[str, Any]) -> bool:
    return any(old[name] != value for name, value in new.items())


def _find_end_reason(row: RowMapping, persons: Mapping[Address, Person]) -> EndReason:
    reasons = {
        (True, True): EndReason.CHANGED,
        (False, False): EndReason.BOTH_LEFT,
        (True, False): EndReason.REPORT_LEFT,
        (False, True): EndReason.MANAGER_LEFT,
    }
    return reasons[row["manager"] in persons, row["report"] in persons]


def _split_into_chunks(items: Sequence[T], size: int = 5000) -> list[Sequence[T]]:
    return [items[first : first + size] for first in range(0, len(items), size)]
