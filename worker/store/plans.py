"""What the sweep asks: which pairs are due, all that is known of them, and to write what was decided.

A person is in one sweep at a time: planning a pair takes a lease on both. A plan is written only while those leases
are held, in the same transaction, so that a sweep that was stopped for too long writes nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, or_, select, update

from worker.domain.model import Address, PairId, Plan, Session, SessionKind, TakenTime
from worker.domain.planning.plan_builder import DAILY, find_last_look
from worker.errors import LeaseLost, WrongKey
from worker.store import rows
from worker.store.content import Content
from worker.store.database import Database
from worker.store.history import append_history
from worker.store.pair_state import LoadedPairs, load_pairs, load_taken_time
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.restorations import is_catching_up
from worker.store.statements import PreparedStatement
from worker.store.tables import calendar, commitment, deferral, event, message, pair, person, session
from worker.store.types import SpansType

#: However little there is to wait for, every pair is looked at this often.
MAX_PLAN_INTERVAL = timedelta(days=14)
#: How long a pair waits whose calendar has to be read first.
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
_FREE_PEOPLE = PreparedStatement(
    select(person.c.email)
    .where(
        _IS_ONE_OF_PEOPLE,
        or_(person.c.holder.is_(None), person.c.held_until <= bind_instant("now"), person.c.holder == bindparam("me")),
    )
    .order_by(person.c.email)
    .with_for_update(skip_locked=True)
)
_TAKE_LEASES = PreparedStatement(
    update(person).where(_IS_ONE_OF_PEOPLE).values(holder=bindparam("me"), held_until=bind_instant("until"))
)
_RELEASE_LEASES = PreparedStatement(
    update(person).where(person.c.holder == bindparam("me")).values(holder=None, held_until=None)
)
_LEASED_PEOPLE = PreparedStatement(
    select(person.c.email)
    .where(_IS_ONE_OF_PEOPLE, person.c.holder == bindparam("me"), person.c.held_until > bind_instant("now"))
    .order_by(person.c.email)
    .with_for_update()
)
#: Rows of many pairs are always locked in one order: two that lock them in different ones would stop each other.
_LOCK_PAIRS = PreparedStatement(
    select(pair.c.id).where(in_bound_list(pair.c.id, "pairs")).order_by(pair.c.id).with_for_update(key_share=True)
)
_IS_UNCHANGED = and_(pair.c.id == bindparam("one"), pair.c.wakes == bindparam("seen"))
_RESCHEDULE = PreparedStatement(update(pair).where(_IS_UNCHANGED).values(due_at=bind_instant("due")))
_SAVE_LOOK = PreparedStatement(update(pair).where(_IS_UNCHANGED).values(looked_at=bind_instant("at")))
_EARLIER_DUE = case((pair.c.due_at < bind_instant("now"), pair.c.due_at), else_=bind_instant("now"))
_IS_ONE_OF_PAIRS = in_bound_list(pair.c.id, "pairs")
_WAKE = PreparedStatement(update(pair).where(_IS_ONE_OF_PAIRS).values(due_at=_EARLIER_DUE, wakes=pair.c.wakes + 1))
_WAKE_TO_LOOK = PreparedStatement(
    update(pair).where(_IS_ONE_OF_PAIRS).values(due_at=_EARLIER_DUE, wakes=pair.c.wakes + 1, looked_at=None)
)
_SAVE_WRITTEN_TIME = PreparedStatement(
    update(event)
    .where(event.c.key == bindparam("named"))
    .values(written_start=bind_instant("begins"), written_end=bind_instant("ends"))
)
_SAVE_AWAY = PreparedStatement(
    update(person).where(person.c.email == bindparam("who")).values(away=bindparam("spans", type_=SpansType()))
)
_UNREAD_CALENDARS = PreparedStatement(
    select(calendar.c.address).where(calendar.c.full_at.is_(None), calendar.c.due_at.is_not(None))
)
_POSTPONE = PreparedStatement(update(pair).where(_IS_ONE_OF_PAIRS).values(due_at=bind_instant("until")))
_SAVE_NEWEST_CYCLE = PreparedStatement(
    update(pair)
    .where(pair.c.id == bindparam("one"), pair.c.cycle < bindparam("newest"))
    .values(cycle=bindparam("newest"))
)


class Plans:
    """The sweep's side of the database."""

    def __init__(self, database: Database, content: Content) -> None:
        self._database = database
        self._content = content

    # --- which ---

    def claim(self, now: datetime, holder: str, until: datetime, limit: int) -> list[PairId]:
        """Take the leases of the people of some due pairs; return those pairs. The others are in somebody's hands."""
        with self._database.write() as connection:
            found = _DUE_PAIRS.fetch_tuples(connection, now=now, limit=limit)
            found = _hold_back_unread(connection, found, now)
            return self._take_leases(connection, found, now, holder, until)

    def claim_pairs(self, pairs: Collection[PairId], now: datetime, holder: str, until: datetime) -> list[PairId]:
        """The same for these very pairs, due or not."""
        with self._database.write() as connection:
            found = _PAIRS_BY_ID.fetch_tuples(connection, pairs=list(pairs))
            return self._take_leases(connection, found, now, holder, until)

    def _take_leases(
        self, connection: Connection, found: Sequence[Any], now: datetime, holder: str, until: datetime
    ) -> list[PairId]:
        people = sorted({who for _, manager, report in found for who in (manager, report)})
        if not people:
            return []
        free = set(_FREE_PEOPLE.fetch_column(connection, people=people, now=now, me=holder))
        taken = [(pair_id, manager, report) for pair_id, manager, report in found if {manager, report} <= free]
        mine = sorted({who for _, manager, report in taken for who in (manager, report)})
        if mine:
            _TAKE_LEASES.execute(connection, people=mine, me=holder, until=until)
        return [pair_id for pair_id, _, _ in taken]

    def release(self, holder: str) -> None:
        """Give back every lease of this holder."""
        with self._database.write() as connection:
            _RELEASE_LEASES.execute(connection, me=holder)

    def wake(self, pairs: Iterable[PairId], now: datetime, *, look: bool = False) -> None:
        """Have these pairs planned at the next tick; with `look`, their calendars read whatever was read before."""
        ids = sorted(set(pairs))
        if ids:
            with self._database.write() as connection:
                wake_pairs(connection, ids, now, look=look)

    # --- what is known ---

    def load(self, pairs: Sequence[PairId], now: datetime) -> LoadedPairs:
        """All that planning these pairs needs, as of one moment. Raises WrongKey."""
        loaded = self.load_readable(pairs, now)
        if loaded.unreadable:
            raise WrongKey(next(iter(loaded.unreadable.values())))
        return loaded

    def load_readable(self, pairs: Sequence[PairId], now: datetime) -> LoadedPairs:
        """The same, where one pair that can't be read keeps no other from being planned."""
        with self._database.read() as connection:
            return load_pairs(connection, pairs, now, self._content.open_plan)

    def load_taken_time(self, people: Sequence[Address], now: datetime) -> dict[Address, tuple[TakenTime, ...]]:
        """The time of these people that any pair has taken, from now on."""
        with self._database.read() as connection:
            return load_taken_time(connection, people, now)

    # --- what was decided ---

    def commit(
        self,
        plans: Sequence[Plan],
        wakes: Mapping[PairId, int],
        holder: str,
        now: datetime,
        also: Callable[[Connection], None] = lambda _: None,
    ) -> None:
        """Write these plans, all or none, and whatever `also` writes with them.

        The leases of this holder end with it. Raises LeaseLost when somebody else holds one by now; then nothing is
        written.
        """
        with self._database.write() as connection:
            listed = [plan.pair for plan in plans]
            self._require_leases(connection, listed, holder, now)
            _lock_pairs(connection, listed)
            upsert, new = self._database.upsert, self._database.insert_new
            seal = self._content.seal_plan
            upsert(connection, session, [rows.session_row(s, seal(s)) for plan in plans for s in plan.sessions])
            new(
                connection,
                deferral,
                [rows.deferral_row(d) for plan in plans for d in plan.deferrals],
                ("session", "number"),
            )
            upsert(connection, commitment, [rows.commitment_row(c) for plan in plans for c in plan.commitments])
            new(connection, message, [rows.message_row(m) for plan in plans for m in plan.effects], ("key",))
            decisions = [d for plan in plans for d in plan.decisions]
            append_history(connection, [(d.at, d.what, d.pair, d.session, d.reason, d.fields) for d in decisions])
            moved = [one for plan in plans for one in plan.accepted_moves.items()]
            if moved:
                written = [{"named": key, "begins": span.start, "ends": span.end} for key, span in moved]
                _SAVE_WRITTEN_TIME.execute_many(connection, written)
            if away := {who: spans for plan in plans for who, spans in plan.away.items()}:
                _SAVE_AWAY.execute_many(connection, [{"who": who, "spans": away[who]} for who in sorted(away)])
            _reschedule(connection, plans, wakes, now)
            also(connection)
            _RELEASE_LEASES.execute(connection, me=holder)

    def _require_leases(self, connection: Connection, pairs: Sequence[PairId], holder: str, now: datetime) -> None:
        people = sorted({who for pair_id in pairs for who in pair_id.people})
        if len(_LEASED_PEOPLE.fetch_tuples(connection, people=people, me=holder, now=now)) != len(people):
            raise LeaseLost


