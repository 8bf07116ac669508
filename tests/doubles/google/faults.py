"""What is to go wrong, and when: a plan of faults, each for the next requests of a kind."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from threading import Lock
from typing import Any

from tests.doubles.google.schema import Refusal

#: Each reason with the status and domain that come with it.
REASONS = {
    "userRateLimitExceeded": (403, "usageLimits"),
    "rateLimitExceeded": (403, "usageLimits"),
    "quotaExceeded": (403, "usageLimits"),
    "dailyLimitExceeded": (403, "usageLimits"),
    "accessNotConfigured": (403, "usageLimits"),
    "forbidden": (403, "global"),
    "forbiddenForNonOrganizer": (403, "calendar"),
    "notACalendarUser": (403, "calendar"),
    "forbiddenForServiceAccounts": (403, "calendar"),
    "insufficientPermissions": (403, "global"),
    "domainPolicy": (403, "global"),
    "notFound": (404, "global"),
    "duplicate": (409, "global"),
    "deleted": (410, "global"),
    "fullSyncRequired": (410, "calendar"),
    "conditionNotMet": (412, "global"),
    "backendError": (500, "global"),
    "authError": (401, "global"),
    "failedPrecondition": (400, "global"),
    "channelIdNotUnique": (400, "global"),
    "push.webhookUrlNotHttps": (400, "global"),
    "push.webhookUrlUnauthorized": (401, "global"),
    "pushNotSupportedForRequestedResource": (400, "global"),
}


class Broken(Exception):
    """The connection is to be cut, or something other than an answer to be sent."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


@dataclass(slots=True)
class Fault:
    """One way to go wrong: a refusal for a reason, or a connection that breaks (`reset`, `hang`, `html`, `cut`). Of a
    notification: `lost`, `duplicated`, `delayed`, `overtaken` by the next one, `trailing` after its channel's end."""

    method: str  #: `calendar.events.insert`; a beginning of it is enough. `notification.exists`, `notification.sync`
    reason: str
    after: bool = False  #: once the request was done all the same
    times: int = 1
    status: int = 0
    headers: dict[str, str] = field(default_factory=dict)
    message: str = ""
    who: str = ""  #: only for this person
    passing: int = 0  #: so many requests go through before
    share: float = 1.0  #: of the requests that this fault may strike
    delay: timedelta = timedelta()  #: of a delayed notification

    def raise_it(self) -> None:
        if self.reason in ("reset", "hang", "html", "cut"):
            raise Broken(self.reason)
        status, domain = REASONS.get(self.reason, (self.status, "global"))
        message = self.message or self.reason
        raise Refusal(self.status or status, self.reason, message, domain=domain, headers=self.headers)


class Plan:
    """The faults to come."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()
        self._random = Random(7)  # the same in each run

    def add(self, method: str, reason: str, **how: Any) -> Fault:
        fault = Fault(method, reason, **how)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def strike(self, method: str, who: str, *, after: bool) -> None:
        """Raises Refusal or Broken when it is this request's turn."""
        if fault := self.pick(method, who, after=after):
            fault.raise_it()

    def pick(self, method: str, who: str, *, after: bool = False) -> Fault | None:
        """The fault whose turn it is, which has struck then; None when there is none."""
        with self._lock:
            for fault in self._faults:
                meant = method.startswith(fault.method) and fault.who in ("", who) and fault.after is after
                if meant and fault.passing > 0:
                    fault.passing -= 1
                elif meant and fault.times > 0 and self._random.random() < fault.share:
                    fault.times -= 1
                    return fault
        return None
