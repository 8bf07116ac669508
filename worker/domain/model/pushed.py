"""What a directory pushed about people, and when."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unicodedata import normalize

#: Pushes with shorter pauses between them belong to one wave.
WAVE_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedPerson:
    """One person as a directory pushed it: the attributes that the roster needs, named as in SCIM."""

    id: str  #: ours; it stays for life and is never given again
    user_name: str  #: unique, without regard to case
    external_id: str = ""  #: the directory's
    attributes: Mapping[str, Any] = field(default_factory=dict)
    created_at: datetime
    changed_at: datetime
    revision: int = 1  #: rises by one with each change

    @property
    def user_name_key(self) -> str:
        """The user name as it is compared."""
        return fold_user_name(self.user_name)


def fold_user_name(user_name: str) -> str:
    """Return a user name as it is compared: without regard to case, or to how an accent is encoded."""
    return normalize("NFC", normalize("NFC", user_name).lower())


@dataclass(frozen=True, slots=True)
class PushLog:
    """When a directory pushed changes. A push that changes nothing isn't counted."""

    count: int
    wave_began_at: datetime  #: the first push after a pause
    last_at: datetime

    def add_push(self, now: datetime) -> "PushLog":
        """Return the log with one more push."""
        began_at = now if now - self.last_at >= WAVE_PAUSE else self.wave_began_at
        return PushLog(self.count + 1, began_at, max(now, self.last_at))
