"""Counts rows of the whole database for the metrics. The counts contain no id, name or address, and nothing sealed."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import and_, case, func, or_, select

from worker.domain.model import PENDING_PROGRESS, EffectKind, EndReason, Participation
from worker.domain.rollout import EXCLUDED_BY_ROLLOUT
from worker.store.channel_standings import CHANNEL_STANDING, IS_COUNTED, make_standing_values
from worker.store.database import Database
from worker.store.parameters import bind_instant, in_fixed_values
from worker.store.statements import PreparedStatement
from worker.store.statistics import IS_RECORDED
from worker.store.tables import calendar, channel, outbox, pair, person, session, worker

#: A count for each combination of labels. The labels are the values of the metric's label names, in their order.
Counts = dict[tuple[str, ...], int]

_PENDING = sorted(progress.value for progress in PENDING_PROGRESS)


@dataclass(frozen=True, slots=True)
class DueWork:
    """How many rows of one kind are due."""

    count: int
    since: datetime | None  #: when the first of these rows became due; None when there is none


@dataclass(frozen=True, slots=True, kw_only=True)
class Measurements:
    """The counts at one moment."""

    calendars_due: DueWork
    pairs_due: DueWork
    effects_due: dict[str, DueWork]  #: by kind of effect
    effects: Counts  #: by kind of effect and progress
    sessions: Counts  #: by kind and state
    unplaceable: int  #: sessions for which no time exists
    people: int  #: people in the roster
    pairs: Counts  #: by state: `active`, `paused`, `outside` (the rollout) or `ended`
    calendars: Counts  #: by service and state: `read`, `unread`, `failing` or `suspended`
    workers: Counts  #: by state: `live` or `silent`
    channels: Counts  #: by service and standing
    notified_at: dict[str, datetime]  #: when the last notification came, by service


def _prepare_due_count(due_at: Any) -> PreparedStatement:
    return PreparedStatement(select(func.count(), func.min(due_at)).where(due_at <= bind_instant("now")))


_CALENDARS_DUE = _prepare_due_count(calendar.c.due_at)
_PAIRS_DUE = _prepare_due_count(pair.c.due_at)
_EFFECTS_DUE = PreparedStatement(
    select(outbox.c.what, func.count(), func.min(outbox.c.due_at))
    .where(outbox.c.due_at <= bind_instant("now"), in_fixed_values(outbox.c.progress, _PENDING), IS_RECORDED)
    .group_by(outbox.c.what)
)
_EFFECTS = PreparedStatement(
    select(outbox.c.what, outbox.c.progress, func.count()).where(IS_RECORDED).group_by(outbox.c.what, outbox.c.progress)
)
_SESSIONS = PreparedStatement(
    select(session.c.kind, session.c.state, func.count()).group_by(session.c.kind, session.c.state)
)
_UNPLACEABLE = PreparedStatement(
    select(func.count()).where(session.c.closed.is_(False), session.c.unplaceable.is_not(None))
)
_PEOPLE = PreparedStatement(select(func.count()).select_from(person).where(person.c.left_at.is_(None)))
_PAIR_STATE = case(
    (pair.c.ended != EndReason.NO.value, "ended"),
    (in_fixed_values(pair.c.participation, [participation.value for participation in EXCLUDED_BY_ROLLOUT]), "outside"),
    (or_(pair.c.paused, pair.c.rests, pair.c.participation != Participation.YES.value), "paused"),
    else_="active",
)
_PAIRS = PreparedStatement(select(_PAIR_STATE.label("state"), func.count()).group_by("state"))
_CALENDAR_STATE = case(
    (person.c.suspended_until > bind_instant("now"), "suspended"),
    (calendar.c.failing_since.is_not(None), "failing"),
    (calendar.c.full_at.is_(None), "unread"),
    else_="read",
)
_CALENDARS = PreparedStatement(
    select(person.c.calendar, _CALENDAR_STATE.label("state"), func.count())
    .where(and_(person.c.email == calendar.c.address, calendar.c.due_at.is_not(None)))
    .group_by(person.c.calendar, "state")
)
_WORKER_STATE = case((worker.c.seen_at >= bind_instant("live_since"), "live"), else_="silent")
_WORKERS = PreparedStatement(select(_WORKER_STATE.label("state"), func.count()).group_by("state"))

_CHANNELS = PreparedStatement(
    select(channel.c.service, CHANNEL_STANDING.label("standing"), func.count())
    .where(IS_COUNTED)
    .group_by(channel.c.service, "standing")
)
_NOTIFIED = PreparedStatement(
    select(channel.c.service, func.max(channel.c.notified_at))
    .where(channel.c.notified_at.is_not(None))
    .group_by(channel.c.service)
)


def read_measurements(database: Database, now: datetime, live_since: datetime) -> Measurements:
    """Return the counts of the database. Raises DatabaseUnreachable.

    The mails in `UNRECORDED_MAILS`, of which the operator must not know, are not counted. A worker is live when its
    last heartbeat is not older than `live_since`.
    """
    with database.read() as connection:

        def count_rows(statement: PreparedStatement, **values: Any) -> Counts:
            return {tuple(map(str, labels)): count for *labels, count in statement.fetch_tuples(connection, **values)}

        def count_due(statement: PreparedStatement) -> DueWork:
            return DueWork(*statement.fetch_tuples(connection, now=now)[0])

        due_rows = _EFFECTS_DUE.fetch_tuples(connection, now=now)
        effects_due = {str(kind): DueWork(count, since) for kind, count, since in due_rows}
        return Measurements(
            calendars_due=count_due(_CALENDARS_DUE),
            pairs_due=count_due(_PAIRS_DUE),
            effects_due={kind.value: effects_due.get(kind.value, DueWork(count=0, since=None)) for kind in EffectKind},
            effects=count_rows(_EFFECTS),
            sessions=count_rows(_SESSIONS),
            unplaceable=_UNPLACEABLE.fetch_value(connection),
            people=_PEOPLE.fetch_value(connection),
            pairs=count_rows(_PAIRS),
            calendars=count_rows(_CALENDARS, now=now),
            workers=count_rows(_WORKERS, live_since=live_since),
            channels=count_rows(_CHANNELS, **make_standing_values(now)),
            notified_at={row[0]: row[1] for row in _NOTIFIED.fetch_tuples(connection)},
        )
