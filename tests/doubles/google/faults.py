"""Faults that a test plans for the next requests or notifications of some kind."""

from dataclasses import dataclass, field
from datetime import timedelta
from random import Random
from threading import Lock
from typing import Any

from tests.doubles.google.schema import Refusal

#: The HTTP status and the error domain that belong to each error reason.
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


class BrokenConnection(Exception):
    """Tells the server to break the connection, or to send something that is no answer of Google's."""

    def __init__(self, how: str) -> None:
        super().__init__(how)
        self.how = how


@dataclass(slots=True)
class Fault:
    """One planned fault. `reason` is an error reason of Google's, or how the connection breaks: `reset`, `hang`, `html`
    (a page of a proxy) or `cut` (half an answer). The reasons of notifications are `lost`, `duplicated`, `delayed`,
    `overtaken` (sent after the next one) and `trailing` (sent after its channel was stopped)."""

    method: str  #: or a prefix, such as `calendar.events.`; notifications are `notification.exists` and the like
    reason: str
    after: bool = False  #: the request is carried out before the fault strikes
    times: int = 1  #: how often it strikes
    status: int = 0  #: in place of the status that belongs to the reason
    headers: dict[str, str] = field(default_factory=dict)
    message: str = ""
    who: str = ""  #: only for this person
    passing: int = 0  #: so many matching requests succeed before it strikes
    share: float = 1.0  #: the probability with which it strikes a matching request
    delay: timedelta = timedelta()  #: of a delayed notification

    def raise_error(self) -> None:
        """Raises BrokenConnection or Refusal, as the reason says."""
        if self.reason in ("reset", "hang", "html", "cut"):
            raise BrokenConnection(self.reason)
        status, domain = REASONS.get(self.reason, (self.status, "global"))
        message = self.message or self.reason
        raise Refusal(self.status or status, self.reason, message, domain=domain, headers=self.headers)


class FaultPlan:
    """The faults that are still to strike."""

    def __init__(self) -> None:
        self._faults: list[Fault] = []
        self._lock = Lock()
        self._random = Random(7)  # a fixed seed, so that each run is the same

    def add(self, method: str, reason: str, **options: Any) -> Fault:
        fault = Fault(method, reason, **options)
        self._faults.append(fault)
        return fault

    def clear(self) -> None:
        self._faults.clear()

    def raise_due(self, method: str, who: str, *, after: bool) -> None:
        """Raises Refusal or BrokenConnection when a fault is due for this request."""
        if fault := self.take_due(method, who, after=after):
            fault.raise_error()

    def take_due(self, method: str, who: str, *, after: bool = False) -> Fault | None:
        """The fault that is due for this request or notification, counted as used; None when there is none."""
        with self._lock:
            for fault in self._faults:
                matches = method.startswith(fault.method) and fault.who in ("", who) and fault.after is after
                if matches and fault.passing > 0:
                    fault.passing -= 1
                elif matches and fault.times > 0 and self._random.random() < fault.share:
                    fault.times -= 1
                    return fault
        return None
