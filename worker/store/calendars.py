"""Reads and writes what the sync knows of organizers' calendars: their cursors, our events, and recurring 1:1s.

A calendar is read when it is due (`due_at`). While it is leased, both `held_until` and `due_at` are the end of the
lease. A `due_at` before `held_until` means that the calendar was made due while it was being read, because it has
changed again. A calendar is *suspended* while no request is sent for it, because the service refused access to it.
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, and_, bindparam, case, delete, func, or_, select, update

from worker.domain.model import (
    Address,
    Cursor,
    EffectKind,
    EffectProgress,
    EndReason,
    Event,
    Meeting,
    PairId,
    PlacedEvent,
    Session,
    SessionState,
    Span,
)
from worker.store import rows, tables
from worker.store.database import Database
from worker.store.orphans import adopt_orphans
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.plans import lock_pairs, wake_pairs
from worker.store.statements import PreparedStatement

calendar, event, meeting, pair, session = tables.calendar, tables.event, tables.meeting, tables.pair, tables.session
channel, outbox, person = tables.channel, tables.outbox, tables.person


_IS_UNLEASED = or_(calendar.c.holder.is_(None), calendar.c.held_until <= bind_instant("now"))
_CLAIMABLE = PreparedStatement(
    select(calendar)
    .where(calendar.c.due_at <= bind_instant("now"), _IS_UNLEASED)
    .order_by(calendar.c.due_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_TAKE_LEASES = PreparedStatement(
    update(calendar)
    .where(in_bound_list(calendar.c.address, "addresses"))
    .values(holder=bindparam("lease_holder"), held_until=bind_instant("until"), due_at=bind_instant("until"))
)
#: The condition that the calendar was made due during the lease, for an earlier time than `due`.
_WAS_MADE_DUE = and_(calendar.c.due_at < calendar.c.held_until, calendar.c.due_at < bind_instant("due"))
#: When the calendar is read next: at `due`, unless it was made due earlier, or is not to be read any more.
_NEXT_READ = case((or_(_WAS_MADE_DUE, calendar.c.due_at.is_(None)), calendar.c.due_at), else_=bind_instant("due"))
_IS_LEASED_BY_US = and_(calendar.c.address == bindparam("address"), calendar.c.holder == bindparam("lease_holder"))
_RELEASE_LEASE = PreparedStatement(
    update(calendar).where(_IS_LEASED_BY_US).values(due_at=_NEXT_READ, holder=None, held_until=None)
)
_RECORD_FAILURE = PreparedStatement(
    update(calendar)
    .where(_IS_LEASED_BY_US)
    .values(
        due_at=_NEXT_READ,
        holder=None,
        held_until=None,
        failing_since=func.coalesce(calendar.c.failing_since, bind_instant("now")),
        failures=calendar.c.failures + 1,
        problem=bindparam("new_problem"),
    )
)
_NO_FAILURE: dict[str, Any] = {"failing_since": None, "failures": 0, "problem": None}
_SAVE_CURSOR = PreparedStatement(
    update(calendar).where(_IS_LEASED_BY_US).values(cursor=bindparam("new_cursor"), **_NO_FAILURE),
    columns=("changed_at",),
)
_SAVE_FULL_READ = PreparedStatement(
    update(calendar)
    .where(_IS_LEASED_BY_US)
    .values(cursor=bindparam("new_cursor"), full_at=bind_instant("now"), size=bindparam("event_count"), **_NO_FAILURE)
)
_FAILURES = PreparedStatement(
    select(person.c.calendar, func.count(), func.max(calendar.c.failures), func.min(calendar.c.problem))
    .join(person, person.c.email == calendar.c.address)
    .where(calendar.c.failing_since.is_not(None), calendar.c.due_at.is_not(None))
    .group_by(person.c.calendar)
)
_MAKE_DUE = PreparedStatement(
    update(calendar)
    .where(in_bound_list(calendar.c.address, "addresses"), calendar.c.due_at > bind_instant("new_due_at"))
    .values(due_at=bind_instant("new_due_at"))
)
_PAIRS_OF_REPORTS = PreparedStatement(
    select(pair.c.id).where(in_bound_list(pair.c.report, "addresses"), pair.c.ended == EndReason.NO.value)
)

_OUR_EVENTS = PreparedStatement(
    select(event).where(
        event.c.calendar == bindparam("address"), event.c.gone.is_(False), event.c.end > bind_instant("since")
    )
)
_REPORTS = PreparedStatement(
    select(pair.c.report, pair.c.id).where(pair.c.manager == bindparam("address"), pair.c.ended == EndReason.NO.value)
)
_BOOKED_SESSIONS = PreparedStatement(
    select(session.c.pair, session.c.start, session.c.end)
    .join(pair)
    .where(
        pair.c.manager == bindparam("address"),
        session.c.closed.is_(False),
        session.c.state == SessionState.BOOKED.value,
        session.c.end > bind_instant("now"),
    )
)
#: Selects the keys of the events that are to be created. An effect that is done or dropped has no `due_at`.
_PENDING_CREATES = PreparedStatement(
    select(outbox.c.event).where(
        outbox.c.due_at.is_not(None),
        outbox.c.what == EffectKind.CREATE.value,
        outbox.c.calendar == bindparam("address"),
    )
)
_UPDATE_EVENT = PreparedStatement(
    update(event).where(event.c.key == bindparam("event_key"), event.c.etag == bindparam("earlier_etag")),
    columns=("etag", "provider_id", "start", "end", "gone", "answers", "proposed"),
)
_LIFT_SUSPENSION = PreparedStatement(
    update(person)
    .where(person.c.email == bindparam("address"), person.c.suspended_until.is_not(None))
    .values(suspended_until=None)
)
#: Makes a failed channel due now. The channel was probably refused for the same reason as the calendar.
_RETRY_CHANNEL = PreparedStatement(
    update(channel)
    .where(channel.c.calendar == bindparam("address"), channel.c.failures > 0, channel.c.due_at > bind_instant("now"))
    .values(due_at=bind_instant("now"))
)
_PAIRS_OF_PERSON = select(pair.c.id).where(
    or_(pair.c.manager == bindparam("address"), pair.c.report == bindparam("address"))
)
#: Makes the failed effects of a calendar due now.
_RETRY_EFFECTS = PreparedStatement(
    update(outbox)
    .where(
        outbox.c.calendar == bindparam("address"),
        outbox.c.progress == EffectProgress.WAITING.value,
        outbox.c.attempts > 0,
        outbox.c.due_at > bind_instant("now"),
    )
    .values(due_at=bind_instant("now"))
)
_DELETE_ALL_MEETINGS = PreparedStatement(delete(meeting).where(meeting.c.calendar == bindparam("address")))
_DELETE_MEETINGS = PreparedStatement(
    delete(meeting).where(
        meeting.c.calendar == bindparam("address"),
        or_(in_bound_list(meeting.c.series, "series"), in_bound_list(meeting.c.id, "ids")),
    )
)

#: An event that ended longer ago than this is not compared with the calendar any more.
PAST_EVENT_AGE = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class DueCalendar:
    """A calendar that is due to be read."""

    address: Address
    cursor: Cursor | None  #: where the reading of changes begins; None when the calendar has to be read in full
    full_at: datetime | None  #: when the calendar was last read in full
    size: int  #: number of events at the last full reading
    changed_at: datetime | None  #: when a reading last found a change


@dataclass(frozen=True, slots=True)
class CalendarFailures:
    """How many calendars of one service can't be read."""

    calendars: int  #: number of calendars
    failures: int  #: failed attempts in a row: the largest number among these calendars
    problem: str  #: why one of these calendars can't be read


