"""Opens, renews and closes channels, and accepts the notifications that come through them.

Through a channel a calendar service notifies us of changes on one calendar. Each step is stored before the next one, so
that any number of processes can share the work. A process that dies leaves at most an unused channel, which expires.
"""

import logging
import uuid
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import cast

from worker.clock import Clock, is_recent
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
from worker.store.channels import AcceptedNotification, Lease
from worker.store.database import describe_database_outage
from worker.store.store import Store

log = logging.getLogger(__name__)

#: For how long a run holds the channels that it has claimed.
LEASE = timedelta(minutes=10)
#: How many channels are leased at once. With so few, a slow service keeps a worker busy for a few minutes at most.
BATCH = 5
#: How many channels all processes together may lease at once. The workers that get none do other work.
MAX_LEASED = 2 * BATCH
#: How often closing a channel is tried. Afterwards the channel is left to expire.
MAX_CLOSING_ATTEMPTS = 5
RETRY_AFTER_FAILURE = timedelta(minutes=5)
#: When another process, with other settings, has put its own receiving address in force: how long this process waits
#: before it puts its address in force again, counted from when its address was last found in force. Restarting all
#: processes, one after the other, takes less.
REINSTATE_ADDRESS_AFTER = timedelta(hours=1)
#: How soon a watched calendar becomes due again when it can have no channel, because its person has no calendar service
#: or there is no receiving address. `Channels.refresh` removes such a calendar from the watched calendars.
RECHECK_UNSERVED_AFTER = timedelta(minutes=10)
#: The path of our URL for notifications. Each service has a path of its own below it.
NOTIFY_PATH = "/notify"
#: The problem that is stored with a channel which was opened in place of a silent one.
SILENT_PROBLEM = "The last channel did not report our own changes."
#: The kinds of signed texts: the token of a channel, and the receiving address.
_TOKEN_KIND, _ADDRESS_KIND = "channel", "channel address"

#: Returns the calendar service of a person; None for a person without a calendar.
FindCalendarProvider = Callable[[Address], CalendarProvider | None]
#: After a notification of these kinds the calendar has to be read: it has changed, the service lost notifications, or
#: it has closed the channel.
_KINDS_TO_READ_AFTER = frozenset({NotificationKind.CHANGED, NotificationKind.MISSED, NotificationKind.REMOVED})


@dataclass(frozen=True, slots=True)
class ReceivingAddress:
    """The address to which services send notifications. It builds the descriptions of channels, with signed tokens."""

    url: str  #: the public URL, without a slash at the end
    signer: LinkSigner

    @property
    def fingerprint(self) -> str:
        """A text that changes when the URL or the signing key changes. All channels then have to be opened again."""
        return self.signer.sign_text(self.url, _ADDRESS_KIND)

    def describe_current_channel(self, watched: WatchedCalendar) -> Channel:
        """Return the description of the calendar's open channel, for a request to its service."""
        return replace(self._describe_channel(watched.id, watched), remote_id=watched.remote_id)

    def describe_next_channel(self, channel_id: str, watched: WatchedCalendar) -> Channel:
        """Return the description of the channel that is to be opened, with this id, in place of the current one."""
        return replace(self._describe_channel(channel_id, watched), replaces=watched.remote_id)

    def _describe_channel(self, channel_id: str, watched: WatchedCalendar) -> Channel:
        token = f"{channel_id}.{self.signer.sign_text(channel_id, _TOKEN_KIND)}"
        url = f"{self.url}{NOTIFY_PATH}/{watched.service}"
        return Channel(id=channel_id, calendar=watched.calendar, token=token, url=url)

    def read_token(self, token: str) -> str | None:
        """Return the id of the channel that a token belongs to; None for a forged token."""
        channel_id, _, signature = token.partition(".")
        return channel_id if self.signer.is_signed_text(channel_id, _TOKEN_KIND, signature) else None


