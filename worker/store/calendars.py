"""Where each organizer's calendar was read up to, and what was seen there of our own events and of the 1:1s."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import and_, bindparam, delete, func, or_, select, update

from worker.domain.model import (
    Address,
    Cursor,
    EffectKind,
    EffectProgress,
    Event,
    Meeting,
    PairId,
    PlacedEvent,
    SessionState,
    Span,
)
from worker.store import rows, tables
from worker.store.database import Database
from worker.store.orphans import adopt_orphans
from worker.store.plans import wake_pairs
from worker.store.statements import PreparedStatement
from worker.store.tables import bind_instant, in_bound_list

calendar, event, meeting, pair, session = tables.calendar, tables.event, tables.meeting, tables.pair, tables.session
message, person = tables.message, tables.person


# Statements are built once: building one takes longer than performing it.
_IS_FREE = or_(calendar.c.holder.is_(None), calendar.c.held_until <= bind_instant("now"))
_CLAIMABLE = PreparedStatement(
    select(calendar)
    .where(calendar.c.due_at <= bind_instant("now"), _IS_FREE)
    .order_by(calendar.c.due_at)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_TAKE_LEASES = PreparedStatement(
    update(calendar)
    .where(in_bound_list(calendar.c.address, "addresses"))
    .values(holder=bindparam("me"), held_until=bind_instant("until"))
)
_IS_OURS = and_(calendar.c.address == bindparam("one"), calendar.c.holder == bindparam("me"))
_RELEASE_LEASE = PreparedStatement(
    update(calendar).where(_IS_OURS).values(due_at=bind_instant("due"), holder=None, held_until=None)
)
_RECORD_FAILURE = PreparedStatement(
    update(calendar)
    .where(_IS_OURS)
    .values(
        due_at=bind_instant("due"),
        holder=None,
        held_until=None,
        failing_since=func.coalesce(calendar.c.failing_since, bind_instant("now")),
        failures=calendar.c.failures + 1,
        problem=bindparam("why"),
    )
)
_NO_FAILURE: dict[str, Any] = {"failing_since": None, "failures": 0, "problem": None}
_SAVE_CURSOR = PreparedStatement(update(calendar).where(_IS_OURS).values(cursor=bindparam("upto"), **_NO_FAILURE))
_SAVE_FULL_READ = PreparedStatement(
    update(calendar)
    .where(_IS_OURS)
    .values(cursor=bindparam("upto"), full_at=bind_instant("now"), size=bindparam("events"), **_NO_FAILURE)
)
_FAILURES = PreparedStatement(
    select(person.c.calendar, func.count(), func.max(calendar.c.failures), func.min(calendar.c.problem))
    .join(person, person.c.email == calendar.c.address)
    .where(calendar.c.failing_since.is_not(None), calendar.c.due_at.is_not(None))
    .group_by(person.c.calendar)
)
_MAKE_DUE = PreparedStatement(
    update(calendar)
    .where(in_bound_list(calendar.c.address, "addresses"), calendar.c.due_at.is_not(None))
    .values(due_at=bind_instant("now"))
)
_PAIRS_OF_REPORTS = PreparedStatement(
    select(pair.c.id).where(in_bound_list(pair.c.report, "addresses"), pair.c.ended == "")
)

_OUR_EVENTS = PreparedStatement(
    select(event).where(
        event.c.calendar == bindparam("one"), event.c.gone.is_(False), event.c.end > bind_instant("since")
    )
)
_REPORTS = PreparedStatement(
    select(pair.c.report, pair.c.id).where(pair.c.manager == bindparam("one"), pair.c.ended == "")
)
_BOOKED_SESSIONS = PreparedStatement(
    select(session.c.pair, session.c.start, session.c.end)
    .join(pair)
    .where(
        pair.c.manager == bindparam("one"),
        session.c.closed.is_(False),
        session.c.state == SessionState.BOOKED.value,
        session.c.end > bind_instant("now"),
    )
)
#: Settled for good is what has no instant any more.
_PENDING_CREATES = PreparedStatement(
    select(message.c.event).where(
        message.c.due_at.is_not(None), message.c.what == EffectKind.CREATE.value, message.c.calendar == bindparam("one")
    )
)
_UPDATE_EVENT = PreparedStatement(
    update(event).where(event.c.key == bindparam("named"), event.c.etag == bindparam("had")),
    ("etag", "provider_id", "start", "end", "gone", "answers", "proposed"),
)
_LIFT_SUSPENSION = PreparedStatement(
    update(person)
    .where(person.c.email == bindparam("one"), person.c.suspended_until.is_not(None))
    .values(suspended_until=None)
)
#: What waited because of a person's grant: pairs, and effects that were tried before.
_PAIRS_OF_PERSON = select(pair.c.id).where(or_(pair.c.manager == bindparam("one"), pair.c.report == bindparam("one")))
_RETRY_EFFECTS = PreparedStatement(
    update(message)
    .where(
        message.c.calendar == bindparam("one"),
        message.c.progress == EffectProgress.WAITING.value,
        message.c.attempts > 0,
        message.c.due_at > bind_instant("now"),
    )
    .values(due_at=bind_instant("now"))
)
_DELETE_ALL_MEETINGS = PreparedStatement(delete(meeting).where(meeting.c.calendar == bindparam("one")))
_DELETE_MEETINGS = PreparedStatement(
    delete(meeting).where(
        meeting.c.calendar == bindparam("one"),
        or_(in_bound_list(meeting.c.series, "series"), in_bound_list(meeting.c.id, "ids")),
    )
)

#: An event that ended so long ago is history; whatever becomes of it on the calendar changes nothing.
PAST_EVENT_AGE = timedelta(days=3)


@dataclass(frozen=True, slots=True)
class DueCalendar:
    """A calendar that is due to be read."""

    address: Address
    cursor: Cursor | None
    full_at: datetime | None
    size: int


@dataclass(frozen=True, slots=True)
class CalendarFailures:
    """What of one calendar service can't be read: how many calendars, how often the worst was tried, and why."""

    calendars: int
    failures: int
    problem: str


