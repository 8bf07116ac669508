"""Channels, through which calendar services tell that a calendar has changed."""

from dataclasses import dataclass
from datetime import datetime

from worker.domain.model.time import Address


@dataclass(frozen=True, slots=True, kw_only=True)
class WatchedCalendar:
    """A calendar that is to have a channel, and the channel that it has."""

    calendar: Address
    service: str  #: the kind of its calendar service
    id: str = ""  #: of the open channel; empty before the first is open
    remote_id: str = ""  #: what the service calls it
    next_id: str = ""  #: of the channel that is being opened in its place
    opened_at: datetime | None = None
    renew_at: datetime | None = None
    expires_at: datetime | None = None
    #: since when changes are known to come through; None while it has to be shown
    proven_at: datetime | None = None
    has_told: bool = False  #: a change was told since the last reading of the calendar began
    awaiting_since: datetime | None = None  #: since when the notification of our own write is missing
    failures: int = 0  #: channels in a row that could not be opened or renewed, or stayed silent
    problem: str = ""  #: why the last one failed, as a sentence

    @property
    def is_open(self) -> bool:
        """Whether the service has opened a channel, which may have expired since."""
        return self.expires_at is not None


@dataclass(frozen=True, slots=True, kw_only=True)
class RetiredChannel:
    """A channel that is to be closed."""

    id: str
    calendar: Address
    remote_id: str
    attempts: int = 0
