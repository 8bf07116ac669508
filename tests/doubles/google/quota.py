"""Limits the rate of requests as Google does: in a sliding minute, for each user and for the whole project.

The user is the one that `quotaUser` names. Without that parameter, all requests of a service account count as one
user, whomever it acts for.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.doubles.google.schema import Refusal, bad_request
from worker.clock import Clock

_MINUTE = timedelta(minutes=1)
_MAX_QUOTA_USER_LENGTH = 40


@dataclass(slots=True)
class Quota:
    """Counts requests. `per_user` and `per_project` are the most requests in a minute."""

    clock: Clock
    per_user: int = 600
    per_project: int = 10_000
    #: The times of the requests of the last minute, by user; under "" those of the whole project.
    used: dict[str, deque[datetime]] = field(default_factory=dict)

    def charge(self, user: str, quota_user: str) -> None:
        """Count a request. Raises Refusal, without counting it, when a limit is reached."""
        if len(quota_user) > _MAX_QUOTA_USER_LENGTH:
            raise bad_request(
                f"Invalid value for quotaUser: more than {_MAX_QUOTA_USER_LENGTH} characters.",
                "invalidParameter",
                "quotaUser",
            )
        now = self.clock()
        user = f"quotaUser:{quota_user}" if quota_user else user
        for name, limit, reason in (
            (user, self.per_user, "userRateLimitExceeded"),
            ("", self.per_project, "rateLimitExceeded"),
        ):
            times = self.used.setdefault(name, deque())
            while times and times[0] <= now - _MINUTE:
                times.popleft()
            if len(times) >= limit:
                message = "User Rate Limit Exceeded" if name else "Rate Limit Exceeded"
                raise Refusal(403, reason, message, domain="usageLimits")
        for name in (user, ""):
            self.used[name].append(now)
