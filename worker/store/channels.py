"""Reads and writes channels, through which calendar services notify us of changes on a calendar.

The table `channel` has a row for each calendar that is to have a channel. The row is due at `due_at`, when the channel
has to be opened, renewed or replaced; while the row is leased, `due_at` is the end of the lease. A channel that is no
longer wanted is *retired*: it has a row in the table `retired_channel` until it is closed.

An *echo* is the notification that our own write to a calendar causes. A channel whose echo does not come is silent.
"""

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from sqlalchemy import Connection, Table, and_, bindparam, case, delete, exists, func, insert, or_, select, update

from worker.domain.channels import MAX_ECHO_DELAY, schedule_hinted_poll
from worker.domain.model import Address, EndReason, Participation, RetiredChannel, WatchedCalendar
from worker.store.calendars import make_calendars_due
from worker.store.database import Database
from worker.store.parameters import bind_instant, in_bound_list
from worker.store.statements import PreparedStatement
from worker.store.tables import (
    CHANNEL_SERVICES_NAME,
    NOTIFY_URL_FINGERPRINT_NAME,
    calendar,
    channel,
    pair,
    person,
    retired_channel,
    stored_value,
)

_TAKES_PART = and_(pair.c.ended == EndReason.NO.value, pair.c.participation == Participation.YES.value)


def is_report_only(address: Any) -> Any:
    """Return the condition that a person is the report in a pair that takes part, and the manager in no such pair."""
    return and_(
        exists().where(pair.c.report == address, _TAKES_PART), ~exists().where(pair.c.manager == address, _TAKES_PART)
    )