class Channels:
    """Manages the channels of the calendars of all people who take part."""

    def __init__(
        self,
        store: Store,
        find_calendar_provider: FindCalendarProvider,
        clock: Clock,
        address: ReceivingAddress | None,
        operator: str,
    ) -> None:
        """Without an `address`, no channels are opened, and open channels are closed."""
        self._store = store
        self._find_calendar_provider = find_calendar_provider
        self._clock = clock
        self._address = address
        self._operator = operator
        #: empty without an address
        self._fingerprint = address.fingerprint if address else ""
        #: when the address of this process was last found in force; None until it is
        self._in_force_at: datetime | None = None

    @property
    def is_on(self) -> bool:
        """Whether services are asked for notifications."""
        return self._address is not None

    def refresh(self) -> bool:
        """Store which calendars need a channel now. Returns whether anything changed.

        After a change of the receiving address or of the signing key, all channels become due to be replaced. A process
        puts its own address into force when it starts. So when processes are restarted one after the other with new
        settings, those that still have the old settings don't replace the channels again.
        """
        now, was_in_force = self._clock(), self._is_in_force()
        if not was_in_force:
            if self._in_force_at is not None and is_recent(self._in_force_at, now, REINSTATE_ADDRESS_AFTER):
                return False
            self._store.channels.replace_all(self._fingerprint, now)
        self._in_force_at = now
        has_changed = self._store.channels.update_watched_calendars(CALENDARS_WITH_CHANNELS if self.is_on else (), now)
        return has_changed or not was_in_force

    def _is_in_force(self) -> bool:
        """Return whether the stored fingerprint, for which all processes open channels, is that of this process."""
        return self._store.channels.load_notify_url_fingerprint() == self._fingerprint

    # --- opening, renewing and closing ---

    def run_until(self, holder: str, must_stop: Callable[[], bool]) -> None:
        """Open, renew and close channels until none is due, or until `must_stop` returns True."""
        while not must_stop() and self.run(holder):
            pass

    def run(self, holder: str, limit: int = BATCH) -> int:
        """Open or renew up to `limit` due channels, close up to `limit` retired ones, and return their number.

        All processes together lease at most MAX_LEASED channels, so that fewer than `limit` may be processed. While
        another receiving address is in force, nothing is done.
        """
        if not self._is_in_force():
            return 0
        now = self._clock()
        # the holder is unique for each run, since several threads of a process may run this at once
        lease = Lease(f"{holder}:{uuid.uuid4().hex[:8]}", now + LEASE)
        due_calendars = self._store.channels.claim(now, lease, limit, MAX_LEASED)
        for watched in due_calendars:
            self._take_step(watched, lease)
        retired_channels = self._store.channels.claim_retired(now, lease, limit, MAX_LEASED)
        for retired in retired_channels:
            self._close(retired)
        return len(due_calendars) + len(retired_channels)

    def _take_step(self, watched: WatchedCalendar, lease: Lease) -> None:
        """Open or renew the channel of a calendar, or do nothing until its next step is due."""
        now = self._clock()
        step = channels.choose_step(watched, now)
        if channels.is_echo_overdue(watched, now):
            # from now on the calendar is polled as often as a calendar without a channel
            self._store.calendars.make_due([watched.calendar], now)
        if step is ChannelStep.WAIT:
            self._store.channels.postpone(watched.calendar, lease, channels.find_next_step_at(watched))
            return
        try:
            provider = cast("NotifyingCalendar | None", self._find_calendar_provider(watched.calendar))
            if provider is None or self._address is None:
                self._store.channels.postpone(watched.calendar, lease, now + RECHECK_UNSERVED_AFTER)
            else:
                self._renew_or_open(watched, step, provider, self._address, lease)
        except ProviderError as error:
            self._record_failure(watched, lease, error)
        except Exception as error:  # one calendar must not keep the others from getting a channel
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
        """Renew the channel, or open a new one if it is due to be opened or its service can't renew it."""
        if step is ChannelStep.RENEW:
            renewed_channel = provider.renew_channel(address.describe_current_channel(watched))
            if renewed_channel is not None:
                renewed = self._apply_channel(watched, watched.id, renewed_channel)
                renewed = replace(renewed, opened_at=watched.opened_at)  # a renewed channel is the same channel
                self._store.channels.save_renewed(renewed, lease, channels.find_next_step_at(renewed))
                return
        channel_id = uuid.uuid4().hex
        # stored before the channel is opened, since its first notification may arrive before the response
        if self._store.channels.save_next_id(watched.calendar, channel_id, lease):
            opened_channel = provider.open_channel(address.describe_next_channel(channel_id, watched))
            self._save_opened(watched, self._apply_channel(watched, channel_id, opened_channel), lease)

    def _apply_channel(self, watched: WatchedCalendar, channel_id: str, opened: OpenedChannel) -> WatchedCalendar:
        """Return the calendar with a channel that its service has opened or renewed just now."""
        now = self._clock()
        return replace(
            watched,
            id=channel_id,
            remote_id=opened.remote_id,
            opened_at=now,
            # the id varies the time, so that channels opened together are not all renewed at once
            renew_at=channels.find_renewal_time(channel_id, now, opened.expires_at),
            expires_at=opened.expires_at,
        )

    def _save_opened(self, previous: WatchedCalendar, opened: WatchedCalendar, lease: Lease) -> None:
        """Store an opened channel, and make the calendar due, since it may have changed before the channel was open.

        `previous` is the calendar with its previous channel, and `opened` the calendar with the new one. The new
        channel is trusted if the previous one was trusted and was not silent.
        """
        now = self._clock()
        if channels.is_echo_overdue(previous, now):
            opened = replace(opened, proven_at=None, failures=previous.failures + 1, problem=SILENT_PROBLEM)
        else:
            opened = replace(opened, problem="")
        if self._store.channels.save_opened(opened, previous, lease, now):
            self._store.calendars.make_due([opened.calendar], now)
            log.info("a channel is open", extra={"action": Action.CHANNEL_OPENED, "calendar": opened.calendar})

    def _record_failure(self, watched: WatchedCalendar, lease: Lease, error: LongarcError) -> None:
        """Store why the channel could not be opened or renewed.

        After a permanent error the operator is alerted, once a day for each service. There is no alert about the
        calendar of a person who is only a report, since a company need not allow access to such calendars.
        """
        now, owner = self._clock(), watched.calendar
        log.info("the channel failed: %s", error, extra={"action": Action.CHANNEL_FAILED, "calendar": owner})
        if isinstance(error, Transient | Conflict):  # after a Conflict, the next attempt uses another channel id
            wait = (error.retry_after if isinstance(error, Transient) else None) or RETRY_AFTER_FAILURE
            self._store.channels.postpone(owner, lease, now + wait)
        else:
            wait = channels.find_retry_wait(watched.failures + 1)
            self._store.channels.record_failure(owner, lease, str(error), now + wait)
            if not self._store.channels.is_calendar_of_report_only(owner):
                self._alert(watched, error, now)
        if watched.proven_at and not channels.is_trusted(watched, now):
            # the channel was trusted before, so the calendar was polled rarely, and is now polled at the usual interval
            self._store.calendars.make_due([owner], now)

    def _alert(self, watched: WatchedCalendar, error: LongarcError, now: datetime) -> None:
        text = (
            f"No notifications of changes on the calendar of {watched.calendar} arrive: {error} Until they do, the "
            "calendar is read as often as without `sync.notify_url`. `longarc status` shows how many calendars are "
            "affected."
        )
        self._store.outbox.alert(f"channel:{watched.service}:{now:%Y-%m-%d}", text, now, self._operator)

    def _close(self, retired: RetiredChannel) -> None:
        """Close a channel that is no longer needed. A channel that can't be closed is left to expire."""
        try:
            provider = cast("NotifyingCalendar | None", self._find_calendar_provider(retired.calendar))
            if provider is not None:
                provider.close_channel(  # needs neither the token nor the URL
                    Channel(id=retired.id, calendar=retired.calendar, remote_id=retired.remote_id, token="", url="")
                )
        except Transient as error:
            if retired.attempts < MAX_CLOSING_ATTEMPTS:
                wait = error.retry_after or RETRY_AFTER_FAILURE
                self._store.channels.postpone_retired(retired.id, self._clock() + wait)
                return
        except ProviderError as error:
            log.info("%s", error, extra={"action": Action.CHANNEL_FAILED, "calendar": retired.calendar})
        self._store.channels.delete_retired(retired.id)

    # --- notifications ---

    def accept(self, notification: Notification) -> AcceptedNotification | None:
        """Record a notification, and make its calendar due if the calendar may have changed.

        Returns the calendar and when it is polled; None for a forged notification, or one through an unknown channel.
        """
        channel_id = self._address.read_token(notification.token) if self._address else None
        # some services send no channel id, so that the token alone tells the channel
        if channel_id is None or notification.channel_id not in ("", channel_id):
            return None
        now, kind = self._clock(), notification.kind
        accepted = self._store.channels.record_notification(
            channel_id,
            notification.remote_id,
            now,
            has_changed=kind in _KINDS_TO_READ_AFTER,
            is_proof=kind is NotificationKind.CHANGED,
        )
        if accepted is not None and kind is NotificationKind.RENEW:
            self._store.channels.renew_now(accepted.calendar, now)
        elif accepted is not None and kind is NotificationKind.REMOVED:
            self._store.channels.forget_closed_channel(accepted.calendar, now)
        return accepted