def _reschedule(connection: Connection, plans: Sequence[Plan], wakes: Mapping[PairId, int], now: datetime) -> None:
    """Say when the pairs are due again, but not of one that somebody has woken since it was read."""
    same = {plan.pair: {"one": plan.pair, "seen": wakes[plan.pair]} for plan in plans}
    latest = find_last_look(now + MAX_PLAN_INTERVAL, DAILY)  # many at one moment: they are read together
    looked = [{**same[plan.pair], "at": now} for plan in plans if plan.used_free_busy]
    due = [{**same[plan.pair], "due": min(plan.due_at or latest, latest)} for plan in plans]
    held = {plan.pair: [s.cycle for s in plan.sessions if s.held_at and _is_regular(s)] for plan in plans}
    newest = [{"one": pair_id, "newest": max(cycles)} for pair_id, cycles in held.items() if cycles]
    for statement, values in ((_SAVE_LOOK, looked), (_RESCHEDULE, due), (_SAVE_NEWEST_CYCLE, newest)):
        if values:
            statement.execute_many(connection, values)


def _hold_back_unread(connection: Connection, found: list[Sequence[Any]], now: datetime) -> list[Sequence[Any]]:
    """Return the pairs without those whose calendar is to be read first, since the database was restored."""
    if not found or not is_catching_up(connection, now):
        return found
    unread = set(_UNREAD_CALENDARS.fetch_column(connection))
    if waiting := [pair_id for pair_id, manager, _ in found if manager in unread]:
        _POSTPONE.execute(connection, pairs=waiting, until=now + RECHECK_AFTER)
    return [row for row in found if row[1] not in unread]


def _is_regular(one: Session) -> bool:
    """A conversation of the rhythm: the others carry the number of whatever cycle is the newest just then."""
    return one.kind is SessionKind.CAREER and not one.adhoc


def wake_pairs(connection: Connection, pairs: Sequence[PairId], now: datetime, *, look: bool = False) -> None:
    """Have these pairs planned at the next tick, within a transaction that is under way."""
    _lock_pairs(connection, pairs)
    (_WAKE_TO_LOOK if look else _WAKE).execute(connection, pairs=list(pairs), now=now)


def _lock_pairs(connection: Connection, pairs: Sequence[PairId]) -> None:
    if connection.dialect.name != "sqlite":  # which has one writer at a time
        _LOCK_PAIRS.fetch_rows(connection, pairs=list(pairs))