_IS_IN_PARTICIPATING_PAIR = exists().where(
    or_(pair.c.manager == person.c.email, pair.c.report == person.c.email), _TAKES_PART
)
#: Selects the people whose calendars are to have a channel.
_CALENDARS_TO_WATCH = PreparedStatement(
    select(person.c.email, person.c.calendar).where(
        person.c.left_at.is_(None), in_bound_list(person.c.calendar, "services"), _IS_IN_PARTICIPATING_PAIR
    )
)
_STORED_VALUE = PreparedStatement(select(stored_value.c.value).where(stored_value.c.name == bindparam("name")))
_STORED_CALENDARS = PreparedStatement(select(channel.c.calendar, channel.c.service))
_SELECT_WATCHED = select(*(channel.c[name] for name in WatchedCalendar.__dataclass_fields__))
_IS_CALENDAR = channel.c.calendar == bindparam("address")
_IS_REPORT_ONLY = PreparedStatement(select(is_report_only(bindparam("address"))))
_WATCHED = PreparedStatement(_SELECT_WATCHED.where(_IS_CALENDAR))
_ALL_WATCHED = PreparedStatement(_SELECT_WATCHED.order_by(channel.c.calendar))
_CLAIMABLE = PreparedStatement(
    _SELECT_WATCHED.where(channel.c.due_at <= bind_instant("now"))
    .order_by(channel.c.due_at, channel.c.calendar)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
#: Counts the leases in force, by table. A lease that is taken now would end at `until`. All leases are equally long, so
#: none in force ends later. With this upper limit, only a short range of the index on `due_at` is read.
_COUNT_LEASES = {
    table.name: PreparedStatement(
        select(func.count()).where(
            table.c.holder.is_not(None),
            table.c.due_at > bind_instant("now"),
            table.c.due_at <= bind_instant("until"),
        )
    )
    for table in (channel, retired_channel)
}
_TAKE_LEASES = PreparedStatement(
    update(channel)
    .where(in_bound_list(channel.c.calendar, "calendars"))
    .values(holder=bindparam("lease_holder"), due_at=bind_instant("until"))
)
_IS_LEASED_BY_US = and_(_IS_CALENDAR, channel.c.holder == bindparam("lease_holder"))
#: The values that release a lease. A row that was made due while it was leased stays due.
_RELEASED: dict[str, Any] = {
    "holder": None,
    "due_at": case((channel.c.due_at < bind_instant("until"), channel.c.due_at), else_=bind_instant("next_at")),
}
_SAVE_NEXT_ID = PreparedStatement(update(channel).where(_IS_LEASED_BY_US).values(next_id=bindparam("new_id")))
_SAVE_OPENED = PreparedStatement(
    update(channel).where(_IS_LEASED_BY_US).values(next_id="", awaiting_since=None, **_RELEASED),
    columns=("id", "remote_id", "opened_at", "renew_at", "expires_at", "proven_at", "failures", "problem"),
)
_SAVE_RENEWED = PreparedStatement(
    update(channel).where(_IS_LEASED_BY_US, channel.c.id == bindparam("channel_id")).values(problem="", **_RELEASED),
    columns=("remote_id", "renew_at", "expires_at"),
)
_SAVE_FAILURE = PreparedStatement(
    update(channel).where(_IS_LEASED_BY_US).values(failures=channel.c.failures + 1, **_RELEASED), columns=("problem",)
)
_POSTPONE = PreparedStatement(update(channel).where(_IS_LEASED_BY_US).values(**_RELEASED))
_CHANNEL_BY_ID = PreparedStatement(
    select(channel.c.calendar, channel.c.id, channel.c.remote_id, channel.c.hinted_at, channel.c.looks)
    .where(or_(channel.c.id == bindparam("channel_id"), channel.c.next_id == bindparam("channel_id")))
    .with_for_update()
)
_SAVE_NOTIFICATION = PreparedStatement(
    update(channel)
    .where(_IS_CALENDAR)
    .values(
        notified_at=bind_instant("now"),
        hinted_at=bind_instant("new_hinted_at"),
        looks=bindparam("new_looks"),
        awaiting_since=None,
    )
)
_SAVE_PROOF = PreparedStatement(
    update(channel)
    .where(_IS_CALENDAR)
    .values(proven_at=func.coalesce(channel.c.proven_at, bind_instant("now")), failures=0, problem="", has_told=True)
)
_BEGIN_READING = PreparedStatement(update(channel).where(_IS_CALENDAR, channel.c.has_told).values(has_told=False))
_ABANDON_READING = PreparedStatement(update(channel).where(_IS_CALENDAR).values(has_told=True))
#: Changes nothing when a notification came during the reading, because it may be about the change that the reading
#: found.
_DISTRUST = PreparedStatement(update(channel).where(_IS_CALENDAR, ~channel.c.has_told).values(proven_at=None))
_RENEW_NOW = PreparedStatement(
    update(channel).where(_IS_CALENDAR).values(renew_at=bind_instant("now"), due_at=bind_instant("now"))
)
_FORGET_CLOSED_CHANNEL = PreparedStatement(
    update(channel)
    .where(_IS_CALENDAR)
    .values(
        id="", remote_id="", opened_at=None, renew_at=None, expires_at=None, proven_at=None, due_at=bind_instant("now")
    )
)
#: Stores that an echo is expected. Changes nothing in four cases: a notification has come in the second in which the
#: write began, or later; the channel was opened after that second, or had expired, so that it need not notify us of the
#: write; or the echo of an earlier write is still expected.
_EXPECT_ECHO = PreparedStatement(
    update(channel)
    .where(
        _IS_CALENDAR,
        channel.c.opened_at <= bind_instant("began_at"),
        channel.c.expires_at > bind_instant("began_at"),
        channel.c.awaiting_since.is_(None),
        or_(channel.c.notified_at.is_(None), channel.c.notified_at < bind_instant("began_at")),
    )
    .values(awaiting_since=bind_instant("began_at"))
)
#: Makes a channel due at the time from which a missing echo makes it silent, unless it is due earlier.
_CHECK_FOR_SILENCE = PreparedStatement(
    update(channel)
    .where(_IS_CALENDAR, channel.c.due_at > bind_instant("silent_from"))
    .values(due_at=bind_instant("silent_from"))
)
#: Makes every channel expired and due. Ends all leases, so the results of steps in progress are not stored. Channels
#: that failed become due as well, since the old URL of notifications may have been the cause.
_REPLACE_ALL = PreparedStatement(
    update(channel).values(
        expires_at=case((channel.c.expires_at.is_not(None), bind_instant("now"))),
        proven_at=None,
        awaiting_since=None,
        failures=0,
        problem="",
        due_at=bind_instant("now"),
        holder=None,
    )
)
_MAKE_WATCHED_CALENDARS_DUE = PreparedStatement(
    update(calendar)
    .where(calendar.c.due_at > bind_instant("now"), calendar.c.address.in_(select(channel.c.calendar)))
    .values(due_at=bind_instant("now"))
)
_DUE_RETIRED = PreparedStatement(
    select(retired_channel)
    .where(retired_channel.c.due_at <= bind_instant("now"))
    .order_by(retired_channel.c.due_at, retired_channel.c.id)
    .limit(bindparam("limit"))
    .with_for_update(skip_locked=True)
)
_LEASE_RETIRED = PreparedStatement(
    update(retired_channel)
    .where(in_bound_list(retired_channel.c.id, "ids"))
    .values(holder=bindparam("lease_holder"), due_at=bind_instant("until"), attempts=retired_channel.c.attempts + 1)
)


@dataclass(frozen=True, slots=True)
class Lease:
    """The holder and the end of a lease on channels."""

    holder: str
    until: datetime


@dataclass(frozen=True, slots=True)
class AcceptedNotification:
    """The result of a notification through a known channel: its calendar, and the poll that it causes."""

    calendar: Address
    #: None when nothing changed, or when an earlier notification has made the calendar due already
    poll_at: datetime | None = None


class ChannelRows:
    """Reads and writes the tables `channel` and `retired_channel`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    # --- the calendars that are to have a channel ---

    def update_watched_calendars(self, services: Collection[str], now: datetime) -> bool:
        """Add the calendars on these services that are to have a channel, and retire the channels of all others.

        Return whether that changed anything.
        """
        service_list = " ".join(sorted(services))
        # usually nothing has changed since the last call, and this read locks nothing
        with self._database.read_once() as connection:
            if _STORED_VALUE.fetch_value(connection, name=CHANNEL_SERVICES_NAME) == service_list:
                return False
        with self._database.write() as connection:
            self._database.upsert(connection, stored_value, [{"name": CHANNEL_SERVICES_NAME, "value": service_list}])
            added, unwanted = _find_changes(connection, services)
            if unwanted:
                is_unwanted = in_bound_list(channel.c.calendar, "addresses")
                rows = connection.execute(
                    _SELECT_WATCHED.where(is_unwanted), {"addresses": sorted(unwanted)}
                ).mappings()
                open_channels = [WatchedCalendar(**row) for row in rows if row["remote_id"]]
                if open_channels:
                    retired_rows = [_build_retired_row(watched, now) for watched in open_channels]
                    connection.execute(insert(retired_channel), retired_rows)
                connection.execute(delete(channel).where(is_unwanted), {"addresses": sorted(unwanted)})
            new_rows = [
                {"calendar": address, "service": service, "due_at": now} for address, service in sorted(added.items())
            ]
            self._database.insert_new(connection, channel, new_rows, ["calendar"])
        return bool(added or unwanted)

    def load_notify_url_fingerprint(self) -> str:
        """Return the stored fingerprint of the URL to which notifications are sent; empty while there is none.

        The fingerprint is a text that changes with this URL, and with the key that signs the tokens of notifications. A
        channel that was opened with another fingerprint is useless.
        """
        with self._database.read_once() as connection:
            fingerprint: str | None = _STORED_VALUE.fetch_value(connection, name=NOTIFY_URL_FINGERPRINT_NAME)
        return fingerprint or ""

    def replace_all(self, fingerprint: str, now: datetime) -> None:
        """Store another fingerprint, and have all channels replaced.

        Until the channels are replaced, they are not trusted, and their calendars are due.
        """
        with self._database.write() as connection:
            self._database.upsert(
                connection, stored_value, [{"name": NOTIFY_URL_FINGERPRINT_NAME, "value": fingerprint}]
            )
            _REPLACE_ALL.execute(connection, now=now)
            _MAKE_WATCHED_CALENDARS_DUE.execute(connection, now=now)

    # --- leases ---

    def claim(self, now: datetime, lease: Lease, limit: int, max_leased: int) -> list[WatchedCalendar]:
        """Lease up to `limit` calendars whose channels are due for a step.

        At most `max_leased` calendars are leased in all, or a few more when two processes claim at the same time.
        """
        with self._database.write() as connection:
            free_leases = min(limit, max_leased - _count_leases(connection, channel, now, lease))
            rows = _CLAIMABLE.fetch_rows(connection, now=now, limit=free_leases) if free_leases > 0 else []
            if rows:
                calendars = [row["calendar"] for row in rows]
                _TAKE_LEASES.execute(connection, calendars=calendars, lease_holder=lease.holder, until=lease.until)
        return [WatchedCalendar(**row) for row in rows]

    def claim_retired(self, now: datetime, lease: Lease, limit: int, max_leased: int) -> list[RetiredChannel]:
        """Lease up to `limit` channels that are to be closed, within the same bounds as `claim`."""
        with self._database.write() as connection:
            free_leases = min(limit, max_leased - _count_leases(connection, retired_channel, now, lease))
            rows = _DUE_RETIRED.fetch_rows(connection, now=now, limit=free_leases) if free_leases > 0 else []
            if rows:
                _LEASE_RETIRED.execute(
                    connection, ids=[row["id"] for row in rows], lease_holder=lease.holder, until=lease.until
                )
        names = RetiredChannel.__dataclass_fields__
        return [RetiredChannel(**{name: row[name] for name in names}) for row in rows]

    # --- the results of steps ---

    def save_next_id(self, address: Address, channel_id: str, lease: Lease) -> bool:
        """Store the id of the channel that is about to be opened. Return False when another holder has the lease.

        The id is stored first, because a notification may come before the service answers the request.
        """
        with self._database.write() as connection:
            return _SAVE_NEXT_ID.execute(connection, address=address, lease_holder=lease.holder, new_id=channel_id) == 1

    def save_opened(self, opened: WatchedCalendar, earlier: WatchedCalendar, lease: Lease, now: datetime) -> bool:
        """Store the channel that was opened, release the lease, and retire the channel in `earlier`, if there is one.

        Return False, and store nothing, when another holder has the lease.
        """
        names = ("id", "remote_id", "opened_at", "renew_at", "expires_at", "proven_at", "failures", "problem")
        values = {name: getattr(opened, name) for name in names}
        with self._database.write() as connection:
            release_parameters = _build_release_parameters(opened.calendar, lease, opened.renew_at)
            if not _SAVE_OPENED.execute(connection, **release_parameters, **values):
                return False
            if earlier.remote_id:
                connection.execute(insert(retired_channel), [_build_retired_row(earlier, now)])
        return True

    def save_renewed(self, renewed: WatchedCalendar, lease: Lease, next_at: datetime) -> None:
        """Store the new times of a renewed channel, and release the lease. The next step is due at `next_at`.

        Nothing is stored when another holder has the lease, or the channel was replaced meanwhile.
        """
        values = {name: getattr(renewed, name) for name in ("remote_id", "renew_at", "expires_at")}
        with self._database.write() as connection:
            release_parameters = _build_release_parameters(renewed.calendar, lease, next_at)
            _SAVE_RENEWED.execute(connection, channel_id=renewed.id, **release_parameters, **values)

    def record_failure(self, address: Address, lease: Lease, problem: str, next_at: datetime) -> None:
        """Count a failed step and store its problem. Release the lease; the next attempt is due at `next_at`."""
        with self._database.write() as connection:
            _SAVE_FAILURE.execute(connection, **_build_release_parameters(address, lease, next_at), problem=problem)

    def postpone(self, address: Address, lease: Lease, next_at: datetime) -> None:
        """Release the lease. The next step is due at `next_at`, unless the channel was made due meanwhile."""
        with self._database.write() as connection:
            _POSTPONE.execute(connection, **_build_release_parameters(address, lease, next_at))

    def delete_retired(self, channel_id: str) -> None:
        """Delete the row of a retired channel: the channel was closed, or can't be closed and will expire."""
        with self._database.write() as connection:
            connection.execute(delete(retired_channel).where(retired_channel.c.id == channel_id))

    def postpone_retired(self, channel_id: str, due_at: datetime) -> None:
        """Release the lease of a retired channel. The next attempt to close the channel is due at `due_at`."""
        statement = update(retired_channel).where(retired_channel.c.id == channel_id)
        with self._database.write() as connection:
            connection.execute(statement.values(due_at=due_at, holder=None))

    # --- notifications ---

    def record_notification(
        self, channel_id: str, remote_id: str, now: datetime, *, has_changed: bool, is_proof: bool
    ) -> AcceptedNotification | None:
        """Store that a notification came. Return None when the channel is unknown, or when its two ids don't match.

        `remote_id` is the service's id of the channel, or empty when the notification names none. `has_changed` tells
        that the calendar may have changed, so that it becomes due. `is_proof` tells that the notification proves that
        changes come through the channel.
        """
        with self._database.write() as connection:
            row = _CHANNEL_BY_ID.fetch_first(connection, channel_id=channel_id)
            if row is None or _names_other_channel(row, channel_id, remote_id):
                return None
            address, last_poll_at, rapid_polls = row["calendar"], row["hinted_at"], row["looks"]
            poll_at = None
            if has_changed:
                poll_at, rapid_polls = schedule_hinted_poll(last_poll_at, rapid_polls, now)
            _SAVE_NOTIFICATION.execute(
                connection, address=address, now=now, new_hinted_at=poll_at or last_poll_at, new_looks=rapid_polls
            )
            if is_proof:
                _SAVE_PROOF.execute(connection, address=address, now=now)
            if poll_at is not None:
                make_calendars_due(connection, [address], poll_at)
            return AcceptedNotification(address, poll_at)

    def begin_reading(self, address: Address) -> WatchedCalendar | None:
        """Return a calendar with its channel, and reset `has_told` in the database. Called before the calendar is read.

        `has_told` is whether a notification of a change has come since the last reading began. Return None for a
        calendar that is to have no channel.
        """
        watched = self.load(address)
        if watched is not None and watched.has_told:
            with self._database.write() as connection:
                _BEGIN_READING.execute(connection, address=address)
        return watched

    def abandon_reading(self, watched: WatchedCalendar) -> None:
        """Restore `has_told` as `begin_reading` returned it in `watched`, because the reading failed.

        The next reading finds the same changes, of which the notification may have come already.
        """
        if watched.has_told:
            with self._database.write() as connection:
                _ABANDON_READING.execute(connection, address=watched.calendar)

    def distrust(self, address: Address) -> None:
        """Stop trusting the channel, because it did not notify us of a change, until it notifies us of another one."""
        with self._database.write() as connection:
            _DISTRUST.execute(connection, address=address)

    def renew_now(self, address: Address, now: datetime) -> None:
        """Make the channel due to be renewed, because the service says that the channel ends soon."""
        with self._database.write() as connection:
            _RENEW_NOW.execute(connection, address=address, now=now)

    def forget_closed_channel(self, address: Address, now: datetime) -> None:
        """Forget the channel of a calendar, because the service has closed it, and make the opening of another due."""
        with self._database.write() as connection:
            _FORGET_CLOSED_CHANNEL.execute(connection, address=address, now=now)

    # --- reading ---

    def is_calendar_of_report_only(self, address: Address) -> bool:
        """Return whether the calendar is that of a person who is a report and not a manager.

        A missing channel of such a calendar is no fault, because Longarc need not be able to read the calendar.
        """
        with self._database.read() as connection:
            return bool(_IS_REPORT_ONLY.fetch_value(connection, address=address))

    def load(self, address: Address) -> WatchedCalendar | None:
        """Return a calendar with its channel; None for a calendar that is to have no channel."""
        with self._database.read_once() as connection:
            row = _WATCHED.fetch_first(connection, address=address)
        return WatchedCalendar(**row) if row else None

    def list_watched(self) -> list[WatchedCalendar]:
        """Return every calendar that is to have a channel, with its channel, in order of address."""
        with self._database.read_once() as connection:
            return [WatchedCalendar(**row) for row in _ALL_WATCHED.fetch_rows(connection)]


def expect_echo(connection: Connection, address: Address, began_at: datetime) -> None:
    """Store that the echo of our own write is expected, unless it has come already.

    `began_at` is when the write began. The channel becomes due at the time from which a missing echo makes it silent.
    """
    if _EXPECT_ECHO.execute(connection, address=address, began_at=began_at):
        _CHECK_FOR_SILENCE.execute(connection, address=address, silent_from=began_at + MAX_ECHO_DELAY)


def _find_changes(connection: Connection, services: Collection[str]) -> tuple[Mapping[Address, str], set[Address]]:
    """Return the calendars to add, each with its service, and the calendars to remove.

    A calendar that has moved to another service is in both results.
    """
    rows = _CALENDARS_TO_WATCH.fetch_tuples(connection, services=sorted(services)) if services else []
    wanted: dict[Address, str] = {row[0]: row[1] for row in rows}
    stored: dict[Address, str] = {row[0]: row[1] for row in _STORED_CALENDARS.fetch_tuples(connection)}
    added = {address: service for address, service in wanted.items() if stored.get(address) != service}
    unwanted = {address for address, service in stored.items() if wanted.get(address) != service}
    return added, unwanted


def _count_leases(connection: Connection, table: Table, now: datetime, lease: Lease) -> int:
    count: int = _COUNT_LEASES[table.name].fetch_value(connection, now=now, until=lease.until)
    return count


def _build_release_parameters(address: Address, lease: Lease, next_at: datetime | None) -> dict[str, Any]:
    """Return the parameters of a statement that uses `_IS_LEASED_BY_US` and `_RELEASED`."""
    return {"address": address, "lease_holder": lease.holder, "until": lease.until, "next_at": next_at}


def _build_retired_row(watched: WatchedCalendar, now: datetime) -> dict[str, Any]:
    columns = {name: getattr(watched, name) for name in ("id", "calendar", "service", "remote_id")}
    return {**columns, "due_at": now}


def _names_other_channel(row: Mapping[str, Any], channel_id: str, remote_id: str) -> bool:
    """Return whether the two ids of a notification contradict each other.

    They do when `channel_id` is stored with another remote id.
    """
    return bool(remote_id and row["remote_id"] and channel_id == row["id"] and remote_id != row["remote_id"])