@dataclass(frozen=True, slots=True)
class CalendarSnapshot:
    """What we know of a calendar before it is read."""

    placed: Mapping[str, PlacedEvent]  #: our events that aren't gone, by key
    pair_by_key: Mapping[str, PairId]  #: the pair of each of them
    booked_spans: Mapping[PairId, Sequence[Span]]  #: per pair of this organizer, the times of its sessions to come
    reports: Mapping[Address, PairId]  #: this organizer's reports, and the pair with each
    pending_keys: Collection[str] = ()  #: keys of events that are about to be made


@dataclass(frozen=True, slots=True, kw_only=True)
class CalendarReading:
    """What reading a calendar told."""

    #: our events that changed or vanished, each with the etag it had: one that was written meanwhile stays as it is
    placed: Sequence[tuple[PlacedEvent, str]]
    pairs_to_plan: Collection[PairId]  #: pairs that must be planned
    pairs_to_look_at: Collection[PairId]  #: pairs whose free/busy must be read
    meetings: Sequence[tuple[Event, PairId]]  #: 1:1s, with their pair
    dropped_series: Collection[str]  #: ids of series and events whose 1:1s known so far are void
    orphans: Sequence[Event] = ()  #: events to come that carry our key, and of which we know nothing
    #: true when it tells of an event whose making is not written down yet: then it has to be told once more
    needs_repeat: bool = False


