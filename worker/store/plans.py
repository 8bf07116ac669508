"""Reads and writes for the sweep: claims due pairs, loads what planning needs, and writes the plans.

To plan a pair, a sweep leases both of its people, so no two sweeps plan pairs of the same person at the same time. The
transaction that writes a plan requires these leases, so a sweep that took longer than its leases writes nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, or_, select, update

from worker.domain.model import Address, PairId, Plan, Session, SessionKind, TakenTime
from worker.domain.planning.plan_builder import DAILY, floor_to_shared_grid
from worker.errors import LeaseLost, WrongKey
from worker.store import rows
from worker.store.content import Content
from worker.store.database import Database
from worker.store.history import HistoryLine, append_history
from worker.store.pair_state import LoadedPairs, load_pairs, load_taken_time
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.restorations import must_read_calendars_first
from worker.store.statements import PreparedStatement
from worker.store.tables import calendar, commitment, deferral, event, outbox, pair, person, session
from worker.store.types import SpansType

#: Every pair is planned at least this often.
MAX_PLAN_INTERVAL = timedelta(days=14)
#: How long a pair is postponed when its manager's calendar has to be read before it is planned.
RECHECK_AFTER = timedelta(minutes=1)

_IS_ONE_OF_PEOPLE = in_bound_list(person.c.email, "people")
_PAIR_COLUMNS = (pair.c.id, pair.c.manager, pair.c.report)
_DUE_PAIRS = PreparedStatement(
    select(*_PAIR_COLUMNS)
    .where(pair.c.due_at <= bind_instant("now"))
    .order_by(pair.c.due_at, pair.c.id)
    .limit(bindparam("limit"))
)
_PAIRS_BY_ID = PreparedStatement(select(*_PAIR_COLUMNS).where(in_bound_list(pair.c.id, "pairs")))
#: Selects the people whom no other holder has leased.
_AVAILABLE_PEOPLE = PreparedStatement(
    select(person.c.email)
    .where(
        _IS_ONE_OF_PEOPLE,
        or_(
            person.c.holder.is_(None),
            person.c.held_until <= bind_instant("now"),
            person.c.holder == bindparam("lease_holder"),
        ),
    )
    .order_by(person.c.email)
    .with_for_update(skip_locked=True)
)
_TAKE_LEASES = PreparedStatement(
    update(person).where(_IS_ONE_OF_PEOPLE).values(holder=bindparam("lease_holder"), held_until=bind_instant("until"))
)
_RELEASE_LEASES = PreparedStatement(
    update(person).where(person.c.holder == bindparam("lease_holder")).values(holder=None, held_until=None)
)
#: Locks and selects the people whom this holder has leased, also those whose lease has expired.
_LEASED_PEOPLE = PreparedStatement(
    select(person.c.email, person.c.held_until)
    .where(person.c.holder == bindparam("lease_holder"))
    .order_by(person.c.email)
    .with_for_update()
)
#: Locks rows of several pairs, always in the same order, so that two transactions can't deadlock. With `key_share`,
#: PostgreSQL still lets other transactions insert rows that refer to these pairs.
_LOCK_PAIRS = PreparedStatement(
    select(pair.c.id).where(in_bound_list(pair.c.id, "pairs")).order_by(pair.c.id).with_for_update(key_share=True)
)
#: The condition that the pair was not woken since it was loaded.
_IS_NOT_WOKEN = and_(pair.c.id == bindparam("pair_id"), pair.c.wakes == bindparam("loaded_wakes"))
_RESCHEDULE = PreparedStatement(update(pair).where(_IS_NOT_WOKEN).values(due_at=bind_instant("next_due_at")))
_SAVE_FREE_BUSY_READ_AT = PreparedStatement(update(pair).where(_IS_NOT_WOKEN).values(looked_at=bind_instant("now")))
_EARLIER_DUE = case((pair.c.due_at < bind_instant("wake_at"), pair.c.due_at), else_=bind_instant("wake_at"))
_IS_ONE_OF_PAIRS = in_bound_list(pair.c.id, "pairs")
_WAKE = PreparedStatement(update(pair).where(_IS_ONE_OF_PAIRS).values(due_at=_EARLIER_DUE, wakes=pair.c.wakes + 1))
#: Wakes pairs and makes planning read their free/busy again.
_WAKE_TO_REREAD = PreparedStatement(
    update(pair).where(_IS_ONE_OF_PAIRS).values(due_at=_EARLIER_DUE, wakes=pair.c.wakes + 1, looked_at=None)
)
_SAVE_WRITTEN_TIME = PreparedStatement(
    update(event)
    .where(event.c.key == bindparam("event_key"))
    .values(written_start=bind_instant("new_start"), written_end=bind_instant("new_end"))
)
_SAVE_AWAY = PreparedStatement(
    update(person).where(person.c.email == bindparam("address")).values(away=bindparam("away_spans", type_=SpansType()))
)
_UNREAD_CALENDARS = PreparedStatement(
    select(calendar.c.address).where(calendar.c.full_at.is_(None), calendar.c.due_at.is_not(None))
)
_POSTPONE = PreparedStatement(update(pair).where(_IS_ONE_OF_PAIRS).values(due_at=bind_instant("until")))
_SAVE_NEWEST_CYCLE = PreparedStatement(
    update(pair)
    .where(pair.c.id == bindparam("pair_id"), pair.c.cycle < bindparam("newest_cycle"))
    .values(cycle=bindparam("newest_cycle"))
)


class Plans:
    """Claims pairs, loads them for planning, and writes their plans."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content

    # --- leases ---

    def claim(self, now: datetime, holder: str, until: datetime, limit: int) -> list[PairId]:
        """Lease the people of up to `limit` due pairs. Return the pairs whose people this holder has leased now.

        A pair is left out when another holder has leased one of its people.
        """
        with self._database.write() as connection:
            due_rows = _DUE_PAIRS.fetch_tuples(connection, now=now, limit=limit)
            plannable_rows, postponed_pairs = _separate_plannable(connection, due_rows, now)
            claimed_pairs = self._take_leases(connection, plannable_rows, now, holder, until)
            if postponed_pairs:
                lock_pairs(connection, postponed_pairs)
                _POSTPONE.execute(connection, pairs=postponed_pairs, until=now + RECHECK_AFTER)
            return claimed_pairs

    def claim_pairs(self, pairs: Collection[PairId], now: datetime, holder: str, until: datetime) -> list[PairId]:
        """Lease the people of these pairs, whether or not the pairs are due. Return pairs as `claim` does."""
        with self._database.write() as connection:
            pair_rows = _PAIRS_BY_ID.fetch_tuples(connection, pairs=list(pairs))
            return self._take_leases(connection, pair_rows, now, holder, until)

    def _take_leases(
        self, connection: Connection, pair_rows: Sequence[Any], now: datetime, holder: str, until: datetime
    ) -> list[PairId]:
        """Lease the people of those pairs neither of whose people another holder has leased. Return these pairs.

        The rows have the columns `_PAIR_COLUMNS`: the id, the manager and the report.
        """
        people_by_pair = {pair_id: {manager, report} for pair_id, manager, report in pair_rows}
        people = sorted(set().union(*people_by_pair.values()))
        if not people:
            return []
        available_people = set(_AVAILABLE_PEOPLE.fetch_column(connection, people=people, now=now, lease_holder=holder))
        available_pairs = [
            pair_id for pair_id, people_of_pair in people_by_pair.items() if people_of_pair <= available_people
        ]
        people_to_lease = sorted(set().union(*(people_by_pair[pair_id] for pair_id in available_pairs)))
        if people_to_lease:
            _TAKE_LEASES.execute(connection, people=people_to_lease, lease_holder=holder, until=until)
        return available_pairs

    def release(self, holder: str) -> None:
        """Release every lease of this holder."""
        with self._database.write() as connection:
            _LEASED_PEOPLE.fetch_tuples(connection, lease_holder=holder)  # locks them in order
            _RELEASE_LEASES.execute(connection, lease_holder=holder)

    def wake(self, pairs: Iterable[PairId], now: datetime, *, reread_free_busy: bool = False) -> None:
        """Make these pairs due now.

        With `reread_free_busy`, planning reads their free/busy again, however recently it was read.
        """
        ids = sorted(set(pairs))
        if ids:
            with self._database.write() as connection:
                wake_pairs(connection, ids, now, reread_free_busy=reread_free_busy)

    # --- reading ---

    def load(self, pairs: Sequence[PairId], now: datetime) -> LoadedPairs:
        """Return everything that planning these pairs needs, as of one moment.

        Raises WrongKey when a sealed value of one of the pairs can't be opened.
        """
        loaded = self.load_readable(pairs, now)
        if loaded.unreadable:
            raise WrongKey(next(iter(loaded.unreadable.values())))
        return loaded

    def load_readable(self, pairs: Sequence[PairId], now: datetime) -> LoadedPairs:
        """Return the same as `load`, but list the pairs whose sealed values can't be opened as `unreadable`."""
        with self._database.read() as connection:
            return load_pairs(connection, pairs, now, self._content.open_ad_hoc_fields)

    def load_taken_time(self, people: Sequence[Address], now: datetime) -> dict[Address, tuple[TakenTime, ...]]:
        """Return the taken times of these people, by person: see `pair_state.load_taken_time`."""
        with self._database.read() as connection:
            return load_taken_time(connection, people, now)

    # --- writing ---

    def commit(
        self,
        plans: Sequence[Plan],
        wake_counts: Mapping[PairId, int],
        holder: str,
        now: datetime,
        also_write: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Write these plans and release all leases of the holder, in one transaction.

        `wake_counts` is how often each pair had been woken when it was loaded. `also_write` is called with the
        connection, and writes in the same transaction. Raises LeaseLost, and writes nothing, when the holder has lost
        the lease of one of the people.
        """
        with self._database.write() as connection:
            pair_ids = [plan.pair for plan in plans]
            self._require_leases(connection, pair_ids, holder, now)
            _save_calendar_changes(connection, plans)  # locks events before pairs, as a reading of a calendar does
            lock_pairs(connection, pair_ids)
            self._write_decisions(connection, plans)
            _reschedule(connection, plans, wake_counts, now)
            also_write(connection)
            _RELEASE_LEASES.execute(connection, lease_holder=holder)

    def _write_decisions(self, connection: Connection, plans: Sequence[Plan]) -> None:
        """Write the sessions, deferrals, commitments and effects of the plans, and a history line for each decision."""
        upsert, insert_new = self._database.upsert, self._database.insert_new
        seal_ad_hoc_fields = self._content.seal_ad_hoc_fields
        session_rows = [
            rows.build_session_row(planned, seal_ad_hoc_fields(planned)) for plan in plans for planned in plan.sessions
        ]
        upsert(connection, session, session_rows)
        deferral_rows = [rows.build_deferral_row(new_deferral) for plan in plans for new_deferral in plan.deferrals]
        insert_new(connection, deferral, deferral_rows, ("session", "number"))
        commitment_rows = [rows.build_commitment_row(changed) for plan in plans for changed in plan.commitments]
        upsert(connection, commitment, commitment_rows)
        effect_rows = [rows.build_effect_row(effect) for plan in plans for effect in plan.effects]
        insert_new(connection, outbox, effect_rows, ("key",))
        decisions = [decision for plan in plans for decision in plan.decisions]
        lines = [
            HistoryLine(
                at=decision.at,
                what=decision.what,
                pair=decision.pair,
                session=decision.session,
                reason=decision.reason,
                fields=decision.fields,
            )
            for decision in decisions
        ]
        append_history(connection, lines)

    def _require_leases(self, connection: Connection, pairs: Sequence[PairId], holder: str, now: datetime) -> None:
        people = {address for pair_id in pairs for address in pair_id.people}
        leases = _LEASED_PEOPLE.fetch_tuples(connection, lease_holder=holder)
        if not people <= {address for address, held_until in leases if held_until > now}:
            raise LeaseLost


def _save_calendar_changes(connection: Connection, plans: Sequence[Plan]) -> None:
    """Store the times to which people moved our events, and when people are out of office."""
    moves = sorted((key, span) for plan in plans for key, span in plan.accepted_moves.items())
    if moves:
        new_times = [{"event_key": key, "new_start": span.start, "new_end": span.end} for key, span in moves]
        _SAVE_WRITTEN_TIME.execute_many(connection, new_times)
    if away := {address: spans for plan in plans for address, spans in plan.new_absences.items()}:
        away_rows = [{"address": address, "away_spans": spans} for address, spans in sorted(away.items())]
        _SAVE_AWAY.execute_many(connection, away_rows)


def _reschedule(
    connection: Connection, plans: Sequence[Plan], wake_counts: Mapping[PairId, int], now: datetime
) -> None:
    """Store when each pair is due next and that its free/busy was read, unless it was woken since it was loaded.

    The newest cycle of which a session was held is stored in any case.
    """
    # the parameters of the condition `_IS_NOT_WOKEN`, by pair
    conditions = {plan.pair: {"pair_id": plan.pair, "loaded_wakes": wake_counts[plan.pair]} for plan in plans}
    # the latest time is rounded down to a grid that all pairs share, so that many pairs are planned together and their
    # free/busy is read with few requests
    latest = floor_to_shared_grid(now + MAX_PLAN_INTERVAL, DAILY)
    free_busy_reads = [{**conditions[plan.pair], "now": now} for plan in plans if plan.used_free_busy]
    due_times = [{**conditions[plan.pair], "next_due_at": min(plan.due_at or latest, latest)} for plan in plans]
    held_cycles = {
        plan.pair: [planned.cycle for planned in plan.sessions if planned.held_at and _is_regular(planned)]
        for plan in plans
    }
    newest_cycles = [
        {"pair_id": pair_id, "newest_cycle": max(cycles)} for pair_id, cycles in held_cycles.items() if cycles
    ]
    changes = (
        (_SAVE_FREE_BUSY_READ_AT, free_busy_reads),
        (_RESCHEDULE, due_times),
        (_SAVE_NEWEST_CYCLE, newest_cycles),
    )
    for statement, statement_rows in changes:
        if statement_rows:
            statement.execute_many(connection, statement_rows)


def _separate_plannable(
    connection: Connection, pair_rows: Sequence[Sequence[Any]], now: datetime
) -> tuple[Sequence[Sequence[Any]], list[PairId]]:
    """Return the rows of pairs that may be planned, and the ids of the pairs that may not.

    A pair may not be planned while its manager's calendar was not read since the database was restored.
    """
    if not pair_rows or not must_read_calendars_first(connection, now):
        return pair_rows, []
    unread = set(_UNREAD_CALENDARS.fetch_column(connection))
    plannable_rows = [(pair_id, manager, report) for pair_id, manager, report in pair_rows if manager not in unread]
    return plannable_rows, [pair_id for pair_id, manager, _ in pair_rows if manager in unread]


def _is_regular(planned: Session) -> bool:
    """Return whether a session belongs to the pair's rhythm.

    Reviews, check-ins and ad hoc sessions only bear the number of the cycle in which they take place.
    """
    return planned.kind is SessionKind.CAREER and not planned.adhoc


def wake_pairs(
    connection: Connection, pairs: Sequence[PairId], wake_at: datetime, *, reread_free_busy: bool = False
) -> None:
    """Make these pairs due at `wake_at`, or earlier if they already are, within a transaction: see `Plans.wake`."""
    lock_pairs(connection, pairs)
    statement = _WAKE_TO_REREAD if reread_free_busy else _WAKE
    statement.execute(connection, pairs=list(pairs), wake_at=wake_at)


def lock_pairs(connection: Connection, pairs: Sequence[PairId]) -> None:
    """Lock the rows of these pairs until the end of the transaction, in order of id."""
    if connection.dialect.name != "sqlite":  # SQLite has one writer at a time
        _LOCK_PAIRS.fetch_rows(connection, pairs=list(pairs))
