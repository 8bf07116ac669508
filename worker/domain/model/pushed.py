"""The people that a directory has pushed by SCIM, and the times of the pushes.

A push is one request by which a directory reports a change of one person.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any
from unicodedata import normalize

#: Consecutive pushes with less than this time between them form one wave, and are applied together.
WAVE_PAUSE = timedelta(minutes=10)


@dataclass(frozen=True, slots=True, kw_only=True)
class PushedPerson:
    """A person as a directory pushed them."""

    id: str  #: our id of the person, which never changes and is never reused
    user_name: str  #: unique, ignoring case
    external_id: str = ""  #: the directory's id of the person
    attributes: Mapping[str, Any] = field(default_factory=dict)  #: what the roster needs, with the names of SCIM
    created_at: datetime
    changed_at: datetime
    revision: int = 1  #: increases by one with each change

    @property
    def user_name_key(self) -> str:
        """The user name in the form in which user names are compared."""
        return fold_user_name(self.user_name)


def fold_user_name(user_name: str) -> str:
    """Return the user name in a form for comparisons that ignore case and the Unicode encoding of accents."""
    return normalize("NFC", normalize("NFC", user_name).lower())


@dataclass(frozen=True, slots=True)
class PushLog:
    """The number and times of a directory's pushes. Pushes that change nothing are not included."""

    count: int
    wave_began_at: datetime  #: the time of the first push of the last wave
    last_at: datetime  #: the time of the last push

    def add_push(self, now: datetime) -> "PushLog":
        """Return the log with one more push at `now`."""
        wave_began_at = now if now - self.last_at >= WAVE_PAUSE else self.wave_began_at
        return PushLog(self.count + 1, wave_began_at, max(now, self.last_at))
