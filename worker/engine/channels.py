"""Opens, renews and closes the channels through which calendar services tell of changes, and takes notifications.

Each step is stored before the next, so that any number of processes share the channels, and one that dies leaves at
most a channel that nobody listens to, which expires.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from worker.clock import Clock
from worker.domain import channels
from worker.domain.channels import ChannelStep
from worker.domain.model import Address, RetiredChannel, WatchedCalendar
from worker.errors import Conflict, LongarcError, ProviderError, Transient, describe_unexpected_error
from worker.links import LinkSigner
from worker.logs import Action
from worker.providers.base import (
    CALENDARS_WITH_CHANNELS,
    CalendarProvider,
    Channel,
    Notification,
    NotificationKind,
    NotifyingCalendar,
    OpenedChannel,
)
from worker.store.channels import Hint, Lease
from worker.store.database import describe_database_outage
from worker.store.store import Store

log = logging.getLogger(__name__)

LEASE = timedelta(minutes=10)
#: So few are leased at once that a service with slow answers keeps one worker for minutes at most.
BATCH = 5
#: How many may be leased at once, by all processes: the other workers read, plan and write meanwhile.
MAX_LEASED = 2 * BATCH
#: After so many attempts a channel is no longer closed: it expires.
MAX_CLOSING_ATTEMPTS = 5
RETRY_AFTER_FAILURE = timedelta(minutes=5)
#: The path of the receiver, below which each service has an address of its own.
NOTIFY_PATH = "/notify"
SILENT = "Our own changes did not come back through the last channel."
#: What a token and the address are signed as.
_TOKEN_KIND, _ADDRESS_KIND = "channel", "channel address"

#: Finds the calendar service of a person; None for a person without one.
FindCalendar = Callable[[Address], CalendarProvider | None]
_NEEDS_LOOK = frozenset({NotificationKind.CHANGED, NotificationKind.MISSED, NotificationKind.REMOVED})


@dataclass(frozen=True, slots=True)
class ReceivingAddress:
    """Where services send notifications, and what signs their tokens."""

    url: str  #: public, without a slash at the end
    signer: LinkSigner

    @property
    def mark(self) -> str:
        """A text that is another one when services have to be given another address, or other tokens."""
        return self.signer.sign_text(self.url, _ADDRESS_KIND)

    def make_channel(self, watched: WatchedCalendar) -> Channel:
        """Return the open channel of a calendar as its service knows it."""
        return replace(self._make(watched.id, watched), remote_id=watched.remote_id)

    def make_next_channel(self, channel_id: str, watched: WatchedCalendar) -> Channel:
        """Return the channel that is to be opened in place of the one that is open."""
        return replace(self._make(channel_id, watched), replaces=watched.remote_id)

    def _make(self, channel_id: str, watched: WatchedCalendar) -> Channel:
        token = f"{channel_id}.{self.signer.sign_text(channel_id, _TOKEN_KIND)}"
        url = f"{self.url}{NOTIFY_PATH}/{watched.service}"
        return Channel(id=channel_id, calendar=watched.calendar, token=token, url=url)

    def read_token(self, token: str) -> str | None:
        """Return the id of the channel whose token this is; None for a forged one."""
        channel_id, _, signature = token.partition(".")
        return channel_id if self.signer.is_signed_text(channel_id, _TOKEN_KIND, signature) else None


class Channels:
    """The channels of the calendars of all who take part."""

    def __init__(
        self,
        store: Store,
        find_calendar: FindCalendar,
        clock: Clock,
        address: ReceivingAddress | None,
        operator: str,
    ) -> None:
        """Without an `address` no channel is opened, and those there are will be closed."""
        self._store = store
        self._find_calendar = find_calendar
        self._clock = clock
        self._address = address
        self._operator = operator

    @property
    def is_on(self) -> bool:
        """Whether services are asked to tell of changes."""
        return self._address is not None

    def refresh(self) -> bool:
        """Find out whose calendars are to have a channel now, and have all replaced whose notifications would not reach
        us, or be refused: the address or the key has changed. Returns whether anything changed."""
        now = self._clock()
        is_replaced = self._address is not None and self._store.channels.replace_outdated(self._address.mark, now)
        return self._store.channels.refresh(CALENDARS_WITH_CHANNELS if self.is_on else (), now) or is_replaced

    # --- steps ---

    def run_until(self, holder: str, must_stop: Callable[[], bool]) -> None:
        """Take steps until none is due, or until `must_stop` returns True."""
        while not must_stop() and self.run(holder):
            pass

    def run(self, holder: str, limit: int = BATCH) -> int:
        """Take the step of up to `limit` channels that are due, and close as many; fewer while other processes are at
        it. Returns how many there were."""
        now = self._clock()
        # the holder is unique for each run: threads of a process run at once
        lease = Lease(f"{holder}:{uuid.uuid4().hex[:8]}", now + LEASE)
        due = self._store.channels.claim(now, lease, limit, MAX_LEASED)
        for watched in due:
            self._take_step(watched, lease)
        retired = self._store.channels.claim_retired(now, lease, limit, MAX_LEASED)
        for channel in retired:
            self._close(channel)
        return len(due) + len(retired)

    def _take_step(self, watched: WatchedCalendar, lease: Lease) -> None:
        now = self._clock()
        step = channels.choose_step(watched, now) if self._address else ChannelStep.WAIT
        if channels.is_silent(watched, now):
            self._store.calendars.make_due([watched.calendar], now)  # it is read as often as without a channel
        if step is ChannelStep.WAIT:
            is_kept = watched.is_open and self._address is not None
            due_at = channels.find_next_step_at(watched) if is_kept else now + LEASE
            self._store.channels.postpone(watched.calendar, lease, due_at)
            return
        try:
            provider = cast("NotifyingCalendar | None", self._find_calendar(watched.calendar))
            if provider is None or self._address is None:
                self._store.channels.postpone(watched.calendar, lease, now + LEASE)
            else:
                self._renew_or_open(watched, step, provider, self._address, lease)
        except ProviderError as error:
            self._record_failure(watched, lease, error)
        except Exception as error:  # one calendar must not keep the others from being watched
            if describe_database_outage(error):
                raise
            self._record_failure(watched, lease, LongarcError(describe_unexpected_error(error)))

    def _renew_or_open(
        self,
        watched: WatchedCalendar,
        step: ChannelStep,
        provider: NotifyingCalendar,
        address: ReceivingAddress,
        lease: Lease,
    ) -> None:
        if step is ChannelStep.RENEW:
            renewed = provider.renew_channel(address.make_channel(watched))
            if renewed is not None:
                after = replace(self._apply(watched, watched.id, renewed), opened_at=watched.opened_at)
                self._store.channels.save_renewed(after, lease, channels.find_next_step_at(after))
                return
        channel_id = uuid.uuid4().hex
        if self._store.channels.save_next_id(watched.calendar, channel_id, lease):
            opened = provider.open_channel(address.make_next_channel(channel_id, watched))
            self._save_opened(watched, self._apply(watched, channel_id, opened), lease)

    def _apply(self, watched: WatchedCalendar, channel_id: str, opened: OpenedChannel) -> WatchedCalendar:
        now = self._clock()
        return replace(
            watched,
            id=channel_id,
            remote_id=opened.remote_id,
            opened_at=now,
            renew_at=channels.find_renewal_time(channel_id, now, opened.expires_at),
            expires_at=opened.expires_at,
        )

    def _save_opened(self, before: WatchedCalendar, opened: WatchedCalendar, lease: Lease) -> None:
        """Store a channel that was opened. It is trusted as the one before it, unless that was silent. The calendar is
        read once, as it may have changed meanwhile."""
        now = self._clock()
        if channels.is_silent(before, now):
            opened = replace(opened, proven_at=None, failures=before.failures + 1, problem=SILENT)
        else:
            opened = replace(opened, problem="")
        if self._store.channels.save_opened(opened, before, lease, now):
            self._store.calendars.make_due([opened.calendar], now)
            log.info("a channel is open", extra={"action": Action.CHANNEL_OPENED, "calendar": opened.calendar})

    def _record_failure(self, watched: WatchedCalendar, lease: Lease, error: LongarcError) -> None:
        """Store why there is no channel, and tell the operator once a day for each service. A refused channel of a
        report is no trouble: an organization need not let their calendars be read."""
        now, address = self._clock(), watched.calendar
        log.info("no channel: %s", error, extra={"action": Action.CHANNEL_FAILED, "calendar": address})
        if isinstance(error, Transient | Conflict):
            wait = (error.retry_after if isinstance(error, Transient) else None) or RETRY_AFTER_FAILURE
            self._store.channels.postpone(address, lease, now + wait)
        else:
            wait = channels.find_retry_wait(watched.failures + 1)
            self._store.channels.record_failure(address, lease, str(error), now + wait)
            if self._store.channels.requires_channel(address):
                self._alert(watched, error, now)
        if watched.proven_at and not channels.is_trusted(watched, now):
            self._store.calendars.make_due([address], now)

    def _alert(self, watched: WatchedCalendar, error: LongarcError, now: datetime) -> None:
        text = (
            f"Changes of the calendar of {watched.calendar} are not told: {error} Until they are, it is read as often "
            "as without `sync.notify_url`. Others may be concerned, too: `longarc status` counts them."
        )
        self._store.outbox.alert(f"channel:{watched.service}:{now:%Y-%m-%d}", text, now, self._operator)

    def _close(self, channel: RetiredChannel) -> None:
        """Close a channel that is not needed any more. What can't be closed expires."""
        try:
            provider = cast("NotifyingCalendar | None", self._find_calendar(channel.calendar))
            if provider is not None:
                names = {name: getattr(channel, name) for name in ("id", "calendar", "remote_id")}
                provider.close_channel(Channel(token="", url="", **names))
        except Transient as error:
            if channel.attempts < MAX_CLOSING_ATTEMPTS:
                wait = error.retry_after or RETRY_AFTER_FAILURE
                self._store.channels.postpone_retired(channel.id, self._clock() + wait)
                return
        except ProviderError as error:
            log.info("%s", error, extra={"action": Action.CHANNEL_FAILED, "calendar": channel.calendar})
        self._store.channels.delete_retired(channel.id)

    # --- notifications ---

    def accept(self, notification: Notification) -> Hint | None:
        """Take a notification: its calendar is due. Returns None for one that is forged, or of an unknown channel."""
        channel_id = self._address.read_token(notification.token) if self._address else None
        if channel_id is None or notification.channel_id not in ("", channel_id):
            return None
        now, kind = self._clock(), notification.kind
        has_changed, is_proof = kind in _NEEDS_LOOK, kind is NotificationKind.CHANGED
        hint = self._store.channels.record_notification(
            channel_id, notification.remote_id, now, has_changed=has_changed, is_proof=is_proof
        )
        if hint is not None and kind is NotificationKind.RENEW:
            self._store.channels.renew_now(hint.calendar, now)
        elif hint is not None and kind is NotificationKind.REMOVED:
            self._store.channels.forget_closed_channel(hint.calendar, now)
        return hint
