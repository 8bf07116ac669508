"""What the sweep asks: which pairs are due, all that is known of them, and to write what was decided.

A person is in one sweep at a time: planning a pair takes a lease on both. A plan is written only while those leases
are held, in the same transaction, so that a sweep that was stopped for too long writes nothing.
"""

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, or_, select, update

from worker.domain.model import Address, Kind, PairId, Plan, Session, Taken
from worker.domain.planning.plan_builder import DAILY, last_look
from worker.errors import LeaseLost, WrongKey
from worker.store import rows
from worker.store.content import Content
from worker.store.database import Database
from worker.store.history import record
from worker.store.pair_state import Loaded, load, taken_of
from worker.store.statements import Prepared
from worker.store.tables import at, commitment, deferral, event, message, one_of, pair, person, session

#: However little there is to wait for, every pair is looked at this often.
AT_LEAST = timedelta(days=14)

_PEOPLE = one_of(person.c.email, "people")
_WHO = (pair.c.id, pair.c.manager, pair.c.report)
_DUE = Prepared(
    select(*_WHO).where(pair.c.due_at <= at("now")).order_by(pair.c.due_at, pair.c.id).limit(bindparam("limit"))
)
_THESE = Prepared(select(*_WHO).where(one_of(pair.c.id, "pairs")))
_FREE = Prepared(
    select(person.c.email)
    .where(
        _PEOPLE,
        or_(person.c.holder.is_(None), person.c.held_until <= at("now"), person.c.holder == bindparam("me")),
    )
    .order_by(person.c.email)
    .with_for_update(skip_locked=True)
)
_TAKE = Prepared(update(person).where(_PEOPLE).values(holder=bindparam("me"), held_until=at("until")))
_GIVE_BACK = Prepared(update(person).where(person.c.holder == bindparam("me")).values(holder=None, held_until=None))
_HELD = Prepared(
    select(person.c.email)
    .where(_PEOPLE, person.c.holder == bindparam("me"), person.c.held_until > at("now"))
    .order_by(person.c.email)
    .with_for_update()
)
#: Rows of many pairs are always locked in one order: two that lock them in different ones would stop each other.
_IN_ORDER = Prepared(
    select(pair.c.id).where(one_of(pair.c.id, "pairs")).order_by(pair.c.id).with_for_update(key_share=True)
)
_UNDISTURBED = and_(pair.c.id == bindparam("one"), pair.c.wakes == bindparam("seen"))
_RESCHEDULE = Prepared(update(pair).where(_UNDISTURBED).values(due_at=at("due")))
_LOOKED = Prepared(update(pair).where(_UNDISTURBED).values(looked_at=at("at")))
_SOONER = case((pair.c.due_at < at("now"), pair.c.due_at), else_=at("now"))
_THEM = one_of(pair.c.id, "pairs")
_WAKE = Prepared(update(pair).where(_THEM).values(due_at=_SOONER, wakes=pair.c.wakes + 1))
_WAKE_TO_LOOK = Prepared(update(pair).where(_THEM).values(due_at=_SOONER, wakes=pair.c.wakes + 1, looked_at=None))
_WRITTEN = Prepared(
    update(event).where(event.c.key == bindparam("named")).values(written_start=at("begins"), written_end=at("ends"))
)
_NEWEST = Prepared(
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
            found = _DUE.tuples(connection, now=now, limit=limit)
            return self._take(connection, found, now, holder, until)

    def claim_pairs(self, pairs: Collection[PairId], now: datetime, holder: str, until: datetime) -> list[PairId]:
        """The same for these very pairs, due or not."""
        with self._database.write() as connection:
            found = _THESE.tuples(connection, pairs=list(pairs))
            return self._take(connection, found, now, holder, until)

    def _take(
        self, connection: Connection, found: Sequence[Any], now: datetime, holder: str, until: datetime
    ) -> list[PairId]:
        people = sorted({who for _, manager, report in found for who in (manager, report)})
        if not people:
            return []
        free = set(_FREE.column(connection, people=people, now=now, me=holder))
        taken = [(pair_id, manager, report) for pair_id, manager, report in found if {manager, report} <= free]
        mine = sorted({who for _, manager, report in taken for who in (manager, report)})
        if mine:
            _TAKE.run(connection, people=mine, me=holder, until=until)
        return [pair_id for pair_id, _, _ in taken]

    def release(self, holder: str) -> None:
        """Give back every lease of this holder."""
        with self._database.write() as connection:
            _GIVE_BACK.run(connection, me=holder)

    def wake(self, pairs: Iterable[PairId], now: datetime, *, look: bool = False) -> None:
        """Have these pairs planned at the next tick; with `look`, their calendars read whatever was read before."""
        ids = sorted(set(pairs))
        if ids:
            with self._database.write() as connection:
                wake(connection, ids, now, look=look)

    # --- what is known ---

    def load(self, pairs: Sequence[PairId], now: datetime) -> Loaded:
        """All that planning these pairs needs, as of one moment. Raises WrongKey."""
        loaded = self.load_readable(pairs, now)
        if loaded.unread:
            raise WrongKey(next(iter(loaded.unread.values())))
        return loaded

    def load_readable(self, pairs: Sequence[PairId], now: datetime) -> Loaded:
        """The same, where one pair that can't be read keeps no other from being planned."""
        with self._database.read() as connection:
            return load(connection, pairs, now, self._content.open_plan)

    def load_taken_time(self, people: Sequence[Address], now: datetime) -> dict[Address, tuple[Taken, ...]]:
        """The time of these people that any pair has taken, from now on."""
        with self._database.read() as connection:
            return taken_of(connection, people, now)

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
            self._still_held(connection, listed, holder, now)
            _lock(connection, listed)
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
            new(connection, message, [rows.message_row(m) for plan in plans for m in plan.messages], ("key",))
            decisions = [d for plan in plans for d in plan.decisions]
            record(connection, [(d.at, d.what, d.pair, d.session, d.reason, d.fields) for d in decisions])
            moved = [one for plan in plans for one in plan.acknowledged.items()]
            if moved:
                written = [{"named": key, "begins": span.start, "ends": span.end} for key, span in moved]
                _WRITTEN.run_each(connection, written)
            _reschedule(connection, plans, wakes, now)
            also(connection)
            _GIVE_BACK.run(connection, me=holder)

    def _still_held(self, connection: Connection, pairs: Sequence[PairId], holder: str, now: datetime) -> None:
        people = sorted({who for pair_id in pairs for who in pair_id.people})
        if len(_HELD.tuples(connection, people=people, me=holder, now=now)) != len(people):
            raise LeaseLost


def _reschedule(connection: Connection, plans: Sequence[Plan], wakes: Mapping[PairId, int], now: datetime) -> None:
    """Say when the pairs are due again, but not of one that somebody has woken since it was read."""
    same = {plan.pair: {"one": plan.pair, "seen": wakes[plan.pair]} for plan in plans}
    latest = last_look(now + AT_LEAST, DAILY)  # many at one moment: they are read together
    looked = [{**same[plan.pair], "at": now} for plan in plans if plan.looked]
    due = [{**same[plan.pair], "due": min(plan.due_at or latest, latest)} for plan in plans]
    held = {plan.pair: [s.cycle for s in plan.sessions if s.held_at and _regular(s)] for plan in plans}
    newest = [{"one": pair_id, "newest": max(cycles)} for pair_id, cycles in held.items() if cycles]
    for statement, values in ((_LOOKED, looked), (_RESCHEDULE, due), (_NEWEST, newest)):
        if values:
            statement.run_each(connection, values)


def _regular(one: Session) -> bool:
    """A conversation of the rhythm: the others carry the number of whatever cycle is the newest just then."""
    return one.kind is Kind.CAREER and not one.adhoc


def wake(connection: Connection, pairs: Sequence[PairId], now: datetime, *, look: bool = False) -> None:
    """Have these pairs planned at the next tick, within a transaction that is under way."""
    _lock(connection, pairs)
    (_WAKE_TO_LOOK if look else _WAKE).run(connection, pairs=list(pairs), now=now)


def _lock(connection: Connection, pairs: Sequence[PairId]) -> None:
    if connection.dialect.name != "sqlite":  # which has one writer at a time
        _IN_ORDER.rows(connection, pairs=list(pairs))