@dataclass(frozen=True, slots=True)
class StoredCalendar:
    """What the database knows of a calendar before it is read from the service."""

    placed: Mapping[str, PlacedEvent]  #: our events that are on the calendar, by key
    pair_by_key: Mapping[str, PairId]  #: the pair of each of these events, by the event's key
    booked_spans: Mapping[PairId, Sequence[Span]]  #: the times of booked sessions of this organizer, by pair
    reports: Mapping[Address, PairId]  #: the pair of each report of this organizer
    pending_keys: Collection[str] = ()  #: keys of events that are about to be created


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarReading:
    """The result of reading a calendar, which is to be stored."""

    #: Our events that changed or vanished, each with the etag that the database should still have. A different etag in
    #: the database means that we have written the event meanwhile; its row is then not updated.
    placed: Sequence[tuple[PlacedEvent, str]]
    pairs_to_plan: Collection[PairId]  #: pairs that a change on the calendar concerns
    pairs_to_reread: Collection[PairId]  #: pairs to plan after their free/busy was read again
    meetings: Sequence[tuple[Event, PairId]]  #: occurrences of recurring 1:1s, each with its pair
    dropped_meeting_ids: Collection[str]  #: of series and single events: their stored 1:1s are deleted
    orphans: Sequence[Event] = ()  #: future events that carry our key, but are not in the database
    recovered: Sequence[Session] = ()  #: sessions that are on the calendar, but not in the restored database
    #: Whether the calendar lists an event whose creation is not stored yet. The calendar is then read again from the
    #: same cursor.
    needs_repeat: bool = False


