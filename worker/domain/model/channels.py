"""Channels, through which calendar services notify us that a calendar has changed."""

from dataclasses import dataclass
from datetime import datetime

from worker.domain.model.time import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedCalendar:
    """A calendar that needs a channel, and the state of its channel."""

    calendar: Address
    service: str  #: the kind of the calendar service
    id: str = ""  #: our id of the open channel; empty before the first one is open
    remote_id: str = ""  #: the service's id of the open channel
    next_id: str = ""  #: our id of the channel that is being opened to replace the open one
    opened_at: datetime | None = None
    renew_at: datetime | None = None
    expires_at: datetime | None = None
    #: Since when the channel is known to work. None before its first notification, and again after a poll has found a
    #: change for which no notification came.
    proven_at: datetime | None = None
    has_told: bool = False  #: whether a notification has arrived since the last poll of the calendar began
    awaiting_since: datetime | None = None  #: when we wrote the change whose notification has not come yet
    failures: int = 0  #: how many channels in a row could not be opened or renewed, or were silent
    problem: str = ""  #: a sentence that says why the last channel failed

    @property
    def is_open(self) -> bool:
        """Whether the service has opened a channel. The channel may have expired since."""
        return self.expires_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredChannel:
    """A channel that is no longer needed and has to be closed."""

    id: str  #: our id of the channel
    calendar: Address
    remote_id: str  #: the service's id of the channel
    attempts: int = 0  #: the number of failed attempts to close it
