"""A calendar in memory that tells of changes through channels, as strict as the services are, and a company on it."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any

from tests.support.companies import DANA, MINUTE, SAM, Office, pair, pairs, people, settings
from worker.app import Worker
from worker.clock import Clock
from worker.domain.model import Address, WatchedCalendar
from worker.engine.channels import Channels
from worker.errors import Conflict
from worker.providers.base import Channel, Notification, NotificationKind, OpenedChannel
from worker.providers.memory import MemoryCalendar
from worker.settings.load import Settings

#: The kind of calendar that the people here have: one whose services tell of changes.
KIND = "google"
#: A key for tests beside that of the company. It guards nothing.
OTHER_KEY = "YW5vdGhlci10ZXN0LWtleS1vZi0zMi1ieXRlcy1sb25nISE="
PUBLIC = "https://longarc.corp.example"
LIFE = timedelta(days=7)


@dataclass
class Live:
    """A channel as the service has it."""

    channel: Channel
    expires_at: datetime


class TellingCalendar(MemoryCalendar):
    """Tells of each change through every live channel of the calendar. What it tells is kept in `told` until it is
    delivered; while `is_deaf`, it tells nothing, as a service whose notifications do not reach us."""

    def __init__(self, clock: Clock) -> None:
        super().__init__()
        self._clock = clock
        self.public = PUBLIC  #: the address to which it is told to send
        self.renews = False
        self.is_deaf = False
        self.live: dict[str, Live] = {}  #: by remote id
        self.used: set[str] = set()  #: the ids of all channels that ever were
        self.told: list[Notification] = []
        self.asked: list[str] = []  #: the operations on channels so far

    def open_channel(self, channel: Channel) -> OpenedChannel:
        self._begin("open_channel")
        assert channel.url == f"{self.public}/notify/{KIND}" and len(channel.token) <= 128 and len(channel.id) <= 64
        if channel.id in self.used:
            raise Conflict("The id of the channel was used before.")
        self.used.add(channel.id)
        remote_id = f"remote-{len(self.used)}"
        self.live[remote_id] = Live(replace(channel, remote_id=remote_id), self._clock() + LIFE)
        self._tell(self.live[remote_id], NotificationKind.OPENED)
        return OpenedChannel(remote_id, self._end("open_channel", self.live[remote_id].expires_at))

    def renew_channel(self, channel: Channel) -> OpenedChannel | None:
        self._begin("renew_channel")
        known = self.live.get(channel.remote_id)
        if not self.renews or known is None:
            return None
        known.expires_at = self._clock() + LIFE
        return OpenedChannel(channel.remote_id, self._end("renew_channel", known.expires_at))

    def close_channel(self, channel: Channel) -> None:
        self._begin("close_channel")
        self.live.pop(channel.remote_id, None)
        self._end("close_channel", None)

    def _begin(self, operation: str) -> None:
        self.asked.append(operation)
        self._raise_fault(operation)

    def _end(self, operation: str, answer: Any) -> Any:
        self._raise_fault(f"{operation} answered")
        return answer

    def _mark_changed(self, entry: Any, *, by_hand: bool) -> None:
        super()._mark_changed(entry, by_hand=by_hand)
        for calendar in self._list_participants(entry):
            self.tell_of(calendar)

    def tell_of(self, calendar: Address, kind: NotificationKind = NotificationKind.CHANGED) -> None:
        """Tell of a change through each channel of that calendar that has not expired."""
        for one in self.live.values():
            if one.channel.calendar == calendar and one.expires_at > self._clock():
                self._tell(one, kind)

    def _tell(self, one: Live, kind: NotificationKind) -> None:
        if not self.is_deaf:
            self.told.append(
                Notification(one.channel.token, kind, channel_id=one.channel.id, remote_id=one.channel.remote_id)
            )

    def channels_of(self, calendar: Address) -> list[Channel]:
        """The channels of that calendar that have not expired."""
        found = [one for one in self.live.values() if one.expires_at > self._clock()]
        return [one.channel for one in found if one.channel.calendar == calendar]


class TellingOffice(Office):
    """Dana and Sam on a calendar that tells of changes. What it tells is heard before each tick."""

    calendar: TellingCalendar

    def __init__(self, url: str = "sqlite://", **more: Any) -> None:
        self.woken: list[timedelta] = []  #: the delays with which workers were woken
        known = more.pop("known", None) or telling_settings(url)
        persons = {one: replace(who, calendar=KIND) for one, who in people(DANA, SAM).items()}
        super().__init__(url, persons, pairs(pair()), known=known, **more)

    def another(self, holder: str, clock: Clock | None = None) -> Worker:
        worker = super().another(holder, clock)
        if not isinstance(self.calendar, TellingCalendar):
            self.calendar = TellingCalendar(self.clock)
        worker.services.use(calendars={KIND: self.calendar})
        worker.schedule_sync = self.woken.append
        return worker

    @property
    def channels(self) -> Channels:
        return self.worker.channels

    def hear(self) -> int:
        """Take what was told so far; return how many notifications were accepted."""
        told, self.calendar.told = self.calendar.told, []
        return sum(self.channels.accept(one) is not None for one in told)

    def tick(self, *, hint: bool = False) -> Any:
        self.hear()
        return super().tick(hint=hint)

    def watched(self, calendar: Address = DANA) -> WatchedCalendar:
        found = self.store.channels.load(calendar)
        assert found is not None
        return found

    def settle(self, rounds: int = 20) -> None:
        """Tick, and hear, until nothing more is told."""
        for _ in range(rounds):
            self.tick()
            if not self.calendar.told:
                return
        raise AssertionError("it does not come to rest")

    def prove_channels(self) -> None:
        """Book a session, and have both calendars' channels show that they work."""
        self.settle()
        self.clock.advance(MINUTE)
        self.settle()
        assert self.watched(DANA).proven_at and self.watched(SAM).proven_at


def telling_settings(url: str = "sqlite://", **more: Any) -> Settings:
    """Settings with an address for notifications, and calendars that are read every five minutes."""
    sync = {"every": "5 minutes", "full_every": "1 day", "notify_url": PUBLIC, **more}
    return settings(url, base_url=PUBLIC, sync=sync)


class Died(BaseException):
    """The process ends here: nothing that follows is done."""


def dies_at(number: int, operations: tuple[str, ...]) -> Callable[[str], None]:
    """A `fail` that ends the process at the n-th of these operations, and does nothing after that."""
    passed = 0

    def fail(operation: str) -> None:
        nonlocal passed
        if operation in operations:
            passed += 1
            if passed == number:
                raise Died

    return fail