class CalendarRows:
    """Reads and writes the tables `calendar` and `meeting`, and updates `event` from calendars."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, now: datetime, holder: str, until: datetime, limit: int) -> list[DueCalendar]:
        """Take the leases of up to `limit` due calendars."""
        with self._database.write() as connection:
            claimed = _CLAIMABLE.fetch_rows(connection, now=now, limit=limit)
            if claimed:
                addresses = [row["address"] for row in claimed]
                _TAKE_LEASES.execute(connection, addresses=addresses, lease_holder=holder, until=until)
        return [DueCalendar(**{name: row[name] for name in DueCalendar.__dataclass_fields__}) for row in claimed]

    def make_due(self, addresses: Collection[Address], now: datetime) -> None:
        """Make changed calendars due now: see `make_calendars_due`."""
        with self._database.write() as connection:
            make_calendars_due(connection, list(addresses), now)

    def lift_suspension(self, address: Address, now: datetime) -> bool:
        """End the suspension of a calendar, and make the calendar, its pairs and its failed effects due.

        Return False when the calendar was not suspended. The same rows are made due even then.
        """
        with self._database.write() as connection:
            # locks the calendar before the person, as `save` does
            _MAKE_DUE.execute(connection, addresses=[address], new_due_at=now)
            was_suspended = _LIFT_SUSPENSION.execute(connection, address=address) > 0
            _RETRY_EFFECTS.execute(connection, address=address, now=now)
            query = _PAIRS_OF_PERSON.where(pair.c.ended == EndReason.NO.value)
            pair_ids = [row[0] for row in connection.execute(query, {"address": address})]
            if pair_ids:
                wake_pairs(connection, sorted(pair_ids), now, reread_free_busy=True)
        if was_suspended:
            self._retry_channel(address, now)
        return was_suspended

    def _retry_channel(self, address: Address, now: datetime) -> None:
        """Make the failed channel of a calendar due, because the suspension of the calendar has ended.

        This needs a transaction of its own: a notification locks the channel before the calendar, so locking the
        channel after the calendar might deadlock.
        """
        with self._database.write() as connection:
            _RETRY_CHANNEL.execute(connection, address=address, now=now)

    def load_stored_calendar(self, address: Address, now: datetime, since: datetime | None = None) -> StoredCalendar:
        """Return what the database knows of this calendar.

        Events are included when they ended less than `PAST_EVENT_AGE` before `now`, or before `since` if that is
        earlier.
        """
        oldest_end = min(since or now, now) - PAST_EVENT_AGE
        booked_spans: dict[PairId, list[Span]] = {}
        with self._database.read() as connection:
            event_rows = _OUR_EVENTS.fetch_rows(connection, address=address, since=oldest_end)
            reports = {row["report"]: row["id"] for row in _REPORTS.fetch_rows(connection, address=address)}
            for pair_id, start, end in _BOOKED_SESSIONS.fetch_tuples(connection, address=address, now=now):
                booked_spans.setdefault(pair_id, []).append(Span(start, end))
            pending_keys = _PENDING_CREATES.fetch_column(connection, address=address)
        placed = {row["key"]: rows.read_placed_event(row) for row in event_rows}
        pair_by_key = {row["key"]: row["pair"] for row in event_rows}
        return StoredCalendar(
            placed=placed,
            pair_by_key=pair_by_key,
            booked_spans=booked_spans,
            reports=reports,
            pending_keys=pending_keys,
        )

    def save(
        self,
        due_calendar: DueCalendar,
        holder: str,
        reading: CalendarReading,
        cursor: Cursor | None,
        *,
        size: int | None,
        now: datetime,
        has_changed: bool = False,
    ) -> None:
        """Write what was read, and the cursor for the next reading. Write nothing when another holder has the lease.

        `size` is the number of events after a full reading, and None after a reading of changes. `has_changed` tells
        whether a reading of changes found any.
        """
        values: dict[str, Any] = {"address": due_calendar.address, "lease_holder": holder, "new_cursor": cursor}
        if size is None:
            save_cursor = _SAVE_CURSOR
            values["changed_at"] = now if has_changed else due_calendar.changed_at
        else:
            save_cursor = _SAVE_FULL_READ
            values.update(now=now, event_count=size)
        with self._database.write() as connection:
            if save_cursor.execute(connection, **values) != 1:
                return
            # This updates the person before the events, to keep the order of locks that `Database.write` names.
            was_suspended = _LIFT_SUSPENSION.execute(connection, address=due_calendar.address) > 0
            if reading.placed:
                in_lock_order = sorted(reading.placed, key=lambda item: item[0].key)
                _UPDATE_EVENT.execute_many(
                    connection, [_build_event_update(placed, etag) for placed, etag in in_lock_order]
                )
            self._save_meetings(connection, due_calendar.address, reading, is_full=size is not None)
            session_rows = [_build_recovered_row(recovered) for recovered in reading.recovered]
            self._database.upsert(connection, session, session_rows)
            orphan_pairs = adopt_orphans(self._database, connection, due_calendar.address, reading.orphans, now)
            pairs_to_plan = {*reading.pairs_to_plan, *orphan_pairs}
            if pairs_to_plan and reading.pairs_to_reread:
                # `wake_pairs` locks pairs in order only within one call
                lock_pairs(connection, sorted({*pairs_to_plan, *reading.pairs_to_reread}))
            if pairs_to_plan:
                wake_pairs(connection, sorted(pairs_to_plan), now)
            if reading.pairs_to_reread:
                wake_pairs(connection, sorted(reading.pairs_to_reread), now, reread_free_busy=True)
        if was_suspended:
            self._retry_channel(due_calendar.address, now)

    def _save_meetings(
        self, connection: Connection, address: Address, reading: CalendarReading, *, is_full: bool
    ) -> None:
        """Store the occurrences of recurring 1:1s. After a full reading, they replace all that are stored."""
        if is_full:
            _DELETE_ALL_MEETINGS.execute(connection, address=address)
        elif reading.dropped_meeting_ids:
            ids = sorted(reading.dropped_meeting_ids)
            _DELETE_MEETINGS.execute(connection, address=address, series=ids, ids=ids)
        rows_by_id = {
            occurrence.ref.id: {
                "calendar": address,
                "id": occurrence.ref.id,
                "series": occurrence.series or occurrence.ref.id,
                "pair": pair_id,
                "start": occurrence.span.start,
                "end": occurrence.span.end,
            }
            for occurrence, pair_id in reading.meetings
        }
        self._database.upsert(connection, meeting, list(rows_by_id.values()))

    def postpone(self, due_calendar: DueCalendar, holder: str, due: datetime) -> None:
        """Release the lease. The calendar is due again at `due`, or earlier when it was made due meanwhile."""
        with self._database.write() as connection:
            _RELEASE_LEASE.execute(connection, address=due_calendar.address, lease_holder=holder, due=due)

    def record_failure(
        self, due_calendar: DueCalendar, holder: str, due: datetime, problem: str, now: datetime
    ) -> None:
        """Store that a calendar could not be read, and release the lease. The calendar is due again at `due`.

        `problem` tells why, without content.
        """
        with self._database.write() as connection:
            _RECORD_FAILURE.execute(
                connection, address=due_calendar.address, lease_holder=holder, due=due, new_problem=problem, now=now
            )

    def load_failures(self) -> dict[str, CalendarFailures]:
        """Return the calendars that can't be read now, counted by calendar service."""
        with self._database.read() as connection:
            return {service: CalendarFailures(*counts) for service, *counts in _FAILURES.fetch_tuples(connection)}

    def request_full_read(self, addresses: Collection[Address], now: datetime) -> None:
        """Make these calendars due, to be read in full, because they differ from what the database knows."""
        is_listed = calendar.c.address.in_(list(addresses))
        with self._database.write() as connection:
            connection.execute(update(calendar).where(is_listed).values(due_at=now, cursor=None))

    def find_event(self, key: str) -> PlacedEvent | None:
        """Return our event with this key, past or future; None when there is none."""
        with self._database.read() as connection:
            row = connection.execute(select(event).where(event.c.key == key)).mappings().first()
        return rows.read_placed_event(row) if row else None

    def list_events_of(self, email: Address) -> list[PlacedEvent]:
        """Return our events of all pairs of a person in order of start, also past events and those that are gone."""
        has_person = or_(pair.c.manager == email, pair.c.report == email)
        query = select(event).where(event.c.pair.in_(select(pair.c.id).where(has_person))).order_by(event.c.start)
        with self._database.read() as connection:
            return [rows.read_placed_event(row) for row in connection.execute(query).mappings()]

    def list_meetings(self, pair_id: PairId) -> list[Meeting]:
        """Return the stored occurrences of recurring 1:1s of a pair, in order of start."""
        query = select(meeting).where(meeting.c.pair == pair_id).order_by(meeting.c.start)
        with self._database.read() as connection:
            meetings = connection.execute(query).mappings()
            return [Meeting(pair=row["pair"], span=Span(row["start"], row["end"])) for row in meetings]

    def list_reading_states(self) -> list[Mapping[str, Any]]:
        """Return for each calendar the address, `due_at`, `full_at`, and the columns about failed readings."""
        failure_columns = (calendar.c.failing_since, calendar.c.failures, calendar.c.problem)
        columns = (calendar.c.address, calendar.c.due_at, calendar.c.full_at, *failure_columns)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(select(*columns)).mappings()]