class CalendarRows:
    """The tables `calendar` and `meeting`, and the sync's side of `event`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def claim(self, now: datetime, holder: str, until: datetime, limit: int) -> list[DueCalendar]:
        """Take some due calendars into our hands."""
        with self._database.write() as connection:
            found = _CLAIMABLE.fetch_rows(connection, now=now, limit=limit)
            if found:
                mine = [row["address"] for row in found]
                _TAKE_LEASES.execute(connection, addresses=mine, me=holder, until=until)
        return [DueCalendar(row["address"], row["cursor"], row["full_at"], row["size"]) for row in found]

    def make_due(self, addresses: Collection[Address], now: datetime) -> None:
        """Somebody says that these changed: read them at the next tick. Of reports, have the pairs looked at."""
        these = list(addresses)
        with self._database.write() as connection:
            _MAKE_DUE.execute(connection, addresses=these, now=now)
            ids = _PAIRS_OF_REPORTS.fetch_column(connection, addresses=these)
            if ids:
                wake_pairs(connection, ids, now, look=True)

    def lift_suspension(self, address: Address, now: datetime) -> bool:
        """Lift a person's suspension; what waited for it is due at the next tick. True when there was one."""
        with self._database.write() as connection:
            was_suspended = _LIFT_SUSPENSION.execute(connection, one=address) > 0
            _MAKE_DUE.execute(connection, addresses=[address], now=now)
            _RETRY_EFFECTS.execute(connection, one=address, now=now)
            ids = [row[0] for row in connection.execute(_PAIRS_OF_PERSON.where(pair.c.ended == ""), {"one": address})]
            if ids:
                wake_pairs(connection, sorted(ids), now, look=True)
        return was_suspended

    def load_snapshot(self, address: Address, now: datetime) -> CalendarSnapshot:
        """What we know of this calendar."""
        spans: dict[PairId, list[Span]] = {}
        with self._database.read() as connection:
            found = _OUR_EVENTS.fetch_rows(connection, one=address, since=now - PAST_EVENT_AGE)
            reports = {row["report"]: row["id"] for row in _REPORTS.fetch_rows(connection, one=address)}
            for pair_id, start, end in _BOOKED_SESSIONS.fetch_tuples(connection, one=address, now=now):
                spans.setdefault(pair_id, []).append(Span(start, end))
            coming = _PENDING_CREATES.fetch_column(connection, one=address)
        placed = {row["key"]: rows.read_placed_event(row) for row in found}
        return CalendarSnapshot(placed, {row["key"]: row["pair"] for row in found}, spans, reports, coming)

    def save(
        self,
        due_calendar: DueCalendar,
        holder: str,
        reading: CalendarReading,
        cursor: Cursor | None,
        *,
        size: int | None,
        now: datetime,
    ) -> None:
        """Write what was read, all of it. `size` is given after a full pass. Nothing when it is not ours any more."""
        read: dict[str, Any] = {"one": due_calendar.address, "me": holder, "upto": cursor}
        if size is not None:
            read.update(now=now, events=size)
        with self._database.write() as connection:
            if (_SAVE_CURSOR if size is None else _SAVE_FULL_READ).execute(connection, **read) != 1:
                return
            if reading.placed:
                _UPDATE_EVENT.execute_many(
                    connection, [_build_event_update(placed, etag) for placed, etag in reading.placed]
                )
            self._save_meetings(connection, due_calendar.address, reading, full=size is not None)
            adopt_orphans(self._database, connection, due_calendar.address, reading.orphans, now)
            _LIFT_SUSPENSION.execute(connection, one=due_calendar.address)
            if reading.pairs_to_plan:
                wake_pairs(connection, sorted(reading.pairs_to_plan), now)
            if reading.pairs_to_look_at:
                wake_pairs(connection, sorted(reading.pairs_to_look_at), now, look=True)

    def _save_meetings(self, connection: Any, address: Address, reading: CalendarReading, *, full: bool) -> None:
        if full:
            _DELETE_ALL_MEETINGS.execute(connection, one=address)
        elif reading.dropped_series:
            void = sorted(reading.dropped_series)
            _DELETE_MEETINGS.execute(connection, one=address, series=void, ids=void)
        listed = {
            one.ref.id: {
                "calendar": address,
                "id": one.ref.id,
                "series": one.series or one.ref.id,
                "pair": pair_id,
                "start": one.span.start,
                "end": one.span.end,
            }
            for one, pair_id in reading.meetings
        }
        self._database.upsert(connection, meeting, list(listed.values()))

    def postpone(self, due_calendar: DueCalendar, holder: str, due: datetime) -> None:
        """Give it back, to be read again then."""
        with self._database.write() as connection:
            _RELEASE_LEASE.execute(connection, one=due_calendar.address, me=holder, due=due)

    def record_failure(
        self, due_calendar: DueCalendar, holder: str, due: datetime, problem: str, now: datetime
    ) -> None:
        """It could not be read: note why, without content, and since when, and have it read again then."""
        with self._database.write() as connection:
            _RECORD_FAILURE.execute(connection, one=due_calendar.address, me=holder, due=due, why=problem, now=now)

    def load_failures(self) -> dict[str, CalendarFailures]:
        """What can't be read now, by calendar service."""
        with self._database.read() as connection:
            return {name: CalendarFailures(*rest) for name, *rest in _FAILURES.fetch_tuples(connection)}

    def request_full_read(self, addresses: Collection[Address], now: datetime) -> None:
        """These are not what we thought: have them read whole, at the next tick."""
        theirs = calendar.c.address.in_(list(addresses))
        with self._database.write() as connection:
            connection.execute(update(calendar).where(theirs).values(due_at=now, cursor=None))

    def list_meetings(self, pair_id: PairId) -> list[Meeting]:
        """The 1:1s of a pair that are known."""
        query = select(meeting).where(meeting.c.pair == pair_id).order_by(meeting.c.start)
        with self._database.read() as connection:
            found = connection.execute(query).mappings()
            return [Meeting(pair=row["pair"], span=Span(row["start"], row["end"])) for row in found]

    def list_health(self) -> list[Mapping[str, Any]]:
        """For each calendar, when it is due and when it was last read whole; since when and why it can't be read."""
        failing = (calendar.c.failing_since, calendar.c.failures, calendar.c.problem)
        columns = (calendar.c.address, calendar.c.due_at, calendar.c.full_at, *failing)
        with self._database.read() as connection:
            return [dict(row) for row in connection.execute(select(*columns)).mappings()]


def _build_event_update(placed: PlacedEvent, etag: str) -> dict[str, Any]:
    """What a calendar told of an event that had that etag."""
    return {
        "named": placed.key,
        "had": etag,
        "etag": placed.ref.etag,
        "provider_id": placed.ref.id,
        "start": placed.span.start,
        "end": placed.span.end,
        "gone": placed.gone,
        "answers": {who: answer.value for who, answer in placed.answers.items()},
        "proposed": rows.spans_by(placed.proposed),
    }
