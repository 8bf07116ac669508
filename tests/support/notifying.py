"""A calendar in memory with channels that are as strict as those of the services, and a company that uses it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tests.support.companies import BASE_URL, DANA, MINUTE, SAM, Office, pair, pairs, people, settings
from worker.app import Worker
from worker.clock import Clock
from worker.domain.model import Address, WatchedCalendar
from worker.engine.channels import Channels
from worker.errors import Conflict
from worker.providers.base import Channel, Notification, NotificationKind, OpenedChannel
from worker.providers.memory import MemoryCalendar
from worker.settings.load import Settings

#: The calendar service of the people of this company: one that sends notifications of changes.
NOTIFYING_SERVICE = "google"
#: A second key, which the settings of the company do not contain. It protects nothing outside of tests.
OTHER_KEY = "YW5vdGhlci10ZXN0LWtleS1vZi0zMi1ieXRlcy1vayE="
CHANNEL_LIFETIME = timedelta(days=7)


@dataclass
class ServiceChannel:
    """A channel as the service has it."""

    channel: Channel
    expires_at: datetime


class NotifyingMemoryCalendar(MemoryCalendar):
    """Sends a notification of each change through every channel of the calendar that has not expired.

    `undelivered` keeps the notifications until a test takes them.
    """

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.public = BASE_URL  #: the start of the address at which channels have to be opened
        self.can_renew = False  #: whether a channel can be renewed, as at Graph, or only opened anew, as at Google
        self.loses_notifications = False  #: whether notifications get lost on their way to us
        self.service_channels: dict[str, ServiceChannel] = {}  #: by remote id
        self.used_ids: set[str] = set()  #: the ids of all channels that were ever opened
        self.undelivered: list[Notification] = []
        self.operations: list[str] = []  #: the operations on channels so far

    def open_channel(self, channel: Channel) -> OpenedChannel:
        self._begin("open_channel")
        assert channel.url == f"{self.public}/notify/{NOTIFYING_SERVICE}"
        assert len(channel.token) <= 128 and len(channel.id) <= 64
        if channel.id in self.used_ids:
            raise Conflict("The id of the channel was used before.")
        self.used_ids.add(channel.id)
        remote_id = f"remote-{len(self.used_ids)}"
        opened = ServiceChannel(replace(channel, remote_id=remote_id), self._clock() + CHANNEL_LIFETIME)
        self.service_channels[remote_id] = opened
        self._send(opened, NotificationKind.OPENED)
        return OpenedChannel(remote_id, self._end("open_channel", opened.expires_at))

    def renew_channel(self, channel: Channel) -> OpenedChannel | None:
        self._begin("renew_channel")
        service_channel = self.service_channels.get(channel.remote_id)
        if not self.can_renew or service_channel is None:
            return None
        service_channel.expires_at = self._clock() + CHANNEL_LIFETIME
        return OpenedChannel(channel.remote_id, self._end("renew_channel", service_channel.expires_at))

    def close_channel(self, channel: Channel) -> None:
        self._begin("close_channel")
        self.service_channels.pop(channel.remote_id, None)
        self._end("close_channel", None)

    def _begin(self, operation: str) -> None:
        """Note the operation; raise the fault that a test wants before the service does anything."""
        self.operations.append(operation)
        self._raise_fault(operation)

    def _end(self, operation: str, answer: Any) -> Any:
        """Return the answer; raise the fault that a test wants after the service did what it was asked."""
        self._raise_fault(f"{operation} answered")
        return answer

    def _mark_changed(self, entry: Any, *, by_hand: bool) -> None:
        super()._mark_changed(entry, by_hand=by_hand)
        for calendar in self._list_participants(entry):
            self.notify(calendar)

    def notify(self, calendar: Address, kind: NotificationKind = NotificationKind.CHANGED) -> None:
        """Send a notification through each channel of that calendar that has not expired."""
        for service_channel in self.service_channels.values():
            if service_channel.channel.calendar == calendar and service_channel.expires_at > self._clock():
                self._send(service_channel, kind)

    def _send(self, service_channel: ServiceChannel, kind: NotificationKind) -> None:
        if not self.loses_notifications:
            self.undelivered.append(
                Notification(
                    service_channel.channel.token,
                    kind,
                    channel_id=service_channel.channel.id,
                    remote_id=service_channel.channel.remote_id,
                )
            )

    def channels_of(self, calendar: Address) -> list[Channel]:
        """The channels of that calendar that have not expired."""
        open_channels = [
            service_channel
            for service_channel in self.service_channels.values()
            if service_channel.expires_at > self._clock()
        ]
        return [
            service_channel.channel for service_channel in open_channels if service_channel.channel.calendar == calendar
        ]


class NotifyingOffice(Office):
    """Dana and Sam on a calendar that sends notifications, which are delivered before each tick."""

    calendar: NotifyingMemoryCalendar

    def __init__(self, url: str = "sqlite://", **more: Any) -> None:
        self.sync_delays: list[timedelta] = []  #: the delays after which each sync was asked for
        office_settings = more.pop("office_settings", None) or notification_settings(url)
        persons = {
            address: replace(known_person, calendar=NOTIFYING_SERVICE)
            for address, known_person in people(DANA, SAM).items()
        }
        super().__init__(url, persons, pairs(pair()), office_settings=office_settings, **more)

    def add_worker(self, holder: str, clock: Clock | None = None) -> Worker:
        worker = super().add_worker(holder, clock)
        if not isinstance(self.calendar, NotifyingMemoryCalendar):
            self.calendar = NotifyingMemoryCalendar(self.clock)
        worker.services.use(calendars={NOTIFYING_SERVICE: self.calendar})
        worker.schedule_sync = self.sync_delays.append
        return worker

    @property
    def channels(self) -> Channels:
        return self.worker.channels

    def deliver_notifications(self) -> int:
        """Deliver the notifications that were sent so far, and return how many the program accepted."""
        sent, self.calendar.undelivered = self.calendar.undelivered, []
        return sum(self.channels.accept(notification) is not None for notification in sent)

    def tick(self, *, hint: bool = False) -> Any:
        self.deliver_notifications()
        return super().tick(hint=hint)

    def watched_calendar(self, calendar: Address = DANA) -> WatchedCalendar:
        """What the database holds about the channel of that calendar."""
        watched_calendar = self.store.channels.load(calendar)
        assert watched_calendar is not None
        return watched_calendar

    def tick_until_quiet(self, rounds: int = 20) -> None:
        """Tick until no more notifications are sent."""
        for _ in range(rounds):
            self.tick()
            if not self.calendar.undelivered:
                return
        raise AssertionError(f"notifications are still sent after {rounds} rounds")

    def prove_channels(self) -> None:
        """Let a session be booked, whose notifications prove the channels of both calendars."""
        self.tick_until_quiet()
        self.clock.advance(MINUTE)
        self.tick_until_quiet()
        assert self.watched_calendar(DANA).proven_at and self.watched_calendar(SAM).proven_at


def notification_settings(url: str = "sqlite://", **more: Any) -> Settings:
    """Settings with an address for notifications, and calendars that are read every five minutes."""
    sync = {"every": "5 minutes", "full_every": "1 day", "notify_url": BASE_URL, **more}
    return settings(url, base_url=BASE_URL, sync=sync)


class ProcessEnded(BaseException):
    """Stands for the end of the process: as a `BaseException`, it passes every `except Exception`."""


def end_process_at(number: int, operations: tuple[str, ...]) -> Callable[[str], None]:
    """Return a `fail` hook for a calendar. It raises `ProcessEnded` at the n-th of these operations alone."""
    count = 0

    def fail(operation: str) -> None:
        nonlocal count
        if operation in operations:
            count += 1
            if count == number:
                raise ProcessEnded

    return fail