def make_calendars_due(connection: Connection, addresses: Sequence[Address], due_at: datetime) -> None:
    """Make changed calendars due at this time, unless they are due earlier.

    The calendars of organizers are then read. Of reports, only free/busy is read: their pairs become due to be planned.
    """
    _MAKE_DUE.execute(connection, addresses=addresses, new_due_at=due_at)
    pair_ids = _PAIRS_OF_REPORTS.fetch_column(connection, addresses=addresses)
    if pair_ids:
        wake_pairs(connection, pair_ids, due_at, reread_free_busy=True)


def _build_recovered_row(recovered: Session) -> dict[str, Any]:
    """Return the columns of a recovered session.

    `sealed_plan` is left out, so that a session which has been stored meanwhile keeps its value.
    """
    return {name: value for name, value in rows.build_session_row(recovered).items() if name != "sealed_plan"}


def _build_event_update(placed: PlacedEvent, earlier_etag: str) -> dict[str, Any]:
    """Return the parameters of `_UPDATE_EVENT`: the event as it was read, and the etag that the row must still have."""
    return {
        "event_key": placed.key,
        "earlier_etag": earlier_etag,
        "etag": placed.ref.etag,
        "provider_id": placed.ref.id,
        "start": placed.span.start,
        "end": placed.span.end,
        "gone": placed.is_gone,
        "answers": {address: answer.value for address, answer in placed.answers.items()},
        "proposed": rows.dump_spans(placed.proposed),
    }
