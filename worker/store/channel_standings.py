"""Counts channels by their standing: trusted, silent, failing or not yet proven."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from sqlalchemy import and_, case, func, or_, select

from worker.domain.channels import MAX_ECHO_DELAY, ChannelStanding
from worker.domain.model import Address
from worker.store.channels import is_report_only
from worker.store.database import Database
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import channel

_IS_OPEN = channel.c.expires_at > bind_instant("now")
#: The condition that the echo of our own write is so late that the channel counts as silent.
_IS_LATE = channel.c.awaiting_since <= bind_instant("latest_overdue_write")
#: The standing of a channel as an SQL expression. The functions of `worker.domain.channels` follow the same rules.
#: `expires_at` is NULL for a calendar whose channel was never opened, or was closed by the service. An SQL comparison
#: with NULL counts as false here.
CHANNEL_STANDING = case(
    (
        and_(_IS_OPEN, channel.c.proven_at.is_not(None), or_(channel.c.awaiting_since.is_(None), ~_IS_LATE)),
        ChannelStanding.TRUSTED.value,
    ),
    # `failures` is set to 0 when a notification proves that the channel works. Until then, an open channel counts as
    # silent if it has replaced a silent one, was opened after failed attempts, or could not be renewed.
    (and_(_IS_OPEN, or_(_IS_LATE, channel.c.failures > 0)), ChannelStanding.SILENT.value),
    (channel.c.failures > 0, ChannelStanding.FAILING.value),
    else_=ChannelStanding.UNPROVEN.value,
)
#: The condition that leaves out the failing channels of people who are reports and not managers. Longarc need not be
#: able to read their calendars, since it asks the calendar service for their free/busy.
IS_COUNTED = or_(channel.c.failures == 0, _IS_OPEN, ~is_report_only(channel.c.calendar))
_COUNTS = PreparedStatement(
    select(channel.c.service, CHANNEL_STANDING.label("standing"), func.count(), func.min(channel.c.calendar))
    .where(IS_COUNTED)
    .group_by(channel.c.service, "standing")
)
_PROBLEMS = PreparedStatement(
    select(channel.c.calendar, channel.c.problem).where(in_bound_list(channel.c.calendar, "addresses"))
)

_OPEN_COUNTS = PreparedStatement(
    select(
        channel.c.service,
        func.count(case((_IS_OPEN, 1))),
        func.count(case((and_(_IS_OPEN, channel.c.notified_at.is_not(None)), 1))),
    ).group_by(channel.c.service)
)


@dataclass(frozen=True, slots=True)
class OpenChannels:
    """How many of a calendar service's channels are open now."""

    open: int  #: all open channels
    notified: int  #: open channels through which a notification has come


@dataclass(frozen=True, slots=True)
class ChannelCount:
    """The number of a service's channels that have the same standing, and one of these channels as an example."""

    service: str
    standing: ChannelStanding
    count: int
    calendar: Address  #: the calendar of the example
    problem: str  #: why no notification comes through the example, as a sentence; empty when unknown


def count_channels(database: Database, now: datetime) -> Sequence[ChannelCount]:
    """Return the number of channels for each service and standing, ordered by service and standing."""
    with database.read() as connection:
        rows = _COUNTS.fetch_tuples(connection, **make_standing_values(now))
        example_calendars = sorted(calendar for _, _, _, calendar in rows)
        problems = {row[0]: row[1] for row in _PROBLEMS.fetch_tuples(connection, addresses=example_calendars)}
    counts = [
        ChannelCount(service, ChannelStanding(standing), count, calendar, problems[calendar])
        for service, standing, count, calendar in rows
    ]
    return sorted(counts, key=lambda channel_count: (channel_count.service, channel_count.standing))


def count_open_channels(database: Database, now: datetime) -> dict[str, OpenChannels]:
    """Return how many channels are open, by service."""
    with database.read() as connection:
        return {service: OpenChannels(*counts) for service, *counts in _OPEN_COUNTS.fetch_tuples(connection, now=now)}


def make_standing_values(now: datetime) -> dict[str, datetime]:
    """Return the parameters of a statement that uses `CHANNEL_STANDING`."""
    return {"now": now, "latest_overdue_write": now - MAX_ECHO_DELAY}
