"""Who may ask how often: Google counts requests in a sliding minute, for each user and for the project.

A user is whoever `quotaUser` names. Without it what a service account asks is counted as its own, whomever it acts for.
"""

from collections import deque
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from tests.doubles.google.schema import Refusal, bad
from worker.clock import Clock

_MINUTE = timedelta(minutes=1)
_LONGEST = 40


@dataclass(slots=True)
class Quota:
    """`per_user`, `per_project`: requests a minute."""

    clock: Clock
    per_user: int = 600
    per_project: int = 10_000
    used: dict[str, deque[datetime]] = field(default_factory=dict)  #: by user; the project's under an empty name

    def charge(self, user: str, quota_user: str) -> None:
        """Raises Refusal, and counts nothing then."""
        if len(quota_user) > _LONGEST:
            raise bad(f"Invalid value for quotaUser: more than {_LONGEST} characters.", "invalidParameter", "quotaUser")
        now = self.clock()
        user = f"quotaUser:{quota_user}" if quota_user else user
        for name, limit, reason in (
            (user, self.per_user, "userRateLimitExceeded"),
            ("", self.per_project, "rateLimitExceeded"),
        ):
            spent = self.used.setdefault(name, deque())
            while spent and spent[0] <= now - _MINUTE:
                spent.popleft()
            if len(spent) >= limit:
                message = "User Rate Limit Exceeded" if name else "Rate Limit Exceeded"
                raise Refusal(403, reason, message, domain="usageLimits")
        for name in (user, ""):
            self.used[name].append(now)
